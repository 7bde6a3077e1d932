"""The widgets in JupyterLab: mouse and keyboard move them, Python follows, and their pictures are saved."""

import itertools
import json

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from simmim_lab import widgets
from simmim_lab.teaching.jupyterlab import notebook, server, wait_for

SETUP = """
import json, torch, weakref
from pathlib import Path
from simmim_lab.encoders import ViTEncoder
from simmim_lab.generation import WORDS, MaskGIT
from simmim_lab.masking import half_mask, to_pixels
from simmim_lab.simmim import SimMIM
from simmim_lab.recipe import History
from simmim_lab.tokens import Tokenizer
from simmim_lab.widgets import *
torch.manual_seed(0)
ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
pictures = torch.stack([ramp, ramp.flip(2), ramp.transpose(1, 2)])
model, cnn = SimMIM.preset("vit_nano"), SimMIM.preset("article_cnn")
explorer = MaskExplorer(pictures)
reconstruction = ReconstructionExplorer(model, pictures)
brush = MaskBrush(model, pictures[0] * torch.tensor([1, 0.4, 0])[:, None, None])
field = ReceptiveFieldExplorer(cnn.encoder, 32, hidden=to_pixels(half_mask(1, (8, 8)), 4)[0])
loss = LossPlayground()
budget = BudgetExplorer()
frames = [(ramp.permute(1, 2, 0) * k * 25).byte().numpy() for k in range(8)]
scrubber = Scrubber(frames, [f"step {k}" for k in range(8)])
live = LiveTraining(3, images=pictures, mask=half_mask(3, (8, 8)), every=0)
similarity = TokenSimilarity(model, pictures)
design = DesignGrid(model, pictures)
parity = WeightsParity(model, {"copy": model, "other": SimMIM.preset("vit_nano")}, pictures, half_mask(3, (8, 8)))
wide = torch.linspace(0, 1, 48).expand(3, 40, 48)
invert = lambda pictures, hidden: torch.where(hidden[:, None], 1 - pictures, pictures)
inpainter = Inpainter(model, wide, hidden=torch.arange(48).expand(40, 48) < 2, methods={"inverted": invert})
noise = torch.rand(3, 3, 32, 32)
encoder = ViTEncoder(32, 4, 16, 1, 2, positions="absolute")
painter = MaskGIT(encoder, Tokenizer.fit(noise, patch=4, codes=16), WORDS)
sampler, completions = SceneSampler(painter, "a house by a lake", steps=8), Completions(painter, pictures[0])
clips = pictures.expand(2, 3, 3, 32, 32)
film = FilmPlayer(clips, torch.zeros(2, 3, 32, 32).bool(), {"dark": clips / 2})
runs, made = 0, weakref.WeakSet()
def report(change=None):
    state = {
        "run": runs, "alive": len(made), "open": sum(widget.comm is not None for widget in made),
        "mask": explorer.mask.tolist(), "ratio": explorer.ratio, "error": explorer.error,
        "reconstruction": reconstruction.mask.tolist(), "painted": brush.mask.int().sum().item(),
        "place": field.place, "status": field.status, "prediction": loss.prediction,
        "mse": loss.mse, "targets": loss.targets, "index": scrubber.index,
        "epochs": budget.epochs, "minutes": budget.minutes, "hole": inpainter.mask.sum().item(),
        "token": similarity.place, "layer": similarity.layer, "methods": design.methods, "hides": design.ratio,
        "conversion": parity.name, "digits": parity.digits, "picture": parity.image_index,
        "words": sampler.words[0].tolist(), "steps": sampler.steps, "temperature": sampler.temperature,
        "step": sampler.index, "gap": completions.mask.sum().item(), "seed": completions.seed,
        "red": inpainter.image[0, 0].mean().item(), "stroking": inpainter.stroking,
        "frame": film.index, "clip": film.clip_index,
    }
    Path("state.json").write_text(json.dumps(state))
followed = [explorer, reconstruction, brush, field, loss, budget, scrubber, similarity, inpainter]
for widget in (*followed, sampler, completions, design, film, parity):
    widget.observe(report, [name for name in widget.traits(sync=True) if not name.startswith("_")])
report()
"""
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
WIDGETS = ["explorer", "reconstruction", "brush", "field", "loss", "budget", "scrubber", "live", "similarity"]
WIDGETS += ["inpainter", "sampler", "completions", "design", "film", "parity"]
AGAIN = "runs += 1\nmade.add(again := ReconstructionExplorer(model, pictures))\nreport()\nagain"
TRAIN = "for step in (1, 2, 3): live(step, model, History([1.0] * step, val_step=[step], val_loss=[0.5]))"


