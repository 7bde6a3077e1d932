"""Seconds and memory that a class takes to grade.

    python benchmarks/grading.py

A class of 200 synthetic students hands in one exercise set: each task is answered as in solutions/, three times
out of four, or left as it is. Their notebooks are collected, graded, given feedback and exported with
`simmim-course`, whose processes are looked at ten times a second. `collect` is also tried with a tenth of them.
"""

import argparse
import copy
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import nbformat
import psutil
import torch

from simmim_lab.teaching.results import command, origin, write

ROOT = Path(__file__).parents[1]
ANSWERED = 0.75  # of the tasks
PAUSE = 0.1  # seconds between two looks
WORKER = "/program/worker.py"  # what runs a student's code


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=200, help="size of the class (default: 200)")
    parser.add_argument("--set", default="01_masking", help="the exercise set they hand in (default: 01_masking)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "grading.json")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        steps = grade_class(Path(folder), args.set, args.students)
    totals = {f"{name}_seconds": steps[name]["seconds"] for name in ("collect", "grade", "feedback", "export")}
    measured = {"class": {"set": args.set, "students": args.students, **totals}, "steps": steps}
    print(json.dumps(measured, indent=2))
    write({**origin(command(__file__, arguments)), **measured}, args.out)


def grade_class(folder: Path, name: str, students: int) -> dict[str, dict[str, object]]:
    """What each step takes, for a copy of the course."""
    root, inbox, few = folder / "course", folder / "inbox", folder / "few"
    for part in ("simmim_lab", f"solutions/{name}", f"exercises/{name}"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    shutil.copy(ROOT / "nbgrader_config.py", root)
    stub, solution = (
        nbformat.read(root / part / name / f"{name}.ipynb", as_version=4) for part in ("exercises", "solutions")
    )
    for student in range(students):
        path = Path(f"student{student:03}") / f"{name}.ipynb"
        for place in (inbox, few) if student % 10 == 0 else (inbox,):
            (place / path).parent.mkdir(parents=True)
            nbformat.write(answered(stub, solution, random.Random(student)), place / path)
    grading = root / "grading"
    steps = {"collect, a tenth of the class": run(root, "collect", few)}
    shutil.rmtree(grading)
    steps["collect"] = run(root, "collect", inbox) | pace(grading / "submitted", ".ipynb")
    steps["grade"] = run(root, "grade", name) | pace(grading / "autograded", ".ipynb")
    steps["feedback"] = run(root, "feedback", name) | pace(grading / "feedback", ".html")
    steps["export"] = run(root, "export", name)
    steps["grade --jobs 2"] = run(root, "grade", name, "--all", "--yes", "--jobs", 2)
    return steps


def run(root: Path, *words: object) -> dict[str, object]:
    """Seconds of a command by the clock, of all its processes by theirs, and memory by sorts of process."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "simmim_lab.teaching", *map(str, words)],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    watched, seconds, memory = psutil.Process(process.pid), {}, defaultdict(int)
    while process.poll() is None:
        look(watched, seconds, memory)
        time.sleep(PAUSE)
    if process.returncode == 2:
        raise RuntimeError(f"simmim-course {' '.join(map(str, words))} did not work")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "core_seconds": round(sum(seconds.values()), 1),
        "memory_mb": {sort: round(size / 1e6) for sort, size in sorted(memory.items())},
    }


def look(command: psutil.Process, seconds: dict[tuple, float], memory: dict[str, int]) -> None:
    """Note what all processes of a command have taken so far."""
    sizes = defaultdict(list)
    for process in [command, *command.children(recursive=True)]:
        try:
            with process.oneshot():
                sort = "worker" if WORKER in process.cmdline() else "command" if process == command else "job"
                times = process.cpu_times()
                seconds[process.pid, process.create_time()] = times.user + times.system
                sizes[sort].append(process.memory_info().rss)
        except psutil.Error:
            continue
    for sort, each in sizes.items():
        memory[sort] = max(memory[sort], *each)
    memory["all together"] = max(memory["all together"], sum(map(sum, sizes.values())))


def pace(folder: Path, ending: str) -> dict[str, float]:
    """Seconds from one student's file to the next: the median, and what 95 of 100 stay below."""
    times = sorted(path.stat().st_mtime for path in folder.rglob(f"*{ending}"))
    steps = [later - earlier for earlier, later in pairwise(times)] or [0.0]
    p95 = statistics.quantiles(steps, n=20, method="inclusive")[-1] if len(steps) > 1 else steps[0]
    return {"median": round(statistics.median(steps), 2), "p95": round(p95, 2)}


def answered(
    stub: nbformat.NotebookNode, solution: nbformat.NotebookNode, chance: random.Random
) -> nbformat.NotebookNode:
    """The exercise as a student hands it in."""
    answers = {cell.metadata.nbgrader.grade_id: cell.source for cell in solution.cells if _is_answer(cell)}
    notebook = copy.deepcopy(stub)
    for cell in notebook.cells:
        if _is_answer(cell) and chance.random() < ANSWERED:
            cell.source = answers[cell.metadata.nbgrader.grade_id]
    return notebook


def _is_answer(cell: nbformat.NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


if __name__ == "__main__":
    main()
