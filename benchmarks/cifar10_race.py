"""The race on CIFAR-10: pre-training and fine-tuning against the same network from scratch, in the same time.

    python benchmarks/cifar10_race.py                               on a GPU: 9.5 minutes, one seed
    python benchmarks/cifar10_race.py --labels 100 --ways simmim    all of the time for one run
    python benchmarks/cifar10_race.py --data FOLDER                 5-bit CIFAR-10 instead of the download
    python benchmarks/cifar10_race.py --quick                       a check that it runs: scenes, on the CPU

For each seed a network is pre-trained on all training images, without labels. For each share of labels it is then
fine-tuned (`simmim`), and a new network is trained with the same recipe for as long as both took (`scratch`).
`linear` and `attention` train only a head on the pre-trained features, for as long as the fine-tuning. Compiling
is left out of all times; networks are compiled where that leaves more than half of the minutes, which are divided
so that all this fits into them. The accuracy is that on the 10,000 test images, which nothing else is done with:
no setting was chosen by them.
Each result is written as soon as it is there, and not run again: after an interruption the same command goes on,
with `--runs` also in the middle of a training.
"""

import argparse
import copy
import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import nn

from simmim_lab.decoders import LinearDecoder
from simmim_lab.finetuning import Classifier, FinetuneRecipe, accuracy, finetune, freeze, some_labels
from simmim_lab.hardware import Execution, best_device
from simmim_lab.images import ImageSet, load
from simmim_lab.recipe import History
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "cifar10_race.json"
WAYS = ("simmim", "scratch", "linear", "attention")
FINETUNING = 0.35  # seconds of fine-tuning for each second of pre-training
LOADING = 25  # seconds, for testing too
TUNING = 8  # seconds on a GPU, at the start of each training
COMPILING = 80, 20  # seconds on a GPU, for the first and for each further training of a kind
SHEET = 10_000  # images
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# Cells of one patch, three of four hidden: as far from what is visible as the paper's cells, in proportion to the
# image. Targets without the mean and contrast of their patch make no pictures, but good features.
MASKS = {"mask_size": 4, "mask_ratio": 0.75}
PRETRAIN = {"vit_nano": {}, "vit_tiny": {"lr": 1.5e-3, "batch_size": 1024}}
FINETUNE = {"vit_nano": {"lr": 2e-3, "batch_size": 64}, "vit_tiny": {"lr": 2e-3, "batch_size": 512}}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10", help="cifar10, scenes, or the folder of 5-bit CIFAR-10")
    parser.add_argument("--preset", choices=PRETRAIN, default="vit_tiny", help="(default: vit_tiny)")
    parser.add_argument("--minutes", type=float, default=9.5, help="for everything together (default: 9.5)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="(default: 0)")
    parser.add_argument("--labels", type=float, nargs="+", default=[100, 10, 1], help="%% (default: 100 10 1)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS[:2], help="(default: simmim scratch)")
    parser.add_argument("--runs", type=Path, help="folder to keep the state of each training in (default: none)")
    parser.add_argument("--quick", action="store_true", help="a few seconds of vit_nano on scenes")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    if args.quick:
        args.data, args.preset, args.minutes = "scenes", "vit_nano", 0.1
    device = torch.device("cpu") if args.quick else best_device()
    execution, *seconds = plan(60 * args.minutes, len(args.seeds), len(args.labels), args.ways, device)
    race = Race(args.preset, *data(args.data), *seconds, device, execution, args.runs)
    print(
        "{preset} on {device}, {data}: {pretrain_s} s of pre-training, {finetune_s} of fine-tuning".format(
            **race.facts
        )
    )

    results = json.loads(args.out.read_text()) if args.out.exists() else {"rows": []}
    for seed in args.seeds:
        runs = [{"seed": seed, "labels": share, "way": way} for share in args.labels for way in args.ways]
        for run in runs:
            if any({**race.facts, **run}.items() <= row.items() for row in results["rows"]):
                continue
            row = {**race.facts, **run, **race.run(**run), **origin(command(__file__, arguments), race.device)}
            results["rows"].append(row)
            write(results, args.out)
            print(f"seed {seed}, {run['labels']:g} % of the labels, {run['way']:9}: {row['accuracy']:.2%}")
    print(table([row for row in results["rows"] if race.facts.items() <= row.items()]))


def plan(
    seconds: float, seeds: int, shares: int, ways: tuple[str, ...], device: torch.device
) -> tuple[Execution, float, float]:
    """Whether to compile, and the seconds of pre-training and of fine-tuning that fill `seconds` with all runs."""
    pretrained = any(way != "scratch" for way in ways)
    trainings = seeds * (pretrained + shares * len(ways))
    kinds = pretrained + 1
    first, further = COMPILING
    compiling = kinds * first + (trainings - kinds) * further
    on_gpu = device.type == "cuda"
    seconds -= min(LOADING + on_gpu * trainings * TUNING, seconds / 2)
    compile = on_gpu and compiling < seconds / 2
    seconds -= compile * compiling
    pretrainings = pretrained + shares * ("scratch" in ways)
    pretraining = seconds / seeds / (pretrainings + FINETUNING * shares * len(ways))
    return Execution(compile=compile), pretraining, FINETUNING * pretraining


class Race:
    """What all runs of one setting share, the network that was pre-trained last among it."""

    def __init__(
        self,
        preset: str,
        train: ImageSet,
        test: ImageSet,
        first: float,
        second: float,
        device: torch.device,
        execution: Execution,
        runs: Path | None,
    ):
        self.preset, self.train, self.test = preset, train, test
        self.first, self.second = first, second
        self.device, self.execution, self.runs = device, execution, runs
        name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
        self.facts = {"data": train.name, "preset": preset, "device": name}
        self.facts |= {"pretrain_s": round(first, 1), "finetune_s": round(second, 1)}
        self.pretrained: dict[int, nn.Module] = {}

    def run(self, seed: int, labels: float, way: str) -> dict[str, float]:
        """Train a classifier in one way on a share of the labels, in percent, and test it."""
        images = some_labels(self.train, labels / 100, seed)
        recipe = FinetuneRecipe(**FINETUNE[self.preset], seconds=self.second, seed=seed)
        if way == "scratch":
            recipe = replace(recipe, seconds=self.first + self.second, layer_decay=1.0)
        elif way != "simmim":
            recipe = FinetuneRecipe.probe(**FINETUNE[self.preset], seconds=self.second, seed=seed)
        encoder = self.new(seed) if way == "scratch" else copy.deepcopy(self.encoder(seed))
        model = Classifier(encoder, images.classes, pool="attention" if way == "attention" else "mean")
        if way in ("linear", "attention"):
            freeze(model)
        folder = self.folder(f"seed-{seed}-{labels:g}-{way}")
        history = finetune(model.to(self.device), images, recipe, self.execution, run_dir=folder)
        return {"accuracy": accuracy(model, self.test), **speed(history)}

    def encoder(self, seed: int) -> nn.Module:
        """The network after pre-training without labels, which happens once for each seed."""
        if seed not in self.pretrained:
            encoder = self.new(seed)
            head = LinearDecoder(encoder.dim, encoder.stride)
            model = SimMIM(encoder, head, loss="l1", normalize_patch=encoder.patch).to(self.device)
            changes = {**PRETRAIN[self.preset], **MASKS, "seconds": self.first, "seed": seed}
            recipe, folder = Recipe.preset(self.preset, **changes), self.folder(f"seed-{seed}")
            history = pretrain(model, self.train, recipe, self.execution, run_dir=folder)
            print(f"seed {seed}: pre-trained,", *(f"{value:,} {name}" for name, value in speed(history).items()))
            self.pretrained = {seed: encoder}
        return self.pretrained[seed]

    def new(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return SimMIM.preset(self.preset).encoder

    def folder(self, name: str) -> Path | None:
        """For the state of a training of this setting."""
        return self.runs and self.runs / f"{self.preset}-{self.first:.0f}s-{name}"


def speed(history: History) -> dict[str, float]:
    return {
        "steps": history.steps,
        "seconds": round(history.seconds, 1),
        "images_per_second": round(history.images_per_second),
    }


def data(name: str) -> tuple[ImageSet, ImageSet]:
    """All images to train on, and those to test on."""
    if name in ("cifar10", "scenes"):
        train, val, test = (load(name, split) for split in ("train", "val", "test"))
        return joined(train, val), test
    train, test = (five_bit(Path(name), split) for split in ("train", "test"))
    return train, test


def five_bit(folder: Path, split: str) -> ImageSet:
    """CIFAR-10 with 5 bits per value: sheets of 100 x 100 images, some or all of them, and their labels."""
    paths = sorted(folder.glob(f"{split}_*.webp"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no {split}_*.webp: give the folder of 5-bit CIFAR-10, or cifar10")
    sheets = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    levels = torch.from_numpy(np.stack(sheets))
    levels = rearrange(levels, "sheet (row h) (col w) c -> (sheet row col) c h w", h=32, w=32)
    labels = torch.from_numpy(np.load(folder / f"{split}_labels.npy", allow_pickle=False)).long()
    labels = torch.cat([labels.split(SHEET)[int(path.stem.rpartition("_")[2])] for path in paths])
    return ImageSet("cifar10 (5-bit)", split, (levels << 3) | (levels >> 2), labels, CLASSES)


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    pixels, labels = torch.cat([first.pixels, second.pixels]), torch.cat([first.labels, second.labels])
    return replace(first, pixels=pixels, labels=labels)


def table(rows: list[dict]) -> str:
    """Mean accuracy over the seeds, and its spread, for each share of labels and each way."""
    lines = ["", f"{'labels':>7}  {'way':10}{'accuracy':>9}{'spread':>8}{'seeds':>6}"]
    for labels, way in sorted({(row["labels"], row["way"]) for row in rows}, reverse=True):
        found = [row["accuracy"] for row in rows if (row["labels"], row["way"]) == (labels, way)]
        spread = f"{100 * statistics.stdev(found):.2f}" if len(found) > 1 else "-"
        lines.append(f"{labels:>5g} %  {way:10}{statistics.mean(found):>9.2%}{spread:>8}{len(found):>6}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
