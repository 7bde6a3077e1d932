"""Images per second of a pre-training step: the course's ViT against three peers of the same sizes.

    python benchmarks/pretrain_step.py                  on one CPU thread, about six minutes
    python benchmarks/pretrain_step.py --device cuda    on a GPU, below ten minutes
    python benchmarks/pretrain_step.py --quick          a check that it runs

The peers are transformers' `ViTForMaskedImageModeling`; timm's `VisionTransformer`, masked and decoded as the
official code does it; and lightly's SimMIM example on torchvision's `VisionTransformer`, which decodes hidden
tokens alone. `equal` is the course's ViT with absolute positions and a class token, the same model as the peers'
to the last weight; `preset` is the course's default, with a relative position bias and no class token. Its bias is
learned, and on a CPU PyTorch's fused attention takes only one that is fixed: in fp32 this costs some speed.

A step is forward (L1 on hidden pixels), backward, clipping and fused AdamW, the same for all. They get the same
batch and the same masks; the peers' images are normalised beforehand, the course's models do it in the step.
All take turns, so that other work on the machine slows them alike. A turn is one step on a CPU. On a GPU it is as
many as fill a third of a second, before one wait: a wait after each would time how fast Python launches kernels.

    images/s  median over the turns
    ratio     to the images/s of the fastest peer, median over the turns
    of peak   FLOP per second of the blocks (`budget.vit_flops`, times three for a step), as a share of what a
              product of large matrices reaches on this machine (not for bf16 on a CPU, which may emulate it)
    GB        peak memory of a step on a GPU: weights, gradients, AdamW's averages and activations

What stops a model, such as too little memory or a failed compilation, is noted in its row, and the rest goes on.
The last table says which share of a step of the smallest model is spent on its data.
"""

import argparse
import contextlib
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from peers import PEERS, LightlySimMIM, Sizes, TimmSimMIM, hugging_face, installed
from torch import Tensor, nn
from torchvision.transforms.functional import normalize

from simmim_lab import hardware
from simmim_lab.budget import matmul_rate, synchronize, training_flops, vit_flops
from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.images import load
from simmim_lab.masking import random_mask
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD, SimMIM
from simmim_lab.teaching.results import command, origin, write

Step = Callable[[], object]

OUT = Path(__file__).parents[1] / "results" / "pretrain_step.json"
MODELS = {  # sizes; images in a batch
    "vit_nano": ((32, 4, 64, 4, 2), 64),
    "vit_tiny": ((32, 4, 192, 12, 3), 64),
    "vit_small": ((224, 16, 384, 12, 6), 4),
}
GPU_MODELS = {"vit_tiny": ((32, 4, 192, 12, 3), 512), "vit_base": ((224, 16, 768, 12, 12), 128)}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TURN = 0.33  # seconds, on a GPU


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    torch.set_num_threads(args.threads)
    device, rounds = torch.device(args.device), 3 if args.quick else args.rounds
    models = GPU_MODELS if args.device == "cuda" and not args.quick else MODELS
    missing = [peer for peer in PEERS if not installed(peer)]
    for peer in missing:
        print(f"{peer} is not installed and left out; to include it: pip install {peer}")

    results = {**origin(command(__file__, arguments), device), "missing": missing, "steps": []}
    for name, precision, compiled in cases(models, args.compile, args.quick):
        sizes, batch = models[name]
        row = {"model": name, "precision": precision, "compiled": compiled, "batch": batch, "errors": {}}
        with noted(row["errors"], "all"):
            times, gigabytes = measure(sizes, batch, precision, compiled, device, rounds, row["errors"])
            row |= dict.fromkeys(row["errors"]) | figures(times, batch) | gigabytes
            if args.device == "cuda" or precision == "fp32":  # bf16 that a CPU emulates has no one peak
                work = batch * training_flops(vit_flops(*sizes[:4]))
                row |= shares(times, work, matmul_rate(device, DTYPES[precision]))
        if compiled:
            torch.compiler.reset()  # forgets the models of this row
        show(row)
        results["steps"].append(row)
        write(results, args.out)  # after each row: a run that is cut off keeps what it has

    name = next(iter(models))
    results["data"] = {"model": name, **data_share(*models[name], device, rounds)}
    print("\n            milliseconds of    images     mask     step   share of data")
    print("{:>27}{:>10.2f}{:>9.2f}{:>9.1f}{:>16.1%}".format(*results["data"].values()))
    write(results, args.out)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: 1)")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each model takes (default: 9)")
    parser.add_argument("--compile", action="store_true", help="compiled models too; on a GPU they always are")
    parser.add_argument("--quick", action="store_true", help="three turns of vit_nano in fp32 alone")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    return parser.parse_args(arguments)


