"""Hardware: how a training runs on the machine at hand (lesson 06).

Device, precision, compiling, and what to do when the memory is short. Nothing here changes what is learned, only
how long it takes: a run that was interrupted on one machine may go on with another `Execution` on another machine.
"""

import logging
import os
import platform
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from simmim_lab.backbones import blocks
from simmim_lab.budget import activation_bytes, state_bytes
from simmim_lab.common import check_number

USABLE = 0.9  # of a GPU's memory: the rest goes to fragments and to what layers need for a moment


@dataclass(frozen=True)
class Execution:
    """How to run a training on the machine at hand.

    `compile` lets PyTorch merge small operations into fewer and faster ones: after a minute or two at the start,
    which `seconds` of a recipe do not count, a GPU takes faster steps. (Other speed-ups of a GPU need no word:
    `autotune` tries them, and takes those that gain.) A batch that does not fit into memory is
    worked off in `accumulation_steps` parts whose gradients add up (gradient accumulation), or with
    `activation_checkpointing`, which keeps less for the backward pass and computes it again. With `shard` the
    processes of a `torchrun` share the weights among them (FSDP), instead of holding all of them each.
    Raises ValueError for accumulation_steps below 1.
    """

    compile: bool = False
    accumulation_steps: int = 1
    activation_checkpointing: bool = False
    shard: bool = False

    def __post_init__(self):
        check_number("accumulation_steps", self.accumulation_steps, 1, integer=True)


def best_device() -> torch.device:
    """The GPU if PyTorch can compute on one, else the CPU.

    Warns and takes the CPU if there is an NVIDIA GPU but its driver is too old for this PyTorch, or this PyTorch
    was built without CUDA or for other GPUs.
    """
    if torch.backends.mps.is_available() and "WORLD_SIZE" not in os.environ:  # gloo knows no mps
        return torch.device("mps")
    try:
        torch.zeros(1, device="cuda").add_(1).item()  # what is_available() promises may still fail
        return torch.device("cuda")
    except (AssertionError, RuntimeError) as error:
        if shutil.which("nvidia-smi"):
            reason = str(error).strip().splitlines()[0].rstrip(".")
            warnings.warn(
                f"trains on the CPU, because PyTorch {torch.__version__} cannot use the NVIDIA GPU: {reason}. "
                "Update the driver, or install the build of PyTorch that pytorch.org names for yours",
                stacklevel=2,
            )
        return torch.device("cpu")


def machine(device: torch.device | str = "cpu") -> dict[str, object]:
    """What a speed on `device` depends on: the machine, how busy it is, and the versions."""
    info = Path("/proc/cpuinfo")  # on Linux, where platform.processor() is empty
    names = (
        re.findall(r"model name\s*: (.*)", info.read_text(encoding="utf-8"))
        if info.exists()
        else [platform.processor()]
    )
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # Windows has none
        "gpu": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


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


def compiled(model: nn.Module, batch: tuple[Tensor, ...]) -> nn.Module:
    """`model` compiled for batches of this shape; or, with a warning, `model` itself if that fails.

    `model(*batch)` returns (loss, output). Compiling happens here, forward and backward, and trains nothing.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns where there is no GPU
    torch._dynamo.config.cache_size_limit = 64  # else the ninth shape of a batch silently stays uncompiled
    fast = torch.compile(model, dynamic=False)
    try:
        with autocast(batch[0].device):
            loss, _ = fast(*batch)
        loss.backward()
        return fast
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # compilers fail in many ways, such as a missing C++ compiler
        error = getattr(error, "inner_exception", error)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        warnings.warn(f"trains without compiling, which failed: {reason}", stacklevel=2)
        return model
    finally:
        model.zero_grad()


@contextmanager
def activation_checkpointing(model: nn.Module) -> Iterator[None]:
    """Within, each block is computed again in the backward pass, instead of keeping what it computed.

    A third more work, for a fraction of the memory. Raises ValueError for a model without blocks.
    Source: Chen et al. 2016, "sublinear memory cost".
    """
    from torch.distributed.algorithms._checkpoint import checkpoint_wrapper as torchs

    chosen = blocks(model)
    if not chosen:
        raise ValueError("activation_checkpointing needs a model with blocks, which this one lacks: leave it out")
    wrap = partial(torchs.checkpoint_wrapper, preserve_rng_state=False)
    torchs.apply_activation_checkpointing(model, checkpoint_wrapper_fn=wrap, check_fn=chosen.__contains__)
    try:
        yield
    finally:
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, torchs.CheckpointWrapper):
                    setattr(module, name, child._checkpoint_wrapped_module)


def memory_advice(model: nn.Module, batch: tuple[Tensor, ...], execution: Execution, *, ema: bool) -> str:
    """What to do if `batch` was too much for the GPU: how many images fit, measured on a few of them."""
    images, device, steps = len(batch[0]), batch[0].device, execution.accumulation_steps
    if execution.shard or images < 2:  # a sharded model computes only in all processes at once
        return (
            f"out of memory with {images} images: take more accumulation_steps, activation_checkpointing, or a "
            "smaller model"
        )
    model.zero_grad()
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)  # others may be at work on this GPU
    few = min(4, images)

    def keeps(count: int) -> int:
        with autocast(device):
            return activation_bytes(model, *(tensor[:count] for tensor in batch))

    each = max(1, (keeps(few) - keeps(few // 2)) // (few - few // 2))
    state = state_bytes(sum(parameter.numel() for parameter in model.parameters()), ema=ema)
    fitting = max(0, int((USABLE * free - state) / each))
    told = (
        f"out of memory: {images // steps} images at a time do not fit into {total / 1e9:.1f} GB "
        f"({free / 1e9:.1f} GB free); the training state takes {state / 1e9:.1f} GB and each image "
        f"{each / 1e6:.1f} MB, as measured"
    )
    other = "" if execution.activation_checkpointing else ", or activation_checkpointing"
    enough = next((n for n in range(steps + 1, images + 1) if images % n == 0 and images / n <= fitting), 0)
    if not enough:
        return f"{told}: not even one image fits. Take a smaller model{other}, or shard it over several GPUs"
    return f"{told}: about {fitting} fit. Take accumulation_steps={enough}{other}, or a smaller batch"
