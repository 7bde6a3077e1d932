"""Does a run of a lesson print what the lesson has stored? Text must be equal, numbers near.

The stored outputs come from one machine; another one rounds differently, and is faster or slower. So:

- An integer is a count, or a size: it must be equal.
- A number with a decimal point or an exponent, and a percentage, is a measurement: it must be near (`near`).
- A number with a unit of time, memory or rate (3 s, 1.2 GB, 900 images/s) belongs to the machine: it is not
  compared. In a table such a unit must stand beside the number, for that of a header is not seen.
- Words and lines must be the same, but not the spaces between them, which follow the width of the numbers.
- Of a picture, its kind and its alt text are compared.

A cell with nbval's tag `nbval-ignore-output` is exempt.
"""

import json
import math
import re
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbval.plugin import coalesce_streams, find_metadata_tags

RELATIVE = 0.02  # of the larger of two measurements: how much they may differ,
LAST_DIGIT = 1  # and in addition this many units of the last digit of the one that is printed with fewer

_SIGN = r"(?:(?<![\w.)\]])[+-])?(?<![\w.])"  # not the hyphen of 2026-11, and no number within vit_b16
_DIGITS = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)"
_VALUE = rf"{_SIGN}(?:{_DIGITS}(?:\.\d++)?(?:[eE][+-]?\d++)?(?!\.?\d)|(?:inf|nan)\b)"  # 2.14.1 is no number
NUMBER = re.compile(rf"{_VALUE}\.?(?: ?%)?")  # `2.` is how PyTorch writes 2.0 among whole numbers
_UNITS = {
    "<rate>": r"(?: *[^\W\d]+){0,2}? *(?:/ ?s|/ ?sec|/ ?second|per second|a second)",
    "<time>": r" *(?:ns|[µμu]s|ms|s|sec|seconds?|min|minutes?|h|hours?)",
    "<memory>": r" *[kKMGT]i?B",
}
_RANGE = rf"{_VALUE}(?: *(?:to|±|-) *{_VALUE})?"
MACHINE = {  # 1 min 20 s is one quantity
    name: re.compile(rf"{_RANGE}{unit}\b(?: {_RANGE}{unit}\b)*") for name, unit in _UNITS.items()
}
ARRAY = re.compile(r"\[[^\[\]]*\]")


@dataclass
class Comparison:
    """What `compare` found: one text for each cell that differs, and how many cells it compared or left out."""

    differences: list[str] = field(default_factory=list)
    compared: int = 0
    exempt: int = 0


def compare(stored: NotebookNode, executed: NotebookNode) -> Comparison:
    """Compare the outputs of the code cells of two notebooks, which have the same ids of cells."""
    ran = {cell.id: cell for cell in executed.cells}
    found = Comparison()
    for cell in stored.cells:
        if cell.cell_type != "code":
            continue
        if exempt(cell):
            found.exempt += 1
            continue
        found.compared += 1
        if differences := list(_differences(cell.outputs, ran[cell.id].outputs)):
            number = found.compared + found.exempt
            found.differences.append("\n    ".join([f"code cell {number} ({cell.id}):", *differences]))
    return found


def exempt(cell: NotebookNode) -> bool:
    """Whether nbval's tags say that the outputs of the cell are not to be compared."""
    return ("check", False) in find_metadata_tags(cell.metadata)


def text_differences(stored: str, printed: str) -> list[str]:
    """The lines that differ, or how many lines there are if that differs."""
    before, after = _lines(stored), _lines(printed)
    if len(before) != len(after):
        return [f"{len(before)} lines are stored, but {len(after)} were printed: {stored!r} and {printed!r}"]
    return [
        f"stored {old!r}, printed {new!r}" for old, new in zip(before, after, strict=True) if not _alike(old, new)
    ]


def near(stored: str, printed: str) -> bool:
    """Whether two printed numbers are equal as counts, or near as measurements.

    Two integers are counts. Of two measurements, `nan` is near `nan` alone, and an infinity to itself.
    """
    (a, unit_a), (b, unit_b) = _read(stored), _read(printed)
    if ("%" in stored) != ("%" in printed):
        return False
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    unit = max(unit_a, unit_b)
    tolerance = RELATIVE * max(abs(a), abs(b)) + LAST_DIGIT * unit if unit else 0
    return abs(a - b) <= tolerance * (1 + 1e-9)  # the digits of 0.3 - 0.2 are not exact


def _read(number: str) -> tuple[float, float]:
    """The value of a printed number, and one unit of its last digit: 0 for a count."""
    digits = number.rstrip(" %.").replace(",", "").lower()
    mantissa, _, exponent = digits.partition("e")
    decimals = len(mantissa.partition(".")[2])
    count = not (decimals or exponent or "%" in number)
    return float(digits), 0 if count else 10.0 ** (int(exponent or 0) - decimals)


def _lines(text: str) -> list[str]:
    """The lines of a text. The row of an array is one line, which PyTorch and NumPy break by their width."""
    joined = ARRAY.sub(lambda row: " ".join(row[0].split()), text)
    return [line.rstrip() for line in joined.rstrip().splitlines()]


def _alike(stored: str, printed: str) -> bool:
    """Whether two lines have equal words and near numbers."""
    for name, quantity in MACHINE.items():
        stored, printed = quantity.sub(name, stored), quantity.sub(name, printed)
    words, others = ([" ".join(text.split()) for text in NUMBER.split(line)] for line in (stored, printed))
    return words == others and all(map(near, NUMBER.findall(stored), NUMBER.findall(printed)))


def _differences(stored: list[NotebookNode], printed: list[NotebookNode]) -> list[str]:
    """Compare the outputs of one cell."""
    before, after = (_parts(outputs) for outputs in (stored, printed))
    kinds, others = ([kind for kind, _ in parts] for parts in (before, after))
    if kinds != others:
        return [f"stored {', '.join(kinds) or 'nothing'}, printed {', '.join(others) or 'nothing'}"]
    pairs = zip(before, after, strict=True)
    return [line for (_, old), (_, new) in pairs for line in text_differences(old, new)]


def _parts(outputs: list[NotebookNode]) -> list[tuple[str, str]]:
    """The kind and the text of everything that a cell shows; the text of a picture is its alt text."""
    parts = []
    for output in coalesce_streams(outputs):
        if output.output_type == "stream":
            parts.append((output.name, output.text))
        elif output.output_type == "error":
            parts.append(("error", f"{output.ename}: {output.evalue}"))
        else:
            for kind, data in sorted(output.data.items()):
                picture = kind.startswith("image/")
                text = output.metadata.get(kind, {}).get("alt", "") if picture else data
                parts.append((kind, text if isinstance(text, str) else json.dumps(text, sort_keys=True)))
    return parts
