"""Published weights: SimMIM as transformers and as the official code save it, in and out (lesson 10).

    model = load_published("simmim_swin_base")          # downloaded once, then kept
    model = load_published("simmim_pretrain__vit_base__img224__800ep.pth")
    config, weights = to_transformers(model)

Both are the course's networks under other names: a table of rules per layout says which. What a rule cannot say is
how tensors are packed: query, key and value as one map or as three, tokens with a batch of one around them.
Weights are loaded strictly: a tensor that is missing, left over or of another shape is an error that names it.
Source: transformers' `modeling_swin.py` and `modeling_vit.py`, SimMIM's `models/` and `utils.py`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.files import misfit, read_weights
from simmim_lab.shapes import Grid
from simmim_lab.simmim import SimMIM
from simmim_lab.swin import SwinBlock, SwinEncoder

Weights = dict[str, Tensor]

PUBLISHED = {
    "simmim_swin_base": "microsoft/swin-base-simmim-window6-192",
    "simmim_swin_large": "microsoft/swin-large-simmim-window12-192",
}
LAYOUTS = [  # files of a repository: of transformers, of its older versions, and of the course
    ("config.json", "model.safetensors"),
    ("config.json", "pytorch_model.bin"),
    ("model.json", "model.safetensors"),
]
PRETRAINING_SIZE = 192  # pixels: of the official Swins, if a file does not say it

OFFICIAL_EPS = 1e-6  # of the official ViT's LayerNorms
NO_SIZES = (
    ArithmeticError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)  # what comes of sizes that cannot be

# Names, theirs to ours. A merging of patches closes a stage there, and is a stage of its own here.
_STAGES = range(9)
TRANSFORMERS_SWIN = {
    "swin.embeddings.patch_embeddings.projection.": "encoder.patch_embed.",
    "swin.embeddings.norm.": "encoder.patch_norm.",
    "swin.embeddings.mask_token": "encoder.mask_token",
    "swin.layernorm.": "encoder.norm.",
    **{f"swin.encoder.layers.{i}.downsample.": f"encoder.stages.{2 * i + 1}." for i in _STAGES},
    **{f"swin.encoder.layers.{i}.": f"encoder.stages.{2 * i}." for i in _STAGES},
    "reduction.": "reduce.",
    "layernorm_before.": "norm1.",
    "layernorm_after.": "norm2.",
    "attention.self.relative_position_bias_table": "relative.table",
    "attention.self.query.": "attention.query.",
    "attention.self.key.": "attention.key.",
    "attention.self.value.": "attention.value.",
    "attention.output.dense.": "attention.project.",
    "intermediate.dense.": "mlp.0.",
    "output.dense.": "mlp.2.",
    "decoder.0.": "decoder.linear.",
}
TRANSFORMERS_VIT = {
    "vit.embeddings.patch_embeddings.projection.": "encoder.patch_embed.",
    "vit.embeddings.position_embeddings": "encoder.positions",
    "vit.embeddings.mask_token": "encoder.mask_token",
    "vit.embeddings.cls_token": "encoder.cls_token",
    "vit.layernorm.": "encoder.norm.",
    "vit.encoder.layer.": "encoder.blocks.",
    "layernorm_before.": "norm1.",
    "layernorm_after.": "norm2.",
    "attention.attention.query.": "attention.query.",
    "attention.attention.key.": "attention.key.",
    "attention.attention.value.": "attention.value.",
    "attention.output.dense.": "attention.project.",
    "intermediate.dense.": "mlp.0.",
    "output.dense.": "mlp.2.",
    "decoder.0.": "decoder.linear.",
}
_OFFICIAL_BLOCK = {
    "attn.qkv.": "attention.qkv.",
    "attn.proj.": "attention.project.",
    "mlp.fc1.": "mlp.0.",
    "mlp.fc2.": "mlp.2.",
    "decoder.0.": "decoder.linear.",
}
OFFICIAL_SWIN = {
    "encoder.patch_embed.norm.": "encoder.patch_norm.",
    "encoder.patch_embed.proj.": "encoder.patch_embed.",
    **{f"encoder.layers.{i}.downsample.": f"encoder.stages.{2 * i + 1}." for i in _STAGES},
    **{f"encoder.layers.{i}.": f"encoder.stages.{2 * i}." for i in _STAGES},
    "reduction.": "reduce.",
    "attn.relative_position_bias_table": "relative.table",
    "attn.relative_position_index": "relative.index",
    "attn_mask": "strangers",
    **_OFFICIAL_BLOCK,
}
OFFICIAL_VIT = {
    "encoder.patch_embed.proj.": "encoder.patch_embed.",
    "encoder.pos_embed": "encoder.positions",
    "rel_pos_bias.relative_position_bias_table": "relative.table",
    "rel_pos_bias.relative_position_index": "relative.index",
    "gamma_1": "scale1.factor",
    "gamma_2": "scale2.factor",
    "attn.q_bias": "attention.query.bias",
    "attn.v_bias": "attention.value.bias",
    **_OFFICIAL_BLOCK,
}
BUFFERS = ("relative_position_index", "attn_mask")  # end the names of what follows from the sizes

# What transformers can change in its configuration, and the course's networks have in one way.
FIXED = {
    "swin": {
        "num_channels": 3,
        "mlp_ratio": 4,
        "qkv_bias": True,
        "hidden_act": "gelu",
        "use_absolute_embeddings": False,
        "layer_norm_eps": 1e-5,
    },
    "vit": {"num_channels": 3, "qkv_bias": True, "hidden_act": "gelu"},
}

# What names tell about a file that does not fit: the first pattern found counts.
LOOKS_LIKE = {
    r"cpb_mlp|rpe_mlp|logit_scale|relative_coords_table": "a SwinV2, a network that the course does not have",
    r"decoder_embed|decoder_pred|decoder_pos_embed": "an MAE, whose decoder is a Transformer",
    r"\.[qkvo]_proj\.": "what transformers 5 has in memory: take the file that its save_pretrained writes",
    r"^backbone\.": "a checkpoint of MMPretrain or MMSelfSup",
    r"^model\.|^module\.": "a network inside of another one: take the inner one's state_dict",
    r"(^|\.)(head|classifier|fc_norm)\.": "a classifier, fine-tuned and without a decoder",
    r"^(swin|vit)\.": "transformers': take its whole folder, in which config.json has the sizes",
    r"^encoder\.stages\.|^decoder\.linear\.": "the course's own: load its folder with SimMIM.load",
    r"^(layers|blocks|patch_embed|embeddings)\.": "an encoder alone, without mask token and decoder",
}


def load_published(source: str | Path) -> SimMIM:
    """A pre-trained SimMIM from outside of the course.

    `source` is a key of PUBLISHED, a name of the Hugging Face Hub such as "owner/name", a folder that transformers
    or `save_for_hub` wrote, or a file of the official code, .pth or .safetensors. A download shows a bar, goes on
    after an interruption, and is kept. Only tensors are read from a file, never code.
    Images are normalised with ImageNet's mean and deviation, as in the official training.
    Raises FileNotFoundError for what is not there or cannot be downloaded, ImportError if `huggingface_hub` is
    missing, and ValueError for a file that is damaged, holds code or is of another layout.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return from_official(read_weights(path))
    if not path.is_dir():
        name = PUBLISHED.get(str(source), str(source))
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise FileNotFoundError(
                f"there is no file or folder {source}: give one, a name of the Hugging Face Hub such as "
                f"owner/name, or {' or '.join(PUBLISHED)}"
            )
        path = _download(name)
    if (path / "model.json").is_file():
        return SimMIM.load(path)
    config, files = path / "config.json", [path / "model.safetensors", path / "pytorch_model.bin"]
    weights = next((file for file in files if file.is_file()), None)
    if weights is None or not config.is_file():
        raise FileNotFoundError(f"{path} must hold config.json and model.safetensors, as transformers saves them")
    try:
        sizes = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(sizes, dict):
            raise ValueError("expected names and values")
    except ValueError as error:
        raise ValueError(f"{config} is damaged ({error}): get it again") from error
    return from_transformers(sizes, read_weights(weights))


