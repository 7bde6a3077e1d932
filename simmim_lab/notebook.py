"""What every notebook of the course uses: the fast mode, stored results, and a word on names that are missing.

In a notebook, to import this module is enough: from then on, every NameError says what to do.
"""

import json
import os
import sys
from pathlib import Path
from types import TracebackType

from IPython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

FAST = bool(os.environ.get("SIMMIM_LAB_FAST"))  # True shrinks the work of a lesson, for tests


def stored(name: str) -> dict:
    """What a benchmark has written into the folder results; nothing where there is none, as on Colab."""
    path = Path("../results") / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def explain(
    shell: InteractiveShell,
    kind: type[NameError],
    error: NameError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show the error, and say what to do: mostly a cell above was left out."""
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    if kind is NameError:  # not an UnboundLocalError, which no cell above could mend
        print(
            f"Is {error.name} made by a cell above that was not run? Choose Run > Run All Above Selected Cell "
            "(on Colab: Runtime > Run before), then run this cell again.",
            file=sys.stderr,
        )


if shell := get_ipython():  # None outside of a notebook
    shell.set_custom_exc((NameError,), explain)
