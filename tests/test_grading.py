"""A class is graded to its end, whatever one of them does, and points change only where they should."""

import csv
import importlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import MagicMock

import nbformat
import pytest
from answers import RIGHT, WRONG, source, words

pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
from nbformat.v4 import new_output
from nbgrader.api import Gradebook
from nbgrader.utils import has_failed

from simmim_lab.teaching import cli
from simmim_lab.teaching.course import nbgrader, released
from simmim_lab.teaching.grading import gradebook, marking, preprocessors, regrading
from simmim_lab.teaching.grading.batch import JobError
from simmim_lab.teaching.grading.graft import graft
from simmim_lab.teaching.isolation import sandbox
from simmim_lab.teaching.isolation.session import Ran

ROOT = Path(__file__).parents[1]
SET, TASK, OTHER, WRITTEN = "01_masking", "masks_of_ratios", "patch_shares", "high_ratio"
GOOD, BAD = source(RIGHT[TASK][1], TASK), source(WRONG[TASK][0][0], TASK)


def find(notebook: nbformat.NotebookNode, grade_id: str = TASK) -> nbformat.NotebookNode:
    [cell] = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
    return cell


def submission(text: str = GOOD, written: str = "Because neighbours are alike.") -> nbformat.NotebookNode:
    notebook = nbformat.read(ROOT / "exercises" / SET / f"{SET}.ipynb", as_version=4)
    find(notebook).source, find(notebook, WRITTEN).source = text, written
    return notebook


def hand_in(course: Path, student: str, content: nbformat.NotebookNode | bytes) -> Path:
    """Put a notebook into the inbox."""
    path = course / "inbox" / student / "a.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else nbformat.writes(content).encode())
    return path


def points(course: Path, student: str, task: str = TASK) -> float:
    scores = gradebook.scores(gradebook.url(course / "grading"), SET)
    return scores[student, task if task == WRITTEN else f"{task}-check"]


def records(course: Path) -> dict:
    return json.loads((course / "grading" / "collected.json").read_text(encoding="utf-8"))[SET]


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """What grading needs: one exercise set, the configuration, and a gradebook, which takes seconds to make."""
    root = tmp_path_factory.mktemp("made")
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder / SET, root / folder / SET)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "notebooks").mkdir()
    nbgrader(root)
    return root


@pytest.fixture
def course(made, tmp_path, monkeypatch) -> Path:
    root = shutil.copytree(made, tmp_path / "course")
    monkeypatch.setattr(cli, "course_folder", lambda: root)
    return root


@pytest.fixture
def rules(monkeypatch) -> set[str]:
    return stand_in(monkeypatch)


def stand_in(monkeypatch) -> set[str]:
    """Grade without running anything: a task is right if its answer holds a word of the set that is returned."""
    accepted = {"right"}

    def execute(self, nb, resources):
        answer = ""
        for cell in nb.cells:
            mark = cell.metadata.get("nbgrader", {})
            if mark.get("solution"):
                answer = cell.source
            elif mark.get("grade") and not accepted & set(answer.split()):
                cell.outputs = [new_output("error", ename="Failed", traceback=["not yet right"])]
        return nb, resources

    def each(work, action, **_):
        for key in work:
            try:
                yield key, action(key)
            except JobError as error:
                yield key, error

    monkeypatch.setattr(preprocessors.SandboxExecute, "preprocess", execute)
    monkeypatch.setattr(marking, "each", each)
    monkeypatch.setattr(sandbox, "missing", lambda: None)
    return accepted


def run(*arguments: str) -> int:
    return cli.main(list(arguments))


def test_course_and_students_are_in_the_gradebook_before_several_processes_write_into_it(course):
    """If two processes add the same one at once, nbgrader fails in one of them, and a student gets no points."""
    marking.enter(course, [(SET, "ada"), (SET, "grace")])
    with closing(sqlite3.connect(course / "grading" / "gradebook.db")) as database:
        courses, students = (
            {key for (key,) in database.execute(f"SELECT id FROM {table}")} for table in ("course", "student")
        )
    assert nbgrader(course).coursedir.course_id in courses
    assert students == {"ada", "grace"}