SAVE_STATE = "settings/@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings"


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    cells = [nbformat.v4.new_code_cell(source) for source in [SETUP, *WIDGETS, AGAIN, TRAIN]]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), root / "widgets.ipynb")
    (home / SAVE_STATE).parent.mkdir(parents=True)
    (home / SAVE_STATE).write_text('{"saveState": true}')
    with server(root, home) as address, notebook(browser, address, "widgets.ipynb", has_touch=True) as page:
        page.state = lambda: json.loads((root / "state.json").read_text())
        page.saved = lambda: nbformat.read(root / "widgets.ipynb", as_version=4)
        page.wait_for_function(
            "n => document.querySelectorAll('.sl-widget').length == n", arg=len(WIDGETS) + 1, timeout=30_000
        )
        yield page


def widget(page, name):
    found = page.locator(".sl-widget").nth(WIDGETS.index(name))
    found.scroll_into_view_if_needed()
    return found


def changes(page, name, act, state) -> None:
    """After `act` the picture of the widget and `state` of Python are others."""
    canvas = widget(page, name).locator("canvas, svg").last
    picture, before = canvas.screenshot(), state(page.state())
    act()
    wait_for(lambda: state(page.state()) != before and canvas.screenshot() != picture, seconds=10)


@pytest.mark.parametrize("name", ["explorer", "reconstruction"])
def test_the_ratio_follows_mouse_and_keyboard(page, name):
    slider = widget(page, name).get_by_label("ratio")
    mask = {"explorer": "mask", "reconstruction": "reconstruction"}[name]
    box = slider.bounding_box()

    def click():
        page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)

    changes(page, name, click, lambda state: state[mask])
    slider.focus()
    changes(page, name, lambda: [page.keyboard.press("ArrowRight") for _ in range(6)], lambda state: state[mask])


def test_strategy_and_picture_can_be_chosen(page):
    explorer = widget(page, "explorer")
    changes(page, "explorer", lambda: explorer.get_by_label("strategy").select_option("half"), lambda s: s["mask"])
    assert page.state()["mask"][0] == [True] * 8 and page.state()["error"] == ""


def test_the_brush_paints_with_the_mouse(page):
    box = widget(page, "brush").locator("canvas").first.bounding_box()

    def stroke():
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20, steps=5)
        page.mouse.up()

    changes(page, "brush", stroke, lambda state: state["painted"])
    status = widget(page, "brush").locator(".sl-status")
    wait_for(lambda: status.inner_text().startswith(f"{page.state()['painted']} of 64 patches"), seconds=10)


@pytest.mark.parametrize("width", [1280, 1400])
def test_four_panels_stay_in_one_row_beside_the_files(page, width):
    page.set_viewport_size({"width": width, "height": 1400})
    try:
        boxes = [panel.bounding_box() for panel in widget(page, "reconstruction").locator("canvas").all()]
        assert len({box["y"] for box in boxes}) == 1
        assert all(box["width"] == pytest.approx(box["height"], abs=1) and box["width"] > 150 for box in boxes)
    finally:
        page.set_viewport_size({"width": 1400, "height": 1400})


STRIPED = """() => {
    const canvas = document.querySelectorAll('.sl-widget')[2].querySelector('canvas');
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let grey = 0;
    for (let i = 0; i < data.length; i += 4) grey += data[i] >= 120 && data[i] === data[i + 2];
    return grey;
}"""
WATCH = f"""() => {{
    const striped = {STRIPED};
    const look = () => {{
        if (!window.seen) return;
        window.seen.push(striped());
        setTimeout(look, 5);
    }};
    window.seen = [];
    look();
}}"""


