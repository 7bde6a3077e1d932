"""Whose each file of an inbox is: its folders and names are looked at together.

A folder is a student's, unless it is a section: it is called so, or several folders in it answer the same set.
What lies inside a student's own folder or archive never tells whose it is.
"""

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from simmim_lab.teaching.collecting.names import ATTEMPT, BLACKBOARD, NUMBERED, SECTION, Owner, platform, telling


@dataclass(frozen=True)
class Leaf:
    """A file of the inbox: its path there, the sets that it answers, whether it is an archive, or no notebook."""

    path: PurePosixPath
    sets: frozenset[str] = frozenset()
    archive: bool = False
    other: bool = False


@dataclass
class _Folder:
    """A folder whose name tells something, and what lies below it: folders that tell something, and files."""

    name: str = ""
    owner: Owner | None = None  # what a platform wrote
    folders: dict[str, "_Folder"] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)

    @property
    def usable(self) -> list[Leaf]:
        """The files in it that may be notebooks, or hold some."""
        return [leaf for leaf in self.leaves if not leaf.other]

    def all(self) -> Iterator[Leaf]:
        yield from self.leaves
        for folder in self.folders.values():
            yield from folder.all()


def owners(
    leaves: list[Leaf], sets: list[str], submitters: dict[PurePosixPath, Owner]
) -> dict[PurePosixPath, Owner]:
    """Whose each file is, by its path. submitters: whose a folder is, if the platform tells it in a file."""
    top, found = _Folder(), {}
    usernames = _usernames(leaves, sets)
    for leaf in leaves:
        _file_into(top, leaf, sets, submitters, usernames)
    _resolve(top, "", sets, found)
    return found


def _file_into(
    top: _Folder, leaf: Leaf, sets: list[str], submitters: dict[PurePosixPath, Owner], usernames: dict[str, str]
) -> None:
    """Put a file where it belongs in the tree of telling folders."""
    folder, before = top, ""
    for depth, part in enumerate(parts := leaf.path.parts, start=1):
        inside = parts[depth] if depth < len(parts) else ""
        owner = submitters.get(PurePosixPath(*parts[:depth])) or platform(part, inside) or _classroom(part, before)
        if owner is not None and (name := usernames.get(owner.name, owner.name)):
            owner = dataclasses.replace(owner, name=name)
            folder = folder.folders.setdefault(f"{owner.key}\0", _Folder(name, owner))
            # Each attempt has its own date, so the file keeps what its own path says.
            folder = folder.folders.setdefault(part, _Folder(name, owner))
            break
        numbered = (
            folder is top and NUMBERED.fullmatch(part) and not any(name.startswith(f"{part}_") for name in sets)
        )
        if inside and (name := telling(part, sets) or (part if numbered else "")):
            folder = folder.folders.setdefault(name, _Folder(name))
        before = part
    folder.leaves.append(leaf)


def _classroom(part: str, before: str) -> Owner | None:
    """Whose a folder of GitHub Classroom is: masking-submissions/masking-jdoe, whatever word the login is."""
    task = before.removesuffix("-submissions")
    login = part.removeprefix(f"{task}-")
    return Owner(login) if task != before and login not in ("", part) else None


def _resolve(folder: _Folder, place: str, sets: list[str], found: dict[PurePosixPath, Owner]) -> None:
    """Write the owners of all files below a folder that is no student's."""
    sections = _sections(folder, sets)
    for name, inner in folder.folders.items():
        if inner.owner is not None:
            for attempt in inner.folders.values():
                found |= {leaf.path: attempt.owner for leaf in attempt.all()}
        elif name in sections:
            several = len(sections) > 1
            _resolve(inner, f"{place}/{name}".lstrip("/") if several else place, sets, found)
        else:
            found |= {leaf.path: Owner(name, place=place, attempt=_version(leaf)) for leaf in inner.all()}
    names = {leaf: telling(leaf.path.name, sets, file=True) for leaf in folder.leaves}
    for leaf, name in names.items():
        if not name or (leaf.other and not leaf.sets):  # "readme.txt" is no student, "ann_01_masking.py" is
            found[leaf.path] = Owner("", place=str(leaf.path))
        else:
            own = _is_in_own_folder(leaf, names)
            found[leaf.path] = Owner(name, place=str(leaf.path.parent) if own else place)


