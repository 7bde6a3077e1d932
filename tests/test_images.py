"""Image sets: what is in them, how batches are drawn, in memory and from the disk."""

import copy
import dataclasses
import hashlib
import warnings

import numpy as np
import pytest
import torch
from data_pipeline import kernels
from fake_gpu import on_gpu
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Generator

from simmim_lab.data.imagesets import _view
from simmim_lab.data.photographs import PHOTOS, _packaged
from simmim_lab.data.pictures import to_tensor
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.finetuning import Classifier, FinetuneRecipe, accuracy, finetune
from simmim_lab.images import SPLITS, ImageSet, ImageStream, load
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, pretrain


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def bytes_of(images) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


@pytest.fixture(scope="module")
def photos() -> dict[str, ImageSet]:
    return {split: load("photos", split) for split in SPLITS}


@pytest.fixture
def ramps() -> ImageSet:
    """64 equal images: red grows from left to right, green from top to bottom; blue is 0."""
    ramp = 4 * torch.arange(64, dtype=torch.uint8)
    image = torch.stack([ramp.expand(64, 64), ramp[:, None].expand(64, 64), torch.zeros(64, 64).byte()])
    return ImageSet("ramps", "train", image.repeat(64, 1, 1, 1), torch.zeros(64).long(), ("ramp",))


# photos


def test_photos_are_what_they_say(photos):
    assert 8_000 < len(photos["train"]) < 20_000
    for split, images in photos.items():
        assert (images.name, images.split, images.size) == ("photos", split, (32, 32))
        assert images.pixels.dtype == torch.uint8 and images.pixels.shape == (len(images), 3, 32, 32)
        assert images.labels.dtype == torch.int64 and images.labels.shape == (len(images),)
        assert images.labels.unique().tolist() == list(range(len(images.classes)))
        assert len(images.sources) == len(images.classes)
        assert all(all(dataclasses.astuple(source)) for source in images.sources)


def test_photos_splits_share_no_photograph_and_no_crop(photos):
    files = [file for split in PHOTOS.values() for file in split]
    assert len(set(files)) == len(files)
    assert {"motorcycle_left", "motorcycle_right"} <= set(photos["train"].classes)  # two views of one scene
    train, val, test = (bytes_of(photos[split].pixels) for split in SPLITS)
    assert not train & test and not train & val and not val & test


def test_photos_have_something_to_see(photos):
    for images in photos.values():
        assert images.pixels.float().mean(1).std((1, 2)).min() > 6


def test_held_out_photos_are_shrunk_until_crops_show_things(photos):
    """Chelsea is 300 rows high: she is seen whole in a crop of 32 rows, and never in her own size."""
    crops = bytes_of(photos["test"].pixels)
    photo = _packaged("skimage/data/chelsea.png")
    whole = to_tensor(photo.resize((48, 32), Image.Resampling.BICUBIC))
    assert whole[:, :, 8:40].contiguous().numpy().tobytes() in crops
    places = [to_tensor(photo)[:, y : y + 32, x : x + 32] for y in range(0, 268, 7) for x in range(0, 419, 7)]
    assert not crops & bytes_of(torch.stack(places))


@pytest.mark.parametrize("size", [64, 192, 300])
def test_photos_at_other_sizes(size):
    images = load("photos", "test", size)
    assert images.size == (size, size)
    assert images.labels.unique().tolist() == [0, 1]


def test_scenes_splits_differ():
    train, val, test = (bytes_of(load("scenes", split).pixels) for split in SPLITS)
    assert not train & test and not train & val and not val & test


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(name="foto"), "did you mean 'photos'"),
        (dict(name="cifar"), "did you mean 'cifar10'"),
        (dict(split="valid"), "did you mean 'val'"),
        (dict(size=4), "at least 8"),
        (dict(size=301), "300 rows"),
        (dict(root="."), "the name is 'folder'"),
        (dict(name="folder"), "needs root="),
    ],
)
def test_wrong_arguments_say_what_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


# Batches


def test_batch_depends_on_its_generator_alone(photos):
    images, state = photos["test"], torch.get_rng_state()
    batch = images.batch(16, seeded(1))
    assert batch.dtype == torch.float32 and batch.shape == (16, 3, 32, 32)
    assert batch.min() >= 0 and batch.max() <= 1
    assert torch.equal(batch, images.batch(16, seeded(1)))
    assert not torch.equal(batch, images.batch(16, seeded(2)))
    third = list(images.batches(16, map(seeded, (5, 6, 1))))[2]
    assert torch.equal(batch, third)
    assert torch.equal(state, torch.get_rng_state())


