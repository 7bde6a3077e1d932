"""Widgets on the site's pages, in a headless Chromium: without Python they show what they show with it."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from site_server import serving

from simmim_lab import generation
from simmim_lab.budget import GPUS
from simmim_lab.generation import tokens_left
from simmim_lab.masking import STRATEGIES, random_mask
from simmim_lab.teaching.course import read_notebook
from simmim_lab.teaching.jupyterlab import wait_for
from simmim_lab.teaching.site.widgets import LIVE
from simmim_lab.widgets import (
    BudgetExplorer,
    LossPlayground,
)

ROOT = Path(__file__).parents[1]
MODULES = {
    "MaskExplorer-01_masking-1": "masking",
    "LossPlayground-04_mse_loss-1": "mse_loss",
    "BudgetExplorer-06_gpu_training-1": "gpu_training",
    "MaskBrush-00_start_here-1": "decoders",
    "SceneSampler-09_generation-1": "generation",
    "Completions-09_generation-1": "generation",
    "FilmPlayer-11_the_mim_family-1": "the_mim_family",
}
# What a widget shows after each of several changes of its first state; bytes as base64.
COMPUTE = """async ([live, module, name, changes]) => {
    const { read } = await import(`${live}host.js`);
    const widget = (await import(`${live}${module}.js`))[name.split('-')[0]];
    const { state, data, words } = await read(`${live}state/${name}.json`);
    await widget.load?.(data, state);
    const plain = (value) => value instanceof Uint8Array ? btoa(String.fromCharCode(...value)) : value;
    const all = [];
    for (const { painted, ...change } of changes) {
        const now = { ...state, ...change };
        if (painted) now.painted = Uint8Array.from(painted);
        const shown = {};
        const outcome = await widget.compute(now, data, words, new Set(Object.keys(change)));
        for await (const part of outcome[Symbol.asyncIterator] ? outcome : [outcome]) Object.assign(shown, part);
        all.push(Object.fromEntries(Object.entries(shown).map(([key, value]) => [key, plain(value)])));
    }
    return all;
}"""


@pytest.fixture(scope="module")
def figure(browser, server):
    """Open a page and return the figure of a widget of `LIVE` on it, by default of a site without faults."""
    pages = []

    def figure(name: str, address: str = server.address):
        pages.append(browser.new_page(viewport={"width": 1280, "height": 900}))
        pages[-1].goto(f"{address}notebooks/{name.split('-')[1]}.html")
        found = pages[-1].locator(f"figure[data-state$='{name}.json']")
        found.scroll_into_view_if_needed()
        return found

    yield figure
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def compute(figure, server):
    """What the page's script computes for a widget of `LIVE`, after each of these changes of traits."""
    page, live = figure("LossPlayground-04_mse_loss-1").page, f"{server.address}_static/live/"

    def compute(name: str, changes: list[dict]) -> list[dict]:
        found = page.evaluate(COMPUTE, [live, MODULES[name], name, changes])
        for shown in found:
            shown |= {key: base64.b64decode(shown[key]) for key in ("pixels", "hidden") if key in shown}
        return found

    return compute


@pytest.mark.parametrize("name", LIVE)
def test_a_widget_starts_as_in_its_lesson(name):
    kind, lesson, count = name.split("-")
    notebook = read_notebook(ROOT / "notebooks" / f"{lesson}.ipynb")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    same = [output for output in outputs if output.get("data", {}).get("text/plain") == kind]
    alt = same[int(count) - 1].metadata["image/png"]["alt"]
    assert alt.replace("highest ", "").endswith(LIVE[name]().status), "the lesson or `LIVE` has changed"


SEEDS = {"stroke": (0, 1, 2, 3), "mixture": (0, 1, 2, 3, 4, 5)}  # without ties, which strokes along a border make


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_masks_are_those_of_python_seed_by_seed(compute, strategy):
    name = "MaskExplorer-01_masking-1"
    states = [
        {"strategy": strategy, "ratio": ratio, "cell": cell, "seed": seed, "image_index": seed % 2}
        for ratio in (0, 0.15, 0.35, 0.6, 0.9, 1)
        for cell in (1, 2, 4)
        for seed in SEEDS.get(strategy, range(6))
    ]
    widget = LIVE[name]()
    for state, shown in zip(states, compute(name, states), strict=True):
        assert shown == after(widget, state, "hidden", "pixels", "status"), state


