"""No slip of the kinds in `mutants` passes a check, unless it changes nothing."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mutants import mutants, slips, solutions

from simmim_lab import checks
from simmim_lab.checks.core import VISIBLE_SEED

SEEDS = (VISIBLE_SEED, 1, 2)
SECONDS = 5  # for a check

# Mutants that are right: why, a part of the changed line, the tasks.
EQUAL = [
    (
        "no training goes through the result",
        ".detach()",
        "compose hidden_from_article to_pixels random_mask avg_dist patches_to_hide masks_of_ratios blind_share "
        "lmmse_fill video_index may_look taken_for_hidden "
        "loss_gradient mask_of_step crop_batch whole_gradient accumulated_gradient",
    ),
    (
        "the result is never negative",
        ".abs()",
        "avg_dist blind_share video_index masked_mse repaired_loss mask_of_step",
    ),
    ("all values lie from 0 to 1", ".abs()", "compose"),
    ("all values lie from 0 to 1", ".clamp(0, 1)", "compose blind_share mask_of_step"),
    ("a single number has no axes", ".squeeze()", "masked_mse repaired_loss"),
    ("a single number has no axes", ".flip(0)", "masked_mse repaired_loss"),
    ("a single number may come as a tensor", "torch.log10(error)", "hidden_psnr"),
    ("a single number may come as a tensor", "means.append(nearest.mean())", "avg_dist"),
    ("a single number may come as a tensor", "values.median()", "best_constant"),
    ("a single number may come as a tensor", "values.min(),", "best_smooth_l1"),
    ("a single number may come as a tensor", "values.max())", "best_smooth_l1"),
    ("places may come as tensors", "order = torch.randperm(len(names), generator=generator)", "split_photographs"),
    ("the images of a batch are drawn alike", ".flip(0)", "random_mask mask_of_step"),
    ("the last axis is the second of two", "dim=-1", "random_mask masks_of_ratios avg_dist normalize_patches"),
    ("the last axis is the second of two", "argsort()", "random_mask masks_of_ratios"),
    ("the last axis is the second of two", "scatter(-1,", "random_mask"),
    ("a new axis at the front is added anyway", "[:, None] - frame", "video_index"),
    ("a new axis at the front is added anyway", "[:, None] - row", "video_index"),
    ("a new axis at the front is added anyway", "[:, None] - col", "video_index"),
    ("an axis at the end is kept anyway", "== part[:, None]", "may_look"),
    ("the four parts have different numbers anyway", " * below[:, None] + right", "may_look"),
    ("nan_to_num gives 0 anyway", "nan_to_num()", "attend_visible"),
    ("a new axis at the front is added anyway", "None] * weight", "transposed_convolution"),
    ("a new axis at the front is added anyway", "torch.arange(3).view(-1, 1, 1)", "crop_batch"),
    ("an axis of length 1 may be left to be found out", "view(3, -1, 1)", "repaired_output"),
    ("an axis of length 1 may be left to be found out", "view(3, 1, -1)", "repaired_output"),
    ("the two have the same length", "keys.shape[-1]", "attention attend_visible"),
    ("the two have the same length", "values.shape[-1]", "attention attend_visible"),
    ("the two have the same length", "prediction.shape", "masked_mse loss_gradient"),
    ("the two have the same length", "len(tops)", "crop_batch"),
    ("all have one shape", "gradients[-1]", "whole_gradient"),
    ("the two have the same length", "len(lefts)", "crop_batch"),
    ("both are of one type on one device", "weight.new_zeros", "transposed_convolution"),
    ("a pair ends with its second number", "[-1] - steps", "images_per_second"),
    ("a pair ends with its second number", "1][-1]", "images_per_second"),
    ("a square, or a quotient, forgets the sign", "(images - filled)", "hidden_psnr"),
    ("a square, or a quotient, forgets the sign", "(target - prediction)", "masked_mse"),
    ("a square, or a quotient, forgets the sign", "(x - y)", "repaired_loss"),
    ("a square, or a quotient, forgets the sign", "article_mask - 1", "repaired_loss"),
    ("the cosine forgets the sign", "(warmup - done)", "lr_at"),
    ("the cosine forgets the sign", "(warmup - 1)", "lr_at"),
    ("at the end of the warm-up either piece gives `lr`", "done < warmup", "lr_at"),
    ("nothing is left over in this division", "height / ", "masked_mse loss_gradient swin_flops"),
    ("nothing is left over in this division", "width / ", "swin_flops"),
    ("nothing is left over in this division", "tokens / 4", "swin_flops"),
    ("the order of these does not matter", "max(cells * stride, 0)", "blind_rows"),
    ("the order of these does not matter", "max(sum(hidden), 1)", "whole_gradient"),
    ("the order of these does not matter", "-> b r k (", "taken_for_hidden"),
    ("the order of these does not matter", "levels =", "decaying"),
    ("too small to be seen, and nothing hidden gives 0", "e-05) / channels", "masked_mse"),
    ("too small to be seen, and nothing hidden gives 0", "count = hidden.sum() * channels", "loss_gradient"),
    ("one halving more or less is enough", "range(", "best_smooth_l1"),
    ("only the sign of the sum counts, and either side of 0 will do", "clamp(-1, 1)", "best_smooth_l1"),
    ("exactly at the limit the factor is 1", "norm >= max_norm", "clip_gradients"),
    ("every pair still has a number of its own", "manual_seed(", "mask_of_step"),
    ("0 is where `randint` starts", "torch.randint(2, shape", "mask_of_step"),
    ("(7, anything) is below both", ">= (8,", "choose_precision"),
    ("the order of these does not matter", "rows cols (q p)", "patches_to_hide"),
    ("the order of these does not matter", "dim=(2, 1)", "blind_share"),
    ("one of the two follows from the other", "pattern, cols=cols", "mae_to_images"),
    ("one of the two follows from the other", "pattern, rows=rows, p=", "mae_to_images"),
    ("`<` rounds up, too", "counts = ratios * rows * cols", "masks_of_ratios"),
    ("a visible pixel sees itself", "blind = (~seen)", "blind_share"),
    ("the result is never negative", ".abs()", "weighted_l1"),
    ("a single number has no axes", ".squeeze()", "weighted_l1 pooled_psnr"),
    ("a single number has no axes", ".flip(0)", "weighted_l1 pooled_psnr"),
    ("no training goes through the result", ".detach()", "pooled_psnr image_vote_gradient"),
    ("a single number may come as a tensor", "return ordered[rank - 1]", "best_quantile"),
    ("the two have the same length", "prediction.shape", "weighted_l1 image_vote_gradient"),
    ("the two have the same length", "weight.shape[-2]", "head_of_deconvolution"),
    ("the number of tokens and one side of the grid give the other", "pattern, cols=cols", "mae_head"),
    ("the number of tokens and one side of the grid give the other", "pattern, rows=rows, i=patch", "mae_head"),
    ("an absolute value forgets the sign", "(target - prediction)", "weighted_l1"),
    ("an absolute value forgets the sign", "(images - filled)", "levels_off"),
    ("no training goes through the result", ".detach()", "levels_off"),
    ("the last axis is the second of two", "sum(-1)", "levels_off"),
    ("the result is never negative", ".clamp(min=1)).abs()", "levels_off"),
    ("nothing is left over in this division", "height / ", "weighted_l1 image_vote_gradient"),
    ("too small to be seen, and nothing hidden gives 0", "weight.sum() * channels", "weighted_l1"),
    ("where it is visible, the weight is 0", "masked_fill(~hidden, 1)", "weighted_l1"),
    ("where it is visible, the weight is 0", "masked_fill(~hidden, -1)", "weighted_l1"),
    ("nan is not above 0", "errors > 0", "pooled_psnr"),
    ("the order of these does not matter", "(3, 2)", "image_vote_gradient"),
    ("the third axis from the left is the second from the right", "(-2, 3)", "image_vote_gradient"),
    ("no training goes through the result", ".detach()", "blend mask_from_picture nearest_patch stroke"),
    ("torch compares whole numbers of 8 bits, where -128 is 128", ">= -128", "mask_from_picture"),
    ("the order of these does not matter", "max(length - size, 0)", "window_starts"),
    ("the order of these does not matter", "max(len(errors), 1)", "loss_on_known"),
    ("the order of these does not matter", "cols (j i)", "halve"),
    ("the order of these does not matter", "dim=(2, 1, 3)", "nearest_patch"),
    ("the order of these does not matter", "dim=(1, 3, 2)", "nearest_patch"),
    ("the order of these does not matter", "hypot(cols", "stroke"),
    ("the order of these does not matter", "max(1e-09, down", "stroke"),
    ("the two have the same length", "zip(windows, corners):", "blend"),
    ("the two have the same length", "strict=False", "blend"),
    ("the two have the same length", "expand_as(prediction)", "loss_on_known"),
    ("the two have the same length", "= error.shape", "seam_ratio"),
    ("a hidden pixel is hidden in all colours", "squares[1]", "halve"),
    ("a hidden pixel is hidden in all colours", "squares[-1]", "halve"),
    ("the result is never negative", "len(errors))).abs()", "loss_on_known"),
    ("a single number has no axes", "len(errors))).squeeze()", "loss_on_known"),
    ("a single number has no axes", "len(errors))).flip(0)", "loss_on_known"),
    ("an absolute value forgets the sign", "(images - prediction)", "loss_on_known"),
    ("a pixel has three values", "max(2, len(errors))", "loss_on_known"),
    ("all patches are of one size", "mean(dim=(1, 2, 3))", "nearest_patch"),
    ("the second axis from the left is the third from the right", "dim=(1, -2, 3)", "nearest_patch"),
    ("every patch gets as much", "masked_fill(hidden, 1)", "nearest_patch"),
    ("every patch gets as much", "masked_fill(hidden, -1)", "nearest_patch"),
    ("a square, or a quotient, forgets the sign", "(window - bank)", "nearest_patch"),
    ("from -1 to 0 there are no rows", "if 0 <= edge", "seam_ratio"),
    ("from -1 to 0 there are no rows", "if -1 < edge", "seam_ratio"),
    ("a single number may come as a tensor", "return error[hidden & seam]", "seam_ratio"),
    ("whole numbers become fractions where a fraction is subtracted", "torch.arange(height)[", "stroke"),
    ("whole numbers become fractions where a fraction is subtracted", "torch.arange(width)", "stroke"),
    ("a row of False becomes all rows", "torch.zeros(width", "stroke"),
    ("a piece is the same from its other end", "zip(points[1:]", "stroke"),
    ("a piece is the same from its other end", "points[-2:]", "stroke"),
    ("a distance forgets the sign", "hypot(share * down - (", "stroke"),
    ("a distance forgets the sign", "share * across - (", "stroke"),
    ("too small to be seen", "2e-09", "stroke"),
    ("no training goes through the result", ".detach()", "similarity_map nearest knn_predict attention_distance"),
    ("no training goes through the result", ".detach()", "attention_rollout"),
    ("the result is never negative", ".abs()", "nearest knn_predict attention_distance attention_rollout"),
    ("all values lie from 0 to 1", ".clamp(0, 1)", "attention_rollout"),
    ("a single number may come as a tensor", "differences.mean(),", "paired_margin"),
    ("a single number may come as a tensor", "differences.std())", "paired_margin"),
    ("places may come as tensors", "torch.randperm(len(members), generator=generator)", "few_labels"),
    ("the order of these does not matter", "in set(labels)", "few_labels"),
    ("the cosine knows no order", "F.cosine_similarity(features, features[", "similarity_map"),
    ("a new axis at the end is one in the middle", "[:, row, None, col, None]", "similarity_map"),
    ("the last axis is the second of two", "argsort()", "nearest"),
    ("the last axis is the second of two", "dim=-1", "nearest knn_predict attention_distance attentive_pool"),
    ("the last axis is the second of two", ".topk(k)", "knn_predict"),
    ("the last axis is the second of two", "scatter_add(-1,", "knn_predict"),
    ("one more for every class changes no order", "torch.ones(len(test)", "knn_predict"),
    ("a size may come as a tensor", "labels.max() + 1)", "knn_predict"),
    ("a class that nobody has gets no vote", "+ 2)", "knn_predict"),
    ("the two have the same length", "len(accuracies)", "agreement"),
    ("the two have the same length", "maps.shape[3]", "attention_rollout"),
    ("the third axis from the left is the second from the right", "maps.shape[-2]", "attention_rollout"),
    ("a vector has one axis", "query.shape[-1]", "attentive_pool"),
    ("row and column have the same say in a distance", "(token % cols, token // cols)", "attention_distance"),
    ("a square forgets the sign", "(row - row[:, None])", "attention_distance"),
    ("a square forgets the sign", "(col - col[:, None])", "attention_distance"),
    ("all is added up, and divided by the number of tokens", "sum(dim=1)", "attention_distance"),
    ("all is added up, and divided by the number of tokens", "sum(dim=-2)", "attention_distance"),
    ("the result is never negative", ".abs()", "nearest_codes temper guide_words"),
    ("all values lie from 0 to 1", ".clamp(0, 1)", "temper guide_words"),
    ("no training goes through the result", ".detach()", "nearest_codes temper guide_words"),
    ("the last axis is the second of two", "dim=-1", "nearest_codes unmask decode_step"),
    ("the last axis is the second of two", "math.inf).argsort()", "unmask"),
    ("the last axis is the second of two", "scatter(-1,", "unmask"),
    ("the cosine forgets the sign", "math.pi / -2", "tokens_left unmask_counts"),
    ("the order of these does not matter", "dim=(3, 2, 4)", "diversity"),
    ("the order of these does not matter", "dim=(2, 4, 3)", "diversity"),
    ("a square, or a quotient, forgets the sign", "(pictures[:, other] - pictures[:, one])", "diversity"),
    ("a single number may come as a tensor", "return errors.mean()", "diversity"),
    ("the order of these does not matter", "max(left - goal, 1)", "unmask_counts"),
    ("the order of these does not matter", "kernel(fake, real)", "unbiased_kid"),
    ("no training goes through the result", ".detach()", "unbiased_kid"),
    ("a table of two pictures or more keeps its axes, and a single number has none", ".squeeze()", "unbiased_kid"),
    ("a single number has no axes", ".flip(0)", "unbiased_kid"),
    ("the last axis is the second of two", "x.shape[-1]", "unbiased_kid"),
    ("a single number may come as a tensor", "kernel(real, fake).mean()", "unbiased_kid"),
    ("the last axis is the second of two", ".argsort()", "decode_step"),
    ("the two have the same length", "view(mask.shape)", "decode_step"),
    ("an axis of length 1 ends with its first", "[:, :, -1]", "decode_step"),
    ("the text of an error is free", "raise ValueError()", "rename_keys"),
    ("the text of an error is free", "raise ValueError(", "vit_flops"),
    ("any error refuses a size", "raise f'", "vit_flops"),
    ("nothing is left over in this division", "tokens = height / patch", "vit_flops"),
    ("nothing is left over in this division", "(width / patch)", "vit_flops"),
    ("the three have one shape", "zeros = weights[1].", "pack_qkv"),
    ("the three have one shape", "zeros = weights[-1].", "pack_qkv"),
    ("the three have one shape", "new_zeros(len(weights[1]))", "pack_qkv"),
    ("the three have one shape", "new_zeros(len(weights[-1]))", "pack_qkv"),
    ("no training goes through the result", ".detach()", "resize_positions grey_embedding"),
    ("the corners are those of the picture anyway", "mode='bicubic')", "resize_positions"),
    ("both have the same names by then", "for name in got", "largest_difference"),
    ("the order of these does not matter", "differences.max().item(), worst", "largest_difference"),
    ("a single number may come as a tensor", "max(worst, differences.max())", "largest_difference"),
    ("an absolute value forgets the sign", "(got[name].double() - wanted[name]", "largest_difference"),
    (
        "64 bits on one side make the difference one of 64 bits",
        "(wanted[name] - got[name].double",
        "largest_difference",
    ),
    ("64 bits on one side make the difference one of 64 bits", "double() - got[name])", "largest_difference"),
    ("nothing is left over in this division", "+ 1) / 2", "read_sizes"),
    ("the root is rounded down, and odd", "+ 2) // 2", "read_sizes"),
    ("the root is rounded down, and odd", "isqrt(rows", "read_sizes"),
    ("the last axis is the second of two", "dim=-1", "quantize_rows"),
    ("an axis of length 1 may be left to be found out", "view(3, -1, 1)", "fold_normalization"),
    ("an axis of length 1 may be left to be found out", "view(3, 1, -1)", "fold_normalization"),
    ("the order of these does not matter", "dim=(2, 1, 3)", "fold_normalization"),
    ("the order of these does not matter", "dim=(1, 3, 2)", "fold_normalization"),
    ("the third axis from the left is the second from the right", "dim=(1, -2, 3)", "fold_normalization"),
    ("below 1 the sum is too small anyway", "low, high = (0.0", "geometric_places"),
    ("below 1 the sum is too small anyway", "low, high = (-1.0", "geometric_places"),
    ("whole numbers become fractions where they are halved", "low, high = (1.0, new)", "geometric_places"),
    ("one halving more or less is enough", "range(99)", "geometric_places"),
    ("one halving more or less is enough", "range(101)", "geometric_places"),
    ("one halving more or less is enough", "range(200)", "geometric_places"),
    ("either side of the middle leads to it", ">= new - 1", "geometric_places"),
    ("the mask that is given shows equally many anyway", "pass", "keep_visible"),
    ("the clips of a batch are drawn alike", ".flip(0)", "tube_mask"),
    ("the mask that is given shows equally many anyway", "raise f'", "keep_visible"),
    ("the mask that is given shows equally many anyway", "raise ValueError()", "keep_visible"),
    ("the mask that is given shows equally many anyway", "visible.sum().aminmax()", "keep_visible"),
    ("the last axis is the second of two", "visible.sum(-1)", "keep_visible"),
    ("all numbers have 32 bits anyway", "= mask_token.repeat(", "put_back"),
    ("all numbers have 32 bits anyway", "mask_token.to()", "put_back"),
    ("all numbers have 32 bits anyway", "mask_token.to(visible)", "put_back"),
    ("no training goes through the result", ".detach()", "hardest_mask attention_mask copy_in_time tube_mask"),
    ("the last axis is the second of two", "(rows * cols))).indices", "hardest_mask"),
    ("the last axis is the second of two", "dim=-1)", "hardest_mask unshuffle attention_mask"),
    ("the last axis is the second of two", "scatter(-1,", "hardest_mask"),
    ("the last axis is the second of two", "order.argsort()", "unshuffle"),
    ("the last axis is the second of two", "order.shape[-1]", "unshuffle"),
    ("the last axis is the second of two", "looked.shape[-1]", "attention_mask"),
    ("the last axis is the second of two", "descending=True).argsort()", "attention_mask"),
    ("the last axis is the second of two", "looked.argsort(descending=True)", "attention_mask"),
    ("the last axis is the second of two", "looked.argsort(dim=-1, descending=True)", "attention_mask"),
    ("the two have the same length", "len(encoded)", "unshuffle"),
    ("more for every patch changes no order", "sum(dim=1)", "attention_mask"),
    ("a whole rank is below a number where it is below the next whole one", "ranks < ratio", "attention_mask"),
    ("the result is never negative", ".abs()", "teacher_loss"),
    ("a single number has no axes", ".squeeze()", "teacher_loss"),
    ("a single number has no axes", ".flip(0)", "teacher_loss"),
    ("nothing is left over in this division", "features.shape[2] / ", "masked_batch_norm"),
    ("nothing is left over in this division", "clip.shape[2] / ", "copy_in_time"),
    (
        "the third axis from the left is the second from the right",
        "shape[-2]",
        "masked_batch_norm copy_in_time prompt_canvas",
    ),
    ("an axis of length 1 ends with its first", "hidden[:, -1]", "masked_batch_norm"),
    ("the two have the same length", "range(len(mask))", "copy_in_time"),
    ("a distance forgets the sign", "abs(t - s)", "copy_in_time"),
    ("the two have the same length", "answers.shape", "prompt_canvas"),
    ("the two have the same length", "len(answers)", "prompt_canvas"),
    ("the right half begins where the left one ends", "mask[-rows:, cols:]", "prompt_canvas"),
]


def survivors(task: str) -> Iterator[tuple[str, bool]]:
    """Each mutant of the task, and whether it passes the check for one of the seeds."""
    for change, mutant in mutants(task):
        yield change, any(passes(task, mutant, seed) for seed in SEEDS)


def passes(task: str, mutant, seed: int) -> bool:
    with stopped_after(SECONDS):
        return not any(checks.TASKS[task].run(mutant, seed).values())


@contextmanager
def stopped_after(seconds: int) -> Iterator[None]:
    """A mutant may loop for ever: the check takes the exception as one of the answer."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(task: str) -> dict[str, int]:
    """How many mutants the task has, refused ones and equal ones; it fails where another passes the check."""
    counts = Counter(mutants=0, refused=0, equal=0)
    parts = {part for _, part, tasks in EQUAL if task in tasks.split()}
    unused = set(parts)
    for change, passed in survivors(task):
        known = {part for part in parts if part in change.split(" → ")[1]}
        assert known or not passed, f"{task} lets a mutant pass: {change}"
        counts += {"mutants": 1, "equal" if passed else "refused": 1}
        unused -= known if passed else set()
    assert not unused, f"{task} refuses what stands in EQUAL: {unused}"
    return {name: counts[name] for name in ("mutants", "refused", "equal")}