HOSTILE = 'raise ValueError("<script>alert(1)</script>")\n'


def test_a_class_is_graded_whatever_one_of_them_does(course, isolation, capsys):
    warns = GOOD.replace("    rows", "    import warnings; warnings.warn('')\n    rows", 1)
    hand_in(course, "right", submission(warns))
    hand_in(course, "wrong", submission(BAD))
    dies = submission(f"import os\nos._exit(1)\n{GOOD}")
    find(dies, OTHER).source = source(RIGHT[OTHER][0], OTHER)
    hand_in(course, "dies", dies)
    hostile = submission(HOSTILE + GOOD)
    hostile.cells.append(nbformat.v4.new_markdown_cell("<img src=x onerror=alert(1)><script>alert(2)</script>"))
    hand_in(course, "hostile", hostile)
    hand_in(course, "broken", b"{")
    before = tree(course / "exercises")

    assert run("collect", str(course / "inbox")) == 1  # one cannot be read
    assert run("grade", "--jobs", "2") == 0
    assert run("feedback", SET) == 0
    assert run("export") == 0
    with open(course / "grading" / "grades" / f"{SET}.csv", encoding="utf-8-sig") as lines:
        rows = {row["student"]: row for row in csv.DictReader(lines)}
    assert {name: float(row[TASK]) for name, row in rows.items()} == {
        **{"right": 2, "wrong": 0, "dies": 0, "hostile": 0, "broken": 0}
    }
    assert float(rows["dies"][OTHER]) == 1, "what one cell does costs its own task"
    assert "status 1" in rows["dies"]["notes"]
    assert rows["broken"]["status"] == "unreadable" and rows["right"]["status"] == "written answers to grade"
    assert {row["max_score"] for row in rows.values()} == {rows["right"]["max_score"]}
    pages = {
        path.parts[-3]: path.read_text(encoding="utf-8") for path in course.glob("grading/feedback/*/*/*.html")
    }
    assert pages.keys() == rows.keys()
    assert "<script>alert" not in pages["hostile"] and "<img src=x" not in pages["hostile"]
    assert "is it a coin for each patch?" in words(pages["wrong"])
    for page in pages.values():
        assert "HIDDEN TESTS" not in page and ".grade(" not in page and str(course) not in page
        assert "site-packages" not in page and "core.py" not in page
    assert tree(course / "exercises") == before


class Here:
    """The session of a student, without another process."""

    def __init__(self):
        self.names: dict = {"get_ipython": MagicMock()}

    def run(self, source: str) -> Ran:
        try:
            exec(source, self.names)
        except Exception as error:
            return Ran("", f"{type(error).__name__}: {error}")
        return Ran("", None)

    def function(self, name: str):
        def call(*args, **kwargs):
            if name not in self.names:
                raise NameError(f"name {name!r} is not defined")
            return self.names[name](*args, **kwargs)

        return call


CALLS = f"def {TASK}(*args, **kwargs):\n    return helper(*args, **kwargs)"


@pytest.mark.parametrize(
    "answer, last, right",
    [
        (GOOD, "", True),
        (BAD, "", False),
        (BAD, GOOD, True),  # an old try above
        (GOOD, f"{TASK} = None", True),
        (GOOD, f"def {TASK}():\n    1 / 0", True),
        (GOOD, "1 / 0", True),
        (CALLS, GOOD.replace(f"def {TASK}", "def helper"), True),
        (f"@same\n{GOOD}", "def same(function):\n    return function", True),
        (f"%%time\n{GOOD}", "!ls\n%matplotlib inline", True),
        ("", "", False),
    ],
)
def test_an_answer_counts_wherever_it_stands_and_whatever_stands_behind_it(answer, last, right):
    handed_in = submission(answer)
    handed_in.cells.append(nbformat.v4.new_code_cell(last))
    notebook, _ = graft(released(ROOT, SET, hidden_tests=True), handed_in)
    preprocessors._Run(notebook, Here()).all_cells()
    assert has_failed(find(notebook, f"{TASK}-check")) != right


