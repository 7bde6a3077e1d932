"""Published weights: what is read from other programs, what goes back, and what is refused with a reason."""

import argparse
import json
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from simmim_lab import published
from simmim_lab.backbones import TimmEncoder
from simmim_lab.decoders import DeconvDecoder, LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.masking import random_mask
from simmim_lab.published import (
    PUBLISHED,
    from_official,
    from_transformers,
    load_published,
    pack_qkv,
    rename_keys,
    to_official,
    to_transformers,
)
from simmim_lab.simmim import SimMIM
from simmim_lab.swin import SwinEncoder


def model_of(kind: type[torch.nn.Module], **options) -> SimMIM:
    """A SimMIM in which nothing is 0 or 1 any more: a missing bias or norm would not show."""
    torch.manual_seed(0)
    encoder = kind(**options)
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1").eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.1 * torch.randn_like(weights)
    return model


def swin(**sizes) -> SimMIM:
    return model_of(SwinEncoder, **{"embed_dim": 8, **sizes})


def vit(**options) -> SimMIM:
    sizes = {"image_size": 16, "patch": 4, "dim": 16, "depth": 2, "heads": 2}
    return model_of(
        ViTEncoder, **{**sizes, "positions": "relative", "layer_scale": 0.1, "cls_token": True, **options}
    )


def normalised() -> SimMIM:
    encoder = SwinEncoder(embed_dim=8)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), normalize_patch=4)


TRANSFORMERS = {
    "swin": swin,
    "swin of three stages": lambda: swin(image_size=48, depths=(1, 2, 1), heads=(1, 2, 4), window=3),
    "swin for wide images": lambda: swin(image_size=(32, 64)),
    "vit": lambda: vit(positions="absolute", layer_scale=None),
    "vit with its own eps": lambda: vit(positions="absolute", layer_scale=None, eps=1e-12),
}
OFFICIAL = {
    "swin": swin,
    "swin of another size": lambda: swin(image_size=64, patch=4, window=8),
    "swin with a last stage smaller than its windows": lambda: swin(depths=(2, 2, 1), heads=(1, 2, 4)),
    "vit": vit,
    "vit with both positions": lambda: vit(positions="both", layer_scale=None),
}


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


# There and back


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_and_back_changes_no_bit(name):
    model = TRANSFORMERS[name]()
    config, weights = to_transformers(model)
    back = from_transformers(json.loads(json.dumps(config)), weights)
    assert back.config == model.config
    assert_equal(back.state_dict(), model.state_dict())
    assert_equal(to_transformers(back)[1], weights)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_layout_and_back_changes_no_bit_but_the_bias_of_keys(name):
    model = OFFICIAL[name]()
    weights = to_official(model)
    back = from_official(weights)
    assert back.config == model.config
    assert_equal(to_official(back), weights)
    for name, tensor in back.state_dict().items():
        whole = model.state_dict()[name]
        if name.endswith("qkv.bias") and isinstance(model.encoder, ViTEncoder):
            (query, key, value), (_, zeros, _) = whole.chunk(3), tensor.chunk(3)
            assert key.any() and not zeros.any()
            whole = torch.cat([query, zeros, value])
        assert torch.equal(tensor, whole), name


def test_the_bias_of_keys_says_nothing():
    model = vit()
    images, mask = torch.rand(2, 3, 16, 16), random_mask(2, (4, 4), 0.6)
    expected, found = (some(images, mask)[1] for some in (model, from_official(to_official(model)).eval()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_names_of_the_official_code():
    """As its `models/` have them: written down here, because a slip in a table would show nowhere else."""
    block = "norm1.{} attn.proj.{} norm2.{} mlp.fc1.{} mlp.fc2.{}".replace("{}", "weight {}").split()
    names = set(to_official(swin()))
    assert {"encoder.mask_token", "encoder.norm.weight", "decoder.0.weight", "decoder.0.bias"} <= names
    assert {f"encoder.patch_embed.{part}.bias" for part in ("proj", "norm")} <= names
    assert {f"encoder.layers.0.downsample.{part}.weight" for part in ("norm", "reduction")} <= names
    assert {f"encoder.layers.1.blocks.3.{name}" for name in block if "{" not in name} <= names
    attention = ("qkv.weight", "qkv.bias", "relative_position_bias_table", "relative_position_index")
    assert {f"encoder.layers.0.blocks.0.attn.{name}" for name in attention} <= names
    assert {name for name in names if "mask" in name} == {
        "encoder.mask_token",
        *(f"encoder.layers.{stage}.blocks.{block}.attn_mask" for stage, block in ((0, 1), (1, 1), (1, 3))),
    }

    names = set(to_official(vit(positions="both")))
    assert {"encoder.cls_token", "encoder.mask_token", "encoder.pos_embed", "encoder.norm.bias"} <= names
    assert {f"encoder.rel_pos_bias.relative_position_{part}" for part in ("bias_table", "index")} <= names
    parts = ("q_bias", "v_bias", "qkv.weight", "proj.weight", "proj.bias")
    assert {f"encoder.blocks.1.attn.{name}" for name in parts} == {
        name for name in names if name.startswith("encoder.blocks.1.attn.")
    }
    assert {"encoder.blocks.0.gamma_1", "encoder.blocks.0.gamma_2"} <= names


def test_the_official_files_say_their_size_and_without_masks_it_is_192():
    weights = {name: tensor for name, tensor in to_official(swin()).items() if not name.endswith("attn_mask")}
    weights = {name: tensor for name, tensor in weights.items() if "_index" not in name}
    assert from_official(weights, image_size=64).image_size == (64, 64)
    assert from_official(weights).image_size == (192, 192)


def test_weights_of_16_bits_and_old_buffers_are_read(tmp_path):
    model = swin()
    config, weights = to_transformers(model)
    weights = {name: tensor.half() for name, tensor in weights.items()}
    weights["swin.encoder.layers.0.blocks.0.attention.self.relative_position_index"] = torch.zeros(16, 16).long()
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name, tensor in load_published(tmp_path).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].half().float()), name


