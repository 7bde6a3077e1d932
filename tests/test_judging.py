"""The judge of scenes, and the measures of pictures that have no right answer."""

import math

import pytest
import torch
from torch import Generator

from simmim_lab.data.scenes import draw_scenes
from simmim_lab.generation import WORDS
from simmim_lab.judging import (
    WEIGHTS,
    Judge,
    caption_match,
    diversity,
    effective_number,
    kid,
    kid_spread,
    nearest_training,
    precision_recall,
)


@pytest.fixture(scope="module")
def judge():
    return Judge.pretrained()


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def normal(count: int, seed: int, numbers: int = 8) -> torch.Tensor:
    return torch.randn(count, numbers, generator=seeded(seed))


@pytest.mark.parametrize("size", [16, 32])
def test_the_judge_reads_scenes_that_it_has_not_seen(judge, size):
    scenes = draw_scenes(200, size, generator=seeded(17))
    images = scenes.pixels / 255
    words = torch.tensor(
        [[names.index(said[kind]) for kind, names in WORDS.items()] for said in scenes.attributes]
    )
    for view in (images, images.flip(-1)):
        match = caption_match(judge.read(view), words)
        assert list(match) == [*WORDS, "all"] and min(match.values()) >= 0.99


def test_its_features_are_standardised_and_those_of_a_picture_do_not_depend_on_the_others(judge):
    images = draw_scenes(600, generator=seeded(18)).pixels / 255
    features = judge.features(images)
    assert features.shape == (600, 128)
    assert features.mean(0).abs().max() < 0.5 and 0.5 < features.std(0).mean() < 1.5
    torch.testing.assert_close(judge.features(images[7:8]), features[7:8], rtol=1e-4, atol=1e-4)


def test_a_small_picture_is_read_as_one_enlarged_to_twice_its_size(judge):
    small = draw_scenes(5, 16, generator=seeded(19)).pixels / 255
    large = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(judge.features(small), judge.features(large))


def test_a_judge_is_saved_and_loaded(judge, tmp_path):
    judge.save(tmp_path, header={"licence": "MIT"})
    images = draw_scenes(10, 16, generator=seeded(20)).pixels / 255
    assert torch.equal(Judge.load(tmp_path).features(images), judge.features(images))
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 0.5e6


@pytest.mark.parametrize("size", [8, 24, 64])
def test_a_judge_says_which_sizes_it_reads(judge, size):
    with pytest.raises(ValueError, match=rf"16 x 16 or 32 x 32 pixels, not of \({size}, {size}\)"):
        judge.read(torch.zeros(1, 3, size, size))
    with pytest.raises(TypeError, match="divide by 255"):
        judge.features(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_a_caption_is_matched_word_by_word_and_what_it_does_not_say_is_not_wrong():
    read = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 0], [5, 5, 0, 2]])
    words = torch.tensor([[0, 1, 2, 3], [0, 2, 2, 3], [5, 6, 0, 3]])  # no caption says a time, one no colour
    match = caption_match(read, words)
    assert match == {"subject": 1, "color": 0.5, "place": 1, "all": pytest.approx(2 / 3)}
    with pytest.raises(ValueError, match=r"\(pictures, 4\), but have \(3, 4\) and \(3, 3\)"):
        caption_match(read, words[:, :3])


def test_kid_is_unbiased():
    """Small sets of one distribution are 0 apart on the average; the biased estimate is well above."""
    found = torch.tensor([kid(normal(20, seed), normal(30, 1000 + seed)) for seed in range(400)])
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(len(found))
    assert (found < 0).any()


def test_kid_grows_with_the_distance_of_two_distributions():
    real = normal(300, 0)
    near, far = (kid(real, normal(300, 1) + shift) for shift in (0.2, 1))
    assert abs(kid(real, normal(300, 1))) < near < far


