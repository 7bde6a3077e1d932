"""Choose a caption and see its pictures fill up; paint a hole and get several answers (lesson 09)."""

import math
from collections.abc import Mapping

import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from simmim_lab.common import choose
from simmim_lab.generation import WORDS, MaskGIT, Words, complete, read_caption, sample, tokens_left
from simmim_lab.masking import center_mask, to_pixels
from simmim_lab.shapes import Mask
from simmim_lab.tokens import Codes
from simmim_lab.widgets.brush import Brush, one_image
from simmim_lab.widgets.panels import Panels, snapshot, weakly

PICTURES = 4  # sampled at a time
STEPS = 8  # as many as `generation.sample` takes
MOST = 32  # steps that can be chosen
ANY = "any"  # in place of a word: not said
SEED = {"kind": "range", "trait": "seed", "label": "seed", "min": 0, "max": 99, "step": 1, "slow": True}


class SceneSampler(Panels):
    """Choose the words of a caption and how to sample; see four pictures for it, step by step.

    `model` knows words of some of these kinds: subject, color, place and time; "any" leaves the word open. The
    pictures appear while they are sampled. Then a slider goes through the steps, so the order in which tokens were
    filled can be seen; what is hidden is grey with stripes. The first choice is that of `caption`, such as "a red
    house by a lake". The widget works on a copy of `model`.
    In Python: `subject`, `color`, `place`, `time`, `steps`, `temperature`, `guidance` and `seed`; `words`, what
    the model is told; and `index`, the step that is shown.
    Raises TypeError or ValueError for a model, a caption or starting values that do not fit.
    """

    subject = traitlets.Unicode(ANY).tag(sync=True)
    color = traitlets.Unicode(ANY).tag(sync=True)
    place = traitlets.Unicode(ANY).tag(sync=True)
    time = traitlets.Unicode(ANY).tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    guidance = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    alt = "Four pictures that a model sampled."
    texts: Mapping[str, str] = {
        "filled": "{asked}: {filled} of {tokens} tokens filled after step {step} of {steps}.{note}",
        "anything": "anything",
        "note": " No word is said, so the guidance does nothing.",
    }

    def __init__(
        self,
        model: MaskGIT,
        caption: str = "",
        *,
        steps: int = STEPS,
        temperature: float = 1.0,
        guidance: float = 2.0,
        seed: int = 0,
    ):
        self.model = _generator(model)
        self.choices = {kind: (*names, ANY) for kind, names in self.model.vocabulary.items()}
        if others := [kind for kind in self.choices if kind not in WORDS]:
            raise ValueError(f"{', '.join(WORDS)} can be chosen, but the model knows words for {others[0]}")
        first = zip(self.choices.items(), read_caption(caption, self.model.vocabulary), strict=True)
        most = min(MOST, math.prod(self.model.grid))
        words = [
            {"kind": "select", "trait": kind, "label": kind, "options": list(names)}
            for kind, names in self.choices.items()
        ]
        guide = {**SEED, "trait": "guidance", "label": "guidance", "max": 4, "step": 0.5}
        super().__init__(
            controls=[
                *words,
                {**SEED, "trait": "temperature", "label": "temperature", "max": 2, "step": 0.1},
                *([guide] if words else []),
                {**SEED, "trait": "steps", "label": "steps", "min": 1, "max": most},
                SEED,
                {"kind": "range", "trait": "index", "label": "show step", "min": 0, "max": "steps", "step": 1},
                {"kind": "play", "trait": "index", "max": "steps"},
            ],
            panels=[{"title": f"picture {n}", "striped": True} for n in range(1, PICTURES + 1)],
            size=list(self.model.image_size),
            steps=steps,
            temperature=temperature,
            guidance=guidance,
            seed=seed,
            **{kind: names[place] for (kind, names), place in first},
        )
        self.start(*self.choices, "steps", "temperature", "guidance", "seed")
        self.observe(weakly(self.describe), "index")

    @property
    def words(self) -> Words:
        """What the model is told, the same for each picture."""
        places = [
            choose(getattr(self, kind), {name: place for place, name in enumerate(names)}, kind)
            for kind, names in self.choices.items()
        ]
        return torch.tensor(places, dtype=torch.int64).expand(PICTURES, -1)

    def update(self) -> None:
        everything = torch.ones(PICTURES, *self.model.grid, dtype=torch.bool)
        frames = [(everything.long(), everything)]  # codes under a mask are not seen
        for frame in sample(
            self.model,
            self.words,
            steps=self.steps,
            temperature=self.temperature,
            guidance=self.guidance,
            generator=Generator().manual_seed(self.seed),
        ):
            frames.append(frame)
            self.show([frame])
            self.index = len(frames) - 1
            self.describe()
            self.send_state(["pixels", "hidden", "index", "status"])  # at once: the next step takes a while
        self.show(frames)

    def show(self, frames: list[tuple[Codes, Mask]]) -> None:
        """Show one of these: that after the step `index`, or the last if there is none."""
        codes, masks = (torch.cat(parts) for parts in zip(*frames, strict=True))
        self.show_panels(self.model.tokenizer.decode(codes))
        self.hidden = to_pixels(masks, self.model.patch).numpy().tobytes()

    def describe(self, change: object = None) -> None:
        """Say what was asked for, and how far the pictures are."""
        said = [getattr(self, kind) for kind in self.choices if getattr(self, kind) != ANY]
        tokens, step = math.prod(self.model.grid), min(self.index, self.steps)
        filled = tokens - tokens_left(tokens, step, self.steps)
        self.status = self.texts["filled"].format(
            asked=", ".join(said) or self.texts["anything"],
            filled=filled,
            tokens=tokens,
            step=step,
            steps=self.steps,
            note=self.texts["note"] if self.choices and not said else "",
        )


