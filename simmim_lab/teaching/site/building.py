"""Build the site: pages, what runs in them, and then Sphinx."""

import shutil
from pathlib import Path

from simmim_lab.common import choose
from simmim_lab.teaching.site import model, pages, widgets

DEFAULT = "en"


def build(root: Path, folder: Path, language: str = DEFAULT) -> Path:
    """Build the site of the course in `root` anew; return where it is: `folder`/site or `folder`/site/LANGUAGE.

    language: of the builder's own words, like "zh-CN"; the lessons stay as they are. The site in the default
    language is built first, since it takes the place of all others.
    ValueError for a language that the builder has no words in. RuntimeError if Sphinx finds an error, or if npm
    does not fetch what runs the models.
    """
    try:
        import sphinx
        from sphinx.cmd.build import build_main
    except ImportError as error:
        raise ImportError("Sphinx is missing: install it with pip install 'simmim-lab[teaching,site]'") from error

    catalogues = (Path(sphinx.__file__).parent / "locale").glob("*/LC_MESSAGES")
    known = {path.parent.name.replace("_", "-"): path.parent.name for path in catalogues} | {DEFAULT: DEFAULT}
    words = choose(language, known, "language")
    source, site = folder / "site-source", folder / "site"
    out = site if language == DEFAULT else site / language
    pages.write(root, source)
    live = source / pages.STATIC / "live"
    for static in (root / "site" / "live", root / "simmim_lab" / "widgets" / "static"):
        shutil.copytree(static, live, dirs_exist_ok=True)
    model.write(root, folder / "npm", live)
    widgets.write(live / "state")
    shutil.rmtree(out, ignore_errors=True)
    options = ["-q", "-E", "-d", folder / f"site-doctrees-{language}", "-D", f"language={words}"]
    if build_main([str(option) for option in (*options, source, out)]):
        raise RuntimeError("Sphinx could not build the site: the lines above say why")
    return out
