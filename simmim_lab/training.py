"""Training: the recipe and the loop, which goes on where it was interrupted (lessons 05 and 06).

Each step draws its images and its mask from generators seeded with (recipe seed, step). To go on after an
interruption a run therefore needs only its step, its weights and its optimizer, and then takes exactly the steps
that it would have taken.
"""

import copy
import dataclasses
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.amp import GradScaler
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from simmim_lab import distributed
from simmim_lab.checkpoints import check_room, load_checkpoint, restore, save_checkpoint
from simmim_lab.common import choose, replace_file
from simmim_lab.images import ImageSet, ImageStream
from simmim_lab.masking import STRATEGIES, Mask
from simmim_lab.simmim import SimMIM

Images = Float[Tensor, "batch 3 height width"]

CHECKPOINT = "checkpoint.safetensors"  # in the run folder
READ_EVERY = 25  # steps between readings of the loss: each makes the host wait for the device
VAL_IMAGES = 256


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to pre-train; the defaults suit `vit_nano` on 32-pixel images.

    A run ends after `steps` steps or, if `seconds` is given instead, after this much time. The learning rate
    rises for the share `warmup` of the run and then falls along a cosine to `min_lr`. A batch is worked off in
    `parts`, one after the other, where it does not fit into memory as a whole. `mask` names a strategy of
    `masking.STRATEGIES`, with cells of `mask_size` pixels. `crop_scale` and `flip` are the augmentation of
    `ImageSet.batch`. The validation loss is taken every `val_every` steps; a checkpoint is written every
    `save_every` seconds.
    Raises ValueError for a value that makes no sense.
    """

    steps: int | None = None
    seconds: float | None = None
    batch_size: int = 64
    parts: int = 1
    lr: float = 3e-3
    min_lr: float = 1e-5
    warmup: float = 0.05
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 5.0
    mask: str = "random"
    mask_ratio: float = 0.6
    mask_size: int = 8
    crop_scale: tuple[float, float] | None = (0.67, 1.0)
    flip: bool = True
    val_every: int = 200
    save_every: float = 30.0
    seed: int = 0

    def __post_init__(self):
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("give either steps or seconds, so that the run knows when to end")
        for name in ("steps", "seconds", "batch_size", "parts", "lr", "clip", "mask_size", "val_every"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, but is {getattr(self, name)}")
        for name in ("mask_ratio", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, but is {getattr(self, name)}")
        if self.batch_size % self.parts:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of parts {self.parts}")
        choose(self.mask, STRATEGIES, "mask")

    @classmethod
    def preset(cls, name: str, **changes) -> Self:
        """The recipe for a preset of `SimMIM`, with some fields changed; give at least steps or seconds."""
        return cls(**{**choose(name, RECIPES, "preset"), **changes})

    def done(self, steps: int, seconds: float) -> float:
        """The share of the run that is over, from 0 to 1, after so many steps and seconds."""
        return min(1.0, steps / self.steps if self.steps else seconds / self.seconds)

    def lr_at(self, done: float) -> float:
        """The learning rate when the share `done` of the run is over: linear warm-up, then cosine."""
        if done < self.warmup:
            return self.lr * done / self.warmup
        cosine = math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)) if self.warmup < 1 else 1
        return self.min_lr + (self.lr - self.min_lr) * (1 + cosine) / 2


_PAPER = {"lr": 2e-4, "batch_size": 512, "betas": (0.9, 0.999), "mask_size": 32}  # official 100-epoch runs

RECIPES = {
    "article_cnn": {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0},  # PyTorch's Adam, as in the article
    "vit_nano": {},
    "vit_tiny": {"lr": 1e-3, "batch_size": 512},
    "vit_small": {"lr": 1e-3, "batch_size": 512},
    "vit_base": _PAPER,
    "swin_base": _PAPER,
}


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


Callback = Callable[[int, SimMIM, History], None]


def pretrain(
    model: SimMIM,
    images: ImageSet | ImageStream,
    recipe: Recipe,
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
    written (before training), FloatingPointError when the loss is no longer a number, and KeyboardInterrupt
    after saving.
    """
    device = model.mean.device
    images = images.to(device)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, recipe.weight_decay), lr=recipe.lr, betas=recipe.betas, fused=True
    )
    scaler = GradScaler(device.type, enabled=precision(device) == torch.float16)
    history, run = History(), None
    if run_dir is not None:
        run = _Run(Path(run_dir), model, optimizer, scaler, recipe, images)
        history = run.start()
    if history.steps and recipe.done(history.steps, history.seconds) == 1:
        return history

    share, divided = _divide(model, recipe)
    model.train()
    validate = _validation(model, val, recipe) if val is not None else None
    generators = (step_generator(recipe.seed, step, 0, device) for step in count(history.steps))
    batches = images.batches(
        recipe.batch_size, generators, crop_scale=recipe.crop_scale, flip=recipe.flip, share=share
    )

    def take_step(step: int, batch: Images, lr: float) -> Tensor:
        generator = step_generator(recipe.seed, step, 1, device)
        mask = draw_mask(model, batch, recipe, generator, batch_size=recipe.batch_size)
        options = {"lr": lr, "clip": recipe.clip, "parts": recipe.parts, "hidden": mask.sum(), "scaler": scaler}
        return train_step(divided, optimizer, batch, mask[share], **options)

    readings: list[Tensor] = []
    first, began, started = history.steps, history.seconds, time.monotonic()
    with _deferred_interrupt() as interrupted, _progress_bar(recipe, history, progress) as bar:
        for step, batch in enumerate(batches, start=history.steps):
            history.lr.append(recipe.lr_at(recipe.done(step + 1, history.seconds)))
            readings.append(take_step(step, batch, history.lr[-1]))

            history.seconds = began + time.monotonic() - started
            last = recipe.done(step + 1, history.seconds) == 1
            due = last or len(readings) == READ_EVERY
            # Asked once: what is saved must have been read.
            stop, save = _agree(interrupted.is_set(), run is not None and run.is_due(), due, device)
            if due or stop or save:
                _read(readings, history, recipe, scaler)
                trained = (history.steps - first) * recipe.batch_size
                history.images_per_second = trained / (history.seconds - began)
                _advance(bar, recipe, history)
            if validate and (last or (step + 1) % recipe.val_every == 0):
                history.val_step.append(step + 1)
                history.val_loss.append(validate())
            if not readings:
                for callback in callbacks:  # behind the validation, so that they see it
                    callback(history.steps, model, history)
            if run and (save or stop or last):
                run.save(history)
            if last:
                break
            if stop:
                raise KeyboardInterrupt
    if run:
        run.finish(history)
    return history


