"""What the cells of a notebook show: a cell that runs again closes the widgets it showed before."""

from typing import TYPE_CHECKING
from weakref import WeakSet

from IPython import get_ipython

if TYPE_CHECKING:
    from ipykernel.zmqshell import ZMQInteractiveShell
    from ipywidgets import Widget

_shown: dict[str, tuple[str, WeakSet["Widget"]]] = {}  # by each cell: its last run, and the widgets of that run


def kernel_shell() -> "ZMQInteractiveShell | None":
    """The shell that runs the cells of a notebook; None in a program and in a terminal, which show no widgets."""
    shell = get_ipython()
    return shell if hasattr(shell, "get_parent") else None


def keep(widget: "Widget", shell: "ZMQInteractiveShell") -> None:
    """Note that the running cell shows `widget`; close what its last run showed and no other cell shows.

    A callback that shows a widget is no cell: nothing runs again in its place.
    """
    request = shell.get_parent()
    cell = _cell(request)
    if cell is None:
        return
    run = request["header"]["msg_id"]
    last_run, last = _shown.get(cell, (run, WeakSet()))
    _shown[cell] = run, WeakSet([widget]) | (last if last_run == run else WeakSet())
    for left in set(last).difference(*(widgets for _, widgets in _shown.values())):
        left.close()
        _forget(left, shell)


def _cell(request: dict) -> str | None:
    """What a message runs: the id of the cell in JupyterLab, VS Code or Colab, elsewhere its code."""
    metadata = request.get("metadata", {})
    colab = metadata.get("colab", {})
    return metadata.get("cellId") or colab.get("cell_id") or request.get("content", {}).get("code")


def _forget(widget: "Widget", shell: "ZMQInteractiveShell") -> None:
    """Take a widget out of IPython's `Out`, `_5` and `_`, which keep results in memory; other names keep it."""
    out = shell.user_ns["_oh"]
    numbers = [number for number, result in out.items() if result is widget]
    for number in numbers:
        del out[number]
    for name in ("_", "__", "___", *(f"_{number}" for number in numbers)):
        for names in (shell.user_ns, shell.user_ns_hidden, vars(shell.displayhook)):
            if names.get(name) is widget:
                names[name] = None
