"""The course's models against transformers': the same weights give the same predictions and the same loss."""

import re
from functools import partial

import pytest
import torch

from simmim_lab.backbones import TimmEncoder, ViTEncoder
from simmim_lab.decoders import LinearDecoder
from simmim_lab.masking import random_mask
from simmim_lab.simmim import SimMIM
from simmim_lab.swin import SwinEncoder

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'simmim-lab[hub]'")
pytest.importorskip("timm", reason="needs timm: pip install 'simmim-lab[hub]'")

# Names inside a layer, as transformers 4 and 5 have them, and the course's.
LAYER = {
    r"attention\.(attention|self)\.(query|key|value)": r"attention.\2",
    r"attention\.(output\.dense|o_proj)": "attention.project",
    r"attention\.q_proj": "attention.query",
    r"attention\.k_proj": "attention.key",
    r"attention\.v_proj": "attention.value",
    r"attention\.(self\.|relative_position_bias\.)relative_position_bias_table": "attention.table",
    r"layernorm_before": "norm1",
    r"layernorm_after": "norm2",
    r"(intermediate\.dense|mlp\.fc1)": "mlp.0",
    r"(?<!attention\.)output\.dense|mlp\.fc2": "mlp.2",
}
VIT = {
    r"^vit\.(encoder\.)?layers?\.": "encoder.blocks.",
    r"^vit\.embeddings\.patch_embeddings\.projection\.": "encoder.patch_embed.",
    r"^vit\.embeddings\.position_embeddings": "encoder.positions",
    r"^vit\.embeddings\.": "encoder.",
    r"^vit\.layernorm\.": "encoder.norm.",
    r"^decoder\.0\.": "decoder.linear.",
}
SWIN = {
    r"^swin\.encoder\.layers\.0\.downsample\.": "encoder.backbone.layers.1.downsample.",  # belongs to the next
    r"^swin\.encoder\.layers\.": "encoder.backbone.layers.",
    r"^swin\.embeddings\.patch_embeddings\.projection\.": "encoder.backbone.patch_embed.proj.",
    r"^swin\.embeddings\.norm\.": "encoder.backbone.patch_embed.norm.",
    r"^swin\.embeddings\.": "encoder.",
    r"^swin\.layernorm\.": "encoder.backbone.norm.",
    r"^decoder\.0\.": "decoder.linear.",
}
SWIN_BY_HAND = {
    r"^swin\.encoder\.layers\.0\.downsample\.reduction\.": "encoder.stages.1.reduce.",
    r"^swin\.encoder\.layers\.0\.downsample\.": "encoder.stages.1.",
    r"^swin\.encoder\.layers\.0\.": "encoder.stages.0.",
    r"^swin\.encoder\.layers\.1\.": "encoder.stages.2.",
    r"^swin\.embeddings\.patch_embeddings\.projection\.": "encoder.patch_embed.",
    r"^swin\.embeddings\.norm\.": "encoder.patch_norm.",
    r"^swin\.embeddings\.": "encoder.",
    r"^swin\.layernorm\.": "encoder.norm.",
    r"^decoder\.0\.": "decoder.linear.",
    r"attention\.table": "relative.table",
}
TIMM_LAYER = {
    r"attention\.qkv": "attn.qkv",
    r"attention\.project": "attn.proj",
    r"attention\.table": "attn.relative_position_bias_table",
    r"mlp\.0": "mlp.fc1",
    r"mlp\.2": "mlp.fc2",
}


def rename(state, *rules):
    """Apply regular expressions to all names, one table after the other."""
    for table in rules:
        for pattern, replacement in table.items():
            state = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    return state


def fuse(state):
    """Join query, key and value to one linear map, in this order."""
    fused = {
        name: tensor for name, tensor in state.items() if not re.search(r"attention\.(query|key|value)", name)
    }
    for name, query in state.items():
        if "attention.query" in name:
            parts = [query, *(state[name.replace("query", part)] for part in ("key", "value"))]
            fused[name.replace("query", "qkv")] = torch.cat(parts)
    return fused


def vit_weights(theirs):
    """Their positions hold one for the class token too, which is just another vector added to it."""
    state = fuse(rename(theirs.state_dict(), LAYER, VIT))
    positions = state["encoder.positions"][0]
    rows = round((len(positions) - 1) ** 0.5)
    state["encoder.cls_token"] = state["encoder.cls_token"].flatten() + positions[0]
    state["encoder.positions"] = positions[1:].unflatten(0, (rows, rows))
    state["encoder.mask_token"] = state["encoder.mask_token"].flatten()
    return state


def swin_weights(theirs, swin=SWIN, layer=TIMM_LAYER):
    weights = {name: tensor for name, tensor in theirs.state_dict().items() if not name.endswith("position_index")}
    state = rename(fuse(rename(weights, LAYER, swin)), layer)
    state["encoder.mask_token"] = state["encoder.mask_token"].flatten()
    return state


def vit_pair():
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 96}
    config = transformers.ViTConfig(image_size=32, patch_size=4, encoder_stride=4, layer_norm_eps=1e-6, **sizes)
    encoder = ViTEncoder(32, 4, 24, 3, 3, positions="absolute", cls_token=True)
    return transformers.ViTForMaskedImageModeling(config), SimMIM(encoder, LinearDecoder(24, 4), loss="l1")


def hugging_face_swin():
    """Two stages of 16 x 16 and 8 x 8 patches with windows of 4 x 4: every second block shifts them."""
    config = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, encoder_stride=8
    )
    return transformers.SwinForMaskedImageModeling(config)


def timm_swin_pair():
    sizes = {"embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}
    encoder = TimmEncoder("swin_tiny_patch4_window7_224", 64, **sizes)
    assert all(stage.blocks[1].shift_size == (2, 2) for stage in encoder.backbone.layers)
    return hugging_face_swin(), SimMIM(encoder, LinearDecoder(32, 8), loss="l1")


def swin_pair():
    encoder = SwinEncoder(64, 4, 16, depths=(2, 2), heads=(2, 4), window=4)
    assert all(encoder.stages[stage].blocks[1].shift == (2, 2) for stage in (0, 2))
    return hugging_face_swin(), SimMIM(encoder, LinearDecoder(32, 8), loss="l1")


@pytest.mark.parametrize(
    ("pair", "weights"),
    [
        (vit_pair, vit_weights),
        (timm_swin_pair, swin_weights),
        (swin_pair, partial(swin_weights, swin=SWIN_BY_HAND, layer={})),
    ],
)
def test_predictions_and_losses_are_those_of_transformers(pair, weights):
    torch.manual_seed(0)
    theirs, ours = pair()
    with torch.no_grad():
        for parameter in theirs.parameters():  # nothing may stay 0 or 1: a missing bias or norm would not show
            parameter += 0.1 * torch.randn_like(parameter)
    ours.load_state_dict(weights(theirs))
    theirs.eval(), ours.eval()

    images = torch.rand(3, 3, *ours.encoder.image_size)
    mask = random_mask(3, ours.grid(images), 0.6)
    loss, prediction = ours(images, mask)
    output = theirs((images - ours.mean) / ours.std, bool_masked_pos=mask.flatten(1))
    torch.testing.assert_close(prediction, output.reconstruction, rtol=0, atol=1e-5)
    torch.testing.assert_close(loss, output.loss, rtol=0, atol=1e-6)
    assert prediction.std() > 0.1 and (prediction[0] - prediction[1]).abs().mean() > 0.01
