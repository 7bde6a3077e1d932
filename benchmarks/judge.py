"""The judge of lesson 09: a small network that reads scenes, trained on both sizes in which they are made.

    python benchmarks/judge.py            train it and test it: five minutes of one CPU thread
    python benchmarks/judge.py --ship     and make its weights those that come with the course, in 8 bits
    python benchmarks/judge.py --quick    a check that it runs: a few steps

It learns from scenes of 16 and of 32 pixels together, half of them mirrored. It is tested on scenes
that it has not seen, with its weights as they are and rounded to 8 bits.
"""

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator
from tqdm.auto import tqdm

from simmim_lab.data.scenes import draw_scenes
from simmim_lab.generation import WORDS, Words
from simmim_lab.judging import SIZES, WEIGHTS, Judge, caption_match
from simmim_lab.recipe import lr_at
from simmim_lab.shapes import Images
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "judge.json"
TRAIN, TEST = 200, 201  # seeds of its scenes; the generators learn from others


@dataclass(frozen=True)
class Recipe:
    scenes: int = 12_000
    tests: int = 2_000
    steps: int = 2_500
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    seed: int = 0


QUICK = Recipe(scenes=100, tests=50, steps=10)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", action="store_true", help="write the weights that come with the course")
    parser.add_argument("--quick", action="store_true", help="a few steps on a few scenes")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    recipe = QUICK if args.quick else Recipe()

    start = time.process_time()
    judge = train(recipe)
    results = {
        **origin(command(__file__, arguments)),
        "recipe": asdict(recipe),
        "weights": sum(weight.numel() for weight in judge.parameters()),
        "seconds": round(time.process_time() - start, 1),  # of the processor: other work does not count
        "accuracy": accuracy(judge, recipe.tests),
    }
    with tempfile.TemporaryDirectory() as folder:
        judge.save(folder, bits=8)
        results["accuracy_8_bits"] = accuracy(Judge.load(folder), recipe.tests)
    write(results, args.out)
    for name in ("accuracy", "accuracy_8_bits"):
        for size, shares in results[name].items():
            print(f"{name}, {size} pixels:", ", ".join(f"{kind} {share:.2%}" for kind, share in shares.items()))
    if args.ship:
        judge.save(WEIGHTS, bits=8, header=card(recipe))


def pictures(count: int, size: int, seed: int) -> tuple[Images, Words]:
    scenes = draw_scenes(count, size, generator=Generator().manual_seed(seed))
    words = [[names.index(said[kind]) for kind, names in WORDS.items()] for said in scenes.attributes]
    return scenes.pixels / 255, torch.tensor(words)


def train(recipe: Recipe) -> Judge:
    """A judge that has learned to read scenes of both sizes."""
    sets = [pictures(recipe.scenes, size, TRAIN) for size in SIZES]
    scenes = torch.cat([F.interpolate(images, SIZES[-1]) for images, _ in sets])  # as the judge does
    truth = torch.cat([words for _, words in sets])
    torch.manual_seed(recipe.seed)
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=recipe.weight_decay, fused=True)
    for step in tqdm(range(recipe.steps), "learning to read", unit="step"):
        some = torch.randint(len(scenes), (recipe.batch_size,))
        mirrored = torch.rand(len(some), 1, 1, 1) < 0.5
        images = torch.where(mirrored, scenes[some].flip(-1), scenes[some])
        loss, _ = judge(images, truth[some])
        optimizer.param_groups[0]["lr"] = lr_at((step + 1) / recipe.steps, recipe.lr, 1e-5, recipe.warmup)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return judge.eval()


def accuracy(judge: Judge, tests: int) -> dict[str, dict[str, float]]:
    """The share of unseen scenes that it reads right, by size and by kind of word."""
    found = {}
    for size in SIZES:
        images, words = pictures(tests, size, TEST)
        found[str(size)] = caption_match(judge.read(images), words)
    return found


def card(recipe: Recipe) -> dict[str, str]:
    """What the file of the weights says about itself."""
    return {
        "model": "Judge, which reads drawn scenes of 16 and 32 pixels, in 8 bits",
        "data": f"{recipe.scenes:,} scenes drawn by the course at each size, seed {TRAIN}",
        "training": f"{date.today()}, {recipe.steps:,} steps on one CPU thread: python benchmarks/judge.py --ship",
        "scores": "results/judge.json",
        "licence": "MIT",
    }


if __name__ == "__main__":
    main()
