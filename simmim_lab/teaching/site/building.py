"""Build the site: pages, what runs in them, and then Sphinx."""

import shutil
from pathlib import Path

from simmim_lab.teaching.site import pages

DEFAULT = "en"


def build(root: Path, language: str = DEFAULT) -> Path:
    """Build the site of the course in `root` and return its folder, build/site or build/site/LANGUAGE.

    language: of the builder's own words, like "zh-CN"; the lessons stay as they are.
    RuntimeError if Sphinx finds an error or has a warning.
    """
    from sphinx.cmd.build import build_main

    source, site = root / "build" / "site-source", root / "build" / "site"
    pages.write(root, source)
    live = source / pages.STATIC / "live"
    for folder in (root / "site" / "live", root / "simmim_lab" / "widgets" / "static"):
        if folder.exists():
            shutil.copytree(folder, live, dirs_exist_ok=True)
    out = site if language == DEFAULT else site / language
    words = language.replace("-", "_")
    arguments = ["-q", "-E", "-c", root / "site", "-d", root / "build" / f"site-doctrees-{language}"]
    if build_main([*map(str, arguments), "-D", f"language={words}", str(source), str(out)]):
        raise RuntimeError("Sphinx could not build the site: see above")
    return out
