"""Judging: how good are pictures that were made rather than filled in? (lesson 09)

There is no right answer to compare with. A `Judge`, a small network that reads scenes, looks in place of a person:
it says what it sees, to compare with the caption, and its features tell pictures that look alike from others. In
these features, two sets of pictures are compared:

    kid               how far the made pictures are from real ones, all in all
    precision_recall  the share of made pictures that look real, and of real ones that could have been made

Without features:

    diversity         how far pictures are from each other
    nearest_training  how far each is from the nearest training picture: was it only remembered?
    effective_number  how many kinds there are, frequent ones counting more

A judge that was trained on scenes is of use for scenes alone, and its numbers compare with its own only.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from simmim_lab.files import load_model, save_model
from simmim_lab.generation import WORDS, Vocabulary, Words
from simmim_lab.shapes import Images, Scalar, check_images

Vectors = Float[Tensor, "images numbers"]

WEIGHTS = Path(__file__).parent / "weights" / "judge"
SIZES = (16, 32)  # pixels along a side
FEATURES = 128
AT_ONCE = 250  # pictures


class Judge(nn.Module):
    """Reads a scene of 16 x 16 or 32 x 32 pixels: which word of each kind of `vocabulary` fits it.

    Four convolutions and two linear layers. A small picture is enlarged first, each pixel to 2 x 2. Images have
    values in [0, 1].
    """

    def __init__(self, vocabulary: Vocabulary = WORDS):
        super().__init__()
        self.vocabulary = {kind: tuple(names) for kind, names in vocabulary.items()}
        self.look = nn.Sequential(
            *_convolution(3, 32, stride=1),
            *_convolution(32, 48, stride=2),
            *_convolution(48, 64, stride=2),
            *_convolution(64, 128, stride=2),
            nn.Flatten(),
            nn.Linear(128 * (SIZES[-1] // 8) ** 2, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES, affine=False),  # over real scenes: mean 0, deviation 1
        )
        self.say = nn.Linear(FEATURES, sum(map(len, self.vocabulary.values())))

    @classmethod
    def pretrained(cls) -> Self:
        """The judge of drawn scenes that comes with the course, which `benchmarks/judge.py` trained."""
        return cls.load(WEIGHTS)

    def forward(self, images: Images, words: Words) -> tuple[Scalar, list[Float[Tensor, "batch names"]]]:
        """Return the loss, summed over the kinds of words, and the scores of the words of each kind."""
        scores = self._scores(images)
        return sum(map(F.cross_entropy, scores, words.unbind(1))), scores

    def _scores(self, images: Images) -> list[Float[Tensor, "batch names"]]:
        scores = self.say(self._features(images).relu())
        return scores.split([len(names) for names in self.vocabulary.values()], dim=1)

    def _features(self, images: Images) -> Vectors:
        return self.look(F.interpolate(images, SIZES[-1]) - 0.5)  # to the nearest pixel

    @torch.no_grad()
    def features(self, images: Images) -> Vectors:
        """128 numbers for each image, standardised: over real scenes each has a mean of 0 and a deviation of 1.

        Raises ValueError for images of another size than 16 x 16 or 32 x 32 pixels.
        """
        _check(images)
        return torch.cat([self._features(part) for part in images.split(AT_ONCE)])

    @torch.no_grad()
    def read(self, images: Images) -> Words:
        """The likeliest word of each kind, as its place in the vocabulary; ValueError as for `features`."""
        _check(images)
        found = [[kind.argmax(1) for kind in self._scores(part)] for part in images.split(AT_ONCE)]
        return torch.cat([torch.stack(kinds, dim=1) for kinds in found])

    @property
    def config(self) -> dict[str, Any]:
        """All that is needed to build this judge again."""
        return {"vocabulary": {kind: list(names) for kind, names in self.vocabulary.items()}}

    def save(self, folder: str | Path, bits: int = 32, header: dict[str, str] | None = None) -> None:
        """Write `model.safetensors` and `model.json` into `folder`, as `SimMIM.save` does."""
        save_model(folder, self.config, self.state_dict(), bits, header)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a judge that `save` wrote; FileNotFoundError or ValueError names the file at fault."""
        return load_model(folder, lambda config: cls(config["vocabulary"])).eval()


def _convolution(channels: int, out: int, stride: int) -> Sequence[nn.Module]:
    convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out), nn.ReLU()


def _check(images: Images) -> None:
    check_images(images)
    if images.shape[-2] != images.shape[-1] or images.shape[-1] not in SIZES:
        raise ValueError(f"the judge reads images of 16 x 16 or 32 x 32 pixels, not of {tuple(images.shape[-2:])}")


def caption_match(read: Words, words: Words, vocabulary: Vocabulary = WORDS) -> dict[str, float]:
    """The share of pictures in which the judge `read` what the caption said: for each kind of word, and for "all".

    A word that the caption did not say counts as right in "all"; a kind that no caption says is left out.
    Raises ValueError if shapes differ.
    """
    if read.shape != words.shape or words.ndim != 2 or words.shape[1] != len(vocabulary):
        raise ValueError(
            f"read and words must both have shape (pictures, {len(vocabulary)}), but have {tuple(read.shape)} and "
            f"{tuple(words.shape)}"
        )
    right = read == words
    said = words < torch.tensor([len(names) for names in vocabulary.values()], device=words.device)
    columns = zip(vocabulary, right.unbind(1), said.unbind(1), strict=True)
    shares = {kind: hit[those].float().mean().item() for kind, hit, those in columns if those.any()}
    return shares | {"all": (right | ~said).all(1).float().mean().item()}


