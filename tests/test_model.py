import json
import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from simmim_lab.backbones import TimmEncoder
from simmim_lab.decoders import DeconvDecoder, LinearDecoder, TransformerDecoder
from simmim_lab.encoders import ConvEncoder, RelativePositionBias, ViTEncoder
from simmim_lab.losses import LOSSES, masked_l1, masked_mse, normalize_patches
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.simmim import PRESETS, SimMIM
from simmim_lab.swin import SwinEncoder

examples = settings(deadline=None, max_examples=20, derandomize=True)

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="needs timm: pip install 'simmim-lab[hub]'")
sides = st.integers(1, 6)


def narrow_vit_base():
    """The paper's ViT-B with few channels and one layer."""
    encoder = ViTEncoder(224, 16, 32, 1, 2, positions="relative", layer_scale=0.1, cls_token=True)
    return SimMIM(encoder, LinearDecoder(32, 16), loss="l1")


def narrow_swin_base():
    """The paper's Swin-B with few channels and layers."""
    sizes = {"embed_dim": 8, "depths": (2, 2, 2, 2), "num_heads": (1, 1, 2, 2)}
    encoder = TimmEncoder("swin_base_patch4_window7_224", 192, window_size=6, **sizes)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")


def wide_image_with_a_swin():
    encoder = SwinEncoder((16, 24), 2, 8, depths=(2, 2), heads=(1, 2), window=2)
    return SimMIM(encoder, LinearDecoder(16, 4))


def wide_image_with_a_transformer_decoder():
    encoder = ViTEncoder((16, 24), 4, 16, 1, 2, positions="absolute")
    return SimMIM(encoder, TransformerDecoder(16, 4, (4, 6), width=16, depth=1, heads=2), loss="smooth_l1")


MODELS = {
    "article_cnn": (lambda: SimMIM.preset("article_cnn"), (32, 24)),
    "vit_nano": (lambda: SimMIM.preset("vit_nano"), (32, 32)),
    "vit_base": (narrow_vit_base, (224, 224)),
    "swin_base": (narrow_swin_base, (192, 192)),
    "swin": (wide_image_with_a_swin, (16, 24)),
    "wide": (wide_image_with_a_transformer_decoder, (16, 24)),
}
MODEL_PARAMS = [pytest.param(name, marks=needs_timm if name == "swin_base" else ()) for name in MODELS]


@pytest.fixture(params=MODEL_PARAMS)
def case(request):
    """A model with no weight at a special value, two images, and a mask."""
    build, size = MODELS[request.param]
    torch.manual_seed(0)
    model = build().eval()
    perturb(model)
    images = torch.rand(2, 3, *size)
    return model, images, random_mask(2, model.grid(images), 0.6)


def perturb(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)


def official_loss(error, x, x_rec, mask, patch):
    """simmim.py of SimMIM; `error` is F.l1_loss there."""
    mask = mask.repeat_interleave(patch, 1).repeat_interleave(patch, 2).unsqueeze(1).contiguous()
    loss_recon = error(x, x_rec, reduction="none")
    return (loss_recon * mask).sum() / (mask.sum() + 1e-5) / 3


# What a model must not see, and a loss must not ask


def test_the_prediction_does_not_depend_on_hidden_pixels(case):
    model, images, mask = case
    hidden = to_pixels(mask, model.patch)[:, None].expand_as(images)
    images.requires_grad_()
    prediction = model(images, mask)[1]
    [gradient] = torch.autograd.grad(prediction.square().sum(), images)
    assert (gradient[hidden] == 0).all() and (gradient[~hidden] != 0).any()
    others = torch.where(hidden, torch.rand_like(images), images)
    assert torch.equal(model(others, mask)[1], prediction)


def test_the_loss_does_not_depend_on_the_prediction_of_visible_pixels(case):
    model, images, mask = case
    hidden = to_pixels(mask, model.patch)[:, None].expand_as(images)
    loss, prediction = model(images, mask)
    [gradient] = torch.autograd.grad(loss, prediction)
    assert (gradient[~hidden] == 0).all() and (gradient[hidden] != 0).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 1e30])