def test_kid_is_what_its_definition_says():
    real, fake = torch.tensor([[0.0, 1], [2, 0], [1, 1]]), torch.tensor([[1.0, 0], [0, 0]])

    def kernel(x, y):
        return (torch.dot(x, y).item() / 2 + 1) ** 3

    pairs = [(0, 1), (0, 2), (1, 2)]
    within = sum(kernel(real[i], real[j]) for i, j in pairs) / 3 + kernel(fake[0], fake[1])
    between = sum(kernel(x, y) for x in real for y in fake) / 6
    assert kid(real, fake) == pytest.approx(within - 2 * between)


def test_the_spread_of_kid_falls_with_the_number_of_pictures():
    few, many = (kid_spread(normal(count, 0), normal(count, 1) + 0.3) for count in (50, 2000))
    assert few > 2 * many > 0
    sets = [(normal(300, 2 * seed), normal(300, 2 * seed + 1) + 0.5) for seed in range(40)]
    estimates, spreads = (torch.tensor([measure(*pair) for pair in sets]) for measure in (kid, kid_spread))
    assert 0.5 < spreads.mean() / estimates.std() < 2


def test_features_that_cannot_be_compared_are_named():
    with pytest.raises(ValueError, match="at least 2 pictures in each set, but got 1 and 5"):
        kid(normal(1, 0), normal(5, 1))
    with pytest.raises(ValueError, match="at least 10 pictures in each set, but got 9 and 20"):
        kid_spread(normal(9, 0), normal(20, 1))
    with pytest.raises(ValueError, match="at least 2 parts, but parts is 1"):
        kid_spread(normal(9, 0), normal(20, 1), parts=1)
    with pytest.raises(ValueError, match="at least 4 pictures in each set, but got 20 and 3"):
        precision_recall(normal(20, 0), normal(3, 1))
    with pytest.raises(ValueError, match=r"equally many numbers, but have \(5, 8\) and \(5, 7\)"):
        kid(normal(5, 0), normal(5, 1, numbers=7))
    with pytest.raises(ValueError, match=r"have \(5, 3, 16, 16\).*take judge.features"):
        precision_recall(torch.zeros(5, 3, 16, 16), torch.zeros(5, 3, 16, 16))


def test_precision_and_recall():
    real = normal(200, 0)
    assert precision_recall(real, real) == (1, 1)  # copies
    assert precision_recall(real, real + 100) == (0, 0)
    one_kind = real[:1] + 1e-3 * normal(200, 1)
    precision, recall = precision_recall(real, one_kind)
    assert precision == 1 and recall < 0.05  # a mode that collapsed
    half_noise = torch.cat([normal(100, 2), normal(100, 3) + 100])
    precision, recall = precision_recall(real, half_noise)
    assert 0.3 < precision <= 0.5 and recall > 0.5
    assert precision_recall(half_noise, real) == (recall, precision)


def test_diversity_is_the_mean_distance_of_two_pictures():
    pictures = torch.rand(5, 3, 16, 16, generator=seeded())
    assert diversity(pictures[:1].expand(5, -1, -1, -1)) == 0
    assert diversity(torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.5)])) == pytest.approx(0.5)
    by_hand = [(pictures[i] - pictures[j]).square().mean().sqrt() for i in range(5) for j in range(i)]
    assert diversity(pictures) == pytest.approx(sum(by_hand).item() / 10)
    with pytest.raises(ValueError, match="two pictures or more, but got 1"):
        diversity(pictures[:1])


def test_the_nearest_training_picture_is_found_mirrored_or_not():
    training = torch.rand(30, 3, 16, 16, generator=seeded())
    pictures = torch.stack([training[3], training[8].flip(-1), (training[5] + 0.1)])
    distance, index = nearest_training(pictures, training)
    assert index.tolist() == [3, 8, 5] and distance[:2].tolist() == [0, 0]
    assert distance[2].item() == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"one size, but have shapes \(3, 3, 8, 8\) and \(30, 3, 16, 16\)"):
        nearest_training(pictures[..., :8, :8], training)


def test_the_effective_number_of_kinds():
    assert effective_number(torch.tensor([2, 2, 2])) == 1
    assert effective_number(torch.tensor([0, 1, 3, 4])) == pytest.approx(4)
    assert 1 < effective_number(torch.tensor([0] * 9 + [1])) < 1.5
