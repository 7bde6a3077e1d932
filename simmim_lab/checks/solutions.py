"""What `check.solution` prints and a lesson goes on with, where the package has no such function: by lesson.

Each function answers one "your turn" of a lesson, whose stub has the same signature and docstring.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Generator, Tensor

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
