"""Points leave the course as tables: right, complete, and with nothing in them that a spreadsheet would run."""

import csv
import io
import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from simmim_lab.teaching import cli
from simmim_lab.teaching.reporting import platforms, tables
from simmim_lab.teaching.reporting.late import late

ROOT = Path(__file__).parents[1]
SET = "01_masking"


def read(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "a spreadsheet takes it for another encoding"
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


@pytest.mark.parametrize(
    "text, shown",
    [
        ("=cmd()", "'=cmd()"),
        ("+1+1", "'+1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        (" \t=1", " \t'=1"),
        ("\r\n=1", "\r\n'=1"),
        ("\u200b\ufeff=1", "'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ('a";=1+1', "a\";'=1+1"),
        ("a,@b", "a,'@b"),
        ("a\t+b", "a\t'+b"),
        ("-1.5", "-1.5"),
        ("-", "-"),
        ("José Núñez; a=b - c", "José Núñez; a=b - c"),
        ("half \ud800", "half ?"),
    ],
)
def test_a_cell_is_shown_and_not_run(text, shown):
    assert tables.plain(text) == shown


def test_numbers_stay_numbers_and_long_texts_end(tmp_path):
    rows = [{"student": "=cmd()", "score": -1.0}, {"student": "x" * 100_000, "score": 2.5, "=A1": 3}]
    lines = read(tables.write(tmp_path / "a.csv", rows))
    assert [line["score"] for line in lines] == ["-1.0", "2.5"] and lines[1]["'=A1"] == "3"
    assert lines[0]["student"] == "'=cmd()" and len(lines[1]["student"]) < 32_767


def test_a_rule_for_late_work():
    rule = late("2026-12-01 23:59+00:00", "10% a day")
    assert rule.penalty("2026-12-01T23:59:40+00:00", 12, 14) == 0, "the minute counts in full"
    assert rule.penalty("2026-12-02T00:30:00+00:00", 12, 14) == 1.4
    assert rule.penalty("2026-12-02T01:30:00+02:00", 12, 14) == 0, "another time zone"
    assert rule.penalty("2026-12-03T00:30:00+00:00", 12, 14) == 2.8
    assert rule.penalty("2027-12-03T00:30:00+00:00", 12, 14) == 12, "the score never falls below 0"
    assert rule.told("2026-12-02T00:30:00+00:00") == "1 day"
    assert late("2026-12-01 12:00", "2 points an hour").penalty("2026-12-01 14:30", 12, 14) == 6
    assert late("2026-12-01 12:00", "0.5 point per week").told("2026-12-20 12:00") == "3 weeks"


@pytest.mark.parametrize(
    "due, rule, word",
    [
        ("2026-12-01 23:59", "10%", "10% a day"),
        ("2026-12-01 23:59", "-3 points a day", "10% a day"),
        ("2026-12-01", "10% a day", "time of the day"),
        ("1.12.2026 23:59", "10% a day", "2026-12-01"),
    ],
)
def test_a_rule_that_cannot_be_read_says_how_to_write_it(due, rule, word):
    with pytest.raises(ValueError, match=word):
        late(due, rule)


def grade(name: str, score: float, most: float, waiting: bool = False) -> SimpleNamespace:
    return SimpleNamespace(
        cell=SimpleNamespace(name=name), score=score, max_score=most, needs_manual_grade=waiting
    )


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A course with records and grades; nbgrader's gradebook is stood in for."""
    folder = tmp_path / "solutions" / SET
    folder.mkdir(parents=True)
    (folder / f"{SET}.ipynb").write_bytes((ROOT / "solutions" / SET / f"{SET}.ipynb").read_bytes())
    record = {"from": "a", "modified": 0, "readable": True, "status": "graded", "notes": [], "name": None}
    records = {
        SET: {
            "Jane_Doe_12": {
                **record,
                "name": "Jane Doe",
                "number": "12",
                "submitted": "2026-12-03T12:00:00+00:00",
            },
            "nunez_77": {**record, "name": "núñez", "number": "77", "submitted": "2026-12-01T12:00:00+00:00"},
            "timeless": {**record, "remarks": ["memory: 2.3 GiB, the limit is 2 GiB"], "notes": ["=1+1"]},
            "waits": record,
            "fresh": {**record, "status": "collected"},
            "removed": record,
        },
        "students": {
            "absent": {"name": "Ab Sent", "keys": [], "notes": ["an essay.docx, no notebook"]},
            "removed": {"name": "Re Moved", "keys": [], "notes": []},
        },
    }
    for student in [*records[SET].keys() - {"removed"}, "stray"]:
        folder = tmp_path / "grading" / "submitted" / student / SET
        folder.mkdir(parents=True)
        (folder / f"{SET}.ipynb").touch()
    (tmp_path / "grading" / "collected.json").write_text(json.dumps(records), encoding="utf-8")
    points = {
        "Jane_Doe_12": [grade("high_ratio", 1.5, 2), grade("patches_to_hide-check", 1, 1)],
        "nunez_77": [grade("patches_to_hide-check", 1, 1), grade("high_ratio", 2, 2)],
        "timeless": [grade("patches_to_hide-check", 0, 1), grade("high_ratio", 0, 2)],
        "waits": [grade("patches_to_hide-check", 1, 1), grade("high_ratio", 0, 2, waiting=True)],
    }
    monkeypatch.setattr(
        tables,
        "_grades",
        lambda gradebook, name, student: {cell.cell.name: cell for cell in points.get(student, [])},
    )
    monkeypatch.setattr(tables, "_gradebook", lambda root: nullcontext())
    monkeypatch.setattr(cli, "course_folder", lambda: tmp_path)
    return tmp_path


def test_a_row_for_every_student_of_the_class(course):
    [path], _ = tables.export(course, [])
    rows = {row["student"]: row for row in read(path)}
    assert list(rows) == ["Jane_Doe_12", "absent", "fresh", "nunez_77", "stray", "timeless", "waits"]
    assert list(rows["waits"]) == [
        *("name", "student", "status", "notes", "score", "max_score", "patches_to_hide", "high_ratio")
    ]
    assert (rows["Jane_Doe_12"]["score"], rows["Jane_Doe_12"]["max_score"]) == ("2.5", "3")
    statuses = {student: row["status"] for student, row in rows.items()}
    assert statuses["absent"] == "missing" and rows["absent"]["notes"] == "an essay.docx, no notebook"
    assert statuses["fresh"] == "collected" and rows["fresh"]["score"] == ""
    assert statuses["waits"] == "written answers to grade" and statuses["nunez_77"] == "graded"
    assert statuses["stray"] == "no record"
    assert rows["timeless"]["notes"] == "'=1+1; memory: 2.3 GiB, the limit is 2 GiB"


def test_what_was_not_collected_is_named_and_stops_nobody(course, capsys):
    assert cli.main(["export"]) == 1
    assert "stray, 01_masking: it lies in grading/submitted, but was not collected" in capsys.readouterr().out
    (course / "grading" / "collected.json").unlink()
    assert cli.main(["export"]) == 1
    assert len(read(course / "grading" / "grades" / f"{SET}.csv")) == 6


def test_late_work_loses_points_and_who_has_no_time_is_named(course, capsys):
    assert cli.main(["export", SET, "--due", "2026-12-01 23:59+00:00", "--late", "25% a day"]) == 1
    told = capsys.readouterr().out
    assert "timeless: no time of submission; not late" in told and "nunez_77:" not in told
    rows = {row["student"]: row for row in read(course / "grading" / "grades" / f"{SET}.csv")}
    jane = rows["Jane_Doe_12"]
    assert (jane["late"], jane["penalty"], jane["score"]) == ("2 days", "1.5", "1.0")
    assert float(rows["nunez_77"]["penalty"]) == 0 and float(rows["nunez_77"]["score"]) == 3
    assert rows["timeless"]["late"] == ""


@pytest.mark.parametrize(
    "words, why",
    [
        ([SET, "--due", "2026-12-01 23:59"], "--due and --late go together"),
        (["--into", "x.csv"], "are for one set"),
        ([SET, "--into", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_does_not_fit_together_is_said(course, capsys, words, why):
    assert cli.main(["export", *words]) == 2
    assert why in capsys.readouterr().err


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Exercise 01: masking (555),Essay (556)
    Points Possible,,,,,3.00,10.00
"Núñez, José",77,,jnunez,A,,5
"Doe, Jane",12,,jdoe,A,,6
"Student, Test",99,,,A,,
"""
MOODLE = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Last modified (grade),Feedback comments
Participant 12,Jane Doe,jane@uni.example,Submitted,,10.00,-,
Participant 13,José Núñez,nunez@uni.example,Submitted,,10.00,-,=HYPERLINK("x")
"""


def test_canvas_gets_its_own_file_back_with_one_column_filled(course, capsys):
    file = course / "canvas.csv"
    file.write_text(CANVAS, encoding="utf-8")
    assert cli.main(["export", SET, "--into", str(file)]) == 1
    told = capsys.readouterr().out
    assert "timeless: no rows of the file fit" in told and "waits: written answers to grade; left as it is" in told
    written = (course / "grading" / "grades" / f"{SET}-canvas.csv").read_text(encoding="utf-8")
    assert written == CANVAS.replace(",jnunez,A,,5", ",jnunez,A,3,5").replace(",jdoe,A,,6", ",jdoe,A,2.5,6")


def test_moodle_gets_its_worksheet_back_and_other_points_are_told(course, capsys):
    file = course / "moodle.csv"
    file.write_text(MOODLE, encoding="utf-8-sig")
    assert cli.main(["export", SET, "--into", str(file)]) == 1
    assert "Grade: 10.00 points on the platform, but 3 in the exercises" in capsys.readouterr().out
    rows = read(course / "grading" / "grades" / f"{SET}-moodle.csv")
    assert [row["Grade"] for row in rows] == ["2.5", "3"]
    assert rows[1]["Feedback comments"].startswith("'=") and rows[0]["Last modified (grade)"] == "-"


def test_points_never_go_to_one_of_two_who_fit(tmp_path):
    (tmp_path / "grading").mkdir()
    rows = [
        {"student": student, "name": "Jane Doe", "status": "graded", "score": points, "max_score": 3.0}
        for student, points in (("Jane_Doe_1a", 1.0), ("Jane_Doe_2a", 2.0))
    ]
    file = tmp_path / "points.csv"
    file.write_text("Full name;01 masking\nDoe Jane;\n", encoding="utf-8")
    path, odd = platforms.fill(tmp_path, SET, rows, file)
    assert path.read_text(encoding="utf-8").splitlines() == ["Full name;01 masking", "Doe Jane;"]
    assert odd == ["Jane_Doe_1a, Jane_Doe_2a: one row fits all of them; not filled in"]
    file.write_text("Full name,01 masking\nJane Doe,\nDOE JANE,\n", encoding="utf-8")
    assert platforms.fill(tmp_path, SET, rows[:1], file)[1] == [
        "Jane_Doe_1a: 2 rows of the file fit; not filled in"
    ]


def test_a_number_does_not_lead_to_the_row_of_another_name(course, capsys):
    file = course / "moodle.csv"
    file.write_text(MOODLE.replace("Participant 12,", "Participant 77,"), encoding="utf-8")
    cli.main(["export", SET, "--into", str(file)])
    assert "nunez_77: no rows of the file fit" in capsys.readouterr().out, "77 is Jane there"


def test_the_column_can_be_named_and_an_unknown_one_is_told(course, capsys):
    file = course / "grades.csv"
    file.write_text("Teilnehmer,Punkte\nTeilnehmer/in 12,\n", encoding="utf-8")
    assert cli.main(["export", SET, "--into", str(file)]) == 2
    assert "There are: Teilnehmer, Punkte" in capsys.readouterr().err
    assert cli.main(["export", SET, "--into", str(file), "--column", "Punkt"]) == 2
    assert "did you mean 'Punkte'" in capsys.readouterr().err
    cli.main(["export", SET, "--into", str(file), "--column", "Punkte"])
    assert "Teilnehmer/in 12,2.5" in (course / "grading" / "grades" / f"{SET}-grades.csv").read_text()
