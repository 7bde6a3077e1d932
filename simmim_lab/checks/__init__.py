"""Checks of the exercises: `from simmim_lab import checks as check`.

check.random_mask(random_mask)   is this answer right? One line per property; a failure names the mistake
check.hint("random_mask")        a hint; called again, a better one too
"""

from collections.abc import Callable
from difflib import get_close_matches

from simmim_lab.checks import decoders, encoders, gpu_training, masking, mse_loss, start_here, training
from simmim_lab.checks.core import Check

TASKS: dict[str, Check] = {
    name: value
    for module in (start_here, masking, encoders, decoders, mse_loss, training, gpu_training)
    for name, value in vars(module).items()
    if isinstance(value, Check)
}
globals().update(TASKS)  # check.random_mask and all others


def hint(task: str | Callable) -> None:
    """Print a hint for a task, named like its function; called again, a better one too."""
    name = getattr(task, "__name__", task)
    if name not in TASKS:
        [nearest] = get_close_matches(str(name), TASKS, n=1, cutoff=0)
        raise ValueError(
            f"there is no task {name!r}; did you mean {nearest!r}? Tasks are named like their functions"
        )
    TASKS[name].hint()
