"""The decoders of lesson 03 at equal time: the same encoder below each, pre-trained alike and scored alike.

    python benchmarks/decoder_race.py            3 decoders, 3 seeds, 5 and 20 s of one CPU core: 4 minutes
    python benchmarks/decoder_race.py --quick    a check that it runs

All train on drawn scenes and hide 60 % of the squares of 8 x 8 pixels. A run ends by the time of the processor,
not by the clock, so that other work on the machine takes nothing from it. Every time has runs of its own, whose
learning rate falls to its end. The score is that of the hidden pixels of test images, beside a fill that does not
learn.
"""

import argparse
from pathlib import Path
from statistics import mean

import torch

from simmim_lab.decoders import DeconvDecoder, LinearDecoder, TransformerDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.evaluation import biharmonic, psnr
from simmim_lab.images import ImageSet, load
from simmim_lab.loop import step_generator
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, processor_clock, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "decoder_race.json"
PATCH, GRID, DIM = 8, (4, 4), 64
IMAGES = 256  # of the test set
DECODERS = {
    "linear": lambda: LinearDecoder(DIM, PATCH),
    "deconvolution": lambda: DeconvDecoder(DIM, PATCH),
    "Transformer": lambda: TransformerDecoder(DIM, PATCH, GRID, width=64, depth=2, heads=2),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one second")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    times, seeds = ([1], [0]) if args.quick else ([5, 20], [0, 1, 2])
    torch.set_num_threads(1)

    train, test = (load("scenes", split) for split in ("train", "test"))
    images = test.take(IMAGES)
    mask = random_mask(len(images), GRID, 0.6, generator=step_generator(0, 0, 0))
    hidden = to_pixels(mask, PATCH)
    results = {**origin(command(__file__, arguments)), "data": "scenes", "images": len(images)}
    results |= {"biharmonic": round(psnr(images, biharmonic(images, hidden), hidden), 3), "runs": []}
    for seconds in times:
        for seed in seeds:
            for decoder in DECODERS:
                model, steps = run(decoder, train, seconds, seed)
                score = psnr(images, model.reconstruct(images, mask), hidden)
                facts = {"decoder": decoder, "cpu_seconds": seconds, "seed": seed, "steps": steps}
                results["runs"].append({**facts, "psnr": round(score, 3)})
                write(results, args.out)
                print(results["runs"][-1], flush=True)
    report(results)


def run(decoder: str, train: ImageSet, seconds: float, seed: int) -> tuple[SimMIM, int]:
    """A model trained for so many seconds of the processor, and how many steps it made."""
    torch.manual_seed(seed)
    model = SimMIM(ViTEncoder(32, patch=PATCH, dim=DIM, depth=4, heads=2), DECODERS[decoder]())
    with processor_clock():
        history = pretrain(model, train, Recipe(seconds=seconds, seed=seed), progress=False)
    return model.eval(), history.steps


def report(results: dict) -> None:
    print(f"{'biharmonic':14}{results['biharmonic']:>7.2f} dB")
    for seconds in sorted({run["cpu_seconds"] for run in results["runs"]}):
        for decoder in DECODERS:
            runs = [run for run in results["runs"] if (run["decoder"], run["cpu_seconds"]) == (decoder, seconds)]
            scores = [run["psnr"] for run in runs]
            print(f"{decoder:14}{seconds:>3} s{mean(scores):>7.2f} dB", *(f"{score:.2f}" for score in scores))


if __name__ == "__main__":
    main()