def _is_in_own_folder(leaf: Leaf, names: dict[Leaf, str]) -> bool:
    """Whether its name is told apart by folders that tell nothing: "my/a.ipynb" and "new/a.ipynb" are of two."""
    same = [other for other in names if names[other] == names[leaf] and other.sets & leaf.sets]
    folders = {other.path.parent for other in same}
    return len(folders) > 1 and not all(ATTEMPT.match(folder.name) for folder in folders)


def _sections(folder: _Folder, sets: list[str]) -> set[str]:
    """The folders in `folder` that hold those of several students."""
    inner = {name: within for name, within in folder.folders.items() if within.owner is None}
    called = {
        name
        for name, within in inner.items()
        if (SECTION.match(name) and _is_shared(within, sets))
        or (re.fullmatch(r"\d{1,2}", name) and (within.folders or _compete(within, sets, True)))
    }
    lone = not folder.name and len(folder.folders) == 1 and not folder.usable
    students = [name for name in inner if _notebooks(inner[name]) and name not in called]
    packed = {name for name, within in inner.items() if _is_of_platform(_branch(within))}
    if packed.issuperset(name for name in inner if _is_of_use(inner[name]) and name not in called):
        called |= set() if _notebooks(folder) else packed
    seen = {
        name
        for name, within in inner.items()
        if not set(students) - {name}
        and (lone or not _notebooks(_branch(within)))
        and _compete(_branch(within), sets, lone)
    }
    if seen:
        seen |= {name for name in inner if not inner[name].usable and len(inner[name].folders) == 1}
    names = [part for name in seen for part in inner[name].folders]
    if len(set(names)) < 0.75 * len(names):  # "monday" in each of them: the parts of a student's work
        seen = set()
    return called | seen


def _is_of_platform(folder: _Folder) -> bool:
    """Whether a platform named all that lies in a folder."""
    return bool(folder.folders) and not folder.usable and all(part.owner for part in folder.folders.values())


def _is_of_use(folder: _Folder) -> bool:
    return any(not leaf.other for leaf in folder.all())


def _version(leaf: Leaf) -> int:
    """Teams keeps each attempt in a folder "Version 2"."""
    return next(
        (int(found[1]) for part in leaf.path.parts if (found := re.fullmatch(r"Version (\d{1,9})", part))), 0
    )


def _is_shared(folder: _Folder, sets: list[str]) -> bool:
    """Whether what lies in a folder has names of its own, or is nothing."""
    named = any(telling(leaf.path.name, sets, file=True) for leaf in folder.leaves)
    return bool(folder.folders) or named or all(leaf.other for leaf in folder.leaves)


def _branch(folder: _Folder) -> _Folder:
    """The first folder in which there is a choice."""
    while len(folder.folders) == 1 and not folder.usable:
        [inner] = folder.folders.values()
        if inner.owner is not None:
            break
        folder = inner
    return folder


def _notebooks(folder: _Folder) -> list[Leaf]:
    return [leaf for leaf in folder.usable if not leaf.archive]


def _compete(folder: _Folder, sets: list[str], files: bool) -> bool:
    """Whether several folders in `folder` (or its archives, or with `files` its notebooks) answer the same set."""
    held = [set().union(*(leaf.sets for leaf in inner.all())) for inner in folder.folders.values()]
    if held or files:
        named = [leaf for leaf in folder.leaves if telling(leaf.path.name, sets, file=True)]
        held += [set(leaf.sets) for leaf in named if leaf.archive or files]
    return any(count > 1 for count in Counter(name for names in held for name in names).values())


def _usernames(leaves: list[Leaf], sets: list[str]) -> dict[str, str]:
    """Blackboard writes "Exercise 3_jane_doe": the names without the part that all share, by the whole ones."""
    given = {found["name"] for leaf in leaves for part in leaf.path.parts if (found := BLACKBOARD.match(part))}
    names = {name: telling(name, sets) or name for name in given}
    different = set(names.values())
    shared = os.path.commonprefix([*different]) if len(different) > 1 else ""  # noqa: RUF071, by characters
    shared = shared[: shared.rfind("_") + 1]
    if len(different) == 1 and (alone := different & given):
        shared = next(iter(alone)).rpartition("_")[0] + "_"
    return {name: short.removeprefix(shared) for name, short in names.items()}
