"""The lessons in a real browser: exported pages are accessible, and JupyterLab runs them."""

from pathlib import Path

import nbformat
import pytest
import tiny_lesson

from simmim_lab.teaching import hosting
from simmim_lab.teaching.accessibility import NO_ALT, violations
from simmim_lab.teaching.jupyterlab import notebook, server
from simmim_lab.teaching.lessons import METADATA

ROOT = Path(__file__).parents[1]
LESSONS = hosting.lessons(ROOT)
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@each_lesson
def test_an_exported_lesson_is_accessible(path, browser):
    assert violations(path, browser) == []


@pytest.mark.parametrize(
    ("markdown", "complaint"),
    [
        ('<img src="photo.png">', NO_ALT),
        ("[](https://example.org)", "link-name"),
        ('<span style="color: #bbb">grey</span>', "color-contrast"),
        ("##### Deep", "heading-order"),
    ],
)
def test_inaccessible_content_is_found(tmp_path, browser, markdown, complaint):
    path = tiny_lesson.write(tmp_path)
    assert violations(path, browser) == []
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].source += f"\n\n{markdown}"
    nbformat.write(notebook, path)
    [found] = violations(path, browser)
    assert found.startswith(complaint)


def test_an_output_without_alt_text_is_found(tmp_path, browser):
    path = tiny_lesson.write(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[5].outputs[0].metadata.clear()
    nbformat.write(notebook, path)
    assert violations(path, browser) == [NO_ALT]


ERRORS = (
    '[data-mime-type*="stderr"], [data-mime-type*="error"], .jp-OutputArea-output:has-text("Error displaying")'
)


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """The address of a JupyterLab in fast mode, with copies of the lessons that have not been run."""
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    for path in LESSONS:
        lesson = nbformat.read(path, as_version=4)
        for cell in lesson.cells:
            if cell.cell_type == "code":
                cell.execution_count, cell.outputs = None, []
        nbformat.write(lesson, root / path.name)
    broken = ['import sys; print("careful", file=sys.stderr)', "1 / 0"]
    cells = [nbformat.v4.new_code_cell(source) for source in broken]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), root / "broken.ipynb")
    with server(root, home, SIMMIM_LAB_FAST="1") as address:
        yield address


def test_jupyterlab_runs_a_lesson(jupyterlab, browser):
    _runs(LESSONS[1], jupyterlab, browser)


@pytest.mark.verify
@each_lesson
def test_jupyterlab_runs_every_lesson(path, jupyterlab, browser):
    _runs(path, jupyterlab, browser)


def _runs(path: Path, jupyterlab: str, browser) -> None:
    with notebook(browser, jupyterlab, path.name) as page:
        assert page.locator(ERRORS).all_inner_texts() == []
        page.wait_for_selector(".jp-OutputArea-output .sl-widget")


def test_a_warning_and_an_error_in_jupyterlab_are_found(jupyterlab, browser):
    with notebook(browser, jupyterlab, "broken.ipynb") as page:
        warning, error = page.locator(ERRORS).all_inner_texts()
        assert "careful" in warning
        assert "ZeroDivisionError" in error
