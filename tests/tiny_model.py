"""The smallest SimMIM and noise to train it on, for tests of training; not a test itself."""

import torch

from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.images import ImageSet
from simmim_lab.simmim import SimMIM


def tiny() -> SimMIM:
    torch.manual_seed(0)
    encoder = ViTEncoder(image_size=16, patch=4, dim=32, depth=2, heads=2)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride))


def noise() -> ImageSet:
    pixels = torch.randint(256, (100, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet("noise", "train", pixels, torch.zeros(100).long(), ("noise",))


def weights(model: SimMIM) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(first: dict, second: dict) -> None:
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
