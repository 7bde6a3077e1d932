"""Images per second of one pre-training step: the course's ViT against transformers' of the same sizes.

    python benchmarks/pretrain_step.py                  on one CPU thread, about three minutes
    python benchmarks/pretrain_step.py --device cuda    on a GPU
    python benchmarks/pretrain_step.py --quick          a check that it runs

A step is forward, backward, clipping and fused AdamW. All models get the same batch and the same masks, and take
turns step by step, so that other work on the machine slows them alike; a ratio is the median over the turns.
`equal` is the course's ViT with absolute positions and a class token, which is transformers' model to the last
weight; `preset` is the course's default, with a relative position bias and no class token.
The second table says which share of a step of vit_nano is spent on its data.
"""

import argparse
import json
import os
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from simmim_lab.common import replace_file
from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.images import load
from simmim_lab.masking import Mask, random_mask
from simmim_lab.simmim import Images, SimMIM

Step = Callable[[], object]

OUT = Path(__file__).parents[1] / "results" / "pretrain_step.json"
MODELS = {  # image side, patch, dim, depth, heads; images in a batch
    "vit_nano": ((32, 4, 64, 4, 2), 64),
    "vit_tiny": ((32, 4, 192, 12, 3), 64),
    "vit_small, 224 px": ((224, 16, 384, 12, 6), 4),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: 1)")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each model takes (default: 9)")
    parser.add_argument("--quick", action="store_true", help="three turns of vit_nano in fp32 alone")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    rounds = 3 if args.quick else args.rounds

    results = {"command": command(arguments), "date": date.today().isoformat(), **machine(device), "steps": []}
    print("images per second       transformers   equal (ratio)    preset (ratio)")
    for name, precision in cases(device, args.quick):
        row = compare(*MODELS[name], precision, device, rounds)
        results["steps"].append({"model": name, "precision": precision, **row})
        print(
            f"{name:<18}{precision:<6}{row['transformers']:12.1f}{row['equal']:10.1f} ({row['equal_ratio']:.2f})"
            f"{row['preset']:10.1f} ({row['preset_ratio']:.2f})"
        )

    results["data"] = data_share(device, rounds)
    print("\nmilliseconds of vit_nano  images   mask    step    share of data")
    print("{:>32.2f}{:>7.2f}{:>8.1f}{:>15.1%}".format(*results["data"].values()))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(args.out, lambda path: path.write_text(json.dumps(results, indent=2) + "\n"))


def cases(device: torch.device, quick: bool) -> list[tuple[str, str]]:
    """The models and precisions to time. A CPU that only emulates bf16 takes ten times longer: one row says it."""
    if quick:
        return [("vit_nano", "fp32")]
    bf16 = MODELS if device.type == "cuda" else ["vit_nano"]
    return [(name, "fp32") for name in MODELS] + [(name, "bf16") for name in bf16]


def compare(
    sizes: tuple[int, ...], batch: int, precision: str, device: torch.device, rounds: int
) -> dict[str, float]:
    """Images per second of the three models, and how many times as many as transformers the course's make."""
    images, mask = example(sizes, batch, device)
    equal, preset = course(sizes, positions="absolute", cls_token=True), course(sizes)
    theirs, normalized = hugging_face(sizes), (images - equal.mean.to(device)) / equal.std.to(device)
    times = take_turns(
        {
            "transformers": stepper(
                theirs, lambda: theirs(normalized, bool_masked_pos=mask.flatten(1)).loss, precision, device
            ),
            "equal": stepper(equal, lambda: equal(images, mask)[0], precision, device),
            "preset": stepper(preset, lambda: preset(images, mask)[0], precision, device),
        },
        rounds,
    )
    speeds = {name: batch / statistics.median(seconds) for name, seconds in times.items()}
    for name in ("equal", "preset"):
        pairs = zip(times["transformers"], times[name], strict=True)
        speeds[f"{name}_ratio"] = statistics.median(theirs / ours for theirs, ours in pairs)
    return speeds


def data_share(device: torch.device, rounds: int) -> dict[str, float]:
    """Milliseconds to draw the images and the masks of a batch of vit_nano, and those of a step with them."""
    sizes, batch = MODELS["vit_nano"]
    photos, generator, model = load("photos").to(device), torch.Generator(device).manual_seed(0), course(sizes)
    images, mask = example(sizes, batch, device)
    times = take_turns(
        {
            "images": lambda: photos.batch(batch, generator),
            "mask": lambda: random_mask(batch, model.encoder.grid, 0.6, generator=generator),
            "step": stepper(model, lambda: model(images, mask)[0], "fp32", device),
        },
        rounds,
    )
    milliseconds = {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
    data = milliseconds["images"] + milliseconds["mask"]
    return {**milliseconds, "share": data / (data + milliseconds["step"])}


def example(sizes: tuple[int, ...], batch: int, device: torch.device) -> tuple[Images, Mask]:
    side, patch, *_ = sizes
    generator = torch.Generator(device).manual_seed(0)
    images = torch.rand(batch, 3, side, side, generator=generator, device=device)
    return images, random_mask(batch, (side // patch, side // patch), 0.6, generator=generator)


def course(sizes: tuple[int, ...], **options) -> SimMIM:
    encoder = ViTEncoder(*sizes, **options)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")


def hugging_face(sizes: tuple[int, ...]) -> transformers.ViTForMaskedImageModeling:
    side, patch, dim, depth, heads = sizes
    config = transformers.ViTConfig(
        image_size=side,
        patch_size=patch,
        encoder_stride=patch,
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        layer_norm_eps=1e-6,
    )
    return transformers.ViTForMaskedImageModeling(config)


def stepper(model: nn.Module, loss: Callable[[], Tensor], precision: str, device: torch.device) -> Step:
    """A function that trains `model` for one step."""
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            value = loss()
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    return step


def take_turns(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step in every round, after one round that does not count."""
    times = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            synchronize()
            start = time.perf_counter()
            step()
            synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: seconds[1:] for name, seconds in times.items()}


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def command(arguments: list[str] | None) -> str:
    return shlex.join(
        ["python", "benchmarks/pretrain_step.py", *(sys.argv[1:] if arguments is None else arguments)]
    )


def machine(device: torch.device) -> dict[str, object]:
    """What a figure must come with to mean something."""
    info = Path("/proc/cpuinfo")  # on Linux, where platform.processor() is empty
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else [platform.processor()]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


if __name__ == "__main__":
    main()
