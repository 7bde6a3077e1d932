"""A space-time ViT fills hidden tubes of clips: beside copies in time, and beside motion that is followed by hand.

    python benchmarks/video.py            four trainings of 2,600 steps: 10 minutes of one core
    python benchmarks/video.py --quick    a check that it runs

The score is PSNR on hidden pixels, of the thing that moves and of all, on clips that were not trained on. A fill
sees what the mask leaves; only "previous frame" copies even what is hidden there. All but the network are told the
landscape, and "motion followed" that things slide sideways. The network learns with one kind of mask, and is
scored under all three.
A training that is in the results is not run again. With `--ship` the weights of the first one go into the package.
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from simmim_lab.data.scenes import draw_clips
from simmim_lab.evaluation import psnr
from simmim_lab.recipe import Schedule
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.video import (
    MASKS,
    WEIGHTS,
    Clips,
    Tubes,
    VideoMIM,
    follow,
    hidden_pixels,
    landscape,
    moving,
    nearest_frame,
    pretrain,
)

OUT = Path(__file__).parents[1] / "results" / "video.json"
PATCH, RATIO, STEPS = 4, 0.75, 2600
TRAININGS = [("tubes", 0), ("tubes", 1), ("frame by frame", 0), ("last frame", 0)]  # mask and seed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, two steps, few clips")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    parser.add_argument(
        "--ship", action="store_true", help="put the weights of the first training into the package"
    )
    args = parser.parse_args(arguments)
    steps, count = (2, 8) if args.quick else (STEPS, 200)
    torch.set_num_threads(1)

    results = json.loads(args.out.read_text()) if args.out.exists() else {"runs": []}
    results |= {**origin(command(__file__, arguments)), "steps": steps, "clips": count}
    results["fills"] = {}
    for speed in (1, 4):
        clips, ground = test_clips(count, speed)
        results["fills"][str(speed)] = {
            name: score(clips, mask, ground, simple_fills(clips, mask, ground))
            for name, mask in masks(clips).items()
        }
    clips, ground = test_clips(count)
    for mask, seed in TRAININGS:
        run = {"trained": mask, "seed": seed}
        if any(run.items() <= old.items() for old in results["runs"]):
            continue
        start = time.process_time()
        model = trained(mask, seed, steps)
        run["cpu_seconds"] = round(time.process_time() - start)
        run["network"] = {
            name: score(clips, hides, ground, {"network": model.reconstruct(clips, hides)})["network"]
            for name, hides in masks(clips).items()
        }
        results["runs"].append(run)
        write(results, args.out)
        print(run)
        if args.ship and (mask, seed) == TRAININGS[0]:
            model.save(WEIGHTS, bits=8, header=card(steps))


def trained(mask: str, seed: int, steps: int) -> VideoMIM:
    torch.manual_seed(seed)
    model = VideoMIM()
    clips = draw_clips(2000 if steps == STEPS else 20, generator=Generator().manual_seed(seed))
    recipe = Schedule(steps=steps, batch_size=8, seed=seed)
    pretrain(model, clips, recipe, RATIO, MASKS[mask], progress=False)
    return model.eval()


def card(steps: int) -> dict[str, str]:
    """What the file of the weights says about itself."""
    return {
        "model": "VideoMIM, which fills hidden tubes in drawn clips of 6 frames of 16 x 32 pixels, in 8 bits",
        "data": "2,000 clips drawn by the course, seed 0",
        "training": f"{date.today()}, {steps:,} steps on one CPU thread: python benchmarks/video.py --ship",
        "scores": "results/video.json",
        "licence": "MIT",
    }


def test_clips(count: int, speed: int = 4) -> tuple[Clips, Float[Tensor, "3 height width"]]:
    """Clips that no training saw, and the landscape, which can be known from other clips."""
    known = draw_clips(100, speed=speed, generator=Generator().manual_seed(0))
    return draw_clips(count, speed=speed, generator=Generator().manual_seed(2**20)).float() / 255, landscape(known)


def masks(clips: Clips) -> dict[str, Tubes]:
    grid = tuple(side // PATCH for side in clips.shape[-2:])
    generator = Generator().manual_seed(0)
    return {name: draw(*clips.shape[:2], grid, RATIO, generator) for name, draw in MASKS.items()}


def simple_fills(clips: Clips, mask: Tubes, ground: Float[Tensor, "3 height width"]) -> dict[str, Clips]:
    hidden = hidden_pixels(mask, PATCH)
    return {
        "landscape": ground.expand_as(clips),
        "nearest frame": nearest_frame(clips, hidden, ground),
        "previous frame": clips.roll(1, 1),
        "motion followed": follow(clips, hidden, ground),
    }


def score(
    clips: Clips, mask: Tubes, ground: Float[Tensor, "3 height width"], fills: dict[str, Clips]
) -> dict[str, dict[str, float]]:
    """PSNR of each fill on the hidden pixels: of the thing, and of all; without the first frame, which has no
    frame before it."""
    hidden = hidden_pixels(mask, PATCH)
    hidden[:, 0] = False
    regions = {"thing": hidden & moving(clips, ground), "all": hidden}
    return {
        name: {
            region: round(psnr(*(x.flatten(0, 1) for x in (clips, filled, where))), 2)
            for region, where in regions.items()
        }
        for name, filled in fills.items()
    }


if __name__ == "__main__":
    main()
