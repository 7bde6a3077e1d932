"""Recipes: how long a training is, how fast it learns, and what it wrote down (lesson 05)."""

import dataclasses
import math

from simmim_lab.common import check_number


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What every training has: its length, its learning rate and what keeps it stable.

    A run ends after `steps` steps or, if `seconds` is given instead, after this much time. The learning rate
    rises for the share `warmup` of the run and then falls along a cosine to `min_lr`. Gradients longer than
    `clip` are cut to this length. With `ema`, such as 0.999, the result is an exponential moving average of the
    weights over the last steps, about 1 / (1 - ema) of them. `drop_path` is the chance that an image skips the
    last residual branch; earlier ones have less (`drop_path.DropPath`). `crop_scale` and `flip` are the
    augmentation of `ImageSet.batch`. The validation loss is taken every `val_every` steps; a checkpoint is
    written every `save_every` seconds.
    Raises ValueError for a value that makes no sense.
    """

    steps: int | None = None
    seconds: float | None = None
    batch_size: int = 64
    lr: float = 3e-3
    min_lr: float = 1e-5
    warmup: float = 0.05
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 5.0
    ema: float = 0.0
    drop_path: float = 0.0
    crop_scale: tuple[float, float] | None = (0.67, 1.0)
    flip: bool = True
    val_every: int = 200
    save_every: float = 30.0
    seed: int = 0

    def __post_init__(self):
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("give either steps or seconds, so that the run knows when to end")
        if self.steps is not None:
            check_number("steps", self.steps, 1, integer=True)
        else:
            check_number("seconds", self.seconds, 0, LONGEST, above=True)
        for name in ("batch_size", "val_every"):
            check_number(name, getattr(self, name), 1, integer=True)
        check_number("lr", self.lr, 0, HIGHEST, above=True)
        check_number("min_lr", self.min_lr, 0)
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr must not exceed lr, but is {self.min_lr} with an lr of {self.lr}: lower it")
        check_number("warmup", self.warmup, 0, 1)
        check_number("weight_decay", self.weight_decay, 0, HIGHEST)
        check_number("clip", self.clip, 0, above=True)
        check_number("save_every", self.save_every, 0)
        check_number("seed", self.seed, 0, 2**63 - 1, integer=True)
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise ValueError(f"betas must be two numbers, such as (0.9, 0.95), but are {self.betas!r}")
        below_1 = [("betas", beta) for beta in self.betas] + [("ema", self.ema), ("drop_path", self.drop_path)]
        for name, value in below_1:
            check_number(name, value, 0, BELOW_1)
        if self.crop_scale is not None:
            if not isinstance(self.crop_scale, tuple | list) or len(self.crop_scale) != 2:
                raise ValueError(f"crop_scale must be (from, to) or None, but is {self.crop_scale!r}")
            check_number("crop_scale", self.crop_scale[1], 0, 1, above=True)
            check_number("crop_scale", self.crop_scale[0], 0, self.crop_scale[1], above=True)

    def done(self, steps: int, seconds: float) -> float:
        """The share of the run that is over, from 0 to 1, after so many steps and seconds."""
        return min(1.0, steps / self.steps if self.steps else seconds / self.seconds)

    def lr_at(self, done: float) -> float:
        """The learning rate when the share `done` of the run is over."""
        return lr_at(done, self.lr, self.min_lr, self.warmup)


def lr_at(done: float, lr: float, min_lr: float, warmup: float) -> float:
    """The learning rate when the share `done` of the run is over, 0 <= done <= 1.

    It rises from 0 in a straight line, and is `lr` when the share `warmup` of the run is over. From
    there it falls along half a turn of a cosine, and is `min_lr` at the end: 0 < min_lr < lr. Without
    a warm-up it begins at `lr`: 0 <= warmup < 1.
    """
    if done <= warmup and warmup > 0:
        return lr * done / warmup
    cosine = math.cos(math.pi * (done - warmup) / (1 - warmup))
    return min_lr + (lr - min_lr) * (1 + cosine) / 2


LONGEST = 10 * 365 * 86_400  # seconds
HIGHEST = 1e6  # of a learning rate or a weight decay: finite, at least
BELOW_1 = math.nextafter(1, 0)


@dataclasses.dataclass
class History:
    """What happened: one loss, gradient norm and learning rate per step, and the validation loss now and then."""

    loss: list[float] = dataclasses.field(default_factory=list)
    grad_norm: list[float] = dataclasses.field(default_factory=list)
    lr: list[float] = dataclasses.field(default_factory=list)
    val_step: list[int] = dataclasses.field(default_factory=list)
    val_loss: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    images_per_second: float = 0.0

    @property
    def steps(self) -> int:
        return len(self.loss)
