"""Collect: from what a learning platform hands out to one sound notebook per student and exercise set.

The inbox may hold folders, zip files and renamed notebooks in any depth. The cells of a notebook tell which set it
answers, and its path tells whose it is. Nothing in it is trusted: links are not followed, archives are read in
memory, and of a notebook only the text of its cells is taken.
"""

import dataclasses
import io
import re
import time
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from simmim_lab.common import replace_file
from simmim_lab.teaching.course import exercise_sets, read_records, write_records
from simmim_lab.teaching.graft import grade_id, graft, is_answer, names_in

if TYPE_CHECKING:
    from nbformat import NotebookNode

LARGEST = 50_000_000  # bytes of a notebook
MEMBERS, UNPACKED = 10_000, 1_000_000_000  # files in an archive, and their bytes
UNKNOWN = "unknown"  # the student whose name the path does not tell
# What zipfile and the dates in an archive can raise, if it is damaged or encrypted.
DAMAGED = (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OverflowError)
IGNORED = {"__MACOSX", ".ipynb_checkpoints"}


@dataclasses.dataclass(frozen=True)
class File:
    """A notebook in the inbox: its path there (an archive counts as a folder), its age and its bytes."""

    path: PurePosixPath
    modified: float
    content: bytes


def collect(root: Path, inbox: Path) -> list[str]:
    """Put every submission of `inbox` into its place in the course in folder `root`.

    Returns a line for all that was odd. Of several submissions of one student the newest readable one counts, also
    over several calls. Where none can be read, the untouched students' version earns no points.
    Raises FileNotFoundError if there is no such folder or archive, or no notebook in it.
    """
    if not inbox.exists():
        raise FileNotFoundError(f"there is no {inbox}: give the folder or zip file with the submissions")
    files = list(_files(inbox.resolve()))
    if not files:
        raise FileNotFoundError(f"there is no notebook (.ipynb) in {inbox}")

    released = {
        name: _read((root / f"exercises/{name}/{name}.ipynb").read_bytes()) for name in exercise_sets(root)
    }
    records, odd = read_records(root), []
    files = sorted(_without_wrapper(files, list(released)), key=lambda file: (file.modified, file.path))
    for file in tqdm(files, desc="collecting", unit="file"):
        student, notes = student_of(file.path, list(released)), []
        try:
            submitted = _read(file.content)
            name = set_of(submitted, released) or _named(file.path, released)
        except Exception as error:  # a damaged file can raise anything
            submitted, name = None, _named(file.path, released)
            notes.append(f"unreadable ({type(error).__name__}): it counts as not answered")
        if submitted is not None and _is_capstone(submitted):
            odd.append(f"{file.path}: a capstone, which is graded by hand; left out")
            continue
        if name is None:
            odd.append(f"{file.path}: {'unreadable' if notes else 'no exercise set has these cells'}; left out")
            continue
        place = root / "grading" / "submitted" / student / name / f"{name}.ipynb"
        earlier = records.get(name, {}).get(student) if place.exists() else None
        if earlier and (earlier["from"], earlier["modified"]) == (str(file.path), file.modified):
            continue
        if earlier and earlier["readable"] and (submitted is None or file.modified < earlier["modified"]):
            odd.append(f"{file.path}: {'older' if submitted else 'unreadable'}; {earlier['from']} counts")
            continue
        answered = released[name]
        if submitted is not None:
            answered, notes = graft(answered, submitted)
        if earlier:
            notes.append(f"the newest of several: {earlier['from']} was left out")
        if student == UNKNOWN:
            notes.append("the path does not tell whose it is: put it into a folder with the student's name")
        _write(place, answered)
        records.setdefault(name, {})[student] = {
            "from": str(file.path),
            "modified": file.modified,
            "readable": submitted is not None,
            "status": "collected",
            "notes": notes,
        }
        odd += [f"{file.path}: {note}" for note in notes]
    write_records(root, records)
    return odd


