"""Several processes train one model together: what `torchrun` starts (lesson 06).

    torchrun --nproc-per-node 4 -m simmim_lab pretrain --preset vit_base --steps 10000 --run runs/base

Every process holds the whole model and draws the whole batch, and works on its share of the images. Gradients are
averaged over all, so that N processes take the same steps as one. Alone, nothing of this costs anything.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that `torchrun` started, each with a GPU of its own if there are any."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # raises if there are fewer GPUs than processes
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def total(values: Tensor) -> Tensor:
    """The sum of the values over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in at least one process."""
    return bool(total(torch.tensor(float(flag), device=device)) > 0)
