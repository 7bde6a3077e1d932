"""What this machine can do for a class: a line for each thing, and whether it grades with isolation."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

import psutil

from simmim_lab.teaching.isolation.bubblewrap import GIB
from simmim_lab.teaching.isolation.sandbox import missing

JOB = 3 * GIB  # that a job of `simmim-course grade` may take: the checks, and a student's code at its limit


def examine() -> tuple[list[str], bool]:
    """The lines, and whether this machine can grade with isolation."""
    why = missing() or _failure()
    memory, cores = psutil.virtual_memory(), os.cpu_count() or 1
    jobs = max(1, min(cores, memory.available // JOB))
    lines = {
        "isolation": f"no: {why}" if why else f"yes: {_bubblewrap()}",
        "memory": f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f} GiB",
        "cores": f"{cores}, so grade with --jobs {jobs}",
        "nbgrader": _version("nbgrader"),
        "PyTorch": _version("torch"),
        "Python": f"{platform.python_version()} on {platform.platform(terse=True)}",
    }
    return [f"{name:<10} {line}" for name, line in lines.items()], why is None


def _failure() -> str | None:
    """Why the code of a student does not run although a sandbox starts; None: it runs."""
    from simmim_lab.teaching.isolation.session import Session  # only here, for it loads PyTorch

    try:
        with Session("01_masking") as session:
            error = session.run("import torch; torch.ones(1)").error
    except RuntimeError as reason:
        return str(reason)
    return error and f"PyTorch does not run in it ({error}): install the course anew"


def _bubblewrap() -> str:
    said = subprocess.run(["bwrap", "--version"], capture_output=True, text=True).stdout.strip()
    return f"{said}, started by {'root' if os.geteuid() == 0 else 'a user without rights'}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing: pip install 'simmim-lab[teaching]'"
