"""Backbones: encoders of the timm library, masked as SimMIM masks a Swin; all encoders by name (lesson 02)."""

import copy
import difflib
from typing import Any

import torch
from torch import Tensor, nn

from simmim_lab.encoders import ConvEncoder, ViTEncoder, check_input
from simmim_lab.mae import VisibleEncoder
from simmim_lab.shapes import Features, Grid, Images, Mask
from simmim_lab.swin import SwinEncoder


class TimmEncoder(nn.Module):
    """A Swin, ConvNeXt or ViT backbone of the timm library, masked after its patch embedding.

    `name` is timm's, `options` go to `timm.create_model`. Hidden patch embeddings are replaced by a learned mask
    token behind the embedding's own LayerNorm, as in the official Swin. Needs the `hub` extra.
    All weights are new. Those that timm offers are in `timm.create_model(name, pretrained=True, num_classes=0)`,
    whose `state_dict` `backbone` loads.
    Raises ValueError for a name that timm does not know, for an image size that the features do not tile, and
    for a backbone whose first convolution overlaps: its visible patches would see hidden ones.
    Source: SimMIM's `simmim.py` (`SwinTransformerForSimMIM`).
    """

    def __init__(self, name: str, image_size: int | Grid = 224, **options):
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ImportError("TimmEncoder needs timm; install it with: pip install 'simmim-lab[hub]'") from error
        if not name.startswith(("swin", "convnext", "vit", "deit", "beit")):
            raise ValueError(
                f"TimmEncoder takes a Swin, ConvNeXt or ViT of timm, whose patches can be hidden, not {name!r}"
            )
        if not timm.is_model(name):
            [nearest] = difflib.get_close_matches(name, timm.list_models(), n=1, cutoff=0)
            raise ValueError(f"timm has no model {name!r}; did you mean {nearest!r}?")
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.config = {"name": name, "image_size": (height, width), **options}
        size = {} if name.startswith("convnext") else {"img_size": (height, width)}
        self.backbone = timm.create_model(
            name, pretrained=False, checkpoint_path=None, num_classes=0, **size, **options
        )  # options can name no file to read: they may come from a model.json

        self.dim, self.stride = (self.backbone.feature_info[-1][key] for key in ("num_chs", "reduction"))
        if height % self.stride or width % self.stride:
            raise ValueError(f"{name} takes images in multiples of {self.stride} pixels, not {height} x {width}")
        embedding = self.backbone.stem if hasattr(self.backbone, "stem") else self.backbone.patch_embed
        convolution = next(module for module in embedding.modules() if isinstance(module, nn.Conv2d))
        if convolution.kernel_size != convolution.stride:
            raise ValueError(f"the patches of {name} overlap, so hidden pixels would leak into visible patches")
        self.patch = convolution.stride[0]
        self.image_size, self.grid = (height, width), (height // self.patch, width // self.patch)
        self.mask_token = nn.Parameter(torch.empty(convolution.out_channels))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.mask: Mask | None = None
        embedding.register_forward_hook(self._hide)

    def _hide(self, embedding: nn.Module, images: tuple[Images], embedded: Tensor) -> Tensor:
        """Put the mask token where the mask is; `embedded` is batch-tokens-dim, or with rows and cols."""
        if self.mask is None:
            return embedded
        token = self.mask_token.to(embedded.dtype)
        if hasattr(self.backbone, "stem"):  # ConvNeXt keeps channels first
            return torch.where(self.mask[:, None], token[:, None, None], embedded)
        return torch.where(self.mask.reshape(*embedded.shape[:-1], 1), token, embedded)

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        check_input(images, mask, self.image_size, self.grid)
        self.mask = mask
        [features] = self.backbone.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
        self.mask = None
        return features


ENCODERS: dict[str, type[nn.Module]] = {
    "conv": ConvEncoder,
    "vit": ViTEncoder,
    "visible": VisibleEncoder,
    "swin": SwinEncoder,
    "timm": TimmEncoder,
}


def build(kinds: dict[str, type[nn.Module]], config: dict[str, Any], *args: Any) -> nn.Module:
    """The part that `describe` described: one of `kinds`, with the options in `config` behind `args`."""
    options = copy.deepcopy(config)
    return kinds[options.pop("kind")](*args, **options)


def describe(part: nn.Module, kinds: dict[str, type[nn.Module]]) -> dict[str, Any]:
    """The kind of an encoder or decoder and how it was built; TypeError if it is not one of `kinds`."""
    kind = next((kind for kind, cls in kinds.items() if type(part) is cls), None)
    if kind is None:
        raise TypeError(
            f"cannot describe {type(part).__name__}, which is not one of the course's {', '.join(kinds)}; "
            "keep its weights with safetensors.torch.save_model"
        )
    return {"kind": kind, **part.config}


def image_size(encoder: nn.Module) -> Grid:
    """(height, width) of the images that an encoder was built for; a CNN takes any, and says 32 x 32."""
    size = encoder.config.get("image_size", 32)
    return (size, size) if isinstance(size, int) else tuple(size)


def blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of a Transformer or ConvNeXt, first to last: what lies in its modules named `blocks`."""
    return [
        block
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "blocks"
        for block in module.children()
    ]
