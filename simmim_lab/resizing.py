"""Resizing: a trained network for images of another size (lesson 10).

What a Transformer knows of places, it has learned for one size: a vector for each place, or a number for each
offset between two places. Both are interpolated. All other weights stay as they are.
"""

import copy
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from simmim_lab.backbones import TimmEncoder
from simmim_lab.backbones import image_size as size_of
from simmim_lab.decoders import TransformerDecoder
from simmim_lab.encoders import RelativePositionBias
from simmim_lab.files import misfit
from simmim_lab.shapes import Grid
from simmim_lab.simmim import SimMIM
from simmim_lab.swin import SwinEncoder

Model = TypeVar("Model", bound=nn.Module)


def resize(model: Model, image_size: int | Grid) -> Model:
    """The same SimMIM, or the same encoder, for images of another size in pixels: a side, or (height, width).

    The windows of a Swin keep their size if they still tile the tokens; else they grow with the image, as in the
    paper's step from 192 pixels and windows of 6 to 224 and 7. A network that takes any size comes back as it is.
    So does one that has this size already.
    Raises ValueError for a size that patches or windows do not tile, and for a decoder that has positions.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    encoder = model.encoder if isinstance(model, SimMIM) else model
    if size == size_of(encoder) or "image_size" not in encoder.config:
        return model
    if isinstance(model, SimMIM):
        return _resize_model(model, size)
    resized, weights = (
        _resize_timm(model, size) if isinstance(model, TimmEncoder) else _resize_encoder(model, size)
    )
    resized.load_state_dict(weights)
    return resized.to(model.mask_token.device).train(model.training)


def resize_positions(
    positions: Float[Tensor, "rows cols dim"], grid: Grid
) -> Float[Tensor, "new_rows new_cols dim"]:
    """The vectors of positions for another grid of patches, (rows, cols), by PyTorch's bicubic interpolation.

    The corners of both grids are the corners of the picture (`align_corners=False`). The same grid changes
    nothing.
    """
    maps = rearrange(positions, "rows cols dim -> 1 dim rows cols")
    maps = F.interpolate(maps, size=grid, mode="bicubic", align_corners=False)
    return rearrange(maps, "1 dim rows cols -> rows cols dim")


def resize_table(table: Float[Tensor, "offsets heads"], grid: Grid, new_grid: Grid) -> Float[Tensor, "more heads"]:
    """The relative positions of a grid of tokens, (rows, cols), for another one.

    Near 0 the old offsets stay where they are, and further out they spread to the ends of the new grid. A cubic
    spline through them gives the numbers for the new offsets. The last three, of a class token, stay as they are.
    Source: the official `utils.py` (`remap_pretrained_keys_swin` and `_vit`).
    """
    from scipy.interpolate import RectBivariateSpline  # importing it costs more than this package

    if grid == new_grid:
        return table
    places = [_places(*sides) for sides in zip(grid, new_grid, strict=True)]
    wanted = [range(1 - side, side) for side in new_grid]
    kx, ky = (min(3, len(place) - 1) for place in places)  # few offsets are no cubic
    rows, cols = map(len, places)
    heads = rearrange(table[: rows * cols], "(rows cols) heads -> heads rows cols", rows=rows)
    heads = heads.detach().double().cpu().numpy()
    resized = [torch.from_numpy(RectBivariateSpline(*places, head, kx=kx, ky=ky)(*wanted)) for head in heads]
    resized = rearrange(torch.stack(resized).to(table), "heads rows cols -> (rows cols) heads")
    return torch.cat([resized, table[rows * cols :]])


def _places(side: int, new_side: int) -> list[float]:
    """Where the offsets of `side` tokens in a row, from 1 - side to side - 1, lie among those of `new_side`.

    Near 0 they stay where they are, and further out they spread: the n-th from 0 lies at 1 + q + ... + q^(n-1). Of
    the factors q from 1.01 to 1.5 it is the one that brings the last to new_side - 1, or nearest to it.
    """

    def spread(q: float) -> list[float]:
        return [sum(q**power for power in range(n)) for n in range(1, side)]

    if side == 1:
        raise ValueError("a single token has no offsets to others, from which a larger grid could learn")
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        low, high = (low, q) if spread(q)[-1] > new_side - 1 else (q, high)
    right = spread(q)
    return [-place for place in reversed(right)] + [0.0] + right


def _resize_model(model: SimMIM, size: Grid) -> SimMIM:
    if isinstance(model.decoder, TransformerDecoder):
        raise ValueError(
            "this decoder has positions of its own: resize the encoder alone, resize(model.encoder, ...)"
        )
    options = {"loss": model.loss, "normalize_patch": model.normalize_patch}
    resized = SimMIM(resize(model.encoder, size), copy.deepcopy(model.decoder), **options)
    return resized.to(model.mean.device).train(model.training)


def _resize_encoder(encoder: nn.Module, size: Grid) -> tuple[nn.Module, dict[str, Tensor]]:
    """An encoder of the course of another size, with new weights, and the weights that it should get."""
    resized = _swin_of_size(encoder, size) if isinstance(encoder, SwinEncoder) else _of_size(encoder, size)
    weights = {name: tensor.cpu() for name, tensor in encoder.state_dict().items()}
    for name, module in resized.named_modules():
        if isinstance(module, RelativePositionBias):
            table, grid = f"{name}.table", encoder.get_submodule(name).grid
            weights[table] = resize_table(weights[table], grid, module.grid)
    if "positions" in weights:
        weights["positions"] = resize_positions(weights["positions"], resized.grid)
    return resized, weights


def _resize_timm(encoder: TimmEncoder, size: Grid) -> tuple[TimmEncoder, dict[str, Tensor]]:
    """The same for an encoder of timm, which knows how its networks change their size."""
    resized, changed = _of_size(encoder, size), copy.deepcopy(encoder)
    backbone = resized.backbone
    windows = {"window_size": backbone.layers[0].blocks[0].window_size} if hasattr(backbone, "layers") else {}
    if hasattr(backbone, "set_input_size"):  # a ConvNeXt need not change
        changed.backbone.set_input_size(img_size=size, **windows)
    weights = changed.state_dict()
    if problem := misfit(resized.state_dict(), weights):
        raise ValueError(f"timm cannot resize {encoder.config['name']} to {size[0]} x {size[1]} pixels: {problem}")
    return resized, weights


def _swin_of_size(encoder: SwinEncoder, size: Grid) -> SwinEncoder:
    """With windows as they are, else with windows that grow as the image does."""
    try:
        return _of_size(encoder, size)
    except ValueError:
        window, rest = divmod(encoder.config["window"] * size[0], encoder.image_size[0])
        if rest or not window:
            raise
        return _of_size(encoder, size, window=window)


def _of_size(encoder: nn.Module, size: Grid, **changes: Any) -> nn.Module:
    return type(encoder)(**{**encoder.config, "image_size": size, **changes})
