"""Progress: which of the learner's functions hold, kept in the working copy and nowhere else."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from bs4 import BeautifulSoup

from simmim_lab import checks
from simmim_lab.checks import core
from simmim_lab.checks.progressing import FILE, note, page
from simmim_lab.workspace import MARKER

progressing = sys.modules["simmim_lab.checks.progressing"]
TODAY = date.today().isoformat()
LESSONS = {"01 masking": ["patchify", "random_mask"], "02 encoders": ["attention"]}


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    """A fresh kernel."""
    monkeypatch.setattr(progressing, "_solved", {})


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working copy, of which a notebook is open."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / MARKER).write_text("{}")
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def test_what_holds_is_kept_for_the_next_kernel(work, monkeypatch):
    note("patchify")
    note("attention")
    assert json.loads((work / FILE).read_text()) == {"patchify": TODAY, "attention": TODAY}
    monkeypatch.setattr(progressing, "_solved", {})
    assert page(LESSONS).lessons["01 masking"] == {"patchify": TODAY, "random_mask": None}


def test_the_first_day_counts(work):
    (work / FILE).write_text('{"patchify": "2026-01-02"}')
    note("patchify")
    assert json.loads((work / FILE).read_text()) == {"patchify": "2026-01-02"}
    assert page(LESSONS).lessons["01 masking"]["patchify"] == "2026-01-02"


def test_outside_of_a_working_copy_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    note("patchify")
    assert list(tmp_path.iterdir()) == []
    assert page(LESSONS).lessons["01 masking"]["patchify"] == TODAY and "Not kept" in page(LESSONS).kept


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"patchify": 3}', '{"patchify": "long ago"}', "\x80"])
def test_a_damaged_file_is_put_aside_and_said_in_one_line(work, capsys, text):
    (work / FILE).write_bytes(text.encode("latin-1"))
    note("patchify")
    assert capsys.readouterr().out.count("\n") == 1
    assert json.loads((work / FILE).read_text()) == {"patchify": TODAY}
    assert (work / "progress.damaged.json").read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize("failing", ["replace_file", "FileLock"])
def test_a_folder_that_cannot_be_written_does_not_stop_the_lesson(work, monkeypatch, capsys, failing):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(progressing, failing, fail)
    note("patchify")
    assert capsys.readouterr().out.count("\n") == 1
    assert page(LESSONS).lessons["01 masking"]["patchify"] == TODAY


def test_a_file_that_cannot_be_read_does_not_stop_the_lesson(work, capsys):
    (work / FILE).mkdir()
    note("patchify")
    assert page(LESSONS).lessons["01 masking"]["patchify"] == TODAY
    assert "could not be" in capsys.readouterr().out


def test_a_drive_without_locks_is_written_all_the_same(work, monkeypatch):
    def acquire(self):
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(progressing.FileLock, "acquire", acquire)
    note("patchify")
    assert json.loads((work / FILE).read_text()) == {"patchify": TODAY}


def test_notebooks_that_write_at_once_lose_nothing(work):
    def notebook(number: int) -> int:
        code = f"from simmim_lab.checks.progressing import note\nfor i in range(20): note(f'task {number} {{i}}')"
        return subprocess.run([sys.executable, "-c", code], cwd=work / "notebooks").returncode

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(notebook, range(2))) == [0, 0]
    assert len(json.loads((work / FILE).read_text())) == 40
    assert not list(work.glob("*.partial"))


def test_the_page_is_a_table_that_is_read_aloud_in_order(work):
    note("patchify")
    table = BeautifulSoup(page(LESSONS)._repr_html_(), "html.parser").table
    assert table.caption.text == "1 of 3 of your turns hold"
    assert [head["scope"] for head in table.thead("th")] == ["col"] * 3
    assert [(head.text, head["rowspan"]) for head in table("th", scope="rowgroup")] == [
        ("01 masking", "2"),
        ("02 encoders", "1"),
    ]
    rows = [[cell.text for cell in row(["th", "td"])][-2:] for row in table.tbody("tr")]
    assert rows == [["patchify", f"yes, since {TODAY}"], ["random_mask", "not yet"], ["attention", "not yet"]]


def test_the_page_as_text_says_the_same(work):
    note("patchify")
    lines = repr(page(LESSONS)).splitlines()
    assert lines[0] == "1 of 3 of your turns hold" and f"  ✓ patchify: yes, since {TODAY}" in lines
    assert "  · attention: not yet" in lines and lines[-1] == f"Kept in {work / FILE}"


def test_yours_or_ours_notes_the_learners_function_and_never_our_own(work, monkeypatch, capsys):
    def twice(x):
        return 2 * x

    @core.check("first hint", "second hint", solution=twice)
    def double(answer, rng):
        """`double(x)` returns 2 x."""
        yield "returns 2 x", core.compare(answer(3), 6)

    monkeypatch.setitem(checks.TASKS, "double", double)
    monkeypatch.setattr(twice, "__name__", "double")

    def learner(x):
        return x + x

    learner.__name__ = "double"
    for answer in (lambda x: x**2, twice):
        answer.__name__ = "double"
        checks.yours_or_ours(answer)
        assert not (work / FILE).exists()
    checks.yours_or_ours(learner)
    assert json.loads((work / FILE).read_text()) == {"double": TODAY}
    capsys.readouterr()


def test_progress_shows_every_turn_of_every_lesson_once(work, capsys):
    checks.progress()
    shown = re.findall(r"^  · (\w+): not yet$", capsys.readouterr().out, re.MULTILINE)
    assert sorted(shown) == sorted(name for name, task in checks.TASKS.items() if task.solution)
