import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from simmim_lab import plots
from simmim_lab.loop import History


@pytest.fixture
def pictures():
    """Eight images, their hidden pixels and a prediction, all of 32 x 32 pixels."""
    generator = torch.Generator().manual_seed(0)
    images, prediction = torch.rand(2, 8, 3, 32, 32, generator=generator)
    hidden = torch.zeros(8, 32, 32, dtype=torch.bool)
    hidden[:, :16] = True
    return images, hidden, prediction


@pytest.fixture
def history():
    return History(loss=[1 / n for n in range(1, 101)], val_step=[50, 100], val_loss=[0.05, 0.02])


def panel(axes) -> torch.Tensor:
    """What a panel shows, one value per pixel of the image."""
    array = torch.tensor(np.asarray(axes.get_images()[0].get_array()))
    zoom = array.shape[1] // 32
    return array[::zoom, ::zoom].permute(2, 0, 1)


def test_panels_show_what_their_titles_say(pictures):
    images, hidden, prediction = (x[:1] for x in pictures)
    axes = plots.reconstructions(images, hidden, prediction).axes
    assert [a.get_title() for a in axes] == list(plots.PANELS)
    original, masked, drawn, completed = (panel(a) for a in axes)
    assert torch.equal(original, images[0])
    assert torch.equal(masked[:, 16:], images[0, :, 16:])
    assert masked[:, :16].std(dim=0).max() == 0 and masked[:, :16].min() >= 0.5  # grey
    assert torch.equal(drawn, prediction[0])
    assert torch.equal(completed, torch.where(hidden, prediction[0], images[0]))


def test_hidden_pixels_are_told_by_a_pattern_not_by_colour_alone(pictures):
    images, hidden, prediction = pictures
    grey = torch.full_like(images, 0.5)
    masked = plots.reconstructions(grey, hidden, prediction).axes[1].get_images()[0].get_array()
    half = masked.shape[0] // 2
    assert len(np.unique(masked[:half])) == 2 and len(np.unique(masked[half:])) == 1


@pytest.mark.parametrize("count", [1, 3, 4, 8, 9])
def test_every_image_has_a_row_and_no_panel_or_title_is_clipped(pictures, count):
    figure = plots.reconstructions(*(x.repeat(2, *[1] * (x.ndim - 1))[:count] for x in pictures))
    assert len(figure.axes) == 4 * count
    width, height = figure.canvas.get_width_height()
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 32), (96, 96), (192, 192)])
def test_thumbnails_are_large_with_square_pixels_of_one_size(tmp_path, height, width):
    images = torch.rand(1, 3, height, width)
    hidden = torch.zeros(1, height, width, dtype=torch.bool)
    figure = plots.reconstructions(images, hidden, images)
    shown = figure.axes[0].get_window_extent()
    assert shown.width * 100 / figure.dpi >= 110
    assert shown.width / width == pytest.approx(shown.height / height)
    assert shown.width / width == pytest.approx(round(shown.width / width))


def test_loss_curve_shows_raw_and_smooth_training_loss_and_validation(history):
    axes = plots.loss_curve(history).axes[0]
    raw, smooth, validation = axes.get_lines()
    assert raw.get_ydata().tolist() == history.loss
    assert smooth.get_ydata()[1] == pytest.approx((1 + 1 / 2) / 2)
    assert validation.get_ydata().tolist() == history.val_loss
    assert validation.get_marker() != "None" and validation.get_linestyle() != smooth.get_linestyle()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training, mean of 2 steps", "validation"]
    assert axes.get_xlabel() == "step" and "hidden pixels" in axes.get_ylabel()


def test_loss_curve_without_validation_names_none(history):
    history.val_step, history.val_loss = [], []
    axes = plots.loss_curve(history).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training, mean of 2 steps"]


def test_save_writes_a_png_that_carries_its_description(pictures, tmp_path):
    figure = plots.reconstructions(*pictures)
    plots.save(figure, tmp_path / "picture.png", "Eight pictures, ½ of each hidden → filled")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.text["Description"] == "Eight pictures, ½ of each hidden → filled"
        assert picture.size == figure.canvas.get_width_height()
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_a_failed_save_keeps_the_old_file(history, tmp_path, monkeypatch):
    (tmp_path / "loss.png").write_bytes(b"old")
    figure = plots.loss_curve(history)
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plots.save(figure, tmp_path / "loss.png", "alt")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_show_publishes_a_png_with_alt_text(history, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    plots.show(plots.loss_curve(history), "The loss falls.")
    data, metadata = shown[0]._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    assert metadata["image/png"]["alt"] == "The loss falls."
    assert metadata["image/png"]["width"] == 640  # drawn at twice the size: sharp on fine screens


def test_figures_need_neither_pyplot_nor_the_main_thread(pictures, history):
    before = "matplotlib.pyplot" in sys.modules
    with ThreadPoolExecutor(2) as pool:
        figures = [pool.submit(plots.reconstructions, *pictures), pool.submit(plots.loss_curve, history)]
        assert all(figure.result().axes for figure in figures)
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_panels_in_rows_keep_their_order_and_titles(pictures):
    images, _, prediction = pictures
    drawn = [images[0], prediction[0], images[1]]
    axes = plots.panels(drawn, ["one", "two", "three\nof three"], columns=2).axes
    assert [a.get_title() for a in axes] == ["one", "two", "three\nof three"]
    assert len({a.get_subplotspec().rowspan.start for a in axes}) == 2
    for a, picture in zip(axes, drawn, strict=True):
        assert torch.equal(panel(a), picture.clamp(0, 1))
