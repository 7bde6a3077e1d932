"""Your own folder: links, what is a picture, what the names of folders mean, splits, and what is left out."""

import os
import string
import warnings
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from simmim_lab import images
from simmim_lab.images import SPLITS, ImageSet, load

SIZE = 8


def color_of(number: int) -> tuple[int, int, int]:
    """Every picture is of one colour, which tells it from all others."""
    return number % 256, number // 256, 7


def fill(root: Path, names: Iterable[str]) -> dict[str, int]:
    """Pictures with these names; the number of each."""
    numbers = {name: number for number, name in enumerate(names)}
    for name, number in numbers.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIZE, SIZE), color_of(number)).save(root / name, "PNG")
    return numbers


def many(*folders: str, count: int = 10) -> list[str]:
    return [f"{folder}/{i}.png" for folder in folders for i in range(count)]


def numbers_in(dataset: ImageSet) -> list[int]:
    red, green, _ = dataset.pixels[:, :, 0, 0].long().T
    return (red + 256 * green).tolist()


def splits_of(root: Path) -> dict[str, ImageSet]:
    with warnings.catch_warnings(action="ignore"):
        return {split: load("folder", split, SIZE, root=root) for split in SPLITS}


def warning_of(root: Path, split: str = "train") -> str:
    """What `load` says of that folder, in one warning."""
    with pytest.warns(UserWarning) as caught:
        load("folder", split, SIZE, root=root)
    [message] = [str(warning.message) for warning in caught]
    return message


def check(root: Path, numbers: dict[str, int], labels: dict[str, str] | None = None) -> dict[str, ImageSet]:
    """All these pictures are in one split each, with these labels; returns the splits."""
    found = splits_of(root)
    assert sorted(chain.from_iterable(map(numbers_in, found.values()))) == sorted(numbers.values())
    names = {number: name for name, number in numbers.items()}
    classes = tuple(sorted(set(labels.values()))) if labels else ()
    for dataset in found.values():
        assert dataset.classes == classes
        for number, label in zip(numbers_in(dataset), dataset.labels.tolist(), strict=True):
            assert classes[label] == labels[names[number]] if labels else label == 0
    return found


# Splits


def test_splits_are_disjoint_and_have_all(tmp_path):
    numbers = fill(tmp_path, many("cats", "dogs", count=20))
    found = check(tmp_path, numbers, {name: name.split("/")[0] for name in numbers})
    assert len(found["train"]) > 24 and len(found["val"]) and len(found["test"])


def test_new_pictures_do_not_move_the_others(tmp_path):
    names = many("cats", "dogs", count=20)
    fill(tmp_path, names)
    before = splits_of(tmp_path)
    fill(tmp_path, names + many("cats", "owls", count=30)[20:])
    after = splits_of(tmp_path)
    assert all({*numbers_in(before[split])} <= {*numbers_in(after[split])} for split in SPLITS)


@pytest.mark.parametrize("count", [3, 4, 10])
def test_small_folders_leave_no_split_empty(tmp_path, count):
    fill(tmp_path, many(".", count=count))
    sizes = [len(dataset) for dataset in splits_of(tmp_path).values()]
    assert min(sizes) >= 1 and sum(sizes) == count


def test_two_pictures_are_for_training(tmp_path):
    fill(tmp_path, many(".", count=2))
    assert len(load("folder", "train", SIZE, root=tmp_path)) == 2
    with pytest.raises(FileNotFoundError, match="2 pictures, none of them for 'test'"):
        load("folder", "test", SIZE, root=tmp_path)


def test_missing_and_empty_folders_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        load("folder", root=tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture either")
    with pytest.raises(FileNotFoundError, match="0 pictures"):
        load("folder", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        load("folder", root=tmp_path / "notes.txt")
    for nothing in (None, ""):
        with pytest.raises(ValueError, match="needs root="):
            load("folder", root=nothing)


# What the names of folders mean


@pytest.mark.parametrize(
    "train, val, test",
    [
        ("train", "val", "test"),
        ("Training", "VALIDATION", "Test"),
        ("train", "valid", "testing"),
        ("train2017", "val2017", "test2017"),
        ("training_set", "validation_set", "test_set"),
        ("train_images", "val-images", "test1"),
        ("dataset/train", "dataset/val", "dataset/test"),
        ("a/b/train", "a/b/val", "a/b/test"),
    ],
)
def test_folders_of_splits_are_no_classes(tmp_path, train, val, test):
    folders = {"train": train, "val": val, "test": test}
    names = many(*(f"{folder}/{kind}" for folder in folders.values() for kind in ("cat", "dog/young")), count=4)
    numbers = fill(tmp_path, names)
    found = check(tmp_path, numbers, {name: "cat" if "/cat/" in name else "dog" for name in names})
    for split, folder in folders.items():
        assert {names[number] for number in numbers_in(found[split])} == {n for n in names if n.startswith(folder)}


def test_the_splits_of_each_class_count_too(tmp_path):
    numbers = fill(tmp_path, many("cat/train", "cat/test", "dog/train", "dog/test"))
    found = check(tmp_path, numbers, {name: name[:3] for name in numbers})
    assert numbers_in(found["test"]) == [numbers[name] for name in sorted(numbers) if "test" in name]


@pytest.mark.parametrize("given", [{"val"}, {"test"}, set()])
def test_a_missing_split_is_taken_from_train(tmp_path, given):
    numbers = fill(tmp_path, many(*(f"{split}/{kind}" for split in {"train"} | given for kind in ("cat", "dog"))))
    found = check(tmp_path, numbers, {name: name.split("/")[1] for name in numbers})
    for split in given:
        assert {*numbers_in(found[split])} == {
            number for name, number in numbers.items() if name.startswith(split)
        }
    assert all(len(dataset) for dataset in found.values())


def test_classes_are_those_of_all_splits(tmp_path):
    numbers = fill(tmp_path, many("train/cat", "train/dog", "val/dog", "test/owl"))
    check(tmp_path, numbers, {name: name.split("/")[1] for name in numbers})


def test_a_train_may_be_a_vehicle(tmp_path):
    numbers = fill(tmp_path, many("car", "plane", "train"))
    check(tmp_path, numbers, {name: name.split("/")[0] for name in numbers})


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "val", "extra"),
        ("train/cat", "train/dog", "unlabelled"),
        ("val/cat", "test/cat"),
        ("data/train", "data/test", "data/more"),
    ],
)
def test_unclear_splits_are_an_error(tmp_path, folders):
    fill(tmp_path, many(*folders))
    with pytest.raises(ValueError, match="call them train, val and test"):
        load("folder", "train", SIZE, root=tmp_path)


