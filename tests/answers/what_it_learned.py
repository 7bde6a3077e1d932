"""Answers to the tasks of lesson 07 and of its exercises: what is in the features."""

import itertools
import math
import random
import statistics
from collections import Counter, defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from answers import right, wrong


@right("similarity_map")
def by_einsum(features, place):
    units = features / features.norm(dim=0)
    return einsum(units, units[:, place[0], place[1]], "d r c, d -> r c")


@right("similarity_map")
def token_by_token(features, place):
    chosen = features[:, place[0], place[1]]
    rows = []
    for row in range(features.shape[1]):
        row = [features[:, row, col] for col in range(features.shape[2])]
        rows.append([float(other @ chosen / other.norm() / chosen.norm()) for other in row])
    return torch.tensor(rows)


@right("similarity_map")
@torch.compile
def compiled(features, place):
    row, col = place
    products = (features * features[:, row : row + 1, col : col + 1]).sum(0)
    squares = features.square().sum(0)
    return products / (squares * squares[row, col]).sqrt()


@right("similarity_map")
def as_a_list_of_tokens(features, place):
    tokens = rearrange(features.double(), "d r c -> (r c) d")
    chosen = tokens[place[0] * features.shape[2] + place[1]]
    return F.cosine_similarity(tokens, chosen[None]).view(features.shape[1:]).float()


@right("similarity_map")
def with_an_epsilon(features, place):
    chosen = features[:, place[0], place[1]]
    return torch.tensordot(chosen, features, 1) / (features.norm(dim=0) * chosen.norm() + 1e-8)


def compared(of, unit=True):
    """The answer `of(tokens, chosen)`, with tokens of shape (dim, rows, cols), of length 1 if `unit`."""

    def answer(features, place):
        tokens = F.normalize(features, dim=0) if unit else features
        return of(tokens, tokens[:, place[0], place[1]][:, None, None])

    return answer


TASK = "similarity_map"
wrong(TASK, "1 minus the distance of tokens of length 1")(
    lambda x, place: (
        1 - (F.normalize(x, dim=0) - F.normalize(x, dim=0)[:, place[0], place[1], None, None]).norm(dim=0)
    )
)
wrong(TASK, "the dot product grows")(compared(lambda x, one: (x * one).sum(0), unit=False))
wrong(TASK, "only the length of the chosen token")(
    compared(lambda x, one: (x * one).sum(0) / one.norm(), unit=False)
)
wrong(TASK, "only the lengths of the other tokens")(
    compared(lambda x, one: (x * one).sum(0) / x.norm(dim=0), unit=False)
)
wrong(TASK, "a length is the root of a sum of squares")(
    compared(lambda x, one: (x * one).sum(0) / ((x**2).sum(0) * (one**2).sum()), unit=False)
)
wrong(TASK, "that is a correlation")(
    compared(lambda x, one: F.cosine_similarity(x - x.mean(0), one - one.mean(), dim=0), unit=False)
)
wrong(TASK, "these are distances: the similarity")(compared(lambda x, one: (x - one).norm(dim=0), unit=False))
wrong(TASK, "1 minus the similarity")(compared(lambda x, one: 1 - (x * one).sum(0)))
wrong(TASK, "opposite tokens have -1")(compared(lambda x, one: (x * one).sum(0).relu()))
wrong(TASK, "the sign is lost")(compared(lambda x, one: (x * one).sum(0).abs()))
wrong(TASK, "the similarities are squared")(compared(lambda x, one: (x * one).sum(0) ** 2))
wrong(TASK, "these are angles")(compared(lambda x, one: torch.acos((x * one).sum(0).clamp(-1, 1))))
wrong(TASK, "add up the products")(compared(lambda x, one: (x * one).mean(0)))
wrong(TASK, "these are the products")(compared(lambda x, one: x * one))
wrong(TASK, "softmax makes weights")(
    compared(lambda x, one: torch.softmax((x * one).sum(0).flatten(), 0).view(x.shape[1:]))
)
wrong(TASK, "the length is that of the whole map")(
    compared(lambda x, one: (x * one).sum(0) / (x * x).sum(), unit=False)
)
wrong(TASK, "row and column of the place are swapped")(lambda x, place: by_einsum(x, place[::-1]))
wrong(TASK, "this is the one above")(lambda x, place: by_einsum(x, (place[0] - 1, place[1])))
wrong(TASK, "this is the one on the left")(lambda x, place: by_einsum(x, (place[0], place[1] - 1)))
wrong(TASK, "the token above on the left")(lambda x, place: by_einsum(x, (place[0] - 1, place[1] - 1)))
wrong(TASK, "compared with the first token")(lambda x, place: by_einsum(x, (0, 0)))
wrong(TASK, "rows and columns of the map are swapped")(lambda x, place: by_einsum(x, place).T)
wrong(TASK, "the map is a list")(lambda x, place: by_einsum(x, place).flatten())
wrong(TASK, "one of them is asked for")(
    lambda x, place: F.normalize(x.flatten(1), dim=0).T @ F.normalize(x.flatten(1), dim=0)
)
wrong(TASK, "all are compared with the mean token")(
    lambda x, place: F.cosine_similarity(x, x.mean((1, 2), keepdim=True), dim=0)
)
wrong(TASK, "changes its input in place")(lambda x, place: by_einsum(x.div_(x.norm(dim=0)), place))
wrong(TASK, "works for all four corners")(
    lambda x, place: by_einsum(x, (min(place[0], x.shape[1] - 2), min(place[1], x.shape[2] - 2)))
)
wrong(TASK, "0.001 is added to the product of the lengths")(
    compared(lambda x, one: (x * one).sum(0) / (x.norm(dim=0) * one.norm(dim=0) + 1e-3), unit=False)
)
wrong(TASK, "1e-06 is added to the product of the lengths")(
    compared(lambda x, one: (x * one).sum(0) / (x.norm(dim=0) * one.norm(dim=0) + 1e-6), unit=False)
)
wrong(TASK, "`/ a * b` multiplies by b")(
    compared(lambda x, one: (x * one).sum(0) / x.norm(dim=0) * one.norm(), unit=False)
)
wrong(TASK, "of all tokens but the chosen one")(
    lambda x, place: F.cosine_similarity(x.reshape(-1, len(x)), x[:, *place], dim=1).view(x.shape[1:])
)
wrong(TASK, "along axis 1: take them over axis 0")(
    lambda x, place: einsum(F.normalize(x), F.normalize(x)[:, place[0], place[1]], "d r c, d -> r c")
)
wrong(TASK, "`reshape` mixes the numbers of different tokens")(
    lambda x, place: F.cosine_similarity(
        x.reshape(-1, len(x)), x.reshape(-1, len(x))[place[0] * x.shape[2] + place[1]], dim=1
    ).view(x.shape[1:])
)
wrong(TASK, "does not depend on lengths")(lambda x, place: by_einsum(x, place) * (x.abs().amax() > 0.1))


@wrong(TASK, "expected the shape")
def squeezed(features, place):
    return by_einsum(features, place).squeeze()


@right("nearest")
def loops(queries, vectors, count):
    found = []
    for query in queries.tolist():
        distances = [math.dist(query, vector) for vector in vectors.tolist()]
        found.append(sorted(range(len(distances)), key=distances.__getitem__)[:count])
    return torch.tensor(found)


@right("nearest")
def with_topk(queries, vectors, count):
    squares = (queries[:, None] - vectors[None]).square().sum(2)
    return squares.topk(count, largest=False).indices


@right("nearest")
def from_products(queries, vectors, count):
    queries, vectors = queries.double(), vectors.double()
    squares = (vectors**2).sum(1) - 2 * queries @ vectors.T  # the rest is the same for all vectors
    return squares.sort(dim=1).indices[:, :count]


@right("nearest")
def scikit_learn(queries, vectors, count):
    found = NearestNeighbors(n_neighbors=count).fit(vectors.numpy()).kneighbors(queries.numpy())
    return torch.from_numpy(found[1])


@right("nearest")
@torch.compile
def compiled_search(queries, vectors, count):
    return torch.cdist(queries, vectors).argsort(dim=1).narrow(1, 0, count)


def ordered(by, keep=lambda count: slice(count)):
    """The answer that keeps some places in the order of by(queries, vectors), the smallest first."""
    return lambda queries, vectors, count: by(queries, vectors).argsort(dim=1)[:, keep(count)]


def changed(change):
    """The answer change(places, queries, vectors) of the right places."""
    return lambda queries, vectors, count: change(with_topk(queries, vectors, count), queries, vectors)


