"""Three ways to pictures in the same seconds: a GAN, sampling of masked tokens, and the regression of SimMIM.

    python benchmarks/gan_race.py            three seeds of 240 seconds each: an hour of one CPU thread
    python benchmarks/gan_race.py --quick    a check that it runs: one seed, a few seconds each

    GAN             `gan.GAN`: noise in, a picture out
    masked sampler  `generation.MaskGIT` on tokens of 2 x 2 pixels, in 32 steps
    regression      SimMIM as `vit_nano`, which gives one answer

All learn from the same 12,000 drawn scenes of 16 x 16 pixels, mirrored at random, and none is told a caption. They
train for equal seconds of one CPU thread (`time.process_time`), which stand still while pictures are judged. The
marks on the way are those of one run: learning rates that fall are still high there. `seed` sets weights and
batches. The averaged weights are judged, where a method keeps them.

The judge is the course's own (`benchmarks/judge.py`). What its numbers are for real pictures, and
for those behind the tokenizer, stands beside the runs, as `references`.
Each run is written as soon as it is there, and not run again: after an interruption the same command goes on.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from simmim_lab.data.scenes import draw_scenes
from simmim_lab.evaluation import psnr
from simmim_lab.gan import GAN, train_gan
from simmim_lab.generation import (
    GeneratorRecipe,
    MaskGIT,
    captioned_scenes,
    complete,
    generate,
    train_generator,
    variable_mask,
)
from simmim_lab.hardware import Execution
from simmim_lab.images import ImageSet
from simmim_lab.judging import (
    Judge,
    diversity,
    effective_number,
    kid,
    kid_spread,
    nearest_training,
    precision_recall,
)
from simmim_lab.loop import Batch, Run, fit, parameter_groups, step_generator
from simmim_lab.masking import half_mask, to_pixels
from simmim_lab.recipe import History, Schedule
from simmim_lab.shapes import Images
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.tokens import Tokenizer

OUT = Path(__file__).parents[1] / "results" / "gan_race.json"
SIDE = 16  # pixels
STEPS = 32  # of the sampler
REAL = 300  # the seed of the real pictures to compare with, which nobody has learned from
Sample = Callable[[int, Generator], Images]  # so many pictures
Fill = Callable[[Images, Generator], Images]  # the same images with their upper half filled in


@dataclass(frozen=True)
class Scale:
    """From how much and how long each method learns, when it is judged, and by how many pictures."""

    scenes: int = 12_000
    codes: int = 256
    seeds: tuple[int, ...] = (0, 1, 2)
    marks: tuple[float, ...] = (60, 120, 240)  # seconds
    pictures: int = 500
    completed: int = 32  # scenes whose upper half is filled in
    answers: int = 8  # for each of them


QUICK = Scale(scenes=100, codes=16, seeds=(0,), marks=(0.2, 0.4), pictures=20, completed=2, answers=2)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, a few seconds each")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)

    scale = QUICK if args.quick else Scale()
    dataset = captioned_scenes(size=SIDE).subset(torch.arange(scale.scenes))
    tokenizer = Tokenizer.fit(dataset.take(scale.scenes), codes=scale.codes)
    examiner = Examiner(dataset, scale)
    results = json.loads(args.out.read_text()) if args.out.exists() else {"runs": []}
    for seed, (method, race) in product(scale.seeds, METHODS.items()):
        run = {"method": method, "seed": seed}
        if any(run.items() <= old.items() for old in results["runs"]):
            continue
        torch.manual_seed(seed)
        timing = Timing(scale.marks, examiner)
        run["weights"] = race(dataset, tokenizer, timing, seed)
        results["runs"].append(run | {"marks": timing.reports})
        facts = {**origin(command(__file__, arguments)), "pictures": scale.pictures}
        write({**facts, "references": examiner.references(tokenizer), "runs": results["runs"]}, args.out)
        print(f"{method}, seed {seed}:", *map(line, timing.reports), sep="\n    ")


def line(report: dict[str, float]) -> str:
    return "  ".join(f"{name} {value}" for name, value in report.items())


# The methods: each trains and lets itself be judged at the marks; the numbers are those of its weights


def race_gan(dataset: ImageSet, tokenizer: Tokenizer, timing: "Timing", seed: int) -> dict[str, int]:
    gan = GAN()
    for step, _ in enumerate(train_gan(gan, dataset, random=Generator().manual_seed(seed)), start=1):
        timing.look(step, gan.sample)
        if timing.done() == 1:
            break
    return {"trained": size(gan.generator, gan.discriminator), "used": size(gan.generator)}


def race_sampler(dataset: ImageSet, tokenizer: Tokenizer, timing: "Timing", seed: int) -> dict[str, int]:
    model = MaskGIT.small(tokenizer, SIDE, vocabulary={})

    def look(step: int, model: MaskGIT, history: History) -> None:
        def fill(images: Images, random: Generator) -> Images:
            return complete(model, images, half_mask(len(images), model.grid), generator=random)

        def made(count: int, random: Generator) -> Images:
            return generate(model, model.nothing_said(count), steps=STEPS, generator=random)

        timing.look(step, made, fill)

    train_generator(model, dataset, timing.recipe(GeneratorRecipe, seed=seed), callbacks=[look])
    return {"trained": size(model), "used": size(model)}


def race_regression(dataset: ImageSet, tokenizer: Tokenizer, timing: "Timing", seed: int) -> dict[str, int]:
    """SimMIM with the masks of the sampler, some of which hide everything."""
    model = SimMIM.preset("vit_nano", SIDE)
    grid = model.grid(dataset.take(1))
    recipe = timing.recipe(Schedule, crop_scale=None, seed=seed)

    def batches(first: int, share: slice) -> Iterator[tuple[Batch, Tensor]]:
        generators = (step_generator(seed, step, 0) for step in count(first))
        for step, images in enumerate(dataset.batches(recipe.batch_size, generators, crop_scale=None), first):
            mask = variable_mask(len(images), grid, step_generator(seed, step, 1))
            yield (images, mask), mask.sum()

    def look(step: int, model: SimMIM, history: History) -> None:
        def answer(count: int, random: Generator) -> Images:
            return model.predict(torch.zeros(count, 3, SIDE, SIDE), torch.ones(count, *grid, dtype=torch.bool))

        timing.look(step, answer, lambda images, _: model.reconstruct(images, half_mask(len(images), grid)))

    run = Run(model, recipe, Execution(), parameter_groups, {}, folder=None)
    fit(run, batches, None, callbacks=[look], title="learning to fill in", progress=True)
    return {"trained": size(model), "used": size(model)}


METHODS = {"GAN": race_gan, "masked sampler": race_sampler, "regression": race_regression}


def size(*models: nn.Module) -> int:
    return sum(weight.numel() for model in models for weight in model.parameters())


class Timing:
    """The seconds of the processor that a training has had, and what was found at each mark."""

    def __init__(self, marks: tuple[float, ...], examiner: "Examiner"):
        self.marks, self.examiner = marks, examiner
        self.reports: list[dict[str, float]] = []
        self.start = time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self.start

    def done(self) -> float:
        return min(1.0, self.seconds() / self.marks[-1])

    def recipe(self, kind: type[Schedule], **fields) -> Schedule:
        """A recipe that goes by this clock."""
        clock = self.done

        class Timed(kind):
            def done(self, steps: int, seconds: float) -> float:
                return clock()

        return Timed(seconds=self.marks[-1], **fields)

    def look(self, step: int, sample: Sample, fill: Fill | None = None) -> None:
        """Let the examiner look if the next mark is reached, while the clock stands still."""
        before = self.seconds()
        passed = [mark for mark in self.marks if mark <= before]
        if passed and passed[-1] not in [report["mark"] for report in self.reports]:
            found = {"mark": passed[-1], "seconds": round(before, 1), "steps": step}
            self.reports.append(found | self.examiner.report(sample, fill))
            self.start += self.seconds() - before


class Examiner:
    """Judges pictures; what it draws is the same for each run."""

    def __init__(self, dataset: ImageSet, scale: Scale):
        self.judge, self.scale = Judge.pretrained(), scale
        self.training = dataset.take(scale.scenes)
        drawn = draw_scenes(2 * scale.pictures, SIDE, generator=Generator().manual_seed(REAL)).pixels / 255
        self.real, self.others = drawn.split(scale.pictures)
        self.features = self.judge.features(self.real)

    def references(self, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
        """The same numbers for other real pictures, and for those as the tokenizer renders them."""
        tokens = tokenizer.decode(tokenizer.encode(self.others))
        return {"real": self.compare(self.others), "tokenizer": self.compare(tokens)}

    def report(self, sample: Sample, fill: Fill | None) -> dict[str, float]:
        random = Generator().manual_seed(0)
        pictures = sample(self.scale.pictures, random)
        start = time.process_time()
        sample(16, random)
        seconds = time.process_time() - start
        completed = self.completions(fill, random) if fill else {}
        return self.compare(pictures) | {"seconds_for_16": round(seconds, 3)} | completed

    def compare(self, pictures: Images) -> dict[str, float]:
        features, words = self.judge.features(pictures), self.judge.read(pictures)
        precision, recall = precision_recall(self.features, features)
        nearest, _ = nearest_training(pictures, self.training)
        return {
            "kid": round(1000 * kid(self.features, features), 1),  # as is usual, times 1000
            "kid_spread": round(1000 * kid_spread(self.features, features), 1),
            "precision": round(precision, 3),
            "recall": round(recall, 3),
            "subjects": round(effective_number(words[:, 0]), 2),
            "colors": round(effective_number(words[:, 1]), 2),
            "diversity": round(diversity(pictures), 4),
            "nearest": round(nearest.mean().item(), 4),
            "nearest_of_all": round(nearest.min().item(), 4),
        }

    def completions(self, fill: Fill, random: Generator) -> dict[str, float]:
        """How near to the truth a filled-in upper half is, and how different several answers are."""
        images = self.real[: self.scale.completed]
        answers = torch.stack([fill(images, random) for _ in range(self.scale.answers)], dim=1)
        hidden = to_pixels(half_mask(len(images), (2, 2)), SIDE // 2)
        half = answers[..., : SIDE // 2, :]
        return {
            "completion_psnr": round(psnr(images, answers[:, 0], hidden), 2),
            "completion_diversity": round(sum(map(diversity, half)) / len(half), 4),
        }


if __name__ == "__main__":
    main()
