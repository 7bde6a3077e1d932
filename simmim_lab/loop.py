"""The loop: what every training does, step by step, and how it goes on where it was interrupted (lesson 05).

`fit` takes the steps of a `Run`. What a step trains on comes from outside: masked images (`training`), or
labelled ones (`finetuning`). All randomness of a step comes from generators seeded with (recipe seed, step). To
go on after an interruption a run therefore needs only its step, its weights and its optimizer, and then takes
exactly the steps that it would have taken.
"""

import copy
import dataclasses
import json
import math
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.amp import GradScaler
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm.auto import tqdm

from simmim_lab import distributed
from simmim_lab.checkpoints import (
    check_room,
    load_checkpoint,
    restore,
    save_checkpoint,
    save_model,
    training_state,
)
from simmim_lab.common import replace_file
from simmim_lab.encoders import drop_path
from simmim_lab.hardware import Execution, autocast, compiled, memory_advice, precision

Batch = tuple[Tensor, ...]  # what a model is called with; it returns (loss, output)

CHECKPOINT = "checkpoint.safetensors"  # in the run folder
READ_EVERY = 25  # steps between readings of the loss: each makes the host wait for the device


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What every training has: its length, its learning rate and what keeps it stable.

    A run ends after `steps` steps or, if `seconds` is given instead, after this much time. The learning rate
    rises for the share `warmup` of the run and then falls along a cosine to `min_lr`. Gradients longer than
    `clip` are cut to this length. With `ema`, such as 0.999, the result is an average of the weights over the
    last steps, about 1 / (1 - ema) of them (see `Average`). `drop_path` is the chance that an image skips a
    residual branch of the last block; earlier blocks have less (`encoders.drop_path`). `crop_scale` and `flip`
    are the augmentation of `ImageSet.batch`. The validation loss is taken every `val_every` steps; a checkpoint
    is written every `save_every` seconds.
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
        for name in ("steps", "seconds", "batch_size", "lr", "clip", "val_every"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, but is {getattr(self, name)}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup must lie between 0 and 1, but is {self.warmup}")
        for name in ("ema", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, but is {getattr(self, name)}")

    def done(self, steps: int, seconds: float) -> float:
        """The share of the run that is over, from 0 to 1, after so many steps and seconds."""
        return min(1.0, steps / self.steps if self.steps else seconds / self.seconds)

    def lr_at(self, done: float) -> float:
        """The learning rate when the share `done` of the run is over: linear warm-up, then cosine."""
        if done < self.warmup:
            return self.lr * done / self.warmup
        cosine = math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)) if self.warmup < 1 else 1
        return self.min_lr + (self.lr - self.min_lr) * (1 + cosine) / 2


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


Callback = Callable[[int, nn.Module, History], None]


class Average:
    """A copy of a model whose weights follow those in training: their exponential moving average (EMA).

    At each step they keep the share `ema` of themselves. In the first steps it is less, (1 + step) / (10 + step),
    so that the weights at the start are soon forgotten. Source: TensorFlow's `ExponentialMovingAverage`.
    """

    def __init__(self, model: nn.Module, ema: float):
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.ema = ema

    def update(self, model: nn.Module, step: int) -> None:
        """Follow the weights after a step, counted from 0."""
        lerp = get_ema_multi_avg_fn(min(self.ema, (1 + step) / (10 + step)))
        lerp(list(self.module.parameters()), list(model.parameters()), None)


