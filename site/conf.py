"""Settings of Sphinx for the website: `make site`."""

import os

project = "SimMIM Lab"
html_title = project
author = "SimMIM Lab"
extensions = ["myst_nb", "sphinx_copybutton"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
suppress_warnings = [
    "myst.header",  # the glossary's headings lie one level deeper than they need, on GitHub too
    "toc.not_included",  # a page to which only other pages lead
]
html_theme = os.environ.get("THEME", "pydata_sphinx_theme")
html_static_path = ["static"]
html_copy_source = html_show_sourcelink = html_show_copyright = False
