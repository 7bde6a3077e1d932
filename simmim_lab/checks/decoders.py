"""Checks of the exercises on decoders (lesson 03)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Generator, Tensor

from simmim_lab.checks.core import Answer, Verdict, check, compare, describe, form
from simmim_lab.data.scenes import draw_scenes


@check(
    "The head is a convolution with a kernel of 1 × 1. How many numbers must it give for one square, colours "
    "included? Each of them has its own weights, one for every feature, and one more parameter.",
    "A square has stride * stride pixels of 3 colours. Call the number of these values n. The weight is a matrix "
    "of n rows and dim columns; the bias has n numbers. Count both.",
)
def linear_head_size(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`linear_head_size(dim, stride)` counts the parameters of SimMIM's head."""
    dim, stride = (int(torch.randint(*limits, (), generator=rng)) for limits in ((33, 121), (11, 17)))
    n = 3 * stride**2  # dim is never stride**2: with it two mistakes give one number
    mistakes = {
        "the bias is not counted": n * dim,
        "a bias belongs to each output of the map, not to each of the `dim` inputs": n * dim + dim,
        "that is the bias of a transposed convolution, one per colour; a kernel of 1 × 1 with the shuffle "
        "after it has one for each of its outputs": n * dim + 3,
        "the bias has as many numbers as the map has outputs, not 1": n * dim + 1,
        "one bias for each pixel: each colour of a pixel has its own": n * dim + n // 3,
        "each pixel has three colours": n // 3 * dim + n // 3,
        "each pixel has three colours, and the bias is missing": n // 3 * dim,
        "a square has stride * stride pixels, not stride": 3 * stride * dim + 3 * stride,
        "a square has stride * stride pixels, and the bias is missing": 3 * stride * dim,
        "the kernel is 1 × 1: the map looks at one place, not at stride × stride places": n * dim * stride**2 + n,
        "that is how many numbers the head gives for one square; how many does it need for that?": n,
    }
    verdict = compare(answer(dim, stride), n * dim + n, mistakes, tolerance=0)
    yield f"counts weights and biases of a head with dim {dim} and stride {stride}", verdict
    verdict = compare(answer(1024, 32), 3_148_800, tolerance=0)
    yield "counts 3,148,800 for SimMIM with a Swin-B, of dim 1024 and stride 32", verdict


