"""Read a notebook that anybody may have made: the text of its cells, and nothing else that the file holds.

Outputs, metadata and whatever a newer or older format adds are left behind. What comes out is small and of known
shape, so that all later steps can trust its form, though never what it says.
"""

import json
import re
from typing import Any

from simmim_lab.teaching.reporting.inert import attachments

CELLS, TEXT = 10_000, 50_000_000  # cells of a notebook, and characters of all of them
HALF = re.compile("[\ud800-\udfff]")  # half of a character: no file can hold it


def read(content: bytes) -> dict[str, Any]:
    """The notebook in a file, in nbformat 4.5: of each cell its type, its source, the pictures of Markdown, and as
    hints of its place `metadata.nbgrader.grade_id` and `metadata.tags`.

    Takes nbformat 2 to 4, and UTF-8, UTF-16, UTF-32 or Latin-1, with or without a byte order mark.
    Raises ValueError that says why it cannot be read.
    """
    given = _parse(decode(content))
    cells = [plain for cell in _cells(given) if (plain := _plain(cell)) is not None]
    if len(cells) > CELLS or sum(len(cell["source"]) for cell in cells) > TEXT:
        raise ValueError(f"it has more than {CELLS:,} cells or {TEXT // 1_000_000} MB of text")
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def decode(content: bytes) -> str:
    """The text in a file, of whichever encoding, without half characters."""
    encoding = json.detect_encoding(content)  # by the zeros in it and the byte order mark
    try:
        text = content.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        if encoding.startswith("utf-8") and not re.search(rb"[\xc3-\xf4][\x80-\xbf]", content):
            encoding = "cp1252"  # Latin-1, and what Windows makes of it
        text = content.decode(encoding, "replace")
    return whole(text)


def whole(text: str) -> str:
    """The text with each pair of half characters made one, and "?" for those that stand alone."""
    if HALF.search(text) is None:
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return HALF.sub("?", joined)


def _parse(text: str) -> Any:
    """The first JSON value in a text, whatever follows it."""
    text = text.lstrip("\ufeff \t\r\n")
    if not text.strip("\0"):
        raise ValueError("the file is empty")
    if text[0] != "{":
        raise ValueError("it is no notebook")
    try:
        # Long whole numbers would be refused; no number in a notebook matters here.
        return json.JSONDecoder(strict=False, parse_int=float).raw_decode(text)[0]
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated string"):
            raise ValueError("the file is cut off: its end is missing") from error
        raise ValueError(f"it is damaged in line {error.lineno} ({error.msg})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _cells(notebook: Any) -> list:
    """The cells of a notebook; until nbformat 3 they lay in worksheets."""
    sheets = notebook.get("worksheets")
    if not isinstance(notebook.get("cells"), list) and isinstance(sheets, list):
        sheets = [sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and "cells" in sheet]
        return [cell for cells in sheets if isinstance(cells, list) for cell in cells]
    if not isinstance(notebook.get("cells"), list):
        raise ValueError("it has no cells: it is no notebook")
    return notebook["cells"]


def _plain(cell: Any) -> dict[str, Any] | None:
    """What is taken of a cell; None if it holds no text."""
    if not isinstance(cell, dict):
        return None
    source = cell.get("source", cell.get("input"))  # "input" until nbformat 3
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        apart = "input" in cell and len(source) > 1 and not source[0].endswith("\n")
        source = ("\n" if apart else "").join(source)
    if not isinstance(source, str):
        return None
    source = whole(source).replace("\r\n", "\n").replace("\r", "\n")
    kind = cell.get("cell_type")
    if kind == "heading":  # until nbformat 3
        kind, source = "markdown", f"# {source}"
    plain = {"cell_type": kind if kind in ("code", "raw") else "markdown", "metadata": _hints(cell)}
    if plain["cell_type"] == "code":
        plain |= {"outputs": [], "execution_count": None}
    elif pictures := attachments(cell):
        plain["attachments"] = {whole(name): kinds for name, kinds in pictures.items()}
    return {**plain, "source": source}


def _hints(cell: dict) -> dict[str, Any]:
    """What metadata tell of the place of a cell: its name for nbgrader, and its tags."""
    given, hints = cell.get("metadata"), {}
    if isinstance(given, dict):
        mark, tags = given.get("nbgrader"), given.get("tags")
        if isinstance(mark, dict) and isinstance(mark.get("grade_id"), str):
            hints["nbgrader"] = {"grade_id": whole(mark["grade_id"][:200])}
        if isinstance(tags, list):
            hints["tags"] = [whole(tag[:200]) for tag in tags[:20] if isinstance(tag, str)]
    return hints
