"""Images per second of a pre-training step: the course's ViT against three peers of the same sizes.

    python benchmarks/pretrain_step.py                  on one CPU thread, about six minutes
    python benchmarks/pretrain_step.py --device cuda    on a GPU, about eight minutes
    python benchmarks/pretrain_step.py --quick          a check that it runs

The peers are transformers' `ViTForMaskedImageModeling`; timm's `VisionTransformer`, masked and decoded as the
official code does it; and lightly's SimMIM example on torchvision's `VisionTransformer`, which decodes hidden
tokens alone. On a GPU the paper's Swin-B runs too, against that of transformers and that of timm. `equal` is the
course's network with the parts of the peers', the same model to the last weight; `preset` is the course's default:
of a ViT, with a relative position bias and no class token. Its bias is learned, and on a CPU PyTorch's fused
attention takes only one that is fixed: in fp32 this costs some speed.

A step is forward (L1 on hidden pixels), backward, clipping and fused AdamW, the same for all. They get the same
batch and the same masks; the peers' images are normalised beforehand, the course's models do it in the step.
All take turns, so that other work on the machine slows them alike. A turn is one step on a CPU. On a GPU it is as
many as fill a third of a second, before one wait: a wait after each would time how fast Python launches kernels.
There each model has a process of its own: all compile at once, and what breaks one stops no other. `trained` is
`preset` once more, in the step that `pretrain` takes, with all that speeds it up on this machine; `best` sets the
faster of its rows, eager or compiled, beside the fastest peer's, eager or compiled.

    images/s  median over the turns
    ratio     to the images/s of the fastest peer, median over the turns
    of peak   FLOP per second of the blocks (`budget.vit_flops`, times three for a step), as a share of what a
              product of large matrices reaches on this machine (not for bf16 on a CPU, which may emulate it)
    GB        memory that a step takes from a GPU: for weights, gradients, AdamW's averages and activations

What stops a model, such as too little memory or a failed compilation, is noted in its row, and the rest goes on.
On a GPU a row also has the shares of the time of a step, before (`preset`) and after (`trained`); rows without
errors are not measured again: after an interruption the same command goes on. The last table, on a CPU, says which
share of a step of the smallest model is spent on its data.
"""

import argparse
import contextlib
import gc
import itertools
import json
import logging
import math
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from apart import Apart
from peers import (
    PEERS,
    WINDOW,
    LightlySimMIM,
    Sizes,
    SwinSizes,
    TimmSimMIM,
    TimmSwinSimMIM,
    hugging_face,
    hugging_face_swin,
    installed,
)
from torch import Tensor, nn
from torchvision.transforms.functional import normalize

from simmim_lab import hardware
from simmim_lab.autotune import clock
from simmim_lab.backbones import TimmEncoder
from simmim_lab.budget import matmul_rate, time_shares, trace, training_flops, vit_flops
from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.hardware import Execution
from simmim_lab.images import load
from simmim_lab.loop import READ_EVERY, Run, parameter_groups
from simmim_lab.masking import random_mask
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD, PRESETS, SimMIM
from simmim_lab.swin import SwinEncoder
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.training import Recipe

Step = Callable[[], object]
Turn = Callable[[], float]  # takes some steps, and returns the seconds of each

OUT = Path(__file__).parents[1] / "results" / "pretrain_step.json"
MODELS = {  # sizes; images in a batch
    "vit_nano": ((32, 4, 64, 4, 2), 64),
    "vit_tiny": ((32, 4, 192, 12, 3), 64),
    "vit_small": ((224, 16, 384, 12, 6), 4),
}
GPU_MODELS = {
    "vit_tiny": ((32, 4, 192, 12, 3), 512),
    "vit_base": ((224, 16, 768, 12, 12), 128),
    "swin_base": ((192, 4, 128, (2, 2, 18, 2), (4, 8, 16, 32)), 64),
}
TRAINED = "trained"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TURN = 0.33  # seconds, on a GPU
LAST_WORDS = 10  # seconds before the end, when the processes on a GPU must have ended
LEAST = {False: 30, True: 100}  # seconds that a row on a GPU takes at least, compiled or not


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    torch.set_num_threads(args.threads)
    missing = [peer for peer in PEERS if not installed(peer)]
    for peer in missing:
        print(f"{peer} is not installed and left out; to include it: pip install {peer}")
    results = {**origin(command(__file__, arguments), args.device), "missing": missing, "steps": []}
    if args.device == "cuda":
        race_on_gpu(results, args)
    else:
        race_on_cpu(results, args)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: 1)")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each model takes (default: 9)")
    parser.add_argument("--compile", action="store_true", help="compiled models too; on a GPU they always are")
    parser.add_argument("--minutes", type=float, default=10, help="on a GPU, at most (default: 10)")
    parser.add_argument("--quick", action="store_true", help="three turns of vit_nano in fp32 alone, on the CPU")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    if args.quick:
        args.device = "cpu"
    return args


