"""The points of a class as tables that a spreadsheet can open, and that do nothing there."""

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.common import replace_file
from simmim_lab.teaching.course import nbgrader, read_notebook, read_records, submissions
from simmim_lab.teaching.grading import gradebook
from simmim_lab.teaching.reporting.late import Late

if TYPE_CHECKING:
    from nbgrader.api import Grade, Gradebook

Row = dict[str, str | float]
# A sign with which a spreadsheet begins a formula (the last four are full-width), at the start of a cell, or where
# one would start if it took another sign for the border of cells.
FORMULA = re.compile(r"((?:^|[;,|\t\r\n])[\s'\"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
HIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
LONGEST = 2_000  # characters of a cell
UNKNOWN = {
    "status": "no record",
    "notes": ["it lies in grading/submitted, but was not collected: collect it again"],
}


def export(root: Path, names: list[str], late: Late | None = None) -> tuple[list[Path], dict[str, list[Row]]]:
    """Write grading/grades/SET.csv with a row for each student of the class, and of several sets all.csv.

    Returns the files and the rows of each set. The status says whether the points are final: graded, written
    answers to grade, collected (not graded yet), not graded (and why), unreadable, missing, or no record. With a
    rule for late work its `penalty` is taken off the `score`; work of which the platform told no time is not late.
    """
    records, collected = read_records(root), set(submissions(root, []))
    names = list(dict(submissions(root, names)))
    with _gradebook(root) as book:
        rows = {name: _rows(book, records, name, collected, _questions(root, name), late) for name in names}
    folder = root / "grading" / "grades"
    paths = [write(folder / f"{name}.csv", rows[name]) for name in names]
    if len(names) > 1:
        paths.append(write(folder / "all.csv", _together(rows)))
    return paths, rows


def unrecorded(rows: dict[str, list[Row]]) -> list[str]:
    """A line for each submission that was not collected."""
    odd = [(row, name) for name, table in rows.items() for row in table if row["status"] == UNKNOWN["status"]]
    return [f"{row['student']}, {name}: {row['notes']}" for row, name in odd]


def untimed(rows: list[Row]) -> list[str]:
    """A line for each student who has points, and of whom the platform told no time."""
    return [f"{row['student']}: no time of submission; not late" for row in rows if row.get("late") == ""]


def write(path: Path, rows: list[Row]) -> Path:
    """A line for each row, in UTF-8 with a signature, without which spreadsheets read it as another encoding."""
    columns = list(dict.fromkeys(column for row in sorted(rows, key=len, reverse=True) for column in row))

    def lines(file: Path) -> None:
        with open(file, "w", newline="", encoding="utf-8-sig") as opened:
            writer = csv.writer(opened)
            writer.writerow(map(plain, columns))
            writer.writerows([plain(row.get(column, "")) for column in columns] for row in rows)

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lines)
    return path


def plain(value: str | float) -> str | float:
    """A cell that a spreadsheet shows and does not run: a quote stands before what would begin a formula."""
    if not isinstance(value, str) or re.fullmatch(r"-|-?\d+([.,]\d+)?", value):
        return value
    text = HIDDEN.sub("", value.encode("utf-8", "replace").decode())[:LONGEST]
    return FORMULA.sub(r"\1'", text)


def _gradebook(root: Path) -> "Gradebook":
    api = nbgrader(root)
    from nbgrader.api import Gradebook

    return Gradebook(api.coursedir.db_url)


def _questions(root: Path, name: str) -> list[str]:
    """The graded cells of a set, in the order of its notebook."""
    notebook = read_notebook(root / "solutions" / name / f"{name}.ipynb")
    marks = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    return [mark["grade_id"] for mark in marks if mark.get("grade")]


def _rows(
    book: "Gradebook",
    records: dict,
    name: str,
    collected: set[tuple[str, str]],
    questions: list[str],
    late: Late | None,
) -> list[Row]:
    """A row for each student of whom anything came in, for this set or another."""
    people = records.get("students", {})
    removed = {student for key in records.keys() - {"students"} for student in records[key]}
    rows = []
    for student in sorted({student for _, student in collected} | (people.keys() - removed)):
        record = {"name": student, "notes": [], **people.get(student, {}), "status": "missing"}
        if (name, student) in collected:
            record |= records.get(name, {}).get(student, UNKNOWN)
        known = _grades(book, name, student) if record["status"] not in ("collected", "missing") else {}
        rows.append(_row(student, record, [known[question] for question in questions if question in known], late))
    return rows


def _grades(book: "Gradebook", name: str, student: str) -> dict[str, "Grade"]:
    entry = gradebook.submission(book, name, student)
    return {grade.cell.name: grade for grade in gradebook.parts(entry, "grades")} if entry else {}


def _row(student: str, record: dict, grades: list["Grade"], late: Late | None) -> Row:
    waiting = record["status"] == "graded" and any(grade.needs_manual_grade for grade in grades)
    row: Row = {
        "name": record["name"] or student,
        "student": student,
        "status": "written answers to grade" if waiting else record["status"],
        "notes": "; ".join([*record["notes"], *record.get("remarks", [])]),
    }
    if not grades:
        return row
    score, most = sum(grade.score for grade in grades), sum(grade.max_score for grade in grades)
    row |= {"score": score, "max_score": most}
    row |= {grade.cell.name.removesuffix("-check"): grade.score for grade in grades}
    if late:
        time = record.get("submitted")
        penalty = late.penalty(time, score, most) if time else 0.0
        row |= {"late": late.told(time) if time else "", "penalty": penalty, "score": round(score - penalty, 2)}
    return row


def _together(rows: dict[str, list[Row]]) -> list[Row]:
    """A row for each student with the score of every set, and their sum."""
    scores: dict[str, Row] = {}
    for name, table in rows.items():
        for row in table:
            line = scores.setdefault(
                row["student"], {"name": row["name"], "student": row["student"], "score": 0.0}
            )
            line[name] = row.get("score", "")
            line["score"] += row.get("score", 0.0)
    return list(scores.values())