TASK = "nearest"
wrong(TASK, "the farthest first")(lambda q, v, count: torch.cdist(q, v).topk(count).indices)
wrong(TASK, "these are the farthest vectors")(ordered(torch.cdist, lambda count: slice(-count, None)))
wrong(TASK, "a query need not be among the vectors")(ordered(torch.cdist, lambda count: slice(1, count + 1)))
wrong(TASK, "one too many")(ordered(torch.cdist, lambda count: slice(count + 1)))
wrong(TASK, "one too few")(ordered(torch.cdist, lambda count: slice(count - 1)))
wrong(TASK, "all vectors in their order")(ordered(torch.cdist, lambda count: slice(None)))
wrong(TASK, "`[:, :count]` cuts each row")(lambda q, v, count: torch.cdist(q, v).sort(dim=1).indices[:count])
wrong(TASK, "only the nearest is returned")(lambda q, v, count: torch.cdist(q, v).argmin(1, keepdim=True))
wrong(TASK, "one `argsort` is enough")(lambda q, v, count: torch.cdist(q, v).argsort(1).argsort(1)[:, :count])
wrong(TASK, "the dot product grows")(ordered(lambda q, v: -(q @ v.T)))
wrong(TASK, "or is |v|² missing?")(ordered(lambda q, v: q.square().sum(1, keepdim=True) - 2 * q @ v.T))
wrong(TASK, "not a large cosine")(ordered(lambda q, v: -F.cosine_similarity(q[:, None], v[None], dim=2)))
wrong(TASK, "not the sum of absolute differences")(ordered(lambda q, v: (q[:, None] - v).abs().sum(2)))
wrong(TASK, "not the largest difference")(ordered(lambda q, v: (q[:, None] - v).abs().amax(2)))
wrong(TASK, "differences of opposite sign cancel")(ordered(lambda q, v: (q[:, None] - v).sum(2) ** 2))
wrong(TASK, "the signs of the differences count")(ordered(lambda q, v: (q[:, None] - v).mean(2)))
wrong(TASK, "the product counts twice")(ordered(lambda q, v: (v**2).sum(1) - q @ v.T))
wrong(TASK, "the lengths are compared")(ordered(lambda q, v: (q.norm(dim=1)[:, None] - v.norm(dim=1)) ** 2))
wrong(TASK, "all queries get the neighbours of the first one")(
    lambda q, v, count: with_topk(q[:1], v, count).repeat(len(q), 1)
)
wrong(TASK, "queries and vectors are swapped")(lambda q, v, count: torch.cdist(v, q).argsort(dim=1)[:, :count])
wrong(TASK, "the order goes along the wrong axis")(
    lambda q, v, count: torch.cdist(q, v).sort(dim=0).indices[:, :count]
)
wrong(TASK, "rows and columns are swapped")(changed(lambda places, q, v: places.T))
wrong(TASK, "the nearest comes last")(changed(lambda places, q, v: places.flip(1)))
wrong(TASK, "sorted by their number")(changed(lambda places, q, v: places.sort(dim=1)[0]))
wrong(TASK, "not from 1")(changed(lambda places, q, v: 1 + places))
wrong(TASK, "these are the vectors themselves")(changed(lambda places, q, v: v[places]))
wrong(TASK, "these are the distances")(lambda q, v, count: torch.cdist(q, v).sort(dim=1).values[:, :count])
wrong(TASK, "these are the squared distances")(
    lambda q, v, count: ((q[:, None] - v) ** 2).sum(2).sort(dim=1).values[:, :count]
)
wrong(TASK, "these are real numbers")(changed(lambda places, q, v: places.double()))
wrong(TASK, "expected a tensor, got")(lambda q, v, count: loops(q, v, count).tolist())


@wrong(TASK, "works on a batch of one")
def squeezed_places(queries, vectors, count):
    return with_topk(queries, vectors, count).squeeze(0)


@right("attentive_pool")
def with_matmul(tokens, query):
    weights = torch.softmax(tokens @ query / math.sqrt(len(query)), dim=-1)
    return (weights.unsqueeze(1) @ tokens).squeeze(1)


@right("attentive_pool")
def scaled_dot_product(tokens, query):
    queries = query.expand(len(tokens), 1, -1)
    return F.scaled_dot_product_attention(queries, tokens, tokens)[:, 0]


@right("attentive_pool")
@torch.compile
def compiled_pool(tokens, query):
    fits = einsum(tokens, query, "b n d, d -> b n") * tokens.shape[2] ** -0.5
    return einsum(fits.softmax(1), tokens, "b n, b n d -> b d")


@right("attentive_pool")
def image_by_image(tokens, query):
    images = []
    for image in tokens.double():
        fits = image @ query.double() / len(query) ** 0.5
        shares = (fits - fits.max()).exp()
        images.append(shares @ image / shares.sum())
    return torch.stack(images).float()


def pooled(weights, fit=lambda x, q: x @ q / len(q) ** 0.5):
    """The answer with weights(fit(tokens, query)) of the tokens."""
    return lambda tokens, query: (weights(fit(tokens, query)).unsqueeze(2) * tokens).sum(1)


def soft(fit):
    return pooled(lambda fits: fits.softmax(1), fit)


TASK = "attentive_pool"
wrong(TASK, "are averaged: add them up")(soft(lambda x, q: (x * q).mean(2) / len(q) ** 0.5))
wrong(TASK, "divide the fits, before softmax")(
    lambda x, q: pooled(lambda s: s.softmax(1), torch.matmul)(x, q) / len(q) ** 0.5
)
wrong(TASK, "divided by 2, the root of `dim` in the example")(
    lambda x, q: ((x @ q / 2).softmax(1)[..., None] * x).sum(1)
)
wrong(TASK, "divided by the length of the query")(
    lambda x, q: ((x @ F.normalize(q, dim=0)).softmax(1)[..., None] * x).sum(1)
)
wrong(TASK, "all tokens count alike")(lambda x, q: x.mean(1))
wrong(TASK, "not divided by the root of `dim`")(soft(lambda x, q: x @ q))
wrong(TASK, "divide by its root")(soft(lambda x, q: x @ q / len(q)))
wrong(TASK, "are multiplied by the root")(soft(lambda x, q: x @ q * len(q) ** 0.5))
wrong(TASK, "the root of the number of tokens")(soft(lambda x, q: x @ q / x.shape[1] ** 0.5))
wrong(TASK, "the root of the number of images")(soft(lambda x, q: x @ q / len(x) ** 0.5))
wrong(TASK, "the fits are cosines")(soft(lambda x, q: F.cosine_similarity(x, q, dim=2) / len(q) ** 0.5))
wrong(TASK, "the sign is wrong")(soft(lambda x, q: -(x @ q) / len(q) ** 0.5))
wrong(TASK, "the fits are distances")(soft(lambda x, q: (x - q).norm(dim=2) / len(q) ** 0.5))
wrong(TASK, "softmax is taken over the images")(pooled(lambda fits: fits.softmax(0)))
wrong(TASK, "softmax is missing")(pooled(lambda fits: fits))
wrong(TASK, "the fits are divided by their sum")(pooled(lambda fits: fits / fits.sum(1, keepdim=True)))
wrong(TASK, "sigmoid is no softmax")(pooled(torch.sigmoid))
wrong(TASK, "softmax is taken twice")(pooled(lambda fits: fits.softmax(1).softmax(1)))
wrong(TASK, "not `log_softmax`")(pooled(lambda fits: F.log_softmax(fits, 1)))
wrong(TASK, "only the best token counts")(lambda x, q: x[torch.arange(len(x)), (x @ q).argmax(1)])
wrong(TASK, "the weights add up to 1 already")(lambda x, q: with_matmul(x, q) / x.shape[1])
wrong(TASK, "these are the weights: return")(lambda x, q: (x @ q / len(q) ** 0.5).softmax(1))
wrong(TASK, "one axis too many")(lambda x, q: F.scaled_dot_product_attention(q.expand(len(x), 1, -1), x, x))
wrong(TASK, "all images are weighted as the first")(
    lambda x, q: ((x[:1] @ q / len(q) ** 0.5).softmax(1)[..., None] * x).sum(1)
)
wrong(TASK, "one vector for all images")(lambda x, q: with_matmul(x, q).mean(0))
wrong(TASK, "one fit for each token")(lambda x, q: ((x * q / len(q) ** 0.5).softmax(1) * x).sum(1))
wrong(TASK, "these are the weighted tokens")(lambda x, q: (x @ q / len(q) ** 0.5).softmax(1)[..., None] * x)
wrong(TASK, "add up over the tokens")(lambda x, q: ((x @ q / len(q) ** 0.5).softmax(1)[..., None] * x).sum(2))
wrong(TASK, "the result has no gradient")(lambda x, q: with_matmul(x.detach(), q.detach()))
wrong(TASK, "no gradient reaches argument 2")(lambda x, q: with_matmul(x, q.detach()))
wrong(TASK, "no gradient reaches argument 1")(lambda x, q: with_matmul(x.detach(), q))
wrong(TASK, "the gradient of argument 1 is not that")(
    lambda x, q: ((x @ q / len(q) ** 0.5).softmax(1)[..., None] * x.detach()).sum(1)
)
wrong(TASK, "the gradient of argument 1 is not that")(
    lambda x, q: ((x.detach() @ q / len(q) ** 0.5).softmax(1)[..., None] * x).sum(1)
)
wrong(TASK, "softmax go along an axis of one number")(
    lambda x, q: ((x @ q / len(q) ** 0.5)[..., None].softmax(-1) * x).sum(1)
)
wrong(TASK, "divide `exp` by its sum")(pooled(torch.exp))
wrong(TASK, "divided by the root of `dim`: divide the fits alone")(
    lambda x, q: pooled(lambda fits: fits.softmax(1), lambda x, q: x @ q)(x / len(q) ** 0.5, q)
)
wrong(TASK, "`softmax` takes care of that")(
    lambda x, q: (
        ((x @ q / len(q) ** 0.5).exp() / (x @ q / len(q) ** 0.5).exp().sum(1, keepdim=True))[..., None] * x
    ).sum(1)
)
wrong(TASK, "works on a batch of one")(lambda x, q: with_matmul(x, q).squeeze(0))


