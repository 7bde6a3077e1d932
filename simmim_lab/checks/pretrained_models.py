"""Checks of lesson 10 and its exercises: weights of others, and what it takes to use them."""

import math
import re
from collections.abc import Callable, Iterator
from itertools import accumulate, permutations
from types import SimpleNamespace
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from simmim_lab import published, resizing
from simmim_lab.checks.core import Answer, Between, Verdict, check, describe, distinct, explain, first, telling
from simmim_lab.checks.guessing import Guess

Weights = dict[str, Tensor]


@check(
    "One name after the other, and for each name one rule after the other. A rule sees what the rules before it "
    "made of the name. How do you find out that a name has been given already?",
    "`for old, new in rules.items(): name = name.replace(old, new)` inside a loop over `weights.items()`. If the "
    "new name is already among the new ones, `raise ValueError(...)`.",
    solution=published.rename_keys,
)
def rename_keys(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`rename_keys(weights, rules)` gives the tensors the names that the rules make."""
    right = published.rename_keys
    cases = telling(lambda: [_named(rng) for _ in range(2)], right, RENAMINGS)
    problem = explain(answer, right, cases, RENAMINGS)
    yield "applies all rules to all names", problem
    if problem:
        return
    weights, rules = cases[0]
    one, other = (torch.rand(n, generator=rng) for n in distinct(rng, 2, 2, 6))
    gone = [({"net.tent.w": one, "bunt.net.w": other}, {"net.": ""}), ({"w.norm": one}, {"w.": "", "m": "t"})]
    gone += [({"net.w": one, "b.net": other}, {"net": ""})]
    yield "takes out what has nothing in its place", explain(answer, right, gone, GONE)
    edges = [(weights, {}), ({}, rules), ({"a.a": one}, {"a": "aa"}), ({"a+b(c)": one}, {"+b(": "[*]\\1"})]
    edges += [({"norm": one, "Norm": other}, {"norm.": "layer."}), ({"a.w": one, "b.w": one}, {"a": "c"})]
    edges += [({"index": torch.arange(len(one))}, {"index": "place"}), ({"a....b": one}, {"..": "."})]
    yield "works without rules or tensors, and for any names and numbers", explain(answer, right, edges)
    for case in (
        ({"a": one, "b": other}, {"a": "free", "b": "a", "free": "b"}),
        ({"a": one, "aa": other}, {"a": "aa"}),
    ):
        yield "lets a tensor have the old name of another", _exchanged(answer, *case)
    twins = [
        ({"a.w": one, "b.w": other}, {"a.": "c.", "b.": "c."}),
        ({"new.w": one, "old.w": other}, {"old": "new"}),
        ({"old.w": one, "new.w": other}, {"old": "new"}),
        ({"a.w": one, "b.w": one.clone()}, {"a": "x", "b": "x"}),
    ]
    for case in twins:
        yield "stops where two tensors would get the same name", _twins(answer, *case)


def _named(rng: Generator) -> tuple[Weights, dict[str, str]]:
    """Tensors, and rules of which some change what others made, or fit a name twice, or only as a pattern."""
    letters = torch.randint(97, 123, (7, 3), generator=rng).tolist()
    top, new, part, short, inner, leaf, other = ("".join(map(chr, word)) for word in letters)
    new = new[0]  # what the first rule makes is shorter than that rule
    one, two = distinct(rng, 2, 1, 11)
    names = [
        f"{top}.{one}.{part}.{two}.{part}.weight",
        f"{top}.{two}.{inner}.{leaf}",
        f"{top}_{inner}.{leaf}",
        f"{other}.{top}.{leaf}",
        f"{other}.{one}{part}.bias",
        f"{other}.{two}.{short}.gamma",
        f"{other}.scale",
        f"{other}.{inner.upper()}.Bias",
        f"{part.upper()}.{one}",
    ]
    rules = {
        f"{top}.": f"{new}.",
        part: short,
        f"{other}.scale": leaf,
        f"{short}.weight": leaf,
        inner: part,
        f"{new}.{two}": f"{new}.{one}",
        f".{one}": f"{short}{one}",
    }
    shapes = [distinct(rng, 2, 1, 4) for _ in names]
    return {n: torch.randint(999, shape, generator=rng) / 2 for n, shape in zip(names, shapes, strict=True)}, rules


def _exchanged(answer: Answer, *case: dict) -> Verdict:
    """What is wrong with an answer for which a name stays taken when its tensor has got another one."""
    try:
        answer.raw(*case)
    except ValueError:
        return f"a name is free when its tensor got another: compare with the new names\n{answer.shown(*case)}"
    return explain(answer, published.rename_keys, [case])


def _twins(answer: Answer, weights: Weights, rules: dict[str, str]) -> Verdict:
    """What is wrong with an answer that does not refuse to call two tensors alike."""
    try:
        got = answer.raw(weights, rules)
    except ValueError:
        return None
    except Exception as error:
        return f"it stopped with {type(error).__name__}: a ValueError is asked for\n{answer.shown(weights, rules)}"
    if isinstance(got, dict) and len(got) < len(weights):
        return f"{len(weights)} tensors went in and {len(got)} came out, without a word: raise a ValueError"
    return f"two tensors get the same name: expected a ValueError, got {describe(got)}"


def _by_name(rename: Callable[[str, dict[str, str]], str]) -> Callable:
    """A mistake in what becomes of a name."""
    return lambda weights, rules: {rename(name, rules): tensor for name, tensor in weights.items()}


def _in_turn(step: Callable[[str, str, str], str]) -> Callable:
    """A mistake in what a rule does to a name."""

    def rename(name: str, rules: dict[str, str]) -> str:
        for old, new in rules.items():
            name = step(name, old, new)
        return name

    return _by_name(rename)


def _last_replaced(name: str, old: str, new: str) -> str:
    return new.join(name.rsplit(old, 1))


def _chosen(choose: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> Callable:
    """The name after those rules that are chosen of the ones that fit the original name."""

    def rename(name: str, rules: dict[str, str]) -> str:
        for old, new in choose([rule for rule in rules.items() if rule[0] in name]):
            name = name.replace(old, new)
        return name

    return _by_name(rename)


def _rule_by_rule(weights: Weights, rules: dict[str, str]) -> Weights:
    """For each rule only those tensors that it renames; the others are lost."""
    renamed = published.rename_keys(weights, rules)
    return {new: tensor for (new, tensor), old in zip(renamed.items(), weights, strict=True) if new != old}


RENAMINGS: dict[str, Callable] = {
    "no name has changed": lambda weights, rules: dict(weights),
    "`old` and `new` are exchanged": _in_turn(lambda name, old, new: name.replace(new, old)),
    "only the first rule that fits a name is applied: all of them are": _chosen(lambda rules: rules[:1]),
    "only the last rule that fits a name is applied: all of them are": _chosen(lambda rules: rules[-1:]),
    "only the first of all rules is applied": lambda w, r: published.rename_keys(w, dict(list(r.items())[:1])),
    "only the last of all rules is applied: did the loop forget the name between?": (
        lambda w, r: published.rename_keys(w, dict(list(r.items())[-1:]))
    ),
    "a rule that fits only what another one made is left out": _chosen(lambda rules: rules),
    "the rules are applied in the opposite order": _by_name(
        lambda name, rules: next(iter(published.rename_keys({name: None}, dict(reversed(rules.items())))))
    ),
    "the rules are sorted first: keep their order": lambda w, r: published.rename_keys(w, dict(sorted(r.items()))),
    "the rules are applied all at once: one after the other": _by_name(
        lambda name, rules: re.sub("|".join(map(re.escape, rules)), lambda found: rules[found[0]], name)
    ),
    "the rules are applied again to what they made: each once": _by_name(
        lambda name, rules: next(iter(published.rename_keys(published.rename_keys({name: None}, rules), rules)))
    ),
    "the rules are sorted by their length: keep their order": (
        lambda w, r: published.rename_keys(w, dict(sorted(r.items(), key=lambda rule: -len(rule[0]))))
    ),
    "`old` is replaced once in a name: everywhere in it": _in_turn(lambda n, old, new: n.replace(old, new, 1)),
    "only the last `old` in a name is replaced": _in_turn(_last_replaced),
    "`old` is replaced at the start of a name alone": _in_turn(
        lambda n, old, new: new + n[len(old) :] if n.startswith(old) else n
    ),
    "`old` is replaced at the end of a name alone": _in_turn(
        lambda n, old, new: n.removesuffix(old) + new if n.endswith(old) else n
    ),
    "only names that are `old` as a whole are replaced: it may be a part": _in_turn(
        lambda n, old, new: new if n == old else n
    ),
    "the whole name becomes `new`: only `old` in it should": _in_turn(lambda n, old, new: new if old in n else n),
    "`old` must be a whole part between two dots here: it may be any text": _in_turn(
        lambda n, old, new: ".".join(new if part == old else part for part in n.split("."))
    ),
    "a rule is taken for a pattern, in which a dot is any sign: use `str.replace`": _in_turn(
        lambda n, old, new: re.sub(old, new, n)
    ),
    "capital letters are taken for small ones": _in_turn(
        lambda n, old, new: re.sub(re.escape(old), new, n, flags=re.IGNORECASE)
    ),
    "all letters became small ones": _in_turn(lambda n, old, new: n.lower().replace(old, new)),
    "`old` is taken out, but `new` does not come in": _in_turn(lambda n, old, new: n.replace(old, "")),
    "a name that no rule fits is lost: keep it as it is": _rule_by_rule,
    "the old names are still there, beside the new ones": (lambda w, r: {**w, **published.rename_keys(w, r)}),
    "these are the new names without their tensors": lambda w, r: list(published.rename_keys(w, r)),
    "that is a table of old names and new ones: give the tensors": (
        lambda w, r: dict(zip(w, published.rename_keys(w, r), strict=True))
    ),
    "these are pairs of name and tensor: make a dict of them": (
        lambda w, r: list(published.rename_keys(w, r).items())
    ),
    "the tensors were changed, too": lambda w, r: {n: t.T for n, t in published.rename_keys(w, r).items()},
    "the names are sorted, so the tensors have got those of others": (
        lambda w, r: dict(zip(sorted(published.rename_keys(w, r)), w.values(), strict=True))
    ),
}

GONE: dict[str, Callable] = {
    "a rule with nothing as `new` is passed over: it takes `old` out": _in_turn(
        lambda n, old, new: n.replace(old, new) if new else n
    ),
    "`lstrip` takes off single letters: take out `old` as a whole": _in_turn(
        lambda n, old, new: n.replace(old, new) if new else n.lstrip(old)
    ),
    "`strip` takes off single letters: take out `old` as a whole": _in_turn(
        lambda n, old, new: n.replace(old, new) if new else n.strip(old)
    ),
    "`old` is taken off at the start of a name alone: everywhere in it": _in_turn(
        lambda n, old, new: n.replace(old, new) if new else n.removeprefix(old)
    ),
    "dots at the ends of a name are taken off, too: only `old` goes": _in_turn(
        lambda n, old, new: n.replace(old, new).strip(".")
    ),
}


@check(
    "One linear map has as many rows as the three together: which rows come first? What does a map without a bias "
    "add, and how many numbers are that?",
    "`torch.cat(weights)` puts rows below each other. For a bias that is None take "
    "`torch.zeros(len(weights[0]))`; then `torch.cat` of the three.",
    solution=published.pack_qkv,
)
def pack_qkv(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`pack_qkv(weights, biases)` makes one linear map of three."""
    right = published.pack_qkv
    cases = [_three_maps(rng, 1), _three_maps(rng, None)]
    problem = explain(answer, right, cases, PACKINGS)
    yield "puts query, key and value below each other", problem
    if problem:
        return
    gaps = [_three_maps(rng, gap) for gap in (0, 2)]
    weights, biases = _three_maps(rng, 0)
    gaps += [(weights, [None, None, biases[2]]), (weights, [None, biases[1], None]), (weights, [None] * 3)]
    problem = explain(answer, right, gaps, PACKINGS | GAPS)
    yield "takes zeros for any bias that is None, also for all", problem
    edges = [
        ([w[:1] for w in weights], [b if b is None else b[:1] for b in biases]),
        ([w[:, :1] for w in weights], biases),
        ([w.T for w in weights], [torch.ones(w.shape[1]) for w in weights]),
    ]
    yield "works for one row, one column, and more columns than rows or fewer", explain(answer, right, edges)


def _three_maps(rng: Generator, gap: int | None) -> tuple[list[Tensor], list[Tensor | None]]:
    """Weights and biases of query, key and value; the one at the place `gap` has none."""
    out, dim = distinct(rng, 2, 2, 7)
    weights, biases = torch.randn(3, out, dim, generator=rng), torch.randn(3, out, generator=rng)
    return list(weights), [None if place == gap else bias for place, bias in enumerate(biases)]


def _filled(weights: list[Tensor], biases: list[Tensor | None]) -> list[Tensor]:
    """The biases, with zeros for None."""
    return [weights[0].new_zeros(len(weights[0])) if bias is None else bias for bias in biases]


def _packed(
    weight: Callable[[list[Tensor]], Any] = torch.cat,
    bias: Callable[[list[Tensor]], Any] = torch.cat,
    filled: Callable[[list[Tensor], list[Tensor | None]], list[Tensor]] = _filled,
) -> Callable:
    """A mistake in what becomes of the weights, of the biases, or of None."""
    return lambda weights, biases: (weight(weights), bias(filled(weights, biases)))


def _zeros_last(weights: list[Tensor], biases: list[Tensor | None]) -> list[Tensor]:
    there = [bias for bias in biases if bias is not None]
    return there + [torch.zeros(len(weights[0]))] * (3 - len(there))


def _in_order(*order: int) -> Callable:
    def arrange(parts: list[Tensor]) -> Tensor:
        return torch.cat([parts[place] for place in order])

    return _packed(arrange, arrange)


PARTS = ("query", "key", "value")
PACKINGS: dict[str, Callable] = (
    {
        f"the order here is {', '.join(PARTS[place] for place in order)}: it is {', '.join(PARTS)}": _in_order(
            *order
        )
        for order in list(permutations(range(3)))[1:]
    }
    | {
        "the weights are right, but in the biases " + text: _packed(bias=bias)
        for text, bias in {
            "key and value are exchanged": lambda b: torch.cat([b[0], b[2], b[1]]),
            "query and key are exchanged": lambda b: torch.cat([b[1], b[0], b[2]]),
            "query and value are exchanged": lambda b: torch.cat([b[2], b[1], b[0]]),
            "the numbers take turns": lambda b: torch.stack(b, 1).flatten(),
        }.items()
    }
    | {
        "the maps stand beside each other: put their rows below each other": _packed(lambda w: torch.cat(w, 1)),
        "the three are stacked on an axis of their own: put their rows below each other": _packed(
            torch.stack, torch.stack
        ),
        "the weights are stacked on an axis of their own: put their rows below each other": _packed(torch.stack),
        "the rows of the weights take turns, those of the biases do not: no rows should": _packed(
            lambda w: torch.stack(w, 1).flatten(0, 1)
        ),
        "the rows take turns, one of each: first come all rows of query": _packed(
            lambda w: torch.stack(w, 1).flatten(0, 1), lambda b: torch.stack(b, 1).flatten()
        ),
        "the weights are transposed: a row for each output, as `nn.Linear` has it": _packed(
            lambda w: torch.cat(w).T
        ),
        "each weight is transposed: a row for each output, as `nn.Linear` has it": _packed(
            lambda w: torch.cat([part.T for part in w])
        ),
        "a bias that is None is left out, so the others move up: zeros stand in its place": _packed(
            filled=lambda w, b: [bias for bias in b if bias is not None]
        ),
        "the zeros of a missing bias stand at the end: they belong in its place": _packed(filled=_zeros_last),
        "a missing bias adds nothing: zeros, not ones": _packed(
            filled=lambda w, b: [torch.ones(len(w[0])) if bias is None else bias for bias in b]
        ),
        "a missing bias is a copy of that of query: it adds nothing": _packed(
            filled=lambda w, b: [b[0] if bias is None else bias for bias in b]
        ),
        "a missing bias has a zero for each column: it has one for each row": _packed(
            filled=lambda w, b: [torch.zeros(w[0].shape[1]) if bias is None else bias for bias in b]
        ),
        "a missing bias became a single zero: it has one for each row": _packed(
            filled=lambda w, b: [torch.zeros(1) if bias is None else bias for bias in b]
        ),
        "if one bias is missing, all became zeros: the others stay": _packed(
            filled=lambda w, b: b if None not in b else [torch.zeros(len(w[0]))] * 3
        ),
        "if one bias is missing, the result has none: the others stay": (
            lambda w, b: (torch.cat(w), None if None in b else torch.cat(b))
        ),
        "the bias of key is never used: it is only zero where it is None": _packed(
            filled=lambda w, b: _filled(w, [b[0], None, b[2]])
        ),
        "the biases are never used": _packed(filled=lambda w, b: _filled(w, [None] * 3)),
        "the three maps are added: they are put below each other": _packed(sum, sum),
        "the weights are those of query, three times": _packed(lambda w: torch.cat([w[0]] * 3)),
        "the biases are a table with a row for each part: make one vector of it": _packed(bias=torch.stack),
        "first the weight, then the bias: the other way round": (lambda w, b: published.pack_qkv(w, b)[::-1]),
        "the bias is missing: return the weight and the bias": lambda w, b: torch.cat(w),
        "the bias is one more column of the weight: return them apart": (
            lambda w, b: torch.cat([torch.cat(w), torch.cat(_filled(w, b))[:, None]], 1)
        ),
    }
)

GAPS: dict[str, Callable] = {
    "if all three biases are missing, the result has none: it has zeros": (
        lambda w, b: (torch.cat(w), torch.cat(_filled(w, b)) if any(bias is not None for bias in b) else None)
    ),
}


@check(
    "`torch.nn.functional.interpolate` works on a batch of maps, (batch, channels, height, width). What is a "
    "channel here? How do you bring `positions` into this form, and back?",
    "`positions.permute(2, 0, 1)[None]` is (1, dim, rows, cols). Then `interpolate(..., size=grid, "
    'mode="bicubic")`, and `[0].permute(1, 2, 0)`.',
    solution=resizing.resize_positions,
)
def resize_positions(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`resize_positions(positions, grid)` interpolates a map of vectors to another grid."""
    right = resizing.resize_positions
    cases = telling(lambda: [_map_of_vectors(rng, 1), _map_of_vectors(rng, -1)], right, RESIZINGS)
    problem = explain(answer, right, cases, RESIZINGS)
    yield "interpolates to more patches, and to fewer", problem
    if problem:
        return
    (positions, _), *_ = cases
    rows, cols, _ = positions.shape
    same = [(positions, (rows, cols)), (positions[:1], (1, cols)), (10 * positions, (rows, cols))]
    same += [(positions, (rows, cols + 2)), (positions, (2 * rows, cols)), (positions, (cols, rows))]
    yield "changes nothing for the same grid, and only there", explain(answer, right, same, SAME_GRIDS)
    edges = [
        (positions.repeat(3, 3, 1)[:11, :13], (15, 15)),
        (positions, (1, 1)),
        (positions[:1, :1], (3, 2)),
        (positions[:, :, :1], (rows + 1, cols + 2)),
        (positions + 100, (rows + 2, cols - 1)),
        (-positions, (rows + 1, cols + 3)),
    ]
    yield (
        "works for one patch, one number, large and negative values, and sides changed apart",
        explain(answer, right, edges, RESIZED_BY_FACTORS),
    )


def _map_of_vectors(rng: Generator, sign: int) -> tuple[Tensor, tuple[int, int]]:
    """Positions, and a grid that is larger (`sign` 1) or smaller (-1)."""
    rows, cols, dim = distinct(rng, 3, 5, 9)
    more, wider = distinct(rng, 2, 1, 3)
    return torch.randn(rows, cols, dim, generator=rng), (rows + sign * more, cols + sign * wider)


def _resized(mode: str = "bicubic", **options: Any) -> Callable:
    """The interpolation with other options."""
    return lambda positions, grid: interpolate(positions.permute(2, 0, 1)[None], grid, mode=mode, **options)[
        0
    ].permute(1, 2, 0)


def _maps(of: Callable[[Tensor], Tensor]) -> Callable:
    """What is made of the maps (dim, rows, cols) of the right result."""
    return lambda positions, grid: of(resizing.resize_positions(positions, grid).permute(2, 0, 1))


def _along_one(axis: int) -> Callable:
    """Bicubic along one axis, and the nearest value along the other."""

    def resize(positions: Tensor, grid: tuple[int, int]) -> Tensor:
        sides = list(positions.shape[:2])
        sides[axis] = grid[axis]
        return _resized("nearest-exact")(resizing.resize_positions(positions, tuple(sides)), grid)

    return resize


def _by_factors(more: float = 0.0) -> Callable:
    """The interpolation by factors, with so much added to the sizes that they lead to."""

    def resize(positions: Tensor, grid: tuple[int, int]) -> Tensor:
        factors = tuple((new + more) / old for new, old in zip(grid, positions.shape, strict=False))
        maps = interpolate(positions.permute(2, 0, 1)[None], scale_factor=factors, mode="bicubic")
        return maps[0].permute(1, 2, 0)

    return resize


def _unchanged(if_same: Callable[[tuple, tuple], bool]) -> Callable:
    """Nothing changes where the two grids are said to be the same."""
    return lambda p, g: p if if_same(tuple(p.shape[:2]), g) else resizing.resize_positions(p, g)


def _cut_or_filled(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    new = positions.new_zeros(*grid, positions.shape[2])
    rows, cols = (min(sides) for sides in zip(positions.shape, grid, strict=False))
    new[:rows, :cols] = positions[:rows, :cols]
    return new


RESIZINGS: dict[str, Callable] = {
    "that is bilinear: take bicubic": _resized("bilinear", align_corners=False),
    "that is the nearest patch: take bicubic": _resized("nearest"),
    "that is the patch nearest to the centre: take bicubic": _resized("nearest-exact"),
    "that is the mean over areas: take bicubic": _resized("area"),
    "the outermost patches are taken for the corners: `align_corners=False`": _resized(align_corners=True),
    "it is smoothed for a smaller grid (`antialias=True`): leave that out": _resized(antialias=True),
    "that is bilinear, and the outermost patches are taken for the corners": _resized(
        "bilinear", align_corners=True
    ),
    "the grid is (rows, cols), not (cols, rows)": lambda p, g: resizing.resize_positions(p, g[::-1]),
    "rows and columns of the result are exchanged": _maps(lambda maps: maps.permute(2, 1, 0)),
    "rows and columns are exchanged before: which axis has the rows?": (
        lambda p, g: resizing.resize_positions(p.transpose(0, 1), g)
    ),
    "the axes of the result are (dim, rows, cols): bring dim back to the end": _maps(lambda maps: maps),
    "the way back is `permute(1, 2, 0)`: `permute(2, 0, 1)` again is another": _maps(
        lambda maps: maps.permute(2, 0, 1)
    ),
    "rows count as channels: bring dim to the front first": (
        lambda p, g: interpolate(p[None], g, mode="bicubic")[0]
    ),
    "the result has one more axis, of the batch: take `[0]`": _maps(lambda maps: maps.permute(1, 2, 0)[None]),
    "the result is a batch of maps: take `[0]`, and bring dim back to the end": _maps(lambda maps: maps[None]),
    "the grid became one axis: keep rows and columns": _maps(lambda maps: maps.flatten(1).T),
    "`view` or `reshape` does not exchange axes: `permute` does": (
        lambda p, g: interpolate(p.reshape(1, p.shape[2], *p.shape[:2]), g, mode="bicubic")[0].permute(1, 2, 0)
    ),
    "`view` or `reshape` does not exchange axes: dim must come back by `permute`": (
        lambda p, g: _maps(lambda maps: maps.reshape(*g, -1))(p, g)
    ),
    "`view` or `reshape` does not exchange axes, neither before nor after: `permute` does": (
        lambda p, g: interpolate(p.reshape(1, p.shape[2], *p.shape[:2]), g, mode="bicubic").reshape(*g, -1)
    ),
    "0.1 is added to the new sides, as in the code of DINO: that moves all places": _by_factors(0.1),
    "the new grid became a square of its rows: it has (rows, cols)": (
        lambda p, g: resizing.resize_positions(p, (g[0], g[0]))
    ),
    "the new grid became a square of its columns: it has (rows, cols)": (
        lambda p, g: resizing.resize_positions(p, (g[1], g[1]))
    ),
    "where the grid shrinks it is smoothed (`antialias=True`): leave that out": lambda p, g: _resized(
        antialias=g[0] < p.shape[0]
    )(p, g),
    "rows alone are interpolated bicubically": _along_one(0),
    "columns alone are interpolated bicubically": _along_one(1),
    "the vectors were made to the length 1": lambda p, g: torch.nn.functional.normalize(
        resizing.resize_positions(p, g), dim=2
    ),
    "the vectors were scaled with the number of patches": (
        lambda p, g: resizing.resize_positions(p, g) * (g[0] * g[1] / p.shape[0] / p.shape[1])
    ),
    "the mean was taken off": lambda p, g: resizing.resize_positions(p - p.mean((0, 1)), g),
    "the vectors were cut off at 0 and 1": lambda p, g: resizing.resize_positions(p, g).clamp(0, 1),
    "the vectors were cut off at -1 and 1": lambda p, g: resizing.resize_positions(p, g).clamp(-1, 1),
    "the vectors were cut off at the least and the largest old value: leave them": (
        lambda p, g: resizing.resize_positions(p, g).clamp(p.min(), p.max())
    ),
    "a smaller grid is cut out of the old one: interpolate": (
        lambda p, g: p[: g[0], : g[1]] if g[0] < p.shape[0] else resizing.resize_positions(p, g)
    ),
    "the old grid is cut, or filled with zeros: interpolate": _cut_or_filled,
    "the old grid is repeated like tiles: interpolate": (
        lambda p, g: p[torch.arange(g[0]) % p.shape[0]][:, torch.arange(g[1]) % p.shape[1]]
    ),
    "nothing has changed: the grid is to be another": lambda p, g: p.clone(),
}

SAME_GRIDS: dict[str, Callable] = {
    "as many rows are not yet the same grid": _unchanged(lambda old, new: old[0] == new[0]),
    "as many columns are not yet the same grid": _unchanged(lambda old, new: old[1] == new[1]),
    "as many rows, or as many columns, are not yet the same grid": _unchanged(
        lambda old, new: old[0] == new[0] or old[1] == new[1]
    ),
    "as many patches are not yet the same grid": _unchanged(lambda old, new: math.prod(old) == math.prod(new)),
    "as many patches are not yet the same grid: only their order changed": (
        lambda p, g: (
            p.reshape(*g, -1) if math.prod(p.shape[:2]) == math.prod(g) else resizing.resize_positions(p, g)
        )
    ),
}

RESIZED_BY_FACTORS: dict[str, Callable] = {
    "a factor is rounded, and with it the size that it leads to: give `size`": _by_factors(),
}


@check(
    "A grey picture, seen as a colour picture, has the same value in its three channels. Write down what the "
    "embedding makes of one pixel: three products and a sum. Which single weight gives the same?",
    "The weights of the three channels are added: `weight.sum(dim=1, keepdim=True)`. With `keepdim` the axis of "
    "the channels stays, with the length 1.",
)
def grey_embedding(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`grey_embedding(weight)` makes a patch embedding for colour one for grey pictures."""
    right = _grey
    cases = telling(lambda: [(_embedding(rng)[0],) for _ in range(2)], right, GREYS)
    problem = explain(answer, right, cases, GREYS)
    yield "gives a grey picture the tokens that it has in colour", problem
    if problem:
        return
    (weight,), *_ = cases
    opposite = torch.stack([weight[:, 0], -weight[:, 0], 0 * weight[:, 0]], 1)
    edges = [(weight[:1],), (weight[:, :, :1, :1],), (torch.randn(3, 3, 3, 3, generator=rng),)]
    edges += [(opposite,), (1000 * weight,), (-weight.abs(),)]
    yield "works for one number, one pixel, 3 x 3 pixels, and weights that cancel", explain(answer, right, edges)


def _grey(weight: Tensor) -> Tensor:
    return weight.sum(1, keepdim=True)


def _embedding(rng: Generator) -> tuple[Tensor, Tensor]:
    """Weight and bias of a patch embedding, in which no two sizes are equal."""
    dim, patch = distinct(rng, 2, 4, 8)
    return torch.randn(dim, 3, patch, patch, generator=rng) + 0.3, torch.randn(dim, generator=rng)


def _of_colours(*shares: float) -> Callable[[Tensor], Tensor]:
    """The three channels with these weights."""
    return lambda weight: (weight * torch.tensor(shares).view(3, 1, 1)).sum(1, keepdim=True)


GREYS: dict[str, Callable[[Tensor], Any]] = {
    "these are means, so the tokens are three times too small: add the channels": (
        lambda w: w.mean(1, keepdim=True)
    ),
    "these are the shares of the colours in brightness: all three channels are grey here": (
        _of_colours(0.299, 0.587, 0.114)
    ),
    "these are three times the shares of the colours in brightness: add the channels": (
        _of_colours(0.897, 1.761, 0.342)
    ),
    "these are the shares of the colours in brightness (0.7152 for green): all are grey": (
        _of_colours(0.2126, 0.7152, 0.0722)
    ),
    "that is the largest of the three: add them": lambda w: w.amax(1, keepdim=True),
    "that is the smallest of the three: add them": lambda w: w.amin(1, keepdim=True),
    "that is the one in the middle of the three: add them": lambda w: w.median(1, keepdim=True).values,
    "the three are multiplied: add them": lambda w: w.prod(1, keepdim=True),
    "that is the root of the sum of squares: add them": lambda w: w.norm(dim=1, keepdim=True),
    "the signs are lost: weights may cancel each other": lambda w: w.abs().sum(1, keepdim=True),
    "the sum is divided by the root of 3, which keeps the spread of weights, not tokens": (
        lambda w: w.sum(1, keepdim=True) / 3**0.5
    ),
    "the sum is three times too large": lambda w: 3 * w.sum(1, keepdim=True),
    "half of the sum is returned: three channels are added, not two averaged": lambda w: _grey(w) / 2,
    "negative weights became 0: the sum stays as it is": lambda w: _grey(w).clamp(min=0),
    "the patch is turned by half a turn": lambda w: _grey(w).flip(2, 3),
    "`reshape` does not exchange axes: the channels are axis 1, not axis 0": (
        lambda w: w.reshape(3, len(w), 1, *w.shape[2:]).sum(0)
    ),
    "`reshape` does not exchange axes: the channels are axis 1": (
        lambda w: w.reshape(len(w), *w.shape[2:], 3).sum(3)[:, None]
    ),
    "the axis of the channels is gone: keep it, with the length 1": lambda w: w.sum(1),
    "the numbers of a token are added: add the channels, axis 1": lambda w: w.sum(0, keepdim=True),
    "the numbers of a token are added: add the channels, axis 1, not axis 0": lambda w: w.sum(0),
    "the rows of a patch are added: add the channels, axis 1": lambda w: w.sum(2, keepdim=True),
    "the columns of a patch are added: add the channels, axis 1": lambda w: w.sum(3, keepdim=True),
    "all pixels of a patch are added: only the channels": lambda w: w.sum((1, 2, 3), keepdim=True),
    "there are still three channels: a grey picture has one": lambda w: _grey(w).expand_as(w),
    "there are still three channels, each with a third": lambda w: _grey(w).expand_as(w) / 3,
    "the first two axes are exchanged": lambda w: _grey(w).transpose(0, 1),
    "rows and columns of the patch are exchanged": lambda w: _grey(w).mT,
}
for place, colour in enumerate(("red", "green", "blue")):
    alone = [float(channel == place) for channel in range(3)]
    GREYS |= {
        f"only {colour} is used: a grey picture has all three": _of_colours(*alone),
        f"{colour} is left out: a grey picture has all three": _of_colours(*[1 - share for share in alone]),
        f"that is three times {colour}: the channels have weights of their own": (
            _of_colours(*[3 * share for share in alone])
        ),
    }


@check(
    "Which pairs of tensors belong together? What must hold before two tensors can be subtracted, without PyTorch "
    "making them fit? And is `NaN > worst` True?",
    "First compare the keys, `wanted.keys() != got.keys()`. Then for each name: is `shape` the same, and is all "
    "of the difference finite? Subtract in 64 bits: `wanted[name].double() - got[name].double()`.",
)
def largest_difference(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`largest_difference(wanted, got)` is how far two sets of tensors are apart, infinity if they do not fit."""
    right = _largest_difference
    cases = telling(lambda: [_two_sets(rng, of) for of in (torch.neg, torch.abs, _mixed)], right, DIFFERENCES)
    problem = explain(answer, right, cases, DIFFERENCES)
    yield "is the largest absolute difference", problem
    if problem:
        return
    close = [
        (wanted, {name: 1.000002 * value for name, value in got.items()}) for _, got in cases for wanted in [got]
    ]
    yield "sees small differences, too", explain(answer, right, close, CLOSE, tolerance=1e-9)
    wanted, got = cases[0]
    name = list(wanted)[1]
    fewer = {key: value for key, value in got.items() if key != name}
    missing = [(wanted, fewer), ({key: wanted[key] for key in fewer}, got), (wanted, fewer | {"other": got[name]})]
    missing += [(wanted, {}), ({}, got)]
    problem = _not_a_number(answer, missing) or explain(answer, right, missing, MISSING)
    yield "is infinite if a name is missing on either side", problem
    for shapes in FIT_BY_REPEATING, FIT_NOT_AT_ALL:
        misfits = [
            (wanted | {name: torch.rand(one, generator=rng)}, got | {name: 3 + torch.rand(other, generator=rng)})
            for one, other in shapes
        ]
        problem = explain(answer, right, misfits, MISFITS)
        yield "is infinite if two shapes differ", problem
        if problem:
            break
    nan, infinite = (
        [_with_odd(wanted, got, key, *pair) for pair in pairs for key in list(wanted)[::2]]
        for pairs in (NAN, INFINITE)
    )
    problem = _not_a_number(answer, nan) or explain(answer, right, nan + infinite, NOT_FINITE)
    yield "is infinite if a value is not finite", problem
    for dtype, (text, pairs) in KINDS.items():
        kinds = [tuple({"n": torch.tensor([n, 1], dtype=dtype)} for n in pair) for pair in pairs]
        problem = explain(answer, right, kinds, {text: _over_tensors(_in_its_kind)} | OTHER_KINDS)
        yield "subtracts numbers of any kind", problem
    edges = [({}, {}), (wanted, wanted), (got, got)]
    edges += [({"n": torch.tensor(1.5)}, {"n": torch.tensor(-2.0)}), ({"n": torch.zeros(2)}, {"n": torch.ones(2)})]
    yield "works for equal tensors, for none, and for single numbers", explain(answer, right, edges)


FIT_BY_REPEATING = [((3, 4), (3, 1)), ((5,), ()), ((1, 4), (3, 4)), ((1,), ()), ((6, 1, 1), (1, 2, 3))]
FIT_NOT_AT_ALL = [((2, 3), (3, 2)), ((6,), (2, 3))]
NAN = [
    (math.nan, 0.0),
    (0.0, math.nan),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
]  # the difference is not a number
INFINITE = [(math.inf, 0.0), (0.0, -math.inf)]


def _largest_difference(wanted: Weights, got: Weights) -> float:
    if wanted.keys() != got.keys() or any(wanted[name].shape != got[name].shape for name in wanted):
        return math.inf
    return max((_apart(wanted[name], got[name]) for name in wanted), default=0.0)


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference between two tensors of one shape."""
    difference = (one.double() - other.double()).abs().flatten()
    return max(difference.nan_to_num(math.inf, math.inf).tolist(), default=0.0)


def _two_sets(rng: Generator, sign: Callable[[Tensor], Tensor]) -> tuple[Weights, Weights]:
    """Tensors of one shape, and the same ones in another order, plus `sign` of small numbers."""
    count, *shape = distinct(rng, 3, 4, 6)
    names = [f"layer{place}.{'weight' if place % 2 else 'bias'}" for place in range(count + 2)]
    wanted = {name: torch.randn(shape, generator=rng) for name in names}
    added = {name: sign(0.02 + 0.08 * torch.rand(shape, generator=rng)) for name in names}
    worst, second = added[names[2]], added[names[4]]  # both biases, and neither the first nor the last
    worst[1, 1] += 0.2 * worst[1, 1].sign()
    second[1, 1] += 0.1 * second[1, 1].sign()
    wanted[names[2]][1, 1] = -worst[1, 1] / 3  # so that its sign changes
    return wanted, {name: wanted[name] + added[name] for name in names[2:] + names[:2]}


def _mixed(numbers: Tensor) -> Tensor:
    """The numbers, of which every second one gets a minus."""
    return numbers * (-1) ** torch.arange(numbers.numel()).view_as(numbers)


def _with_odd(wanted: Weights, got: Weights, name: str, one: float, other: float) -> tuple[Weights, Weights]:
    """The two sets, with a value of its own in the tensor of this name."""

    def put(weights: Weights, value: float) -> Weights:
        changed = weights[name].clone()
        changed[0, 0] = value
        return weights | {name: changed}

    return put(wanted, one), put(got, other)


def _not_a_number(answer: Answer, cases: list[tuple]) -> Verdict:
    """What is wrong with an answer that is NaN in these cases, or in some of them."""
    odd = [
        isinstance(got, Tensor | float) and bool(torch.as_tensor(got).isnan().any())
        for got in (answer(*case) for case in cases)
    ]
    return first(
        (all(odd), "the result is NaN, and `NaN > limit` is False: return infinity"),
        (any(odd), "sometimes the result is NaN: what `max` of Python makes of a NaN depends on the order"),
    )


def _over_tensors(
    of: Callable[[Tensor, Tensor], Any], over: Callable[[list], Any] = max, names: Callable = lambda w, g: list(w)
) -> Callable:
    """A mistake in what is made of two tensors, of all these numbers, or in which names count."""
    return lambda wanted, got: over([float(of(wanted[name], got[name])) for name in names(wanted, got)])


def _plain(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference as PyTorch gives it: shapes are made to fit, and NaN stays."""
    return (one - other).abs().max()


def _in_both(wanted: Weights, got: Weights) -> list[str]:
    return [name for name in wanted if name in got]


def _filled_up(weights: Weights, others: Weights) -> Weights:
    """The tensors, and zeros for those that only the others have."""
    return {**{name: torch.zeros_like(other) for name, other in others.items()}, **weights}


def _unless(misfit: Callable[[Weights, Weights], bool], names: Callable = _in_both) -> Callable:
    """Infinity where `misfit` sees something, else the largest difference over these names."""
    return lambda w, g: math.inf if misfit(w, g) else _over_tensors(_apart, names=names)(w, g)


DIFFERENCES: dict[str, Callable] = {
    "that is infinity, though names and shapes fit: does the order of the names count?": lambda w, g: math.inf,
    "real numbers are cut off to whole ones before they are subtracted": _over_tensors(
        lambda a, b: (a.int() - b.int()).abs().max()
    ),
    "the sign counts, so where `got` is larger it is 0: take the absolute value": _over_tensors(
        lambda a, b: (a - b).max(), lambda all: max(0.0, *all)
    ),
    "the sign counts, so where `got` is smaller it is 0: take the absolute value": _over_tensors(
        lambda a, b: (b - a).max(), lambda all: max(0.0, *all)
    ),
    "that is the mean of the squares of a tensor: take its largest difference": _over_tensors(
        lambda a, b: (a - b).square().mean()
    ),
    "the differences of a tensor are added: take the largest": _over_tensors(lambda a, b: (a - b).abs().sum()),
    "all differences are added: take the largest": _over_tensors(lambda a, b: (a - b).abs().sum(), sum),
    "the sign counts, so where `got` is larger nothing is seen: take the absolute value": _over_tensors(
        lambda a, b: (a - b).max()
    ),
    "the sign counts, so where `got` is smaller nothing is seen: take the absolute value": _over_tensors(
        lambda a, b: (b - a).max()
    ),
    "the absolute value is taken of the largest difference: take it of each, first": _over_tensors(
        lambda a, b: (a - b).max().abs()
    ),
    "absolute values are subtracted, so a wrong sign is not seen: subtract first": _over_tensors(
        lambda a, b: (a.abs() - b.abs()).abs().max()
    ),
    "that is the mean difference of a tensor: one wrong value is lost in it": _over_tensors(
        lambda a, b: (a - b).abs().mean()
    ),
    "that is the mean over the tensors: take the largest": _over_tensors(_plain, lambda all: sum(all) / len(all)),
    "that is the mean over all values: take the largest": _over_tensors(
        lambda a, b: (a - b).abs().mean(), lambda all: sum(all) / len(all)
    ),
    "these are added over the tensors: take the largest": _over_tensors(_plain, sum),
    "that is the smallest difference: take the largest": _over_tensors(lambda a, b: (a - b).abs().min(), min),
    "that is the tensor that fits best: take the worst": _over_tensors(_plain, min),
    "that is the squared difference": _over_tensors(lambda a, b: (a - b).square().max()),
    "that is the root mean square of a tensor: take its largest difference": _over_tensors(
        lambda a, b: (a - b).square().mean().sqrt()
    ),
    "that is the distance of two tensors as vectors: take the largest difference": _over_tensors(
        lambda a, b: (a - b).norm()
    ),
    "the lengths of the tensors are subtracted: subtract each value": _over_tensors(
        lambda a, b: (a.norm() - b.norm()).abs()
    ),
    "the means of the tensors are subtracted: subtract each value": _over_tensors(
        lambda a, b: (a.mean() - b.mean()).abs()
    ),
    "the largest values are subtracted: subtract each value": _over_tensors(
        lambda a, b: (a.max() - b.max()).abs()
    ),
    "the difference is divided by the wanted value: take it as it is": _over_tensors(
        lambda a, b: ((a - b) / a).abs().max()
    ),
    "the difference is divided by the largest wanted value: take it as it is": _over_tensors(
        lambda a, b: _plain(a, b) / a.abs().max()
    ),
    "only the first tensor is compared": _over_tensors(_plain, names=lambda w, g: list(w)[:1]),
    "only the last tensor is compared: does the loop forget what it saw?": _over_tensors(
        _plain, names=lambda w, g: list(w)[-1:]
    ),
    "only the last tensor of `got` is compared: does the loop forget what it saw?": _over_tensors(
        _plain, names=lambda w, g: list(g)[-1:]
    ),
    "only the weights are compared, not the biases": _over_tensors(
        _plain, names=lambda w, g: [name for name in w if "weight" in name]
    ),
    "the tensors are paired as they stand in the two dicts: pair them by name": (
        lambda w, g: max(float(_plain(a, b)) for a, b in zip(w.values(), g.values(), strict=False))
    ),
    "that is only whether they are close: return the difference": (
        lambda w, g: all(_apart(w[name], g[name]) < 1e-5 for name in w)
    ),
    "that is the name of the tensor that differs most: return how much": (
        lambda w, g: max(w, key=lambda name: _apart(w[name], g[name]))
    ),
}

CLOSE: dict[str, Callable] = {
    "differences that are small count as none: return them as they are": lambda w, g: 0.0,
    "that is only whether they are close: return the difference": lambda w, g: True,
}

MISSING: dict[str, Callable] = {
    "the names are sorted, and then only counted: compare them": (
        lambda w, g: (
            math.inf
            if len(w) != len(g)
            else max(
                [_apart(w[one], g[other]) for one, other in zip(sorted(w), sorted(g), strict=True)], default=0.0
            )
        )
    ),
    "only names that both have are compared, and the others passed over": _unless(lambda w, g: not _in_both(w, g)),
    "a name that only `got` has is passed over": _unless(lambda w, g: bool(w.keys() - g.keys()) or not w),
    "a name that only `wanted` has is passed over": _unless(lambda w, g: bool(g.keys() - w.keys()) or not g),
    "only names that both have are compared: with none in common that is 0": (
        lambda w, g: max([_apart(w[name], g[name]) for name in _in_both(w, g)], default=0.0)
    ),
    "a name that only `got` has is passed over, as if nothing were wanted": (
        lambda w, g: math.inf if w.keys() - g.keys() else max([_apart(w[n], g[n]) for n in w], default=0.0)
    ),
    "a name that only `wanted` has is passed over, as if nothing had come": (
        lambda w, g: math.inf if g.keys() - w.keys() else max([_apart(w[n], g[n]) for n in g], default=0.0)
    ),
    "how many names there are is compared, not which": (
        lambda w, g: math.inf if len(w) != len(g) else max(_apart(w[name], g[name]) for name in _in_both(w, g))
    ),
    "a missing tensor counts as zeros: it is infinitely far off": (
        lambda w, g: _over_tensors(_apart)(_filled_up(w, g), _filled_up(g, w))
    ),
    "`zip` ends with the shorter dict, without a word": (
        lambda w, g: max([_apart(a, b) for a, b in zip(w.values(), g.values(), strict=False)], default=0.0)
    ),
    "the result for a missing name is 0, as if all were well": lambda w, g: 0.0,
    "the result for a missing name is -infinity, less than any limit": lambda w, g: -math.inf,
}

MISFITS: dict[str, Callable] = {
    "PyTorch repeats a tensor until the shapes fit: compare the shapes first": (
        lambda w, g: max(_spread(w[name], g[name]) for name in w)
    ),
    "the number of values is compared, not the shape": (
        lambda w, g: max(_flat(w[name], g[name], same=True) for name in w)
    ),
    "the number of axes is compared, not their lengths": (
        lambda w, g: max(math.inf if w[n].ndim != g[n].ndim else _spread(w[n], g[n]) for n in w)
    ),
    "the values are compared in a row, as far as the shorter tensor goes": (
        lambda w, g: max(_flat(w[name], g[name], same=False) for name in w)
    ),
    "a tensor of another shape is passed over": (
        lambda w, g: max(_apart(w[name], g[name]) for name in w if w[name].shape == g[name].shape)
    ),
    "the shapes are compared without their axes of length 1: compare them as they are": (
        lambda w, g: max(
            math.inf if w[n].squeeze().shape != g[n].squeeze().shape else _flat(w[n], g[n], same=True) for n in w
        )
    ),
    "the lengths of the tensors (`len`) are compared, not their shapes": (
        lambda w, g: max(math.inf if w[n].shape[:1] != g[n].shape[:1] else _spread(w[n], g[n]) for n in w)
    ),
}


def _spread(one: Tensor, other: Tensor) -> float:
    """The largest difference after the shapes were made to fit; infinity where they cannot be."""
    try:
        return _apart(one, other)
    except RuntimeError:
        return math.inf


def _flat(one: Tensor, other: Tensor, *, same: bool) -> float:
    """The largest difference of the values in a row; with `same` infinity where there are not as many."""
    one, other = one.flatten(), other.flatten()
    if same and len(one) != len(other):
        return math.inf
    count = min(len(one), len(other))
    return _apart(one[:count], other[:count])


def _with_nan(keep: Callable[[float, float], bool]) -> Callable:
    """The largest difference by a loop that takes a new one if `keep` says so; NaN stays in each."""

    def worst(wanted: Weights, got: Weights) -> float:
        largest = 0.0
        for name in wanted:
            new = _plain(wanted[name], got[name]).item()
            largest = new if keep(new, largest) else largest
        return largest

    return worst


def _counted(of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """The largest difference over those values that count."""
    return lambda w, g: max(
        _apart(w[name].masked_fill(~of(w[name], g[name]), 0), g[name].masked_fill(~of(w[name], g[name]), 0))
        for name in w
    )


def _unseen(seen: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """Infinity where a value is seen to be odd, else the largest difference by a loop that passes over NaN."""
    passes = _with_nan(lambda new, worst: new > worst)
    return lambda w, g: math.inf if any(seen(w[name], g[name]).any() for name in w) else passes(w, g)


NOT_FINITE: dict[str, Callable] = {
    "only NaN is looked for: infinity minus infinity is NaN, too": _unseen(lambda a, b: a.isnan() | b.isnan()),
    "only NaN and +infinity are looked for, not -infinity": _unseen(
        lambda a, b: a.isnan() | b.isnan() | a.isposinf() | b.isposinf()
    ),
    "only the values of `got` are looked at, not those of `wanted`": _unseen(lambda a, b: ~b.isfinite()),
    "only the values of `wanted` are looked at, not those of `got`": _unseen(lambda a, b: ~a.isfinite()),
    "what is not finite in both counts as equal: it shows nothing": _counted(
        lambda a, b: a.isfinite() | b.isfinite()
    ),
    "a value that is not finite in one of the two is passed over: one is enough": _unseen(
        lambda a, b: ~a.isfinite().all() & ~b.isfinite().all()
    ),
    "`nan_to_num` makes 0 of NaN, and the largest number of infinity": _over_tensors(
        lambda a, b: (a.double() - b.double()).abs().nan_to_num().max()
    ),
    "`nan_to_num` makes the largest number of infinity: give it `posinf=math.inf`": _over_tensors(
        lambda a, b: (a.double() - b.double()).abs().nan_to_num(nan=math.inf).max()
    ),
    "`NaN > worst` is False, so the tensor with NaN is passed over": _with_nan(lambda new, worst: new > worst),
    "NaN counts as 0: it is no number at all": _counted(lambda a, b: ~(a - b).isnan()),
    "values that are not finite are passed over": _counted(lambda a, b: (a - b).isfinite()),
    "NaN in both counts as equal: it shows nothing": _counted(lambda a, b: ~(a.isnan() & b.isnan())),
    "the same infinite value in both counts as equal: it shows nothing": _counted(lambda a, b: a != b),
    "only NaN in `got` is seen, not in `wanted`": (
        lambda w, g: _largest_difference({n: t.nan_to_num(0.0, math.inf, -math.inf) for n, t in w.items()}, g)
    ),
    "only NaN in `wanted` is seen, not in `got`": (
        lambda w, g: _largest_difference(w, {n: t.nan_to_num(0.0, math.inf, -math.inf) for n, t in g.items()})
    ),
    "infinity is taken for a very large number, which two infinite ones are apart by 0": (
        lambda w, g: max(
            math.inf if (w[n].isnan() | g[n].isnan()).any() else _apart(w[n].nan_to_num(), g[n].nan_to_num())
            for n in w
        )
    ),
}


def _in_its_kind(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference without 64 bits: numbers of 64 bits as real ones of 32, others as they are."""
    return _plain(one.float(), other.float()) if one.dtype.itemsize == 8 else _plain(one, other)


OTHER_KINDS: dict[str, Callable] = {
    "these numbers are passed over: compare them, too": lambda w, g: 0.0,
    "whole numbers of 32 bits end at 2147483647: subtract in 64 bits": _over_tensors(
        lambda a, b: (a.int() - b.int()).abs().max()
    ),
}
IN_32_BITS = "32 bits make 16777216 of 16777217: subtract in 64 bits"
KINDS: dict[torch.dtype, tuple[str, list[tuple[int, int]]]] = {
    torch.uint8: ("8 bits without a sign wrap round, so 3 - 250 is 9: subtract in 64 bits", [(3, 250), (0, 200)]),
    torch.int8: (
        "8 bits with a sign wrap round, so -100 - 100 is 56: subtract in 64 bits",
        [(-100, 100), (-128, 1)],
    ),
    torch.float16: ("16 bits end at 65504: subtract in 64 bits", [(60_000, -60_000), (-65_000, 1_000)]),
    torch.bfloat16: ("`bfloat16` makes 256 of 257: subtract in 64 bits", [(256, -1), (-4, 3)]),
    torch.int64: (IN_32_BITS, [(2**24 + 1, 2**24), (2**24 + 3, 2**24 + 4), (2**40, 0)]),
    torch.float64: (IN_32_BITS, [(2**24 + 1, 2**24)]),
}


@check(
    "Each of the five numbers stands in one shape, or in the names. Which axis of which tensor is `heads`? The "
    "table has a row for each offset, and three more: how many offsets has a grid of `side` x `side` patches?",
    "`dim` and `patch` are axes of `patch_embed.proj.weight`, `heads` is the second of the table, `depth` is the "
    "largest block number + 1. With `rows` of the table: `side = (math.isqrt(rows - 3) + 1) // 2`.",
)
def read_sizes(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`read_sizes(shapes)` reads off how a Vision Transformer was built from the shapes of its weights."""
    right = _read_sizes
    cases = telling(lambda: [_shapes(rng, 24, 24), _shapes(rng, 2, 2)], right, SIZES)
    problem = explain(answer, right, cases, SIZES)
    yield "reads the five sizes off the shapes", problem
    if problem:
        return
    small = {"image_size": 1, "patch": 1, "dim": 5, "depth": 1, "heads": 1}
    known = [(224, 16, 768, 12, 12), (224, 16, 1024, 24, 16), (224, 14, 1280, 32, 16), (32, 4, 64, 4, 2)]
    edges = [dict(zip(small, sizes, strict=True)) for sizes in known]
    edges += [small, small | {"depth": 101}, small | {"image_size": 7}, small | {"image_size": 6, "patch": 3}]
    edges += [small | {"image_size": 32 * side, "patch": 32} for side in (1, 2, 3)]
    yield (
        "works for known models, one block, one patch and one head",
        explain(answer, right, [(_official(sizes, rng),) for sizes in edges], SIZES),
    )


def _official(sizes: dict[str, int], rng: Generator) -> dict[str, tuple[int, ...]]:
    """The shapes of an official Vision Transformer with these sizes, in any order."""
    image, patch, dim, depth, heads = sizes.values()
    side = image // patch
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.mask_token": (1, 1, dim),
        "encoder.cls_token": (1, 1, dim),
        "encoder.patch_embed.proj.weight": (dim, 3, patch, patch),
        "encoder.patch_embed.proj.bias": (dim,),
        "encoder.rel_pos_bias.relative_position_bias_table": ((2 * side - 1) ** 2 + 3, heads),
        "encoder.norm.weight": (dim,),
        "encoder.norm.bias": (dim,),
        "decoder.0.weight": (3 * patch**2, dim, 1, 1),
        "decoder.0.bias": (3 * patch**2,),
    }
    for block in range(depth):
        parts = {
            "gamma_1": (dim,),
            "norm1.weight": (dim,),
            "attn.q_bias": (dim,),
            "attn.v_bias": (dim,),
            "attn.qkv.weight": (3 * dim, dim),
            "attn.proj.weight": (dim, dim),
            "mlp.fc1.weight": (4 * dim, dim),
            "mlp.fc2.weight": (dim, 4 * dim),
        }
        shapes |= {f"encoder.blocks.{block}.{name}": shape for name, shape in parts.items()}
    names = list(shapes)
    return {names[place]: shapes[names[place]] for place in torch.randperm(len(names), generator=rng).tolist()}


def _shapes(rng: Generator, depth: int, least: int) -> tuple[dict[str, tuple[int, ...]]]:
    """The shapes of a network with a few more than `depth` blocks, and patches of `least` pixels or a few more."""
    side, heads, deeper, more = distinct(rng, 4, 2, 9)
    patch = least + more
    sizes = {
        "image_size": patch * side,
        "patch": patch,
        "dim": 96 * heads,
        "depth": depth + deeper,
        "heads": heads,
    }
    return (_official(sizes, rng),)


EMBEDDING, TABLE = "encoder.patch_embed.proj.weight", "encoder.rel_pos_bias.relative_position_bias_table"


def _read_sizes(shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    dim, _, patch, _ = shapes[EMBEDDING]
    rows, heads = shapes[TABLE]
    side = (math.isqrt(rows - 3) + 1) // 2
    return {
        "image_size": side * patch,
        "patch": patch,
        "dim": dim,
        "depth": 1 + max(_blocks(shapes)),
        "heads": heads,
    }


def _blocks(shapes: dict[str, tuple[int, ...]]) -> list[int]:
    """The number of the block for each name that has one."""
    return [int(name.split(".")[2]) for name in shapes if ".blocks." in name]


def _misread(**wrong: Callable) -> Callable:
    """The sizes, of which some are made of the shapes, and of the right sizes, in another way."""

    def read(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
        sizes = _read_sizes(shapes)
        return sizes | {name: of(shapes, **sizes) for name, of in wrong.items()}

    return read


def _size(of: Callable) -> Callable:
    """What depends on the right sizes alone."""
    return lambda shapes, **sizes: of(SimpleNamespace(**sizes))


SIZES: dict[str, Callable] = {
    "the largest number of a block is one less than their number: they are counted from 0": _misread(
        depth=_size(lambda s: s.depth - 1)
    ),
    "a block has several tensors, and each of them was counted": _misread(depth=lambda s, **_: len(_blocks(s))),
    "the numbers of the blocks are compared as texts, or by a digit: use `int`": _misread(
        depth=lambda s, **_: 1 + int(max(map(str, _blocks(s))))
    ),
    "that is one block too many": _misread(depth=_size(lambda s: s.depth + 1)),
    "only the first 12 blocks are counted": _misread(depth=_size(lambda s: min(s.depth, 12))),
    "only the first 24 blocks are counted": _misread(depth=_size(lambda s: min(s.depth, 24))),
    "the last block in the dict need not have the largest number": _misread(
        depth=lambda s, **_: 1 + _blocks(s)[-1]
    ),
    "all tensors are counted: `depth` is the number of blocks": _misread(depth=lambda s, **_: len(s)),
    "heads need not have 64 numbers each: the table has a column for each head": _misread(
        heads=_size(lambda s: s.dim // 64)
    ),
    "that is how many numbers a head has: `heads` is how many there are": _misread(
        heads=_size(lambda s: s.dim // s.heads)
    ),
    "query, key and value are not heads: the table has a column for each head": _misread(heads=_size(lambda s: 3)),
    "`heads` has become the rows of the table: it is its columns": _misread(heads=lambda s, **_: s[TABLE][0]),
    "`image_size` counts pixels here as patches: multiply by `patch`": _misread(
        image_size=_size(lambda s: s.image_size // s.patch)
    ),
    "one patch of each side is lost: 2 * side - 1 offsets, so add 1 before you halve": _misread(
        image_size=_size(lambda s: s.image_size - s.patch)
    ),
    "a side of the grid is in `image_size` twice: multiply it by `patch` once": _misread(
        image_size=_size(lambda s: s.image_size**2 // s.patch)
    ),
    "one patch too many on each side: a side of the table is 2 * side - 1": _misread(
        image_size=_size(lambda s: s.image_size + s.patch)
    ),
    "three rows of the table belong to the class token: take them off before the root": _misread(
        image_size=lambda s, **sizes: (math.sqrt(s[TABLE][0]) + 1) / 2 * sizes["patch"]
    ),
    "three rows of the table belong to the class token: large patches show it": _misread(
        image_size=lambda s, **sizes: int((math.sqrt(s[TABLE][0]) + 1) / 2 * sizes["patch"])
    ),
    "only one row of the table was taken off for the class token: it has three": _misread(
        image_size=lambda s, **sizes: int((math.sqrt(s[TABLE][0] - 1) + 1) / 2 * sizes["patch"])
    ),
    "that is two times the image: a side of the table is 2 * side - 1": _misread(
        image_size=_size(lambda s: 2 * s.image_size)
    ),
    "`image_size` is one side in pixels, not how many pixels an image has": _misread(
        image_size=_size(lambda s: s.image_size**2)
    ),
    "the rows of the table are those of the offsets, not of the patches": _misread(
        image_size=lambda s, **sizes: math.isqrt(s[TABLE][0] - 3) * sizes["patch"]
    ),
    "the root is missing: the table has (2 * side - 1) ** 2 rows for offsets": _misread(
        image_size=lambda s, **sizes: (s[TABLE][0] - 3 + 1) // 2 * sizes["patch"]
    ),
    "`image_size` is one number, a side in pixels": _misread(image_size=_size(lambda s: (s.image_size,) * 2)),
    "`patch` is the number of pixels of a patch: it is its side": _misread(patch=_size(lambda s: s.patch**2)),
    "the three colours stay in the number of values: divide by 3 before the root": _misread(
        patch=_size(lambda s: math.isqrt(3 * s.patch**2))
    ),
    "`patch` is the number of values of a patch: it is its side": _misread(patch=_size(lambda s: 3 * s.patch**2)),
    "that is the number of patches along a side: `patch` is a side of a patch in pixels": _misread(
        patch=_size(lambda s: s.image_size // s.patch)
    ),
    "`patch` is the number of colours: take the last axis": _misread(patch=_size(lambda s: 3)),
    "query, key and value have `dim` numbers each, so `dim` is three times too large": _misread(
        dim=_size(lambda s: 3 * s.dim)
    ),
    "the MLP is four times as wide: `dim` is the width of a token": _misread(dim=_size(lambda s: 4 * s.dim)),
    "`dim` has become the number of values of a patch": _misread(dim=_size(lambda s: 3 * s.patch**2)),
    "`dim` has become the numbers of one head": _misread(dim=_size(lambda s: s.dim // s.heads)),
    "`dim` need not be 64 for each head": _misread(dim=_size(lambda s: 64 * s.heads)),
    "`dim` is the last axis of the mask token: the others have the length 1": _misread(dim=_size(lambda s: 1)),
    "these are shapes: a size is one number": _misread(dim=lambda s, **_: s["encoder.mask_token"]),
}
for times in range(2, 6):
    SIZES[f"each block is counted {times} times: the text that you count by stands in {times} of its names"] = (
        _misread(depth=_size(lambda s, times=times: times * s.depth))
    )
for name, usual in {"image_size": 224, "patch": 16, "dim": 768, "depth": 12, "heads": 12}.items():
    SIZES[f"{usual} is only the usual `{name}`: read it off"] = _misread(**{name: _size(lambda s, u=usual: u)})


@check(
    "What is the largest absolute value of each row? It becomes 127 or -127, so how much is one step worth? How "
    "do you get from a value to the nearest whole number of steps, and what if a row has only zeros?",
    "`largest = weight.abs().amax(dim=1)`, and `scale = torch.where(largest > 0, largest / 127, 1)`. The numbers "
    "are `(weight / scale[:, None]).round().to(torch.int8)`.",
)
def quantize_rows(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`quantize_rows(weight)` rounds a matrix to numbers of 8 bits, with a scale for each row."""
    right = _quantized
    cases = [(_matrix(rng),), (_matrix(rng),)]
    problem = explain(answer, right, cases, ROUNDINGS)
    yield "rounds each row to whole numbers up to 127", problem
    if problem:
        return
    (weight,), *_ = cases
    yield "keeps the numbers in 8 bits", _other_bits(answer(weight))
    zeros = weight.clone()
    zeros[1] = 0
    empty = [(zeros,), (torch.zeros(3, 2),), (torch.zeros(1, 1),)]
    yield "gives a row of zeros the scale 1", explain(answer, right, empty, EMPTY_ROWS)
    some = weight * (torch.arange(weight.shape[1]) > 0)
    some[:, 1] = _scales(weight) * 127
    opposite = torch.stack([weight[:, 0], -weight[:, 0]], 1)
    some_zeros = [(some,), (some.abs(),), (some.flip(1),), (opposite,)]
    yield "gives other rows with zeros their own scale", explain(answer, right, some_zeros, SOME_ZEROS)
    sizes = 10.0 ** torch.tensor([-25, 20] + [0] * (len(weight) - 2))
    small = [(weight * sizes[:, None],), (1e-12 * weight,)]
    problem = explain(answer, right, small, SMALL_ROWS) or first(*(_other_scales(answer, *case) for case in small))
    yield "rounds small and large rows as finely", problem
    edges = [(weight[:1],), (weight[:, :1],), (torch.tensor([[-3.0]]),), (weight.abs(),), (-weight.abs(),)]
    yield "works for one row, one column, and numbers of one sign", explain(answer, right, edges, ONE_SIGN)


def _matrix(rng: Generator) -> Tensor:
    """Rows of different sizes, in which no value lies nearly between two steps; each has values of both signs."""
    rows, cols = distinct(rng, 2, 4, 8)
    steps = torch.randint(-110, 110, (rows, cols), generator=rng)
    steps = steps + (0.8 * torch.rand(rows, cols, generator=rng) - 0.4)
    places, signs = torch.randint(cols, (rows,), generator=rng), (-1) ** torch.arange(rows)
    steps[torch.arange(rows), places - 1] = -signs * steps[torch.arange(rows), places - 1].abs()
    steps[torch.arange(rows), places] = 127.0 * signs
    return steps * (0.01 + torch.rand(rows, 1, generator=rng))


def _scales(weight: Tensor) -> Tensor:
    largest = weight.abs().amax(1)
    return torch.where(largest > 0, largest / 127, 1)


def _quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    return _rounded()(weight)


def _rounded(
    scales: Callable[[Tensor], Tensor] = _scales,
    whole: Callable[[Tensor], Tensor] = torch.round,
    of: Callable[[Tensor, Tensor], Any] = lambda numbers, scale: (numbers.to(torch.int8), scale),
) -> Callable:
    """A mistake in the scales (one for each row, or one in all), in the rounding, or in what is returned."""

    def quantize(weight: Tensor) -> Any:
        scale = scales(weight)
        return of(whole(weight / scale.view(-1, 1)), scale)

    return quantize


def _other_bits(got: Any) -> Verdict:
    numbers = got[0]
    if numbers.dtype == torch.int8:
        return None
    return f"the numbers have {8 * numbers.element_size()} bits ({numbers.dtype}): `torch.int8` saves the room"


def _other_scales(answer: Answer, weight: Tensor) -> tuple[bool, str]:
    """Scales are compared by their ratios: all those of small rows are nearly 0."""
    ratios = answer(weight)[1] / _scales(weight)
    worst = ratios[(ratios - 1).abs().argmax()].item()
    return (
        not abs(worst - 1) < 1e-4,
        f"a scale is {worst:.6g} times its row's largest value / 127: is something added to it, or a limit set?",
    )


ROUNDINGS: dict[str, Callable] = {
    "one scale is used for all rows: each row has its own": _rounded(
        lambda w: (w.abs().max() / 127).expand(len(w))
    ),
    "one scale is used for all rows, and one is returned: each row has its own": _rounded(
        lambda w: w.abs().max() / 127
    ),
    "each column has a scale: each row should": lambda w: (
        (w / w.abs().amax(0) * 127).round().to(torch.int8),
        w.abs().amax(0) / 127,
    ),
    "128 steps are one too many: in 8 bits with a sign 128 becomes -128": _rounded(
        lambda w: w.abs().amax(1) / 128
    ),
    "128 steps are one too many: the largest becomes 127 or -127": _rounded(
        lambda w: w.abs().amax(1) / 128, lambda steps: steps.round().clamp(-128, 127)
    ),
    "8 bits with a sign end at 127, not at 255": _rounded(lambda w: w.abs().amax(1) / 255),
    "the scale is too large: the largest becomes 127, not 126": _rounded(lambda w: w.abs().amax(1) / 126),
    "the largest becomes 100 only: 127": _rounded(lambda w: w.abs().amax(1) / 100),
    "the largest positive value sets the scale: the largest absolute one": _rounded(lambda w: w.amax(1) / 127),
    "the smallest value sets the scale: the largest absolute one": _rounded(lambda w: -w.amin(1) / 127),
    "the smallest absolute value sets the scale": _rounded(lambda w: w.abs().amin(1) / 127),
    "largest minus smallest sets the scale: take the largest absolute value": _rounded(
        lambda w: (w.amax(1) - w.amin(1)) / 254
    ),
    "largest minus smallest is divided into 255 steps: the largest absolute value, / 127": _rounded(
        lambda w: (w.amax(1) - w.amin(1)) / 255
    ),
    "the mean absolute value sets the scale: the largest": _rounded(lambda w: w.abs().mean(1) / 127),
    "the standard deviation sets the scale: the largest absolute value": _rounded(lambda w: w.std(1) / 127),
    "the length of a row sets the scale: its largest absolute value": _rounded(lambda w: w.norm(dim=1) / 127),
    "the largest is divided by 127.5, the half of 255: by 127": _rounded(
        lambda w: w.abs().amax(1) / 127.5, lambda steps: steps.round().clamp(-127, 127)
    ),
    "the weights are multiplied by 127, but not divided by the largest of the row": lambda w: (
        (w * 127).round().clamp(-127, 127).to(torch.int8),
        _scales(w),
    ),
    "the numbers are cut off towards 0: round them": _rounded(whole=torch.trunc),
    "the numbers are rounded down: to the nearest": _rounded(whole=torch.floor),
    "the numbers are rounded up: to the nearest": _rounded(whole=torch.ceil),
    "0.5 is added, and the rest cut off: that rounds negative numbers wrongly": _rounded(
        whole=lambda steps: (steps + 0.5).trunc()
    ),
    "8 bits with a sign end at 127, not at 255: what is larger is cut off": _rounded(
        lambda w: w.abs().amax(1) / 255, lambda steps: steps.round().clamp(-128, 127)
    ),
    "the scale is not let below 1: the largest becomes 127 in each row": _rounded(
        lambda w: (w.abs().amax(1) / 127).clamp(min=1)
    ),
    "the scale has the sign of the largest value: all scales are positive": _rounded(
        lambda w: w.gather(1, w.abs().argmax(1, keepdim=True))[:, 0] / 127
    ),
    "the signs are the wrong way round": _rounded(of=lambda q, s: ((-q).to(torch.int8), s)),
    "the scale of the first row is used for all: each row has its own": _rounded(
        lambda w: _scales(w)[:1].expand(len(w)), lambda steps: steps.round().clamp(-128, 127)
    ),
    "the weights are rounded before they are divided": lambda w: (
        (w.round() / _scales(w)[:, None]).to(torch.int8),
        _scales(w),
    ),
    "the weights are multiplied by the scale: divide": lambda w: (
        (w * _scales(w)[:, None]).round().to(torch.int8),
        _scales(w),
    ),
    "the weights are not divided by the scale": lambda w: (w.round().to(torch.int8), _scales(w)),
    "that is how many steps a 1 has: the scale is what one step is worth": _rounded(
        of=lambda q, s: (q.to(torch.int8), 1 / s)
    ),
    "the scale is the largest value: divide it by 127": _rounded(of=lambda q, s: (q.to(torch.int8), 127 * s)),
    "the signs are lost": _rounded(of=lambda q, s: (q.abs().to(torch.int8), s)),
    "negative numbers became 0: they go down to -127": _rounded(
        of=lambda q, s: (q.clamp(min=0).to(torch.int8), s)
    ),
    "the numbers are moved up by 128, as for 8 bits without a sign: keep 0 at 0": _rounded(
        of=lambda q, s: ((q + 128).to(torch.uint8), s)
    ),
    "8 bits without a sign hold no negative numbers: `torch.int8`, not `torch.uint8`": _rounded(
        of=lambda q, s: (q.to(torch.int8).view(torch.uint8), s)
    ),
    "the numbers are still real ones: make them whole ones of 8 bits": _rounded(of=lambda q, s: (q, s)),
    "the numbers are multiplied by the scale again: return them whole": _rounded(
        of=lambda q, s: (q * s.view(-1, 1), s)
    ),
    "the scale has one axis too many: its shape is (rows,)": _rounded(
        of=lambda q, s: (q.to(torch.int8), s.view(-1, 1))
    ),
    "first the numbers, then the scale: the other way round": _rounded(of=lambda q, s: (s, q.to(torch.int8))),
    "the scale is missing: return the numbers and the scale": _rounded(of=lambda q, s: q.to(torch.int8)),
}

EMPTY_ROWS: dict[str, Callable] = {
    "the scale of a row of zeros is 0 here, or nearly, and 0 / 0 is NaN: take 1": (
        lambda w: (_quantized(w)[0], w.abs().amax(1) / 127)
    ),
    "the scale of a row of zeros is 1 / 127 here: 1 is asked for": (
        lambda w: (_quantized(w)[0], torch.where(_scales(w) == 1, 1 / 127, _scales(w)))
    ),
    "the scale of a row of zeros is not a number: take 1": (
        lambda w: (_quantized(w)[0], torch.where(w.any(1), _scales(w), math.nan))
    ),
    "the numbers of a row of zeros are not zeros": lambda w: (
        _quantized(w)[0].where(w.any(1, keepdim=True), -128),
        _scales(w),
    ),
}


def _taken_for_zeros(zeros: Callable[[Tensor], Tensor]) -> Callable:
    """The scale 1 for rows that are taken for rows of zeros."""
    return _rounded(lambda w: torch.where(zeros(w), 1, _scales(w)))


SOME_ZEROS: dict[str, Callable] = {
    "a row with a zero in it is taken for a row of zeros": _taken_for_zeros(lambda w: (w == 0).any(1)),
    "a row that starts with 0 is taken for a row of zeros": _taken_for_zeros(lambda w: w[:, 0] == 0),
    "a row that ends with 0 is taken for a row of zeros": _taken_for_zeros(lambda w: w[:, -1] == 0),
    "a row that adds up to 0 is taken for a row of zeros": _taken_for_zeros(lambda w: w.sum(1) == 0),
    "a row whose smallest value is 0 is taken for a row of zeros": _taken_for_zeros(lambda w: w.amin(1) == 0),
    "a row whose smallest absolute value is 0 is taken for one of zeros": _taken_for_zeros(
        lambda w: w.abs().amin(1) == 0
    ),
    "the scale of a row with a zero in it is 1 too large": lambda w: _rounded(
        lambda w: _scales(w) + (w == 0).any(1)
    )(w),
}
ONE_SIGN: dict[str, Callable] = {
    "a row without a positive number is taken for a row of zeros": _taken_for_zeros(lambda w: w.amax(1) <= 0),
    "a row without a negative number is taken for a row of zeros": _taken_for_zeros(lambda w: w.amin(1) >= 0),
}


def _at_least(limit: float) -> Callable:
    return _rounded(lambda w: (w.abs().amax(1) / 127).clamp(min=limit))


SMALL_ROWS: dict[str, Callable] = {
    "a row of small weights is treated as if it were zeros: only a row of zeros gets 1": _rounded(
        lambda w: torch.where(w.abs().amax(1) > 1e-6, w.abs().amax(1) / 127, 1)
    ),
    "a small number is added to the scale, or it has a least value": _at_least(1e-8),
    "the scale is not let below a limit (1e-12), so a row of small weights becomes zeros": _at_least(1e-12),
}


@check(
    "Write the same pixel in both ways: x = old * std + mean = new * new_std + new_mean. What is the old value, "
    "made of the new one? Put that into the sum of the embedding: which part grows with the new value, and which "
    "is constant?",
    "old = new * (new_std / std) + (new_mean - mean) / std, for each channel. The factor goes into the weight. "
    "The constant, times the old weight, summed over channels and pixels, goes into the bias.",
)
def fold_normalization(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`fold_normalization(weight, bias, mean, std, new_mean, new_std)` changes what a patch embedding takes."""
    right = _folded
    cases = [_normalised(rng, patch=3), _normalised(rng, dim=3)]
    problem = explain(answer, right, cases, FOLDINGS)
    yield "gives the tokens of before for images normalised anew", problem
    if problem:
        return
    weight, bias, mean, std, new_mean, new_std = cases[0]
    none, one = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    yield (
        "changes nothing for the same mean and deviation",
        explain(answer, right, [(weight, bias, mean, std, mean, std), (weight, bias, none, one, none, one)]),
    )
    alike = [(weight, bias, mean, std, mean, new_std), (weight, bias, mean, std, new_mean, std)]
    yield "works where only the means, or only the deviations, are equal", explain(answer, right, alike, ALIKE)
    edges = [
        (weight, bias, mean, std, none, one),
        (weight, bias, none, one, new_mean, new_std),
        (weight, bias, [0.5] * 3, [0.5] * 3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        (weight, bias, mean, std, none, [1 / 255] * 3),
        (weight, bias, none, [1 / 255] * 3, new_mean, new_std),
        (weight[:1], bias[:1], mean, std, new_mean, new_std),
        (weight[:, :, :1, :1], bias, mean, std, new_mean, new_std),
        (0 * weight, bias, mean, std, new_mean, new_std),
    ]
    yield (
        "works for ImageNet's numbers, pixels from 0 to 1 or 255, one number and one pixel",
        explain(answer, right, edges),
    )


def _normalised(rng: Generator, dim: int = 0, patch: int = 0) -> tuple:
    """A patch embedding, and old and new mean and standard deviation of each channel, all different."""
    one, other = distinct(rng, 2, 4, 5)
    dim, patch = dim or one, patch or other
    weight, bias = 1 + torch.rand(dim, 3, patch, patch, generator=rng), torch.randn(dim, generator=rng)
    parts = (0.2 + 0.05 * torch.randperm(12, generator=rng)).split(3)
    return weight, bias, *(part.tolist() for part in parts)


def _per_channel(values: list[float]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)


def _fold(
    weight: Callable[..., Any] = lambda w, m, s, n, t: w * t / s,
    shift: Callable[..., Any] = lambda w, m, s, n, t: (w * (n - m) / s).sum((1, 2, 3)),
    of: Callable[[Any, Any], Any] = lambda weight, bias: (weight, bias),
) -> Callable:
    """A mistake in the weight, in what is added to the bias, or in what is returned.

    w is the old weight, m and s the old mean and deviation, n and t the new ones.
    """

    def fold(old: Tensor, bias: Tensor, *numbers: list[float]) -> Any:
        case = (old, *map(_per_channel, numbers))
        return of(weight(*case), bias + shift(*case))

    return fold


def _folded(weight: Tensor, bias: Tensor, *numbers: list[float]) -> tuple[Tensor, Tensor]:
    return _fold()(weight, bias, *numbers)


def _other_numbers(change: Callable[..., tuple]) -> Callable:
    """The right rule, on numbers (mean, std, new_mean, new_std) that were changed."""
    return lambda weight, bias, *numbers: _folded(weight, bias, *change(*numbers))


def _grey_numbers(*numbers: list[float]) -> tuple:
    return tuple([sum(values) / 3] * 3 for values in numbers)


FOLDINGS: dict[str, Callable] = {
    "old and new are exchanged": _other_numbers(lambda m, s, n, t: (n, t, m, s)),
    "the factor is upside down: new_std / std": _fold(weight=lambda w, m, s, n, t: w * s / t),
    "the weight is divided by std, but not multiplied by new_std": _fold(weight=lambda w, m, s, n, t: w / s),
    "the weight is multiplied by new_std, but not divided by std": _fold(weight=lambda w, m, s, n, t: w * t),
    "the weight is multiplied by both deviations: new_std / std": _fold(weight=lambda w, m, s, n, t: w * t * s),
    "the weight has not changed: the new values have another spread": _fold(weight=lambda w, m, s, n, t: w),
    "the bias has not changed: the new values have another mean": _fold(shift=lambda w, m, s, n, t: 0),
    "the sign of the shift is wrong: new_mean - mean": _fold(
        shift=lambda w, m, s, n, t: (w * (m - n) / s).sum((1, 2, 3))
    ),
    "the shift is divided by new_std: by std": _fold(shift=lambda w, m, s, n, t: (w * (n - m) / t).sum((1, 2, 3))),
    "the shift is not divided by std": _fold(shift=lambda w, m, s, n, t: (w * (n - m)).sum((1, 2, 3))),
    "the shift is multiplied by std: divide": _fold(shift=lambda w, m, s, n, t: (w * (n - m) * s).sum((1, 2, 3))),
    "the shift is summed with the new weight: with the old one": _fold(
        shift=lambda w, m, s, n, t: (w * t / s * (n - m) / s).sum((1, 2, 3))
    ),
    "the shift is summed with the new weight, without / std: with the old one, / std": _fold(
        shift=lambda w, m, s, n, t: (w * t / s * (n - m)).sum((1, 2, 3))
    ),
    "the shift is a mean over channels and pixels: a sum": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s).mean((1, 2, 3))
    ),
    "the shift is a mean over the pixels: a sum": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s).mean((2, 3)).sum(1)
    ),
    "the shift is a mean over the channels: a sum": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s).mean(1).sum((1, 2))
    ),
    "the weights and the shifts are added up apart: each weight has its own shift": _fold(
        shift=lambda w, m, s, n, t: w.sum((1, 2, 3)) * ((n - m) / s).sum()
    ),
    "the weights are added up apart, times the mean shift: each has that of its channel": _fold(
        shift=lambda w, m, s, n, t: w.sum((1, 2, 3)) * ((n - m) / s).mean()
    ),
    "the means are added in the shift: new_mean - mean": _fold(
        shift=lambda w, m, s, n, t: (w * (n + m) / s).sum((1, 2, 3))
    ),
    "the shift has no weight: a constant input counts as much as the weights say": _fold(
        shift=lambda w, m, s, n, t: ((n - m) / s).sum()
    ),
    "only the first pixel of a patch is summed: all of them": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s)[:, :, 0, 0].sum(1)
    ),
    "the new mean is left out of the shift: that is right where it is 0": _fold(
        shift=lambda w, m, s, n, t: (w * (0 - m) / s).sum((1, 2, 3))
    ),
    "the old mean is left out of the shift: that is right where it is 0": _fold(
        shift=lambda w, m, s, n, t: (w * n / s).sum((1, 2, 3))
    ),
    "the embedding takes pixels from 0 to 1 now: the new mean and deviation are not used": _other_numbers(
        lambda m, s, n, t: (m, s, [0, 0, 0], [1, 1, 1])
    ),
    "the old mean and deviation are not used, as if it had taken pixels from 0 to 1": _other_numbers(
        lambda m, s, n, t: ([0, 0, 0], [1, 1, 1], n, t)
    ),
    "the normalised means are subtracted, each by its own deviation: both by std": _fold(
        shift=lambda w, m, s, n, t: (w * (n / t - m / s)).sum((1, 2, 3))
    ),
    "the deviations were squared": _other_numbers(
        lambda m, s, n, t: (m, [value**2 for value in s], n, [value**2 for value in t])
    ),
    "the mean of the three channels is used: each has its own": _other_numbers(_grey_numbers),
    "the numbers of red are used for all channels": _other_numbers(
        lambda *numbers: tuple([values[0]] * 3 for values in numbers)
    ),
    "the channels are in the order blue, green, red": _other_numbers(
        lambda *numbers: tuple(values[::-1] for values in numbers)
    ),
    "the numbers are spread over the columns of a patch: give them the shape (3, 1, 1)": (
        lambda w, b, *numbers: _fold_plain(w, b, *map(torch.tensor, numbers))
    ),
    "the numbers are spread over axis 0, the numbers of a token: a channel is axis 1": (
        lambda w, b, *numbers: _fold_plain(w, b, *(torch.tensor(v).view(3, 1, 1, 1) for v in numbers))
    ),
    "the shift is added to the weight: it belongs to the bias": _fold(
        weight=lambda w, m, s, n, t: w * t / s + (n - m) / s, shift=lambda *_: 0
    ),
    "the shift is one number, the sum over all tokens: each has its own": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s).sum()
    ),
    "the root of the deviations is taken: they are no variances": _other_numbers(
        lambda m, s, n, t: (m, [value**0.5 for value in s], n, [value**0.5 for value in t])
    ),
    "only the channel red is changed: does the loop end too early?": _other_numbers(
        lambda m, s, n, t: (m, s, n[:1] + m[1:], t[:1] + s[1:])
    ),
    "only the channels red and green are changed": _other_numbers(
        lambda m, s, n, t: (m, s, n[:2] + m[2:], t[:2] + s[2:])
    ),
    "only the shift of red is in the bias: add those of all channels": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s)[:, 0].sum((1, 2))
    ),
    "only the shift of blue is in the bias: does the loop forget the others?": _fold(
        shift=lambda w, m, s, n, t: (w * (n - m) / s)[:, 2].sum((1, 2))
    ),
    "the old mean and deviation are taken for 0.5: they are given": _other_numbers(
        lambda m, s, n, t: ([0.5] * 3, [0.5] * 3, n, t)
    ),
    "the new mean and deviation are taken for those of ImageNet: they are given": _other_numbers(
        lambda m, s, n, t: (m, s, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ),
    "the old bias is lost: the shift is added to it": lambda w, b, *numbers: _folded(w, 0 * b, *numbers),
    "the old bias is changed, too: only the shift is added to it": (
        lambda w, b, m, s, n, t: _folded(w, b * t[0] / s[0], m, s, n, t)
    ),
    "the shift is subtracted twice over, once as the old mean and once as the new one": _fold(
        shift=lambda w, m, s, n, t: -(w * (n + m) / s).sum((1, 2, 3))
    ),
    "first the weight, then the bias: the other way round": _fold(of=lambda weight, bias: (bias, weight)),
    "the bias is missing: return the weight and the bias": _fold(of=lambda weight, bias: weight),
}


ALIKE: dict[str, Callable] = {
    "nothing is changed where the means are equal: the deviations may differ": (
        lambda w, b, m, s, n, t: (w, b) if m == n else _folded(w, b, m, s, n, t)
    ),
    "nothing is changed where the deviations are equal: the means may differ": (
        lambda w, b, m, s, n, t: (w, b) if s == t else _folded(w, b, m, s, n, t)
    ),
}


def _fold_plain(w: Tensor, b: Tensor, m: Tensor, s: Tensor, n: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The right formula, with the numbers spread over whatever axis they fit."""
    return w * t / s, b + (w * (n - m) / s).sum((1, 2, 3))


@check(
    "The steps are 1, q, q², ...: how many of them lead from offset 0 to the last one, and what must they add up "
    "to? A larger q gives a larger sum, so you can close in on it from both sides.",
    "The sum of `q**k for k in range(old - 1)` must be `new - 1`. Start with `low, high = 1, new`, take the "
    "middle 100 times, and keep the half in which the sum passes `new - 1`. Then add up the steps, and mirror.",
)
def geometric_places(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`geometric_places(old, new)` says where the offsets of a small grid lie in a larger one."""
    right = _geometric_places
    cases = telling(lambda: [_two_grids(rng, 6, 3), _two_grids(rng, 4, 18)], right, PLACES)
    factors = FACTORS | {
        "the steps grow by one factor, but not by that which leads to new - 1": _by_its_own_factor(answer)
    }
    mistakes = (
        PLACES | factors | {"all places are whole numbers: they lie between the new offsets": _whole(answer)}
    )
    problem = explain(answer, _to_a_thousandth, cases, mistakes, tolerance=1e-5)
    yield "lets the steps grow by one factor up to the edge", problem
    if problem:
        return
    same = [(3, 3), (7, 7), (14, 14)]
    problem = explain(answer, _to_a_thousandth, same, SAME | factors, tolerance=1e-5)
    yield "keeps the places where the grid stays the same", problem
    edges = [(27, 28), (14, 15), (3, 4), (3, 60), (6, 7), (7, 12), (14, 24), (4, 100), (12, 13), (3, 2000)]
    problem = explain(answer, _to_a_thousandth, edges, factors, tolerance=1e-5)
    yield "works for factors close to 1, and for large ones", problem


def _two_grids(rng: Generator, old: int, more: int) -> tuple[int, int]:
    one, other = distinct(rng, 2, 0, 4)
    return old + one % 3, old + one % 3 + more + other


def _factor(steps: int, total: float, low: float = 1.0, high: float = 1e4, first: int = 0) -> float:
    """The factor q between `low` and `high` with which q**first + ... , of so many steps, add up to `total`."""
    for _ in range(80):
        middle = (low + high) / 2
        passes = sum(middle ** (first + step) for step in range(steps)) > total
        low, high = (low, middle) if passes else (middle, high)
    return low


def _places(steps: list[float]) -> list[float]:
    """Where these steps lead from 0, in both directions."""
    outwards = list(accumulate(steps))
    return [-place for place in reversed(outwards)] + [0.0] + outwards


def _steps(old: int, new: int, **limits: Any) -> list[float]:
    factor = _factor(old - 1, new - 1, **limits)
    return [factor**step for step in range(old - 1)]


def _geometric_places(old: int, new: int) -> list[float]:
    return _places(_steps(old, new))


def _to_a_thousandth(old: int, new: int) -> list[Between]:
    return [Between(place - 1e-3, place + 1e-3) for place in _geometric_places(old, new)]


def _by_its_own_factor(answer: Answer) -> Callable:
    """The places for the factor that the answer found, whatever it is: its second step, after one of 1."""

    def places(old: int, new: int) -> list[float]:
        _, one, other = answer(old, new)[old - 1 : old + 2]
        return _places([(other - one) ** step for step in range(old - 1)])

    return places


def _whole(answer: Answer) -> Callable:
    """The answer's places where they all are whole numbers."""

    def places(old: int, new: int) -> list[float] | None:
        got = answer(old, new)
        return got if all(float(place).is_integer() for place in got) else None

    return places


def _other_steps(of: Callable[[int, int], list[float]]) -> Callable:
    """The places that other steps lead to."""
    return lambda old, new: _places(of(old, new))


def _made_of(of: Callable[[list[float]], Any]) -> Callable:
    """What is made of the right places."""
    return lambda old, new: of(_geometric_places(old, new))


def _by_powers(old: int, new: int) -> list[float]:
    """Places, not steps, that grow by one factor, from 1 to the edge."""
    outwards = [(new - 1) ** (place / (old - 2)) for place in range(old - 1)]
    return [-place for place in reversed(outwards)] + [0.0] + outwards


PLACES: dict[str, Callable] = {
    "all steps are equal: they should grow by a factor": _other_steps(
        lambda old, new: [(new - 1) / (old - 1)] * (old - 1)
    ),
    "all steps are 1: the last place must be new - 1": _other_steps(lambda old, new: [1.0] * (old - 1)),
    "the first step is 1, and all others are equal: each is q times the one before": _other_steps(
        lambda old, new: [1.0] + [(new - 2) / (old - 2)] * (old - 2)
    ),
    "q is taken for (new - 1) / (old - 1): the sum of the steps says what it is": _other_steps(
        lambda old, new: [((new - 1) / (old - 1)) ** k for k in range(old - 1)]
    ),
    "the steps grow by the same amount, not by the same factor": _other_steps(
        lambda old, new: [1 + 2 * k * (new - old) / (old - 1) / (old - 2) for k in range(old - 1)]
    ),
    "the places themselves grow by a factor: the steps between them should": _by_powers,
    "the steps become smaller towards the edge: they grow": _other_steps(lambda old, new: _steps(old, new)[::-1]),
    "the factor is chosen for one step too many: `old - 1` lead from 0 to the edge": _other_steps(
        lambda old, new: [_factor(old, new - 1) ** k for k in range(old - 1)]
    ),
    "the factor is chosen for one step too few: `old - 1` lead from 0 to the edge": _other_steps(
        lambda old, new: [_factor(old - 2, new - 1) ** k for k in range(old - 1)]
    ),
    "the last place is `new`: it is new - 1, the largest offset": _other_steps(
        lambda old, new: [_factor(old - 1, new) ** k for k in range(old - 1)]
    ),
    "the last place is `new - 2`: it is new - 1, the largest offset": _other_steps(
        lambda old, new: [_factor(old - 1, new - 2) ** k for k in range(old - 1)]
    ),
    "the last place is half as far out: it is new - 1, the largest offset": _other_steps(
        lambda old, new: [_factor(old - 1, max(old - 1, new // 2)) ** k for k in range(old - 1)]
    ),
    "the last place is 2 * new - 1, the number of offsets: it is new - 1, the largest": _other_steps(
        lambda old, new: [_factor(old - 1, 2 * new - 1) ** k for k in range(old - 1)]
    ),
    "the last place is 2 * (new - 1), from one edge to the other: it is new - 1": _other_steps(
        lambda old, new: [_factor(old - 1, 2 * new - 2) ** k for k in range(old - 1)]
    ),
    "`old` and `new` count patches of a side, not offsets: do not halve them": _other_steps(
        lambda old, new: [_factor(old // 2, new // 2) ** k for k in range(old // 2)]
    ),
    "the last power of the factor is new - 1: the sum of the steps should be": _other_steps(
        lambda old, new: [((new - 1) ** (1 / (old - 2))) ** k for k in range(old - 1)]
    ),
    "the first step is q: it is 1": _other_steps(
        lambda old, new: [_factor(old - 1, new - 1, low=0.0, first=1) ** (k + 1) for k in range(old - 1)]
    ),
    "the first step is q, with the q of steps that start with 1": _other_steps(
        lambda old, new: [_factor(old - 1, new - 1) ** (k + 1) for k in range(old - 1)]
    ),
    "the negative offsets are missing: mirror the places": _made_of(lambda places: places[len(places) // 2 :]),
    "the negative offsets and 0 are missing": _made_of(lambda places: places[len(places) // 2 + 1 :]),
    "the negative offsets have no minus": _made_of(lambda places: [abs(place) for place in places]),
    "0 is missing": _made_of(lambda places: [place for place in places if place]),
    "0 is there twice": _made_of(lambda places: sorted([*places, 0.0])),
    "the positive offsets are missing": _made_of(lambda places: places[: len(places) // 2 + 1]),
    "the places fall: from the smallest to the largest": _made_of(lambda places: places[::-1]),
    "the negative offsets go away from the edge: they rise from -(new - 1) to 0": _made_of(
        lambda places: sorted(places[: len(places) // 2], reverse=True) + places[len(places) // 2 :]
    ),
    "the places start at 0: offset 0 is the one in the middle": _made_of(
        lambda places: [place - places[0] for place in places]
    ),
    "these are the steps: add them up": _steps,
    "these are the steps to both sides: add them up": (
        lambda old, new: [-step for step in reversed(_steps(old, new))] + [0.0] + _steps(old, new)
    ),
    "that is the factor: return the places": lambda old, new: _factor(old - 1, new - 1),
    "the places are rounded: they lie between the new offsets": _made_of(
        lambda places: [float(round(place)) for place in places]
    ),
    "the places are divided by the last one: they are offsets, in patches": _made_of(
        lambda places: [place / places[-1] for place in places]
    ),
    "one of the two outermost offsets is missing on each side": _made_of(lambda places: places[1:-1]),
}

SAME: dict[str, Callable] = {
    "the factor is 1 where the grid stays the same: the search must be able to find that": _other_steps(
        lambda old, new: _steps(old, new, low=1.01)
    ),
}

FACTORS: dict[str, Callable] = {
    "the factor may be closer to 1 than 1.01, where the official search starts": _other_steps(
        lambda old, new: _steps(old, new, low=1.01)
    ),
    "the factor may be larger than 1.5, where the official search ends": _other_steps(
        lambda old, new: _steps(old, new, high=1.5)
    ),
}
for limit in (2, 3, 4, 5, 10, 20, 50, 100, 1000):
    FACTORS[f"the factor may be larger than {limit}"] = _other_steps(
        lambda old, new, limit=limit: _steps(old, new, high=limit)
    )


GUESSES = {
    "checkpoint_megabytes": Guess(
        21.5, "5.4 million numbers of 4 bytes each. A file of 8 bits has a quarter of that.", within=0.03
    ),
    "strict_false": Guess(
        "it loads nothing, and says nothing",
        "only tensors of the same name are copied, and here no name is the same. What is missing stays as it was.",
        choices=("it stops with an error", "it loads nothing, and says nothing", "it matches tensors by shape"),
    ),
    "fresh_biases": Guess(
        0,
        "biases start at 0, so a network without them is the same. Compare with weights of which none is 0 or 1.",
    ),
    "softmax_shift": Guess(
        0,
        "both exponentials grow by the same factor, which the sum below takes out again: only differences count.",
    ),
    "unseen_mistake": Guess(
        "epsilon 1e-3",
        "tokens vary far more than that, so nearly nothing changes that one could see; the numbers do.",
        choices=("epsilon 1e-3", "mask token last", "query and key swapped", "pixels as (i, j, c)"),
    ),
    "offsets_at_64": Guess(961, "31 rows times 31 columns: from -15 to 15 there are 31 whole numbers."),
    "onnx_times": Guess(
        4, "32 bits are four times 8; the graph itself, all that the network computes, takes little.", within=0.1
    ),
}
