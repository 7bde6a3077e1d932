"""The smallest lesson that keeps all rules of simmim_lab.teaching.rules, for tests of the tools."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from simmim_lab.teaching.hosting import setup_cell
from simmim_lab.teaching.lessons import METADATA
from simmim_lab.teaching.rules import PARAMETERS

HEAD = """\
# 07 · A tiny lesson

You will be able to count.

<!-- badge -->

**You will learn to**
- count to one;
- count to two;
- count to three.

*About 5 minutes of study.*

<!-- cost -->"""
TAIL = """\
## Recap
- One.
- Two.
- Three.

## Quiz

**1.** One?

<details><summary>Answer</summary>One.</details>

**2.** Two?

<details><summary>Answer</summary>Two.</details>

**3.** Three?

<details><summary>Answer</summary>Three.</details>

## Further reading

- The code: [masking.py](../simmim_lab/masking.py) and `simmim_lab.masking.random_mask`.
- The paper hides 60 % (§4.1)."""
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = f'''\
from base64 import b64decode
from IPython.display import Image, display

display(Image(b64decode("{PNG}"), metadata={{"alt": "One blue pixel"}}))'''


def write(folder: Path, *code: str) -> Path:
    """Write notebooks/07_tiny.ipynb and what its links lead to into `folder`; `code`: more code cells, not run."""
    (folder / "notebooks").mkdir()
    (folder / "results").mkdir()
    (folder / "simmim_lab").mkdir()
    (folder / "simmim_lab" / "masking.py").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "tiny"\n\n[project.urls]\n\n[project.scripts]\n')
    path = folder / "notebooks" / "07_tiny.ipynb"
    picture = new_output(
        "display_data",
        data={"image/png": PNG, "text/plain": "<IPython.core.display.Image object>"},
        metadata={"image/png": {"alt": "One blue pixel"}},
    )
    printed = new_output("stream", name="stdout", text="1 2 3 and 12.34 dB\n")
    cells = [
        new_markdown_cell(HEAD),
        new_code_cell(setup_cell(path, ""), metadata={"tags": ["setup"]}, execution_count=1),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}, execution_count=2),
        new_markdown_cell("## Can you count?\n\nThe noise is 12.3 dB."),
        new_code_cell('print(1, 2, 3, "and 12.34 dB")', execution_count=3, outputs=[printed]),
        new_code_cell(PICTURE, execution_count=4, outputs=[picture]),
        *(new_code_cell(text) for text in code),
        new_markdown_cell(TAIL),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"07-{number:03d}"
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)
    return path
