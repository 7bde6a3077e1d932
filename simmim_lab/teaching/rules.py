"""The rules that every lesson keeps. `problems(path)` checks the stored notebook, without running it."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

import nbformat
from bs4 import BeautifulSoup
from nbconvert.filters import markdown2html

from simmim_lab import checks
from simmim_lab.teaching.lessons import METADATA, VIEW

PARAMETERS = "from simmim_lab.notebook import FAST  # True shrinks the work, for tests"
MEGABYTES = 1.5
YOUR_TURN = "your-turn"  # the tag of a cell in which the learner writes a step
EXEMPT = 0.25  # of the code cells may be exempt from the comparison of their outputs

MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home/(?!me/)|(?:root|work|tmp|Users|mnt|opt|usr)/)|\b[A-Z]:\\")
NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# A number with a unit claims a measurement. "3 × 3" does not, "3× faster" does.
CLAIM = re.compile(rf"(?<![\w.,])({NUMBER})(?:\s(?:dB|ms|s|[kMG]B)\b|\s?%|×(?!\s*\d))")
SOURCE = re.compile(r"§|\bTable\b|\bFig(?:ure|\.)|\bAppendix\b|\bREADME\b|\barXiv\b|\bSource\b|\b(?:19|20)\d\d\b")


def problems(path: Path) -> list[str]:
    """One line for every rule that the lesson breaks."""
    notebook = nbformat.read(path, as_version=4)
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    html = "\n".join(markdown2html(text) for text in markdown)
    text = BeautifulSoup(html, "html.parser")
    return [
        *(["the file is larger than 1.5 MB"] if path.stat().st_size > MEGABYTES * 1e6 else []),
        *_metadata(notebook),
        *_order(notebook),
        *_outputs(notebook),
        *_structure(notebook, text, path),
        *_text(text, html),
        *_links(text, path),
        *_promises(text, path),
        *_names(notebook, text, path),
        *_claims(notebook, text, path),
        *_turns(notebook),
        *_guesses(notebook),
    ]


def output_text(cell: nbformat.NotebookNode) -> str:
    """All that a cell has printed, without pictures."""
    outputs = [output for output in cell.get("outputs", []) if "image/png" not in output.get("data", {})]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def _metadata(notebook: nbformat.NotebookNode) -> Iterator[str]:
    if notebook.metadata != METADATA:
        yield "the metadata of the notebook are not those that `make notebooks` writes"
    for number, cell in enumerate(notebook.cells, 1):
        if more := cell.metadata.keys() - {"tags"}:
            yield f"cell {number} has metadata besides tags: {', '.join(sorted(more))}"


def _order(notebook: nbformat.NotebookNode) -> Iterator[str]:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "the cells were not run in order, once each: run `make notebooks`"
    if len(code) < 2 or notebook.cells[1] is not code[0] or code[0].metadata.get("tags") != ["setup"]:
        yield "the second cell must be the setup cell, with the tag `setup`"
    elif code[1].metadata.get("tags") != ["parameters"] or code[1].source != PARAMETERS:
        yield f"the third cell must be the parameters cell, `{PARAMETERS}`, with the tag `parameters`"


def _outputs(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"cell {number} has an error or a warning in its output"
            data = output.get("data", {})
            if VIEW in data:
                yield f"cell {number} holds the view of a widget: run `make notebooks`"
            for kind in data:
                if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt", "").strip():
                    yield f"cell {number} shows a picture without alt text: use simmim_lab.plots.show"
        if " at 0x" in output_text(cell):
            yield f"cell {number} prints the address of an object"
        if MACHINE_PATH.search(cell.source + output_text(cell)):
            yield f"cell {number} names a path of one machine"


def _structure(notebook: nbformat.NotebookNode, text: BeautifulSoup, path: Path) -> Iterator[str]:
    headings = {_title(heading): heading for heading in text.find_all(re.compile("^h[1-6]$"))}
    titles = [_title(heading) for heading in text.find_all("h1")]
    if len(titles) != 1 or not titles[0].startswith(f"{path.stem[:2]} · "):
        yield f"it needs one title, `# {path.stem[:2]} · ...`, but has {titles}"
    head = notebook.cells[0].source
    if "**You will learn to**" not in head or not 3 <= len(re.findall(r"^[-*] ", head, re.MULTILINE)) <= 5:
        yield "the first cell needs **You will learn to** and three to five objectives"
    if "minutes of study" not in head:
        yield "the first cell needs the time it takes, as in *About 60 minutes of study.*"
    for name in ("Recap", "Quiz", "Further reading"):
        if name not in headings:
            yield f"it needs a section `## {name}`"
    exercises = f"../exercises/{path.stem}/{path.stem}.ipynb"
    if (path.parent / exercises).exists() and not text.find("a", href=exercises):
        yield f"it needs a link to {exercises}"
    later = [lesson.name for lesson in path.parent.glob("[0-9][0-9]_*.ipynb") if lesson.name > path.name]
    if later and f"\nNext: [{min(later)}]({min(later)})" not in notebook.cells[-1].source:
        yield f"it needs `Next: [{min(later)}]({min(later)})` at its end"
    if "Quiz" in headings and len(headings["Quiz"].find_all_next("details")) != 3:
        yield "the quiz needs three questions with folded answers"


def _text(text: BeautifulSoup, html: str) -> Iterator[str]:
    level = 0
    for heading in text.find_all(re.compile("^h[1-6]$")):
        if int(heading.name[1]) > level + 1:
            yield f"the heading {_title(heading)!r} skips a level"
        level = int(heading.name[1])
    for picture in text.find_all("img"):
        if not picture.get("alt", "").strip():
            yield f"the picture {picture.get('src')} has no alt text"
    if len(re.findall(r"<details\b", html)) != html.count("</details>"):
        yield "a <details> is not closed, or closed twice"
    if any(details.find("summary") is None for details in text.find_all("details")):
        yield "a <details> has no <summary>"


def _links(text: BeautifulSoup, path: Path) -> Iterator[str]:
    for element in text.find_all(["a", "img"]):
        target = element.get("href") or element.get("src") or ""
        if "anchor-link" in element.get("class", []) or re.match(r"https://|mailto:|data:", target):
            continue
        if not target or "://" in target or not (path.parent / target.partition("#")[0]).exists():
            yield f"the link to {target!r} leads nowhere"


def _promises(text: BeautifulSoup, path: Path) -> Iterator[str]:
    """A lesson that is named exists."""
    there = {lesson.name[:2] for lesson in path.parent.glob("[0-9][0-9]_*.ipynb")}
    for numbers in re.findall(r"\b[Ll]essons? ((?:\d\d(?:, | and | to )?)+)", text.get_text(" ")):
        for number in re.findall(r"\d\d", numbers):
            yield from [] if number in there else [f"there is no lesson {number}"]


def _names(notebook: nbformat.NotebookNode, text: BeautifulSoup, path: Path) -> Iterator[str]:
    """In `code`: simmim_lab.masking.to_pixels, masking.to_pixels if masking is imported, simmim_lab/masking.py."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imported = re.findall(r"^from simmim_lab import (.+)", code, re.MULTILINE)
    modules = {name for line in imported for name in line.split(", ") if isinstance(_find(name), ModuleType)}
    for span in text.find_all("code"):
        name = re.match(r"(?:simmim_lab\.)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", span.text)
        dotted = name[0].removeprefix("simmim_lab.") if name else ""
        if dotted and (dotted != name[0] or dotted.split(".")[0] in modules) and _find(dotted) is None:
            yield f"there is no `simmim_lab.{dotted}`"
        if re.fullmatch(r"(?:simmim_lab|tests|benchmarks|results|notebooks)/[\w./]+", span.text):
            yield from [] if (path.parents[1] / span.text).exists() else [f"there is no file `{span.text}`"]


