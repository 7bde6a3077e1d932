"""Filling holes: the shipped model with `inpaint` against fills that learn nothing or little.

    python benchmarks/inpainting.py                  on photographs and CIFAR-10's test images: half an hour
    python benchmarks/inpainting.py --data FOLDER    5-bit CIFAR-10 instead of the download
    python benchmarks/inpainting.py --quick          a check that it runs: small pictures, and scenes

Scores on hidden pixels only, by kind and size of the holes: PSNR, SSIM, and the distance of the shipped model's
features. The photographs are the three that no model of the course was trained on. Then the seams: is the error
larger where a window ends? And a photograph of 12 megapixels: how long, and how much memory?
Each row is written as soon as it is there, and not measured again: after an interruption the same command goes on.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from cifar10_race import data
from jaxtyping import Bool
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from simmim_lab import evaluation
from simmim_lab.data.photographs import photograph
from simmim_lab.inpainting import corners, inpaint
from simmim_lab.masking import STRATEGIES, to_pixels
from simmim_lab.shapes import Grid, Hidden, Images
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "inpainting.json"
PHOTOS = ("chelsea", "coffee", "flower")
SIZES = ((96, 144), (192, 288), (384, 576))  # the last is about the full size of the photographs
LARGE = (3000, 4000)

Draw = Callable[[int, Grid], Bool[Tensor, "batch height width"]]


def cells(strategy: str, ratio: float, side: int = 8) -> Draw:
    """Holes of whole cells: a strategy of the course, in squares of `side` pixels."""

    def draw(batch: int, size: Grid) -> Bool[Tensor, "batch height width"]:
        grid = size[0] // side, size[1] // side
        return to_pixels(
            STRATEGIES[strategy](batch, grid, ratio, generator=torch.Generator().manual_seed(0)), side
        )

    return draw


def painted(paint: Callable[[ImageDraw.ImageDraw, Grid, np.random.Generator], None]) -> Draw:
    """Holes that `paint` draws by the pixel, others for each picture."""

    def draw(batch: int, size: Grid) -> Bool[Tensor, "batch height width"]:
        sheets = [Image.new("1", size[::-1]) for _ in range(batch)]
        for seed, sheet in enumerate(sheets):
            paint(ImageDraw.Draw(sheet), size, np.random.default_rng(seed))
        return torch.stack([torch.from_numpy(np.array(sheet)) for sheet in sheets])

    return draw


def scratches(width: int) -> Draw:
    """Straight scratches across the picture, as many as hide about 10 % of it."""

    def paint(pen: ImageDraw.ImageDraw, size: Grid, random: np.random.Generator) -> None:
        for _ in range(max(1, round(0.15 * min(size) / width))):
            ends = random.uniform(0, size[::-1], (2, 2))
            pen.line([tuple(end) for end in ends], fill=1, width=width)

    return painted(paint)


def strokes(width: int) -> Draw:
    """Strokes of a brush that turns, as many as hide about 15 % of the picture."""

    def paint(pen: ImageDraw.ImageDraw, size: Grid, random: np.random.Generator) -> None:
        for _ in range(max(1, round(0.15 * size[0] * size[1] / (width * 8 * width)))):
            turns = random.uniform(-4 * width, 4 * width, (4, 2))
            points = random.uniform(0, size[::-1]) + np.cumsum(turns, axis=0)
            pen.line([tuple(point) for point in points], fill=1, width=width, joint="curve")

    return painted(paint)


def text(pen: ImageDraw.ImageDraw, size: Grid, random: np.random.Generator) -> None:
    font = ImageFont.load_default(20)
    for top in range(4, size[0], 32):
        pen.text(
            (random.uniform(-60, 0), top), "masked image modelling " * (size[1] // 180 + 1), fill=1, font=font
        )


HOLES: dict[str, Draw] = {
    "random cells of 8 pixels, 60 %": cells("random", 0.6),
    "random cells of 8 pixels, 20 %": cells("random", 0.2),
    "the upper half": cells("half", 0.5, side=4),
    "a rectangle in the middle, 25 %": cells("center", 0.25, side=4),
    "strokes of 8 pixels": strokes(8),
    "scratches of 1 pixel": scratches(1),
    "scratches of 2 pixels": scratches(2),
    "scratches of 3 pixels": scratches(3),
    "text": painted(text),
}
SMALL = {  # holes of pictures of 32 pixels
    name: HOLES[name]
    for name in ("random cells of 8 pixels, 60 %", "the upper half", "a rectangle in the middle, 25 %")
} | {"strokes of 4 pixels, 30 %": cells("stroke", 0.3, side=4), "scratches of 2 pixels": scratches(2)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10", help="cifar10, scenes, or the folder of 5-bit CIFAR-10")
    parser.add_argument("--quick", action="store_true", help="small pictures and few")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    results = json.loads(args.out.read_text()) if args.out.exists() else {"rows": []}
    results |= origin(command(__file__, arguments))
    model = SimMIM.pretrained("cifar10").eval()
    fills = {"model": lambda images, hidden: inpaint(model, images, hidden), **evaluation.BASELINES}
    fills["patches"] = evaluation.patches
    if evaluation.has_opencv():
        fills |= evaluation.OPENCV
    else:
        print("OpenCV is not installed: telea and navier_stokes are left out.")

    def measure(pictures: str, images: Images, holes: dict[str, Draw], fills: dict[str, Callable]) -> None:
        size = tuple(images.shape[2:])
        for name, draw in holes.items():
            row = {"pictures": pictures, "size": f"{size[0]} x {size[1]}", "images": len(images), "hole": name}
            if any(row.items() <= old.items() for old in results["rows"]):
                continue
            hidden = draw(len(images), size)
            row |= {
                "hidden": round(hidden.float().mean().item(), 3),
                "scores": scores(model, images, hidden, fills),
            }
            results["rows"].append(row)
            write(results, args.out)
            print(f"{pictures}, {row['size']}, {name}:", *map(line, row["scores"].items()), sep="\n    ")

    first, *others = ((32, 48),) if args.quick else SIZES
    measure("photographs", photographs(first), HOLES, fills)
    try:
        train, test = data("scenes" if args.quick else args.data)
        linear = {"LMMSE": evaluation.LMMSE.fit(train.take(2_000 if args.quick else 20_000))}
        measure(train.name, test.take(10 if args.quick else 300), SMALL, fills | linear)
    except FileNotFoundError as error:
        print(f"Left out, there are no images to score on: {error}")
    if "seams" not in results:
        results["seams"] = seams(model, SIZES[0] if args.quick else SIZES[1])
        write(results, args.out)
    if "large" not in results:
        results["large"] = large((150, 200) if args.quick else LARGE)
        write(results, args.out)
    print("Seams:", results["seams"], "\nA large photograph:", results["large"])
    for size in others:
        measure("photographs", photographs(size), HOLES, fills)


def photographs(size: Grid) -> Images:
    return torch.stack([photograph(name, size) for name in PHOTOS])


def scores(
    model: SimMIM, images: Images, hidden: Hidden, fills: dict[str, Callable]
) -> dict[str, dict[str, float]]:
    """The scores of each fill on the hidden pixels, and the processor seconds of an image."""
    found = {}
    for name, fill in fills.items():
        start = time.process_time()
        filled = fill(images, hidden)
        seconds = (time.process_time() - start) / len(images)
        found[name] = {
            "psnr": round(evaluation.psnr(images, filled, hidden), 2),
            "ssim": round(evaluation.ssim(images, filled, hidden), 3),
            "features": round(evaluation.feature_distance(model, images, filled, hidden), 4),
            "seconds": round(seconds, 3),
        }
    return found


def line(score: tuple[str, dict[str, float]]) -> str:
    name, values = score
    return f"{name:14}" + "  ".join(f"{key} {value}" for key, value in values.items())


def seams(model: SimMIM, size: Grid) -> dict[str, float]:
    """The root mean squared error of hidden pixels at the border of any window, relative to that of the others.

    Beside it the same ratio of the biharmonic fill, which has no windows: what the pictures themselves do to it.
    """
    images = photographs(size)
    hidden = HOLES["random cells of 8 pixels, 60 %"](len(images), size)
    border = torch.stack([window_borders(model, holes) for holes in hidden])

    def ratio(filled: Images) -> float:
        error = (filled - images).square().mean(1)
        at, off = (error[hidden & where].mean().item() for where in (border, ~border))
        return round(math.sqrt(at / off), 3)

    return {
        "share_of_hidden": round(border[hidden].float().mean().item(), 3),
        "model": ratio(inpaint(model, images, hidden)),
        "biharmonic": ratio(evaluation.biharmonic(images, hidden)),
    }


def window_borders(model: SimMIM, holes: Bool[Tensor, "height width"]) -> Bool[Tensor, "height width"]:
    """Where the windows that `inpaint` lays over these holes have their outermost pixels."""
    edge, side = model.patch - 1, model.image_size[0]
    framed = F.pad(holes[None, None].float(), [edge] * 4, mode="replicate")[0, 0]
    border = torch.zeros_like(framed, dtype=torch.bool)
    for corner in corners(framed, model, side // 2).tolist():
        top, left = divmod(corner, framed.shape[1])
        rows, cols = slice(top, top + side), slice(left, left + side)
        border[top, cols] = border[top + side - 1, cols] = border[rows, left] = border[rows, left + side - 1] = (
            True
        )
    return border[edge:-edge, edge:-edge]


def large(size: Grid) -> dict[str, float]:
    """A large photograph with scratches is filled in a new process, so that its memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(fill_large, size, torch.get_num_threads()).result()