def test_a_fast_stroke_never_flickers(page):
    """The stripes only grow: an answer of Python to the start of a stroke does not undo its end on the screen."""
    widget(page, "brush").get_by_text("clear").click()
    wait_for(lambda: page.state()["painted"] == 0, seconds=10)
    box = widget(page, "brush").locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 100)
    page.mouse.down()
    page.evaluate(WATCH)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 100, steps=8)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4, steps=8)
    page.mouse.up()
    wait_for(lambda: page.state()["painted"] == 12, seconds=10)  # a row of eight and four below its end
    seen = page.evaluate("() => [window.seen, window.seen = null][0]")
    # The cursor covers some stripes, so a patch's worth of pixels may come and go.
    lost = max(earlier - later for earlier, later in itertools.pairwise(seen))
    assert seen[-1] > seen[0] and lost < 28 * 28, lost


def test_the_brush_paints_with_the_keyboard(page):
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    widget(page, "brush").locator("canvas").first.focus()

    def keys():
        for key in ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "Space", "b", "d", "d"]:
            page.keyboard.press(key)

    changes(page, "brush", keys, lambda state: state["painted"])
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells, "a shortcut of JupyterLab acted on the notebook"


def test_the_brush_paints_with_a_finger(page):
    widget(page, "brush").get_by_text("clear").click()
    wait_for(lambda: page.state()["painted"] == 0, seconds=10)
    box = widget(page, "brush").locator("canvas").first.bounding_box()
    changes(
        page,
        "brush",
        lambda: page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2),
        lambda state: state["painted"],
    )
    widget(page, "brush").get_by_text("invert").click()
    wait_for(lambda: page.state()["painted"] > 32, seconds=10)


def hole(page) -> int:
    """The hidden pixels of the inpainter, when Python has followed."""
    status = widget(page, "inpainter").locator(".sl-status")
    wait_for(
        lambda: status.inner_text().startswith((f"{page.state()['hole']} of ", "Nothing is hidden")), seconds=10
    )
    return page.state()["hole"]


def test_a_hole_is_painted_and_taken_back(page):
    inpainter, start = widget(page, "inpainter"), hole(page)
    box = inpainter.locator("canvas").first.bounding_box()
    captions = inpainter.locator("figcaption")

    def stroke():
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120, steps=5)
        wait_for(lambda: page.state()["stroking"], seconds=10)
        wait_for(lambda: captions.last.inner_text() == "inverted", seconds=10)
        assert "dB" in captions.nth(1).inner_text()
        page.mouse.up()

    changes(page, "inpainter", stroke, lambda state: state["hole"])
    wait_for(lambda: "dB" in captions.last.inner_text(), seconds=10)
    assert not page.state()["stroking"] and page.state()["hole"] > start
    changes(page, "inpainter", lambda: page.keyboard.press("Control+z"), lambda state: state["hole"])
    assert hole(page) == start
    changes(page, "inpainter", inpainter.get_by_text("clear").click, lambda state: state["hole"])
    assert hole(page) == 0
    changes(page, "inpainter", inpainter.get_by_text("undo").click, lambda state: state["hole"])
    assert hole(page) == start


def test_a_hole_is_painted_with_the_keyboard(page):
    inpainter, start = widget(page, "inpainter"), hole(page)
    inpainter.get_by_role("slider", name="brush").focus()
    page.keyboard.press("Home")
    inpainter.locator("canvas").first.focus()

    page.keyboard.press("ArrowLeft")
    changes(page, "inpainter", lambda: page.keyboard.press("Space"), lambda state: state["hole"])
    assert hole(page) == start + 1
    page.keyboard.down("Shift")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    wait_for(lambda: page.state()["stroking"] and hole(page) == start + 4, seconds=10)
    page.keyboard.up("Shift")
    wait_for(lambda: not page.state()["stroking"], seconds=10)
    for count in (1, 0):
        page.keyboard.press("Control+z")
        wait_for(lambda count=count: hole(page) == start + count, seconds=10)


