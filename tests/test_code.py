"""What holds for all code of the package: imports run one way, staff's rooms stay closed, files are UTF-8."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "simmim_lab"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports, also those inside functions; not those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", None) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from statements(child)


def imported(module: str) -> set[str]:
    """The modules that a module of the package imports, its own package's by their full names."""
    found = set()
    for statement in statements(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
            continue
        assert statement.level == 0, f"{module} imports by a relative name"
        inside = {f"{statement.module}.{alias.name}" for alias in statement.names}
        found |= (inside & MODULES.keys()) or {statement.module}
    return found


GRAPH = {module: imported(module) for module in MODULES}


def users(room: str) -> set[str]:
    """The modules outside a room (a module, or a folder of them) that import anything of it."""

    def within(name: str) -> bool:
        return name == room or name.startswith(f"{room}.")

    return {module for module, names in GRAPH.items() if not within(module) and any(map(within, names))}


def test_no_circles():
    inside = {module: names & MODULES.keys() for module, names in GRAPH.items()}
    order = [*TopologicalSorter(inside).static_order()]  # raises CycleError, which names the circle
    assert set(order) == MODULES.keys()


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("simmim_lab.teaching", set()),
        ("nbgrader", {"simmim_lab.teaching"}),
        ("simmim_lab.checks", {"simmim_lab.teaching"}),
        ("simmim_lab.cli", {"simmim_lab.__main__"}),
        ("simmim_lab.commands", {"simmim_lab.cli"}),
        ("simmim_lab.widgets", {f"simmim_lab.{name}" for name in ("cli", "notebook", "checks", "teaching")}),
        (
            "simmim_lab.plots",
            {
                f"simmim_lab.{name}"
                for name in ("cli", "demo", "diagrams", "widgets", "notebook", "checks", "teaching")
            },
        ),
    ],
)
def test_a_room_is_entered_from_above_only(room, allowed):
    entered = {
        user for user in users(room) if not any(user == name or user.startswith(f"{name}.") for name in allowed)
    }
    assert not entered


LAYERS = [
    {"shapes", "masking", "losses", "data", "common"},
    {"encoders", "decoders", "backbones"},
    {"simmim"},
    {"recipe", "loop", "training", "evaluation", "finetuning"},
    {"plots"},
    {"widgets"},
    {"commands"},
    {"cli"},
]


def test_imports_run_one_way():
    """As the design has it: what a lesson builds on never imports what a later one builds."""
    layer = {f"simmim_lab.{name}": height for height, names in enumerate(LAYERS) for name in names}

    def height(module: str) -> int | None:
        return layer.get(".".join(module.split(".")[:2]))

    for module, names in GRAPH.items():
        for name in names:
            if None not in (height(module), height(name)):
                assert height(name) <= height(module), f"{module} imports {name}"


def in_an_unknown_encoding(tree: ast.AST) -> Iterator[int]:
    """The lines that read or write a text in whatever encoding the machine has."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and not any(word.arg == "encoding" for word in call.keywords):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            opens_text = (
                isinstance(call.func, ast.Name)
                and name == "open"
                and not any("b" in ast.unparse(arg) for arg in call.args[1:])
            )
            if name in ("read_text", "write_text") or opens_text:
                yield call.lineno


@pytest.mark.parametrize("module", MODULES)
def test_texts_are_utf_8_on_every_machine(module):
    assert not [*in_an_unknown_encoding(ast.parse(MODULES[module].read_text(encoding="utf-8")))]