def fill_large(size: Grid, threads: int) -> dict[str, float]:
    import resource

    torch.set_num_threads(threads)
    model = SimMIM.pretrained("cifar10").eval()
    images = photograph("chelsea", size)[None]
    hidden = large_holes(size)[None]
    before, wall, start = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        time.perf_counter(),
        time.process_time(),
    )
    inpaint(model, images, hidden)
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB on Linux
    return {
        "height": size[0],
        "width": size[1],
        "hidden": round(hidden.float().mean().item(), 4),
        "seconds": round(seconds, 1),  # of the processor: other work does not count
        "wall_seconds": round(wall, 1),
        "memory_gb": round(after / 2**20, 2),  # of the whole process
        "more_gb": round((after - before) / 2**20, 2),  # than before, with picture and model
        "threads": threads,
    }


def large_holes(size: Grid) -> Bool[Tensor, "height width"]:
    """Scratches, and one hole that is much wider than a window."""
    sheet = Image.new("1", size[::-1])
    pen, random = ImageDraw.Draw(sheet), np.random.default_rng(0)
    for _ in range(10):
        ends = random.uniform(0, size[::-1], (2, 2))
        pen.line([tuple(end) for end in ends], fill=1, width=3)
    middle, side = np.array(size[::-1]) / 2, min(size) / 15
    pen.ellipse([*(middle - side), *(middle + side)], fill=1)
    return torch.from_numpy(np.array(sheet))


if __name__ == "__main__":
    main()
