"""Move a prediction and watch two losses (lesson 04)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from simmim_lab import plots
from simmim_lab.widgets.panels import DASH, Chart, weakly

YOURS = "your own"


class LossPlayground(Chart):
    """Some targets on a line and one prediction for them all: drag it, and watch MSE and L1.

    The triangles mark the best predictions: the mean for MSE, the median for L1. In Python: `targets`,
    `prediction`, `mse` and `l1`. Raises TypeError or ValueError for other than numbers in [0, 1].
    """

    targets = traitlets.List(traitlets.Float()).tag(sync=True)
    prediction = traitlets.Float(0.5).tag(sync=True)
    example = traitlets.Unicode().tag(sync=True)
    alt = "Two curves over the prediction: MSE, a parabola lowest at the mean, and L1, lowest at the median."
    texts: Mapping[str, str] = {
        "losses": "prediction {prediction:.2f}: MSE {mse:.3f} (smallest at the mean, {mean:.2f}), "
        "L1 {l1:.3f} (smallest at the median, {median:.2f})",
    }
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
        self.start("targets", "prediction")
        self.observe(weakly(self._choose), "example")

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
        self.status = self.texts["losses"].format(
            prediction=self.prediction, mse=self.mse, mean=mean, l1=self.l1, median=median
        )
