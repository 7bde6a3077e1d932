"""Instructors: a download of any platform becomes one row for each student, and nothing in it stops the others."""

import gzip
import io
import json
import os
import re
import shutil
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

import nbformat
import pytest
from answers import RIGHT, WRONG, source
from hypothesis import given
from hypothesis import strategies as st

from simmim_lab.teaching import cli
from simmim_lab.teaching.collecting import collect, looking
from simmim_lab.teaching.collecting.names import SECTION, Owner, folder_name, platform, telling, tells
from simmim_lab.teaching.collecting.owners import Leaf, owners
from simmim_lab.teaching.collecting.renaming import rename
from simmim_lab.teaching.collecting.roll import Roll
from simmim_lab.teaching.course import read_records
from simmim_lab.teaching.grading import gradebook

ROOT = Path(__file__).parents[1]
SET, OTHER = "01_masking", "02_encoders"
TASK = "masks_of_ratios"
GOOD, BAD = source(RIGHT[TASK][1], TASK), source(WRONG[TASK][0][0], TASK)


def notebook(text: str = GOOD, name: str = SET) -> nbformat.NotebookNode:
    made = nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)
    find(made, TASK if name == SET else "may_look").source = text
    return made


def find(notebook, grade_id: str = TASK):
    [cell] = [
        cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    ]
    return cell


def data(text: str = GOOD, name: str = SET) -> bytes:
    return nbformat.writes(notebook(text, name)).encode()


def put(path: Path, content: bytes, when: int = 1_700_000_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (when, when))
    return path


