"""What each lesson costs to run, in full and in fast mode: seconds, CPU seconds and peak memory.

    python benchmarks/lessons.py                               all lessons
    python benchmarks/lessons.py notebooks/01_masking.ipynb    one of them; the others keep their figures

Copies are run, one at a time, with one thread of torch as in the tests (OMP_NUM_THREADS changes that). The figures
go into results/lessons.json, and from there into the heads of the lessons. Peak memory is that of the kernel.
"""

import argparse
import json
import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from simmim_lab.teaching import hosting
from simmim_lab.teaching.comparison import exempt
from simmim_lab.teaching.results import command, origin, write

ROOT = Path(__file__).parents[1]
# The last cell of a copy prints the CPU seconds of the kernel and its children, and its peak memory in bytes.
SPENT = """
import json, os, re, resource
try:
    size = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
except FileNotFoundError:  # macOS. On Linux this would start at the memory of the process that started the kernel.
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([sum(os.times()[:4]), size]))"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON")
    paths = parser.parse_args(arguments).lessons or hosting.lessons(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print("seconds, CPU seconds, GB        full                   fast")
    for path in map(Path.resolve, paths):
        print(f"{path.stem:<24}", end="", flush=True)
        info = origin(command(__file__, arguments)) | {"threads": int(os.environ["OMP_NUM_THREADS"])}
        costs = {mode: run(path, fast=mode == "fast") for mode in ("full", "fast")}
        record(path, {**info, **counts(path), **costs})
        hosting.update(path.parents[1])


def run(path: Path, fast: bool) -> dict[str, float]:
    """Execute a copy of the lesson, and return what it cost from the start of its kernel to its end."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(SPENT))
    environment = {**os.environ, "SIMMIM_LAB_FAST": "1" if fast else ""}
    start = time.perf_counter()
    options = {"timeout": None, "extra_arguments": ["--log-level=ERROR"]}
    NotebookClient(notebook, resources={"metadata": {"path": path.parent}}, **options).execute(env=environment)
    seconds = time.perf_counter() - start
    cpu_seconds, size = json.loads(notebook.cells[-1].outputs[0].text)
    print(f"{seconds:8.1f}{cpu_seconds:8.1f}{size / 1e9:7.2f}", end="\n" if fast else "", flush=True)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "gigabytes": size / 1e9}


def counts(path: Path) -> dict[str, int]:
    """How many code cells the tests compare with their stored outputs, and how many are exempt."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    left_out = sum(map(exempt, cells))
    return {"compared_cells": len(cells) - left_out, "exempt_cells": left_out}


def record(path: Path, cost: dict[str, object]) -> None:
    """Write the costs of a lesson into results/lessons.json, beside those of the others."""
    results = path.parents[1] / "results" / "lessons.json"
    costs = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    write(dict(sorted({**costs, path.stem: cost}.items())), results)


if __name__ == "__main__":
    main()
