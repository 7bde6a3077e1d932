"""The steps by which nbgrader grades: set the answers into the instructor's notebook, and run it in two processes.

nbgrader_config.py names them, so the buttons of formgrader grade in the same way. No code of a student runs in
this process, and no test in theirs (see `session`).
"""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import MagicMock, patch

from nbformat import from_dict
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade
from traitlets import Bool, Unicode

from simmim_lab.checks.core import Failed
from simmim_lab.checks.running import Ended
from simmim_lab.teaching.cells import grade_id, is_answer, python
from simmim_lab.teaching.course import released
from simmim_lab.teaching.graft import graft
from simmim_lab.teaching.inert import UNSEEN
from simmim_lab.teaching.reading import read
from simmim_lab.teaching.sandbox import missing
from simmim_lab.teaching.session import Session

if TYPE_CHECKING:
    from nbformat import NotebookNode

SHOWN = 10_000  # characters of an output


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
        self._steps = 0  # cells of the student that ran

    def all_cells(self) -> None:
        stopped, failed = [], []
        for cell in self._cells:
            if is_answer(cell) or cell.metadata.get("student"):
                if not self._students(cell):
                    stopped.append(cell)
            elif is_grade(cell):
                if not self._passes(cell):
                    failed.append((cell, self._steps))
            else:
                self._session.run(python(cell.source))
                self._run_here(cell.source)
        for cell in stopped:  # what it lacked may stand further down
            self._students(cell)
        for cell, steps in failed:
            first = cell.outputs
            if steps == self._steps or not self._passes(cell):
                cell.outputs = first

    def _students(self, cell: "NotebookNode") -> bool:
        """Run a cell in the student's process; whether it ended well."""
        ran = self._session.run(python(cell.source))
        self._steps += 1
        cell.outputs = _printed(ran.text)
        if ran.error:
            name, _, text = ran.error.partition(": ")
            cell.outputs.append(new_output("error", ename=name, evalue=text, traceback=[_shown(ran.error)]))
        return not ran.error

    def _passes(self, cell: "NotebookNode") -> bool:
        """Run a test here; whether it holds."""
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
            cell.outputs.append(new_output("error", ename="Failed", traceback=_shown(report).splitlines()))
        return report is None

    def _run_here(self, source: str) -> None:
        exec(compile(python(source), "<cell>", "exec"), self._names)


def _printed(text: str) -> list["NotebookNode"]:
    return [new_output("stream", name="stdout", text=_shown(text))] if text.strip() else []


def _shown(text: str) -> str:
    """The text without control characters, as far as there is room."""
    text = UNSEEN.sub("", text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n... and {len(text) - SHOWN:,} characters more"
