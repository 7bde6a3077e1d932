"""Honest work in all the forms that it comes in: it earns all points, or those of the tasks that are right."""

# ruff: noqa: E501, RUF001

import base64
import io
import json
import re
from functools import partial

from nbformat.v4 import new_code_cell, new_markdown_cell
from PIL import Image

from submissions import (
    ALL,
    HIT,
    OTHERS,
    RIGHT,
    ROOT,
    SET,
    SUBMISSIONS,
    TASKS,
    attack,
    data,
    extra,
    find,
    marks,
    notebook,
    place,
    solved,
    submit,
    written,
)
from submissions.batch import SOLVED, changed, tarred, zipped

honest = partial(submit, "honest", earns=ALL)
works = partial(attack, "honest", earns=ALL)  # with code of the student's above the first answer

honest("all right", SOLVED)

# The file
honest("a byte order mark", b"\xef\xbb\xbf" + SOLVED)
honest("UTF-16, as a text editor writes it", SOLVED.decode().encode("utf-16"))
honest(
    "Latin-1 in a comment", json.dumps(solved(before="# über"), ensure_ascii=False).encode("latin-1", "replace")
)
honest(
    "lines that end as on Windows",
    changed(lambda made: [c.update(source=c["source"].replace("\n", "\r\n")) for c in made["cells"]]),
)
honest(
    "half a character in an output and in a text",
    changed(lambda made: made["cells"][0].update(source="a \ud83d b")),
)
honest(
    "a notebook of version 3",
    {
        f"vera/{SET}.ipynb": json.dumps(
            {
                "nbformat": 3,
                "nbformat_minor": 0,
                "metadata": {"name": ""},
                "worksheets": [
                    {
                        "cells": [
                            {
                                "cell_type": "code",
                                "language": "python",
                                "input": cell.source,
                                "outputs": [],
                                "metadata": cell.metadata,
                                "collapsed": False,
                            }
                            if cell.cell_type == "code"
                            else {"cell_type": "markdown", "source": cell.source, "metadata": cell.metadata}
                            for cell in solved().cells
                        ]
                    }
                ],
            }
        ).encode()
    },
    student="vera",
)
honest(
    "60 MB of outputs",
    changed(
        lambda made: made["cells"][2].update(
            outputs=[{"output_type": "stream", "name": "stdout", "text": "MEGABYTE" * 60}]
        )
    ),
)
for name in (
    f"{SET}.ipynb.txt",
    f"{SET}.ipynb.json",
    f"Copy of {SET}.ipynb",
    f"{SET} (1).ipynb",
    "final FINAL.ipynb",
    "Untitled.IPYNB",
):
    student = f"named-{len(SUBMISSIONS)}"
    honest(
        f"a file named {name}",
        {f"{student}/{name}": SOLVED},
        student=student,
    )
for name, content in {
    "zip": zipped({f"work/{SET}.ipynb": SOLVED, f"__MACOSX/work/._{SET}.ipynb": b"\0", ".DS_Store": b"\0"}),
    "tar.gz": tarred({f"./work/{SET}.ipynb": SOLVED}),
}.items():
    student = f"in-{name[:3]}"
    honest(f"a {name} archive", {f"{student}/work.{name}": content}, student=student)
honest(
    "an archive in an archive",
    {"deep/all.zip": zipped({"inner.zip": zipped({f"{SET}.ipynb": SOLVED})})},
    student="deep",
)
honest(
    "the whole folder of the course, with the lesson and an autosave of the empty exercise",
    {
        f"whole/course/exercises/{SET}/{SET}.ipynb": SOLVED,
        f"whole/course/exercises/{SET}/.ipynb_checkpoints/{SET}-checkpoint.ipynb": (
            ROOT / "exercises" / SET / f"{SET}.ipynb"
        ).read_bytes(),
        f"whole/course/notebooks/{SET}.ipynb": (ROOT / "notebooks" / f"{SET}.ipynb").read_bytes(),
        "whole/course/README.md": b"# the course",
    },
    student="whole",
)

