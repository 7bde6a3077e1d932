"""MAE: an encoder that is shown the visible patches alone (lesson 11).

A masked autoencoder is a `SimMIM` of other parts. The mask token does not enter the encoder, but is put in the
places of the hidden patches behind it. So the encoder has fewer tokens to work on, and a linear map is not enough
as a decoder: only there do the hidden places learn of the visible ones.

    encoder = VisibleEncoder(image_size=32, patch=4, dim=96, depth=6, heads=3)
    model = SimMIM(encoder, TransformerDecoder(encoder.dim, encoder.stride, encoder.grid))

Everything else is as before: the loss, the training, `reconstruct`, and the probes, which show the encoder all.
"""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from simmim_lab.encoders import ViTEncoder, check_input
from simmim_lab.shapes import Features, Grid, Images, Mask


class VisibleEncoder(ViTEncoder):
    """A Vision Transformer that works on the visible patches only; hidden ones get the mask token at the end.

    `image_size` is a side in pixels or (height, width), a multiple of `patch`. A mask must hide the same number
    of patches in every image: the visible ones of a batch go through the blocks as one tensor. Positions are
    absolute, since a token that is left out leaves no gap in a sequence.
    Source: MAE §3 and its `models_mae.py`. There the mask token enters behind a linear map to the width of the
    decoder, here before it, and positions are fixed sines.
    """

    def __init__(
        self, image_size: int | Grid = 32, patch: int = 4, dim: int = 192, depth: int = 12, heads: int = 3
    ):
        super().__init__(image_size, patch, dim, depth, heads, positions="absolute")
        self.config = {key: self.config[key] for key in ("image_size", "patch", "dim", "depth", "heads")}

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        if mask is None:
            return super().forward(images)
        check_input(images, mask, self.image_size, self.grid)
        tokens = keep_visible(self.embed(images), mask)
        for block in self.blocks:
            tokens = block(tokens)
        return self.to_map(put_back(self.norm(tokens), mask, self.mask_token))


def keep_visible(
    tokens: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch rows cols"]
) -> Float[Tensor, "batch visible dim"]:
    """The tokens of the visible patches of each image, in their order; hidden patches (True) are left out.

    Token `row * cols + col` belongs to `mask[:, row, col]`. In each image equally many patches are visible.
    """
    visible = ~mask.flatten(1)
    fewest, most = visible.sum(1).aminmax()
    if fewest != most:
        raise ValueError(
            f"the mask must show the same number of patches in every image, but shows from {fewest} to {most}: "
            "draw it with a strategy that counts, such as random_mask"
        )
    return rearrange(tokens[visible], "(batch visible) dim -> batch visible dim", batch=len(tokens))


def put_back(
    visible: Float[Tensor, "batch visible dim"],
    mask: Bool[Tensor, "batch rows cols"],
    mask_token: Float[Tensor, " dim"],
) -> Float[Tensor, "batch tokens dim"]:
    """A token for each patch, row by row: the visible ones in their places, `mask_token` where it is hidden.

    `visible` has the tokens of the visible patches of each image in their order, as `keep_visible` gives them.
    True in the mask is hidden, and in each image equally many patches are visible.
    """
    hidden = mask.flatten(1)
    tokens = mask_token.to(visible.dtype).repeat(*hidden.shape, 1)
    tokens[~hidden] = visible.flatten(0, 1)
    return tokens
