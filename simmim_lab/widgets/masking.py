"""Choose a mask and see what it leaves (lesson 01)."""

import math
from collections.abc import Callable, Mapping

import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor

from simmim_lab.common import check_number, choose
from simmim_lab.masking import STRATEGIES, avg_dist, check_mask, to_pixels
from simmim_lab.shapes import Grid, Mask
from simmim_lab.widgets.panels import Panels, as_batch, picture_slider

NOTES: dict[str, str] = {  # on strategies for which a control does nothing, or less than it seems
    "grid": "Grid: up to a ratio of 0.8 three quarters are hidden.",
    "half": "Half: nothing is drawn, so the seed does nothing.",
    "center": "Center: nothing is drawn, so the seed does nothing.",
    "mixture": "Mixture: the seed chooses random, block, half, center or stroke; the ratio is for the first two.",
}


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
    texts: Mapping[str, str] = {
        "hidden": "{share:.0%} hidden, {reach}",
        "reach": "AvgDist {distance:.1f} pixels",
        "nothing_visible": "nothing is visible",
        "noted": "{said}. {note}",
    }

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
        self.images = as_batch(images)
        check_number("patch", patch, 1, integer=True)
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
        controls += picture_slider(self.images)
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
        self.start("image_index", "strategy", "cell", "ratio", "seed")

    def update(self) -> None:
        strategy = choose(self.strategy, self.strategies, "strategy")
        generator = torch.Generator().manual_seed(self.seed)
        mask = torch.as_tensor(strategy(1, self.grid, self.ratio, self.cell, generator=generator))
        check_mask(mask, 1, self.grid)
        image, hidden = self.images[self.image_index], to_pixels(mask, self.patch)[0]
        self.show_panels(self.pictures(image, mask[0], hidden))
        self.mask, self.hidden = mask[0], hidden.numpy().tobytes()
        distance, share = avg_dist(hidden[None]).item(), self.mask.float().mean()
        reach = self.texts["reach" if math.isfinite(distance) else "nothing_visible"].format(distance=distance)
        self.status = self.texts["hidden"].format(share=share, reach=reach) + self.remark(image, hidden)
        if self.strategy in NOTES and strategy is STRATEGIES[self.strategy]:  # not one of the learner's own
            self.status = self.texts["noted"].format(said=self.status, note=NOTES[self.strategy])

    def pictures(self, image: Tensor, mask: Tensor, hidden: Tensor) -> list[Tensor]:
        black_or_white = torch.where(hidden, 0.15, 0.9).expand(3, -1, -1)
        return [image, image, black_or_white]

    def remark(self, image: Tensor, hidden: Tensor) -> str:
        return ""
