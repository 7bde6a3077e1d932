"""What `check.solution` prints and a lesson goes on with, where the package has no such function: by lesson.

Each function answers one "your turn" of a lesson, whose stub has the same signature and docstring.
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn

from simmim_lab import masking
from simmim_lab.shapes import Grid, Images, Mask

# Lesson 00: does the article's SimMIM work?


def error_per_hidden_value(printed: float, ratio: float) -> float:
    """The mean squared error over the hidden values alone.

    `printed` is the mean of the squared errors over all values, where the visible ones have the error 0. `ratio`
    is the share of the values that is hidden, more than 0 and at most 1.
    """
    return printed / ratio


def hidden_psnr(
    images: Float[Tensor, "batch 3 height width"],
    filled: Float[Tensor, "batch 3 height width"],
    hidden: Bool[Tensor, "batch 3 height width"],
) -> float:
    """The PSNR of the hidden values in dB: one number for the whole batch, infinity for a perfect fill.

    The values of `images` lie between 0 and 1. At least one value is hidden (True). What `filled` holds at visible
    places must not count, whatever it is, even NaN; at hidden places it is finite and counts as it is, also
    outside 0 and 1.
    """
    error = (filled - images)[hidden].square().mean()
    return -10 * torch.log10(error).item()


# Lesson 01: masking


def patchify(image: Float[Tensor, "3 height width"], patch: int) -> Float[Tensor, "patches values"]:
    """Cut an image into patches of `patch` x `patch` pixels: each becomes one row of a matrix.

    The patches come from left to right, then from top to bottom. The values of a patch come colour by colour, and
    each colour row by row, so there are 3 * patch * patch of them.
    """
    return rearrange(image, "c (rows p) (cols q) -> (rows cols) (c p q)", p=patch, q=patch)


def random_mask(batch: int, grid: Grid, ratio: float, generator: Generator) -> Mask:
    """Hide exactly ceil(ratio * rows * cols) patches of each image, drawn from `generator`.

    `grid` is (rows, cols), and `ratio` lies from 0 to 1. Each image is drawn on its own. True = hidden.
    """
    rows, cols = grid
    order = torch.rand(batch, rows * cols, generator=generator).argsort(dim=1)
    chosen = order[:, : math.ceil(ratio * rows * cols)]
    hidden = torch.zeros(batch, rows * cols, dtype=torch.bool).scatter(1, chosen, True)
    return hidden.view(batch, rows, cols)


def avg_dist(mask: Bool[Tensor, "batch height width"]) -> Float[Tensor, " batch"]:
    """The mean distance from the hidden pixels of each image to their nearest visible pixel.

    Distances are those of the straight line, in pixels. An image with nothing hidden has 0, one with nothing
    visible has infinity.
    """
    means = []
    for image in mask:
        hidden, visible = image.nonzero().float(), (~image).nonzero().float()
        if len(hidden) == 0:
            means.append(0.0)
        elif len(visible) == 0:
            means.append(math.inf)
        else:
            nearest = torch.cdist(hidden, visible).min(dim=1).values
            means.append(nearest.mean().item())
    return torch.tensor(means)


# Lesson 02: encoders


def blind_rows(height: int, field: int, stride: int) -> int:
    """The number of rows that are painted without seeing a visible row; the top half is hidden.

    A feature paints the `stride` rows of its cell, and sees `field` rows: its cell, and as many above as below.
    `height` is a multiple of `2 * stride`; `field - stride` is even and not negative. The result is 0 where every
    cell sees a visible row.
    """
    below = (field - stride) // 2
    cells = (height // 2 - below) // stride
    return max(0, cells * stride)


def attention(
    queries: Float[Tensor, "heads tokens dim"],
    keys: Float[Tensor, "heads tokens dim"],
    values: Float[Tensor, "heads tokens dim"],
    bias: Float[Tensor, "heads tokens tokens"],
) -> Float[Tensor, "heads tokens dim"]:
    """For each head and query the weighted mean of the values.

    A score is the dot product of a query and a key, divided by the root of `dim`, plus the bias of this pair; in
    `bias` the query comes first. Softmax makes the scores of each query its weights.
    """
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5 + bias
    return scores.softmax(dim=-1) @ values


def insert_mask_token(
    embedded: Float[Tensor, "batch tokens dim"],
    mask: Bool[Tensor, "batch rows cols"],
    token: Float[Tensor, " dim"],
    positions: Float[Tensor, "tokens dim"],
) -> Float[Tensor, "batch tokens dim"]:
    """The tokens that enter a Vision Transformer.

    Where the mask is True the mask token stands in place of the patch embedding; then each token gets the position
    of its place. Token `row * cols + col` belongs to `mask[:, row, col]`.
    """
    hidden = rearrange(mask, "batch rows cols -> batch (rows cols) 1")
    return torch.where(hidden, token, embedded) + positions


# Lesson 03: decoders


def pixel_shuffle(features: Float[Tensor, "batch channels rows cols"], stride: int) -> Images:
    """Lay out the channels of each place as a square of `stride` x `stride` pixels.

    There are 3 * stride * stride channels, in the order (colour, row, column): all reds of a square, row by row,
    then all greens, then all blues. The images have rows * stride x cols * stride pixels.
    """
    return rearrange(features, "b (c i j) rows cols -> b c (rows i) (cols j)", i=stride, j=stride)


def linear_head(
    features: Float[Tensor, "batch dim rows cols"],
    weight: Float[Tensor, "outputs dim"],
    bias: Float[Tensor, " outputs"],
    stride: int,
) -> Images:
    """Draw images as SimMIM's head does: a linear map at each place, then the pixel shuffle.

    `weight` has a row for each of the 3 * stride * stride outputs, and a column for each feature.
    """
    places = rearrange(features, "batch dim rows cols -> batch rows cols dim")
    outputs = rearrange(places @ weight.T + bias, "batch rows cols outputs -> batch outputs rows cols")
    return pixel_shuffle(outputs, stride)


def head_of_deconvolution(
    weight: Float[Tensor, "dim colours kernel kernel"], bias: Float[Tensor, " colours"]
) -> tuple[Float[Tensor, "outputs dim"], Float[Tensor, " outputs"]]:
    """Weight and bias of a linear head that draws what a deconvolution with these weights draws.

    The stride of the deconvolution is its kernel, so its squares do not overlap. The head has a row for each of
    its colours * kernel * kernel outputs, in the order (colour, row, column), and a column for each feature.
    """
    rows = rearrange(weight, "dim colours i j -> (colours i j) dim")
    return rows, bias.repeat_interleave(weight.shape[-1] ** 2)


# Lesson 04: the MSE loss


def masked_mse(
    prediction: Float[Tensor, "batch channels height width"],
    target: Float[Tensor, "batch channels height width"],
    mask: Bool[Tensor, "batch rows cols"],
) -> Float[Tensor, ""]:
    """The mean squared error over the hidden values of the whole batch; 0 if nothing is hidden.

    `mask` has an entry for each patch, True = hidden; patches are squares, and their side follows from the shapes.
    What the prediction says at visible places changes neither loss nor gradient, even if it is infinite there.
    At hidden places an infinite or nan value must show: the loss is not finite then.
    """
    channels, height = target.shape[1:3]
    hidden = masking.to_pixels(mask, height // mask.shape[1])
    errors = (prediction - target).masked_fill(~hidden[:, None], 0)
    return errors.square().sum() / (hidden.sum() + 1e-5) / channels


def loss_gradient(
    prediction: Float[Tensor, "batch channels height width"],
    target: Float[Tensor, "batch channels height width"],
    mask: Bool[Tensor, "batch rows cols"],
) -> Float[Tensor, "batch channels height width"]:
    """The gradient of `masked_mse` with respect to the prediction, by a formula.

    It has a number for each value of the prediction: how fast the loss grows when this value grows. All values are
    finite.
    """
    channels, height = target.shape[1:3]
    hidden = masking.to_pixels(mask, height // mask.shape[1])
    count = hidden.sum() * channels + 1e-5
    return (2 * (prediction - target) / count).masked_fill(~hidden[:, None], 0)


def best_constant(values: Float[Tensor, " n"], loss: str) -> float:
    """The one answer to all `values` whose mean loss is smallest; `loss` is "mse" or "l1".

    It is the number itself, not the nearest of a grid, and the values may be any numbers. Where several answers
    are equally good (L1, if n is even), any of them will do.
    """
    return (values.mean() if loss == "mse" else values.median()).item()


# Lesson 05: training


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, ...],
    *,
    lr: float,
    clip: float,
) -> float:
    """Update the weights once, and return the loss before the update.

    `model(*batch)` returns (loss, prediction). All groups of the optimizer learn at the rate `lr`.
    A gradient longer than `clip` is shortened to this length; all parameters together are one vector.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    loss, _ = model(*batch)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


