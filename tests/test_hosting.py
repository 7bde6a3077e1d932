"""`simmim-course host` and the setup cell."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import tiny_lesson
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from nbconvert.filters import markdown2html
from traitlets.config import Config

from simmim_lab.teaching import hosting
from simmim_lab.teaching.cli import main

COST = {
    "cpu": "Some CPU (2 GHz)",
    "cores": 2,
    "full": {"seconds": 84.6, "gigabytes": 0.93},
    "fast": {"seconds": 20},
}


@pytest.fixture
def course(tmp_path):
    path = tiny_lesson.write(tmp_path)
    path.with_name("08_tiny.ipynb").write_bytes(path.read_bytes())
    return tmp_path


def files(root) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [root / "pyproject.toml", *hosting.lessons(root)]}


def head(root, name="07_tiny") -> str:
    return nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4).cells[0].source


def setup(root, name="07_tiny") -> str:
    return nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4).cells[1].source


def test_host_writes_address_badges_and_setup_cells(course):
    assert len(hosting.host(course, "jane/mim-course", "spring/2027")) == 3
    project = tomllib.loads((course / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Repository"] == "https://github.com/jane/mim-course/tree/spring/2027"
    for name in ("07_tiny", "08_tiny"):
        link = BeautifulSoup(markdown2html(head(course, name)), "html.parser").find("a", href=re.compile("colab"))
        at = "https://colab.research.google.com/github/jane/mim-course/blob/spring/2027/notebooks/"
        assert link["href"] == f"{at}{name}.ipynb"
        assert link.img["alt"] == "Open In Colab"
        assert "    %pip install --quiet git+https://github.com/jane/mim-course@spring/2027\n" in setup(
            course, name
        )


def test_the_badges_of_exercises_lead_to_the_students_version(course):
    lesson = nbformat.read(course / "notebooks" / "07_tiny.ipynb", as_version=4)
    lesson.cells[0].source = re.sub(r"\n\n.*<!-- cost -->", "", lesson.cells[0].source)  # exercises have no costs
    paths = [course / folder / "07_tiny" / "07_tiny.ipynb" for folder in ("solutions", "exercises")]
    for path in paths:
        path.parent.mkdir(parents=True)
        nbformat.write(lesson, path)
    assert {*paths} < {*hosting.host(course, "jane/mim-course")}
    for path in paths:
        first, second = nbformat.read(path, as_version=4).cells[:2]
        assert "/jane/mim-course/blob/main/exercises/07_tiny/07_tiny.ipynb" in first.source
        assert "git+https://github.com/jane/mim-course@main" in second.source
    assert hosting.differences(course) == []


def test_host_twice_changes_nothing_and_elsewhere_moves_all(course):
    hosting.host(course, "jane/mim-course")
    first = files(course)
    assert hosting.host(course, "jane/mim-course") == []
    assert files(course) == first
    hosting.host(course, "kim/fork")
    assert all(b"jane" not in data and b"kim/fork" in data for data in files(course).values())


def test_unset_brings_back_what_was_there(course):
    hosting.update(course)
    before = files(course)
    hosting.host(course, "jane/mim-course")
    hosting.host(course, "")
    assert files(course) == before
    assert "colab" not in head(course)


def test_check_lists_what_disagrees(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    monkeypatch.setattr("simmim_lab.commandline.__file__", str(course / "simmim_lab" / "commandline.py"))
    assert main(["host", "--check"]) == 0
    assert main(["host", "jane/mim-course"]) == 0
    assert main(["host", "--check"]) == 0
    capsys.readouterr()

    path = course / "notebooks" / "08_tiny.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("jane/mim-course", "someone/else"))
    assert main(["host", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"08_tiny.ipynb, cell {cell}: ") for cell, line in enumerate(lines, 1))
    assert main(["host", "--unset"]) == 0
    assert main(["host", "--check"]) == 0


@pytest.mark.parametrize(
    ("repository", "address"),
    [
        ("Jane/Mim-Course", "https://jane.github.io/Mim-Course/"),
        ("jane/Jane.github.io", "https://jane.github.io/"),
        ("", "build/site"),
    ],
)
def test_the_readme_says_where_the_website_is(course, repository, address):
    readme = course / "README.md"
    readme.write_text("# Course\n\nFirst.\n\n<!-- website -->\n\nLast.\n", encoding="utf-8")
    assert readme in hosting.host(course, repository)
    first, line, last = readme.read_text(encoding="utf-8").split("\n\n")[1:]
    assert (first, last) == ("First.", "Last.\n")
    assert address in line and ("github.io" in line) == bool(repository)
    assert hosting.differences(course) == [] and hosting.host(course, repository) == []


def test_a_readme_without_a_place_for_the_website_is_named_and_nothing_changes(course):
    (course / "README.md").write_text("# Course\n", encoding="utf-8")
    before = files(course)
    with pytest.raises(ValueError, match=r"README.md needs one paragraph `<!-- website -->`"):
        hosting.host(course, "jane/mim-course")
    assert files(course) == before


@pytest.mark.parametrize(
    ("repository", "branch"),
    [
        ("jane", "main"),
        ("jane/", "main"),
        ("/jane", "main"),
        ("jane/course/more", "main"),
        ("https://github.com/jane/course", "main"),
        ("jane/course.git", "main"),
        ("jane/..", "main"),
        ("-jane/course", "main"),
        ("jané/course", "main"),
        ('jane/course"; print("', "main"),
        ("jane/course\n", "main"),
        ("jane/course", ""),
        ("jane/course", "a b"),
        ("jane/course", "../main"),
        ("jane/course", "main/"),
        ("jane/course", "a//b"),
        ("jane/course", "-q"),
        ("jane/course", 'main"'),
        ("jane/course", "main)[x](http://example.org"),
    ],
)
def test_odd_names_are_refused_and_change_nothing(course, repository, branch):
    before = files(course)
    with pytest.raises(ValueError, match="expected"):
        hosting.host(course, repository, branch)
    assert files(course) == before


def test_a_lesson_without_a_place_is_named_and_nothing_changes(course):
    path = course / "notebooks" / "08_tiny.ipynb"
    before = path.read_text(encoding="utf-8")
    for text, complaint in ("<!-- badge -->", "08_tiny.*badge"), ("<!-- cost -->", "cost"), ("setup", "0 cells"):
        path.write_text(before.replace(text, ""))
        spoiled = files(course)
        with pytest.raises(ValueError, match=complaint):
            hosting.host(course, "jane/mim-course")
        assert files(course) == spoiled
    (course / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ValueError, match=r"\[project.urls\]"):
        hosting.host(course, "jane/mim-course")


def test_a_home_written_by_hand_must_be_one_that_host_writes(course):
    project = course / "pyproject.toml"
    project.write_text(
        project.read_text(encoding="utf-8").replace(
            "urls]\n", 'urls]\nRepository = "https://github.com/jane/course"\n'
        )
    )
    with pytest.raises(ValueError, match="simmim-course host"):
        hosting.differences(course)


def test_the_head_states_the_measured_costs(course):
    (course / "results" / "lessons.json").write_text(json.dumps({"07_tiny": COST}))
    [difference] = hosting.differences(course)
    assert difference.startswith("07_tiny.ipynb, cell 1: '<!-- cost -->' should be '*Measured on 2 cores")
    assert hosting.update(course) == [course / "notebooks" / "07_tiny.ipynb"]
    shown = BeautifulSoup(markdown2html(head(course)), "html.parser").get_text()
    assert "Measured on 2 cores (Some CPU (2 GHz)): 85 s and 0.9 GB of memory; in fast mode 20 s (how)." in shown
    assert "simmim-lab lab" in shown and "keeps your answers" in shown
    assert hosting.differences(course) == []


LESSON, EXERCISE = Path("notebooks/07_tiny.ipynb"), Path("exercises/07_tiny/07_tiny.ipynb")
HOSTED = "https://github.com/jane/mim-course/tree/main"


@pytest.fixture
def run_setup(monkeypatch):
    """A function that runs a setup cell, with the course `installed` or not; it returns what pip was asked."""
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))

    def run(text: str, *, installed: bool) -> list[str]:
        calls = []
        shell.register_magic_function(calls.append, magic_name="pip")
        if not installed:
            monkeypatch.setattr(
                "importlib.metadata.version", lambda name: metadata.Distribution.from_name("no-" + name)
            )
        shell.run_cell(text).raise_error()
        assert shell.user_ns["simmim_lab"].notebook
        return calls

    return run


def test_setup_installs_nothing_where_the_course_is_installed(run_setup):
    assert run_setup(hosting.setup_cell(LESSON, HOSTED), installed=True) == []


@pytest.mark.parametrize(
    ("path", "url", "source"),
    [
        (LESSON, "", ".."),
        (EXERCISE, "", "../.."),
        (LESSON, HOSTED, "git+https://github.com/jane/mim-course@main"),
        (EXERCISE, HOSTED, "git+https://github.com/jane/mim-course@main"),
    ],
)
def test_setup_installs_the_course_from_its_home_or_else_from_its_folder(run_setup, path, url, source):
    assert run_setup(hosting.setup_cell(path, url), installed=False) == [f"install --quiet {source}"]
