"""SimMIM in Keras 3: the same network on PyTorch, JAX or TensorFlow (lesson 10).

The environment variable KERAS_BACKEND says on which; it counts when Keras is first imported. Where it is not set,
this module takes "torch", which the course has anyway. Keras puts channels last: images are
(batch, height, width, 3). Layers and weights have the names of the PyTorch model.
"""

import math
import os
import re
from typing import Any

from einops import rearrange

from simmim_lab.common import choose
from simmim_lab.encoders import RelativePositionBias
from simmim_lab.files import misfit
from simmim_lab.shapes import Grid
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD, SimMIM

os.environ.setdefault("KERAS_BACKEND", "torch")
try:
    import keras
    from keras import layers, ops
except ImportError as error:
    needed = error.name.partition(".")[0]
    package = "'simmim-lab[keras]'" if needed == "keras" else needed  # the backend
    raise ImportError(f"simmim_keras needs {needed}; install it with: pip install {package}") from error


class KerasSimMIM(keras.Model):
    """SimMIM with a ViT encoder and the linear decoder, as `config` of a `SimMIM` describes it, with new weights.

    It takes {"images": images, "mask": mask}, images with values in [0, 1] and a mask on the grid of patches with
    True for hidden, and returns the prediction for all pixels in normalised colours. `compile(optimizer)` and
    `fit` train it: its loss is the error on the hidden pixels. Raises ValueError for a config with other parts.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__(name="simmim")
        encoder = dict(config["encoder"])
        kinds = encoder.pop("kind"), config["decoder"]["kind"]
        extras = encoder.pop("layer_scale", None), encoder.pop("cls_token", None), config["normalize_patch"]
        if kinds != ("vit", "linear") or any(extras):
            raise ValueError(
                "KerasSimMIM has a ViT encoder without layer scale and class token, a linear decoder and plain "
                f"pixels as target, but the config is {config}"
            )
        self.error = choose(config["loss"], ERRORS, "loss")
        self.image_size, self.patch = encoder["image_size"], encoder["patch"]
        self.encoder = ViTEncoder(**encoder)
        self.decoder = LinearDecoder(self.patch)
        images, mask = (
            keras.KerasTensor((1, *self.image_size, 3)),
            keras.KerasTensor((1, *self.encoder.grid), "bool"),
        )
        self({"images": images, "mask": mask})  # only shapes: now all weights are there

    def call(self, inputs):
        return self.decoder(self.encoder(normalize(inputs["images"]), inputs["mask"]))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return masked_loss(y_pred, normalize(x["images"]), x["mask"], self.error)

    def reconstruct(self, images, mask):
        """The images with hidden pixels filled in by the model and visible pixels kept."""
        filled = self({"images": images, "mask": mask}) * ops.array(IMAGENET_STD) + ops.array(IMAGENET_MEAN)
        return ops.where(to_pixels(mask, self.patch), ops.clip(filled, 0, 1), images)


def masked_loss(prediction, target, mask, error=ops.square):
    """Sum of the errors of hidden values / (hidden pixels + 1e-5) / colours: see `losses`."""
    hidden = ops.cast(to_pixels(mask, prediction.shape[1] // mask.shape[1]), prediction.dtype)
    return ops.sum(error(prediction - target) * hidden) / (ops.sum(hidden) + 1e-5) / 3


def smooth_l1(difference):
    """Squared below a difference of 1, absolute above it."""
    size = ops.abs(difference)
    return ops.where(size < 1, size**2 / 2, size - 0.5)


ERRORS = {"mse": ops.square, "l1": ops.abs, "smooth_l1": smooth_l1}


def normalize(images):
    """Colours with ImageNet's mean and deviation taken out."""
    return (ops.convert_to_tensor(images) - ops.array(IMAGENET_MEAN)) / ops.array(IMAGENET_STD)


def to_pixels(mask, patch: int):
    """The mask of patches as one of pixels, with an axis for colours."""
    return ops.repeat(ops.repeat(mask, patch, axis=1), patch, axis=2)[..., None]


