"""Another image size: what stays, what is interpolated, and what cannot be."""

import pytest
import torch
import torch.nn.functional as F

from simmim_lab.backbones import TimmEncoder
from simmim_lab.decoders import LinearDecoder, TransformerDecoder
from simmim_lab.encoders import ConvEncoder, ViTEncoder
from simmim_lab.resizing import _places, resize, resize_positions, resize_table
from simmim_lab.simmim import SimMIM
from simmim_lab.swin import SwinEncoder


def vit(size=16, **options) -> ViTEncoder:
    torch.manual_seed(0)
    return ViTEncoder(size, 4, 16, depth=1, heads=2, **options)


# Tables of relative positions


def test_places_spread_geometrically_and_end_where_the_new_grid_ends():
    """From windows of 6 to 7 the offsets 1 to 5 go to 1, 1 + q, 1 + q + q² ..., with q = 1.0913 for a sum of 6."""
    places = _places(6, 7)
    assert places[:5] == [-place for place in reversed(places[6:])] and places[5] == 0
    steps = torch.tensor(places[6:]).diff(prepend=torch.zeros(1))
    torch.testing.assert_close(steps, 1.0913 ** torch.arange(5), rtol=0, atol=5e-4)
    assert places[-1] == pytest.approx(6, abs=1e-4)


def test_factors_stay_between_their_bounds_as_in_the_official_code():
    assert _places(7, 6)[-1] == pytest.approx(sum(1.01**i for i in range(6)), abs=1e-4)  # beyond the new end
    assert _places(3, 20)[-1] == pytest.approx(1 + 1.5, abs=1e-4)  # the new end is out of reach


def test_a_table_of_its_own_places_becomes_the_new_offsets():
    """What grows with the place, row or column, is what any spline through it must read off."""
    places = torch.tensor(_places(6, 7))
    table = torch.stack([*torch.meshgrid(places, places, indexing="ij"), torch.ones(11, 11)], -1).flatten(0, 1)
    offsets = torch.arange(-6.0, 7)
    expected = torch.stack([*torch.meshgrid(offsets, offsets, indexing="ij"), torch.ones(13, 13)], -1).flatten(
        0, 1
    )
    torch.testing.assert_close(resize_table(table, (6, 6), (7, 7)), expected, rtol=0, atol=2e-4)


def test_between_offsets_a_spline_of_the_third_degree_is_read_off():
    """Along one axis, against SciPy's spline of one variable."""
    from scipy.interpolate import InterpolatedUnivariateSpline

    places, row = _places(4, 5), torch.randn(7, dtype=torch.float64)
    table = row.repeat(7)[:, None]  # the same in each row of offsets
    expected = torch.from_numpy(InterpolatedUnivariateSpline(places, row, k=3)(range(-4, 5)))
    found = resize_table(table, (4, 4), (5, 5)).view(9, 9)
    torch.testing.assert_close(found, expected.expand(9, 9), rtol=0, atol=1e-5)


def test_beyond_the_last_place_its_number_is_kept():
    table = torch.arange(25.0)[:, None]
    resized = resize_table(table, (3, 3), (20, 20)).view(39, 39)
    corners = torch.stack([resized[0, 0], resized[0, -1], resized[0, 19], resized[-1, -1]])
    torch.testing.assert_close(corners, torch.tensor([0.0, 4.0, 2.0, 24.0]))


def test_a_class_token_keeps_its_three_numbers_and_sides_may_differ():
    table = torch.randn(5 * 7 + 3, 2)
    resized = resize_table(table, (3, 4), (5, 4))
    assert resized.shape == (9 * 7 + 3, 2) and torch.equal(resized[-3:], table[-3:])
    assert resize_table(table, (3, 4), (3, 4)) is table
    torch.testing.assert_close(resized[4 * 7 + 3], table[2 * 7 + 3])  # from a token to itself


def test_one_token_has_nothing_to_go_by():
    with pytest.raises(ValueError, match="a single token has no offsets"):
        resize_table(torch.ones(1, 2), (1, 1), (2, 2))


# Encoders


def test_absolute_positions_are_resized_as_pictures_are():
    positions = torch.randn(4, 4, 8)
    expected = F.interpolate(positions.permute(2, 0, 1)[None], size=(6, 5), mode="bicubic")[0].permute(1, 2, 0)
    assert torch.equal(resize_positions(positions, (6, 5)), expected)
    torch.testing.assert_close(resize_positions(positions, (4, 4)), positions)


@pytest.mark.parametrize("positions", ["absolute", "relative", "both"])
@pytest.mark.parametrize("cls_token", [False, True])
def test_a_vit_takes_another_size_and_all_else_stays(positions, cls_token):
    encoder = vit(positions=positions, cls_token=cls_token).eval()
    larger = resize(encoder, (24, 32))
    assert larger(torch.rand(2, 3, 24, 32), torch.rand(2, 6, 8) < 0.5).shape == (2, 16, 6, 8)
    assert not larger.training and larger.config == {**encoder.config, "image_size": (24, 32)}
    for name, tensor in encoder.state_dict().items():
        assert name in ("positions", "relative.table") or torch.equal(larger.state_dict()[name], tensor)
    assert resize(encoder, 16) is encoder


