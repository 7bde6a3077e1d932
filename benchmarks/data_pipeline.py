"""Images and masks per second: made in batches on the device, or one by one as the official code makes them.

    python benchmarks/data_pipeline.py                  on the CPU, about a minute
    python benchmarks/data_pipeline.py --device cuda    on a GPU
    python benchmarks/data_pipeline.py --quick          a check that it runs

`ours` keeps all images as bytes on the device and crops, mirrors and masks a batch at once. `one by one` is the
usual way: PIL pictures, torchvision's transforms (RandomResizedCrop and flip), a NumPy permutation for each mask,
and a DataLoader with a process for each core. Both make batches of 32-pixel photographs for SimMIM, and take
turns, so that other work on the machine slows them alike; figures are medians. `kernels` counts the operations
that draw a batch: a GPU starts each on its own, so they, not the images, decide how long it takes there.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Generator
from torch.utils._python_dispatch import TorchDispatchMode

from simmim_lab.budget import synchronize
from simmim_lab.finetuning import FinetuneRecipe, augmented
from simmim_lab.images import ImageSet, load
from simmim_lab.loop import step_generator
from simmim_lab.masking import STRATEGIES, random_mask
from simmim_lab.speedups import CELL_PATCHES, RATIO, one_by_one, one_mask
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "data_pipeline.json"
BATCH = 64
GRID = (8, 8)  # patches of 4 pixels


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each way takes (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one turn of 640 images")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    images = load("photos", "train")
    count = 640 if args.quick else len(images) // BATCH * BATCH
    rounds = 1 if args.quick else args.rounds
    results = {**origin(command(__file__, arguments), args.device), "batch": BATCH, "images": count}

    results["epoch"] = compare(*epochs(images, count, torch.device(args.device)), count, rounds)
    results["masks"] = compare(*masks(count, torch.device(args.device)), count, rounds)
    for name in ("epoch", "masks"):
        ours, theirs, ratio = results[name].values()
        print(f"{name:6} per second: {ours:>12,.0f} ours, {theirs:>10,.0f} one by one, {ratio:.1f} times as many")
    results["kernels"] = {name: len(kernels(draw)) for name, draw in drawings(images).items()}
    print(f"kernels: {results['kernels']}")
    write(results, args.out)


def epochs(images: ImageSet, count: int, device: torch.device) -> tuple[Callable, Callable]:
    """Both ways through `count` images, with their masks, to the device."""
    resident = images.to(device)
    few = ImageSet(images.name, images.split, images.pixels[:count], images.labels[:count], images.classes)
    loader = one_by_one(few, BATCH, GRID)

    def ours() -> None:
        generators = [step_generator(0, step, 0, device) for step in range(count // BATCH)]
        for generator, _ in zip(generators, resident.batches(BATCH, generators), strict=True):
            random_mask(BATCH, GRID, RATIO, CELL_PATCHES, generator=generator)

    def theirs() -> None:
        for batch, mask in loader:
            batch.to(device), mask.to(device)

    return ours, theirs


def masks(count: int, device: torch.device) -> tuple[Callable, Callable]:
    """Both ways to `count` masks, in batches or not."""
    generator = step_generator(0, 0, 1, device)

    def ours() -> None:
        for _ in range(count // BATCH):
            random_mask(BATCH, GRID, RATIO, CELL_PATCHES, generator=generator)

    def theirs() -> None:
        for _ in range(count):
            one_mask(GRID)

    return ours, theirs


def drawings(images: ImageSet, batch_size: int = BATCH) -> dict[str, Callable]:
    """All that is drawn for a batch, where the images lie: crops, masks, and what fine-tuning does to images."""
    generator = Generator(images.draws_on).manual_seed(0)
    batch, labels = next(images.labelled_batches(batch_size, [generator]))
    recipe, classes = FinetuneRecipe(steps=1), len(images.classes)
    masks = {
        f"{name} mask": partial(draw, batch_size, GRID, RATIO, CELL_PATCHES, generator=generator)
        for name, draw in STRATEGIES.items()
    }
    return {
        "crops": partial(images.batch, batch_size, generator),
        **masks,
        "fine-tuning": partial(augmented, batch, labels, recipe, generator, classes=classes),
    }


def kernels(draw: Callable) -> list[str]:
    """The operations that a GPU starts for `draw`: all but views and memory that is only set aside."""
    with _Operations() as operations:
        draw()
    return operations.names


class _Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        if not (operation.is_view or name in ("detach", "empty", "expand", "lift_fresh", "_unsafe_view")):
            self.names.append(name)
        return operation(*args, **(kwargs or {}))


def compare(ours: Callable, theirs: Callable, count: int, rounds: int) -> dict[str, float]:
    """How many per second each way makes, and the median of the ratio over the turns."""
    times: dict[str, list[float]] = {"ours": [], "one_by_one": []}
    for turn in range(rounds + 1):
        for name, run in ("ours", ours), ("one_by_one", theirs):
            start = time.perf_counter()
            run()
            synchronize()
            if turn:  # the first one starts processes and fills caches
                times[name].append(time.perf_counter() - start)
    ratios = [slow / fast for fast, slow in zip(times["ours"], times["one_by_one"], strict=True)]
    rates = {name: round(count / statistics.median(seconds), 1) for name, seconds in times.items()}
    return {**rates, "ratio": round(statistics.median(ratios), 2)}


if __name__ == "__main__":
    main()
