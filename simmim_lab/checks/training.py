"""Checks of the lesson and the exercises on training (lesson 05)."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from math import cos, pi, sin
from numbers import Integral
from typing import Any

import torch
from torch import Generator, Tensor, nn

from simmim_lab import loop, recipe
from simmim_lab.checks import solutions
from simmim_lab.checks.core import (
    KEEPS,
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

DRAWS = 400  # of a split


@check(
    "What is drawn at random: crops, or photographs? List the different photographs first. The numbers of the "
    "photographs are names, so their order and their gaps mean nothing.",
    "`sorted(set(photographs))` lists the photographs. `torch.randperm(..., generator=generator)` puts the places "
    "of this list in a random order; the first `count` of them are for validation. Then go through the crops with "
    "`enumerate`, and ask of each whether its photograph is among these.",
)
def split_photographs(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`split_photographs(photographs, count, generator)` keeps all crops of a photograph on one side."""
    total, count = 35 + distinct(rng, 1, 0, 9)[0], distinct(rng, 1, 8, 14)[0]
    names = 1000 + torch.randperm(9000, generator=rng)[:total]
    photographs = _crops(names, torch.randint(2, 6, (total,), generator=rng), rng)
    seed = int(torch.randint(10_000, (1,), generator=rng))

    def sides(photographs, count, generator):
        got = answer(photographs, count, generator)
        got = got if isinstance(got, list | tuple) else [got]
        return [_as_list(side) for side in got]

    got = sides(photographs, count, Generator().manual_seed(seed))
    problem = _not_places(got, len(photographs))
    yield "returns two lists of places", problem
    if problem:
        return

    training, validation = ({photographs[place] for place in side} for side in got)
    both, often = training & validation, len(got[0]) + len(got[1]) - len({*got[0], *got[1]})
    missing = set(range(len(photographs))) - {*got[0], *got[1]}
    firsts = all(photographs.index(photographs[place]) == place for place in got[1])
    only = "validation has only the first crop of each of its photographs: `index` finds no other"
    yield (
        "keeps all crops of a photograph on one side",
        first(
            (bool(set(got[0]) & set(got[1])), "some crops lie on both sides: take those of validation out"),
            (bool(both) and firsts, only),
            (bool(both), f"{len(both)} photographs have crops on both sides: deal out photographs, not crops"),
        ),
    )
    nothing = (
        "nothing is in validation: photographs need not be called 0, 1, 2, ...; or is a number looked for in a "
        "set of tensors, where none is found?"
    )
    yield (
        "uses every crop once",
        first(
            (not got[1], nothing),
            (bool(missing), f"{len(missing)} of {len(photographs)} crops lie on neither side"),
            (often > 0, f"{often} places come twice"),
        ),
    )
    if both or missing or often or not got[1]:
        return
    again, other = (sides(photographs, count, Generator().manual_seed(seed + k)) for k in (0, 1))
    kept = f"the second call returns more places: {KEEPS}"
    yield (
        "draws from `generator` alone",
        first(
            (sum(map(len, again)) > len(photographs), kept),
            (again != got, "two generators of one seed gave two splits: pass `generator` on"),
            (other == got, "generators of two seeds gave one split: is it drawn at random, from `generator`?"),
        ),
    )
    few = dict(zip([0, *distinct(rng, 3, 1, 99)], (2, 12, 1, 3), strict=True))  # one has most of the crops
    photographs = _crops(torch.tensor([*few]), torch.tensor([*few.values()]), rng)
    generator = Generator().manual_seed(seed)
    turns = [{photographs[place] for place in sides(photographs, 2, generator)[1]} for _ in range(DRAWS)]
    fewer, chosen = sum(len(turn) < 2 for turn in turns), len(validation)
    expected = f"expected {count} photographs, got {chosen}"
    problem = first(
        (chosen == total - count, "the two sides are swapped: training comes first"),
        (chosen == count - 1 and fewer == DRAWS, f"{expected}: always one too few"),
        (chosen < count <= len(got[1]) < count + 5, f"`count` counts photographs, not crops: {expected}"),
        (count / 2 < chosen < count and 0 < fewer < DRAWS, f"{expected}: is one drawn twice?"),
        (chosen != count, expected),
        (fewer > 0, f"in {fewer} of {DRAWS} splits there were too few: is one drawn twice?"),
        (any(len(turn) > 2 for turn in turns), "expected 2 photographs, got more"),
    )
    yield "gives `count` photographs to validation", problem
    if not problem:
        yield "gives all photographs the same chance", _unequal_chances(few, turns)
        everything = sides(photographs, 4, generator)
        text = f"with all 4 photographs in validation, {describe(everything[0])} is left for training"
        yield "can give all photographs to validation", text if everything[0] else None


def _crops(names: Tensor, sizes: Tensor, rng: Generator) -> list[int]:
    """For each crop its photograph, in any order; sizes[i] crops come from names[i]."""
    crops = names.repeat_interleave(sizes)
    return crops[torch.randperm(len(crops), generator=rng)].tolist()


def _unequal_chances(crops: dict[int, int], turns: list[set[int]]) -> str | None:
    """What is wrong with many draws of two of four photographs; `crops` are the numbers of their crops."""
    counts = {name: sum(name in turn for turn in turns) for name in crops}
    pairs = Counter(map(frozenset, turns))
    together = [pairs[frozenset(pair)] for pair in combinations(crops, 2)]
    largest = counts[max(crops, key=crops.__getitem__)]
    where = f"in {len(turns)} splits with 2 of 4 photographs in validation"
    return first(
        (len(pairs) == 1, f"{where} they were always the same two: draw from `generator` itself, not from a copy"),
        (not all(counts.values()), f"{where} one was never there"),
        (
            not fair(torch.tensor(largest), len(turns), 1 / 2),
            f"{where} the one with most crops was there {largest} times: draw among photographs, in which each "
            "stands once",
        ),
        (
            not fair(torch.tensor([*counts.values()]), len(turns), 1 / 2),
            f"{where} each should be there in about half, but they were {[*counts.values()]} times",
        ),
        (
            not fair(torch.tensor(together), len(turns), 1 / 6),
            f"{where} all six pairs should come equally often, but they came {together} times",
        ),
    )


def _as_list(side: object) -> object:
    if isinstance(side, Tensor) and side.device.type == "cpu":
        return side.tolist()
    return list(side) if isinstance(side, tuple) else side


def _not_places(sides: list, count: int) -> str | None:
    """What is wrong if these are not two lists of places, from 0 to count - 1."""
    if any(isinstance(side, set | frozenset) for side in sides):
        return "a set is no list: return two lists, (training, validation)"
    if len(sides) != 2 or not all(isinstance(side, list) for side in sides):
        return (
            f"expected two lists, (training, validation), got {describe(sides[0] if len(sides) == 1 else sides)}"
        )
    places = [place for side in sides for place in side]
    odd = [place for place in places if isinstance(place, bool) or not isinstance(place, Integral)]
    if odd:
        return f"expected places, whole numbers such as 0, 3 and 4, got {describe(odd[0])}"
    return first(
        (any(place >= 1000 for place in places), "these are photographs: return the places of crops in the list"),
        (count in places, f"the places of {count} crops go from 0 to {count - 1}, not from 1"),
        (any(not 0 <= place < count for place in places), f"places go from 0 to {count - 1}"),
    )