@right("standardise")
def by_hand(train, test):
    mean = train.sum(0) / len(train)
    deviation = ((train - mean) ** 2).mean(0) ** 0.5
    deviation[(train == train[0]).all(0)] = 1
    return tuple((part - mean) / deviation for part in (train, test))


@right("standardise")
def scaler(train, test):
    scaler = StandardScaler().fit(train.numpy())
    return torch.from_numpy(scaler.transform(train.numpy())), torch.from_numpy(scaler.transform(test.numpy()))


@right("standardise")
def both_at_once(train, test):
    variance, mean = torch.var_mean(train, dim=0, correction=0)
    both = (torch.cat([train, test]) - mean) / torch.where(variance > 1e-12, variance, 1).sqrt()
    return both.split([len(train), len(test)])


@right("standardise")
@torch.compile
def compiled_scaling(train, test):
    low, spread = train.mean(0), train.std(0, correction=0)
    spread = torch.where(train.amax(0) == train.amin(0), 1, spread)
    return [(train - low) / spread, (test - low) / spread]


@right("standardise")
def column_by_column(train, test):
    pairs = []
    for one, other in zip(train.T.tolist(), test.T.tolist(), strict=True):
        mean, deviation = statistics.fmean(one), statistics.pstdev(one) or 1
        pairs.append([[(value - mean) / deviation for value in part] for part in (one, other)])
    return torch.tensor([one for one, _ in pairs]).T, torch.tensor([other for _, other in pairs]).T


def moments(part, dim=0, correction=0):
    deviation = part.std(dim, correction=correction, keepdim=True)
    equal = part.amax(dim, keepdim=True) == part.amin(dim, keepdim=True)
    return part.mean(dim, keepdim=True), torch.where(equal, 1, deviation)


def scaled(part, mean, deviation):
    return (part - mean) / deviation


TASK = "standardise"
wrong(TASK, "first subtract the mean, then divide")(
    lambda a, b: tuple(part / moments(a)[1] - a.mean(0) for part in (a, b))
)
wrong(TASK, "each part has its own")(lambda a, b: (scaled(a, *moments(a)), scaled(b, *moments(b))))
wrong(TASK, "of both parts together")(
    lambda a, b: tuple(scaled(part, *moments(torch.cat([a, b]))) for part in (a, b))
)
wrong(TASK, "not those of the training part")(lambda a, b: (scaled(a, *moments(b)), scaled(b, *moments(b))))
wrong(TASK, "in the test part the mean is its own")(
    lambda a, b: (scaled(a, *moments(a)), (b - b.mean(0)) / moments(a)[1])
)
wrong(TASK, "in the test part the deviation is its own")(
    lambda a, b: (scaled(a, *moments(a)), (b - a.mean(0)) / moments(b)[1])
)
wrong(TASK, "one mean and one deviation for all")(
    lambda a, b: tuple(scaled(part, a.mean(), a.std(correction=0)) for part in (a, b))
)
wrong(TASK, "one deviation for all columns")(
    lambda a, b: tuple(scaled(part, a.mean(0), a.std(correction=0)) for part in (a, b))
)
wrong(TASK, "not by n - 1")(lambda a, b: tuple(scaled(part, a.mean(0), a.std(0)) for part in (a, b)))
wrong(TASK, "that is the variance")(
    lambda a, b: tuple(scaled(part, a.mean(0), a.var(0, correction=0)) for part in (a, b))
)
wrong(TASK, "nothing is divided by the deviation")(lambda a, b: (a - a.mean(0), b - a.mean(0)))
wrong(TASK, "the mean is not subtracted")(lambda a, b: (a / a.std(0, correction=0), b / a.std(0, correction=0)))
wrong(TASK, "deviations below 1 are raised")(
    lambda a, b: tuple((part - a.mean(0)) / a.std(0, correction=0).clamp(min=1) for part in (a, b))
)
wrong(TASK, "1 is added to every deviation")(
    lambda a, b: tuple((part - a.mean(0)) / (a.std(0, correction=0) + 1) for part in (a, b))
)
wrong(TASK, "it is multiplied by the deviation")(
    lambda a, b: tuple((part - a.mean(0)) * moments(a)[1] for part in (a, b))
)
wrong(TASK, "the mean absolute deviation")(
    lambda a, b: tuple((part - a.mean(0)) / (a - a.mean(0)).abs().mean(0) for part in (a, b))
)
wrong(TASK, "scaled to the range from 0 to 1")(
    lambda a, b: tuple((part - a.amin(0)) / (a.amax(0) - a.amin(0)) for part in (a, b))
)
wrong(TASK, "divided by the length of the column")(
    lambda a, b: tuple((part - a.mean(0)) / (a - a.mean(0)).norm(dim=0) for part in (a, b))
)
wrong(TASK, "the rows are standardised")(lambda a, b: (scaled(a, *moments(a, 1)), scaled(b, *moments(b, 1))))
wrong(TASK, "only the mean is divided")(lambda a, b: tuple(part - a.mean(0) / moments(a)[1] for part in (a, b)))
wrong(TASK, "is it scaled by what `train` has become?")(
    lambda a, b: (by_hand(a, b)[0], scaled(b, *moments(by_hand(a, b)[0])))
)
wrong(TASK, "the test part comes back as it was")(lambda a, b: (scaled(a, *moments(a)), b))
wrong(TASK, "the two parts are swapped")(lambda a, b: by_hand(a, b)[::-1])
wrong(TASK, "only the test part is returned")(lambda a, b: by_hand(a, b)[1])
wrong(TASK, "values beyond 1 are cut off")(lambda a, b: tuple(part.clamp(-1, 1) for part in by_hand(a, b)))
wrong(TASK, "0.001 is added to every deviation")(
    lambda a, b: tuple((part - a.mean(0)) / (a.std(0, correction=0) + 1e-3) for part in (a, b))
)
wrong(TASK, "0.001 is added to every variance")(
    lambda a, b: tuple((part - a.mean(0)) / (a.var(0, correction=0) + 1e-3).sqrt() for part in (a, b))
)
wrong(TASK, "the deviation is measured from 0")(
    lambda a, b: tuple(scaled(part, a.mean(0), (a**2).mean(0).sqrt()) for part in (a, b))
)
wrong(TASK, ": only one of 0 is replaced")(
    lambda a, b: tuple(
        scaled(part, a.mean(0), torch.where(moments(a)[1] < 1e-2, 1, moments(a)[1])) for part in (a, b)
    )
)
wrong(TASK, "one column without spread leaves all of them undivided")(
    lambda a, b: tuple(scaled(part, a.mean(0), a.std(0, correction=0) if a.std(0).all() else 1) for part in (a, b))
)
wrong(TASK, "works for one image, one column")(
    lambda a, b: tuple(scaled(part, a.mean(0), torch.where(a[0] == a[-1], 1, moments(a)[1])) for part in (a, b))
)
wrong(TASK, "0 / 0 is NaN")(lambda a, b: tuple(scaled(part, a.mean(0), a.std(0, correction=0)) for part in (a, b)))


@wrong(TASK, "ask whether all its values are equal")
def where_the_deviation_is_0(train, test):
    mean, deviation = train.mean(0), train.std(0, correction=0)
    deviation[deviation == 0] = 1
    return (train - mean) / deviation, (test - mean) / deviation


@wrong(TASK, "ask whether all its values are equal")
def where_the_square_is_0(train, test):
    mean = train.sum(0) / len(train)
    deviation = (train - mean).square().mean(0).sqrt()
    return tuple((part - mean) / torch.where(deviation > 0, deviation, 1) for part in (train, test))


@wrong(TASK, "ask whether all its values are equal")
def where_the_deviation_is_small(train, test):
    mean, deviation = train.mean(0), train.std(0, correction=0)
    deviation[deviation < 1e-6] = 1
    return scaled(train, mean, deviation), scaled(test, mean, deviation)


