"""Fine-tuning: a classifier on top of a pre-trained encoder, trained in full or only at its head (lesson 07).

    encoder = SimMIM.load("runs/pretrained").encoder
    model = Classifier(encoder, images.classes)
    finetune(model, images, FinetuneRecipe(steps=2000))
    accuracy(model, load("cifar10", "test"))

A probe trains the head alone, on features as they are: `freeze(model)`, and the recipe `FinetuneRecipe.probe`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from simmim_lab.augment import mixup_cutmix, rand_augment, shift
from simmim_lab.backbones import ENCODERS, blocks, build, describe, image_size
from simmim_lab.common import check_number, evaluating
from simmim_lab.files import load_model, save_model
from simmim_lab.hardware import Execution, autocast
from simmim_lab.images import ImageSet, ImageStream
from simmim_lab.loop import Batch, Callback, Run, faster_threads, fit, parameter_groups, step_generator
from simmim_lab.prefetch import on_side_stream
from simmim_lab.recipe import History, Schedule
from simmim_lab.shapes import Grid, Images, Labels, Scalar, Tokens, check_images
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD, SimMIM

TIMED = 32  # images of a step that is only timed


class Classifier(nn.Module):
    """An encoder that sees whole images, its features pooled to one vector, and a linear head.

    `pool` says how: "mean" over all features, or "attention", where a learned query decides how much each
    counts. Images come in with values in [0, 1]. Raises ValueError for fewer than two classes.
    Source: mean pooling and the norm behind it are SimMIM's (`vision_transformer.py`, `fc_norm`).
    """

    def __init__(self, encoder: nn.Module, classes: Sequence[str], *, pool: Literal["mean", "attention"] = "mean"):
        super().__init__()
        if pool not in ("mean", "attention"):
            raise ValueError(f'pool must be "mean" or "attention", but is {pool!r}')
        if len(classes) < 2:
            raise ValueError(
                f"a classifier needs at least two classes, but got {list(classes)}: put the pictures of each "
                "class into a folder of its own"
            )
        self.encoder, self.classes = encoder, tuple(classes)
        self.pool = AttentionPool(encoder.dim) if pool == "attention" else MeanPool()
        self.norm = nn.LayerNorm(encoder.dim, eps=1e-6)
        self.head = nn.Linear(encoder.dim, len(classes))
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        if hasattr(encoder, "mask_token"):
            encoder.mask_token.requires_grad_(False)  # nothing is hidden any more
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Images, labels: Labels) -> tuple[Scalar, Labels]:
        """Return the cross-entropy, averaged over the images, and the logits."""
        logits = self.logits(images)
        return F.cross_entropy(logits, labels), logits

    def logits(self, images: Images) -> Labels:
        """One score for each class: the higher, the likelier."""
        check_images(images)
        features = self.encoder((images - self.mean) / self.std)
        tokens = rearrange(features, "batch dim rows cols -> batch (rows cols) dim")
        return self.head(self.norm(self.pool(tokens))).float()

    @property
    def image_size(self) -> Grid:
        """(height, width) of the images that its encoder was built for; a CNN takes any, and says 32 x 32."""
        return image_size(self.encoder)

    @property
    def config(self) -> dict[str, Any]:
        """All that is needed to build this model again."""
        pool = "attention" if isinstance(self.pool, AttentionPool) else "mean"
        return {"encoder": describe(self.encoder, ENCODERS), "classes": list(self.classes), "pool": pool}

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into `folder`, each whole or not at all."""
        save_model(folder, self.config, self.state_dict())

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the model that `config` of another one describes, with new weights."""
        return cls(build(ENCODERS, config["encoder"]), config["classes"], pool=config["pool"])

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a classifier that `save` wrote; FileNotFoundError or ValueError names the file at fault."""
        return load_model(folder, cls.from_config)


class MeanPool(nn.Module):
    """The mean of all tokens."""

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch dim"]:
        return tokens.mean(1)