def test_a_vit_of_another_size_gives_similar_features():
    """A picture of one colour: all that differs is what was interpolated."""
    encoder = vit(size=32)
    features, more = (resize(encoder, side)(torch.full((1, 3, side, side), 0.5)) for side in (32, 48))
    expected = F.interpolate(features, size=more.shape[-2:], mode="bicubic")
    unrelated = vit(size=48)
    torch.nn.init.normal_(unrelated.mask_token)
    error = (more - expected).pow(2).mean() / expected.var()
    assert error < 0.1


# 24, 6, 14 and 4 tokens: windows of 6 do not tile 14, and 4 are one window
@pytest.mark.parametrize(("size", "window"), [(96, 6), (24, 6), (56, 7), (16, 6)])
def test_windows_of_a_swin_stay_if_they_tile_and_grow_with_the_image_else(size, window):
    encoder = SwinEncoder(48, 4, 8, depths=(2,), heads=(1,), window=6)
    resized = resize(encoder, size)
    assert resized.config == {**encoder.config, "image_size": (size, size), "window": window}
    assert resized(torch.rand(1, 3, size, size)).isfinite().all()


def test_the_step_of_the_paper_from_192_pixels_and_windows_of_6_to_224_and_7():
    encoder = SwinEncoder(192, 4, 8, depths=(1, 1, 2, 1), heads=(1, 1, 1, 1), window=6)
    resized = resize(encoder, 224)
    assert resized.config["window"] == 7 and resized(torch.rand(1, 3, 224, 224)).shape == (1, 64, 7, 7)
    table = encoder.state_dict()["stages.4.blocks.1.relative.table"]
    found = resized.state_dict()["stages.4.blocks.1.relative.table"]
    torch.testing.assert_close(found, resize_table(table, (6, 6), (7, 7)))


def test_a_simmim_keeps_its_decoder_loss_and_target():
    encoder = SwinEncoder()
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1", normalize_patch=4)
    larger = resize(model, 48)
    assert (larger.loss, larger.normalize_patch, larger.image_size) == ("l1", 4, (48, 48))
    assert torch.equal(larger.decoder.linear.weight, model.decoder.linear.weight)
    assert larger.decoder.linear.weight is not model.decoder.linear.weight
    assert larger(torch.rand(1, 3, 48, 48), torch.rand(1, 24, 24) < 0.5)[0].isfinite()


def test_a_network_that_takes_any_size_is_left_alone():
    encoder = ConvEncoder()
    assert resize(encoder, 48) is encoder
    model = SimMIM.preset("article_cnn")
    assert resize(model, 48) is model


def test_a_model_of_this_size_is_left_alone():
    model = SimMIM(vit(), TransformerDecoder(16, 4, (4, 4)))
    assert resize(model, 16) is model


@pytest.mark.parametrize(
    ("model", "size", "said"),
    [
        (vit, 18, "patches of 4 pixels do not tile an image of 18 x 18"),
        (
            lambda: SwinEncoder(48, 4, 8, (2,), (1,), window=6),
            28,
            "windows of 6 tokens do not tile a grid of 7 x 7",
        ),
        (SwinEncoder, 36, "windows of 4 tokens do not tile a grid of 18 x 18"),
        (lambda: SimMIM(vit(), TransformerDecoder(16, 4, (4, 4))), 32, r"resize\(model\.encoder"),
    ],
)
def test_sizes_that_cannot_be_are_refused(model, size, said):
    with pytest.raises(ValueError, match=said):
        resize(model(), size)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("vit_tiny_patch16_224", 48, {}),
        ("convnext_atto", 64, {}),
        ("swin_tiny_patch4_window7_224", 96, {"window_size": 4, "embed_dim": 24, "num_heads": (1, 2, 4, 8)}),
    ],
)
def test_encoders_of_timm_take_another_size(name, size, options):
    pytest.importorskip("timm", reason="needs timm: pip install 'simmim-lab[hub]'")
    encoder = TimmEncoder(name, 32, **options)
    resized = resize(encoder, size)
    assert resized.image_size == (size, size)
    assert resized(torch.rand(1, 3, size, size), torch.rand(1, *resized.grid) < 0.5).isfinite().all()
    changed = {
        name
        for name, tensor in encoder.state_dict().items()
        if tensor.shape != resized.state_dict()[name].shape or not torch.equal(tensor, resized.state_dict()[name])
    }
    assert all(name.endswith(("pos_embed", "relative_position_bias_table")) for name in changed)
