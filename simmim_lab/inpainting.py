"""Filling holes in pictures that are larger than those a model was trained on (lesson 00)."""

import torch
import torch.nn.functional as F
from einops import rearrange

from simmim_lab.masking import check_mask, to_pixels
from simmim_lab.shapes import Images, Mask, check_images
from simmim_lab.simmim import SimMIM

AT_ONCE = 64  # windows that go through the model together


@torch.no_grad()
def inpaint(model: SimMIM, images: Images, mask: Mask, size: int = 32, stride: int = 8) -> Images:
    """The images with hidden pixels filled in, from overlapping windows of `size` x `size` pixels.

    A window starts every `stride` pixels. Where windows overlap, their predictions are averaged, and the middle of
    a window counts more than its edge, from which the model sees less. Visible pixels are kept.
    Raises ValueError unless windows and patches tile the images.
    """
    check_images(images)
    check_mask(mask, len(images), model.grid(images))
    height, width = images.shape[-2:]
    if min(height, width) < size or (height - size) % stride or (width - size) % stride or stride % model.patch:
        raise ValueError(
            f"windows of {size} pixels that start every {stride} do not tile images of {height} x {width} pixels "
            f"with patches of {model.patch}"
        )
    side, step = size // model.patch, stride // model.patch
    seen = rearrange(images.unfold(2, size, stride).unfold(3, size, stride), "b c r k h w -> (b r k) c h w")
    hidden = rearrange(mask.unfold(1, side, step).unfold(2, side, step), "b r k h w -> (b r k) h w")
    windows = zip(seen.split(AT_ONCE), hidden.split(AT_ONCE), strict=True)
    predicted = torch.cat([model.predict(*window) for window in windows])

    middle = torch.hann_window(size + 2)[1:-1].to(images)  # rises from the edge to the middle, and is never 0
    weight = middle[:, None] * middle

    def laid(values: Images) -> Images:
        """The sum of all windows, each in its place."""
        columns = rearrange(values, "(b n) c h w -> b (c h w) n", b=len(images))
        return F.fold(columns, (height, width), size, stride=stride)

    mean = laid(predicted * weight) / laid(torch.ones_like(predicted) * weight)
    return torch.where(to_pixels(mask, model.patch)[:, None], mean, images)