def train_step(
    model: SimMIM | DistributedDataParallel,
    optimizer: torch.optim.Optimizer,
    images: Images,
    mask: Mask,
    *,
    lr: float,
    clip: float,
    parts: int = 1,
    hidden: Tensor | None = None,
    scaler: GradScaler | None = None,
) -> Float[Tensor, "2"]:
    """One update; returns the loss and the norm of the gradient before it was clipped, still on the device.

    The images are worked off in `parts`, whose gradients add up. `hidden` counts the hidden patches of the whole
    batch, if these images are a share of it. `scaler` keeps the small gradients of float16 from becoming zero.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    hidden = mask.sum() if hidden is None else hidden
    scaler = scaler or GradScaler(images.device.type, enabled=False)
    optimizer.zero_grad()
    loss = torch.zeros((), device=images.device)
    for part, covered in zip(images.chunk(parts), mask.chunk(parts), strict=True):
        with autocast(images.device):
            mean, _ = model(part, covered)
        part_loss = mean * (covered.sum() / hidden.clamp(min=1))  # the loss is a mean over all hidden values
        scaler.scale(part_loss * distributed.world_size()).backward()  # gradients are averaged over processes
        loss += part_loss.detach()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    scaler.step(optimizer)
    scaler.update()
    return torch.stack([loss, norm])


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups for the optimizer: weight matrices, which decay, and all the rest, which does not.

    Biases, norms, tokens, positions and relative biases set a level; pulling them to zero teaches nothing.
    Source: SimMIM's `optimizer.py`, where positions are listed by name too.
    """
    levels = ("positions", "table", "pos_embed", "mask_token", "cls_token")
    decay, rest = [], []
    for name, parameter in model.named_parameters():
        (rest if parameter.ndim < 2 or name.endswith(levels) else decay).append(parameter)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def draw_mask(
    model: SimMIM, images: Images, recipe: Recipe, generator: Generator, *, batch_size: int | None = None
) -> Mask:
    """A mask for these images, or for `batch_size` like them, as the recipe has it.

    Raises ValueError if its cells are not whole patches.
    """
    cell, rest = divmod(recipe.mask_size, model.patch)
    if rest:
        raise ValueError(f"mask_size {recipe.mask_size} is not a multiple of the patch of {model.patch} pixels")
    strategy = STRATEGIES[recipe.mask]
    return strategy(batch_size or len(images), model.grid(images), recipe.mask_ratio, cell, generator=generator)


