"""Checkpoints: one file that holds a whole training state and can tell when it was damaged (lesson 05).

A checkpoint is a safetensors file: the tensors of the model and of the optimizer, and in its header the facts of
the run as JSON with a SHA-256 over everything. Nothing in it is ever executed.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from simmim_lab.common import replace_file

FORMAT = "simmim_lab checkpoint 1"


def save_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, facts: dict[str, Any]) -> None:
    """Write the state of `model` and `optimizer` and the JSON-ready `facts` to `path`, whole or not at all."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts)
    header = {"format": FORMAT, "facts": text, "sha256": _digest(text, tensors)}
    replace_file(path, lambda partial: save_file(tensors, partial, header))


def load_checkpoint(path: Path, expected: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read and verify a checkpoint; return its facts and its tensors.

    `expected` are facts that must agree, such as the recipe. Raises ValueError that names the file if it is
    damaged, something else, or of another run.
    """
    remedy = "delete it to start anew, or choose another run_dir"
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or is no checkpoint ({error}); {remedy}") from error
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by simmim_lab's pretrain; {remedy}")
    if header.get("sha256") != _digest(header.get("facts", ""), tensors):
        raise ValueError(f"{path} was changed after it was written: its checksum does not fit; {remedy}")
    facts = json.loads(header["facts"])
    for name, value in json.loads(json.dumps(expected)).items():
        if facts[name] != value:
            raise ValueError(f"{path} is of another run: {_difference(name, facts[name], value)}; {remedy}")
    return facts, tensors


def restore(model: nn.Module, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the tensors of a checkpoint back where `save_checkpoint` took them."""
    state: dict[int, dict[str, Tensor]] = {}
    weights = {}
    for name, tensor in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "model":
            weights[rest] = tensor
        else:
            index, key = rest.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
    model.load_state_dict(weights)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def check_room(folder: Path, model: nn.Module) -> None:
    """Raise OSError unless `folder` has room for two checkpoints: the old one stays until the new one is whole."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    need, free = 2 * 3 * weights, shutil.disk_usage(folder).free  # Adam keeps two more numbers per weight
    if free < need:
        raise OSError(
            f"{folder} has {free / 1e6:.0f} MB free, but checkpoints need {need / 1e6:.0f} MB; make room"
        )


def _digest(facts: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _difference(name: str, old: Any, new: Any) -> str:
    """Which part of a fact differs, for an error message."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in new:
            if old.get(key) != new[key]:
                return _difference(f"{name} {key}" if name else key, old.get(key), new[key])
    return f"its {name} is {old!r}, not {new!r}"
