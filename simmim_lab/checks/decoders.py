"""Checks of lesson 03 and of its exercises: decoders."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Generator, Tensor

from simmim_lab.checks import solutions
from simmim_lab.checks.core import (
    Answer,
    Verdict,
    check,
    compare,
    describe,
    distinct,
    explain,
    first,
    form,
    is_whole,
    other_gradient,
)
from simmim_lab.checks.guessing import Guess
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.shapes import Grid


@check(
    "The head is a convolution with a kernel of 1 × 1. How many numbers must it give for one square, colours "
    "included? Each of them has its own weights, one for every feature, and one more parameter.",
    "A square has stride * stride pixels of 3 colours. Call the number of these values n. The weight is a matrix "
    "of n rows and dim columns; the bias has n numbers. Count both.",
)
def linear_head_size(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`linear_head_size(dim, stride)` counts the parameters of SimMIM's head."""

    def of_outputs(count: Callable[[int, int], int]) -> Callable[[int, int], int]:  # of dim and outputs
        return lambda dim, stride: count(dim, 3 * stride**2)

    def with_outputs(outputs: Callable[[int], int]) -> Callable[[int, int], int]:  # of the stride
        return lambda dim, stride: (dim + 1) * outputs(stride)

    right = with_outputs(lambda stride: 3 * stride**2)
    mistakes = {
        "the bias is not counted": of_outputs(lambda dim, n: n * dim),
        "that is how many numbers the head gives for a square: how many weights does it need?": of_outputs(
            lambda dim, n: n
        ),
        "a bias belongs to each output of the map, not to each of the `dim` inputs": of_outputs(
            lambda dim, n: n * dim + dim
        ),
        "a transposed convolution has a bias for each colour, the head one for each output": of_outputs(
            lambda dim, n: n * dim + 3
        ),
        "the bias has as many numbers as the map has outputs, not 1": of_outputs(lambda dim, n: n * dim + 1),
        "one bias for each pixel: each colour of a pixel has its own": of_outputs(lambda dim, n: n * dim + n // 3),
        "the bias is counted for each weight: there is one for each output": of_outputs(
            lambda dim, n: 2 * n * dim
        ),
        "weights and biases are multiplied: add them": of_outputs(lambda dim, n: n * dim * n),
        "outputs and features are added, but each pair of them has a weight": of_outputs(lambda dim, n: n + dim),
        "each pixel has three colours": with_outputs(lambda stride: stride**2),
        "each pixel has three colours, and the bias is missing": lambda dim, stride: dim * stride**2,
        "the three colours count once: `(3 * stride) ** 2` multiplies by 9": with_outputs(lambda s: (3 * s) ** 2),
        "a square has stride * stride pixels, not stride": with_outputs(lambda stride: 3 * stride),
        "a square has stride * stride pixels, and the bias is missing": lambda dim, stride: 3 * stride * dim,
        "the bias has 3 * stride * stride numbers, one for each output": lambda dim, stride: (
            3 * stride * (stride * dim + 1)
        ),
        "a square has stride * stride pixels, not 2 * stride": with_outputs(lambda stride: 6 * stride),
        "`^` is no power in Python: write `stride ** 2`": with_outputs(lambda stride: 3 * stride ^ 2),
        "`^` is no power in Python: write `stride ** 2` instead of `(stride ^ 2)`": with_outputs(
            lambda stride: 3 * (stride ^ 2)
        ),
        "`^` is no power in Python, and takes all before it: write `stride ** 2`": lambda dim, stride: (
            (dim + 1) * 3 * stride ^ 2
        ),
        "the kernel is 1 × 1: the map looks at one place, not at stride × stride places": lambda dim, stride: (
            3 * stride**2 * (dim * stride**2 + 1)
        ),
        "dim and stride are swapped": lambda dim, stride: right(stride, dim),
    }
    pairs = zip(distinct(rng, 6, 1, 1100), distinct(rng, 6, 2, 33), strict=True)
    cases = [
        (2, 1),
        (64, 8),
        (1, 1),
        (1024, 32),
        (1536, 16),
        *pairs,
    ]  # of the text; the smallest; SimMIM with a Swin-B
    problem = explain(answer, right, cases, mistakes)
    yield (
        "counts weights and biases of a head of any dim and stride",
        problem or first((not is_whole(answer(*cases[0])), "parameters are counted: 9, not 9.0")),
    )


@check(
    "Which three numbers (colour, row, column in the square) belong to channel 5, if the stride is 2? Begin with "
    "loops over them: each fills `images[:, c, i::stride, j::stride]`. Or split the axes, reorder and join them.",
    "With axes: reshape to (batch, 3, stride, stride, rows, cols); the two strides are row and column in the "
    "square. Then permute so that `rows` stands right before the row in the square, and `cols` right before the "
    "column in the square. Now a reshape may join each pair.",
    solution=solutions.pixel_shuffle,
    gradient=(0,),
    batched=(0,),
)
def pixel_shuffle(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`pixel_shuffle(features, stride)` lays out channels (colour, row, column) as pixels."""
    scenes = draw_scenes(2, 64, generator=rng).pixels[:, :, 16:56] / 255
    scenes += 0.02 * torch.randn(scenes.shape, generator=rng)  # no two pixels are equal, some below 0 or above 1
    squares = F.pixel_unshuffle(scenes, 8)
    answered = answer(squares, 8)
    one = torch.arange(12.0).view(1, 12, 1, 1)
    yield (
        "lays out the channels 0 to 11 as one square, colour by colour",
        compare(answer(one, 2), F.pixel_shuffle(one, 2)),
    )
    verdict = compare(answered, scenes, _wrong_layouts(squares, 8), picture=True)
    yield "puts each square of two pictures of 40 × 64 pixels in its place", verdict

    batch, rows, cols, stride = distinct(rng, 4, 1, 5)
    sizes = [(batch, rows, cols, stride), (1, 3, 2, 1), (2, 1, 1, 3)]
    cases = [(10 * torch.randn(b, 3 * s**2, r, c, generator=rng), s) for b, r, c, s in sizes]
    yield "works for any batch, map and stride, also of 1", explain(answer, F.pixel_shuffle, cases)
    yield "lets the whole gradient through", other_gradient(answer, F.pixel_shuffle, cases[0], (0,))


@check(
    "Two steps: one matrix product at every place, then the pixel shuffle. In the first, the axis that the matrix "
    "acts on must be the last one of a tensor.",
    "Move the channels to the end: (batch, rows, cols, dim). Multiply by the transposed weight and add the bias. "
    "Move the channels back to where they were, with `permute` and not with `reshape`, and shuffle. "
    "(Or let `F.conv2d` do it: it wants the weight as (outputs, dim, 1, 1).)",
    solution=solutions.linear_head,
    gradient=(0, 1, 2),
    batched=(0,),
)
def linear_head(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`linear_head(features, weight, bias, stride)` draws images as SimMIM's head does."""

    def inputs(batch: int, dim: int, rows: int, cols: int, stride: int) -> tuple[Tensor, Tensor, Tensor, int]:
        n = 3 * stride**2
        shapes = (batch, dim, rows, cols), (n, dim), (n,)
        return (*(torch.randn(shape, generator=rng) for shape in shapes), stride)

    batch, stride = distinct(rng, 2, 2, 4)
    rows, cols = sorted(distinct(rng, 2, 2, 5))
    dim = 3 * stride**2  # as many features as outputs, so that a transposed weight can be told
    features, weight, bias, _ = case = inputs(batch, dim, rows, cols, stride)
    kernel, shape = weight[:, :, None, None], features.shape
    channels = F.conv2d(features, kernel, bias)
    right = F.linear(features.movedim(1, 3), weight, bias)  # (batch, rows, cols, outputs)
    cut = F.linear(features.reshape(batch, rows, cols, dim), weight, bias)  # of features that were cut anew
    alone = F.conv2d(features, kernel)
    drawn = {
        "the bias is forgotten": alone,
        "the bias is subtracted": alone - bias.view(-1, 1, 1),
        "the bias is added twice": channels + bias.view(-1, 1, 1),
        "the bias is added before the matrix, not after it": F.conv2d(features + bias.view(-1, 1, 1), kernel),
        "the first bias is used for all outputs": alone + bias[0],
        "the weight is the wrong way round: it has a row for each output and a column for each feature": F.conv2d(
            features, weight.T[:, :, None, None], bias
        ),
        "before the matrix: `reshape` moves no axis, it only cuts the numbers anew": cut.movedim(3, 1),
        "after the matrix: `reshape` moves no axis, it only cuts the numbers anew": right.reshape(shape),
        "before and after the matrix: `reshape` moves no axis, it only cuts the numbers anew": cut.reshape(shape),
        "the features are averaged: add up the weighted ones": alone / dim + bias.view(-1, 1, 1),
        "the map is divided by the root of dim, but it has only weight and bias": (
            alone / dim**0.5 + bias.view(-1, 1, 1)
        ),
    }
    mistakes = {text: F.pixel_shuffle(wrong, stride) for text, wrong in drawn.items()}
    image = F.pixel_shuffle(channels, stride)
    mistakes |= {
        "one bias for each colour: each output has its own": (
            F.pixel_shuffle(alone, stride) + bias[:3].view(3, 1, 1)
        ),
        "these are the channels: the pixel shuffle is missing": channels,
        "these are the channels, behind rows and cols: bring them back, and shuffle": right,
        "a Sigmoid is added, but the head ends with the linear map": image.sigmoid(),
        "the picture is cut off at 0 and 1, but the head ends with the linear map": image.clamp(0, 1),
        "a ReLU is added, but the head ends with the linear map": image.relu(),
        **_wrong_layouts(channels, stride),
    }
    got = answer(*case)
    verdict = compare(got, image, mistakes)
    if verdict and not form(got, image.shape, image.dtype) and compare(answer(*case), got):
        verdict = "two calls gave two images: take `weight` and `bias`, not those of a new layer"
    yield "applies weight and bias at every place and lays out the squares", verdict

    sizes = [(2, 5, 4, 3, 3), (3, 31, 1, 2, 2), (2, 1, 2, 3, 1), (2, 3, 1, 1, 4)]
    verdict = explain(answer, solutions.linear_head, [inputs(*size) for size in sizes])
    yield "takes any number of features, places and pixels, also 1", verdict
    verdict = other_gradient(answer, solutions.linear_head, case, (0, 1, 2))
    yield "lets the whole gradient through", verdict


@check(
    "A kernel of the deconvolution belongs to one feature and one colour, and has a number for each pixel of the "
    "square. A row of the head belongs to one pixel and one colour. So which axis of `weight` must come last?",
    "Bring the axis of the features to the end, and join the other three, in the order in which they stand: "
    "(colour, row, column). The deconvolution has one bias for each colour, the head one for each output: so each "
    "of them stands kernel * kernel times in a row.",
    solution=solutions.head_of_deconvolution,
)
def head_of_deconvolution(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`head_of_deconvolution(weight, bias)` gives a linear head that draws what the deconvolution draws."""
    (colours, more), (kernel, other) = distinct(rng, 2, 2, 4), distinct(rng, 2, 2, 4)
    sizes = [(colours * kernel**2 + 1, colours, kernel), (1, more, other), (2, 1, 1)]
    cases = {
        f"colours = {c} and kernel = {k}": [torch.randn(s, generator=rng) for s in ((dim, c, k, k), (c,))]
        for dim, c, k in sizes
    }
    answers = {name: answer(*case) for name, case in cases.items()}
    right = {name: solutions.head_of_deconvolution(*case) for name, case in cases.items()}
    no_pairs = [got for got in answers.values() if not (isinstance(got, tuple | list) and len(got) == 2)]
    problem = None
    if no_pairs:
        problem = f"expected two tensors, got {describe(no_pairs[0])}"
    elif compare([got[::-1] for got in answers.values()], list(right.values())) is None:
        problem = "the two are in the wrong order: first the weight, then the bias"
    yield "returns a weight and a bias", problem
    if problem:
        return
    (rows, biases), (wanted_rows, wanted_biases) = (
        [{name: pair[part] for name, pair in pairs.items()} for part in (0, 1)] for pairs in (answers, right)
    )

    def of_weights(rule: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        return {name: rule(weight) for name, (weight, _) in cases.items()}

    def of_biases(rule: Callable[[Tensor, int], Tensor]) -> dict[str, Tensor]:  # of the bias and the kernel
        return {name: rule(bias, weight.shape[-1]) for name, (weight, bias) in cases.items()}

    orders = {
        "the outputs go pixel by pixel, in MAE's order: here they go colour by colour": "(i j c) d",
        "rows and columns of the kernel are swapped": "(c j i) d",
        "all axes are reversed, as by `.T`: only that of the features goes to the end": "(j i c) d",
        "the weight has a row for each feature: it must have one for each output": "d (c i j)",
        "the outputs are right, but still on three axes: join them": "c i j d",
        "the shape is that of a convolution: leave out the two axes of length 1": "(c i j) d 1 1",
    }
    mistakes = {
        text: of_weights(lambda weight, order=order: rearrange(weight, f"d c i j -> {order}"))
        for text, order in orders.items()
    } | {
        "a bare view or reshape moves no number: reorder the axes first": of_weights(
            lambda weight: weight.reshape(-1, len(weight))
        ),
        "the axis of the features must come last, behind row and column": of_weights(
            lambda weight: weight.transpose(0, 1).reshape(-1, len(weight))
        ),
        "the first axis is read as that of the colours, as in `Conv2d`: it is that of the features": of_weights(
            lambda weight: weight.transpose(0, 1).flatten(1).T
        ),
        "the kernel is flipped: output and pixel are in the same order": of_weights(
            lambda weight: weight.flatten(1).T.flip(0)
        ),
        "it is divided by the number of pixels, but each pixel gets its own number": of_weights(
            lambda weight: weight.flatten(1).T / weight[0, 0].numel()
        ),
    }
    flips = {
        "the kernel is flipped: a transposed convolution writes it as it is": (2, 3),
        "the rows of the kernel are in the opposite order": (2,),
        "the columns of the kernel are in the opposite order": (3,),
        "the colours are in the opposite order": (1,),
    }
    mistakes |= {
        text: of_weights(lambda weight, axes=axes: weight.flip(axes).flatten(1).T) for text, axes in flips.items()
    }
    yield "has the weights of the kernels, a row for each output", compare(rows, wanted_rows, mistakes)
    mistakes = {
        "this is one bias for each colour: each output needs one": lambda bias, kernel: bias,
        "the biases stand in turns, as in MAE's order: those of a colour must stand in a row": (
            lambda bias, kernel: bias.repeat(kernel**2)
        ),
        "each bias must stand kernel * kernel times, not `kernel` times": (
            lambda bias, kernel: bias.repeat_interleave(kernel)
        ),
        "each bias must stand kernel * kernel times, not always 4 times": (
            lambda bias, kernel: bias.repeat_interleave(4)
        ),
        "the bias is lost": lambda bias, kernel: torch.zeros(len(bias) * kernel**2),
        "the bias is shared out, but each pixel of a colour gets all of it": (
            lambda bias, kernel: bias.repeat_interleave(kernel**2) / kernel**2
        ),
        "the bias is shared out, but each output gets all of it": (
            lambda bias, kernel: bias.repeat_interleave(kernel**2) / kernel
        ),
        "one colour's bias is used for all": lambda bias, kernel: bias[:1].expand(len(bias) * kernel**2),
        "the biases are on two axes: join them": lambda bias, kernel: bias[:, None].expand(-1, kernel**2),
        "the biases are a column: join its two axes": (
            lambda bias, kernel: bias.repeat_interleave(kernel**2)[:, None]
        ),
    }
    verdict = compare(biases, wanted_biases, {text: of_biases(wrong) for text, wrong in mistakes.items()})
    yield "has the bias of its colour for each output", verdict


@check(
    "This is the way back of a pixel shuffle, with the channels in another order. Which channel gets the number "
    "of colour c, row i and column j of a square, if the channels go pixel by pixel?",
    "Split the height into (rows, i) and the width into (cols, j). The three axes i, j and c become one, in this "
    "order, and take the place of the colours. With loops: channel (i * stride + j) * colours + c is "
    "`images[:, c, i::stride, j::stride]`.",
    gradient=(0,),
    batched=(0,),
)
def space_to_depth(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`space_to_depth(images, stride)` gathers each square as channels (row, column, colour)."""

    def order(pattern: str, split: str = "(rows i) (cols j)") -> Callable[[Tensor, int], Tensor]:
        return lambda x, s: rearrange(x, f"b c {split} -> {pattern}", i=s, j=s)

    right = order("b (i j c) rows cols")
    mistakes = {
        "the channels go colour by colour: here they go pixel by pixel": order("b (c i j) rows cols"),
        "colour by colour, and rows and columns of the square are swapped": order("b (c j i) rows cols"),
        "rows and columns inside each square are swapped": order("b (j i c) rows cols"),
        "the colours of a pixel must be neighbours: row, column, colour": order("b (i c j) rows cols"),
        "rows and columns of the map are swapped": order("b (i j c) cols rows"),
        "the channels are at the end: they take the place of the colours": order("b rows cols (i j c)"),
        "the squares are in one line: keep rows and cols apart": order("b (rows cols) (i j c)"),
        "the squares are in one line, behind the channels: keep rows and cols apart": order(
            "b (i j c) (rows cols)"
        ),
        "the pixels of a square become images of their own: they must become channels": order(
            "(i j b) c rows cols"
        ),
        "row, column and colour are three axes: join them": order("b i j c rows cols"),
        "squares are mixed: the row in a square is the remainder, `i::stride`": order(
            "b (i j c) rows cols", "(i rows) (j cols)"
        ),
        "rows of different squares are mixed": order("b (i j c) rows cols", "(i rows) (cols j)"),
        "columns of different squares are mixed": order("b (i j c) rows cols", "(rows i) (j cols)"),
        "a bare view or reshape moves no number: split the axes, reorder them, join them": (
            lambda x, s: x.reshape(len(x), -1, x.shape[2] // s, x.shape[3] // s)
        ),
        "`permute` puts cols before rows: in the result rows come before cols": lambda x, s: right(
            x, s
        ).mT.reshape(len(x), -1, x.shape[2] // s, x.shape[3] // s),
        "the channels are last when `reshape` joins the axes: move them to the front before": lambda x, s: (
            right(x, s).movedim(1, 3).reshape(right(x, s).shape)
        ),
        "each square gives only its mean": F.avg_pool2d,
        "each square gives only its upper left pixel": lambda x, s: x[:, :, ::s, ::s],
        "the first image is used for all": lambda x, s: right(x[:1].expand_as(x), s),
        "the colours are in the opposite order": lambda x, s: right(x.flip(1), s),
        "colours from the fourth on are 0, but there may be more than three": lambda x, s: right(
            torch.cat([x[:, :3], 0 * x[:, 3:]], 1), s
        ),
        "height and width are swapped": lambda x, s: right(x.mT, s),
        "the numbers are cut off at 0 and 1: they only move": lambda x, s: right(x.clamp(0, 1), s),
        "`stride` is the side of a square, not how many squares there are": lambda x, s: rearrange(
            x, "b c (rows i) (cols j) -> b (i j c) rows cols", rows=s, cols=s
        ),
        "the stride is given: it is not always 2": lambda x, _: right(x, 2),
    }
    batch, colours, rows, cols, stride = distinct(rng, 5, 2, 6)
    sizes = [(2, 3, 2 * cols, 2 * rows, 3), (batch, colours, rows, cols, stride), (2, 5, cols, rows, 2)]
    cases = [(torch.randn(b, c, r * s, k * s, generator=rng), s) for b, c, r, k, s in sizes]
    yield "gathers each square, pixel by pixel", explain(answer, right, cases, mistakes)
    yield "lets the whole gradient through", other_gradient(answer, right, cases[0], (0,))
    sizes = [(2, 1, 2, 3, 2), (2, 3, 2, 3, 1), (3, 2, 1, 1, 4), (2, 3, 3, 1, 2)]
    cases = [(10 * torch.randn(b, c, r * s, k * s, generator=rng), s) for b, c, r, k, s in sizes]
    squeezed = {"`squeeze` drops an axis of length 1": lambda x, s: right(x, s).squeeze()}
    yield "works for any colours, map and stride, also of 1", explain(answer, right, cases, squeezed)


@check(
    "Three steps. The matrix product is easier here than in the lesson, since the features are the last axis "
    "already. Then each token has patch * patch * 3 numbers: which of them are its red ones?",
    "`tokens @ weight.T + bias` has the shape (batch, rows * cols, patch * patch * 3). Split the second axis into "
    "rows and cols and the last one into row, column and colour of the patch. Then the colours go to the front, "
    "rows joins the row in the patch, and cols the column.",
    gradient=(0, 1, 2),
    batched=(0,),
)
def mae_head(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`mae_head(tokens, weight, bias, grid, patch)` draws images from tokens, in MAE's order."""

    def draw(outputs: Tensor, rows: int, cols: int, patch: int, pattern: str = "") -> Tensor:
        pattern = pattern or "b (rows cols) (i j c) -> b c (rows i) (cols j)"
        return rearrange(outputs, pattern, rows=rows, cols=cols, i=patch, j=patch, c=3)

    def inputs(batch: int, dim: int, rows: int, cols: int, patch: int) -> tuple:
        n = 3 * patch**2
        shapes = (batch, rows * cols, dim), (n, dim), (n,)
        return (*(torch.randn(shape, generator=rng) for shape in shapes), (rows, cols), patch)

    def right(tokens: Tensor, weight: Tensor, bias: Tensor, grid: Grid, patch: int) -> Tensor:
        return draw(tokens @ weight.T + bias, *grid, patch)

    patch, rows, cols, batch = distinct(rng, 4, 2, 5)
    dim = 3 * patch**2  # as many features as outputs, so that a transposed weight can be told
    tokens, weight, bias, _, _ = case = inputs(batch, dim, rows, cols, patch)
    alone = tokens @ weight.T
    outputs = alone + bias
    sizes = rows, cols, patch
    wrong = {
        "the bias is forgotten": alone,
        "the bias is subtracted": alone - bias,
        "the bias is added before the matrix, not after it": (tokens + bias) @ weight.T,
        "the bias is added twice": outputs + bias,
        "the first bias is used for all outputs": alone + bias[0],
        "one bias for each colour: each output has its own": alone + bias[:3].repeat(patch**2),
        "the tokens are normalised first, but the head is only a linear map": (
            F.layer_norm(tokens, (dim,)) @ weight.T + bias
        ),
        "the weight is the wrong way round: it has a row for each output": tokens @ weight + bias,
        "the features are averaged: add up the weighted ones": alone / dim + bias,
        "a Sigmoid is added, but the head ends with the linear map": outputs.sigmoid(),
        "the picture is cut off at 0 and 1, but the head ends with the linear map": outputs.clamp(0, 1),
        "a ReLU is added, but the head ends with the linear map": outputs.relu(),
        "the first image is drawn for all": outputs[:1].expand_as(outputs),
        "after the matrix: `reshape` moves no axis, it only cuts the numbers anew": (
            outputs.reshape(batch, dim, rows * cols).mT
        ),
    }
    patterns = {
        "the outputs are read colour by colour, as SimMIM's: MAE's go pixel by pixel": "(rows cols) (c i j)",
        "rows and columns inside each patch are swapped": "(rows cols) (j i c)",
        "the colours of a pixel are its last axis: row, column, colour": "(rows cols) (i c j)",
        "the tokens go row by row: the next one is the right neighbour": "(cols rows) (i j c)",
        "the tokens go row by row, and so do the pixels of a patch": "(cols rows) (j i c)",
    }
    mistakes = {text: draw(values, *sizes) for text, values in wrong.items()}
    mistakes |= {
        text: draw(outputs, *sizes, f"b {pattern} -> b c (rows i) (cols j)") for text, pattern in patterns.items()
    }
    image = draw(outputs, *sizes)
    mistakes |= {
        "the patches are torn apart: their pixels must be neighbours": draw(
            outputs, *sizes, "b (rows cols) (i j c) -> b c (i rows) (j cols)"
        ),
        "the rows of patches are torn apart: they must be neighbours": draw(
            outputs, *sizes, "b (rows cols) (i j c) -> b c (i rows) (cols j)"
        ),
        "the columns of patches are torn apart: they must be neighbours": draw(
            outputs, *sizes, "b (rows cols) (i j c) -> b c (rows i) (j cols)"
        ),
        "the colours are last when `reshape` joins the axes: move them to the front before": draw(
            outputs, *sizes, "b (rows cols) (i j c) -> b (rows i) (cols j) c"
        ).reshape(image.shape),
        "height and width are swapped": image.mT,
        "rows and cols are swapped: take both from `grid`, which is (rows, cols)": draw(
            outputs, cols, rows, patch
        ),
        "colours come before rows and columns: (batch, 3, height, width)": image.movedim(1, 3),
        "these are the numbers of each patch: they are not laid out yet": outputs,
        "a bare view or reshape moves no number: the axes must be reordered in between": outputs.reshape(
            image.shape
        ),
        "the colours are in the opposite order: BGR instead of RGB": image.flip(1),
        "the picture stands on its head": image.flip(2),
        "rows of the grid and rows in the patch are in the wrong order: `rows` comes right before the row in the "
        "patch": rearrange(outputs, "b (r k) (i j c) -> b c r k i j", r=rows, i=patch, c=3).reshape(image.shape),
    }
    yield (
        "applies weight and bias to each token, and lays out the patches",
        compare(answer(*case), image, mistakes),
    )
    sizes = [(2, 5, 4, 3, 3), (3, 31, 1, 2, 2), (2, 1, 2, 3, 1), (2, 3, 1, 1, 4)]
    verdict = explain(answer, right, [inputs(*size) for size in sizes])
    yield "takes any number of features, tokens and pixels, also 1", verdict
    yield "lets the whole gradient through", other_gradient(answer, right, case, (0, 1, 2))


@check(
    "Do it with a pencil for size 3, kernel 3, stride 2: input 0 writes to the outputs 0, 1, 2. Where does input "
    "1 begin? Where does the last input end? That gives the length of the list; with an IndexError it is too "
    "short.",
    "Start with a list of zeros. A loop over the inputs, and inside it a loop over the kernel, can add 1 to the "
    "output at `start + k`, where the start moves on by the stride with each input.",
)
def overlaps(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`overlaps(size, kernel, stride)` counts the contributions to each pixel of a 1-D transposed convolution."""

    def right(size: int, kernel: int, stride: int) -> list[int]:
        ones = torch.ones(1, 1, size), torch.ones(1, 1, kernel)
        return F.conv_transpose1d(*ones, stride=stride).flatten().int().tolist()

    def endless(size: int, kernel: int, stride: int) -> list[int]:
        length = (size - 1) * stride + kernel
        return right(size + 2 * kernel, kernel, stride)[kernel * stride :][:length]

    lengths = {}

    def filled(*case: int) -> list[int]:  # or cut off
        return (right(*case) + [0] * lengths[case])[: lengths[case]]

    mistakes = {
        "wrong length: input size - 1, at (size - 1) * stride, writes `kernel` values too": filled,
        "kernel // stride is only an average: pixels at the ends get fewer, others more": lambda n, k, s: (
            [k // s] * len(right(n, k, s))
        ),
        "kernel / stride is only an average: pixels at the ends get fewer, others more": lambda n, k, s: (
            [k / s] * len(right(n, k, s))
        ),
        "each of several inputs that write to one output counts: add 1, do not set it to 1": lambda *case: [
            min(count, 1) for count in right(*case)
        ],
        "the middle is right, but at the two ends fewer inputs reach a pixel": endless,
        "each input writes `kernel` values, not `stride`": lambda n, k, s: right(n, s, s) + [0] * (k - s),
        "each input writes `kernel` values; yours write one less": lambda n, k, s: [*right(n, k - 1, s), 0],
        "each input writes `kernel` values; yours write one more": lambda n, k, s: right(n, k + 1, s),
        "each input writes `kernel` values: its last pixel is start + kernel - 1": lambda n, k, s: right(
            n, k + 1, s
        )[:-1],
        "each input writes `kernel` values, also the first one, at its start": lambda n, k, s: [
            0,
            *right(n, k - 1, s),
        ],
        "the first input begins at pixel 0, not 1": lambda n, k, s: [0, *right(n, k, s)][: len(right(n, k, s))],
        "the last input is missing": lambda n, k, s: right(n - 1, k, s) + [0] * s,
        "only the first input is counted: is `return` inside the loop?": lambda n, k, s: (
            right(1, k, s) + [0] * ((n - 1) * s)
        ),
        "there is one input too many": lambda n, k, s: right(n + 1, k, s),
        "kernel and stride are swapped": lambda n, k, s: right(n, s, k),
        "size and kernel are swapped": lambda n, k, s: right(k, n, s),
        "the stride is ignored: the next input starts `stride` pixels further": lambda n, k, s: right(n, k, 1),
        "each input must start `stride` further on": lambda n, k, s: right(n, k, 1) + [0] * ((n - 1) * (s - 1)),
        "these are the numbers of the last input that writes: count the inputs": lambda n, k, s: [
            min(n - 1, pixel // s) for pixel in range(len(right(n, k, s)))
        ],
        "the other inputs at a pixel are counted: its own counts too": lambda *case: [
            count - 1 for count in right(*case)
        ],
    }
    cases = [(3, 3, 2)]  # of the text; then kernels longer than the stride, by a part of it and by a multiple
    for size, stride, more in zip(distinct(rng, 4, 5, 11), distinct(rng, 4, 2, 5), (1, 2, 3, 4), strict=True):
        cases += [(size, stride + more, stride), (size, 2 * stride, stride)]
    for case in cases:
        got = answer(*case)
        if not isinstance(got, list | tuple):
            hint = "a tensor has `.tolist()`: " if isinstance(got, Tensor) else ""
            yield "returns a list", f"{hint}expected a list, got {describe(got)}"
            return
        lengths[case] = len(got)
    yield "counts the inputs that write to each pixel", explain(answer, right, cases, mistakes)
    yield "gives 1 everywhere if kernel and stride are equal", explain(answer, right, [(4, 3, 3), (5, 1, 1)])
    short = [(3, 2, 3), (4, 1, 3), (5, 2, 6)]
    gaps = {"no input writes to a pixel in a gap": lambda *case: [max(1, count) for count in right(*case)]}
    yield "leaves gaps of 0 if the kernel is shorter than the stride", explain(answer, right, short, gaps)
    yield "moves on by a single pixel with stride 1", explain(answer, right, [(5, 3, 1), (2, 6, 1)])
    yield "gives the kernel itself for a single input", explain(answer, right, [(1, 4, 2), (1, 1, 3), (1, 2, 4)])


@check(
    "Think of a stamp. At each place the features decide what is on the stamp: `dim` kernels, weighted and added "
    "up. The stamp is pressed on the picture, and then moved on by the stride. What is already there stays.",
    "Make an image of zeros. For the place (row, col) the stamp has the shape (batch, colours, kernel, kernel). "
    "Give `features[:, :, row, col]` three more axes at the end, and `weight` one at the front; multiply, and sum "
    "over dim (or write it as an `einsum`). Add the stamp with `+=` to the square of the image whose upper left "
    "corner is (row * stride, col * stride).",
    gradient=(0, 1),
    batched=(0,),
)
def transposed_convolution(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`transposed_convolution(features, weight, stride)` adds up a weighted kernel for each place."""
    layer = F.conv_transpose2d

    def inputs(batch: int, dim: int, colours: int, rows: int, cols: int, kernel: int) -> tuple[Tensor, Tensor]:
        shapes = (batch, dim, rows, cols), (dim, colours, kernel, kernel)
        return tuple(torch.randn(shape, generator=rng) for shape in shapes)

    (batch, rows, cols), (dim, kernel) = distinct(rng, 3, 2, 4), sorted(distinct(rng, 2, 2, 4))
    stride = kernel - 1  # as many colours as features, so that a transposed weight can be told
    features, weight = inputs(batch, dim, dim, rows, cols, kernel)
    want = layer(features, weight, stride=stride)
    replaced, first = torch.zeros_like(want), torch.full_like(want, torch.nan)
    for row in range(rows):
        for col in range(cols):
            square = layer(features[:, :, row : row + 1, col : col + 1], weight)
            y, x = (slice(n * stride, n * stride + kernel) for n in (row, col))
            replaced[:, :, y, x] = square
            first[:, :, y, x] = torch.where(first[:, :, y, x].isnan(), square, first[:, :, y, x])
    summed = features.sum(1, keepdim=True), weight.sum(0, keepdim=True)
    written = layer(torch.ones(1, 1, rows, cols), torch.ones(1, 1, kernel, kernel), stride=stride)
    mistakes = {
        "where the kernels overlap, the last one replaces the others: their values must be added": replaced,
        "where the kernels overlap, only the first one stays: their values must be added": first,
        "where the kernels overlap, their mean is taken: their values must be added": want / written,
        "the kernel is flipped: its upper left number is for the upper left pixel": (
            layer(features, weight.flip(2, 3), stride=stride)
        ),
        "the rows of the kernel are in the opposite order": layer(features, weight.flip(2), stride=stride),
        "the columns of the kernel are in the opposite order": layer(features, weight.flip(3), stride=stride),
        "rows and columns of the kernel are swapped": layer(features, weight.mT, stride=stride),
        "rows and columns of the features are swapped": layer(features.mT, weight, stride=stride),
        "rows and columns of the picture are swapped": want.mT,
        "the first axis of `weight` is for the features, the second for the colours": (
            layer(features, weight.transpose(0, 1), stride=stride)
        ),
        "the features are added up too early: each one has a kernel of its own": layer(*summed, stride=stride),
        "the weighted kernels are averaged: add them up": want / dim,
        "only the first feature is used": layer(features[:, :1], weight[:1], stride=stride),
        "only the last feature is used": layer(features[:, -1:], weight[-1:], stride=stride),
        "only the last place is drawn": F.pad(square, ((cols - 1) * stride, 0, (rows - 1) * stride, 0)),
        "all images are drawn from the first one's features": want[:1].expand_as(want),
        "the picture is cut off: the last kernel reaches beyond rows * stride": (
            want[:, :, : rows * stride, : cols * stride]
        ),
        "the picture is too large: the last place starts at (rows - 1) * stride": F.pad(
            want, (0, stride, 0, stride)
        ),
        "the stride is ignored: the next kernel starts `stride` pixels further": layer(features, weight),
        "the squares must move on by `stride`": F.pad(
            layer(features, weight), (0, (cols - 1) * (stride - 1), 0, (rows - 1) * (stride - 1))
        ),
        "the colours are in the opposite order": want.flip(1),
        "a Sigmoid is added, but the values are added up and left as they are": want.sigmoid(),
        "the picture is cut off at 0 and 1, but the values are left as they are": want.clamp(0, 1),
        "the kernels lie side by side: they start `stride` pixels apart, not `kernel`": (
            layer(features, weight, stride=kernel)
        ),
    }
    claim = f"draws {batch} images with kernel {kernel} and stride {stride}"
    yield claim, compare(answer(features, weight, stride), want, mistakes)

    dim, *other = distinct(rng, 4, 1, 4)
    for claim, sizes, stride in (
        ("takes another number of features than of colours", [2, dim, 5, 2, 1, 3], 2),
        ("moves on by a single pixel with stride 1", [1, dim, *other, 3], 1),
        ("leaves gaps of 0 if the kernel is shorter than the stride", [1, *other, dim, 2], 4),
        ("takes a single place, feature, colour and pixel", [2, 1, 1, 1, 1, 1], 2),
    ):
        case = inputs(*sizes)
        yield claim, compare(answer(*case, stride), layer(*case, stride=stride))
    case = *inputs(1, 2, 1, 2, 2, 2), 1  # of overlapping kernels
    verdict = other_gradient(answer, lambda x, w, s: layer(x, w, stride=s), case, (0, 1))
    yield "lets the whole gradient through", verdict


@check(
    "Which numbers must the decoder be able to say, if black is about -2 and white about 2.5? And which numbers "
    "may a picture have? The two results answer to different needs.",
    "The loss gets the values as they are, with nothing at the end. For the picture undo the normalisation, "
    "channel by channel: times the deviation, plus the mean (both as (3, 1, 1)). What is then outside [0, 1] is "
    "cut off.",
    gradient=(0,),
    batched=(0,),
)
def repaired_output(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`repaired_output(values, mean, std)` is what the loss gets, and the picture to show."""
    scene = draw_scenes(2, 32, generator=rng).pixels[:, :, :24] / 255
    scene += 0.02 * torch.randn(scene.shape, generator=rng)
    colours = 1.4 * (scene - scene.min()) / (scene.max() - scene.min()) - 0.2  # some below 0 and above 1
    order = torch.randperm(3, generator=rng)
    mean, std = (low + (order + torch.rand(3, generator=rng)) / 20 for low in (0.4, 0.2))
    m, s = mean.view(3, 1, 1), std.view(3, 1, 1)
    values, want = (colours - m) / s, colours.clamp(0, 1)
    case = values, mean, std
    got = answer(*case)
    problem = None
    if not (isinstance(got, tuple | list) and len(got) == 2):
        problem = f"expected two tensors, the prediction and the picture; got {describe(got)}"
    elif compare(got[0], want) is None and compare(got[1], values) is None:
        problem = "the two are in the wrong order: first the prediction, then the picture"
    yield "returns the prediction and the picture", problem
    if problem:
        return

    mistakes = {
        "a Sigmoid keeps the prediction between 0 and 1, where most normalised colours are not": values.sigmoid(),
        "a tanh keeps the prediction between -1 and 1; many normalised colours lie outside": values.tanh(),
        "the prediction is cut off at 0 and 1, so it cannot reach most normalised colours": values.clamp(0, 1),
        "the prediction is cut off at -1 and 1; many normalised colours lie outside": values.clamp(-1, 1),
        "a ReLU keeps the prediction from being negative, but half of the normalised colours are": values.relu(),
        "the prediction is no longer normalised, but the target of the loss is": colours,
        "the prediction is the picture (are both one tensor, changed in place?), but the loss compares it with "
        "*normalised* colours": want,
        "the prediction is normalised once more: the decoder gives normalised colours already": (values - m) / s,
        "the Sigmoid is to blame: leave it out, and take `values` as the normalised colours": (
            (values.sigmoid() - m) / s
        ),
    }
    yield "can predict every normalised colour", compare(got[0], values, mistakes)
    mistakes = {
        "the normalisation is not undone": values,
        "the normalisation is not undone before the colours are cut off": values.clamp(0, 1),
        "the picture still goes through a Sigmoid": values.sigmoid(),
        "a Sigmoid before the normalisation is undone: nothing can be darker than the mean": (
            (values.sigmoid() * s + m).clamp(0, 1)
        ),
        "a Sigmoid instead of a cut: it changes the colours that were right": colours.sigmoid(),
        "the colours are stretched from the lowest to the highest instead of cut: that changes all of them": (
            _stretched(colours, (0, 1, 2, 3))
        ),
        "the picture is cut off before the normalisation is undone, not after": (
            (values.clamp(0, 1) * s + m).clamp(0, 1)
        ),
        "each picture is stretched from its lowest to its highest colour instead of cut": _stretched(
            colours, (1, 2, 3)
        ),
        "each channel is stretched from its lowest to its highest colour instead of cut": _stretched(
            colours, (2, 3)
        ),
        "this is the way back of another normalisation, to -1 and 1: use `mean` and `std`": (
            ((values + 1) / 2).clamp(0, 1)
        ),
        "colours below 0 or above 1 are left": colours,
        "colours above 1 are left": colours.clamp(min=0),
        "colours below 0 are left": colours.clamp(max=1),
        "the colours are cut off at -1 and 1, but a picture begins at 0": colours.clamp(-1, 1),
        "the colours are multiplied by 255, but the picture has values from 0 to 1": want * 255,
        "this normalises once more instead of undoing it": ((values - m) / s).clamp(0, 1),
        "mean and std have changed places": (values * m + s).clamp(0, 1),
        "the mean is added before the product: undo the steps in the opposite order": (
            ((values + m) * s).clamp(0, 1)
        ),
        "the mean is missing": (values * s).clamp(0, 1),
        "the deviation is missing": (values + m).clamp(0, 1),
        "the mean is subtracted: undo the steps with the opposite sign": (values * s - m).clamp(0, 1),
        "it is divided by the deviation: multiply to undo it": (values / s + m).clamp(0, 1),
        "the root of `std` is taken, but `std` is the deviation already": (values * s.sqrt() + m).clamp(0, 1),
        "the square of `std` is taken, but `std` is the deviation already": (values * s**2 + m).clamp(0, 1),
        "0.45 and 0.22 are only an example: `mean` and `std` are given": (values * 0.22 + 0.45).clamp(0, 1),
        "all channels get the same mean and deviation: each has its own": (
            (values * std.mean() + mean.mean()).clamp(0, 1)
        ),
        "all channels get the first mean and deviation: each has its own": (values * std[0] + mean[0]).clamp(0, 1),
        "mean and std are in the opposite order of the channels": (values * s.flip(0) + m.flip(0)).clamp(0, 1),
        "the channels are in the opposite order: BGR instead of RGB": want.flip(1),
        "the channels are at the end: `values` has them before height and width": want.movedim(1, -1),
        "the first picture is shown for all": want[:1].expand_as(want),
    }
    yield "shows the colours, within [0, 1]", compare(got[1], want, mistakes, picture=True)
    if form(got[1], want.shape, want.dtype):
        return
    values, mean, std = 3 * torch.randn(3, 3, 1, 2, generator=rng), torch.zeros(3), torch.ones(3)
    values[0] = torch.tensor([-1e4, 1e4])
    for claim, m, s in ("any mean and deviation", mean + 0.1, std * 0.01), ("mean 0 and deviation 1", mean, std):
        verdict = compare(answer(values, m, s), (values, (values * s[0] + m[0]).clamp(0, 1)))
        yield f"is right for {claim}, and for values far outside", verdict
    verdict = other_gradient(answer, lambda values, m, s: (values, want), case, (0,))
    yield "lets the whole gradient through", verdict


def _stretched(colours: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The colours from 0 to 1, with the lowest and the highest along these axes at the ends."""
    lowest, highest = colours.amin(axes, keepdim=True), colours.amax(axes, keepdim=True)
    return (colours - lowest) / (highest - lowest)


def _wrong_layouts(channels: Float[Tensor, "batch 3*s*s rows cols"], stride: int) -> dict[str, Tensor]:
    """The images that known mistakes of a pixel shuffle lead to."""
    batch, _, rows, cols = channels.shape
    shape = batch, 3, rows * stride, cols * stride
    right = F.pixel_shuffle(channels, stride)
    overlapping = (torch.arange(3)[:, None] + torch.arange(stride**2)).flatten()
    patterns = {
        "the channels are read in MAE's order (row, column, colour), not (colour, row, column)": (
            "b (i j c) h w -> b c (h i) (w j)"
        ),
        "the channels are read as (column, row, colour), not as (colour, row, column)": (
            "b (j i c) h w -> b c (h i) (w j)"
        ),
        "each square is mirrored: its rows and columns are swapped": "b (c j i) h w -> b c (h i) (w j)",
        "the pixels of a square are torn apart: they must be neighbours": "b (c i j) h w -> b c (i h) (j w)",
        "the rows of a square are torn apart: they must be neighbours": "b (c i j) h w -> b c (i h) (w j)",
        "the columns of a square are torn apart: they must be neighbours": "b (c i j) h w -> b c (h i) (j w)",
        "rows and columns of the map are swapped": "b (c i j) h w -> b c (w i) (h j)",
        "the picture is mirrored: height and width are swapped": "b (c i j) h w -> b c (w j) (h i)",
        "colours come before rows and columns: (batch, 3, height, width)": "b (c i j) h w -> b (h i) (w j) c",
    }
    wrong = {text: rearrange(channels, pattern, c=3, i=stride, j=stride) for text, pattern in patterns.items()}
    wrong |= {
        "a bare view or reshape moves no number: the axes must be reordered in between": channels.reshape(shape),
        "rows of the map and rows in the square are in the wrong order: `rows` comes right before the row in the "
        "square": rearrange(channels, "b (c i j) h w -> b c h w i j", c=3, i=stride).reshape(shape),
        "the channels are last when `reshape` makes the image: split and reorder the axes first": (
            channels.movedim(1, 3).reshape(shape)
        ),
        "colour c starts at channel c * stride * stride": F.pixel_shuffle(channels[:, overlapping], stride),
        "the first image is drawn for all": right[:1].expand_as(right),
        "only the first image is drawn": right[:1],
        "only the red channels are drawn: there are three colours": right[:, :1],
        "the colours are in the opposite order: BGR instead of RGB": right.flip(1),
        "the picture stands on its head": right.flip(2),
        "each square has one colour: its mean": F.interpolate(
            rearrange(channels, "b (c n) h w -> b c n h w", c=3).mean(2), scale_factor=stride
        ),
        "the right part is empty: there are `cols` columns, not `rows`": F.pad(
            right[..., : rows * stride], (0, (cols - rows) * stride)
        ),
    }
    return wrong


GUESSES: dict[str, Guess] = {
    "first_row_of_pixels": Guess(
        "100 101 200 201",
        "each place fills a square of its own, and its channels 0 and 1 are the first row of the red one.",
        ("100 101 102 103", "100 200 101 201", "100 101 200 201"),
    ),
    "red_in_mae_order": Guess(
        "0 3 6 9",
        "the three colours of a pixel stand side by side, so the next red is three channels further.",
        ("0 1 2 3", "0 3 6 9", "0 4 8 12"),
    ),
    "sixty_four_patterns": Guess(
        "34 dB",
        "neighbouring pixels are much alike, so a third as many patterns as numbers is nearly enough.",
        ("20 dB", "27 dB", "34 dB"),
    ),
    "overlap_counts": Guess(
        "1, 2 and 4",
        "along one side a pixel is written once or twice, in turns; in two dimensions these are multiplied.",
        ("only 2", "1 and 2", "1, 2 and 4"),
    ),
    "fewest_parameters": Guess(
        "the deconvolution",
        "small kernels, and ever fewer channels: 10,483 numbers in three layers, 12,480 in one large map.",
        ("the linear head", "the deconvolution", "the Transformer"),
    ),
    "pixels_of_a_linear_head": Guess(64, "a place draws its own square of 8 × 8 pixels, and nothing else."),
    "best_in_equal_time": Guess(
        "the linear head",
        "its steps are the cheapest, so it makes the most of them, and the encoder below it looks around anyway.",
        ("the linear head", "the deconvolution", "the Transformer"),
    ),
    "best_on_random_features": Guess(
        "the Transformer",
        "such an encoder brings a hidden square little of the rest, and only the Transformer can fetch it itself.",
        ("the linear head", "the Transformer", "both alike"),
    ),
}
