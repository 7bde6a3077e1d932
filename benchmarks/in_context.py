"""Image to image from an example: one network for three tasks, against fills that know the task (lesson 11).

    python benchmarks/in_context.py            two seeds of 300 CPU-seconds, three ways of 40: 13 minutes
    python benchmarks/in_context.py --quick    a check that it runs

The network is `in_context.PairEncoder` with SimMIM's head, on drawn scenes of 24 x 24 pixels. It is scored on test
scenes, each with another test scene as its example, in dB on the answer alone. `read` is the share of grey queries
whose answer is nearer to what their example shows, colours or a print in two tones, than to the other of the
two.

The fills beside it are made for one task each, and fitted to the training scenes: the mean colour of each grey,
the colours of the training scene that looks most alike in grey, the best linear predictor, bicubic upsampling.

The ways train for equal CPU-seconds on the same batches, one seed: with the answer hidden; with half of the
patches of both answers hidden in blocks, and now and then exactly the answer (Painter's masks); and plain SimMIM,
with a token for each patch of the canvas. Each run is written as soon as it is there, and not run again.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator

from simmim_lab import plots
from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.evaluation import LMMSE, psnr
from simmim_lab.generation import captioned_scenes
from simmim_lab.images import ImageSet
from simmim_lab.in_context import (
    SHARPEN,
    TASKS,
    PairEncoder,
    answer,
    answer_mask,
    answers_of,
    canvas,
    grey,
    train_in_context,
)
from simmim_lab.masking import block_mask
from simmim_lab.recipe import Schedule
from simmim_lab.shapes import Grid, Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, processor_clock, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUT = Path(__file__).parents[1] / "results" / "in_context.json"
SIDE = 24  # pixels of a picture; a canvas has twice as many
SHOWN = (33, 29, 39)  # of the test scenes: one by day, one at dusk and one at night
TONES = 1408  # a seed whose prints of them are easy to see
SIZES = {"patch": 4, "dim": 64, "depth": 4, "heads": 4}
OWN = "pairs, the answer hidden"
ALT = (
    "Nine columns of drawn scenes: for each of three tasks three examples, an input and its answer, and below "
    "each a query, the model's answer and the truth. The queries are the same three scenes. In grey they get "
    "their colours, but a brownish subject; as mosaics of 6 x 6 squares they become scenes with soft edges; in "
    "grey again they are printed in the two colours of their examples."
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one second each, few pictures")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    seconds, short, seeds, tests, fitted = (1, 1, [0], 40, 100) if args.quick else (300, 40, [0, 1], 300, 12_000)
    torch.set_num_threads(1)

    train = captioned_scenes("val" if args.quick else "train", SIDE)
    test = captioned_scenes("test", SIDE).take(tests)
    results = json.loads(args.out.read_text()) if args.out.exists() else {"runs": [], "ways": []}
    results |= {**origin(command(__file__, arguments)), "side": SIDE, "pictures": tests}
    if "fills" not in results:
        results["fills"] = fills(train.take(fitted), test)
        write(results, args.out)
    runs = [("runs", OWN, seed, seconds) for seed in seeds] + [("ways", way, 0, short) for way in WAYS]
    for group, way, seed, length in runs:
        if any((run["way"], run["seed"]) == (way, seed) for run in results[group]):
            continue
        model, run = learn(way, train, seed, length)
        results[group].append({"way": way, "seed": seed, **run, **scores(model, test)})
        write(results, args.out)
        print(results[group][-1], flush=True)
        if (group, seed) == ("runs", 0):
            plots.save(picture(model, test), args.out.with_suffix(".png"), ALT)


# The ways to learn: an encoder, and what is hidden


def blocks(batch: int, grid: Grid, *, generator: Generator) -> Mask:
    """Painter's masks: half of the patches of both answers in blocks; in a tenth of all canvases the answer."""
    rows, cols = grid
    half = F.pad(block_mask(batch, (rows, cols // 2), 0.5, generator=generator), (cols // 2, 0))
    whole = torch.rand(batch, 1, 1, generator=generator) < 0.1
    return torch.where(whole, answer_mask(batch, grid), half)


WAYS = {
    OWN: (PairEncoder, answer_mask),
    "pairs, half of both answers hidden": (PairEncoder, blocks),
    "a token for each patch": (ViTEncoder, answer_mask),
}


def learn(way: str, train: ImageSet, seed: int, seconds: float) -> tuple[SimMIM, dict]:
    torch.manual_seed(seed)
    kind, hide = WAYS[way]
    encoder = kind(2 * SIDE, **SIZES)
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride))
    recipe = Schedule(seconds=seconds, batch_size=32, crop_scale=None, ema=0.99, seed=seed)
    with processor_clock():
        history = train_in_context(model, train, recipe, hide=hide, progress=False)
    return model.eval(), {"cpu_seconds": seconds, "steps": history.steps}


def canvases(test: Images, seed: int = 0) -> dict[str, Images]:
    """Each test scene as the query of each task, with another one as the example; two tones for each canvas."""
    pairs = torch.stack([test.roll(1, 0), test], dim=1)
    return {name: canvas(*task(pairs, Generator().manual_seed(seed))) for name, task in TASKS.items()}


def scores(model: SimMIM, test: Images) -> dict:
    """How well the queries are answered, and how often a grey one is answered as its example shows."""
    asked = canvases(test)
    given = {name: answer(model, sheet) for name, sheet in asked.items()}
    truth = {name: answers_of(sheet) for name, sheet in asked.items()}

    def error(task: str, other: str) -> torch.Tensor:
        return (given[task] - truth[other]).square().flatten(1).mean(1)

    right = [error(task, task) < error(task, other) for task, other in (("colour", "tone"), ("tone", "colour"))]
    read = torch.cat(right).float().mean().item()
    return {"psnr": {task: decibels(truth[task], given[task]) for task in TASKS}, "read": round(read, 4)}


def decibels(truth: Images, given: Images) -> float:
    return round(psnr(truth, given.clamp(0, 1), torch.ones_like(truth, dtype=torch.bool)), 2)


def picture(model: SimMIM, test: Images) -> "Figure":
    """The same three scenes as queries of each task."""
    sheets = torch.cat([asked[list(SHOWN)] for asked in canvases(test, TONES).values()])
    rows = {
        "example": sheets[..., :SIDE, :SIDE],
        "its answer": sheets[..., :SIDE, SIDE:],
        "query": sheets[..., SIDE:, :SIDE],
        "the model's\nanswer": answer(model, sheets),
        "truth": answers_of(sheets),
    }
    drawn = plots.rows(rows)
    for group, task in enumerate(TASKS):
        middle = (group + 0.5) * len(SHOWN) * (SIDE + 2)
        drawn.axes[0].text(middle, -2, task, ha="center", va="bottom", fontsize=11)
    return drawn


# Fills that know the task


def fills(train: Images, test: Images) -> dict[str, dict[str, float]]:
    asked = canvases(test)
    found = {}
    for task in TASKS:
        inputs, truth = asked[task][..., SIDE:, :SIDE], answers_of(asked[task])
        ways = {"the input as it is": inputs}
        if task == "tone":
            example = asked[task][..., :SIDE, SIDE:]
            ways["mean of the example's answer"] = example.mean((2, 3), keepdim=True).expand_as(truth)
        else:
            ways["best linear predictor"] = linear(task, train, inputs)
        if task == "colour":
            ways["mean colour of each grey"] = mean_colours(train, inputs)
            ways["colours of the nearest scene"] = nearest_colours(train, inputs)
        if task == "sharpen":
            ways["bicubic"] = F.interpolate(F.avg_pool2d(inputs, SHARPEN), scale_factor=SHARPEN, mode="bicubic")
        found[task] = {way: decibels(truth, given) for way, given in ways.items()}
    return found


def linear(task: str, train: Images, inputs: Images) -> Images:
    """What the best linear rule makes of the inputs: LMMSE on strips of an input and its answer."""
    inputs_of, answers = (part[:, 0] for part in TASKS[task](train[:, None].repeat(1, 2, 1, 1, 1), Generator()))
    predictor = LMMSE.fit(torch.cat([inputs_of, answers], dim=3))
    strips = torch.cat([inputs, torch.zeros_like(inputs)], dim=3)
    hidden = torch.zeros(strips[:, 0].shape, dtype=torch.bool)
    hidden[..., SIDE:] = True
    return predictor(strips, hidden)[..., SIDE:]


def mean_colours(train: Images, inputs: Images, levels: int = 64) -> Images:
    def level(images: Images) -> torch.Tensor:
        return (images[:, 0] * (levels - 1)).round().long()

    places = level(grey(train)).flatten()
    total = torch.zeros(levels, 3).index_add_(0, places, train.movedim(1, -1).reshape(-1, 3))
    return (total / places.bincount(minlength=levels).clamp(min=1)[:, None])[level(inputs)].movedim(-1, 1)


def nearest_colours(train: Images, inputs: Images) -> Images:
    """The brightness of the input with the colours of the training scene that is nearest to it in grey."""
    plain = grey(train)
    near = torch.cdist(inputs[:, 0].flatten(1), plain[:, 0].flatten(1)).argmin(1)
    return inputs + train[near] - plain[near]


if __name__ == "__main__":
    main()
