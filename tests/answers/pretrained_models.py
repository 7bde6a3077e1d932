"""Answers to the exercises on pretrained models (lesson 10)."""

import itertools
import math
import re
from functools import reduce

import einops
import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import brentq

from answers import right, wrong

# rename_keys


@right("rename_keys")
def rule_after_rule(weights, rules):
    names = list(weights)
    for old, new in rules.items():
        names = [name.replace(old, new) for name in names]
    if len(set(names)) < len(names):
        raise ValueError("two tensors have one name")
    return dict(zip(names, weights.values(), strict=True))


@right("rename_keys")
def escaped_patterns(weights, rules):
    renamed = {}
    for name, tensor in weights.items():
        for old, new in rules.items():
            name = re.sub(re.escape(old), lambda _, new=new: new, name)
        if renamed.setdefault(name, tensor) is not tensor:
            raise ValueError(f"{name} is there twice")
    return renamed


@right("rename_keys")
def split_and_joined(weights, rules):
    def rename(name):
        return reduce(lambda text, rule: rule[1].join(text.split(rule[0])), rules.items(), name)

    pairs = sorted((rename(name), name) for name in weights)
    for (one, _), (other, _) in itertools.pairwise(pairs):
        if one == other:
            raise ValueError(f"{one} is there twice: rename one of them")
    return {new: weights[old] for new, old in pairs}


@right("rename_keys")
@torch.compile
def counted(weights, rules):
    renamed = {}
    for name in weights:
        new = name
        for rule in rules:
            new = new.replace(rule, rules[rule])
        renamed[new] = weights[name].clone()
    if len(renamed) != len(weights):
        raise ValueError("a tensor was lost")
    return renamed


class Renamer:
    def __call__(self, weights, rules):
        renamed = dict(weights)
        for old, new in rules.items():
            before, renamed = renamed, {}
            for name, tensor in before.items():
                if name.replace(old, new) in renamed:
                    raise ValueError(name)
                renamed[name.replace(old, new)] = tensor
        return renamed


right("rename_keys")(Renamer())


def each_name(change):
    return lambda weights, rules: {change(name, rules): tensor for name, tensor in weights.items()}


def each_rule(step):
    def change(name, rules):
        for old, new in rules.items():
            name = step(name, old, new)
        return name

    return each_name(change)


def replaced(name, rules):
    for old, new in rules:
        name = name.replace(old, new)
    return name


TASK = "rename_keys"
wrong(TASK, "no name has changed")(lambda w, r: {name: tensor for name, tensor in w.items()})
wrong(TASK, "`old` and `new` are exchanged")(each_rule(lambda n, old, new: n.replace(new, old)))
wrong(TASK, "only the first rule that fits")(
    each_name(lambda n, r: next((n.replace(old, new) for old, new in r.items() if old in n), n))
)
wrong(TASK, "only the last rule that fits")(
    each_name(lambda n, r: ([n] + [n.replace(old, new) for old, new in r.items() if old in n])[-1])
)
wrong(TASK, "only the first of all rules")(each_name(lambda n, r: replaced(n, list(r.items())[:1])))
wrong(TASK, "only the last of all rules")(
    each_name(lambda n, r: [n.replace(old, r[old]) for old in r][-1] if r else n)
)
wrong(TASK, "a rule that fits only what another one made")(
    each_name(lambda n, r: replaced(n, [(old, new) for old, new in r.items() if old in n]))
)
wrong(TASK, "in the opposite order")(each_name(lambda n, r: replaced(n, list(r.items())[::-1])))
wrong(TASK, "the rules are sorted first")(each_name(lambda n, r: replaced(n, sorted(r.items()))))
wrong(TASK, "`old` is replaced once in a name")(each_rule(lambda n, old, new: n.replace(old, new, 1)))
wrong(TASK, "only the last `old` in a name")(each_rule(lambda n, old, new: new.join(n.rsplit(old, 1))))
wrong(TASK, "at the start of a name alone")(each_rule(lambda n, old, new: re.sub("^" + re.escape(old), new, n)))
wrong(TASK, "at the end of a name alone")(each_rule(lambda n, old, new: re.sub(re.escape(old) + "$", new, n)))
wrong(TASK, "only names that are `old` as a whole")(each_name(lambda n, r: r.get(n, n)))
wrong(TASK, "the whole name becomes `new`")(each_rule(lambda n, old, new: new if n.find(old) >= 0 else n))
wrong(TASK, "a whole part between two dots")(
    each_rule(lambda n, old, new: ".".join(new if part == old else part for part in n.split(".")))
)
wrong(TASK, "a rule is taken for a pattern")(each_rule(lambda n, old, new: re.sub(old, new, n)))
wrong(TASK, "capital letters are taken for small ones")(
    each_rule(lambda n, old, new: re.compile(re.escape(old), re.I).sub(new, n))
)
wrong(TASK, "all letters became small ones")(each_rule(lambda n, old, new: n.replace(old, new).lower()))
wrong(TASK, "`new` does not come in")(each_rule(lambda n, old, new: "".join(n.split(old))))
wrong(TASK, "a name that no rule fits is lost")(
    lambda w, r: {replaced(n, r.items()): t for n, t in w.items() if replaced(n, r.items()) != n}
)
wrong(TASK, "the old names are still there")(lambda w, r: dict(w) | rule_after_rule(w, r))
wrong(TASK, "the new names without their tensors")(lambda w, r: [replaced(n, r.items()) for n in w])
wrong(TASK, "a table of old names and new ones")(lambda w, r: {n: replaced(n, r.items()) for n in w})
wrong(TASK, "pairs of name and tensor")(lambda w, r: [(replaced(n, r.items()), t) for n, t in w.items()])
wrong(TASK, "the tensors were changed")(lambda w, r: {replaced(n, r.items()): t.mT for n, t in w.items()})
wrong(TASK, "have got those of others")(
    lambda w, r: dict(zip(sorted(replaced(n, r.items()) for n in w), w.values(), strict=True))
)
wrong(TASK, "2 tensors went in and 1 came out")(each_name(lambda n, r: replaced(n, r.items())))
wrong(TASK, "all at once: one after the other")(
    each_name(lambda n, r: re.sub("|".join(map(re.escape, r)) or "$", lambda found: r.get(found[0], ""), n))
)
wrong(TASK, "sorted by their length")(
    each_name(lambda n, r: replaced(n, sorted(r.items(), key=lambda rule: len(rule[0]), reverse=True)))
)
wrong(TASK, "applied again to what they made")(each_name(lambda n, r: replaced(replaced(n, r.items()), r.items())))
wrong(TASK, "a rule with nothing as `new`")(each_rule(lambda n, old, new: n.replace(old, new) if new else n))
wrong(TASK, "`lstrip` takes off single letters")(
    each_rule(lambda n, old, new: n.replace(old, new) if new else n.lstrip(old))
)
wrong(TASK, "dots at the ends of a name")(each_rule(lambda n, old, new: n.replace(old, new).strip(".")))
wrong(TASK, "and for any names and numbers")(
    each_rule(lambda n, old, new: replaced(n, [(old, new)] * (1 if old in new else 9)))
)
wrong(TASK, "expected whole numbers")(lambda w, r: {n: t.float() for n, t in rule_after_rule(w, r).items()})


@wrong(TASK, "a name is free when its tensor got another")
def moved_one_by_one(weights, rules):
    renamed = dict(weights)
    for old, new in rules.items():
        for name in [name for name in renamed if old in name]:
            if name.replace(old, new) in renamed:
                raise ValueError(name)
            renamed[name.replace(old, new)] = renamed.pop(name)
    return renamed


@wrong(TASK, "a ValueError is asked for")
def other_error(weights, rules):
    renamed = each_name(lambda n, r: replaced(n, r.items()))(weights, rules)
    assert len(renamed) == len(weights)
    return renamed


@wrong(TASK, "expected a ValueError, got")
def numbered(weights, rules):
    renamed = {}
    for name, tensor in weights.items():
        new = replaced(name, rules.items())
        renamed[new + "_2" if new in renamed else new] = tensor
    return renamed


@wrong(TASK, "a name is free when its tensor got another")
def compared_with_the_old(weights, rules):
    for name in weights:
        new = replaced(name, rules.items())
        if new != name and new in weights:
            raise ValueError(new)
    return rule_after_rule(weights, rules)


@wrong(TASK, "2 tensors went in and 1 came out")
def only_new_names_are_compared(weights, rules):
    renamed = {}
    for name, tensor in weights.items():
        new = replaced(name, rules.items())
        if new != name and new in renamed:
            raise ValueError(new)
        renamed[new] = tensor
    return renamed


@wrong(TASK, "leaves its inputs as they are")
def popped(weights, rules):
    for name in list(weights):
        weights[replaced(name, rules.items())] = weights.pop(name)
    return weights


# pack_qkv


@right("pack_qkv")
def one_after_the_other(weights, biases):
    zeros = torch.zeros(weights[0].shape[0])
    return torch.cat(weights), torch.cat([zeros if bias is None else bias for bias in biases], dim=0)


@right("pack_qkv")
def rearranged(weights, biases):
    filled = [torch.zeros_like(w[:, 0]) if b is None else b for w, b in zip(weights, biases, strict=True)]
    return [einops.rearrange(part, "three out ... -> (three out) ...") for part in (weights, filled)]


@right("pack_qkv")
@torch.compile
def compiled(weights, biases):
    return torch.vstack(weights), torch.hstack(
        [w[:, 0] * 0 if b is None else b for w, b in zip(weights, biases, strict=True)]
    )


