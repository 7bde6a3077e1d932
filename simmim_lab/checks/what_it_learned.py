"""Checks of lesson 07 and its exercises: what is in the features of a pre-trained encoder."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import combinations, pairwise, product
from numbers import Integral

import torch
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, normalize, one_hot

from simmim_lab import probing
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
    other_gradient,
    telling,
)
from simmim_lab.checks.guessing import Guess

DRAWS, CLASSES = 400, 80  # of labelled images


@check(
    "The cosine similarity of two tokens is their dot product, divided by both of their lengths. Over which axis "
    "of `features` are products added up? Which shape has the token at `place`, and which must it have there?",
    "`features[:, row, col, None, None]` is the token at the place, of shape (dim, 1, 1). Multiply it with "
    "`features` and add up over axis 0; divide by the norms over axis 0 of both.",
    solution=probing.similarity_map,
)
def similarity_map(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`similarity_map(features, place)` compares the token at a place with all tokens."""
    cases, sizes = [], distinct(rng, 6, 3, 8)
    for dim, rows, cols in (sizes[:3], sizes[3:]):
        row, col = sorted(distinct(rng, 2, 1, min(rows, cols) - 1), reverse=rows > cols)
        lengths = 0.5 + 2 * torch.rand(rows, cols, generator=rng)
        cases.append((lengths * (torch.randn(dim, rows, cols, generator=rng) + 0.4), (row, col)))
    right = probing.similarity_map
    problem = explain(answer, right, cases, WRONG_SIMILARITIES)
    yield "is the cosine similarity to the token at the place", problem
    if problem:
        return
    features, _ = cases[0]
    _, rows, cols = features.shape
    corners = [(features, place) for place in product((0, rows - 1), (0, cols - 1))]
    yield "works for all four corners", explain(answer, right, corners, WRONG_SIMILARITIES)
    edges = [
        (1000 * features, (1, 0)),
        (0.02 * normalize(features, dim=0), (0, 1)),
        (-features, (1, 1)),
        (features[:, :1, :1], (0, 0)),
        (features[:1] + features[:1].sign(), (1, 0)),
        (features[:, :1], (0, 2)),
        (features[:, :1, :1].repeat(1, 2, 3), (1, 2)),
    ]
    yield (
        "does not depend on lengths, and works for one token, one number, equal tokens",
        explain(answer, right, edges, WRONG_SIMILARITIES),
    )


def _similar(rule: Callable[[Tensor, Tensor], Tensor], *, unit: bool = True) -> Callable:
    """What a rule makes of all tokens and the chosen one, (dim, rows, cols) and (dim, 1, 1), both of length 1."""

    def answer(features: Tensor, place: tuple[int, int]) -> Tensor:
        tokens = normalize(features, dim=0) if unit else features
        row, col = place
        return rule(tokens, tokens[:, row, col, None, None])

    return answer


def _of_units(units: Callable[[Tensor], Tensor]) -> Callable:
    """The dot products of what a rule makes of the features."""
    return lambda features, place: (units(features) * units(features)[:, place[0], place[1], None, None]).sum(0)


def _at(move: Callable[[int, int, Tensor], tuple[int, int]]) -> Callable:
    """The similarities to the token at another place."""
    return lambda features, place: probing.similarity_map(features, move(*place, features))


