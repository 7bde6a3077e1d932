"""Probing: what is in the features of a frozen encoder, and who finds it (lessons 06 and 07)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from simmim_lab.common import evaluating
from simmim_lab.encoders import Attention, ViTEncoder
from simmim_lab.hardware import autocast
from simmim_lab.shapes import Features, Images, Mask, check_images
from simmim_lab.simmim import SimMIM

Vectors = Float[Tensor, "images numbers"]

BATCH = 250  # images at a time
C = 0.1  # how freely a probe may fit its labels; scikit-learn's measure


@torch.no_grad()
def encode(model: SimMIM, images: Images, mask: Mask | None = None) -> Features:
    """What the encoder makes of images, whole or with hidden patches; the model stays as it is."""
    check_images(images)
    device = model.mean.device
    with evaluating(model), autocast(device):
        found = model.encoder(
            (images.to(device) - model.mean) / model.std, mask if mask is None else mask.to(device)
        )
    return found.float().cpu()


def features(model: SimMIM, images: Images, cells: int = 4, layer: int | None = None) -> Vectors:
    """What the encoder makes of whole images, averaged within each of `cells` x `cells` parts of the image.

    With a `layer`, what it has made of them so far: the number of a map of `layers`.
    """

    def pooled(batch: Images) -> Features:
        found = encode(model, batch) if layer is None else layers(model, batch)[layer]
        return F.adaptive_avg_pool2d(found, cells)

    return torch.cat([pooled(batch) for batch in images.split(BATCH)]).flatten(1)


def layers(model: SimMIM, images: Images, mask: Mask | None = None) -> list[Features]:
    """The tokens on their way through a ViT, in their places: as they enter each block, as they leave the last,
    and behind the final norm, which is what the encoder returns. A ViT of 12 blocks gives 14 maps.

    Raises TypeError for an encoder that is no `ViTEncoder`.
    """
    encoder = _vit(model)
    seen = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.append(encoder.to_map(arguments[0]).float().cpu())

    with _hooked([module.register_forward_pre_hook(keep) for module in (*encoder.blocks, encoder.norm)]):
        last = encode(model, images, mask)
    return [*seen, last]


def attention_maps(
    model: SimMIM, images: Images, mask: Mask | None = None
) -> list[Float[Tensor, "batch heads query key"]]:
    """How much each token looks at each, in every block and head of a ViT; over `key` the shares add up to 1.

    Tokens are counted row by row; a class token comes before them.
    Raises TypeError for an encoder that is no `ViTEncoder`.
    """
    seen = []

    def keep(attention: Attention, arguments: tuple[Tensor, Tensor | None], output: Tensor) -> None:
        x, bias = arguments
        query, key, _ = rearrange(attention.qkv(x), "b n (part h d) -> part b h n d", part=3, h=attention.heads)
        scores = query @ key.mT / query.shape[-1] ** 0.5
        seen.append((scores if bias is None else scores + bias).softmax(-1).float().cpu())

    with _hooked([block.attention.register_forward_hook(keep) for block in _vit(model).blocks]):
        encode(model, images, mask)
    return seen


def similarity_map(features: Float[Tensor, "dim rows cols"], place: tuple[int, int]) -> Float[Tensor, "rows cols"]:
    """The cosine similarity of the token at `place` (row, column) to every token, from -1 to 1.

    `features` has a token of `dim` numbers for each place of a grid of any form. No token is all zeros.
    """
    row, col = place
    return F.cosine_similarity(features[:, row, col, None, None], features, dim=0)


def knn(vectors: Vectors, labels: Int64[Tensor, " images"], neighbours: int = 5) -> KNeighborsClassifier:
    """The vote of the nearest vectors (Euclidean), fitted; `score(vectors, labels)` is its accuracy on others."""
    return KNeighborsClassifier(neighbours).fit(vectors, labels)


def linear_probe(vectors: Vectors, labels: Int64[Tensor, " images"]) -> Pipeline:
    """Logistic regression on standardised numbers, fitted; `score(vectors, labels)` is its accuracy on others."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    with threadpool_limits(1):  # on busy cores several threads would take thirty times as long
        return probe.fit(vectors, labels)


def _vit(model: SimMIM) -> ViTEncoder:
    if not isinstance(model.encoder, ViTEncoder):
        raise TypeError(
            f"only a ViTEncoder has tokens to look at in each block, not a {type(model.encoder).__name__}"
        )
    return model.encoder


@contextmanager
def _hooked(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Take the hooks off a model again, whatever happens."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
