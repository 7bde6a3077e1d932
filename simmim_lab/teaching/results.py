"""What all benchmarks need: a description of the machine and the command, and a file for the results."""

import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
from datetime import date
from pathlib import Path

import torch

from simmim_lab.common import replace_file

PACKAGES = ("torchvision", "timm", "transformers", "lightly")


def command(script: str, arguments: list[str] | None) -> str:
    """How `script` was started; `arguments` are those that its `main` was called with."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])


def machine(device: str | torch.device = "cpu") -> dict[str, object]:
    """The date, the machine and its load, and the versions: what a figure must come with to mean something."""
    info = Path("/proc/cpuinfo")  # on Linux, where platform.processor() is empty
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else [platform.processor()]
    return {
        "date": date.today().isoformat(),
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "gpu": torch.cuda.get_device_name() if torch.device(device).type == "cuda" else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "packages": versions(PACKAGES),
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    installed = {}
    for package in packages:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def write(results: dict[str, object], path: Path) -> None:
    """Write `results` as JSON, the whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2) + "\n"
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))
