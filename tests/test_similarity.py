"""The report on alike answers: copies stand out whatever was renamed, and usual answers do not."""

import inspect
from pathlib import Path

import nbformat
import pytest
from answers import RIGHT, source

from simmim_lab.teaching import cli
from simmim_lab.teaching.reporting import similarity

ROOT = Path(__file__).parents[1]
SET = "01_masking"
TASKS = ["patches_to_hide", "mae_to_images", "masks_of_ratios", "blind_share"]
USUAL = {task: [source(answer, task) for answer in RIGHT[task] if inspect.isfunction(answer)] for task in TASKS}
RARE = '''
def lmmse_fill(values, hidden, mean, covariance):
    """Their own way."""
    out, order = values.double(), [int(i) for i in torch.nonzero(~hidden).flatten()]
    for place in torch.nonzero(hidden).flatten().tolist():  # one at a time
        block = covariance[order][:, order]
        gain = torch.linalg.lstsq(block, covariance[order, place].unsqueeze(1)).solution
        out[place] = mean[place] + sum(g * (values[o] - mean[o]) for g, o in zip(gain[:, 0], order))
    return out.to(values.dtype)
'''
RENAMED = (
    RARE.replace("out", "result")
    .replace("order", "seen")
    .replace("block", "b")
    .replace("  # one at a time", "\n\n        # all that is hidden\n")
    .replace("Their own way.", "Mine.")
)
ESSAY = "Pixels near a hole give it away, so AvgDist must grow: I would measure how well a spline does."
HOSTILE = "def mae_to_images(x):\n    return '</pre><script>alert(1)</script>'\n"


def submission(number: int, essay: str = "", **instead: str) -> nbformat.NotebookNode:
    code = [instead.get(task) or USUAL[task][number % len(USUAL[task])] for task in TASKS] + [
        instead.get("lmmse_fill", "")
    ]
    written = nbformat.v4.new_markdown_cell(essay or f"Reason {number} of a thousand and {number}, and so on.")
    written.metadata["nbgrader"] = {"grade_id": "high_ratio"}
    return nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, code), written])


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A class in which two share an unusual answer and an essay, and two a hostile one."""
    copied = {"mae_to_images": HOSTILE}
    notebooks = {
        **{f"honest{number}": submission(number) for number in range(30)},
        "one": submission(0, ESSAY, lmmse_fill=RARE, blind_share="def blind_share(:\n  '''"),
        "other": submission(1, ESSAY.upper(), lmmse_fill=RENAMED, masks_of_ratios="(" * 10_000),
        "x": submission(2, "x" * 100_000, **copied, lmmse_fill=HOSTILE.replace("mae_to_images", "lmmse_fill")),
    }
    for student, notebook in notebooks.items():
        path = tmp_path / "grading" / "submitted" / student / SET / f"{SET}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    path = tmp_path / "solutions" / SET / f"{SET}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes((ROOT / "solutions" / SET / f"{SET}.ipynb").read_bytes())
    monkeypatch.setattr(cli, "course_folder", lambda: tmp_path)
    return tmp_path


def test_a_copy_stands_out_whatever_was_renamed_and_usual_answers_do_not(course, capsys):
    assert cli.main(["similar"]) == 0
    assert f"Wrote grading/similarity/{SET}.html: pairs that stand out: 1" in capsys.readouterr().out
    page = (course / "grading" / "similarity" / f"{SET}.html").read_text(encoding="utf-8")
    assert "<h2>one and other:" in page and "This proves nothing" in page and "33 students" in page
    assert "lmmse_fill: " in page and "high_ratio: " in page and "honest" not in page
    assert "script-src" not in page and "<script" not in page and "default-src 'none'" in page


def test_a_damaged_notebook_is_named_and_stops_nobody(course, capsys):
    (course / "grading" / "submitted" / "honest3" / SET / f"{SET}.ipynb").write_text("{", encoding="utf-8")
    assert cli.main(["similar"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("honest3: ") and "pairs that stand out: 1" in told


def pair(one: str, other: str, given: str = "") -> float:
    """How alike two answers are in a class in which eight others have nothing in common."""

    def held(text: str) -> dict:
        return similarity.answers(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text)]), {"f"})

    texts = [one, other, *(f"def f(x):\n    return x.a{n}(x.b{n}, {n}).c{n} + {n}{n}" for n in range(8))]
    exercise = similarity.answers(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(given)]))
    pairs, _ = similarity.compare({str(at): held(text) for at, text in enumerate(texts)}, exercise)
    return next((found.alike for found in pairs if found.students == ("0", "1")), 0.0)


CODE = "def f(x):\n    y = x.float().mean(0)\n    return torch.where(y > 0.5, y * 2, x.amax(0))\n"


@pytest.mark.parametrize(
    "other, alike",
    [
        (CODE, True),
        (CODE.replace("y", "zz").replace("x.", "w.").replace("(x)", "(w)"), True),
        (CODE.replace("y = ", "# why\n    y   =   ").replace("):\n", '):\n    "A docstring"\n'), True),
        ("import math\n\n\n" + CODE + "\n\ndef g():\n    pass\n", True),
        ("def f(x):\n    return x.sort(0).values[-1] / len(x)\n", False),
        ("", False),
    ],
)
def test_names_comments_and_layout_do_not_count(other, alike):
    assert (pair(CODE, other) > 0.2) == alike


def test_what_the_exercise_gives_does_not_count():
    more = "    return x.flatten().histc(7)[3:].cumsum(0)\n"
    assert pair(CODE, CODE, given=CODE) == 0
    assert (
        pair(CODE + more, CODE + "    return 1\n", given=CODE) < 0.2 < pair(CODE + more, CODE + more, given=CODE)
    )
    solution = CODE.replace("    y", "    ### BEGIN SOLUTION\n    y") + "    ### END SOLUTION\n"
    assert pair(CODE, CODE, given=solution) > 0.9, "the instructor's own answer is not given"


def test_a_class_of_one_has_no_pairs():
    assert similarity.compare({"ann": {}}, {}) == ([], 0.0)
