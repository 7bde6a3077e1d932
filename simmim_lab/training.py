"""Training: how SimMIM is pre-trained (lesson 05): its recipe, and the masked images of each step."""

import dataclasses
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

from torch import Generator, Tensor

from simmim_lab.common import check_number, choose
from simmim_lab.hardware import Execution
from simmim_lab.images import ImageSet, ImageStream
from simmim_lab.loop import Batch, Callback, Run, faster_threads, fit, parameter_groups, step_generator
from simmim_lab.masking import STRATEGIES, pick_masks
from simmim_lab.prefetch import on_side_stream
from simmim_lab.recipe import History, Schedule
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM

VAL_IMAGES = 256


@dataclasses.dataclass(frozen=True)
class Recipe(Schedule):
    """How to pre-train; the defaults suit `vit_nano` on 32-pixel images.

    `mask` names a strategy of `masking.STRATEGIES`, with cells of `mask_size` pixels. Of several sizes, such as
    (4, 8), each image draws one: a model that shall repair thin strokes must see small cells too, and only large
    ones teach it to look far. The rest is a `Schedule`.
    Raises ValueError for a value that makes no sense.
    """

    mask: str = "random"
    mask_ratio: float = 0.6
    mask_size: int | tuple[int, ...] = 8

    def __post_init__(self):
        super().__post_init__()
        if not self.mask_sizes:
            raise ValueError("mask_size must be a number of pixels, or several, but is ()")
        for size in self.mask_sizes:
            check_number("mask_size", size, 1, integer=True)
        check_number("mask_ratio", self.mask_ratio, 0, 1, above=True)  # 0 would hide nothing
        choose(self.mask, STRATEGIES, "mask")

    @property
    def mask_sizes(self) -> tuple[int, ...]:
        """All sizes of cells, in pixels."""
        return tuple(self.mask_size) if isinstance(self.mask_size, tuple | list) else (self.mask_size,)

    @classmethod
    def preset(cls, name: str, **changes) -> Self:
        """The recipe for a preset of `SimMIM`, with some fields changed; give at least steps or seconds.

        Encoders of timm, "timm/NAME", have the paper's.
        """
        preset = _PAPER if name.startswith("timm/") else choose(name, RECIPES, "preset")
        return cls(**{**preset, **changes})


# The official 100-epoch runs. Their checkpoints are large, so they are written more rarely.
_PAPER = {"lr": 2e-4, "batch_size": 512, "betas": (0.9, 0.999), "mask_size": 32, "save_every": 300.0}

RECIPES = {
    "article_cnn": {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0},  # PyTorch's Adam, as in the article
    "vit_nano": {},
    "swin_nano": {},
    "vit_tiny": {"lr": 1e-3, "batch_size": 512},
    "vit_small": {"lr": 1e-3, "batch_size": 512},
    "vit_base": {**_PAPER, "drop_path": 0.1},
    "swin_base": _PAPER,
}


def pretrain(
    model: SimMIM,
    dataset: ImageSet | ImageStream,
    recipe: Recipe,
    execution: Execution = Execution(),
    *,
    val: ImageSet | ImageStream | None = None,
    run_dir: str | Path | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
) -> History:
    """Train `model` in place, on the device where it is, and return what happened.

    With a `run_dir` the state is kept there, and the same call goes on after an interruption; on a CPU its
    final weights are the same to the last bit. At the end `run_dir` also holds the model (`SimMIM.load`) and
    `history.json`. Each callback is called with (step, model, history) when losses were read: after 25 steps,
    and before each checkpoint. `progress` shows a bar.
    Among several processes (see `distributed`) each trains on its share of every batch; the first one writes.
    Raises ValueError for a checkpoint that is damaged or of another run, OSError for a folder that cannot be
    written (before training), FloatingPointError when the loss is no longer a number, MemoryError with advice
    when a GPU's memory is too small, and KeyboardInterrupt after saving.
    """
    device = model.mean.device
    dataset = dataset.to(device)

    def batches(first: int, share: slice) -> Iterator[tuple[Batch, Tensor]]:
        generators = (step_generator(recipe.seed, step, 0, dataset.draws_on) for step in count(first))
        augmentation = {"crop_scale": recipe.crop_scale, "flip": recipe.flip, "share": share}
        drawn = dataset.batches(recipe.batch_size, generators, **augmentation)
        for step, images in enumerate(drawn, first):
            generator = step_generator(recipe.seed, step, 1, device)
            mask = draw_mask(model, images, recipe, generator, batch_size=recipe.batch_size)
            yield (images, mask[share]), mask.sum()

    validation = None
    if val is not None:
        shown = val.take(min(VAL_IMAGES, len(val))).to(device)
        mask = draw_mask(model, shown, recipe, step_generator(recipe.seed, 0, 2, device))  # the same each time
        parts = list(zip(shown.split(recipe.batch_size), mask.split(recipe.batch_size), strict=True))
        validation = partial(iter, parts)

    run = Run(model, recipe, execution, parameter_groups, {"images": dataset.fingerprint()}, run_dir)
    draw = on_side_stream(batches, dataset, run)
    return fit(run, draw, validation, callbacks=callbacks, title="pre-training", progress=progress)


def draw_mask(
    model: SimMIM, images: Images, recipe: Recipe, generator: Generator, *, batch_size: int | None = None
) -> Mask:
    """A mask for these images, or for `batch_size` like them, as the recipe has it.

    Raises ValueError if its cells are not whole patches.
    """
    for size in recipe.mask_sizes:
        if size % model.patch:
            raise ValueError(f"mask_size {size} is not a multiple of the patch of {model.patch} pixels")
    draw = partial(STRATEGIES[recipe.mask], batch_size or len(images), model.grid(images), recipe.mask_ratio)
    masks = [draw(size // model.patch, generator=generator) for size in recipe.mask_sizes]
    return pick_masks(masks, generator=generator) if len(masks) > 1 else masks[0]


def pick_threads(model: SimMIM, dataset: ImageSet | ImageStream, recipe: Recipe, steps: int = 5) -> int:
    """Time a few steps with one CPU thread and with all; keep the faster and return it."""
    images = dataset.batch(recipe.batch_size, step_generator(0, 0, 0))
    mask = draw_mask(model, images, recipe, step_generator(0, 0, 1))
    return faster_threads(model, (images, mask), recipe, steps)