def test_only_what_is_new_is_graded(course, rules):
    for student in ("ann", "bob"):
        os.utime(hand_in(course, student, submission("right")), (1_000_000_000, 1_000_000_000))
    run("collect", str(course / "inbox"))
    assert marking.grade(course, []) == (2, [])
    run("collect", str(course / "inbox"))
    assert marking.grade(course, []) == (0, [])
    shutil.rmtree(course / "grading" / "submitted" / "bob")  # as INSTRUCTORS.md removes a student
    run("collect", str(course / "inbox"))
    assert (course / "grading" / "submitted" / "bob" / SET).is_dir(), "and the next collect takes him in again"
    assert marking.grade(course, []) == (1, [])
    hand_in(course, "ann", submission("wrong"))
    run("collect", str(course / "inbox"))
    assert marking.grade(course, []) == (1, []) and points(course, "ann") == 0 and points(course, "bob") == 2


def test_what_was_interrupted_goes_on_where_it_stopped(course, rules, monkeypatch, capsys):
    for student in ("ann", "bob", "cid"):
        hand_in(course, student, submission("right"))
    run("collect", str(course / "inbox"))
    usual, asked = marking._grade, []

    def stop_at_bob(root, folder, isolated, job):
        asked.append(job[0][1])
        if asked == ["ann", "bob"]:
            raise KeyboardInterrupt
        return usual(root, folder, isolated, job)

    monkeypatch.setattr(marking, "_grade", stop_at_bob)
    assert run("grade") == 130
    assert [record["status"] for record in records(course).values()] == ["graded", "collected", "collected"]
    assert run("grade") == 0
    assert asked == ["ann", "bob", "bob", "cid"]
    assert all(points(course, student) == 2 for student in ("ann", "bob", "cid"))


def test_a_submission_that_cannot_be_graded_is_named_and_gets_a_page(course, rules, monkeypatch, capsys):
    for student in ("ann", "bob"):
        hand_in(course, student, submission("right"))
    run("collect", str(course / "inbox"))
    usual = marking._grade

    def dies(root, folder, isolated, job):
        (_, student), left_out = job
        if student == "ann" and not left_out:
            raise JobError("its process ended (status -9)")
        return usual(root, folder, isolated, job)

    monkeypatch.setattr(marking, "_grade", dies)
    assert run("grade") == 1
    assert "ann, 01_masking: not graded: its process ended (status -9)" in capsys.readouterr().out
    assert (points(course, "ann"), points(course, "bob")) == (0, 2)
    assert run("feedback") == 1
    page = course / "grading" / "feedback" / "ann" / SET / f"{SET}.html"
    assert "could not be graded" in page.read_text(encoding="utf-8")
    monkeypatch.setattr(marking, "_grade", usual)
    assert run("grade") == 0 and points(course, "ann") == 2


def by_hand(course: Path, student: str, score: float, comment: str) -> None:
    """What an instructor enters in formgrader."""
    with Gradebook(gradebook.url(course / "grading")) as book:
        grade = book.find_grade(WRITTEN, SET, SET, student)
        grade.manual_score, grade.needs_manual_grade = score, False
        book.find_comment(WRITTEN, SET, SET, student).manual_comment = comment
        book.db.commit()


def given(course: Path, student: str) -> tuple[float, bool, str]:
    with Gradebook(gradebook.url(course / "grading")) as book:
        grade = book.find_grade(WRITTEN, SET, SET, student)
        return grade.score, grade.needs_manual_grade, book.find_comment(WRITTEN, SET, SET, student).comment


