"""The pages of the website, as Sphinx reads them."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import tiny_lesson
from nbformat.v4 import new_code_cell, new_output
from site_server import Tags

from simmim_lab import checks
from simmim_lab.teaching import hosting
from simmim_lab.teaching.site import pages

ROOT = Path(__file__).parents[1]
URL = "https://github.com/jane/mim-course/tree/spring/2027"


@pytest.fixture
def course(tmp_path):
    """A small course with one lesson, and what its pages need."""
    tiny_lesson.write(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.md").write_text("# Home\n", encoding="utf-8")
    for name in pages.DOCUMENTS:
        (tmp_path / name).write_text(f"# {name}\n\n<!-- website -->\n", encoding="utf-8")
    return tmp_path


def page(*cells, url="", stem="07_tiny", folder=Path()) -> nbformat.NotebookNode:
    """The page of a notebook with these cells; its pictures are written into `folder`."""
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    pages.convert(notebook, Path("notebooks") / f"{stem}.ipynb", url, folder)
    return notebook


def code(source: str, *tags: str, text: str = "", alt: str | None = None) -> nbformat.NotebookNode:
    """A code cell; with `alt`, one that shows a picture, whose text/plain is `text`."""
    data, facts = {"image/png": tiny_lesson.PNG, "text/plain": text}, {"alt": alt, "width": 1, "height": 1}
    outputs = [] if alt is None else [new_output("display_data", data=data, metadata={"image/png": facts})]
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


@pytest.mark.parametrize("path", hosting.lessons(ROOT), ids=lambda path: path.stem)
def test_every_your_turn_and_every_guess_is_followed_by_its_answer(path, tmp_path, capsys):
    notebook = nbformat.read(path, as_version=4)
    turns = [cell.source for cell in notebook.cells if "your-turn" in cell.metadata.get("tags", [])]
    guesses = [cell.source for cell in notebook.cells if cell.source.startswith("check.guess(")]
    pages.convert(notebook, path.relative_to(ROOT), "", tmp_path)
    after = {cell.source: later.source for cell, later in zip(notebook.cells, notebook.cells[1:], strict=False)}
    for source in turns:
        checks.solution(re.search(r"yours_or_ours\((\w+)\)", source)[1])
        solution = f"```python\n{capsys.readouterr().out}```"
        assert after[source] == f"<details><summary>Solution</summary>\n\n{solution}\n\n</details>"
    for source in guesses:
        assert after[source].startswith("<details><summary>Answer</summary>\n\n<p>It is ")
    assert turns


def test_a_graded_exercise_shows_no_solution(tmp_path):
    folder = tmp_path / "pages"
    pages.write(ROOT, folder)
    exercises = [*folder.glob("exercises/[0-9]*/*.ipynb")]
    assert len(exercises) == len(hosting.lessons(ROOT))
    for path in exercises:
        assert "<details><summary>Solution" not in path.read_text(encoding="utf-8")
    assert not [*folder.glob("solutions/[0-9]*")]


def test_setup_and_parameters_are_folded_together(tmp_path):
    notebook = page(code("import a", "setup"), code("FAST = True", "parameters"), code("a.run()"), folder=tmp_path)
    folded, run = notebook.cells
    assert (folded.source, folded.metadata.tags) == ("import a\n\nFAST = True", ["hide-input"])
    assert (run.source, run.metadata.tags) == ("a.run()", [])


def test_a_picture_becomes_a_file_with_its_text_and_size(tmp_path):
    text = 'A "cat" & <a cup>'
    notebook = page(code("show()", alt=text), folder=tmp_path)
    [(_, figure), (_, picture)] = Tags(notebook.cells[0].outputs[0].data["text/html"]).found
    assert figure == {"class": "sl-picture"}
    assert (picture["alt"], picture["width"], picture["height"]) == (text, "1", "1")
    assert (tmp_path / picture["src"].removeprefix("../_static/")).read_bytes().startswith(b"\x89PNG")


def test_widgets_that_run_in_a_page_are_told_from_those_that_do_not(tmp_path):
    cells = [code("w", alt="", text=name) for name in ("MaskExplorer", "MaskExplorer", "Scrubber")]
    figures = [
        Tags(cell.outputs[0].data["text/html"]).found
        for cell in page(*cells, stem="01_masking", folder=tmp_path).cells
    ]
    live = {"class": "sl-live", "data-widget": "MaskExplorer", "data-state": "live/MaskExplorer-01_masking-1.json"}
    assert [figure[0][1] for figure in figures] == [live, {"class": "sl-picture"}, {"class": "sl-picture"}]
    assert all(("a", {"href": "../README.html#start"}) in figure for figure in figures)


@pytest.mark.parametrize("url", ["", URL])
def test_the_badge_becomes_a_line_that_asks_no_other_server(course, url):
    hosting.host(course, "jane/mim-course" if url else "", "spring/2027")
    notebook = nbformat.read(course / "notebooks" / "07_tiny.ipynb", as_version=4)
    head = page(*notebook.cells, url=url, folder=course).cells[0].source
    links = [attrs["href"] for tag, attrs in Tags(head).found if tag == "a"]
    assert "<img" not in head and "![" not in head
    assert links[-1] == "../README.html#start"
    if url:
        github, colab, _ = links
        assert github == "https://github.com/jane/mim-course/blob/spring/2027/notebooks/07_tiny.ipynb"
        assert colab == github.replace("github.com", "colab.research.google.com/github")


@pytest.mark.parametrize(
    ("markdown", "homeless", "leads_to"),
    [
        ("[how](../results/a.json)", "[how](../results/a.json)", ["results/a.json"]),
        ("[a word](../GLOSSARY.md#patch)", "[a word](../GLOSSARY.md#patch)", ["GLOSSARY.md"]),
        ("[07_tiny.ipynb](07_tiny.ipynb)", "[](07_tiny.ipynb)", ["notebooks/07_tiny.ipynb"]),
        ("![alt](../results/a.png)", "![alt](../results/a.png)", ["results/a.png"]),
        ("[sheet](../exercises)", "[sheet](../exercises/README.md)", ["exercises/README.md"]),
        ("[all](../results)", "all", []),
        ("[`all`](../results/)", "`all`", []),
        ("[gone](../nowhere.md)", "[gone](../nowhere.md)", []),
        ("[out](../../secret.md)", "[out](../../secret.md)", []),
        ("[web](https://example.org/a.md)", "[web](https://example.org/a.md)", []),
        ("[below](#here)", "[below](#here)", []),
    ],
)
def test_links(course, markdown, homeless, leads_to):
    (course / "exercises").mkdir()
    for name in ("exercises/README.md", "results/a.json", "results/a.png", "../secret.md"):
        (course / name).touch()
    lesson = course / "notebooks" / "07_tiny.ipynb"
    assert pages.follow(markdown, lesson, course) == (homeless, [course / name for name in leads_to])
    hosting.host(course, "jane/mim-course", "spring/2027")
    hosted, _ = pages.follow(markdown, lesson, course)
    assert hosted == (homeless if homeless[0] in "[!" else markdown.split("(")[0] + f"({URL}/results)")


def test_what_is_written_follows_from_the_links_and_leaves_the_course_as_it_was(course, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "old.md").touch()
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    pages.write(course, folder)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    picture = {name for name in found if name.startswith("static/pictures/")}
    linked = {"index.md", "notebooks/07_tiny.ipynb", "simmim_lab/masking.py", *pages.DOCUMENTS}
    assert len(picture) == 1 and found - picture == linked
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before


@pytest.fixture
def in_chinese(course, tmp_path):
    """A page of a small course, built in another language."""
    sphinx = pytest.importorskip("sphinx.cmd.build")
    for name in ("locale", "static", "templates"):
        shutil.copytree(ROOT / "site" / name, course / "site" / name)
    for name in ("conf.py", "words.json"):
        shutil.copy(ROOT / "site" / name, course / "site")
    (course / "site" / "words.zh-CN.json").write_text('{"run": "</script>"}', encoding="utf-8")
    pages.write(course, tmp_path / "pages")
    assert sphinx.build_main(["-q", "-D", "language=zh_CN", str(tmp_path / "pages"), str(tmp_path / "out")]) == 0
    return (tmp_path / "out" / "notebooks" / "07_tiny.html").read_text(encoding="utf-8")


def test_the_builder_speaks_another_language(in_chinese):
    assert '<html class="no-js" lang="zh-CN"' in in_chinese
    for word in ("搜索", "本页内容", "显示或隐藏导航栏", "导航"):
        assert word in in_chinese
    assert "A tiny lesson" in in_chinese
    assert '<script type="application/json" id="sl-words">{"run": "\\u003c/script>"}</script>' in in_chinese


def test_every_page_is_there(site):
    for path in hosting.lessons(ROOT) + hosting.exercises(ROOT):
        page = site / path.relative_to(ROOT).with_suffix(".html")
        assert page.exists() == ("solutions/0" not in page.as_posix() and "solutions/1" not in page.as_posix())
    for name in pages.DOCUMENTS:
        assert (site / name).with_suffix(".html").exists()


def test_pages_read_nothing_from_other_servers(site):
    for path in site.rglob("*.html"):
        for tag, attrs in Tags(path.read_text(encoding="utf-8")).found:
            address = attrs.get("src") or (attrs.get("href") if tag == "link" else "") or ""
            assert "//" not in address, f"{path.name}: <{tag}> {address}"


@pytest.mark.parametrize(("language", "nearest"), [("zhCN", "zh-CN"), ("../de", "de"), ("", "")])
def test_a_language_without_words_is_refused(tmp_path, language, nearest):
    pytest.importorskip("sphinx")
    from simmim_lab.teaching.site.building import build

    with pytest.raises(ValueError, match=f"unknown language {language!r}; did you mean '{nearest}"):
        build(ROOT, tmp_path, language)
    assert not [*tmp_path.iterdir()]
