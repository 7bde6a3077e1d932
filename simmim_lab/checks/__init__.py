"""Checks of the exercises: `from simmim_lab import checks as check`.

check.random_mask(random_mask)   is this answer right? One line per property; a failure names the mistake
check.hint("random_mask")        a hint; called again, a better one too
"""

from collections.abc import Callable

from simmim_lab.checks.core import Check
from simmim_lab.checks.decoders import (
    linear_head,
    linear_head_size,
    overlaps,
    pixel_shuffle,
    repaired_output,
    transposed_convolution,
)
from simmim_lab.checks.encoders import (
    attention,
    blind_rows,
    insert_mask_token,
    receptive_field,
    relative_index,
    taken_for_hidden,
)
from simmim_lab.checks.gpu_training import (
    choose_precision,
    crop_batch,
    images_per_second,
    minutes,
    training_memory,
    vit_flops,
)
from simmim_lab.checks.masking import (
    avg_dist,
    chance_all_hidden,
    lmmse_fill,
    patchify,
    random_mask,
    to_pixels,
)
from simmim_lab.checks.mse_loss import (
    best_constant,
    best_smooth_l1,
    loss_gradient,
    masked_mse,
    normalize_patches,
    repaired_loss,
)
from simmim_lab.checks.start_here import (
    compose,
    error_per_hidden_value,
    hidden_from_article,
    hidden_psnr,
    real_bugs,
)
from simmim_lab.checks.training import (
    clip_gradients,
    decaying,
    lr_at,
    mask_of_step,
    sgd_step,
    split_photographs,
)
from simmim_lab.common import choose

TASKS: dict[str, Check] = {name: value for name, value in vars().items() if isinstance(value, Check)}


def hint(task: str | Callable) -> None:
    """Print a hint for a task, named like its function; called again, a better one too."""
    choose(getattr(task, "__name__", task), TASKS, "task").hint()
