"""The tensors of the course: what their axes mean, and a check where images enter (all lessons)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Images = Float[Tensor, "batch 3 height width"]  # RGB in [0, 1]; behind a model's normalisation about [-2, 2]
Grid = tuple[int, int]  # (rows, cols) in patches
Mask = Bool[Tensor, "batch rows cols"]  # on the grid of patches, True = hidden
Hidden = Bool[Tensor, "batch height width"] | Bool[Tensor, "batch 3 height width"]  # a mask of pixels or values
Tokens = Float[Tensor, "batch tokens dim"]
Features = Float[Tensor, "batch dim rows cols"]  # tokens in their places
Labels = Float[Tensor, "batch classes"]  # of each image, one share per class; they add up to 1
Scalar = Float[Tensor, ""]

SLACK = 1e-3  # interpolation may leave [0, 1] by a rounding


def check_boolean(mask: Tensor) -> None:
    """Raise TypeError unless `mask` is a boolean tensor."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        found = f"its dtype is {mask.dtype}" if isinstance(mask, Tensor) else f"got {type(mask).__name__}"
        raise TypeError(f"the mask must be boolean with True = hidden, but {found}")


def check_images(images: Tensor, *, values: bool = True) -> None:
    """Raise TypeError or ValueError unless `images` are floats in [0, 1] of shape (batch, 3, height, width).

    With `values=False` only the form counts. Values are only looked at on the CPU: on a GPU the host would have to
    wait for them, in every step.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        found = f"their dtype is {images.dtype}" if isinstance(images, Tensor) else f"got {type(images).__name__}"
        raise TypeError(f"images must be a float tensor with values in [0, 1], but {found}: divide by 255")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must have shape (batch, 3, height, width), but have {tuple(images.shape)}")
    if not values or images.device.type != "cpu" or torch.compiler.is_compiling() or not images.numel():
        return
    low, high = (bound.item() for bound in images.detach().aminmax())
    if not (low >= -SLACK and high <= 1 + SLACK):  # also if they are not a number
        raise ValueError(
            f"images must lie in [0, 1], but reach from {low:.3g} to {high:.3g}: divide by 255, and leave "
            "the normalisation to the model"
        )
