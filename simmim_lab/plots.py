"""Static figures: the house picture of a reconstruction, and the loss curve (all lessons).

The functions return a `matplotlib.figure.Figure` of their own and leave pyplot alone, so they work without a
display and in threads. `show` puts a figure into a notebook and `save` into a file, both with an alt text.
"""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor

from simmim_lab.common import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simmim_lab.loop import History

BLUE, VERMILLION = "#0072B2", "#D55E00"  # Okabe-Ito: colour-blind eyes tell them apart
PANELS = ("original", "masked", "reconstruction", "reconstruction\n+ visible")
DPI = 200  # twice as fine as shown: sharp on every screen


def reconstructions(
    images: Float[Tensor, "batch 3 height width"],
    hidden: Bool[Tensor, "batch height width"],
    prediction: Float[Tensor, "batch 3 height width"],
) -> "Figure":
    """The house picture: original | masked | reconstruction | reconstruction + visible, a row for each image.

    `images` and `prediction`, the whole output of the model, lie in [0, 1]. Hidden pixels are striped grey.
    Four images or more are laid out in two blocks, side by side.
    """
    from matplotlib.figure import Figure

    batch, _, height, width = images.shape
    zoom = math.ceil(240 / width)  # a whole number: every pixel is drawn equally large
    completed = torch.where(hidden[:, None], prediction, images)
    original, drawn, filled = (enlarge(x, zoom) for x in (images, prediction, completed))
    columns = original, stripe(original, hidden, zoom), drawn, filled

    wide, high, gap, header = width * zoom, height * zoom, 10, 72
    blocks = 1 if batch < 4 else 2
    rows = math.ceil(batch / blocks)
    block = 4 * (wide + gap) + 4 * gap
    across, down = blocks * block - 3 * gap, rows * (high + gap) + gap + header
    figure = Figure(figsize=(across / DPI, down / DPI), dpi=DPI)
    for index in range(batch):
        right, row = divmod(index, rows)
        bottom = gap + (rows - 1 - row) * (high + gap)
        for column, (title, pictures) in enumerate(zip(PANELS, columns, strict=True)):
            left = gap + right * block + column * (wide + gap)
            axes = figure.add_axes((left / across, bottom / down, wide / across, high / down))
            axes.imshow(pictures[index].numpy(), interpolation="nearest")
            axes.axis("off")
            if row == 0:
                axes.set_title(title, fontsize=9)
    return figure


def panels(
    pictures: Sequence[Float[Tensor, "3 height width"]], titles: Sequence[str], columns: int | None = None
) -> "Figure":
    """Pictures of one size, each under its title, `columns` in a row; by default all in one row."""
    from matplotlib.figure import Figure

    columns = columns or len(pictures)
    rows = math.ceil(len(pictures) / columns)
    _, height, width = pictures[0].shape
    wide = min(2.2 * max(1, width / height), 8.8 / columns)
    high = wide * height / width + 0.2 + 0.15 * max(title.count("\n") + 1 for title in titles)
    figure = Figure((columns * (wide + 0.1), rows * high), dpi=DPI, layout="constrained")
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True), 1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(rearrange(picture.clamp(0, 1), "c h w -> h w c").numpy(), interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    return figure


def loss_curve(history: "History") -> "Figure":
    """The training loss of every step (faint) with its running mean, and the validation loss with markers."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator
    from scipy.ndimage import uniform_filter1d

    window = math.ceil(history.steps / 50)
    smooth = uniform_filter1d(history.loss, window, mode="nearest")
    figure = Figure(figsize=(6.4, 3.6), dpi=DPI, layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss on hidden pixels\n(normalised units, log scale)")
    steps = range(1, history.steps + 1)
    axes.plot(steps, history.loss, color=BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(steps, smooth, color=BLUE, label=f"training, mean of {window} steps")
    if history.val_step:
        marked = {"color": VERMILLION, "linestyle": "--", "marker": "o", "markersize": 4}
        axes.plot(history.val_step, history.val_loss, **marked, label="validation")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def show(figure: "Figure", alt: str) -> None:
    """Display a figure in a notebook, as a PNG with an alt text for those who do not see it."""
    from IPython.display import Image, display

    display(Image(png(figure, alt), retina=True, metadata={"alt": alt}))


def save(figure: "Figure", path: str | Path, alt: str) -> None:
    """Write a figure as PNG, whole or not at all, with the alt text as its `Description`."""
    replace_file(Path(path), lambda file: file.write_bytes(png(figure, alt)))


def png(figure: "Figure", alt: str) -> bytes:
    """The figure as the bytes of a PNG file with the alt text inside."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Description": alt})
    return buffer.getvalue()


def enlarge(
    images: Float[Tensor, "batch channels height width"], zoom: int
) -> Float[Tensor, "batch zoomed_height zoomed_width channels"]:
    """Draw every pixel as `zoom` x `zoom` pixels, channels last."""
    return repeat(images.clamp(0, 1).cpu(), "b c h w -> b (h y) (w x) c", y=zoom, x=zoom)


def stripe(
    enlarged: Float[Tensor, "batch zoomed_height zoomed_width 3"],
    hidden: Bool[Tensor, "batch height width"],
    zoom: int,
) -> Float[Tensor, "batch zoomed_height zoomed_width 3"]:
    """Cover what is hidden with grey and thin diagonal stripes, which no photograph has."""
    row, col = (torch.arange(n) for n in enlarged.shape[1:3])
    grey = torch.where((row[:, None] + col) % 16 < 3, 0.62, 0.5)[..., None]
    return torch.where(enlarge(hidden[:, None].float(), zoom) > 0, grey, enlarged)