def from_transformers(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> SimMIM:
    """The SimMIM that transformers' Swin- or ViTForMaskedImageModeling has saved: its config.json and its tensors.

    The names are those of the file: transformers 5 has others in memory. A ViT of transformers adds a position
    to its class token; here both are one vector.
    Raises ValueError for another model, a configuration that the course's networks do not have, and tensors that
    are missing, left over or of another shape.
    """
    kind = config.get("model_type")
    if kind not in FIXED:
        raise ValueError(f"of transformers' models the course reads swin and vit, not {kind!r}")
    for key, value in FIXED[kind].items():
        if config.get(key, value) != value:
            raise ValueError(f"the course's {kind} has {key} {value!r}, but this one has {config[key]!r}")
    try:
        encoder = (_swin_of_config if kind == "swin" else _vit_of_config)(config)
    except NO_SIZES as error:
        raise ValueError(f"no {kind} has such a configuration ({error!r}): get it again") from error
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")
    return _load(model, weights, _as_transformers(model), _rules_of_transformers(model))


def to_transformers(model: SimMIM) -> tuple[dict[str, Any], Weights]:
    """The config.json and the tensors from which transformers loads this model; `from_transformers` reads them.

    Raises ValueError for what transformers does not have: it has a Swin, and a ViT with absolute positions and a
    class token, both with a linear decoder.
    """
    _check_linear(model)
    encoder = model.encoder
    config = (_config_of_swin if isinstance(encoder, SwinEncoder) else _config_of_vit)(encoder)
    height, width = encoder.image_size
    sizes = {
        "image_size": height if height == width else (height, width),
        "patch_size": encoder.patch,
        "encoder_stride": encoder.stride,
        "num_channels": 3,
    }
    return {**config, **sizes}, _as_transformers(model)


def from_official(weights: Mapping[str, Tensor], image_size: int | Grid | None = None) -> SimMIM:
    """The SimMIM that the official code has saved, from the tensors under "model" in its file.

    All sizes are read off the tensors. The size of the images follows from positions, or for a Swin from the
    masks of its shifted windows; a file without these is taken to be for 192 pixels, or for `image_size`.
    Raises ValueError for another layout, and for tensors that are missing, left over or of another shape.
    """
    official = {"encoder.layers.0.blocks.0.norm1.weight": _swin_of_shapes, "encoder.norm.weight": _vit_of_shapes}
    read = next((read for name, read in official.items() if name in weights), None)
    if read is None or "decoder.0.weight" not in weights:
        raise ValueError(
            "this is no SimMIM of the official code, in which names begin with encoder or decoder"
            f"{_looks(weights)}"
        )
    try:
        encoder = read(weights, image_size)
    except NO_SIZES as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"the sizes cannot be read off these tensors: {reason}{_looks(weights)}") from error
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")
    return _load(model, weights, to_official(model), _rules_of_the_official_code(model))


