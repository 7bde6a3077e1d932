"""Checks of the exercises: `from simmim_lab import checks as check`.

check.random_mask(random_mask)   is this answer right? One line per property; a failure names the mistake
check.hint("random_mask")        a hint; called again, a better one too
"""

import importlib
from simmim_lab.checks.core import Check
from simmim_lab.common import choose

TASKS = {}
for _name in ("start_here", "masking", "encoders", "decoders", "mse_loss", "training", "gpu_training"):
    try:
        _module = importlib.import_module(f"simmim_lab.checks.{_name}")
    except ModuleNotFoundError:
        continue
    TASKS |= {name: value for name, value in vars(_module).items() if isinstance(value, Check)}
globals().update(TASKS)


def hint(task: str) -> None:
    """Print a hint for the task of this name; called again, a better one too."""
    choose(task, TASKS, "task").hint()
