"""The working copy: the learner's own lessons and exercises, which an update of the course leaves as they are.

The copy looks like the course, so that links of lessons and exercises hold. A file in it, `MARKER`, tells for each
file what the course offered last. When the course has something new, `update` renews what the learner has not
changed; beside what the learner has changed it lays the new version. What the learner deleted stays away.
"""

import hashlib
import json
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import NamedTuple

from simmim_lab.common import replace_file

HOME = "~/simmim_lab_work"
MARKER = ".simmim_lab.json"
FILES = (
    "notebooks/[0-9]*.ipynb",
    "exercises/[0-9]*/[0-9]*.ipynb",
    "exercises/capstone/*.ipynb",
    "exercises/capstone/*.md",
    "results/**/*.json",
    "results/**/*.png",
    "benchmarks/*.py",
    "*.md",
)
DEPTH = 2  # of a notebook below the working copy


class Version(NamedTuple):
    """Two digests of a file: of its bytes, and of its text, which is not changed when a notebook is run."""

    data: str
    text: str


def update(course: Path, work: Path) -> list[str]:
    """Make or renew the working copy `work` of the course in folder `course`; return what to tell the learner.

    Every file is written whole or not at all, and an update that was cut off is made good by the next. Raises
    ValueError if `work` holds something else or leads elsewhere, OSError if it cannot be written.
    """
    new = _is_new(work)
    offered, lines = ({}, []) if new else _offered(work)
    if new:
        work.mkdir(parents=True, exist_ok=True)
        _remember(work, offered)  # first, so that a copy that is cut off is known as one
    known, told = dict(offered), defaultdict(list)
    for name in _names(course):
        data = (course / name).read_bytes()
        if known.get(name, Version("", "")).data == _digest(data):
            continue
        act, place = _act(work, name, known, _version(name, data))
        if place:
            path = _inside(work, place)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda partial, data=data: partial.write_bytes(data))
            known[place] = _version(name, data)
        known[name] = _version(name, data)
        told[act].append(f"{name} ({Path(place).name})" if act == "beside" else name)
    if known != offered:
        _remember(work, known)
    if new:
        return [f"Your own copy of the course is in {work}. An update leaves there what you have written."]
    return [f"Your own copy of the course: {work}", *lines, *_news(told, course)]


def find(folder: Path) -> Path | None:
    """The working copy in which a notebook in `folder` lies, or None."""
    folder = folder.absolute()
    return next((place for place in [folder, *folder.parents][: DEPTH + 1] if (place / MARKER).is_file()), None)


def _is_new(work: Path) -> bool:
    if (work / MARKER).is_file():
        return False
    if work.exists() and not work.is_dir():
        raise ValueError(f"{work} is a file: choose another folder with --work")
    if work.exists() and any(not path.name.startswith(".") for path in work.iterdir()):
        raise ValueError(
            f"{work} holds something else than a copy of the course: choose another folder with --work"
        )
    return True


def _names(course: Path) -> list[str]:
    paths = [path for pattern in FILES for path in sorted(course.glob(pattern)) if path.is_file()]
    return [path.relative_to(course).as_posix() for path in paths]


def _act(work: Path, name: str, known: dict[str, Version], new: Version) -> tuple[str, str | None]:
    """What becomes of a file of which the course has a new version, and where to write this, if anywhere."""
    path = _inside(work, name)
    old = known.get(name)
    if not path.exists():
        return ("deleted", None) if old else ("new", name)
    data = path.read_bytes()
    mine = _version(name, data)
    if mine.text == new.text:  # the same but for outputs: those of the learner's own run stay
        return ("renewed", name) if old and mine.data == old.data else ("same", None)
    if old and mine.text == old.text:
        return "renewed", name
    return "beside", _beside(work, name, known, new)


def _beside(work: Path, name: str, known: dict[str, Version], new: Version) -> str:
    """A name near `name` at which there is nothing that the learner has written."""
    stem, suffix = name.rsplit(".", 1)
    for number in count(1):
        place = f"{stem}.new{number if number > 1 else ''}.{suffix}"
        path = _inside(work, place)
        if not path.exists() or _version(place, path.read_bytes()).text in (new.text, *known.get(place, ())):
            return place
    raise AssertionError("unreachable")


def _inside(work: Path, name: str) -> Path:
    """The path of a file in the working copy; ValueError if a link on the way leads out of it."""
    path = work / name
    if not path.parent.resolve().is_relative_to(work.resolve()):
        raise ValueError(
            f"{path.parent} leads out of your copy of the course, to {path.parent.resolve()}: remove it"
        )
    return path


def _version(name: str, data: bytes) -> Version:
    text = data
    if name.endswith(".ipynb"):
        try:
            cells = json.loads(data)["cells"]
            text = json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells]).encode()
        except (LookupError, TypeError, ValueError):
            pass  # not a notebook any more: then each byte counts
    return Version(_digest(data), _digest(text))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _offered(work: Path) -> tuple[dict[str, Version], list[str]]:
    """What the course has offered so far, and what to tell if this cannot be read any more."""
    try:
        files = json.loads((work / MARKER).read_text(encoding="utf-8"))["files"]
        return {name: Version(*digests) for name, digests in files.items()}, []
    except (AttributeError, LookupError, TypeError, ValueError):
        return {}, [f"{MARKER} in it was damaged, so every file that differs from the course's counts as yours."]


def _remember(work: Path, known: dict[str, Version]) -> None:
    text = json.dumps({"files": known}, indent=1) + "\n"
    replace_file(work / MARKER, lambda path: path.write_text(text, encoding="utf-8"))


def _news(told: dict[str, list[str]], course: Path) -> list[str]:
    """A line for each kind of news about notebooks and pages; results and scripts come without a word."""
    kinds = {
        "new": "New in the course",
        "renewed": "Renewed, as you had not changed it",
        "beside": "Renewed in the course but changed by you, so the new version lies beside yours",
        "deleted": f"Renewed in the course but deleted by you, so it stays away (it is in {course})",
    }
    lines = []
    for act, words in kinds.items():
        if names := [name for name in told[act] if not name.startswith(("results/", "benchmarks/"))]:
            lines.append(f"{words}: {', '.join(names)}")
    return lines
