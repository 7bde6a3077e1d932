"""Does a better reconstruction come with better features? The smallest ViT on its way through a training.

    python benchmarks/loss_and_features.py            two seeds, two masks: 15 minutes of one CPU core
    python benchmarks/loss_and_features.py --quick    a check that it runs

`vit_nano` is pre-trained on drawn scenes, under the masks of the course (60 % of the cells of 8 pixels) or under
easy ones (25 % of the cells of 4 pixels). At some marks on the way it fills test scenes under both masks, and a
linear probe of its features, averaged within parts of the image, says how many subjects and colours it finds
with 300 labels. Before the first step the network is random. A seed has other weights, other batches and other
scenes for the probe. Each run is written as soon as it is there, and not run again.
"""

import argparse
import json
from pathlib import Path

import torch

from simmim_lab.data.scenes import draw_scenes
from simmim_lab.evaluation import psnr
from simmim_lab.images import load
from simmim_lab.loop import step_generator
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.probing import features, linear_probe
from simmim_lab.recipe import History
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "loss_and_features.json"
MASKS = {"cells of 8 pixels, 60 %": (8, 0.6), "cells of 4 pixels, 25 %": (4, 0.25)}
STEPS, MARKS, SEEDS = 800, (0, 100, 200, 400, 800), (0, 1)
FILLED, LABELS, TESTS = 256, 300, 500  # images


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, two steps")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)

    runs = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    for seed in SEEDS[:1] if args.quick else SEEDS:
        for mask in MASKS:
            if not any((run["mask"], run["seed"]) == (mask, seed) for run in runs):
                marks = run(mask, seed, *((2, (0, 2)) if args.quick else (STEPS, MARKS)))
                runs.append({"mask": mask, "seed": seed, "marks": marks})
                write({**origin(command(__file__, arguments)), "data": "scenes", "runs": runs}, args.out)
    report(runs)


def run(mask: str, seed: int, steps: int, marks: tuple[int, ...]) -> list[dict]:
    """What the network is worth at each mark of a training under this mask."""
    torch.manual_seed(seed)
    model = SimMIM.preset("vit_nano")
    size, ratio = MASKS[mask]
    found = [{"step": 0, **worth(model, seed)}]

    def note(step: int, model: SimMIM, history: History) -> None:
        if step in marks:
            recent = history.loss[-50:]
            found.append({"step": step, "loss": sum(recent) / len(recent), **worth(model, seed)})

    recipe = Recipe(steps=steps, batch_size=32, mask_size=size, mask_ratio=ratio, seed=seed)
    pretrain(model, load("scenes"), recipe, callbacks=[note], progress=False)
    return found


def worth(model: SimMIM, seed: int) -> dict:
    """The PSNR of what it fills under each mask, and the accuracies of probes."""
    pictures = load("scenes", "test").take(FILLED)
    worth = {"psnr": {}, "probes": {}}
    for name, (size, ratio) in MASKS.items():
        mask = random_mask(FILLED, (8, 8), ratio, size // model.patch, generator=step_generator(0, 0, 0))
        filled = model.reconstruct(pictures, mask)
        worth["psnr"][name] = psnr(pictures, filled, to_pixels(mask, model.patch))

    made = draw_scenes(LABELS + TESTS, generator=torch.Generator().manual_seed(100 + seed))
    for cells in (1, 2, 4):
        vectors = features(model, made.pixels / 255, cells)
        for asked, truth in {"subject": made.labels, "colour": made.colors}.items():
            probe = linear_probe(vectors[:LABELS], truth[:LABELS])
            worth["probes"][f"{asked}, {cells} x {cells}"] = probe.score(vectors[LABELS:], truth[LABELS:])
    return worth


def report(runs: list[dict]) -> None:
    for row in runs:
        print(f"{row['mask']}, seed {row['seed']}")
        for mark in row["marks"]:
            fills = "".join(f"{psnr:7.2f} dB" for psnr in mark["psnr"].values())
            print(f"{mark['step']:5} steps", fills, "".join(f"{share:7.1%}" for share in mark["probes"].values()))


if __name__ == "__main__":
    main()
