"""Checks of lesson 11 and its exercises: masked image modelling next to its relatives."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from einops import rearrange
from torch import Generator, Tensor
from torch.nn.functional import interpolate, one_hot

from simmim_lab import guided, mae, masking, video
from simmim_lab.checks.core import (
    Answer,
    Verdict,
    check,
    distinct,
    explain,
    first,
    gradients,
    other_gradient,
    telling,
)
from simmim_lab.checks.guessing import Guess
from simmim_lab.checks.masking import chances, wrong_counts, wrong_forms


@check(
    "The tokens lie in a list, the mask on a grid: bring the mask into the form of the list. What does a tensor "
    "give if a mask picks from it, and which axis is lost?",
    "`tokens[~mask.flatten(1)]` has the visible tokens of all images, one after the other. Each image has equally "
    "many, so `unflatten(0, (len(tokens), -1))`, `view` or `reshape` gives each image its own again.",
    solution=mae.keep_visible,
    gradient=(0,),
    batched=(0, 1),
)
def keep_visible(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`keep_visible(tokens, mask)` leaves the tokens of hidden patches out."""
    right = mae.keep_visible
    cases = telling(lambda: [_tokens_and_mask(rng, more) for more in (0, 0, LARGE)], right, WRONG_KEPT)
    texts = {UNSTABLE: lambda tokens, mask: _in_any_order(answer(tokens, mask), right(tokens, mask))}
    problem = explain(answer, right, cases, WRONG_KEPT | texts)
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
        (0 * tokens, mask),
    ]
    yield (
        "works if all or one are visible, for one row, one column and one number, and for tokens of 0",
        explain(answer, right, edges),
    )


def _hidden_patches(rng: Generator, batch: int, rows: int, cols: int, hidden: int) -> Tensor:
    """A mask that hides so many patches of each image."""
    return masking.random_mask(batch, (rows, cols), (hidden - 0.5) / (rows * cols), generator=rng)


LARGE = 14  # rows and columns more: PyTorch keeps the order of equal keys where there are few
UNSTABLE = "the tokens are right, but not their order: `stable=True` keeps that of equal keys"


def _in_any_order(got: Tensor, want: Tensor) -> Tensor:
    """`got` if each image has the tokens of `want`, in whatever order, else `want`."""
    return got if torch.equal(got.sort(1).values, want.sort(1).values) else want


def _tokens_and_mask(rng: Generator, more: int) -> tuple[Tensor, Tensor]:
    batch, rows, cols, dim = distinct(rng, 4, 2, 6)
    rows, cols = rows + more, cols + more
    hidden = distinct(rng, 1, 2, rows * cols - 3 - 9 * more)[0]
    return torch.randn(batch, rows * cols, dim, generator=rng), _hidden_patches(rng, batch, rows, cols, hidden)


def _kept(of: Callable[[Tensor], Tensor]) -> Callable:
    """What becomes of the right tokens."""
    return lambda tokens, mask: of(mae.keep_visible(tokens, mask))