def test_slips_are_those_of_learners():
    source = """def f(x: Tensor, y: Tensor, n: int):
        '''Text.'''
        y = ~y
        return rearrange(x.mean(dim=1, keepdim=True).sqrt() - math.ceil(n), "b c h -> h (b c)")"""
    changes = {change.split(" → ")[1] for change, _ in slips(source)}
    right = "return rearrange(x.mean(dim=1, keepdim=True).sqrt() - math.ceil(n), 'b c h -> h (b c)')"
    for old, new in (
        ("x.mean", "y.mean"),
        ("mean", "sum"),
        (".sqrt()", ""),
        ("dim=1, ", ""),
        (", keepdim=True", ""),
        ("dim=1", "dim=0"),
        ("dim=1", "dim=2"),
        ("dim=1", "dim=-1"),
        (" - ", " + "),
        (" - math.ceil(n)", ""),
        ("ceil", "floor"),
        ("math.ceil(n)", "n"),
        ("h (b c)", "h (c b)"),
        ("b c h ->", "c b h ->"),
    ):
        assert right.replace(old, new) in changes, new
    assert {"pass", "y = y", "y = ~x"} <= changes and not any("n.mean" in change for change in changes)


@pytest.mark.parametrize("task", ["decaying", "error_on_visible", "levels_off"])
def test_mutants_are_refused(task):
    counts = judge(task)
    assert counts["mutants"] == counts["refused"] + counts["equal"] >= 10


@pytest.mark.verify
def test_every_mutant_of_every_solution_is_refused_or_equal(record):
    tasks = {task: judge(task) for task in solutions()}
    assert set(tasks) == set(checks.TASKS) and {task for *_, names in EQUAL for task in names.split()} <= set(
        tasks
    )
    total = {name: sum(counts[name] for counts in tasks.values()) for name in ("mutants", "refused", "equal")}
    record("mutants.json", {"seeds": len(SEEDS), "tasks": tasks, "total": total})
