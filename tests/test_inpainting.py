"""Holes of any shape in pictures of any size."""

import pytest
import torch
from torch import Generator, nn

from simmim_lab import evaluation, inpainting, masking
from simmim_lab.data.photographs import photograph
from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.inpainting import inpaint
from simmim_lab.simmim import SimMIM


@pytest.fixture(scope="module")
def model():
    return SimMIM.pretrained("cifar10").eval()


def cells(images: torch.Tensor, ratio: float = 0.6) -> torch.Tensor:
    grid = images.shape[-2] // 4, images.shape[-1] // 4
    mask = masking.random_mask(len(images), grid, ratio, 2, generator=Generator().manual_seed(0))
    return masking.to_pixels(mask, 4)


def dots(*shape: int, ratio: float = 0.1) -> torch.Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(0)) < ratio


@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 3)])
def test_a_photograph_is_filled_better_than_without_learning(model, top, left):
    photo = photograph("chelsea", (56, 80))[None]
    hidden = cells(photo)[:, top : top + 48, left : left + 72]  # patches of the windows have to be found
    photo = photo[..., top : top + 48, left : left + 72]
    filled = inpaint(model, photo, hidden)
    ours, smooth = (
        evaluation.psnr(photo, fill, hidden) for fill in (filled, evaluation.biharmonic(photo, hidden))
    )
    assert ours > smooth + 0.3


@pytest.mark.parametrize("size", [(32, 32), (33, 95), (40, 7), (5, 3), (1, 40)])
def test_visible_pixels_stay_to_the_bit_and_hidden_ones_are_not_looked_at(model, size):
    images, hidden = torch.rand(2, 3, *size), dots(2, *size)
    hidden[:, 0, 0] = False
    filled = inpaint(model, images, hidden)
    visible = ~hidden[:, None].expand_as(images)
    assert torch.equal(filled[visible], images[visible])
    assert filled.isfinite().all() and filled.min() >= 0 and filled.max() <= 1
    other = inpaint(model, images.masked_fill(~visible, torch.nan), hidden)
    torch.testing.assert_close(other, filled)


def test_where_nothing_is_hidden_nothing_is_done(model):
    for images in (torch.rand(2, 3, 9, 40), torch.rand(0, 3, 9, 40)):
        assert inpaint(model, images, torch.zeros(len(images), 9, 40, dtype=torch.bool)).equal(images)


def test_images_of_a_batch_are_filled_each_on_its_own(model):
    photos = torch.stack([photograph(name, (32, 40)) for name in ("chelsea", "coffee")])
    hidden = cells(photos)
    torch.testing.assert_close(inpaint(model, photos, hidden)[1:], inpaint(model, photos[1:], hidden[1:]))


def test_only_windows_that_touch_a_hole_are_computed(model, monkeypatch):
    seen = []
    monkeypatch.setattr(inpainting, "_predict", lambda model, windows, holes: seen.append(holes) or windows)
    photo = photograph("coffee", (96, 96))[None]
    hidden = torch.zeros(1, 96, 96, dtype=torch.bool)
    assert inpaint(model, photo, hidden).equal(photo) and not seen
    hidden[:, 50:53, 20:23] = True
    inpaint(model, photo, hidden)
    assert 1 <= len(torch.cat(seen)) <= 4 and torch.cat(seen).flatten(1).any(1).all()


class Grey(nn.Module):
    """Stands in for a model, and draws what it is told to; visible pixels it draws wrong."""

    patch, image_size, mean = 4, (32, 32), torch.zeros(())

    def __init__(self, shade: float = 0.5):
        super().__init__()
        self.shade = shade

    def predict(self, images, mask):
        return torch.where(masking.to_pixels(mask, 4)[:, None], self.shade, torch.rand_like(images))


def test_windows_move_less_where_patches_are_large():
    model = SimMIM(ViTEncoder(32, 16, 8, 1, 1), LinearDecoder(8, 16)).eval()
    hidden = torch.zeros(1, 40, 40, dtype=torch.bool)
    hidden[:, 20:24, 20:24] = True
    assert inpaint(model, torch.full((1, 3, 40, 40), 0.5), hidden).isfinite().all()


