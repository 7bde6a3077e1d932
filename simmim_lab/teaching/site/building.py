"""Build the site: pages, what runs in them, and then Sphinx."""

import shutil
from pathlib import Path

from simmim_lab.teaching.site import model, pages, widgets

DEFAULT = "en"


def build(root: Path, folder: Path, language: str = DEFAULT) -> Path:
    """Build the site of the course in `root`; return where it is: `folder`/site or `folder`/site/LANGUAGE.

    language: of the builder's own words, like "zh-CN"; the lessons stay as they are.
    RuntimeError if Sphinx finds an error, or if npm does not fetch what runs the models.
    """
    from sphinx.cmd.build import build_main

    source, site = folder / "site-source", folder / "site"
    pages.write(root, source)
    live = source / pages.STATIC / "live"
    for static in (root / "site" / "live", root / "simmim_lab" / "widgets" / "static"):
        if static.exists():
            shutil.copytree(static, live, dirs_exist_ok=True)
    model.write(root, folder / "npm", live)
    widgets.write(live / "state")
    out = site if language == DEFAULT else site / language
    words = language.replace("-", "_")
    options = ["-q", "-E", "-d", folder / f"site-doctrees-{language}", "-D", f"language={words}"]
    if build_main([str(option) for option in (*options, source, out)]):
        raise RuntimeError("Sphinx could not build the site: the line above says why")
    return out
