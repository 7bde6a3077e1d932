"""The encoders of the course at equal time: ViT, Swin and the article's CNN, pre-trained alike and scored alike.

    python benchmarks/encoder_race.py            three networks, three seeds, 60 s of one CPU core each: 9 minutes
    python benchmarks/encoder_race.py --quick    a check that it runs

All train on drawn scenes, hide cells of 8 pixels at a ratio of 0.6, and use the recipes of their presets. A run
ends by the time of the processor, not by the clock, so that other work on the machine takes nothing from it. The
score is that of the hidden pixels of test images, beside two fills that do not learn.
"""

from pathlib import Path
from statistics import mean

import torch

from simmim_lab.evaluation import biharmonic, psnr, ssim, visible_mean
from simmim_lab.images import ImageSet, load
from simmim_lab.loop import step_generator
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, processor_clock, race_options, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "encoder_race.json"
PRESETS = ("vit_nano", "swin_nano", "article_cnn")
SIZE, CELL, RATIO = 32, 8, 0.6
IMAGES = 256  # of the test set


def main(arguments: list[str] | None = None) -> None:
    args = race_options(__doc__, OUT, 60, arguments)
    seconds, seeds = args.seconds, args.seeds
    torch.set_num_threads(1)

    train, test = (load("scenes", split, size=SIZE) for split in ("train", "test"))
    images = test.take(IMAGES)
    cells = random_mask(len(images), (SIZE // CELL, SIZE // CELL), RATIO, generator=step_generator(0, 0, 0))
    hidden = to_pixels(cells, CELL)
    fills = {fill.__name__: score(images, fill(images, hidden), hidden) for fill in (visible_mean, biharmonic)}
    results = {**origin(command(__file__, arguments)), "cpu_seconds": seconds, "fills": fills}
    results["runs"] = []
    for seed in seeds:
        for preset in PRESETS:
            model, facts = run(preset, train, seconds, seed)
            filled = model.reconstruct(images, to_pixels(cells, CELL // model.patch))
            results["runs"].append({"preset": preset, "seed": seed, **facts, **score(images, filled, hidden)})
            write(results, args.out)
            print(results["runs"][-1])
    report(results)


def run(preset: str, train: ImageSet, seconds: float, seed: int) -> tuple[SimMIM, dict[str, int]]:
    """A model, trained for so many seconds of the processor, and how large it is and how far it came."""
    torch.manual_seed(seed)
    model = SimMIM.preset(preset)
    with processor_clock():
        recipe = Recipe.preset(preset, seconds=seconds, mask_size=CELL, mask_ratio=RATIO, seed=seed)
        history = pretrain(model, train, recipe, progress=False)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return model.eval(), {"parameters": parameters, "steps": history.steps}


def score(images: Images, filled: Images, hidden: Mask) -> dict[str, float]:
    return {"psnr": round(psnr(images, filled, hidden), 3), "ssim": round(ssim(images, filled, hidden), 4)}


def report(results: dict) -> None:
    for name, scores in results["fills"].items():
        print(f"{name:14}{scores['psnr']:>7.2f} dB{scores['ssim']:>8.3f}")
    for preset in PRESETS:
        runs = [run for run in results["runs"] if run["preset"] == preset]
        scores, similarity = ([run[name] for run in runs] for name in ("psnr", "ssim"))
        print(f"{preset:14}{mean(scores):>7.2f} dB{mean(similarity):>8.3f}", *(f"{score:.2f}" for score in scores))


if __name__ == "__main__":
    main()
