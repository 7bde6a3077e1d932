"""Graft: the answers of a submission, set into the instructor's notebook, which alone says what is asked."""

import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from simmim_lab.teaching.grading.cells import functions, grade_id, is_answer, is_python, python
from simmim_lab.teaching.reporting.inert import inert

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass
class _Piece:
    """A cell of a submission, the place of the cell that it stands behind, and the answer that it claims to be."""

    cell: "NotebookNode"
    place: int
    claims: str | None
    defines: list[str] = field(init=False)
    answers: str | None = None

    def __post_init__(self):
        self.defines = functions(self.cell)


def graft(base: "NotebookNode", submitted: "NotebookNode") -> tuple["NotebookNode", list[str]]:
    """The notebook `base` with the answers and extra cells of a submission, and notes on what was odd.

    base: what `course.released` made. submitted: of it only texts and pictures are taken; names in its metadata
    are hints of the place.

    An answer is found by the function that it defines, a written one by its name or its place. All other cells
    stay where they are, so that what an answer needs is there. So a duplicated, deleted, split, moved or re-typed
    cell never stops the grading.
    """
    notebook, notes = copy.deepcopy(base), []
    pieces, kept = _pieces(notebook, submitted)
    for place, answer in enumerate(notebook.cells):
        if not is_answer(answer):
            continue
        name = grade_id(answer)
        defining = [piece for piece in pieces if name in piece.defines]
        is_code = answer.cell_type == "code"
        found = (_code if is_code else _written)(pieces, name, place)
        for piece in found:
            piece.answers = name
            answer.metadata["student"] = True
        if found and is_code:
            answer.source = "\n".join(piece.cell.source for piece in found)
            for piece in pieces[: pieces.index(found[0])]:  # an earlier try runs before it
                piece.place = place - 1 if piece.place == place else piece.place
        elif found:
            answer.source = "\n\n".join(_student(piece.cell, "markdown").source for piece in found)
        elif is_code and defining:
            answer.source = f"# {name} is written in the cell of {defining[-1].answers or defining[-1].claims}"
        elif place not in kept and submitted.cells:  # without cells it could not be read, which is told elsewhere
            notes.append(f"{name}: its cell was deleted; it counts as not answered")
        notes += _oddities(name, answer, found, defining)
    _insert(notebook, [piece for piece in pieces if not piece.answers])
    return notebook, notes


def _pieces(notebook: "NotebookNode", submitted: "NotebookNode") -> tuple[list[_Piece], set[int]]:
    """What a student wrote, and the places of the exercise's cells that are still there."""
    from nbgrader.preprocessors import ClearHiddenTests

    shown, _ = ClearHiddenTests().preprocess(copy.deepcopy(notebook), {})
    texts = {cell.source.strip(): place for place, cell in reversed(list(enumerate(shown.cells)))}
    names = {name: place for place, cell in enumerate(shown.cells) if (name := grade_id(cell))}
    pieces, kept, place = [], set(), -1
    for cell in submitted.cells:
        text, named = cell.source.strip(), names.get(grade_id(cell))
        if not text or text in texts:  # nothing of the student's
            place = named if named is not None else texts.get(text, place)
            kept.add(place)
        elif named is None:
            pieces.append(_Piece(cell, place, None))
        elif is_answer(shown.cells[named]):
            place = max(place, named)  # or it was moved down, and what stands behind it stays there
            pieces.append(_Piece(cell, place, grade_id(cell)))
        else:  # a check that was written into: what became of it runs before the check
            place = named
            pieces.append(_Piece(cell, place - 1, None))
    return pieces, kept


def _code(pieces: list[_Piece], name: str, place: int) -> list[_Piece]:
    """The cells that together are the answer `name`: mostly one, the last before its check with the best claim."""
    claiming = [piece for piece in pieces if piece.claims == name]
    runs_alone = all(is_python(python(piece.cell.source)) for piece in claiming)
    if not runs_alone and is_python("\n".join(piece.cell.source for piece in claiming)):
        return claiming  # one cell that was cut into two
    free = [piece for piece in pieces if name in piece.defines and not piece.answers]
    ranks: list[Callable[[_Piece], bool]] = [
        lambda piece: piece.claims == name,
        lambda piece: piece.claims is None,
        lambda piece: piece.claims not in piece.defines,  # it lies in the cell of another task
    ]
    best = next((found for rank in ranks if (found := [piece for piece in free if rank(piece)])), None)
    if best is None and not any(name in piece.defines for piece in pieces):
        best = [piece for piece in claiming if not piece.answers]
    return [piece for piece in best or () if piece.place <= place][-1:] or (best or [])[-1:]


def _written(pieces: list[_Piece], name: str, place: int) -> list[_Piece]:
    """The cells that together are a written answer; if its own was not touched, the texts beside it."""
    claiming = [piece for piece in pieces if piece.claims == name]
    beside = [piece for piece in pieces if not piece.claims and piece.place in (place - 1, place)]
    return claiming or [
        piece
        for piece in beside
        if not piece.answers and (piece.cell.cell_type != "code" or not is_python(piece.cell.source))
    ]


def _oddities(name: str, answer: "NotebookNode", found: list[_Piece], defining: list[_Piece]) -> list[str]:
    notes = []
    if len(defining) > 1:
        notes.append(f"{name}: {len(defining)} cells define it")
    if found and found[0].cell.cell_type != answer.cell_type:
        notes.append(f"{name}: its cell had become {found[0].cell.cell_type}")
    return notes


def _insert(notebook: "NotebookNode", pieces: list[_Piece]) -> None:
    """Put the other cells of a student behind those of the exercise that they stood behind."""
    behind = defaultdict(list)
    for piece in pieces:
        behind[piece.place].append(_student(piece.cell))
    notebook.cells = [*behind[-1], *chain(*([cell, *behind[place]] for place, cell in enumerate(notebook.cells)))]


def _student(cell: "NotebookNode", kind: str = "") -> "NotebookNode":
    """The text of a student's cell and nothing else, marked as such; Markdown is made harmless."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    if (kind or cell.cell_type) == "code":
        return new_code_cell(cell.source, metadata={"student": True})
    text = new_markdown_cell(cell.source, metadata={"student": True})
    if "attachments" in cell:
        text.attachments = cell.attachments
    return inert(text)