def zipped(**members: bytes) -> bytes:
    """A zip file, with an entry for each folder as programs write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            for folder in reversed(PurePosixPath(name).parents[:-1]):
                if f"{folder}/" not in archive.namelist():
                    archive.writestr(f"{folder}/", b"")
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(mode: str = "w:gz", **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def course(tmp_path) -> Path:
    """A copy of what collecting needs: two exercise sets, and the configuration."""
    root = tmp_path / "course"
    for name in (SET, OTHER):
        shutil.copytree(ROOT / "solutions" / name, root / "solutions" / name)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return root


def submitted(course: Path, student: str, name: str = SET) -> dict:
    return json.loads((course / f"grading/submitted/{student}/{name}/{name}.ipynb").read_text(encoding="utf-8"))


def answers(course: Path, name: str = SET) -> dict[str, str]:
    """What counts of each student, by the name of the folder."""
    found = {}
    for student in sorted(path.name for path in (course / "grading" / "submitted").iterdir()):
        if (course / "grading/submitted" / student / name).exists():
            cells = submitted(course, student, name)["cells"]
            text = [cell["source"] for cell in cells if "def masks_of_ratios" in cell["source"]]
            found[student] = text[0] if text else ""
    return found


# Whose it is.


@pytest.mark.parametrize(
    "name, owner",
    [
        ("Jane Doe_1234567_assignsubmission_file_", Owner("Jane Doe", "1234567", fleeting=True)),
        ("Jane Doe_12_assignsubmission_onlinetext", Owner("Jane Doe", "12", fleeting=True)),
        ("Jane Doe_12_assignsubmission_file_01_masking.ipynb", Owner("Jane Doe", "12", fleeting=True)),
        ("doejane_12345_67890_01_masking-1.ipynb", Owner("doejane", "12345", attempt=67890)),
        ("doejane_LATE_12345_67890_01_masking.ipynb", Owner("doejane", "12345", attempt=67890, late=True)),
        ("LATE_anon_aBc12_345_x.ipynb", Owner("anon_aBc12", attempt=345, late=True)),
        ("doejane_12_text.html", Owner("doejane", "12")),
        ("x_jdoe_attempt_2026-11-20-10-20-30_y.ipynb", Owner("x_jdoe", submitted="2026-11-20T10:20:30")),
        ("x_jdoe_poging_2026-11-20-10-20-30.txt", Owner("x_jdoe", submitted="2026-11-20T10:20:30")),
        (
            "12345-67890 - Jane Doe - 20 November, 2026 1120 PM",
            Owner("Jane Doe", "12345", submitted="2026-11-20T23:20:00"),
        ),
        (
            "12345-67890 - Anne-Marie Ó - Nov 26, 2025 933 AM - 01_masking.ipynb",
            Owner("Anne-Marie Ó", "12345", submitted="2025-11-26T09:33:00"),
        ),
        (  # the student chose the name of the file
            "x_jdoe_attempt_2026-11-20-10-20-30_bob_attempt_2026-01-01-01-01-01_y.ipynb",
            Owner("x_jdoe", submitted="2026-11-20T10:20:30"),
        ),
        ("submission_12345678", Owner("submission_12345678")),
        ("[1] - jdoe - 01_masking.ipynb", Owner("jdoe")),
        ("Jane Doe", None),
        ("week_3_4_masking.ipynb", None),
    ],
)
def test_what_platforms_write_is_understood(name, owner):
    assert platform(name) == owner


@pytest.mark.parametrize(
    "name",
    [
        *("Copy of 01_masking", "Copy of Copy of 01_masking (1)", "Kopie von 01_masking", "Copie de 01_masking"),
        *(
            "Copia de 01_masking",
            "Копия 01_masking",
            "01_masking 的副本",
            "“01_masking.ipynb”的副本",
            "01_masking(1)",
        ),
        *("01_masking - Copy (2)", "01_masking-Copy1", "01_masking copy 2", "01_masking - Kopie", "01_masking-1"),
        *("Archive", "drive-download-20261120T102030Z-001", "simmim-lab-main", "New folder (2)"),
        *("01_masking_final", "final version", "Exercise 3", "masking", "01-Masking", "hw 2", "1", "Untitled"),
    ],
)
@pytest.mark.parametrize("ending", [".ipynb", ".ipynb.txt", ".zip", ".tar.gz"])
def test_a_copy_of_the_exercise_tells_no_name(name, ending):
    assert telling(name + ending, [SET, OTHER], file=True) == ""


@pytest.mark.parametrize(
    "name, student",
    [
        ("01_masking_jane.ipynb", "jane"),
        ("Jane Doe - 01_masking.ipynb", "Jane Doe"),
        ("Copy of ann.zip", "ann"),
        ("hw3_ann.ipynb", "ann"),
        ("12345.ipynb", "12345"),
        ("O'Neil.ipynb", "O'Neil"),
        ("😀_01_masking.ipynb", "😀"),
    ],
)
def test_a_name_beside_that_of_the_exercise_is_the_students(name, student):
    assert telling(name, [SET, OTHER], file=True) == student


def whose(*paths: str, sets: dict[str, str] | None = None) -> list[str]:
    leaves = [
        Leaf(PurePosixPath(path), frozenset([(sets or {}).get(path, SET)]), path.endswith(".zip"))
        if not path.endswith(".csv")
        else Leaf(PurePosixPath(path), other=True)
        for path in paths
    ]
    found = owners(leaves, [SET, OTHER], {})
    return [found[leaf.path].key for leaf in leaves]


@pytest.mark.parametrize(
    "paths, keys",
    [
        (["A/Ann/x.ipynb", "A/Bob/x.ipynb", "B/Cid/x.ipynb"], ["A/Ann", "A/Bob", "B/Cid"]),
        (["Section A/Ann/x.ipynb", "Section B/Ann/x.ipynb"], ["Section A/Ann", "Section B/Ann"]),
        (["Section A/ann.ipynb", "Section A/bob.zip"], ["ann", "bob"]),
        (["CS101/ann.zip", "CS101/bob.zip"], ["ann", "bob"]),
        (["CS101/ann/x.ipynb", "CS101/bob/x.ipynb", "CS101/list.csv"], ["ann", "bob", "CS101/list.csv/"]),
        (["CS101/Al_1_assignsubmission_file/x.ipynb", "CS101/list.csv"], ["Al_1", "CS101/list.csv/"]),
        (["week 3/jane/x.ipynb", "week 3/al/x.ipynb"], ["jane", "al"]),
        (["Uni/CS101/Ann/x.ipynb", "Uni/CS101/Bob/x.ipynb"], ["Ann", "Bob"]),
        (["ann/old/x.ipynb", "ann/new/x.ipynb", "bob/x.ipynb"], ["ann", "ann", "bob"]),
        (["ann/mine/x.ipynb", "ann/backup of it/x.ipynb", "bob/x.ipynb"], ["ann", "ann", "bob"]),
        (
            ["ann/monday/x.ipynb", "ann/tuesday/x.ipynb", "bob/monday/x.ipynb", "bob/tuesday/x.ipynb"],
            ["ann", "ann", "bob", "bob"],
        ),
        (["01_masking/ann/x.ipynb", "ann/01_masking/y.ipynb", "bob/z.ipynb"], ["ann", "ann", "bob"]),
        (["Group 3/01_masking.ipynb", "Group 4/01_masking.ipynb"], ["Group 3", "Group 4"]),
        (["7/x.ipynb", "8/x.ipynb", "12345/x.ipynb"], ["7", "8", "12345"]),
        (["my/x.ipynb", "new/x.ipynb"], ["my/x", "new/x"]),
        (["old/ann.ipynb", "new/ann.ipynb"], ["ann", "ann"]),
        (["my/01_masking.ipynb", "new/01_masking.ipynb"], ["my/01_masking.ipynb/", "new/01_masking.ipynb/"]),
        # Moodle, Sakai, Teams, GitHub Classroom, ILIAS, Open edX, Blackboard: in wrappers, or a single one
        (
            ["CS/Jane Doe_12_assignsubmission_file/x.ipynb", "CS/Al_13_assignsubmission_file/x.ipynb"],
            ["Jane Doe_12", "Al_13"],
        ),
        (["Masking/Doe, Jane(jdoe)/Submission attachment(s)/x.ipynb"], ["Doe, Jane_jdoe"]),
        (
            [
                "Student Work/Submitted files/Jane Doe/Task/Version 1/x.ipynb",
                "Student Work/Submitted files/Al/Task/Version 1/x.ipynb",
            ],
            ["Jane Doe", "Al"],
        ),
        (["w-3-submissions/w-3-jdoe/x.ipynb", "w-3-submissions/w-3-roe/exercises/x.ipynb"], ["jdoe", "roe"]),
        (["01_masking-submissions/01_masking-jdoe/x.ipynb"], ["jdoe"]),
        (
            ["Blatt/Abgaben/Doe_Jane_jd_1/x.ipynb", "Blatt/Abgaben/Roe_Al_ar_2/x.ipynb"],
            ["Doe_Jane_jd_1", "Roe_Al_ar_2"],
        ),
        (["[1]Week, [2]Sub/[1] - jdoe - x.ipynb", "[1]Week, [2]Sub/[1] - roe - x.ipynb"], ["jdoe", "roe"]),
        (
            [f"Exercise 3_{name}_attempt_2026-11-20-10-20-30_x.ipynb" for name in ("j_doe", "k_doe")],
            ["j_doe", "k_doe"],
        ),
        (
            [f"week-3-submissions/week-3-{name}/x.ipynb" for name in ("aa", "course", "test")],
            ["aa", "course", "test"],
        ),
        (["Masking homework_jdoe_attempt_2026-11-20-10-20-30_x.ipynb"], ["jdoe"]),
        # names of platforms inside a student's own folder tell nothing
        (["Jane_12_assignsubmission_file/Bob_13_assignsubmission_file/x.ipynb"], ["Jane_12"]),
        (["ann/Bob_13_assignsubmission_file/x.ipynb", "cid/x.ipynb"], ["ann", "cid"]),
        (["ann/Bob_13_assignsubmission_file/x.ipynb", "cid/stuff/x.ipynb"], ["ann", "cid"]),
        (["ann/Bob_13_assignsubmission_file/x.ipynb", "cid.ipynb"], ["ann", "cid"]),
    ],
)
def test_the_paths_together_tell_whose_it_is(paths, keys):
    assert whose(*paths) == keys


def test_parts_of_one_students_work_are_not_students():
    sets = {"ann/one/x.ipynb": SET, "ann/two/x.ipynb": OTHER}
    assert whose(*sets, sets=sets) == ["ann", "ann"]


def is_a_name(text: str) -> bool:
    return bool(text.strip()) and tells(text) and not re.fullmatch(r"\D*\d{1,2}\D*", text)


PRINTED = st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="/\\_")
FULL = st.text(PRINTED, min_size=1, max_size=30).filter(lambda text: is_a_name(text) and " - " not in text)
LOGIN = st.text(st.characters(categories=["L", "N"]), min_size=2, max_size=12).map(str.lower).filter(is_a_name)
LAYOUTS = {  # how a platform names the attempt a of student n, whom it knows by the number i
    "Moodle": (FULL, "CS/{n}_{i}_assignsubmission_file_/w{a}.ipynb"),
    "Canvas": (LOGIN, "{n}_{i}_{i}{a}_01_masking-{a}.ipynb"),
    "Blackboard": (LOGIN, "Ex 3_{n}_attempt_2026-11-2{a}-10-20-30_w.ipynb"),
    "Brightspace": (FULL, "{i}-99 - {n} - 2{a} November, 2026 1020 AM/w.ipynb"),
    "Teams": (FULL, "Student Work/Submitted files/{n}/Masking/Version {a}/w.ipynb"),
    "GitHub Classroom": (LOGIN, "week-3-submissions/week-3-{n}/w{a}.ipynb"),
    "Open edX": (LOGIN, "[1] Week/[1] - {n} - w{a}.ipynb"),
    "folders": (FULL, "week 3/{n}/attempt {a}/w.ipynb"),
    # "Section 1/Group/w1.ipynb" may also be w1's, of a group in that section: only `rename` can tell.
    "sections": (FULL.filter(lambda text: not SECTION.match(text)), "Section {section}/{n}/w{a}.ipynb"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(st.data())
def test_two_students_never_share_a_key_and_two_attempts_always_do(layout, drawn):
    names, pattern = LAYOUTS[layout]
    students = drawn.draw(st.lists(names, unique=True, min_size=2, max_size=5))
    paths = {
        pattern.format(n=name, i=100 + i, a=attempt, section=i % 2): name
        for i, name in enumerate(students)
        for attempt in (1, 2)
    }
    keys = set(zip(paths.values(), whose(*paths), strict=True))
    assert len(keys) == len({key for _, key in keys}) == len(students)


ODD_NAMES = [
    "Ann",
    "ann",
    "ANN",
    "A nn",
    "A_nn",
    "A-nn",
    "Ann.",
    "ann,",
    "An\u0303n",
    "A\u00f1n",
    "x" * 100,
    "x" * 101,
]
ODD_NAMES += [
    "CON",
    "con",
    "aux.txt",
    "12345",
    "\u05d0\u05e0",
    "A\u200fnn",
    "😀",
    "😁",
    "~",
    "a[b]*?",
    "%2e",
    "01_maskin",
    "नेहा",
]


def test_names_that_differ_in_anything_are_different_students():
    assert len(set(whose(*(f"{name}/x.ipynb" for name in ODD_NAMES)))) == len(ODD_NAMES)
    roll = Roll({})
    ids = [roll.student(Owner(name), name, set(ODD_NAMES), set()) for name in ODD_NAMES]
    assert len({unicodedata.normalize("NFKD", name).casefold() for name in ids}) == len(ODD_NAMES)
    assert ids == [roll.student(Owner(name), name, set(ODD_NAMES), set()) for name in ODD_NAMES]


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, max_size=12))
def test_students_never_share_a_folder_and_keep_theirs(names):
    roll, owners = Roll({}), [Owner(name) for name in names]
    ids = [roll.student(owner, "", set(names), set()) for owner in owners]
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in ids}) == len(names)
    again = Roll(json.loads(json.dumps(roll.students)))
    assert [again.student(owner, "", set(names), set()) for owner in reversed(owners)] == ids[::-1]


@given(st.text(max_size=200))
def test_every_folder_is_allowed_on_every_system_and_for_nbgrader(name):
    folder = folder_name(name)
    assert folder and len(folder.encode()) <= 200 and folder[0] not in ".-" and folder[-1] not in ". "
    assert not set(folder) & set('<>:"/\\|?*[]{}%,;+ \n\t\0')
    assert folder.split(".")[0].casefold() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert folder_name(folder) == folder


def test_moodle_numbers_everybody_anew_for_each_assignment():
    roll = Roll({})
    jane = roll.student(Owner("Jane", "12", fleeting=True), "", {"Jane_12"}, set())
    assert roll.student(Owner("Jane", "99", fleeting=True), "", {"Jane_99"}, set()) == jane
    assert roll.student(Owner("Jane", "98", fleeting=True), "", {"Jane_98", "Jane_99"}, set()) != jane
    assert roll.student(Owner("Jane", "13", fleeting=True), "", {"Jane_13"}, {jane}) != jane
    assert roll.student(Owner("Jane", "14"), "", {"Jane_14"}, set()) not in (jane, "Jane_98")


# What counts.


def edited(change) -> bytes:
    made = json.loads(data())
    change(made)
    return json.dumps(made).encode()


def in_worksheets(made):
    """nbformat 3, whose cells have other names."""
    cells = [{**cell, "input": cell["source"]} for cell in made.pop("cells")]
    made |= {"nbformat": 3, "worksheets": [{"cells": cells}]}


def half(made):
    find(made)["source"] = [line + "\n" for line in f"# \ud83d\n{GOOD}".split("\n")]


HONEST = {
    "text.ipynb.txt": data(),
    "json.ipynb.json": data(),
    "html.ipynb.html": data(),
    "tgz.tgz": tarred(**{"work/a.ipynb": data()}),
    "tar.tar": tarred("w", **{"a.ipynb": data()}),
    "xz.tar.xz": tarred("w:xz", **{"a.ipynb": data()}),
    "gz.ipynb.gz": gzip.compress(data()),
    "nested.zip": zipped(**{"a.zip": zipped(**{"b.ipynb": data()}), "__MACOSX/._b.ipynb": b"x", "data.csv": b"1"}),
    "signed.ipynb": b"\xef\xbb\xbf" + data(),
    "utf16.ipynb": data().decode().encode("utf-16"),
    "latin1.ipynb": json.dumps(json.loads(data(f"# é\n{GOOD}")), ensure_ascii=False).encode("latin-1", "replace"),
    "half.ipynb": edited(half),
    "crlf.ipynb": edited(lambda made: find(made).update(source=GOOD.replace("\n", "\r\n"))),
    "rubbish.ipynb": data() + b"\0\0}}rubbish",
    "twice.ipynb": b'{"cells": [], "x": NaN, "y": ' + b"9" * 5_000 + b"," + data()[1:],
    "three.ipynb": edited(in_worksheets),
    "stripped.ipynb": edited(lambda made: [cell.update(metadata={}) for cell in made["cells"]]),
    "named.ipynb": data(),
}  # fmt: skip


def test_whatever_form_an_honest_notebook_has_it_counts(course, tmp_path):
    for name, content in HONEST.items():
        put(tmp_path / "inbox" / name, content)
    outcome = collect.collect(course, tmp_path / "inbox")
    assert outcome.needed == []
    found = answers(course)
    assert set(found) == {name.split(".")[0] for name in HONEST}
    assert {student: text for student, text in found.items() if GOOD not in text} == {}
    for student in found:
        nbformat.validate(nbformat.from_dict(submitted(course, student)))


def with_password() -> bytes:
    """A zip file that says of its member that it is encrypted."""
    content = bytearray(zipped(**{"a.ipynb": data()}))
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(magic) + place] |= 1
    return bytes(content)


DAMAGED = {
    "Ann/work.py": (b"print(1)", "no notebook"),
    "Bob/work.docx": (zipped(**{"[Content_Types].xml": b"<"}), "no notebook"),
    "Cid/01_masking.ipynb": (b"<!DOCTYPE html><html></html>", "a web page"),
    "Dee/work.rar": (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
    "Eve/work.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "a 7z archive"),
    "Fay/work.tar.gz": (tarred(), "an empty archive"),
    "Gil/01_masking.ipynb": (b"", "empty"),
    "Hal/01_masking.ipynb": (data()[:9_000], "cut off"),
    "Ida/work.zip": (with_password(), "password"),
    "Jim/work.zip": (zipped(**{"a.ipynb": data()})[:4_000], "damaged"),
    "Kim/work.ipynb": (b'{"cells": ' + b"[" * 200_000, "nested too deeply"),
    "Lea/01_masking.ipynb": ((ROOT / f"notebooks/{SET}.ipynb").read_bytes(), "a lesson"),
    "Max/01_masking.ipynb": ((ROOT / f"solutions/{SET}/{SET}.ipynb").read_bytes(), "the instructor's version"),
    "Ned/essay.ipynb": (b'{"cells": [], "nbformat": 4}', "no exercise set has these cells"),
}


def test_what_cannot_be_taken_has_a_row_and_a_true_reason(course, tmp_path):
    inbox = tmp_path / "inbox"
    for name, (content, _) in DAMAGED.items():
        put(inbox / name, content)
    (inbox / "Ola").mkdir()
    put(inbox / "Pam" / "a.ipynb", data())
    put(inbox / "Pam" / "table.csv", b"1,2")
    put(inbox / "readme.txt", b"hello")
    outcome = collect.collect(course, inbox)
    records = read_records(course)[SET]
    reasons = {path.split("/")[0]: why for path, (_, why) in DAMAGED.items()} | {"Ola": "an empty folder"}
    assert {name: why for name, why in reasons.items() if why not in records[name]["notes"][0]} == {}
    assert set(records) == {*reasons, "Pam"} and not any(records[name]["readable"] for name in reasons)
    assert [sum(line.startswith(f"{name}/") for line in outcome.needed) for name in reasons] == [1] * len(reasons)
    assert len(outcome.needed) == len(reasons), "and a table beside a notebook is not told of"
    assert outcome.known == ["readme.txt: no notebook; left out"]
    assert submitted(course, "Ann")["cells"] == []


def test_the_newest_by_the_platforms_word_counts(course, tmp_path):
    """Not by when the file was written here, nor by what the student's archive says."""
    inbox = tmp_path / "inbox"
    for day, text, when in ((20, BAD, 1_800_000_000), (21, GOOD, 1_600_000_000)):
        put(inbox / f"x_jdoe_attempt_2026-11-{day}-10-20-30_a.ipynb", data(text), when)
    put(inbox / "doejane_12_900_01_masking-1.ipynb", data(), 1_600_000_000)
    put(inbox / "doejane_12_100_01_masking.ipynb", data(BAD), 1_800_000_000)
    put(inbox / "al" / "old.zip", zipped(**{"a.ipynb": data(BAD)}), 1_600_000_000)  # its member is of today
    put(inbox / "al" / "new.ipynb", data(), 1_700_000_000)
    put(inbox / "bo" / "good.ipynb", data(), 1_600_000_000)
    put(inbox / "bo" / "cut.ipynb", data(BAD)[:5_000], 1_700_000_000)
    outcome = collect.collect(course, inbox)
    assert answers(course) == {"jdoe": GOOD, "doejane_12": GOOD, "al": GOOD, "bo": GOOD}
    assert outcome.needed == ["bo/cut.ipynb: the file is cut off: its end is missing; bo/good.ipynb counts"]
    record = read_records(course)[SET]["jdoe"]
    assert (record["name"], record["submitted"]) == ("jdoe", "2026-11-21T10:20:30")
    assert "2026-11-20-10-20-30" in record["notes"][0]


