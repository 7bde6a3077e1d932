"""Encoders: from an image with hidden patches to a map of features (lesson 02).

Every encoder is called as `encoder(images, mask=None) -> features` and has four attributes:

    patch   pixels per mask entry, along each side
    stride  pixels per feature, along each side
    dim     channels of the feature map
    config  the arguments it was built with

`mask=None` hides nothing: that is how an encoder is used after pre-training. Swin is in `swin`; more encoders, of
the timm library, are in `backbones`.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from simmim_lab.masking import check_mask
from simmim_lab.shapes import Features, Grid, Images, Mask, Tokens

Windows = Float[Tensor, "batch *windows tokens dim"]  # a ViT has all tokens in one window, without an axis for it
Heads = Float[Tensor, "batch *windows heads tokens dim"]  # the queries, keys or values of all heads
Bias = Float[Tensor, "*windows heads tokens tokens"]  # what is added to the scores of (query, key)


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
            check_mask(mask, images.shape[0], (height, width))
            images = images.masked_fill(mask[:, None], 0)
        return self.layers(images)


class ViTEncoder(nn.Module):
    """A Vision Transformer that sees all patches; hidden ones enter as one learned mask token.

    `image_size` is a side in pixels or (height, width), a multiple of `patch`. `positions` says how patches know
    where they are: "absolute" adds a learned vector to each token, "relative" adds a learned number to each
    attention score (see `RelativePositionBias`), "both" does both. `layer_scale` is the initial factor of the
    residual branches (None: no factors). `cls_token` adds a token that looks at all others; SimMIM drops it
    before the decoder. `eps` keeps the LayerNorms from dividing by 0.
    Source: SimMIM §3.1 and its `vision_transformer.py`; the initialisation is ours (see `init_weights`).
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
        eps: float = 1e-6,
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
            "eps": eps,
        }
        self.patch, self.stride, self.dim = patch, patch, dim
        self.image_size, self.grid = (height, width), (height // patch, width // patch)

        self.patch_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.cls_token = nn.Parameter(torch.zeros(dim)) if cls_token else None
        self.positions = nn.Parameter(torch.zeros(*self.grid, dim)) if positions != "relative" else None
        self.relative = RelativePositionBias(self.grid, heads, cls_token) if positions != "absolute" else None
        self.blocks = nn.ModuleList(Block(dim, heads, layer_scale, eps) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps)
        init_weights(self, self.mask_token, self.cls_token, self.positions)

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        tokens = self.embed(images, mask)
        bias = self.relative() if self.relative is not None else None
        for block in self.blocks:
            tokens = block(tokens, bias)
        return self.to_map(self.norm(tokens))

    def embed(self, images: Images, mask: Mask | None = None) -> Tokens:
        """From pixels to the tokens that enter the first block."""
        check_input(images, mask, self.image_size, self.grid)
        # 1. Each patch becomes a token (SimMIM §3.2: "patch embedding").
        tokens = rearrange(self.patch_embed(images), "batch dim rows cols -> batch rows cols dim")
        tokens = tokens.contiguous()  # one copy here saves one in every layer

        # 2. The tokens of hidden patches are replaced by the mask token (§3.2).
        if mask is not None:
            tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)

        # 3. Every token, hidden or not, is told its place.
        if self.positions is not None:
            tokens = tokens + self.positions

        # 4. The grid becomes a sequence; a class token may come first.
        tokens = rearrange(tokens, "batch rows cols dim -> batch (rows cols) dim")
        if self.cls_token is not None:
            tokens = torch.cat(
                [repeat(self.cls_token, "dim -> batch 1 dim", batch=images.shape[0]), tokens], dim=1
            )
        return tokens

    def to_map(self, tokens: Tokens) -> Features:
        """The tokens of the patches in their places again; a class token is dropped."""
        rows, cols = self.grid
        return rearrange(
            tokens[:, -rows * cols :], "batch (rows cols) dim -> batch dim rows cols", rows=rows, cols=cols
        )


def check_input(images: Images, mask: Mask | None, image_size: Grid, grid: Grid) -> None:
    """Raise TypeError or ValueError unless images and mask are what an encoder of this size takes."""
    if images.shape[-2:] != image_size:
        raise ValueError(f"this encoder was built for {image_size} pixels, not {tuple(images.shape[-2:])}")
    if mask is not None:
        check_mask(mask, images.shape[0], grid)


def init_weights(encoder: nn.Module, *tokens: nn.Parameter | None) -> None:
    """Weights from N(0, 1 / fan-in), which keeps the size of a signal at any width; tokens near 0."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for token in tokens:
        if token is not None:
            nn.init.trunc_normal_(token, std=0.02)


class RelativePositionBias(nn.Module):
    """One learned number per head for each offset between two patches, shared by all blocks.

    Called without arguments it returns the biases, `Float[Tensor, "heads tokens tokens"]`, which are added to
    the attention scores of (query, key). They start as -2⁻ʰ x distance in head h, so that each patch first looks
    at its neighbours and later heads look further. A class token adds three numbers: from it, to it, to itself.
    Source: the table is BEiT's and the official code's; starting it at the distance is ours.
    """

    def __init__(self, grid: Grid, heads: int, cls_token: bool = False):
        super().__init__()
        self.grid = rows, cols = grid
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

    def __init__(self, dim: int, heads: int, layer_scale: float | None = None, eps: float = 1e-6):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.scale1 = LayerScale(dim, layer_scale) if layer_scale else nn.Identity()
        self.scale2 = LayerScale(dim, layer_scale) if layer_scale else nn.Identity()

    def forward(self, x: Windows, bias: Bias | None = None) -> Windows:
        x = x + self.scale1(self.attention(self.norm1(x), bias))
        return x + self.scale2(self.mlp(self.norm2(x)))


class LayerScale(nn.Module):
    """Multiply every channel by a learned factor. Source: CaiT §2.1."""

    def __init__(self, dim: int, start: float):
        super().__init__()
        self.factor = nn.Parameter(torch.full((dim,), start))

    def forward(self, x: Windows) -> Windows:
        return self.factor * x


def attend(query: Heads, key: Heads, value: Heads, bias: Bias | None = None) -> Heads:
    """softmax(query · keyᵀ / sqrt(dim) + bias) · value, in each head: a weighted mean of the values."""
    bias = bias.to(query.dtype)[None] if bias is not None else None
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


class Attention(nn.Module):
    """Multi-head self-attention: every token takes a weighted mean over all tokens, in Swin over its window."""

    attend = staticmethod(attend)  # `autotune` may have found a faster kernel for this machine

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} dimensions")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Windows, bias: Bias | None = None) -> Windows:
        query, key, value = (
            rearrange(part, "... n (h d) -> ... h n d", h=self.heads) for part in self.qkv(x).chunk(3, dim=-1)
        )
        x = self.attend(query, key, value, bias)
        return self.project(rearrange(x, "... h n d -> ... n (h d)"))
