"""What the setup cell of every notebook of the course turns on."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def explain_missing_names() -> None:
    """Say behind every NameError what to do: mostly a cell above was left out. Outside of IPython, do nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell:
        shell.set_custom_exc((NameError,), _explain)


def _explain(
    shell: "InteractiveShell",
    kind: type[NameError],
    error: NameError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    print(
        f"Is {error.name} made by a cell above that was not run? Choose Run > Run All Above Selected Cell "
        "(on Colab: Runtime > Run before), then run this cell again.",
        file=sys.stderr,
    )
