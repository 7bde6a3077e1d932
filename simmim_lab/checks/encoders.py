"""Checks of the exercises on encoders (lesson 02)."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, repeat
from operator import mul
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

from simmim_lab.checks.core import Answer, Verdict, check, compare, distinct, explain, first, form
from simmim_lab.checks.guessing import Guess
from simmim_lab.encoders import RelativePositionBias


@check(
    "Keep two numbers while you walk from the pixels up: how many pixels one output sees, and how many pixels lie "
    "between two neighbouring outputs. Both are 1 before the first layer.",
    "A window of `kernel` inputs spans `kernel - 1` steps from one input to the next, and each step is as long as "
    "the jump of the layer below. So first the field grows, by the old jump; then the stride multiplies the jump.",
)
def receptive_field(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`receptive_field(layers)` is how many pixels, along one side, one output of the last layer sees."""

    def grow(kernels: Iterable[int], jumps: Iterable[int]) -> int:
        return 1 + sum((kernel - 1) * jump for kernel, jump in zip(kernels, jumps, strict=False))

    def jumps(strides: Iterable[int]) -> list[int]:  # of the pixels, then of the outputs of each layer
        return list(accumulate(strides, mul, initial=1))

    mistakes = {
        "no stride is counted, but a step of an upper layer is several pixels long": lambda k, s: grow(
            k, repeat(1)
        ),
        "the kernels are added up, but windows overlap, and strides make the steps longer": lambda k, s: sum(k),
        "the kernels are multiplied, as if windows never overlapped": lambda k, s: math.prod(k),
        "wrong order: go from the last layer to the first, but with a jump from the first": lambda k, s: grow(
            k[::-1], jumps(s[::-1])
        ),
        "the last stride replaces the jump, but strides multiply": lambda k, s: grow(k, (1, *s)),
        "a layer adds `kernel` steps, but 3 inputs are only 2 apart": lambda k, s: (
            grow(k, jumps(s)) + sum(jumps(s)[:-1])
        ),
        "an even kernel is taken for one longer, with `kernel // 2` steps to each side": lambda k, s: grow(
            (2 * (kernel // 2) + 1 for kernel in k), jumps(s)
        ),
        "the field starts at 0, but before any layer it is 1 pixel": lambda k, s: grow(k, jumps(s)) - 1,
        "this is one pixel too many: before any layer the field is 1 pixel": lambda k, s: grow(k, jumps(s)) + 1,
        "a stride counts too early: it makes the steps of later layers longer, not its own": lambda k, s: grow(
            k, jumps(s)[1:]
        ),
        "a stride counts one layer too late": lambda k, s: grow(k, (1, *jumps(s))),
        "the strides are added up, but they multiply": lambda k, s: grow(k, accumulate(s, initial=1)),
        "kernel and stride are swapped": lambda k, s: grow(s, jumps(k)),
        "the first layer is not counted": lambda k, s: grow(k[1:], jumps(s[1:])),
        "the last layer is not counted": lambda k, s: grow(k[:-1], jumps(s)),
        "`field * stride + kernel` takes n outputs as n strides apart, but they are n - 1": lambda k, s: (
            sum(map(mul, k, jumps(s))) + math.prod(s)
        ),
        "`field * stride + kernel - 1` takes n outputs as n strides apart, but they are n - 1": lambda k, s: (
            grow(k, jumps(s)) - 1 + math.prod(s)
        ),
        "this is how far it sees to one side, not the whole field": lambda k, s: grow(k, jumps(s)) // 2,
        "this is the area that one output sees, not its side": lambda k, s: grow(k, jumps(s)) ** 2,
        "this is the jump, from one output to the next, not the field": lambda k, s: math.prod(s),
        "field and jump are returned: return the field alone": lambda k, s: (grow(k, jumps(s)), math.prod(s)),
    }

    def of_layers(values: Callable[[tuple, tuple], int]) -> Callable[[list[tuple[int, int]]], int]:
        return lambda layers: values(*zip(*layers, strict=True))

    stacks = [[(kernel, 3 - kernel % 2)] for kernel in distinct(rng, 2, 4, 9)]
    stacks += [[(3, 1), (2, 2), (3, 1), (2, 2)]]  # the article's CNN
    for layers in [*range(1, 8)] * 2:
        strides = torch.randint(1, 4 if layers < 5 else 3, (layers,), generator=rng)
        kernels = strides + torch.randint(4, strides.shape, generator=rng)  # not shorter, so without gaps
        stacks.append(list(zip(kernels.tolist(), strides.tolist(), strict=True)))
    right = of_layers(lambda kernels, strides: grow(kernels, jumps(strides)))
    wrong = {text: of_layers(values) for text, values in mistakes.items()}
    cases = [(stack,) for stack in stacks]
    yield (
        "follows kernels and strides through one layer and through any others",
        explain(answer, right, cases, wrong),
    )


@check(
    "One feature paints a whole cell of `stride` rows, so the rows of a cell are blind together. Which is the "
    "lowest row that a cell sees, and which is the first visible row?",
    "Of the rows that a cell sees, `stride` are its own, and half of the others lie below it. A cell is blind if "
    "the last row that it sees is still hidden. Go through the cells of the hidden half and count; each blind "
    "one has `stride` rows.",
)
def blind_rows(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`blind_rows(height, field, stride)` counts the rows that see nothing when the top half is hidden."""

    def cells(height: int, below: int, stride: int) -> int:  # if a cell sees so many rows below itself
        return (height // 2 - below) // stride * stride

    def right(height: int, field: int, stride: int) -> int:
        return max(0, cells(height, (field - stride) // 2, stride))

    mistakes = {
        "all hidden rows are counted, but those near the border see visible ones": lambda h, f, s: h // 2,
        "rows are counted one by one, but one feature paints all rows of a cell": lambda h, f, s: (
            h // 2 - (f - s) // 2
        ),
        "cells are counted, not rows: each has `stride` of them": lambda h, f, s: right(h, f, s) // s,
        "the hidden rows that do see something are counted": lambda h, f, s: h // 2 - right(h, f, s),
        "only the last cell is taken as seeing, but a larger field reaches further": lambda h, f, s: h // 2 - s,
        "a cell counts as seeing when it sees the last hidden row: is it one off?": lambda h, f, s: max(
            0, cells(h, (f - s) // 2 + 1, s)
        ),
        "a cell counts as blind when it sees the first visible row: is it one off?": lambda h, f, s: cells(
            h, (f - s) // 2 - 1, s
        ),
        "a cell counts of which only some rows fit, but they all see the same": lambda h, f, s: (
            -(-(h // 2 - (f - s) // 2) // s * s)
        ),
        "half of `field - stride` rows lie above the cell, only the others below": lambda h, f, s: max(
            0, cells(h, f - s, s)
        ),
        "the field is counted from the last row of the cell, but the cell lies inside it": lambda h, f, s: max(
            0, cells(h, f, s)
        ),
        "half of the field is counted from the last row of the cell, not from its middle": lambda h, f, s: max(
            0, cells(h, f // 2, s)
        ),
        "the field is counted as if the cell were a single row, in its middle": lambda h, f, s: max(
            0, cells(h, (f - 1) // 2, s)
        ),
        "the rows of the cell itself are subtracted too": lambda h, f, s: max(0, cells(h, (f + s) // 2, s)),
        "the rows that see something are counted, visible ones too": lambda h, f, s: h - right(h, f, s),
        "the whole image is taken as hidden, not its top half": lambda h, f, s: cells(2 * h, (f - s) // 2, s),
    }
    cases, without = [(32, 10, 4), (224, 10, 4)], []  # the article's CNN; the same with large images
    for stride, hidden in zip((1, *distinct(rng, 4, 2, 9)), distinct(rng, 5, 6, 13), strict=True):
        rows, some = hidden * stride, int(torch.randint(1, max(2, stride), (), generator=rng))
        reach = int(torch.randint(2, 5, (), generator=rng)) * stride
        belows = 0, reach, reach + some, rows - stride  # with the last only the uppermost cell is blind
        cases += [(2 * stride, stride, stride)] + [(2 * rows, stride + 2 * below, stride) for below in belows]
        without += [(2 * rows, stride + 2 * below, stride) for below in (rows, rows + some, 3 * rows)]
    yield "counts the rows of all cells that see nothing visible", explain(answer, right, cases, mistakes)
    negative = {"that is negative: no row is blind there": lambda h, f, s: cells(h, (f - s) // 2, s)}
    yield "finds no blind row where every cell sees a visible one", explain(answer, right, without, negative)


@check(
    "Two things happen, and their order matters: hidden embeddings are replaced, and every place adds its "
    "position. The mask has rows and cols, the tokens only one dimension for both: flatten the mask first.",
    "Bring the mask to the shape (batch, tokens, 1), so that it holds for all numbers of an embedding. "
    "`torch.where` chooses between the mask token and the embedding. Add the positions to all tokens at the end.",
    gradient=(0, 2, 3),
    batched=(0, 1),
)
def insert_mask_token(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`insert_mask_token(embedded, mask, token, positions)` prepares the tokens that enter a ViT."""
    batch, rows, cols, dim = distinct(rng, 4, 3, 7)
    counts = torch.tensor(distinct(rng, batch, 1, rows * cols - 1))  # of hidden patches in each image
    order = torch.rand(batch, rows * cols, generator=rng).argsort(1).argsort(1)
    mask = (order < counts[:, None]).view(batch, rows, cols)
    embedded, other = torch.randn(2, batch, rows * cols, dim, generator=rng)
    other *= 100
    token, positions = torch.randn(dim, generator=rng), torch.randn(rows * cols, dim, generator=rng)
    got = answer(embedded, mask, token, positions)

    def hide(mask: Tensor, token: Tensor | float = token, embedded: Tensor = embedded) -> Tensor:
        return torch.where(mask.flatten(1)[..., None], token, embedded)

    hidden, none = mask.flatten(1)[..., None], torch.zeros_like(mask)
    upright = positions.view(cols, rows, dim).transpose(0, 1).flatten(0, 1)
    mistakes = {
        "hidden tokens have no position: first the token, then positions": hide(mask, token, embedded + positions),
        "the mask is inverted: True means hidden": hide(~mask) + positions,
        "the mask is inverted, and hidden tokens have no position": hide(~mask, token, embedded + positions),
        "the token is added to the hidden embeddings, so they stay": embedded + hidden * token + positions,
        "hidden embeddings are set to zero: where is the mask token?": hide(mask, 0.0) + positions,
        "the token is added to the visible tokens too": hide(mask, 0.0) + token + positions,
        "no positions are added": hide(mask),
        "positions are added to hidden tokens only": hide(mask) + hidden * positions,
        "positions are added twice to visible tokens": hide(mask, token, embedded + positions) + positions,
        "positions are added twice": hide(mask) + 2 * positions,
        "positions are subtracted": hide(mask) - positions,
        "positions are multiplied with the tokens: add them": hide(mask) * positions,
        "the same position is added to all tokens": hide(mask) + positions[0],
        "positions are read column by column, but the tokens come row by row": hide(mask) + upright,
        "the mask of the first image is used for all": hide(mask[:1].expand_as(mask)) + positions,
        "the mask is read column by column, the tokens row by row": hide(mask.mT) + positions,
        "no embedding is replaced": hide(none) + positions,
        "every embedding is replaced": hide(~none) + positions,
        "only one number of the token is used: it is a vector": hide(mask, token[0]) + positions,
        "the mean of the token is used: it is a vector": hide(mask, token.mean()) + positions,
        "these are rows and cols: the tokens have one axis for both": (hide(mask) + positions).view(
            *mask.shape, dim
        ),
        "these are the hidden tokens alone: all of them enter": (hide(mask) + positions)[mask.flatten(1)],
    }
    claim = "puts the token in place of hidden embeddings, then adds positions to all"
    yield claim, compare(got, hide(mask) + positions, mistakes)
    if form(got, embedded.shape, torch.float32):
        return

    replaced = answer(torch.where(hidden, other, embedded), mask, token, positions)
    again = answer(embedded, mask, token, positions)
    problem = first(
        (compare(again, got, tolerance=0) is not None, "the same call gave another result: is something drawn?"),
        (compare(replaced, got) is not None, "other embeddings in hidden places changed the result"),
    )
    yield "lets nothing of a hidden embedding through", problem
    for edge, claim in (none, "nothing"), (~none, "everything"):
        verdict = compare(answer(embedded, edge, token, positions), hide(edge) + positions)
        yield f"is right when {claim} is hidden", verdict
    small = embedded[:, :1, :1], mask[:, :1, :1], token[:1], positions[:1, :1]
    verdict = compare(answer(*small), torch.where(small[1], small[2], small[0]) + small[3])
    yield "is right for a single patch and vectors of one number", verdict


@check(
    "Compare every query with every key, turn each query's scores into weights that sum to 1, and take the "
    "weighted mean of the values. What keeps the scores small when the vectors get longer? What may shift them?",
    "Scores: `queries @ keys.mT` (`.T` would reverse all axes, `.mT` swaps the last two), divided by the square "
    "root of `queries.shape[-1]`, then plus the bias. Softmax runs over the keys, the last dimension. The weights "
    "multiply the values.",
    gradient=(0, 1, 2, 3),
)
def attention(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attention(queries, keys, values, bias)` is the weighted mean of the values, for each head."""

    def products(q: Tensor, k: Tensor) -> Tensor:
        return q @ k.mT / q.shape[-1] ** 0.5

    def scaled(divisor: Callable[[Tensor, Tensor], Any]) -> Callable[..., Tensor]:
        return lambda q, k, v, b: (q @ k.mT / divisor(q, k) + b).softmax(-1) @ v

    def weighed(weights: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:  # weights of scores
        return lambda q, k, v, b: weights(products(q, k) + b) @ v

    def biased(scores: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:  # of products and bias
        return lambda q, k, v, b: scores(products(q, k), b).softmax(-1) @ v

    right = biased(torch.add)
    mistakes = {
        "the scores are not divided by the root of dim": scaled(lambda q, k: 1),
        "the scores are divided by dim instead of its root": scaled(lambda q, k: q.shape[-1]),
        "the scores are multiplied by the root of dim instead of divided": scaled(
            lambda q, k: q.shape[-1] ** -0.5
        ),
        "the scores are divided by the root of the root of dim": scaled(lambda q, k: q.shape[-1] ** 0.25),
        "the scores are divided by half of dim, which is not its root": scaled(lambda q, k: q.shape[-1] / 2),
        "the scores are divided by the root of the number of tokens, not of dim": scaled(
            lambda q, k: q.shape[1] ** 0.5
        ),
        "the scores are divided by the root of the number of heads, not of dim": scaled(
            lambda q, k: len(q) ** 0.5
        ),
        "the scores are divided by the root of heads * dim, but `dim` is the length of one vector": scaled(
            lambda q, k: (len(q) * q.shape[-1]) ** 0.5
        ),
        "the scores are divided by the norm of the query, not by the root of dim": scaled(
            lambda q, k: q.norm(dim=-1, keepdim=True)
        ),
        "queries and keys are divided by their norms, but only the root of dim divides": scaled(
            lambda q, k: q.norm(dim=-1, keepdim=True) * k.norm(dim=-1, keepdim=True).mT
        ),
        "the bias is divided too: add it after the division": lambda q, k, v, b: right(
            q, k, v, b / q.shape[-1] ** 0.5
        ),
        "the bias is multiplied with the scores: add it": biased(torch.mul),
        "the bias is missing": biased(lambda products, bias: products),
        "the bias is subtracted": biased(torch.sub),
        "the bias of the first head is used for all": biased(lambda products, bias: products + bias[0]),
        "the bias is transposed: its rows are queries": biased(lambda products, bias: products + bias.mT),
        "the bias is added after softmax: it belongs to the scores": lambda q, k, v, b: (
            (products(q, k).softmax(-1) + b) @ v
        ),
        "softmax runs over the queries: the weights of each query must sum to 1": weighed(lambda s: s.softmax(-2)),
        "softmax runs over the heads: the weights of each query must sum to 1": weighed(lambda s: s.softmax(0)),
        "softmax runs over all pairs of a head: the weights of each query must sum to 1": weighed(
            lambda s: s.flatten(1).softmax(1).view_as(s)
        ),
        "there is no softmax: weights must be positive and sum to 1": weighed(lambda s: s),
        "`exp` alone makes weights positive, but they must also sum to 1: divide by their sum": weighed(torch.exp),
        "the scores are divided by their sum, without `exp` before": weighed(
            lambda s: s / s.sum(-1, keepdim=True)
        ),
        "a sigmoid is taken instead of softmax: weights must sum to 1": weighed(torch.sigmoid),
        "log_softmax gives the logarithms of the weights": weighed(lambda s: s.log_softmax(-1)),
        "softmax is taken twice": weighed(lambda s: s.softmax(-1).softmax(-1)),
        "the weights are transposed before they meet the values": weighed(lambda s: s.softmax(-1).mT),
        "later keys are not seen: here each query sees all of them": weighed(
            lambda s: s.masked_fill(torch.ones_like(s[0], dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
        ),
        "keys and values are swapped": lambda q, k, v, b: right(q, v, k, b),
        "queries and keys are swapped": lambda q, k, v, b: right(k, q, v, b),
        "the keys are averaged, not the values": lambda q, k, v, b: right(q, k, k, b),
        "the queries are averaged, not the values": lambda q, k, v, b: right(q, k, q, b),
        "the heads are averaged: each of them keeps its own result": lambda q, k, v, b: (
            right(q, k, v, b).mean(0, keepdim=True).expand_as(v)
        ),
        "the queries are added to the result": lambda q, k, v, b: right(q, k, v, b) + q,
        "the values are added to the result": lambda q, k, v, b: right(q, k, v, b) + v,
        "these are the scores: softmax and the values are missing": lambda q, k, v, b: products(q, k) + b,
        "these are the weights: the values are missing": lambda q, k, v, b: (products(q, k) + b).softmax(-1),
    }

    def inputs(heads: int, tokens: int, dim: int) -> tuple[Tensor, ...]:
        vectors, bias = (heads, tokens, dim), torch.randn(heads, tokens, tokens, generator=rng)
        return (*torch.randn(3, *vectors, generator=rng), bias)

    cases = [inputs(*distinct(rng, 3, *limits)) for limits in ((2, 5), (6, 9))]
    verdict = explain(answer, right, cases, mistakes)
    yield "is the mean of the values with the weights softmax(scores + bias)", verdict
    q, k, v, bias = cases[0]
    equal = answer(torch.zeros_like(q), k, v, torch.zeros_like(bias))
    verdict = compare(equal, v.mean(1, keepdim=True).expand_as(v))
    yield "takes the plain mean of the values when all scores are equal", verdict
    verdict = explain(answer, right, [inputs(1, 3, 4), inputs(2, 1, 3), inputs(3, 2, 1), inputs(1, 1, 1)])
    yield "takes a single head, a single token, and vectors of one number", verdict

    q, k = 5.0 * torch.randint(-3, 4, (2, 2, 6, 16), generator=rng)  # whole numbers: the scores are exact
    v, bias = torch.randn(2, 6, 16, generator=rng), torch.randn(2, 6, 6, generator=rng).round()
    bias[:, ::2] -= 1000
    bias[:, 1::2] += 1000
    large = answer(q, k, v, bias)
    problem = form(large, v.shape, torch.float32) and (
        "it gave NaN or infinity: `exp` of 100 is too large for a float, and of -100 nearly 0. Use `softmax`, "
        "which subtracts the largest score before"
    )
    yield (
        "is right for very large and very negative scores",
        problem or compare(large, right(q, k, v, bias), tolerance=1e-3),
    )


@check(
    "Find the row and the column of every token, then the two offsets of every pair: query minus key. Both start "
    "below 0. How many different offsets are there along each direction?",
    "Token t lies in row t // cols and column t % cols. Shift both offsets so that the smallest is 0. Then number "
    "them like the squares of a board, row by row: (offset in rows) times (how many offsets there are along a "
    "row) plus (offset in columns).",
)
def relative_index(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`relative_index(rows, cols)` says which bias of the table belongs to each pair (query, key)."""
    rows, cols, more = distinct(rng, 3, 2, 6)
    got, tokens, offsets = answer(rows, cols), rows * cols, (2 * rows - 1) * (2 * cols - 1)
    problem = form(got, (tokens, tokens), torch.int64)
    yield "returns whole numbers of shape (tokens, tokens)", problem
    if problem:
        return

    low, high = got.min().item(), got.max().item()
    problem = first(
        (low < 0, f"{low} is negative: it would count from the end of the table, without an error"),
        (high >= offsets, f"{high} is outside the table: a grid of {rows} x {cols} has {offsets} biases, from 0"),
        (low > 0 or high < offsets - 1, f"it uses {low} to {high}: some of the {offsets} biases are never used"),
    )
    yield "uses the numbers from 0 to (2 rows - 1)(2 cols - 1) - 1", problem

    def right(rows: int, cols: int) -> Tensor:
        return RelativePositionBias((rows, cols), 1).index

    pairs = set(zip(right(rows, cols).flatten().tolist(), got.flatten().tolist(), strict=True))
    numbers = {number for _, number in pairs}
    problem = first(
        (len(pairs) > offsets, "pairs with the same offset have different numbers"),
        (torch.equal(got, got.mT), "the sign of an offset is lost: left and right share a bias"),
        (len(numbers) < offsets, f"different offsets share a number: {offsets} offsets, {len(numbers)} numbers"),
    )
    yield "gives two pairs one number if their offsets are equal, and only then", problem

    def numbered(number: Callable[..., Tensor]) -> Callable[[int, int], Tensor]:
        def index(rows: int, cols: int) -> Tensor:
            token = torch.arange(rows * cols)
            row, col = token // cols, token % cols
            return number(row[:, None] - row + rows - 1, col[:, None] - col + cols - 1, rows, cols)

        return index

    def upright(rows: int, cols: int) -> Tensor:
        order = torch.arange(rows * cols).view(cols, rows).mT.flatten()
        return right(rows, cols)[order.argsort()][:, order.argsort()]

    mistakes = {  # y and x are the offsets of rows and of columns, which start at 0
        "the signs are turned: an offset is query minus key, and the smallest has number 0": lambda y, x, r, c: (
            (2 * r - 2 - y) * (2 * c - 1) + 2 * c - 2 - x
        ),
        "the sign of rows is turned: an offset is query minus key": lambda y, x, r, c: (
            (2 * r - 2 - y) * (2 * c - 1) + x
        ),
        "the sign of columns is turned: an offset is query minus key": lambda y, x, r, c: (
            y * (2 * c - 1) + 2 * c - 2 - x
        ),
        "the offsets are not shifted to start at 0": lambda y, x, r, c: (y - r + 1) * (2 * c - 1) + x - c + 1,
        "the offsets of rows are not shifted to start at 0": lambda y, x, r, c: (y - r + 1) * (2 * c - 1) + x,
        "the offsets of columns are not shifted to start at 0": lambda y, x, r, c: y * (2 * c - 1) + x - c + 1,
        "the factor is 2 rows - 1, but offsets of columns take 2 cols - 1 values": lambda y, x, r, c: (
            y * (2 * r - 1) + x
        ),
        "a row counts as cols, but the offsets of the columns take 2 cols - 1 values": lambda y, x, r, c: (
            y * c + x
        ),
        "the factor is 2 cols, but offsets of columns take 2 cols - 1 values": lambda y, x, r, c: y * 2 * c + x,
        "the factor is 2 cols + 1, but offsets of columns take 2 cols - 1 values": lambda y, x, r, c: (
            y * (2 * c + 1) + x
        ),
        "there is no factor: different offsets get one number": lambda y, x, r, c: y + x,
        "the offsets are shifted by one too many: they start at 1": lambda y, x, r, c: (
            (y + 1) * (2 * c - 1) + x + 1
        ),
        "the numbers start at 1, but the first is 0": lambda y, x, r, c: y * (2 * c - 1) + x + 1,
        "rows and columns are swapped: the offset of rows gets the factor": lambda y, x, r, c: x * (2 * r - 1) + y,
    }
    wrong = {text: numbered(number) for text, number in mistakes.items()}
    wrong["the tokens are numbered column by column, but they lie row by row"] = upright
    grids = [(rows, cols), (cols, rows), (more, more), (rows + 7, cols + 7), (1, cols), (rows, 1), (1, 1)]
    verdict = explain(answer, right, grids, wrong)
    yield "numbers the offsets row by row, as the lesson does", verdict


@check(
    "What does the network get in place of a hidden patch? Look for visible patches that give it the same.",
    "A hidden patch arrives as zeros in all its pixels and all three channels. A visible patch arrives as it is. "
    "Cut the images into patches (`rearrange`), ask which consist of zeros alone, and keep the visible ones.",
    batched=(0, 1),
)
def taken_for_hidden(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`taken_for_hidden(images, mask)` finds the visible patches that hiding by zeros cannot mark."""
    batch, rows, cols, size = distinct(rng, 4, 5, 8)
    patches = torch.rand(batch, rows * cols, 3, size, size, generator=rng) * 0.8 + 0.1  # in order of their kind:
    patches[:, :4] = 0  # black: two visible, two hidden; then three more hidden ones; all others are visible:
    patches[:, 7] = 1 / 255  # nearly black
    patches[:, 8, 1:] = 0  # red
    patches[:, 9] *= 1 - torch.eye(size)  # some black pixels
    patches[:, 10] *= torch.eye(size)  # some pixels that are not black
    patches[:, 11, 0, ::2], patches[:, 11, 1:, 1::2] = 0, 0  # a zero in every pixel, but no black pixel
    patches[:, 12, 0] = 0  # no red
    patches[:, 13] = 0
    places = distinct(rng, batch, 0, 3 * size**2 - 1)
    patches[:, 13].view(batch, -1)[range(batch), places] = 1 / 255  # a single value is not 0
    patches[:, 14] = 1  # white
    patches[:, 15] = patches[:, 15, :1, :1, :1]  # grey
    kind = torch.rand(batch, rows * cols, generator=rng).argsort(1)
    patches = patches[torch.arange(batch)[:, None], kind]
    mask = ((kind >= 2) & (kind < 7)).view(batch, rows, cols)
    images = rearrange(patches, "b (rows cols) c p q -> b c (rows p) (cols q)", rows=rows)
    got = answer(images, mask)

    zero, visible = (patches == 0).view(batch, rows, cols, 3, size**2), ~mask
    empty = zero.all(-1)  # of each patch the channels that are 0
    black = empty.all(-1)
    nearly_black = (patches < 0.01).flatten(2).all(-1).view_as(mask)
    nearly_all = ((patches > 0).flatten(2).sum(-1) < 2).view_as(mask)
    flat = (patches == patches[:, :, :1, :1, :1]).flatten(2).all(-1).view_as(mask)
    mistakes = {
        "hidden patches are among them: only visible ones are asked for": black | mask,
        "black patches that are hidden are among them: only visible ones are asked for": black,
        "the mask is inverted: True means hidden": black & mask,
        "one black pixel is enough for it, but the others show that the patch is visible": (
            zero.all(-2).any(-1) & visible
        ),
        "one value of 0 is enough for it, but the others show that the patch is visible": (
            zero.any(-1).any(-1) & visible
        ),
        "one empty channel is enough for it, but the others show that the patch is visible": (
            empty.any(-1) & visible
        ),
        "only the red channel is looked at, but a patch without red may show other colours": (
            empty[..., 0] & visible
        ),
        "only the green channel is looked at, but the patch may be red": empty[..., 1] & visible,
        "only the blue channel is looked at, but the patch may be red": empty[..., 2] & visible,
        "one pixel stands for its patch, but the others may show that it is visible": (
            zero.all(-2)[..., 0] & visible
        ),
        "a 0 in some channel of each pixel is enough for it, but the other channels are not 0": (
            zero.any(-2).all(-1) & visible
        ),
        "a nearly black patch is among them, but 1/255 is not 0": nearly_black & visible,
        "a patch with a single value above 0 is among them: all of its values must be 0": nearly_all & visible,
        "patches of one colour are among them, but only black ones arrive like hidden ones": flat & visible,
        "all visible patches are found, whatever they show: did you multiply by our mask? It is 0 where "
        "visible": visible,
        "hidden black patches and all visible ones are found: did you multiply by our mask? It is 0 where "
        "visible": black | visible,
        "the first image is looked at for all": black[:1] & visible,
        "the mask of the first image is used for all": black & visible[:1],
        "white patches are found, but the product with 0 is black": (patches == 1)
        .flatten(2)
        .all(-1)
        .view_as(mask),
        "the hidden patches are found, not the visible ones that look like them": mask,
        "the visible patches that are not black are found": visible & ~black,
    }
    for fixed in {2, 4, 8, 16} - {size}:
        squares = F.pad((F.max_pool2d(images, fixed) == 0).all(1), (0, cols, 0, rows), value=True)
        text = f"the patch size is fixed: you look at squares of {fixed} x {fixed} pixels, but it is height / rows"
        mistakes[text] = squares[:, :rows, :cols] & visible
    mistakes["there is a value for each pixel, but the mask is on patches"] = (
        (black & visible).repeat_interleave(size, 1).repeat_interleave(size, 2)
    )
    claim = "finds the visible patches that arrive like hidden ones, and no others"
    yield claim, compare(got, black & visible, mistakes)
    if form(got, mask.shape, torch.bool):
        return

    images, nothing = torch.zeros(3, 3, 2 * size, 2 * size), torch.zeros(3, 1, 1, dtype=torch.bool)
    images[0, :, -1, -1] = images[2, :, 0, 0] = 0.5
    quarters = F.max_pool2d(images, size).amax(1) == 0
    mistakes = {
        "the patch size is fixed, but it is height / rows": quarters,
        "the last pixel is not seen: is the patch size fixed? It is height / rows": quarters[:, :1, :1],
    }
    want = torch.tensor([False, True, False]).view(3, 1, 1)
    verdict = compare(answer(images, nothing), want, mistakes)
    yield f"finds one patch of {2 * size} x {2 * size} pixels if all of it is black", verdict


GUESSES: dict[str, Guess] = {}