# The platform
honest(
    "Moodle", {f"Jane Doe_1234_assignsubmission_file/{SET}.ipynb": SOLVED}, student="Jane_Doe_1234", inbox="moodle"
)
honest(
    "Moodle, with an online text",
    {
        f"José Núñez_1235_assignsubmission_file/{SET}.ipynb": SOLVED,
        "José Núñez_1235_assignsubmission_onlinetext/onlinetext.html": b"<p>See the notebook.</p>",
    },
    student="José_Núñez_1235",
    inbox="moodle",
)
honest("Canvas, late", {f"doejohn_LATE_99_7001_{SET}-1.ipynb": SOLVED}, student="doejohn_99", inbox="canvas")
honest(
    "Blackboard, the second attempt",
    {
        f"{SET}_jroe_attempt_2026-11-20-10-20-30_{SET}.ipynb": (
            ROOT / "exercises" / SET / f"{SET}.ipynb"
        ).read_bytes(),
        f"{SET}_jroe_attempt_2026-11-21-10-20-30_{SET}.ipynb": SOLVED,
    },
    student="jroe",
    inbox="blackboard",
)
honest(
    "Brightspace",
    {f"12345-67890 - Ada King - 20 November, 2026 1020 AM/{SET}.ipynb": SOLVED},
    student="Ada_King_12345",
    inbox="brightspace",
)
for section, name in (("Section A", "ann"), ("Section A", "ben"), ("Section B", "cid"), ("Section B", "dee")):
    honest(f"{name} of {section}", {f"{section}/{name}/{SET}.ipynb": SOLVED}, student=name, inbox="sections")


# The editor
def colab(made):
    made["nbformat_minor"] = 0
    made["metadata"] = {
        "colab": {"provenance": [], "gpuType": "T4"},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "accelerator": "GPU",
    }
    for cell in made["cells"]:
        cell.pop("id", None)
        cell["metadata"] = cell["metadata"] | {"id": "Xy3_a-b"}


def vscode(made):
    made["metadata"] = {"language_info": {"name": "python"}, "orig_nbformat": 4}
    for cell in made["cells"]:
        cell["metadata"] = cell["metadata"] | {"vscode": {"languageId": "python"}}


def stripped(made):
    made["metadata"] = {}
    for cell in made["cells"]:
        cell["metadata"] = {}


honest("saved by Colab", changed(colab))
honest("saved by VS Code", changed(vscode))
honest("all metadata lost", changed(stripped))


# The cells
def copied(made):
    made.cells.insert(place(made, HIT), json.loads(json.dumps(find(made, HIT)), object_hook=type(made)))


def split(made):
    find(made, HIT).source = f"WINDOW = 2\n{RIGHT[HIT].replace('2 * reach', 'WINDOW * reach')}"
    head, _, rest = find(made, HIT).source.partition("\n")
    twin = json.loads(json.dumps(find(made, HIT)), object_hook=type(made))
    find(made, HIT).source = rest
    twin.source = head
    made.cells.insert(place(made, HIT), twin)


def all_in_one(made):
    text = "\n\n".join(find(made, task).source for task in TASKS)
    made.cells = [cell for cell in made.cells if marks(cell).get("grade_id") not in list(TASKS)[1:]]
    find(made, "patches_to_hide").source = text


def moved_to_the_end(made):
    cell = find(made, HIT)
    made.cells.remove(cell)
    made.cells.append(cell)


def as_markdown(made):
    cell = find(made, HIT)
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]


def no_tests(made):
    made.cells = [cell for cell in made.cells if not (marks(cell).get("grade") and cell.cell_type == "code")]


def no_imports(made):
    del made.cells[1:3]


def own_imports(made):
    made.cells[2].source = "import numpy as np\n" + made.cells[2].source.replace(
        "import math", "import math, random"
    )
    find(made, HIT).source = RIGHT[HIT].replace(
        "visible = (~mask).float()", "visible = torch.tensor(np.asarray(~mask)).float()"
    )