class Completions(Brush):
    """Paint a hole, patch by patch; when a stroke ends, see four answers of a model that samples.

    What is visible stays exactly as it is. Another `seed` gives four others. `mask` is hidden at first, by default
    the middle. `Brush` says how to paint. The widget works on a copy of `model`.
    Raises TypeError or ValueError for a model, an image or a mask that does not fit.
    """

    seed = traitlets.Int().tag(sync=True)
    alt = "A picture with painted patches hidden, and four answers of a model to what is there."
    texts: Mapping[str, str] = {
        "hidden": "{hidden} of {patches} patches hidden ({share:.0%})",
        "nothing": "Nothing is hidden: paint over what is to be filled.",
    }

    def __init__(
        self,
        model: MaskGIT,
        image: Float[Tensor, "3 height width"],
        *,
        mask: Bool[Tensor, "rows cols"] | None = None,
        seed: int = 0,
    ):
        self.model, self.image = _generator(model), one_image(image)
        size, expected = tuple(self.image.shape[-2:]), self.model.image_size
        if size != expected:
            raise ValueError(
                f"the model draws {expected[0]} x {expected[1]} pixels, but the image has {size[0]} x {size[1]}: "
                "resize it"
            )
        super().__init__(
            self.model.grid,
            center_mask(1, self.model.grid)[0] if mask is None else mask,
            controls=(SEED,),
            size=list(size),
            seed=seed,
        )
        self.observe(weakly(self.refresh), "seed")

    def fill(self, mask: Bool[Tensor, "rows cols"]) -> None:
        images, masks = (x.expand(PICTURES, *x.shape[1:]) for x in (self.image, mask[None]))
        if mask.any() and not self.stroking:
            generator = Generator().manual_seed(self.seed)
            images = complete(self.model, images, masks, steps=min(STEPS, int(mask.sum())), generator=generator)
        answers = [{"title": f"answer {n}", "striped": self.stroking} for n in range(1, PICTURES + 1)]
        self.panels = [{"title": "paint here", "striped": True, "pointer": "paint", "large": True}, *answers]
        self.hidden = to_pixels(mask[None], self.model.patch).numpy().tobytes()
        self.show_panels([self.image[0], *images])
        self.status = self.texts["hidden" if mask.any() else "nothing"].format(
            hidden=int(mask.sum()), patches=mask.numel(), share=mask.float().mean()
        )


def _generator(model: MaskGIT) -> MaskGIT:
    """A copy of the model; TypeError for one that does not sample."""
    if not isinstance(model, MaskGIT):
        raise TypeError(
            f"the model must be a MaskGIT, such as MaskGIT.pretrained('scenes'), not a {type(model).__name__}"
        )
    return snapshot(model)
