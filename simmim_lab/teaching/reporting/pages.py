"""The page of feedback that a student gets: one file without scripts, which asks the net for nothing.

nbgrader's `generate_feedback` and the button in formgrader write it (nbgrader_config.py names `Feedback`).
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup
from nbconvert.exporters import Exporter
from nbgrader.preprocessors import GetGrades
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer

from simmim_lab.teaching.reporting.inert import START, attachments, harmless, picture, plain
from simmim_lab.teaching.reporting.templates import template

if TYPE_CHECKING:
    from nbformat import NotebookNode

HEADING = re.compile(r"\s*(##?) (.+)")
COLOURED = 5_000  # characters of code
STYLE = "xcode"  # of Pygments: the one whose colours all have a contrast of 4.5 : 1


class Points(GetGrades):
    """Points and comments from the gradebook, and whether a person has still to give some."""

    def _get_score(self, cell: "NotebookNode", resources: dict) -> None:
        super()._get_score(cell, resources)
        name = cell.metadata.nbgrader.grade_id
        grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        cell.metadata.nbgrader.waiting = grade.needs_manual_grade


class Feedback(Exporter):
    """A graded notebook as a page for its student."""

    file_extension = ".html"

    def from_notebook_node(self, nb: "NotebookNode", resources: dict | None = None, **options) -> tuple[str, dict]:
        """The page and nbconvert's resources; nbgrader's part of these needs what `Points` has found."""
        notebook, resources = super().from_notebook_node(nb, resources, **options)
        return page(notebook, resources["nbgrader"]), resources


def page(notebook: "NotebookNode", grades: dict) -> str:
    """The HTML of a graded notebook, without the sources of its tests.

    grades: nbgrader's `student`, `notebook`, `score`, `max_score` (points) and `late_penalty` (points, or 0).
    """
    title, parts, heading = grades["notebook"], [], ""
    for cell in notebook.cells:
        own = cell.cell_type == "markdown" and cell.source.startswith(START)
        if cell.cell_type == "markdown" and not own and (found := HEADING.match(cell.source)):
            if found[1] == "#":
                title, cell.source = found[2], cell.source[found.end() :]
            else:
                heading = found[2]
        if cell.cell_type == "markdown" or cell.metadata.get("student") or "nbgrader" in cell.metadata:
            parts.append(_part(cell, heading, own))
    tasks = [part for part in parts if part["graded"]]
    remarks = notebook.metadata.get("remarks", [])
    return template("feedback.html.j2").render(
        grades, title=title, parts=parts, tasks=tasks, remarks=remarks, colours=_colours()
    )


def _part(cell: "NotebookNode", heading: str, own: bool) -> dict:
    """What the template shows of a cell; `own`: its text is a student's, and was made inert."""
    mark = cell.metadata.get("nbgrader", {})
    graded, waiting = bool(mark.get("grade")), bool(mark.get("waiting"))
    outputs = [_output(output) for output in cell.get("outputs", [])]
    if cell.cell_type == "markdown":
        shown = Markup(cell.source if own else harmless(cell.source, attachments(cell), headings=True))
    else:
        shown = Markup(highlighted(cell.source))
    return {
        "id": mark.get("grade_id"),
        "heading": heading or mark.get("grade_id"),
        "answer": bool(mark.get("solution")),
        "graded": graded,
        "waiting": waiting,
        "lost": graded and not waiting and mark["score"] < mark["points"],
        "points": ("to be graded" if waiting else f"{mark['score']:g} of {mark['points']:g}") if graded else "",
        "comment": Markup(harmless(mark["comment"])) if mark.get("comment") else "",
        "shown": shown,
        "outputs": outputs,
        "missed": [claim for output in outputs for claim in output["missed"]],
    }


def _output(output: "NotebookNode") -> dict:
    """The text or the picture of an output, and of a check that failed the properties that do not hold."""
    data, missed = output.get("data", {}), []
    text = plain(output.get("text") or data.get("text/plain") or "")
    if output.output_type == "error":
        text = plain(f"{output.ename}: {output.evalue}" if output.evalue else "\n".join(output.traceback))
        missed = re.findall(r"(?m)^\s*✗ (.+)", text) or text.strip().splitlines()[:1]
    image = picture(data["image/png"]) if "image/png" in data else None
    alt = output.get("metadata", {}).get("alt") or "a figure that the code drew"
    return {"text": text, "image": image, "alt": alt, "missed": missed}


def highlighted(source: str, language: str = "", metadata: dict | None = None) -> str:
    """Code as HTML in colours, if it is short: for some texts Pygments takes time with the square of their length.

    It stands in for nbconvert's filter of the same arguments, of which only the first counts.
    """
    code = "\n".join(line.rstrip() for line in plain(source).split("\n"))
    lexer = PythonLexer() if len(code) <= COLOURED else TextLexer()
    return highlight(code, lexer, HtmlFormatter(style=STYLE))


@cache
def _colours() -> Markup:
    return Markup(HtmlFormatter(style=STYLE).get_style_defs(".highlight"))
