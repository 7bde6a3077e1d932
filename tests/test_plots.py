import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from simmim_lab import plots
from simmim_lab.recipe import History


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


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def difference(one: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int))


def test_a_drawing_has_256_colors_and_is_less_than_half_as_large(history):
    figure, drawn = plots.loss_curve(history), BytesIO()
    figure.savefig(drawn, format="png")
    small = plots.png(figure, "The loss → falls.")
    assert opened(small).mode == "P" and opened(small).text["Description"] == "The loss → falls."
    assert difference(opened(small), Image.open(drawn)).mean() < 0.1
    Image.open(drawn).convert("RGB").save(whole := BytesIO(), "PNG", optimize=True)
    assert len(small) < len(whole.getvalue()) / 2


def test_a_photograph_keeps_its_colors(pictures):
    images, _, _ = pictures
    smooth = torch.nn.functional.interpolate(images[..., :3, :3], 32, mode="bilinear")
    figure, drawn = plots.rows({"smooth": smooth}), BytesIO()
    figure.savefig(drawn, format="png")
    assert not difference(opened(plots.png(figure, "Gradients")), Image.open(drawn)).any()


def test_fewer_colors_when_asked_for_make_a_smaller_file_that_looks_the_same(pictures):
    images, _, _ = pictures
    figure = plots.rows({"drawn": images.round(decimals=1)})
    whole, small = (plots.png(figure, "Eight → pictures", colors) for colors in (None, 256))
    assert len(small) < len(whole)
    assert opened(small).text["Description"] == "Eight → pictures"
    assert difference(opened(whole), opened(small)).mean() < 12


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


def drawn(plot) -> Figure:
    """The figure of a plot, laid out for the screen."""
    FigureCanvasAgg(plot.figure).draw()
    return plot.figure


def clipped(figure: Figure) -> bool:
    """Whether anything that is drawn reaches over the edge of the figure."""
    box, (width, height) = figure.get_tightbbox(figure.canvas.get_renderer()), figure.get_size_inches()
    return min(box.x0, box.y0, width - box.x1, height - box.y1) < -0.01


def test_lines_differ_in_more_than_colour_and_are_named():
    curves = {f"curve {n}": (range(100), [n * x for x in range(100)]) for n in range(9)}
    axes = plots.lines(curves, xlabel="step", ylabel="loss")
    styles = {(line.get_linestyle(), line.get_color()) for line in axes.get_lines()}
    assert len(styles) == 9 and len({style for style, _ in styles}) > 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(curves)
    assert [line.get_ydata()[-1] for line in axes.get_lines()] == [99 * n for n in range(9)]


def test_a_short_line_has_markers_a_long_one_has_none_and_one_line_no_legend():
    for count, marked in (3, True), (100, False):
        axes = plots.lines({"loss": (range(count), range(count))})
        assert (axes.get_lines()[0].get_marker() not in ("None", None)) is marked
        assert axes.get_legend() is None


