"""Is SimMIM in Keras the same as in PyTorch, on each of Keras' backends?

    KERAS_BACKEND=torch python benchmarks/keras_backends.py         a minute of one CPU core for each
    KERAS_BACKEND=jax python benchmarks/keras_backends.py
    KERAS_BACKEND=tensorflow python benchmarks/keras_backends.py    needs tensorflow

`vit_nano` with random weights, none of them 0 or 1, and a batch of photographs: the largest differences of the
predictions, of the losses, and of all weights after one step of SGD. Keras chooses its backend once, so a run is
for one of them; it keeps what the others have written.
"""

import argparse
import json
from importlib import import_module
from pathlib import Path

import torch
from einops import rearrange

from simmim_lab.images import load
from simmim_lab.masking import random_mask
from simmim_lab.simmim import SimMIM
from simmim_lab.simmim_keras import KerasSimMIM, copy_weights, keras, ops
from simmim_lab.teaching.results import command, origin, write

OUT = Path(__file__).parents[1] / "results" / "keras_backends.json"
RATE, IMAGES = 0.1, 32


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: results/{OUT.name})")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)

    backend = keras.backend.backend()
    versions = {"backend": backend, "version": import_module(backend).__version__, "keras": keras.__version__}
    made = origin(f"KERAS_BACKEND={backend} {command(__file__, arguments)}")
    row = {**versions, **differences(), **{key: made[key] for key in ("command", "date")}}
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    rows = [other for other in rows if other["backend"] != backend] + [row]
    write({**made, "preset": "vit_nano", "images": IMAGES, "rows": rows}, args.out)
    for row in rows:
        print(f"{row['backend']:12}", *(f"{key} {row[key]:.1e}" for key in ("prediction", "loss", "step")))


def differences() -> dict[str, float]:
    """How far Keras is from PyTorch: in what is predicted, in the loss, and in the weights after a step."""
    torch.manual_seed(0)
    model = SimMIM.preset("vit_nano")
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    keras_model = in_keras(model)
    images = load("photos").take(IMAGES)
    mask = random_mask(IMAGES, (8, 8), 0.6, 2, generator=torch.Generator().manual_seed(0))
    inputs = {"images": rearrange(images, "b c h w -> b h w c").numpy(), "mask": mask.numpy()}

    loss, prediction = model(images, mask)
    got = rearrange(torch.tensor(keras_model.predict_on_batch(inputs)), "b h w c -> b c h w")
    loss.backward()
    with torch.no_grad():  # by hand: torch.optim loads triton, which cannot be beside TensorFlow
        for weight in model.parameters():
            weight -= RATE * weight.grad
    trained = float(keras_model.train_on_batch(inputs))
    pairs = zip(keras_model.weights, in_keras(model).weights, strict=True)
    steps = [abs(ops.convert_to_numpy(one) - ops.convert_to_numpy(other)).max() for one, other in pairs]
    return {
        "prediction": (got - prediction).abs().max().item(),
        "loss": abs(trained - loss.item()),
        "step": float(max(steps)),
    }


def in_keras(model: SimMIM) -> KerasSimMIM:
    """The same model in Keras, ready for a step of SGD."""
    copied = KerasSimMIM(model.config)
    copied.compile(keras.optimizers.SGD(RATE))
    copy_weights(model, copied)
    return copied


if __name__ == "__main__":
    main()
