import pytest
import torch

from simmim_lab.data.scenes import COLORS, PLACES, SUBJECTS, TIMES, Scenes, draw_scenes


def draw(n: int, size: int = 32, seed: int = 0) -> Scenes:
    return draw_scenes(n, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw(600)


def brightness(scenes: Scenes) -> torch.Tensor:
    return scenes.pixels.float().mean((1, 2, 3)) / 255


def test_what_is_returned(scenes):
    assert scenes.pixels.shape == (600, 3, 32, 32) and scenes.pixels.dtype == torch.uint8
    assert scenes.labels.shape == (600,) and scenes.labels.dtype == torch.int64
    assert len(scenes.attributes) == len(scenes.captions) == 600


def test_the_seed_decides_the_scenes(scenes):
    again, other = draw(600), draw(600, seed=1)
    assert torch.equal(scenes.pixels, again.pixels) and scenes.captions == again.captions
    assert not torch.equal(scenes.pixels, other.pixels)


def test_drawing_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    draw(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_kind_of_scene_occurs(scenes):
    assert scenes.labels.bincount(minlength=len(scenes.classes)).min() > 50
    for key, names in (("subject", SUBJECTS), ("color", COLORS), ("place", PLACES), ("time", TIMES)):
        assert {words[key] for words in scenes.attributes} == set(names)


def test_labels_and_captions_say_what_the_attributes_say(scenes):
    for label, words, caption in zip(scenes.labels, scenes.attributes, scenes.captions, strict=True):
        assert scenes.classes[label] == words["subject"]
        assert caption.startswith(f"a {words['color']} {words['subject']} ")
        assert words["place"] in caption and words["time"] in caption


def test_captions_are_english(scenes):
    said = dict(zip((tuple(words.values()) for words in scenes.attributes), scenes.captions, strict=True))
    for words, caption in {
        ("house", "red", "lake", "dusk"): "a red house by a lake at dusk",
        ("boat", "blue", "lake", "night"): "a blue boat on a lake at night",
        ("balloon", "pink", "snow", "day"): "a pink balloon over the snow by day",
    }.items():
        assert said[words] == caption


def test_boats_are_on_a_lake(scenes):
    assert all(words["place"] == "lake" for words in scenes.attributes if words["subject"] == "boat")


def test_the_time_of_day_is_seen(scenes):
    means = {
        time: brightness(scenes)[[words["time"] == time for words in scenes.attributes]].mean() for time in TIMES
    }
    assert means["day"] > means["dusk"] + 0.1 > means["night"] + 0.2


def test_the_colour_is_seen():
    scenes = draw(2000, 16, seed=2)

    def mean_color(color: str) -> torch.Tensor:
        kind = {"subject": "house", "time": "day", "color": color}.items()
        return scenes.pixels[[kind <= words.items() for words in scenes.attributes]].float().mean((0, 2, 3))

    red, green, blue = (mean_color(color) for color in ("red", "green", "blue"))
    assert red[0] - red[2] > blue[0] - blue[2] + 5
    assert green[1] - green[0] > red[1] - red[0] + 5


def test_a_lake_mirrors_what_stands_above_it():
    """About its shore, each lake is like its mirror image along the rows; the other scenes have no such line."""
    scenes = draw(300, 64, seed=3)
    detail = scenes.pixels.float()
    detail = detail - detail.mean(3, keepdim=True)

    def likeness(shore: int) -> torch.Tensor:
        above, below = detail[:, :, shore - 14 : shore].flip(2), detail[:, :, shore : shore + 14]
        return torch.cosine_similarity(above.flatten(1), below.flatten(1))

    best = torch.stack([likeness(shore) for shore in range(38, 48)]).amax(0)
    lake = torch.tensor([words["place"] == "lake" for words in scenes.attributes])
    assert best[lake].quantile(0.1) > 0.8
    assert best[~lake].quantile(0.9) < 0.6


@pytest.mark.parametrize("size", [64, 96])
def test_a_larger_size_shows_the_same_scenes(size):
    small, large = draw(60), draw(60, size)
    assert small.captions == large.captions
    shrunk = torch.nn.functional.avg_pool2d(large.pixels.float(), size // 32)
    error = (shrunk - small.pixels.float()).abs()
    assert error.mean() < 2 and error.mean((1, 2, 3)).max() < 4  # of 255


def test_odd_sizes_and_single_scenes():
    assert draw(1, 45).pixels.shape == (1, 3, 45, 45)


def test_chunks_are_joined_in_order():
    many, few = draw(700, 8), draw(500, 8)
    assert torch.equal(many.pixels[:500], few.pixels) and many.captions[:500] == few.captions
    assert len(many.pixels) == len(many.captions) == 700


@pytest.mark.parametrize(("n", "size"), [(0, 32), (3, 0), (-1, 32), (2.0, 32), (3, 32.5), (True, 32), (3, None)])
def test_nothing_to_draw_is_an_error(n, size):
    with pytest.raises(ValueError, match="at least 1"):
        draw(n, size)
