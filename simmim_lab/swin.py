"""Swin: a Transformer whose tokens look at a small window, which shifts from block to block (lesson 02).

A block of Swin is a block of the ViT (`encoders.Block`) that works in each window on its own. What is new is how
tokens come into windows and out again (`to_windows`, `from_windows`), and which tokens of a shifted window must
not look at each other (`strangers`). Called like every encoder.
Source: Liu et al., "Swin Transformer", ICCV 2021, §3; SimMIM's `swin_transformer.py`.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from simmim_lab.encoders import Block, RelativePositionBias, Windows, check_input, init_weights
from simmim_lab.shapes import Features, Grid, Images, Mask

TokenGrid = Float[Tensor, "batch rows cols dim"]  # tokens in their places, channels last


class SwinEncoder(nn.Module):
    """A Swin Transformer that sees all patches; hidden ones enter as one learned mask token.

    `image_size` is a side in pixels or (height, width). `depths` and `heads` have one number for each stage. The
    first stage has `embed_dim` channels; each further one has half as many rows and columns, and twice the
    channels. Attention is within windows of `window` x `window` tokens; a grid that is smaller is one window.
    Raises ValueError for sizes that do not tile.
    Source: SimMIM's `simmim.py` (`SwinTransformerForSimMIM`); the initialisation is the course's.
    """

    def __init__(
        self,
        image_size: int | Grid = 32,
        patch: int = 2,
        embed_dim: int = 32,
        depths: tuple[int, ...] = (2, 4),
        heads: tuple[int, ...] = (1, 2),
        window: int = 4,
    ):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.config = {
            "image_size": (height, width),
            "patch": patch,
            "embed_dim": embed_dim,
            "depths": tuple(depths),
            "heads": tuple(heads),
            "window": window,
        }
        merged = 2 ** (len(depths) - 1)
        self.patch, self.stride, self.dim = patch, patch * merged, embed_dim * merged
        if height % self.stride or width % self.stride:
            raise ValueError(f"cells of {self.stride} pixels do not tile an image of {height} x {width} pixels")
        self.image_size, self.grid = (height, width), (height // patch, width // patch)

        self.patch_embed = nn.Conv2d(3, embed_dim, kernel_size=patch, stride=patch)
        self.patch_norm = nn.LayerNorm(embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(embed_dim))
        stages, dim, (rows, cols) = [], embed_dim, self.grid
        for depth, n in zip(depths, heads, strict=True):
            if stages:
                stages.append(PatchMerging(dim))
                dim, rows, cols = 2 * dim, rows // 2, cols // 2
            stages.append(Stage(dim, depth, n, (rows, cols), window))
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(self.dim)
        init_weights(self, self.mask_token)

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        check_input(images, mask, self.image_size, self.grid)
        tokens = rearrange(self.patch_embed(images), "batch dim rows cols -> batch rows cols dim")
        tokens = self.patch_norm(tokens)
        if mask is not None:
            tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = self.norm(self.stages(tokens))
        return rearrange(tokens, "batch rows cols dim -> batch dim rows cols")


class Stage(nn.Module):
    """Blocks on one grid of tokens; every second one shifts the windows by half a window."""

    def __init__(self, dim: int, depth: int, heads: int, grid: Grid, window: int):
        super().__init__()
        window = min(window, *grid)
        if grid[0] % window or grid[1] % window:
            raise ValueError(f"windows of {window} tokens do not tile a grid of {grid[0]} x {grid[1]} tokens")
        self.blocks = nn.Sequential(
            *(SwinBlock(dim, heads, grid, window, shift=i % 2 * (window // 2)) for i in range(depth))
        )

    def forward(self, tokens: TokenGrid) -> TokenGrid:
        return self.blocks(tokens)


class SwinBlock(Block):
    """A block of the ViT in each window. The grid is rolled by `shift` before it is cut, and rolled back after.

    Along an axis with a single window nothing is rolled: this window sees everything already.
    """

    def __init__(self, dim: int, heads: int, grid: Grid, window: int, shift: int):
        super().__init__(dim, heads, eps=1e-5)
        self.grid, self.window = grid, window
        self.shift = tuple(shift if side > window else 0 for side in grid)
        self.relative = RelativePositionBias((window, window), heads)
        self.register_buffer("strangers", strangers(grid, window, self.shift), persistent=False)

    def forward(self, tokens: TokenGrid) -> TokenGrid:
        down, right = self.shift
        windows = to_windows(tokens.roll((-down, -right), dims=(1, 2)), self.window)
        bias = self.relative().masked_fill(self.strangers[:, None], -torch.inf)
        windows = super().forward(windows, bias)
        return from_windows(windows, self.grid).roll((down, right), dims=(1, 2))


class PatchMerging(nn.Module):
    """Each 2 x 2 tokens become one with twice the channels."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduce = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, tokens: TokenGrid) -> TokenGrid:
        four = "batch (rows down) (cols right) dim -> batch rows cols (right down dim)"
        return self.reduce(self.norm(rearrange(tokens, four, down=2, right=2)))


def to_windows(
    tokens: Float[Tensor, "batch rows cols dim"], window: int
) -> Float[Tensor, "batch windows tokens dim"]:
    """Cut a grid of tokens into windows of `window` x `window` tokens, which tile it.

    The windows come from left to right, then from top to bottom, and so do the tokens in each.
    """
    cut = "batch (rows down) (cols right) dim -> batch (rows cols) (down right) dim"
    return rearrange(tokens, cut, down=window, right=window)


def from_windows(windows: Windows, grid: Grid) -> TokenGrid:
    """Put the tokens of all windows back on their grid of (rows, cols): what `to_windows` cut."""
    window = round(windows.shape[2] ** 0.5)
    join = "batch (rows cols) (down right) dim -> batch (rows down) (cols right) dim"
    return rearrange(windows, join, rows=grid[0] // window, down=window)


def strangers(grid: Grid, window: int, shift: Grid) -> Bool[Tensor, "windows query key"]:
    """Which pairs of tokens share a window only because the grid was rolled: one comes from the other end.

    After the roll the first `shift` rows lie at the bottom, and the first columns at the right. So a window may
    hold up to four parts of the image that do not touch.
    """
    below, beside = (torch.arange(side) >= side - step for side, step in zip(grid, shift, strict=True))
    part = (2 * below[:, None] + beside)[None, ..., None]  # 0 to 3
    part = to_windows(part, window)[0, ..., 0]
    return part[:, :, None] != part[:, None, :]