@check(
    "Draw the curve on paper first, with `done` from left to right. Where does the warm-up end, and how high is "
    "the curve there? How high is it at the end? The cosine must begin where the warm-up ends.",
    "Two cases. Before `warmup` the rate is a share of `lr`: how much of the warm-up is over? After it compute "
    "the share of the *rest* that is over, from 0 to 1. Half a turn, from 0 to pi, makes the cosine fall from 1 "
    "to -1. Move and shrink it so that it falls from 1 to 0, then so that it falls from `lr` to `min_lr`.",
    solution=recipe.lr_at,
)
def lr_at(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`lr_at(done, lr, min_lr, warmup)` is the learning rate: a linear warm-up, then half a cosine."""
    low, high, w = (torch.rand(3, generator=rng) * torch.tensor([0.1, 0.4, 0.2])).tolist()
    settings = [
        (round(0.4 + high, 3), round(0.1 + low, 3), round(0.1 + w, 3)),
        (round(20 + 50 * high, 2), round(1 + 50 * low, 2), round(0.9 - w, 3)),  # a long warm-up to a high rate
    ]

    def cases(*shares, rest=False):
        """Calls at these shares of the warm-up, or of the rest."""
        return [(w + p * (1 - w) if rest else p * w, lr, low, w) for lr, low, w in settings for p in shares]

    def after(curve):
        """The rate by a curve of the share of the rest, the highest rate and the last one."""
        return lambda done, lr, low, w: curve((done - w) / (1 - w), lr, low)

    mistakes = {
        "the rate is constant: there is no warm-up": lambda done, lr, low, w: lr,
        "the cosine alone: there is no warm-up": lambda done, lr, low, w: low + (lr - low) * _half_wave(done),
        "the cosine begins at once, but in the warm-up there is the straight line alone": (
            lambda done, lr, low, w: (low + (lr - low) * _half_wave(done)) * done / w
        ),
        "there is no warm-up: the curve of the rest goes on to the left of it": after(
            lambda p, lr, low: low + (lr - low) * _half_wave(p)
        ),
        "it rises too slowly: it must reach `lr` when the share `warmup` of the run is over": (
            lambda done, lr, low, w: lr * done
        ),
        "the warm-up starts at 0, not at `min_lr`": lambda done, lr, low, w: low + (lr - low) * done / w,
        "the warm-up starts at 0: it is not cut off at `min_lr`": lambda done, lr, low, w: max(low, lr * done / w),
        "the warm-up goes from 0 to `lr`, not to the difference of the rates": (
            lambda done, lr, low, w: (lr - low) * done / w
        ),
        "the warm-up is a straight line, not a curve": lambda done, lr, low, w: lr * (1 - _half_wave(done / w)),
        "the warm-up is a straight line, not a square": lambda done, lr, low, w: lr * (done / w) ** 2,
        "`lr` and `min_lr` are swapped": lambda done, lr, low, w: low * done / w,
        "it falls: the warm-up rises from 0 to `lr`": lambda done, lr, low, w: lr * (1 - done / w),
        "that is the share of the warm-up that is over: how high is the rate then?": (
            lambda done, lr, low, w: done / w
        ),
    }
    rounded = {
        f"it is rounded to {digits} digits: return the rate itself": lambda *case, digits=digits: round(
            recipe.lr_at(*case), digits
        )
        for digits in range(1, 7)
    }
    early = cases(0.25, 0.75, *torch.linspace(0, 0.999, 20).tolist())
    rise = explain(answer, recipe.lr_at, early, mistakes | rounded, tolerance=1e-6)
    yield "rises in a straight line from 0", rise

    mistakes = {
        "the cosine starts at 0: it must start where the warm-up ends": (
            lambda done, lr, low, w: low + (lr - low) * _half_wave(done)
        ),
        "the cosine is not done at the end: stretch it over the rest, `1 - warmup`": (
            lambda done, lr, low, w: low + (lr - low) * _half_wave(done - w)
        ),
        "brackets are missing: the share is (done - warmup) / (1 - warmup)": (
            lambda done, lr, low, w: low + (lr - low) * _half_wave(done - w / 1 - w)
        ),
        "`warmup` is not subtracted: the share is (done - warmup) / (1 - warmup)": (
            lambda done, lr, low, w: low + (lr - low) * _half_wave(done / (1 - w))
        ),
        "brackets are missing around `done - warmup`": (
            lambda done, lr, low, w: low + (lr - low) * _half_wave(done - w / (1 - w) / pi)
        ),
        "brackets are missing around `1 - warmup`": (
            lambda done, lr, low, w: low + (lr - low) * _half_wave(done - w - w / pi)
        ),
        "a quarter of a turn falls from 1 to 0: the cosine of this schedule makes half a turn": (
            after(lambda p, lr, low: low + (lr - low) * cos(pi / 2 * p))
        ),
        "a whole turn comes up again: the cosine of this schedule makes half a turn": (
            after(lambda p, lr, low: low + (lr - low) * _half_wave(2 * p))
        ),
        "this is the sine: the cosine begins at 1": (
            after(lambda p, lr, low: low + (lr - low) * (1 + sin(pi * p)) / 2)
        ),
        "it falls in a straight line": after(lambda p, lr, low: lr - (lr - low) * p),
        "it falls in a straight line, and to 0": after(lambda p, lr, low: lr * (1 - p)),
        "it falls exponentially": after(lambda p, lr, low: lr * (low / lr) ** p),
        "it stays at `lr` after the warm-up": after(lambda p, lr, low: lr),
        "the warm-up goes on: after it, the cosine begins": lambda done, lr, low, w: lr * done / w,
        "this takes degrees: `cos` takes radians, and half a turn is pi": (
            after(lambda p, lr, low: low + (lr - low) * (1 + cos(180 * p)) / 2)
        ),
        "pi is missing: half a turn is pi": after(lambda p, lr, low: low + (lr - low) * (1 + cos(p)) / 2),
        "a bracket is wrong: the share of the rest stands inside the cosine": (
            after(lambda p, lr, low: low + (lr - low) * (1 + cos(pi) * p) / 2)
        ),
        "it falls to 0: it must end at `min_lr`": after(lambda p, lr, low: lr * _half_wave(p)),
        "it falls to 0 and is cut off at `min_lr`: shrink the cosine so that it ends there": (
            after(lambda p, lr, low: max(low, lr * _half_wave(p)))
        ),
        "it ends at 0: `min_lr` is subtracted, but not added again": (
            after(lambda p, lr, low: (lr - low) * _half_wave(p))
        ),
        "`min_lr` is added on top: the whole must begin at `lr`": after(
            lambda p, lr, low: low + lr * _half_wave(p)
        ),
        "the rates are added: the cosine falls by their difference": (
            after(lambda p, lr, low: low + (lr + low) * _half_wave(p))
        ),
        "the rates are added, and it ends at 0: it falls by their difference, to `min_lr`": (
            after(lambda p, lr, low: (lr + low) * _half_wave(p))
        ),
        "brackets are missing around `1 + cos`": (after(lambda p, lr, low: low + (lr - low) / 2 + cos(pi * p))),
        "it starts too high: 1 + cosine goes from 2 to 0, so halve it": (
            after(lambda p, lr, low: low + 2 * (lr - low) * _half_wave(p))
        ),
        "only the cosine is halved: halve 1 + cosine": (
            after(lambda p, lr, low: low + (lr - low) * (1 + cos(pi * p) / 2))
        ),
        "it falls too low: the cosine goes from 1 to -1, so move it up and halve it": (
            after(lambda p, lr, low: low + (lr - low) * cos(pi * p))
        ),
        "the cosine is halved, but not moved up: halve 1 + cosine, which goes from 2 to 0": (
            after(lambda p, lr, low: low + (lr - low) * cos(pi * p) / 2)
        ),
        "it rises: at the end of the warm-up the rate is highest": (
            after(lambda p, lr, low: low + (lr - low) * _half_wave(1 - p))
        ),
        "the cosine is squared: half a turn, moved and shrunk, is enough": (
            after(lambda p, lr, low: low + (lr - low) * _half_wave(p) ** 2)
        ),
    }
    verdict = explain(
        answer, recipe.lr_at, cases(0.2, 0.6, 0.95, 0.01, rest=True), mistakes | rounded, tolerance=1e-6
    )
    yield "falls along a cosine after it", verdict
    if rise or verdict:
        return

    verdict = explain(answer, recipe.lr_at, cases(0, 1, rest=True), tolerance=1e-6)
    yield "is `lr` after the warm-up and `min_lr` at the end", verdict
    without = [(done, lr, low, 0.0) for lr, low, _ in settings for done in (0.0, 0.3, 1.0)]
    mistakes = {
        "without a warm-up the rate begins at `lr`, not at 0": lambda done, *rest: (
            done and recipe.lr_at(done, *rest)
        )
    }
    yield "works without a warm-up", explain(answer, recipe.lr_at, without, mistakes, tolerance=1e-6)


def _half_wave(turned: float) -> float:
    """A cosine, moved and shrunk: it falls from 1 to 0 over half a turn."""
    return (1 + cos(pi * turned)) / 2


@check(
    "Draw the curve on paper: up, level, down. At how many images does each piece end? Which piece comes first "
    "where a piece has no length?",
    "Three cases. In the warm-up the rate is the share of the warm-up that is over, times `lr`. In the cooldown "
    "it is the share of the cooldown that is *left*, times `lr`: how many images are left, and of how many? Else "
    "it is `lr`. Ask `images < warmup`, so that nothing is divided by 0.",
)
def lr_after(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`lr_after(images, lr, total, warmup, cooldown)`: a rate that rises, stays, and falls to 0 at the end."""
    warmup, cooldown, level = distinct(rng, 3, 100, 199)
    small, large = (low + torch.rand((), generator=rng).item() / 4 for low in (0.1, 2))
    settings = [
        (large, warmup + level + cooldown, warmup, cooldown),
        (small, warmup + 3 * level + 5 * cooldown, warmup, 5 * cooldown),
        (small, 7 * warmup + level + cooldown, 7 * warmup, cooldown),
    ]

    def right(images, lr, total, warmup, cooldown):
        if images < warmup:
            return lr * images / warmup
        return lr * min(1, (total - images) / cooldown) if cooldown else lr

    def cases(*shares, of):
        """Calls at these shares of the warm-up (0), of the level piece (1) or of the cooldown (2)."""
        calls = []
        for lr, total, warmup, cooldown in settings:
            ends = (0, warmup, total - cooldown, total)
            start, length = ends[of], ends[of + 1] - ends[of]
            calls += [(start + int(share * length), lr, total, warmup, cooldown) for share in shares]
        return calls

    def at(place):
        """The right rate, but 0 where `place` says so of the images and their total."""
        return lambda images, lr, total, *rest: 0 if place(images, total) else right(images, lr, total, *rest)

    rounded = {
        f"it is rounded to {digits} digits: return the rate itself": lambda *case, digits=digits: round(
            right(*case), digits
        )
        for digits in range(1, 7)
    }
    mistakes = {
        "the rate is constant: there is no warm-up": lambda i, lr, n, w, c: lr,
        "it rises over the whole run: divide by `warmup`": lambda i, lr, n, w, c: lr * i / n,
        "it rises by `lr` with each image: divide by `warmup`": lambda i, lr, n, w, c: lr * i,
        "that is one image too many: after 0 images the rate is 0": lambda i, lr, n, w, c: lr * (i + 1) / w,
        "that is one image too few: after `warmup` images the rate is `lr`": lambda i, lr, n, w, c: (
            lr * (i - 1) / w
        ),
        "the rate is 0 in the whole warm-up: does `//` lose a fraction?": lambda i, lr, n, w, c: 0,
        "`warmup` and `cooldown` are swapped": lambda i, lr, n, w, c: lr * min(i / c, 1, (n - i) / w),
        "it falls: the warm-up rises from 0 to `lr`": lambda i, lr, n, w, c: lr * (1 - i / w),
        "the warm-up is a straight line, not a curve": lambda i, lr, n, w, c: lr * (1 - _half_wave(i / w)),
        "the warm-up is a straight line, not a square": lambda i, lr, n, w, c: lr * (i / w) ** 2,
        "that is the share of the warm-up that is over: how high is the rate then?": lambda i, lr, n, w, c: i / w,
    }
    verdict = explain(answer, right, cases(0, 0.1, 0.35, 0.8, 0.99, of=0), mistakes | rounded, tolerance=3e-7)
    yield "rises in a straight line from 0", verdict
    mistakes = {
        "the warm-up goes on: from its end on the rate stays at `lr`": lambda i, lr, n, w, c: lr * i / w,
        "it falls from the end of the warm-up on: it stays at `lr` until the cooldown": (
            lambda i, lr, n, w, c: lr * (n - i) / (n - w)
        ),
        "it falls along a cosine: it stays at `lr` until the cooldown": (
            lambda i, lr, n, w, c: lr * _half_wave((i - w) / (n - w))
        ),
        "the cooldown begins right after the warm-up: it is the last `cooldown` images": (
            lambda i, lr, n, w, c: lr * max(0, 1 - (i - w) / c)
        ),
        "the rate rises above `lr`: it is never more than that": lambda i, lr, n, w, c: lr * (n - i) / c,
        "the share of the run that is left stands in the place of 1": lambda i, lr, n, w, c: lr * (1 - i / n),
        "`cooldown` is how many images the fall takes, not where it begins": lambda i, lr, n, w, c: (
            lr * min(1, (n - i) / (n - c))
        ),
        "`cooldown` is no place: the fall takes the last `cooldown` images": lambda i, lr, n, w, c: (
            lr if i <= c else lr * (n - i) / c
        ),
        "`warmup` stands in the place of `cooldown`": lambda i, lr, n, w, c: min(lr, lr * (n - i) / w),
        "that is no rate: it stays at `lr`": lambda i, lr, n, w, c: 1,
    }
    verdict = explain(answer, right, cases(0, 0.2, 0.7, 0.98, of=1), mistakes | rounded, tolerance=3e-7)
    yield "stays at `lr` in between", verdict
    if verdict:
        return

    mistakes = {
        "it stays at `lr`: where is the cooldown?": lambda i, lr, n, w, c: lr,
        "it rises: the share that is over stands where the share that is left should": (
            lambda i, lr, n, w, c: lr * (i - n + c) / c
        ),
        "it falls from the end of the warm-up on: the cooldown is the last `cooldown` images": (
            lambda i, lr, n, w, c: lr * (n - i) / (n - w)
        ),
        "the rate is the share of the whole run that is left: divide by `cooldown`": (
            lambda i, lr, n, w, c: lr * (n - i) / n
        ),
        "what is over of the cooldown is divided by the whole run: divide by `cooldown`": (
            lambda i, lr, n, w, c: lr * (1 - (i - n + c) / n)
        ),
        "`cooldown` is how many images the fall takes, not where it begins": lambda i, lr, n, w, c: (
            lr * min(1, (n - i) / (n - c))
        ),
        "that is one image too few: after all images the rate is 0": lambda i, lr, n, w, c: lr * (n - i - 1) / c,
        "that is one image too many: after all images the rate is 0": lambda i, lr, n, w, c: lr * (n - i + 1) / c,
        "it falls along a cosine: the cooldown is a straight line": (
            lambda i, lr, n, w, c: lr * _half_wave((i - n + c) / c)
        ),
        "it falls along a root: the cooldown is a straight line": (
            lambda i, lr, n, w, c: lr * (1 - ((i - n + c) / c) ** 0.5)
        ),
        "it falls as a square: the cooldown is a straight line": (lambda i, lr, n, w, c: lr * ((n - i) / c) ** 2),
        "that is the share of the cooldown that is left: how high is the rate then?": (
            lambda i, lr, n, w, c: (n - i) / c
        ),
        "`warmup` stands in the place of `cooldown`": lambda i, lr, n, w, c: min(lr, lr * (n - i) / w),
        "the rate is 0 in the whole cooldown: does `//` lose a fraction?": lambda i, lr, n, w, c: 0,
        "the rate is negative: (total - images) are left, not (images - total)": (
            lambda i, lr, n, w, c: lr * (i - n) / c
        ),
    }
    verdict = explain(answer, right, cases(0.03, 0.3, 0.75, 0.97, 1, of=2), mistakes | rounded, tolerance=3e-7)
    yield "falls to 0 in a straight line over the last images", verdict
    mistakes = {
        "without a warm-up the rate starts at `lr`, not at 0": at(lambda images, total: images == 0),
        "without a cooldown it is `lr` to the end, not 0 after all images": at(
            lambda images, total: images == total
        ),
        "without a warm-up it starts at `lr`, and without a cooldown it ends there, not at 0": at(
            lambda images, total: images in (0, total)
        ),
    }
    edges = {
        "a warm-up": [(images, small, 20, 0, 5) for images in (0, 7, 18)],
        "a cooldown": [(images, large, 20, 5, 0) for images in (2, 9, 20)],
        "either": [(images, large, 1, 0, 0) for images in (0, 1)],
    }
    for missing, calls in edges.items():
        yield f"works without {missing}", explain(answer, right, calls, mistakes, tolerance=3e-7)
    tent = [(images, small, 20, 12, 8) for images in (0, 11, 12, 13, 20)]
    yield "works where nothing lies in between", explain(answer, right, tent, tolerance=3e-7)


SPARED = ("positions", "pos_embed", "table", "_token")


@check(
    "Two questions for each parameter: how many numbers does its shape have? How does its name end? The word "
    "`weight` in a name helps with neither: norms have it as well.",
    "A name is in the set if its shape has two or more numbers **and** the name does not end in one of the four "
    'words. `name.endswith(("a", "b"))` takes a tuple of endings.',
    solution=loop.decaying,
)
def decaying(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`decaying(shapes)` is the set of the names of the parameters that decay."""
    dim, blocks = 16 * distinct(rng, 1, 2, 5)[0], distinct(rng, 1, 2, 5)[0]
    shapes = {
        "encoder.mask_token": (1, 1, dim),
        "encoder.cls_token": (1, 1, dim),
        "encoder.register_token": (1, 4, dim),
        "encoder.positions": (8, 8, dim),
        "encoder.row_positions": (8, dim),
        "encoder.frames.positions": (1, 4, 8, dim),
        "encoder.rel_pos_embed": (1, 8, dim),
        "positions": (64, dim),
        "decoder.mask_token": (dim,),
        "decoder.positions": (1, 64, dim),
        "encoder.backbone.pos_embed": (1, 65, dim),
        "encoder.pos_embed_map.weight": (dim, 65),
        "encoder.relative.table": (225, 2),
        "encoder.relative_bias_table": (225, 4),
        "encoder.table_mixer": (dim, 64),
        "encoder.mixers.token": (64, 64),
        "decoder.project.down": (dim, 8),
        "encoder.patch_embed.weight": (dim, 3, 4, 4),
        "encoder.clip.weight": (dim, 3, 2, 4, 4),
        "encoder.line.weight": (dim, 3, 5),
        "encoder.gate.weight": (1, dim),
        "encoder.pair_bias": (64, 64),
        "encoder.norm_map.weight": (dim, dim),
        "encoder.tables.scale": (1, 1),
        "encoder.colour_shift": (3 * dim**2,),
        "encoder.patch_embed.bias": (dim,),
        "encoder.token_mixer.weight": (64, 64),
        "encoder.positions.project.weight": (dim, 2),
        "encoder.bias_of_distance.weight": (2, dim),
        "logit_scale": (),
        "decoder.linear.weight": (48, dim, 1, 1),
        "decoder.linear.bias": (48,),
    }
    for k in range(blocks):
        shapes |= {f"encoder.blocks.{k}.norm.{word}": (dim,) for word in ("weight", "bias")}
        shapes |= {f"encoder.blocks.{k}.gamma": (dim,), f"encoder.blocks.{k}.qkv.weight": (3 * dim, dim)}
    got = answer(shapes)
    problem = None if isinstance(got, set | frozenset) else f"expected a set of names, got {describe(got)}"
    if not problem and not got <= set(shapes):
        problem = f"the set holds something that is no name: {describe(next(iter(got - set(shapes))))}"
    yield "returns a set of the given names", problem
    if problem:
        return

    matrices = {name for name, shape in shapes.items() if len(shape) >= 2}
    levels = {name for name in matrices if name.endswith(SPARED)}
    tricky = {name for name in matrices - levels if any(word in name for word in (*SPARED, "token", "bias"))}
    convolutions = {name for name, shape in shapes.items() if len(shape) > 2} - levels
    vectors = set(shapes) - matrices
    want = matrices - levels

    def wrong(names: set[str], why: str) -> Verdict:
        """Name one of these, with its shape, and say why it is on the wrong side."""
        name = min(names, default="")
        return f"`{name}` of shape {shapes[name]}{why}" if names else None

    problem = first(
        (got == set(shapes), "everything decays: who is spared?"),
        (got == set(shapes) - want, "the two groups are swapped: return what decays"),
        (not got, "nothing decays: what of the matrices?"),
        (
            convolutions <= got and all(len(shapes[name]) > 2 for name in got),
            "only shapes with more than two numbers decay: two are enough",
        ),
    )
    plain = want - convolutions - tricky
    why = " should decay: it is a matrix, and its name does not *end* in one of the four words"
    yield "lets matrices decay", problem or wrong(plain - got, why)
    if problem:
        return
    convolution = " should decay: the kernel of a convolution has more than two dimensions"
    yield "lets convolutions decay, too", wrong(convolutions - got, convolution)
    vector = " should be spared: it has fewer than two dimensions, whatever its name says"
    yield "spares biases, norms and factors", wrong(got & vectors, vector)
    level = " should be spared, though it has two or more dimensions: see the end of its name"
    yield "spares tokens, positions and tables", wrong(got & levels, level)
    yield "goes by the end of a name, not by a word inside", wrong(tricky - got, why)
    yield "works for a model without parameters", compare({*answer({})}, set())


@check(
    "First give each parameter the number of its layer. Which layers are there, from the bottom to the top? Then "
    "count how far each lies below the top.",
    "With `blocks` blocks there are `blocks` + 2 layers: 0 below the blocks, k + 1 for block k, and `blocks` + 1 "
    'above them. The number of a block stands between two points, and may have two digits: `name.split(".")`. '
    "The share is `decay` to the power of (top layer - own layer).",
)
def layer_scales(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`layer_scales(names, blocks, decay)` says how fast each parameter learns in a fine-tuning."""
    counts = (*distinct(rng, 1, 3, 6), *distinct(rng, 1, 12, 15))
    decays = (0.5 + 0.4 * torch.rand(2, generator=rng)).tolist()
    names = [[*LOWEST, *_blocks(blocks), *HIGHEST] for blocks in counts]
    names = [[some[place] for place in torch.randperm(len(some), generator=rng)] for some in names]
    cases = [(some, blocks, round(decay, 3)) for some, blocks, decay in zip(names, counts, decays, strict=True)]

    got = answer(*cases[0])
    problem = None if isinstance(got, dict) else f"expected a dict of names and shares, got {describe(got)}"
    if not problem and set(got) != set(names[0]):
        odd = min(map(str, set(got) ^ set(names[0])))
        problem = f"the dict should have all the names and no others; look at {odd}"
    yield "returns a share for each name", problem
    if problem:
        return

    def scales(layer=lambda name, right, blocks: right, power=lambda steps, decay: decay**steps):
        """A function that counts the layers, and the steps below the top, in its own way."""

        def answer(names, blocks, decay):
            layers = {name: layer(name, _layer(name, blocks), blocks) for name in names}
            return {name: power(blocks + 1 - layers[name], decay) for name in names}

        return answer

    mistakes = {text: scales(power=power) for text, power in _WRONG_POWERS.items()}
    mistakes |= {text: scales(layer) for text, layer in _WRONG_LAYERS.items()}
    verdict = explain(answer, scales(), cases, mistakes, tolerance=1e-5)
    yield "slows layer by layer, from the top down", verdict
    misread = {text: scales(layer) for text, layer in _MISREAD_NAMES.items()}
    verdict = explain(answer, scales(), [([*_blocks(2), *ALIKE], 2, 0.7)], misread, tolerance=1e-5)
    yield "asks how a name begins, with its dots", verdict
    edges = [
        ([], 3, 0.7),
        (_blocks(1), 1, 0.5),
        ([*HIGHEST, *_blocks(2), *LOWEST], 2, 1.0),
        ([HIGHEST[0]], 9, 0.1),
        (_blocks(102), 102, 0.97),
    ]
    claim = "works for one block and for many, for few names, and for a `decay` of 1"
    yield claim, explain(answer, scales(), edges, tolerance=1e-5)


LOWEST = [
    "encoder.patch_embed.weight",
    "encoder.patch_embed.bias",
    "encoder.patch_embed.norm.weight",
    "encoder.mask_token",
    "encoder.positions",
]
HIGHEST = [
    "encoder.norm.weight",
    "encoder.norm.bias",
    "encoder.norm.scale",
    "norm.weight",
    "head.weight",
    "head.blocks.0.weight",
    "head.norm.weight",
]
ALIKE = [  # names that begin nearly as others do
    "encoder.norm_before.weight",
    "encoder.blocks_before.0.weight",
    "encoder.patch_embed.0.weight",
    "encoder_to_decoder.weight",
    "teacher.encoder.blocks.0.norm.weight",
]


def _layer(name: str, blocks: int) -> int:
    """The number of the layer that a parameter belongs to."""
    if _in_block(name):
        return int(name.split(".")[2]) + 1
    return 0 if name.startswith("encoder.") and not name.startswith("encoder.norm.") else blocks + 1


def _blocks(count: int) -> list[str]:
    return [f"encoder.blocks.{k}.{part}" for k in range(count) for part in ("norm.weight", "mlp.0.bias")]


def _in_block(name: str) -> bool:
    return name.startswith("encoder.blocks.")


_WRONG_POWERS = {
    "all learn equally fast: where is `decay`?": lambda steps, decay: 1.0,
    "that is a product: each layer multiplies by `decay` once more, which is a power": (
        lambda steps, decay: decay * steps
    ),
    "that falls in a straight line: each layer multiplies by `decay` once more": (
        lambda steps, decay: 1 - (1 - decay) * steps
    ),
    "it grows: each layer below the top multiplies by `decay`, and does not divide": (
        lambda steps, decay: decay**-steps
    ),
    "one power too much: the top learns at the full rate": lambda steps, decay: decay ** (steps + 1),
    "one power too little: there is a layer above the blocks": lambda steps, decay: decay ** max(0, steps - 1),
    "one power too little, and 1 / decay at the top: there is a layer above the blocks": (
        lambda steps, decay: decay ** (steps - 1)
    ),
    "`decay` is multiplied once, not once for each layer": lambda steps, decay: decay if steps else 1.0,
}
_WRONG_LAYERS = {
    "the layers are upside down: the lowest learn slowest": lambda name, right, blocks: blocks + 1 - right,
    "block 0 shares the layer of what lies below the blocks: block k is layer k + 1": (
        lambda name, right, blocks: right - _in_block(name)
    ),
    "the last block shares the layer of what lies above the blocks": (
        lambda name, right, blocks: right + _in_block(name)
    ),
    "only the first digit of a block's number is read: 11 is not 1": (
        lambda name, right, blocks: int(name.split(".")[2][0]) + 1 if _in_block(name) else right
    ),
    "only the last digit of a block's number is read: 11 is not 1": (
        lambda name, right, blocks: int(name.split(".")[2][-1]) + 1 if _in_block(name) else right
    ),
    "the last number of a name is read: that of a block stands behind `encoder.blocks.`": (
        lambda name, right, blocks: int(re.findall(r"\d+", name)[-1]) + 1 if _in_block(name) else right
    ),
    "all blocks are one layer": lambda name, right, blocks: blocks if _in_block(name) else right,
    "the head is slowed: it is new, and learns at the full rate": (
        lambda name, right, blocks: right - (not name.startswith("encoder."))
    ),
    "all of the encoder is taken for the lowest layer: ask for its blocks and norm first": (
        lambda name, right, blocks: 0 if name.startswith("encoder.") else right
    ),
    "every norm is taken for the last one: only `encoder.norm.` begins that": (
        lambda name, right, blocks: blocks + 1 if "norm" in name else right
    ),
    "the last norm of the encoder is no layer of its own: it shares that of the head": (
        lambda name, right, blocks: right - name.startswith("encoder.")
    ),
    "everything outside the blocks is taken for the lowest layer": (
        lambda name, right, blocks: right if _in_block(name) else 0
    ),
    "the last norm of the encoder is taken for the lowest layer: it lies above the blocks": (
        lambda name, right, blocks: 0 if name.startswith("encoder.norm.") else right
    ),
    "`norm.` lies outside the encoder: it learns at the full rate": (
        lambda name, right, blocks: 0 if name.startswith("norm.") else right
    ),
    "all that begins with `encoder.norm.` is the last norm, whatever follows": (
        lambda name, right, blocks: 0 if name == "encoder.norm.scale" else right
    ),
    "the last norm of the encoder is taken for a part of the last block": (
        lambda name, right, blocks: right - name.startswith("encoder.norm.")
    ),
    "a name of the head with `blocks` in it is taken for a block of the encoder": (
        lambda name, right, blocks: int(name.split(".")[2]) + 1 if ".blocks." in name else right
    ),
    "a name of the head with `norm` in it is slowed": (
        lambda name, right, blocks: 0 if name.startswith("head.norm") else right
    ),
    "all outside the blocks learns at the full rate: what lies below them is slowest": (
        lambda name, right, blocks: right if _in_block(name) else blocks + 1
    ),
    "what lies below the blocks shares the layer of block 0": lambda name, right, blocks: max(1, right),
    "a norm below the blocks is taken for the last one: only `encoder.norm.` begins that": (
        lambda name, right, blocks: blocks + 1 if "norm" in name and not _in_block(name) else right
    ),
    "only the patch embedding lies in the lowest layer: all below the blocks does": (
        lambda name, right, blocks: right or (0 if "patch_embed" in name else blocks + 1)
    ),
}
_MISREAD_NAMES = {
    "`encoder.norm_before.` does not begin with `encoder.norm.`: it lies below the blocks": (
        lambda name, right, blocks: blocks + 1 if name.startswith("encoder.norm") else right
    ),
    "`encoder.blocks_before.` does not begin with `encoder.blocks.`: it lies below them": (
        lambda name, right, blocks: 1 if name.startswith("encoder.blocks_") else right
    ),
    "`encoder_to_decoder.` does not begin with `encoder.`: it lies outside": (
        lambda name, right, blocks: 0 if name.startswith("encoder_") else right
    ),
    "`teacher.encoder.` does not begin with `encoder.`: it lies outside": (
        lambda name, right, blocks: int(name.split(".")[3]) + 1 if ".encoder.blocks." in name else right
    ),
    "the number in `encoder.patch_embed.0.` is not that of a block": (
        lambda name, right, blocks: 1 if right == 0 and ".0." in name else right
    ),
}


@check(
    "Six lines, in this order: the rate of every group, forget the gradients of the step before, call the model, "
    "`loss.backward()`, clip, `optimizer.step()`. What goes wrong if two of them change places?",
    '`optimizer.param_groups` is a list of dicts, each with an entry "lr". `torch.nn.utils.clip_grad_norm_` takes '
    "`model.parameters()` and the length; it needs gradients, so it comes behind `backward` and before `step`. "
    "`loss.item()` is the loss as a number.",
    solution=solutions.train_step,
)
def train_step(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`train_step(model, optimizer, batch, lr=lr, clip=clip)` updates the weights once and returns the loss."""
    steps = _Training(answer.function, answer.name)
    steps.begin()
    small, large = (low + torch.rand((), generator=rng).item() / 4 for low in (0.1, 0.5))
    trainings = {
        "one step": (*_weights_and_batches(rng, 1), [small], 1e3, THREE_GROUPS),
        "three steps": (*_weights_and_batches(rng, 3), [large, small, small / 20], 1e3, THREE_GROUPS),
        "steps with a long gradient": (*_weights_and_batches(rng, 3), [small, large, small], small, TWO_GROUPS),
    }
    got = {words: steps(*training) for words, training in trainings.items()}

    def part(name: str, step: Callable | None = None) -> dict:
        """This part of the results, of the answer or of another step."""
        other = _Training(step, "") if step else None
        results = {words: other(*trainings[words]) if other else got[words] for words in trainings}
        return {words: _by_place(name, result[name]) for words, result in results.items()}

    def told(name: str, mistakes: dict[str, str]) -> Verdict:
        """What is wrong with this part of the results: the mistake that makes it so, if one does."""
        want = part(name, solutions.train_step)
        verdict = compare(part(name), want)
        for text in mistakes if verdict else ():
            if compare(part(name), made := part(name, _Parts.in_order(mistakes[text]))) is None:
                return compare(part(name), want, {text: made})
        return verdict

    graph = "the loss carries its graph, which keeps the whole step in memory: return `loss.item()`"
    after = {"that is the loss after the step: return the one before it": part("after")}
    verdict = first((any(any(result["graph"]) for result in got.values()), graph))
    yield "returns the loss before the update", verdict or compare(part("loss"), part("before"), after)
    verdict = told("rates", _WRONG_RATES)
    yield "sets the rate of every group", verdict
    if verdict:
        return

    yield "moves the weights against the clipped gradient of this batch", told("weights", _WRONG_STEPS)
    yield from steps.habits((), ())


THREE_GROUPS, TWO_GROUPS = ("weight", "bias", "level"), ("weight", "bias level")


def _by_place(name: str, values: list) -> dict[str, Any]:
    """This part of the results with the names of its places."""
    if name == "weights":
        return dict(zip(("weight", "bias", "level"), values, strict=True))
    if name == "rates":
        return {f"step {k}, group {g}": rate for k, of in enumerate(values, 1) for g, rate in enumerate(of, 1)}
    return {f"step {k}": value for k, value in enumerate(values, 1)}


class _Training(Answer):
    """A training step as a function of plain data: weights and batches go in, losses and weights come out."""

    def _call(
        self, weights: list[Tensor], batches: list, lrs: list[float], clip: float, groups: tuple[str, ...]
    ) -> dict:
        model = _Predictor(*weights)
        parameters = [{"params": [getattr(model, name) for name in names.split()]} for names in groups]
        parameters[0]["weight_decay"] = 0.2
        optimizer = torch.optim.SGD(parameters, lr=0.03, momentum=0.9)
        results: dict = {"loss": [], "graph": [], "before": [], "after": [], "rates": []}
        for batch, lr in zip(batches, lrs, strict=True):
            results["before"].append(model.loss(*batch))
            loss = super()._call(model, optimizer, batch, lr=lr, clip=clip)
            results["loss"].append(loss)
            results["graph"].append(isinstance(loss, Tensor) and loss.requires_grad)
            results["after"].append(model.loss(*batch))
            results["rates"].append([group["lr"] for group in optimizer.param_groups])
        return {**results, "weights": [parameter.detach() for parameter in model.parameters()]}

    def shown(self, *args, lr: float, clip: float) -> str:
        return f"in the call {self.name}(model, optimizer, batch, lr={lr:.3g}, clip={clip:.3g})"


class _Predictor(nn.Module):
    """The linear predictor of the exercises and a level: hidden values enter as 0; only theirs are asked for."""

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, values: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        prediction = values.masked_fill(hidden, 0) @ self.weight + self.bias + self.level
        return (prediction - values)[hidden].square().mean(), prediction

    @torch.no_grad()
    def loss(self, values: Tensor, hidden: Tensor) -> float:
        return self(values, hidden)[0].item()


def _weights_and_batches(rng: Generator, count: int) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
    """Weights for a `_Predictor`, and `count` batches of values and what is hidden of them."""
    width, pictures = distinct(rng, 2, 3, 7)
    weights = [torch.randn(shape, generator=rng) for shape in ((width, width), (width,))]
    hides = [distinct(rng, 1, 1, width - 1) * pictures for _ in range(count)]
    return weights, [_problem(rng, width, some)[1:3] for some in hides]


class _Parts:
    """The parts of a training step, right and wrong ones; `in_order("rates zero ...")` is a step made of them."""

    def __init__(self, model, optimizer, batch, lr, clip):
        self.model, self.optimizer, self.batch, self.lr, self.clip_at = model, optimizer, batch, lr, clip

    @classmethod
    def in_order(cls, names: str) -> Callable:
        def step(model, optimizer, batch, *, lr, clip):
            parts = cls(model, optimizer, batch, lr, clip)
            for name in names.split():
                getattr(parts, name)()
            return parts.loss.item()

        return step

    def rates(self, groups: slice = slice(None)):
        for group in self.optimizer.param_groups[groups]:
            group["lr"] = self.lr

    def zero(self):
        self.optimizer.zero_grad()

    def forward(self):
        self.loss, _ = self.model(*self.batch)

    def backward(self):
        self.loss.backward()

    def clip(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_at)

    def step(self):
        self.optimizer.step()

    def first_rate(self):
        self.rates(slice(1))

    def second_rate(self):
        self.rates(slice(1, 2))

    def last_rate(self):
        self.rates(slice(-1, None))

    def factors(self):
        for group in self.optimizer.param_groups:
            group["lr"] *= self.lr

    def lower(self):
        for group in self.optimizer.param_groups:
            group["lr"] = min(group["lr"], self.lr)

    def backward_of_part(self):
        (self.lr * self.loss).backward()

    @torch.no_grad()
    def by_hand(self):
        for parameter in self.model.parameters():
            parameter -= self.lr * parameter.grad

    def climb(self):
        (-self.loss).backward()

    def clip_values(self):
        nn.utils.clip_grad_value_(self.model.parameters(), self.clip_at)

    def clip_each(self):
        for parameter in self.model.parameters():
            nn.utils.clip_grad_norm_([parameter], self.clip_at)

    def clip_groups(self):
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], self.clip_at)

    def clip_first_group(self):
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], self.clip_at)

    def clip_largest(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_at, norm_type=torch.inf)

    def clip_sum(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_at, norm_type=1)

    def clip_square(self):
        self.scale(min(1, self.clip_at / self.length() ** 2))

    def lengthen(self):
        self.scale(self.clip_at / self.length())

    def length(self) -> float:
        return nn.utils.get_total_norm(parameter.grad for parameter in self.model.parameters()).item()

    def scale(self, factor: float):
        for parameter in self.model.parameters():
            parameter.grad *= factor

    def clip_at_1(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), 1)

    def clip_at_lr(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), self.lr)

    def new_optimizer(self):
        self.optimizer = torch.optim.SGD(self.optimizer.param_groups, lr=self.lr, momentum=0.9)


_WRONG_RATES = {
    'the given optimizer keeps its rates: set "lr" in each of its groups': "zero forward backward clip step",
    "only the first group gets this rate: set it in all": "first_rate zero forward backward clip step",
    "only the last group gets this rate: set it in all": "last_rate zero forward backward clip step",
    "only the first and the last group get this rate: set it in all": (
        "first_rate last_rate zero forward backward clip step"
    ),
    "only the first two groups get this rate: set it in all": (
        "first_rate second_rate zero forward backward clip step"
    ),
    "the rate is multiplied by `lr`: set it": "factors zero forward backward clip step",
    "the rate is only lowered: set it, also where it was smaller": "lower zero forward backward clip step",
}
_WRONG_STEPS = _WRONG_RATES | {
    "this step still has the old rate: set it before `step`": "zero forward backward clip step rates",
    "gradients of earlier steps are added: where is `optimizer.zero_grad()`?": "rates forward backward clip step",
    "the weights did not move: call `zero_grad`, then `loss.backward()`, then `step`": (
        "rates zero forward backward clip"
    ),
    "the step comes before `backward`, so it uses the gradient of the step before": (
        "rates forward step zero backward clip"
    ),
    "the step takes the whole gradient: clip it behind `backward` and before `step`": (
        "rates zero forward backward step"
    ),
    "single values are cut off: the direction changes; use `clip_grad_norm_`": (
        "rates zero forward backward clip_values step"
    ),
    "each parameter is clipped on its own: all are one vector": "rates zero forward backward clip_each step",
    "each group is clipped on its own: all are one vector": "rates zero forward backward clip_groups step",
    "only the gradient of the first group is clipped": "rates zero forward backward clip_first_group step",
    "the largest value is taken for the length": "rates zero forward backward clip_largest step",
    "the sum of absolute values is taken for the length": "rates zero forward backward clip_sum step",
    "the squared length is taken for the length": "rates zero forward backward clip_square step",
    "a gradient shorter than `clip` is made longer: leave it": "rates zero forward backward lengthen step",
    "the gradient is clipped to the length 1, not to `clip`": "rates zero forward backward clip_at_1 step",
    "`lr` stands in the place of `clip`": "rates zero forward backward clip_at_lr step",
    "the sign is wrong: this step climbs the loss": "rates zero forward climb clip step",
    "the loss is multiplied by `lr`: the optimizer does that": "rates zero forward backward_of_part clip step",
    "the weights are moved by hand: leave it to `optimizer.step()`, which has momentum": (
        "rates zero forward backward clip by_hand"
    ),
    "the weights are moved by hand and by `optimizer.step()`: leave it to this": (
        "rates zero forward backward clip by_hand step"
    ),
    "two steps are taken: call `optimizer.step()` once": "rates zero forward backward clip step step",
    "the optimizer is made anew: it forgets its momentum from step to step": (
        "rates zero forward backward clip new_optimizer step"
    ),
}


@check(
    "All tensors together are one long vector, and *its* length decides. How many factors are there then? What "
    "happens to a vector that is short enough?",
    "Add up the squares of all numbers of all tensors, and take the root once. If the result is above `max_norm`, "
    "multiply every tensor by the same factor, which makes the length `max_norm`; else leave them as they are.",
)
def clip_gradients(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`clip_gradients(gradients, max_norm)` shortens the gradient to the length max_norm if it is longer."""
    rows, cols, length = distinct(rng, 3, 2, 5)
    shapes = ((rows, cols), (length,), (1, 2, 2), (), (2, 1))

    def case(factor, limit, shapes=shapes):
        """Gradients whose length is `factor` times the limit, and the limit; one tensor is much shorter."""
        tensors = [torch.randn(shape, generator=rng) for shape in shapes]
        tensors = [
            part / tensor.norm() * tensor for part, tensor in zip((1, 1.6, 0.03, 0.4, 1.2), tensors, strict=False)
        ]
        return [tensor * (factor * limit / _flat(tensors).norm()) for tensor in tensors], limit

    def by(factor):
        """All tensors times a factor: a function of the vector, the lengths of the tensors and the limit."""
        return lambda gradients, limit: [
            factor(_flat(gradients), torch.stack([g.norm() for g in gradients]), limit) * g for g in gradients
        ]

    def right(gradients, limit):
        return by(lambda flat, norms, m: m / flat.norm() if flat.norm() > m else 1)(gradients, limit)

    small, large = (low + torch.rand((), generator=rng).item() / 4 for low in (0.3, 2))
    mistakes = {
        "each tensor is shortened on its own: the direction changes; use one norm for all": (
            lambda gradients, m: [g * min(1.0, m / g.norm().item()) for g in gradients]
        ),
        "each tensor gets the length `max_norm`: use one norm for all": (
            lambda gradients, m: [g * (m / g.norm()) for g in gradients]
        ),
        "single values are cut off: the direction changes; multiply all by one factor": (
            lambda gradients, m: [g.clamp(-m, m) for g in gradients]
        ),
        "`max_norm` is subtracted: multiply all by one factor": lambda gradients, m: [g - m for g in gradients],
        "the signs are lost: multiply the values as they are": (
            lambda gradients, m: [g.abs() for g in right(gradients, m)]
        ),
        "the root is missing: the norm is the root of the sum of squares": by(
            lambda flat, _, m: m / flat.norm() ** 2
        ),
        "the root of the factor was taken: it belongs to the sum of squares": (
            by(lambda flat, _, m: (m / flat.norm()) ** 0.5)
        ),
        "the norms of the tensors are added: add their squares, then take the root": by(
            lambda _, norms, m: m / norms.sum()
        ),
        "the root is taken of the sum of the norms: add their squares, then take the root": by(
            lambda _, norms, m: m / norms.sum().sqrt()
        ),
        "the absolute values are added: the norm is the root of the sum of squares": by(
            lambda flat, _, m: m / flat.abs().sum()
        ),
        "the longest tensor decides alone: all belong to one vector": by(lambda _, norms, m: m / norms.max()),
        "the largest value decides alone: all belong to one vector": by(lambda flat, _, m: m / flat.abs().max()),
        "the mean of the squares was taken: the norm adds them": by(
            lambda flat, _, m: m / flat.square().mean().sqrt()
        ),
        "the squared norms of the tensors were averaged: add them, then take the root": by(
            lambda _, norms, m: m / norms.square().mean().sqrt()
        ),
        "the length is 1 now: it should be `max_norm`": by(lambda flat, _, m: 1 / flat.norm()),
        "the length is half of `max_norm` now": by(lambda flat, _, m: m / 2 / flat.norm()),
        "the length is twice `max_norm` now": by(lambda flat, _, m: 2 * m / flat.norm()),
        "the norms of the tensors are averaged: add their squares, then take the root": (
            by(lambda _, norms, m: m / norms.mean())
        ),
        "the factor is squared": by(lambda flat, _, m: (m / flat.norm()) ** 2),
        "the sign is wrong: the direction stays": by(lambda flat, _, m: -m / flat.norm()),
        "the factor is upside down: the gradient became longer": by(lambda flat, _, m: flat.norm() / m),
        "the gradient is multiplied by `max_norm`: divide by its length, too": by(lambda flat, _, m: m),
        "only the first tensor decides: all belong to one vector": by(lambda _, norms, m: m / norms[0]),
        "only the last tensor decides: all belong to one vector": by(lambda _, norms, m: m / norms[-1]),
        "they came back as they were, though their norm is too large": lambda gradients, m: gradients,
        "all tensors came back in one: return a list of the shapes that came": (
            lambda gradients, m: _flat(right(gradients, m))
        ),
    }
    long = [case(factor, limit) for factor, limit in ((12, large), (15, small))]
    verdict = explain(answer, right, long, mistakes)
    yield "shortens a long gradient to `max_norm`", verdict
    if verdict:
        return
    mistakes = {
        "it became longer: a short gradient stays as it is": by(lambda flat, _, m: m / flat.norm()),
        "the square of the norm is compared with `max_norm`: take the root first": by(
            lambda flat, _, m: m / flat.norm() if flat.norm() ** 2 > m else 1
        ),
        "the length is compared with 1: compare it with `max_norm`": by(
            lambda flat, _, m: m / flat.norm().clamp(min=1)
        ),
        "it is shortened from half of `max_norm` on": by(
            lambda flat, _, m: m / 2 / flat.norm() if flat.norm() > m / 2 else 1
        ),
        "it becomes `max_norm` long from half of it on": by(
            lambda flat, _, m: m / flat.norm() if flat.norm() > m / 2 else 1
        ),
    }
    short = [case(factor, limit) for factor, limit in ((0.05, small), (0.05, large), (0.95, small), (0.95, large))]
    yield "leaves a short gradient as it is", explain(answer, right, short, mistakes)
    mistakes = {
        "they came back as they were, though their norm is a little too large": lambda gradients, m: gradients,
        "the square of the norm is compared with `max_norm`: take the root first": by(
            lambda flat, _, m: m / flat.norm() if flat.norm() ** 2 > m else 1
        ),
    }
    cases = [case(factor, limit) for factor, limit in ((1.05, small), (1.05, large), (1e6, large))]
    yield "shortens one that is only a little longer", explain(answer, right, cases[:2], mistakes)
    alone = [case(factor, limit, shapes) for factor, limit, shapes in ((1e6, small, [(1, 1)]), (3, large, [()]))]
    alone += [case(0.3, large, [()])]
    yield "works for a single tensor, and for a very long gradient", explain(answer, right, [cases[2], *alone])
    zeros = [[torch.zeros(shape) for shape in shapes], large], [[torch.zeros(())], small]
    yield "leaves zeros as they are", explain(answer, right, zeros)


def _flat(tensors: list[Tensor]) -> Tensor:
    """All numbers of all tensors, one after the other."""
    return torch.cat([tensor.flatten() for tensor in tensors])


@check(
    "Write down the shapes: inputs (n, d), weight (d, d), prediction (n, d), errors (n, d). Which errors count? "
    "The gradient has the shape of the weight: which product of inputs and errors has it?",
    "`weight[i, j]` carries input i to prediction j. So its derivative adds up, over the pictures, input i times "
    "the error of value j where this is hidden: a product of matrices, one of them transposed. What factor comes "
    "from the square, and what from the mean? Then walk *against* the gradient.",
)
def sgd_step(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`sgd_step(weight, values, hidden, lr)` is the loss and the weight after one step of gradient descent."""
    width, n = distinct(rng, 2, 3, 7)
    few, many = [1] * n, [width - 1] * n  # how many values of each picture are hidden
    few[0], many[0] = width - 1, 1
    problems = {
        f"{len(counts)} pictures of {width} values": _problem(rng, width, counts, size)
        for width, counts, size in ((width, few, 1), (width + 1, [*many, 1], 9))
    }

    got = {words: answer(*problem) for words, problem in problems.items()}
    result, (weight, *_) = next(iter(got.values())), next(iter(problems.values()))
    problem = None
    if not isinstance(result, list | tuple) or len(result) != 2:
        problem = f"expected two things, (loss, new weight), got {describe(result)}"
    elif isinstance(result[0], Tensor) and result[0].shape == weight.shape:
        problem = "the loss comes first, then the new weight"
    problem = problem or form(result[1], weight.shape, weight.dtype)
    yield "returns a loss and a new weight", problem
    if problem:
        return

    def of_all(function):
        return {words: function(_Step(*problem)) for words, problem in problems.items()}

    losses = {text: of_all(lambda step, of=of: of(step)[0]) for text, of in _MIXED_UP.items()}
    losses |= {text: of_all(wrong) for text, wrong in _WRONG_LOSSES.items()}
    verdict = compare({words: loss for words, (loss, _) in got.items()}, of_all(lambda step: step.loss), losses)
    yield "gives the loss before the step", verdict

    weights = {
        text: of_all(lambda step, of=of: step.weight - step.lr * of(step)[1])
        for text, of in (_MIXED_UP | _WRONG_GRADIENTS).items()
    }
    weights |= {text: of_all(wrong) for text, wrong in _WRONG_WEIGHTS.items()}
    moved = compare({words: new for words, (_, new) in got.items()}, of_all(lambda step: step.moved), weights)
    yield "moves the weight against the gradient", moved
    if verdict or moved:
        return
    sizes = torch.tensor([0] + [1e4] * (n - 1))[:, None]

    def clear(*sizes) -> tuple[Tensor, Tensor, Tensor, float]:
        """A problem whose loss is not nearly 0, where half of it would be as good."""
        return next(edge for edge in iter(lambda: _problem(rng, *sizes), None) if _Step(*edge).loss > 0.1)

    edges = {
        "where a single value is hidden": clear(width, [0, 1, 0]),
        "for one picture": clear(width, [2]),
        "for pictures of one value, all hidden": clear(1, [1, 1]),
        "for a black picture, large numbers and a weight of 0": _problem(rng, width, few, sizes, weights=0),
    }
    for words, edge in edges.items():
        step = _Step(*edge)
        yield f"works {words}", compare(list(answer(*edge)), [step.loss, step.moved])


def _problem(
    rng: Generator, width: int, counts: list[int], size: Tensor | float = 1, weights: float = 1
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Arguments of the task: of picture i, counts[i] of its values are hidden, anywhere."""
    shape = (len(counts), width)
    hidden = torch.rand(shape, generator=rng).argsort(1).argsort(1) < torch.tensor(counts)[:, None]
    weight, values = (torch.randn(rows, width, generator=rng) for rows in (width, len(counts)))
    return weights * weight, size * values, hidden, 0.3 + 0.4 * torch.rand((), generator=rng).item()


class _Step:
    """One step of gradient descent, with all that may be mixed up in it."""

    def __init__(self, weight: Tensor, values: Tensor, hidden: Tensor, lr: float):
        self.weight, self.values, self.hidden, self.lr = weight, values, hidden, lr
        self.inputs = values.masked_fill(hidden, 0)
        self.errors = (self.inputs @ weight - values) * hidden
        self.count, self.pictures = hidden.sum(), len(values)
        self.loss, self.gradient = self.with_(self.inputs)
        self.moved = weight - lr * self.gradient

    def with_(
        self, inputs: Tensor, counted: Tensor | None = None, weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The loss and its gradient for other inputs, other values that count, or another weight."""
        counted = self.hidden if counted is None else counted
        errors = (inputs @ (self.weight if weight is None else weight) - self.values) * counted
        return errors.square().sum() / counted.sum(), 2 / counted.sum() * inputs.T @ errors

    def all_errors(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Those of visible values added, though the number of hidden ones divides."""
        errors = self.inputs @ self.weight - targets
        return errors.square().sum() / self.count, 2 / self.count * self.inputs.T @ errors


_MIXED_UP = {
    "the errors of visible values are added, too: they must not count": lambda step: step.all_errors(step.values),
    "visible predictions are compared with 0: they must not count": (
        lambda step: step.all_errors(step.values * step.hidden)
    ),
    "the hidden values are among the inputs: the answer is given away": lambda step: step.with_(step.values),
    "all errors count: those of visible values must not": lambda step: step.with_(step.inputs, step.hidden | True),
    "the errors of visible values count, those of hidden ones should": (
        lambda step: step.with_(step.inputs, ~step.hidden)
    ),
    "hidden and visible are swapped, everywhere": (
        lambda step: step.with_(step.values * step.hidden, ~step.hidden)
    ),
    "hidden and visible are swapped in the inputs": lambda step: step.with_(step.values * step.hidden),
}
_WRONG_LOSSES = {
    "that is a sum: divide by the number of hidden values": lambda step: step.loss * step.count,
    "that is divided by all values: divide by the number of hidden ones": (
        lambda step: step.errors.square().mean()
    ),
    "that is divided by the number of visible values: divide by that of hidden ones": (
        lambda step: step.errors.square().sum() / (~step.hidden).sum()
    ),
    "that is divided by the number of pictures: divide by the number of hidden values": (
        lambda step: step.errors.square().sum() / step.pictures
    ),
    "that is the mean of the absolute errors: square them": lambda step: step.errors.abs().sum() / step.count,
    "that is the mean of the errors: square them": lambda step: step.errors.sum() / step.count,
    "that is the square of the mean error: take the mean of the squares": (
        lambda step: (step.errors.sum() / step.count) ** 2
    ),
    "a mean for each picture, then their mean: take one mean over all hidden values": (
        lambda step: (step.errors.square().sum(1) / step.hidden.sum(1)).mean()
    ),
    "the weight is transposed: prediction = inputs @ weight": (
        lambda step: step.with_(step.inputs, weight=step.weight.T)[0]
    ),
    "that is half of the mean": lambda step: step.loss / 2,
    "that is the root of the loss": lambda step: step.loss.sqrt(),
    "that is the loss after the step": lambda step: step.with_(step.inputs, weight=step.moved)[0],
    "the sign is wrong: an error squared is not negative": lambda step: -step.loss,
}
_WRONG_GRADIENTS = {
    "the sign is wrong: this step climbs the loss": lambda step: (0, -step.gradient),
    "the 2 of the square is missing": lambda step: (0, step.gradient / 2),
    "a factor 2 is too much: the square gives one": lambda step: (0, step.gradient * 2),
    "the mean is missing: divide by the number of hidden values": lambda step: (0, step.gradient * step.count),
    "the mean and the 2 of the square are missing": lambda step: (0, step.gradient * step.count / 2),
    "it is divided by the number of all values, not of the hidden ones": (
        lambda step: (0, step.gradient * step.count / step.hidden.numel())
    ),
    "it is divided by the number of pictures, not of hidden values": (
        lambda step: (0, step.gradient * step.count / step.pictures)
    ),
    "it is divided by the number of visible values, not of hidden ones": (
        lambda step: (0, step.gradient * step.count / (~step.hidden).sum())
    ),
    "the errors are squared: the gradient has the errors themselves": (
        lambda step: (0, 2 / step.count * step.inputs.T @ step.errors.square())
    ),
    "the predictions stand in the place of the inputs": (
        lambda step: (0, 2 / step.count * (step.inputs @ step.weight).T @ step.errors)
    ),
    "the sign of the gradient is lost": lambda step: (0, step.gradient.abs()),
    "the hidden values are among the inputs of the gradient: they enter as 0": (
        lambda step: (0, 2 / step.count * step.values.T @ step.errors)
    ),
    "the gradient is transposed: which index belongs to the input?": lambda step: (0, step.gradient.T),
    "the size of the errors is missing: a larger one pulls harder": (
        lambda step: (0, 2 / step.count * step.inputs.T @ step.errors.sign())
    ),
    "the prediction stands where the error should: subtract the truth": (
        lambda step: (0, 2 / step.count * step.inputs.T @ (step.errors + step.values * step.hidden))
    ),
    "it is divided by the count of each picture: divide by that of all": (
        lambda step: (
            0,
            2 / step.pictures * step.inputs.T @ (step.errors / step.hidden.sum(1, keepdim=True).clamp(min=1)),
        )
    ),
    "the gradient of every value is the mean over the pictures: add them up": (
        lambda step: (0, step.gradient / step.pictures)
    ),
    "`lr` is missing": lambda step: (0, step.gradient / step.lr),
    "it is divided by `lr`": lambda step: (0, step.gradient / step.lr**2),
    "the weight did not move": lambda step: (0, 0),
    "the gradient is cut to the range from -1 to 1": lambda step: (0, step.gradient.clamp(-1, 1)),
}
_WRONG_WEIGHTS = {
    "the new weight is transposed": lambda step: step.moved.T,
    "that is the gradient: take a step with it": lambda step: step.gradient,
    "the step stands in the place of the weight": lambda step: -step.lr * step.gradient,
    "that is `lr` times the gradient: subtract it from the weight": lambda step: step.lr * step.gradient,
    "the weight shrank: only the gradient is multiplied by `lr`": (
        lambda step: step.lr * (step.weight - step.gradient)
    ),
}


@check(
    "Where does `torch.randint` take its numbers from, if nobody says it? Give it a generator that is made anew "
    "at each call. What must the seed of this generator depend on?",
    "`torch.Generator().manual_seed(number)` makes a generator, and `generator=` passes it on. The number must "
    "differ for every pair of `seed` and `step`. So a sum will not do: 3 + 5 is 4 + 4. Think of how a day becomes "
    "a number such as 20261124.",
)
def mask_of_step(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`mask_of_step(shape, seed, step)` is the article's mask, drawn anew for each pair of seed and step."""
    shape = (*distinct(rng, 4, 7, 19)[:1], 3, *distinct(rng, 2, 15, 19))
    seed, step = (int(torch.randint(*span, (1,), generator=rng)) for span in ((1, 9), (50, 100)))
    mask = answer(shape, seed, step)
    problem = form(mask, shape, torch.float32)
    problem = problem or first(
        (bool(((mask != 0) & (mask != 1)).any()), "expected only 0 and 1, got other numbers: toss coins"),
        (
            bool((mask == mask[:1, :1, :1, :1]).all()),
            "all values are the same: `randint` leaves out its upper end; `int` and `ceil` round one way",
        ),
    )
    yield "returns numbers 0 and 1 of the given shape", problem
    if problem:
        return
    for small in ((1, 1, 5, 7), (2, 1, 1, 1)):
        yield "returns numbers 0 and 1 of the given shape", form(answer(small, 0, 0), small, torch.float32)

    def same(one, other):
        return compare(answer(shape, *one), answer(shape, *other)) is None

    problem = first(
        (not same((seed, step), (seed, step)), "two calls gave two masks: use a generator of your own")
    )
    yield "gives the same mask when it is called again", problem
    if problem:
        return
    problem = first((same((seed, step), (seed, step + 1)), "two steps have one mask: is `step` used?"))
    yield "draws anew for every step", problem
    large = "two seeds have one mask: is `seed` used? (Of a large seed torch takes only the last 32 bits.)"
    other = first((same((seed, step), (seed + 1, step)), large))
    yield "draws anew for every seed", other
    if problem or other:
        return
    problem = _no_coins(mask)
    yield "throws a coin for each value", problem
    if problem:
        return
    masks, shared = _masks_of_pairs(answer)
    yield "gives every pair of seed and step its own", shared
    if not shared:
        yield "throws a coin for each value", _unfair(masks)


COINS = (2, 1, 8, 8)  # two pictures of this size have one mask by chance once in 2^64 times


def _pairs() -> list[tuple[int, int]]:
    """Pairs of a seed and a step, among which nearly every formula that makes one number of two collides.

    For a * seed + step, with any a below 10,000, some pair of (1, small step) and (0, multiple of 250) does; for
    seed + b * step, with any b below 100, (b, 0) and (0, 1).
    """
    pairs = [(seed, 0) for seed in range(100)]
    pairs += [(seed, step) for seed in (*range(8), 12, 40) for step in range(25)]
    pairs += [(1, step) for step in range(250)]
    pairs += [(0, step) for step in (*range(0, 10_000, 250), 1024, 2048, 4096, 8192, 9_999)]
    return list(dict.fromkeys(pairs))


def _no_coins(mask: Tensor) -> str | None:
    """Why the values of this large mask are no coins, thrown one by one."""
    neighbours = [
        (mask.narrow(axis, 1, size - 1), mask.narrow(axis, 0, size - 1)) for axis, size in enumerate(mask.shape)
    ]
    texts = (
        "all pictures have the same mask",
        "all channels have the same mask; the article draws each anew",
        "all rows of a picture have the same mask",
        "one coin is thrown for a whole row",
    )
    if same := first(*((torch.equal(*pair), text) for pair, text in zip(neighbours, texts, strict=True))):
        return same
    if not fair(mask.sum(), mask.numel(), 1 / 2):
        return f"{mask.mean():.0%} are 1, expected about half"
    agree = [((one == other).sum(), one.numel()) for one, other in neighbours]
    return next(
        (
            f"neighbours are equal in {count / total:.0%} of the places, expected half: throw each coin anew"
            for count, total in agree
            if not fair(count, total, 1 / 2)
        ),
        None,
    )


def _masks_of_pairs(answer: Answer) -> tuple[Tensor, str | None]:
    """The masks of `_pairs`, as far as no two pictures have one or opposite ones, and what is wrong if two do."""
    masks, seen = [], {}
    for pair in _pairs():
        masks.append(answer(COINS, *pair))
        for place, picture in enumerate(masks[-1]):
            known = seen.setdefault(picture.bool().numpy().tobytes(), (*pair, place))
            if known != (*pair, place):
                once, twice = (
                    "seed {} at step {} has one mask twice",
                    "seed {} at step {} and seed {} at step {} share a mask",
                )
                text = (once if known[:2] == pair else twice).format(*known[:2], *pair)
                return torch.stack(masks), text + f", of pictures {known[2]} and {place}" * (known[2] != place)
            if other := seen.get((~picture.bool()).numpy().tobytes()):
                text = "what seed {} hides at step {} is just what seed {} shows at step {}: draw it anew"
                return torch.stack(masks), text.format(*pair, *other[:2])
    return torch.stack(masks), None


def _unfair(masks: Tensor) -> str | None:
    """What is wrong with many independent masks; each value should be 1 in half of them."""
    counts = masks.flatten(1).sum(1)
    return first(
        (not fair(masks.sum(), masks.numel(), 1 / 2), f"{masks.mean():.1%} are 1, expected about half"),
        (
            bool((counts == counts[0]).all()),
            f"each mask has exactly {counts[0]:.0f} ones of {masks[0].numel()}: these are no coins",
        ),
        (not fair(masks.sum(0), len(masks), 1 / 2), "some places are 1 more often than others"),
    )


GUESSES: dict[str, Guess] = {
    "twins": Guess(
        answer="the same spot, shifted by a few pixels",
        why="crops overlap, so most have a twin among the others.",
        choices=("the same spot, shifted by a few pixels", "another part of the photograph", "another photograph"),
    ),
    "first_loss": Guess(
        answer="their sum",
        why="the mean square of a difference of unrelated numbers is the sum of their mean squares, if one is "
        "0 on average.",
        choices=("the larger one", "their mean", "their sum", "their product"),
    ),
    "half_way_down": Guess(
        answer=0.001505,
        why="half a turn of the cosine is half over, so the rate is the mean of 0.003 and 0.00001.",
        within=0.01,
    ),
    "not_zeroed": Guess(
        answer="the sum of both gradients",
        why="`backward` adds to what is there; only `zero_grad` takes it away.",
        choices=(
            "the gradient of the second batch",
            "the gradient of the first batch",
            "the sum of both gradients",
        ),
    ),
    "learned_first": Guess(
        answer="colours",
        why="the mean colour of the surroundings saves most of the squared error; edges and textures save less.",
        choices=("colours", "edges", "textures"),
    ),
    "one_decibel": Guess(
        answer=21,
        why="10 dB are a factor of 10, so 1 dB is its tenth root, 1.26, and 1 / 1.26 of the error is left.",
        within=0.1,
    ),
    "all_hidden": Guess(
        answer="the same picture three times",
        why="where nothing is visible the three inputs are equal, and a function gives equal outputs for them.",
        choices=("the same picture three times", "three pictures that differ a little", "three new pictures"),
    ),
    "after_the_cut": Guess(
        answer=0,
        why="weights, optimizer and step are restored, and each step draws from a generator of its own.",
    ),
}
