"""The steps by which nbgrader grades: set the answers into the instructor's notebook, and run it in two processes.

nbgrader_config.py names them, so the buttons of formgrader grade in the same way. No code of a student runs in
this process, and no test in theirs (see `session`).
"""

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import MagicMock, patch

from nbformat import from_dict
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import has_failed, is_grade
from traitlets import Bool, Unicode

from simmim_lab.checks.core import Failed
from simmim_lab.checks.running import Ended
from simmim_lab.teaching.collecting.reading import read
from simmim_lab.teaching.course import released
from simmim_lab.teaching.grading.cells import functions, grade_id, is_answer, python
from simmim_lab.teaching.grading.graft import graft
from simmim_lab.teaching.isolation.sandbox import missing
from simmim_lab.teaching.isolation.session import Session
from simmim_lab.teaching.reporting.inert import plain

if TYPE_CHECKING:
    from nbformat import NotebookNode


class Graft(NbGraderPreprocessor):
    """The instructor's notebook, with its hidden tests, and the texts of the submission set into it."""

    left_out = Unicode(help="Why nothing of the submission is taken; empty: it is.").tag(config=True)

    def preprocess(self, nb: "NotebookNode", resources: dict) -> tuple["NotebookNode", dict]:
        this, course = resources["nbgrader"], self.parent.parent.coursedir
        folder = Path(course.format_path(course.submitted_directory, this["student"], this["assignment"]))
        base = released(Path(course.source_directory).parent, this["notebook"], hidden_tests=True)
        if self.left_out:
            base.metadata["remarks"] = [f"it could not be graded: {self.left_out}"]
            return base, resources
        submitted = from_dict(read((folder / f"{this['notebook']}.ipynb").read_bytes()))
        notebook, remarks = graft(base, submitted)
        notebook.metadata["remarks"] = remarks
        return notebook, resources


class SandboxExecute(NbGraderPreprocessor):
    """Run the cells in order: a student's in a locked process, the tests here, on what its functions return.

    What a cell of the instructor defines, such as imports, both have. A task that fails at its place is tested
    once more at the end of the notebook, so an answer counts wherever it stands. Only a test's verdict costs
    points: what else a cell prints or raises is shown, and that is all.
    """

    isolated = Bool(True, help="False runs the students' code with your rights, on your computer.").tag(
        config=True
    )

    def preprocess(self, nb: "NotebookNode", resources: dict) -> tuple["NotebookNode", dict]:
        if self.isolated and (why := missing()):
            raise RuntimeError(why)
        with (
            Session(resources["nbgrader"]["notebook"], isolated=self.isolated) as session,
            patch("simmim_lab.plots.show"),  # pages show the words of a check
        ):
            _Run(nb, session).all_cells()
            nb.metadata["remarks"] = [*nb.metadata.get("remarks", []), *session.notes]
        return nb, resources


class _Run:
    """One notebook on its way through the two processes."""

    def __init__(self, notebook: "NotebookNode", session: Session):
        self._cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self._session = session
        tasks = [grade_id(cell) for cell in self._cells if is_answer(cell)]
        self._names = {"get_ipython": MagicMock(), **{name: session.function(name) for name in tasks}}

    def all_cells(self) -> None:
        again: list["NotebookNode"] = []
        defined: set[str] = set()  # further down than the cell
        for cell in self._cells:
            if _is_students(cell):
                self._students(cell)
            elif is_grade(cell):
                self._test(cell)
            else:
                self._session.run(python(cell.source))
                self._run_here(cell.source)
        for cell in reversed(self._cells):  # what it lacked may stand further down
            if _failed_for(cell, defined):
                again.insert(0, cell)
            if _is_students(cell):
                defined |= set(functions(cell))
        for cell in again:
            first = cell.outputs
            (self._students if _is_students(cell) else self._test)(cell)
            if has_failed(cell):
                cell.outputs = first

    def _students(self, cell: "NotebookNode") -> None:
        """Run a cell in the student's process."""
        ran = self._session.run(python(cell.source))
        cell.outputs = _printed(ran.text)
        if ran.error:
            name, _, text = plain(ran.error).partition(": ")
            cell.outputs.append(new_output("error", ename=name, evalue=text, traceback=[plain(ran.error)]))

    def _test(self, cell: "NotebookNode") -> None:
        """Run a test here; its last output is an error if it fails."""
        report, printed = None, io.StringIO()
        try:
            with redirect_stdout(printed), redirect_stderr(io.StringIO()):
                self._run_here(cell.source)
        except Failed as failed:
            report = str(failed)
        except (Exception, Ended) as error:  # of a test that does not use `check`
            report = f"{type(error).__name__}: {error}"
        cell.outputs = _printed(printed.getvalue())
        if report:
            cell.outputs.append(new_output("error", ename="Failed", traceback=plain(report).splitlines()))

    def _run_here(self, source: str) -> None:
        exec(compile(python(source), "<cell>", "exec"), self._names)


def _is_students(cell: "NotebookNode") -> bool:
    return is_answer(cell) or bool(cell.metadata.get("student"))


def _failed_for(cell: "NotebookNode", defined: set[str]) -> bool:
    """Whether a cell failed for want of a name, or of a function that is defined further down."""
    if not has_failed(cell):
        return False
    lacked = any("NameError" in line for line in cell.outputs[-1].traceback)
    return lacked or (is_grade(cell) and bool(defined & set(re.findall(r"\w+", cell.source))))


def _printed(text: str) -> list["NotebookNode"]:
    return [new_output("stream", name="stdout", text=plain(text))] if text.strip() else []
