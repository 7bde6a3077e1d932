"""Checks of lesson 09 and its exercises: tokens, sampling, and how good what is generated is."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize, one_hot, softplus

from simmim_lab import generation
from simmim_lab.checks import solutions
from simmim_lab.checks.core import Answer, Verdict, check, distinct, explain, fair, first, is_whole, telling
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
    many = torch.rand(300, 12, generator=rng)
    known = [(codebook.flip(0), codebook), (codebook[:1], codebook), (codebook[-1:], codebook), (many[-3:], many)]
    texts = {"a code may be larger than 255: 8 bits are too few for it": lambda p, c: right(p, c) % 256}
    yield "finds a patch that is in the codebook", explain(answer, right, known, texts)
    dark = torch.linspace(0, 0.5, 9)[:, None]
    edges = [
        (patches[:1], codebook),
        (patches, codebook[:1]),
        (patches[:, :1], torch.tensor([[0.9], [0.1], [0.5]])),
        (torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.eye(2)),
        (1e-3 * patches, 1e-3 * codebook),
        (codebook.repeat(40, 1), codebook),
        *((torch.ones(2, values), dark.repeat(1, values)) for values in (12, 5000)),
    ]
    texts = {
        "a search for the smallest distance begins at infinity, not at 1": _near_alone(1),
        "far from all codes the first is taken: begin a search at infinity, and take no `exp`": _near_alone(10),
    }
    yield (
        "works for one patch, one code, one value, small values, many patches and codes that are far",
        explain(answer, right, edges, texts),
    )


def _patches(rng: Generator) -> tuple[Tensor, Tensor]:
    """Patches and a codebook with a near code for each patch, and no second one as near."""
    count, values, codes = distinct(rng, 3, 5, 14)
    while True:
        light = torch.rand(count + codes, 1, generator=rng)
        patches, codebook = (light * torch.rand(count + codes, values, generator=rng)).split([count, codes])
        nearest, second = torch.cdist(patches, codebook).square().sort(dim=1).values[:, :2].T
        if (second - nearest > 1e-3).all() and (nearest < 1).all():
            return patches, codebook


def _near_alone(limit: float) -> Callable:
    """The nearest code, or the first one if none is nearer than the limit."""
    return lambda patches, codebook: solutions.nearest_codes(patches, codebook).masked_fill(
        torch.cdist(patches, codebook).amin(1) >= limit, 0
    )


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
    "the squares are added over the codes: add them over the values, the last axis": (
        lambda p, c: (p[:, None] - c).square().sum(1).argmin(1)
    ),
    "only the first value is compared: all of them count": _nearest(lambda d: d[:, :, 0].abs()),
    "the product is compared, so a light code wins: take the distance": lambda p, c: (p @ c.T).argmax(1),
    "the direction is compared (cosine), not the distance": (
        lambda p, c: torch.cosine_similarity(p[:, None], c, dim=2).argmax(1)
    ),
    "the product counts twice in a squared distance, |p|² - 2 p · c + |c|²": (
        lambda p, c: (c.square().sum(1) - p @ c.T).argmin(1)
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
    "`math.floor`. After the last step return 0: there a rounding may make the cosine negative.",
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
    text = "tokens are counted: 14, not 14.0, so end with `int` or `math.floor`"
    yield "is a whole number", first((not is_whole(answer(*cases[0])), text))
    hidden, _, steps = cases[0]
    ends = [(hidden, steps, steps), (hidden, 13, 13), (1, 1, 1), (1_000_003, 7, 7), (hidden, 1, 1)]
    texts = {
        "after the last step nothing is hidden: in `steps` steps all must be filled": (
            lambda h, k, n: max(1, right(h, k, n))
        ),
        "the cosine is a rounding below 0 for some `steps`, and rounding down gives -1": (
            lambda h, k, n: math.floor(h * math.cos(math.pi / 2 * k / n))
        ),
        "the cosine is a rounding below 0, and rounding down gives -1": lambda h, k, n: right(h, k, n) - 1,
        "3.14 is not exact enough: take `math.pi`": lambda h, k, n: math.floor(h * math.cos(3.14 / 2 * k / n)),
    }
    yield "is 0 after the last step", explain(answer, right, ends, texts)
    edges = [
        (0, 1, 3),
        (1, 1, 2),
        (100_003, 1, 11),
        (100_003, 12, 13),
        (7, 1, 100),
        (7, 3, 7),
        (3, 3, 7),
        (81, 3, 4),
    ]
    texts = {
        "before the last step none may be left, too, if there are few": (
            lambda h, k, n: max(int(k < n), right(h, k, n))
        ),
        "it is rounded before it is rounded down, and 30.997 becomes 31": (
            lambda h, k, n: math.floor(round(h * _quarter(k / n), 2))
        ),
    }
    yield "works for none, one and many tokens", explain(answer, right, edges, texts)


def _step(rng: Generator) -> tuple[int, int, int]:
    """A step in the middle, after which the number that is left is not nearly whole; nor is it by a mistake."""
    while True:
        steps, hidden = distinct(rng, 1, 6, 17)[0], distinct(rng, 1, 60, 300)[0]
        step = distinct(rng, 1, 2, steps - 2)[0]
        t = step / steps
        left = (hidden * share for share in (_quarter(t), _quarter(t) ** 2, _quarter(1 - t), 1 - t, 1 - t * t))
        if all(0.01 < number % 1 < 0.99 for number in left):
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
    "half a turn is too much: from the middle on the cosine is negative": _share_left(
        lambda t: math.cos(math.pi * t), int
    ),
    "the cosine is squared, which is half a turn between 1 and 0": _share_left(lambda t: _quarter(t) ** 2),
    "`math.cos` takes radians, not degrees": _share_left(lambda t: math.cos(math.radians(math.pi / 2 * t))),
    "`math.cos` takes radians: a quarter turn is pi / 2, not 90": _share_left(lambda t: math.cos(90 * t)),
    "`math.cos` takes radians, in which a quarter turn is pi / 2, not 90": _share_left(
        lambda t: math.cos(90 * t), int
    ),
    "the factor pi / 2 is missing": _share_left(math.cos),
    "it is rounded up: round down": _share_left(_quarter, math.ceil),
    "it is rounded to the nearest: round down": _share_left(_quarter, round),
    "it must be a whole number: round down": _share_left(_quarter, float),
    "the share falls like 1 - t²: take the cosine": _share_left(lambda t: 1 - t * t),
    "a quarter turn is pi / 2, not pi / 4": _share_left(lambda t: math.cos(math.pi / 4 * t)),
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
    "the share is rounded to two digits before it is multiplied": (
        lambda h, k, n: math.floor(h * round(_quarter(k / n), 2))
    ),
    "each step takes its share of what was left before, not of all that was hidden": (
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
    right, judged = _judged(solutions.unmask), _Judged(answer, _judged)
    cases = telling(lambda: [_half_decoded(rng) for _ in range(2)], right, WRONG_STEPS)
    problem = explain(judged, right, cases, WRONG_STEPS)
    yield "fills the most confident hidden tokens, and no known one", problem
    if problem:
        return
    codes, mask, drawn, confidence, _ = cases[0]
    texts = {
        "a large number is added to known tokens: put infinity in their place": _stepped(
            lambda m, c, n: _least(c + 1e9 * ~m, n)
        ),
        "known tokens get a number that hidden ones may exceed: take infinity": _stepped(
            lambda m, c, n: _least(c.masked_fill(~m, 1000), n)
        ),
        "a hidden token of confidence 0 is taken for a known one: ask `mask`": _stepped(
            lambda m, c, n: _least(_known_last(m & (c != 0), c), n)
        ),
    }
    extreme = [(codes, mask, drawn, confidence.masked_fill(~mask, low), 2) for low in (-math.inf, -1e30, 1e30)]
    least = _known_last(mask, confidence).amin(1, keepdim=True)
    extreme.append((codes, mask, drawn, confidence - least, 2))
    extreme.append((codes, mask, drawn, 1e6 * (1 + confidence.argsort(1).argsort(1)), 2))
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
    last, left = mask.int().sort(dim=1).values.bool(), fewest - 1
    for sorted_mask in (last, last.flip(1)):
        case = codes, sorted_mask, drawn, torch.ones_like(confidence), left
        problem = _equally_sure(answer, case, sorted_mask, [left] * len(mask))
        yield "keeps the right number hidden where all are equally confident", problem


@dataclass
class _Judged:
    """The learner's step of decoding without what does not matter in its result, as `judge` makes it of a step."""

    answer: Answer
    judge: Callable[[Callable], Callable]

    def __call__(self, *case: Any) -> Any:
        return self.judge(self.answer)(*case)

    def shown(self, *case: Any) -> str:
        return self.answer.shown(*case)


def _judged(step: Callable) -> Callable:
    """A step without what does not matter in its result, as `_mattering` says."""
    return lambda *case: _mattering(step(*case), solutions.unmask(*case)[1])


def _equally_sure(answer: Answer, case: tuple, mask: Tensor, left: list[int]) -> Verdict:
    """What is wrong with which tokens stay hidden after a step in which all are equally confident."""
    _, hidden = answer(*case)
    return first(
        (bool((hidden & ~mask).any()), "known tokens are hidden where hidden ones are as confident"),
        (
            hidden.sum(1).tolist() != left,
            f"all tokens are equally confident here, and {hidden.sum(1).tolist()} of them stay hidden instead of "
            f"{left}: rank them, for a limit of confidence does not tell equal ones apart",
        ),
    )


def _mattering(result: Any, hidden: Tensor, see: Callable[[Tensor], Tensor] = lambda codes: codes) -> Any:
    """The result of a step with 0 for the codes of tokens that are hidden, or are said to be, after it."""
    parts = result if isinstance(result, list | tuple) else [result]
    alike = [
        isinstance(part, Tensor) and part.shape == hidden.shape and part.device == hidden.device for part in parts
    ]
    for part, fits in zip(parts, alike, strict=True):
        hidden = hidden | part if fits and part.dtype == torch.bool else hidden
    parts = tuple(
        see(part.long()).masked_fill(hidden, 0) if fits and part.dtype in (torch.int32, torch.int64) else part
        for part, fits in zip(parts, alike, strict=True)
    )
    return parts if isinstance(result, list | tuple) else parts[0]


