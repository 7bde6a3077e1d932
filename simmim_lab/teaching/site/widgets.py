"""Widgets of lessons that run on the site's pages without Python: what they start with.

A page's script gets the state of the widget that the lesson shows, and what Python alone knows of it. LIVE makes
these widgets again, as the lessons do; a test compares what they say with what the notebooks have stored.
"""

import base64
import json
from collections.abc import Callable, Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from simmim_lab.budget import GPUS, training_flops
from simmim_lab.data.photographs import photograph
from simmim_lab.data.scenes import draw_clips
from simmim_lab.generation import MaskGIT, captioned_scenes
from simmim_lab.images import load
from simmim_lab.shapes import Images
from simmim_lab.simmim import SimMIM
from simmim_lab.video import VideoMIM, follow, hidden_pixels, landscape, tube_mask
from simmim_lab.widgets import (
    BudgetExplorer,
    Completions,
    FilmPlayer,
    Inpainter,
    LossPlayground,
    MaskBrush,
    MaskExplorer,
    SceneSampler,
)
from simmim_lab.widgets.masking import NOTES
from simmim_lab.widgets.mse_loss import YOURS
from simmim_lab.widgets.panels import Panels, as_bytes


def write(folder: Path) -> None:
    """Write what each of LIVE starts with into `folder`, as NAME.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in LIVE.items():
        (folder / f"{name}.json").write_text(json.dumps(stored(make())) + "\n", encoding="utf-8")


def stored(widget: Panels) -> dict[str, Any]:
    """What a page's script needs to show `widget`, and to go on from there; bytes and tensors are in base64."""
    names = [name for name in widget.traits(sync=True) if not name.startswith("_") and name != "layout"]
    state = {name: getattr(widget, name) for name in names}
    return _plain({"state": state, "data": kept(widget), "words": widget.texts})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, Tensor):
        value = value.contiguous().numpy().tobytes()
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


@singledispatch
def kept(widget: Panels) -> dict[str, Any]:
    """What Python keeps to itself of a widget."""
    return {}


@kept.register
def _(widget: MaskExplorer) -> dict[str, Any]:
    return {"images": as_bytes(widget.images), "patch": widget.patch, "notes": NOTES}


@kept.register
def _(widget: LossPlayground) -> dict[str, Any]:
    return {"examples": widget.examples, "yours": YOURS}


@kept.register
def _(widget: BudgetExplorer) -> dict[str, Any]:
    presets = {}
    for name in widget.presets:
        chosen = BudgetExplorer(preset=name)
        presets[name] = {
            "training_flops": training_flops(chosen.forward_flops),
            "state_bytes": chosen.state_bytes,
            "size": chosen.encoder["image_size"],
        }
    gpus = {name: {"flops": gpu.flops, "memory": gpu.memory} for name, gpu in GPUS.items()}
    return {"presets": presets, "gpus": gpus, "datasets": widget.datasets}


@kept.register
def _(widget: Inpainter) -> dict[str, Any]:
    return {"side": widget.side}


@kept.register
def _(widget: SceneSampler | Completions) -> dict[str, Any]:
    model = widget.model
    unsaid = model.nothing_said(1)[0].tolist()
    return {"codebook": model.tokenizer.codebook, "patch": model.patch, "unsaid": unsaid}


@kept.register
def _(widget: FilmPlayer) -> dict[str, Any]:
    films = [as_bytes(clips) for clips in (widget.clips, *widget.fills.values())]
    return {"films": films, "masks": widget.masks, "frames": widget.clips.shape[1]}


# The lessons' cells.


def _flower() -> MaskBrush:
    hole = torch.zeros(8, 8).bool()
    hole[1:4, 4:7] = True
    return MaskBrush(_shipped(), photograph("flower", (32, 32)), mask=hole)


def _crops() -> Images:
    test = load("photos", "test", size=32)
    return torch.stack([test.pixels[test.labels == label][10] for label in range(len(test.classes))]) / 255


def _petals() -> Inpainter:
    petals = torch.zeros(48, 72).bool()
    petals[16:28, 34:46] = True
    return Inpainter(_shipped(), photograph("flower", (48, 72)), hidden=petals, methods={})


def _completions() -> Completions:
    pictures, _ = next(captioned_scenes("test").in_order(3))
    return Completions(_generator(), pictures[2])


def _films() -> FilmPlayer:
    ground = landscape(draw_clips(100, generator=Generator().manual_seed(0)))
    films = draw_clips(60, generator=Generator().manual_seed(1)) / 255
    tubes = tube_mask(len(films), 6, (4, 8), 0.75, Generator().manual_seed(0))
    hidden = hidden_pixels(tubes, patch=4)
    network = VideoMIM.pretrained().eval().reconstruct(films, tubes)
    fills = {"network, 2,600 steps": network[:8], "motion followed": follow(films, hidden, ground)[:8]}
    return FilmPlayer(films[:8], hidden[:8], fills)


def _shipped() -> SimMIM:
    return SimMIM.pretrained("cifar10").eval()


def _generator() -> MaskGIT:
    return MaskGIT.pretrained("scenes").eval()


LIVE: dict[str, Callable[[], Panels]] = {  # by class, lesson, and count in the lesson
    "MaskBrush-00_start_here-1": _flower,
    "MaskExplorer-00_start_here-1": lambda: MaskExplorer(load("photos", "test").take(6)),
    "MaskExplorer-01_masking-1": lambda: MaskExplorer(_crops()),
    "MaskBrush-01_masking-1": lambda: MaskBrush(_shipped(), _crops()[0]),
    "LossPlayground-04_mse_loss-1": LossPlayground,
    "BudgetExplorer-06_gpu_training-1": BudgetExplorer,
    "Inpainter-08_inpainting_and_editing-1": _petals,
    "SceneSampler-09_generation-1": lambda: SceneSampler(_generator(), "a red boat on a lake at dusk"),
    "Completions-09_generation-1": _completions,
    "FilmPlayer-11_the_mim_family-1": _films,
}
