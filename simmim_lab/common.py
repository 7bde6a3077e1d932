"""Two things that several modules need: picking by name, and writing a file whole or not at all."""

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LISTED = 20  # a longer list of names is no help


def choose(name: str, options: Mapping[str, Any], kind: str) -> Any:
    """`options[name]`, or a ValueError that suggests the nearest name; `kind` says what is being named."""
    if name not in options:
        [nearest] = difflib.get_close_matches(str(name), options, n=1, cutoff=0)
        listed = f" There are: {', '.join(options)}" if len(options) <= LISTED else ""
        raise ValueError(f"unknown {kind} {name!r}; did you mean {nearest!r}?{listed}")
    return options[name]


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