@right("pack_qkv")
def filled_in(weights, biases):
    out, dim = weights[0].shape
    weight, bias = torch.empty(3 * out, dim, dtype=torch.float64), torch.zeros(3 * out, dtype=torch.float64)
    for place in range(3):
        weight[place * out : (place + 1) * out] = weights[place]
        if biases[place] is not None:
            bias[place * out : (place + 1) * out] = biases[place]
    return weight, bias


@right("pack_qkv")
def with_numpy(weights, biases):
    bias = np.concatenate(
        [np.zeros(len(w), np.float32) if b is None else b for w, b in zip(weights, biases, strict=True)]
    )
    return torch.from_numpy(np.concatenate(weights)), torch.from_numpy(bias)


def zeros_for_none(weights, biases):
    return [torch.zeros(len(weights[0])) if bias is None else bias for bias in biases]


def packed(weight=torch.cat, bias=torch.cat, fill=zeros_for_none):
    return lambda weights, biases: (weight(weights), bias(fill(weights, biases)))


def in_order(*order):
    return packed(*[lambda parts: torch.cat([parts[place] for place in order])] * 2)


TASK = "pack_qkv"
wrong(TASK, "the rows of the weights take turns, those of the biases do not")(
    packed(lambda w: einops.rearrange(w, "three out dim -> (out three) dim"))
)
wrong(TASK, "the order here is key, query, value")(in_order(1, 0, 2))
wrong(TASK, "the order here is value, key, query")(in_order(2, 1, 0))
wrong(TASK, "the order here is query, value, key")(in_order(0, 2, 1))
wrong(TASK, "key and value are exchanged")(packed(bias=lambda b: torch.cat([b[0], b[2], b[1]])))
wrong(TASK, "in the biases query and value are exchanged")(packed(bias=lambda b: torch.cat(b[::-1])))
wrong(TASK, "in the biases the numbers take turns")(packed(bias=lambda b: torch.stack(b).T.flatten()))
wrong(TASK, "if all three biases are missing")(
    lambda w, b: (torch.cat(w), None) if b == [None] * 3 else one_after_the_other(w, b)
)
wrong(TASK, "the maps stand beside each other")(packed(torch.hstack))
wrong(TASK, "the three are stacked on an axis of their own")(packed(torch.stack, torch.stack))
wrong(TASK, "the weights are stacked on an axis")(packed(torch.stack))
wrong(TASK, "the rows take turns")(
    packed(*[lambda parts: einops.rearrange(parts, "three out ... -> (out three) ...")] * 2)
)
wrong(TASK, "the weights are transposed")(packed(lambda w: torch.cat(w).T))
wrong(TASK, "each weight is transposed")(packed(lambda w: torch.cat([part.T for part in w])))
wrong(TASK, "a bias that is None is left out")(packed(fill=lambda w, b: [part for part in b if part is not None]))
wrong(TASK, "stand at the end")(
    lambda w, b: (
        (
            torch.cat(w),
            F.pad(torch.cat([part for part in b if part is not None]), (0, len(w[0]) * b.count(None))),
        )
        if any(part is None for part in b)
        else one_after_the_other(w, b)
    )
)
wrong(TASK, "zeros, not ones")(packed(fill=lambda w, b: [torch.ones(len(w[0])) if x is None else x for x in b]))
wrong(TASK, "a copy of that of query")(packed(fill=lambda w, b: [b[0] if x is None else x for x in b]))
wrong(TASK, "a zero for each column")(
    packed(fill=lambda w, b: [w[0].new_zeros(w[0].shape[1]) if x is None else x for x in b])
)
wrong(TASK, "became a single zero")(packed(fill=lambda w, b: [torch.zeros(1) if x is None else x for x in b]))
wrong(TASK, "if one bias is missing, all became zeros")(
    lambda w, b: (torch.cat(w), torch.zeros(3 * len(w[0])) if any(x is None for x in b) else torch.cat(b))
)
wrong(TASK, "if one bias is missing, the result has none")(
    lambda w, b: (torch.cat(w), torch.cat(b) if all(x is not None for x in b) else None)
)
wrong(TASK, "the bias of key is never used")(
    lambda w, b: (torch.cat(w), torch.cat([b[0], torch.zeros_like(b[0]), b[2]]))
)
wrong(TASK, "the biases are never used")(lambda w, b: (torch.cat(w), torch.zeros(3 * len(w[0]))))
wrong(TASK, "the three maps are added")(packed(sum, sum))
wrong(TASK, "those of query, three times")(packed(lambda w: w[0].repeat(3, 1)))
wrong(TASK, "value 2 of 2: expected a tensor, got")(packed(bias=tuple))
wrong(TASK, "a table with a row for each part")(packed(bias=torch.stack))
wrong(TASK, "the other way round")(lambda w, b: one_after_the_other(w, b)[::-1])
wrong(TASK, "the bias is missing")(lambda w, b: torch.vstack(w))
wrong(TASK, "one more column of the weight")(
    lambda w, b: torch.hstack([torch.cat(w), torch.cat(zeros_for_none(w, b))[:, None]])
)
wrong(TASK, "it stopped in")(lambda w, b: (torch.cat(w), torch.cat(b)))


@wrong(TASK, "it stopped in")
def at_most_one_missing(weights, biases):
    filled = [torch.zeros_like(next(b for b in biases if b is not None)) if b is None else b for b in biases]
    return torch.cat(weights), torch.cat(filled)


@wrong(TASK, "leaves its inputs as they are")
def filled_in_place(weights, biases):
    for place, bias in enumerate(biases):
        if bias is None:
            biases[place] = torch.zeros(len(weights[0]))
    return torch.cat(weights), torch.cat(biases)


# resize_positions


@right("resize_positions")
def permuted(positions, grid):
    maps = positions.permute(2, 0, 1).unsqueeze(0)
    return F.interpolate(maps, size=tuple(grid), mode="bicubic").squeeze(0).permute(1, 2, 0)


@right("resize_positions")
def number_by_number(positions, grid):
    maps = [F.interpolate(part[None, None], grid, mode="bicubic")[0, 0] for part in positions.unbind(2)]
    return torch.stack(maps, dim=-1)


def cubic_weights(old, new):
    """The weights of the old places for each new one, by the formula of Keys with a = -0.75."""
    weights = torch.zeros(new, old, dtype=torch.float64)
    for place in range(new):
        centre = (place + 0.5) * old / new - 0.5
        for near in range(math.floor(centre) - 1, math.floor(centre) + 3):
            d, a = abs(centre - near), -0.75
            if d <= 1:
                share = (a + 2) * d**3 - (a + 3) * d**2 + 1
            else:
                share = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
            weights[place, min(max(near, 0), old - 1)] += share
    return weights


@right("resize_positions")
def by_the_formula(positions, grid):
    down, across = (cubic_weights(old, new) for old, new in zip(positions.shape, grid, strict=False))
    return torch.einsum("ir,jc,rcd->ijd", down, across, positions.double())


@right("resize_positions")
@torch.compile
def compiled_resize(positions, grid):
    maps = einops.rearrange(positions, "rows cols dim -> dim 1 rows cols")
    maps = torch.nn.Upsample(size=grid, mode="bicubic", align_corners=False)(maps)
    return einops.rearrange(maps, "dim 1 rows cols -> rows cols dim")


@right("resize_positions")
def sampled(positions, grid):
    rows, cols = (2 * (torch.arange(side) + 0.5) / side - 1 for side in grid)
    places = torch.stack(torch.meshgrid(cols, rows, indexing="xy"), -1)
    maps = F.grid_sample(
        positions.permute(2, 0, 1)[None], places[None], "bicubic", padding_mode="border", align_corners=False
    )
    return maps[0].permute(1, 2, 0)


def resized(mode="bicubic", **options):
    def resize(positions, grid):
        maps = einops.rearrange(positions, "r c d -> 1 d r c")
        return einops.rearrange(F.interpolate(maps, grid, mode=mode, **options), "1 d r c -> r c d")

    return resize


