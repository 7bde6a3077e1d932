"""Milliseconds from a moved slider to changed pixels, in JupyterLab in a headless Chromium.

    python benchmarks/widget_latency.py

The seed slider of each widget is moved as the mouse would move it, and the page waits for the frame in which the
last panel differs. Kernel, browser and drawing share this machine's cores, so the figures are upper bounds.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path

import nbformat
import torch
from playwright.sync_api import sync_playwright

from simmim_lab.common import replace_file

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import conftest  # noqa: E402
import lab  # noqa: E402

SETUP = """
from simmim_lab import images
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets import MaskExplorer, ReconstructionExplorer
pictures = images.load("photos", "test").take(4)
"""
WIDGETS = {
    "MaskExplorer": "MaskExplorer(pictures)",
    "ReconstructionExplorer, vit_nano": 'ReconstructionExplorer(SimMIM.preset("vit_nano"), pictures)',
}
MOVE = """async ([index, moves]) => {
    const widget = document.querySelectorAll('.sl-widget')[index];
    const label = [...widget.querySelectorAll('label')].find(label => label.innerText.startsWith('seed'));
    const slider = label.querySelector('input');
    const canvas = [...widget.querySelectorAll('canvas')].at(-1);
    const look = () => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.join();
    const frame = () => new Promise(requestAnimationFrame);
    const times = [];
    for (let move = 1; move <= moves; move++) {
        const before = look();
        const start = performance.now();
        slider.value = move % 100;
        slider.dispatchEvent(new Event('input'));
        while (look() === before && performance.now() - start < 3000) await frame();
        times.push(performance.now() - start);
        await new Promise(resolve => setTimeout(resolve, 50));
    }
    return times;
}"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=60, help="moves of each slider (default: 60)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "widget_latency.json")
    args = parser.parse_args(arguments)
    results = {"command": "python benchmarks/widget_latency.py", "date": date.today().isoformat()}
    results |= {"cores": os.cpu_count(), "load": os.getloadavg()[0], "torch": torch.__version__, "widgets": {}}

    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, *WIDGETS.values())]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root, home = Path(folder) / "root", Path(folder) / "home"
        root.mkdir()
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), root / "widgets.ipynb")
        browser = conftest.launch(playwright)
        results["browser"] = browser.version
        with (
            lab.server(root, home, OMP_NUM_THREADS="1") as address,
            lab.notebook(browser, address, "widgets.ipynb") as page,
        ):
            page.wait_for_function(f"() => document.querySelectorAll('.sl-widget').length == {len(WIDGETS)}")
            for index, name in enumerate(WIDGETS):
                times = sorted(page.evaluate(MOVE, [index, args.moves]))
                p50, p95 = statistics.median(times), times[int(0.95 * len(times)) - 1]
                results["widgets"][name] = {"moves": args.moves, "p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
                print(f"{name:34} p50 {p50:5.0f} ms   p95 {p95:5.0f} ms")
        browser.close()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(args.out, lambda path: path.write_text(json.dumps(results, indent=2) + "\n"))


if __name__ == "__main__":
    main()
