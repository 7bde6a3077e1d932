"""A folder of pictures: what is in it, what the names of its folders mean, and how it is split.

- Links are followed. What is reached twice counts once, so that no picture is in two splits and circles end.
- Folders called train, val and test are the splits, also with names such as Training, valid or test2017. They lie
  right here or further in (train/cat, photos/train/cat, cat/train). If there is no val or no test, a part of train
  takes its place, chosen by name; without such folders all pictures are split by name.
- Two other folders or more are the classes, with all that is nested in them. Pictures beside them have no class
  and are left out.
- Everything else has no labels: `classes` is (), and all labels are 0.
"""

import hashlib
import mimetypes
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

from simmim_lab.data.imagesets import SPLITS, WORKERS
from simmim_lab.data.pictures import FORMATS, check_header, open_picture, reason_of

SPLIT_FOLDER = re.compile(
    r"(?:(train(?:ing)?)|(val(?:id(?:ation)?)?)|(test(?:ing)?))(?:[-_ ]?(?:set|images?|data|\d+))*", re.IGNORECASE
)
OTHER_FOLDERS = {"__MACOSX", "@eaDir"}  # archives and network drives keep what belongs to a picture there
OTHER_FILES = {"thumbs.db", "desktop.ini"}
BESIDE_SPLITS, BESIDE_CLASSES = (f"beside the folders of the {what}" for what in ("splits", "classes"))


@dataclass(frozen=True)
class Folder:
    """The readable pictures of a folder, by their paths relative to it, and the splits, which index them.

    `left_out` tells for all other pictures, by name, why they are not among them.
    """

    files: list[Path]
    labels: list[int]
    classes: tuple[str, ...]
    splits: dict[str, list[int]]
    left_out: dict[str, str]


def read_folder(root: Path, size: int) -> Folder:
    """Look through a folder. A split that has pictures has at least one that can be decoded (for `size` pixels).

    Raises ValueError if `root` has folders for splits beside others.
    """
    files, left_out = _pictures(root)
    while True:
        folder = _arranged(root, files, left_out)
        broken = {}
        for part in folder.splits.values():
            broken |= _broken_part(root, [folder.files[i] for i in part], size)
        if not broken:
            return folder
        left_out |= {_shown(file): why for file, why in broken.items()}
        files = [file for file in files if file not in broken]


def _broken_part(root: Path, part: list[Path], size: int) -> dict[Path, str]:
    """The pictures of a split, with reasons, if none of them can be decoded; else nothing."""
    broken = {}
    for file in part:
        why = _failure(partial(open_picture, size=size), root / file)
        if why is None:
            return {}
        broken[file] = why
    return broken


def split_by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """80, 10 and 10 % of the names, by a digest of each name, so that a new one does not move the others.

    Three names or more leave no split empty; fewer are all for training.
    """
    digests = [hashlib.sha256(os.fsencode(name)).digest() for name in names]
    places = [int.from_bytes(digest[:8]) / 2**64 for digest in digests]
    order = sorted(range(len(names)), key=places.__getitem__)
    first, second = (sum(place < bound for place in places) for bound in (0.8, 0.9))
    if len(names) < 3:
        first = second = len(names)
    else:
        first = min(max(first, 1), len(names) - 2)
        second = min(max(second, first + 1), len(names) - 1)
    parts = order[:first], order[first:second], order[second:]
    return {split: sorted(part) for split, part in zip(SPLITS, parts, strict=True)}


# Which pictures there are


def _pictures(root: Path) -> tuple[list[Path], dict[str, str]]:
    """The files that start as a picture does, relative to `root` and in order; and why others are left out."""
    files, left_out = _walk(root)
    with ThreadPoolExecutor(WORKERS) as pool:
        failures = pool.map(lambda file: _failure(check_header, root / file), files)
        failures = list(tqdm(failures, root.name, len(files), unit=" files", delay=1))
    for file, why in zip(files, failures, strict=True):
        if why is not None and not _is_other(root / file):
            left_out[_shown(file)] = why
    return [file for file, why in zip(files, failures, strict=True) if why is None], left_out


def _walk(root: Path) -> tuple[list[Path], dict[str, str]]:
    """All files in a folder and below it. Links come last, so that they do not take what is there without them."""
    files, left_out, seen = [], {}, set()
    found, links = [(Path(), root)], []
    while found or links:
        path, real = (found or links).pop()
        if os.path.islink(real) or os.path.isdir(real):  # a folder may be a junction of Windows
            real = Path(os.path.realpath(real))
        if real in seen:
            left_out[_shown(path)] = "a link to what is read already"
        elif os.path.isdir(real):
            try:
                names = sorted(os.listdir(real), reverse=True)
            except OSError as error:
                left_out[_shown(path)] = reason_of(error)
                names = []
            for name in names:
                if not name.startswith(".") and name not in OTHER_FOLDERS:
                    (links if os.path.islink(real / name) else found).append((path / name, real / name))
        elif os.path.isfile(real):
            files.append(path)
        else:
            nowhere = os.path.islink(root / path)
            left_out[_shown(path)] = (
                "a link that leads nowhere" if nowhere else _failure(os.stat, real) or "not a file"
            )
        seen.add(real)
    return sorted(files), left_out