def test_batches_are_those_that_were_always_drawn():
    """A run that was cut off may go on with a later version, and figures in results/ can be repeated."""
    pixels = torch.randint(256, (100, 3, 24, 32), dtype=torch.uint8, generator=seeded(5))
    images = ImageSet("noise", "train", pixels, torch.arange(100), tuple(map(str, range(100))))
    batch, index = next(images.labelled_batches(200, [seeded(0)]))
    assert hashlib.sha256(index.numpy().tobytes()).hexdigest()[:16] == "bc7d6bec19821a01"
    assert batch[:4].mean((1, 2, 3)).tolist() == pytest.approx([0.496658, 0.495937, 0.495295, 0.495622], abs=1e-5)
    assert batch[:4, 0, 0, 0].tolist() == pytest.approx([0.47412, 0.71543, 0.57773, 0.17702], abs=1e-4)
    mirrored = images.batch(200, seeded(0), crop_scale=None).mul(255).round().byte()
    assert hashlib.sha256(mirrored.numpy().tobytes()).hexdigest()[:16] == "e7872e992a51b8d6"


def test_batches_are_drawn_in_few_kernels(photos):
    """A GPU starts each operation on its own: hundreds of small ones take longer than a training step."""
    assert len(kernels(lambda: photos["val"].batch(8, seeded(0)))) <= 38
    assert len(kernels(lambda: photos["val"].batch(8, seeded(0), crop_scale=None))) <= 9


def test_the_host_never_waits_for_a_batch(photos):
    images = copy.copy(photos["val"])
    with on_gpu() as generator:
        images.pixels = torch.empty(100, 3, 32, 32, dtype=torch.uint8, device="cuda")
        images.labels = torch.empty(100, dtype=torch.int64, device="cuda")
        batch, labels = next(images.labelled_batches(8, [generator]))
        assert batch.is_cuda and labels.is_cuda


def test_batch_without_augmentation_has_the_stored_pixels(photos):
    images = photos["test"]
    batch = images.batch(32, seeded(0), crop_scale=None, flip=False)
    assert bytes_of((batch * 255).round().byte()) <= bytes_of(images.pixels)
    assert torch.equal(batch, (batch * 255).round() / 255)


def test_flip_mirrors_half_of_the_images(ramps):
    batch = ramps.batch(400, seeded(0), crop_scale=None)
    original = ramps.pixels[0] / 255
    mirrored = torch.tensor([torch.equal(image, original.flip(-1)) for image in batch])
    kept = torch.tensor([torch.equal(image, original) for image in batch])
    assert (kept | mirrored).all()
    assert 160 < mirrored.sum() < 240


def test_crops_have_the_area_and_the_aspect_ratio_of_the_paper(ramps):
    batch = ramps.batch(500, seeded(0), flip=False) * 255 / 4  # red and green are now x and y in the image
    x, y = batch[:, 0, 32], batch[:, 1, :, 32]
    width, height = (x[:, 48] - x[:, 16]) / 32, (y[:, 48] - y[:, 16]) / 32
    area, aspect = width * height, width / height
    assert area.min() + 1e-3 > 0.67 and area.max() < 1 + 1e-3 and area.std() > 0.05
    assert aspect.min() + 1e-3 > 0.75 and aspect.max() < 4 / 3 + 1e-3 and aspect.std() > 0.1
    left = x[:, 0] + 0.5 - width / 2  # of the box, in pixels; the box lies inside the image
    assert left.min() > -0.5 and (left + 64 * width).max() < 64.5
    assert len(left.round(decimals=2).unique()) > 100  # each image has its own box


def test_whole_image_as_crop_changes_nothing(ramps):
    batch = ramps.batch(4, seeded(0), crop_scale=(1, 1), flip=False)
    torch.testing.assert_close(batch[:, 2], torch.zeros(4, 64, 64))
    square = _view(ramps.pixels[:1], torch.tensor([[1.0], [1], [0], [0]]), torch.tensor([False]))
    torch.testing.assert_close(square, ramps.pixels[:1] / 255)
    mirrored = _view(ramps.pixels[:1], torch.tensor([[1.0], [1], [0], [0]]), torch.tensor([True]))
    torch.testing.assert_close(mirrored, ramps.pixels[:1].flip(-1) / 255)


@pytest.mark.parametrize(
    "crop_scale", [(0, 1), (0.9, 0.5), (0.5, 1.5), (float("nan"), 1), (), (0.5,), 0.5, 0, "ab"]
)
def test_impossible_crops_are_refused(ramps, crop_scale):
    with pytest.raises(ValueError, match="crop_scale"):
        ramps.batch(4, seeded(0), crop_scale=crop_scale)


