"""Image to image by masked modelling: what to do with a picture is told by an example (lesson 11).

A canvas has two pairs of pictures, each an input and beside it its answer: above an example, below a query. The
answer to the query is hidden, and filling it in is the task. One network does all TASKS, and only the example says
which one is meant. It is SimMIM with another encoder:

    encoder = PairEncoder(image_size=48, patch=4, dim=64, depth=4, heads=4)  # four pictures of 24 x 24 pixels
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride))

Source: Painter (Wang et al., CVPR 2023), in small.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Generator, Tensor, nn

from simmim_lab.encoders import ViTEncoder, check_input, init_weights
from simmim_lab.hardware import Execution
from simmim_lab.images import ImageSet, ImageStream
from simmim_lab.loop import Batch, Callback, Run, fit, parameter_groups, step_generator
from simmim_lab.recipe import History, Schedule
from simmim_lab.shapes import Features, Grid, Images, Mask, Tokens
from simmim_lab.simmim import SimMIM

Two = Float[Tensor, "batch 2 3 height width"]  # a picture of the example and one of the query
SHARPEN = 4  # pixels along the side of a square that `sharpen` is shown as one colour


class PairEncoder(ViTEncoder):
    """A ViT with one token for a patch of an input and the patch of its answer in the same place.

    It takes canvases of `image_size`, a side in pixels or (height, width): in the left half inputs, in the right
    half their answers. Only answers are hidden. The features of a token stand in both halves, so that a decoder
    makes a whole canvas again. Half the tokens, and what belongs together need not be found: plain SimMIM on such
    canvases works too, and learns more slowly.
    Source: Painter's `models_painter.py` adds inputs and answers too, behind three blocks.
    """

    def __init__(self, image_size: int | Grid = 64, patch: int = 4, dim: int = 64, depth: int = 4, heads: int = 4):
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        super().__init__((height, width // 2), patch, dim, depth, heads)
        self.config = {key: self.config[key] for key in ("patch", "dim", "depth", "heads")}
        self.config["image_size"] = (height, width)
        self.input_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        init_weights(self.input_embed)

    def forward(self, images: Images, mask: Mask | None = None) -> Features:
        features = super().forward(images, mask)
        return torch.cat([features, features], dim=-1)

    def embed(self, images: Images, mask: Mask | None = None) -> Tokens:
        rows, cols = self.grid
        check_input(images, mask, self.config["image_size"], (rows, 2 * cols))
        inputs, answers = images.chunk(2, dim=-1)
        if mask is not None:
            if mask[..., :cols].any():
                raise ValueError(
                    "the mask hides a part of an input: hide answers only, the right half of a canvas"
                )
            mask = mask[..., cols:]
        return super().embed(answers, mask) + rearrange(
            self.input_embed(inputs), "batch dim rows cols -> batch (rows cols) dim"
        )


# The tasks: each makes inputs and answers of pictures, the same way for example and query


def colour(pictures: Two, generator: Generator) -> tuple[Two, Two]:
    """From grey to the picture."""
    return grey(pictures), pictures


def sharpen(pictures: Two, generator: Generator) -> tuple[Two, Two]:
    """From a picture with one colour for each square of 4 x 4 pixels to the picture itself."""
    small = F.avg_pool2d(rearrange(pictures, "b two c h w -> (b two) c h w"), SHARPEN)
    return repeat(small, "(b two) c h w -> b two c (h y) (w x)", two=2, y=SHARPEN, x=SHARPEN), pictures


def tone(pictures: Two, generator: Generator) -> tuple[Two, Two]:
    """From grey to a print in two colours, a dark and a bright one in any order, drawn anew for each canvas."""
    colours = torch.rand(2, len(pictures), 1, 3, 1, 1, generator=generator, device=generator.device) / 2
    colours[1] += 0.5
    swapped = torch.rand(len(pictures), 1, 1, 1, 1, generator=generator, device=generator.device) < 0.5
    of_black, of_white = torch.where(swapped, colours.flip(0), colours)
    return grey(pictures), torch.lerp(of_black, of_white, grey(pictures))


TASKS: dict[str, Callable[[Two, Generator], tuple[Two, Two]]] = {
    "colour": colour,
    "sharpen": sharpen,
    "tone": tone,
}


def grey(pictures: Float[Tensor, "... 3 height width"]) -> Float[Tensor, "... 3 height width"]:
    """The brightness of each pixel, three times. The weights of red, green and blue are those of ITU-R BT.601."""
    weights = pictures.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    return (weights * pictures).sum(-3, keepdim=True).expand_as(pictures)


def canvas(inputs: Two, answers: Two) -> Images:
    """The example above and the query below, each with its answer on the right."""
    return rearrange([inputs, answers], "column b row c h w -> b c (row h) (column w)")


def answer_mask(batch: int, grid: Grid, *, generator: Generator | None = None) -> Mask:
    """Hide the answer to the query, the lower right quarter of a canvas of `grid` patches.

    Nothing is drawn; the mask is on the generator's device, as those of `masking` are.
    """
    rows, cols = grid
    mask = torch.zeros(batch, rows, cols, dtype=torch.bool, device=generator.device if generator else None)
    mask[:, rows // 2 :, cols // 2 :] = True
    return mask


def draw_canvases(pictures: Images, generator: Generator) -> Images:
    """Canvases of two pictures each, every one with a task that is drawn at random."""
    pairs = rearrange(pictures, "(b two) c h w -> b two c h w", two=2)
    canvases = torch.stack([canvas(*task(pairs, generator)) for task in TASKS.values()])
    choice = torch.randint(len(TASKS), (len(pairs),), generator=generator, device=generator.device)
    return canvases[choice, torch.arange(len(pairs), device=generator.device)]


def train_in_context(
    model: SimMIM,
    dataset: ImageSet | ImageStream,
    recipe: Schedule,
    *,
    hide: Callable[..., Mask] = answer_mask,
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
) -> History:
    """Train `model` in place on `recipe.batch_size` canvases a step; `dataset` has pictures of half their side.

    `hide(batch, grid, generator=...)` draws the masks.
    """
    device = model.mean.device
    dataset = dataset.to(device)

    def batches(first: int, share: slice) -> Iterator[tuple[Batch, Tensor]]:
        generators = (step_generator(recipe.seed, step, 0, dataset.draws_on) for step in count(first))
        drawn = dataset.batches(2 * recipe.batch_size, generators, crop_scale=recipe.crop_scale, flip=recipe.flip)
        for step, pictures in enumerate(drawn, first):
            canvases = draw_canvases(pictures, step_generator(recipe.seed, step, 1, device))
            generator = step_generator(recipe.seed, step, 2, device)
            mask = hide(len(canvases), model.grid(canvases), generator=generator)
            yield (canvases[share], mask[share]), mask.sum()

    run = Run(model, recipe, Execution(), parameter_groups, {}, folder=None)
    return fit(run, batches, None, callbacks=callbacks, title="learning from pairs", progress=progress)


def answer(model: SimMIM, canvases: Images) -> Images:
    """The model's answers to the queries. What the canvases have in their place is not looked at."""
    answers = model.predict(canvases, answer_mask(len(canvases), model.grid(canvases)).to(canvases.device))
    return answers_of(answers)


def answers_of(canvases: Images) -> Images:
    """The lower right quarter of canvases."""
    height, width = canvases.shape[-2:]
    return canvases[..., height // 2 :, width // 2 :]