def after(widget, state: dict, *traits: str) -> dict:
    """What the widget in Python shows when its traits have been set to this state."""
    with widget.hold_trait_notifications():
        for trait, value in state.items():
            setattr(widget, trait, value)
    assert not widget.error
    return {trait: getattr(widget, trait) for trait in traits}


LOSSES = [{"prediction": 0.25}, {"example": "one outlier"}, {"targets": [0.3]}, {"targets": [0, 0.125, 0.25, 1]}]
LOSSES += [{"example": "your own"}, {"targets": [1] * 5 + [0] * 5}, {"prediction": 1}]


@pytest.mark.parametrize("change", LOSSES, ids=str)
def test_losses_are_those_of_python(compute, change):
    [shown] = compute("LossPlayground-04_mse_loss-1", [change])
    expected = after(LossPlayground(), change, "targets", "example", "status", "chart")
    assert_same_chart(shown.pop("chart"), expected.pop("chart"))
    assert shown == expected


def assert_same_chart(shown: dict, expected: dict) -> None:
    for line, of_python in zip(shown.pop("series"), expected.pop("series"), strict=True):
        assert line.pop("y") == pytest.approx(of_python.pop("y"), abs=1e-6, rel=1e-6)
        assert line == of_python
    assert shown == expected


PLANS = [{"preset": preset} for preset in BudgetExplorer.presets] + [{"gpu": gpu} for gpu in GPUS]
PLANS += [{"dataset": "ImageNet", "preset": "vit_base"}, {"minutes": 1}, {"minutes": 720, "utilisation": 0.05}]


@pytest.mark.parametrize("change", PLANS, ids=str)
def test_budgets_are_those_of_python(compute, change):
    [shown] = compute("BudgetExplorer-06_gpu_training-1", [change])
    expected = after(BudgetExplorer(), change, "status", "chart")
    assert_same_chart(shown.pop("chart"), expected.pop("chart"))
    assert shown == expected


HOLES = {"none": 0, "a quarter": 0.25, "most": 0.8, "all": 1}


@pytest.mark.parametrize("ratio", HOLES.values(), ids=HOLES)
def test_painted_patches_are_filled_as_in_python(compute, ratio):
    name = "MaskBrush-00_start_here-1"
    mask = random_mask(1, (8, 8), ratio, generator=torch.Generator().manual_seed(0))[0]
    [shown] = compute(name, [{"painted": mask.flatten().int().tolist()}])
    expected = after(LIVE[name](), {"mask": mask}, "pixels", "hidden", "status")
    pixels, of_python = (np.frombuffer(state.pop("pixels"), np.uint8).astype(int) for state in (shown, expected))
    assert shown == expected and np.abs(pixels - of_python).max() <= 1


def same_noise(monkeypatch) -> None:
    """Let Python draw as the page does: token by token, first for each code, then for the order."""

    def drawn(chances, generator):
        draws = torch.rand(len(chances), chances.shape[1] + 1, generator=generator)
        noise = -(-draws.log()).log()
        monkeypatch.setattr(generation, "_gumbel", lambda shape, generator: noise[:, -1])
        return (chances.log() + noise[:, :-1]).argmax(-1)

    monkeypatch.setattr(generation, "_drawn", drawn)


SAMPLED = [
    {"steps": 1, "color": "blue"},
    {"steps": 3, "guidance": 0.0, "temperature": 0.5},
    {"steps": 2, "subject": "any", "color": "any", "place": "any", "time": "any"},
    {"steps": 2, "seed": 7, "guidance": 4.0},
]