def test_visible_values_have_no_effect_whatever_they_are(loss, odd):
    mask = random_mask(2, (4, 4), 0.5, generator=torch.Generator().manual_seed(0))
    hidden = to_pixels(mask, 2)[:, None].expand(2, 3, 8, 8)
    prediction, target = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = LOSSES[loss](prediction, target, mask)
    for spoilt in (prediction, target):
        spoilt[~hidden] = odd
    prediction.requires_grad_()
    value = LOSSES[loss](prediction, target, mask)
    value.backward()
    assert torch.equal(value, expected)
    assert prediction.grad.isfinite().all() and (prediction.grad[~hidden] == 0).all()


def test_the_loss_of_a_model_is_the_official_one(case):
    model, images, mask = case
    loss, prediction = model(images, mask)
    errors = {"l1": F.l1_loss, "mse": F.mse_loss, "smooth_l1": F.smooth_l1_loss}
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    expected = official_loss(errors[model.loss], (images - mean) / std, prediction, mask, model.patch)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)


def test_an_empty_mask_is_no_mask_and_costs_nothing(case):
    model, images, mask = case
    nothing = torch.zeros_like(mask)
    assert torch.equal(model.encoder(images, nothing), model.encoder(images))
    loss, _ = model(images, nothing)
    loss.backward()
    assert loss == 0
    assert all((parameter.grad == 0).all() for parameter in model.parameters() if parameter.grad is not None)


def test_with_everything_hidden_all_images_get_the_same_prediction(case):
    model, images, mask = case
    first, second = model(images, torch.ones_like(mask))[1]
    assert torch.equal(first, second)


def test_reconstruct_keeps_visible_pixels_to_the_bit_and_stays_in_range(case):
    model, images, mask = case
    hidden = to_pixels(mask, model.patch)[:, None].expand_as(images)
    filled = model.reconstruct(images, mask)
    assert torch.equal(filled[~hidden], images[~hidden])
    assert torch.equal(filled[hidden], model.predict(images, mask)[hidden])
    assert filled.min() >= 0 and filled.max() <= 1 and not filled.requires_grad


def test_a_saved_model_comes_back_with_the_same_answers(case, tmp_path):
    model, images, mask = case
    model.save(tmp_path / "new" / "folder")
    loaded = SimMIM.load(tmp_path / "new" / "folder").eval()
    assert json.dumps(loaded.config) == json.dumps(model.config)  # JSON knows no tuples
    for ours, theirs in zip(loaded(images, mask), model(images, mask), strict=True):
        assert torch.equal(ours, theirs)


def test_autocast_returns_float32(case):
    model, images, mask = case
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, prediction = model(images, mask)
    assert loss.dtype == prediction.dtype == torch.float32
    torch.testing.assert_close(loss, model(images, mask)[0], rtol=0.1, atol=0)


# Losses


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_official(name):
    error = {"l1": F.l1_loss, "mse": F.mse_loss, "smooth_l1": F.smooth_l1_loss}[name]
    prediction, target = torch.randn(2, 3, 3, 8, 12).requires_grad_().unbind(0)
    mask = random_mask(3, (2, 3), 0.5)
    mask[0] = True  # counts differ, so a mean of means would be another number
    losses = LOSSES[name](prediction, target, mask), official_loss(error, target, prediction, mask, 4)
    torch.testing.assert_close(*losses, rtol=1e-6, atol=1e-6)
    ours, theirs = (torch.autograd.grad(loss, (prediction, target)) for loss in losses)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)
    visible = ~to_pixels(mask, 4)[:, None].expand_as(target)
    assert all((gradient[visible] == 0).all() and (gradient[~visible] != 0).all() for gradient in ours)


