"""Graft: the answers of a submission, set into the instructor's notebook, which alone says what is asked."""

import ast
import copy
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode


def graft(released: "NotebookNode", submitted: "NotebookNode") -> tuple["NotebookNode", list[str]]:
    """The students' version with the answers and the extra cells of a submission, and notes on what was odd.

    Answers are found by the function they define, else by their grade_id, else by the cell before them; of several
    the last that was worked on counts. So a duplicated, deleted, split or re-typed cell never stops the grading.
    """
    notebook, notes = copy.deepcopy(released), []
    places = {grade_id(cell): place for place, cell in enumerate(notebook.cells) if is_answer(cell)}
    known = {text for cell in notebook.cells for text in (grade_id(cell), cell.source.strip())} - {None}
    held = [next((name for name in names_in(cell) if name in places), None) for cell in submitted.cells]
    behind = {notebook.cells[places[name] - 1].source: name for name in places.keys() - set(held)}
    found: dict[str, list] = {name: [] for name in places}
    extra = defaultdict(list)
    place, before = 0, ""
    for cell, name in zip(submitted.cells, held, strict=True):
        given = grade_id(cell) in known or cell.source.strip() in known
        name = name or (None if given else behind.get(before))
        before = cell.source
        if name is not None:
            found[name].append(cell)
            place = places[name]
        elif not given:
            extra[place].append(_plain(cell))
    for name, cells in found.items():
        answer = notebook.cells[places[name]]
        complete = [cell for cell in cells if name in functions(cell)] or cells
        worked = [cell for cell in complete if cell.source.strip() != answer.source.strip()]
        if not cells:
            notes.append(f"{name}: its cell was deleted; it counts as not answered")
        elif len(complete) > 1:
            notes.append(f"{name}: {len(complete)} cells answer it; the last one worked on counts")
        elif complete[0].cell_type != answer.cell_type:
            notes.append(f"{name}: its cell had become {complete[0].cell_type}")
        parts = [_plain(cell) for cell in cells if not any(cell is other for other in complete)]
        extra[places[name]][:0] = parts  # halves of a cell that was split
        if worked:
            answer.source = worked[-1].source
    for place in sorted(extra, reverse=True):
        notebook.cells[place + 1 : place + 1] = extra[place]
    return notebook, notes


def grade_id(cell: "NotebookNode") -> str | None:
    mark = cell.metadata.get("nbgrader")
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def is_answer(cell: "NotebookNode") -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def names_in(cell: "NotebookNode") -> list[str]:
    """What a cell may answer: the functions that it defines come before its grade_id."""
    return [*functions(cell), *filter(None, [grade_id(cell)])]


def functions(cell: "NotebookNode") -> list[str]:
    """The functions that a cell defines."""
    try:
        statements = ast.parse(cell.source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [statement.name for statement in statements if isinstance(statement, ast.FunctionDef)]


def _plain(cell: "NotebookNode") -> "NotebookNode":
    """The text of a cell and nothing else."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    return (new_code_cell if cell.cell_type == "code" else new_markdown_cell)(cell.source)
