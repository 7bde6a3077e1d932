"""The loop: what every training does, step by step, and how it goes on where it was interrupted (lesson 05).

`fit` takes the steps of a `Run`, each with a `train_step`. What a step trains on comes from outside: masked images
(`training`), or labelled ones (`finetuning`). All randomness of a step comes from generators seeded with (recipe
seed, step). To go on after an interruption a run therefore needs only its step, its weights and its optimizer,
and then takes exactly the steps that it would have taken.
"""

import copy
import dataclasses
import json
import math
import os
import signal
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from simmim_lab import autotune, checkpoints, distributed
from simmim_lab.common import evaluating, replace_file
from simmim_lab.drop_path import DropPath
from simmim_lab.files import save_model
from simmim_lab.hardware import (
    USABLE,
    Execution,
    activation_checkpointing,
    autocast,
    compiled,
    memory_advice,
    precision,
)
from simmim_lab.recipe import History, Schedule

Batch = tuple[Tensor, ...]  # what a model is called with; it returns (loss, output)
Callback = Callable[[int, nn.Module, History], None]

READ_EVERY = 25  # steps between readings of the loss: each makes the host wait for the device
TRIED = 4  # steps that a way to take them is tried for


def fit(
    run: "Run",
    batches: Callable[[int, slice], Iterator[tuple[Batch, Tensor]]],
    val: Callable[[], Iterable[Batch]] | None,
    *,
    callbacks: Iterable[Callback],
    title: str,
    progress: bool,
) -> History:
    """Take the steps of a run that are still to take; see `pretrain`, which this is the loop of.

    `batches(first, share)` yields the batches from step `first` on, of which this process gets its share, and
    the weight of each whole batch (see `train_step`). `val()` gives the batches of the validation.
    """
    recipe = run.recipe
    with run.opened(), _deferred_interrupt() as interrupted, _progress_bar(run, title, progress) as bar:
        history, first = run.history, run.history.steps
        for step, (batch, weight) in enumerate(batches(first, run.share) if run.done() < 1 else (), start=first):
            lr = recipe.lr_at(recipe.done(step + 1, history.seconds))
            run.step(step, batch, weight, lr)  # a `train_step`

            last = run.done() == 1
            stop, save, read = run.agree(stop=interrupted.is_set(), last=last)
            if read:
                run.read()
                _advance(bar, recipe, history)
            if val and (last or (step + 1) % recipe.val_every == 0):
                history.val_step.append(step + 1)
                history.val_loss.append(mean_loss(run.best(), val()))
            if read:
                for callback in callbacks:  # behind the validation, so that they see it
                    callback(history.steps, run.best(), history)
            if save:
                run.save(needed=stop or last)
            if last:
                break
            if stop:
                raise KeyboardInterrupt
        run.finish()
    return run.history


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    lr: float | Tensor,
    clip: float,
    accumulation_steps: int = 1,
    weight: Tensor | None = None,
    scaler: GradScaler | None = None,
    drop_path: DropPath | None = None,
) -> Float[Tensor, "2"]:
    """One update; returns the loss and the norm of the gradient before it was clipped, still on the device.

    `model(*batch)` gives a mean loss. The second tensor of a batch says over how much: its sum counts the hidden
    patches of a mask, or the images of their labels. `weight` is this sum for the whole batch, if these images
    are a share of it. With gradient accumulation the images are worked off in `accumulation_steps` parts, whose
    gradients add up. `scaler` keeps the small gradients of float16 from becoming zero. With `drop_path` the last
    tensor of the batch holds its factors.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    weight = batch[1].sum() if weight is None else weight
    device = batch[0].device
    scaler = scaler or GradScaler(device.type, enabled=False)

    optimizer.zero_grad()
    loss = torch.zeros((), device=device)
    for part in zip(*(tensor.chunk(accumulation_steps) for tensor in batch), strict=True):
        if drop_path:
            *part, drop_path.keep = part
        with autocast(device):
            mean, _ = model(*part)
        part_loss = mean * (part[1].sum() / weight.clamp(min=1))
        scaler.scale(part_loss * distributed.world_size()).backward()  # gradients are averaged over processes
        loss += part_loss.detach()
    if drop_path:
        drop_path.keep = None
    scaler.unscale_(optimizer)
    norm = distributed.gather(clip_grad_norm_(model.parameters(), clip))
    scaler.step(optimizer)
    scaler.update()
    return torch.stack([loss, norm])


def _take(model: nn.Module, optimizer: torch.optim.Optimizer, *inputs: Tensor | float, **options) -> Tensor:
    *batch, weight, lr = inputs
    return train_step(model, optimizer, tuple(batch), lr=lr, weight=weight, **options)


class Run:
    """All that a training has in hand: the model, its optimizer, its average, its history and its folder.

    Pre-training and fine-tuning fill it in their ways, and `fit` does the rest. `groups(model, weight_decay)`
    gives the optimizer's groups. A checkpoint keeps `facts`, such as a fingerprint of the images, beside model and
    recipe: a run goes on only where all are the same.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Schedule,
        execution: Execution,
        groups: Callable[[nn.Module, float], list[dict[str, Any]]],
        facts: dict[str, Any],
        folder: str | Path | None,
    ):
        self.model, self.recipe, self.execution, self.groups = model, recipe, execution, groups
        self.device = model.mean.device
        self.share = _share(recipe, execution)
        self.folder = Path(folder).expanduser() if folder is not None else None
        if self.folder is not None:
            self.facts = {"model": model.config, "recipe": dataclasses.asdict(recipe), **facts}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Within, the model is ready to train, from the checkpoint if there is one, and the folder is locked."""
        with ExitStack() as stack:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                if distributed.rank() == 0:
                    stack.enter_context(checkpoints.locked(self.folder))
            self._prepare(stack)
            if self.folder is not None:
                self._resume()
            self.saved = self.started = time.monotonic()
            self.first, self.began = self.history.steps, self.history.seconds
            self.model.train()
            yield

    def _prepare(self, stack: ExitStack) -> None:
        """Make the model what this machine trains; what the stack takes in is undone at the end."""
        model, recipe, execution = self.model, self.recipe, self.execution
        if self.device.type == "cuda" and not execution.shard:  # FSDP takes no other layout than the usual one
            model.to(memory_format=torch.channels_last)  # as convolutions on a GPU like it best
        self.average = _average(model, recipe, execution)
        self.drop_path = DropPath(model.encoder, recipe.drop_path) if recipe.drop_path else None
        if self.drop_path:
            stack.callback(self.drop_path.remove)
        stack.callback(autotune.plain_attention, model)
        if execution.activation_checkpointing:
            stack.enter_context(activation_checkpointing(model))
        self.trained = distributed.parallelize(model, shard=execution.shard)
        options = {"lr": recipe.lr, "betas": tuple(recipe.betas), "fused": True}
        self.optimizer = torch.optim.AdamW(self.groups(model, recipe.weight_decay), **options)
        self.scaler = GradScaler(self.device.type, enabled=precision(self.device) == torch.float16)
        self.history, self.readings = History(), []
        self.take = self._plain()

    def _resume(self) -> None:
        """Go on from the checkpoint if there is one; make sure in any case that the folder takes checkpoints."""
        checkpoints.check_room(self.folder, self.model, self.average is not None)
        path = self.folder / checkpoints.CHECKPOINT
        if path.exists():
            facts, tensors = checkpoints.load_checkpoint(path, self.facts)
            checkpoints.restore(tensors, self.model, self.optimizer, self.average)
            if self.scaler.is_enabled() and facts["scaler"]:
                self.scaler.load_state_dict(facts["scaler"])
            torch.set_num_threads(facts["threads"])  # sums in another order would round differently
            self.history = History(**facts["history"])
        self.save(needed=True)

    def step(self, step: int, batch: Batch, weight: Tensor, lr: float) -> None:
        """Train on the batch of this step; its loss and gradient norm stay on the device for now."""
        if self.drop_path:
            generator = step_generator(self.recipe.seed, step, 3, self.device)
            batch = (*batch, self.drop_path.draw(self.recipe.batch_size, generator)[self.share])
        try:
            if step == self.first:
                self._tune(*batch, weight, lr)
            reading = self.take(*batch, weight, lr)
        except torch.OutOfMemoryError:
            reading = None  # only behind this line is the memory of the failed step free again
        if reading is None:
            inputs = batch[: -1 if self.drop_path else None]
            raise MemoryError(memory_advice(self.model, inputs, self.execution, ema=bool(self.recipe.ema)))
        if self.average:
            self.average.update_parameters(self.model)
        self.readings.append(reading)
        self.history.lr.append(lr)
        self._clock()

    def _plain(self) -> autotune.Way:
        """A function that takes a step on (*batch, weight, lr), and keeps nothing of the run alive."""
        return partial(
            _take,
            self.trained,
            self.optimizer,
            clip=self.recipe.clip,
            accumulation_steps=self.execution.accumulation_steps,
            scaler=self.scaler,
            drop_path=self.drop_path,
        )

    def _tune(self, *inputs: Tensor | float) -> None:
        """Find the fastest way to take steps like this one. That is no training: the clock starts anew."""
        *batch, _, _ = inputs
        faster = autotune.applies(self.device)
        if not (faster or self.execution.compile):
            return
        part = [tensor.chunk(self.execution.accumulation_steps)[0] for tensor in batch]
        if self.drop_path:
            *part, self.drop_path.keep = part
        if faster:
            autotune.fuse_attention(self.trained, tuple(part), compile=self.execution.compile)
        if self.execution.compile:
            self.trained = compiled(self.trained, tuple(part))
        self.take = self._plain()
        if faster:
            self.take = self._graph(*inputs)
        self.started = time.monotonic()

    def _graph(self, *inputs: Tensor | float) -> autotune.Way:
        """The step as one CUDA graph if it proves itself (`autotune.fastest`), else the plain one."""
        *batch, weight, _ = inputs
        plain, scale = self.take, self.scaler.state_dict()
        try:
            rewind = autotune.rewinding(self.model, self.optimizer, partial(plain, *inputs))
        except torch.OutOfMemoryError:
            warnings.warn("trains without a CUDA graph: there is too little memory to try one", stacklevel=2)
            return plain

        def weights() -> Tensor:
            return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])

        def start_anew() -> None:
            rewind()
            self.scaler.load_state_dict(scale)
            self.scaler.update(scale.get("scale"))  # a step that broke off has left its gradient unscaled

        def other(n: int) -> tuple[Tensor | float, ...]:
            """Inputs that all differ with n: a step that keeps to old ones is found out."""
            rolled = [tensor.roll(n * place, 0) for place, tensor in enumerate(batch, 1)]
            return (*rolled, weight * (1 + n), self.recipe.lr / (1 + n))

        def try_out(take: autotune.Way) -> list[Tensor]:
            """Losses, norms, and how far the weights come."""
            start_anew()
            before = weights()
            readings = [take(*other(n)) for n in range(TRIED)]
            return [*torch.stack(readings).T, weights() - before]

        def record() -> autotune.Way:
            for group in self.optimizer.param_groups:
                group["capturable"] = True
            recorded = autotune.captured(plain, inputs)
            free, total = torch.cuda.mem_get_info(self.device)
            if free < (1 - USABLE) * total:  # what a graph has, it keeps to itself
                raise MemoryError(f"it leaves {free / total:.0%} of the memory, which is little for a validation")
            return recorded

        found = autotune.fastest(plain, {"a CUDA graph": record}, try_out)
        start_anew()
        return found

    def _clock(self) -> None:
        self.history.seconds = self.began + time.monotonic() - self.started

    def done(self) -> float:
        """The share of the run that is over."""
        return self.recipe.done(len(self.history.lr), self.history.seconds)

    def best(self) -> nn.Module:
        """The model to judge: the average, if there is one."""
        return self.average.module if self.average else self.model

    def agree(self, *, stop: bool, last: bool) -> tuple[bool, bool, bool]:
        """Whether to stop, to save and to read the losses. What is saved must have been read.

        Several processes do so together, and ask each other only now and then, which makes them wait.
        """
        read = last or len(self.readings) == READ_EVERY
        save = self.folder is not None and time.monotonic() - self.saved > self.recipe.save_every
        if distributed.world_size() > 1:
            stop, save = (read and distributed.any_process(flag, self.device) for flag in (stop, save))
        save = self.folder is not None and (save or stop or last)
        return stop, save, read or stop or save

    def read(self) -> None:
        """Move the readings from the device into the history; stop the run if they are no longer numbers."""
        losses, norms = torch.stack(self.readings).T
        losses = distributed.all_reduce_sum(losses.contiguous())
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
        self.readings.clear()
        self._clock()  # a GPU has caught up only now
        trained = (self.history.steps - self.first) * self.recipe.batch_size
        self.history.images_per_second = trained / (self.history.seconds - self.began)

    def save(self, *, needed: bool) -> None:
        """Write the checkpoint. If that fails, warn, and try when the next one is due, unless it is `needed`."""
        tensors = checkpoints.training_state(self.model, self.optimizer, self.average)
        facts = {
            **self.facts,
            "threads": torch.get_num_threads(),
            "scaler": self.scaler.state_dict(),
            "history": dataclasses.asdict(self.history),
        }
        self.saved = time.monotonic()
        if distributed.rank() > 0:
            return
        try:
            checkpoints.save_checkpoint(self.folder / checkpoints.CHECKPOINT, tensors, facts)
        except OSError as error:
            if needed:
                raise
            warnings.warn(
                f"no checkpoint was written ({error}); the training goes on and tries later", stacklevel=2
            )

    def finish(self) -> None:
        """Give the model its averaged weights, and write it and the history into the folder."""
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())
        if self.folder is None:
            return
        weights = {name: distributed.gather(tensor) for name, tensor in self.model.state_dict().items()}
        if distributed.rank() == 0:
            save_model(self.folder, self.facts["model"], weights)
            text = json.dumps({"recipe": self.facts["recipe"], **dataclasses.asdict(self.history)})
            replace_file(self.folder / "history.json", lambda path: path.write_text(text, encoding="utf-8"))


@torch.no_grad()
def mean_loss(model: nn.Module, batches: Iterable[Batch]) -> float:
    """The mean loss over the images of some batches."""
    total, count = 0.0, 0
    with evaluating(model):
        for batch in batches:
            with autocast(batch[0].device):
                total += len(batch[0]) * model(*batch)[0]
            count += len(batch[0])
    return (total / count).item()


def parameter_groups(
    model: nn.Module, weight_decay: float, lr_scale: Callable[[str], float] = lambda name: 1.0
) -> list[dict[str, Any]]:
    """Groups for the optimizer: weight matrices, which decay, and all the rest, which does not.

    Biases, norms, tokens, positions and relative biases set a level; pulling them to zero teaches nothing.
    `lr_scale` maps the name of a parameter to its share of the learning rate; each share has its own groups.
    Source: SimMIM's `optimizer.py`, where positions are listed by name too.
    """
    decay = decaying({name: parameter.shape for name, parameter in model.named_parameters()})
    groups = defaultdict(list, {(1.0, weight_decay): [], (1.0, 0.0): []})
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[lr_scale(name), weight_decay if name in decay else 0.0].append(parameter)
    return [
        {"params": parameters, "weight_decay": strength, "lr_scale": scale}
        for (scale, strength), parameters in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]


def decaying(shapes: dict[str, tuple[int, ...]]) -> set[str]:
    """The names of the parameters that decay.

    shapes has the name of every parameter, and its shape: () for a single number, (64,) for a
    vector, (256, 64) for a matrix, (64, 3, 4, 4) for the kernel of a convolution, and so on.
    A parameter decays if its shape has two or more numbers and its name does not end in
    positions, pos_embed, table or _token.
    """
    levels = ("positions", "pos_embed", "table", "_token")
    return {name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(levels)}


def faster_threads(model: nn.Module, batch: Batch, recipe: Schedule, steps: int = 5) -> int:
    """Time a few steps of a copy of `model` with one CPU thread and with all; keep the faster and return it.

    Two threads on two busy cores can be ten times slower than one.
    """
    if batch[0].device.type != "cpu":
        return torch.get_num_threads()
    copied = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(copied.parameters(), fused=True)
    fastest, best = math.inf, 1
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        seconds = 0.0
        for step in range(steps + 1):
            start = time.perf_counter()
            train_step(copied, optimizer, batch, lr=recipe.lr, clip=recipe.clip)
            seconds += time.perf_counter() - start if step else 0  # the first step also warms up
            if seconds > fastest:
                break
        if seconds < fastest:
            fastest, best = seconds, threads
    torch.set_num_threads(best)
    return best


def step_generator(seed: int, step: int, purpose: int, device: torch.device | str = "cpu") -> Generator:
    """A generator of its own for each (seed, step, purpose), on `device`."""
    [state] = np.random.SeedSequence((seed, step, purpose)).generate_state(1)
    return Generator(device).manual_seed(int(state))


def _share(recipe: Schedule, execution: Execution) -> slice:
    """Which images of a batch this process works on."""
    processes, steps = distributed.world_size(), execution.accumulation_steps
    if processes > 1 and recipe.steps is None:
        raise ValueError("several processes need a length in steps: their clocks do not agree on seconds")
    if recipe.batch_size % (processes * steps):
        raise ValueError(
            f"batch_size {recipe.batch_size} is not a multiple of {processes} processes x {steps} "
            "accumulation_steps: change one of them"
        )
    return slice(distributed.rank(), None, processes)


def _average(model: nn.Module, recipe: Schedule, execution: Execution) -> AveragedModel | None:
    """The exponential moving average of the weights, if the recipe has one.

    In the first steps it keeps less of itself, (1 + step) / (10 + step), so that the weights at the start are
    soon forgotten. Source: TensorFlow's `ExponentialMovingAverage`.
    """
    if not recipe.ema:
        return None
    if execution.shard and distributed.world_size() > 1:
        raise ValueError("ema needs the whole model in each process: leave out ema, or shard")

    def follow(averaged: list[Tensor], current: list[Tensor], step: Tensor) -> None:
        get_ema_multi_avg_fn(min(recipe.ema, (1 + seen.item()) / (10 + seen.item())))(averaged, current, step)

    average = AveragedModel(model, multi_avg_fn=follow).requires_grad_(False)
    seen = average.n_averaged  # on the CPU; for `step`, its copy on the device, the host would have to wait
    return average


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
