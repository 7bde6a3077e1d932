"""Masks: which parts of an image the model must guess (lesson 01).

A mask is a boolean tensor on a grid of patches, **True = hidden**, as in the paper. The strategies take the same
arguments and draw on *cells*: squares of `cell` x `cell` patches that are hidden or shown together.

    random_mask     exactly ceil(ratio * cells) cells: the paper's
    bernoulli_mask  a coin flip for every cell
    block_mask      rectangles: BEiT's
    grid_mask       all but a regular lattice
    half_mask       the top rows: the article's completion
    center_mask     a rectangle in the middle
    stroke_mask     free-form brush strokes
    mixture_mask    every image draws one of the strategies

`uniform_mask` is the article's training mask, which hides single values of single channels.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from simmim_lab.shapes import Grid, Mask, check_boolean

RECTANGLES = 24  # that block_mask draws for each image: enough up to a ratio of about 0.7


def random_mask(
    batch: int, grid: Grid, ratio: float = 0.6, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Hide exactly ceil(ratio * cells) cells of every image, each image drawn on its own.

    `grid` is (rows, cols) in patches and `ratio` lies in [0, 1]. The count follows the official code with its
    rounding: `ceil(100 * 0.55)` is 56, since 0.55 is stored a little too large. The mask is on the generator's
    device.
    Raises ValueError for a ratio outside [0, 1] or a cell that does not divide the grid; so do all strategies.
    Source: SimMIM §3.2 and its `data_simmim.py` (32-pixel cells, ratio 0.6).
    """
    rows, cols = _cells(grid, ratio, cell)
    return _hide_smallest(_rand(batch, rows, cols, generator=generator), ratio, cell)


