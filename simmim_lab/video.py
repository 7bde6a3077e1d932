"""Video: clips, masks over space and time, and a small Transformer that fills what they hide (lesson 11).

A clip is a picture with one more axis. `VideoMIM` is SimMIM with this axis, made of the same parts: patches, a
mask token, blocks of attention and a linear head. `data.scenes.draw_clips` draws clips to train on.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor, nn

from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import Block, RelativePositionBias, init_weights
from simmim_lab.files import load_model, save_model
from simmim_lab.hardware import Execution
from simmim_lab.loop import Batch, Callback, Run, fit, parameter_groups, step_generator
from simmim_lab.losses import masked_mse
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.recipe import History, Schedule
from simmim_lab.shapes import Grid, Scalar, check_images
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD

Clips = Float[Tensor, "batch frames 3 height width"]  # RGB in [0, 1]
Tubes = Bool[Tensor, "batch frames rows cols"]  # a mask for each frame, True = hidden
HiddenClips = Bool[Tensor, "batch frames height width"]

WEIGHTS = Path(__file__).parent / "weights" / "video"


def tube_mask(
    batch: int, frames: int, grid: Grid, ratio: float, generator: Generator
) -> Bool[Tensor, "batch frames rows cols"]:
    """Hide exactly ceil(ratio * rows * cols) places of each clip, the same in all of its frames. True = hidden.

    `grid` is (rows, cols), and `ratio` lies from 0 to 1. Each clip is drawn on its own, from `generator`.
    """
    places = random_mask(batch, grid, ratio, generator=generator)
    return repeat(places, "batch rows cols -> batch frames rows cols", frames=frames)


def frame_mask(batch: int, frames: int, grid: Grid, ratio: float, generator: Generator) -> Tubes:
    """Hide ceil(ratio * rows * cols) places in each frame, drawn anew for each."""
    mask = random_mask(batch * frames, grid, ratio, generator=generator)
    return rearrange(mask, "(batch frames) rows cols -> batch frames rows cols", frames=frames)


def last_frame_mask(batch: int, frames: int, grid: Grid, ratio: float, generator: Generator) -> Tubes:
    """Hide all of the last frame and nothing else, whatever the ratio."""
    mask = torch.zeros(batch, frames, *grid, dtype=torch.bool, device=generator.device)
    mask[:, -1] = True
    return mask


MASKS: dict[str, Callable[..., Tubes]] = {
    "frame by frame": frame_mask,
    "tubes": tube_mask,
    "last frame": last_frame_mask,
}


def hidden_pixels(mask: Tubes, patch: int) -> HiddenClips:
    """Enlarge a mask from patches to pixels, as `masking.to_pixels` does."""
    return to_pixels(mask.flatten(0, 1), patch).unflatten(0, mask.shape[:2])


def landscape(clips: UInt8[Tensor, "n frames 3 height width"]) -> Float[Tensor, "3 height width"]:
    """What stands still in all clips: the median of each value, in [0, 1]."""
    return clips.flatten(0, 1).median(0).values / 255


def moving(clips: Clips, ground: Float[Tensor, "3 height width"]) -> HiddenClips:
    """The pixels in which a clip differs from the landscape behind it."""
    return ((clips - ground).abs() > 0.5 / 255).any(2)


def nearest_frame(clips: Clips, hidden: HiddenClips, ground: Float[Tensor, "3 height width"]) -> Clips:
    """Fill each hidden pixel from the nearest frame that shows it, or if none does with the landscape."""
    filled, missing = clips.clone(), hidden.clone()
    for away in range(1, clips.shape[1]):
        for past in (away, -away):
            there = clips.roll(past, 1), hidden.roll(past, 1)
            inside = slice(past, None) if past > 0 else slice(None, past)  # `roll` goes round in a circle
            found = missing[:, inside] & ~there[1][:, inside]
            filled[:, inside] = torch.where(found[:, :, None], there[0][:, inside], filled[:, inside])
            missing[:, inside] &= ~found
    return torch.where(missing[:, :, None], ground, filled)


def follow(clips: Clips, hidden: HiddenClips, ground: Float[Tensor, "3 height width"], fastest: int = 6) -> Clips:
    """Fill by motion: find the speed of the thing before the landscape, and carry along what is seen of it.

    The speed, in whole pixels a frame sideways, is that with which the other frames predict best what is seen in
    each. Where the thing is seen in no frame, the fill is the landscape.
    """
    frames, width = clips.shape[1], clips.shape[-1]
    seen = (moving(clips, ground) & ~hidden)[:, :, None].float()
    hidden = hidden[:, :, None]
    best, least = clips, torch.full((len(clips), 1, 1, 1, 1), torch.inf)
    for speed in range(-fastest, fastest + 1):
        # The sum over all frames, moved so that the thing stands still; then back into each frame.
        total, count = (
            _moved(_moved(x, speed).sum(1, keepdim=True).expand(-1, frames, -1, -1, -1), -speed)[..., :width]
            for x in (F.pad(clips * seen, (0, fastest * frames)), F.pad(seen, (0, fastest * frames)))
        )
        total, count = total - clips * seen, count - seen  # of the other frames alone
        guess = torch.where(count > 0.5, total / count.clamp(min=1), ground)
        error = ((guess - clips).square() * ~hidden).sum((1, 2, 3, 4), keepdim=True)
        best = torch.where(error < least, torch.where(hidden, guess, clips), best)
        least = torch.minimum(error, least)
    return best


def _moved(clips: Float[Tensor, "batch frames channels height width"], speed: int) -> Tensor:
    """Each frame moved to the left by `speed` pixels for each frame before it, round in a circle."""
    return torch.stack([frame.roll(-speed * t, -1) for t, frame in enumerate(clips.unbind(1))], 1)


class VideoMIM(nn.Module):
    """A small Vision Transformer over space and time that predicts the hidden patches of a clip.

    A token is one patch of one frame. The blocks take turns: in the first a token looks at all tokens of its
    frame, in the second at its own place in all frames, and so on. The loss is the MSE on hidden pixels, in
    normalised colours, and the interface that of `SimMIM`.
    Raises ValueError for patches that do not tile a frame.
    Source: VideoMAE hides tubes. Attention over space and over time in turn is TimeSformer's "divided" attention,
    which has both in each block.
    """

    def __init__(
        self,
        frames: int = 6,
        image_size: Grid = (16, 32),
        patch: int = 4,
        dim: int = 64,
        depth: int = 4,
        heads: int = 2,
    ):
        super().__init__()
        height, width = image_size
        if height % patch or width % patch:
            raise ValueError(f"patches of {patch} pixels do not tile frames of {height} x {width} pixels")
        self.config = {
            "frames": frames,
            "image_size": (height, width),
            "patch": patch,
            "dim": dim,
            "depth": depth,
            "heads": heads,
        }
        self.frames, self.image_size, self.patch = frames, (height, width), patch
        self.grid = height // patch, width // patch

        self.patch_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.positions = nn.Parameter(torch.zeros(frames, *self.grid, dim))
        self.space, self.time = RelativePositionBias(self.grid, heads), RelativePositionBias((1, frames), heads)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.decoder = LinearDecoder(dim, patch)
        init_weights(self, self.mask_token, self.positions)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the model that `save` wrote or `pretrain` left; raises what `SimMIM.load` does."""
        return load_model(folder, lambda config: cls(**config))

    @classmethod
    def pretrained(cls) -> Self:
        """The model that comes with the course; `benchmarks/video.py` trained it on drawn clips."""
        return cls.load(WEIGHTS)

    def save(self, folder: str | Path, bits: int = 32, header: dict[str, str] | None = None) -> None:
        """Write `model.safetensors` and `model.json` into `folder`, as `SimMIM.save` does."""
        save_model(folder, self.config, self.state_dict(), bits, header)

    def forward(self, clips: Clips, mask: Tubes) -> tuple[Scalar, Clips]:
        """Return the loss on the hidden pixels and the prediction for all pixels, in normalised colours."""
        self._check(clips, mask)
        clips = (clips - self.mean) / self.std
        prediction = self._predict(clips, mask)
        return masked_mse(*(x.flatten(0, 1) for x in (prediction, clips, mask))), prediction

    def _predict(self, clips: Clips, mask: Tubes) -> Clips:
        # 1. Each patch of each frame becomes a token; those of hidden patches are replaced by the mask token.
        tokens = self.patch_embed(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        tokens = rearrange(tokens, "batch time dim rows cols -> batch time (rows cols) dim")
        tokens = torch.where(mask.flatten(2)[..., None], self.mask_token, tokens)

        # 2. Every token is told its frame and its place.
        tokens = tokens + self.positions.flatten(1, 2)

        # 3. Tokens of one frame look at each other, then those of one place, and so on.
        space, time = self.space(), self.time()
        for index, block in enumerate(self.blocks):
            if index % 2 == 0:
                tokens = block(tokens, space)
            else:
                tokens = block(tokens.transpose(1, 2), time).transpose(1, 2)

        # 4. SimMIM's head: a linear map from each token to the pixels under it.
        features = rearrange(
            self.norm(tokens), "batch time (rows cols) dim -> (batch time) dim rows cols", rows=self.grid[0]
        )
        return self.decoder(features).float().unflatten(0, clips.shape[:2])

    @torch.no_grad()
    def reconstruct(self, clips: Clips, mask: Tubes) -> Clips:
        """The clips with hidden pixels filled in by the model and visible pixels kept."""
        _, prediction = self(clips, mask)
        filled = (prediction * self.std + self.mean).clamp(0, 1)
        return torch.where(hidden_pixels(mask, self.patch)[:, :, None], filled, clips)

    def _check(self, clips: Clips, mask: Tubes) -> None:
        shape = (self.frames, 3, *self.image_size)
        if clips.ndim != 5 or clips.shape[1:] != shape:
            raise ValueError(
                f"clips must have shape (batch, {', '.join(map(str, shape))}), not {tuple(clips.shape)}"
            )
        check_images(clips.flatten(0, 1))
        if mask.dtype != torch.bool or mask.shape != (len(clips), self.frames, *self.grid):
            raise ValueError(
                f"the mask must be boolean, True = hidden, of shape {(len(clips), self.frames, *self.grid)} "
                f"(batch, frames, rows, cols), not {mask.dtype} of shape {tuple(mask.shape)}"
            )


def pretrain(
    model: VideoMIM,
    clips: UInt8[Tensor, "n frames 3 height width"],
    recipe: Schedule,
    ratio: float = 0.75,
    draw: Callable[..., Tubes] = tube_mask,
    *,
    run_dir: str | Path | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
) -> History:
    """Train `model` in place on clips, with masks from `draw`, one of MASKS, and return what happened.

    As `training.pretrain`, which says what a `run_dir`, callbacks and the errors are. Clips are taken as they are,
    without crops or mirror images.
    """
    clips = clips.to(model.mean.device)

    def batches(first: int, share: slice) -> Iterator[tuple[Batch, Tensor]]:
        for step in count(first):
            generator = step_generator(recipe.seed, step, 0, clips.device)
            index = torch.randint(len(clips), (recipe.batch_size,), generator=generator, device=clips.device)
            mask = draw(recipe.batch_size, model.frames, model.grid, ratio, generator)
            yield (clips[index[share]].float() / 255, mask[share]), mask.sum()

    facts = {"clips": f"{len(clips)}, of sum {clips.sum().item()}", "ratio": ratio, "mask": draw.__name__}
    run = Run(model, recipe, Execution(), parameter_groups, facts, run_dir)
    return fit(run, batches, None, callbacks=callbacks, title="pre-training", progress=progress)
