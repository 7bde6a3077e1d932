"""Instructors: a download becomes one sound notebook per student, and one of them never stops the grading."""

import copy
import csv
import io
import os
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from answers import RIGHT, WRONG, source, words

from simmim_lab.teaching import cli, grading
from simmim_lab.teaching.collect import collect
from simmim_lab.teaching.graft import graft

ROOT = Path(__file__).parents[1]
SET = "01_masking"
TASK = "masks_of_ratios"
WRITTEN = "high_ratio"


def released(name: str = SET) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)


GOOD, BAD = source(RIGHT[TASK][1], TASK), source(WRONG[TASK][0][0], TASK)


def find(notebook: nbformat.NotebookNode, grade_id: str = TASK) -> nbformat.NotebookNode:
    [cell] = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
    return cell


def submission(text: str = GOOD, edit=None) -> nbformat.NotebookNode:
    notebook = released()
    find(notebook).source = text
    find(notebook, WRITTEN).source = "Because neighbours are alike."
    if edit:
        edit(notebook)
    return notebook


def data(notebook: nbformat.NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()


def put(path: Path, content: bytes, when: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if when:
        os.utime(path, (when, when))
    return path


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def course(tmp_path) -> Path:
    """A copy of what grading needs: one exercise set, and the configuration."""
    root = tmp_path / "course"
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder / SET, root / folder / SET)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "notebooks").mkdir()
    return root


def duplicate(notebook):
    cell = find(notebook)
    twin = copy.deepcopy(cell)
    cell.source, twin.id = BAD, "twin"
    notebook.cells.insert(notebook.cells.index(cell) + 1, twin)


def delete(notebook):
    notebook.cells.remove(find(notebook))


def retype(notebook):
    cell = find(notebook)
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]


def split(notebook):
    cell = find(notebook)
    half = copy.deepcopy(cell)
    half.id, half.source = "half", "HELPER = 1"
    notebook.cells.insert(notebook.cells.index(cell) + 1, half)


def strip(notebook):
    for cell in notebook.cells:
        cell.metadata = {}


def move(notebook):
    cell = find(notebook)
    notebook.cells.remove(cell)
    notebook.cells.append(cell)


def cheat(notebook):
    find(notebook, f"{TASK}-check").source = "pass"


def keep(notebook):
    pass


@pytest.mark.parametrize(
    "edit, note",
    [
        (keep, None),
        (duplicate, "2 cells answer it"),
        (retype, "had become markdown"),
        (split, None),
        (strip, None),
        (move, None),
        (cheat, None),
    ],
)
def test_an_answer_survives_what_happened_to_its_cell(edit, note):
    notebook, notes = graft(released(), submission(edit=edit))
    assert find(notebook).source == GOOD and find(notebook).cell_type == "code"
    assert find(notebook, f"{TASK}-check").source == find(released(), f"{TASK}-check").source
    assert find(notebook, WRITTEN).source == "Because neighbours are alike."
    assert [note in text for text in notes] == ([True] if note else [])
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


def test_a_deleted_cell_counts_as_not_answered():
    notebook, notes = graft(released(), submission(edit=delete))
    assert "raise NotImplementedError" in find(notebook).source and "was deleted" in notes[0]


def test_cells_that_a_student_adds_are_kept_where_they_were():
    def add(notebook):
        place = notebook.cells.index(find(notebook))
        notebook.cells.insert(place, nbformat.v4.new_code_cell("import numpy as np  # mine"))
        notebook.cells.insert(place + 2, nbformat.v4.new_markdown_cell("A thought."))

    notebook, _ = graft(released(), submission(edit=add))
    texts = [cell.source for cell in notebook.cells]
    assert texts.index("import numpy as np  # mine") < texts.index(GOOD) < texts.index("A thought.")
    assert len(notebook.cells) == len(released().cells) + 2


HOSTILE = 'raise ValueError("<script>alert(1)</script>")\n'


