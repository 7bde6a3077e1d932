"""The parts of gpu_day.py: functions that measure, write what they find, and return whether all is done."""

import json
import re
import shutil
import signal
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import cifar10_race
import data_pipeline
import generation
import pretrain_step
import pretrained
import speed
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.utils import save_image

from simmim_lab import evaluation, hardware, loop, training
from simmim_lab.autotune import clock
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.encoders import ViTEncoder
from simmim_lab.finetuning import Classifier, FinetuneRecipe, accuracy, finetune
from simmim_lab.generation import GeneratorRecipe, MaskGIT, generate, train_generator
from simmim_lab.hardware import Execution
from simmim_lab.images import ImageSet, load
from simmim_lab.judging import nearest_training
from simmim_lab.recipe import History
from simmim_lab.shapes import Features, Images
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import origin, write
from simmim_lab.tokens import Tokenizer
from simmim_lab.training import Recipe, pretrain

COMPILING = 80  # seconds at the start of a training
READING = 45.0  # seconds to learn to read CIFAR-10
SEEDS = (0, 1, 2)


@dataclass
class Day:
    """What a part is told: where it runs, what it may take, and where its results go."""

    device: torch.device
    data: str  # as in cifar10_race.py
    minutes: float
    quick: bool
    folder: Path  # for results of this machine
    runs: Path  # for the state of trainings
    command: str

    def __post_init__(self):
        self.end = time.monotonic() + 60 * self.minutes

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def file(self, part: str) -> Path:
        return self.folder / f"{part}.json"

    def found(self, part: str) -> dict:
        """What a part has written so far."""
        path = self.file(part)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def add(self, part: str, **found: object) -> None:
        """Write what a part has found beside what it found before."""
        write({**origin(self.command, self.device), **self.found(part), **found}, self.file(part))
        print(part, json.dumps(found)[:500], flush=True)

    def seconds(self, besides: float) -> float:
        """How long to train, if all else takes so many seconds.

        By the minutes, not by the clock: a training that was cut has the same length when it goes on.
        """
        return 1.0 if self.quick else max(60 * self.minutes - besides, 10.0)

    def compiled(self, seconds: float) -> tuple[Execution, float]:
        """How to train for so many seconds, compiled where that leaves more than half; and what is left."""
        compile = self.device.type == "cuda" and seconds > 2 * COMPILING
        return Execution(compile=compile), seconds - compile * COMPILING


def step(day: Day) -> bool:
    file = day.file("step")
    if day.quick:
        pretrain_step.main(["--quick", "--out", str(file)])
        return True
    minutes = f"{day.left / 60:.2f}"
    pretrain_step.main(["--device", "cuda", "--rounds", "5", "--minutes", minutes, "--out", str(file)])
    return len(day.found("step")["steps"]) == 2 * len(pretrain_step.GPU_MODELS)


def drawing(day: Day) -> bool:
    """Milliseconds of each drawing on its own; then a training, with and without a second stream for them."""
    preset, batch, steps = ("vit_nano", 16, 3) if day.quick else ("vit_tiny", 512, 200)
    images = load("photos").to(day.device)
    milliseconds = {}
    for name, draw in data_pipeline.drawings(images, batch).items():
        clock(draw, 3)
        milliseconds[name] = round(1000 * clock(draw, 3 if day.quick else 50), 3)
    day.add("drawing", batch=batch, milliseconds=milliseconds)
    if step := day.found("step").get("best", {}).get(preset):  # of as many images
        of_step = 1000 * batch / step["trained"]
        masks = {name: took for name, took in milliseconds.items() if name.endswith("mask")}
        shares = {name: round((milliseconds["crops"] + took) / of_step, 4) for name, took in masks.items()}
        day.add("drawing", step_milliseconds=round(of_step, 3), shares_of_step=shares)

    rates = {}
    streams = {"a second stream": training.on_side_stream, "one stream": lambda draw, *_: draw}
    for name, stream in streams.items():
        recipe = Recipe.preset(preset, steps=steps, batch_size=batch, mask="mixture")
        with mock.patch.object(training, "on_side_stream", stream):
            history = pretrain(SimMIM.preset(preset).to(day.device), images, recipe, progress=False)
        rates[name] = round(history.images_per_second)
        day.add("drawing", preset=preset, images_per_second=rates)
    return True


