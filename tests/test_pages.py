"""What a student wrote does nothing on any page, and what is honest about it can still be read there."""

import base64
import io
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image

from simmim_lab.teaching.reporting.inert import LONGEST, PICTURES, attachments, block, harmless, inert

ROOT = Path(__file__).parents[1]

ATTACKS = [
    "<script>flag()</script>",
    "<scr<script>ipt>flag()</scr</script>ipt>",
    "<SCRIPT/x>flag()</SCRIPT >",
    "<img src=x onerror=flag()>",
    "<img src=x onerror\n=\nflag()>",
    "<img alt='>' src=x onerror=flag() //",
    "<svg onload=flag()>",
    "<svg><script>flag()</script></svg>",
    "<svg><animate onbegin=flag() attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:flag()'><text y=9>go</text></a></svg>",
    "<math href='javascript:flag()'>x</math>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=flag()&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=flag()>",
    "<noscript><p title='</noscript><img src=x onerror=flag()>'>",
    "<style>@import 'http://out.example/x.css'; body { background: url(http://out.example/y) }</style>",
    "<div style='position: fixed; inset: 0; background: url(http://out.example/z)' onclick=flag()>cover</div>",
    "<iframe srcdoc='<script>parent.flag()</script>'></iframe>",
    "<iframe src='javascript:parent.flag()'></iframe>",
    "<object data='data:text/html,<script>flag()</script>'></object><embed src='javascript:flag()'>",
    "<form action='javascript:flag()'><input id=score class=mark-graded autofocus onfocus=flag()><button>go",
    "<details open ontoggle=flag()><summary>x</summary></details>",
    "<video><source onerror=flag()></video><audio src=x onerror=flag()>",
    "<base href='http://out.example/'><link rel=stylesheet href=x.css><meta http-equiv=refresh content='0;url=x'>",
    "<a href='javascript:flag()'>a</a><a href=' &#106;avascript:flag()'>b</a><a href='java\tscript:flag()'>c</a>",
    "<a href='vbscript:flag()'>a</a><a href='data:text/html,<script>flag()</script>'>b</a><a href='/logout'>c</a>",
    "<a id=score name=submission_id class='no-credit full-credit' data-link=x target=_top href=http://a.b>a</a>",
    "[a](javascript:flag()) [b](JaVaScRiPt:flag()) [c](&#x6A;avascript:flag()) <javascript:flag()>",
    "[a][r] ![b][r]\n\n[r]: javascript:flag() 'x'",
    "![a](javascript:flag()) ![b](http://out.example/p.png) ![c](x 'y\" onerror=\"flag()')",
    "[a](http://a.example/\"onclick=\"flag()) ![\"onerror=\"flag()](attachment:x.png)",
    "```mermaid\ngraph TD; a[\"<img src=x onerror=flag()>\"]\n```",
    "```html onload=flag()\n<script>flag()</script>\n```",
    "```\"><script>flag()</script>\nx\n```",
    "    <script>flag()</script>\n\n`<script>flag()</script>`",
    "| a |\n|---|\n| <script>flag()</script> |\n| <td onclick=flag()>x |",
    "# <script>flag()</script> {#score .mark-graded}\n\n~~<img src=x onerror=flag()>~~",
    "$\\href{javascript:flag()}{x}$ \\\\(\\href{javascript:flag()}{x}\\\\) $$\\href{javascript:flag()}{x}$$",
    "\\begin{equation}\\href{javascript:flag()}{x}\\end{equation} \\begin{a}\\url{javascript:flag()}\\end{a}",
    "$\\def\\x{\\href{javascript:flag()}}\\x{y}$ $\\newcommand{\\z}{\\href{javascript:flag()}{x}}\\z$ $\\z$",
    "$\\class{mark-graded}{x}$ $\\cssId{score}{x}$ $\\style{position:fixed}{x}$ $\\require{html}$",
    "$\\unicode{x3c}img src=x onerror=flag()>$ $\\text{<img src=x onerror=flag()>}$",
    "$\\text{</math><script>flag()</script>}$",
    "$\\text{$\\href{javascript:flag()}{x}$}$ `$\\href{javascript:flag()}{x}$` <p>$\\href{javascript:flag()}{x}$",
    "&lt;script&gt;flag()&lt;/script&gt; &#36;\\href{javascript:flag()}{x}&#36;",
    "<!-- --><script>flag()</script><!-- --!><img src=x onerror=flag()> -->",
    "<![CDATA[<script>flag()</script>]]> <?php <script>flag()</script> ?> <!DOCTYPE x [<!ENTITY y SYSTEM 'z'>]>",
    "<div class='inert tex2jax_ignore mathjax_ignore' tabindex=\"0\"><script>flag()</script></div>",
    "<code class='formula'><img src=x onerror=flag()></code>",
    "<code class='formula'>\\href{javascript:flag()}{x}</code>",
    "\0<scr\0ipt>flag()</scr\0ipt> \u202e)(galf\u202c \ufeff<\u200bscript>flag()</script> half \ud800",
    "</div></div></div></body><script>flag()</script>",
    "</textarea></title></style></script><script>flag()</script>",
    "![a](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ZmxhZygpPg==)",
    "<img src='data:text/html,<script>flag()</script>'>",
    "{{ 7*7 }} {% raw %} ${7*7} <%= 7*7 %>",
]  # fmt: skip
TAGS = (
    "a blockquote br code del div em img li mark ol p pre strong table tbody td th thead tr ul math mfrac mi mn "
    "mo mrow mstyle msup mtext s small span sub sup u"
)
ELEMENTS = """() => [...document.querySelectorAll('main *')].map(one =>
    [one.localName, ...[...one.attributes].map(attribute => attribute.name)])"""


