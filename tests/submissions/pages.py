"""Active content, and leaks through what a page shows."""

# ruff: noqa: E501, RUF001

from functools import partial

from nbformat.v4 import new_markdown_cell, new_output, new_raw_cell

from submissions import ALL, HIT, OTHERS, SET, attack, data, extra, find, marks, solved, submit, written

shows = partial(attack, "pages", earns=ALL)
fails = partial(attack, "pages", earns=OTHERS)

ACTIVE = [
    "<script>alert('MARK')</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)><animate onbegin=alert(1) attributeName=x></svg>",
    "<iframe src='javascript:alert(1)'></iframe><object data='x.html'></object><embed src='x.swf'>",
    "<form action='http://127.0.0.1:PORT'><input type=password name=p autofocus onfocus=alert(1)><button>go</button></form>",
    "<a href='javascript:alert(1)'>a</a> <a href=' &#106;ava&#115;cript&colon;alert(1)'>b</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>c</a>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:PORT'><base href='http://127.0.0.1:PORT/'>",
    "<style>body { background: url(http://127.0.0.1:PORT/MARK) } @import 'http://127.0.0.1:PORT/MARK';</style>",
    "<div style='background: url(http://127.0.0.1:PORT/MARK); position: fixed; inset: 0'>cover</div>",
    "<link rel=stylesheet href='http://127.0.0.1:PORT/MARK'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<details open ontoggle=alert(1)><summary>s</summary></details><video><source onerror=alert(1)></video>",
    "</pre></div></body></html><script>alert(1)</script><!--",
    "<textarea></textarea><script>alert(1)</script>",
    "<a id=MathJax href=x>clobber</a><form name=body><input name=innerHTML></form>",
    "<x-tag is=script onclick=alert(1) tabindex=0>x</x-tag><template><script>alert(1)</script></template>",
]
MARKDOWN = [
    "[a](javascript:alert(1)) [b](<javascript:alert(1)>) [c][1] <javascript:alert(1)>\n\n[1]: javascript:alert(1)",
    "[d](vbscript:msgbox(1)) [e](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    '![f](javascript:alert(1)) ![g]("onerror="alert(1)) ![h](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSkvPg==)',
    '```html" onmouseover="alert(1)\n<script>alert(1)</script>\n```',
    "`<script>alert(1)</script>` and ``` `<img src=x onerror=alert(1)>` ```",
    "<!-- > --><script>alert(1)</script>",
    "# heading <img src=x onerror=alert(1)>\n\n| <svg onload=alert(1)> | b |\n| --- | --- |\n| <script>alert(1)</script> | d |",
    "\\<script>alert(1)\\</script> &lt;script&gt;alert(1)&lt;/script&gt;",
]
TEX = [
    "$\\href{javascript:alert(1)}{x}$ $\\style{background: url(http://127.0.0.1:PORT/MARK)}{x}$",
    "$$\\require{html}\\class{evil}{x}\\cssId{MathJax}{y}\\unicode[font]{x41}$$",
    "$x<script>alert(1)</script>$ $$</math><img src=x onerror=alert(1)>$$",
    "\\\\(\\text{<script>alert(1)</script>}\\\\) \\begin{equation}<svg onload=alert(1)>\\end{equation}",
    "$" + "{" * 3000 + "$ $" + "\\frac" * 500 + "$ $\\def\\a{\\a\\a}\\a$",
]
BAD = "</textarea></pre><script>alert(1)</script><img src=x onerror=alert(1)>"
SVG = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4="

shows("HTML in the written answer", edit=written("\n\n".join(ACTIVE)))
shows("Markdown in the written answer", edit=written("\n\n".join(MARKDOWN)))
shows("TeX in the written answer", edit=written("\n\n".join(TEX)))
shows(
    "HTML, Markdown and TeX in a cell of its own",
    edit=extra("\n\n".join(ACTIVE + MARKDOWN + TEX), kind=new_markdown_cell),
)
shows(
    "a raw cell that says it is HTML",
    edit=extra(
        "\n".join(ACTIVE), kind=new_raw_cell, metadata={"raw_mimetype": "text/html", "format": "text/html"}
    ),
)
shows("HTML in the source of a cell, its comments and strings", f"# {BAD}\ntext = '''{BAD}'''")
shows("it prints HTML", f"import sys\nprint('''{BAD}''')\nprint('''{BAD}''', file=sys.stderr)")
shows(
    "it prints colours of the terminal around HTML",
    r"print('\x1b[31m<script>alert(1)</script>\x1b[0m\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07\x1b[\"onclick=alert(1)m')",
)
shows(
    "it displays HTML, JavaScript, SVG, LaTeX, Markdown and a widget",
    edit=extra(
        f"""
        from IPython.display import HTML, SVG, Javascript, Latex, Markdown, IFrame, display
        text = '''{BAD}'''
        for value in (HTML(text), Javascript("alert(1)"), Latex("$$" + text), Markdown(text), IFrame("javascript:alert(1)", 1, 1)):
            display(value)
        display({{"text/html": text, "application/javascript": "alert(1)", "image/svg+xml": "<svg onload='alert(1)'/>",
                 "text/plain": text, "image/png": text, "application/vnd.jupyter.widget-view+json": {{"model_id": "a"}}}}, raw=True)
        """
    ),
)
shows(
    "a value whose HTML form is a script",
    edit=extra(
        f"class Rich:\n    def _repr_html_(self): return '''{BAD}'''\n    _repr_svg_ = _repr_javascript_ = __repr__ = _repr_html_\nRich()"
    ),
)
fails(
    "an error with HTML in its name and its text",
    answer={HIT: f"raise type('<script>alert(1)</script>', (Exception,), {{}})('''{BAD}''')"},
)
fails("a result with HTML in it", answer={HIT: f"return '''{BAD}'''"})
fails("a result that is a dict with HTML for keys", answer={HIT: f"return {{'''{BAD}''': ['''{BAD}''']}}"})
fails("a line that fails has HTML in it", answer={HIT: f"return given.nothing, '''{BAD.replace(chr(10), ' ')}'''"})


