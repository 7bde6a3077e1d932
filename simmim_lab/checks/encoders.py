"""Checks of the exercises on encoders (lesson 02)."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from operator import mul
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

from simmim_lab.checks.core import Answer, Verdict, check, compare, first, form
from simmim_lab.encoders import RelativePositionBias
from simmim_lab.masking import random_mask


@check(
    "Keep two numbers while you walk from the pixels up: how many pixels one output sees, and how many pixels lie "
    "between two neighbouring outputs. Both are 1 before the first layer.",
    "A window of `kernel` inputs spans `kernel - 1` steps from one input to the next, and each step is as long as "
    "the jump of the layer below. So first the field grows, by the old jump; then the stride multiplies the jump.",
)
def receptive_field(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`receptive_field(layers)` is how many pixels, along one side, one output of the last layer sees."""

    def values(layers: list[tuple[int, int]]) -> tuple[int, dict[str, int]]:
        kernels, strides = zip(*layers, strict=True)
        jumps = list(accumulate(strides, mul, initial=1))  # of the pixels, then of the outputs of each layer

        def grow(*jumps: int) -> int:
            return 1 + sum((kernel - 1) * jump for kernel, jump in zip(kernels, jumps, strict=False))

        # The first that fits is named. For the article's CNN two agree with later ones, caught by one layer.
        return grow(*jumps), {
            "no stride is counted, but a step of an upper layer is several pixels long": grow(*[1] * len(layers)),
            "the kernels are added up, but windows overlap, and strides make the steps longer": sum(kernels),
            "the kernels are multiplied, as if windows never overlapped": math.prod(kernels),
            "wrong order: `(field - 1) * stride + kernel` must go from the last layer to the first; with a jump, "
            "go from the first to the last": 1
            + sum((kernel - 1) * math.prod(strides[place + 1 :]) for place, kernel in enumerate(kernels)),
            "the last stride replaces the jump, but strides multiply": grow(1, *strides),
            "a layer adds `kernel` steps, but 3 inputs are only 2 apart": grow(*jumps) + sum(jumps[:-1]),
            "the field starts at 0, but before any layer it is 1 pixel": grow(*jumps) - 1,
            "a stride counts too early: it makes the steps of later layers longer, not its own": grow(*jumps[1:]),
            "a stride counts one layer too late": grow(1, *jumps),
            "the strides are added up, but they multiply": grow(*accumulate(strides, initial=1)),
            "this is the area that one output sees, not its side": grow(*jumps) ** 2,
            "this is the jump, from one output to the next, not the field": jumps[-1],
        }

    kernel, article = int(torch.randint(6, 10, (), generator=rng)), [(3, 1), (2, 2), (3, 1), (2, 2)]
    for layers, through in ([(kernel, 3)], f"a kernel of {kernel}"), (article, "the article's CNN"):
        want, mistakes = values(layers)
        problem = compare(answer(layers), want, mistakes)
        yield f"sees {want} pixels through {through}", problem
        if problem:
            return
    kernels = torch.randint(2, 6, (12, 4), generator=rng).tolist()
    strides = torch.randint(1, 4, (12, 4), generator=rng).tolist()
    stacks = [(list(zip(*stack, strict=True)),) for stack in zip(kernels, strides, strict=True)]
    yield "follows kernels and strides through any layers", _calls(answer, values, stacks)


