"""Grade a class with nbgrader: run every submission, and write feedback.

Whatever one submission does, the others are graded: what failed is recorded beside its points.
"""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from simmim_lab.teaching.course import (
    nbgrader,
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