TASK = "resize_positions"
wrong(TASK, "where the grid shrinks it is smoothed")(
    lambda p, g: resized(antialias=g[0] * g[1] < p.shape[0] * p.shape[1])(p, g)
)
wrong(TASK, "that is bilinear: take")(resized("bilinear"))
wrong(TASK, "that is the nearest patch")(resized("nearest"))
wrong(TASK, "nearest to the centre")(resized("nearest-exact"))
wrong(TASK, "the mean over areas")(lambda p, g: F.adaptive_avg_pool2d(p.permute(2, 0, 1), g).permute(1, 2, 0))
wrong(TASK, "taken for the corners: `align_corners=False`")(resized(align_corners=True))
wrong(TASK, "it is smoothed for a smaller grid")(resized(antialias=True))
wrong(TASK, "bilinear, and the outermost patches")(resized("bilinear", align_corners=True))
wrong(TASK, "not (cols, rows)")(lambda p, g: permuted(p, (g[1], g[0])))
wrong(TASK, "rows and columns of the result are exchanged")(lambda p, g: permuted(p, g).transpose(0, 1))
wrong(TASK, "rows and columns are exchanged before")(lambda p, g: permuted(p.swapaxes(0, 1), g))
wrong(TASK, "the axes of the result are (dim, rows, cols)")(
    lambda p, g: F.interpolate(p.permute(2, 0, 1)[None], g, mode="bicubic")[0]
)
wrong(TASK, "`permute(2, 0, 1)` again is another")(
    lambda p, g: F.interpolate(p.permute(2, 0, 1)[None], g, mode="bicubic")[0].permute(2, 0, 1)
)
wrong(TASK, "bring dim to the front first")(lambda p, g: F.interpolate(p[None], size=g, mode="bicubic")[0])
wrong(TASK, "one more axis, of the batch")(lambda p, g: permuted(p, g).unsqueeze(0))
wrong(TASK, "a batch of maps")(lambda p, g: F.interpolate(p.permute(2, 0, 1)[None], g, mode="bicubic"))
wrong(TASK, "the grid became one axis")(lambda p, g: permuted(p, g).flatten(0, 1))
wrong(TASK, "does not exchange axes: `permute` does")(
    lambda p, g: F.interpolate(p.reshape(1, -1, *p.shape[:2]), g, mode="bicubic")[0].permute(1, 2, 0)
)
wrong(TASK, "dim must come back by `permute`")(
    lambda p, g: F.interpolate(p.permute(2, 0, 1)[None], g, mode="bicubic").reshape(*g, p.shape[2])
)
wrong(TASK, "rows alone are interpolated")(
    lambda p, g: resized("nearest-exact")(permuted(p, (g[0], p.shape[1])), g)
)
wrong(TASK, "columns alone are interpolated")(
    lambda p, g: resized("nearest-exact")(permuted(p, (p.shape[0], g[1])), g)
)
wrong(TASK, "made to the length 1")(lambda p, g: F.normalize(permuted(p, g), dim=-1))
wrong(TASK, "scaled with the number of patches")(
    lambda p, g: permuted(p, g) * math.prod(g) / math.prod(p.shape[:2])
)
wrong(TASK, "the mean was taken off")(lambda p, g: permuted(p - p.mean(dim=(0, 1), keepdim=True), g))
wrong(TASK, "cut off at 0 and 1")(lambda p, g: permuted(p, g).clip(0, 1))
wrong(TASK, "the old grid is repeated like tiles")(lambda p, g: p.repeat(9, 9, 1)[: g[0], : g[1]])
wrong(TASK, "the old grid is cut, or filled with zeros")(
    lambda p, g: F.pad(p, (0, 0, 0, g[1] - p.shape[1], 0, g[0] - p.shape[0]))
)
wrong(TASK, "nothing has changed")(lambda p, g: p * 1)
wrong(TASK, "neither before nor after")(
    lambda p, g: F.interpolate(p.view(1, -1, *p.shape[:2]), g, mode="bicubic").view(*g, -1)
)
wrong(TASK, "as in the code of DINO")(
    lambda p, g: F.interpolate(
        p.permute(2, 0, 1)[None],
        scale_factor=((g[0] + 0.1) / p.shape[0], (g[1] + 0.1) / p.shape[1]),
        mode="bicubic",
    )[0].permute(1, 2, 0)
)
wrong(TASK, "a factor is rounded")(
    lambda p, g: F.interpolate(
        p.permute(2, 0, 1)[None], scale_factor=(g[0] / p.shape[0], g[1] / p.shape[1]), mode="bicubic"
    )[0].permute(1, 2, 0)
)
wrong(TASK, "a square of its rows")(lambda p, g: permuted(p, g[:1] * 2))
wrong(TASK, "the least and the largest old value")(lambda p, g: permuted(p, g).minimum(p.max()).maximum(p.min()))
wrong(TASK, "a smaller grid is cut out")(
    lambda p, g: p[: g[0], : g[1]] if math.prod(g) < math.prod(p.shape[:2]) else permuted(p, g)
)
wrong(TASK, "as many rows are not yet the same grid")(lambda p, g: p if len(p) == g[0] else permuted(p, g))
wrong(TASK, "as many patches are not yet the same grid expected")(
    lambda p, g: p if p[..., 0].numel() == math.prod(g) else permuted(p, g)
)
wrong(TASK, "expected the shape")(lambda p, g: permuted(p, g).squeeze())
wrong(TASK, "to fewer expected")(lambda p, g: permuted(p, g) + 0.01)

# grey_embedding


@right("grey_embedding")
def summed(weight):
    return weight.sum(dim=1)[:, None]


@right("grey_embedding")
def reduced(weight):
    return einops.reduce(weight.double(), "dim channels i j -> dim 1 i j", "sum")


@right("grey_embedding")
@torch.compile
def three_added(weight):
    red, green, blue = weight.chunk(3, dim=1)
    return red + green + blue


@right("grey_embedding")
def of_pictures_with_one_pixel(weight):
    dim, _, patch, _ = weight.shape
    pixels = torch.eye(patch * patch).view(-1, 1, patch, patch).expand(-1, 3, -1, -1)
    return F.conv2d(pixels, weight).view(patch, patch, dim).permute(2, 0, 1)[:, None]


class Grey:
    def __call__(self, weight):
        return torch.from_numpy(np.add.reduce(weight.numpy(), axis=1, keepdims=True))


right("grey_embedding")(Grey())


def shares(*channels):
    return lambda weight: torch.einsum("dcij,c->dij", weight, torch.tensor(channels))[:, None]


TASK = "grey_embedding"
wrong(TASK, "the channels are axis 1, not axis 0")(
    lambda w: w.reshape(3, len(w), *w.shape[2:]).sum(0).unsqueeze(1)
)
wrong(TASK, "three times too small")(lambda w: w.mean(dim=1, keepdim=True))
wrong(TASK, "the shares of the colours in brightness")(shares(0.299, 0.587, 0.114))
wrong(TASK, "three times the shares of the colours")(lambda w: 3 * shares(0.299, 0.587, 0.114)(w))
wrong(TASK, "only red is used")(lambda w: w[:, 0:1])
wrong(TASK, "only green is used")(shares(0.0, 1.0, 0.0))
wrong(TASK, "only blue is used")(lambda w: w[:, -1:])
wrong(TASK, "three times red")(lambda w: w[:, :1] * 3)
wrong(TASK, "three times green")(shares(0.0, 3.0, 0.0))
wrong(TASK, "(0.7152 for green)")(shares(0.2126, 0.7152, 0.0722))
wrong(TASK, "blue is left out")(lambda w: w[:, :2].sum(1, keepdim=True))
wrong(TASK, "the smallest of the three")(lambda w: w.min(1, keepdim=True)[0])
wrong(TASK, "does not exchange axes: the channels")(lambda w: w.reshape(len(w), 1, *w.shape[2:], 3).sum(-1))
wrong(TASK, "the largest of the three")(lambda w: w.max(dim=1, keepdim=True).values)
wrong(TASK, "the one in the middle")(lambda w: w.sort(dim=1).values[:, 1:2])
wrong(TASK, "the three are multiplied")(lambda w: w[:, :1] * w[:, 1:2] * w[:, 2:])
wrong(TASK, "the root of the sum of squares")(lambda w: w.square().sum(1, keepdim=True).sqrt())
wrong(TASK, "the signs are lost")(lambda w: w.abs().sum(1, keepdim=True))
wrong(TASK, "divided by the root of 3")(lambda w: w.sum(1, keepdim=True) / math.sqrt(3))
wrong(TASK, "three times too large")(lambda w: w.repeat(1, 3, 1, 1).sum(1, keepdim=True))
wrong(TASK, "the axis of the channels is gone")(lambda w: w.sum(1))
wrong(TASK, "axis 1, not axis 0")(sum)
wrong(TASK, "the numbers of a token are added")(lambda w: w.sum(0, keepdim=True))
wrong(TASK, "the rows of a patch are added")(lambda w: w.sum(2, keepdim=True))
wrong(TASK, "the columns of a patch are added")(lambda w: w.sum(-1, keepdim=True))
wrong(TASK, "all pixels of a patch are added")(lambda w: w.flatten(1).sum(1).view(-1, 1, 1, 1))
wrong(TASK, "there are still three channels: a grey picture")(lambda w: w.sum(1, keepdim=True).repeat(1, 3, 1, 1))
wrong(TASK, "each with a third")(lambda w: w.mean(1, keepdim=True).repeat(1, 3, 1, 1))
wrong(TASK, "the first two axes are exchanged")(lambda w: w.sum(1)[None])
wrong(TASK, "rows and columns of the patch")(lambda w: w.sum(1, keepdim=True).transpose(2, 3))
wrong(TASK, "that it has in colour expected")(lambda w: w.sum(1, keepdim=True).round(decimals=1))
wrong(TASK, "one pixel, 3 x 3 pixels, and weights that cancel")(
    lambda w: w.sum(w.shape.index(3), keepdim=True) if w.shape[0] == 3 else w.sum(1, keepdim=True)
)


@wrong(TASK, "leaves its inputs as they are")
def added_in_place(weight):
    weight[:, :1] += weight[:, 1:2] + weight[:, 2:]
    return weight[:, :1]


# largest_difference


@right("largest_difference")
def by_the_hints(wanted, got):
    if wanted.keys() != got.keys():
        return math.inf
    worst = 0.0
    for name in wanted:
        if wanted[name].shape != got[name].shape:
            return math.inf
        difference = (wanted[name].double() - got[name].double()).abs()
        if not difference.isfinite().all():
            return math.inf
        worst = max([worst, *difference.flatten().tolist()])
    return worst


@right("largest_difference")
def in_one_row(wanted, got):
    shapes = [{name: tensor.shape for name, tensor in part.items()} for part in (wanted, got)]
    if shapes[0] != shapes[1]:
        return float("inf")
    rows = [
        torch.cat([torch.zeros(1, dtype=torch.float64), *(p[n].flatten() for n in wanted)]) for p in (wanted, got)
    ]
    return (rows[0] - rows[1]).abs().nan_to_num(math.inf, math.inf).max()


