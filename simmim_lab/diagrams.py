"""Diagrams: the model and its parts, drawn by code (all lessons).

Each function returns a figure and its alt text: a lesson writes `plots.show(*diagrams.pipeline("masking"))`.
Places and sizes are in inches, of which a notebook shows 100 pixels each.
"""

from itertools import cycle, pairwise, product
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
TINTS = RED, GREEN, BLUE, YELLOW = "#F8DFD0", "#D3EDE4", "#DCEAF4", "#FAF1C6"

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
    "what_it_learned": ("the encoder, after training", ("encoder",)),
    "inpainting_and_editing": ("all but the loss, in use", ("image", "patches", "mask", "encoder", "decoder")),
    "generation": ("a code for each patch, drawn", ("decoder", "loss")),
    "pretrained_models": ("the weights, in and out", ("encoder", "decoder")),
    "the_mim_family": ("another choice for each part", ("mask", "encoder", "decoder", "loss")),
}

# The papers of the field that lesson 11 speaks of, by kind of work and by their numbers on arXiv.
FIELD = {
    "targets and\nteachers": {
        "BEiT": "2106.08254",
        "MAE": "2111.06377",
        "iBOT": "2111.07832",
        "SimMIM": "2111.09886",
        "MaskFeat": "2112.09133",
        "data2vec": "2202.03555",
        "I-JEPA": "2301.08243",
        "DINOv2": "2304.07193",
        "CrossMAE": "2401.14391",
        "l-DAE": "2401.14404",
        "DINOv3": "2508.10104",
    },
    "masks": {"ADIOS": "2201.13100", "AttMask": "2203.12719", "HPM": "2304.05919"},
    "CNNs": {"A2MIM": "2205.13943", "ConvNeXt V2": "2301.00808", "SparK": "2301.03580"},
    "video and\npairs": {
        "VideoMAE": "2203.12602",
        "Painter": "2212.02499",
        "V-JEPA": "2404.08471",
        "V-JEPA 2": "2506.09985",
    },
    "drawing": {
        "MaskGIT": "2202.04200",
        "MAGE": "2211.09117",
        "Muse": "2301.00704",
        "DiffMAE": "2304.03283",
        "RCG": "2312.03701",
        "MAR": "2406.11838",
    },
}


def pipeline(here: str, patch: int = 4) -> tuple["Figure", str]:
    """SimMIM from an image to the loss, with the shapes of a batch of B; the part of lesson `here` is marked.

    The sizes are those of "vit_nano", or of the same with another `patch`, a side in pixels.
    """
    part, marked = choose(here, PARTS, "lesson")
    size, dim = 32, 64
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


def vit_block() -> tuple["Figure", str]:
    """A block of the course's ViT `vit_nano`: attention, then an MLP, each behind a LayerNorm and a residual."""
    plot, low, high, middle = canvas(2.05), 0.25, 0.95, 0.725
    halves = (
        (0.75, "attention", "each token\nlooks at all\ntokens", 1.1),
        (4.7, "MLP", "each token alone:\n64 → 256, GELU,\n256 → 64", 1.35),
    )
    for left, name, text, wide in halves:
        norm, step = left + 0.4, left + 1.65
        plus = step + wide + 0.25
        box(plot, (norm, low), (0.95, high), "each token:\nmean 0,\nvariance 1", title="LayerNorm")
        box(plot, (step, low), (wide, high), text, title=name)
        box(plot, (plus, middle - 0.13), (0.26, 0.26), "+", fill="white")
        for start, end in (norm + 0.95, step), (step + wide, plus):
            arrow(plot, (start, middle), (end, middle))
        over, onto = left + 0.2, plus + 0.13
        arrow(plot, (over, middle), (over, 1.65), (onto, 1.65), (onto, middle + 0.13))
        write(plot, (over + 0.1, 1.71), "what came in is added (residual)")
    for start, end in (0.1, 1.15), (4.01, 5.1), (8.21, 8.7):
        arrow(plot, (start, middle), (end, middle))
    for x, y in (0.06, middle + 0.06), (4.1, middle - 0.22):
        write(plot, (x, y), "(B, 64, 64)")
    return plot.figure, (
        "Boxes in a row. Tokens (B, 64, 64) go through LayerNorm and attention, and what came in is added (+); "
        "then through LayerNorm and an MLP (64 → 256, GELU, 256 → 64), and what came in is added again (+). The "
        "shape stays."
    )


