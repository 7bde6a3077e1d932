import _thread
import argparse
import json
import re
import shutil
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tiny_model import tiny

from simmim_lab import (
    commandline,
    demo,
    embeddings,
    evaluation,
    finetuning,
    generation,
    loop,
    probing,
    training,
)
from simmim_lab.checkpoints import locked
from simmim_lab.cli import main
from simmim_lab.commands import pictures
from simmim_lab.decoders import LinearDecoder
from simmim_lab.images import load, load_picture
from simmim_lab.masking import STRATEGIES
from simmim_lab.simmim import PRESETS, SimMIM
from simmim_lab.swin import SwinEncoder

METHODS = {"model", "visible_mean", "nearest", "biharmonic", "lmmse"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short demo, interrupted at its start and called again: its folder, and what each call said."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    command = ["demo", "--out", str(out), "--seconds", "3", "--seed", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "TEST_IMAGES", 20)
        patch.setattr(demo, "TRAIN_IMAGES", 300)
        patch.setattr(training, "pick_threads", lambda *_: 1)
        threading.Thread(target=interrupt_when_exists, args=[out / "model" / "checkpoint.safetensors"]).start()
        interrupted = run(command)
        files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
        return SimpleNamespace(out=out, interrupted=interrupted, files=files, completed=run(command))


def interrupt_when_exists(path: Path) -> None:
    """Do what Ctrl-C does, once there is a file."""
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    _thread.interrupt_main()


def run(command: list[str]) -> SimpleNamespace:
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()) as complained:
        code = main(command)
    return SimpleNamespace(code=code, said=said.getvalue(), complained=complained.getvalue())