def test_a_picture_file_is_opened_in_the_browser(page, tmp_path):
    inpainter = widget(page, "inpainter")
    choose, error = inpainter.get_by_label("your picture").set_input_files, inpainter.locator(".sl-error")
    Image.new("RGB", (96, 24), "red").save(tmp_path / "red.png")
    changes(page, "inpainter", lambda: choose(tmp_path / "red.png"), lambda state: state["red"])
    status = inpainter.locator(".sl-status")
    wait_for(lambda: "red.png is shown at 48 x 12" in status.inner_text(), seconds=10)
    assert page.state()["red"] == 1
    box = inpainter.locator("canvas").first.bounding_box()
    assert box["width"] == pytest.approx(4 * box["height"], abs=4)
    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "large.png").write_bytes(bytes(9_000_000))
    for name, message in (("notes", "cannot be read"), ("large", "9.0 MB: make it smaller")):
        choose(tmp_path / f"{name}.png")
        wait_for(lambda message=message: message in error.inner_text(), seconds=10)
        choose(tmp_path / "red.png")
        wait_for(lambda: error.inner_text() == "", seconds=10)


def test_words_are_chosen_and_the_steps_gone_through(page):
    sampler = widget(page, "sampler")
    status, steps = sampler.locator(".sl-status"), sampler.get_by_role("slider", name="steps")
    choose = sampler.get_by_role("combobox", name="subject").select_option
    changes(page, "sampler", lambda: choose("boat"), lambda state: state["words"])
    wait_for(lambda: "boat, lake: 64 of 64 tokens filled after step 8 of 8" in status.inner_text(), seconds=10)

    steps.focus()
    changes(page, "sampler", lambda: page.keyboard.press("ArrowRight"), lambda state: state["steps"])
    wait_for(lambda: "step 9 of 9" in status.inner_text(), seconds=10)
    sampler.get_by_role("slider", name="show step").focus()
    changes(page, "sampler", lambda: page.keyboard.press("ArrowLeft"), lambda state: state["step"])
    wait_for(lambda: "step 8 of 9" in status.inner_text(), seconds=10)
    changes(page, "sampler", lambda: page.keyboard.press("Home"), lambda state: state["step"])
    wait_for(lambda: "0 of 64 tokens filled after step 0 of 9" in status.inner_text(), seconds=10)
    changes(page, "sampler", sampler.get_by_text("play").click, lambda state: state["step"])
    wait_for(lambda: "step 9 of 9" in status.inner_text(), seconds=10)


def test_what_takes_long_waits_until_a_slider_is_let_go(page):
    slider = widget(page, "sampler").get_by_role("slider", name="temperature")
    box, before = slider.bounding_box(), page.state()["temperature"]
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2, steps=4)
    wait_for(lambda: slider.get_attribute("aria-valuetext") == "0.00", seconds=10)
    assert page.state()["temperature"] == before
    changes(page, "sampler", page.mouse.up, lambda state: state["temperature"])
    assert page.state()["temperature"] == 0 and widget(page, "sampler").locator(".sl-error").inner_text() == ""


def test_answers_to_a_painted_hole(page):
    completions = widget(page, "completions")
    assert completions.locator("canvas").count() == 5
    status = completions.locator(".sl-status")
    changes(page, "completions", completions.get_by_text("invert").click, lambda state: state["gap"])
    wait_for(lambda: status.inner_text().startswith("48 of 64 patches"), seconds=10)
    completions.get_by_role("slider", name="seed").focus()
    changes(page, "completions", lambda: page.keyboard.press("ArrowRight"), lambda state: state["seed"])
    completions.locator("canvas").first.focus()
    changes(page, "completions", lambda: page.keyboard.press("Space"), lambda state: state["gap"])
    boxes = [canvas.bounding_box() for canvas in completions.locator("canvas").all()]
    assert boxes[1]["y"] == boxes[2]["y"] < boxes[3]["y"] == boxes[4]["y"], "two rows beside the large panel"
    assert boxes[0]["width"] > 300 and all(box["width"] > 140 for box in boxes)


def test_a_place_is_chosen_with_mouse_and_keyboard(page):
    box = widget(page, "field").locator("canvas").first.bounding_box()
    changes(page, "field", lambda: page.mouse.click(box["x"] + 10, box["y"] + 10), lambda state: state["place"])
    assert page.state()["place"] == [0, 0] and "blind" in page.state()["status"]
    widget(page, "field").locator("canvas").first.focus()
    changes(page, "field", lambda: page.keyboard.press("ArrowRight"), lambda state: state["place"])
    assert page.state()["place"] == [0, 1]


