"""Tokens: every patch of a picture becomes one of a few hundred codes (lesson 09).

A network can say of each code how likely it is, and then draw one. The codes are found in closed form: k-means of
the patches of training pictures. What they lose is lost for all that is made of them, so look at it first.
"""

from typing import Self

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from simmim_lab.common import check_number
from simmim_lab.shapes import Images, check_images

Codes = Int64[Tensor, "batch rows cols"]  # a code for each patch of a picture

FITTED = 60_000  # patches that k-means looks at
AT_ONCE = 500  # pictures


class Tokenizer(nn.Module):
    """A codebook of patches: `encode` names the nearest one for each patch of a picture, `decode` puts it there.

    `codebook` has the colours, in [0, 1], of a patch of `patch` x `patch` pixels for each of `codes` codes.
    Raises ValueError for numbers below 1.
    """

    def __init__(self, patch: int = 2, codes: int = 256):
        super().__init__()
        check_number("patch", patch, 1, integer=True)
        check_number("codes", codes, 1, integer=True)
        self.patch, self.codes = patch, codes
        self.register_buffer("codebook", torch.zeros(codes, 3 * patch**2))

    @classmethod
    def fit(cls, images: Images, patch: int = 2, codes: int = 256, seed: int = 0) -> Self:
        """The codebook for pictures like these: the centres that k-means finds among their patches.

        Raises ValueError if patches do not tile the images, or are fewer than the codes.
        """
        check_images(images)
        tokenizer = cls(patch, codes)
        patches = tokenizer.patches(images).flatten(0, 2)
        check_number("codes", codes, 1, len(patches), integer=True)
        some = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))[:FITTED]
        with threadpool_limits(1):
            means = MiniBatchKMeans(codes, batch_size=4096, n_init=1, max_iter=30, random_state=seed)
            means.fit(patches[some].cpu().numpy())
        tokenizer.codebook.copy_(torch.from_numpy(means.cluster_centers_).clamp(0, 1))
        return tokenizer

    def patches(self, images: Images) -> Float[Tensor, "batch rows cols values"]:
        """The colours of each patch: channel by channel, and in each row by row.

        Raises ValueError if patches do not tile the images.
        """
        if images.shape[-2] % self.patch or images.shape[-1] % self.patch:
            raise ValueError(f"patches of {self.patch} pixels do not tile images of {tuple(images.shape[-2:])}")
        return rearrange(
            images, "batch c (rows i) (cols j) -> batch rows cols (c i j)", i=self.patch, j=self.patch
        )

    @torch.no_grad()
    def encode(self, images: Images) -> Codes:
        """The code of the nearest patch, by squared distance, for each patch of the images."""
        check_images(images)
        squares = self.codebook.square().sum(1)
        return torch.cat(
            [(squares - 2 * self.patches(part) @ self.codebook.mT).argmin(-1) for part in images.split(AT_ONCE)]
        )

    def decode(self, codes: Codes) -> Images:
        """The pictures that these codes stand for."""
        return self.images(self.codebook[codes])

    def images(self, patches: Float[Tensor, "batch rows cols values"]) -> Images:
        """Put patches in their places: the way back of `patches`."""
        return rearrange(
            patches, "batch rows cols (c i j) -> batch c (rows i) (cols j)", i=self.patch, j=self.patch
        )