def test_losses_by_hand():
    mask = torch.tensor([[[True, False]]])
    target = torch.zeros(1, 3, 1, 2)
    prediction = torch.tensor([[2.0, 9.0], [0.5, 9.0], [-1.0, 9.0]]).view(1, 3, 1, 2)
    values = {name: loss(prediction, target, mask).item() for name, loss in LOSSES.items()}
    assert values == pytest.approx(
        {"mse": (4 + 0.25 + 1) / 3, "l1": (2 + 0.5 + 1) / 3, "smooth_l1": (1.5 + 0.125 + 0.5) / 3}, rel=1e-4
    )


def test_a_visible_value_that_is_not_a_number_does_not_spoil_the_loss():
    prediction = torch.tensor([1.0, math.nan]).expand(1, 3, 1, 2)
    loss = masked_mse(prediction, torch.zeros(1, 3, 1, 2), torch.tensor([[[True, False]]]))
    assert loss.item() == pytest.approx(1, rel=1e-4)


def test_a_mask_that_does_not_tile_the_image_has_no_loss():
    images = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match=r"^a mask of 2 x 3 patches does not tile an image of 8 x 8 pixels$"):
        masked_l1(images, images, torch.ones(1, 2, 3, dtype=torch.bool))


@examples
@given(rows=sides, cols=sides, patch=st.integers(2, 5))
def test_normalized_patches_have_mean_0_and_deviation_1_and_an_inverse(rows, cols, patch):
    images = torch.rand(2, 3, rows * patch, cols * patch)
    normalized, mean, std = normalize_patches(images, patch)
    torch.testing.assert_close(normalized * std + mean, images)
    values = rearrange(normalized, "b c (rows p) (cols q) -> b rows cols (c p q)", p=patch, q=patch)
    torch.testing.assert_close(values.mean(-1), torch.zeros(2, rows, cols), rtol=0, atol=1e-4)
    torch.testing.assert_close(values.var(-1), torch.ones(2, rows, cols), rtol=1e-3, atol=0)


def test_flat_patches_become_zero():
    normalized, _, _ = normalize_patches(torch.full((1, 3, 4, 8), 0.3), 4)
    torch.testing.assert_close(normalized, torch.zeros(1, 3, 4, 8), rtol=0, atol=1e-3)


def test_predicting_nothing_scores_nearly_1_on_normalized_patches():
    """(n - 1) / n with n = 48 values in a patch, since the deviation is the unbiased one."""
    target, _, _ = normalize_patches(torch.rand(4, 3, 16, 16), 4)
    loss = masked_mse(torch.zeros_like(target), target, random_mask(4, (4, 4), 0.5))
    assert loss.item() == pytest.approx(47 / 48, rel=1e-3)


def test_normalize_patch_changes_the_target_and_forbids_pictures():
    torch.manual_seed(0)
    model = SimMIM(ViTEncoder(16, 4, 16, 1, 2), LinearDecoder(16, 4), normalize_patch=4)
    images, mask = torch.rand(2, 3, 16, 16), random_mask(2, (4, 4))
    loss, prediction = model(images, mask)
    target = normalize_patches((images - model.mean) / model.std, 4)[0]
    torch.testing.assert_close(loss, masked_mse(prediction, target, mask))
    with pytest.raises(ValueError, match="train one with normalize_patch=None"):
        model.reconstruct(images, mask)


# Encoders and decoders


@examples
@given(rows=sides, cols=sides, patch=st.integers(1, 4))
def test_patches_go_in_and_come_out_at_the_same_place(rows, cols, patch):
    """An encoder and a decoder that copy make a model that copies, on wide and on tall images."""
    size, values = (rows * patch, cols * patch), 3 * patch**2
    encoder = ViTEncoder(size, patch, values, depth=0, heads=1, positions="absolute")
    decoder = LinearDecoder(values, patch)
    with torch.no_grad():
        encoder.patch_embed.weight.copy_(torch.eye(values).view(values, 3, patch, patch))
        encoder.positions.zero_()
        decoder.linear.weight.copy_(torch.eye(values)[:, :, None, None])
        decoder.linear.bias.zero_()
    encoder.norm = nn.Identity()
    images = torch.rand(2, 3, *size)
    torch.testing.assert_close(decoder(encoder(images)), images)


