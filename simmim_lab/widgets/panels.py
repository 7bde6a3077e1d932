"""What all widgets share: controls, panels of pixels, a chart, a line of text, and a poster.

`static/widgets.js` draws what the widgets compute.
"""

import copy
import math
import struct
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import numpy as np
import torch
import traitlets
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from simmim_lab import plots
from simmim_lab.shapes import Images, check_images
from simmim_lab.widgets import cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATIC = Path(__file__).parent / "static"
LONGEST = 2000  # width or height of an enlarged panel
POINTS = 400  # of a line in a chart, at most
DASH = [7, 4]  # lengths of a dash and the gap behind it
_ONE_AT_A_TIME = threading.RLock()  # JupyterLab may call back in a thread of its own while a cell runs


class Panels(anywidget.AnyWidget):
    """A widget: what it shows, how it computes it, and its life in a notebook."""

    _esm = (STATIC / "widgets.js").read_text(encoding="utf-8")  # as a path it would keep every widget in memory
    _css = (STATIC / "widgets.css").read_text(encoding="utf-8")
    _ipython_display_ = None  # ipywidgets 7 would use it and ignore the poster

    controls = traitlets.List().tag(sync=True)
    panels = traitlets.List().tag(sync=True)
    size = traitlets.List([1, 1]).tag(sync=True)  # height and width of a panel, in pixels
    pixels = traitlets.CBytes().tag(sync=True)  # frame, panel, row, column, colour
    hidden = traitlets.CBytes().tag(sync=True)  # row, column; or as pixels: frame, panel, row, column
    chart = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    alt = ""
    texts: Mapping[str, str] = {}  # what it says, with places for numbers; a page without Python says the same

    def __init__(self, **traits):
        try:
            super().__init__(**traits)
        except traitlets.TraitError as error:  # what a widget calls itself: no name that learners know
            raise TypeError(str(error)) from error

    def show_panels(self, pictures: Sequence[Float[Tensor, "3 height width"]]) -> None:
        """Show one picture in each panel."""
        self.pixels = as_bytes(torch.stack(list(pictures)).detach().cpu()).numpy().tobytes()

    def update(self) -> None:
        """Compute what is shown from the state."""

    def start(self, *names: str) -> None:
        """Show the first state or raise what is wrong with it; later, follow the traits with these names."""
        with _alone():
            self.update()
        self.observe(weakly(self.refresh), names)

    def refresh(self, change: object = None) -> None:
        """Show the new state."""
        with self.reporting():
            self.update()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Show in the widget what goes wrong: nobody sees an exception of a callback."""
        with _alone(), self.hold_sync():
            self.error = ""
            try:
                yield
            except Exception as error:
                self.error = str(error)

    def poster(self) -> bytes:
        """A still picture of the panels, as PNG."""
        height, width = self.size
        pixels = np.frombuffer(self.pixels, np.uint8).reshape(-1, len(self.panels), height, width, 3)[-1]
        zoom = math.ceil(min(240 / min(height, width), LONGEST / max(height, width)))
        pictures = plots.enlarge(rearrange(torch.tensor(pixels) / 255, "n h w c -> n c h w"), zoom)
        hidden = torch.tensor(np.frombuffer(self.hidden, np.uint8).copy()).bool().view(-1, height, width)
        for index, panel in enumerate(self.panels):
            if panel.get("striped") and len(hidden):
                mask = hidden[[index - len(self.panels) if len(hidden) > 1 else 0]]
                pictures[index] = plots.stripe(pictures[index : index + 1], mask, zoom)[0]
        drawn = list(rearrange(pictures, "n h w c -> n c h w"))
        figure = self.arrange(drawn, [panel["title"] for panel in self.panels])
        _write_below(figure, self.status)
        return plots.png(figure, self.alt)

    def arrange(self, pictures: list[Float[Tensor, "3 height width"]], titles: list[str]) -> "Figure":
        """The panels of a still picture, each below its title: in one row, or in two beside a large one."""
        if not self.panels[0].get("large"):
            return plots.panels(pictures, titles)
        columns = math.ceil(len(pictures[1:]) / 2)
        height, width = self.size
        wide = min(1.8, 9 / (2 + columns))
        figure = plots.figure((wide * (2 + columns), min(3.6, 0.6 + 2 * wide * height / width)))
        grid = figure.add_gridspec(2, 2 + columns)
        places = [grid[:, :2], *(grid[row, 2 + col] for row in range(2) for col in range(columns))]
        for place, picture, title in zip(places, pictures, titles, strict=False):
            plots.draw_picture(figure.add_subplot(place), picture, title)
        return figure

    def open(self) -> None:
        """Join the page of the notebook, if there is one, until the cell that shows the widget runs again."""
        if shell := cells.kernel_shell():
            self.layout.open()
            super().open()
            cells.keep(self, shell)

    def close(self) -> None:
        """Leave the page; the state stays, and a widget that is shown again comes back."""
        super().close()
        vars(self).pop("_repr_mimebundle_", None)  # ipywidgets would show it as text from now on
        if self.trait_has_value("layout"):
            self.layout.close()

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        self.open()
        data, metadata = super()._repr_mimebundle_(**kwargs) if self.comm else ({}, {})
        poster = self.poster()
        width, height = (n // 2 for n in struct.unpack(">II", poster[16:24]))  # drawn twice as fine as shown
        shown = {"alt": f"{self.alt} {self.status}".strip(), "width": width, "height": height}
        data |= {"text/plain": type(self).__name__, "image/png": poster}
        return data, {**metadata, "image/png": shown}


class Chart(Panels):
    """A widget whose picture is a chart with a cursor, which can be dragged."""

    def poster(self) -> bytes:
        from matplotlib.figure import Figure

        figure = Figure((6, 2.8), dpi=plots.DPI, layout="constrained")
        axes = figure.add_subplot()
        draw_chart(axes, self.chart)
        axes.axvline(getattr(self, self.chart["cursor"]), color="0.3", linewidth=1)
        _write_below(figure, self.status)
        return plots.png(figure, self.alt)


def weakly(method: Callable) -> Callable:
    """The method as a callback that does not keep its widget, and the model in it, in memory."""
    reference = weakref.WeakMethod(method)
    return lambda *args: reference()(*args)


def snapshot(model: nn.Module) -> nn.Module:
    """A copy of `model` on the CPU, ready for inference, that shares nothing with it."""
    return copy.deepcopy(model).cpu().eval().requires_grad_(False)


@contextmanager
def _alone() -> Iterator[None]:
    """One update at a time, on one thread of torch: two threads on two busy cores can be far slower."""
    with _ONE_AT_A_TIME, torch.no_grad():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def as_bytes(images: Float[Tensor, "*n 3 height width"]) -> UInt8[Tensor, "*n height width 3"]:
    """Images in [0, 1] as a page has them."""
    return (images.clamp(0, 1) * 255).round().byte().movedim(-3, -1)


def as_batch(images: Tensor) -> Images:
    """One image or several as a batch on the CPU; TypeError or ValueError for anything else."""
    if isinstance(images, Tensor):
        images = images.detach().cpu()
        images = images[None] if images.ndim == 3 else images
    check_images(images)
    if not len(images):
        raise ValueError("there must be at least one image")
    return images


def picture_slider(images: Images) -> list[dict]:
    """The control that chooses one of several images, by the trait `image_index`; none for a single one."""
    slider = {
        "kind": "range",
        "trait": "image_index",
        "label": "picture",
        "min": 0,
        "max": len(images) - 1,
        "step": 1,
    }
    return [slider] if len(images) > 1 else []


def _write_below(figure: "Figure", text: str) -> None:
    """Make room for the text at the foot of a still picture."""
    if lines := textwrap.wrap(text, int(14 * figure.get_figwidth())):
        figure.set_figheight(figure.get_figheight() + 0.2 * len(lines))
        figure.supxlabel("\n".join(lines), fontsize=9)


def draw_beside(chart: dict, pictures: list[Float[Tensor, "3 height width"]], titles: list[str]) -> "Axes":
    """A still picture of a chart with panels beside it; returns the axes of the chart."""
    figure = plots.figure((8.8, 2.8))
    left, *rest = figure.subplots(1, 1 + len(pictures), width_ratios=[2, *[1] * len(pictures)])
    draw_chart(left, chart)
    for place, picture, title in zip(rest, pictures, titles, strict=True):
        plots.draw_picture(place, picture, title)
    return left


def draw_chart(axes: "Axes", chart: dict) -> None:
    """The chart of a widget on the axes of a still picture."""
    axes.set(xlabel=chart["xlabel"], xlim=chart["range"], ylabel=chart["ylabel"])
    for line in chart["series"]:
        style = {"color": line["color"], "label": line["label"], "linewidth": 3 if line.get("bold") else 1.5}
        if dash := line.get("dash"):
            style["dashes"] = [length / 2 for length in dash]
        if line.get("marked"):
            style |= {"marker": "o", "markersize": 4}
        axes.plot(line["x"], line["y"], **style)
        if "lowest" in chart:  # a triangle above the lowest point
            low = line["y"].index(min(line["y"]))
            axes.plot(line["x"][low], line["y"][low] + 0.03, "v", color=line["color"], clip_on=False)
    for dot in set(chart.get("dots", ())):
        stack = [0.02 + 0.03 * k for k in range(chart["dots"].count(dot))]
        axes.plot([dot] * len(stack), stack, "o", color="0.5", markersize=4, clip_on=False)
    if chart.get("log"):
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,g}")
        axes.grid(alpha=0.3)
    elif chart["series"]:
        axes.set_ylim(bottom=0)
    if chart["series"]:
        axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
