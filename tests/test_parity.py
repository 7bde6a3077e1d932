"""The course's models against transformers': the same weights give the same predictions and the same loss."""

import pytest
import torch

from simmim_lab.masking import random_mask
from simmim_lab.published import load_published, to_transformers

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'simmim-lab[hub]'")


def vit(**options):
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 96}
    config = transformers.ViTConfig(image_size=32, patch_size=4, encoder_stride=4, **sizes, **options)
    return transformers.ViTForMaskedImageModeling(config)


def swin(image_size: int, window: int, depths: list[int], heads: list[int]):
    """Every second block shifts its windows, where there is more than one."""
    sizes = {"depths": depths, "num_heads": heads, "window_size": window, "encoder_stride": 2 ** (len(depths) + 1)}
    config = transformers.SwinConfig(image_size=image_size, patch_size=4, embed_dim=16, **sizes)
    return transformers.SwinForMaskedImageModeling(config)


MODELS = {
    "vit": vit,
    "vit with the course's eps": lambda: vit(layer_norm_eps=1e-6),
    "swin": lambda: swin(64, 4, [2, 2], [2, 4]),
    "swin of three stages, the last of one window": lambda: swin(96, 6, [2, 3, 2], [1, 2, 4]),
    "swin with windows of 7 in a grid of 14": lambda: swin(56, 7, [3, 1], [1, 2]),
}


def scattered(model: torch.nn.Module) -> torch.nn.Module:
    """Nothing may stay 0 or 1: a missing bias or norm would not show."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_predictions_and_losses_are_those_of_transformers(name, tmp_path):
    torch.manual_seed(0)
    theirs = scattered(MODELS[name]())
    theirs.save_pretrained(tmp_path)
    ours = load_published(tmp_path).eval()

    images = torch.rand(3, 3, *ours.image_size)
    mask = random_mask(3, ours.grid(images), 0.6)
    loss, prediction = ours(images, mask)
    output = theirs((images - ours.mean) / ours.std, bool_masked_pos=mask.flatten(1))
    torch.testing.assert_close(prediction, output.reconstruction, rtol=0, atol=1e-5)
    torch.testing.assert_close(loss, output.loss, rtol=0, atol=1e-6)
    assert prediction.std() > 0.1 and (prediction[0] - prediction[1]).abs().mean() > 0.01


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_what_we_write_transformers_names_in_the_same_way(name, tmp_path):
    from safetensors.torch import load_file

    torch.manual_seed(0)
    theirs = MODELS[name]()
    theirs.save_pretrained(tmp_path)
    config, weights = to_transformers(load_published(tmp_path))
    saved = load_file(tmp_path / "model.safetensors")
    assert weights.keys() == saved.keys()
    assert all(weights[name].shape == tensor.shape for name, tensor in saved.items())
    assert {key: theirs.config.to_dict()[key] for key in config} == config