def to_official(model: SimMIM) -> Weights:
    """The tensors of this model as the official code names them; it keeps them under "model" in a file.

    Its ViT has no bias of keys, which is left out: it would add the same number to all scores of a query, and the
    softmax does not see that.
    Raises ValueError for what the official code does not have: it has a Swin, and a ViT with relative positions
    and a class token, both for square images and with a linear decoder.
    """
    _check_linear(model)
    height, width = model.image_size
    if height != width:
        raise ValueError(f"the official code is for square images, but this model for {height} x {width} pixels")
    state, options = _wrap(model.state_dict()), model.encoder.config
    if isinstance(model.encoder, SwinEncoder):
        for name, block in model.encoder.named_modules():
            if isinstance(block, SwinBlock):
                state[f"encoder.{name}.relative.index"] = block.relative.index
                if any(block.shift):
                    state[f"encoder.{name}.strangers"] = -100.0 * block.strangers
    else:
        if options["positions"] == "absolute" or not options["cls_token"]:
            raise ValueError(
                "the official ViT has relative positions and a class token, but this one has positions "
                f"{options['positions']!r} and cls_token {options['cls_token']}"
            )
        if options["eps"] != OFFICIAL_EPS:
            raise ValueError(f"the official ViT has eps {OFFICIAL_EPS}, but this one has {options['eps']}")
        state["encoder.relative.index"] = model.encoder.relative.index
        state = _split(state, "bias")
        state = {name: tensor for name, tensor in state.items() if not name.endswith("attention.key.bias")}
    return rename_keys(state, _backwards(_rules_of_the_official_code(model)))


