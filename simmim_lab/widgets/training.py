"""Follow a training live, and drag through what it left behind (lesson 05)."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import traitlets
from einops import rearrange
from torch import Tensor

from simmim_lab import plots
from simmim_lab.common import evaluating
from simmim_lab.masking import check_mask
from simmim_lab.shapes import Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets.panels import DASH, POINTS, Panels, as_batch, draw_chart

if TYPE_CHECKING:
    from simmim_lab.recipe import History


class Scrubber(Panels):
    """Drag through a series of pictures, such as reconstructions over the steps of a training.

    `frames` are arrays of bytes (height, width, 3), `labels` their names. All are sent once, so that it works
    without a kernel. In Python: `index`.
    """

    index = traitlets.Int(0).tag(sync=True)
    alt = "The last picture of a series."

    def __init__(
        self, frames: Sequence[np.ndarray], labels: Sequence[str], *, title: str = "over time", alt: str = ""
    ):
        stacked = np.stack([np.asarray(frame) for frame in frames])
        if stacked.dtype != np.uint8 or stacked.ndim != 4 or stacked.shape[-1] != 3:
            raise ValueError(
                f"frames must be bytes (height, width, 3), but are {stacked.dtype} {stacked.shape[1:]}"
            )
        if len(labels) != len(frames):
            raise ValueError(f"give one label for each of the {len(frames)} frames, not {len(labels)}")
        most = len(frames) - 1
        self.alt = alt or f"The last of {len(frames)} pictures, {labels[-1]}."
        super().__init__(
            controls=[
                {
                    "kind": "range",
                    "trait": "index",
                    "label": "frame",
                    "min": 0,
                    "max": most,
                    "step": 1,
                    "labels": list(labels),
                },
                {"kind": "play", "trait": "index", "max": most},
            ],
            panels=[{"title": title}],
            size=list(stacked.shape[1:3]),
            pixels=stacked.tobytes(),
            index=most,
        )


class LiveTraining(Panels):
    """The loss and some reconstructions while a model trains: give it to `pretrain` as a callback.

    `steps` is the length of the run. `images` and `mask` are what the model reconstructs, if given; `every` is
    the least number of seconds between two pictures. Call `show()` before the training. At the last step, or
    when you call `done()`, the still picture in the notebook becomes the final state.
    """

    alt = "The training loss and the validation loss over the steps, and the latest reconstructions."

    def __init__(self, steps: int, *, images: Tensor | None = None, mask: Mask | None = None, every: float = 0.2):
        if (images is None) != (mask is None):
            raise ValueError("give images and mask together, or neither")
        self.steps, self.every, self.images, self.mask = steps, every, images, mask
        self.sent, self.handle, self.model, self.history = 0.0, None, None, None
        panels, size = [], [1, 1]
        if images is not None:
            self.images = as_batch(images)
            check_mask(mask, len(self.images), tuple(mask.shape[1:]))
            panels = [{"title": "original"}, {"title": "reconstruction + visible"}]
            size = [self.images.shape[2], self.images.shape[3] * len(self.images)]
        chart = {"series": [], "title": self.alt, "xlabel": "step", "ylabel": "loss", "range": [0, steps]}
        super().__init__(panels=panels, size=size, chart=chart)

    def show(self) -> "LiveTraining":
        from IPython.display import display

        self.handle = display(self, display_id=True)
        return self

    def __call__(self, step: int, model: SimMIM, history: "History") -> None:
        self.model, self.history = model, history
        if step >= self.steps:
            self.done()
        elif time.monotonic() - self.sent >= self.every:
            self.refresh()

    def done(self) -> None:
        """Show the final state; a run that was cut short, or that ends after some seconds, needs this call."""
        self.refresh()
        if self.handle:
            self.handle.update(self)

    def update(self) -> None:
        if self.history is None:
            return
        self.sent = time.monotonic()
        self.chart = {**self.chart, "series": self._series(self.history)}
        self.status = f"step {self.history.steps} of {self.steps}, loss {self.history.loss[-1]:.3f}"
        if self.images is not None:
            self.show_panels([rearrange(row, "n c h w -> c h (n w)") for row in (self.images, self._filled())])

    def _filled(self) -> Tensor:
        """What the model, on its device and between two steps of its training, makes of the images."""
        device = self.model.mean.device
        with evaluating(self.model):
            return self.model.reconstruct(self.images.to(device), self.mask.to(device)).cpu()

    def _series(self, history: "History") -> list[dict]:
        chunks = torch.tensor(history.loss).split(math.ceil(history.steps / POINTS))
        x = torch.tensor([len(chunk) for chunk in chunks]).cumsum(0).tolist()
        y = [chunk.mean().item() for chunk in chunks]
        series = [{"label": "training loss", "color": plots.BLUE, "x": x, "y": y}]
        if history.val_step:
            style = {"label": "validation loss", "color": plots.VERMILLION, "dash": DASH, "marked": True}
            series.append({**style, "x": list(history.val_step), "y": list(history.val_loss)})
        return series

    def poster(self) -> bytes:
        from matplotlib.figure import Figure

        height, width = self.size
        high = 6 * height / width + 0.3  # inches of a strip of pictures with its title
        strips = [high] * len(self.panels) if self.pixels else []
        figure = Figure((6, 2.8 + sum(strips)), dpi=plots.DPI, layout="constrained")
        top, *rest = figure.subplots(1 + len(strips), height_ratios=[2.8, *strips], squeeze=False)[:, 0]
        draw_chart(top, self.chart)
        pixels = np.frombuffer(self.pixels, np.uint8).reshape(-1, height, width, 3)
        for axes, panel, picture in zip(rest, self.panels, pixels, strict=False):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(panel["title"], fontsize=9)
            axes.axis("off")
        return plots.png(figure, self.alt)