@pytest.fixture
def picture(tmp_path) -> Path:
    """A picture of the size that the demo's model takes."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def fails(capsys, *argv: str | Path) -> str:
    """Run a command that must fail, and return its only line of complaint."""
    capsys.readouterr()
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.startswith("simmim-lab: error: ") and error.count("\n") == 1
    return error


def help_of(capsys, *argv: str) -> str:
    with pytest.raises(SystemExit, match="0"):
        main([*argv, "--help"])
    return capsys.readouterr().out


# demo


def test_an_interrupted_demo_says_so_and_goes_on(finished):
    assert finished.interrupted.code == 130
    assert finished.interrupted.complained.endswith("simmim-lab: stopped; run the same command to continue\n")
    assert finished.files == ["model", "model/checkpoint.safetensors"]
    assert finished.completed.code == 0
    assert "interrupted: it goes on from there" in finished.completed.said


def test_the_demo_leaves_pictures_scores_and_a_model(finished):
    assert {path.name for path in finished.out.iterdir()} == {
        "photographs.png",
        "reconstructions.png",
        "loss.png",
        "metrics.json",
        "model",
    }
    with Image.open(finished.out / "reconstructions.png") as picture:
        assert picture.width > picture.height > 4 * 220  # four rows of two images, two pixels per screen pixel
        assert "8 test images" in picture.text["Description"]
    with Image.open(finished.out / "loss.png") as picture:
        assert picture.width >= 1000 and "validation" in picture.text["Description"]
    images = torch.rand(2, 3, 32, 32)
    assert (
        SimMIM.load(finished.out / "model").reconstruct(images, STRATEGIES["half"](2, (8, 8))).shape
        == images.shape
    )


def test_the_demo_records_its_scores_and_the_machine(finished):
    metrics = json.loads((finished.out / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["data"], metrics["model"], metrics["seed"]) == ("photos", "vit_nano", 1)
    assert metrics["steps"] > 0 and metrics["seconds"] >= 3 and metrics["images_per_second"] > 0
    assert set(metrics["psnr_hidden"]) == set(metrics["ssim_hidden"]) == METHODS
    assert all(5 < score < 40 for score in metrics["psnr_hidden"].values())
    assert all(-1 <= score <= 1 for score in metrics["ssim_hidden"].values())
    assert metrics["machine"]["threads"] >= 1 and metrics["machine"]["torch"] == torch.__version__


def test_the_demo_prints_the_recorded_scores_best_first(finished):
    psnr = json.loads((finished.out / "metrics.json").read_text(encoding="utf-8"))["psnr_hidden"]
    lines = finished.completed.said.splitlines()
    [head] = [i for i, line in enumerate(lines) if "PSNR (dB)" in line]
    table = lines[head + 1 : head + 6]
    assert [line.split()[-2] for line in table] == [
        f"{score:.2f}" for score in sorted(psnr.values(), reverse=True)
    ]
    assert len({len(line) for line in lines[head : head + 6]}) == 1


@pytest.mark.parametrize(
    ("model", "contrast", "words"),
    [
        (18, 0.3, ("1.00 dB better than the smoothest", "0.50 dB worse than the best linear", "blurry", "30%")),
        (16, 0.3, ("1.00 dB worse than the smoothest", "2.50 dB worse than the best linear", "blurry")),
        (19, 1.2, ("2.00 dB better than the smoothest", "0.50 dB better than the best linear", "rough", "120%")),
    ],
)
def test_the_two_sentences_follow_from_the_scores(model, contrast, words):
    psnr = {"model": model, "biharmonic": 17, "lmmse": 18.5}
    ssim = {"model": 0.4, "biharmonic": 0.5, "lmmse": 0.3}
    text = demo._findings({"psnr_hidden": psnr, "ssim_hidden": ssim, "contrast_hidden": contrast})
    assert "by SSIM it is number 2 of 3" in text
    assert all(word in text for word in words)
    assert text.count(". ") + text.count(".\n") + text.endswith(".") == 2


def test_contrast_compares_hidden_neighbours_only():
    images = torch.rand(2, 3, 8, 8)
    hidden = torch.zeros(2, 8, 8, dtype=torch.bool)
    hidden[:, :4] = True
    halved = torch.where(hidden[:, None], 0.5 + (images - 0.5) / 2, torch.rand_like(images))
    assert demo.neighbour_contrast(images, images, hidden) == pytest.approx(1)
    assert demo.neighbour_contrast(images, halved, hidden) == pytest.approx(0.5)
    assert demo.neighbour_contrast(images, evaluation.visible_mean(images, hidden), hidden) == pytest.approx(0)


def test_an_unwritable_folder_is_reported_before_training(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("simmim_lab.images.load", lambda *_, **__: pytest.fail("the demo went on"))
    assert "choose another --out" in fails(capsys, "demo", "--out", tmp_path / "file")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1", "soon"])
def test_the_demo_wants_a_time_that_ends(capsys, tmp_path, value):
    assert "--seconds: it must be a number above 0" in fails(
        capsys, "demo", "--out", tmp_path, f"--seconds={value}"
    )


# pretrain


def test_pretrain_trains_and_then_goes_on(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "pick_threads", lambda *_: 1)
    command = ["pretrain", "--steps", "2", "--batch-size", "4", "--run", str(tmp_path / "run")]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Starts a run" in said and "images and validates on others" in said
    SimMIM.load(tmp_path / "run")
    assert main(command) == 0
    assert "Continues the run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--steps", "1", "--preset", "vit_nan"], "did you mean 'vit_nano'?"),
        (["--steps", "1", "--data", "photo"], "did you mean 'photos'?"),
        (["--steps", "1", "--mask", "blok"], "did you mean 'block'?"),
        (
            ["--steps", "1", "--mask-ratio", "1.5"],
            "--mask-ratio: it must be a number above 0 and at most 1, but is 1.5",
        ),
        (["--steps", "1", "--mask-size", "6"], "not a multiple of the patch"),
        (["--steps", "1", "--data", "folder"], "root"),
        (["--steps", "one"], "--steps: it must be a whole number at least 1, but is 'one'"),
        (["--steps", "0"], "--steps"),
        (["--seconds", "inf"], "--seconds"),
        (["--steps", "1", "--size", "7"], "--size"),
        (["--steps", "1", "--size", "-32"], "--size"),
        (["--steps", "1", "--size", "33"], "33"),
        (["--steps", "1", "--size", "301"], "301"),
        (["--steps", "1", "--seed", "-1"], "--seed"),
        (["--steps", "1", "--batch-size", "0"], "--batch-size"),
        (["--steps", "1", "--lr", "nan"], "--lr"),
        (["--steps", "1", "--mask-size", "0"], "--mask-size"),
        (["--steps", "1", "--accumulation-steps", "0"], "--accumulation-steps"),
        (["--steps", "1", "--batch-size", "8", "--accumulation-steps", "3"], "batch_size 8 is not a multiple"),
        (["--steps", "1", "--seconds", "1"], "not allowed with"),
        ([], "one of the arguments --steps --seconds is required"),
    ],
)
def test_pretrain_explains_bad_input_in_one_line(capsys, monkeypatch, tmp_path, argv, words):
    monkeypatch.setattr(training, "pick_threads", lambda *_: 1)
    assert words in fails(capsys, "pretrain", "--run", tmp_path / "run", *argv)


def test_pretrain_in_a_folder_where_another_is_at_work_is_refused_at_once(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("simmim_lab.images.load", lambda *_, **__: pytest.fail("it went on"))
    with locked(tmp_path):
        assert main(["pretrain", "--steps", "1", "--run", str(tmp_path)]) == 2
    assert "another training is at work" in capsys.readouterr().err


def test_pretrain_explains_an_empty_folder(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    error = fails(
        capsys,
        *("pretrain", "--data", "folder", "--root", tmp_path / "empty", "--steps", "1", "--run", tmp_path / "run"),
    )
    assert str(tmp_path / "empty") in error


# finetune


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> Path:
    """What a pre-training leaves, of the smallest model."""
    folder = tmp_path_factory.mktemp("pretrained")
    tiny().save(folder)
    return folder


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> Path:
    """A folder of dark and of bright pictures, of several sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(60):
        kind = ("bright", "dark")[number % 2]
        (folder / kind).mkdir(exist_ok=True)
        side = 16 + number
        noise = np.random.default_rng(number).integers(0, 100, (side, side, 3))
        Image.fromarray((noise + 155 * (kind == "bright")).astype(np.uint8)).save(folder / kind / f"{number}.png")
    return folder


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setattr(finetuning, "pick_threads", lambda *_: 1)


def finetune(run_dir: Path, data: Path, *words: object) -> list[str]:
    short = ["--steps", "30", "--batch-size", "8", "--lr", "3e-3"]
    return ["finetune", "--run", str(run_dir), "--data", "folder", "--root", str(data), *short, *map(str, words)]