@pytest.mark.parametrize("folders", [(".",), ("cat",), ("a/b/c",), (".", "album"), ("train", "val", "test")])
def test_pictures_in_one_place_have_no_labels(tmp_path, folders):
    check(tmp_path, fill(tmp_path, many(*folders)))


@pytest.mark.parametrize(
    "folders", [("cat/young", "cat/old/grey", "dog"), ("pets/cat", "pets/dog"), ("a/cat", "a/d")]
)
def test_nested_folders_belong_to_their_class(tmp_path, folders):
    numbers = fill(tmp_path, many(*folders))
    place = 1 if len({folder.split("/")[0] for folder in folders}) == 1 else 0
    check(tmp_path, numbers, {name: name.split("/")[place] for name in numbers})


def test_pictures_beside_the_classes_are_left_out_and_named(tmp_path):
    fill(tmp_path, [*many("cat", "dog"), "me.png"])
    message = warning_of(tmp_path)
    assert message.startswith("1 left out") and "me.png (beside the folders of the classes)" in message
    assert sum(map(len, splits_of(tmp_path).values())) == 20


# Links


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("this system makes no links")


def test_links_are_followed(tmp_path):
    names = many("store/cats", "store/dogs", "data/owls", "other")
    numbers = fill(tmp_path, names)
    root = tmp_path / "data"
    link(tmp_path / "store/cats/more", tmp_path / "other")
    link(root / "cats", tmp_path / "store/cats")  # and the link that is in there
    for i in range(10):
        link(root / f"dogs/{i}.png", tmp_path / f"store/dogs/{i}.png")
    check(root, numbers, {name: {"st": name[6:10], "da": "owls", "ot": "cats"}[name[:2]] for name in names})


def test_the_root_may_be_a_link(tmp_path, monkeypatch):
    numbers = fill(tmp_path, many("store/cats", "store/dogs"))
    link(tmp_path / "home/pictures", tmp_path / "store")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    check("~/pictures", numbers, {name: name.split("/")[1] for name in numbers})


def test_circles_of_links_end_and_nothing_counts_twice(tmp_path):
    numbers = fill(tmp_path, many("a", "b"))
    link(tmp_path / "a/up", tmp_path)
    link(tmp_path / "a/self", tmp_path / "a")
    link(tmp_path / "b/there", tmp_path / "a")
    link(tmp_path / "a/there", tmp_path / "b")
    link(tmp_path / "0 before a", tmp_path / "a")
    link(tmp_path / "b/one.png", tmp_path / "a/1.png")
    check(tmp_path, numbers, {name: name[0] for name in numbers})
    message = warning_of(tmp_path)
    assert "a link to what is read already" in message and "b/one.png" in message and "0 before a" in message


