"""A CNN under masks: dense convolutions, and convolutions that hide again what is hidden, as SparK has them.

    python benchmarks/sparse_convolution.py            three seeds: 5 minutes of one CPU core
    python benchmarks/sparse_convolution.py --quick    a check that it runs

A CNN with batch norms, and a small Transformer as decoder, fill hidden cells of drawn scenes (60 % of the cells of
8 pixels). Dense, a hidden pixel is the mean colour at the door, and a place like any other behind it. Hidden
again, it is set to 0 behind each convolution, and the batch norms look at visible places alone.

Statistics: what the batch norms of random weights see in hidden scenes, against what they see in whole ones. Their
deviation is given as a share of that of whole scenes, the shift of their mean in deviations.

Training: equal seconds of one CPU core. Both fill test scenes, and a linear probe of their features of whole
scenes says how many subjects it finds with 300 labels, before and after. Each run is written as soon as it is
there, and not run again.
"""

import json
from pathlib import Path

import torch
from mae import GRID, drawn, probed, report_runs, worth
from torch import Tensor, nn

from simmim_lab.decoders import TransformerDecoder
from simmim_lab.loop import step_generator
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.shapes import Features, Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.results import command, origin, processor_clock, race_options, write
from simmim_lab.training import Recipe, pretrain

OUT = Path(__file__).parents[1] / "results" / "sparse_convolution.json"
WAYS = ("dense", "hidden again")
LAYERS = ((32, 1), (32, 2), (64, 1), (64, 2), (64, 1))  # channels and stride of each convolution


class VisibleBatchNorm(nn.BatchNorm1d):
    """A batch norm whose mean and deviation are those of the visible places; hidden ones are 0 behind it."""

    def forward(self, x: Features, hidden: Mask | None = None) -> Features:
        if hidden is None:
            return super().forward(x.flatten(2)).view_as(x)
        places = x.movedim(1, -1)
        normed = torch.zeros_like(places)
        normed[~hidden] = super().forward(places[~hidden])
        return normed.movedim(-1, 1)


class Convolutions(nn.Module):
    """A CNN without pooling. What is hidden is 0 at its door, and if `again`, behind each convolution as well."""

    patch = stride = 4
    dim = LAYERS[-1][0]

    def __init__(self, again: bool):
        super().__init__()
        self.again, wide = again, 3
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for channels, stride in LAYERS:
            self.convolutions.append(nn.Conv2d(wide, channels, 3, stride, padding=1, bias=False))
            self.norms.append(VisibleBatchNorm(channels))
            wide = channels
        self.mask_token = nn.Parameter(torch.zeros(self.dim))

    def forward(self, x: Images, mask: Mask | None = None) -> Features:
        if mask is not None:
            x = x.masked_fill(at(mask, x)[:, None], 0)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(x)
            x = norm(x, at(mask, x) if self.again and mask is not None else None).relu()
        return x if mask is None else torch.where(mask[:, None], self.mask_token[:, None, None], x)


def at(mask: Mask, x: Features) -> Mask:
    """The mask at the resolution of a feature map."""
    return to_pixels(mask, x.shape[2] // mask.shape[1])


def main(arguments: list[str] | None = None) -> None:
    args = race_options(__doc__, OUT, 40, arguments)
    seconds, seeds = args.seconds, args.seeds
    torch.set_num_threads(1)

    runs = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    facts = {**origin(command(__file__, arguments)), "cpu_seconds": seconds, "statistics": statistics()}
    for seed in seeds:
        for way in WAYS:
            if not any((row["way"], row["seed"]) == (way, seed) for row in runs):
                runs.append({"way": way, "seed": seed, **run(way, seed, seconds)})
                write({**facts, "runs": runs}, args.out)
    for way, layers in facts["statistics"].items():
        print(f"{way:24}", *(f"{layer['deviation']:.2f} ({layer['shift']:.2f})" for layer in layers))
    report_runs(runs, "way")


def build(way: str, seed: int) -> SimMIM:
    torch.manual_seed(seed)
    encoder = Convolutions(again=way == "hidden again")
    return SimMIM(encoder, TransformerDecoder(encoder.dim, encoder.stride, GRID, width=48, depth=1, heads=2))


@torch.no_grad()
def statistics(images: int = 256) -> dict[str, list[dict[str, float]]]:
    """For each way and layer the deviation and the shift that its batch norm sees, a mean over its channels."""
    scenes = drawn("train").take(images)
    mask = random_mask(images, GRID, 0.6, 2, generator=step_generator(0, 0, 0))
    found = {}
    for way in WAYS:
        model = build(way, seed=0)
        whole, hidden = (seen(model, scenes, shown) for shown in (torch.zeros_like(mask), mask))
        found[way] = [
            {
                "deviation": (std / whole_std).mean().item(),
                "shift": ((mean - whole_mean) / whole_std).abs().mean().item(),
            }
            for (mean, std), (whole_mean, whole_std) in zip(hidden, whole, strict=True)
        ]
    return found


def seen(model: SimMIM, images: Images, mask: Mask) -> list[tuple[Tensor, Tensor]]:
    """The mean and the deviation of each channel that each batch norm takes from these images."""
    for norm in model.encoder.norms:
        norm.momentum = 1.0  # what it keeps is what it saw last
    model.train()(images, mask)
    return [(norm.running_mean.clone(), norm.running_var.sqrt()) for norm in model.encoder.norms]


def run(way: str, seed: int, seconds: float) -> dict:
    """How many steps a training takes in the time, and what the network is worth before and then."""
    model = build(way, seed).eval()
    random = probed(model, seed)
    with processor_clock():
        history = pretrain(model, drawn("train"), Recipe(seconds=seconds, seed=seed), progress=False)
    return {"steps": history.steps, **worth(model, seed), "random": random}


if __name__ == "__main__":
    main()
