"""Choose a patch and see which other tokens are like its token (lesson 07)."""

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from simmim_lab.probing import layers, similarity_map
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets.panels import Panels, as_batch, picture_slider, snapshot


class TokenSimilarity(Panels):
    """Choose a patch of a picture and a layer of a ViT; see how similar each token is to that of the patch.

    Similar is the cosine: dark blue is 0 or less, yellow is 1. All tokens of a picture share something, so a third
    panel compares what is left of them without their mean. `layer` 0 is what enters the first block, and the
    highest one, where it starts, is what the encoder returns. The widget works on a copy of `model`.
    In Python: `image_index`, `layer`, `place` (row, column), `similarity` and `similarity_without_mean`.
    Raises TypeError or ValueError for a model, images or starting values that do not fit.
    """

    similarity: Float[Tensor, "rows cols"]
    similarity_without_mean: Float[Tensor, "rows cols"]

    image_index = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    grid = traitlets.List([1, 1]).tag(sync=True)
    place = traitlets.List([0, 0]).tag(sync=True)
    alt = (
        "Three panels: a picture in which a patch is chosen, the similarity of each token to that of the patch, "
        "from dark to bright, and the same for the tokens without their mean."
    )

    def __init__(
        self,
        model: SimMIM,
        images: Float[Tensor, "n 3 height width"],
        *,
        layer: int | None = None,
        place: tuple[int, int] | None = None,
    ):
        self.model, self.images = snapshot(model), as_batch(images)
        found = layers(self.model, self.images)
        self.maps = [torch.stack(maps) for maps in zip(*found, strict=True)]  # for each image, its layers
        last, (rows, cols) = len(found) - 1, found[0].shape[-2:]
        names = ["embedding", *(f"after block {block}" for block in range(1, last)), "final norm"]
        controls = [{"kind": "range", "trait": "layer", "label": "layer", "min": 0, "max": last, "step": 1}]
        controls[0]["labels"] = self.names = names
        controls += picture_slider(self.images)
        super().__init__(
            controls=controls,
            panels=[
                {"title": "choose a patch", "pointer": "click"},
                {"title": "similarity of its token"},
                {"title": "without the mean of all"},
            ],
            size=list(self.images.shape[-2:]),
            layer=last if layer is None else layer,
            grid=[rows, cols],
            place=list(place or (rows // 2, cols // 2)),
        )
        self.start("image_index", "layer", "place")

    def update(self) -> None:
        (row, col), (rows, cols) = self.place, self.grid
        if not (0 <= row < rows and 0 <= col < cols):
            raise ValueError(f"the grid has {rows} rows and {cols} columns, but the place is {(row, col)}")
        if not 0 <= self.layer < len(self.names):
            raise ValueError(f"layer must lie between 0 and {len(self.names) - 1}, but is {self.layer}")
        tokens = self.maps[self.image_index][self.layer]
        self.similarity = similarity_map(tokens, (row, col))
        self.similarity_without_mean = similarity_map(tokens - tokens.mean((1, 2), keepdim=True), (row, col))
        both = self.similarity, self.similarity_without_mean
        self.show_panels([self.images[self.image_index], *(self._colored(values) for values in both)])
        raw, left = (f"{values.min():.2f} to {values.max():.2f}" for values in both)
        self.status = f"{self.names[self.layer]}, patch {(row, col)}: similarity {raw}, without the mean {left}"

    def _colored(self, values: Float[Tensor, "rows cols"]) -> Float[Tensor, "3 height width"]:
        from matplotlib import colormaps

        colors = torch.from_numpy(colormaps["cividis"](values.clamp(0, 1).numpy()))[..., :3]
        return interpolate(colors.permute(2, 0, 1)[None], tuple(self.size))[0]