def outputs(made):
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                new_output("display_data", {"text/html": BAD, "image/svg+xml": "<svg onload='alert(1)'/>"}),
                new_output("stream", text=BAD),
                new_output("error", ename=BAD, evalue=BAD, traceback=[BAD]),
                new_output("display_data", {"image/png": f'"{BAD}', "application/javascript": "alert(1)"}),
            ]


def metadata(made):
    made.metadata.update(
        title=BAD,
        authors=[{"name": BAD}],
        kernelspec={"name": BAD, "display_name": BAD, "language": BAD},
        language_info={"name": BAD, "codemirror_mode": BAD, "pygments_lexer": BAD, "file_extension": BAD},
        widgets={
            "application/vnd.jupyter.widget-state+json": {
                "state": {"a": {"state": {"x": BAD}}},
                "version_major": 2,
            }
        },
    )
    for number, cell in enumerate(made.cells):
        cell.id = f'{number}"><script>alert(1)</script>'
        cell.metadata.update(tags=[BAD], name=BAD, slideshow={"slide_type": BAD}, collapsed=BAD)


def points_and_comments(made):
    for cell in made.cells:
        if marks(cell):
            cell.metadata["nbgrader"].update(
                points=BAD, grade_id=f"{marks(cell)['grade_id']}", comment=BAD, score=BAD
            )


def attached(*files: tuple[str, str, str]):
    def edit(made):
        cell = find(made, "high_ratio")
        cell.attachments = {name: {mime: content} for name, mime, content in files}
        cell.source = "\n".join(f"![{name}](attachment:{name})" for name, _, _ in files)

    return edit


shows("active content in its saved outputs", edit=outputs)
shows("HTML in the metadata, tags and ids", edit=metadata)
shows("HTML in the metadata of nbgrader", edit=points_and_comments)
shows(
    "attachments that are no pictures, or lie about what they are",
    edit=attached(
        ("a.svg", "image/svg+xml", SVG),
        ("b.png", "image/png", SVG),
        ("c.html", "text/html", "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="),
        ('d.png" onerror="alert(1)', "image/png", "iVBORw0KGgo="),
        ("e.png", 'image/png" onerror="alert(1)', "iVBORw0KGgo="),
        ("f.png", "image/png", '" onerror="alert(1)'),
    ),
)
for name, folder in {
    "=cmd|' calc'!A1 <img src=x onerror=alert(1)> Ann": "cmd_calc_A1_img_src_x_onerror_alert_1_Ann",
    "+Bob King": "Bob_King",
    "@Cid King": "Cid_King",
    "-Dee King": "Dee_King",
    "\tEve King": "x09Eve_King",
    "＝Fay King": "Fay_King",
}.items():
    files = {f"{name}/{SET} <b onclick=alert(1)>.ipynb": data(solved())}
    submit("pages", f"a formula or HTML for a name: {name.strip()}", files, ALL, student=folder)

# What follows shows no attack: an ordinary error must not tell a path, a hidden test or the environment.
for what, line in {
    "a syntax error": "def broken(:",
    "an indentation error": "if True:\nprint(1)",
    "a null character": "x = '\0'",
    "an unknown magic": "%nothing here",
    "a wrong import": "from simmim_lab.nothing import x",
    "a wrong import of the hidden module": "from simmim_lab.checks.core import Answer, nothing",
    "a name error": "nothing + 1",
    "a warning": "import warnings\nwarnings.warn('look')\n1 / 0",
    "an error in a library": "import torch\ntorch.zeros(2) @ torch.zeros(3)",
    "an error with causes": "try:\n    1 / 0\nexcept Exception as error:\n    raise ValueError('new') from error",
    "a group of errors": "raise ExceptionGroup('several', [ValueError(1), OSError(2, 'two', '/tmp/three')])",
    "help and source": "help(check)\nimport inspect\nprint(inspect.getsource(check.patches_to_hide))",
}.items():
    submit(
        "pages",
        f"{what} in the cell of a task",
        data(solved({HIT: line})),
        OTHERS,
    )
fails(
    "a call fails deep in a library",
    answer={HIT: "import torch; return torch.nn.functional.conv2d(given[0], given[0])"},
)
fails("a call fails after 10,000 calls of itself", answer={HIT: "return blind_share(*given)"})
shows(
    "it prints all that tells where it runs: paths, mounts, names, the environment",
    """
    import getpass, os, platform, sys, sysconfig, torch
    print(os.getcwd(), sys.argv, sys.executable, sys.path, sys.flags, __name__, globals().get("__file__"))
    print(os.environ, platform.uname(), os.path.expanduser("~"), sysconfig.get_paths(), sys.orig_argv)
    for name in ("mountinfo", "mounts", "cgroup", "status", "maps", "cmdline", "environ"):
        try:
            print(open(f"/proc/self/{name}").read()[:20000])
        except OSError as error:
            print(error)
    for module in list(sys.modules.values()):
        print(getattr(module, "__file__", None)) if "simmim" in getattr(module, "__name__", "") else None
    """,
)
shows(
    "its pages refer to other students' pages",
    edit=written("<a href='../../forging00/01_masking/01_masking.html'>look</a> ![](../../host00/a.png)"),
)
