"""The lessons in a real browser: exported pages are accessible, and JupyterLab runs them."""

from pathlib import Path

import nbformat
import pytest
import tiny_lesson
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter

from simmim_lab.teaching import hosting
from simmim_lab.teaching.jupyterlab import notebook, server
from simmim_lab.teaching.lessons import METADATA

ROOT = Path(__file__).parents[1]
each_lesson = pytest.mark.parametrize("path", hosting.lessons(ROOT), ids=lambda path: path.stem)

NO_ALT = "No description has been provided for this image"  # what nbconvert writes in place of an alt text
NOT_OURS = {"exclude": [[".prompt"], [".highlight"]]}  # nbconvert's colours for In [1]: and for code


@each_lesson
def test_an_exported_lesson_is_accessible(path, browser, tmp_path):
    assert violations(path, browser, tmp_path) == []


def violations(path: Path, browser, folder: Path) -> list[str]:
    """What axe-core finds in the lesson as a page, and the pictures without alt text, which it cannot find."""
    html, _ = HTMLExporter(template_name="classic").from_filename(path)  # the template that keeps alt texts
    page_file = folder / "page.html"
    page_file.write_text(html, encoding="utf-8")
    page = browser.new_page(offline=True)
    page.goto(page_file.as_uri(), wait_until="domcontentloaded")
    found = Axe().run(page, NOT_OURS, {"resultTypes": ["violations"]}).response["violations"]
    page.close()
    missing = [NO_ALT] * html.count(NO_ALT)
    return missing + [
        f"{rule['id']} ({rule['impact']}): {node['html']}" for rule in found for node in rule["nodes"]
    ]


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
    assert violations(path, browser, tmp_path) == []
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].source += f"\n\n{markdown}"
    nbformat.write(notebook, path)
    [found] = violations(path, browser, tmp_path)
    assert found.startswith(complaint)


def test_an_output_without_alt_text_is_found(tmp_path, browser):
    path = tiny_lesson.write(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[5].outputs[0].metadata.clear()
    nbformat.write(notebook, path)
    assert violations(path, browser, tmp_path) == [NO_ALT]


ERRORS = (
    '[data-mime-type*="stderr"], [data-mime-type*="error"], .jp-OutputArea-output:has-text("Error displaying")'
)


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """The address of a JupyterLab in fast mode, with copies of the lessons that have not been run."""
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    for path in hosting.lessons(ROOT):
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


@each_lesson
def test_jupyterlab_runs_a_lesson(path, jupyterlab, browser):
    with notebook(browser, jupyterlab, path.name) as page:
        assert page.locator(ERRORS).all_inner_texts() == []
        page.wait_for_selector(".jp-OutputArea-output .sl-widget")


def test_a_warning_and_an_error_in_jupyterlab_are_found(jupyterlab, browser):
    with notebook(browser, jupyterlab, "broken.ipynb") as page:
        warning, error = page.locator(ERRORS).all_inner_texts()
        assert "careful" in warning
        assert "ZeroDivisionError" in error
