"""Augmentation: what each operation does to an image, and that every image of a batch draws for itself."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fake_gpu import on_gpu
from PIL import Image, ImageEnhance, ImageOps
from torch import Generator

from simmim_lab.augment import OPERATIONS, mixup_cutmix, rand_augment, shift
from simmim_lab.finetuning import FinetuneRecipe, augmented

FILL = (128, 128, 128)


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def noise(batch: int, height: int = 12, width: int = 20) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=seeded(7))


def every_function(images, generator):
    """The images that each public function makes, and the labels of `mixup_cutmix`."""
    labels = torch.eye(len(images), device=images.device)
    return rand_augment(images, generator), shift(images, generator), *mixup_cutmix(images, labels, generator)


# All functions


def test_results_depend_on_the_generator_alone():
    images, state = noise(16), torch.get_rng_state()
    first, again, other = (every_function(images, seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_images_keep_their_shape_and_range_and_the_input_is_not_touched():
    images = noise(64)
    images[:8], images[8:16] = 0, 1
    before = images.clone()
    for result in every_function(images, seeded(0))[:3]:
        assert result.shape == images.shape and result.dtype == torch.float32
        assert result.min() >= 0 and result.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("images", [noise(4).mul(255).byte(), noise(4).mul(255), noise(4)[0], noise(4)[:, :1]])
def test_images_of_a_wrong_kind_are_refused(images):
    for call in (rand_augment, shift, lambda images, generator: mixup_cutmix(images, torch.eye(4), generator)):
        with pytest.raises((TypeError, ValueError), match=r"^images must"):
            call(images, seeded(0))


def test_the_host_never_waits():
    with on_gpu() as generator:
        images, labels = torch.empty(8, 3, 12, 20, device="cuda"), torch.empty(8, dtype=torch.int64, device="cuda")
        assert all(made.is_cuda for made in every_function(images, generator))
        assert all(
            made.is_cuda for made in augmented(images, labels, FinetuneRecipe(steps=1), generator, classes=3)
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_host_never_waits_for_the_gpu():
    images, generator = noise(64).cuda(), Generator("cuda").manual_seed(0)
    every_function(images, generator)  # the first call may load kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        every_function(images, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# rand_augment


def smooth_picture() -> torch.Tensor:
    """One colourful image of 24 x 40 pixels with whole bytes, without very dark or bright pixels."""
    coarse = torch.rand(1, 3, 8, 13, generator=seeded(3))
    image = F.interpolate(coarse, size=(24, 40), mode="bicubic").clamp(0, 1)
    return (40 + 160 * image).round() / 255


def by_pillow(image: Image.Image) -> dict[str, Image.Image]:
    """What each operation makes of a picture at magnitude 10, with both signs."""
    (width, height), bilinear = image.size, Image.Resampling.BILINEAR

    def affine(*matrix: float) -> Image.Image:
        return image.transform(image.size, Image.Transform.AFFINE, matrix, bilinear, fillcolor=FILL)

    results = {"identity": image, "autocontrast": ImageOps.autocontrast(image), "solarize": ImageOps.invert(image)}
    for sign in (-1, 1):
        results |= {
            f"rotate {sign}": image.rotate(30 * sign, bilinear, fillcolor=FILL),
            f"shear_x {sign}": affine(1, 0.3 * sign, -0.3 * sign * height / 2, 0, 1, 0),
            f"shear_y {sign}": affine(1, 0, 0, 0.3 * sign, 1, -0.3 * sign * width / 2),
            f"translate_x {sign}": affine(1, 0, 0.45 * width * sign, 0, 1, 0),
            f"translate_y {sign}": affine(1, 0, 0, 0, 1, 0.45 * height * sign),
            f"brightness {sign}": ImageEnhance.Brightness(image).enhance(1 + 0.9 * sign),
            f"contrast {sign}": ImageEnhance.Contrast(image).enhance(1 + 0.9 * sign),
            f"saturation {sign}": ImageEnhance.Color(image).enhance(1 + 0.9 * sign),
            f"sharpness {sign}": ImageEnhance.Sharpness(image).enhance(1 + 0.9 * sign),
        }
    return results


def test_each_image_of_a_batch_gets_one_of_pillows_operations_and_all_occur():
    picture = smooth_picture()
    expected = by_pillow(Image.fromarray((picture[0] * 255).byte().permute(1, 2, 0).numpy()))
    assert {name.split()[0] for name in expected} == set(OPERATIONS)
    stacked = torch.from_numpy(np.stack([np.array(image) for image in expected.values()]))
    stacked = stacked.permute(0, 3, 1, 2).float() / 255

    batch = rand_augment(picture.repeat(600, 1, 1, 1), seeded(0), operations=1, magnitude=10)
    distance = torch.cdist(batch.flatten(1), stacked.flatten(1), p=1) / picture.numel()
    nearest = distance.min(1)
    apart = torch.cdist(stacked.flatten(1), stacked.flatten(1), p=1) / picture.numel()
    assert nearest.values.max() < 1.5 / 255  # the edges of a turned image differ a little
    assert (apart + torch.eye(len(stacked))).min() > 2 * nearest.values.max()  # so none is taken for another
    occurring = nearest.indices.bincount(minlength=len(stacked))
    missing = [name for name, n in zip(expected, occurring, strict=True) if n == 0]
    assert not missing
    assert 20 < occurring[0] < 80  # 600 / 12 are expected, as of each operation


def test_magnitude_0_changes_nothing():
    images = noise(200, 11, 23)
    images[:20], images[20:40] = 0, 1
    unchanged = rand_augment(images, seeded(0), operations=3, magnitude=0)
    torch.testing.assert_close(unchanged, images, atol=1e-5, rtol=0)


def grey_levels(magnitude: float, operations: int) -> set[float]:
    """What becomes of the middle of an evenly grey image with the value 0.4."""
    images = torch.full((2000, 3, 9, 9), 0.4)
    images = rand_augment(images, seeded(0), operations=operations, magnitude=magnitude)
    return {round(value, 3) for value in images[:, 0, 4, 4].tolist()}


def test_effects_grow_with_the_magnitude():
    assert grey_levels(0, 1) == {0.4}
    assert grey_levels(5, 1) == {0.4, 0.22, 0.58}  # brightness times 1 - 0.45 and 1 + 0.45
    assert grey_levels(8, 1) >= {0.4, 0.112, 0.688, 0.6}  # 0.6: solarize inverts what is above 0.2


def test_operations_follow_one_another():
    assert grey_levels(5, 0) == {0.4}
    assert grey_levels(5, 2) >= {0.121, 0.319, 0.841}  # 0.4 times 0.55 or 1.45, twice


@pytest.mark.parametrize("magnitude", [-1, 10.5, float("nan")])
def test_a_magnitude_outside_its_range_is_refused(magnitude):
    with pytest.raises(ValueError, match="between 0 and 10"):
        rand_augment(noise(2), seeded(0), magnitude=magnitude)


# shift


def test_shift_moves_and_mirrors_at_the_edge():
    row = torch.tensor([1, 2, 3, 4]) / 4
    images = shift(row.repeat(100, 3, 4, 1), seeded(0), pixels=1)
    assert (images == images[:, :1, :1]).all()  # all rows and channels alike
    rows = {tuple(image.mul(4).int().tolist()) for image in images[:, 0, 0]}
    assert rows == {(1, 2, 3, 4), (2, 1, 2, 3), (2, 3, 4, 3)}


@pytest.mark.parametrize("pixels", [0, 2, 4])
def test_shift_takes_every_offset_within_its_limit_and_no_other(pixels):
    image = noise(1, 6, 9)
    padded = F.pad(image, (pixels,) * 4, mode="reflect")
    steps = range(2 * pixels + 1)
    expected = {padded[0, :, y : y + 6, x : x + 9].numpy().tobytes() for y in steps for x in steps}
    assert len(expected) == len(steps) ** 2
    assert {moved.numpy().tobytes() for moved in shift(image.repeat(2000, 1, 1, 1), seeded(0), pixels)} == expected


@pytest.mark.parametrize("pixels", [-1, 12])
def test_shift_refuses_more_pixels_than_the_image_has(pixels):
    with pytest.raises(ValueError, match=f"cannot be shifted by up to {pixels}"):
        shift(noise(2), seeded(0), pixels)


# mixup and CutMix


@pytest.fixture(scope="module")
def mixed():
    """Images, each with a class of its own; their mixtures; the partner of each; and the proportions kept."""
    images, labels = noise(400), torch.eye(400)
    results, shares = mixup_cutmix(images, labels, seeded(0))
    torch.testing.assert_close(shares.sum(1), torch.ones(400))
    kept = shares.diagonal()
    partner = (shares - torch.diag(kept)).argmax(1)
    torch.testing.assert_close(shares, kept[:, None] * labels + (1 - kept)[:, None] * labels[partner])
    return images, results, images[partner], kept


def equal_pixels(images, results):
    return (images == results).all(1)


def test_an_image_is_mixed_as_its_label_says(mixed):
    images, results, partners, kept = mixed
    own, other = equal_pixels(images, results), equal_pixels(partners, results)
    cutmix = (own | other).all(2).all(1)
    assert 0.4 < cutmix.float().mean() < 0.6
    torch.testing.assert_close(own[cutmix].float().mean((1, 2)), kept[cutmix])

    mixup = ~cutmix
    blended = torch.lerp(partners, images, kept[:, None, None, None])
    torch.testing.assert_close(results[mixup], blended[mixup])
    assert len(kept[mixup].unique()) == mixup.sum()  # each draws its own proportion,
    quarters = torch.histc(kept[mixup], 4, 0, 1) / mixup.sum()
    assert quarters.min() > 0.15 and quarters.max() < 0.35  # evenly from 0 to 1


def test_cutmix_copies_a_box_with_the_aspect_ratio_of_the_image(mixed):
    images, results, partners, _ = mixed
    height, width = images.shape[-2:]
    other = equal_pixels(partners, results)
    other = other[(other | equal_pixels(images, results)).all(2).all(1)]
    rows, cols = other.any(2), other.any(1)
    assert torch.equal(other, rows[:, :, None] & cols[:, None, :])
    assert ((rows[:, 1:] != rows[:, :-1]).sum(1) <= 2).all() and ((cols[:, 1:] != cols[:, :-1]).sum(1) <= 2).all()

    inside = ~(other[:, 0].any(1) | other[:, -1].any(1) | other[:, :, 0].any(1) | other[:, :, -1].any(1))
    assert 0.1 < inside.float().mean() < 0.6  # the others are cut off at the border
    difference = rows[inside].sum(1) / height - cols[inside].sum(1) / width
    assert difference.abs().max() <= 1 / height + 1 / width
    assert len({box.numpy().tobytes() for box in other}) > 0.8 * len(other)  # each image has a box of its own


def test_labels_may_be_soft():
    labels = torch.softmax(torch.randn(50, 10, generator=seeded(1)), 1)
    _, results = mixup_cutmix(noise(50), labels, seeded(0))
    torch.testing.assert_close(results.sum(1), torch.ones(50))


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_only_a_share_of_the_images_is_mixed(share):
    images, labels = noise(1000, 6, 6), torch.eye(1000)
    results, shares = mixup_cutmix(images, labels, seeded(0), share=share)
    alone = shares.diagonal() == 1
    assert torch.equal(results[alone], images[alone]) and torch.equal(shares[alone], labels[alone])
    # CutMix keeps the whole image where the box holds no pixel, here in few cases
    assert alone.float().mean() == pytest.approx(1 - share, abs=0.04)
    assert share or alone.all()


@pytest.mark.parametrize("labels", [torch.arange(4), torch.eye(4).long(), torch.eye(5), torch.ones(4)])
def test_labels_of_a_wrong_kind_are_refused(labels):
    with pytest.raises(ValueError, match="one_hot"):
        mixup_cutmix(noise(4), labels, seeded(0))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        mixup_cutmix(noise(4), torch.eye(4), seeded(0), share=share)