@check(
    "One feature paints a whole cell of `stride` rows, so the rows of a cell are blind together. Which is the "
    "lowest row that a cell sees, and which is the first visible row?",
    "Of the rows that a cell sees, `stride` are its own, and half of the others lie below it. A cell is blind if "
    "the last row that it sees is still hidden. Go through the cells of the hidden half and count; each blind "
    "one has `stride` rows.",
)
def blind_rows(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`blind_rows(height, field, stride)` counts the rows that see nothing when the top half is hidden."""

    def values(height: int, field: int, stride: int) -> tuple[int, dict[str, int]]:
        def blind(below: int) -> int:  # if a cell sees so many rows below itself
            return max(0, (height // 2 - below) // stride * stride)

        below = (field - stride) // 2
        return blind(below), {
            "all hidden rows are counted, but those near the border see visible ones": height // 2,
            "rows are counted one by one, but one feature paints all rows of a cell": max(0, height // 2 - below),
            "cells are counted, not rows: each has `stride` of them": blind(below) // stride,
            "the hidden rows that do see something are counted": height // 2 - blind(below),
            "only the last cell is taken as seeing, but a larger field reaches further": height // 2 - stride,
            "a cell counts as seeing when it sees the last hidden row: is it one off?": blind(below + 1),
            "a cell counts of which only some rows fit, but they all see the same": blind(below - stride + 1),
            "half of `field - stride` rows lie above the cell, only the others below": blind(field - stride),
            "the field is counted from the last row of the cell, but the cell lies inside it": blind(field),
            "half of the field is counted from the last row of the cell, not from its middle": blind(field // 2),
            "the whole image is taken as hidden, not its top half": (height - below) // stride * stride,
        }

    cells, more = torch.randint(6, 20, (3,), generator=rng), torch.randint(1, 4, (3,), generator=rng)
    pairs = list(zip(cells.tolist(), more.tolist(), strict=True))
    cases = [(32, 10, 4), (224, 10, 4)]  # the article's CNN
    cases += [(8 * n, 4 + 2 * (4 + extra), 4) for n, extra in pairs]
    cases += [(16 * n, 8 + 2 * (8 * extra + 5), 8) for n, extra in pairs]
    cases += [(16 * n, 8 + 16 * extra, 8) for n, extra in pairs]  # a field ends just above the first visible row
    yield "counts the rows of all cells that see nothing visible", _calls(answer, values, cases)
    wide = 4 + 2 * (16 + pairs[0][1])
    yield (
        "finds no blind row where every cell sees a visible one",
        compare(answer(32, wide, 4), 0, {"that is negative: no row is blind there": -4}),
    )


@check(
    "Two things happen, and their order matters: hidden embeddings are replaced, and every place adds its "
    "position. The mask has rows and cols, the tokens only one dimension for both: flatten the mask first.",
    "Bring the mask to the shape (batch, tokens, 1), so that it holds for all numbers of an embedding. "
    "`torch.where` chooses between the mask token and the embedding. Add the positions to all tokens at the end.",
    gradient=(0,),
)
def insert_mask_token(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`insert_mask_token(embedded, mask, token, positions)` prepares the tokens that enter a ViT."""
    mask = random_mask(4, (3, 5), 0.5, generator=rng)
    embedded, other = torch.randn(2, 4, 15, 6, generator=rng)
    token, positions = torch.randn(6, generator=rng), torch.randn(15, 6, generator=rng)
    got = answer(embedded, mask, token, positions)
    problem = form(got, embedded.shape, torch.float32)
    yield "returns one token for each embedding", problem
    if problem:
        return

    def hide(mask: Tensor, token: Tensor | float = token, embedded: Tensor = embedded) -> Tensor:
        return torch.where(mask.flatten(1)[..., None], token, embedded)

    hidden, none = mask.flatten(1)[..., None], torch.zeros_like(mask)
    want = hide(mask) + positions
    mistakes = {
        "hidden tokens have no position: first the token, then positions": hide(mask, token, embedded + positions),
        "the mask is inverted: True means hidden": hide(~mask) + positions,
        "the token is added to the hidden embeddings, so they stay": embedded + hidden * token + positions,
        "hidden embeddings are set to zero: where is the mask token?": hide(mask, 0.0) + positions,
        "the token is added to the visible tokens too": hide(mask, 0.0) + token + positions,
        "no positions are added": hide(mask),
        "positions are added to hidden tokens only": hide(mask) + hidden * positions,
        "positions are added twice to visible tokens": hide(mask, token, embedded + positions) + positions,
        "the mask of the first image is used for all": hide(mask[:1].expand_as(mask)) + positions,
        "the mask is read column by column, the tokens row by row": hide(mask.mT) + positions,
        "no embedding is replaced": hide(none) + positions,
    }
    yield "puts the token in place of hidden embeddings, then adds positions to all", compare(got, want, mistakes)
    answers = answer(torch.where(hidden, other, embedded), mask, token, positions)
    yield (
        "lets nothing of a hidden embedding through",
        compare(answers, got, {}) and "other embeddings in hidden places changed the result",
    )
    yield (
        "adds positions alone when nothing is hidden",
        compare(
            answer(embedded, none, token, positions),
            embedded + positions,
            {"the mask is inverted": hide(~none) + positions},
        ),
    )


@check(
    "Compare every query with every key, turn each query's scores into weights that sum to 1, and take the "
    "weighted mean of the values. What keeps the scores small when the vectors get longer? What may shift them?",
    "Scores: `queries @ keys.mT` (`.T` would reverse all axes, `.mT` swaps the last two), divided by the square "
    "root of `queries.shape[-1]`, then plus the bias. Softmax runs over the keys, the last dimension. The weights "
    "multiply the values.",
    gradient=(0,),
)
def attention(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`attention(queries, keys, values, bias)` is the weighted mean of the values, for each head."""
    q, k, v = torch.randn(3, 3, 5, 8, generator=rng)  # each (heads, tokens, dim)
    bias = torch.randn(3, 5, 5, generator=rng)
    got = answer(q, k, v, bias)
    problem = form(got, q.shape, torch.float32)
    yield "returns one vector for each head and query", problem
    if problem:
        return

    equal = answer(torch.zeros_like(q), k, v, torch.zeros_like(bias))
    yield (
        "takes the plain mean of the values when all scores are equal",
        compare(
            equal,
            v.mean(1, keepdim=True).expand_as(v),
            {
                "the values are added up: weights must sum to 1": v.sum(1, keepdim=True).expand_as(v),
                "the result is 0 when all scores are 0: where is the softmax?": torch.zeros_like(v),
            },
        ),
    )
    products, root = q @ k.mT, 8**0.5

    def mean(scores: Tensor, values: Tensor = v, dim: int = -1) -> Tensor:
        return scores.softmax(dim) @ values

    scores = products / root + bias
    mistakes = {
        "the scores are not divided by the root of dim": mean(products + bias),
        "the scores are divided by dim instead of its root": mean(products / 8 + bias),
        "the scores are multiplied by the root of dim instead of divided": mean(products * root + bias),
        "the scores are divided by the root of the number of tokens, not of dim": mean(products / 5**0.5 + bias),
        "the scores are divided by the root of the number of heads, not of dim": mean(products / 3**0.5 + bias),
        "the scores are divided by the norm of the query, not by the root of dim": mean(
            products / q.norm(dim=-1, keepdim=True) + bias
        ),
        "the bias is divided too: add it after the division": mean((products + bias) / root),
        "softmax runs over the queries: the weights of each query must sum to 1": mean(scores, dim=-2),
        "softmax runs over the heads: the weights of each query must sum to 1": mean(scores, dim=0),
        "the bias is added after softmax: it belongs to the scores": (products / root).softmax(-1) @ v + bias @ v,
        "the bias is missing": mean(products / root),
        "the bias is subtracted": mean(products / root - bias),
        "the bias of the first head is used for all": mean(products / root + bias[0]),
        "the bias is transposed: its rows are queries": mean(products / root + bias.mT),
        "there is no softmax: weights must be positive and sum to 1": scores @ v,
        "keys and values are swapped": mean(q @ v.mT / root + bias, k),
        "queries and keys are swapped": mean(products.mT / root + bias),
        "the weights are transposed before they meet the values": scores.softmax(-1).mT @ v,
    }
    yield "is the mean of the values with the weights softmax(scores + bias)", compare(got, mean(scores), mistakes)
    large = answer(30 * q, 30 * k, v, bias)
    yield (
        "stays finite when scores are in the hundreds",
        form(large, q.shape, torch.float32)
        and (
            "it gave NaN or infinity: `exp` of 100 is too large for a float. Use `softmax`, which subtracts the "
            "largest score before"
        ),
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
    rows = int(torch.randint(2, 5, (), generator=rng))
    cols = rows + int(torch.randint(1, 4, (), generator=rng))
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
    want = RelativePositionBias((rows, cols), 1).index
    pairs = set(zip(want.flatten().tolist(), got.flatten().tolist(), strict=True))
    numbers = {number for _, number in pairs}
    problem = first(
        (len(pairs) > offsets, "pairs with the same offset have different numbers"),
        (torch.equal(got, got.mT), "the sign of an offset is lost: left and right share a bias"),
        (len(numbers) < offsets, f"different offsets share a number: {offsets} offsets, {len(numbers)} numbers"),
    )
    yield "gives two pairs one number if their offsets are equal, and only then", problem

    def values(rows: int, cols: int) -> tuple[Tensor, dict[str, Tensor]]:
        token = torch.arange(rows * cols)
        row, col, tall_row, tall_col = token // cols, token % cols, token % rows, token // rows
        down, right = row[:, None] - row, col[:, None] - col
        tall_down, tall_right = tall_row[:, None] - tall_row, tall_col[:, None] - tall_col
        y, x, high, wide = down + rows - 1, right + cols - 1, 2 * rows - 1, 2 * cols - 1  # y and x start at 0
        return RelativePositionBias((rows, cols), 1).index, {
            "query and key are swapped: an offset is query minus key": (y * wide + x).mT,
            "the offsets are not shifted to start at 0": down * wide + right,
            "the offsets of rows are not shifted to start at 0": down * wide + x,
            "the offsets of columns are not shifted to start at 0": y * wide + right,
            "the factor is 2 rows - 1, but offsets of columns take 2 cols - 1 values": y * high + x,
            "a row counts as cols, as in a difference of token numbers, but offsets of columns take 2 cols - 1 "
            "values": y * cols + x,
            "the factor is 2 cols, but offsets of columns take 2 cols - 1 values": y * 2 * cols + x,
            "there is no factor: different offsets get one number": y + x,
            "the offsets are shifted by one too many: they start at 1": (y + 1) * wide + x + 1,
            "rows and columns are swapped: the offset of rows gets the factor": x * high + y,
            "the tokens are numbered column by column, but they lie row by row": (
                (tall_down + rows - 1) * wide + tall_right + cols - 1
            ),
        }

    grids = [(rows, cols), (cols, rows), (1, cols), (2, 2)]
    yield "numbers the offsets row by row, as the lesson does", _calls(answer, values, grids)


@check(
    "What does the network get in place of a hidden patch? Look for visible patches that give it the same.",
    "A hidden patch arrives as zeros in all its pixels and all three channels. A visible patch arrives as it is. "
    "Cut the images into patches (`rearrange`), ask which consist of zeros alone, and keep the visible ones.",
)
def taken_for_hidden(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`taken_for_hidden(images, mask)` finds the visible patches that hiding by zeros cannot mark."""
    patches = torch.rand(4, 15, 3, 4, 4, generator=rng) * 0.8 + 0.1  # 15 in each image, in order of their kind
    patches[:, :4] = 0  # black: two visible, two hidden; then three more hidden ones; all others are visible:
    patches[:, 7] = 1 / 255  # nearly black
    patches[:, 8, 1:] = 0  # red
    patches[:, 9] *= 1 - torch.eye(4)  # four black pixels
    patches[:, 10] *= torch.eye(4)  # four pixels that are not black
    patches[:, 11, 0, ::2], patches[:, 11, 1:, 1::2] = 0, 0  # a zero in every pixel, but no black pixel
    patches[:, 12, 0] = 0  # no red
    kind = torch.rand(4, 15, generator=rng).argsort(1)
    patches = patches[torch.arange(4)[:, None], kind]
    mask = ((kind >= 2) & (kind < 7)).view(4, 3, 5)
    images = rearrange(patches, "b (rows cols) c p q -> b c (rows p) (cols q)", rows=3)
    got = answer(images, mask)
    problem = form(got, (4, 3, 5), torch.bool)
    yield "returns True and False of shape (batch, rows, cols)", problem
    if problem:
        return

    zero, visible = (patches == 0).flatten(3).view(4, 3, 5, 3, 16), ~mask
    empty = zero.all(-1)  # of each patch the channels that are 0
    black = empty.all(-1)
    nearly_black = (patches < 0.01).flatten(2).all(-1).view(4, 3, 5)
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
        "only one channel is looked at, green or blue, but the patch may be red": empty[..., 1] & visible,
        "one pixel stands for its patch, but the others may show that it is visible": (
            zero.all(-2)[..., 0] & visible
        ),
        "a 0 in some channel of each pixel is enough for it, but the other channels are not 0": (
            zero.any(-2).all(-1) & visible
        ),
        "a nearly black patch is among them, but 1/255 is not 0": nearly_black & visible,
        "all visible patches are found, whatever they show: did you multiply by our mask? It is 0 where "
        "visible": visible,
        "hidden black patches and all visible ones are found: did you multiply by our mask? It is 0 where "
        "visible": black | visible,
        "the hidden patches are found, not the visible ones that look like them": mask,
    }
    claim = "finds the visible patches that arrive like hidden ones, and no others"
    yield claim, compare(got, black & visible, mistakes)
    images, nothing = torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 1, dtype=torch.bool)
    images[1, :, 7, 7] = 0.5
    quarters = F.max_pool2d(images, 4).amax(1) == 0
    mistakes = {
        "the patch size is fixed: it is height / rows": quarters,
        "the last pixel is not seen: is the patch size fixed? It is height / rows": quarters[:, :1, :1],
        "it finds none": nothing,
    }
    want = torch.tensor([True, False]).view(2, 1, 1)
    yield "finds one patch of 8 x 8 pixels if all of it is black", compare(answer(images, nothing), want, mistakes)


def _calls(answer: Answer, values: Callable[..., tuple[Any, dict[str, Any]]], cases: list[tuple]) -> Verdict:
    """Compare the answer on several lists of arguments; `values` gives what is right and what mistakes lead to."""
    got, want, mistakes = {}, {}, defaultdict(dict)
    for case in cases:
        call = f"{answer.name}({', '.join(map(str, case))})"
        got[call] = answer(*case)
        want[call], wrong = values(*case)
        for text, value in wrong.items():
            mistakes[text][call] = value
    return compare(got, want, mistakes)
