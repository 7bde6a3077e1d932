"""Instructors: a download becomes one sound notebook per student, and one of them never stops the grading."""

import copy
import csv
import io
import os
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import nbformat
import pytest
from answers import RIGHT, WRONG, source, words

from simmim_lab.teaching import cli, grading
from simmim_lab.teaching.collect import collect, set_of, student_of
from simmim_lab.teaching.course import read_records
from simmim_lab.teaching.graft import graft

ROOT = Path(__file__).parents[1]
SET = "01_masking"
TASK = "masks_of_ratios"
WRITTEN = "high_ratio"


def released(name: str = SET) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)


GOOD, BAD = source(RIGHT[TASK][1], TASK), source(WRONG[TASK][0][0], TASK)


def find(notebook: nbformat.NotebookNode, grade_id: str = TASK) -> nbformat.NotebookNode:
    [cell] = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
    return cell


def submission(text: str = GOOD, edit=None) -> nbformat.NotebookNode:
    notebook = released()
    find(notebook).source = text
    find(notebook, WRITTEN).source = "Because neighbours are alike."
    if edit:
        edit(notebook)
    return notebook


def data(notebook: nbformat.NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()


def put(path: Path, content: bytes, when: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if when:
        os.utime(path, (when, when))
    return path


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def course(tmp_path) -> Path:
    """A copy of what grading needs: one exercise set, and the configuration."""
    root = tmp_path / "course"
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder / SET, root / folder / SET)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "notebooks").mkdir()
    return root


@pytest.mark.parametrize(
    "path, student",
    [
        ("jane/01_masking/01_masking.ipynb", "jane"),
        ("01_masking/jane/01_masking.ipynb", "jane"),
        ("Jane Doe_1234567_assignsubmission_file/01_masking.ipynb", "Jane_Doe_1234567"),
        ("doejane_12345_67890_01_masking-1.ipynb", "doejane_12345"),
        ("doejane_LATE_12345_67890_01_masking.ipynb", "doejane_12345"),
        ("01_masking_jane.ipynb", "jane"),
        ("jane-01_masking(2).ipynb", "jane-_2"),
        ("submissions/jané.zip/01_masking.ipynb", "jané"),
        ("../../etc/01_masking.ipynb", "etc"),
        ("01_masking.ipynb", "unknown"),
    ],
)
def test_the_path_tells_whose_it_is(path, student):
    assert student_of(PurePosixPath(path), [SET, "02_encoders"]) == student


def test_the_cells_tell_which_set_it_is():
    sets = {name: released(name) for name in ("00_start_here", SET)}
    assert set_of(submission(), sets) == SET
    bare = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(GOOD)])
    assert set_of(bare, sets) == SET
    assert set_of(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), sets) is None


def duplicate(notebook):
    cell = find(notebook)
    twin = copy.deepcopy(cell)
    cell.source, twin.id = BAD, "twin"
    notebook.cells.insert(notebook.cells.index(cell) + 1, twin)


def delete(notebook):
    notebook.cells.remove(find(notebook))


def retype(notebook):
    cell = find(notebook)
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]


def split(notebook):
    cell = find(notebook)
    half = copy.deepcopy(cell)
    half.id, half.source = "half", "HELPER = 1"
    notebook.cells.insert(notebook.cells.index(cell) + 1, half)


def strip(notebook):
    for cell in notebook.cells:
        cell.metadata = {}


def move(notebook):
    cell = find(notebook)
    notebook.cells.remove(cell)
    notebook.cells.append(cell)


def cheat(notebook):
    find(notebook, f"{TASK}-check").source = "pass"


def keep(notebook):
    pass


@pytest.mark.parametrize(
    "edit, note",
    [
        (keep, None),
        (duplicate, "2 cells answer it"),
        (retype, "had become markdown"),
        (split, None),
        (strip, None),
        (move, None),
        (cheat, None),
    ],
)
def test_an_answer_survives_what_happened_to_its_cell(edit, note):
    notebook, notes = graft(released(), submission(edit=edit))
    assert find(notebook).source == GOOD and find(notebook).cell_type == "code"
    assert find(notebook, f"{TASK}-check").source == find(released(), f"{TASK}-check").source
    assert find(notebook, WRITTEN).source == "Because neighbours are alike."
    assert [note in text for text in notes] == ([True] if note else [])
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


def test_a_deleted_cell_counts_as_not_answered():
    notebook, notes = graft(released(), submission(edit=delete))
    assert "raise NotImplementedError" in find(notebook).source and "was deleted" in notes[0]


def test_cells_that_a_student_adds_are_kept_where_they_were():
    def add(notebook):
        place = notebook.cells.index(find(notebook))
        notebook.cells.insert(place, nbformat.v4.new_code_cell("import numpy as np  # mine"))
        notebook.cells.insert(place + 2, nbformat.v4.new_markdown_cell("A thought."))

    notebook, _ = graft(released(), submission(edit=add))
    texts = [cell.source for cell in notebook.cells]
    assert texts.index("import numpy as np  # mine") < texts.index(GOOD) < texts.index("A thought.")
    assert len(notebook.cells) == len(released().cells) + 2


