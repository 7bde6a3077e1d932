"""The inbox: every file of it, looked into, and the sets that its notebooks answer."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm.auto import tqdm

from simmim_lab.teaching.collecting.archives import DAMAGED, Entry, Limit, entries, is_archive, why
from simmim_lab.teaching.collecting.looking import UNOPENED, copy_to, look_into
from simmim_lab.teaching.collecting.names import Owner, platform, telling

OTHERS = 3  # files in a folder that are no notebooks: more are not told of
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
SUBMITTERS = "submission_metadata.yml"  # Gradescope tells in it whose its folders are
PLATFORMS_OWN = {SUBMITTERS, "grades.csv", "timestamp.txt", "manifest.json", "index.html"}


@dataclass
class File:
    """A file of the inbox after a look into it.

    path: where it lies there. modified: seconds since 1970. found: see `look_into`. folder: of what was found.
    """

    path: PurePosixPath
    modified: float
    found: list[dict[str, Any]]
    folder: Path

    @property
    def archive(self) -> bool:
        return self.path.suffix.lower() in ARCHIVES or any(item["path"] for item in self.found)

    @property
    def sets(self) -> set[str]:
        """The sets that it answers."""
        return {name for item in self.found for name in item["answers"]}

    @property
    def other(self) -> bool:
        """Whether nobody would take it for a notebook."""
        return all(item.get("other") for item in self.found)


class Inbox:
    """A folder or an archive with submissions.

    submitters: whose its folders are, by their paths, where a platform tells it in a file of its own.
    problems: what could not be read at all.
    """

    def __init__(self, path: Path, tasks: dict[str, set[str]], staging: Path):
        """tasks: the names of the answers of each set. staging: a folder for what is found.

        Raises FileNotFoundError if there is no such inbox.
        """
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}: give the folder or archive with the submissions")
        self.path, self.tasks, self.staging = path.resolve(), tasks, staging
        self.submitters: dict[PurePosixPath, Owner] = {}
        self.problems: list[str] = []

    def files(self) -> Iterator[File]:
        """Every file of it, one after the other."""
        number, others = 0, Counter()
        for place, inside in self._places():
            try:
                paths = [entry.path for entry in entries(place)]
                full = {parent for path in paths for parent in path.parents}
                for entry in tqdm(entries(place), total=len(paths), desc="collecting", unit="file"):
                    if entry.path in full:  # archives list all folders, also those with something in them
                        continue
                    number += 1
                    if entry.path.name == SUBMITTERS:
                        self.submitters |= _submitters(entry, inside)
                    if entry.path.name in PLATFORMS_OWN:
                        continue
                    file = self._file(entry, inside, self.staging / str(number))
                    others[file.path.parent] += file.other
                    if not file.other or others[file.path.parent] <= OTHERS:
                        yield file
            except ValueError as error:
                self.problems.append(str(error))

    def _places(self) -> list[tuple[Path, PurePosixPath]]:
        """Where to look, and what goes before the paths there: the inbox, or a platform's archives in it.

        An archive in a folder is a student's, unless the folder holds nothing else, and it has nobody's name and
        several folders, or all that is in it bears names that a platform wrote, of several students.
        """
        if self.path.is_file():
            return [(self.path, PurePosixPath())]
        inside = [entry for entry in entries(self.path) if entry.path.name not in PLATFORMS_OWN]
        packed = [entry for entry in inside if len(entry.path.parts) == 1 and _is_packed(entry)]
        if not packed or len(packed) < len(inside):
            return [(self.path, PurePosixPath())]
        if len(packed) == 1 and not telling(packed[0].path.name, [*self.tasks], file=True):
            with suppress(ValueError):
                if len({entry.path.parent for entry in entries(packed[0].file) if entry.open}) > 1:
                    return [(packed[0].file, PurePosixPath())]
        if all(_is_platforms(entry.file) for entry in packed):
            alone = len(packed) == 1
            return [(entry.file, PurePosixPath() if alone else entry.path) for entry in packed]
        return [(self.path, PurePosixPath())]

    def _file(self, entry: Entry, inside: PurePosixPath, folder: Path) -> File:
        path, found = inside / entry.path, []
        try:
            if entry.open is None:
                path = path / "(nothing)"
                found = [{"path": "", "problem": "an empty folder", "other": True}]
            elif entry.file is not None and not _is_of_interest(entry):
                found = [{"path": "", "problem": "no notebook", "other": True}]
            else:
                found = self._look(entry, folder)
        except (Limit, *DAMAGED) as error:
            found = [{"path": "", "problem": why(error)}]
        for item in found:
            held = {*item.pop("ids", ()), *item.pop("functions", ())}
            exercise = item.get("kind") == "exercise"
            item["answers"] = _answers(held, self.tasks) if exercise else {}
        return File(path, entry.modified, found, folder)

    def _look(self, entry: Entry, folder: Path) -> list[dict[str, Any]]:
        folder.mkdir()
        if entry.file is not None:
            return look_into(entry.file, entry.path.name, folder)
        packed = folder / "packed"  # in the platform's archive
        try:
            with entry.open() as member, open(packed, "wb") as copy:
                copy_to(copy, member)
            return look_into(packed, entry.path.name, folder)
        finally:
            packed.unlink(missing_ok=True)


def named(path: PurePosixPath, sets: list[str]) -> str:
    """The set whose name stands in a path, in the last part that has one; "" if none does."""
    for part in reversed(path.parts):
        plain = re.sub(r"[\W_]+", "_", part.lower())
        if found := next((name for name in sets if name in plain), None):
            return found
    return ""


def _answers(held: set[str], tasks: dict[str, set[str]]) -> dict[str, int]:
    """How many answers a notebook with these names has: of the set of which it has most, and of all with half."""
    shared = {name: len(held & names) for name, names in tasks.items()}
    most = max(shared.values())
    return {
        name: count for name, count in shared.items() if count and (count == most or 2 * count >= len(tasks[name]))
    }


def _is_of_interest(entry: Entry) -> bool:
    """Whether a file may be a notebook or an archive; most others need no process to be told from these."""
    with entry.open() as file:
        head = file.read(4096)
        file.seek(-min(4096, file.seek(0, 2)), 2)
        ends = head + file.read(4096)
    magic = is_archive(head) or head.startswith(tuple(UNOPENED))
    return ".ipynb" in entry.path.name.lower() or magic or (b"{" in head[:8] and b'"cells"' in ends)


def _is_packed(entry: Entry) -> bool:
    if entry.file is None or not entry.file.is_file():
        return False
    with suppress(OSError), open(entry.file, "rb") as file:
        return is_archive(file.read(512))
    return False


def _is_platforms(archive: Path) -> bool:
    """Whether all that an archive holds bears names that a platform wrote, of several students."""
    keys = set()
    with suppress(ValueError):
        for entry in entries(archive):
            parts = entry.path.parts
            given = [platform(part, inside) for part, inside in zip(parts, (*parts[1:], ""), strict=True)]
            keys.add(next((owner.key for owner in given if owner is not None), None))
    return None not in keys and len(keys) > 1


def _submitters(entry: Entry, inside: PurePosixPath) -> dict[PurePosixPath, Owner]:
    """Gradescope's own table: {folder: {":submitters": [{":name", ":sid", ":email"}], ":created_at"}}."""
    import yaml

    owners = {}
    with suppress(yaml.YAMLError, *DAMAGED, TypeError, AttributeError), entry.open() as file:
        for folder, told in yaml.safe_load(file.read(10_000_000)).items():
            people = [person for person in told[":submitters"] if person.get(":name")]
            when = told.get(":created_at")
            owners[inside / entry.path.parent / folder] = Owner(
                ", ".join(person[":name"] for person in people),
                "_".join(str(person.get(":sid") or person.get(":email") or "") for person in people) or None,
                submitted=when.isoformat() if isinstance(when, datetime) else None,
            )
    return owners
