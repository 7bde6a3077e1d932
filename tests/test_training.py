"""The loop: it learns, it goes on after any interruption, and it says what is wrong before it costs time."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fake_gpu import on_gpu
from safetensors.torch import load_file, save_file
from tiny_model import assert_same, tiny, weights
from torch.amp import GradScaler

from simmim_lab import checkpoints, training
from simmim_lab.decoders import LinearDecoder
from simmim_lab.encoders import ViTEncoder
from simmim_lab.loop import parameter_groups, step_generator, train_step
from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.recipe import History
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, draw_mask, pretrain

ROOT = Path(__file__).parent.parent


def test_the_loss_falls_and_the_history_is_complete(images, tmp_path):
    model, seen = tiny(), []
    recipe = Recipe(steps=60, batch_size=32, val_every=20)
    history = pretrain(
        model, images, recipe, val=images, run_dir=tmp_path, callbacks=[lambda step, *_: seen.append(step)]
    )
    assert history.steps == len(history.lr) == len(history.grad_norm) == 60
    assert sum(history.loss[-10:]) < 0.8 * sum(history.loss[:10])
    assert history.val_step == [20, 40, 60]
    assert history.val_loss[-1] < history.val_loss[0]
    assert history.images_per_second > 0
    assert seen == [25, 50, 60]
    assert_same(weights(model), weights(SimMIM.load(tmp_path)))
    assert json.loads((tmp_path / "history.json").read_text())["loss"] == history.loss


def test_a_time_budget_is_kept(images):
    history = pretrain(tiny(), images, Recipe(seconds=1.5, batch_size=8))
    assert 1.4 < history.seconds < 4
    assert history.lr[-1] < 0.1 * max(history.lr)


def test_the_learning_rate_warms_up_then_follows_a_cosine():
    recipe = Recipe(steps=100, lr=1.0, min_lr=0.1, warmup=0.1)
    assert recipe.lr_at(0.05) == pytest.approx(0.5)
    assert recipe.lr_at(0.1) == pytest.approx(1.0)
    assert recipe.lr_at(0.55) == pytest.approx(0.55)
    assert recipe.lr_at(1.0) == pytest.approx(0.1)
    assert Recipe(steps=1, warmup=1.0, lr=1.0).lr_at(1.0) == pytest.approx(1.0)


def test_only_weight_matrices_decay():
    model = tiny()
    decay, rest = parameter_groups(model, 0.05)
    assert decay["weight_decay"] == 0.05 and rest["weight_decay"] == 0
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(names[id(p)].endswith(".weight") and p.ndim >= 2 for p in decay["params"])
    without = {names[id(p)] for p in rest["params"]}
    assert {"encoder.mask_token", "encoder.positions", "encoder.relative.table", "encoder.norm.weight"} <= without
    assert len(decay["params"]) + len(rest["params"]) == len(names)


def test_step_generators_differ_by_seed_step_and_purpose_only():
    draws = {
        torch.rand(1, generator=step_generator(*key)).item()
        for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    }
    assert len(draws) == 4
    first, again = (torch.rand(3, generator=step_generator(5, 6, 7)) for _ in range(2))
    assert torch.equal(first, again)


WORKER = """
import sys, torch
from tiny_model import tiny
from simmim_lab.training import Recipe, pretrain
from simmim_lab.images import ImageSet
torch.set_num_threads(int(sys.argv[3]))
images = torch.randint(256, (100, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
images = ImageSet("noise", "train", images, torch.zeros(100).long(), ("noise",))
def report(step, model, history):
    print(step, flush=True)
recipe = Recipe(steps=300, batch_size=32, save_every=0.05)
pretrain(tiny(), images, recipe, run_dir=sys.argv[1], callbacks=[report])
"""


def start(folder, threads: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WORKER, str(folder), "worker", str(threads)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT / "tests")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(folder, threads=1)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("sign", ["SIGKILL", "SIGINT"])
def test_a_killed_run_ends_with_the_same_bits(uninterrupted, tmp_path, sign):
    if sys.platform == "win32":
        pytest.skip("this test sends Unix signals")
    process = start(tmp_path, threads=1)
    while int(process.stdout.readline()) < 100:
        pass
    process.send_signal(getattr(signal, sign))
    process.communicate(timeout=60)
    assert process.returncode != 0 and not (tmp_path / "model.safetensors").exists()
    # the machine may offer another number of threads now: the run keeps the one it began with
    process = start(tmp_path, threads=2)
    first, _ = process.stdout.readline(), process.communicate(timeout=300)
    assert int(first) > 50, "the run began anew instead of going on"
    assert_same(uninterrupted, load_file(tmp_path / "model.safetensors"))


def test_a_finished_run_is_not_trained_again(images, tmp_path):
    recipe = Recipe(steps=5, batch_size=8)
    first = tiny()
    history = pretrain(first, images, recipe, run_dir=tmp_path)
    second = tiny()
    assert dataclasses.asdict(pretrain(second, images, recipe, run_dir=tmp_path)) == dataclasses.asdict(history)
    assert_same(weights(first), weights(second))


@pytest.fixture
def checkpoint(images, tmp_path):
    pretrain(tiny(), images, Recipe(steps=5, batch_size=8), run_dir=tmp_path)
    return tmp_path / "checkpoint.safetensors"


def again(images, checkpoint, **changes) -> History:
    return pretrain(tiny(), images, Recipe(**{"steps": 5, "batch_size": 8, **changes}), run_dir=checkpoint.parent)


def test_a_truncated_checkpoint_is_named(images, checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors is damaged"):
        again(images, checkpoint)


def test_an_empty_checkpoint_is_named(images, checkpoint):
    checkpoint.write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors is damaged"):
        again(images, checkpoint)


def test_a_foreign_file_is_named(images, checkpoint):
    save_file({"x": torch.zeros(3)}, checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors was not written by"):
        again(images, checkpoint)


@pytest.mark.parametrize("place", [0.3, 0.7, 0.999])
def test_a_tampered_checkpoint_is_named(images, checkpoint, place):
    data = bytearray(checkpoint.read_bytes())
    data[int(place * len(data))] ^= 1
    checkpoint.write_bytes(data)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors (was changed|is damaged)"):
        again(images, checkpoint)


def test_a_tampered_fact_is_named(images, checkpoint):
    data = checkpoint.read_bytes()
    assert data.count(b'\\"steps\\": 5') == 1
    checkpoint.write_bytes(data.replace(b'\\"steps\\": 5', b'\\"steps\\": 9'))
    with pytest.raises(ValueError, match=r"was changed after it was written"):
        again(images, checkpoint, steps=9)


def test_another_recipe_model_or_data_set_is_refused(images, checkpoint):
    with pytest.raises(ValueError, match=r"its recipe lr is 0\.003, not 0\.1; delete it .* or choose"):
        again(images, checkpoint, lr=0.1)
    with pytest.raises(ValueError, match="its model encoder depth is 2, not 3"):
        encoder = ViTEncoder(image_size=16, patch=4, dim=32, depth=3, heads=2)
        model = SimMIM(encoder, LinearDecoder(32, 4))
        pretrain(model, images, Recipe(steps=5, batch_size=8), run_dir=checkpoint.parent)
    other = dataclasses.replace(images, pixels=255 - images.pixels)
    with pytest.raises(ValueError, match="its images is"):
        again(other, checkpoint)


def test_a_loss_that_is_no_number_stops_with_advice(images, tmp_path):
    model = tiny()
    torch.nn.init.constant_(model.decoder.linear.weight, math.nan)
    with pytest.raises(FloatingPointError, match=r"try a lower lr than 0\.003"):
        pretrain(model, images, Recipe(steps=50, batch_size=8), run_dir=tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_full_disk_is_reported_before_training(images, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    began = time.monotonic()
    with pytest.raises(OSError, match=r"has 0 MB free, but checkpoints need \d+ MB"):
        pretrain(tiny(), images, Recipe(seconds=60, batch_size=8), run_dir=tmp_path)
    assert time.monotonic() - began < 5


def test_a_save_that_fails_is_tried_again(images, tmp_path, monkeypatch):
    real, calls = checkpoints.write_tensors, []

    def write(path, tensors, header=None):
        calls.append(path.name)
        if len(calls) in (2, 3):  # the first is the one before the training
            raise OSError("no space left")
        real(path, tensors, header)

    monkeypatch.setattr(checkpoints, "write_tensors", write)
    with pytest.warns(UserWarning, match=r"no checkpoint was written \(no space left\); the training goes on"):
        pretrain(tiny(), images, Recipe(steps=100, batch_size=4, save_every=0), run_dir=tmp_path, progress=False)
    assert len(calls) > 4
    facts, _ = checkpoints.load_checkpoint(tmp_path / checkpoints.CHECKPOINT, {})
    assert len(facts["history"]["loss"]) == 100


def test_a_last_save_that_fails_is_an_error(images, tmp_path, monkeypatch):
    real = checkpoints.write_tensors

    def write(path, tensors, header=None):
        if path.exists():
            raise OSError("no space left")
        real(path, tensors, header)

    monkeypatch.setattr(checkpoints, "write_tensors", write)
    with pytest.raises(OSError, match="no space left"):
        pretrain(tiny(), images, Recipe(steps=3, batch_size=4), run_dir=tmp_path, progress=False)


def test_a_second_training_in_a_folder_is_refused_and_the_lock_is_given_back(images, tmp_path):
    recipe, seen = Recipe(steps=3, batch_size=4), []

    def second(step, model, history):
        with pytest.raises(BlockingIOError, match="another training is at work in"):
            pretrain(tiny(), images, recipe, run_dir=tmp_path, progress=False)
        seen.append(step)
        raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        pretrain(tiny(), images, recipe, run_dir=tmp_path, callbacks=[second], progress=False)
    pretrain(tiny(), images, recipe, run_dir=tmp_path, progress=False)
    assert seen == [3]
    assert not list(tmp_path.glob(".lock"))


def test_the_lock_dies_with_its_process(images, tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from simmim_lab.checkpoints import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(BlockingIOError):
            pretrain(tiny(), images, Recipe(steps=1, batch_size=4), run_dir=tmp_path, progress=False)
        process.kill()
    pretrain(tiny(), images, Recipe(steps=1, batch_size=4), run_dir=tmp_path, progress=False)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc, which Linux has")
def test_no_file_is_mapped_when_it_is_replaced(images, tmp_path, monkeypatch):
    """Windows refuses to replace a file that is mapped into memory."""
    real, mapped = os.replace, []

    def watched(source, target):
        maps = Path("/proc/self/maps").read_text()
        mapped.extend(line for line in maps.splitlines() if line.endswith(str(target)))
        real(source, target)

    recipe = Recipe(steps=2, batch_size=4)
    pretrain(tiny(), images, recipe, run_dir=tmp_path, progress=False)
    model = SimMIM.load(tmp_path)
    monkeypatch.setattr(os, "replace", watched)
    pretrain(tiny(), images, recipe, run_dir=tmp_path, progress=False)
    model.save(tmp_path)
    assert mapped == []


def test_a_folder_that_cannot_be_written_is_reported_before_training(images, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        pretrain(tiny(), images, Recipe(seconds=60, batch_size=8), run_dir=tmp_path / "file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "either steps or seconds"),
        ({"steps": 3, "seconds": 3}, "either steps or seconds"),
        ({"steps": 0}, "steps must be a whole number at least 1, but is 0"),
        ({"steps": 3, "mask_ratio": 1.5}, "mask_ratio must be a number above 0 and at most 1, but is 1.5"),
        ({"steps": 3, "mask": "ramdom"}, "did you mean 'random'"),
    ],
)
def test_a_recipe_refuses_nonsense(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**changes)


NO_NUMBERS = (math.nan, math.inf, -math.inf, -1, "1", None, True)


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        *(
            "steps",
            "seconds",
            "batch_size",
            "lr",
            "min_lr",
            "warmup",
            "weight_decay",
            "ema",
            "drop_path",
            "val_every",
        ),
        *("seed", "mask_ratio", "mask_size"),
    ],
)
def test_every_number_of_a_recipe_is_checked_where_it_enters(name, wrong):
    if (name, wrong) in (("steps", None), ("seconds", None)):
        pytest.skip("None means: the other one")
    length = {} if name in ("steps", "seconds") else {"steps": 1}
    with pytest.raises(ValueError, match=name):
        Recipe(**length, **{name: wrong})


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": 1e-6},  # below min_lr
        {"min_lr": 5.0},
        {"betas": (0.9, 1.0)},
        {"betas": 0.9},
        {"betas": (0.9, math.nan)},
        {"clip": 0},
        {"clip": math.nan},
        {"crop_scale": (0.5, 1.5)},
        {"crop_scale": (0.8, 0.5)},
        {"crop_scale": 0.5},
        {"warmup": 1.5},
        {"ema": 1.0},
        {"drop_path": 1},
        {"batch_size": 2.5},
        {"mask_size": 0},
        {"seed": 1.0},
        {"save_every": -1.0},
    ],
)
def test_numbers_that_do_not_go_together_are_refused(changes):
    with pytest.raises(ValueError, match="|".join(changes)):
        Recipe(steps=1, **changes)


def test_a_mask_size_of_half_patches_is_refused(images):
    with pytest.raises(ValueError, match="mask_size 6 is not a multiple of the patch of 4 pixels"):
        pretrain(tiny(), images, Recipe(steps=3, mask_size=6))
    with pytest.raises(ValueError, match="mask_size 6 is not a multiple of the patch of 4 pixels"):
        pretrain(tiny(), images, Recipe(steps=3, mask_size=(4, 6)))


@pytest.mark.parametrize("wrong", [(), (8, 0), (4, True), (4, None), (4.0, 8), "48"], ids=repr)
def test_mask_sizes_are_checked_each(wrong):
    with pytest.raises(ValueError, match="mask_size must be a"):
        Recipe(steps=1, mask_size=wrong)


def test_each_image_draws_one_of_several_mask_sizes(images):
    model, batch = tiny(), images.take(4).repeat(50, 1, 1, 1)
    mask = draw_mask(model, batch, Recipe(steps=1, mask_size=(4, 8)), step_generator(0, 0, 1))
    large = (mask == to_pixels(mask[:, ::2, ::2], 2)).all((1, 2))  # cells of 8 pixels are 2 x 2 patches
    assert torch.equal(mask.sum((1, 2)), torch.where(large, 12, 10))  # 3 of 4 cells, 10 of 16
    assert 0.35 < large.float().mean() < 0.65
    with on_gpu() as generator:  # the host never waits for a mask
        shown = torch.empty(8, 3, 16, 16, device="cuda")
        assert draw_mask(model, shown, Recipe(steps=1, mask="mixture", mask_size=(4, 8)), generator).is_cuda


def test_one_mask_size_draws_as_it_always_did(images):
    batch = images.take(4)
    masks = [
        draw_mask(tiny(), batch, Recipe(steps=1, mask_size=size), step_generator(0, 0, 1)) for size in (8, (8,))
    ]
    masks.append(random_mask(4, (4, 4), 0.6, 2, generator=step_generator(0, 0, 1)))
    assert torch.equal(masks[0], masks[2]) and torch.equal(masks[1], masks[2])


def test_a_run_with_several_mask_sizes_goes_on(images, tmp_path):
    recipe = Recipe(steps=3, batch_size=8, mask="mixture", mask_size=(4, 8))
    histories = [pretrain(tiny(), images, recipe, run_dir=tmp_path, progress=False) for _ in range(2)]
    assert histories[0].loss == histories[1].loss


def test_preset_recipes_match_the_presets_of_the_model():
    from simmim_lab.simmim import PRESETS

    assert set(training.RECIPES) == set(PRESETS)
    assert Recipe.preset("vit_base", steps=10).mask_size == 32
    with pytest.raises(ValueError, match="did you mean 'vit_nano'"):
        Recipe.preset("vit_nan", steps=10)


def test_pick_threads_leaves_the_model_alone(images):
    model = tiny()
    before, threads = weights(model), torch.get_num_threads()
    try:
        chosen = training.pick_threads(model, images, Recipe(steps=1, batch_size=8), steps=2)
        assert chosen == torch.get_num_threads() and 1 <= chosen <= os.cpu_count()
    finally:
        torch.set_num_threads(threads)
    assert_same(before, weights(model))


def test_a_scaled_loss_trains_the_same_and_an_infinite_gradient_is_left_out(images):
    batch = images.batch(16, step_generator(0, 0, 0))
    models, scalers = [tiny(), tiny()], [GradScaler("cpu", enabled=False), GradScaler("cpu", init_scale=2.0**10)]
    for model, scaler in zip(models, scalers, strict=True):
        optimizer = torch.optim.AdamW(model.parameters())
        mask = draw_mask(model, batch, Recipe(steps=1), step_generator(0, 0, 1))
        for _ in range(3):
            train_step(model, optimizer, (batch, mask), lr=1e-3, clip=5.0, scaler=scaler)
    assert_same(*map(weights, models))  # a power of two changes no digit

    before, scale = weights(models[1]), scalers[1].get_scale()
    scalers[1].update(2.0**127)  # the loss is finite, the scaled one is not
    train_step(models[1], optimizer, (batch, mask), lr=1e-3, clip=5.0, scaler=scalers[1])
    assert_same(before, weights(models[1]))
    assert scale < scalers[1].get_scale() < 2.0**127