@pytest.mark.parametrize("size", [(64, 64), (61, 47), (300, 45)])
@pytest.mark.parametrize("stride", [7, 16, 26])
def test_every_hole_is_filled_wherever_it_lies(size, stride):
    hidden = dots(1, *size, ratio=0.05)
    filled = inpaint(Grey(), torch.full((1, 3, *size), 0.5), hidden, stride=stride)
    torch.testing.assert_close(filled, torch.full_like(filled, 0.5))


def test_a_known_error_is_taken_off_near_by():
    images, hidden = torch.full((1, 3, 64, 64), 0.2), torch.zeros(1, 64, 64, dtype=torch.bool)
    hidden[:, 30, 10:50] = True  # a scratch: in its patches the error is known
    hidden[:, 44:60, 40:56] = True  # a square of whole patches
    filled = inpaint(Grey(0.6), images, hidden)
    assert (filled[:, :, 30, 10:50] - 0.2).abs().max() < 0.03
    assert (filled[:, :, 51, 47] > filled[:, :, 51, 40]).all()


def test_a_thin_scratch_costs_as_few_patches_as_can_be(monkeypatch):
    masks = []
    monkeypatch.setattr(Grey, "predict", lambda self, images, mask: masks.append(mask) or images)
    hidden = torch.zeros(1, 64, 64, dtype=torch.bool)
    hidden[:, 6:10] = True  # in patches that begin at 0, 4, 8 it would lie in two rows
    inpaint(Grey(), torch.rand(1, 3, 64, 64), hidden)
    assert all((mask.flatten(1).sum(1) == 8).all() for mask in masks)


def test_a_hole_wider_than_a_window_is_filled_from_the_whole_picture(model):
    sky = torch.linspace(0, 1, 160).view(1, 1, 160, 1).expand(1, 3, 160, 160)  # from black to white
    hidden = torch.zeros(1, 160, 160, dtype=torch.bool)
    hidden[:, 30:130, 30:130] = True
    filled = inpaint(model, sky, hidden)
    assert (
        evaluation.psnr(sky, filled, hidden)
        > evaluation.psnr(sky, evaluation.visible_mean(sky, hidden), hidden) + 3
    )
    assert (filled[..., 45, 80] < 0.45).all() and (filled[..., 115, 80] > 0.55).all()


@pytest.mark.parametrize("preset", ["article_cnn", "vit_nano", "swin_nano"])
def test_any_model_of_the_course_fills(preset):
    torch.manual_seed(0)
    images, hidden = torch.rand(1, 3, 50, 41), dots(1, 50, 41)
    filled = inpaint(SimMIM.preset(preset).eval(), images, hidden)
    assert filled.shape == images.shape and filled.isfinite().all()


def test_a_bar_is_drawn_for_long_work_only(model, capsys):
    images, hidden = torch.rand(1, 3, 40, 40), dots(1, 40, 40)
    inpaint(model, images, hidden, progress=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("hidden", "options", "error", "words"),
    [
        (torch.ones(1, 40, 40, dtype=torch.bool), {}, ValueError, "wholly hidden, with nothing to go by"),
        (torch.zeros(1, 10, 10, dtype=torch.bool), {}, ValueError, "shape"),
        (torch.zeros(1, 40, 40), {}, TypeError, "boolean"),
        (dots(1, 40, 40), {"stride": 0}, ValueError, "stride must be a whole number at least 1 and at most 26"),
        (dots(1, 40, 40), {"stride": 32}, ValueError, "stride"),
    ],
)
def test_bad_input_is_explained(hidden, options, error, words):
    with pytest.raises(error, match=words):
        inpaint(Grey(), torch.rand(1, 3, 40, 40), hidden, **options)


def test_a_photograph_is_known_by_its_name():
    assert photograph("flower", (30, 40)).shape == (3, 30, 40)
    with pytest.raises(ValueError, match="unknown photograph 'dog'"):
        photograph("dog", (30, 40))
