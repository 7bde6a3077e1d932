"""The benchmarks that no other test runs: they run, and write what they measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(name: str, *arguments: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments]
    subprocess.run(command, check=True, timeout=300, cwd=ROOT)


def test_the_data_pipelines_are_compared(tmp_path):
    pytest.importorskip("transformers", reason="needs transformers: pip install 'simmim-lab[hub]'")
    run("data_pipeline", "--quick", "--out", str(tmp_path / "data.json"))
    results = json.loads((tmp_path / "data.json").read_text())
    for row in results["epoch"], results["masks"]:
        assert row["ours"] > 0 and row["one_by_one"] > 0 and row["ratio"] > 0


def test_the_exercises_are_measured(tmp_path):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[grading]'")
    run("exercises", "--seeds", "1", "--students", "1", "--out", str(tmp_path / "exercises.json"))
    results = json.loads((tmp_path / "exercises.json").read_text())
    assert results["total"]["caught"] == results["total"]["mutants"] > 0
    assert results["total"]["accepted"] == results["total"]["right"] > 0
    assert results["class"]["students"] == 1 and results["class"]["grade_seconds"] > 0