# Names and packing


def rename_keys(weights: dict[str, Tensor], rules: dict[str, str]) -> dict[str, Tensor]:
    """The same tensors under other names: each rule, old to new, replaces every `old` in a name by `new`.

    The rules apply one after the other, in their order, to all names. They are plain text, not patterns.
    Raises ValueError if two tensors would get the same name.
    """
    renamed = {}
    for name, tensor in weights.items():
        for old, new in rules.items():
            name = name.replace(old, new)
        if name in renamed:
            raise ValueError(f"two tensors would be called {name}: give one of them a rule of its own")
        renamed[name] = tensor
    return renamed


def pack_qkv(
    weights: list[Float[Tensor, "out dim"]], biases: list[Float[Tensor, " out"] | None]
) -> tuple[Float[Tensor, "out3 dim"], Float[Tensor, " out3"]]:
    """Weight and bias of the one linear map that gives query, key and value, in this order, one below the other.

    `weights` and `biases` are those of query, key and value. A bias of None is a map without one: it adds zeros.
    """
    zeros = weights[0].new_zeros(len(weights[0]))
    return torch.cat(weights), torch.cat([zeros if bias is None else bias for bias in biases])


# What the two layouts have in common


def _load(model: SimMIM, weights: Mapping[str, Tensor], wanted: Weights, rules: dict[str, str]) -> SimMIM:
    """Give `model` the weights, which must be those that are wanted; buffers do not count."""
    given, wanted = (
        {name: tensor for name, tensor in tensors.items() if not name.endswith(BUFFERS)}
        for tensors in (weights, wanted)
    )
    if problem := misfit(wanted, given):
        raise ValueError(f"these weights do not fit: {problem}{_looks(given, wanted)}")
    state = _join(rename_keys(given, rules))
    model.load_state_dict({name: state[name].reshape(own.shape) for name, own in model.state_dict().items()})
    return model


def _as_transformers(model: SimMIM) -> Weights:
    state = _split(_wrap(model.state_dict()), "weight", "bias")
    return rename_keys(state, _backwards(_rules_of_transformers(model)))


def _wrap(state: Mapping[str, Tensor]) -> Weights:
    """Tokens and positions with a batch of one around them; the class token gets a position of zeros."""
    state = dict(state)
    for name in ("encoder.mask_token", "encoder.cls_token"):
        if name in state:
            state[name] = state[name][None, None]
    if "encoder.positions" in state:
        positions = rearrange(state["encoder.positions"], "rows cols dim -> 1 (rows cols) dim")
        state["encoder.positions"] = F.pad(positions, (0, 0, 1, 0))
    return state


def _split(state: Mapping[str, Tensor], *kinds: str) -> Weights:
    """Query, key and value apart, of these kinds: "weight", "bias"."""
    apart = {}
    for name, tensor in state.items():
        attention, _, kind = name.partition("qkv.")
        if kind in kinds:
            parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            apart |= {f"{attention}{part}.{kind}": piece.clone() for part, piece in parts}
        else:
            apart[name] = tensor
    return apart