@pytest.fixture(scope="module")
def graded(made, tmp_path_factory) -> Path:
    """Three students, of whom a mended test would accept one more; one has points by hand."""
    root = shutil.copytree(made, tmp_path_factory.mktemp("graded") / "course")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        patch.setattr(cli, "course_folder", lambda: root)
        for student, answer in (("ann", "right"), ("bob", "fair"), ("cid", "wrong")):
            hand_in(root, student, submission(answer))
        assert run("collect", str(root / "inbox")) == run("grade") == 0
    by_hand(root, "bob", 1.5, "Nearly.")
    return root


@pytest.fixture
def class_graded(graded, rules, tmp_path, monkeypatch) -> Path:
    root = shutil.copytree(graded, tmp_path / "course")
    monkeypatch.setattr(cli, "course_folder", lambda: root)
    return root


def test_points_that_move_are_listed_before_they_are_written(class_graded, rules, capsys):
    capsys.readouterr()
    rules |= {"fair"}  # the test was mended
    before = tree(class_graded / "grading" / "autograded"), records(class_graded)
    assert run("grade", "--all") == 1
    said = capsys.readouterr().out
    assert f"bob, {SET}, {TASK}: 0 -> 2" in said and "ann" not in said and "cid" not in said
    assert (tree(class_graded / "grading" / "autograded"), records(class_graded)) == before
    assert points(class_graded, "bob") == 0
    assert run("grade", "--all", "--yes") == 0
    assert points(class_graded, "bob") == 2 and points(class_graded, "cid") == 0
    assert given(class_graded, "bob") == (1.5, False, "Nearly."), "what was given by hand is kept"
    assert run("grade", "--all") == 0
    assert "No points moved" in capsys.readouterr().out
    assert not (class_graded / "grading" / "regraded").exists()


def test_what_is_given_by_hand_meanwhile_is_kept(class_graded, rules):
    rules |= {"fair"}
    regrading.regrade(class_graded, [])
    by_hand(class_graded, "ann", 2, "Yes.")
    regrading.accept(class_graded)
    assert given(class_graded, "ann") == (2, False, "Yes.") and given(class_graded, "bob")[0] == 1.5


def test_writing_the_points_that_was_interrupted_is_finished_by_the_next_command(class_graded, rules, monkeypatch):
    rules |= {"fair"}
    regrading.regrade(class_graded, [])
    monkeypatch.setattr(regrading, "write_records", interrupted)
    with pytest.raises(KeyboardInterrupt):
        regrading.accept(class_graded)
    monkeypatch.undo()
    assert regrading._beside(class_graded).exists()
    regrading.finish(class_graded)
    assert points(class_graded, "bob") == 2 and not regrading._beside(class_graded).exists()
    assert {record["status"] for record in records(class_graded).values()} == {"graded"}


def interrupted(*_) -> None:
    raise KeyboardInterrupt


def add_a_task(course: Path) -> None:
    path = course / "solutions" / SET / f"{SET}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for kind in ("", "-check"):
        cell = nbformat.from_dict(find(notebook, TASK + kind))
        cell.id, cell.metadata.nbgrader.grade_id = f"new{kind}", f"new{kind}"
        notebook.cells.append(cell)
    nbformat.write(notebook, path)


def test_a_set_that_got_a_task_is_graded_anew_and_keeps_what_was_given_by_hand(class_graded, capsys):
    add_a_task(class_graded)
    hand_in(class_graded, "dee", submission("right"))
    run("collect", str(class_graded / "inbox"))
    assert run("grade") == 2
    assert "tasks of 01_masking were added or removed" in capsys.readouterr().err
    assert run("grade", "--all") == 1
    assert f"bob, {SET}, new: none -> 0" in capsys.readouterr().out
    assert run("grade", "--all", "--yes") == 0
    assert points(class_graded, "bob", "new") == 0 and points(class_graded, "dee") == 2
    assert given(class_graded, "bob") == (1.5, False, "Nearly.")


