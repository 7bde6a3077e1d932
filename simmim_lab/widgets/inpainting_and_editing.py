"""Paint a hole in a picture and see how several methods fill it (lesson 08)."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from simmim_lab import evaluation
from simmim_lab.data.pictures import Unreadable, opaque, open_picture, to_tensor
from simmim_lab.inpainting import inpaint
from simmim_lab.masking import center_mask
from simmim_lab.shapes import Grid, Hidden, Images
from simmim_lab.simmim import SimMIM
from simmim_lab.widgets.brush import Brush, one_image
from simmim_lab.widgets.panels import snapshot

LARGEST = 128  # pixels along a side: beyond, a stroke takes seconds
LARGEST_FILE = 8_000_000  # bytes: JupyterLab's server breaks the connection at a message of 10 MiB

Fill = Callable[[Images, Hidden], Images]


class Inpainter(Brush):
    """Paint a hole, pixel by pixel, into `image` or a picture file of yours; a model fills it while you paint.

    The other `methods`, by the titles of their panels, follow when a stroke ends. Each is a function of images and
    a mask of pixels, as those of `evaluation` are; yours will do too. Behind each title stands the PSNR on the
    hidden pixels, in which what lies under the hole counts as the truth. `hidden` is the first hole, by default a
    square in the middle. A picture file is shrunk to the longer side of `image`. `Brush` says how to paint.
    Raises TypeError or ValueError for an image or a mask that does not fit.
    """

    def __init__(
        self,
        model: SimMIM,
        image: Float[Tensor, "3 height width"],
        *,
        hidden: Bool[Tensor, "height width"] | None = None,
        methods: Mapping[str, Fill] | None = None,
    ):
        self.image = one_image(image)
        height, width = self.image.shape[-2:]
        if max(height, width) > LARGEST:
            raise ValueError(
                f"the image may have at most {LARGEST} pixels a side, or a stroke would take seconds, but has "
                f"{height} x {width}: shrink it, such as with images.load_picture(path, 64)"
            )
        self.side, self.note = max(height, width), ""
        if methods is None:
            methods, self.note = without_network(), missing()
        self.methods = {"model": partial(inpaint, snapshot(model)), **methods}
        self.alt = f"A picture with a painted hole, and the hole filled by {len(self.methods)} methods."
        super().__init__(
            (height, width),
            first_hole((height, width)) if hidden is None else hidden,
            controls=({"kind": "file", "label": "your picture", "message": "picture", "most": LARGEST_FILE},),
            size=[height, width],
        )

    def act(self, message: str, content: dict, buffers: list) -> None:
        if message == "picture":
            self.show_file(content["name"], bytes(buffers[0]))
        else:
            super().act(message, content, buffers)

    def show_file(self, name: str, data: bytes) -> None:
        """Go on with the picture in a file with this content; ValueError if it cannot be read."""
        picture = read(name, data, self.side)
        too_large = max(picture.size) > self.side
        picture.thumbnail((self.side, self.side), Image.Resampling.BICUBIC)
        self.image = to_tensor(picture)[None] / 255
        self.note = f"{name} is shown at {picture.width} x {picture.height} pixels"
        self.note += ", so that a stroke stays fast." if too_large else "."
        with self.hold_trait_notifications():
            self.size = [picture.height, picture.width]
            self.begin((picture.height, picture.width), first_hole((picture.height, picture.width)))

    def fill(self, mask: Bool[Tensor, "height width"]) -> None:
        hidden = mask[None]
        panels = [{"title": "paint here", "striped": True, "pointer": "paint", "large": True}]
        pictures, scores = [self.image[0]], {}
        for name, method in self.methods.items():
            panel, filled = {"title": name}, self.image
            if self.stroking and name != "model":
                panel["striped"] = True
            elif mask.any():
                filled = method(self.image, hidden)
                scores[name] = evaluation.psnr(self.image, filled, hidden)
                panel["title"] += f" {scores[name]:.1f} dB"
            panels.append(panel)
            pictures.append(filled[0])
        self.hidden, self.panels = self.painted, panels
        self.show_panels(pictures)
        self.status = " ".join([describe(mask, scores), self.note]).strip()


def without_network() -> dict[str, Fill]:
    """Methods that fill holes without a network; two of them need OpenCV."""
    methods = {"nearest": evaluation.nearest, "biharmonic": evaluation.biharmonic}
    if evaluation.has_opencv():
        methods |= {"Telea": evaluation.telea, "Navier-Stokes": evaluation.navier_stokes}
    return methods | {"patch copy": evaluation.patches}


def missing() -> str:
    if evaluation.has_opencv():
        return ""
    return "Telea and Navier-Stokes are absent, since they need OpenCV: pip install opencv-python-headless."


def first_hole(grid: Grid) -> Bool[Tensor, "height width"]:
    return center_mask(1, grid, 1 / 16)[0]


def describe(mask: Bool[Tensor, "height width"], scores: Mapping[str, float]) -> str:
    """How much is hidden, and which method does best."""
    if not scores:
        return "Nothing is hidden: paint over what is to be filled."
    best = max(scores, key=scores.get)
    ahead = f"{'highest ' if len(scores) > 1 else ''}PSNR on them: {best}, {scores[best]:.1f} dB."
    return f"{int(mask.sum()):,} of {mask.numel():,} pixels hidden ({mask.float().mean():.0%}), {ahead}"


def read(name: str, data: bytes, side: int) -> Image.Image:
    """The picture in a file with this content, in RGB, to be shrunk to `side` pixels."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        try:
            return opaque(open_picture(path, side), "white")
        except Unreadable as error:
            raise ValueError(f"{name} cannot be read ({error.reason})") from error
