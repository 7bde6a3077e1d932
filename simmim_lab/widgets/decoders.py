"""Choose a mask or paint one and see how a model fills it (lessons 00, 01, 03 and 05)."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from simmim_lab import evaluation
from simmim_lab.masking import center_mask, to_pixels
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets.brush import Brush, one_image
from simmim_lab.widgets.masking import MaskExplorer
from simmim_lab.widgets.panels import snapshot


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


class MaskBrush(Brush):
    """Paint patches to hide; the model fills them in while you paint.

    `mask` is hidden at first, by default the middle. `Brush` says how to paint.
    Raises TypeError or ValueError if the image does not suit the model.
    """

    alt = "Three panels: a picture with painted patches hidden, the model's reconstruction, and both together."
    texts: Mapping[str, str] = {
        "hidden": "{hidden} of {patches} patches hidden ({share:.0%})",
        "psnr": ", PSNR of the hidden pixels {psnr:.1f} dB",
    }

    def __init__(self, model: SimMIM, image: Float[Tensor, "3 height width"], *, mask: Tensor | None = None):
        self.model, self.image = snapshot(model), one_image(image)
        grid = self.model.grid(self.image)
        super().__init__(
            grid,
            center_mask(1, grid)[0] if mask is None else mask,
            panels=[
                {"title": "paint here", "striped": True, "pointer": "paint"},
                {"title": "reconstruction"},
                {"title": "reconstruction + visible"},
            ],
            size=list(self.image.shape[-2:]),
        )

    def fill(self, mask: Bool[Tensor, "rows cols"]) -> None:
        mask = mask[None]
        hidden = to_pixels(mask, self.model.patch)
        prediction = self.model.predict(self.image, mask)
        filled = torch.where(hidden, prediction, self.image)
        self.hidden = hidden.numpy().tobytes()
        self.show_panels([self.image[0], prediction[0], filled[0]])
        self.status = self.texts["hidden"].format(
            hidden=int(mask.sum()), patches=mask.numel(), share=mask.float().mean()
        )
        if hidden.any():
            self.status += self.texts["psnr"].format(psnr=evaluation.psnr(self.image, filled, hidden))