@check(
    "Which three numbers (colour, row, column in the square) belong to channel 5, if the stride is 2? Begin with "
    "loops over them, as `shuffle_loops` of the lesson does. Or split the axes, reorder them, and join them.",
    "With axes: reshape to (batch, 3, stride, stride, rows, cols); the two strides are row and column in the "
    "square. Then permute so that `rows` stands right before the row in the square, and `cols` right before the "
    "column in the square. Now a reshape may join each pair.",
    gradient=(0,),
)
def pixel_shuffle(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`pixel_shuffle(features, stride)` lays out channels (colour, row, column) as pixels."""
    one = torch.arange(12.0).view(1, 12, 1, 1)
    got, want = answer(one, 2), F.pixel_shuffle(one, 2)
    yield (
        "lays out the channels 0 to 11 as one square, colour by colour",
        compare(got, want, _wrong_layouts(one, 2)),
    )
    if form(got, want.shape, want.dtype):
        return

    scenes = draw_scenes(2, 64, generator=rng).pixels[:, :, 16:56] / 255
    squares = F.pixel_unshuffle(scenes, 8)
    verdict = compare(answer(squares, 8), scenes, _wrong_layouts(squares, 8), picture=True)
    yield "puts each square of two pictures of 40 × 64 pixels in its place", verdict

    batch = torch.randn(3, 27, 2, 4, generator=rng)
    verdict = compare(answer(batch, 3), F.pixel_shuffle(batch, 3), _wrong_layouts(batch, 3))
    yield "works for three images and another stride", verdict


@check(
    "Two steps: one matrix product at every place, then the pixel shuffle. In the first, the axis that the matrix "
    "acts on must be the last one of a tensor.",
    "Move the channels to the end: (batch, rows, cols, dim). Multiply by the transposed weight and add the bias. "
    "Move the channels back to where they were, with `permute` and not with `reshape`, and shuffle. "
    "(Or let `F.conv2d` do it: it wants the weight as (outputs, dim, 1, 1).)",
    gradient=(0,),
)
def linear_head(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`linear_head(features, weight, bias, stride)` draws images as SimMIM's head does."""
    shape = (2, 12, 3, 5)  # as many features as outputs, so that a transposed weight can be told
    features, weight, bias = (torch.randn(s, generator=rng) for s in (shape, (12, 12), (12,)))
    channels = F.conv2d(features, weight[:, :, None, None], bias)
    right = F.linear(features.movedim(1, 3), weight, bias)  # (batch, rows, cols, outputs)
    cut = F.linear(features.reshape(2, 3, 5, 12), weight, bias)  # of features that were cut anew
    turned = F.conv2d(features, weight.T[:, :, None, None], bias)
    drawn = {
        "the bias is forgotten": channels - bias.view(12, 1, 1),
        "the weight is the wrong way round: it has a row for each output and a column for each feature": turned,
        "before the matrix: `reshape` moves no axis, it only cuts the numbers anew": cut.movedim(3, 1),
        "after the matrix: `reshape` moves no axis, it only cuts the numbers anew": right.reshape(shape),
        "before and after the matrix: `reshape` moves no axis, it only cuts the numbers anew": cut.reshape(shape),
    }
    mistakes = {text: F.pixel_shuffle(wrong, 2) for text, wrong in drawn.items()}
    mistakes |= {"these are the channels: the pixel shuffle is missing": channels, **_wrong_layouts(channels, 2)}
    verdict = compare(answer(features, weight, bias, 2), F.pixel_shuffle(channels, 2), mistakes)
    yield "applies weight and bias at every place and lays out the squares", verdict

    features, weight, bias = (torch.randn(s, generator=rng) for s in ((3, 7, 4, 2), (27, 7), (27,)))
    want = F.pixel_shuffle(F.conv2d(features, weight[:, :, None, None], bias), 3)
    yield "takes any number of features and any stride", compare(answer(features, weight, bias, 3), want)


@check(
    "Do it with a pencil for size 3, kernel 3, stride 2: input 0 writes to the outputs 0, 1, 2. Where does input "
    "1 begin? Where does the last input end? That gives the length of the list; with an IndexError it is too "
    "short.",
    "Start with a list of zeros. A loop over the inputs, and inside it a loop over the kernel, can add 1 to the "
    "output at `start + k`, where the start moves on by the stride with each input.",
)
def overlaps(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`overlaps(size, kernel, stride)` counts the contributions to each pixel of a 1-D transposed convolution."""

    def counts(size: int, kernel: int, stride: int) -> list[int]:
        ones = torch.ones(1, 1, size), torch.ones(1, 1, kernel)
        return F.conv_transpose1d(*ones, stride=stride).flatten().int().tolist()

    size = int(torch.randint(6, 10, (), generator=rng))
    kernel, stride = [(5, 2), (7, 2), (7, 3), (8, 3)][int(torch.randint(4, (), generator=rng))]
    got, want = answer(size, kernel, stride), counts(size, kernel, stride)
    length = len(got) if isinstance(got, list | tuple) else 0
    endless = counts(size + 2 * kernel, kernel, stride)[kernel * stride :][: len(want)]
    mistakes = {
        "the length is wrong: the last input starts at (size - 1) * stride and writes `kernel` values": (
            (want + [0] * length)[:length]
        ),
        "kernel // stride is only an average: some pixels get more, and those at the ends fewer": (
            [kernel // stride] * len(want)
        ),
        "where several inputs write to one output, each of them counts: add 1, do not set it to 1": [1]
        * len(want),
        "the middle is right, but at the two ends fewer inputs reach a pixel": endless,
        "each input writes `kernel` values, not `stride`": [1] * size * stride + [0] * (kernel - stride),
        "each input writes `kernel` values; yours write one less": [*counts(size, kernel - 1, stride), 0],
        "each input writes `kernel` values; yours write one more": counts(size, kernel + 1, stride),
        "kernel and stride are swapped": counts(size, stride, kernel),
        "the stride is ignored: the next input starts `stride` pixels further": counts(size, kernel, 1),
        "each input must start `stride` further on": counts(size, kernel, 1) + [0] * ((size - 1) * (stride - 1)),
    }
    if isinstance(got, Tensor):
        yield "returns a list", "expected a list, got a tensor: end with `.tolist()`"
        return
    yield f"counts size {size}, kernel {kernel}, stride {stride}", compare(got, want, mistakes)
    yield "gives 1 everywhere if kernel and stride are equal", compare(answer(4, 3, 3), [1] * 12)
    verdict = compare(answer(3, 2, 3), [1, 1, 0, 1, 1, 0, 1, 1])
    yield "leaves gaps of 0 if the kernel is shorter than the stride", verdict
    yield "gives the kernel itself for a single input", compare(answer(1, 4, 2), [1] * 4)


@check(
    "Think of a stamp. At each place the features decide what is on the stamp: `dim` kernels, weighted and added "
    "up. The stamp is pressed on the picture, and then moved on by the stride. What is already there stays.",
    "Make an image of zeros. For the place (row, col) the stamp has the shape (batch, colours, kernel, kernel). "
    "Give `features[:, :, row, col]` three more axes at the end, and `weight` one at the front; multiply, and sum "
    "over dim (or write it as an `einsum`). Add the stamp with `+=` to the square of the image whose upper left "
    "corner is (row * stride, col * stride).",
    gradient=(0,),
)
def transposed_convolution(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`transposed_convolution(features, weight, stride)` adds up a weighted kernel for each place."""
    layer = F.conv_transpose2d
    features, weight = (torch.randn(s, generator=rng) for s in ((2, 3, 3, 4), (3, 3, 3, 3)))
    want = layer(features, weight, stride=2)
    replaced = torch.zeros_like(want)
    for row in range(3):
        for col in range(4):
            square = layer(features[:, :, row : row + 1, col : col + 1], weight)
            replaced[:, :, 2 * row : 2 * row + 3, 2 * col : 2 * col + 3] = square
    summed = features.sum(1, keepdim=True), weight.sum(0, keepdim=True)
    mistakes = {
        "where the kernels overlap, the last one replaces the others: their values must be added": replaced,
        "the kernel is flipped: its upper left number is for the upper left pixel": (
            layer(features, weight.flip(2, 3), stride=2)
        ),
        "rows and columns of the kernel are swapped": layer(features, weight.mT, stride=2),
        "the first axis of `weight` is for the features, the second for the colours": (
            layer(features, weight.transpose(0, 1), stride=2)
        ),
        "the features are added up too early: each one has a kernel of its own": layer(*summed, stride=2),
        "the weighted kernels are averaged: add them up": want / 3,
        "only the first feature is used": layer(features[:, :1], weight[:1], stride=2),
        "all images are drawn from the first one's features": want[:1].repeat(2, 1, 1, 1),
        "the picture is cut off: the last kernel reaches beyond rows * stride": want[:, :, :6, :8],
        "the picture is too large: the last place starts at (rows - 1) * stride": F.pad(want, (0, 2, 0, 2)),
        "the stride is ignored: the next kernel starts `stride` pixels further": layer(features, weight),
        "the squares must move on by `stride`": F.pad(layer(features, weight), (0, 3, 0, 2)),
        "the kernels lie side by side: they start `stride` pixels apart, not `kernel`": (
            layer(features, weight, stride=3)
        ),
    }
    yield "draws two images with kernel 3 and stride 2", compare(answer(features, weight, 2), want, mistakes)

    for claim, kernel, stride in (
        ("takes another number of features than of colours", 4, 2),
        ("leaves gaps of 0 if the kernel is shorter than the stride", 2, 3),
    ):
        features, weight = (torch.randn(s, generator=rng) for s in ((1, 4, 2, 3), (4, 2, kernel, kernel)))
        yield claim, compare(answer(features, weight, stride), layer(features, weight, stride=stride))


@check(
    "Which numbers must the decoder be able to say, if black is about -2 and white about 2.5? And which numbers "
    "may a picture have? The two results answer to different needs.",
    "The loss gets the values as they are, with nothing at the end. For the picture undo the normalisation, "
    "channel by channel: times the deviation, plus the mean (both as (3, 1, 1)). What is then outside [0, 1] is "
    "cut off.",
    gradient=(0,),
)
def repaired_output(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`repaired_output(values, mean, std)` is what the loss gets, and the picture to show."""
    scene = draw_scenes(2, 32, generator=rng).pixels[:, :, :24] / 255
    scene += 0.02 * torch.randn(scene.shape, generator=rng)
    colours = 1.4 * (scene - scene.min()) / (scene.max() - scene.min()) - 0.2  # some below 0 and above 1
    mean, std = (low + 0.2 * torch.rand(3, generator=rng) for low in (0.4, 0.2))
    m, s = mean.view(3, 1, 1), std.view(3, 1, 1)
    values, want = (colours - m) / s, colours.clamp(0, 1)
    got = answer(values, mean, std)
    problem = None
    if not (isinstance(got, tuple | list) and len(got) == 2):
        problem = f"expected two tensors, the prediction and the picture; got {describe(got)}"
    problem = problem or form(got[0], values.shape, values.dtype) or form(got[1], values.shape, values.dtype)
    yield "returns two tensors of the shape of `values`", problem
    if problem:
        return

    mistakes = {
        "a Sigmoid keeps the prediction between 0 and 1, where most normalised colours are not": values.sigmoid(),
        "a tanh keeps the prediction between -1 and 1; many normalised colours lie outside": values.tanh(),
        "the prediction is cut off at 0 and 1, so it cannot reach most normalised colours": values.clamp(0, 1),
        "the prediction is no longer normalised, but the target of the loss is": colours,
        "the prediction is the picture: the loss compares it with *normalised* colours": want,
        "the prediction is normalised once more: the decoder gives normalised colours already": (values - m) / s,
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
        "the picture is cut off before the normalisation is undone, not after": (
            (values.clamp(0, 1) * s + m).clamp(0, 1)
        ),
        "colours below 0 or above 1 are left": colours,
        "this normalises once more instead of undoing it": ((values - m) / s).clamp(0, 1),
        "mean and std have changed places": (values * m + s).clamp(0, 1),
        "the mean is added before the product: undo the steps in the opposite order": (
            ((values + m) * s).clamp(0, 1)
        ),
    }
    yield "shows the colours, within [0, 1]", compare(got[1], want, mistakes, picture=True)


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
        "each square is mirrored: its rows and columns are swapped": "b (c j i) h w -> b c (h i) (w j)",
        "the pixels of a square are torn apart: they must be neighbours": "b (c i j) h w -> b c (i h) (j w)",
        "rows and columns of the map are swapped": "b (c i j) h w -> b c (w i) (h j)",
        "the picture is mirrored: height and width are swapped": "b (c i j) h w -> b c (w j) (h i)",
        "colours come before rows and columns: (batch, 3, height, width)": "b (c i j) h w -> b (h i) (w j) c",
    }
    wrong = {text: rearrange(channels, pattern, c=3, i=stride, j=stride) for text, pattern in patterns.items()}
    wrong |= {
        "a bare view or reshape moves no number: the axes must be reordered in between": channels.reshape(shape),
        "rows of the map and rows in the square are in the wrong order: `rows` comes right before the row in the "
        "square": rearrange(channels, "b (c i j) h w -> b c h w i j", c=3, i=stride).reshape(shape),
        "colour c starts at channel c * stride * stride": F.pixel_shuffle(channels[:, overlapping], stride),
        "the right part is empty: there are `cols` columns, not `rows`": F.pad(
            right[..., : rows * stride], (0, (cols - rows) * stride)
        ),
    }
    return wrong
