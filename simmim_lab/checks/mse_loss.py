"""Checks of the exercises on the loss (lesson 04)."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import smooth_l1_loss

from simmim_lab import masking
from simmim_lab.checks.core import Answer, Verdict, check, compare, describe, first, form


@check(
    "The mask has one entry for each patch, the errors have one for each value of each pixel. Bring the mask to "
    "the size of the errors first. Then ask how many values you add up.",
    "`masking.to_pixels(mask, patch)` enlarges the mask (`patch` is height // rows), and `[:, None]` gives it a "
    "place for the channels. Set the visible squared errors to 0 with `masked_fill` (a product would not do: "
    "infinity times 0 is nan). Add up, and divide by hidden pixels times channels. A tiny number added to the "
    "count turns 0 / 0 into 0.",
    gradient=(0,),
)
def masked_mse(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`masked_mse(prediction, target, mask)` is the mean squared error over the hidden values of the batch."""
    prediction, target, mask, hidden = _batch(rng)
    got = answer(prediction, target, mask)
    problem = form(got, (), torch.float32)
    yield "returns a tensor with one number", problem
    if problem:
        return

    errors = prediction - target
    squares = (errors**2).masked_fill(~hidden, 0)
    want = squares.sum() / hidden.sum()
    mistakes = {
        "it is the sum: divide by the number of hidden values": squares.sum(),
        "it divides by all values, so the visible ones count as errors of 0": squares.mean(),
        "it is divided twice: a mean is taken, and then it is divided by the count": squares.mean() / hidden.sum(),
        "visible errors count: the mask is not used": (errors**2).mean(),
        "it divides by hidden pixels, but each pixel has one value for each channel": want * target.shape[1],
        "it divides by 3 channels: take their number from the shape": want * target.shape[1] / 3,
        "it divides by hidden patches, but each is a square of pixels with several channels": (
            squares.sum() / mask.sum()
        ),
        "it divides by hidden patches x channels, but each patch is a square of pixels": (
            squares.sum() / (mask.sum() * target.shape[1])
        ),
        "it is the mean of each image's mean: every hidden value of the batch must weigh the same": (
            squares.sum((1, 2, 3)) / hidden.sum((1, 2, 3))
        ).mean(),
        "it averages over the visible values: True = hidden": errors[~hidden].square().mean(),
        "it is the root of the mean squared error": want.sqrt(),
        "the errors are not squared but made positive: that is L1": errors[hidden].abs().mean(),
        "the errors are not squared, so positive and negative ones cancel": errors[hidden].mean(),
    }
    yield "averages over the hidden values of the whole batch", compare(got, want, mistakes)
    zeros = torch.zeros(2, 1, 2, 3)
    nothing = answer(zeros + 1, zeros, torch.zeros(2, 2, 3, dtype=torch.bool))
    is_nan = bool(nothing != nothing)
    yield (
        "is 0 when nothing is hidden",
        first((is_nan, "it is nan, as 0 / 0 is: keep the divisor above 0")) or compare(nothing, 0.0),
    )
    overflow = prediction.clone()
    overflow[tuple((~hidden).nonzero()[0])] = torch.inf
    infinite = answer(overflow, target, mask)
    problem = first(
        (infinite != infinite, "it becomes nan: set visible errors to 0, since infinity * 0 is nan"),
        (infinite == torch.inf, "it becomes infinite: a visible value counts"),
    )
    yield "ignores an infinite visible value", problem or compare(infinite, got)


