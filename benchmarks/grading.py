"""Seconds that a class takes to grade.

    python benchmarks/grading.py

A class of 20 synthetic students hands in one exercise set: each task is answered as in solutions/, three times out
of four, or left as it is. Their notebooks are collected, graded, given feedback and exported with nbgrader.
"""

import argparse
import copy
import random
import shutil
import tempfile
import time
from pathlib import Path

import nbformat
import torch

from simmim_lab.teaching import grading
from simmim_lab.teaching.collect import collect
from simmim_lab.teaching.results import command, origin, write

ROOT = Path(__file__).parents[1]
ANSWERED = 0.75  # of the tasks


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=20, help="size of the class (default: 20)")
    parser.add_argument("--set", default="01_masking", help="the exercise set they hand in (default: 01_masking)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "grading.json")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    measured = grade_class(args.set, args.students)
    print(measured)
    write({**origin(command(__file__, arguments)), "class": measured}, args.out)


def grade_class(name: str, students: int) -> dict[str, object]:
    """Seconds that each step takes, for a copy of the course in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root, inbox = Path(folder) / "course", Path(folder) / "inbox"
        for part in ("solutions", "exercises"):
            shutil.copytree(ROOT / part / name, root / part / name)
        shutil.copy(ROOT / "nbgrader_config.py", root)
        stub, solution = (
            nbformat.read(root / part / name / f"{name}.ipynb", as_version=4)
            for part in ("exercises", "solutions")
        )
        for student in range(students):
            path = inbox / f"student{student:02}" / f"{name}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(answered(stub, solution, random.Random(student)), path)
        steps = {
            "collect": lambda: collect(root, inbox),
            "grade": lambda: grading.grade(root, [name]),
            "feedback": lambda: grading.feedback(root, [name]),
            "export": lambda: grading.export(root, [name]),
        }
        seconds = {}
        for step, run in steps.items():
            start = time.perf_counter()
            run()
            seconds[f"{step}_seconds"] = round(time.perf_counter() - start, 1)
    return {"set": name, "students": students, **seconds}


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
