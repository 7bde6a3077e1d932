"""What a training costs in work, memory and time: by hand, then measured (lesson 06).

Work is counted in FLOP, floating-point operations: one multiplication and one addition are two. A rate is in FLOP
per second, memory in bytes, and a GB is 10⁹ bytes. By hand we count matrix products alone, which are nearly all
of the work of a Transformer.
"""

import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class GPU:
    """What a GPU can do at best, as its maker says at the address `source`.

    `flops`: FLOP per second in products of dense matrices of 16-bit numbers. Makers like to print the rate for
    sparse matrices, which is twice as high. `bandwidth`: bytes per second from and to its memory. `memory`: bytes.
    `precision`: "bf16" or "fp16", the one to train in.
    """

    flops: float
    bandwidth: float
    memory: float
    precision: str
    source: str


GPUS = {
    "T4": GPU(65e12, 320e9, 16e9, "fp16", "https://www.nvidia.com/en-us/data-center/tesla-t4/"),
    "L4": GPU(121e12, 300e9, 24e9, "bf16", "https://www.nvidia.com/en-us/data-center/l4/"),
    "A100 40 GB": GPU(
        312e12,
        1555e9,
        40e9,
        "bf16",
        "https://images.nvidia.com/aem-dam/en-zz/Solutions/data-center/nvidia-ampere-architecture-whitepaper.pdf",
    ),
    "H100 SXM": GPU(989e12, 3350e9, 80e9, "bf16", "https://www.nvidia.com/en-us/data-center/h100/"),
}


# What the names of PyTorch's operations and of a GPU's kernels say about their work; the first that fits counts.
KINDS = {
    "attention": r"attention|flash|fmha|sdpa",
    "matrix products": r"mm\b|gemm|cutlass|nvjet|cublas|conv",
    "optimizer": r"adam|multi_tensor|lerp|vector_norm|foreach",
    "norms and softmax": r"norm|softmax",
    "GELU": r"gelu",
    "merged by the compiler": r"triton|graph_",
    "copies": r"copy|memcpy|cat|clone|contiguous",
    "the rest": r"",
}


def vit_flops(image_size: int | tuple[int, int], patch: int, dim: int, depth: int) -> int:
    """FLOP of the matrix products in the blocks of a ViT for one image, forward only.

    `image_size` is a side in pixels or (height, width). A token has `dim` numbers, and an MLP is
    4 * `dim` wide inside. What lies before, between and behind the products is left out.
    Raises ValueError for a size that patches do not tile.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height % patch or width % patch:
        raise ValueError(f"patches of {patch} pixels do not tile an image of {height} x {width} pixels")
    tokens = (height // patch) * (width // patch)
    return depth * tokens * (24 * dim**2 + 4 * tokens * dim)


def vit_parameters(dim: int, depth: int) -> int:
    """Parameters of the blocks of a ViT: 12d² + 13d in each, d = `dim`. The rest of a model has few."""
    return depth * (12 * dim**2 + 13 * dim)


def training_flops(forward: int) -> int:
    """FLOP of a training step from those of its forward pass: three times as many.

    A product y = xW needs two more on the way back: one for the gradient of x, one for that of W.
    """
    return 3 * forward


def seconds_per_epoch(forward: float, image_count: int, gpu: GPU, utilisation: float = 0.3) -> float:
    """How long a GPU trains on each of `image_count` images once, if its forward pass takes `forward` FLOP.

    `utilisation` is the share of the peak `gpu.flops` that is reached, above 0 and at most 1; 0.3 is a guess.
    Raises ValueError for a share outside these bounds.
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation must be above 0 and at most 1, but is {utilisation}")
    return training_flops(forward) * image_count / (gpu.flops * utilisation)


def state_bytes(parameters: int, *, ema: bool = False) -> int:
    """What training with AdamW keeps in memory before the first image arrives.

    For each of `parameters`: the weight, its gradient and AdamW's two moments, and with `ema` also the average of
    the weight over past steps. All are fp32, 4 bytes each, also under autocast.
    """
    return 4 * parameters * (5 if ema else 4)


def activation_bytes(model: nn.Module, *batch: Tensor) -> int:
    """Measured: what one forward pass `model(*batch)` keeps in memory for its backward pass.

    The model's own parameters and buffers and the batch do not count: they are there anyway. Under autocast, the
    16-bit copies of the weights do count. Without gradients nothing is kept.
    """
    there = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers(), *batch)}
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()  # shared by views, so that each number counts once
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(*batch)
    return sum(storage.nbytes() for address, storage in kept.items() if address not in there)