def model(day: Day) -> bool:
    """The network that is shipped, trained on masks of all kinds in cells of 4 and of 8 pixels, and its scores."""
    train, test = cifar10_race.data("scenes" if day.quick else day.data)
    preset, batch = ("vit_nano", 16) if day.quick else ("vit_tiny", 1024)
    execution, seconds = day.compiled(day.seconds(besides=70))
    options = {"mask": "mixture", "mask_size": (4, 8), "save_every": 60.0}
    recipe = Recipe.preset(preset, seconds=seconds, batch_size=batch, lr=1.5e-3, **options)
    torch.manual_seed(recipe.seed)
    new = SimMIM.preset(preset).to(day.device)
    folder = day.runs / f"model-{seconds:.0f}s"
    history = pretrain(new, train, recipe, execution, run_dir=folder, progress=False)
    kept(day, "model", new, train, history)

    # Scores on the CPU, as it is with learners. Fills that do not learn come last: the slowest is left out if it
    # does not fit into the time.
    images, fitted = (test.take(10), 500) if day.quick else (test.take(300), 20_000)
    models = {"new": SimMIM.load(day.folder / "model").eval(), "shipped": SimMIM.pretrained("cifar10").eval()}
    found: dict[str, dict] = {name: {} for name in pretrained.MASKS}
    for take in (
        lambda: (models, {}),
        lambda: ({}, {"lmmse": evaluation.LMMSE.fit(train.take(min(fitted, len(train))))}),
        lambda: ({}, {"biharmonic": evaluation.biharmonic}),
    ):
        ways = take()
        for name, mask in pretrained.holes(len(images)).items():
            if day.left > 20:
                found[name] |= pretrained.scores(images, mask, *ways)
        day.add("model", scored=len(images), masks=found)
    return True


def kept(day: Day, part: str, new: SimMIM | MaskGIT, train: ImageSet, history: History) -> None:
    """Write the weights of a training in 8 bits, and how it went."""
    facts = {"data": train.name, "images": len(train), "steps": history.steps, "seconds": round(history.seconds)}
    new.save(day.folder / part, bits=8, header={name: str(fact) for name, fact in facts.items()})
    size = (day.folder / part / "model.safetensors").stat().st_size
    day.add(part, **facts, bytes=size, **speed_and_loss(history))


def last(history: History) -> float:
    """The mean loss of the last steps."""
    return round(statistics.mean(history.loss[-20:]), 4)


def race(day: Day) -> bool:
    return next_seed(day, "race", labels=(10, 1), ways=("simmim", "scratch"))


def all_labels(day: Day) -> bool:
    return next_seed(day, "accuracy", labels=(100,), ways=("simmim",))


def next_seed(day: Day, part: str, labels: tuple[int, ...], ways: tuple[str, ...]) -> bool:
    """The race with the first seed that has not run it to its end."""

    def missing(seed: int) -> bool:
        return sum(row["seed"] == seed for row in day.found(part)["rows"]) < len(labels) * len(ways)

    if not day.found(part):
        write({"minutes": round(day.minutes, 2), "rows": []}, day.file(part))  # of all runs, so that they compare
    seed = next(filter(missing, SEEDS), None)
    if seed is None:
        return True
    words = ["--labels", *map(str, labels), "--ways", *ways, "--seeds", str(seed), "--runs", str(day.runs / part)]
    setting = ["--quick"] if day.quick else ["--data", day.data, "--minutes", str(day.found(part)["minutes"])]
    cifar10_race.main([*setting, *words, "--out", str(day.file(part))])
    return not missing(seed)


def ladder(day: Day) -> bool:
    words = ["--quick"] if day.quick else ["--device", "cuda", "--preset", "vit_tiny", "--steps", "20"]
    speed.main([*words, "--out", str(day.file("ladder"))])
    return True


def limits(day: Day) -> bool:
    """What a machine without room, time or new numbers does: each by a short training, which is looked at."""
    images = load("photos").to(day.device)
    checks = {"resumed": resumed, "fp16": fp16, "memory": small_memory, "all settings": all_settings}
    for name, check in checks.items():
        if name not in day.found("limits"):
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                found = check(day, images)
            day.add("limits", **{name: found | {"warnings": [str(warning.message) for warning in warned]}})
    return True


