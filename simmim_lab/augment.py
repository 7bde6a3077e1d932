"""Augmentation for fine-tuning a classifier: on the device, for a whole batch at once (lesson 07).

    rand_augment  random operations: images are turned, moved, made brighter or less colourful, ...
    shift         images move by a few pixels
    mixup_cutmix  mixup and CutMix: two images become one, and so do their labels

Each image draws for itself. All randomness comes from a `Generator` on the device of the images, and the host
never waits for the device. The input is left as it is.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from simmim_lab.shapes import Images, Labels, check_images

WARPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
COLOURS = ("brightness", "contrast", "saturation", "sharpness", "autocontrast", "solarize")
OPERATIONS = (*WARPS, *COLOURS, "identity")


def rand_augment(images: Images, generator: Generator, *, operations: int = 2, magnitude: float = 9.0) -> Images:
    """Change each image by `operations` random ones of `OPERATIONS`, one after the other, within [0, 1].

    Magnitude 0 changes nothing. At magnitude 10, the end of the range,

        rotate                    turns by 30 degrees,
        shear_x, shear_y          moves each row or column 0.3 pixels further than the one before,
        translate_x, translate_y  moves by 0.45 of the width or height,
        brightness                multiplies the difference from black by 0.1 or 1.9,
        contrast                  that from the mean grey of the image,
        saturation                that from the grey image,
        sharpness                 that from the blurred image,
        autocontrast              stretches each channel until it reaches from 0 to 1 (a flat one turns black),
        solarize                  inverts all values above 0; at magnitude m those above 1 - m / 10.

    Directions are random; what comes in from outside is mid-grey. Raises ValueError for a magnitude outside 0..10.
    Source: RandAugment (Cubuk et al. 2020) without equalize, which needs a histogram per image, and posterize,
    whose range differs from code to code. The ranges are those of timm's `rand-m9-mstd0.5-inc1`, SimMIM's choice.
    timm skips each operation in half of the cases and varies the magnitude; the paper and this function do not.
    """
    check_images(images)
    if not 0 <= magnitude <= 10:
        raise ValueError(f"the magnitude must lie between 0 and 10, but is {magnitude}")
    draw = partial(torch.randint, size=(len(images),), generator=generator, device=images.device)
    for _ in range(operations):
        picked = torch.arange(len(OPERATIONS), device=images.device)[:, None] == draw(len(OPERATIONS))
        amounts = picked * (2 * draw(2) - 1) * (magnitude / 10)  # all 0 but one, for each image
        warps, colours, _ = amounts.split([len(WARPS), len(COLOURS), 1])
        images = _recolour(_warp(images, warps), colours)
    return images


def shift(images: Images, generator: Generator, pixels: int = 4) -> Images:
    """Move each image by up to `pixels` whole pixels up or down and left or right, without interpolation.

    The gap shows the mirror image of what lies at the edge: a black one would tell how far the image was moved,
    and hide more of it. Raises ValueError unless `pixels` is at least 0 and less than the sides of the image.
    Source: the crop with padding 4 of CIFAR recipes (He et al. 2016), mirrored as in airbench (Jordan 2024).
    """
    check_images(images)
    batch, _, height, width = images.shape
    if not 0 <= pixels < min(height, width):
        raise ValueError(f"images of {height} x {width} pixels cannot be shifted by up to {pixels}, only by fewer")
    draws = torch.randint(-pixels, pixels + 1, (2, batch), generator=generator, device=images.device)
    rows, cols = (_mirror(side, moved) for side, moved in zip((height, width), draws, strict=True))
    images = images.gather(2, rearrange(rows, "b h -> b 1 h 1").expand_as(images))
    return images.gather(3, rearrange(cols, "b w -> b 1 1 w").expand_as(images))


def mixup_cutmix(
    images: Images, labels: Labels, generator: Generator, *, share: float = 1.0
) -> tuple[Images, Labels]:
    """Mix each image with the one before it in the batch, by mixup or by CutMix as a coin decides.

    Mixup blends all pixels in a proportion drawn from U(0, 1). CutMix puts a box of the other image in the same
    place; the box has the image's aspect ratio, an area drawn from U(0, 1) and a centre drawn from the whole
    image, and is cut off at the border. Labels, whose rows sum to 1, are mixed in the proportion of the pixels.
    A `share` in [0, 1] of the images, chosen by a coin for each, is mixed; the others stay as they are.
    Raises ValueError for another share, or for labels that are not floats of shape (batch, classes).
    Source: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), both with alpha = 1.
    """
    check_images(images)
    batch, _, height, width = images.shape
    if not 0 <= share <= 1:
        raise ValueError(f"the share of mixed images must lie between 0 and 1, but is {share}")
    if not labels.is_floating_point() or labels.ndim != 2 or len(labels) != batch:
        raise ValueError(
            f"labels must be floats of shape ({batch}, classes), but are {labels.dtype} of shape "
            f"{tuple(labels.shape)}: pass F.one_hot(labels, classes).float()"
        )
    kept, y, x, kind, chosen = torch.rand(5, batch, 1, 1, generator=generator, device=images.device)
    row, col = ((torch.arange(n, device=images.device) + 0.5) / n for n in (height, width))
    half = (1 - kept).sqrt() / 2
    box = ((row[:, None] - y).abs() < half) & ((col - x).abs() < half)
    kept = torch.where(kind < 0.5, kept, (~box).float())  # per pixel, the proportion of the image itself
    kept = torch.where(chosen < share, kept, 1)
    images = torch.lerp(images.roll(1, 0), images, rearrange(kept, "b h w -> b 1 h w"))
    return images, torch.lerp(labels.roll(1, 0), labels, kept.mean((1, 2))[:, None])


def _warp(images: Images, amounts: Float[Tensor, "5 batch"]) -> Images:
    """Turn, shear and move each image around its centre by its `amounts` of `WARPS`, from -1 to 1."""
    height, width = images.shape[-2:]
    rotate, shear_x, shear_y, translate_x, translate_y = rearrange(amounts, "n b -> n b 1 1")
    angle = math.radians(30) * rotate
    sin, cos = angle.sin(), angle.cos()
    row, col = (torch.arange(n, device=images.device) - (n - 1) / 2 for n in (height, width))
    x = cos * col + (0.3 * shear_x - sin) * row[:, None] + 0.45 * width * translate_x
    y = cos * row[:, None] + (0.3 * shear_y + sin) * col + 0.45 * height * translate_y
    places = torch.stack([2 * x / width, 2 * y / height], -1)
    return F.grid_sample(images - 0.5, places, align_corners=False) + 0.5  # it fills with 0, which becomes grey


def _recolour(images: Images, amounts: Float[Tensor, "6 batch"]) -> Images:
    """Change each image by its `amounts` of `COLOURS`, from -1 to 1, of which at most one is not 0."""
    amounts = rearrange(amounts, "n b -> n b 1 1 1")
    brightness, contrast, saturation, sharpness = 0.9 * amounts[:4]
    autocontrast, solarize = amounts[4:].abs()
    red, green, blue = images.split(1, dim=1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue  # Rec. 601, as in Pillow
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    around = padded.unfold(2, 3, 1).sum(-1).unfold(3, 3, 1).sum(-1)  # 3 x 3 pixels; avg_pool2d is slow on a CPU
    blurred = (4 * images + around) / 13  # as in Pillow: the middle counts five times
    low = autocontrast * images.amin((2, 3), keepdim=True)
    high = 1 - autocontrast * (1 - images.amax((2, 3), keepdim=True))

    images = images * (1 - brightness)
    images = torch.lerp(images, grey.mean((2, 3), keepdim=True), contrast)
    images = torch.lerp(images, grey, saturation)
    images = torch.lerp(images, blurred, sharpness)
    images = ((images - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    return torch.where(images > 1 - solarize, 1 - images, images)


def _mirror(side: int, moved: Int64[Tensor, " batch"]) -> Int64[Tensor, "batch side"]:
    """The pixels 0 .. side - 1 that take the places of 0 .. side - 1 when an image is `moved` and mirrored."""
    last = side - 1
    place = torch.arange(side, device=moved.device) - moved[:, None]
    return last - (last - place.abs()).abs()
