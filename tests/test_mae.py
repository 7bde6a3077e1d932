"""MAE: its encoder sees visible patches alone, and is transformers' with the same weights; guided masks."""

import pytest
import torch
from einops import rearrange
from safetensors.torch import load_file
from tiny_model import assert_same, noise, weights

from simmim_lab.decoders import TransformerDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.guided import attention_map, error_map, guided_mask, hardest_mask
from simmim_lab.mae import VisibleEncoder, keep_visible, put_back
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.probing import features
from simmim_lab.published import TRANSFORMERS_VIT, pack_qkv, rename_keys
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, pretrain

GRID = (3, 5)


def mae(grid=GRID) -> SimMIM:
    """A small one, with patches of 4 pixels, whose weights are nowhere 0 or 1."""
    torch.manual_seed(0)
    encoder = VisibleEncoder((4 * grid[0], 4 * grid[1]), patch=4, dim=24, depth=2, heads=3)
    model = SimMIM(encoder, TransformerDecoder(24, 4, grid, width=16, depth=1, heads=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def pictures(count: int, grid=GRID) -> torch.Tensor:
    return torch.rand(count, 3, 4 * grid[0], 4 * grid[1], generator=torch.Generator().manual_seed(1))


def test_the_visible_tokens_keep_their_order_and_go_back_to_their_places():
    tokens = torch.arange(2 * 6.0).view(2, 6, 1).requires_grad_()
    mask = torch.tensor([[[True, False, True], [True, True, False]], [[False, True, True], [False, True, True]]])
    visible = keep_visible(tokens, mask)
    assert visible.flatten(1).tolist() == [[1, 5], [6, 9]]
    token = torch.tensor([-1.0], requires_grad=True)
    everything = put_back(visible, mask, token)
    assert everything.flatten(1).tolist() == [[-1, 1, -1, -1, -1, 5], [6, -1, -1, 9, -1, -1]]
    everything.sum().backward()
    assert torch.equal(tokens.grad.flatten(1), (~mask).flatten(1).float()) and token.grad.item() == mask.sum()


def test_a_mask_that_shows_more_of_one_image_is_refused():
    mask = torch.zeros(2, *GRID, dtype=torch.bool)
    mask[0, :2] = True
    with pytest.raises(ValueError, match=r"same number .* but shows from 5 to 15: .* random_mask"):
        mae()(pictures(2), mask)


@torch.no_grad()
def test_the_encoder_sees_visible_pixels_alone():
    model, images, mask = mae(), pictures(4), random_mask(4, GRID, 0.6)
    hidden = to_pixels(mask, 4)[:, None]
    found = model.encoder(images, mask)
    assert torch.equal(found, model.encoder(torch.where(hidden, 9.0, images), mask))
    seen = rearrange(found, "b dim rows cols -> b rows cols dim")[~mask]
    changed = rearrange(model.encoder(images + 0.1, mask), "b dim rows cols -> b rows cols dim")
    assert ((changed[~mask] - seen).abs().amax(1) > 1e-3).all()
    assert torch.equal(changed[mask], model.encoder.mask_token.expand(int(mask.sum()), -1))


def test_the_blocks_work_on_visible_tokens_and_the_decoder_on_all():
    model, counts = mae(), []
    for block in (*model.encoder.blocks, *model.decoder.blocks):
        block.register_forward_pre_hook(lambda module, arguments: counts.append(arguments[0].shape[1]))
    model(pictures(2), random_mask(2, GRID, 0.6))
    assert counts == [6, 6, 15]


@torch.no_grad()
def test_with_nothing_hidden_it_is_a_vit():
    model, images = mae(), pictures(3)
    vit = ViTEncoder((12, 20), 4, 24, 2, 3, positions="absolute")
    vit.load_state_dict(model.encoder.state_dict())
    torch.testing.assert_close(model.encoder(images), vit(images))
    torch.testing.assert_close(model.encoder(images, torch.zeros(3, *GRID, dtype=torch.bool)), vit(images))
    normalised = (images - model.mean) / model.std
    assert torch.equal(features(model, images, cells=1), vit(normalised).mean((2, 3)))


@torch.no_grad()
def test_with_everything_hidden_all_images_look_alike():
    filled = mae().predict(pictures(2), torch.ones(2, *GRID, dtype=torch.bool))
    assert torch.equal(filled[0], filled[1]) and filled.isfinite().all()


def test_it_trains_and_is_loaded_again_as_any_simmim(tmp_path):
    torch.manual_seed(0)
    encoder = VisibleEncoder(image_size=16, patch=4, dim=32, depth=1, heads=2)
    model = SimMIM(encoder, TransformerDecoder(32, 4, encoder.grid, width=16, depth=1, heads=2))
    start = weights(model)
    pretrain(model, noise(), Recipe(steps=3, batch_size=8), progress=False)
    assert all(
        not torch.equal(tensor, start[name]) for name, tensor in weights(model).items() if "bias" not in name
    )
    model.save(tmp_path)
    again = SimMIM.load(tmp_path)
    assert isinstance(again.encoder, VisibleEncoder) and again.config == model.config
    assert_same(weights(model), weights(again))
    images, mask = noise().take(4), random_mask(4, (4, 4), 0.75)
    filled, visible = again.reconstruct(images, mask), ~to_pixels(mask, 4)[:, None].expand_as(images)
    assert torch.equal(filled[visible], images[visible]) and (filled != images)[~visible].any()


def test_its_predictions_and_losses_are_those_of_transformers(tmp_path):
    """But for the class token, which theirs has and takes along: here it is left out of their blocks."""
    transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'simmim-lab[hub]'")
    torch.manual_seed(0)
    config = transformers.ViTMAEConfig(
        image_size=20,
        patch_size=4,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=96,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=64,
        layer_norm_eps=1e-6,
        mask_ratio=0.6,
    )
    theirs, ours = transformers.ViTMAEForPreTraining(config).eval(), mae((5, 5))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.1 * torch.randn_like(parameter)

    def without_class_token(module, arguments):
        return arguments[0][:, 1:], *arguments[1:]

    def with_class_token(module, arguments, output):
        return torch.cat([torch.zeros_like(output[:, :1]), output], dim=1)

    for layers, norm in (
        (theirs.vit.get_submodule("layers"), theirs.vit.layernorm),
        (theirs.decoder.decoder_layers, theirs.decoder.decoder_norm),
    ):
        layers[0].register_forward_pre_hook(without_class_token)
        norm.register_forward_hook(with_class_token)

    theirs.save_pretrained(tmp_path)  # in memory the names are others
    state = rename_keys(load_file(tmp_path / "model.safetensors"), THEIR_NAMES)
    for block in {name.partition("attention.query.")[0] for name in state if "attention.query." in name}:
        parts = [f"{block}attention.{part}." for part in ("query", "key", "value")]
        qkv = pack_qkv(*([state.pop(part + kind) for part in parts] for kind in ("weight", "bias")))
        state |= zip((f"{block}attention.qkv.weight", f"{block}attention.qkv.bias"), qkv, strict=True)
    state["encoder.positions"] = state["encoder.positions"][0, 1:].unflatten(0, (5, 5))
    state["decoder.positions"] = state["decoder.positions"][0, 1:].unflatten(0, (5, 5)).permute(2, 0, 1)
    for name in ("decoder.head.linear.weight", "decoder.head.linear.bias"):  # theirs has the colour last
        state[name] = rearrange(state[name], "(p q c) ... -> (c p q) ...", p=4, q=4)
    for name in ("decoder.embed.weight", "decoder.head.linear.weight"):
        state[name] = state[name][..., None, None]
    del state["encoder.cls_token"], state["decoder.mask_token"]
    ours.load_state_dict(state | {"encoder.mask_token": ours.encoder.mask_token})

    images, mask = pictures(3, (5, 5)), random_mask(3, (5, 5), 0.6)
    with torch.no_grad():
        theirs.decoder.mask_token.copy_(ours.decoder.embed(ours.encoder.mask_token[:, None, None]).flatten())
        loss, prediction = ours(images, mask)
        output = theirs((images - ours.mean) / ours.std, noise=mask.flatten(1).float())
    predicted = rearrange(output.logits, "b (rows cols) (p q c) -> b c (rows p) (cols q)", rows=5, p=4, q=4, c=3)
    torch.testing.assert_close(prediction, predicted, rtol=0, atol=1e-5)
    torch.testing.assert_close(loss, output.loss, rtol=0, atol=1e-5)
    assert prediction.std() > 0.1 and (prediction[0] - prediction[1]).abs().mean() > 0.01


THEIR_NAMES = {
    "decoder.decoder_layers.": "decoder.blocks.",  # transformers 4
    "decoder.decoder_encoder.layer.": "decoder.blocks.",  # transformers 5
    "decoder.decoder_pos_embed": "decoder.positions",
    "decoder.decoder_pred.": "decoder.head.linear.",
    "decoder.decoder_": "decoder.",
    **TRANSFORMERS_VIT,
}


def test_the_hardest_patches_are_hidden_and_others_by_chance():
    score = torch.arange(15.0).view(1, 3, 5).repeat(200, 1, 1)
    assert torch.equal(hardest_mask(score, 0.4).flatten(1), score.flatten(1) >= 9)
    generator = torch.Generator().manual_seed(0)
    mask = guided_mask(score, 0.6, 0.5, generator=generator).flatten(1)
    assert (mask.sum(1) == 9).all() and mask[:, 10:].all()  # ceil(0.3 x 15) = 5 for their score
    often = mask[:, :10].float().mean(0)
    assert ((often > 0.25) & (often < 0.55)).all()  # and 4 of the 10 others
    assert torch.equal(guided_mask(score, 0.6, 1.0), hardest_mask(score, 0.6))
    same = (guided_mask(score, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(*same)
    chance = guided_mask(score, 0.6, 0.0, generator=generator).flatten(1).float().mean(0)
    assert ((chance > 0.45) & (chance < 0.75)).all()


def test_an_error_map_guesses_each_patch_from_half_of_the_others():
    model, images = mae(), pictures(2)
    errors = error_map(model, images, generator=torch.Generator().manual_seed(0))
    half = random_mask(2, GRID, 0.5, generator=torch.Generator().manual_seed(0))
    for mask in (half, ~half):
        wrong = (model.reconstruct(images, mask) - images).square()
        for image, row, col in mask.nonzero().tolist():
            patch = wrong[image, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
            torch.testing.assert_close(errors[image, row, col], patch.mean())
    assert errors.shape == (2, *GRID) and not errors.requires_grad and (errors > 0).all()


@torch.no_grad()
@pytest.mark.parametrize("cls_token", [False, True])
def test_an_attention_map_says_where_the_last_block_looks(cls_token):
    torch.manual_seed(0)
    encoder = ViTEncoder((12, 20), 4, 24, depth=1, heads=2, positions="absolute", cls_token=cls_token)
    model = SimMIM(encoder, TransformerDecoder(24, 4, GRID))
    encoder.positions[1, 2] = 50 * torch.randn(24)
    [block] = encoder.blocks
    query, key, _ = block.attention.qkv.weight.chunk(3)
    query.zero_()
    block.attention.qkv.bias[:24] = key @ block.norm1(encoder.positions[1, 2])  # what all tokens look for
    looked_at = attention_map(model, pictures(2))
    assert looked_at.shape == (2, *GRID) and (looked_at.flatten(1).argmax(1) == 7).all()
    others = looked_at.sum((1, 2))
    assert (others < 1).all() if cls_token else torch.allclose(others, torch.ones(2))