def test_take_spreads_over_the_set(photos):
    images = photos["train"]
    sample = images.take(16)
    assert bytes_of((sample * 255).round().byte()) <= bytes_of(images.pixels)
    assert torch.equal(sample, images.take(16))
    numbers = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1).expand(100, 3, 1, 1)
    index = ImageSet("", "", numbers, torch.zeros(100).long(), ())
    assert (index.take(4)[:, 0].flatten() * 255).round().tolist() == [12, 37, 62, 87]
    assert torch.equal(index.take(100), index.pixels / 255)
    for wrong in (101, 0, -1, 4.0, True, None):
        with pytest.raises(ValueError, match="n must be a whole number at least 1 and at most 100"):
            index.take(wrong)


def test_fingerprint_tells_sets_apart(photos):
    test = photos["test"]
    same, changed = test.pixels.clone(), test.pixels.clone()
    changed[:] = changed.flip(-1)
    assert test.fingerprint() == dataclasses.replace(test, pixels=same).fingerprint()
    assert test.fingerprint() != dataclasses.replace(test, pixels=changed).fingerprint()
    assert test.fingerprint() != dataclasses.replace(test, pixels=same[:-1], labels=test.labels[:-1]).fingerprint()


# Streams


@pytest.fixture
def noise(tmp_path):
    """40 pictures of random sizes in two sub-folders."""
    rng = np.random.default_rng(0)
    for i in range(40):
        folder = tmp_path / ("cats", "dogs")[i % 2]
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (rng.integers(20, 90), rng.integers(20, 90), 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


@pytest.fixture
def stream(noise, monkeypatch) -> ImageStream:
    monkeypatch.setattr("simmim_lab.images.MEMORY_LIMIT", 0)
    stream = load("folder", "train", 16, root=noise)
    assert isinstance(stream, ImageStream)
    monkeypatch.undo()
    return stream


@pytest.mark.parametrize("workers", [1, 5])
def test_stream_equals_memory(stream, noise, workers):
    memory = load("folder", "train", 16, root=noise)
    stream = dataclasses.replace(stream, workers=workers)
    assert (len(stream), stream.size, stream.classes) == (len(memory), memory.size, memory.classes)
    assert torch.equal(stream.labels, memory.labels)
    assert [stream.classes[label] for label in stream.labels] == [path.parent.name for path in stream.paths]
    assert torch.equal(stream.take(7), memory.take(7))
    assert stream.fingerprint() == memory.fingerprint()
    assert torch.equal(stream.batch(8, seeded(3)), memory.batch(8, seeded(3)))
    for options in ({}, {"crop_scale": None, "flip": False}):
        pairs = zip(
            stream.batches(8, map(seeded, range(6)), **options),
            memory.batches(8, map(seeded, range(6)), **options),
            strict=True,
        )
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_stream_can_be_left_early(stream):
    batches = stream.batches(8, map(seeded, range(1000)))
    assert next(batches).shape == (8, 3, 16, 16)
    batches.close()


def test_stream_goes_on_without_a_broken_file(stream):
    stream.paths[0].write_text("not a picture")
    with pytest.warns(UserWarning, match=r"take the place .*0\.png \(not a picture"):
        pixels = stream.take(len(stream))
    assert torch.equal(pixels[0], pixels[1])
    for path in {*stream.paths}:
        path.unlink()
    with warnings.catch_warnings(action="ignore"), pytest.raises(ValueError, match="none of the"):
        stream.take(1)


@pytest.mark.parametrize("how", ["set", "stream"])
def test_in_order_goes_once_through_all(stream, noise, how):
    memory = load("folder", "train", 16, root=noise)
    batches = list((stream if how == "stream" else memory).in_order(7))
    assert [len(images) for images, _ in batches[:-1]] == [7] * (len(memory) // 7)
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert images.dtype == torch.float32 and torch.equal(images, memory.pixels / 255)
    assert torch.equal(labels, memory.labels)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 4),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
def test_whatever_is_broken_a_picture_keeps_its_label(tmp_path_factory, files, workers, batch_sizes):
    """Every picture is as bright as its label says; whatever was read before, batches are the same."""
    folder = tmp_path_factory.mktemp("stream")
    paths = [folder / f"{i}.png" for i in range(len(files))]
    for path, (label, broken) in zip(paths, files, strict=True):
        Image.new("L", (8, 8), 100 * label).save(path)
        if broken:
            path.write_bytes(path.read_bytes()[:45])  # the header is whole
    labels = [label for label, _ in files]

    def stream() -> ImageStream:
        classes = ("black", "grey", "white")
        return ImageStream("", "train", [*paths], torch.tensor(labels), classes, 8, workers=workers)

    with warnings.catch_warnings(record=True, action="always") as caught:
        if all(broken for _, broken in files):
            with pytest.raises(ValueError, match="none of the"):
                stream().take(1)
            return
        used = stream()
        for step, size in enumerate(batch_sizes):
            options = {"crop_scale": None, "flip": False}
            [(images, drawn)] = used.labelled_batches(size, [seeded(step)], **options)
            assert torch.equal((images.mean((1, 2, 3)) * 2.55).round().long(), drawn)
            assert torch.equal(images, stream().batch(size, seeded(step), **options))
        caught.clear()
        whole = stream()
        for copy in (whole, whole.to("cpu"), whole):
            images, drawn = (torch.cat(parts) for parts in zip(*copy.in_order(3), strict=True))
            assert len(images) == len(whole) == len(paths) == len(whole.paths)
            assert torch.equal((images.mean((1, 2, 3)) * 2.55).round().long(), drawn)
            assert torch.equal(drawn, whole.labels)
    said = " ".join(str(warning.message) for warning in caught)
    for path, (_, broken) in zip(paths, files, strict=True):
        assert said.count(f"{path} ") + said.count(f"{path},") == broken  # once, however often it was met


def test_a_stream_goes_wherever_a_set_goes(stream, noise):
    memory = load("folder", "train", 16, root=noise)
    torch.manual_seed(0)
    model = SimMIM.preset("vit_nano", 16)
    classifier = Classifier(model.encoder, stream.classes)
    assert accuracy(classifier, stream) == accuracy(classifier, memory)
    losses = [
        pretrain(copy.deepcopy(model), data, Recipe(steps=2, batch_size=4, mask_size=4), val=data, progress=False)
        for data in (stream, memory)
    ]
    assert losses[0].val_loss == losses[1].val_loss and losses[0].loss == losses[1].loss
    losses = [
        finetune(copy.deepcopy(classifier), data, FinetuneRecipe(steps=2, batch_size=4), val=data, progress=False)
        for data in (stream, memory)
    ]
    assert losses[0].val_loss == losses[1].val_loss and losses[0].loss == losses[1].loss


# What is given by hand

PIXELS, LABELS = torch.zeros(4, 3, 8, 8).byte(), torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(pixels=PIXELS / 255), r"bytes \(torch.uint8\), but are torch.float32: .*round"),
        (dict(pixels=PIXELS.numpy()), "but are ndarray"),
        (dict(pixels=PIXELS[:, :1]), r"shape \(n, 3, height, width\), but have \(4, 1, 8, 8\)"),
        (dict(pixels=PIXELS[0]), r"\(3, 8, 8\)"),
        (dict(pixels=PIXELS[:0], labels=LABELS[:0]), r"\(0, 3, 8, 8\)"),
        (dict(labels=LABELS.float()), "torch.int64 .*torch.float32"),
        (dict(labels=LABELS[:3]), r"shape \(4,\).* shape \(3,\)"),
        (dict(labels=[0, 1, 0, 1]), "but are list"),
        (dict(labels=LABELS + 1), "index the 2 classes, but reach from 1 to 2"),
        (dict(labels=-LABELS), "from -1 to 0"),
        (dict(classes=()), "index the 0 classes"),
    ],
)
def test_sets_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(**{"name": "", "split": "", "pixels": PIXELS, "labels": LABELS, "classes": ("a", "b"), **changes})


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, None, "4"])
def test_batches_need_a_whole_number_of_images(ramps, wrong):
    for read in (lambda: ramps.batch(wrong, seeded(0)), lambda: next(ramps.in_order(wrong))):
        with pytest.raises(ValueError, match="batch_size must be a whole number at least 1"):
            read()


@pytest.mark.parametrize("wrong", [0, -32, 7, 32.0, True, None, "32"])
@pytest.mark.parametrize("name", ["photos", "scenes", "folder", "cifar10"])
def test_sizes_are_checked_for_every_set(tmp_path, name, wrong):
    with pytest.raises(ValueError, match="size must be a whole number at least 8"):
        load(name, "train", wrong, root=tmp_path if name in ("folder", "cifar10") else None)


@pytest.mark.parametrize("wrong", [0, None, "seed"])
def test_a_seed_is_no_generator(ramps, wrong):
    with pytest.raises(TypeError, match=r"torch\.Generator"):
        ramps.batch(4, wrong)


def test_pictures_do_not_depend_on_the_default_dtype(photos):
    images, scenes = photos["test"], draw_scenes(5, 16, generator=seeded(0))
    batch = images.batch(4, seeded(0))
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(images.batch(4, seeded(0)), batch)
        assert torch.equal(draw_scenes(5, 16, generator=seeded(0)).pixels, scenes.pixels)
    finally:
        torch.set_default_dtype(torch.float32)
