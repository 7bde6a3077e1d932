"""Mutants: the instructor's solutions, each with one small slip, as a learner makes it.

Well-kept tools (mutmut, cosmic-ray) change files, start a test run for each mutant, and know nothing of axes,
`keepdim` or the order of axes in a pattern of einops. A solution is a function of a few lines, so its tree is
changed here: `swaps` says what may stand in the place of a node.
"""

import ast
import difflib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat

SOLUTIONS = Path(__file__).parents[1] / "solutions"

OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mod, ast.Div, ast.Mult),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult, ast.BitXor),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.And: (ast.Or,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
}
NAMES = [("mean", "sum"), ("min", "max"), ("ceil", "floor"), ("cos", "sin"), ("all", "any"), ("log10", "log")]
NAMES += [("square", "abs"), ("square", "sqrt"), ("mean", "median"), ("var", "std"), ("softmax", "sigmoid")]
NAMES += [("height", "width"), ("rows", "cols"), ("row", "col"), ("zeros", "ones"), ("visible", "hidden")]
RENAMED = [*NAMES, *((new, old) for old, new in NAMES)]
ADDED = ["abs()", "clamp(0, 1)", "sigmoid()", "squeeze()", "detach()", "flip(0)"]


def swaps(node: ast.AST, parameters: list[str]) -> Iterator[ast.AST]:
    """What may stand in the place of the node: a slip each."""
    match node:
        case ast.Return(value) if not isinstance(value, ast.Tuple):
            yield from (ast.Return(ast.Name(f"({ast.unparse(value)}).{added}")) for added in ADDED)
        case ast.operator() | ast.cmpop() | ast.boolop():
            yield from (kind() for kind in OPERATORS.get(type(node), ()))
        case ast.BinOp(left, operator, right):
            yield from (left, right)
            if not isinstance(operator, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
                yield ast.BinOp(right, operator, left)
        case ast.BoolOp(values=values):
            yield from values
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield from map(ast.Constant, {value + 1, value - 1, value * 2, -value, 0} - {value})
        case ast.Constant(str(value)) if " -> " in value:
            yield from map(ast.Constant, _patterns(value))
        case ast.Name(name, context):
            others = [other for other in parameters if other != name] if name in parameters else []
            yield from (ast.Name(new, context) for new in [*others, *_renamed(name)])
        case ast.Attribute(value, name, context):
            yield value
            yield from (ast.Attribute(value, new, context) for new in _renamed(name))
        case ast.Subscript(value=value):
            yield value
        case ast.Slice(lower, upper, step):
            yield from (ast.Slice(None, upper, step), ast.Slice(lower, None, step))
        case ast.Call(function, arguments, keywords):
            yield from arguments[:1]  # f(x) -> x
            if isinstance(function, ast.Attribute):
                yield function.value  # x.f() -> x
            yield from (ast.Call(function, changed, keywords) for changed in _lists(arguments))
            yield from (ast.Call(function, arguments, changed) for changed in _shorter(keywords))
        case ast.Tuple(items, ast.Load()):
            yield from (ast.Tuple(changed, ast.Load()) for changed in _lists(items))
        case ast.comprehension(target, iterator, [_, *_] as conditions):
            yield from (ast.comprehension(target, iterator, fewer, 0) for fewer in _shorter(conditions))


def _renamed(name: str) -> list[str]:
    return [new for old, new in RENAMED if old == name]


def _shorter(items: list) -> Iterator[list]:
    yield from (items[:place] + items[place + 1 :] for place in range(len(items)))


def _lists(items: list) -> Iterator[list]:
    """The list without one of its items, and with two neighbours exchanged."""
    yield from _shorter(items)
    for k in range(len(items) - 1):
        yield [*items[:k], items[k + 1], items[k], *items[k + 2 :]]


def _patterns(pattern: str) -> Iterator[str]:
    """A pattern of einops with two neighbouring axes exchanged, on either side of its arrow."""
    words = pattern.replace("(", "( ").replace(")", " )").split()
    axes = [place for place, word in enumerate(words) if word.isalnum()]
    for one, other in pairwise(axes):
        if "->" not in words[one:other]:
            changed = words.copy()
            changed[one], changed[other] = words[other], words[one]
            yield " ".join(changed).replace("( ", "(").replace(" )", ")")


def _changed(function: ast.FunctionDef) -> Iterator[str]:
    """The source of the function with each slip; the function is afterwards as it was."""
    parameters = [argument.arg for argument in function.args.args]
    for parent in [function, *(node for statement in function.body for node in ast.walk(statement))]:
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                for place, item in enumerate(value):
                    removed = [ast.Pass()] if isinstance(item, ast.stmt) else []
                    for value[place] in [
                        *removed,
                        *(swaps(item, parameters) if isinstance(item, ast.AST) else ()),
                    ]:
                        yield ast.unparse(function)
                    value[place] = item
            elif isinstance(value, ast.AST):
                for new in swaps(value, parameters):
                    setattr(parent, field, new)
                    yield ast.unparse(function)
                setattr(parent, field, value)


@cache
def solutions() -> dict[str, tuple[str, str]]:
    """For each task what stands before it in its notebook (the imports), and the instructor's function."""
    found = {}
    for path in sorted(SOLUTIONS.glob("*/*.ipynb")):
        before = ""
        for cell in nbformat.read(path, as_version=4).cells:
            marks = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and marks.get("solution"):
                found[marks.grade_id] = before, cell.source
            elif cell.cell_type == "code" and not marks and "%pip" not in cell.source:
                before += cell.source + "\n"
    return found


def mutants(task: str) -> Iterator[tuple[str, Callable]]:
    """Each mutant of the task's solution: what was changed, and the function."""
    before, source = solutions()[task]
    [function] = ast.parse(source).body
    function.body, function.returns = function.body[1:], None  # without the docstring
    original = ast.unparse(function)
    for source in dict.fromkeys(_changed(function)):
        if source != original:
            names: dict = {}
            exec(before + source, names)
            yield _difference(original, source), names[task]


def _difference(one: str, other: str) -> str:
    lines = [line for line in difflib.ndiff(one.splitlines(), other.splitlines()) if line[0] in "-+"]
    old, new = ("; ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    return f"{old} → {new}"
