"""Generation: masked modelling that samples, MaskGIT in small (lesson 09).

SimMIM gives one answer to one question, the mean of all that would fit. Here the network answers with how likely
each code of a `Tokenizer` is, for each hidden patch. Codes are then drawn, a few at a time, and the network looks
again, so that the next ones fit those that are there. Words of a caption stand in the sequence like patches.

    model = MaskGIT.pretrained("scenes")
    words = model.words_of(["a red house by a lake at night"] * 4)
    pictures = generate(model, words, generator=torch.Generator().manual_seed(0))

Sources: MaskGIT (Chang et al., CVPR 2022) §3 for training and decoding; classifier-free guidance (Ho and Salimans,
2022). What is ours is said where it stands.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn
from tqdm.auto import tqdm

from simmim_lab.backbones import ENCODERS, build, describe
from simmim_lab.common import check_number, choose
from simmim_lab.data.scenes import COLORS, PLACES, SUBJECTS, TIMES, draw_scenes
from simmim_lab.encoders import ViTEncoder
from simmim_lab.files import load_model, save_model
from simmim_lab.hardware import Execution, autocast
from simmim_lab.images import SPLITS, ImageSet, ImageStream
from simmim_lab.loop import Batch, Callback, Run, faster_threads, fit, parameter_groups, step_generator
from simmim_lab.masking import check_mask, to_pixels
from simmim_lab.recipe import History, Schedule
from simmim_lab.shapes import Grid, Images, Mask, Scalar, Tokens, check_images
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD
from simmim_lab.tokens import Codes, Tokenizer

Vocabulary = Mapping[str, Sequence[str]]  # the words of each kind
Words = Int64[Tensor, "batch kinds"]  # the place of a word in its kind; one place behind the last: not said

WORDS = {"subject": (*SUBJECTS,), "color": (*COLORS,), "place": (*PLACES,), "time": (*TIMES,)}
FILLERS = {"a", "an", "the", "by", "on", "in", "at", "over", "of", "with", "and"}  # they say nothing of a scene
CAPTIONED = {"train": 12_000, "val": 500, "test": 500}  # scenes
PRETRAINED = {"scenes": Path(__file__).parent / "weights" / "scenes"}
ALL_SAID, NONE_SAID = 0.6, 0.2  # shares of the training captions; of the others each word is left out by coin
AT_ONCE = 64  # pictures that go through the model together
CHANCE = 20.0  # of the order in which tokens are filled, at the first step: likely ones alone give plain pictures


class MaskGIT(nn.Module):
    """SimMIM with another target: which code stands at each hidden patch, given the visible ones and a caption.

    The encoder is the ViT of lesson 02. Before each of its blocks every token looks at its neighbours through a
    3 x 3 convolution: without that it learns slowly what stands beside it, and hardly anything else (ours, as are
    the scores by colour). `vocabulary` has the words of each kind, such as {"color": ("red", "blue")}. Images
    have values in [0, 1].
    """

    def __init__(self, encoder: ViTEncoder, tokenizer: Tokenizer, vocabulary: Vocabulary):
        super().__init__()
        if encoder.patch != tokenizer.patch:
            raise ValueError(
                f"encoder and tokenizer need patches of one size, not {encoder.patch} and {tokenizer.patch} pixels"
            )
        self.encoder, self.tokenizer = encoder, tokenizer
        self.vocabulary = {kind: tuple(names) for kind, names in vocabulary.items()}
        dim, depth = encoder.dim, len(encoder.blocks)
        self.words = nn.ModuleList(nn.Embedding(len(names) + 1, dim) for names in self.vocabulary.values())
        groups = [1] + [dim] * (depth - 1)  # the first convolution mixes channels, the others are cheap
        self.neighbours = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1, groups=n) for n in groups)
        self.head = nn.Linear(dim, tokenizer.codes)  # scores code by code ...
        self.color = nn.Linear(dim, tokenizer.codebook.shape[1])  # ... and by colour: like colours, like scores
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        for words in self.words:
            nn.init.normal_(words.weight, std=0.5)
        for layer in (*self.neighbours, self.color):
            nn.init.normal_(layer.weight, std=0.5 * layer.weight[0].numel() ** -0.5)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    @classmethod
    def small(cls, tokenizer: Tokenizer, image_size: int = 32, vocabulary: Vocabulary = WORDS) -> Self:
        """The size that learns scenes on a laptop: 0.6 million weights."""
        encoder = ViTEncoder(image_size, tokenizer.patch, 96, 4, 4, positions="absolute")
        return cls(encoder, tokenizer, vocabulary)

    @classmethod
    def pretrained(cls, name: str) -> Self:
        """A trained model that comes with the course: "scenes", for drawn scenes of 32 x 32 pixels.

        Raises ValueError for an unknown name.
        """
        return cls.load(choose(name, PRETRAINED, "pretrained generator"))

    @property
    def patch(self) -> int:
        """Pixels per code, along each side."""
        return self.encoder.patch

    @property
    def grid(self) -> Grid:
        """(rows, cols) of the codes of a picture."""
        return self.encoder.grid

    @property
    def image_size(self) -> Grid:
        """(height, width) of the pictures."""
        return self.encoder.image_size

    def forward(self, images: Images, mask: Mask, words: Words) -> tuple[Scalar, Float[Tensor, "hidden codes"]]:
        """Return the cross-entropy, averaged over the hidden codes, and the scores there."""
        codes = self.tokenizer.encode(images)
        scores = self.logits(codes, mask, words)[mask]
        return F.cross_entropy(scores, codes[mask]), scores

    def logits(self, codes: Codes, mask: Mask, words: Words) -> Float[Tensor, "batch rows cols codes"]:
        """A score of each code at each place: the higher, the likelier. Codes under the mask are not seen."""
        tokens = self.encoder.embed(self._normalised(codes), mask)
        said = [embedding(word) for embedding, word in zip(self.words, words.unbind(1), strict=True)]
        tokens = torch.cat([*(word[:, None] for word in said), tokens], dim=1)
        for neighbours, block in zip(self.neighbours, self.encoder.blocks, strict=True):
            tokens = block(self._beside(tokens, neighbours))
        features = rearrange(self.encoder.to_map(self.encoder.norm(tokens)), "b dim rows cols -> b rows cols dim")
        every_code = torch.arange(self.tokenizer.codes, device=codes.device).view(-1, 1, 1)
        palette = self._normalised(every_code).flatten(1)
        return (self.head(features) + self.color(features) @ palette.mT).float()

    def _normalised(self, codes: Codes) -> Images:
        return (self.tokenizer.decode(codes) - self.mean) / self.std

    def _beside(self, tokens: Tokens, neighbours: nn.Conv2d) -> Tokens:
        """Add to each token of a patch what a convolution finds around it; those of words stay as they are."""
        words = tokens[:, : len(self.words)]
        found = rearrange(neighbours(self.encoder.to_map(tokens)), "b dim rows cols -> b (rows cols) dim")
        return tokens + torch.cat([torch.zeros_like(words), found], dim=1)

    def words_of(self, captions: Sequence[str]) -> Words:
        """The words of each caption; ValueError for one that the model does not know."""
        found = [read_caption(caption, self.vocabulary) for caption in captions]
        words = torch.tensor(found, dtype=torch.int64, device=self.mean.device)
        return words.view(len(captions), len(self.vocabulary))

    def nothing_said(self, n: int) -> Words:
        """The words of `n` empty captions."""
        unsaid = [len(names) for names in self.vocabulary.values()]
        return torch.tensor(unsaid, dtype=torch.int64, device=self.mean.device).repeat(n, 1)

    @property
    def config(self) -> dict[str, Any]:
        """All that is needed to build this model again."""
        return {
            "encoder": describe(self.encoder, ENCODERS),
            "tokenizer": {"patch": self.tokenizer.patch, "codes": self.tokenizer.codes},
            "vocabulary": {kind: list(names) for kind, names in self.vocabulary.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the model that `config` of another one describes, with new weights and an empty codebook."""
        return cls(build(ENCODERS, config["encoder"]), Tokenizer(**config["tokenizer"]), config["vocabulary"])

    def save(self, folder: str | Path, bits: int = 32, header: dict[str, str] | None = None) -> None:
        """Write `model.safetensors` and `model.json` into `folder`, as `SimMIM.save` does."""
        save_model(folder, self.config, self.state_dict(), bits, header)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote; FileNotFoundError or ValueError names the file at fault."""
        return load_model(folder, cls.from_config)


# Captions


def read_caption(caption: str, vocabulary: Vocabulary) -> list[int]:
    """Which word of each kind a caption says; one behind the last where it says none.

    A caption may be empty, a part ("boat at night"), or a whole one of `scenes`. Raises ValueError for a word that
    is not in the vocabulary, and names the nearest that is; and for two words of one kind.
    """
    if not isinstance(caption, str):
        raise TypeError(f"a caption must be a text, but is {caption!r}")
    rest, places = caption.lower(), []
    for kind, names in vocabulary.items():
        said = []
        for name in sorted(names, key=len, reverse=True):  # "night heron" before "night"
            rest, found = re.subn(_whole(name), " ", rest)
            said += [name] * bool(found)
        if len(said) > 1:
            both = sorted(said, key=caption.lower().find)
            raise ValueError(f"{caption!r} names {' and '.join(both)}: take one {kind}")
        places.append(names.index(said[0]) if said else len(names))
    if unknown := [word for word in re.findall(r"\w+", rest) if word not in FILLERS]:
        known = [name for names in vocabulary.values() for name in names]
        if not known:
            raise ValueError(
                f"this model knows no words, so {caption!r} says nothing to it: leave the caption empty"
            )
        [nearest] = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0)
        raise ValueError(
            f"unknown word {unknown[0]!r} in {caption!r}; did you mean {nearest!r}? There are: {', '.join(known)}"
        )
    return places


def _whole(name: str) -> str:
    return rf"(?<!\w){re.escape(name.lower())}(?!\w)"


def captioned_scenes(split: str = "train", size: int = 32) -> ImageSet:
    """Drawn scenes whose classes are their captions. The splits never share a picture.

    Raises ValueError for an unknown split or an impossible size.
    """
    choose(split, CAPTIONED, "split")
    seed = 100 + SPLITS.index(split)  # others than those of `images.load`
    scenes = draw_scenes(CAPTIONED[split], size, generator=Generator().manual_seed(seed))
    classes = tuple(dict.fromkeys(scenes.captions))
    labels = torch.tensor([classes.index(caption) for caption in scenes.captions])
    return ImageSet("captioned scenes", split, scenes.pixels, labels, classes)


# Sampling


def tokens_left(hidden: int, step: int, steps: int) -> int:
    """How many of the tokens that were hidden at the start are still hidden after step number `step` of `steps`.

    It is the share cos(pi / 2 * step / steps) of `hidden`, rounded down: few are filled in early steps, many in
    late ones. After the last step, number `steps`, it is 0.
    """
    if step == steps:
        return 0  # the cosine is a rounding away from it
    return math.floor(hidden * math.cos(math.pi / 2 * step / steps))


def guided(
    conditional: Float[Tensor, "*places codes"], unconditional: Float[Tensor, "*places codes"], guidance: float
) -> Float[Tensor, "*places codes"]:
    """Scores that follow the caption more than the model would: away from those without a caption.

    With a `guidance` of 0 they are the conditional ones. Source: Ho and Salimans 2022, equation 6.
    """
    return (1 + guidance) * conditional - guidance * unconditional


@torch.no_grad()
def sample(
    model: MaskGIT,
    words: Words,
    *,
    steps: int = 8,
    temperature: float = 1.0,
    guidance: float = 2.0,
    codes: Codes | None = None,
    mask: Mask | None = None,
    generator: Generator,
) -> Iterator[tuple[Codes, Mask]]:
    """Fill hidden tokens in `steps` steps; yield the codes and what is still hidden after each of them.

    In a step a code is proposed for each hidden token, drawn with its probability at this `temperature` (below 1:
    likely codes more often; 0: always the likeliest), and the least confident proposals are taken back. Confidence
    is the log-probability of what was drawn, plus chance that fades with the steps. `codes` are kept where `mask`
    is False; without a mask everything is hidden. The `generator` is on the device of the model.
    Raises ValueError for steps below 1 or above the number of tokens, and a temperature or guidance below 0.
    """
    _check(model, words, steps, temperature, guidance)
    device = model.mean.device
    if mask is None:
        mask = torch.ones(len(words), *model.grid, dtype=torch.bool, device=device)
    check_mask(mask, len(words), model.grid)
    codes = torch.zeros(mask.shape, dtype=torch.int64, device=device) if codes is None else codes
    hidden = mask.flatten(1).sum(1).tolist()
    for step in range(1, steps + 1):
        if mask.any():
            scores = _scores(model, codes, mask, words, guidance)[mask]
            chances = (scores / (temperature or 1)).softmax(-1)
            proposed = _drawn(chances, generator) if temperature else chances.argmax(-1)
            doubt = CHANCE * (1 - step / steps) * _gumbel(proposed.shape, generator)
            confidence = torch.full(mask.shape, math.inf, device=device)  # what is known stays
            confidence[mask] = chances.gather(-1, proposed[:, None])[:, 0].log() + doubt
            codes = codes.masked_scatter(mask, proposed)
            left = torch.tensor([tokens_left(n, step, steps) for n in hidden], device=device)
            rank = confidence.flatten(1).argsort(1).argsort(1).view_as(mask)
            mask = mask & (rank < left[:, None, None])
        yield codes, mask


def generate(model: MaskGIT, words: Words, *, steps: int = 8, progress: bool = False, **options) -> Images:
    """Pictures for these words. Of the options of `sample` it takes `temperature`, `guidance` and `generator`.

    `progress` shows a bar.
    """
    parts, pictures = words.split(AT_ONCE), []
    with tqdm(desc="generating", total=steps * len(parts), unit="step", delay=1, disable=not progress) as bar:
        for part in parts:
            for codes, _ in sample(model, part, steps=steps, **options):  # noqa: B007
                bar.update()
            pictures.append(model.tokenizer.decode(codes))
    return torch.cat(pictures)


def complete(model: MaskGIT, images: Images, mask: Mask, words: Words | None = None, **options) -> Images:
    """The images with hidden patches drawn by `sample`, and visible pixels exactly as they were."""
    check_images(images)
    words = model.nothing_said(len(images)) if words is None else words
    *_, (codes, _) = sample(model, words, codes=model.tokenizer.encode(images), mask=mask, **options)
    return torch.where(to_pixels(mask, model.patch)[:, None], model.tokenizer.decode(codes), images)


@torch.no_grad()
def expected(model: MaskGIT, images: Images, mask: Mask, words: Words | None = None) -> Images:
    """What a regressor would say: at each hidden patch the mean colour over all codes, each with its chance."""
    check_images(images)
    words = model.nothing_said(len(images)) if words is None else words
    chances = model.logits(model.tokenizer.encode(images), mask, words).softmax(-1)
    means = model.tokenizer.images(chances @ model.tokenizer.codebook)
    return torch.where(to_pixels(mask, model.patch)[:, None], means, images)


def _scores(
    model: MaskGIT, codes: Codes, mask: Mask, words: Words, guidance: float
) -> Float[Tensor, "batch rows cols codes"]:
    nothing = model.nothing_said(len(words))
    with autocast(model.mean.device):
        if not guidance or torch.equal(words, nothing):
            return model.logits(codes, mask, words)
        both = model.logits(codes.repeat(2, 1, 1), mask.repeat(2, 1, 1), torch.cat([words, nothing]))
    return guided(*both.chunk(2), guidance)


def _drawn(chances: Float[Tensor, "tokens codes"], generator: Generator) -> Int64[Tensor, " tokens"]:
    return torch.multinomial(chances, 1, generator=generator)[:, 0]


def _gumbel(shape: torch.Size, generator: Generator) -> Tensor:
    """Gumbel noise: of log-probabilities with it added, the largest is a draw with these probabilities."""
    return -torch.empty(shape, device=generator.device).exponential_(generator=generator).log()


def _check(model: MaskGIT, words: Words, steps: int, temperature: float, guidance: float) -> None:
    check_number("steps", steps, 1, math.prod(model.grid), integer=True)
    check_number("temperature", temperature, 0)
    check_number("guidance", guidance, 0)
    if words.ndim != 2 or words.shape[1] != len(model.vocabulary):
        raise ValueError(
            f"words must have shape (batch, {len(model.vocabulary)}), one column for each of "
            f"{', '.join(model.vocabulary)}, but have {tuple(words.shape)}: take model.words_of(captions)"
        )
    for (kind, names), places in zip(model.vocabulary.items(), words.unbind(1), strict=True):
        if ((places < 0) | (places > len(names))).any():
            raise ValueError(f"words of the kind {kind} must be from 0 to {len(names)}, which is: not said")


# Training


@dataclasses.dataclass(frozen=True)
class GeneratorRecipe(Schedule):
    """How to train a `MaskGIT`; the defaults suit scenes of 16 or 32 pixels on one CPU thread."""

    batch_size: int = 16
    clip: float = 1.0
    ema: float = 0.99
    crop_scale: tuple[float, float] | None = None  # a crop would not show what the caption says


def train_generator(
    model: MaskGIT,
    dataset: ImageSet | ImageStream,
    recipe: GeneratorRecipe,
    execution: Execution = Execution(),
    *,
    val: ImageSet | ImageStream | None = None,
    run_dir: str | Path | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
) -> History:
    """Train `model` in place on images whose classes are captions; all else is as with `training.pretrain`.

    Raises ValueError if the name of a class has a word that the model does not know. A model without a vocabulary
    learns without captions.
    """
    device = model.mean.device
    dataset = dataset.to(device)
    captions = _captions(model, dataset)

    def batches(first: int, share: slice) -> Iterator[tuple[Batch, Tensor]]:
        generators = (step_generator(recipe.seed, step, 0, dataset.draws_on) for step in count(first))
        options = {"crop_scale": recipe.crop_scale, "flip": recipe.flip}
        drawn = dataset.labelled_batches(recipe.batch_size, generators, **options)
        for step, (images, labels) in enumerate(drawn, first):
            generator = step_generator(recipe.seed, step, 1, device)
            mask = variable_mask(len(images), model.grid, generator)
            words = leave_out(captions[labels], model.nothing_said(len(images)), generator)
            yield (images[share], mask[share], words[share]), mask.sum()

    def validation() -> Iterator[Batch]:
        words = _captions(model, val)
        for step, (images, labels) in enumerate(val.to(device).in_order(recipe.batch_size)):
            generator = step_generator(recipe.seed, step, 2, device)  # the same masks each time
            yield images, variable_mask(len(images), model.grid, generator), words[labels]

    run = Run(model, recipe, execution, parameter_groups, {"images": dataset.fingerprint()}, run_dir)
    options = {"callbacks": callbacks, "title": "learning to generate", "progress": progress}
    return fit(run, batches, None if val is None else validation, **options)


def _captions(model: MaskGIT, dataset: ImageSet | ImageStream) -> Words:
    """What is said of the images of each class."""
    if not (model.vocabulary and dataset.classes):
        return model.nothing_said(max(1, len(dataset.classes)))
    return model.words_of(dataset.classes)


def variable_mask(batch: int, grid: Grid, generator: Generator) -> Mask:
    """Masks of single patches whose ratio is drawn for each picture, from nearly nothing to everything.

    It is the cosine of a random part of a quarter turn, so high ratios are frequent: as in sampling, where the
    early steps see little. Source: MaskGIT §3.3.
    """
    rows, cols = grid
    draw = partial(torch.rand, generator=generator, device=generator.device)
    hidden = (torch.cos(draw(batch) * math.pi / 2) * rows * cols).ceil().clamp(min=1)
    order = draw(batch, rows * cols).argsort(1).argsort(1)
    return (order < hidden[:, None]).view(batch, rows, cols)


def leave_out(words: Words, nothing: Words, generator: Generator) -> Words:
    """Captions as the model sees them in training: whole, empty, or without some words."""
    draw = partial(torch.rand, generator=generator, device=generator.device)
    kind = draw(len(words), 1)
    share = torch.where(kind < ALL_SAID, 0.0, torch.where(kind < ALL_SAID + NONE_SAID, 1.0, draw(len(words), 1)))
    left_out: Bool[Tensor, "batch kinds"] = draw(words.shape) < share
    return torch.where(left_out, nothing, words)


def pick_threads(model: MaskGIT, dataset: ImageSet | ImageStream, recipe: GeneratorRecipe) -> int:
    """Time a few steps with one CPU thread and with all; keep the faster and return it."""
    images = dataset.take(min(recipe.batch_size, len(dataset)))
    mask = variable_mask(len(images), model.grid, step_generator(0, 0, 0))
    return faster_threads(model, (images, mask, model.nothing_said(len(images))), recipe)
