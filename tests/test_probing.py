"""Features of a frozen encoder, layer by layer, where it looks, and what a classifier finds."""

import pytest
import torch
from einops import rearrange
from tiny_model import tiny

from simmim_lab import probing
from simmim_lab.masking import random_mask
from simmim_lab.probing import attention_maps, features, knn, layers, linear_probe, similarity_map
from simmim_lab.simmim import SimMIM


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
    model.encoder.eval()
    with pytest.raises(ValueError, match="28"):
        features(model, torch.zeros(1, 3, 28, 28))
    assert model.training and not model.encoder.training


def test_images_outside_0_and_1_are_refused(images):
    with pytest.raises(ValueError, match="divide by 255"):
        features(tiny(), 255 * images)


def test_a_probe_finds_what_is_linear_at_any_scale_and_nothing_else():
    vectors = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    scaled = vectors * torch.tensor([1e-3, 1e3])
    linear, crossed = (vectors.sum(1) > 0).long(), (vectors.prod(1) > 0).long()
    assert linear_probe(scaled[:200], linear[:200]).score(scaled[200:], linear[200:]) > 0.9
    assert linear_probe(scaled[:200], crossed[:200]).score(scaled[200:], crossed[200:]) < 0.7


def test_layers_are_what_enters_each_block_and_what_leaves_the_last_and_the_norm(images):
    model = tiny().train()
    mask = random_mask(5, (4, 4), 0.5, 1, generator=torch.Generator().manual_seed(2))
    found = layers(model, images, mask)
    assert model.training and not any(module._forward_pre_hooks for module in model.modules())
    encoder = model.encoder.eval()
    with torch.no_grad():
        tokens, bias = encoder.embed((images - model.mean) / model.std, mask), encoder.relative()
        for expected, block in zip(found, [*encoder.blocks, encoder.norm], strict=False):
            torch.testing.assert_close(expected, encoder.to_map(tokens))
            tokens = block(tokens, bias) if block is not encoder.norm else block(tokens)
    torch.testing.assert_close(found[-1], encoder.to_map(tokens))
    assert len(found) == len(encoder.blocks) + 2
    torch.testing.assert_close(features(model, images, 2, layer=3), features(model, images, 2))


def test_attention_maps_weigh_the_values_as_the_network_does(images):
    model = tiny().eval()
    [first, second] = attention_maps(model, images)
    torch.testing.assert_close(first.sum(-1), torch.ones(5, 2, 16))
    block, bias = model.encoder.blocks[1], model.encoder.relative()
    with torch.no_grad():
        x = block.norm1(rearrange(layers(model, images)[1], "b d h w -> b (h w) d"))
        value = rearrange(block.attention.qkv(x)[..., -32:], "b n (h d) -> b h n d", h=2)
        expected = block.attention(x, bias)
        torch.testing.assert_close(
            block.attention.project(rearrange(second @ value, "b h n d -> b n (h d)")), expected
        )


@pytest.mark.parametrize("look", [layers, attention_maps])
def test_only_a_vit_has_tokens_to_look_at(images, look):
    with pytest.raises(TypeError, match=r"only a ViTEncoder .* not a ConvEncoder"):
        look(SimMIM.preset("article_cnn"), images)


def test_a_token_is_similar_to_what_points_the_same_way():
    maps = torch.tensor([[[3.0, 6.0, -4.0]], [[4.0, 8.0, 3.0]]])
    torch.testing.assert_close(similarity_map(maps, (0, 0)), torch.tensor([[1.0, 1.0, 0.0]]))


def test_the_nearest_vectors_vote():
    vectors, labels = torch.tensor([[0.0], [1.0], [2.0], [9.0]]), torch.tensor([0, 0, 1, 1])
    fitted = knn(vectors, labels, neighbours=3)
    assert fitted.predict(torch.tensor([[0.4]])).tolist() == [0] and fitted.predict(
        torch.tensor([[9.0]])
    ).tolist() == [1]
    assert knn(vectors, labels, neighbours=1).score(vectors, labels) == 1
