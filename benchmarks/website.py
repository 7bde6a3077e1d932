"""The website: seconds to build it and to its first fill, milliseconds of a fill in the page, bytes of each page.

    python benchmarks/website.py

The site is built anew, served on this machine, and opened in a headless Chromium. Fills are of strokes drawn at
random, in pictures of 32 x 32 pixels, as the model was trained on, and of 64 x 64, as on the first page; a stroke
there is painted move by move, and the page remembers what it does not touch. Other work on this machine makes
all of it slower: seconds of the processor stand beside those of the clock. results/website/fill.png is drawn, too.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright
from widget_latency import MEASURE, SPIRAL

from simmim_lab.masking import stroke_mask
from simmim_lab.teaching.jupyterlab import launch
from simmim_lab.teaching.results import command, origin, write
from simmim_lab.teaching.site.building import build

ROOT = Path(__file__).parents[1]
SIDES = (32, 64)  # pixels of a picture
sys.path.append(str(ROOT / "tests"))
from site_server import serving  # noqa: E402

FILLS = """async ([side, holes, live]) => {
    const { inpaint } = await import(`${live}inpaint.js`);
    const { load } = await import(`${live}onnx.js`);
    const model = await load('cifar10.onnx');
    const predict = async (seen, patches) => {
        const n = patches.length / 64;
        return (await model({ images: [seen, [n, 3, 32, 32]], mask: [patches, [n, 8, 8]] })).prediction;
    };
    const planes = [0, 1, 2].map(() => Float32Array.from({ length: side * side }, Math.random));
    const times = [];
    for (const hole of holes) {
        const start = performance.now();
        await inpaint(predict, { height: side, width: side, planes }, Uint8Array.from(hole));
        times.push(performance.now() - start);
    }
    return times;
}"""
LOADED = "performance.getEntries().reduce((sum, { encodedBodySize = 0 }) => sum + encodedBodySize, 0)"
FIRST = "() => /\\d ms/.test(document.querySelector('.sl-status')?.textContent)"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, help="a site that is built, to look at that one")
    parser.add_argument("--fills", type=int, default=60, help="of each size (default: 60)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "website.json")
    args = parser.parse_args(arguments)
    results = origin(command(__file__, arguments))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        if args.site is None:
            start, busy = time.perf_counter(), processor_seconds()
            args.site = build(ROOT, Path(folder))
            results["build"] = seconds_since(start, busy)
        browser = launch(playwright)
        results["browser"] = browser.version
        with serving(args.site) as server:
            results["first_fill"] = first_fill(browser, server.address)
            results["fills"] = {
                f"{side} x {side}": fills(browser, server.address, side, args.fills) for side in (32, 64)
            }
            results["stroke"] = stroke(browser, server.address, args.fills)
            picture(browser, server.address, args.out.parent / "website" / "fill.png")
            results["pages"] = pages(browser, server.address, args.site)
        results["models"] = {
            path.name: path.stat().st_size for path in args.site.glob("_static/live/models/*.onnx")
        }
        results["runtime"] = {path.name: path.stat().st_size for path in args.site.glob("_static/live/ort/*")}
        browser.close()
    write(results, args.out)


def processor_seconds() -> float:
    """Seconds of the processor in this process and all that it has started."""
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(used.user + used.system + used.children_user + used.children_system for used in times)


def seconds_since(start: float, busy: float) -> dict[str, float]:
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(processor_seconds() - busy, 1),
    }


def first_fill(browser, address: str, visits: int = 5) -> dict[str, float]:
    """From the address to the model's first fill, nothing of the site being known before; the median visit."""
    times = []
    for _ in range(visits):
        with browser.new_context() as context:
            page = context.new_page()
            start, busy = time.perf_counter(), processor_seconds()
            page.goto(address)
            page.wait_for_function(FIRST, timeout=120_000)
            times.append(seconds_since(start, busy))
    return {name: statistics.median(visit[name] for visit in times) for name in times[0]}


def fills(browser, address: str, side: int, count: int) -> dict[str, float]:
    """Milliseconds from a mask to the filled picture."""
    holes = (
        stroke_mask(count, (side, side), 0.12, generator=torch.Generator().manual_seed(0))
        .flatten(1)
        .int()
        .tolist()
    )
    with browser.new_page() as page:
        page.goto(f"{address}GLOSSARY.html")
        page.evaluate(FILLS, [side, holes[:5], f"{address}_static/live/"])  # the first are slower
        busy = processor_seconds()
        times = sorted(page.evaluate(FILLS, [side, holes, f"{address}_static/live/"]))
        processor = (processor_seconds() - busy) / count
    p50, p95 = statistics.median(times), times[int(0.95 * count) - 1]
    found = {"p50_ms": round(p50), "p95_ms": round(p95), "processor_ms": round(1000 * processor)}
    print(f"{side} x {side}", found)
    return {"fills": count, **found}


def stroke(browser, address: str, moves: int) -> dict[str, float]:
    """Milliseconds from a move of the brush on the first page to changed pixels in what the model fills."""
    with browser.new_page() as page:
        page.goto(address)
        page.wait_for_function(FIRST, timeout=120_000)
        page.get_by_role("button", name="clear").click()
        times = sorted(page.evaluate(MEASURE, [0, "stroke", SPIRAL, moves]))
    found = {"p50_ms": round(statistics.median(times)), "p95_ms": round(times[int(0.95 * moves) - 1])}
    print("a stroke", found)
    return {"moves": moves, **found}


def picture(browser, address: str, path: Path) -> None:
    """The two panels of the first page, as the README shows them."""
    with browser.new_page(viewport={"width": 1280, "height": 900}) as page:
        page.goto(address)
        page.wait_for_function(FIRST, timeout=120_000)
        shot = Image.open(io.BytesIO(page.locator(".sl-panels").screenshot()))
    path.parent.mkdir(parents=True, exist_ok=True)
    shot.convert("RGB").quantize(256, kmeans=2).save(path, optimize=True)


def pages(browser, address: str, site: Path) -> dict[str, dict[str, int]]:
    """Of each page: the bytes that it loads before anybody does anything, and what axe-core finds in it."""
    found = {}
    for path in sorted(set(site.rglob("*.html")) - set(site.rglob("_static/*"))):
        with browser.new_page() as page:
            page.add_init_script("window.requestIdleCallback = () => {}")  # models and what runs them come later
            page.goto(f"{address}{path.relative_to(site).as_posix()}", wait_until="load")
            size = page.evaluate(LOADED)
            violations = len(Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"])
        found[path.relative_to(site).as_posix()] = {"bytes": size, "axe_violations": violations}
    return found


if __name__ == "__main__":
    main()
