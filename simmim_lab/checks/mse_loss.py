"""Checks of lesson 04 and of its exercises: the loss."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, interpolate, smooth_l1_loss

from simmim_lab import masking
from simmim_lab.checks import solutions
from simmim_lab.checks.core import (
    Answer,
    Between,
    Verdict,
    check,
    compare,
    describe,
    distinct,
    explain,
    first,
    form,
    gradients,
)
from simmim_lab.checks.guessing import Guess


class _Batch(NamedTuple):
    """What a loss, or a mistake in it, is computed from."""

    errors: Tensor  # prediction - target, of shape (batch, channels, height, width)
    hidden: Tensor  # True or False for each of them
    patches: Tensor  # how many are hidden

    @classmethod
    def of(cls, prediction: Tensor, target: Tensor, mask: Tensor) -> "_Batch":
        pixels = masking.to_pixels(mask, target.shape[2] // mask.shape[1])
        return cls(prediction - target, pixels[:, None].expand(target.shape), mask.sum())

    @property
    def squares(self) -> Tensor:
        return self.errors.square().masked_fill(~self.hidden, 0)

    @property
    def sizes(self) -> Tensor:
        return self.errors.abs().masked_fill(~self.hidden, 0)

    @property
    def picked(self) -> Tensor:
        """The errors at hidden values."""
        return self.errors[self.hidden]

    @property
    def without_zeros(self) -> "_Batch":
        """As if only those hidden values counted whose error is not 0."""
        return self._replace(hidden=self.hidden & (self.errors != 0))

    @property
    def pixels(self) -> Tensor:
        """How many are hidden."""
        return self.hidden[:, 0].sum()

    @property
    def channels(self) -> int:
        return self.errors.shape[1]

    @property
    def patch(self) -> Tensor:
        return (self.pixels / self.patches).sqrt()

    @property
    def image_means(self) -> Tensor:
        return self.squares.sum((1, 2, 3)) / self.hidden.sum((1, 2, 3))


NO_ZEROS = "errors of 0 are left out: the mask alone says what counts"
WRONG_MEANS: dict[str, Callable[[_Batch], Tensor]] = {
    "it is the sum: divide by the number of hidden values": lambda b: b.squares.sum(),
    "it divides by all values, so the visible ones count as errors of 0": lambda b: b.squares.mean(),
    "it is divided twice: a mean is taken, and then it is divided by the count": (
        lambda b: b.squares.mean() / b.hidden.sum()
    ),
    "it is divided twice by the number of hidden values": lambda b: b.picked.square().mean() / b.hidden.sum(),
    "visible errors count: the mask is not used": lambda b: b.errors.square().mean(),
    "visible errors are added up, too: set them to 0": lambda b: b.errors.square().sum() / b.hidden.sum(),
    "it averages over the visible values: True = hidden": lambda b: b.errors[~b.hidden].square().mean(),
    "it divides by the number of images": lambda b: b.squares.sum() / len(b.errors),
    "it divides by N - 1: a mean divides by N": lambda b: b.squares.sum() / (b.hidden.sum() - 1),
    "1 is added to the number of hidden values: divide by it, but at least by 1": (
        lambda b: b.squares.sum() / (b.hidden.sum() + 1)
    ),
    "it divides by the number of visible values: divide by that of hidden ones": (
        lambda b: b.squares.sum() / (~b.hidden).sum()
    ),
    "it is the mean of the images' means: all hidden values must weigh the same": (lambda b: b.image_means.mean()),
    "it is the sum of each image's mean: one mean over the whole batch is asked for": lambda b: (
        b.image_means.sum()
    ),
    "it is half the mean squared error: the formula has no 1/2": lambda b: b.picked.square().mean() / 2,
    "it is the root of the mean squared error": lambda b: b.picked.square().mean().sqrt(),
    "the errors are added up before they are squared: square each of them": (
        lambda b: b.picked.sum().square() / b.hidden.sum()
    ),
    "it is the square of the mean error: square first, then average": lambda b: b.picked.mean().square(),
    "it is the median of the squared errors, not their mean": lambda b: b.picked.square().median(),
    "the errors are not squared but made positive: that is L1": lambda b: b.picked.abs().mean(),
    "the errors are not squared where they are above 1: that is smooth L1": (
        lambda b: smooth_l1_loss(b.picked, torch.zeros_like(b.picked))
    ),
    "the errors are not squared, so positive and negative ones cancel": lambda b: b.picked.mean(),
    "the errors are doubled, not squared: `e ** 2`, not `e * 2`": lambda b: 2 * b.picked.mean(),
    "the errors are averaged over the channels before they are squared, so they cancel": (
        lambda b: b.errors.mean(1)[b.hidden[:, 0]].square().mean()
    ),
    "only the first channel counts": lambda b: b.errors[:, 0][b.hidden[:, 0]].square().mean(),
}

WRONG_COUNTS: dict[str, Callable[[_Batch], Tensor | int]] = {
    "it divides by hidden pixels, but each pixel has one value for each channel": lambda b: b.pixels,
    "it divides by 3 channels: take their number from the shape": lambda b: 3 * b.pixels,
    "it divides by hidden pixels x images: the second axis holds the channels": lambda b: b.pixels * len(b.errors),
    "it divides by hidden patches, but each is a square of pixels with several channels": lambda b: b.patches,
    "it divides by hidden patches x channels, but each patch is a square of pixels": (
        lambda b: b.patches * b.channels
    ),
    "a patch has patch * patch pixels, not `patch`": lambda b: b.patches * b.channels * b.patch,
    "the channels are counted twice": lambda b: b.hidden.sum() * b.channels,
}


MISREAD: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "the output of the model goes through a sigmoid: use it as it is": lambda p, *rest: (p.sigmoid(), *rest),
    "the output of the model is cut off at 0 and 1: use it as it is": lambda p, *rest: (p.clamp(0, 1), *rest),
    "the mask is tiled: `masking.to_pixels` repeats each entry next to itself": (
        lambda p, t, m, *rest: (p, t, m.repeat(1, *[t.shape[2] // m.shape[1]] * 2), *rest)
    ),
    "the mask of the first image is used for all": lambda p, t, m, *rest: (p, t, m[:1].expand_as(m), *rest),
    "only the first image counts": lambda *args: tuple(arg[:1] for arg in args),
}


def _misread(right: Callable) -> dict[str, Callable]:
    """What is right, but of other arguments than the given ones."""
    return {text: lambda *args, change=change: right(*change(*args)) for text, change in MISREAD.items()}


def _of_batch(rule: Callable[[_Batch], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda *args: rule(_Batch.of(*args))


@check(
    "The mask has one entry for each patch, the errors have one for each value of each pixel. Bring the mask to "
    "the size of the errors first. Then ask how many values you add up.",
    "`masking.to_pixels(mask, patch)` enlarges the mask (`patch` is height // rows), and `[:, None]` gives it a "
    "place for the channels. Set the visible errors to 0 with `masked_fill` (a product would not do: "
    "infinity times 0 is nan). Then square and add up, and divide by hidden pixels times channels. A tiny number "
    "added to the count turns 0 / 0 into 0.",
    solution=solutions.masked_mse,
    gradient=(0,),
)
def masked_mse(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`masked_mse(prediction, target, mask)` is the mean squared error over the hidden values of the batch."""
    cases = _batches(rng)
    result = answer(*cases[0])
    problem = form(result, (), torch.float32)
    yield "returns a tensor with one number", problem
    if problem:
        return

    right = _of_batch(lambda b: b.squares.sum() / b.hidden.sum())
    by_count = {text: lambda b, count=count: b.squares.sum() / count(b) for text, count in WRONG_COUNTS.items()}
    mistakes = {text: _of_batch(rule) for text, rule in (WRONG_MEANS | by_count).items()} | _misread(right)
    mistakes |= {
        "visible values of the target count: set the errors to 0, not only the prediction": lambda p, t, m: (
            (p * (hidden := _Batch.of(p, t, m).hidden) - t).square().sum() / hidden.sum()
        )
    }
    claim = "averages over the hidden values of the whole batch"
    yield claim, explain(answer, right, cases, mistakes)
    no_zeros = {NO_ZEROS: _of_batch(lambda b: b.without_zeros.picked.square().mean())}
    yield claim, explain(answer, right, _edges(rng), no_zeros)
    yield from _only_hidden_count(answer, cases[0])


def _only_hidden_count(answer: Answer, case: tuple, *weight: Tensor) -> Iterator[tuple[str, Verdict]]:
    """Nothing hidden costs 0, and a visible value costs nothing, whatever it is."""
    nothing = answer(*case[:2], torch.zeros_like(case[2]), *weight)
    is_nan = bool(nothing != nothing)
    yield (
        "is 0 when nothing is hidden",
        first((is_nan, "it is nan, as 0 / 0 is: keep the divisor above 0")) or compare(nothing, 0.0),
    )
    prediction, target, mask = case
    hidden = _Batch.of(*case).hidden
    yield "is not finite when a hidden value is infinite or nan", _hides_infinity(answer, case, hidden, *weight)
    result, visible = answer(*case, *weight), tuple((~hidden).nonzero()[0])
    for value in torch.inf, -torch.inf, torch.nan:
        spoiled = prediction.clone()
        spoiled[visible] = value
        got = answer(spoiled, target, mask, *weight)
        problem = first(
            (bool(got != got), f"it becomes nan: set visible errors to 0, since {value} * 0 is nan"),
            (bool(got == torch.inf), "it becomes infinite: a visible value counts"),
        )
        claim = "is not changed by a visible value of the prediction that is infinite or nan"
        yield claim, (problem := problem or compare(got, result))
        if problem:
            return
        [pull] = gradients(answer.raw, (spoiled, target, mask, *weight), (0,))
        lost = pull is not None and bool(pull.isnan().any())
        text = "replace the visible errors before the square: 0 times infinity is nan, in the gradient, too"
        yield "has no nan in its gradient then, either", first((lost, f"it becomes nan: {text}"))


