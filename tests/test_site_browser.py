"""The site's first page in a headless Chromium: what is painted is filled, as in Python, or a line says why."""

import functools
import io

import numpy as np
import pytest
import torch
from PIL import Image
from site_server import serving

from simmim_lab.data.photographs import photograph
from simmim_lab.inpainting import inpaint
from simmim_lab.masking import center_mask, half_mask, stroke_mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.jupyterlab import wait_for

PAINT, FILLED = ".sl-try canvas >> nth=0", ".sl-try canvas >> nth=1"
LIVE = "_static/live"


@pytest.fixture(scope="module")
def page(browser, server):
    """The first page, in which the model has filled the first hole."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, has_touch=True)
    page.goto(server.address)
    is_filled(page)
    yield page
    page.close()


def is_filled(page) -> None:
    page.wait_for_function("() => /\\d ms/.test(document.querySelector('.sl-status').textContent)", timeout=60_000)


SHOWN = """(canvas, width) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const [zoom, middle] = [canvas.width / width, Math.floor(canvas.width / width / 2)];
    const value = (row, col, c) => data[4 * ((row * zoom + middle) * canvas.width + col * zoom + middle) + c];
    const places = Array.from({ length: 3 * width * (canvas.height / zoom) }, (_, i) => i);
    return places.map((i) => value(Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3));
}"""


def pixels(page, canvas: str, width: int = 64) -> np.ndarray:
    """What a panel shows, each pixel of its picture once: row, column, colour."""
    return np.array(page.locator(canvas).evaluate(SHOWN, width)).reshape(-1, width, 3)


def stroke(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Paint with the mouse from one place to another; places are shares of the width and of the height."""
    box = page.locator(PAINT).bounding_box()
    (x0, y0), (x1, y1) = ((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end))
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x1, y1, steps=5)
    page.mouse.up()


def hidden(page) -> int:
    """How many pixels are hidden, as the page says after a fill."""
    return int(page.inner_text(".sl-status").split()[0].replace(",", ""))


FILL = """async ([height, width, values, hidden, site]) => {
    const { inpaint, remembering } = await import(`${site}inpaint.js`);
    const { load } = await import(`${site}onnx.js`);
    const model = await load('cifar10.onnx');
    const predict = remembering(async (seen, patches) => {
        const n = patches.length / 64;
        return (await model({ images: [seen, [n, 3, 32, 32]], mask: [patches, [n, 8, 8]] })).prediction;
    });
    const area = height * width;
    const planes = [0, 1, 2].map((c) => Float32Array.from(values.slice(c * area, (c + 1) * area)));
    const filled = await inpaint(predict, { height, width, planes }, Uint8Array.from(hidden));
    return filled.planes.flatMap((plane) => [...plane]);
}"""
HOLES = {
    "stroke": functools.partial(stroke_mask, ratio=0.12),
    "small": functools.partial(center_mask, ratio=1 / 16),
    "wide": functools.partial(center_mask, ratio=0.5),
    "half": half_mask,
    "none": functools.partial(center_mask, ratio=0),
}
CASES = [(32, 32, "stroke"), (32, 32, "none"), (64, 64, "stroke"), (64, 64, "wide"), (64, 43, "small")]
CASES += [(45, 64, "wide"), (33, 37, "half"), (64, 20, "stroke")]


@pytest.mark.parametrize(("height", "width", "hole"), CASES)
def test_the_page_fills_as_pytorch_does_with_the_same_weights(page, server, height, width, hole):
    picture = (photograph("chelsea", (height, width)) * 255).round() / 255
    options = {} if hole in ("half", "none", "small", "wide") else {"generator": torch.Generator().manual_seed(3)}
    mask = HOLES[hole](1, (height, width), **options)
    expected = inpaint(SimMIM.pretrained("cifar10").eval(), picture[None], mask)[0]
    arguments = [
        height,
        width,
        picture.flatten().tolist(),
        mask.flatten().int().tolist(),
        f"{server.address}{LIVE}/",
    ]
    filled = torch.tensor(page.evaluate(FILL, arguments)).view(3, height, width)
    torch.testing.assert_close(filled, expected, rtol=0, atol=1e-3)


