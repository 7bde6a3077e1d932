"""Every lesson keeps the rules, runs in fast mode within its limits, and prints there what it has stored."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import nbformat
import papermill
import pytest
import tiny_lesson
from nbformat import NotebookNode
from tries import TRIES, Try

from simmim_lab import checks
from simmim_lab.checks.guessing import Guess
from simmim_lab.teaching import comparison, hosting, lessons
from simmim_lab.teaching.cli import main
from simmim_lab.teaching.lessons import PROGRESS, VIEW
from simmim_lab.teaching.rules import EXEMPT, YOUR_TURN, output_text, problems, turn_of

ROOT = Path(__file__).parents[1]
COSTS = json.loads((ROOT / "results" / "lessons.json").read_text(encoding="utf-8"))
FAST_SECONDS = 60  # on two cores of the machine that measures results/lessons.json;
OTHERS = 3  # times as long a slower one may take, so that only a lesson that grew fails there
each_lesson = pytest.mark.parametrize("path", hosting.lessons(ROOT), ids=lambda path: path.stem)

# The mathematics of an older processor, in vectors of another length, summed in another order.
ANOTHER_MACHINE = {
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
SPENT = "import os\nsum(os.times()[:4])"  # seconds of CPU, which another process beside it does not change


@each_lesson
def test_a_lesson_keeps_the_rules(path):
    assert problems(path) == []


def test_heads_and_setup_cells_are_up_to_date():
    assert hosting.differences(ROOT) == [], "run `make notebooks`"


def test_measured_costs_are_within_the_limit():
    assert [name for name, cost in COSTS.items() if cost["fast"]["seconds"] > FAST_SECONDS] == []


@each_lesson
def test_a_lesson_has_two_to_four_turns(path):
    assert 2 <= len(turns(path)) <= 4
    assert len(set(turns(path))) == len(turns(path))


def test_every_task_of_a_lesson_is_in_one_lesson_and_in_no_exercise():
    asked = [task for path in hosting.lessons(ROOT) for task in turns(path)]
    assert sorted(asked) == sorted(name for name, task in checks.TASKS.items() if task.solution)
    graded = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "solutions").rglob("*.ipynb"))
    assert [name for name in asked if f"check.{name}(" in graded] == []
    assert len(checks.TASKS) - len(asked) >= 35


def test_every_guess_is_asked_once():
    sources = "".join(cell.source for path in hosting.lessons(ROOT) for cell in nbformat.read(path, 4).cells)
    assert {name: sources.count(f'check.guess("{name}"') for name in checks.GUESSES} == dict.fromkeys(
        checks.GUESSES, 1
    )


def turns(path: Path) -> list[str]:
    return [task for cell in nbformat.read(path, as_version=4).cells if (task := turn_of(cell))]


@each_lesson
def test_a_fast_run_with_the_solutions_prints_what_is_stored_without(path, capsys):
    executed, seconds = run_fast(path, solved)
    for cell in executed.cells:
        assert turn_of(cell) is None or "all checks here passed" in output_text(cell)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    widgets = [output for output in outputs if VIEW in output.get("data", {})]
    bare = [output.data["text/plain"] for output in widgets if "image/png" not in output.data]
    without = [text for text in bare if not PROGRESS.fullmatch(text) and not text.startswith("Your guess: ")]
    assert without == [], "a widget without a picture"
    assert len(widgets) > len(bare), "no widget of simmim_lab.widgets is shown"

    found = compare(path, executed)
    with capsys.disabled():
        print(f"\n{path.stem}: {found.compared} cells compared, {found.exempt} exempt", end=" ")
    assert not found.differences, "\n".join(found.differences)
    assert found.exempt <= EXEMPT * (found.compared + found.exempt), "too many cells are exempt from comparison"
    assert seconds <= OTHERS * FAST_SECONDS


@pytest.mark.verify
@each_lesson
def test_a_machine_that_rounds_otherwise_prints_the_same(path):
    executed, _ = run_fast(path, **ANOTHER_MACHINE)
    assert not (found := compare(path, executed)).differences, "\n".join(found.differences)


@pytest.mark.verify
@each_lesson
def test_all_cells_can_run_twice_in_one_kernel(path):
    run_fast(path, twice)


@each_lesson
def test_every_try_is_in_the_table_of_tries(path):
    begun = [re.findall(r"\*\*Try(?:\.\*\*|\*\*:) (.*)", cell.source) for cell in text_cells(path)]
    tries = zip(TRIES[path.stem], itertools.chain(*begun), strict=True)
    assert [text for planned, text in tries if not text.startswith(planned.words)] == []


@pytest.mark.verify
@each_lesson
def test_every_try_was_tried(path):
    run_fast(path, partial(tried, tries=TRIES[path.stem]))


def text_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def solved(notebook: NotebookNode) -> None:
    """A learner has written all solutions."""
    for cell in notebook.cells:
        if task := turn_of(cell):
            written = f'{task} = check.TASKS["{task}"].solution'
            cell.source = cell.source.replace(f"\n{task} = ", f"\n{written}\n{task} = ")


def twice(notebook: NotebookNode) -> None:
    notebook.cells += [nbformat.from_dict({**cell, "id": f"{cell.id}-again"}) for cell in notebook.cells]


def tried(notebook: NotebookNode, tries: list[Try]) -> None:
    """All cells are as the Tries change them, and what they run is run."""
    for attempt in tries:
        for old, new in attempt.edits.items():
            changed = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
            assert changed, f"no cell has {old!r}"
            for cell in changed:
                cell.source = cell.source.replace(old, new)
        [place] = [number for number, cell in enumerate(notebook.cells) if attempt.words in cell.source]
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(attempt.then))


def run_fast(
    path: Path, change: Callable[[NotebookNode], None] = lambda _: None, **environment: str
) -> tuple[NotebookNode, float]:
    """Execute a copy of the lesson in fast mode, changed, with another number of threads than the stored run had.

    Returns the copy, and the seconds of CPU that its kernel took.
    """
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(SPENT))
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "2", **environment}):
        executed = papermill.execute_notebook(
            notebook,
            None,
            parameters={"FAST": True},
            cwd=path.parent,
            progress_bar=False,
            store_widget_state=False,
            execution_timeout=300,  # seconds, for a cell that hangs
            coalesce_streams=True,  # a kernel sends a text in pieces, which may end within a line
        )
    return executed, float(output_text(executed.cells.pop()))


def compare(path: Path, executed: NotebookNode) -> comparison.Comparison:
    """Compare a run with what is stored, but for the cells that say whether the learner has written a step."""
    lessons.tidy(executed)
    stored = nbformat.read(path, as_version=4)
    stored.cells = [cell for cell in stored.cells if YOUR_TURN not in cell.metadata.get("tags", [])]
    return comparison.compare(stored, executed)


@pytest.fixture
def tiny(tmp_path) -> Path:
    return tiny_lesson.write(tmp_path)


def change(path: Path, edit) -> None:
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)


def replace(cell: int, old: str, new: str):
    """An edit of a notebook that replaces text in one of its cells."""

    def edit(notebook):
        assert old in notebook.cells[cell].source
        notebook.cells[cell].source = notebook.cells[cell].source.replace(old, new)

    return edit


def add(cell: int, **output):
    """An edit of a notebook that adds an output to one of its cells."""
    return lambda notebook: notebook.cells[cell].outputs.append(nbformat.v4.new_output(**output))


STUB = """\
def half_of(step):
    \"\"\"Half.\"\"\"
    raise NotImplementedError


