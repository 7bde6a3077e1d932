"""The table of figures in README.md says what the files in results/ hold."""

import json
import shutil
from pathlib import Path

import pytest

from simmim_lab.teaching import figures
from simmim_lab.teaching.cli import main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    shutil.copytree(ROOT / "results", tmp_path / "results")
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.setattr("simmim_lab.teaching.cli.course_folder", lambda: tmp_path)
    return tmp_path


def test_the_table_in_the_readme_is_up_to_date():
    assert figures.table(ROOT) in (ROOT / "README.md").read_text(encoding="utf-8"), "run simmim-course figures"


@pytest.mark.parametrize("line", figures.table(ROOT).splitlines())
def test_a_row_is_one_line_of_four_cells(line):
    assert line.count("|") == 5 and all(cell.strip() for cell in line.split("|")[1:-1])


def test_a_new_result_reaches_the_readme_and_nothing_else_changes(course, capsys):
    before = (course / "README.md").read_text(encoding="utf-8")
    path = course / "results" / "exercises.json"
    results = json.loads(path.read_text())
    row = {"caught": 3, "wrong": 4, "wrong_seeds": 10, "accepted": 2, "right": 2, "right_seeds": 1000}
    rows = {"one": row, "two": row | {"caught": 4, "wrong_seeds": 9}}
    path.write_text(json.dumps(results | {"date": "2031-01-02", "tasks": rows}))
    assert main(["figures"]) == 0 and capsys.readouterr().out == "Wrote README.md\n"
    after = (course / "README.md").read_text(encoding="utf-8")
    [line] = set(after.splitlines()) - set(before.splitlines())
    assert "| 7 of 8, each on 9 to 10 seeds; 4 of 4, each on 1,000 | 2031-01-02 |" in line
    assert main(["figures"]) == 0 and capsys.readouterr().out == "Nothing to change.\n"


def test_a_missing_result_is_named(course, capsys):
    (course / "results" / "speed.json").unlink()
    assert main(["figures"]) == 2 and "speed.json: run its benchmark first" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["# A course\n", figures.START * 2 + figures.END, figures.END + figures.START])
def test_a_readme_without_a_place_for_the_table_is_left_as_it_was(course, capsys, text):
    (course / "README.md").write_text(text)
    assert main(["figures"]) == 2 and "put them around the table" in capsys.readouterr().err
    assert (course / "README.md").read_text() == text