def test_any_layout_is_collected(course, tmp_path):
    inbox = tmp_path / "inbox" / "download"
    put(inbox / "Jane Doe_12_assignsubmission_file" / "final version.ipynb", data(submission()))
    put(inbox / "doejohn_7_8_01_masking-1.ipynb", data(submission(BAD)))
    put(inbox / "bob.zip", zipped(**{"work/a.ipynb": data(submission()), "__MACOSX/a.ipynb": b""}))
    put(inbox / "deep.zip", zipped(**{"eve.zip": zipped(**{"01_masking.ipynb": data(submission())})}))
    put(inbox / "ann" / "old.ipynb", data(submission(BAD)), when=1_000_000_000)
    put(inbox / "ann" / "new.ipynb", data(submission()), when=1_700_000_000)
    put(inbox / "broken" / "01_masking.ipynb", b"{not json")
    put(inbox / "stranger" / "essay.ipynb", data(nbformat.v4.new_notebook()))
    put(inbox / "notes.txt", b"hello")
    odd = collect(course, tmp_path / "inbox")
    submitted = {path.parts[-3]: path for path in (course / "grading/submitted").glob("*/*/*.ipynb")}
    assert set(submitted) == {"Jane_Doe_12", "doejohn_7", "bob", "deep", "ann", "broken"}
    answers = {name: find(nbformat.read(path, as_version=4)).source for name, path in submitted.items()}
    assert answers["doejohn_7"] == BAD and answers["ann"] == answers["bob"] == answers["deep"] == GOOD
    assert "NotImplementedError" in answers["broken"]
    assert {"old.ipynb was left out", "unreadable", "left out"} == {
        word for word in ("old.ipynb was left out", "unreadable", "left out") if any(word in line for line in odd)
    }
    assert read_records(course)[SET]["broken"]["readable"] is False


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_nothing_outside_the_inbox_is_read_and_nothing_outside_the_course_written(course, tmp_path):
    secret = put(tmp_path / "secret" / "01_masking.ipynb", data(submission()))
    inbox = tmp_path / "inbox"
    put(inbox / "honest" / "01_masking.ipynb", data(submission()))
    put(inbox / "up.zip", zipped(**{"../../../evil/01_masking.ipynb": data(submission())}))
    (inbox / "link.ipynb").symlink_to(secret)
    (inbox / "folder").symlink_to(secret.parent)
    before = {path for path in tmp_path.rglob("*") if course not in path.parents}
    collect(course, inbox)
    (tmp_path / "door").symlink_to(inbox)  # the instructor's own link to the inbox is followed
    assert collect(course, tmp_path / "door") == []
    (tmp_path / "door").unlink()
    assert {path for path in tmp_path.rglob("*") if course not in path.parents} == before
    assert {path.name for path in (course / "grading" / "submitted").iterdir()} == {"honest", "up"}


def test_an_archive_that_unpacks_to_too_much_is_left_alone(course, tmp_path, monkeypatch):
    monkeypatch.setattr("simmim_lab.teaching.collect.UNPACKED", 100_000)
    inbox = tmp_path / "inbox"
    put(inbox / "honest" / "01_masking.ipynb", data(submission()))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("01_masking.ipynb", b"0" * 200_000)
    put(inbox / "bomb.zip", bomb.getvalue())
    assert any("bomb.zip: unreadable" in line for line in collect(course, inbox))
    assert {path.name for path in (course / "grading" / "submitted").iterdir()} == {"honest"}