class AttentionPool(nn.Module):
    """A learned query that looks at all tokens, and takes a weighted mean of what it finds there.

    What a linear head on the mean cannot find may still be there: SimMIM's features gain much by this.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(dim), std=0.02))
        heads = next(heads for heads in range(max(1, dim // 64), 0, -1) if dim % heads == 0)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch dim"]:
        query = repeat(self.query, "dim -> batch 1 dim", batch=len(tokens))
        return self.attention(query, tokens, tokens, need_weights=False)[0][:, 0]


def load_trained(folder: str | Path) -> SimMIM | Classifier:
    """What a finished run has left in its folder, be it a pre-training or a fine-tuning.

    Raises FileNotFoundError or ValueError that names the file at fault.
    """

    def built(config: dict[str, Any]) -> SimMIM | Classifier:
        return (Classifier if "classes" in config else SimMIM).from_config(config)

    return load_model(folder, built)


def freeze(model: Classifier) -> Classifier:
    """Keep the encoder as it is: only the pool and the head will be trained."""
    model.encoder.requires_grad_(False)
    return model


@dataclasses.dataclass(frozen=True)
class FinetuneRecipe(Schedule):
    """How to train a classifier; the defaults suit 32-pixel images.

    Each layer learns `layer_decay` times as fast as the one above it. `shift` is how far images are moved, in
    pixels, `magnitude` how strongly `rand_augment` changes them, from 0 to 10, and `mixup` the share of images
    that `mixup_cutmix` blends with another one. `smoothing` is the share of each label that goes to all classes
    alike.
    Source: SimMIM's fine-tuning configurations, with augmentation as is usual for small images.
    """

    batch_size: int = 256
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    drop_path: float = 0.1
    ema: float = 0.999
    crop_scale: tuple[float, float] | None = None
    layer_decay: float = 0.75
    shift: int = 4
    magnitude: float = 5.0
    mixup: float = 1.0
    smoothing: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        check_number("layer_decay", self.layer_decay, 0, 1, above=True)
        check_number("shift", self.shift, 0, integer=True)
        check_number("magnitude", self.magnitude, 0, 10)
        check_number("mixup", self.mixup, 0, 1)
        check_number("smoothing", self.smoothing, 0, 1)

    @classmethod
    def probe(cls, **changes) -> Self:
        """For a model whose encoder is frozen: only the head learns, and images are only shifted and mirrored."""
        plain = {"layer_decay": 1.0, "magnitude": 0.0, "mixup": 0.0, "smoothing": 0.0}
        return cls(**{**plain, "drop_path": 0.0, "ema": 0.0, "weight_decay": 0.0, **changes})


def finetune(
    model: Classifier,
    dataset: ImageSet | ImageStream,
    recipe: FinetuneRecipe,
    execution: Execution = Execution(),
    *,
    val: ImageSet | ImageStream | None = None,
    run_dir: str | Path | None = None,
    weights: str = "",
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
) -> History:
    """Train `model` in place on labelled images, and return what happened; all else is as with `pretrain`.

    The validation loss is the cross-entropy on the images of `val`, which are not changed in any way. `weights`
    says in any words where those of the encoder come from: a run goes on only where they are the same.
    Raises ValueError if the images have other classes than the model.
    """
    for images in (dataset, val) if val is not None else (dataset,):
        if images.classes != model.classes:
            raise ValueError(
                f"the model tells {model.classes} apart, but the images have {images.classes}: take a set whose "
                "splits have the same classes"
            )
    device = model.mean.device
    dataset = dataset.to(device)

    def batches(first: int, share: slice) -> Iterator[tuple[Batch, Tensor]]:
        generators = (step_generator(recipe.seed, step, 0, dataset.draws_on) for step in count(first))
        options = {"crop_scale": recipe.crop_scale, "flip": recipe.flip}
        for step, batch in enumerate(dataset.labelled_batches(recipe.batch_size, generators, **options), first):
            generator = step_generator(recipe.seed, step, 1, device)
            images, labels = augmented(*batch, recipe, generator, classes=len(model.classes))
            yield (images[share], labels[share]), labels.sum()

    groups = partial(layer_groups, layer_decay=recipe.layer_decay)
    facts = {"images": dataset.fingerprint(), "weights": weights}
    run = Run(model, recipe, execution, groups, facts, run_dir)
    validation = partial(labelled, val, device) if val is not None else None
    draw = on_side_stream(batches, dataset, run)
    return fit(run, draw, validation, callbacks=callbacks, title="fine-tuning", progress=progress)


def some_labels(dataset: ImageSet | ImageStream, share: float, seed: int) -> ImageSet | ImageStream:
    """This share of the images of each class, drawn at random; at least one of each."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    of_class = [order[dataset.labels[order] == label] for label in range(len(dataset.classes))]
    return dataset.subset(torch.cat([members[: max(1, round(share * len(members)))] for members in of_class]))


