"""Damaged and strange files: each has a row and a true reason, and stops nobody else."""

import gzip
import io
import json
import tarfile
import zipfile
from functools import partial

from nbformat.v4 import new_notebook

from submissions import (
    ALL,
    HIT,
    NONE,
    OTHERS,
    SET,
    TASKS,
    data,
    extra,
    marks,
    notebook,
    solved,
    submit,
)

broken = partial(submit, "batch", earns=NONE)
strange = partial(submit, "batch", earns=ALL)

EXERCISE = data(notebook("exercises"))
SOLVED = data(solved())


def changed(change) -> bytes:
    """The solved notebook as a dict of JSON, changed."""
    made = json.loads(SOLVED)
    change(made)
    return json.dumps(made).encode()


def zipped(files: dict[str, bytes], *, link: str = "", date: tuple = (2026, 1, 1, 0, 0, 0)) -> bytes:
    """An archive of these files; with `link` also of a symbolic link to there."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, date), content, zipfile.ZIP_DEFLATED)
        if link:
            entry = zipfile.ZipInfo(f"{SET}.ipynb")
            entry.create_system, entry.external_attr = 3, 0o120777 << 16
            archive.writestr(entry, link)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1_790_000_000
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


for what, content in {
    "an empty file": b"",
    "a file that was cut off": SOLVED[: len(SOLVED) // 2],
    "a picture with the name of a notebook": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "a web page with the name of a notebook": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "JSON that is no notebook": b'{"answer": 42}',
    "JSON null": b"null",
    "a list of lists, 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "a number of a million digits": b'{"cells": [], "nbformat": 4, "nbformat_minor": ' + b"9" * 1_000_000 + b"}",
}.items():
    broken(
        what,
        content,
        note="(?i)unreadable|notebook|not read|no exercise",
    )
broken("the exercise untouched", EXERCISE)
broken("a notebook without cells", data(new_notebook()), note="(?i)cell|answer|unreadable|empty")
broken("a PDF in the place of the notebook", {"paper/work.pdf": b"%PDF-1.7"}, student="paper", note="no notebook")
broken("only a Python file", {"script/work.py": b"print(1)"}, student="script", note="no notebook")
broken(
    "a folder with the name of a notebook", {f"nest/{SET}.ipynb/readme.txt": b"hello"}, student="nest", note="."
)

for what, change in {
    "cells without metadata": lambda made: [cell.pop("metadata") for cell in made["cells"]],
    "metadata that are no dicts": lambda made: (
        [cell.update(metadata=[1]) for cell in made["cells"]] + [made.update(metadata=0)]
    ),
    "marks of nbgrader of wrong types": lambda made: [
        cell["metadata"].update(nbgrader={"grade_id": [name], "points": {}, "grade": "x"})
        for cell in made["cells"]
        for name in [cell["metadata"].get("nbgrader", {}).get("grade_id")]
        if name
    ],
    "a version from the future": lambda made: made.update(nbformat_minor=99),
    "cells of unknown types": lambda made: made["cells"].append(
        {"cell_type": "slide", "source": "x", "metadata": {}}
    ),
    "cells that are no cells": lambda made: made["cells"].extend(
        [None, 1, [], {"source": 3}, {"cell_type": "code"}]
    ),
    "sources as lists of lines": lambda made: [
        c.update(source=c["source"].splitlines(True)) for c in made["cells"]
    ],
    "ids that are doubled and of wrong types": lambda made: [
        c.update(id=[1] if n % 2 else "a b") for n, c in enumerate(made["cells"])
    ],
    "outputs that are no outputs": lambda made: [
        c.update(outputs=3) for c in made["cells"] if c["cell_type"] == "code"
    ],
    "a kernel nobody has": lambda made: made["metadata"].update(
        kernelspec={"name": "R/../../x", "display_name": None}
    ),
    "5,000 cells": lambda made: made["cells"].extend(
        {"cell_type": "markdown", "metadata": {}, "source": str(n)} for n in range(5_000)
    ),
}.items():
    strange(what, changed(change))
strange("NaN in its JSON", changed(lambda made: made["metadata"].update(x=float("nan"), y=float("inf"))))
strange("a null character and a bell in a text", data(solved(edit=extra("# \0 \a \x1b", "high_ratio"))))

# Texts on which a parser stumbles; only the task in whose cell they stand is lost.
for what, text in {
    "100,000 brackets": "(" * 100_000,
    "100,000 signs": "-" * 100_000 + "1",
    "100,000 terms": "x = 1" + "+1" * 100_000,
    "100,000 attributes": "x = 1" + ".a" * 100_000,
    "100,000 blocks": "\n".join(" " * n + "if 1:" for n in range(1000)),
    "a line of 5 MB": "x = '" + "MEGABYTE" * 5,
    "10,000 magics": "%time 1\n" * 10_000,
    "10,000 magics of the whole cell": "%%time\n" * 10_000 + "x(",
    "99,000 empty lines": "\n" * 99_000 + "x(",
    "a number that takes a minute to read": "x = " + "9" * 1_000_000,
    "half a character": "x = '\ud800'\n(",
}.items():
    content = json.dumps(solved({HIT: text})).encode()
    submit("batch", f"{what} in the cell of a task", content, OTHERS)
strange("30 MB of text in a cell of its own", data(solved(edit=extra("# " + "MEGABYTE" * 30))))
strange(
    "a cell of its own with a power that takes for ever to compile",
    data(solved(edit=extra("x = 10 ** 10 ** 10", HIT))),
)

# Whose work it is says neither an archive nor a date; nobody reaches another one's.
WRONG = data(solved({task: f"def {task}(*given): return None" for task in TASKS}))
strange("the victim of the next ones", {f"victim/{SET}.ipynb": SOLVED}, student="victim")
for what, files in {
    "upward": {f"../victim/{SET}.ipynb": WRONG},
    "absolute": {f"/victim/{SET}.ipynb": WRONG},
    "of another student": {f"victim/{SET}.ipynb": WRONG},
    "of Moodle, with another student's name": {f"victim_77_assignsubmission_file_/{SET}.ipynb": WRONG},
    "of Windows": {f"..\\..\\victim\\{SET}.ipynb": WRONG},
}.items():
    number = len(what)
    content = zipped(files, date=(2099, 12, 31, 0, 0, 0))
    submit(
        "batch",
        f"an archive with a path {what}, from the year 2099",
        {f"thief{number}/work.zip": content},
        NONE,
        student=f"thief{number}",
    )
strange(
    "an archive with a date before 1980, and its notebook",
    {"dated/work.zip": zipped({f"{SET}.ipynb": SOLVED}, date=(1980, 0, 0, 0, 0, 0))},
    student="dated",
)
broken(
    "an archive that holds a link", {"linked/work.zip": zipped({}, link="/etc/passwd")}, student="linked", note="."
)
broken(
    "a tar archive that holds links",
    {"tarlink/work.tar.gz": tarred({}, {f"{SET}.ipynb": "CANARY/letter.txt"})},
    student="tarlink",
    note=".",
)
ZEROS = bytes(10_000_000)
inner = zipped({f"{SET}.ipynb": ZEROS})
bomb = zipped({f"{number}.zip": inner for number in range(250)})
broken("an archive that unpacks to 2.5 GB", {"bomb/work.zip": bomb}, student="bomb", note="unreadable")
bomb = gzip.compress(ZEROS) * 250
broken("a compressed file that unpacks to 2.5 GB", {"gz/work.ipynb.gz": bomb}, student="gz", note="unreadable")
broken(
    "an archive that was cut off",
    {"cut/work.zip": zipped({f"{SET}.ipynb": SOLVED})[:-200]},
    student="cut",
    note=".",
)
broken(
    "an archive of a kind that Python cannot read",
    {"rar/work.rar": b"Rar!\x1a\x07\x01\x00"},
    student="rar",
    note="RAR",
)
broken("an archive that holds nothing", {"void/work.zip": zipped({})}, student="void", note=".")


def twice(made):
    made.cells.extend(json.loads(json.dumps(cell), object_hook=type(cell)) for cell in list(made.cells))


def only_marks(made):
    for cell in made.cells:
        if marks(cell).get("solution"):
            cell.source = ""


strange("every cell twice", data(solved(edit=twice)))
broken("all answers empty", data(solved(edit=only_marks)))