def _half_decoded(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Pictures with known and hidden tokens, both of every confidence, and how many stay hidden."""
    left, batch = sorted(distinct(rng, 2, 2, 5))
    more = distinct(rng, 1, 2, 5)[0]
    tokens = left + more + 6
    hidden = left + 2 + torch.randperm(batch, generator=rng) % more
    mask = torch.rand(batch, tokens, generator=rng).argsort(1).argsort(1) < hidden[:, None]
    codes, drawn = 1 + torch.randperm(2 * batch * tokens, generator=rng).view(2, batch, tokens)
    confidence = 1 + 2 * torch.randn(batch, tokens, generator=rng)
    return codes, mask, drawn, confidence, left


def _least(confidence: Tensor, left: int | Tensor) -> Tensor:
    """Where the `left` least confident tokens of each picture are."""
    return confidence.argsort(1).argsort(1) < left


def _known_last(mask: Tensor, confidence: Tensor) -> Tensor:
    return confidence.masked_fill(~mask, math.inf)


def _staying(mask: Tensor, confidence: Tensor, left: int | Tensor) -> Tensor:
    return _least(_known_last(mask, confidence), left)


def _filled(codes: Tensor, drawn: Tensor, mask: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(mask, drawn, codes), hidden


def _stepped(stay: Callable = _staying, of: Callable = _filled) -> Callable:
    """A mistake in which tokens stay hidden, or in what becomes of the codes and the two masks."""
    return _judged(
        lambda codes, mask, drawn, confidence, left: of(codes, drawn, mask, stay(mask, confidence, left))
    )


# Mistakes in a step of decoding, as the arguments of `_stepped` and of `_decoded`.
STEPS: dict[str, dict[str, Callable]] = {
    "the most confident ones stay hidden: they should be filled": {
        "stay": lambda m, c, n: _least(_known_last(m, -c), n)
    },
    "known tokens of low confidence are hidden again: give them infinity first": {
        "stay": lambda m, c, n: _least(c, n)
    },
    "known tokens count among the least confident, so too few are hidden": {
        "stay": lambda m, c, n: _least(c, n) & m
    },
    "known tokens come first in the order, and are hidden again: they must come last": {
        "stay": lambda m, c, n: _least(c.masked_fill(~m, -math.inf), n)
    },
    "hidden tokens get infinity, so known ones are hidden again: turn it round": {
        "stay": lambda m, c, n: _least(c.masked_fill(m, math.inf), n)
    },
    "`left` tokens are filled: as many should stay hidden": {
        "stay": lambda m, c, n: m & ~_least(_known_last(m, -c), n)
    },
    "one token too many stays hidden": {"stay": lambda m, c, n: _staying(m, c, n + 1)},
    "one token too few stays hidden": {"stay": lambda m, c, n: _staying(m, c, n - 1)},
    "`argsort` gives places in the order, not ranks: take it twice": {
        "stay": lambda m, c, n: _known_last(m, c).argsort(1) < n
    },
    "`argsort` gives places in the order, not ranks, even with `& mask`: take it twice": {
        "stay": lambda m, c, n: (_known_last(m, c).argsort(1) < n) & m
    },
    "each picture hides the places of all, as `[:, places] = True` does: use `scatter`": {
        "stay": lambda m, c, n: _staying(m, c, n).any(0, keepdim=True).expand_as(m)
    },
    "the ranks go along the wrong axis: rank the tokens of each picture": {
        "stay": lambda m, c, n: _known_last(m, c).argsort(0).argsort(0) < n
    },
    "the ranks go over the pictures: rank the tokens of each picture": {
        "stay": lambda m, c, n: (_known_last(m, c).argsort(0).argsort(0) < n) & m
    },
    "the ranks of the first picture are used for all: rank the tokens of each picture": {
        "stay": lambda m, c, n: (_known_last(m, c)[:1].argsort(1).argsort(1) < n).expand_as(m)
    },
    "the first hidden tokens stay hidden, though others are less confident": {
        "stay": lambda m, c, n: m & (m.cumsum(1) <= n)
    },
    "the last hidden tokens stay hidden, though others are less confident": {
        "stay": lambda m, c, n: m & (m.flip(1).cumsum(1).flip(1) <= n)
    },
    "places among the hidden tokens are used as places in the picture": {
        "stay": lambda m, c, n: (
            torch.zeros_like(c).scatter_add(1, (m.cumsum(1) - 1).clamp(min=0), _staying(m, c, n).float()) > 0
        )
    },
    "nothing stays hidden": {"stay": lambda m, c, n: m & ~m},
    "known tokens take what is drawn: they must keep their codes": {"of": lambda c, d, m, h: (d, h)},
    "known tokens take what is drawn, hidden ones keep their codes: turn it round": {
        "of": lambda c, d, m, h: (torch.where(m, c, d), h)
    },
    "the drawn codes are added to the old ones: put them in their place": {
        "of": lambda c, d, m, h: (c + d * m, h)
    },
    "what is filled must take the drawn codes": {"of": lambda c, d, m, h: (c, h)},
    "the mask is as it was before: return what is hidden after the step": {
        "of": lambda c, d, m, h: (torch.where(m, d, c), m)
    },
    "the mask is True where a token is hidden, not where it is known": {
        "of": lambda c, d, m, h: (torch.where(m, d, c), ~h)
    },
    "the mask is True where a token is hidden, not where it was filled": {
        "of": lambda c, d, m, h: (torch.where(m, d, c), m & ~h)
    },
    "the mask holds True and False, not numbers": {"of": lambda c, d, m, h: (torch.where(m, d, c), h.float())},
    "the mask holds True and False, not whole numbers": {
        "of": lambda c, d, m, h: (torch.where(m, d, c), h.long())
    },
    "the mask is missing: return the codes and the mask": {"of": lambda c, d, m, h: torch.where(m, d, c)},
    "first the codes, then the mask: the other way round": {"of": lambda c, d, m, h: (h, torch.where(m, d, c))},
}

WRONG_STEPS: dict[str, Callable] = {
    "known tokens get the confidence 0, which hidden ones may exceed: take infinity": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, 0), n)
    ),
    "known tokens get the confidence 0, and then count among the least confident": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, 0), n) & m
    ),
    "known tokens get the confidence 1, which hidden ones may exceed: take infinity": _stepped(
        lambda m, c, n: _least(c.masked_fill(~m, 1), n)
    ),
    "each picture has as many tokens filled, not as many hidden": _stepped(
        lambda m, c, n: _staying(m, c, m.sum(1, keepdim=True) - m.sum(1).amin() + n)
    ),
    "the sign of the confidence is lost": _stepped(lambda m, c, n: _least(_known_last(m, c.abs()), n)),
    "the tokens of all pictures are ranked together: rank those of each picture": _stepped(
        lambda m, c, n: _least(_known_last(m, c).flatten()[None], n * len(m)).view_as(m)
    ),
} | {text: _stepped(**mistake) for text, mistake in STEPS.items()}


@check(
    "The discriminator wants scores of at least 1 for real pictures, and of at most -1 for fake ones. By how much "
    "does a score miss that, and what if it does not? The generator wants one thing only.",
    "What real scores miss is `(1 - real_scores).relu()`, and what fake ones miss `(1 + fake_scores).relu()`. "
    "Take the mean of each and add the two. The generator has no hinge: the mean score, with a minus.",
    gradient=(0, 1),
)
def hinge_losses(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hinge_losses(real_scores, fake_scores)` are the losses of a GAN's discriminator and of its generator."""
    right = _hinge_losses
    cases = telling(lambda: [_scores(rng, 1.2), _scores(rng, -0.9)], right, HINGES)
    problem = explain(answer, right, cases, HINGES)
    yield "is the loss of the discriminator and that of the generator", problem
    if problem:
        return
    real, fake = cases[0]
    sure = [(1 + real.abs(), -1 - fake.abs()), (torch.ones(3), -torch.ones(2))]
    yield "is 0 for a discriminator that is right by 1 everywhere", explain(answer, right, sure)
    edges = [(real[:1], fake), (real, fake[:1]), (-real, -fake), (100 * real, 100 * fake), (0 * real, 0 * fake)]
    yield "works for one score, and for large ones", explain(answer, right, edges)
    yield "lets the generator learn", _generator_learns(answer, real, fake)


def _hinge_losses(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return (1 - real).relu().mean() + (1 + fake).relu().mean(), -fake.mean()


def _scores(rng: Generator, better: float) -> tuple[Tensor, Tensor]:
    """Scores on both sides of -1 and of 1, the real ones so much higher."""
    real, fake = (
        torch.linspace(-2.4, 2.8, n) + 0.3 * torch.rand(n, generator=rng) for n in distinct(rng, 2, 6, 12)
    )
    return real + better, fake


def _generator_learns(answer: Answer, real: Tensor, fake: Tensor) -> Verdict:
    """What is wrong if no gradient reaches the scores of the fake pictures from the second loss."""
    fake = fake.clone().requires_grad_()
    _, loss = answer.raw(real, fake)
    if not getattr(loss, "requires_grad", False):
        return (
            "the second loss has no gradient: leave out `.item()`, `.detach()`, `no_grad`, NumPy, and "
            "`torch.tensor(...)` or `float` of a tensor"
        )
    return None


def _hinges(
    discriminator: Callable[[Tensor, Tensor], Any] = lambda r, f: _hinge_losses(r, f)[0],
    generator: Callable[[Tensor, Tensor], Any] = lambda r, f: -f.mean(),
) -> Callable:
    """The two losses, one of them wrong."""
    return lambda real, fake: (discriminator(real, fake), generator(real, fake))


def _missed(of: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A discriminator's loss from what each score should exceed 0 by."""
    return lambda real, fake: of(real).mean() + of(-fake).mean()


HINGES: dict[str, Callable] = {
    "the hinge is missing: a score that is right by more than 1 costs nothing": _hinges(_missed(lambda s: 1 - s)),
    "the margin is missing: a score costs nothing from 1 on, not from 0 on": _hinges(
        _missed(lambda s: (-s).relu())
    ),
    "real and fake are swapped: real scores should be high": _hinges(lambda r, f: _hinge_losses(f, r)[0]),
    "both scores are pushed up: the fake ones should be at most -1": _hinges(
        lambda r, f: (1 - r).relu().mean() + (1 - f).relu().mean()
    ),
    "both scores are pushed down: the real ones should be at least 1": _hinges(
        lambda r, f: (1 + r).relu().mean() + (1 + f).relu().mean()
    ),
    "real scores alone count: the discriminator looks at the fake ones, too": _hinges(
        lambda r, f: (1 - r).relu().mean()
    ),
    "fake scores alone count: the discriminator looks at the real ones, too": _hinges(
        lambda r, f: (1 + f).relu().mean()
    ),
    "the two means are averaged: add them": _hinges(lambda r, f: _hinge_losses(r, f)[0] / 2),
    "the mean of the fake scores is subtracted: add what both miss": _hinges(
        lambda r, f: (1 - r).relu().mean() - (1 + f).relu().mean()
    ),
    "the mean is taken over real and fake scores together: one mean of each": _hinges(
        lambda r, f: torch.cat([1 - r, 1 + f]).relu().mean()
    ),
    "these are sums: take the means": _hinges(lambda r, f: (1 - r).relu().sum() + (1 + f).relu().sum()),
    "these are sums, both of them: take the means": _hinges(
        lambda r, f: (1 - r).relu().sum() + (1 + f).relu().sum(), lambda r, f: -f.sum()
    ),
    "the mean is taken over the scores that miss something: over all": _hinges(
        lambda r, f: (1 - r)[r < 1].mean() + (1 + f)[f > -1].mean()
    ),
    "the sums of both are divided by the number of real scores": _hinges(
        lambda r, f: ((1 - r).relu().sum() + (1 + f).relu().sum()) / len(r)
    ),
    "all sums are divided by the number of real scores": _hinges(
        lambda r, f: ((1 - r).relu().sum() + (1 + f).relu().sum()) / len(r), lambda r, f: -f.sum() / len(r)
    ),
    "fake scores should be at most -1, not at most 1": _hinges(
        lambda r, f: (1 - r).relu().mean() + (f - 1).relu().mean()
    ),
    "fake scores should be at most -1, not at least -1": _hinges(
        lambda r, f: (1 - r).relu().mean() + (-1 - f).relu().mean()
    ),
    "real scores should be at least 1, not at least -1": _hinges(
        lambda r, f: (-1 - r).relu().mean() + (1 + f).relu().mean()
    ),
    "the hinge acts on the mean score: it belongs to each score": _hinges(
        lambda r, f: (1 - r.mean()).relu() + (1 + f.mean()).relu()
    ),
    "the real scores alone have a hinge: the fake ones need one, too": _hinges(
        lambda r, f: (1 - r).relu().mean() + (1 + f).mean()
    ),
    "the fake scores alone have a hinge: the real ones need one, too": _hinges(
        lambda r, f: (1 - r).mean() + (1 + f).relu().mean()
    ),
    **{
        f"the margin is 1, not {margin}": _hinges(_missed(lambda s, margin=margin: (margin - s).relu()))
        for margin in (2, 0.5)
    },
    "the hinge of the real scores acts on their mean: it belongs to each score": _hinges(
        lambda r, f: (1 - r.mean()).relu() + (1 + f).relu().mean()
    ),
    "what a score misses is squared": _hinges(_missed(lambda s: (1 - s).relu().square())),
    "these are squared distances from 1 and -1 (least squares): take hinges": _hinges(
        _missed(lambda s: (1 - s).square())
    ),
    "these are absolute distances from 1 and -1: a score beyond costs nothing": _hinges(
        _missed(lambda s: (1 - s).abs())
    ),
    "that is the cross-entropy: take hinges": _hinges(_missed(lambda s: softplus(-s))),
    "the scores go through a sigmoid first: use them as they are": _hinges(
        lambda r, f: _hinge_losses(r.sigmoid(), f.sigmoid())[0]
    ),
    "all scores go through a sigmoid first: use them as they are": (
        lambda r, f: _hinge_losses(r.sigmoid(), f.sigmoid())
    ),
    "the difference of the mean scores is the loss of a Wasserstein GAN: take hinges": _hinges(
        lambda r, f: f.mean() - r.mean()
    ),
    "the sign is wrong: what the scores miss is to become small": _hinges(lambda r, f: -_hinge_losses(r, f)[0]),
    "what a score misses is cut off at 1": _hinges(_missed(lambda s: (1 - s).clamp(0, 1))),
    "a score misses at least nothing: `max(0, ...)`, not `min(0, ...)`": _hinges(
        _missed(lambda s: (1 - s).clamp(max=0))
    ),
    "the generator wants high scores: a minus is missing": _hinges(generator=lambda r, f: f.mean()),
    "the generator has no hinge: it wants scores as high as can be": _hinges(
        generator=lambda r, f: (1 - f).relu().mean()
    ),
    "the generator has no hinge: its loss may be negative": _hinges(generator=lambda r, f: (-f).relu().mean()),
    "the generator's loss is -mean: 1 is added here": _hinges(generator=lambda r, f: 1 - f.mean()),
    "the generator's loss is not that of the discriminator with a minus": _hinges(
        generator=lambda r, f: -_hinge_losses(r, f)[0]
    ),
    "the generator's loss is not the discriminator's on fake pictures with a minus": _hinges(
        generator=lambda r, f: -(1 + f).relu().mean()
    ),
    "the generator wants the opposite of the discriminator on fake pictures": _hinges(
        generator=lambda r, f: (1 + f).relu().mean()
    ),
    "the generator's loss is the cross-entropy: take the mean score": _hinges(
        generator=lambda r, f: softplus(-f).mean()
    ),
    "the generator has no say in the scores of real pictures": _hinges(generator=lambda r, f: -r.mean()),
    "the generator has no say in the scores of real pictures: leave them out": _hinges(
        generator=lambda r, f: r.mean() - f.mean()
    ),
    "the mean of real and fake scores is taken: of the fake ones alone": _hinges(
        generator=lambda r, f: -torch.cat([r, f]).mean()
    ),
    "the generator's loss is a sum: take the mean": _hinges(generator=lambda r, f: -f.sum()),
    "first the discriminator, then the generator: the other way round": lambda r, f: _hinge_losses(r, f)[::-1],
    "two losses are asked for, not their sum": lambda r, f: sum(_hinge_losses(r, f)),
    "a loss is one number: take the mean over the scores": _hinges(generator=lambda r, f: -f),
    "the generator's loss is missing": lambda r, f: _hinge_losses(r, f)[0],
}


@check(
    "Which scores give the same probabilities at every temperature, and which differ more, the colder it is? What "
    "is a score divided by a very small number, and which code wins then?",
    "`(logits / temperature).softmax(dim=-1)`. For 0 mark the largest, `logits == logits.amax(-1, keepdim=True)`, "
    "and divide the marks by their number.",
    batched=(0,),
)
def temper(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`temper(logits, temperature)` are the probabilities of all codes at a temperature."""
    right = _temper

    def draw() -> list[tuple]:
        cold, warm = 0.35 + 0.4 * float(torch.rand((), generator=rng)), 1.4 + float(torch.rand((), generator=rng))
        shapes = [distinct(rng, 3, 2, 5) for _ in range(2)]
        return [(2 * torch.randn(shape, generator=rng), t) for shape, t in zip(shapes, (cold, warm), strict=True)]

    cases = telling(draw, right, TEMPERS)
    problem = explain(answer, right, cases, TEMPERS)
    yield "divides the scores by the temperature before the softmax", problem
    if problem:
        return
    (logits, temperature), *_ = cases
    ties = (3 * logits).round().clamp(max=2)  # the largest may be there several times
    ties[0, 0], ties[0, 1, :2] = 1.0, 2.0
    ranks, quarters = logits.argsort(-1).argsort(-1).float(), (4 * logits).round() / 4  # rounding decides nothing
    frozen = [(logits, 0.0), (ties, 0.0), (-ties, 0.0), (1e34 * ranks, 0.0), (logits[:, :1, :1], 0.0)]
    problem = _not_a_number(
        answer, frozen, "a number divided by 0, or nearly 0, is infinite, and the softmax NaN: 0 needs an `if`"
    )
    problem = problem or explain(answer, right, frozen, FROZEN)
    yield "gives all to the largest at temperature 0", problem
    if not problem:
        near = [(2e-7 * ranks, 0.0), (1000 + ranks / 256, 0.0)]
        texts = {"nearly equal scores share: is 0 replaced by a small number, or is equality rounded?": answer.raw}
        yield "gives all to the largest, however near the others are", explain(answer, right, near, texts)
    large = [(400 * ranks, temperature), (quarters + 1000, 0.5), (ranks, 0.005), (-300 * ranks, 0.1)]
    large += [(ranks - 500 * torch.arange(ranks.shape[1])[:, None], 0.5), (0.004 * quarters, 0.004)]
    problem = _not_a_number(
        answer,
        large,
        "`exp` of a large number is infinite, of a very negative one 0: `softmax` takes care of that",
    )
    problem = problem or explain(answer, right, large, _cold_as_0(0.01))
    yield "works for large scores and low temperatures", problem
    if not problem:
        coldest = [(1e-4 * quarters, 1e-4)]  # an answer may take logarithms first, which rounds
        yield "works where it is nearly 0", explain(answer, right, coldest, _cold_as_0(0.001), tolerance=1e-2)
    impossible = logits.clone()
    impossible[..., 0] = -math.inf
    edges = [(logits, 1.0), (impossible, temperature), (impossible, 0.0), (impossible, 1e6), (quarters, 1000.0)]
    edges += [(logits[:, :, :1], 2.0)]
    problem = _not_a_number(answer, edges, "a code whose score is -infinity has the probability 0, not NaN")
    problem = problem or _impossible(answer, edges[1:4])
    yield (
        "works at 1, when it is hot, for one code, and for a score of -infinity",
        problem or explain(answer, right, edges),
    )


def _temper(logits: Tensor, temperature: float) -> Tensor:
    if temperature == 0:
        largest = (logits == logits.amax(-1, keepdim=True)).float()
        return largest / largest.sum(-1, keepdim=True)
    return (logits / temperature).softmax(-1)


def _cold_as_0(limit: float) -> dict[str, Callable]:
    return {
        "a temperature near 0 is taken for 0: divide the scores by it": (
            lambda logits, temperature: _temper(logits, temperature if temperature >= limit else 0)
        )
    }


def _not_a_number(answer: Answer, cases: list[tuple], text: str) -> Verdict:
    """The text if the result holds NaN in one of the cases."""
    for case in cases:
        got = answer(*case)
        if isinstance(got, Tensor | float) and torch.as_tensor(got).isnan().any():
            return f"{text}\n{answer.shown(*case)}"
    return None


def _impossible(answer: Answer, cases: list[tuple]) -> Verdict:
    """What is wrong if a code whose score is -infinity has a chance in one of the cases."""
    for scores, temperature in cases:
        got = answer(scores, temperature)
        if isinstance(got, Tensor) and got.shape == scores.shape and (got[scores == -math.inf] > 1e-4).any():
            text = "a code whose score is -infinity is impossible at every temperature: is its score replaced?"
            return f"{text}\n{answer.shown(scores, temperature)}"
    return None


TEMPERS: dict[str, Callable] = {
    "the scores are multiplied by the temperature: divide them": lambda x, t: (x * t).softmax(-1),
    "the temperature is not used, or cancels: divide the scores by it": lambda x, t: x.softmax(-1),
    "the temperature divides the scores, not the probabilities, whose sum must be 1": (
        lambda x, t: x.softmax(-1) / t
    ),
    "the powers of the probabilities no longer add up to 1": lambda x, t: x.softmax(-1) ** (1 / t),
    "the softmax is taken twice: divide the scores, then take it once": lambda x, t: (x.softmax(-1) / t).softmax(
        -1
    ),
    "these are scores: the softmax is missing": lambda x, t: x / t,
    "these are logarithms of probabilities: return the probabilities": lambda x, t: (x / t).log_softmax(-1),
    "the probabilities do not add up to 1: divide by their sum": lambda x, t: (x / t).exp(),
    "divide by the sum, not by the largest": lambda x, t: (x / t - (x / t).amax(-1, keepdim=True)).exp(),
    "the softmax goes over the tokens: over the codes, the last axis": lambda x, t: (x / t).softmax(1),
    "the softmax goes over the pictures: over the codes, the last axis": lambda x, t: (x / t).softmax(0),
    "the probabilities of a whole picture add up to 1: those of each token should": (
        lambda x, t: (x / t).flatten(1).softmax(1).view_as(x)
    ),
    "all probabilities together add up to 1: those of each token should": (
        lambda x, t: (x / t).flatten().softmax(0).view_as(x)
    ),
    "the scores are divided by the square of the temperature": lambda x, t: (x / t**2).softmax(-1),
    "the scores are divided by the root of the temperature": lambda x, t: (x / t**0.5).softmax(-1),
    "the scores are divided by twice the temperature": lambda x, t: (x / (2 * t)).softmax(-1),
    "the sigmoids are divided by their sum: take the softmax": (
        lambda x, t: (x / t).sigmoid() / (x / t).sigmoid().sum(-1, keepdim=True)
    ),
    "the scores are divided by 1 plus the temperature": lambda x, t: (x / (1 + t)).softmax(-1),
    "the sign is wrong: a high score is a high probability": lambda x, t: (-x / t).softmax(-1),
    "the sign of the scores is lost": lambda x, t: (x.abs() / t).softmax(-1),
    "negative scores are cut off: use them as they are": lambda x, t: (x.relu() / t).softmax(-1),
    "the sigmoid is taken: the codes share one probability, so take the softmax": lambda x, t: (x / t).sigmoid(),
    "these are powers of 2: the softmax has those of e": lambda x, t: (x / t * math.log(2)).softmax(-1),
    "all is given to the likeliest code: only at temperature 0": lambda x, t: _temper(x, 0),
    "these are the likeliest codes: return probabilities": lambda x, t: x.argmax(-1),
    "these are the largest probabilities: return those of all codes": lambda x, t: (x / t).softmax(-1).amax(-1),
    "these are sorted: a code keeps its place": lambda x, t: (x / t).softmax(-1).sort(-1, descending=True).values,
    "tokens and codes are swapped": lambda x, t: (x / t).softmax(-1).mT,
}

FROZEN: dict[str, Callable] = {
    "at 0 only the largest counts, not all alike": lambda x, t: torch.full_like(x, 1 / x.shape[-1]),
    "0 is not 1: all goes to the largest": lambda x, t: x.softmax(-1),
    "of several that are the largest, the first has all: they share": (
        lambda x, t: one_hot(x.argmax(-1), x.shape[-1]).float()
    ),
    "several that are the largest have 1 each: they share": (lambda x, t: (x == x.amax(-1, keepdim=True)).float()),
    "the smallest has all: the largest should": lambda x, t: _temper(-x, 0),
    "the largest of the whole picture has all: the largest of each token should": (
        lambda x, t: (x == x.amax((1, 2), keepdim=True)).float()
    ),
    "the largest of all scores has all: the largest of each token should": (
        lambda x, t: (x == x.amax()).float() / (x == x.amax()).sum()
    ),
    "no code has a chance at 0: all goes to the largest": lambda x, t: torch.zeros_like(x),
    "these are the scores, as if there were nothing to do at 0": lambda x, t: x,
}


@check(
    "For one input: how many pairs do four completions have? What is the RMSE of a pair, one number from all "
    "values? And of what are the two means?",
    "`itertools.combinations(range(samples), 2)` lists the pairs. For each take the difference, square it, "
    "average over all values, and take the root. Then the mean over the pairs, and over the inputs.",
)
def diversity(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`diversity(pictures)` is the mean RMSE between two completions of one input."""
    right = _diversity
    cases = telling(lambda: [(_completions(rng),) for _ in range(2)], right, DIVERSITIES)
    rounding = "NaN: are copies left out, so that nothing is averaged, or did rounding make a square negative?"
    nothing = "NaN: is a mean taken of nothing, or the root of a negative number?"
    added = {
        f"{number:g} is added under the root, so copies are apart": _over_pairs(
            lambda d, number=number: (d.square().mean((2, 3, 4)) + number).sqrt().mean()
        )
        for number in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
    }
    problem = _not_a_number(answer, cases, nothing) or explain(answer, right, cases, DIVERSITIES | added)
    yield "is the mean RMSE of the pairs of completions", problem
    if problem:
        return
    pictures = torch.randint(9, cases[0][0].shape, generator=rng) / 8  # sums of products of such numbers are exact
    copies, white = (pictures[:, :1].expand(-1, 5, -1, -1, -1).clone(),), (torch.ones(2, 3, 3, 4, 5),)
    problem = _not_a_number(answer, [copies, white], rounding)
    problem = problem or explain(answer, right, [copies], added, tolerance=5e-4)
    yield "is 0 for copies", problem or explain(answer, right, [white], added, tolerance=1e-5)  # no rounding here
    texts = {
        "pairs of equal pictures are left out: they count, with 0": _over_pairs(
            lambda d: _rmse(d)[_rmse(d) > 0].mean()
        ),
        "copies are left out: each completion counts": (
            lambda x: sum(_diversity(one.unique(dim=0)[None]) for one in x) / len(x)
        ),
    }
    some = [(torch.cat([pictures, pictures[:, :1]], 1),)]
    yield "counts some copies among the completions", explain(answer, right, some, texts)
    texts = {"the values are cut off at 0 and 1: use them as they are": lambda x: _diversity(x.clamp(0, 1))}
    wide = [(4 * pictures - 2,), (3 - pictures,)]
    yield "takes all values as they are", explain(answer, right, wide, texts)
    edges = [
        (pictures[:, :2],),
        (pictures[:1],),
        (pictures.flip(1),),
        (pictures[..., :1, :1],),
        (torch.eye(30).view(1, 30, 1, 5, 6).expand(-1, -1, 3, -1, -1).clone(),),
    ]
    yield "works for two completions, one input, one pixel and many completions", explain(answer, right, edges)


def _apart(pictures: Tensor) -> Tensor:
    """The differences of all pairs, of shape (inputs, pairs, 3, height, width)."""
    one, other = torch.combinations(torch.arange(pictures.shape[1])).T
    return pictures[:, one] - pictures[:, other]


def _diversity(pictures: Tensor) -> float:
    return _apart(pictures).square().mean((2, 3, 4)).sqrt().mean().item()


def _completions(rng: Generator) -> Tensor:
    inputs, samples, height, width = distinct(rng, 4, 3, 7)
    light = torch.rand(inputs, samples, 3, 1, 1, generator=rng) * torch.rand(inputs, 1, 1, 1, 1, generator=rng)
    return light * torch.rand(inputs, samples, 3, height, width, generator=rng) ** 0.5


def _over_pairs(of: Callable[[Tensor], Tensor]) -> Callable:
    """A mistake, from the differences of all pairs."""
    return lambda pictures: of(_apart(pictures))


def _scaled(factor: Callable[[int], float]) -> Callable:
    """The diversity times a factor that depends on the number of completions."""
    return lambda pictures: _diversity(pictures) * factor(pictures.shape[1])


def _rmse(differences: Tensor) -> Tensor:
    return differences.square().mean((2, 3, 4)).sqrt()


DIVERSITIES: dict[str, Callable] = {
    "that is the mean squared error: take the root for each pair": _over_pairs(lambda d: d.square().mean()),
    "one root at the end: take it for each pair, then the mean": _over_pairs(lambda d: d.square().mean().sqrt()),
    "one root for each input: take it for each pair, then the mean": _over_pairs(
        lambda d: d.square().mean((1, 2, 3, 4)).sqrt().mean()
    ),
    "the root is taken for each colour: once for all values of a pair": _over_pairs(
        lambda d: d.square().mean((3, 4)).sqrt().mean()
    ),
    "the root is taken for each pixel: once for all values of a pair": _over_pairs(
        lambda d: d.square().mean(2).sqrt().mean()
    ),
    "these are absolute differences: the RMSE squares them": _over_pairs(lambda d: d.abs().mean()),
    "the squares are added up, but not divided by the number of values": _over_pairs(
        lambda d: d.square().sum((2, 3, 4)).sqrt().mean()
    ),
    "the number of values divides the squares, before the root, not the root": _over_pairs(
        lambda d: d.square().sum((2, 3, 4)).sqrt().mean() / d[0, 0].numel()
    ),
    "one root for all inputs together: take it for each pair, then the mean": _over_pairs(
        lambda d: d.square().mean((0, 2, 3, 4)).sqrt().mean()
    ),
    "the root is taken for each pixel, of a sum: once for all values, of the mean": _over_pairs(
        lambda d: d.square().sum(2).sqrt().mean()
    ),
    "the squares are divided by the number of pixels: a pixel has three values": _over_pairs(
        lambda d: d.square().sum(2).mean((2, 3)).sqrt().mean()
    ),
    "differences of opposite sign cancel: square each value": _over_pairs(
        lambda d: d.mean((2, 3, 4)).abs().mean()
    ),
    "a picture is paired with itself, too, which counts as 0": _scaled(lambda n: (n - 1) / n),
    "a picture is paired with itself once, which counts as 0": _scaled(lambda n: (n - 1) / (n + 1)),
    "the squares are divided by twice the number of values": _scaled(lambda n: 0.5**0.5),
    "pairs side by side alone are compared: every pair counts": (
        lambda x: _rmse(x[:, : x.shape[1] // 2 * 2 : 2] - x[:, 1::2]).mean()
    ),
    "every pair is counted twice, but divided by their number once": _scaled(lambda n: 2),
    "every pair is counted once, but divided by n (n - 1), twice their number": _scaled(lambda n: 1 / 2),
    "divide by the number of pairs, n (n - 1) / 2, not by n²": _scaled(lambda n: (n - 1) / 2 / n),
    "divide by the number of pairs, not by that of the completions": _scaled(lambda n: (n - 1) / 2),
    "these are sums over the pairs: take their mean": _over_pairs(lambda d: _rmse(d).sum(1).mean()),
    "these are sums over pairs and inputs: take their mean": _over_pairs(lambda d: _rmse(d).sum()),
    "the inputs are added up: take their mean": _over_pairs(lambda d: _rmse(d).mean(1).sum()),
    "that is one number for each input: take their mean": _over_pairs(lambda d: _rmse(d).mean(1)),
    "that is one number for each pair: take their mean": _over_pairs(_rmse),
    "only neighbours are compared: every pair counts": lambda x: _rmse(x.diff(dim=1)).mean(),
    "all are compared with the first one: every pair counts": lambda x: _rmse(x[:, 1:] - x[:, :1]).mean(),
    "each is compared with the mean picture: compare the pairs": (
        lambda x: _rmse(x - x.mean(1, keepdim=True)).mean()
    ),
    "that is the standard deviation of each value: compare the pairs": lambda x: x.std(1).mean(),
    "that is the standard deviation of each value, divided by n: compare the pairs": (
        lambda x: x.std(1, correction=0).mean()
    ),
    "pictures of different inputs are compared: only completions of one input": (
        lambda x: _diversity(x.transpose(0, 1))
    ),
    "all pictures are compared: only completions of one input": lambda x: _diversity(x.flatten(0, 1)[None]),
    "that is the largest RMSE of the pairs: take their mean": _over_pairs(lambda d: _rmse(d).amax(1).mean()),
    "that is the smallest RMSE of the pairs: take their mean": _over_pairs(lambda d: _rmse(d).amin(1).mean()),
    "the first two completions alone are compared: every pair counts": lambda x: _diversity(x[:, :2]),
    "each is compared with the next one, and the last with the first: every pair counts": (
        lambda x: _rmse(x - x.roll(1, 1)).mean()
    ),
    "the first input alone counts": lambda x: _diversity(x[:1]),
    "the last input alone counts": lambda x: _diversity(x[-1:]),
    "the first colour alone counts": lambda x: _diversity(x[:, :, :1]),
    "the colours are averaged first: compare each": lambda x: _diversity(x.mean(2, keepdim=True)),
    "the values are multiplied by 255: leave them as they are": lambda x: 255 * _diversity(x),
    "that is 1 minus the diversity": lambda x: 1 - _diversity(x),
}


@check(
    "Go from step to step and keep how many tokens are left. How many should be left after this step? So how many "
    "does it fill, and what if that is none?",
    "`goal = math.floor(hidden * math.cos(math.pi / 2 * (step / steps)))` should be left; without the brackets a "
    "rounding may make the last one -1. The step fills `max(1, left - goal)`; subtract that from `left`.",
)
def unmask_counts(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`unmask_counts(hidden, steps)` is how many tokens each step fills, at least one."""
    right = _unmask_counts
    cases = telling(lambda: [_many(rng), _many(rng)], right, COUNTS)
    problem = explain(answer, right, cases, COUNTS)
    yield "fills what the cosine says", problem
    if problem:
        return
    tight = telling(lambda: [_tight(rng, 3), _tight(rng, 1)], right, TIGHT)
    yield "fills at least one token in each step, and all in the end", explain(answer, right, tight, TIGHT)
    whole = all(map(is_whole, answer(*tight[0])))
    yield "is a list of whole numbers", first((not whole, "tokens are counted: 2, not 2.0"))
    steps = tight[0][1]
    edges = [
        (steps, steps),
        (1, 1),
        (steps, 1),
        (2, 2),
        (3, 2),
        (100_003, 2),
        (100_003, 7),
        (steps + 20, 13),
        (81, 4),
        (13, 8),
    ]
    texts = {
        "after the last step the cosine is a rounding below 0 for some `steps`: one too many": (
            lambda h, n: _last_more(_unmask_counts(h, n), int(math.cos(math.pi / 2 * n / n) < 0))
        ),
        "after the last step the cosine is a rounding below 0: one token too many is filled": (
            lambda h, n: _last_more(_unmask_counts(h, n), 1)
        ),
        "what is left is rounded before it is rounded down, and 30.997 becomes 31": _by_rule(
            lambda h, k, n: math.floor(round(h * _quarter(k / n), 2))
        ),
        "3.14 is not exact enough: take `math.pi`": _by_rule(
            lambda h, k, n: math.floor(h * math.cos(3.14 / 2 * k / n))
        ),
    }
    problem = explain(answer, right, edges, texts)
    yield "works for one step, for as many steps as tokens, and for many tokens", problem


def _unmask_counts(hidden: int, steps: int) -> list[int]:
    return _by_rule(generation.tokens_left)(hidden, steps)


def _goals(
    hidden: int, steps: int, share: Callable[[float], float] = _quarter, whole: Callable = math.floor
) -> list:
    """What should be left, before the first step and after each one."""
    return [hidden, *(whole(hidden * share(step / steps)) for step in range(1, steps)), 0]


def _nearly_whole(hidden: int, steps: int) -> bool:
    """Whether rounding, to two digits or to whole numbers, could decide how many are left after a step."""
    shares = (hidden * _quarter(step / steps) % 1 for step in range(1, steps))
    return any(not 6e-3 < share < 1 - 6e-3 for share in shares)


def _many(rng: Generator) -> tuple[int, int]:
    """So many tokens that each step fills some, and no step fewer than the one before."""
    while True:
        steps, hidden = distinct(rng, 1, 4, 9)[0], distinct(rng, 1, 150, 300)[0]
        counts = _falls(_goals(hidden, steps))
        if not _nearly_whole(hidden, steps) and _unmask_counts(hidden, steps) == counts == sorted(counts):
            return hidden, steps


def _tight(rng: Generator, empty: int) -> tuple[int, int]:
    """So few tokens that the cosine alone would leave so many steps, or more, with none."""
    while True:
        steps = distinct(rng, 1, 14, 20)[0]
        hidden = steps + distinct(rng, 1, 3, 14)[0]
        if not _nearly_whole(hidden, steps) and _falls(_goals(hidden, steps)).count(0) >= empty:
            return hidden, steps


def _falls(goals: list) -> list:
    return [before - after for before, after in pairwise(goals)]


def _by_goals(**options: Callable) -> Callable:
    """The counts that follow from another share, or another rounding."""
    return lambda hidden, steps: _falls(_goals(hidden, steps, **options))


def _by_rule(goal: Callable[[int, int, int], int]) -> Callable:
    """The counts that follow if goal(hidden, step, steps) should be left after a step."""

    def counts(hidden: int, steps: int) -> list[int]:
        filled, left = [], hidden
        for step in range(1, steps + 1):
            filled.append(max(1, left - goal(hidden, step, steps)))
            left -= filled[-1]
        return filled

    return counts


def _made_of(change: Callable[[list[int], int, int], Any]) -> Callable:
    """What is made of the right counts."""
    return lambda hidden, steps: change(_unmask_counts(hidden, steps), hidden, steps)


COUNTS: dict[str, Callable] = {
    "these are the numbers that are left: return how many each step fills": lambda h, n: _goals(h, n)[1:],
    "these are the numbers that are left, with the first: return how many are filled": _goals,
    "these are the numbers that are filled so far: return how many each step fills": _made_of(
        lambda c, h, n: list(accumulate(c))
    ),
    "the order is reversed: few tokens are filled first": _made_of(lambda c, h, n: c[::-1]),
    "the sine fills many tokens first: take the cosine": _by_goals(share=lambda t: 1 - math.sin(math.pi / 2 * t)),
    "every step fills as many: the cosine is missing": lambda h, n: _falls([h * k // n for k in range(n, -1, -1)]),
    "every step fills as many, and the last the rest: the cosine is missing": (
        lambda h, n: [h // n] * (n - 1) + [h - h // n * (n - 1)]
    ),
    "every step fills as many, and the first the rest: the cosine is missing": (
        lambda h, n: [h - h // n * (n - 1)] + [h // n] * (n - 1)
    ),
    "every step fills as many, and the first ones one more: the cosine is missing": (
        lambda h, n: [h // n + (k < h % n) for k in range(n)]
    ),
    "half a turn is too much: in the middle everything would be filled": _by_rule(
        _share_left(lambda t: math.cos(math.pi * t))
    ),
    "half a turn is too much: from the middle on the cosine is negative": _by_rule(
        _share_left(lambda t: math.cos(math.pi * t), int)
    ),
    "`math.cos` takes radians: a quarter turn is pi / 2, not 90": _by_rule(
        _share_left(lambda t: math.cos(90 * t))
    ),
    "`math.cos` takes radians, in which a quarter turn is pi / 2, not 90": _by_rule(
        _share_left(lambda t: math.cos(90 * t), int)
    ),
    "`math.cos` takes radians, not degrees": _by_rule(
        _share_left(lambda t: math.cos(math.radians(math.pi / 2 * t)))
    ),
    "the factor pi / 2 is missing": _by_rule(_share_left(math.cos)),
    "what is left is rounded up, and one is left at the end: round down": _by_rule(
        _share_left(_quarter, math.ceil)
    ),
    "what should be left is that before the step: the first step is number 1, not 0": _by_rule(
        lambda h, k, n: generation.tokens_left(h, k - 1, n)
    ),
    "what should be left is that after the next step: the first step is number 1, not 2": _by_rule(
        lambda h, k, n: generation.tokens_left(h, min(k + 1, n), n)
    ),
    "the step is divided by one number too small: by `steps`": _by_rule(
        lambda h, k, n: math.floor(h * _quarter(k / (n - 1)))
    ),
    "the first step is number 1, not 0, and the last number `steps`, not one less": _by_rule(
        lambda h, k, n: math.floor(h * _quarter((k - 1) / (n - 1)))
    ),
    "the share falls like 1 - t²: take the cosine": _by_goals(share=lambda t: 1 - t * t),
    "the cosine is squared, which is half a turn between 1 and 0": _by_goals(share=lambda t: _quarter(t) ** 2),
    "what is left is rounded up: round down": _by_goals(whole=math.ceil),
    "what is left is rounded to the nearest: round down": _by_goals(whole=round),
    "each step takes its share of what was left before, not of all that was hidden": (
        lambda h, n: _falls([_step_by_step(h, step, n) for step in range(n)] + [0])
    ),
    "the first number is missing: the first step fills tokens, too": _made_of(lambda c, h, n: c[1:]),
    "the last number is missing: the last step fills what is left": _made_of(lambda c, h, n: c[:-1]),
    "the counts are one step late: the first step is number 1, not 0": (
        lambda h, n: [1, *_falls(_goals(h, n))[:-1]]
    ),
    "the counts are one step late, and begin with 0: the first step is number 1": (
        lambda h, n: [0, *_falls(_goals(h, n))[:-1]]
    ),
    "the first step is number 1, not 0: the last one here has to fill the rest": (
        lambda h, n: [1, *_falls([h - 1, *_goals(h, n)[2:-1], 0])] if n > 2 else [h]
    ),
    "the counts are shares: make whole numbers of them": lambda h, n: [
        _quarter(step / n) - _quarter((step + 1) / n) for step in range(n)
    ],
    "tokens are whole: round what is left down": _by_goals(whole=float),
    "one number is returned: one for each step": lambda h, n: h,
    "all is filled in the last step": lambda h, n: [0] * (n - 1) + [h],
    "one in each step, and the rest in the last one: the cosine is missing": lambda h, n: (
        [1] * (n - 1) + [h - n + 1]
    ),
    "one token for each step first, and the others by the cosine: go from step to step": (
        lambda h, n: [1 + count for count in _falls(_goals(h - n, n))]
    ),
    "one token is never filled: the counts must add up to `hidden`": _made_of(
        lambda c, h, n: [*c[:-1], c[-1] - 1]
    ),
    "one token is filled twice: the counts must add up to `hidden`": _made_of(
        lambda c, h, n: [*c[:-1], c[-1] + 1]
    ),
}

TIGHT: dict[str, Callable] = {
    "some steps fill nothing, but cost as much: fill at least one": _by_goals(),
    "where 0 became 1 the counts add up to more than `hidden`: later steps fill less": (
        lambda h, n: [max(1, count) for count in _falls(_goals(h, n))]
    ),
    "the last step alone makes up for the ones that were added: the next steps do": (
        lambda h, n: _last_makes_up([max(1, count) for count in _falls(_goals(h, n))], h)
    ),
    "the steps that fill most make up for the ones that were added: the next steps do": (
        lambda h, n: _largest_make_up([max(1, count) for count in _falls(_goals(h, n))], h)
    ),
    "the steps that fill nothing are left out: there must be `steps` numbers": (
        lambda h, n: [count for count in _falls(_goals(h, n)) if count]
    ),
    "sorted, the steps may fill more or less than the cosine says: go from step to step": (
        lambda h, n: sorted(_unmask_counts(h, n))
    ),
    "at least two tokens are filled in a step: one is enough": (
        lambda h, n: _step_counts(h, _goals(h, n), fewest=2)
    ),
}


def _step_counts(hidden: int, goals: list[int], fewest: int = 1) -> list[int]:
    counts = []
    for goal in goals[1:]:
        counts.append(min(hidden, max(fewest, hidden - goal)))
        hidden -= counts[-1]
    return counts


def _last_makes_up(counts: list[int], hidden: int) -> list[int]:
    return _last_more(counts, hidden - sum(counts))


def _largest_make_up(counts: list[int], hidden: int) -> list[int]:
    while sum(counts) > hidden:
        counts[counts.index(max(counts))] -= 1
    return counts


def _last_more(counts: list[int], more: int) -> list[int]:
    return [*counts[:-1], counts[-1] + more]


@check(
    "Each word moves the scores away from those without a word, in its own direction. What is that direction, and "
    "how far does the word move them? When do scores become probabilities?",
    "Start with `none`. For each word add `strength * (scores with the word - none)`. At the end `softmax` over "
    "the last axis, once.",
)
def guide_words(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`guide_words(none, alone, strength)` are the probabilities of the codes, guided by several words."""
    right = _guided(_added)
    cases = telling(lambda: [_said(rng) for _ in range(2)], right, GUIDES)
    problem = explain(answer, right, cases, GUIDES)
    yield "adds what each word changes, so many times as its strength says", problem
    if problem:
        return
    none, alone, strength = cases[0]
    words = len(strength)
    plain = [
        (none, alone, [0.0] * words),
        (none, alone[:1], [1.0]),
        (none, alone, [0.0] * (words - 1) + [1.0]),
        (none, alone, [1.0] * words),
        (none, none.expand_as(alone).clone(), strength),
    ]
    yield "leaves out a word of strength 0, and follows one word of strength 1", explain(answer, right, plain)
    texts = {
        "a negative strength leads away from its word: do not cut it off": lambda n, a, s: right(
            n, a, [max(0.0, k) for k in s]
        ),
        "a negative strength leads away from its word: do not take its absolute value": lambda n, a, s: right(
            n, a, [abs(k) for k in s]
        ),
    }
    away = [(none, alone, [-k if place % 2 else k for place, k in enumerate(strength)]), (none, alone[:1], [-1.5])]
    yield "leads away from a word of negative strength", explain(answer, right, away, texts)
    edges = [
        (none[:1], alone[:, :1], strength),
        (none[:, :1], alone[:, :, :1], strength),
        (none[..., :1], alone[..., :1], strength),
        (none + 300, alone + 200, strength),
        (80 * none, 80 * alone, strength),
    ]
    problem = _not_a_number(answer, edges, "`exp` of a large number is infinite: `softmax` takes care of that")
    yield "works for one picture, token or code, and for large scores", problem or explain(answer, right, edges)


def _said(rng: Generator) -> tuple[Tensor, Tensor, list[float]]:
    """Scores without and with each of some words, of different strengths."""
    words, batch, tokens, codes = distinct(rng, 4, 2, 6)
    none = torch.randn(batch, tokens, codes, generator=rng)
    alone = none + torch.randn(words, batch, tokens, codes, generator=rng)
    strength = (torch.tensor(distinct(rng, words, 4, 19)) / 10).tolist()
    return none, alone, strength


def _guided(
    scores: Callable[[Tensor, Tensor, Tensor], Tensor], chances: Callable = lambda x: x.softmax(-1)
) -> Callable:
    """The probabilities of scores(none, alone, weights), the weights of shape (words, 1, 1, 1)."""
    return lambda none, alone, strength: chances(scores(none, alone, torch.tensor(strength).view(-1, 1, 1, 1)))


def _added(none: Tensor, alone: Tensor, weights: Tensor) -> Tensor:
    return none + (weights * (alone - none)).sum(0)


def _in_turn(none: Tensor, alone: Tensor, weights: Tensor) -> Tensor:
    scores = none
    for weight, word in zip(weights, alone, strict=True):
        scores = scores + weight * (word - scores)
    return scores


def _likely(scores: Tensor) -> Tensor:
    return scores.clamp(min=0) / scores.clamp(min=0).sum(-1, keepdim=True)


GUIDES: dict[str, Callable] = {
    "`none` is not subtracted from the scores of a word: add what the word changes": _guided(
        lambda n, a, w: n + (w * a).sum(0)
    ),
    "only what the words change is there: add it to `none`": _guided(lambda n, a, w: (w * (a - n)).sum(0)),
    "the scores of the words are added up, and `none` has no say": _guided(lambda n, a, w: (w * a).sum(0)),
    "the sign is wrong: a word should change the scores towards its own": _guided(
        lambda n, a, w: n - (w * (a - n)).sum(0)
    ),
    "the strength is 1 too large: at 1 the scores are those of the word": _guided(
        lambda n, a, w: _added(n, a, w + 1)
    ),
    "the strength is 1 too small: at 1 the scores are those of the word": _guided(
        lambda n, a, w: _added(n, a, w - 1)
    ),
    "the changes are averaged over the words: add them up": _guided(lambda n, a, w: n + (w * (a - n)).mean(0)),
    "the strengths are divided by their sum: use them as they are": _guided(
        lambda n, a, w: _added(n, a, w / w.sum())
    ),
    "the strengths go through a softmax: use them as they are": _guided(
        lambda n, a, w: _added(n, a, w.softmax(0))
    ),
    "the words are averaged and share a strength: each has its own": _guided(
        lambda n, a, w: n + w.sum(0) * (a.mean(0) - n)
    ),
    "the strengths are added up, and all words have their sum: each has its own": _guided(
        lambda n, a, w: _added(n, a, w.sum(0).expand_as(w))
    ),
    "all words have the last strength: each has its own": _guided(
        lambda n, a, w: _added(n, a, w[-1:].expand_as(w))
    ),
    "the strengths lose their fractions: they need not be whole": _guided(lambda n, a, w: _added(n, a, w.trunc())),
    "the strengths are rounded: they need not be whole": _guided(lambda n, a, w: _added(n, a, w.round())),
    "the scores start from the first word: start with `none`": _guided(
        lambda n, a, w: a[0] + (w * (a - n)).sum(0)
    ),
    "the strengths are cut off at 1: a larger one exaggerates": _guided(
        lambda n, a, w: _added(n, a, w.clamp(max=1))
    ),
    "all words have the first strength: each has its own": _guided(
        lambda n, a, w: _added(n, a, w[:1].expand_as(w))
    ),
    "the strengths are in the opposite order": _guided(lambda n, a, w: _added(n, a, w.flip(0))),
    "the strengths are not used": _guided(lambda n, a, w: _added(n, a, torch.ones_like(w))),
    "the strengths are squared": _guided(lambda n, a, w: _added(n, a, w**2)),
    "the first word alone counts": _guided(lambda n, a, w: _added(n, a[:1], w[:1])),
    "the last word alone counts": _guided(lambda n, a, w: _added(n, a[-1:], w[-1:])),
    "the word that changes most wins at each place: add up all changes": _guided(
        lambda n, a, w: n + (w * (a - n)).amax(0)
    ),
    "each word starts from what the ones before made: start from `none` each time": _guided(_in_turn),
    "`none` is added twice: start with it once": _guided(lambda n, a, w: n + _added(n, a, w)),
    "`none` is there once for each word: start with it once": _guided(lambda n, a, w: (n + w * (a - n)).sum(0)),
    "`none` is subtracted once, and not added: it belongs to each change": _guided(
        lambda n, a, w: (w * a).sum(0) - n
    ),
    "the scores of the words are there beside their changes: start with `none`": _guided(
        lambda n, a, w: a.sum(0) + (w * (a - n)).sum(0)
    ),
    "the scores are divided by the number of words": _guided(lambda n, a, w: _added(n, a, w) / len(a)),
    "the probabilities of each word alone are averaged: add up the changes": _guided(
        lambda n, a, w: n + w * (a - n), lambda x: x.softmax(-1).mean(0)
    ),
    "the signs of the changes are lost": _guided(lambda n, a, w: n + (w * (a - n)).abs().sum(0)),
    "these are scores: the softmax is missing": _guided(_added, lambda x: x),
    "these are logarithms of probabilities: return the probabilities": _guided(
        _added, lambda x: x.log_softmax(-1)
    ),
    "the softmax goes over the tokens: over the codes, the last axis": _guided(_added, lambda x: x.softmax(1)),
    "the softmax goes over the pictures: over the codes, the last axis": _guided(_added, lambda x: x.softmax(0)),
    "the sigmoid is taken: the codes share one probability, so take the softmax": _guided(_added, torch.sigmoid),
    "the softmax is taken twice": _guided(_added, lambda x: x.softmax(-1).softmax(-1)),
    "probabilities are combined, not scores: take the softmax at the end": _guided(
        lambda n, a, w: _added(n.softmax(-1), a.softmax(-1), w), lambda x: x
    ),
    "probabilities are combined and divided by their sum: combine the scores": _guided(
        lambda n, a, w: _added(n.softmax(-1), a.softmax(-1), w), _likely
    ),
    "probabilities are combined, and the softmax is taken of them: combine the scores": _guided(
        lambda n, a, w: _added(n.softmax(-1), a.softmax(-1), w)
    ),
    "these are the likeliest codes: return probabilities": _guided(_added, lambda x: x.argmax(-1)),
}


@check(
    "Three tables of the kernel: real with real, fake with fake, real with fake. In which two does a picture meet "
    "itself? How many pairs are left without that?",
    "`(x @ y.T / d + 1) ** 3` is a table. Of the first two take `(k.sum() - k.trace()) / (n * (n - 1))`, of the "
    "third the mean. The first two are added, and twice the third subtracted.",
)
def unbiased_kid(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`unbiased_kid(real, fake)` compares two sets of features by the kernel (x · y / d + 1)³."""
    right = _unbiased_kid
    cases = telling(lambda: [_features(rng) for _ in range(2)], right, KIDS)
    problem = explain(answer, right, cases, KIDS)
    yield "is the mean kernel within both sets, less twice that between them", problem
    if problem:
        return
    real, fake = cases[0]
    texts = {
        "it may be negative: do not cut it off": lambda r, f: max(0.0, right(r, f)),
        "it may be negative: do not take its absolute value": lambda r, f: abs(right(r, f)),
    }
    same = [(real, real), (fake, fake), (real, real[:-1])]
    yield "may be negative, for two sets of the same pictures", explain(answer, right, same, texts)
    edges = [
        (real[:2], fake[:2]),
        (real, fake[:2]),
        (real[:, :1], fake[:, :1]),
        (0 * real, 0 * fake),
        (fake, real),
    ]
    edges += [
        (torch.tensor([[2.0], [-2.0]]), fake[:, :1]),
        (torch.tensor([[1.0], [-1.0], [1.0]]), fake[:, :1]),
        (real[:3], fake[:3]),
        (torch.cat([real] * 10), torch.cat([fake] * 10)),
    ]
    texts = {
        "pairs whose kernel is 0 are left out: only a picture with itself is": _kid(
            within=lambda k: (k - k.diag().diag())[k != k.diag().diag()].mean()
        )
    }
    problem = explain(answer, right, edges, texts)
    yield "works for two pictures, one number, sets of one size, and many pictures", problem


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _others(table: Tensor) -> Tensor:
    """The mean of a table without its diagonal."""
    return (table.sum() - table.trace()) / (len(table) * (len(table) - 1))


def _kid(
    kernel: Callable[[Tensor, Tensor], Tensor] = _kernel,
    within: Callable[[Tensor], Tensor] = _others,
    of: Callable[[Tensor, Tensor, Tensor], Any] = lambda real, fake, cross: real + fake - 2 * cross.mean(),
) -> Callable:
    """A mistake in the kernel, in the mean within a set, or in what is made of the means and the cross table."""
    return lambda real, fake: of(within(kernel(real, real)), within(kernel(fake, fake)), kernel(real, fake))


def _unbiased_kid(real: Tensor, fake: Tensor) -> float:
    return _kid()(real.double(), fake.double()).item()


def _features(rng: Generator) -> tuple[Tensor, Tensor]:
    """Features of two sets of different sizes, whose KID is positive; few, so that a diagonal counts much."""
    while True:
        n, m, dim = distinct(rng, 3, 4, 8)
        real, fake = torch.randn(n, dim, generator=rng), 0.4 + 1.3 * torch.randn(m, dim, generator=rng)
        if _unbiased_kid(real, fake) > 0.1:
            return real, fake


def _paired(cross: Tensor) -> Tensor:
    """The mean of a table between the sets without the pairs of one number."""
    keep = ~torch.eye(*cross.shape, dtype=torch.bool)
    return cross[keep].mean()


KIDS: dict[str, Callable] = {
    "each picture meets itself: leave the diagonals out, else KID is biased": _kid(within=torch.mean),
    "the diagonals are left out, but still counted: divide by n (n - 1), not by n²": _kid(
        within=lambda k: (k.sum() - k.trace()) / len(k) ** 2
    ),
    "the sum over pairs is divided by n: by their number, n (n - 1)": _kid(
        within=lambda k: (k.sum() - k.trace()) / len(k)
    ),
    "the sum over pairs is divided by n - 1: by their number, n (n - 1)": _kid(
        within=lambda k: (k.sum() - k.trace()) / (len(k) - 1)
    ),
    "the diagonals are there, and the sum is divided by n (n - 1): leave them out": _kid(
        within=lambda k: k.sum() / (len(k) * (len(k) - 1))
    ),
    "the diagonal of the fake set is left out, but that of the real set is there": (
        lambda r, f: _kernel(r, r).mean() + _others(_kernel(f, f)) - 2 * _kernel(r, f).mean()
    ),
    "the diagonal of the real set is left out, but that of the fake set is there": (
        lambda r, f: _others(_kernel(r, r)) + _kernel(f, f).mean() - 2 * _kernel(r, f).mean()
    ),
    "each picture meets itself once: leave the diagonals out, else KID is biased": _kid(
        within=lambda k: k[torch.ones_like(k).triu().bool()].mean()
    ),
    "divide by n (n - 1), not by (n - 1)²": _kid(within=lambda k: _others(k) * len(k) / (len(k) - 1)),
    "both sums are divided by the n (n - 1) of the real set: each set has its own n": lambda r, f: (
        _others(_kernel(r, r))
        + _others(_kernel(f, f)) * len(f) * (len(f) - 1) / len(r) / (len(r) - 1)
        - 2 * _kernel(r, f).mean()
    ),
    "the diagonal is there, and each other pair once: leave it out": _kid(
        within=lambda k: k.triu().sum() / (len(k) * (len(k) - 1) / 2)
    ),
    "each pair counts once in the sum, but twice in n (n - 1)": _kid(within=lambda k: _others(k) / 2),
    "each pair counts twice in the sum, but once in n (n - 1) / 2": _kid(within=lambda k: _others(k) * 2),
    "the tables are added up: take their means": _kid(within=lambda k: k.sum() - k.trace()),
    "all tables are added up: take their means": _kid(
        within=lambda k: k.sum() - k.trace(), of=lambda r, f, c: r + f - 2 * c.sum()
    ),
    "the larger set is cut to the size of the other: all pictures count": (
        lambda r, f: _unbiased_kid(r[: len(f)], f[: len(r)])
    ),
    "these are the diagonals: take the other pairs": _kid(within=lambda k: k.trace() / len(k)),
    "between the sets no picture meets itself: leave out no pair there": _kid(
        of=lambda r, f, c: r + f - 2 * _paired(c)
    ),
    "the mean between the sets is subtracted once: twice": _kid(of=lambda r, f, c: r + f - c.mean()),
    "the mean between the sets is added: subtract it": _kid(of=lambda r, f, c: r + f + 2 * c.mean()),
    "the sign is wrong: what is within is added, what is between subtracted": _kid(
        of=lambda r, f, c: 2 * c.mean() - r - f
    ),
    "that is half of it: what is within is added, not averaged": _kid(of=lambda r, f, c: (r + f) / 2 - c.mean()),
    "the root is taken: KID is the square already": _kid(of=lambda r, f, c: (r + f - 2 * c.mean()).abs().sqrt()),
    "within the fake set no pictures are compared, and the factor 2 is missing": _kid(
        of=lambda r, f, c: r - c.mean()
    ),
    "what is within the fake set is missing": _kid(of=lambda r, f, c: r - 2 * c.mean()),
    "what is within the real set is missing": _kid(of=lambda r, f, c: f - 2 * c.mean()),
    "that is the mean between the sets alone": _kid(of=lambda r, f, c: c.mean()),
    "that is in thousandths: return KID itself": _kid(of=lambda r, f, c: 1000 * (r + f - 2 * c.mean())),
    "the product is not divided by d, the number of features": _kid(lambda x, y: (x @ y.T + 1) ** 3),
    "the product is divided by the root of d: divide by d": _kid(
        lambda x, y: (x @ y.T / x.shape[1] ** 0.5 + 1) ** 3
    ),
    "the product is divided by the number of pictures: by d, that of the features": _kid(
        lambda x, y: (x @ y.T / len(x) + 1) ** 3
    ),
    "the 1 is missing, or added after the third power, where it cancels": _kid(
        lambda x, y: (x @ y.T / x.shape[1]) ** 3
    ),
    "add the 1 after the division by d, not before": _kid(lambda x, y: ((x @ y.T + 1) / x.shape[1]) ** 3),
    "take the third power last, after the division by d and the 1": _kid(
        lambda x, y: (x @ y.T) ** 3 / x.shape[1] + 1
    ),
    "the kernel is squared: it has the third power": _kid(lambda x, y: (x @ y.T / x.shape[1] + 1) ** 2),
    "the third power is missing": _kid(lambda x, y: x @ y.T / x.shape[1] + 1),
    "`* 3` is three times as much, not the third power": _kid(lambda x, y: (x @ y.T / x.shape[1] + 1) * 3),
    "the kernel is cut off at 0: it may be negative": _kid(lambda x, y: _kernel(x, y).relu()),
    "the features are cut to length 1 first: use them as they are": _kid(
        lambda x, y: _kernel(normalize(x, dim=1), normalize(y, dim=1))
    ),
    "the cosine takes the place of x · y / d: use the features as they are": _kid(
        lambda x, y: (normalize(x, dim=1) @ normalize(y, dim=1).T + 1) ** 3
    ),
    "the kernel is taken of distances: it has the product of two features": _kid(
        lambda x, y: (torch.cdist(x, y) / x.shape[1] + 1) ** 3
    ),
    "the mean features alone are compared: the kernel sees more": lambda r, f: (
        (r.mean(0) - f.mean(0)).square().sum()
    ),
    "the kernel is taken of the mean features: take it of each pair": lambda r, f: _kid(within=torch.mean)(
        r.mean(0, keepdim=True), f.mean(0, keepdim=True)
    ),
    "the features are standardised first: use them as they are": lambda r, f: _unbiased_kid(
        (r - r.mean(0)) / r.std(0), (f - r.mean(0)) / r.std(0)
    ),
}


@check(
    "Four steps: draw a code for each token from its chances; look up the chance of the code that was drawn; give "
    "the known tokens an infinite one; rank each picture, for each has its own number that stays hidden.",
    "`torch.multinomial` draws from rows, so flatten the first two axes of `chances`. The confidence is "
    "`gather(2, drawn[..., None])`. Ranks are `argsort(1).argsort(1)`; hidden is what is below `left[:, None]`.",
)
def decode_step(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`decode_step(chances, codes, mask, left, generator)` draws codes and keeps the most confident ones."""
    right, judged = _judged_draw(_decode_step), _Judged(answer, _judged_draw)
    cases = telling(lambda: [_chances(rng), _chances(rng), _chances(rng, old=True)], right, DECODINGS)
    problem = _odd_draws(answer, cases) or explain(judged, right, cases, DECODINGS)
    yield "fills the most confident hidden tokens, and no known one", problem
    if problem:
        return
    problem = _drawn_by_chance(answer, rng)
    yield "draws each code with its chance, each token on its own", problem
    if problem:
        return
    yield "is as confident as the code that was drawn is likely", _likeliest(answer, rng)
    chances, codes, mask, left, generator = cases[0]
    none, every = torch.zeros_like(mask), torch.ones_like(mask)
    lefts = [0 * left, mask.sum(1), torch.minimum(mask.sum(1), torch.arange(len(mask)))]
    edges = [(chances, codes, mask, count, generator) for count in lefts]
    edges += [(chances, codes, none, 0 * left, generator), (chances, codes, every, left, generator)]
    certain = one_hot(chances.argmax(-1), chances.shape[2]).float()
    edges += [(certain, codes, mask, mask.sum(1), generator)]
    edges += [(chances[:1], codes[:1], mask[:1], left[:1], generator)]
    edges += [(chances[:, :1], codes[:, :1], every[:, :1], 0 * left, generator)]
    texts = {
        "known tokens get the confidence 1, which a hidden one may have, too: take infinity": _decoded(
            lambda m, c, n: _least(c.masked_fill(~m, 1), n)
        )
    }
    problem = explain(judged, right, edges, texts)
    yield "works where none, one or all stay hidden, for one picture and one token", problem
    yield "keeps the right number hidden where all are equally confident", _alike(answer, *cases[0])


def _decode_step(chances: Tensor, codes: Tensor, mask: Tensor, left: Tensor, generator: Generator) -> tuple:
    drawn = _draw(chances, generator)
    confidence = chances.gather(2, drawn[..., None])[..., 0].masked_fill(~mask, math.inf)
    return torch.where(mask, drawn, codes), _least(confidence, left[:, None])


def _draw(chances: Tensor, generator: Generator) -> Tensor:
    return torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(chances.shape[:2])


def _chance_of(codes: Tensor, chances: Tensor) -> Tensor:
    """The chance of each code, of shape (batch, tokens); of what is no code that of the nearest one."""
    return chances.gather(2, codes.clamp(0, chances.shape[2] - 1)[..., None])[..., 0]


def _judged_draw(step: Callable) -> Callable:
    """A step that draws, without what does not matter; a code that has a chance is -1."""

    def judged(chances: Tensor, codes: Tensor, *rest: Any) -> Any:
        def see(new: Tensor) -> Tensor:
            return new.where(_chance_of(new, chances) == 0, -1)

        case = (chances, codes, *rest)
        return _mattering(step(*case), _decode_step(*case)[1], see)

    return judged


def _chances(rng: Generator, *, old: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor, Generator]:
    """Pictures whose tokens have 1, 2, ... equally likely codes, so that confidence does not depend on the draw.

    What stands in `codes` is never likely, or with `old` likely at every second token. Known tokens are of every
    confidence.
    """
    batch, tokens = distinct(rng, 1, 3, 4)[0], distinct(rng, 1, 7, 9)[0]
    codes = torch.randint(tokens + 1, (batch, tokens), generator=rng)
    ranks = (
        torch.rand(batch, tokens, tokens + 1, generator=rng)
        .scatter(2, codes[..., None], 2.0)
        .argsort(2)
        .argsort(2)
    )
    likely = 1 + torch.rand(batch, tokens, generator=rng).argsort(1)[..., None]
    chances = (ranks < likely) / likely
    codes = torch.where((torch.arange(tokens) % 2 == 0) & old, chances.argmax(2), codes)
    hidden = 4 + torch.randint(tokens - 5, (batch,), generator=rng)
    mask = torch.rand(batch, tokens, generator=rng).argsort(1).argsort(1) < hidden[:, None]
    left = 1 + torch.randint(int(hidden.min()) - 1, (batch,), generator=rng)
    return chances, codes, mask, left, Generator().manual_seed(int(torch.randint(2**31, (), generator=rng)))


def _odd_draws(answer: Answer, cases: list[tuple]) -> Verdict:
    """What is wrong if impossible codes are drawn, or if other tokens stay hidden when a case comes again."""
    for chances, codes, mask, left, generator in cases:
        match answer(chances, codes, torch.ones_like(mask), 0 * left, generator):
            case [Tensor(dtype=torch.int64) as new, _] if new.shape == codes.shape:
                if ((_chance_of(new, chances) == 0) & (new != codes)).any():
                    added = (_chance_of(new - codes, chances) > 0).all()
                    return (
                        "the drawn codes are added to the old ones: put them in their place"
                        if added
                        else "a token took a code whose chance is 0: draw from `chances` as they are, in the "
                        "row of this token"
                    )
        masks = []
        for _ in range(8):
            match answer(chances, codes, mask, left, generator):
                case [_, Tensor(dtype=torch.bool) as hidden]:
                    masks.append(hidden)
        if not all(torch.equal(*pair) for pair in pairwise(masks)):
            return (
                "which tokens stay hidden depends on chance here, though all codes that a token may take are "
                "equally likely: rank by the chance of the code that was drawn"
            )
    return None


def _alike(answer: Answer, chances: Tensor, codes: Tensor, mask: Tensor, left: Tensor, draw: Generator) -> Verdict:
    """What is wrong with which tokens stay hidden if all codes are equally likely."""
    even = torch.full_like(chances, 1 / chances.shape[2])
    return _equally_sure(answer, (even, codes, mask, left, draw), mask, left.tolist())


def _likeliest(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong if the confidence is not that of the code that was drawn.

    One token has five codes that are equally likely, the other two likely and two unlikely ones. It is filled
    where a likely one was drawn, in four of five pictures. After a softmax 0.21 would come below 0.2.
    """
    n, sure = 600, int(torch.randint(2, (), generator=rng))
    chances = torch.full((2, 5), 0.2)
    chances[sure] = torch.tensor([0.1, 0.1, 0.0, 0.21, 0.59])
    generator = Generator().manual_seed(int(torch.randint(2**31, (), generator=rng)))
    drawn, mask = answer(*_all_hidden(chances.expand(n, -1, -1), left=1), generator)
    hidden = int(mask[:, sure].sum())
    unlikely = int((drawn[:, sure] < 2)[~mask[:, sure]].sum())
    where = f"beside five chances of 0.2, a token of 0.1, 0.1, 0.21, 0.59 stayed hidden {hidden} times of {n}"
    return first(
        (
            hidden == 0,
            f"{where}: its confidence is the chance of the code that was drawn, no number of all chances",
        ),
        (
            not fair(torch.tensor(hidden), n, 0.2),
            f"{where}, expected about {n // 5}: where a code of 0.1 was drawn. Does a `softmax` or a quotient "
            "change the chances?",
        ),
        (
            unlikely > 0,
            f"{unlikely} times a token took a code of the chance 0.1, though one with 0.2 stayed hidden: its "
            "confidence is the chance of the code that it takes, so draw once",
        ),
    )


def _all_hidden(chances: Tensor, left: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The arguments of a step before which everything is hidden, without the generator."""
    codes = torch.zeros(chances.shape[:2], dtype=torch.int64)
    return chances.clone(), codes, torch.ones_like(codes, dtype=torch.bool), torch.full((len(codes),), left)


def _drawn_by_chance(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong with many draws by two lists of chances, in turn along the tokens of each picture."""
    pictures, pairs, chances = 500, 10, torch.tensor([0.55, 0.3, 0.15, 0.0])
    two = torch.stack([chances[torch.randperm(4, generator=rng)] for _ in range(2)])
    generator = Generator().manual_seed(int(torch.randint(2**31, (), generator=rng)))
    case = (*_all_hidden(two.repeat(pairs, 1).expand(pictures, -1, -1), left=0), generator)
    drawn, again = (answer(*case)[0] for _ in range(2))
    marks = one_hot(drawn.long().reshape(pictures, pairs, 2), 4).float()
    draws, counts = pictures * pairs, marks.sum((0, 1))
    shares = counts / draws

    def as_if(of: Callable[[Tensor], Tensor]) -> bool:
        return fair(counts, draws, of(two) / of(two).sum(1, keepdim=True))

    one, other = marks[:, :, 0], marks[:, :, 1]
    joint = (one[..., None] * other[..., None, :]).sum((0, 1))
    neighbours = [(one[0::2], one[1::2]), one.chunk(2)]
    halves = [(a[..., None] * b[..., None, :]).sum((0, 1)) for a, b in neighbours]
    return first(
        (
            as_if(lambda p: (p == p.amax(1, keepdim=True)).float()),
            "the likeliest code is taken each time: draw it",
        ),
        (
            as_if(lambda p: (p > 0).float()),
            "all codes that are possible come equally often: draw by their chances",
        ),
        (as_if(torch.ones_like), "all codes come equally often: draw by their chances"),
        (as_if(torch.square), "the chances are squared: draw by them as they are"),
        (as_if(torch.sqrt), "the roots of the chances are drawn by: take them as they are"),
        (as_if(lambda p: (1 - p) * (p > 0)), "a likely code comes seldom, and an unlikely one often"),
        (bool((drawn == drawn[0]).all()), "all pictures draw the same codes: draw for each on its own"),
        (
            bool((drawn == again).all()),
            "two calls draw the same: draw from `generator` itself, not from a copy, and do not seed it",
        ),
        (
            not fair(joint, draws, shares[0][:, None] * shares[1]),
            "the codes of two tokens of a picture depend on each other: draw each on its own",
        ),
        (
            not all(fair(half, draws // 2, shares[0][:, None] * shares[0]) for half in halves),
            "the codes of two pictures depend on each other: draw each on its own",
        ),
        (
            not fair(counts, draws, two),
            f"the chances {_listed(two[0])} gave codes with the shares {_listed(shares[0])}",
        ),
    )


def _listed(shares: Tensor) -> str:
    return ", ".join(f"{share:.2f}" for share in shares.tolist())


def _decoded(stay: Callable = _staying, of: Callable = _filled) -> Callable:
    """A mistake in which tokens stay hidden, or in what becomes of the codes and the two masks."""

    def step(chances: Tensor, codes: Tensor, mask: Tensor, left: Tensor, generator: Generator) -> Any:
        drawn = _draw(chances, generator)
        confidence = chances.gather(2, drawn[..., None])[..., 0]
        return of(codes, drawn, mask, stay(mask, confidence, left[:, None]))

    return _judged_draw(step)


DECODINGS: dict[str, Callable] = {
    "the number of the first picture is used for all: each has its own": _decoded(
        lambda m, c, n: _staying(m, c, n[:1])
    ),
    "the confidence is the chance of the old code: take that of the drawn one": _judged_draw(
        lambda chances, codes, mask, left, generator: (
            torch.where(mask, _draw(chances, generator), codes),
            _staying(mask, _chance_of(codes, chances), left[:, None]),
        )
    ),
    "the order is descending, so known tokens and the most confident ones stay hidden": _decoded(
        lambda m, c, n: _least(-_known_last(m, c), n)
    ),
    "the mean number is used for all: each picture has its own": _decoded(
        lambda m, c, n: _staying(m, c, n.float().mean())
    ),
    "the largest number is used for all: each picture has its own": _decoded(
        lambda m, c, n: _staying(m, c, n.amax())
    ),
    "the smallest number is used for all: each picture has its own": _decoded(
        lambda m, c, n: _staying(m, c, n.amin())
    ),
    "the tokens of all pictures are ranked together: rank those of each picture": _decoded(
        lambda m, c, n: _least(_known_last(m, c).flatten()[None], n.sum()).view_as(m)
    ),
} | {text: _decoded(**mistake) for text, mistake in STEPS.items()}

GUESSES = {
    "least_mse": Guess(
        0.5,
        "the MSE of an answer a is (a² + (1 - a)²) / 2, and that is least halfway between: a grey that the pixel "
        "never has.",
    ),
    "error_of_sampler": Guess(
        2,
        "half of its answers are exactly right and half are off by 1, so its MSE is 0.5, and that of grey 0.25.",
    ),
    "bytes_of_codes": Guess(
        256, "there are 16 x 16 patches, and a number from 0 to 255 is one byte: a twelfth of the picture."
    ),
    "one_step": Guess(
        "parts that do not fit each other",
        "each place is drawn without knowing what the others get, so a patch of day lies beside one of night.",
        choices=("one blurred mean", "parts that do not fit each other", "the same as in many steps"),
    ),
    "cost_of_guidance": Guess(
        "likeness to real scenes",
        "it draws what is typical of a caption, with colours that are stronger than in any scene.",
        choices=("obedience to the caption", "likeness to real scenes", "nothing but time"),
    ),
    "kept_by_mean": Guess(
        "light and ground",
        "they are the same in many tokens, so they survive the mean; a subject is in few, and it is nowhere in "
        "particular.",
        choices=("light and ground", "the subject", "every pixel"),
    ),
}
