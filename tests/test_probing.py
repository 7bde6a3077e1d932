"""Features of a frozen encoder, and what a linear classifier finds in them."""

import pytest
import torch
from tiny_model import tiny

from simmim_lab import probing
from simmim_lab.probing import features, linear_probe


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_features_are_the_means_of_parts_of_the_encoders_map(images):
    model = tiny().eval()
    with torch.no_grad():
        maps = model.encoder((images - model.mean) / model.std)
    torch.testing.assert_close(features(model, images, cells=1), maps.mean((2, 3)))
    whole = features(model, images, cells=2).view(5, 32, 2, 2)
    torch.testing.assert_close(whole[:, :, 0, 1], maps[:, :, :2, 2:].mean((2, 3)))


def test_features_do_not_depend_on_the_batch_and_leave_the_model_as_it_was(images, monkeypatch):
    model = tiny().train()
    at_once = features(model, images)
    monkeypatch.setattr(probing, "BATCH", 2)
    torch.testing.assert_close(features(model, images), at_once)
    assert model.training and not at_once.requires_grad


def test_images_outside_0_and_1_are_refused(images):
    with pytest.raises(ValueError, match="divide by 255"):
        features(tiny(), 255 * images)


def test_a_probe_finds_what_is_linear_at_any_scale_and_nothing_else():
    vectors = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    scaled = vectors * torch.tensor([1e-3, 1e3])
    linear, crossed = (vectors.sum(1) > 0).long(), (vectors.prod(1) > 0).long()
    assert linear_probe(scaled[:200], linear[:200]).score(scaled[200:], linear[200:]) > 0.9
    assert linear_probe(scaled[:200], crossed[:200]).score(scaled[200:], crossed[200:]) < 0.7
