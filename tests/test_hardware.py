"""How a training runs: on the right device, in the right precision, and in all ways to the same result."""

import dataclasses
import functools
import math
import time
import weakref
from functools import partial

import pytest
import torch
from fake_gpu import on_gpu
from tiny_model import assert_same, tiny, weights

from simmim_lab import autotune, hardware, loop
from simmim_lab.backbones import TimmEncoder
from simmim_lab.budget import activation_bytes
from simmim_lab.checkpoints import restore, training_state
from simmim_lab.decoders import DeconvDecoder, LinearDecoder
from simmim_lab.drop_path import DropPath
from simmim_lab.encoders import ConvEncoder, ViTEncoder
from simmim_lab.hardware import Execution, activation_checkpointing, best_device, precision
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, draw_mask, pretrain

RECIPE = {"steps": 30, "batch_size": 16, "drop_path": 0.3, "ema": 0.9}


def run(images, how: Execution = Execution(), **changes):
    model = tiny()
    history = pretrain(model, images, Recipe(**{**RECIPE, **changes}), how, progress=False)
    return model, history


@pytest.fixture(scope="module")
def plain(images):
    return run(images)


@pytest.mark.parametrize(
    "capability, dtype", [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)]
)
def test_old_gpus_are_not_believed_to_have_bfloat16(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert precision(torch.device("cuda")) == dtype
    assert precision(torch.device("cpu")) == torch.float32


def test_a_gpu_that_pytorch_cannot_use_is_named_and_the_cpu_trains(monkeypatch):
    def too_old(*args, **kwargs):
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nMore text.")

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch, "zeros", too_old)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    with pytest.warns(UserWarning, match=r"cannot use the NVIDIA GPU: The NVIDIA driver .* 11040\)\. Update the"):
        assert best_device().type == "cpu"


def test_without_a_gpu_nothing_is_said(monkeypatch, recwarn):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert best_device().type in ("cpu", "mps", "cuda")
    assert not [warning for warning in recwarn if "NVIDIA" in str(warning.message)]


def test_a_compiled_model_is_one_graph_and_takes_the_same_steps(images, plain, monkeypatch):
    quick = functools.partial(torch.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", quick)
    model, history = run(images, Execution(compile=True))
    torch.testing.assert_close(history.loss, plain[1].loss, rtol=1e-4, atol=1e-5)
    for name, tensor in weights(model).items():
        torch.testing.assert_close(tensor, weights(plain[0])[name], rtol=1e-2, atol=1e-3)


def test_a_fused_attention_is_compiled_into_the_graph_of_its_model(images):
    model, pictures = tiny(), images.take(4)
    mask = draw_mask(model, pictures, Recipe(steps=1), torch.Generator().manual_seed(0))
    loss, _ = model(pictures, mask)
    way = torch.compile(autotune.in_fused_kernel, backend="aot_eager", dynamic=False)
    for block in model.encoder.blocks:
        block.attention.attend = partial(autotune.where_it_learns, way)
    fast = torch.compile(model, backend="aot_eager", dynamic=False, fullgraph=True)
    torch.testing.assert_close(fast(pictures, mask)[0], loss)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures, mask)[0], loss)


def test_a_compiler_that_fails_is_named_and_training_goes_on_without(images, plain, monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=broken))
    with pytest.warns(UserWarning, match="which failed: RuntimeError: Failed to find C compiler"):
        model, _ = run(images, Execution(compile=True))
    assert_same(weights(model), weights(plain[0]))


def test_recomputing_trains_the_same_with_less_memory(images, plain):
    model, history = run(images, Execution(activation_checkpointing=True))
    assert history.loss == plain[1].loss
    assert_same(weights(model), weights(plain[0]))
    pictures = images.take(8)
    mask = draw_mask(model, pictures, Recipe(steps=1), torch.Generator().manual_seed(0))
    with activation_checkpointing(model):
        less = activation_bytes(model, pictures, mask)
    assert less < 0.6 * activation_bytes(model, pictures, mask)


