"""The widgets without a browser: their state, their pictures, their posters, their errors and their end."""

import copy
import io
import re
import subprocess
import sys
import threading
import weakref
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from simmim_lab import evaluation, inpainting, widgets
from simmim_lab.encoders import ViTEncoder
from simmim_lab.generation import WORDS, MaskGIT, complete, sample
from simmim_lab.masking import STRATEGIES, half_mask, random_mask, to_pixels
from simmim_lab.probing import encode
from simmim_lab.recipe import History
from simmim_lab.simmim import SimMIM
from simmim_lab.tokens import Tokenizer
from simmim_lab.widgets import cells
from simmim_lab.widgets.panels import POINTS, Chart, Panels

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LARGE = torch.rand(3, 40, 52, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model() -> SimMIM:
    torch.manual_seed(0)
    return SimMIM.preset("vit_nano")


def painter(vocabulary: dict = WORDS) -> MaskGIT:
    """A small generator with random weights: 8 x 8 tokens."""
    torch.manual_seed(0)
    encoder = ViTEncoder(32, 4, 16, 1, 2, positions="absolute")
    return MaskGIT(encoder, Tokenizer.fit(IMAGES, patch=4, codes=16), vocabulary).eval()


def film() -> widgets.FilmPlayer:
    """Two clips of three frames; of each a corner is hidden, larger in each frame."""
    clips = torch.stack([IMAGES, IMAGES.flip(0)])
    row = torch.arange(32)
    hidden = torch.stack([torch.maximum(row[:, None], row) < 8 * (frame + 1) for frame in range(3)]).expand(
        2, 3, 32, 32
    )
    return widgets.FilmPlayer(clips, hidden, {"grey": clips / 2 + 0.25, "turned": 1 - clips})


@pytest.mark.parametrize(
    ("build", "error", "said"),
    [
        (lambda: widgets.MaskExplorer(IMAGES, ratio="much"), TypeError, "ratio"),
        (lambda: widgets.MaskExplorer(IMAGES, patch=0), ValueError, "patch must be a whole number at least 1"),
        (lambda: widgets.BudgetExplorer(minutes=1.5), TypeError, "minutes"),
        (
            lambda: widgets.FilmPlayer(torch.zeros(2, 3, 3, 8, 8), torch.zeros(3, 2, 8, 8).bool(), {}),
            ValueError,
            "hidden must",
        ),
    ],
)
def test_what_a_widget_cannot_begin_with_is_said(build, error, said):
    with pytest.raises(error, match=said):
        build()


def everything(model) -> list[Panels]:
    frames = (IMAGES * 255).byte().permute(0, 2, 3, 1).numpy()
    live = widgets.LiveTraining(10, images=IMAGES, mask=half_mask(3, (8, 8)))
    live(5, model, History(loss=[1.0] * 5, val_step=[5], val_loss=[0.9]))
    return [
        widgets.MaskExplorer(IMAGES),
        widgets.ReconstructionExplorer(model, IMAGES),
        widgets.MaskBrush(model, IMAGES[0]),
        widgets.Inpainter(model, LARGE),
        widgets.ReceptiveFieldExplorer(SimMIM.preset("article_cnn").encoder, 32),
        widgets.LossPlayground(),
        widgets.BudgetExplorer(),
        widgets.TokenSimilarity(model, IMAGES),
        widgets.WeightsParity(model, {"other": SimMIM.preset("vit_nano")}, IMAGES, half_mask(3, (8, 8))),
        widgets.DesignGrid(model, IMAGES),
        widgets.SceneSampler(painter(), steps=2),
        widgets.Completions(painter(), IMAGES[0]),
        film(),
        widgets.Scrubber(frames, ["a", "b", "c"]),
        live,
    ]


def test_every_widget_has_a_poster_with_alt_text(model):
    for widget in everything(model):
        data, metadata = widget._repr_mimebundle_()
        assert data["text/plain"] == type(widget).__name__
        assert metadata["image/png"]["alt"] == f"{widget.alt} {widget.status}".strip() and len(widget.alt) > 20
        assert min(Image.open(io.BytesIO(data["image/png"])).size) > 200
        assert widget.error == ""


@pytest.mark.parametrize(
    ("name", "value"), [("ratio", 0.25), ("cell", 4), ("seed", 5), ("strategy", "half"), ("image_index", 2)]
)
def test_each_choice_changes_what_is_shown(model, name, value):
    explorer = widgets.ReconstructionExplorer(model, IMAGES)
    mask, pixels, hidden = explorer.mask, explorer.pixels, explorer.hidden
    setattr(explorer, name, value)
    assert explorer.pixels != pixels
    if name != "image_index":
        assert explorer.hidden != hidden and not torch.equal(explorer.mask, mask)
    assert explorer.hidden == to_pixels(explorer.mask[None], 4).numpy().tobytes()


def test_the_explorer_shows_the_learners_own_strategy():
    def everything_but_the_corner(batch, grid, ratio, cell, *, generator):
        mask = torch.ones(batch, *grid, dtype=torch.bool)
        mask[:, 0, 0] = False
        return mask

    explorer = widgets.MaskExplorer(IMAGES, strategies={"mine": everything_but_the_corner})
    assert explorer.mask.sum() == 63 and explorer.status.startswith("98% hidden")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_control_without_effect_is_said(name):
    explorer = widgets.MaskExplorer(IMAGES, strategy=name)
    noted = explorer.status.partition(". ")[2]
    for control, values in {"ratio": (0.3, 0.6, 0.8), "seed": range(10)}.items():
        seen = set()
        for value in values:
            setattr(explorer, control, value)
            seen.add(explorer.hidden)
        assert len(seen) > 1 or control in noted
    own = widgets.MaskExplorer(IMAGES, strategies={name: random_mask})
    assert ". " not in own.status


def test_the_mask_in_python_is_the_one_that_is_shown():
    def forgetful(batch, grid, ratio, cell, *, generator):
        return torch.rand(batch, *grid) < ratio

    explorer = widgets.MaskExplorer(IMAGES, strategies={"mine": forgetful})
    assert explorer.hidden == to_pixels(explorer.mask[None], 4).numpy().tobytes()


@pytest.mark.parametrize(
    ("result", "message"),
    [(torch.ones(1, 8, 8), "must be boolean"), (torch.ones(1, 4, 4).bool(), r"must have shape \(1, 8, 8\)")],
)
def test_a_strategy_that_returns_nonsense_is_reported(result, message):
    strategies = {"random": random_mask, "mine": lambda *a, **k: result}
    with pytest.raises((TypeError, ValueError), match=message):
        widgets.MaskExplorer(IMAGES, strategies=strategies, strategy="mine")
    explorer = widgets.MaskExplorer(IMAGES, strategies=strategies)
    pixels = explorer.pixels
    explorer.strategy = "mine"
    assert re.search(message, explorer.error) and explorer.pixels == pixels
    explorer.strategy = "randon"
    assert "did you mean 'random'" in explorer.error
    explorer.strategy = "random"
    assert explorer.error == ""


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (IMAGES[0, 0], "must have shape"),
        ((IMAGES * 255).byte(), "float tensor"),
        (IMAGES * 255, r"must lie in \[0, 1\]"),
        (IMAGES * float("nan"), r"must lie in \[0, 1\]"),
        (IMAGES[:0], "at least one image"),
        ("cat.png", "float tensor"),
    ],
)
def test_wrong_images_are_refused(images, error):
    with pytest.raises((TypeError, ValueError), match=error):
        widgets.MaskExplorer(images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: widgets.MaskExplorer(IMAGES, ratio=2), "ratio must lie between 0 and 1"),
        (lambda model: widgets.MaskExplorer(IMAGES, cell=3), "do not tile"),
        (lambda model: widgets.MaskExplorer(IMAGES, patch=5), "do not tile"),
        (lambda model: widgets.ReconstructionExplorer(model, torch.rand(2, 3, 48, 48)), "built for"),
        (lambda model: widgets.MaskBrush(model, IMAGES), "one image"),
        (lambda model: widgets.MaskBrush(model, IMAGES[0], mask=torch.zeros(8, 8)), "boolean"),
        (lambda model: widgets.Inpainter(model, IMAGES), "one image"),
        (lambda model: widgets.Inpainter(model, torch.rand(3, 640, 480)), "at most 128 pixels a side"),
        (lambda model: widgets.Inpainter(model, LARGE, hidden=torch.zeros(8, 8).bool()), r"\(1, 40, 52\)"),
        (lambda model: widgets.ReceptiveFieldExplorer(model.encoder, 32, place=(8, 0)), "8 rows"),
        (lambda model: widgets.ReceptiveFieldExplorer(model.encoder, 32, hidden=torch.zeros(32, 32)), "boolean"),
        (lambda model: widgets.TokenSimilarity(model, IMAGES, place=(0, 8)), "8 columns"),
        (lambda model: widgets.TokenSimilarity(model, IMAGES, layer=6), "layer must lie between 0 and 5"),
        (lambda model: widgets.TokenSimilarity(SimMIM.preset("article_cnn"), IMAGES), "only a ViTEncoder"),
        (lambda model: parity(model, mask=half_mask(3, (4, 4))), r"\(3, 8, 8\)"),
        (lambda model: parity(model, name="others"), "did you mean 'other'"),
        (lambda model: widgets.DesignGrid(SimMIM.preset("article_cnn"), IMAGES), "only a ViTEncoder"),
        (
            lambda model: widgets.DesignGrid(model, IMAGES, target="pixel"),
            "unknown target 'pixel'; did you mean 'pixels'",
        ),
        (lambda model: widgets.DesignGrid(model, IMAGES, ratio=1.0), "ratio must be .* at most 0.95"),
        (lambda model: widgets.SceneSampler(model), "must be a MaskGIT.* not a SimMIM"),
        (lambda model: widgets.SceneSampler(painter(), "a red hause"), "did you mean 'house'"),
        (
            lambda model: widgets.SceneSampler(painter({"shape": ("cube",)})),
            "can be chosen, but the model knows words for shape",
        ),
        (lambda model: widgets.SceneSampler(painter(), steps=65), "steps must be .* at most 64"),
        (lambda model: widgets.SceneSampler(painter(), temperature=-1.0), "temperature must be"),
        (lambda model: widgets.Completions(model, IMAGES[0]), "must be a MaskGIT.* not a SimMIM"),
        (lambda model: widgets.Completions(painter(), IMAGES), "one image"),
        (lambda model: widgets.Completions(painter(), LARGE), "draws 32 x 32 pixels, .* 40 x 52: resize it"),
        (lambda model: widgets.Completions(painter(), IMAGES[0], mask=torch.zeros(4, 4).bool()), r"\(1, 8, 8\)"),
        (lambda model: widgets.LossPlayground([]), "targets must be numbers"),
        (lambda model: widgets.LossPlayground([0.5, float("nan")]), "targets must be numbers"),
        (lambda model: widgets.LossPlayground(prediction=1.5), "prediction must be"),
        (lambda model: widgets.BudgetExplorer(preset="vit_tinny"), "did you mean 'vit_tiny'"),
        (lambda model: widgets.BudgetExplorer(preset="swin_base"), "unknown preset"),
        (lambda model: widgets.BudgetExplorer(gpu="H100"), "did you mean 'H100 SXM'"),
        (lambda model: widgets.BudgetExplorer(dataset="Imagenet"), "did you mean 'ImageNet'"),
        (lambda model: widgets.BudgetExplorer(minutes=0), "minutes must lie between 1 and 720"),
        (lambda model: widgets.BudgetExplorer(utilisation=1.5), "utilisation must lie between"),
        (lambda model: widgets.Scrubber(IMAGES.numpy(), ["a", "b", "c"]), "must be bytes"),
        (lambda model: widgets.LiveTraining(10, images=IMAGES), "together"),
        (lambda model: widgets.LiveTraining(10, images=IMAGES, mask=half_mask(1, (8, 8))), "must have shape"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(model, make, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        make(model)
    assert "\n" not in str(caught.value)


def test_the_brush_takes_masks_and_fills_what_is_painted(model):
    brush = widgets.MaskBrush(model, IMAGES[0], mask=torch.zeros(8, 8, dtype=torch.bool))
    assert brush.status.startswith("0 of 64")
    brush.painted = memoryview(bytes([1] * 8 + [0] * 56))  # what a browser sends
    assert brush.mask[0].all() and brush.mask.sum() == 8 and brush.status.startswith("8 of 64")
    expected = brush.model.reconstruct(IMAGES[:1], brush.mask[None])[0]
    shown = torch.frombuffer(bytearray(brush.pixels), dtype=torch.uint8).view(3, 32, 32, 3)[2] / 255
    torch.testing.assert_close(shown.permute(2, 0, 1), expected, atol=0.003, rtol=0)
    with pytest.raises(ValueError, match=r"\(1, 8, 8\)"):
        brush.mask = torch.zeros(4, 4, dtype=torch.bool)
    brush.painted = b"123"
    assert "must have 64 entries" in brush.error


def test_strokes_are_taken_back(model):
    brush = widgets.MaskBrush(model, IMAGES[0])
    masks = [brush.mask]
    for mask in (half_mask(1, (8, 8))[0], torch.ones(8, 8).bool()):
        brush.mask = mask
        masks.append(mask)
    brush.stroking = True  # the masks of a stroke on its way are no steps
    for count in (1, 2, 3):
        brush.painted = bytes([1] * count + [0] * (64 - count))
    brush.stroking = False
    press(brush, "invert")
    press(brush, "undo")
    assert brush.mask.sum() == 3
    for mask in reversed(masks):
        press(brush, "undo")
        assert torch.equal(brush.mask, mask)
    press(brush, "undo")
    assert torch.equal(brush.mask, masks[0]) and brush.error == ""


def press(widget, message: str, buffers=(), **content) -> None:
    """What a browser sends when a button is pressed or a file chosen."""
    widget._handle_custom_msg({"message": message, **content}, list(buffers))


def grey(images, hidden):
    return images.masked_fill(hidden[:, None], 0.5)


def titles(inpainter) -> list[str]:
    return [panel["title"] for panel in inpainter.panels]


def test_a_hole_is_painted_by_the_pixel_and_filled_by_each_method(model):
    hole = torch.zeros(40, 52, dtype=torch.bool)
    hole[3:9, 5] = True
    inpainter = widgets.Inpainter(model, LARGE, hidden=hole, methods={"grey": grey})
    assert torch.equal(inpainter.mask, hole) and inpainter.hidden == inpainter.painted
    shown = torch.frombuffer(bytearray(inpainter.pixels), dtype=torch.uint8).view(3, 40, 52, 3) / 255
    truth = LARGE.permute(1, 2, 0)
    for picture in shown:
        torch.testing.assert_close(picture[~hole], truth[~hole], atol=0.003, rtol=0)
    torch.testing.assert_close(shown[0], truth, atol=0.003, rtol=0)
    filled = inpainting.inpaint(model.eval(), LARGE[None], hole[None])
    torch.testing.assert_close(shown[1], filled[0].permute(1, 2, 0), atol=0.003, rtol=0)
    assert (shown[2][hole] == 128 / 255).all()
    assert titles(inpainter)[1:] == [
        f"{name} {evaluation.psnr(LARGE[None], fill, hole[None]):.1f} dB"
        for name, fill in (("model", filled), ("grey", grey(LARGE[None], hole[None])))
    ]
    assert inpainter.status.startswith("6 of 2,080 pixels hidden (0%), highest PSNR on them: ")


def test_the_model_follows_a_stroke_and_the_other_methods_its_end(model):
    calls = []
    inpainter = widgets.Inpainter(model, LARGE, methods={"mine": lambda *a: calls.append(1) or grey(*a)})
    for inpainter.stroking, inpainter.painted in ((True, bytes([1] * 9 + [0] * 2071)), (True, bytes(2080))):
        assert len(calls) == 1 and titles(inpainter)[2] == "mine" and inpainter.panels[2]["striped"]
    assert inpainter.status == "Nothing is hidden: paint over what is to be filled."
    inpainter.painted = bytes([1] * 7 + [0] * 2073)
    assert "PSNR on them: model" in inpainter.status and "highest" not in inpainter.status
    inpainter.stroking = False
    assert len(calls) == 2 and titles(inpainter)[2].endswith(" dB") and "striped" not in inpainter.panels[2]
    press(inpainter, "invert")
    press(inpainter, "clear")
    press(inpainter, "invert")
    assert "hidden" in inpainter.error, "nothing is visible, so the model cannot fill"
    press(inpainter, "undo")
    assert inpainter.error == "" and not inpainter.mask.any()


def test_methods_that_need_opencv_are_said_to_be_absent(model, monkeypatch):
    monkeypatch.setattr(evaluation, "has_opencv", lambda: False)
    inpainter = widgets.Inpainter(model, LARGE)
    assert "need OpenCV: pip install" in inpainter.status and not {"Telea", "Navier-Stokes"} & {*inpainter.methods}


def as_file(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "kind", "shown"),
    [
        ((1040, 400), "JPEG", (52, 20)),
        ((30, 90), "PNG", (17, 52)),
        ((9, 7), "GIF", (9, 7)),
        ((900, 1), "BMP", (52, 1)),
    ],
)
def test_a_picture_file_is_fitted_and_painted_anew(model, size, kind, shown):
    inpainter = widgets.Inpainter(model, LARGE, methods={"grey": grey})
    press(inpainter, "clear")
    press(inpainter, "picture", [memoryview(as_file(Image.new("RGB", size, (200, 100, 50)), kind))], name="mine")
    assert (inpainter.size, inpainter.error) == ([shown[1], shown[0]], "")
    assert f"mine is shown at {shown[0]} x {shown[1]} pixels" in inpainter.status
    assert ("so that a stroke stays fast" in inpainter.status) == (max(size) > 52)
    assert inpainter.mask.shape == (shown[1], shown[0]) and inpainter.poster()
    torch.testing.assert_close(
        inpainter.image[0].mean((1, 2)), torch.tensor([200, 100, 50]) / 255, atol=0.02, rtol=0
    )
    before = inpainter.mask
    press(inpainter, "undo")
    assert torch.equal(inpainter.mask, before), "a stroke on another picture comes back"


def test_a_file_that_is_no_picture_leaves_the_widget_as_it_is(model):
    inpainter = widgets.Inpainter(model, LARGE, methods={})
    state = inpainter.pixels, inpainter.painted, inpainter.status
    for data, reason in (
        (b"", "empty"),
        (as_file(Image.effect_noise((90, 90), 90))[:-500], "damaged or incomplete PNG"),
    ):
        press(inpainter, "picture", [memoryview(data)], name="my cat.png")
        assert inpainter.error == f"my cat.png cannot be read ({reason})"
        assert (inpainter.pixels, inpainter.painted, inpainter.status) == state


def shown_steps(sampler) -> tuple[torch.Tensor, torch.Tensor]:
    """The colours and what is hidden, of each step and picture."""
    pixels, hidden = (torch.frombuffer(bytearray(x), dtype=torch.uint8) for x in (sampler.pixels, sampler.hidden))
    return pixels.view(-1, 4, 32, 32, 3), hidden.view(-1, 4, 32, 32).bool()


def test_all_steps_of_a_sampling_are_shown():
    model = painter()
    sampler = widgets.SceneSampler(model, "a red house by a lake", steps=5, temperature=0.8, guidance=1.0, seed=3)
    words = model.words_of(["a red house by a lake"] * 4)
    options = {"steps": 5, "temperature": 0.8, "guidance": 1.0, "generator": torch.Generator().manual_seed(3)}
    pixels, hidden = shown_steps(sampler)
    assert hidden[0].all() and len(pixels) == len(hidden) == 6 and sampler.index == 5
    for step, (codes, mask) in enumerate(sample(model, words, **options), 1):
        expected = model.tokenizer.decode(codes).mul(255).round().byte().permute(0, 2, 3, 1)
        assert torch.equal(hidden[step], to_pixels(mask, 4)) and torch.equal(pixels[step], expected)
        sampler.index = step
        filled = int((~mask[0]).sum())
        assert sampler.status == f"house, red, lake: {filled} of 64 tokens filled after step {step} of 5."
    assert filled == 64 and torch.equal(shown_steps(sampler)[0], pixels), "going through the steps changed them"


def test_pictures_appear_while_they_are_sampled():
    sampler, sent = widgets.SceneSampler(painter(), steps=2), []
    sampler.send_state = lambda names: "pixels" in names and sent.append((sampler.status, *shown_steps(sampler)))
    sampler.steps = 4
    pixels, hidden = shown_steps(sampler)
    assert len(sent) == 4
    for step, (status, now, now_hidden) in enumerate(sent, 1):
        assert torch.equal(now, pixels[[step]]) and torch.equal(now_hidden, hidden[[step]])
        assert f"after step {step} of 4" in status


@pytest.mark.parametrize("kind", WORDS)
def test_each_choice_changes_the_words_that_the_model_is_given(kind):
    sampler = widgets.SceneSampler(painter(), steps=2)
    [*kinds], nothing = WORDS, [len(names) for names in WORDS.values()]
    column = kinds.index(kind)
    assert sampler.words.tolist() == [nothing] * 4 and "guidance does nothing" in sampler.status
    [choose] = [control for control in sampler.controls if control["trait"] == kind]
    assert choose["options"] == [*WORDS[kind], "any"]
    for place, word in enumerate(choose["options"]):
        setattr(sampler, kind, word)
        assert sampler.words.tolist() == [[*nothing[:column], place, *nothing[column + 1 :]]] * 4
        assert ("guidance does nothing" in sampler.status) == (word == "any") and sampler.error == ""
    before = sampler.pixels
    setattr(sampler, kind, WORDS[kind][0])
    assert sampler.pixels != before


def test_a_seed_gives_the_same_pictures_again():
    sampler, hole = widgets.SceneSampler(painter(), steps=3), widgets.Completions(painter(), IMAGES[0])
    for widget in (sampler, hole):
        first = widget.pixels
        widget.seed = 1
        assert widget.pixels != first and widget.error == ""
        widget.seed = 0
        assert widget.pixels == first
    for name, value in {"temperature": 0.2, "steps": 2}.items():
        before = sampler.pixels
        setattr(sampler, name, value)
        assert sampler.pixels != before


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("subject", "hause", "did you mean 'house'"),
        ("steps", 0, "steps must be a whole number at least 1"),
        ("temperature", -1.0, "temperature must be a number at least 0"),
    ],
)
def test_a_sampling_that_fails_is_reported_and_leaves_the_pictures(name, wrong, message):
    sampler = widgets.SceneSampler(painter(), "a house", steps=2)
    before, right = sampler.pixels, getattr(sampler, name)
    setattr(sampler, name, wrong)
    assert message in sampler.error and sampler.pixels == before
    setattr(sampler, name, right)
    assert sampler.error == "" and sampler.pixels == before