def short(day: Day, images: ImageSet, execution: Execution = Execution(), **changes) -> tuple[SimMIM, History]:
    """A short training from seed 0."""
    preset, batch, steps = ("vit_nano", 4, 30) if day.quick else ("vit_tiny", 512, 60)
    options = {"run_dir": changes.pop("run_dir", None), "callbacks": changes.pop("callbacks", ())}
    torch.manual_seed(0)
    trained = SimMIM.preset(preset).to(day.device)
    recipe = Recipe.preset(preset, **{"steps": steps, "batch_size": batch, "mask": "mixture", **changes})
    return trained, pretrain(trained, images, recipe, execution, progress=False, **options)


def resumed(day: Day, images: ImageSet) -> dict[str, object]:
    """The largest difference of weights between a run that was stopped and went on, and one that was not."""
    seen = []

    def stop(step: int, *_: object) -> None:
        seen.append(step)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)  # as the button of a notebook does

    folder = day.runs / "resumed"
    shutil.rmtree(folder, ignore_errors=True)
    whole, _ = short(day, images, ema=0.99)
    with suppress(KeyboardInterrupt):
        short(day, images, ema=0.99, run_dir=folder, callbacks=[stop])
    other, _ = short(day, images, ema=0.99, run_dir=folder, callbacks=[stop])
    pairs = zip(whole.state_dict().values(), other.state_dict().values(), strict=True)
    return {"read_at_steps": seen, "largest_difference": max((a - b).abs().max().item() for a, b in pairs)}


def all_settings(day: Day, images: ImageSet) -> dict[str, object]:
    """Compiled, with an EMA, and each block computed again: does it learn as without, and in how much memory?"""
    rows = {}
    for name, execution in {
        "plain": Execution(),
        "all": Execution(compile=day.device.type == "cuda", activation_checkpointing=True),
    }.items():
        if day.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        _, history = short(day, images, execution, ema=0.99)
        gigabytes = round(torch.cuda.max_memory_reserved() / 1e9, 3)  # with its trials; 0 without a GPU
        rows[name] = {**speed_and_loss(history), "gigabytes": gigabytes}
    return rows


def speed_and_loss(history: History) -> dict[str, float]:
    return {"loss": last(history), "images_per_second": round(history.images_per_second)}


def fp16(day: Day, images: ImageSet) -> dict[str, object]:
    """Trained as on a GPU without bfloat16: with a scaler."""
    half = torch.float16 if day.device.type == "cuda" else torch.float32
    with (
        mock.patch.object(hardware, "precision", lambda device: half),
        mock.patch.object(loop, "precision", lambda device: half),
    ):
        _, history = short(day, images)
    return {"first_loss": round(history.loss[0], 4), **speed_and_loss(history)}


def small_memory(day: Day, images: ImageSet) -> dict[str, object]:
    """Fill the memory but for a little, follow the advice that comes, and see whether it fits then."""
    if day.device.type != "cuda":
        return {"left_out": "there is no GPU"}
    room, batch = 3e9, 4096
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(int(free - room), dtype=torch.uint8, device=day.device)
    try:
        short(day, images, batch_size=batch, steps=3)
        return {"advice": "none: it fitted"}
    except MemoryError as error:
        advice = str(error)
    found = re.search(r"accumulation_steps=(\d+)", advice)
    if not found:
        return {"advice": advice, "worked": False}
    torch.cuda.empty_cache()
    try:
        _, history = short(day, images, Execution(accumulation_steps=int(found[1])), batch_size=batch, steps=3)
        return {"advice": advice, "worked": len(history.loss) == 3}
    except MemoryError as error:
        return {"advice": advice, "worked": False, "then": str(error)}
    finally:
        del ballast


def scenes(day: Day) -> bool:
    """The generator of scenes as it is shipped, trained on more of them and for longer; what the judge says."""
    drawn = draw_scenes(100 if day.quick else 40_000, generator=torch.Generator().manual_seed(300))
    numbers = {caption: number for number, caption in enumerate(dict.fromkeys(drawn.captions))}
    labels = torch.tensor([numbers[caption] for caption in drawn.captions])
    train = ImageSet("captioned scenes", "train", drawn.pixels, labels, tuple(numbers))
    tokenizer = Tokenizer.fit(train.take(min(2_000, len(train))))
    torch.manual_seed(0)
    model = sampler(day, "scenes", MaskGIT.small(tokenizer), train, besides=60)

    bench = generation.Bench(model, *((10, 10, 40, 2, 2) if day.quick else (400, 100, 1_000, 32, 16)))
    for name in ("ceiling", "ours", "unconditional"):
        day.add("scenes", **{name: generation.PARTS[name](bench, day.quick)})
    return True


