"""Plan a training: how many epochs a GPU does in the time there is (lesson 06)."""

from collections.abc import Mapping

import numpy as np
import traitlets

from simmim_lab import plots
from simmim_lab.budget import GPU, GPUS, seconds_per_epoch, state_bytes, training_flops, vit_flops, vit_parameters
from simmim_lab.common import choose
from simmim_lab.simmim import PRESETS
from simmim_lab.widgets.panels import DASH, POINTS, Chart


class BudgetExplorer(Chart):
    """Choose a model, a GPU, a set of images, minutes and the utilisation; see how many epochs there is time for.

    `preset` is a ViT of `simmim.PRESETS` and trains at its own image size. `gpu` is one of `budget.GPUS`, and
    `utilisation` the share of its peak that the training reaches, at most 1. `minutes` lie between 1 and 720.
    In Python also: `image_count` of the set, `forward_flops` for one image, `seconds_per_epoch`, `epochs`
    and `state_bytes`, the memory of weights, gradients and AdamW. All count the blocks of the ViT alone.
    Raises TypeError or ValueError for an unknown name and a number out of its range.
    """

    preset = traitlets.Unicode("vit_tiny").tag(sync=True)
    gpu = traitlets.Unicode("T4").tag(sync=True)
    dataset = traitlets.Unicode("CIFAR-10").tag(sync=True)
    minutes = traitlets.Int(45).tag(sync=True)
    utilisation = traitlets.Float(0.3).tag(sync=True)
    alt = "A rising line for each GPU: the epochs that a training does in some minutes. Both axes are logarithmic."
    texts: Mapping[str, str] = {
        "plan": "In {minutes} min one {gpu} trains {preset} for {epochs} epochs of {images:,} images of "
        "{size} x {size} pixels: {giga} GFLOP per image, {seconds} s per epoch at {utilisation:.0%} of the peak. "
        "Weights, gradients and AdamW fill {state} of its {memory:.0f} GB.",
    }
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
                {"kind": "select", "trait": "dataset", "label": "dataset", "options": list(self.datasets)},
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
        self.start("preset", "gpu", "dataset", "minutes", "utilisation")

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
    def image_count(self) -> int:
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
        return seconds_per_epoch(self.forward_flops, self.image_count, gpu, self.utilisation)

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
        self.status = self.texts["plan"].format(
            minutes=self.minutes,
            gpu=self.gpu,
            preset=self.preset,
            epochs=_short(self.epochs),
            images=self.image_count,
            size=self.encoder["image_size"],
            giga=_short(training_flops(self.forward_flops) / 1e9),
            seconds=_short(self.seconds_per_epoch),
            utilisation=self.utilisation,
            state=f"{self.state_bytes / 1e9:.2g}",
            memory=GPUS[self.gpu].memory / 1e9,
        )


def _short(number: float) -> str:
    """Three digits that count, such as 0.0881 or 6,840."""
    return f"{float(f'{number:.3g}'):,.10g}"