def test_the_linear_decoder_orders_its_channels_by_colour_row_column():
    decoder = LinearDecoder(5, 4)
    with torch.no_grad():
        decoder.linear.bias.copy_(torch.arange(48))
    colour, row, col = torch.meshgrid(torch.arange(3), torch.arange(4), torch.arange(4), indexing="ij")
    assert torch.equal(decoder(torch.zeros(1, 5, 1, 1))[0], (colour * 16 + row * 4 + col).float())


@pytest.mark.parametrize("decoder", [DeconvDecoder(16, 8), TransformerDecoder(16, 8, (2, 3), 8, 1, 2)])
def test_other_decoders_make_pixels_below_zero_too(decoder):
    pixels = decoder(100 * torch.randn(4, 16, 2, 3))  # large, so that chance in the bias does not decide
    assert pixels.shape == (4, 3, 16, 24) and pixels.min() < 0 < pixels.max()


def test_every_hidden_patch_gets_the_mask_token_once():
    encoder = ViTEncoder((8, 12), 4, dim=6, depth=0, heads=1)
    encoder.norm = nn.Identity()
    mask = random_mask(5, (2, 3), 0.5)
    encoder(torch.rand(5, 3, 8, 12), mask).sum().backward()
    assert (encoder.mask_token.grad == mask.sum()).all()
    assert (encoder.positions.grad == 5).all()  # positions are added to hidden patches as well


def test_hidden_patches_are_told_apart_by_their_positions_only():
    images, everything = torch.rand(1, 3, 16, 16), torch.ones(1, 4, 4, dtype=torch.bool)
    for positions in ("absolute", "both"):
        features = ViTEncoder(16, 4, 16, 1, 2, positions=positions)(images, everything)
        assert len(features.flatten(2).unique(dim=2)[0, 0]) == 16
    features = ViTEncoder(16, 4, 16, 1, 2, positions="relative")(images, everything).flatten(2)
    torch.testing.assert_close(features, features[:, :, :1].expand_as(features))


@examples
@given(rows=sides, cols=sides, heads=st.integers(1, 3))
def test_the_relative_bias_starts_at_the_distance(rows, cols, heads):
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).float()
    distance = torch.cdist(places, places)
    bias = RelativePositionBias((rows, cols), heads)()
    for head in range(heads):
        torch.testing.assert_close(bias[head], -distance / 2**head, rtol=1e-4, atol=1e-4)


@examples
@given(rows=st.integers(2, 6), cols=st.integers(2, 6))
def test_the_relative_bias_is_free_but_the_same_at_every_place(rows, cols):
    relative = RelativePositionBias((rows, cols), heads=2)
    assert relative.table.shape == ((2 * rows - 1) * (2 * cols - 1), 2)
    nn.init.normal_(relative.table)
    bias = rearrange(relative(), "h (y x) (v u) -> h y x v u", y=rows, v=rows)
    assert torch.equal(bias[:, 1:, 1:, 1:, 1:], bias[:, :-1, :-1, :-1, :-1])
    assert len(relative().unique()) == relative.table.numel()  # each offset has a number of its own
    assert torch.equal(relative()[:, 0, -1], relative.table[0])  # offsets are query minus key, as BEiT's


def test_the_relative_bias_of_a_class_token_is_three_numbers():
    relative = RelativePositionBias((2, 3), heads=1, cls_token=True)
    with torch.no_grad():
        relative.table[-3:, 0] = torch.tensor([7.0, 8.0, 9.0])
    [bias] = relative()
    assert bias.shape == (7, 7)
    assert (bias[0, 1:] == 7).all() and (bias[1:, 0] == 8).all() and bias[0, 0] == 9
    assert torch.equal(bias[1:, 1:], RelativePositionBias((2, 3), heads=1)()[0])


