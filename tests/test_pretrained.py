"""The trained model that ships with the course: its file, and what it fills in."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Generator

from simmim_lab import evaluation, images, masking
from simmim_lab.files import pack, unpack
from simmim_lab.simmim import PRETRAINED, SimMIM

ROOT = Path(__file__).parents[1]
ORIGINAL = ROOT.parent / "shared" / "gpu" / "cifar10_mixture8.safetensors"  # in 16 bits
MATRIX = "encoder.blocks.0.mlp.0.weight"


@pytest.fixture(scope="module")
def model():
    return SimMIM.pretrained("cifar10").eval()


def held_out(name: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Test images, and a mask that hides 60 % in cells of 8 pixels."""
    test = images.load(name, "test").take(count)
    return test, masking.random_mask(count, (8, 8), 0.6, 2, generator=Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["photos", "scenes"])
def test_it_fills_pictures_unlike_those_it_saw_better_than_fills_that_do_not_learn(model, name):
    test, mask = held_out(name, 64)
    hidden = masking.to_pixels(mask, model.patch)
    score = evaluation.psnr(test, model.reconstruct(test, mask), hidden)
    for fill in evaluation.BASELINES.values():
        assert score > evaluation.psnr(test, fill(test, hidden), hidden) + 1


def test_its_file_says_where_it_comes_from():
    with safe_open(PRETRAINED["cifar10"] / "model.safetensors", "pt") as file:
        card = file.metadata()
    assert card.keys() == {"model", "data", "training", "scores", "licence"} and all(card.values())


def test_every_shipped_model_loads_and_together_they_are_small():
    for name in PRETRAINED:
        assert all(weight.isfinite().all() for weight in SimMIM.pretrained(name).state_dict().values())
    shipped = [path for folder in PRETRAINED.values() for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in shipped) < 12e6


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown pretrained model 'imagenet'.*cifar10"):
        SimMIM.pretrained("imagenet")


@pytest.mark.skipif(not ORIGINAL.is_file(), reason=f"needs the weights in 16 bits, {ORIGINAL.name}")
def test_eight_bits_fill_as_sixteen_do(model):
    precise = SimMIM.preset("vit_tiny").eval()
    precise.load_state_dict(load_file(ORIGINAL))
    test, mask = held_out("photos", 32)
    difference = model.reconstruct(test, mask) - precise.reconstruct(test, mask)
    assert 0 < difference.abs().max() < 0.02


# Weights in 8 bits


def test_no_value_moves_by_more_than_half_a_scale():
    weights = {"matrix": torch.randn(5, 7) * torch.logspace(-6, 6, 5)[:, None], "kernel": torch.randn(4, 3, 2, 2)}
    packed = pack(weights)
    assert packed["matrix"].dtype == packed["kernel"].dtype == torch.int8
    for name, restored in unpack(packed).items():
        error, scale = (restored - weights[name]).abs(), packed[f"{name}.scale"]
        assert (error <= 0.501 * scale).all() and scale.flatten().tolist() == pytest.approx(
            (weights[name].abs().flatten(1).amax(1) / 127).tolist()
        )


def test_vectors_zeros_whole_numbers_and_weights_that_were_never_packed_stay_the_same():
    weights = {"bias": torch.randn(6), "zeros": torch.zeros(3, 4), "index": torch.arange(6).view(2, 3)}
    restored = unpack(pack(weights))
    assert restored.keys() == weights.keys() and all(restored[name].equal(weights[name]) for name in weights)
    short = {"matrix": torch.randn(500, 3).bfloat16()}
    apart, scale = unpack(pack(short))["matrix"] - short["matrix"].float(), pack(short)["matrix.scale"]
    assert (apart.abs() <= 0.51 * scale).all()
    plain = {"matrix": torch.randn(3, 3), "norm.scale": torch.ones(3)}
    assert unpack(plain) == plain


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = SimMIM.preset("vit_nano").eval()
    model.save(tmp_path, bits=8, header={"data": "none"})
    return model, tmp_path


def test_a_model_in_eight_bits_is_a_quarter_as_large_and_answers_nearly_the_same(saved):
    model, folder = saved
    test, mask = held_out("scenes", 2)
    size = sum(weight.numel() for weight in model.parameters())
    assert size < (folder / "model.safetensors").stat().st_size < 1.3 * size
    difference = SimMIM.load(folder).eval().predict(test, mask) - model.predict(test, mask)
    assert difference.abs().max() < 0.02


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop(f"{MATRIX}.scale"), f"{MATRIX} has 8 bits, but not a scale"),
        (lambda tensors: tensors.update({f"{MATRIX}.scale": torch.ones(1, 1)}), f"{MATRIX} has 8 bits, but not a"),
        (
            lambda tensors: tensors.update({"norm.bias.scale": torch.ones(1)}),
            r"the model has no norm\.bias\.scale",
        ),
        (lambda tensors: tensors.update({"encoder.norm.bias": torch.ones(3)}), r"norm\.bias has shape \(3,\)"),
    ],
)
def test_weights_without_their_scales_or_of_another_shape_are_refused(saved, change, said):
    path = saved[1] / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(ValueError, match=rf"model\.safetensors .*{said}"):
        SimMIM.load(path.parent)


def test_there_are_eight_bits_or_thirty_two(tmp_path):
    with pytest.raises(ValueError, match="8 or 32 bits, not in 4"):
        SimMIM.preset("vit_nano").save(tmp_path, bits=4)


def test_wheel_and_source_distribution_bring_the_weights(tmp_path):
    """A learner on Colab has the model after `pip install`."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "simmim_lab", tmp_path / "simmim_lab", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from setuptools import build_meta as b; b.build_wheel('out'); b.build_sdist('out')"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    [wheel], [source] = (tmp_path / "out").glob("*.whl"), (tmp_path / "out").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(source) as tar:
        inside = [set(archive.namelist()), {name.partition("/")[2] for name in tar.getnames()}]
    files = {path.relative_to(ROOT).as_posix() for folder in PRETRAINED.values() for path in folder.iterdir()}
    assert len(files) == 2 * len(PRETRAINED) and all(files <= names for names in inside)