@right("largest_difference")
def in_numpy(wanted, got):
    worst = 0.0
    for name in set(wanted) | set(got):
        if name not in wanted or name not in got or wanted[name].shape != got[name].shape:
            return np.inf
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            apart = np.abs(wanted[name].double().numpy() - got[name].double().numpy())
        worst = np.maximum(worst, apart.max(initial=0.0))
    return float(worst) if np.isfinite(worst) else np.inf


@right("largest_difference")
@torch.compile
def not_smaller(wanted, got):
    largest = torch.tensor(0.0, dtype=torch.float64)
    if sorted(wanted) != sorted(got):
        return torch.tensor(math.inf)
    for name, tensor in wanted.items():
        if list(tensor.shape) != list(got[name].shape):
            return math.inf
        if tensor.numel():
            largest = torch.maximum(largest, (tensor.double() - got[name]).abs().amax())
    return math.inf if largest.isnan() else largest.item()


def over(of, reduce=max):
    return lambda wanted, got: reduce([of(wanted[name], got[name]).item() for name in wanted])


def guarded(misfit, names=lambda wanted, got: wanted.keys() & got.keys()):
    """Infinity by the rule `misfit`, else what a careful comparison of some names says."""

    def largest(wanted, got):
        if misfit(wanted, got):
            return math.inf
        chosen = names(wanted, got)
        return by_the_hints({n: wanted[n] for n in chosen}, {n: got[n] for n in chosen})

    return largest


def plain(a, b):
    return (a - b).abs().max()


def careful(compare, same_names=True):
    """The largest of what `compare` says of two tensors, where the names are the same."""

    def largest(wanted, got):
        if same_names and wanted.keys() != got.keys():
            return math.inf
        return max((float(compare(wanted[name], got[name])) for name in wanted), default=0.0)

    return largest


def exact(a, b):
    return by_the_hints({"": a}, {"": b})


TASK = "largest_difference"
wrong(TASK, "where `got` is larger nothing is seen")(over(lambda a, b: (a - b).max()))
wrong(TASK, "where `got` is smaller nothing is seen")(over(lambda a, b: (b - a).max()))
wrong(TASK, "the absolute value is taken of the largest")(over(lambda a, b: abs((a - b).max())))
wrong(TASK, "so a wrong sign is not seen")(over(lambda a, b: (a.abs() - b.abs()).abs().max()))
wrong(TASK, "the mean difference of a tensor")(over(lambda a, b: F.l1_loss(a, b)))
wrong(TASK, "the mean over the tensors")(over(plain, lambda all: sum(all) / len(all)))
wrong(TASK, "the mean over all values")(over(F.l1_loss, lambda all: sum(all) / len(all)))
wrong(TASK, "these are added over the tensors")(over(plain, sum))
wrong(TASK, "that is the smallest difference")(over(lambda a, b: (a - b).abs().min(), min))
wrong(TASK, "the tensor that fits best")(over(plain, min))
wrong(TASK, "the squared difference")(over(lambda a, b: ((a - b) ** 2).max()))
wrong(TASK, "root mean square")(over(lambda a, b: F.mse_loss(a, b).sqrt()))
wrong(TASK, "two tensors as vectors")(over(torch.dist))
wrong(TASK, "the lengths of the tensors are subtracted")(over(lambda a, b: abs(a.norm() - b.norm())))
wrong(TASK, "the means of the tensors")(over(lambda a, b: abs(a.mean() - b.mean())))
wrong(TASK, "the largest values are subtracted")(over(lambda a, b: abs(a.max() - b.max())))
wrong(TASK, "divided by the wanted value")(over(lambda a, b: ((a - b).abs() / a.abs()).max()))
wrong(TASK, "divided by the largest wanted value")(over(lambda a, b: plain(a, b) / a.abs().max()))
wrong(TASK, "only the first tensor")(over(plain, lambda all: all[0]))
wrong(TASK, "only the last tensor is compared")(over(plain, lambda all: all[-1]))
wrong(TASK, "only the weights are compared")(
    lambda w, g: max(plain(w[name], g[name]) for name in w if name.endswith("weight"))
)
wrong(TASK, "got {'layer0.bias")(lambda w, g: {name: plain(w[name], g[name]) for name in w})
wrong(TASK, "got a list of")(lambda w, g: [plain(w[name], g[name]) for name in w])
wrong(TASK, "only whether they are close")(
    lambda w, g: bool(w) and all(torch.isclose(w[name], g[name]).all().item() for name in w)
)
wrong(TASK, "the name of the tensor that differs most")(lambda w, g: max(w, key=lambda n: plain(w[n], g[n])))
wrong(TASK, "does the order of the names count?")(
    lambda w, g: by_the_hints(w, g) if list(w) == list(g) else math.inf
)
wrong(TASK, "where `got` is larger it is 0")(over(lambda a, b: (a - b).max(), lambda all: max([0.0, *all])))
wrong(TASK, "where `got` is smaller it is 0")(over(lambda a, b: (b - a).max(), lambda all: max([0.0, *all])))
wrong(TASK, "cut off to whole ones")(over(lambda a, b: (a.long() - b.long()).abs().max()))
wrong(TASK, "the mean of the squares")(over(F.mse_loss))
wrong(TASK, "the differences of a tensor are added")(over(lambda a, b: (a - b).abs().sum()))
wrong(TASK, "differences that are small count as none")(
    lambda w, g: (
        0.0 if w.keys() == g.keys() and all(close(t, g[name]) for name, t in w.items()) else by_the_hints(w, g)
    )
)


def close(a, b):
    return a.shape == b.shape and torch.allclose(a, b)


@wrong(TASK, "paired as they stand in the two dicts")
def as_in_the_exercise(wanted, got):
    worst = 0.0
    for a, b in zip(wanted.values(), got.values(), strict=False):
        worst = max(worst, (a - b).abs().max().item())
    return worst


wrong(TASK, "only names that both have")(guarded(lambda w, g: not w.keys() & g.keys()))
wrong(TASK, "with none in common that is 0")(guarded(lambda w, g: False))
wrong(TASK, "a name that only `got` has is passed over, as if nothing")(guarded(lambda w, g: set(w) - set(g)))
wrong(TASK, "a name that only `wanted` has is passed over, as if nothing")(guarded(lambda w, g: set(g) - set(w)))
wrong(TASK, "how many names there are")(guarded(lambda w, g: len(w) != len(g)))
wrong(TASK, "the names are sorted, and then only counted")(
    lambda w, g: (
        math.inf if len(w) != len(g) else by_the_hints(*(dict(enumerate(p[n] for n in sorted(p))) for p in (w, g)))
    )
)
wrong(TASK, "the result is NaN, and `NaN > limit` is False: return infinity")(
    lambda w, g: by_the_hints(w, g) if w.keys() == g.keys() else math.nan
)
wrong(TASK, "for a missing name is 0")(lambda w, g: by_the_hints(w, g) if w.keys() == g.keys() else 0)
wrong(TASK, "it stopped in")(lambda w, g: max(exact(w[name], g[name]) for name in w))
wrong(TASK, "a missing tensor counts as zeros")(
    lambda w, g: max(
        exact(w.get(n, torch.zeros_like(g.get(n, zero))), g.get(n, torch.zeros_like(w.get(n, zero))))
        for n in w | g
    )
)
zero = torch.zeros(())


def stretched(a, b):
    try:
        return exact(*torch.broadcast_tensors(a, b))
    except RuntimeError:
        return math.inf


wrong(TASK, "PyTorch repeats a tensor until the shapes fit")(careful(stretched))
wrong(TASK, "the number of values is compared, not the shape")(
    careful(lambda a, b: exact(a.flatten(), b.flatten()))
)
wrong(TASK, "the number of axes is compared")(
    careful(lambda a, b: stretched(a, b) if a.ndim == b.ndim else math.inf)
)
wrong(TASK, "as far as the shorter tensor goes")(
    careful(lambda a, b: max(map(exact, a.flatten(), b.flatten()), default=0.0))
)
wrong(TASK, "the shapes are compared without their axes of length 1")(
    careful(lambda a, b: exact(a.squeeze(), b.squeeze()))
)
wrong(TASK, "a tensor of another shape is passed over")(
    careful(lambda a, b: exact(a, b) if a.shape == b.shape else 0)
)


def shaped(compare):
    """Careful about names and shapes, and then this."""
    return careful(lambda a, b: math.inf if a.shape != b.shape else compare(a, b) if a.numel() else 0.0)


def difference(a, b):
    return (a.double() - b.double()).abs()


@wrong(TASK, "`NaN > worst` is False")
def kept_if_larger(wanted, got):
    if wanted.keys() != got.keys() or any(wanted[n].shape != got[n].shape for n in wanted):
        return math.inf
    worst = 0.0
    for name in wanted:
        new = difference(wanted[name], got[name]).max().item()
        if new > worst:
            worst = new
    return worst


wrong(TASK, "makes of a NaN depends on the order")(shaped(lambda a, b: difference(a, b).max()))


@wrong(TASK, "is infinite if a value is not finite the result is NaN")
def of_torch(wanted, got):
    if wanted.keys() != got.keys() or any(wanted[n].shape != got[n].shape for n in wanted):
        return math.inf
    return torch.tensor([0.0, *(difference(t, got[n]).max() for n, t in wanted.items() if t.numel())]).max()


