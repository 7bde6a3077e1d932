"""Checks of lesson 02 and of its exercises, and the lesson's guesses."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, repeat
from operator import mul
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

from simmim_lab import masking, swin
from simmim_lab.checks import solutions
from simmim_lab.checks.core import (
    Answer,
    Verdict,
    check,
    compare,
    distinct,
    explain,
    first,
    form,
    gradients,
    is_whole,
    other_gradient,
    telling,
)
from simmim_lab.checks.guessing import Guess


@check(
    "Walk from the pixels up with two numbers, field and jump, as the lesson does. How far apart are two "
    "neighbouring inputs of a dilated kernel, counted in outputs of the layer below?",
    "A kernel of `kernel` inputs has `kernel - 1` steps between them, and its dilation makes each of them longer. "
    "That is so in its own layer only: the jump of later layers grows by strides alone.",
)
def dilated_field(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`dilated_field(layers)` is how many pixels lie from the first to the last that one output sees."""

    def grow(kernels: Iterable[int], jumps: Iterable[int]) -> int:
        return 1 + sum((kernel - 1) * jump for kernel, jump in zip(kernels, jumps, strict=False))

    def jumps(strides: Iterable[int]) -> list[int]:  # of the pixels, then of the outputs of each layer
        return list(accumulate(strides, mul, initial=1))

    def wide(kernels: tuple[int, ...], dilations: tuple[int, ...]) -> list[int]:  # kernels with their gaps
        return [(kernel - 1) * dilation + 1 for kernel, dilation in zip(kernels, dilations, strict=True)]

    def right(k: tuple[int, ...], s: tuple[int, ...], d: tuple[int, ...]) -> int:
        return grow(wide(k, d), jumps(s))

    def touched(k: tuple[int, ...], s: tuple[int, ...], d: tuple[int, ...]) -> int:
        pixels = {0}
        for kernel, stride, dilation in zip(k[::-1], s[::-1], d[::-1], strict=True):
            pixels = {place * stride + step * dilation for place in pixels for step in range(kernel)}
        return len(pixels)

    mistakes = {
        "no dilation is counted": lambda k, s, d: grow(k, jumps(s)),
        "no stride is counted, but steps of upper layers are several pixels long": lambda k, s, d: grow(
            wide(k, d), repeat(1)
        ),
        "a kernel covers `(kernel - 1) * dilation + 1` inputs, not `kernel * dilation`": lambda k, s, d: grow(
            map(mul, k, d), jumps(s)
        ),
        "the dilation is added to the kernel, but it multiplies its steps": lambda k, s, d: grow(
            [kernel + dilation - 1 for kernel, dilation in zip(k, d, strict=True)], jumps(s)
        ),
        "a kernel with its gaps covers n inputs, but has n - 1 steps between them": lambda k, s, d: grow(
            [width + 1 for width in wide(k, d)], jumps(s)
        ),
        "from the last layer down it is `(field - 1) * stride`, not `field * stride`": lambda k, s, d: (
            right(k, s, d) - 1 + math.prod(s)
        ),
        "the dilation is taken as the inputs left out in a step: it is the step's length": (
            lambda k, s, d: right(k, s, [dilation + 1 for dilation in d])
        ),
        "a dilation makes the steps of later layers longer too: only strides do": lambda k, s, d: grow(
            wide(k, d), jumps(map(mul, s, d))
        ),
        "the dilation is used instead of the stride for the jump": lambda k, s, d: grow(wide(k, d), jumps(d)),
        "stride and dilation are swapped": lambda k, s, d: right(k, d, s),
        "kernel and dilation are swapped": lambda k, s, d: right(d, s, k),
        "kernel and stride are swapped": lambda k, s, d: right(s, k, d),
        "a stride counts too early: it makes steps of later layers longer, not its own": lambda k, s, d: grow(
            wide(k, d), jumps(s)[1:]
        ),
        "a stride counts one layer too late": lambda k, s, d: grow(wide(k, d), (1, *jumps(s))),
        "the last stride replaces the jump, but strides multiply": lambda k, s, d: grow(wide(k, d), (1, *s)),
        "a layer's own stride is its jump, but that is the product of the strides before": (
            lambda k, s, d: grow(wide(k, d), s)
        ),
        "the jump is the product of the strides below, not a power of this layer's": lambda k, s, d: grow(
            wide(k, d), [stride**layer for layer, stride in enumerate(s)]
        ),
        "all strides count for every layer, but only those of the layers below it do": lambda k, s, d: grow(
            wide(k, d), repeat(math.prod(s))
        ),
        "the strides are added up, but they multiply": lambda k, s, d: grow(wide(k, d), accumulate(s, initial=1)),
        "one step too many: `kernel` inputs have `kernel - 1` steps between them": lambda k, s, d: right(
            [kernel + 1 for kernel in k], s, d
        ),
        "wrong order: a jump needs the first layer first, `(field - 1) * stride` the last": lambda k, s, d: right(
            k[::-1], s[::-1], d[::-1]
        ),
        "the field starts at 0, but before any layer it is 1 pixel": lambda k, s, d: right(k, s, d) - 1,
        "this is one pixel too many: before any layer the field is 1 pixel": lambda k, s, d: right(k, s, d) + 1,
        "only the first layer is counted: is `return` inside the loop?": lambda k, s, d: right(
            k[:1], s[:1], d[:1]
        ),
        "the first layer is not counted": lambda k, s, d: right(k[1:], s[1:], d[1:]),
        "the last layer is not counted": lambda k, s, d: right(k[:-1], s[:-1], d[:-1]),
        "only the pixels that are seen are counted, not those in the gaps between them": touched,
        "this is how far it sees to one side, not the whole field": lambda k, s, d: right(k, s, d) // 2,
        "this is the area, not its side": lambda k, s, d: right(k, s, d) ** 2,
        "this is the jump, from one output to the next, not the field": lambda k, s, d: math.prod(s),
        "field and jump are returned: return the field alone": lambda k, s, d: (right(k, s, d), math.prod(s)),
    }

    def of_layers(values: Callable[[tuple, tuple, tuple], Any]) -> Callable[[list[tuple[int, int, int]]], Any]:
        return lambda layers: values(*zip(*layers, strict=True))

    stacks = [[(3, 1, 2)], [(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1)], [(1, 2, 3), (3, 1, 1)]]
    for layers in [*range(1, 6)] * 2:
        kernels, strides, dilations = (
            torch.randint(1, high, (layers,), generator=rng).tolist() for high in (6, 4, 5)
        )
        stacks.append(list(zip(kernels, strides, dilations, strict=True)))
    stacks.append([(5, 3, 2)] * 7)  # 8745 pixels
    cases = [(stack,) for stack in stacks]
    wrong = {text: of_layers(values) for text, values in mistakes.items()}
    problem = explain(answer, of_layers(right), cases, wrong)
    claim = "follows kernels, strides and dilations through any layers"
    yield claim, problem or first((not is_whole(answer(stacks[0])), "pixels are counted: 5, not 5.0"))


