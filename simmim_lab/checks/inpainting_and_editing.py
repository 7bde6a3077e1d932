"""Checks of lesson 08 and its exercises: holes of any shape in pictures of any size."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise, product, takewhile

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

from simmim_lab.checks import solutions
from simmim_lab.checks.core import (
    Answer,
    Verdict,
    check,
    compare,
    distinct,
    explain,
    first,
    gradients,
    is_whole,
    other_gradient,
)
from simmim_lab.checks.guessing import Guess


@check(
    "Draw the side as a line and lay windows on it from the left. Where does the last one start that ends exactly "
    "at the end? Which windows of the usual distance start before that?",
    "The last window starts at `length - size`, or at 0 if the side is shorter. `range(0, last, stride)` has all "
    "that start before it, so `last` is never there twice.",
    solution=solutions.window_starts,
)
def window_starts(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`window_starts(length, size, stride)` says where the windows along a side start."""
    even, odd = [], []
    for strides in (1, 2, 3):
        stride, more, steps, rest = distinct(rng, 4, 3, 9)
        size = strides * stride + more
        even.append((size + steps * stride, size, stride))
        odd.append((size + steps * stride + 1 + rest % (stride - 1), size, stride))
    odd.append((12, 4, 3))  # without a rest, but the last window of those does not end at the end
    right = solutions.window_starts

    def regular(length: int, size: int, stride: int) -> list[int]:
        return list(range(0, length - size + 1, stride))

    mistakes = {
        "the last window, which ends at the end of the side, is missing": lambda n, s, d: regular(n, s, d)[:-1],
        "one window too many: the last one reaches beyond the end": lambda n, s, d: list(
            range(0, n - s + d + 1, d)
        ),
        "windows reach beyond the end: a whole window must lie on the side": lambda n, s, d: list(range(0, n, d)),
        "the windows do not overlap: a new one starts every `stride` pixels, not every `size`": (
            lambda n, s, d: regular(n, s, s)
        ),
        "only the last window overlaps: start one every `stride` pixels, not every `size`": (
            lambda n, s, d: [*range(0, n - s, s), n - s]
        ),
        "a window starts at every pixel; take every `stride`-th": lambda n, s, d: regular(n, s, 1),
        "the first window starts at 0": lambda n, s, d: regular(n, s, d)[1:],
        "the order must be ascending": _unordered(answer, right),
        "a set has no order: return a list": lambda *args: set(right(*args)),
        "these are the ends of the windows, not their starts": lambda n, s, d: [k + s for k in regular(n, s, d)],
        "these are the middles of the windows, not their starts": (
            lambda n, s, d: [k + s // 2 for k in regular(n, s, d)]
        ),
        "this is how many windows there are: list where they start": lambda n, s, d: len(regular(n, s, d)),
        "these are the numbers of the windows: multiply them by `stride`": (
            lambda n, s, d: list(range(len(regular(n, s, d))))
        ),
        "`size` and `stride` are swapped": lambda n, s, d: right(n, d, s),
        "the last window starts at `length - size`, not at `length - stride`": (
            lambda n, s, d: [*range(0, n - d, d), n - d]
        ),
        "the last start is there twice": lambda n, s, d: [*regular(n, s, d), n - s],
        "the end decides, not `length % stride`: the last start is there twice": (
            lambda n, s, d: [*regular(n, s, d), *[n - s] * (n % d > 0)]
        ),
        "the last start is there more than once": lambda n, s, d: [min(k, n - s) for k in range(0, n, d)],
        "places are counted from 0, not from 1": lambda n, s, d: [k + 1 for k in regular(n, s, d)],
        "the starts are pairs (start, end)": lambda n, s, d: [(k, k + s) for k in regular(n, s, d)],
    }
    problem = explain(answer, right, even, mistakes)
    yield "starts a window every `stride` pixels", problem
    if problem:
        return

    text = "a picture is cut at whole numbers: 0, not 0.0"
    yield "lists whole numbers", first((not all(map(is_whole, answer(*even[0]))), text))
    mistakes = {
        "the last pixels are in no window: add one that ends at the end": regular,
        "the end is left over where `size` divides `length`: ask where the last window ends": (
            lambda n, s, d: regular(n, s, d) + [n - s] * (n % s > 0)
        ),
        "the end is left over where `stride` divides `length`: ask where the last window ends": (
            lambda n, s, d: regular(n, s, d) + [n - s] * (n % d > 0)
        ),
        "the last window starts where the side ends: it should end there": lambda n, s, d: [*regular(n, s, d), n],
        "the windows are laid from the end; lay them from 0": lambda n, s, d: sorted({0, *range(n - s, 0, -d)}),
        "the last window reaches beyond the end; move it back": lambda n, s, d: list(range(0, n - s + d, d)),
        "the last window ends one pixel too early": lambda n, s, d: [*regular(n, s, d), n - s - 1],
        "the last window starts one pixel too late": lambda n, s, d: [*regular(n, s, d), n - s + 1],
        "the added window stands in the place of the last usual one: keep both": (
            lambda n, s, d: [*regular(n, s, d)[:-1], n - s]
        ),
        "the added window stands before the others: ascending order": lambda n, s, d: [n - s, *regular(n, s, d)],
        "the windows are spread evenly: the last alone may be closer to the one before": (
            lambda n, s, d: [round(k * (n - s) / len(regular(n, s, d))) for k in range(len(regular(n, s, d)) + 1)]
        ),
    }
    yield "adds one that ends at the end, if the last one does not", explain(answer, right, odd, mistakes)
    mistakes = {
        "where the last window ends at the end, it is there twice": (
            lambda n, s, d: [*regular(n, s, d), max(0, n - s)]
        ),
        "a side as long as a window has a window, too, at 0": (lambda n, s, d: [] if n == s else right(n, s, d)),
        "a side shorter than a window has a window, too, at 0": regular,
        "a start must not be negative: a side shorter than a window has one, at 0": (
            lambda n, s, d: [*range(0, n - s, d), n - s]
        ),
        "a side shorter than a window starts at 0 alone": lambda n, s, d: sorted({0, n - s}),
    }
    (_, size, stride), *_ = even
    short = [(size, size, stride), (1, size, stride), (size - 1, size, stride), (size - 1, size, size)]
    yield "has one window, at 0, on a side that is no longer", explain(answer, right, short, mistakes)
    edges = [(5, 1, 1), (1, 1, 1), (9, 3, 3), (10, 3, 3), (size + 1, size, size), (10_003, size, size)]
    yield "works for windows of one pixel, without overlap, and for a long side", explain(answer, right, edges)


def _unordered(answer: Answer, right: Callable) -> Callable:
    """The list that the answer gives, if only its order is wrong."""

    def made(*case) -> list | None:
        got = answer(*case)
        return got if isinstance(got, list | tuple) and sorted(got) == sorted(right(*case)) else None

    return made


def _with_added(answer: Callable, parts: Callable, cases: Sequence[tuple]) -> Callable:
    """A quotient with a number added to its divisor: that which explains the answer in the first case.

    It may be negative. `parts` gives the dividend and the divisor of a case.
    """

    def made(*case) -> Tensor:
        dividend, divisor = parts(*cases[0])
        added = torch.as_tensor(dividend / answer(*cases[0]) - divisor).nanmedian()
        dividend, divisor = parts(*case)
        return dividend / (divisor + added)

    return made


@check(
    "Keep two sums for each pixel: of the weighted values that the windows give it, and of the weights. What must "
    "be divided by what in the end?",
    "For each window and its corner: add `window * weight` to a square of `total`, and `weight` to the same "
    "square of `weights`. The squares are `[..., top : top + size, left : left + size]`.",
    solution=solutions.blend,
)
def blend(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`blend(windows, corners, weight, height, width)` is the weighted mean of overlapping windows."""
    cases = [_overlapping(rng, square=True), _overlapping(rng)]  # else swapped corners lie outside

    def rule(of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
        """A mistake, from the values and the weights that each window gives to each pixel, 0 where it has none."""
        return lambda *args: of(*_laid(*args))

    right = solutions.blend
    rules = {
        "all windows count the same: use `weight`": lambda x, w: (x * (w > 0)).sum(0) / (w > 0).sum(0),
        "this is the sum of values times weights: divide it by the sum of the weights": (
            lambda x, w: (x * w).sum(0)
        ),
        "this is the sum of the windows: it must become a mean": lambda x, w: x.sum(0),
        "divide by the sum of the weights, not by how many windows there are": (
            lambda x, w: (x * w).sum(0) / (w > 0).sum(0)
        ),
        "everything is 0: are the windows added to `total`, by `+=`?": lambda x, w: 0 * x.sum(0),
        "a later window's weights replace the earlier ones: add them up": (
            lambda x, w: (x * w).sum(0) / _last(w, w)
        ),
        "divide by the sum of the weights at each pixel, not by the number of all windows": (
            lambda x, w: (x * w).sum(0) / len(x)
        ),
        "divide by the sum of the weights at each pixel, not in one window": (
            lambda x, w: (x * w).sum(0) / w[0].sum()
        ),
        "divide by the weights at each pixel, not by their largest sum": (
            lambda x, w: (x * w).sum(0) / w.sum(0).max()
        ),
        "divided by the sum of the weights, but not multiplied by a weight before": (
            lambda x, w: x.sum(0) / w.sum(0)
        ),
        "the weights count twice: squared": lambda x, w: (x * w**2).sum(0) / (w**2).sum(0),
        "a larger weight must count more, not less": (
            lambda x, w: (
                (x / w).nan_to_num(posinf=0, neginf=0).sum(0) / (1 / w).nan_to_num(posinf=0, neginf=0).sum(0)
            )
        ),
        "a later window overwrites an earlier one: average where they overlap": lambda x, w: _last(x, w),
        "the earlier window stays where a later one overlaps: average them": lambda x, w: _last(
            x.flip(0), w.flip(0)
        ),
        "the window with the largest weight gives the pixel: average them all": (
            lambda x, w: x.gather(0, w.argmax(0, keepdim=True).expand_as(x[:1]))[0]
        ),
        "each new window is averaged with all before it, so that the last counts half": lambda x, w: _halved(x, w),
        "this is the median of the windows, not the weighted mean": (
            lambda x, w: x.masked_fill(w == 0, torch.nan).nanmedian(0).values
        ),
        "values are cut off at 0 and 1: leave them as they are": (
            lambda x, w: ((x * w).sum(0) / w.sum(0)).clamp(0, 1)
        ),
        "all colours are their mean": lambda x, w: (
            ((x * w).sum(0) / w.sum(0)).mean(0, keepdim=True).expand(3, -1, -1)
        ),
        "this is the sum of the weights; what do the windows say?": lambda x, w: w.sum(0).expand(3, -1, -1),
        "the sum of the weights may be below 1: do not raise it": (
            lambda x, w: (x * w).sum(0) / w.sum(0).clamp(min=1)
        ),
        "the roots of the weights are used: take them as they are": (
            lambda x, w: (x * w.sqrt()).sum(0) / w.sqrt().sum(0)
        ),
        "the exponentials of the weights are used: take them as they are": (
            lambda x, w: (x * w.exp()).sum(0) / (w.exp() * (w > 0)).sum(0)
        ),
        "the colours come first: (3, height, width)": (lambda x, w: ((x * w).sum(0) / w.sum(0)).permute(1, 2, 0)),
        "the picture has an axis too many": lambda x, w: ((x * w).sum(0) / w.sum(0))[None],
    }
    mistakes = {text: rule(of) for text, of in rules.items()}
    mistakes |= {
        "a corner is (top, left), not (left, top)": lambda x, c, *rest: right(x, [(q, r) for r, q in c], *rest),
        "rows and columns of the weight are swapped": lambda x, c, w, *size: right(x, c, w.T, *size),
        "rows and columns inside the windows are swapped": lambda x, *rest: right(x.mT, *rest),
        "the corners are sorted, but not the windows": lambda x, c, *rest: right(x, sorted(c), *rest),
        "the weight is upside down": lambda x, c, w, *size: right(x, c, w.flip(0), *size),
        "left and right of the weight are swapped": lambda x, c, w, *size: right(x, c, w.flip(1), *size),
        "the weight is turned by half": lambda x, c, w, *size: right(x, c, w.flip(0, 1), *size),
        "the weight of a row holds for all rows: it has two axes": (
            lambda x, c, w, *size: right(x, c, w[:1].expand_as(w), *size)
        ),
        "the weight of a column holds for all columns: it has two axes": (
            lambda x, c, w, *size: right(x, c, w[:, :1].expand_as(w), *size)
        ),
        "the last window is missing": lambda x, c, *rest: right(x[:-1], c[:-1], *rest).nan_to_num(),
        "the first window is missing": lambda x, c, *rest: right(x[1:], c[1:], *rest).nan_to_num(),
        "all windows lie in the upper left corner": lambda x, c, *rest: right(x, [(0, 0)] * len(c), *rest),
        "the order of the colours is reversed": lambda x, *rest: right(x.flip(1), *rest),
        "a number is added to the sum of the weights, or taken off": _with_added(answer, _sums, cases),
    }
    problem = explain(answer, right, cases, mistakes, tolerance=1e-4)
    yield "is the weighted mean of the windows that cover a pixel", problem
    if problem:
        return

    windows, _, weight, *_ = cases[0]
    size = len(weight)
    alone = [(windows[:1], [(0, 0)], weight, size, size), (windows[:1, :, :1, :1], [(0, 0)], weight[:1, :1], 1, 1)]
    problem = explain(answer, right, alone)
    yield "gives a window back that stands alone, whatever its weight", problem
    twice = [(windows[[0, 1, 0]], [(0, 0)] * 3, weight, size, size)]
    yield "averages windows at the same place", explain(answer, right, twice)
    scaled = [(x, corners, factor * weight, *of) for x, corners, weight, *of in cases for factor in (1e-4, 1e4)]
    texts = {"a small number is added to the weights, which may be small": _with_added(answer, _sums, scaled)}
    yield "depends on the weights' ratios alone", explain(answer, right, scaled, texts)


def _overlapping(
    rng: Generator, *, square: bool = False
) -> tuple[Tensor, list[tuple[int, int]], Tensor, int, int]:
    """Windows in a random order, which cover a picture."""
    size = 4 + int(torch.randint(3, (), generator=rng))
    height, width = (size + more for more in distinct(rng, 2, 1, 7))
    width = height if square else width
    tops, lefts = (solutions.window_starts(side, size, max(2, size // 2)) for side in (height, width))
    corners = [(top, left) for top in tops for left in lefts]
    corners = [corners[place] for place in torch.randperm(len(corners), generator=rng)]
    windows = 2 * torch.randn(len(corners), 3, size, size, generator=rng)
    weight = 0.2 + 2 * torch.rand(size, size, generator=rng)
    return windows, corners, weight, height, width


def _laid(
    windows: Tensor, corners: list[tuple[int, int]], weight: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Each window, and its weight, on a picture of its own; 0 elsewhere."""
    size = len(weight)
    values = windows.new_zeros(len(windows), 3, height, width)
    weights = windows.new_zeros(len(windows), 1, height, width)
    for (top, left), window, *of in zip(corners, windows, values, weights, strict=True):
        for picture, content in zip(of, (window, weight), strict=True):
            picture[:, top : top + size, left : left + size] = content
    return values, weights


def _last(values: Tensor, weights: Tensor) -> Tensor:
    picture = values[0]
    for value, weight in zip(values, weights, strict=True):
        picture = torch.where(weight > 0, value, picture)
    return picture


def _halved(values: Tensor, weights: Tensor) -> Tensor:
    picture, filled = torch.zeros_like(values[0]), torch.zeros_like(weights[0], dtype=torch.bool)
    for value, weight in zip(values, weights, strict=True):
        picture = torch.where(weight > 0, torch.where(filled, (picture + value) / 2, value), picture)
        filled = filled | (weight > 0)
    return picture


def _sums(*args) -> tuple[Tensor, Tensor]:
    """Of the values times their weights, and of the weights."""
    values, weights = _laid(*args)
    return (values * weights).sum(0), weights.sum(0)


@check(
    "Bring the four pixels of each square onto an axis of their own: `rearrange` can. Which of them go into the "
    "mean, and what is it divided by?",
    "The sum of the visible ones, divided by how many they are. Fill what is hidden with 0 by `masked_fill` or "
    "`torch.where`: NaN times 0 is NaN. Where the number is 0 the new pixel is hidden and 0.5.",
    solution=solutions.halve,
)
def halve(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`halve(image, hidden)` is the picture at half its size, from visible pixels alone, and the mask there."""
    cases = []
    for _ in range(2):
        rows, cols = distinct(rng, 2, 4, 6)
        image = 2 * torch.rand(3, 2 * rows, 2 * cols, generator=rng) - 0.5
        cases.append((image, _patchy(rows, cols, rng)))

    def squares(tensor: Tensor) -> Tensor:
        return rearrange(tensor, "... (rows i) (cols j) -> ... rows cols (i j)", i=2, j=2)

    def rule(of: Callable[[Tensor, Tensor, Tensor, Tensor], tuple]) -> Callable:
        """A mistake, from the squares of the picture and of the mask, and what is right."""
        return lambda image, hidden: of(squares(image), squares(hidden), *right(image, hidden))

    right = solutions.halve
    rules = {
        "what is hidden counts in the mean": lambda x, h, mean, mask: (torch.where(mask, 0.5, x.mean(-1)), mask),
        "this is the mean of all four, hidden ones too; and grey is missing": (
            lambda x, h, mean, mask: (x.mean(-1), mask)
        ),
        "what is hidden counts as black: divide by the number of visible pixels, not by 4": (
            lambda x, h, mean, mask: (torch.where(mask, 0.5, (x * ~h).mean(-1)), mask)
        ),
        "what is hidden counts as black, and grey is missing": lambda x, h, mean, mask: ((x * ~h).mean(-1), mask),
        "what is hidden counts as grey: it must not count": (
            lambda x, h, mean, mask: (torch.where(h, 0.5, x).mean(-1), mask)
        ),
        "the mean is that of the hidden pixels": lambda x, h, mean, mask: (
            torch.where(mask, 0.5, (x * h).sum(-1) / h.sum(-1)).nan_to_num(0.5),
            mask,
        ),
        "this is the sum of the visible pixels, not their mean": (
            lambda x, h, mean, mask: (torch.where(mask, 0.5, (x * ~h).sum(-1)), mask)
        ),
        "a new pixel is hidden only where all four are, not where one is": lambda x, h, mean, mask: (
            mean,
            h.any(-1),
        ),
        "a new pixel is hidden only where all four are: grey and True stand where one is": (
            lambda x, h, mean, mask: (torch.where(h.any(-1), 0.5, mean), h.any(-1))
        ),
        "a new pixel is hidden only where all four are, not where most are": (
            lambda x, h, mean, mask: (mean, h.sum(-1) > 2)
        ),
        "a new pixel is hidden only where all four are, not where half are": (
            lambda x, h, mean, mask: (mean, h.sum(-1) >= 2)
        ),
        "the mask is that of the upper left pixels alone": lambda x, h, mean, mask: (mean, h[..., 0]),
        "the picture is that of the upper left pixels alone": (
            lambda x, h, mean, mask: (torch.where(mask, 0.5, x[..., 0]), mask)
        ),
        "the upper left pixels alone are taken: average each square": lambda x, h, mean, mask: (
            x[..., 0],
            h[..., 0],
        ),
        "values are cut off at 0 and 1: leave them as they are": lambda x, h, mean, mask: (mean.clamp(0, 1), mask),
        "True and False of the mask are swapped": lambda x, h, mean, mask: (mean, ~mask),
        "the mask has one entry for a pixel, not for each colour": (
            lambda x, h, mean, mask: (mean, mask.expand_as(mean))
        ),
        "the mask has an axis of colours": lambda x, h, mean, mask: (mean, mask[None]),
        "the mask must hold True and False, not numbers": lambda x, h, mean, mask: (mean, mask.float()),
        "where all four are hidden the new pixel is grey, 0.5, not black": (
            lambda x, h, mean, mask: (mean * ~mask, mask)
        ),
        "where all four are hidden the new pixel is grey, 0.5, not white": (
            lambda x, h, mean, mask: (torch.where(mask, 1.0, mean), mask)
        ),
        "where all four are hidden the new pixel is grey, 0.5, not NaN": (
            lambda x, h, mean, mask: (torch.where(mask, torch.inf, mean), mask)
        ),
        "grey is 0.5: values lie from 0 to 1, not to 255": (
            lambda x, h, mean, mask: (torch.where(mask, 127.5, mean), mask)
        ),
        "this is the median of the visible pixels, not their mean": (
            lambda x, h, mean, mask: (x.masked_fill(h, torch.nan).nanmedian(-1).values.nan_to_num(0.5), mask)
        ),
        "this is the largest of the visible pixels, not their mean": (
            lambda x, h, mean, mask: (torch.where(mask, 0.5, x.masked_fill(h, -1).amax(-1)), mask)
        ),
        "all colours are their mean": lambda x, h, mean, mask: (mean.mean(0, keepdim=True).expand_as(mean), mask),
        "rows and columns are swapped": lambda x, h, mean, mask: (mean.mT, mask.T),
        "first the mask, then the picture: the other way round": lambda x, h, mean, mask: (mask, mean),
        "the mask is missing: return the picture and the mask": lambda x, h, mean, mask: mean,
        "the mean of rows, then of these: a pixel alone in its row counts too much": (
            lambda x, h, mean, mask: (_mean_of_means(x, h, (0, 1), (2, 3)), mask)
        ),
        "the mean of columns, then of these: a pixel alone in its column counts too much": (
            lambda x, h, mean, mask: (_mean_of_means(x, h, (0, 2), (1, 3)), mask)
        ),
        "the four pixels are neighbours: here they come from four quarters of the picture": (
            lambda x, h, mean, mask: right(_quartered(x), _quartered(h))
        ),
    }
    mistakes = {text: rule(of) for text, of in rules.items()}

    def parts(image: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return squares(image.masked_fill(hidden, 0)).sum(-1), squares(~hidden).sum(-1)

    mistakes["True is hidden: here True and False of `hidden` are swapped"] = lambda image, hidden: right(
        image, ~hidden
    )
    mistakes["`reshape` takes four pixels of one row: take those of a square"] = lambda image, hidden: right(
        _of_rows(image), _of_rows(hidden)
    )
    quotient = _with_added(lambda *case: answer(*case)[0], parts, cases)
    mistakes["a number is added to that of the visible pixels, or taken off"] = lambda *case: (
        torch.where(right(*case)[1], 0.5, quotient(*case)),
        right(*case)[1],
    )
    problem = explain(answer, right, cases, mistakes)
    yield "averages the visible pixels of each square", problem
    if problem:
        return

    poisoned = [
        (image.masked_fill(hidden, odd), hidden) for image, hidden in cases for odd in (torch.nan, torch.inf)
    ]
    problem = _not_finite(answer, poisoned, TIMES_0) or explain(answer, right, poisoned)
    yield "does not look at what is hidden, even if it is NaN or infinite", problem
    (image, hidden), *_ = cases
    none, everything = torch.zeros_like(hidden), torch.ones_like(hidden)
    edges = [(image, none), (image, everything), (image[:, :2, :2], hidden[:2, :2]), (image[:, :2], none[:2])]
    yield (
        "works where nothing or everything is hidden, and for one square",
        explain(answer, right, edges),
    )
    flat = {"black": 0.0, "grey": 0.5}
    texts = {
        f"a {name} square is visible, too: only the mask says what is hidden": (
            lambda image, hidden, value=value: right(image, hidden | (image == value).all(0))
        )
        for name, value in flat.items()
    }
    plain = [(torch.full_like(image, value), hidden) for value in flat.values()]
    yield "does not take black or grey for hidden", explain(answer, right, plain, texts)
    texts = {
        f"a visible value of {value:g} is taken for hidden: ask the mask": rule(
            lambda x, h, mean, mask, value=value: (
                x.masked_fill(h | (x == value), torch.nan).nanmean(-1).nan_to_num(value).masked_fill(mask, 0.5),
                mask,
            )
        )
        for value in flat.values()
    }
    mixed = [(image.round() / 2, hidden)]  # black and grey beside each other
    yield "does not take black or grey for hidden", explain(answer, right, mixed, texts)


def _patchy(rows: int, cols: int, rng: Generator) -> Tensor:
    """A mask of 2 * rows x 2 * cols pixels, of which squares are visible, hidden and mixed."""
    shares = torch.linspace(0, 1, rows * cols)[torch.randperm(rows * cols, generator=rng)]
    chosen = torch.rand(rows * cols, 4, generator=rng) < shares[:, None]
    return rearrange(chosen, "(rows cols) (i j) -> (rows i) (cols j)", rows=rows, i=2)


def _mean_of_means(squares: Tensor, hidden: Tensor, *pairs: tuple[int, int]) -> Tensor:
    seen = squares.masked_fill(hidden, torch.nan)
    return torch.stack([seen[..., pair].nanmean(-1) for pair in pairs], -1).nanmean(-1).nan_to_num(0.5)


def _quartered(squares: Tensor) -> Tensor:
    """The picture whose squares hold what lay half a picture apart before."""
    picture = rearrange(squares, "... rows cols (i j) -> ... (rows i) (cols j)", i=2)
    return rearrange(picture, "... (i rows) (j cols) -> ... (rows i) (cols j)", i=2, j=2)


def _of_rows(tensor: Tensor) -> Tensor:
    """The picture whose squares hold what four places one after the other held before."""
    height, width = tensor.shape[-2:]
    fours = tensor.reshape(*tensor.shape[:-2], height // 2, width // 2, 4)
    return rearrange(fours, "... rows cols (i j) -> ... (rows i) (cols j)", i=2)


TIMES_0 = "NaN times 0 is NaN: use `torch.where`, `masked_fill` or an index"


def _not_finite(answer: Answer, cases: list[tuple], text: str) -> Verdict:
    """The text if the result, or the first of several, holds NaN or infinity in one of the cases."""
    for case in cases:
        got = answer(*case)
        got = got[0] if isinstance(got, list | tuple) and got else got
        if isinstance(got, Tensor) and got.is_floating_point() and not got.isfinite().all():
            return f"{text}\n{answer.shown(*case)}"
    return None


@check(
    "The squared errors of the visible pixels are 0. So the mean over the whole picture is the mean over the "
    "hole, made smaller by a factor. Which? And what does a factor become in dB?",
    "error of the picture = share * error of the hole. A PSNR is -10 * log10(error), and the logarithm of a "
    "product is a sum of two. At a share of 0.1 the hole has 10 dB less than the picture.",
)
def psnr_of_hole(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`psnr_of_hole(whole, share)` is the PSNR of the hidden pixels, from that of the picture."""
    low, high, middle, *tenths = distinct(rng, 6, 1, 97)
    cases = [
        (30 + tenths[0] / 10, 0.01 + low / 1000),
        (20 + tenths[1] / 10, 0.15 + middle / 1000),
        (40 + tenths[2] / 10, 0.6 + high / 1000),
    ]

    def error(decibel: float) -> float:
        return 10 ** (-decibel / 10)

    def with_added(whole: float, share: float) -> float:
        """The answer's number that is added to the error, in the first case, stands in all."""
        added = error(answer(*cases[0])) - error(cases[0][0]) / cases[0][1]
        return -10 * math.log10(error(whole) / share + added)

    mistakes = {
        "the hole is worse than the picture, not better: the sign is wrong": lambda p, s: p - 10 * math.log10(s),
        "the factor is 10 for squared errors; 20 belongs to their root": lambda p, s: p + 20 * math.log10(s),
        "the factor 10 is missing: a bel is ten decibels": lambda p, s: p + math.log10(s),
        "that is the natural logarithm: dB use base 10": lambda p, s: p + 10 * math.log(s),
        "the factor 10 is missing, and that is the natural logarithm": lambda p, s: p + math.log(s),
        "that is the logarithm to base 2: dB use base 10": lambda p, s: p + 10 * math.log2(s),
        "`share` is the share of hidden pixels, not of visible ones": lambda p, s: p + 10 * math.log10(1 - s),
        "a factor of the error becomes a sum in dB, not a product": lambda p, s: p * s,
        "a factor of the error becomes a sum in dB, not a quotient": lambda p, s: p / s,
        "the share itself is added: take its logarithm": lambda p, s: p + s,
        "ten times the share is added: take its logarithm": lambda p, s: p + 10 * s,
        "the logarithm is a summand, not a factor": lambda p, s: p * math.log10(s),
        "that is the PSNR of the picture; the visible pixels flatter it": lambda p, s: p,
        "that is the difference alone: add it to the PSNR of the picture": lambda p, s: 10 * math.log10(s),
        "that is how much the picture is flattered: subtract it from its PSNR": lambda p, s: -10 * math.log10(s),
        "that is the error of the hole: turn it into dB": lambda p, s: error(p) / s,
        "`share` is a share from 0 to 1, not in percent": lambda p, s: p + 10 * math.log10(s / 100),
        "the share is no percentage": lambda p, s: p + 10 * math.log10(100 * s),
        "the root of the share is taken: PSNR is about squared errors already": lambda p, s: p + 5 * math.log10(s),
        "always the same number of dB is subtracted; it follows from `share`": lambda p, s: p - 10,
        "the result is rounded: keep its digits": lambda p, s: round(p + 10 * math.log10(s)),
        "the result is rounded down: keep its digits": lambda p, s: math.floor(p + 10 * math.log10(s)),
        "the result is rounded to one digit: keep them all": lambda p, s: round(p + 10 * math.log10(s), 1),
        "the result is rounded to two digits: keep them all": lambda p, s: round(p + 10 * math.log10(s), 2),
        "the minus before the logarithm is missing": lambda p, s: -p - 10 * math.log10(s),
        "10 ** (-PSNR / 10) is the error; with 20 it is the root": lambda p, s: p / 2 + 10 * math.log10(s),
        "values lie from 0 to 1: the peak is 1, not 255": lambda p, s: p + 10 * math.log10(255**2 * s),
        "a small number is added to the error": with_added,
    }
    problem = explain(answer, _psnr_of_hole, cases, mistakes, tolerance=1e-6)
    yield "takes away what the visible pixels add", problem
    if problem:
        return

    yield "gives 20 dB for the example", compare(answer(30.0, 0.1), 20.0, tolerance=1e-6)
    yield "changes nothing where all is hidden", compare(answer(12.3, 1.0), 12.3, tolerance=1e-6)
    mistakes = {
        "a PSNR may be negative: do not cut it off": lambda p, s: max(0.0, _psnr_of_hole(p, s)),
        "a PSNR may be negative: do not take its absolute value": lambda p, s: abs(_psnr_of_hole(p, s)),
    }
    bad = [(7.5, 0.1), (10.0, 0.01), (-3.0, 0.5)]
    yield "may be negative", explain(answer, _psnr_of_hole, bad, mistakes, tolerance=1e-6)
    got = answer(math.inf, 0.2)
    text = "without an error it is infinity: cut nothing off, and add no small number to the error"
    texts = {text: got} if isinstance(got, float) and got < math.inf else None
    yield "is infinite for a perfect fill", compare(got, math.inf, texts)
    yield (
        "is right for one pixel of 12 million",
        compare(answer(83.0, 1 / 12e6), 83 - 10 * math.log10(12e6), tolerance=1e-6),
    )


def _psnr_of_hole(whole: float, share: float) -> float:
    return whole + 10 * math.log10(share)


@check(
    "A pixel is hidden if four things hold, one for each of its numbers. Which axis counts the four? Look at the "
    "shape.",
    "`rgba[:3] >= threshold` has True and False for three colours, and `.all(dim=0)` asks that all are True. "
    "Join it by `&` with `rgba[3] >= 128`.",
)
def mask_from_picture(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`mask_from_picture(rgba, threshold)` is True where a picture is white and opaque."""
    cases = [_painted(rng, threshold) for threshold in distinct(rng, 2, 150, 250)]
    cases.append((cases[0][0], 1))

    def rule(of: Callable[[Tensor, Tensor, int], Tensor]) -> Callable:
        return lambda rgba, threshold: of(rgba[:3].int(), rgba[3].int(), threshold)

    def white(c: Tensor, t: int) -> Tensor:
        return (c >= t).all(0)

    rules = {
        "the opacity has no say here: a transparent pixel is visible, whatever its colour": lambda c, a, t: white(
            c, t
        ),
        "white pixels are hidden, not the others: True and False are swapped": (
            lambda c, a, t: ~(white(c, t) & (a >= 128))
        ),
        "dark pixels are hidden here; white ones should be": lambda c, a, t: (c < t).all(0) & (a >= 128),
        "a dark colour is enough here: white ones are hidden, not the others": lambda c, a, t: (
            ~white(c, t) & (a >= 128)
        ),
        "transparent pixels are hidden here; opaque ones should be": lambda c, a, t: white(c, t) & (a < 128),
        "white *and* opaque: here one of the two is enough": lambda c, a, t: white(c, t) | (a >= 128),
        "white *and* opaque: here what is white or transparent is hidden": lambda c, a, t: white(c, t) | (a < 128),
        "the colour has no say here: all opaque is hidden. (8 bits hold nothing below 0.)": lambda c, a, t: (
            a >= 128
        ),
        "one colour that reaches the threshold is enough here; all three must": (
            lambda c, a, t: (c >= t).any(0) & (a >= 128)
        ),
        "two colours that reach the threshold are enough here; all three must": (
            lambda c, a, t: ((c >= t).sum(0) >= 2) & (a >= 128)
        ),
        "8 bits cannot hold 255 + 1": lambda c, a, t: ((c + 1) % 256 > t).all(0) & (a >= 128),
        "the brightness is compared; each colour must reach the threshold": (
            lambda c, a, t: (0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2] >= t) & (a >= 128)
        ),
        "red alone decides here; all three colours must reach the threshold": (
            lambda c, a, t: (c[0] >= t) & (a >= 128)
        ),
        "green alone decides here; all three colours must reach the threshold": (
            lambda c, a, t: (c[1] >= t) & (a >= 128)
        ),
        "blue alone decides here; all three colours must reach the threshold": (
            lambda c, a, t: (c[2] >= t) & (a >= 128)
        ),
        "the mean of the colours is compared; each of them must reach the threshold": (
            lambda c, a, t: (c.sum(0) >= 3 * t) & (a >= 128)
        ),
        "the mean of all four numbers is compared; each colour must reach the threshold": (
            lambda c, a, t: c.sum(0) + a >= 4 * t
        ),
        "8 bits cannot hold the sum of three colours": (lambda c, a, t: (c.sum(0) % 256 >= t) & (a >= 128)),
        "8 bits cannot hold three times the threshold, nor the sum of three colours": (
            lambda c, a, t: (c.sum(0) % 256 >= 3 * t % 256) & (a >= 128)
        ),
        "8 bits cannot hold the sum of three colours; and each must reach the threshold": (
            lambda c, a, t: (c.sum(0) % 256 >= 3 * t) & (a >= 128)
        ),
        "blue has no say here: `rgba[:3]` has all three colours": lambda c, a, t: white(c[:2], t) & (a >= 128),
        "colours are mixed with black by their opacity here: ask about each apart": (
            lambda c, a, t: white(c * (a / 255), t)
        ),
        "the threshold itself is white, too: `>=`, not `>`": lambda c, a, t: (c > t).all(0) & (a >= 128),
        "128 is opaque, too: `>=`, not `>`": lambda c, a, t: white(c, t) & (a > 128),
        "the threshold and 128 belong to it: `>=`, not `>`": lambda c, a, t: (c > t).all(0) & (a > 128),
        "opaque begins at 128, not at 127": lambda c, a, t: white(c, t) & (a >= 127),
        "opaque begins at 128: not all that is seen a little": lambda c, a, t: white(c, t) & (a > 0),
        "opaque begins at 128, not at 255 alone": lambda c, a, t: white(c, t) & (a == 255),
        "opaque begins at 128; `threshold` is for the colours": lambda c, a, t: white(c, t) & (a >= t),
        **{
            f"`threshold` is not used: white begins there, not at {text}": (
                lambda c, a, t, fixed=fixed: white(c, fixed) & (a >= 128)
            )
            for fixed, text in ((255, "255 alone"), (240, "240"), (128, "128"))
        },
        "the values reach from 0 to 255: do not divide the threshold": lambda c, a, t: (
            (c > t / 255).all(0) & (a >= 128)
        ),
        "the values are divided by 255, but not the threshold": (lambda c, a, t: white(c, 255 * t) & (a >= 128)),
        "all four numbers are divided by 255, but not the threshold": lambda c, a, t: (
            white(c, 255 * t) & (a >= 255 * t)
        ),
        "nothing is hidden: are both sides of `&` in parentheses, does `.all` have its axis?": (
            lambda c, a, t: a < 0
        ),
        "all is hidden": lambda c, a, t: a >= 0,
        "a mask has one entry for each pixel, not for each colour": lambda c, a, t: (c >= t) & (a >= 128),
        "the mask has an axis too many": lambda c, a, t: (white(c, t) & (a >= 128))[None],
        "a mask holds True and False, not numbers": lambda c, a, t: (white(c, t) & (a >= 128)).float(),
        "a mask holds True and False, not whole numbers": lambda c, a, t: (white(c, t) & (a >= 128)).long(),
        "a mask holds True and False, not 0 and 255": lambda c, a, t: 255 * (white(c, t) & (a >= 128)).long(),
        "rows and columns are swapped": lambda c, a, t: (white(c, t) & (a >= 128)).T,
        "this is ARGB: the opacity comes last": lambda c, a, t: white(torch.stack([*c[1:], a]), t) & (c[0] >= 128),
    }
    mistakes = {text: rule(of) for text, of in rules.items()}
    mistakes["the four channels are the first axis, not the last"] = lambda rgba, threshold: (
        (rgba[..., :3] >= threshold).all(-1) & (rgba[..., 3] >= 128)
    )
    problem = explain(answer, _white_and_opaque, cases, mistakes)
    yield "hides what is white and opaque", problem
    if problem:
        return

    edges = [(rgba, 255) for rgba, _ in cases]
    yield "works for a threshold of 255", explain(answer, _white_and_opaque, edges)
    rgba, threshold = cases[0]
    plain = [(torch.full((4, 2, 3), value, dtype=torch.uint8), threshold) for value in (0, 255)]
    yield "works where nothing is hidden, and everything", explain(answer, _white_and_opaque, plain)
    small = [(rgba[:, :1, :1], threshold), (rgba[:, :1], threshold), (rgba[:, :, :1], threshold)]
    yield "works for one pixel, row or column", explain(answer, _white_and_opaque, small)


def _white_and_opaque(rgba: Tensor, threshold: int) -> Tensor:
    return (rgba[:3] >= threshold).all(0) & (rgba[3] >= 128)


def _painted(rng: Generator, threshold: int) -> tuple[Tensor, int]:
    """A picture in which all that may matter meets: values at the edges, each colour alone, each opacity."""
    height, width = distinct(rng, 2, 16, 24)
    light = torch.tensor([threshold, threshold + 1, max(threshold, 247), 255])
    dark = torch.tensor([0, 100, threshold - 1])
    opacities = torch.tensor([0, 1, 127, 128, 129, 140, threshold - 1, threshold, 254, 255])
    white = (torch.rand(1, height, width, generator=rng) < 0.5).expand(3, -1, -1)
    white = white ^ (torch.rand(3, height, width, generator=rng) < 0.2)  # a colour or two may be otherwise

    def drawn(values: Tensor, *shape: int) -> Tensor:
        return values[torch.randint(len(values), shape, generator=rng)]

    colours = torch.where(white, drawn(light, 3, height, width), drawn(dark, 3, height, width))
    picture = torch.cat([colours, drawn(opacities, 1, height, width)])
    picture[:, 3, 5] = 255  # one pixel, at least, is as white and as opaque as can be
    return picture.to(torch.uint8), threshold


@check(
    "Of which pixels does the model not see the value, but you do? Write that as one mask. Then it is the loss "
    "that you know: a mean of absolute errors over what this mask picks.",
    "A value counts where `drawn & ~damaged`, for all three colours: `mask[:, None].expand_as(images)`. Pick the "
    "errors by indexing, or by `masked_fill`; NaN times 0 is NaN. An empty choice has no mean.",
    gradient=(0,),
)
def loss_on_known(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`loss_on_known(prediction, images, drawn, damaged)` trains on holes whose content is known."""
    cases = [_damaged(rng) for _ in range(2)]
    right = _loss_on_known

    def rule(of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable:
        """A mistake, from the errors and the two masks, with an entry for each value."""

        def made(prediction: Tensor, images: Tensor, *masks: Tensor) -> Tensor:
            return of(prediction - images, *(mask[:, None].expand_as(images) for mask in masks))

        return made

    def over(pick: Callable[[Tensor, Tensor], Tensor], size: Callable = torch.abs) -> Callable:
        return rule(lambda e, m, d: size(e[pick(m, d)]).mean())

    def of_each(values: Tensor, chosen: Tensor) -> Tensor:
        return (values * chosen).sum((1, 2, 3)) / chosen.sum((1, 2, 3))

    mistakes = {
        "damaged pixels have no target: leave them out": over(lambda m, d: m),
        "that is the loss at the damage, where nobody knows the target": over(lambda m, d: d),
        "that is the loss at drawn holes in the damage, where nobody knows the target": over(lambda m, d: m & d),
        "whatever is hidden counts here; at damaged pixels there is no target": over(lambda m, d: m | d),
        "all that is not damaged counts, visible pixels too: drawn holes alone": over(lambda m, d: ~d),
        "the visible pixels count here; the model sees their values": over(lambda m, d: ~m & ~d),
        "all pixels that are not drawn count here; it is the other way round": over(lambda m, d: ~m),
        "all pixels count here: drawn holes alone": over(lambda m, d: m | ~m),
        "what is drawn or damaged, but not both, counts here": over(lambda m, d: m ^ d),
        "the errors are squared: SimMIM's loss is their absolute value": over(lambda m, d: m & ~d, torch.square),
        "the root of the mean square is taken: SimMIM's loss is the mean absolute error": rule(
            lambda e, m, d: e[m & ~d].square().mean().sqrt()
        ),
        "the signs of the errors are kept: take absolute values": over(lambda m, d: m & ~d, torch.positive),
        "the loss is always 0": rule(lambda e, m, d: 0 * e.sum()),
        "this is the sum of the errors: divide it by their number": rule(lambda e, m, d: e[m & ~d].abs().sum()),
        "divide by the number of values that count, not of pixels: a pixel has three": rule(
            lambda e, m, d: 3 * e[m & ~d].abs().mean()
        ),
        "divide by the number of values that count, not by three times as many": rule(
            lambda e, m, d: e[m & ~d].abs().mean() / 3
        ),
        "divide by the number of values that count, not by all": rule(
            lambda e, m, d: e[m & ~d].abs().sum() / e.numel()
        ),
        "divide by the number of values that count, not by all that the mask hides": rule(
            lambda e, m, d: e[m & ~d].abs().sum() / m.sum()
        ),
        "divide by the number of values that count, not by all that are not damaged": rule(
            lambda e, m, d: e[m & ~d].abs().sum() / (~d).sum()
        ),
        "the mean of each image, then of these: an image with few holes counts too much": rule(
            lambda e, m, d: of_each(e.abs(), m & ~d).mean()
        ),
        "that is a loss for each image; one number for the batch is asked for": rule(
            lambda e, m, d: of_each(e.abs(), m & ~d)
        ),
        "the median of the errors is taken, not their mean": rule(lambda e, m, d: e[m & ~d].abs().median()),
        "the first colour alone counts": rule(lambda e, m, d: e[:, 0][(m & ~d)[:, 0]].abs().mean()),
        "the colours are averaged before the absolute value: each has its own error": rule(
            lambda e, m, d: e.mean(1)[(m & ~d)[:, 0]].abs().mean()
        ),
        "a loss may be above 1: do not cut it off": rule(lambda e, m, d: e[m & ~d].abs().mean().clamp(0, 1)),
        "errors may be above 1: do not cut them off": rule(lambda e, m, d: e[m & ~d].abs().clamp(0, 1).mean()),
        "the masks are swapped: `drawn` comes first, then `damaged`": over(lambda m, d: d & ~m),
        "what is drawn or not damaged counts here: both must hold": over(lambda m, d: m | ~d),
        "this is a smooth loss (Huber's): the mean of absolute errors is asked for": rule(
            lambda e, m, d: F.huber_loss(e[m & ~d], 0 * e[m & ~d])
        ),
        "a tensor without axes is asked for; this one has an axis": rule(
            lambda e, m, d: e[m & ~d].abs().mean()[None]
        ),
        "the first image alone counts": lambda *case: right(*(part[:1] for part in case)),
        "the prediction is cut off at 0 and 1: leave it as it is": lambda p, *rest: right(p.clamp(0, 1), *rest),
        "the prediction goes through a sigmoid: leave it as it is": lambda p, *rest: right(p.sigmoid(), *rest),
        "the number of drawn pixels less that of damaged ones is not that of those that count": rule(
            lambda e, m, d: e[m & ~d].abs().sum() / (m.sum() - d.sum()).clamp(min=1)
        ),
    }

    def parts(prediction: Tensor, images: Tensor, drawn: Tensor, damaged: Tensor) -> tuple[Tensor, Tensor]:
        count = 3 * (drawn & ~damaged).sum()
        return count * right(prediction, images, drawn, damaged), count

    mistakes["a number is added to the divisor, or taken off"] = _with_added(answer, parts, cases)
    problem = explain(answer, right, cases, mistakes)
    yield "averages the errors where the model is asked and the answer is known", problem
    if problem:
        return

    poisoned = [
        (prediction, images.masked_fill(damaged[:, None], odd), drawn, damaged)
        for prediction, images, drawn, damaged in cases
        for odd in (torch.nan, torch.inf)
    ]
    problem = _not_finite(answer, poisoned, TIMES_0) or explain(answer, right, poisoned)
    problem = problem or _no_finite_gradient(answer, poisoned[:1], "pick the values first, then compute")
    yield "does not look at damaged pixels, even if they are NaN or infinite", problem
    prediction, images, drawn, damaged = cases[0]
    nothing = torch.zeros_like(drawn)
    empty = [(prediction, poisoned[0][1], drawn & damaged, damaged), (prediction, images, nothing, damaged)]
    problem = _not_finite(answer, empty, "the mean of no value is NaN: there the loss is 0")
    problem = problem or explain(answer, right, empty)
    problem = problem or _no_finite_gradient(answer, empty, "is 0 / 0 computed? Limit the divisor")
    text = "there, too, a tensor is asked for, as `torch.zeros(())`: a training calls its methods"
    numbers = not all(isinstance(answer(*case), Tensor) for case in empty)
    yield "is 0 where no value counts", problem or first((numbers, text))
    yield "has the gradient of these values", other_gradient(answer, right, cases[0], (0,))
    failed = prediction.clone()
    failed[0, 0, 0, 0] = torch.nan  # where a value counts
    loss = answer(failed, images, drawn, damaged)
    text = f"a prediction that counts is NaN, but the loss is {float(loss):.6g}: it hides that the model failed"
    yield "is not finite where a prediction is NaN", first((math.isfinite(loss), text))
    single = nothing.clone()
    single[0, 1, 2] = True
    exact = prediction.where(torch.rand(images.shape, generator=rng) < 0.5, images)
    plain = [
        (prediction, images, drawn, nothing),
        (prediction, images, ~nothing, nothing),
        (prediction, images, single, nothing),
        tuple(part[:1] for part in cases[1]),
        (exact, images, drawn, damaged),
    ]
    texts = {
        "errors of 0 are left out: the masks say which values count": rule(
            lambda e, m, d: e[m & ~d & (e != 0)].abs().mean()
        ),
        "a number is added to the divisor, or taken off: the loss of a single pixel shows it": _with_added(
            answer, parts, plain[2:]
        ),
    }
    yield (
        "is right without damage, for one hidden pixel, for one image, and where errors are 0",
        explain(answer, right, plain, texts, tolerance=1e-5),
    )


def _no_finite_gradient(answer: Answer, cases: list[tuple], advice: str) -> Verdict:
    """What is wrong if the gradient of a loss by its first argument holds NaN or infinity in one of the cases."""
    for case in cases:
        [found] = gradients(answer.raw, case, (0,))
        if found is not None and not found.isfinite().all():
            return f"the loss is right, but its gradient is NaN: {advice}\n{answer.shown(*case)}"
    return None


def _loss_on_known(prediction: Tensor, images: Tensor, drawn: Tensor, damaged: Tensor) -> Tensor:
    errors = (prediction - images)[(drawn & ~damaged)[:, None].expand_as(images)].abs()
    return errors.sum() / max(1, errors.numel())


def _damaged(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A prediction, images of which each is worse than the one before, drawn holes, and damage."""
    batch, height, width = distinct(rng, 3, 4, 9)
    images = torch.rand(batch, 3, height, width, generator=rng)
    size = torch.linspace(0.5, 3, batch).view(-1, 1, 1, 1)
    errors = size * (0.3 + torch.randn(images.shape, generator=rng))
    share = torch.linspace(0.7, 0.2, batch).view(-1, 1, 1)
    drawn = torch.rand(batch, height, width, generator=rng) < share
    damaged = torch.rand(batch, height, width, generator=rng) < 0.3
    worse = damaged[:, None] * 0.5  # the damage is darker, so that it can be told from the rest
    drawn[:, 0, 0], damaged[:, 0, 0] = True, False  # a value counts in each image
    return images + errors, images - worse, drawn, damaged


@check(
    "Cut the window out of the mask: `hidden[top : top + size, left : left + size]`. Which two questions decide "
    "whether the model can do something there? Which loop goes outside, so that the order is that of reading?",
    "A window counts if `.any()` of its entries are hidden, but not `.all()` of them. Loop over `tops` outside "
    "and over `lefts` inside, and append the pair (top, left).",
)
def windows_needed(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`windows_needed(hidden, tops, lefts, size)` lists the windows that have to go through the model."""
    cases = [_with_hole(rng), _tiles(rng), *(_with_hole(rng) for _ in range(2))]
    right = _windows_needed

    def rule(keep: Callable[[Tensor], bool | Tensor]) -> Callable:
        """The windows that a mistake keeps, by their part of the mask."""
        return lambda *args: [corner for corner, part in _parts(*args) if keep(part)]

    rules = {
        "a window that shows nothing is listed, but the model cannot fill it": lambda part: part.any(),
        "a window with nothing hidden is listed, but nothing is to be done there": lambda part: not part.all(),
        "all windows are listed": lambda part: True,
        "the windows that need nothing are listed": lambda part: not part.any() or part.all(),
        "the windows with nothing hidden are listed": lambda part: not part.any(),
        "the windows that are hidden altogether are listed": lambda part: part.all(),
        "one hidden pixel is enough: not its first pixel alone counts": lambda part: part[0, 0],
        "one hidden pixel is enough: not its middle alone counts": lambda part: part[
            len(part) // 2, len(part) // 2
        ],
        "one hidden pixel is enough: it need not be half the window": lambda part: 0.5 < part.float().mean() < 1,
        "one visible pixel is enough: it need not be half the window": lambda part: 0 < part.float().mean() < 0.5,
        "one visible pixel is enough: half the window need not be visible": lambda part: (
            0 < part.double().mean() <= 0.5
        ),
        "one visible pixel is enough: it need not be at a corner": lambda part: (
            part.any() and not _corners(part).all()
        ),
        "the corners of a window alone do not tell whether something is hidden": lambda part: _corners(part).any(),
        "the corners of a window alone do not tell whether it is needed": lambda part: _mixed(_corners(part)),
        "one visible pixel is enough: it need not be at the border": lambda part: (
            part.any() and not (part[[0, -1]].all() and part[:, [0, -1]].all())
        ),
        "a single hidden pixel is enough, and here it is not": lambda part: 1 < part.sum() < part.numel(),
        "a single visible pixel is enough, and here it is not": lambda part: 0 < part.sum() < part.numel() - 1,
        "a window has size * size pixels, not size": lambda part: 0 < part.sum() < len(part),
    }
    mistakes = {text: rule(keep) for text, keep in rules.items()}

    def changed(change: Callable[[list], object]) -> Callable:
        return lambda *args: change(right(*args))

    mistakes |= {
        "the order is column by column; it should be row by row": changed(
            lambda found: sorted(found, key=lambda corner: corner[::-1])
        ),
        "the pairs are (left, top); they should be (top, left)": changed(
            lambda found: [(left, top) for top, left in found]
        ),
        "the pairs are (left, top), and in the order of columns": changed(
            lambda found: sorted((left, top) for top, left in found)
        ),
        "this is how many windows there are: list them": changed(len),
        "the order is reversed": changed(lambda found: found[::-1]),
        "the order is not that of reading": _unordered(answer, right),
        "the pairs are taken apart: list (top, left) together": changed(lambda found: list(chain(*found))),
        "there is a list for each row of windows: put all into one": lambda h, tops, *rest: [
            right(h, [top], *rest) for top in tops
        ],
        "only the first row of windows is looked at: does the loop return too early?": lambda h, tops, *rest: (
            right(h, tops[:1], *rest)
        ),
        "a window that shows nothing ends its row: go on with the next one": lambda *args: _broken_off(
            torch.all, *args
        ),
        "a window that is not needed ends its row: go on with the next one": lambda *args: _broken_off(
            lambda part: not _mixed(part), *args
        ),
        "these are the middles of the windows, not their corners": lambda *args: [
            (top + args[3] // 2, left + args[3] // 2) for top, left in right(*args)
        ],
        "a window ends at top + size, not at size": lambda h, t, c, s: [
            (top, left) for top in t for left in c if _mixed(h[top:s, left:s])
        ],
        "the second bracket cuts rows again: one bracket, `hidden[rows, cols]`": lambda h, t, c, s: [
            (top, left) for top in t for left in c if _mixed(h[top : top + s][left : left + s])
        ],
        "the windows are marked with True and False: list those that are needed": lambda *args: [
            bool(part.any() and not part.all()) for _, part in _parts(*args)
        ],
        "these are the numbers of the windows, counted row by row: list their corners": lambda *args: [
            place for place, (_, part) in enumerate(_parts(*args)) if part.any() and not part.all()
        ],
        "these are places in `tops` and `lefts`: list the corners that stand there": lambda h, tops, lefts, s: [
            (tops.index(top), lefts.index(left)) for top, left in right(h, tops, lefts, s)
        ],
        "the windows are one pixel too large: the end is not included": lambda h, t, c, s: right(h, t, c, s + 1),
        "the windows are one pixel too small": lambda h, t, c, s: right(h, t, c, s - 1),
        "a window begins at its corner, and does not lie around it": lambda h, t, c, s: [
            (top, left)
            for top in t
            for left in c
            if _mixed(h[max(0, top - s // 2) : top - s // 2 + s, max(0, left - s // 2) : left - s // 2 + s])
        ],
        "rows and columns of the mask are swapped": lambda h, *rest: right(h.T, *rest),
        "a corner gives four numbers here: (top, left) is enough": lambda h, t, c, s: [
            (top, left, top + s, left + s) for top, left in right(h, t, c, s)
        ],
        "`tops` and `lefts` are walked through side by side: each top goes with each left": lambda h, t, c, s: [
            corner for corner in right(h, t, c, s) if corner in list(zip(t, c, strict=False))
        ],
    }
    problem = explain(answer, right, cases, mistakes)
    yield "lists the windows that hold a hidden pixel and a visible one", problem
    if problem:
        return

    hidden, tops, lefts, size = cases[0]
    plain = [(torch.full_like(hidden, value), tops, lefts, size) for value in (False, True)]
    yield "lists none where nothing is hidden, or everything", explain(answer, right, plain)
    lonely = []
    height, width = hidden.shape
    for row, col in ((0, 0), (-1, -1), (0, -1), (-1, 0), (height // 2, width // 2)):
        one = torch.zeros_like(hidden)
        one[row, col] = True
        lonely += [(one, tops, lefts, size), (~one, tops, lefts, size)]
    yield "sees a single hidden or visible pixel, in a corner and in the middle", explain(answer, right, lonely)
    one, square = torch.zeros(2, 48, 96, dtype=torch.bool)
    one[7, 80] = True
    square[:16, :16] = True
    texts = {
        "one pixel of 2304 is enough: do not round the share of hidden ones": rule(
            lambda part: 0.0005 < part.double().mean() < 0.9995
        ),
        "8 bits cannot hold the number of hidden pixels": rule(
            lambda part: 0 < int(part.sum()) % 256 < part.numel()
        ),
    }
    large = [(mask, [0], [0, 48], 48) for mask in (one, ~one, square)]
    yield "counts a single pixel of a large window, and 256", explain(answer, right, large, texts)
    side = min(hidden.shape)
    edges = [(hidden[:side, :side], [0], [0], side), (hidden, tops, lefts, 1), (hidden[:1, :2], [0], [0, 1], 1)]
    yield "works for one window, and for windows of one pixel", explain(answer, right, edges)


def _windows_needed(*args) -> list[tuple[int, int]]:
    return [corner for corner, part in _parts(*args) if _mixed(part)]


def _mixed(part: Tensor) -> bool:
    return bool(part.any() and not part.all())


def _corners(part: Tensor) -> Tensor:
    return part[:: len(part) - 1, :: len(part) - 1]


def _broken_off(stop: Callable[[Tensor], bool], hidden: Tensor, tops: list, *rest) -> list[tuple[int, int]]:
    """The windows of each row before the first whose part of the mask says stop."""
    rows = (takewhile(lambda window: not stop(window[1]), _parts(hidden, [top], *rest)) for top in tops)
    return [corner for row in rows for corner, part in row if _mixed(part)]


def _parts(hidden: Tensor, tops: list, lefts: list, size: int) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """The corner of each window, and its part of the mask."""
    for top in tops:
        for left in lefts:
            yield (top, left), hidden[top : top + size, left : left + size]


def _with_hole(rng: Generator) -> tuple[Tensor, list[int], list[int], int]:
    """A mask with a hole that is larger than a window and some dots, and where the windows start."""
    size, stride = 4 + int(torch.randint(3, (), generator=rng)), 2 + int(torch.randint(2, (), generator=rng))
    height, width = (size + stride * steps + 1 for steps in distinct(rng, 2, 3, 5))  # the last windows are closer
    hidden = torch.zeros(height, width, dtype=torch.bool)
    row, col = torch.randint(1, stride + 2, (2,), generator=rng).tolist()
    hidden[row : row + 2 * size, col : col + size + stride] = True
    hidden ^= torch.rand(height, width, generator=rng) < 0.008
    tops, lefts = (solutions.window_starts(side, size, stride) for side in (height, width))
    return hidden, tops, lefts, size


def _tiles(rng: Generator) -> tuple[Tensor, list[int], list[int], int]:
    """A mask of windows side by side, in which any one pixel, or all but one, may be hidden."""
    size = 4 + int(torch.randint(3, (), generator=rng))
    tiles = (torch.rand(15, size, size, generator=rng) < 0.5) | (torch.arange(15) > 0).view(-1, 1, 1)
    tiles[1:8] = False
    places = ((0, 0), (-1, -1), (0, 1), (1, 1), (size // 2, size // 2))  # corners, border, inside, middle
    for tile, (row, col) in enumerate(places):
        tiles[2 + tile, row, col], tiles[8 + tile, row, col] = True, False
    hidden = rearrange(tiles[torch.randperm(15, generator=rng)], "(rows cols) i j -> (rows i) (cols j)", rows=3)
    return hidden, [0, size, 2 * size], [size * col for col in range(5)], size


@check(
    "Compare each patch of the bank with the window, but only where the window is visible: a sum of squared "
    "differences for each patch. Which patch has the smallest?",
    "`(bank - window).masked_fill(hidden, 0)` is 0 where nothing may count. Square it, add up over three axes, "
    "and `argmin` gives the number of the patch. `torch.where(hidden, patch, window)` puts it together.",
)
def nearest_patch(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`nearest_patch(window, hidden, bank)` fills a window from the patch that fits what is visible best."""
    cases = [_bank(rng) for _ in range(5)]  # by chance a wrong rule may take the first or the last of a bank
    right = _nearest_patch

    def best(score: Callable[[Tensor, Tensor, Tensor], Tensor], *, whole: bool = False) -> Callable:
        """The fill from the patch whose score is smallest, of the differences at visible places, of all, and of
        the mask."""

        def made(window: Tensor, hidden: Tensor, bank: Tensor) -> Tensor:
            errors = bank - window
            patch = bank[score(errors.masked_fill(hidden, 0), errors, hidden).flatten(1).sum(1).argmin()]
            return patch if whole else torch.where(hidden, patch, window)

        return made

    def filled(fill: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable:
        """The fill fill(window, hidden, bank, squared distances), laid into the window."""

        def made(window: Tensor, hidden: Tensor, bank: Tensor) -> Tensor:
            distances = (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3))
            return torch.where(hidden, fill(window, hidden, bank, distances), window)

        return made

    mistakes = {
        "all pixels are compared, hidden ones too": best(lambda v, e, h: e.square()),
        "the hidden pixels are compared, not the visible ones": best(lambda v, e, h: e.square() * h),
        "hidden pixels are taken for black; they must not be compared at all": lambda w, h, bank: best(
            lambda v, e, h: e.square()
        )(w.masked_fill(h, 0), h, bank).where(h, w),
        "this is the patch that fits worst: the smallest error is wanted": best(lambda v, e, h: -v.square()),
        "the errors are not squared, but their absolute values are added": best(lambda v, e, h: v.abs()),
        "errors of opposite signs cancel: square each": best(
            lambda v, e, h: v.flatten(1).sum(1, keepdim=True).abs()
        ),
        "the signs of the errors decide: square them": best(lambda v, e, h: v),
        "the largest errors decide, not the sum of all squares": best(
            lambda v, e, h: v.abs().flatten(1).amax(1, keepdim=True)
        ),
        "only what lies beside the hole is compared: all visible pixels count": best(
            lambda v, e, h: v.square() * _beside(h)
        ),
        "the mean error is taken off: a lighter or darker patch fits less well": best(
            lambda v, e, h: (e - e[..., ~h].mean((1, 2)).view(-1, 1, 1, 1)).square() * ~h
        ),
        "the first colour alone is compared": best(lambda v, e, h: v[:, :1].square()),
        "the last colour alone is compared": best(lambda v, e, h: v[:, -1:].square()),
        "True is hidden: here visible pixels are filled, from what fits the hidden ones": lambda w, h, bank: right(
            w, ~h, bank
        ),
        "the mean of the colours is compared, not each": best(lambda v, e, h: v.mean(1).square()),
        "each colour comes from another patch: all three belong together": filled(
            lambda w, h, bank, d: torch.stack(
                [
                    bank[(bank - w).masked_fill(h, 0).square().sum((2, 3))[:, colour].argmin(), colour]
                    for colour in range(3)
                ]
            )
        ),
        "each value comes from another patch": filled(
            lambda w, h, bank, d: bank.gather(0, (bank - w).square().argmin(0, keepdim=True))[0]
        ),
        "each pixel comes from another patch": filled(
            lambda w, h, bank, d: bank.gather(
                0, (bank - w).square().sum(1, keepdim=True).argmin(0, keepdim=True).expand(1, *w.shape)
            )[0]
        ),
        "the direction is compared (cosine), not the distance": filled(
            lambda w, h, bank, d: bank[
                torch.cosine_similarity((bank * ~h).flatten(1), (w * ~h).flatten()[None]).argmax()
            ]
        ),
        "the product with the window is compared: a lighter patch wins; take the distance": filled(
            lambda w, h, bank, d: bank[(bank * w * ~h).sum((1, 2, 3)).argmax()]
        ),
        "this is the whole patch: visible pixels must stay as they are": best(
            lambda v, e, h: v.square(), whole=True
        ),
        "the hidden pixels come from the window, the visible ones from the patch: swapped": lambda w, h, bank: (
            best(lambda v, e, h: v.square(), whole=True)(w, h, bank).where(~h, w)
        ),
        "the window is returned as it was": lambda w, h, bank: w,
        "this is the number of the patch: fill the window with it": lambda w, h, bank: int(
            (bank - w).masked_fill(h, 0).square().sum((1, 2, 3)).argmin()
        ),
        "the mean of all patches fills the hole, not the best one": filled(lambda w, h, bank, d: bank.mean(0)),
        "the first patch fills the hole, not the best one: does a search begin at infinity?": filled(
            lambda w, h, bank, d: bank[0]
        ),
        "a search for the smallest error begins at infinity, not at 1": filled(
            lambda w, h, bank, d: bank[d.argmin() if d.min() < 1 else 0]
        ),
        "the last patch fills the hole, not the best one": filled(lambda w, h, bank, d: bank[-1]),
        "the second best patch fills the hole": filled(lambda w, h, bank, d: bank[d.argsort()[1]]),
        "a blend of patch and window fills the hole": filled(lambda w, h, bank, d: (bank[d.argmin()] + w) / 2),
        "a weighted mean of the patches fills the hole, not the best one": filled(
            lambda w, h, bank, d: ((-d).softmax(0)[:, None, None, None] * bank).sum(0)
        ),
        "the patch has its colours in the opposite order": filled(lambda w, h, bank, d: bank[d.argmin()].flip(0)),
        "the patch is cut off at 0 and 1": filled(lambda w, h, bank, d: bank[d.argmin()].clamp(0, 1)),
        "the window has an axis too many": lambda *case: right(*case)[None],
        OF_NO_PATCH: _of_no_patch(answer, right),
    }
    problem = explain(answer, right, cases, mistakes, tolerance=1e-6)
    yield "fills the hole from the patch that fits best", problem
    if problem:
        return

    changed = [case for case in cases if (answer(*case) != case[0])[(~case[1]).expand_as(case[0])].any()]
    text = "visible values are close, but rounded: take them, do not compute them"
    yield "keeps visible pixels to the bit", first((bool(changed), text))
    alike = [(w, h, w + 0.1 * (bank - w)) for w, h, bank in cases]
    texts = {OF_NO_PATCH: _of_no_patch(answer, right)}
    yield "tells patches apart that are alike", explain(answer, right, alike, texts, tolerance=1e-6)
    window, hidden, _ = cases[0]
    far = window + torch.linspace(8, 5, 20).roll(7).view(-1, 1, 1, 1)
    texts = {"a search for the smallest error begins at infinity": lambda w, h, bank: right(w, h, bank[:1])}
    yield "finds the best of patches that are far", explain(answer, right, [(window, hidden, far)], texts)
    poisoned = [(w.masked_fill(h, odd), h, bank) for w, h, bank in cases for odd in (torch.nan, torch.inf)]
    texts = {
        TIMES_0: lambda w, h, bank: w.where(~h, bank[((bank - w) * ~h).square().sum((1, 2, 3)).argmin()]),
    }
    problem = _not_finite(answer, poisoned, TIMES_0) or explain(answer, right, poisoned, texts, tolerance=1e-6)
    yield "does not look at what is hidden, even if it is NaN or infinite", problem
    black = [(w - _upper_half(w), h, bank - _upper_half(w)) for w, h, bank in cases]
    texts = {
        "visible pixels that are black are not compared: ask the mask": filled(
            lambda w, h, bank, d: bank[((bank - w) * (w != 0) * ~h).square().sum((1, 2, 3)).argmin()]
        )
    }
    yield "compares black pixels, too", explain(answer, right, black, texts, tolerance=1e-6)
    window, hidden, bank = cases[0]
    order = torch.randperm(20, generator=rng)
    in_row = hidden[1:2] & (torch.arange(hidden.shape[1]) > 0)
    row = window[:, :1], in_row, window[:, :1] + torch.linspace(0.1, 2, 20)[order].view(-1, 1, 1, 1)
    edges = [
        (window, hidden, bank[:1]),
        (window, hidden, bank[[2, 2, 2]]),
        (window, torch.zeros_like(hidden), bank),
        row,
        tuple(part.transpose(-1, -2) for part in row),
    ]
    problem = explain(answer, right, edges, tolerance=1e-6)
    yield "works for a bank of one patch, equal patches, a single row, and nothing hidden", problem


def _nearest_patch(window: Tensor, hidden: Tensor, bank: Tensor) -> Tensor:
    errors = (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors.argmin()], window)


def _upper_half(window: Tensor) -> Tensor:
    """The window, with 0 in its lower half."""
    height = window.shape[1]
    return window * (torch.arange(height) < height // 2)[:, None]


def _beside(hidden: Tensor) -> Tensor:
    """The visible pixels that touch a hidden one."""
    return F.max_pool2d(hidden[None].float(), 3, 1, 1)[0].bool() & ~hidden


OF_NO_PATCH = "what fills the hole is in no patch: copy the best one as it is, alone"


def _of_no_patch(answer: Answer, right: Callable) -> Callable:
    """What the answer gives if its hole is filled, but as no patch of the bank would."""

    def made(window: Tensor, hidden: Tensor, bank: Tensor) -> Tensor:
        got = answer(window, hidden, bank)
        copied = ((torch.cat([bank, window[None]]) - got)[:, :, hidden].abs().amax((1, 2)) < 1e-6).any()
        return right(window, hidden, bank) if copied else got

    return made


def _bank(rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A window, and patches of which each fits best by another rule."""
    height, width = distinct(rng, 2, 6, 9)
    shape = 3, height, width
    window = 0.3 + 0.5 * torch.rand(shape, generator=rng)
    hidden = torch.zeros(height, width, dtype=torch.bool)
    hidden[1:4, 2:5] = True
    hidden = hidden ^ (torch.rand(height, width, generator=rng) < 0.1)
    few = torch.randperm(window.numel(), generator=rng).view(shape) < window.numel() // 10

    def signs() -> Tensor:
        return 2.0 * torch.randint(2, shape, generator=rng) - 1

    def colours(*values: float) -> Tensor:
        return torch.tensor(values).view(3, 1, 1).expand(shape)

    balanced = 0.2 * torch.randn(shape, generator=rng)
    seen = [
        torch.where(few, 0.25, 0.08) * signs(),  # the smallest squares
        torch.where(few, 0.26, 0.083) * signs(),  # the second smallest squares
        torch.where(few, 0.65, 0.01) * signs(),  # the smallest absolute values
        0.125 * signs(),  # the smallest maximum
        balanced - balanced[:, ~hidden].mean(),  # the sum nearest to 0
        0.1 * signs() - 0.5,  # the smallest sum
        torch.full(shape, 0.16),  # the smallest deviation
        colours(0.0, 0.3, -0.2),  # the best first colour
        colours(0.2, 0.1, -0.27),  # the best mean of colours
        colours(0.2, -0.1, -0.01),  # the best brightness
        -0.45 * window,  # the same direction
        1.2 * window + 0.1 * signs(),  # the largest product
        1.0 * signs(),  # the worst
    ]
    rows, cols = torch.arange(height)[:, None].expand(height, width), torch.arange(width).expand(height, width)
    border = (rows == 0) | (rows == height - 1) | (cols == 0) | (cols == width - 1)
    parts = [border, ~border, rows < height // 2, rows >= height // 2, cols < width // 2, cols >= width // 2]
    parts.append(_beside(hidden))
    unlike = (0.004 + 0.026 * (rows % 2)) * colours(1, 1, 1.3)
    seen += [torch.where(part, 0.0, 0.3) * signs() for part in parts]  # perfect in a part
    bank = [torch.where(hidden, 0.4 * signs() + 0.1 * torch.randn(shape, generator=rng), error) for error in seen]
    bank += [
        torch.where(hidden, unlike * signs(), 0.17 * signs()),  # the best where hidden pixels count, too
        torch.where(hidden, 0.005 * signs(), 0.4 * signs()),  # the best hidden pixels
        torch.where(hidden, -window, 0.17 * signs()),  # the best where hidden pixels are black
    ]
    order = torch.randperm(len(bank), generator=rng)
    return window, hidden, window + torch.stack(bank)[order]


@check(
    "Mark first which rows and columns lie at a seam. A window from `top` on has two edges, above row `top` and "
    "above row `top + size`. Which two rows touch such an edge? Which edges are no seams?",
    "For each edge with 0 < edge < height, rows edge - 1 and edge are at a seam; so for the columns. Then there "
    "are two groups of hidden pixels, and their means of the error are divided.",
)
def seam_ratio(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`seam_ratio(error, hidden, tops, lefts, size)` compares the error at window borders with that elsewhere."""
    cases = []
    for _ in range(2):
        size, stride = 9 + 2 * int(torch.randint(2, (), generator=rng)), 5
        height, width = (size + stride * steps for steps in distinct(rng, 2, 2, 5))
        tops, lefts = (list(range(0, side - size + 1, stride)) for side in (height, width))
        error = 0.5 + torch.rand(height, width, generator=rng)
        for axis in (error, error.T):
            axis *= 1 + torch.rand(len(axis), 1, generator=rng)
        hidden = torch.rand(height, width, generator=rng) < 0.6
        cases.append((error, hidden, tops, lefts, size))

    def rule(
        *, seam: Callable = _seam, of: Callable[[Tensor, Tensor], Tensor] = lambda at, off: at.mean() / off.mean()
    ) -> Callable:
        """A mistake in what a seam is, or in what is done with the errors at the seams and elsewhere."""

        def made(error: Tensor, hidden: Tensor, *rest) -> float:
            at_seam = seam(error.shape, *rest)
            return float(of(error[hidden & at_seam], error[hidden & ~at_seam]))

        return made

    def by_edges(edges: Callable[[list, int], list], *, sides: tuple = (-1, 0), join=torch.logical_or) -> Callable:
        return lambda shape, tops, lefts, size: join(
            _near(edges(tops, size), shape[0], sides)[:, None], _near(edges(lefts, size), shape[1], sides)
        )

    def both(starts: list, size: int) -> list:
        return [*starts, *(start + size for start in starts)]

    def one_sided(start: int, end: int) -> Callable:
        """Seams with one pixel at the start of a window, and one at its end."""

        def along(starts: list, size: int, length: int) -> Tensor:
            return _near(starts, length, (start,)) | _near([k + size for k in starts], length, (end,))

        return lambda shape, tops, lefts, size: along(tops, size, shape[0])[:, None] | along(lefts, size, shape[1])

    def below_height(shape: tuple[int, int], tops: list, lefts: list, size: int) -> Tensor:
        """With `0 < edge < height` for the columns, too."""
        seam = _seam(shape, tops, [], size)
        for edge in both(lefts, size):
            if 0 < edge < shape[0]:
                seam[:, edge - 1 : edge + 1] = True
        return seam

    mistakes = {
        "the starts of the windows are seams, but so are their ends": rule(seam=by_edges(lambda s, n: s)),
        "the ends of the windows are seams, but so are their starts": rule(
            seam=by_edges(lambda s, n: [start + n for start in s])
        ),
        "a window ends before row top + size, not before top + size - 1": rule(
            seam=by_edges(lambda s, n: [*s, *(start + n - 1 for start in s)])
        ),
        "a seam has two sides: the pixel before it is missing": rule(seam=by_edges(both, sides=(0,))),
        "a seam has two sides: the pixel after it is missing": rule(seam=by_edges(both, sides=(-1,))),
        "a seam has one pixel on each side: three are taken": rule(seam=by_edges(both, sides=(-1, 0, 1))),
        "a seam has one pixel on each side: four are taken": rule(seam=by_edges(both, sides=(-2, -1, 0, 1))),
        "a seam lies between rows edge - 1 and edge, not between edge and edge + 1": rule(
            seam=by_edges(both, sides=(0, 1))
        ),
        "only the outermost pixels inside each window are taken; a seam has two sides": rule(seam=_outermost),
        "only the pixels of the inner side are taken; a seam has two sides": rule(seam=one_sided(0, -1)),
        "only the pixels of the outer side are taken; a seam has two sides": rule(seam=one_sided(-1, 0)),
        "the frame of the picture is no seam": rule(seam=partial(_seam_and_frame, frame=(0, -1))),
        "the first row and column are no seam: ask for 0 < edge, too": rule(
            seam=partial(_seam_and_frame, frame=(0,))
        ),
        "the last row and column are no seam: ask for edge < height, too": rule(
            seam=partial(_seam_and_frame, frame=(-1,))
        ),
        "a seam of columns has 0 < edge < width: do not ask about the height": rule(seam=below_height),
        "the seams between rows are there, but not those between columns": rule(
            seam=lambda shape, tops, lefts, size: _seam(shape, tops, [], size)
        ),
        "the seams between columns are there, but not those between rows": rule(
            seam=lambda shape, tops, lefts, size: _seam(shape, [], lefts, size)
        ),
        "the first windows are left out, but they end at a seam": rule(
            seam=lambda shape, tops, lefts, size: _seam(shape, tops[1:], lefts[1:], size)
        ),
        "the last windows are left out, but they begin at a seam": rule(
            seam=lambda shape, tops, lefts, size: _seam(shape, tops[:-1], lefts[:-1], size)
        ),
        "a pixel is at a seam of rows *or* of columns, not of both": rule(
            seam=by_edges(both, join=torch.logical_and)
        ),
        "a pixel at a seam of rows and at one of columns is at a seam, too": rule(
            seam=by_edges(both, join=torch.logical_xor)
        ),
        "a pixel at a seam of rows and at one of columns counts once, not twice": _counted_twice,
        "the ratios of rows and of columns are averaged: all seams are one group": lambda e, h, t, c, n: (
            (_seam_ratio(e, h, t, [], n) + _seam_ratio(e, h, [], c, n)) / 2
        ),
        "`tops` are for the rows, `lefts` for the columns": rule(
            seam=lambda shape, tops, lefts, size: _seam(shape, lefts, tops, size)
        ),
        "the ratio is the other way round: at the seams against elsewhere": rule(
            of=lambda at, off: off.mean() / at.mean()
        ),
        "the ratio is always 0": rule(of=lambda at, off: 0 * at.sum()),
        "this is a difference; divide the two means": rule(of=lambda at, off: at.mean() - off.mean()),
        "this is how much larger it is: the ratio itself is wanted": rule(
            of=lambda at, off: at.mean() / off.mean() - 1
        ),
        "this is in percent; a ratio of 1 says that both are equal": rule(
            of=lambda at, off: 100 * at.mean() / off.mean()
        ),
        "these are sums: there are not as many pixels at the seams as elsewhere": rule(
            of=lambda at, off: at.sum() / off.sum()
        ),
        "divide by the mean elsewhere, not by the mean of all": rule(
            of=lambda at, off: at.mean() / torch.cat([at, off]).mean()
        ),
        "this is the error at the seams alone: divide it by that elsewhere": rule(of=lambda at, off: at.mean()),
        "the errors are squared here: use them as they are": rule(
            of=lambda at, off: at.square().mean() / off.square().mean()
        ),
        "this is the ratio of two medians, not of two means": rule(of=lambda at, off: at.median() / off.median()),
        "the root is taken: use the errors as they are": rule(of=lambda at, off: (at.mean() / off.mean()) ** 0.5),
        "this is in dB; the ratio itself is wanted": rule(
            of=lambda at, off: 10 * (at.mean() / off.mean()).log10()
        ),
        "all pixels are averaged; take the hidden ones": lambda error, hidden, *rest: rule()(
            error, torch.ones_like(hidden), *rest
        ),
        "the visible pixels are averaged, not the hidden ones": lambda error, hidden, *rest: rule()(
            error, ~hidden, *rest
        ),
        "elsewhere the visible pixels count, too: the hidden ones alone do": lambda error, hidden, *rest: float(
            _means(error, hidden, *rest)[0] / _means(error, torch.ones_like(hidden), *rest)[1]
        ),
        "at the seams the visible pixels count, too: the hidden ones alone do": lambda error, hidden, *rest: float(
            _means(error, torch.ones_like(hidden), *rest)[0] / _means(error, hidden, *rest)[1]
        ),
        "visible pixels count as 0 in the means: leave them out": lambda error, hidden, *rest: rule()(
            error * hidden, torch.ones_like(hidden), *rest
        ),
        "elsewhere, too, the hidden pixels alone count": lambda error, hidden, *rest: float(
            error[hidden & _seam(error.shape, *rest)].mean() / error[~(hidden & _seam(error.shape, *rest))].mean()
        ),
        **{
            f"the result is rounded to {digits} digits: keep them all": (
                lambda *case, digits=digits: round(_seam_ratio(*case), digits)
            )
            for digits in (2, 3, 4)
        },
        "a number is added to the divisor, or taken off": _with_added(answer, _means, cases),
    }
    problem = explain(answer, _seam_ratio, cases, mistakes, tolerance=1e-5)
    yield "divides the mean error at the seams by that elsewhere", problem
    if problem:
        return

    scaled = [(1e-3 * error, *rest) for error, *rest in cases] + [(1e3 * error, *rest) for error, *rest in cases]
    texts = {"a small number is added to the divisor": _with_added(answer, _means, scaled)}
    yield (
        "is the same for small and for large errors",
        explain(answer, _seam_ratio, scaled, texts, tolerance=1e-5),
    )
    (error, hidden, tops, lefts, size), *_ = cases
    even = [(torch.ones_like(error), hidden, tops, lefts, size)]
    yield "is 1 where all errors are equal", explain(answer, _seam_ratio, even, tolerance=1e-5)
    perfect = [(error * (torch.rand(error.shape, generator=rng) < 0.7), hidden, tops, lefts, size)]
    texts = {
        "errors of 0 are left out: ask `hidden`": lambda error, hidden, *rest: _seam_ratio(
            error, hidden & (error != 0), *rest
        )
    }
    yield "counts errors of 0, too", explain(answer, _seam_ratio, perfect, texts, tolerance=1e-5)
    one_row = [
        (error[:size], hidden[:size], [0], lefts, size),
        (error[:, :size], hidden[:, :size], tops, [0], size),
    ]
    yield (
        "works for one row or one column of windows",
        explain(answer, _seam_ratio, one_row, tolerance=1e-5),
    )
    close = [
        (error[:-1, :-2], hidden[:-1, :-2], [*tops[:-1], tops[-1] - 1], [*lefts[:-1], lefts[-1] - 2], size),
        (error[: size + 1, : size + 1], hidden[: size + 1, : size + 1], [0, 1], [0, 1], size),
    ]
    problem = explain(answer, _seam_ratio, close, tolerance=1e-5)
    yield "works where windows start closer, even one pixel after each other", problem
    texts = {
        "the first window need not begin at the frame, nor the last one end there": rule(
            seam=by_edges(lambda s, n: [*s[1:], *(start + n for start in s[:-1])])
        ),
        "a row is at a seam in its whole length, not just along the window": rule(seam=_along_windows),
    }
    inside = [(error, hidden, [1, 3], [2, 4], size), (error, hidden, [3, 4], [1, 4], size)]
    problem = explain(answer, _seam_ratio, inside, texts, tolerance=1e-5)
    yield "works where no window lies at the frame", problem


def _seam_ratio(*case) -> float:
    at, elsewhere = _means(*case)
    return float(at / elsewhere)


def _means(error: Tensor, hidden: Tensor, *windows) -> tuple[Tensor, Tensor]:
    """Of the errors at seams, and of the others."""
    seam = _seam(error.shape, *windows)
    return error[hidden & seam].mean(), error[hidden & ~seam].mean()


def _counted_twice(error: Tensor, hidden: Tensor, tops: list, lefts: list, size: int) -> float:
    parts = (error[hidden & _seam(error.shape, *starts, size)] for starts in ((tops, []), ([], lefts)))
    return float(torch.cat(list(parts)).mean() / _means(error, hidden, tops, lefts, size)[1])


def _near(edges: list[int], length: int, sides: tuple[int, ...]) -> Tensor:
    """The pixels of a side that lie at its edges: 0 is that after the edge, -1 that before."""
    near = torch.zeros(length, dtype=torch.bool)
    near[[edge + side for edge in edges if 0 < edge < length for side in sides if 0 <= edge + side < length]] = (
        True
    )
    return near


def _seam(shape: tuple[int, int], tops: list[int], lefts: list[int], size: int) -> Tensor:
    rows, cols = (
        _near([*starts, *(start + size for start in starts)], length, (-1, 0))
        for starts, length in zip((tops, lefts), shape, strict=True)
    )
    return rows[:, None] | cols


def _along_windows(shape: tuple[int, int], tops: list[int], lefts: list[int], size: int) -> Tensor:
    """Seams that end where their windows do."""
    seam = torch.zeros(shape, dtype=torch.bool)
    for top, left in product(tops, lefts):
        rows, cols = slice(top, top + size), slice(left, left + size)
        seam[:, cols] |= _seam(shape, [top], [], size)[:, cols]
        seam[rows] |= _seam(shape, [], [left], size)[rows]
    return seam


def _seam_and_frame(shape: tuple[int, int], *windows, frame: tuple[int, ...]) -> Tensor:
    seam = _seam(shape, *windows)
    seam[list(frame)] = True
    seam[:, list(frame)] = True
    return seam


def _outermost(shape: tuple[int, int], tops: list[int], lefts: list[int], size: int) -> Tensor:
    """The first and the last rows and columns of all windows."""
    seam = torch.zeros(shape, dtype=torch.bool)
    for starts, along in ((tops, seam), (lefts, seam.T)):
        along[[*starts, *(start + size - 1 for start in starts)]] = True
    return seam


@check(
    "Take one piece of the line, from a to b, and one pixel p. How far along the piece is the point that is "
    "nearest to p, as a share of its length? Where does it lie if that share is below 0 or above 1?",
    "The share is (p - a) · (b - a) / |b - a|², cut off at 0 and 1. The nearest point is a + share * (b - a). A "
    "piece without length divides 0 by 0: there the nearest point is a.",
)
def stroke(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`stroke(points, radius, height, width)` hides what a round brush paints along a line."""
    cases = [_line(rng, *of) for of in ((1, 1.3), (2, 0.3), (3, 0.7), (4, 3.2))]
    cases.insert(0, ([(3.4, 2.0), (3.4, 9.0)], 0.3, 8, 12))  # so thin that it hides nothing

    def rule(of: Callable[[Tensor, float], Tensor], *, pieces: Callable = _pieces, **options) -> Callable:
        """A mistake, from the distances of each pixel to each piece."""
        return lambda points, radius, height, width: of(
            torch.stack([_distances(*piece, height, width, **options) for piece in pieces(points)]), radius
        )

    def inside(distances: Tensor, radius: float) -> Tensor:
        return (distances <= radius).any(0)

    def ends(points: list) -> list:
        return [(point, point) for point in points]

    def cut_off(points: list, radius: float, height: int, width: int) -> Tensor:
        """Without the two half discs at the ends of a piece."""
        parts = []
        for piece in _pieces(points):
            line = _distances(*piece, height, width, low=-math.inf, high=math.inf)
            beside = _distances(*piece, height, width) <= line
            parts.append(beside & (line <= radius))
        return torch.stack(parts).any(0)

    right, nowhere = _stroke, [((-99.0, -99.0), (-99.0, -99.0))]
    mistakes = {
        "the pieces are endless: cut the share along a piece off at 0 and 1": rule(
            inside, low=-math.inf, high=math.inf
        ),
        "the pieces go on beyond their ends: cut the share off at 1": rule(inside, high=math.inf),
        "the pieces go on before their starts: cut the share off at 0": rule(inside, low=-math.inf),
        "the points are there as dots, but not the line between them": rule(inside, pieces=ends),
        "the first piece alone is painted": rule(inside, pieces=lambda points: _pieces(points)[:1]),
        "the last piece alone is painted": rule(inside, pieces=lambda points: _pieces(points)[-1:]),
        "the last piece is missing": rule(inside, pieces=lambda points: _pieces(points)[:-1] or nowhere),
        "the first piece is missing": rule(inside, pieces=lambda points: _pieces(points)[1:] or nowhere),
        "every second piece is missing: each one begins where the last one ended": rule(
            inside, pieces=lambda points: _pieces(points)[::2]
        ),
        "all pieces begin at the first point: each one begins where the last one ended": rule(
            inside, pieces=lambda points: [(points[0], point) for point in points[1:]]
        ),
        "the points are sorted: the line goes through them as they come": lambda points, *rest: right(
            sorted(points), *rest
        ),
        "a piece has round ends: here it is cut off straight": cut_off,
        "the radius is cut down to a whole number": rule(lambda d, r: inside(d, int(r))),
        "the radius is raised to half a pixel: a thinner brush paints less": rule(
            lambda d, r: inside(d, max(r, 0.5))
        ),
        "the radius is rounded up": rule(lambda d, r: inside(d, math.ceil(r))),
        "half a pixel is added to the radius: the centre of a pixel counts": rule(lambda d, r: inside(d, r + 0.5)),
        "half a pixel is taken off the radius: the centre of a pixel counts": rule(
            lambda d, r: inside(d, r - 0.5)
        ),
        "the line is closed: no piece leads from the last point to the first": rule(
            inside, pieces=lambda points: [*_pieces(points), (points[-1], points[0])]
        ),
        "one straight piece from the first point to the last: the line goes through all": rule(
            inside, pieces=lambda points: [(points[0], points[-1])]
        ),
        "every point is joined with every other; the line goes from one to the next": rule(
            inside, pieces=lambda points: [(a, b) for a in points for b in points]
        ),
        "points are (row, column), not (x, y)": lambda points, *rest: right([p[::-1] for p in points], *rest),
        "`radius` is half of the stroke's width: twice as far is painted": rule(lambda d, r: inside(d, 2 * r)),
        "`radius` is half of the stroke's width already: half as far is painted": rule(
            lambda d, r: inside(d, r / 2)
        ),
        "the squared distance is compared with the radius": rule(lambda d, r: inside(d**2, r)),
        "the distance is compared with the squared radius": rule(lambda d, r: inside(d, r**2)),
        "True is hidden, and the stroke hides": rule(lambda d, r: ~inside(d, r)),
        "a pixel near one piece is enough; here it must be near all": rule(lambda d, r: (d <= r).all(0)),
        "where two pieces overlap it stays hidden": rule(lambda d, r: (d <= r).sum(0) % 2 == 1),
        "the centres of the pixels lie at whole numbers, not at half ones": rule(inside, centre=0.5),
        "a brush is round: not the larger of the distances in rows and columns counts": rule(
            inside, norm=lambda rows, cols: rows.abs().maximum(cols.abs())
        ),
        "a brush is round: not the sum of the distances in rows and columns counts": rule(
            inside, norm=lambda rows, cols: rows.abs() + cols.abs()
        ),
        "the share along a piece is divided by its length, not by the square of it": rule(inside, power=1),
        "only the edge of the stroke is painted": rule(lambda d, r: ((d - r).abs() <= 0.5).any(0)),
        "points and radius are rounded to whole pixels": lambda points, radius, *size: right(
            [tuple(map(round, point)) for point in points], radius, *size
        ),
        "the points are cut down to whole pixels": lambda points, radius, *size: right(
            [tuple(map(int, point)) for point in points], radius, *size
        ),
        "rows and columns of the mask are swapped": lambda p, r, h, w: right(p, r, h, w).T,
        "height and width are swapped": lambda p, r, h, w: right(p, r, w, h),
        "the mask is upside down": lambda *args: right(*args).flip(0),
        "a mask holds True and False, not numbers": lambda *args: right(*args).float(),
        "these are distances: which pixels are hidden?": rule(lambda d, r: d.amin(0)),
        "the mask has one entry for each pixel, not for each piece": rule(lambda d, r: d <= r),
    }
    numbers = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    added = {
        f"{number:g} is added to |b - a|²: ask for a piece without length instead": rule(inside, added=number)
        for number in numbers
    }
    problem = explain(answer, right, cases, mistakes | added)
    yield "hides what is no farther than `radius` from the line", problem
    if problem:
        return

    start = 2 + (1 + 2 * int(torch.randint(32, (), generator=rng))) / 64  # every share has few binary digits
    across = [([(3.0, start), (3.0, start + 32)], 1.0, 8, 38), ([(start, 3.0), (start + 32, 3.0)], 2.0, 38, 8)]
    across.append(([(3.0, 4.0)], 1.0, 8, 9))
    across += [([(4.0, 4.75), (4.0, 5.0)], radius, 8, 9) for radius in numbers]  # dots reach its end
    texts = added | {
        "exactly `radius` away is hidden, too: `<=`, not `<`": rule(lambda d, r: (d < r).any(0)),
        "dots on the line, however many, leave gaps: take the nearest point of each piece": lambda p, r, h, w: (
            rule(lambda d, r: (d < r).any(0))(p, r, h, w) | rule(inside, pieces=ends)(p, r, h, w)
        ),
    }
    yield "hides what is exactly `radius` away", explain(answer, right, across, texts)
    points, radius, height, width = cases[-1]
    dots = [
        (points[:1], radius, height, width),
        (points[:1] * 2, radius, height, width),
        ([points[0], points[0], *points], radius, height, width),
        ([(4.0, 5.0)], 0.0, 8, 9),
    ]

    def without(none: Callable[[int, int], bool]) -> Callable:
        """Nothing is painted if that holds for how many points there are, and how many different ones."""
        return lambda points, *rest: right(nowhere[0] if none(len(points), len(set(points))) else points, *rest)

    texts = {
        "a single point is a dot": without(lambda points, unlike: points == 1),
        "a single point is a dot; a piece without length divides 0 by 0": without(
            lambda points, unlike: unlike == 1
        ),
        "a point that comes twice is a dot; a piece without length divides 0 by 0": without(
            lambda points, unlike: unlike == 1 < points
        ),
    }
    problem = explain(answer, right, dots, texts)
    yield "paints a dot for a single point, and where a point comes twice", problem
    texts = {
        "a point that comes again is left out": lambda points, *rest: right(list(dict.fromkeys(points)), *rest)
    }
    closed = [([*points, points[0]], radius, height, width) for points, radius, height, width in cases[2:]]
    yield "may come back to a point", explain(answer, right, closed, texts)
    through, far = [(-3.1, -2.2), (height + 2.3, width + 1.4)], [(-907.3, -1108.9), (1009.1, 1211.7)]
    beyond = [(line, _clear(line, radius, height, width), height, width) for line in (through, far)]
    beyond += [([(-9.0, -9.0), (-8.0, -20.0)], 2.5, height, width), (points, 100.0, height, width)]
    texts = {
        "points outside are moved to the frame: leave them where they are": lambda points, r, h, w: right(
            [(min(max(row, 0), h - 1), min(max(col, 0), w - 1)) for row, col in points], r, h, w
        ),
        "points outside are left out, but a line leads to them": lambda points, r, h, w: right(
            [point for point in points if 0 <= point[0] < h and 0 <= point[1] < w] or nowhere[0], r, h, w
        ),
    }
    yield "may begin and end outside, paint nothing or everything", explain(answer, right, beyond, texts)
    small = [([(4.0, 4.6), (4.0, 5.4)], 1.005, 8, 9), ([(0.0, 2.0), (0.0, 4.3)], 1.2, 1, 9)]
    small.append(([(2.0, 0.0), (4.3, 0.0)], 1.2, 9, 1))
    yield "works for a very short line, and on a single row or column", explain(answer, right, small)


def _pieces(points: list[tuple[float, float]]) -> list[tuple]:
    return list(pairwise(points)) or [(points[0], points[0])]


def _distances(
    start: tuple[float, float],
    end: tuple[float, float],
    height: int,
    width: int,
    *,
    low: float = 0.0,
    high: float = 1.0,
    power: int = 2,
    added: float = 0.0,
    centre: float = 0.0,
    norm: Callable[[Tensor, Tensor], Tensor] = torch.hypot,
) -> Tensor:
    """The distance of each pixel to the piece from `start` to `end`."""
    rows = torch.arange(height, dtype=torch.float64)[:, None] + centre - start[0]
    cols = torch.arange(width, dtype=torch.float64) + centre - start[1]
    down, across = end[0] - start[0], end[1] - start[1]
    length = math.hypot(down, across)
    share = (rows * down + cols * across) / (length**power + added) if length else torch.zeros(height, width)
    share = share.clamp(low, high)
    return norm(rows - share * down, cols - share * across)


def _stroke(points: list[tuple[float, float]], radius: float, height: int, width: int) -> Tensor:
    return torch.stack([_distances(*piece, height, width) <= radius for piece in _pieces(points)]).any(0)


def _line(rng: Generator, pieces: int, thin: float) -> tuple[list[tuple[float, float]], float, int, int]:
    """A line inside a picture, whose pieces are long, and a radius at which no pixel lies nearly.

    Nor if the line goes back to its first point, which paints more.
    """
    height, width = distinct(rng, 2, 18, 26)
    while True:
        places = 3 + torch.rand(pieces + 1, 2, generator=rng, dtype=torch.float64) * torch.tensor(
            [height, width]
        ).sub(7)
        points = [tuple(place) for place in places.tolist()]
        radius = thin + 0.6 * float(torch.rand((), generator=rng))
        closed = [*points, points[0]]
        more = not _stroke(closed, radius, height, width).equal(_stroke(points, radius, height, width))
        long = places.diff(dim=0).norm(dim=1).min() > 6
        if long and _gap(closed, radius, height, width) > 1e-3 and (more or pieces == 1):
            return points, radius, height, width


def _gap(points: list[tuple[float, float]], radius: float, height: int, width: int) -> float:
    """How far from `radius` the distances of all pixels to all pieces are, at least."""
    distances = torch.stack([_distances(*piece, height, width) for piece in _pieces(points)])
    return float((distances - radius).abs().min())


def _clear(points: list[tuple[float, float]], radius: float, height: int, width: int) -> float:
    """The first radius, from this one on, at which no pixel lies nearly: rounding decides nothing."""
    while _gap(points, radius, height, width) < 3e-3:
        radius += 0.002
    return radius


GUESSES: dict[str, Guess] = {
    "windows": Guess(
        6,
        "five windows, which start at 0, 16, 32, 48 and 64, leave four pixels over. One more ends at the border.",
    ),
    "blended": Guess(1.5, "(3 * 1 + 1 * 3) / (3 + 1)."),
    "thrown away": Guess(
        0.75, "each patch that it touches has four columns of pixels, and one of them is the scratch."
    ),
    "halvings": Guess(2, "48, 24, 12."),
    "whole picture": Guess(
        30.0,
        "a hundred times as many pixels share the same errors: a hundredth of the mean, and a tenth is 10 dB.",
    ),
    "who fills halves": Guess(
        "the one of halves",
        "all its training went into this one question. The price is paid on the others.",
        choices=("the one of cells", "the one of the mixture", "the one of halves"),
    ),
    "answers or mean": Guess(
        "their mean",
        "the answers miss the truth in different directions, and in the mean part of that cancels.",
        choices=("the best of the eight", "their mean"),
    ),
}