@pytest.fixture
def opened(browser):
    """Opens HTML in a page that notices scripts, dialogs and requests; gives the page and what it noticed."""
    pages = []

    def show(html: str, **viewport: int):
        page = browser.new_page(viewport={"width": 1000, "height": 800, **viewport})
        noticed = []
        page.on("dialog", lambda dialog: (noticed.append("dialog"), dialog.dismiss()))
        page.route("**/*", lambda route: (noticed.append(route.request.url), route.abort()))
        page.expose_function("flag", lambda *_: noticed.append("script"))
        page.set_content(html)
        page.wait_for_timeout(200)
        pages.append(page)
        return page, [one for one in noticed if not str(one).startswith("data:")]

    yield show
    for page in pages:
        page.close()


def test_hostile_text_does_nothing_where_scripts_may_run(opened):
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    texts = [inert(new_markdown_cell(attack)).source for attack in ATTACKS]
    for text in texts:
        assert markdown2html_mistune(text).rstrip("\n") == text, "the next renderer changes it"
        text.encode()
    page, noticed = opened(f"<main>{''.join(texts)}</main>")
    assert noticed == []
    for tag, *attributes in page.evaluate(ELEMENTS):
        assert tag in TAGS.split()
        if tag != "div":
            assert set(attributes) <= {"href", "rel", "src", "alt", "class", "display", "start", "mathcolor"}
    assert set(page.eval_on_selector_all("main a[href]", "all => all.map(a => a.protocol)")) <= {"http:", "https:"}
    assert page.eval_on_selector_all("main > *", "all => all.length") == len(ATTACKS), "one broke out of its block"
    assert (
        page.eval_on_selector_all("main [class]:not(.inert, .formula)", "all => all.map(one => one.className)")
        == []
    )


@pytest.mark.parametrize(
    "attack",
    ["[", "![", "> ", "- ", "<b>", "<b><p>", "$a\n", "\\\\[", "\\begin{a}", "`` ", "*_", "<!-- ", "&#x", "<a b='"],
)  # fmt: skip
def test_long_and_nested_text_ends(attack):
    text = block(attack * 11_000)
    assert f"only {LONGEST:,} characters are shown" in text and text.count("\n") == 0


def test_a_formula_cannot_grow_without_end():
    assert len(block("$" + "{\\Huge ^" * 2_000 + "$")) < 200_000
    assert "<code>" in block("$" + "x" * 3_000 + "$"), "one that cannot be read stays as text"


HONEST = """\
# Why

A *mask* of **75 %**, see [the paper](https://arxiv.org/abs/2111.09886): $x^2 < \\frac{a}{b}$ and

$$\\sum_i w_i \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}$$

1. one
   - two

| a | b |
|---|---|
| 1 | `x < y` |

```python
x = a[0] < 3

print("<b>")
```
"""


