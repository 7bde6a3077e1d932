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


class Scoreboard:
    """Counts what the checks of the exercises caught, for the table at the end of the tests."""

    def __init__(self):
        self.rows = {}

    def _row(self, task: str) -> dict:
        return self.rows.setdefault(task, {"caught": 0, "accepted": 0, "seconds": 0.0})

    def right(self, task: str, seconds: float) -> None:
        self._row(task)["accepted"] += 1
        self._row(task)["seconds"] = max(self._row(task)["seconds"], seconds)

    def wrong(self, task: str) -> None:
        self._row(task)["caught"] += 1


SCOREBOARD = Scoreboard()


@pytest.fixture
def scoreboard() -> Scoreboard:
    return SCOREBOARD


def pytest_terminal_summary(terminalreporter):
    if not SCOREBOARD.rows:
        return
    from answers import RIGHT, WRONG

    terminalreporter.section("checks of the exercises")
    terminalreporter.write_line(f"{'task':32}{'mutants caught':>16}{'right accepted':>16}{'seconds':>9}")
    for task, row in SCOREBOARD.rows.items():
        caught, accepted = f"{row['caught']}/{len(WRONG[task])}", f"{row['accepted']}/{len(RIGHT[task])}"
        terminalreporter.write_line(f"{task:32}{caught:>16}{accepted:>16}{row['seconds']:>9.3f}")


@pytest.fixture(scope="session")
def images():
    """Smooth pictures: each a colour gradient, so that hidden patches follow from visible ones."""
    import torch

    from simmim_lab.images import ImageSet

    corners = torch.rand(200, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    pixels = torch.nn.functional.interpolate(corners, 16, mode="bilinear", align_corners=True)
    return ImageSet("gradients", "train", (pixels * 255).byte(), torch.zeros(200).long(), ("gradient",))