def synchronize() -> None:
    """Wait until the GPU, if there is one, has done what it was told: only then may a clock be read."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matmul_rate(
    device: str | torch.device, dtype: torch.dtype, *, size: int | None = None, seconds: float = 0.5
) -> float:
    """Measured: FLOP per second in the product of two dense matrices, size x size, at the best of many trials.

    It is the peak that a training can hope for. `size` is 8192 on a GPU and 1024 elsewhere, if not given; small
    ones do not fill a GPU. The trials take about `seconds`, after a warm-up.
    """
    device = torch.device(device)
    on_gpu = device.type == "cuda"
    size = size or (8192 if on_gpu else 1024)
    generator = torch.Generator(device).manual_seed(0)  # products of zeros would be faster: they save power
    a, b = (torch.randn(size, size, generator=generator, device=device).to(dtype) for _ in range(2))
    product = torch.empty_like(a)
    products = 10 if on_gpu else 1  # in a trial: launching and waiting must not count

    def trial() -> float:
        start = time.perf_counter()
        for _ in range(products):
            torch.mm(a, b, out=product)
        synchronize()
        return (time.perf_counter() - start) / products

    trial()
    end = time.perf_counter() + seconds
    best = trial()
    while time.perf_counter() < end:
        best = min(best, trial())
    return 2 * size**3 / best


def memory_rate(device: str | torch.device, *, size: int | None = None, trials: int = 5) -> float:
    """Measured: bytes per second that a copy of `size` bytes reads and writes, at the best of a few trials.

    `size` is 1 GiB on a GPU and 64 MiB elsewhere, if not given: in a short copy its start would count.
    """
    device = torch.device(device)
    size = size or (2**30 if device.type == "cuda" else 2**26)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def trial() -> float:
        start = time.perf_counter()
        target.copy_(source)
        synchronize()
        return time.perf_counter() - start

    trial()
    return 2 * size / min(trial() for _ in range(trials))


@dataclass(frozen=True)
class Piece:
    """A piece of work in a training step: its kind, one of `KINDS`, and when it began and ended, in ms."""

    kind: str
    begin: float
    end: float


def trace(step: Callable[[], object], device: str | torch.device) -> list[Piece]:
    """Measured: what a training step does when, as PyTorch's profiler sees it.

    On a GPU these are its kernels, on a CPU PyTorch's operations; their kind is guessed from their names. The step
    is taken once before, so that it is warm.
    """
    on_gpu = torch.device(device).type == "cuda"
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler writes about itself
    step()
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as recorded:
        step()
        synchronize()

    events = recorded.events()
    if on_gpu:
        events = [
            event for event in events if event.device_type == DeviceType.CUDA and not event.is_user_annotation
        ]
    else:
        events = [named for event in events if event.cpu_parent is None for named in _named(event)]
    if not events:
        raise RuntimeError("the profiler saw no work of the GPU: this user may not read its counters")
    zero = min(event.time_range.start for event in events)
    return [
        Piece(_kind(event), (event.time_range.start - zero) / 1000, (event.time_range.end - zero) / 1000)
        for event in events
    ]


def _named(event: FunctionEvent) -> Iterator[FunctionEvent]:
    """The operations below this one whose names say what they do, or that call no others."""
    if _kind(event) != "the rest" or not event.cpu_children:
        yield event
    else:
        for child in event.cpu_children:
            yield from _named(child)


def _kind(event: FunctionEvent) -> str:
    return next(kind for kind, names in KINDS.items() if re.search(names, event.name, re.IGNORECASE))


def time_shares(pieces: list[Piece]) -> dict[str, float]:
    """The shares of the time between the first and the last piece, the largest first; they add up to 1, or to more
    where pieces overlap.

    "waiting" is the time in between, in which the device does nothing: Python prepares what comes next.
    """
    whole = max(piece.end for piece in pieces) - min(piece.begin for piece in pieces)
    shares: dict[str, float] = defaultdict(float)
    for piece in pieces:
        shares[piece.kind] += (piece.end - piece.begin) / whole
    shares["waiting"] = max(0.0, 1 - sum(shares.values()))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
