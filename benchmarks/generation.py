"""What the shipped generator of scenes makes: `MaskGIT.pretrained("scenes")`, read and compared by our own judge.

    python benchmarks/generation.py               ten minutes of one CPU core
    python benchmarks/generation.py --ship RUN    first make these weights the shipped ones, in 8 bits
    python benchmarks/generation.py --quick       a check that it runs

The weights come from `simmim-lab pretrain --preset maskgit --data scenes --steps 8000 --run RUN`. Captions and
real scenes are those of the test split, with other scenes to compare with. The judge reads a picture, and KID,
precision and recall are taken in its features (`simmim_lab.judging`). Each part is written as soon as it is there,
and not run again for the same weights.
"""

import argparse
import hashlib
import json
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from simmim_lab import plots
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.evaluation import psnr
from simmim_lab.generation import (
    PRETRAINED,
    WORDS,
    MaskGIT,
    Words,
    captioned_scenes,
    complete,
    expected,
    generate,
)
from simmim_lab.judging import (
    Judge,
    caption_match,
    diversity,
    kid,
    kid_spread,
    nearest_training,
    precision_recall,
)
from simmim_lab.masking import STRATEGIES, to_pixels
from simmim_lab.shapes import Hidden, Images, Mask
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "generation.json"
OURS = {"temperature": 1.0, "steps": 8, "guidance": 2.0}
GRID = [{**OURS, "temperature": t, "steps": s} for t in (0.5, 0.7, 1.0, 1.3) for s in (1, 4, 8, 16, 32)]
GUIDED = [{**OURS, "guidance": guidance} for guidance in (0.0, 1.0, 4.0)]
PATIENT = 32  # steps, where no caption ties together what is drawn at once
MANY, SOME = 400, 100  # pictures of our settings, and of each other one
REFERENCE = 1_000  # real scenes to compare with
COMPLETED, ANSWERS = 32, 16  # scenes, and answers for each
TIMES = 5
SHOWN = (
    "a red house by a lake by day",
    "a white boat on a lake at dusk",
    "a yellow balloon over a meadow by day",
    "a blue tree in the snow at night",
    "a pink lighthouse by a lake at dusk",
    "a green windmill on a meadow by day",
    "a yellow house in the snow at dusk",
    "a red boat on a lake at night",
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", type=Path, metavar="RUN", help="a finished run whose weights to ship")
    parser.add_argument("--quick", action="store_true", help="a few pictures of a few settings")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if args.ship:
        ship(args.ship)

    weights = PRETRAINED["scenes"] / "model.safetensors"
    facts = {"weights": hashlib.sha256(weights.read_bytes()).hexdigest(), **trained(weights)}
    kept = json.loads(args.out.read_text()) if args.out.exists() else {}
    results = kept if kept.get("weights") == facts["weights"] else {}
    results = {**origin(command(__file__, arguments)), **facts, **{k: v for k, v in results.items() if k in PARTS}}
    model = MaskGIT.pretrained("scenes").eval()
    bench = Bench(model, *((10, 10, 40, 2, 2) if args.quick else (MANY, SOME, REFERENCE, COMPLETED, ANSWERS)))
    for name, part in PARTS.items():
        if name in results:
            continue
        results[name] = part(bench, args.quick)
        write(results, args.out)
        print(name, json.dumps(results[name])[:300], flush=True)
    draw(bench, args.out.with_suffix(".png"))


def draw(bench: "Bench", out: Path) -> None:
    """The first picture that seed 0 gives for each of some captions: none is picked out."""
    pictures = bench.drawn(len(SHOWN), bench.model.words_of(SHOWN))
    titles = [textwrap.fill(caption, 22) for caption in SHOWN]
    alt = f"Pictures that the generator made from captions: {', '.join(SHOWN)}."
    plots.save(plots.panels(pictures, titles, columns=4), out, alt)


def ship(run: Path) -> None:
    """Round the weights of a run to 8 bits, and put them where the course looks for them."""
    history = json.loads((run / "history.json").read_text())
    header = {"steps": str(len(history["loss"])), "seconds": str(round(history["seconds"]))}
    MaskGIT.load(run).save(PRETRAINED["scenes"], bits=8, header=header)


def trained(weights: Path) -> dict[str, int]:
    """How long the training was."""
    with safe_open(weights, "pt") as file:
        return {f"train_{name}": int(text) for name, text in (file.metadata() or {}).items()}


class Bench:
    """The model, the judge, and real scenes, with captions or to compare with."""

    def __init__(self, model: MaskGIT, many: int, some: int, reference: int, completed: int, answers: int):
        self.many, self.some, self.completed, self.answers = many, some, completed, answers
        self.model, self.device = model, model.mean.device
        self.judge = Judge.pretrained().to(self.device)
        test = captioned_scenes("test").to(self.device)
        self.scenes = test.pixels.float() / 255
        self.words = self.model.words_of(test.classes)[test.labels]
        others = draw_scenes(reference, generator=torch.Generator().manual_seed(200)).pixels / 255
        self.real = self.judge.features(others.to(self.device))

    def judged(self, pictures: Images, words: Words | None = None) -> dict[str, float]:
        """All scores of some pictures, and with their captions what of them the judge reads."""
        made = self.judge.features(pictures)
        precision, recall = precision_recall(self.real[: len(made)], made)
        match = {} if words is None else caption_match(self.judge.read(pictures), words)
        scores = {**match, "precision": precision, "recall": recall}
        scores |= {"kid": kid(self.real, made), "kid_spread": kid_spread(self.real, made)}
        return {"n": len(pictures), **{name: round(value, 4) for name, value in scores.items()}}

    def drawn(self, n: int, words: Words | None = None, **options: float) -> Images:
        words = self.words[:n] if words is None else words
        generator = torch.Generator(self.device).manual_seed(0)
        return generate(self.model, words, **(OURS | options), generator=generator)


def speed(bench: Bench, quick: bool) -> float:
    """Seconds for 16 pictures with our settings, on one thread: the best of some, behind a first one."""
    seconds = []
    for _ in range(2 if quick else TIMES):
        start = time.perf_counter()
        bench.drawn(16)
        seconds.append(time.perf_counter() - start)
    return round(min(seconds[1:]), 2)


def ceiling(bench: Bench, quick: bool) -> dict[str, dict[str, float]]:
    """What the judge says of real scenes, and of what the tokenizer leaves of them."""
    tokenizer = bench.model.tokenizer
    scenes, words = bench.scenes[: bench.many], bench.words[: bench.many]
    decoded = tokenizer.decode(tokenizer.encode(scenes))
    everything = torch.ones_like(scenes, dtype=torch.bool)
    score = {"psnr": round(psnr(scenes, decoded, everything), 2)}
    return {"real": bench.judged(scenes, words), "tokenizer": {**bench.judged(decoded, words), **score}}


def ours(bench: Bench, quick: bool) -> dict[str, float]:
    """With a caption for each picture, in the settings that are the defaults."""
    return {**OURS, **bench.judged(bench.drawn(bench.many), bench.words[: bench.many])}


def grid(bench: Bench, quick: bool) -> list[dict[str, float]]:
    """The same with other temperatures, steps and guidances."""
    settings = GRID[:2] if quick else [*GRID, *GUIDED]
    n = bench.some
    return [{**options, **bench.judged(bench.drawn(n, **options), bench.words[:n])} for options in settings]


def unconditional(bench: Bench, quick: bool) -> list[dict[str, object]]:
    """Without a caption: does everything come as often as in the scenes? In our steps, and in many."""
    nothing, captions = bench.model.nothing_said(bench.many), captioned_scenes("train")
    real = shares(bench.model.words_of(captions.classes).cpu()[captions.labels])
    rows = []
    for steps in (OURS["steps"], PATIENT):
        pictures = bench.drawn(bench.many, nothing, steps=steps)
        made = shares(bench.judge.read(pictures))
        rows.append({"steps": steps, **bench.judged(pictures), "made": made, "real": real})
    return rows


def shares(words: Words) -> dict[str, dict[str, float]]:
    return {
        kind: {name: round((column == place).float().mean().item(), 4) for place, name in enumerate(names)}
        for (kind, names), column in zip(WORDS.items(), words.unbind(1), strict=True)
    }


def completions(bench: Bench, quick: bool) -> list[dict[str, object]]:
    """Several answers for the hidden part of a scene, their mean, and what a regressor would say."""
    scenes = bench.scenes[: bench.completed]
    return [completion(bench, scenes, name, mask) for name, mask in masks(bench).items()]


def masks(bench: Bench) -> dict[str, Mask]:
    rows, cols = bench.model.grid
    right = torch.zeros(bench.completed, rows, cols, dtype=torch.bool)
    right[:, :, cols // 2 :] = True
    options = {"generator": torch.Generator().manual_seed(0)}
    top, center = (STRATEGIES[name](bench.completed, (rows, cols), **options) for name in ("half", "center"))
    cells = STRATEGIES["random"](bench.completed, (rows, cols), 0.6, 4, **options)
    return {"top half": top, "right half": right, "centre": center, "cells of 8 pixels, 60 %": cells}


def completion(bench: Bench, scenes: Images, name: str, mask: Mask) -> dict[str, object]:
    hidden, answers = to_pixels(mask, bench.model.patch), bench.answers
    generator = torch.Generator().manual_seed(0)
    samples = [complete(bench.model, scenes, mask, steps=8, generator=generator) for _ in range(answers)]
    fills = {
        "one": samples[0],
        "mean_4": torch.stack(samples[:4]).mean(0),
        f"mean_{ANSWERS}": torch.stack(samples).mean(0),
        "expected": expected(bench.model, scenes, mask),
    }
    subjects = torch.stack([bench.judge.read(sample)[:, 0] for sample in samples], dim=1)
    return {
        "hidden": name,
        "scenes": len(scenes),
        "psnr": {fill: round(psnr(scenes, filled, hidden), 2) for fill, filled in fills.items()},
        "detail": {
            fill: round(detail(filled, hidden) / detail(scenes, hidden), 3) for fill, filled in fills.items()
        },
        "diversity": mean(diversity(torch.stack(each)) for each in zip(*samples, strict=True)),
        "between_scenes": round(diversity(scenes), 4),
        "subjects": mean(len(set(row)) for row in subjects.tolist()),
    }


def detail(pictures: Images, hidden: Hidden) -> float:
    """The mean squared difference of neighbours in a row that are both hidden: what a blur takes away."""
    both: Tensor = hidden[..., 1:] & hidden[..., :-1]
    steps = (pictures[..., 1:] - pictures[..., :-1]).square().mean(1)
    return steps[both].mean().item()


def mean(values: Iterator[float]) -> float:
    values = list(values)
    return round(sum(values) / len(values), 4)


def nearest(bench: Bench, quick: bool) -> dict[str, float]:
    """How far made pictures are from the nearest training picture, and how far scenes are that are new."""
    training = captioned_scenes("train").pixels.float() / 255
    tokenizer, unseen = bench.model.tokenizer, bench.scenes[-bench.some :]
    sets = {
        "generated": bench.drawn(bench.some),
        "unseen": unseen,
        "unseen, as tokens": tokenizer.decode(tokenizer.encode(unseen)),
    }
    found = {name: nearest_training(pictures, training)[0] for name, pictures in sets.items()}
    return {
        name: {"median": round(rmse.median().item(), 4), "smallest": round(rmse.min().item(), 4)}
        for name, rmse in found.items()
    }


PARTS: dict[str, Callable[[Bench, bool], object]] = {
    "seconds_16": speed,
    "ceiling": ceiling,
    "ours": ours,
    "unconditional": unconditional,
    "nearest": nearest,
    "completions": completions,
    "grid": grid,
}

if __name__ == "__main__":
    main()
