"""Diagrams: readable in the notebook, and told in words to those who do not see them."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.transforms import Bbox

from simmim_lab import diagrams

LESSONS = sorted(path.stem[3:] for path in (Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
DIAGRAMS = {
    **{f"pipeline {here}": lambda here=here: diagrams.pipeline(here) for here in diagrams.PARTS},
    "pipeline, another patch": lambda: diagrams.pipeline("decoders", patch=8),
    **{
        function.__name__: function
        for function in (
            diagrams.vit_block,
            diagrams.swin_windows,
            diagrams.receptive_field,
            diagrams.linear_head,
            diagrams.timeline,
        )
    },
}


@pytest.fixture(scope="module", params=DIAGRAMS)
def drawn(request):
    """A diagram's alt text and, measured in its pixels, its page, texts, boxes and arrows."""
    figure, alt = DIAGRAMS[request.param]()
    figure.set_dpi(100)  # as shown
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    plot = figure.axes[0]
    texts = [text for text in plot.texts if text.get_text()]
    extents = [(text, text.get_window_extent(renderer)) for text in texts]
    boxes = [patch.get_window_extent(renderer) for patch in plot.patches if isinstance(patch, FancyBboxPatch)]
    arrows = [
        patch.get_transform().transform_path(patch.get_path()).interpolated(50).vertices
        for patch in plot.patches
        if isinstance(patch, FancyArrowPatch)
    ]
    return alt, figure.bbox, extents, boxes, arrows


def test_every_text_lies_on_the_page_and_is_large_enough(drawn):
    _, page, texts, _, _ = drawn
    for text, extent in texts:
        assert Bbox.intersection(page, extent).get_points() == pytest.approx(extent.get_points()), text
        assert text.get_fontsize() >= 9


def test_no_text_lies_on_another(drawn):
    _, _, texts, _, _ = drawn
    for (text, extent), (other, extent_of_other) in combinations(texts, 2):
        assert not extent.overlaps(extent_of_other), (text, other)


def test_no_text_crosses_the_edge_of_a_box(drawn):
    _, _, texts, boxes, _ = drawn
    for text, extent in texts:
        for box in boxes:
            inside = Bbox.intersection(box, extent)
            assert inside is None or inside.get_points() == pytest.approx(extent.get_points()), text


def test_no_arrow_runs_through_a_text(drawn):
    _, _, texts, _, arrows = drawn
    for text, extent in texts:
        for points in arrows:
            assert not any(extent.contains(*point) for point in points), text


def test_the_alt_text_names_every_box_and_shape(drawn):
    alt, _, texts, _, _ = drawn
    for text, _ in texts:
        words = " ".join(text.get_text().split())
        if text.get_weight() == "bold" or words.startswith("("):
            assert words.lower() in alt.lower()


def test_each_lesson_is_somewhere_in_the_pipeline():
    assert sorted(diagrams.PARTS) == sorted(LESSONS)


def test_the_pipeline_marks_only_the_part_of_the_lesson():
    for here, (_, marked) in diagrams.PARTS.items():
        plot = diagrams.pipeline(here)[0].axes[0]
        thick = [patch for patch in plot.patches if patch.get_linewidth() > 1]
        arrows = sum(isinstance(patch, FancyArrowPatch) for patch in thick)
        assert arrows == 2 * ("training" in marked)
        assert len(thick) - arrows == len(set(marked) & set(diagrams.BOXES))


def test_an_unknown_lesson_is_told_the_nearest_one():
    with pytest.raises(ValueError, match="decoders"):
        diagrams.pipeline("decoder")


def test_importing_draws_nothing():
    code = "import sys, simmim_lab.diagrams; assert not {'matplotlib', 'ipywidgets'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