def test_a_token_and_a_layer_are_chosen_with_mouse_and_keyboard(page):
    similarity = widget(page, "similarity")
    box = similarity.locator("canvas").first.bounding_box()
    corner = box["x"] + box["width"] - 10, box["y"] + 10
    changes(page, "similarity", lambda: page.mouse.click(*corner), lambda state: state["token"])
    assert page.state()["token"] == [0, 7]
    similarity.get_by_role("slider", name="layer").focus()
    changes(page, "similarity", lambda: page.keyboard.press("Home"), lambda state: state["layer"])
    assert page.state()["layer"] == 0 and "embedding" in similarity.locator(".sl-status").inner_text()


def test_a_conversion_and_a_picture_are_chosen_with_mouse_and_keyboard(page):
    parity = widget(page, "parity")
    assert parity.locator("polyline").count() == 2 and parity.locator("canvas").count() == 3
    assert page.state()["digits"] == [7] * 7
    choose = parity.get_by_role("combobox", name="conversion").select_option
    changes(page, "parity", lambda: choose("other"), lambda state: state["digits"])
    assert page.state()["conversion"] == "other"
    assert "leaves it at the embedding" in parity.locator(".sl-status").inner_text()
    parity.get_by_role("slider", name="picture").focus()
    changes(page, "parity", lambda: page.keyboard.press("ArrowRight"), lambda state: state["picture"])


def test_a_design_is_chosen_with_mouse_and_keyboard(page):
    grid = widget(page, "design")
    assert grid.locator("polyline").count() == 3 and grid.locator("canvas").count() == 3
    assert page.state()["methods"] == ["SimMIM"]
    choose = grid.get_by_role("combobox", name="target").select_option
    changes(page, "design", lambda: choose("codes"), lambda state: state["methods"])
    assert page.state()["methods"] == ["MaskGIT"]
    grid.get_by_role("slider", name="ratio").focus()
    changes(page, "design", lambda: page.keyboard.press("ArrowRight"), lambda state: state["hides"])
    assert page.state()["hides"] == pytest.approx(0.65)
    drag(page, "design", 0.5)
    wait_for(lambda: 0.4 <= page.state()["hides"] <= 0.5, seconds=10)
    assert grid.locator(".sl-error").inner_text() == ""


def drag(page, name, end):
    """Press in the middle of a chart and let go at `end`, a share of its width."""
    box = widget(page, name).locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 100, steps=4)
    page.mouse.up()


def test_the_prediction_is_dragged_and_typed(page):
    changes(page, "loss", lambda: drag(page, "loss", 0.8), lambda state: state["mse"])
    widget(page, "loss").get_by_role("slider").focus()
    changes(page, "loss", lambda: page.keyboard.press("ArrowLeft"), lambda state: state["prediction"])


def test_targets_are_typed_and_checked(page):
    loss = widget(page, "loss")
    changes(page, "loss", lambda: loss.get_by_label("targets").fill("0, 0.5, 0.5"), lambda state: state["targets"])
    assert page.state()["targets"] == [0, 0.5, 0.5]
    assert loss.get_by_label("example").locator("option:checked").inner_text() == "your own"
    for wrong in ("0, 7", "0, x", ""):
        loss.get_by_label("targets").fill(wrong)
        assert "numbers from 0 to 1" in loss.locator(".sl-error").inner_text()
    assert page.state()["targets"] == [0, 0.5, 0.5]


def test_a_training_is_planned_with_mouse_and_keyboard(page):
    budget = widget(page, "budget")
    assert budget.locator("polyline").count() == 4
    changes(page, "budget", lambda: drag(page, "budget", 0.99), lambda state: state["epochs"])
    wait_for(lambda: page.state()["minutes"] == 720, seconds=10)
    budget.get_by_role("slider", name="minutes").focus()
    changes(page, "budget", lambda: page.keyboard.press("ArrowLeft"), lambda state: state["minutes"])
    assert page.state()["minutes"] == 719
    for label, option in (("model", "vit_small"), ("GPU", "L4"), ("dataset", "ImageNet")):
        choose = budget.get_by_role("combobox", name=label).select_option
        changes(page, "budget", lambda choose=choose, option=option: choose(option), lambda state: state["epochs"])
    assert "one L4 trains vit_small" in budget.locator(".sl-status").inner_text()
    assert budget.locator(".sl-error").inner_text() == ""


