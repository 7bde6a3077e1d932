"""The files in results/: where a figure comes from, and how it is written."""

import json
import shlex
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

import torch

from simmim_lab import hardware
from simmim_lab.common import replace_file

PACKAGES = ("torchvision", "timm", "transformers", "lightly")


def command(script: str, arguments: list[str] | None) -> str:
    """How a benchmark was started: `script` is its `__file__`, `arguments` are what its `main` was called with."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])


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
