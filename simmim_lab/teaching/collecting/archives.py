"""What lies in a folder or an archive. Nothing is unpacked to where its name says, and links are not followed."""

import bz2
import contextlib
import gzip
import lzma
import os
import re
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

IGNORED = {"__MACOSX", "__pycache__", "node_modules", "site-packages", "desktop.ini", "Thumbs.db", ".DS_Store"}
HIDDEN = (".ipynb_checkpoints", ".git", ".venv", "._", ".Trash", ".idea", ".vscode")  # how these names begin
UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # they would act on a console
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
DAMAGED = (  # what a damaged archive, or a hostile one, can raise
    *(ArithmeticError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError, ValueError),
    *(lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


class Limit(Exception):
    """There is more than is looked at."""


@dataclass(frozen=True)
class Entry:
    """A file in a folder or an archive, or an empty folder.

    path: where it lies there. modified: seconds since 1970, or 0. open: how it is read; None for a folder.
    file: its path on the disk; None in an archive.
    """

    path: PurePosixPath
    modified: float
    open: Callable[[], IO[bytes]] | None
    file: Path | None = None


def entries(place: Path) -> Iterator[Entry]:
    """The files and empty folders in a folder or an archive, or any other file itself; ValueError if damaged."""
    if place.is_dir():
        yield from _folder(place)
        return
    try:
        with open(place, "rb") as file:
            if is_archive(file.read(512)):
                yield from members(file)
            else:
                yield _on_disk(place, PurePosixPath(_printable(place.name)), place.stat().st_mtime)
    except DAMAGED as error:
        raise ValueError(f"{place.name} cannot be read: {why(error)}") from error


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with these 512 bytes is an archive that `members` can read."""
    return head.startswith((b"PK\3\4", b"PK\5\6", *PACKED)) or head[257:262] == b"ustar"


def members(file: IO[bytes]) -> Iterator[Entry]:
    """What lies in an archive, in its own order; raises one of DAMAGED if it is not sound."""
    file.seek(0)
    head = file.read(512)
    file.seek(0)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if (path := _inside(_unicode(member))) is not None:
                    opened = None if member.is_dir() else partial(archive.open, member)
                    yield Entry(path, _seconds(member.date_time), opened)
        return
    try:
        archive = tarfile.open(fileobj=file)  # noqa: SIM115, it is closed below
    except tarfile.ReadError:  # one file, packed, such as "work.ipynb.gz"
        unpack = next((unpack for magic, unpack in PACKED.items() if head.startswith(magic)), None)
        if unpack is None:
            raise
        file.seek(0)
        yield Entry(PurePosixPath("unpacked.ipynb"), 0.0, partial(unpack, file))
        return
    with archive:
        for member in archive:
            if (member.isreg() or member.isdir()) and (path := _inside(member.name)) is not None:
                opened = None if member.isdir() else partial(archive.extractfile, member)
                yield Entry(path, float(member.mtime), opened)


def why(error: Exception) -> str:
    """Why something could not be read, in a few words."""
    if isinstance(error, Limit):
        return str(error)
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "it is protected by a password"
    if isinstance(error, NotImplementedError):
        return f"it is packed in a way that is not known here ({error})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"it is damaged ({str(error) or type(error).__name__})"


def _folder(top: Path) -> Iterator[Entry]:
    """What lies in a folder, in order of the names."""
    barred: list[OSError] = []
    for folder, folders, files in os.walk(top, onerror=barred.append):
        here, inside = Path(folder), PurePosixPath(_printable(Path(folder).relative_to(top).as_posix()))
        folders[:] = sorted(name for name in folders if not _ignored(name) and not (here / name).is_symlink())
        if not folders and not files and here != top:
            yield Entry(inside, 0.0, None)
        for name in sorted(files):
            state = (here / name).lstat()
            if stat.S_ISREG(state.st_mode) and not _ignored(name):
                yield _on_disk(here / name, inside / _printable(name), state.st_mtime)
    for error in barred:
        path = Path(error.filename)
        yield _on_disk(path, PurePosixPath(_printable(path.relative_to(top).as_posix())), 0.0)


def _on_disk(path: Path, inside: PurePosixPath, modified: float) -> Entry:
    return Entry(inside, modified, partial(open, path, "rb"), path)


def _inside(name: str) -> PurePosixPath | None:
    """A path in an archive; None if what lies there is not to be looked at."""
    parts = _printable(name.replace("\\", "/")).split("/")
    path = PurePosixPath(*(part for part in parts if part not in ("", ".", "..")))
    return None if not path.name or any(map(_ignored, path.parts)) else path


def _ignored(name: str) -> bool:
    return name in IGNORED or name.startswith(HIDDEN)


def _printable(name: str) -> str:
    """A name that every file and console can hold; different names stay different."""
    shown = UNSEEN.sub(lambda found: f"\\x{ord(found[0]):02x}", name)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def _unicode(member: zipfile.ZipInfo) -> str:
    """The name of a member; macOS packs UTF-8 without saying so."""
    if not member.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            return member.filename.encode("cp437").decode("utf-8")
    return member.filename


def _seconds(date: tuple[int, ...]) -> float:
    try:
        return time.mktime((*date, 0, 0, -1))
    except (OverflowError, ValueError):
        return 0.0