def test_finetune_learns_classes_of_a_folder_and_says_how_well(pretrained, classes, one_thread, tmp_path):
    command = finetune(tmp_path / "run", classes, "--weights", pretrained)
    done = run(command)
    assert done.code == 0
    assert "Starts a run" in done.said and "images of 2 classes" in done.said
    right = re.search(r"Right for (\S+)% of \d+ validation images and (\S+)% of \d+ test images", done.said)
    assert all(float(share) > 80 for share in right.groups())
    assert finetuning.Classifier.load(tmp_path / "run").classes == ("bright", "dark")
    again = run(command)
    assert again.code == 0 and "Continues the run" in again.said and right[0] in again.said


def test_an_interrupted_finetuning_goes_on(pretrained, classes, one_thread, tmp_path, monkeypatch):
    taken = []

    def step(*arguments, **options):
        taken.append(1)
        if len(taken) == 5:
            _thread.interrupt_main()
        return train_step(*arguments, **options)

    train_step = loop.train_step
    monkeypatch.setattr(loop, "train_step", step)
    stopped, completed = (run(finetune(tmp_path / "run", classes, "--weights", pretrained)) for _ in range(2))
    assert (stopped.code, completed.code) == (130, 0)
    assert len(taken) == 30 and "Done: 30 steps" in completed.said


def test_a_probe_leaves_the_encoder_alone(pretrained, classes, one_thread, tmp_path):
    words = ("--weights", pretrained, "--probe", "--pool", "attention", "--labels", "0.25")
    done = run(finetune(tmp_path, classes, *words))
    few, whole = map(int, re.search(r"Trains on (\d+) of (\d+) images", done.said).groups())
    assert done.code == 0 and abs(few - whole / 4) <= 1
    model = finetuning.Classifier.load(tmp_path)
    assert isinstance(model.pool, finetuning.AttentionPool)
    before = SimMIM.load(pretrained).encoder.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.encoder.state_dict().items())