WRONG_SIMILARITIES: dict[str, Callable] = {
    "the dot product grows with the length of a token: divide by both lengths": _similar(
        lambda x, one: (x * one).sum(0), unit=False
    ),
    "only the length of the chosen token is divided by: take the other's, too": _similar(
        lambda x, one: (x * normalize(one, dim=0)).sum(0), unit=False
    ),
    "only the lengths of the other tokens are divided by: take the chosen one's, too": _similar(
        lambda x, one: (normalize(x, dim=0) * one).sum(0), unit=False
    ),
    "divided by squares: a length is the root of a sum of squares": _similar(
        lambda x, one: (x * one).sum(0) / x.square().sum(0) / one.square().sum(0), unit=False
    ),
    "the lengths are sums of absolute values: take the root of the sum of squares": _similar(
        lambda x, one: (x * one).sum(0) / x.abs().sum(0) / one.abs().sum(0), unit=False
    ),
    **{
        f"{small:g} is added to the product of the lengths: lengths do not count": _similar(
            lambda x, one, small=small: (x * one).sum(0) / (x.norm(dim=0) * one.norm(dim=0) + small), unit=False
        )
        for small in (1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
    },
    "the lengths are those of the map's columns, along axis 1: take them over axis 0": _of_units(
        lambda x: normalize(x, dim=1)
    ),
    "the lengths are those of the map's rows, along axis 2: take them over axis 0": _of_units(
        lambda x: normalize(x, dim=2)
    ),
    "`reshape` mixes the numbers of different tokens: move the axis of the numbers first": _of_units(
        lambda x: normalize(x.reshape(-1, len(x)), dim=1).T.reshape(x.shape)
    ),
    "`/ a * b` multiplies by b: put the product of the lengths in parentheses": _similar(
        lambda x, one: (x * one).sum(0) / x.norm(dim=0) * one.norm(dim=0), unit=False
    ),
    "`reshape` mixes the numbers of all tokens but the chosen one: move the axis first": _similar(
        lambda x, one: cosine_similarity(x.reshape(-1, len(x)), one.flatten(), dim=1).view(x.shape[1:]), unit=False
    ),
    "divided by the square of the chosen token's length: divide by both lengths": _similar(
        lambda x, one: (x * one).sum(0) / one.square().sum(0), unit=False
    ),
    "`cosine_similarity` compares along axis 1: tell it `dim=0`": _similar(
        lambda x, one: cosine_similarity(x, one.expand_as(x)), unit=False
    ),
    **{
        f"the similarities are rounded to {text}: keep the others": _similar(
            lambda x, one, digits=digits: (x * one).sum(0).round(decimals=digits)
        )
        for digits, text in enumerate(("whole numbers", "one digit", "two digits"))
    },
    "the mean of each token is subtracted first: that is a correlation": _similar(
        lambda x, one: cosine_similarity(x - x.mean(0), one - one.mean(0), dim=0), unit=False
    ),
    "the mean token is subtracted first: compare the tokens as they are": lambda features, place: (
        probing.similarity_map(features - features.mean((1, 2), keepdim=True), place)
    ),
    "these are distances: the similarity is the dot product of tokens of length 1": _similar(
        lambda x, one: (x - one).norm(dim=0), unit=False
    ),
    "these are distances of tokens of length 1: take their dot product": _similar(
        lambda x, one: (x - one).norm(dim=0)
    ),
    "these are distances, turned: the similarity is the dot product of tokens of length 1": _similar(
        lambda x, one: -(x - one).norm(dim=0), unit=False
    ),
    "1 minus the distance of tokens of length 1: take their dot product": _similar(
        lambda x, one: 1 - (x - one).norm(dim=0)
    ),
    "1 minus the similarity is a distance: return the similarity": _similar(lambda x, one: 1 - (x * one).sum(0)),
    "the sign is lost: opposite tokens have -1": _similar(lambda x, one: (x * one).sum(0).abs()),
    "negative values are cut off: opposite tokens have -1": _similar(lambda x, one: (x * one).sum(0).clamp(min=0)),
    "the values are moved to the range from 0 to 1: opposite tokens have -1": _similar(
        lambda x, one: (1 + (x * one).sum(0)) / 2
    ),
    "all signs are turned: the token has the similarity 1 to itself": _similar(lambda x, one: -(x * one).sum(0)),
    "these are angles: return their cosines": _similar(lambda x, one: (x * one).sum(0).clamp(-1, 1).acos()),
    "the similarities are squared": _similar(lambda x, one: (x * one).sum(0).square()),
    "softmax makes weights of them: return the similarities themselves": _similar(
        lambda x, one: (x * one).sum(0).flatten().softmax(0).view(x.shape[1:])
    ),
    "it is divided by the number of values in a token: add up the products": _similar(
        lambda x, one: (x * one).mean(0)
    ),
    "these are the products: add them up over axis 0": _similar(lambda x, one: x * one),
    "row and column of the place are swapped": _at(lambda row, col, x: (col, row)),
    "the row is counted from 0: this is the one above": _at(lambda row, col, x: (row - 1, col)),
    "the column is counted from 0: this is the one on the left": _at(lambda row, col, x: (row, col - 1)),
    "rows and columns are counted from 0: this is the token above on the left": _at(
        lambda row, col, x: (row - 1, col - 1)
    ),
    "all are compared with the first token: `place` says which one is meant": _at(lambda row, col, x: (0, 0)),
    "all are compared with the token in the middle: `place` says which one is meant": _at(
        lambda row, col, x: (x.shape[1] // 2, x.shape[2] // 2)
    ),
    "all are compared with the mean token: `place` says which one is meant": lambda features, place: (
        cosine_similarity(features, features.mean((1, 2), keepdim=True), dim=0)
    ),
    "in a list of all tokens, the place is `row * cols + col`": _at(
        lambda row, col, x: divmod(row * x.shape[1] + col, x.shape[2])
    ),
    "rows and columns of the map are swapped": lambda features, place: probing.similarity_map(features, place).T,
    "the map is a list: it should have rows and columns": lambda features, place: probing.similarity_map(
        features, place
    ).flatten(),
    "every token is compared with every other: one of them is asked for": lambda features, place: (
        normalize(features.flatten(1), dim=0).T @ normalize(features.flatten(1), dim=0)
    ),
    "one axis too many: the result has the shape (rows, cols)": _similar(
        lambda x, one: (x * one).sum(0, keepdim=True)
    ),
    "the token itself gets 0: it is similar to itself, too": _similar(
        lambda x, one: (x * one).sum(0) * (x != one).any(0)
    ),
    "the length is that of the whole map: each token has its own": _similar(
        lambda x, one: (x * one).sum(0) / x.square().sum(), unit=False
    ),
}


@check(
    "How far is each query from each vector? That is a table with a row for each query. What do you need of a "
    "row, its smallest numbers, or where they stand?",
    "`torch.cdist(queries, vectors)` is the table. `argsort(dim=1)` has the places in the order of the distances, "
    "from the smallest; keep the first `count` columns.",
    solution=solutions.nearest,
    batched=(0,),
)
def nearest(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`nearest(queries, vectors, count)` are the places of the nearest vectors, the nearest first."""
    right = solutions.nearest

    def draw() -> list[tuple]:
        sizes = distinct(rng, 6, 3, 8)
        return [_far_apart(rng, asked, 2 * count + 9, dim, count) for asked, dim, count in (sizes[:3], sizes[3:])]

    cases = telling(draw, right, WRONG_NEAREST)
    problem = explain(answer, right, cases, WRONG_NEAREST)
    yield "gives the places of the nearest vectors, the nearest first", problem
    if problem:
        return
    queries, vectors, _ = cases[0]
    others = [(queries, vectors, count) for count in (1, 2, len(vectors))]
    yield "is right for one, two and all of them", explain(answer, right, others, WRONG_NEAREST)
    edges = [
        (vectors, vectors, 1),
        (queries, vectors[:1], 1),
        (queries[:, :1], queries[:, :1].flip(0) + 0.001, 2),
        (100 * queries, 100 * vectors, 3),
        (queries - 3, vectors - 3, 3),
    ]
    yield (
        "works for a query among the vectors, one vector, one number and large ones",
        explain(answer, right, edges, WRONG_NEAREST),
    )


def _far_apart(rng: Generator, asked: int, n: int, dim: int, count: int) -> tuple[Tensor, Tensor, int]:
    """Queries and vectors of several lengths, no two of which are nearly at one distance from a query."""
    while True:
        lengths = 0.4 + 2 * torch.rand(asked + n, 1, generator=rng)
        queries, vectors = (lengths * torch.randn(asked + n, dim, generator=rng) + 0.5).split([asked, n])
        if (torch.cdist(queries, vectors).square().sort(1).values.diff(dim=1) > 1e-3).all():
            return queries, vectors, count


def _ranked(far: Callable[[Tensor, Tensor], Tensor], places: Callable[[int], slice] | None = None) -> Callable:
    """The places in the order of these numbers, from the smallest; without the second rule the first `count`."""
    places = places or (lambda count: slice(0, count))
    return lambda queries, vectors, count: far(queries, vectors).argsort(1)[:, places(count)]


def _found(rule: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """What a rule makes of the right places, the queries and the vectors."""
    return lambda queries, vectors, count: rule(solutions.nearest(queries, vectors, count), queries, vectors)


WRONG_NEAREST: dict[str, Callable] = {
    "these are the farthest vectors, the farthest first": _ranked(lambda q, v: -torch.cdist(q, v)),
    "these are the farthest vectors": _ranked(torch.cdist, lambda count: slice(-count, None)),
    "the nearest one is left out: a query need not be among the vectors": _ranked(
        torch.cdist, lambda count: slice(1, count + 1)
    ),
    "the nearest one is left out, and one is missing": _ranked(torch.cdist, lambda count: slice(1, count)),
    "one too many: `[:count]` has `count`": _ranked(torch.cdist, lambda count: slice(0, count + 1)),
    "one too few: `[:count]` has `count`": _ranked(torch.cdist, lambda count: slice(0, count - 1)),
    "these are all vectors in their order: keep the first `count`": _ranked(
        torch.cdist, lambda count: slice(None)
    ),
    "`[:count]` keeps the first queries: `[:, :count]` cuts each row": (
        lambda q, v, count: torch.cdist(q, v).argsort(1)[:count]
    ),
    "only the nearest is returned: `count` are asked for": _ranked(torch.cdist, lambda count: slice(0, 1)),
    "the ranks of the vectors are returned, not the places: one `argsort` is enough": (
        lambda q, v, count: torch.cdist(q, v).argsort(1).argsort(1)[:, :count]
    ),
    "the dot product grows with the length: use the distance, or is |v|² missing?": _ranked(lambda q, v: -q @ v.T),
    "near is a small distance, not a large cosine": _ranked(
        lambda q, v: -normalize(q, dim=1) @ normalize(v, dim=1).T
    ),
    "the distance is that of the straight line, not the sum of absolute differences": _ranked(
        lambda q, v: torch.cdist(q, v, p=1)
    ),
    "the distance is that of the straight line, not the largest difference": _ranked(
        lambda q, v: torch.cdist(q, v, p=math.inf)
    ),
    "differences of opposite sign cancel: square them before they are added": _ranked(
        lambda q, v: (q[:, None] - v).sum(2).abs()
    ),
    "the signs of the differences count: square them before they are added": _ranked(
        lambda q, v: (q[:, None] - v).sum(2)
    ),
    "the signs of the differences count, of the vectors minus the queries: square them": _ranked(
        lambda q, v: (v - q[:, None]).sum(2)
    ),
    "the product counts twice: |q - v|² = |q|² - 2 q·v + |v|²": _ranked(lambda q, v: v.square().sum(1) - q @ v.T),
    "the numbers are cut to whole ones": _ranked(lambda q, v: torch.cdist(q.trunc(), v.trunc())),
    "the numbers are divided by their deviations first: compare them as they are": _ranked(
        lambda q, v: torch.cdist(q / v.std(0, correction=0), v / v.std(0, correction=0))
    ),
    "the lengths are compared, not the vectors": _ranked(
        lambda q, v: (q.norm(dim=1)[:, None] - v.norm(dim=1)).abs()
    ),
    "only the first number of each vector is compared": _ranked(lambda q, v: torch.cdist(q[:, :1], v[:, :1])),
    "all queries get the neighbours of the first one": _ranked(
        lambda q, v: torch.cdist(q[:1], v).expand(len(q), len(v))
    ),
    "all queries get the neighbours of their mean": _ranked(
        lambda q, v: torch.cdist(q.mean(0, keepdim=True), v).expand(len(q), len(v))
    ),
    "queries and vectors are swapped: for each query its nearest vectors": (
        lambda q, v, count: torch.cdist(v, q).argsort(1)[:, :count]
    ),
    "the order goes along the wrong axis: sort the vectors for each query": (
        lambda q, v, count: torch.cdist(q, v).argsort(0)[:, :count]
    ),
    "the order goes along the wrong axis, and `[:count]` cuts rows": (
        lambda q, v, count: torch.cdist(q, v).argsort(0)[:count]
    ),
    "the places of all queries are in one list: a row for each query": _found(
        lambda places, q, v: places.flatten()
    ),
    "rows and columns are swapped: a row for each query": _found(lambda places, q, v: places.T),
    "the nearest comes last: it should come first": _found(lambda places, q, v: places.flip(1)),
    "the places are sorted by their number: the nearest comes first": _found(
        lambda places, q, v: places.sort(1).values
    ),
    "vectors are counted from 0, not from 1": _found(lambda places, q, v: places + 1),
    "these are the vectors themselves: return their places": _found(lambda places, q, v: v[places]),
    "these are real numbers: return places": _found(lambda places, q, v: places.float()),
    "these are the distances: return the places": _found(lambda places, q, v: torch.cdist(q, v).gather(1, places)),
    "these are the squared distances: return the places": _found(
        lambda places, q, v: torch.cdist(q, v).square().gather(1, places)
    ),
}


@check(
    "Three steps: a fit for each token, weights from the fits, a weighted mean. Which axis counts the tokens "
    "of an image, and so over which axis do the weights add up to 1?",
    "`tokens @ query` are the fits, of shape (batch, tokens); divide them by the root of `dim`. `softmax(dim=1)` "
    "makes weights of them. Give the weights an axis at the end, multiply, and add up over the tokens.",
    solution=solutions.attentive_pool,
    batched=(0,),
    gradient=(0, 1),
)
def attentive_pool(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attentive_pool(tokens, query)` is the mean of the tokens of each image, weighted by their fits."""
    cases, sizes = [], distinct(rng, 6, 3, 8)  # none is the root of another
    for batch, count, dim in (sizes[:3], sizes[3:]):
        cases.append((torch.randn(batch, count, dim, generator=rng), 2 * torch.randn(dim, generator=rng)))
    right = solutions.attentive_pool
    problem = explain(answer, right, cases, WRONG_POOLS)
    yield "is the mean of the tokens, weighted by softmax of their fits", problem
    if problem:
        return
    tokens, query = cases[0]
    yield "is the plain mean for a query of zeros", explain(answer, right, [(tokens, 0 * query)], WRONG_POOLS)
    along = query / query.norm()
    ranks = torch.rand(tokens.shape[:2], generator=rng).argsort(1)
    apart = tokens + (ranks - tokens @ along)[..., None] * along  # no two fits are near: rounding decides nothing
    sharp = [(apart, 1000 * along), (apart, -1000 * along), (300 * apart, along)]
    yield (
        "takes the best token alone for large fits, without NaN",
        _finite(answer, sharp) or explain(answer, right, sharp, WRONG_POOLS),
    )
    edges = [(tokens[:, :1], query), (tokens[:, :, :1], query[:1]), (tokens[:1, :1].repeat(3, 4, 1), query)]
    yield "works for one token, one number and equal tokens", explain(answer, right, edges, WRONG_POOLS)
    yield "lets the whole gradient through", other_gradient(answer, right, cases[0], (0, 1))


def _finite(answer: Answer, cases: list[tuple]) -> Verdict:
    """What is wrong if large fits make NaN or infinity."""
    for case in cases:
        if not answer(*case).isfinite().all():
            return f"`exp` of a large number is infinite: `softmax` takes care of that\n{answer.shown(*case)}"
    return None


def _pool(
    fit: Callable[[Tensor, Tensor], Tensor] = lambda x, q: x @ q / len(q) ** 0.5,
    weights: Callable[[Tensor], Tensor] = lambda s: s.softmax(1),
    mean: Callable[[Tensor, Tensor], Tensor] = lambda w, x: (w[:, :, None] * x).sum(1),
) -> Callable:
    """Three steps as an answer."""
    return lambda tokens, query: mean(weights(fit(tokens, query)), tokens)


WRONG_POOLS: dict[str, Callable] = {
    "all tokens count alike: the query is not used": _pool(weights=lambda s: torch.ones_like(s) / s.shape[1]),
    "the fits are not divided by the root of `dim`": _pool(lambda x, q: x @ q),
    "the fits are divided by 2, the root of `dim` in the example: here it is another": _pool(
        lambda x, q: x @ q / 2
    ),
    "the fits are divided by the length of the query: divide by the root of `dim`": _pool(
        lambda x, q: x @ q / q.norm()
    ),
    "the fits are divided by `dim`: divide by its root": _pool(lambda x, q: x @ q / len(q)),
    "the fits are multiplied by the root of `dim`: divide by it": _pool(lambda x, q: x @ q * len(q) ** 0.5),
    "the fits are divided by the root of the number of tokens: take that of `dim`": _pool(
        lambda x, q: x @ q / x.shape[1] ** 0.5
    ),
    "the fits are divided by the root of the number of images: take that of `dim`": _pool(
        lambda x, q: x @ q / len(x) ** 0.5
    ),
    "the fits are cosines: they are dot products": _pool(
        lambda x, q: normalize(x, dim=2) @ normalize(q, dim=0) / len(q) ** 0.5
    ),
    "the sign is wrong: the better a token matches, the more it counts": _pool(
        lambda x, q: -x @ q / len(q) ** 0.5
    ),
    "the fits are distances to the query here: they are dot products": _pool(
        lambda x, q: (x - q).norm(dim=2) / len(q) ** 0.5
    ),
    "the fits are cosines, and not divided by the root of `dim`": _pool(
        lambda x, q: normalize(x, dim=2) @ normalize(q, dim=0)
    ),
    "the fits are distances to the query, turned: they are dot products": _pool(
        lambda x, q: -(x - q).norm(dim=2) / len(q) ** 0.5
    ),
    "the products of a token's numbers are averaged: add them up": _pool(
        lambda x, q: (x * q).mean(2) / len(q) ** 0.5
    ),
    "the weights are divided by the root of `dim`: divide the fits, before softmax": _pool(
        lambda x, q: x @ q, mean=lambda w, x: (w[:, :, None] * x).sum(1) / x.shape[2] ** 0.5
    ),
    "the tokens themselves are divided by the root of `dim`: divide the fits alone": _pool(
        mean=lambda w, x: (w[:, :, None] * x).sum(1) / x.shape[2] ** 0.5
    ),
    "all tokens are added: does softmax go along an axis of one number?": _pool(weights=torch.ones_like),
    "softmax is taken over all images together: the weights of one image add up to 1": _pool(
        weights=lambda s: s.flatten().softmax(0).view_as(s)
    ),
    "the weights do not add up to 1: divide `exp` by its sum, as `softmax` does": _pool(weights=torch.exp),
    "the weights of a token's numbers add up to 1: softmax goes over the tokens": (
        lambda x, q: ((x * q / len(q) ** 0.5).softmax(2) * x).sum(1)
    ),
    "this is the largest of each number: take the weighted mean": lambda x, q: x.amax(1),
    "softmax is taken over the images: the weights of one image add up to 1": _pool(
        weights=lambda s: s.softmax(0)
    ),
    "softmax is missing: the fits are no weights": _pool(weights=lambda s: s),
    "the fits are divided by their sum: softmax makes weights of them": _pool(
        weights=lambda s: s / s.sum(1, keepdim=True)
    ),
    "sigmoid is no softmax: the weights of one image add up to 1": _pool(weights=torch.sigmoid),
    "sigmoid, divided by its sum, is no softmax": _pool(
        weights=lambda s: s.sigmoid() / s.sigmoid().sum(1, keepdim=True)
    ),
    "these are the weights of softmax, squared": _pool(weights=lambda s: s.softmax(1).square()),
    "softmax is taken twice": _pool(weights=lambda s: s.softmax(1).softmax(1)),
    "these are logarithms of the weights: `softmax`, not `log_softmax`": _pool(weights=lambda s: s.log_softmax(1)),
    "only the best token counts: take the weighted mean": _pool(
        weights=lambda s: one_hot(s.argmax(1), s.shape[1]).float()
    ),
    "it is divided by the number of tokens: the weights add up to 1 already": _pool(
        mean=lambda w, x: (w[:, :, None] * x).mean(1)
    ),
    "this is the largest weighted token: add them up": _pool(mean=lambda w, x: (w[:, :, None] * x).amax(1)),
    "these are the weighted tokens: add them up": _pool(mean=lambda w, x: w[:, :, None] * x),
    "these are the weights: return the weighted mean of the tokens": _pool(mean=lambda w, x: w),
    "one axis too many: the result has the shape (batch, dim)": _pool(mean=lambda w, x: w[:, None] @ x),
    "it is added up over the numbers of a token: add up over the tokens": _pool(
        mean=lambda w, x: (w[:, :, None] * x).sum(2)
    ),
    "all images are weighted as the first": _pool(mean=lambda w, x: (w[0, :, None] * x).sum(1)),
    "one vector for all images: give one for each": _pool(mean=lambda w, x: (w[:, :, None] * x).sum(1).mean(0)),
    "each number has weights of its own: one fit for each token": (
        lambda x, q: ((x * q / len(q) ** 0.5).softmax(1) * x).sum(1)
    ),
}


@check(
    "The test part must be changed in exactly the same way as the training part. So how many means and deviations "
    "are there for each column, and from which part do they come? What happens where a deviation is 0?",
    "`train.mean(0)` and `train.std(0, correction=0)` have one number for each column. Where all values of a "
    "column are equal, `train.amax(0) == train.amin(0)`, divide by 1: rounding may make its deviation 3e-8. "
    "Then subtract and divide in both parts with the same numbers.",
)
def standardise(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`standardise(train, test)` gives each column the mean 0 and the deviation 1, as the training part has it."""
    cases, sizes = [], distinct(rng, 6, 4, 9)
    for n, m, dim in (sizes[:3], sizes[3:]):
        spread, mean = torch.logspace(-0.5, 0.7, dim), 3 * torch.randn(dim, generator=rng)
        train, test = (torch.randn(count, dim, generator=rng) for count in (n, m))
        train, _ = _standardised(train, train)  # or a column has so little spread, by chance, that rounding counts
        cases.append((mean + spread * train, mean + spread * (2 * test + 1)))  # another mean, another deviation

    problem = explain(answer, _standardised, cases, WRONG_SCALES)
    yield "changes both parts by mean and deviation of the training part", problem
    if problem:
        return

    constant, one, another = distinct(rng, 3, 1, 9)

    def with_constant(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
        """A column that is the same in the whole training part, but not in the test part, goes first."""
        column = torch.full_like(test[:, :1], one)
        column[0] = another
        return torch.cat([torch.full_like(train[:, :1], constant), train], 1), torch.cat([column, test], 1)

    def without_spread(change: Callable[[Tensor], Tensor]) -> Callable:
        """The right parts, but the columns without spread are changed."""

        def answer(train: Tensor, test: Tensor) -> tuple[Tensor, ...]:
            flat = train.amax(0) == train.amin(0)
            return tuple(torch.where(flat, change(part), part) for part in _standardised(train, test))

        return answer

    flat = [with_constant(*case) for case in cases]
    rules = {
        "a column without spread is 0 in the test part: only subtract its mean there": torch.zeros_like,
        "a column without spread stays as it is: subtract its mean": lambda x: x + constant,
    }
    mistakes = {text: without_spread(rule) for text, rule in rules.items()}
    mistakes["a column without spread is left out: it should stay, with its mean subtracted"] = (
        lambda train, test: tuple(part[:, train.std(0, correction=0) > 0] for part in _standardised(train, test))
    )
    mistakes["one column without spread leaves all of them undivided: only it should be"] = _scaled_by(
        lambda train, test: (train.mean(0), 1)
    )
    huge = "where the training part has no spread, values become huge: divide by 1 there"
    problem = _divided_by_nothing(answer, flat, huge) or explain(answer, _standardised, flat, mistakes)
    if not problem:
        tenths = torch.tensor([0.1, 0.3, 0.7, 1.1, 100.1, 1000.1])
        rounded = [
            (torch.full((n, 1), tenth), tenth + torch.ones(2, 1)) for n in (7, 9) for tenth in tenths.tolist()
        ]
        rounded += [(tenths.repeat(n, 1), 1 + tenths.repeat(2, 1)) for n in (7, 9)]
        huge = "by rounding, a column of 1000.1 may have the deviation 6e-5: ask whether all its values are equal"
        problem = _divided_by_nothing(answer, rounded, huge)
        problem = problem or explain(answer, _standardised, rounded, tolerance=1e-3)
    yield "only subtracts the mean where the training part has no spread", problem
    if problem:
        return
    train, test = cases[0]
    small = [3e-5 * part for part in _standardised(train, test)]
    yield "divides by a small deviation, too", _not_divided(answer, *small)
    edges = [
        (train[:1].round(), test),
        (train, test[:1]),
        (300 * train, 300 * test),
        (-train[:, :1], test[:, :1]),
        (torch.cat([train, train[:1]]), test),  # ends as it begins
    ]
    problem = explain(answer, _standardised, edges) or _rounded_squares(answer, rng)
    yield "works for one image, one column and large numbers", problem


def _standardised(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    mean, deviation = train.mean(0), train.std(0, correction=0)
    deviation = torch.where(train.amax(0) > train.amin(0), deviation, 1)  # of equal values it may be 3e-8
    return (train - mean) / deviation, (test - mean) / deviation


def _scaled_by(of_train: Callable, of_test: Callable | None = None) -> Callable:
    """Each part less the first, divided by the second of two numbers that follow from (train, test)."""

    def answer(train: Tensor, test: Tensor) -> tuple[Tensor, ...]:
        rules = zip((train, test), (of_train, of_test or of_train), strict=True)
        return tuple((part - shift) / scale for part, rule in rules for shift, scale in [rule(train, test)])

    return answer


def _mean_and_deviation(part: Tensor, dim: int | None = 0) -> tuple[Tensor, Tensor]:
    return part.mean(dim, keepdim=dim is not None), part.std(dim, correction=0, keepdim=dim is not None)


def _divided_by_nothing(answer: Answer, cases: list[tuple], huge: str) -> Verdict:
    """What is wrong if a column without spread makes values that are not finite, or `huge`."""
    for case in cases:
        largest = torch.cat(list(answer(*case))).abs().max()
        text = first(
            (bool(largest.isnan()), "0 / 0 is NaN: where the training part has no spread, divide by 1"),
            (bool(largest > 300), huge),
        )
        if text:
            return f"{text}\n{answer.shown(*case)}"
    return None


def _not_divided(answer: Answer, train: Tensor, test: Tensor) -> Verdict:
    """What is wrong if columns of small deviations do not come out with the deviation 1."""
    case, deviations = (train, test), train.std(0, correction=0)
    got = _mean_and_deviation(answer(*case)[0])[1].flatten()
    for deviation, after in zip(deviations.tolist(), got.tolist(), strict=True):
        if abs(after - 1) > 1e-2:
            text = f"a column of deviation {deviation:.2g} comes out with {after:.2g}: only one of 0 is replaced"
            return f"{text}\n{answer.shown(*case)}"
    return explain(answer, _standardised, [case], tolerance=1e-3)  # a tiny number may be added


def _rounded_squares(answer: Answer, rng: Generator) -> Verdict:
    """What is wrong for values whose mean and deviation are exact in 32 bits, but not the sum of their squares."""
    level = int(torch.randint(2**14, 2**15, (1,), generator=rng))
    train = level + torch.arange(7.0)[:, None]
    case = train, train[:2] + 4
    text = (
        f"a column around {level:,} comes out wrong: is a difference of two squares taken? It loses its last "
        f"digits: subtract the mean first, then square\n{answer.shown(*case)}"
    )
    return text if explain(answer, _standardised, [case], tolerance=1e-2) else None


WRONG_SCALES: dict[str, Callable] = {
    "each part has its own mean and deviation: those of the training part hold for both": _scaled_by(
        lambda train, test: _mean_and_deviation(train), lambda train, test: _mean_and_deviation(test)
    ),
    "the test part leaks: mean and deviation of both parts together are used": _scaled_by(
        lambda train, test: _mean_and_deviation(torch.cat([train, test]))
    ),
    "the test part leaks: its mean and deviation are used, not those of the training part": _scaled_by(
        lambda train, test: _mean_and_deviation(test)
    ),
    "in the test part the mean is its own: take the one of the training part": _scaled_by(
        lambda train, test: _mean_and_deviation(train),
        lambda train, test: (_mean_and_deviation(test)[0], _mean_and_deviation(train)[1]),
    ),
    "in the test part the deviation is its own: take the one of the training part": _scaled_by(
        lambda train, test: _mean_and_deviation(train),
        lambda train, test: (_mean_and_deviation(train)[0], _mean_and_deviation(test)[1]),
    ),
    "one mean and one deviation for all columns: each column has its own": _scaled_by(
        lambda train, test: _mean_and_deviation(train, None)
    ),
    "one deviation for all columns: each column has its own": _scaled_by(
        lambda train, test: (_mean_and_deviation(train)[0], _mean_and_deviation(train, None)[1])
    ),
    "the deviation divides by n, not by n - 1: `correction=0`": _scaled_by(
        lambda train, test: (train.mean(0), train.std(0))
    ),
    "that is the variance: the deviation is its root": _scaled_by(
        lambda train, test: (train.mean(0), train.var(0, correction=0))
    ),
    "the mean is subtracted, but nothing is divided by the deviation": _scaled_by(
        lambda train, test: (train.mean(0), 1)
    ),
    "it is divided by the deviation, but the mean is not subtracted": _scaled_by(
        lambda train, test: (0, _mean_and_deviation(train)[1])
    ),
    "deviations below 1 are raised to 1: only one of 0 is replaced": _scaled_by(
        lambda train, test: (train.mean(0), _mean_and_deviation(train)[1].clamp(min=1))
    ),
    **{
        f"{small:g} is added to every deviation: only one of 0 is replaced": _scaled_by(
            lambda train, test, small=small: (train.mean(0), small + _mean_and_deviation(train)[1])
        )
        for small in (1, 1e-2, 1e-3, 1e-4, 1e-5)
    },
    **{
        f"{small:g} is added to every variance: only a deviation of 0 is replaced": _scaled_by(
            lambda train, test, small=small: (train.mean(0), (train.var(0, correction=0) + small).sqrt())
        )
        for small in (1, 1e-2, 1e-3, 1e-4, 1e-5)
    },
    "the deviation is measured from 0: measure it from the mean": _scaled_by(
        lambda train, test: (train.mean(0), train.square().mean(0).sqrt())
    ),
    "divided by the range, not by the deviation": _scaled_by(
        lambda train, test: (train.mean(0), train.amax(0) - train.amin(0))
    ),
    "only the mean is divided: put the difference in parentheses": _scaled_by(
        lambda train, test: (train.mean(0) / _mean_and_deviation(train)[1], 1)
    ),
    "first subtract the mean, then divide by the deviation": _scaled_by(
        lambda train, test: (train.mean(0) * _mean_and_deviation(train)[1], _mean_and_deviation(train)[1])
    ),
    "it is multiplied by the deviation: divide by it": _scaled_by(
        lambda train, test: (train.mean(0), 1 / _mean_and_deviation(train)[1])
    ),
    "the median is subtracted, not the mean": _scaled_by(
        lambda train, test: (train.median(0).values, _mean_and_deviation(train)[1])
    ),
    "the mean absolute deviation is no standard deviation": _scaled_by(
        lambda train, test: (train.mean(0), (train - train.mean(0)).abs().mean(0))
    ),
    "the columns are scaled to the range from 0 to 1: use mean and deviation": _scaled_by(
        lambda train, test: (train.amin(0), train.amax(0) - train.amin(0))
    ),
    "divided by the length of the column: the deviation is the root of a mean square": _scaled_by(
        lambda train, test: (train.mean(0), (train - train.mean(0)).norm(dim=0))
    ),
    "the rows are standardised, each image by itself: the columns should be": (
        lambda train, test: tuple(
            (part - _mean_and_deviation(part, 1)[0]) / _mean_and_deviation(part, 1)[1] for part in (train, test)
        )
    ),
    "the test part comes back as it was: is it scaled by what `train` has become?": lambda train, test: (
        _standardised(train, test)[0],
        test,
    ),
    "the two parts are swapped: the training part comes first": (
        lambda train, test: _standardised(train, test)[::-1]
    ),
    "only the test part is returned; both are asked for": lambda train, test: _standardised(train, test)[1],
    "only the training part is returned; both are asked for": lambda train, test: _standardised(train, test)[0],
    **{
        f"values beyond {limit} are cut off: leave them as they are": (
            lambda train, test, limit=limit: tuple(x.clamp(-limit, limit) for x in _standardised(train, test))
        )
        for limit in (1, 2, 3)
    },
}


@check(
    "What must be drawn for each class on its own? List the classes first: they are names, so they need not be 0, "
    "1, 2, ... For one class, which images may be drawn?",
    "For each of `set(labels)` make the list of the places that have this label. "
    "`torch.randperm(len(places), generator=generator)[:each]` says which of them are drawn. Draw anew for every "
    "class, and put all drawn places into one list.",
)
def few_labels(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`few_labels(labels, each, generator)` draws the same number of images of every class."""
    # More classes than are drawn of each, so that a number of images is never also one of classes.
    sizes = dict(zip((10 + torch.randperm(90, generator=rng)[:6]).tolist(), distinct(rng, 6, 6, 15), strict=True))
    labels, each = _shuffled(sizes, rng), distinct(rng, 1, 3, 5)[0]
    seed = int(torch.randint(10_000, (1,), generator=rng))

    def drawn(labels: list[int], each: int, generator: Generator) -> object:
        got = answer(labels, each, generator)
        if isinstance(got, list | tuple):
            return [place.tolist() if isinstance(place, Tensor) else place for place in got]
        return got.tolist() if isinstance(got, Tensor) else got

    got, again, other, third = (drawn(labels, each, Generator().manual_seed(seed + k)) for k in (0, 0, 1, 2))
    problem = next(filter(None, (_not_places(turn, labels) for turn in (got, other, third))), None)
    yield "returns places in `labels`", problem
    if problem:
        return
    from_one = all(_from_one(turn, labels, each) for turn in (got, other, third))
    problem = "places begin with 0, not with 1" if from_one else _uneven(got, labels, each)
    yield "takes `each` images of every class, none twice", problem
    if problem:
        return
    kept = f"the second call returns more places: {KEEPS}"
    problem = first(
        (len(again) > len(got), kept),
        (again != got, "two generators of one seed gave two draws: draw by torch, and pass `generator` on"),
        (set(other) == set(got), "generators of two seeds gave one draw: is it drawn at all, from `generator`?"),
    )
    yield "draws from `generator` alone", problem
    if problem:
        return

    one, two = distinct(rng, 2, 0, 99)
    # Who takes the size of the first class for all, in any order, goes wrong in one of the two.
    small = [one, *_shuffled({one: 1, two: 6}, rng), one]
    wide = _shuffled(dict.fromkeys(range(CLASSES), 4) | {0: 5, CLASSES - 1: 5}, rng)
    generator = Generator().manual_seed(seed)
    single = [drawn(small, 1, generator) for _ in range(DRAWS)]
    double = [drawn(wide, 2, generator) for _ in range(DRAWS // 10)]
    cases = [(turn, small, 1) for turn in single] + [(turn, wide, 2) for turn in double]
    problem = next(filter(None, (_uneven(*case) for case in cases)), None)
    yield "takes `each` images of every class, none twice", problem
    if problem:
        return
    problem = _unequal_chances(small, single, copied=len(set(map(frozenset, double))) == 1)
    yield "gives all choices the same chance", problem or _unequal_pairs(wide, double)
    edges = [([one, two], 1), (small, 3), ([two] * 4, 4), ([-1, 0, 9, 9, 0, -1], 2)]
    uneven = (_uneven(drawn(labels, each, generator), labels, each) for labels, each in edges)
    yield "can take all images of a class, and of a single class", next(filter(None, uneven), None)


def _shuffled(sizes: dict[int, int], rng: Generator) -> list[int]:
    """Labels in any order: so many of each class."""
    labels = [label for label, size in sizes.items() for _ in range(size)]
    return [labels[place] for place in torch.randperm(len(labels), generator=rng)]


def _not_places(got: object, labels: list[int]) -> str | None:
    """What is wrong if this is not a list of places."""
    if not isinstance(got, list):
        return f"expected a list of places, got {describe(got)}"
    if not got:
        return "the list is empty: labels are names, so take the classes from `labels`"
    odd = [place for place in got if isinstance(place, bool) or not isinstance(place, Integral)]
    if odd:
        return f"expected places, whole numbers such as 0, 3 and 4, got {describe(odd[0])}"
    outside = not all(0 <= place < len(labels) for place in got)
    return first(
        (set(got) <= set(labels) and len(set(got)) < len(got), "these are labels: return the places of images"),
        (outside and set(got) <= {*range(1, len(labels) + 1)}, "places begin with 0, not with 1"),
        (outside, f"places go from 0 to {len(labels) - 1}"),
    )


def _from_one(places: list[int], labels: list[int], each: int) -> bool:
    """Whether these are `each` images of every class only if places begin with 1."""
    counts, before = (Counter(labels[place - shift] for place in places) for shift in (0, 1))
    return 0 not in places and counts != before == dict.fromkeys(labels, each)


def _uneven(places: list[int], labels: list[int], each: int) -> str | None:
    """What is wrong if these places are not `each` different ones of every class."""
    if problem := _not_places(places, labels):
        return problem
    classes = set(labels)
    counts = Counter(labels[place] for place in places)
    share, found = len(places) / each, f"expected {each} of each class, got {dict(counts)}"
    same = counts[labels[places[0]]] if len(set(counts.values())) == 1 else None
    twice = len(set(places)) < len(places)
    return first(
        (
            twice and all(place == labels.index(labels[place]) for place in places),
            "only the first image of each class, more than once: `labels.index` finds no other",
        ),
        (
            twice and max(places) < max(Counter(labels).values()),
            "these are places among the images of a class: return those in `labels`",
        ),
        (twice, "an image comes twice: draw without putting it back"),
        (same == 1 < each and len(counts) == len(classes), f"one of each class: take {each}"),
        (len(classes) > 1 and share == 1, f"these are {each} images in all: take {each} of every class"),
        (
            share == len(classes) and same is None,
            "the number of all images is right, but not that of each class: draw within each class, and return "
            "places in `labels`",
        ),
        (same is not None and len(counts) < len(classes), f"a class is missing: {found}"),
        (same == each - 1 and len(counts) == len(classes), f"one too few of each class: {found}"),
        (same == each + 1, f"one too many of each class: {found}"),
        (len(places) == len(labels) > each * len(classes), "these are all images: draw some of each class"),
        (counts != dict.fromkeys(classes, each), found),
    )


def _unequal_chances(labels: list[int], turns: list[list[int]], copied: bool) -> str | None:
    """What is wrong with many draws of one from each of two classes, one smaller than the other.

    `copied`: draws of more images with one generator are all alike, too.
    """
    few, many = sorted(
        ([place for place, label in enumerate(labels) if label == name] for name in set(labels)), key=len
    )
    often = [torch.tensor([sum(place in turn for turn in turns) for place in places]) for places in (few, many)]
    pairs = Counter(map(frozenset, turns))
    together = torch.tensor([pairs[frozenset(pair)] for pair in product(few, many)])
    where = f"in {DRAWS} draws of one image of a class of {len(few)} and one of a class of {len(many)},"
    return first(
        (
            len(pairs) == 1 and copied,
            f"{where} they were always the same: draw from `generator` itself, not from a copy",
        ),
        (len(pairs) == 1, f"{where} they were always the same: is an image taken without a draw?"),
        (
            bool(often[0].all() and not often[1].all()),
            f"{where} one of the {len(many)} never came: classes have different sizes",
        ),
        (not torch.cat(often).all(), f"{where} an image never came"),
        (
            not all(fair(counts, DRAWS, 1 / len(counts)) for counts in often),
            f"{where} the images came {often[0].tolist()} and {often[1].tolist()} times, not all of a class alike",
        ),
        (bool((together == 0).any()), f"{where} some pairs never came: draw anew for every class"),
        (
            not fair(together, DRAWS, 1 / len(together)),
            f"{where} the pairs came {together.tolist()} times, not each about {DRAWS / len(together):.0f} times",
        ),
    )


def _unequal_pairs(labels: list[int], turns: list[list[int]]) -> str | None:
    """What is wrong with many draws of two from each of many classes of four images, and of a few larger ones."""
    place_of = {label: [] for label in labels}
    for place, label in enumerate(labels):
        place_of[label].append(place)

    def pairs_of(turn: list[int]) -> list[frozenset[int]]:
        """Which of its images, from 0 to 3, each class of four gives."""
        drawn = {label: [] for label in labels}
        for place in turn:
            drawn[labels[place]].append(place_of[labels[place]].index(place))
        return [frozenset(pair) for label, pair in drawn.items() if len(place_of[label]) == 4]

    drawn = [pairs_of(turn) for turn in turns]
    pairs = Counter(pair for turn in drawn for pair in turn)
    together = torch.tensor([pairs[frozenset(pair)] for pair in combinations(range(4), 2)])
    draws = pairs.total()
    where = f"in {draws} draws of two of four images of a class"
    return first(
        (
            all(len(set(turn)) == 1 for turn in drawn),
            f"in {len(turns)} draws all classes of four gave the same two of their images: draw anew for every "
            "class",
        ),
        (bool((together == 0).any()), f"{where} some pairs never came: any two can be drawn, not only neighbours"),
        (
            not fair(together, draws, 1 / 6),
            f"{where} the six pairs came {together.tolist()} times, not each about {draws / 6:.0f} times",
        ),
    )


@check(
    "Take one test image. Which numbers say how similar it is to every training image? How do you find the `k` "
    "largest of them, and the labels that belong to these? Then add up a weight for each class.",
    "Divide all vectors by their lengths; `test @ train.T` then has a row of cosines for each test image. "
    "`topk(k)` gives the largest and their places, and `labels[places]` their labels. "
    "`torch.zeros(len(test), classes).scatter_add(1, ...)` adds up the weights for each class, or a loop does.",
    batched=(2,),
)
def knn_predict(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`knn_predict(train, labels, test, k, temperature)` is the class with the most weight among the k nearest."""
    low, high = distinct(rng, 2, 5, 9)
    cases = [_neighbourhood(rng, 300, 5, low / 100), _neighbourhood(rng, 300, 20, high / 20)]
    problem = explain(answer, _vote(), cases, WRONG_VOTES)
    yield "gives the class with the largest weight among the `k` nearest", problem
    if problem:
        return
    problem = explain(answer, _vote(), [_neighbourhood(rng, 300, 12, 0.5, n=13)], WRONG_FOR_UNLIKE)
    yield "gives unlike images a small weight", problem
    if problem:
        return
    others = [_neighbourhood(rng, 20, k, t) for k, t in ((1, 0.1), (2, 1.0), (12, 0.5))]
    yield (
        "is right for one neighbour, two, many, and other temperatures",
        explain(answer, _vote(), others, WRONG_VOTES),
    )
    train, labels, test, _, temperature = others[0]
    edges = [
        (train, labels, test, len(train), temperature),
        (train, torch.full_like(labels, 9), test, 3, temperature),
        (train, 7 * labels + 1, test, 3, temperature),
        (train[:1], labels[:1], test, 1, temperature),
        (1000 * train, labels, test / 1000, 3, temperature),
        (train, labels, train, 1, temperature),
    ]
    yield (
        "works with all images as neighbours, one image, one class, long vectors",
        explain(answer, _vote(), edges, WRONG_VOTES),
    )


def _neighbourhood(
    rng: Generator, count: int, k: int, temperature: float, n: int | None = None
) -> tuple[Tensor, Tensor, Tensor, int, float]:
    """Training images of four classes, whose labels have gaps, and test images: no vote is a close call.

    Without a given `n` no neighbour has a negative similarity.
    """
    size, dim = n or 3 * k + 20 + distinct(rng, 1, 0, 5)[0], distinct(rng, 1, 5, 8)[0]
    labels = torch.tensor([0, 2, 3, 5])[torch.randint(4, (size,), generator=rng)]
    vectors = normalize(torch.randn(size + 2 * count, dim, generator=rng) + 0.3, dim=1)
    train, many = (0.3 + 0.7 * torch.rand(len(vectors), 1, generator=rng)).mul(vectors).split([size, 2 * count])
    votes = _vote(of=lambda weights: weights)(train, labels, many, k, temperature).sort(1, descending=True).values
    similar = _cosines(train, many).sort(1, descending=True).values
    clear = (votes[:, 0] > 1.001 * votes[:, 1]) & ((similar[:, k - 1] - similar[:, k]) > 1e-5)
    if n is None:
        clear &= similar[:, k - 1] > 0
    return train, labels, many[clear][:count], k, temperature


def _cosines(train: Tensor, test: Tensor) -> Tensor:
    return normalize(test, dim=1) @ normalize(train, dim=1).T


def _vote(
    similarity: Callable[[Tensor, Tensor], Tensor] = _cosines,
    voters: Callable[[int, int], slice] = lambda k, n: slice(0, k),
    weight: Callable[[Tensor, float], Tensor] = lambda similar, temperature: (similar / temperature).exp(),
    of: Callable[[Tensor], Tensor] = lambda votes: votes.argmax(1),
) -> Callable:
    """Other similarities, places in the order of neighbours, or weights, or something else of the votes."""

    def answer(train: Tensor, labels: Tensor, test: Tensor, k: int, temperature: float) -> Tensor:
        similar, near = similarity(train, test).sort(1, descending=True)
        chosen = voters(k, len(train))
        weights = weight(similar[:, chosen], temperature)[:, :, None]
        return of((weights * one_hot(labels)[near[:, chosen]]).sum(1))

    return answer


def _by_labels(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """What a rule makes of the labels and of the weights of the neighbours."""

    def answer(train: Tensor, labels: Tensor, test: Tensor, k: int, temperature: float) -> Tensor:
        similar, near = _cosines(train, test).topk(k)
        return rule(labels[near], (similar / temperature).exp())

    return answer


def _chosen_by(similarity: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """The vote, with the right weights, of the images that another similarity chooses."""

    def answer(train: Tensor, labels: Tensor, test: Tensor, k: int, temperature: float) -> Tensor:
        near = similarity(train, test).topk(k).indices
        weights = (_cosines(train, test).gather(1, near) / temperature).exp()
        return (weights[:, :, None] * one_hot(labels)[near]).sum(1).argmax(1)

    return answer


def _by_class(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """The class whose training images are most similar to a test image, by a rule."""

    def answer(train: Tensor, labels: Tensor, test: Tensor, k: int, temperature: float) -> Tensor:
        names = labels.unique()
        return names[torch.stack([rule(train[labels == name], test) for name in names]).argmax(0)]

    return answer


WRONG_VOTES: dict[str, Callable] = {
    "the dot product grows with the length of a vector: divide by both lengths": _vote(lambda x, y: y @ x.T),
    "the nearest is the most similar by the cosine, not by the distance of the vectors": _vote(
        lambda x, y: -torch.cdist(y, x)
    ),
    "the mean of each vector is subtracted first: that is a correlation": _vote(
        lambda x, y: _cosines(x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True))
    ),
    "the lengths are those of the columns: each image has its own": _vote(
        lambda x, y: normalize(y, dim=0) @ normalize(x, dim=0).T
    ),
    "one length for all images: each has its own": _vote(lambda x, y: (y / y.norm()) @ (x / x.norm()).T),
    "only the training images are divided by their lengths: it changes the weights": _vote(
        lambda x, y: y @ normalize(x, dim=1).T
    ),
    "only the test images are divided by their lengths": _vote(lambda x, y: normalize(y, dim=1) @ x.T),
    "the nearest are chosen by the distance of the vectors: choose by the cosine": _chosen_by(
        lambda x, y: -torch.cdist(y, x)
    ),
    "the nearest are chosen by the dot product: choose by the cosine": _chosen_by(lambda x, y: y @ x.T),
    "the lengths are sums of absolute values: take the root of the sum of squares": _vote(
        lambda x, y: normalize(y, p=1, dim=1) @ normalize(x, p=1, dim=1).T
    ),
    "the mean of the training images is subtracted first: compare the vectors as they are": _vote(
        lambda x, y: _cosines(x - x.mean(0), y - x.mean(0))
    ),
    "opposite vectors count as similar: the sign of the cosine is lost": _vote(lambda x, y: _cosines(x, y).abs()),
    "these are the least similar images: take the most similar": _vote(voters=lambda k, n: slice(n - k, n)),
    "the most similar image is left out: no test image is among the training images": _vote(
        voters=lambda k, n: slice(1, k + 1)
    ),
    "it is one neighbour too many: `[:k]` has k": _vote(voters=lambda k, n: slice(0, k + 1)),
    "it is one neighbour too few: `[:k]` has k": _vote(voters=lambda k, n: slice(0, max(1, k - 1))),
    "only the nearest image has a vote": _vote(voters=lambda k, n: slice(0, 1)),
    "only the last of the `k` nearest has a vote": _vote(voters=lambda k, n: slice(k - 1, k)),
    "all training images have a vote": _vote(voters=lambda k, n: slice(0, n)),
    "all of the `k` nearest count alike: weigh them": _vote(weight=lambda s, t: 1 + 0 * s),
    "the weight is the similarity itself: `exp` is missing": _vote(weight=lambda s, t: s),
    "the temperature is missing, or stands outside `exp`: exp(similarity / temperature)": _vote(
        weight=lambda s, t: s.exp()
    ),
    "the similarity is multiplied by the temperature: divide by it": _vote(weight=lambda s, t: (s * t).exp()),
    "the sign is wrong: the more similar, the larger the weight": _vote(weight=lambda s, t: (-s / t).exp()),
    "the weight is a power of 2: `exp` is one of e": _vote(weight=lambda s, t: 2 ** (s / t)),
    **{
        f"the temperature is always {fixed}: take the one that is given": _vote(
            weight=lambda s, t, fixed=fixed: (s / fixed).exp()
        )
        for fixed in (0.07, 0.1, 0.5)
    },
    "the weights of an image in all votes add up to 1: softmax goes along the wrong axis": _vote(
        weight=lambda s, t: (s / t).softmax(0)
    ),
    "the weight is the inverse of the rank: exp(similarity / temperature)": _vote(
        weight=lambda s, t: 1 / torch.arange(1, s.shape[1] + 1).expand_as(s)
    ),
    "the weight is the inverse of the distance: exp(similarity / temperature)": _vote(
        weight=lambda s, t: 1 / (1 - s).clamp(min=1e-6)
    ),
    "this is the class with the smallest weight": _vote(of=lambda votes: votes.argmin(1)),
    "this is the largest weight: return the class that has it": _vote(of=lambda votes: votes.amax(1)),
    "these are the weights of all classes: return the class with the largest": _vote(of=lambda votes: votes),
    "labels are counted from 0, not from 1": _vote(of=lambda votes: 1 + votes.argmax(1)),
    "these are real numbers: return labels": _vote(of=lambda votes: votes.argmax(1).float()),
    "one class for all test images: each has its own": _vote(
        of=lambda votes: votes.sum(0).argmax().expand(len(votes))
    ),
    "classes are counted without those that have no image: return labels": _vote(
        of=lambda votes: votes[:, votes.sum(0) > 0].argmax(1)
    ),
    "labels are names, so they have no mean: add up the weights of each class": _by_labels(
        lambda labels, weights: ((labels * weights).sum(1) / weights.sum(1)).round().long()
    ),
    "labels are names, so they have no median: add up the weights of each class": _by_labels(
        lambda labels, weights: labels.median(1).values
    ),
    "weights of a class are averaged: add them up": _by_labels(
        lambda labels, weights: torch.stack(
            [torch.nan_to_num((weights * (labels == c)).sum(1) / (labels == c).sum(1)) for c in range(6)]
        ).argmax(0)
    ),
    "a weight of a class replaces the one before: add them up": _by_labels(
        lambda labels, weights: torch.stack(
            [torch.where(labels == c, weights, torch.inf).amin(1).nan_to_num(posinf=0) for c in range(6)]
        ).argmax(0)
    ),
    "these are the labels of the nearest images: let them vote": _by_labels(lambda labels, weights: labels),
    "this is the largest label among the nearest: let them vote": _by_labels(
        lambda labels, weights: labels.amax(1)
    ),
    "this is the class whose mean is most similar: its nearest images should vote": _by_class(
        lambda x, y: _cosines(x.mean(0, keepdim=True), y).flatten()
    ),
    "this is the class that is most similar on average: the `k` nearest should vote": _by_class(
        lambda x, y: _cosines(x, y).mean(1)
    ),
    "these are places in `train`: return the labels there": lambda x, labels, y, k, t: _cosines(x, y).argmax(1),
}
WRONG_FOR_UNLIKE: dict[str, Callable] = {
    "negative similarities are raised to 0: they have small weights": _vote(
        weight=lambda s, t: (s.clamp(min=0) / t).exp()
    ),
    "images with a negative similarity are left out: they have small weights": _vote(
        weight=lambda s, t: (s / t).exp() * (s > 0)
    ),
}


@check(
    "How far is token i from token j? Make a table of these distances first, of shape (tokens, tokens): token "
    "`row * cols + col` lies in this row and column. What does an attention map do with the rows of such a table?",
    "`torch.cartesian_prod(torch.arange(rows), torch.arange(cols))` lists the places of all tokens, and "
    "`torch.cdist` of it (as real numbers) with itself is the table. Multiply maps and table, add up over the "
    "keys, take the mean over the queries, and multiply by `patch`.",
    batched=(0,),
)
def attention_distance(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attention_distance(maps, grid, patch)` is how far each head looks, on average, in pixels."""

    def draw() -> list[tuple]:
        sizes = [distinct(rng, 4, 2, 7) for _ in range(2)]
        return [(_attention(rng, heads, rows * cols), (rows, cols), patch) for heads, rows, cols, patch in sizes]

    cases = telling(draw, _distance_by(), WRONG_TABLES)
    problem = explain(answer, _distance_by(), cases, WRONG_DISTANCES)
    yield "is the mean distance, weighted by the attention", problem
    if problem:
        return
    rows, cols = distinct(rng, 2, 2, 6)
    tokens = rows * cols
    itself, everywhere = torch.eye(tokens), torch.full((tokens, tokens), 1 / tokens)
    first_token = one_hot(torch.zeros(tokens, dtype=torch.long), tokens).float()
    sharp = torch.stack([itself, everywhere, first_token, itself.roll(1, 0)])
    yield "is 0 for a head that looks at itself alone", explain(answer, _distance_by(), [(sharp, (rows, cols), 4)])
    edges = [
        (torch.ones(3, 1, 1), (1, 1), 16),
        (_attention(rng, 2, cols), (1, cols), 1),
        (_attention(rng, 3, rows), (rows, 1), 2),
        (_attention(rng, 2, 196), (14, 14), 16),
    ]
    yield "works for one token, one row, one column and a ViT-B", explain(answer, _distance_by(), edges)


def _attention(rng: Generator, *shape: int) -> Tensor:
    """Attention maps, whose rows add up to 1; the last number of the shape is that of the tokens."""
    return (2 * torch.randn(*shape, shape[-1], generator=rng)).softmax(-1)


def _places(grid: tuple[int, int]) -> Tensor:
    """Row and column of each token."""
    rows, cols = grid
    return torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).view(-1, 2).float()


def _straight(grid: tuple[int, int]) -> Tensor:
    return torch.cdist(_places(grid), _places(grid))


def _distance_by(
    between: Callable[[tuple[int, int]], Tensor] = _straight,
    mean: Callable[[Tensor, Tensor], Tensor] = lambda maps, table: (maps * table).sum(2).mean(1),
    unit: Callable[[float], float] = lambda patch: patch,
) -> Callable:
    """A distance of tokens, a mean of it for each head, and a unit, as an answer."""
    return lambda maps, grid, patch: mean(maps, between(grid)) * unit(patch)


def _divided(grid: tuple[int, int], by: int, rest: int) -> Tensor:
    """The distances if row and column are the parts of a division of the token's number by these."""
    index = torch.arange(math.prod(grid))
    places = torch.stack([index // by, index % rest], 1).float()
    return torch.cdist(places, places)


def _in_a_row(grid: tuple[int, int]) -> Tensor:
    index = torch.arange(math.prod(grid)).float()
    return (index[:, None] - index).abs()


WRONG_TABLES: dict[str, Callable] = {  # of distances
    "rows and columns are added: the distance is that of the straight line": _distance_by(
        lambda grid: torch.cdist(_places(grid), _places(grid), p=1)
    ),
    "this is the larger of rows and columns: the distance is that of the straight line": _distance_by(
        lambda grid: torch.cdist(_places(grid), _places(grid), p=math.inf)
    ),
    "the differences of row and column are added with their signs": _distance_by(
        lambda grid: (_places(grid)[:, None] - _places(grid)).sum(2).abs()
    ),
    "distances are cut to whole patches: keep the fraction": _distance_by(lambda grid: _straight(grid).floor()),
    "distances are cut to whole pixels: keep the fraction": lambda maps, grid, patch: _distance_by(
        lambda grid: (_straight(grid) * patch).floor(), unit=lambda patch: 1
    )(maps, grid, patch),
    "distances are rounded to whole pixels: keep the fraction": lambda maps, grid, patch: _distance_by(
        lambda grid: (_straight(grid) * patch).round(), unit=lambda patch: 1
    )(maps, grid, patch),
    "only the rows count: columns are apart, too": _distance_by(
        lambda grid: torch.cdist(_places(grid)[:, :1], _places(grid)[:, :1])
    ),
    "only the columns count: rows are apart, too": _distance_by(
        lambda grid: torch.cdist(_places(grid)[:, 1:], _places(grid)[:, 1:])
    ),
    "tokens lie in rows and columns: the difference of their numbers is no distance": _distance_by(_in_a_row),
    "the grid is turned: token `row * cols + col` lies in this row and column": _distance_by(
        lambda grid: _straight(grid[::-1])
    ),
    "the grid is taken for a square: `grid` has its rows and columns": _distance_by(
        lambda grid: _divided(grid, math.isqrt(math.prod(grid)), math.isqrt(math.prod(grid)))
    ),
    "the row of a token is `token // cols`, not `token // rows`": _distance_by(
        lambda grid: _divided(grid, grid[0], grid[1])
    ),
    "the column of a token is `token % cols`, not `token % rows`": _distance_by(
        lambda grid: _divided(grid, grid[1], grid[0])
    ),
}
WRONG_DISTANCES: dict[str, Callable] = WRONG_TABLES | {
    "these are patches: a patch is `patch` pixels wide": _distance_by(unit=lambda patch: 1),
    "a patch is `patch` pixels wide: multiply by it, do not divide": _distance_by(unit=lambda patch: 1 / patch),
    "a distance is a length: multiply by `patch`, not by its square": _distance_by(unit=lambda patch: patch**2),
    "`patch` is under the root: multiply by it afterwards": _distance_by(unit=lambda patch: patch**0.5),
    "`@` multiplies matrices: weights and distances go pair by pair, by `*`": _distance_by(
        mean=lambda maps, table: (maps @ table).sum(2).mean(1)
    ),
    "the root is missing: these are squares of distances": _distance_by(lambda grid: _straight(grid).square()),
    "the root is missing: these are squares of distances in pixels": _distance_by(
        lambda grid: _straight(grid).square(), unit=lambda patch: patch**2
    ),
    "this is the root of the mean square of each query: take the mean of the distances": _distance_by(
        lambda grid: _straight(grid).square(), lambda maps, table: (maps * table).sum(2).sqrt().mean(1)
    ),
    "this is the distance of the mean place: take the mean of the distances": (
        lambda maps, grid, patch: patch * (maps @ _places(grid) - _places(grid)).norm(dim=2).mean(1)
    ),
    "this is the root of the mean square: take the mean of the distances": _distance_by(
        lambda grid: _straight(grid).square(), lambda maps, table: (maps * table).sum(2).mean(1).sqrt()
    ),
    "the attention is not used: all tokens count alike": _distance_by(
        mean=lambda maps, table: table.mean().expand(len(maps))
    ),
    "only the key with the largest weight counts: add up over all keys": _distance_by(
        mean=lambda maps, table: torch.stack([table.gather(1, m.argmax(1, keepdim=True)).mean() for m in maps])
    ),
    "the queries are added, and divided by one less than their number: take their mean": _distance_by(
        mean=lambda maps, table: (maps * table).sum((1, 2)) / (len(table) - 1)
    ),
    "the queries are added: take their mean": _distance_by(mean=lambda maps, table: (maps * table).sum((1, 2))),
    "it is divided by the number of keys: the weights of a query add up to 1 already": _distance_by(
        mean=lambda maps, table: (maps * table).mean((1, 2))
    ),
    "this is the farthest-looking query of each head: take the mean over them": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2).amax(1)
    ),
    "this is the median over the queries: take the mean": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2).median(1).values
    ),
    "this is the first query alone: take the mean over them": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2)[:, 0]
    ),
    "this is one number for each query: take the mean over them": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2)
    ),
    "the heads are averaged: take the mean over the queries": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2).mean(0)
    ),
    "this is one number for each key: add up over the keys, not over the queries": _distance_by(
        mean=lambda maps, table: (maps * table).sum(1)
    ),
    "this is one number for all heads: give one for each": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2).mean()
    ),
    "all heads get the same: which axis counts the heads?": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2).mean().expand(len(maps))
    ),
    "attention to itself is left out: it counts, at a distance of 0": _distance_by(
        mean=lambda maps, table: (maps * table).sum(2).div(1 - maps.diagonal(dim1=1, dim2=2)).mean(1)
    ),
    "the maps are made into weights once more: their rows add up to 1 already": _distance_by(
        mean=lambda maps, table: (maps.softmax(2) * table).sum(2).mean(1)
    ),
}


