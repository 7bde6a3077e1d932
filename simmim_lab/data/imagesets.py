"""Sets of images, in memory or on the disk, and the batches that are drawn from them (lesson 00).

`images.load` makes the sets. The functions at the end turn pictures into tensors, for all that load sets.
"""

import dataclasses
import hashlib
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image, ImageOps
from torch import Generator, Tensor
from tqdm.auto import tqdm

SPLITS = ("train", "val", "test")
CROP_SCALE = (0.67, 1.0)
WORKERS = min(8, os.cpu_count() or 1)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow hands some others to outside programs

CropScale = tuple[float, float] | None
Draw = tuple[Int64[Tensor, " batch"], Float[Tensor, "4 batch"] | None, Bool[Tensor, " batch"]]  # see `_draw`


@dataclass(frozen=True)
class Source:
    """Where pictures come from, and what their authors allow."""

    title: str
    author: str
    licence: str
    url: str


class _Batches:
    """What `ImageSet` and `ImageStream` have in common: all that needs no more than `_read` and the length."""

    def take(self, n: int) -> Float[Tensor, "n 3 height width"]:
        """`n` images spread evenly over the set, always the same, in [0, 1].

        Raises ValueError if the set has fewer.
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"take(n) needs n from 1 to {len(self)}, the number of images, but got {n}")
        return self._read((2 * torch.arange(n) + 1) * len(self) // (2 * n)).float().div_(255)

    def batch(
        self, batch_size: int, generator: Generator, *, crop_scale: CropScale = CROP_SCALE, flip: bool = True
    ) -> Float[Tensor, "batch 3 height width"]:
        """A batch in [0, 1], drawn with replacement; all randomness comes from `generator`.

        Each image is cropped on its own to a box of `crop_scale` (from, to) of its area, with an aspect ratio
        between 3/4 and 4/3, stretched to the full size again, and with `flip` mirrored in half of the cases.
        `crop_scale=None` leaves images whole. Raises ValueError unless 0 < from <= to <= 1.
        Source: `data_simmim.py` of SimMIM. A box too long for the image is cut, where torchvision draws again;
        its area and aspect ratio stay within the same limits.
        """
        return next(self.batches(batch_size, [generator], crop_scale=crop_scale, flip=flip))

    def batches(
        self,
        batch_size: int,
        generators: Iterable[Generator],
        *,
        crop_scale: CropScale = CROP_SCALE,
        flip: bool = True,
        share: slice = slice(None),
    ) -> Iterator[Float[Tensor, "batch 3 height width"]]:
        """One `batch` for each generator, in order: batch k depends on generator k alone.

        With a `share` only these images of each batch are read: other processes have the rest.
        """
        options = {"crop_scale": crop_scale, "flip": flip, "share": share}
        for images, _ in self.labelled_batches(batch_size, generators, **options):
            yield images

    def labelled_batches(
        self,
        batch_size: int,
        generators: Iterable[Generator],
        *,
        crop_scale: CropScale = CROP_SCALE,
        flip: bool = True,
        share: slice = slice(None),
    ) -> Iterator[tuple[Float[Tensor, "batch 3 height width"], Int64[Tensor, " batch"]]]:
        """The same images with their labels."""
        draws = (_draw(len(self), batch_size, generator, crop_scale, flip, share) for generator in generators)
        for images, (index, boxes, mirrored) in self._read_all(draws):
            labels = self.labels.index_select(0, index.to(self.labels.device))
            yield _view(images, boxes, mirrored), labels

    def _read_all(self, draws: Iterable[Draw]) -> Iterator[tuple[UInt8[Tensor, "batch 3 height width"], Draw]]:
        """The images of each draw."""
        for draw in draws:
            yield self._read(draw[0]), draw

    def fingerprint(self) -> str:
        """The number of images and a digest of up to 64 of them, to tell whether two sets are the same."""
        sample = self.take(min(64, len(self))).mul(255).round().byte().cpu()
        digest = hashlib.sha256(sample.numpy().tobytes()).hexdigest()
        return f"{len(self)} images of {self.size[0]} x {self.size[1]}, sha256 {digest[:16]}"


@dataclass
class ImageSet(_Batches):
    """Images in memory, with labels that index `classes`, and with their sources.

    In the set `photos` each photograph is a class, and has one entry in `sources`.
    """

    name: str
    split: str
    pixels: UInt8[Tensor, "n 3 height width"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    sources: tuple[Source, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return tuple(self.pixels.shape[-2:])

    @property
    def draws_on(self) -> torch.device:
        """Where the generators of batches should be: with the images."""
        return self.pixels.device

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same set on another device, where its batches are then made."""
        return dataclasses.replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def _read(self, index: Int64[Tensor, " batch"]) -> UInt8[Tensor, "batch 3 height width"]:
        return self.pixels.index_select(0, index.to(self.pixels.device))


