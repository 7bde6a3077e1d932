"""Images: real photographs, drawn scenes, well-known data sets or your own folder (lesson 00).

`load(name, split, size)` returns an `ImageSet`, which holds its images in memory:

    photos         crops of eleven photographs that scikit-image and scikit-learn bring along: no download
    scenes         small pictures drawn by `scenes.draw_scenes`: no download
    cifar10        60,000 pictures of ten kinds of things, 32 pixels (170 MB to download)
    stl10          13,000 pictures of ten kinds of things, 96 pixels (2.6 GB)
    flowers102     8,189 photographs of flowers (345 MB)
    imagenette     13,394 photographs of ten classes of ImageNet (340 MB)
    oxford_pets    7,349 photographs of cats and dogs (810 MB)
    folder         your own pictures; an `ImageStream` if they are too many for the memory

The splits "train", "val" and "test" never share a picture, and those of `photos` never share a photograph.
"""

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Generator, Tensor

from simmim_lab.common import choose
from simmim_lab.data.imagesets import SPLITS, ImageSet, ImageStream, Source, open_picture, square, stack_pictures
from simmim_lab.data.photographs import load_photos
from simmim_lab.data.torchvision_sets import DOWNLOADS, load_download

__all__ = ["SPLITS", "ImageSet", "ImageStream", "Source", "load", "load_picture"]

SCENES = {"train": 5_000, "val": 500, "test": 500}
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MEMORY_LIMIT = 10**9  # bytes: a folder with more pixels than this is read from the disk


def load(
    name: str = "photos", split: str = "train", size: int = 32, *, root: str | Path | None = None
) -> ImageSet | ImageStream:
    """Load one split of the images `name` (the top of this module lists them), at `size` x `size` pixels.

    `root` is the folder with your pictures for "folder". For a set to download it is the folder that keeps the
    files: by default the one that the environment variable SIMMIM_LAB_DATA names, or ~/.cache/simmim_lab.
    Raises ValueError for an unknown name or split and an impossible size, FileNotFoundError for a folder that
    is missing or empty and a file that cannot be downloaded.
    """
    choose(name, dict.fromkeys(["photos", "scenes", *DOWNLOADS, "folder"]), "image set")
    choose(split, dict.fromkeys(SPLITS), "split")
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, but is {size}")
    if name in ("photos", "scenes") and root is not None:
        raise ValueError(f"{name!r} takes no root; to load your own pictures the name is 'folder'")
    if name == "photos":
        return load_photos(split, size)
    if name == "scenes":
        return _load_scenes(split, size)
    if name == "folder":
        return _load_folder(split, size, root)
    return load_download(name, split, size, root)


def load_picture(path: str | Path, size: int = 32) -> Float[Tensor, "3 size size"]:
    """One picture of yours, of any size and format, in [0, 1]: its middle, resized to `size` x `size` pixels.

    Raises FileNotFoundError if it is missing, ValueError if it cannot be read.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of a JPEG or PNG file")
    try:
        return square(open_picture(path, size), size) / 255
    except Exception as error:  # Pillow raises errors of many kinds for a damaged file
        raise ValueError(f"{path} is not a readable image ({error}): give a JPEG or PNG file") from error


def _load_scenes(split: str, size: int) -> ImageSet:
    from simmim_lab.data.scenes import draw_scenes

    generator = Generator().manual_seed(SPLITS.index(split))
    scenes = draw_scenes(SCENES[split], size, generator=generator)
    return ImageSet("scenes", split, scenes.pixels, scenes.labels, scenes.classes)


def _load_folder(split: str, size: int, root: str | Path | None) -> ImageSet | ImageStream:
    """The pictures in a folder and below it. Each sub-folder is a class; without any there is one class."""
    if root is None:
        raise ValueError("load('folder') needs root=, the folder with your pictures")
    root = Path(root).expanduser().resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}: root must be the folder with your pictures")
    files = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES]
    files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    groups = [file.parts[0] if len(file.parts) > 1 else root.name for file in files]
    classes = tuple(sorted(set(groups)))
    chosen = _split_by_name([file.as_posix() for file in files])[split]
    if not chosen:
        raise FileNotFoundError(
            f"{root} has {len(files)} pictures, none of them for {split!r}: put at least 3 there, with names that "
            f"end in {', '.join(SUFFIXES)}"
        )
    paths = [root / files[i] for i in chosen]
    labels = torch.tensor([classes.index(groups[i]) for i in chosen])
    if len(paths) * 3 * size**2 > MEMORY_LIMIT:
        return ImageStream("folder", split, paths, labels, classes, size)

    def read(i: int) -> tuple[Image.Image, int]:
        return open_picture(paths[i], size), labels[i]

    images, labels, broken = stack_pictures(read, len(paths), size, root.name)
    if broken:
        names = ", ".join(files[chosen[i]].as_posix() for i in broken)
        message = f"{len(broken)} of {len(paths)} pictures in {root} cannot be read: {names}"
        if len(broken) == len(paths):
            raise ValueError(f"{message}; convert them to JPEG or PNG")
        warnings.warn(f"{message}; they are left out", stacklevel=3)
    return ImageSet("folder", split, images, labels, classes)


def _split_by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """80, 10 and 10 % of the names, by a digest of each name, so that a new one does not move the others.

    Three names or more leave no split empty; fewer are all for training.
    """
    digests = [hashlib.sha256(os.fsencode(name)).digest() for name in names]
    places = [int.from_bytes(digest[:8]) / 2**64 for digest in digests]
    order = sorted(range(len(names)), key=places.__getitem__)
    first, second = (sum(place < bound for place in places) for bound in (0.8, 0.9))
    if len(names) < 3:
        first = second = len(names)
    else:
        first = min(max(first, 1), len(names) - 2)
        second = min(max(second, first + 1), len(names) - 1)
    parts = order[:first], order[first:second], order[second:]
    return {split: sorted(part) for split, part in zip(SPLITS, parts, strict=True)}