def test_a_class_is_graded_whatever_one_of_them_does(course, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    inbox = tmp_path / "inbox"
    warns = GOOD.replace("    rows", "    import warnings; warnings.warn('')\n    rows", 1)
    put(inbox / "right" / "a.ipynb", data(submission(warns)))
    put(inbox / "wrong" / "a.ipynb", data(submission(BAD)))
    put(inbox / "dies" / "a.ipynb", data(submission("import os\nos._exit(1)\n" + GOOD)))
    put(inbox / "hostile" / "a.ipynb", data(submission(HOSTILE + GOOD, retitle)))
    put(inbox / "broken" / f"{SET}.ipynb", b"{")
    monkeypatch.setattr(cli, "course_folder", lambda: course)

    assert cli.main(["collect", str(inbox)]) == 0
    assert cli.main(["export"]) == 0  # points come with the grading
    assert "right,collected," in (course / "grading" / "grades" / f"{SET}.csv").read_text(encoding="utf-8")
    assert cli.main(["grade"]) == 1  # one of them died
    assert "dies, 01_masking: DeadKernelError" in capsys.readouterr().out
    assert cli.main(["feedback", SET]) == 1
    assert "dies, 01_masking: not graded yet" in capsys.readouterr().out
    assert cli.main(["export"]) == 0

    with open(course / "grading" / "grades" / f"{SET}.csv", encoding="utf-8") as lines:
        rows = {row["student"]: row for row in csv.DictReader(lines)}
    points = {student: float(row[TASK]) for student, row in rows.items()}
    full = points["right"]
    assert full > 0
    assert points == {"right": full, "wrong": 0, "dies": 0, "hostile": 0, "broken": 0}
    assert rows["dies"]["status"].startswith("not graded: DeadKernelError")
    assert rows["broken"]["status"] == "unreadable"
    assert rows["right"]["status"] == "written answers to grade"
    asked = [
        cell.metadata.nbgrader.grade_id
        for cell in released().cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    ]
    assert list(rows["right"])[5:] == [name.removesuffix("-check") for name in asked]
    assert float(rows["right"]["max_score"]) > full

    page = (course / "grading/feedback/hostile/01_masking/01_masking.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page
    page = (course / "grading/feedback/wrong/01_masking/01_masking.html").read_text(encoding="utf-8")
    assert "is it a coin for each patch?" in words(page) and "HIDDEN TESTS" not in page and "core.py" not in page


def retitle(notebook):
    notebook.cells.append(nbformat.v4.new_markdown_cell("<img src=x onerror=alert(1)><script>alert(2)</script>"))


def test_only_what_is_new_is_graded(course, tmp_path, monkeypatch):
    """nbgrader is stood in for: what it is asked to grade is what counts here."""

    def done(*_, **__):
        return {"success": True}

    monkeypatch.setattr(grading, "nbgrader", lambda root: SimpleNamespace(autograde=done, generate_feedback=done))
    monkeypatch.setattr(grading, "release", lambda root, name: None)
    put(tmp_path / "inbox" / "ann" / "a.ipynb", data(submission(BAD)), when=1_000_000_000)
    put(tmp_path / "inbox" / "bob" / "a.ipynb", data(submission(BAD)), when=1_000_000_000)
    collect(course, tmp_path / "inbox")
    assert grading.grade(course, [])[0] == 2
    collect(course, tmp_path / "inbox")
    assert grading.grade(course, [])[0] == 0
    shutil.rmtree(course / "grading" / "submitted" / "bob")  # as INSTRUCTORS.md removes a student
    collect(course, tmp_path / "inbox")
    assert (course / "grading" / "submitted" / "bob" / SET).is_dir(), "and the next collect takes him in again"
    assert grading.grade(course, [])[0] == 1
    put(tmp_path / "inbox" / "ann" / "b.ipynb", data(submission()), when=1_700_000_000)
    collect(course, tmp_path / "inbox")
    assert grading.feedback(course, []) == ["ann, 01_masking: not graded yet"]
    assert grading.grade(course, []) == (1, [])


def test_grading_without_submissions_says_what_to_do(course, monkeypatch, capsys):
    monkeypatch.setattr(cli, "course_folder", lambda: course)
    assert cli.main(["grade"]) == 2
    assert "simmim-course collect" in capsys.readouterr().err
    assert cli.main(["grade", "01_maskin"]) == 2
    assert "did you mean '01_masking'" in capsys.readouterr().err