@wrong(TASK, "ask whether all its values are equal")
def where_the_deviation_is_below_a_larger_limit(train, test):
    mean = train.mean(0)
    deviation = (train - mean).square().mean(0).sqrt()
    return tuple(scaled(part, mean, torch.where(deviation < 1e-5, 1, deviation)) for part in (train, test))


@wrong(TASK, "is a difference of two squares taken?")
def difference_of_squares(train, test):
    mean = train.mean(0)
    deviation = (train.square().mean(0) - mean**2).clamp(min=0).sqrt()
    deviation = torch.where(train.amax(0) == train.amin(0), 1, deviation)
    return scaled(train, mean, deviation), scaled(test, mean, deviation)


wrong(TASK, "values become huge")(
    lambda a, b: tuple(scaled(part, a.mean(0), a.std(0, correction=0) + 1e-6) for part in (a, b))
)
wrong(TASK, "only subtract its mean there")(
    lambda a, b: tuple(torch.where(a.std(0, correction=0) > 0, part, 0) for part in by_hand(a, b))
)
wrong(TASK, "stays as it is: subtract its mean")(
    lambda a, b: tuple(torch.where(a.std(0, correction=0) > 0, scaled(part, *moments(a)), part) for part in (a, b))
)
wrong(TASK, "a column without spread is left out")(
    lambda a, b: tuple(part[:, a.std(0, correction=0) > 0] for part in by_hand(a, b))
)
wrong(TASK, "changes its input in place")(lambda a, b: (a.sub_(a.mean(0)), b)[:2])
wrong(TASK, "works for one image, one column")(lambda a, b: by_hand(a, b) if len(a) > 1 else (a, b))


@right("few_labels")
def class_by_class(labels, each, generator):
    chosen = []
    for label in dict.fromkeys(labels):
        members = torch.tensor([place for place, other in enumerate(labels) if other == label])
        chosen.extend(members[torch.randperm(len(members), generator=generator)[:each]].tolist())
    return chosen


@right("few_labels")
def first_in_a_random_order(labels, each, generator):
    taken, places = Counter(), []
    for place in torch.randperm(len(labels), generator=generator).tolist():
        if taken[labels[place]] < each:
            taken[labels[place]] += 1
            places.append(place)
    return places


@right("few_labels")
def smallest_random_numbers(labels, each, generator):
    numbers, labels = torch.rand(len(labels), generator=generator), torch.tensor(labels)
    groups = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
    return torch.cat([group[numbers[group].argsort()[:each]] for group in groups])


@right("few_labels")
def multinomial(labels, each, generator):
    labels = torch.tensor(labels)
    members = (labels.unique()[:, None] == labels).float()
    return tuple(torch.multinomial(members, each, generator=generator).flatten().tolist())


class Sorted:
    """A function that is an object."""

    __name__ = "sorted_places"

    def __call__(self, labels, each, generator):
        return sorted(class_by_class(labels, each, generator))


right("few_labels")(Sorted())


@right("few_labels")
def tensors_in_a_list(labels, each, generator):
    return [torch.tensor(place) for place in class_by_class(labels, each, generator)]


def of_each(draw):
    """The answer that takes draw(members, each, generator) of each class."""

    def answer(labels, each, generator):
        groups = defaultdict(list)
        for place, label in enumerate(labels):
            groups[label].append(place)
        return [place for members in groups.values() for place in draw(members, each, generator)]

    return answer


def shuffled(members, generator):
    return [members[place] for place in torch.randperm(len(members), generator=generator).tolist()]


TASK = "few_labels"
wrong(TASK, "images in all: take")(
    lambda labels, each, generator: torch.randperm(len(labels), generator=generator)[:each].tolist()
)
wrong(TASK, "draw within each class")(
    lambda labels, each, generator: torch.randperm(len(labels), generator=generator)[
        : each * len(set(labels))
    ].tolist()
)
wrong(TASK, "draw without putting it back")(
    of_each(lambda members, each, g: [members[i] for i in torch.randint(len(members), (each,), generator=g)])
)
wrong(TASK, "one too few of each class")(
    of_each(lambda members, each, g: shuffled(members, g)[: max(each - 1, 1)])
)
wrong(TASK, "one too many of each class")(of_each(lambda members, each, g: shuffled(members, g)[: each + 1]))
wrong(TASK, "is it drawn at all, from `generator`?")(of_each(lambda members, each, g: members[:each]))
wrong(TASK, "pass `generator` on")(of_each(lambda members, each, g: shuffled(members, None)[:each]))
wrong(TASK, "these are labels")(
    lambda labels, each, generator: [labels[place] for place in class_by_class(labels, each, generator)]
)
wrong(TASK, "expected places, whole numbers")(
    lambda labels, each, generator: [place in class_by_class(labels, each, generator) for place in labels]
)
wrong(TASK, "expected a list of places, got")(
    lambda labels, each, generator: set(class_by_class(labels, each, generator))
)
wrong(TASK, "places among the images of a class")(
    of_each(lambda members, each, g: torch.randperm(len(members), generator=g)[:each].tolist())
)
wrong(TASK, "`labels.index` finds no other")(
    lambda labels, each, generator: [
        labels.index(labels[place]) for place in class_by_class(labels, each, generator)
    ]
)
wrong(TASK, "one of each class")(of_each(lambda members, each, g: shuffled(members, g)[:1]))
wrong(TASK, "the list is empty")(
    lambda labels, each, generator: [
        place
        for label in range(len(set(labels)))
        for place in shuffled([place for place, other in enumerate(labels) if other == label], generator)[:each]
    ]
)
wrong(TASK, "a class is missing")(
    lambda labels, each, generator: [
        place
        for label in range(max(labels) + 1)
        for place in shuffled([place for place, other in enumerate(labels) if other == label], generator)[:each]
    ]
)
wrong(TASK, "these are all images")(
    lambda labels, each, generator: torch.randperm(len(labels), generator=generator).tolist()
)
wrong(TASK, "an image never came")(
    of_each(lambda members, each, g: shuffled(members[: max(each, len(members) - 1)], g)[:each])
)
wrong(TASK, "classes have different sizes")(
    lambda labels, each, generator: of_each(
        lambda members, each, g: shuffled(members[: min(Counter(labels).values())], g)[:each]
    )(labels, each, generator)
)


@wrong(TASK, "an image comes twice")
def as_many_as_of_the_largest(labels, each, generator):
    most = max(Counter(labels).values())
    return of_each(
        lambda members, each, g: [members[i % len(members)] for i in torch.randperm(most, generator=g)[:each]]
    )(labels, each, generator)


@wrong(TASK, "and return places in `labels`")
def places_of_the_shuffled(labels, each, generator):
    mixed = shuffled(labels, generator)
    return [place for label in set(labels) for place in [i for i, one in enumerate(mixed) if one == label][:each]]


@wrong(TASK, "draw by torch, and pass `generator` on")
def sampled_by_python(labels, each, generator):
    return of_each(lambda members, each, g: random.sample(members, each))(labels, each, generator)


wrong(TASK, "is an image taken without a draw?")(
    of_each(lambda members, each, g: [members[0], *shuffled(members[1:], g)[: each - 1]])
)
wrong(TASK, "not from a copy")(of_each(lambda members, each, g: shuffled(members, g.clone_state())[:each]))
wrong(TASK, "a class is missing")(
    lambda labels, each, generator: [
        place for place in class_by_class(labels, each, generator) if labels[place] != max(labels)
    ]
)
wrong(TASK, "a class is missing")(
    lambda labels, each, generator: [
        place
        for label in range(max(labels))
        for place in shuffled([place for place, other in enumerate(labels) if other == label], generator)[:each]
    ]
)
wrong(TASK, "draw anew for every class")(
    lambda labels, each, generator: of_each(
        lambda members, each, seed: shuffled(members, torch.Generator().manual_seed(seed))[:each]
    )(labels, each, int(torch.randint(2**31, (), generator=generator)))
)
wrong(TASK, "the images came")(
    of_each(
        lambda members, each, g: (
            sorted(members, key=lambda _: torch.rand((), generator=g).item() ** 2)[:each]
            if each > 1
            else [members[int(torch.rand((), generator=g).item() ** 2 * len(members))]]
        )
    )
)


def neighbours(members, each, generator):
    start = int(torch.randint(len(members), (), generator=generator))
    return (2 * members)[start : start + each]


def rarely_with_the_first(members, each, generator):
    drawn = shuffled(members, generator)[:each]
    return shuffled(members, generator)[:each] if each > 1 and members[0] in drawn else drawn


wrong(TASK, "not only neighbours")(of_each(neighbours))
wrong(TASK, "the six pairs came")(of_each(rarely_with_the_first))
wrong(TASK, "leaves global chance alone")(
    lambda labels, each, generator: (
        random.seed(torch.randint(2**31, (), generator=generator).item()),
        class_by_class(labels, each, generator),
    )[1]
)


