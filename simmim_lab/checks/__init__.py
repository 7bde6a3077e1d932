"""Checks of the exercises: `from simmim_lab import checks as check`.

check.random_mask(random_mask)   is this answer right? One line per property; a failure names the mistake
check.hint("random_mask")        a hint; called again, a better one too
"""

from collections.abc import Callable

from simmim_lab.checks import decoders, encoders, gpu_training, masking, mse_loss, start_here, training
from simmim_lab.checks.core import Check
from simmim_lab.common import choose

TASKS: dict[str, Check] = {
    name: value
    for module in (start_here, masking, encoders, decoders, mse_loss, training, gpu_training)
    for name, value in vars(module).items()
    if isinstance(value, Check)
}
globals().update(TASKS)  # check.random_mask and all others


def hint(task: str | Callable) -> None:
    """Print a hint for a task, named like its function; called again, a better one too."""
    choose(getattr(task, "__name__", task), TASKS, "task").hint()
