"""JupyterLab as a learner meets it, for tests and measurements: a server, a browser, and a notebook open in it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

# Playwright's own browser, then Chrome, then Debian's Chromium.
BROWSERS = ({}, {"channel": "chrome"}, {"executable_path": "/usr/bin/chromium"})
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # keep every cell in the page
}
READY = "() => /\\) \\| Idle/.test(document.querySelector('#jp-main-statusbar')?.innerText || '')"
ALL_RUN = """() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].every(cell =>
    /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').innerText)
    || !cell.querySelector('.cm-content').innerText.trim())"""


def launch(playwright):
    """The first headless browser that starts, or None; `playwright` is what `sync_playwright()` gives."""
    for options in BROWSERS:
        try:
            return playwright.chromium.launch(**options)
        except Exception:
            continue
    return None


@contextmanager
def server(root: Path, home: Path, **environment: str):
    """Serve `root` with fresh settings in `home`; gives the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, settings in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = {**os.environ, **environment, **{name: str(home / folder) for name, folder in folders.items()}}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: urllib.request.urlopen(f"{address}/api", timeout=2), seconds=60)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:  # on a busy machine
            process.kill()
            process.wait()


def wait_for(attempt, seconds: float):
    """Call `attempt` until it neither raises nor gives something false; its last word otherwise."""
    end = time.monotonic() + seconds
    while True:
        try:
            if result := attempt():
                return result
            error = AssertionError("it stayed false")
        except Exception as problem:
            error = problem
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s") from error
        time.sleep(0.1)


@contextmanager
def notebook(browser, address: str, name: str, *, timeout: float = 120, **context):
    """Open the notebook `name` in JupyterLab and run all its cells; gives the page."""
    page = browser.new_page(viewport={"width": 1400, "height": 1400}, **context)
    try:
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.wait_for_function(READY, timeout=60_000)
        page.click('li.lm-MenuBar-item:has-text("Run")')
        page.click('.lm-Menu-item[data-command="runmenu:run-all"]')
        page.wait_for_function(ALL_RUN, timeout=1000 * timeout)
        page.wait_for_function(READY, timeout=1000 * timeout)
        yield page
    finally:
        page.close()
        for session in json.load(urllib.request.urlopen(f"{address}/api/sessions")):
            request = urllib.request.Request(f"{address}/api/sessions/{session['id']}", method="DELETE")
            urllib.request.urlopen(request)