# On a CPU: all in one process


def race_on_cpu(results: dict, args: argparse.Namespace) -> None:
    rounds = 3 if args.quick else args.rounds
    for name, precision, compiled in cases(args.compile, args.quick):
        sizes, batch = MODELS[name]
        row = {"model": name, "precision": precision, "compiled": compiled, "batch": batch, "errors": {}}
        with noted(row["errors"], "all"):
            times = side_by_side(sizes, batch, precision, compiled, rounds, row["errors"])
            row |= dict.fromkeys(row["errors"]) | figures(times, batch)
            if precision == "fp32":  # bf16 that a CPU emulates has no one peak
                row |= shares(sizes, batch, times, matmul_rate("cpu", torch.float32))
        if compiled:
            torch.compiler.reset()  # forgets the models of this row
        show(row)
        results["steps"].append(row)
        write(results, args.out)  # after each row: a run that is cut off keeps what it has

    name = next(iter(MODELS))
    results["data"] = {"model": name, **data_share(*MODELS[name], rounds)}
    print("\n            milliseconds of    images     mask     step   share of data")
    print("{:>27}{:>10.2f}{:>9.2f}{:>9.1f}{:>16.1%}".format(*results["data"].values()))
    write(results, args.out)


def cases(compile: bool, quick: bool) -> list[tuple[str, str, bool]]:
    """Model, precision, compiled or not. A CPU that only emulates bf16 takes ten times longer: one row says it."""
    eager = [("vit_nano", "fp32", False)]
    if not quick:
        eager += [("vit_tiny", "fp32", False), ("vit_small", "fp32", False), ("vit_nano", "bf16", False)]
    return eager + [(name, precision, True) for name, precision, _ in eager if compile]


def side_by_side(
    sizes: Sizes, batch: int, precision: str, compiled: bool, rounds: int, errors: dict[str, str]
) -> dict[str, list[float]]:
    """Seconds of a step of each model, turn by turn."""
    turns = {}
    for name, (build, *inputs) in contestants(sizes, *example(sizes, batch, "cpu")).items():
        with noted(errors, name):
            step = stepper(build(sizes), inputs, precision, compiled)
            step()  # compiles, and makes AdamW's averages
            turns[name] = partial(clock, step, 1)
    return take_turns(turns, rounds)


# On a GPU: each model in a process of its own


def race_on_gpu(results: dict, args: argparse.Namespace) -> None:
    results["steps"] = finished(args.out, results)
    precision = "bf16" if hardware.precision(torch.device("cuda")) == torch.bfloat16 else "fp16"
    with Apart(60 * args.minutes - LAST_WORDS) as apart:
        for compiled, name in itertools.product((False, True), GPU_MODELS):
            sizes, batch = GPU_MODELS[name]
            row = {"model": name, "precision": precision, "compiled": compiled, "batch": batch}
            if any(row.items() <= done.items() for done in results["steps"]):
                continue
            if apart.left() < LEAST[compiled]:
                print("Time is over: the same command goes on.")
                break
            row["errors"] = {}
            with noted(row["errors"], "all"):
                setting = sizes, batch, precision, compiled, torch.device("cuda")
                times, facts = far_apart(apart, setting, args.rounds, row["errors"])
                row |= dict.fromkeys(row["errors"]) | figures(times, batch) | facts
                if isinstance(sizes[3], int):  # a Swin is no stack of equal blocks
                    row |= shares(sizes, batch, times, matmul_rate("cuda", DTYPES[precision]))
            show(row)
            results["steps"].append(row)
            results["best"] = best(results["steps"])
            write(results, args.out)
    for name, found in best(results["steps"]).items():
        print(f"{name}: {found['ratio']:.2f} times the images/s of the fastest peer")


def finished(out: Path, facts: dict[str, object]) -> list[dict]:
    """The rows without errors that this machine and this PyTorch have written before."""
    kept = json.loads(out.read_text()) if out.exists() else {}
    if any(kept.get(name) != facts[name] for name in ("gpu", "torch")):
        return []
    return [row for row in kept["steps"] if not row["errors"]]


