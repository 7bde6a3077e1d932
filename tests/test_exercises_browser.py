"""The exercises in a real browser: a student fails, reads and passes in JupyterLab; the pages are accessible."""

import shutil
from pathlib import Path

import pytest

from simmim_lab.teaching import hosting
from simmim_lab.teaching.accessibility import violations
from simmim_lab.teaching.jupyterlab import notebook, server

ROOT = Path(__file__).parents[1]
STUDENTS = [path for path in hosting.exercises(ROOT) if path.parts[-3] == "exercises"]

STUB = "def masks_of_ratios("
COIN = """def masks_of_ratios(grid, ratios, generator):
    return torch.rand(len(ratios), *grid, generator=generator) < ratios[:, None, None]"""
RIGHT = """def masks_of_ratios(grid, ratios, generator):
    rank = torch.rand(len(ratios), grid[0] * grid[1], generator=generator).argsort(1)
    return (rank < torch.ceil(ratios * grid[0] * grid[1])[:, None]).view(-1, *grid)"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    shutil.copy(ROOT / "exercises" / "01_masking" / "01_masking.ipynb", root)
    with server(root, home) as address, notebook(browser, address, "01_masking.ipynb") as page:
        yield page


def answer(page, text: str):
    """Write an answer, run it and its check, and return the cell of the check."""
    cell = page.locator(".jp-CodeCell", has_text=STUB).first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    return page.locator(".jp-CodeCell", has_text="check.masks_of_ratios(").first


def test_an_untouched_exercise_says_what_to_do(page):
    outputs = page.locator(".jp-OutputArea-output", has_text="is not written yet")
    assert outputs.count() >= 4
    assert page.locator('[data-mime-type*="error"], [data-mime-type*="stderr"]').count() == 0


def test_a_mistake_is_named_and_a_right_answer_passes(page):
    check = answer(page, COIN)
    check.get_by_text("is it a coin for each patch?").wait_for(timeout=10_000)
    check = answer(page, RIGHT)
    check.get_by_text("masks_of_ratios: all checks here passed").wait_for(timeout=10_000)
    assert "✗" not in check.inner_text()


@pytest.mark.parametrize("path", STUDENTS, ids=lambda path: path.stem)
def test_an_exported_exercise_is_accessible(path, browser):
    assert violations(path, browser) == []
