"""Which answers of a class are more alike than answers usually are: information for a talk, and no proof.

As in MOSS (Schleimer, Wilkerson and Aiken, SIGMOD 2003), an answer is cut into runs of tokens without comments and
layout, and what the exercise gives does not count; what many have counts little. Each run is taken twice: as it
stands, and without the names that its author chose. No code of a student is run.
"""

import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from simmim_lab.common import replace_file
from simmim_lab.teaching.course import read_notebook, submissions
from simmim_lab.teaching.grading.cells import grade_id
from simmim_lab.teaching.reporting.templates import template

if TYPE_CHECKING:
    from nbformat import NotebookNode

RUN = 6  # tokens
LEAST = 0.2  # alike: what is below does not stand out in any class
OTHER = "other functions"
LONGEST = 20_000  # characters of an answer that are looked at
SHOWN = 30  # pairs
KEPT = {*keyword.kwlist, *dir(builtins), "torch", "nn", "math", "np", "numpy", "rearrange", "self"}
REGION = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS).*?### END \1", re.DOTALL)
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Answer:
    """The text of an answer, and its runs of tokens."""

    text: str = ""
    runs: frozenset[tuple[str, ...]] = frozenset()


@dataclass(frozen=True)
class Pair:
    """Two students, how alike all that they wrote is (0 to 1), and the tasks in which it stands out."""

    students: tuple[str, str]
    alike: float
    tasks: list[tuple[str, float, str, str]]  # its name, how alike, and the two texts


NOTHING = Answer()


def report(root: Path, name: str) -> tuple[Path, int, list[str]]:
    """Write grading/similarity/SET.html for one set.

    Returns it, the number of pairs that stand out, and a line for each notebook that cannot be read.
    """
    given = answers(read_notebook(root / "solutions" / name / f"{name}.ipynb"))
    written, odd = {}, []
    for _, student in submissions(root, [name]):
        try:
            notebook = read_notebook(root / "grading" / "submitted" / student / name / f"{name}.ipynb")
            written[student] = answers(notebook, set(given))
        except ValueError as error:
            odd.append(f"{student}: {error}")
    pairs, usual = compare(written, given)
    path = root / "grading" / "similarity" / f"{name}.html"
    html = template("similarity.html.j2").render(
        name=name,
        pairs=pairs[:SHOWN],
        count=len(pairs),
        students=len(written),
        usual=usual,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, partial(Path.write_text, data=html, encoding="utf-8"))
    return path, len(pairs), odd


def answers(notebook: "NotebookNode", tasks: set[str] | None = None) -> dict[str, Answer]:
    """The answers of a notebook by their tasks: to one of code the function of its name, wherever it stands.

    tasks: those of the exercise; functions of other names are kept as `OTHER`. None: this is the exercise.
    """
    texts: dict[str, str] = {}
    prose = set()
    for cell in notebook.cells:
        source = (REGION.sub("", cell.source) if tasks is None else cell.source)[:LONGEST]
        task = grade_id(cell)
        if cell.cell_type == "markdown" and task and (tasks is None or task in tasks):
            texts[task] = source
            prose.add(task)
        elif cell.cell_type == "code":
            for function, text in _functions(source):
                if tasks is None or function in tasks:
                    texts[function] = text
                else:
                    texts[OTHER] = (texts.get(OTHER, "") + text)[:LONGEST]
    return {task: _prose(text) if task in prose else _code(text) for task, text in texts.items()}


def compare(written: dict[str, dict[str, Answer]], given: dict[str, Answer]) -> tuple[list[Pair], float]:
    """The pairs of students whose answers stand out, the most alike first, and how alike half of all pairs are.

    written: the answers of each student, by their tasks. given: what the exercise gives.
    """
    students, upper = sorted(written), np.triu_indices(len(written), 1)
    if len(students) < 2:
        return [], 0.0
    counts = {
        task: _counts(
            [written[student].get(task, NOTHING).runs - given.get(task, NOTHING).runs for student in students]
        )
        for task in sorted({task for held in written.values() for task in held})
    }
    total = _alike(sum(shared for shared, _ in counts.values()), sum(own for _, own in counts.values()))
    each = {task: _alike(*count) for task, count in counts.items()}
    pairs = []
    for row, column in np.argwhere(np.triu(total, 1) >= _fence(total[upper])):
        one, other = students[row], students[column]
        tasks = [
            (task, float(alike[row, column]), written[one][task].text, written[other][task].text)
            for task, alike in each.items()
            if alike[row, column] >= LEAST
        ]
        pairs.append(Pair((one, other), float(total[row, column]), tasks))
    return sorted(pairs, key=lambda pair: -pair.alike), float(np.median(total[upper]))


def _functions(source: str) -> Iterator[tuple[str, str]]:
    """The functions that stand at the left border of a cell, and their texts."""
    name, lines = "", []
    for line in [*source.splitlines(), "end"]:
        if line[:1].strip() and line[0] not in ")]}#":
            if name:
                yield name, "\n".join(lines).rstrip() + "\n"
            start = re.match(r"def (\w+)", line)
            name, lines = start[1] if start else "", []
        lines.append(line)


def _tokens(text: str) -> Iterator[str]:
    """The tokens of code, without comments, layout and texts that stand by themselves."""
    before = "\n"
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in LAYOUT and not (token.type == tokenize.STRING and before == "\n"):
                yield token.string
            if token.type not in {tokenize.COMMENT, tokenize.NL}:
                before = "\n" if token.type in LAYOUT else token.string
    except (tokenize.TokenError, SyntaxError):  # what came before the error counts
        return


def _unnamed(tokens: list[str]) -> list[str]:
    """The tokens, with the same word for all names that the author chose."""
    after = zip(["", *tokens], tokens, strict=False)
    return ["name" if one.isidentifier() and one not in KEPT and before != "." else one for before, one in after]


def _runs(tokens: list[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(zip(*(tokens[start:] for start in range(RUN)), strict=False))


def _code(text: str) -> Answer:
    tokens = list(_tokens(text))
    return Answer(text, _runs(tokens) | _runs(_unnamed(tokens)))


def _prose(text: str) -> Answer:
    return Answer(text, _runs(re.findall(r"\w+", text.casefold())))


def _counts(runs: list[frozenset]) -> tuple[np.ndarray, np.ndarray]:
    """How many runs each two share, where one that n students have counts 2 / n, and how many each has."""
    places = {run: at for at, run in enumerate(set().union(*runs))}
    rows = [row for row, held in enumerate(runs) for _ in held]
    columns = [places[run] for held in runs for run in held]
    held = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(runs), max(1, len(places))))
    rare = 2 / np.maximum(held.sum(axis=0), 2)
    return (held * rare @ held.T).toarray(), held.sum(axis=1)


def _alike(shared: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The share of what two wrote that is common to them and to few others: 0 nothing, 1 all."""
    return shared / np.maximum(np.sqrt(np.outer(own, own)), 1)


def _fence(values: np.ndarray) -> float:
    """Where pairs begin to stand out: Tukey's outer fence, and never below `LEAST`."""
    low, high = np.quantile(values, [0.25, 0.75])
    return max(LEAST, float(high + 3 * (high - low)))
