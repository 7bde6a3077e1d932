"""Choose a design of masked image modelling, and see what it costs; play clips and their fills (lesson 11)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from simmim_lab import plots
from simmim_lab.budget import training_flops, vit_flops
from simmim_lab.common import check_number, choose
from simmim_lab.losses import normalize_patches
from simmim_lab.masking import block_mask, check_mask, random_mask, to_pixels
from simmim_lab.probing import layers
from simmim_lab.shapes import Images
from simmim_lab.simmim import SimMIM
from simmim_lab.tokens import Tokenizer
from simmim_lab.widgets.panels import DASH, Panels, as_batch, draw_beside, picture_slider, snapshot, weakly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL, VISIBLE = "all", "visible only"
LINEAR, TRANSFORMER = "linear map", "Transformer"
PIXELS, NORMALIZED, EDGES = "pixels", "normalised pixels", "edges (HOG)"
CODES, FEATURES = "codes", "a teacher's features"
MASKS = {"random": random_mask, "blocks": block_mask}

ENCODERS = {"ViT-B": (768, 12), "ViT-L": (1024, 24)}  # width and blocks
DECODER = (512, 8)  # of MAE: width and blocks
PATCHES = 196  # of an image of 224 x 224 pixels, in patches of 16
ZOOM = 4  # pixels of a panel for one of the picture, along each side


@dataclass(frozen=True)
class Design:
    """What a method shows its encoder and its decoder, what it predicts, and how it hides; no ratio: it varies."""

    tokens: str
    decoder: str
    target: str
    mask: str
    ratio: float | None

    @property
    def impossible(self) -> bool:
        """Whether the decoder gets nothing at all where a patch is hidden."""
        return self.tokens == VISIBLE and self.decoder == LINEAR

    def step_flops(self, encoder: str) -> int:
        """FLOP of a training step for an image of 224 x 224 pixels: of the blocks of the networks, nothing else.

        A teacher looks at the whole image, and only forward.
        """
        size = ENCODERS[encoder]
        seen = PATCHES - round(self.ratio * PATCHES) if self.tokens == VISIBLE else PATCHES
        decoder = _blocks_flops(PATCHES, *DECODER) if self.decoder == TRANSFORMER else 0
        teacher = _blocks_flops(PATCHES, *size) if self.target == FEATURES else 0
        return training_flops(_blocks_flops(seen, *size) + decoder) + teacher


# As their code has it: SimMIM's, MaskFeat's and I-JEPA's configurations, the READMEs of MAE, BEiT and iBOT. For
# data2vec and MaskGIT their papers.
METHODS = {
    "SimMIM": Design(ALL, LINEAR, PIXELS, "random", 0.6),
    "MAE": Design(VISIBLE, TRANSFORMER, NORMALIZED, "random", 0.75),
    "MAE for pictures": Design(VISIBLE, TRANSFORMER, PIXELS, "random", 0.75),
    "BEiT": Design(ALL, LINEAR, CODES, "blocks", 75 / 196),
    "MaskGIT": Design(ALL, LINEAR, CODES, "random", None),
    "MaskFeat": Design(ALL, LINEAR, EDGES, "blocks", 0.4),
    "data2vec": Design(ALL, LINEAR, FEATURES, "blocks", 0.6),
    "iBOT": Design(ALL, LINEAR, FEATURES, "blocks", 0.3),
    "I-JEPA": Design(VISIBLE, TRANSFORMER, FEATURES, "blocks", None),
}


def _normalized(model: SimMIM, images: Images) -> Images:
    return normalize_patches(images, model.patch)[0] / 5 + 0.5


def _edges(model: SimMIM, images: Images) -> Images:
    """Histograms of oriented gradients: for each patch a bundle of lines, the brighter, the stronger the edge."""
    from skimage.feature import hog

    size = {"pixels_per_cell": (ZOOM * model.patch,) * 2, "cells_per_block": (1, 1)}
    large = interpolate(images, scale_factor=ZOOM, mode="bilinear").permute(0, 2, 3, 1).numpy()
    drawn = [hog(picture, orientations=9, channel_axis=2, visualize=True, **size)[1] for picture in large]
    lines = torch.from_numpy(np.stack(drawn)).float()[:, None].sqrt()
    return (lines / lines.amax()).expand(-1, 3, -1, -1)


def _codes(model: SimMIM, images: Images) -> Images:
    """Each code as a colour that means nothing."""
    from matplotlib import colormaps

    codes = Tokenizer.fit(images, model.patch, codes=20).encode(images)
    return torch.from_numpy(colormaps["tab20"](codes.numpy()))[..., :3].permute(0, 3, 1, 2).float()


def _features(model: SimMIM, images: Images) -> Images:
    """The three directions in which tokens of the upper half of the layers differ most, as red, green and blue."""
    from sklearn.decomposition import PCA

    maps = layers(model, images)
    upper = torch.stack(maps[len(maps) // 2 :]).mean(0)
    tokens = (upper - upper.mean((2, 3), keepdim=True)).permute(0, 2, 3, 1)
    found = torch.from_numpy(PCA(3, random_state=0).fit_transform(tokens.flatten(0, 2).numpy()))
    low, high = found.quantile(0.02, dim=0), found.quantile(0.98, dim=0)
    return ((found - low) / (high - low)).view(*tokens.shape[:3], 3).permute(0, 3, 1, 2).clamp(0, 1)


TARGETS = {
    PIXELS: lambda model, images: images,
    NORMALIZED: _normalized,
    EDGES: _edges,
    CODES: _codes,
    FEATURES: _features,
}


class DesignGrid(Panels):
    """Choose what the encoder sees, the decoder, the target and the mask; see who does it so, and what it costs.

    Three panels show one of the `images` as the encoder and the decoder get it, and what is asked about the hidden
    patches. `model`, a SimMIM with a ViT, stands in for a teacher, whose features are one of the targets. The cost
    is that of a ViT-B or ViT-L on images of 224 x 224 pixels; the Transformer is the decoder of MAE.
    In Python: `tokens`, `decoder`, `target`, `mask`, `ratio`, `encoder` and `image_index`; `design`, the first
    five together; and `methods`, the names of those in `METHODS` that do it so, whatever share they hide.
    Raises TypeError or ValueError for a model, images or starting values that do not fit.
    """

    tokens = traitlets.Unicode(ALL).tag(sync=True)
    decoder = traitlets.Unicode(LINEAR).tag(sync=True)
    target = traitlets.Unicode(PIXELS).tag(sync=True)
    mask = traitlets.Unicode("random").tag(sync=True)
    ratio = traitlets.Float(0.6).tag(sync=True)
    encoder = traitlets.Unicode("ViT-B").tag(sync=True)
    image_index = traitlets.Int(0).tag(sync=True)
    alt = (
        "A chart: the work of a training step over the share of hidden patches, level for SimMIM and falling for "
        "MAE. Three pictures: what the encoder sees, what the decoder gets, and what is to be predicted."
    )
    options: Mapping[str, tuple[str, tuple[str, ...]]] = {  # for each trait its label and its choices
        "tokens": ("tokens in the encoder", (ALL, VISIBLE)),
        "decoder": ("decoder", (LINEAR, TRANSFORMER)),
        "target": ("target", tuple(TARGETS)),
        "mask": ("mask", tuple(MASKS)),
        "encoder": ("encoder", tuple(ENCODERS)),
    }
    least, most = 0.05, 0.95  # of the patches hidden
    ratios = np.linspace(0, 0.95, 96)

    def __init__(self, model: SimMIM, images: Float[Tensor, "n 3 height width"], **start):
        self.images, self.patch = as_batch(images), model.patch
        self.answers = {name: draw(snapshot(model), self.images) for name, draw in TARGETS.items()}
        controls = [
            {"kind": "select", "trait": trait, "label": label, "options": list(options)}
            for trait, (label, options) in self.options.items()
        ]
        ratio = {"kind": "range", "trait": "ratio", "label": "ratio", "min": self.least, "max": self.most}
        controls.append(ratio | {"step": 0.05})
        controls += picture_slider(self.images)
        size = [ZOOM * side for side in self.images.shape[-2:]]
        super().__init__(controls=controls, panels=[{"title": ""}] * 3, size=size, **start)
        self.start(*self.options, "ratio", "image_index")

    @property
    def design(self) -> Design:
        return Design(self.tokens, self.decoder, self.target, self.mask, self.ratio)

    @property
    def methods(self) -> list[str]:
        return [name for name, design in METHODS.items() if replace(self.design, ratio=design.ratio) == design]

    def update(self) -> None:
        for trait, (label, options) in self.options.items():
            choose(getattr(self, trait), dict.fromkeys(options), label)
        check_number("ratio", self.ratio, self.least, self.most)
        self.draw_pictures()
        self.draw_chart()
        work, simmim = (design.step_flops(self.encoder) for design in (self.design, METHODS["SimMIM"]))
        self.status = (
            f"{self.who()} With {self.encoder}, a step takes {work / 1e9:.0f} GFLOP for each image, "
            f"{work / simmim:.0%} of what SimMIM's takes."
        )

    def who(self) -> str:
        """Which methods do it so, in a sentence."""
        if self.design.impossible:
            return "This cannot work: where a patch is hidden, the linear map gets no token to start from."
        shares = [METHODS[name].ratio for name in self.methods]
        texts = [f"{share:.0%} hidden" if share else "its share varies" for share in shares]
        named = " and ".join(f"{name} ({text})" for name, text in zip(self.methods, texts, strict=True))
        return f"As in {named}." if named else "Not in the table of this lesson."

    def draw_pictures(self) -> None:
        """The picture as encoder and decoder get it, and the answer where it is hidden."""
        rows, cols = (side // self.patch for side in self.images.shape[-2:])
        mask = MASKS[self.mask](1, (rows, cols), self.ratio, generator=Generator().manual_seed(0))
        hidden = to_pixels(mask, ZOOM * self.patch)[0]
        picture = self.in_patches(self.images)
        visible = torch.where(hidden, 1.0, picture)
        answer = torch.where(hidden, self.in_patches(self.answers[self.target]), 1.0)
        titles = f"the encoder sees\n{self.tokens}", f"the {self.decoder}\ngets", f"the answer:\n{self.target}"
        self.panels = [{"title": title, "striped": True} for title in titles]
        self.show_panels([visible, visible, answer])
        tokens = self.tokens == ALL, not self.design.impossible, False  # whether hidden patches have one
        self.hidden = torch.stack([hidden & there for there in tokens]).numpy().tobytes()

    def in_patches(self, pictures: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "3 height width"]:
        """The chosen one of the pictures as large as a panel, with a white line between its patches."""
        enlarged = interpolate(pictures[self.image_index][None], tuple(self.size))[0]
        side = ZOOM * self.patch
        enlarged[:, ::side], enlarged[:, :, ::side] = 1.0, 1.0
        return enlarged

    def draw_chart(self) -> None:
        """The work of a step over the ratio: SimMIM's, MAE's, and that of what is chosen."""
        whole = METHODS["SimMIM"].step_flops(self.encoder)
        series = []
        for name, design, color, dash in (
            ("your choice", self.design, "#8C8C8C", []),  # below the others, where they meet
            ("SimMIM", METHODS["SimMIM"], plots.BLUE, DASH),
            ("MAE", METHODS["MAE"], plots.VERMILLION, [2, 3]),
        ):
            work = [100 * replace(design, ratio=ratio).step_flops(self.encoder) / whole for ratio in self.ratios]
            line = {"label": name, "color": color, "dash": dash, "bold": name == "your choice"}
            series.append({**line, "x": self.ratios.tolist(), "y": work})
        self.chart = {
            "title": "The work of a training step over the share that is hidden, in per cent of SimMIM's",
            "xlabel": "ratio: share of the patches that is hidden",
            "ylabel": "work, % of SimMIM's",
            "range": [0, self.most],
            "cursor": "ratio",
            "step": 0.05,
            "series": series,
        }

    def arrange(self, pictures: list[Float[Tensor, "3 height width"]], titles: list[str]) -> "Figure":
        """The chart of a still picture, and the panels beside it."""
        axes = draw_beside(self.chart, pictures, titles)
        axes.axvline(self.ratio, color="0.3", linewidth=1)
        return axes.figure


def _blocks_flops(tokens: int, dim: int, depth: int) -> int:
    """FLOP of the blocks of a ViT for so many tokens, forward: those of a strip of patches."""
    return vit_flops((1, tokens), 1, dim, depth)


class FilmPlayer(Panels):
    """Play clips: as they are, what is seen of them, and how each method fills what is hidden.

    `hidden` says which pixels are; `fills` are the filled clips, by the name of the method. All frames of a clip
    are sent at once, so that it plays without a kernel; it starts when somebody presses "play".
    In Python: `index`, the frame that is shown, and `clip_index`.
    Raises TypeError or ValueError for clips, masks or fills that do not fit together.
    """

    texts: Mapping[str, str] = {"frame": "frame {frame} of {frames}, {share:.0%} of it hidden"}
    index = traitlets.Int(0).tag(sync=True)
    clip_index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        clips: Float[Tensor, "n frames 3 height width"],
        hidden: Bool[Tensor, "n frames height width"],
        fills: Mapping[str, Float[Tensor, "n frames 3 height width"]],
    ):
        for frames in (clips, *fills.values()):
            if frames.shape != clips.shape or frames.ndim != 5:
                raise ValueError(
                    "clips and fills must all have one shape (n, frames, 3, height, width), but have "
                    f"{tuple(clips.shape)} and {tuple(frames.shape)}"
                )
            as_batch(frames.flatten(0, 1))
        if hidden.shape[:2] != clips.shape[:2]:
            raise ValueError(
                f"hidden must have shape {(*clips.shape[:2], *clips.shape[-2:])} (n, frames, height, width), but "
                f"has {tuple(hidden.shape)}"
            )
        check_mask(hidden.flatten(0, 1), len(clips) * clips.shape[1], tuple(clips.shape[-2:]))
        self.clips, self.masks, self.fills = clips, hidden, dict(fills)
        self.alt = f"A clip, frame by frame; what is seen of it; and how it is filled: {', '.join(fills)}."
        counted = {"frame": ("index", clips.shape[1]), "clip": ("clip_index", len(clips))}
        controls = [{"kind": "play", "trait": "index", "max": clips.shape[1] - 1}]
        for label, (trait, count) in counted.items():
            numbers = [str(number) for number in range(1, count + 1)]
            control = {"kind": "range", "trait": trait, "label": label, "min": 0, "max": count - 1, "step": 1}
            controls += [control | {"labels": numbers}] if count > 1 else []
        panels = [{"title": "the clip"}, {"title": "seen", "striped": True}, *({"title": name} for name in fills)]
        super().__init__(controls=controls, panels=panels, size=list(clips.shape[-2:]))
        self.start("clip_index")
        self.observe(weakly(self.describe), "index")

    def update(self) -> None:
        check_number("clip_index", self.clip_index, 0, len(self.clips) - 1, integer=True)
        shown = [frames[self.clip_index] for frames in (self.clips, self.clips, *self.fills.values())]
        self.show_panels(torch.stack(shown, dim=1).flatten(0, 1))
        hidden = self.masks[self.clip_index]
        self.hidden = hidden[:, None].expand(-1, len(shown), -1, -1).numpy().tobytes()
        self.describe()

    def describe(self, change: object = None) -> None:
        """Say which frame is shown, and how much of it is hidden."""
        frames = self.masks.shape[1]
        frame = min(self.index, frames - 1)
        share = self.masks[self.clip_index, frame].float().mean().item()
        self.status = self.texts["frame"].format(frame=frame + 1, frames=frames, share=share)

    def poster(self) -> bytes:
        """The film strip of the clip."""
        fills = {name: frames[self.clip_index] for name, frames in self.fills.items()}
        figure = plots.film(self.clips[self.clip_index], self.masks[self.clip_index], fills)
        return plots.png(figure, self.alt, colors=256)
