"""Holes in pictures that are larger than those a model was trained on."""

import pytest
import torch
from torch import Generator

from simmim_lab import evaluation, masking
from simmim_lab.data.photographs import photograph
from simmim_lab.inpainting import inpaint
from simmim_lab.simmim import SimMIM


@pytest.fixture(scope="module")
def model():
    return SimMIM.pretrained("cifar10").eval()


def holes(images: torch.Tensor, ratio: float = 0.6) -> torch.Tensor:
    grid = images.shape[-2] // 4, images.shape[-1] // 4
    return masking.random_mask(len(images), grid, ratio, 2, generator=Generator().manual_seed(0))


def test_a_whole_photograph_is_filled_better_than_without_learning(model):
    photo = photograph("chelsea", (48, 72))[None]
    mask = holes(photo)
    hidden = masking.to_pixels(mask, 4)
    filled = inpaint(model, photo, mask)
    assert filled[~hidden[:, None].expand_as(filled)].equal(photo[~hidden[:, None].expand_as(photo)])
    ours, smooth = (
        evaluation.psnr(photo, fill, hidden) for fill in (filled, evaluation.biharmonic(photo, hidden))
    )
    assert ours > smooth + 0.5


def test_a_picture_of_one_window_is_filled_as_ever(model):
    photo = photograph("coffee", (32, 32))[None]
    mask = holes(photo)
    torch.testing.assert_close(inpaint(model, photo, mask), model.reconstruct(photo, mask))


def test_what_the_holes_held_is_not_looked_at(model):
    photo = photograph("coffee", (40, 48))[None]
    mask = holes(photo)
    hidden = masking.to_pixels(mask, 4)[:, None]
    torch.testing.assert_close(
        inpaint(model, photo, mask)[hidden.expand_as(photo)],
        inpaint(model, photo.masked_fill(hidden, 0.0), mask)[hidden.expand_as(photo)],
    )


def test_images_of_a_batch_are_filled_each_on_its_own(model):
    photos = torch.stack([photograph(name, (32, 40)) for name in ("chelsea", "coffee")])
    mask = holes(photos)
    both = inpaint(model, photos, mask)
    torch.testing.assert_close(both[1:], inpaint(model, photos[1:], mask[1:]))


@pytest.mark.parametrize(("size", "stride"), [((24, 32), 8), ((32, 36), 8), ((36, 36), 2)])
def test_windows_must_tile_the_image(model, size, stride):
    photo = photograph("coffee", size)[None]
    with pytest.raises(
        ValueError, match=rf"start every {stride} do not tile images of {size[0]} x {size[1]} pixels"
    ):
        inpaint(model, photo, torch.zeros(1, size[0] // 4, size[1] // 4).bool(), stride=stride)


def test_a_photograph_is_known_by_its_name():
    assert photograph("flower", (30, 40)).shape == (3, 30, 40)
    with pytest.raises(ValueError, match="unknown photograph 'dog'"):
        photograph("dog", (30, 40))