@check(
    "One layer first. A token hands on what it holds itself, and what the heads bring it, half and half. Which "
    "matrix does that? Two layers then are two steps: which of the two matrices stands on the left?",
    "For each layer take the mean over the heads, add the identity (`torch.eye`), and divide by 2. The shares "
    "begin with the identity. Each layer, from the first to the last, multiplies them from the left: "
    "`shares = layer @ shares`.",
)
def attention_rollout(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attention_rollout(maps)` is how much of each input token is in each output token."""
    numbers = distinct(rng, 6, 2, 7)  # of layers, heads and tokens, twice
    sizes = [numbers[:3], numbers[3:]]
    cases = [(_attention(rng, *size),) for size in sizes]
    right = _rollout()
    problem = explain(answer, right, cases, WRONG_ROLLOUTS)
    yield "follows the shares of the input tokens through all layers", problem
    if problem:
        return
    one = [(_attention(rng, 1, heads, tokens),) for heads, tokens in (distinct(rng, 2, 2, 6),)]
    yield (
        "is half the token itself, half its attention in a single layer",
        explain(answer, right, one, WRONG_ROLLOUTS),
    )
    tokens = sizes[0][2]
    itself = torch.eye(tokens).expand(3, 2, tokens, tokens)
    still = explain(answer, right, [(itself.clone(),)], WRONG_ROLLOUTS)
    yield "leaves every token where it is if all look at themselves", still
    edges = [(torch.ones(4, 3, 1, 1),), (_attention(rng, 12, 1, 7),), (_attention(rng, 24, 2, 30),)]
    yield "works for one token, one head and many layers", explain(answer, right, edges, WRONG_ROLLOUTS)


def _product(steps: list[Tensor]) -> Tensor:
    """The last layer on the left."""
    return reduce(lambda shares, layer: layer @ shares, steps)


def _rollout(
    heads: Callable[[Tensor], Tensor] = lambda maps: maps.mean(1),
    step: Callable[[Tensor], Tensor] = lambda layer: (layer + torch.eye(len(layer))) / 2,
    of: Callable[[list[Tensor]], Tensor] = _product,
) -> Callable:
    """What to do with the heads, with each layer, and with the steps from first to last, as an answer."""
    return lambda maps: of([step(layer) for layer in heads(maps)])


WRONG_ROLLOUTS: dict[str, Callable] = {
    "the order of the layers is turned: the last one stands on the left": _rollout(
        of=lambda steps: _product(steps[::-1])
    ),
    "what a token holds itself is missing: add the identity": _rollout(step=lambda layer: layer),
    "the rows do not add up to 1: divide by 2 after the identity is added": _rollout(
        step=lambda layer: layer + torch.eye(len(layer))
    ),
    "half of everything is lost in each layer: add the identity before you divide by 2": _rollout(
        step=lambda layer: layer / 2
    ),
    "attention has a whole share, the token itself a half: both have a half": _rollout(
        step=lambda layer: layer + torch.eye(len(layer)) / 2
    ),
    "the identity has a whole share, attention a half: both have a half": _rollout(
        step=lambda layer: layer / 2 + torch.eye(len(layer))
    ),
    "the columns are made to add up to 1: the rows do, if you divide by 2": _rollout(
        step=lambda layer: (layer + torch.eye(len(layer))) / (layer + torch.eye(len(layer))).sum(0)
    ),
    "it is divided by 2 at the end alone: every layer has its half": _rollout(
        step=lambda layer: layer + torch.eye(len(layer)), of=lambda steps: _product(steps) / 2
    ),
    "half of the input is added: add half of what the layer before gave": _rollout(
        step=lambda layer: layer,
        of=lambda steps: reduce(
            lambda shares, layer: (layer @ shares + torch.eye(len(layer))) / 2, steps, torch.eye(len(steps[0]))
        ),
    ),
    "the identity is added in the first layer alone: it belongs to every layer": _rollout(
        step=lambda layer: layer,
        of=lambda steps: _product([(steps[0] + torch.eye(len(steps[0]))) / 2, *steps[1:]]),
    ),
    "the identity counts as one head more: it has as much as all heads": lambda maps: _product(
        [(layer.sum(0) + torch.eye(len(layer[0]))) / (len(layer) + 1) for layer in maps]
    ),
    "the first layer counts twice: begin with the identity, or go on with the second": _rollout(
        of=lambda steps: _product([steps[0], *steps])
    ),
    "only the first two layers are used: multiply all": _rollout(of=lambda steps: _product(steps[:2])),
    "only the last two layers are used: multiply all": _rollout(of=lambda steps: _product(steps[-2:])),
    "the median of the heads is taken: take their mean": _rollout(lambda maps: maps.median(1).values),
    "0.5 is added everywhere: the identity has 1 on its diagonal alone": _rollout(
        step=lambda layer: (layer + 1) / 2
    ),
    "the largest of the heads is taken, and each row divided by its sum: take their mean": _rollout(
        lambda maps: maps.amax(1),
        lambda layer: (layer + torch.eye(len(layer))) / (layer + torch.eye(len(layer))).sum(1, keepdim=True),
    ),
    "the first layer has no identity: it belongs to every layer": _rollout(
        step=lambda layer: layer,
        of=lambda steps: _product([steps[0], *((layer + torch.eye(len(layer))) / 2 for layer in steps[1:])]),
    ),
    "the largest of the heads is taken: take their mean": _rollout(lambda maps: maps.amax(1)),
    "the smallest of the heads is taken: take their mean": _rollout(lambda maps: maps.amin(1)),
    "the heads are added: take their mean": _rollout(lambda maps: maps.sum(1)),
    "only the first head is used: take the mean over all": _rollout(lambda maps: maps[:, 0]),
    "only the last head is used: take the mean over all": _rollout(lambda maps: maps[:, -1]),
    "the mean is taken over the layers, and the heads are multiplied": _rollout(lambda maps: maps.mean(0)),
    "only the last layer is used: multiply all": _rollout(of=lambda steps: steps[-1]),
    "only the first layer is used: multiply all": _rollout(of=lambda steps: steps[0]),
    "the last layer is missing": _rollout(of=lambda steps: _product([torch.eye(len(steps[0])), *steps[:-1]])),
    "the first layer is missing": _rollout(of=lambda steps: _product([torch.eye(len(steps[0])), *steps[1:]])),
    "the layers are added: one follows the other, so multiply their matrices": _rollout(of=sum),
    "this is the mean of the layers: one follows the other, so multiply their matrices": _rollout(
        of=lambda steps: torch.stack(steps).mean(0)
    ),
    "numbers are multiplied place by place: `@` multiplies matrices": _rollout(
        of=lambda steps: torch.stack(steps).prod(0)
    ),
    "everything is 0: do the shares begin with the identity?": lambda maps: 0 * _rollout()(maps),
    "it is transposed: rows are output tokens, columns are input tokens": (lambda maps: _rollout()(maps).mT),
    "each map is transposed: a row of it is a query, and stays a row": _rollout(lambda maps: maps.mean(1).mT),
    "softmax is taken once more: the rows of the maps add up to 1 already": _rollout(
        lambda maps: maps.softmax(-1).mean(1)
    ),
    "the identity is added at the end alone: it belongs to every layer": _rollout(
        step=lambda layer: layer,
        of=lambda steps: (_product(steps) + torch.eye(len(steps[0]))) / 2,
    ),
    "these are the shares of the first output token: give those of all": lambda maps: _rollout()(maps)[0],
    "this is the mean over the output tokens: give the shares of each": lambda maps: _rollout()(maps).mean(0),
    "these are the shares after every layer: give those after the last": lambda maps: torch.stack(
        [_rollout()(maps[: layer + 1]) for layer in range(len(maps))]
    ),
    "each head is followed alone: take the mean over the heads in each layer": lambda maps: torch.stack(
        [_rollout()(maps[:, [head]]) for head in range(maps.shape[1])]
    ).mean(0),
    "these are the shares by each head: take the mean over the heads in each layer": lambda maps: torch.stack(
        [_rollout()(maps[:, [head]]) for head in range(maps.shape[1])]
    ),
}


@check(
    "Each number of `ours` has a partner in `theirs`: the same labels were drawn for both. What do you get if you "
    "compare the partners first, and forget the rest?",
    "Subtract pair by pair. Of these differences take the mean, and the sample deviation, which divides by n - 1: "
    "`statistics.stdev`, or `torch.std`.",
)
def paired_margin(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`paired_margin(ours, theirs)` is the mean difference of paired scores, and its sample deviation."""
    cases = [_paired(rng, count) for count in (4, 5, 6)]
    mistakes, counts = (
        {text: _margin_by(*rule) for text, rule in rules.items()} for rules in (WRONG_MARGINS, WRONG_COUNTS)
    )
    mistakes |= WRONG_PAIRS
    problem = explain(answer, _paired_margin, cases, mistakes)
    yield "is mean and sample deviation of the differences", problem
    if problem:
        return
    yield "gives 4 and 1 for the example", compare(answer([50.0, 56.0, 62.0], [47.0, 52.0, 57.0]), (4.0, 1.0))
    ours, theirs = cases[0]
    tied = [([3.0, 5.0, 4.0, 9.0], [3.0, 5.0, 1.0, 2.0]), ([8.0, 2.0, 3.0, 7.0, 6.0], [7.0, 1.0, 1.0, 5.0, 6.0])]
    yield "counts every draw, also without a difference", explain(answer, _paired_margin, tied, counts)
    edges = [
        (ours[:2], theirs[:2]),
        (theirs, ours),
        (ours, ours),
        ([0.25, 0.5, 0.75], [0.0, 0.25, 0.5]),
        ([1000 * score for score in ours], [-1000 * score for score in theirs]),
        ([1.0, 2.0, 4.0], [0.0, 0.0, 0.0]),
    ]
    yield (
        "is right for two pairs, equal differences, a loss and large numbers",
        explain(answer, _paired_margin, edges, counts),
    )


def _paired(rng: Generator, count: int) -> tuple[list[float], list[float]]:
    """Scores in which draws differ more than methods do; not every difference is positive, no two are equal."""
    differences = torch.tensor([-0.7, 2.1, 0.4, 3.3, 1.2, 2.6])[:count] + 0.3 * torch.rand(count, generator=rng)
    theirs = torch.tensor([20, 19.5, 27, 33, 45, 39])[:count] + 0.2 * torch.rand(count, generator=rng)
    order = torch.randperm(count, generator=rng)  # `theirs` has the first two in another order than `ours`
    order = order.flip(0) if order[0] == theirs.argmax() else order  # the best do not come first
    return (theirs + differences)[order].tolist(), theirs[order].tolist()


def _paired_margin(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    return statistics.fmean(differences), statistics.stdev(differences)


def _margin_by(mean: Callable, spread: Callable | None = None) -> Callable:
    """Two rules for (differences, ours, theirs) as an answer; without the second the deviation is right."""

    def answer(ours: list[float], theirs: list[float]) -> tuple[float, float]:
        pairs = [one - other for one, other in zip(ours, theirs, strict=True)]
        second = spread or (lambda d, *_: statistics.stdev(d))
        return mean(pairs, ours, theirs), second(pairs, ours, theirs)

    return answer


def _mean(differences: list[float], *_: list[float]) -> float:
    return statistics.fmean(differences)


WRONG_MARGINS: dict[str, tuple] = {  # rules for the mean and, where it is wrong, for the deviation
    "it is divided by n: the sample deviation divides by n - 1": (_mean, lambda d, *_: statistics.pstdev(d)),
    "the mean is divided by 3, as in the example: divide by how many draws there are": (lambda d, *_: sum(d) / 3,),
    "the signs are lost in the deviation: a loss is negative": (
        _mean,
        lambda d, *_: statistics.stdev(map(abs, d)),
    ),
    "this is the variance: the deviation is its root": (_mean, lambda d, *_: statistics.variance(d)),
    "this is the variance, divided by n: the deviation is its root, with n - 1": (
        _mean,
        lambda d, *_: statistics.pvariance(d),
    ),
    "this is the error of the mean: do not divide by the root of n": (
        _mean,
        lambda d, *_: statistics.stdev(d) / len(d) ** 0.5,
    ),
    "this is the deviation of `ours`: take that of the differences": (_mean, lambda d, a, b: statistics.stdev(a)),
    "this is the deviation of `theirs`: take that of the differences": (
        _mean,
        lambda d, a, b: statistics.stdev(b),
    ),
    "the deviations of both are added: take that of the differences": (
        _mean,
        lambda d, a, b: statistics.stdev(a) + statistics.stdev(b),
    ),
    "the deviations of both are subtracted: take that of the differences": (
        _mean,
        lambda d, a, b: statistics.stdev(a) - statistics.stdev(b),
    ),
    "the squares of both deviations are added, as if the scores had no partners": (
        _mean,
        lambda d, a, b: math.hypot(statistics.stdev(a), statistics.stdev(b)),
    ),
    "this is the mean of both deviations: take that of the differences": (
        _mean,
        lambda d, a, b: (statistics.stdev(a) + statistics.stdev(b)) / 2,
    ),
    "this is the range of the differences: take their deviation": (_mean, lambda d, *_: max(d) - min(d)),
    "this is half the range of the differences: take their deviation": (
        _mean,
        lambda d, *_: (max(d) - min(d)) / 2,
    ),
    "the mean absolute deviation is no standard deviation": (
        _mean,
        lambda d, *_: statistics.fmean(abs(x - statistics.fmean(d)) for x in d),
    ),
    "this is the root of the mean square: subtract the mean first": (
        _mean,
        lambda d, *_: statistics.fmean(x * x for x in d) ** 0.5,
    ),
    "the signs of the differences are lost: a loss is negative": (
        lambda d, *_: statistics.fmean(map(abs, d)),
        lambda d, *_: statistics.stdev(map(abs, d)),
    ),
    "the sign is wrong: `ours` minus `theirs`": (lambda d, *_: -statistics.fmean(d),),
    "this is the median of the differences: take their mean": (lambda d, *_: statistics.median(d),),
    "this is the lower of the middle differences (`torch.median`): take their mean": (
        lambda d, *_: statistics.median_low(d),
    ),
    "the differences are added: take their mean": (lambda d, *_: sum(d),),
    "this is the mean of `ours`: take that of the differences": (lambda d, a, b: statistics.fmean(a),),
    "the best of both are compared: take the mean of the differences": (lambda d, a, b: max(a) - max(b),),
    "the difference of the medians is not the mean of the differences": (
        lambda d, a, b: statistics.median(a) - statistics.median(b),
    ),
    "only the first pair is compared: take the mean of all": (lambda d, *_: d[0],),
    "the mean is a share of `theirs`: give the difference itself": (
        lambda d, a, b: statistics.fmean(d) / statistics.fmean(b),
    ),
    "both are rounded: keep the fraction": (
        lambda d, *_: round(statistics.fmean(d)),
        lambda d, *_: round(statistics.stdev(d)),
    ),
    **{
        f"both are rounded to {text}: keep the others": (
            lambda d, *_, digits=digits: round(statistics.fmean(d), digits),
            lambda d, *_, digits=digits: round(statistics.stdev(d), digits),
        )
        for digits, text in ((1, "one digit"), (2, "two digits"))
    },
    "the sum is divided by n - 1: that is for the deviation, the mean divides by n": (
        lambda d, *_: sum(d) / (len(d) - 1),
    ),
    "these are per cent of `theirs`: give the differences themselves": (
        lambda d, a, b: statistics.fmean(100 * x / y for x, y in zip(d, b, strict=True)),
        lambda d, a, b: statistics.stdev(100 * x / y for x, y in zip(d, b, strict=True)),
    ),
    "both are divided by 100: they are points, as the scores": (
        lambda d, *_: statistics.fmean(d) / 100,
        lambda d, *_: statistics.stdev(d) / 100,
    ),
    "the squares are added, but not divided by n - 1": (
        _mean,
        lambda d, *_: statistics.stdev(d) * (len(d) - 1) ** 0.5,
    ),
    "it is divided by n - 1 behind the root: divide before": (
        _mean,
        lambda d, *_: statistics.stdev(d) / (len(d) - 1) ** 0.5,
    ),
    "this is the root of the sum of squares, divided by n - 1: subtract the mean first": (
        _mean,
        lambda d, *_: (sum(x * x for x in d) / (len(d) - 1)) ** 0.5,
    ),
    "this is the mean divided by its error: take the deviation": (
        _mean,
        lambda d, *_: statistics.fmean(d) / statistics.stdev(d) * len(d) ** 0.5,
    ),
    "this is 1.96 times the deviation": (_mean, lambda d, *_: 1.96 * statistics.stdev(d)),
    "losses count as 0: they are negative": (
        lambda d, *_: statistics.fmean(max(0, x) for x in d),
        lambda d, *_: statistics.stdev(max(0, x) for x in d),
    ),
}
WRONG_COUNTS: dict[str, tuple] = {
    "equal differences count once: each draw counts": (
        lambda d, *_: statistics.fmean(set(d)),
        lambda d, *_: statistics.stdev(set(d)),
    ),
    "draws without a difference are left out: each draw counts": (
        lambda d, *_: statistics.fmean(x for x in d if x),
        lambda d, *_: statistics.stdev(x for x in d if x),
    ),
    "the sign of the mean is lost: a loss is negative": (lambda d, *_: abs(statistics.fmean(d)),),
}
WRONG_PAIRS: dict[str, Callable] = {
    "both lists are sorted, which parts the partners": (
        lambda ours, theirs: _paired_margin(sorted(ours), sorted(theirs))
    ),
    "the two numbers are swapped: the mean comes first": lambda ours, theirs: _paired_margin(ours, theirs)[::-1],
    "every score is compared with every other: only partners belong together": (
        lambda ours, theirs: _paired_margin([a for a in ours for _ in theirs], theirs * len(ours))
    ),
    "only the mean is returned; the deviation is asked for, too": (
        lambda ours, theirs: _paired_margin(ours, theirs)[0]
    ),
    "`theirs` is taken from its end: partners have the same place": (
        lambda ours, theirs: _paired_margin(ours, theirs[::-1])
    ),
}


@check(
    "Go through all pairs of runs. Which pairs can be put in order by both numbers? When does the lower loss say "
    "the same as the accuracy?",
    "`itertools.combinations(zip(losses, accuracies), 2)` gives every pair once. Leave out a pair with equal "
    "losses or equal accuracies. Of the others, count those in which the run with the lower loss has the higher "
    "accuracy, and divide by how many there are.",
)
def agreement(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`agreement(losses, accuracies)` is how often the lower loss has the higher accuracy."""
    mistakes = {text: _agreement_by(**rule) for text, rule in WRONG_AGREEMENTS.items()} | WRONG_RANKS

    def draw() -> list[tuple]:
        return [_runs(rng, 6, odd=True), *(_runs(rng, count) for count in (4, 5, 6, 7, 8))]

    cases = telling(draw, _agreement_by(), mistakes)
    problem = explain(answer, _agreement_by(), cases, mistakes)
    yield "is the share of the pairs of runs that the loss puts in the right order", problem
    if problem:
        return
    swin = [0.4822, 0.4997, 0.5112], [83.33, 83.60, 83.41]
    yield "gives 1/3 for the runs of the example", compare(answer(*swin), 1 / 3)

    def draw_tied() -> list[tuple]:
        runs = [_runs(rng, count) for count in (5, 6, 7, 8)]
        for losses, accuracies in runs:
            losses[:3], accuracies[0] = 3 * losses[:1], accuracies[-1]  # three pairs, and another one
        runs[-1][1][1] = runs[-1][1][0]  # two runs alike in both numbers
        return runs

    ties = {text: _agreement_by(**rule) for text, rule in WRONG_TIES.items()}
    problem = explain(answer, _agreement_by(), telling(draw_tied, _agreement_by(), ties), ties)
    yield "leaves out pairs with equal losses or equal accuracies", problem
    if problem:
        return
    same = [([0.5, 0.5, 0.5], [1.0, 2.0, 3.0]), ([1.0, 2.0], [60.0, 60.0]), ([0.3], [70.0])]
    nothing = {
        f"where no pair is left, the loss says nothing: 0.5, not {said}": _agreement_by(
            share=lambda good, of, runs, said=said: good / of if of else float(said)
        )
        for said in (0, 1)
    }
    problem = _nothing_left(answer, same) or explain(answer, _agreement_by(), same, nothing)
    yield "is 0.5 where no pair is left", problem
    losses, accuracies = _runs(rng, 6)
    edges = [
        ([1.0, 2.0], [50.0, 40.0]),
        ([1.0, 2.0], [40.0, 50.0]),
        ([-loss for loss in losses], accuracies),
        ([1e-7 * loss for loss in losses], [accuracy / 1e7 for accuracy in accuracies]),
        (sorted(losses), sorted(accuracies)),
        (sorted(losses), sorted(accuracies)[::-1]),
    ]
    near = {"nearly equal numbers count as equal": _agreement_by(pairs=_far_apart_runs)}
    yield "is right for two runs, all or no pairs, and any numbers", explain(answer, _agreement_by(), edges, near)


def _runs(rng: Generator, count: int, *, odd: bool = False) -> tuple[list[float], list[float]]:
    """Losses and accuracies of some runs, no two equal, with agreement in some pairs, but not in half of them.

    In an odd case, the lowest loss has the highest accuracy, though most pairs disagree.
    """
    while True:
        losses = (0.4 + 0.01 * torch.randperm(20, generator=rng)[:count]).tolist()
        accuracies = (60 + 0.5 * torch.randperm(40, generator=rng)[:count]).tolist()
        share = _agreement_by()(losses, accuracies)
        same = losses.index(min(losses)) == accuracies.index(max(accuracies))
        if share not in (0, 0.5, 1) and (not odd or (same and share < 0.5)):
            return losses, accuracies


def _agreement_by(
    right: Callable[[float, float], bool | float] = lambda loss, accuracy: loss * accuracy < 0,
    counted: Callable[[float, float], bool] = lambda loss, accuracy: loss * accuracy != 0,
    pairs: Callable[[list], Iterator] = lambda runs: combinations(runs, 2),
    share: Callable[[float, int, int], float] = lambda good, of, runs: good / of if of else 0.5,
) -> Callable:
    """The share of right pairs; the first two rules take the differences of two runs in loss and accuracy."""

    def answer(losses: list[float], accuracies: list[float]) -> float:
        runs = list(zip(losses, accuracies, strict=True))
        apart = [(one[0] - other[0], one[1] - other[1]) for one, other in pairs(runs)]
        kept = [_signs(pair) for pair in apart if counted(*_signs(pair))]
        return share(sum(right(*pair) for pair in kept), len(kept), len(runs))

    return answer


def _signs(pair: tuple[float, float]) -> tuple[int, int]:
    return tuple((number > 0) - (number < 0) for number in pair)


WRONG_AGREEMENTS: dict[str, dict[str, Callable]] = {
    "a high loss is taken for a good one: the lower loss should have the higher accuracy": {
        "right": lambda loss, accuracy: loss * accuracy > 0
    },
    "this counts the pairs: divide by how many can be put in order": {"share": lambda good, of, runs: good},
    "it is divided by the number of runs: divide by the number of pairs": {
        "share": lambda good, of, runs: good / runs
    },
    "it is divided by the square of the number of runs: each pair counts once": {
        "share": lambda good, of, runs: good / runs**2
    },
    "every pair counts twice in the sum, once in what divides it": {"share": lambda good, of, runs: 2 * good / of},
    "every pair counts once in the sum, twice in what divides it": {"share": lambda good, of, runs: good / of / 2},
    "every run is paired with itself, too": {"share": lambda good, of, runs: 2 * good / runs**2},
    "this goes from -1 to 1, as Kendall's tau: give the share of pairs": {
        "share": lambda good, of, runs: 2 * good / of - 1
    },
    "this goes from -1 to 1, and a low loss counts as bad: give the share of pairs": {
        "share": lambda good, of, runs: 1 - 2 * good / of
    },
    "only neighbours in the list are compared: take all pairs": {"pairs": pairwise},
    "only pairs with the first run are compared: take all pairs": {
        "pairs": lambda runs: ((runs[0], run) for run in runs[1:])
    },
    "only pairs with the last run are compared: take all pairs": {
        "pairs": lambda runs: ((runs[-1], run) for run in runs[:-1])
    },
    "the last run is left out: take all pairs": {"pairs": lambda runs: combinations(runs[:-1], 2)},
    "the first run is left out: take all pairs": {"pairs": lambda runs: combinations(runs[1:], 2)},
    "only pairs with the lowest loss are compared: take all pairs": {
        "pairs": lambda runs: ((min(runs), run) for run in runs)
    },
    "only neighbours in the order of the losses are compared: take all pairs": {
        "pairs": lambda runs: pairwise(sorted(runs))
    },
    "that is 0 for any runs: is `//` used, is nothing counted, is each list sorted?": {
        "pairs": lambda runs: combinations(zip(*map(sorted, zip(*runs, strict=True)), strict=True), 2)
    },
    "a pair counts as right only if its better run comes first in the list": {
        "right": lambda loss, accuracy: loss < 0 < accuracy
    },
    "only pairs are looked at in which the lower loss comes first in the list": {
        "counted": lambda loss, accuracy: loss < 0
    },
    "these are per cent: give a share": {"share": lambda good, of, runs: 100 * good / of},
    **{
        f"the share is rounded to {text}": {
            "share": lambda good, of, runs, digits=digits: round(good / of, digits)
        }
        for digits, text in enumerate(("a whole number", "one digit", "two digits"))
    },
}
WRONG_TIES: dict[str, dict[str, Callable]] = {
    "a pair with equal numbers counts as wrong: leave it out": {"counted": lambda loss, accuracy: True},
    "a pair with equal numbers counts as right: leave it out": {
        "counted": lambda loss, accuracy: True,
        "right": lambda loss, accuracy: loss * accuracy <= 0,
    },
    "a pair with equal numbers counts as half: leave it out": {
        "counted": lambda loss, accuracy: True,
        "right": lambda loss, accuracy: 0.5 if loss * accuracy == 0 else loss * accuracy < 0,
    },
    "every pair counts, with equal numbers as right or wrong by chance: leave it out": {
        "counted": lambda loss, accuracy: True,
        "right": lambda loss, accuracy: (loss < 0) == (accuracy > 0),
    },
    "pairs with equal losses count, as right or wrong by chance: leave them out": {
        "counted": lambda loss, accuracy: accuracy != 0,
        "right": lambda loss, accuracy: (loss < 0) == (accuracy > 0),
    },
    "pairs with equal accuracies count, as right or wrong by chance: leave them out": {
        "counted": lambda loss, accuracy: loss != 0,
        "right": lambda loss, accuracy: (loss < 0) == (accuracy > 0),
    },
    "runs with equal losses are taken for one, as in a dict: each is a run": {
        "pairs": lambda runs: combinations(dict(runs).items(), 2)
    },
    "runs alike in both numbers are taken for one, as in a set: each is a run": {
        "pairs": lambda runs: combinations(set(runs), 2)
    },
    "a run that equals another is left out of all pairs: only their pair is": {
        "pairs": lambda runs: combinations(_unlike_all(runs), 2)
    },
    "a pair is left out if both numbers are equal: one is enough (`and`, not `or`)": {
        "counted": lambda loss, accuracy: loss != 0 or accuracy != 0
    },
    "pairs with equal losses count: leave them out": {"counted": lambda loss, accuracy: accuracy != 0},
    "pairs with equal accuracies count: leave them out": {"counted": lambda loss, accuracy: loss != 0},
    "pairs with equal losses count as right: leave them out": {
        "counted": lambda loss, accuracy: accuracy != 0,
        "right": lambda loss, accuracy: loss * accuracy <= 0,
    },
    "pairs with equal accuracies count as right: leave them out": {
        "counted": lambda loss, accuracy: loss != 0,
        "right": lambda loss, accuracy: loss * accuracy <= 0,
    },
}
WRONG_RANKS: dict[str, Callable] = {
    "only the best run of each is looked at: take all pairs": lambda losses, accuracies: float(
        losses.index(min(losses)) == accuracies.index(max(accuracies))
    ),
    "this is a correlation: only the order of two runs counts": (
        lambda losses, accuracies: statistics.correlation(losses, accuracies)
    ),
    "this is a correlation, turned: only the order of two runs counts": (
        lambda losses, accuracies: -statistics.correlation(losses, accuracies)
    ),
    "this is a correlation of ranks: only the order of two runs counts": (
        lambda losses, accuracies: statistics.correlation(_ranks(losses), _ranks(accuracies))
    ),
    "this is a correlation of ranks, turned: only the order of two runs counts": (
        lambda losses, accuracies: -statistics.correlation(_ranks(losses), _ranks(accuracies))
    ),
    "this is the share of runs that have the same rank in both: take all pairs": lambda losses, accuracies: (
        statistics.fmean(
            sorted(losses).index(loss) == sorted(accuracies, reverse=True).index(accuracy)
            for loss, accuracy in zip(losses, accuracies, strict=True)
        )
    ),
}


