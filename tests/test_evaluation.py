import math

import pytest
import torch

from simmim_lab import evaluation
from simmim_lab.evaluation import (
    BASELINES,
    LMMSE,
    OPENCV,
    biharmonic,
    feature_distance,
    has_opencv,
    nearest,
    patches,
    psnr,
    ssim,
    visible_mean,
)
from simmim_lab.masking import half_mask, random_mask, to_pixels, uniform_mask
from simmim_lab.simmim import SimMIM

ALL = [*BASELINES, *(OPENCV if has_opencv() else []), "patches"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hide(rows: slice, cols: slice, height: int, width: int, batch: int = 1) -> torch.Tensor:
    hidden = torch.zeros(batch, height, width, dtype=torch.bool)
    hidden[:, rows, cols] = True
    return hidden


@pytest.fixture(scope="module")
def smooth():
    """Non-square images whose pixels are correlated as those of photographs: 5,000 to fit, 20 to score."""
    noise = torch.randn(5020, 3, 16, 20, generator=generator())
    row, col = torch.arange(16.0), torch.arange(20.0)
    blur_rows, blur_cols = (torch.exp(-((x[:, None] - x).abs()) / 5) for x in (row, col))
    mix = torch.tensor([[1.0, 0.6, 0.3], [0, 1.0, 0.6], [0, 0, 1.0]])
    images = torch.einsum("nchw,cd,hv,wu->ndvu", noise, mix, blur_rows, blur_cols)
    images = 0.5 + 0.12 * images / images.std()
    return images[:5000].clamp(0, 1), images[5000:].clamp(0, 1)


@pytest.fixture(scope="module")
def filler(smooth):
    return {**BASELINES, **OPENCV, "patches": patches, "lmmse": LMMSE.fit(smooth[0])}


def masks(batch: int) -> dict[str, torch.Tensor]:
    return {
        "cells": to_pixels(random_mask(batch, (4, 5), 0.6, generator=generator()), 4),
        "half": to_pixels(half_mask(batch, (4, 5)), 4),
        "values": uniform_mask(batch, (16, 20), generator=generator()),
    }


def test_psnr_of_known_errors():
    images = torch.zeros(1, 3, 4, 4)
    hidden = hide(slice(0, 2), slice(0, 2), 4, 4)
    filled = torch.where(hidden[:, None], 0.1, images)
    assert psnr(images, filled, hidden) == pytest.approx(20, abs=1e-4)
    assert psnr(images, images, hidden) == math.inf
    assert math.isnan(psnr(images, images.masked_fill(hidden[:, None], math.nan), hidden))
    with pytest.raises(TypeError, match="divide by 255"):
        psnr(images, images.byte(), hidden)


def test_psnr_does_not_see_visible_pixels():
    images = torch.zeros(1, 3, 4, 4)
    hidden = hide(slice(0, 2), slice(0, 2), 4, 4)
    filled = torch.where(hidden[:, None], 0.1, images + 0.9)
    assert psnr(images, filled, hidden) == pytest.approx(20, abs=1e-4)


def test_psnr_pools_the_batch_before_the_logarithm():
    images = torch.zeros(2, 3, 4, 4)
    filled = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])  # 20 dB and 40 dB
    hidden = torch.ones(2, 4, 4, dtype=torch.bool)
    assert psnr(images, filled, hidden) == pytest.approx(-10 * math.log10((0.01 + 0.0001) / 2), abs=1e-4)


def test_psnr_counts_single_values():
    images = torch.zeros(1, 3, 4, 4)
    hidden = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    hidden[0, 0] = True
    filled = torch.tensor([0.1, 0.9, 0.9]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert psnr(images, filled, hidden) == pytest.approx(20, abs=1e-4)


def test_ssim_is_one_for_a_perfect_fill_only(smooth):
    images = smooth[1]
    hidden = masks(len(images))["cells"]
    assert ssim(images, images, hidden) == pytest.approx(1)
    assert ssim(images, visible_mean(images, hidden), hidden) < 0.7


def test_ssim_averages_hidden_centres_only():
    images = torch.rand(1, 3, 24, 40, generator=generator())
    left, right = hide(slice(0, 24), slice(0, 20), 24, 40), hide(slice(0, 24), slice(30, 40), 24, 40)
    filled = images.clone()
    filled[..., :20] = 0.5
    assert ssim(images, filled, right) == pytest.approx(1)
    assert ssim(images, filled, left) < 0.2


def test_ssim_of_flat_images_follows_the_formula():
    images, filled = torch.full((1, 3, 16, 16), 0.4), torch.full((1, 3, 16, 16), 0.6)
    hidden = hide(slice(4, 12), slice(4, 12), 16, 16)
    expected = (2 * 0.4 * 0.6 + 0.01**2) / (0.4**2 + 0.6**2 + 0.01**2)
    assert ssim(images, filled, hidden) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("score", [psnr, ssim])
def test_nothing_hidden_is_an_error(score):
    images = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="nothing is hidden"):
        score(images, images, torch.zeros(1, 16, 16, dtype=torch.bool))


