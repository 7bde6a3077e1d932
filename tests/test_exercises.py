"""The exercises: the instructor's versions pass their own checks, and the students' give nothing away."""

import ast
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

from simmim_lab import checks
from simmim_lab.teaching.course import CAPSTONE, exercise_sets

ROOT = Path(__file__).parents[1]
to_python = TransformerManager().transform_cell  # a cell may hold magics
SETS = exercise_sets(ROOT)
each_set = pytest.mark.parametrize("name", SETS)

MAY_IMPORT = {"checks", "images", "masking", "plots"}  # of simmim_lab, but not the module of the lesson itself


def solution(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "solutions" / name / f"{name}.ipynb", as_version=4)


def exercise(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)


def marked(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get(kind)]


def tasks(name: str) -> list[str]:
    answers = [cell for cell in marked(solution(name), "solution") if cell.cell_type == "code"]
    return [cell.metadata.nbgrader.grade_id for cell in answers]


def run(notebook: nbformat.NotebookNode, folder: Path) -> str:
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
    streams = [output for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output]
    return "".join(output.text for output in streams)


def test_the_sets_are_those_of_the_lessons():
    assert [f"{number:02}_{topic}" for number, topic in enumerate(TOPICS)] == SETS


TOPICS = (
    "start_here",
    "masking",
    "encoders",
    "decoders",
    "mse_loss",
    "training",
    "gpu_training",
    "what_it_learned",
    "inpainting_and_editing",
    "generation",
    "pretrained_models",
    "the_mim_family",
)


def test_every_graded_check_has_a_task_and_every_task_a_check():
    asked = [task for name in SETS for task in tasks(name)]
    assert sorted(asked) == sorted(name for name, task in checks.TASKS.items() if task.solution is None)
    assert len(asked) == len(set(asked)) >= 25


@each_set
def test_the_solutions_pass_checks_and_hidden_tests(name):
    printed = run(solution(name), ROOT / "solutions" / name)
    assert printed.count("all checks here passed") == len(tasks(name)) and "✗" not in printed


@each_set
def test_an_untouched_exercise_runs_to_its_end(name):
    printed = run(exercise(name), ROOT / "exercises" / name)
    assert printed.count("is not written yet") == len(tasks(name))


@each_set
def test_a_set_has_its_parts(name):
    notebook = solution(name)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].source.startswith(f"# {name[:2]} · Exercises: ")
    if (ROOT / "notebooks" / f"{name}.ipynb").exists():
        assert f"(../../notebooks/{name}.ipynb)" in notebook.cells[0].source
    assert 4 <= len(tasks(name)) <= 7
    headers = re.findall(r"(?m)^## Task (\d+) · (.+)$", text)
    assert [int(number) for number, _ in headers] == list(range(1, len(tasks(name)) + 1))
    assert any("Spot the bug" in title for _, title in headers)
    lines = re.findall(r"(?m)^\*Difficulty [123] of 3 · about \d+ minutes · (\d+) points?\*$", text)
    points = [cell.metadata.nbgrader.points for cell in marked(notebook, "grade") if cell.cell_type == "code"]
    assert [int(line) for line in lines] == points
    for task in tasks(name):
        assert f'`check.hint("{task}")`' in text
    [written] = [cell for cell in marked(notebook, "solution") if cell.cell_type == "markdown"]
    assert "**Rubric:**" in written.source and written.metadata.nbgrader.points > 0


@each_set
def test_nothing_gives_the_solution_away(name):
    notebook = exercise(name)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert not re.search(r"SOLUTION|HIDDEN|\.grade\(|Rubric", text)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells)
    for cell in marked(notebook, "solution"):
        if cell.cell_type == "code":
            [function] = ast.parse(cell.source).body
            assert ast.get_docstring(function) and isinstance(function.body[-1], ast.Raise)
    for cell in notebook.cells:
        for node in ast.walk(ast.parse(to_python(cell.source))) if cell.cell_type == "code" else ():
            if isinstance(node, ast.ImportFrom) and node.module == "simmim_lab":
                assert {alias.name for alias in node.names} <= MAY_IMPORT - {name[3:]}
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("simmim_lab.")


def test_hidden_tests_use_no_comparison_that_an_empty_tensor_passes():
    for path in (ROOT / "simmim_lab" / "checks").glob("*.py"):
        assert "allclose" not in path.read_text(encoding="utf-8"), path.name


def test_the_exercises_are_what_is_made_of_the_solutions(tmp_path):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    from simmim_lab.teaching.course import release

    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    for name in SETS:
        release(tmp_path, name)
        made = nbformat.read(tmp_path / "exercises" / name / f"{name}.ipynb", as_version=4)
        assert made == exercise(name), f"run simmim-course release {name}"
    assert {path.name for path in (ROOT / "exercises").iterdir()} == {*SETS, CAPSTONE}
