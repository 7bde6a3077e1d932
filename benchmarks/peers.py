"""The peers of pretrain_step.py: SimMIM with a ViT or Swin of given sizes, as users of a library would build it.

The forward pass of each returns its loss first, which is L1 on hidden pixels.
"""

import importlib.util

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simmim_lab.losses import masked_l1
from simmim_lab.shapes import Images, Mask

Sizes = tuple[int, int, int, int, int]  # image side, patch, dim, depth, heads
SwinSizes = tuple[int, int, int, tuple[int, ...], tuple[int, ...]]  # the last two have a number for each stage
WINDOW = 6  # tokens along a side of Swin's windows, as in SimMIM's configurations

PEERS = ("transformers", "timm", "lightly")


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def hugging_face(sizes: Sizes) -> nn.Module:
    import transformers

    side, patch, dim, depth, heads = sizes
    config = transformers.ViTConfig(
        image_size=side,
        patch_size=patch,
        encoder_stride=patch,
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        layer_norm_eps=1e-6,
    )
    return transformers.ViTForMaskedImageModeling(config)


def hugging_face_swin(sizes: SwinSizes) -> nn.Module:
    import transformers

    side, patch, dim, depths, heads = sizes
    config = transformers.SwinConfig(
        image_size=side,
        patch_size=patch,
        encoder_stride=patch * 2 ** (len(depths) - 1),
        embed_dim=dim,
        depths=list(depths),
        num_heads=list(heads),
        window_size=WINDOW,
        drop_path_rate=0.0,
    )
    return transformers.SwinForMaskedImageModeling(config)


class TimmSimMIM(nn.Module):
    """timm's ViT with a mask token for hidden patches, then a linear head. Source: official `simmim.py`."""

    def __init__(self, sizes: Sizes):
        from timm.models.vision_transformer import VisionTransformer

        super().__init__()
        side, patch, dim, depth, heads = sizes
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.vit = VisionTransformer(side, patch, num_classes=0, embed_dim=dim, depth=depth, num_heads=heads)
        self.head = nn.Sequential(nn.Conv2d(dim, 3 * patch**2, kernel_size=1), nn.PixelShuffle(patch))

    def forward(self, images: Images, mask: Mask) -> tuple[Tensor, Images]:
        tokens = self.vit.patch_embed(images)
        tokens = torch.where(mask.flatten(1)[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = self.vit.norm(self.vit.blocks(self.vit._pos_embed(tokens)))
        features = tokens[:, 1:].transpose(1, 2).unflatten(2, mask.shape[1:])
        prediction = self.head(features).float()
        return masked_l1(prediction, images, mask), prediction


class TimmSwinSimMIM(nn.Module):
    """timm's Swin with a mask token for hidden patches, then a linear head. Source: official `simmim.py`."""

    def __init__(self, sizes: SwinSizes):
        from timm.models.swin_transformer import SwinTransformer

        super().__init__()
        side, patch, dim, depths, heads = sizes
        options = {"embed_dim": dim, "depths": depths, "num_heads": heads, "window_size": WINDOW}
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.swin = SwinTransformer(side, patch, num_classes=0, drop_path_rate=0.0, **options)
        stride = patch * 2 ** (len(depths) - 1)
        head = nn.Conv2d(self.swin.num_features, 3 * stride**2, kernel_size=1)
        self.head = nn.Sequential(head, nn.PixelShuffle(stride))

    def forward(self, images: Images, mask: Mask) -> tuple[Tensor, Images]:
        tokens = self.swin.patch_embed(images)
        tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)
        features = self.swin.norm(self.swin.layers(tokens)).permute(0, 3, 1, 2)
        prediction = self.head(features).float()
        return masked_l1(prediction, images, mask), prediction


class LightlySimMIM(nn.Module):
    """lightly's `examples/pytorch/simmim.py`, with positions that are learned, as those of the others are."""

    def __init__(self, sizes: Sizes):
        from lightly.models import utils
        from lightly.models.modules import MaskedVisionTransformerTorchvision
        from torchvision.models.vision_transformer import VisionTransformer

        super().__init__()
        side, self.patch, dim, depth, heads = sizes
        vit = VisionTransformer(side, self.patch, depth, heads, dim, mlp_dim=4 * dim)
        vit.heads = nn.Identity()
        self.backbone = MaskedVisionTransformerTorchvision(vit, pos_embed_initialization="learn")
        self.decoder = nn.Linear(dim, 3 * self.patch**2)
        self.at, self.patchify = utils.get_at_index, utils.patchify

    def forward(self, images: Images, hidden: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.decoder(self.at(self.backbone.encode(images, idx_mask=hidden), hidden))
        return F.l1_loss(prediction, self.at(self.patchify(images, self.patch), hidden - 1)), prediction
