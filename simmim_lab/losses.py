"""Losses: the error on hidden pixels, and on nothing else (lesson 04).

All are the sum of errors over hidden values divided by their number, hidden pixels x channels, over the whole
batch. The small constant is the official code's: it makes the loss of an empty mask 0 instead of 0 / 0.
"""

from collections.abc import Callable

import torch.nn.functional as F
from einops import rearrange, repeat

from simmim_lab.masking import to_pixels
from simmim_lab.shapes import Images, Mask, Scalar


def masked_mse(prediction: Images, target: Images, mask: Mask) -> Scalar:
    """Mean squared error over hidden pixels: the course's default. Its best guess is the mean."""
    return _hidden_mean(F.mse_loss, prediction, target, mask)


def masked_l1(prediction: Images, target: Images, mask: Mask) -> Scalar:
    """Mean absolute error over hidden pixels: the paper's (SimMIM §3.4). Its best guess is the median."""
    return _hidden_mean(F.l1_loss, prediction, target, mask)


def masked_smooth_l1(prediction: Images, target: Images, mask: Mask) -> Scalar:
    """Squared below an error of 1, absolute above it, over hidden pixels (SimMIM's ablation of losses)."""
    return _hidden_mean(F.smooth_l1_loss, prediction, target, mask)


LOSSES = {"mse": masked_mse, "l1": masked_l1, "smooth_l1": masked_smooth_l1}


def normalize_patches(images: Images, patch: int) -> tuple[Images, Images, Images]:
    """Give every patch mean 0 and standard deviation 1; return the result, the means and the deviations.

    Means and deviations are taken over all values of a patch and have the shape of the images, so that
    `normalized * std + mean` is the image again. The variance is unbiased, and 1e-6 keeps flat patches finite.
    Source: MAE §3 ("normalized pixels") and its `models_mae.py`.
    """
    height, width = images.shape[-2:]
    if height % patch or width % patch:
        raise ValueError(f"patches of {patch} pixels do not tile an image of {height} x {width} pixels")
    patches = rearrange(images, "b c (rows p) (cols q) -> b rows cols (c p q)", p=patch, q=patch)
    mean, std = patches.mean(-1), (patches.var(-1) + 1e-6).sqrt()
    mean, std = (
        repeat(x, "b rows cols -> b c (rows p) (cols q)", c=images.shape[1], p=patch, q=patch) for x in (mean, std)
    )
    return (images - mean) / std, mean, std


def _hidden_mean(error: Callable[..., Images], prediction: Images, target: Images, mask: Mask) -> Scalar:
    """Sum of the hidden errors / (hidden pixels + 1e-5) / channels, as in the official `simmim.py`."""
    channels, height, width = prediction.shape[1:]
    rows, cols = mask.shape[1:]
    if height % rows or height // rows * cols != width:
        raise ValueError(f"a mask of {rows} x {cols} patches does not tile an image of {height} x {width} pixels")
    hidden = to_pixels(mask, height // rows)
    # Visible values go before the error is taken: the gradient of an infinite error is no number, even times 0.
    prediction, target = (values.masked_fill(~hidden[:, None], 0) for values in (prediction, target))
    return error(prediction, target, reduction="none").sum() / (hidden.sum() + 1e-5) / channels