def test_paths_in_an_archive_never_decide_whose_it_is(course, tmp_path):
    inbox = tmp_path / "inbox"
    put(inbox / "bob" / "a.ipynb", data())
    hostile = ["../../bob/a.ipynb", "/bob/b.ipynb", "bob/c.ipynb", "Bob_13_assignsubmission_file_/d.ipynb"]
    put(inbox / "ann.zip", zipped(**dict.fromkeys(hostile, data(BAD))), 1_800_000_000)
    put(inbox / "cid.tar", tarred("w", **dict.fromkeys(hostile, data(BAD))), 1_800_000_000)
    before = {path for path in tmp_path.rglob("*") if course not in path.parents}
    collect.collect(course, inbox)
    assert answers(course) == {"ann": BAD, "bob": GOOD, "cid": BAD}
    assert {path for path in tmp_path.rglob("*") if course not in path.parents} == before


@pytest.mark.parametrize("packed", [False, True])
def test_of_the_folder_of_the_course_only_the_exercise_counts(course, tmp_path, packed):
    files = {
        f"exercises/{SET}/{SET}.ipynb": data(),
        f"exercises/{SET}/.ipynb_checkpoints/{SET}-checkpoint.ipynb": data(BAD),
        f"exercises/{OTHER}/{OTHER}.ipynb": (ROOT / f"exercises/{OTHER}/{OTHER}.ipynb").read_bytes(),
        f"notebooks/{SET}.ipynb": (ROOT / f"notebooks/{SET}.ipynb").read_bytes(),
        f"solutions/{SET}/{SET}.ipynb": (ROOT / f"solutions/{SET}/{SET}.ipynb").read_bytes(),
        "exercises/capstone/capstone.ipynb": (ROOT / "exercises/capstone/capstone.ipynb").read_bytes(),
        f".venv/share/{SET}.ipynb": data(BAD),
        "results/x.json": b'{"a": 1}',
    }
    inbox = tmp_path / "inbox"
    if packed:
        put(inbox / "ann.zip", zipped(**{f"simmim-lab-main/{name}": content for name, content in files.items()}))
    else:
        for number, (name, content) in enumerate(files.items()):
            put(inbox / "ann" / name, content, 1_700_000_000 + number)
    put(inbox / "bob" / "a.ipynb", data())
    outcome = collect.collect(course, inbox)
    assert outcome.needed == [] and answers(course) == {"ann": GOOD, "bob": GOOD}
    assert not (course / "grading/submitted/ann" / OTHER).exists(), "it is as it was handed out"


