"""Paint on a picture what to hide (lessons 00, 01 and 08)."""

import math

import numpy as np
import torch
import traitlets
from jaxtyping import Bool
from torch import Tensor

from simmim_lab.masking import check_mask
from simmim_lab.shapes import Grid, Images
from simmim_lab.widgets.panels import Panels, as_batch, weakly


class Brush(Panels):
    """A widget whose first panel is painted on, on a grid of patches or of pixels, and what the mask does.

    With the mouse, a pen or a finger: press and drag. With the keyboard: arrow keys move, with Shift they paint,
    the space bar hides or shows, and Ctrl+Z takes the last stroke back. A stroke that begins where something is
    hidden shows it again. `mask` can be read and set in Python.
    """

    painted = traitlets.CBytes().tag(sync=True)  # row, column
    stroking = traitlets.Bool(False).tag(sync=True)  # from the press of a button to its release
    grid = traitlets.List([1, 1]).tag(sync=True)
    place = traitlets.List([0, 0]).tag(sync=True)
    brush = traitlets.Int(1).tag(sync=True)

    def __init__(self, grid: Grid, mask: Bool[Tensor, "rows cols"], controls: tuple[dict, ...] = (), **traits):
        thick = max(1, min(grid) // 4)
        super().__init__(
            controls=[
                {"kind": "range", "trait": "brush", "label": "brush", "min": 1, "max": thick, "step": 1},
                {"kind": "button", "label": "undo", "message": "undo", "key": "z"},
                {"kind": "button", "label": "clear", "message": "clear"},
                {"kind": "button", "label": "invert", "message": "invert"},
                *controls,
            ],
            brush=max(1, min(grid) // 12),
            **traits,
        )
        self.begin(grid, mask)
        self.start("painted", "stroking")
        self.on_msg(weakly(self._receive))

    def begin(self, grid: Grid, mask: Bool[Tensor, "rows cols"]) -> None:
        """Start on a grid of this size with this mask; what was painted before cannot be brought back."""
        self.strokes: list[bytes] = []  # the mask at first and after each of them
        with self.hold_trait_notifications():
            self.grid, self.place = list(grid), [grid[0] // 2, grid[1] // 2]
            self.painted = b""  # so that a mask like the last one counts as new
            self.mask = mask

    @property
    def mask(self) -> Bool[Tensor, "rows cols"]:
        """The painted mask, True = hidden."""
        return torch.tensor(np.frombuffer(self.painted, np.uint8).copy()).bool().view(*self.grid)

    @mask.setter
    def mask(self, mask: Bool[Tensor, "rows cols"]) -> None:
        mask = torch.as_tensor(mask)
        check_mask(mask[None], 1, tuple(self.grid))
        self.painted = mask.cpu().numpy().tobytes()

    def _receive(self, widget: object, content: dict, buffers: list) -> None:
        with self.reporting():
            self.act(content.get("message"), content, buffers)

    def act(self, message: str, content: dict, buffers: list) -> None:
        """Do what a button says."""
        if message == "clear":
            self.mask = torch.zeros_like(self.mask)
        elif message == "invert":
            self.mask = ~self.mask
        elif message == "undo" and len(self.strokes) > 1:
            del self.strokes[-1]
            self.painted = self.strokes[-1]

    def update(self) -> None:
        if len(self.painted) != math.prod(self.grid):
            raise ValueError(f"the mask must have {math.prod(self.grid)} entries, but has {len(self.painted)}")
        if not self.stroking and self.strokes[-1:] != [self.painted]:
            self.strokes.append(self.painted)
        self.fill(self.mask)

    def fill(self, mask: Bool[Tensor, "rows cols"]) -> None:
        """Show what this mask does."""


def one_image(image: Tensor) -> Images:
    """The image as a batch of one on the CPU; TypeError or ValueError for anything else."""
    images = as_batch(image)
    if len(images) > 1:
        raise ValueError(f"give one image of shape (3, height, width), not {len(images)}")
    return images