# What the course or the others do not have


@pytest.mark.parametrize(
    ("model", "transformers", "official"),
    [
        (lambda: SimMIM.preset("vit_nano"), "no layer scale, but this one has positions 'both'", "a class token"),
        (lambda: vit(), "absolute positions", ""),
        (lambda: vit(positions="absolute"), "layer_scale 0.1", "has relative positions and a class token"),
        (lambda: swin(depths=(2, 2, 1), heads=(1, 2, 4), window=8), "only 4 tokens in its last stage", ""),
        (lambda: SimMIM.preset("article_cnn"), "not ConvEncoder with DeconvDecoder", "not ConvEncoder"),
        (lambda: SimMIM(SwinEncoder(), DeconvDecoder(64, 4)), "not SwinEncoder with DeconvDecoder", "not Swin"),
        (lambda: swin(image_size=(32, 64)), "", "for square images"),
        (lambda: vit(eps=1e-2), "has absolute positions", "has eps 1e-06, but this one has 0.01"),
        (normalised, "predicts normalised patches", "predicts normalised patches"),
    ],
)
def test_what_others_do_not_have_is_said(model, transformers, official):
    model = model()
    for write, said in ((to_transformers, transformers), (to_official, official)):
        if said:
            with pytest.raises(ValueError, match=said):
                write(model)
        else:
            write(model)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "swinv2"}, "reads swin and vit, not 'swinv2'"),
        ({"model_type": "vit_mae"}, "not 'vit_mae'"),
        ({"num_channels": 1}, "has num_channels 3, but this one has 1"),
        ({"hidden_act": "relu"}, "hidden_act 'gelu', but this one has 'relu'"),
        ({"use_absolute_embeddings": True}, "use_absolute_embeddings False"),
        ({"layer_norm_eps": 1e-6}, "layer_norm_eps 1e-05, but this one has 1e-06"),
        ({"embed_dim": None}, "no swin has such a configuration"),
        ({"image_size": "large"}, "no swin has such a configuration"),
        ({"patch_size": 0}, "no swin has such a configuration"),
        ({"depths": [2, 2]}, r"the model has no swin\.encoder\.layers\.1\.blocks\.[23]\.\S+ \(and \d+ more\)$"),
        (
            {"window_size": 2},
            r"relative_position_bias_table has shape \(49, [12]\), but the model needs \(9, [12]\)",
        ),
        ({"window_size": 5}, "windows of 5 tokens do not tile"),
    ],
)
def test_another_configuration_is_refused(changes, said):
    config, weights = to_transformers(swin())
    with pytest.raises(ValueError, match=said):
        from_transformers({**config, **changes}, weights)


TABLE = "encoder.layers.0.blocks.0.attn.relative_position_bias_table"


