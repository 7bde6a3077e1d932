"""Files: the weights of a model, and how it was built (lessons 04 and 05).

A model is two files: its weights as safetensors, and a JSON text that says how to build it. Nothing in them is
ever executed.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from simmim_lab.common import replace_file

Model = TypeVar("Model", bound=nn.Module)


def save_model(folder: str | Path, config: dict[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, each whole or not at all.

    Raises OSError if the folder cannot be written.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", weights)
    text = json.dumps(config, indent=2) + "\n"
    replace_file(folder / "model.json", lambda path: path.write_text(text, encoding="utf-8"))


def load_model(folder: str | Path, build: Callable[[dict[str, Any]], Model]) -> Model:
    """Build the model that `save_model` described in `folder`, and give it its weights.

    Raises FileNotFoundError or ValueError that names the file at fault, and the tensors that do not fit.
    """
    folder = Path(folder).expanduser()
    config, weights = folder / "model.json", folder / "model.safetensors"
    for path in (config, weights):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: expected a folder with a saved model or a finished run")
    try:
        model = build(json.loads(config.read_text(encoding="utf-8")))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{config} does not describe a model ({error!r}): save the model again") from error
    try:
        tensors = load(weights.read_bytes())  # read, not mapped: Windows lets nobody replace a mapped file
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged or holds no weights ({error}): save the model again") from error
    if problem := misfit(model.state_dict(), tensors):
        raise ValueError(f"{weights} does not fit {config}: {problem}; save the model again")
    model.load_state_dict(tensors)
    return model


def misfit(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str:
    """Which tensors differ in name or shape, in one line; nothing if none does."""
    problems = [
        f"{name} has shape {tuple(got[name].shape)}, but the model needs {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in got and got[name].shape != tensor.shape
    ]
    problems += [f"{name} is missing" for name in wanted.keys() - got.keys()]
    problems += [f"the model has no {name}" for name in got.keys() - wanted.keys()]
    more = f" (and {len(problems) - 2} more)" if len(problems) > 2 else ""
    return "; ".join(problems[:2]) + more


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write tensors and the texts of a header to `path` as safetensors, whole or not at all.

    Raises OSError if that fails: a full disk, for example.
    """
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}

    def write(partial: Path) -> None:
        try:
            save_file(tensors, partial, header)
        except SafetensorError as error:  # what the operating system said is only in its text
            raise OSError(f"cannot write {path} ({error}): make room, or choose another folder") from error

    replace_file(path, write)
