"""The capstone: its template and its worked example run, go together, and leave the grading of exercises alone."""

import csv
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from simmim_lab import workspace
from simmim_lab.teaching.collecting.collect import collect
from simmim_lab.teaching.course import CAPSTONE, exercise_sets
from simmim_lab.teaching.rules import output_text

ROOT = Path(__file__).parents[1]
SHEET, TEMPLATE = ROOT / "exercises" / CAPSTONE / "README.md", ROOT / "exercises" / CAPSTONE / "capstone.ipynb"
STAFF, EXAMPLE = ROOT / "solutions" / CAPSTONE, ROOT / "solutions" / CAPSTONE / "capstone.ipynb"


def cells(path: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(path, as_version=4).cells


def printed(path: Path) -> str:
    return "\n".join(output_text(cell) for cell in cells(path) if cell.cell_type == "code")


@pytest.mark.parametrize("path", [TEMPLATE, EXAMPLE], ids=["template", "example"])
def test_it_runs_from_top_to_bottom_in_fast_mode(path, tmp_path, monkeypatch):
    monkeypatch.setenv("SIMMIM_LAB_FAST", "1")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()


def test_arms_may_have_other_models_and_equal_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMMIM_LAB_FAST", "1")
    notebook = nbformat.read(TEMPLATE, as_version=4)
    [choices] = [cell for cell in notebook.cells if "ARMS = {}" in cell.source]
    assert '"steps": 5 if FAST else 300' in choices.source
    choices.source = choices.source.replace('"steps": 5 if FAST else 300', '"seconds": 1')
    choices.source = choices.source.replace(
        "ARMS = {}", 'ARMS = {name: {"preset": name} for name in ("vit_nano", "swin_nano", "article_cnn")}'
    )
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    [training] = [cell for cell in notebook.cells if "seed {seed}" in cell.source]
    assert output_text(training).count(" dB") == 3


def test_the_example_is_the_template_with_the_learners_cells_filled_in():
    template, example = cells(TEMPLATE), cells(EXAMPLE)
    assert len(template) == len(example)
    for before, after in zip(template, example, strict=True):
        yours = "yours" in before.metadata.get("tags", [])
        assert (before.cell_type, before.metadata) == (after.cell_type, after.metadata)
        assert yours or before.source == after.source
        assert not (yours and before.cell_type == "markdown" and "..." in after.source)


def test_the_template_was_not_run_and_the_example_was():
    assert all(not cell.outputs for cell in cells(TEMPLATE) if cell.cell_type == "code")
    code = [cell for cell in cells(EXAMPLE) if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    pictures = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3 and all(output.metadata["image/png"]["alt"] for output in pictures)


@pytest.mark.parametrize("source", ["page.md", "capstone.ipynb"])
def test_every_decibel_that_the_example_tells_was_printed(source):
    if source == "page.md":
        text = (STAFF / source).read_text(encoding="utf-8")
    else:
        text = "\n".join(cell.source for cell in cells(EXAMPLE)[-4:] if cell.cell_type == "markdown")
    told = re.findall(r"[+-]?\d+\.\d\d", text)
    assert told and set(told) <= set(re.findall(r"[+-]?\d+\.\d\d", printed(EXAMPLE)))


def test_the_points_add_up_and_the_table_for_instructors_has_a_column_for_each_part():
    rows = re.findall(r"(?m)^\| ([A-Z][^|*]+?) \|[^|]+\|[^|]+\| (\d+) \|$", SHEET.read_text(encoding="utf-8"))
    parts = {part: int(points) for part, points in rows}
    assert f"| **{sum(parts.values())}** |" in SHEET.read_text(encoding="utf-8")
    with open(STAFF / "points.csv", encoding="utf-8", newline="") as file:
        [most] = csv.DictReader(file)
    assert list(most) == ["student", *parts, "Sum", "comment"]
    assert {part: int(most[part]) for part in parts} == parts and int(most["Sum"]) == sum(parts.values())


PAGES = [*SHEET.parent.glob("*.md"), *STAFF.glob("*.md"), TEMPLATE, EXAMPLE]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parents[1].name}-{path.name}")
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_learners_get_sheet_template_and_form(tmp_path):
    course, work = tmp_path / "course", tmp_path / "work"
    shutil.copytree(SHEET.parent, course / "exercises" / CAPSTONE)
    workspace.update(course, work)
    copied = {path.name for path in (work / "exercises" / CAPSTONE).iterdir()}
    assert copied == {"README.md", "capstone.ipynb", "page.md"}
    (work / "exercises" / CAPSTONE / "page.md").write_text("my page")
    (course / "exercises" / CAPSTONE / "page.md").write_text("a new form")
    workspace.update(course, work)
    assert (work / "exercises" / CAPSTONE / "page.md").read_text() == "my page"


def test_it_is_no_exercise_set_and_collecting_leaves_it_out(tmp_path):
    assert CAPSTONE not in exercise_sets(ROOT)
    root, inbox = tmp_path / "course", tmp_path / "inbox"
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder / "01_masking", root / folder / "01_masking")
    (inbox / "jane").mkdir(parents=True)
    notebook = nbformat.read(TEMPLATE, as_version=4)
    stub = next(cell for cell in cells(ROOT / "exercises/01_masking/01_masking.ipynb") if "def " in cell.source)
    notebook.cells.append(nbformat.v4.new_code_cell(stub.source))  # a task of an exercise set, defined again
    notebook.cells[0].metadata["tags"] = 5  # nothing in an inbox is trusted
    nbformat.write(notebook, inbox / "jane" / "my study.ipynb")
    outcome = collect(root, inbox)
    assert any(
        "my study.ipynb: a capstone, which is graded by hand" in line for line in outcome.known + outcome.needed
    )
    assert not (root / "grading" / "submitted").exists()