def sampler(day: Day, part: str, new: MaskGIT, train: ImageSet, besides: float) -> MaskGIT:
    """Train a generator in all of the time but the seconds `besides`; the network as it is kept, in 8 bits.

    Uncompiled: it picks out what is hidden, other numbers in each step, for which it would be compiled anew.
    """
    seconds = day.seconds(besides)
    recipe = GeneratorRecipe(
        seconds=seconds, batch_size=8 if day.quick else 256, lr=2e-3, ema=0.999, save_every=60
    )
    folder = day.runs / f"{part}-{seconds:.0f}s"
    history = train_generator(new.to(day.device), train, recipe, run_dir=folder, progress=False)
    kept(day, part, new, train, history)
    return MaskGIT.load(day.folder / part).to(day.device).eval()


def classes(day: Day) -> bool:
    """CIFAR-10 by its classes: worth shipping if a classifier that reads real pictures reads these too."""
    train, test = cifar10_race.data("scenes" if day.quick else day.data)
    reader = reading(day, train)
    reads_real = accuracy(reader, test.subset(torch.arange(20)) if day.quick else test)
    day.add("classes", data=train.name, reads_real=reads_real)

    tokenizer = Tokenizer.fit(train.take(min(5_000, len(train))), codes=32 if day.quick else 1024)
    sizes = (32, 2, 32, 1, 2) if day.quick else (32, 2, 192, 7, 6)
    torch.manual_seed(0)
    new = MaskGIT(ViTEncoder(*sizes, positions="absolute"), tokenizer, {"class": train.classes})
    model = sampler(day, "classes", new, train, besides=READING + 70)

    words = model.words_of(train.classes).repeat(1 if day.quick else 50, 1)
    known = train.take(min(10_000, len(train)))
    rows: list[dict[str, float]] = []
    for guidance in (0.0, 1.0, 2.0, 4.0):
        draws = torch.Generator(day.device).manual_seed(0)
        pictures = generate(model, words, steps=16, guidance=guidance, generator=draws)
        near, _ = nearest_training(pictures[:100].cpu(), known)
        row = {"guidance": guidance, "read": reads(reader, pictures, words[:, 0]), "pictures": len(pictures)}
        if row["read"] > max((old["read"] for old in rows), default=0):
            save_image(pictures[:80], day.folder / "classes.png", nrow=len(train.classes))
        rows.append(row | {"distance_to_training": round(near.median().item(), 4)})
        day.add("classes", samples=rows)
    good = reads_real >= 0.9 and max(row["read"] for row in rows) >= 0.7
    day.add("classes", worth_shipping=good and day.found("classes")["bytes"] <= 4e6)
    return True


class ResNet(nn.Module):
    """torchvision's ResNet-18 as an encoder, with a first convolution for images of 32 pixels."""

    dim = 512

    def __init__(self):
        super().__init__()
        net = resnet18()
        first = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.layers = nn.Sequential(first, net.bn1, net.relu, net.layer1, net.layer2, net.layer3, net.layer4)

    def forward(self, images: Images) -> Features:
        return self.layers(images)


def reading(day: Day, train: ImageSet) -> Classifier:
    """A classifier of real pictures."""
    torch.manual_seed(0)
    reader = Classifier(ResNet(), train.classes).to(day.device)
    plain = {"layer_decay": 1.0, "drop_path": 0.0, "ema": 0.0, "magnitude": 0.0, "mixup": 0.0}
    seconds, batch = (1.0, 4) if day.quick else (READING, 512)
    finetune(reader, train, FinetuneRecipe(seconds=seconds, batch_size=batch, lr=2e-3, **plain), progress=False)
    return reader.eval()


@torch.no_grad()
def reads(reader: Classifier, pictures: Images, labels: torch.Tensor) -> float:
    """The share of pictures whose class it reads."""
    return (reader.logits(pictures).argmax(1) == labels).float().mean().item()


class Part(NamedTuple):
    """`minutes` are what it wants, `run` returns whether nothing is left to do."""

    minutes: float
    run: Callable[[Day], bool]


PARTS = {  # in the order of their worth
    "step": Part(3.5, step),
    "drawing": Part(0.7, drawing),
    "model": Part(2.7, model),
    "race": Part(3.1, race),
    "ladder": Part(3.5, ladder),
    "limits": Part(3.0, limits),
    "accuracy": Part(9.0, all_labels),
    "scenes": Part(4.0, scenes),
    "classes": Part(6.0, classes),
}
