"""The sets to download, with an archive that is already there or a host that is not."""

import dataclasses
import hashlib
import tarfile

import pytest
import torch
from PIL import Image

from simmim_lab.data.torchvision_sets import DOWNLOADS
from simmim_lab.images import SPLITS, load


@pytest.fixture
def tiny_imagenette(tmp_path, monkeypatch):
    """A cache folder with an Imagenette of 20 + 4 pictures, as if it had been downloaded."""
    folder = tmp_path / "imagenette"
    folder.mkdir()
    with tarfile.open(folder / "imagenette2-320.tgz", "w:gz") as tar:
        for i in range(24):
            path = tmp_path / "picture.jpeg"
            Image.new("RGB", (60, 40), (10 * i, 0, 0)).save(path, quality=95)
            split = "train" if i < 20 else "val"
            tar.add(path, f"imagenette2-320/{split}/n0{1440764 if i % 2 else 2102040}/{i}.jpeg")
        path.unlink()
    digest = hashlib.md5((folder / "imagenette2-320.tgz").read_bytes()).hexdigest()
    files = {"imagenette2-320.tgz": f"md5:{digest}"}
    changed = dataclasses.replace(DOWNLOADS["imagenette"], files=files)
    monkeypatch.setitem(DOWNLOADS, "imagenette", changed)
    return tmp_path


def test_downloaded_set_lends_a_tenth_of_train_to_val(tiny_imagenette):
    train, val, test = (load("imagenette", split, 16, root=tiny_imagenette) for split in SPLITS)
    assert (len(train), len(val), len(test)) == (18, 2, 4)
    assert train.classes == ("tench", "English springer")
    reds = [
        sorted((images.pixels[:, 0].float().mean((1, 2)) / 10).round().tolist()) for images in (train, val, test)
    ]
    assert sorted(reds[0] + reds[1]) == list(range(20)) and reds[2] == [20, 21, 22, 23]
    assert torch.equal((test.pixels[:, 0].float().mean((1, 2)) / 10).round() % 2, 1 - test.labels)
    assert test.sources[0].url


def test_prepared_set_needs_no_archive(tiny_imagenette, monkeypatch):
    monkeypatch.setenv("SIMMIM_LAB_DATA", str(tiny_imagenette))
    first = load("imagenette", "test", 16)
    (tiny_imagenette / "imagenette" / "imagenette2-320.tgz").unlink()
    assert torch.equal(load("imagenette", "test", 16).pixels, first.pixels)
    [kept] = (tiny_imagenette / "imagenette").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"test-16px\.safetensors is damaged .*delete it"):
        load("imagenette", "test", 16)


def test_offline_error_names_the_way_out(tmp_path, monkeypatch):
    offline = dataclasses.replace(DOWNLOADS["cifar10"], hosts=("http://127.0.0.1:9",))
    monkeypatch.setitem(DOWNLOADS, "cifar10", offline)
    with pytest.raises(FileNotFoundError) as caught:
        load("cifar10", root=tmp_path)
    message = str(caught.value)
    assert "http://127.0.0.1:9/cifar-10-python.tar.gz" in message and "'photos' or 'scenes'" in message
    assert str(tmp_path / "cifar10" / "cifar-10-python.tar.gz") in message and "\n" not in message


def test_downloads_agree_with_torchvision():
    from torchvision import datasets

    for download in DOWNLOADS.values():
        assert hasattr(datasets, download.dataset)
    assert DOWNLOADS["stl10"].files[datasets.STL10.filename] == f"md5:{datasets.STL10.tgz_md5}"
    assert datasets.CIFAR10.filename in DOWNLOADS["cifar10"].files
