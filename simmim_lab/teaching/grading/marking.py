"""Grade a class with nbgrader: test every submission, and write feedback.

Whatever one submission does, the others are graded; what failed is recorded beside its points. What was
interrupted goes on where it stopped.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from simmim_lab.common import replace_file
from simmim_lab.teaching.collecting.reading import read
from simmim_lab.teaching.collecting.roll import Records, records_of
from simmim_lab.teaching.course import (
    exercise_sets,
    nbgrader,
    read_notebook,
    read_records,
    reason,
    released,
    submissions,
    write_records,
)
from simmim_lab.teaching.grading import gradebook
from simmim_lab.teaching.grading.batch import JobError, each

Key = tuple[str, str]  # exercise set, student
GRADING, FEEDBACK = 900.0, 120.0  # seconds for a submission; its own code has 600 of them
TESTS, PAGES = (
    ["nbgrader.apps", f"simmim_lab.teaching.{name}"] for name in ("grading.preprocessors", "reporting.pages")
)
UNUSABLE = set("[]*?")  # in the name of a student's folder: nbgrader would take it for a pattern


def grade(root: Path, names: list[str], *, jobs: int = 1, isolated: bool = True) -> tuple[int, list[str]]:
    """Grade what was collected for these sets (none named: all) and was not graded yet.

    jobs: how many at a time. isolated: False runs the students' code as an ordinary process.
    Returns how many were graded, and a line for each that needs attention.
    """
    records, found, odd = to_grade(root, names)
    work = [(name, student) for name, student in found if not is_graded(records[name][student])]
    enter(root, work)
    failed = []
    for name, student, result in graded(root, work, jobs=jobs, isolated=isolated):
        records[name][student] |= result
        write_records(root, records)
        failed += complaints(name, student, result)
    return len(work) - len(failed), odd + failed


def feedback(root: Path, names: list[str], *, jobs: int = 1) -> list[str]:
    """Write grading/feedback/STUDENT/SET/SET.html for all that was graded; a line for each that needs you."""
    records, found = read_records(root), submissions(root, names)
    work = [(name, student) for name, student in found if _graded_file(root / "grading", name, student).exists()]
    odd = [f"{student}, {name}: not graded yet" for name, student in found if (name, student) not in work]
    write = partial(_write_feedback, root)
    for (name, student), outcome in each(work, write, seconds=FEEDBACK, jobs=jobs, title="feedback", heavy=PAGES):
        if isinstance(outcome, JobError):
            odd.append(f"{student}, {name}: {outcome}")
        elif not is_graded(records.get(name, {}).get(student, {})):
            odd.append(f"{student}, {name}: the page shows what was graded last; run simmim-course grade")
    return odd


def to_grade(root: Path, names: list[str]) -> tuple[Records, list[Key], list[str]]:
    """The records of a class, what can be graded of these sets, and a line for each thing that is odd.

    What an instructor put into grading/submitted by hand gets a record, too.
    """
    records, odd = records_of(root)
    found = []
    for name, student in submissions(root, names):
        if UNUSABLE & set(student) or student != student.strip():
            odd.append(f"grading/submitted/{student}: left alone; give the folder a name without any of []*?")
        elif student in records.get(name, {}) or _admit(root, records, name, student, odd):
            found.append((name, student))
    write_records(root, records)
    return records, found, odd + _strangers(root)


def enter(root: Path, work: list[Key], folder: Path | None = None) -> None:
    """Tell the gradebook (of `folder`: another one) the students in question, and the tasks of their sets."""
    course = nbgrader(root, folder=folder).coursedir  # it makes the gradebook
    gradebook.enrol(course.db_url, course.course_id, {student for _, student in work})
    for name in dict(work):
        gradebook.enter(course.db_url, name, released(root, name, hidden_tests=True))


def graded(
    root: Path, work: list[Key], *, jobs: int, isolated: bool, folder: Path | None = None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Grade each (set, student), and yield what is to be recorded of it: its status, and remarks.

    What cannot be graded gets a notebook that says so, without points.
    """
    records = read_records(root)
    grade_each = partial(
        each, action=partial(_grade, root, folder, isolated), seconds=GRADING, jobs=jobs, heavy=TESTS
    )
    failed = {}
    for key, outcome in grade_each([(key, "") for key in work], title="grading"):
        (name, student), _ = key
        if isinstance(outcome, JobError):
            failed[name, student] = " ".join(str(outcome).split())
        else:
            status = "graded" if records[name][student]["readable"] else "unreadable"
            yield name, student, {"status": status, "remarks": outcome}
    for key, _ in grade_each(list(failed.items()), title="left out"):
        (name, student), why = key
        yield name, student, {"status": f"not graded: {why}", "remarks": []}


def is_graded(record: dict[str, Any]) -> bool:
    """Whether the points are those of what was collected last."""
    return record.get("status") in ("graded", "unreadable")


def complaints(name: str, student: str, result: dict[str, Any]) -> list[str]:
    """A line if a submission could not be graded."""
    return [] if is_graded(result) else [f"{student}, {name}: {result['status']}"]


def _grade(root: Path, folder: Path | None, isolated: bool, job: tuple[Key, str]) -> list[str]:
    """Grade one submission, in a process of its own; the second part of `job` says why it is left out."""
    (name, student), left_out = job
    api = nbgrader(root, folder=folder, isolated=isolated, left_out=left_out)
    _succeed(api.autograde(name, student, force=True, create=True))
    return read_notebook(_graded_file(folder or root / "grading", name, student)).metadata["remarks"]


def _write_feedback(root: Path, key: Key) -> None:
    _succeed(nbgrader(root).generate_feedback(*key, force=True))


def _succeed(outcome: dict[str, Any]) -> None:
    if not outcome["success"]:
        raise JobError(reason(outcome))


def _graded_file(folder: Path, name: str, student: str) -> Path:
    return folder / "autograded" / student / name / f"{name}.ipynb"


def _admit(root: Path, records: Records, name: str, student: str, odd: list[str]) -> bool:
    """Make a record of what was put into grading/submitted by hand; False if it cannot be read."""
    import nbformat

    path = root / "grading" / "submitted" / student / name / f"{name}.ipynb"
    try:
        notebook = nbformat.from_dict(read(path.read_bytes()))
    except ValueError as error:
        odd.append(f"{student}, {name}: put there by hand, and unreadable ({error}); left alone")
        return False
    replace_file(path, partial(nbformat.write, notebook))  # nbgrader reads fewer forms than `read`
    records.setdefault(name, {})[student] = {
        **{"from": str(path.relative_to(root)), "modified": path.stat().st_mtime, "readable": True},
        **{"status": "collected", "notes": ["put into grading/submitted by hand"], "name": student},
        **{"number": None, "submitted": None},
    }
    odd.append(f"{student}, {name}: it was put there by hand; graded as it lies there")
    return True


def _strangers(root: Path) -> list[str]:
    """A line for each thing in grading/submitted that is no submission."""
    folder, sets = root / "grading" / "submitted", exercise_sets(root)
    known = {folder / student / name for name, student in submissions(root, [])}
    students = [path for path in folder.iterdir() if path.is_dir()]
    found = [path for path in folder.iterdir() if not path.is_dir()]
    found += [path for student in students for path in student.iterdir() if path not in known]
    found += [path for place in known for path in place.iterdir() if path.name != f"{place.name}.ipynb"]
    told = f"expected STUDENT/SET/SET.ipynb with a set like {sets[0]}"
    return [f"{path.relative_to(root)}: left alone; {told}" for path in sorted(found) if path.name[0] != "."]
