"""The widgets without a browser: their state, their pictures, their posters and their errors."""

import io

import pytest
import torch
from PIL import Image

from simmim_lab import widgets
from simmim_lab.masking import half_mask, random_mask, to_pixels
from simmim_lab.simmim import SimMIM
from simmim_lab.training import History

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> SimMIM:
    torch.manual_seed(0)
    return SimMIM.preset("vit_nano")


def everything(model) -> list[widgets.Panels]:
    frames = (IMAGES * 255).byte().permute(0, 2, 3, 1).numpy()
    live = widgets.LiveTraining(10, images=IMAGES, mask=half_mask(3, (8, 8)))
    live(5, model, History(loss=[1.0] * 5, val_step=[5], val_loss=[0.9]))
    return [
        widgets.MaskExplorer(IMAGES),
        widgets.ReconstructionExplorer(model, IMAGES),
        widgets.MaskBrush(model, IMAGES[0]),
        widgets.ReceptiveFieldExplorer(SimMIM.preset("article_cnn").encoder, 32),
        widgets.LossPlayground(),
        widgets.Scrubber(frames, ["a", "b", "c"]),
        live,
    ]


def test_every_widget_has_a_poster_with_alt_text(model):
    for widget in everything(model):
        data, metadata = widget._repr_mimebundle_()
        assert data["text/plain"] == type(widget).__name__
        assert metadata["image/png"]["alt"] == widget.alt and len(widget.alt) > 20
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

    explorer = widgets.MaskExplorer(IMAGES, strategies={"mine": everything_but_the_corner}, strategy="mine")
    assert explorer.mask.sum() == 63 and explorer.status.startswith("98% hidden")


@pytest.mark.parametrize(
    ("result", "message"),
    [(torch.ones(1, 8, 8), "must be boolean"), (torch.ones(1, 4, 4).bool(), r"must have shape \(1, 8, 8\)")],
)
def test_a_strategy_that_returns_nonsense_is_reported_in_place(result, message):
    explorer = widgets.MaskExplorer(IMAGES, strategies={"mine": lambda *a, **k: result}, strategy="mine")
    with pytest.raises((TypeError, ValueError), match=message):
        _ = explorer.mask
    assert "mask must" in explorer.error
    explorer.strategies["mine"] = random_mask
    explorer.seed = 1
    assert explorer.error == ""


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (IMAGES[0, 0], "must have shape"),
        ((IMAGES * 255).byte(), "float tensor"),
        (IMAGES * 255, "between 0 and 1"),
        (IMAGES * float("nan"), "between 0 and 1"),
        ("cat.png", "float tensor"),
    ],
)
def test_wrong_images_are_refused(images, error):
    with pytest.raises((TypeError, ValueError), match=error):
        widgets.MaskExplorer(images)


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


def test_the_receptive_field_of_the_articles_cnn():
    encoder = SimMIM.preset("article_cnn").encoder
    explorer = widgets.ReceptiveFieldExplorer(
        encoder, 32, hidden=to_pixels(half_mask(1, (8, 8)), 4)[0], place=(4, 4)
    )
    assert explorer.field.any(0).sum() == explorer.field.any(1).sum() == 10
    explorer.place = [0, 0]
    assert "blind" in explorer.status


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


def test_widgets_leave_the_learners_model_and_random_numbers_alone(model):
    model.train()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    explorer = widgets.ReconstructionExplorer(model, IMAGES)
    explorer.ratio = 0.3
    assert model.training and torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads
    assert explorer.model is not model


def test_a_live_training_thins_long_histories():
    live = widgets.LiveTraining(5000, every=0)
    live(5000, None, History(loss=[1.0] * 5000))
    [training] = live.chart["series"]
    assert len(training["x"]) <= widgets.POINTS and training["x"][-1] == 5000
