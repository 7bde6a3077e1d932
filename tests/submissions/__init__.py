"""The corpus of submissions that the grading is tried with: hostile ones, damaged ones, and honest work.

A module per kind registers its submissions, one call for each: what it does in a line, the code that does it, and
the tasks whose points it shall get. All answer SET. `trial` grades them and looks at what they did.

In their code four words are replaced: CANARY is the path of a folder of the host that none may touch or read,
PORT a port of the host that none may reach, MARK a word that is found wherever the submission leaves a trace, and
MEGABYTE a million letters.
What they look for begins with SECRET_; that they got what none may have they print after MARK and "!". All is
bounded: 3 GiB of memory, 90 s, the loopback address.
"""

import importlib
import json
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

ROOT = Path(__file__).parents[2]
SET = "01_masking"
KINDS = {
    "forging": "points by other means than right values (1, 3, 4, 5)",
    "reference": "the expected values, the hidden tests, other people's answers (2, 6)",
    "host": "the instructor's computer (7)",
    "limits": "memory, processes, disk, output, time; a process that dies (8, 9)",
    "pages": "active content and leaks on a page or in a table (17, 18)",
    "batch": "damaged and strange files (11, 13)",
    "honest": "honest work in all its forms (14, 15, 16)",
}
QUICK = {  # what the test suite tries; the others run with `make verify` alone
    "check is a module in which everything passes, under all its names",
    "the hidden test itself is replaced: Check.grade and Check.run",
    "it writes forged replies into every open file, before it is asked",
    "every value is a tensor that answers yes to all functions of torch",
    "there are graded and locked tests of its own",
    "the cell of the imports is replaced by one that grades",
    "it searches the disk for solutions, gradebooks, tables and other submissions, and runs the answers",
    "it prints the environment of all processes, their arguments and their open files",
    "it writes, appends, renames and deletes files of the host",
    "it connects to a port of the host: TCP, UDP, IPv6, a socket without a path",
    "it leaves 40 daemons behind",
    "its magics run the shell, write files and load extensions",
    "a call sleeps for ever",
    "a call ends in os._exit(0)",
    "HTML in the written answer",
    "it displays HTML, JavaScript, SVG, LaTeX, Markdown and a widget",
    "an error with HTML in its name and its text",
    "active content in its saved outputs",
    "a syntax error in the cell of a task",
    "an empty file",
    "100,000 terms in the cell of a task",
    "the victim of the next ones",
    "an archive with a path upward, from the year 2099",
    "all right",
    "the whole folder of the course, with the lesson and an autosave of the empty exercise",
    "saved by Colab",
    "the answer in a new cell below the given one",
    "imports of their own in the given cell",
    "a cell with a syntax error",
}

Notebook = nbformat.NotebookNode
Edit = Callable[[Notebook], None]


@cache
def notebook(folder: str) -> Notebook:
    return nbformat.read(ROOT / folder / SET / f"{SET}.ipynb", as_version=4)


def marks(cell: Notebook) -> dict:
    return cell.metadata.get("nbgrader", {})


def _right(cell: Notebook) -> str:
    return re.sub(r"(?m)^ *### (BEGIN|END) SOLUTION\n?", "", cell.source)


TASKS = {  # and their points
    marks(cell)["grade_id"].removesuffix("-check"): marks(cell)["points"]
    for cell in notebook("solutions").cells
    if marks(cell).get("grade") and cell.cell_type == "code"
}
RIGHT = {
    name: _right(cell) for cell in notebook("solutions").cells if (name := marks(cell).get("grade_id")) in TASKS
}
WRITTEN = "high_ratio"
HIT = "blind_share"  # the task that an attack on a single task stands in, in the middle of the others
ALL, NONE, OTHERS = frozenset(TASKS), frozenset(), frozenset(TASKS) - {HIT}


@dataclass(frozen=True)
class Submission:
    """What a student hands in, and what shall come of it."""

    kind: str
    does: str
    files: dict[str, bytes]  # path in the inbox -> content
    student: str  # as the table names it
    earns: frozenset[str]  # the tasks whose points it gets
    note: str = ""  # a pattern of what the student or the table is told
    inbox: str = "class"  # those of one inbox are collected together
    page: str = ""  # a pattern of the source of the feedback page


SUBMISSIONS: list[Submission] = []


def submit(
    kind: str, does: str, content: bytes | dict[str, bytes], earns: frozenset[str], student: str = "", **more
) -> None:
    """Register a submission: its notebook as bytes, or its files by their paths in the inbox."""
    student = student or f"{kind}{sum(known.kind == kind for known in SUBMISSIONS):02}"
    files = content if isinstance(content, dict) else {f"{student}/{SET}.ipynb": content}
    SUBMISSIONS.append(Submission(kind, does, files, student, earns, **more))


def defined(task: str, body: str) -> str:
    """The function of a task with this body."""
    return f"def {task}(*given):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"


def solved(answers: dict[str, str] | None = None, before: str = "", edit: Edit | None = None) -> Notebook:
    """The exercise as a student hands it in, all right but for `answers`; `before` stands above the first one."""
    made = nbformat.from_dict(json.loads(json.dumps(notebook("exercises"))))
    sources = RIGHT | (answers or {})
    first = next(iter(TASKS))
    sources[first] = f"{textwrap.dedent(before).strip()}\n{sources[first]}".lstrip()
    for cell in made.cells:
        if name := marks(cell).get("grade_id"):
            cell.source = sources.get(name, "Neighbours are alike." if name == WRITTEN else cell.source)
    if edit:
        edit(made)
    return made


def data(made: Notebook) -> bytes:
    return json.dumps(made).encode()


def find(made: Notebook, name: str) -> Notebook:
    return next(cell for cell in made.cells if marks(cell).get("grade_id") == name)


def place(made: Notebook, name: str) -> int:
    return made.cells.index(find(made, name))


def extra(text: str, where: str = next(iter(TASKS)), kind: Callable = new_code_cell, **more) -> Edit:
    """A cell of the student's own, above the answer `where`."""

    def edit(made: Notebook) -> None:
        made.cells.insert(place(made, where), kind(textwrap.dedent(text).strip(), **more))

    return edit


def replaced(number: int, source: str) -> Edit:
    """This text in the cell of this number."""

    def edit(made: Notebook) -> None:
        made.cells[number].source = source

    return edit


def every(edits: Iterable[Edit]) -> Edit:
    """All of these edits."""
    edits = list(edits)

    def edit(made: Notebook) -> None:
        for each in edits:
            each(made)

    return edit


def written(text: str, **more) -> Edit:
    """This text as the written answer."""

    def edit(made: Notebook) -> None:
        find(made, WRITTEN).update(source=textwrap.dedent(text).strip(), **more)

    return edit


def attack(
    kind: str,
    does: str,
    code: str = "",
    answer: str | dict[str, str] | None = None,
    earns: frozenset[str] = NONE,
    edit: Edit | None = None,
    **more,
) -> None:
    """A submission with `code` above its first answer; `answer` is the body of each function (None: all right)."""
    bodies = dict.fromkeys(TASKS, answer) if isinstance(answer, str) else answer or {}
    answers = {task: defined(task, body) for task, body in bodies.items()}
    submit(kind, does, data(solved(answers, code, edit)), earns, **more)


for module in pkgutil.iter_modules(__path__):
    if module.name in KINDS:
        importlib.import_module(f"{__name__}.{module.name}")
SUBMISSIONS.sort(key=lambda submission: list(KINDS).index(submission.kind))
