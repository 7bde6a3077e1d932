"""What a student did to the cells of an exercise: the answers stand in the instructor's notebook all the same."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from answers import RIGHT, WRONG, source

from simmim_lab.teaching.collecting.reading import read
from simmim_lab.teaching.grading.cells import functions, python
from simmim_lab.teaching.grading.graft import graft

pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
from simmim_lab.teaching.course import released

ROOT = Path(__file__).parents[1]
SET, TASK, OTHER, WRITTEN = "01_masking", "masks_of_ratios", "patch_shares", "high_ratio"
GOOD, BAD = source(RIGHT[TASK][1], TASK), source(WRONG[TASK][0][0], TASK)
ELSE = source(RIGHT[OTHER][0], OTHER)
TEXT = "Because neighbours are alike."

Notebook = dict


def code(text: str) -> dict:
    return {
        "cell_type": "code",
        "id": "new",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": text,
    }


def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "id": "new", "metadata": {}, "source": text}


def named(notebook: Notebook, name: str) -> dict:
    [cell] = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name]
    return cell


def place(notebook: Notebook, name: str) -> int:
    return notebook["cells"].index(named(notebook, name))


def handed_in() -> Notebook:
    notebook = json.loads((ROOT / "exercises" / SET / f"{SET}.ipynb").read_text(encoding="utf-8"))
    for name, text in ((TASK, GOOD), (OTHER, ELSE), (WRITTEN, TEXT)):
        named(notebook, name)["source"] = text
    return notebook


def grafted(notebook: Notebook) -> tuple[nbformat.NotebookNode, list[str]]:
    base = released(ROOT, SET, hidden_tests=True)
    made, notes = graft(base, nbformat.from_dict(read(json.dumps(notebook).encode())))
    nbformat.validate(made)
    ids = [cell.id for cell in made.cells]
    assert len(ids) == len(set(ids))
    own = [cell for cell in made.cells if "student" not in cell.metadata or "nbgrader" in cell.metadata]
    for cell, original in zip(own, base.cells, strict=True):  # all that is the instructor's is as it was
        mark = original.metadata.get("nbgrader", {})
        assert cell.metadata.get("nbgrader", {}) == mark and cell.cell_type == original.cell_type
        assert mark.get("solution") or cell.source == original.source
    return made, notes


def answer(notebook: nbformat.NotebookNode, name: str = TASK) -> str:
    return named(notebook, name).source


def duplicated(notebook):
    twin = copy.deepcopy(named(notebook, TASK))
    named(notebook, TASK)["source"] = BAD
    notebook["cells"].insert(place(notebook, TASK) + 1, twin)


def retyped(notebook):
    cell = named(notebook, TASK)
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


def raw(notebook):
    retyped(notebook)
    named(notebook, TASK)["cell_type"] = "raw"


def split(notebook):
    half = copy.deepcopy(named(notebook, TASK))
    half["source"] = "HELPER = 1"
    notebook["cells"].insert(place(notebook, TASK) + 1, half)


def cut_in_the_middle(notebook):
    cell, half = named(notebook, TASK), copy.deepcopy(named(notebook, TASK))
    first, *rest = GOOD.splitlines()
    cell["source"], half["source"] = first, "\n".join(rest)
    notebook["cells"].insert(place(notebook, TASK) + 1, half)


def without_metadata(notebook):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def without_ids(notebook):
    notebook["nbformat_minor"] = 0
    for cell in notebook["cells"]:
        del cell["id"], cell["metadata"]


def same_ids(notebook):
    for cell in notebook["cells"]:
        cell["id"] = "same"


def moved_to_the_end(notebook):
    notebook["cells"].append(notebook["cells"].pop(place(notebook, TASK)))


def reversed_order(notebook):
    notebook["cells"].reverse()


def deleted_and_written_anew(notebook):
    notebook["cells"][place(notebook, TASK)] = code(GOOD)


def written_into_the_check(notebook):
    named(notebook, f"{TASK}-check")["source"] = GOOD
    named(notebook, TASK)["source"] = ""


def swapped(notebook):
    named(notebook, TASK)["source"], named(notebook, OTHER)["source"] = ELSE, GOOD


def easier_test(notebook):
    cell = named(notebook, f"{TASK}-check")
    cell["source"], cell["metadata"]["nbgrader"]["points"] = "pass", 100


def forged_cell(notebook):
    forged = code("raise SystemExit")
    forged["metadata"] = {"student": False, "nbgrader": {**MARK, "grade_id": "free-points", "points": 100}}
    notebook["cells"].insert(3, forged)


def taken_name(notebook):
    forged = code("HELPER = 1")
    forged["metadata"] = {"nbgrader": {**MARK, "grade_id": f"{OTHER}-check", "points": 100}}
    notebook["cells"].insert(0, forged)


def other_kernel(notebook):
    notebook["metadata"] = {"kernelspec": {"name": "xeus-sas", "display_name": "?", "language": "sas"}}


def lists(notebook):
    for cell in notebook["cells"]:
        cell["source"] = cell["source"] if isinstance(cell["source"], list) else cell["source"].splitlines(True)


def nbformat_3(notebook):
    sheet = []
    for cell in notebook["cells"]:
        is_code = cell["cell_type"] == "code"
        sheet.append({"cell_type": cell["cell_type"], "input" if is_code else "source": cell["source"]})
    notebook |= {"nbformat": 3, "worksheets": [{"cells": sheet}]}
    del notebook["cells"]


def with_magics(notebook):
    named(notebook, TASK)["source"] = f"%%time\n{GOOD}"


def with_a_syntax_error(notebook):
    named(notebook, TASK)["source"] = f"{GOOD}\nprint(("


def a_lambda(notebook):
    named(notebook, TASK)["source"] = f"{TASK} = lambda ratios: ratios"


MARK = {"grade": True, "locked": True, "schema_version": 3, "solution": False, "task": False, "cell_type": "code"}


@pytest.mark.parametrize(
    "change, note",
    [
        (lambda notebook: None, None),
        (duplicated, "2 cells define it"),
        (retyped, "had become markdown"),
        (raw, "had become raw"),
        (split, None),
        (cut_in_the_middle, None),
        (without_metadata, None),
        (without_ids, None),
        (same_ids, None),
        (moved_to_the_end, None),
        (reversed_order, None),
        (deleted_and_written_anew, None),
        (written_into_the_check, None),
        (swapped, None),
        (easier_test, None),
        (forged_cell, None),
        (taken_name, None),
        (other_kernel, None),
        (lists, None),
        (nbformat_3, None),
        (with_magics, None),
        (with_a_syntax_error, None),
        (a_lambda, None),
    ],
)
def test_an_answer_survives_what_happened_to_its_cell(change: Callable, note: str | None):
    notebook = handed_in()
    change(notebook)
    made, notes = grafted(notebook)
    wanted = {with_magics: f"%%time\n{GOOD}", with_a_syntax_error: f"{GOOD}\nprint(("}.get(change, GOOD)
    assert TASK in answer(made) if change is a_lambda else answer(made).strip() == wanted.strip()
    assert answer(made, OTHER).strip() == ELSE.strip() and TEXT in answer(made, WRITTEN)
    assert [note in text for text in notes] == ([True] if note else [])


def test_what_was_not_touched_is_the_exercise_as_it_was_handed_out():
    path = ROOT / "exercises" / SET / f"{SET}.ipynb"
    made, notes = grafted(json.loads(path.read_text(encoding="utf-8")))
    assert made == released(ROOT, SET, hidden_tests=True) and not notes
    assert nbformat.read(path, as_version=4) == released(ROOT, SET)


def test_a_deleted_answer_counts_as_not_written():
    notebook = handed_in()
    notebook["cells"].remove(named(notebook, TASK))
    made, notes = grafted(notebook)
    assert "raise NotImplementedError" in answer(made)
    assert notes == [f"{TASK}: its cell was deleted; it counts as not answered"]


def test_cells_that_a_student_adds_stay_where_they_were():
    notebook = handed_in()
    notebook["cells"].insert(place(notebook, TASK), code("import numpy as np  # mine"))
    notebook["cells"].insert(place(notebook, TASK) + 1, markdown("A thought."))
    notebook["cells"].insert(place(notebook, f"{TASK}-check") + 1, code("after = 1"))
    notebook["cells"].insert(0, code("first = 1"))
    made, _ = grafted(notebook)
    texts = [cell.source for cell in made.cells]
    [thought] = [text for text in texts if "A thought." in text]
    check = named(made, f"{TASK}-check").source
    order = ["first = 1", "import numpy as np  # mine", answer(made), thought, check, "after = 1"]
    assert [texts.index(text) for text in order] == sorted(texts.index(text) for text in order)
    assert texts[0] == "first = 1"
    assert all(cell.metadata.get("student") for cell in made.cells if cell.source in (*order[:4], order[5]))


def test_an_earlier_try_runs_before_the_later_one():
    notebook = handed_in()
    duplicated(notebook)
    made, _ = grafted(notebook)
    texts = [cell.source for cell in made.cells]
    assert texts.index(BAD) < texts.index(answer(made))


def test_a_try_below_the_check_stays_there():
    notebook = handed_in()
    twin = copy.deepcopy(named(notebook, TASK))
    twin["source"] = BAD
    notebook["cells"].insert(place(notebook, f"{TASK}-check") + 1, twin)
    made, _ = grafted(notebook)
    texts = [cell.source for cell in made.cells]
    assert answer(made) == GOOD and texts.index(named(made, f"{TASK}-check").source) < texts.index(BAD)


def test_a_whole_notebook_in_one_cell_is_found():
    one = {"nbformat": 4, "cells": [code(f"{GOOD}\n\n{ELSE}")]}
    made, _ = grafted(one)
    assert GOOD in answer(made, OTHER) and ELSE in answer(made, OTHER)
    assert answer(made) == f"# {TASK} is written in the cell of {OTHER}"  # else the empty one would come after it


def test_a_definition_in_the_cell_of_another_answer_is_not_undone_by_the_empty_cell():
    notebook = handed_in()
    named(notebook, OTHER)["source"] = f"{ELSE}\n\n{GOOD}"
    named(notebook, TASK)["source"] = released_text(TASK)
    made, _ = grafted(notebook)
    assert answer(made).startswith("#") and "raise" not in answer(made)


def released_text(name: str) -> str:
    return named(released(ROOT, SET), name).source


@pytest.mark.parametrize("kind", [markdown, code])
def test_a_written_answer_beside_its_cell_is_not_lost(kind):
    notebook = handed_in()
    named(notebook, WRITTEN)["source"] = released_text(WRITTEN)
    notebook["cells"].append(kind(f"{TEXT} I think."))
    made, _ = grafted(notebook)
    assert TEXT in answer(made, WRITTEN)


def test_a_written_answer_in_two_cells_is_one():
    notebook = handed_in()
    half = copy.deepcopy(named(notebook, WRITTEN))
    half["source"] = "Second half."
    notebook["cells"].append(half)
    made, _ = grafted(notebook)
    assert re.search(rf"{TEXT}.*Second half\.", answer(made, WRITTEN), re.DOTALL)


def test_text_of_a_student_does_nothing_on_a_page():
    notebook = handed_in()
    named(notebook, WRITTEN)["source"] = "<script>alert(1)</script> $\\href{javascript:alert(1)}{x}$ text"
    notebook["cells"].insert(2, markdown('<img src=x onerror="alert(1)">'))
    made, _ = grafted(notebook)
    texts = "".join(cell.source for cell in made.cells if cell.metadata.get("student"))
    assert "<script" not in texts and "<img" not in texts and "href=" not in texts and "text" in texts


def test_a_notebook_without_cells_has_no_answers_and_no_complaints():
    made, notes = graft(released(ROOT, SET, hidden_tests=True), nbformat.v4.new_notebook())
    assert made == released(ROOT, SET, hidden_tests=True) and not notes


@pytest.mark.parametrize(
    "text, found",
    [
        ("def f(): pass\nclass A:\n    def g(self): pass", ["f"]),
        ("@cache\nasync def f(): pass", ["f"]),
        ("g = f = lambda x: x", ["g", "f"]),
        ("f = h", ["f"]),
        ("f = 3", []),
        ("%%time\ndef f(): pass", ["f"]),
        ("!ls\ndef f(): pass", ["f"]),
        ("def f(x:\n  pass", ["f"]),
        ("%%bash\ndef f(): pass", []),
        ('"""\ndef f(): pass\n"""', []),
        ("(" * 5000, []),
        ("def f(): pass\n" + "x = 1\n" * 20_000, ["f"]),
    ],
)
def test_the_functions_of_a_cell(text, found):
    assert functions(nbformat.v4.new_code_cell(text)) == found


@pytest.mark.parametrize("text", ["%%time\n" * 10_000 + "x(", "\n" * 90_000 + "(", "!ls\n" * 20_000, "-" * 90_000])
def test_taking_a_cell_apart_ends_whatever_it_holds(text):
    python(text)


def test_what_is_python_stays_as_it_is():
    text = 'print("%d"\n      % 3)'
    assert python(text) == text
    assert "run_line_magic" in python("x = 1\n%matplotlib inline")