def in_a_new_cell(made):
    made.cells.insert(place(made, HIT) + 1, new_code_cell(RIGHT[HIT]))
    find(made, HIT).source = "# my answer is below"


def tried_first(made):
    made.cells.insert(place(made, HIT), new_code_cell(RIGHT[HIT].replace("2 * reach + 1", "reach + 1")))


def old_tries_kept(made):
    made.cells.append(
        new_markdown_cell("## What I tried first\n\n```python\ndef blind_share(mask, reach):\n    return 0\n```")
    )
    made.cells.append(new_code_cell("'''\ndef blind_share(mask, reach):\n    return 0\n'''"))


for what, edit in {
    "a cell copied, and the copy kept": copied,
    "a cell split in two": split,
    "all answers in one cell": all_in_one,
    "an answer moved to the end of the notebook": moved_to_the_end,
    "an answer turned into text by a wrong key": as_markdown,
    "the tests deleted": no_tests,
    "the cell of the imports deleted": no_imports,
    "imports of their own in the given cell": own_imports,
    "the answer in a new cell below the given one": in_a_new_cell,
    "a first try in a cell above the answer": tried_first,
    "old tries kept at the end, as text": old_tries_kept,
}.items():
    honest(what, data(solved(edit=edit)))

old = solved(edit=old_tries_kept)
stripped(old)
honest("all metadata lost, and old tries kept at the end, as text", data(old))

# The code around the answers
for what, code in {
    "magics: matplotlib, autoreload, time": "%matplotlib inline\n%load_ext autoreload\n%autoreload 2\n%time x = 1",
    "a cell timed as a whole": "%%time\nx = 1",
    "installing: !pip and %pip": "!pip install --quiet einops\n%pip install numpy",
    "help by question marks": "?max\ntorch.rand?\ncheck.patches_to_hide??",
    "mounting the drive of Colab": "from google.colab import drive\ndrive.mount('/content/drive')",
    "a cell that fails": "print(undefined_name)",
    "a cell with a syntax error": "for x in range(3)\n    print(x)",
    "asking for input": "name = input('name? ')",
    "pictures: plt.show, plots.panels, images of the course": """
        import matplotlib.pyplot as plt
        from simmim_lab import images, masking, plots
        photos = images.load("photos", "train") if hasattr(images, "load") else None
        plt.imshow(torch.rand(8, 8))
        plt.show()
        """,
    "tables and display": "import pandas as pd\ndisplay(pd.DataFrame({'a': [1, 2]}))\npd.DataFrame({'a': [1]})",
    "progress bars and prints": "from tqdm.auto import tqdm\nfor x in tqdm(range(1000)):\n    print(x)",
    "sliders": "from ipywidgets import interact\ninteract(lambda x: x, x=3)",
    "warnings and a log": "import warnings, logging\nwarnings.warn('old')\nlogging.basicConfig(level=0)\nlogging.error('x')",
    "doubles as the default, a seed, no gradients": "torch.set_default_dtype(torch.float64)\ntorch.manual_seed(0)\ntorch.set_grad_enabled(False)",
    "hints and checks called again": "check.hint('patches_to_hide')\ncheck.hint('patches_to_hide')\nprint(check.patches_to_hide)",
    "names of builtins used for data": "list = [1]; sum = 3; max = 4; input = 'x'; print = repr",
    "a file written and read": "open('notes.txt', 'w').write('x')\nassert open('notes.txt').read() == 'x'\ntorch.save(torch.ones(3), 'x.pt')\ntorch.load('x.pt')",
    "the last value, Out and In": "1 + 1\n_\nIn[-1]\nOut",
    "await at the top level": "import asyncio\nawait asyncio.sleep(0)",
    "threads and processes": "from concurrent.futures import ThreadPoolExecutor\nlist(ThreadPoolExecutor(2).map(abs, [1, 2]))",
    "a cell of 20 seconds": "import time\ntime.sleep(20)",
    "another alphabet": "π = 3.14159\nгруппа = '数据 🙂'\nprint(π, группа)",
}.items():
    works(what, edit=extra(code))


