"""Choose a mask or paint one and see how a model fills it (lessons 00, 01, 03 and 05)."""

import math

import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor

from simmim_lab import evaluation
from simmim_lab.masking import center_mask, check_mask, to_pixels
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets.masking import MaskExplorer
from simmim_lab.widgets.panels import Panels, as_batch, snapshot, weakly


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
        self.model, self.image = snapshot(model), as_batch(image)
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
        self.start("painted")
        self.on_msg(weakly(self._button))

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