def step_generator(seed: int, step: int, purpose: int, device: torch.device | str = "cpu") -> Generator:
    """A generator of its own for each (seed, step, purpose), on `device`."""
    [state] = np.random.SeedSequence((seed, step, purpose)).generate_state(1)
    return Generator(device).manual_seed(int(state))


def precision(device: torch.device) -> torch.dtype:
    """bfloat16 on GPUs that have it in hardware (compute capability 8 and up), float16 on others, else float32.

    `torch.cuda.is_bf16_supported()` is no help: it also says yes to older GPUs, which only emulate it, slowly.
    """
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def autocast(device: torch.device) -> AbstractContextManager:
    """Matrix products in the `precision` of the device."""
    dtype = precision(device)
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def best_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_threads(model: SimMIM, images: ImageSet | ImageStream, recipe: Recipe, steps: int = 5) -> int:
    """Time a few steps of a copy of `model` with one CPU thread and with all; keep the faster and return it.

    Two threads on two busy cores can be ten times slower than one.
    """
    if model.mean.device.type != "cpu":
        return torch.get_num_threads()
    copied = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(copied.parameters(), fused=True)
    batch = images.batch(recipe.batch_size, step_generator(0, 0, 0))
    mask = draw_mask(copied, batch, recipe, step_generator(0, 0, 1))
    fastest, best = math.inf, 1
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        seconds = 0.0
        for step in range(steps + 1):
            start = time.perf_counter()
            train_step(copied, optimizer, batch, mask, lr=recipe.lr, clip=recipe.clip)
            seconds += time.perf_counter() - start if step else 0  # the first step also warms up
            if seconds > fastest:
                break
        if seconds < fastest:
            fastest, best = seconds, threads
    torch.set_num_threads(best)
    return best