def test_the_first_fill_is_the_one_that_python_computed(page, site):
    stored = np.array(Image.open(site / LIVE / "try" / "filled.png"), int)
    assert np.abs(pixels(page, FILLED) - stored).max() <= 1


def test_the_mouse_paints_and_the_model_fills(page):
    before, count = pixels(page, FILLED), hidden(page)
    stroke(page, (0.2, 0.9), (0.8, 0.9))

    def changed():
        return np.abs(pixels(page, FILLED) - before).max(-1) > 0

    wait_for(lambda: hidden(page) > count and changed()[50:].mean() > 0.05, seconds=30)
    assert not changed()[:20].any()  # far from the stroke
    page.get_by_role("button", name="undo").click()
    wait_for(lambda: hidden(page) == count and not changed().any(), seconds=30)


def test_the_keyboard_paints_and_takes_back(page):
    count = hidden(page)
    page.locator(".sl-pictures button").last.focus()
    while page.evaluate("document.activeElement.tagName") != "CANVAS":
        page.keyboard.press("Tab")
    for key in ["ArrowDown"] * 18 + [" "]:
        page.keyboard.press(key)
    wait_for(lambda: hidden(page) > count, seconds=30)
    page.keyboard.press("Control+z")
    wait_for(lambda: hidden(page) == count, seconds=30)


def test_nothing_hidden_and_all_hidden_are_said(page):
    page.get_by_role("button", name="clear").click()
    wait_for(lambda: "Nothing is hidden" in page.inner_text(".sl-status"), seconds=10)
    assert (pixels(page, FILLED) == pixels(page, PAINT)).mean() > 0.95  # all but the cursor
    page.get_by_role("button", name="invert").click()
    wait_for(lambda: "leave some of it visible" in page.inner_text(".sl-error"), seconds=10)
    for _ in range(2):
        page.get_by_role("button", name="undo").click()
    wait_for(lambda: hidden(page) and page.inner_text(".sl-error") == "", seconds=30)


def shows(page, site, name: str) -> bool:
    """Does the fill have this photograph wherever it is not hidden?"""
    truth = np.array(Image.open(site / LIVE / "try" / f"{name}.png"), int)
    return (pixels(page, FILLED) == truth).all(-1).sum() >= 64 * 64 - hidden(page)


def test_another_photograph_keeps_the_hole(page, site):
    count = hidden(page)
    page.get_by_role("button", name="A cup of coffee").click()
    wait_for(lambda: shows(page, site, "coffee") and hidden(page) == count, seconds=30)
    assert page.locator("[aria-pressed=true] img").get_attribute("alt") == "A cup of coffee"


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def own_pictures() -> dict[str, tuple[bytes, tuple[int, int], tuple[int, int, int]]]:
    """Files, the width and height at which they are painted on, and the colour of their first pixel."""
    red, clear = Image.new("RGB", (80, 60), "red"), Image.new("RGBA", (50, 50), (0, 0, 255, 0))
    upright = Image.new("RGB", (60, 120), "blue")
    upright.paste("lime", (0, 60, 60, 120))
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    frames = [Image.new("RGB", (40, 40), color) for color in ("yellow", "red")]
    return {
        "opaque.png": (encoded(red, "PNG"), (64, 48), (255, 0, 0)),
        "clear.png": (encoded(clear, "PNG"), (64, 64), (255, 255, 255)),
        "turned.jpg": (encoded(upright, "JPEG", exif=turned, quality=95), (32, 64), (0, 255, 0)),
        "frames.gif": (
            encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
            (64, 64),
            (255, 255, 0),
        ),
        "long.png": (encoded(Image.new("RGB", (900, 3), "lime"), "PNG"), (64, 32), (0, 255, 0)),
        "large.png": (encoded(Image.new("1", (6000, 6000)), "PNG"), (64, 64), (0, 0, 0)),
        "tiny.png": (encoded(Image.new("RGB", (1, 1), "red"), "PNG"), (64, 64), (255, 0, 0)),
    }


