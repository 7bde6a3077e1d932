"""A GAN in small: its losses, its networks, and what a step does."""

from itertools import islice

import pytest
import torch

from simmim_lab.gan import GAN, NOISE, Discriminator, Generator, discriminator_loss, generator_loss, train_gan
from simmim_lab.images import ImageSet, load


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load("scenes", size=16)


def test_the_hinge_losses():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert discriminator_loss(real, fake).item() == pytest.approx(0.25 + 0.5)
    assert discriminator_loss(real + 1, fake - 1) == 0  # beyond the margin nothing is gained
    assert generator_loss(fake).item() == pytest.approx(1.5)


def test_noise_becomes_pictures_and_pictures_scores():
    noise = torch.randn(3, NOISE, generator=seeded())
    pictures = Generator()(noise)
    assert pictures.shape == (3, 3, 16, 16) and 0 <= pictures.min() < pictures.max() <= 1
    assert Discriminator()(pictures).shape == (3,)


def test_the_score_changes_no_faster_than_the_picture():
    torch.manual_seed(0)
    discriminator = Discriminator()
    images = torch.rand(8, 3, 16, 16, generator=seeded())
    for _ in range(30):  # each training step comes nearer to the spectral norm
        discriminator(images)
    discriminator.eval()
    near = images + 1e-3 * torch.randn(images.shape, generator=seeded(1))
    change = (discriminator(near) - discriminator(images)).abs() / (2 * (near - images).flatten(1).norm(dim=1))
    assert change.max() < 2 * 2**3  # a convolution of spectral norm 1 may change overlapping patches together


def test_a_step_improves_the_network_whose_turn_it_is(scenes):
    """With the other one standing still, each loss falls."""
    torch.manual_seed(0)
    gan = GAN()
    losses = [*islice(train_gan(gan, scenes, batch_size=16, random=seeded()), 25)]
    assert len(losses) == 25 and all(len(pair) == 2 for pair in losses)
    first, later = losses[0][0], sum(pair[0] for pair in losses[10:]) / 15
    assert first == pytest.approx(2, abs=0.3) and later < first - 0.3  # it tells real pictures from the first ones


def test_the_generator_learns_what_its_discriminator_likes(scenes):
    torch.manual_seed(0)
    gan = GAN()
    [*_] = islice(train_gan(gan, scenes, batch_size=8, random=seeded()), 10)
    noise = torch.randn(8, NOISE, generator=seeded(1))
    optimizer = torch.optim.Adam(gan.generator.parameters(), 1e-3)
    losses = []
    for _ in range(10):
        loss = generator_loss(gan.discriminator(gan.generator(noise)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_a_training_and_its_pictures_depend_on_their_seeds_alone(scenes):
    def trained(seed: int) -> torch.Tensor:
        torch.manual_seed(0)
        gan = GAN()
        [*_] = islice(train_gan(gan, scenes, batch_size=4, random=seeded(seed)), 3)
        return gan.sample(5, seeded(1))

    first = trained(0)
    assert first.shape == (5, 3, 16, 16) and 0 <= first.min() < first.max() <= 1 and not first.requires_grad
    assert torch.equal(first, trained(0)) and not torch.equal(first, trained(1))


def test_the_average_follows_the_generator(scenes):
    torch.manual_seed(0)
    gan = GAN()
    before = gan.generator.layers[0].weight.detach().clone()
    [*_] = islice(train_gan(gan, scenes, batch_size=4, random=seeded()), 5)
    now, average = gan.generator.layers[0].weight, gan.average.module.layers[0].weight
    assert not torch.equal(now, before)
    assert 0 < (average - before).norm() < (now - before).norm()


def test_images_of_another_size_are_named():
    with pytest.raises(ValueError, match=r"16 x 16 pixels, but the images have \(32, 32\)"):
        next(train_gan(GAN(), load("scenes", "val"), random=seeded()))
