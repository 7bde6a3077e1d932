"""Checks of lesson 11 and its exercises: masked image modelling next to its relatives."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from einops import rearrange
from torch import Generator, Tensor

from simmim_lab import masking
from simmim_lab.checks import solutions
from simmim_lab.checks.core import Answer, Verdict, check, distinct, explain, first, telling
from simmim_lab.checks.guessing import Guess
from simmim_lab.checks.masking import chances, wrong_counts, wrong_forms


@check(
    "The tokens lie in a list, the mask on a grid: bring the mask into the form of the list. What does a tensor "
    "give if a mask picks from it, and which axis is lost?",
    "`tokens[~mask.flatten(1)]` has the visible tokens of all images, one after the other. Each image has equally "
    "many, so `unflatten(0, (len(tokens), -1))`, `view` or `reshape` gives each image its own again.",
    solution=solutions.keep_visible,
    gradient=(0,),
    batched=(0, 1),
)
def keep_visible(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`keep_visible(tokens, mask)` leaves the tokens of hidden patches out."""
    right = solutions.keep_visible
    cases = telling(lambda: [_tokens_and_mask(rng) for _ in range(2)], right, WRONG_KEPT)
    problem = explain(answer, right, cases, WRONG_KEPT)
    yield "keeps the tokens of visible patches, in their order", problem
    if problem:
        return
    tokens, mask = cases[0]
    single = ~torch.zeros_like(mask).flatten(1).index_fill(1, torch.tensor([3]), True).view(mask.shape)
    edges = [
        (tokens, torch.zeros_like(mask)),
        (tokens, single),
        (tokens[:, :, :1], mask),
        (tokens, mask.flatten(1)[:, None]),
        (tokens, mask.flatten(1)[:, :, None]),
        (tokens.masked_fill(mask.flatten(1)[:, :, None], math.nan), mask),
    ]
    yield "works if all or one are visible, for one row, one column and one number", explain(answer, right, edges)


def _hidden_patches(rng: Generator, batch: int, rows: int, cols: int, hidden: int) -> Tensor:
    """A mask that hides so many patches of each image."""
    return masking.random_mask(batch, (rows, cols), (hidden - 0.5) / (rows * cols), generator=rng)


def _tokens_and_mask(rng: Generator) -> tuple[Tensor, Tensor]:
    batch, rows, cols, dim = distinct(rng, 4, 2, 6)
    hidden = distinct(rng, 1, 2, rows * cols - 3)[0]
    return torch.randn(batch, rows * cols, dim, generator=rng), _hidden_patches(rng, batch, rows, cols, hidden)


def _kept(of: Callable[[Tensor], Tensor]) -> Callable:
    """What becomes of the right tokens."""
    return lambda tokens, mask: of(solutions.keep_visible(tokens, mask))


