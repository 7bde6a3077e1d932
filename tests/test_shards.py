"""Pictures in shards: the same pictures, a training that goes on to the last bit, files that are damaged."""

import dataclasses
import io
import tarfile
import warnings

import pytest
import torch
from PIL import Image
from torch import Generator

from simmim_lab.images import load
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, pretrain

webdataset = pytest.importorskip("webdataset", reason="needs webdataset: pip install 'simmim-lab[shards]'")

from simmim_lab.data.shards import write_shards  # noqa: E402 (behind what it needs)


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scenes():
    images = load("scenes", "val", 16)
    return images.subset(torch.arange(90))


@pytest.fixture
def folder(scenes, tmp_path):
    shards = write_shards(scenes, tmp_path, per_shard=40)
    assert [shard.name for shard in shards] == [f"val-{i:06d}.tar" for i in range(3)]
    return tmp_path


def write(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def picture(brightness: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (20, 30), brightness).save(file, "PNG")
    return file.getvalue()


def test_what_was_written_comes_back_with_its_labels(scenes, folder):
    stream = load("shards", "val", 16, root=folder)
    assert len(stream) == 90 and stream.size == (16, 16)
    order = torch.tensor([int(path.stem) for path in stream.paths])
    assert order.tolist() != sorted(order.tolist())
    images, labels = (torch.cat(parts) for parts in zip(*stream.in_order(40), strict=True))
    assert torch.equal(images, scenes.pixels[order] / 255) and torch.equal(labels, scenes.labels[order])
    part = stream.subset(torch.tensor([80, 3]))
    assert torch.equal(part.take(2), images[[80, 3]]) and part.labels.tolist() == labels[[80, 3]].tolist()


def test_webdataset_reads_the_same(scenes, folder):
    names = [str(path) for path in sorted(folder.glob("*.tar"))]
    samples = list(webdataset.WebDataset(names, shardshuffle=False).decode("torchrgb").to_tuple("png", "cls"))
    stream = load("shards", "val", 16, root=folder)
    assert torch.allclose(torch.stack([image for image, _ in samples]), stream.take(90), atol=1e-6)
    assert [label for _, label in samples] == stream.labels.tolist()


def test_a_batch_is_a_run_of_neighbours_that_depends_on_its_generator_alone(folder):
    stream = load("shards", "val", 16, root=folder)
    plain = {"crop_scale": None, "flip": False}
    whole = stream.take(90)

    def places(images):
        return [int((whole - image).flatten(1).abs().sum(1).argmin()) for image in images]

    starts = set()
    for seed in range(8):
        start, *rest = places(stream.batch(12, seeded(seed), **plain))
        assert rest == [(start + step) % 90 for step in range(1, 12)]
        starts.add(start)
    assert len(starts) > 4
    batches = list(stream.batches(12, map(seeded, range(4)), **plain))
    assert torch.equal(batches[3], stream.batch(12, seeded(3), **plain))
    [shared] = stream.batches(12, [seeded(3)], **plain, share=slice(6, 12))
    assert torch.equal(shared, batches[3][6:])


def test_a_training_from_shards_goes_on_to_the_last_bit(folder, tmp_path):
    stream, recipe = load("shards", "val", 16, root=folder), Recipe(steps=6, batch_size=8, mask_size=4)

    def model():
        torch.manual_seed(0)
        return SimMIM.preset("vit_nano", 16)

    whole, cut = model(), model()
    pretrain(whole, stream, recipe, progress=False)

    class Stop(Exception):
        pass

    class Stops(type(stream)):
        def _open(self, path):
            if len(seen) > 8 * 4:
                raise Stop
            seen.append(path)
            return super()._open(path)

    seen = []
    fields = {field.name: getattr(stream, field.name) for field in dataclasses.fields(stream)}
    with pytest.raises(Stop):
        pretrain(cut, Stops(**fields), recipe, run_dir=tmp_path / "run", progress=False)
    again = model()
    pretrain(again, stream, recipe, run_dir=tmp_path / "run", progress=False)
    for ours, theirs in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_samples_of_other_makers(tmp_path):
    """Names in folders, other files beside the picture, no labels, a name that is longer than a header."""
    files = {"a/1.JPG": picture(10), "a/1.json": b"{}", "b/2.txt": b"no picture", "x" * 120 + ".png": picture(200)}
    write(tmp_path / "train-000.tar", files)
    stream = load("shards", "train", 8, root=tmp_path)
    assert len(stream) == 2 and stream.classes == () and stream.labels.tolist() == [0, 0]
    assert [round(image.mean().item() * 255) for image in stream.take(2)] == [10, 200]


def test_a_broken_picture_is_named_and_its_neighbour_takes_its_place(tmp_path):
    write(
        tmp_path / "train-0.tar", {"1.png": picture(10)[:40], "1.cls": b"1", "2.png": picture(90), "2.cls": b"0"}
    )
    stream = load("shards", "train", 8, root=tmp_path)
    with pytest.warns(UserWarning, match=r"train-0\.tar.1\.png \(damaged or incomplete PNG\)"):
        [(images, _)] = stream.in_order(2)
    assert images.unique().numel() == 1 and stream.labels.tolist() == [0, 0]


def test_a_shard_that_lost_its_end_since_is_named(folder):
    stream = load("shards", "val", 16, root=folder)
    last = folder / "val-000002.tar"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.warns(UserWarning, match="cut off or changed"):
        assert len(stream.take(90)) == 90


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({}, FileNotFoundError, r"there is no train-\*\.tar"),
        ({"train-0.tar": {"1.txt": b"text"}}, ValueError, "hold no jpg"),
        ({"train-0.tar": {"1.png": b"", "1.cls": b"cat"}}, ValueError, "must hold a class"),
        ({"train-0.tar": {"1.png": b"", "1.cls": b"-3"}}, ValueError, "must hold a class"),
        ({"train-0.tar": {"1.png": b"", "1.cls": b"9" * 15}}, ValueError, "must hold a class"),
        ({"train-0.tar": b"no tar file at all" * 100}, ValueError, "no tar file, or a damaged or compressed one"),
        ({"train-0.tar": b"\x1f\x8b" + bytes(600)}, ValueError, "no tar file, or a damaged or compressed one"),
        ({"train-0.tar": b""}, ValueError, "no tar file, or a damaged or compressed one"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, files, error, words):
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            write(tmp_path / name, content)
    with pytest.raises(error, match=words):
        load("shards", "train", 8, root=tmp_path)


@pytest.mark.parametrize("damage", ["cut behind a picture", "cut in a header", "another byte", "zeros"])
def test_a_shard_that_lost_a_part_is_named(folder, damage):
    path = folder / "val-000000.tar"
    with tarfile.open(path) as tar:
        start = tar.getmembers()[40].offset
    content = bytearray(path.read_bytes())
    if damage == "another byte":
        content[start] ^= 1
    elif damage == "zeros":
        content[start : start + 512] = bytes(512)
    else:
        del content[start + (100 if damage == "cut in a header" else 0) :]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"val-000000\.tar is no tar file, or a damaged"):
        load("shards", "val", 16, root=folder)


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    write(tmp_path / "train-0.tar", {"1.png": picture(0), "2.png": picture(1)})
    with tarfile.open(tmp_path / "train-0.tar", "a") as tar:
        member = tarfile.TarInfo("1.png")
        tar.addfile(member, io.BytesIO())
    with pytest.raises(ValueError, match=r"holds 1\.png twice"):
        load("shards", "train", 8, root=tmp_path)


def test_nothing_is_written_over(scenes, folder):
    with pytest.raises(FileExistsError, match="choose another folder"):
        write_shards(scenes, folder)


def test_no_name_of_a_folder_starts_a_program(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shards(scenes.subset(torch.arange(2)), "pipe:touch started")
    assert not (tmp_path / "started").exists()
    with warnings.catch_warnings(action="error"):
        assert len(load("shards", "val", 8, root="pipe:touch started")) == 2


def test_without_webdataset_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "webdataset", None)
    with pytest.raises(ImportError, match=r"pip install 'simmim-lab\[shards\]'"):
        load("shards", "val", 16, root=folder)