def far_apart(
    apart: Apart, setting: tuple, rounds: int, errors: dict[str, str]
) -> tuple[dict[str, list[float]], dict[str, object]]:
    """As `side_by_side`; and the memory of a step, what was tuned for it, and where the time of ours goes."""
    sizes, *_ = setting
    names = [*contestants(sizes, *example(sizes, 1, "cpu")), TRAINED]
    cores = max(1, os.cpu_count() // len(names))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(cores))  # of each process
    calls = {name: apart.submit(name, prepare, name, *setting) for name in names}
    ready = {}
    for name, call in calls.items():
        with noted(errors, name):
            ready[name] = call.result()
    # Once more, one by one: what failed, since there may not have been memory for all; and ours, which is tuned by
    # the clock, and so wants a quiet GPU. What was compiled for it lies in PyTorch's cache.
    for name in dict.fromkeys([*errors, TRAINED]):
        if name in errors:
            apart.restart(name)
            del errors[name]
        with noted(errors, name):
            ready[name] = apart.submit(name, prepare, name, *setting).result()
    ready = {name: found for name, found in ready.items() if name not in errors}

    times = take_turns({name: partial(_result, apart, name, turn) for name in ready}, rounds)
    facts: dict[str, object] = {f"{name}_gb": gigabytes for name, (gigabytes, _) in ready.items() if gigabytes}
    facts |= {"tuned": ready[TRAINED][1]} if TRAINED in ready else {}
    facts["time_shares"] = shares_of_time = {}
    for name in [name for name in ("preset", TRAINED) if name in ready]:
        with noted(shares_of_time, name):  # a profiler that may not look is no error of the row
            shares_of_time[name] = _result(apart, name, where_time_goes)
    return times, facts


def _result(apart: Apart, name: str, function: Callable) -> object:
    return apart.submit(name, function).result()


prepared: tuple[Step, int, torch.device] | None = None  # in a process of its own: a step, how many fill a turn


def prepare(
    name: str, sizes: Sizes | SwinSizes, batch: int, precision: str, compiled: bool, device: torch.device
) -> tuple[float, list[str]]:
    """Make the step of a model and take it; the GB that one takes from a GPU, and what was tuned for it."""
    global prepared
    prepared = None
    torch.compiler.reset()
    gc.collect()
    build, *inputs = contestants(sizes, *example(sizes, batch, device))["preset" if name == TRAINED else name]
    model = build(sizes).to(device)
    step = trained(model, inputs, compiled) if name == TRAINED else stepper(model, inputs, precision, compiled)
    with told("simmim_lab.autotune") as tuned:
        step()  # compiles, and makes AdamW's averages
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        step()
    prepared = step, 3, device
    peak = torch.cuda.max_memory_reserved()  # 0 without a GPU; what a CUDA graph keeps does not count as allocated
    torch.cuda.empty_cache()  # the others need it
    return round(peak / 1e9, 3), tuned


@contextlib.contextmanager
def told(logger: str) -> Iterator[list[str]]:
    """What is logged within."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log = logging.getLogger(logger)
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield lines
    finally:
        log.removeHandler(handler)


def turn() -> float:
    """The seconds of a step, when as many are taken as fill `TURN`, behind one that gets its memory."""
    global prepared
    step, count, device = prepared
    step()
    seconds = clock(step, count)
    prepared = step, math.ceil(TURN / seconds), device
    torch.cuda.empty_cache()
    return seconds


def where_time_goes() -> dict[str, float]:
    step, _, device = prepared
    return {kind: round(share, 4) for kind, share in time_shares(trace(step, device)).items()}


def trained(model: SimMIM, inputs: Sequence[Tensor], compiled: bool) -> Step:
    """A function that takes the step of `pretrain`, as fast as this machine takes it."""
    images, mask = inputs
    recipe = Recipe(steps=10**9, batch_size=len(images), lr=1e-4, clip=5.0)
    run = Run(model, recipe, Execution(compile=compiled), parameter_groups, {}, None)
    opened = run.opened()
    opened.__enter__()
    numbers, weight = itertools.count(), mask.sum()

    def step(opened: object = opened) -> None:  # as long as there is a step, its run stays open
        run.step(next(numbers), (images, mask), weight, 1e-4)
        if len(run.readings) == READ_EVERY:
            run.read()

    return step


def best(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Of each model our training beside the fastest peer, each eager or compiled, whichever is faster."""
    found = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        of_model = [row for row in rows if row["model"] == model]
        ours, peer = (
            max(row.get(name) or 0 for row in of_model for name in names) for names in ([TRAINED], PEERS)
        )
        if ours and peer:
            share = max(row.get(f"{TRAINED}_share") or 0 for row in of_model)
            found[model] = {"trained": ours, "peer": peer, "ratio": round(ours / peer, 3), "share": share}
    return found


# What both have in common


def figures(times: dict[str, list[float]], batch: int) -> dict[str, object]:
    """Images per second, and the ratio to the fastest peer."""
    row = {name: round(batch / statistics.median(turns), 2) for name, turns in times.items()}
    fastest = max((peer for peer in PEERS if peer in times), key=row.get, default=None)
    for name, turns in times.items() if fastest else ():
        pairs = zip(times[fastest], turns, strict=True)
        row[f"{name}_ratio"] = round(statistics.median(theirs / own for theirs, own in pairs), 3)
    return {**row, "fastest_peer": fastest}


def shares(sizes: Sizes, batch: int, times: dict[str, list[float]], rate: float) -> dict[str, float]:
    """How near a step of each model comes to `rate`, the peak in FLOP per second."""
    work = batch * training_flops(vit_flops(*sizes[:4]))
    row = {f"{name}_share": round(work / statistics.median(turns) / rate, 4) for name, turns in times.items()}
    return {**row, "matmul_rate": rate}


def show(row: dict[str, object]) -> None:
    mode = "compiled" if row["compiled"] else "eager"
    title = f"{row['model']}, batch {row['batch']}, {row['precision']}, {mode}"
    names = [name for name in (*PEERS, "equal", "preset", TRAINED) if name in row]
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


def data_share(sizes: Sizes, batch: int, rounds: int) -> dict[str, float]:
    """Milliseconds to draw the images and the masks of a batch, and those of a step of the course's model."""
    photos, generator = load("photos"), torch.Generator().manual_seed(0)
    model = course(sizes)
    steps = {
        "images": lambda: photos.batch(batch, generator),
        "mask": lambda: random_mask(batch, model.encoder.grid, 0.6, generator=generator),
        "step": stepper(model, example(sizes, batch, "cpu"), "fp32"),
    }
    times = take_turns({name: partial(clock, step, 1) for name, step in steps.items()}, rounds)
    milliseconds = {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
    data = milliseconds["images"] + milliseconds["mask"]
    return {**milliseconds, "share": data / (data + milliseconds["step"])}


def example(sizes: Sizes | SwinSizes, batch: int, device: torch.device | str) -> tuple[Images, Mask]:
    side, patch, *_ = sizes
    generator = torch.Generator(device).manual_seed(0)
    images = torch.rand(batch, 3, side, side, generator=generator, device=device)
    return images, random_mask(batch, (side // patch, side // patch), 0.6, generator=generator)


def contestants(sizes: Sizes | SwinSizes, images: Images, mask: Mask) -> dict[str, tuple]:
    """How each model is built from its sizes, and the inputs of its forward pass, which returns the loss first."""
    normalized, flat = normalize(images, IMAGENET_MEAN, IMAGENET_STD), mask.flatten(1)
    if not isinstance(sizes[3], int):
        peers = {"transformers": (hugging_face_swin, normalized, flat), "timm": (TimmSwinSimMIM, normalized, mask)}
        ours = {"equal": (course_swin, images, mask), "preset": (preset_swin, images, mask)}
    else:
        hidden = 1 + flat.nonzero()[:, 1].view(len(mask), -1)  # places in the sequence, behind the class token
        peers = {
            "transformers": (hugging_face, normalized, flat),
            "timm": (TimmSimMIM, normalized, mask),
            "lightly": (LightlySimMIM, normalized, hidden),
        }
        equal = partial(course, positions="absolute", cls_token=True)
        ours = {"equal": (equal, images, mask), "preset": (course, images, mask)}
    return {name: peer for name, peer in peers.items() if installed(name)} | ours


def course(sizes: Sizes, **options) -> SimMIM:
    return with_head(ViTEncoder(*sizes, **options))


def course_swin(sizes: SwinSizes) -> SimMIM:
    return with_head(SwinEncoder(*sizes, window=WINDOW))


def preset_swin(sizes: SwinSizes) -> SimMIM:
    """The preset `swin_base`, in any size."""
    side, patch, dim, depths, heads = sizes
    options = {**PRESETS["swin_base"]["encoder"], "image_size": side, "patch_size": patch}
    del options["kind"]
    return with_head(TimmEncoder(**options, embed_dim=dim, depths=depths, num_heads=heads))


def with_head(encoder: nn.Module) -> SimMIM:
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


def take_turns(turns: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of each in every round, after one round that does not count."""
    times = {name: [] for name in turns}
    for _ in range(rounds + 1):
        for name, turn in turns.items():
            times[name].append(turn())
    return {name: seconds[1:] for name, seconds in times.items()}


@contextlib.contextmanager
def noted(errors: dict[str, str], name: str) -> Iterator[None]:
    """Keep the first line of what stops `name`, and go on."""
    try:
        yield
    except Exception as error:
        errors[name] = f"{type(error).__name__}: {error}".splitlines()[0]


if __name__ == "__main__":
    main()