@pytest.mark.parametrize("change", SAMPLED, ids=str)
def test_with_the_same_noise_the_same_pictures_are_sampled(compute, monkeypatch, change):
    name = "SceneSampler-09_generation-1"
    [shown] = compute(name, [change])
    same_noise(monkeypatch)
    expected = after(LIVE[name](), change, "status", "index", "hidden", "pixels")
    masks, of_python = (np.frombuffer(state.pop("hidden"), np.uint8) for state in (shown, expected))
    assert (masks == of_python).mean() > 0.98  # near ties fall to one side or the other
    frames, of_python = (
        np.frombuffer(state.pop("pixels"), np.uint8).reshape(-1, 3) for state in (shown, expected)
    )
    seen = masks == 0
    assert (frames[seen] == of_python[seen]).mean() > 0.95
    assert shown == expected and shown["index"] == change["steps"]


def test_completions_keep_what_is_visible_and_differ_where_it_is_not(compute):
    name = "Completions-09_generation-1"
    widget, hole = LIVE[name](), torch.zeros(16, 16, dtype=torch.bool)
    hole[6:8, 9:11] = True
    painted = {"painted": hole.flatten().int().tolist()}
    nothing = {"painted": [0] * 256}
    states = [painted, painted | {"seed": 5}, painted | {"stroking": True}, nothing]
    first, other, stroking, nothing = compute(name, states)
    expected = after(widget, {"mask": hole}, "hidden", "status", "panels")
    assert expected == {trait: first[trait] for trait in expected}
    expected = after(widget, {"stroking": True}, "hidden", "status", "panels", "pixels")
    assert expected == stroking
    cleared = {"mask": torch.zeros_like(hole), "stroking": False}
    expected = after(widget, cleared, "hidden", "status", "panels", "pixels")
    assert expected == nothing

    original = pictures(expected["pixels"])[0]
    answers = np.concatenate([pictures(shown["pixels"])[1:] for shown in (first, other)])
    hidden = np.frombuffer(first["hidden"], np.uint8).reshape(32, 32) == 1
    assert (answers[:, ~hidden] == original[~hidden]).all()
    assert len({answer.tobytes() for answer in answers}) > 4, "the seeds and the four of one seed differ"
    codes = (widget.model.tokenizer.codebook * 255).round().int().tolist()
    drawn = torch.tensor(answers[:, 12:16, 18:22]).permute(0, 3, 1, 2).float()
    patches = widget.model.tokenizer.patches(drawn).int().flatten(0, 2).tolist()
    assert all(patch in codes for patch in patches)


def pictures(pixels: bytes) -> np.ndarray:
    return np.frombuffer(pixels, np.uint8).reshape(5, 32, 32, 3)


def test_every_clip_is_shown_as_in_python(compute):
    widget = LIVE["FilmPlayer-11_the_mim_family-1"]()
    states = [{"clip_index": clip, "index": clip % 6} for clip in range(8)]
    for state, shown in zip(states, compute("FilmPlayer-11_the_mim_family-1", states), strict=True):
        assert shown == after(widget, state, "pixels", "hidden", "status"), state


def status(figure) -> str:
    return figure.locator(".sl-status").inner_text()


def run_here(figure) -> None:
    """Press the button that starts a widget, with the keyboard."""
    figure.locator(".sl-run").press("Enter")
    figure.locator(".sl-widget").wait_for(timeout=60_000)


def assert_accessible(figure) -> None:
    found = Axe().run(figure.page, {"include": [[".sl-widget"]]}, {"resultTypes": ["violations"]})
    assert not found.response["violations"]


def test_masks_start_by_themselves_and_follow_the_keyboard(figure):
    explorer = figure("MaskExplorer-01_masking-1")
    explorer.locator(".sl-widget").wait_for(timeout=30_000)
    assert explorer.locator("img").count() == 0 and status(explorer) == "62% hidden, AvgDist 3.9 pixels"
    explorer.get_by_label("ratio").press("ArrowLeft")
    explorer.get_by_label("strategy").select_option("half")
    expected = after(LIVE["MaskExplorer-01_masking-1"](), {"ratio": 0.55, "strategy": "half"}, "status")["status"]
    wait_for(lambda: status(explorer) == expected, seconds=10)
    assert_accessible(explorer)


