"""The files in results/: how a benchmark is started, where a figure comes from, and how it is written."""

import argparse
import json
import shlex
import sys
import time
from contextlib import AbstractContextManager
from datetime import date
from importlib import metadata
from pathlib import Path
from unittest import mock

import torch

from simmim_lab import hardware
from simmim_lab.common import replace_file

PACKAGES = ("torchvision", "timm", "transformers", "lightly")


def command(script: str, arguments: list[str] | None) -> str:
    """How a benchmark was started: `script` is its `__file__`, `arguments` are what its `main` was called with."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])


def race_options(doc: str, out: Path, seconds: float, arguments: list[str] | None) -> argparse.Namespace:
    """The options of a benchmark that trains several networks for equal seconds of one core."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    of_each = f"of one core, for each run (default: {seconds:g})"
    parser.add_argument("--seconds", type=float, default=seconds, help=of_each)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--quick", action="store_true", help="one seed, one second")
    parser.add_argument("--out", type=Path, default=out, help=f"file to write (default: results/{out.name})")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.seeds = 1.0, [0]
    return options


def processor_clock() -> AbstractContextManager:
    """Within it a training counts the seconds of the processor, so that other work does not shorten it."""
    return mock.patch.object(time, "monotonic", time.process_time)


def origin(command: str, device: str | torch.device = "cpu") -> dict[str, object]:
    """What figures must come with to mean something: command, date, machine and versions."""
    packages = {"packages": versions(PACKAGES)}
    return {"command": command, "date": date.today().isoformat(), **hardware.machine(device), **packages}


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    installed = {}
    for package in packages:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def write(results: dict[str, object], path: Path) -> None:
    """Write `results` as JSON, the whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2) + "\n"
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))