def _failure(read: Callable[[Path], object], path: Path) -> str | None:
    """Why `read` cannot read this file; None if it can."""
    try:
        read(path)
    except (ValueError, OSError) as error:
        return reason_of(error)
    return None


def _is_other(path: Path) -> bool:
    """Whether nobody expects a picture in this file, by its name or since it is text."""
    if path.suffix.lower() in _picture_suffixes():
        return False
    if path.name.lower() in OTHER_FILES or path.suffix.lower() in _other_suffixes():
        return True
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(1000)
    except OSError:
        return False


@cache
def _picture_suffixes() -> set[str]:
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    return known | {".heic", ".heif", ".hif", ".jxl", ".svg"}


@cache
def _other_suffixes() -> set[str]:
    """Of films, archives, documents ... as Python lists them, and not the machine."""
    kinds = mimetypes.MimeTypes().types_map[True]
    return {suffix for suffix, kind in kinds.items() if not kind.startswith("image/")}


# What the names of folders mean


def _arranged(root: Path, files: list[Path], left_out: dict[str, str]) -> Folder:
    """Classes and splits of these files, by the folders that they lie in."""
    left_out = dict(left_out)
    level = _split_level(root, files)
    placed = []  # a file, its split, and the folders it lies in but for that of the split
    for file in files:
        folders = file.parts[:-1]
        if level is None:
            placed.append((file, "train", folders))
        elif len(folders) > level:
            placed.append((file, _split_of(folders[level]), folders[:level] + folders[level + 1 :]))
        else:
            left_out[_shown(file)] = BESIDE_SPLITS
    depth = _shared([folders for *_, folders in placed])
    classes = sorted({folders[depth] for *_, folders in placed if len(folders) > depth})
    if len(classes) < 2:
        classes = []
    else:
        left_out |= {_shown(file): BESIDE_CLASSES for file, _, folders in placed if len(folders) == depth}
        placed = [(file, split, folders) for file, split, folders in placed if len(folders) > depth]
    number = {name: i for i, name in enumerate(classes)}
    return Folder(
        files=[file for file, *_ in placed],
        labels=[number[folders[depth]] if classes else 0 for *_, folders in placed],
        classes=tuple(classes),
        splits=_completed([split for _, split, _ in placed], [file.as_posix() for file, *_ in placed]),
        left_out=left_out,
    )


def _completed(given: list[str], names: list[str]) -> dict[str, list[int]]:
    """The files of each split; a val or a test that has none gets some of train."""
    splits = {split: [i for i, its in enumerate(given) if its == split] for split in SPLITS}
    train = splits["train"]
    parts = split_by_name([names[i] for i in train])
    for split in ("val", "test"):
        if not splits[split]:
            splits[split] = [train[i] for i in parts[split]]
            splits["train"] = sorted({*splits["train"]} - {*splits[split]})
    return splits


def _split_level(root: Path, files: list[Path]) -> int | None:
    """How many folders further in those of the splits lie; None if there are none."""
    for level in range(max(map(_depth, files), default=0)):
        nested = [file for file in files if _depth(file) > level]
        names = sorted({file.parts[level] for file in nested})
        splits = {_split_of(name) for name in names}
        if (
            "train" in splits
            and None not in splits
            and (level == 0 or len(splits) > 1 or len(nested) == len(files))
        ):
            return level
        outermost = len({file.parts[:level] for file in nested}) == 1
        inside = any(_depth(file) > level + 1 for file in nested if _split_of(file.parts[level]))
        if outermost and (len(splits - {None}) > 1 or (len(splits) > 1 and inside)):
            raise ValueError(
                f"{root} has folders with the names of splits beside others, or without train: "
                f"{', '.join(names[:20])}; call them train, val and test, each with the same folders for classes, "
                "and move others elsewhere"
            )
    return None


def _split_of(name: str) -> str | None:
    match = SPLIT_FOLDER.fullmatch(name)
    return SPLITS[match.lastindex - 1] if match else None


def _shared(paths: list[tuple[str, ...]]) -> int:
    """How many folders, from the outermost on, all of these paths have in common."""
    first, last = min(paths, default=()), max(paths, default=())
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))


def _depth(file: Path) -> int:
    return len(file.parts) - 1


def _shown(file: Path) -> str:
    """A name as it can be printed, even if it is not UTF-8."""
    return file.as_posix().encode(errors="replace").decode()
