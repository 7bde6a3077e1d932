"""Checks of lesson 01 and of its exercises: masking."""

import math
from collections.abc import Callable, Iterator
from itertools import combinations
from math import inf

import torch
from einops import rearrange
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from simmim_lab import masking
from simmim_lab.checks import solutions
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
from simmim_lab.shapes import Grid


@check(
    "Every entry of the mask becomes a square of `patch` x `patch` pixels. What must one row of the mask look "
    "like after it has grown to the right? And the whole mask after it has grown downwards, too?",
    "Two calls of `repeat_interleave` do it, one for each axis of the picture. Axis 0 counts the images and "
    "stays. In einops it is one `repeat` whose right side joins each axis with a new one: `(rows p)`.",
    solution=masking.to_pixels,
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
        "whole copies of the mask lie below each other: repeat each row instead": (
            lambda m, p: m.repeat_interleave(p, 2).repeat(1, p, 1)
        ),
        "whole copies of the mask lie beside each other: repeat each column instead": (
            lambda m, p: m.repeat_interleave(p, 1).repeat(1, 1, p)
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
    "The height is rows * patch, the width cols * patch. So the image has five axes: colour, row of patches, row "
    "inside the patch, column of patches, column inside the patch. Which of them say *which* patch it is?",
    "Split the axes with `view`, or on the left side of an einops pattern. Bring the two that say which patch to "
    "the front, and leave the other three in the order colour, row, column. Join axes only then.",
    solution=solutions.patchify,
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

    def joined_without_permute(x, p):
        return x.unfold(1, p, p).unfold(2, p, p).reshape(-1, 3 * p * p)

    def from_places(x, p, tops, lefts):
        return torch.stack([x[:, top : top + p, left : left + p].flatten() for top in tops for left in lefts])

    right = solutions.patchify
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
        "a row holds patches of one colour: bring the colours behind rows and cols first": (
            joined_without_permute
        ),
        "there are as many columns of patches as rows: count them by the width": (
            lambda x, p: from_places(x, p, places := range(0, x.shape[1], p), places)
        ),
        "patch i begins at pixel i * patch, not at pixel i": (
            lambda x, p: from_places(x, p, range(x.shape[1] // p), range(x.shape[2] // p))
        ),
        "these are `patch` x `patch` patches: so many pixels should each of them have": (
            lambda x, p: rearrange(x, "c (rows p) (cols q) -> (rows cols) (c p q)", rows=p, cols=p)
        ),
        "the last row and the last column of patches are missing": lambda x, p: right(x[:, :-p, :-p], p),
        "the last row of patches is missing": lambda x, p: right(x[:, :-p], p),
        "the last column of patches is missing": lambda x, p: right(x[:, :, :-p], p),
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
    solution=solutions.random_mask,
)
def random_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`random_mask(batch, grid, ratio, generator)` hides ceil(ratio * patches) patches of every image."""
    seed = int(torch.randint(10_000, (1,), generator=rng))
    rows, cols = distinct(rng, 2, 4, 9)

    def draw(batch, grid, ratio, extra=0):
        return answer(batch, grid, ratio, generator=Generator().manual_seed(seed + extra))

    part = int(torch.randint(1, rows * cols, (1,), generator=rng)) - 0.25  # patches: here `round` is right
    cases = [(5, 7, 0.6), (5, 7, 0.35), (rows, cols, part / (rows * cols)), (rows, cols, 0.001), (9, 1, 0.5)]
    cases += [(1, 1, 0.5), (4, 6, 0.0), (4, 6, 1.0), (4, 5, 0.8)]  # (1 - 0.8) * 20 is below 4 by a rounding
    cases += [(5, 8, 0.5001)]  # 20.004 patches
    masks = [draw(1 + number, (r, c), ratio) for number, (r, c, ratio) in enumerate(cases)]
    shapes = [(1 + number, r, c) for number, (r, c, _) in enumerate(cases)]
    problem = wrong_forms(masks, shapes)
    yield "returns True and False of shape (batch, rows, cols)", problem
    if problem:
        return

    many = torch.stack([draw(50, (5, 7), 0.6, extra) for extra in range(4)])
    problem = mixed_up(many[0], masks[0]) or wrong_counts(cases, [mask.sum((1, 2)) for mask in masks], many)
    yield "hides ceil(ratio * patches) patches in every image", problem
    if not problem:
        yield from chances(lambda batch, grid, generator: answer(batch, grid, 0.5, generator=generator), rng)


def wrong_forms(masks: list[Tensor], shapes: list[tuple[int, int, int]]) -> str | None:
    """What is wrong with the first mask that is no mask of its shape."""
    problems = (form(mask, shape, torch.bool) for mask, shape in zip(masks, shapes, strict=True))
    return next(filter(None, problems), None)


def chances(draw: Callable[[int, Grid, Generator], Tensor], rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """What is wrong with the chance in `draw(batch, grid, generator)`, whose masks hide half of the patches."""
    batch, rows, cols = distinct(rng, 3, 8, 13)  # so many patches that two masks are never equal by chance
    grid, seed = (rows, cols), int(torch.randint(10_000, (1,), generator=rng))

    def drawn_with(extra: int, batch: int = batch) -> Tensor:
        return draw(batch, grid, Generator().manual_seed(seed + extra))

    generator = Generator().manual_seed(seed)
    drawn = {
        "seeds": [drawn_with(extra)[0] for extra in range(30)],
        "calls with one generator": [draw(2, grid, generator)[0] for _ in range(200)],
        "images of a batch": [*drawn_with(0, 30)],
        "batches of one": [drawn_with(extra, 1)[0] for extra in range(30)],
    }
    different = {name: len(torch.stack(masks).flatten(1).unique(dim=0)) for name, masks in drawn.items()}
    problems = {
        "draws from `generator` alone": first(
            (
                not torch.equal(drawn_with(0), drawn_with(0)),
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
            (
                different["batches of one"] == 1 < different["seeds"],
                "an image alone has always the same mask: is it a wrong axis?",
            ),
        ),
    }
    yield from problems.items()
    if any(problems.values()):
        return

    problem = unfair(draw(6000, (2, 3), Generator().manual_seed(seed)))
    yield "draws every mask equally often", problem
    if problem:
        return

    twins = [f"of {len(masks)} {name} two gave the same mask" for name, masks in drawn.items()]
    fewer = [different[name] < len(masks) for name, masks in drawn.items()]
    yield "hardly ever draws a mask again", first(*zip(fewer, twins, strict=True))


def mixed_up(masks: Tensor, alone: Tensor) -> str | None:
    """What is wrong with the masks of a batch, of one ratio, if an image decides what others hide.

    `alone` is a mask from a batch of one.
    """
    hidden, times = masks.sum((1, 2)), masks.sum(0)
    low, high = hidden.min(), hidden.max()
    return first(
        (
            bool(masks.all() and not alone.all()),
            "all images of a batch hide all patches: is each drawn into all of them, or is the count that of the "
            "whole batch?",
        ),
        (
            bool(low < high and times.min() == times.max()),
            f"images hide from {low} to {high} patches, but each patch equally often: is it a wrong axis?",
        ),
    )


SOME = "some images got no mask: is `return`, or the empty mask, inside the loop?"


def wrong_counts(cases: list[tuple[int, int, float]], counts: list[Tensor], many: Tensor) -> Verdict:
    """What is wrong with the numbers of hidden patches of each image, for cases of (rows, cols, ratio).

    `many` are the masks of four calls, of 50 images each, with a ratio of 0.6 of 5 x 7.
    """
    cases, counts = [(5, 7, 0.6), *cases], [many.sum((2, 3)).flatten(), *counts]
    names = [f"a ratio of {ratio:.4g} of {rows} x {cols} patches" for rows, cols, ratio in cases]
    names[0] += ", 200 times"
    uneven = [place for place, count in enumerate(counts) if count.min() < count.max()]
    if uneven:
        low, high = counts[uneven[0]].min(), counts[uneven[0]].max()
        why = first(
            (uneven[0] > 0, "every image must hide as many"),
            (bool((many.sum((1, 2, 3)) == 50 * 21).all()), "are the patches of all images shuffled together?"),
            (fair(many.sum(), many.numel(), 0.6), "is it a coin for each patch?"),
            (uneven[0] == 0 and bool(low == 0 and high == 21), SOME),
            (uneven[0] == 0 and bool(high <= 21), "is one drawn twice?"),
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
        "(1 - ratio) * patches may be just below a whole number: take ceil(ratio * patches)": (
            lambda r, c, ratio: r * c - int((1 - ratio) * r * c)
        ),
        "a count of 20.004 is rounded down: `ceil` never goes down": lambda r, c, ratio: int(ratio * r * c + 0.99),
        "one too many is hidden: the ranks begin at 0, so use `<`": (
            lambda r, c, ratio: math.ceil(ratio * r * c) + 1
        ),
        "one too many is hidden where the count is whole": lambda r, c, ratio: int(ratio * r * c) + 1,
        "all is hidden where the count is 0: the place `count - 1` is then the last one": (
            lambda r, c, ratio: math.ceil(ratio * r * c) or r * c
        ),
        "all is hidden unless the count is 0: are random numbers compared with it, not ranks?": (
            lambda r, c, ratio: r * c * (ratio > 0)
        ),
        "one is hidden where the ratio is 0, which hides nothing": lambda r, c, ratio: max(
            1, math.ceil(ratio * r * c)
        ),
        "all patches are hidden: does the count choose among the drawn places?": lambda r, c, ratio: r * c,
        "the grid has rows * cols patches, not rows * rows": lambda r, c, ratio: math.ceil(ratio * r * r),
        "the grid has rows * cols patches, not cols * cols": lambda r, c, ratio: math.ceil(ratio * c * c),
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
    solution=solutions.avg_dist,
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

    right = solutions.avg_dist
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
        "the means are cut to whole numbers": lambda mask: right(mask).long(),
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
            f"is it returned too early, or is an image skipped? Expected {len(mask) + 2} numbers, got "
            f"{describe(got)}",
        )
        return
    early = first(
        (
            bool(got.isinf().all()),
            "all get infinity if one image shows nothing: is it returned too early?",
        ),
        (bool((got == 0).all()), "all get 0 if one image hides nothing: is it returned too early?"),
    )
    yield "measures each image on its own", early or compare(got[1:-1], right(mask))
    if early:
        return
    divided = bool(got[0].isnan()), "NaN: a sum of nothing is divided by 0"
    needless = {"nothing is hidden, so no distance is too long: it is 0": inf}
    yield "is 0 where nothing is hidden", first(divided) or compare(got[0], 0.0, needless)
    easiest = bool(got[-1] == 0), "0 would be the easiest mask; here not one clue is near"
    number = bool(got[-1].isfinite()), f"{got[-1]:.6g} is a number, but no clue is near: give `math.inf`"
    yield "is infinity where nothing is visible", first(easiest, number) or compare(got[-1], inf)
    for line in (few_visible(2, 1, 7, rng), few_visible(2, 8, 1, rng)):
        yield "works on a single row or column", compare(answer(line), right(line))


def few_visible(batch: int, height: int, width: int, rng: Generator) -> Tensor:
    """Masks that show 1, 2, 3 ... pixels, so that distances are long and the images differ."""
    order = torch.rand(batch, height * width, generator=rng).argsort(1)
    return (order > torch.arange(batch)[:, None]).view(batch, height, width)


@check(
    "Every damaged pixel lies in one patch. What must hold for the pixels of a patch so that it may stay visible?",
    "Split both axes, `(rows p)` and `(cols q)`, and join p and q at the end: one axis then holds the pixels of a "
    "patch, and `any` over it answers. Or pool: `max_pool2d` takes the largest value of each patch, of floats.",
    batched=(0,),
)
def patches_to_hide(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`patches_to_hide(damage, patch)` hides every patch in which a pixel is damaged."""
    sizes = distinct(rng, 6, 3, 8)
    cases = [(scratched(3, *sizes[:3], rng), sizes[2]), (scratched(2, *sizes[3:], rng), sizes[5])]
    cases.append((scratched(5, 4, 6, 2, rng), 2))  # here patches are damaged by half

    def each(measure: Callable[[Tensor], Tensor], split: str = "(rows p) (cols q)") -> Callable:
        """Of each patch: `measure` of its pixels, (batch, rows, cols, p, q)."""
        return lambda m, p: measure(
            rearrange(m, f"b {split} -> b rows cols p q", rows=m.shape[1] // p, cols=m.shape[2] // p, p=p, q=p)
        )

    right = each(lambda m: m.any(-1).any(-1))
    mistakes = {
        "True and False are swapped": lambda m, p: ~right(m, p),
        "only wholly damaged patches are hidden: one pixel is enough": each(lambda m: m.all(-1).all(-1)),
        "patches with one damaged pixel stay visible: a half is not needed": each(
            lambda m: m.float().mean((3, 4)) >= 0.5
        ),
        "patches with one damaged pixel stay visible: more than a half is not needed": each(
            lambda m: m.float().mean((3, 4)) > 0.5
        ),
        "patches with one damaged pixel stay visible: two are not needed": each(lambda m: m.sum((3, 4)) > 1),
        "patches with two damaged pixels or more stay visible": each(lambda m: m.sum((3, 4)) == 1),
        "the last row and column of each patch are not looked at": each(
            lambda m: m[..., :-1, :-1].any(-1).any(-1)
        ),
        "only the first pixel of each patch is looked at": each(lambda m: m[..., 0, 0]),
        "only the pixel in the middle of each patch is looked at": each(
            lambda m: m[..., m.shape[3] // 2, m.shape[3] // 2]
        ),
        "only the last pixel of each patch is looked at": each(lambda m: m[..., -1, -1]),
        "only the corners of each patch are looked at": each(
            lambda m: m[..., :: m.shape[3] - 1, :: m.shape[3] - 1].any(-1).any(-1)
        ),
        "only the diagonal of each patch is looked at": each(lambda m: m.diagonal(0, 3, 4).any(-1)),
        "only the first row of each patch is looked at": each(lambda m: m[..., 0, :].any(-1)),
        "only the first column of each patch is looked at": each(lambda m: m[..., 0].any(-1)),
        "a patch is hidden only if each of its rows is damaged": each(lambda m: m.any(-1).all(-1)),
        "a patch is hidden only if each of its columns is damaged": each(lambda m: m.any(-2).all(-1)),
        "this mask is one of pixels; here an entry is a patch": lambda m, p: masking.to_pixels(right(m, p), p),
        "rows and columns are swapped": lambda m, p: right(m, p).transpose(1, 2),
        "the shape is read as (batch, width, height)": (
            lambda m, p: right(m.reshape(len(m), m.shape[2], m.shape[1]), p)
        ),
        "pixels far apart share a patch: split the height as `(rows p)`, not as `(p rows)`": (
            each(lambda m: m.any(-1).any(-1), "(p rows) (q cols)")
        ),
        "`view` alone keeps the order of the memory: split the axes first": (
            lambda m, p: m.view(len(m), m.shape[1] // p, m.shape[2] // p, -1).any(-1)
        ),
        "there is one answer for a whole row of patches": lambda m, p: right(m, p).any(2),
        "there is one answer for a whole column of patches": lambda m, p: right(m, p).any(1),
        "there is one answer for each image; give one for each patch": lambda m, p: right(m, p).flatten(1).any(1),
        "the damage of the first image is used for all": (lambda m, p: right(m[:1], p).expand(len(m), -1, -1)),
        "the damage of all images is put together; each has its own": (
            lambda m, p: right(m, p).any(0, keepdim=True).expand(len(m), -1, -1)
        ),
        "there is an axis too many": lambda m, p: right(m, p)[:, None],
        "this is the number of damaged pixels; a mask holds True and False": each(lambda m: m.sum((3, 4))),
        "this is the share of damaged pixels; a mask holds True and False": each(lambda m: m.float().mean((3, 4))),
        "the values are right, but they are numbers: a mask holds True and False": (
            lambda m, p: right(m, p).float()
        ),
        "the values are right, but they are whole numbers: a mask holds True and False": (
            lambda m, p: right(m, p).long()
        ),
        "the patches overlap: the next one begins `patch` pixels further": (
            lambda m, p: max_pool2d(m.float(), p, stride=1) > 0
        ),
        "patch i begins at pixel i * patch, not at pixel i": (
            lambda m, p: max_pool2d(m.float(), p, stride=1)[:, : m.shape[1] // p, : m.shape[2] // p] > 0
        ),
        "these are `patch` x `patch` patches: so many pixels should each of them have": (
            lambda m, p: rearrange(m, "b (rows p) (cols q) -> b rows cols (p q)", rows=p, cols=p).any(-1)
        ),
    }
    for side in (2, 4, 8, 16):
        mistakes[f"`patch` is not used: each patch has {side} x {side} pixels"] = lambda m, _, p=side: (
            max_pool2d(m.float(), p) > 0
        )
    problem = explain(answer, right, cases, mistakes)
    yield "hides a patch if one or more of its pixels are damaged", problem
    if problem:
        return

    damage, patch = cases[0]
    yield "changes nothing where a patch is one pixel", compare(answer(damage, 1), damage)
    for whole in (damage & False, damage | True):
        yield "knows what nothing and everything is", compare(answer(whole, patch), right(whole, patch))
    for thin in (damage[:, :patch], damage[:, :, :patch]):
        yield "works on a single row or column", compare(answer(thin, patch), right(thin, patch))
    whole = masking.random_mask(3, (2, 3), 0.5, generator=rng)
    got = answer(damaged(torch.where(whole, 256, 1), 16, rng), 16)
    large = {
        "a patch with one damaged pixel of 256 stays visible: no share is too small": whole,
        "a whole patch stays visible: its 256 damaged pixels are 0 in 8 bits": ~whole,
    }
    yield "works for large patches", compare(got, torch.ones_like(whole), large)


def scratched(batch: int, rows: int, cols: int, patch: int, rng: Generator) -> Tensor:
    """Damage in pixels: of the patches a third are whole, a third have one damaged pixel, a third have more."""
    count = torch.randint(3, (batch, rows, cols), generator=rng)
    many = torch.randint(2, patch * patch + 1, count.shape, generator=rng)
    return damaged(torch.where(count == 2, many, count), patch, rng)


def damaged(count: Tensor, patch: int, rng: Generator) -> Tensor:
    """Damage in pixels, so many in each patch."""
    order = torch.rand(*count.shape, patch * patch, generator=rng).argsort(-1)
    return rearrange(order < count[..., None], "b rows cols (p q) -> b (rows p) (cols q)", p=patch)


@check(
    "The friend's line has one coin for each pixel, and its colours share it. How many coins does a patch of "
    "`patch` x `patch` pixels have, and what must all of them say so that it is hidden whole?",
    "The chances of independent coins are multiplied, which gives a power. With what chance does one coin say "
    "`hidden`, and `visible`? What is neither hidden whole nor visible whole is mixed: the shares add up to 1.",
)
def patch_shares(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`patch_shares(patch, ratio)` gives the shares of patches that are hidden whole, mixed and visible whole."""

    def by_count(count: Callable[[int], int]) -> Callable:
        """The shares if a patch has `count(patch)` coins."""

        def shares(patch: int, ratio: float) -> tuple[float, float, float]:
            hidden, visible = ratio ** count(patch), (1 - ratio) ** count(patch)
            return hidden, 1 - hidden - visible, visible

        return shares

    def changed(change: Callable) -> Callable:
        """What `change(hidden, mixed, visible)` makes of the right shares."""
        return lambda p, r: change(*right(p, r))

    right = by_count(lambda p: p * p)
    ratio = (int(torch.randint(55, 90, (1,), generator=rng)) + 0.5) / 100
    cases = [(2, ratio), (3, ratio), (2, 1 - ratio), (1, ratio), (3, 1 - ratio)]
    mistakes = {
        "a patch has patch * patch pixels: is the square missing?": by_count(lambda p: p),
        "a patch has patch * patch pixels: the square is not the double": by_count(lambda p: 2 * p),
        "`^` is no power in Python: write `patch**2`": by_count(lambda p: p ^ 2),
        "the three colours of a pixel share a coin: a patch has patch * patch": by_count(lambda p: 3 * p * p),
        "`ratio ** patch * patch` is a power, times `patch`: put the product in brackets": lambda p, r: (
            r**p * p,
            1 - r**p * p - (1 - r) ** p * p,
            (1 - r) ** p * p,
        ),
        "one coin too few is counted": by_count(lambda p: p * p - 1),
        "one coin too many is counted": by_count(lambda p: p * p + 1),
        "this is one coin for a patch; the line has one for each pixel": by_count(lambda p: 1),
        "`ratio` is not used: the coin is not fair": lambda p, r: right(p, 0.5),
        "`ratio` is a share from 0 to 1, not in percent": lambda p, r: right(p, r / 100),
        "one hidden pixel does not hide the patch: all must be hidden": changed(lambda h, m, v: (1 - v, 0.0, v)),
        "a pixel is visible with the chance `1 - ratio`": changed(lambda h, m, v: (h, 1 - 2 * h, h)),
        "hidden and visible are swapped": changed(lambda h, m, v: (v, m, h)),
        "the order is hidden, mixed, visible": changed(lambda h, m, v: (h, v, m)),
        "the order is hidden, mixed, visible: mixed is the second": changed(lambda h, m, v: (m, h, v)),
        "the visible patches are counted as mixed, too": changed(lambda h, m, v: (h, m + v, v)),
        "the hidden patches are counted as mixed, too": changed(lambda h, m, v: (h, m + h, v)),
        "not hidden whole is not yet visible whole": changed(lambda h, m, v: (h, 0.0, 1 - h)),
        "`mixed` is no product: it is what is left of 1": changed(lambda h, m, v: (h, h * v, v)),
        "their product is taken away from 1: take away both, `1 - hidden - visible`": changed(
            lambda h, m, v: (h, 1 - h * v, v)
        ),
        "both are taken away from 1: `1 - (hidden + visible)`": changed(lambda h, m, v: (h, 1 - h + v, v)),
        "the chances of independent coins are multiplied, not added": (
            lambda p, r: (r * p * p, 1 - p * p, (1 - r) * p * p)
        ),
        "the chance that all are visible is a power, too": changed(
            lambda h, m, v: (h, 1 - h - (1 - h) / 2, (1 - h) / 2)
        ),
        "these are percent: give shares of 1": changed(lambda h, m, v: (100 * h, 100 * m, 100 * v)),
        "this is one share: return all three": changed(lambda h, m, v: h),
        "return three shares: one is missing": changed(lambda h, m, v: (h, m)),
        "return three shares: `mixed` is missing": changed(lambda h, m, v: (h, v)),
    }
    for pixels in (4, 16, 64, 256):
        mistakes[f"`patch` is not used: each patch has {pixels} pixels"] = by_count(lambda p, n=pixels: n)
    for factor, product in (1, "ratio * (1 - ratio)"), (2, "2 * ratio * (1 - ratio)"):
        mistakes[f"`mixed` is what is left of 1, not `{product}`"] = lambda p, r, factor=factor: (
            right(p, r)[0],
            factor * r * (1 - r),
            right(p, r)[2],
        )
    for digits in (1, 2, 3, 4):
        mistakes[f"the shares are rounded to {digits} digits: leave them as they are"] = changed(
            lambda *shares, digits=digits: tuple(round(share, digits) for share in shares)
        )
    problem = explain(answer, right, cases, mistakes, tolerance=1e-6)
    yield "gives the shares of patches that are hidden, mixed and visible", problem
    if problem:
        return

    for side in (4, 5):
        hidden, _, visible = answer(side, 0.5)
        for got in (hidden, visible):
            want = 0.5 ** (side * side)
            yield (
                "keeps small shares",
                compare(got, want, {"it is rounded": round(want, 6)}, tolerance=1e-6 * want),
            )
    for edge in (0.0, 1.0):
        yield "is right where nothing or everything is hidden", compare(answer(3, edge), (edge, 0.0, 1 - edge))


@check(
    "Write down the axes that hide in each axis of `patches`: 1 is (rows cols), and 2 is (p q c). Which of these "
    "five make up the height of the image, in which order? Which the width?",
    "The height is (rows p), the width (cols q). With `view`, split into six axes: batch, rows, cols, p, q, c; "
    "`permute` them to batch, c, rows, p, cols, q; join with `reshape`. Or write just this as one einops pattern.",
    gradient=(0,),
    batched=(0,),
)
def mae_to_images(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`mae_to_images(patches, patch, grid)` puts images together from patches in MAE's order."""
    rows, cols, small, large = distinct(rng, 4, 2, 6)
    wide, tall = (min(rows, cols), max(rows, cols)), (max(rows, cols), min(rows, cols))

    def patches_of(batch: int, patch: int, grid: Grid) -> Tensor:
        return 2 * torch.randn(batch, math.prod(grid), 3 * patch**2, generator=rng)

    def joined(order: str, pattern: str = "b c (rows p) (cols q)") -> Callable:
        return lambda x, p, grid: rearrange(
            x, f"b {order} -> {pattern}", rows=grid[0], cols=grid[1], p=p, q=p, c=3
        )

    cases = [(patches_of(2, small, wide), small, wide), (patches_of(4, large, tall), large, tall)]
    right = joined("(rows cols) (p q c)")
    mistakes = {
        "the values are read colour by colour, as in SimMIM; MAE writes pixel by pixel": joined(
            "(rows cols) (c p q)"
        ),
        "`reshape` alone keeps the order of the memory: split the axes, permute, join": (
            lambda x, p, grid: x.reshape(len(x), 3, grid[0] * p, -1)
        ),
        "only the colours are moved: (rows cols p q) must become (rows p) (cols q), too": (
            lambda x, p, grid: x.reshape(len(x), grid[0] * p, -1, 3).permute(0, 3, 1, 2)
        ),
        "the patches are read downwards; they go from left to right first": joined("(cols rows) (p q c)"),
        "rows and columns are swapped inside each patch": joined("(rows cols) (q p c)"),
        "height and width are swapped: the image lies on its side": joined(
            "(rows cols) (p q c)", "b c (cols q) (rows p)"
        ),
        "`grid` is (rows, cols), not (cols, rows)": lambda x, p, grid: right(x, p, grid[::-1]),
        "both are read downwards: the patches, and the pixels of each": joined("(cols rows) (q p c)"),
        "the patches are spread over the image: join `(rows p)`, not `(p rows)`": joined(
            "(rows cols) (p q c)", "b c (p rows) (q cols)"
        ),
        "the colours are the last axis; make them the second": joined(
            "(rows cols) (p q c)", "b (rows p) (cols q) c"
        ),
        "the colours are still the last axis when rows are joined: move them before": (
            lambda x, p, grid: joined("(rows cols) (p q c)", "b (rows p) (cols q) c")(x, p, grid).reshape(
                len(x), 3, grid[0] * p, -1
            )
        ),
        "each patch is still alone: join rows and p, cols and q": joined(
            "(rows cols) (p q c)", "b c rows p cols q"
        ),
        "the colours are in the opposite order: leave them RGB": lambda x, p, grid: right(x, p, grid).flip(1),
        "the image is upside down": lambda x, p, grid: right(x, p, grid).flip(2),
        "the image is mirrored": lambda x, p, grid: right(x, p, grid).flip(3),
        "the values are cut off at 0 and 1: leave them as they are": (
            lambda x, p, grid: right(x, p, grid).clamp(0, 1)
        ),
        "a Sigmoid was added: leave the values as they are": lambda x, p, grid: right(x, p, grid).sigmoid(),
        "there is one image; give one for each of the batch": lambda x, p, grid: right(x, p, grid)[0],
        "the patches of the first image are used for all": (
            lambda x, p, grid: right(x[:1], p, grid).expand(len(x), -1, -1, -1)
        ),
        "the colours are averaged to one: each has its own values": (
            lambda x, p, grid: right(x, p, grid).mean(1, keepdim=True)
        ),
        "the colours are averaged: each has its own values": (
            lambda x, p, grid: right(x, p, grid).mean(1, keepdim=True).expand(-1, 3, -1, -1)
        ),
    }
    problem = explain(answer, right, cases, mistakes, tolerance=1e-6)
    yield "puts every value in its place", problem
    if problem:
        return

    patches, patch, grid = cases[0]
    yield (
        "works with a patch of one pixel",
        compare(answer(patches[..., :3], 1, grid), right(patches[..., :3], 1, grid)),
    )
    for thin in ((1, math.prod(grid)), (math.prod(grid), 1)):
        yield "works on a single row or column", compare(answer(patches, patch, thin), right(patches, patch, thin))


@check(
    "One slice cannot take another number of patches from each image. Think of ranks: in a random order of the "
    "patches of an image, the first has rank 0. Which ranks are hidden if `count` patches shall be?",
    "`torch.rand(len(ratios), rows * cols, generator=generator).argsort(1)` is a random order for each image, and "
    "also random ranks. Compare them with `torch.ceil(ratios * rows * cols)[:, None]`: a count for each row.",
)
def masks_of_ratios(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`masks_of_ratios(grid, ratios, generator)` hides ceil(ratio * patches), with a ratio for each image."""
    seed = int(torch.randint(10_000, (1,), generator=rng))
    rows, cols = distinct(rng, 2, 4, 9)

    def draw(grid: Grid, counts: list[float], extra: int = 0) -> Tensor:
        """Masks for ratios that ask for these numbers of patches."""
        return answer(grid, torch.tensor(counts) / math.prod(grid), Generator().manual_seed(seed + extra))

    # Where `ceil` and `round` agree and where not; 5 patches of 8 and 1 of 4 are whole numbers in floats, too.
    part = float(torch.randint(1, rows * cols, (1,), generator=rng))
    cases = [
        ((rows, cols), [part - 0.75, part - 0.25, 0.05, rows * cols - 0.4]),
        ((5, 7), [12.25, 20.75, 3.4]),
        ((5, 8), [20.004, 7.5]),
        ((2, 4), [0.0, 8.0, 5.0, 2.0, 0.2]),
        ((9, 1), [4.5]),
        ((1, 1), [0.5, 0.0]),
    ]
    masks = [draw(grid, counts) for grid, counts in cases]
    problem = wrong_forms(masks, [(len(counts), *grid) for grid, counts in cases])
    yield "returns True and False of shape (batch, rows, cols)", problem
    if problem:
        return

    many = {0.5929: draw((5, 7), [20.75] * 100, 1), 0.35: draw((5, 7), [12.25] * 100, 2)}
    problem = mixed_up(many[0.35], masks[4]) or wrong_own_counts(cases, masks, many)
    yield "hides ceil(ratio * patches) patches, by the ratio of each image", problem
    if not problem:
        yield from chances(lambda batch, grid, generator: answer(grid, torch.full((batch,), 0.5), generator), rng)


def wrong_own_counts(
    cases: list[tuple[Grid, list[float]]], masks: list[Tensor], many: dict[float, Tensor]
) -> Verdict:
    """What is wrong with the numbers of hidden patches, for cases of a grid and what the ratios ask for.

    `many` are masks of 5 x 7 patches by the one ratio that they have.
    """
    for ratio, drawn in many.items():
        counts = drawn.sum((1, 2))
        if counts.min() < counts.max():
            why = first(
                (fair(counts.sum(), 35 * len(counts), ratio), "is it a coin for each patch?"),
                (bool(counts.min() == 0 and counts.max() == math.ceil(35 * ratio)), SOME),
                (bool(counts.max() <= math.ceil(35 * ratio)), "is one drawn twice?"),
                (True, "every image must hide as many"),
            )
            return (
                f"for a ratio of {ratio:.3g} of 5 x 7 patches, 100 times, from {counts.min()} to {counts.max()} "
                f"are hidden: {why}"
            )

    def hides(rule: Callable[[int, int, Tensor], Tensor]) -> dict[str, list[float]]:
        """By case what `rule(rows, cols, patches asked for)` hides."""
        return {
            f"{', '.join(f'{count:.5g}' for count in asked)} of {r} x {c} patches": (
                rule(r, c, torch.tensor(asked).double()).clamp(0, r * c).tolist()
            )
            for (r, c), asked in cases
        }

    mistakes = {
        "the ratios are the shares to hide, not to show": lambda r, c, n: (r * c - n).ceil(),
        "True and False are swapped": lambda r, c, n: r * c - n.ceil(),
        "`int` and `floor` go down, `ceil` never does": lambda r, c, n: n.floor(),
        "`round` may go down, `ceil` never does": lambda r, c, n: n.round(),
        "a count of 20.004 is rounded down: `ceil` never goes down": lambda r, c, n: (n + 0.99).floor(),
        "one too many is hidden where the count is whole": lambda r, c, n: n.floor() + 1,
        "all is hidden where the count is 0: the place `count - 1` is then the last one": (
            lambda r, c, n: n.ceil().where(n > 0, r * c)
        ),
        "all is hidden unless the count is 0: are random numbers compared with it, not ranks?": (
            lambda r, c, n: r * c * (n > 0).double()
        ),
        "one too many is hidden: the ranks begin at 0, so use `<`": lambda r, c, n: n.ceil() + 1,
        "one too few is hidden": lambda r, c, n: n.ceil() - 1,
        "one is hidden where the ratio is 0, which hides nothing": lambda r, c, n: n.ceil().clamp(min=1),
        "one stays visible, but a count may be that of all patches": lambda r, c, n: n.ceil().clamp(max=r * c - 1),
        "the grid has rows * cols patches, not rows * rows": lambda r, c, n: (n / c * r).ceil(),
        "the grid has rows * cols patches, not cols * cols": lambda r, c, n: (n / r * c).ceil(),
        "all images have the first ratio; each has its own": lambda r, c, n: n[:1].ceil().expand(len(n)),
        "all images have the last ratio; each has its own": lambda r, c, n: n[-1:].ceil().expand(len(n)),
        "all images have the mean of the ratios; each has its own": (
            lambda r, c, n: n.mean(0, keepdim=True).ceil().expand(len(n))
        ),
        "all images have the largest ratio; each has its own": lambda r, c, n: n.max().ceil().expand(len(n)),
        "all images have the smallest ratio; each has its own": lambda r, c, n: n.min().ceil().expand(len(n)),
        "the ratios are in the opposite order": lambda r, c, n: n.flip(0).ceil(),
        "the ratios are sorted: each belongs to its image": lambda r, c, n: n.sort().values.ceil(),
        "round up the whole count once, not each row": lambda r, c, n: r * (n / r).ceil(),
        "round up the whole count once, not each column": lambda r, c, n: c * (n / c).ceil(),
    }
    got = {name: mask.sum((1, 2)).tolist() for name, mask in zip(hides(lambda r, c, n: n), masks, strict=True)}
    known = {text: hides(rule) for text, rule in mistakes.items()}
    return compare(got, hides(lambda r, c, n: n.ceil()), known)


@check(
    "Take one hidden pixel. It is blind if no pixel of its window is visible. What says that "
    "a pixel lies in the window: the straight line, or the larger distance of rows and columns?",
    "`max_pool2d((~mask).float(), 2 * reach + 1, stride=1, padding=reach)` is 1 where the window has a visible "
    "pixel. Count the hidden pixels where it is 0, and divide by all hidden pixels of the image, at least by 1.",
    batched=(0,),
)
def blind_share(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`blind_share(mask, reach)` is the share of hidden pixels without a visible pixel in their window."""
    sizes = distinct(rng, 6, 9, 16)
    masks = [few_visible(3, *sizes[:2], rng), few_visible(4, *sizes[2:4], rng), few_visible(2, *sizes[4:], rng)]
    cases = list(zip(masks, (2, 3, 4), strict=True))

    def each(measure: Callable[[Tensor, int], Tensor], p: float = inf) -> Callable:
        """Of each image: `measure` of the distances by the p-norm, (hidden, visible), and the reach."""
        return lambda mask, reach: torch.stack(
            [measure(torch.cdist(m.nonzero().float(), (~m).nonzero().float(), p), reach).float() for m in mask]
        )

    def blind(d: Tensor, reach: float) -> Tensor:
        return (d.amin(1) > reach).float()

    def visible_outside(mask, reach):
        seen = avg_pool2d(mask.float(), 2 * reach + 1, stride=1, padding=reach) < 1 - 1e-4
        return (mask & ~seen).sum((1, 2)) / mask.sum((1, 2))

    def around(mask, left, right, mode="constant"):
        """Which pixels see one in a window that goes so far up and left, and so far down and right."""
        padded = pad((~mask).float(), (left, right, left, right), mode=mode)
        return max_pool2d(padded, left + right + 1, stride=1) > 0

    def without_windows_at_the_edge(mask, reach):
        return ~mask | pad(around(mask, reach, reach)[:, reach:, reach:], (reach, 0, reach, 0))

    def in_line(mask, reach):
        lines = ((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))
        return sum(max_pool2d((~mask).float(), size, 1, padding) for size, padding in lines) > 0

    def by_sight(sees: Callable[[Tensor, int], Tensor]) -> Callable:
        return lambda mask, reach: (~sees(mask, reach)).sum((1, 2)) / mask.sum((1, 2))

    right = each(lambda d, reach: blind(d, reach).mean())
    mistakes = {
        "a window is square: the straight line leaves out its corners": each(lambda d, r: blind(d, r).mean(), 2),
        "a window is square: rows + columns leaves out its corners": each(lambda d, r: blind(d, r).mean(), 1),
        "the window is one pixel too small: `reach` pixels away is inside": each(
            lambda d, r: blind(d, r - 1).mean()
        ),
        "the window is one pixel too large: `reach` pixels away is the last": each(
            lambda d, r: blind(d, r + 1).mean()
        ),
        "the window is too small: `reach` goes to each side": each(lambda d, r: blind(d, r // 2).mean()),
        "the window is too large: it goes `reach` to each side, not twice as far": each(
            lambda d, r: blind(d, 2 * r).mean()
        ),
        "`reach` is not used": each(lambda d, r: blind(d, 1).mean()),
        "this is the share of hidden pixels that see a visible one": each(lambda d, r: 1 - blind(d, r).mean()),
        "this is a count: divide it by the number of hidden pixels": each(lambda d, r: blind(d, r).sum()),
        "the share is of all pixels; here it is of the hidden ones": each(
            lambda d, r: blind(d, r).sum() / sum(d.shape)
        ),
        "the count is divided by the visible pixels; divide by the hidden ones": each(
            lambda d, r: blind(d, r).sum() / d.shape[1]
        ),
        "this is in percent: give a share of 1": each(lambda d, r: 100 * blind(d, r).mean()),
        "hidden and visible are swapped: True = hidden": lambda mask, r: right(~mask, r),
        "all are blind: one hidden pixel is not enough, the whole window must be hidden": each(
            lambda d, r: torch.ones(())
        ),
        "one visible pixel in the window is enough; this asks for all of them": each(
            lambda d, r: (d.amax(1) > r).float().mean()
        ),
        "this is the share of all pairs of pixels; only the nearest visible one counts": each(
            lambda d, r: (d > r).float().mean()
        ),
        "1 is added to the number of hidden pixels: divide by it, but at least by 1": each(
            lambda d, r: blind(d, r).sum() / (1 + len(d))
        ),
        "the share is rounded: keep its digits": each(lambda d, r: blind(d, r).mean().round(decimals=2)),
        "what lies outside of the image counts as visible": visible_outside,
        "the window goes round the edge, to the other end of the image": by_sight(
            lambda mask, r: around(mask, r, r, "circular")
        ),
        "windows that begin above or left of the image are empty: begin at max(0, y - reach)": (
            by_sight(without_windows_at_the_edge)
        ),
        "the window goes down and right alone: it goes up and left, too": by_sight(
            lambda mask, r: around(mask, 0, r)
        ),
        "the window goes up and left alone: it goes down and right, too": by_sight(
            lambda mask, r: around(mask, r, 0)
        ),
        "the window has 2 * reach + 1 pixels on a side, not 2 * reach": by_sight(
            lambda mask, r: around(mask, r, r - 1)
        ),
        "a window is square, not only the row and the column of the pixel": by_sight(in_line),
        "this is one number for the whole batch; each image has its own": lambda mask, r: right(mask, r).mean(),
        "all images have the mean of the batch; each has its own": (
            lambda mask, r: right(mask, r).mean().expand(len(mask))
        ),
        "this is the share of all hidden pixels of the batch; each image has its own": (
            lambda mask, r: (right(mask, r) * mask.sum((1, 2))).sum() / mask.sum()
        ),
        "all images have the share of the whole batch; each has its own": lambda mask, r: (
            (right(mask, r) * mask.sum((1, 2))).sum() / mask.sum()
        ).expand(len(mask)),
        "this is True where a pixel is blind: give its share for each image": (
            lambda mask, r: mask & (max_pool2d((~mask).float(), 2 * r + 1, stride=1, padding=r) == 0)
        ),
        "this is whether an image has a blind pixel: give their share": lambda mask, r: right(mask, r) > 0,
    }
    problem = explain(answer, right, cases, mistakes)
    yield "counts the hidden pixels that see nothing, as a share", problem
    if problem:
        return

    mask, reach = cases[0]
    nothing, everything = torch.zeros_like(mask[:1]), torch.ones_like(mask[:1])
    got = answer(torch.cat([nothing, mask, everything]), reach)
    if problem := form(torch.nan_to_num(got) if isinstance(got, Tensor) else got, (len(mask) + 2,), torch.float32):
        yield "gives a number for each image", problem
        return
    yield "measures each image on its own", compare(got[1:-1], right(mask, reach))
    divided = bool(got[0].isnan()), "NaN: 0 is divided by 0"
    yield "is 0 where nothing is hidden", first(divided) or compare(got[0], 0.0)
    yield "is 1 where nothing is visible", compare(got[-1], 1.0)
    yield (
        "is 1 where nothing is visible",
        compare(answer(everything.expand(2, -1, -1), max(sizes)), torch.ones(2)),
    )
    for some in (mask, ~few_visible(2, 3, 4, rng)):  # of the last, one has a single hidden pixel
        yield "is 1 where a pixel sees only itself", compare(answer(some, 0), torch.ones(len(some)))
    yield "is 0 where a window holds the image", compare(answer(mask, max(sizes)), torch.zeros(len(mask)))
    for line in (few_visible(2, 1, 9, rng), few_visible(2, 10, 1, rng)):
        yield "works on a single row or column", compare(answer(line, 2), right(line, 2))


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
        "S_vv stands in the place of its inverse: use `torch.linalg.solve` or `inv`": (
            filled(mean[h] + S_hv @ S_vv @ d[v])
        ),
        "only the diagonal of S_vv is used: the clues depend on each other, too": (
            filled(mean[h] + S_hv @ (d[v] / S_vv.diagonal()))
        ),
        "each entry of S_vv is inverted, not the matrix: use `torch.linalg.solve` or `inv`": (
            filled(mean[h] + S_hv @ (1 / S_vv) @ d[v])
        ),
        "the visible values lose their own average: subtract `mean`, which is given": (
            filled(mean[h] + S_hv @ torch.linalg.solve(S_vv, values[v] - values[v].mean()))
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
        "the visible values became the mean: keep them": torch.where(h, want, mean),
        "hidden and visible are swapped: True = hidden": (
            values.masked_scatter(v, mean[v] + S_vh @ torch.linalg.solve(S_hh, d[h]))
        ),
    }
    got = answer(values, h, mean, S)
    problem = compare(got, want, mistakes)
    yield "fills the hidden values by the formula", problem
    if form(got, (8,), torch.float32):
        return
    other = answer(values.masked_fill(h, 7.0), h, mean, S)
    changed = compare(other, got)
    yield (
        "does not look at the hidden values",
        first(
            (
                changed is not None and bool((other[h] == 7).any()),
                "a hidden place holds what was given: is `return` inside the loop, or is the guess written into a "
                "copy, as by `filled[hidden][:] =`? Write `filled[hidden] =`",
            ),
            (
                changed is not None,
                "other hidden values gave another result: they are the answer, so do not use them",
            ),
        ),
    )
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
        got = answer(values, h, mean, S)
        problem = compare(got, lmmse(values, h, mean, S))
        yield "fills any number of values", problem
        rounded = not problem and bool((got != values)[~h].any())
        text = "visible values are close, but rounded: take them, do not compute them"
        yield "keeps visible values to the bit", first((rounded, text))
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


GUESSES: dict[str, Guess] = {
    "numbers_in_a_row": Guess(768, "16 x 16 pixels, with 3 colours each"),
    "repeated_mask": Guess(
        "a checkerboard of pixels",
        "`repeat` lays copies of the whole mask side by side, and each entry stays one pixel",
        choices=("the same", "a checkerboard of pixels", "the mask with True and False swapped"),
    ),
    "farther_from_a_clue": Guess(
        "half, in cells of 16",
        "in small cells a visible pixel is always near, however many are hidden",
        choices=("three quarters, in cells of 4", "half, in cells of 16"),
    ),
    "best_clue": Guess(
        "the red beside it",
        "two neighbours mostly show the same thing in the same light, while red and green differ with the colour",
        choices=("its own green", "the red beside it"),
    ),
    "found_by_arithmetic": Guess(
        "less than half",
        "most hidden pixels are many pixels away from a clue, and there one number says little about another",
        choices=("nearly all", "about three quarters", "less than half"),
    ),
    "who_fills_the_hole": Guess(
        "SimMIM",
        "in the middle of the square no clue is near, so it helps to know what pictures look like",
        choices=("biharmonic", "LMMSE", "SimMIM"),
    ),
    "three_coins": Guess(0.125, "three coins must agree: 1/2 x 1/2 x 1/2", within=0.01),
}