@needs_timm
@pytest.mark.parametrize(
    ("name", "options", "patch", "stride"),
    [
        ("swin_tiny_patch4_window7_224", {"window_size": 2, "depths": (2, 2), "num_heads": (2, 2)}, 4, 8),
        ("convnext_atto", {}, 4, 32),
        ("vit_tiny_patch16_224", {"depth": 2}, 16, 16),
    ],
)
def test_hidden_pixels_do_not_leak_through_a_timm_backbone(name, options, patch, stride):
    torch.manual_seed(0)
    encoder = TimmEncoder(name, (64, 96), **options).eval()
    perturb(encoder)
    assert (encoder.patch, encoder.stride) == (patch, stride)
    images, mask = torch.rand(2, 3, 64, 96), random_mask(2, (64 // patch, 96 // patch))
    hidden = to_pixels(mask, patch)[:, None]
    features = encoder(images, mask)
    assert features.shape == (2, encoder.dim, 64 // stride, 96 // stride)
    assert torch.equal(encoder(torch.where(hidden, torch.rand_like(images), images), mask), features)
    assert torch.equal(encoder(images, torch.zeros_like(mask)), encoder(images))
    assert not torch.equal(encoder(images), features)
    features.sum().backward()
    assert (encoder.mask_token.grad != 0).all()


@needs_timm
@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("convnext_atto_ols", 64, "overlap, so hidden pixels would leak"),
        ("resnet18", 64, "takes a Swin, ConvNeXt or ViT of timm, .* not 'resnet18'"),
        ("hf-hub:someone/something", 64, "takes a Swin, ConvNeXt or ViT of timm"),
        ("convnext_ato", 64, "did you mean 'convnext_atto'"),
        ("convnext_atto", 60, "multiples of 32 pixels, not 60 x 60"),
    ],
)
def test_timm_backbones_that_do_not_fit_are_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        TimmEncoder(name, size)


# Presets


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "millions"),
    [("article_cnn", 0.007), ("vit_nano", 0.21), ("swin_nano", 0.24), ("vit_tiny", 5.4), ("vit_small", 21.4)],
)
def test_presets_have_the_size_they_are_named_for(name, millions):
    with torch.device("meta"):  # shapes without memory
        assert parameters(SimMIM.preset(name)) == pytest.approx(millions * 1e6, rel=0.05)


def test_vit_base_is_the_papers():
    with torch.device("meta"):
        model = SimMIM.preset("vit_base")
    encoder, block = model.encoder, model.encoder.blocks[0]
    assert parameters(model) == pytest.approx(86.3e6, rel=0.01) and len(encoder.blocks) == 12
    assert (encoder.patch, encoder.stride, encoder.grid, model.loss) == (16, 16, (14, 14), "l1")
    assert encoder.relative.table.shape == (27 * 27 + 3, 12) and encoder.positions is None
    assert encoder.config["layer_scale"] == 0.1 and block.scale1.factor.shape == (768,)


@needs_timm
def test_swin_base_is_the_papers():
    with torch.device("meta"):
        model = SimMIM.preset("swin_base")
    encoder, stages = model.encoder, model.encoder.backbone.layers
    assert parameters(model) == pytest.approx(89.9e6, rel=0.01)
    assert [len(stage.blocks) for stage in stages] == [2, 2, 18, 2]
    assert (encoder.patch, encoder.stride, encoder.grid, model.loss) == (4, 32, (48, 48), "l1")
    assert stages[0].blocks[1].window_size == (6, 6) and stages[0].blocks[1].shift_size == (3, 3)
    assert not any(type(module).__name__ == "DropPath" for module in model.modules())


def test_presets_take_another_image_size():
    images = torch.rand(1, 3, 48, 64)
    model = SimMIM.preset("vit_nano", image_size=(48, 64))
    assert model.grid(images) == (12, 16)
    assert model.reconstruct(images, random_mask(1, (12, 16))).shape == images.shape