def _far_apart_runs(runs: list[tuple[float, float]]) -> Iterator:
    return (pair for pair in combinations(runs, 2) if min(abs(a - b) for a, b in zip(*pair, strict=True)) > 1e-5)


def _unlike_all(runs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The runs whose loss and accuracy no other run has."""
    losses, accuracies = (Counter(values) for values in zip(*runs, strict=True))
    return [run for run in runs if losses[run[0]] == accuracies[run[1]] == 1]


def _ranks(values: list[float]) -> list[int]:
    return [sorted(values).index(value) for value in values]


def _nothing_left(answer: Answer, cases: list[tuple]) -> Verdict:
    """None unless the result is NaN in one of the cases, which no value is equal to."""
    for case in cases:
        got = answer(*case)
        if isinstance(got, float | Tensor) and got != got:
            return f"0 / 0 is NaN: where no pair is left, the loss says nothing: 0.5\n{answer.shown(*case)}"
    return None


GUESSES: dict[str, Guess] = {
    "differ_most": Guess(
        "day, dusk and night",
        "the light changes every patch of a scene, and so it takes a large part of all that varies. The subject "
        "changes a few patches.",
        choices=("day, dusk and night", "subject and background", "left and right"),
    ),
    "hidden_look": Guess(
        "more than 90 %",
        "other hidden tokens know little. Nobody told the network to ask the visible ones; it has learned to.",
        choices=("about 38 %, as many as there are", "about 60 %", "more than 90 %"),
    ),
    "shared_by_neighbours": Guess(
        "the colour",
        "for the subject the features are no better than the pixels here: it is a small part of the distance.",
        choices=("the subject", "the colour", "both", "neither"),
    ),
    "finetuned": Guess(
        83.8,
        "what a linear probe cannot find is there all the same, and fine-tuning brings it out.",
        within=0.05,
    ),
    "while_the_loss_falls": Guess(
        "lower than with random weights",
        "the network first learns mean colours, and for these it gives up what random weights happened to keep.",
        choices=("higher than with random weights", "about the same", "lower than with random weights"),
    ),
    "place_of_hidden": Guess(
        "always",
        "it is the mask token plus the vector of its place, and nothing else.",
        choices=("as often as by chance", "half of the time", "always"),
    ),
}
