"""What all tests share: one thread for torch, and a browser."""

import os

import pytest

# Two threads on two busy cores can be ten times slower than one. Before torch loads; commands inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Playwright's own browser, then Chrome, then Debian's Chromium.
BROWSERS = ({}, {"channel": "chrome"}, {"executable_path": "/usr/bin/chromium"})
NO_BROWSER = "no browser found: run `.venv/bin/python -m playwright install chromium`"


def launch(playwright):
    """The first browser that starts, or None."""
    for options in BROWSERS:
        try:
            return playwright.chromium.launch(**options)
        except Exception:
            continue
    return None


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. Where there is none the test skips; on CI it fails."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
        yield browser
        browser.close()
