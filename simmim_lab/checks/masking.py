"""Checks of the exercises on masking (lesson 01)."""

import math
from collections.abc import Callable, Iterator
from itertools import combinations
from math import inf

import torch
from einops import rearrange
from torch import Generator, Tensor

from simmim_lab import masking
from simmim_lab.checks.core import (
    Answer,
    Verdict,
    check,
    compare,
    describe,
    distinct,
    explain,
    fair,
    first,
    form,
)
from simmim_lab.checks.guessing import Guess


@check(
    "Every entry of the mask becomes a square of `patch` x `patch` pixels. What must one row of the mask look "
    "like after it has grown to the right? And the whole mask after it has grown downwards, too?",
    "Two calls of `repeat_interleave` do it, one for each axis of the picture. Axis 0 counts the images and "
    "stays. In einops it is one `repeat` whose right side joins each axis with a new one: `(rows p)`.",
    batched=(0,),
)
def to_pixels(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`to_pixels(mask, patch)` makes every entry of the mask a square of patch x patch pixels."""
    batch, rows, cols, patch = distinct(rng, 4, 3, 8)
    cases = [
        (masking.random_mask(batch, (rows, cols), 0.4, generator=rng), 2),
        (masking.random_mask(batch, (cols, rows), 0.4, generator=rng), patch),
        (masking.random_mask(2, (2, 3), 0.4, generator=rng), 16),
    ]
    right = masking.to_pixels
    mistakes = {
        "whole copies of the mask lie side by side, like tiles: repeat each entry instead": (
            lambda m, p: m.repeat(1, p, p)
        ),
        "the mask grows downwards but not to the right": lambda m, p: m.repeat_interleave(p, 1),
        "the mask grows to the right but not downwards": lambda m, p: m.repeat_interleave(p, 2),
        "axis 0 counts the images: enlarge axes 1 and 2": (
            lambda m, p: m.repeat_interleave(p, 0).repeat_interleave(p, 1)
        ),
        "axis 0 counts the images, and stays as it is": lambda m, p: right(m, p).repeat_interleave(p, 0),
        "the pixels of a patch lie in one line: `view` alone makes no square of them": (
            lambda m, p: m.repeat_interleave(p**2, 2).view(len(m), m.shape[1] * p, -1)
        ),
        "there is an axis too many: one entry hides all colours of a pixel": lambda m, p: right(m, p)[:, None],
        "there is an axis for the colours, but one entry hides them all": (
            lambda m, p: right(m, p)[:, None].repeat(1, 3, 1, 1)
        ),
        "True and False are swapped": lambda m, p: ~right(m, p),
        "rows and columns are swapped": lambda m, p: right(m, p).transpose(1, 2),
        "without `dim`, `repeat_interleave` flattens the mask": lambda m, p: m.repeat_interleave(p**2),
        "`repeat_interleave` without `dim` flattens the mask": lambda m, p: m.repeat_interleave(p),
        "the values are right, but they are numbers: a mask holds True and False": lambda m, p: right(
            m, p
        ).float(),
        "the values are right, but they are whole numbers: a mask holds True and False": (
            lambda m, p: right(m, p).long()
        ),
        "the squares are one pixel too large": lambda m, p: right(m, p + 1),
        "the squares are one pixel too small": lambda m, p: right(m, p - 1),
        "the side of a square is `patch`, not patch * patch": lambda m, p: right(m, p**2),
        "only the first pixel of each square is hidden": lambda m, p: right(m, p) & corners(m, p),
    }
    for side in (2, 4, 8, 16):
        mistakes[f"`patch` is not used: each square has {side} x {side} pixels"] = lambda m, _, p=side: right(m, p)
    problem = explain(answer, right, cases, mistakes)
    yield "makes each entry a square of `patch` x `patch` pixels", problem
    if problem:
        return

    mask, _ = cases[0]
    yield "changes nothing where a patch is one pixel", compare(answer(mask, 1), mask)
    for thin in (mask[:, :1], mask[:, :, :1]):
        yield "works on a single row or column", compare(answer(thin, patch), right(thin, patch))


def corners(mask: Tensor, patch: int) -> Tensor:
    """True at the upper left pixel of each patch."""
    corner = torch.zeros(patch, patch).bool()
    corner[0, 0] = True
    return corner.repeat(1, *mask.shape[1:])


@check(
    "Which axes does `x.shape` have in the article's line? Each number of `x` gets a coin of its own. How many "
    "coins must say `hidden` before a whole patch is gone?",
    "Count the numbers in one patch: its pixels, times its channels. The chances of independent coins are "
    "multiplied, so the chance of one coin is raised to the power of this count.",
)
def chance_all_hidden(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`chance_all_hidden(patch, channels)` is the chance that the article's mask hides a whole patch."""
    few, many = distinct(rng, 2, 3, 8)
    cases = [(1, 1), (2, 1), (1, few), (1, many), (3, 1), (2, 3)]
    mistakes = {
        "this is the chance for one number: how many must be hidden at once?": lambda p, c: 0.5,
        "this is the chance for one pixel: a patch has more": lambda p, c: 0.5**c,
        "the channels do not share a coin: `x.shape` counts them, too": lambda p, c: 0.5 ** (p * p),
        "a patch has patch * patch pixels: is the square missing?": lambda p, c: 0.5 ** (p * c),
        "a patch has patch * patch pixels: the square is not the double": lambda p, c: 0.5 ** (2 * p * c),
        "a patch has patch * patch pixels, and each has all its channels": lambda p, c: 0.5**p,
        "each pixel has all its channels: multiply the two counts, do not add them": lambda p, c: (
            0.5 ** (p * p + c)
        ),
        "that is right for three channels only: use `channels`": lambda p, c: 0.5 ** (3 * p * p),
        "only `patch` is squared, not the channels": lambda p, c: 0.5 ** (p * c) ** 2,
        "`^` is no power in Python: write `patch**2`": lambda p, c: 0.5 ** ((p ^ 2) * c),
        "`**` goes from right to left: patch**2**channels is patch**(2**channels)": lambda p, c: 0.5 ** (p**2**c),
        "one coin too few is counted": lambda p, c: 0.5 ** (p * p * c - 1),
        "one coin too many is counted": lambda p, c: 0.5 ** (p * p * c + 1),
        "a coin has two sides: a hidden value is one of 2, not of 256": lambda p, c: 256.0 ** -(p * p * c),
        "this is the chance that something stays visible": lambda p, c: 1 - 0.5 ** (p * p * c),
        "that is in percent: give a number between 0 and 1": lambda p, c: 100 * 0.5 ** (p * p * c),
        "a chance is not greater than 1: is the sign of the exponent missing?": lambda p, c: 2 ** (p * p * c),
        "a chance is not negative: is this a logarithm?": lambda p, c: -p * p * c,
        "that is the number of the coins, not the chance": lambda p, c: p * p * c,
        "independent chances are multiplied, not added": lambda p, c: 0.5 * p * p * c,
        "independent chances are multiplied: the count belongs in the exponent": lambda p, c: 0.5 / (p * p * c),
        "a chance of one half became 0: divide with `/`": lambda p, c: 0,
    }
    for digits in (2, 3, 4, 5):
        mistakes[f"the result is rounded to {digits} digits: the chance is small, but not 0"] = (
            lambda p, c, digits=digits: round(0.5 ** (p * p * c), digits)
        )
    problem = explain(answer, lambda p, c: 0.5 ** (p * p * c), cases, mistakes, tolerance=1e-6)
    yield "is the chance that all numbers of a patch are hidden", problem
    if problem:
        return

    for patch, channels in (4, 3), (5, 4):
        got, want = answer(patch, channels), 0.5 ** (patch * patch * channels)
        text = f"expected {want:.6g}, got {got:.6g}" + ": is it rounded?" * (got == round(want, 14))
        yield (
            f"is right for {patch} x {patch} pixels with {channels} channels, too",
            first((not math.isclose(got, want, rel_tol=1e-6), text)),
        )


@check(
    "The height is rows * patch, the width cols * patch. So the image has five axes: colour, row of patches, row "
    "inside the patch, column of patches, column inside the patch. Which of them say *which* patch it is?",
    "Split the axes with `view`, or on the left side of an einops pattern. Bring the two that say which patch to "
    "the front, and leave the other three in the order colour, row, column. Join axes only then.",
    gradient=(0,),
)
def patchify(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`patchify(image, patch)` writes every patch of the image in a row of a matrix."""
    rows, cols, small, large = distinct(rng, 4, 2, 6)
    wide, tall = (min(rows, cols), max(rows, cols)), (max(rows, cols), min(rows, cols))
    cases = [(2 * torch.randn(3, r * p, c * p, generator=rng), p) for (r, c), p in ((wide, small), (tall, large))]

    def cut(order: str, pattern: str = "c (rows p) (cols q)") -> Callable:
        return lambda x, p: rearrange(x, f"{pattern} -> {order}", **grid(x, p))

    def grid(x, p):
        return {"rows": x.shape[1] // p, "cols": x.shape[2] // p, "p": p, "q": p}

    def as_turned(x, p):
        return right(x.reshape(3, x.shape[2], x.shape[1]), p)

    def split_in_the_wrong_order(x, p):
        return x.view(3, x.shape[1] // p, x.shape[2] // p, p, p).permute(1, 2, 0, 3, 4).reshape(-1, 3 * p * p)

    def without_the_last(x, p):
        return right(x[:, :-p, :-p], p)

    right = cut("(rows cols) (c p q)")
    mistakes = {
        "`reshape` alone keeps the order of the memory: split the axes, permute, join": (
            lambda x, p: x.reshape(-1, 3 * p * p)
        ),
        "the patches are written pixel by pixel, as in MAE; here it is colour by colour": cut(
            "(rows cols) (p q c)"
        ),
        "the patches follow each other downwards; go from left to right first": cut("(cols rows) (c p q)"),
        "rows and columns are swapped inside each patch": cut("(rows cols) (c q p)"),
        "rows and columns are swapped, of the patches and inside them": cut("(cols rows) (c q p)"),
        "the shape is read as (3, width, height); it is (3, height, width)": as_turned,
        "split the height into (rows, patch) and the width into (cols, patch), in this order": (
            split_in_the_wrong_order
        ),
        "pixels far apart share a patch: split the height as `(rows p)`, not as `(p rows)`": (
            cut("(rows cols) (c p q)", "c (p rows) (q cols)")
        ),
        "the last row and the last column of patches are missing": without_the_last,
        "there are three axes: join rows and cols into one": cut("rows cols (c p q)"),
        "each colour of a patch has a row of its own; all three belong in one": cut("(c rows cols) (p q)"),
        "the matrix is transposed: each patch is a row": cut("(c p q) (rows cols)"),
        "the colours are in the opposite order: leave them RGB": lambda x, p: right(x.flip(0), p),
        "the colours are averaged: each has its own numbers": lambda x, p: right(x.mean(0, keepdim=True), p),
        "the values are cut off at 0 and 1: leave them as they are": lambda x, p: right(x.clamp(0, 1), p),
    }
    problem = explain(answer, right, cases, mistakes, tolerance=1e-6)
    yield "writes each patch in a row: colour by colour, row by row", problem
    if problem:
        return

    image, patch = cases[0]
    strip, column, single = image[:, :patch], image[:, :, :patch], image[:, :patch, :patch]
    yield "gives a row for each pixel at patch 1", compare(answer(image, 1), image.flatten(1).T)
    for thin in (strip, column, single):
        yield (
            "works on a single row, a single column and a single patch",
            compare(answer(thin, patch), right(thin, patch)),
        )


@check(
    "Every image must hide `ceil(ratio * rows * cols)` patches. A coin for each patch hides that many only on "
    "average. What if you put the patches of an image in a random order and took the first ones?",
    "Draw a random number for every patch: `torch.rand(batch, rows * cols, generator=generator)`. `argsort` along "
    "dimension 1 turns them into a random order for each image. Set the first `count` of that order to True "
    "with `scatter_`.",
)
def random_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`random_mask(batch, grid, ratio, generator)` hides ceil(ratio * patches) patches of every image."""
    seed = int(torch.randint(10_000, (1,), generator=rng))
    batch, rows, cols = distinct(rng, 3, 4, 9)
    large = rows + 4, cols + 4  # so many patches that two masks are never equal by chance

    def draw(batch, grid, ratio, extra=0):
        return answer(batch, grid, ratio, generator=Generator().manual_seed(seed + extra))

    whole = draw(batch, large, 0.5)
    problem = form(whole, (batch, *large), torch.bool)
    yield "returns True and False of shape (batch, rows, cols)", problem
    if problem:
        return

    part = int(torch.randint(1, rows * cols, (1,), generator=rng)) - 0.25  # patches: here `round` is right
    cases = [(5, 7, 0.6), (5, 7, 0.35), (rows, cols, part / (rows * cols)), (rows, cols, 0.001), (9, 1, 0.5)]
    cases += [(1, 1, 0.5), (4, 6, 0.0), (4, 6, 1.0)]
    masks = [draw(1 + number, (r, c), ratio) for number, (r, c, ratio) in enumerate(cases)]
    for number, (mask, (r, c, _)) in enumerate(zip(masks, cases, strict=True)):
        problem = problem or form(mask, (1 + number, r, c), torch.bool)
    yield "returns True and False of shape (batch, rows, cols)", problem
    if problem:
        return

    problem = wrong_counts(
        cases,
        [mask.sum((1, 2)) for mask in masks],
        torch.stack([draw(50, (5, 7), 0.6, extra) for extra in range(4)]),
    )
    yield "hides ceil(ratio * patches) patches in every image", problem
    if problem:
        return

    generator = Generator().manual_seed(seed)
    drawn = {
        "seeds": [draw(2, large, 0.5, extra)[0] for extra in range(30)],
        "calls with one generator": [answer(2, large, 0.5, generator=generator)[0] for _ in range(200)],
        "images of a batch": [*draw(30, large, 0.5)],
        "batches of one": [draw(1, large, 0.5, extra)[0] for extra in range(30)],
    }
    different = {name: len(torch.stack(masks).flatten(1).unique(dim=0)) for name, masks in drawn.items()}
    problems = {
        "draws from `generator` alone": first(
            (
                not torch.equal(draw(batch, large, 0.5), whole),
                "two generators of one seed gave two masks: pass `generator` on",
            ),
            (different["seeds"] == 1, "generators of 30 seeds gave one mask: is a seed set, or nothing drawn?"),
        ),
        "draws anew in each call": first(
            (
                different["calls with one generator"] == 1,
                "each call gave the same mask: draw from `generator` itself, not from a copy or its seed",
            )
        ),
        "draws each image on its own": first(
            (different["images of a batch"] == 1, "all images of the batch have the same mask"),
            (different["batches of one"] == 1, "an image alone has always the same mask: is it a wrong axis?"),
        ),
    }
    yield from problems.items()
    if any(problems.values()):
        return

    problem = unfair(draw(6000, (2, 3), 0.5))
    yield "draws every mask equally often", problem
    if problem:
        return

    twins = [f"of {len(masks)} {name} two gave the same mask" for name, masks in drawn.items()]
    fewer = [different[name] < len(masks) for name, masks in drawn.items()]
    yield "hardly ever draws a mask again", first(*zip(fewer, twins, strict=True))


def wrong_counts(cases: list[tuple[int, int, float]], counts: list[Tensor], many: Tensor) -> Verdict:
    """What is wrong with the numbers of hidden patches of each image, for cases of (rows, cols, ratio).

    `many` are the masks of four calls, of 50 images each, with a ratio of 0.6 of 5 x 7.
    """
    cases, counts = [(5, 7, 0.6), *cases], [many.sum((2, 3)).flatten(), *counts]
    names = [f"a ratio of {ratio:.3g} of {rows} x {cols} patches" for rows, cols, ratio in cases]
    names[0] += ", 200 times"
    uneven = [place for place, count in enumerate(counts) if count.min() < count.max()]
    if uneven:
        low, high = counts[uneven[0]].min(), counts[uneven[0]].max()
        why = first(
            (uneven[0] > 0, "every image must hide as many"),
            (bool((many.sum((1, 2, 3)) == 50 * 21).all()), "are the patches of all images shuffled together?"),
            (fair(many.sum(), many.numel(), 0.6), "is it a coin for each patch?"),
            (True, "every image must hide as many"),
        )
        return f"for {names[uneven[0]]}, from {low} to {high} are hidden: {why}"

    def counted(rule: Callable) -> dict[str, int]:
        return {name: min(rule(*case), case[0] * case[1]) for name, case in zip(names, cases, strict=True)}

    mistakes = {
        "`ratio` is the share to hide, not to show": lambda r, c, ratio: math.ceil((1 - ratio) * r * c),
        "True and False are swapped": lambda r, c, ratio: r * c - math.ceil(ratio * r * c),
        "`int` goes down, `ceil` never does": lambda r, c, ratio: int(ratio * r * c),
        "`round` may go down, `ceil` never does": lambda r, c, ratio: round(ratio * r * c),
        "one too many is hidden where the count is whole": lambda r, c, ratio: int(ratio * r * c) + 1,
        "round up the whole count once, not each row": lambda r, c, ratio: r * math.ceil(ratio * c),
        "round up the whole count once, not each column": lambda r, c, ratio: c * math.ceil(ratio * r),
        "`ratio` counts for rows and for columns, so twice": (
            lambda r, c, ratio: math.ceil(ratio * r) * math.ceil(ratio * c)
        ),
    }
    got = {name: count[0].item() for name, count in zip(names, counts, strict=True)}
    want = counted(lambda r, c, ratio: math.ceil(ratio * r * c))
    return compare(got, want, {text: counted(rule) for text, rule in mistakes.items()})


def unfair(masks: Tensor) -> str | None:
    """What is wrong with the chances of (n, 2, 3) masks that hide 3 of 6 patches each.

    There are 20 such masks. One that never comes is 0.05 off its chance and a pair of patches of two images that
    is never hidden together is 0.25 off; for 6000 masks `fair` allows 0.041 and 0.058.
    """
    masks = masks.flatten(1)
    n = len(masks)
    patches = masks.sum(0)
    if not fair(patches, n, 0.5):
        low, high = patches.min() / n, patches.max() / n
        return f"of {n} images {low:.0%} hide one patch and {high:.0%} another: each should be hidden in about 50%"
    counts = (masks * 2 ** torch.arange(6)).sum(1).bincount(minlength=64)
    counts = counts[[sum(2**i for i in hidden) for hidden in combinations(range(6), 3)]]
    if not fair(counts, n, 1 / 20):
        return (
            f"of the 20 masks that hide 3 of 6 patches one came {counts.min()} times in {n} images and another "
            f"{counts.max()} times"
        )
    for one, other in ((masks[0::2], masks[1::2]), masks.chunk(2)):
        if not fair(one.float().T @ other.float(), n // 2, 0.25):
            return "the masks of two images depend on each other: draw each anew"
    return None


@check(
    "Look at one image at a time. A hidden pixel has a distance to every visible pixel: which of these counts? "
    "Over which pixels is the mean? And what if an image has no hidden or no visible pixel?",
    "`mask.nonzero()` of one image gives the coordinates of its hidden pixels, `(~mask).nonzero()` of the visible "
    "ones. `torch.cdist` makes the table of all distances between them, as floats: take the smallest of each row, "
    "then the mean. The two special images need an `if` each, before that.",
    batched=(0,),
)
def avg_dist(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`avg_dist(mask)` is the mean distance from the hidden pixels of an image to the nearest visible one."""
    sizes = distinct(rng, 6, 6, 11)  # in fewer pixels, other measures give the same by chance
    masks = [few_visible(*sizes[:3], rng), ~few_visible(*sizes[3:], rng)]

    def each(measure: Callable[[Tensor], Tensor], p: float = 2) -> Callable:
        """Of each image: `measure` of the distances by the p-norm, (hidden pixels, visible pixels)."""
        return lambda mask: torch.stack(
            [measure(torch.cdist(m.nonzero().float(), (~m).nonzero().float(), p)) for m in mask]
        )

    def into_neighbours(mask):
        hidden = mask.nonzero().float()
        nearest = torch.cdist(hidden, (~mask).nonzero().float()).amin(1)
        return torch.stack([nearest[hidden[:, 0] == image].mean() for image in range(len(mask))])

    right = masking.avg_dist
    mistakes = {
        "this is the city-block distance, rows + columns; use the straight line": each(
            lambda d: d.amin(1).mean(), 1
        ),
        "this is the chessboard distance, the larger of rows and columns": each(lambda d: d.amin(1).mean(), inf),
        "these are squared distances: the root is missing": each(lambda d: d.amin(1).square().mean()),
        "this is the root of the mean square: take the mean of the distances": (
            each(lambda d: d.amin(1).square().mean().sqrt())
        ),
        "the mean is over all pixels; here it is over the hidden ones only": each(
            lambda d: d.amin(1).sum() / sum(d.shape)
        ),
        "this is a sum: divide it by the number of hidden pixels": each(lambda d: d.amin(1).sum()),
        "the mean is over visible pixels: the wrong axis, or hidden and visible swapped?": each(
            lambda d: d.amin(0).mean()
        ),
        "distances go into the neighbour image: one image at a time": into_neighbours,
        "this is the largest distance, not the mean": each(lambda d: d.amin(1).amax()),
        "this is the smallest distance, not the mean": each(lambda d: d.amin()),
        "this is the median of the distances, not the mean": each(lambda d: d.amin(1).median()),
        "the farthest visible pixel is taken, not the nearest": each(lambda d: d.amax(1).mean()),
        "the mean is over all visible pixels, but only the nearest one counts": each(lambda d: d.mean()),
        "a neighbour has the distance 1, not 0: do not count the pixels in between": each(
            lambda d: d.amin(1).mean() - 1
        ),
        "the distances are cut to whole numbers": each(lambda d: d.amin(1).floor().mean()),
        "this is one number for the whole batch; each image has its own": lambda mask: right(mask).mean(),
        "all images have the mean of the batch; each has its own": (
            lambda mask: right(mask).mean().expand(len(mask))
        ),
        "this is the mean over all hidden pixels of the batch; each image has its own": (
            lambda mask: (right(mask) * mask.sum((1, 2))).sum() / mask.sum()
        ),
    }
    problem = explain(answer, right, [(mask,) for mask in masks], mistakes)
    yield "averages, over hidden pixels, the distance to the nearest visible one", problem
    if problem:
        return

    mask = masks[0]
    nothing, everything = torch.zeros_like(mask[:1]), torch.ones_like(mask[:1])
    got = answer(torch.cat([nothing, mask, everything]))
    if not (isinstance(got, Tensor) and got.shape == (len(mask) + 2,)):
        yield (
            "gives a number for each image",
            f"expected {len(mask) + 2} of them, got {describe(got)}: is it returned too early?",
        )
        return
    yield "measures each image on its own", compare(got[1:-1], right(mask))
    divided = bool(got[0].isnan()), "NaN: a sum of nothing is divided by 0"
    yield "is 0 where nothing is hidden", first(divided) or compare(got[0], 0.0)
    easiest = {"0 would be the easiest mask; here not one clue is near": 0.0}
    yield "is infinity where nothing is visible", compare(got[-1], inf, easiest)
    for line in (few_visible(2, 1, 7, rng), few_visible(2, 8, 1, rng)):
        yield "works on a single row or column", compare(answer(line), right(line))


def few_visible(batch: int, height: int, width: int, rng: Generator) -> Tensor:
    """Masks that show 1, 2, 3 ... pixels, so that distances are long and the images differ."""
    order = torch.rand(batch, height * width, generator=rng).argsort(1)
    return (order > torch.arange(batch)[:, None]).view(batch, height, width)


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
    values, mean, S = linear_model(8, rng)
    mean, values = mean + 15, values + 15  # nothing lies near 0 and 1
    v = ~h
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
        "the clues are subtracted: is a sign lost?": filled(mean[h] - S_hv @ w),
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
    problem = compare(got, want, mistakes)
    yield "fills the hidden values by the formula", problem
    if form(got, (8,), torch.float32):
        return
    changed = compare(answer(values.masked_fill(h, 7.0), h, mean, S), got)
    looks = "other hidden values gave another result: they are the answer, so do not use them"
    yield "does not look at the hidden values", first((changed is not None, looks))
    if problem or changed:
        return

    for wild in (math.nan, -inf):
        changed = compare(answer(values.masked_fill(h, wild), h, mean, S), got)
        counts = (
            f"with {wild} at hidden places the result changes: 0 times it is not 0, so choose the visible values"
        )
        yield "does not look at the hidden values", first((changed is not None, counts))
    for n, count in zip(distinct(rng, 3, 4, 9), (1, 2, 3), strict=True):
        values, mean, S = linear_model(n, rng)
        S = S / 1000  # a constant that is added to the diagonal counts, too
        h = torch.rand(n, generator=rng).argsort() < count
        yield "fills any number of values", compare(answer(values, h, mean, S), lmmse(values, h, mean, S))
    yield "gives the mean where nothing is visible", compare(answer(values, h | True, mean, S), mean)
    alone = torch.ones(1, dtype=torch.bool)
    yield (
        "gives the mean where nothing is visible",
        compare(answer(values[:1], alone, mean[:1], S[:1, :1]), mean[:1]),
    )
    yield "changes nothing where nothing is hidden", compare(answer(values, h & False, mean, S), values)


def linear_model(n: int, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Values of both signs with their mean and their covariance, which has an inverse."""
    factor = torch.randn(n, n, generator=rng)
    mean, values = torch.randn(2, n, generator=rng)
    return mean + 2 * values, mean, factor @ factor.T / n + 0.5 * torch.eye(n)


def lmmse(values: Tensor, hidden: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    shown = ~hidden
    weights = torch.linalg.solve(covariance[shown][:, shown], (values - mean)[shown])
    return values.masked_scatter(hidden, mean[hidden] + covariance[hidden][:, shown] @ weights)


GUESSES: dict[str, Guess] = {}