class ViTEncoder(layers.Layer):
    """A Vision Transformer that sees all patches; hidden ones enter as one learned mask token."""

    def __init__(
        self, image_size: Grid, patch: int, dim: int, depth: int, heads: int, positions: str, eps: float = 1e-6
    ):
        super().__init__(name="encoder")
        self.grid = image_size[0] // patch, image_size[1] // patch
        self.dim, self.heads, self.kind = dim, heads, positions
        self.patch_embed = conv(dim, patch, "patch_embed")
        self.blocks = [Block(dim, heads, eps, name=f"blocks_{i}") for i in range(depth)]
        self.norm = layers.LayerNormalization(epsilon=eps, name="norm")  # Keras' own epsilon is 1e-3

    def build(self, images_shape, hidden_shape):
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        self.mask_token = self.add_weight((self.dim,), start, name="mask_token")
        self.positions = self.table = None
        if self.kind != "relative":
            self.positions = self.add_weight((*self.grid, self.dim), start, name="positions")
        if self.kind != "absolute":
            relative = RelativePositionBias(self.grid, self.heads)
            self.index = relative.index.numpy()
            self.table = self.add_weight(tuple(relative.table.shape), name="relative_table")
            self.table.assign(relative.table.detach().numpy())

    def call(self, images, hidden):  # by the name of `mask`, Keras would take it for padding
        tokens = self.patch_embed(images)
        tokens = ops.where(hidden[..., None], ops.convert_to_tensor(self.mask_token), tokens)
        if self.positions is not None:
            tokens = tokens + self.positions
        tokens = rearrange(tokens, "b rows cols dim -> b (rows cols) dim")
        bias = ops.transpose(ops.take(self.table, self.index, axis=0), (2, 0, 1)) if self.table is not None else 0
        for block in self.blocks:
            tokens = block(tokens, bias=bias)
        return rearrange(self.norm(tokens), "b (rows cols) dim -> b rows cols dim", rows=self.grid[0])


class Block(layers.Layer):
    """One Transformer layer: attention between tokens, then an MLP on each token, both as residuals."""

    def __init__(self, dim: int, heads: int, eps: float, name: str):
        super().__init__(name=name)
        self.norm1 = layers.LayerNormalization(epsilon=eps, name="norm1")
        self.attention = Attention(dim, heads)
        self.norm2 = layers.LayerNormalization(epsilon=eps, name="norm2")
        self.wide, self.narrow = dense(4 * dim, "mlp_0", activation="gelu"), dense(dim, "mlp_2")

    def call(self, x, bias):
        x = x + self.attention(self.norm1(x), bias=bias)
        return x + self.narrow(self.wide(self.norm2(x)))


class Attention(layers.Layer):
    """Multi-head self-attention, with `bias` added to the scores of (query, key)."""

    def __init__(self, dim: int, heads: int):
        super().__init__(name="attention")
        self.heads = heads
        self.qkv, self.project = dense(3 * dim, "qkv"), dense(dim, "project")

    def call(self, x, bias):
        query, key, value = (
            rearrange(part, "b n (h d) -> b h n d", h=self.heads) for part in ops.split(self.qkv(x), 3, axis=-1)
        )
        scores = query @ ops.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1]) + bias
        return self.project(rearrange(ops.softmax(scores) @ value, "b h n d -> b n (h d)"))


class LinearDecoder(layers.Layer):
    """One linear map from each token to its pixels, ordered (colour, row, column): `decoders.LinearDecoder`."""

    def __init__(self, patch: int):
        super().__init__(name="decoder")
        self.patch, self.linear = patch, conv(3 * patch**2, 1, "linear")

    def call(self, features):
        order = "b rows cols (c i j) -> b (rows i) (cols j) c"
        return rearrange(self.linear(features), order, i=self.patch, j=self.patch)


def dense(width: int, name: str, **options) -> layers.Layer:
    """A linear map of each token, with weights from N(0, 1 / fan-in)."""
    return layers.Dense(width, kernel_initializer=fan_in(), name=name, **options)


def conv(width: int, patch: int, name: str) -> layers.Layer:
    """A linear map of each patch of `patch` x `patch` places, with weights from N(0, 1 / fan-in)."""
    return layers.Conv2D(width, patch, strides=patch, kernel_initializer=fan_in(), name=name)


def fan_in() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(1, mode="fan_in", distribution="untruncated_normal")


OWN_NAMES = {"kernel": "weight", "gamma": "weight", "beta": "bias"}  # Keras', and PyTorch's


def copy_weights(model: SimMIM, keras_model: KerasSimMIM) -> None:
    """Give the Keras model the weights of a PyTorch model that is built alike; ValueError says what does not fit.

    PyTorch keeps the weights of a map as (out, in, ...), Keras as (..., in, out).
    """
    wanted, given = {}, dict(model.state_dict())
    for weight in keras_model.weights:
        *places, own = weight.path.split("/")[1:]
        name = ".".join([*places, OWN_NAMES.get(own, own)])
        name = re.sub(r"_(?=\d|table)", ".", name)  # Keras allows no dots: blocks_0, mlp_2, relative_table
        wanted[name] = weight
        if own == "kernel" and name in given:
            given[name] = rearrange(given[name], "out into ... -> ... into out")
    if problem := misfit(wanted, given):
        raise ValueError(f"the two models are built differently: {problem}; build both from one config")
    for name, weight in wanted.items():
        weight.assign(given[name].cpu().numpy().copy())  # JAX and PyTorch would share the memory
