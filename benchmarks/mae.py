"""MAE beside SimMIM: the seconds of a step, and what both have learned after equal seconds.

    python benchmarks/mae.py            three seeds: 14 minutes of one CPU core
    python benchmarks/mae.py --quick    a check that it runs

Steps: `vit_tiny`, once as SimMIM, whose encoder works on all 64 patches of an image, and once as MAE, whose
encoder works on the visible ones, before a small Transformer on all. Both have absolute positions here. The factor
in theory counts the FLOP of the blocks.

Training: a network of the size of `vit_nano` on drawn scenes, each for the same seconds of one CPU core, with the
parts and the mask that it comes with: SimMIM with relative positions and 60 % of the cells of 8 pixels, MAE with
75 % of the patches of 4. Both fill test scenes under both masks, and a linear probe of their features says how
many subjects it finds with 300 labels, beside that of random weights and of pixels. A seed has other weights,
other batches and other scenes for the probe. Each run is written as soon as it is there, and not run again.
"""

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import mean, stdev

import torch
from torch.nn.functional import adaptive_avg_pool2d

from simmim_lab.budget import vit_flops
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.decoders import LinearDecoder, TransformerDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.evaluation import biharmonic, psnr, visible_mean
from simmim_lab.images import ImageSet, load
from simmim_lab.loop import step_generator, train_step
from simmim_lab.mae import VisibleEncoder
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.probing import features, linear_probe
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, processor_clock, race_options, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "mae.json"
GRID, PATCH = (8, 8), 4
RATIOS = (0.25, 0.5, 0.75, 0.9)
LARGE = {"dim": 192, "depth": 12, "heads": 3}, {"width": 96, "depth": 2, "heads": 3}  # encoder, MAE's decoder
SMALL = {"dim": 64, "depth": 4, "heads": 2}, {"width": 48, "depth": 1, "heads": 2}
MASKS = {"cells of 8 pixels, 60 %": (8, 0.6), "patches of 4 pixels, 75 %": (4, 0.75)}
OWN = dict(zip(("SimMIM", "MAE"), MASKS, strict=True))
FILLED, LABELS, TESTS, PARTS = 256, 300, 500, (1, 4)  # images; parts of an image along a side


def main(arguments: list[str] | None = None) -> None:
    args = race_options(__doc__, OUT, 120, arguments)
    seconds, seeds, batch = args.seconds, args.seeds, 2 if args.quick else 32
    torch.set_num_threads(1)

    results = json.loads(args.out.read_text()) if args.out.exists() else {"runs": [], "references": []}
    results |= {**origin(command(__file__, arguments)), "cpu_seconds": seconds}
    if "steps" not in results:
        results |= {"batch_size": batch, "steps": [step(ratio, batch) for ratio in RATIOS], "fills": fills()}
        write(results, args.out)
    for seed in seeds:
        if not any(row["seed"] == seed for row in results["references"]):
            results["references"].append({"seed": seed, **references(seed)})
        for method in OWN:
            if not any((row["method"], row["seed"]) == (method, seed) for row in results["runs"]):
                results["runs"].append({"method": method, "seed": seed, **run(method, seed, seconds)})
                write(results, args.out)
                print(results["runs"][-1])
    report(results)


def build(method: str, encoder: dict, decoder: dict, positions: str = "both") -> SimMIM:
    if method == "MAE":
        seen = VisibleEncoder(32, PATCH, **encoder)
        return SimMIM(seen, TransformerDecoder(seen.dim, seen.stride, seen.grid, **decoder))
    seen = ViTEncoder(32, PATCH, **encoder, positions=positions)
    return SimMIM(seen, LinearDecoder(seen.dim, seen.stride))


def step(ratio: float, batch: int, trials: int = 4) -> dict[str, float]:
    """The seconds of a training step of both, at the best of some trials, and how many times as long one takes."""
    images, mask = torch.rand(batch, 3, 32, 32), random_mask(batch, GRID, ratio)
    row = {"ratio": ratio}
    for method in OWN:
        model = build(method, *LARGE, positions="absolute")
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        seconds = []
        for _ in range(trials):
            start = time.process_time()
            train_step(model, optimizer, (images, mask), lr=1e-3, clip=5.0)
            seconds.append(time.process_time() - start)
        row[method] = min(seconds)
    return row | {"factor": row["SimMIM"] / row["MAE"], "theory": theory(int((~mask[0]).sum()))}


def theory(visible: int) -> float:
    """How many times as many FLOP the blocks of SimMIM take as those of MAE, which sees so many patches."""
    encoder, decoder = LARGE

    def flops(patches: int, dim: int, depth: int) -> int:
        return vit_flops((1, patches), 1, dim, depth)  # those of a strip of so many patches

    patches = GRID[0] * GRID[1]
    simmim = flops(patches, encoder["dim"], encoder["depth"])
    mae = flops(visible, encoder["dim"], encoder["depth"]) + flops(patches, decoder["width"], decoder["depth"])
    return simmim / mae


