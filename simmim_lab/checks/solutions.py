"""What `check.solution` prints and a lesson goes on with, where the package has no such function: by lesson.

Each function answers one "your turn" of a lesson, whose stub has the same signature and docstring.
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from simmim_lab import masking
from simmim_lab.shapes import Grid, Mask

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


# Lesson 04: the MSE loss


def masked_mse(
    prediction: Float[Tensor, "batch channels height width"],
    target: Float[Tensor, "batch channels height width"],
    mask: Bool[Tensor, "batch rows cols"],
) -> Float[Tensor, ""]:
    """The mean squared error over the hidden values of the whole batch; 0 if nothing is hidden.

    `mask` has an entry for each patch, True = hidden; patches are squares, and their side follows from the shapes.
    What the prediction says at visible places does not matter, even if it is infinite there.
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
