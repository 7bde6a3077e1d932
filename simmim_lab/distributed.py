"""Several processes train one model together: what `torchrun` starts (lesson 06).

    torchrun --nproc-per-node 4 -m simmim_lab -- pretrain --preset vit_base --steps 10000 --run runs/base

Every process draws the whole batch and works on its share of the images. Gradients are averaged over all, so that
N processes take the same steps as one. Alone, nothing of this costs anything.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simmim_lab.backbones import blocks


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def process_group() -> Iterator[None]:
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


def parallelize(model: nn.Module, *, shard: bool = False) -> nn.Module:
    """The model as several processes train it; `model` itself if this process is alone.

    Either each process holds the whole model, and gradients are averaged over all (DDP). Or, with `shard`, each
    holds a part of every weight, and a block is only put together while it computes (FSDP): slower, but a model
    fits that one GPU has no room for.
    """
    if world_size() == 1:
        return model
    if not shard:
        return DistributedDataParallel(model, broadcast_buffers=False)  # buffers never change
    from torch.distributed.fsdp import fully_shard  # takes a second to import

    for block in blocks(model):
        fully_shard(block)
    return fully_shard(model)


def gather(tensor: Tensor) -> Tensor:
    """The whole of a tensor of which each process holds a part; other tensors as they are."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def distribute(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor divided among processes as `like` is, where both have the same shape."""
    if not hasattr(like, "placements") or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum of the values over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in at least one process."""
    return bool(all_reduce_sum(torch.tensor(float(flag), device=device)) > 0)
