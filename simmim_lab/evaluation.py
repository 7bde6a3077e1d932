"""Scores on the hidden pixels, and the baselines a model has to beat (lesson 05).

`psnr` and `ssim` look at hidden values only: a copy of the visible ones earns nothing. The baselines fill the
hidden values from the visible ones without a neural network, from weak to strong:

    visible_mean  the mean colour of what is visible
    nearest       the nearest visible pixel
    biharmonic    the smoothest surface through the visible pixels
    telea, navier_stokes  colours carried on from the border inwards: OpenCV's, if it is installed
    patches       the patches of the same picture that fit best
    LMMSE         the best linear predictor, fitted to training images

`feature_distance` compares pictures in the features of a model, where a blurred fill and a sharp one differ more.

Everywhere `images` lie in [0, 1] and True in `hidden` means hidden: either per pixel (batch, height, width), see
`masking.to_pixels`, or per value (batch, 3, height, width), as the article's masks are. Wrong shapes and dtypes
raise ValueError or TypeError.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from simmim_lab.shapes import Hidden, Images, check_boolean, check_images

if TYPE_CHECKING:
    from simmim_lab.simmim import SimMIM

GREY = 0.5  # the fill where an image shows nothing at all
RIDGE = 0.01  # of LMMSE, relative to the mean variance
LARGEST_SIDE = 48
AT_ONCE = 64  # windows that go through a model together
TILE = 4  # pixels along a side that `patches` copies at once
MOST_PATCHES = 20_000  # that it compares


def psnr(images: Images, filled: Images, hidden: Hidden) -> float:
    """Peak signal-to-noise ratio of the hidden values in dB, for a peak of 1.

    The squared errors of all hidden values of the batch are averaged first and turned into dB once: a mean of
    each image's dB would be higher. A perfect fill gives infinity, one that is no number NaN.
    Raises ValueError if nothing is hidden.
    """
    hidden = _scored_values(images, filled, hidden)
    error = (filled - images)[hidden].double().square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(images: Images, filled: Images, hidden: Hidden) -> float:
    """Structural similarity: the mean of the SSIM map over the hidden values, 1 for a perfect fill.

    Each value of the map compares 11 x 11 windows, so visible neighbours count too, but only windows centred on
    hidden values are averaged. Images need at least 11 pixels a side.
    Raises ValueError if nothing is hidden. Source: Wang et al. 2004, with their Gaussian of 1.5 pixels.
    """
    from skimage.metrics import structural_similarity

    hidden = _scored_values(images, filled, hidden)
    planes = [rearrange(x, "b c h w -> (b c) h w").double().cpu().numpy() for x in (images, filled)]
    _, similarity = structural_similarity(
        *planes, channel_axis=0, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    return float(similarity[rearrange(hidden, "b c h w -> (b c) h w").cpu().numpy()].mean())


def visible_mean(images: Images, hidden: Hidden) -> Images:
    """Fill each channel with the mean of its visible values; with 0.5 where none is visible."""
    hidden = _hidden_values(images, hidden)
    total = images.masked_fill(hidden, 0).sum((2, 3), keepdim=True)
    count = (~hidden).sum((2, 3), keepdim=True)
    return torch.where(hidden, torch.where(count > 0, total / count, GREY), images)


def nearest(images: Images, hidden: Hidden) -> Images:
    """Fill each hidden value with the nearest visible one of its channel; with 0.5 where none is visible."""

    def fill(planes, mask):
        rows, cols = distance_transform_edt(mask, return_distances=False, return_indices=True)
        return planes[:, rows, cols]

    return _fill_planes(images, hidden, fill)


def biharmonic(images: Images, hidden: Hidden) -> Images:
    """Fill with the surface of least bending through the visible pixels; with 0.5 where none is visible.

    The fill stays within the range of the visible values. Source: scikit-image's `inpaint_biharmonic`,
    which solves a system of equations for each different mask: slow for many masks.
    """
    from skimage.restoration import inpaint_biharmonic

    def fill(planes, mask):
        # In float64: the equations of a wide hole are too ill-conditioned for float32. Each hole on its own: for
        # all together scikit-image 0.26 reads memory that it has not written, and fails at times.
        return inpaint_biharmonic(planes.astype(float), mask, split_into_regions=True, channel_axis=0)

    return _fill_planes(images, hidden, fill)


def telea(images: Images, hidden: Hidden) -> Images:
    """Fill from the border inwards with weighted means of what is known near by, of 3 pixels around.

    OpenCV works with bytes, so the fill is rounded to 1/255. Raises ImportError without OpenCV.
    Source: Telea 2004, OpenCV's `inpaint`.
    """
    return _opencv(images, hidden, "INPAINT_TELEA")


def navier_stokes(images: Images, hidden: Hidden) -> Images:
    """Fill by letting the colours flow on along the lines of equal brightness, as a fluid does.

    OpenCV works with bytes, so the fill is rounded to 1/255. Raises ImportError without OpenCV.
    Source: Bertalmio et al. 2001, OpenCV's `inpaint`.
    """
    return _opencv(images, hidden, "INPAINT_NS")


def has_opencv() -> bool:
    """Whether OpenCV is installed, which `telea` and `navier_stokes` need."""
    return find_spec("cv2") is not None


def patches(images: Images, hidden: Hidden) -> Images:
    """Copy from the same picture: each tile of 4 x 4 pixels from the visible 8 x 8 patch that fits best around it.

    Tiles that know most of their surroundings come first, and what they got counts as known for the next. Patches
    are compared by the squared error on known values. Where no 8 x 8 patch is visible, it is `nearest`.
    Source: the idea of exemplar-based filling (Criminisi et al. 2004), simplified.
    """
    hidden = _hidden_values(images, hidden)
    start = nearest(images, hidden)
    return torch.stack([_copy_patches(*picture) for picture in zip(start, hidden, strict=True)])


BASELINES: dict[str, Callable[[Images, Hidden], Images]] = {
    "visible_mean": visible_mean,
    "nearest": nearest,
    "biharmonic": biharmonic,
}
OPENCV: dict[str, Callable[[Images, Hidden], Images]] = {"telea": telea, "navier_stokes": navier_stokes}


@dataclass(frozen=True)
class LMMSE:
    """The linear minimum mean squared error predictor: on its training images hardly any linear rule fills better.

    With mean mu and covariance S of the training images it predicts the hidden values h from the visible v as

        mu_h + S_hv (S_vv)^-1 (x_v - mu_v)        clipped to [0, 1]

    which is the conditional mean if images were Gaussian. Where nothing is visible it predicts the mean image.
    """

    mean: Float[Tensor, "3 height width"]
    covariance: Float[Tensor, "values values"]

    @classmethod
    def fit(cls, images: Images) -> "LMMSE":
        """Estimate mean and covariance from training images of at most 48 x 48 pixels.

        Give it many images, such as 10,000 random crops: a covariance estimated from few is noisy. A ridge of 1 %
        of the mean variance keeps the fit stable when they are few; a much larger one blurs what it predicts.
        Raises ValueError for larger images or fewer than two.
        """
        check_images(images)
        batch, _, height, width = images.shape
        if max(height, width) > LARGEST_SIDE:
            raise ValueError(
                f"LMMSE takes images of at most {LARGEST_SIDE} x {LARGEST_SIDE} pixels, not {height} x {width}: "
                "its covariance grows with the square of the number of pixels; resize or crop the images"
            )
        if batch < 2:
            raise ValueError(f"LMMSE needs at least 2 training images, better thousands, but got {batch}")
        covariance = torch.cov(images.flatten(1).T)
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean().clamp(min=1e-6))
        return cls(images.mean(0), covariance)

    def __call__(self, images: Images, hidden: Hidden) -> Images:
        """Fill the hidden values. Images that share a mask share a factorisation.

        Raises ValueError if the images differ in size from the training images.
        """
        if images.shape[1:] != self.mean.shape:
            raise ValueError(
                f"LMMSE was fitted to images of shape {tuple(self.mean.shape)}, but got "
                f"{tuple(images.shape[1:])}: fit it to images of this size"
            )
        mean, covariance = self.mean.to(images), self.covariance.to(images)
        hidden = _hidden_values(images, hidden)
        deviation = (images - mean).flatten(1)
        weights = torch.zeros_like(deviation)  # (S_vv)^-1 (x_v - mu_v), and 0 at the hidden values
        for mask, rows in _groups(hidden.flatten(1)):
            visible = (~mask).nonzero().squeeze(1)
            factor = torch.linalg.cholesky(covariance[visible[:, None], visible])
            block = rows[:, None], visible
            weights[block] = torch.cholesky_solve(deviation[block].T, factor).T
        prediction = mean + (weights @ covariance).view_as(images)
        return torch.where(hidden, prediction.clamp(0, 1), images)


@torch.no_grad()
def feature_distance(model: "SimMIM", images: Images, filled: Images, hidden: Hidden) -> float:
    """How far the features of `filled` are from those of `images` where something is hidden; 0 is equal.

    The pictures, of any size, are cut into windows of the model's size. The distance of two features is 1 less
    their cosine, and the mean over the features of all patches with a hidden pixel is returned. It is a perceptual
    distance in the manner of LPIPS, but on the features of this model: numbers from elsewhere do not compare.
    Raises ValueError if nothing is hidden.
    """
    hidden = _scored_values(images, filled, hidden).any(1, keepdim=True).to(images)
    height, width = model.image_size
    pad = 0, -images.shape[3] % width, 0, -images.shape[2] % height
    pairs = [F.pad(x, pad, mode="replicate") for x in (images, filled)] + [F.pad(hidden, pad)]
    cut = "b c (r h) (k w) -> (b r k) c h w"
    images, filled, hidden = (rearrange(x, cut, h=height, w=width) for x in pairs)
    some = hidden.flatten(1).any(1)
    distances = []
    for batch in zip(*(x[some].split(AT_ONCE) for x in (images, filled, hidden)), strict=True):
        one, other, holes = (x.to(model.mean.device) for x in batch)
        features = [model.encoder((x - model.mean) / model.std) for x in (one, other)]
        here = F.max_pool2d(holes, model.encoder.stride)[:, 0] > 0
        distances.append(1 - F.cosine_similarity(*features, dim=1)[here])
    return torch.cat(distances).mean().item()


def _opencv(images: Images, hidden: Hidden, method: str) -> Images:
    """Fill with OpenCV's `inpaint`, which takes bytes."""
    if not has_opencv():
        raise ImportError("this fill needs OpenCV: install it with pip install opencv-python-headless")
    import cv2

    def fill(planes, mask):
        planes = (255 * planes.clip(0, 1)).round()
        planes[:, mask] = 0  # what is hidden may be anything
        hole = mask.astype("uint8")
        filled = [cv2.inpaint(plane.astype("uint8"), hole, 3, getattr(cv2, method)) for plane in planes]
        return np.stack(filled) / 255

    return _fill_planes(images, hidden, fill)