def cases(models: dict, compile: bool, quick: bool) -> list[tuple[str, str, bool]]:
    """Model, precision, compiled or not. A CPU that only emulates bf16 takes ten times longer: one row says it.
    On a GPU the rows that matter most come first, and fp32 is not compiled, to stay within ten minutes."""
    if models is GPU_MODELS:
        bits16 = "bf16" if hardware.precision(torch.device("cuda")) == torch.bfloat16 else "fp16"
        fast = [(name, bits16, compiled) for name in models for compiled in (False, True)]
        return fast + [(name, "fp32", False) for name in models]
    eager = [("vit_nano", "fp32", False)]
    if not quick:
        eager += [("vit_tiny", "fp32", False), ("vit_small", "fp32", False), ("vit_nano", "bf16", False)]
    return eager + [(name, precision, True) for name, precision, _ in eager if compile]


def measure(
    sizes: Sizes, batch: int, precision: str, compiled: bool, device: torch.device, rounds: int, errors: dict
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of a step of each model, turn by turn, and the peak memory of one on a GPU, in GB."""
    steps, gigabytes = {}, {}
    for name, (build, *inputs) in contestants(*example(sizes, batch, device)).items():
        with noted(errors, name):
            steps[name], peak = prepare(partial(build, sizes), inputs, precision, compiled)
            if device.type == "cuda":
                gigabytes[f"{name}_gb"] = round(peak / 1e9, 3)
    return take_turns(steps, rounds, device), gigabytes


def prepare(
    build: Callable[[], nn.Module], inputs: list[Tensor], precision: str, compiled: bool
) -> tuple[Step, int]:
    """A step that has been taken, and the bytes that its model takes at most on a GPU."""
    gc.collect()  # what models before this one left behind
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()  # 0 without a GPU
    step = stepper(build().to(inputs[0].device), inputs, precision, compiled)
    step()  # compiles, and makes AdamW's averages
    if inputs[0].is_cuda:
        torch.cuda.reset_peak_memory_stats()
        step()
    return step, torch.cuda.max_memory_allocated() - before


def figures(times: dict[str, list[float]], batch: int) -> dict[str, object]:
    """Images per second, and the ratio to the fastest peer."""
    row = {name: round(batch / statistics.median(turns), 2) for name, turns in times.items()}
    fastest = max((peer for peer in PEERS if peer in times), key=row.get, default=None)
    for name, turns in times.items() if fastest else ():
        pairs = zip(times[fastest], turns, strict=True)
        row[f"{name}_ratio"] = round(statistics.median(theirs / own for theirs, own in pairs), 3)
    return {**row, "fastest_peer": fastest}


def shares(times: dict[str, list[float]], work: float, rate: float) -> dict[str, float]:
    """How near each model comes to `rate`, the peak in FLOP per second, when a step is `work` FLOP."""
    row = {f"{name}_share": round(work / statistics.median(turns) / rate, 4) for name, turns in times.items()}
    return {**row, "matmul_rate": rate}


def show(row: dict[str, object]) -> None:
    mode = "compiled" if row["compiled"] else "eager"
    title = f"{row['model']}, batch {row['batch']}, {row['precision']}, {mode}"
    names = [name for name in (*PEERS, "equal", "preset") if name in row]
    print(f"\n{title:<36}" + "".join(f"{name:>14}" for name in names))
    for suffix, label, form in (
        ("", "images/s", ".1f"),
        ("_ratio", "ratio", ".2f"),
        ("_share", "of peak", ".1%"),
        ("_gb", "GB", ".2f"),
    ):
        values = [row.get(name + suffix) for name in names]
        if any(values):
            print(f"{label:>36}" + "".join("             -" if v is None else f"{v:14{form}}" for v in values))
    for name, error in row["errors"].items():
        print(f"    {name}: {error}")


def data_share(sizes: Sizes, batch: int, device: torch.device, rounds: int) -> dict[str, float]:
    """Milliseconds to draw the images and the masks of a batch, and those of a step of the course's model."""
    photos, generator = load("photos").to(device), torch.Generator(device).manual_seed(0)
    model = course(sizes).to(device)
    times = take_turns(
        {
            "images": lambda: photos.batch(batch, generator),
            "mask": lambda: random_mask(batch, model.encoder.grid, 0.6, generator=generator),
            "step": stepper(model, example(sizes, batch, device), "fp32"),
        },
        rounds,
        device,
    )
    milliseconds = {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
    data = milliseconds["images"] + milliseconds["mask"]
    return {**milliseconds, "share": data / (data + milliseconds["step"])}


def example(sizes: Sizes, batch: int, device: torch.device) -> tuple[Images, Mask]:
    side, patch, *_ = sizes
    generator = torch.Generator(device).manual_seed(0)
    images = torch.rand(batch, 3, side, side, generator=generator, device=device)
    return images, random_mask(batch, (side // patch, side // patch), 0.6, generator=generator)


def contestants(images: Images, mask: Mask) -> dict[str, tuple]:
    """How each model is built from its sizes, and the inputs of its forward pass, which returns the loss first."""
    normalized, flat = normalize(images, IMAGENET_MEAN, IMAGENET_STD), mask.flatten(1)
    hidden = 1 + flat.nonzero()[:, 1].view(len(mask), -1)  # places in the sequence, behind the class token
    peers = {
        "transformers": (hugging_face, normalized, flat),
        "timm": (TimmSimMIM, normalized, mask),
        "lightly": (LightlySimMIM, normalized, hidden),
    }
    return {name: peer for name, peer in peers.items() if installed(name)} | {
        "equal": (partial(course, positions="absolute", cls_token=True), images, mask),
        "preset": (course, images, mask),
    }


def course(sizes: Sizes, **options) -> SimMIM:
    encoder = ViTEncoder(*sizes, **options)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")


def stepper(model: nn.Module, inputs: Sequence[Tensor], precision: str, compiled: bool = False) -> Step:
    """A function that trains `model` for one step."""
    model.train()
    if compiled:
        model.compile(dynamic=False)  # or the models' various masks would count as one input of varying shape
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True)

    def step() -> None:
        with torch.autocast(inputs[0].device.type, DTYPES[precision], enabled=precision != "fp32"):
            loss = model(*inputs)[0]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    return step


def take_turns(steps: dict[str, Step], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every step in every round, after one round that does not count."""
    counts = dict.fromkeys(steps, 1)
    if device.type == "cuda":
        for name, step in steps.items():
            clock(step, 1)
            counts[name] = math.ceil(TURN / clock(step, 3))
    times = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            times[name].append(clock(step, counts[name]))
    return {name: turns[1:] for name, turns in times.items()}


def clock(step: Step, count: int) -> float:
    """How long one of `count` steps takes."""
    synchronize()
    start = time.perf_counter()
    for _ in range(count):
        step()
    synchronize()
    return (time.perf_counter() - start) / count


@contextlib.contextmanager
def noted(errors: dict[str, str], name: str) -> Iterator[None]:
    """Keep the first line of what stops `name`, and go on."""
    try:
        yield
    except Exception as error:
        errors[name] = f"{type(error).__name__}: {error}".splitlines()[0]


if __name__ == "__main__":
    main()
