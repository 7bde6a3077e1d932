"""SimMIM: hide patches, encode, decode, and compare on what was hidden (lessons 02 to 04)."""

from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from simmim_lab.backbones import ENCODERS, build, describe, image_size
from simmim_lab.common import choose
from simmim_lab.decoders import DECODERS
from simmim_lab.files import load_model, save_model
from simmim_lab.losses import LOSSES, normalize_patches
from simmim_lab.masking import to_pixels
from simmim_lab.shapes import Grid, Images, Mask, Scalar, check_images

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _vit(dim: int, depth: int, heads: int, image_size: int = 32, patch: int = 4, **options) -> dict[str, Any]:
    sizes = {"image_size": image_size, "patch": patch, "dim": dim, "depth": depth, "heads": heads}
    return {"kind": "vit", **sizes, **options}


def _timm(name: str) -> dict[str, Any]:
    encoder = {"kind": "timm", "name": name.removeprefix("timm/")}
    return {"encoder": encoder, "decoder": {"kind": "linear"}, "loss": "l1"}


_PAPER_VIT = {"positions": "relative", "layer_scale": 0.1, "cls_token": True}
_PAPER_SWIN = {"name": "swin_base_patch4_window7_224", "image_size": 192, "window_size": 6, "drop_path_rate": 0.0}

PRESETS: dict[str, dict[str, Any]] = {
    # the article's network; it masks pixels, not patches
    "article_cnn": {"encoder": {"kind": "conv"}, "decoder": {"kind": "deconv"}},
    # 0.2 million parameters: learns on a laptop's CPU in two minutes
    "vit_nano": {"encoder": _vit(64, 4, 2), "decoder": {"kind": "linear"}},
    # as large: windows of 4 x 4 tokens, first on 16 x 16 patches of 2 pixels, then on 8 x 8 of 4
    "swin_nano": {"encoder": {"kind": "swin"}, "decoder": {"kind": "linear"}},
    "vit_tiny": {"encoder": _vit(192, 12, 3), "decoder": {"kind": "linear"}},
    "vit_small": {"encoder": _vit(384, 12, 6), "decoder": {"kind": "linear"}},
    # the paper's (SimMIM §4.1 and the official configurations)
    "vit_base": {
        "encoder": _vit(768, 12, 12, 224, 16, **_PAPER_VIT),
        "decoder": {"kind": "linear"},
        "loss": "l1",
    },
    "swin_base": {"encoder": {"kind": "timm", **_PAPER_SWIN}, "decoder": {"kind": "linear"}, "loss": "l1"},
}

# The trained models that come with the course, by name; SOURCES.md says where each comes from.
PRETRAINED = {"cifar10": Path(__file__).parent / "weights" / "cifar10"}


class SimMIM(nn.Module):
    """An encoder that sees an image with hidden patches, a decoder that predicts them, and a loss.

    `loss` is "mse", "l1" or "smooth_l1". With `normalize_patch=p` the target is the image with every p x p patch
    at mean 0 and deviation 1; features may gain from that, but such predictions are no pictures.
    Images come in with values in [0, 1]; inside, the model works on colours normalised with ImageNet's mean and
    deviation. Source: SimMIM §3, official `simmim.py`.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, loss: str = "mse", normalize_patch: int | None = None
    ):
        super().__init__()
        choose(loss, LOSSES, "loss")
        self.encoder, self.decoder = encoder, decoder
        self.loss, self.normalize_patch = loss, normalize_patch
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    @classmethod
    def preset(cls, name: str, image_size: int | Grid | None = None) -> Self:
        """Build one of PRESETS by name, for images of another size if you like.

        "timm/NAME" is any encoder of timm that `TimmEncoder` takes, with new weights and a linear decoder.
        Raises ValueError for an unknown name (it suggests the nearest) and for a size that patches do not tile.
        """
        config = _timm(name) if name.startswith("timm/") else choose(name, PRESETS, "preset")
        if image_size is not None and config["encoder"]["kind"] != "conv":  # a CNN takes any size
            config = config | {"encoder": config["encoder"] | {"image_size": image_size}}
        return cls.from_config(config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the model that `config` of another one describes, with new weights."""
        encoder = build(ENCODERS, config["encoder"])
        decoder = build(DECODERS, config["decoder"], encoder.dim, encoder.stride)
        return cls(encoder, decoder, **{key: config[key] for key in config.keys() - {"encoder", "decoder"}})

    @classmethod
    def pretrained(cls, name: str) -> Self:
        """A trained model that comes with the course, one of PRETRAINED.

        "cifar10" is a `vit_tiny` for images of 32 x 32 pixels, trained for two minutes on a GPU on the training
        images of CIFAR-10, with masks of all kinds in 8-pixel cells.
        Raises ValueError for an unknown name.
        """
        return cls.load(choose(name, PRETRAINED, "pretrained model"))

    @property
    def patch(self) -> int:
        """Pixels per mask entry, along each side."""
        return self.encoder.patch

    @property
    def image_size(self) -> Grid:
        """(height, width) of the images that it was built for; a CNN takes any, and says 32 x 32."""
        return image_size(self.encoder)

    def grid(self, images: Images) -> Grid:
        """(rows, cols) of the mask for these images; ValueError when patches do not tile them."""
        height, width = images.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(f"patches of {self.patch} pixels do not tile images of {height} x {width} pixels")
        return height // self.patch, width // self.patch

    def forward(self, images: Images, mask: Mask) -> tuple[Scalar, Images]:
        """Return the loss on the hidden pixels and the prediction for all pixels, in normalised colours."""
        check_images(images)
        images = (images - self.mean) / self.std
        prediction = self.decoder(self.encoder(images, mask)).float()
        target = images if self.normalize_patch is None else normalize_patches(images, self.normalize_patch)[0]
        return LOSSES[self.loss](prediction, target, mask), prediction

    @torch.no_grad()
    def predict(self, images: Images, mask: Mask) -> Images:
        """The prediction for all pixels as a picture in [0, 1]. Visible pixels are predicted too, and badly:
        the loss never asked for them."""
        if self.normalize_patch is not None:
            raise ValueError(
                "this model predicts patches without their mean and contrast, which make no picture; "
                "train one with normalize_patch=None"
            )
        _, prediction = self(images, mask)
        return (prediction * self.std + self.mean).clamp(0, 1)

    def reconstruct(self, images: Images, mask: Mask) -> Images:
        """The images with hidden pixels filled in by the model and visible pixels kept."""
        prediction = self.predict(images, mask)
        return torch.where(to_pixels(mask, self.patch)[:, None], prediction, images)

    @property
    def config(self) -> dict[str, Any]:
        """All that is needed to build this model again; TypeError if a part is not one of the course's."""
        return {
            "encoder": describe(self.encoder, ENCODERS),
            "decoder": describe(self.decoder, DECODERS),
            "loss": self.loss,
            "normalize_patch": self.normalize_patch,
        }

    def save(self, folder: str | Path, bits: int = 32, header: dict[str, str] | None = None) -> None:
        """Write `model.safetensors` and `model.json` into `folder`, each whole or not at all.

        With `bits=8` the weights take a quarter of the room, rounded (`files.pack` says how). `header` are texts
        that the file of the weights keeps, such as what the model was trained on.
        """
        save_model(folder, self.config, self.state_dict(), bits, header)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote. No code is loaded, only numbers and names.

        Raises FileNotFoundError or ValueError that names the file at fault.
        """
        return load_model(folder, cls.from_config)