def changed(change: Callable[[dict], object]) -> dict[str, torch.Tensor]:
    weights = to_official(swin())
    change(weights)
    return weights


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda w: w.pop("encoder.layers.0.blocks.0.attn.proj.bias"),
            r"layers\.0\.blocks\.0\.attn\.proj\.bias is mi",
        ),
        (lambda w: w.update(extra=torch.ones(1)), "the model has no extra"),
        (
            lambda w: w.update({"decoder.0.bias": torch.ones(3)}),
            r"decoder\.0\.bias has shape \(3,\), but the model",
        ),
        (lambda w: w.pop("encoder.patch_embed.proj.weight"), r"patch_embed\.proj\.weight is missing"),
        (lambda w: w.update({"encoder.patch_embed.proj.weight": torch.ones(8, 1, 2, 2)}), "images of 1 channels"),
        (lambda w: w.update({"encoder.patch_embed.proj.weight": torch.ones(8)}), "sizes cannot be read off"),
        (lambda w: w.update({TABLE: torch.tensor(1.0)}), "sizes cannot be read off"),
        (lambda w: w.pop("decoder.0.weight"), "no SimMIM of the official code"),
    ],
)
def test_official_weights_are_read_strictly(change, said):
    with pytest.raises(ValueError, match=said):
        from_official(changed(change))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["encoder.layers.0.blocks.0.attn.logit_scale", "decoder.0.weight"], "SwinV2"),
        (["encoder.layers.0.blocks.0.attn.rpe_mlp.0.weight", "encoder.mask_token"], "SwinV2"),
        (["mask_token", "decoder_embed.weight", "blocks.0.norm1.weight"], "an MAE"),
        (["backbone.stages.0.blocks.0.norm1.weight"], "MMPretrain"),
        (["layers.0.blocks.0.norm1.weight", "head.weight"], "a classifier, fine-tuned and without a decoder"),
        (["patch_embed.proj.weight", "blocks.0.norm1.weight"], "an encoder alone, without mask token and decoder"),
        (["swin.embeddings.mask_token", "decoder.0.weight"], "take its whole folder"),
        (["encoder.stages.0.blocks.0.norm1.weight", "decoder.linear.weight"], "SimMIM.load"),
        (["module.encoder.mask_token"], "inside of another one"),
        (["something"], "begin with encoder or decoder$"),
    ],
)
def test_another_layout_is_recognised(names, said):
    with pytest.raises(ValueError, match=said):
        from_official({name: torch.ones(2, 2) for name in names})


def test_a_classifier_of_transformers_and_names_in_memory_are_recognised():
    config, weights = to_transformers(swin())
    classifier = {name: tensor for name, tensor in weights.items() if not name.startswith("decoder")}
    with pytest.raises(ValueError, match="a classifier, fine-tuned and without a decoder"):
        from_transformers(config, classifier | {"classifier.weight": torch.ones(2, 16)})
    in_memory = rename_keys(weights, {"self.query": "q_proj"})
    with pytest.raises(ValueError, match="take the file that its save_pretrained writes"):
        from_transformers(config, in_memory)


# Files


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A file as the official code saves it: weights in the middle of objects of yacs and NumPy."""
    yacs = ModuleType("yacs.config")
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    yacs.CfgNode = node
    config = node(MODEL=node(TYPE="swin"), DATA=node(IMG_SIZE=32))
    config.__dict__["__immutable__"] = True
    optimizer = {"state": {0: {"exp_avg": torch.ones(3), "step": 7}}, "param_groups": [{"lr": np.float64(1e-3)}]}
    content = {
        "model": to_official(swin()),
        "optimizer": optimizer,
        "max_accuracy": np.float32(0.5),
        "config": config,
        "args": argparse.Namespace(output_dir="x"),
    }
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", yacs)
        torch.save(content, tmp_path / "ckpt_epoch_99.pth")
    return tmp_path / "ckpt_epoch_99.pth"


def test_a_checkpoint_of_the_official_code_is_read_without_its_libraries(checkpoint):
    assert "yacs.config" not in sys.modules
    assert_equal(load_published(checkpoint).state_dict(), swin().state_dict())
    load_published(str(checkpoint))


class Evil:
    ran = False

    def __reduce__(self):
        return setattr, (Evil, "ran", True)


class Worse:
    def __reduce__(self):
        import os

        return os.mkdir, ("it-ran",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"model": {"encoder.mask_token": torch.ones(1), "evil": Evil()}},
            r"names code, \S*setattr, which was not",
        ),
        ({"model": to_official(swin()), "config": Worse()}, r"names code, \S*mkdir, which was not run"),
        ({"model": "words"}, "holds no tensors by name"),
        ([1, 2], "holds no tensors by name"),
        ({"epoch": 3}, "holds no tensors by name"),
        ({}, "holds no tensors by name"),
    ],
)
def test_a_file_that_holds_more_than_weights_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=said) as caught:
        load_published(tmp_path / "file.pth")
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert not Evil.ran


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_named(checkpoint, suffix, share):
    path = checkpoint.with_suffix(suffix)
    if suffix == ".safetensors":
        save_file(to_official(swin()), path)
    content = checkpoint.read_bytes() if suffix != ".safetensors" else path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"is damaged or holds no weights") as caught:
        load_published(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_was_changed_is_named(checkpoint):
    checkpoint.write_bytes(b"these are no weights, but a text that is long enough to look at")
    with pytest.raises(ValueError, match=r"is damaged or holds no weights"):
        load_published(checkpoint)


def test_a_folder_must_be_one_of_transformers(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold config\.json and model\.safetensors"):
        load_published(tmp_path)
    config, weights = to_transformers(swin())
    torch.save(weights, tmp_path / "pytorch_model.bin")
    for text in ("{", "[1, 2]"):
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"config\.json is damaged"):
            load_published(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert_equal(load_published(tmp_path).state_dict(), swin().state_dict())


# The Hugging Face Hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the downloader: it serves what lies in a folder, and notes what it was asked for."""
    errors = pytest.importorskip("huggingface_hub.errors", reason="needs huggingface_hub: simmim-lab[hub]")
    asked = []

    def hf_hub_download(repo: str, file: str) -> str:
        asked.append((repo, file))
        if not (tmp_path / file).is_file():
            raise errors.EntryNotFoundError(f"404 Client Error.\nNot found: {file}")
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    return tmp_path, asked


