"""Is a notebook accessible as a web page? axe-core looks at it in a browser."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NO_ALT = "No description has been provided for this image"  # what nbconvert writes in place of an alt text
NOT_OURS = {"exclude": [[".prompt"], [".highlight"]]}  # nbconvert's colours for In [1]: and for code


def violations(path: Path, browser: "Browser") -> list[str]:
    """What axe-core finds in the notebook as a page, and the pictures without alt text, which it cannot find."""
    html, _ = HTMLExporter(template_name="classic").from_filename(path)  # the template that keeps alt texts
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        page = browser.new_page(offline=True)
        page.goto(file.as_uri(), wait_until="domcontentloaded")
        found = Axe().run(page, NOT_OURS, {"resultTypes": ["violations"]}).response["violations"]
        page.close()
    missing = [NO_ALT] * html.count(NO_ALT)
    return missing + [
        f"{rule['id']} ({rule['impact']}): {node['html']}" for rule in found for node in rule["nodes"]
    ]
