"""Encoders: from an image with hidden patches to a map of features (lesson 02).

Every encoder is called as `encoder(images, mask=None) -> features` and has four attributes:

    patch   pixels per mask entry, along each side
    stride  pixels per feature, along each side
    dim     channels of the feature map
    config  the arguments it was built with

`mask=None` hides nothing: that is how an encoder is used after pre-training.

Two things that only training on a GPU needs (lesson 06) are part of the ViT: `keep`, the residual branches that
`drop_path` leaves in, and `set_recompute`, which trades time for memory.
"""

import difflib
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.utils.checkpoint import checkpoint

from simmim_lab.masking import Grid, Mask, check_mask

Images = Float[Tensor, "batch 3 height width"]
Features = Float[Tensor, "batch dim rows cols"]
Tokens = Float[Tensor, "batch tokens dim"]
Keep = Float[Tensor, "batch depth 2"]  # a factor for each residual branch of each block


class ConvEncoder(nn.Module):
    """The article's CNN: 3x3 convolution, ReLU and 2x2 max pooling, once per entry of `channels`.

    The mask lies on the pixel grid and hidden pixels are set to zero, which in normalised images is the mean
    colour. A CNN has no mask token: it cannot tell a hidden pixel from one that really has this colour.
    Source: article §5.
    """

    patch = 1

    def __init__(self, channels: tuple[int, ...] = (16, 32)):
        super().__init__()
        self.config = {"channels": tuple(channels)}
        self.dim, self.stride = channels[-1], 2 ** len(channels)
        layers = []
        for wide, wider in zip((3, *channels), channels, strict=False):
            layers += [nn.Conv2d(wide, wider, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        height, width = images.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(f"the image is {height} x {width}; both sides must be multiples of {self.stride}")
        if mask is not None:
            check_mask(mask, len(images), (height, width))
            images = images.masked_fill(mask[:, None], 0)
        return self.layers(images)


class ViTEncoder(nn.Module):
    """A Vision Transformer that sees all patches; hidden ones enter as one learned mask token.

    `image_size` is a side in pixels or (height, width), a multiple of `patch`. `positions` says how patches know
    where they are: "absolute" adds a learned vector to each token, "relative" adds a learned number to each
    attention score (see `RelativePositionBias`), "both" does both. `layer_scale` is the initial factor of the
    residual branches (None: no factors). `cls_token` adds a token that looks at all others; SimMIM drops it
    before the decoder.
    Source: SimMIM §3.2 and its `vision_transformer.py`; the initialisation is ours (see `_init_weights`).
    """

    def __init__(
        self,
        image_size: int | Grid = 32,
        patch: int = 4,
        dim: int = 192,
        depth: int = 12,
        heads: int = 3,
        positions: Literal["absolute", "relative", "both"] = "both",
        layer_scale: float | None = None,
        cls_token: bool = False,
    ):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch or width % patch:
            raise ValueError(f"patches of {patch} pixels do not tile an image of {height} x {width} pixels")
        if positions not in ("absolute", "relative", "both"):
            raise ValueError(f'positions must be "absolute", "relative" or "both", but is {positions!r}')
        self.config = {
            "image_size": (height, width),
            "patch": patch,
            "dim": dim,
            "depth": depth,
            "heads": heads,
            "positions": positions,
            "layer_scale": layer_scale,
            "cls_token": cls_token,
        }
        self.patch, self.stride, self.dim = patch, patch, dim
        self.image_size, self.grid = (height, width), (height // patch, width // patch)

        self.patch_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.cls_token = nn.Parameter(torch.zeros(dim)) if cls_token else None
        self.positions = nn.Parameter(torch.zeros(*self.grid, dim)) if positions != "relative" else None
        self.relative = RelativePositionBias(self.grid, heads, cls_token) if positions != "absolute" else None
        self.blocks = nn.ModuleList(Block(dim, heads, layer_scale) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.recompute = False
        self._init_weights()

    def set_recompute(self, on: bool) -> None:
        """Compute each block again in the backward pass, instead of keeping what it computed.

        A third more work, for a fraction of the memory. Source: Chen et al. 2016, "sublinear memory cost".
        """
        self.recompute = on

    def _init_weights(self) -> None:
        """Weights from N(0, 1 / fan-in), which keeps the size of a signal at any width; tokens near 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                nn.init.zeros_(module.bias)
        for token in (self.mask_token, self.cls_token, self.positions):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)

    def forward(self, images: Images, mask: Mask | None = None, keep: Keep | None = None) -> Features:
        if images.shape[-2:] != self.image_size:
            raise ValueError(
                f"this encoder was built for {self.image_size} pixels, not {tuple(images.shape[-2:])}"
            )

        tokens = rearrange(self.patch_embed(images), "batch dim rows cols -> batch rows cols dim")
        tokens = tokens.contiguous()  # one copy here saves one in every layer
        if mask is not None:
            check_mask(mask, len(images), self.grid)
            tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)
        if self.positions is not None:
            tokens = tokens + self.positions
        tokens = rearrange(tokens, "batch rows cols dim -> batch (rows cols) dim")
        if self.cls_token is not None:
            tokens = torch.cat([repeat(self.cls_token, "dim -> batch 1 dim", batch=len(images)), tokens], dim=1)

        bias = self.relative() if self.relative is not None else None
        kept = keep.unbind(1) if keep is not None else [None] * len(self.blocks)
        for block, branches in zip(self.blocks, kept, strict=True):
            if self.recompute and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, bias, branches, use_reentrant=False, preserve_rng_state=False)
            else:
                tokens = block(tokens, bias, branches)
        rows, cols = self.grid
        tokens = self.norm(tokens)[:, -rows * cols :]
        return rearrange(tokens, "batch (rows cols) dim -> batch dim rows cols", rows=rows)


class RelativePositionBias(nn.Module):
    """One learned number per head for each offset between two patches, shared by all blocks.

    Called without arguments it returns the biases, `Float[Tensor, "heads tokens tokens"]`, which are added to
    the attention scores of (query, key). They start as -2⁻ʰ x distance in head h, so that each patch first looks
    at its neighbours and later heads look further. A class token adds three numbers: from it, to it, to itself.
    Source: the table is BEiT's and the official code's; starting it at the distance is ours.
    """

    def __init__(self, grid: Grid, heads: int, cls_token: bool = False):
        super().__init__()
        rows, cols = grid
        place = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij"), -1)
        place = rearrange(place, "rows cols yx -> (rows cols) yx")
        offset = place[:, None] - place[None, :]  # query minus key
        index = (offset[..., 0] + rows - 1) * (2 * cols - 1) + offset[..., 1] + cols - 1

        dy, dx = torch.arange(1 - rows, rows), torch.arange(1 - cols, cols)
        distance = (dy[:, None] ** 2 + dx**2).sqrt().flatten()
        table = -distance[:, None] * 0.5 ** torch.arange(heads)
        if cls_token:
            size = len(table)
            index = F.pad(index, (1, 0, 1, 0))
            index[0, 1:], index[1:, 0], index[0, 0] = size, size + 1, size + 2
            table = F.pad(table, (0, 0, 0, 3))
        self.table = nn.Parameter(table)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Float[Tensor, "heads tokens tokens"]:
        return rearrange(F.embedding(self.index, self.table), "query key head -> head query key")


class Block(nn.Module):
    """One Transformer layer: attention between tokens, then an MLP on each token, both as residuals."""

    def __init__(self, dim: int, heads: int, layer_scale: float | None = None):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.scale1 = LayerScale(dim, layer_scale) if layer_scale else nn.Identity()
        self.scale2 = LayerScale(dim, layer_scale) if layer_scale else nn.Identity()

    def forward(
        self,
        x: Tokens,
        bias: Float[Tensor, "heads tokens tokens"] | None = None,
        keep: Float[Tensor, "batch 2"] | None = None,
    ) -> Tokens:
        attended = self.scale1(self.attention(self.norm1(x), bias))
        x = x + (attended if keep is None else attended * keep[:, 0, None, None])
        worked = self.scale2(self.mlp(self.norm2(x)))
        return x + (worked if keep is None else worked * keep[:, 1, None, None])


def drop_path(batch: int, depth: int, rate: float, generator: Generator) -> Keep:
    """Draw which residual branches an image skips in this step: a factor 0, or else 1 / (1 - rate).

    The rate grows linearly from 0 in the first block to `rate` in the last. Random numbers come from outside the
    network, so that a step can be repeated exactly. Source: Huang et al. 2016, "stochastic depth", §3; timm.
    """
    rates = torch.linspace(0, rate, depth, device=generator.device)[:, None]
    drawn = torch.rand(batch, depth, 2, generator=generator, device=generator.device)
    return (drawn >= rates) / (1 - rates)


class LayerScale(nn.Module):
    """Multiply every channel by a learned factor. Source: CaiT §2.1."""

    def __init__(self, dim: int, start: float):
        super().__init__()
        self.factor = nn.Parameter(torch.full((dim,), start))

    def forward(self, x: Tokens) -> Tokens:
        return self.factor * x


class Attention(nn.Module):
    """Multi-head self-attention: every token takes a weighted mean over all tokens."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} dimensions")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tokens, bias: Float[Tensor, "heads tokens tokens"] | None = None) -> Tokens:
        query, key, value = (
            rearrange(part, "b n (h d) -> b h n d", h=self.heads) for part in self.qkv(x).chunk(3, dim=-1)
        )
        bias = bias.to(query.dtype)[None] if bias is not None else None
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.project(rearrange(x, "b h n d -> b n (h d)"))


class TimmEncoder(nn.Module):
    """A Swin, ConvNeXt or ViT backbone of the timm library, masked after its patch embedding.

    `name` is timm's, `options` go to `timm.create_model`. Hidden patch embeddings are replaced by a learned mask
    token behind the embedding's own LayerNorm, as in the official Swin. Needs the `hub` extra.
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

    def set_recompute(self, on: bool) -> None:
        """Compute each block again in the backward pass, instead of keeping what it computed."""
        self.backbone.set_grad_checkpointing(on)

    def _hide(self, embedding: nn.Module, images: tuple[Images], embedded: Tensor) -> Tensor:
        """Put the mask token where the mask is; `embedded` is batch-tokens-dim, or with rows and cols."""
        if self.mask is None:
            return embedded
        token = self.mask_token.to(embedded.dtype)
        if hasattr(self.backbone, "stem"):  # ConvNeXt keeps channels first
            return torch.where(self.mask[:, None], token[:, None, None], embedded)
        return torch.where(self.mask.reshape(*embedded.shape[:-1], 1), token, embedded)

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        if images.shape[-2:] != self.image_size:
            raise ValueError(
                f"this encoder was built for {self.image_size} pixels, not {tuple(images.shape[-2:])}"
            )
        if mask is not None:
            check_mask(mask, len(images), self.grid)
        self.mask = mask
        [features] = self.backbone.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
        self.mask = None
        return features
