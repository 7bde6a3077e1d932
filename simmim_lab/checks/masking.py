"""Checks of the exercises on masking (lesson 01)."""

import math
from collections.abc import Iterator
from math import inf

import torch
from einops import rearrange
from torch import Generator

from simmim_lab import masking
from simmim_lab.checks.core import Answer, Verdict, check, compare, describe, first, form


@check(
    "Every entry of the mask becomes a square of `patch` x `patch` pixels. What must one row of the mask look "
    "like after it has grown to the right? And the whole mask after it has grown downwards, too?",
    "Two calls of `repeat_interleave` do it, one for each axis of the picture. Axis 0 counts the images and "
    "stays. In einops it is one `repeat` whose right side joins each axis with a new one: `(rows p)`.",
)
def to_pixels(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`to_pixels(mask, patch)` makes every entry of the mask a square of patch x patch pixels."""
    mask = masking.random_mask(2, (3, 4), 0.4, generator=rng)  # 5 of 12: neither whole rows nor columns
    want = masking.to_pixels(mask, 2)
    down, in_line = mask.repeat_interleave(2, dim=1), mask.repeat_interleave(4, dim=2)
    mistakes = {
        "whole copies of the mask lie side by side, like tiles: repeat each entry instead": mask.repeat(1, 2, 2),
        "the mask grows downwards but not to the right": down,
        "the mask grows to the right but not downwards": mask.repeat_interleave(2, dim=2),
        "axis 0 counts the images: enlarge axes 1 and 2": down.repeat_interleave(2, dim=0),
        "the pixels of a patch lie in one line: `view` alone makes no square of them": in_line.view(2, 6, 8),
        "there is an axis too many: one entry hides all colours of a pixel": want[:, None],
        "there is an axis for the colours, but one entry hides them all": want[:, None].repeat(1, 3, 1, 1),
        "True and False are swapped": ~want,
        "rows and columns are swapped": want.transpose(1, 2),
        "without `dim`, `repeat_interleave` flattens the mask": mask.repeat_interleave(4),
        "`repeat_interleave` without `dim` flattens the mask": mask.repeat_interleave(2),
        "the values are right, but they are numbers: a mask holds True and False": want.float(),
    }
    yield "makes each entry a square of `patch` x `patch` pixels", compare(answer(mask, 2), want, mistakes)
    yield "uses `patch`, not a fixed number", compare(answer(mask, 3), masking.to_pixels(mask, 3))
    yield "changes nothing where a patch is one pixel", compare(answer(mask, 1), mask)


@check(
    "Which axes does `x.shape` have in the article's line? Each number of `x` gets a coin of its own. How many "
    "coins must say `hidden` before a whole patch is gone?",
    "Count the numbers in one patch: its pixels, times its channels. The chances of independent coins are "
    "multiplied, so the chance of one coin is raised to the power of this count.",
)
def chance_all_hidden(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`chance_all_hidden(patch, channels)` is the chance that the article's mask hides a whole patch."""
    mistakes = {
        "a chance is not greater than 1: is the sign of the exponent missing?": 2,
        "a chance is not negative: is this a logarithm?": -1,
        "a chance of one half became 0: divide with `/`": 0,
        "that is right for three channels only: use `channels`": 1 / 8,
    }
    problem = compare(answer(1, 1), 0.5, mistakes)
    yield "is one half for one pixel of one channel", problem
    if problem:
        return

    drawn = 2 * torch.randint(2, (2,), generator=rng) + torch.tensor([3, 2])
    for side, channels in (4, 3), drawn.tolist():
        got, pixels = float(answer(side, channels)), side**2
        want = 0.5 ** (pixels * channels)
        mistakes = {
            "this is the chance for one number: how many must be hidden at once?": 0.5,
            "this is the chance for one pixel: a patch has more": 0.5**channels,
            "the channels do not share a coin: `x.shape` counts them, too": 0.5**pixels,
            "a patch has patch * patch pixels: is the square missing?": 0.5 ** (side * channels),
            "a patch has patch * patch pixels, and each has all its channels": 0.5**side,
            "each pixel has all its channels: multiply the two counts, do not add them": 0.5
            ** (pixels + channels),
            "only `patch` is squared, not the channels": 0.5 ** (pixels * channels**2),
            "this is the chance that something stays visible": 1 - want,
            "independent chances are multiplied: the count belongs in the exponent": 0.5 / (pixels * channels),
            "too small, or rounded to 0: count the coins again": 0.0,
        }
        named = [text for text, value in mistakes.items() if math.isclose(got, value, rel_tol=1e-9)]
        verdict = "\n".join([*named[:1], f"expected {want:.3g}, got {got:.3g}"])
        claim = f"is right for patches of {side} x {side} pixels with {channels} channels"
        yield claim, None if math.isclose(got, want, rel_tol=1e-6) else verdict


@check(
    "The height is rows * patch, the width cols * patch. So the image has five axes: colour, row of patches, row "
    "inside the patch, column of patches, column inside the patch. Which of them say *which* patch it is?",
    "Split the axes with `view`, or on the left side of an einops pattern. Bring the two that say which patch to "
    "the front, and leave the other three in the order colour, row, column. Join axes only then.",
    gradient=(0,),
)
def patchify(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`patchify(image, patch)` writes every patch of the image in a row of a matrix."""
    rows = int(torch.randint(2, 4, (1,), generator=rng))
    cols = rows + 1  # wider than high
    image = torch.rand(3, 2 * rows, 2 * cols, generator=rng)

    def cut(order, image=image, p=2):
        return rearrange(image, f"c (rows p) (cols q) -> {order}", p=p, q=p)

    want = cut("(rows cols) (c p q)")
    turned = image.reshape(3, 2 * cols, 2 * rows)
    mistakes = {
        "`reshape` alone keeps the order of the memory: split the axes, permute them, join them": (
            image.reshape(rows * cols, 12)
        ),
        "the patches are written pixel by pixel, as in MAE; here it is colour by colour": cut(
            "(rows cols) (p q c)"
        ),
        "the patches follow each other downwards; go from left to right first": cut("(cols rows) (c p q)"),
        "rows and columns are swapped inside each patch": cut("(rows cols) (c q p)"),
        "rows and columns are swapped, of the patches and inside them": cut("(cols rows) (c q p)"),
        "the shape is read as (3, width, height); it is (3, height, width)": cut("(rows cols) (c p q)", turned),
        "the height is rows * patch: split it into (rows, patch), and the width into (cols, patch)": (
            image.view(3, rows, cols, 2, 2).permute(1, 2, 0, 3, 4).reshape(rows * cols, 12)
        ),
        "pixels far apart share a patch: split the height as `(rows p)`, not as `(p rows)`": (
            rearrange(image, "c (p rows) (q cols) -> (rows cols) (c p q)", p=2, q=2)
        ),
        "the last row and the last column of patches are missing": (
            want.view(rows, cols, 12)[:-1, :-1].flatten(0, 1)
        ),
        "there are three axes: join rows and cols into one": want.view(rows, cols, 12),
        "each colour of a patch has a row of its own; all three belong in one": cut("(c rows cols) (p q)"),
        "the matrix is transposed: each patch is a row": want.T,
    }
    yield "writes each patch in a row: colour by colour, row by row", compare(answer(image, 2), want, mistakes)
    tall = torch.rand(3, 12, 6, generator=rng)
    expected = cut("(rows cols) (c p q)", tall, 3)
    yield "cuts an image that is higher than wide, too", compare(answer(tall, 3), expected)
    yield "gives a row for each pixel at patch 1", compare(answer(tall, 1), tall.flatten(1).T)


@check(
    "Every image must hide `ceil(ratio * rows * cols)` patches. A coin for each patch hides that many only on "
    "average. What if you put the patches of an image in a random order and took the first ones?",
    "Draw a random number for every patch: `torch.rand(batch, rows * cols, generator=generator)`. `argsort` along "
    "dimension 1 turns them into a random order for each image. Set the first `count` of that order to True "
    "with `scatter_`.",
)
def random_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`random_mask(batch, grid, ratio, generator)` hides ceil(ratio * patches) patches of every image."""

    def seeded(seed: int) -> Generator:
        return Generator().manual_seed(seed)

    seed = int(torch.randint(10_000, (1,), generator=rng))
    mask = answer(200, (5, 7), 0.6, generator=seeded(seed))
    problem = form(mask, (200, 5, 7), torch.bool)
    yield "returns True and False of shape (batch, rows, cols)", problem
    if problem:
        return

    counts = mask.sum((1, 2))
    low, high = counts.min().item(), counts.max().item()
    yield (
        "hides ceil(ratio * patches) patches in every image",
        first(
            (low < high, f"from {low} to {high} are hidden, not always 21: is it a coin for each patch?"),
            (low == 14, "14 of 35 are hidden instead of 21: `ratio` is the share to hide, not to show"),
            (low != 21, f"{low} of 35 are hidden instead of 21"),
        ),
    )
    odd = answer(3, (5, 7), 0.35, generator=seeded(seed))
    problem = form(odd, (3, 5, 7), torch.bool)
    if not problem and bool((odd.sum((1, 2)) != 13).any()):
        problem = "expected ceil(12.25) = 13 in each image; `round` may go down, `ceil` never does"
    yield "rounds up where the count is not whole", problem
    yield (
        "draws each image on its own",
        first((bool((mask == mask[0]).all()), "all images of the batch have the same mask")),
    )
    often = mask.float().mean(0)
    yield (
        "hides every patch equally often",
        first(
            (
                bool((often - 0.6).abs().max() > 0.25),
                f"over 200 images one patch is hidden in {often.min():.0%} of them and another in "
                f"{often.max():.0%}, where each should be in about 60%",
            )
        ),
    )
    again, other = (answer(200, (5, 7), 0.6, generator=seeded(seed + extra)) for extra in (0, 1))
    yield (
        "draws from `generator` alone",
        first(
            (not torch.equal(again, mask), "two generators of one seed gave two masks: pass `generator` on"),
            (torch.equal(other, mask), "generators of two seeds gave one mask: do not set a seed yourself"),
        ),
    )
    none, all_ = (answer(1, (2, 2), ratio, generator=seeded(seed)).sum().item() for ratio in (0.0, 1.0))
    yield (
        "hides nothing at ratio 0 and all at 1",
        first(((none, all_) != (0, 4), f"of 4 it hides {none} and {all_}")),
    )


@check(
    "Look at one image at a time. A hidden pixel has a distance to every visible pixel: which of these counts? "
    "Over which pixels is the mean? And what if an image has no hidden or no visible pixel?",
    "`mask.nonzero()` of one image gives the coordinates of its hidden pixels, `(~mask).nonzero()` of the visible "
    "ones. `torch.cdist` makes the table of all distances between them, as floats: take the smallest of each row, "
    "then the mean. The two special images need an `if` each, before that.",
)
def avg_dist(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`avg_dist(mask)` is the mean distance from the hidden pixels of an image to the nearest visible one."""
    mask = masking.random_mask(3, (7, 9), 0.9, generator=rng)  # few are visible, so distances are long

    def pairs(p):
        """Distances of rows and columns by the p-norm: (image, hidden pixel, visible pixel)."""
        return torch.stack([torch.cdist(m.nonzero().float(), (~m).nonzero().float(), p) for m in mask])

    nearest, want = pairs(2).amin(2), masking.avg_dist(mask)
    mistakes = {
        "this is the city-block distance, rows + columns; use the straight line": pairs(1).amin(2).mean(1),
        "this is the chessboard distance, the larger of rows and columns": pairs(inf).amin(2).mean(1),
        "these are squared distances: the root is missing": nearest.square().mean(1),
        "the mean is over all pixels; here it is over the hidden ones only": nearest.sum(1) / mask[0].numel(),
        "this is a sum: divide it by the number of hidden pixels": nearest.sum(1),
        "the mean starts at the visible pixels: is the minimum along the wrong axis, or are hidden and visible "
        "swapped?": pairs(2).amin(1).mean(1),
        "distances go into the neighbour image: one image at a time": (
            torch.cdist(mask.nonzero().float(), (~mask).nonzero().float()).amin(1).view(3, -1).mean(1)
        ),
        "this is the largest distance, not the mean": nearest.amax(1),
        "the farthest visible pixel is taken, not the nearest": pairs(2).amax(2).mean(1),
        "the mean is over all visible pixels, but only the nearest one counts": pairs(2).mean((1, 2)),
        "this is one number for the whole batch; each image has its own": nearest.mean(),
        "all images have the mean of the batch; each has its own": nearest.mean().expand(3),
    }
    got = answer(mask)
    yield "averages, over hidden pixels, the distance to the nearest visible one", compare(got, want, mistakes)
    if form(got, (3,), torch.float32):
        return

    nothing, everything = torch.zeros(1, 7, 9).bool(), torch.ones(1, 7, 9).bool()
    got = answer(torch.cat([nothing, mask, everything]))
    if not (isinstance(got, torch.Tensor) and got.shape == (5,)):
        yield (
            "gives a number for each image",
            f"expected 5 of them, got {describe(got)}: is it returned too early?",
        )
        return
    yield "measures each image on its own", compare(got[1:4], want)
    divided = bool(got[0].isnan()), "NaN: a sum of nothing is divided by 0"
    yield "is 0 where nothing is hidden", first(divided) or compare(got[0], 0.0)
    easiest = {"0 would be the easiest mask; here not one clue is near": 0.0}
    yield "is infinity where nothing is visible", compare(got[4], inf, easiest)


@check(
    "Write the formula on paper, and below each part its shape: `S_hv` has a row for each hidden value and a "
    "column for each visible one. Which part of the covariance is inverted? Which values may it use?",
    "`covariance[hidden][:, ~hidden]` cuts out `S_hv`; cut out `S_vv` in the same way (`covariance[a, b]` picks "
    "single entries). `torch.linalg.solve` gives the `w` for which `S_vv w = x_v - mu_v`. Add `S_hv w` to the "
    "hidden part of the mean, and write the sum into the hidden places of a copy of `values`.",
)
def lmmse_fill(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`lmmse_fill(values, hidden, mean, covariance)` fills the hidden values by the best linear guess."""
    # As many hidden as visible, so that no mix-up is an error of shape; and hidden ones at both ends.
    h = torch.tensor([True, *(torch.rand(6, generator=rng).argsort() < 2), True])
    v = ~h
    factor = torch.randn(8, 8, generator=rng)
    S = factor @ factor.T / 8 + 0.5 * torch.eye(8)
    mean = 6 + torch.randn(8, generator=rng)  # a guess is never between 0 and 1
    values = mean + 2 * torch.randn(8, generator=rng)
    d = values - mean
    S_hv, S_vh, S_vv, S_hh = (S[a][:, b] for a, b in ((h, v), (v, h), (v, v), (h, h)))
    w, w_of_values = torch.linalg.solve(S_vv, torch.stack([d[v], values[v]], dim=1)).unbind(1)

    def filled(guess):
        return values.masked_scatter(h, guess)

    guess = mean[h] + S_hv @ w
    want = filled(guess)
    mistakes = {
        "the whole covariance is inverted, then cut: first cut out S_vv, then invert it": (
            filled(mean[h] + S_hv @ S.inverse()[v][:, v] @ d[v])
        ),
        "S_hh is inverted; it must be S_vv": filled(mean[h] + S_hv @ torch.linalg.solve(S_hh, d[v])),
        "S_vh stands in the place of S_hv: rows for hidden values": filled(mean[h] + S_vh @ w),
        "single entries of S are picked instead of the block S_hv: first cut its rows, then its columns": (
            filled(mean[h] + S[h, v] @ w)
        ),
        "the mean is missing, at both places": filled(S_hv @ w_of_values),
        "the mean of the visible values is not subtracted": filled(mean[h] + S_hv @ w_of_values),
        "the mean of the hidden values is not added": filled(S_hv @ w),
        "S_hv is missing: it carries the clues to the hidden values": filled(mean[h] + w),
        "the inverse of S_vv is missing: two clues that say the same thing are counted twice": (
            filled(mean[h] + S_hv @ d[v])
        ),
        "only the diagonal of S_vv is used: the clues depend on each other, too": (
            filled(mean[h] + S_hv @ (d[v] / S_vv.diagonal()))
        ),
        "the guess is the mean: the visible values are not used": filled(mean[h]),
        "the values came back as they were: guess the hidden ones, from the visible ones alone": values,
        "only the hidden values came back: return all of them": guess,
        "the result is clipped": want.clamp(0, 1),
        "the guess is clipped": filled(guess.clamp(0, 1)),
        "values have lost their places: all visible ones come first": torch.cat([values[v], guess]),
        "values have lost their places: all hidden ones come first": torch.cat([guess, values[v]]),
        "the visible values are lost: keep them": want.masked_fill(v, 0),
        "hidden and visible are swapped: True = hidden": (
            values.masked_scatter(v, mean[v] + S_vh @ torch.linalg.solve(S_hh, d[h]))
        ),
    }
    got = answer(values, h, mean, S)
    yield "fills the hidden values by the formula", compare(got, want, mistakes)
    if form(got, (8,), torch.float32):
        return
    again = answer(values.masked_fill(h, 7.0), h, mean, S)
    looks = "other hidden values gave another result: they are the answer, so do not use them"
    yield "does not look at the hidden values", first((compare(again, got) is not None, looks))
    yield "gives the mean where nothing is visible", compare(answer(values, h | True, mean, S), mean)
    yield "changes nothing where nothing is hidden", compare(answer(values, h & False, mean, S), values)
