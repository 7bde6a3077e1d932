"""A GAN in small: two networks that train against each other (lesson 09).

The generator makes a picture of noise, in one pass. The discriminator tells made pictures from real ones, and what
it finds is all that the generator learns from. No picture is the right answer, so nothing asks for a mean of many.

    gan = GAN()
    training = train_gan(gan, images.load("scenes", size=16), random=torch.Generator().manual_seed(0))
    losses = list(itertools.islice(training, 1000))  # steps
    pictures = gan.sample(16, torch.Generator().manual_seed(1))

Sources: GAN (Goodfellow et al., NeurIPS 2014); the layers are those of DCGAN (Radford et al., ICLR 2016), with
spectral normalisation and hinge losses (Miyato et al., ICLR 2018, §2 and equations 16 and 17).
"""

from collections.abc import Iterator
from itertools import repeat

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from simmim_lab.images import ImageSet, ImageStream
from simmim_lab.shapes import Images, Scalar

SIDE = 16  # pixels
NOISE = 64  # numbers that a picture is made of
RATE, BETAS = 4e-4, (0.5, 0.99)  # of Adam: little momentum, since the aim moves
AVERAGE = 0.99  # of the generator's weights, over about the last 100 steps

Noise = Float[Tensor, "batch noise"]
Scores = Float[Tensor, " batch"]  # of the discriminator: high for pictures that look real


class Generator(nn.Module):
    """A picture of 16 x 16 pixels, in [0, 1], for each row of noise: 4 x 4 features, enlarged twice."""

    def __init__(self, channels: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(NOISE, 4 * channels * 4 * 4, bias=False),
            nn.Unflatten(1, (4 * channels, 4, 4)),
            nn.BatchNorm2d(4 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 4, stride=2, padding=1, bias=False),  # 8 x 8
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1, bias=False),  # 16 x 16
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 3, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, noise: Noise) -> Images:
        return self.layers(noise)


class Discriminator(nn.Module):
    """A score for each picture of 16 x 16 pixels: the higher, the more real it looks.

    Each layer is divided by its spectral norm, so that the score changes slowly from one picture to the next: from
    where it is, the generator always finds a way up.
    """

    def __init__(self, channels: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(3, channels, 3, padding=1)),
            nn.LeakyReLU(0.1),
            spectral_norm(nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1)),  # 8 x 8
            nn.LeakyReLU(0.1),
            spectral_norm(nn.Conv2d(2 * channels, 4 * channels, 4, stride=2, padding=1)),  # 4 x 4
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            spectral_norm(nn.Linear(4 * channels * 4 * 4, 1)),
        )

    def forward(self, images: Images) -> Scores:
        return self.layers(2 * images - 1)[:, 0]


def discriminator_loss(real: Scores, fake: Scores) -> Scalar:
    """The hinge loss: 0 as soon as real pictures score above 1 and made ones below -1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_loss(fake: Scores) -> Scalar:
    """The higher made pictures score, the lower."""
    return -fake.mean()


class GAN(nn.Module):
    """Both networks, and the average of the generator's last weights, which makes the better pictures."""

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = Generator(), Discriminator()
        self.average = AveragedModel(self.generator, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)

    @torch.no_grad()
    def sample(self, count: int, random: torch.Generator) -> Images:
        """So many pictures of fresh noise."""
        return self.average.eval()(torch.randn(count, NOISE, generator=random))


def train_gan(
    gan: GAN, dataset: ImageSet | ImageStream, *, batch_size: int = 16, random: torch.Generator
) -> Iterator[tuple[float, float]]:
    """Train both networks in place, without end: take as many steps as you like.

    A step updates the discriminator, then the generator, and yields their losses. `random` draws images and noise.
    Raises ValueError if the images have another size than 16 x 16 pixels.
    """
    if dataset.size != (SIDE, SIDE):
        raise ValueError(f"this GAN makes pictures of {SIDE} x {SIDE} pixels, but the images have {dataset.size}")
    generator, discriminator = gan.generator, gan.discriminator
    optimizers = [
        torch.optim.Adam(net.parameters(), RATE, BETAS, fused=True) for net in (discriminator, generator)
    ]
    for real in dataset.batches(batch_size, repeat(random), crop_scale=None):
        fake = generator(torch.randn(batch_size, NOISE, generator=random))
        scores = discriminator(torch.cat([real, fake.detach()]))  # detached: this step is the discriminator's
        first = discriminator_loss(*scores.chunk(2))
        _update(optimizers[0], first)

        second = generator_loss(discriminator(fake))
        _update(optimizers[1], second)
        gan.average.update_parameters(generator)
        yield first.item(), second.item()


def _update(optimizer: torch.optim.Optimizer, loss: Scalar) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
