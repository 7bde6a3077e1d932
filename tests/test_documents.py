"""CHANGELOG.md, GLOSSARY.md, INSTRUCTORS.md and SOURCES.md keep in step with what is there."""

import re
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest

from simmim_lab.data.photographs import PHOTOS

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
INSTRUCTORS = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
SOURCES = (ROOT / "SOURCES.md").read_text(encoding="utf-8")
SHIPPED = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".svg",
    ".mp4",
    ".safetensors",
    ".pt",
    ".pth",
    ".npz",
    ".onnx",
)


def test_the_changelog_begins_with_the_version_of_the_project():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d{2}-\d{2})$", CHANGELOG, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions[0][0] == project["version"]
    assert [version for version, _ in versions] == sorted((version for version, _ in versions), reverse=True)


@pytest.mark.parametrize("file", [file for photos in PHOTOS.values() for file in photos])
def test_each_photograph_is_named_with_its_author_and_licence(file):
    [source] = [photos[file] for photos in PHOTOS.values() if file in photos]
    [row] = [line for line in SOURCES.splitlines() if f"`{Path(file).name}`" in line and "](http" in line]
    assert all(fact in row for fact in (source.title, source.author, source.licence, source.url))


def test_each_picture_and_weight_in_the_repository_has_a_row():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this copy is no git repository")
    shipped = {file for file in listed.stdout.splitlines() if file.endswith(SHIPPED) and (ROOT / file).exists()}
    assert set(re.findall(r"^\| `([^`]+/[^`]+)` \|", SOURCES, re.MULTILINE)) == shipped


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", CHANGELOG + GLOSSARY + INSTRUCTORS + SOURCES)))
)
def test_the_links_resolve(target):
    assert (ROOT / target).exists()


TERMS = re.findall(r"^### (.+)$", GLOSSARY, re.MULTILINE)
ENTRIES = dict(zip(TERMS, re.split(r"^### .+$", GLOSSARY, flags=re.MULTILINE)[1:], strict=True))
PAGES = [ROOT / "README.md", *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("exercises/*/*.ipynb")]


def anchor(heading: str) -> str:
    """The name by which a link finds a heading, on GitHub."""
    return re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower()


def linked(text: str) -> set[str]:
    """The anchors of the glossary to which a page links."""
    return set(re.findall(r"GLOSSARY\.md#([^)]+)\)", text))


def test_the_terms_of_the_glossary_are_in_order_once_each():
    assert sorted(set(TERMS), key=str.lower) == TERMS


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_explained_in_a_few_sentences_and_names_the_lesson_that_teaches_it(term):
    pattern = r"\s*(.+?) \(\[Lesson (\d\d)\]\((notebooks/\2_\w+\.ipynb)\)\)\s*"
    text, _, lesson = re.fullmatch(pattern, ENTRIES[term]).groups()
    assert (ROOT / lesson).exists()
    assert 1 <= len(re.findall(r"\.(?:\s|$)", text)) <= 3
    assert f"(#{anchor(term)})" not in text


def test_each_term_is_linked_from_a_page_or_another_term():
    inside = set(re.findall(r"\]\(#([^)]+)\)", GLOSSARY))
    outside = set().union(*(linked(path.read_text(encoding="utf-8")) for path in PAGES))
    assert inside | outside == {anchor(term) for term in TERMS}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_to_terms_that_exist(path):
    assert linked(path.read_text(encoding="utf-8")) <= {anchor(term) for term in TERMS}


# | 1 | 00 and 01 | 140 | `00`, `01` | 170 | 28 | ...
WEEKS = re.findall(
    r"^\| \d+ \| (\d\d(?: and \d\d)*) \| (\d+) \| [^|]+ \| (\d+) \| (\d+) \|", INSTRUCTORS, re.MULTILINE
)


def test_the_weeks_of_the_plan_take_all_lessons_in_order():
    planned = [number for lessons, *_ in WEEKS for number in lessons.split(" and ")]
    assert planned == [path.name[:2] for path in sorted(ROOT.glob("notebooks/*.ipynb"))]


def test_the_map_in_the_first_lesson_leads_to_all_others_and_the_capstone():
    map_of_course = text_of("notebooks/00_*.ipynb").partition("## The map of the course")[2].partition("\n## ")[0]
    others = [path.name for path in sorted(ROOT.glob("notebooks/*.ipynb"))[1:]]
    assert re.findall(r"^- \[.+\]\((.+)\)", map_of_course, re.MULTILINE) == [
        *others,
        "../exercises/capstone/README.md",
    ]


@pytest.mark.parametrize("week", WEEKS, ids=lambda week: week[0])
def test_the_plan_has_the_minutes_and_points_of_the_notebooks(week):
    lessons, *told = week
    reading = solving = points = 0
    for number in lessons.split(" and "):
        reading += sum(
            map(int, re.findall(r"About (\d+) minutes of study", text_of(f"notebooks/{number}_*.ipynb")))
        )
        solving += sum(
            map(int, re.findall(r"bout (\d+) minutes", text_of(f"solutions/{number}_*/{number}_*.ipynb")))
        )
        points += sum(map(int, re.findall(r"· (\d+) points?", text_of(f"solutions/{number}_*/{number}_*.ipynb"))))
    assert [reading, solving, points] == [int(number) for number in told]


def text_of(pattern: str) -> str:
    """The text of the one notebook that the pattern finds, without its code."""
    [path] = ROOT.glob(pattern)
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