def test_a_notebook_may_answer_several_sets(course, tmp_path):
    both = notebook()
    both.cells += notebook("def may_look(): pass", OTHER).cells
    for number, cell in enumerate(both.cells):
        cell.id = f"cell-{number}"
    put(tmp_path / "inbox" / "ann" / "all.ipynb", nbformat.writes(both).encode())
    borrowed = notebook()
    borrowed.cells.append(find(notebook("def may_look(): pass", OTHER), "may_look"))
    put(tmp_path / "inbox" / "bob" / "a.ipynb", nbformat.writes(borrowed).encode())
    collect.collect(course, tmp_path / "inbox")
    assert set(answers(course)) == {"ann", "bob"} and set(answers(course, OTHER)) == {"ann"}


def test_pictures_of_written_answers_are_kept_and_nothing_else(course, tmp_path):
    made = json.loads(data())
    cell = find(made, "high_ratio")
    cell["attachments"] = {"a.png": {"image/png": "aGVsbG8="}, "b.svg": {"image/svg+xml": "PHN2Zz4="}}
    cell["metadata"]["evil"] = find(made)["metadata"]["evil"] = "<script>"
    find(made)["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 10_000_000}]
    put(tmp_path / "inbox" / "ann" / "a.ipynb", json.dumps(made).encode())
    collect.collect(course, tmp_path / "inbox")
    kept = submitted(course, "ann")
    assert find(kept, "high_ratio")["attachments"] == {
        "a.png": {"image/png": "aGVsbG8="},
        "b.svg": {"image/svg+xml": ""},
    }
    assert "evil" not in json.dumps(kept) and find(kept)["outputs"] == []
    assert (course / f"grading/submitted/ann/{SET}/{SET}.ipynb").stat().st_size < 100_000


# Inboxes of all layouts.


@pytest.mark.parametrize(
    "members, students",
    [
        (
            ["CS/Jane Doe_12_assignsubmission_file_/a.ipynb", "CS/Al_13_assignsubmission_file_/a.ipynb"],
            {"Jane_Doe_12", "Al_13"},
        ),
        (["week 3/jane/01_masking.ipynb", "week 3/al/01_masking.ipynb"], {"jane", "al"}),
        (["jane/01_masking.ipynb"], {"jane"}),
        (["01_masking.ipynb"], {"unknown"}),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_download_of_one_or_many_is_filed_under_the_right_names(course, tmp_path, members, students, pack):
    archive = put(tmp_path / "CS101-Exercise 3.zip", pack(**{name: data() for name in members}))
    outcome = collect.collect(course, archive)
    assert set(answers(course)) == students
    assert any("does not tell whose" in line for line in outcome.needed) == ("unknown" in students)


def test_a_folder_with_nothing_but_downloads_is_these_downloads(course, tmp_path):
    for number in (1, 2):
        members = [
            f"Jane_{number}2_assignsubmission_file_/a.ipynb",
            f"Al_{number}3_assignsubmission_file_/a.ipynb",
        ]
        put(tmp_path / "inbox" / f"CS-{number}.zip", zipped(**dict.fromkeys(members, data())))
    collect.collect(course, tmp_path / "inbox")
    assert set(answers(course)) == {"Jane_12", "Al_13", "Jane_22", "Al_23"}


def test_gradescope_tells_names_in_a_file_of_its_own(course, tmp_path):
    table = "submission_7:\n  :submitters:\n  - :name: Jane Doe\n    :sid: '12'\n"
    table += "  :created_at: 2026-11-20 10:20:30 Z\n"
    put(tmp_path / "inbox" / "submission_metadata.yml", table.encode())
    put(tmp_path / "inbox" / "submission_7" / "a.ipynb", data())
    put(tmp_path / "inbox" / "submission_8" / "submission_metadata.yml", table.replace("7", "8").encode())
    put(tmp_path / "inbox" / "submission_8" / "submission_8" / "a.ipynb", data(BAD))
    collect.collect(course, tmp_path / "inbox")
    assert answers(course) == {"Jane_Doe_12": GOOD, "submission_8": BAD}
    assert read_records(course)[SET]["Jane_Doe_12"]["submitted"].startswith("2026-11-20T10:20:30")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_not_followed(course, tmp_path):
    secret = put(tmp_path / "secret" / "01_masking.ipynb", data())
    inbox = tmp_path / "inbox"
    put(inbox / "honest" / "01_masking.ipynb", data())
    (inbox / "link.ipynb").symlink_to(secret)
    (inbox / "folder").symlink_to(secret.parent)
    collect.collect(course, inbox)
    assert set(answers(course)) == {"honest"}
    (tmp_path / "door").symlink_to(inbox)  # the instructor's own link to the inbox is followed
    assert collect.collect(course, tmp_path / "door").new == 0


def test_limits_cost_only_the_file_at_fault(course, tmp_path, monkeypatch):
    put(tmp_path / "inbox" / "crowd.zip", zipped(**{f"{number}.txt": b"" for number in range(10_001)}))
    put(tmp_path / "inbox" / "deep.zip", zipped(a=zipped(b=zipped(c=zipped(d=data())))))
    put(tmp_path / "inbox" / "honest_01_masking.ipynb", data())
    lines = "\n".join(collect.collect(course, tmp_path / "inbox").needed)
    assert "crowd.zip: it holds more than 10,000 files" in lines
    assert "deep.zip/a/b/c: an archive in 2 others" in lines and answers(course)["honest"] == GOOD
    monkeypatch.setattr(looking, "SECONDS", 0.001)
    lines = "\n".join(collect.collect(course, tmp_path / "inbox").needed)
    assert "takes more than 0.001 s; honest_01_masking.ipynb counts" in lines and answers(course)["honest"] == GOOD


@pytest.mark.verify
def test_what_unpacks_to_too_much_is_left_alone(course, tmp_path):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.txt", bytes(900_000_000))
    put(tmp_path / "inbox" / "bomb.zip", bomb.getvalue())
    put(tmp_path / "inbox" / "big.ipynb", b'{"cells": [' + b" " * 100_000_000)
    lines = "\n".join(collect.collect(course, tmp_path / "inbox").needed)
    assert "bomb.zip: it unpacks to more than 2 GB" in lines and "big.ipynb: larger than 100 MB" in lines


def test_an_empty_or_missing_inbox_is_said(course, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="there is no notebook"):
        collect.collect(course, tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="give the folder or archive"):
        collect.collect(course, tmp_path / "nowhere")
    broken = put(tmp_path / "all.zip", zipped(**{"ann/a.ipynb": data()})[:3_000])
    with pytest.raises(FileNotFoundError, match="it is damaged"):
        collect.collect(course, broken)


# Again, and put right.


def test_a_second_collect_changes_nothing_and_an_interrupted_one_goes_on(course, tmp_path, monkeypatch):
    inbox = tmp_path / "inbox"
    for student in ("ann", "bob", "cid"):
        put(inbox / student / "a.ipynb", data())
    put(inbox / "dee.zip", b"PK\3\4 broken")

    def stop(path, *rest):
        if "bob" in path.parts:
            raise KeyboardInterrupt
        return write(path, *rest)

    write = collect.note_down
    monkeypatch.setattr(collect, "note_down", stop)
    with pytest.raises(KeyboardInterrupt):
        collect.collect(course, inbox)
    monkeypatch.undo()
    assert set(answers(course)) == {"ann"}
    first = collect.collect(course, inbox)
    assert first.new == 3 and set(answers(course)) == {"ann", "bob", "cid", "dee"}
    records = read_records(course)
    records[SET]["ann"]["status"] = "graded"
    (course / "grading/collected.json").write_text(json.dumps(records), encoding="utf-8")
    kept = {path: path.read_bytes() for path in (course / "grading").rglob("*.ipynb")}
    again = collect.collect(course, inbox)
    assert (again.new, again.known, again.needed) == (0, [], first.needed)
    assert read_records(course) == records and {path: path.read_bytes() for path in kept} == kept
    assert {path.name for path in (course / "grading").iterdir()} == {".lock", "collected.json", "submitted"}
    put(inbox / "ann" / "b.ipynb", data(BAD), 1_800_000_000)
    collect.collect(course, inbox)
    assert read_records(course)[SET]["ann"]["status"] == "collected" and answers(course)["ann"] == BAD


@pytest.mark.parametrize("content, why", [(b"{", "cut off"), (None, "older")])
def test_a_good_submission_is_not_replaced_by_a_later_download(course, tmp_path, content, why):
    put(tmp_path / "first" / "ann" / "a.ipynb", data(), 1_700_000_000)
    collect.collect(course, tmp_path / "first")
    when = 1_800_000_000 if content else 1_600_000_000
    put(tmp_path / "second" / "ann" / f"{SET}.ipynb", content or data(BAD), when)
    outcome = collect.collect(course, tmp_path / "second")
    [line] = outcome.needed if content else outcome.known
    assert why in line and "ann/a.ipynb counts" in line and answers(course) == {"ann": GOOD}


def test_damaged_or_lost_records_are_named_and_made_anew(course, tmp_path):
    put(tmp_path / "inbox" / "Copy of 01_masking.ipynb", data())
    put(tmp_path / "inbox" / "bob" / "a.ipynb", data())
    collect.collect(course, tmp_path / "inbox")
    rename(course, "unknown", "Jane Doe")
    before = read_records(course)
    path = course / "grading" / "collected.json"
    for content in ("{not", None):
        path.unlink() if content is None else path.write_text(content)
        lines = collect.collect(course, tmp_path / "inbox").needed
        assert any("records of 2 notebooks were lost" in line for line in lines)
        assert any("was damaged" in line for line in lines) == (content is not None)
        assert read_records(course) == before


def test_a_wrong_guess_is_corrected_and_later_collects_keep_to_it(course, tmp_path):
    inbox = tmp_path / "inbox"
    put(inbox / "Copy of 01_masking.ipynb", data(), 1_800_000_000)
    put(inbox / "Copy of 01_masking (1).ipynb", data(BAD))
    put(inbox / "jane" / "a.ipynb", data(BAD))
    collect.collect(course, inbox)
    assert set(answers(course)) == {"unknown", "unknown-2", "jane"}
    assert rename(course, "unknown", "Al Roe") == ["unknown is now Al_Roe: 01_masking"]
    assert (
        "of two notebooks of jane the newer counts: Copy of 01_masking.ipynb"
        in rename(course, "unknown-2", "JANE")[0]
    )
    assert answers(course) == {"Al_Roe": BAD, "jane": GOOD}
    again = collect.collect(course, inbox)
    assert again.needed == [] and again.new == 0 and answers(course) == {"Al_Roe": BAD, "jane": GOOD}
    with pytest.raises(ValueError, match="did you mean 'Al_Roe'"):
        rename(course, "Al_Ro", "x")
    with pytest.raises(ValueError, match="is called so already"):
        rename(course, "jane", "Jane")


def test_two_who_were_taken_for_one_are_told_apart_by_their_paths(course, tmp_path):
    inbox = tmp_path / "inbox"
    put(inbox / "CS" / "ann" / "a.ipynb", data(BAD))
    put(inbox / "CS" / "x.ipynb", data())
    put(inbox / "eve" / "a.ipynb", data())
    collect.collect(course, inbox)
    assert set(answers(course)) == {"CS", "eve"}
    for old, new in (("CS/ann", "Ann"), ("CS/x.ipynb", "Bob")):
        rename(course, old, new)
    collect.collect(course, inbox)
    assert answers(course) == {"Ann": BAD, "Bob": GOOD, "eve": GOOD}


def points(book, student: str) -> dict[str, float | None]:
    return {
        grade.cell.name: grade.manual_score for grade in book.find_submission(SET, student).notebooks[0].grades
    }


@pytest.mark.filterwarnings("ignore:Object of type")  # nbgrader's own database
def test_points_by_hand_survive_that_two_rows_become_one(course, tmp_path):
    nbgrader = pytest.importorskip("nbgrader.api", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    inbox = tmp_path / "inbox"
    put(inbox / "oldman" / "a.ipynb", data(), 1_700_000_000)
    put(inbox / "newman" / "a.ipynb", data(BAD), 1_600_000_000)
    collect.collect(course, inbox)
    gradebook.check(course / "grading")
    with nbgrader.Gradebook(gradebook.url(course / "grading")) as book:
        book.add_assignment(SET)
        book.add_notebook(SET, SET)
        for name in ("code", "written"):
            book.add_grade_cell(name, SET, SET, max_score=5, cell_type="code")
        for student, given in (("oldman", {"written": 3}), ("newman", {"code": 1})):
            book.add_student(student)
            book.add_submission(SET, student)
            for name, score in given.items():
                book.find_grade(name, SET, SET, student).manual_score = score
        book.db.commit()
    rename(course, "oldman", "newman")
    with nbgrader.Gradebook(gradebook.url(course / "grading")) as book:
        assert points(book, "newman") == {"code": 1, "written": 3}
        assert [each.student.id for each in book.assignment_submissions(SET)] == ["newman"]
    assert answers(course) == {"newman": GOOD} and set(read_records(course)[SET]) == {"newman"}


def test_the_command_says_what_needs_the_instructor(course, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "course_folder", lambda: course)
    put(tmp_path / "inbox" / "ann" / "a.ipynb", data())
    assert cli.main(["collect", str(tmp_path / "inbox")]) == 0
    assert "1 notebooks are new: now 1 of 1 students" in capsys.readouterr().out
    put(tmp_path / "inbox" / "bob" / "a.ipynb", b"")
    put(tmp_path / "inbox" / "01_masking.ipynb", data())
    assert cli.main(["collect", str(tmp_path / "inbox")]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("2 notebooks are new") and "bob/a.ipynb: the file is empty" in said[0]
    assert cli.main(["rename", "unknown", "Jane Doe"]) == 0
    assert capsys.readouterr().out == "unknown is now Jane_Doe: 01_masking\n"
    assert cli.main(["rename", "nobody", "x"]) == 2
