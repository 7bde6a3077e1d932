"""Checks of lesson 09 and its exercises: tokens, sampling, and how good what is generated is."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from simmim_lab import generation
from simmim_lab.checks import solutions
from simmim_lab.checks.core import Answer, Verdict, check, distinct, explain, telling
from simmim_lab.checks.guessing import Guess


@check(
    "How far is each patch from each patch of the codebook? That is a table with a row for each patch. What do "
    "you need of a row, its smallest number, or where it stands?",
    "`torch.cdist(patches, codebook)` is the table of distances, and the same is nearest by the squared ones. "
    "`argmin(dim=1)` has for each row the place of its smallest number.",
    solution=solutions.nearest_codes,
    batched=(0,),
)
def nearest_codes(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`nearest_codes(patches, codebook)` names the nearest patch of the codebook for each patch."""
    right = solutions.nearest_codes
    cases = telling(lambda: [_patches(rng) for _ in range(2)], right, WRONG_CODES)
    problem = explain(answer, right, cases, WRONG_CODES)
    yield "names the code of the nearest patch", problem
    if problem:
        return
    patches, codebook = cases[0]
    known = [(codebook.flip(0), codebook), (codebook[:1], codebook), (codebook[-1:], codebook)]
    yield "finds a patch that is in the codebook", explain(answer, right, known)
    edges = [
        (patches[:1], codebook),
        (patches, codebook[:1]),
        (patches[:, :1], torch.tensor([[0.9], [0.1], [0.5]])),
        (torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.eye(2)),
        (1e-3 * patches, 1e-3 * codebook),
        (codebook.repeat(40, 1), codebook),
    ]
    yield "works for one patch, one code, one value, small values and many patches", explain(answer, right, edges)


def _patches(rng: Generator) -> tuple[Tensor, Tensor]:
    """Patches and a codebook in which no two codes are nearly at one distance from a patch."""
    count, values, codes = distinct(rng, 3, 5, 14)
    while True:
        light = torch.rand(count + codes, 1, generator=rng)
        patches, codebook = (light * torch.rand(count + codes, values, generator=rng)).split([count, codes])
        if (torch.cdist(patches, codebook).square().sort(dim=1).values.diff(dim=1)[:, 0] > 1e-3).all():
            return patches, codebook