def test_honest_text_is_kept():
    html = harmless(HONEST)
    for kept in (
        "<strong>Why</strong>",
        '<a href="https://arxiv.org/abs/2111.09886" rel="noopener noreferrer nofollow">the paper</a>',
        "<msup><mi>x</mi><mn>2</mn></msup><mo>&lt;</mo><mfrac>",
        '<math display="block">',
        "<mtable>",
        "<ol>\n<li>one<ul>\n<li>two</li>",
        "<td>1</td>",
        "<code>x &lt; y</code>",
        'x = a[0] &lt; 3\n\nprint("&lt;b&gt;")',
    ):
        assert kept in html
    assert "left out" not in html and "<h1>Why</h1>" in harmless(HONEST, headings=True)


def encoded(kind: str, size: tuple[int, int] = (40, 20), **options) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def picture_in(html: str) -> Image.Image:
    [data] = re.findall(r'<img src="data:image/(?:png|jpeg);base64,([^"]*)" alt="[^"]+">', html)
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_pasted_picture_is_kept_without_what_else_was_in_its_file(kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where I live"  # turned, and a description
    data = encoded(kind, **({} if kind == "GIF" else {"exif": exif}))
    mime = f"image/{kind.lower()}"
    for source, attached in (
        ("![mine](attachment:my%20plot.png)", {"my plot.png": {mime: data}}),
        (f"![mine](data:{mime};base64,{data})", {}),
        (f"<img width=9 src='data:{mime};base64,{data}'>", {}),
    ):
        image = picture_in(inert(new_markdown_cell(source, attachments=attached)).source)
        assert image.getpixel((5, 5))[0] > 240 and not image.getexif() and "Description" not in image.info
        assert image.size == ((40, 20) if kind == "GIF" else (20, 40)), "a photograph stands upright"


def test_a_large_picture_is_made_smaller():
    assert max(picture_in(block(f"![x](data:image/png;base64,{encoded('PNG', (4_000, 900))})")).size) <= 1_600


@pytest.mark.parametrize(
    "source, attached, remark",
    [
        ("![a](attachment:v.svg)", {"v.svg": {"image/svg+xml": "PHN2Zz4="}}, "a picture in SVG; paste it as PNG"),
        ("![a](data:image/svg+xml;utf8,%3Csvg%3E)", {}, "a picture in SVG"),
        ("![a](data:image/tiff;base64,AAAA)", {}, "a picture in TIFF"),
        ("![a](attachment:gone.png)", {}, "a picture that is not in the notebook"),
        ("![a](plot.png) ![b](http://out.example/x.png)", {}, "a picture that is not in the notebook"),
        ("![a](attachment:b.png)", {"b.png": {"image/png": "AAAA"}}, "it is damaged"),
        ("![a](attachment:b.png)", {"b.png": {"image/png": encoded("GIF")[:-20] + "!"}}, "it is damaged"),
        ("![a](attachment:b.png)", {"b.png": {"image/png": encoded("PNG", (6_000, 6_000))}}, "25,000,000 pixels"),
        ("<svg width=9><text>hi</text></svg>", {}, "svg; write text, and paste pictures"),
        ("![a](attachment:b.png)" * 30, {"b.png": {"image/png": encoded("PNG")}}, f"only {PICTURES} are shown"),
    ],
)
def test_what_is_left_out_is_said(source, attached, remark):
    assert remark in inert(new_markdown_cell(source, attachments=attached)).source


def test_attachments_of_any_form_are_plain():
    odd = {"a": {"image/png": "x", "text/html": "<script>", 'image/"': "y"}, "b": 1, "c": {"image/svg+xml": "z"}}
    assert attachments({"attachments": odd}) == {
        "a": {"image/png": "x"},
        "c": {"image/svg+xml": ""},
    }
    assert attachments({"attachments": [1]}) == attachments({}) == {}


FAILED = "masks: 1 not right\n  ✓ runs\n  ✗ ends\n      it was stopped: memory: 2.3 GiB, the limit is 2 GiB"


def graded(
    text: str = HONEST, lost: bool = False, waiting: bool = False, own: str = "x = 1"
) -> nbformat.NotebookNode:
    """A notebook as it is after grading: the exercise, an answer of every kind, points and a comment."""
    notebook = nbformat.read(ROOT / "exercises" / "01_masking" / "01_masking.ipynb", as_version=4)
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("grade"):
            mark.update(score=0 if lost else mark.points, waiting=False)
            if cell.cell_type == "code":
                cell.source += "\n### BEGIN HIDDEN TESTS\nhidden(1)\n### END HIDDEN TESTS"
                cell.outputs = [new_output("stream", text="\x1b[31mmasks\x1b[0m: all checks here passed\n")]
                cell.outputs += [new_output("error", ename="Failed", traceback=FAILED.splitlines())] * lost
        if mark.get("grade_id") == "high_ratio":
            mark.update(score=1.5, waiting=waiting, comment="Say *how far*: $d$. <script>flag()</script>")
            cell.source = block(text)
    extra = [inert(new_markdown_cell(text)), new_code_cell(own, metadata={"student": True})]
    extra[1].outputs = [
        new_output("stream", text=own),
        new_output("error", ename="ValueError", evalue=own, traceback=["File /home/jane/x.py"]),
        new_output("display_data", {"image/png": encoded("PNG"), "text/html": own}, metadata={"alt": f'"{own}'}),
        new_output("display_data", {"image/png": "AAAA", "application/javascript": "flag()", "text/plain": own}),
    ]
    notebook.cells[3:3] = extra
    return notebook


def page_of(notebook: nbformat.NotebookNode, student: str = "Jane_Doe_12", **grades: float) -> str:
    pages = pytest.importorskip("simmim_lab.teaching.reporting.pages", reason="needs simmim-lab[teaching]")
    given = {"student": student, "notebook": "01_masking", "score": 9.5, "max_score": 14, "late_penalty": 0}
    return pages.page(notebook, {**given, **grades})


def test_the_feedback_tells_points_faults_limits_and_comments():
    html = page_of(graded(lost=True))
    assert "<h1>01 · Exercises: masking</h1>" in html and "9.5 of 14 points" in html
    assert re.search(r"Task 1 · Hide the damage</a></td><td class=\"number\">0 of 1</td>\s*<td>ends</td>", html)
    assert "memory: 2.3 GiB, the limit is 2 GiB" in html and "\x1b" not in html and "[31m" not in html
    assert "Say <em>how far</em>: <math" in html and "1.5 of 2" in html
    assert "Not final" not in html and "/home/jane" not in html and "hidden(1)" not in html
    assert html.count("<img ") == 1 and "ValueError: x = 1" in html and "importlib.metadata" not in html


def test_the_feedback_says_what_is_not_final_and_what_came_late():
    html = page_of(graded(waiting=True), late_penalty=1.4)
    assert "to be graded" in html and "Not final: a written answer" in html and "after 1.4 were taken off" in html


HOSTILE = '</pre></title><script>flag()</script><img src=x onerror=flag()>" onload="flag()'


@pytest.mark.parametrize("kind, width", [("right", 1000), ("wrong", 360), ("hostile", 360)])
def test_the_feedback_is_accessible_asks_for_nothing_and_runs_nothing(opened, kind, width):
    from axe_playwright_python.sync_playwright import Axe

    hostile = {"text": "\n\n".join(ATTACKS[:14]), "own": HOSTILE} if kind == "hostile" else {}
    notebook = graded(lost=kind == "wrong", **hostile)
    notebook.metadata["remarks"] = [HOSTILE] * (kind == "hostile")
    html = page_of(notebook, student=HOSTILE if kind == "hostile" else "Jane_Doe_12")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html and "<script" not in html
    page, noticed = opened(html, width=width)
    assert noticed == [] and page.evaluate("document.documentElement.scrollWidth") <= width
    page, noticed = opened(html.replace("Content-Security-Policy", "x"), width=width)
    assert noticed == [], "it needs its policy"
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []


@pytest.mark.parametrize("text", ["\n ", "a.", "...", "'\\N{", "x = "])
def test_long_code_is_shown_without_colours(text):
    pages = pytest.importorskip("simmim_lab.teaching.reporting.pages", reason="needs simmim-lab[teaching]")
    html = pages.highlighted(text * 20_000 + "</pre><script>")
    assert "<script" not in html and "characters more" in html and '<span class="k' not in html
    assert '<span class="k">if</span>' in pages.highlighted("if x:\n    pass\n")


def test_formgrader_shows_hostile_answers_and_runs_nothing(opened):
    """Its page of a submission, as its server makes it, without its own scripts."""
    nbgrader = pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    from nbconvert.exporters import HTMLExporter
    from traitlets.config.loader import PyFileConfigLoader

    templates = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    config = PyFileConfigLoader("nbgrader_config.py", str(ROOT)).load_config()
    config.HTMLExporter.update(template_name="formgrade", extra_template_basedirs=[str(templates)])
    names = (
        "assignment_id",
        "notebook_id",
        "submission_id",
        "base_url",
        "last_name",
        "first_name",
        "notebook_path",
    )
    resources = {**dict.fromkeys(names, "x"), "student": "Jane_Doe_12", "index": 0, "total": 1}
    notebook = graded("\n\n".join(ATTACKS), own=HOSTILE)
    for cell in notebook.cells:  # of these kinds are the outputs that grading leaves
        cell.pop("outputs", None) if cell.cell_type == "markdown" else cell.update(outputs=cell.outputs[:2])
    html, _ = HTMLExporter(config=config).from_notebook_node(notebook, resources=resources)
    page, noticed = opened(html)
    assert page.locator(".inert").count() == 2
    assert [one for one in noticed if not re.search(r"x/formgrader/static|cdnjs", str(one))] == []
    assert page.locator("input.score").count() == 7, "a student's field stands among those for points"


@pytest.mark.verify
def test_formgrader_at_work_runs_nothing_of_a_hostile_class(browser, isolation, tmp_path, monkeypatch):
    """A class goes through the commands; then every page of the real server is opened, and the notebook itself."""
    from simmim_lab.teaching import cli
    from simmim_lab.teaching.jupyterlab import server

    course = tmp_path / "course"
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder / "01_masking", course / folder / "01_masking")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    for at, name in enumerate(
        ("Jane Doe", "<img src=x onerror=flag()>", "'-flag()-'", "{{7*7}} $\\href{javascript:x}{y}$")
    ):
        notebook = nbformat.read(ROOT / "exercises" / "01_masking" / "01_masking.ipynb", as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown" and "nbgrader" in cell.metadata:
                cell.source = "\n\n".join(attack.replace("\ud800", "") for attack in ATTACKS)
        code = (
            f"from IPython.display import HTML\nprint({HOSTILE!r})\nHTML({HOSTILE!r})\nraise KeyError({HOSTILE!r})"
        )
        notebook.cells[3:3] = [new_markdown_cell(attack.replace("\ud800", "")) for attack in ATTACKS]
        notebook.cells[3:3] = [new_code_cell(code), new_code_cell(HOSTILE, metadata={"magics_language": "html"})]
        path = tmp_path / "inbox" / f"{name.replace('/', '')}_{at + 10}_assignsubmission_file_" / "a.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    monkeypatch.setattr(cli, "course_folder", lambda: course)
    monkeypatch.chdir(course)  # where formgrader looks for its configuration
    for command in (["collect", str(tmp_path / "inbox")], ["grade"], ["feedback"]):
        assert cli.main(command) in (0, 1)
    graded = sorted((course / "grading" / "autograded").glob("*/*/*.ipynb"))
    assert len(graded) == 4
    with server(course, tmp_path / "home") as address:
        context, noticed = browser.new_context(), []
        context.add_init_script("window.flag = () => document.documentElement.setAttribute('flagged', 'yes')")
        page = context.new_page()
        page.on("dialog", lambda dialog: (noticed.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: noticed.append(request.url) if "out.example" in request.url else None)
        page.goto(f"{address}/formgrader/gradebook/01_masking/01_masking")
        page.locator("a[href*='/submissions/']").first.wait_for()
        links = page.eval_on_selector_all(
            "a[href*='/submissions/']", "all => all.map(one => one.getAttribute('href'))"
        )
        students = [path.parts[-3] for path in graded]
        pages = [
            "manage_submissions/01_masking",
            "gradebook/01_masking/01_masking",
            "gradebook",
            "manage_students",
        ]
        pages += [f"manage_students/{student}{rest}" for student in students for rest in ("", "/01_masking")]
        places = [f"/formgrader/{name}" for name in pages] + sorted(set(links))
        places += [f"/lab/tree/{path.relative_to(course).as_posix()}?reset" for path in graded[:1]]
        for place in places:
            page.goto(address + place)
            page.wait_for_timeout(5_000 if "/lab/" in place else 1_000)
            assert page.locator("html[flagged]").count() == 0 and noticed == [], place
        context.close()
    for path in (course / "grading" / "feedback").glob("*/*/*.html"):
        assert "<script" not in path.read_text(encoding="utf-8") and str(tmp_path) not in path.read_text(
            encoding="utf-8"
        )