# Lesson 06: training on a GPU


def training_memory(parameters: int, optimizer: str, ema: bool) -> int:
    """The bytes of weights, gradients, the optimizer's numbers and the average of the weights.

    `parameters` is how many the model has, all of them trained. `optimizer` is "adamw" or "sgd"
    (with momentum). `ema` says whether an average of the weights is kept.
    """
    numbers = 2 + {"adamw": 2, "sgd": 1}[optimizer] + ema
    return 4 * numbers * parameters


def accumulated_gradient(gradient: Callable[[Tensor], Tensor], batch: Tensor, parts: int) -> Tensor:
    """The gradient of the mean loss over a batch, worked off in `parts` parts of equal size.

    `gradient(images)` is that of the mean loss over some images: a tensor, always of one shape.
    `batch` has the images along its first axis. Only len(batch) / parts fit into memory at a time.
    """
    return sum(gradient(part) for part in batch.chunk(parts)) / parts


# Lesson 07: what it learned


def nearest(
    queries: Float[Tensor, "queries numbers"], vectors: Float[Tensor, "images numbers"], count: int
) -> Int64[Tensor, "queries count"]:
    """The numbers (places) of the `count` vectors that are nearest to each query, the nearest first.

    Near is a small Euclidean distance. The vectors are counted from 0, and there are at least `count` of them.
    """
    return torch.cdist(queries, vectors).argsort(dim=1)[:, :count]


