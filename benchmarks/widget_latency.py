"""Milliseconds from an act of the learner to changed pixels, in JupyterLab in a headless Chromium.

    python benchmarks/widget_latency.py

A slider is moved, a button pressed or a key typed as the page would do it, and the page waits for the frame in
which the last picture of the widget differs; in a stroke of the inpainter, the model's picture, and in a sampling
the last step. Kernel, browser and drawing share this machine's cores, so the figures are upper bounds.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

from simmim_lab.teaching.jupyterlab import launch, notebook, server
from simmim_lab.teaching.lessons import METADATA
from simmim_lab.teaching.results import command, origin, write

ROOT = Path(__file__).parents[1]

SETUP = """
import torch
from simmim_lab import images
from simmim_lab.data.scenes import draw_clips
from simmim_lab.generation import MaskGIT
from simmim_lab.masking import half_mask
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets import *
pictures = images.load("photos", "test").take(4)
large = images.load("photos", "test", 64).take(1)[0]
nothing = torch.zeros(64, 64, dtype=torch.bool)
model, cnn, shipped = SimMIM.preset("vit_nano"), SimMIM.preset("article_cnn"), SimMIM.pretrained("cifar10")
scenes, scene = MaskGIT.pretrained("scenes"), images.load("scenes", "test").take(1)[0]
converted, upper = {"trained": shipped, "new": SimMIM.preset("vit_tiny")}, half_mask(4, (8, 8))
clips = draw_clips(4, generator=torch.Generator().manual_seed(0)) / 255
frames = [(picture.permute(1, 2, 0) * 255).byte().numpy() for picture in pictures]
"""
SIDEWAYS = ["ArrowLeft", "ArrowRight"]
SPIRAL = ["ArrowRight"] * 25 + ["ArrowDown"] * 25 + ["ArrowLeft"] * 50  # with Shift: one long stroke
WIDGETS = {  # name: (code, what is moved, how)
    "MaskExplorer": ("MaskExplorer(pictures)", "slider", "seed"),
    "ReconstructionExplorer, vit_nano": ("ReconstructionExplorer(model, pictures)", "slider", "seed"),
    "MaskBrush, vit_nano": ("MaskBrush(model, pictures[0])", "button", "invert"),
    "ReceptiveFieldExplorer, article_cnn": ("ReceptiveFieldExplorer(cnn.encoder, 32)", "keys", SIDEWAYS),
    "LossPlayground": ("LossPlayground()", "slider", "prediction"),
    "BudgetExplorer": ("BudgetExplorer()", "slider", "minutes"),
    "TokenSimilarity, cifar10": ("TokenSimilarity(shipped, pictures)", "keys", SIDEWAYS),
    "Inpainter, cifar10: the model in a stroke": ("Inpainter(shipped, large, hidden=nothing)", "stroke", SPIRAL),
    "Inpainter, cifar10: all methods at its end": ("Inpainter(shipped, large)", "keys", [" "]),
    "SceneSampler, scenes: all steps of four pictures": ("SceneSampler(scenes, 'a house')", "sampling", "seed"),
    "SceneSampler, scenes: another step is shown": ("SceneSampler(scenes, 'a house')", "slider", "show step"),
    "Completions, scenes: four answers": ("Completions(scenes, scene)", "keys", [" "]),
    "WeightsParity, cifar10": ("WeightsParity(shipped, converted, pictures, upper)", "slider", "picture"),
    "DesignGrid, cifar10": ("DesignGrid(shipped, pictures)", "slider", "ratio"),
    "FilmPlayer": ("FilmPlayer(clips, clips[:, :, 0] > 2, {'again': clips})", "slider", "frame"),
    "Scrubber": ("Scrubber(frames, list('abcd'))", "slider", "frame"),
}
MEASURE = r"""async ([index, kind, name, moves]) => {
    const widget = document.querySelectorAll('.sl-widget')[index];
    widget.scrollIntoView();
    const labelled = (tag) => [...widget.querySelectorAll(tag)].find(found => found.innerText.startsWith(name));
    const slider = ['slider', 'sampling'].includes(kind) && labelled('label').querySelector('input');
    const acts = {
        slider(move) {
            const [low, step] = [Number(slider.min || 0), Number(slider.step || 1)];
            slider.value = low + step * (move % Math.min(100, (slider.max - low) / step + 1));
            slider.dispatchEvent(new Event('input'));
            slider.dispatchEvent(new Event('change'));
        },
        sampling(move) { acts.slider(move); },
        button() { labelled('button').click(); },
        keys(move) {
            const key = name[move % name.length];
            const event = new KeyboardEvent('keydown', {key, shiftKey: kind === 'stroke', bubbles: true});
            widget.querySelector('canvas').dispatchEvent(event);
        },
        stroke(move) { acts.keys(move); },
    };
    const pictures = [...widget.querySelectorAll('canvas, svg')];
    const picture = pictures.at(kind === 'stroke' ? 1 : -1);
    const look = () => picture.getContext
        ? picture.getContext('2d').getImageData(0, 0, picture.width, picture.height).data.join()
        : picture.outerHTML;
    const last = () => kind !== 'sampling' || /step (\d+) of \1\./.test(widget.innerText);
    const frame = () => new Promise(requestAnimationFrame);
    const times = [];
    for (let move = 1; move <= moves; move++) {
        const before = look();
        const start = performance.now();
        acts[kind](move);
        while ((look() === before || !last()) && performance.now() - start < 10_000) await frame();
        times.push(performance.now() - start);
        await new Promise(resolve => setTimeout(resolve, 50));
    }
    return times;
}"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=60, help="moves of each widget (default: 60)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "widget_latency.json")
    args = parser.parse_args(arguments)
    results = {**origin(command(__file__, arguments)), "widgets": {}}

    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, *(code for code, *_ in WIDGETS.values()))]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root, home = Path(folder) / "root", Path(folder) / "home"
        root.mkdir()
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), root / "widgets.ipynb")
        browser = launch(playwright)
        results["browser"] = browser.version
        with (
            server(root, home, OMP_NUM_THREADS="1") as address,
            notebook(browser, address, "widgets.ipynb") as page,
        ):
            page.wait_for_function(f"() => document.querySelectorAll('.sl-widget').length == {len(WIDGETS)}")
            for index, (name, (_, kind, target)) in enumerate(WIDGETS.items()):
                times = sorted(page.evaluate(MEASURE, [index, kind, target, args.moves]))
                p50, p95 = statistics.median(times), times[int(0.95 * len(times)) - 1]
                results["widgets"][name] = {"moves": args.moves, "p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
                print(f"{name:49} p50 {p50:5.0f} ms   p95 {p95:5.0f} ms")
        browser.close()
    write(results, args.out)


if __name__ == "__main__":
    main()