half_of = check.yours_or_ours(half_of)"""


def half_of(step):
    """Half."""
    return step / 2


def turn(source: str, printed: str = "Your turn: write half_of."):
    """An edit of a notebook that makes a cell a "your turn", with this source and this output."""

    def edit(notebook):
        cell = notebook.cells[4]
        cell.update(source=source, outputs=[nbformat.v4.new_output("stream", text=f"{printed}\n 12.3 dB")])
        cell.metadata["tags"] = [YOUR_TURN]

    return edit


@pytest.fixture
def half_task(monkeypatch):
    """A task whose solution is `half_of`."""
    monkeypatch.setitem(checks.TASKS, "half_of", mock.Mock(solution=half_of))


def test_a_turn_that_is_described_as_in_its_solution_keeps_the_rules(tiny, half_task):
    change(tiny, turn(STUB))
    assert problems(tiny) == []


@pytest.mark.parametrize(("printed", "problem"), [("0.125 or 12.5 %", ""), ("0.25", "prints its answer, 0.125")])
def test_the_answer_comes_after_the_guess(tiny, printed, problem, monkeypatch):
    monkeypatch.setitem(checks.GUESSES, "coins", Guess(0.125, "three coins must agree"))
    change(tiny, replace(2, "FAST", 'FAST\ncheck.guess("coins", None)'))
    change(tiny, add(4, output_type="stream", text=printed))
    found = [line for line in problems(tiny) if "parameters cell" not in line]
    assert not found if not problem else any(problem in line for line in found)


def test_the_tiny_lesson_keeps_the_rules(tiny):
    assert problems(tiny) == []


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (replace(4, "print", "#" * 1_500_000 + "\nprint"), "larger than 1.5 MB"),
        (lambda notebook: notebook.metadata.update(widgets={}), "metadata of the notebook"),
        (lambda notebook: notebook.cells[4].metadata.update(execution={}), "metadata besides tags: execution"),
        (lambda notebook: notebook.cells[4].update(execution_count=5), "not run in order"),
        (lambda notebook: notebook.cells[4].update(execution_count=None), "not run in order"),
        (lambda notebook: notebook.cells[1].metadata.pop("tags"), "setup cell"),
        (lambda notebook: notebook.cells[2].metadata.pop("tags"), "parameters cell"),
        (replace(2, "FAST", "FAST as QUICK"), "parameters cell"),
        (add(4, output_type="error", ename="ValueError", evalue="", traceback=[]), "an error or a warning"),
        (add(4, output_type="stream", name="stderr", text="UserWarning: "), "an error or a warning"),
        (add(4, output_type="display_data", data={VIEW: {}}), "the view of a widget"),
        (lambda notebook: notebook.cells[5].outputs[0].metadata.clear(), "without alt text"),
        (add(4, output_type="stream", text="<object at 0x7f00>"), "address of an object"),
        (replace(4, "print(", "print('/Users/jane/photo.png', "), "path of one machine"),
        (add(4, output_type="stream", text="C:\\photo.png"), "path of one machine"),
        (replace(0, "07 · A", "A"), "one title"),
        (replace(3, "## Can", "# Can"), "one title"),
        (replace(0, "will learn", "learn"), "objectives"),
        (replace(0, "- count to one;\n", ""), "objectives"),
        (replace(6, "## Recap", "**Recap**"), "section `## Recap`"),
        (replace(6, "## Quiz", "**Quiz**"), "section `## Quiz`"),
        (replace(6, "## Further reading", "**Further reading**"), "section `## Further reading`"),
        (replace(6, "<details><summary>Answer</summary>Two.</details>", "Two."), "quiz needs three"),
        (replace(3, "## Can", "### Can"), "skips a level"),
        (replace(3, "## Can", "![](../pyproject.toml)\n## Can"), "has no alt text"),
        (replace(6, "Two.</details>", "Two."), "<details> is not closed"),
        (replace(6, "<summary>Answer</summary>Two.", "Two."), "no <summary>"),
        (replace(6, "../simmim_lab/masking.py", "08_none.ipynb"), "leads nowhere"),
        (replace(6, "../simmim_lab/masking.py", "http://example.org"), "leads nowhere"),
        (replace(6, "random_mask", "random_msk"), "no `simmim_lab.masking.random_msk`"),
        (replace(6, "`simmim_lab.masking.random_mask`", "`simmim_lab/mask.py`"), "no file `simmim_lab/mask.py`"),
        (replace(3, "12.3 dB", "12.4 dB"), "no cell, result or source has '12.4 dB'"),
        (replace(6, " (§4.1)", ""), "no cell, result or source has '60 %'"),
        (replace(0, "minutes of study", "minutes"), "needs the time it takes"),
        (replace(3, "The noise", "See lesson 12. The noise"), "there is no lesson 12"),
        (replace(3, "The noise", "See lessons 07 and 13. The noise"), "there is no lesson 13"),
        (replace(4, "print", "check.guess('x')\ncheck.guess(\"no such\")\nprint"), "no question 'no such'"),
        (replace(4, "print", "f = check.yours_or_ours(f)\nprint"), "needs the tag `your-turn`"),
        (turn("def f():\n    pass"), "where f is a task with a solution"),
        (turn(STUB.replace("raise NotImplementedError", "return step")), "needs the stub of"),
        (turn(STUB.replace("step)", "step: int)")), "needs the signature and the docstring"),
        (turn(STUB.replace("Half.", "A half.")), "needs the signature and the docstring"),
        (turn(STUB, "all checks here passed"), "is not stored untouched"),
    ],
)
def test_a_broken_rule_is_found(tiny, half_task, edit, problem):
    change(tiny, edit)
    found = problems(tiny)
    assert any(problem in line for line in found), found


def test_a_lesson_leads_to_the_next(tiny):
    tiny.with_name("08_more.ipynb").touch()
    assert problems(tiny) == ["it needs `Next: [08_more.ipynb](08_more.ipynb)` at its end"]
    change(tiny, replace(6, "(§4.1).", "(§4.1).\n\nNext: [08_more.ipynb](08_more.ipynb), how to add."))
    assert problems(tiny) == []


@pytest.mark.parametrize(
    "text",
    [
        "3 × 3 pixels, 12,000 images, 12.34 dB and 1,234 % of `99 %`",
        "the ratio is 60 %",
        "`random.randint` and `masking.random_mask(1, (8, 8))` hide 2.5×",
    ],
)
def test_what_the_rules_allow(tiny, text):
    change(
        tiny,
        replace(
            4, "print(", "from simmim_lab import masking\nmine = 0.6, 2.46, '1,234', '/home/me/dog.jpg'\nprint("
        ),
    )
    change(tiny, replace(3, "The noise", f"{text}\n\nThe noise"))
    assert problems(tiny) == []


def test_a_stale_output_is_found(tiny):
    executed, seconds = run_fast(tiny)
    assert compare(tiny, executed) == comparison.Comparison([], 4, 0)
    assert 0 < seconds < 30
    change(tiny, lambda notebook: notebook.cells[4].outputs[0].update(text="1 2 4 and 12.34 dB\n"))
    found = compare(tiny, executed)
    assert "code cell 3" in found.differences[0] and len(found.differences) == 1
    assert (found.compared, found.exempt) == (4, 0)

    change(tiny, lambda notebook: notebook.cells[4].metadata.update(tags=["nbval-ignore-output"]))
    assert compare(tiny, executed) == comparison.Comparison([], 3, 1)


NOISY = """\
import sys, time
from IPython.display import display
from tqdm import tqdm
from tqdm.auto import tqdm as widget_bar

