"""Files: the weights of a model, and how it was built (lessons 04 and 05).

A model is two files: its weights as safetensors, and a JSON text that says how to build it. Nothing in them is
ever executed. Weights can be kept in 8 bits, which makes the file four times as small: `pack` says how.
The weights of strangers come in one file, which `read_weights` reads.
"""

import json
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn

from simmim_lab.common import replace_file

Model = TypeVar("Model", bound=nn.Module)

SCALE = ".scale"  # ends the name of the tensor that holds the scales of another


def save_model(
    folder: str | Path,
    config: dict[str, Any],
    weights: Mapping[str, Tensor],
    bits: int = 32,
    header: dict[str, str] | None = None,
) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, each whole or not at all.

    With `bits=8` the weights are rounded, see `pack`. `header` are texts that the file of the weights keeps.
    Raises OSError if the folder cannot be written.
    """
    if bits not in (8, 32):
        raise ValueError(f"weights can be kept in 8 or 32 bits, not in {bits!r}")
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", pack(weights) if bits == 8 else weights, header)
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
        raise ValueError(
            f"{config} does not describe a model of the kind wanted here ({error!r}): give another folder, "
            "or save the model again"
        ) from error
    try:
        tensors = unpack(load(weights.read_bytes()))  # not mapped: Windows lets nobody replace a mapped file
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{weights} is damaged or holds no weights ({error}): save the model again") from error
    if problem := misfit(model.state_dict(), tensors):
        raise ValueError(f"{weights} does not fit {config}: {problem}; save the model again")
    model.load_state_dict(tensors)
    return model


def pack(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round each matrix to whole numbers from -127 to 127, with a scale for each of its rows.

    A row is what belongs to one index of the first axis. Its largest value becomes 127 or -127, so that no value
    changes by more than half a scale. Scales are in 32 bits, also of shorter numbers. Vectors are small, and stay
    as they are.
    """
    packed = dict(weights)
    for name, tensor in weights.items():
        if tensor.ndim > 1 and tensor.is_floating_point():
            values = tensor.float()
            largest = values.abs().flatten(1).amax(1).view(-1, *[1] * (tensor.ndim - 1))
            scale = largest.clamp(min=torch.finfo(values.dtype).tiny) / 127  # a row of zeros needs one too
            packed[name], packed[name + SCALE] = (values / scale).round().to(torch.int8), scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that `pack` rounded, as floating-point numbers; weights that it did not see stay the same.

    Raises ValueError if a tensor of 8 bits has no scale for each row.
    """
    weights = dict(packed)
    for name, tensor in packed.items():
        if tensor.dtype == torch.int8:
            scale = weights.pop(name + SCALE, None)
            if scale is None or scale.shape != (*tensor.shape[:1], *[1] * (tensor.ndim - 1)):
                raise ValueError(f"{name} has 8 bits, but not a scale for each row")
            weights[name] = tensor * scale
    return weights


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


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by whomever, .safetensors or what torch.save wrote, as numbers of 32 bits.

    Code in it is never run. If there is more than weights, they are what stands under "model" or "state_dict".
    Raises ValueError for a file that is damaged, names code or holds no tensors.
    """
    path = Path(path).expanduser()
    with path.open("rb"):  # one that may not be read is not damaged
        pass
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except UNREADABLE as error:
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise ValueError(f"{path} names code, {code[1]}, which was not run: get the weights alone") from error
        said = str(error).rpartition("WeightsUnpickler error:")[2].strip()  # before it stands bad advice
        reason = said.partition("\n")[0].partition(". ")[0].rstrip(".:")
        raise ValueError(f"{path} is damaged or holds no weights ({reason}): get it again") from error
    for key in ("model", "state_dict"):
        content = content.get(key, content) if isinstance(content, Mapping) else {}
    if not content or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ValueError(f"{path} holds no tensors by name: get a checkpoint with its weights under 'model'")
    return {str(name): tensor.float() for name, tensor in content.items()}


UNREADABLE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError),
    *(ValueError, SafetensorError, pickle.UnpicklingError),
)


class _Settings:
    """Stands in for settings: a dictionary, which nobody will look at."""

    def __new__(cls, *args: Any):
        return OrderedDict()


class _Number:
    """Stands in for a number of NumPy."""

    def __init__(self, *args: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# What checkpoints hold beside weights, and what stands in for it: the configuration of the official code, the
# arguments of MAE's, and now and then a number of NumPy.
STAND_INS = {
    "yacs.config.CfgNode": _Settings,
    "argparse.Namespace": _Settings,
    "numpy.dtype": _Number,
    "numpy.core.multiarray.scalar": _Number,
    "numpy._core.multiarray.scalar": _Number,
}


def _unpickle(path: Path) -> Any:
    """What torch.save wrote: tensors and plain data. A name of code that is not in STAND_INS is an error."""
    names = {name.rpartition("."): stand_in for name, stand_in in STAND_INS.items()}
    known = [type(name, (stand_in,), {"__module__": module}) for (module, _, name), stand_in in names.items()]
    with torch.serialization.safe_globals(known):
        return torch.load(path, map_location="cpu", weights_only=True)