WRONG_KEPT: dict[str, Callable] = {
    "these are the tokens of the hidden patches: True is hidden": lambda t, m: mae.keep_visible(t, ~m),
    "hidden tokens are set to 0: leave them out": lambda t, m: t * ~m.flatten(1)[:, :, None],
    "nothing is left out": lambda t, m: t,
    "the mask of the first image is used for all: each has its own": lambda t, m: t[:, ~m[0].flatten()],
    "the mask of the last image is used for all: each has its own": lambda t, m: t[:, ~m[-1].flatten()],
    "the first tokens are kept, whatever the mask hides": lambda t, m: t[:, : int((~m[0]).sum())],
    "the last tokens are kept, whatever the mask hides": lambda t, m: t[:, int(m[0].sum()) :],
    "all images share one list: give each its own": lambda t, m: t[~m.flatten(1)],
    "all images share one axis: give each its own": lambda t, m: t[~m.flatten(1)][None],
    "the mask is read column by column: patches come row by row": lambda t, m: mae.keep_visible(t, m.mT),
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
        [mae.keep_visible(t, m), mae.keep_visible(t, ~m)], 1
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
    solution=mae.put_back,
    gradient=(0, 2),
    batched=(0, 1),
)
def put_back(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`put_back(visible, mask, mask_token)` has a token for each patch again."""
    right = mae.put_back

    def draw() -> list[tuple]:
        return [_visible_tokens(rng, *kind) for kind in ((True, 0), (False, 0), (False, LARGE))]

    def reordered(visible: Tensor, mask: Tensor, token: Tensor) -> Tensor:
        got = mae.keep_visible(answer(visible, mask, token), mask)
        return right(_in_any_order(got, visible), mask, token)

    cases = telling(draw, right, WRONG_BACK)
    problem = explain(answer, right, cases, WRONG_BACK | {UNSTABLE: reordered})
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
        (0 * visible, mask, token),
    ]
    yield (
        "works if all or one are visible, for one row, one column and one number, and for tokens of 0",
        explain(answer, right, edges),
    )


def _visible_tokens(rng: Generator, even: bool, more: int) -> tuple[Tensor, Tensor, Tensor]:
    """Visible tokens, their mask and a mask token; `even`: half of the patches are hidden, else a few more."""
    batch, half_rows, cols, dim = distinct(rng, 4, 2, 6)
    rows, cols = more + (2 * half_rows if even else half_rows), more + cols
    hidden = rows * cols // 2 + (0 if even else 1)
    mask = _hidden_patches(rng, batch, rows, cols, hidden)
    visible = torch.randn(batch, rows * cols - hidden, dim, generator=rng)
    return visible, mask, torch.randn(dim, generator=rng)


def _returned(of: Callable[[Tensor], Tensor]) -> Callable:
    """What becomes of the right tokens."""
    return lambda visible, mask, token: of(mae.put_back(visible, mask, token))


def _filled_in(mask: Tensor, visible: Tensor, token: Tensor) -> Tensor:
    """The visible tokens one after the other in the places (batch, tokens) of a mask, as far as they go."""
    tokens = token.repeat(*mask.shape, 1)
    tokens[mask] = visible
    return tokens


def _by_order(inverse: bool) -> Callable:
    """The visible tokens and then mask tokens, ordered by the order that sorts the mask, or by its inverse."""

    def answer(visible: Tensor, mask: Tensor, token: Tensor) -> Tensor:
        order = mask.flatten(1).int().argsort(dim=1, stable=True)
        order = order.argsort(1) if inverse else order
        tokens = torch.cat([visible, token.expand(len(mask), order.shape[1] - visible.shape[1], -1)], 1)
        return tokens.gather(1, order[:, :, None].expand_as(tokens))

    return answer


WRONG_BACK: dict[str, Callable] = {
    "True is hidden: the visible tokens go where the mask is False": lambda v, m, t: _filled_in(
        m.flatten(1), v.flatten(0, 1), t
    ),
    "hidden places hold 0: they get the mask token": lambda v, m, t: mae.put_back(v, m, 0 * t),
    "hidden places hold the mean of the mask token: it has a number for each": lambda v, m, t: mae.put_back(
        v, m, t.mean().expand_as(t)
    ),
    "hidden places hold the mean of the visible tokens: they get the mask token": lambda v, m, t: torch.where(
        m.flatten(1)[:, :, None], v.mean(1, keepdim=True), mae.put_back(v, m, t)
    ),
    "the mask token is added to visible tokens, too": lambda v, m, t: mae.put_back(v + t, m, t),
    "the mask token is added to all, so hidden places have it twice": lambda v, m, t: mae.put_back(v, m, t) + t,
    "the visible tokens come first, then mask tokens: put each into its place": lambda v, m, t: torch.cat(
        [v, t.expand(len(v), m[0].numel() - v.shape[1], -1)], 1
    ),
    "the mask tokens come first, then visible ones: put each into its place": lambda v, m, t: torch.cat(
        [t.expand(len(v), m[0].numel() - v.shape[1], -1), v], 1
    ),
    "the way back is the inverse of the order that sorts the mask: a second `argsort`": _by_order(False),
    "the visible tokens are put back in the opposite order": lambda v, m, t: mae.put_back(v.flip(1), m, t),
    "the mask is read column by column: patches come row by row": lambda v, m, t: mae.put_back(v, m.mT, t),
    "the mask of the first image is used for all: each has its own": lambda v, m, t: mae.put_back(
        v, m[:1].expand_as(m), t
    ),
    "the mask of the last image is used for all: each has its own": lambda v, m, t: mae.put_back(
        v, m[-1:].expand_as(m), t
    ),
    "the tokens of the images are mixed: keep the order image by image": lambda v, m, t: _filled_in(
        ~m.flatten(1), v.transpose(0, 1).flatten(0, 1), t
    ),
    "all visible places of an image get its first token": lambda v, m, t: mae.put_back(
        v[:, :1].expand_as(v), m, t
    ),
    "only the visible tokens are there: hidden places get the mask token": lambda v, m, t: v,
    "all places hold the mask token: the visible ones get theirs": lambda v, m, t: t.repeat(
        *m.flatten(1).shape, 1
    ),
    "the result is a grid: return a list of tokens": lambda v, m, t: mae.put_back(v, m, t).unflatten(
        1, m.shape[1:]
    ),
    "the axes are in another order: (batch, tokens, dim)": _returned(lambda tokens: tokens.mT),
    "the first axis counts the tokens: it should count the images": _returned(
        lambda tokens: tokens.transpose(0, 1)
    ),
    "all images share one list: give each its own": _returned(lambda tokens: tokens.flatten(0, 1)),
}


@check(
    "How many patches of an image are hidden? To find the hardest, do you need the errors in their order, or the "
    "places where the largest stand?",
    "`errors.flatten(1).topk(count, dim=1).indices` are the places of the largest errors of each image. "
    "`scatter(1, places, True)` on a tensor of False, of shape (batch, rows * cols), marks them; then `view`.",
    solution=guided.hardest_mask,
    batched=(0,),
)
def hardest_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hardest_mask(errors, ratio)` hides the patches with the largest errors."""
    right = guided.hardest_mask

    def draw() -> list[tuple]:
        parts = [(0.3, 0.7, 0.25), (0.3, 0.7, 0.75), (0.8, 0.9, 0.75), (0.5, 0.5, 0.0), (0.3, 0.7, 0.001)]
        exact = torch.randperm(40, generator=rng).view(2, 4, 5) / 50  # 0.8 * 20 is whole, (1 - 0.8) * 20 not quite
        return [*(_errors(rng, *part) for part in parts), (exact, 0.8)]

    cases = telling(draw, right, WRONG_HARDEST)
    problem = explain(answer, right, cases, WRONG_HARDEST)
    yield "hides the ceil(ratio * patches) patches with the largest errors", problem
    if problem:
        return
    errors, ratio = cases[0]
    whole = torch.rand(3, 4, 8, generator=rng)
    edges = [(whole, 0.25), (whole, 0.5), (errors, 0.0), (errors, 1.0), (errors, 1e-4), (errors[:, :1], 0.4)]
    edges += [(errors[:, :, :1], 0.4), (1000 * errors, 0.3), (errors / 1000, 0.3), (errors[:, :1, :1], 0.5)]
    yield (
        "works if all or none is hidden, for one row or column, and where no rounding is needed",
        explain(
            answer, right, edges, {"`[-0:]` is the whole list: for a ratio of 0 nothing is hidden": _all_for_none}
        ),
    )
    largest = errors.flatten(1).topk(3).indices
    endless = errors.flatten(1).scatter(1, largest, math.inf).view(errors.shape)
    extreme = [(endless, ratio), (1 + errors / 1000, ratio)]
    yield "works for infinite errors, and for errors that hardly differ", explain(answer, right, extreme)
    yield "hides as many where errors are equal", _equal_errors(answer, rng)


def _errors(rng: Generator, low: float, high: float, more: float) -> tuple[Tensor, float]:
    """Errors, all different, and a ratio between `low` and `high`: so many patches and a part `more` of one."""
    batch, rows, half_cols = distinct(rng, 3, 3, 7)
    shape = (batch, rows, 2 * half_cols)
    patches = shape[1] * shape[2]
    errors = (1 + torch.randperm(batch * patches, generator=rng)).view(shape) / 50
    count = distinct(rng, 1, math.ceil(low * patches), math.floor(high * patches))[0]
    return errors * (1 + torch.arange(batch))[:, None, None] ** 0.3, (count + more) / patches


def _all_for_none(errors: Tensor, ratio: float) -> Tensor:
    return guided.hardest_mask(errors, ratio or 1.0)


CHOSEN_AGAIN = "is a chosen patch set to 0, and chosen again? Set it to -infinity"


def _equal_errors(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong where the errors are few different numbers, and any of equal ones may be hidden."""
    for values in (1, 2, 3):
        errors = torch.randint(values, (3, 4, 6), generator=rng) / 2.0
        mask = answer(errors, 0.3)
        if not (isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.shape == errors.shape):
            return "the result is not a mask of the shape of `errors`"
        count = next((count for count in mask.sum((1, 2)).tolist() if count != 8), 8)
        if count != 8:
            text = CHOSEN_AGAIN if values == count == 1 else "is there a limit? Count places instead"
            return f"of 24 patches, many with equal errors, {count} are hidden, but a ratio of 0.3 hides 8: {text}"
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
    "a very small part is not rounded up: take `math.ceil`": _hardest(count=lambda n: math.floor(n + 0.9)),
    "one patch too many is hidden": _hardest(count=lambda n: math.ceil(n) + 1),
    "one patch too few is hidden": _hardest(count=lambda n: math.ceil(n) - 1),
    "one too many is hidden where the count is whole": _hardest(count=lambda n: math.floor(n) + 1),
    "(1 - ratio) * patches may be just below a whole number: take ceil(ratio * patches)": (
        lambda e, r: _hardest(count=lambda _: e[0].numel() - int((1 - r) * e[0].numel()))(e, r)
    ),
    "`ratio` is the share to hide, not to show": lambda e, r: _hardest()(e, 1 - r),
    "the easiest are hidden, as many as should be shown": lambda e, r: _hardest(lambda e: -e)(e, 1 - r),
    "the patches of all images are ranked together: rank those of each image": lambda e, r: _hardest(count=round)(
        e.flatten()[None], math.ceil(r * e[0].numel()) * len(e) / e.numel()
    ).view(e.shape),
    "the patches of all images are ranked and counted together: take each image": lambda e, r: _hardest()(
        e.flatten()[None], r
    ).view(e.shape),
    "the errors of the batch are averaged: each image has its own": _hardest(lambda e: e.mean(0).expand_as(e)),
    "the first image decides for all: each has its own errors": _hardest(lambda e: e[:1].expand_as(e)),
    "`argsort` gives places in the order, not ranks: take it twice, or mark the places": lambda e, r: (
        e.flatten(1).argsort(1, descending=True) < math.ceil(r * e[0].numel())
    ).view(e.shape),
    "each image hides the places of all, as `[:, places] = True` does: use `scatter`": _hardest(
        of=lambda m: m.any(0, keepdim=True).expand_as(m)
    ),
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
    "a share of the largest error is the limit: `ratio` says how many patches are hidden": lambda e, r: (
        e > (1 - r) * e.amax((1, 2), keepdim=True)
    ),
    "a quantile may lie between two patches: count them with `ceil`": lambda e, r: (
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
    solution=video.tube_mask,
)
def tube_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`tube_mask(batch, frames, grid, ratio, generator)` hides the same places in all frames of a clip."""
    seed = int(torch.randint(10_000, (), generator=rng))
    rows, cols, batch, frames = distinct(rng, 4, 4, 9)

    def draw(batch: int, frames: int, grid: tuple[int, int], ratio: float, extra: int = 0) -> Tensor:
        return answer(batch, frames, grid, ratio, Generator().manual_seed(seed + extra))

    part = distinct(rng, 1, 1, rows * cols - 1)[0] - 0.25  # places: here `round` is right
    cases = [(5, 7, 0.6), (5, 7, 0.35), (rows, cols, part / (rows * cols)), (rows, cols, 0.001), (9, 1, 0.5)]
    cases += [(1, 1, 0.5), (4, 6, 0.0), (4, 6, 1.0), (4, 5, 0.8)]
    shapes = [(batch, frames, rows, cols)]
    shapes += [(1 + number, 1 + number % 4, r, c) for number, (r, c, _) in enumerate(cases)]
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
        yield from chances(lambda n, grid, generator: answer(n, 2, grid, 0.5, generator)[:, 0], rng)


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
    batch, frames, *grid = mask.shape
    layouts = [  # of the same list of numbers, with the frames as the first axis
        mask.reshape(frames, batch, *grid),
        mask.transpose(0, 1).reshape(batch, frames, *grid).transpose(0, 1),
        mask.reshape(batch, *grid, frames).movedim(3, 0),
    ]
    yield (
        not same.all() and any(bool((layout == layout[:1]).all()) for layout in layouts),
        "a mask is drawn once for a clip, but `view` or `reshape` mixes the axes: give the frames their own, "
        "`mask[:, None]`, before you repeat",
    )
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
        "the frames hide different numbers of places: draw once for a clip, not frame by frame or all together",
    )


@check(
    "Which tokens pass through MAE's encoder, and which through its decoder? How many are they, if a share of "
    "`tokens` is hidden, rounded up? SimMIM's one encoder sees them all.",
    "Write a function of (tokens, dim, depth) for the FLOP of blocks: depth * (24 * n * d**2 + 4 * n**2 * d). "
    "MAE is its sum for (visible, *encoder) and (tokens, *decoder). Divide by that for (tokens, *encoder).",
)
def mae_cost(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`mae_cost(tokens, ratio, encoder, decoder)` is MAE's work as a share of SimMIM's."""

    def draw() -> list[tuple]:
        exact = 5 * distinct(rng, 1, 6, 12)[0]  # 0.8 of it is whole, but (1 - 0.8) of it not quite
        networks = _two_networks(rng, 0.3)[2:]
        return [*(_two_networks(rng, part) for part in (0.3, 0.7, 0.999)), (exact, 0.8, *networks)]

    cases = telling(draw, _mae_cost, WRONG_COSTS)
    problem = explain(answer, _mae_cost, cases, WRONG_COSTS)
    yield "divides the work of encoder and decoder by that of SimMIM's encoder", problem
    if problem:
        return
    tokens, ratio, encoder, decoder = cases[0]
    edges = [(tokens, 0.0, encoder, decoder), (tokens, 1.0, encoder, decoder), (tokens, ratio, encoder, (5, 0))]
    edges += [(1, 0.5, encoder, decoder), (196, 0.75, (768, 12), (512, 8)), (8, 0.5, encoder, encoder)]
    yield (
        "works if nothing or all is hidden, without a decoder, and for one token",
        explain(answer, _mae_cost, edges),
    )


def _blocks(tokens: float, dim: int, depth: int, square: float = 24, mix: float = 4) -> float:
    """FLOP of blocks."""
    return depth * (square * tokens * dim**2 + mix * tokens**2 * dim)


def _mae_cost(tokens: int, ratio: float, encoder: tuple[int, int], decoder: tuple[int, int]) -> float:
    visible = tokens - math.ceil(ratio * tokens)
    return (_blocks(visible, *encoder) + _blocks(tokens, *decoder)) / _blocks(tokens, *encoder)


def _two_networks(rng: Generator, part: float) -> tuple[int, float, tuple[int, int], tuple[int, int]]:
    """Networks in which the products of tokens with tokens weigh as much as the others; a `part` is rounded up."""
    tokens, wide, narrow = distinct(rng, 1, 30, 60)[0], distinct(rng, 1, 8, 14)[0], distinct(rng, 1, 3, 7)[0]
    deep, flat = distinct(rng, 1, 7, 12)[0], distinct(rng, 1, 2, 5)[0]
    hidden = tokens // 2 + distinct(rng, 1, 2, tokens // 4)[0]
    return tokens, (hidden - part) / tokens, (wide, deep), (narrow, flat)


def _of_other_blocks(blocks: Callable[[float, int, int], float]) -> Callable:
    """A share in which the work of blocks, a function of (tokens, dim, depth), is another."""
    return lambda n, r, e, d: (blocks(n - math.ceil(r * n), *e) + blocks(n, *d)) / blocks(n, *e)


def _cost(
    visible: Callable[[int, float], float] = lambda n, r: n - math.ceil(r * n),
    decoded: Callable[[int, float], float] | None = lambda n, r: n,
    of: Callable[[float, float, float], float] = lambda encoder, decoder, simmim: (encoder + decoder) / simmim,
    **weights: float,
) -> Callable:
    """A share in which other tokens are counted, or another quotient is made of the three works."""

    def answer(tokens: int, ratio: float, encoder: tuple[int, int], decoder: tuple[int, int]) -> float:
        works = [(visible(tokens, ratio), encoder), (decoded(tokens, ratio), decoder), (tokens, encoder)]
        return of(*(_blocks(n, *network, **weights) for n, network in works))

    return answer


WRONG_COSTS: dict[str, Callable] = {
    "MAE's encoder sees the visible tokens alone: that is what it saves": _cost(lambda n, r: n),
    "MAE's encoder sees the visible tokens, not the hidden ones": _cost(lambda n, r: math.ceil(r * n)),
    "MAE's decoder gets all tokens, not the hidden ones alone": _cost(decoded=lambda n, r: math.ceil(r * n)),
    "MAE's decoder gets all tokens, not the visible ones alone": _cost(decoded=lambda n, r: n - math.ceil(r * n)),
    "MAE's decoder gets each token once: visible ones and mask tokens together are all": _cost(
        decoded=lambda n, r: 2 * n - math.ceil(r * n)
    ),
    "MAE's decoder is missing": _cost(of=lambda e, d, s: e / s),
    "MAE's encoder is missing": _cost(of=lambda e, d, s: d / s),
    "SimMIM has no such decoder: its head costs next to nothing": _cost(of=lambda e, d, s: (e + d) / (s + d)),
    "it is the other way round: MAE's work, divided by SimMIM's": _cost(of=lambda e, d, s: s / (e + d)),
    "that is the share that MAE saves: return what it costs": _cost(of=lambda e, d, s: 1 - (e + d) / s),
    "that is the work of MAE in FLOP: divide it by SimMIM's": _cost(of=lambda e, d, s: e + d),
    "that is the difference of the two works: divide them": _cost(of=lambda e, d, s: s - e - d),
    "`/` comes before `+`: put brackets around the sum": _cost(of=lambda e, d, s: e + d / s),
    "that is in per cent: return a share": _cost(of=lambda e, d, s: 100 * (e + d) / s),
    "`//` leaves out what is behind the point: divide with `/`": _cost(of=lambda e, d, s: (e + d) // s),
    "the share is rounded: leave it its digits": _cost(of=lambda e, d, s: round((e + d) / s, 2)),
    "the decoder is subtracted: it is work on top": _cost(of=lambda e, d, s: (e - d) / s),
    "the products of tokens with tokens are missing: 4 * n * n * d": _cost(mix=0),
    "the products of tokens with tokens are alone: 24 * n * d * d is missing": _cost(square=0),
    "the products of tokens with tokens count half: they are 4 * n * n * d": _cost(mix=2),
    "the products with d * d count half: they are 24 * n * d * d": _cost(square=12),
    "the MLP is missing: the products with d * d are 24 * n * d * d": _cost(square=8),
    "`depth` multiplies one of the two products: put brackets around their sum": _of_other_blocks(
        lambda n, d, depth: depth * 24 * n * d**2 + 4 * n**2 * d
    ),
    "the length of a token is not squared: 24 * n * d * d": _of_other_blocks(
        lambda n, d, depth: depth * (24 * n * d + 4 * n**2 * d)
    ),
    "the number of tokens is not squared: 4 * n * n * d": _of_other_blocks(
        lambda n, d, depth: depth * (24 * n * d**2 + 4 * n * d)
    ),
    "tokens and their length are swapped: 24 * n * d * d and 4 * n * n * d": _of_other_blocks(
        lambda n, d, depth: depth * (24 * n**2 * d + 4 * n * d**2)
    ),
    "the length of a token is squared in both: 24 * n * d * d, but 4 * n * n * d": _of_other_blocks(
        lambda n, d, depth: depth * (24 * n * d**2 + 4 * n**2 * d**2)
    ),
    "the encoder's work does not fall like its tokens: a part of it falls faster": (
        lambda n, r, e, d: ((1 - math.ceil(r * n) / n) * _blocks(n, *e) + _blocks(n, *d)) / _blocks(n, *e)
    ),
    "the encoder's work does not fall like its tokens squared: a part of it falls slower": (
        lambda n, r, e, d: ((1 - math.ceil(r * n) / n) ** 2 * _blocks(n, *e) + _blocks(n, *d)) / _blocks(n, *e)
    ),
    "`ratio` is the share of the hidden tokens, not of the visible ones": _cost(lambda n, r: math.floor(r * n)),
    "(1 - ratio) * tokens may be just below a whole number: take ceil(ratio * tokens)": (
        _cost(lambda n, r: int((1 - r) * n))
    ),
    "the number of hidden tokens is rounded up, so that it is whole": _cost(lambda n, r: (1 - r) * n),
    "the number of hidden tokens is rounded up, not down": _cost(lambda n, r: n - math.floor(r * n)),
    "the number of hidden tokens is rounded up, not to the nearest": _cost(lambda n, r: n - round(r * n)),
    "a very small part is not rounded up: take `math.ceil`": _cost(lambda n, r: n - math.floor(r * n + 0.9)),
    "a token too many: patches alone are tokens here": lambda n, r, e, d: (
        (_blocks(n - math.ceil(r * n) + 1, *e) + _blocks(n + 1, *d)) / _blocks(n + 1, *e)
    ),
    "a token too many in MAE's encoder: patches alone are tokens here": _cost(
        lambda n, r: n - math.ceil(r * n) + 1
    ),
    "width and depth are swapped: they come as (dim, depth)": lambda n, r, e, d: _mae_cost(n, r, e[::-1], d[::-1]),
    "encoder and decoder are swapped": lambda n, r, e, d: _mae_cost(n, r, d, e),
    "the decoder has the width of the encoder: it has its own": lambda n, r, e, d: _mae_cost(
        n, r, e, (e[0], d[1])
    ),
    "the depths are not used, or one for both: each has a number of blocks of its own": lambda n, r, e, d: (
        _mae_cost(n, r, (e[0], 1), (d[0], 1))
    ),
    "`^` is no power in Python but compares bits: write `**`": _of_other_blocks(
        lambda n, d, depth: depth * (24 * n * (d ^ 2) + 4 * (n ^ 2) * d)
    ),
    "`^` is no power in Python but compares bits, after all sums: write `**`": _of_other_blocks(
        lambda n, d, depth: depth * (24 * n * d ^ 2 + 4 * n ^ 2 * d)
    ),
}


@check(
    "Each pair is a row of the canvas: the input on the left, its answer on the right. The rows lie below each "
    "other. What stands where the last answer should be, and which patches are that?",
    "Add the unknown answer to `answers`: a picture of 0.5. Then `torch.cat([inputs, answers], dim=3)` makes the "
    "rows, and einops' `n c h w -> c (n h) w` puts them below each other. Of the mask set `[-rows:, -cols:]`.",
)
def prompt_canvas(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`prompt_canvas(inputs, answers, patch)` is a picture of examples and a question, and its mask."""
    cases = telling(lambda: [_pairs(rng, wide) for wide in (False, True)], _canvas, WRONG_CANVASES)
    problem = explain(answer, _canvas, cases, WRONG_CANVASES)
    yield "puts each input beside its answer, and hides the last answer", problem
    if problem:
        return
    inputs, answers, patch = cases[0]
    edges = [(inputs[-1:], answers[:0], patch), (inputs[:2], answers[:1], patch), (inputs, answers, 1)]
    tall, wide = inputs[..., :patch], inputs[..., :patch, :]
    edges += [(tall, answers[..., :patch], patch), (wide, answers[..., :patch, :], patch)]
    edges += [(inputs[-1:, :, :side, :side], answers[:0, :, :side, :side], side) for side in (patch, 1)]
    yield "works for no and one example, and for patches of a pixel or a side", explain(answer, _canvas, edges)


def _canvas(inputs: Tensor, answers: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    answers = torch.cat([answers, torch.full_like(inputs[:1], 0.5)])
    picture = rearrange(torch.cat([inputs, answers], 3), "n c h w -> c (n h) w")
    rows, cols = inputs.shape[2] // patch, inputs.shape[3] // patch
    mask = torch.zeros(len(inputs) * rows, 2 * cols, dtype=torch.bool)
    mask[-rows:, -cols:] = True
    return picture, mask


def _pairs(rng: Generator, wide: bool) -> tuple[Tensor, Tensor, int]:
    """Three or four questions, with the answers to all but the last; of `wide` ones the first is grey, too."""
    questions = distinct(rng, 1, 3, 4)[0]
    rows, cols, patch = distinct(rng, 3, 2, 5)
    rows, cols = sorted((rows, cols), reverse=not wide)
    shape = (2, questions, 3, rows * patch, cols * patch)
    inputs, answers = torch.randn(shape, generator=rng)
    if wide:
        answers[0] = 0.5
    return inputs, answers[:-1], patch


def _painted(
    picture: Callable[[Tensor, Tensor], Tensor] | None = None,
    hide: Callable[[Tensor, int, int], Any] | None = None,
    of: Callable[[Tensor, Tensor], Any] = lambda picture, mask: (picture, mask),
) -> Callable:
    """A canvas that is wrong in its picture, or in its mask, or in what is made of the two.

    `picture` gets inputs and answers, with grey for the last; `hide` a mask of nothing, and how many rows and
    columns of patches a picture has.
    """

    def answer(inputs: Tensor, answers: Tensor, patch: int) -> Any:
        right, mask = _canvas(inputs, answers, patch)
        answers = torch.cat([answers, torch.full_like(inputs[:1], 0.5)])
        if hide:
            mask = hide(mask & False, inputs.shape[2] // patch, inputs.shape[3] // patch)
        return of(picture(inputs, answers) if picture else right, mask)

    return answer


def _laid_out(pattern: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Pairs in an order of the axes."""
    return lambda inputs, answers: rearrange([inputs, answers], f"two n c h w -> {pattern}")


def _last_answer(what: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Something else than grey in the place of the last answer."""

    def picture(inputs: Tensor, answers: Tensor) -> Tensor:
        return _laid_out("c (n h) (two w)")(inputs, torch.cat([answers[:-1], what(inputs, answers)[None]]))

    return picture


def _marked(rows: Callable[[int], slice], cols: Callable[[int], slice]) -> Callable:
    """A part of the mask that is hidden, as slices that follow from the rows and columns of a picture."""

    def hide(mask: Tensor, down: int, across: int) -> Tensor:
        mask[rows(down), cols(across)] = True
        return mask

    return hide


EVERYWHERE = slice(None)

WRONG_CANVASES: dict[str, Callable] = {
    "the answers stand on the left: the inputs should": _painted(
        lambda x, y: _laid_out("c (n h) (two w)")(y, x), _marked(lambda h: slice(-h, None), lambda w: slice(w))
    ),
    "the answers stand on the left, the mask is on the right": _painted(
        lambda x, y: _laid_out("c (n h) (two w)")(y, x)
    ),
    "the pairs lie side by side: they should lie below each other": _painted(
        _laid_out("c (two h) (n w)"),
        lambda m, h, w: _marked(lambda h: slice(-h, None), lambda w: slice(-w, None))(
            m.new_zeros(2 * h, m.shape[0] // h * w), h, w
        ),
    ),
    "all lie in one row: each pair should have its own": _painted(
        _laid_out("c h (n two w)"),
        lambda m, h, w: _marked(lambda h: slice(-h, None), lambda w: slice(-w, None))(
            m.new_zeros(h, m.shape[0] // h * 2 * w), h, w
        ),
    ),
    "all lie in one column: an answer stands beside its input": _painted(
        _laid_out("c (n two h) w"),
        lambda m, h, w: _marked(lambda h: slice(-h, None), lambda w: slice(-w, None))(
            m.new_zeros(m.shape[0] * 2, w), h, w
        ),
    ),
    "the rows of the pictures alternate: `(n h)`, not `(h n)`": _painted(_laid_out("c (h n) (two w)")),
    "the columns of input and answer alternate: `(two w)`, not `(w two)`": _painted(_laid_out("c (n h) (w two)")),
    "the question comes first: it is the last row": _painted(
        lambda x, y: _laid_out("c (n h) (two w)")(x.roll(1, 0), y.roll(1, 0)),
        _marked(lambda h: slice(h), lambda w: slice(-w, None)),
    ),
    "the numbers stay in their order: let the axes change places first, as in `c (n h) w`": _painted(
        lambda x, y: torch.cat([x, y], 3).reshape(3, -1, 2 * x.shape[3])
    ),
    "the colours are the last axis: they come first": _painted(of=lambda p, m: (p.permute(1, 2, 0), m)),
    "the pictures are cut off at 0 and 1: copy them as they are": _painted(of=lambda p, m: (p.clamp(0, 1), m)),
    "the question comes first, but its answer last": _painted(
        lambda x, y: _laid_out("c (n h) (two w)")(x.roll(1, 0), y)
    ),
    "the answers are in the opposite order, the inputs are not": _painted(
        lambda x, y: _laid_out("c (n h) (two w)")(x, torch.cat([y[:-1].flip(0), y[-1:]]))
    ),
    "the examples are in the opposite order": _painted(
        lambda x, y: _laid_out("c (n h) (two w)")(
            torch.cat([x[:-1].flip(0), x[-1:]]), torch.cat([y[:-1].flip(0), y[-1:]])
        )
    ),
    "the last answer is black: what is not known is grey, 0.5": _painted(_last_answer(lambda x, y: 0 * x[-1])),
    "the last answer is white: what is not known is grey, 0.5": _painted(_last_answer(lambda x, y: 0 * x[-1] + 1)),
    "the last answer is 128: in pictures from 0 to 1 grey is 0.5": _painted(
        _last_answer(lambda x, y: 0 * x[-1] + 128)
    ),
    **{
        f"the last answer is {grey} / 255: grey is 0.5": _painted(
            _last_answer(lambda x, y, grey=grey: 0 * x[-1] + grey / 255)
        )
        for grey in (127, 128)
    },
    "the mean of the question stands in the last place: put grey there": _painted(
        _last_answer(lambda x, y: 0 * x[-1] + x[-1].mean())
    ),
    "the question stands in the place of its answer, too: put grey there": _painted(
        _last_answer(lambda x, y: x[-1])
    ),
    "the answer to the example before stands in the last place: put grey there": _painted(
        _last_answer(lambda x, y: y[-2])
    ),
    "the mean of the answers stands in the last place: put grey there": _painted(
        _last_answer(lambda x, y: y[:-1].mean(0))
    ),
    "the mask hides the question, not its answer": _painted(
        hide=_marked(lambda h: slice(-h, None), lambda w: slice(w))
    ),
    "the mask hides the whole last row: the question must be seen": _painted(
        hide=_marked(lambda h: slice(-h, None), lambda w: EVERYWHERE)
    ),
    "the mask hides all answers: those of the examples must be seen": _painted(
        hide=_marked(lambda h: EVERYWHERE, lambda w: slice(-w, None))
    ),
    "the mask hides the first answer: hide the last": _painted(
        hide=_marked(lambda h: slice(h), lambda w: slice(-w, None))
    ),
    "the mask hides only the last row of patches: a picture has several": _painted(
        hide=_marked(lambda h: slice(-1, None), lambda w: slice(-w, None))
    ),
    "the mask hides `patch` rows and columns: hide `height // patch` and `width // patch`": lambda x, y, p: (
        _painted(hide=_marked(lambda _: slice(-p, None), lambda _: slice(-p, None)))(x, y, p)
    ),
    "the mask is cut by pixels: its rows and columns are patches": lambda x, y, p: _painted(
        hide=_marked(lambda _: slice(-x.shape[2], None), lambda _: slice(-x.shape[3], None))
    )(x, y, p),
    "the mask hides what is grey: a picture that is known may be grey, too": lambda x, y, p: (
        _canvas(x, y, p)[0],
        rearrange(_canvas(x, y, p)[0] == 0.5, "k (r p) (c q) -> r c (k p q)", p=p, q=p).all(2),
    ),
    "the mask has as many columns as if pictures were square": _painted(
        hide=lambda m, h, w: _marked(lambda h: slice(-h, None), lambda w: slice(-w, None))(
            m.new_zeros(m.shape[0], 2 * h), h, h
        )
    ),
    "the mask hides only the last patch": _painted(
        hide=_marked(lambda h: slice(-1, None), lambda w: slice(-1, None))
    ),
    "the mask begins at column `height // patch`: at `width // patch`": _painted(
        hide=lambda m, h, w: _marked(lambda h: slice(-h, None), lambda _: slice(h, None))(m, h, w)
    ),
    "the mask hides nothing": _painted(hide=lambda m, h, w: m),
    "True and False are swapped: True is hidden": _painted(of=lambda p, m: (p, ~m)),
    "the mask is one of pixels: an entry should be a patch": lambda x, y, p: (
        _canvas(x, y, p)[0],
        _canvas(x, y, 1)[1],
    ),
    "the mask is that of one picture: it covers the whole canvas": lambda x, y, p: (
        _canvas(x, y, p)[0],
        torch.ones(x.shape[2] // p, x.shape[3] // p, dtype=torch.bool),
    ),
    "rows and columns of the mask are swapped": _painted(of=lambda p, m: (p, m.T)),
    "the mask holds True and False, not numbers": _painted(of=lambda p, m: (p, m.float())),
    "the mask holds True and False, not whole numbers": _painted(of=lambda p, m: (p, m.long())),
    "there is an axis too many at the front: it is one canvas": _painted(of=lambda p, m: (p[None], m[None])),
    "there is an axis too many at the front of the picture: it is one canvas": _painted(
        of=lambda p, m: (p[None], m)
    ),
    "the mask is missing: return the picture and the mask": _painted(of=lambda p, m: p),
    "first the picture, then the mask: the other way round": _painted(of=lambda p, m: (m, p)),
}


@check(
    "Where is the token of patch 3? `order` says which patch went first, second, third: you need its opposite, "
    "where each patch went. And which token has no part in this?",
    "Take the class token off, append mask tokens until there are as many as patches, and with "
    "`places = order.argsort(dim=1)` pick them: `gather(1, places[:, :, None].expand_as(tokens))`. The class "
    "token goes in front again.",
    gradient=(0, 2),
    batched=(0, 1),
)
def unshuffle(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`unshuffle(encoded, order, mask_token)` makes the tokens of MAE's decoder."""
    cases = telling(lambda: [_shuffled(rng) for _ in range(2)], _unshuffle, WRONG_UNSHUFFLED)
    problem = explain(answer, _unshuffle, cases, WRONG_UNSHUFFLED)
    yield "puts each token back where its patch is, behind the class token", problem
    if problem:
        return
    encoded, order, token = cases[0]
    patches = order.shape[1]
    every = torch.randn(len(order), 1 + patches, len(token), generator=rng)
    edges = [(every, order, token), (encoded[:, :2], order, token), (encoded[:, :1], order, token)]
    edges += [(encoded[:, :, :1], order, token[:1]), (every[:, :2], 0 * order[:, :1], token)]
    edges += [(encoded, torch.arange(patches).expand(len(order), -1), token), (0 * encoded, order, token)]
    yield (
        "works if all, one or none are visible, for one patch, if nothing is shuffled, and for tokens of 0",
        explain(answer, _unshuffle, edges),
    )
    yield "lets the whole gradient through", other_gradient(answer, _unshuffle, cases[0], (0, 2))


def _unshuffle(encoded: Tensor, order: Tensor, token: Tensor) -> Tensor:
    tokens = torch.cat([encoded[:, 1:], token.expand(len(order), order.shape[1] - encoded.shape[1] + 1, -1)], 1)
    return torch.cat([encoded[:, :1], _picked(tokens, order.argsort(1))], 1)


def _picked(tokens: Tensor, places: Tensor) -> Tensor:
    """The tokens (batch, n, dim) at places (batch, m)."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


def _shuffled(rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    batch, visible, hidden, dim = distinct(rng, 4, 3, 7)
    order = torch.rand(batch, visible + hidden, generator=rng).argsort(1)
    return torch.randn(batch, 1 + visible, dim, generator=rng), order, torch.randn(dim, generator=rng)


def _decoded(
    places: Callable[[Tensor], Tensor] = lambda order: order.argsort(1),
    tokens: Callable[[Tensor, Tensor], Tensor] = lambda visible, hidden: torch.cat([visible, hidden], 1),
    of: Callable[[Tensor, Tensor], Tensor] = lambda classes, patches: torch.cat([classes, patches], 1),
) -> Callable:
    """A mistake in the places that are picked, in the tokens they are picked from, or in what is made of them."""

    def answer(encoded: Tensor, order: Tensor, token: Tensor) -> Tensor:
        visible = encoded[:, 1:]
        hidden = token.expand(len(order), order.shape[1] - visible.shape[1], -1)
        return of(encoded[:, :1], _picked(tokens(visible, hidden), places(order)))

    return answer


def _with_class(encoded: Tensor, order: Tensor, token: Tensor) -> Tensor:
    """The class token among the others, then mask tokens, one more than patches."""
    return torch.cat([encoded, token.expand(len(order), order.shape[1] - encoded.shape[1] + 1, -1)], 1)


WRONG_UNSHUFFLED: dict[str, Callable] = {
    "shuffled once more: gather with `order.argsort(1)`, or scatter with `order`": _decoded(lambda o: o),
    "nothing is put back: the tokens are still in the shuffled order": _decoded(
        lambda o: torch.arange(o.shape[1]).expand_as(o)
    ),
    "the order of the first image is used for all: each has its own": _decoded(
        lambda o: o[:1].argsort(1).expand_as(o)
    ),
    "the order of the last image is used for all: each has its own": _decoded(
        lambda o: o[-1:].argsort(1).expand_as(o)
    ),
    "the tokens are put back in the opposite order": _decoded(lambda o: o.argsort(1).flip(1)),
    "sorted from the last: the way back is the `argsort` in ascending order": _decoded(
        lambda o: o.argsort(1, descending=True).argsort(1)
    ),
    "`argsort` goes along the axis of the images: it belongs to the patches": _decoded(
        lambda o: o.argsort(0) % o.shape[1]
    ),
    "the mask tokens come first: the first in `order` are the visible ones": _decoded(
        tokens=lambda v, h: torch.cat([h, v], 1)
    ),
    "the visible tokens are in the opposite order": _decoded(tokens=lambda v, h: torch.cat([v.flip(1), h], 1)),
    "hidden places hold 0: they get the mask token": _decoded(tokens=lambda v, h: torch.cat([v, 0 * h], 1)),
    "the visible tokens are put back in ascending order: `order` says which goes where": (
        lambda e, o, t: torch.cat(
            [e[:, :1], mae.put_back(e[:, 1:], (o.argsort(1) >= e.shape[1] - 1)[:, None], t)], 1
        )
    ),
    "the class token is lost: it comes first": _decoded(of=lambda c, p: p),
    "the class token is at the end: it comes first": _decoded(of=lambda c, p: torch.cat([p, c], 1)),
    "the mask token stands in the place of the class token": lambda e, o, t: torch.cat(
        [t.expand(len(e), 1, -1), _unshuffle(e, o, t)[:, 1:]], 1
    ),
    "the tokens of the first image are picked for all: each has its own": _decoded(
        tokens=lambda v, h: torch.cat([v, h], 1)[:1].expand(len(v), -1, -1)
    ),
    "each patch lies one place too far": _decoded(lambda o: o.argsort(1).roll(1, 1)),
    "the last visible token is taken for the class token": lambda e, o, t: _unshuffle(e.roll(1, 1), o, t),
    "the class token is taken for that of the first image: each has its own": _decoded(
        of=lambda c, p: torch.cat([c[:1].expand_as(c), p], 1)
    ),
    "the class token is taken for the first visible one, so all tokens are one place off": lambda e, o, t: (
        torch.cat([e[:, :1], _picked(_with_class(e, o, t), o.argsort(1))], 1)
    ),
    "`[:, :-1]` leaves out the last token: the class token is the first": lambda e, o, t: torch.cat(
        [e[:, :1], _unshuffle(e.roll(1, 1), o, t)[:, 1:]], 1
    ),
    "the class token is shuffled among the patches, and lost as such": lambda e, o, t: _picked(
        _with_class(e, o, t), o.argsort(1)
    ),
    "the class token is there twice": _decoded(of=lambda c, p: torch.cat([c, c, p], 1)),
    "only the visible tokens are there: hidden places get the mask token": lambda e, o, t: e,
    "the mask token is added to the visible tokens": lambda e, o, t: _unshuffle(
        torch.cat([e[:, :1], e[:, 1:] + t], 1), o, t
    ),
    "the mask token is added to all, so hidden places have it twice": lambda e, o, t: _unshuffle(e, o, t) + t,
    "hidden places hold the mean of the mask token: it has a number for each": lambda e, o, t: _unshuffle(
        e, o, t.mean().expand_as(t)
    ),
    "the axes are in another order: (batch, 1 + patches, dim)": lambda e, o, t: _unshuffle(e, o, t).mT,
    "the first axis counts the tokens: it should count the images": lambda e, o, t: _unshuffle(e, o, t).transpose(
        0, 1
    ),
    "the tokens of all images are in one list: give each its own": lambda e, o, t: _unshuffle(e, o, t).flatten(
        0, 1
    ),
}


@check(
    "Which row of a map says where the class token looks, and which entry of this row is not a patch? The heads "
    "count alike. Then patches are ranked: which ranks are hidden, and which are hints?",
    "`maps.mean(1)[:, 0, 1:]` is how much the class token looks at each patch. With "
    "`argsort(dim=1, descending=True)` they come in order; hide those from `hints` up to ceil(ratio * patches).",
    batched=(0,),
)
def attention_mask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attention_mask(maps, ratio, hints)` hides what the class token looks at most, but for a few hints."""

    def draw() -> list[tuple]:
        exact, _, hints = _maps(rng, 20, 0.5, 0.0)  # 0.8 * 20 is whole, but (1 - 0.8) * 20 not quite
        patches = 2 * distinct(rng, 1, 10, 16)[0]
        parts = [(0.5, 0.25), (0.5, 0.75), (0.75, 0.4), (0.5, 0.0), (0.5, 0.999)]
        return [*(_maps(rng, patches, *part) for part in parts), (exact, 0.8, hints)]

    cases = telling(draw, _attention_mask, WRONG_ATTENDED)
    problem = explain(answer, _attention_mask, cases, WRONG_ATTENDED)
    yield "hides the patches that the class token looks at most, but for the hints", problem
    if problem:
        return
    maps, ratio, _ = cases[0]
    patches = maps.shape[3] - 1
    count = math.ceil(ratio * patches)
    edges = [(maps, ratio, 0), (maps, ratio, 1), (maps, ratio, count), (maps, 1.0, 0), (maps, 1.0, patches)]
    edges += [(maps, 0.0, 0), (maps[:, :1], ratio, 2), (maps[:, :, :2, :2], 0.5, 0)]
    mistakes = {
        "`[:-0]` is empty: without hints all that is looked at most stays hidden": (
            lambda maps, ratio, hints: _attention_mask(maps, ratio if hints else 0.0, hints)
        ),
        "`[-0:]` is the whole list: for a ratio of 0 nothing is hidden": (
            lambda maps, ratio, hints: _attention_mask(maps, ratio or 1.0, hints)
        ),
    }
    yield (
        "works without hints, with hints alone, for all and none, one head and one patch",
        explain(answer, _attention_mask, edges, mistakes),
    )
    yield "hides as many where patches are looked at alike", _equally_looked_at(answer, rng)


def _attention_mask(maps: Tensor, ratio: float, hints: int) -> Tensor:
    return _between(maps.mean(1)[:, 0, 1:], hints, math.ceil(ratio * (maps.shape[3] - 1)))


def _equally_looked_at(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong where patches are looked at alike, and any of them may be hidden."""
    some = torch.tensor([16, 14, 12, 8, 8, 8, 8, 8, 8, 4, 3, 2]) / 128
    cases = [(some, 0.5, 2, "is there a limit? Count places instead")]
    cases.append((torch.tensor([0.8, 0.0, 0.0, 0.0]), 0.75, 0, CHOSEN_AGAIN))
    for patches, hints in ((12, 2), (64, 1), (196, 1), (196, 2)):  # of equal keys, orders differ with their number
        text = "are hints and hidden patches ordered twice? Take both from one order"
        cases.append((torch.full((patches,), 1 / 256), 0.5, hints, text))
    for looks, ratio, hints, text in cases:
        patches = len(looks)
        maps = torch.rand(2, 3, 1 + patches, 1 + patches, generator=rng) / (1 + patches)
        maps[:, :, 0, 1:] = looks[torch.rand(2, patches, generator=rng).argsort(1)][:, None]
        hidden, wanted = answer(maps, ratio, hints).sum(1), math.ceil(ratio * patches) - hints
        if (hidden != wanted).any():
            return (
                f"of {patches} patches, many looked at alike, {hidden[hidden != wanted][0]} are hidden instead of "
                f"{wanted} (ratio {ratio:g}, hints {hints}): {text}"
            )
    return None


def _between(scores: Tensor, low: int, high: int) -> Tensor:
    """True for the ranks from `low` up to `high`, not included, of (batch, patches); rank 0 is the largest."""
    ranks = scores.argsort(1, descending=True).argsort(1)
    return (ranks >= low) & (ranks < high)


def _maps(rng: Generator, patches: int, share: float, part: float) -> tuple[Tensor, float, int]:
    """Maps of attention, in which no two patches get nearly the same share, and ratio and hints.

    About a `share` of the patches is hidden; a `part` of one is added when their number is rounded up. The heads
    leave more or less for the patches, as they look more or less at the class token.
    """
    batch, heads = distinct(rng, 2, 2, 5)
    while True:
        scores = 1.5 * torch.randn(batch, heads, 1 + patches, 1 + patches, generator=rng)
        scores[..., 0] += 3 * torch.randn(batch, heads, 1, generator=rng)
        maps = scores.softmax(3)
        if (maps.mean(1)[:, 0, 1:].sort(1).values.diff(dim=1) > 1e-5).all():
            break
    count = int(share * patches) + (distinct(rng, 1, -2, 4)[0] if part else 0)
    return maps, (count - part) / patches, distinct(rng, 1, 2, 4)[0]


def _attended(
    scores: Callable[[Tensor], Tensor] = lambda maps: maps.mean(1)[:, 0, 1:],
    hidden: Callable[[float], int] = math.ceil,
    keep: Callable[[Tensor, int, int], Tensor] = _between,
    of: Callable[[Tensor], Any] = lambda mask: mask,
) -> Callable:
    """A mistake in what is ranked, in how many are hidden, in which ranks are, or in the form of the mask."""

    def answer(maps: Tensor, ratio: float, hints: int) -> Any:
        return of(keep(scores(maps), hints, hidden(ratio * (maps.shape[3] - 1))))

    return answer


def _places_taken_for_ranks(scores: Tensor, low: int, high: int) -> Tensor:
    places = scores.argsort(1, descending=True)
    return (places >= low) & (places < high)


WRONG_ATTENDED: dict[str, Callable] = {
    "that is how much the patches look at the class token: its own row is asked for": _attended(
        lambda maps: maps.mean(1)[:, 1:, 0]
    ),
    "the mean of all tokens is taken: where the class token looks counts": _attended(
        lambda maps: maps.mean((1, 2))[:, 1:]
    ),
    "the mean of all patches is taken: where the class token looks counts": _attended(
        lambda maps: maps[:, :, 1:].mean((1, 2))[:, 1:]
    ),
    "that is how much each patch looks at itself: where the class token looks counts": _attended(
        lambda maps: maps.mean(1).diagonal(dim1=1, dim2=2)[:, 1:]
    ),
    "the row of the last patch is taken: the class token is the first": _attended(
        lambda maps: maps.mean(1)[:, -1, 1:]
    ),
    "the row of the first patch is taken: the class token comes before it": _attended(
        lambda maps: maps.mean(1)[:, 1, 1:]
    ),
    "the class token is taken for a patch, and the last one is lost": _attended(
        lambda maps: maps.mean(1)[:, 0, :-1]
    ),
    "the class token is ranked with the patches: leave it out": lambda maps, ratio, hints: _between(
        maps.mean(1)[:, 0], hints, math.ceil(ratio * (maps.shape[3] - 1))
    )[:, 1:],
    "the class token has a place in the mask: it is no patch, so leave it out": _attended(
        lambda maps: maps.mean(1)[:, 0]
    ),
    "the first head decides: the mean of all does": _attended(lambda maps: maps[:, 0, 0, 1:]),
    "the last head decides: the mean of all does": _attended(lambda maps: maps[:, -1, 0, 1:]),
    "the head that looks most decides: the mean of all does": _attended(lambda maps: maps.amax(1)[:, 0, 1:]),
    "the product of the heads decides: their mean does": _attended(lambda maps: maps.log().mean(1)[:, 0, 1:]),
    "each head is divided by its sum over the patches: take the mean as they are": _attended(
        lambda maps: (maps[:, :, 0, 1:] / maps[:, :, 0, 1:].sum(2, keepdim=True)).mean(1)
    ),
    "another softmax is taken: the maps are shares already": _attended(
        lambda maps: maps.softmax(3).mean(1)[:, 0, 1:]
    ),
    "the maps of the batch are averaged: each image has its own": _attended(
        lambda maps: maps.mean((0, 1))[0, 1:].expand(len(maps), -1)
    ),
    "the first image decides for all: each has its own maps": _attended(
        lambda maps: maps[:1].mean(1)[:, 0, 1:].expand(len(maps), -1)
    ),
    "what the class token looks at least is hidden": _attended(lambda maps: -maps.mean(1)[:, 0, 1:]),
    "the hints are left out: they stay visible": _attended(keep=lambda s, low, high: _between(s, 0, high)),
    "the hints alone are hidden: they stay visible": _attended(keep=lambda s, low, high: _between(s, 0, low)),
    "the hints are the least looked at of the hidden ones: take the most looked at": _attended(
        keep=lambda s, low, high: _between(s, 0, high - low)
    ),
    "other patches are hidden in the place of the hints: with hints, fewer are hidden": _attended(
        keep=lambda s, low, high: _between(s, low, high + low)
    ),
    "one hint too many": _attended(keep=lambda s, low, high: _between(s, low + 1, high)),
    "one hint too few": _attended(keep=lambda s, low, high: _between(s, low - 1, high)),
    "one patch too many is hidden": _attended(keep=lambda s, low, high: _between(s, low, high + 1)),
    "one patch too few is hidden": _attended(keep=lambda s, low, high: _between(s, low, high - 1)),
    "the number is rounded up, not down": _attended(hidden=math.floor),
    "the number is rounded up, not to the nearest": _attended(hidden=round),
    "a very small part is not rounded up: take `math.ceil`": _attended(hidden=lambda n: math.floor(n + 0.9)),
    "(1 - ratio) * patches may be just below a whole number: take ceil(ratio * patches)": (
        lambda maps, ratio, hints: _between(
            maps.mean(1)[:, 0, 1:], hints, maps.shape[3] - 1 - int((1 - ratio) * (maps.shape[3] - 1))
        )
    ),
    "a quantile may lie between two patches: count them with `ceil`": lambda maps, ratio, hints: (
        (maps.mean(1)[:, 0, 1:] >= maps.mean(1)[:, 0, 1:].quantile(1 - ratio, dim=1, keepdim=True))
        & _between(maps.mean(1)[:, 0, 1:], hints, maps.shape[3])
    ),
    "the class token does not count among the patches: ceil(ratio * patches)": lambda maps, ratio, hints: _between(
        maps.mean(1)[:, 0, 1:], hints, math.ceil(ratio * maps.shape[3])
    ),
    "the class token is counted and ranked with the patches: leave it out": lambda maps, ratio, hints: _between(
        maps.mean(1)[:, 0], hints, math.ceil(ratio * maps.shape[3])
    )[:, 1:],
    "`ratio` is the share to hide, not to show": lambda maps, ratio, hints: _attention_mask(
        maps, 1 - ratio, hints
    ),
    "`argsort` gives places in the order, not ranks: take it twice, or mark the places": _attended(
        keep=_places_taken_for_ranks
    ),
    "the ranks go along the axis of the images: rank the patches of each image": _attended(
        keep=lambda s, low, high: _between(s.T, low, high).T
    ),
    "each image hides the places of all, as `[:, places] = True` does: use `scatter`": _attended(
        of=lambda mask: mask.any(0, keepdim=True).expand_as(mask)
    ),
    "the patches of all images are ranked together: rank those of each image": lambda maps, ratio, hints: _between(
        maps.mean(1)[:, 0, 1:].flatten()[None],
        hints * len(maps),
        math.ceil(ratio * (maps.shape[3] - 1)) * len(maps),
    ).view(len(maps), -1),
    "the patches of all images are ranked and counted together: take each image": lambda maps, ratio, hints: (
        _between(
            maps.mean(1)[:, 0, 1:].flatten()[None],
            hints * len(maps),
            math.ceil(ratio * len(maps) * (maps.shape[3] - 1)),
        ).view(len(maps), -1)
    ),
    "these are the numbers of the patches: make a mask of them": _attended(
        keep=lambda s, low, high: s.argsort(1, descending=True)[:, low:high]
    ),
    "True and False are swapped: True is hidden": _attended(of=torch.logical_not),
    "a mask holds True and False, not numbers": _attended(of=lambda mask: mask.float()),
    "a mask holds True and False, not whole numbers": _attended(of=lambda mask: mask.long()),
}


@check(
    "Each channel has one mean and one variance, over all images. Which places may they be taken from? Hidden "
    "places hold 0 in the end: is it enough to set them to 0 before the bias?",
    "`visible = features.movedim(1, 3)[~hidden]` has a row for each visible place. Take `mean(0)` and "
    "`var(0, unbiased=False)` of it, normalise the features with them, and fill hidden places with 0 at the end.",
    gradient=(0, 2, 3),
)
def masked_batch_norm(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`masked_batch_norm(features, mask, weight, bias)` normalises with what the visible places say."""
    right = _normed()
    cases = telling(lambda: [_masked_maps(rng, wide) for wide in (True, False)], right, WRONG_NORMS)
    problem = explain(answer, right, cases, WRONG_NORMS)
    yield "normalises with mean and variance of the visible places, and leaves 0 at hidden ones", problem
    if problem:
        return
    features, mask, weight, bias = cases[0]
    hidden = masking.to_pixels(mask, features.shape[2] // mask.shape[1])[:, None]
    unseen = [(features.masked_fill(hidden, odd), mask, weight, bias) for odd in (math.nan, math.inf, 1e6)]
    problem = _nan_stays(answer, unseen[0]) or explain(answer, right, unseen)
    yield "does not depend on what stands at hidden places, even NaN", problem
    zeros = [(features.relu(), mask, weight, bias)]
    yield "counts visible places that hold 0, too", explain(answer, right, zeros, WRONG_ZEROS)
    constant = 0 * features + torch.arange(len(weight))[:, None, None]
    edges = [(features, torch.zeros_like(mask), weight, bias), (constant, mask, weight, bias)]
    edges += [(features / 500, mask, weight, bias), (features[:1], mask[:1], weight, bias)]
    nearly = torch.ones_like(mask)
    nearly[0, 0, 0] = False
    edges += [
        (features, nearly, weight, bias),
        (features[:, :, : mask.shape[1], : mask.shape[2]], mask, weight, bias),
    ]
    single = features[:, :, : mask.shape[1], : mask.shape[2]], nearly, weight, bias
    text = "NaN where one place is visible: is the variance divided by n - 1, which is 0?"
    yield (
        "works if nothing or nearly all is hidden, for one image, and for channels that hardly change",
        explain(answer, right, edges)
        or first((bool(answer(*single).isnan().any()), text))
        or explain(answer, right, [single]),
    )
    found = gradients(answer.raw, (constant, mask, weight, bias), (0, 2, 3))
    broken = any(part is not None and not part.isfinite().all() for part in found)
    text = "the gradient is NaN where a channel is constant: is the root of a variance of 0 taken?"
    problem = first((broken, text)) or other_gradient(answer, right, cases[0], (0, 2, 3))
    yield "lets the whole gradient through", problem


def _masked_maps(rng: Generator, wide: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features whose hidden places differ from the visible ones, and images from each other."""
    batch, channels, *grid = distinct(rng, 4, 2, 5)
    rows, cols = sorted(grid, reverse=not wide)
    side = distinct(rng, 1, 2, 4)[0]
    mask = torch.rand(batch, rows, cols, generator=rng) < 0.5
    mask[:, 0, :2] = torch.tensor([True, False])
    hidden = masking.to_pixels(mask, side)[:, None]
    features = torch.randn(batch, channels, rows * side, cols * side, generator=rng)
    features = (
        (features + torch.arange(batch)[:, None, None, None]) * 0.001 * 8 ** torch.arange(channels)[:, None, None]
    )
    weight, bias = 0.5 + torch.rand(2, channels, generator=rng)
    return torch.where(hidden, -2 * features, features), mask, weight, bias


def _nan_stays(answer: Answer, case: tuple) -> Verdict:
    """What is wrong if the result is NaN just where the first argument is."""
    if torch.equal(answer(*case).isnan(), case[0].isnan()):
        text = "NaN stays NaN in any sum or product, even times 0: use `torch.where` or `masked_fill`"
        return f"{text}\n{answer.shown(*case)}"
    return None


def _of_visible(features: Tensor, hidden: Tensor, unbiased: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over the visible places, of shape (channels, 1, 1)."""
    visible = features.movedim(1, 3)[~hidden[:, 0]]
    return visible.mean(0)[:, None, None], visible.var(0, unbiased=unbiased)[:, None, None]


def _over(axes: tuple[int, ...], of: Callable = lambda features, hidden: features) -> Callable:
    """Mean and variance over these axes of what `of` makes of features and hidden places."""

    def statistics(features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        values = of(features, hidden)
        return values.mean(axes, keepdim=True), values.var(axes, unbiased=False, keepdim=True)

    return statistics


def _of_each_image(features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    pairs = [_of_visible(one[None], where[None]) for one, where in zip(features, hidden, strict=True)]
    return torch.stack([mean for mean, _ in pairs]), torch.stack([variance for _, variance in pairs])


def _of_all_channels(features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    visible = features[~hidden.expand_as(features)]
    return visible.mean(), visible.var(unbiased=False)


def _of_nonzero(features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over those visible places that do not hold 0."""
    channels = features.masked_fill(hidden, 0).movedim(1, 0).flatten(1)
    pairs = [(values[values != 0].mean(), values[values != 0].var(correction=0)) for values in channels]
    return tuple(torch.stack(part)[:, None, None] for part in zip(*pairs, strict=True))


def _instead(of: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable:
    """Other numbers made of the right mean and variance, and of the share of visible places."""
    return lambda features, hidden: of(*_of_visible(features, hidden), (~hidden).float().mean())


def _normed(
    statistics: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _of_visible,
    scale: Callable[[Tensor], Tensor] = lambda variance: (variance + 1e-5).sqrt(),
    of: Callable[..., Tensor] = lambda x, hidden, weight, bias: (weight * x + bias).masked_fill(hidden, 0),
    enlarge: Callable[[Tensor, int], Tensor] = masking.to_pixels,
) -> Callable:
    """A batch norm, right or with other statistics, another divisor, another end, or other hidden places."""

    def answer(features: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        hidden = enlarge(mask, features.shape[2] // mask.shape[1])[:, None]
        mean, variance = statistics(features, hidden)
        return of((features - mean) / scale(variance), hidden, weight[:, None, None], bias[:, None, None])

    return answer


WRONG_NORMS: dict[str, Callable] = {
    "mean and variance are those of all places: hidden ones must not count": _normed(_over((0, 2, 3))),
    "hidden places count as zeros in mean and variance: leave them out": _normed(
        _over((0, 2, 3), lambda x, h: x.masked_fill(h, 0))
    ),
    "mean and variance are those of the hidden places: True is hidden": _normed(lambda x, h: _of_visible(x, ~h)),
    "hidden and visible are swapped: True is hidden": _normed(enlarge=lambda m, side: ~masking.to_pixels(m, side)),
    "hidden places are normalised, too: they hold 0": _normed(of=lambda x, h, w, b: w * x + b),
    "hidden places are set to 0 before, but not at the end": lambda x, m, w, b: _normed(
        of=lambda normal, h, w, b: w * normal + b
    )(x.masked_fill(masking.to_pixels(m, x.shape[2] // m.shape[1])[:, None], 0), m, w, b),
    "hidden places hold the bias: set them to 0 at the end": _normed(
        of=lambda x, h, w, b: w * x.masked_fill(h, 0) + b
    ),
    "visible places are 0, not the hidden ones": _normed(of=lambda x, h, w, b: (w * x + b).masked_fill(~h, 0)),
    "each image has a mean and a variance of its own: all images share those of a channel": _normed(
        _of_each_image
    ),
    "all channels share a mean and a variance: each has its own": _normed(_of_all_channels),
    "each place has its own mean and variance, as in a layer norm: each channel has them": _normed(_over((1,))),
    "means and variances of the images are averaged: take the places of all together": _normed(
        lambda x, h: tuple(part.mean(0) for part in _of_each_image(x, h))
    ),
    "the means of the images are averaged: take the mean over the places of all together": _normed(
        lambda x, h: (_of_each_image(x, h)[0].mean(0), _of_visible(x, h)[1])
    ),
    "the variance is divided by n - 1: by n, as in a batch norm": _normed(
        lambda x, h: _of_visible(x, h, unbiased=True)
    ),
    "hidden places count in the variance, as zeros: leave them out": _normed(
        _instead(lambda mean, variance, share: (mean, variance + mean**2 * (1 - share) / share))
    ),
    "sums over visible places are divided by the number of all: by theirs": _normed(
        _instead(lambda mean, variance, share: (share * mean, share * (variance + ((1 - share) * mean) ** 2)))
    ),
    "the variance is divided by the number of all places: by that of the visible ones": _normed(
        _instead(lambda mean, variance, share: (mean, share * variance))
    ),
    "the mean is not subtracted": _normed(_instead(lambda mean, variance, _: (0 * mean, variance))),
    "the variance is the mean of the squares: subtract the mean before": _normed(
        _instead(lambda mean, variance, _: (mean, variance + mean**2))
    ),
    "the mean is added: subtract it": _normed(_instead(lambda mean, variance, _: (-mean, variance))),
    "it is divided by the variance: by its root": _normed(scale=lambda variance: variance + 1e-5),
    "nothing is divided: divide by the root of the variance": _normed(scale=torch.ones_like),
    "it is multiplied by the root of the variance: divide": _normed(scale=lambda var: 1 / (var + 1e-5).sqrt()),
    "the epsilon is missing: 1e-5 is added to the variance before the root": _normed(scale=torch.sqrt),
    "the epsilon is added after the root: add it to the variance before": _normed(
        scale=lambda variance: variance.sqrt() + 1e-5
    ),
    "the variance is divided by n - 1, and the epsilon added after the root": _normed(
        lambda x, h: _of_visible(x, h, unbiased=True), lambda variance: variance.sqrt() + 1e-5
    ),
    "the root is taken twice: add 1e-5 to the variance, and take it once": _normed(
        scale=lambda variance: (variance.sqrt() + 1e-5).sqrt()
    ),
    **{
        f"the epsilon is 1e-5, not {epsilon}": _normed(scale=lambda var, more=float(epsilon): (var + more).sqrt())
        for epsilon in ("1e-4", "1e-6")
    },
    "the weight is missing": _normed(of=lambda x, h, w, b: (x + b).masked_fill(h, 0)),
    "the bias is missing": _normed(of=lambda x, h, w, b: (w * x).masked_fill(h, 0)),
    "weight and bias are missing": _normed(of=lambda x, h, w, b: x.masked_fill(h, 0)),
    "the weight is 1 too large: here it is not what is added to 1": _normed(
        of=lambda x, h, w, b: ((1 + w) * x + b).masked_fill(h, 0)
    ),
    "weight and bias are swapped": _normed(of=lambda x, h, w, b: (b * x + w).masked_fill(h, 0)),
    "the bias is added before the weight multiplies": _normed(
        of=lambda x, h, w, b: (w * (x + b)).masked_fill(h, 0)
    ),
    "negative values are cut off: there is no ReLU here": _normed(
        of=lambda x, h, w, b: (w * x + b).masked_fill(h, 0).relu()
    ),
    "whole copies of the mask lie side by side, like tiles: repeat each entry instead": _normed(
        enlarge=lambda m, side: m.repeat(1, side, side)
    ),
    "the mask of the first image is used for all: each has its own": _normed(
        enlarge=lambda m, side: masking.to_pixels(m[:1].expand_as(m), side)
    ),
    "the mask is blurred where it is enlarged: repeat each entry": _normed(
        enlarge=lambda m, side: interpolate(m[:, None].float(), scale_factor=side, mode="bilinear")[:, 0] > 0.5
    ),
}


WRONG_ZEROS: dict[str, Callable] = {
    "visible places that hold 0 are taken for hidden ones: ask the mask": _normed(_of_nonzero),
    "visible places that hold 0 are taken for hidden ones, and left at 0: ask the mask": lambda x, m, w, b: (
        _normed(_of_nonzero)(x, m, w, b) * (x != 0)
    ),
}


@check(
    "Begin with grey. Copy a frame where it is visible, then a nearer one over it, and so on: the nearest stays. "
    "In which order must the frames come, so that of two equally near ones the earlier stays?",
    "For each frame t sort all frames s from the farthest to the nearest: `key=lambda s: (-abs(s - t), -s)`. "
    "Where frame s is visible, take its pixels: `torch.where(hidden[s], filled[t], clip[s])`.",
)
def copy_in_time(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`copy_in_time(clip, mask)` fills hidden patches from the nearest frame in which they are visible."""
    right = _copied()
    cases = telling(lambda: [_holes(rng, wide) for wide in (True, False)], right, WRONG_COPIES)
    problem = explain(answer, right, cases, WRONG_COPIES)
    yield "copies each hidden patch from the nearest frame in which it is visible", problem
    if problem:
        return
    clip, mask = cases[0]
    hidden = masking.to_pixels(mask, clip.shape[2] // mask.shape[1])[:, None]
    unseen = [(clip.masked_fill(hidden, odd), mask) for odd in (math.nan, 7.0)]
    problem = _nan_stays(answer, unseen[0]) or explain(answer, right, unseen)
    yield "does not look at what is hidden, even NaN", problem
    plain = [((clip > 0) / 2, mask)]
    yield "keeps and copies visible pixels that are black or grey", explain(answer, right, plain, TAKEN_FOR_HOLES)
    tubes, last, whole = mask[:1].expand_as(mask), torch.zeros_like(mask), mask.clone()
    last[-1], whole[0] = True, False  # the first frame is seen whole, others in part
    edges = [(clip, tubes), (clip, last), (clip, last.flip(0)), (clip, ~last), (clip, ~last.flip(0))]
    edges += [
        (clip, mask & False),
        (clip, mask | True),
        (clip[:1], mask[:1]),
        (clip, whole),
        (clip, whole.flip(0)),
    ]
    edges += [(clip[:, :, :1, :1], mask[:, :1, :1]), (clip[:, :, :1, :1], mask[:, 1:2, 1:2])]
    yield "works for tubes, for one frame, and if all or nothing is hidden", explain(answer, right, edges)


def _holes(rng: Generator, wide: bool) -> tuple[Tensor, Tensor]:
    """A clip, and a mask in which places are seen in few frames, and one in none."""
    frames = distinct(rng, 1, 7, 9)[0]
    rows, cols = sorted(distinct(rng, 2, 3, 6), reverse=not wide)
    side = distinct(rng, 1, 2, 3)[0]
    mask = torch.rand(frames, rows, cols, generator=rng) < 0.7
    mask[:, 0, 0] = True
    return torch.randn(frames, 3, rows * side, cols * side, generator=rng), mask


def _nearest_frame(frame: int, other: int) -> float:
    return abs(frame - other) + 0.1 * (other > frame)


def _copied(
    far: Callable[[int, int], float] = _nearest_frame,
    never: Callable[[Tensor], Tensor] = lambda clip: torch.full_like(clip, 0.5),
    enlarge: Callable[[Tensor, int], Tensor] = masking.to_pixels,
    holes: Callable[[Tensor, Tensor], Tensor] = lambda clip, hidden: hidden,
) -> Callable:
    """Each hidden place from the frame with the least far(frame, other) of those that show it, if it is finite."""

    def answer(clip: Tensor, mask: Tensor) -> Tensor:
        hidden = holes(clip, enlarge(mask, clip.shape[2] // mask.shape[1])[:, None])
        frames = range(len(clip))
        distances = torch.tensor([[float(far(t, s)) for s in frames] for t in frames])[:, :, None, None, None]
        least, source = distances.where(~hidden, math.inf).min(1)
        copies = clip.gather(0, source.expand_as(clip))
        return torch.where(hidden, torch.where(least.isinf(), never(clip), copies), clip)

    return answer


def _blindly(frame: Callable[[int, int], int]) -> Callable:
    """Each hidden place from the frame number `frame(t, frames)`, whatever is visible there."""

    def answer(clip: Tensor, mask: Tensor) -> Tensor:
        hidden = masking.to_pixels(mask, clip.shape[2] // mask.shape[1])[:, None]
        return torch.where(hidden, clip[[frame(t, len(clip)) for t in range(len(clip))]], clip)

    return answer


def _averaged(clip: Tensor, mask: Tensor) -> Tensor:
    """Each hidden place from the mean of all frames that show it."""
    hidden = masking.to_pixels(mask, clip.shape[2] // mask.shape[1])[:, None]
    return torch.where(hidden, clip.masked_fill(hidden, math.nan).nanmean(0).nan_to_num(0.5), clip)


def _marked_by(value: float, left: float, kept: bool) -> Callable:
    """What holds the value that marks holes counts as one; `left` stays if no frame shows another value."""

    def answer(clip: Tensor, mask: Tensor) -> Tensor:
        hidden = masking.to_pixels(mask, clip.shape[2] // mask.shape[1])[:, None]
        marked = hidden | (clip == value)
        copies = _copied(never=lambda clip: torch.full_like(clip, left), holes=lambda *_: marked)(clip, mask)
        return torch.where(hidden if kept else marked, copies, clip).masked_fill(hidden.all(0), 0.5)

    return answer


TAKEN_FOR_HOLES: dict[str, Callable] = {
    f"visible pixels of {value:g} are {what}{end}: ask the mask": _marked_by(value, left, kept)
    for value, left, end in ((0.0, 0.0, ""), (0.0, 0.5, ", and end as grey"), (0.5, 0.5, ""))
    for what, kept in (("taken for holes", False), ("not copied", True))
}
WRONG_COPIES: dict[str, Callable] = {
    "the frame before is copied, even where it is hidden itself": _blindly(lambda t, n: max(t - 1, 0)),
    "the frame before is copied even where it is hidden, and into the first the last one": _blindly(
        lambda t, n: t - 1
    ),
    "the frame after is copied, even where it is hidden itself": _blindly(lambda t, n: min(t + 1, n - 1)),
    "only frames before are copied: later ones may be nearer": _copied(lambda t, s: t - s if s < t else math.inf),
    "only frames after are copied: earlier ones may be nearer": _copied(lambda t, s: s - t if s > t else math.inf),
    "frames before come first, however far they are: the nearest that `mask` shows counts": _copied(
        lambda t, s: t - s if s < t else 100 + s - t
    ),
    "frames after come first, however far they are: the nearest that `mask` shows counts": _copied(
        lambda t, s: s - t if s > t else 100 + t - s
    ),
    "of two equally near frames the later one is copied: take the earlier": _copied(
        lambda t, s: abs(s - t) + 0.1 * (s < t)
    ),
    "only the two frames next to it are looked at: go on until one shows the place": _copied(
        lambda t, s: _nearest_frame(t, s) if abs(s - t) == 1 else math.inf
    ),
    "only the frame before is looked at: go on, in both directions": _copied(
        lambda t, s: 0 if s == t - 1 else math.inf
    ),
    "`mask[t - d]` with a negative index is one of the last frames: ask for 0 <= t - d": lambda clip, mask: (
        _copied(lambda t, s: min((t - s) % len(clip), s - t + 0.1 if s > t else math.inf))(clip, mask)
    ),
    "the first frame that shows the place is copied: take the nearest": _copied(lambda t, s: s),
    "the last frame that shows the place is copied: take the nearest": _copied(lambda t, s: -s),
    "the farthest frame is copied: take the nearest": _copied(lambda t, s: -_nearest_frame(t, s)),
    "all frames that show the place are averaged: copy the nearest": _averaged,
    "two equally near frames are averaged: take the earlier": lambda clip, mask: (
        (_copied()(clip, mask) + _copied(lambda t, s: abs(s - t) + 0.1 * (s < t))(clip, mask)) / 2
    ),
    "pixels are cut off at 0 and 1: copy them as they are": lambda clip, mask: _copied()(clip, mask).clamp(0, 1),
    "a place that is never visible is black: it is grey, 0.5": _copied(never=torch.zeros_like),
    "a place that is never visible is white: it is grey, 0.5": _copied(never=torch.ones_like),
    "a place that is never visible keeps what is hidden there: it is grey, 0.5": _copied(never=lambda clip: clip),
    "a place that is never visible is 128: in pictures from 0 to 1 grey is 0.5": _copied(
        never=lambda clip: torch.full_like(clip, 128)
    ),
    "the mask of the first frame is used for all: each has its own": lambda clip, mask: _copied()(
        clip, mask[:1].expand_as(mask)
    ),
    "a place that is never visible has the mean of the clip: it is grey, 0.5": _copied(
        never=lambda clip: clip.mean().expand_as(clip)
    ),
    "a place that is never visible has the mean of all visible pixels: it is grey, 0.5": lambda clip, mask: (
        _copied(
            never=lambda clip: (
                clip[(~masking.to_pixels(mask, clip.shape[2] // mask.shape[1])[:, None]).expand_as(clip)]
                .mean()
                .expand_as(clip)
            )
        )(clip, mask)
    ),
    "nothing is copied here, hidden places are grey: look for a frame for each patch": _copied(
        lambda t, s: math.inf
    ),
    "nothing is filled": lambda clip, mask: clip,
    "hidden and visible are swapped: True is hidden": lambda clip, mask: _copied()(clip, ~mask),
    "visible places take the frame before, too: they keep their pixels": lambda clip, mask: torch.where(
        masking.to_pixels(mask, clip.shape[2] // mask.shape[1])[:, None],
        _copied()(clip, mask),
        _blindly(lambda t, n: max(t - 1, 0))(clip, mask | True),
    ),
    "whole copies of the mask lie side by side, like tiles: repeat each entry instead": _copied(
        enlarge=lambda m, side: m.repeat(1, side, side)
    ),
}


@check(
    "The teacher gives each token probabilities over the codes, and the student should give the same. What is "
    "subtracted from whose scores, and who is divided by which temperature? Which tokens count?",
    "`((teacher - center) / teacher_temperature).softmax(-1).detach()` times `(student / student_temperature)"
    ".log_softmax(-1)`, added up over the codes, with a minus: a number for each token. Average the hidden ones.",
    gradient=(0,),
)
def teacher_loss(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`teacher_loss(student, teacher, center, mask, ...)` is the cross-entropy with a teacher on hidden tokens."""
    right = _taught()
    cases = telling(lambda: [_scored(rng) for _ in range(2)], right, WRONG_LESSONS)
    problem = explain(answer, right, cases, WRONG_LESSONS)
    yield "is the cross-entropy of student and teacher, averaged over the hidden tokens", problem
    if problem:
        return
    student, teacher, center, mask, *temperatures = cases[0]
    every, single = mask | True, mask & False
    single[0, 0, 1] = True
    edges = [(student, teacher, center, every, *temperatures), (student, teacher, center, single, *temperatures)]
    edges += [(student[:1], teacher[:1], center, every[:1], 1.0, 1.0)]
    edges += [(student[..., :1], teacher[..., :1], center[:1], mask, *temperatures)]
    ranks = teacher.argsort(-1).argsort(-1).float()  # no two are near: rounding decides nothing
    large = [(300 * student, 300 * ranks, center, mask, *temperatures)]
    large += [(student, ranks, center, mask, 0.01, 0.005)]
    yield "works if one or all tokens are hidden, for one image and one code", explain(answer, right, edges)
    problem = _limited(answer, right, large) or explain(answer, right, large)
    yield "works for large scores and low temperatures", problem
    yield "teaches the student alone", _teacher_learns(answer, cases[0])
    yield "lets the whole gradient through", other_gradient(answer, right, cases[0], (0,))


def _scored(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, float, float]:
    """Scores of student and teacher, a center, masks that hide 1, 2, 3 ... tokens, and two temperatures."""
    batch, rows, cols, codes = distinct(rng, 4, 3, 6)
    mask = torch.rand(batch, rows * cols, generator=rng).argsort(1) < 1 + torch.arange(batch)[:, None]
    student, teacher = 2 * torch.randn(2, batch, rows * cols, codes, generator=rng)
    warm, cold = torch.tensor([0.8, 0.3]) + 0.2 * torch.rand(2, generator=rng)
    center = torch.randn(codes, generator=rng)
    return student, teacher, center, mask.view(batch, rows, cols), warm.item(), cold.item()


def _limited(answer: Answer, right: Callable, cases: list[tuple]) -> Verdict:
    """What is wrong if the loss for large scores is infinite, or smaller than it should be."""
    for case in cases:
        loss = answer(*case)
        if not isinstance(loss, Tensor | float):
            return None
        student, teacher, center, *rest = case
        student, teacher = (  # the loss is the same, but no `exp` is above 1
            x - (x - middle).amax(-1, keepdim=True) for x, middle in ((student, 0), (teacher, center))
        )
        low = answer(student, teacher, center, *rest)
        text = first(
            (
                not torch.as_tensor(low).isfinite().all(),
                "the logarithm of a probability that is rounded to 0 is infinite: take `log_softmax`",
            ),
            (
                not torch.as_tensor(loss).isfinite().all(),
                "`exp` of a large score is infinite: `softmax` and `log_softmax` take care of that",
            ),
            (
                bool((torch.as_tensor(loss) < 0.9 * right(*case)).all()),
                f"the loss is {float(loss):.6g}, but should be {right(*case):.6g}: is something added to small "
                "probabilities, or a limit set? Take `log_softmax`",
            ),
        )
        if text:
            return f"{text}\n{answer.shown(*case)}"
    return None


def _teacher_learns(answer: Answer, case: tuple) -> Verdict:
    """What is wrong if a gradient reaches the teacher or the center."""
    _, *found = gradients(answer.raw, case, (0, 1, 2))
    reached = [
        name for name, part in zip(("teacher", "center"), found, strict=True) if part is not None and part.any()
    ]
    if reached:
        return f"a gradient reaches the {' and the '.join(reached)}: the student alone learns, so use `detach`"
    return None


def _taught(
    answers: Callable[[Tensor], Tensor] = lambda scores: scores.softmax(2),
    given: Callable[[Tensor], Tensor] = lambda scores: scores.log_softmax(2),
    each: Callable[[Tensor, Tensor], Tensor] = lambda p, log_q: -(p * log_q).sum(2),
    of: Callable[[Tensor, Tensor], Any] = lambda losses, hidden: losses[hidden].mean(),
    scores: Callable[..., tuple[Tensor, Tensor]] = lambda s, t, center, warm, cold: (
        s / warm,
        (t - center) / cold,
    ),
) -> Callable:
    """A loss, right or wrong in the scores, in what is made of them, in the loss of a token, or in the mean."""

    def answer(student: Tensor, teacher: Tensor, center: Tensor, mask: Tensor, warm: float, cold: float) -> Any:
        student, teacher = scores(student, teacher, center, warm, cold)
        return of(each(answers(teacher), given(student)), mask.flatten(1))

    return answer


WRONG_LESSONS: dict[str, Callable] = {
    "the temperatures are swapped": _taught(scores=lambda s, t, c, a, b: (s / b, (t - c) / a)),
    "the student's temperature is missing": _taught(scores=lambda s, t, c, a, b: (s, (t - c) / b)),
    "the teacher's temperature is missing": _taught(scores=lambda s, t, c, a, b: (s / a, t - c)),
    "both have the student's temperature": _taught(scores=lambda s, t, c, a, b: (s / a, (t - c) / a)),
    "both have the teacher's temperature": _taught(scores=lambda s, t, c, a, b: (s / b, (t - c) / b)),
    "both temperatures are missing": _taught(scores=lambda s, t, c, a, b: (s, t - c)),
    "the scores are multiplied by the temperatures: divide": _taught(
        scores=lambda s, t, c, a, b: (s * a, (t - c) * b)
    ),
    "the student's scores are multiplied by the temperature: divide": _taught(
        scores=lambda s, t, c, a, b: (s * a, (t - c) / b)
    ),
    "the teacher's scores are multiplied by the temperature: divide": _taught(
        scores=lambda s, t, c, a, b: (s / a, (t - c) * b)
    ),
    "`/` comes before `-`: put brackets around `teacher - center`": _taught(
        scores=lambda s, t, c, a, b: (s / a, t - c / b)
    ),
    "the teacher's temperature divides its probabilities: divide the scores": lambda s, t, c, m, a, b: _taught(
        lambda scores: scores.softmax(2) / b, scores=lambda s, t, c, a, b: (s / a, t - c)
    )(s, t, c, m, a, b),
    "the center is not subtracted": _taught(scores=lambda s, t, c, a, b: (s / a, t / b)),
    "the mean of this batch is subtracted: subtract `center`": _taught(
        scores=lambda s, t, c, a, b: (s / a, (t - t.mean((0, 1))) / b)
    ),
    "the center is added: subtract it": _taught(scores=lambda s, t, c, a, b: (s / a, (t + c) / b)),
    "the center is subtracted after the division: before": _taught(
        scores=lambda s, t, c, a, b: (s / a, t / b - c)
    ),
    "the center is subtracted from the student, too": _taught(
        scores=lambda s, t, c, a, b: ((s - c) / a, (t - c) / b)
    ),
    "the center is subtracted from the student, not from the teacher": _taught(
        scores=lambda s, t, c, a, b: ((s - c) / a, t / b)
    ),
    "student and teacher are swapped: the logarithm is the student's": _taught(
        scores=lambda s, t, c, a, b: ((t - c) / b, s / a)
    ),
    "the mask is read column by column: patches come row by row": lambda s, t, c, m, a, b: _taught()(
        s, t, c, m.mT, a, b
    ),
    "visible tokens count, not the hidden ones: True is hidden": _taught(of=lambda x, h: x[~h].mean()),
    "all tokens count: only hidden ones should": _taught(of=lambda x, h: x.mean()),
    "the sum over hidden tokens is divided by the number of all: by theirs": _taught(
        of=lambda x, h: (x * h).mean()
    ),
    "that is a sum: divide it by the number of hidden tokens": _taught(of=lambda x, h: x[h].sum()),
    "each image counts the same: average over all hidden tokens of the batch": _taught(
        of=lambda x, h: ((x * h).sum(1) / h.sum(1)).mean()
    ),
    "the sum is divided by the number of images: by that of the hidden tokens": _taught(
        of=lambda x, h: x[h].sum() / len(x)
    ),
    "it is averaged over the codes, too: add them up": _taught(each=lambda p, log_q: -(p * log_q).mean(2)),
    "the sign is wrong: a minus is missing": _taught(each=lambda p, log_q: (p * log_q).sum(2)),
    "the teacher's entropy is subtracted, as in a Kullback-Leibler divergence: leave it": _taught(
        each=lambda p, log_q: (p * (p.log() - log_q)).sum(2)
    ),
    "the logarithm is missing: that is the product of the probabilities": _taught(
        each=lambda p, log_q: -(p * log_q.exp()).sum(2)
    ),
    "the squared differences of the probabilities are added up: take the cross-entropy": _taught(
        each=lambda p, log_q: (p - log_q.exp()).square().sum(2)
    ),
    "the squared differences of the probabilities are averaged: take the cross-entropy": _taught(
        each=lambda p, log_q: (p - log_q.exp()).square().mean(2)
    ),
    "the teacher's likeliest code counts alone: all do, by their probabilities": _taught(
        answers=lambda scores: one_hot(scores.argmax(2), scores.shape[2]).float()
    ),
    "the softmax goes over the tokens: over the codes of each": _taught(
        lambda scores: scores.softmax(1), lambda scores: scores.log_softmax(1)
    ),
    "the softmax of the student goes over the tokens: over the codes of each": _taught(
        given=lambda scores: scores.log_softmax(1)
    ),
    "the softmax of the teacher goes over the tokens: over the codes of each": _taught(
        lambda scores: scores.softmax(1)
    ),
    "`cross_entropy` takes the second axis for the codes: give it a list of tokens": _taught(
        given=lambda scores: scores.log_softmax(1),
        each=lambda p, log_q: -(p * log_q).sum(1),
        of=lambda losses, hidden: losses.mean(),
    ),
    "the student's softmax is taken twice: `log_softmax` and `cross_entropy` want scores": _taught(
        given=lambda scores: scores.softmax(2).log_softmax(2)
    ),
    "the teacher's softmax is taken twice": _taught(lambda scores: scores.softmax(2).softmax(2)),
    "the teacher's probabilities are logarithms here: `softmax`, not `log_softmax`": _taught(
        lambda scores: scores.log_softmax(2)
    ),
    "the softmax of the teacher is missing": _taught(answers=lambda scores: scores),
    "the sigmoid is taken: one code excludes the others, so take the softmax": _taught(
        lambda scores: scores.sigmoid(), lambda scores: scores.sigmoid().log()
    ),
    "the logarithm has the base 2: take the natural one": _taught(
        each=lambda p, log_q: -(p * log_q).sum(2) / math.log(2)
    ),
    "the logarithm has the base 10: take the natural one": _taught(
        each=lambda p, log_q: -(p * log_q).sum(2) / math.log(10)
    ),
    "the loss is one number: average over the hidden tokens": _taught(of=lambda x, h: x[h]),
    "the loss is one number, not one for each image": _taught(of=lambda x, h: (x * h).sum(1) / h.sum(1)),
}


GUESSES = {
    "work_of_mae": Guess(
        "about a half",
        "the encoder has a quarter of the tokens, but the decoder has all, which alone is 30 % of the work of "
        "SimMIM's encoder.",
        choices=("about a quarter", "about a half", "nearly as much"),
    ),
    "probed_after_equal_seconds": Guess(
        "MAE",
        "it takes twice as many steps, its encoder never meets a mask token, so whole pictures are nothing new to "
        "it, and a decoder of its own draws the pixels.",
        choices=("SimMIM", "MAE", "equal, within the draws"),
    ),
    "free_target": Guess(
        "the teacher's features",
        "if teacher and student give the same answer for every picture, each guesses the other perfectly. All "
        "other targets are fixed by the picture.",
        choices=("normalised pixels", "edges", "codes", "the teacher's features"),
    ),
    "masks_at_equal_seconds": Guess(
        "random masks",
        "to find the patches costs steps, and what is hidden in training is then no longer like what is hidden in "
        "the test.",
        choices=("random masks", "hard masks", "masks that hide what is looked at"),
    ),
    "filled_after_4": Guess(
        0.61,
        "a cell of 8 pixels is filled from its visible sides, one pixel a convolution; but many hidden cells lie "
        "side by side.",
        within=0.15,
    ),
    "answer_by_example": Guess(
        0.3, "the example makes a negative of its input: 1 - 0.2 is 0.8, and 1 - 0.6 is 0.4."
    ),
    "seen_in_another_frame": Guess(
        0.76,
        "a patch is hidden in all five other frames with a chance of 0.75⁵ = 0.24; else one of them shows it.",
        within=0.02,
    ),
    "share_of_peak": Guess(
        "about 10 %",
        "its 2,688 GPU-hours could have done ten times the work of the blocks, at best.",
        choices=("about 10 %", "about 30 %", "about 60 %"),
    ),
    "gpus_for_state": Guess(2, "16 bytes for each parameter are 107 GB."),
}