def test_settings_that_do_not_fit_are_named(images):
    model = SimMIM(ConvEncoder(), DeconvDecoder(32, 4))
    with pytest.raises(ValueError, match="activation_checkpointing needs a model with blocks"):
        pretrain(model, images, Recipe(steps=1, mask_size=4), Execution(activation_checkpointing=True))
    with pytest.raises(ValueError, match="accumulation_steps must be a whole number at least 1, but is 0"):
        Execution(accumulation_steps=0)
    with pytest.raises(ValueError, match="batch_size 16 is not a multiple of 1 processes x 3 accumulation_steps"):
        run(images, Execution(accumulation_steps=3))


def test_the_average_follows_the_weights(images, monkeypatch):
    steps = []
    step = loop.train_step

    def watched(model, *args, **kwargs):
        readings = step(model, *args, **kwargs)
        steps.append(weights(model))
        return readings

    monkeypatch.setattr(loop, "train_step", watched)
    model, _ = run(images, steps=5, ema=0.25)
    average = weights(tiny())
    for kept, after in zip((0, 2 / 11, 0.25, 0.25, 0.25), steps, strict=True):  # it soon forgets the start
        average = {name: kept * average[name] + (1 - kept) * after[name] for name in average}
    for name, tensor in weights(model).items():
        torch.testing.assert_close(tensor, average[name])


def test_an_interrupted_run_goes_on_with_another_execution_and_ends_the_same(images, plain, tmp_path):
    def unplug(step, model, history):
        if step == 10:
            raise OSError("no power")

    recipe = Recipe(**RECIPE, save_every=1e-6)
    with pytest.raises(OSError, match="no power"):
        pretrain(tiny(), images, recipe, run_dir=tmp_path, callbacks=[unplug], progress=False)
    model, seen = tiny(), []
    options = {"run_dir": tmp_path, "callbacks": [lambda step, *_: seen.append(step)], "progress": False}
    pretrain(model, images, recipe, Execution(activation_checkpointing=True), **options)
    assert seen[0] == 10
    assert_same(weights(model), weights(plain[0]))
    assert_same(weights(SimMIM.load(tmp_path)), weights(plain[0]))


def test_too_little_memory_says_how_many_images_fit(images, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "train_step", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    model, pictures = tiny(), images.take(2)
    mask = draw_mask(model, pictures, Recipe(steps=1), torch.Generator().manual_seed(0))
    each = activation_bytes(model, pictures, mask) // 2
    state = 16 * sum(p.numel() for p in model.parameters())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((state + 20.5 * each) / hardware.USABLE, 8e9))
    with pytest.raises(
        MemoryError, match=r"64 images at a time do not fit .* about (19|20|21) fit\. .*accumulation_steps=4"
    ):
        pretrain(tiny(), images, Recipe(steps=1, batch_size=64), progress=False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (state, 8e9))
    with pytest.raises(MemoryError, match=r"not even one image fits\. .*, or activation_checkpointing"):
        pretrain(tiny(), images, Recipe(steps=1, batch_size=64), progress=False)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_batch_of_few_images_gets_advice_too(images, monkeypatch, count):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 8e9))
    model, pictures = tiny(), images.take(count)
    mask = draw_mask(model, pictures, Recipe(steps=1), torch.Generator().manual_seed(0))
    advice = hardware.memory_advice(model, (pictures, mask), Execution(), ema=False)
    assert "out of memory" in advice and "smaller model" in advice


def test_the_memory_of_a_failed_step_is_free_when_the_advice_is_measured(images, monkeypatch):
    kept = []

    def full(model, optimizer, batch, **options):
        _, prediction = model(*batch)
        kept.append(weakref.ref(prediction))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def advice(*args, **kwargs):
        return f"still there: {kept[0]() is not None}"

    monkeypatch.setattr(loop, "train_step", full)
    monkeypatch.setattr(loop, "memory_advice", advice)
    with pytest.raises(MemoryError, match="still there: False"):
        pretrain(tiny(), images, Recipe(steps=1), progress=False)


