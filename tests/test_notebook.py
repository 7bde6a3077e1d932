"""A notebook that is run out of order says what to do."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from simmim_lab.teaching.hosting import setup_cell


def test_a_missing_name_is_explained_behind_its_traceback():
    sources = (
        setup_cell(Path("notebooks/07_tiny.ipynb"), ""),
        "def f():\n    return photographs\n\nf()",
        "1 / 0",
        "def g():\n    late += 1\n\ng()",
        "photographs = 1\nf()",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3", allow_errors=True).execute()
    assert cells[0].outputs == []
    error, text = cells[1].outputs
    assert error.ename == "NameError" and error.traceback
    assert "Is photographs made by a cell above" in text.text and "Run All Above" in text.text
    for cell, other in zip(cells[2:4], ("ZeroDivisionError", "UnboundLocalError"), strict=True):
        assert [output.ename for output in cell.outputs] == [other]  # and nothing behind it
    assert cells[4].outputs[0].data["text/plain"] == "1"