def _hides_infinity(answer: Answer, case: tuple, hidden: Tensor, *weight: Tensor) -> str | None:
    """What is wrong if the loss is finite though a hidden value is not: a training that diverged looks well."""
    prediction, target, mask = case
    for value in torch.inf, torch.nan:
        spoiled = prediction.clone()
        spoiled[tuple(hidden.nonzero()[0])] = value
        got = answer(spoiled, target, mask, *weight)
        if math.isfinite(got):
            return (
                f"with a hidden {value} it is {got:.4g}: only visible values must not count. Does `nan_to_num` "
                "take part?"
            )
    return None


@check(
    "Differentiate one squared error with respect to its prediction. Then look at what the loss divides by: the "
    "same number belongs into the gradient. What does a visible value change?",
    "Each hidden value has 2 * (prediction - target) / N, with N = hidden pixels times channels of the whole "
    "batch. Enlarge the mask with `masking.to_pixels`, and set visible values to 0 with `masked_fill`. When "
    "nothing is hidden, N must not be 0.",
    solution=solutions.loss_gradient,
)
def loss_gradient(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`loss_gradient(prediction, target, mask)`: the gradient of `masked_mse` with respect to the prediction."""
    by_count = {text: lambda b, count=count: 1 / count(b) for text, count in WRONG_COUNTS.items()}
    votes = by_count | {
        "it divides by all values, not by the hidden ones": lambda b: 1 / b.hidden.numel(),
        "it divides by the visible values": lambda b: 1 / (~b.hidden).sum(),
        "it divides by N - 1: a mean divides by N": lambda b: 1 / (b.hidden.sum() - 1),
        "it is not divided by the number of hidden values": lambda b: 1,
        "it is divided twice by the number of hidden values": lambda b: 1 / b.hidden.sum() ** 2,
        "it divides by the number of images": lambda b: 1 / len(b.errors),
        "it divides by the hidden values of each image: the loss is one mean over the batch": (
            lambda b: 1 / b.hidden.sum((1, 2, 3), keepdim=True)
        ),
        "all images have equal votes, but the loss is one mean over all hidden values": _image_vote,
        "it is divided by the number of images, too, but N counts the values of all of them": (
            lambda b: 1 / b.hidden.sum() / len(b.errors)
        ),
        "it divides by all values, not by the hidden ones, and the factor 2 is missing": (
            lambda b: 0.5 / b.hidden.numel()
        ),
    }
    edges = _edges(rng)
    yield from _gradient(answer, _batches(rng), edges, lambda b: 1 / b.hidden.sum(), votes)
    nothing = answer(*edges[0][:2], torch.zeros_like(edges[0][2]))
    yield "is 0 everywhere when nothing is hidden", compare(nothing, torch.zeros_like(edges[0][0]))


@check(
    "In a mean of the images' means each image has one vote, whatever is hidden of it. How much of this vote is "
    "left for one hidden value? What is the derivative of its squared error?",
    "Count the hidden values of each image on its own: hidden pixels times channels, of shape (batch, 1, 1, 1). "
    "Each hidden value has 2 * (prediction - target) / (this count * batch); set visible values to 0 with "
    "`masked_fill`.",
)
def image_vote_gradient(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`image_vote_gradient(prediction, target, mask)`: the gradient of the mean of the images' masked MSEs."""
    votes: dict[str, Callable[[_Batch], Tensor | float]] = {
        "it divides by the hidden values of the whole batch, so images have unequal votes": lambda b: (
            1 / b.hidden.sum()
        ),
        "it is the gradient of the sum of the images' means: divide by the images, too": (
            lambda b: 1 / b.hidden.sum((1, 2, 3), keepdim=True)
        ),
        "it divides by the hidden pixels of each image: each has a value for each channel": (
            lambda b: b.channels * _image_vote(b)
        ),
        "it divides by 3 channels: take their number from the shape": (lambda b: b.channels / 3 * _image_vote(b)),
        "it divides by the hidden patches of each image: each is a square with channels": (
            lambda b: b.channels * b.patch**2 * _image_vote(b)
        ),
        "it divides by hidden patches x channels of each image: a patch is a square of pixels": (
            lambda b: b.patch**2 * _image_vote(b)
        ),
        "the hidden values of the first image are the divisor for all": (
            lambda b: 1 / b.hidden[:1].sum() / len(b.errors)
        ),
        "it divides by all values of an image, not by the hidden ones": lambda b: 1 / b.hidden.numel(),
        "it divides by the visible values of each image": (
            lambda b: 1 / (~b.hidden).sum((1, 2, 3), keepdim=True) / len(b.errors)
        ),
        "it is divided twice by the number of images": (lambda b: _image_vote(b) / len(b.errors)),
        "it is not divided: each image has one vote, shared by its hidden values": lambda b: 1,
        "it divides by the number of images only": lambda b: 1 / len(b.errors),
        "it divides by images x hidden values of the batch: count those of each image": (
            lambda b: 1 / b.hidden.sum() / len(b.errors)
        ),
        "it divides by the hidden share of each image: divide by its count": (
            lambda b: 1 / b.hidden.float().mean((1, 2, 3), keepdim=True) / len(b.errors)
        ),
        "it is multiplied by the share that is hidden: divide by the count": (
            lambda b: b.hidden.float().mean((1, 2, 3), keepdim=True) / b.hidden.sum()
        ),
    }
    edges = [case for case in _edges(rng) if case[2].flatten(1).any(1).all()]
    yield from _gradient(answer, _batches(rng), edges, _image_vote, votes)


def _image_vote(batch: _Batch) -> Tensor:
    """What each hidden value of an image counts if all images count the same."""
    return 1 / batch.hidden.sum((1, 2, 3), keepdim=True) / len(batch.errors)


def _gradient(
    answer: Answer,
    cases: list[tuple],
    edges: list[tuple],
    vote: Callable[[_Batch], Tensor | float],
    wrong_votes: Mapping[str, Callable[[_Batch], Tensor | float]],
) -> Iterator[tuple[str, Verdict]]:
    """The gradient of a mean of squared errors, 2 * error * vote at hidden values; the votes add up to 1."""
    results = [answer(*case) for case in cases]
    problems = (
        form(got, prediction.shape, torch.float32) for got, (prediction, *_) in zip(results, cases, strict=True)
    )
    problem = next(filter(None, problems), None)
    yield "returns one finite number for each value of the prediction", problem
    if problem:
        return

    problem = _pulls_at_visible(results, cases)
    yield "is exactly 0 at visible values", problem
    if problem:
        return

    right = _of_batch(lambda b: 2 * b.errors * b.hidden * vote(b))
    rules = {text: lambda b, wrong=wrong: 2 * b.errors * wrong(b) for text, wrong in wrong_votes.items()} | {
        "the factor 2 is missing: the derivative of e² is 2e": lambda b: b.errors * vote(b),
        "the sign is wrong: where the prediction is too large, a larger one costs more": (
            lambda b: -2 * b.errors * vote(b)
        ),
        "the sign is wrong and the factor 2 is missing": lambda b: -b.errors * vote(b),
        "it is twice too large: the derivative of e² is 2e": lambda b: 4 * b.errors * vote(b),
        "it is neither doubled nor divided: these are the errors": lambda b: b.errors,
        "it has the sign of the error but not its size: that is the gradient of L1": (
            lambda b: b.errors.sign() * vote(b)
        ),
        "large errors are cut off at 1: that is the gradient of smooth L1": lambda b: (
            b.errors.clamp(-1, 1) * vote(b)
        ),
        "it holds the squared errors, not their derivative": lambda b: b.squares * vote(b),
        "it has lost the sign of the error": lambda b: 2 * b.errors.abs() * vote(b),
        "it is the gradient of the root of the loss": (
            lambda b: b.errors * vote(b) / (b.squares * vote(b)).sum().sqrt()
        ),
        "it is averaged over the channels: each has a gradient of its own": (
            lambda b: 2 * b.errors.mean(1, keepdim=True) * vote(b)
        ),
        "each hidden value gets the same; its own error counts": lambda b: 2 * b.picked.mean() * vote(b),
        "hidden values get nothing": lambda b: 0 * b.errors,
    }
    at_hidden = {text: _of_batch(lambda b, rule=rule: rule(b) * b.hidden) for text, rule in rules.items()}
    claim = "has the right size and sign at hidden values"
    yield claim, explain(answer, right, cases, at_hidden | _misread(right), tolerance=1e-6)
    texts = {
        "`squeeze` drops an axis of length 1": lambda *case: right(*case).squeeze(),
        NO_ZEROS: _of_batch(lambda b: 2 * b.errors * b.hidden * vote(b.without_zeros)),
    }
    yield claim, explain(answer, right, edges, texts, tolerance=1e-5)


def _pulls_at_visible(gradients: list[Tensor], cases: list[tuple]) -> str | None:
    """What is wrong with gradients that are not 0 at visible values."""
    batches = [_Batch.of(*case) for case in cases]
    pulled = [got != 0 for got in gradients]
    if not any((where & ~batch.hidden).any() for where, batch in zip(pulled, batches, strict=True)):
        return None
    patterns = {text: [_Batch.of(*change(*case)).hidden for case in cases] for text, change in MISREAD.items()} | {
        "it is 0 at hidden values instead: True = hidden": [~batch.hidden for batch in batches],
        "no visible value is 0, as if there were no mask": [torch.ones_like(batch.hidden) for batch in batches],
    }
    count = (pulled[0] & ~batches[0].hidden).sum()
    seen = (
        f"{count} of {(~batches[0].hidden).sum()} visible values are not 0, but the loss does not depend on them"
    )
    named = [text for text, pattern in patterns.items() if all(map(torch.equal, pulled, pattern))]
    small = [
        got[~batch.hidden].abs().max() < got.abs().max() / 1000
        for got, batch in zip(gradients, batches, strict=True)
    ]
    if all(small):
        named = ["they are almost 0 where it is visible: does something small keep the mask above 0?"]
    return "\n".join([*named, seen])


@check(
    "At the best answer all pulls cancel. MSE pulls with the size of each error, L1 only with its sign. Which "
    "number lies so that the errors add up to 0? Which has as many values above it as below?",
    "One loss wants the mean. The other wants the middle of the *sorted* values. `torch.median` finds it: for an "
    "even count it takes the smaller of the two in the middle, which is as good as any number between them.",
    solution=solutions.best_constant,
)
def best_constant(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`best_constant(values, loss)` is the one answer to all values with the smallest "mse" or "l1" loss."""
    few, many = distinct(rng, 2, 2, 5)
    level = 20 + 100 * torch.rand(1, generator=rng)
    uneven = (
        level + _uneven(rng, 2 * few + 1),
        -0.2 - 0.01 * _uneven(rng, 2 * many + 1),
        _repeated(rng, 2 * few + 2),
    )
    edges = [
        torch.randn(1, generator=rng),
        torch.randn(2, generator=rng),
        torch.full((3,), -0.5),
        torch.tensor([1.0, 0.0, 2.0, 11.0, 1.0]),
        torch.tensor([7.0, 3.0, 9.0, 3.0, 3.0]),
        torch.tensor([3e6, -1e6, 2e6, 7e6, -4e6]) * (1 + torch.rand(1, generator=rng)),
        level + _uneven(rng, 2 * few + 2),
    ]
    common = {
        "it lies halfway between the smallest and the largest value": lambda v: (v.min() + v.max()) / 2,
        "it is the smallest value": lambda v: v.min(),
        "it is the largest value": lambda v: v.max(),
        "it is the first value": lambda v: v[0],
        "it is the last value": lambda v: v[-1],
        "it is the middle of the values as they came: sort them first": lambda v: v[len(v) // 2],
        "it is the mean of the absolute values: they have lost their signs": lambda v: v.abs().mean(),
        "it lies from 0 to 1, but the values do not: look for it where they are": (
            lambda v: _around(v.mean().clamp(0, 1), 0.12)
        ),
    }
    mse = {
        "it is the median, the best answer for L1": torch.median,
        "only the given values are tried, but the best answer lies between them": (
            lambda v: v[(v - v.mean()).abs().argmin()]
        ),
        "it is the smallest loss: return the answer that has it": lambda v: v.var(correction=0),
        "it is the sum: divide by the number of values": torch.sum,
        "it divides by n - 1: a mean divides by n": lambda v: v.sum() / (len(v) - 1),
        "it is the root of the mean square": lambda v: v.square().mean().sqrt(),
        "the farthest value is left out, but it counts, too": (
            lambda v: v[(v - v.median()).abs().argsort()[:-1]].mean()
        ),
    }
    l1 = {
        "it is the mean, the best answer for MSE: one far value moves it": torch.mean,
        "it is one place below the middle": lambda v: v.sort().values[len(v) // 2 - 1],
        "it is one place above the middle": lambda v: v.sort().values[len(v) // 2 + 1],
        "it is the smallest loss: return the answer that has it": lambda v: (v - v.median()).abs().mean(),
        "this is the place of the answer among the values, not the answer": lambda v: v.argsort()[len(v) // 2],
        "it is the value that comes most often, not the one in the middle": lambda v: v.mode().values,
        "it is the value that comes most often, or else the first; take the one in the middle": (
            lambda v: max(v.tolist(), key=v.tolist().count)
        ),
        "it is the value that is nearest to the mean": lambda v: v[(v - v.mean()).abs().argmin()],
    }
    for loss, best, wrong in ("mse", torch.mean, mse), ("l1", _median, l1):
        right, claim = _ignoring(best), f"is best for {loss.upper()}"
        once = {"equal values count once: each of them counts": lambda v, best=best: best(v.unique())}
        mistakes = {
            text: _ignoring(rule)
            for text, rule in (once | wrong | common | _rounded(best, 1, 0.1, 0.01) | _nearly(best)).items()
        }
        problem = explain(answer, right, [(values, loss) for values in uneven], mistakes, tolerance=1e-5)
        yield claim, problem
        if not problem:
            problem = explain(answer, right, [(values, loss) for values in edges], tolerance=1e-5)
            yield f"{claim}, also for few, equal or very large values, and for an even number", problem


WRONG_WEIGHTS: dict[str, Callable[[_Batch, Tensor], Tensor]] = {
    "the weights are not used": lambda b, w: b.picked.abs().mean(),
    "it divides by the number of hidden values: divide by the sum of their weights": (
        lambda b, w: (w * b.sizes).sum() / b.hidden.sum()
    ),
    "the weights of visible pixels are in the divisor, too": lambda b, w: (w * b.sizes).sum() / w.sum(),
    "visible weights are in the divisor, too, and each counts once, not for each channel": (
        lambda b, w: (w * b.sizes).sum() / w.sum() * b.channels
    ),
    "it divides by the weights of pixels, but each has one value for each channel": (
        lambda b, w: (w * b.sizes).sum() / w[b.hidden].sum() * b.channels
    ),
    "it divides by 3 channels: take their number from the shape": (
        lambda b, w: (w * b.sizes).sum() / w[b.hidden].sum() * b.channels / 3
    ),
    "the channels are counted twice": lambda b, w: (w * b.sizes).sum() / w[b.hidden].sum() / b.channels,
    "it divides by all values: divide by the sum of the hidden weights": lambda b, w: (w * b.sizes).mean(),
    "visible errors count: the mask is not used": lambda b, w: (w * b.errors.abs()).sum() / w.sum(),
    "visible errors are added up, too: set them to 0": (
        lambda b, w: (w * b.errors.abs()).sum() / w[b.hidden].sum()
    ),
    "it averages over the visible values: True = hidden": (
        lambda b, w: (w * b.errors.abs())[~b.hidden].sum() / w[~b.hidden].sum()
    ),
    "it is the sum: divide by the sum of the hidden weights": lambda b, w: (w * b.sizes).sum(),
    "it divides by the number of images": lambda b, w: (w * b.sizes).sum() / len(w),
    "it is the mean of the images' means: one mean over the whole batch is asked for": (
        lambda b, w: ((w * b.sizes).sum((1, 2, 3)) / (w * b.hidden).sum((1, 2, 3))).mean()
    ),
    "it is the sum of the images' means: one mean over the whole batch is asked for": (
        lambda b, w: ((w * b.sizes).sum((1, 2, 3)) / (w * b.hidden).sum((1, 2, 3))).sum()
    ),
    "the channels are averaged before the errors are made positive, so they cancel": lambda b, w: (
        (w * b.errors.mean(1, keepdim=True).abs())[b.hidden].sum() / w[b.hidden].sum()
    ),
    "the errors are squared: that is MSE": lambda b, w: (w * b.squares).sum() / w[b.hidden].sum(),
    "the errors are squared where they are below 1: that is smooth L1": (
        lambda b, w: (
            (w[b.hidden] * smooth_l1_loss(b.picked, 0 * b.picked, reduction="none")).sum() / w[b.hidden].sum()
        )
    ),
    "the errors are not made positive, so they cancel": (
        lambda b, w: (w[b.hidden] * b.picked).sum() / w[b.hidden].sum()
    ),
    "the absolute value is taken of the sum, so errors cancel: take it of each error": (
        lambda b, w: (w[b.hidden] * b.picked).sum().abs() / w[b.hidden].sum()
    ),
    "a patch gets its mean weight, but each pixel has its own": lambda b, w: (
        (_of_patches(w, b) * b.sizes).sum() / w[b.hidden].sum()
    ),
    "the mean error is multiplied by the mean weight: multiply each error by its weight": lambda b, w: (
        b.picked.abs().mean() * w[b.hidden].mean()
    ),
    "the weights are squared": lambda b, w: (w**2 * b.sizes).sum() / w[b.hidden].sum(),
    "the errors are divided by the weights: multiply": (
        lambda b, w: (b.picked.abs() / w[b.hidden]).sum() / w[b.hidden].sum()
    ),
    "the weights of the first image are used for all": (
        lambda b, w: (w[:1] * b.sizes).sum() / w[:1].expand_as(w)[b.hidden].sum()
    ),
    "only the first channel counts": lambda b, w: (w * b.sizes)[:, 0].sum() / w[b.hidden].sum() * b.channels,
}


@check(
    "In a plain mean each value has the weight 1, and the divisor is the sum of these ones. What is the divisor "
    "when the weights are others? Which of them belong in it?",
    "Enlarge the mask with `masking.to_pixels`, and set visible errors to 0 with `masked_fill`. A weight counts "
    "for each channel of its pixel: `weight[:, None]` has a place for them. Divide by the sum of the hidden "
    "weights times the channels; a tiny number added to it turns 0 / 0 into 0.",
    gradient=(0,),
)
def weighted_l1(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`weighted_l1(prediction, target, mask, weight)` is the mean absolute error by weight, over hidden values."""
    cases = [(*case, _weights(rng, case)) for case in _batches(rng)]
    problem = form(answer(*cases[0]), (), torch.float32)
    yield "returns a tensor with one number", problem
    if problem:
        return

    def of_weighted(rule: Callable[[_Batch, Tensor], Tensor]) -> Callable:
        return lambda p, t, m, w: rule(_Batch.of(p, t, m), w[:, None].expand(t.shape))

    right = of_weighted(lambda b, w: (w * b.sizes).sum() / w[b.hidden].sum())
    mistakes = {text: of_weighted(rule) for text, rule in WRONG_WEIGHTS.items()} | _misread(right)
    raised = {
        "the divisor is kept above 1, but the weights may be small": of_weighted(
            lambda b, w: (w * b.sizes).sum() / w[b.hidden].sum().clamp(min=1)
        )
    } | {
        f"{extra} is added to the divisor, which counts where the weights are small": of_weighted(
            lambda b, w, extra=extra: (w * b.sizes).sum() / (w[b.hidden].sum() + extra)
        )
        for extra in (1, 0.1, 0.01, 1e-3, 1e-4)
    }
    claim = "averages the hidden errors of the whole batch by their weights"
    yield claim, explain(answer, right, cases, mistakes | raised)
    edges = [(*case, _weights(rng, case)) for case in _edges(rng)]
    *case, weight = edges[-1]
    only_second = weight * torch.tensor([0, 1])[:, None, None]
    small = 0.4 * weight / (weight[:, None] * _Batch.of(*case).hidden).sum()
    edges += [(*case, torch.ones_like(weight)), (*case, 50 * weight), (*case, only_second), (*case, small)]
    no_zeros = {NO_ZEROS: of_weighted(lambda b, w: (w * b.sizes).sum() / w[b.without_zeros.hidden].sum())}
    yield claim, explain(answer, right, edges, raised | no_zeros)
    [pull] = gradients(answer.raw, edges[3], (0,))
    lost = pull is not None and bool(pull.isnan().any())
    text = "it becomes nan: is the error made positive by a root? Take `abs`"
    yield "has no nan in its gradient where an error is 0", first((lost, text))
    *case, weight = cases[0]
    yield from _only_hidden_count(answer, tuple(case), weight)


def _of_patches(weights: Tensor, batch: _Batch) -> Tensor:
    """The mean weight of its patch for each value."""
    patch = int(batch.patch)
    return interpolate(avg_pool2d(weights, patch), scale_factor=patch)


def _weights(rng: Generator, case: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """A weight for each pixel: larger ones in some images, and where it is visible."""
    hidden = _Batch.of(*case).hidden[:, 0]
    image = 1 + torch.randperm(len(hidden), generator=rng)[:, None, None]
    return image * (2 - hidden.float()) * (0.2 + torch.rand(hidden.shape, generator=rng))


@check(
    "Decibels are no errors: which of the two may be averaged? And has a batch in which twice as many values are "
    "hidden one vote or two?",
    "An error times its count is the sum of squares of a batch. Leave out batches with the count 0, add up these "
    "sums, divide by the sum of the counts, and take -10 * log10 of it.",
)
def pooled_psnr(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`pooled_psnr(errors, counts)` is the PSNR of all hidden values, from each batch's MSE and its count."""
    few, many = distinct(rng, 2, 5, 8)
    cases = [_scores(rng, few), _scores(rng, many)]
    right = _of_pooled(_psnr)
    mistakes = {
        "each batch has one vote, but one with more hidden values must count more": lambda e, c: _psnr(e.mean()),
        "decibels are averaged: average the errors, then take the decibels": lambda e, c: _psnr(e).mean(),
        "decibels are averaged, by the counts: average the errors instead": (
            lambda e, c: (_psnr(e) * c).sum() / c.sum()
        ),
        "the sum of squares is divided by the number of batches: divide by the sum of counts": (
            lambda e, c: _psnr((e * c).mean())
        ),
        "the sum of squares is not divided by the sum of the counts": lambda e, c: _psnr((e * c).sum()),
        "batches with few hidden values count more: weigh by the count, not by 1 / count": (
            lambda e, c: _psnr((e / c).sum() / (1 / c).sum())
        ),
        "the errors are means already: multiply each by its count before you add them up": (
            lambda e, c: _psnr(e.sum() / c.sum())
        ),
        "the errors are squared once more: they are mean squares already": (
            lambda e, c: _psnr((e**2 * c).sum() / c.sum())
        ),
        "the roots of the errors are averaged: average the errors themselves": (
            lambda e, c: _psnr(((e.sqrt() * c).sum() / c.sum()) ** 2)
        ),
        "the sum of squares is divided by the largest count: divide by the sum of all": (
            lambda e, c: _psnr((e * c).sum() / c.max())
        ),
        "the counts are multiplied twice: once is enough": (
            lambda e, c: _psnr((e * c**2.0).sum() / (c**2.0).sum())
        ),
        "an error is divided by its count: multiply": lambda e, c: _psnr((e / c).sum() / c.sum()),
        "the errors are added up, not averaged": lambda e, c: _psnr(e.sum()),
        "it is the PSNR of the first batch": lambda e, c: _psnr(e[0]),
        "it is the PSNR of the last batch": lambda e, c: _psnr(e[-1]),
        "it is the PSNR of the best batch": lambda e, c: _psnr(e.min()),
        "it is the PSNR of the worst batch": lambda e, c: _psnr(e.max()),
        "it is the PSNR of the largest batch": lambda e, c: _psnr(e[c.argmax()]),
        "it is the PSNR of the median error": lambda e, c: _psnr(e.median()),
        "the sign is wrong: a smaller error has a higher PSNR": _of_pooled(lambda error: -_psnr(error)),
        "it is the mean squared error: its PSNR is 10 * log10(1 / it)": _of_pooled(lambda error: error),
        "it is the natural logarithm: take log10": _of_pooled(lambda error: -10 * error.log()),
        "it is the logarithm to the base 2: take log10": _of_pooled(lambda error: -10 * error.log2()),
        "brackets are missing: 1 / (a / b) is not 1 / a / b": (
            lambda e, c: 10 * (1 / (e.double() * c).sum() / c.sum()).log10()
        ),
        "the factor 10 is missing": _of_pooled(lambda error: _psnr(error) / 10),
        "the factor is 10, not 20: 20 is for the root of the error": _of_pooled(lambda error: 2 * _psnr(error)),
        "the root is taken: the squared error belongs in the logarithm": (
            _of_pooled(lambda error: _psnr(error.sqrt()))
        ),
        "the largest value is 1, not 255": _of_pooled(lambda error: _psnr(error / 255**2)),
        "it is rounded to 1 digit: return the number itself": _of_pooled(
            lambda error: round(_psnr(error).item(), 1)
        ),
        "it is rounded to 2 digits: return the number itself": (
            _of_pooled(lambda error: round(_psnr(error).item(), 2))
        ),
    }
    problem = explain(answer, right, cases, mistakes, tolerance=1e-5)
    yield "is the PSNR of all hidden values together", problem
    if problem:
        return

    edges = [([0.25], [7]), ([4.0, 9.0], [3, 3]), ([1e-7, 2e-7, 4e-7], [10**9, 2, 10**8])]
    edges += [([0.0, 0.5], [5, 1]), ([2e-13, 4e-13], [5, 3])]
    mistakes = {
        "a batch without any error counts, too": lambda e, c: right(e[e > 0], c[e > 0]),
        "it is cut off at 0: with large errors the PSNR is negative": lambda e, c: right(e, c).clamp(min=0),
    }
    for digits in (6, 8, 9, 10, 12):
        floor = 10.0**-digits
        mistakes |= {
            f"{floor} is added to the error, which hides a smaller one": _of_pooled(
                lambda error, floor=floor: _psnr(error + floor)
            ),
            f"it is cut off at {10 * digits}, as if no error were below {floor}": _of_pooled(
                lambda error, floor=floor: _psnr(error.clamp(min=floor))
            ),
        }
    claim = "is right for one batch, for equal counts, and for very small and large errors"
    edge_cases = [tuple(map(torch.tensor, edge)) for edge in edges]
    yield claim, explain(answer, right, edge_cases, mistakes, tolerance=1e-5)
    errors, counts = cases[0]
    got = answer(torch.tensor([math.nan, *errors, math.nan]), torch.tensor([0, *counts, 0]))
    problem = first((bool(got != got), "it is nan: leave such a batch out, since nan * 0 is nan"))
    claim = "leaves out a batch in which nothing is hidden: its count is 0, and its error nan"
    yield claim, problem or compare(got, right(errors, counts), tolerance=1e-5)


def _psnr(error: Tensor) -> Tensor:
    return -10 * error.double().log10()


def _of_pooled(rule: Callable[[Tensor], Tensor | float]) -> Callable[[Tensor, Tensor], Tensor | float]:
    """What is made of the mean squared error of all batches together."""
    return lambda errors, counts: rule((errors.double() * counts).sum() / counts.sum())


def _scores(rng: Generator, count: int) -> tuple[Tensor, Tensor]:
    """An error and a count for each batch; neither the first nor the last error is one that stands out."""
    errors = 0.003 * 1.7 ** (torch.arange(count) + 0.5 * torch.rand(count, generator=rng))
    ends = torch.tensor([1, count - 2])[torch.randperm(2, generator=rng)]
    middle = torch.tensor([place for place in range(count) if place not in ends])
    middle = middle[torch.randperm(count - 2, generator=rng)]
    order = torch.cat([ends[:1], middle, ends[1:]])
    return errors[order], 48 * torch.tensor(distinct(rng, count, 1, 60))


@check(
    "How many values lie above the answer, and how many below? Move it up a little: what does it cost, and what "
    "does it save? At the best answer neither way is worth it.",
    "Sort the values. Going up saves `under` for each value above and costs `over` for each value below. So the "
    "best answer is the first value that has at least the share under / (over + under) of all up to itself.",
)
def best_quantile(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`best_quantile(values, over, under)`: the best answer if too much costs `over`, and too little `under`."""
    low_first = torch.rand(1, generator=rng) < 0.5
    cases = []
    for count, price, level, step, low in (
        (7, 3.0, 20, 5, low_first),
        (7, 3.0, -30, 4, not low_first),
        (13, 4.0, -0.5, 0.01, not low_first),
        (8, 2.0, 100, 3, low_first),
    ):
        over, under = (price, 1.0) if low else (1.0, price)
        cases.append((level + step * _shuffled(rng, count, over, under), over, under))
    over, under = (50.0, 10.0) if low_first else (10.0, 50.0)
    cases.append((4 + 0.1 * _shuffled(rng, 23, over, under).square(), over, under))  # most values are small

    def at(place: Callable[[float, int], float]) -> Callable:
        """What lies at a place, counted from 0, that is made of the share and the number of the sorted values."""
        return lambda v, over, under: v.sort().values[int(place(under / (over + under), len(v)))]

    mistakes = {
        "it is the median, the best answer if both prices are equal": lambda v, over, under: v.median(),
        "it is the mean, the best answer for squared errors": lambda v, over, under: v.mean(),
        "the prices are swapped, or the values are sorted downwards: `over` is for too much": (
            lambda v, over, under: _quantile(v, under, over)
        ),
        "it lies between two values, as `torch.quantile` does: one of the values is best": (
            lambda v, over, under: v.quantile(under / (over + under))
        ),
        "it lies halfway between two values: one of the values is best": (
            lambda v, over, under: v.quantile(under / (over + under), interpolation="midpoint")
        ),
        "the largest cost is made as small as possible: make the mean cost small": lambda v, over, under: min(
            v, key=lambda guess: torch.maximum(over * (guess - v), under * (v - guess)).max()
        ),
        "the prices are swapped, and it lies between two values, as `torch.quantile` does": (
            lambda v, over, under: v.quantile(over / (over + under))
        ),
        "it is one place too low": lambda v, over, under: v.sort().values[_rank(v, over, under) - 2],
        "it is one place too high": lambda v, over, under: v.sort().values[_rank(v, over, under)],
        "it is one place too low for some shares: how is the place rounded?": at(
            lambda share, n: math.floor(share * (n - 1))
        ),
        "it is one place too high for some shares: how is the place rounded?": at(
            lambda share, n: math.ceil(share * (n - 1))
        ),
        "the place is rounded to the nearest, so it is too low or too high for some shares": at(
            lambda share, n: round(share * (n - 1))
        ),
        "the place is rounded to the nearest, a half up, so it is too high for some shares": at(
            lambda share, n: share * (n - 1) + 0.5
        ),
        "the share of all values up to the answer is under / (over + under), not under / over": (
            lambda v, over, under: v.sort().values[min(math.ceil(len(v) * under / over), len(v)) - 1]
        ),
        "it is the value at this place as they came: sort them first": (
            lambda v, over, under: v[_rank(v, over, under) - 1]
        ),
        "this is the place of the answer among the values, not the answer": _rank,
        "this is the place of the answer, counted from 0, not the answer": lambda v, over, under: (
            _rank(v, over, under) - 1
        ),
        "this is the place of the answer among the values as they came, not the answer": (
            lambda v, over, under: v.tolist().index(_quantile(v, over, under))
        ),
        "this is the share of the values below, not the answer": lambda v, over, under: under / (over + under),
        "it is the smallest cost: return the answer that has it": (
            lambda v, over, under: _lopsided(v, _quantile(v, over, under), over, under)
        ),
        "the errors are squared: they cost `over` or `under` for each unit": _expectile,
        "the errors are squared, and the best of the values is taken": lambda v, over, under: min(
            v, key=lambda guess: _lopsided(v, guess, over, under, power=2)
        ),
        "it is an average of the smallest and the largest value": (
            lambda v, over, under: (over * v.min() + under * v.max()) / (over + under)
        ),
        "the mean is multiplied by the prices: they decide how many values lie above": (
            lambda v, over, under: v.mean() * under / over
        ),
        "it is the smallest value": lambda v, over, under: v.min(),
        "it is the largest value": lambda v, over, under: v.max(),
        "it has lost its sign": lambda v, over, under: abs(_quantile(v, over, under)),
        "it is never below 0, but the values may be": lambda v, over, under: max(_quantile(v, over, under), 0.0),
        "it lies from 0 to 1, but the values do not: look for it where they are": (
            lambda v, over, under: _around(min(max(_quantile(v, over, under), 0), 1), 0.011)
        ),
    }
    mistakes |= {
        f"it is rounded to {step}, or the nearest of a grid: return the number itself": (
            lambda v, over, under, step=step: round(_quantile(v, over, under) / step) * step
        )
        for step in (1, 0.1, 0.01)
    }
    mistakes |= {
        "it is near the best answer, but not near enough: return the number itself": lambda v, over, under: (
            _around(_quantile(v, over, under), 0.005 * float(v.max() - v.min()))
        )
    }
    problem = explain(answer, _quantile, cases, mistakes, tolerance=1e-5)
    yield "has the smallest cost", problem
    if problem:
        return

    edges = [
        (torch.randn(1, generator=rng), 2.0, 0.5),
        (torch.full((3,), -0.5), 1.0, 2.0),
        (torch.tensor([7.0, 3.0, 9.0, 3.0, 3.0]), 1.0, 1.0),
        (torch.tensor([3e6, -1e6, 2e6, 7e6, -4e6]), 0.5, 1.5),
        (_uneven(rng, 9), 1.0, 99.0),
        (_uneven(rng, 9), 99.0, 1.0),
        (_uneven(rng, 8), 1.0, 3.0),
    ]
    once = {"equal values count once: each of them counts": lambda v, *prices: _quantile(v.unique(), *prices)}
    claim = "is right for one value, equal values, unequal prices, and several best answers"
    yield claim, explain(answer, _quantile, edges, once, tolerance=1e-5)


def _shuffled(rng: Generator, count: int, over: float, under: float) -> Tensor:
    """Values from 0.5 on; at the place of the best answer, as they come, lies one that is no other mistake."""
    ordered = (0.5 + torch.rand(count, generator=rng)).cumsum(0)
    rank, middle = _rank(ordered, over, under), count // 2
    taken = middle + 1 if rank <= middle else middle - 1
    order = [place for place in torch.randperm(count, generator=rng).tolist() if place != taken]
    order.insert(rank - 1, taken)
    return ordered[order]


def _rank(values: Tensor, over: float, under: float) -> int:
    """Which of the sorted values is the first best answer, counted from 1."""
    return math.ceil(len(values) * under / (over + under))


def _quantile(values: Tensor, over: float, under: float) -> float | Between:
    """The best answer; where all answers from one value to the next are best, any of them."""
    ordered, rank = values.sort().values, _rank(values, over, under)
    best = ordered[rank - 1].item()
    if len(values) * under != rank * (over + under):
        return best
    slack = 1e-4 * (1 + abs(best))
    return Between(best - slack, ordered[rank].item() + slack)


def _lopsided(values: Tensor, guess: float, over: float, under: float, power: int = 1) -> Tensor:
    """The mean cost of a guess."""
    return (over * (guess - values).clamp(min=0) ** power + under * (values - guess).clamp(min=0) ** power).mean()


def _expectile(values: Tensor, over: float, under: float) -> Between:
    """The best answer if the errors were squared."""
    low, high = values.min().item(), values.max().item()
    for _ in range(60):
        guess = (low + high) / 2
        errors = values.double() - guess
        low, high = (guess, high) if (errors * torch.where(errors > 0, under, over)).sum() > 0 else (low, guess)
    return _around(guess, 0.001 * (values.max() - values.min()).item())


@check(
    "Every row is a patch of its own. Along which dimension do you take its mean? Does the mean keep this "
    "dimension, so that it fits to the rows? And what should the deviation of a patch be whose values are all "
    "equal?",
    "`mean(dim=1, keepdim=True)` keeps the shape (n, 1). `var` is unbiased unless you tell it otherwise. Add 1e-6 "
    "to the variance *before* the root: a flat patch then has the deviation 0.001. Return all three.",
    batched=(0,),
)
def normalize_patches(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`normalize_patches(patches)` returns the patches with mean 0 and deviation 1, their means and deviations."""
    n, d, more = distinct(rng, 3, 4, 9)
    tables = [_table(rng, n, d), _table(rng, more, 2), _table(rng, 3, n)]
    results = [answer(table) for table in tables]
    yield "returns three things: normalised patches, means, deviations", (problem := _not_three(results[0]))
    if problem:
        return

    yield "returns shapes (n, d), (n, 1) and (n, 1)", (problem := _not_statistics(results[0], tables[0]))
    if problem:
        return

    def part(place: int, mistakes: Mapping[str, Callable]) -> Verdict:
        """The verdict on one of the three results; a mistake makes it of patches, means and variances."""
        names = ["{} patches of {} values".format(*table.shape) for table in tables]
        got = _named(names, (result[place] for result in results))
        want = _named(names, (_normalised(table)[place] for table in tables))
        statistics = [(table, table.mean(1, keepdim=True), table.var(1, keepdim=True)) for table in tables]
        wrong = {text: _named(names, (rule(*of) for of in statistics)) for text, rule in mistakes.items()}
        return compare(got, want, wrong)

    yield (
        "gives the mean of each patch",
        part(
            1,
            {
                "these are the deviations: the order is normalised, mean, std": lambda x, mean, var: var.sqrt(),
                "these are the sums: divide by the number of values": lambda x, mean, var: x.sum(1, keepdim=True),
                "it is the mean of all patches: each row needs its own": lambda x, mean, var: x.mean().expand_as(
                    mean
                ),
                "these are the medians": lambda x, mean, var: x.median(1, keepdim=True).values,
                "these are the means of the absolute values: they have lost their signs": (
                    lambda x, mean, var: x.abs().mean(1, keepdim=True)
                ),
                "these are the means of the normalised patches, not of the given ones": (
                    lambda x, mean, var: 0 * mean
                ),
            },
        ),
    )
    yield (
        "gives the unbiased deviation of each patch",
        part(
            2,
            {
                "it divides by the number of values, not by one less: the variance is biased": (
                    lambda x, mean, var: x.std(1, keepdim=True, correction=0)
                ),
                "it is the variance: the root is missing": lambda x, mean, var: var,
                "the root is taken twice: `std` is the root of the variance already": (
                    lambda x, mean, var: var.sqrt().sqrt()
                ),
                "it is the biased variance: the root is missing, and it must divide by one less": (
                    lambda x, mean, var: x.var(1, keepdim=True, correction=0)
                ),
                "it is the sum of the squared distances: divide by the number of values less one": (
                    lambda x, mean, var: var * (x.shape[1] - 1)
                ),
                "it is the root of the sum of squares: divide by the number of values less one": (
                    lambda x, mean, var: (var * (x.shape[1] - 1)).sqrt()
                ),
                "it is the root of the mean square: the mean is not subtracted first": (
                    lambda x, mean, var: x.square().mean(1, keepdim=True).sqrt()
                ),
                "it is the mean distance from the mean, not the root of the mean square": (
                    lambda x, mean, var: (x - mean).abs().mean(1, keepdim=True)
                ),
                "it is the deviation of all patches: each row needs its own": lambda x, mean, var: (
                    x.std().expand_as(mean)
                ),
                "it is one divided by the deviation": lambda x, mean, var: 1 / var.sqrt(),
                "these are the deviations of the normalised patches, not of the given ones": (
                    lambda x, mean, var: var / var
                ),
            },
        ),
    )
    yield (
        "subtracts the mean and divides by the deviation",
        part(
            0,
            {
                "brackets: (patch - mean) / std": lambda x, mean, var: x - mean / var.sqrt(),
                "the mean is not subtracted": lambda x, mean, var: x / var.sqrt(),
                "the mean of all patches is subtracted: each row has its own": (
                    lambda x, mean, var: (x - x.mean()) / var.sqrt()
                ),
                "the mean is added, not subtracted": lambda x, mean, var: (x + mean) / var.sqrt(),
                "the sign is wrong: it is patch - mean": lambda x, mean, var: (mean - x) / var.sqrt(),
                "it is not divided by the deviation": lambda x, mean, var: x - mean,
                "it is multiplied by the deviation": lambda x, mean, var: (x - mean) * var.sqrt(),
                "it is divided by the variance, not by its root": lambda x, mean, var: (x - mean) / var,
                "it is divided by a biased deviation": (
                    lambda x, mean, var: (x - mean) / x.std(1, keepdim=True, correction=0)
                ),
                "these are the patches as they came": lambda x, mean, var: x,
                "it is divided by the length of the row, not by its deviation": (
                    lambda x, mean, var: torch.nn.functional.normalize(x - mean, dim=1)
                ),
                "it is scaled to 0 … 1": (
                    lambda x, mean, var: (x - x.amin(1, True)) / (x.amax(1, True) - x.amin(1, True))
                ),
            },
        ),
    )
    problem = _near_flat(answer, rng)
    yield "adds 1e-6 to the variance, under the root", problem
    if not problem:
        yield "gives every flat patch the deviation 0.001", _rounded_squares(answer, rng)


def _not_three(got: object) -> str | None:
    return first(
        (isinstance(got, Tensor), "it is one tensor: without means and deviations nobody can undo it"),
        (
            not (isinstance(got, tuple | list) and len(got) == 3),
            f"expected a tuple of three tensors, got {describe(got)}",
        ),
    )


def _not_statistics(got: tuple, patches: Tensor) -> str | None:
    """What is wrong with the shapes of normalised patches, means and deviations."""
    n, d = patches.shape
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else None for part in got]
    problem = first(
        (shapes[0] == (n, 1), "the first of the three must be the normalised patches"),
        (shapes[1] == (n,), "means of shape (n,) do not broadcast over rows: `keepdim=True` makes it (n, 1)"),
        (shapes[1] in {(d,), (1, d)}, "the mean is taken over the rows (dimension 0): each row needs its own"),
        (shapes[1] in {(), (1,), (1, 1)}, "there is one mean for all patches: each row needs its own"),
        (
            compare(got[1], patches.var(1, keepdim=True)) is None,
            "the second are variances, not means: `torch.var_mean` gives the variance first",
        ),
    )
    for part, size in zip(got, ((n, d), (n, 1), (n, 1)), strict=True):
        problem = problem or form(part, size, torch.float32)
    return problem


def _near_flat(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong where the variance is 0, or about 1e-6."""
    flat = torch.tensor(distinct(rng, 3, -8, 8))[:, None].expand(3, 8) / 8
    tables = [flat.clone(), 0.0003 * _table(rng, 3, 8)]
    wrong = {
        "nothing is added to the variance: a flat patch has the deviation 0": torch.sqrt,
        "1e-6 is added to the deviation: add it to the variance, before the root": lambda var: var.sqrt() + 1e-6,
        "a flat patch gets the deviation 1e-6: add 1e-6 to the variance, before the root": (
            lambda var: var.sqrt().clamp(min=1e-6)
        ),
        "a variance below 1e-6 is raised to it: add 1e-6 to every variance": lambda var: var.clamp(
            min=1e-6
        ).sqrt(),
        "only a deviation of 0 is replaced: add 1e-6 to each variance": (
            lambda var: torch.where(var == 0, 1e-3, var.sqrt())
        ),
        "0.001 is added to the deviation: add 1e-6 to the variance, before the root": (
            lambda var: var.sqrt() + 1e-3
        ),
        "another number than 1e-6 is added to the variance: 1e-5": lambda var: (var + 1e-5).sqrt(),
        "another number than 1e-6 is added to the variance: 1e-8": lambda var: (var + 1e-8).sqrt(),
    }
    results, variances = [answer(table) for table in tables], [table.var(1, keepdim=True) for table in tables]
    want = [_normalised(table) for table in tables]
    names = "flat patches", "nearly flat patches"
    mistakes = {text: _named(names, map(rule, variances)) for text, rule in wrong.items()}
    got = _named(names, (std for _, _, std in results))
    if problem := compare(got, _named(names, (std for _, _, std in want)), mistakes, tolerance=2e-7):
        return problem
    twice = {
        "1e-6 is added once more, to the deviation: divide by the root as it is": _named(
            names, ((table - mean) / (std + 1e-6) for table, (_, mean, std) in zip(tables, want, strict=True))
        )
    }
    got, want = (_named(names, (rows for rows, _, _ in triples)) for triples in (results, want))
    return compare(got, want, twice)


def _rounded_squares(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong for equal values whose sum is exact in 32 bits, but not the sum of their squares."""
    flat = torch.randint(4096, 32768, (9, 1), generator=rng).expand(9, 7) / 4096
    problem = compare(answer(flat)[2], torch.full((9, 1), 1e-3), tolerance=1e-5)
    text = "a difference of two squares loses its last digits: subtract the mean first, then square"
    return problem and f"{text}\n{problem.text}"


def _named(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


def _normalised(patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, std = patches.mean(1, keepdim=True), (patches.var(1, keepdim=True) + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


def _table(rng: Generator, n: int, d: int) -> Tensor:
    """n rows of d values; each row has another mean, of either sign, and another deviation, above 0."""
    noise = torch.randn(n, d, generator=rng)
    noise[:, :2] = torch.tensor([1, -1]) * (0.5 + torch.rand(n, 2, generator=rng))
    means = 3 * (-1) ** torch.arange(n)[:, None] + 0.5 * torch.randn(n, 1, generator=rng)
    return 0.7 * (1 + torch.randperm(n, generator=rng)[:, None]) * (means + noise)


@check(
    "`nn.MSELoss()` divides by the number of values in `y`. Which number does formula (4.4) divide by? The "
    "article's mask is 1 where the picture is visible, and has an entry for each value.",
    "`1 - article_mask` is 1 at hidden values. Multiply the squared errors by it, and add up. Its sum counts the "
    "hidden values of all channels and images, so it is N as it stands.",
    gradient=(0,),
)
def repaired_loss(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`repaired_loss(y, x, article_mask)` is formula (4.4): the mean squared error over hidden values."""
    batch, height, width = distinct(rng, 3, 4, 7)
    sizes = (batch, height, width), (height - 2, width, batch)
    cases = [_article(rng, size, distinct(rng, size[0], 1, 3 * size[1] * size[2] - 1)) for size in sizes]
    result = answer(*cases[0])
    problem = form(result, (), torch.float32)
    yield "returns a tensor with one number", problem
    if problem:
        return

    def right(y: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        return (y - x)[mask == 0].square().mean()

    rules = {
        "it is the article's value: it divides by all values, not by the hidden ones": lambda b: b.squares.mean(),
        "it is divided twice: `nn.MSELoss()` has already divided by all values": (
            lambda b: b.squares.mean() / b.hidden.sum()
        ),
        "it averages over the visible values: in the article 1 = visible": (
            lambda b: b.errors[~b.hidden].square().mean()
        ),
        "the mask has an entry for each channel: do not divide by the channels again": (
            lambda b: b.picked.square().mean() / 3
        ),
        "it divides by the hidden entries of one channel: those of all channels count": (
            lambda b: b.squares.sum() / b.pixels
        ),
        "it divides by the pixels with a hidden value: a pixel may have one, two or three": (
            lambda b: b.squares.sum() / b.hidden.any(1).sum()
        ),
        "it is 4 times the article's value, which fits only where a quarter is hidden": lambda b: (
            4 * b.squares.mean()
        ),
        "the mask of the first channel is used for all": (
            lambda b: b.errors[b.hidden[:, :1].expand_as(b.hidden)].square().mean()
        ),
        "a mask of whole numbers picks images: compare it with 0 to get a boolean one": (
            lambda b: b.errors[b.hidden.long()].square().mean()
        ),
        "it is the article's value times the hidden share: divide by it": (
            lambda b: b.squares.mean() * b.hidden.float().mean()
        ),
        "it is divided by the visible share, not by the hidden one": (
            lambda b: b.squares.mean() / (~b.hidden).float().mean()
        ),
        "it is L1, as in the paper; formula (4.4) has squares": lambda b: b.picked.abs().mean(),
    } | WRONG_MEANS
    mistakes = {
        text: lambda y, x, mask, rule=rule: rule(_Batch(y - x, mask == 0, (mask == 0).sum()))
        for text, rule in rules.items()
    }
    mistakes |= {
        "visible outputs count: x is masked but y is not, so y is asked to be black there": (
            lambda y, x, mask: (y - x * (1 - mask)).square().mean()
        ),
        "at visible places y is compared with 0: multiply the error by 1 - mask": (
            lambda y, x, mask: (y - x * (1 - mask)).square().sum() / (1 - mask).sum()
        ),
        "at visible places x is compared with 0: multiply the error by 1 - mask": (
            lambda y, x, mask: (y * (1 - mask) - x).square().sum() / (1 - mask).sum()
        ),
        "the output of the model goes through a sigmoid: use it as it is": (
            lambda y, x, mask: right(y.sigmoid(), x, mask)
        ),
        "the output of the model is cut off at 0 and 1: use it as it is": (
            lambda y, x, mask: right(y.clamp(0, 1), x, mask)
        ),
    }
    problem = explain(answer, right, cases, mistakes)
    yield "averages over the hidden values", problem
    if not problem:
        edges = [_article(rng, (1, 2, 5), [count]) for count in (1, 30)] + [_article(rng, (2, 1, 3), [0, 9])]
        yield "averages over one hidden value, or all", explain(answer, right, edges)
    y, x, mask = cases[0]
    exact = [(y.where(torch.rand(y.shape, generator=rng) < 0.5, x), x, mask)]
    texts = {NO_ZEROS: lambda y, x, mask: (y - x)[(mask == 0) & (y != x)].square().mean()}
    yield "averages over errors of 0, too", explain(answer, right, exact, texts)
    changed = compare(answer(y + 3 * mask, x, mask), result)
    yield (
        "does not depend on visible outputs",
        changed and "it changes with y where the picture is visible",
    )
    little, much = (_article(rng, (1, 4, 6), [count]) for count in (18, 54))
    yield (
        "is the same for equal errors, whether a quarter is hidden or three quarters",
        compare(
            [answer(x - 0.5, x, mask) for _, x, mask in (little, much)],
            [0.25, 0.25],
            {"it grows with the hidden share, as the article's does": [0.0625, 0.1875]},
        ),
    )


def _article(rng: Generator, size: tuple[int, int, int], counts: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """y, x and a mask of the article, with so many hidden values in each image."""
    batch, height, width = size
    order = torch.rand(batch, 3 * height * width, generator=rng).argsort(1).argsort(1)
    hidden = (order < torch.tensor(counts)[:, None]).view(batch, 3, height, width)
    x = torch.rand(hidden.shape, generator=rng)
    return x + _errors(hidden, rng), x, (~hidden).float()


@check(
    "A value nearer than 1 pulls with its error, a farther one with 1 or -1. Write down the sum of all pulls on "
    "an answer. What is its sign when the answer is too small?",
    "The pull of a value is `(value - answer).clamp(-1, 1)`. The sum of the pulls falls as the answer grows, from "
    "positive at the smallest value to negative at the largest. So halve this interval again and again: where the "
    "sum is positive, go on in the upper half.",
)
def best_smooth_l1(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`best_smooth_l1(values)` is the one answer to all values with the smallest smooth L1 loss."""
    levels = 20 * torch.rand(2, generator=rng) + torch.tensor([10, -40])
    sides = torch.tensor([1.0, -1.0])[torch.randperm(2, generator=rng)]
    cases = [
        (_near_and_far(rng, *of),) for of in zip(levels.tolist(), sides.tolist(), (5, 7), (2, 3), strict=True)
    ]
    for level, side, near_1 in zip(levels.tolist(), sides.tolist(), NEAR_1, strict=True):
        cases.append((level + 60 + side * near_1[torch.randperm(len(near_1), generator=rng)],))
    mistakes = {
        "it is the mean: far values must pull with 1 only": torch.mean,
        "it is the median: near values must pull with their error": torch.median,
        "it lies halfway between mean and median, but it is no average of the two": (
            lambda v: (v.mean() + v.median()) / 2
        ),
        "it is the mean of the near values: the far ones pull too, with 1 each": (
            lambda v: v[(v - v.median()).abs() < 1].mean()
        ),
        "near is what lies near the median: it must be what lies near the answer": lambda v: (
            v.median() + (v - v.median()).clamp(-1, 1).sum() / ((v - v.median()).abs() < 1).sum()
        ),
        "the loss makes a step at an error of 1: a far value costs its error - 0.5": _best_with_a_step,
        "far values are clipped around the median: a pull depends on the answer itself": (
            lambda v: v.clamp(v.median() - 1, v.median() + 1).mean()
        ),
        "far values are clipped around the mean: a pull depends on the answer itself": (
            lambda v: v.clamp(v.mean() - 1, v.mean() + 1).mean()
        ),
        "it is the smallest loss: return the answer that has it": lambda v: _smooth_loss(v, _balance(v)),
        "it is the loss of the mean: return the answer with the smallest": lambda v: _smooth_loss(v, v.mean()),
        "it is the smallest value: does the search go the wrong way?": torch.min,
        "it is the largest value: is the search's way wrong, or do all far values pull up?": torch.max,
        "it is the value that is farthest away: does the search go the wrong way?": (
            lambda v: v[(v - v.median()).abs().argmax()]
        ),
        "it is the best of the values, but an answer between them is better": (
            lambda v: min(v, key=lambda guess: _smooth_loss(v, guess))
        ),
        "it lies from 0 to 1, but the values do not: look for it where they are": (
            lambda v: _around(v.mean().clamp(0, 1), 0.11)
        ),
        "it has lost its sign": lambda v: _around(abs(_balance(v)), 0.001),
        "it is -1 times the best answer": lambda v: _around(-_balance(v), 0.001),
    }
    mistakes |= {
        text: lambda v, pull=pull: _around(_balance(v, pull), 0.001) for text, pull in WRONG_PULLS.items()
    }
    short = {
        "it is too near 0: does the search end too soon, or at a fixed limit?": (
            lambda v: Between(min(0, _balance(v)) - 0.02, max(0, _balance(v)) + 0.02)
        )
    }
    inexact = _rounded(_balance, 1, 0.1, 0.01) | _nearly(_balance)

    def right(values: Tensor) -> Between:
        """0.001 is asked for; the costs of far values, in 32 bits, hardly tell so near answers apart."""
        return _around(_balance(values), 0.002 if values.max() - values.min() < 20 else 0.02)

    problem = explain(answer, right, cases, mistakes | inexact | short, tolerance=1e-5)
    yield "is where all pulls cancel", problem
    if problem:
        return

    close = [(level + 0.5 * torch.rand(4, generator=rng),) for level in (3.0, -7.0)]
    yield "is the mean when all values are near", explain(answer, right, close, inexact, tolerance=1e-5)
    yield (
        "gives 0.5 for the values 0, 0 and 9",
        compare(answer(torch.tensor([0.0, 0.0, 9.0])), _around(0.5, 0.002)),
    )
    near = 5 * torch.randn(1, generator=rng) + 0.3 * torch.rand(3, generator=rng)
    wide = torch.cat([near, torch.tensor([-400.0, 90.0, -80.0, 300.0])])
    edges = [(torch.randn(1, generator=rng),), (torch.full((4,), -1.5),), (wide,)]
    yield "is right for one value, equal values and values far apart", explain(answer, right, edges)
    away = [(_near_and_far(rng, level, 1.0, 5, 2),) for level in (500.0, -300.0, 4000.0, -3000.0)]
    yield "is right for values far from 0", explain(answer, right, away, short)


def _near_and_far(rng: Generator, level: float, side: float, near: int, far: int) -> Tensor:
    """Values around `level`, and some that are more than 10 above it (side 1) or below it (side -1)."""
    values = torch.cat(
        [
            torch.linspace(-0.2, 0.2, near) + 0.04 * torch.rand(near, generator=rng),
            side * (10 + 5 * torch.rand(far, generator=rng)),
        ]
    )
    return level + values[torch.randperm(near + far, generator=rng)]


NEAR_1 = torch.tensor([0, 0.9, 1.8, 9]), torch.tensor([-1.3, -0.85, 0.3, 0.55, 9])  # their errors are near 1


def _best_with_a_step(values: Tensor) -> Between:
    """The best answer if the loss of a far value were its error."""
    guesses = torch.linspace(values.min().item(), values.max().item(), 20001, dtype=torch.double)
    errors = (values.double()[:, None] - guesses).abs()
    costs = errors.where(errors >= 1, errors**2 / 2).sum(0)
    return _around(guesses[costs.argmin()], 0.01)


def _balance(values: Tensor, pull: Callable[[Tensor], Tensor] = lambda errors: errors.clamp(-1, 1)) -> float:
    """Where the pulls of the values cancel."""
    low, high = values.min().item(), values.max().item()
    for _ in range(60):
        middle = (low + high) / 2
        rises = pull(values.double() - middle).sum() > 0
        low, high = (middle, high) if rises else (low, middle)
    return middle


WRONG_PULLS: dict[str, Callable[[Tensor], Tensor]] = {
    "values pull with their errors up to 2, not up to 1": lambda errors: errors.clamp(-2, 2),
    "values pull with their errors up to 0.5, not up to 1": lambda errors: errors.clamp(-0.5, 0.5),
    "a near value pulls with half of its error: it pulls with all of it": (
        lambda errors: (errors / 2).where(errors.abs() < 1, errors.sign())
    ),
    "far values do not pull: each of them pulls with 1 or -1": lambda errors: errors * (errors.abs() < 1),
}


def _smooth_loss(values: Tensor, guess: float | Tensor) -> Tensor:
    return smooth_l1_loss(values, torch.as_tensor(guess).expand_as(values))


def _uneven(rng: Generator, count: int) -> Tensor:
    """Values from 0.5 on, no two equal: the first is far away, the last the smallest, the middle one the next."""
    ordered = (0.5 + torch.rand(count, generator=rng)).cumsum(0)
    others = ordered[2:-1][torch.randperm(count - 3, generator=rng)]
    left, right = others[: count // 2 - 1], others[count // 2 - 1 :]
    return torch.cat([ordered[-1:] + 60, left, ordered[1:2], right, ordered[:1]])


def _repeated(rng: Generator, count: int) -> Tensor:
    """`_uneven` values, of which the last but one in order comes twice."""
    values = _uneven(rng, count)
    return torch.cat([values[:1], values.sort().values[-2:-1], values[1:]])


def _median(values: Tensor) -> Tensor | Between:
    """The middle of the sorted values; of an even number any number from one to the other in the middle."""
    ordered, half = values.sort().values, len(values) // 2
    if len(values) % 2:
        return ordered[half]
    slack = 1e-4 * (1 + ordered[half].abs().item())
    return Between(ordered[half - 1].item() - slack, ordered[half].item() + slack)


def _around(value: float | Tensor, reach: float) -> Between:
    return Between(float(value) - reach, float(value) + reach)


def _ignoring(best: Callable) -> Callable:
    """`best` of the values, as an answer that is told the loss."""
    return lambda values, loss: best(values)


def _rounded(best: Callable, *steps: float) -> dict[str, Callable]:
    """The nearest to the best answer of a grid from 0 on."""
    text = "it is rounded to {}, or the nearest of a grid: return the number itself"
    return {
        text.format(step): lambda values, step=step: round(float(best(values)) / step) * step for step in steps
    }


def _nearly(best: Callable) -> dict[str, Callable]:
    def near(values: Tensor) -> Between:
        return _around(best(values), 0.05 * float(values.max() - values.min()))

    return {"it is near the best answer, but not near enough": near}


def _batches(rng: Generator) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Two triples of prediction, target and mask; in all their sizes they differ, and no two sizes are equal."""
    batch, channels, patch = distinct(rng, 3, 2, 4)
    rows, cols = distinct(rng, 2, 5, 6)
    sizes = (batch, channels, patch, rows, cols), (channels, patch, batch, cols, rows)
    return [_triple(rng, *size, distinct(rng, size[0], 1, rows * cols - 1)) for size in sizes]


def _edges(rng: Generator) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Sizes of 1, images of which nothing or everything is hidden, large values, and errors of 0."""
    small = _triple(rng, 1, 1, 1, 2, 5, [4])
    none_and_all = _triple(rng, 2, 2, 2, 1, 3, [0, 3])
    large = _triple(rng, 1, 3, 2, 3, 1, [2])
    prediction, target, mask = _triple(rng, 2, 1, 2, 2, 2, [1, 2])
    exact = target.clone()
    exact[:, :, ::2] = prediction[:, :, ::2]
    return [small, none_and_all, (1000 * large[0], 1000 * large[1], large[2]), (prediction, exact, mask)]


def _triple(
    rng: Generator, batch: int, channels: int, patch: int, rows: int, cols: int, counts: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target, and a mask that hides so many patches of each image."""
    order = torch.rand(batch, rows * cols, generator=rng).argsort(1).argsort(1)
    mask = (order < torch.tensor(counts)[:, None]).view(batch, rows, cols)
    hidden = masking.to_pixels(mask, patch)[:, None].repeat(1, channels, 1, 1)
    target = torch.randn(hidden.shape, generator=rng)
    return target + _errors(hidden, rng), target, mask


def _errors(hidden: Tensor, rng: Generator) -> Tensor:
    """Errors of about 1, 2, 3 … in the images, twice as large where visible: every wrong mean differs."""
    size = torch.arange(1.0, len(hidden) + 1).view(-1, 1, 1, 1) * (2 - hidden.float())
    signs = torch.where(torch.rand(hidden.shape, generator=rng) < 0.7, 1, -1)  # so that no mean is near 0
    return signs * size * (0.9 + 0.2 * torch.rand(hidden.shape, generator=rng))


GUESSES: dict[str, Guess] = {
    "lazy loss": Guess(
        "about nine times as large at 90 %",
        "the sum of errors grows with what is hidden, and it is divided by all pixels both times.",
        choices=("the same", "about nine times as large at 90 %", "about nine times as large at 10 %"),
    ),
    "coloured errors": Guess(7, "168 is a sum over 8 pixels with 3 values each, so it is divided by 24."),
    "one vote for each image": Guess(2.5, "the images' means are 4 and 1, and (4 + 1) / 2 = 2.5."),
    "Adam's step": Guess(0.1, "the gradient and the root of its mean square shrink alike, so η stays."),
    "the article's pull": Guess(
        "no",
        "the product with 1 - mask makes the output 0 there, whatever the model says.",
        choices=("yes", "no"),
    ),
    "seven of ten, L1": Guess(
        1, "below 1, seven pictures pull up and three pull down, all equally hard, so up it goes to white."
    ),
    "the black disc": Guess(
        "white",
        "nothing visible tells the discs apart, and the median of 70 % white and 30 % black is white.",
        choices=("black", "grey", "white"),
    ),
    "a blank patch": Guess(0.75, "the squares add up to (n - 1) times the variance 1, so to 3, and 3 / 4 = 0.75."),
}