def _copy_patches(
    image: Float[Tensor, "3 height width"], hidden: Bool[Tensor, "3 height width"]
) -> Float[Tensor, "3 height width"]:
    """One image with its hidden values copied, see `patches`; as it is if no patch is wholly visible."""
    _, height, width = image.shape
    edge = TILE // 2
    pad = edge, edge + -width % TILE, edge, edge + -height % TILE
    filled, known = F.pad(image, pad), F.pad(~hidden, pad)

    def squares(x: Tensor, side: int, stride: int) -> Float[Tensor, "3 rows cols side side"]:
        return x.unfold(1, side, stride).unfold(2, side, stride)  # a view: what is written there is written in x

    found, whole = (rearrange(squares(x, 2 * TILE, 1), "c r k h w -> (r k) (c h w)") for x in (filled, known))
    found = found[whole.all(1)]
    found = found[:: max(1, math.ceil(len(found) / MOST_PATCHES))]
    if not len(found):
        return image
    around = [squares(x, 2 * TILE, TILE) for x in (filled, known)]
    tiles, done = (squares(x[:, edge:-edge, edge:-edge], TILE, TILE) for x in (filled, known))
    while not done.all():
        knows = around[1].sum((0, 3, 4)) * ~done.all(-1).all(-1).all(0)
        rows, cols = (knows >= 0.75 * knows.max()).nonzero().T
        seen, sure = (rearrange(x[:, rows, cols].to(image), "c n h w -> n (c h w)") for x in around)
        error = sure @ found.square().T - 2 * (sure * seen) @ found.T  # less the square of what is seen
        best = rearrange(found[error.argmin(1)], "n (c h w) -> c n h w", c=3, h=2 * TILE)
        tiles[:, rows, cols] = torch.where(
            done[:, rows, cols], tiles[:, rows, cols], best[..., edge:-edge, edge:-edge]
        )
        done[:, rows, cols] = True
    return torch.where(hidden, filled[:, edge : edge + height, edge : edge + width], image)