def swin_windows() -> tuple["Figure", str]:
    """The windows of a Swin on 8 x 8 tokens, where the next block has them, and how it computes with them."""
    panels = {  # from where to where the regions reach, in rows as in columns
        "windows of 4 × 4": [(0, 4), (4, 8)],
        "shifted by 2": [(0, 2), (2, 6), (6, 8)],
        "rolled by 2": [(6, 8), (0, 4), (4, 6)],
    }
    notes = (
        "tokens look at the others\nin their window",
        "the next block: new borders,\n9 windows of unequal size",
        "4 windows of equal size: in each,\nonly equal letters look at each other",
    )
    plot, low, cell = canvas(3.1), 0.55, 0.27
    side = 8 * cell
    for number, ((title, spans), note) in enumerate(zip(panels.items(), notes, strict=True)):
        left = 0.4 + 2.95 * number
        for (row, (top, bottom)), (col, (start, end)) in product(enumerate(spans), repeat=2):
            window, names = (2 * row + col, "1234") if number == 0 else (2 * (row != 1) + (col != 1), "ABCDEFGHI")
            x, y, wide, high = (cell * n for n in (start, 8 - bottom, end - start, bottom - top))
            box(plot, (left + x, low + y), (wide, high), names[len(spans) * row + col], fill=TINTS[window])
            inside = {"color": "white", "linewidth": 1}
            plot.vlines([left + cell * n for n in range(start + 1, end)], low + y, low + y + high, **inside)
            plot.hlines(
                [low + side - cell * n for n in range(top + 1, bottom)], left + x, left + x + wide, **inside
            )
        write(plot, (left + side / 2, low + side + 0.08), title, size=10, weight="bold", ha="center")
        write(plot, (left + side / 2, low - 0.08), note, ha="center", va="top")
        if number:
            arrow(plot, (left - 0.69, low + side / 2), (left - 0.1, low + side / 2))
    return plot.figure, (
        "Three grids of 8 × 8 tokens. Windows of 4 × 4: four windows, 1 to 4. Shifted by 2: the borders lie at 2 "
        "and 6 and leave nine regions, A to I, in rows of three; the middle one, E, has 4 × 4 tokens. Rolled by "
        "2: the first two rows and columns have moved to the end, and the four windows of 4 × 4 hold E; F and D; "
        "H and B; I, G, C and A."
    )


