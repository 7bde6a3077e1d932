"""What pages need to fill holes without Python: onnxruntime-web, the shipped model, and pictures to begin with."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from simmim_lab import plots
from simmim_lab.data.photographs import photograph
from simmim_lab.exporting import any_batch, write_onnx
from simmim_lab.generation import MaskGIT, Words
from simmim_lab.masking import stroke_mask
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import SimMIM
from simmim_lab.teaching.site import widgets
from simmim_lab.tokens import Codes
from simmim_lab.widgets import Inpainter
from simmim_lab.widgets.panels import as_bytes

# Under names that every server knows: to some .mjs is nothing that may run.
RUNTIME = {
    "ort.wasm.bundle.min.mjs": "ort.wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort.wasm.wasm",
    "ort.jspi.bundle.min.mjs": "ort.webgpu.js",
    "ort-wasm-simd-threaded.jspi.wasm": "ort.webgpu.wasm",
}
NPM = ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]
NPM += ["--fetch-retries=1"]  # who has no network is told soon

SIDE = 64  # pixels of the first page's photographs
PHOTOGRAPHS = ("chelsea", "coffee", "china", "flower", "astronaut", "rocket")
ENLARGED = 7  # times, for a page without JavaScript
SEED, RATIO = 5, 0.12  # of the first hole: a stroke across the face of the cat


class Prediction(nn.Module):
    """A SimMIM that predicts all pixels, of which a page takes the hidden ones."""

    def __init__(self, model: SimMIM):
        super().__init__()
        self.model = model

    def forward(self, images: Images, mask: Mask) -> Images:
        return self.model.predict(images, mask)


class Scores(nn.Module):
    """A MaskGIT that scores all codes, of which a page draws."""

    def __init__(self, model: MaskGIT):
        super().__init__()
        self.model = model

    def forward(self, codes: Codes, mask: Mask, words: Words) -> Float[Tensor, "batch rows cols codes"]:
        return self.model.logits(codes, mask, words)


def write(root: Path, work: Path, live: Path) -> None:
    """Write into the folder `live` of the site what fills holes there: the folders ort, models and try.

    `work` is a folder for what npm fetches.
    Raises RuntimeError if npm is missing or fails.
    """
    write_runtime(root / "site", work, live / "ort")
    model = SimMIM.pretrained("cifar10").eval()
    images = torch.rand(2, 3, *model.image_size)
    inputs = {"images": images, "mask": torch.rand(2, *model.grid(images)) < 0.6}
    write_model(live / "models" / "cifar10.onnx", Prediction(model), inputs, "prediction")
    generator = MaskGIT.pretrained("scenes").eval()
    codes = torch.randint(generator.tokenizer.codes, (2, *generator.grid))
    inputs = {"codes": codes, "mask": codes > 99, "words": generator.nothing_said(2)}
    write_model(live / "models" / "scenes.onnx", Scores(generator), inputs, "scores")
    write_pictures(live / "try", model)


def write_runtime(project: Path, work: Path, folder: Path) -> None:
    """Write onnxruntime-web in the version of `project`/package-lock.json; RuntimeError if npm fails."""
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(project / name, work)
    try:
        subprocess.run([shutil.which("npm") or "npm", *NPM], cwd=work, check=True)  # on Windows npm.cmd
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"npm could not fetch onnxruntime-web ({error}): install Node.js 20, and build once with a network"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in RUNTIME.items():
        shutil.copy(work / "node_modules" / "onnxruntime-web" / "dist" / source, folder / name)


def write_model(path: Path, module: nn.Module, inputs: dict[str, Tensor], output: str) -> None:
    """Write a network with weights in 8 bits, for any number of inputs like these, and its size beside it."""
    write_onnx(any_batch(module, *inputs.values()), path, list(inputs), output, bits=8)
    path.with_suffix(".json").write_text(json.dumps({"bytes": path.stat().st_size}) + "\n", encoding="utf-8")


def write_pictures(folder: Path, model: SimMIM) -> None:
    """Write the photographs, the widget that the first page begins with, and that as two still pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOGRAPHS:
        save(photograph(name, (SIDE, SIDE)), folder / f"{name}.png")
    hidden = stroke_mask(1, (SIDE, SIDE), RATIO, generator=torch.Generator().manual_seed(SEED))
    widget = Inpainter(model, photograph(PHOTOGRAPHS[0], (SIDE, SIDE)), hidden=hidden[0], methods={})
    pixels = np.frombuffer(widget.pixels, np.uint8).reshape(2, SIDE, SIDE, 3)
    painted, filled = rearrange(torch.tensor(pixels) / 255, "n h w c -> n c h w")
    enlarged = plots.enlarge(painted[None], ENLARGED)
    save(rearrange(plots.stripe(enlarged, hidden, ENLARGED)[0], "h w c -> c h w"), folder / "hole.png")
    save(filled, folder / "filled.png")
    (folder / "state.json").write_text(json.dumps(widgets.stored(widget)), encoding="utf-8")


def save(picture: Float[Tensor, "3 height width"], path: Path) -> None:
    Image.fromarray(as_bytes(picture).numpy()).save(path, optimize=True)