def test_several_runs_of_one_kind_look_alike_and_are_named_once():
    axes = plots.lines({"linear": ([1, 2], [[1, 3], [2, 4]]), "other": ([1, 2], [5, 6])})
    one, two, other = axes.get_lines()
    assert one.get_color() == two.get_color() != other.get_color()
    assert [line.get_ydata().tolist() for line in (one, two)] == [[1, 2], [3, 4]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["linear", "other"]


def test_a_limit_that_is_open_above_follows_the_data():
    axes = plots.lines({"loss": (range(100), [0.01] * 100)}, ylim=(0, None))
    low, high = axes.get_ylim()
    assert low == 0 and 0.01 < high < 0.1


def test_points_differ_in_marker_and_take_names_as_places():
    axes = plots.points({"trained": ([1, 2], ["linear", "Transformer"]), "frozen": ([3], ["linear"])})
    assert len({line.get_marker() for line in axes.get_lines()}) == 2
    drawn(axes)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["linear", "Transformer"]


def test_bars_stand_in_order_with_their_values_and_highlights_are_striped():
    axes = plots.bars({"nearest": 16.04, "ours": 15.6}, highlight=["ours"], xlabel="PSNR (dB)", title="all")
    first, second = axes.patches
    assert first.get_y() < second.get_y() and axes.yaxis_inverted()
    assert (first.get_hatch(), second.get_hatch()) == (None, "//")
    assert [text.get_text() for text in axes.texts] == ["16.0", "15.6"]
    assert [text.get_text() for text in plots.bars({"a": 0.25}, "{:.0%}").texts] == ["25%"]


def test_maps_share_one_scale():
    low, high = torch.zeros(4, 4), torch.full((4, 6), 3.0)
    figure = plots.maps({"low": low, "high": high}, "weight")
    *panels, bar = figure.axes
    assert [panel.get_images()[0].get_clim() for panel in panels] == [(0, 3), (0, 3)]
    assert [panel.get_title() for panel in panels] == ["low", "high"] and bar.get_ylabel() == "weight"
    assert plots.maps({"low": low}, "", vmin=-1, vmax=1).axes[0].get_images()[0].get_clim() == (-1, 1)


def test_the_ticks_of_maps_are_numbers_or_words():
    for ticks in ([1, 10], {1: "near", 10: "far"}):
        figure = drawn(plots.maps({"a": torch.ones(4, 4)}, "pixels", ticks, norm="log", vmin=1, vmax=48))
        labels = [label.get_text() for label in figure.axes[-1].get_yticklabels()]
        assert labels == [str(tick) for tick in (ticks.values() if isinstance(ticks, dict) else ticks)]


def test_rows_name_their_pictures(pictures):
    images, _, prediction = pictures
    figure = plots.rows({"original": images[:3], "reconstruction": prediction[:3]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["original", "reconstruction"]
    shown = torch.tensor(np.asarray(figure.axes[1].get_images()[0].get_array()))
    for index in range(3):  # 32 pixels and a white line on either side of each
        inside = shown[1:33, 34 * index + 1 : 34 * index + 33]
        assert torch.equal(inside.permute(2, 0, 1), prediction[index])


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (6, 3, 32, 32), (12, 3, 20, 48)])
def test_nothing_is_clipped(shape):
    long = "a name of thirty-one characters"
    batch, array = torch.rand(shape), torch.rand(8, 8)
    figures = [
        plots.rows({"a": batch, long: batch, "b": batch}),
        plots.bars({long: 1234.5, "b": 1.0}, xlabel=long, title=long),
        plots.lines({long: (range(5), range(5)), "b": ([0], [0])}, xlabel=long, ylabel=long, title=long),
        plots.points({long: ([1, 2], [long, "b"])}, xlabel=long),
        plots.maps({f"a\n{long}": array, "b": array, "c": array}, long),
    ]
    assert [clipped(drawn(figure)) for figure in figures] == [False] * len(figures)


def test_axes_and_figures_can_be_shown_and_saved(tmp_path):
    axes = plots.axes((3, 2), xlabel="step")
    plots.save(axes, tmp_path / "axes.png", "An empty plot")
    with Image.open(tmp_path / "axes.png") as picture:
        assert picture.size == (600, 400) and picture.text["Description"] == "An empty plot"


def test_panels_in_rows_keep_their_order_and_titles(pictures):
    images, _, prediction = pictures
    shown = [images[0], prediction[0], images[1]]
    axes = plots.panels(shown, ["one", "two", "three\nof three"], columns=2).axes
    assert [a.get_title() for a in axes] == ["one", "two", "three\nof three"]
    assert len({a.get_subplotspec().rowspan.start for a in axes}) == 2
    for a, picture in zip(axes, shown, strict=True):
        assert torch.equal(panel(a), picture.clamp(0, 1))


def test_a_film_has_a_row_for_the_clip_for_what_is_seen_and_for_each_fill():
    clip, hidden = torch.rand(3, 3, 4, 8), torch.ones(3, 4, 8, dtype=torch.bool)
    drawn = plots.film(clip, hidden, {"filled": clip, "copied": 1 - clip})
    assert [axes.get_ylabel() for axes in drawn.axes] == ["the clip", "seen", "filled", "copied"]
    shown = {axes.get_ylabel(): axes.images[0].get_array() for axes in drawn.axes}
    assert shown["seen"].std() < shown["the clip"].std()
