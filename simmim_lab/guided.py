"""Guided masks: hide what the model finds hard to guess, or what it looks at most (lesson 11).

A map gives each patch of each image a score, and a mask hides the patches with the highest:

    guided_mask(error_map(model, images))        what is hard to guess, as in HPM
    guided_mask(attention_map(model, images))    what the others look at, as in AttMask

A map costs a forward pass or two, in every step.
"""

import math

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from simmim_lab.masking import random_mask
from simmim_lab.probing import attention_maps
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM

Map = Float[Tensor, "batch rows cols"]


def hardest_mask(errors: Float[Tensor, "batch rows cols"], ratio: float) -> Bool[Tensor, "batch rows cols"]:
    """Hide the ceil(ratio * rows * cols) patches of each image with the largest errors. True = hidden.

    `ratio` lies from 0 to 1. Of patches with equal errors, any may be hidden first.
    """
    _, rows, cols = errors.shape
    hardest = errors.flatten(1).topk(math.ceil(ratio * (rows * cols)), dim=1).indices
    return torch.zeros_like(errors, dtype=torch.bool).flatten(1).scatter(1, hardest, True).view(errors.shape)


def guided_mask(score: Map, ratio: float = 0.6, share: float = 0.5, *, generator: Generator | None = None) -> Mask:
    """Hide ceil(ratio * patches) of each image: the `share` of them with the highest scores, and others at random.

    `share` lies from 0, a random mask, to 1, which leaves nothing to chance. `generator` is on the device of the
    scores. Source: HPM, whose share grows to 0.5 in the course of a training, with losses that a second head
    predicts; AttMask, which shows some of the highest again, as a hint.
    """
    first = hardest_mask(score, share * ratio)
    others = torch.rand(score.shape, generator=generator, device=score.device)
    return hardest_mask(others.masked_fill(first, torch.inf), ratio)


@torch.no_grad()
def error_map(model: SimMIM, images: Images, *, generator: Generator | None = None) -> Map:
    """The mean squared error of the model on each patch, when a random half of the patches is hidden with it.

    Two passes: one hides half of the patches, the other one the rest.
    """
    half = random_mask(len(images), model.grid(images), 0.5, generator=generator)
    errors = sum((model.reconstruct(images, mask) - images).square() for mask in (half, ~half))
    return reduce(errors, "batch c (rows p) (cols q) -> batch rows cols", "mean", p=model.patch, q=model.patch)


def attention_map(model: SimMIM, images: Images) -> Map:
    """How much each patch of whole images is looked at in the last block: a mean over the queries and the heads.

    Raises TypeError for an encoder that is no `ViTEncoder`.
    """
    rows, cols = model.grid(images)
    looked_at = attention_maps(model, images)[-1].mean((1, 2))[:, -rows * cols :]  # a class token comes first
    return rearrange(looked_at, "batch (rows cols) -> batch rows cols", rows=rows)
