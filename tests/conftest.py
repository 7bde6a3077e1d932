"""What all tests share: one thread for torch, a browser, a set of images, and a record of a run."""

import os
import time
from pathlib import Path

import pytest

# Before torch loads; commands and kernels inherit both. On busy cores, threads that wait actively for each other
# are ten times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

NO_BROWSER = "no browser found: run `.venv/bin/python -m playwright install chromium`"


def pytest_addoption(parser):
    parser.addoption("--record", type=Path, metavar="DIR", help="write what this run found into DIR/*.json")
    parser.addoption("--seeds", type=int, metavar="N", help="of the catalogue of answers, with -m verify")


def pytest_configure(config):
    config.addinivalue_line("markers", "verify: long and rarely broken; runs with `make verify` alone")
    config.started = time.perf_counter()


def pytest_terminal_summary(terminalreporter, config):
    """What `make verify` leaves: how many tests passed, where and when."""
    folder = config.getoption("--record")
    if folder is None or config.getoption("--seeds"):  # given for the catalogue, which is a part of it
        return
    kinds = ("passed", "failed", "error", "skipped")
    counts = {kind: len(terminalreporter.stats.get(kind, [])) for kind in kinds}
    write_record(folder / "verify.json", {**counts, "seconds": round(time.perf_counter() - config.started)})


@pytest.fixture
def record(request):
    """Call it with the name of a file and figures: they are written there, if this run has --record."""
    folder = request.config.getoption("--record")
    return lambda name, figures: write_record(folder / name, figures) if folder else None


def write_record(path: Path, figures: dict[str, object]) -> None:
    from simmim_lab.teaching import results  # here, because it loads torch

    results.write({**results.origin("make verify"), **figures}, path)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. Where there is none the test skips; on CI it fails."""
    sync_api = pytest.importorskip("playwright.sync_api")
    from simmim_lab.teaching.jupyterlab import launch

    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """The folder of the website, built once for all tests of a run, whichever process needs it first.

    Where npm cannot fetch what runs the models, the test skips.
    """
    pytest.importorskip("myst_nb")
    from filelock import FileLock

    from simmim_lab.teaching.site.building import build

    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # which all processes have
    with FileLock(folder / "site.lock"):
        if (folder / "site" / "index.html").exists():
            return folder / "site"
        try:
            return build(Path(__file__).parents[1], folder)
        except RuntimeError as error:
            if "npm" not in str(error):
                raise
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def server(site):
    """A server of the website."""
    from site_server import serving

    with serving(site) as server:
        yield server


@pytest.fixture(scope="session")
def images():
    """Smooth pictures: each a colour gradient, so that hidden patches follow from visible ones."""
    import torch

    from simmim_lab.images import ImageSet

    corners = torch.rand(200, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    pixels = torch.nn.functional.interpolate(corners, 16, mode="bilinear", align_corners=True)
    return ImageSet("gradients", "train", (pixels * 255).byte(), torch.zeros(200).long(), ("gradient",))


@pytest.fixture(scope="session")
def isolation():
    """Nothing, where students' code can be locked in. Elsewhere the test skips; on CI it fails."""
    from simmim_lab.teaching.isolation.sandbox import missing

    if reason := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
