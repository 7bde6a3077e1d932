"""SimMIM in Keras against PyTorch: the same weights give the same pictures, losses and steps, on every backend."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from simmim_lab.masking import random_mask, to_pixels
from simmim_lab.simmim import SimMIM

if importlib.util.find_spec("keras") is None:
    pytest.skip("needs Keras: pip install 'simmim-lab[keras]'", allow_module_level=True)

from simmim_lab.simmim_keras import KerasSimMIM, copy_weights, keras, ops


def config(loss: str = "mse", positions: str = "both", **changes) -> dict:
    encoder = {"kind": "vit", "image_size": (16, 24), "dim": 16, "depth": 2, "heads": 2, "positions": positions}
    made = SimMIM.from_config({"encoder": encoder, "decoder": {"kind": "linear"}, "loss": loss}).config
    return {**made, "encoder": made["encoder"] | changes}


def pair(**options) -> tuple[SimMIM, KerasSimMIM]:
    """A model with random weights in PyTorch, and the same in Keras."""
    torch.manual_seed(0)
    model = SimMIM.from_config(config(**options))
    with torch.no_grad():
        for weight in model.parameters():  # nothing may stay 0 or 1: a missing bias or norm would not show
            weight += 0.1 * torch.randn_like(weight)
    keras_model = KerasSimMIM(model.config)
    keras_model.compile(keras.optimizers.SGD(0.1))
    copy_weights(model, keras_model)
    return model, keras_model


def batch() -> tuple[torch.Tensor, torch.Tensor, dict]:
    """Images and a mask, and both as Keras takes them."""
    generator = torch.Generator().manual_seed(1)
    images, mask = torch.rand(3, 3, 16, 24, generator=generator), random_mask(3, (4, 6), 0.6, generator=generator)
    return images, mask, {"images": images.permute(0, 2, 3, 1).numpy(), "mask": mask.numpy()}


def channels_first(images) -> torch.Tensor:
    return torch.tensor(ops.convert_to_numpy(images)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("loss", "positions"), [("mse", "both"), ("l1", "absolute"), ("smooth_l1", "relative")])
def test_a_step(loss, positions):
    """The prediction, the loss and one step of SGD are PyTorch's."""
    model, keras_model = pair(loss=loss, positions=positions)
    images, mask, inputs = batch()
    expected, prediction = model(images, mask)
    got = channels_first(keras_model.predict_on_batch(inputs))
    torch.testing.assert_close(got, prediction.detach(), rtol=0, atol=1e-5)

    assert keras_model.train_on_batch(inputs) == pytest.approx(expected.item(), abs=1e-5)
    expected.backward()
    with torch.no_grad():  # by hand: torch.optim loads triton, which cannot be beside TensorFlow
        for weight in model.parameters():
            weight -= 0.1 * weight.grad
    stepped = KerasSimMIM(model.config)
    copy_weights(model, stepped)
    for ours, theirs in zip(keras_model.weights, stepped.weights, strict=True):
        ours, theirs = (torch.tensor(ops.convert_to_numpy(weight)) for weight in (ours, theirs))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5, msg=lambda text, at=theirs: f"{at}: {text}")


def test_the_copy_does_not_change_with_the_original():
    model, keras_model = pair()
    _, _, inputs = batch()
    before = keras_model.predict_on_batch(inputs)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert (keras_model.predict_on_batch(inputs) == before).all()


def test_a_training_lowers_the_loss_and_a_reconstruction_keeps_what_is_visible():
    _, keras_model = pair()
    images, mask, inputs = batch()
    history = keras_model.fit(inputs, epochs=8, batch_size=2, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    filled = channels_first(keras_model.reconstruct(inputs["images"], inputs["mask"]))
    changed = (filled != images).any(1)
    assert changed.equal(to_pixels(mask, 4)) and 0 <= filled.min() <= filled.max() <= 1


def test_what_does_not_fit_is_said():
    model, _ = pair()
    other = KerasSimMIM(config(dim=8))
    with pytest.raises(ValueError, match=r"built differently: encoder.* has shape .* needs"):
        copy_weights(model, other)
    with pytest.raises(ValueError, match="without layer scale and class token"):
        KerasSimMIM(config(cls_token=True))
    for preset in ("article_cnn", "swin_nano"):
        with pytest.raises(ValueError, match="has a ViT encoder"):
            KerasSimMIM(SimMIM.preset(preset).config)
    with pytest.raises(ValueError, match="unknown loss 'mae'"):
        KerasSimMIM({**config(), "loss": "mae"})


@pytest.mark.parametrize(
    ("missing", "backend", "install"),
    [("keras", "torch", "'simmim-lab[keras]'"), ("tensorflow", "tensorflow", "tensorflow")],
)
def test_a_missing_package_is_named(missing, backend, install):
    code = f"import sys; sys.modules[{missing!r}] = None; import simmim_lab.simmim_keras"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True
    )
    assert f"simmim_keras needs {missing}; install it with: pip install {install}\n" in run.stderr


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_another_backend_gives_the_same(backend):
    """Keras chooses its backend once, so each needs a process of its own."""
    if importlib.util.find_spec(backend) is None or keras.backend.backend() == backend:
        pytest.skip(f"needs {backend}, and a process that is not on it")
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::test_a_step[mse-both]"]
    run = subprocess.run(tests, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
