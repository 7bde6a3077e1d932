"""The catalogue of answers to the exercises: right ones written in different ways, and wrong ones.

Each wrong answer names a part of the message that is meant for it. A module per exercise set registers its answers
with the two decorators; the name of the function says how it is right or wrong.
"""

import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Callable

RIGHT: dict[str, list[Callable]] = defaultdict(list)
WRONG: dict[str, list[tuple[Callable, str]]] = defaultdict(list)


def right(task: str) -> Callable[[Callable], Callable]:
    """Register a right answer to the task."""

    def register(answer: Callable) -> Callable:
        RIGHT[task].append(answer)
        return answer

    return register


def wrong(task: str, says: str) -> Callable[[Callable], Callable]:
    """Register a wrong answer to the task, and a part of the message meant for it."""

    def register(answer: Callable) -> Callable:
        WRONG[task].append((answer, says))
        return answer

    return register


def source(answer: Callable, task: str) -> str:
    """The text of an answer, as a student would write it into the cell of the task."""
    text = re.sub(r"(?m)^@.*\n", "", inspect.getsource(answer))
    return text.replace(f"def {answer.__name__}(", f"def {task}(", 1)


def words(text: str) -> str:
    """The text without its line breaks: where a report breaks its lines says nothing."""
    return " ".join(text.split())


for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")
