"""The engine: how a training runs on the machine at hand (lesson 06).

Device, precision, compiling, and what to do when the memory is short. Nothing here changes what is learned, only
how long it takes: so a run that was interrupted on one machine may go on with another engine on another machine.
"""

import logging
import shutil
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from simmim_lab import distributed
from simmim_lab.budget import activation_bytes, state_bytes

USABLE = 0.9  # of a GPU's memory: the rest goes to fragments and to what layers need for a moment


@dataclass(frozen=True)
class Execution:
    """How to run a training on the machine at hand.

    `compile` lets PyTorch merge small operations into fewer and faster ones: after a minute or two at the start,
    which `seconds` of a recipe do not count, a GPU takes faster steps. A batch that does not fit into memory is
    worked off in `parts`, one after the other, or with `recompute`, which keeps less for the backward pass and
    computes it again. With `shard` the processes of a `torchrun` share the weights among them, instead of holding
    all of them each.
    Raises ValueError for parts below 1.
    """

    compile: bool = False
    parts: int = 1
    recompute: bool = False
    shard: bool = False

    def __post_init__(self):
        if self.parts < 1:
            raise ValueError(f"parts must be at least 1, but is {self.parts}")


def best_device() -> torch.device:
    """The GPU if PyTorch can compute on one, else the CPU.

    Warns and takes the CPU if there is an NVIDIA GPU but its driver is too old for this PyTorch, or this PyTorch
    was built without CUDA or for other GPUs.
    """
    if torch.backends.mps.is_available() and distributed.world_size() == 1:  # gloo knows no mps
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


def memory_advice(model: nn.Module, batch: tuple[Tensor, ...], engine: Execution, *, ema: bool) -> str:
    """What to do if `batch` was too much for the GPU: how many images fit, measured on a few of them."""
    images, device = len(batch[0]), batch[0].device
    if engine.shard or images < 2:  # a sharded model computes only in all processes at once
        return f"out of memory with {images} images: take more parts, recompute, or a smaller model"
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
        f"out of memory: {images // engine.parts} images at a time do not fit into {total / 1e9:.1f} GB "
        f"({free / 1e9:.1f} GB free); the training state takes {state / 1e9:.1f} GB and each image "
        f"{each / 1e6:.1f} MB, as measured"
    )
    recompute = "" if engine.recompute else ", or recompute"
    parts = next((p for p in range(engine.parts + 1, images + 1) if images % p == 0 and images / p <= fitting), 0)
    if not parts:
        return f"{told}: not even one image fits. Take a smaller model{recompute}, or shard it over several GPUs"
    return f"{told}: about {fitting} fit. Work the batch off in {parts} parts{recompute}, or take a smaller batch"