class _Run:
    """The folder of a run: what pretrain reads at its start and writes as it goes."""

    def __init__(self, folder: Path, model: SimMIM, optimizer, scaler, recipe: Recipe, images):
        self.folder, self.model, self.optimizer, self.scaler = folder, model, optimizer, scaler
        self.recipe = recipe
        self.path = folder / CHECKPOINT
        self.facts = {
            "model": model.config,
            "recipe": dataclasses.asdict(recipe),
            "images": images.fingerprint(),
        }

    def start(self) -> History:
        """Go on from the checkpoint if there is one; make sure in any case that the folder takes checkpoints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        check_room(self.folder, self.model)
        history = History()
        if self.path.exists():
            facts, tensors = load_checkpoint(self.path, self.facts)
            restore(self.model, self.optimizer, tensors)
            if self.scaler.is_enabled():
                self.scaler.load_state_dict(facts["scaler"])
            torch.set_num_threads(facts["threads"])  # sums in another order would round differently
            history = History(**facts["history"])
        self.save(history)
        return history

    def is_due(self) -> bool:
        return time.monotonic() - self.saved > self.recipe.save_every

    def save(self, history: History) -> None:
        facts = {
            **self.facts,
            "threads": torch.get_num_threads(),
            "scaler": self.scaler.state_dict(),
            "history": dataclasses.asdict(history),
        }
        if distributed.rank() == 0:
            save_checkpoint(self.path, self.model, self.optimizer, facts)
        self.saved = time.monotonic()

    def finish(self, history: History) -> None:
        if distributed.rank() != 0:
            return
        self.model.save(self.folder)
        text = json.dumps({"recipe": self.facts["recipe"], **dataclasses.asdict(history)})
        replace_file(self.folder / "history.json", lambda path: path.write_text(text))


def _divide(model: SimMIM, recipe: Recipe) -> tuple[slice, SimMIM | DistributedDataParallel]:
    """This process's share of a batch, and the model that averages its gradients over all processes."""
    processes = distributed.world_size()
    if processes == 1:
        return slice(None), model
    if recipe.steps is None:
        raise ValueError("several processes need a length in steps: their clocks do not agree on seconds")
    if recipe.batch_size % (processes * recipe.parts):
        raise ValueError(
            f"batch_size {recipe.batch_size} is not a multiple of {processes} processes x {recipe.parts} parts"
        )
    return slice(distributed.rank(), None, processes), DistributedDataParallel(model)


def _agree(stop: bool, save: bool, due: bool, device: torch.device) -> tuple[bool, bool]:
    """Whether to stop and to save. Several processes do so together, and ask each other only when it is `due`."""
    if distributed.world_size() == 1:
        return stop, save
    return due and distributed.any_process(stop, device), due and distributed.any_process(save, device)


def _validation(model: SimMIM, val: ImageSet | ImageStream, recipe: Recipe) -> Callable[[], float]:
    """A function that returns the loss on the same images under the same masks each time."""
    images = val.take(min(VAL_IMAGES, len(val))).to(model.mean.device)
    mask = draw_mask(model, images, recipe, step_generator(recipe.seed, 0, 2, images.device))

    @torch.no_grad()
    def validate() -> float:
        model.eval()
        with autocast(images.device):
            pairs = zip(images.split(recipe.batch_size), mask.split(recipe.batch_size), strict=True)
            total = sum(len(batch) * model(batch, hidden)[0] for batch, hidden in pairs)
        model.train()
        return (total / len(images)).item()

    return validate


def _read(readings: list[Tensor], history: History, recipe: Recipe, scaler: GradScaler) -> None:
    """Move the readings from the device into the history, and stop the run if they are no longer numbers."""
    losses, norms = torch.stack(readings).T
    losses = distributed.total(losses.contiguous())
    for loss, norm in zip(losses.tolist(), norms.tolist(), strict=True):
        # A scaler leaves out steps whose gradient is infinite, and tries a smaller scale.
        if not (math.isfinite(loss) and (math.isfinite(norm) or scaler.is_enabled())):
            raise FloatingPointError(
                f"the loss is {loss} and the gradient {norm} at step {history.steps}; try a lower lr than "
                f"{recipe.lr}, a longer warmup than {recipe.warmup} or a smaller clip than {recipe.clip}"
            )
        history.loss.append(loss)
        history.grad_norm.append(norm)
    readings.clear()


def _progress_bar(recipe: Recipe, history: History, progress: bool) -> tqdm:
    total, initial, unit = recipe.steps, history.steps, "step"
    if recipe.seconds:
        total, initial, unit = round(recipe.seconds), round(history.seconds), "s"
    return tqdm(
        total=total,
        initial=initial,
        unit=unit,
        desc="pre-training",
        disable=not progress or distributed.rank() > 0,
    )


def _advance(bar: tqdm, recipe: Recipe, history: History) -> None:
    bar.set_postfix_str(f"loss {history.loss[-1]:.3f}, {history.images_per_second:.0f} images/s", refresh=False)
    bar.update((history.steps if recipe.steps else min(round(history.seconds), round(recipe.seconds))) - bar.n)


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, so that a step is never cut in two; a second Ctrl-C interrupts at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield interrupted
        return

    def handle(number, frame):
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