class Run:
    """All that a training has in hand: the model, its optimizer, its average, its history and its folder.

    Pre-training and fine-tuning fill it in their ways, and `fit` does the rest. `groups(model, weight_decay)`
    gives the optimizer's groups, and `images` is a fingerprint of the images.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Schedule,
        engine: Execution,
        groups: Callable[[nn.Module, float], list[dict[str, Any]]],
        images: str,
        folder: str | Path | None,
    ):
        self.model, self.recipe, self.engine = model, recipe, engine
        self.device = model.mean.device
        if hasattr(model.encoder, "set_recompute"):
            model.encoder.set_recompute(engine.recompute)
        elif engine.recompute:
            raise ValueError(f"{type(model.encoder).__name__} is too small to recompute: leave it out")
        if self.device.type == "cuda" and not engine.shard:  # FSDP takes no other layout than the usual one
            model.to(memory_format=torch.channels_last)  # as convolutions on a GPU like it best

        self.share = _share(recipe, engine)
        self.trained = distributed.divide(model, shard=engine.shard)
        options = {"lr": recipe.lr, "betas": recipe.betas, "fused": True}
        self.optimizer = torch.optim.AdamW(groups(model, recipe.weight_decay), **options)
        self.scaler = GradScaler(self.device.type, enabled=precision(self.device) == torch.float16)
        self.average = _average(model, recipe, engine)
        self.history = History()
        self.folder = Path(folder) if folder is not None else None
        if self.folder is not None:
            self.facts = {"model": model.config, "recipe": dataclasses.asdict(recipe), "images": images}
            self._start()

    def _start(self) -> None:
        """Go on from the checkpoint if there is one; make sure in any case that the folder takes checkpoints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        check_room(self.folder, self.model)
        path = self.folder / CHECKPOINT
        if path.exists():
            facts, tensors = load_checkpoint(path, self.facts)
            restore(tensors, self.model, self.optimizer, self.average and self.average.module)
            if self.scaler.is_enabled() and facts["scaler"]:
                self.scaler.load_state_dict(facts["scaler"])
            torch.set_num_threads(facts["threads"])  # sums in another order would round differently
            self.history = History(**facts["history"])
        self.save()

    def done(self) -> float:
        """The share of the run that is over."""
        return self.recipe.done(self.history.steps, self.history.seconds)

    def best(self) -> nn.Module:
        """The model to judge: the average, if there is one."""
        return self.average.module if self.average else self.model

    def compile(self, batch: Batch) -> None:
        """Compile the model for batches like this one."""
        self.trained = compiled(self.trained, tuple(tensor.chunk(self.engine.parts)[0] for tensor in batch))

    def step(self, batch: Batch, weight: Tensor) -> Tensor:
        """Train on one batch; returns its loss and gradient norm, still on the device."""
        readings = train_step(
            self.trained,
            self.optimizer,
            batch,
            lr=self.history.lr[-1],
            clip=self.recipe.clip,
            parts=self.engine.parts,
            weight=weight,
            scaler=self.scaler,
        )
        if self.average:
            self.average.update(self.model, step=len(self.history.lr) - 1)
        return readings

    def read(self, readings: list[Tensor]) -> None:
        """Move the readings from the device into the history; stop the run if they are no longer numbers."""
        losses, norms = torch.stack(readings).T
        losses = distributed.total(losses.contiguous())
        for loss, norm in zip(losses.tolist(), norms.tolist(), strict=True):
            # A scaler leaves out steps whose gradient is infinite, and tries a smaller scale.
            if not (math.isfinite(loss) and (math.isfinite(norm) or self.scaler.is_enabled())):
                raise FloatingPointError(
                    f"the loss is {loss} and the gradient {norm} at step {self.history.steps}; try a lower lr "
                    f"than {self.recipe.lr}, a longer warmup than {self.recipe.warmup} or a smaller clip than "
                    f"{self.recipe.clip}"
                )
            self.history.loss.append(loss)
            self.history.grad_norm.append(norm)
        readings.clear()

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return self.folder is not None and time.monotonic() - self.saved > self.recipe.save_every

    def save(self) -> None:
        """Write the checkpoint."""
        tensors = training_state(self.model, self.optimizer, self.average and self.average.module)
        facts = {
            **self.facts,
            "threads": torch.get_num_threads(),
            "scaler": self.scaler.state_dict(),
            "history": dataclasses.asdict(self.history),
        }
        if distributed.rank() == 0:
            save_checkpoint(self.folder / CHECKPOINT, tensors, facts)
        self.saved = time.monotonic()

    def finish(self) -> None:
        """Give the model its averaged weights, and write it and the history into the folder."""
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())
        if self.folder is None:
            return
        weights = {name: distributed.whole(tensor) for name, tensor in self.model.state_dict().items()}
        if distributed.rank() == 0:
            save_model(self.folder, self.facts["model"], weights)
            text = json.dumps({"recipe": self.facts["recipe"], **dataclasses.asdict(self.history)})
            replace_file(self.folder / "history.json", lambda path: path.write_text(text))


