"""What all tests share: one thread for torch, and a browser."""

import os

import pytest

# Two threads on two busy cores can be ten times slower than one. Set before torch loads, and inherited by commands.
os.environ.setdefault("OMP_NUM_THREADS", "1")

BROWSERS = ({}, {"channel": "chrome"}, {"executable_path": "/usr/bin/chromium"})  # Playwright's own, Chrome, Debian's
NO_BROWSER = "no browser found: run `.venv/bin/python -m playwright install chromium`"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. Where there is none the test skips; on CI it fails."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    with playwright_api.sync_playwright() as playwright:
        for options in BROWSERS:
            try:
                browser = playwright.chromium.launch(**options)
                break
            except playwright_api.Error:
                continue
        else:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
        yield browser
        browser.close()
