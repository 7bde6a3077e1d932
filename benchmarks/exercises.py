"""How well the checks of the exercises know right from wrong, and how long a class takes to grade.

    python benchmarks/exercises.py

The catalogue of answers in tests/answers is put to every check and every hidden test, on five seeds each. Then a
class of 20 synthetic students, with answers drawn from the catalogue, is collected, graded, given feedback and
exported with nbgrader.
"""

import argparse
import contextlib
import copy
import io
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import torch

from simmim_lab import checks
from simmim_lab.checks.core import Failed
from simmim_lab.teaching.results import command, machine, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from answers import RIGHT, WRONG, source, words  # noqa: E402


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="inputs for each answer (default: 5)")
    parser.add_argument("--students", type=int, default=20, help="size of the class (default: 20)")
    parser.add_argument("--set", default="01_masking", help="the exercise set they hand in (default: 01_masking)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "exercises.json")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    results = {"command": command(__file__, arguments), **machine(), "seeds": args.seeds}
    results["tasks"] = {name: judge(name, range(args.seeds)) for name in checks.TASKS}
    rows = results["tasks"].values()
    results["total"] = {key: sum(row[key] for row in rows) for key in ("caught", "mutants", "accepted", "right")}
    results["total"]["slowest_check_seconds"] = max(row["seconds"] for row in rows)
    print(results["total"])
    results["class"] = grade_class(args.set, args.students)
    print(results["class"])
    write(results, args.out)


def judge(name: str, seeds: range) -> dict:
    """How many wrong answers got their own message on every seed, how many right ones passed, and the time."""
    check = checks.TASKS[name]

    def says(answer, seed: int) -> str:
        try:
            check.grade(answer, seed)
        except Failed as failed:
            return str(failed)
        return ""

    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        for answer in RIGHT[name]:
            check(answer)
    seconds = (time.perf_counter() - start) / len(RIGHT[name])
    return {
        "caught": sum(
            all(words(message) in words(says(answer, seed)) for seed in seeds) for answer, message in WRONG[name]
        ),
        "mutants": len(WRONG[name]),
        "accepted": sum(all(says(answer, seed) == "" for seed in seeds) for answer in RIGHT[name]),
        "right": len(RIGHT[name]),
        "seconds": round(seconds, 4),
    }


def grade_class(name: str, students: int) -> dict:
    """Seconds that each step takes for a class whose answers are drawn from the catalogue."""
    from simmim_lab.teaching import grading
    from simmim_lab.teaching.collect import collect

    with tempfile.TemporaryDirectory() as folder:
        root, inbox = Path(folder) / "course", Path(folder) / "inbox"
        for part in ("solutions", "exercises"):
            shutil.copytree(ROOT / part / name, root / part / name)
        shutil.copy(ROOT / "nbgrader_config.py", root)
        notebook = nbformat.read(root / "exercises" / name / f"{name}.ipynb", as_version=4)
        for student in range(students):
            path = inbox / f"student{student:02}" / f"{name}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(answered(notebook, random.Random(student)), path)
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


def answered(notebook: nbformat.NotebookNode, chance: random.Random) -> nbformat.NotebookNode:
    """The exercise with right and wrong answers of the catalogue, three to one, that stand on their own."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        task = cell.metadata.get("nbgrader", {}).get("grade_id")
        if task in checks.TASKS:
            pool = RIGHT[task] if chance.random() < 0.75 else [answer for answer, _ in WRONG[task]]
            cell.source = source(chance.choice(pool), task)
    return notebook


if __name__ == "__main__":
    main()