@dataclass
class ImageStream(_Batches):
    """Images on the disk, with the interface and the batches of an `ImageSet`.

    `workers` threads decode ahead; their number does not change what comes out. A file that cannot be read is
    reported, and the next one takes its place.
    """

    name: str
    split: str
    paths: Sequence[Path]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    side: int
    sources: tuple[Source, ...] = ()
    device: torch.device | str = "cpu"
    workers: int = WORKERS

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.side, self.side

    @property
    def draws_on(self) -> torch.device:
        """Where the generators of batches should be: on the CPU, which opens the files."""
        return torch.device("cpu")

    def to(self, device: torch.device | str) -> "ImageStream":
        """The same stream, with its batches and labels on another device."""
        return dataclasses.replace(self, device=device, labels=self.labels.to(device))

    def _read_all(self, draws: Iterable[Draw]) -> Iterator[tuple[UInt8[Tensor, "batch 3 height width"], Draw]]:
        """The images of each draw, while those of the two after it are being decoded."""

        def finish(decoded: Iterable[Tensor], draw: Draw):
            return torch.stack(list(decoded)).to(self.device), draw

        ahead = deque()
        pool = ThreadPoolExecutor(self.workers)
        try:
            for draw in draws:  # everything random is drawn here, before the threads start
                ahead.append((pool.map(self._decode, draw[0].tolist()), draw))
                if len(ahead) > 2:
                    yield finish(*ahead.popleft())
            while ahead:
                yield finish(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, index: Int64[Tensor, " batch"]) -> UInt8[Tensor, "batch 3 height width"]:
        with ThreadPoolExecutor(self.workers) as pool:
            return torch.stack(list(pool.map(self._decode, index.tolist()))).to(self.device)

    def _decode(self, index: int) -> UInt8[Tensor, "3 height width"]:
        for i in range(index, index + len(self)):
            path = self.paths[i % len(self)]
            try:
                return square(open_picture(path, self.side), self.side)
            except Exception as error:  # Pillow raises errors of many kinds for a damaged file
                warnings.warn(f"skipped {path}, which is not a readable image: {error}", stacklevel=2)
        raise ValueError(f"none of the {len(self)} files is a readable image: convert them to JPEG or PNG")


# Batches


def _draw(
    count: int, batch_size: int, generator: Generator, crop_scale: CropScale, flip: bool, share: slice
) -> Draw:
    """All that is random about a share of a batch: which images, which box of each, and which are mirrored."""
    index = torch.randint(count, (batch_size,), generator=generator, device=generator.device)
    boxes = _boxes(batch_size, crop_scale, generator) if crop_scale else None
    mirrored = torch.rand(batch_size, generator=generator, device=generator.device) < (0.5 if flip else 0)
    return index[share], boxes[:, share] if crop_scale else None, mirrored[share]


def _boxes(batch: int, scale: tuple[float, float], generator: Generator) -> Float[Tensor, "4 batch"]:
    """Height, width and centre (y, x) of random boxes, in coordinates where the image reaches from -1 to 1."""
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"crop_scale must be (from, to) with 0 < from <= to <= 1, or None, but is {scale}")
    area, shape, y, x = torch.rand(4, batch, generator=generator, device=generator.device)
    area = scale[0] + area * (scale[1] - scale[0])
    aspect = (4 / 3) ** (2 * shape - 1)
    height, width = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
    return torch.stack([height, width, (2 * y - 1) * (1 - height), (2 * x - 1) * (1 - width)])


def _view(
    images: UInt8[Tensor, "batch 3 rows cols"],
    boxes: Float[Tensor, "4 batch"] | None,
    mirrored: Bool[Tensor, " batch"],
) -> Float[Tensor, "batch 3 rows cols"]:
    """Crop and mirror all images of a batch at once, with bilinear interpolation."""
    images, mirrored = images.float().div_(255), mirrored.to(images.device)
    if boxes is None:
        return torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    height, width, y, x = boxes.to(images.device)[..., None]
    width = torch.where(mirrored[:, None], -width, width)
    row, col = ((2 * torch.arange(n, device=images.device) + 1) / n - 1 for n in images.shape[-2:])
    # built here since torch's affine_grid is slow
    places = torch.broadcast_tensors((x + width * col)[:, None, :], (y + height * row)[:, :, None])
    places, padding = torch.stack(places, -1), "border"
    if images.device.type == "mps":  # before PyTorch 2.13 it has no such padding
        edge = 1 - 1 / torch.tensor([images.shape[-1], images.shape[-2]], device=images.device)
        places, padding = torch.minimum(torch.maximum(places, -edge), edge), "zeros"
    return F.grid_sample(images, places, padding_mode=padding, align_corners=False).clamp_(0, 1)


# Pictures to tensors


def open_picture(path: Path, size: int) -> Image.Image:
    """Open a picture that anybody may have made, and turn it upright."""
    with Image.open(path, formats=FORMATS) as image:
        image.draft("RGB", (2 * size, 2 * size))  # a large JPEG need not be decoded in full
        return ImageOps.exif_transpose(image)


def square(image: Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """Make a picture RGB, on white where it is transparent, resize it to `size` and cut off what is too long."""
    if image.mode in ("I", "F"):
        raise ValueError("pixels of 32 bits have no fixed range")
    if image.mode.startswith("I;16"):  # Pillow's own conversion cuts all values at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return to_tensor(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC))


def to_tensor(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    """The bytes of an RGB picture."""
    return rearrange(torch.from_numpy(np.array(image)), "h w c -> c h w")


def stack_pictures(
    read: Callable[[int], tuple[Image.Image, int]], count: int, size: int, title: str
) -> tuple[UInt8[Tensor, "n 3 size size"], Int64[Tensor, " n"], list[int]]:
    """Read `count` pictures with their labels, while a progress bar shows `title`.

    `read(i)` gives picture i and its label. The list says which ones could not be read and are left out.
    """
    images = torch.empty(count, 3, size, size, dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)

    def fill(i: int) -> bool:
        try:
            image, labels[i] = read(i)
            images[i] = square(image, size)
        except Exception:  # Pillow raises errors of many kinds for a damaged file
            return False
        return True

    with ThreadPoolExecutor(WORKERS) as pool:
        done = torch.tensor(list(tqdm(pool.map(fill, range(count)), title, count, unit=" images", delay=1)))
    if done.all():
        return images, labels, []
    return images[done], labels[done], (~done).nonzero().flatten().tolist()
