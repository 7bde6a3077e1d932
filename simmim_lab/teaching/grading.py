"""Grade a class with nbgrader: run every submission, write feedback, and export the points.

Whatever one submission does, the others are graded: what failed is recorded beside its points.
"""

import csv
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from simmim_lab.common import replace_file
from simmim_lab.teaching.course import (
    nbgrader,
    read_notebook,
    read_records,
    reason,
    record_of,
    release,
    submissions,
    write_records,
)


def grade(root: Path, names: list[str], again: bool = False) -> tuple[int, list[str]]:
    """Run the checks on what was collected for these sets (none named: all) and not graded yet, or `again` on all.

    Returns how many notebooks were graded, and a line for each that could not be.
    """
    records = read_records(root)
    work = [
        (name, student)
        for name, student in submissions(root, names)
        if record_of(records, name, student)["status"] not in ("graded", "unreadable") or again
    ]
    for name in dict(work):  # the gradebook learns the hidden tests from solutions/
        release(root, name)
    api = nbgrader(root)
    failed = _each(root, work, "grading", partial(api.autograde, force=True, create=True), graded=True)
    return len(work) - len(failed), failed


def feedback(root: Path, names: list[str]) -> list[str]:
    """Write grading/feedback/STUDENT/SET/SET.html for all that was graded; a line for each failure."""
    records, work = read_records(root), submissions(root, names)
    graded = [pair for pair in work if record_of(records, *pair)["status"] in ("graded", "unreadable")]
    failed = _each(root, graded, "feedback", partial(nbgrader(root).generate_feedback, force=True))
    return failed + [
        f"{student}, {name}: not graded yet" for name, student in work if (name, student) not in graded
    ]


def export(root: Path, names: list[str]) -> list[Path]:
    """Write grading/grades/SET.csv with a row for every student and a column for every question.

    The status says whether the points are final: graded, written answers to grade, collected (not graded yet), not
    graded (and why), unreadable, or missing (not in this set, but in another).
    """
    from nbgrader.api import Gradebook, MissingEntry

    records, paths, collected = read_records(root), [], submissions(root, names)
    students = sorted({student for _, student in submissions(root, [])})
    with Gradebook(nbgrader(root).coursedir.db_url) as gradebook:
        for name in dict(collected):
            order, rows = _questions(root, name), []
            for student in students:
                here = (name, student) in collected
                record = record_of(records, name, student) if here else {"status": "missing", "notes": []}
                try:
                    entry = gradebook.find_submission(name, student)
                except MissingEntry:
                    entry = None
                rows.append(_row(student, record, entry, order))
            paths.append(_write_csv(root / "grading" / "grades" / f"{name}.csv", rows))
    return paths


def _each(
    root: Path, work: list[tuple[str, str]], title: str, action: Callable, graded: bool = False
) -> list[str]:
    """Do something for each (set, student); return a line for each failure, and record it if it is the grading."""
    records, failed = read_records(root), []
    for name, student in tqdm(work, desc=title, unit="notebook"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about nbgrader's own database
            outcome = action(name, student)
        if not outcome["success"]:
            failed.append(f"{student}, {name}: {reason(outcome)}")
        if graded:
            done = "graded" if records[name][student]["readable"] else "unreadable"
            records[name][student]["status"] = done if outcome["success"] else f"not graded: {reason(outcome)}"
            write_records(root, records)
    return failed


def _questions(root: Path, name: str) -> list[str]:
    """The graded cells of a set, in the order of its notebook."""
    notebook = read_notebook(root / "exercises" / name / f"{name}.ipynb")
    marks = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    return [mark["grade_id"] for mark in marks if mark.get("grade")]


def _row(student: str, record: dict, entry, order: list[str]) -> dict:
    status, grades = record["status"], []
    if entry is not None and status not in ("collected", "missing"):
        found = {grade.cell.name: grade for notebook in entry.notebooks for grade in notebook.grades}
        grades = [found[name] for name in order if name in found]
        if status == "graded" and any(grade.needs_manual_grade for grade in grades):
            status = "written answers to grade"
    points = {grade.cell.name.removesuffix("-check"): grade.score for grade in grades}
    total = (
        {"score": sum(points.values()), "max_score": sum(grade.max_score for grade in grades)} if grades else {}
    )
    return {"student": student, "status": status, "notes": "; ".join(record["notes"]), **total, **points}


def _write_csv(path: Path, rows: list[dict]) -> Path:
    """A row for each dict. A text that a spreadsheet would run as a formula is quoted."""
    columns = list(dict.fromkeys(column for row in sorted(rows, key=len, reverse=True) for column in row))

    def write(file: Path) -> None:
        with open(file, "w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, columns, restval="")
            writer.writeheader()
            writer.writerows(
                {
                    key: f"'{text}" if str(text).startswith(("=", "+", "-", "@")) else text
                    for key, text in row.items()
                }
                for row in rows
            )

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, write)
    return path