# Two sets of pictures


def kid(real: Vectors, fake: Vectors) -> float:
    """Kernel Inception Distance: how far the features of two sets of pictures are apart, 0 if both are alike.

    It is the squared maximum mean discrepancy under the kernel (x · y / numbers + 1)³. The estimate is unbiased:
    no picture is compared with itself, so it may fall below 0 by chance. Print it times 1000, as is usual, with
    the number of pictures and `kid_spread`. The features are those of our `Judge`, not of the Inception network.
    Source: Bińkowski et al., Demystifying MMD GANs, ICLR 2018, §4.
    Raises ValueError for fewer than two pictures in a set, or features that do not fit each other.
    """
    _check_vectors(real, fake, least=2)
    within = [
        (_kernel(x, x).sum() - _kernel(x, x).diagonal().sum()) / (len(x) * (len(x) - 1)) for x in (real, fake)
    ]
    return (sum(within) - 2 * _kernel(real, fake).mean()).item()


def kid_spread(real: Vectors, fake: Vectors, parts: int = 5) -> float:
    """The standard error of `kid`, from how much it differs between parts of both sets that share no picture.

    It is too large where both sets are alike, since chance then fades faster with the number of pictures.
    Raises ValueError if there are fewer than two parts, or fewer than two pictures for each.
    """
    if parts < 2:
        raise ValueError(f"a spread needs at least 2 parts, but parts is {parts}")
    _check_vectors(real, fake, least=2 * parts)
    found = [kid(real[part::parts], fake[part::parts]) for part in range(parts)]
    return torch.tensor(found).std().item() / math.sqrt(parts)


def _kernel(x: Vectors, y: Vectors) -> Float[Tensor, "x y"]:
    return (x.double() @ y.double().mT / x.shape[1] + 1) ** 3


def precision_recall(real: Vectors, fake: Vectors, neighbours: int = 3) -> tuple[float, float]:
    """(precision, recall): the share of made pictures among the real ones, and of real ones among the made.

    A picture is among others if it is at least as near to one of them as that one's neighbour number `neighbours`.
    Precision says whether pictures look real, recall whether they show all that is there. The more pictures, the
    tighter; compare only equal numbers.
    Source: Kynkäänniemi et al., Improved Precision and Recall Metric, NeurIPS 2019, §2.
    Raises ValueError unless each set has more than `neighbours` pictures.
    """
    _check_vectors(real, fake, least=neighbours + 1)
    return _among(fake, real, neighbours), _among(real, fake, neighbours)


def _among(some: Vectors, others: Vectors, neighbours: int) -> float:
    radius = _distances(others, others).kthvalue(neighbours + 1).values  # the nearest one is itself
    return (_distances(some, others) <= radius).any(1).float().mean().item()


def _distances(x: Vectors, y: Vectors) -> Float[Tensor, "x y"]:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")  # so that equal ones have distance 0


def _check_vectors(real: Vectors, fake: Vectors, least: int) -> None:
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(
            "real and fake must be features of shape (pictures, numbers) with equally many numbers, but have "
            f"{tuple(real.shape)} and {tuple(fake.shape)}: take judge.features(images)"
        )
    if min(len(real), len(fake)) < least:
        raise ValueError(f"this needs at least {least} pictures in each set, but got {len(real)} and {len(fake)}")


# One set of pictures


def diversity(pictures: Images) -> float:
    """The mean distance between two of the pictures: the root of their mean squared difference. 0 for copies.

    Raises ValueError for fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ValueError(f"diversity is that of two pictures or more, but got {len(pictures)}")
    return F.pdist(pictures.flatten(1)).mean().item() / math.sqrt(pictures[0].numel())


def nearest_training(
    pictures: Images, training: Images
) -> tuple[Float[Tensor, " pictures"], Int64[Tensor, " pictures"]]:
    """For each picture its distance to the nearest training picture or mirror image of one, and which one that is.

    The distance is the root of the mean squared difference, 0 for a copy.
    Raises ValueError if the pictures differ in size.
    """
    if pictures.shape[1:] != training.shape[1:]:
        raise ValueError(
            f"pictures and training must have one size, but have shapes {tuple(pictures.shape)} and "
            f"{tuple(training.shape)}"
        )
    known = training.flatten(1)
    near = [torch.cdist(view.flatten(1), known).min(1) for view in (pictures, pictures.flip(-1))]
    found = torch.where(near[0].values <= near[1].values, near[0].indices, near[1].indices)
    views = torch.stack([training[found], training[found].flip(-1)])
    return (views - pictures).square().mean((2, 3, 4)).sqrt().amin(0), found


def effective_number(kinds: Int64[Tensor, " pictures"]) -> float:
    """How many kinds there are, rare ones counting less: the exponential of the entropy of their shares.

    It is k if k kinds are equally frequent, and 1 if all pictures show one kind.
    """
    shares = kinds.bincount()[kinds.unique()] / len(kinds)
    return (-(shares * shares.log()).sum()).exp().item()