def student_of(path: PurePosixPath, names: list[str]) -> str:
    """Whose submission this is: the first part of its path that says more than which set it is.

    Moodle names folders "Jane Doe_123_assignsubmission_file", Canvas names files "doejane_123_456_file.ipynb".
    """
    for part in path.parts:
        if platform := re.match(r"(.+?_\d+)_assignsubmission_|([^_]+_(?:LATE_)?\d+)_\d+_", part):
            return re.sub(r"[^\w.-]+", "_", (platform[1] or platform[2]).replace("LATE_", ""))[:80]
    for part in path.parts:
        part = re.sub(r"\.(ipynb|zip)$", "", part, flags=re.IGNORECASE)
        for word in [*names, "assignsubmission", "submissions", "submission", "onlinetext", "file", "LATE"]:
            part = re.sub(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])|(?<=_){word}(?=_|$)", " ", part, flags=re.I)
        part = re.sub(r"[^\w.-]+", "_", part).strip("_.-")
        if part and not re.fullmatch(r"(copy)?\d*", part, flags=re.IGNORECASE):
            return part[:80]
    return UNKNOWN


def set_of(notebook: "NotebookNode", released: dict[str, "NotebookNode"]) -> str | None:
    """The exercise set whose answers stand in the notebook, or None."""

    held = {name for cell in notebook.cells for name in names_in(cell)}

    def shared(name: str) -> int:
        return len(held & {grade_id(cell) for cell in released[name].cells if is_answer(cell)})

    best = max(released, key=shared)
    return best if shared(best) else None


def _is_capstone(notebook: "NotebookNode") -> bool:
    """Whether it was made from the template of the capstone, in which a cell may define the function of a task."""
    tags = [cell.metadata.get("tags") for cell in notebook.cells]
    return any(isinstance(names, list) and "yours" in names for names in tags)


def _named(path: PurePosixPath, names: Iterable[str]) -> str | None:
    """The exercise set whose name stands in the path."""
    return next((name for name in names if name.lower() in str(path).lower()), None)


def _files(inbox: Path) -> Iterator[File]:
    """All notebooks in a folder or an archive."""
    paths = sorted(inbox.rglob("*")) if inbox.is_dir() else [inbox]
    for path in paths:
        inside = path.relative_to(inbox) if inbox.is_dir() else Path(path.name)
        links = [inbox / parent for parent in (inside, *inside.parents) if (inbox / parent).is_symlink()]
        wanted = path.suffix.lower() in (".ipynb", ".zip") and not IGNORED & set(inside.parts)
        if not wanted or links or not path.is_file():
            continue
        limit = UNPACKED if path.suffix.lower() == ".zip" else LARGEST
        content = path.read_bytes() if path.stat().st_size <= limit else b""
        name = inside.as_posix() if inbox.is_dir() else "submissions.zip"  # whatever its name is: not a student's
        yield from _open(PurePosixPath(name), path.stat().st_mtime, content)


def _open(path: PurePosixPath, modified: float, content: bytes, depth: int = 0) -> Iterator[File]:
    """The notebook itself, or the notebooks in an archive; archives in archives to a depth of two."""
    if path.suffix.lower() != ".zip":
        yield File(path, modified, content)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS or sum(member.file_size for member in members) > UNPACKED:
                raise zipfile.BadZipFile("it unpacks to too much")
            for member in members:
                name = PurePosixPath(member.filename.replace("\\", "/"))
                wanted = name.suffix.lower() in (".ipynb", ".zip") and not IGNORED & set(name.parts)
                if not wanted or member.is_dir() or member.file_size > LARGEST or depth == 2:
                    continue
                when = time.mktime((*member.date_time, 0, 0, -1))
                yield from _open(path.with_suffix("") / name, when, archive.read(member), depth + 1)
    except DAMAGED:
        yield File(path, modified, b"")


def _without_wrapper(files: list[File], names: list[str]) -> list[File]:
    """Without the folders that the notebooks of several students lie in: so that most students are told apart."""

    def students(files: list[File]) -> int:
        found = {student_of(file.path, names) for file in files}
        return 0 if UNKNOWN in found else len(found)

    levels = zip(*(file.path.parts[:-1] for file in files), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    strip = [
        [dataclasses.replace(file, path=PurePosixPath(*file.path.parts[depth:])) for file in files]
        for depth in range(shared + 1)
    ]
    return max(strip, key=students)  # the first of equals: the folder may be that of the only student


def _read(content: bytes) -> "NotebookNode":
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about cells that were copied
        notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
    return nbformat.from_dict(
        {**notebook, "cells": [cell for cell in notebook.cells if isinstance(cell.source, str)]}
    )


def _write(path: Path, notebook: "NotebookNode") -> None:
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, partial(nbformat.write, notebook))
