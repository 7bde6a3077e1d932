"""Images: real photographs, drawn scenes, well-known data sets or your own folder (lesson 00).

`load(name, split, size)` returns an `ImageSet`, which holds its images in memory:

    photos         crops of eleven photographs that scikit-image and scikit-learn bring along: no download
    scenes         small pictures drawn by `scenes.draw_scenes`: no download
    cifar10        60,000 pictures of ten kinds of things, 32 pixels (170 MB to download)
    stl10          13,000 pictures of ten kinds of things, 96 pixels (2.6 GB)
    flowers102     8,189 photographs of flowers (345 MB)
    imagenette     13,394 photographs of ten classes of ImageNet (340 MB)
    oxford_pets    7,349 photographs of cats and dogs (810 MB)
    folder         your own pictures (`simmim_lab.data.folders` says which, and what the names of its folders
                   mean); an `ImageStream` if they are too many for the memory
    shards         your own pictures in tar files, as the webdataset library writes them: a `ShardStream`

The splits "train", "val" and "test" never share a picture, and those of `photos` never share a photograph.
"""

import os
import warnings
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from simmim_lab.common import check_number, choose
from simmim_lab.data.folders import Folder, read_folder
from simmim_lab.data.folders import split_by_name as _split_by_name  # noqa: F401 (scripts look a split up by it)
from simmim_lab.data.imagesets import SPLITS, ImageSet, ImageStream, Source, stack_pictures
from simmim_lab.data.photographs import load_photos
from simmim_lab.data.pictures import named, open_picture, reason_of, square
from simmim_lab.data.shards import ShardStream, load_shards
from simmim_lab.data.torchvision_sets import DOWNLOADS, load_download

__all__ = ["SPLITS", "ImageSet", "ImageStream", "ShardStream", "Source", "load", "load_picture"]

SCENES = {"train": 5_000, "val": 500, "test": 500}
MEMORY_LIMIT = 10**9  # bytes: a folder with more pixels than this is read from the disk


def load(
    name: str = "photos", split: str = "train", size: int = 32, *, root: str | Path | None = None
) -> ImageSet | ImageStream:
    """Load one split of the images `name` (the top of this module lists them), at `size` x `size` pixels.

    `root` is the folder with your pictures for "folder" and "shards". For a set to download it is the folder that
    keeps the files: by default the one that the variable SIMMIM_LAB_DATA names, or ~/.cache/simmim_lab.
    One warning names the pictures of a folder that are left out, with the reasons.
    Raises ValueError for an unknown name or split, an impossible size and a folder in which nothing can be read,
    FileNotFoundError for a folder that is missing or empty and a file that cannot be downloaded.
    """
    choose(name, dict.fromkeys(["photos", "scenes", *DOWNLOADS, "folder", "shards"]), "image set")
    choose(split, dict.fromkeys(SPLITS), "split")
    check_number("size", size, 8, integer=True)
    if name in ("photos", "scenes") and root is not None:
        raise ValueError(f"{name!r} takes no root; to load your own pictures the name is 'folder'")
    if name == "photos":
        return load_photos(split, size)
    if name == "scenes":
        return _load_scenes(split, size)
    if name == "folder":
        return _load_folder(split, size, root)
    if name == "shards":
        return load_shards(_root(root, "shards"), split, size)
    return load_download(name, split, size, root)


def load_picture(path: str | Path, size: int = 32) -> Float[Tensor, "3 size size"]:
    """One picture of yours, of any size and format, in [0, 1]: its middle, resized to `size` x `size` pixels.

    Raises FileNotFoundError if it is missing, ValueError if it cannot be read, which says why.
    """
    check_number("size", size, 1, integer=True)
    return square(open_picture(path, size), size) / 255


def _load_scenes(split: str, size: int) -> ImageSet:
    from simmim_lab.data.scenes import draw_scenes

    generator = Generator().manual_seed(SPLITS.index(split))
    scenes = draw_scenes(SCENES[split], size, generator=generator)
    return ImageSet("scenes", split, scenes.pixels, scenes.labels, scenes.classes)


def find_pictures(root: str | Path | None, size: int) -> tuple[Path, Folder]:
    """The folder `root`, and what is in it and below it; see `simmim_lab.data.folders`.

    Raises FileNotFoundError if it is missing, ValueError if none of its pictures can be read.
    """
    root = _root(root, "folder")
    folder = read_folder(root, size)
    if folder.left_out and not folder.files:
        reasons = folder.left_out
        raise ValueError(f"none of the {len(reasons)} pictures in {root} can be read: {named(reasons)}")
    return root, folder


def _root(root: str | Path | None, name: str) -> Path:
    """The folder with pictures; ValueError if none is given, FileNotFoundError if it is missing."""
    if root in (None, ""):
        raise ValueError(f"load({name!r}) needs root=, the folder with your pictures")
    root = Path(os.path.expanduser(root)).resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}: root must be the folder with your pictures")
    return root


def _load_folder(split: str, size: int, root: str | Path | None) -> ImageSet | ImageStream:
    root, folder = find_pictures(root, size)
    reasons, chosen = folder.left_out, folder.splits[split]
    if not chosen:
        raise FileNotFoundError(
            f"{root} has {len(folder.files)} pictures, none of them for {split!r}: put at least 3 there"
            + (f"; left out: {named(reasons)}" if reasons else "")
        )
    paths = [root / folder.files[i] for i in chosen]
    labels = torch.tensor([folder.labels[i] for i in chosen])
    if len(paths) * 3 * size**2 > MEMORY_LIMIT:
        images = ImageStream("folder", split, paths, labels, folder.classes, size)
    else:
        pixels, labels, broken = stack_pictures(
            lambda i: (open_picture(paths[i], size), labels[i]), len(paths), size, root.name
        )
        reasons |= {folder.files[chosen[i]].as_posix(): reason_of(error) for i, error in broken.items()}
        images = ImageSet("folder", split, pixels, labels, folder.classes)
    if reasons:
        warnings.warn(f"{len(reasons)} left out of {root}: {named(reasons)}", stacklevel=3)
    return images
