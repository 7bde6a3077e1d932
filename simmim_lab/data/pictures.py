"""One picture that anybody may have made: opened safely, upright, as a tensor; or the reason why it cannot be."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, UInt8
from PIL import Image, ImageOps
from torch import Tensor

# All of these are decoded in this process: Pillow hands some others to outside programs. HEIF needs pillow-heif.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "PPM")
UNKNOWN = "not a picture in a format that Pillow knows"
NAMED = 20  # a longer list of names is no help
SAME_SHAPE = 0.01  # that the ratio of a mask's sides may be off


class Unreadable(ValueError):
    """A picture that cannot be read. `reason` says why, in the same words for all files of the kind."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path} cannot be read ({reason})")
        self.reason = reason


def open_picture(path: str | Path, size: int | None = None, content: bytes | None = None) -> Image.Image:
    """Open a picture and turn it upright; ~ is the home folder. It may be shrunk if `size` pixels will do.

    Its format is seen in its content, whatever its name. Of several frames it is the first. With `content`, the
    bytes of a file that was read elsewhere, `path` only names it.
    Raises FileNotFoundError if it is missing, `Unreadable` (a ValueError) if it cannot be read.
    """
    path = Path(os.path.expanduser(path))
    if content is None and not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of a picture")
    with _opened(path, content) as image:
        if size is not None:
            image.draft("RGB", (2 * size, 2 * size))  # a large JPEG need not be decoded in full
        image.load()
        with suppress(Exception):  # what a camera noted may be damaged where the picture is not
            return ImageOps.exif_transpose(image)
        return image


def check_header(path: Path) -> None:
    """Raise `Unreadable` unless the file starts as a picture does. Nothing is decoded, so it is cheap."""
    with _opened(path):
        pass


def frames(path: Path) -> int:
    """How many pictures the file holds, as an animation does; `open_picture` takes the first."""
    with _opened(path) as image:
        return getattr(image, "n_frames", 1)


def open_mask(path: str | Path, size: tuple[int, int]) -> Bool[Tensor, "height width"]:
    """A painted mask for a picture of `size`, (width, height): hidden is what is white and opaque.

    A mask of the same shape as the picture, but another size, is resized.
    Raises what `open_picture` does, and ValueError for a mask of another shape (more than 1 % off).
    """
    drawn = open_picture(path)
    if abs(drawn.width * size[1] / (drawn.height * size[0]) - 1) > SAME_SHAPE:
        raise ValueError(
            f"the mask {path} has {drawn.width} x {drawn.height} pixels, and the picture {size[0]} x {size[1]}: "
            "paint it on a copy of the picture, or give both the same shape"
        )
    grey = opaque(drawn, "black").convert("L").resize(size, Image.Resampling.NEAREST)
    return torch.from_numpy(np.asarray(grey) > 127)


@contextmanager
def _opened(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """A picture whose header is read. Whatever fails then or later raises `Unreadable`."""
    source = path if content is None else BytesIO(content)
    try:
        Image.init()
        with Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
            if image.mode in ("I", "F"):
                raise Unreadable(path, f"pixels of mode {image.mode}, which have no fixed range: convert to RGB")
            yield image
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises errors of many kinds for a damaged file
        raise Unreadable(path, _reason(path, content, error)) from error


def _reason(path: Path, content: bytes | None, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels: make it smaller"
    if isinstance(error, MemoryError):
        return "too large for the memory: make it smaller"
    if isinstance(error, OSError) and error.strerror:
        return reason_of(error)
    with path.open("rb") if content is None else BytesIO(content) as file:
        head = file.read(16)
    if not head:
        return "empty"
    name = _format(head.ljust(16, b"\0"))
    if name is None:
        return UNKNOWN
    if name in FORMATS:
        return f"damaged or incomplete {name}"
    return f"{name}, which is not read here: convert to JPEG or PNG"


def _format(head: bytes) -> str | None:
    """The format whose files start with these bytes."""
    if head[4:8] == b"ftyp" and head[8:10] in (b"he", b"mi", b"ms"):  # brands such as heic, heix, hevc, mif1
        return "HEIF" if "HEIF" in Image.OPEN else "HEIC"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    for name, (_, accept) in Image.OPEN.items():
        answer = accept and accept(head)
        if answer:  # Pillow answers with a sentence where it was built without this format
            return f"{name} without support in this Pillow" if isinstance(answer, str) else name
    return None


def reason_of(error: Exception) -> str:
    """Why a picture is left out, in the same words for all of a kind."""
    if isinstance(error, Unreadable):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def named(reasons: Mapping[str, str]) -> str:
    """Names with their reasons in one line, those with the same reason together."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason, []).append(name)
    return "; ".join(f"{_some(names)} ({reason})" for reason, names in groups.items())


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def square(image: Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """Make a picture RGB, on white where it is transparent, resize it to `size` and cut off what is too long."""
    return to_tensor(ImageOps.fit(opaque(image, "white"), (size, size), Image.Resampling.BICUBIC))


def opaque(image: Image.Image, background: str) -> Image.Image:
    """The picture in RGB, on a background of this colour where it is transparent."""
    if image.mode.startswith("I;16"):  # Pillow's own conversion cuts all values at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    """The bytes of an RGB picture."""
    return rearrange(torch.from_numpy(np.array(image)), "h w c -> c h w")