def pick_threads(model: Classifier, dataset: ImageSet | ImageStream, recipe: FinetuneRecipe) -> int:
    """Time a few steps with one CPU thread and with all; keep the faster and return it."""
    images = dataset.take(min(recipe.batch_size, len(dataset), TIMED))
    shares = torch.full((len(images), len(model.classes)), 1 / len(model.classes))
    return faster_threads(model, (images, shares), recipe)


def augmented(
    images: Images, labels: Tensor, recipe: FinetuneRecipe, generator: torch.Generator, *, classes: int
) -> tuple[Images, Labels]:
    """A batch as the classifier sees it: shifted, changed, blended, with labels as shares of the classes."""
    shares = F.one_hot(labels, classes).float() * (1 - recipe.smoothing) + recipe.smoothing / classes
    if recipe.shift:
        images = shift(images, generator, recipe.shift)
    if recipe.magnitude:
        images = rand_augment(images, generator, magnitude=recipe.magnitude)
    if recipe.mixup:
        images, shares = mixup_cutmix(images, shares, generator, share=recipe.mixup)
    return images, shares


def layer_groups(model: Classifier, weight_decay: float, *, layer_decay: float) -> list[dict[str, Any]]:
    """Groups for the optimizer in which the lower layers of the encoder learn more slowly.

    What comes before the first block is layer 0, block i with all between it and the next is layer i + 1, and what
    comes after the blocks is one more; the biases that all blocks share belong to the last. Layer l learns
    layer_decay ** (last - l) times as fast as the last.
    Source: BEiT's `optim_factory.py`, which SimMIM's fine-tuning follows.
    """
    found = {id(block): number for number, block in enumerate(blocks(model.encoder), 1)}
    last = len(found) + 1
    layers, layer = {}, 0
    for name, module in model.encoder.named_modules():  # in the order in which they were made
        layer = found.get(id(module), layer)
        prefix = f"encoder.{name}." if name else "encoder."
        layers |= {prefix + own: layer for own, _ in module.named_parameters(recurse=False)}
    above = ("encoder.norm.", "encoder.backbone.norm.", "encoder.relative.")

    def lr_scale(name: str) -> float:
        return 1.0 if name.startswith(above) else layer_decay ** (last - layers.get(name, last))

    return parameter_groups(model, weight_decay, lr_scale)


def labelled(dataset: ImageSet | ImageStream, device: torch.device) -> Iterator[Batch]:
    """All images of a set in order, as they are, in batches with their labels."""
    for images, labels in dataset.in_order():
        yield images.to(device), F.one_hot(labels.to(device), len(dataset.classes)).float()


@torch.no_grad()
def accuracy(model: Classifier, dataset: ImageSet | ImageStream) -> float:
    """The share of the images that the model assigns to the right class, from 0 to 1."""
    device = model.mean.device
    right = torch.zeros((), device=device)
    with evaluating(model), autocast(device):
        for images, labels in labelled(dataset, device):
            right += (model.logits(images).argmax(1) == labels.argmax(1)).sum()
    return right.item() / len(dataset)
