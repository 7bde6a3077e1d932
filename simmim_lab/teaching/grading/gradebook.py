"""nbgrader's gradebook, a file of SQLite: made whole, told the tasks, read, and copied with the points by hand."""

import os
import sqlite3
import sys
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.common import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode
    from nbgrader.api import Comment, Grade, Gradebook, SubmittedAssignment

Scores = dict[tuple[str, str], float]  # of students, by the names of the graded cells


def url(folder: Path) -> str:
    """The address of the gradebook in a folder; several processes may write into it, one after the other."""
    return f"sqlite:///{folder / 'gradebook.db'}?timeout=60"


def check(folder: Path) -> None:
    """Make the gradebook of a folder, whole or not at all; ValueError if it is damaged."""
    from nbgrader.api import Gradebook

    path = folder / "gradebook.db"
    programs = os.path.dirname(sys.executable)
    if programs not in os.environ["PATH"].split(os.pathsep):  # nbgrader starts its `alembic` by name
        os.environ["PATH"] = programs + os.pathsep + os.environ["PATH"]
    if not path.exists():
        replace_file(path, lambda file: Gradebook(f"sqlite:///{file}").close())
    try:
        with closing(sqlite3.connect(path)) as database:
            version = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError:
        version = None
    if version is None:
        raise ValueError(f"{path} is damaged: restore it from your copy, or move it away and run grade --all")


def copy(source: Path, target: Path) -> None:
    """Make the gradebook of a folder what that of another is, in one step, also for those who have it open."""
    files = (folder / "gradebook.db" for folder in (source, target))
    old, new = (closing(sqlite3.connect(file, timeout=60)) for file in files)
    with old as old_database, new as new_database:
        old_database.backup(new_database)


def enrol(address: str, course: str, students: set[str]) -> None:
    """Tell a gradebook its course and its students: of several processes that do so at once, one would fail."""
    from nbgrader.api import Gradebook

    with Gradebook(address, course) as gradebook:
        for student in sorted(students):
            gradebook.update_or_create_student(student)


def enter(address: str, name: str, notebook: "NotebookNode") -> None:
    """Tell a gradebook the tasks of a set and their points; ValueError if it has graded others."""
    from nbgrader.api import Gradebook
    from nbgrader.preprocessors import SaveCells

    with Gradebook(address) as gradebook:
        gradebook.update_or_create_assignment(name)
    try:
        SaveCells().preprocess(notebook, {"nbgrader": {"notebook": name, "assignment": name, "db_url": address}})
    except RuntimeError as error:
        raise ValueError(
            f"tasks of {name} were added or removed after it was graded: run simmim-course grade --all {name}, "
            "which grades it anew and keeps the points that you gave by hand"
        ) from error


def forget(address: str, name: str) -> None:
    """Remove a set, with all that was handed in for it."""
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(address) as gradebook, suppress(MissingEntry):
        for student in [submission.student.id for submission in gradebook.assignment_submissions(name)]:
            gradebook.remove_submission(name, student)
        gradebook.remove_assignment(name)


def scores(address: str, name: str) -> Scores:
    """The points of all students for the tasks of a set."""
    from nbgrader.api import Gradebook

    with Gradebook(address) as gradebook:
        return {
            (grade.student.id, grade.name): grade.score
            for submission in gradebook.assignment_submissions(name)
            for grade in parts(submission, "grades")
        }


def take_over(source: Path, target: Path) -> None:
    """Add the sets in the gradebook of a folder, with all points, to that of another, which must not have them."""
    with closing(sqlite3.connect(target / "gradebook.db", timeout=60)) as database:
        database.execute("ATTACH ? AS other", [str(source / "gradebook.db")])
        tables = [
            name for (name,) in database.execute("SELECT name FROM other.sqlite_master WHERE type = 'table'")
        ]
        with database:
            for table in set(tables) - {"alembic_version"}:
                names = ", ".join(row[1] for row in database.execute(f"PRAGMA other.table_info({table})"))
                database.execute(f"INSERT OR IGNORE INTO {table} ({names}) SELECT {names} FROM other.{table}")


def keep_by_hand(source: str, target: str, same: set[tuple[str, str]]) -> None:
    """Take over what a person gave in the gradebook `source`: points, extra points and comments.

    same: each (set, student) whose answers are the same; at those of others a person has to look again.
    """
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(source) as old, Gradebook(target) as new:
        for submission in [one for assignment in old.assignments for one in assignment.submissions]:
            name, student = submission.assignment.name, submission.student.id
            for grade in parts(submission, "grades"):
                if grade.manual_score is not None or grade.extra_credit is not None:
                    with suppress(MissingEntry):
                        kept = new.find_grade(grade.name, name, name, student)
                        kept.manual_score, kept.extra_credit = grade.manual_score, grade.extra_credit
                        kept.needs_manual_grade = grade.needs_manual_grade or (name, student) not in same
            for comment in parts(submission, "comments"):
                if comment.manual_comment is not None:
                    with suppress(MissingEntry):
                        kept = new.find_comment(comment.name, name, name, student)
                        kept.manual_comment = comment.manual_comment
        new.db.commit()


def submission(gradebook: "Gradebook", name: str, student: str) -> "SubmittedAssignment | None":
    """What a student handed in for a set, if it was graded."""
    from nbgrader.api import MissingEntry

    try:
        return gradebook.find_submission(name, student)
    except MissingEntry:
        return None


def parts(submission: "SubmittedAssignment", kind: str) -> "Iterator[Grade | Comment]":
    """The `grades` or the `comments` of what a student handed in."""
    return chain.from_iterable(getattr(notebook, kind) for notebook in submission.notebooks)