def test_the_scrubber_moves_and_plays(page):
    scrubber = widget(page, "scrubber")
    scrubber.get_by_role("slider").focus()
    changes(page, "scrubber", lambda: page.keyboard.press("Home"), lambda state: state["index"])
    assert page.state()["index"] == 0
    changes(page, "scrubber", lambda: scrubber.get_by_text("play").click(), lambda state: state["index"])


def test_a_film_waits_until_it_is_played(page):
    film = widget(page, "film")
    status, frame = film.locator(".sl-status"), film.get_by_role("slider", name="frame")
    assert status.inner_text().startswith("frame 1 of 3") and page.state()["frame"] == 0
    changes(page, "film", film.get_by_text("play").click, lambda state: state["frame"])
    wait_for(lambda: status.inner_text().startswith("frame 3 of 3"), seconds=10)
    wait_for(lambda: film.get_by_role("button").inner_text() == "play", seconds=10)
    frame.focus()
    changes(page, "film", lambda: page.keyboard.press("ArrowLeft"), lambda state: state["frame"])
    film.get_by_role("slider", name="clip").focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: page.state()["clip"] == 1 and page.state()["frame"] == 1, seconds=10)


def test_a_training_is_followed_live(page):
    live = widget(page, "live")
    wait_for(lambda: live.locator(".sl-status").inner_text().startswith("step 3 of 3"), seconds=10)
    assert live.locator("polyline").count() == 2 and live.locator("canvas").count() == 2
    assert live.locator(".sl-error").inner_text() == ""


def test_the_widgets_are_accessible(page):
    found = Axe().run(page, {"include": [[".sl-widget"]]}, {"resultTypes": ["violations"]}).response["violations"]
    serious = [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")]
    assert serious == []


def test_a_cell_that_runs_again_closes_its_last_widget(page):
    cell = page.locator(".jp-CodeCell", has_text="runs +=").locator(".cm-content").first
    for run in range(2, 5):
        cell.click()
        page.keyboard.press("Control+Enter")
        wait_for(lambda run=run: page.state()["run"] == run, seconds=10)
        assert page.state()["open"] == 1 and page.state()["alive"] <= 2  # until now `again` was the last one
    shown = page.locator(".sl-widget").nth(len(WIDGETS))
    shown.get_by_label("ratio").wait_for()
    assert page.locator(".sl-widget").count() == len(WIDGETS) + 1


def save(page):
    page.click('li.lm-MenuBar-item:has-text("File")')
    page.click('.lm-Menu-item[data-command="docmanager:save"]')
    page.locator(".lm-TabBar-tab.jp-mod-dirty").wait_for(state="detached")


def without_kernel(route):
    """Answer JupyterLab that no kernel runs, and that none can start."""
    if route.request.method == "GET":
        route.fulfill(json=[])
    else:
        route.fulfill(status=500, json={"message": "no kernel starts here"})


def test_a_saved_notebook_shows_the_pictures_without_a_kernel(page, browser):
    for text in ("# one", "# two"):  # the second save finds the file as the first one left it
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Control+Home")
        page.keyboard.type(f"{text}\n")
        save(page)
        wait_for(lambda text=text: page.saved().cells[0].source.startswith(text), seconds=10)
    assert page.locator(".jp-Dialog").count() == 0 and page.locator(".sl-widget").count() == len(WIDGETS) + 1

    saved = page.saved()
    outputs = [output for cell in saved.cells for output in cell.outputs if "data" in output]
    assert len(outputs) == len(WIDGETS) + 1 and "widgets" not in saved.metadata
    for output in outputs:
        assert set(output.data) == {"image/png", "text/plain"} and "\n" not in output.data["text/plain"]
        assert output.data["text/plain"] in vars(widgets) and len(output.metadata["image/png"]["alt"]) > 20

    reader = browser.new_page()
    reader.route("**/api/sessions*", without_kernel)
    reader.goto(page.url)
    pictures = reader.locator(".jp-OutputArea-output img")
    wait_for(lambda: pictures.count() == len(outputs), seconds=90)
    assert all(picture.evaluate("img => img.naturalWidth > 200") for picture in pictures.all())
    status = reader.locator("#jp-main-statusbar")
    wait_for(lambda: "No Kernel" in status.inner_text(), seconds=90)
    assert "Error displaying widget" not in reader.locator(".jp-Notebook").inner_text()
    reader.close()
