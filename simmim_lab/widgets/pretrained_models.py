"""Compare converted models with the original, layer by layer (lesson 10)."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import traitlets
from jaxtyping import Float
from torch import Tensor, nn

from simmim_lab import evaluation, plots
from simmim_lab.common import choose
from simmim_lab.masking import check_mask, to_pixels
from simmim_lab.probing import layers
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets.panels import DASH, Panels, as_batch, draw_beside, picture_slider, snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 7  # digits of a number in 32 bits


class WeightsParity(Panels):
    """Choose one of several conversions of a SimMIM with a ViT, and see in which layer it leaves the original.

    `converted` are models by name. For each layer, from what enters the first block to the final norm, and for the
    prediction behind it, the chart has the number of digits in which both agree: of the largest value that the
    original has there, the largest difference is the part 10^-digits. `mask` hides patches of the `images`, one
    mask for each. The widget works on copies.
    In Python: `name`, `image_index` and `digits`, the numbers of the chart.
    Raises TypeError or ValueError for models, images or a mask that do not fit.
    """

    digits: list[float]

    name = traitlets.Unicode().tag(sync=True)
    image_index = traitlets.Int(0).tag(sync=True)
    alt = (
        "A chart: in how many digits a converted model agrees with the original, for each layer and for the "
        "prediction. Three pictures: one with patches hidden, and what both models fill in."
    )

    def __init__(
        self,
        model: SimMIM,
        converted: Mapping[str, SimMIM],
        images: Float[Tensor, "n 3 height width"],
        mask: Mask,
        *,
        name: str | None = None,
    ):
        self.images, self.mask = as_batch(images), mask
        check_mask(mask, len(self.images), model.grid(self.images))
        self.model = snapshot(model)
        self.converted = {name: snapshot(other) for name, other in converted.items()}
        self.looked: dict[nn.Module, tuple[list[Tensor], Images]] = {}
        controls = [{"kind": "select", "trait": "name", "label": "conversion", "options": list(converted)}]
        controls += picture_slider(self.images)
        super().__init__(
            controls=controls,
            panels=[
                {"title": "visible", "striped": True},
                {"title": "original"},
                {"title": "converted"},
            ],
            size=list(self.images.shape[-2:]),
            name=name or next(iter(converted)),
        )
        self.start("name", "image_index")

    def update(self) -> None:
        other = choose(self.name, self.converted, "conversion")
        chosen = [self.image_index]
        image, hidden = self.images[chosen], to_pixels(self.mask[chosen], self.model.patch)
        both = [self.look(model) for model in (self.model, other)]
        of_layers = zip(*(maps for maps, _ in both), strict=True)
        self.digits = [agreeing_digits(one[chosen], two[chosen]) for one, two in of_layers]
        filled = [pictures[chosen] for _, pictures in both]
        self.hidden = hidden.numpy().tobytes()
        self.show_panels([image[0], *(picture[0] for picture in filled)])
        self.draw_chart()
        first = next((layer for layer, digits in enumerate(self.digits) if digits < 5), None)
        said = "agrees in 5 digits and more everywhere" if first is None else f"leaves it at {self.named(first)}"
        scores = " and ".join(f"{evaluation.psnr(image, picture, hidden):.1f}" for picture in filled)
        self.status = f"{self.name}: {said}. PSNR of the hidden pixels, original and converted: {scores} dB."

    def look(self, model: SimMIM) -> tuple[list[Tensor], Images]:
        """What a model has for all images in each layer, with its prediction, and its fills: computed once."""
        if model not in self.looked:
            maps = layers(model, self.images, self.mask)
            filled = model.reconstruct(self.images, self.mask)
            self.looked[model] = [*maps, model.decoder(maps[-1]).float()], filled
        return self.looked[model]

    def named(self, layer: int) -> str:
        """What a layer of the chart is, in words."""
        last = len(self.digits) - 1
        names = {0: "the embedding", last - 1: "the final norm", last: "the prediction"}
        return names.get(layer, f"block {layer}")

    def draw_chart(self) -> None:
        """The agreeing digits over the layers."""
        last = len(self.digits) - 1
        agreed = {"label": "digits that agree", "color": plots.BLUE, "marked": True}
        enough = {"label": "enough: 5", "color": plots.VERMILLION, "dash": DASH}
        self.chart = {
            "title": "In how many digits both models agree, for each layer",
            "xlabel": f"layer: 0 embedding, 1 to {last - 2} blocks, {last - 1} final norm, {last} prediction",
            "ylabel": "digits that agree",
            "range": [0, last],
            "series": [
                {**agreed, "x": list(range(last + 1)), "y": self.digits},
                {**enough, "x": [0, last], "y": [5, 5]},
            ],
        }

    def arrange(self, pictures: list[Float[Tensor, "3 height width"]], titles: list[str]) -> "Figure":
        """The chart of a still picture, and the panels beside it."""
        axes = draw_beside(self.chart, pictures, titles)
        axes.set_ylim(0, MOST + 0.5)
        axes.set_xlabel("layer, and the prediction")
        return axes.figure


def agreeing_digits(original: Tensor, other: Tensor) -> float:
    """Of how many digits the largest value has, in how many the two agree everywhere: from 0 to 7."""
    apart, largest = (other - original).abs().max().item(), original.abs().max().item()
    if apart == 0:
        return MOST
    return min(-math.log10(apart / largest), MOST) if apart < largest else 0  # also where one is no number
