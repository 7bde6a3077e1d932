"""Speed-ups: the same training step, made faster by one change after the other (lesson 06).

`climb` measures the images per second on each rung of this ladder, which starts with how a first version looks:

    one by one    pictures are cropped one by one on the CPU, and each gets its mask there; each loss is printed
    in batches    all images lie on the device as bytes, and are cropped and masked a batch at a time
    no waiting    the loss is read every 25 steps, not at each: the host need not wait for the device
    attention     one kernel for attention, which never writes its scores into memory
    16 bits       matrix products in the `precision` of the device
    fused bias    relative positions enter the kernel of attention (`autotune.fuse_attention`)
    fused AdamW   one kernel updates all weights
    compiled      `torch.compile` merges small operations
    CUDA graph    the whole step is recorded once, and launched as one piece (`autotune.captured`)

Those in GPU_ONLY are for CUDA, and left out elsewhere.
"""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset

from simmim_lab import autotune
from simmim_lab.budget import synchronize
from simmim_lab.hardware import autocast, compiled
from simmim_lab.images import ImageSet
from simmim_lab.loop import READ_EVERY, step_generator
from simmim_lab.masking import random_mask
from simmim_lab.shapes import Grid, Images, Mask
from simmim_lab.simmim import SimMIM

RUNGS = (
    "one by one",
    "in batches",
    "no waiting",
    "attention",
    "16 bits",
    "fused bias",
    "fused AdamW",
    "compiled",
    "CUDA graph",
)
GPU_ONLY = ("16 bits", "fused bias", "CUDA graph")
RATIO, CELL_PATCHES = 0.6, 2  # of the masks: the share that is hidden, and patches along a cell
WARM_UP, TURNS = 3, 3  # steps that do not count; how often the others are timed


class OneByOne(Dataset):
    """Pictures and masks as the official pipeline makes them: each on its own, with PIL, on the CPU.

    Source: `data_simmim.py` of SimMIM.
    """

    def __init__(self, dataset: ImageSet, grid: Grid):
        from torchvision import transforms
        from torchvision.transforms.functional import to_pil_image

        self.pictures = [to_pil_image(image) for image in dataset.pixels]
        self.grid = grid
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(dataset.size, scale=(0.67, 1.0), ratio=(3 / 4, 4 / 3)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, np.ndarray]:
        return self.transform(self.pictures[index]), one_mask(self.grid)


def one_mask(grid: Grid) -> np.ndarray:
    """A random mask for one image, from a permutation of its cells."""
    rows, cols = (side // CELL_PATCHES for side in grid)
    mask = np.zeros(rows * cols, dtype=bool)
    mask[np.random.permutation(rows * cols)[: int(np.ceil(rows * cols * RATIO))]] = True
    return mask.reshape(rows, cols).repeat(CELL_PATCHES, axis=0).repeat(CELL_PATCHES, axis=1)


def climb(
    preset: str, dataset: ImageSet, batch_size: int, device: torch.device, *, steps: int, top: str = RUNGS[-1]
) -> dict[str, float]:
    """Images per second on each rung up to `top`, which has all changes below it too.

    A rung that fails on this machine is left out, with a warning.
    """
    rungs = [rung for rung in RUNGS[: RUNGS.index(top) + 1] if device.type == "cuda" or rung not in GPU_ONLY]
    rates = {}
    for count, rung in enumerate(rungs, 1):
        try:
            rates[rung] = images_per_second(set(rungs[:count]), preset, dataset, batch_size, device, steps)
        except RuntimeError as error:
            warnings.warn(f"left out {rung!r}, which failed: {error}".splitlines()[0], stacklevel=2)
    return rates


def images_per_second(
    changes: set[str], preset: str, dataset: ImageSet, batch_size: int, device: torch.device, steps: int
) -> float:
    """How many images a training with these changes takes per second: the best of a few turns of `steps` steps."""
    torch.manual_seed(0)
    model = forward = SimMIM.preset(preset, dataset.size).to(device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), fused="fused AdamW" in changes, capturable="CUDA graph" in changes
    )
    make = resident if "in batches" in changes else loaded
    batches = make(dataset, batch_size, model.encoder.grid, device)
    if "fused bias" in changes:
        autotune.fuse_attention(model, next(batches), compile="compiled" in changes)
    if "compiled" in changes:
        forward = compiled(model, next(batches))

    def step(pictures: Images, mask: Mask) -> Tensor:
        bits = autocast(device) if "16 bits" in changes else nullcontext()
        kernel = nullcontext() if "attention" in changes else sdpa_kernel(SDPBackend.MATH)
        with bits, kernel:
            loss, _ = forward(pictures, mask)
            optimizer.zero_grad()
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss.detach()

    if "CUDA graph" in changes:
        step = autotune.captured(step, next(batches))

    def train(steps: int) -> float:
        start = time.perf_counter()
        for number, batch in zip(range(steps), batches, strict=False):
            loss = step(*batch)
            if "no waiting" not in changes or number % READ_EVERY == 0:
                loss.item()
        synchronize()
        return time.perf_counter() - start

    train(WARM_UP)
    return batch_size * steps / min(train(steps) for _ in range(TURNS))


def resident(
    dataset: ImageSet, batch_size: int, grid: Grid, device: torch.device
) -> Iterator[tuple[Images, Mask]]:
    """Batches and masks that are made on the device, where all images lie."""
    dataset = dataset.to(device)
    step = 0
    while True:
        generator = step_generator(0, step, 0, device)
        batch = dataset.batch(batch_size, generator)
        yield batch, random_mask(batch_size, grid, RATIO, CELL_PATCHES, generator=generator)
        step += 1


def loaded(dataset: ImageSet, batch_size: int, grid: Grid, device: torch.device) -> Iterator[tuple[Images, Mask]]:
    """Batches and masks that processes on the CPU put together."""
    loader = one_by_one(dataset, batch_size, grid)
    while True:
        for batch, mask in loader:
            yield batch.to(device), mask.to(device)


def one_by_one(dataset: ImageSet, batch_size: int, grid: Grid) -> DataLoader:
    """The usual loader: a process for each core, which makes pictures and masks one by one."""
    workers = {"num_workers": os.cpu_count(), "persistent_workers": True}
    return DataLoader(OneByOne(dataset, grid), batch_size, shuffle=True, drop_last=True, **workers)