def run(method: str, seed: int, seconds: float) -> dict:
    """How many steps one of the methods takes in the time, and what it is worth then."""
    torch.manual_seed(seed)
    model = build(method, *SMALL)
    cell, ratio = MASKS[OWN[method]]
    with processor_clock():
        recipe = Recipe(seconds=seconds, mask_size=cell, mask_ratio=ratio, seed=seed)
        history = pretrain(model, drawn("train"), recipe, progress=False)
    return {"steps": history.steps, **worth(model, seed)}


def worth(model: SimMIM, seed: int) -> dict[str, dict[str, float]]:
    """How well a network fills hidden patches, and what a probe finds in its features."""
    return {"psnr": filled(model.eval().reconstruct), "probes": probed(model, seed)}


def filled(fill: Callable[[Images, Mask], Images]) -> dict[str, float]:
    """The PSNR of the hidden pixels of test scenes, under each mask; `fill` gets images and a mask of patches."""
    scores, images = {}, drawn("test").take(FILLED)
    for name, (size, ratio) in MASKS.items():
        mask = random_mask(FILLED, GRID, ratio, size // PATCH, generator=step_generator(0, 0, 0))
        scores[name] = psnr(images, fill(images, mask), to_pixels(mask, PATCH))
    return scores


def fills() -> dict[str, dict[str, float]]:
    """The same for fills without a network."""
    return {
        fill.__name__: filled(lambda images, mask, fill=fill: fill(images, to_pixels(mask, PATCH)))
        for fill in (visible_mean, biharmonic)
    }


def probed(model: SimMIM, seed: int) -> dict[str, float]:
    """The share of subjects that a probe finds in features, averaged within parts of the image."""
    images, labels = scenes(seed)
    return {f"{parts} x {parts}": accuracy(features(model, images, parts), labels) for parts in PARTS}


def references(seed: int) -> dict[str, dict[str, float]]:
    """The same for random weights of both, and for the pixels."""
    torch.manual_seed(seed)
    images, labels = scenes(seed)
    return {f"random {method}": probed(build(method, *SMALL), seed) for method in OWN} | {
        "pixels": {"8 x 8": accuracy(adaptive_avg_pool2d(images, 8).flatten(1), labels)}
    }


@cache
def drawn(split: str) -> ImageSet:
    """The drawn scenes of a split: drawing 5,000 takes seconds."""
    return load("scenes", split)


def scenes(seed: int) -> tuple[Images, torch.Tensor]:
    made = draw_scenes(LABELS + TESTS, generator=torch.Generator().manual_seed(100 + seed))
    return made.pixels / 255, made.labels


def accuracy(vectors: torch.Tensor, labels: torch.Tensor) -> float:
    return linear_probe(vectors[:LABELS], labels[:LABELS]).score(vectors[LABELS:], labels[LABELS:])


def report(results: dict) -> None:
    for row in results["steps"]:
        seconds = "".join(f"{method:>8} {row[method]:.2f} s" for method in OWN)
        print(f"{row['ratio']:.0%} hidden:{seconds}, a factor of {row['factor']:.1f}, by FLOP {row['theory']:.1f}")
    for name, scores in results["fills"].items():
        print(f"{name:24}", *(f"{score:.2f} dB" for score in scores.values()))
    report_runs(results["runs"], "method")
    for name in ("random SimMIM", "random MAE", "pixels"):
        print(f"{name:24}", *mean_and_spread([row[name] for row in results["references"]], ".3f"))


def report_runs(runs: list[dict], key: str) -> None:
    """A line for each kind of run: steps, PSNR and probes, with the spread of the seeds."""
    for kind in dict.fromkeys(row[key] for row in runs):
        rows = [row for row in runs if row[key] == kind]
        steps = mean(row["steps"] for row in rows)
        fills = ", ".join(mean_and_spread([row["psnr"] for row in rows], ".2f"))
        probes = ", ".join(mean_and_spread([row["probes"] for row in rows], ".3f"))
        print(f"{kind:24} {steps:.0f} steps, {fills} dB, probes {probes}")


def mean_and_spread(rows: list[dict[str, float]], form: str) -> list[str]:
    """For each number of the rows its mean, and its standard deviation over the rows."""
    columns = zip(*(row.values() for row in rows), strict=True)
    return [f"{mean(x):{form}}" + (f" ± {stdev(x):{form}}" if len(x) > 1 else "") for x in columns]


if __name__ == "__main__":
    main()
