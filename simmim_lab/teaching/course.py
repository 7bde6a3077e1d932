"""The folders of a class, and nbgrader at work in them.

solutions/   the instructor's versions                 exercises/   the students' versions
grading/     private, and never committed:
    submitted/STUDENT/SET/SET.ipynb    autograded/...    feedback/...    gradebook.db
    collected.json                     what came in, what was odd about it, and what became of it
"""

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.common import choose, replace_file
from simmim_lab.teaching.grading import gradebook

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from nbgrader.apps import NbGraderAPI


CAPSTONE = "capstone"  # the folder of the project, which is graded by hand and is no exercise set


def exercise_sets(root: Path) -> list[str]:
    """The names of the exercise sets in the course in folder `root`, in order."""
    found = (root / "solutions").glob("*/[0-9][0-9]_*.ipynb")
    return sorted(path.stem for path in found if path.stem == path.parent.name)  # not a copy that lies beside it


def chosen_sets(root: Path, names: list[str]) -> list[str]:
    """The exercise sets of these names, or all of them; ValueError for an unknown name."""
    known = exercise_sets(root)
    if not known:
        raise FileNotFoundError(f"there are no exercise sets in {root / 'solutions'}")
    return [choose(name, dict(zip(known, known, strict=True)), "exercise set") for name in names] or known


def submissions(root: Path, names: list[str]) -> list[tuple[str, str]]:
    """(set, student) of everything that was collected; FileNotFoundError if there is nothing."""
    found = [
        (name, student.name)
        for name in chosen_sets(root, names)
        for student in sorted((root / "grading" / "submitted").glob("*"))
        if (student / name / f"{name}.ipynb").exists()
    ]
    if not found:
        raise FileNotFoundError("nothing was collected yet: run simmim-course collect INBOX first")
    return found


def nbgrader(
    root: Path, *, folder: Path | None = None, isolated: bool = True, left_out: str = ""
) -> "NbGraderAPI":
    """nbgrader, configured by the nbgrader_config.py of the course in folder `root`.

    folder: where its gradebook and the graded notebooks lie (None: in grading/).
    isolated, left_out: as `preprocessors.SandboxExecute` and `preprocessors.Graft` have them.
    """
    try:
        from nbgrader.apps import NbGraderAPI
    except ImportError as error:
        raise ImportError("nbgrader is missing: install it with pip install 'simmim-lab[teaching]'") from error
    from traitlets.config.loader import PyFileConfigLoader

    (root / "grading").mkdir(exist_ok=True)
    try:
        config = PyFileConfigLoader("nbgrader_config.py", str(root)).load_config()
    except Exception as error:  # it is a program, and may raise anything
        raise ValueError(f"nbgrader_config.py in {root} cannot be read ({error}): restore it") from error
    gradebook.check(folder or root / "grading")
    if folder:
        config.CourseDirectory.db_url = gradebook.url(folder)
        config.CourseDirectory.autograded_directory = str(folder / "autograded")
    config.SandboxExecute.isolated, config.Graft.left_out = isolated, left_out
    return NbGraderAPI(config=config)


def released(root: Path, name: str, *, hidden_tests: bool = False) -> "NotebookNode":
    """The students' version of a set, made of the instructor's in solutions/, with or without the hidden tests."""
    from nbgrader import preprocessors as steps

    notebook, resources = read_notebook(root / "solutions" / name / f"{name}.ipynb"), {}
    usual = [steps.LockCells, steps.ClearSolutions, steps.ClearOutput, steps.CheckCellMetadata]
    hiding = [] if hidden_tests else [steps.ClearHiddenTests]
    for step in (*usual, *hiding, steps.ComputeChecksums):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


def release(root: Path, name: str) -> None:
    """Write the students' version of a set into exercises/. Nothing else there is changed."""
    import nbformat

    path = root / "exercises" / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, partial(nbformat.write, released(root, name)))


def reason(outcome: dict) -> str:
    """Why an action of nbgrader failed, in one line: the last error that is not only about another one."""
    text = f"{outcome.get('error') or ''}\n{outcome.get('log') or ''}"
    errors = re.findall(r"(?m)^\s*(?:\w+\.)*(\w+(?:Error|Exception|Interrupt): .*)$", text)
    return next((line for line in reversed(errors) if "NbGraderException" not in line), "no reason given")


def read_notebook(path: Path) -> "NotebookNode":
    """The notebook in a file of the course; ValueError that names the file if it is damaged."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except OSError:
        raise
    except Exception as error:  # a damaged notebook can raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ValueError(f"{path} is no readable notebook ({reason}): restore it from your copy") from error


def read_records(root: Path) -> dict[str, dict[str, dict]]:
    """What is known of each set and student besides the grades: `{set: {student: {...}}}`."""
    path = root / "grading" / "collected.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it, then collect and grade again") from error


def write_records(root: Path, records: dict[str, dict[str, dict]]) -> None:
    """Keep the records, whole or not at all."""
    text = json.dumps(records, indent=2, ensure_ascii=False)
    (root / "grading").mkdir(exist_ok=True)
    replace_file(root / "grading" / "collected.json", partial(Path.write_text, data=text, encoding="utf-8"))