wrong(TASK, "NaN counts as 0")(shaped(lambda a, b: difference(a, b).nan_to_num(nan=0.0, posinf=math.inf).max()))
wrong(TASK, "values that are not finite are passed over")(
    shaped(lambda a, b: difference(a, b).nan_to_num(0.0, 0.0, 0.0).max())
)
wrong(TASK, "NaN in both counts as equal")(
    shaped(lambda a, b: exact(a.masked_fill(a.isnan() & b.isnan(), 0), b.masked_fill(a.isnan() & b.isnan(), 0)))
)
wrong(TASK, "the same infinite value in both")(shaped(lambda a, b: same_is_fine(a, b)))


def loop_unless(odd):
    """Infinity where `odd` sees something in two tensors, else the larger of two numbers again and again."""

    def largest(wanted, got):
        if wanted.keys() != got.keys() or any(wanted[name].shape != got[name].shape for name in wanted):
            return math.inf
        worst = 0.0
        for name in wanted:
            if odd(wanted[name], got[name]):
                return math.inf
            worst = max(worst, difference(wanted[name], got[name]).max().item())
        return worst

    return largest


wrong(TASK, "only NaN is looked for")(loop_unless(lambda a, b: a.isnan().any() or b.isnan().any()))
wrong(TASK, "not -infinity")(loop_unless(lambda a, b: any((t.isnan() | (t == math.inf)).any() for t in (a, b))))
wrong(TASK, "not those of `wanted`")(loop_unless(lambda a, b: not b.isfinite().all()))
wrong(TASK, "not those of `got`")(loop_unless(lambda a, b: not a.isfinite().all()))
wrong(TASK, "one is enough")(loop_unless(lambda a, b: not a.isfinite().all() and not b.isfinite().all()))
wrong(TASK, "`nan_to_num` makes 0 of NaN")(shaped(lambda a, b: difference(a, b).nan_to_num().max()))
wrong(TASK, "give it `posinf=math.inf`")(shaped(lambda a, b: difference(a, b).nan_to_num(nan=math.inf).max()))


def same_is_fine(a, b):
    return difference(a, b).masked_fill(a == b, 0).nan_to_num(math.inf, math.inf).max()


def native(a, b):
    """The largest difference in the numbers' own kind, infinity where one is not finite."""
    return (a - b).abs().max() if (a.isfinite() & b.isfinite()).all() else math.inf


wrong(TASK, "so 3 - 250 is 9")(shaped(native))
wrong(TASK, "16 bits end at 65504")(
    shaped(lambda a, b: native(a, b) if a.dtype.is_floating_point else exact(a, b))
)
wrong(TASK, "so -100 - 100 is 56")(shaped(lambda a, b: native(a, b) if a.dtype == torch.int8 else exact(a, b)))
wrong(TASK, "32 bits make 16777216 of 16777217")(shaped(lambda a, b: exact(a.float(), b.float())))
wrong(TASK, "32 bits make 16777216 of 16777217")(
    shaped(lambda a, b: exact(a.float(), b.float()) if a.is_floating_point() else exact(a, b))
)
wrong(TASK, "`bfloat16` makes 256 of 257")(
    shaped(lambda a, b: native(a, b) if a.dtype == torch.bfloat16 else exact(a, b))
)
wrong(TASK, "unsupported ScalarType BFloat16")(
    shaped(lambda a, b: exact(*(torch.from_numpy(x.numpy().astype(np.float64)) for x in (a, b))))
)
wrong(TASK, "whole numbers of 32 bits end at 2147483647")(
    shaped(lambda a, b: exact(a, b) if a.dtype.is_floating_point else (a.int() - b.int()).abs().max())
)
wrong(TASK, "these numbers are passed over")(shaped(lambda a, b: exact(a, b) if a.dtype.is_floating_point else 0))

# read_sizes

TABLE = "encoder.rel_pos_bias.relative_position_bias_table"


@right("read_sizes")
def by_the_table(shapes):
    dim, _, _, patch = shapes["encoder.patch_embed.proj.weight"]
    rows, heads = shapes[TABLE]
    side = (round((rows - 3) ** 0.5) + 1) // 2
    depth = sum(name.endswith("attn.qkv.weight") for name in shapes)
    return {"image_size": side * patch, "patch": patch, "dim": dim, "depth": depth, "heads": heads}


