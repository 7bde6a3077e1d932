"""Decoders: from a map of features back to pixels (lesson 03).

Every decoder is called as `decoder(features) -> images` in normalised colours. `dim` is the number of channels
of the features and `stride` the pixels per feature along each side; both are the encoder's.
"""

from itertools import pairwise

import torch
from einops import rearrange
from torch import nn

from simmim_lab.encoders import Block
from simmim_lab.shapes import Features, Grid, Images, Tokens


class LinearDecoder(nn.Module):
    """SimMIM's head: one linear map from each feature to the stride x stride pixels under it.

    The map gives 3 * stride² channels, ordered (colour, row, column), and `PixelShuffle` lays them out as
    pixels. Source: SimMIM §3.3 and its `simmim.py`.
    """

    def __init__(self, dim: int, stride: int):
        super().__init__()
        self.config = {}
        self.linear = nn.Conv2d(dim, 3 * stride**2, kernel_size=1)
        self.shuffle = nn.PixelShuffle(stride)

    def forward(self, features: Features) -> Images:
        return self.shuffle(self.linear(features))


class DeconvDecoder(nn.Module):
    """The article's decoder: transposed convolutions, each doubling the side and halving the channels.

    Unlike the article it ends without a sigmoid, since normalised colours are not confined to [0, 1].
    `stride` must be a power of two. Source: article §5.
    """

    def __init__(self, dim: int, stride: int):
        super().__init__()
        stages = stride.bit_length() - 1
        if stride != 2**stages or dim % 2 ** max(stages - 1, 0):
            raise ValueError(f"doubling and halving cannot take stride {stride} and dim {dim} down to pixels")
        self.config = {}
        widths = [dim // 2**stage for stage in range(stages)] + [3]
        layers = []
        for wide, narrow in pairwise(widths):
            layers += [nn.ConvTranspose2d(wide, narrow, kernel_size=2, stride=2), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, features: Features) -> Images:
        return self.layers(features)


class TransformerDecoder(nn.Module):
    """A small Transformer on the features before the linear head, as MAE has it.

    `grid` is (rows, cols) of the feature map. Source: MAE §3; SimMIM's table of heads finds that it reconstructs
    better without better features.
    """

    def __init__(self, dim: int, stride: int, grid: Grid, width: int = 128, depth: int = 2, heads: int = 4):
        super().__init__()
        self.config = {"grid": tuple(grid), "width": width, "depth": depth, "heads": heads}
        self.embed = nn.Conv2d(dim, width, kernel_size=1)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(width, *grid), std=0.02))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = LinearDecoder(width, stride)

    def forward(self, features: Features) -> Images:
        rows, cols = features.shape[-2:]
        if (rows, cols) != self.positions.shape[1:]:
            expected = tuple(self.positions.shape[1:])
            raise ValueError(f"this decoder was built for {expected} features, not {(rows, cols)}")
        tokens: Tokens = rearrange(
            self.embed(features) + self.positions, "batch width rows cols -> batch (rows cols) width"
        )
        tokens = self.norm(self.blocks(tokens))
        return self.head(rearrange(tokens, "batch (rows cols) width -> batch width rows cols", rows=rows))


DECODERS = {"linear": LinearDecoder, "deconv": DeconvDecoder, "transformer": TransformerDecoder}
