"""What several modules need: picking by name, checking a number, writing a file whole, and a model at rest."""

import difflib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

LISTED = 20  # a longer list of names is no help


def choose(name: str, options: Mapping[str, Any], kind: str) -> Any:
    """`options[name]`, or a ValueError that suggests the nearest name; `kind` says what is being named."""
    if name not in options:
        [nearest] = difflib.get_close_matches(str(name), options, n=1, cutoff=0)
        listed = f" There are: {', '.join(options)}" if len(options) <= LISTED else ""
        raise ValueError(f"unknown {kind} {name!r}; did you mean {nearest!r}?{listed}")
    return options[name]


def check_number(
    name: str, value: Any, low: float, high: float = math.inf, *, integer: bool = False, above: bool = False
) -> None:
    """Raise ValueError unless `value` is a number from `low` to `high`, or with `above` one above `low`.

    With `integer` it must be a whole number. True and False are no numbers, and neither is NaN.
    """
    kind = Integral if integer else Real
    number = isinstance(value, kind) and not isinstance(value, bool)
    if number and low <= value <= high and not (above and value == low):
        return
    least = f"above {low:g}" if above else f"at least {low:g}"
    most = f" and at most {high:g}" if high < math.inf else ""
    raise ValueError(f"{name} must be a {'whole ' if integer else ''}number {least}{most}, but is {value!r}")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, then move the result into place in one step."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with open(partial, "r+b") as file:
            os.fsync(file.fileno())  # a power cut must not leave a complete name on an incomplete file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def evaluating(model: "nn.Module") -> Iterator[None]:
    """Put a model into eval mode; afterwards, also after an error, each of its parts is in its own mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
