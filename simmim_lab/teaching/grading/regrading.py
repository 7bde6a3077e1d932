"""Grade a class again, after a test was mended, beside what there is: the points that moved are seen first."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from simmim_lab.common import replace_file
from simmim_lab.teaching.course import nbgrader, read_records, write_records
from simmim_lab.teaching.grading import gradebook
from simmim_lab.teaching.grading.marking import Key, complaints, enter, graded, is_graded, to_grade

PACKAGE = Path(__file__).parents[2]


def regrade(root: Path, names: list[str], *, jobs: int = 1, isolated: bool = True) -> tuple[list[str], list[str]]:
    """Grade all that was collected for these sets (none named: all). Nothing is changed before `accept`.

    Returns a line for each task for which a student has other points than before, and one for each submission that
    needs attention. Points given by hand are kept. What was found is kept, too, until a test or a submission
    changes: so the points that are written are those that were listed, and an interrupted run goes on.
    """
    records, work, odd = to_grade(root, names)
    here = _beside(root)
    state = _fingerprint(root, work)
    found = _read(here)
    if found.get("state") != state:
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        found = {"state": state, "results": {}}
    nbgrader(root)  # it makes the gradebook
    enter(root, work, here)
    known = {(name, student) for name, student in work if is_graded(records[name][student])}
    results: dict[str, dict[str, dict[str, Any]]] = found["results"]
    left = [(name, student) for name, student in work if not is_graded(results.get(name, {}).get(student, {}))]
    for name, student, result in graded(root, left, jobs=jobs, isolated=isolated, folder=here):
        results.setdefault(name, {})[student] = result
        _write(here, found | {"known": sorted(known)})
    odd += [line for name, student in work for line in complaints(name, student, results[name][student])]
    gradebook.keep_by_hand(gradebook.url(root / "grading"), gradebook.url(here), known)
    return [line for name in results for line in _moved(root, name, known)], odd


def accept(root: Path) -> None:
    """Put what `regrade` found in the place of what there was."""
    _beside(root).joinpath("accepted").touch()
    finish(root)


def finish(root: Path) -> None:
    """Go on with an `accept` that was interrupted; else do nothing."""
    there, here = root / "grading", _beside(root)
    if not (here / "accepted").exists():
        return
    found, new = _read(here), here / "new"
    new.mkdir(exist_ok=True)
    gradebook.copy(there, new)
    for name in found["results"]:
        gradebook.forget(gradebook.url(new), name)
    gradebook.take_over(here, new)
    gradebook.keep_by_hand(gradebook.url(there), gradebook.url(new), {tuple(key) for key in found["known"]})
    gradebook.copy(new, there)
    records = read_records(root)
    for name, students in found["results"].items():
        for student, result in students.items():
            graded, old = (folder / "autograded" / student / name for folder in (here, there))
            if graded.exists():
                shutil.rmtree(old, ignore_errors=True)
                old.parent.mkdir(parents=True, exist_ok=True)
                graded.rename(old)
            if student in records.get(name, {}):
                records[name][student] |= result
    write_records(root, records)
    shutil.rmtree(here)


def _moved(root: Path, name: str, known: set[Key]) -> list[str]:
    """The points that are others now, of the students that had some."""
    before, after = (gradebook.scores(gradebook.url(folder), name) for folder in (root / "grading", _beside(root)))
    lines = []
    for student, task in sorted(before.keys() | after.keys()):
        old, new = (
            f"{points[student, task]:g}" if (student, task) in points else "none" for points in (before, after)
        )
        if (name, student) in known and old != new:
            lines.append(f"{student}, {name}, {task.removesuffix('-check')}: {old} -> {new}")
    return lines


def _fingerprint(root: Path, work: list[Key]) -> str:
    """What the points depend on: the submissions, the instructor's notebooks, and the course's own code."""
    files = [root / "grading" / "submitted" / student / name / f"{name}.ipynb" for name, student in work]
    files += [root / "solutions" / name / f"{name}.ipynb" for name in dict(work)]
    digest = hashlib.sha256(json.dumps(work).encode())
    for file in (*files, *sorted(PACKAGE.rglob("*.py"))):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _beside(root: Path) -> Path:
    return root / "grading" / "regraded"


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(folder: Path, found: dict[str, Any]) -> None:
    replace_file(folder / "results.json", partial(Path.write_text, data=json.dumps(found), encoding="utf-8"))
