"""A notebook that is run out of order says what to do."""

import nbformat
from nbclient import NotebookClient

from simmim_lab import notebook
from simmim_lab.teaching.hosting import SETUP


def test_a_missing_name_is_explained_behind_its_traceback():
    sources = SETUP, "def f():\n    return photographs\n\nf()", "1 / 0", "photographs = 1\nf()"
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3", allow_errors=True).execute()
    error, text = cells[1].outputs
    assert error.ename == "NameError" and error.traceback
    assert "Is photographs made by a cell above" in text.text and "Run All Above" in text.text
    assert [output.output_type for output in cells[2].outputs] == ["error"]
    assert cells[3].outputs[0].data["text/plain"] == "1"


def test_outside_of_a_notebook_nothing_happens():
    notebook.explain_missing_names()