def test_a_brush_starts_when_asked_and_can_be_painted_with_and_undone(figure):
    brush = figure("MaskBrush-00_start_here-1")
    page, asked = brush.page, []
    page.on("request", lambda request: asked.append(request.url))
    brush.locator(".sl-run").wait_for(timeout=30_000)
    assert brush.locator("img").is_visible() and not any(url.endswith(".onnx") for url in asked)
    run_here(brush)
    assert brush.locator("img").count() == 0
    assert brush.evaluate("figure => figure.contains(document.activeElement)"), "the keyboard goes on from there"
    first = status(brush)
    box = brush.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + box["height"] - 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=4)
    page.mouse.up()
    wait_for(lambda: status(brush).startswith("17 of 64 patches"), seconds=30)
    brush.get_by_role("button", name="undo").click()
    wait_for(lambda: status(brush) == first, seconds=30)
    assert_accessible(brush)


def test_pictures_appear_step_by_step_and_each_step_can_be_looked_at(figure):
    sampler = figure("SceneSampler-09_generation-1")
    sampler.locator(".sl-run").wait_for(timeout=30_000)
    run_here(sampler)
    steps, shown = sampler.get_by_label("steps"), sampler.get_by_label("show step")
    steps.fill("3")
    wait_for(lambda: "after step 1 of 3" in status(sampler), seconds=60)
    shown.fill("0")  # while it samples
    assert status(sampler) == "boat, red, lake, dusk: 0 of 256 tokens filled after step 0 of 3."
    wait_for(lambda: "after step 3 of 3" in status(sampler), seconds=60)
    last = sampler.locator("canvas").first.screenshot()
    shown.press("ArrowLeft")
    filled = 256 - tokens_left(256, 2, 3)
    assert status(sampler) == f"boat, red, lake, dusk: {filled} of 256 tokens filled after step 2 of 3."
    assert sampler.locator("canvas").first.screenshot() != last
    assert_accessible(sampler)


BROKEN = {
    "models/scenes.onnx": ("Completions-09_generation-1", "no_model"),
    "state/Completions-09_generation-1.json": ("Completions-09_generation-1", "broken"),
    "state/LossPlayground-04_mse_loss-1.json": ("LossPlayground-04_mse_loss-1", "broken"),
}


@pytest.mark.parametrize("file", BROKEN)
def test_what_cannot_start_leaves_its_picture_and_a_line(site, figure, file):
    name, word = BROKEN[file]
    with serving(site, {f"_static/live/{file}": b"<html>404</html>"}) as server:
        broken = figure(name, server.address)
        button = broken.locator(".sl-run")
        if "Completions" in name:
            button.press("Enter", timeout=30_000)
        said = json.loads((ROOT / "site" / "words.json").read_text(encoding="utf-8"))[word]
        wait_for(lambda: broken.locator("[role=status]").inner_text() == said, seconds=30)
        assert broken.locator("img").is_visible() and broken.locator("figcaption").is_visible()
        if "Completions" in name:
            server.broken.clear()  # somebody has mended it
            run_here(broken)


def test_a_page_in_another_language_brings_its_words(site, figure):
    page = "notebooks/00_start_here.html"
    english = json.dumps(json.loads((ROOT / "site" / "words.json").read_text(encoding="utf-8")))
    words = json.dumps({"run": "在此运行", "model_loading": "…", "paint": "。方向键移动"})
    html = (site / page).read_text(encoding="utf-8")
    assert html.count(english) == 1
    with serving(site, {page: html.replace(english, words).encode()}) as server:
        brush = figure("MaskBrush-00_start_here-1", server.address)
        wait_for(lambda: brush.locator(".sl-run").inner_text() == "在此运行", seconds=30)
        run_here(brush)
        assert brush.locator("canvas").first.get_attribute("aria-label") == "paint here。方向键移动"