@right("read_sizes")
def by_patterns(shapes):
    blocks = {match[1] for name in shapes if (match := re.search(r"blocks\.(\d+)\.", name))}
    patch = math.isqrt(shapes["decoder.0.bias"][0] // 3)
    side = next(side for side in itertools.count(1) if (2 * side - 1) ** 2 == shapes[TABLE][0] - 3)
    return dict(
        depth=len(blocks),
        heads=shapes[TABLE][1],
        dim=shapes["encoder.mask_token"][-1],
        patch=patch,
        image_size=patch * side,
    )


@right("read_sizes")
def block_after_block(shapes):
    depth = 0
    while f"encoder.blocks.{depth}.norm1.weight" in shapes:
        depth += 1
    sizes = {"dim": shapes["encoder.norm.bias"][0], "depth": depth, "heads": shapes[TABLE][1]}
    sizes["patch"] = shapes["encoder.patch_embed.proj.weight"][2]
    sizes["image_size"] = sizes["patch"] * (math.sqrt(shapes[TABLE][0] - 3) / 2 + 0.5)
    return sizes


@right("read_sizes")
@torch.compile
def compiled_sizes(shapes):
    weight = shapes["encoder.patch_embed.proj.weight"]
    depth = max(int(name.split(".")[2]) for name in shapes if name.startswith("encoder.blocks.")) + 1
    side = int(((shapes[TABLE][0] - 3) ** 0.5 + 1) / 2)
    return {
        "image_size": side * weight[2],
        "patch": weight[2],
        "dim": weight[0],
        "depth": depth,
        "heads": shapes[TABLE][1],
    }


def misread(**wrong):
    """The right sizes, but for those that are made of the shapes s and the right sizes r in another way."""

    def read(shapes):
        sizes = by_the_table(shapes)
        return {name: wrong[name](shapes, sizes) if name in wrong else size for name, size in sizes.items()}

    return read


def block_numbers(shapes):
    return [name.split(".")[2] for name in shapes if ".blocks." in name]


TASK = "read_sizes"
wrong(TASK, "a side of the grid is in `image_size` twice")(
    misread(image_size=lambda s, r: (r["image_size"] // r["patch"]) ** 2 * r["patch"])
)
wrong(TASK, "they are counted from 0")(misread(depth=lambda s, r: max(map(int, block_numbers(s)))))
wrong(TASK, "each of them was counted")(misread(depth=lambda s, r: sum("blocks" in name for name in s)))
wrong(TASK, "compared as texts")(misread(depth=lambda s, r: int(max(block_numbers(s))) + 1))
wrong(TASK, "the last block in the dict")(misread(depth=lambda s, r: int(block_numbers(s)[-1]) + 1))
wrong(TASK, "all tensors are counted")(misread(depth=lambda s, r: len(s)))
wrong(TASK, "need not have 64 numbers")(misread(heads=lambda s, r: r["dim"] // 64))
wrong(TASK, "how many numbers a head has")(misread(heads=lambda s, r: r["dim"] // r["heads"]))
wrong(TASK, "query, key and value are not heads")(
    misread(heads=lambda s, r: s["encoder.blocks.0.attn.qkv.weight"][0] // r["dim"])
)
wrong(TASK, "the rows of the table: it is its columns")(misread(heads=lambda s, r: s[TABLE][0]))
wrong(TASK, "multiply by `patch`")(misread(image_size=lambda s, r: (math.isqrt(s[TABLE][0] - 3) + 1) // 2))
wrong(TASK, "one patch of each side is lost")(
    misread(image_size=lambda s, r: math.isqrt(s[TABLE][0] - 3) // 2 * r["patch"])
)
wrong(TASK, "one patch too many on each side")(
    misread(image_size=lambda s, r: (math.isqrt(s[TABLE][0] - 3) // 2 + 2) * r["patch"])
)
wrong(TASK, "three rows of the table belong to the class token")(
    misread(image_size=lambda s, r: (s[TABLE][0] ** 0.5 + 1) / 2 * r["patch"])
)
wrong(TASK, "those of the offsets, not of the patches")(
    misread(image_size=lambda s, r: int((s[TABLE][0] - 3) ** 0.5) * r["patch"])
)
wrong(TASK, "the root is missing")(misread(image_size=lambda s, r: (s[TABLE][0] - 2) // 2 * r["patch"]))
wrong(TASK, "`image_size` is one number")(misread(image_size=lambda s, r: (r["image_size"], r["image_size"])))
for name, usual in {"image_size": 224, "patch": 16, "dim": 768, "depth": 12, "heads": 12}.items():
    wrong(TASK, f"{usual} is only the usual `{name}`")(misread(**{name: lambda s, r, usual=usual: usual}))
wrong(TASK, "large patches show it")(
    misread(image_size=lambda s, r: int((s[TABLE][0] ** 0.5 + 1) * r["patch"] / 2))
)
wrong(TASK, "only one row of the table was taken off")(
    misread(image_size=lambda s, r: int(((s[TABLE][0] - 1) ** 0.5 + 1) / 2 * r["patch"]))
)
wrong(TASK, "two times the image")(misread(image_size=lambda s, r: (math.isqrt(s[TABLE][0]) + 1) * r["patch"]))
wrong(TASK, "divide by 3 before the root")(misread(patch=lambda s, r: int(s["decoder.0.weight"][0] ** 0.5)))
wrong(TASK, "one block too many")(misread(depth=lambda s, r: r["depth"] + 1))
wrong(TASK, "only the first 24 blocks")(
    misread(depth=lambda s, r: sum(f"encoder.blocks.{n}.norm1.weight" in s for n in range(24)))
)
wrong(TASK, "compared as texts, or by a digit")(
    misread(depth=lambda s, r: 1 + max(int(name[15]) for name in s if name.startswith("encoder.blocks.")))
)
wrong(TASK, "each block is counted 4 times")(misread(depth=lambda s, r: sum(".attn." in name for name in s)))
wrong(TASK, "the number of pixels of a patch")(misread(patch=lambda s, r: s["decoder.0.weight"][0] // 3))
wrong(TASK, "the number of values of a patch: it is its side")(
    misread(patch=lambda s, r: s["decoder.0.weight"][0])
)
wrong(TASK, "the number of patches along a side")(misread(patch=lambda s, r: r["image_size"] // r["patch"]))
wrong(TASK, "the number of colours")(misread(patch=lambda s, r: s["encoder.patch_embed.proj.weight"][1]))
wrong(TASK, "three times too large")(misread(dim=lambda s, r: s["encoder.blocks.0.attn.qkv.weight"][0]))
wrong(TASK, "the MLP is four times as wide")(misread(dim=lambda s, r: s["encoder.blocks.0.mlp.fc1.weight"][0]))
wrong(TASK, "`dim` has become the number of values")(misread(dim=lambda s, r: s["decoder.0.weight"][0]))
wrong(TASK, "the numbers of one head")(misread(dim=lambda s, r: r["dim"] // r["heads"]))
wrong(TASK, "a size is one number")(misread(dim=lambda s, r: s["encoder.cls_token"]))
wrong(TASK, "reads the five sizes off the shapes expected")(lambda s: {"dim": 768, "depth": 12})
wrong(TASK, "reads the five sizes off the shapes")(
    lambda s: {**by_the_table(s), "image_size": round(s[TABLE][0] ** 0.5 / 2) * by_the_table(s)["patch"] + 1}
)

# quantize_rows


@right("quantize_rows")
def row_by_row(weight):
    numbers, scales = [], []
    for row in weight:
        scales.append(row.abs().max().item() / 127 or 1.0)
        numbers.append((row / scales[-1]).round().to(torch.int8))
    return torch.stack(numbers), torch.tensor(scales)


@right("quantize_rows")
def whole_matrix(weight):
    scale = weight.double().abs().amax(dim=1, keepdim=True) / 127
    scale = scale.masked_fill(scale == 0, 1)
    return [(weight / scale).round().clamp(-128, 127).char(), scale.squeeze(1)]


@right("quantize_rows")
@torch.compile
def compiled_rounding(weight):
    largest = torch.maximum(weight.amax(1), -weight.amin(1))
    scale = torch.where(largest == 0, 1.0, largest / 127)
    return torch.round(weight / scale.unsqueeze(1)).type(torch.int8), scale


@right("quantize_rows")
def rounded_in_numpy(weight):
    matrix = weight.numpy().astype(np.float64)
    scale = np.abs(matrix).max(axis=1) / 127
    scale[scale == 0] = 1
    return torch.from_numpy(np.rint(matrix / scale[:, None]).astype(np.int8)), torch.from_numpy(scale)


def steps(scale=lambda w: w.abs().amax(1) / 127, whole=torch.round, of=lambda q, s: (q.to(torch.int8), s)):
    """Whole steps, with scales, a rounding or a result of another kind; for zeros the scale is 1 in any case."""

    def quantize(weight):
        scales = scale(weight)
        scales = torch.where(weight.abs().sum(1) > 0, scales, 1)
        return of(whole(weight / scales[:, None]), scales)

    return quantize


TASK = "quantize_rows"
wrong(TASK, "the largest is divided by 127.5")(
    steps(lambda w: 2 * w.abs().amax(1) / 255, lambda x: x.round().clamp(-127, 127))
)
wrong(TASK, "but not divided by the largest of the row")(
    lambda w: ((127 * w).round().clamp(-127, 127).to(torch.int8), w.abs().amax(1) / 127)
)
wrong(TASK, "one scale is used for all rows: each")(steps(lambda w: (w.abs().max() / 127).repeat(len(w))))
wrong(TASK, "and one is returned")(
    lambda w: ((w / w.abs().max() * 127).round().to(torch.int8), w.abs().max() / 127)
)
wrong(TASK, "each column has a scale")(
    lambda w: ((w / (w.abs().amax(0) / 127)).round().to(torch.int8), w.abs().amax(0) / 127)
)
wrong(TASK, "in 8 bits with a sign 128 becomes -128")(steps(lambda w: w.abs().amax(1) / 128))
wrong(TASK, "128 steps are one too many: the largest becomes 127")(
    steps(lambda w: w.abs().amax(1) / 128, lambda q: q.round().clip(-128, 127))
)
wrong(TASK, "end at 127, not at 255")(steps(lambda w: w.abs().amax(1) / 255))
wrong(TASK, "the largest positive value")(steps(lambda w: w.amax(1) / 127))
wrong(TASK, "the smallest value sets the scale")(steps(lambda w: -w.amin(1) / 127))
wrong(TASK, "largest minus smallest sets the scale")(steps(lambda w: (w.amax(1) - w.amin(1)) / 254))
wrong(TASK, "divided into 255 steps")(steps(lambda w: (w.amax(1) - w.amin(1)) / 255))
wrong(TASK, "the mean absolute value")(steps(lambda w: w.abs().mean(1) / 127))
wrong(TASK, "the standard deviation sets the scale")(steps(lambda w: w.std(1) / 127))
wrong(TASK, "the length of a row")(steps(lambda w: torch.linalg.norm(w, dim=1) / 127))
wrong(TASK, "cut off towards 0")(steps(whole=lambda q: q))
wrong(TASK, "the numbers are rounded down")(steps(whole=torch.floor))
wrong(TASK, "the numbers are rounded up")(steps(whole=torch.ceil))
wrong(TASK, "rounds negative numbers wrongly")(steps(whole=lambda q: q + 0.5))
wrong(TASK, "what is larger is cut off")(
    steps(lambda w: w.abs().amax(1) / 255, lambda q: q.round().clip(-128, 127))
)
wrong(TASK, "the largest positive value sets")(steps(lambda w: w.amax(1).abs() / 127))
wrong(TASK, "not let below 1")(steps(lambda w: (w.abs().amax(1) / 127).clamp(min=1)))
wrong(TASK, "the sign of the largest value")(
    steps(lambda w: w[torch.arange(len(w)), w.abs().max(1).indices] / 127)
)


def zero_where(zeros):
    """Scales of 1 for rows that are taken for rows of zeros."""
    return lambda w: steps(lambda w: torch.where(zeros(w), 1, w.abs().amax(1) / 127))(w)


wrong(TASK, "a row with a zero in it")(zero_where(lambda w: (w == 0).any(1)))
wrong(TASK, "a row that starts with 0")(zero_where(lambda w: w[:, 0] == 0))
wrong(TASK, "a row that adds up to 0")(zero_where(lambda w: w.sum(1) == 0))
wrong(TASK, "a row whose smallest value is 0")(zero_where(lambda w: w.min(1).values == 0))
wrong(TASK, "a row without a positive number")(zero_where(lambda w: w.max(1).values <= 0))
wrong(TASK, "rounded before they are divided")(
    lambda w: ((w.round() / row_by_row(w)[1][:, None]).to(torch.int8), row_by_row(w)[1])
)
wrong(TASK, "the weights are multiplied by the scale: divide")(
    lambda w: ((w * row_by_row(w)[1][:, None]).round().to(torch.int8), row_by_row(w)[1])
)
wrong(TASK, "not divided by the scale")(lambda w: (w.round().to(torch.int8), row_by_row(w)[1]))
wrong(TASK, "how many steps a 1 has")(steps(of=lambda q, s: (q.to(torch.int8), s.reciprocal())))
wrong(TASK, "the scale is the largest value")(steps(of=lambda q, s: (q.to(torch.int8), s * 127)))
wrong(TASK, "the signs are lost")(steps(of=lambda q, s: (q.abs().to(torch.int8), s)))
wrong(TASK, "negative numbers became 0")(steps(of=lambda q, s: (q.clamp(0, 127).to(torch.int8), s)))
wrong(TASK, "moved up by 128")(steps(of=lambda q, s: ((q + 128).byte(), s)))
wrong(TASK, "hold no negative numbers")(steps(of=lambda q, s: (q.long().remainder(256).to(torch.uint8), s)))
wrong(TASK, "the numbers are still real")(steps(of=lambda q, s: (q, s)))
wrong(TASK, "multiplied by the scale again")(steps(of=lambda q, s: (q * s[:, None], s)))
wrong(TASK, "the scale has one axis too many")(steps(of=lambda q, s: (q.to(torch.int8), s[:, None])))
wrong(TASK, "the other way round")(steps(of=lambda q, s: (s, q.to(torch.int8))))
wrong(TASK, "the scale is missing")(steps(of=lambda q, s: q.to(torch.int8)))
wrong(TASK, "the numbers have 64 bits (torch.int64)")(steps(of=lambda q, s: (q.long(), s)))
wrong(TASK, "is 0 here, or nearly")(
    lambda w: ((w / (w.abs().amax(1, keepdim=True) / 127)).nan_to_num().round().char(), w.abs().amax(1) / 127)
)
wrong(TASK, "is 1 / 127 here")(lambda w: (steps()(w)[0], torch.where(w.any(1), w.abs().amax(1), 1) / 127))
wrong(TASK, "a small number is added to the scale, or it has a least value")(
    steps(lambda w: (w.abs().amax(1) / 127).clamp(min=1e-8))
)
wrong(TASK, "is something added to it, or a limit set?")(
    lambda w: (row_by_row(w)[0], torch.where(w.any(1), (w.abs().amax(1) / 127).clamp(min=1e-8), 1))
)
wrong(TASK, "is something added to it, or a limit set?")(
    lambda w: (row_by_row(w)[0], torch.where(w.any(1), w.abs().amax(1) / 127 + 1e-5, 1))
)
wrong(TASK, "(1e-12), so a row of small weights becomes zeros")(
    steps(lambda w: (w.abs().amax(1) / 127).clamp(min=1e-12))
)
wrong(TASK, "only a row of zeros gets 1")(
    steps(lambda w: torch.where(w.abs().amax(1) < 1e-6, 1, w.abs().amax(1) / 127))
)
wrong(TASK, "up to 127 value")(steps(lambda w: w.abs().amax(1) / 90))


@wrong(TASK, "leaves its inputs as they are")
def divided_in_place(weight):
    numbers, scale = row_by_row(weight)
    weight /= scale[:, None]
    return numbers, scale


# fold_normalization


@right("fold_normalization")
def with_the_formula(weight, bias, mean, std, new_mean, new_std):
    mean, std, new_mean, new_std = map(torch.tensor, (mean, std, new_mean, new_std))
    channels = weight.sum(dim=(2, 3))
    return weight * (new_std / std)[:, None, None], bias + channels @ ((new_mean - mean) / std)


@right("fold_normalization")
def channel_by_channel(weight, bias, mean, std, new_mean, new_std):
    weight, bias = weight.clone().double(), bias.clone().double()
    for c in range(3):
        bias += weight[:, c].flatten(1).sum(1) * (new_mean[c] - mean[c]) / std[c]
        weight[:, c] *= new_std[c] / std[c]
    return weight, bias


@right("fold_normalization")
@torch.compile
def through_pixels(weight, bias, mean, std, new_mean, new_std):
    """First an embedding of pixels from 0 to 1, then one of new values."""
    mean, std, new_mean, new_std = (torch.tensor(v)[None, :, None, None] for v in (mean, std, new_mean, new_std))
    raw = weight / std
    raw_bias = bias - (raw * mean).sum((1, 2, 3))
    return raw * new_std, raw_bias + (raw * new_mean).sum((1, 2, 3))


@right("fold_normalization")
def asked_with_pictures(weight, bias, mean, std, new_mean, new_std):
    """What the old embedding makes of the new picture that is 0, and of those with a single 1."""
    patch = weight.shape[2]
    ones = torch.eye(3 * patch * patch, dtype=torch.float64).view(-1, 3, patch, patch)
    pictures = torch.cat([torch.zeros(1, 3, patch, patch, dtype=torch.float64), ones])
    mean, std, new_mean, new_std = (
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (mean, std, new_mean, new_std)
    )
    old = (pictures * new_std + new_mean - mean) / std
    tokens = F.conv2d(old, weight.double(), bias.double())[:, :, 0, 0]
    return [(tokens[1:] - tokens[0]).T.reshape(weight.shape), tokens[0]]


class Folded:
    def __call__(self, *case):
        weight, bias, mean, std, new_mean, new_std = (np.asarray(part, dtype=np.float64) for part in case)
        shift = np.einsum("dcij,c->d", weight, (new_mean - mean) / std)
        return torch.from_numpy(weight * (new_std / std).reshape(3, 1, 1)), torch.from_numpy(bias + shift)


right("fold_normalization")(Folded())


def fold(factor=lambda m, s, n, t: t / s, shift=lambda w, m, s, n, t: (w * (n - m) / s).sum((1, 2, 3))):
    """The folding with another factor, or another shift."""

    def folded(weight, bias, *numbers):
        numbers = [torch.tensor(values).reshape(3, 1, 1) for values in numbers]
        return weight * factor(*numbers), bias + shift(weight, *numbers)

    return folded


def on(change):
    return lambda weight, bias, *numbers: with_the_formula(weight, bias, *change(*numbers))


def everything(w):
    return w.sum((1, 2, 3))


TASK = "fold_normalization"
wrong(TASK, "the weights and the shifts are added up apart")(
    fold(shift=lambda w, m, s, n, t: everything(w) * ((n - m) / s).sum())
)
wrong(TASK, "the weights are added up apart, times the mean shift")(
    fold(shift=lambda w, m, s, n, t: everything(w) * ((n - m) / s).mean())
)
wrong(TASK, "the means are added in the shift")(fold(shift=lambda w, m, s, n, t: everything(w * (m + n) / s)))
wrong(TASK, "old and new are exchanged")(on(lambda m, s, n, t: (n, t, m, s)))
wrong(TASK, "the factor is upside down")(fold(lambda m, s, n, t: s / t))
wrong(TASK, "but not multiplied by new_std")(fold(lambda m, s, n, t: 1 / s))
wrong(TASK, "but not divided by std")(fold(lambda m, s, n, t: t))
wrong(TASK, "multiplied by both deviations")(fold(lambda m, s, n, t: s * t))
wrong(TASK, "the weight has not changed")(fold(lambda m, s, n, t: 1))
wrong(TASK, "the bias has not changed")(fold(shift=lambda w, m, s, n, t: 0))
wrong(TASK, "the sign of the shift is wrong")(fold(shift=lambda w, m, s, n, t: everything(w * (m - n) / s)))
wrong(TASK, "the shift is divided by new_std")(fold(shift=lambda w, m, s, n, t: everything(w * (n - m) / t)))
wrong(TASK, "the shift is not divided by std")(fold(shift=lambda w, m, s, n, t: everything(w * (n - m))))
wrong(TASK, "the shift is multiplied by std")(fold(shift=lambda w, m, s, n, t: everything(w * (n - m) * s)))


@wrong(TASK, "summed with the new weight: with the old one")
def in_the_wrong_order(weight, bias, mean, std, new_mean, new_std):
    mean, std, new_mean, new_std = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std, new_mean, new_std))
    weight = weight * new_std / std
    return weight, bias + everything(weight * (new_mean - mean) / std)


wrong(TASK, "with the new weight, without / std")(
    fold(shift=lambda w, m, s, n, t: everything(w * t / s * (n - m)))
)
wrong(TASK, "a mean over channels and pixels")(fold(shift=lambda w, m, s, n, t: (w * (n - m) / s).mean((1, 2, 3))))
wrong(TASK, "a mean over the pixels")(fold(shift=lambda w, m, s, n, t: (w * (n - m) / s).mean((2, 3)).sum(1)))
wrong(TASK, "a mean over the channels")(fold(shift=lambda w, m, s, n, t: everything(w * (n - m) / s) / 3))
wrong(TASK, "the shift has no weight")(fold(shift=lambda w, m, s, n, t: ((n - m) / s).sum()))
wrong(TASK, "only the first pixel")(fold(shift=lambda w, m, s, n, t: (w * (n - m) / s)[..., 0, 0].sum(1)))
wrong(TASK, "the new mean is left out")(fold(shift=lambda w, m, s, n, t: -everything(w * m / s)))
wrong(TASK, "the old mean is left out")(fold(shift=lambda w, m, s, n, t: everything(w * n / s)))
wrong(TASK, "takes pixels from 0 to 1 now")(
    fold(lambda m, s, n, t: 1 / s, lambda w, m, s, n, t: -everything(w * m / s))
)
wrong(TASK, "as if it had taken pixels from 0 to 1")(
    fold(lambda m, s, n, t: t, lambda w, m, s, n, t: everything(w * n))
)
wrong(TASK, "each by its own deviation")(fold(shift=lambda w, m, s, n, t: everything(w * (n / t - m / s))))
wrong(TASK, "the deviations were squared")(on(lambda m, s, n, t: (m, [v * v for v in s], n, [v * v for v in t])))
wrong(TASK, "the mean of the three channels")(on(lambda *numbers: [[sum(v) / 3] * 3 for v in numbers]))
wrong(TASK, "the numbers of red")(on(lambda *numbers: [v[:1] * 3 for v in numbers]))
wrong(TASK, "where the means are equal")(
    lambda w, b, m, s, n, t: (w, b) if m == n else with_the_formula(w, b, m, s, n, t)
)
wrong(TASK, "where the deviations are equal")(
    lambda w, b, m, s, n, t: (w, b) if s == t else with_the_formula(w, b, m, s, n, t)
)
wrong(TASK, "pixels from 0 to 1 or 255, one number and one pixel value")(
    on(lambda m, s, n, t: (m, [value + 1e-6 for value in s], n, t))
)
wrong(TASK, "one number, the sum over all tokens")(fold(shift=lambda w, m, s, n, t: (w * (n - m) / s).sum()))
wrong(TASK, "does the loop forget the others?")(
    fold(shift=lambda w, m, s, n, t: (w * (n - m) / s)[:, -1].sum((1, 2)))
)


@wrong(TASK, "does the loop end too early?")
def returned_in_the_loop(weight, bias, mean, std, new_mean, new_std):
    weight, bias = weight.clone(), bias.clone()
    for c in range(3):
        bias += weight[:, c].sum((1, 2)) * (new_mean[c] - mean[c]) / std[c]
        weight[:, c] *= new_std[c] / std[c]
        return weight, bias


wrong(TASK, "blue, green, red")(on(lambda *numbers: [v[::-1] for v in numbers]))


@wrong(TASK, "spread over the columns of a patch")
def broadcast(weight, bias, mean, std, new_mean, new_std):
    mean, std, new_mean, new_std = map(torch.tensor, (mean, std, new_mean, new_std))
    return weight * new_std / std, bias + everything(weight * (new_mean - mean) / std)


wrong(TASK, "the old bias is lost")(lambda w, b, *numbers: with_the_formula(w, torch.zeros_like(b), *numbers))
wrong(TASK, "the old bias is changed")(lambda w, b, m, s, n, t: with_the_formula(w, b * t[0] / s[0], m, s, n, t))
wrong(TASK, "the other way round")(lambda *case: with_the_formula(*case)[::-1])
wrong(TASK, "the bias is missing")(lambda *case: with_the_formula(*case)[0])
wrong(TASK, "normalised anew value")(lambda w, b, *numbers: (with_the_formula(w, b, *numbers)[0], b + 0.1))
wrong(TASK, "normalised anew value 1")(lambda w, b, *numbers: (w * 1.1, with_the_formula(w, b, *numbers)[1]))


@wrong(TASK, "leaves its inputs as they are")
def scaled_in_place(weight, bias, *numbers):
    new, shift = with_the_formula(weight, bias, *numbers)
    weight.copy_(new)
    return weight, shift


# geometric_places


def mirrored(outwards):
    return [-place for place in outwards[::-1]] + [0.0] + list(outwards)


@right("geometric_places")
def halved(old, new):
    low, high = 1.0, float(new)
    for _ in range(100):
        q = (low + high) / 2
        if sum(q**k for k in range(old - 1)) > new - 1:
            high = q
        else:
            low = q
    places, place = [], 0.0
    for k in range(old - 1):
        place += low**k
        places.append(place)
    return mirrored(places)


@right("geometric_places")
def root_of_scipy(old, new):
    q = brentq(lambda q: sum(q**k for k in range(old - 1)) - (new - 1), 1 - 1e-9, new) if new > old else 1.0
    return mirrored(list(itertools.accumulate(q**k for k in range(old - 1))))


@right("geometric_places")
def newton(old, new):
    q = new ** (1 / (old - 2)) if new > old else 1.0
    for _ in range(200):
        rest = sum(q**k for k in range(old - 1)) - (new - 1)
        q -= rest / sum(k * q ** (k - 1) for k in range(1, old - 1))
    steps = torch.cat(
        [torch.zeros(1, dtype=torch.float64), torch.tensor(q, dtype=torch.float64) ** torch.arange(old - 1)]
    )
    outwards = steps.cumsum(0)
    return torch.cat([-outwards.flip(0), outwards[1:]]).tolist()


@right("geometric_places")
@torch.compile
def root_of_a_polynomial(old, new):
    roots = np.roots([1.0] * (old - 2) + [2.0 - new])
    q = max(root.real for root in roots if abs(root.imag) < 1e-6)
    return tuple(mirrored(np.cumsum(q ** np.arange(old - 1)).tolist()))


@right("geometric_places")
def by_the_formula_of_the_sum(old, new):
    low, high = 1 + 1e-12, 2.0 * new
    for _ in range(100):
        q = (low * high) ** 0.5
        low, high = (low, q) if (1 - q ** (old - 1)) / (1 - q) > new - 1 else (q, high)
    return mirrored([(q**k - 1) / (q - 1) if q - 1 > 1e-9 else float(k) for k in range(1, old)])


def search(steps, total, low=1.0, high=1e4, rounds=100):
    for _ in range(rounds):
        middle = (low + high) / 2
        low, high = (low, middle) if sum(middle**k for k in range(steps)) > total else (middle, high)
    return low


def growing(q, count, first=0):
    return mirrored(list(itertools.accumulate(q ** (k + first) for k in range(count))))


TASK = "geometric_places"
wrong(TASK, "the first step is 1, and all others are equal")(
    lambda old, new: mirrored(np.linspace(1, new - 1, old - 1).tolist())
)
wrong(TASK, "q is taken for (new - 1) / (old - 1)")(lambda old, new: growing((new - 1) / (old - 1), old - 1))
wrong(TASK, "all steps are equal")(lambda old, new: np.linspace(1 - new, new - 1, 2 * old - 1).tolist())
wrong(TASK, "all steps are 1")(lambda old, new: list(range(1 - old, old)))
wrong(TASK, "grow by the same amount")(
    lambda old, new: mirrored([k + k * (k - 1) * (new - old) / (old - 1) / (old - 2) for k in range(1, old)])
)
wrong(TASK, "the places themselves grow by a factor")(
    lambda old, new: mirrored(np.geomspace(1, new - 1, old - 1).tolist())
)
wrong(TASK, "become smaller towards the edge")(
    lambda old, new: mirrored(
        list(itertools.accumulate(search(old - 1, new - 1) ** k for k in reversed(range(old - 1))))
    )
)
wrong(TASK, "one step too many")(lambda old, new: growing(search(old, new - 1), old - 1))
wrong(TASK, "one step too few")(lambda old, new: growing(search(old - 2, new - 1), old - 1))
wrong(TASK, "the last place is `new`")(lambda old, new: growing(search(old - 1, new), old - 1))
wrong(TASK, "the last place is `new - 2`")(lambda old, new: growing(search(old - 1, new - 2), old - 1))
wrong(TASK, "2 * new - 1, the number of offsets")(lambda old, new: growing(search(old - 1, 2 * new - 1), old - 1))
wrong(TASK, "from one edge to the other")(lambda old, new: growing(search(old - 1, 2 * new - 2), old - 1))
wrong(TASK, "do not halve them")(lambda old, new: growing(search(old // 2, new // 2), old // 2))
wrong(TASK, "the last power of the factor is new - 1")(
    lambda old, new: growing((new - 1) ** (1 / (old - 2)), old - 1)
)
wrong(TASK, "with the q of steps that start with 1")(
    lambda old, new: growing(search(old - 1, new - 1), old - 1, 1)
)
wrong(TASK, "larger than 1.5, where the official search ends")(
    lambda old, new: growing(search(old - 1, new - 1, high=1.5), old - 1)
)
wrong(TASK, "the factor may be larger than 2")(lambda old, new: growing(search(old - 1, new - 1, high=2), old - 1))
wrong(TASK, "the negative offsets are missing")(lambda old, new: halved(old, new)[old - 1 :])
wrong(TASK, "the negative offsets and 0 are missing")(lambda old, new: halved(old, new)[old:])
wrong(TASK, "the negative offsets have no minus")(
    lambda old, new: [*halved(old, new)[: old - 1 : -1], 0.0, *halved(old, new)[old:]]
)
wrong(TASK, "0 is missing")(lambda old, new: halved(old, new)[: old - 1] + halved(old, new)[old:])
wrong(TASK, "0 is there twice")(lambda old, new: halved(old, new)[:old] + halved(old, new)[old - 1 :])
wrong(TASK, "the places fall")(lambda old, new: sorted(halved(old, new), reverse=True))
wrong(TASK, "go away from the edge")(
    lambda old, new: [-p for p in halved(old, new)[old:]] + halved(old, new)[old - 1 :]
)
wrong(TASK, "the places start at 0")(lambda old, new: [place + new - 1 for place in halved(old, new)])
wrong(TASK, "these are the steps: add them up")(
    lambda old, new: [search(old - 1, new - 1) ** k for k in range(old - 1)]
)
wrong(TASK, "these are the steps to both sides")(
    lambda old, new: mirrored([search(old - 1, new - 1) ** k for k in range(old - 1)])
)
wrong(TASK, "that is the factor")(lambda old, new: search(old - 1, new - 1))
wrong(TASK, "the places are rounded")(lambda old, new: [round(place) for place in halved(old, new)])
wrong(TASK, "divided by the last one")(lambda old, new: [place / (new - 1) for place in halved(old, new)])
wrong(TASK, "the search must be able to find that")(
    lambda old, new: growing(search(old - 1, new - 1, low=1.01), old - 1)
)
wrong(TASK, "may be closer to 1 than 1.01")(
    lambda old, new: growing(search(old - 1, new - 1, low=1.01) if new > old else 1.0, old - 1)
)
wrong(TASK, "the factor may be larger than 10")(
    lambda old, new: growing(search(old - 1, new - 1, high=10), old - 1)
)
wrong(TASK, "the factor may be larger than 100")(
    lambda old, new: growing(search(old - 1, new - 1, high=100), old - 1)
)
wrong(TASK, "not by that which leads to new - 1")(
    lambda old, new: growing(search(old - 1, new - 1, high=new, rounds=20), old - 1)
)
wrong(TASK, "where the grid stays the same the steps grow by one factor")(
    lambda old, new: growing(search(old - 1, new - 1, low=1.0001, high=new), old - 1)
)
wrong(TASK, "all places are whole numbers")(lambda old, new: [int(place) for place in halved(old, new)])
wrong(TASK, "up to the edge expected")(lambda old, new: torch.tensor(halved(old, new)))
wrong(TASK, "up to the edge value")(lambda old, new: [0.99 * place for place in halved(old, new)])
wrong(TASK, "it stopped in")(
    lambda old, new: mirrored(
        [(1 - search(old - 1, new - 1) ** k) / (1 - search(old - 1, new - 1)) for k in range(1, old)]
    )
)