WRONG_KEPT: dict[str, Callable] = {
    "these are the tokens of the hidden patches: True is hidden": lambda t, m: solutions.keep_visible(t, ~m),
    "hidden tokens are set to 0: leave them out": lambda t, m: t * ~m.flatten(1)[:, :, None],
    "hidden tokens are set to NaN: leave them out": lambda t, m: t.masked_fill(m.flatten(1)[:, :, None], math.nan),
    "nothing is left out": lambda t, m: t,
    "the mask of the first image is used for all: each has its own": lambda t, m: t[:, ~m[0].flatten()],
    "the mask of the last image is used for all: each has its own": lambda t, m: t[:, ~m[-1].flatten()],
    "the first tokens are kept, whatever the mask hides": lambda t, m: t[:, : int((~m[0]).sum())],
    "the last tokens are kept, whatever the mask hides": lambda t, m: t[:, int(m[0].sum()) :],
    "all images share one list: give each its own": lambda t, m: t[~m.flatten(1)],
    "all images share one axis: give each its own": lambda t, m: t[~m.flatten(1)][None],
    "the mask is read column by column: patches come row by row": lambda t, m: solutions.keep_visible(t, m.mT),
    "the tokens are in the opposite order": _kept(lambda kept: kept.flip(1)),
    "the tokens of the images are mixed: the images are the first axis": _kept(
        lambda kept: kept.flatten(0, 1).view(kept.shape[1], len(kept), -1).transpose(0, 1)
    ),
    "the axes are in another order: (batch, visible, dim)": _kept(lambda kept: kept.mT),
    "the first axis counts the tokens: it should count the images": _kept(lambda kept: kept.transpose(0, 1)),
    "these are the places of the visible patches: return their tokens": lambda t, m: (
        (~m).flatten(1).nonzero()[:, 1].view(len(t), -1)
    ),
    "the visible tokens come first, but the hidden ones are still there": lambda t, m: torch.cat(
        [solutions.keep_visible(t, m), solutions.keep_visible(t, ~m)], 1
    ),
    "the tokens of an image are averaged: keep each": _kept(lambda kept: kept.mean(1)),
    "the tokens of an image are in one long list: keep the axis of their numbers": _kept(
        lambda kept: kept.flatten(1)
    ),
    "the last visible token is missing": _kept(lambda kept: kept[:, :-1]),
    "the first visible token is missing": _kept(lambda kept: kept[:, 1:]),
}