def receptive_field() -> tuple["Figure", str]:
    """The article's CNN in one dimension: which values of each layer, and which pixels, reach one feature."""
    rows = (  # pixels per value; the first and the last value that reach the feature
        ("features: max pooling 2 × 2", "1 feature", 4, 1, 1),
        ("convolution 3 × 3", "2 × 2 values", 2, 2, 3),
        ("max pooling 2 × 2", "4 × 4 values", 2, 1, 4),
        ("convolution 3 × 3", "8 × 8 values", 1, 2, 9),
        ("pixels of the image", "10 × 10 pixels", 1, 1, 10),
    )
    plot, left, pixel, high, step = canvas(2.75), 2.2, 0.3, 0.28, 0.53
    edges = []
    for number, (name, reach, stride, first, last) in enumerate(rows):
        y, wide = 2.3 - step * number, pixel * stride
        for place in range(16 // stride):
            fill = BLUE if first <= place <= last else "white"
            box(plot, (left + place * wide, y), (wide, high), fill=fill)
        write(plot, (left - 0.12, y + high / 2), name, ha="right", va="center")
        write(plot, (left + 16 * pixel + 0.12, y + high / 2), reach, va="center", weight="bold")
        edges.append((left + first * wide, left + (last + 1) * wide, y))
    for (start, end, above), (to_start, to_end, below) in pairwise(edges):
        corners = [start, end, to_end, to_start], [above, above, below + high, below + high]
        plot.fill(*corners, BLUE, zorder=0)
    return plot.figure, (
        "Rows of values, the features on top and the pixels of the image at the bottom. 1 feature of the second "
        "max pooling 2 × 2 comes from 2 × 2 values of the second convolution 3 × 3, these from 4 × 4 values of "
        "the first max pooling, these from 8 × 8 values of the first convolution, and these from 10 × 10 pixels."
    )


def linear_head() -> tuple["Figure", str]:
    """SimMIM's head at one place, with stride 2: 64 features become 12 numbers, and these 2 x 2 pixels."""
    plot, low = canvas(2.95), 0.4
    cells = ["x₀", "x₁", "x₂", "…", "x₆₃"]
    for place, text in enumerate(cells):
        box(plot, (0.35, low + 2.16 - 0.432 * (place + 1)), (0.5, 0.432), text)
    box(plot, (1.65, low + 0.68), (1.25, 0.8), "12 × 64 weights,\n12 biases", title="linear map")
    middle = low + 1.08
    for start, end in (0.85, 1.65), (2.9, 3.6):
        arrow(plot, (start, middle), (end, middle))

    for colour, (name, tint) in enumerate(zip(("red", "green", "blue"), TINTS, strict=False)):
        top = low + 2.16 - 0.72 * colour
        for number in range(4):
            box(plot, (3.6, top - 0.18 * (number + 1)), (0.5, 0.18), str(4 * colour + number), fill=tint)
            row, col = divmod(number, 2)
            corner = 5.35 + 0.3 * col, top - 0.06 - 0.3 * (row + 1)
            box(plot, corner, (0.3, 0.3), str(4 * colour + number), fill=tint)
        arrow(plot, (4.1, top - 0.36), (5.35, top - 0.36))
        write(plot, (4.2, top - 0.3), name)
        arrow(plot, (5.95, top - 0.36), (6.95, middle + 0.3 - 0.3 * colour))
    for number in range(4):
        row, col = divmod(number, 2)
        corner, text = (6.95 + 0.72 * col, middle - 0.72 * row), f"{number}, {number + 4}, {number + 8}"
        box(plot, corner, (0.72, 0.72), text, fill="white")
    for x, title, note in (
        (0.6, "features", "of one place"),
        (3.85, "3 · 2 · 2 numbers", "the channels"),
        (5.65, "pixel shuffle", "a square of each colour"),
        (7.67, "pixels", "2 × 2, of three colours"),
    ):
        write(plot, (x, low + 2.24), title, size=10, weight="bold", ha="center")
        write(plot, (x, low - 0.08), note, ha="center", va="top")
    return plot.figure, (
        "From left to right: the 64 features of one place; a linear map with 12 × 64 weights and 12 biases; "
        "3 · 2 · 2 numbers, the channels 0 to 3 red, 4 to 7 green and 8 to 11 blue; the pixel shuffle, which lays "
        "each four out as a square, row by row; and 2 × 2 pixels. Channels 0, 4 and 8 are the upper left pixel, "
        "1, 5 and 9 the upper right one, 2, 6 and 10 the lower left one, 3, 7 and 11 the lower right one."
    )


def timeline() -> tuple["Figure", str]:
    """When the papers of `FIELD` first stood on arXiv, as their numbers say: 2111.09886 is of November 2021."""
    high, year, left = 0.24, 1.55, 1.2  # inches of a row and of a year, and where the middle of 2021 is
    names, bands, down = [], [], 0.05  # (name, years, inches from above), and (kind, names, from, to)
    for kind, papers in FIELD.items():
        ends: list[float] = []  # of the last name in each row: a name goes into the first row with room
        for name, number in papers.items():
            years = 2000 + int(number[:2]) + (int(number[2:4]) - 0.5) / 12
            row = next((row for row, end in enumerate(ends) if end < years), len(ends))
            ends[row : row + 1] = [years + 0.2 + 0.065 * len(name)]
            names.append((name, years, down + high * (row + 0.5)))
        bands.append((kind, papers, down, down + high * len(ends)))
        down = bands[-1][-1] + 0.1

    height = down + 0.2
    plot = canvas(height)
    for (kind, _, above, below), fill in zip(bands, cycle(TINTS), strict=False):
        box(plot, (left, height - below), (WIDTH - left - 0.05, below - above), fill=fill, linewidth=0)
        write(plot, (left - 0.1, height - (above + below) / 2), kind, ha="right", va="center")
    for number in range(2022, 2027):
        x = left + year * (number - 2021.4)
        plot.vlines(x, 0.3, height - 0.05, color="white")
        write(plot, (x, 0.05), str(number), ha="center")
    for name, years, y in names:
        x, ours = left + year * (years - 2021.4), name == "SimMIM"
        marker, color, weight = ("s", plots.VERMILLION, "bold") if ours else ("o", "black", "normal")
        plot.plot(x, height - y, marker, color=color, markersize=5)
        write(plot, (x + 0.08, height - y), name, va="center", weight=weight)
    told = (
        f"{kind}: {', '.join(f'{name} {int(years)}' for name, years, _ in names if name in papers)}."
        for kind, papers, *_ in bands
    )
    return plot.figure, f"Names along the years from 2021 to 2026, in bands. {' '.join(told)}".replace("\n", " ")


def canvas(height: float) -> "Axes":
    """An empty drawing as wide as the page of a lesson; one unit is one inch."""
    from matplotlib.figure import Figure

    plot = Figure((WIDTH, height), dpi=plots.DPI).add_axes((0, 0, 1, 1))
    plot.set(xlim=(0, WIDTH), ylim=(0, height), autoscale_on=False)
    plot.axis("off")
    return plot


def box(
    plot: "Axes", corner: Point, size: Point, text: str = "", *, title: str = "", fill: str = BLUE, **line: Any
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
