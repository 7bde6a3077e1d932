"""Settings of Sphinx for the website of the course; `make site` copies them beside the pages."""

import json
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

project = "SimMIM Lab"
html_title = project
extensions = ["myst_nb", "sphinx_copybutton"]
templates_path = ["templates"]
exclude_patterns = ["static", "templates"]
locale_dirs = ["locale"]
suppress_warnings = [
    "myst.header",  # the glossary's headings lie a level deeper than they need to
    "toc.not_included",  # a page that only other pages lead to
]

nb_execution_mode = "off"  # a page shows what its notebook holds
nb_merge_streams = True
nb_mime_priority_overrides = [("linkcheck", "text/html", 0)]  # the check of links reads what pages show
nb_code_prompt_show = nb_code_prompt_hide = "Setup"
highlight_language = "none"  # a block of code that does not say its language
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"  # light pages: others load more script for their icons than a lesson may weigh
pygments_dark_style = "a11y-high-contrast-dark"  # the theme's own underlines names, like links
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["pages.css", "live/widgets.css", "live/live.css"]
html_js_files = [("pages.js", {"defer": "defer"}), ("live/main.js", {"type": "module"})]
html_math_renderer = "mathml"
html_copy_source = html_use_index = html_show_copyright = False


def write_math(translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula in the browser's own language, which needs no script and no fonts."""
    if isinstance(node, nodes.math):
        translator.body.append(convert(node.astext()))
    else:
        translator.body.append(f'<div class="sl-math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def words(app) -> None:
    """Give each page the words that its scripts show: of words.json, or of a file like words.zh-CN.json."""
    folder = Path(app.confdir)
    files = folder.glob(f"words.{app.config.language.replace('_', '-')}.json")
    app.config.html_context["words"] = json.dumps(
        json.loads(next(files, folder / "words.json").read_text("utf-8"))
    )


def setup(app) -> None:
    app.connect("builder-inited", words)
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