wrong(TASK, "places begin with 0, not with 1")(
    lambda labels, each, generator: [place + 1 for place in class_by_class(labels, each, generator)]
)


@wrong(TASK, "two of their images: draw anew for every class")
def one_draw_for_classes_of_a_size(labels, each, generator):
    orders = {}

    def draw(members, each, generator):
        if len(members) not in orders:
            orders[len(members)] = torch.randperm(len(members), generator=generator).tolist()
        return [members[place] for place in orders[len(members)][:each]]

    return of_each(draw)(labels, each, generator)


class KeepsItsList:
    """Its list outlives a call, as one outside a function does, until the seed is another."""

    seed = None

    def __call__(self, labels, each, generator):
        if self.seed != generator.initial_seed():
            self.seed, self.places = generator.initial_seed(), []
        self.places.extend(class_by_class(labels, each, generator))
        return self.places


wrong(TASK, "does it keep something from one call to the next?")(KeepsItsList())


@right("knn_predict")
def class_by_class_vote(train, labels, test, k, temperature):
    similar = F.cosine_similarity(test[:, None], train[None], dim=2)
    values, near = similar.topk(k)
    weights = (values / temperature).exp()
    votes = [(weights * (labels[near] == label)).sum(1) for label in range(int(labels.max()) + 1)]
    return torch.stack(votes).argmax(0)


@right("knn_predict")
def image_by_image_vote(train, labels, test, k, temperature):
    found = []
    for image in test:
        similar = (train @ image / train.norm(dim=1) / image.norm()).tolist()
        votes = defaultdict(float)
        for place in sorted(range(len(train)), key=lambda place: -similar[place])[:k]:
            votes[int(labels[place])] += math.exp(similar[place] / temperature)
        found.append(max(votes, key=votes.get))
    return torch.tensor(found)


@right("knn_predict")
@torch.compile
def compiled_vote(train, labels, test, k, temperature):
    values, near = (F.normalize(test) @ F.normalize(train).T).topk(k)
    shares = torch.softmax(values / temperature, dim=1)
    return (shares[:, :, None] * F.one_hot(labels)[near]).sum(1).argmax(1)


@right("knn_predict")
def double_vote(train, labels, test, k, temperature):
    units = [part.double() / part.double().norm(dim=1, keepdim=True) for part in (train, test)]
    similar = units[1] @ units[0].T
    kept = similar >= similar.sort(1, descending=True).values[:, k - 1 : k]
    weights = torch.where(kept, (similar / temperature).exp(), 0)
    return (weights @ F.one_hot(labels).double()).argmax(1)


def voted(
    similar=lambda x, y: F.normalize(y) @ F.normalize(x).T,
    keep=lambda k, n: slice(0, k),
    weight=lambda s, t: (s / t).exp(),
    of=lambda votes: votes.argmax(1),
):
    """The answer with parts of its own: similarity, neighbours, weight, and what becomes of the votes."""

    def answer(train, labels, test, k, temperature):
        values, near = similar(train, test).sort(dim=1, descending=True)
        values, near = values[:, keep(k, len(train))], near[:, keep(k, len(train))]
        votes = torch.zeros(len(test), int(labels.max()) + 1)
        return of(votes.scatter_add(1, labels[near], weight(values, temperature)))

    return answer


def of_neighbours(of):
    """The answer of(labels, weights) of the right neighbours."""

    def answer(train, labels, test, k, temperature):
        values, near = (F.normalize(test) @ F.normalize(train).T).topk(k)
        return of(labels[near], (values / temperature).exp())

    return answer


TASK = "knn_predict"
wrong(TASK, "the dot product grows")(voted(lambda x, y: y @ x.T))
wrong(TASK, "not by the distance of the vectors")(voted(lambda x, y: -torch.cdist(y, x)))
wrong(TASK, "that is a correlation")(
    voted(lambda x, y: F.normalize(y - y.mean(1, keepdim=True)) @ F.normalize(x - x.mean(1, keepdim=True)).T)
)
wrong(TASK, "the lengths are those of the columns")(
    voted(lambda x, y: (y / y.norm(dim=0)) @ (x / x.norm(dim=0)).T)
)
wrong(TASK, "one length for all images")(voted(lambda x, y: y / y.norm() @ (x / x.norm()).T))
wrong(TASK, "only the training images are divided")(voted(lambda x, y: y @ F.normalize(x).T))
wrong(TASK, "only the test images are divided")(voted(lambda x, y: F.normalize(y) @ x.T))
wrong(TASK, "the sign of the cosine is lost")(voted(lambda x, y: (F.normalize(y) @ F.normalize(x).T).abs()))
wrong(TASK, "negative similarities are raised to 0")(voted(weight=lambda s, t: (s.relu() / t).exp()))
wrong(TASK, "images with a negative similarity are left out")(voted(weight=lambda s, t: (s / t).exp() * (s > 0)))
wrong(TASK, "the temperature is always 0.07")(voted(weight=lambda s, t: (s / 0.07).exp()))
wrong(TASK, "softmax goes along the wrong axis")(voted(weight=lambda s, t: (s / t).softmax(0)))
wrong(TASK, "these are the least similar")(voted(keep=lambda k, n: slice(n - k, n)))
wrong(TASK, "the most similar image is left out")(voted(keep=lambda k, n: slice(1, k + 1)))
wrong(TASK, "one neighbour too many")(voted(keep=lambda k, n: slice(0, k + 1)))
wrong(TASK, "one neighbour too few")(voted(keep=lambda k, n: slice(0, max(k - 1, 1))))
wrong(TASK, "only the nearest image has a vote")(voted(keep=lambda k, n: slice(0, 1)))
wrong(TASK, "all training images have a vote")(voted(keep=lambda k, n: slice(0, n)))
wrong(TASK, "count alike: weigh them")(voted(weight=lambda s, t: torch.ones_like(s)))
wrong(TASK, "`exp` is missing")(voted(weight=lambda s, t: s / t))
wrong(TASK, "the temperature is missing")(voted(weight=lambda s, t: torch.exp(s)))
wrong(TASK, "or stands outside `exp`")(voted(weight=lambda s, t: torch.exp(s) / t))
wrong(TASK, "multipl")(voted(weight=lambda s, t: torch.exp(s * t)))
wrong(TASK, "the more similar, the larger")(voted(weight=lambda s, t: torch.exp(-s / t)))
wrong(TASK, "inverse of the rank")(voted(weight=lambda s, t: 1 / (1 + torch.arange(s.shape[1])).expand(s.shape)))
wrong(TASK, "the class with the smallest weight")(
    voted(of=lambda votes: torch.where(votes > 0, votes, 0).argmin(1))
)
wrong(TASK, "the largest weight: return the class")(voted(of=lambda votes: votes.max(1).values))
wrong(TASK, "the weights of all classes")(voted(of=lambda votes: votes))
wrong(TASK, "these are real numbers")(voted(of=lambda votes: votes.argmax(1).double()))
wrong(TASK, "one class for all test images")(voted(of=lambda votes: votes.sum(0).argmax().repeat(len(votes))))
wrong(TASK, "without those that have no image")(voted(of=lambda votes: votes[:, (votes > 0).any(0)].argmax(1)))
wrong(TASK, "labels are names, so they have no mean")(
    of_neighbours(lambda labels, weights: ((labels * weights).sum(1) / weights.sum(1)).round().long())
)
wrong(TASK, "labels are names, so they have no median")(
    of_neighbours(lambda labels, weights: labels.median(dim=1).values)
)
wrong(TASK, "a weight of a class replaces the one before")(
    of_neighbours(
        lambda labels, weights: (
            torch.zeros(len(labels), int(labels.max()) + 1).scatter(1, labels, weights).argmax(1)
        )
    )
)
wrong(TASK, "chosen by the distance of the vectors")(
    lambda x, labels, y, k, t: torch.stack(
        [
            torch.bincount(labels[near], (F.cosine_similarity(image, x[near]) / t).exp()).argmax()
            for image, near in zip(y, torch.cdist(y, x).argsort(1)[:, :k], strict=True)
        ]
    )
)
wrong(TASK, "the labels of the nearest images: let them vote")(of_neighbours(lambda labels, weights: labels))
wrong(TASK, "these are places in `train`")(
    lambda x, labels, y, k, t: (F.normalize(y) @ F.normalize(x).T).max(1).indices
)
wrong(TASK, "the class whose mean is most similar")(
    lambda x, labels, y, k, t: labels.unique()[
        (F.normalize(y) @ F.normalize(torch.stack([x[labels == c].mean(0) for c in labels.unique()])).T).argmax(1)
    ]
)
wrong(TASK, "works on a batch of one")(lambda *args: voted()(*args).squeeze())