def _claims(notebook: nbformat.NotebookNode, text: BeautifulSoup, path: Path) -> Iterator[str]:
    """A number with a unit is printed or set by a cell, or stands in results/, or has its source beside it."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cells = "\n".join(f"{cell.source}\n{output_text(cell)}\n" for cell in code)
    results = "\n".join(file.read_text(encoding="utf-8") for file in (path.parents[1] / "results").glob("*.json"))
    known = {_value(number) for number in re.findall(NUMBER, cells + results)}
    known |= {100 * value for value in known}  # 0.6 is 60 %
    for span in text.find_all(["pre", "code"]):
        span.clear()
    for block in text.find_all(["p", "li", "tr", "summary"]):
        words = block.get_text(" ")
        for claim in CLAIM.finditer(words) if not SOURCE.search(words) else ():
            half = 0.5001 * 10.0 ** -len(claim[1].partition(".")[2])
            if not any(abs(value - _value(claim[1])) <= half for value in known):
                yield f"no cell, result or source has {claim[0]!r}: {' '.join(words.split())[:100]}"


def turn_of(cell: nbformat.NotebookNode) -> str | None:
    """The task of a "your turn" cell; None of another cell."""
    named = re.search(r"^(\w+) = check\.yours_or_ours\(\1\)$", cell.source, re.MULTILINE)
    return named[1] if named and YOUR_TURN in cell.metadata.get("tags", []) else None


def _turns(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """A "your turn" cell is stored untouched: with the stub of a lesson's task, described as in its solution."""
    for number, cell in enumerate(notebook.cells, 1):
        if YOUR_TURN not in cell.metadata.get("tags", []):
            if "yours_or_ours" in cell.source:
                yield f"cell {number} needs the tag `{YOUR_TURN}`"
            continue
        name = turn_of(cell)
        if name not in checks.TASKS or not (solution := checks.TASKS[name].solution):
            yield f"cell {number} must end in `f = check.yours_or_ours(f)`, where f is a task with a solution"
            continue
        stub = _function(cell.source, name)
        if stub is None or not ast.unparse(stub).endswith("raise NotImplementedError"):
            yield f"cell {number} needs the stub of {name}, with a docstring and `raise NotImplementedError`"
        elif _described(stub) != _described(_function(source_of(solution), solution.__name__)):
            yield f"cell {number} needs the signature and the docstring that the solution of {name} has"
        if "Your turn: write" not in output_text(cell):
            yield f"cell {number} is not stored untouched: run `make notebooks`"