@check(
    "Begin with a list in which every place holds the mask token. Which places then get something else, and in "
    "which order do they come?",
    "`tokens = mask_token.repeat(batch, patches, 1)`, then `tokens[~mask.flatten(1)] = visible.flatten(0, 1)`: "
    "a mask on the left side fills its places one after the other, image by image.",
    solution=solutions.put_back,
    gradient=(0, 2),
    batched=(0, 1),
)
def put_back(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`put_back(visible, mask, mask_token)` has a token for each patch again."""
    right = solutions.put_back
    cases = telling(lambda: [_visible_tokens(rng, even) for even in (True, False)], right, WRONG_BACK)
    problem = explain(answer, right, cases, WRONG_BACK)
    yield "puts each visible token into its place, and the mask token where it is hidden", problem
    if problem:
        return
    visible, mask, token = cases[0]
    single = ~torch.zeros_like(mask).flatten(1).index_fill(1, torch.tensor([3]), True).view(mask.shape)
    every = torch.randn(len(mask), mask[0].numel(), len(token), generator=rng)
    edges = [
        (every, torch.zeros_like(mask), token),
        (visible[:, :1], single, token),
        (visible[:, :, :1], mask, token[:1]),
        (visible, mask.flatten(1)[:, None], token),
        (visible, mask.flatten(1)[:, :, None], token),
        (visible, mask, 0 * token),
    ]
    yield "works if all or one are visible, for one row, one column and one number", explain(answer, right, edges)


def _visible_tokens(rng: Generator, even: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Visible tokens, their mask and a mask token; `even`: half of the patches are hidden, else a few more."""
    batch, half_rows, cols, dim = distinct(rng, 4, 2, 6)
    rows = 2 * half_rows if even else half_rows
    hidden = rows * cols // 2 + (0 if even else 1)
    mask = _hidden_patches(rng, batch, rows, cols, hidden)
    visible = torch.randn(batch, rows * cols - hidden, dim, generator=rng)
    return visible, mask, torch.randn(dim, generator=rng)


def _returned(of: Callable[[Tensor], Tensor]) -> Callable:
    """What becomes of the right tokens."""
    return lambda visible, mask, token: of(solutions.put_back(visible, mask, token))


def _filled_in(mask: Tensor, visible: Tensor, token: Tensor) -> Tensor:
    """The visible tokens one after the other in the places (batch, tokens) of a mask, as far as they go."""
    tokens = token.repeat(*mask.shape, 1)
    tokens[mask] = visible
    return tokens


def _by_order(inverse: bool) -> Callable:
    """The visible tokens and then mask tokens, ordered by the order that sorts the mask, or by its inverse."""

    def answer(visible: Tensor, mask: Tensor, token: Tensor) -> Tensor:
        order = mask.flatten(1).int().argsort(1, stable=True)
        order = order.argsort(1) if inverse else order
        tokens = torch.cat([visible, token.expand(len(mask), order.shape[1] - visible.shape[1], -1)], 1)
        return tokens.gather(1, order[:, :, None].expand_as(tokens))

    return answer


WRONG_BACK: dict[str, Callable] = {
    "True is hidden: the visible tokens go where the mask is False": lambda v, m, t: _filled_in(
        m.flatten(1), v.flatten(0, 1), t
    ),
    "hidden places hold 0: they get the mask token": lambda v, m, t: solutions.put_back(v, m, 0 * t),
    "hidden places hold NaN: they get the mask token": lambda v, m, t: solutions.put_back(v, m, math.nan * t),
    "hidden places hold the mean of the mask token: it has a number for each": lambda v, m, t: solutions.put_back(
        v, m, t.mean().expand_as(t)
    ),
    "hidden places hold the mean of the visible tokens: they get the mask token": lambda v, m, t: torch.where(
        m.flatten(1)[:, :, None], v.mean(1, keepdim=True), solutions.put_back(v, m, t)
    ),
    "the mask token is added to visible tokens, too": lambda v, m, t: solutions.put_back(v + t, m, t),
    "the mask token is added to all, so hidden places have it twice": lambda v, m, t: (
        solutions.put_back(v, m, t) + t
    ),
    "the visible tokens come first, then mask tokens: put each into its place": lambda v, m, t: torch.cat(
        [v, t.expand(len(v), m[0].numel() - v.shape[1], -1)], 1
    ),
    "the mask tokens come first, then visible ones: put each into its place": lambda v, m, t: torch.cat(
        [t.expand(len(v), m[0].numel() - v.shape[1], -1), v], 1
    ),
    "the order that sorts the mask is not the way back: its inverse is, a second `argsort`": _by_order(False),
    "the visible tokens are put back in the opposite order": lambda v, m, t: solutions.put_back(v.flip(1), m, t),
    "the mask is read column by column: patches come row by row": lambda v, m, t: solutions.put_back(v, m.mT, t),
    "the mask of the first image is used for all: each has its own": lambda v, m, t: solutions.put_back(
        v, m[:1].expand_as(m), t
    ),
    "the mask of the last image is used for all: each has its own": lambda v, m, t: solutions.put_back(
        v, m[-1:].expand_as(m), t
    ),
    "the tokens of the images are mixed: keep the order image by image": lambda v, m, t: _filled_in(
        ~m.flatten(1), v.transpose(0, 1).flatten(0, 1), t
    ),
    "all visible places of an image get its first token": lambda v, m, t: solutions.put_back(
        v[:, :1].expand_as(v), m, t
    ),
    "only the visible tokens are there: hidden places get the mask token": lambda v, m, t: v,
    "all places hold the mask token: the visible ones get theirs": lambda v, m, t: t.repeat(
        *m.flatten(1).shape, 1
    ),
    "the result is a grid: return a list of tokens": lambda v, m, t: solutions.put_back(v, m, t).unflatten(
        1, m.shape[1:]
    ),
    "the axes are in another order: (batch, tokens, dim)": _returned(lambda tokens: tokens.mT),
    "the first axis counts the tokens: it should count the images": _returned(
        lambda tokens: tokens.transpose(0, 1)
    ),
    "all images share one list: give each its own": _returned(lambda tokens: tokens.flatten(0, 1)),
}


@check(
    "How many patches are hidden? Which `ceil(...)` patches of an image are the hardest: do you need the errors in "
    "order, or the places where the largest stand?",
    "`errors.flatten(1).topk(count, dim=1).indices` are the places of the largest errors of each image. "
    "`scatter(1, places, True)` on a tensor of False, of shape (batch, rows * cols), marks them; then `view`.",
    solution=solutions.hardest_mask,
    batched=(0,),
)
def hardest_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hardest_mask(errors, ratio)` hides the patches with the largest errors."""
    right = solutions.hardest_mask

    def draw() -> list[tuple]:
        parts = [(0.3, 0.7, 0.25), (0.3, 0.7, 0.75), (0.8, 0.9, 0.75), (0.5, 0.5, 0.0)]
        return [_errors(rng, *part) for part in parts]

    cases = telling(draw, right, WRONG_HARDEST)
    problem = explain(answer, right, cases, WRONG_HARDEST)
    yield "hides the ceil(ratio * patches) patches with the largest errors", problem
    if problem:
        return
    errors, _ = cases[0]
    whole = torch.rand(3, 4, 8, generator=rng)
    edges = [(whole, 0.25), (whole, 0.5), (errors, 0.0), (errors, 1.0), (errors, 1e-4), (errors[:, :1], 0.4)]
    edges += [(errors[:, :, :1], 0.4), (1000 * errors, 0.3), (errors / 1000, 0.3), (errors[:, :1, :1], 0.5)]
    yield (
        "works if all or none is hidden, for one row or column, and where no rounding is needed",
        explain(answer, right, edges),
    )
    yield "hides as many where errors are equal", _equal_errors(answer, rng)


def _errors(rng: Generator, low: float, high: float, more: float) -> tuple[Tensor, float]:
    """Errors, all different, and a ratio from `low` to `high` by which whole patches and a part `more` are hidden."""
    batch, rows, half_cols = distinct(rng, 3, 3, 7)
    shape = (batch, rows, 2 * half_cols)
    patches = shape[1] * shape[2]
    errors = (1 + torch.randperm(batch * patches, generator=rng)).view(shape) / 50
    count = distinct(rng, 1, math.ceil(low * patches), math.floor(high * patches))[0]
    return errors * (1 + torch.arange(batch))[:, None, None] ** 0.5, (count + more) / patches


def _equal_errors(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong where the errors are few different numbers, and any of equal ones may be hidden."""
    for values in (1, 2, 3):
        errors = torch.randint(values, (3, 4, 6), generator=rng) / 2.0
        mask = answer(errors, 0.3)
        if not (isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.shape == errors.shape):
            return "the result is not a mask of the shape of `errors`"
        counts = mask.sum((1, 2)).tolist()
        if counts != [8, 8, 8]:
            return (
                f"of 24 patches, many with equal errors, {counts[0]} are hidden: a ratio of 0.3 hides 8. Is there a "
                "threshold? Count places instead"
            )
        if (errors.masked_fill(~mask, math.inf).amin((1, 2)) < errors.masked_fill(mask, -1).amax((1, 2))).any():
            return "a patch is hidden though a visible one has a larger error"
    return None


def _hardest(
    rank: Callable[[Tensor], Tensor] = lambda e: e, count: Callable[[float], float] = math.ceil, of: Any = None
) -> Callable:
    """The so many largest of `rank(errors)` are hidden, of ratio * patches; then `of` is made of the mask."""

    def answer(errors: Tensor, ratio: float) -> Any:
        ranks = rank(errors).flatten(1).argsort(1, descending=True).argsort(1)
        mask = (ranks < count(ratio * errors[0].numel())).view(errors.shape)
        return of(mask) if of else mask

    return answer


WRONG_HARDEST: dict[str, Callable] = {
    "the easiest patches are hidden: the largest errors count": _hardest(lambda e: -e),
    "True and False are swapped: True is hidden": _hardest(of=torch.logical_not),
    "`int` goes down, `ceil` never does": _hardest(count=math.floor),
    "`round` may go down, `ceil` never does": _hardest(count=round),
    "one patch too many is hidden": _hardest(count=lambda n: math.ceil(n) + 1),
    "one patch too few is hidden": _hardest(count=lambda n: math.ceil(n) - 1),
    "`ratio` is the share to hide, not to show": lambda e, r: _hardest()(e, 1 - r),
    "the easiest are hidden, as many as should be shown": lambda e, r: _hardest(lambda e: -e)(e, 1 - r),
    "the patches of all images are ranked together: rank those of each image": lambda e, r: _hardest()(
        e.flatten()[None], math.ceil(r * e[0].numel()) * len(e) / e.numel()
    ).view(e.shape),
    "the errors of the batch are averaged: each image has its own": _hardest(lambda e: e.mean(0).expand_as(e)),
    "the first image decides for all: each has its own errors": _hardest(lambda e: e[:1].expand_as(e)),
    "`argsort` gives places in the order, not ranks: take it twice, or mark the places": lambda e, r: (
        e.flatten(1).argsort(1, descending=True) < math.ceil(r * e[0].numel())
    ).view(e.shape),
    "the hardest of each row are hidden: rank all patches of an image": lambda e, r: (
        e.argsort(2, descending=True).argsort(2) < math.ceil(r * e.shape[2])
    ),
    "the hardest of each column are hidden: rank all patches of an image": lambda e, r: (
        e.argsort(1, descending=True).argsort(1) < math.ceil(r * e.shape[1])
    ),
    "the ranks go along the axis of the images: rank the patches of each image": lambda e, r: (
        e.flatten(1).argsort(0, descending=True).argsort(0) < math.ceil(r * e[0].numel())
    ).view(e.shape),
    "`ratio` is taken for a limit of the errors: it says how many are hidden": lambda e, r: e > r,
    "what is above the mean is hidden: `ratio` says how many are": lambda e, r: e > e.mean((1, 2), keepdim=True),
    "a share of the largest error is the limit: `ratio` says how many are hidden": lambda e, r: (
        e > r * e.amax((1, 2), keepdim=True)
    ),
    "a share of the largest error is the limit: `ratio` says how many are hidden, not how many stay": lambda e, r: (
        e > (1 - r) * e.amax((1, 2), keepdim=True)
    ),
    "a quantile lies between two patches, and is rounded in another way: count with `ceil`": lambda e, r: (
        e > e.flatten(1).quantile(1 - r, dim=1)[:, None, None]
    ),
    "the first patches are hidden, whatever their errors": _hardest(
        lambda e: -torch.arange(e[0].numel()).expand(len(e), -1)
    ),
    "rows and columns of the mask are swapped": _hardest(of=lambda m: m.mT),
    "the mask is a list: it should have rows and columns": _hardest(of=lambda m: m.flatten(1)),
    "a mask holds True and False, not numbers": _hardest(of=lambda m: m.float()),
    "a mask holds True and False, not whole numbers": _hardest(of=lambda m: m.long()),
    "these are the places of the hardest patches: make a mask of them": lambda e, r: (
        e.flatten(1).topk(math.ceil(r * e[0].numel()), 1).indices
    ),
    "these are the errors, where they are hidden: return True and False": lambda e, r: e * _hardest()(e, r),
}


@check(
    "How is a mask drawn for one picture of each clip? And what must be the same in all frames, so that nothing "
    "can be copied from the frame before?",
    "`masking.random_mask(batch, grid, ratio, generator=generator)` draws (batch, rows, cols). A new axis behind "
    "the first, repeated `frames` times: einops' `repeat`, or `mask[:, None].repeat(1, frames, 1, 1)`.",
    solution=solutions.tube_mask,
)
def tube_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`tube_mask(batch, frames, grid, ratio, generator)` hides the same places in all frames of a clip."""
    seed = int(torch.randint(10_000, (), generator=rng))
    rows, cols, batch, frames = distinct(rng, 4, 4, 9)

    def draw(batch: int, frames: int, grid: tuple[int, int], ratio: float, extra: int = 0) -> Tensor:
        return answer(batch, frames, grid, ratio, generator=Generator().manual_seed(seed + extra))

    part = distinct(rng, 1, 1, rows * cols - 1)[0] - 0.25  # places: here `round` is right
    cases = [(5, 7, 0.6), (5, 7, 0.35), (rows, cols, part / (rows * cols)), (rows, cols, 0.001), (9, 1, 0.5)]
    cases += [(1, 1, 0.5), (4, 6, 0.0), (4, 6, 1.0)]
    shapes = [(batch, frames, rows, cols)]
    shapes += [(1 + number, 2 + number % 3, r, c) for number, (r, c, _) in enumerate(cases)]
    masks = [draw(batch, frames, (rows, cols), 0.4)]
    masks += [draw(*shape[:2], case[:2], case[2]) for shape, case in zip(shapes[1:], cases, strict=True)]
    problem = _wrong_layout(masks[0], shapes[0]) or wrong_forms(masks, shapes)
    yield "returns True and False of shape (batch, frames, rows, cols)", problem
    if problem:
        return
    problem = first(*(verdict for mask in masks for verdict in _broken_tubes(mask)))
    yield "hides the same places in all frames of a clip", problem
    if problem:
        return
    many = torch.stack([draw(50, 2, (5, 7), 0.6, extra)[:, 0] for extra in range(4)])
    problem = wrong_counts(cases, [mask[:, 0].sum((1, 2)) for mask in masks[1:]], many)
    yield "hides ceil(ratio * rows * cols) places", problem
    if not problem:
        yield from chances(lambda n, grid, generator: answer(n, 2, grid, 0.5, generator=generator)[:, 0], rng)


def _wrong_layout(mask: Any, shape: tuple[int, int, int, int]) -> Verdict:
    """A known mistake in the shape, whose four numbers are different; else nothing."""
    batch, frames, rows, cols = shape
    texts = {
        (
            frames,
            batch,
            rows,
            cols,
        ): "the first axis counts the frames: clips come first, (batch, frames, rows, cols)",
        (batch, rows, cols, frames): "the frames are the last axis: they come second, (batch, frames, rows, cols)",
        (batch, rows, cols): "the frames are missing: the shape is (batch, frames, rows, cols)",
        (batch, 1, rows, cols): "there is one frame: repeat it",
        (batch * frames, rows, cols): "the frames of all clips are in one list: (batch, frames, rows, cols)",
        (batch, frames * rows, cols): "the frames stand below each other: they have an axis of their own",
        (batch, frames, cols, rows): "rows and columns are swapped: (batch, frames, rows, cols)",
        (batch, frames, rows * cols): "the places are in a list: give them rows and columns",
    }
    return texts.get(tuple(mask.shape)) if isinstance(mask, Tensor) else None


def _broken_tubes(mask: Tensor) -> Iterator[tuple[bool, str]]:
    """What may be wrong with the frames of (batch, frames, rows, cols)."""
    hidden = mask.sum((2, 3)).float()
    same = mask[:, :1] == mask
    yield (
        not same.all() and bool((hidden[:, 0] == 0).all() and (mask[:, 1:] == mask[:, 1:2]).all()),
        "the first frame is shown whole: the tubes begin there",
    )
    yield (
        not same.all() and bool((hidden[:, -1] == 0).all() and (mask[:, :-1] == mask[:, :1]).all()),
        "the last frame is shown whole: the tubes end there",
    )
    yield (
        not same.all() and bool((hidden == hidden[:, :1]).all()),
        "each frame hides other places: what is hidden in one can be copied from the next. Draw once for a clip",
    )
    yield (
        not same.all(),
        "the frames hide different numbers of places: are they drawn from all frames together? Draw once for a clip",
    )


GUESSES: dict[str, Guess] = {}
