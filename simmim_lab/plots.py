"""Static figures: pictures, lines, points, bars and maps, in one style (all lessons).

The functions return a matplotlib `Figure`, or the `Axes` of a plot that may be added to, and leave pyplot alone,
so they work without a display and in threads. `show` puts either into a notebook and `save` into a file, both with
an alt text. What differs in colour differs in its marker or line style too.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor

from simmim_lab.common import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from simmim_lab.recipe import History

# Okabe-Ito: colour-blind eyes tell them apart
BLUE, VERMILLION = "#0072B2", "#D55E00"
COLORS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "black", "#56B4E9", "#E69F00")
MARKERS = "os^Dv*PX"
LINE_STYLES = ("-", "--", "-.", ":")
PANELS = ("original", "masked", "reconstruction", "reconstruction\n+ visible")
DPI = 200  # twice as fine as shown: sharp on every screen
UNSEEN = 1.2  # of 255 levels, root mean square: 46 dB

Curves = Mapping[str, tuple[Any, Any]]  # x and y by name: numbers, or for several runs y of shape (points, runs)


def figure(size: tuple[float, float]) -> "Figure":
    """An empty figure of width and height `size` in inches, 100 pixels each, that makes room for its labels."""
    from matplotlib.figure import Figure

    return Figure(size, dpi=DPI, layout="constrained")


def axes(size: tuple[float, float] = (6.4, 2.8), **settings: Any) -> "Axes":
    """An empty plot in a figure of its own; `settings` are those of `Axes.set`: xlabel, ylabel, xlim, title ..."""
    plot = figure(size).add_subplot()
    plot.spines[["top", "right"]].set_visible(False)
    plot.grid(alpha=0.3)
    plot.set_prop_cycle(color=COLORS)
    return _set(plot, settings)


def lines(curves: Curves, size: tuple[float, float] = (6.4, 2.8), **settings: Any) -> "Axes":
    """A line for each curve, with markers if it has few points; `size` and `settings` as in `axes`."""
    plot = axes(size)
    styles = zip(cycle(COLORS), cycle(LINE_STYLES), cycle(MARKERS), strict=False)
    for (name, (x, y)), (color, style, marker) in zip(curves.items(), styles, strict=False):
        first, *_ = plot.plot(x, y, color=color, linestyle=style, marker=marker if len(x) <= 20 else None)
        first.set_label(name)
    if len(curves) > 1:
        plot.legend(frameon=False)
    return _set(plot, settings)


def points(groups: Curves, size: tuple[float, float] = (6.4, 2.8), **settings: Any) -> "Axes":
    """Markers at the points of each group; `size` and `settings` as in `axes`."""
    plot = axes(size)
    styles = zip(cycle(COLORS), cycle(MARKERS), strict=False)
    for (name, (x, y)), (color, marker) in zip(groups.items(), styles, strict=False):
        plot.plot(x, y, marker, color=color, markersize=8, alpha=0.8, label=name)
    if len(groups) > 1:
        plot.legend()
    return _set(plot, settings)


def bars(
    values: Mapping[str, float], form: str = "{:.1f}", highlight: Collection[str] = (), **settings: Any
) -> "Axes":
    """Horizontal bars, the first on top, each with its value; those to `highlight` are red with stripes."""
    plot = axes((6.4, 0.9 + 0.28 * len(values)))
    colors = [VERMILLION if name in highlight else BLUE for name in values]
    stripes = ["//" if name in highlight else None for name in values]
    drawn = plot.barh(list(values), list(values.values()), color=colors, hatch=stripes, edgecolor="white")
    plot.bar_label(drawn, [form.format(value) for value in values.values()], padding=3)
    plot.invert_yaxis()
    plot.margins(x=0.12)
    plot.grid(False)
    return _set(plot, settings)


def _set(plot: "Axes", settings: dict[str, Any]) -> "Axes":
    """Apply settings: behind the drawing, since a limit that is set before would stay as it was."""
    plot.set(**settings)
    plot.title.set_fontsize(10)
    return plot


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
    drawing = Figure(figsize=(across / DPI, down / DPI), dpi=DPI)
    for index in range(batch):
        right, row = divmod(index, rows)
        bottom = gap + (rows - 1 - row) * (high + gap)
        for column, (title, pictures) in enumerate(zip(PANELS, columns, strict=True)):
            left = gap + right * block + column * (wide + gap)
            panel = drawing.add_axes((left / across, bottom / down, wide / across, high / down))
            panel.imshow(pictures[index].numpy(), interpolation="nearest")
            panel.axis("off")
            if row == 0:
                panel.set_title(title, fontsize=9)
    return drawing


def panels(
    pictures: Sequence[Float[Tensor, "3 height width"]], titles: Sequence[str], columns: int | None = None
) -> "Figure":
    """Pictures of one size, each under its title, `columns` in a row; by default all in one row."""
    columns = columns or len(pictures)
    rows = math.ceil(len(pictures) / columns)
    _, height, width = pictures[0].shape
    wide = min(2.2 * max(1, width / height), 8.8 / columns)
    high = wide * height / width + 0.2 + 0.15 * max(title.count("\n") + 1 for title in titles)
    drawn = figure((columns * (wide + 0.1), rows * high))
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True), 1):
        draw_picture(drawn.add_subplot(rows, columns, place), picture, title)
    return drawn


def draw_picture(panel: "Axes", picture: Float[Tensor, "3 height width"], title: str) -> None:
    """A picture with its title and nothing else in this part of a figure."""
    panel.imshow(rearrange(picture.clamp(0, 1), "c h w -> h w c").numpy(), interpolation="nearest")
    panel.set_title(title, fontsize=9)
    panel.axis("off")


def rows(batches: Mapping[str, Float[Tensor, "batch 3 height width"]]) -> "Figure":
    """A row of pictures for each batch, with its name on the left."""
    count, _, height, width = next(iter(batches.values())).shape
    high = 9 / count * height / width
    drawn = figure((9, len(batches) * (high + 0.1)))
    for place, (name, pictures) in enumerate(batches.items(), 1):
        row = drawn.add_subplot(len(batches), 1, place, xticks=(), yticks=())
        framed = F.pad(pictures.clamp(0, 1), (1, 1, 1, 1), value=1.0)  # a white line between two pictures
        row.imshow(rearrange(framed, "b c h w -> h (b w) c").numpy(), interpolation="nearest")
        row.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        row.spines[:].set_visible(False)
    return drawn


def film(
    clip: Float[Tensor, "frames 3 height width"],
    hidden: Bool[Tensor, "frames height width"],
    fills: Mapping[str, Float[Tensor, "frames 3 height width"]],
) -> "Figure":
    """A clip, frame by frame: in the first row itself, below it what is seen of it, then a row for each fill."""
    zoom = 8
    drawn = {name: enlarge(frames, zoom) for name, frames in {"the clip": clip, "seen": clip, **fills}.items()}
    drawn["seen"] = stripe(drawn["seen"], hidden, zoom)
    return rows({name: F.pad(rearrange(x, "t h w c -> t c h w"), (2, 2), value=1.0) for name, x in drawn.items()})


def maps(
    values: Mapping[str, Float[Tensor, "height width"]],
    label: str,
    ticks: Mapping[float, str] | Sequence[float] | None = None,
    **style: Any,
) -> "Figure":
    """Arrays of numbers as colours, each under its name, beside one bar that says what the colours mean.

    `ticks` are the numbers to write at the bar, or what to write at each; `style` are settings of `imshow`.
    """
    drawn = figure((7.4, 2.6))
    drawn.set_layout_engine("compressed")  # the maps keep their shape and stay together
    everything = torch.cat([torch.as_tensor(array).flatten() for array in values.values()])
    shared = {"vmin": everything.min(), "vmax": everything.max(), "cmap": "cividis", "interpolation": "nearest"}
    for panel, (name, array) in zip(drawn.subplots(1, len(values), squeeze=False)[0], values.items(), strict=True):
        image = panel.imshow(array, **shared | style)
        panel.set_title(name, fontsize=9)
        panel.axis("off")
    bar = drawn.colorbar(image, ax=drawn.axes, label=label)
    if ticks:
        bar.set_ticks(list(ticks), labels=[ticks[tick] if isinstance(ticks, Mapping) else tick for tick in ticks])
        bar.minorticks_off()
    return drawn


def loss_curve(history: "History") -> "Figure":
    """The training loss of every step (faint) with its running mean, and the validation loss with markers."""
    from matplotlib.ticker import LogLocator, NullLocator
    from scipy.ndimage import uniform_filter1d

    window = math.ceil(history.steps / 50)
    smooth = uniform_filter1d(history.loss, window, mode="nearest")
    plot = axes((6.4, 3.6), xlabel="step", ylabel="loss on hidden pixels\n(normalised units, log scale)")
    steps = range(1, history.steps + 1)
    plot.plot(steps, history.loss, color=BLUE, alpha=0.25, linewidth=0.8)
    plot.plot(steps, smooth, color=BLUE, label=f"training, mean of {window} steps")
    if history.val_step:
        marked = {"color": VERMILLION, "linestyle": "--", "marker": "o", "markersize": 4}
        plot.plot(history.val_step, history.val_loss, **marked, label="validation")
    plot.set_yscale("log")
    plot.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
    plot.yaxis.set_minor_locator(NullLocator())
    plot.yaxis.set_major_formatter("{x:g}")
    plot.legend(frameon=False)
    return plot.figure


def show(plot: "Figure | Axes", alt: str, colors: int | None = None) -> None:
    """Display a figure in a notebook as a `png`, with an alt text for those who do not see it."""
    from IPython.display import Image, display

    display(Image(png(plot, alt, colors), retina=True, metadata={"alt": alt}))


def save(plot: "Figure | Axes", path: str | Path, alt: str) -> None:
    """Write a figure as PNG, whole or not at all, with the alt text as its `Description`."""
    replace_file(Path(path), lambda file: file.write_bytes(png(plot, alt)))


def png(plot: "Figure | Axes", alt: str, colors: int | None = None) -> bytes:
    """The figure, or that of the axes, as the bytes of a PNG file with the alt text inside.

    It has 256 colors where the eye sees no difference, which is so of what is drawn and not of most photographs:
    that is less than half of the bytes. With `colors`, at most 256, it has only so many, seen or not.
    """
    from PIL import Image

    drawn = BytesIO()
    plot.figure.savefig(drawn, format="png")
    with Image.open(drawn) as picture:
        return packed(picture.convert("RGB"), alt, colors)  # nothing is transparent


def packed(picture: "Image", alt: str, colors: int | None = None) -> bytes:
    """An RGB picture as the bytes of a PNG file, with as many colors as `png` says."""
    from PIL import ImageChops, ImageStat
    from PIL.PngImagePlugin import PngInfo

    few = picture.quantize(colors or 256, kmeans=2 if colors else 0)
    changes = ImageStat.Stat(ImageChops.difference(picture, few.convert("RGB"))).rms
    file, description = BytesIO(), PngInfo()
    description.add_text("Description", alt)
    kept = few if colors or max(changes) < UNSEEN else picture
    kept.save(file, "PNG", optimize=True, pnginfo=description)
    return file.getvalue()


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