def _nearest(far: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """The code with the smallest of these numbers, of the differences (patches, codes, values)."""
    return lambda patches, codebook: far(patches[:, None] - codebook).argmin(1)


WRONG_CODES: dict[str, Callable] = {
    "these are the farthest codes: the smallest distance is wanted": _nearest(lambda d: -d.square().sum(2)),
    "the distance is a sum of squared differences, not of absolute ones": _nearest(lambda d: d.abs().sum(2)),
    "the largest difference decides here, not the sum of the squared ones": _nearest(lambda d: d.abs().amax(2)),
    "differences of opposite sign cancel: square them before they are added": _nearest(lambda d: d.sum(2).abs()),
    "the signs of the differences count: square them before they are added": _nearest(lambda d: d.sum(2)),
    "the signs of the differences count, of codebook minus patches: square them": _nearest(lambda d: -d.sum(2)),
    "only the first value is compared: all of them count": _nearest(lambda d: d[:, :, 0].abs()),
    "the product is compared, so a light code wins: take the distance": lambda p, c: (p @ c.T).argmax(1),
    "the direction is compared (cosine), not the distance": (
        lambda p, c: torch.cosine_similarity(p[:, None], c, dim=2).argmax(1)
    ),
    "the lengths are compared, not the patches": (
        lambda p, c: (p.norm(dim=1)[:, None] - c.norm(dim=1)).abs().argmin(1)
    ),
    "for each code its nearest patch is named: it is the other way round": (
        lambda p, c: torch.cdist(c, p).argmin(1)
    ),
    "all patches get the code of the first one": lambda p, c: solutions.nearest_codes(p[:1], c).expand(len(p)),
    "these are the smallest distances: return where they stand": lambda p, c: torch.cdist(p, c).amin(1),
    "these are the smallest squared distances: return where they stand": (
        lambda p, c: torch.cdist(p, c).square().amin(1)
    ),
    "these are all distances: return where the smallest of a row stands": lambda p, c: torch.cdist(p, c),
    "these are all codes in their order: keep the first": lambda p, c: torch.cdist(p, c).argsort(1),
    "these are the patches of the codebook: return their codes": lambda p, c: c[solutions.nearest_codes(p, c)],
    "codes are counted from 0, not from 1": lambda p, c: solutions.nearest_codes(p, c) + 1,
    "codes are whole numbers": lambda p, c: solutions.nearest_codes(p, c).float(),
    "one axis too many: a code for each patch": lambda p, c: solutions.nearest_codes(p, c)[:, None],
    "the code is marked by a 1 among zeros: return its number": (
        lambda p, c: one_hot(solutions.nearest_codes(p, c), len(c))
    ),
    "this is the code of the second nearest patch": lambda p, c: torch.cdist(p, c).argsort(1)[:, 1],
}


@check(
    "At the share t of all steps, the share cos(π / 2 · t) of the tokens is left. What is t after step `step` of "
    "`steps`? How does a number become a whole one that is never larger?",
    "`math.cos(math.pi / 2 * step / steps)` is the share. Multiply it by `hidden` and round down with "
    "`math.floor`.",
    solution=generation.tokens_left,
)
def tokens_left(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`tokens_left(hidden, step, steps)` is how many tokens are hidden after a step of decoding."""
    right = generation.tokens_left
    cases = telling(lambda: [_step(rng) for _ in range(4)], right, WRONG_LEFT)
    problem = explain(answer, right, cases, WRONG_LEFT)
    yield "is the share cos(pi / 2 * step / steps), rounded down", problem
    if problem:
        return
    hidden, _, steps = cases[0]
    ends = [(hidden, steps, steps), (1, 1, 1), (1_000_003, 7, 7), (hidden, 1, 1)]
    texts = {
        "after the last step nothing is hidden: in `steps` steps all must be filled": (
            lambda h, k, n: max(1, right(h, k, n))
        ),
        "the cosine may be a rounding below 0, and then rounding down gives -1": lambda h, k, n: (
            right(h, k, n) - 1
        ),
    }
    yield "is 0 after the last step", explain(answer, right, ends, texts)
    edges = [(0, 1, 3), (1, 1, 2), (100_003, 1, 11), (100_003, 12, 13), (7, 1, 100)]
    yield "works for none, one and many tokens", explain(answer, right, edges)


def _step(rng: Generator) -> tuple[int, int, int]:
    """A step in the middle, after which the number that is left is not nearly whole."""
    while True:
        steps, hidden = distinct(rng, 1, 6, 17)[0], distinct(rng, 1, 60, 300)[0]
        step = distinct(rng, 1, 2, steps - 2)[0]
        share = hidden * math.cos(math.pi / 2 * step / steps) % 1
        if 0.01 < share < 0.99:
            return hidden, step, steps


def _share_left(share: Callable[[float], float], whole: Callable = math.floor) -> Callable:
    """The tokens that are left if their share is share(t) at the share t of the steps."""
    return lambda hidden, step, steps: whole(hidden * share(step / steps))


def _quarter(t: float) -> float:
    return math.cos(math.pi / 2 * t)


WRONG_LEFT: dict[str, Callable] = {
    "that is how many are filled: count those that are left": (
        lambda h, k, n: h - generation.tokens_left(h, k, n)
    ),
    "that is how many this step fills: count those that are left": (
        lambda h, k, n: generation.tokens_left(h, k - 1, n) - generation.tokens_left(h, k, n)
    ),
    "the sine fills many tokens first: take the cosine": _share_left(lambda t: 1 - math.sin(math.pi / 2 * t)),
    "the sine grows: take the cosine": _share_left(lambda t: math.sin(math.pi / 2 * t)),
    "1 minus the cosine is the share that is filled": _share_left(lambda t: 1 - _quarter(t)),
    "it falls like a line here: the cosine is missing": _share_left(lambda t: 1 - t),
    "half a turn is too much: in the middle everything would be filled": _share_left(
        lambda t: math.cos(math.pi * t)
    ),
    "the cosine is squared, which is half a turn between 1 and 0": _share_left(lambda t: _quarter(t) ** 2),
    "`math.cos` takes radians, not degrees": _share_left(lambda t: math.cos(math.radians(math.pi / 2 * t))),
    "`math.cos` takes radians: a quarter turn is pi / 2, not 90": _share_left(lambda t: math.cos(90 * t)),
    "the factor pi / 2 is missing": _share_left(math.cos),
    "it is rounded up: round down": _share_left(_quarter, math.ceil),
    "it is rounded to the nearest: round down": _share_left(_quarter, round),
    "it must be a whole number: round down": _share_left(_quarter, float),
    "the share alone is returned: multiply it by `hidden`": lambda h, k, n: _quarter(k / n),
    "that is the number before this step: steps are counted from 1": (
        lambda h, k, n: generation.tokens_left(h, k - 1, n)
    ),
    "that is the number after the next step": lambda h, k, n: generation.tokens_left(h, k + 1, n),
    "`steps` is one too small: after the last step nothing is left": (
        lambda h, k, n: _share_left(_quarter)(h, k, n - 1)
    ),
    "`steps` is one too large: after the last step nothing is left": (
        lambda h, k, n: _share_left(_quarter)(h, k, n + 1)
    ),
    "the share is rounded before it is multiplied": lambda h, k, n: math.floor(h * round(_quarter(k / n), 1)),
    "each step takes its share of what the one before left: the share is that of all that was hidden": (
        lambda h, k, n: _step_by_step(h, k, n)
    ),
}


def _step_by_step(hidden: int, step: int, steps: int) -> int:
    for done in range(1, step + 1):
        hidden = math.floor(hidden * _quarter(done / steps))
    return hidden


@check(
    "Rank the hidden tokens of each picture by their confidence. Known tokens must come last in that order, so "
    "which confidence do you give them first?",
    "`confidence.masked_fill(~mask, math.inf)` puts the known ones last. The first `left` columns of its "
    "`argsort(dim=1)` stay hidden. `torch.where(mask, drawn, codes)` has the codes.",
    solution=solutions.unmask,
    batched=(0, 1, 2, 3),
)
def unmask(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`unmask(codes, mask, drawn, confidence, left)` fills all hidden tokens but the least confident."""
    right, judged = _judged(solutions.unmask), _Judged(answer)
    cases = telling(lambda: [_half_decoded(rng) for _ in range(2)], right, WRONG_STEPS)
    problem = explain(judged, right, cases, WRONG_STEPS)
    yield "fills the most confident hidden tokens, and no known one", problem
    if problem:
        return
    codes, mask, drawn, confidence, _ = cases[0]
    texts = {
        "a large number is added, which is no infinity: fill it in": _stepped(
            lambda m, c, n: _least(c + 1e9 * ~m, n)
        )
    }
    extreme = [(codes, mask, drawn, confidence.masked_fill(~mask, low), 2) for low in (-math.inf, -1e30, 1e30)]
    yield "keeps known tokens whatever their confidence", explain(judged, right, extreme, texts)
    fewest, none, every = int(mask.sum(1).min()), torch.zeros_like(mask), torch.ones_like(mask)
    edges = [(codes, mask, drawn, confidence, left) for left in (0, 1, fewest)]
    edges += [(codes, every, drawn, confidence, left) for left in (0, 1, mask.shape[1])]
    edges += [(codes, none, drawn, confidence, 0), (codes[:1], mask[:1], drawn[:1], confidence[:1], 1)]
    texts = {
        "`[-0:]` is everything: where none is left, all tokens are hidden": _stepped(
            lambda m, c, n: _least(c.masked_fill(~m, math.inf), n or m.shape[1])
        )
    }
    yield "works where none, one or all stay hidden, and for one picture", explain(judged, right, edges, texts)


@dataclass
class _Judged:
    """An answer to `unmask` without the codes that do not matter."""

    answer: Answer

    def __call__(self, *case: Any) -> Any:
        return _judged(self.answer)(*case)

    def shown(self, *case: Any) -> str:
        return self.answer.shown(*case)


def _judged(step: Callable) -> Callable:
    """A step of decoding whose codes are 0 where they do not matter: at tokens that are still hidden after it."""

    def judged(*case: Any) -> Any:
        result = step(*case)
        match result:
            case [Tensor() as codes, mask] if codes.shape == case[0].shape and codes.device.type == "cpu":
                _, hidden = solutions.unmask(*case)
                return codes.masked_fill(hidden, 0), mask
        return result

    return judged


def _half_decoded(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Pictures with known and hidden tokens, both of every confidence, and how many stay hidden."""
    batch, left, more = distinct(rng, 3, 2, 5)
    tokens = left + more + 6
    hidden = left + 2 + torch.randperm(batch, generator=rng) % more
    mask = torch.rand(batch, tokens, generator=rng).argsort(1).argsort(1) < hidden[:, None]
    codes, drawn = 1 + torch.randperm(2 * batch * tokens, generator=rng).view(2, batch, tokens)
    confidence = 1 + 2 * torch.randn(batch, tokens, generator=rng)
    return codes, mask, drawn, confidence, left


def _least(confidence: Tensor, left: int) -> Tensor:
    """Where the `left` least confident tokens of each picture are."""
    return confidence.argsort(1).argsort(1) < left


def _stepped(
    stay: Callable[[Tensor, Tensor, int], Tensor] = lambda m, c, n: _least(c.masked_fill(~m, math.inf), n),
    of: Callable[[Tensor, Tensor, Tensor, Tensor], Any] = lambda codes, drawn, mask, hidden: (
        torch.where(mask & ~hidden, drawn, codes),
        hidden,
    ),
) -> Callable:
    """A mistake in which tokens stay hidden, or in what becomes of the codes and the two masks."""
    return _judged(
        lambda codes, mask, drawn, confidence, left: of(codes, drawn, mask, stay(mask, confidence, left))
    )


WRONG_STEPS: dict[str, Callable] = {
    "the most confident ones stay hidden: they should be filled": _stepped(
        lambda m, c, n: _least((-c).masked_fill(~m, math.inf), n)
    ),
    "known tokens are hidden again where their confidence is low: give them infinity first": _stepped(
        lambda m, c, n: _least(c, n)
    ),
    "known tokens count among the least confident, so too few stay hidden: give them infinity first": _stepped(
        lambda m, c, n: _least(c, n) & m
    ),
    "known tokens get -infinity, so they come first in the order: give them infinity": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, -math.inf), n)
    ),
    "known tokens get the confidence 0, which hidden ones may exceed: give them infinity": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, 0), n)
    ),
    "known tokens get the confidence 0, which hidden ones may exceed, so too few stay hidden": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, 0), n) & m
    ),
    "known tokens get the confidence 1, which hidden ones may exceed: give them infinity": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, 1), n)
    ),
    "the sign of the confidence is lost": _stepped(lambda m, c, n: _least(c.abs().masked_fill(~m, math.inf), n)),
    "`left` tokens are filled: as many should stay hidden": _stepped(
        lambda m, c, n: m & ~_least((-c).masked_fill(~m, math.inf), n)
    ),
    "one token too many stays hidden": _stepped(lambda m, c, n: _least(c.masked_fill(~m, math.inf), n + 1)),
    "one token too few stays hidden": _stepped(lambda m, c, n: _least(c.masked_fill(~m, math.inf), n - 1)),
    "the tokens of all pictures are ranked together: rank those of each picture": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, math.inf).flatten()[None], n * len(m)).view_as(m)
    ),
    "the ranks go along the wrong axis: rank the tokens of each picture": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, math.inf).T, n).T
    ),
    "`argsort` gives places in the order, not ranks: take it twice, or hide the first `left` places": _stepped(
        lambda m, c, n: c.masked_fill(~m, math.inf).argsort(1) < n
    ),
    "the first hidden tokens stay hidden, not the least confident": _stepped(
        lambda m, c, n: m & (m.cumsum(1) <= n)
    ),
    "the last hidden tokens stay hidden, not the least confident": _stepped(
        lambda m, c, n: m & (m.flip(1).cumsum(1).flip(1) <= n)
    ),
    "nothing stays hidden": _stepped(lambda m, c, n: m & ~m),
    "nothing is filled": _stepped(lambda m, c, n: m),
    "known tokens take what is drawn: they must keep their codes": _stepped(of=lambda c, d, m, h: (d, h)),
    "what is filled must take the drawn codes": _stepped(of=lambda c, d, m, h: (c, h)),
    "the mask is the old one: return what is hidden after the step": _stepped(
        of=lambda c, d, m, h: (torch.where(m, d, c), m)
    ),
    "the mask is True where a token is hidden, not where it is known": _stepped(
        of=lambda c, d, m, h: (torch.where(m, d, c), ~h)
    ),
    "the mask is True where a token is hidden, not where it was filled": _stepped(
        of=lambda c, d, m, h: (torch.where(m, d, c), m & ~h)
    ),
    "the mask holds True and False, not numbers": _stepped(
        of=lambda c, d, m, h: (torch.where(m, d, c), h.float())
    ),
    "the mask holds True and False, not whole numbers": _stepped(
        of=lambda c, d, m, h: (torch.where(m, d, c), h.long())
    ),
    "the mask is missing: return the codes and the mask": _stepped(of=lambda c, d, m, h: torch.where(m, d, c)),
    "first the codes, then the mask: the other way round": _stepped(
        of=lambda c, d, m, h: (h, torch.where(m, d, c))
    ),
}


GUESSES: dict[str, Guess] = {}
