"""The roll of a class: who is known under which names, and the records of what was handed in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from simmim_lab.common import replace_file
from simmim_lab.teaching.collecting.names import Owner, alike, folder_name
from simmim_lab.teaching.course import exercise_sets, read_records

NOBODY = "unknown"  # how the folders of those begin whose name nothing tells
NAMELESS = "the path does not tell whose it is"
Records = dict[str, dict[str, dict[str, Any]]]


def entry(name: str, number: str | None = None, place: str = "") -> dict[str, Any]:
    """What the roll tells of a student."""
    return {"name": name, "number": number, "place": place, "keys": [], "paths": [], "notes": []}


class Roll:
    """The students of a class, by the names of their folders.

    Of each: name, number and place as in `Owner`; keys: what names them in inboxes; paths: what of an inbox is
    theirs by the instructor's word; notes: what they handed in for no set.
    """

    def __init__(self, students: dict[str, dict[str, Any]]):
        self.students = students

    def student(self, owner: Owner, path: str, beside: set[str], handed_in: set[str]) -> str:
        """The student whose a file is, who is added if new.

        path: of the file in the inbox. beside: the keys of all owners there. handed_in: who has a notebook for the
        same sets.
        """
        student = self._by_path(path) or self._by_key(owner) or self._by_name(owner, beside, handed_in)
        if student is None:
            named = (f"{owner.name}_{owner.number}" if owner.number else owner.name) or NOBODY
            known = self.students.get(folder_name(named), {"keys": [""], "paths": []})
            # One without keys was put into grading/submitted by hand, or before there was a roll.
            student = folder_name(named, self.students if known["keys"] or known["paths"] else ())
            self.students[student] = entry(owner.name, owner.number, owner.place)
        keys = self.students[student]["keys"]
        keys += [] if owner.key in keys else [owner.key]
        return student

    def _by_path(self, path: str) -> str | None:
        given = [
            (len(start), student)
            for student, told in self.students.items()
            for start in told["paths"]
            if f"{path}/".startswith(f"{start}/")
        ]
        return max(given)[1] if given else None

    def _by_key(self, owner: Owner) -> str | None:
        return next((student for student, told in self.students.items() if owner.key in told["keys"]), None)

    def _by_name(self, owner: Owner, beside: set[str], handed_in: set[str]) -> str | None:
        """The only one of this name, if nothing speaks against it.

        Moodle numbers everybody anew for each assignment, a class may come in sections in one week and without in
        the next, and accents are stored in two ways.
        """
        found = [
            student
            for student, told in self.students.items()
            if owner.name
            and alike(owner.name, told["name"])
            and (owner.number == told["number"] or (owner.fleeting and student not in handed_in))
            and (owner.place == told["place"] or not (owner.place and told["place"]))
            and not beside & set(told["keys"])
        ]
        return found[0] if len(found) == 1 else None


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep other commands from the records of a class; ValueError if one is at work."""
    (root / "grading").mkdir(exist_ok=True)
    lock = FileLock(root / "grading" / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(f"another simmim-course is at work in {root / 'grading'}: wait for its end") from error
    try:
        yield
    finally:
        lock.release()


def age(record: dict[str, Any]) -> tuple[bool, str, int, float]:
    """Larger for what counts: what can be read, then the newer one, by what the platform wrote."""
    return record["readable"], record.get("submitted") or "", record.get("attempt", 0), record["modified"]


def records_of(root: Path) -> tuple[Records, list[str]]:
    """The records of a class, and lines if they were damaged or lost.

    Then they are made anew from the notebooks in grading/submitted, as far as these tell.
    """
    lines = []
    try:
        records = read_records(root)
    except ValueError:
        path = root / "grading" / "collected.json"
        kept = path.replace(path.with_suffix(".damaged.json"))
        lines.append(f"{path} was damaged: it is kept as {kept.name}, and made anew")
        records = {}
    students, lost = records.setdefault("students", {}), 0
    for name in exercise_sets(root):
        for path in sorted((root / "grading" / "submitted").glob(f"*/{name}/{name}.ipynb")):
            student = path.parts[-3]
            if student not in records.get(name, {}) and (told := collected(path)):
                records.setdefault(name, {})[student] = told["record"] | {"status": "collected"}
                students.setdefault(student, told["student"])
                lost += 1
        for student in records.get(name, {}):
            students.setdefault(student, entry(student))
    if lost:
        lines.append(f"the records of {lost} notebooks were lost and are made anew: grade these notebooks again")
    return records, lines


def note_down(path: Path, record: dict[str, Any], told: dict[str, Any], cells: list | None = None) -> None:
    """Write a collected notebook (without `cells` keep those that are there), with what its record is made of."""
    if cells is None:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    metadata = {"collected": {"record": record, "student": told}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(notebook, ensure_ascii=False, indent=1)
    replace_file(path, partial(Path.write_text, data=text, encoding="utf-8"))


def collected(path: Path) -> dict[str, Any] | None:
    """What `collect` wrote into the metadata of a notebook; None if nothing."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(path.read_text(encoding="utf-8"))["metadata"]["collected"]
        return told if {"record", "student"} <= told.keys() else None
    return None
