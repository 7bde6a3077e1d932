"""Images and masks per second: made in batches on the device, or one by one as the official code makes them.

    python benchmarks/data_pipeline.py                  on the CPU, about a minute
    python benchmarks/data_pipeline.py --device cuda    on a GPU
    python benchmarks/data_pipeline.py --quick          a check that it runs

`ours` keeps all images as bytes on the device and crops, mirrors and masks a batch at once. `one by one` is the
usual way: PIL pictures, torchvision's transforms (RandomResizedCrop, flip, normalisation), a NumPy permutation for
each mask, and a DataLoader with a process for each core. Both make batches of 32-pixel photographs for SimMIM, and
take turns, so that other work on the machine slows them alike; figures are medians.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from pretrain_step import machine
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from simmim_lab.common import replace_file
from simmim_lab.images import ImageSet, load
from simmim_lab.masking import random_mask
from simmim_lab.loop import step_generator

OUT = Path(__file__).parents[1] / "results" / "data_pipeline.json"
BATCH = 64
GRID, CELL, RATIO = 8, 2, 0.6  # patches of 4 pixels, cells of 8


class OneByOne(Dataset):
    """Pictures and masks as the official pipeline makes them: each on its own, on the CPU."""

    def __init__(self, images: ImageSet):
        self.pictures = [to_pil_image(image) for image in images.images]
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(32, scale=(0.67, 1.0), ratio=(3 / 4, 4 / 3)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, np.ndarray]:
        return self.transform(self.pictures[index]), one_mask()


def one_mask() -> np.ndarray:
    """A random mask for one image, from a permutation of its cells."""
    side = GRID // CELL
    mask = np.zeros(side * side, dtype=bool)
    mask[np.random.permutation(side * side)[: int(np.ceil(side * side * RATIO))]] = True
    return mask.reshape(side, side).repeat(CELL, axis=0).repeat(CELL, axis=1)


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
    results = {"command": " ".join(["python", "benchmarks/data_pipeline.py", *(arguments or sys.argv[1:])])}
    results |= {"date": date.today().isoformat(), **machine(torch.device(args.device)), "load": os.getloadavg()[0]}
    results |= {"batch": BATCH, "images": count}

    results["epoch"] = compare(*epochs(images, count, torch.device(args.device)), count, rounds)
    results["masks"] = compare(*masks(count, torch.device(args.device)), count, rounds)
    for name, row in results.items():
        if isinstance(row, dict):
            print(
                f"{name:6} per second: {row['ours']:>12,.0f} ours, {row['one_by_one']:>10,.0f} one by one, ",
                end="",
            )
            print(f"{row['ratio']:.1f} times as many")
    replace_file(args.out, lambda path: path.write_text(json.dumps(results, indent=2) + "\n"))


def epochs(images: ImageSet, count: int, device: torch.device) -> tuple[Callable, Callable]:
    """Both ways through `count` images, with their masks, to the device."""
    resident = images.to(device)
    few = ImageSet(images.name, images.split, images.images[:count], images.labels[:count], images.classes)
    loader = DataLoader(OneByOne(few), BATCH, shuffle=True, num_workers=os.cpu_count(), persistent_workers=True)

    def ours() -> None:
        generators = [step_generator(0, step, 0, device) for step in range(count // BATCH)]
        for generator, _ in zip(generators, resident.batches(BATCH, generators), strict=True):
            random_mask(BATCH, (GRID, GRID), RATIO, CELL, generator=generator)

    def one_by_one() -> None:
        for batch, mask in loader:
            batch.to(device), mask.to(device)

    return ours, one_by_one


def masks(count: int, device: torch.device) -> tuple[Callable, Callable]:
    """Both ways to `count` masks, in batches or not."""
    generator = step_generator(0, 0, 1, device)

    def ours() -> None:
        for _ in range(count // BATCH):
            random_mask(BATCH, (GRID, GRID), RATIO, CELL, generator=generator)

    def one_by_one() -> None:
        for _ in range(count):
            one_mask()

    return ours, one_by_one


def compare(ours: Callable, one_by_one: Callable, count: int, rounds: int) -> dict[str, float]:
    """How many per second each way makes, and the median of the ratio over the turns."""
    times: dict[str, list[float]] = {"ours": [], "one_by_one": []}
    for turn in range(rounds + 1):
        for name, run in ("ours", ours), ("one_by_one", one_by_one):
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:  # the first one starts processes and fills caches
                times[name].append(time.perf_counter() - start)
    ratios = [slow / fast for fast, slow in zip(times["ours"], times["one_by_one"], strict=True)]
    rates = {name: round(count / statistics.median(seconds), 1) for name, seconds in times.items()}
    return {**rates, "ratio": round(statistics.median(ratios), 2)}


if __name__ == "__main__":
    main()