def fit(
    run: Run,
    batches: Callable[[int, slice], Iterator[tuple[Batch, Tensor]]],
    val: list[Batch],
    *,
    callbacks: Iterable[Callback],
    title: str,
    progress: bool,
) -> History:
    """Take the steps of a run that are still to take; see `pretrain`, which this is the loop of.

    `batches(first, share)` yields the batches from step `first` on, of which this process gets its share, and
    the weight of each whole batch (see `train_step`). `val` are the batches of the validation.
    """
    recipe, history = run.recipe, run.history
    if history.steps and run.done() == 1:
        run.finish()
        return history

    run.model.train()
    readings: list[Tensor] = []
    first, began, started = history.steps, history.seconds, time.monotonic()
    with _deferred_interrupt() as interrupted, _progress_bar(run, title, progress) as bar:
        for step, (batch, weight) in enumerate(batches(first, run.share), start=first):
            history.lr.append(recipe.lr_at(recipe.done(step + 1, history.seconds)))
            if run.engine.compile and step == first:
                _advised(run, batch, partial(run.compile, batch))
                started = time.monotonic()  # compiling is no training
            readings.append(_advised(run, batch, partial(run.step, batch, weight)))

            history.seconds = began + time.monotonic() - started
            last = recipe.done(step + 1, history.seconds) == 1
            due = last or len(readings) == READ_EVERY
            # Asked once: what is saved must have been read.
            stop, save = _agree(interrupted.is_set(), run.is_due(), due, run.device)
            if due or stop or save:
                run.read(readings)
                history.seconds = began + time.monotonic() - started  # a GPU has caught up only now
                trained = (history.steps - first) * recipe.batch_size
                history.images_per_second = trained / (history.seconds - began)
                _advance(bar, recipe, history)
            if val and (last or (step + 1) % recipe.val_every == 0):
                history.val_step.append(step + 1)
                history.val_loss.append(mean_loss(run.best(), val))
            if not readings:
                for callback in callbacks:  # behind the validation, so that they see it
                    callback(history.steps, run.best(), history)
            if run.folder is not None and (save or stop or last):
                run.save()
            if last:
                break
            if stop:
                raise KeyboardInterrupt
    run.finish()
    return history


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    lr: float,
    clip: float,
    parts: int = 1,
    weight: Tensor | None = None,
    scaler: GradScaler | None = None,
) -> Float[Tensor, "2"]:
    """One update; returns the loss and the norm of the gradient before it was clipped, still on the device.

    `model(*batch)` gives a mean loss. The second tensor of a batch says over how much: its sum counts the hidden
    patches of a mask, or the images of their labels. `weight` is this sum for the whole batch, if these images
    are a share of it. The images are worked off in `parts`, whose gradients add up. `scaler` keeps the small
    gradients of float16 from becoming zero.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    weight = batch[1].sum() if weight is None else weight
    device = batch[0].device
    scaler = scaler or GradScaler(device.type, enabled=False)
    optimizer.zero_grad()
    loss = torch.zeros((), device=device)
    for part in zip(*(tensor.chunk(parts) for tensor in batch), strict=True):
        with autocast(device):
            mean, _ = model(*part)
        part_loss = mean * (part[1].sum() / weight.clamp(min=1))
        scaler.scale(part_loss * distributed.world_size()).backward()  # gradients are averaged over processes
        loss += part_loss.detach()
    scaler.unscale_(optimizer)
    norm = distributed.whole(nn.utils.clip_grad_norm_(model.parameters(), clip))
    scaler.step(optimizer)
    scaler.update()
    return torch.stack([loss, norm])


@torch.no_grad()
def mean_loss(model: nn.Module, batches: Iterable[Batch]) -> float:
    """The mean loss over the images of some batches."""
    model.eval()
    losses = []
    for batch in batches:
        with autocast(batch[0].device):
            losses.append(len(batch[0]) * model(*batch)[0])
    model.train()
    return (torch.stack(losses).sum() / sum(len(batch[0]) for batch in batches)).item()


def parameter_groups(
    model: nn.Module, weight_decay: float, lr_scale: Callable[[str], float] = lambda name: 1.0
) -> list[dict[str, Any]]:
    """Groups for the optimizer: weight matrices, which decay, and all the rest, which does not.

    Biases, norms, tokens, positions and relative biases set a level; pulling them to zero teaches nothing.
    `lr_scale` maps the name of a parameter to its share of the learning rate; each share has its own groups.
    Source: SimMIM's `optimizer.py`, where positions are listed by name too.
    """
    levels = ("positions", "table", "pos_embed", "mask_token", "cls_token")
    groups = defaultdict(list, {(1.0, weight_decay): [], (1.0, 0.0): []})
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim >= 2 and not name.endswith(levels)
            groups[lr_scale(name), weight_decay if decays else 0.0].append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr_scale": scale}
        for (scale, decay), parameters in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]


def draw_keep(encoder: nn.Module, recipe: Schedule, generator: Generator, share: slice) -> Batch:
    """The factors of `drop_path` for this share of a batch; nothing if the recipe drops nothing."""
    if not recipe.drop_path:
        return ()
    return (drop_path(recipe.batch_size, len(encoder.blocks), recipe.drop_path, generator)[share],)


def step_generator(seed: int, step: int, purpose: int, device: torch.device | str = "cpu") -> Generator:
    """A generator of its own for each (seed, step, purpose), on `device`."""
    [state] = np.random.SeedSequence((seed, step, purpose)).generate_state(1)
    return Generator(device).manual_seed(int(state))


def _share(recipe: Schedule, engine: Execution) -> slice:
    """Which images of a batch this process works on."""
    processes = distributed.world_size()
    if processes > 1 and recipe.steps is None:
        raise ValueError("several processes need a length in steps: their clocks do not agree on seconds")
    if recipe.batch_size % (processes * engine.parts):
        raise ValueError(
            f"batch_size {recipe.batch_size} is not a multiple of {processes} processes x {engine.parts} parts"
        )
    return slice(distributed.rank(), None, processes)


def _average(model: nn.Module, recipe: Schedule, engine: Execution) -> Average | None:
    """The running average of the weights, if the recipe has one."""
    if not recipe.ema:
        return None
    if engine.shard and distributed.world_size() > 1:
        raise ValueError("ema needs the whole model in each process: leave out ema, or shard")
    return Average(model, recipe.ema)


def _agree(stop: bool, save: bool, due: bool, device: torch.device) -> tuple[bool, bool]:
    """Whether to stop and to save. Several processes do so together, and ask each other only when it is `due`."""
    if distributed.world_size() == 1:
        return stop, save
    return due and distributed.any_process(stop, device), due and distributed.any_process(save, device)


def _advised(run: Run, batch: Batch, work: Callable[[], Any]) -> Any:
    """Do this work; if the memory of the GPU is too small for it, say how much would fit."""
    try:
        return work()
    except torch.OutOfMemoryError:
        pass  # only behind this line is the memory of the failed step free again
    raise MemoryError(memory_advice(run.model, batch, run.engine, ema=bool(run.recipe.ema)))


def _progress_bar(run: Run, title: str, progress: bool) -> tqdm:
    total, initial, unit = run.recipe.steps, run.history.steps, "step"
    if run.recipe.seconds:
        total, initial, unit = round(run.recipe.seconds), round(run.history.seconds), "s"
    silent = not progress or distributed.rank() > 0
    return tqdm(total=total, initial=initial, unit=unit, desc=title, disable=silent)


def _advance(bar: tqdm, recipe: Schedule, history: History) -> None:
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