def attentive_pool(
    tokens: Float[Tensor, "batch tokens dim"], query: Float[Tensor, " dim"]
) -> Float[Tensor, "batch dim"]:
    """A weighted mean of the tokens of each image, in which a token counts the more, the better it fits `query`.

    The fit is the scalar product of token and query, divided by the root of `dim`; the weights are the softmax of
    the fits over the tokens of the image, so they are positive and add up to 1.
    """
    weights = (tokens @ query / query.shape[0] ** 0.5).softmax(dim=1)
    return (weights[:, :, None] * tokens).sum(dim=1)


# Lesson 08: inpainting and editing


def window_starts(length: int, size: int, stride: int) -> list[int]:
    """Where the windows along a side of `length` pixels start, in ascending order.

    The first starts at 0, and each next one `stride` pixels farther, as long as the whole window lies on the side.
    If the last one does not reach the end, one more window is added that ends there. A side that is no
    longer than a window has one window, at 0. All numbers are at least 1, and `stride` is at most `size`.
    """
    last = max(0, length - size)
    return [*range(0, last, stride), last]


def blend(
    windows: Float[Tensor, "windows 3 size size"],
    corners: list[tuple[int, int]],
    weight: Float[Tensor, "size size"],
    height: int,
    width: int,
) -> Float[Tensor, "3 height width"]:
    """The picture that overlapping windows make: at each pixel the weighted mean of all windows that cover it.

    `corners` has the row and the column of the upper left pixel of each window. `weight`, more than 0
    everywhere, says how much a pixel counts by its place in the window, and is the same for all windows. Each
    pixel of the picture is covered by at least one window.
    """
    size = len(weight)
    total, weights = torch.zeros(3, height, width), torch.zeros(height, width)
    for window, (top, left) in zip(windows, corners, strict=True):
        rows, cols = slice(top, top + size), slice(left, left + size)
        total[:, rows, cols] += window * weight
        weights[rows, cols] += weight
    return total / weights


def halve(
    image: Float[Tensor, "3 height width"], hidden: Bool[Tensor, "height width"]
) -> tuple[Float[Tensor, "3 rows cols"], Bool[Tensor, "rows cols"]]:
    """The picture at half its size, and the mask there. Height and width are even.

    Four pixels, a square of 2 x 2, become one: the mean of those that are visible. What is hidden must not
    count, whatever it is, even NaN. Where all four are hidden, the new pixel is hidden (True), and grey, 0.5.
    """
    visible = image.masked_fill(hidden, math.nan)
    squares = rearrange(visible, "c (rows i) (cols j) -> c rows cols (i j)", i=2, j=2)
    return squares.nanmean(dim=-1).nan_to_num(0.5), squares[0].isnan().all(dim=-1)


# Lesson 09: generation


def nearest_codes(
    patches: Float[Tensor, "patches values"], codebook: Float[Tensor, "codes values"]
) -> Int64[Tensor, " patches"]:
    """For each patch the code whose patch in the codebook is nearest, by the sum of squared differences.

    A code is a row of `codebook`, counted from 0. All numbers lie in [0, 1].
    """
    return torch.cdist(patches, codebook).argmin(dim=1)


def unmask(
    codes: Int64[Tensor, "batch tokens"],
    mask: Bool[Tensor, "batch tokens"],
    drawn: Int64[Tensor, "batch tokens"],
    confidence: Float[Tensor, "batch tokens"],
    left: int,
) -> tuple[Int64[Tensor, "batch tokens"], Bool[Tensor, "batch tokens"]]:
    """One decoding step: the codes after it, and which tokens are hidden after it.

    `mask` is True where a token is hidden. Hidden tokens take their `drawn` codes, but in each picture those
    `left` hidden tokens with the least `confidence` stay hidden, of equals any; their codes do not matter. A known
    token keeps its code and stays known, however low its confidence. At least `left` tokens are hidden in each
    picture.
    """
    order = confidence.masked_fill(~mask, math.inf).argsort(dim=1)  # the least confident first
    hidden = torch.zeros_like(mask).scatter(1, order[:, :left], True)
    return torch.where(mask, drawn, codes), hidden