def with_a_helper(made):
    extra("import numpy as np\n\ndef window(reach):\n    return 2 * reach + 1", HIT)(made)
    find(made, HIT).source = RIGHT[HIT].replace("2 * reach + 1", "window(reach)")


def with_a_module(made):
    extra("%%writefile helper_of_mine.py\ndef window(reach):\n    return 2 * reach + 1", HIT)(made)
    extra("from helper_of_mine import window", HIT)(made)
    find(made, HIT).source = RIGHT[HIT].replace("2 * reach + 1", "window(reach)")


works("its own functions above the answers", edit=with_a_helper)
works("a module written by a cell and imported by the next", edit=with_a_module)


# The answers
def answered(what: str, answer: str, task: str = HIT, earns=ALL, **more):
    honest(what, data(solved({task: answer})), earns=earns, **more)


answered("an answer that is timed", f"%%time\n{RIGHT[HIT]}")
answered("an answer with a demonstration that fails after it", f"{RIGHT[HIT]}\nblind_share(torch.zeros(2))")
answered(
    "an answer with its own imports and a main part",
    f"from __future__ import annotations\nimport torch.nn.functional as F\n{RIGHT[HIT]}\nif __name__ == '__main__':\n    print(blind_share(torch.ones(1, 2, 2).bool(), 1))",
)
answered(
    "an answer with a decorator and defaults",
    "@torch.no_grad()\n" + RIGHT[HIT].replace("reach: int", "reach: int = 1"),
)
answered(
    "an answer that is an object",
    f"{RIGHT[HIT].replace('def blind_share', 'def share')}\nclass Share:\n    def __call__(self, *args): return share(*args)\nblind_share = Share()",
)
answered(
    "an answer that is a lambda",
    "patch_shares = lambda patch, ratio: (ratio ** patch**2, 1 - ratio ** patch**2 - (1 - ratio) ** patch**2, (1 - ratio) ** patch**2)",
    "patch_shares",
)
answered(
    "an answer of NumPy's numbers",
    re.sub(r"return (.*)", r"import numpy as np\n    return tuple(np.array([\1]))", RIGHT["patch_shares"]),
    "patch_shares",
)
answered(
    "an answer that warns and prints",
    RIGHT[HIT].replace("    visible =", "    import warnings; warnings.warn('x'); print(mask)\n    visible =", 1),
)
answered("a task not begun", find(notebook("exercises"), HIT).source, earns=OTHERS)
answered("a syntax error in one answer", RIGHT[HIT].replace("return", "retrun"), earns=OTHERS)
answered(
    "an endless loop in one answer",
    RIGHT[HIT].replace("    blind =", "    while True: pass\n    blind =", 1),
    earns=OTHERS,
)

# The written answer
buffer = io.BytesIO()
Image.new("RGB", (3, 2), "red").save(buffer, "PNG")
PNG = base64.b64encode(buffer.getvalue()).decode()
PICTURE = r"<img[^>]+data:image/png;base64"
honest(
    "a picture pasted into the written answer",
    data(
        solved(
            edit=written("See ![image.png](attachment:image.png)", attachments={"image.png": {"image/png": PNG}})
        )
    ),
    page=PICTURE,
)
honest(
    "a picture as Colab pastes it",
    data(solved(edit=written(f"See ![](data:image/png;base64,{PNG})"))),
    page=PICTURE,
)
honest(
    "a picture from another computer, linked",
    data(solved(edit=written("![](images/figure1.png) and ![](https://example.org/a.png)"))),
)
honest(
    "formulas, a table and code",
    data(
        solved(
            edit=written(
                "$\\mu = 1$ and $$a < b$$\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n```python\nif a < b: pass\n```"
            )
        )
    ),
    page="<table",
)
honest(
    "the written answer in a cell of its own",
    data(
        solved(
            edit=lambda made: made.cells.insert(
                place(made, "high_ratio") + 1, new_markdown_cell("Neighbours are alike, I think.")
            )
        )
    ),
    page="Neighbours are alike, I think",
)
