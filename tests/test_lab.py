"""`simmim-lab lab` opens JupyterLab on a copy of the lessons."""

import socket
import subprocess
import sys
import urllib.request

import pytest

from simmim_lab.teaching.jupyterlab import wait_for


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address that the command prints."""
    pytest.importorskip("jupyterlab", reason="needs jupyterlab: pip install 'simmim-lab[lab]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    work = tmp_path_factory.mktemp("home") / "work"
    command = [sys.executable, "-m", "simmim_lab", "lab", "--no-browser", "--port", str(port), "--work", str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if f"http://127.0.0.1:{port}" in line or f"http://localhost:{port}" in line:
                yield line[line.index("http") :].strip()
                break
        else:
            pytest.fail("JupyterLab printed no address:\n" + "".join(lines))
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_address_answers(lab):
    with wait_for(lambda: urllib.request.urlopen(lab, timeout=30), seconds=60) as response:
        assert response.status == 200


def test_the_browser_shows_the_lessons(lab, browser):
    page = browser.new_page()
    page.goto(lab)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
    page.wait_for_selector(".jp-DirListing-content", timeout=60_000)
    assert "notebooks" in page.locator(".jp-FileBrowser").inner_text()
    page.close()
