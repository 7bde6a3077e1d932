"""Choose a place of a network's output and see what influences it (lesson 02)."""

from collections.abc import Callable

import torch
import traitlets
from jaxtyping import Bool
from torch import Generator, Tensor, nn

from simmim_lab.masking import check_mask
from simmim_lab.shapes import Grid
from simmim_lab.widgets.panels import Panels, snapshot


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
        self.probes = torch.rand(8, 3, height, width, generator=Generator().manual_seed(0))
        with torch.no_grad():
            rows, cols = self.network(self.probes[:1]).shape[-2:]
        super().__init__(
            panels=[{"title": "output: choose a place", "pointer": "click"}, {"title": "input", "striped": True}],
            size=[height, width],
            grid=[rows, cols],
            place=list(place or (rows // 2, cols // 2)),
        )
        self.start("place")

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
                (values * torch.randn(values.shape, generator=Generator().manual_seed(1))).sum(), images
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