@check(
    "At the best answer all pulls cancel. MSE pulls with the size of each error, L1 only with its sign. Which "
    "number lies so that the errors add up to 0? Which has as many values above it as below?",
    "One loss wants the mean. The other wants the middle of the *sorted* values. `torch.median` finds it: for an "
    "even count it takes the smaller of the two in the middle, which is as good as any number between them.",
)
def best_constant(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`best_constant(values, loss)` is the one answer to all values with the smallest "mse" or "l1" loss."""
    count = 7 + 2 * int(torch.randint(2, (1,), generator=rng))
    sorted_values = 100 + (0.5 + torch.rand(count, generator=rng)).cumsum(0)
    sorted_values[-1] += 60  # one outlier, so that the mean is no median
    ordered, middle = sorted_values.tolist(), count // 2
    shift = middle - 1 + 3 * int(torch.randint(2, (1,), generator=rng))
    values = sorted_values.roll(shift)  # the second smallest or second largest comes into the middle place
    mean, median = values.mean().item(), ordered[middle]
    common = {
        "it lies halfway between the smallest and the largest value": (ordered[0] + ordered[-1]) / 2,
        "it is the smallest value": ordered[0],
        "it is the largest value": ordered[-1],
    }
    mistakes = {
        "it is the median, the best answer for L1": median,
        "only the given values are tried, but the best answer lies between them": min(
            ordered, key=lambda value: abs(value - mean)
        ),
        "it is the smallest loss: return the answer that has it": (values - mean).square().mean().item(),
        "it is the sum: divide by the number of values": values.sum().item(),
    }
    got = answer(values, "mse")
    yield "is best for MSE", compare(got, mean, mistakes | common | _searched(got, mean, 0.005))
    mistakes = {
        "it is the mean, the best answer for MSE: one far value moves it": mean,
        "it is the middle of the values as they came: sort them first": values[middle].item(),
        "it is one place below the middle": ordered[middle - 1],
        "it is one place above the middle": ordered[middle + 1],
        "it is the smallest loss: return the answer that has it": (values - median).abs().mean().item(),
    }
    got = answer(values, "l1")
    problem = compare(got, median, mistakes | common | _searched(got, median, 0.005))
    yield "is best for L1", problem
    if problem:
        return

    below, above = ordered[middle : middle + 2]  # the two in the middle when the smallest value is left out
    got = answer(sorted_values[1:].flip(0), "l1")
    problem = f"of {count - 1} values any number from {below:.5g} to {above:.5g} is best, but got {describe(got)}"
    yield "is best for L1 and an even count", first((not 0.9999 * below <= got <= 1.0001 * above, problem))


@check(
    "Differentiate one squared error with respect to its prediction. Then look at what the loss divides by: the "
    "same number belongs into the gradient. What does a visible value change?",
    "Each hidden value has 2 * (prediction - target) / N, with N = hidden pixels times channels of the whole "
    "batch. Enlarge the mask with `masking.to_pixels`, and set visible values to 0 with `masked_fill`. When "
    "nothing is hidden, N must not be 0.",
)
def loss_gradient(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`loss_gradient(prediction, target, mask)`: the gradient of `masked_mse` with respect to the prediction."""
    prediction, target, mask, hidden = _batch(rng)
    got = answer(prediction, target, mask)
    problem = form(got, target.shape, torch.float32)
    yield "returns one finite number for each value of the prediction", problem
    if problem:
        return

    pulled, count = (got[~hidden] != 0).sum().item(), (~hidden).sum().item()
    yield (
        "is exactly 0 at visible values",
        first(
            (not got[hidden].any() and pulled > 0, "it is 0 at hidden values instead: True = hidden"),
            (
                pulled > 0,
                f"{pulled} of {count} visible values are not 0, but the loss does not depend on them",
            ),
        ),
    )
    errors = (prediction - target).masked_fill(~hidden, 0)
    want = 2 * errors / hidden.sum()
    mistakes = {
        "the factor 2 is missing: the derivative of e² is 2e": want / 2,
        "the sign is wrong: where the prediction is too large, a larger one costs more": -want,
        "the sign is wrong and the factor 2 is missing": -want / 2,
        "it divides by all values, not by the hidden ones": 2 * errors / hidden.numel(),
        "it is not divided by the number of hidden values": 2 * errors,
        "it divides by hidden pixels, but each pixel has one value for each channel": want * target.shape[1],
        "it divides by 3 channels: take their number from the shape": want * target.shape[1] / 3,
        "it divides by hidden patches, but each is a square of pixels with several channels": (
            2 * errors / mask.sum()
        ),
        "it divides by the hidden values of each image, but the loss is one mean over the whole batch": (
            2 * errors / hidden.sum((1, 2, 3), keepdim=True)
        ),
        "it has the sign of the error but not its size: that is the gradient of L1": errors.sign() / hidden.sum(),
        "it holds the squared errors, not their derivative": errors**2 / hidden.sum(),
        "it has lost the sign of the error": want.abs(),
        "hidden values get nothing": torch.zeros_like(want),
    }
    yield (
        "has the right size and sign at hidden values",
        compare(torch.where(hidden, got, 0.0), want, mistakes, tolerance=1e-6),
    )
    zeros = torch.zeros(2, 1, 2, 3)
    nothing = answer(zeros + 1, zeros, torch.zeros(2, 2, 3, dtype=torch.bool))
    yield "is 0 everywhere when nothing is hidden", compare(nothing, zeros)


@check(
    "Every row is a patch of its own. Along which dimension do you take its mean? Does the mean keep this "
    "dimension, so that it fits to the rows? And what should the deviation of a patch be whose values are all "
    "equal?",
    "`mean(dim=1, keepdim=True)` keeps the shape (n, 1). `var` is unbiased unless you tell it otherwise. Add 1e-6 "
    "to the variance *before* the root: a flat patch then has the deviation 0.001. Return all three.",
)
def normalize_patches(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`normalize_patches(patches)` returns the patches with mean 0 and deviation 1, their means and deviations."""
    n, d = (int(torch.randint(low, low + 4, (1,), generator=rng)) for low in (4, 8))
    patches = torch.arange(2.0, 2 + n)[:, None] * (5 + torch.randn(n, d, generator=rng))
    got = answer(patches)
    three = isinstance(got, tuple | list) and len(got) == 3
    problem = first(
        (isinstance(got, Tensor), "it is one tensor: without means and deviations nobody can undo it"),
        (not three, f"expected a tuple of three tensors, got {describe(got)}"),
    )
    yield "returns three things: normalised patches, means, deviations", problem
    if problem:
        return

    normalised, mean, std = got
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else None for part in got]
    problem = first(
        (shapes[0] == (n, 1), "the first of the three must be the normalised patches"),
        (shapes[1] == (n,), "means of shape (n,) do not broadcast over rows: `keepdim=True` makes it (n, 1)"),
        (shapes[1] in {(d,), (1, d)}, "the mean is taken over the rows (dimension 0): each row needs its own"),
        (shapes[1] in {(), (1,), (1, 1)}, "there is one mean for all patches: each row needs its own"),
    )
    sizes = (n, d), (n, 1), (n, 1)
    for part, size in zip(got, sizes, strict=True):
        problem = problem or form(part, size, torch.float32)
    yield "returns shapes (n, d), (n, 1) and (n, 1)", problem
    if problem:
        return

    true_mean, var = patches.mean(1, keepdim=True), patches.var(1, keepdim=True)
    true_std, biased = (var + 1e-6).sqrt(), patches.std(1, keepdim=True, correction=0)
    centred = patches - true_mean
    mistakes = {"these are the deviations: the order is normalised, mean, std": true_std}
    yield "gives the mean of each patch", compare(mean, true_mean, mistakes)
    mistakes = {
        "it divides by n, not by n - 1: the variance is biased": biased,
        "it is the variance: the root is missing": var,
    }
    yield "gives the unbiased deviation of each patch", compare(std, true_std, mistakes)
    mistakes = {
        "brackets: (patch - mean) / std": patches - true_mean / true_std,
        "the mean is not subtracted": patches / true_std,
        "it is not divided by the deviation": centred,
        "it is divided by the variance, not by its root": centred / var,
        "it is divided by a biased deviation": centred / biased,
    }
    yield "subtracts the mean and divides by the deviation", compare(normalised, centred / true_std, mistakes)
    flat = torch.full((2, 8), int(torch.randint(1, 9, (1,), generator=rng)) / 8)
    zeros, small, value = torch.zeros(2, 8), torch.full((2, 1), 1e-3), flat[:, :1]
    mistakes = {"1e-6 belongs under the root: sqrt(variance + 1e-6)": (zeros, value, small / 1000)}
    yield (
        "keeps a flat patch finite, with 1e-6 under the root",
        compare(answer(flat), (zeros, value, small), mistakes, tolerance=1e-5),
    )


@check(
    "`nn.MSELoss()` divides by the number of values in `y`. Which number does formula (4.4) divide by? The "
    "article's mask is 1 where the picture is visible, and has an entry for each value.",
    "`1 - article_mask` is 1 at hidden values. Multiply the squared errors by it, and add up. Its sum counts the "
    "hidden values of all channels and images, so it is N as it stands.",
    gradient=(0,),
)
def repaired_loss(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`repaired_loss(y, x, article_mask)` is formula (4.4): the mean squared error over hidden values."""
    order = torch.rand(3, 144, generator=rng).argsort(1).argsort(1)
    hidden = (order < torch.tensor([[20], [60], [115]])).view(3, 3, 6, 8)
    x = torch.rand(hidden.shape, generator=rng)
    errors, mask = _errors(hidden, rng), (~hidden).float()
    y = x + errors
    got = answer(y, x, mask)
    problem = form(got, (), torch.float32)
    yield "returns a tensor with one number", problem
    if problem:
        return

    squares = errors**2 * hidden
    want = squares.sum() / hidden.sum()
    mistakes = {
        "it is the article's value: it divides by all values, not by the hidden ones": squares.mean(),
        "visible outputs count: x is masked but y is not, so y is asked to be black there": (
            (y - x * hidden).square().mean()
        ),
        "at visible places y is compared with 0: multiply the error by 1 - mask": (
            (y - x * hidden).square().sum() / hidden.sum()
        ),
        "visible outputs count: the mask is not used": (errors**2).mean(),
        "it averages over the visible values: in the article 1 = visible": errors[~hidden].square().mean(),
        "it is the sum: formula (4.4) divides by N": squares.sum(),
        "it is divided twice: `nn.MSELoss()` has already divided by all values": squares.mean() / hidden.sum(),
        "the article's mask has an entry for each channel, so do not divide by the channels again": want / 3,
        "it divides by the hidden entries of one channel: those of all channels count": (
            squares.sum() / hidden[:, 0].sum()
        ),
        "a mask of whole numbers picks images: compare it with 0 to get a boolean one": (
            errors[hidden.long()].square().mean()
        ),
        "it is the mean of each image's mean: N counts the hidden values of the whole batch": (
            squares.sum((1, 2, 3)) / hidden.sum((1, 2, 3))
        ).mean(),
        "it is the article's value times the hidden share: divide by it": squares.mean() * (1 - mask).mean(),
        "it is divided by the visible share, not by the hidden one": squares.mean() / mask.mean(),
        "it is the root of the mean squared error": want.sqrt(),
        "it is L1, as in the paper; formula (4.4) has squares": errors[hidden].mean(),
    }
    yield "averages over the hidden values", compare(got, want, mistakes)
    other = answer(y + 3 * mask, x, mask)
    changed = compare(other, got) is not None
    yield (
        "does not depend on visible outputs",
        first((changed, "it changes with y where the picture is visible")),
    )
    order = order[:1].view(1, 3, 6, 8)
    little, much = (answer(x[:1] + 0.5, x[:1], (order >= count).float()) for count in (36, 108))
    yield (
        "is the same for equal errors, whether a quarter is hidden or three quarters",
        compare(
            (little, much),
            (0.25, 0.25),
            {"it grows with the hidden share, as the article's does": (0.0625, 0.1875)},
        ),
    )


@check(
    "A value nearer than 1 pulls with its error, a farther one with 1 or -1. Write down the sum of all pulls on "
    "an answer. What is its sign when the answer is too small?",
    "The pull of a value is `(value - answer).clamp(-1, 1)`. The sum of the pulls falls as the answer grows, from "
    "positive at the smallest value to negative at the largest. So halve this interval again and again: where the "
    "sum is positive, go on in the upper half.",
)
def best_smooth_l1(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`best_smooth_l1(values)` is the one answer to all values with the smallest smooth L1 loss."""
    side = 1 if torch.rand(1, generator=rng) < 0.5 else -1
    spread = torch.linspace(-0.2, 0.2, 5) + 0.04 * torch.rand(5, generator=rng)
    near = 20 + torch.rand(1, generator=rng) + spread
    far = near[2] + side * (10 + 5 * torch.rand(2, generator=rng))
    values = torch.cat([near, far])[torch.randperm(7, generator=rng)]
    want = (near.sum() + 2 * side) / 5  # the five pull with their errors, and the two with 1 each
    mean, median = values.mean().item(), values.median().item()
    mistakes = {
        "it is the mean: far values must pull with 1 only": mean,
        "it is the median: near values must pull with their error": median,
        "it lies halfway between mean and median, but it is no average of the two": (mean + median) / 2,
        "it is the mean of the near values: the far ones pull too, with 1 each": near.mean().item(),
        "far values are clipped around the median: a pull depends on the distance to the answer itself": (
            values.clamp(median - 1, median + 1).mean().item()
        ),
        "it is the smallest loss: return the answer that has it": smooth_l1_loss(want.expand(7), values).item(),
        "it is the loss of the mean: return the answer with the smallest": (
            smooth_l1_loss(values.mean().expand(7), values).item()
        ),
        "it is the smallest value: does the search go the wrong way?": values.min().item(),
        "it is the largest value: does the search go the wrong way?": values.max().item(),
        "it is the best of the values, but an answer between them is better": (near[-1 if side > 0 else 0].item()),
    }
    got, want = answer(values), want.item()
    yield "is where all pulls cancel", compare(got, want, mistakes | _searched(got, want, 0.1))
    close = 3 + 0.5 * torch.rand(4, generator=rng)
    yield "is the mean when all values are near", compare(answer(close), close.mean().item(), tolerance=1e-3)
    got = answer(torch.tensor([0.0, 0.0, 9.0]))
    yield "gives 0.5 for the values 0, 0 and 9", compare(got, 0.5, tolerance=1e-3)


def _searched(got: Any, want: float, reach: float) -> dict[str, Any]:
    """The mistakes of a search: `got` where it is such a one, else NaN. `reach` is relative to `want`."""
    near = {
        "only answers from 0 to 1 are tried, but the values lie elsewhere": (1.0, 0.11),
        "it is near, but not near enough: does it need more steps or a finer grid?": (want, reach),
    }
    return {
        text: math.nan if compare(got, value, tolerance=tolerance) else got
        for text, (value, tolerance) in near.items()
    }


def _batch(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prediction, target, a mask that hides 2, 7 and 12 of 15 patches, and the same for each value."""
    patch = int(torch.randint(2, 5, (1,), generator=rng))
    order = torch.rand(3, 15, generator=rng).argsort(1).argsort(1)
    mask = (order < torch.tensor([[2], [7], [12]])).view(3, 3, 5)
    hidden = masking.to_pixels(mask, patch)[:, None].repeat(1, 2, 1, 1)
    target = torch.rand(hidden.shape, generator=rng)
    signs = torch.where(torch.rand(hidden.shape, generator=rng) < 0.7, 1, -1)  # so that no mean is near 0
    return target + signs * _errors(hidden, rng), target, mask, hidden


def _errors(hidden: Tensor, rng: Generator) -> Tensor:
    """Errors of about 1, 2 and 3 in three images, twice as large where visible: every wrong mean differs."""
    size = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1) * (2 - hidden.float())
    return size * (0.9 + 0.2 * torch.rand(hidden.shape, generator=rng))