def test_what_does_not_belong_into_the_folders_is_named_and_survived(class_graded, rules, capsys):
    submitted = class_graded / "grading" / "submitted"
    shutil.copytree(submitted / "ann", submitted / "zoe")
    placed = submitted / "zoe" / SET / f"{SET}.ipynb"
    placed.write_bytes(b"\xef\xbb\xbf" + nbformat.writes(submission("right")).encode())  # with a byte order mark
    (submitted / "bob").rename(submitted / "robert")
    (submitted / "notes.txt").write_text("mine")
    (submitted / "ann" / "99_nothing").mkdir()
    shutil.copytree(submitted / "ann", submitted / "a[n]n")
    assert run("grade") == 1
    said = capsys.readouterr().out
    assert all(name in said for name in ("zoe", "notes.txt", "99_nothing", "a[n]n"))
    assert points(class_graded, "zoe") == 2 and points(class_graded, "robert") == 0
    assert run("feedback") in (0, 1) and run("export") in (0, 1)


@pytest.mark.parametrize("content", [None, "", "{"])
def test_records_that_are_lost_or_damaged_are_made_anew(class_graded, content, capsys):
    path = class_graded / "grading" / "collected.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert run("grade") == 1
    assert "records" in capsys.readouterr().out or content is not None
    assert {record["status"] for record in records(class_graded).values()} == {"graded"}
    assert given(class_graded, "bob")[0] == 1.5


def test_a_stray_copy_beside_a_solution_stops_nothing(course, rules):
    shutil.copy(course / "solutions" / SET / f"{SET}.ipynb", course / "solutions" / SET / f"{SET}-Copy1.ipynb")
    hand_in(course, "ann", submission("right"))
    assert run("release") == run("collect", str(course / "inbox")) == run("grade") == run("export") == 0
    assert points(course, "ann") == 2


def test_the_exercises_are_neither_read_nor_written(course, rules):
    path = course / "exercises" / SET / f"{SET}.ipynb"
    nbformat.write(submission("right"), path)  # who tries them in the folder where they lie
    (path.parent / "notes.txt").write_text("mine")
    before = tree(course / "exercises")
    hand_in(course, "ann", b"")
    run("collect", str(course / "inbox"))
    assert run("grade") == 0 and points(course, "ann") == 0
    assert tree(course / "exercises") == before


@pytest.mark.parametrize("content", [b"", b"not a database", None])
def test_a_damaged_gradebook_is_named(class_graded, content, capsys):
    path = class_graded / "grading" / "gradebook.db"
    path.unlink()
    if content is None:  # as nbgrader leaves it when it is interrupted at the start
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE course (id VARCHAR)")
    else:
        path.write_bytes(content)
    assert run("grade") == 2
    assert "gradebook.db is damaged" in capsys.readouterr().err


def test_grading_without_isolation_says_so_and_stops_unless_it_is_asked_for(course, rules, monkeypatch, capsys):
    hand_in(course, "ann", submission("right"))
    run("collect", str(course / "inbox"))
    monkeypatch.setattr(sandbox, "missing", lambda: "there is no bubblewrap here")
    assert run("grade") == 2
    said = capsys.readouterr().err
    assert "there is no bubblewrap here" in said and "--without-isolation" in said
    assert run("grade", "--without-isolation") == 0


def test_grading_without_submissions_says_what_to_do(course, rules, capsys):
    assert run("grade") == 2
    assert "simmim-course collect" in capsys.readouterr().err
    assert run("grade", "01_maskin") == 2
    assert "did you mean '01_masking'" in capsys.readouterr().err


def test_what_is_loaded_once_for_all_jobs_is_there():
    """A name that is wrong would only cost time, and nobody would hear of it."""
    for name in {*marking.TESTS, *marking.PAGES}:
        importlib.import_module(name)
