"""Execute the lessons in place, outputs included: `simmim-course execute`, or `make notebooks` for all of them."""

import os
import re
import time
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from simmim_lab.common import replace_file
from simmim_lab.teaching import hosting

VIEW = "application/vnd.jupyter.widget-view+json"
PROGRESS = re.compile(r"^.*\[\d\d:\d\d[<,:].*\](\n|\Z)", re.MULTILINE)  # 60%|██ | 3/5 [00:02<00:01, 1.5it/s]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute_all(paths: list[Path]) -> int:
    """Execute lessons one after the other; return how many failed. One that fails is left as it was."""
    failed = 0
    for path in paths:
        print(path.name, end=" ", flush=True)
        start = time.perf_counter()
        try:
            execute(path)
            print(f"{time.perf_counter() - start:.0f} s", flush=True)
        except Exception as error:
            failed += 1
            print(f"failed and is left as it was:\n\n{error}\n", flush=True)
    return failed


def execute(path: Path) -> None:
    """Run the lesson from top to bottom, in full and with one thread, and write its outputs back into it."""
    path = path.resolve()
    notebook = nbformat.read(path, as_version=4)
    hosting.fill(notebook, path, hosting.home(path.parents[1]))
    NotebookClient(
        notebook,
        resources={"metadata": {"path": path.parent}},
        extra_arguments=["--log-level=ERROR"],
        timeout=None,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    ).execute(env={**os.environ, "OMP_NUM_THREADS": "1", "SIMMIM_LAB_FAST": ""})
    tidy(notebook)
    replace_file(path, partial(nbformat.write, notebook))


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove what would differ from run to run, and what a reader without a kernel would see as an error.

    A widget keeps its picture and loses its view; a progress bar goes.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in cell.metadata if key == "tags"})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _keep(output)]


def _keep(output: nbformat.NotebookNode) -> bool:
    """Take view and progress bars out of an output, and say whether anything is left of it."""
    if output.output_type == "stream":
        output.text = PROGRESS.sub("", output.text)
        return bool(output.text.strip())
    data = output.get("data", {})
    data.pop(VIEW, None)
    return not PROGRESS.fullmatch(data.get("text/plain", ""))
