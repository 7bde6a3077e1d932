"""Checks of the lessons and the exercises: `from simmim_lab import checks as check`.

check.random_mask(random_mask)   is this answer right? One line per property; a failure names the mistake
check.hint("random_mask")        a hint; called again, a better one too
check.yours_or_ours(patchify)    in a lesson: your function if it is right, else the lesson's own
check.solution("patchify")       in a lesson: the source of the lesson's own
check.guess("dB of 0.01", 20)    is this guess right? And why?
check.progress()                 in all lessons: which of your functions hold?
"""

from collections.abc import Callable

from simmim_lab.checks import (
    decoders,
    encoders,
    generation,
    gpu_training,
    inpainting_and_editing,
    masking,
    mse_loss,
    pretrained_models,
    start_here,
    the_mim_family,
    training,
    what_it_learned,
)
from simmim_lab.checks.core import Check
from simmim_lab.checks.decoders import (
    head_of_deconvolution,
    linear_head,
    linear_head_size,
    mae_head,
    overlaps,
    pixel_shuffle,
    repaired_output,
    space_to_depth,
    transposed_convolution,
)
from simmim_lab.checks.encoders import (
    attend_visible,
    attention,
    blind_rows,
    dilated_field,
    insert_mask_token,
    may_look,
    taken_for_hidden,
    to_windows,
    tokens_with_class,
    video_index,
)
from simmim_lab.checks.generation import (
    decode_step,
    diversity,
    guide_words,
    hinge_losses,
    nearest_codes,
    temper,
    tokens_left,
    unbiased_kid,
    unmask,
    unmask_counts,
)
from simmim_lab.checks.gpu_training import (
    accumulated_gradient,
    bytes_per_gpu,
    choose_precision,
    crop_batch,
    images_per_second,
    minutes,
    swin_flops,
    training_memory,
    vit_flops,
    whole_gradient,
)
from simmim_lab.checks.guessing import Guess
from simmim_lab.checks.inpainting_and_editing import (
    blend,
    halve,
    loss_on_known,
    mask_from_picture,
    nearest_patch,
    psnr_of_hole,
    seam_ratio,
    stroke,
    window_starts,
    windows_needed,
)
from simmim_lab.checks.masking import (
    avg_dist,
    blind_share,
    lmmse_fill,
    mae_to_images,
    masks_of_ratios,
    patch_shares,
    patches_to_hide,
    patchify,
    random_mask,
    to_pixels,
)
from simmim_lab.checks.mse_loss import (
    best_constant,
    best_quantile,
    best_smooth_l1,
    image_vote_gradient,
    loss_gradient,
    masked_mse,
    normalize_patches,
    pooled_psnr,
    repaired_loss,
    weighted_l1,
)
from simmim_lab.checks.pretrained_models import (
    fold_normalization,
    geometric_places,
    grey_embedding,
    largest_difference,
    pack_qkv,
    quantize_rows,
    read_sizes,
    rename_keys,
    resize_positions,
)
from simmim_lab.checks.progressing import note, page
from simmim_lab.checks.start_here import (
    compose,
    error_on_visible,
    error_per_hidden_value,
    hidden_from_article,
    hidden_psnr,
    levels_off,
    unsupported_claims,
)
from simmim_lab.checks.the_mim_family import (
    attention_mask,
    copy_in_time,
    hardest_mask,
    keep_visible,
    mae_cost,
    masked_batch_norm,
    prompt_canvas,
    put_back,
    teacher_loss,
    tube_mask,
    unshuffle,
)
from simmim_lab.checks.training import (
    clip_gradients,
    decaying,
    layer_scales,
    lr_after,
    lr_at,
    mask_of_step,
    sgd_step,
    split_photographs,
    train_step,
)
from simmim_lab.checks.what_it_learned import (
    agreement,
    attention_distance,
    attention_rollout,
    attentive_pool,
    few_labels,
    knn_predict,
    nearest,
    paired_margin,
    similarity_map,
    standardise,
)
from simmim_lab.common import choose

TASKS: dict[str, Check] = {name: value for name, value in vars().items() if isinstance(value, Check)}
LESSONS = (
    start_here,
    masking,
    encoders,
    decoders,
    mse_loss,
    training,
    gpu_training,
    what_it_learned,
    inpainting_and_editing,
    generation,
    pretrained_models,
    the_mim_family,
)
GUESSES: dict[str, Guess] = {name: value for lesson in LESSONS for name, value in lesson.GUESSES.items()}


def hint(task: str | Callable) -> None:
    """Print a hint for a task, named like its function; called again, a better one too."""
    _task(task).hint()


def yours_or_ours(answer: Callable) -> Callable:
    """Print what is wrong with the learner's function; return it if nothing is, else the lesson's own.

    The name of the function says which task it answers. ValueError if there is no such task in a lesson.
    """
    task = _task(answer)
    function = task.yours_or_ours(answer)
    if function is answer and answer is not task.solution:
        note(task.name)
    return function


def solution(task: str | Callable) -> None:
    """Print the source with which a lesson goes on if the learner's function is not right."""
    _task(task).show_solution()


def guess(question: str, value: float | str | None = None) -> None:
    """Say whether a guess is right, and why; without a value, show the choices, or how to guess a number.

    ValueError for an unknown question, or for a value that is no number or none of the choices.
    """
    choose(question, GUESSES, "question").ask(value)


def progress() -> None:
    """Show in which lessons the learner's own functions hold."""
    from IPython.display import display

    tasks = {}
    for number, lesson in enumerate(LESSONS):
        title = f"{number:02} {lesson.__name__.rpartition('.')[2].replace('_', ' ')}"
        if turns := [name for name, task in vars(lesson).items() if isinstance(task, Check) and task.solution]:
            tasks[title] = turns
    display(page(tasks))


def _task(task: str | Callable) -> Check:
    return choose(getattr(task, "__name__", task), TASKS, "task")