def source_of(function: Callable) -> str:
    """The source of a function, from its first column on."""
    return textwrap.dedent(inspect.getsource(inspect.unwrap(function)))


def _function(source: str, name: str) -> ast.FunctionDef | None:
    found = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == name
    )
    return next(found, None)


def _described(function: ast.FunctionDef) -> tuple[str, ...]:
    """Name, signature and docstring of a function."""
    returns = ast.unparse(function.returns) if function.returns else ""
    return function.name, ast.unparse(function.args), returns, ast.get_docstring(function) or ""


def _guesses(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """A guess is asked before its answer: a number is printed by one of the next two cells with code."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        for name in re.findall(r"check\.guess\(\"([^\"]+)\"", cell.source):
            if name not in checks.GUESSES:
                yield f"there is no question {name!r}"
            elif not isinstance(answer := checks.GUESSES[name].answer, str):
                printed = re.findall(NUMBER, "\n".join(map(output_text, code[number + 1 : number + 3])))
                shown = {_value(text) for text in printed}
                if not any(abs(value - scale * answer) <= 1e-9 * answer for value in shown for scale in (1, 100)):
                    yield f"no cell after the guess {name!r} prints its answer, {answer:,}"


def _title(heading) -> str:
    return heading.get_text().removesuffix("¶")


def _find(name: str) -> object | None:
    try:
        return resolve_name(f"simmim_lab.{name}")
    except (ImportError, AttributeError, ValueError):
        return None


def _value(number: str) -> float:
    return float(number.replace(",", ""))


if __name__ == "__main__":  # for authors: python -m simmim_lab.teaching.rules notebooks/01_masking.ipynb
    import sys

    for name in sys.argv[1:]:
        print(*problems(Path(name).resolve()), sep="\n")
