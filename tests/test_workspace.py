"""The working copy: an update brings what is new, and nothing that the learner wrote is lost."""

import json
import re
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest

from simmim_lab import workspace
from simmim_lab.cli import main
from simmim_lab.commands import lessons
from simmim_lab.workspace import MARKER, find, update

ROOT = Path(__file__).parents[1]
LESSON, EXERCISE = "notebooks/01_masks.ipynb", "exercises/01_masks/01_masks.ipynb"
FORBIDDEN = re.compile(r'[<>:"\\|?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)  # on Windows


def write(path: Path, *sources: str, output: str = "") -> None:
    """A notebook of code cells, the first of which has printed something."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell{number}") for number, source in enumerate(sources)]
    cells[0].outputs = [nbformat.v4.new_output("stream", text=output)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells]


@pytest.fixture
def course(tmp_path) -> Path:
    course = tmp_path / "course"
    write(course / LESSON, "1 + 1", "def f(): ...", output="2")
    write(course / "notebooks/02_nets.ipynb", "net")
    write(course / EXERCISE, "task")
    (course / "results").mkdir()
    (course / "results" / "speed.json").write_text("{}")
    (course / "GLOSSARY.md").write_text("# Glossary\n")
    (course / "pyproject.toml").write_text("of the course\n")
    return course


@pytest.fixture
def work(course, tmp_path) -> Path:
    work = tmp_path / "home" / "work"
    update(course, work)
    return work


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_copy_has_what_the_lessons_link_to_and_the_course_stays_as_it_is(course, work):
    assert set(files(work)) == set(files(course)) - {"pyproject.toml"} | {MARKER}
    assert all(data == files(work).get(name, data) for name, data in files(course).items())


def test_without_an_update_nothing_is_written_and_nothing_is_new(course, work):
    (work / "notebooks" / "mine.ipynb").write_text("{}")
    before = files(work)
    assert update(course, work) == [f"Your own copy of the course: {work}"]
    assert files(work) == before


def test_what_is_unchanged_is_renewed_and_what_is_new_is_added(course, work):
    write(course / LESSON, "1 + 2")
    write(course / "notebooks/03_new.ipynb", "new")
    (course / "results" / "speed.json").write_text('{"new": 1}')
    assert update(course, work)[1:] == [
        "New in the course: notebooks/03_new.ipynb",
        f"Renewed, as you had not changed it: {LESSON}",
    ]
    assert (
        files(work).items()
        >= {name: data for name, data in files(course).items() if name != "pyproject.toml"}.items()
    )


def test_to_run_a_lesson_does_not_change_it(course, work):
    write(work / LESSON, "1 + 1", "def f(): ...", output="another")
    write(course / LESSON, "1 + 2")
    update(course, work)
    assert sources(work / LESSON) == ["1 + 2"]


def test_outputs_that_are_new_in_the_course_do_not_replace_those_of_a_run(course, work):
    write(work / LESSON, "1 + 1", "def f(): ...", output="mine")
    for name in (LESSON, "notebooks/02_nets.ipynb"):
        write(course / name, *sources(course / name), output="theirs")
    update(course, work)
    assert b"mine" in files(work)[LESSON] and b"theirs" in files(work)["notebooks/02_nets.ipynb"]


def test_beside_what_the_learner_changed_lies_the_new_version_once(course, work):
    write(work / LESSON, "1 + 1", "def f(): return 3")
    write(course / LESSON, "1 + 2", "def f(): ...")
    lines = update(course, work)
    assert len(lines) == 2 and lines[1].endswith(f"lies beside yours: {LESSON} (01_masks.new.ipynb)")
    assert sources(work / LESSON)[1] == "def f(): return 3"
    assert sources(work / "notebooks/01_masks.new.ipynb")[0] == "1 + 2"
    assert len(update(course, work)) == 1
    (work / "notebooks/01_masks.new.ipynb").unlink()
    assert len(update(course, work)) == 1 and not (work / "notebooks/01_masks.new.ipynb").exists()


def test_a_new_version_in_which_the_learner_wrote_is_kept_too(course, work):
    write(work / LESSON, "mine")
    write(course / LESSON, "second")
    update(course, work)
    write(course / LESSON, "third")
    update(course, work)
    assert sources(work / "notebooks/01_masks.new.ipynb") == ["third"]
    write(work / "notebooks/01_masks.new.ipynb", "mine again")
    write(course / LESSON, "fourth")
    update(course, work)
    assert sources(work / LESSON) == ["mine"]
    assert sources(work / "notebooks/01_masks.new.ipynb") == ["mine again"]
    assert sources(work / "notebooks/01_masks.new2.ipynb") == ["fourth"]


def test_the_new_version_in_the_place_of_the_old_is_renewed_again(course, work):
    write(work / LESSON, "mine")
    write(course / LESSON, "second")
    update(course, work)
    (work / "notebooks/01_masks.new.ipynb").replace(work / LESSON)
    write(course / LESSON, "third")
    update(course, work)
    assert sources(work / LESSON) == ["third"]


def test_what_was_deleted_stays_away(course, work):
    (work / LESSON).unlink()
    assert len(update(course, work)) == 1
    write(course / LESSON, "second")
    assert "deleted by you" in update(course, work)[1]
    assert not (work / LESSON).exists()


def test_a_notebook_that_was_broken_by_hand_is_kept(course, work):
    (work / LESSON).write_text("{ broken")
    write(course / LESSON, "second")
    update(course, work)
    assert (work / LESSON).read_text() == "{ broken"
    assert sources(work / "notebooks/01_masks.new.ipynb") == ["second"]


@pytest.mark.parametrize("writes", range(7))
@pytest.mark.parametrize("started", [False, True], ids=["first copy", "update"])
def test_a_copy_that_is_cut_off_goes_on_and_loses_nothing(course, tmp_path, monkeypatch, started, writes):
    work = tmp_path / "home" / "work"
    if started:
        update(course, work)
        write(work / EXERCISE, "answer")
        for name in (LESSON, EXERCISE, "notebooks/02_nets.ipynb"):
            write(course / name, "second")
    left = iter(range(writes))

    def replace_file(path, write):
        if next(left, None) is None:
            raise KeyboardInterrupt
        complete(path, write)

    complete = workspace.replace_file
    with monkeypatch.context() as patch:
        patch.setattr(workspace, "replace_file", replace_file)
        with suppress(KeyboardInterrupt):
            update(course, work)
    update(course, work)
    assert set(files(work)) - {"exercises/01_masks/01_masks.new.ipynb"} == set(files(course)) - {
        "pyproject.toml"
    } | {MARKER}
    assert sources(work / LESSON) == sources(course / LESSON)
    assert sources(work / EXERCISE) == ["answer" if started else "task"]
    assert len(update(course, work)) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": [1]}', '{"files": {"a": 1}}', '{"files": {"a": ["b"]}}']
)
def test_a_damaged_marker_costs_nothing_but_a_line(course, work, text):
    write(work / LESSON, "mine")
    (work / MARKER).write_text(text)
    write(course / "notebooks/02_nets.ipynb", "second")
    assert "was damaged" in update(course, work)[1]
    assert sources(work / LESSON) == ["mine"] and sources(work / "notebooks/02_nets.ipynb") == ["net"]
    assert sources(work / "notebooks/02_nets.new.ipynb") == ["second"]
    assert len(update(course, work)) == 1


def test_a_folder_that_holds_something_else_is_left_alone(course, tmp_path):
    for place in (course, tmp_path):
        before = files(place)
        with pytest.raises(ValueError, match="choose another folder with --work"):
            update(course, place)
        assert files(place) == before
    with pytest.raises(ValueError, match="is a file"):
        update(course, course / "pyproject.toml")


def test_a_hidden_file_does_not_fill_a_folder(course, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".DS_Store").touch()
    update(course, tmp_path / "work")
    assert (tmp_path / "work" / LESSON).exists()


def link(place: Path, target: Path) -> None:
    try:
        place.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("this system makes no links")


def test_no_link_leads_out_of_the_copy(course, work, tmp_path):
    outside = tmp_path / "outside"
    (work / "notebooks").replace(outside)
    link(work / "notebooks", outside)
    before = files(outside)
    write(course / LESSON, "second")
    with pytest.raises(ValueError, match="leads out of your copy"):
        update(course, work)
    assert files(outside) == before


def test_a_file_that_is_a_link_is_replaced_and_its_target_is_not(course, work, tmp_path):
    outside = tmp_path / "outside.ipynb"
    (work / LESSON).replace(outside)
    link(work / LESSON, outside)
    write(course / LESSON, "second")
    update(course, work)
    assert sources(work / LESSON) == ["second"] and sources(outside)[0] == "1 + 1"


def test_the_copy_may_be_reached_by_a_link(course, work, tmp_path):
    link(tmp_path / "short", work)
    write(course / LESSON, "second")
    update(course, tmp_path / "short")
    assert sources(work / LESSON) == ["second"]


def test_the_names_in_the_copy_are_names_on_windows(tmp_path):
    update(ROOT, tmp_path / "work")
    parts = {part for name in files(tmp_path / "work") for part in name.split("/")}
    assert not [part for part in parts if FORBIDDEN.search(part)]


def test_links_hold_in_a_copy_of_the_real_course(tmp_path):
    update(ROOT, tmp_path / "work")
    for path in sorted((tmp_path / "work").glob("[ne]*/**/*.ipynb")):
        text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
        for target in re.findall(r"\]\((?!https?:|#|attachment:)([^)#\s]+)", text):
            assert (path.parent / target).resolve().is_relative_to(tmp_path / "work") and (
                path.parent / target
            ).exists(), f"{path.name} links to {target}: add it to workspace.FILES"


def test_a_copy_is_found_from_its_notebooks_and_not_from_the_course(work):
    for folder in (work, work / "notebooks", work / "exercises" / "01_masks"):
        assert find(folder) == work
    assert find(work / "exercises" / "01_masks" / "deeper") is None and find(ROOT / "notebooks") is None


@pytest.fixture
def started(course, tmp_path, monkeypatch):
    """What JupyterLab was started with, one list for each start; the course is `course`."""
    starts = []
    jupyterlab = pytest.importorskip("jupyterlab.labapp", reason="needs jupyterlab")
    monkeypatch.setattr(jupyterlab, "main", starts.append)
    monkeypatch.setattr(lessons, "course_folder", lambda: course)
    monkeypatch.chdir(tmp_path)
    return starts


def test_lab_opens_the_copy_and_says_where_it_is(started, tmp_path, capsys):
    assert main(["lab", "--work", "copy"]) == 0
    assert f"--ServerApp.root_dir={tmp_path / 'copy'}" in started[0] and Path.cwd() == tmp_path / "copy"
    assert str(tmp_path / "copy") in capsys.readouterr().out
    assert json.loads((tmp_path / "copy" / MARKER).read_text())["files"]


def test_lab_opens_the_course_itself_for_instructors(started, course, capsys):
    assert main(["lab", "--course"]) == 0
    assert f"--ServerApp.root_dir={course}" in started[0] and Path.cwd() == course
    assert capsys.readouterr().out == "" and not (course / MARKER).exists()


def test_lab_in_a_copy_opens_this_copy_as_it_is(started, work, monkeypatch, tmp_path):
    write(work / LESSON, "mine")
    before = files(work)
    monkeypatch.setattr(lessons, "course_folder", lambda: work)
    for other in (work, tmp_path / "other"):
        assert main(["lab", "--work", str(other)]) == 0
    assert files(work) == before and not (tmp_path / "other").exists()
    assert all(f"--ServerApp.root_dir={work}" in options for options in started)


def test_a_copy_that_cannot_be_written_is_told_in_a_line(started, monkeypatch, capsys):
    def replace_file(path, write):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(workspace, "replace_file", replace_file)
    assert main(["lab", "--work", "copy"]) == 2 and started == []
    assert "check the path" in capsys.readouterr().err
