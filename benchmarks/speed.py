"""Where the time of a training step goes, and what each speed-up gains: what lesson 06 shows of a machine.

    python benchmarks/speed.py                                   vit_nano on one CPU thread, about two minutes
    python benchmarks/speed.py --device cuda --preset vit_tiny   on a GPU, about three minutes
    python benchmarks/speed.py --quick                           a check that it runs

Writes, under the name of the machine: the images per second on each rung of `simmim_lab.speedups`; the shares of
the time of a step; the roofline, which is the rate of matrix products of many sizes and of copies; and the memory
that a step takes, by hand and measured. What other machines measured stays in the file.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from simmim_lab.budget import activation_bytes, matmul_rate, memory_rate, state_bytes, time_shares, trace
from simmim_lab.hardware import autocast, precision
from simmim_lab.images import load
from simmim_lab.loop import train_step
from simmim_lab.masking import random_mask
from simmim_lab.simmim import SimMIM
from simmim_lab.speedups import RUNGS, climb
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "speed.json"
SIZES = {"cpu": (16, 64, 256, 1024), "cuda": (64, 128, 256, 512, 1024, 2048, 4096, 8192)}
BATCHES = {"vit_nano": 64, "vit_tiny": 512, "vit_small": 512}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--preset", choices=BATCHES, default="vit_nano")
    parser.add_argument("--steps", type=int, default=50, help="steps timed on each rung (default: 50)")
    parser.add_argument("--quick", action="store_true", help="two steps, nothing compiled")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    device, batch_size = torch.device(args.device), BATCHES[args.preset]
    steps, top = (2, "fused AdamW") if args.quick else (args.steps, RUNGS[-1])
    torch.set_num_threads(1)

    measured = origin(command(__file__, arguments), device)
    measured |= {"preset": args.preset, "batch": batch_size, "precision": str(precision(device))}
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    pieces = {
        "time_shares": lambda: time_shares(trace(stepper(args.preset, batch_size, device), device)),
        "memory": lambda: memory(args.preset, batch_size, device),
        "roofline": lambda: roofline(device),
        "images_per_second": lambda: climb(args.preset, load("photos"), batch_size, device, steps=steps, top=top),
    }
    for name, measure in pieces.items():
        measured[name] = measure()
        write({**results, measured["gpu"] or measured["cpu"]: measured}, args.out)
    report(measured)


def stepper(preset: str, batch_size: int, device: torch.device) -> Callable[[], object]:
    """A function that takes one step, as fast as it goes without compiling."""
    model = SimMIM.preset(preset).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images, mask = example(model, batch_size, device)

    return partial(train_step, model, optimizer, (images, mask), lr=1e-3, clip=5.0)


def example(model: SimMIM, batch_size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator(device).manual_seed(0)
    images = torch.rand(batch_size, 3, *model.encoder.image_size, generator=generator, device=device)
    return images, random_mask(batch_size, model.encoder.grid, 0.6, generator=generator)


def memory(preset: str, batch_size: int, device: torch.device) -> dict[str, int | None]:
    """Bytes of the training state and of what the forward pass keeps, and on a GPU the peak of a real step."""
    model = SimMIM.preset(preset).to(device)
    with autocast(device):
        kept = activation_bytes(model, *example(model, batch_size, device))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    peak = None
    if device.type == "cuda":
        step = stepper(preset, batch_size, device)
        step()
        torch.cuda.reset_peak_memory_stats(device)
        step()
        peak = torch.cuda.max_memory_allocated(device)
    return {"parameters": parameters, "state": state_bytes(parameters), "activations": kept, "peak": peak}


def roofline(device: torch.device) -> dict[str, object]:
    """FLOP per second in products of square matrices, by their size, and bytes per second in copies."""
    dtype = precision(device)
    rates = {size: matmul_rate(device, dtype, size=size, seconds=0.3) for size in SIZES[device.type]}
    return {"flops": rates, "bytes_per_number": dtype.itemsize, "bandwidth": memory_rate(device)}


def report(measured: dict) -> None:
    start = next(iter(measured["images_per_second"].values()))
    for rung, rate in measured["images_per_second"].items():
        print(f"{rung:14}{rate:>12,.0f} images/s{rate / start:>8.2f} x, 50,000 images in{50_000 / rate:>8.1f} s")
    print()
    for kind, share in measured["time_shares"].items():
        print(f"{kind:24}{share:>6.1%}")
    print()
    for size, rate in measured["roofline"]["flops"].items():
        print(f"{size:>5} x {size:<5}{rate / 1e9:>12,.1f} GFLOP/s")
    print(f"copies{measured['roofline']['bandwidth'] / 1e9:>17,.1f} GB/s")
    print({name: value and f"{value / 1e6:,.1f} M" for name, value in measured["memory"].items()})


if __name__ == "__main__":
    main()