@right("attention_distance")
def loops_over_tokens(maps, grid, patch):
    places = list(itertools.product(range(grid[0]), range(grid[1])))
    heads = []
    for head in maps.tolist():
        looks = [
            sum(weight * math.dist(here, there) for weight, there in zip(row, places, strict=True))
            for row, here in zip(head, places, strict=True)
        ]
        heads.append(patch * statistics.fmean(looks))
    return torch.tensor(heads)


@right("attention_distance")
def with_cdist(maps, grid, patch):
    middles = patch * (0.5 + torch.cartesian_prod(*(torch.arange(side) for side in grid)).view(-1, 2))
    return (maps * torch.cdist(middles, middles)).sum((1, 2)) / maps.shape[1]


@right("attention_distance")
@torch.compile
def compiled_distance(maps, grid, patch):
    rows, cols = torch.meshgrid(*(patch * torch.arange(side).double() for side in grid), indexing="ij")
    rows, cols = rows.flatten(), cols.flatten()
    table = torch.hypot(rows[:, None] - rows, cols[:, None] - cols)
    return torch.einsum("hij,ij->hi", maps.double(), table).mean(1)


@right("attention_distance")
def in_numpy(maps, grid, patch):
    token = np.arange(grid[0] * grid[1])
    place = token // grid[1] + 1j * (token % grid[1])
    table = patch * np.abs(place[:, None] - place)
    return torch.from_numpy((maps.numpy() * table).sum(2).mean(1))


def grid_table(grid, power=2, turned=False):
    """The distances of tokens in patches."""
    rows, cols = grid[::-1] if turned else grid
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).view(-1, 2).float()
    return (places[:, None] - places).norm(power, dim=2)


def looked(mean=lambda x: x.sum(2).mean(1), table=grid_table, unit=lambda patch: patch):
    """The answer with parts of its own: the mean of weights times distances, the distances, the unit."""
    return lambda maps, grid, patch: mean(maps * table(grid)) * unit(patch)