def test_an_empty_or_missing_inbox_is_said(course, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(course)
    with pytest.raises(FileNotFoundError, match="there is no notebook"):
        collect(course, course / "notebooks")
    with pytest.raises(FileNotFoundError, match="give the folder or zip file"):
        collect(course, tmp_path / "nowhere")


HOSTILE = 'raise ValueError("<script>alert(1)</script>")\n'


def test_a_class_is_graded_whatever_one_of_them_does(course, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    inbox = tmp_path / "inbox"
    warns = GOOD.replace("    rows", "    import warnings; warnings.warn('')\n    rows", 1)
    put(inbox / "right" / "a.ipynb", data(submission(warns)))
    put(inbox / "wrong" / "a.ipynb", data(submission(BAD)))
    put(inbox / "dies" / "a.ipynb", data(submission("import os\nos._exit(1)\n" + GOOD)))
    put(inbox / "hostile" / "a.ipynb", data(submission(HOSTILE + GOOD, retitle)))
    put(inbox / "broken" / f"{SET}.ipynb", b"{")
    monkeypatch.setattr(cli, "course_folder", lambda: course)

    assert cli.main(["collect", str(inbox)]) == 0
    assert cli.main(["export"]) == 0  # points come with the grading
    assert "right,collected," in (course / "grading" / "grades" / f"{SET}.csv").read_text(encoding="utf-8")
    assert cli.main(["grade"]) == 1  # one of them died
    assert "dies, 01_masking: DeadKernelError" in capsys.readouterr().out
    assert cli.main(["feedback", SET]) == 1
    assert "dies, 01_masking: not graded yet" in capsys.readouterr().out
    assert cli.main(["export"]) == 0

    with open(course / "grading" / "grades" / f"{SET}.csv", encoding="utf-8") as lines:
        rows = {row["student"]: row for row in csv.DictReader(lines)}
    points = {student: float(row[TASK]) for student, row in rows.items()}
    full = points["right"]
    assert full > 0
    assert points == {"right": full, "wrong": 0, "dies": 0, "hostile": 0, "broken": 0}
    assert rows["dies"]["status"].startswith("not graded: DeadKernelError")
    assert rows["broken"]["status"] == "unreadable"
    assert rows["right"]["status"] == "written answers to grade"
    asked = [
        cell.metadata.nbgrader.grade_id
        for cell in released().cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    ]
    assert list(rows["right"])[5:] == [name.removesuffix("-check") for name in asked]
    assert float(rows["right"]["max_score"]) > full

    page = (course / "grading/feedback/hostile/01_masking/01_masking.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page
    page = (course / "grading/feedback/wrong/01_masking/01_masking.html").read_text(encoding="utf-8")
    assert "is it a coin for each patch?" in words(page) and "HIDDEN TESTS" not in page and "core.py" not in page


def retitle(notebook):
    notebook.cells.append(nbformat.v4.new_markdown_cell("<img src=x onerror=alert(1)><script>alert(2)</script>"))


def test_only_what_is_new_is_graded(course, tmp_path, monkeypatch):
    """nbgrader is stood in for: what it is asked to grade is what counts here."""

    def done(*_, **__):
        return {"success": True}

    monkeypatch.setattr(grading, "nbgrader", lambda root: SimpleNamespace(autograde=done, generate_feedback=done))
    monkeypatch.setattr(grading, "release", lambda root, name: None)
    put(tmp_path / "inbox" / "ann" / "a.ipynb", data(submission(BAD)), when=1_000_000_000)
    put(tmp_path / "inbox" / "bob" / "a.ipynb", data(submission(BAD)), when=1_000_000_000)
    collect(course, tmp_path / "inbox")
    assert grading.grade(course, [])[0] == 2
    collect(course, tmp_path / "inbox")
    assert grading.grade(course, [])[0] == 0
    shutil.rmtree(course / "grading" / "submitted" / "bob")  # as INSTRUCTORS.md removes a student
    collect(course, tmp_path / "inbox")
    assert (course / "grading" / "submitted" / "bob" / SET).is_dir(), "and the next collect takes him in again"
    assert grading.grade(course, [])[0] == 1
    put(tmp_path / "inbox" / "ann" / "b.ipynb", data(submission()), when=1_700_000_000)
    collect(course, tmp_path / "inbox")
    assert grading.feedback(course, []) == ["ann, 01_masking: not graded yet"]
    assert grading.grade(course, []) == (1, [])


@pytest.mark.parametrize("content, why", [(b"{", "unreadable"), (None, "older")])
def test_a_good_submission_is_not_replaced_by_a_later_download(course, tmp_path, content, why):
    put(tmp_path / "first" / "ann" / "a.ipynb", data(submission()), when=1_700_000_000)
    collect(course, tmp_path / "first")
    when = 1_800_000_000 if content else 1_600_000_000
    put(tmp_path / "second" / "ann" / f"{SET}.ipynb", content or data(submission(BAD)), when=when)
    assert any(why in line and "ann/a.ipynb counts" in line for line in collect(course, tmp_path / "second"))
    kept = nbformat.read(course / "grading/submitted/ann" / SET / f"{SET}.ipynb", as_version=4)
    assert find(kept).source == GOOD


@pytest.mark.parametrize(
    "members, students",
    [
        (["Jane Doe_12_assignsubmission_file/a.ipynb"], {"Jane_Doe_12"}),
        (
            ["CS101/Jane Doe_12_assignsubmission_file/a.ipynb", "CS101/Al_13_assignsubmission_file/a.ipynb"],
            {"Jane_Doe_12", "Al_13"},
        ),
        (["jane/01_masking.ipynb"], {"jane"}),
        (["week 3/jane/01_masking.ipynb", "week 3/al/01_masking.ipynb"], {"jane", "al"}),
        (["01_masking.ipynb"], {"unknown"}),
    ],
)
def test_a_download_of_one_or_many_is_filed_under_the_right_names(course, tmp_path, members, students):
    archive = put(tmp_path / "CS101-Exercise 3.zip", zipped(**{name: data(submission()) for name in members}))
    odd = collect(course, archive)
    assert {path.name for path in (course / "grading" / "submitted").iterdir()} == students
    assert any("does not tell whose" in line for line in odd) == ("unknown" in students)


def test_grading_without_submissions_says_what_to_do(course, monkeypatch, capsys):
    monkeypatch.setattr(cli, "course_folder", lambda: course)
    assert cli.main(["grade"]) == 2
    assert "simmim-course collect" in capsys.readouterr().err
    assert cli.main(["grade", "01_maskin"]) == 2
    assert "did you mean '01_masking'" in capsys.readouterr().err