def test_what_was_shared_by_a_learner_is_downloaded_and_read(hub):
    folder, asked = hub
    model = swin()
    model.save(folder)
    assert_equal(load_published("somebody/simmim").state_dict(), model.state_dict())
    assert asked[-2:] == [("somebody/simmim", "model.json"), ("somebody/simmim", "model.safetensors")]


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_model_of_the_hub_is_downloaded_and_read(hub, file):
    folder, asked = hub
    config, weights = to_transformers(swin())
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (save_file if file.endswith("safetensors") else torch.save)(weights, folder / file)
    assert_equal(load_published("simmim_swin_base").state_dict(), swin().state_dict())
    assert_equal(load_published("somebody/some-thing.2").state_dict(), swin().state_dict())
    assert {repo for repo, _ in asked} == {PUBLISHED["simmim_swin_base"], "somebody/some-thing.2"}
    assert ("somebody/some-thing.2", file) in asked


def test_a_download_that_fails_says_what_to_do_and_asks_no_more(hub, monkeypatch):
    asked = []

    def offline(repo: str, file: str):
        asked.append(file)
        raise ConnectionError("no route to host.\nand more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(FileNotFoundError, match=r"Hugging Face Hub \(ConnectionError: no route to host\): check"):
        load_published("runs/nano")
    assert asked == ["config.json"]
    with pytest.raises(FileNotFoundError, match=r"no file or folder simmim_swin: give .* or simmim_swin_base"):
        load_published("simmim_swin")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'simmim-lab\[hub\]'"):
        load_published("simmim_swin_base")


# Steps


def test_rules_apply_in_their_order_and_names_stay_apart():
    weights = {"a.norm": torch.ones(1), "b": torch.zeros(1)}
    assert [*rename_keys(weights, {"a.": "c.", "c.norm": "d"})] == ["d", "b"]
    with pytest.raises(ValueError, match="two tensors would be called b"):
        rename_keys(weights, {"a.norm": "b"})


def test_every_table_can_be_read_backwards():
    for rules in (
        published.TRANSFORMERS_SWIN,
        published.TRANSFORMERS_VIT,
        published.OFFICIAL_SWIN,
        published.OFFICIAL_VIT,
    ):
        assert len(set(rules.values())) == len(rules)


def test_query_key_and_value_lie_below_each_other():
    parts = [torch.full((2, 3), float(i)) for i in range(3)]
    weight, bias = pack_qkv(parts, [torch.ones(2), None, torch.full((2,), 3.0)])
    assert weight[:, 0].tolist() == [0, 0, 1, 1, 2, 2] and bias.tolist() == [1, 1, 0, 0, 3, 3]


def test_timm_has_the_official_names():
    """But for the merging of patches, which opens a stage there: another witness that the names are right."""
    pytest.importorskip("timm", reason="needs timm: pip install 'simmim-lab[hub]'")
    model = swin(image_size=64, patch=4, embed_dim=16)
    sizes = {"embed_dim": 16, "depths": (2, 4), "num_heads": (1, 2), "window_size": 4}
    theirs = TimmEncoder("swin_tiny_patch4_window7_224", 64, **sizes).eval()
    weights = rename_keys(to_official(model), {"encoder.": "", "layers.0.downsample": "layers.1.downsample"})
    own = theirs.backbone.state_dict().keys()
    theirs.backbone.load_state_dict({name: tensor for name, tensor in weights.items() if name in own})
    theirs.mask_token.data = weights["mask_token"].flatten()
    images, mask = torch.rand(2, 3, 64, 64), random_mask(2, (16, 16), 0.6)
    torch.testing.assert_close(theirs(images, mask), model.encoder(images, mask), rtol=0, atol=1e-5)


def test_a_file_of_safetensors_of_the_official_layout_is_read(tmp_path):
    save_file(to_official(vit()), tmp_path / "vit.safetensors")
    assert_equal(
        to_official(load_published(tmp_path / "vit.safetensors")), load_file(tmp_path / "vit.safetensors")
    )