def test_layer_scale_starts_each_branch_at_its_factor():
    torch.manual_seed(0)
    images, mask = torch.rand(1, 3, 16, 16), random_mask(1, (4, 4))
    sizes = {"image_size": 16, "patch": 4, "dim": 16, "heads": 2}
    scaled = ViTEncoder(depth=1, layer_scale=1e-9, **sizes)
    no_block = ViTEncoder(depth=0, **sizes)
    no_block.load_state_dict(scaled.state_dict(), strict=False)
    torch.testing.assert_close(scaled(images, mask), no_block(images, mask))


# Bad input


@pytest.mark.parametrize("name", ["vit_nan", "Swin_base", "vit-tiny"])
def test_an_unknown_preset_suggests_the_nearest(name):
    nearest = {"vit_nan": "vit_nano", "Swin_base": "swin_base", "vit-tiny": "vit_tiny"}[name]
    with pytest.raises(
        ValueError, match=rf"^unknown preset '{name}'; did you mean '{nearest}'\?.*{list(PRESETS)[-1]}"
    ):
        SimMIM.preset(name)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
            r"a float tensor .*torch.uint8: divide by 255$",
        ),
        (torch.rand(2, 3, 32, 32) * 255, r"lie in \[0, 1\], but reach from .* to 25"),
        (torch.randn(2, 3, 32, 32), "leave the normalisation to the model"),
        (torch.full((2, 3, 32, 32), math.nan), "lie in .* from nan to nan"),
        (np.zeros((2, 3, 32, 32)), "ndarray"),
        (torch.zeros(3, 32, 32), r"\(batch, 3, height, width\).*\(3, 32, 32\)$"),
        (torch.zeros(2, 1, 32, 32), r"\(2, 1, 32, 32\)$"),
        (torch.zeros(2, 3, 32, 48), r"built for \(32, 32\) pixels, not \(32, 48\)$"),
        (torch.zeros(2, 3, 33, 34), r"built for \(32, 32\) pixels, not \(33, 34\)$"),
    ],
)
def test_wrong_images_are_refused(images, message):
    with pytest.raises((TypeError, ValueError), match=message):
        SimMIM.preset("vit_nano")(images, random_mask(2, (8, 8)))


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.zeros(2, 8, 8), TypeError, "must be boolean with True = hidden, but its dtype is torch.float32$"),
        (torch.zeros(2, 32, 32).bool(), ValueError, r"shape \(2, 8, 8\) .*, but has \(2, 32, 32\)$"),
        (torch.zeros(8, 8).bool(), ValueError, r"shape \(2, 8, 8\) .*, but has \(8, 8\)$"),
        (torch.zeros(1, 8, 8).bool(), ValueError, r"shape \(2, 8, 8\) .*, but has \(1, 8, 8\)$"),
    ],
)
def test_wrong_masks_are_refused(mask, error, message):
    model, images = SimMIM.preset("vit_nano"), torch.zeros(2, 3, 32, 32)
    for call in (model, model.predict, model.reconstruct):
        with pytest.raises(error, match=message):
            call(images, mask)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="patches of 4 pixels do not tile an image of 30 x 30 pixels"):
        SimMIM.preset("vit_nano", image_size=30)
    with pytest.raises(ValueError, match="patches of 4 pixels do not tile images of 30 x 32 pixels"):
        SimMIM.preset("vit_nano").grid(torch.zeros(1, 3, 30, 32))
    with pytest.raises(ValueError, match="both sides must be multiples of 4"):
        ConvEncoder()(torch.zeros(1, 3, 30, 32))
    with pytest.raises(ValueError, match="patches of 4 pixels do not tile an image of 8 x 6 pixels"):
        normalize_patches(torch.zeros(1, 3, 8, 6), 4)
    with pytest.raises(ValueError, match="3 heads do not divide 64 dimensions"):
        ViTEncoder(dim=64, heads=3)
    with pytest.raises(ValueError, match="stride 6"):
        DeconvDecoder(32, 6)
    with pytest.raises(ValueError, match=r"built for \(2, 3\) features, not \(3, 2\)"):
        TransformerDecoder(8, 4, (2, 3), 8, 1, 2)(torch.zeros(1, 8, 3, 2))