@pytest.mark.parametrize("name", [*ALL, "lmmse"])
@pytest.mark.parametrize("kind", ["cells", "half", "values"])
def test_baselines_keep_the_visible_and_never_read_the_hidden(filler, smooth, name, kind):
    images = smooth[1]
    hidden = masks(len(images))[kind]
    values = hidden if hidden.ndim == 4 else hidden[:, None].expand_as(images)
    filled = filler[name](images, hidden)
    assert torch.equal(filled[~values], images[~values])
    assert torch.isfinite(filled).all() and filled.min() >= 0 and filled.max() <= 1
    for other in (0.7, torch.nan):
        assert torch.equal(filler[name](images.masked_fill(values, other), hidden), filled)


@pytest.mark.parametrize("name", [*ALL, "lmmse"])
def test_each_image_is_filled_by_its_own_mask(filler, smooth, name):
    images = smooth[1][:3]
    hidden = masks(3)["cells"]
    alone = torch.cat([filler[name](images[i : i + 1], hidden[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(filler[name](images, hidden), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("baseline", BASELINES.values())
def test_constant_images_are_restored(baseline):
    images = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(2, 3, 16, 20)
    torch.testing.assert_close(baseline(images, masks(2)["cells"]), images)


@pytest.mark.parametrize("baseline", BASELINES.values())
def test_nothing_visible_gives_grey_and_nothing_hidden_gives_the_image(baseline):
    images = torch.rand(2, 3, 8, 12, generator=generator())
    hidden = torch.ones(2, 8, 12, dtype=torch.bool)
    hidden[1] = False
    filled = baseline(images, hidden)
    assert (filled[0] == 0.5).all()
    assert torch.equal(filled[1], images[1])


def test_visible_mean_is_the_mean_of_each_channel():
    images = torch.zeros(1, 3, 2, 4)
    images[0, 0, 0] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    filled = visible_mean(images, hide(slice(1, 2), slice(0, 4), 2, 4))
    torch.testing.assert_close(filled[0, :, 1, 0], torch.tensor([0.25, 0, 0]))


def test_nearest_copies_the_nearest_pixel():
    images = torch.linspace(0, 1, 10).expand(1, 3, 4, 10)
    filled = nearest(images, hide(slice(0, 4), slice(2, 8), 4, 10))
    expected = images[0, 0, 0, [0, 1, 1, 1, 1, 8, 8, 8, 8, 9]]
    assert torch.equal(filled, expected.expand_as(filled))


def test_biharmonic_continues_a_ramp():
    row, col = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 32), indexing="ij")
    images = (0.2 + 0.3 * row + 0.4 * col).expand(1, 3, 24, 32)
    hidden = hide(slice(8, 16), slice(10, 20), 24, 32)
    torch.testing.assert_close(biharmonic(images, hidden), images, atol=1e-5, rtol=0)


def test_lmmse_reaches_the_conditional_mean_of_a_gaussian():
    # Two values per channel with correlation 0.8: the conditional mean is 0.5 + 0.8 * (visible - 0.5), and its
    # mean squared error (1 - 0.8²) of the variance.
    first, noise = 0.1 * torch.randn(2, 20_000, 3, 1, 1, generator=generator())
    images = 0.5 + torch.cat([first, 0.8 * first + 0.6 * noise], dim=3)
    hidden = hide(slice(0, 1), slice(1, 2), 1, 2, batch=len(images))
    filled = LMMSE.fit(images)(images, hidden)
    torch.testing.assert_close(filled[..., 1], 0.5 + 0.8 * (images[..., 0] - 0.5), atol=0.01, rtol=0)
    assert psnr(images, filled, hidden) == pytest.approx(-10 * math.log10(0.36 * 0.01), abs=0.1)


def test_lmmse_equals_the_textbook_formula_on_mixed_masks(smooth):
    train, images = smooth
    images = images[:6]
    lmmse = LMMSE.fit(train)
    hidden = uniform_mask(6, (16, 20), generator=generator())
    hidden[3:] = hidden[2]  # some images share a mask
    filled = lmmse(images, hidden)
    mean, covariance = lmmse.mean.flatten().double(), lmmse.covariance.double()
    for image, h, got in zip(images.flatten(1).double(), hidden.flatten(1), filled.flatten(1), strict=True):
        gain = torch.linalg.solve(covariance[~h][:, ~h], covariance[~h][:, h]).T
        expected = mean[h] + gain @ (image - mean)[~h]
        torch.testing.assert_close(got[h].double(), expected.clamp(0, 1), atol=1e-4, rtol=0)


def test_lmmse_without_visible_pixels_is_the_mean_image(smooth):
    lmmse = LMMSE.fit(smooth[0])
    filled = lmmse(smooth[1][:2], torch.ones(2, 16, 20, dtype=torch.bool))
    torch.testing.assert_close(filled, lmmse.mean.expand(2, 3, 16, 20))


def test_lmmse_survives_fewer_images_than_values(smooth):
    train, images = smooth
    hidden = masks(len(images))["cells"]
    assert psnr(images, LMMSE.fit(train[:100])(images, hidden), hidden) > 12


def test_lmmse_fitted_to_equal_images_predicts_that_image():
    image = torch.rand(1, 3, 8, 12, generator=generator())
    lmmse = LMMSE.fit(image.expand(5, 3, 8, 12))
    torch.testing.assert_close(lmmse(image, torch.ones(1, 8, 12, dtype=torch.bool)), image)
    torch.testing.assert_close(lmmse(image, hide(slice(0, 4), slice(0, 5), 8, 12)), image)


@pytest.mark.parametrize("kind", ["cells", "half", "values"])
def test_lmmse_beats_the_other_baselines(filler, smooth, kind):
    images = smooth[1]
    hidden = masks(len(images))[kind]
    scores = {name: psnr(images, fill(images, hidden), hidden) for name, fill in filler.items()}
    best = scores.pop("lmmse")
    assert best > max(scores.values()) + 0.5, scores


@pytest.mark.parametrize("shape", [(4, 3, 64, 64), (4, 3, 16, 49), (1, 3, 16, 16)])
def test_lmmse_refuses_large_images_and_single_ones(shape):
    with pytest.raises(ValueError, match=r"resize or crop|at least 2"):
        LMMSE.fit(torch.rand(shape))


def test_lmmse_refuses_images_of_another_size(filler):
    with pytest.raises(ValueError, match="fit it to images of this size"):
        filler["lmmse"](torch.rand(1, 3, 20, 16), torch.ones(1, 20, 16, dtype=torch.bool))


@pytest.mark.parametrize(
    ("images", "hidden", "error", "says"),
    [
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.ones(1, 8, 8).bool(), TypeError, "divide by 255"),
        (torch.zeros(1, 1, 8, 8), torch.ones(1, 8, 8).bool(), ValueError, "batch, 3, height, width"),
        (torch.zeros(1, 3, 8, 8), torch.ones(1, 8, 8), TypeError, "boolean"),
        (torch.zeros(1, 3, 8, 8), torch.ones(1, 2, 2).bool(), ValueError, "to_pixels"),
        (torch.zeros(2, 3, 8, 8), torch.ones(1, 8, 8).bool(), ValueError, r"\(2, 8, 8\)"),
    ],
)
def test_wrong_arguments_say_what_to_do(images, hidden, error, says):
    for call in (*BASELINES.values(), lambda x, h: psnr(x, x, h), lambda x, h: ssim(x, x, h)):
        with pytest.raises(error, match=says):
            call(images, hidden)


def test_filled_must_have_the_shape_of_the_images():
    hidden = torch.ones(2, 16, 16, dtype=torch.bool)
    with pytest.raises(ValueError, match="filled"):
        psnr(torch.zeros(2, 3, 16, 16), torch.zeros(1, 3, 16, 16), hidden)


def test_patches_copy_what_fits():
    """Stripes with a hole are whole again: the same stripes are elsewhere."""
    row, col = torch.meshgrid(torch.arange(40), torch.arange(52), indexing="ij")
    images = (((row + col) % 8 < 4) * 1.0).expand(1, 3, -1, -1)
    hidden = hide(slice(13, 27), slice(20, 37), 40, 52)
    assert torch.equal(patches(images, hidden), images)
    assert not torch.equal(nearest(images, hidden), images)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (9, 30)])
def test_patches_take_pictures_of_any_size(size):
    images = torch.rand(2, 3, *size, generator=generator())
    hidden = torch.rand(2, *size, generator=generator()) < 0.3
    filled = patches(images, hidden)
    assert filled.shape == images.shape and filled.isfinite().all()


def test_opencv_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(evaluation, "has_opencv", lambda: False)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        evaluation.telea(torch.rand(1, 3, 8, 8), hide(slice(2), slice(2), 8, 8))


def test_the_distance_of_features_grows_with_the_error_and_sees_hidden_parts_only(smooth):
    model = SimMIM.pretrained("cifar10").eval()
    images = torch.rand(1, 3, 70, 45, generator=generator())
    hidden = hide(slice(10, 30), slice(12, 31), 70, 45)
    fills = [
        torch.where(hidden[:, None], torch.lerp(images, 0.5 * torch.ones(()), share), images)
        for share in (0, 0.3, 1)
    ]
    distances = [feature_distance(model, images, fill, hidden) for fill in fills]
    assert distances[0] == pytest.approx(0, abs=1e-5) and distances[0] < distances[1] < distances[2]
    with pytest.raises(ValueError, match="nothing is hidden"):
        feature_distance(model, images, images, torch.zeros_like(hidden))
