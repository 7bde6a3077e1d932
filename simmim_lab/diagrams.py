"""Diagrams: the model and its parts, drawn by code (all lessons).

Each function returns a figure and its alt text: a lesson writes `plots.show(*diagrams.pipeline("masking"))`.
Places and sizes are in inches, of which a notebook shows 100 pixels each.
"""

from typing import TYPE_CHECKING, Any

from torch import Generator

from simmim_lab import plots
from simmim_lab.common import choose
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.masking import random_mask, to_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.8
LINE = {"edgecolor": "black", "linewidth": 1}
MARK = {"edgecolor": plots.VERMILLION, "linewidth": 3}
STEP = "#DCEAF4"  # the fill of what computes; data are white or a picture

Point = tuple[float, float]

BOXES = ("image", "patches", "mask", "encoder", "decoder", "loss")
# for each lesson its part of the pipeline, in words and in what is marked
PARTS = {
    "start_here": ("all of it", BOXES),
    "masking": ("patches and mask", ("patches", "mask")),
    "encoders": ("the encoder", ("encoder",)),
    "decoders": ("the decoder", ("decoder",)),
    "mse_loss": ("the loss", ("loss",)),
    "training": ("the training loop", ("training",)),
    "gpu_training": ("all of it, and fast", (*BOXES, "training")),
}


def pipeline(here: str, size: int = 32, patch: int = 4, dim: int = 64) -> tuple["Figure", str]:
    """SimMIM from an image to the loss, with the shapes of a batch of B; the part of lesson `here` is marked.

    `size` and `patch` are sides in pixels, `dim` is the number of channels of the features.
    """
    part, marked = choose(here, PARTS, "lesson")
    grid = size // patch
    images, mask, features = f"(B, 3, {size}, {size})", f"(B, {grid}, {grid})", f"(B, {dim}, {grid}, {grid})"
    patches, tokens = f"(B, {grid**2}, {3 * patch**2})", f"(B, {grid**2}, {dim})"
    shapes = dict(zip(BOXES, (images, patches, tokens, features, images), strict=False))
    loss = "mean error\non hidden\npixels"
    texts = {"encoder": "ViT", "decoder": "linear map,\npixel shuffle", "loss": loss}

    plot, bottom, side, step = canvas(2.9), 0.98, 0.9, 1.532
    left = {name: 0.12 + step * place for place, name in enumerate(BOXES)}
    for name, x in left.items():
        box(plot, (x, bottom), (side, side), texts.get(name, ""), title=name, **MARK if name in marked else {})
        if name not in texts:
            _scene(plot, (x + 0.05, bottom + 0.05), side - 0.1, size, patch, name)
    for name, shape in shapes.items():
        arrow(plot, (left[name] + side, 1.4), (left[name] + step, 1.4))
        write(plot, (left[name] + (side + step) / 2, 1.46), _halved(shape), ha="center")
    for start, end, height, text in (
        ("image", 0.65, 0.2, f"target: the images, {images}"),
        ("mask", 0.25, 0.6, f"mask: {mask}, True where hidden"),
    ):
        x, to = left[start] + side / 2, left["loss"] + end
        arrow(plot, (x, bottom), (x, height), (to, height), (to, bottom))
        write(plot, (x + 0.1, height + 0.06), text)

    encoder, decoder, loss = (left[name] + side / 2 for name in texts)
    loop = MARK | {"facecolor": plots.VERMILLION} if "training" in marked else {}
    arrow(plot, (loss, 2.18), (loss, 2.5), (encoder, 2.5), (encoder, 2.18), **loop)
    arrow(plot, (decoder, 2.5), (decoder, 2.18), **loop)
    write(plot, (loss, 2.58), "training: the gradient changes the weights; next batch", ha="right")
    write(plot, (left["image"], 2.45), f"You are here: {part}", size=11, weight="bold", color=plots.VERMILLION)
    return plot.figure, (
        "Boxes in a row, each with an arrow to the next and the shape that it passes on: "
        f"{', '.join(f'{name} {shape}' for name, shape in shapes.items())}, loss. The loss also gets the images, "
        f"as target, and the mask {mask}; its gradient goes back to decoder and encoder. You are here: {part}."
    )


def canvas(height: float) -> "Axes":
    """An empty drawing as wide as the page of a lesson; one unit is one inch."""
    from matplotlib.figure import Figure

    plot = Figure((WIDTH, height), dpi=plots.DPI).add_axes((0, 0, 1, 1))
    plot.set(xlim=(0, WIDTH), ylim=(0, height), autoscale_on=False)
    plot.axis("off")
    return plot


def box(
    plot: "Axes", corner: Point, size: Point, text: str = "", *, title: str = "", fill: str = STEP, **line: Any
) -> None:
    """A rounded box from its lower left corner, with a text in it and a title above."""
    from matplotlib.patches import FancyBboxPatch

    (x, y), (wide, high) = corner, size
    rounded = "round,pad=0,rounding_size=0.06"
    plot.add_patch(FancyBboxPatch(corner, wide, high, boxstyle=rounded, facecolor=fill, **LINE | line))
    write(plot, (x + wide / 2, y + high / 2), text, ha="center", va="center")
    write(plot, (x + wide / 2, y + high + 0.06), title, size=10, weight="bold", ha="center")


def arrow(plot: "Axes", *points: Point, **line: Any) -> None:
    """An arrow through the points."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    line = {**LINE, "facecolor": "black"} | line
    plot.add_patch(FancyArrowPatch(path=Path(points), arrowstyle="-|>", mutation_scale=12, **line))


def write(plot: "Axes", place: Point, text: str, **style: Any) -> None:
    """A text that begins at the place and stands on it; `style` is matplotlib's."""
    plot.text(*place, text, **{"size": 9, "va": "bottom"} | style)


def _halved(shape: str) -> str:
    """A shape in two lines, which fits over a short arrow."""
    sizes = shape.split(", ")
    return ", ".join(sizes[:2]) + ",\n" + ", ".join(sizes[2:])


def _scene(plot: "Axes", corner: Point, side: float, size: int, patch: int, name: str) -> None:
    """A drawn scene: the image whole, in patches, or with a mask."""
    generator, zoom = Generator().manual_seed(8), 8
    image = plots.enlarge(draw_scenes(1, size, generator=generator).pixels / 255, zoom)
    if name == "mask":
        mask = random_mask(1, (size // patch, size // patch), 0.6, generator=generator)
        image = plots.stripe(image, to_pixels(mask, patch), zoom)
    (x, y), border = corner, {"color": "white", "linewidth": 1, "zorder": 3}
    plot.imshow(image[0].numpy(), extent=(x, x + side, y, y + side), aspect="auto", zorder=2)
    if name != "image":
        cuts = [side * place / size for place in range(patch, size, patch)]
        plot.hlines([y + cut for cut in cuts], x, x + side, **border)
        plot.vlines([x + cut for cut in cuts], y, y + side, **border)
