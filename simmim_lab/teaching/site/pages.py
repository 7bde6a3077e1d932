"""What Sphinx reads: copies of the course's notebooks and documents, in the same tree, so that their links hold.

Nothing is executed: a page shows what is stored in its notebook. Pictures become files, and the picture of a
widget becomes a figure that a script of the page may bring to life.
"""

import base64
import hashlib
import inspect
import re
import shutil
from collections import Counter
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_markdown_cell, new_output

from simmim_lab import checks, widgets
from simmim_lab.teaching import hosting
from simmim_lab.teaching.course import read_notebook
from simmim_lab.teaching.site.widgets import LIVE

if TYPE_CHECKING:
    from nbformat import NotebookNode

DOCUMENTS = ("README.md", "GLOSSARY.md", "SOURCES.md", "CHANGELOG.md", "INSTRUCTORS.md")
STATIC = "static"  # the folder that Sphinx copies to _static/ as it is
FOLDED = {"setup", "parameters"}  # tags of cells that say nothing to somebody who only reads
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")  # [text](path#place)
STILL = 'A still picture of a widget. <a href="{start}">Run the lesson</a> to use it.'
BADGE = re.compile(r"^.*<!-- badge -->", re.MULTILINE)
TURN = re.compile(r"check\.yours_or_ours\((\w+)\)")
GUESS = re.compile(r'check\.guess\("([^"]+)"')


def write(root: Path, folder: Path) -> None:
    """Write the pages of the course in `root` and all files that they lead to into `folder`, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "site", folder, ignore=shutil.ignore_patterns("live", "node_modules", "package*.json"))
    waiting = [*hosting.lessons(root), *(root / name for name in DOCUMENTS)]
    written = set()
    while waiting:
        path = waiting.pop()
        if path not in written:
            written.add(path)
            waiting += _write_file(path, root, folder)


def _write_file(path: Path, root: Path, folder: Path) -> list[Path]:
    """Write one file of the course as a page, or else as it is; return the files that it links to."""
    target = folder / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".md":
        text, linked = follow(path.read_text(encoding="utf-8"), path, root)
        target.write_text(text, encoding="utf-8")
        return linked
    if path.suffix != ".ipynb":
        shutil.copyfile(path, target)
        return []
    notebook, linked = read_notebook(path), []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, found = follow(cell.source, path, root)
            linked += found
    convert(notebook, path.relative_to(root), hosting.home(root), folder / STATIC)
    nbformat.write(notebook, target)
    return linked


def follow(text: str, path: Path, root: Path) -> tuple[str, list[Path]]:
    """The Markdown of the file `path` with some links changed, and the files that its links lead to.

    A notebook is called by its title, not by its file. A folder has no page: a link to it leads to its README.md,
    else to where the course is hosted, else nowhere.
    """
    linked = []

    def change(link: re.Match) -> str:
        picture, words, address, place = link.groups(default="")
        target = (path.parent / address).resolve()
        if not target.is_relative_to(root) or not target.exists():
            return link[0]
        if target.is_dir():
            if not (target / "README.md").exists():
                url = hosting.home(root)
                return f"[{words}]({url}/{target.relative_to(root).as_posix()})" if url else words
            target, address = target / "README.md", f"{address.rstrip('/')}/README.md"
        linked.append(target)
        if words == target.name and target.suffix == ".ipynb":
            words = ""  # Sphinx writes the title of the page
        return f"{picture}[{words}]({address}{place})"

    return LINK.sub(change, text), linked


def convert(notebook: "NotebookNode", page: Path, url: str, static: Path) -> None:
    """Change a notebook into what its page shows; pictures are written into the folder `static`.

    page: where it lies in the course. url: where the course is hosted, or "".
    """
    counts = Counter()
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = BADGE.sub(how_to_run(page, url), cell.source)
        elif FOLDED & set(cell.metadata.get("tags", [])):
            cell.metadata.tags = ["hide-input"]
            if cells and cells[-1].metadata.get("tags") == cell.metadata.tags:
                cells[-1].source += f"\n\n{cell.source}"
                continue
        else:
            cell.outputs = [_picture(output, page, static, counts) for output in cell.outputs]
        cells += [cell, *(new_markdown_cell(text) for text in folded(cell.source))]
    notebook.cells = cells


def how_to_run(page: Path, url: str) -> str:
    """A line that says where the notebook of a page can be run: on Colab, too, if the course is hosted."""
    notebook, colab = "Jupyter notebook", ""
    if url:
        address = f"{url.replace('/tree/', '/blob/', 1)}/{page.as_posix()}"
        notebook = f'<a href="{address}">{notebook}</a>'
        colab = f'<a class="sl-button" href="{hosting.colab(url, page.as_posix())}">on Colab</a> or '
    return f'<p>This page is a {notebook}. Run it {colab}<a href="{_start(page)}">on your machine</a>.</p>'


def folded(source: str) -> list[str]:
    """What a page folds under a cell: the course's own solution of a "your turn", the answer to a guess."""
    solutions = [inspect.getsource(checks.TASKS[name].solution) for name in TURN.findall(source)]
    answers = [checks.GUESSES[name].told for name in GUESS.findall(source)]
    texts = [("Solution", f"```python\n{solution.rstrip()}\n```") for solution in solutions]
    texts += [("Answer", f"<p>{escape(answer)}</p>") for answer in answers]
    return [f"<details><summary>{title}</summary>\n\n{text}\n\n</details>" for title, text in texts]


def _up(page: Path) -> str:
    """From a page to the root of the site."""
    return "../" * (len(page.parts) - 1)


def _start(page: Path) -> str:
    return f"{_up(page)}README.html#start"


def _picture(output: "NotebookNode", page: Path, static: Path, counts: Counter) -> "NotebookNode":
    """An output with a picture as HTML that shows it; any other output as it is."""
    data = output.get("data", {})
    if "image/png" not in data:
        return output
    png = base64.b64decode(data["image/png"])
    name = f"pictures/{hashlib.sha256(png).hexdigest()[:16]}.png"
    (static / name).parent.mkdir(parents=True, exist_ok=True)
    (static / name).write_bytes(png)
    facts = output.metadata.get("image/png", {})
    size = "".join(f' {key}="{facts[key]}"' for key in ("width", "height") if key in facts)
    picture = f'<img src="{_up(page)}_static/{name}" alt="{escape(facts.get("alt", ""))}"{size} loading="lazy">'
    widget = data.get("text/plain", "")
    opening, caption = '<figure class="sl-picture">', ""
    if widget in widgets.__all__:
        counts[widget] += 1
        state = f"{widget}-{page.stem}-{counts[widget]}"
        if state in LIVE:
            opening = f'<figure class="sl-live" data-widget="{widget}" data-state="live/{state}.json">'
        caption = f"<figcaption>{STILL.format(start=_start(page))}</figcaption>"
    return new_output("display_data", data={"text/html": f"{opening}{picture}{caption}</figure>"})