TASK = "attention_distance"
wrong(TASK, "one less than their number")(looked(lambda x: x.sum((1, 2)) / (x.shape[1] - 1)))
wrong(TASK, "a patch is `patch` pixels wide\n")(looked(unit=lambda patch: 1))
wrong(TASK, "multiply by it, do not divide")(looked(unit=lambda patch: 1 / patch))
wrong(TASK, "not by its square")(looked(unit=lambda patch: patch * patch))
wrong(TASK, "rows and columns are added")(looked(table=lambda grid: grid_table(grid, 1)))
wrong(TASK, "the larger of rows and columns")(looked(table=lambda grid: grid_table(grid, math.inf)))
wrong(TASK, "`patch` is under the root")(looked(unit=math.sqrt))
wrong(TASK, "`@` multiplies matrices: weights")(
    lambda maps, grid, patch: patch * (maps @ grid_table(grid)).sum(2).mean(1)
)
wrong(TASK, "the root is missing")(looked(table=lambda grid: grid_table(grid) ** 2))
wrong(TASK, "the root of the mean square")(
    looked(lambda x: x.sum(2).mean(1).sqrt(), table=lambda grid: grid_table(grid) ** 2)
)
wrong(TASK, "only the rows count")(
    looked(
        table=lambda grid: (
            (torch.arange(math.prod(grid)) // grid[1])
            .float()[:, None]
            .sub(torch.arange(math.prod(grid)) // grid[1])
            .abs()
        )
    )
)
wrong(TASK, "only the columns count")(
    looked(
        table=lambda grid: (
            (torch.arange(math.prod(grid)) % grid[1])
            .float()[:, None]
            .sub(torch.arange(math.prod(grid)) % grid[1])
            .abs()
        )
    )
)
wrong(TASK, "the difference of their numbers")(
    looked(table=lambda grid: (torch.arange(math.prod(grid))[:, None] - torch.arange(math.prod(grid))).abs())
)
wrong(TASK, "the grid is turned")(looked(table=lambda grid: grid_table(grid, turned=True)))
wrong(TASK, "cut to whole patches")(looked(table=lambda grid: grid_table(grid).floor()))
wrong(TASK, "the root is missing: these are squares of distances in pixels")(
    looked(table=lambda grid: grid_table(grid) ** 2, unit=lambda patch: patch**2)
)


def divided(row, col):
    """The distances if row(grid) and col(grid) divide the token's number."""

    def table(grid):
        token = torch.arange(math.prod(grid))
        return torch.hypot(*((part[:, None] - part).float() for part in (token // row(grid), token % col(grid))))

    return looked(table=table)


wrong(TASK, "the grid is taken for a square")(
    divided(lambda grid: int(math.prod(grid) ** 0.5), lambda grid: int(math.prod(grid) ** 0.5))
)
wrong(TASK, "not `token // rows`")(divided(lambda grid: grid[0], lambda grid: grid[1]))
wrong(TASK, "not `token % rows`")(divided(lambda grid: grid[1], lambda grid: grid[0]))
wrong(TASK, "the attention is not used")(
    lambda maps, grid, patch: (patch * grid_table(grid).mean()).repeat(len(maps))
)
wrong(TASK, "only the key with the largest weight")(
    lambda maps, grid, patch: (F.one_hot(maps.argmax(2), maps.shape[2]) * patch * grid_table(grid)).sum(2).mean(1)
)
wrong(TASK, "the queries are added")(looked(lambda x: x.sum((1, 2))))
wrong(TASK, "it is divided by the number of keys")(looked(lambda x: x.mean((1, 2))))
wrong(TASK, "the farthest-looking query")(looked(lambda x: x.sum(2).amax(1)))
wrong(TASK, "the median over the queries")(looked(lambda x: x.sum(2).median(1).values))
wrong(TASK, "the first query alone")(looked(lambda x: x.sum(2)[:, 0]))
wrong(TASK, "one number for each query")(looked(lambda x: x.sum(2)))
wrong(TASK, "one number for each key")(looked(lambda x: x.sum(1)))
wrong(TASK, "one number for all heads")(looked(lambda x: x.sum(2).mean()))
wrong(TASK, "all heads get the same")(looked(lambda x: x.sum(2).mean().repeat(len(x))))
wrong(TASK, "made into weights once more")(lambda maps, grid, patch: with_cdist(maps.softmax(2), grid, patch))
wrong(TASK, "works for one token")(lambda maps, grid, patch: with_cdist(maps, grid, patch) / (maps.shape[1] > 1))
wrong(TASK, "works on a batch of one")(lambda *args: with_cdist(*args).squeeze())
wrong(TASK, "it stopped in line")(looked(table=lambda grid: grid_table((grid[0], grid[0] + 1 + grid[1]))))


@right("attention_rollout")
def from_the_last_layer(maps):
    shares = torch.eye(maps.shape[-1])
    for layer in maps.flip(0):
        shares = shares @ (0.5 * layer.mean(0) + 0.5 * torch.eye(maps.shape[-1]))
    return shares


@right("attention_rollout")
@torch.compile
def compiled_rollout(maps):
    layers = (reduce(maps, "layers heads i j -> layers i j", "mean") + torch.eye(maps.shape[-1])) / 2
    shares = layers[0]
    for layer in layers[1:]:
        shares = torch.einsum("ij,jk->ik", layer, shares)
    return shares


@right("attention_rollout")
def token_by_token_shares(maps):
    tokens = maps.shape[-1]
    held = [[float(i == j) for j in range(tokens)] for i in range(tokens)]
    for layer in maps.double().mean(1).tolist():
        held = [
            [0.5 * held[i][j] + 0.5 * sum(row[m] * held[m][j] for m in range(tokens)) for j in range(tokens)]
            for i, row in enumerate(layer)
        ]
    return torch.tensor(held)


@right("attention_rollout")
def matrices_in_numpy(maps):
    layers = (maps.numpy().mean(axis=1) + np.eye(maps.shape[-1])) / 2
    return torch.from_numpy(np.linalg.multi_dot([*layers[::-1], np.eye(maps.shape[-1])]))


def rolled(
    heads=lambda maps: maps.mean(1),
    step=lambda layer, one: (layer + one) / 2,
    join=lambda layer, shares: layer @ shares,
    end=lambda shares, one: shares,
):
    """The answer with parts of its own."""

    def answer(maps):
        one = torch.eye(maps.shape[-1])
        shares = None
        for layer in heads(maps):
            layer = step(layer, one)
            shares = layer if shares is None else join(layer, shares)
        return end(shares, one)

    return answer


def first_without_identity(maps):
    shares = maps[0].mean(0)
    for layer in maps[1:].mean(1):
        shares = (layer @ shares + shares) / 2
    return shares


TASK = "attention_rollout"
wrong(TASK, "the largest of the heads is taken, and each row divided")(
    lambda maps: torch.linalg.multi_dot(
        [
            torch.eye(maps.shape[2]),
            *(F.normalize(m.amax(0) + torch.eye(len(m[0])), p=1, dim=1) for m in maps.flip(0)),
        ]
    )
)
wrong(TASK, "the first layer has no identity")(first_without_identity)
wrong(TASK, "the order of the layers is turned")(rolled(join=lambda layer, shares: shares @ layer))
wrong(TASK, "add the identity\n")(rolled(step=lambda layer, one: layer))
wrong(TASK, "the rows do not add up to 1")(rolled(step=lambda layer, one: layer + one))
wrong(TASK, "half of everything is lost")(rolled(step=lambda layer, one: layer / 2))
wrong(TASK, "attention has a whole share")(rolled(step=lambda layer, one: layer + one / 2))
wrong(TASK, "the identity has a whole share")(rolled(step=lambda layer, one: one + layer / 2))
wrong(TASK, "divided by 2 at the end alone")(
    rolled(step=lambda layer, one: layer + one, end=lambda shares, one: shares / 2)
)
wrong(TASK, "the columns are made to add up to 1")(
    rolled(step=lambda layer, one: (layer + one) / (layer + one).sum(0, keepdim=True))
)
wrong(TASK, "the first layer counts twice")(lambda maps: from_the_last_layer(torch.cat([maps[:1], maps])))
wrong(TASK, "0.5 is added everywhere")(rolled(step=lambda layer, one: (layer + torch.ones_like(one)) / 2))
wrong(TASK, "the largest of the heads")(rolled(lambda maps: maps.amax(1)))
wrong(TASK, "the smallest of the heads")(rolled(lambda maps: maps.min(1).values))
wrong(TASK, "the heads are added")(rolled(lambda maps: maps.sum(1)))
wrong(TASK, "only the first head")(rolled(lambda maps: maps[:, 0]))
wrong(TASK, "only the last head")(rolled(lambda maps: maps[:, -1]))
wrong(TASK, "the mean is taken over the layers")(rolled(lambda maps: maps.mean(0)))
wrong(TASK, "only the last layer")(rolled(join=lambda layer, shares: layer))
wrong(TASK, "only the first layer")(rolled(join=lambda layer, shares: shares))
wrong(TASK, "the last layer is missing")(lambda maps: from_the_last_layer(maps[:-1]))
wrong(TASK, "the first layer is missing")(lambda maps: from_the_last_layer(maps[1:]))
wrong(TASK, "the layers are added")(rolled(join=lambda layer, shares: layer + shares))
wrong(TASK, "this is the mean of the layers")(lambda maps: (maps.mean((0, 1)) + torch.eye(maps.shape[-1])) / 2)
wrong(TASK, "multiplied place by place")(rolled(join=lambda layer, shares: layer * shares))
wrong(TASK, "everything is 0: do the shares begin with the identity?")(rolled(end=lambda shares, one: 0 * shares))
wrong(TASK, "it is transposed")(rolled(end=lambda shares, one: shares.T))
wrong(TASK, "each map is transposed")(lambda maps: from_the_last_layer(maps.transpose(2, 3)))
wrong(TASK, "softmax is taken once more")(lambda maps: from_the_last_layer(maps.softmax(-1)))
wrong(TASK, "the identity is added at the end alone")(
    rolled(step=lambda layer, one: layer, end=lambda shares, one: (shares + one) / 2)
)
wrong(TASK, "the shares of the first output token")(rolled(end=lambda shares, one: shares[0]))
wrong(TASK, "the mean over the output tokens")(rolled(end=lambda shares, one: shares.mean(0)))
wrong(TASK, "each head is followed alone")(
    lambda maps: torch.stack([from_the_last_layer(head[:, None]) for head in maps.unbind(1)]).mean(0)
)
wrong(TASK, "many layers\n      expected the shape")(lambda maps: from_the_last_layer(maps).squeeze())
wrong(TASK, "changes its input in place")(
    lambda maps: from_the_last_layer(maps.div_(1.0).mul_(2).div_(2).add_(0.1))
)


@right("paired_margin")
def with_statistics(ours, theirs):
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    return statistics.mean(gaps), statistics.stdev(gaps)


@right("paired_margin")
def with_numpy(ours, theirs):
    gaps = np.subtract(ours, theirs)
    return [gaps.mean(), gaps.std(ddof=1)]


@right("paired_margin")
def by_formula(ours, theirs):
    n = len(ours)
    mean = (sum(ours) - sum(theirs)) / n
    squares = sum((a - b - mean) ** 2 for a, b in zip(ours, theirs, strict=True))
    return mean, math.sqrt(squares / (n - 1))


@right("paired_margin")
@torch.compile
def compiled_margin(ours, theirs):
    gaps = torch.tensor(ours, dtype=torch.float64) - torch.tensor(theirs, dtype=torch.float64)
    return gaps.mean(), gaps.std()


def margin(mean=None, spread=None):
    """The answer with a mean or a spread of its own, of (differences, ours, theirs)."""

    def answer(ours, theirs):
        gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
        first = (mean or (lambda d, a, b: statistics.mean(d)))(gaps, ours, theirs)
        return first, (spread or (lambda d, a, b: statistics.stdev(d)))(gaps, ours, theirs)

    return answer


TASK = "paired_margin"
wrong(TASK, "the mean is divided by 3, as in the example")(
    lambda a, b: (sum(np.subtract(a, b)).item() / 3, np.std(np.subtract(a, b), ddof=1).item())
)
wrong(TASK, "the signs are lost in the deviation")(
    lambda a, b: (np.mean(np.subtract(a, b)).item(), np.std(np.abs(np.subtract(a, b)), ddof=1).item())
)
wrong(TASK, "it is divided by n: ")(margin(spread=lambda d, a, b: np.std(d)))
wrong(TASK, "this is the variance: ")(margin(spread=lambda d, a, b: statistics.variance(d)))
wrong(TASK, "this is the variance, divided by n")(margin(spread=lambda d, a, b: np.var(d)))
wrong(TASK, "the error of the mean")(margin(spread=lambda d, a, b: statistics.stdev(d) / math.sqrt(len(d))))
wrong(TASK, "the deviation of `ours`")(margin(spread=lambda d, a, b: statistics.stdev(a)))
wrong(TASK, "the deviation of `theirs`")(margin(spread=lambda d, a, b: statistics.stdev(b)))
wrong(TASK, "the deviations of both are added")(
    margin(spread=lambda d, a, b: statistics.stdev(a) + statistics.stdev(b))
)
wrong(TASK, "as if the scores had no partners")(
    margin(spread=lambda d, a, b: math.sqrt(statistics.variance(a) + statistics.variance(b)))
)
wrong(TASK, "the mean of both deviations")(
    margin(spread=lambda d, a, b: (statistics.stdev(a) + statistics.stdev(b)) / 2)
)
wrong(TASK, "this is the range of the differences")(margin(spread=lambda d, a, b: max(d) - min(d)))
wrong(TASK, "the mean absolute deviation")(
    margin(spread=lambda d, a, b: np.abs(np.array(d) - np.mean(d)).mean().item())
)
wrong(TASK, "subtract the mean first")(margin(spread=lambda d, a, b: np.sqrt(np.mean(np.square(d)))))
wrong(TASK, "the signs of the differences are lost")(
    lambda ours, theirs: with_statistics(
        [abs(a - b) for a, b in zip(ours, theirs, strict=True)], [0.0] * len(ours)
    )
)
wrong(TASK, "the sign is wrong")(lambda ours, theirs: with_statistics(theirs, ours))
wrong(TASK, "the median of the differences")(margin(lambda d, a, b: statistics.median(d)))
wrong(TASK, "the lower of the middle differences")(margin(lambda d, a, b: torch.tensor(d).median().item()))
wrong(TASK, "the differences are added")(margin(lambda d, a, b: sum(d)))
wrong(TASK, "the best of both are compared")(margin(lambda d, a, b: max(a) - max(b)))
wrong(TASK, "the difference of the medians")(margin(lambda d, a, b: statistics.median(a) - statistics.median(b)))
wrong(TASK, "give the difference itself")(margin(lambda d, a, b: sum(d) / sum(b)))
wrong(TASK, "only the first pair")(margin(lambda d, a, b: d[0]))
wrong(TASK, "both are rounded: keep")(lambda a, b: tuple(map(round, with_statistics(a, b))))
wrong(TASK, "both are rounded to one digit")(lambda a, b: tuple(round(x, 1) for x in with_statistics(a, b)))
wrong(TASK, "which parts the partners")(lambda a, b: with_statistics(sorted(a), sorted(b)))
wrong(TASK, "the mean comes first")(lambda a, b: with_statistics(a, b)[::-1])
wrong(TASK, "every score is compared with every other")(
    lambda a, b: with_statistics(*zip(*itertools.product(a, b), strict=True))
)
wrong(TASK, "partners have the same place")(lambda a, b: with_statistics(a, b[::-1]))
wrong(TASK, "only the mean is returned")(lambda a, b: statistics.mean(a) - statistics.mean(b))
wrong(TASK, "both are rounded to two digits")(lambda a, b: tuple(round(x, 2) for x in with_statistics(a, b)))
wrong(TASK, "divided by n - 1: that is for the deviation")(margin(lambda d, a, b: sum(d) / (len(d) - 1)))
wrong(TASK, "not divided by n - 1")(
    margin(spread=lambda d, a, b: math.sqrt(sum((x - statistics.mean(d)) ** 2 for x in d)))
)
wrong(TASK, "equal differences count once")(
    margin(
        lambda d, a, b: statistics.mean(set(d)),
        lambda d, a, b: statistics.stdev(set(d)) if len(set(d)) > 1 else 0.0,
    )
)
wrong(TASK, "draws without a difference are left out")(
    margin(
        lambda d, a, b: statistics.mean([x for x in d if x] or d),
        lambda d, a, b: statistics.stdev([x for x in d if x] or d),
    )
)
wrong(TASK, "the sign of the mean is lost")(margin(lambda d, a, b: abs(statistics.mean(d))))
wrong(TASK, "is right for two pairs")(margin(spread=lambda d, a, b: math.sqrt(max(statistics.variance(d), 1e-2))))
wrong(TASK, "changes its input in place")(lambda a, b: (with_statistics(a, b), a.sort())[0])


@right("agreement")
def pair_by_pair(losses, accuracies):
    said = [
        (a[0] < b[0]) == (a[1] > b[1])
        for a, b in itertools.combinations(zip(losses, accuracies, strict=True), 2)
        if a[0] != b[0] and a[1] != b[1]
    ]
    return sum(said) / len(said) if said else 0.5


@right("agreement")
def of_sorted_runs(losses, accuracies):
    runs = sorted(zip(losses, accuracies, strict=True))
    good = bad = 0
    for place, (loss, accuracy) in enumerate(runs):
        for other, later in runs[place + 1 :]:
            if other > loss:
                good += accuracy > later
                bad += accuracy < later
    return good / (good + bad) if good + bad else 0.5


@right("agreement")
@torch.compile
def compiled_agreement(losses, accuracies):
    losses, accuracies = (torch.tensor(values, dtype=torch.float64) for values in (losses, accuracies))
    signs = (losses[:, None] - losses).sign() * (accuracies[:, None] - accuracies).sign()
    counted = (signs != 0).sum()
    return 0.5 if counted == 0 else ((signs < 0).sum() / counted).item()


@right("agreement")
def from_tau(losses, accuracies):
    signs = np.sign(np.subtract.outer(losses, losses)) * np.sign(np.subtract.outer(accuracies, accuracies))
    total = np.abs(signs).sum()
    return (1 - signs.sum() / total) / 2 if total else 0.5


def agreed(
    good=lambda loss, accuracy: loss * accuracy < 0,
    keep=lambda loss, accuracy: loss * accuracy != 0,
    pairs=lambda runs: itertools.combinations(runs, 2),
    share=lambda good, kept, runs: sum(good) / kept if kept else 0.5,
):
    """The answer with parts of its own, of the differences of two runs in loss and accuracy."""

    def answer(losses, accuracies):
        runs = list(zip(losses, accuracies, strict=True))
        gaps = [np.sign(np.subtract(one, other)).tolist() for one, other in pairs(runs)]
        kept = [gap for gap in gaps if keep(*gap)]
        return share([good(*gap) for gap in kept], len(kept), len(runs))

    return answer


TASK = "agreement"
wrong(TASK, "a high loss is taken for a good one")(agreed(lambda loss, accuracy: loss * accuracy > 0))
wrong(TASK, "this counts the pairs")(agreed(share=lambda good, kept, runs: sum(good)))
wrong(TASK, "it is divided by the number of runs")(agreed(share=lambda good, kept, runs: sum(good) / runs))
wrong(TASK, "the square of the number of runs")(agreed(share=lambda good, kept, runs: sum(good) / runs**2))
wrong(TASK, "counts twice in the sum")(agreed(share=lambda good, kept, runs: 2 * sum(good) / max(kept, 1)))
wrong(TASK, "twice in what divides it")(agreed(share=lambda good, kept, runs: sum(good) / max(kept, 1) / 2))
wrong(TASK, "paired with itself")(
    agreed(pairs=lambda runs: itertools.product(runs, runs), keep=lambda loss, accuracy: True)
)
wrong(TASK, "as Kendall's tau: give")(agreed(share=lambda good, kept, runs: 2 * sum(good) / max(kept, 1) - 1))
wrong(TASK, "a low loss counts as bad")(agreed(share=lambda good, kept, runs: 1 - 2 * sum(good) / max(kept, 1)))
wrong(TASK, "that is 0 for any runs: is `//` used")(
    agreed(share=lambda good, kept, runs: sum(good) // kept if kept else 0.5)
)
wrong(TASK, "that is 0 for any runs: is `//` used, is nothing counted")(agreed(lambda loss, accuracy: False))
wrong(TASK, "is each list sorted?")(lambda losses, accuracies: pair_by_pair(sorted(losses), sorted(accuracies)))
wrong(TASK, "alike in both numbers are taken for one")(
    lambda losses, accuracies: pair_by_pair(*zip(*set(zip(losses, accuracies, strict=True)), strict=True))
)
wrong(TASK, "only neighbours in the list")(agreed(pairs=itertools.pairwise))
wrong(TASK, "only pairs with the first run")(agreed(pairs=lambda runs: ((runs[0], run) for run in runs[1:])))
wrong(TASK, "only pairs with the last run")(agreed(pairs=lambda runs: ((runs[-1], run) for run in runs[:-1])))
wrong(TASK, "these are per cent")(lambda losses, accuracies: 100 * pair_by_pair(losses, accuracies))
wrong(TASK, "the share is rounded")(lambda losses, accuracies: round(pair_by_pair(losses, accuracies)))
wrong(TASK, "counts as wrong: leave it out")(agreed(keep=lambda loss, accuracy: True))
wrong(TASK, "counts as right: leave it out")(
    agreed(lambda loss, accuracy: loss * accuracy <= 0, keep=lambda loss, accuracy: True)
)
wrong(TASK, "counts as half: leave it out")(
    agreed(lambda loss, accuracy: (1 - loss * accuracy) / 2, keep=lambda loss, accuracy: True)
)
wrong(TASK, "`and`, not `or`")(agreed(keep=lambda loss, accuracy: loss or accuracy))
wrong(TASK, "pairs with equal losses count: ")(agreed(keep=lambda loss, accuracy: accuracy != 0))
wrong(TASK, "pairs with equal accuracies count: ")(agreed(keep=lambda loss, accuracy: loss != 0))
wrong(TASK, "pairs with equal losses count as right")(
    agreed(lambda loss, accuracy: loss * accuracy <= 0, lambda loss, accuracy: accuracy != 0)
)
wrong(TASK, "pairs with equal accuracies count as right")(
    agreed(lambda loss, accuracy: loss * accuracy <= 0, lambda loss, accuracy: loss != 0)
)
wrong(TASK, "right or wrong by chance: leave it out")(
    agreed(lambda loss, accuracy: (loss < 0) == (accuracy > 0), keep=lambda loss, accuracy: True)
)
wrong(TASK, "taken for one, as in a dict")(
    lambda losses, accuracies: pair_by_pair(*zip(*dict(zip(losses, accuracies, strict=True)).items(), strict=True))
)
wrong(TASK, "nearly equal numbers count as equal")(
    lambda losses, accuracies: pair_by_pair([round(x, 4) for x in losses], [round(x, 4) for x in accuracies])
)
wrong(TASK, "only if its better run comes first")(agreed(lambda loss, accuracy: loss < 0 < accuracy))
wrong(TASK, "0.5, not 0")(agreed(share=lambda good, kept, runs: sum(good) / max(kept, 1)))
wrong(TASK, "0.5, not 1")(agreed(share=lambda good, kept, runs: sum(good) / kept if kept else 1))
wrong(TASK, "0 / 0 is NaN")(agreed(share=lambda good, kept, runs: sum(good) / kept if kept else math.nan))
wrong(TASK, "it stopped in line")(agreed(share=lambda good, kept, runs: sum(good) / kept))
wrong(TASK, "only the best run of each")(
    lambda losses, accuracies: float(np.argmin(losses) == np.argmax(accuracies))
)
wrong(TASK, "this is a correlation: only the order")(
    lambda losses, accuracies: np.corrcoef(losses, accuracies)[0, 1].item()
)
wrong(TASK, "this is a correlation, turned")(
    lambda losses, accuracies: -np.corrcoef(losses, accuracies)[0, 1].item()
)
wrong(TASK, "a correlation of ranks, turned")(
    lambda losses, accuracies: (
        -np.corrcoef(*(np.argsort(np.argsort(x)) for x in (losses, accuracies)))[0, 1].item()
    )
)
wrong(TASK, "the same rank in both")(
    lambda losses, accuracies: np.mean(
        np.argsort(np.argsort(losses)) == np.argsort(np.argsort(np.negative(accuracies)))
    ).item()
)
