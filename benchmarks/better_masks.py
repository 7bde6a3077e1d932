"""Masks that the model guides itself, against random ones, after equal seconds (lesson 11).

    python benchmarks/better_masks.py            four ways to hide, three seeds: 12 minutes of one CPU core
    python benchmarks/better_masks.py --quick    a check that it runs

The small MAE of `mae.py` trains on drawn scenes, each way for the same seconds of one core, with 75 % of the
patches of 4 pixels hidden. What it costs to find out what to hide counts, so a guided training takes fewer steps.
Afterwards each network fills test scenes under random masks, and a linear probe of its features says how many
subjects it finds with 300 labels. A seed has other weights, other batches and other scenes for the probe. Each run
is written as soon as it is there, and not run again.
"""

import json
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from mae import SMALL, build, drawn, report_runs, worth
from torch import Generator

from simmim_lab import training
from simmim_lab.guided import attention_map, error_map, guided_mask
from simmim_lab.masking import random_mask
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, processor_clock, race_options, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "better_masks.json"
RATIO = 0.75


def random(model: SimMIM, images: Images, generator: Generator) -> Mask:
    return random_mask(len(images), model.grid(images), RATIO, generator=generator)


def hard(model: SimMIM, images: Images, generator: Generator, share: float) -> Mask:
    return guided_mask(error_map(model, images, generator=generator), RATIO, share, generator=generator)


def looked_at(model: SimMIM, images: Images, generator: Generator, share: float) -> Mask:
    return guided_mask(attention_map(model, images), RATIO, share, generator=generator)


WAYS = {
    "random": random,
    "half of them hard": partial(hard, share=0.5),
    "all hard": partial(hard, share=1.0),
    "half of them looked at": partial(looked_at, share=0.5),
}


def main(arguments: list[str] | None = None) -> None:
    args = race_options(__doc__, OUT, 50, arguments)
    seconds, seeds = args.seconds, args.seeds
    torch.set_num_threads(1)

    runs = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    for seed in seeds:
        for way in WAYS:
            if not any((row["way"], row["seed"]) == (way, seed) for row in runs):
                runs.append({"way": way, "seed": seed, **run(way, seed, seconds)})
                write({**origin(command(__file__, arguments)), "cpu_seconds": seconds, "runs": runs}, args.out)
    report_runs(runs, "way")


def run(way: str, seed: int, seconds: float) -> dict:
    """How many steps a training takes in the time, and what the network is worth then."""
    torch.manual_seed(seed)
    model = build("MAE", *SMALL)

    def draw(model: SimMIM, images: Images, recipe: Recipe, generator: Generator, *, batch_size: int) -> Mask:
        return WAYS[way](model, images, generator)

    with processor_clock(), mock.patch.object(training, "draw_mask", draw):
        history = pretrain(model, drawn("train"), Recipe(seconds=seconds, seed=seed), progress=False)
    return {"steps": history.steps, **worth(model, seed)}


if __name__ == "__main__":
    main()