def test_names_of_losses_and_positions_are_checked():
    with pytest.raises(ValueError, match="unknown loss 'mae'; did you mean 'mse'"):
        SimMIM(ConvEncoder(), DeconvDecoder(32, 4), loss="mae")
    with pytest.raises(ValueError, match='"absolute", "relative" or "both", but is \'learned\''):
        ViTEncoder(positions="learned")


def test_only_models_of_the_course_can_be_saved(tmp_path):
    class Custom(ConvEncoder):
        pass

    with pytest.raises(TypeError, match="cannot describe Custom"):
        SimMIM(Custom(), DeconvDecoder(32, 4)).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture
def saved(tmp_path):
    SimMIM.preset("article_cnn").save(tmp_path)
    return tmp_path


def edit(change):
    """A way to spoil model.json: change what it says."""

    def spoil(folder):
        config = json.loads((folder / "model.json").read_text())
        change(config)
        (folder / "model.json").write_text(json.dumps(config))

    return spoil


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def drop_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    weights.popitem()
    save_file(weights, folder / "model.safetensors")


VIT = {"kind": "vit", "image_size": 32, "patch": 4, "dim": 64, "depth": 1, "heads": 2}


@pytest.mark.parametrize(
    ("spoil", "error", "file"),
    [
        (lambda folder: (folder / "model.json").unlink(), FileNotFoundError, "model.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), FileNotFoundError, "model.safetensors"),
        (truncate, ValueError, "model.safetensors"),
        (drop_a_weight, ValueError, "model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), ValueError, "model.safetensors"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04." * 9),
            ValueError,
            "model.safetensors",
        ),
        (lambda folder: (folder / "model.json").write_text("{"), ValueError, "model.json"),
        (lambda folder: (folder / "model.json").write_text('["foreign"]'), ValueError, "model.json"),
        (lambda folder: (folder / "model.json").write_text('{"model_type": "vit"}'), ValueError, "model.json"),
        (lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe"), ValueError, "model.json"),
        (edit(lambda config: config["encoder"].update(kind="vitt")), ValueError, "model.json"),
        (edit(lambda config: config["encoder"].update(layers=3)), ValueError, "model.json"),
        (edit(lambda config: config.update(encoder=VIT | {"patch": 0})), ValueError, "model.json"),
        (edit(lambda config: config.update(encoder=VIT | {"dim": -4})), ValueError, "model.json"),
        (edit(lambda config: config.update(loss="mae")), ValueError, "model.json"),
        (edit(lambda config: config["encoder"].update(channels=[8, 16])), ValueError, "model.safetensors"),
    ],
)
def test_load_names_the_file_at_fault_in_one_line(saved, spoil, error, file):
    spoil(saved)
    with pytest.raises(error) as caught:
        SimMIM.load(saved)
    assert str(saved / file) in str(caught.value) and "\n" not in str(caught.value)


@needs_timm
@pytest.mark.parametrize("option", [{"checkpoint_path": "evil.pth"}, {"pretrained": True}])
def test_load_reads_no_other_file(saved, option):
    encoder = {"kind": "timm", "name": "convnext_atto", "image_size": 32, **option}
    edit(lambda config: config.update(encoder=encoder, decoder={"kind": "linear"}))(saved)
    with pytest.raises(ValueError, match="multiple values"):
        SimMIM.load(saved)


def test_a_save_that_fails_leaves_the_old_model(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full_disk(tensors, path, header):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("simmim_lab.files.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        SimMIM.preset("article_cnn").save(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
