"""Checks of lesson 10 and its exercises: weights of others, and what it takes to use them."""

import re
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from simmim_lab.checks import solutions
from simmim_lab.checks.core import Answer, Verdict, check, describe, distinct, explain, telling
from simmim_lab.checks.guessing import Guess

Weights = dict[str, Tensor]


@check(
    "One name after the other, and for each name one rule after the other. A rule sees what the rules before it "
    "made of the name. How do you find out that a name has been given already?",
    "`for old, new in rules.items(): name = name.replace(old, new)` inside a loop over `weights.items()`. If the "
    "new name is already among the new ones, `raise ValueError(...)`.",
    solution=solutions.rename_keys,
)
def rename_keys(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`rename_keys(weights, rules)` gives the tensors the names that the rules make."""
    right = solutions.rename_keys
    cases = telling(lambda: [_named(rng) for _ in range(2)], right, RENAMINGS)
    problem = explain(answer, right, cases, RENAMINGS)
    yield "applies all rules to all names", problem
    if problem:
        return
    weights, rules = cases[0]
    one, other = (torch.rand(n, generator=rng) for n in distinct(rng, 2, 2, 6))
    edges = [(weights, {}), ({}, rules), ({"a.a": one}, {"a": "aa"}), ({"a+b(c)": one}, {"+b(": "[*]\\1"})]
    edges += [({"norm": one, "Norm": other}, {"norm.": "layer."})]
    yield "works without rules or tensors, and for names with any signs", explain(answer, right, edges)
    yield "lets tensors exchange their names", _exchanged(answer, one, other)
    twins = [
        ({"a.w": one, "b.w": other}, {"a.": "c.", "b.": "c."}),
        ({"new.w": one, "old.w": other}, {"old": "new"}),
        ({"a.w": one, "b.w": one.clone()}, {"a": "x", "b": "x"}),
    ]
    for case in twins:
        yield "stops where two tensors would get the same name", _twins(answer, *case)


def _named(rng: Generator) -> tuple[Weights, dict[str, str]]:
    """Tensors, and rules of which some change what others made, or fit a name twice, or only as a pattern."""
    letters = torch.randint(97, 123, (7, 5), generator=rng).tolist()
    top, new, part, short, inner, leaf, other = ("".join(map(chr, word)) for word in letters)
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
    return {name: torch.rand(distinct(rng, 2, 1, 4), generator=rng) for name in names}, rules


def _exchanged(answer: Answer, one: Tensor, other: Tensor) -> Verdict:
    """What is wrong with an answer for which a name stays taken when its tensor has got another one."""
    case = {"a": one, "b": other}, {"a": "free", "b": "a", "free": "b"}
    try:
        answer.function(*case)
    except ValueError:
        return f"a name is free when its tensor got another: compare with the new names\n{answer.shown(*case)}"
    return explain(answer, solutions.rename_keys, [case])


def _twins(answer: Answer, weights: Weights, rules: dict[str, str]) -> Verdict:
    """What is wrong with an answer that does not refuse to call two tensors alike."""
    try:
        got = answer.function(dict(weights), rules)
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
    renamed = solutions.rename_keys(weights, rules)
    return {new: tensor for (new, tensor), old in zip(renamed.items(), weights, strict=True) if new != old}


RENAMINGS: dict[str, Callable] = {
    "no name has changed": lambda weights, rules: dict(weights),
    "`old` and `new` are exchanged": _in_turn(lambda name, old, new: name.replace(new, old)),
    "only the first rule that fits a name is applied: all of them are": _chosen(lambda rules: rules[:1]),
    "only the last rule that fits a name is applied: all of them are": _chosen(lambda rules: rules[-1:]),
    "only the first of all rules is applied": lambda w, r: solutions.rename_keys(w, dict(list(r.items())[:1])),
    "only the last of all rules is applied: did the loop forget the name between?": (
        lambda w, r: solutions.rename_keys(w, dict(list(r.items())[-1:]))
    ),
    "a rule that fits only what another one made is left out": _chosen(lambda rules: rules),
    "the rules are applied in the opposite order": _by_name(
        lambda name, rules: next(iter(solutions.rename_keys({name: None}, dict(reversed(rules.items())))))
    ),
    "the rules are sorted first: keep their order": lambda w, r: solutions.rename_keys(w, dict(sorted(r.items()))),
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
    "the old names are still there, beside the new ones": (lambda w, r: {**w, **solutions.rename_keys(w, r)}),
    "these are the new names without their tensors": lambda w, r: list(solutions.rename_keys(w, r)),
    "that is a table of old names and new ones: give the tensors": (
        lambda w, r: dict(zip(w, solutions.rename_keys(w, r), strict=True))
    ),
    "these are pairs of name and tensor: make a dict of them": (
        lambda w, r: list(solutions.rename_keys(w, r).items())
    ),
    "the tensors were changed, too": lambda w, r: {n: t.T for n, t in solutions.rename_keys(w, r).items()},
    "the tensors became lists": lambda w, r: {n: t.tolist() for n, t in solutions.rename_keys(w, r).items()},
    "the names are sorted, so the tensors have got those of others": (
        lambda w, r: dict(zip(sorted(solutions.rename_keys(w, r)), w.values(), strict=True))
    ),
}


@check(
    "One linear map has as many rows as the three together: which rows come first? What does a map without a bias "
    "add, and how many numbers are that?",
    "`torch.cat(weights)` puts rows below each other. For a bias that is None take "
    "`torch.zeros(len(weights[0]))`; then `torch.cat` of the three.",
    solution=solutions.pack_qkv,
)
def pack_qkv(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`pack_qkv(weights, biases)` makes one linear map of three."""
    right = solutions.pack_qkv
    cases = [_three_maps(rng, 1), _three_maps(rng, None)]  # of different sizes, so each mistake shows
    problem = explain(answer, right, cases, PACKINGS)
    yield "puts query, key and value below each other", problem
    if problem:
        return
    gaps = [_three_maps(rng, gap) for gap in (0, 2)]
    weights, biases = _three_maps(rng, 0)
    gaps += [(weights, [None, None, biases[2]]), (weights, [None, biases[1], None]), (weights, [None] * 3)]
    yield "takes zeros for any bias that is None, also for all", explain(answer, right, gaps)
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
PACKINGS: dict[str, Callable] = {
    f"the order here is {', '.join(PARTS[place] for place in order)}: it is {', '.join(PARTS)}": _in_order(*order)
    for order in list(permutations(range(3)))[1:]
} | {
    "the weights come in the order query, key, value, but the biases do not: key and value are exchanged": _packed(
        bias=lambda b: torch.cat([b[0], b[2], b[1]])
    ),
    "the maps stand beside each other: they take the same inputs, so put their rows below each other": _packed(
        lambda w: torch.cat(w, 1)
    ),
    "the three are stacked on an axis of their own: put their rows below each other": _packed(
        torch.stack, torch.stack
    ),
    "the weights are stacked on an axis of their own: put their rows below each other": _packed(torch.stack),
    "the rows take turns, one of each: first come all rows of query": _packed(
        lambda w: torch.stack(w, 1).flatten(0, 1), lambda b: torch.stack(b, 1).flatten()
    ),
    "the weights are transposed: a row for each output, as `nn.Linear` has it": _packed(lambda w: torch.cat(w).T),
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
    "if one bias is missing, the result has none: the others stay, and zeros for the missing one": (
        lambda w, b: (torch.cat(w), None if None in b else torch.cat(b))
    ),
    "the bias of key is never used: it is only zero where it is None": _packed(
        filled=lambda w, b: _filled(w, [b[0], None, b[2]])
    ),
    "the biases are never used": _packed(filled=lambda w, b: _filled(w, [None] * 3)),
    "the three maps are added: they are put below each other": _packed(sum, sum),
    "the weights are those of query, three times": _packed(lambda w: torch.cat([w[0]] * 3)),
    "the biases are a list: make one vector of them": _packed(bias=list),
    "the biases are a table with a row for each part: make one vector of it": _packed(bias=torch.stack),
    "first the weight, then the bias: the other way round": (lambda w, b: solutions.pack_qkv(w, b)[::-1]),
    "the bias is missing: return the weight and the bias": lambda w, b: torch.cat(w),
    "the bias is one more column of the weight: return them apart": (
        lambda w, b: torch.cat([torch.cat(w), torch.cat(_filled(w, b))[:, None]], 1)
    ),
}


@check(
    "`torch.nn.functional.interpolate` works on a batch of maps, (batch, channels, height, width). What is a "
    "channel here? How do you bring `positions` into this form, and back?",
    "`positions.permute(2, 0, 1)[None]` is (1, dim, rows, cols). Then `interpolate(..., size=grid, "
    'mode="bicubic")`, and `[0].permute(1, 2, 0)`.',
    solution=solutions.resize_positions,
)
def resize_positions(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`resize_positions(positions, grid)` interpolates a map of vectors to another grid."""
    right = solutions.resize_positions
    cases = telling(lambda: [_map_of_vectors(rng, 1), _map_of_vectors(rng, -1)], right, RESIZINGS)
    problem = explain(answer, right, cases, RESIZINGS)
    yield "interpolates to more patches, and to fewer", problem
    if problem:
        return
    (positions, _), *_ = cases
    rows, cols, _ = positions.shape
    same = [(positions, (rows, cols)), (positions[:1], (1, cols)), (1000 * positions, (rows, cols))]
    yield "changes nothing for the same grid", explain(answer, right, same)
    edges = [
        (positions, (2 * rows, cols)),
        (positions, (cols, rows)),
        (positions, (1, 1)),
        (positions[:1, :1], (3, 2)),
        (positions[:, :, :1], (rows + 1, cols + 2)),
        (positions + 100, (rows + 2, cols - 1)),
        (-positions, (rows + 1, cols + 3)),
    ]
    yield (
        "works for one patch, one number, large and negative values, and sides changed apart",
        explain(answer, right, edges),
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
    return lambda positions, grid: of(solutions.resize_positions(positions, grid).permute(2, 0, 1))


def _along_one(axis: int) -> Callable:
    """Bicubic along one axis, and the nearest value along the other."""

    def resize(positions: Tensor, grid: tuple[int, int]) -> Tensor:
        sides = list(positions.shape[:2])
        sides[axis] = grid[axis]
        return _resized("nearest-exact")(solutions.resize_positions(positions, tuple(sides)), grid)

    return resize


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
    "the grid is (rows, cols), not (cols, rows)": lambda p, g: solutions.resize_positions(p, g[::-1]),
    "rows and columns of the result are exchanged": _maps(lambda maps: maps.permute(2, 1, 0)),
    "rows and columns are exchanged before: which axis has the rows?": (
        lambda p, g: solutions.resize_positions(p.transpose(0, 1), g)
    ),
    "the axes of the result are (dim, rows, cols): bring dim back to the end": _maps(lambda maps: maps),
    "the result has one more axis, of the batch: take `[0]`": _maps(lambda maps: maps.permute(1, 2, 0)[None]),
    "the result is a batch of maps: take `[0]`, and bring dim back to the end": _maps(lambda maps: maps[None]),
    "the grid became one axis: keep rows and columns": _maps(lambda maps: maps.flatten(1).T),
    "`view` or `reshape` does not exchange axes: `permute` does": (
        lambda p, g: interpolate(p.reshape(1, p.shape[2], *p.shape[:2]), g, mode="bicubic")[0].permute(1, 2, 0)
    ),
    "`view` or `reshape` does not exchange axes: dim must come back by `permute`": (
        lambda p, g: _maps(lambda maps: maps.reshape(*g, -1))(p, g)
    ),
    "rows alone are interpolated bicubically": _along_one(0),
    "columns alone are interpolated bicubically": _along_one(1),
    "the vectors were made to the length 1": lambda p, g: torch.nn.functional.normalize(
        solutions.resize_positions(p, g), dim=2
    ),
    "the vectors were scaled with the number of patches": (
        lambda p, g: solutions.resize_positions(p, g) * (g[0] * g[1] / p.shape[0] / p.shape[1])
    ),
    "the mean was taken off": lambda p, g: solutions.resize_positions(p - p.mean((0, 1)), g),
    "the vectors were cut off at 0 and 1": lambda p, g: solutions.resize_positions(p, g).clamp(0, 1),
    "the old grid is cut, or filled with zeros: interpolate": _cut_or_filled,
    "the old grid is repeated like tiles: interpolate": (
        lambda p, g: p[torch.arange(g[0]) % p.shape[0]][:, torch.arange(g[1]) % p.shape[1]]
    ),
    "nothing has changed: the grid is to be another": lambda p, g: p.clone(),
}


GUESSES: dict[str, Guess] = {}
