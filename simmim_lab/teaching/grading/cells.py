"""Cells of notebooks that anybody may have made: what they define, and their Python without IPython's own."""

import ast
import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARSED, MAGICS = 100_000, 50  # characters of a cell, and lines with magics; what is more is not taken apart
MAGIC = re.compile(r"(?m)^[ \t]*(\w+ *= *)?[%!]|\?[ \t]*$")
RUN_AS_PYTHON = {"%%time", "%%timeit", "%%capture", "%%prun", "%%python", "%%python3"}
UNREADABLE = (SyntaxError, ValueError, RuntimeError, MemoryError)  # what taking Python apart can raise


def grade_id(cell: "NotebookNode") -> str | None:
    """The name that nbgrader knows a cell by, or None."""
    mark = cell.metadata.get("nbgrader")
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def is_answer(cell: "NotebookNode") -> bool:
    """Whether a cell of an exercise is one that the student fills in."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def functions(cell: "NotebookNode") -> list[str]:
    """The functions that a cell defines, also if it has become text, or does not run as it is."""
    source = python(cell.source)
    if len(source) <= PARSED and is_python(source):
        return [name for statement in ast.parse(source).body for name in _defined(statement)]
    return re.findall(r"(?m)^(?:async +)?def +(\w+)\s*\(", source)


@functools.lru_cache(200)
def python(source: str) -> str:
    """The source of a cell as Python: magics are calls of `get_ipython()`. A cell of another language is empty."""
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%") and not first.startswith("%%writefile "):
        source = f"\n{rest}" if first.split()[0] in RUN_AS_PYTHON else ""
    if len(source) > PARSED or is_python(source) or len(MAGIC.findall(source)) > MAGICS:
        return source  # with so many, it would take IPython minutes
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return TransformerManager().transform_cell(source)
    except UNREADABLE:
        return source


@functools.lru_cache(200)
def is_python(source: str) -> bool:
    """Whether it can be taken apart as Python."""
    try:
        ast.parse(source)
    except UNREADABLE:
        return False
    return True


def _defined(statement: ast.stmt) -> list[str]:
    """The functions that a statement defines: by def, or as another name for one."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda | ast.Name):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []
