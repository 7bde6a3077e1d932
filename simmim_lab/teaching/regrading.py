"""Grade a class again, after a test was mended, beside what there is: the points that moved are seen first."""

import json
import shutil
from functools import partial
from pathlib import Path

from simmim_lab.common import replace_file
from simmim_lab.teaching import gradebook
from simmim_lab.teaching.course import nbgrader, read_records, write_records
from simmim_lab.teaching.grading import complaints, enter_tasks, graded, is_graded, to_grade


def regrade(root: Path, names: list[str], *, jobs: int = 1, isolated: bool = True) -> tuple[list[str], list[str]]:
    """Grade all that was collected for these sets (none named: all). Nothing is changed before `accept`.

    Returns a line for each task for which a student has other points than before, and one for each submission that
    needs attention. Points given by hand are kept.
    """
    records, work, odd = to_grade(root, names)
    nbgrader(root)  # it makes the gradebook
    there, here = root / "grading", _beside(root)
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    gradebook.copy(there / "gradebook.db", here / "gradebook.db")
    for name in dict(work):
        gradebook.forget(gradebook.url(here), name)
    enter_tasks(root, work, here)
    results: dict[str, dict[str, dict]] = {}
    for name, student, result in graded(root, work, jobs=jobs, isolated=isolated, folder=here):
        results.setdefault(name, {})[student] = result
        odd += complaints(name, student, result)
    known = {(name, student) for name, student in work if is_graded(records[name][student])}
    _keep_by_hand(root, known)
    moved = [line for name in results for line in _moved(root, name, {s for n, s in known if n == name})]
    _write(here / "results.json", {"results": results, "known": sorted(known)})
    return moved, odd


def accept(root: Path) -> None:
    """Put what `regrade` found in the place of what there was."""
    _beside(root).joinpath("accepted").touch()
    finish(root)


def finish(root: Path) -> None:
    """Go on with an `accept` that was interrupted; else do nothing."""
    there, here = root / "grading", _beside(root)
    if not (here / "accepted").exists():
        return
    told = json.loads((here / "results.json").read_text(encoding="utf-8"))
    _keep_by_hand(root, {tuple(key) for key in told["known"]})  # what was given meanwhile, too
    gradebook.copy(here / "gradebook.db", there / "gradebook.db")
    records = read_records(root)
    for name, students in told["results"].items():
        for student, result in students.items():
            new, old = (folder / "autograded" / student / name for folder in (here, there))
            if new.exists():
                shutil.rmtree(old, ignore_errors=True)
                old.parent.mkdir(parents=True, exist_ok=True)
                new.rename(old)
            if student in records.get(name, {}):
                records[name][student] |= result
    write_records(root, records)
    shutil.rmtree(here)


def _moved(root: Path, name: str, students: set[str]) -> list[str]:
    """The points that are others now, of the students that had some."""
    before, after = (gradebook.scores(gradebook.url(folder), name) for folder in (root / "grading", _beside(root)))
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    told = {key: [f"{points[key]:g}" if key in points else "none" for points in (before, after)] for key in keys}
    return [
        f"{student}, {name}, {task.removesuffix('-check')}: {told[student, task][0]} -> {told[student, task][1]}"
        for student, task in keys
        if student in students
    ]


def _keep_by_hand(root: Path, known: set[tuple[str, str]]) -> None:
    gradebook.keep_by_hand(gradebook.url(root / "grading"), gradebook.url(_beside(root)), known)


def _beside(root: Path) -> Path:
    return root / "grading" / "regraded"


def _write(path: Path, value: object) -> None:
    replace_file(path, partial(Path.write_text, data=json.dumps(value), encoding="utf-8"))