def _hidden_values(images: Images, hidden: Hidden) -> Bool[Tensor, "batch 3 height width"]:
    """The mask per value, after a check of the arguments."""
    check_images(images, values=False)  # what is hidden may be anything
    check_boolean(hidden)
    batch, _, height, width = images.shape
    if hidden.shape == (batch, height, width):
        hidden = repeat(hidden, "b h w -> b c h w", c=3)
    if hidden.shape != images.shape:
        raise ValueError(
            f"for images of shape {tuple(images.shape)} the mask must have shape {(batch, height, width)} or one "
            f"entry per value, but has {tuple(hidden.shape)}: enlarge a patch mask with masking.to_pixels"
        )
    return hidden


def _scored_values(images: Images, filled: Images, hidden: Hidden) -> Bool[Tensor, "batch 3 height width"]:
    """The mask per value, after a check that there is something to score."""
    hidden = _hidden_values(images, hidden)
    check_images(filled, values=False)
    if filled.shape != images.shape:
        raise ValueError(f"filled must have the images' shape {tuple(images.shape)}, not {tuple(filled.shape)}")
    if not hidden.any():
        raise ValueError("nothing is hidden, so there is nothing to score: give a mask with True somewhere")
    return hidden


def _fill_planes(images: Images, hidden: Hidden, fill: Callable) -> Images:
    """Fill every channel of every image on its own; planes that share a mask are filled in one call.

    `fill(planes, mask)` gets arrays of shape (n, height, width) and (height, width).
    """
    hidden = _hidden_values(images, hidden)
    filled = rearrange(images, "b c h w -> (b c) h w").cpu().clone()
    for mask, rows in _groups(rearrange(hidden, "b c h w -> (b c) h w").cpu()):
        if mask.all():
            filled[rows] = GREY
        elif mask.any():
            filled[rows] = torch.as_tensor(fill(filled[rows].numpy(), mask.numpy())).to(filled)
    filled = rearrange(filled, "(b c) h w -> b c h w", c=3).to(images.device)
    return torch.where(hidden, filled, images)


def _groups(masks: Bool[Tensor, "n ..."]) -> Iterator[tuple[Tensor, Tensor]]:
    """Each different mask, with the indices of its rows."""
    groups = defaultdict(list)
    for row, mask in enumerate(masks.cpu().numpy()):
        groups[mask.tobytes()].append(row)
    for rows in groups.values():
        yield masks[rows[0]], torch.tensor(rows, device=masks.device)
