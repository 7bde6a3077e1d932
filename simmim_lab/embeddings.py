"""Embeddings: what an encoder makes of each picture of a set or a folder, for other programs (lesson 07).

They go into one safetensors file: it holds no code, can be read in parts, and has room for the names of the files.
Its tensors are

    vectors   one for each picture, as `probing.features` makes them
    labels    which class of `classes` each picture belongs to; all 0 where there are none

and its header is texts. As JSON: `classes`, `files` (the name of each picture, relative to the folder; nothing for
a set that is no folder), and `splits` (how many of the pictures, which stand in this order, are of each split).
"""

import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from simmim_lab.checkpoints import digest
from simmim_lab.data.folders import Folder
from simmim_lab.data.imagesets import stack_pictures
from simmim_lab.data.pictures import named, open_picture, reason_of
from simmim_lab.files import write_tensors
from simmim_lab.images import find_pictures, load
from simmim_lab.probing import Vectors, encode, features, layers
from simmim_lab.shapes import Images
from simmim_lab.simmim import SimMIM

BATCH = 100  # pictures at a time: more than these are never in memory, but for sets that are
SAVE_EVERY = 30.0  # seconds, at most, that an interruption costs

Batch = tuple[Images, Int64[Tensor, " batch"], list[str]]  # pictures, their labels, and the names of their files
# Of a split, and the number of batches to leave out: its length, classes, batches.
Reader = Callable[[str, int], tuple[int, Sequence[str], Iterable[Batch]]]


def embed(
    model: SimMIM,
    data: str,
    splits: Sequence[str],
    size: int,
    *,
    root: str | Path | None = None,
    cells: int = 1,
    layer: int | None = None,
    kept: Path,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the header of the file, for these splits of `data`, a name that `images.load` knows.

    Pictures are `size` pixels wide and high, as the model needs. Of a folder, splits without pictures add nothing;
    pictures that cannot be read are left out, and a warning names them. A bar shows the progress. After an
    interruption the file `kept` holds what was done, and the same call goes on from there.
    Raises ValueError for a `layer` that the encoder does not have, or too many `cells`; TypeError for a `layer` of
    an encoder that is no ViT; and the errors of `images.load`.
    """
    _check(model, size, cells, layer)
    folder = None
    if data == "folder":
        root, folder = find_pictures(root, size)
        if not any(folder.splits[split] for split in splits):
            raise FileNotFoundError(f"{root} has no pictures for {' or '.join(splits)}: put some there")
    asked = repr((data, root, folder, splits, size, cells, layer, BATCH))
    asked = digest(asked, {name: tensor.cpu() for name, tensor in model.encoder.state_dict().items()})
    parts, left_out = _read(kept, asked)
    left_out |= folder.left_out if folder else {}
    read = _folder(root, folder, size, left_out) if folder else partial(_set, data, size, root)
    classes, saved = [], time.monotonic()
    try:
        for split in splits:
            done = [len(part.vectors) for part in parts if part.split == split]
            count, names, batches = read(split, len(done))
            classes += [name for name in names if name not in classes]  # each of the photos is one of its own
            place = torch.tensor([classes.index(name) for name in names] or [0])
            with tqdm(desc=split, total=count, initial=sum(done), unit=" images", disable=not count) as bar:
                for images, labels, files in batches:
                    vectors = features(model, images, cells, layer) if len(images) else torch.empty(0)
                    parts.append(Part(split, vectors, place[labels], files))
                    bar.update(len(images))
                    if time.monotonic() - saved > SAVE_EVERY:
                        _keep(kept, asked, parts, left_out)
                        saved = time.monotonic()
    except BaseException:
        if parts:
            _keep(kept, asked, parts, left_out)
        raise
    if left_out:
        warnings.warn(f"{len(left_out)} left out of {root}: {named(left_out)}", stacklevel=2)
    counts = {split: sum(len(part.vectors) for part in parts if part.split == split) for split in splits}
    files = [name for part in parts for name in part.files]
    header = {"classes": json.dumps(classes), "files": json.dumps(files), "splits": json.dumps(counts)}
    return _tensors(parts), header


@dataclass(frozen=True, eq=False)
class Part:
    """What was made of one batch of a split."""

    split: str
    vectors: Vectors
    labels: Int64[Tensor, " images"]
    files: list[str]


def _tensors(parts: list[Part]) -> dict[str, Tensor]:
    return {name: torch.cat([getattr(part, name) for part in parts]) for name in ("vectors", "labels")}


def _keep(path: Path, asked: str, parts: list[Part], left_out: dict[str, str]) -> None:
    """Write what is done so far, and for what."""
    rows = [(part.split, len(part.vectors), part.files) for part in parts]
    write_tensors(path, _tensors(parts), {"asked": asked, "done": json.dumps([rows, left_out])})


def _read(path: Path, asked: str) -> tuple[list[Part], dict[str, str]]:
    """What an interrupted call has kept, if it was asked for the same; else a fresh start."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get("asked") == asked:
                rows, left_out = json.loads(header["done"])
                counts = [count for _, count, _ in rows]
                tensors = (file.get_tensor(name).split(counts) for name in ("vectors", "labels"))
                found = zip(rows, *tensors, strict=True)
                return [Part(split, *both, files) for (split, _, files), *both in found], left_out
    except (OSError, SafetensorError):  # there is none, or it is damaged
        pass
    return [], {}


def _check(model: SimMIM, size: int, cells: int, layer: int | None) -> None:
    """Refuse what does not fit the encoder, before any picture is read."""
    black = torch.zeros(1, 3, size, size)
    maps = [encode(model, black)] if layer is None else layers(model, black)
    if layer is not None and not 0 <= layer < len(maps):
        raise ValueError(f"this encoder has no layer {layer}: take one from 0 to {len(maps) - 1}")
    rows, cols = maps[layer or 0].shape[-2:]
    if cells > min(rows, cols):
        raise ValueError(f"{cells} x {cells} cells are more than the {rows} x {cols} places of this encoder")


def _set(
    data: str, size: int, root: str | Path | None, split: str, first: int
) -> tuple[int, Sequence[str], Iterable[Batch]]:
    images = load(data, split, size, root=root)
    batches = islice(images.in_order(BATCH), first, None)
    return len(images), images.classes, ((*batch, []) for batch in batches)


def _folder(root: Path, folder: Folder, size: int, left_out: dict[str, str]) -> Reader:
    """What reads the pictures of a folder, BATCH at a time; those that cannot be read are added to `left_out`."""

    def batches(chosen: list[int], first: int) -> Iterator[Batch]:
        for start in range(first * BATCH, len(chosen), BATCH):
            part = chosen[start : start + BATCH]

            def read(i: int, part: list[int] = part) -> tuple:
                return open_picture(root / folder.files[part[i]], size), folder.labels[part[i]]

            pixels, labels, broken = stack_pictures(read, len(part), size, None)
            names = [folder.files[i].as_posix() for i in part]
            left_out.update({names[i]: reason_of(error) for i, error in broken.items()})
            yield pixels / 255, labels, [name for i, name in enumerate(names) if i not in broken]

    def read(split: str, first: int) -> tuple[int, Sequence[str], Iterable[Batch]]:
        chosen = folder.splits[split]
        return len(chosen), folder.classes, batches(chosen, first)

    return read
