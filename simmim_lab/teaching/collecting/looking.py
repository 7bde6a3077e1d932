"""A look into one file of the inbox, by a process of its own (`python -m simmim_lab.teaching.collecting.looking`).

It ends after SECONDS and at MEMORY, and has limits on all that it reads: what a stranger packed costs his own row,
never the others'.
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from simmim_lab.teaching.collecting.archives import DAMAGED, Limit, is_archive, members, why
from simmim_lab.teaching.collecting.reading import read

SECONDS, MEMORY = 60, 3 * 2**30  # for one file of the inbox
LARGEST = 100_000_000  # bytes of a notebook
MEMBERS, UNPACKED, DEPTH = 10_000, 2_000_000_000, 2  # files in an archive, all their bytes, archives in archives
NOTEBOOKS, NAMES, OTHERS = (
    200,
    1_000,
    3,
)  # in an archive; names that are told of each; other files that are told of
LONGEST = 300  # characters of a path
OFFICE = {".docx", ".odt", ".pages", ".pptx", ".xlsx"}  # zip files, too
DEFINITION = re.compile(r"(?m)^(?:async +)?def +(\w+)")
UNOPENED = {b"7z\xbc\xaf": "7z", b"Rar!": "RAR"}


def look_into(path: Path, name: str, staging: Path) -> list[dict[str, Any]]:
    """What lies in the file `path`, which the inbox calls `name`: a dict for each notebook and each other file.

    path: where in it ("" for the file itself). problem: why it is not taken, in a few words; `other` is true if
    nobody would take it for a notebook. Or file: the name of a notebook in the folder `staging`, as `read` makes
    it; ids and functions: the names that its cells carry and define; kind: exercise, capstone, lesson, or
    instructor's version.
    """
    command = [sys.executable, "-m", __name__, str(path.absolute()), name, str(staging.absolute())]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, timeout=SECONDS)
        output, problem = done.stdout, "looking into it failed" if done.returncode else None
        if b"MemoryError" in done.stderr:
            problem = f"reading it takes more than {MEMORY // 2**30} GiB of memory"
    except subprocess.TimeoutExpired as late:
        output, problem = late.stdout or b"", f"reading it takes more than {SECONDS} s"
    found = [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith(b"\n")]
    return [*found, {"path": "", "problem": problem}] if problem else found


def main(path: str, name: str, staging: str) -> None:
    """The process: a line of JSON for each thing found."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has such a limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        others = 0
        with open(path, "rb") as file:
            for found in _Look(Path(staging)).into(file, PurePosixPath(name), PurePosixPath()):
                others += found.get("other", False)
                if "other" not in found or others <= OTHERS:
                    print(json.dumps(found), flush=True)
    except (Limit, OSError) as error:
        print(json.dumps({"path": "", "problem": why(error)}))


def copy_to(copy: IO[bytes], member: IO[bytes], most: int = UNPACKED) -> int:
    """Unpack a file of an archive into another; returns its size. Raises Limit if that is above `most` bytes."""
    size = 0
    while block := member.read(2**20):
        size += len(block)
        if size > most:
            raise Limit(f"it unpacks to more than {UNPACKED // 10**9} GB")
        copy.write(block)
    copy.seek(0)
    return size


class _Look:
    """One look into a file, and what is left of its limits."""

    def __init__(self, staging: Path):
        self.staging, self.notebooks = staging, 0
        self.members, self.unpacked = MEMBERS, UNPACKED

    def into(self, file: IO[bytes], name: PurePosixPath, inside: PurePosixPath, depth: int = 0) -> Iterator[dict]:
        head = file.read(512)
        file.seek(0)
        found = {"path": _told(inside)}
        try:
            if not is_archive(head) or name.suffix.lower() in OFFICE:
                yield found | self._file(file, head, name.name.lower())
            elif depth > DEPTH:
                yield found | {"problem": f"an archive in {DEPTH} others, which is not opened"}
            elif not (yield from self._archive(file, inside, depth)):
                yield found | {"problem": "an empty archive"}
        except DAMAGED as error:
            yield found | {"problem": why(error)}

    def _archive(self, file: IO[bytes], inside: PurePosixPath, depth: int) -> Iterator[dict]:
        """What lies in an archive; returns whether anything does."""
        count = 0
        for count, entry in enumerate((entry for entry in members(file) if entry.open), start=1):  # noqa: B007
            self.members -= 1
            if self.members < 0:
                raise Limit(f"it holds more than {MEMBERS:,} files")
            with tempfile.SpooledTemporaryFile(2**20) as copy:  # small ones stay in memory
                try:
                    with entry.open() as member:
                        self.unpacked -= copy_to(copy, member, self.unpacked)
                except DAMAGED as error:
                    yield {"path": _told(inside / entry.path), "problem": why(error)}
                else:
                    yield from self.into(copy, entry.path, inside / entry.path, depth + 1)
        return count > 0

    def _file(self, file: IO[bytes], head: bytes, name: str) -> dict:
        """What is taken of a file that is no archive, or why nothing is."""
        for magic, kind in UNOPENED.items():
            if head.startswith(magic):
                return {"problem": f"a {kind} archive, which is not opened here: unpack it, or ask for a zip file"}
        text = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
        other = ".ipynb" not in name
        if head and other and not text.startswith(b"{"):
            return {"problem": "no notebook", "other": True}
        if text.startswith((b"<", b"%PDF")):
            return {"problem": f"{'a web page' if text[:1] == b'<' else 'a PDF'}, and no notebook"}
        content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            return {"problem": f"larger than {LARGEST // 10**6} MB: ask for it without its outputs"}
        try:
            notebook = read(content)
        except ValueError as error:
            return {"problem": str(error), **({"other": True} if other else {})}
        del content
        self.notebooks += 1
        if self.notebooks > NOTEBOOKS:
            raise Limit(f"it holds more than {NOTEBOOKS} notebooks")
        file_name = f"{self.notebooks}.ipynb"
        text = json.dumps(notebook, ensure_ascii=False)
        (self.staging / file_name).write_text(text, encoding="utf-8")
        return {"file": file_name, **_about(notebook)}


def _told(inside: PurePosixPath) -> str:
    """A path as it is told; a stranger may have made it long."""
    return inside.as_posix()[-LONGEST:] if inside.name else ""


def _about(notebook: dict) -> dict[str, Any]:
    """The names in a notebook, and its kind."""
    hints = [cell["metadata"] for cell in notebook["cells"]]
    sources = [cell["source"] for cell in notebook["cells"]]
    ids = {hint["nbgrader"]["grade_id"] for hint in hints if "nbgrader" in hint}
    tags = {tag for hint in hints for tag in hint.get("tags", ())}
    kind = "exercise"
    if any("### BEGIN HIDDEN TESTS" in source for source in sources):
        kind = "instructor's version"
    elif not ids and tags & {"yours", "your-turn"}:
        kind = "capstone" if "yours" in tags else "lesson"
    defined = {name for source in sources for name in DEFINITION.findall(source)}
    return {"kind": kind, "ids": sorted(ids)[:NAMES], "functions": sorted(defined)[:NAMES]}


if __name__ == "__main__":
    main(*sys.argv[1:])