@pytest.mark.parametrize("name", own_pictures())
def test_a_picture_of_ones_own_is_filled(page, name):
    content, (width, height), color = own_pictures()[name]
    file = {"name": name, "mimeType": "", "buffer": content}
    page.locator("input[type=file]").set_input_files(file)

    def shown():
        picture = pixels(page, FILLED, width)
        return picture.shape[:2] == (height, width) and np.abs(picture[0, 0] - color).max() < 8

    wait_for(shown, seconds=30)
    assert page.locator("[aria-pressed=true]").count() == 0


NO_PICTURES = {
    "text": b"no picture",
    "nothing": b"",
    "a head": encoded(Image.new("RGB", (90, 90)), "PNG")[:20],
    "a vector drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.mark.parametrize("content", NO_PICTURES.values(), ids=NO_PICTURES)
def test_a_file_that_is_no_picture_is_named_and_the_picture_stays(page, content):
    before = pixels(page, PAINT)
    page.locator("input[type=file]").set_input_files({"name": "mine.png", "mimeType": "", "buffer": content})
    wait_for(lambda: "mine.png cannot be read" in page.inner_text(".sl-error"), seconds=10)
    assert (pixels(page, PAINT) == before).all()


# A widget whose acts fail, and whose computations wait until they are let go; a 3 cannot be computed.
SLOW = """async (live) => {
    const { run } = await import(`${live}host.js`);
    const waiting = [];
    window.letGo = () => waiting.shift()?.();
    const widget = {
        follows: ["n"],
        compute: async ({ n }) => {
            await new Promise((resolve) => waiting.push(resolve));
            if (n === 3) throw new Error("odd", { cause: { n } });
            return { status: `computed ${n}` };
        },
        act: async () => { throw new Error("odd", { cause: { n: "a file" } }); },
    };
    const ranged = { kind: "range", trait: "n", label: "n", min: 0, max: 9, step: 1 };
    const controls = [ranged, { kind: "button", label: "act", message: "act" }];
    const state = { controls, panels: [], chart: {}, n: 0, status: "", error: "" };
    const place = document.createElement("div");
    place.className = "slow";
    document.body.append(place);
    run(widget, { state, words: { odd: "{n} is odd" } }, place);
}"""


def test_what_is_said_of_an_act_outlives_older_computations_and_what_is_said_of_those_the_next(page, server):
    page.evaluate(SLOW, f"{server.address}{LIVE}/")
    slow = page.locator(".slow")

    def moved(*numbers: int) -> None:
        for n in numbers:
            slow.get_by_label("n").fill(str(n))

    def says(status: str, error: str) -> None:
        wait_for(lambda: slow.locator(".sl-status").inner_text() == status, seconds=10)
        wait_for(lambda: slow.locator(".sl-error").inner_text() == error, seconds=10)

    moved(1, 2)  # the second waits for the first
    slow.get_by_role("button").click()
    says("", "a file is odd")
    for status in ("computed 1", "computed 2"):
        page.evaluate("letGo()")
        says(status, "a file is odd")
    moved(3, 4)
    says("computed 2", "")
    page.evaluate("letGo()")
    says("computed 2", "3 is odd")
    page.evaluate("letGo()")
    says("computed 4", "")
    slow.evaluate("(place) => place.remove()")


PAGE = "index.html"
LACKING = {
    "no SIMD": ("WebAssembly.validate = () => false", "lacks WebAssembly with SIMD"),
    "no WebAssembly": ("delete globalThis.WebAssembly", "lacks WebAssembly with SIMD"),
}
MODEL, RUNTIME = f"{LIVE}/models/cifar10.onnx", f"{LIVE}/ort/ort.wasm"
DAMAGED = {
    "a model that is cut off": {MODEL: b"\x08\n" * 9000},
    "a model that is another file of that size": {MODEL: None},
    "a page in place of the model": {MODEL: b"<!doctype html>moved"},
    "a page in place of the runtime": {f"{RUNTIME}.wasm": b"<!doctype html>moved"},
    "a runtime that is cut off": {f"{RUNTIME}.js": b"export const env = {"},
    "no facts of the model": {MODEL.replace("onnx", "json"): b""},
}


def is_still(page) -> str:
    """The line that is shown, once the page has its still pictures in the place of the widget."""
    page.wait_for_selector(".sl-line", timeout=60_000)
    for picture in page.locator(".sl-still img").all():
        assert picture.is_visible() and picture.evaluate("(image) => image.naturalWidth") > 0
        assert picture.get_attribute("alt")
    assert not page.locator(".sl-widget").is_visible() and not page.locator(".sl-pictures").is_visible()
    return page.inner_text(".sl-line")


@pytest.mark.parametrize("name", LACKING)
def test_a_browser_without_what_the_model_needs_shows_pictures_and_says_so(browser, server, name):
    script, said = LACKING[name]
    with browser.new_page() as page:
        page.add_init_script(script)
        page.goto(server.address)
        assert said in is_still(page)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_does_not_come_whole_leaves_pictures_and_a_line(browser, site, name):
    broken = {path: content or bytes((site / path).stat().st_size) for path, content in DAMAGED[name].items()}
    with serving(site, broken) as server, browser.new_page() as page:
        page.goto(server.address)
        assert "could not be loaded" in is_still(page)


@pytest.mark.parametrize("broken", ["live/try/state.json", "live/widgets.js"])
def test_a_page_whose_scripts_fail_stays_as_it_is(browser, site, broken):
    with serving(site, {f"_static/{broken}": b"{"}) as server, browser.new_page() as page:
        page.goto(server.address)
        assert is_still(page)


def test_without_scripts_and_from_a_folder_there_are_pictures_and_a_line(browser, server, site):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(server.address)
        assert "python -m http.server" in is_still(page)
    with browser.new_page() as page:
        page.goto((site / PAGE).as_uri())
        assert "python -m http.server" in is_still(page)


def test_a_plain_server_a_false_gpu_and_an_impatient_visitor(browser, site):
    """Files come without types and slowly, the GPU breaks; strokes and clicks before the model is there count."""
    gpu = "Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => ({ info: {} }) } })"
    with serving(site, plain=True) as server, browser.new_page() as page:
        page.add_init_script(gpu)
        page.goto(server.address)
        page.wait_for_selector(PAINT)
        page.get_by_role("button", name="A rocket").dblclick()
        stroke(page, (0.1, 0.3), (0.9, 0.3))
        is_filled(page)
        assert server.asked.count(f"/{MODEL}") == 1 and f"/{LIVE}/ort/ort.webgpu.js" in server.asked
        wait_for(lambda: hidden(page) > 600 and shows(page, site, "rocket"), seconds=30)
        assert page.locator("[aria-pressed=true] img").get_attribute("alt") == "A rocket at night"
        for name in ("A cat", "A dahlia"):  # while fills are computed
            stroke(page, (0.1, 0.6), (0.9, 0.6))
            page.get_by_role("button", name=name).click()
        stroke(page, (0.1, 0.8), (0.9, 0.8))
        wait_for(lambda: shows(page, site, "flower"), seconds=30)


def test_who_saves_data_loads_the_model_with_the_first_touch_only(browser, site):
    saving = "Object.defineProperty(navigator, 'connection', { value: { saveData: true } })"
    with serving(site) as server, browser.new_page() as page:
        page.add_init_script(saving)
        page.goto(server.address)
        page.wait_for_selector(PAINT)
        page.wait_for_timeout(500)
        assert not any(path.endswith((".onnx", ".wasm")) for path in server.asked)
        stroke(page, (0.1, 0.3), (0.9, 0.3))
        is_filled(page)