def bernoulli_mask(
    batch: int, grid: Grid, ratio: float = 0.6, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Hide each cell with probability `ratio`: the count differs from image to image. Source: article §4.1."""
    rows, cols = _cells(grid, ratio, cell)
    return _enlarge(_rand(batch, rows, cols, generator=generator) < ratio, cell)


def block_mask(
    batch: int, grid: Grid, ratio: float = 0.6, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Hide rectangles until exactly ceil(ratio * cells) cells are hidden; the last one is cut to fit.

    A rectangle has between 16 cells (fewer when fewer are left, more on large grids) and all cells still to hide,
    and an aspect ratio between 0.3 and 1 / 0.3. Above a ratio of about 0.7 single cells make up the rest. All are
    drawn at once, as if they did not overlap: BEiT draws one after the other, with the same look (a test compares
    them) but in hundreds of steps, which is slow on a GPU.
    Source: BEiT, algorithm 1 and its `masking_generator.py`.
    """
    rows, cols = _cells(grid, ratio, cell)
    count = math.ceil(ratio * (rows * cols))
    area, shape, y, x = _rand(4, batch, RECTANGLES, generator=generator)
    left = count * F.pad((1 - area).cumprod(1), (1, -1), value=1.0)  # before each rectangle
    area = torch.lerp(left.clamp(max=16), left, area).clamp(min=rows * cols / RECTANGLES)
    aspect = 0.3 ** (1 - 2 * shape)
    height = (area * aspect).sqrt().round().clamp(1, rows)
    width = (area / aspect).sqrt().round().clamp(1, cols)
    top, first = (y * (rows + 1 - height)).floor(), (x * (cols + 1 - width)).floor()

    row, col = (_arange(n, generator) for n in (rows, cols))
    inside_rows = (row >= top[..., None]) & (row < (top + height)[..., None])
    inside_cols = (col >= first[..., None]) & (col < (first + width)[..., None])
    inside = inside_rows[..., :, None] & inside_cols[..., None, :]  # (batch, rectangles, rows, cols)
    number = torch.arange(RECTANGLES, dtype=torch.uint8, device=_device(generator))[:, None, None]
    covered = torch.where(inside, number, RECTANGLES).amin(1)  # the first rectangle that covers a cell
    upwards, anywhere = _rand(batch, 1, 1, generator=generator), _rand(batch, rows, cols, generator=generator)
    place = _arange(rows * cols, generator).view(rows, cols) / (rows * cols)
    place = torch.where(upwards < 0.5, 1 - place, place)  # the last rectangle is filled from its top or its foot
    place = torch.where(covered < RECTANGLES, place, anywhere)
    return _hide_smallest(covered + place / 2, ratio, cell)


def grid_mask(
    batch: int, grid: Grid, ratio: float = 0.75, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Show one cell of every k x k cells, at an offset drawn for each image; hide the rest.

    k is 1 / sqrt(1 - ratio), rounded, and at least 2: up to a ratio of 0.8 it is 2, which hides three quarters;
    0.9 gives 3. Source: MAE §4.1 ("grid-wise sampling").
    """
    rows, cols = _cells(grid, ratio, cell)
    every = max(2, round((1 - min(ratio, 0.99)) ** -0.5))
    dy, dx = torch.randint(every, (2, batch, 1), generator=generator, device=_device(generator))
    row, col = (_arange(n, generator) for n in (rows, cols))
    shown_rows, shown_cols = (row + dy) % every == 0, (col + dx) % every == 0
    return _enlarge(~(shown_rows[:, :, None] & shown_cols[:, None, :]), cell)


def half_mask(
    batch: int, grid: Grid, ratio: float = 0.5, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Hide the top ceil(ratio * rows) rows and keep the rest: what the article completes (§5)."""
    rows, cols = _cells(grid, ratio, cell)
    hidden = _arange(rows, generator) < math.ceil(ratio * rows)
    return _enlarge(repeat(hidden, "rows -> batch rows cols", batch=batch, cols=cols), cell)


def center_mask(
    batch: int, grid: Grid, ratio: float = 0.25, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Hide a centred rectangle of about `ratio` of the area, with the proportions of the grid.

    Its sides are rounded down to what can be centred: on a grid of 2 x 2 cells a ratio of 0.5 hides nothing.
    """
    rows, cols = _cells(grid, ratio, cell)
    inside_rows, inside_cols = (
        torch.arange(1 - n, n, 2, device=_device(generator)).abs() < round(n * ratio**0.5) for n in (rows, cols)
    )
    return _enlarge(repeat(inside_rows[:, None] & inside_cols, "r c -> batch r c", batch=batch), cell)


def stroke_mask(
    batch: int, grid: Grid, ratio: float = 0.3, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Hide three brush strokes of four straight pieces each, thick enough to cover ceil(ratio * cells) cells.

    Source: the idea of free-form masks in DeepFill v2 (§3.4), drawn here as distances to line segments.
    """
    rows, cols = _cells(grid, ratio, cell)
    start = _rand(batch, 3, 1, 2, generator=generator)
    turns = (_rand(batch, 3, 4, 2, generator=generator) - 0.5) * 0.6
    corners = torch.cat([start, start + turns.cumsum(2)], dim=2).clamp(0, 1)
    corners = torch.stack([corners[..., 0] * rows, corners[..., 1] * cols], dim=-1)
    row, col = (_arange(n, generator) + 0.5 for n in (rows, cols))
    centers = torch.stack(torch.meshgrid(row, col, indexing="ij"), dim=-1)
    begin, piece = (
        rearrange(part, "n s p yx -> n (s p) 1 1 yx") for part in (corners[:, :, :-1], corners.diff(dim=2))
    )
    along = ((centers - begin) * piece).sum(-1) / piece.square().sum(-1).clamp(min=1e-6)
    nearest = begin + along.clamp(0, 1)[..., None] * piece
    distance = (centers - nearest).norm(dim=-1).amin(1)
    return _hide_smallest(distance, ratio, cell)


def mixture_mask(
    batch: int, grid: Grid, ratio: float = 0.6, cell: int = 1, *, generator: Generator | None = None
) -> Mask:
    """Draw for each image one of `random_mask`, `block_mask`, `half_mask`, `center_mask` and `stroke_mask`.

    The random and block masks hide `ratio`; the others keep their own default. For models that shall repair
    holes of any kind (lesson 08).
    """
    cells = _cells(grid, ratio, cell)
    masks = [strategy(batch, cells, ratio, generator=generator) for strategy in (random_mask, block_mask)]
    masks += [strategy(batch, cells, generator=generator) for strategy in (half_mask, center_mask, stroke_mask)]
    return _enlarge(pick_masks(masks, generator=generator), cell)


STRATEGIES: dict[str, Callable[..., Mask]] = {
    "random": random_mask,
    "bernoulli": bernoulli_mask,
    "block": block_mask,
    "grid": grid_mask,
    "half": half_mask,
    "center": center_mask,
    "stroke": stroke_mask,
    "mixture": mixture_mask,
}


def pick_masks(masks: list[Mask], *, generator: Generator | None = None) -> Mask:
    """Draw for each image which of several batches of masks its own comes from."""
    batch = len(masks[0])
    choice = torch.randint(len(masks), (batch,), generator=generator, device=_device(generator))
    return torch.stack(masks)[choice, _arange(batch, generator)]


def uniform_mask(
    batch: int, grid: Grid, *, generator: Generator | None = None
) -> Bool[Tensor, "batch 3 height width"]:
    """Hide every value of every channel on its own with a uniform draw from {0, 1}.

    This is `torch.randint(0, 2, x.shape)` of the article (§5): the ratio is one half, and a hidden red value
    mostly has a visible green or blue one beside it. `grid` is (height, width) in pixels.
    """
    return torch.randint(2, (batch, 3, *grid), generator=generator, device=_device(generator)).bool()


def to_pixels(mask: Mask, patch: int) -> Bool[Tensor, "batch height width"]:
    """Enlarge a mask from the patch grid to pixels: each entry becomes a `patch` x `patch` square."""
    return repeat(mask, "batch rows cols -> batch (rows p) (cols q)", p=patch, q=patch)


def avg_dist(mask: Bool[Tensor, "batch height width"]) -> Float[Tensor, " batch"]:
    """AvgDist: the mean distance from a hidden pixel to its nearest visible pixel, per image.

    Euclidean, in the units of the mask: pass `to_pixels(mask, patch)` for pixels. An image with nothing hidden
    has 0, one with nothing visible has infinity. Source: SimMIM §4.1.2; it finds 10 to 20 pixels best at 192².
    """
    from scipy.ndimage import distance_transform_edt  # importing it costs more than this package

    means = []
    for hidden in mask.cpu().numpy():
        distances = distance_transform_edt(hidden)
        visible = hidden.size - hidden.sum()
        means.append(math.inf if visible == 0 else distances.sum() / max(hidden.sum(), 1))
    return torch.tensor(means, dtype=torch.float32)


def check_mask(mask: Tensor, batch: int, grid: Grid) -> None:
    """Raise TypeError or ValueError unless `mask` is a boolean tensor of shape (batch, rows, cols)."""
    check_boolean(mask)
    if mask.shape != (batch, *grid):
        raise ValueError(
            f"the mask must have shape {(batch, *grid)} (batch, rows, cols), but has {tuple(mask.shape)}"
        )


def _cells(grid: Grid, ratio: float, cell: int) -> Grid:
    """The grid counted in cells, after a check of the arguments."""
    rows, cols = grid
    if not 0 <= ratio <= 1:
        raise ValueError(f"the mask ratio must lie between 0 and 1, but is {ratio}")
    if cell < 1 or rows % cell or cols % cell:
        raise ValueError(f"cells of {cell} x {cell} patches do not tile a grid of {rows} x {cols} patches")
    return rows // cell, cols // cell


def _hide_smallest(score: Float[Tensor, "batch rows cols"], ratio: float, cell: int) -> Mask:
    """Hide in each image the ceil(ratio * cells) cells with the smallest scores."""
    batch, rows, cols = score.shape
    order = score.flatten(1).argsort(dim=1)
    hidden = torch.zeros_like(order, dtype=torch.bool)
    hidden.scatter_(1, order[:, : math.ceil(ratio * (rows * cols))], True)
    return _enlarge(hidden.view(batch, rows, cols), cell)


def _enlarge(mask: Mask, cell: int) -> Mask:
    return to_pixels(mask, cell) if cell > 1 else mask


def _device(generator: Generator | None) -> torch.device:
    return generator.device if generator else torch.device("cpu")


def _arange(n: int, generator: Generator | None) -> Tensor:
    return torch.arange(n, device=_device(generator))


def _rand(*shape: int, generator: Generator | None) -> Tensor:
    return torch.rand(*shape, generator=generator, device=_device(generator))
