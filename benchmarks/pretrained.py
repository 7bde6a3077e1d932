"""What the shipped model fills in: `SimMIM.pretrained("cifar10")` against fills that do not learn.

    python benchmarks/pretrained.py                  on CIFAR-10's test images, which it downloads: two minutes
    python benchmarks/pretrained.py --data FOLDER    5-bit CIFAR-10 instead of the download
    python benchmarks/pretrained.py --original FILE  also against the same weights before they were rounded
    python benchmarks/pretrained.py --quick          a check that it runs: a few scenes

Scores on the hidden pixels of 300 test images under four kinds of masks. The best linear predictor (LMMSE) is
fitted to 20,000 training images.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from cifar10_race import data
from safetensors.torch import load_file

from simmim_lab import evaluation
from simmim_lab.masking import STRATEGIES, to_pixels
from simmim_lab.shapes import Hidden, Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "pretrained.json"
PATCH = 4  # pixels
MASKS = {  # what is hidden: strategy, ratio, and patches of 4 pixels along a side of a cell
    "random cells of 8 pixels, 60 %": ("random", 0.6, 2),
    "the upper half": ("half", 0.5, 1),
    "a square in the middle, 25 %": ("center", 0.25, 1),
    "strokes of 4 pixels, 30 %": ("stroke", 0.3, 1),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10", help="cifar10, scenes, or the folder of 5-bit CIFAR-10")
    parser.add_argument("--original", type=Path, help="file with the weights before rounding")
    parser.add_argument("--quick", action="store_true", help="a few scenes")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    try:
        train, test = data("scenes" if args.quick else args.data)
    except FileNotFoundError as error:
        parser.exit(message=f"Skipped, there are no images to score on: {error}\n")
    images, seen = test.take(20 if args.quick else 300), train.take(2_000 if args.quick else 20_000)
    fills = {"lmmse": evaluation.LMMSE.fit(seen), "biharmonic": evaluation.biharmonic}
    model = SimMIM.pretrained("cifar10").eval()
    masks = holes(len(images))

    results = {"data": train.name, "images": len(images), **origin(command(__file__, arguments)), "masks": {}}
    for name, mask in masks.items():
        results["masks"][name] = found = scores(images, mask, {"simmim": model}, fills)
        report(name, found)
    if args.original:
        results["rounding"] = rounding(model, args.original, images, masks)
        print("Rounding to 8 bits:", results["rounding"])
    write(results, args.out)


def holes(count: int) -> dict[str, Mask]:
    """Each kind of MASKS for so many images, the same at each call."""
    return {
        name: STRATEGIES[strategy](count, (8, 8), ratio, cell, generator=torch.Generator().manual_seed(0))
        for name, (strategy, ratio, cell) in MASKS.items()
    }


def scores(
    images: Images, mask: Mask, models: dict[str, SimMIM], fills: dict[str, Callable[[Images, Hidden], Images]]
) -> dict[str, dict[str, float]]:
    """The scores of what each model and each fill puts into the hidden patches of 4 pixels."""
    hidden = to_pixels(mask, PATCH)
    filled = {name: model.reconstruct(images, mask) for name, model in models.items()}
    filled |= {name: fill(images, hidden) for name, fill in fills.items()}
    return {
        name: {
            "psnr": round(evaluation.psnr(images, fill, hidden), 2),
            "ssim": round(evaluation.ssim(images, fill, hidden), 3),
        }
        for name, fill in filled.items()
    }


def report(name: str, found: dict[str, dict[str, float]]) -> None:
    row = (f"{method} {score['psnr']} dB, SSIM {score['ssim']}" for method, score in found.items())
    print(f"{name}:", *row, sep="\n    ")


def rounding(model: SimMIM, original: Path, images: Images, masks: dict[str, Mask]) -> dict[str, float]:
    """By how much rounding the weights to 8 bits changed a value of any fill, and the dB of a kind of masks."""
    precise = SimMIM.preset("vit_tiny").eval()
    precise.load_state_dict(load_file(original))
    values, scores = [], []
    for mask in masks.values():
        before, after = (network.reconstruct(images, mask) for network in (precise, model))
        values.append((after - before).abs().max().item())
        first, second = (evaluation.psnr(images, fill, to_pixels(mask, model.patch)) for fill in (before, after))
        scores.append(abs(second - first))
    return {"largest_change_of_a_value": round(max(values), 4), "largest_change_of_psnr": round(max(scores), 4)}


if __name__ == "__main__":
    main()