def test_what_was_finetuned_is_a_start_too(pretrained, classes, one_thread, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(finetune(first, classes, "--weights", pretrained, "--probe")).code == 0
    assert run(finetune(second, classes, "--weights", first, "--probe")).code == 0
    words = ("--weights", first, "--data", "folder", "--root", classes)
    assert run(features(tmp_path / "all.safetensors", *words)).code == 0


def test_a_cnn_is_trained_from_scratch(classes, one_thread, tmp_path):
    words = ("--preset", "article_cnn", "--size", "16", "--pool", "attention")
    assert run(finetune(tmp_path, classes, *words)).code == 0


def test_finetune_explains_bad_input_in_one_line(pretrained, classes, one_thread, capsys, tmp_path):
    def error(*words: object, data: Path = classes) -> str:
        return fails(capsys, *finetune(tmp_path / "run", data, *words))

    started = ("--weights", pretrained)
    flat, single = tmp_path / "flat", tmp_path / "single"
    for folder in (flat, single / "cats"):
        folder.mkdir(parents=True)
        for picture in (classes / "bright").iterdir():
            (folder / picture.name).write_bytes(picture.read_bytes())
    for folder in (flat, single):
        assert "put the pictures of each class into a folder of its own" in error(*started, data=folder)
    assert "there is no file or folder nowhere: give the folder of a finished run; cifar10" in error(
        "--weights", "nowhere"
    )
    assert "model.json is missing" in error("--weights", flat)
    assert "do not tile an image of 18 x 18 pixels: choose another --size" in error(*started, "--size", "18")
    assert "must be multiples of 4: choose another --size" in error("--preset", "article_cnn", "--size", "33")
    assert "did you mean 'vit_nano'" in error("--preset", "vit_nan")
    assert "--weights --preset is required" in error()
    assert "not allowed with" in error(*started, "--preset", "vit_nano")
    assert "--labels: it must be a number above 0" in error(*started, "--labels", "0")
    assert "at most 1, but is 5" in error(*started, "--labels", "5")
    assert "invalid choice: 'max'" in error(*started, "--pool", "max")
    assert "--steps" in error(*started, "--steps", "0")
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_only_as_it_was_begun(pretrained, classes, one_thread, capsys, tmp_path):
    other = tmp_path / "other"
    model = tiny()
    torch.nn.init.ones_(model.encoder.patch_embed.weight)
    model.save(other)
    kept = tmp_path / "run"
    assert run(finetune(kept, classes, "--weights", pretrained)).code == 0
    before = {path: path.read_bytes() for path in kept.iterdir()}
    assert "is of another run: its weights" in fails(capsys, *finetune(kept, classes, "--weights", other))
    assert "its recipe seed" in fails(capsys, *finetune(kept, classes, "--weights", pretrained, "--seed", "1"))
    assert "the same folder" in fails(capsys, *finetune(kept, classes, "--weights", kept))
    assert "holds a model" in fails(capsys, *finetune(other, classes, "--weights", pretrained))
    assert {path: path.read_bytes() for path in kept.iterdir()} == before
    with locked(kept):
        assert main(finetune(kept, classes, "--weights", pretrained)) == 2
    assert "another training is at work" in capsys.readouterr().err


# features


def features(out: Path, *words: object) -> list[str]:
    return ["features", "--out", str(out), *map(str, words)]


def read_features(out: Path) -> tuple[torch.Tensor, torch.Tensor, dict[str, object]]:
    """As the help says, with PyTorch."""
    file = safe_open(out, "pt")
    header = {name: json.loads(text) for name, text in file.metadata().items()}
    return file.get_tensor("vectors"), file.get_tensor("labels"), header


def test_features_of_a_folder_stand_beside_their_names_and_classes(pretrained, classes, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "BATCH", 7)
    folder, out = tmp_path / "pictures", tmp_path / "new" / "all.safetensors"
    shutil.copytree(classes, folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    whole = (folder / names[0]).read_bytes()
    (folder / "dark" / "broken.png").write_bytes(whole[: len(whole) // 2])
    done = run(features(out, "--weights", pretrained, "--data", "folder", "--root", folder))
    assert done.code == 0 and "60 pictures, 32 numbers for each" in done.said
    assert "1 left out" in done.complained and "dark/broken.png (damaged" in done.complained
    vectors, labels, header = read_features(out)
    assert sorted(header["files"]) == names
    assert [header["classes"][label] for label in labels] == [Path(file).parts[0] for file in header["files"]]
    assert sum(header["splits"].values()) == len(vectors) == 60
    for row in (0, 33, 59):
        picture = load_picture(folder / header["files"][row], 16)[None]
        expected = probing.features(SimMIM.load(pretrained), picture, cells=1)[0]
        torch.testing.assert_close(vectors[row], expected, rtol=0, atol=1e-5)


def test_features_of_a_layer_and_of_parts_of_an_image(pretrained, tmp_path):
    words = ("--weights", pretrained, "--data", "photos", "--split", "val", "--cells", "2", "--layer", "1")
    assert run(features(tmp_path / "val.safetensors", *words)).code == 0
    vectors, labels, header = read_features(tmp_path / "val.safetensors")
    images = load("photos", "val", 16)
    expected = probing.features(SimMIM.load(pretrained), images.pixels / 255, cells=2, layer=1)
    torch.testing.assert_close(vectors, expected, rtol=0, atol=1e-5)
    assert header == {"classes": list(images.classes), "files": [], "splits": {"val": len(images)}}
    assert not labels.any()


def test_each_class_of_all_splits_has_one_label(pretrained, tmp_path):
    out = tmp_path / "photos.safetensors"
    assert run(features(out, "--weights", pretrained)).code == 0
    _, labels, header = read_features(out)
    assert len(header["classes"]) == 11 and labels.unique().tolist() == list(range(11))
    assert sum(header["splits"].values()) == len(labels)


@pytest.mark.parametrize("preset", ["article_cnn", "swin_nano"])
def test_every_encoder_has_features(classes, preset, capsys, tmp_path):
    SimMIM.preset(preset).save(tmp_path)
    words = ("--weights", tmp_path, "--data", "folder", "--root", classes, "--split", "val")
    assert run(features(tmp_path / "val.safetensors", *words)).code == 0
    assert "only a ViTEncoder" in fails(capsys, *features(tmp_path / "1.safetensors", *words, "--layer", "1"))


def test_features_are_overwritten_only_if_asked(pretrained, classes, capsys, tmp_path):
    out = tmp_path / "all.safetensors"
    out.write_text("precious")
    command = features(out, "--weights", pretrained, "--data", "folder", "--root", classes)
    assert "add --overwrite" in fails(capsys, *command) and out.read_text() == "precious"
    assert run([*command, "--overwrite"]).code == 0 and len(read_features(out)[0]) == 60


def test_features_that_are_interrupted_go_on_with_the_same_command(pretrained, classes, tmp_path, monkeypatch):
    def interrupted(model, images, *options):
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return probing.features(model, images, *options)

    monkeypatch.setattr(embeddings, "BATCH", 7)
    words = ("--weights", pretrained, "--data", "folder", "--root", classes)
    assert run(features(tmp_path / "whole.safetensors", *words)).code == 0
    monkeypatch.setattr(embeddings, "features", interrupted)
    calls, out = [], tmp_path / "all.safetensors"
    assert run(features(out, *words)).code == 130
    assert not out.exists() and sum(calls) == 21
    assert run(features(out, *words)).code == 0
    assert sum(calls) == 21 + 60 - 14  # two batches were done
    assert not list(tmp_path.glob("*.part"))
    vectors, labels, header = read_features(out)
    expected = read_features(tmp_path / "whole.safetensors")
    torch.testing.assert_close(vectors, expected[0])
    assert torch.equal(labels, expected[1]) and header == expected[2]


@pytest.mark.parametrize("change", ["another layer", "damaged"])
def test_features_begin_anew_where_what_was_kept_is_of_no_use(pretrained, classes, tmp_path, monkeypatch, change):
    def interrupted(model, images, *options):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(images))
        return probing.features(model, images, *options)

    monkeypatch.setattr(embeddings, "BATCH", 7)
    calls, out = [], tmp_path / "all.safetensors"
    words = ["--weights", pretrained, "--data", "folder", "--root", classes]
    monkeypatch.setattr(embeddings, "features", interrupted)
    assert run(features(out, *words)).code == 130
    monkeypatch.setattr(embeddings, "features", probing.features)
    if change == "damaged":
        out.with_name(f"{out.name}.part").write_bytes(b"no tensors")
    else:
        words += ["--layer", "1"]
    assert run(features(out, *words)).code == 0 and len(read_features(out)[0]) == 60


def test_features_explain_bad_input_in_one_line(pretrained, classes, capsys, tmp_path):
    def error(*words: object, out: Path = tmp_path / "out.safetensors") -> str:
        return fails(capsys, *features(out, "--weights", pretrained, *words))

    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    folder = ("--data", "folder", "--root")
    assert "has no pictures for train or val or test" in error(*folder, tmp_path / "empty")
    assert "there is no folder" in error(*folder, tmp_path / "missing")
    assert "invalid choice: 'tran'" in error("--split", "tran")
    assert "9 x 9 cells are more than the 4 x 4 places" in error("--cells", "9")
    assert "this encoder has no layer 4: take one from 0 to 3" in error("--layer", "4")
    assert "must end in .safetensors" in error(out=tmp_path / "out.npz")
    assert str(tmp_path / "file") in error(out=tmp_path / "file" / "out.safetensors")
    assert "there is no file or folder" in error("--weights", tmp_path / "missing")
    assert "did you mean 'photos'" in error("--data", "photo")
    assert not (tmp_path / "out.safetensors").exists()


# inpaint


def inpaint(picture: Path, mask: Path | str, out: Path, *options: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Run the command; return the picture and the filled one as arrays."""
    command = ["inpaint", "--image", picture, "--mask", mask, "--out", out, *options]
    assert main([str(word) for word in command]) == 0
    return np.asarray(Image.open(picture)), np.asarray(Image.open(out))


def test_half_fills_the_top_and_keeps_the_bottom_exactly(finished, picture, capsys, tmp_path):
    for options in ((), ("--run", finished.out / "model")):
        out = tmp_path / "new" / f"{len(options)}.png"
        original, filled = inpaint(picture, "half", out, *options)
        assert np.array_equal(filled[16:], original[16:]) and (filled[:16] != original[:16]).any()
        said = capsys.readouterr().out
        assert f"Wrote {out}: 32 x 32 pixels, 50.0% filled" in said and "dB PSNR there" in said


def test_a_hole_is_filled_by_the_pixel_at_the_size_of_the_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (45, 61, 3), dtype=np.uint8)
    hole = np.zeros((45, 61), dtype=bool)
    hole[7:10, 30:33] = True
    Image.fromarray(pixels).save(tmp_path / "picture.png", icc_profile=b"a profile")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    original, filled = inpaint(tmp_path / "picture.png", tmp_path / "mask.png", tmp_path / "out.png")
    assert np.array_equal((original != filled).any(-1) & ~hole, np.zeros_like(hole))
    assert (original != filled).any(-1)[hole].all()
    assert Image.open(tmp_path / "out.png").info["icc_profile"] == b"a profile"


@pytest.mark.parametrize("method", ["visible_mean", "nearest", "biharmonic", "patches", "telea", "navier_stokes"])
def test_other_methods_fill_too(picture, tmp_path, method):
    if method in evaluation.OPENCV:
        pytest.importorskip("cv2")
    original, filled = inpaint(picture, "center", tmp_path / "out.png", "--method", method)
    assert np.array_equal(original[:8], filled[:8]) and (original[14:18] != filled[14:18]).any()


def test_without_opencv_its_methods_say_what_to_install(picture, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(evaluation, "has_opencv", lambda: False)
    out = tmp_path / "out.png"
    error = fails(capsys, *("inpaint", "--image", picture, "--mask", "half", "--out", out, "--method", "telea"))
    assert "pip install opencv-python-headless" in error


def test_an_animation_gives_its_first_picture_and_that_is_said(capsys, tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    _, filled = inpaint(tmp_path / "moving.gif", "half", tmp_path / "out.png", "--method", "nearest")
    assert (filled == (255, 0, 0)).all()
    assert "holds 2 pictures: the first is taken" in capsys.readouterr().out


OPAQUE, CLEAR = 255, 0
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def painted(kind: str) -> Image.Image:
    """A mask of 64 x 64 pixels that hides its corner of 16 x 16, as different programs save it."""
    corner = (0, 0, 16, 16)
    if kind.startswith("RGBA"):
        under, over = {
            "RGBA white on clear black": ((*BLACK, CLEAR), (*WHITE, OPAQUE)),
            "RGBA white on clear white": ((*WHITE, CLEAR), (*WHITE, OPAQUE)),
            "RGBA white on black": ((*BLACK, OPAQUE), (*WHITE, OPAQUE)),
        }[kind]
        mask = Image.new("RGBA", (64, 64), under)
        mask.paste(over, corner)
        return mask
    if kind in ("LA", "PA"):
        mask = Image.new("LA", (64, 64), (255, CLEAR))
        mask.paste((255, OPAQUE), corner)
        return mask.convert("RGBA").convert("PA") if kind == "PA" else mask
    if kind == "P":
        mask = Image.new("P", (64, 64), 0)
        mask.putpalette([*WHITE, *WHITE])
        mask.paste(1, corner)
        mask.info["transparency"] = 0
        return mask
    if kind == "I;16":
        pixels = np.full((64, 64), 1000, dtype=np.uint16)
        pixels[:16, :16] = 65535
        return Image.fromarray(pixels)
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, corner)
    return mask.convert("RGB").convert("CMYK") if kind == "CMYK" else mask.convert(kind)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("RGBA white on clear black", "png"),
        ("RGBA white on clear white", "png"),
        ("RGBA white on clear white", "webp"),
        ("RGBA white on clear white", "tiff"),
        ("RGBA white on black", "png"),
        ("LA", "png"),
        ("PA", "tiff"),
        ("P", "png"),
        ("P", "gif"),
        ("1", "png"),
        ("1", "tiff"),
        ("L", "png"),
        ("L", "jpg"),
        ("L", "bmp"),
        ("RGB", "jpg"),
        ("CMYK", "jpg"),
        ("I;16", "png"),
        ("I;16", "tiff"),
    ],
)
@pytest.mark.parametrize("name", ["mask", "half.mask"])
def test_of_a_painted_mask_the_white_and_opaque_is_hidden(tmp_path, kind, suffix, name):
    file = tmp_path / f"{name}.{suffix}"
    painted(kind).save(file, **({"lossless": True} if suffix == "webp" else {}))
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[:16, :16] = True
    assert torch.equal(hidden(str(file), (64, 64)), expected)


def hidden(mask: str, size: tuple[int, int]) -> torch.Tensor:
    return pictures._hidden(argparse.Namespace(mask=mask, mask_ratio=None, seed=0), size)


def test_a_mask_of_another_size_is_resized_and_one_of_another_shape_is_refused(tmp_path):
    file = str(tmp_path / "mask.png")
    painted("L").save(file)
    for side in (32, 100):
        larger = hidden(file, (side, side))
        assert larger.shape == (side, side) and larger[: side // 4, : side // 4].all()
        assert larger.sum() == (side // 4) ** 2
    with pytest.raises(ValueError, match="has 64 x 64 pixels, and the picture 64 x 80: paint it on a copy"):
        hidden(file, (64, 80))


def test_a_mask_without_a_suffix_is_a_picture_too_and_a_strategy_keeps_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("strokes", "half"):
        painted("L").save(tmp_path / name, format="PNG")
    shares = [hidden(mask, (64, 64)).float().mean().item() for mask in ("strokes", "./half", "half")]
    assert shares == [1 / 16, 1 / 16, 1 / 2]


@pytest.mark.parametrize("size", [(32, 32), (100, 33), (7, 451)])
def test_half_is_half_of_any_picture(size):
    rows = hidden("half", size).all(1)
    assert abs(rows.sum().item() - size[1] / 2) <= 0.5 and rows[: rows.sum()].all()


def test_a_mask_of_pixels_without_a_range_is_named(tmp_path):
    Image.fromarray(np.zeros((64, 64), dtype=np.float32)).save(tmp_path / "depth.tiff")
    with pytest.raises(ValueError, match=r"depth\.tiff cannot be read"):
        hidden(str(tmp_path / "depth.tiff"), (64, 64))


def test_a_transparent_picture_stands_on_white(tmp_path):
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(tmp_path / "glass.png")
    _, filled = inpaint(tmp_path / "glass.png", "half", tmp_path / "out.png", "--method", "nearest")
    assert filled.shape == (32, 32, 3) and (filled == 255).all()


def test_a_picture_of_a_phone_is_filled_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    Image.new("RGB", (60, 40), "red").save(tmp_path / "phone.jpg", exif=exif)
    _, filled = inpaint(tmp_path / "phone.jpg", "half", tmp_path / "out.png", "--method", "nearest")
    assert filled.shape == (60, 40, 3) and not Image.open(tmp_path / "out.png").getexif()


def test_the_seed_draws_the_mask(picture, tmp_path):
    first, again, other = (
        inpaint(picture, "random", tmp_path / f"{n}.png", "--seed", seed)[1] for n, seed in enumerate("001")
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_nothing_is_overwritten_without_being_asked(picture, capsys, tmp_path):
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    assert "exists already" in fails(capsys, "inpaint", "--image", picture, "--mask", "half", "--out", out)
    assert out.read_bytes() == b"mine"
    _, filled = inpaint(picture, "half", out, "--overwrite")
    assert filled.shape == (32, 32, 3)


def test_inpaint_explains_bad_input_in_one_line(finished, picture, capsys, tmp_path):
    def error(image=picture, mask="half", out=tmp_path / "out.png", **options: str | Path) -> str:
        more = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        return fails(capsys, "inpaint", "--image", image, "--mask", mask, "--out", out, *more)

    (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:100])
    (tmp_path / "empty.png").touch()
    for name, shade in (("black", 0), ("white", 255)):
        Image.new("L", (32, 32), shade).save(tmp_path / f"{name}.png")
    corrupt = tmp_path / "corrupt"
    corrupt.mkdir()
    for file in (finished.out / "model").iterdir():
        (corrupt / file.name).write_bytes(file.read_bytes()[:500])
    before = sorted(tmp_path.rglob("*"))
    assert "there is no file" in error(image=tmp_path / "missing.png")
    assert "damaged or incomplete PNG" in error(image=tmp_path / "broken.png")
    assert "empty.png cannot be read (empty)" in error(mask=tmp_path / "empty.png")
    assert "hides nothing of the picture" in error(mask=tmp_path / "black.png")
    assert "hides the whole picture" in error(mask=tmp_path / "white.png")
    assert "model.json is missing" in error(run=tmp_path)
    assert str(corrupt) in error(run=corrupt)
    assert "did you mean 'half'?" in error(mask="haf")
    assert "did you mean 'biharmonic'?" in error(method="biharmonik")
    assert "--weights have no meaning with --method nearest" in error(method="nearest", run=finished.out / "model")
    assert "there is no file" in error(mask=tmp_path / "missing.png")
    assert "--mask-ratio: it must be a number at least 0" in error(mask="random", mask_ratio="2")
    assert "has no meaning with the picture" in error(mask=tmp_path / "black.png", mask_ratio="0.5")
    assert f"would replace {picture}" in error(out=picture)
    assert "--seed" in error(seed="-1")
    assert "must end in .png" in error(out=tmp_path / "out.jpg")
    assert sorted(tmp_path.rglob("*")) == before


# generate


@pytest.fixture(scope="module")
def generator(tmp_path_factory) -> Path:
    """What a training of a small generator leaves, in two calls."""
    folder = tmp_path_factory.mktemp("generator")
    command = ["pretrain", "--preset", "maskgit", "--data", "scenes", "--size", "8", "--steps", "2", "--run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "CAPTIONED", {"train": 40, "val": 4, "test": 4})
        patch.setattr(generation, "pick_threads", lambda *_: 1)
        first, again = (run([*command, str(folder / "run")]) for _ in range(2))
    assert first.code == again.code == 0
    assert "Starts a run" in first.said and "simmim-lab generate" in first.said
    assert "Continues the run" in again.said
    return folder / "run"


def sheet(out: Path, *words: object) -> np.ndarray:
    done = run(["generate", "--out", str(out), "--steps", "2", *map(str, words)])
    assert done.code == 0, done.complained
    return np.asarray(Image.open(out))


def test_generate_makes_a_sheet_that_depends_on_seed_and_caption(generator, tmp_path):
    house, again, other, boat = (
        sheet(tmp_path / f"{i}.png", "--run", generator, "--n", 3, "--seed", seed, "--caption", caption)
        for i, (seed, caption) in enumerate(
            [(0, "a house"), (0, "a house"), (1, "a house"), (0, "a boat at night")]
        )
    )
    assert house.shape == (2 * 128 + 3 * 4, 2 * 128 + 3 * 4, 3)
    assert np.array_equal(house, again) and not np.array_equal(house, other)
    assert not np.array_equal(house, boat)


def test_generate_makes_a_folder_of_pictures(generator, tmp_path):
    out = tmp_path / "new" / "houses"
    done = run(["generate", "--run", str(generator), "--n", "3", "--steps", "2", "--out", str(out)])
    assert done.code == 0 and "3 pictures of 8 x 8 pixels" in done.said
    assert {Image.open(path).size for path in out.iterdir()} == {(8, 8)} and len([*out.iterdir()]) == 3


def test_generate_explains_bad_input_in_one_line(generator, pretrained, tmp_path, capsys):
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"mine")
    for words, told in (
        (["--caption", "a red hous"], "did you mean 'house'?"),
        (["--caption", "a house and a tree"], "names house and tree: take one subject"),
        (["--temperature", "-1"], "--temperature: it must be a number at least 0"),
        (["--steps", "0"], "--steps"),
        (["--steps", "17"], "at most 16, but is 17"),
        (["--n", "0"], "--n"),
        (["--run", tmp_path / "none"], "model.json is missing"),
        (["--run", pretrained], "of the kind wanted here"),
        (["--out", tmp_path / "a.jpg"], "--out must end in .png"),
        (["--out", taken], "exists already"),
    ):
        assert told in fails(capsys, "generate", "--out", tmp_path / "a.png", "--run", generator, *words)
    assert taken.read_bytes() == b"mine" and not (tmp_path / "a.png").exists()
    refused = ("pretrain", "--preset", "maskgit", "--run", tmp_path / "run", "--steps", "1")
    assert "leave out --mask-ratio" in fails(capsys, *refused, "--mask-ratio", "0.5")


def test_a_generator_learns_other_images_from_the_names_of_their_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "pick_threads", lambda *_: 1)
    for name, color in (("night heron", 20), ("night", 200)):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (16, 16), (color, 5 * i, i)).save(tmp_path / "birds" / name / f"{i}.png")
            Image.effect_noise((16, 16), 80).convert("RGB").save(tmp_path / "birds" / name / f"n{i}.png")
    data = ["--data", "folder", "--root", str(tmp_path / "birds"), "--size", "16"]
    trained = run(["pretrain", "--preset", "maskgit", *data, "--steps", "2", "--run", str(tmp_path / "run")])
    assert trained.code == 0, trained.complained
    sheet(tmp_path / "heron.png", "--run", tmp_path / "run", "--caption", "a night heron", "--n", 1)


# export, and weights from elsewhere


def small_swin() -> SimMIM:
    torch.manual_seed(0)
    encoder = SwinEncoder(32, 4, 8, depths=(2,), heads=(1,), window=4)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")


@pytest.mark.parametrize(
    ("form", "name"), [("transformers", "folder"), ("official", "file.pth"), ("hub", "share")]
)
def test_a_model_is_exported_and_taken_as_weights_again(classes, one_thread, picture, tmp_path, form, name):
    small_swin().save(tmp_path / "run")
    out = tmp_path / "new" / name
    command = ["export", "--weights", str(tmp_path / "run"), "--format", form, "--out", str(out)]
    done = run(command)
    assert done.code == 0 and f"Wrote {out}: a f" in done.said
    assert "exists already" in run(command).complained
    assert run([*command, "--overwrite"]).code == 0

    words = ("--weights", out, "--data", "folder", "--root", classes)
    assert run(features(tmp_path / "some.safetensors", *words)).code == 0
    _, filled = inpaint(picture, "half", tmp_path / "filled.png", "--weights", out)
    _, expected = inpaint(picture, "half", tmp_path / "same.png", "--run", tmp_path / "run")
    assert np.abs(filled.astype(int) - expected).max() <= 1
    done = run(finetune(tmp_path / "classes", classes, "--weights", out, "--size", "64", "--probe"))
    assert done.code == 0 and "interpolated to 64 x 64 pixels" in done.said
    assert finetuning.Classifier.load(tmp_path / "classes").image_size == (64, 64)


def test_an_exported_program_runs_without_the_course(tmp_path):
    small_swin().save(tmp_path / "run")
    out = tmp_path / "model.pt2"
    assert run(["export", "--weights", str(tmp_path / "run"), "--format", "program", "--out", str(out)]).code == 0
    program = torch.export.load(out).module()
    assert program(torch.rand(3, 3, 32, 32), torch.rand(3, 8, 8) < 0.5).shape == (3, 3, 32, 32)


def test_an_onnx_file_is_exported(pretrained, tmp_path):
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'simmim-lab[export]'")
    command = ["export", "--weights", str(pretrained), "--format", "onnx", "--bits", "8", "--out"]
    assert run([*command, str(tmp_path / "model.onnx")]).code == 0 and (tmp_path / "model.onnx").stat().st_size


def test_export_explains_bad_input_in_one_line(pretrained, classes, one_thread, capsys, tmp_path):
    def error(form: str, out: str, *words: object) -> str:
        return fails(capsys, "export", "--weights", pretrained, "--format", form, "--out", tmp_path / out, *words)

    assert "--out must end in .onnx for --format onnx" in error("onnx", "model.pt2")
    assert "--bits has no meaning with --format hub" in error("hub", "folder", "--bits", "8")
    assert "invalid choice: 'keras'" in error("keras", "folder")
    assert "transformers' ViT has absolute positions" in error("transformers", "folder")
    assert "the official ViT has relative positions and a class token" in error("official", "file.pth")
    assert [*tmp_path.iterdir()] == []
    assert run(finetune(tmp_path / "classes", classes, "--weights", pretrained, "--probe")).code == 0
    assert "is a classifier, which has no decoder" in error("hub", "folder", "--weights", tmp_path / "classes")
    (tmp_path / "file.pth").write_bytes(b"words")
    assert "file.pth is damaged or holds no weights" in error("hub", "folder", "--weights", tmp_path / "file.pth")


def test_any_encoder_of_timm_is_trained_by_its_name(one_thread, classes, monkeypatch, capsys, tmp_path):
    pytest.importorskip("timm", reason="needs timm: pip install 'simmim-lab[hub]'")
    monkeypatch.setattr(training, "pick_threads", lambda *_: 1)
    short = ("--size", "32", "--mask-size", "8", "--steps", "1", "--batch-size", "2", "--run")
    data = ("--data", "folder", "--root", str(classes))
    done = run(["pretrain", "--preset", "timm/convnext_atto", *data, *short, str(tmp_path / "run")])
    assert done.code == 0, done.complained
    assert SimMIM.load(tmp_path / "run").encoder.config["name"] == "convnext_atto"
    wrong = fails(capsys, "pretrain", "--preset", "timm/convnext_ato", *data, *short, tmp_path / "other")
    assert "did you mean 'convnext_atto'?" in wrong


# lab


@pytest.fixture
def jupyterlab(monkeypatch):
    """Stand in for JupyterLab; the list is filled with the options that it is started with."""
    started, module = [], ModuleType("jupyterlab.labapp")
    module.main = started.extend
    monkeypatch.setitem(sys.modules, "jupyterlab", ModuleType("jupyterlab"))
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", module)
    return started


def test_lab_opens_a_copy_of_this_checkout_in_the_home_folder(jupyterlab, monkeypatch, tmp_path):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--port", "9000", "--no-browser"]) == 0
    assert f"--ServerApp.root_dir={tmp_path / 'simmim_lab_work'}" in jupyterlab
    assert {"--port=9000", "--no-browser"} <= set(jupyterlab)
    assert (tmp_path / "simmim_lab_work" / "notebooks" / "00_start_here.ipynb").exists()


def test_lab_without_a_checkout_takes_the_current_folder_or_explains(jupyterlab, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(commandline, "__file__", str(tmp_path / "site-packages/simmim_lab/commandline.py"))
    monkeypatch.chdir(tmp_path)
    assert "no folder notebooks" in fails(capsys, "lab", "--course")
    (tmp_path / "notebooks").mkdir()
    assert main(["lab", "--course"]) == 0
    assert f"--ServerApp.root_dir={tmp_path}" in jupyterlab


def test_lab_without_jupyterlab_names_the_remedy(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    assert "pip install 'simmim-lab[lab]'" in fails(capsys, "lab")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999", "http"])
def test_lab_explains_a_port_that_is_none(jupyterlab, capsys, port):
    assert "--port: it must be a whole number at least 1 and at most 65535" in fails(
        capsys, "lab", f"--port={port}"
    )


# help


def test_help_lists_every_preset_mask_and_data_set(capsys):
    words = help_of(capsys, "pretrain").replace(",", " ").split()
    assert {*PRESETS, *STRATEGIES, "photos", "scenes", "cifar10", "folder"} <= set(words)
    assert set(STRATEGIES) <= set(help_of(capsys, "inpaint").replace(",", " ").replace(";", " ").split())


def test_unknown_commands(capsys):
    assert "--help" in fails(capsys)
    assert "invalid choice: 'train'" in fails(capsys, "train")
