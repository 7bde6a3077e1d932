"""How few labels do the features need? Five ways to use them, with 1, 10 and 100 % of the labels.

    python benchmarks/label_fractions.py                     on drawn scenes alone, half an hour of one CPU thread
    python benchmarks/label_fractions.py --cifar10 FOLDER    and on 5-bit CIFAR-10 in FOLDER, half an hour more
    python benchmarks/label_fractions.py --quick             a check that it runs

`trained` is the shipped network. It has never seen a drawn scene; of CIFAR-10 it saw the training images, without
labels. `random` is the same network with random weights. `pixels` are those of the image at 8 x 8. What is `asked`
about an image is answered by

    knn            the nearest image with a label, by the mean of the tokens
    linear         a linear probe on the mean of the tokens
    linear 4 x 4   a linear probe on the means within 4 x 4 parts of the image
    attentive      a linear layer on a mean that a learned query weighs; the network stays as it is
    finetuned      all weights, trained; from `random`, that is from scratch: in as many steps, and so as long

100 % of the labels are those of 3,000 images. Fewer are chosen so that all classes are equally frequent. Each draw
has other images and other random weights. All settings were chosen on scenes of one more draw, the recipes of
fine-tuning by `pretraining_pays.py` on training images of CIFAR-10. Networks calculate in bfloat16, which is twice
as fast on CPUs that have it. `seconds` are those of one CPU thread, to see the labelled images and to learn from
them.
Each result is written as soon as it is there, and not run again: after an interruption the same command goes on.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from cifar10_race import five_bit, joined
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from pretraining_pays import PRESET, WAYS, WEIGHTS, drawn, mean_and_spread
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from simmim_lab.data.scenes import draw_scenes
from simmim_lab.finetuning import AttentionPool, Classifier, accuracy, finetune
from simmim_lab.images import ImageSet
from simmim_lab.loop import train_step
from simmim_lab.probing import encode, knn, linear_probe
from simmim_lab.recipe import lr_at
from simmim_lab.shapes import Features, Labels, Scalar, Tokens
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "label_fractions.json"
SCENES, CIFAR10 = "scenes", "cifar10 (5-bit)"
FINETUNED = {SCENES: "subject", CIFAR10: "class"}  # the one question that a network is fine-tuned for
FROZEN = {  # the ways that leave a network as it is
    "trained": ("knn", "linear", "linear 4 x 4", "attentive"),
    "random": ("knn", "linear", "linear 4 x 4", "attentive"),
    "pixels": ("knn", "linear"),
}
RECIPES = {"trained": WAYS["pre-trained"][1], "random": WAYS["from scratch"][1]}
PROBE = {"batch": 64, "lr": 2e-3, "warmup": 0.05}  # of the attentive one


@dataclass(frozen=True, eq=False)
class Scale:
    """How much is measured: all images with labels, those to test on, draws, and steps by share of labels."""

    pool: int
    tests: int
    draws: int
    attentive: dict[float, int]
    finetuned: dict[float, int]


FULL = Scale(
    pool=3000,
    tests=500,
    draws=3,
    attentive={0.01: 100, 0.1: 200, 1.0: 300},
    finetuned={0.01: 40, 0.1: 80, 1.0: 150},
)
QUICK = Scale(pool=60, tests=40, draws=1, attentive={0.1: 1, 1.0: 1}, finetuned={0.1: 1, 1.0: 1})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, metavar="FOLDER", help="the folder of 5-bit CIFAR-10")
    parser.add_argument("--quick", action="store_true", help="one draw of a few scenes")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)

    scale = QUICK if args.quick else FULL
    results = json.loads(args.out.read_text()) if args.out.exists() else {"rows": []}
    for run in runs(scale, cifar10=bool(args.cifar10)):
        if any(run.items() <= row.items() for row in results["rows"]):
            continue
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):  # weights change within
            results["rows"] += [run | found for found in measure(**run, scale=scale, folder=args.cifar10)]
        facts = {**origin(command(__file__, arguments)), "pool": scale.pool, "tests": scale.tests}
        write({**facts, "rows": results["rows"]}, args.out)
    if not args.cifar10:
        print("CIFAR-10 is left out: give the folder of 5-bit CIFAR-10 as --cifar10")
    report(results["rows"])


def runs(scale: Scale, *, cifar10: bool) -> Iterator[dict]:
    """What makes each run one of its kind. Those that share features follow each other; the long ones are last."""
    for images in (SCENES, CIFAR10) if cifar10 else (SCENES,):
        frozen = [(network, way) for network, ways in FROZEN.items() for way in ways]
        finetuned = [(network, "finetuned") for network in RECIPES]
        for plan, shares in ((frozen, scale.attentive), (finetuned, scale.finetuned)):
            for draw, (network, way), share in product(range(scale.draws), plan, shares):
                yield {"images": images, "draw": draw, "network": network, "way": way, "share": share}


def measure(
    images: str, draw: int, network: str, way: str, share: float, scale: Scale, folder: Path | None
) -> Iterator[dict]:
    """A row for each question that is asked about the images."""
    pixels, truths = pictures(images, draw, scale, folder)
    for asked, truth in truths.items():
        if way == "finetuned" and asked != FINETUNED[images]:
            continue
        tests = slice(scale.tests)
        few = scale.tests + in_turns(truth[scale.tests :])[: round(share * scale.pool)]
        torch.manual_seed(draw)
        if way == "finetuned":
            found = fine_tune(network, pixels, truth, tests, few, scale.finetuned[share], draw)
        else:
            maps, each = seen(network, images, draw, scale, folder)
            found = probe(way, maps, truth, tests, few, scale.attentive[share])
            found["seconds"] += each * len(few)
        yield {"asked": asked, "labels": len(few), **found}


# Images


@lru_cache(maxsize=1)
def pictures(
    images: str, draw: int, scale: Scale, folder: Path | None
) -> tuple[UInt8[Tensor, "n 3 32 32"], dict[str, Int64[Tensor, " n"]]]:
    """The images of a draw, those to test on first, and the right answers to what is asked about them."""
    pool, tests = scale.pool, scale.tests
    if images == SCENES:
        made = draw_scenes(tests + pool, generator=torch.Generator().manual_seed(draw))
        return made.pixels, {"subject": made.labels, "colour": made.colors}
    train, test = (five_bit(folder, split) for split in ("train", "test"))
    chosen = joined(drawn(test, tests, draw), drawn(train, pool, draw))
    return chosen.pixels, {"class": chosen.labels}


def in_turns(labels: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """The places of the labels in an order in which the classes take turns."""
    of_its_class = F.one_hot(labels).cumsum(0)[torch.arange(len(labels)), labels]
    return of_its_class.argsort(stable=True)


@lru_cache(maxsize=1)
def seen(network: str, images: str, draw: int, scale: Scale, folder: Path | None) -> tuple[Features, float]:
    """What a network makes of all images of a draw, and its seconds for each of them."""
    pixels, _ = pictures(images, draw, scale, folder)
    start = time.process_time()
    if network == "pixels":
        maps = adaptive_avg_pool2d(pixels / 255, 8)
    else:
        torch.manual_seed(draw)
        model = new(network)
        maps = torch.cat([encode(model, batch / 255) for batch in pixels.split(250)])
    return maps, (time.process_time() - start) / len(pixels)


def new(network: str) -> SimMIM:
    return SimMIM.pretrained(WEIGHTS) if network == "trained" else SimMIM.preset(PRESET)


# Ways to answer


def probe(
    way: str,
    maps: Features,
    truth: Int64[Tensor, " n"],
    tests: slice,
    few: Int64[Tensor, " few"],
    steps: int,
) -> dict[str, float]:
    """Learn from a few labels what the features say; the seconds and the accuracy on those to test on."""
    if way == "attentive":
        vectors = rearrange(maps, "n dim rows cols -> n (rows cols) dim")
    elif way == "linear 4 x 4":
        vectors = adaptive_avg_pool2d(maps, 4).flatten(1)
    elif maps.shape[1] == 3:
        vectors = maps.flatten(1)
    else:
        vectors = maps.mean((2, 3))
    start = time.process_time()
    if way == "attentive":
        fitted = AttentiveProbe.fit(vectors[few], truth[few], steps)
    else:
        fitted = knn(vectors[few], truth[few], 1) if way == "knn" else linear_probe(vectors[few], truth[few])
    seconds = time.process_time() - start
    return {"seconds": seconds, "accuracy": fitted.score(vectors[tests], truth[tests])}


class AttentiveProbe(nn.Module):
    """A classifier on the tokens of a frozen network, whose numbers are standardised as for a linear probe."""

    def __init__(self, tokens: Tokens, classes: int):
        super().__init__()
        self.mean, self.std = tokens.mean((0, 1)), tokens.std((0, 1))
        dim = tokens.shape[-1]
        self.layers = nn.Sequential(AttentionPool(dim), nn.LayerNorm(dim), nn.Linear(dim, classes))

    @classmethod
    def fit(cls, tokens: Tokens, labels: Int64[Tensor, " n"], steps: int) -> "AttentiveProbe":
        shares = F.one_hot(labels).float()
        probe = cls(tokens, shares.shape[1])
        optimizer = torch.optim.AdamW(probe.parameters(), weight_decay=0.05)
        for step in range(steps):
            batch = torch.randint(len(tokens), (PROBE["batch"],))
            lr = lr_at((step + 1) / steps, PROBE["lr"], 1e-5, PROBE["warmup"])
            train_step(probe, optimizer, (tokens[batch], shares[batch]), lr=lr, clip=5.0)
        return probe

    def logits(self, tokens: Tokens) -> Float[Tensor, "n classes"]:
        return self.layers((tokens - self.mean) / self.std).float()

    def forward(self, tokens: Tokens, labels: Labels) -> tuple[Scalar, Labels]:
        logits = self.logits(tokens)
        return F.cross_entropy(logits, labels), logits

    @torch.no_grad()
    def score(self, tokens: Tokens, labels: Int64[Tensor, " n"]) -> float:
        return (self.logits(tokens).argmax(1) == labels).float().mean().item()


def fine_tune(
    network: str,
    pixels: UInt8[Tensor, "n 3 32 32"],
    truth: Int64[Tensor, " n"],
    tests: slice,
    few: Int64[Tensor, " few"],
    steps: int,
    seed: int,
) -> dict[str, float]:
    """Train all weights on a few labels; the seconds and the accuracy on those to test on."""
    classes = tuple(map(str, truth.unique().tolist()))
    learned, tested = (ImageSet("drawn", "", pixels[part], truth[part], classes) for part in (few, tests))
    model = Classifier(new(network).encoder, classes)
    start = time.process_time()
    finetune(model, learned, replace(RECIPES[network], steps=steps, seed=seed), progress=False)
    return {"seconds": time.process_time() - start, "accuracy": accuracy(model, tested)}


def report(rows: list[dict]) -> None:
    """Mean accuracy and its spread over the draws: a line for each way, a column for each number of labels."""
    for images, asked in dict.fromkeys((row["images"], row["asked"]) for row in rows):
        found = [row for row in rows if (row["images"], row["asked"]) == (images, asked)]
        counts = sorted({row["labels"] for row in found})
        print(f"\n{images + ', ' + asked:32}" + "".join(f"{f'{count:,} labels':>16}" for count in counts))
        for way, network in dict.fromkeys((row["way"], row["network"]) for row in found):
            line = f"{way + ', ' + network:32}"
            for count in counts:
                kind = {"way": way, "network": network, "labels": count}
                scores = [row["accuracy"] for row in found if kind.items() <= row.items()]
                line += f"{mean_and_spread(scores) if scores else '-':>16}"
            print(line)


if __name__ == "__main__":
    main()
