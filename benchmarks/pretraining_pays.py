"""Does pre-training pay? The shipped weights against the same network without them, with few labels.

    python benchmarks/pretraining_pays.py                     on drawn scenes alone, about three minutes
    python benchmarks/pretraining_pays.py --cifar10 FOLDER    and on 5-bit CIFAR-10 in FOLDER, 20 minutes more
    python benchmarks/pretraining_pays.py --quick             a check that it runs

A linear probe is fitted to a few labelled images as the shipped network sees them (`trained`), as the same network
with random weights does (`random`), and as 8 x 8 pixels (`pixels`). Each draw has other images and other random
weights. The shipped network has never seen a drawn scene; of CIFAR-10 it saw the training images, without labels.

Fine-tuning trains all weights on 500 labels of CIFAR-10: those of the shipped network, new ones of the same
network, and new ones of a smaller network, which takes more steps in the time. The time is that of one CPU thread,
which other work on the machine hardly changes, without the tests on the way. The recipes were chosen by the
accuracy on 500 training images that are not among those learned from.
Each result is written as soon as it is there, and not run again: after an interruption the same command goes on.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from cifar10_race import five_bit, joined
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from simmim_lab.data.scenes import draw_scenes
from simmim_lab.finetuning import Classifier, FinetuneRecipe, accuracy, finetune, some_labels
from simmim_lab.images import ImageSet
from simmim_lab.probing import features, linear_probe
from simmim_lab.recipe import History
from simmim_lab.shapes import Images
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "pretraining_pays.json"
WEIGHTS, PRESET = "cifar10", "vit_tiny"
PROBE = "linear probe"
DRAWS = 3
TESTS = 500  # images
SCENES, CIFAR10 = (60, 300, 1500), (500, 2000)  # numbers of labels
FEW = 0.01  # of the labels of CIFAR-10, for fine-tuning
MARKS = 5  # tests during a fine-tuning
PLAIN = {
    "batch_size": 32,
    "shift": 2,
    "magnitude": 0.0,
    "mixup": 0.0,
    "drop_path": 0.0,
}  # a few epochs want no more
WAYS = {  # preset, where it is not the shipped network; recipe
    "pre-trained": (None, FinetuneRecipe(steps=125, lr=1e-3, **PLAIN)),
    "from scratch": (PRESET, FinetuneRecipe(steps=125, lr=5e-4, layer_decay=1.0, **PLAIN)),
    "vit_nano from scratch": (
        "vit_nano",
        FinetuneRecipe(steps=1500, lr=2e-3, layer_decay=1.0, batch_size=32, mixup=0.0),
    ),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, metavar="FOLDER", help="the folder of 5-bit CIFAR-10")
    parser.add_argument("--quick", action="store_true", help="one draw of a few scenes")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)

    results = json.loads(args.out.read_text()) if args.out.exists() else {"probes": [], "finetuning": []}
    for table, key, measure in units(args.cifar10, args.quick):
        if not any(key.items() <= row.items() for row in results[table]):
            results[table] += [{**key, **found} for found in measure(**key)]
            write({**origin(command(__file__, arguments)), **results}, args.out)
    if not args.cifar10:
        print("CIFAR-10 is left out: give the folder of 5-bit CIFAR-10 as --cifar10")
    report(results)


def units(cifar10: Path | None, quick: bool) -> Iterator[tuple[str, dict, Callable[..., list[dict]]]]:
    """What is measured in one go: its table, what makes it one of a kind, and the function that measures it."""
    labels, tests = ((60,), 100) if quick else (SCENES, TESTS)
    if cifar10:
        train, test = (five_bit(cifar10, split) for split in ("train", "test"))
    for draw in range(1 if quick else DRAWS):
        yield "probes", {"images": "scenes", "draw": draw}, partial(probe_scenes, labels=labels, tests=tests)
        if cifar10:
            for way in (PROBE, *WAYS):
                yield "finetuning", {"way": way, "seed": draw}, partial(learn, train=train, test=test)
            yield "probes", {"images": train.name, "draw": draw}, partial(probe_cifar10, train=train, test=test)


def probe_scenes(images: str, draw: int, labels: tuple[int, ...], tests: int) -> list[dict]:
    made = draw_scenes(tests + labels[-1], generator=torch.Generator().manual_seed(draw))
    return probe(made.pixels / 255, {"subject": made.labels, "colour": made.colors}, labels, tests, draw)


def probe_cifar10(images: str, draw: int, train: ImageSet, test: ImageSet) -> list[dict]:
    chosen = joined(drawn(test, TESTS, draw), drawn(train, CIFAR10[-1], draw))
    return probe(chosen.pixels / 255, {"class": chosen.labels}, CIFAR10, TESTS, draw)


def drawn(images: ImageSet, count: int, seed: int) -> ImageSet:
    """Some of the images, drawn at random."""
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
    return images.subset(chosen)


def probe(images: Images, truths: dict[str, Tensor], counts: tuple[int, ...], tests: int, draw: int) -> list[dict]:
    """A row for each question, whose right answers `truths` has, and number of labels, with all accuracies.

    The first `tests` images are tested, and the others are there to learn from.
    """
    torch.manual_seed(draw)
    views = {
        "trained": features(SimMIM.pretrained(WEIGHTS), images),
        "random": features(SimMIM.preset(PRESET), images),
        "pixels": adaptive_avg_pool2d(images, 8).flatten(1),
    }

    def accuracy(vectors: Tensor, truth: Tensor, count: int) -> float:
        learned = slice(tests, tests + count)
        return linear_probe(vectors[learned], truth[learned]).score(vectors[:tests], truth[:tests])

    return [
        {"asked": asked, "labels": count} | {view: accuracy(views[view], truth, count) for view in views}
        for asked, truth in truths.items()
        for count in counts
    ]


def learn(way: str, seed: int, train: ImageSet, test: ImageSet) -> list[dict]:
    """The seconds and the accuracy at some marks of a training on few labels."""
    few, shown = some_labels(train, FEW, seed), drawn(test, TESTS, seed)
    return [probed(few, shown) if way == PROBE else finetuned(way, few, shown, seed)]


def probed(few: ImageSet, shown: ImageSet) -> dict:
    """A linear probe as one of the ways."""
    model = SimMIM.pretrained(WEIGHTS)
    start = time.process_time()
    fitted = linear_probe(features(model, few.pixels / 255), few.labels)
    seconds = time.process_time() - start
    right = fitted.score(features(model, shown.pixels / 255), shown.labels)
    return {"seconds": [seconds], "accuracy": [right]}


def finetuned(way: str, few: ImageSet, shown: ImageSet, seed: int) -> dict:
    preset, recipe = WAYS[way]
    torch.manual_seed(seed)
    encoder = (SimMIM.preset(preset) if preset else SimMIM.pretrained(WEIGHTS)).encoder
    row = {"images": [], "seconds": [], "accuracy": []}
    start, tested = time.process_time(), 0.0

    def test(step: int, model: Classifier, history: History) -> None:
        nonlocal tested
        if step * MARKS % recipe.steps == 0:
            now = time.process_time()
            row["seconds"].append(now - start - tested)
            row["images"].append(step * recipe.batch_size)
            row["accuracy"].append(accuracy(model, shown))
            tested += time.process_time() - now

    finetune(Classifier(encoder, few.classes), few, replace(recipe, seed=seed), callbacks=[test], progress=False)
    return row


def report(results: dict) -> None:
    print(f"{'':26}{'labels':>6}{'trained':>16}{'random':>16}{'pixels':>16}")
    kinds = dict.fromkeys((row["images"], row["asked"], row["labels"]) for row in results["probes"])
    for kind in kinds:
        rows = [row for row in results["probes"] if (row["images"], row["asked"], row["labels"]) == kind]
        columns = (mean_and_spread([row[view] for row in rows]) for view in ("trained", "random", "pixels"))
        print(f"{f'{kind[0]}, {kind[1]}':26}{kind[2]:>6}" + "".join(f"{column:>16}" for column in columns))
    for row in results["finetuning"]:
        marks = zip(row["seconds"], row["accuracy"], strict=True)
        found = "".join(f"  {right:.1%} after {seconds:.0f} s" for seconds, right in marks)
        print(f"{row['way']:22} seed {row['seed']}:{found}")


def mean_and_spread(scores: list[float]) -> str:
    return f"{statistics.mean(scores):.1%}" + (f" ± {statistics.stdev(scores):.1%}" if len(scores) > 1 else "")


if __name__ == "__main__":
    main()
