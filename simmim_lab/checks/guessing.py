"""Guesses: the learner answers a question of a lesson first, and is told right or wrong, and why.

Each set's module has its lesson's guesses in `GUESSES`. The cell after a guess shows the answer.
"""

from dataclasses import dataclass
from html import escape
from math import isclose
from numbers import Real

VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Guess:
    """The answer to a question: a number, or one of `choices`; and in a sentence, why.

    A number may be off by the share `within` of the answer.
    """

    answer: float | str
    why: str
    choices: tuple[str, ...] = ()
    within: float = 0.0

    def __post_init__(self):
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"the answer {self.answer!r} is none of the choices {self.choices}")
        if isinstance(self.answer, str) and not self.choices:
            raise ValueError(f"the answer {self.answer!r} needs the choices it is one of")

    def ask(self, value: float | str | None) -> None:
        """Judge `value`; without one, say how to guess a number, or show the choices as buttons."""
        if value is not None:
            print(self.judge(value))
        elif self.choices:
            _show_buttons(self)
        else:
            print("Your guess? Write a number in place of None, and run this cell again.")

    def judge(self, value: float | str) -> str:
        """Right or wrong, and why. Raise ValueError for what is no guess at all."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"choose one of {', '.join(map(repr, self.choices))}, not {value!r}")
            right = value == self.answer
        else:
            if not isinstance(value, Real) or isinstance(value, bool):
                raise ValueError(f"a guess here is a number, not {value!r}")
            right = isclose(value, self.answer, rel_tol=self.within, abs_tol=1e-9)
        return f"Right: {self.why}" if right else f"Not quite. {self.told}"

    @property
    def told(self) -> str:
        """The answer, and why."""
        shown = self.answer if self.choices else f"{self.answer:,}"
        return f"It is {shown}: {self.why}"


def _show_buttons(guess: Guess) -> None:
    """A button for each choice, and below, what is said of the one that is pressed."""
    from IPython.display import display
    from ipywidgets import HTML, ToggleButtons, VBox

    from simmim_lab.widgets import cells

    text = f"Your guess: {' | '.join(guess.choices)}"
    shell = cells.kernel_shell()
    if shell is None:
        print(text)
        return
    buttons = ToggleButtons(options=guess.choices, value=None, style={"button_width": "max-content"})
    said = HTML('<p role="status"></p>')

    def judge(change: dict) -> None:
        said.value = f'<p role="status">{escape(guess.judge(change["new"]))}</p>'

    buttons.observe(judge, "value")
    box = VBox([buttons, said])
    cells.keep(box, shell)
    view = {"model_id": box.model_id, "version_major": 2, "version_minor": 0}
    display({"text/plain": text, VIEW: view}, raw=True)