def test_a_model_without_words_is_sampled_too():
    sampler = widgets.SceneSampler(painter({}), steps=2)
    assert sampler.words.shape == (4, 0) and sampler.status.startswith("anything: 64 of 64")
    assert {control["trait"] for control in sampler.controls} == {"temperature", "steps", "seed", "index"}


def test_a_hole_gets_four_answers_and_what_is_visible_stays():
    hole = torch.zeros(8, 8, dtype=torch.bool)
    hole[2:5, 1:7] = True
    completions, hidden = widgets.Completions(painter(), IMAGES[0], mask=hole), to_pixels(hole[None], 4)[0]
    shown = torch.frombuffer(bytearray(completions.pixels), dtype=torch.uint8).view(5, 32, 32, 3)
    image = IMAGES[0].mul(255).round().byte().permute(1, 2, 0)
    assert torch.equal(shown[0], image) and (shown[:, ~hidden] == image[~hidden]).all()
    assert len({answer.numpy().tobytes() for answer in shown[1:, hidden]}) == 4
    drawn = complete(
        painter(),
        IMAGES[:1].expand(4, -1, -1, -1),
        hole.expand(4, -1, -1),
        steps=8,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(shown[1:], drawn.mul(255).round().byte().permute(0, 2, 3, 1))
    assert completions.hidden == hidden.numpy().tobytes() and completions.status.startswith("18 of 64 patches")


def test_answers_follow_the_end_of_a_stroke():
    completions = widgets.Completions(painter(), IMAGES[0])
    answers = completions.pixels
    completions.stroking = True
    completions.painted = bytes([1] * 5 + [0] * 59)
    unfilled = completions.pixels
    assert all(panel["striped"] for panel in completions.panels) and completions.status.startswith("5 of 64")
    completions.stroking = False
    assert [panel["striped"] for panel in completions.panels] == [True] + [False] * 4
    assert completions.pixels not in (answers, unfilled)
    press(completions, "undo")
    assert completions.pixels == answers
    press(completions, "clear")
    assert completions.status == "Nothing is hidden: paint over what is to be filled."
    assert completions.pixels == unfilled
    press(completions, "invert")
    assert completions.status.startswith("64 of 64 patches") and completions.error == ""


def test_the_receptive_field_of_the_articles_cnn():
    encoder = SimMIM.preset("article_cnn").encoder
    explorer = widgets.ReceptiveFieldExplorer(
        encoder, 32, hidden=to_pixels(half_mask(1, (8, 8)), 4)[0], place=(4, 4)
    )
    assert explorer.field.any(0).sum() == explorer.field.any(1).sum() == 10
    assert "70 are visible" in explorer.status and explorer.error == ""
    explorer.place = [0, 0]
    assert "blind" in explorer.status
    explorer.place = [8, 0]
    assert "8 rows" in explorer.error


def test_the_similarity_of_tokens_to_the_chosen_one(model):
    explorer = widgets.TokenSimilarity(model, IMAGES, layer=0, place=(2, 5))
    assert "embedding, patch (2, 5)" in explorer.status
    explorer.image_index, explorer.layer, explorer.place = 1, 5, [7, 0]
    assert "final norm, patch (7, 0)" in explorer.status and explorer.error == ""
    [tokens] = encode(model, IMAGES[1:2])
    for shown, compared in (
        (explorer.similarity, tokens),
        (explorer.similarity_without_mean, tokens - tokens.mean((1, 2), keepdim=True)),
    ):
        expected = torch.cosine_similarity(compared[:, 7, 0, None, None], compared, dim=0)
        torch.testing.assert_close(shown, expected, atol=1e-4, rtol=0)
    pixels = torch.frombuffer(bytearray(explorer.pixels), dtype=torch.uint8).view(3, 32, 32, 3)[1:]
    brightness = pixels.float().mean(-1)
    chosen = brightness[:, 28:, :4]
    assert (chosen == brightness.amax((1, 2), keepdim=True)).all(), "the token is most similar to itself"
    explorer.place = [8, 0]
    assert "8 rows" in explorer.error


def design(model, **choices):
    """A design grid after these choices, without an error."""
    grid = widgets.DesignGrid(model, IMAGES, **choices)
    assert grid.error == ""
    return grid


def test_a_design_is_named_and_its_work_counted(model):
    grid = design(model)
    assert grid.status.startswith(
        "As in SimMIM (60% hidden). With ViT-B, a step takes 104 GFLOP for each image, 100%"
    )
    grid.ratio = 0.9
    assert "100% of what SimMIM's takes" in grid.status, "SimMIM's work does not depend on the ratio"
    grid.tokens, grid.decoder, grid.target, grid.ratio = "visible only", "Transformer", "normalised pixels", 0.75
    encoder, decoder = (n * (24 * d**2 + 4 * n * d) * deep for n, d, deep in ((49, 768, 12), (196, 512, 8)))
    simmim = 196 * (24 * 768**2 + 4 * 196 * 768) * 12
    assert grid.design.step_flops("ViT-B") == 3 * (encoder + decoder)
    assert grid.methods == ["MAE"] and f"{(encoder + decoder) / simmim:.0%} of what SimMIM's" in grid.status
    mine, flat, falling = (line["y"] for line in grid.chart["series"])
    assert set(flat) == {100} and falling[0] > 100 > falling[-1] and mine == falling
    grid.target = "a teacher's features"
    assert grid.design.step_flops("ViT-B") == 3 * (encoder + decoder) + simmim, "a teacher sees all, forward only"


@pytest.mark.parametrize(
    ("choices", "methods"),
    [
        ({"target": "codes", "mask": "blocks"}, ["BEiT"]),
        ({"target": "codes"}, ["MaskGIT"]),
        ({"target": "edges (HOG)", "mask": "blocks"}, ["MaskFeat"]),
        ({"target": "a teacher's features", "mask": "blocks"}, ["data2vec", "iBOT"]),
        ({"target": "edges (HOG)"}, []),
    ],
)
def test_methods_are_found_whatever_share_they_hide(model, choices, methods):
    grid = design(model, ratio=0.45, **choices)
    assert grid.methods == methods and all(name in grid.status for name in methods)
    assert methods or grid.status.startswith("Not in the table")


def test_the_pictures_show_where_there_is_a_token(model):
    def panels(**choices):
        grid = design(model, **choices)
        white = torch.frombuffer(bytearray(grid.pixels), dtype=torch.uint8).view(3, 128, 128, 3) == 255
        striped = torch.frombuffer(bytearray(grid.hidden), dtype=torch.uint8).view(3, 128, 128)
        return white.all(-1).float().mean((1, 2)), striped.float().mean((1, 2)).tolist()

    hidden = 39 / 64  # at a ratio of 0.6
    _, striped = panels()
    assert striped == [hidden, hidden, 0]
    white, striped = panels(tokens="visible only", decoder="Transformer")
    assert striped == [0, hidden, 0] and white[0] > hidden and white[2] >= 1 - hidden
    _, striped = panels(tokens="visible only")
    assert striped == [0, 0, 0]
    assert "cannot work" in design(model, tokens="visible only").status


def parity(model: SimMIM, **changes) -> widgets.WeightsParity:
    """The model beside a copy, and beside one with another decoder."""
    other = copy.deepcopy(model)
    torch.nn.init.normal_(other.decoder.linear.weight)
    made = {"mask": random_mask(3, (8, 8), 0.5, generator=torch.Generator().manual_seed(0))}
    return widgets.WeightsParity(model, {"copy": model, "other": other}, IMAGES, **made | changes)


def test_a_conversion_is_compared_in_each_layer(model):
    shown = parity(model)
    assert shown.digits == [7] * 7 and "agrees in 5 digits and more everywhere" in shown.status
    assert shown.chart["series"][0]["y"] == shown.digits and shown.chart["range"] == [0, 6]
    pixels = shown.pixels
    shown.name = "other"
    assert shown.digits[:-1] == [7] * 6 and shown.digits[-1] < 1 and "leaves it at the prediction" in shown.status
    changed, pixels = shown.pixels != pixels, shown.pixels
    shown.image_index = 1
    assert changed and shown.pixels != pixels


def test_a_conversion_leaves_the_original_where_it_is_wrong(model):
    wrong = copy.deepcopy(model)
    for norm in (wrong.encoder.blocks[1].norm1, wrong.encoder.norm):
        norm.eps = 0.1
    shown = widgets.WeightsParity(model, {"wrong": wrong}, IMAGES, half_mask(3, (8, 8)))
    assert shown.digits[:2] == [7, 7] and max(shown.digits[2:]) < 5 and "at block 2" in shown.status
    torch.nn.init.constant_(wrong.encoder.blocks[0].norm1.weight, torch.nan)
    shown = widgets.WeightsParity(model, {"wrong": wrong}, IMAGES, half_mask(3, (8, 8)))
    assert shown.digits[:2] == [7, 0] and "at block 1" in shown.status and "nan dB" in shown.status


def test_the_losses_of_the_playground():
    playground = widgets.LossPlayground([0.0, 0.0, 1.0], prediction=0.5)
    assert (playground.mse, playground.l1) == (0.25, 0.5)
    mse, l1 = playground.chart["series"]
    assert mse["x"][mse["y"].index(min(mse["y"]))] == pytest.approx(1 / 3, abs=0.01)
    assert l1["x"][l1["y"].index(min(l1["y"]))] == 0
    playground.prediction = 0.0
    assert playground.l1 == pytest.approx(1 / 3)
    playground.example = "half and half"
    assert sum(playground.targets) == 5
    playground.targets = [0.25]
    assert playground.example == "your own" and "mean, 0.25" in playground.status
    with pytest.raises(ValueError, match="from 0 to 1"):
        playground.targets = [2.0]
    assert playground.targets == [0.25]


def test_the_budget_says_how_many_epochs_there_is_time_for():
    budget = widgets.BudgetExplorer()
    work = 3 * 12 * 64 * (24 * 192**2 + 4 * 64 * 192) * 50_000  # one epoch of vit_tiny
    assert budget.image_count == 50_000 and budget.epochs == pytest.approx(45 * 60 * 0.3 * 65e12 / work)
    assert budget.status.startswith("In 45 min one T4 trains vit_tiny for 489 epochs of 50,000 images of 32 x 32")
    assert "fill 0.085 of its 16 GB" in budget.status
    parameters = sum(parameter.numel() for parameter in SimMIM.preset("vit_tiny").parameters())
    assert budget.state_bytes == pytest.approx(16 * parameters, rel=0.01)

    epochs, bold = budget.epochs, [line["label"] for line in budget.chart["series"] if line["bold"]]
    budget.minutes, budget.utilisation = 90, 0.15
    assert budget.epochs == pytest.approx(epochs) and bold == ["T4"]
    budget.gpu, budget.dataset, budget.preset = "H100 SXM", "ImageNet", "vit_base"
    assert "1,281,167 images of 224 x 224 pixels: 104 GFLOP" in budget.status
    [chosen] = [line for line in budget.chart["series"] if line["bold"]]
    assert chosen["label"] == "H100 SXM"
    k = min(range(len(chosen["x"])), key=lambda k: abs(chosen["x"][k] - 90))
    assert chosen["y"][k] == pytest.approx(budget.epochs, rel=0.02)
    assert len({tuple(line["dash"]) for line in budget.chart["series"]}) == len(budget.chart["series"])


def test_a_wrong_choice_leaves_the_budget_as_it_was():
    budget = widgets.BudgetExplorer()
    status = budget.status
    with pytest.raises(ValueError, match="did you mean 'T4'"):
        budget.gpu = "T5"
    with pytest.raises(ValueError, match="between 1 and 720"):
        budget.minutes = 721
    assert (budget.gpu, budget.minutes, budget.status) == ("T4", 45, status)


def test_widgets_leave_the_learners_model_and_random_numbers_alone(model):
    model.train()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    explorer = widgets.ReconstructionExplorer(model, IMAGES)
    explorer.ratio = 0.3
    widgets.ReceptiveFieldExplorer(model.encoder, 32)
    assert model.training and torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert explorer.model is not model


def test_a_slider_may_move_while_a_cell_runs(model):
    explorer = widgets.ReconstructionExplorer(model, IMAGES)

    def move(seeds):
        for explorer.seed in seeds:
            pass

    thread = threading.Thread(target=move, args=(range(50, 80),))
    thread.start()
    move(range(1, 30))
    thread.join()
    assert explorer.error == "" and explorer.hidden == to_pixels(explorer.mask[None], 4).numpy().tobytes()
    mask = random_mask(1, (8, 8), 0.6, 2, generator=torch.Generator().manual_seed(explorer.seed))[0]
    assert torch.equal(explorer.mask, mask)


def test_a_live_training_thins_long_histories():
    live = widgets.LiveTraining(5000, every=0)
    live(5000, None, History(loss=[1.0] * 5000))
    [training] = live.chart["series"]
    assert len(training["x"]) <= POINTS and training["x"][-1] == 5000


def test_a_live_training_shows_the_model_and_leaves_it_alone(model):
    mask = half_mask(3, (8, 8))
    live = widgets.LiveTraining(10, images=IMAGES, mask=mask, every=60)
    empty = live.poster()
    live.done()  # before the first step there is nothing to show
    model.train()
    live(5, model, History(loss=[1.0] * 5, val_step=[5], val_loss=[0.9]))
    shown = torch.frombuffer(bytearray(live.pixels), dtype=torch.uint8).view(2, 32, 96, 3)[1, :, :32] / 255
    expected = model.reconstruct(IMAGES, mask)[0].permute(1, 2, 0)
    torch.testing.assert_close(shown, expected, atol=0.003, rtol=0)
    assert model.training and live.error == "" and live.status.startswith("step 5 of 10")
    live(6, model, History(loss=[1.0] * 6))
    assert live.status.startswith("step 5"), "too soon for the next picture"
    live(10, model, History(loss=[1.0] * 10))
    assert live.status.startswith("step 10")
    height, taller = (Image.open(io.BytesIO(png)).height for png in (empty, live.poster()))
    assert taller > height, "the poster shows the pictures too"


def test_a_picture_that_fails_does_not_end_the_training(model):
    live = widgets.LiveTraining(10, images=IMAGES, mask=half_mask(3, (4, 4)))
    live(5, model.train(), History(loss=[1.0] * 5))
    assert "must have shape" in live.error and model.training


class Notebook:
    """A notebook whose cells run here: their names, their history of results, and what they display."""

    def __init__(self, monkeypatch, metadata):
        self.metadata, self.runs, self.results = metadata, 0, {}
        self.user_ns, self.user_ns_hidden, self.displayhook = {"_oh": self.results}, {}, SimpleNamespace(_=None)
        monkeypatch.setattr(cells, "get_ipython", lambda: self)
        for kind in (Panels, Chart):
            monkeypatch.setattr(kind, "poster", lambda widget: bytes(24))  # to draw them takes long

    def get_parent(self):
        return self.request

    def run(self, cell: str, make, **content):
        """Run a cell that makes one widget or several and shows them; the last is its result."""
        self.runs += 1
        header, content = {"msg_id": str(self.runs)}, content or {"code": cell}
        self.request = {"header": header, "metadata": self.metadata(cell), "content": content}
        made = make()
        shown = made if isinstance(made, list) else [made]
        self.displayed = [widget._repr_mimebundle_()[0] for widget in shown]
        self.displayhook._ = self.results[self.runs] = shown[-1]
        names = {"_": shown[-1], f"_{self.runs}": shown[-1]}
        self.user_ns.update(names)
        self.user_ns_hidden.update(names)
        return made


FRONT_ENDS = {
    "JupyterLab": lambda cell: {"cellId": f"id of {cell}"},
    "Colab": lambda cell: {"colab": {"cell_id": f"id of {cell}"}},
    "nbclient": lambda cell: {},
}


@pytest.fixture(params=FRONT_ENDS.values(), ids=FRONT_ENDS)
def in_notebook(request, monkeypatch) -> Notebook:
    return Notebook(monkeypatch, request.param)


def test_a_cell_that_runs_again_frees_its_last_widget_and_the_copy_of_the_model(in_notebook, model):
    made = {
        "explore": lambda: widgets.ReconstructionExplorer(model, IMAGES),
        "paint": lambda: widgets.MaskBrush(model, IMAGES[0]),
        "inpaint": lambda: widgets.Inpainter(model, LARGE, methods={}),
        "sample": partial(widgets.SceneSampler, painter(), steps=1),
        "complete": partial(widgets.Completions, painter(), IMAGES[0]),
        "see": lambda: widgets.ReceptiveFieldExplorer(model.encoder, 32),
        "play": widgets.LossPlayground,
        "plan": widgets.BudgetExplorer,
    }
    for cell, make in made.items():
        first = weakref.ref(in_notebook.run(cell, make))
        second = in_notebook.run(cell, make)
        assert first() is None, f"{cell} is kept"
        assert second.comm is not None and second.layout.comm is not None
    assert len(in_notebook.results) == len(made)


def test_two_cells_show_their_widgets_at_the_same_time(in_notebook):
    make = partial(widgets.MaskExplorer, IMAGES)
    first, several = in_notebook.run("one", make), in_notebook.run("several", lambda: [make() for _ in range(3)])
    assert all(widget.comm for widget in (first, *several))
    again = in_notebook.run("one", make)
    assert first.comm is None and all(widget.comm for widget in (again, *several))
    in_notebook.run("several", make)
    assert not any(widget.comm for widget in several)


@pytest.mark.parametrize("front_end", ["JupyterLab", "Colab"])
def test_a_cell_is_known_by_its_id_not_by_its_code(monkeypatch, front_end):
    notebook, make = Notebook(monkeypatch, FRONT_ENDS[front_end]), partial(widgets.MaskExplorer, IMAGES)
    first, second = (notebook.run(cell, make, code="MaskExplorer(images)") for cell in ("one", "two"))
    assert first.comm and second.comm
    notebook.run("one", make, code="MaskExplorer(images)  # edited")
    assert first.comm is None and second.comm


def test_a_widget_lives_while_a_cell_shows_it(in_notebook):
    explorer = in_notebook.run("make", partial(widgets.MaskExplorer, IMAGES))
    in_notebook.run("show", lambda: explorer)
    in_notebook.run("show", lambda: explorer)
    model_id = explorer.model_id
    another = in_notebook.run("make", partial(widgets.MaskExplorer, IMAGES))
    assert explorer.comm and explorer.model_id == model_id
    in_notebook.run("show", lambda: another)
    assert explorer.comm is None and another.comm


def test_a_widget_that_was_closed_still_works_and_comes_back_when_it_is_shown(in_notebook):
    kept = in_notebook.run("cell", partial(widgets.MaskExplorer, IMAGES))
    in_notebook.run("cell", partial(widgets.MaskExplorer, IMAGES))
    kept.strategy = "half"
    assert kept.comm is None and kept.mask[0].all() and kept.error == ""
    in_notebook.run("other", lambda: kept)
    [shown] = in_notebook.displayed
    assert shown["application/vnd.jupyter.widget-view+json"]["model_id"] == kept.model_id and kept.layout.comm


def test_a_widget_that_the_learner_closes_is_freed(in_notebook, model):
    make = [partial(widgets.ReconstructionExplorer, model, IMAGES), partial(widgets.MaskExplorer, IMAGES)]
    explorer, result = in_notebook.run("cell", lambda: [widget() for widget in make])
    copy = weakref.ref(explorer.model)
    explorer.close()
    explorer = None
    assert copy() is None and result.comm


def test_what_a_callback_shows_stays(in_notebook):
    in_notebook.metadata = lambda cell: {}
    first, second = (in_notebook.run("click", partial(widgets.MaskExplorer, IMAGES), data={}) for _ in range(2))
    assert first.comm and second.comm


def test_outside_of_a_notebook_a_widget_is_a_picture_and_is_freed(model):
    explorer = widgets.ReconstructionExplorer(model, IMAGES)
    data, _ = explorer._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png"} and explorer.comm is None
    copy, explorer = weakref.ref(explorer.model), None
    assert copy() is None


def test_an_installed_package_holds_the_front_end(tmp_path):
    code = "import setuptools; setuptools.setup()"
    command = [sys.executable, "-c", code, "--quiet", "build_py", "--build-lib", tmp_path]
    subprocess.run(command, cwd=Path(__file__).parents[1], check=True)
    assert {path.name for path in tmp_path.glob("simmim_lab/widgets/static/*")} == {"widgets.css", "widgets.js"}


def test_a_film_sends_all_frames_at_once_and_says_what_is_hidden():
    player = film()
    shown = torch.frombuffer(bytearray(player.pixels), dtype=torch.uint8).view(3, 4, 32, 32, 3)
    assert torch.equal(shown[1, 0], (IMAGES[1] * 255).round().byte().permute(1, 2, 0))
    assert torch.equal(shown[:, 0], shown[:, 1]) and not torch.equal(shown[0, 2], shown[0, 3])
    hidden = torch.frombuffer(bytearray(player.hidden), dtype=torch.bool).view(3, 4, 32, 32)
    assert hidden.sum((2, 3)).tolist() == [[64] * 4, [256] * 4, [576] * 4]
    assert player.index == 0 and player.status == "frame 1 of 3, 6% of it hidden"
    pixels = player.pixels
    player.index = 2
    assert player.status == "frame 3 of 3, 56% of it hidden" and player.pixels == pixels
    player.clip_index = 1
    assert player.pixels != pixels and player.error == ""
    player.clip_index = 2
    assert "clip_index must be" in player.error


@pytest.mark.parametrize(
    ("clips", "hidden", "fill", "message"),
    [
        (IMAGES[None], torch.zeros(1, 3, 16, 16).bool(), IMAGES[None], "mask must have shape"),
        (IMAGES[None], torch.zeros(1, 3, 32, 32), IMAGES[None], "mask must be boolean"),
        (IMAGES[None], torch.zeros(1, 3, 32, 32).bool(), IMAGES[None, :2], "must all have one shape"),
        (IMAGES, torch.zeros(3, 32, 32).bool(), IMAGES, "must all have one shape"),
        (255 * IMAGES[None], torch.zeros(1, 3, 32, 32).bool(), IMAGES[None], "must lie in"),
    ],
)
def test_what_is_no_film_is_refused(clips, hidden, fill, message):
    with pytest.raises((TypeError, ValueError), match=message):
        widgets.FilmPlayer(clips, hidden, {"filled": fill})
