"""One network, trained under three kinds of masks, and scored under each kind of hole (lesson 08).

    python benchmarks/training_masks.py            three trainings of 300 steps, two seeds: 5 minutes of one core
    python benchmarks/training_masks.py --quick    a check that it runs

`vit_nano` trains on drawn scenes under random cells of 8 pixels, under a mixture of all kinds, or under the upper
half alone; all else is equal. The score is that of the hidden pixels of test scenes, beside two fills that need no
network.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from simmim_lab.evaluation import LMMSE, biharmonic, psnr, ssim
from simmim_lab.images import ImageSet, load
from simmim_lab.loop import step_generator
from simmim_lab.masking import half_mask, random_mask, stroke_mask, to_pixels
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "training_masks.json"
GRID = (8, 8)
TRAININGS = {
    "random cells": {"mask": "random", "mask_size": 8},
    "mixture": {"mask": "mixture", "mask_size": 4},
    "half": {"mask": "half", "mask_size": 4, "mask_ratio": 0.5},
}
HOLES: dict[str, Callable[..., Mask]] = {
    "random cells": lambda n, generator: random_mask(n, GRID, 0.6, 2, generator=generator),
    "half": lambda n, generator: half_mask(n, GRID),
    "strokes": lambda n, generator: stroke_mask(n, GRID, generator=generator),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, two steps, few images")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    steps, seeds, images = (2, [0], 6) if args.quick else (300, [0, 1], 250)
    torch.set_num_threads(1)

    train, test = load("scenes", "train"), load("scenes", "test").take(images)
    holes = {name: draw(images, generator=step_generator(0, 0, 0)) for name, draw in HOLES.items()}
    linear = LMMSE.fit(train.take(100 if args.quick else len(train)))
    results = {**origin(command(__file__, arguments)), "steps": steps, "images": images}
    results["fills"] = {
        name: score(test, holes, lambda images, mask, fill=fill: fill(images, to_pixels(mask, 4)))
        for name, fill in {"biharmonic": biharmonic, "LMMSE": linear}.items()
    }
    results["runs"] = []
    for seed in seeds:
        for name, masks in TRAININGS.items():
            model = trained(train, Recipe(steps=steps, seed=seed, **masks))
            scores = score(test, holes, model.reconstruct)
            results["runs"].append({"trained": name, "seed": seed, "holes": scores})
            write(results, args.out)
            print(name, seed, scores)


def trained(train: ImageSet, recipe: Recipe) -> SimMIM:
    torch.manual_seed(recipe.seed)
    model = SimMIM.preset("vit_nano")
    pretrain(model, train, recipe, progress=False)
    return model.eval()


@torch.no_grad()
def score(
    images: Images, holes: dict[str, Mask], fill: Callable[[Images, Mask], Images]
) -> dict[str, dict[str, float]]:
    """PSNR and SSIM on the hidden pixels, for each kind of hole."""
    scores = {}
    for name, mask in holes.items():
        filled, hidden = fill(images, mask), to_pixels(mask, 4)
        scores[name] = {
            "psnr": round(psnr(images, filled, hidden), 2),
            "ssim": round(ssim(images, filled, hidden), 3),
        }
    return scores


if __name__ == "__main__":
    main()
