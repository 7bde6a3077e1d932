"""Mutants: the instructor's solutions, each with one small slip, as a learner makes it.

Well-kept tools (mutmut, cosmic-ray) change files, start a test run for each mutant, and know nothing of axes,
`keepdim` or the order of axes in a pattern of einops. A solution is a function of a few lines, so its tree is
changed here: `swaps` says what may stand in the place of a node.
"""

import ast
import difflib
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat

from simmim_lab import checks
from simmim_lab.teaching.rules import source_of

# Operators, by the names that `ast` gives them, and words: each stands in for the other.
PAIRS = re.findall(
    r"(\w+) (\w+)",
    "Add Sub, Mult Div, Mult Add, FloorDiv Div, FloorDiv Mod, Pow Mult, Pow BitXor, MatMult Mult, BitAnd BitOr, "
    "And Or, Lt LtE, Gt GtE, Lt Gt, LtE GtE, Eq NotEq, Eq Lt, Eq Gt, In NotIn, Is IsNot; mean sum, min max, "
    "ceil floor, cos sin, all any, log10 log, square abs, square sqrt, mean median, var std, softmax sigmoid, "
    "zeros ones, visible hidden, height width, rows cols, row col",
)
ADDED = ["abs()", "clamp(0, 1)", "sigmoid()", "squeeze()", "detach()", "flip(0)"]


def swaps(node: ast.AST, types: dict[str, str]) -> Iterator[ast.AST]:
    """What may stand in the place of the node, a slip each; `types` are those of the function's arguments."""
    if isinstance(node, ast.stmt):
        yield ast.Pass()
    match node:
        case ast.Return(value) if not isinstance(value, ast.Tuple):
            yield from (ast.Return(ast.Name(f"({ast.unparse(value)}).{added}")) for added in ADDED)
        case ast.operator() | ast.cmpop() | ast.boolop():
            yield from (getattr(ast, name)() for name in _partners(type(node).__name__))
        case ast.BinOp(left, operator, right):
            yield from (left, right)
            if not isinstance(operator, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
                yield ast.BinOp(right, operator, left)
        case ast.BoolOp(values=parts):
            yield from parts
        case ast.UnaryOp(operand=part) | ast.Subscript(value=part):
            yield part
        case ast.IfExp(body=one, orelse=other):
            yield from (one, other)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield from map(ast.Constant, {value + 1, value - 1, value * 2, -value, 0} - {value})
        case ast.Constant(str(value)) if " -> " in value:
            yield from map(ast.Constant, _patterns(value))
        case ast.Name(name, context):
            others = [other for other in types if other != name and types[other] == types.get(name)]
            yield from (ast.Name(new, context) for new in [*others, *_partners(name)])
        case ast.Attribute(value, name, context):
            yield value
            yield from (ast.Attribute(value, new, context) for new in _partners(name))
        case ast.Slice(lower, upper, step):
            yield from (ast.Slice(None, upper, step), ast.Slice(lower, None, step))
        case ast.Call(function, arguments, keywords):
            yield from (one for one in arguments[:1] if not isinstance(one, ast.Starred))  # f(x) -> x
            yield from [function.value] if isinstance(function, ast.Attribute) else []  # x.f() -> x
            yield from (ast.Call(function, changed, keywords) for changed in _lists(arguments))
            yield from (ast.Call(function, arguments, changed) for changed in _shorter(keywords))
        case ast.Tuple(items, ast.Load() as load):
            yield from (ast.Tuple(changed, load) for changed in _lists(items))
        case ast.Set(items):
            yield from map(ast.Set, _shorter(items))
        case ast.comprehension(target, iterator, [_, *_] as conditions):
            yield from (ast.comprehension(target, iterator, fewer, 0) for fewer in _shorter(conditions))


def _partners(name: str) -> list[str]:
    return [other for pair in PAIRS for one, other in (pair, pair[::-1]) if one == name]


def _shorter(items: list) -> Iterator[list]:
    yield from (items[:place] + items[place + 1 :] for place in range(len(items)))


def _lists(items: list) -> Iterator[list]:
    """The list without one of its items, and with two neighbours exchanged."""
    yield from _shorter(items)
    for k in range(len(items) - 1):
        yield [*items[:k], items[k + 1], items[k], *items[k + 2 :]]


def _patterns(pattern: str) -> Iterator[str]:
    """A pattern of einops with two neighbouring axes exchanged, on either side of its arrow."""
    for one, other in pairwise(re.finditer(r"\w+", pattern)):
        if "->" not in (between := pattern[one.end() : other.start()]):
            yield pattern[: one.start()] + other[0] + between + one[0] + pattern[other.end() :]


def _changed(function: ast.FunctionDef) -> Iterator[str]:
    """The source of the function with each slip; the function is afterwards as it was."""
    types = {argument.arg: ast.unparse(argument.annotation) for argument in function.args.args}
    for parent in [function, *(node for statement in function.body for node in ast.walk(statement))]:
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                for place, item in enumerate(value):
                    for value[place] in swaps(item, types):
                        yield ast.unparse(function)
                    value[place] = item
            elif isinstance(value, ast.AST):
                for new in swaps(value, types):
                    setattr(parent, field, new)
                    yield ast.unparse(function)
                setattr(parent, field, value)


@cache
def solutions() -> dict[str, tuple[str, str]]:
    """For each task what stands before its solution (the imports), and the solution: the instructor's, or ours."""
    found = {}
    for path in sorted(Path(__file__).parents[1].glob("solutions/*/*.ipynb")):
        before = ""
        for cell in nbformat.read(path, as_version=4).cells:
            marks = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and marks.get("solution"):
                found[marks.grade_id] = before, cell.source
            elif cell.cell_type == "code" and not marks and "%pip" not in cell.source:
                before += cell.source + "\n"
    ours = {name: task.solution for name, task in checks.TASKS.items() if task.solution}
    return found | {name: (f"from {f.__module__} import *\n", source_of(f)) for name, f in ours.items()}


def mutants(task: str) -> Iterator[tuple[str, Callable]]:
    """Each mutant of the task's solution: what was changed, and the function."""
    before, source = solutions()[task]
    for change, mutant in slips(source):
        names: dict = {}
        exec(before + mutant, names)
        yield change, names[task]


def slips(source: str) -> Iterator[tuple[str, str]]:
    """The source of a function with a docstring, with one slip each: what was changed, and the new source."""
    [function] = ast.parse(source).body
    function.body, function.returns = function.body[1:], None
    original = ast.unparse(function)
    for changed in dict.fromkeys(_changed(function)):
        if changed != original:
            yield _difference(original, changed), changed


def _difference(one: str, other: str) -> str:
    lines = list(difflib.ndiff(one.splitlines(), other.splitlines()))
    old, new = ("; ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    return f"{old} → {new}"