def _join(state: Weights) -> Weights:
    """Undo `_split` and `_wrap`: one map for query, key and value, and no position for the class token."""
    for name in [name for name in state if name.endswith("attention.query.bias")]:
        attention = name.removesuffix("query.bias")
        parts = [f"{attention}{part}" for part in ("query", "key", "value")]
        joined = state.pop(f"{attention}qkv.weight", None)
        weights = [state.pop(f"{part}.weight") for part in parts] if joined is None else [*joined.chunk(3)]
        packed = pack_qkv(weights, [state.pop(f"{part}.bias", None) for part in parts])
        state |= zip((f"{attention}qkv.weight", f"{attention}qkv.bias"), packed, strict=True)
    if "encoder.positions" in state:
        first, *_ = state["encoder.positions"][0]
        state["encoder.cls_token"] = state["encoder.cls_token"].flatten() + first
        state["encoder.positions"] = state["encoder.positions"][0, 1:]
    return state


def _backwards(rules: dict[str, str]) -> dict[str, str]:
    """The rules from our names to theirs: the last one first."""
    return {ours: theirs for theirs, ours in reversed(rules.items())}


def _rules_of_transformers(model: SimMIM) -> dict[str, str]:
    return TRANSFORMERS_SWIN if isinstance(model.encoder, SwinEncoder) else TRANSFORMERS_VIT


def _rules_of_the_official_code(model: SimMIM) -> dict[str, str]:
    return OFFICIAL_SWIN if isinstance(model.encoder, SwinEncoder) else OFFICIAL_VIT


def _check_linear(model: SimMIM) -> None:
    if type(model.encoder) not in (SwinEncoder, ViTEncoder) or not isinstance(model.decoder, LinearDecoder):
        raise ValueError(
            "other programs have the course's ViTEncoder or SwinEncoder with a LinearDecoder, but not "
            f"{type(model.encoder).__name__} with {type(model.decoder).__name__}"
        )
    if model.normalize_patch is not None:
        raise ValueError(
            f"this model predicts normalised patches (normalize_patch {model.normalize_patch}), which other "
            "programs would take for colours"
        )


def _looks(names: Iterable[str], wanted: Iterable[str] = ()) -> str:
    """What the names tell about a file, other than those that were wanted do; as the end of a sentence."""

    def found(pattern: str, among: Iterable[str]) -> bool:
        return any(re.search(pattern, name) for name in among)

    kinds = (kind for pattern, kind in LOOKS_LIKE.items() if found(pattern, names) and not found(pattern, wanted))
    kind = next(kinds, "")
    return kind and f"; it looks like {kind}"


def _swin_of_config(config: Mapping[str, Any]) -> SwinEncoder:
    names = ("image_size", "patch_size", "embed_dim", "depths", "num_heads", "window_size")
    return SwinEncoder(*(config[name] for name in names))