@check(
    "One feature paints a whole cell of `stride` rows, so the rows of a cell are blind together. Which is the "
    "lowest row that a cell sees, and which is the first visible row?",
    "Of the rows that a cell sees, `stride` are its own, and half of the others lie below it. A cell is blind if "
    "the last row that it sees is still hidden. Go through the cells of the hidden half and count; each blind "
    "one has `stride` rows.",
    solution=solutions.blind_rows,
)
def blind_rows(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`blind_rows(height, field, stride)` counts the rows that see nothing when the top half is hidden."""

    def cells(height: int, below: int, stride: int) -> int:  # if a cell sees so many rows below itself
        return (height // 2 - below) // stride * stride

    right = solutions.blind_rows
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
        "one cell too few is blind: are its own rows subtracted, or is a cell left out?": lambda h, f, s: max(
            0, cells(h, (f + s) // 2, s)
        ),
        "rows are counted one by one, and half of the field is taken, not of `field - stride`": lambda h, f, s: (
            h // 2 - f // 2
        ),
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
    problem = explain(answer, right, cases, mistakes)
    claim = "counts the rows of all cells that see nothing visible"
    yield claim, problem or first((not is_whole(answer(*cases[0])), "rows are counted: 12, not 12.0"))
    negative = {"that is negative: no row is blind there": lambda h, f, s: cells(h, (f - s) // 2, s)}
    yield "finds no blind row where every cell sees a visible one", explain(answer, right, without, negative)


@check(
    "Two things happen, and their order matters: hidden embeddings are replaced, and every place adds its "
    "position. The mask has rows and cols, the tokens only one dimension for both: flatten the mask first.",
    "Bring the mask to the shape (batch, tokens, 1), so that it holds for all numbers of an embedding. "
    "`torch.where` chooses between the mask token and the embedding. Add the positions to all tokens at the end.",
    solution=solutions.insert_mask_token,
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
        "positions are moved by one: the first token has the second position": hide(mask) + positions.roll(-1, 0),
        "positions are moved by one: the first token has the last position": hide(mask) + positions.roll(1, 0),
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
    zeros = embedded.clone()
    zeros[:, ::2] = 0
    taken = torch.where((zeros == 0).all(-1, keepdim=True), token, hide(mask, embedded=zeros)) + positions
    verdict = compare(
        answer(zeros, mask, token, positions),
        hide(mask, embedded=zeros) + positions,
        {"visible embeddings of 0 get the token, too: ask the mask": taken},
    )
    yield "is right for visible embeddings of 0", verdict
    small = embedded[:, :1, :1], mask[:, :1, :1], token[:1], positions[:1, :1]
    verdict = compare(answer(*small), torch.where(small[1], small[2], small[0]) + small[3])
    yield "is right for a single patch and vectors of one number", verdict
    case = embedded, mask, token, positions
    verdict = other_gradient(answer, solutions.insert_mask_token, case, (0, 2, 3))
    yield "lets the whole gradient through", verdict


@check(
    "Compare every query with every key, turn each query's scores into weights that sum to 1, and take the "
    "weighted mean of the values. What keeps the scores small when the vectors get longer? What may shift them?",
    "Scores: `queries @ keys.mT` (`.T` would reverse all axes, `.mT` swaps the last two), divided by the square "
    "root of `queries.shape[-1]`, then plus the bias. Softmax runs over the keys, the last dimension. The weights "
    "multiply the values.",
    solution=solutions.attention,
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

    right = solutions.attention
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
        "the weights are divided by the root of dim: divide the scores, before softmax": lambda q, k, v, b: (
            (q @ k.mT + b).softmax(-1) @ v / q.shape[-1] ** 0.5
        ),
        "these are the result and the weights: return the result alone": lambda q, k, v, b: (
            right(q, k, v, b),
            (products(q, k) + b).softmax(-1),
        ),
    }

    def inputs(heads: int, tokens: int, dim: int) -> tuple[Tensor, ...]:
        vectors, bias = (heads, tokens, dim), torch.randn(heads, tokens, tokens, generator=rng)
        return (*torch.randn(3, *vectors, generator=rng), bias)

    cases = [inputs(*distinct(rng, 3, *limits)) for limits in ((2, 5), (6, 9))]
    verdict = explain(answer, right, cases, mistakes)
    yield "is the mean of the values with the weights softmax(scores + bias)", verdict
    if verdict:
        return
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
    yield "lets the whole gradient through", other_gradient(answer, right, cases[0], (0, 1, 2, 3))


@check(
    "Which rows of the grid does the first window hold, and which columns? Split both axes in two: which window "
    "it is, and where in it.",
    'With einops the grid is "batch (rows down) (cols right) dim"; `down` and `right` count within a window. '
    "Now put the axes into the order that is asked for: first those that number the windows, then those within.",
    solution=swin.to_windows,
    gradient=(0,),
    batched=(0,),
)
def to_windows(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`to_windows(tokens, window)` cuts a grid of tokens into windows."""

    def cut(into: str, grid: str = "batch (rows down) (cols right) dim") -> Callable[[Tensor, int], Tensor]:
        return lambda tokens, window: rearrange(tokens, f"{grid} -> {into}", down=window, right=window)

    def overlapping(tokens: Tensor, window: int, rows: int | None = None, cols: int | None = None) -> Tensor:
        found = tokens.unfold(1, window, 1).unfold(2, window, 1)[:, :rows, :cols]
        return rearrange(found, "batch rows cols dim down right -> batch (rows cols) (down right) dim")

    def in_as_many(tokens: Tensor, window: int) -> Tensor:
        return rearrange(
            tokens,
            "batch (rows down) (cols right) dim -> batch (rows cols) (down right) dim",
            rows=window,
            cols=window,
        )

    mistakes = {
        "the windows are numbered column by column": cut("batch (cols rows) (down right) dim"),
        "the tokens of a window come column by column": cut("batch (rows cols) (right down) dim"),
        "windows and the tokens in them come column by column": cut("batch (cols rows) (right down) dim"),
        "a window holds tokens from all over the grid, not those side by side": cut(
            "batch (rows cols) (down right) dim", "batch (down rows) (right cols) dim"
        ),
        "the grid is read row by row, but a window is a square, not a piece of a row": (
            lambda tokens, window: tokens.reshape(len(tokens), -1, window**2, tokens.shape[-1])
        ),
        "the row within a window changes places with the row of windows, not with the column": (
            lambda tokens, window: cut("batch down rows cols right dim")(tokens, window).reshape(
                len(tokens), -1, window**2, tokens.shape[-1]
            )
        ),
        "the axes of windows and of tokens are swapped": cut("batch (down right) (rows cols) dim"),
        "batch and windows have one axis: keep them apart": cut("(batch rows cols) (down right) dim"),
        "the windows come before the batch": cut("(rows cols) batch (down right) dim"),
        "a window is still a square: its tokens have one axis": cut("batch (rows cols) down right dim"),
        "the windows are still a grid: they have one axis": cut("batch rows cols (down right) dim"),
        "the channels come before the tokens": cut("batch (rows cols) dim (down right)"),
        "`unfold` puts the channels before the tokens of a window: move them behind": lambda tokens, window: cut(
            "batch (rows cols) dim (down right)"
        )(tokens, window).reshape(len(tokens), -1, window**2, tokens.shape[-1]),
        "`squeeze` drops axes of length 1": lambda tokens, window: swin.to_windows(tokens, window).squeeze(),
        "tokens and channels have one axis: keep them apart": cut("batch (rows cols) (down right dim)"),
        "the windows overlap: the next one begins where the last one ends": overlapping,
        "window i begins at token i * window, not at token i": lambda tokens, window: overlapping(
            tokens, window, tokens.shape[1] // window, tokens.shape[2] // window
        ),
        "these are `window` x `window` windows: so many tokens should each of them have": in_as_many,
        "the first image is used for all": lambda tokens, window: swin.to_windows(tokens[:1], window).expand(
            len(tokens), -1, -1, -1
        ),
    }
    shapes = [(2, 1, 1, 1, 1), (3, 1, 2, 2, 1), (2, 3, 1, 1, 2)]  # batch, dim, window, windows down and across
    shapes += [tuple(distinct(rng, 5, 2, 6)) for _ in range(2)]
    cases = [
        (torch.randn(batch, down * window, across * window, dim, generator=rng), window)
        for batch, dim, window, down, across in reversed(shapes)
    ]
    yield (
        "cuts into windows in reading order, and so the tokens in each",
        explain(answer, swin.to_windows, cases, mistakes),
    )
    yield "lets the whole gradient through", other_gradient(answer, swin.to_windows, cases[0], (0,))


@check(
    "Three things happen, in this order: hidden embeddings are replaced, the class token comes to the front, and "
    "every token of the sequence gets its position. What does the mask know of the class token?",
    "First do to the patches what the lesson does. `class_token.expand(batch, 1, -1)` is one for each image; "
    "`torch.cat` along axis 1 puts it before them. `positions` has its vector too: add at the very end.",
    gradient=(0, 2, 3, 4),
    batched=(0, 1),
)
def tokens_with_class(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`tokens_with_class(embedded, mask, mask_token, class_token, positions)` prepares the tokens of a ViT."""

    def right(
        embedded: Tensor,
        mask: Tensor,
        token: Tensor,
        class_token: Tensor,
        positions: Tensor,
        *,
        last: bool = False,
    ) -> Tensor:
        patches = torch.where(mask.flatten(1)[..., None], token, embedded)
        classes = class_token.expand(len(mask), 1, -1)
        return torch.cat([patches, classes] if last else [classes, patches], 1) + positions

    def by_mask_of_all(left: int, right_: int, first: bool = False) -> Callable[..., Tensor]:
        """The mask of the patches, made longer to the left or right, is laid on all tokens."""

        def tokens(e: Tensor, m: Tensor, t: Tensor, c: Tensor, p: Tensor) -> Tensor:
            hidden = F.pad(m.flatten(1), (left, right_), value=first)[..., None]
            return torch.where(hidden, t, right(e, torch.zeros_like(m), t, c, 0)) + p

        return tokens

    def no_position(e: Tensor, m: Tensor, t: Tensor, c: Tensor, p: Tensor) -> Tensor:
        return right(e, m, t, c, F.pad(p[1:], (0, 0, 1, 0)))

    def token_last(e: Tensor, m: Tensor, t: Tensor, c: Tensor, p: Tensor) -> Tensor:
        return torch.where(F.pad(m.flatten(1), (1, 0))[..., None], t, right(e, torch.zeros_like(m), t, c, p))

    mistakes = {
        "the class token comes last, but it is the first": lambda e, m, t, c, p: right(e, m, t, c, p, last=True),
        "the class token comes last, and positions are moved by one": lambda e, m, t, c, p: right(
            e, m, t, c, p.roll(-1, 0), last=True
        ),
        "the class token has no position: it has the first one": no_position,
        "the positions are moved by one: the first belongs to the class token": lambda e, m, t, c, p: right(
            e, m, t, c, p.roll(-1, 0)
        ),
        "patches have the positions from the first on: it belongs to the class token": (
            lambda e, m, t, c, p: right(e, m, t, c, torch.cat([p[:1], p[:-1]]))
        ),
        "positions are added twice": lambda e, m, t, c, p: right(e, m, t, c, 2 * p),
        "positions are read column by column, but the patches come row by row": lambda e, m, t, c, p: right(
            e, m, t, c, torch.cat([p[:1], p[1:].view(*m.mT.shape[1:], -1).transpose(0, 1).flatten(0, 1)])
        ),
        "no positions are added": lambda e, m, t, c, p: right(e, m, t, c, 0 * p),
        "hidden tokens have no position: first the token, then positions": token_last,
        "the mask is laid on the sequence from the class token on, so it is one token off": by_mask_of_all(0, 1),
        "the class token is hidden, too: it never is": by_mask_of_all(1, 0, True),
        "the class token is added to all tokens: it is one of its own": lambda e, m, t, c, p: (
            right(e, m, t, 0 * c, p) + c
        ),
        "the class token has the last position: it has the first one": lambda e, m, t, c, p: right(
            e, m, t, c, p.roll(1, 0)
        ),
        "the class token and the mask token are swapped": lambda e, m, t, c, p: right(e, m, c, t, p),
        "the mask is inverted: True means hidden": lambda e, m, t, c, p: right(e, ~m, t, c, p),
        "nothing is hidden": lambda e, m, t, c, p: right(e, torch.zeros_like(m), t, c, p),
        "the mask is read column by column, the tokens row by row": lambda e, m, t, c, p: right(e, m.mT, t, c, p),
        "the mask of the first image is used for all": lambda e, m, t, c, p: right(e, m[:1].expand_as(m), t, c, p),
        "the mask token is added to the hidden embeddings, so they stay": lambda e, m, t, c, p: right(
            e + m.flatten(1)[..., None] * t, torch.zeros_like(m), t, c, p
        ),
        "hidden embeddings are set to zero: where is the mask token?": lambda e, m, t, c, p: right(
            e, m, 0 * t, c, p
        ),
        "the class token is missing": lambda e, m, t, c, p: right(e, m, t, c, p)[:, 1:],
        "the class token is zero: where is the learned one?": lambda e, m, t, c, p: right(e, m, t, 0 * c, p),
        "these are rows and cols: the tokens have one axis for both": lambda e, m, t, c, p: right(e, m, t, c, p)[
            :, 1:
        ].unflatten(1, m.shape[1:]),
    }

    def inputs(batch: int, rows: int, cols: int, dim: int, share: float) -> tuple[Tensor, ...]:
        order = torch.rand(batch, rows * cols, generator=rng).argsort(1).view(batch, rows, cols)
        shapes = (batch, rows * cols, dim), (dim,), (dim,), (1 + rows * cols, dim)
        embedded, *vectors = (torch.randn(shape, generator=rng) for shape in shapes)
        return embedded, order < share * rows * cols, *vectors

    batch, rows, cols, dim = distinct(rng, 4, 3, 7)
    cases = [inputs(batch, rows, cols, dim, share) for share in (0.5, 0.0, 1.0)] + [inputs(2, 1, 1, 1, 1.0)]
    claim = "replaces hidden patches, puts the class token first and adds the positions"
    yield claim, explain(answer, right, cases, mistakes)
    yield "lets the whole gradient through", other_gradient(answer, right, cases[0], (0, 2, 3, 4))


@check(
    "A hidden token must get the weight 0 from every query, and the other weights must still sum to 1. So it is "
    "the scores that change, before softmax. Which score becomes the weight 0?",
    "`scores.masked_fill(hidden[:, None, :], -torch.inf)`: the keys are the last axis. An image without a visible "
    "token gives 0 / 0, so treat it apart: `hidden.all(dim=1)` finds it.",
    gradient=(0, 1, 2),
    batched=(0, 1, 2, 3),
)
def attend_visible(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attend_visible(queries, keys, values, hidden)` is the weighted mean of the visible values."""

    def scores(q: Tensor, k: Tensor) -> Tensor:
        return q @ k.mT / q.shape[-1] ** 0.5

    def right(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
        weights = scores(q, k).masked_fill(hidden[:, None], -torch.inf).softmax(-1)
        return weights.nan_to_num(0) @ v

    def filled(score: float) -> Callable[..., Tensor]:
        return lambda q, k, v, h: (scores(q, k).masked_fill(h[:, None], score).softmax(-1)) @ v

    def weighed(weights: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
        return lambda q, k, v, h: weights(scores(q, k).softmax(-1), h) @ v

    mistakes = {
        "hidden tokens are looked at too": lambda q, k, v, h: scores(q, k).softmax(-1) @ v,
        "the mask is inverted: True means hidden": lambda q, k, v, h: right(q, k, v, ~h),
        "hidden tokens get the score 0: exp(0) is 1, so they still have a weight": filled(0.0),
        "hidden tokens count as 0, but the other weights must sum to 1 without them": weighed(
            lambda w, h: w.masked_fill(h[:, None], 0)
        ),
        "hidden queries are left out instead of hidden keys": lambda q, k, v, h: (
            scores(q, k).softmax(-1).masked_fill(h[..., None], 0) @ v
        ),
        "hidden queries are left out too, but they ask, and visible tokens answer": lambda q, k, v, h: right(
            q, k, v, h
        ).masked_fill(h[..., None], 0),
        "hidden tokens still see themselves": lambda q, k, v, h: (
            scores(q, k).masked_fill(h[:, None] & ~torch.eye(h.shape[1], dtype=torch.bool), -torch.inf).softmax(-1)
            @ v
        ),
        "only pairs of two hidden tokens are left out: nobody looks at hidden tokens": lambda q, k, v, h: (
            scores(q, k).masked_fill(h[:, None] & h[..., None], -torch.inf).softmax(-1).nan_to_num(0) @ v
        ),
        "the mask of the first image is used for all": lambda q, k, v, h: right(q, k, v, h[:1].expand_as(h)),
        "the scores are not divided by the root of dim": lambda q, k, v, h: right(q * q.shape[-1] ** 0.5, k, v, h),
        "the scores are divided by dim instead of its root": lambda q, k, v, h: right(
            q / q.shape[-1] ** 0.5, k, v, h
        ),
        "softmax runs over the queries: the weights of each query must sum to 1": lambda q, k, v, h: (
            scores(q, k).masked_fill(h[:, None], -torch.inf).softmax(1).nan_to_num(0) @ v
        ),
        "it takes the plain mean of the visible values": lambda q, k, v, h: right(0 * q, k, v, h),
        "the scores are multiplied by the root of dim": lambda q, k, v, h: right(q * q.shape[-1], k, v, h),
        "the weights do not sum to 1: they are not divided by their sum": lambda q, k, v, h: (
            scores(q, k).exp().masked_fill(h[:, None], 0) @ v
        ),
        "keys and values are swapped": lambda q, k, v, h: right(q, v, k, h),
        "queries and keys are swapped": lambda q, k, v, h: right(k, q, v, h),
        "the scores are divided by the root of the number of tokens, not of dim": lambda q, k, v, h: right(
            q * (q.shape[2] / q.shape[1]) ** 0.5, k, v, h
        ),
        "the weights are divided by the root of dim: divide the scores, before softmax": lambda q, k, v, h: (
            right(q * q.shape[-1] ** 0.5, k, v, h) / q.shape[-1] ** 0.5
        ),
        "all is 0, though tokens are visible: is NaN replaced, as of -torch.inf times False?": (
            lambda q, k, v, h: 0 * v
        ),
        "these are the weights: the values are missing": lambda q, k, v, h: (
            scores(q, k).masked_fill(h[:, None], -torch.inf).softmax(-1)
        ),
        "these are the result and the weights: return the result alone": lambda q, k, v, h: (
            right(q, k, v, h),
            scores(q, k).masked_fill(h[:, None], -torch.inf).softmax(-1),
        ),
    }

    def inputs(batch: int, tokens: int, dim: int) -> tuple[Tensor, ...]:
        hidden = torch.rand(batch, tokens, generator=rng).argsort(1) < tokens // 2  # some, and not all
        return *torch.randn(3, batch, tokens, dim, generator=rng), hidden

    cases = [inputs(*distinct(rng, 3, *limits)) for limits in ((3, 6), (6, 9))]
    problem = _where_nan(answer, cases) or explain(answer, right, cases, mistakes)
    yield "is the mean of the visible values with weights that sum to 1", problem
    if problem:
        return
    batch, tokens, dim = distinct(rng, 3, 3, 7)
    q, k, v, _ = inputs(batch, tokens, dim)
    none, one = torch.zeros(batch, tokens, dtype=torch.bool), torch.ones(batch, tokens, dtype=torch.bool)
    one[:, 1] = False
    edges = [(q, k, v, none), (q, k, v, one), (q[:, :1], k[:, :1], v[:, :1], none[:, :1])]
    zeros = v.masked_fill(torch.arange(tokens)[:, None] == 0, 0)
    taken = {
        "visible values of 0 are taken for hidden ones: ask the mask": lambda q, k, v, h: right(
            q, k, v, h | (v == 0).all(-1)
        )
    }
    problem = explain(answer, right, edges) or explain(answer, right, [(q, k, zeros, none)], taken)
    yield "is right when nothing is hidden, or all but one token", problem
    if problem:
        return
    blind = none.clone()
    blind[1] = True
    got = answer(q, k, v, blind)
    want = right(q, k, v, blind)
    problem = first(
        (
            form(got, v.shape, torch.float32) is not None,
            "NaN or infinity: no token is visible, so the sum of the weights is 0, and 0 / 0 is NaN; or is a "
            "`torch.empty` not filled?",
        ),
        (compare(got[0], want[0]) is not None, "the image beside it changed"),
    )
    looks = {
        "it looks at hidden tokens then": right(q, k, v, none),
        "equal scores give a mean of all its values, but they are hidden: 0 is asked for": (
            filled(torch.finfo(q.dtype).min)(q, k, v, blind)
        ),
    }
    problem = problem or compare(got, want, looks)
    yield "gives 0 where an image has no visible token", problem
    if problem:
        return
    spoiled = "the gradient is NaN: fill scores by `masked_fill`, and put 0 for NaN before it meets the values"
    found = gradients(answer.raw, (q, k, v, blind), (0, 1, 2))
    nan = any(part is not None and part.isnan().any() for part in found)
    yield "keeps NaN out of the gradient there", spoiled if nan else None

    # To even queries all scores are far below what one fills in for infinity, to odd ones as far above 0; the last
    # key has the largest size. A power of 2 is computed exactly. Each image hides another token.
    q, k, hidden = *torch.zeros(2, tokens, tokens, dim), torch.eye(tokens).bool()
    q[..., 0] = 2.0**20 * (2 * (torch.arange(tokens) % 2) - 1)
    k[..., 0] = 2.0**20 * (1 + torch.arange(tokens))
    large = q, k, torch.randn(tokens, tokens, dim, generator=rng), hidden
    too_weak = {
        "hidden tokens still have a weight where other scores are low: take -torch.inf": filled(-100.0),
        "what is added to hidden scores is small beside large ones: take -torch.inf": mistakes[
            "hidden tokens are looked at too"
        ],
        "exp of such a score is 0 or infinite: `softmax` subtracts the largest first": lambda q, k, v, h: 0 * v,
        "the weights of visible tokens became 0: hide in the scores, before `softmax`": weighed(
            lambda w, h: w.masked_fill(h[:, None], 0)
        ),
    }
    problem = form(answer(*large), q.shape, torch.float32) and (
        "it gave NaN or infinity: give hidden scores -torch.inf, and leave the rest to `softmax`"
    )
    yield "hides however large the scores are", problem or explain(answer, right, [large], too_weak)
    yield "lets the whole gradient through", other_gradient(answer, right, cases[0], (0, 1, 2))


def _where_nan(answer: Answer, cases: list[tuple[Tensor, ...]]) -> str | None:
    """What is wrong with an attention that gives NaN though each image has a visible token."""
    results = [answer(*case) for case in cases]
    lost = [got.isnan() if isinstance(got, Tensor) else got for got in results]
    queries = [hidden[..., None].expand_as(values) for _, _, values, hidden in cases]
    return first(
        (
            compare(lost, [torch.ones_like(where) for where in queries]) is None,
            "all is NaN: is -torch.inf multiplied by the mask (times False it is NaN), or is every score hidden? "
            "Fill those of hidden tokens alone, by `masked_fill` with -torch.inf",
        ),
        (
            compare(lost, queries) is None,
            "hidden queries give NaN, but they ask like others: the mask belongs to the keys, the last axis",
        ),
    )


@check(
    "The grid was rolled, so some tokens came round from the other end. Mark them, in rows and in columns, before "
    "you cut the windows. When do two tokens of a window belong to the same part of the image?",
    "After the roll the last `shift` rows and the last `shift` columns are those that came round. Two tokens may "
    "look at each other if both or neither came round, in rows and in columns. Number the four parts 0 to 3, cut "
    "the numbers into windows, and compare all pairs: `part[:, :, None] == part[:, None, :]`.",
)
def may_look(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`may_look(rows, cols, window, shift)` says who looks at whom in the windows of a rolled grid."""

    def same(
        part: Callable[[Tensor, Tensor], Tensor],
        into: str = "(rows cols) (down right)",
        grid: str = "(rows down) (cols right)",
    ) -> Callable[..., Tensor]:
        """Which pairs have equal parts, given which rows and columns came round."""

        def pairs(rows: int, cols: int, window: int, shift: int) -> Tensor:
            below, right = (torch.arange(side) >= side - shift for side in (rows, cols))
            parts = part(below[:, None].expand(rows, cols), right.expand(rows, cols))
            parts = rearrange(parts, f"{grid} -> {into}", down=window, right=window).reshape(-1, window**2)
            return parts[:, :, None] == parts[:, None]

        return pairs

    def four(below: Tensor, right: Tensor) -> Tensor:
        return 2 * below + right

    right = same(four)

    def shifted(change: Callable[[int, int], int]) -> Callable[..., Tensor]:
        return lambda rows, cols, window, shift: right(rows, cols, window, change(window, shift))

    mistakes = {
        "the answer is inverted: True means that the two may look": lambda *a: ~right(*a),
        "all may look at all: a window has tokens from other ends of the image": same(lambda b, r: 0 * b),
        "only rows are compared: columns came round too": same(lambda b, r: b),
        "only columns are compared: rows came round too": same(lambda b, r: r),
        "two parts are one: those that came round in rows alone, and in columns alone": same(
            lambda b, r: b.int() + r
        ),
        "two parts are one: those that came round in both ways, and in neither": same(lambda b, r: b ^ r),
        "only those that came round in both ways are kept apart": same(lambda b, r: b & r),
        "all that came round are one part, but they come from different ends": same(lambda b, r: b | r),
        "the parts are those before the roll: after it, the last rows came round": same(
            lambda b, r: four(b.flip(0), r.flip(1))
        ),
        "the parts are rolled down and right, but the grid is rolled up and left": same(
            lambda b, r: four(b.roll(2 * int(b[:, 0].sum()), 0), r.roll(2 * int(r[0].sum()), 1))
        ),
        "it takes the last `window - shift` rows and columns, but `shift` came round": shifted(
            lambda window, shift: window - shift if shift else 0
        ),
        "one row and one column too many count as come round": shifted(lambda window, shift: shift + 1),
        "one row and one column too few count as come round": shifted(lambda window, shift: max(shift - 1, 0)),
        "the shift is taken as half of the window, whatever it is": shifted(lambda window, shift: window // 2),
        "the windows are numbered column by column": same(four, "(cols rows) (down right)"),
        "the tokens of a window come column by column": same(four, "(rows cols) (right down)"),
        "a window holds tokens from all over the grid, not those side by side": same(
            four, grid="(down rows) (right cols)"
        ),
        "the grid is read row by row, but a window is a square, not a piece of a row": same(
            four, "(rows down cols right)"
        ),
        "every window is split, but only the last ones hold tokens that came round": (
            lambda rows, cols, window, shift: right(window, window, window, shift).expand(
                rows * cols // window**2, -1, -1
            )
        ),
        "either direction will do here, but both must agree": lambda *a: (
            same(lambda b, r: b)(*a) | same(lambda b, r: r)(*a)
        ),
        "a token may look at itself, too": lambda *a: right(*a) & ~torch.eye(a[2] ** 2, dtype=torch.bool),
        "rows and columns are swapped": lambda rows, cols, *a: right(cols, rows, *a),
        "these are -100 and 0, to be added to scores: True and False are asked for": lambda *a: (
            (~right(*a)) * -100.0
        ),
        "the windows have no axis of their own": lambda *a: right(*a).flatten(0, 1),
    }
    cases = [(4, 6, 2, 1), (6, 9, 3, 2)]
    for window in distinct(rng, 2, 3, 5):
        down, across = distinct(rng, 2, 2, 4)
        cases += [(down * window, across * window, window, shift) for shift in distinct(rng, 2, 1, window - 1)]
    cases += [(4, 4, 2, 0), (2, 3, 1, 0)]
    yield "keeps apart what only the roll has brought together", explain(answer, right, cases, mistakes)


@check(
    "Find the frame, the row and the column of every token, then the three offsets of every pair: query minus "
    "key. How many different offsets are there along each of the three directions?",
    "Token t lies in frame t // (rows * cols); what remains is a token of a picture. Shift each offset so that "
    "its smallest is 0. Then number them like the words of a book: the pages before, times the lines of a page, "
    "and the lines before; all that times the words of a line, and the words before.",
)
def video_index(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`video_index(frames, rows, cols)` says which bias of a table belongs to each pair (query, key)."""
    sizes = frames, rows, cols = distinct(rng, 3, 2, 4)
    got, tokens, offsets = answer(*sizes), frames * rows * cols, math.prod(2 * size - 1 for size in sizes)
    problem = form(got, (tokens, tokens), torch.int64)
    yield "returns whole numbers of shape (tokens, tokens)", problem
    if problem:
        return

    low, high = got.min().item(), got.max().item()
    problem = first(
        (low < 0, f"{low} is negative: it would count from the end of the table, without an error"),
        (high >= offsets, f"{high} is outside the table: there are {offsets} biases, numbered from 0"),
        (low > 0 or high < offsets - 1, f"it uses {low} to {high}: some of the {offsets} biases are never used"),
    )
    yield "uses the numbers from 0 to one less than there are offsets", problem

    Number = Callable[[list[Tensor], tuple[int, ...]], Tensor]

    def numbered(number: Number, order: str = "(f r c)") -> Callable[..., Tensor]:
        """The index with the numbers `number(offsets, spans)`: offsets from 0, which take `spans` values."""

        def index(*sizes: int) -> Tensor:
            places = torch.stack(torch.meshgrid(*map(torch.arange, sizes), indexing="ij"))
            places = rearrange(places, f"yx f r c -> yx {order}")
            shifted = [place[:, None] - place + size - 1 for place, size in zip(places, sizes, strict=True)]
            return number(shifted, tuple(2 * size - 1 for size in sizes))

        return index

    def lines(t: Tensor, y: Tensor, x: Tensor, high: int, wide: int) -> Tensor:
        return (t * high + y) * wide + x

    def in_order(o: list[Tensor], n: tuple[int, ...]) -> Tensor:
        return lines(*o, n[1], n[2])

    right = numbered(in_order)
    pairs = set(zip(right(*sizes).flatten().tolist(), got.flatten().tolist(), strict=True))
    numbers = {number for _, number in pairs}
    problem = first(
        (len(pairs) > offsets, "pairs with the same offset have different numbers"),
        (torch.equal(got, got.mT), "the sign of an offset is lost: before and after share a bias"),
        (len(numbers) < offsets, f"different offsets share a number: {offsets} offsets, {len(numbers)} numbers"),
    )
    yield "gives two pairs one number if their offsets are equal, and only then", problem

    def turned(*axes: int) -> Number:
        return lambda o, n: lines(*(n[i] - 1 - o[i] if i in axes else o[i] for i in range(3)), n[1], n[2])

    def unshifted(*axes: int) -> Number:
        return lambda o, n: lines(*(o[i] - n[i] // 2 if i in axes else o[i] for i in range(3)), n[1], n[2])

    mistakes = {
        "the signs are turned: an offset is query minus key": turned(0, 1, 2),
        "the sign of frames is turned: an offset is query minus key": turned(0),
        "the sign of rows is turned: an offset is query minus key": turned(1),
        "the sign of columns is turned: an offset is query minus key": turned(2),
        "the offsets are not shifted to start at 0": unshifted(0, 1, 2),
        "the offsets of frames are not shifted to start at 0": unshifted(0),
        "the offsets of rows are not shifted to start at 0": unshifted(1),
        "the offsets of columns are not shifted to start at 0": unshifted(2),
        "the factors are rows and cols, but offsets take 2 rows - 1, 2 cols - 1 values": (
            lambda o, n: lines(*o, n[1] // 2 + 1, n[2] // 2 + 1)
        ),
        "the factors are 2 rows and 2 cols, but offsets take one value less": lambda o, n: lines(
            *o, n[1] + 1, n[2] + 1
        ),
        "a frame has (2 rows - 1) * (2 cols - 1) numbers, not 2 rows - 1": lambda o, n: (
            o[0] * n[1] + o[1] * n[2] + o[2]
        ),
        "the factors are those of columns and rows: the first is 2 rows - 1": lambda o, n: lines(*o, n[2], n[1]),
        "the factors are those of frames and rows: they are those of rows and columns": (
            lambda o, n: lines(*o, n[0], n[1])
        ),
        "the smallest offset became 1, not 0: add size - 1, not size": lambda o, n: lines(
            *(offset + 1 for offset in o), n[1], n[2]
        ),
        "rows and columns have changed places: a row has 2 cols - 1 numbers": lambda o, n: lines(
            o[0], o[2], o[1], n[2], n[1]
        ),
        "the factors of frames and rows are swapped": lambda o, n: lines(o[1], o[0], o[2], n[0], n[2]),
        "the numbering begins with the columns: frames go first": lambda o, n: lines(*o[::-1], n[1], n[0]),
        "there are no factors: different offsets get one number": lambda o, n: o[0] + o[1] + o[2],
        "the frames are not counted": lambda o, n: lines(0 * o[0], o[1], o[2], n[1], n[2]),
        "the rows are counted on from frame to frame, but they begin anew: `% rows`": lambda o, n: lines(
            o[0], o[1] + (o[0] - n[0] // 2) * (n[1] // 2 + 1), o[2], n[1], n[2]
        ),
        "the numbers start at 1, but the first is 0": lambda o, n: in_order(o, n) + 1,
    }
    wrong = {text: numbered(number) for text, number in mistakes.items()}
    wrong["the tokens are numbered column by column, but they lie row by row"] = numbered(in_order, "(f c r)")
    wrong["the tokens are numbered with the frame last, but frames come first"] = numbered(in_order, "(r c f)")
    cases = [
        sizes,
        (1, 1, 1),
        (1, 2, 3),
        (2, 4, 3),
        (2, 1, 1),
        (3, 5, 6),
    ]  # of the last, numbers do not fit in 8 bits
    yield "numbers the offsets frame by frame, and in each row by row", explain(answer, right, cases, wrong)


@check(
    "What does the network get in place of a hidden patch? Look for visible patches that give it the same.",
    "A hidden patch arrives as zeros in all its pixels and all three channels. A visible patch arrives as it is. "
    "Cut the images into patches (`rearrange`), ask which consist of zeros alone, and keep the visible ones.",
    batched=(0, 1),
)
def taken_for_hidden(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`taken_for_hidden(images, mask)` finds the visible patches that hiding by zeros cannot mark."""

    def inputs(batch: int, rows: int, cols: int, size: int) -> tuple[Tensor, Tensor]:
        patches = 0.1 + 0.8 * torch.rand(batch, rows * cols, 3, size, size, generator=rng)  # in order of kind:
        patches[:, :4] = 0  # black: two visible, two hidden; then three more hidden ones; all others are visible:
        patches[:, 7] = 1 / 255  # nearly black
        patches[:, 8, 1:] = 0  # red
        patches[:, 9] *= 1 - torch.eye(size)  # some black pixels
        patches[:, 10] *= torch.eye(size)  # some pixels that are not black
        patches[:, 11, 0, ::2], patches[:, 11, 1:, 1::2] = 0, 0  # a zero in every pixel, but no black pixel
        patches[:, 12, 0] = 0  # no red
        patches[:, 13] = 0
        places = distinct(rng, batch, 0, 3 * size**2 - 1)
        patches[:, 13].view(batch, -1)[range(batch), places] = 0.6  # a single value is not 0
        patches[:, 14] = 1  # white
        patches[:, 15] = patches[:, 15, :1, :1, :1]  # grey
        patches[:, 16] = 1e-4  # darker than a step of 8 bits
        patches[:, 17] = patches[:, 13] * 1e-9
        kind = torch.rand(batch, rows * cols, generator=rng).argsort(1)
        patches = patches[torch.arange(batch)[:, None], kind]
        mask = ((kind >= 2) & (kind < 7)).view(batch, rows, cols)
        return rearrange(patches, "b (rows cols) c p q -> b c (rows p) (cols q)", rows=rows), mask

    def chosen(test: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        """The visible patches that pass a test of their values, (batch, rows, cols, channels, pixels)."""

        def found(images: Tensor, mask: Tensor) -> Tensor:
            rows, cols = mask.shape[1:]
            patches = rearrange(images, "b c (rows p) (cols q) -> b rows cols c (p q)", rows=rows, cols=cols)
            return test(patches) & ~mask

        return found

    def black(patches: Tensor) -> Tensor:
        return (patches == 0).flatten(3).all(-1)

    def below(limit: float) -> Callable[..., Tensor]:
        return chosen(lambda p: (p < limit).flatten(3).all(-1))

    def squares(side: Callable[[Tensor, Tensor], int]) -> Callable[..., Tensor]:
        """The visible patches whose squares are black, if these have `side(images, mask)` pixels on a side."""

        def found(images: Tensor, mask: Tensor) -> Tensor:
            rows, cols = mask.shape[1:]
            dark = (F.max_pool2d(images, side(images, mask), ceil_mode=True) == 0).all(1)
            return F.pad(dark, (0, cols, 0, rows), value=True)[:, :rows, :cols] & ~mask

        return found

    def tiled(images: Tensor, mask: Tensor) -> Tensor:
        times = images.shape[2] // mask.shape[1]
        return right(images * ~mask.repeat(1, times, times)[:, None], mask)

    right = chosen(black)
    mistakes = {
        "hidden patches are among them: only visible ones are asked for": lambda x, m: right(x, m) | m,
        "black patches that are hidden are among them: only visible ones are asked for": (
            lambda x, m: right(x, m) | right(x, ~m)
        ),
        "the mask is inverted: True means hidden": lambda x, m: right(x, ~m),
        "one black pixel is enough for it, but the others show that the patch is visible": (
            chosen(lambda p: (p == 0).all(-2).any(-1))
        ),
        "one value of 0 is enough for it, but the others show that the patch is visible": (
            chosen(lambda p: (p == 0).flatten(3).any(-1))
        ),
        "one empty channel is enough for it, but the others show that the patch is visible": (
            chosen(lambda p: (p == 0).all(-1).any(-1))
        ),
        "only the red channel is looked at, but a patch without red may show other colours": (
            chosen(lambda p: black(p[..., :1, :]))
        ),
        "only the green channel is looked at, but the patch may be red": chosen(lambda p: black(p[..., 1:2, :])),
        "only the blue channel is looked at, but the patch may be red": chosen(lambda p: black(p[..., 2:, :])),
        "one pixel stands for its patch, but the others may show that it is visible": (
            chosen(lambda p: black(p[..., :1]))
        ),
        "a 0 in some channel of each pixel is enough for it, but the other channels are not 0": (
            chosen(lambda p: (p == 0).any(-2).all(-1))
        ),
        "a nearly black patch is among them, but 1/255 is not 0": below(0.01),
        "values below 1/255 count as 0, but they reach the encoder as they are: ask for 0": below(0.0039),
        "a tiny value counts as 0 (by a limit, or `isclose`?), but it reaches the encoder": below(1e-5),
        "a patch with a single value above 0 is among them: all of its values must be 0": (
            chosen(lambda p: p.flatten(3).count_nonzero(-1) < 2)
        ),
        "patches of one colour are among them, but only black ones arrive like hidden ones": (
            chosen(lambda p: (p == p[..., :1, :1]).flatten(3).all(-1))
        ),
        "all visible patches are found: did you multiply by our mask? It is 0 where visible": lambda x, m: ~m,
        "hidden black and all visible ones are found: did you multiply by our mask?": (
            lambda x, m: ~m | right(x, ~m)
        ),
        "no patch is found: is the image cut wrongly, or has `all` no `dim`?": lambda x, m: m & ~m,
        "the first image is looked at for all": lambda x, m: right(x[:1].expand_as(x), m),
        "the mask of the first image is used for all": lambda x, m: right(x, m[:1].expand_as(m)),
        "the mask is tiled by `repeat`, but each of its entries becomes a square of pixels": tiled,
        "white patches are found, but the product with 0 is black": chosen(lambda p: (p == 1).flatten(3).all(-1)),
        "the hidden patches are found, not the visible ones that look like them": lambda x, m: m,
        "the visible patches that are not black are found": chosen(lambda p: ~black(p)),
        "there is a value for each pixel, but the mask is on patches": lambda x, m: masking.to_pixels(
            right(x, m), x.shape[2] // m.shape[1]
        ),
        "the patch size is height / rows, not height / cols": squares(lambda x, m: x.shape[2] // m.shape[2]),
        "the patch size is width / cols, not width / rows": squares(lambda x, m: x.shape[3] // m.shape[1]),
        "the mask is taken as square, but the patch size is height / rows": squares(
            lambda x, m: x.shape[2] // math.isqrt(m[0].numel())
        ),
    }
    for fixed in (2, 4, 8, 16):
        text = f"the patch size is fixed: you look at {fixed} x {fixed} pixels, but it is height / rows"
        mistakes[text] = squares(lambda x, m, side=fixed: side)

    def wide_and_tall() -> list[tuple]:  # so a patch size by the wrong axis is wrong in one of them
        (short,), (long,), (batch, size, other) = (distinct(rng, *n) for n in ((1, 4, 5), (1, 7, 9), (3, 3, 5)))
        return [inputs(batch, short, long, size), inputs(batch, long, short, other)]

    cases = telling(wide_and_tall, right, mistakes)
    problem = explain(answer, right, cases, mistakes)
    yield "finds the visible patches that arrive like hidden ones, and no others", problem
    if problem:
        return

    (side,) = distinct(rng, 1, 6, 12)
    images, nothing = torch.zeros(3, 3, side, side), torch.zeros(3, 1, 1, dtype=torch.bool)
    images[0, :, -1, -1] = images[2, :, 0, 0] = 0.5
    want = torch.tensor([False, True, False]).view(3, 1, 1)
    yield (
        f"finds one patch of {side} x {side} pixels if all of it is black",
        compare(answer(images, nothing), want),
    )


GUESSES: dict[str, Guess] = {
    "article_field": Guess(
        10,
        "the second convolution adds 2 steps of 2 pixels, which makes 8, and the second pooling one step of 2.",
    ),
    "blind_rows_224": Guess(
        108, "as with 32 rows, only the cell next to the visible half sees a part of it, and it has 4 rows."
    ),
    "blind_after_training": Guess(
        12, "training changes weights, but no weight connects these rows with a visible pixel."
    ),
    "score_of_sky": Guess(1.5, "the dot product is 1 · 2 + 0 + 1 · 1 + 0 = 3, and √4 is 2."),
    "which_positions": Guess(
        "only in (c)",
        "in (a) and (b) all hidden patches enter as one vector; in (b) it has replaced the position too.",
        choices=("in all three", "in (b) and (c)", "only in (c)"),
    ),
    "biases_of_a_head": Guess(225, "offsets go from -7 to 7 in rows and in columns: 15 · 15."),
    "leaking_stem": Guess(
        "some",
        "those whose window of 7 x 7 pixels reaches over the edge of a hidden cell: not the ones further inside.",
        choices=("none", "some", "nearly all"),
    ),
    "window_pairs": Guess(64, "there are 4 windows of 4 tokens, with 4 · 4 pairs each."),
    "swin_corner": Guess(
        0, "0, 3 and 12 have come round from the other ends of the grid: none of them is a neighbour."
    ),
}
