"""Interactive figures: choose a mask, paint one, drag a prediction, plan a training (all lessons).

Each widget is an anywidget, which JupyterLab and Colab can show. Its controls are native inputs, so the mouse,
fingers and the keyboard all work; its state can be read in Python, such as `explorer.mask`. Where no kernel
runs, a reader sees its poster, a still picture. `static/widgets.js` draws; this module computes.
"""

import copy
import math
import struct
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import numpy as np
import torch
import traitlets
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from simmim_lab import evaluation, plots
from simmim_lab.budget import GPU, GPUS, seconds_per_epoch, state_bytes, training_flops, vit_flops, vit_parameters
from simmim_lab.common import choose
from simmim_lab.loop import History
from simmim_lab.masking import STRATEGIES, Grid, Mask, avg_dist, center_mask, check_mask, to_pixels
from simmim_lab.simmim import PRESETS, SimMIM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATIC = Path(__file__).parent / "static"
POINTS = 400  # of a line in a chart, at most
DASH = [7, 4]  # lengths of a dash and the gap behind it
YOURS = "your own"
_ONE_AT_A_TIME = threading.RLock()  # JupyterLab may call back in a thread of its own while a cell runs


class Panels(anywidget.AnyWidget):
    """What all widgets share: controls, panels of pixels, a chart, a line of text, and a poster."""

    _esm = STATIC / "widgets.js"
    _css = STATIC / "widgets.css"
    _ipython_display_ = None  # ipywidgets 7 would use it and ignore the poster

    controls = traitlets.List().tag(sync=True)
    panels = traitlets.List().tag(sync=True)
    size = traitlets.List([1, 1]).tag(sync=True)  # height and width of a panel, in pixels
    pixels = traitlets.CBytes().tag(sync=True)  # frame, panel, row, column, colour
    hidden = traitlets.CBytes().tag(sync=True)  # row, column
    chart = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    alt = ""

    def show_panels(self, pictures: Sequence[Float[Tensor, "3 height width"]]) -> None:
        """Show one picture in each panel."""
        stacked = rearrange(torch.stack(list(pictures)).detach().cpu(), "n c h w -> n h w c")
        self.pixels = (stacked.clamp(0, 1) * 255).round().byte().numpy().tobytes()

    def update(self) -> None:
        """Compute what is shown from the state."""

    def start(self) -> None:
        """Show the first state; raise what is wrong with it."""
        with _alone():
            self.update()

    def refresh(self, change: object = None) -> None:
        """Show the new state, or in the widget what is wrong with it: nobody sees an exception of a callback."""
        with _alone(), self.hold_sync():
            try:
                self.update()
                self.error = ""
            except Exception as error:
                self.error = str(error)

    def poster(self) -> bytes:
        """A still picture of the panels, as PNG."""
        height, width = self.size
        pixels = np.frombuffer(self.pixels, np.uint8).reshape(-1, len(self.panels), height, width, 3)[-1]
        zoom = math.ceil(240 / min(height, width))
        pictures = plots.enlarge(rearrange(torch.tensor(pixels) / 255, "n h w c -> n c h w"), zoom)
        hidden = torch.tensor(np.frombuffer(self.hidden, np.uint8).copy()).bool()
        for index, panel in enumerate(self.panels):
            if panel.get("striped") and len(hidden):
                pictures[index] = plots.stripe(pictures[index : index + 1], hidden.view(1, height, width), zoom)[0]
        drawn = list(rearrange(pictures, "n h w c -> n c h w"))
        figure = plots.panels(drawn, [panel["title"] for panel in self.panels])
        _write_below(figure, self.status)
        return plots.png(figure, self.alt)

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        poster = self.poster()
        width, height = (n // 2 for n in struct.unpack(">II", poster[16:24]))  # drawn twice as fine as shown
        shown = {"alt": f"{self.alt} {self.status}".strip(), "width": width, "height": height}
        data |= {"text/plain": type(self).__name__, "image/png": poster}
        return data, {**metadata, "image/png": shown}


class MaskExplorer(Panels):
    """Choose a picture, a strategy, the size of the cells, the ratio and a seed; see the mask and what it leaves.

    `images` lie in [0, 1]; `patch` is the side of a mask entry in pixels. `strategies` maps names to functions
    that are called like those of `masking`: yours will do too; it starts with the first. In Python: `mask`, the
    mask that is shown, `image_index`, `strategy`, `cell`, `ratio` and `seed`.
    Raises TypeError or ValueError for images or starting values that do not fit.
    """

    mask: Bool[Tensor, "rows cols"]

    image_index = traitlets.Int(0).tag(sync=True)
    strategy = traitlets.Unicode().tag(sync=True)
    cell = traitlets.Int().tag(sync=True)
    ratio = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    alt = "Three panels: a picture, the same with the mask's patches hidden, and the mask alone."
    titles = ("original", "visible", "mask")

    def __init__(
        self,
        images: Float[Tensor, "n 3 height width"],
        *,
        patch: int = 4,
        strategies: Mapping[str, Callable[..., Mask]] = STRATEGIES,
        strategy: str | None = None,
        cell: int | None = None,
        ratio: float = 0.6,
        seed: int = 0,
    ):
        self.images = _check_images(images)
        height, width = self.images.shape[-2:]
        if height % patch or width % patch:
            raise ValueError(f"patches of {patch} pixels do not tile images of {height} x {width} pixels")
        self.grid: Grid = (height // patch, width // patch)
        self.patch, self.strategies = patch, dict(strategies)
        cells = [n for n in range(1, max(self.grid) + 1) if not (self.grid[0] % n or self.grid[1] % n)]
        controls = [
            {"kind": "select", "trait": "strategy", "label": "strategy", "options": list(self.strategies)},
            {"kind": "select", "trait": "cell", "label": "cell (patches)", "options": cells},
            {"kind": "range", "trait": "ratio", "label": "ratio", "min": 0, "max": 1, "step": 0.05},
            {"kind": "range", "trait": "seed", "label": "seed", "min": 0, "max": 99, "step": 1},
        ]
        if len(self.images) > 1:
            most = len(self.images) - 1
            controls.append(
                {"kind": "range", "trait": "image_index", "label": "picture", "min": 0, "max": most, "step": 1}
            )
        panels = [{"title": title, "striped": title == "visible"} for title in self.titles]
        super().__init__(
            controls=controls,
            panels=panels,
            size=[height, width],
            strategy=strategy or next(iter(self.strategies)),
            cell=cell or (2 if 2 in cells else 1),
            ratio=ratio,
            seed=seed,
        )
        self.start()
        self.observe(self.refresh, ["image_index", "strategy", "cell", "ratio", "seed"])

    def update(self) -> None:
        strategy = choose(self.strategy, self.strategies, "strategy")
        generator = torch.Generator().manual_seed(self.seed)
        mask = torch.as_tensor(strategy(1, self.grid, self.ratio, self.cell, generator=generator))
        check_mask(mask, 1, self.grid)
        image, hidden = self.images[self.image_index], to_pixels(mask, self.patch)[0]
        self.show_panels(self.pictures(image, mask[0], hidden))
        self.mask, self.hidden = mask[0], hidden.numpy().tobytes()
        distance = avg_dist(hidden[None]).item()
        reach = f"AvgDist {distance:.1f} pixels" if math.isfinite(distance) else "nothing is visible"
        self.status = f"{self.mask.float().mean():.0%} hidden, {reach}{self.remark(image, hidden)}"

    def pictures(self, image: Tensor, mask: Tensor, hidden: Tensor) -> list[Tensor]:
        black_or_white = torch.where(hidden, 0.15, 0.9).expand(3, -1, -1)
        return [image, image, black_or_white]

    def remark(self, image: Tensor, hidden: Tensor) -> str:
        return ""


class ReconstructionExplorer(MaskExplorer):
    """The same choices as `MaskExplorer`, and how a trained model fills what the mask hides.

    The widget works on a copy of `model`, so training the original goes on undisturbed.
    """

    alt = "Four panels: a picture, the same with patches hidden, the model's reconstruction, and both together."
    titles = ("original", "visible", "reconstruction", "reconstruction + visible")

    def __init__(self, model: SimMIM, images: Float[Tensor, "n 3 height width"], **start):
        self.model = snapshot(model)
        super().__init__(images, patch=model.patch, **start)

    def pictures(self, image: Tensor, mask: Tensor, hidden: Tensor) -> list[Tensor]:
        prediction = self.model.predict(image[None], mask[None])[0]
        self.filled = torch.where(hidden, prediction, image)
        return [image, image, prediction, self.filled]

    def remark(self, image: Tensor, hidden: Tensor) -> str:
        if not hidden.any():
            return ""
        return (
            f", PSNR of the hidden pixels {evaluation.psnr(image[None], self.filled[None], hidden[None]):.1f} dB"
        )


class MaskBrush(Panels):
    """Paint what to hide; the model fills it in while you paint.

    With the mouse, a pen or a finger: press and drag. With the keyboard: arrow keys move, the space bar hides or
    shows. A stroke that begins on a hidden patch shows patches again. `mask` is hidden at first (by default the
    middle), and can be read and set in Python.
    Raises TypeError or ValueError if the image does not suit the model.
    """

    painted = traitlets.CBytes().tag(sync=True)  # row, column
    grid = traitlets.List([1, 1]).tag(sync=True)
    place = traitlets.List([0, 0]).tag(sync=True)
    brush = traitlets.Int(1).tag(sync=True)
    alt = "Three panels: a picture with painted patches hidden, the model's reconstruction, and both together."

    def __init__(self, model: SimMIM, image: Float[Tensor, "3 height width"], *, mask: Tensor | None = None):
        self.model, self.image = snapshot(model), _check_images(image)
        if len(self.image) > 1:
            raise ValueError(f"give one image of shape (3, height, width), not {len(self.image)}")
        height, width = self.image.shape[-2:]
        grid = self.model.grid(self.image)
        thick = max(1, min(grid) // 4)
        super().__init__(
            controls=[
                {"kind": "range", "trait": "brush", "label": "brush", "min": 1, "max": thick, "step": 1},
                {"kind": "button", "label": "clear", "message": "clear"},
                {"kind": "button", "label": "invert", "message": "invert"},
            ],
            panels=[
                {"title": "paint here", "striped": True, "pointer": "paint"},
                {"title": "reconstruction"},
                {"title": "reconstruction + visible"},
            ],
            size=[height, width],
            grid=list(grid),
            painted=bytes(math.prod(grid)),
            place=[grid[0] // 2, grid[1] // 2],
            brush=max(1, thick // 2),
        )
        self.mask = center_mask(1, grid)[0] if mask is None else mask
        self.start()
        self.observe(self.refresh, "painted")
        self.on_msg(self._button)

    @property
    def mask(self) -> Bool[Tensor, "rows cols"]:
        """The painted mask, True = hidden."""
        return torch.tensor(np.frombuffer(self.painted, np.uint8).copy()).bool().view(*self.grid)

    @mask.setter
    def mask(self, mask: Bool[Tensor, "rows cols"]) -> None:
        mask = torch.as_tensor(mask)
        check_mask(mask[None], 1, tuple(self.grid))
        self.painted = mask.cpu().numpy().tobytes()

    def _button(self, widget: object, content: dict, buffers: object) -> None:
        if content.get("message") == "clear":
            self.mask = torch.zeros_like(self.mask)
        elif content.get("message") == "invert":
            self.mask = ~self.mask

    def update(self) -> None:
        if len(self.painted) != math.prod(self.grid):
            raise ValueError(f"the mask must have {math.prod(self.grid)} entries, but has {len(self.painted)}")
        mask = self.mask[None]
        hidden = to_pixels(mask, self.model.patch)
        prediction = self.model.predict(self.image, mask)
        filled = torch.where(hidden, prediction, self.image)
        self.hidden = hidden.numpy().tobytes()
        self.show_panels([self.image[0], prediction[0], filled[0]])
        self.status = f"{int(mask.sum())} of {mask.numel()} patches hidden ({mask.float().mean():.0%})"
        if hidden.any():
            self.status += f", PSNR of the hidden pixels {evaluation.psnr(self.image, filled, hidden):.1f} dB"


class ReceptiveFieldExplorer(Panels):
    """Choose a place of a network's output; the pixels that can influence it are lit.

    `network` is called with images (batch, 3, height, width) and returns features or images. The field is found
    with gradients for a few random images: a pixel is in it if the gradient is not zero for one of them.
    `hidden` marks pixels that a mask hides; a place whose field is all hidden is blind. A module is copied and
    left as it is. In Python: `place` (row, column) and `field`.
    Raises TypeError or ValueError for a size, a mask or a place that does not fit.
    """

    grid = traitlets.List([1, 1]).tag(sync=True)
    place = traitlets.List([0, 0]).tag(sync=True)
    alt = (
        "Two panels: the chosen place in the output of a network, and the input pixels that can influence it, lit."
    )

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        image_size: int | Grid,
        *,
        hidden: Bool[Tensor, "height width"] | None = None,
        place: tuple[int, int] | None = None,
    ):
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.network = snapshot(network) if isinstance(network, nn.Module) else network
        self.hidden_pixels = torch.zeros(height, width, dtype=torch.bool) if hidden is None else hidden
        check_mask(self.hidden_pixels[None], 1, (height, width))
        self.probes = torch.rand(8, 3, height, width, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            rows, cols = self.network(self.probes[:1]).shape[-2:]
        super().__init__(
            panels=[{"title": "output: choose a place", "pointer": "click"}, {"title": "input", "striped": True}],
            size=[height, width],
            grid=[rows, cols],
            place=list(place or (rows // 2, cols // 2)),
        )
        self.start()
        self.observe(self.refresh, "place")

    @property
    def field(self) -> Bool[Tensor, "height width"]:
        """The input pixels that can influence the chosen place."""
        (row, col), (rows, cols) = self.place, self.grid
        if not (0 <= row < rows and 0 <= col < cols):
            raise ValueError(f"the output has {rows} rows and {cols} columns, but the place is {(row, col)}")
        images = self.probes.clone().requires_grad_()
        with torch.enable_grad():
            values = self.network(images)[..., row, col]
            [gradient] = torch.autograd.grad(
                (values * torch.randn(values.shape, generator=_seeded(1))).sum(), images
            )
        return (gradient != 0).any(dim=(0, 1))

    def update(self) -> None:
        field = self.field
        height, width = self.size
        rows, cols = self.grid
        chosen = torch.full((rows, cols), 0.85)
        chosen[self.place[0], self.place[1]] = 0.2
        chosen = nn.functional.interpolate(chosen[None, None], (height, width))[0].expand(3, -1, -1)
        orange, blue = (torch.tensor(color)[:, None, None] for color in ((0.90, 0.62, 0.0), (0.0, 0.45, 0.70)))
        hidden = self.hidden_pixels
        self.hidden = (hidden & ~field).numpy().tobytes()
        self.show_panels([chosen, torch.where(field, torch.where(hidden, blue, orange), 0.2)])
        high, wide = (int(field.any(dim=1 - axis).sum()) for axis in (0, 1))
        seen = f"place {tuple(self.place)} sees {high} x {wide} of {height} x {width} pixels"
        visible = int((field & ~hidden).sum())
        if hidden.any() and visible:
            seen += f": {visible} are visible (orange), {int(field.sum()) - visible} hidden (blue)"
        elif hidden.any():
            seen += ", all of them hidden (blue): it is blind"
        self.status = seen


class Chart(Panels):
    """A widget whose picture is a chart with a cursor, which can be dragged."""

    def poster(self) -> bytes:
        from matplotlib.figure import Figure

        figure = Figure((6, 2.8), dpi=plots.DPI, layout="constrained")
        axes = figure.add_subplot()
        _draw_chart(axes, self.chart)
        axes.axvline(getattr(self, self.chart["cursor"]), color="0.3", linewidth=1)
        _write_below(figure, self.status)
        return plots.png(figure, self.alt)


class LossPlayground(Chart):
    """Some targets on a line and one prediction for them all: drag it, and watch MSE and L1.

    The triangles mark the best predictions: the mean for MSE, the median for L1. In Python: `targets`,
    `prediction`, `mse` and `l1`. Raises ValueError for numbers outside [0, 1].
    """

    targets = traitlets.List(traitlets.Float()).tag(sync=True)
    prediction = traitlets.Float(0.5).tag(sync=True)
    example = traitlets.Unicode().tag(sync=True)
    alt = "Two curves over the prediction: MSE, a parabola lowest at the mean, and L1, lowest at the median."
    examples: Mapping[str, Sequence[float]] = {
        "seven white, three black": [1.0] * 7 + [0.0] * 3,
        "half and half": [1.0] * 5 + [0.0] * 5,
        "one outlier": [0.2] * 9 + [1.0],
        "spread evenly": [0.05 + 0.1 * k for k in range(10)],
    }

    def __init__(self, targets: Sequence[float] | None = None, *, prediction: float = 0.5):
        super().__init__(
            controls=[
                {"kind": "select", "trait": "example", "label": "example", "options": [*self.examples, YOURS]},
                {"kind": "numbers", "trait": "targets", "label": "targets"},
                {"kind": "range", "trait": "prediction", "label": "prediction", "min": 0, "max": 1, "step": 0.01},
            ],
            example=next(iter(self.examples)) if targets is None else YOURS,
            targets=next(iter(self.examples.values())) if targets is None else list(targets),
            prediction=prediction,
        )
        self.start()
        self.observe(self._choose, "example")
        self.observe(self.refresh, ["targets", "prediction"])

    @traitlets.validate("targets", "prediction")
    def _check(self, proposal: dict) -> object:
        numbers = np.atleast_1d(proposal["value"])
        if not len(numbers) or not all(0 <= number <= 1 for number in numbers):
            name = proposal["trait"].name
            raise ValueError(f"{name} must be numbers from 0 to 1, but got {proposal['value']}")
        return proposal["value"]

    def _choose(self, change: object) -> None:
        self.targets = list(self.examples.get(self.example, self.targets))

    def losses(self, predictions: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        """MSE and L1 of each prediction."""
        errors = predictions[:, None] - torch.tensor(self.targets)
        return errors.square().mean(1), errors.abs().mean(1)

    @property
    def mse(self) -> float:
        return self.losses(torch.tensor([self.prediction]))[0].item()

    @property
    def l1(self) -> float:
        return self.losses(torch.tensor([self.prediction]))[1].item()

    def update(self) -> None:
        if self.targets != self.examples.get(self.example):
            self.example = YOURS
        x = torch.linspace(0, 1, 101)
        mse, l1 = self.losses(x)
        self.chart = {
            "title": self.alt,
            "xlabel": "prediction (grey dots: the targets)",
            "ylabel": "loss",
            "range": [0, 1],
            "cursor": "prediction",
            "step": 0.01,
            "lowest": "the best prediction",
            "dots": self.targets,
            "series": [
                {"label": "MSE", "color": plots.BLUE, "x": x.tolist(), "y": mse.tolist()},
                {"label": "L1", "color": plots.VERMILLION, "dash": DASH, "x": x.tolist(), "y": l1.tolist()},
            ],
        }
        mean, median = np.mean(self.targets), np.median(self.targets)
        self.status = (
            f"prediction {self.prediction:.2f}: MSE {self.mse:.3f} (smallest at the mean, {mean:.2f}), "
            f"L1 {self.l1:.3f} (smallest at the median, {median:.2f})"
        )


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
        self.steps, self.every, self.images, self.hides = steps, every, images, mask
        self.sent, self.handle, self.model, self.history = 0.0, None, None, None
        panels, size = [], [1, 1]
        if images is not None:
            self.images = _check_images(images)
            check_mask(mask, len(self.images), tuple(mask.shape[1:]))
            panels = [{"title": "original"}, {"title": "reconstruction + visible"}]
            size = [self.images.shape[2], self.images.shape[3] * len(self.images)]
        chart = {"series": [], "title": self.alt, "xlabel": "step", "ylabel": "loss", "range": [0, steps]}
        super().__init__(panels=panels, size=size, chart=chart)

    def show(self) -> "LiveTraining":
        from IPython.display import display

        self.handle = display(self, display_id=True)
        return self

    def __call__(self, step: int, model: SimMIM, history: History) -> None:
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
        device, training = self.model.mean.device, self.model.training
        try:
            return self.model.eval().reconstruct(self.images.to(device), self.hides.to(device)).cpu()
        finally:
            self.model.train(training)

    def _series(self, history: History) -> list[dict]:
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
        _draw_chart(top, self.chart)
        pixels = np.frombuffer(self.pixels, np.uint8).reshape(-1, height, width, 3)
        for axes, panel, picture in zip(rest, self.panels, pixels, strict=False):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(panel["title"], fontsize=9)
            axes.axis("off")
        return plots.png(figure, self.alt)


class BudgetExplorer(Chart):
    """Choose a model, a GPU, a set of images, minutes and the utilisation; see how many epochs there is time for.

    `preset` is a ViT of `simmim.PRESETS` and trains at its own image size. `gpu` is one of `budget.GPUS`, and
    `utilisation` the share of its peak that the training reaches, at most 1. `minutes` lie between 1 and 720.
    In Python also: `images`, how many the set has, `forward_flops` for one of them, `seconds_per_epoch`, `epochs`
    and `state_bytes`, the memory of weights, gradients and AdamW. All count the blocks of the ViT alone.
    Raises ValueError for an unknown name and a number out of its range.
    """

    preset = traitlets.Unicode("vit_tiny").tag(sync=True)
    gpu = traitlets.Unicode("T4").tag(sync=True)
    dataset = traitlets.Unicode("CIFAR-10").tag(sync=True)
    minutes = traitlets.Int(45).tag(sync=True)
    utilisation = traitlets.Float(0.3).tag(sync=True)
    alt = "A rising line for each GPU: the epochs that a training does in some minutes. Both axes are logarithmic."
    presets = tuple(name for name, parts in PRESETS.items() if parts["encoder"]["kind"] == "vit")
    datasets: Mapping[str, int] = {"CIFAR-10": 50_000, "ImageNet": 1_281_167}
    longest = 720  # minutes
    lines = (  # colour and dashes of each GPU's; Okabe-Ito
        (plots.BLUE, []),
        (plots.VERMILLION, DASH),
        ("#009E73", [2, 3]),
        ("#CC79A7", [9, 3, 2, 3]),
    )

    def __init__(self, **start):
        super().__init__(
            controls=[
                {"kind": "select", "trait": "preset", "label": "model", "options": list(self.presets)},
                {"kind": "select", "trait": "gpu", "label": "GPU", "options": list(GPUS)},
                {"kind": "select", "trait": "dataset", "label": "images", "options": list(self.datasets)},
                {
                    "kind": "range",
                    "trait": "minutes",
                    "label": "minutes",
                    "min": 1,
                    "max": self.longest,
                    "step": 1,
                },
                {
                    "kind": "range",
                    "trait": "utilisation",
                    "label": "utilisation",
                    "min": 0.05,
                    "max": 1,
                    "step": 0.05,
                },
            ],
            **start,
        )
        self.start()
        self.observe(self.refresh, ["preset", "gpu", "dataset", "minutes", "utilisation"])

    @traitlets.validate("preset", "gpu", "dataset")
    def _check_name(self, proposal: dict) -> str:
        kind = proposal["trait"].name
        options = {"preset": dict.fromkeys(self.presets), "gpu": GPUS, "dataset": self.datasets}[kind]
        choose(proposal["value"], options, kind)
        return proposal["value"]

    @traitlets.validate("minutes", "utilisation")
    def _check_number(self, proposal: dict) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        least, most = {"minutes": (1, self.longest), "utilisation": (0.01, 1)}[name]
        if not least <= value <= most:
            raise ValueError(f"{name} must lie between {least} and {most}, but is {value}")
        return value

    @property
    def encoder(self) -> dict:
        """How the encoder of the model is built."""
        return PRESETS[self.preset]["encoder"]

    @property
    def images(self) -> int:
        return self.datasets[self.dataset]

    @property
    def forward_flops(self) -> int:
        return vit_flops(*(self.encoder[name] for name in ("image_size", "patch", "dim", "depth")))

    @property
    def state_bytes(self) -> int:
        return state_bytes(vit_parameters(self.encoder["dim"], self.encoder["depth"]))

    @property
    def seconds_per_epoch(self) -> float:
        return self._seconds(GPUS[self.gpu])

    @property
    def epochs(self) -> float:
        return 60 * self.minutes / self.seconds_per_epoch

    def _seconds(self, gpu: GPU) -> float:
        return seconds_per_epoch(self.forward_flops, self.images, gpu, self.utilisation)

    def update(self) -> None:
        x = np.geomspace(1, self.longest, POINTS)
        series = []
        for (name, gpu), (color, dash) in zip(GPUS.items(), self.lines, strict=True):
            style = {"label": name, "color": color, "dash": dash, "bold": name == self.gpu}
            series.append({**style, "x": x.tolist(), "y": (60 * x / self._seconds(gpu)).tolist()})
        self.chart = {
            "title": self.alt,
            "xlabel": "minutes",
            "ylabel": "epochs",
            "range": [1, self.longest],
            "log": True,
            "cursor": "minutes",
            "step": 1,
            "series": series,
        }
        giga, size, memory = (
            training_flops(self.forward_flops) / 1e9,
            self.encoder["image_size"],
            GPUS[self.gpu].memory,
        )
        self.status = (
            f"In {self.minutes} min one {self.gpu} trains {self.preset} for {_short(self.epochs)} epochs of "
            f"{self.images:,} images of {size} x {size} pixels: {_short(giga)} GFLOP per image, "
            f"{_short(self.seconds_per_epoch)} s per epoch at {self.utilisation:.0%} of the peak. "
            f"Weights, gradients and AdamW fill {self.state_bytes / 1e9:.2g} of its {memory / 1e9:.0f} GB."
        )


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


def _check_images(images: Tensor) -> Float[Tensor, "n 3 height width"]:
    """Images as a batch on the CPU, or an error that says what was expected."""
    if not isinstance(images, Tensor) or not images.is_floating_point():
        found = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"images must be a float tensor with values from 0 to 1, not {found}")
    images = images[None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise ValueError(f"images must have shape (n, 3, height, width), but have {tuple(images.shape)}")
    if not images.isfinite().all() or images.min() < 0 or images.max() > 1:
        raise ValueError("images must lie between 0 and 1; divide bytes by 255")
    return images.detach().cpu()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _short(number: float) -> str:
    """Three digits that count, such as 0.0881 or 6,840."""
    return f"{float(f'{number:.3g}'):,.10g}"


def _write_below(figure: "Figure", text: str) -> None:
    """Make room for the text at the foot of a still picture."""
    if lines := textwrap.wrap(text, int(14 * figure.get_figwidth())):
        figure.set_figheight(figure.get_figheight() + 0.2 * len(lines))
        figure.supxlabel("\n".join(lines), fontsize=9)


def _draw_chart(axes: "Axes", chart: dict) -> None:
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