for _ in widget_bar(tqdm(range(3)), "bar"):
    print(FAST)"""
WIDGET = """\
class Widget:
    def _repr_mimebundle_(self, **_):
        view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
        return {"text/plain": "Widget", "image/png": PNG, **view}, {"image/png": {"alt": "One pixel"}}

Widget()"""


def test_execution_stores_what_a_reader_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIMMIM_LAB_FAST", "1")  # stored outputs are those of the full lesson all the same
    path = tiny_lesson.write(tmp_path, f'PNG = "{tiny_lesson.PNG}"', NOISY, WIDGET)
    assert main(["execute", str(path)]) == 0
    assert problems(path) == []
    cells = nbformat.read(path, as_version=4).cells
    assert output_text(cells[4]) == "1 2 3 and 12.34 dB\n"
    assert output_text(cells[7]) == "False\nFalse\nFalse\n"
    assert list(cells[8].outputs[0].data) == ["image/png", "text/plain"]
    assert capsys.readouterr().out.startswith("07_tiny.ipynb ")

    first = path.read_bytes()
    main(["execute", str(path)])
    assert path.read_bytes() == first


def test_a_lesson_that_fails_is_left_as_it_was(tmp_path, capsys):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    broken, whole = tiny_lesson.write(folders[0], "1 / 0"), tiny_lesson.write(folders[1], "1 / 1")
    before = broken.read_bytes()
    assert main(["execute", str(broken), str(whole)]) == 1
    assert broken.read_bytes() == before
    assert problems(whole) == []
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_the_benchmark_measures_and_fills_in_the_head(tmp_path):
    path = tiny_lesson.write(tmp_path, "hog = bytearray(0 if FAST else 600_000_000)")
    main(["execute", str(path)])
    other = {"date": "2026-01-01"}
    (tmp_path / "results" / "lessons.json").write_text(json.dumps({"06_other": other}))

    subprocess.run([sys.executable, ROOT / "benchmarks" / "lessons.py", path], check=True, timeout=300)
    costs = json.loads((tmp_path / "results" / "lessons.json").read_text())
    assert costs["06_other"] == other
    full, fast = costs["07_tiny"]["full"], costs["07_tiny"]["fast"]
    assert fast["gigabytes"] + 0.5 < full["gigabytes"] < fast["gigabytes"] + 0.7
    assert all(mode["cpu_seconds"] > 0 and 0 < mode["seconds"] < 60 for mode in (full, fast))
    assert (costs["07_tiny"]["compared_cells"], costs["07_tiny"]["exempt_cells"]) == (5, 0)
    assert f"{full['gigabytes']:.1f} GB" in nbformat.read(path, as_version=4).cells[0].source
    assert hosting.differences(tmp_path) == problems(path) == []