def test_links_that_lead_nowhere_are_named(tmp_path):
    numbers = fill(tmp_path, many("a", "b"))
    link(tmp_path / "a/gone.png", tmp_path / "nothing.png")
    link(tmp_path / "loop", tmp_path / "loop")
    check(tmp_path, numbers, {name: name[0] for name in numbers})
    assert "a/gone.png, loop (a link that leads nowhere)" in warning_of(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_does_not_hang(tmp_path):
    fill(tmp_path, many("."))
    os.mkfifo(tmp_path / "pipe.png")
    assert "pipe.png (not a file)" in warning_of(tmp_path)


def test_a_folder_that_may_not_be_opened_is_named(tmp_path, monkeypatch):
    fill(tmp_path, many("a", "b", "secret"))
    listdir = os.listdir

    def guarded(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", guarded)
    assert "secret (permission denied)" in warning_of(tmp_path)


# What is left out

HEIC = b"\0\0\0\x18ftypheic" + bytes(200)


def test_what_cannot_be_read_is_counted_and_named_by_its_reason(tmp_path):
    fill(tmp_path, many("."))
    for i in range(30):
        (tmp_path / f"IMG_{i}.HEIC").write_bytes(HEIC)
    (tmp_path / "without_suffix").write_bytes(HEIC)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    message = warning_of(tmp_path)
    assert message.startswith("33 left out")
    assert "IMG_0.HEIC" in message and "and 11 more (HEIC, which is not read here: convert to JPEG" in message
    assert "empty.jpg (empty)" in message and "text.jpg (not a picture" in message


def test_what_is_no_picture_is_passed_over(tmp_path):
    numbers = fill(tmp_path, many("."))
    for name in ("notes.txt", "README", "labels.csv", "a.json", "film.mp4", "list.pdf", "_SUCCESS", "data.yaml"):
        (tmp_path / name).write_text("cat")
    for name in (
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "__MACOSX/0.png",
        "@eaDir/0.png",
        ".git/0.png",
        "film.mov",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\1\2\3")
    with warnings.catch_warnings(action="error"):
        assert all(load("folder", split, SIZE, root=tmp_path) for split in SPLITS)
    check(tmp_path, numbers)


def test_broken_pictures_are_named_and_left_out(tmp_path):
    numbers = fill(tmp_path, many("cats", "dogs"))
    Image.effect_noise((90, 90), 90).save(tmp_path / "whole.png")
    cut = (tmp_path / "whole.png").read_bytes()[:300]
    (tmp_path / "whole.png").unlink()
    for i in range(20):
        (tmp_path / f"cats/cut{i}.png").write_bytes(cut)
    check(tmp_path, numbers, {name: name.split("/")[0] for name in numbers})
    messages = " ".join(warning_of(tmp_path, split) for split in SPLITS)
    assert all(f"cats/cut{i}.png" in messages for i in range(20)) and "(damaged or incomplete PNG)" in messages


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("how", ["empty", "cut", "heic"])
def test_a_split_whose_pictures_are_all_broken_gets_others(tmp_path, split, how):
    names = [f"{i}.png" for i in range(40)]
    numbers = fill(tmp_path, names)
    for i in images._split_by_name(sorted(names))[split]:
        path = tmp_path / sorted(names)[i]
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "heic": HEIC}[how])
        del numbers[path.name]
    found = check(tmp_path, numbers)
    assert all(len(dataset) for dataset in found.values())
    assert path.name in warning_of(tmp_path)


def test_a_folder_without_anything_readable_is_one_error(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.heic").write_bytes(HEIC)
    with pytest.raises(ValueError, match=r"none of the 5 pictures .* can be read: 0\.heic, .* \(HEIC, which"):
        load("folder", "train", SIZE, root=tmp_path)


def test_names_that_cannot_be_printed_are_no_hindrance(tmp_path):
    fill(tmp_path, many("."))
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this system has no such names")
    assert "caf?.jpg (empty)" in warning_of(tmp_path)


# Any folder

names = st.text(string.ascii_letters + string.digits + " ._-ä", min_size=1, max_size=6)
folders = st.lists(st.sampled_from(["cat", "dog", "young", "Dog"]), max_size=2).map("/".join)


@settings(deadline=None, max_examples=25)
@given(
    st.dictionaries(
        st.tuples(folders, names), st.sampled_from(["picture"] * 3 + ["empty", "heic", "cut", "text"]), min_size=3
    )
)
def test_whatever_the_folder_every_picture_is_read_or_named(tmp_path_factory, contents):
    root = tmp_path_factory.mktemp("any")
    good, bad = {}, []
    for number, ((folder, name), kind) in enumerate(contents.items()):
        path = root / folder / f"{number}{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIZE, SIZE), color_of(number)).save(path, "PNG")
        if kind == "picture":
            good[number] = path
            continue
        bad.append(path.relative_to(root).as_posix())
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "heic": HEIC, "cut": content[:-25], "text": b"no picture"}[kind])
    try:
        with warnings.catch_warnings(record=True, action="always") as caught:
            found = {split: load("folder", split, SIZE, root=root) for split in SPLITS}
    except FileNotFoundError:
        assert len(good) < 3 or any(path.parent == root for path in good.values())
        return
    except ValueError as error:
        assert not good and "none of the" in str(error)
        return
    said = " ".join(str(warning.message) for warning in caught)
    read = [*chain.from_iterable(map(numbers_in, found.values()))]
    assert len(read) == len({*read}) and {*read} <= {*good}
    assert all(name in said or "more" in said for name in bad)
    for number in {*good} - {*read}:
        assert good[number].parent == root and (good[number].name in said or "more" in said)
    assert len({dataset.classes for dataset in found.values()}) == 1
    for dataset in found.values():
        assert len(dataset) and dataset.labels.dtype == torch.int64
        for number, label in zip(numbers_in(dataset), dataset.labels, strict=True):
            assert not dataset.classes or dataset.classes[label] in good[number].parts