def _vit_of_config(config: Mapping[str, Any]) -> ViTEncoder:
    names = ("image_size", "patch_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    sizes = [config[name] for name in names]
    return ViTEncoder(*sizes, positions="absolute", cls_token=True, eps=config["layer_norm_eps"])


def _config_of_swin(encoder: SwinEncoder) -> dict[str, Any]:
    options = encoder.config
    smallest = min(encoder.grid) // 2 ** (len(options["depths"]) - 1)
    if smallest < options["window"]:
        raise ValueError(
            f"transformers cannot run a Swin with windows of {options['window']} tokens a side and only "
            f"{smallest} tokens in its last stage"
        )
    return {
        "architectures": ["SwinForMaskedImageModeling"],
        "model_type": "swin",
        "embed_dim": options["embed_dim"],
        "depths": list(options["depths"]),
        "num_heads": list(options["heads"]),
        "window_size": options["window"],
    }


def _config_of_vit(encoder: ViTEncoder) -> dict[str, Any]:
    options = encoder.config
    if options["positions"] != "absolute" or options["layer_scale"] or not options["cls_token"]:
        raise ValueError(
            "transformers' ViT has absolute positions, a class token and no layer scale, but this one has "
            f"positions {options['positions']!r}, cls_token {options['cls_token']} and layer_scale "
            f"{options['layer_scale']}"
        )
    return {
        "architectures": ["ViTForMaskedImageModeling"],
        "model_type": "vit",
        "hidden_size": encoder.dim,
        "intermediate_size": 4 * encoder.dim,
        "num_hidden_layers": options["depth"],
        "num_attention_heads": options["heads"],
        "layer_norm_eps": options["eps"],
    }


def _swin_of_shapes(weights: Mapping[str, Tensor], image_size: int | Grid | None) -> SwinEncoder:
    dim, patch = _patches_of_shapes(weights)
    depths = [_count(weights, rf"encoder\.layers\.{i}\.blocks\.\d+\.norm1\.weight") for i in _STAGES]
    depths = depths[: depths.index(0)]
    table = "encoder.layers.{}.blocks.0.attn.relative_position_bias_table"
    heads = [weights[table.format(i)].shape[1] for i in range(len(depths))]
    window = (isqrt(len(weights[table.format(0)])) + 1) // 2
    if image_size is None:
        masks = ((int(name.split(".")[2]), mask) for name, mask in weights.items() if name.endswith("attn_mask"))
        stage, mask = next(masks, (0, None))
        side = isqrt(mask.shape[0]) * isqrt(mask.shape[1]) * 2**stage if mask is not None else 0  # in patches
        image_size = side * patch or PRETRAINING_SIZE
    return SwinEncoder(image_size, patch, dim, tuple(depths), tuple(heads), window)


def _vit_of_shapes(weights: Mapping[str, Tensor], image_size: int | Grid | None) -> ViTEncoder:
    dim, patch = _patches_of_shapes(weights)
    offsets, heads = weights["encoder.rel_pos_bias.relative_position_bias_table"].shape
    side = (isqrt(offsets - 3) + 1) // 2  # three are the class token's
    return ViTEncoder(
        image_size or side * patch,
        patch,
        dim,
        depth=_count(weights, r"encoder\.blocks\.\d+\.norm1\.weight"),
        heads=heads,
        positions="both" if "encoder.pos_embed" in weights else "relative",
        layer_scale=0.1 if "encoder.blocks.0.gamma_1" in weights else None,
        cls_token=True,
    )


def _patches_of_shapes(weights: Mapping[str, Tensor]) -> tuple[int, int]:
    """Channels and side of a patch."""
    dim, channels, patch, _ = weights["encoder.patch_embed.proj.weight"].shape
    if channels != 3:
        raise ValueError(f"it takes images of {channels} channels, but the course's have 3")
    return dim, patch


def _count(names: Iterable[str], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in names)


def _download(name: str) -> Path:
    """The folder of a repository of the Hugging Face Hub, with its configuration and weights."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ImportError(
            "downloads need huggingface_hub; install it with: pip install 'simmim-lab[hub]'"
        ) from error
    failure = None
    for files in LAYOUTS:
        try:
            paths = [hf_hub_download(name, file) for file in files]
            return Path(paths[0]).parent
        except Exception as error:  # they differ from version to version
            failure = failure or error
            if type(error).__name__ not in ("EntryNotFoundError", "RemoteEntryNotFoundError"):
                break
    reason = str(failure).strip().partition("\n")[0].rstrip(".")
    raise FileNotFoundError(
        f"there is no folder {name}, and it did not come from the Hugging Face Hub ({type(failure).__name__}: "
        f"{reason}): check the name and the network, or download it elsewhere and give its folder"
    ) from failure
