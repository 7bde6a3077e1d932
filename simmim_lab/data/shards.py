"""Shards: many pictures in a few tar files, as millions of images are kept (lesson 11).

A shard holds samples one after the other. The files of a sample have one name and several endings, such as
`000042.jpg` and `000042.cls` with its label: this is the form of the webdataset library, which reads and writes
it here. The shards of a split are called `train-000000.tar`, `train-000001.tar` and so on.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image
from torch import Generator
from tqdm.auto import tqdm

from simmim_lab.common import check_number
from simmim_lab.data.imagesets import ImageSet, ImageStream, Index
from simmim_lab.data.pictures import open_picture

PICTURES = ("jpg", "jpeg", "png", "webp")  # the endings of a sample that may be its picture, the first one counts
LABEL = "cls"
MEGABYTE = 2**20
MOST_CLASSES = 100_000  # a label above is no label, and would take much memory


@dataclass
class ShardStream(ImageStream):
    """Images in shards, with the interface of an `ImageStream`: a training goes on from it to the last bit.

    A batch is a run of samples that lie one behind the other and begin at a random place. So a disk reads on
    instead of jumping about, and every sample is as likely as any other. But neighbours meet often: samples must
    have been shuffled before they were written. `places` says in which shard a picture is, and at which byte its
    sample begins.
    """

    places: dict[Path, tuple[Path, int]] = field(default_factory=dict)

    def _choose(self, batch_size: int, generator: Generator) -> Index:
        start = torch.randint(len(self), (1,), generator=generator, device=generator.device)
        return (start + torch.arange(batch_size, device=generator.device)) % len(self)

    def _open(self, path: Path) -> Image.Image:
        from webdataset.tariterators import group_by_keys, tar_file_expander

        shard, offset = self.places[path]
        with open(shard, "rb") as file:
            file.seek(offset)
            files = tar_file_expander([{"url": str(shard), "stream": file}])
            try:
                sample = next(group_by_keys(files))
            except (StopIteration, tarfile.TarError) as error:
                raise ValueError("cut off or changed while it was in use") from error
        return open_picture(path, self.side, sample[path.suffix[1:].lower()])


def load_shards(folder: str | Path, split: str, size: int) -> ShardStream:
    """The images of one split, in the shards `SPLIT-*.tar` of a folder, at `size` x `size` pixels.

    The names of all samples are read first, and nothing is unpacked to the disk. Images have labels if all of
    their samples do: whole numbers from 0, as text in a file that ends in `.cls`.
    Raises FileNotFoundError if there is no such shard, ValueError for one that is no tar file, is damaged or is
    compressed, for shards without pictures and for a label that is no number; ImportError without webdataset.
    """
    _check_webdataset()
    folder = Path(folder).expanduser()
    shards = sorted(folder.glob(f"{split}-*.tar"))
    if not shards:
        raise FileNotFoundError(f"there is no {split}-*.tar in {folder}: a shard begins with its split")
    places, labels = {}, []
    for shard in tqdm(shards, f"{split} shards", unit=" shards", delay=1):
        for name, offset, label in _samples(shard):
            if shard / name in places:
                raise ValueError(f"{shard} holds {name} twice: write it again, each sample under its own name")
            places[shard / name] = shard, offset
            labels.append(label)
    if not places:
        raise ValueError(f"the {len(shards)} shards {split}-*.tar in {folder} hold no {', '.join(PICTURES)}")
    labelled = all(label is not None for label in labels)
    classes = tuple(map(str, range(max(labels) + 1))) if labelled else ()
    labels = torch.tensor(labels if labelled else [0] * len(places))
    return ShardStream("shards", split, [*places], labels, classes, size, places=places)


def write_shards(images: ImageSet, folder: str | Path, *, per_shard: int = 1000) -> list[Path]:
    """Write images and labels to shards of `per_shard` samples, in an order drawn at random; return their paths.

    Raises FileExistsError if the folder has shards of this split; ImportError without webdataset.
    """
    _check_webdataset()
    from webdataset import ShardWriter

    check_number("per_shard", per_shard, 1, integer=True)
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob(f"{images.split}-*.tar")):
        raise FileExistsError(f"{folder} has shards of {images.split} already: choose another folder")
    order = torch.randperm(len(images), generator=Generator().manual_seed(0)).tolist()
    # as a file: address, since a bare path may begin as one of a program to run
    with ShardWriter(f"file:{folder / images.split}-%06d.tar", maxcount=per_shard, verbose=0) as writer:
        for i in order:
            picture = Image.fromarray(rearrange(images.pixels[i], "rgb height width -> height width rgb").numpy())
            writer.write({"__key__": f"{i:08d}", "png": picture, LABEL: int(images.labels[i])})
    return sorted(folder.glob(f"{images.split}-*.tar"))


def _samples(shard: Path) -> Iterator[tuple[str, int, int | None]]:
    """The name of each picture in a shard, the byte where its sample begins, and its label if it has one."""
    from webdataset.tariterators import base_plus_ext

    key, offset, picture, label = None, 0, None, None
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                name, ending = base_plus_ext(member.name)
                if not member.isreg() or name is None:
                    continue
                if name != key:
                    if picture:
                        yield picture, offset, label
                    key, offset, picture, label = name, member.offset, None, None
                if ending.lower() in PICTURES and picture is None:
                    picture = member.name
                elif ending == LABEL:
                    label = _label(tar.extractfile(member).read(20), shard, member.name)
                tar.members = []  # or the names of all would stay in memory
            _check_end(tar)
    except (tarfile.TarError, OSError) as error:
        raise ValueError(
            f"{shard} is no tar file, or a damaged or compressed one ({error}): copy it again, or decompress it"
        ) from error
    if picture:
        yield picture, offset, label


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise TarError unless zeros follow what was read: a damaged header looks like the end to `tarfile`."""
    tar.fileobj.seek(tar.offset)
    zeros = 0
    while block := tar.fileobj.read(MEGABYTE):
        if block.strip(b"\0"):
            raise tarfile.ReadError("a header is damaged")
        zeros += len(block)
    if zeros < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut off")


def _label(text: bytes, shard: Path, name: str) -> int:
    try:
        label = int(text)
    except ValueError:
        label = -1
    if not 0 <= label < MOST_CLASSES:
        raise ValueError(
            f"{name} in {shard} must hold a class, a whole number from 0 to {MOST_CLASSES - 1}, but holds {text!r}"
        )
    return label


def _check_webdataset() -> None:
    try:
        import webdataset  # noqa: F401
    except ImportError as error:
        raise ImportError("shards need webdataset; install it with: pip install 'simmim-lab[shards]'") from error