def test_moments_come_back_in_the_layout_of_their_weights(images):
    """On a GPU weights are channels last, and fused AdamW refuses moments that are not."""
    model = tiny().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    pictures = images.take(8)
    mask = draw_mask(model, pictures, Recipe(steps=1), torch.Generator().manual_seed(0))
    loop.train_step(model, optimizer, (pictures, mask), lr=1e-3, clip=5.0)
    tensors = {name: tensor.clone() for name, tensor in training_state(model, optimizer).items()}  # as in a file
    again = tiny().to(memory_format=torch.channels_last)
    restored = torch.optim.AdamW(again.parameters(), fused=True)
    restore(tensors, again, restored)
    for parameter in again.parameters():
        state = restored.state[parameter]
        assert state["exp_avg"].stride() == state["exp_avg_sq"].stride() == parameter.stride()
    for m, o in (model, optimizer), (again, restored):
        loop.train_step(m, o, (pictures, mask), lr=1e-3, clip=5.0)
    assert_same(weights(model), weights(again))


def test_compiling_is_no_training(images, monkeypatch):
    monkeypatch.setattr(loop, "compiled", lambda model, batch: time.sleep(2) or model)
    history = pretrain(tiny(), images, Recipe(seconds=1, batch_size=8), Execution(compile=True), progress=False)
    assert 0.9 < history.seconds < 2 and max(history.lr) > 0  # the run was not slept through


def test_a_dropped_branch_is_left_out_and_the_mean_stays(images):
    keep = DropPath(ViTEncoder(16, 4, 32, depth=5, heads=2), 0.4).draw(20_000, torch.Generator().manual_seed(0))
    assert keep.shape == (20_000, 10)  # two branches in each block
    torch.testing.assert_close(keep.mean(0), torch.ones(10), rtol=0, atol=0.03)
    assert (keep[:, :2] == 1).all()
    torch.testing.assert_close(keep[:, 9].unique(), torch.tensor([0, 1 / 0.6]))
    shares = (keep == 0).float().mean(0)
    torch.testing.assert_close(shares, torch.arange(10) // 2 / 10, rtol=0, atol=0.02)

    encoder, pictures = ViTEncoder(16, 4, 32, depth=2, heads=2), images.take(3)
    whole, drop_path = encoder(pictures), DropPath(encoder, 0.5)
    drop_path.keep = torch.tensor([[1.0, 1, 0, 0]] * 3)
    half = encoder(pictures)
    drop_path.remove()
    torch.testing.assert_close(encoder(pictures), whole)
    encoder.blocks = encoder.blocks[:1]
    torch.testing.assert_close(half, encoder(pictures))
    assert not torch.allclose(whole, half)


def test_the_host_never_waits_for_a_dropped_branch():
    drop_path = DropPath(ViTEncoder(16, 4, 32, depth=2, heads=2), 0.4)
    with on_gpu() as generator:
        drop_path.rates = torch.empty(4, device="cuda")  # where those of an encoder on a GPU are
        assert drop_path.draw(8, generator).is_cuda
    assert DropPath(ViTEncoder(16, 4, 32, depth=2, heads=2).to("meta"), 0.4).rates.is_meta


@pytest.mark.parametrize(
    ("make", "branches"),
    [
        (ConvEncoder, 0),
        (partial(TimmEncoder, "swin_tiny_patch4_window7_224", 32, window_size=4), 24),
        (partial(TimmEncoder, "convnext_atto", 32), 12),
        (partial(TimmEncoder, "vit_tiny_patch16_224", 32), 24),
    ],
)
def test_every_encoder_trains_with_all_settings_and_is_left_as_it_was(images, make, branches):
    encoder = make()
    names = list(encoder.state_dict())
    assert len(DropPath(encoder, 0.1).rates) == branches
    model = SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride))
    how = Execution(accumulation_steps=2, activation_checkpointing=branches > 0)
    pixels = images.pixels[:8].repeat_interleave(2, 2).repeat_interleave(2, 3)
    small = dataclasses.replace(images, pixels=pixels, labels=images.labels[:8])
    recipe = Recipe(steps=1, batch_size=4, mask_size=16, drop_path=0.1, ema=0.9)
    history = pretrain(model, small, recipe, how, progress=False)
    assert math.isfinite(history.loss[0])
    assert list(encoder.state_dict()) == names
    assert not any("Checkpoint" in type(module).__name__ for module in encoder.modules())
