"""Guesses: right or wrong, and why; choices are buttons in a notebook."""

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbclient import NotebookClient

from simmim_lab import checks
from simmim_lab.checks.guessing import VIEW, Guess
from simmim_lab.teaching.jupyterlab import notebook, server
from simmim_lab.teaching.lessons import METADATA

NUMBER = Guess(0.125, "three coins must agree", within=0.05)
CHOICE = Guess("both", "they are the same", choices=("left", "right", "both"))


@pytest.mark.parametrize("value", [0.125, 0.12, 1 / 8, np.float32(0.125)])
def test_a_right_number_is_told_why(value, capsys):
    NUMBER.ask(value)
    assert capsys.readouterr().out == "Right: three coins must agree\n"


@pytest.mark.parametrize("value", [0.5, -0.125, 0, float("nan"), float("inf")])
def test_a_wrong_number_is_told_the_right_one(value, capsys):
    NUMBER.ask(value)
    assert capsys.readouterr().out == "Not quite. It is 0.125: three coins must agree\n"


def test_a_question_without_a_guess_says_how_to_guess(capsys):
    NUMBER.ask(None)
    assert "in place of None" in capsys.readouterr().out
    CHOICE.ask(None)  # here is no notebook
    assert capsys.readouterr().out == "Your guess: left | right | both\n"


def test_a_choice_is_judged(capsys):
    CHOICE.ask("both")
    CHOICE.ask("left")
    assert capsys.readouterr().out == "Right: they are the same\nNot quite. It is both: they are the same\n"


@pytest.mark.parametrize(
    ("asked", "value"), [(NUMBER, "many"), (NUMBER, True), (NUMBER, [1]), (CHOICE, 3), (CHOICE, "up")]
)
def test_what_is_no_guess_is_refused(asked, value):
    with pytest.raises(ValueError, match=r"guess|choose"):
        asked.ask(value)


def test_a_guess_needs_its_answer_among_its_choices():
    for choices in ((), ("a", "b")):
        with pytest.raises(ValueError, match="answer"):
            Guess("c", "why", choices=choices)


@pytest.mark.parametrize("name", checks.GUESSES)
def test_a_guess_of_a_lesson_is_judged_by_its_own_answer(name, capsys):
    checks.guess(name, checks.GUESSES[name].answer)
    assert capsys.readouterr().out.startswith("Right: ")
    assert checks.GUESSES[name].why


def test_questions_have_names_of_their_own():
    names = [name for lesson in checks.LESSONS for name in lesson.GUESSES]
    assert len(names) == len(set(names))
    with pytest.raises(ValueError, match="unknown question"):
        checks.guess("no such question", 1)


ASK = """\
from simmim_lab.checks.guessing import Guess
Guess("both", "a < b & c", choices=("left", "right", "both")).ask(None)"""


def test_a_notebook_shows_buttons_and_keeps_the_choices_as_text(tmp_path):
    asked = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASK)])
    NotebookClient(asked, resources={"metadata": {"path": tmp_path}}, store_widget_state=False).execute()
    [output] = asked.cells[0].outputs
    assert set(output.data) == {"text/plain", VIEW}
    assert output.data["text/plain"] == "Your guess: left | right | both"


def test_the_buttons_work_with_the_keyboard(browser, tmp_path):
    (tmp_path / "root").mkdir()
    asked = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASK)], metadata=METADATA)
    nbformat.write(asked, tmp_path / "root" / "asked.ipynb")
    with server(tmp_path / "root", tmp_path) as address, notebook(browser, address, "asked.ipynb") as page:
        page.get_by_role("button", name="right").focus()
        page.keyboard.press("Enter")
        page.get_by_role("status").get_by_text("Not quite. It is both: a < b & c").wait_for(timeout=10_000)
        page.get_by_role("button", name="both").click()
        page.get_by_role("status").get_by_text("Right: a < b & c").wait_for(timeout=10_000)
        found = Axe().run(page, context=".jp-OutputArea-output").response["violations"]
        assert [violation["id"] for violation in found if violation["id"] != "color-contrast"] == []
