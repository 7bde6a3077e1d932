"""A wrong guess of whose work something is, put right: in the folders, the records and the gradebook."""

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simmim_lab.common import choose
from simmim_lab.teaching.collecting.names import folder_name
from simmim_lab.teaching.collecting.roll import NAMELESS, Records, age, alone, entry, note_down, records_of
from simmim_lab.teaching.course import exercise_sets, write_records
from simmim_lab.teaching.grading import gradebook

if TYPE_CHECKING:
    from nbgrader.api import SubmittedAssignment

STEPS = ("submitted", "autograded", "feedback")  # folders of grading/ with a folder for each student


def rename(root: Path, old: str, new: str) -> list[str]:
    """Give what is `old`'s to `new`, who may be a student already; returns lines that say what was done.

    old: a student, or a path in the inbox as `collect` wrote it. Of two notebooks for one set the newer that can
    be read counts. Points by hand are kept. Later collects keep to it. Can be repeated if it was interrupted.
    Raises ValueError if `old` is unknown, or is `new`.
    """
    with alone(root):
        return _rename(root, old, new)


def _rename(root: Path, old: str, new: str) -> list[str]:
    records, lines = records_of(root)
    students = records["students"]
    goal = next((known for known in students if not _is_free(new, known)), None) or folder_name(new, students)
    if old in students:
        whose = {name: old for name in exercise_sets(root) if old in records.get(name, {})}
    else:
        whose = _from(records, old)
        if not whose and not _is_told_of(records, old):
            choose(old, students, "student")
    if old == goal:
        raise ValueError(f"{old} is called so already")
    told = students.setdefault(goal, entry(new))
    told["name"] = told["name"] or new
    for name, student in whose.items():
        if student != goal:
            lines += _move(root, records[name], name, student, goal)
            records[name][goal]["name"] = records[name][goal]["name"] or told["name"]
    if old in students:
        gone = students.pop(old)
        for kind in ("keys", "paths", "notes"):
            told[kind] += [each for each in gone[kind] if each not in told[kind]]
    elif old not in told["paths"]:
        told["paths"].append(old)
    write_records(root, records)
    for name in whose:
        note_down(root / "grading" / "submitted" / goal / name / f"{name}.ipynb", records[name][goal], told)
    return [*lines, f"{old} is now {goal}: {', '.join(whose) or 'nothing was collected'}"]


def _is_free(new: str, known: str) -> bool:
    return folder_name(new) == folder_name(new, [known])


def _from(records: Records, path: str) -> dict[str, str]:
    """The student of each set whose notebook came from below a path of the inbox."""
    path = path.rstrip("/")
    return {
        name: student
        for name, there in records.items()
        if name != "students"
        for student, record in there.items()
        if f"{record['from']}/".startswith(f"{path}/")
    }


def _is_told_of(records: Records, path: str) -> bool:
    """Whether a record says that something from a path was left out."""
    notes = [
        note for name in records.keys() - {"students"} for each in records[name].values() for note in each["notes"]
    ]
    return any(path in note for note in notes)


def _move(root: Path, there: dict[str, dict[str, Any]], name: str, old: str, new: str) -> list[str]:
    """Give the notebook of one set to another student; a line if there are two and one is left out."""
    places = {who: [root / "grading" / step / who / name for step in STEPS] for who in (old, new)}
    both = new in there and places[new][0].exists()
    keeps_old = not both or age(there[old]) > age(there[new])
    if (root / "grading" / "gradebook.db").exists():
        _regrade(root, name, old, new, keeps_old)
    for here, goal in zip(places[old], places[new], strict=True):
        if keeps_old and here.exists():
            shutil.rmtree(goal, ignore_errors=True)
            goal.parent.mkdir(parents=True, exist_ok=True)
            here.replace(goal)
        shutil.rmtree(here, ignore_errors=True)
        if here.parent.exists() and not any(here.parent.iterdir()):
            here.parent.rmdir()
    gone, kept = (there.get(new), there.pop(old)) if keeps_old else (there.pop(old), there[new])
    there[new] = kept
    kept["notes"] = [note for note in kept["notes"] if note != NAMELESS]
    if not both:
        return []
    kept["notes"].append(f"the newest of several: {gone['from']} was left out")
    return [f"{name}: of two notebooks of {new} the newer counts: {kept['from']}"]


def _regrade(root: Path, name: str, old: str, new: str, keeps_old: bool) -> None:
    """The same in the gradebook: points that a person gave for one notebook stay where the other has none."""
    from nbgrader.api import Gradebook

    with warnings.catch_warnings(), Gradebook(gradebook.url(root / "grading")) as book:
        warnings.simplefilter("ignore")  # about nbgrader's own database
        first, second = (
            gradebook.submission(book, name, who) for who in ((old, new) if keeps_old else (new, old))
        )
        if first is None:
            first, second = second, None
        if first is None:
            return
        if second is not None:
            _keep_by_hand(second, first)
            book.remove_submission(name, second.student.id)
        first.student = book.update_or_create_student(new)
        book.db.commit()


def _keep_by_hand(gone: "SubmittedAssignment", kept: "SubmittedAssignment") -> None:
    """Take over the points and comments by hand that one submission has and the other lacks."""
    for kind, values in (("grades", ("manual_score", "extra_credit")), ("comments", ("manual_comment",))):
        before = {each.name: each for each in gradebook.parts(gone, kind)}
        for each in gradebook.parts(kept, kind):
            for value in values:
                if getattr(each, value) is None and each.name in before:
                    setattr(each, value, getattr(before[each.name], value))
