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
from itertools import tee
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image
from torch import Generator, Tensor
from tqdm.auto import tqdm

from simmim_lab.common import check_number
from simmim_lab.data.pictures import named, open_picture, reason_of, square

SPLITS = ("train", "val", "test")
CROP_SCALE = (0.67, 1.0)
WORKERS = min(8, os.cpu_count() or 1)

CropScale = tuple[float, float] | None
Index = Int64[Tensor, " batch"]  # which images of the set
Bytes = UInt8[Tensor, "batch 3 height width"]
Decoded = tuple[UInt8[Tensor, "3 size size"], int, list[tuple[int, Path, str]]]  # see `ImageStream._decode`
Draw = tuple[Index, Float[Tensor, "4 batch"] | None, Bool[Tensor, " batch"]]  # see `_Batches._draw`


@dataclass(frozen=True)
class Source:
    """Where pictures come from, and what their authors allow."""

    title: str
    author: str
    licence: str
    url: str


class _Batches:
    """What `ImageSet` and `ImageStream` have in common: all that needs no more than `_read` and `_labels`."""

    def take(self, n: int) -> Float[Tensor, "n 3 height width"]:
        """`n` images spread evenly over the set, always the same, in [0, 1].

        Raises ValueError if the set has fewer.
        """
        check_number("n", n, 1, len(self), integer=True)
        [pixels] = self._read([(2 * torch.arange(n) + 1) * len(self) // (2 * n)])
        return pixels.float().div_(255)

    def in_order(
        self, batch_size: int = 500
    ) -> Iterator[tuple[Float[Tensor, "batch 3 height width"], Int64[Tensor, " batch"]]]:
        """All images once, in order, as they are, in [0, 1], with their labels. The last batch may be smaller."""
        check_number("batch_size", batch_size, 1, integer=True)
        parts = torch.arange(len(self)).split(batch_size)
        for pixels, index in zip(self._read(parts), parts, strict=True):
            yield pixels.float().div_(255), self._labels(index)

    def batch(
        self, batch_size: int, generator: Generator, *, crop_scale: CropScale = CROP_SCALE, flip: bool = True
    ) -> Float[Tensor, "batch 3 height width"]:
        """A batch in [0, 1], drawn with replacement; all randomness comes from `generator`.

        Each image is cropped on its own to a box of `crop_scale` (from, to) of its area, for its height 3/4 to 4/3
        times as wide as the image, stretched to the full size again, and with `flip` mirrored in half of the
        cases. `crop_scale=None` leaves images whole. Raises ValueError unless 0 < from <= to <= 1.
        Source: `data_simmim.py` of SimMIM. A box too long for the image is cut, where torchvision draws again:
        with `from` above 3/4 its area may be smaller.
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
        check_number("batch_size", batch_size, 1, integer=True)
        _check_crop_scale(crop_scale)
        draws = (self._draw(batch_size, generator, crop_scale, flip, share) for generator in generators)
        ahead, draws = tee(draws)  # a stream reads ahead
        for pixels, (index, boxes, mirrored) in zip(self._read(index for index, *_ in ahead), draws, strict=True):
            yield _view(pixels, boxes, mirrored), self._labels(index)

    def _draw(
        self, batch_size: int, generator: Generator, crop_scale: CropScale, flip: bool, share: slice
    ) -> Draw:
        """All that is random about a share of a batch: which images, which box of each, which are mirrored."""
        if not isinstance(generator, Generator):
            raise TypeError(
                f"generator must be a torch.Generator, as from Generator().manual_seed(0), but is {generator!r}"
            )
        index = self._choose(batch_size, generator)
        boxes = None if crop_scale is None else _boxes(batch_size, crop_scale, generator)
        mirrored = torch.rand(batch_size, generator=generator, device=generator.device, dtype=torch.float32)
        return index[share], None if boxes is None else boxes[:, share], mirrored[share] < (0.5 if flip else 0)

    def _choose(self, batch_size: int, generator: Generator) -> Index:
        """The images of a batch, drawn with replacement."""
        return torch.randint(len(self), (batch_size,), generator=generator, device=generator.device)

    def fingerprint(self) -> str:
        """The number of images and a digest of up to 64 of them, to tell whether two sets are the same."""
        sample = self.take(min(64, len(self))).mul(255).round().byte().cpu()
        digest = hashlib.sha256(sample.numpy().tobytes()).hexdigest()
        return f"{len(self)} images of {self.size[0]} x {self.size[1]}, sha256 {digest[:16]}"


@dataclass
class ImageSet(_Batches):
    """Images in memory, with labels that index `classes`, and with their sources.

    In the set `photos` each photograph is a class, and has one entry in `sources`. Without labels `classes` is ()
    and all labels are 0. Raises ValueError for pixels that are no bytes, and for labels that do not fit.
    """

    name: str
    split: str
    pixels: UInt8[Tensor, "n 3 height width"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    sources: tuple[Source, ...] = ()

    def __post_init__(self):
        if _kind(self.pixels) != "torch.uint8":
            raise ValueError(
                f"pixels must be bytes (torch.uint8), but are {_kind(self.pixels)}: "
                "for images in [0, 1] give (255 * images).round().byte()"
            )
        if self.pixels.ndim != 4 or self.pixels.shape[1] != 3 or not self.pixels.numel():
            raise ValueError(f"pixels must have shape (n, 3, height, width), but have {tuple(self.pixels.shape)}")
        _check_labels(self.labels, len(self), self.classes)

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

    def subset(self, index: Index) -> "ImageSet":
        """The images at these places, in this order."""
        return dataclasses.replace(self, pixels=self.pixels[index], labels=self.labels[index])

    def _read(self, indices: Iterable[Index]) -> Iterator[Bytes]:
        return (self.pixels.index_select(0, index.to(self.pixels.device)) for index in indices)

    def _labels(self, index: Index) -> Index:
        return self.labels.index_select(0, index.to(self.labels.device))


@dataclass
class ImageStream(_Batches):
    """Images on the disk, with the interface and the batches of an `ImageSet`.

    `workers` threads decode ahead; their number does not change what comes out. A file that cannot be read is
    reported once, and the next one takes its place for good: in `paths`, and with its label in `labels`.
    """

    name: str
    split: str
    paths: list[Path]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    side: int
    sources: tuple[Source, ...] = ()
    device: torch.device | str = "cpu"
    workers: int = WORKERS

    def __post_init__(self):
        check_number("side", self.side, 1, integer=True)
        check_number("workers", self.workers, 1, integer=True)
        _check_labels(self.labels, len(self), self.classes)

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
        """The same stream, with its batches on another device; `paths` and `labels` are those of this one."""
        return dataclasses.replace(self, device=device)

    def subset(self, index: Index) -> "ImageStream":
        """The images at these places, in this order."""
        paths = [self.paths[place] for place in index.tolist()]
        return dataclasses.replace(self, paths=paths, labels=self.labels[index])

    def _read(self, indices: Iterable[Index]) -> Iterator[Bytes]:
        """The images of each index, while those of the two after it are being decoded."""
        ahead = deque()
        pool = ThreadPoolExecutor(self.workers)
        try:
            for index in indices:  # everything random is drawn here, before the threads start
                ahead.append(pool.map(self._decode, index.tolist()))
                if len(ahead) > 2:
                    yield self._finish(ahead.popleft())
            while ahead:
                yield self._finish(ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _labels(self, index: Index) -> Index:
        return self.labels[index.cpu()].to(self.device)

    def _decode(self, index: int) -> Decoded:
        """The image at `index`, or the first one after it that can be read; where that is; what failed before."""
        failed = []
        for i in range(index, index + len(self)):
            place = i % len(self)
            path = self.paths[place]
            try:
                return square(self._open(path), self.side), place, failed
            except (ValueError, OSError) as error:
                failed.append((place, path, reason_of(error)))
        raise ValueError(f"none of the {len(self)} pictures can be read: {failed[0][1]} ({failed[0][2]})")

    def _open(self, path: Path) -> Image.Image:
        return open_picture(path, self.side)

    def _finish(self, decoded: Iterable[Decoded]) -> Bytes:
        """A batch. This runs in one thread alone, so here broken files are replaced and reported."""
        images, reasons = [], {}
        for image, place, failed in decoded:
            images.append(image)
            for broken, path, reason in failed:
                if self.paths[broken] == path:  # no other image of this batch, or of one before, has met it
                    self.paths[broken], self.labels[broken] = self.paths[place], self.labels[place]
                    reasons[str(path)] = reason
        if reasons:
            warnings.warn(f"others take the place of pictures that cannot be read: {named(reasons)}", stacklevel=2)
        return torch.stack(images).to(self.device)


def _check_labels(labels: Tensor, count: int, classes: Sequence[str]) -> None:
    """Raise ValueError unless there is a label for each image that indexes `classes`, or is 0 without classes."""
    if not count:
        raise ValueError("a set needs at least one image, but has none")
    if _kind(labels) != "torch.int64" or labels.shape != (count,):
        shape = f" of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else ""
        raise ValueError(
            f"labels must be torch.int64 of shape ({count},), one for each image, but are {_kind(labels)}{shape}"
        )
    low, high = (bound.item() for bound in labels.aminmax())
    if low < 0 or high >= max(1, len(classes)):
        raise ValueError(f"labels must index the {len(classes)} classes, but reach from {low} to {high}")


def _kind(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__


# Batches


def _check_crop_scale(scale: CropScale) -> None:
    try:
        low, high = (1, 1) if scale is None else scale
        possible = 0 < low <= high <= 1
    except (TypeError, ValueError):
        possible = False
    if not possible:
        raise ValueError(f"crop_scale must be (from, to) with 0 < from <= to <= 1, or None, but is {scale!r}")


def _boxes(batch: int, scale: tuple[float, float], generator: Generator) -> Float[Tensor, "4 batch"]:
    """Height, width and centre (y, x) of random boxes, in coordinates where the image reaches from -1 to 1."""
    drawn = torch.rand(4, batch, generator=generator, device=generator.device, dtype=torch.float32)
    area, shape = drawn[:2]
    area = scale[0] + area * (scale[1] - scale[0])
    aspect = (4 / 3) ** (2 * shape - 1)
    sides = torch.stack([area / aspect, area * aspect]).sqrt().clamp(max=1)
    return torch.cat([sides, (2 * drawn[2:] - 1) * (1 - sides)])


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
    row, col = (
        torch.arange(1, 2 * n, 2, device=images.device, dtype=torch.float32) / n - 1 for n in images.shape[-2:]
    )
    # built here since torch's affine_grid is slow
    places = torch.broadcast_tensors((x + width * col)[:, None, :], (y + height * row)[:, :, None])
    places, padding = torch.stack(places, -1), "border"
    if images.device.type == "mps":  # before PyTorch 2.13 it has no such padding
        edge = 1 - 1 / torch.tensor([*images.shape[:1:-1]], dtype=torch.float32, device=images.device)
        places, padding = torch.minimum(torch.maximum(places, -edge), edge), "zeros"
    return F.grid_sample(images, places, padding_mode=padding, align_corners=False).clamp_(0, 1)


# Pictures to tensors


def stack_pictures(
    read: Callable[[int], tuple[Image.Image, int]], count: int, size: int, title: str | None
) -> tuple[UInt8[Tensor, "n 3 size size"], Int64[Tensor, " n"], dict[int, Exception]]:
    """Read `count` pictures with their labels, while a progress bar shows `title`, if there is one.

    `read(i)` gives picture i and its label. Those that cannot be read are left out; the errors say which and why.
    """
    pixels = torch.empty(count, 3, size, size, dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    broken = {}

    def fill(i: int) -> None:
        try:
            image, labels[i] = read(i)
            pixels[i] = square(image, size)
        except Exception as error:  # Pillow raises errors of many kinds for a damaged file
            broken[i] = error

    with ThreadPoolExecutor(WORKERS) as pool:
        filled = pool.map(fill, range(count))
        deque(tqdm(filled, title, count, unit=" images", delay=1, disable=not title), maxlen=0)
    if broken:
        done = [i for i in range(count) if i not in broken]
        pixels, labels = pixels[done], labels[done]
    return pixels, labels, dict(sorted(broken.items()))
