"""Checkpoints: the state of a training in one file that can tell when it was damaged (lessons 05 and 06).

The file holds the tensors of the training, and in its header the facts of the run as JSON, with a SHA-256 over
everything. It is a safetensors file: nothing in it is ever executed.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from simmim_lab.distributed import distribute, gather
from simmim_lab.files import write_tensors

CHECKPOINT = "checkpoint.safetensors"  # in the folder of a run
FORMAT = "simmim_lab checkpoint 3"


def training_state(model: nn.Module, optimizer: Optimizer, average: nn.Module | None = None) -> dict[str, Tensor]:
    """All tensors of a training, whole and on the CPU. Among several processes, all must call this."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    return {name: gather(tensor).detach().cpu().contiguous() for name, tensor in tensors.items()}


def save_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors of `training_state` and the JSON-ready `facts` to `path`, whole or not at all."""
    text = json.dumps(facts)
    write_tensors(path, tensors, {"format": FORMAT, "facts": text, "sha256": digest(text, tensors)})


def load_checkpoint(path: Path, expected: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read and verify a checkpoint; return its facts and its tensors.

    `expected` are facts that must agree, such as the recipe. Raises ValueError that names the file if it is
    damaged, something else, or of another run.
    """
    remedy = "delete it to start anew, or choose another folder"
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            # Copied out of the mapped file: Windows lets nobody replace a file that is still mapped.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or is no checkpoint ({error}); {remedy}") from error
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by this version of simmim_lab's training; {remedy}")
    if header.get("sha256") != digest(header.get("facts", ""), tensors):
        raise ValueError(f"{path} was changed after it was written: its checksum does not fit; {remedy}")
    facts = json.loads(header["facts"])
    for name, value in json.loads(json.dumps(expected)).items():
        if facts.get(name) != value:
            raise ValueError(f"{path} is of another run: {_difference(name, facts.get(name), value)}; {remedy}")
    return facts, tensors


def restore(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: Optimizer, average: nn.Module | None = None
) -> None:
    """Put the tensors of a checkpoint back where `training_state` took them."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "average": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    places = model.state_dict()
    model.load_state_dict({name: distribute(t, places[name]) for name, t in parts["model"].items()})
    if average is not None:
        average.load_state_dict(parts["average"])

    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        tensor = distribute(tensor, parameter)
        if tensor.shape == parameter.shape:  # fused AdamW wants the layout of the weight, such as channels last
            tensor = torch.empty_like(parameter).copy_(tensor)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other trainings out of `folder`; the lock dies with its process.

    Raises BlockingIOError if another training holds it. A file system that knows no locks has none.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BlockingIOError(
            f"another training is at work in {folder}: wait until it has ended, or choose another folder"
        ) from None
    except (OSError, NotImplementedError):  # such as a network drive
        pass
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it at the release
            (folder / ".lock").unlink()
        lock.release()


def check_room(folder: Path, model: nn.Module, average: bool = False) -> None:
    """Raise OSError unless `folder` has room for two checkpoints: the old one stays until the new one is whole.

    With an `average` of the weights a checkpoint holds it, too.
    """
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    numbers = 4 if average else 3  # for each weight: Adam keeps two more
    need, free = 2 * numbers * weights, shutil.disk_usage(folder).free
    if free < need:
        raise OSError(
            f"{folder} has {free / 1e6:.0f} MB free, but checkpoints need {need / 1e6:.0f} MB: make room"
        )


def digest(facts: str, tensors: dict[str, Tensor]) -> str:
    """A SHA-256 over a text, and the names, forms and numbers of tensors on the CPU."""
    sha = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.numpy().tobytes())
    return sha.hexdigest()


def _difference(name: str, old: Any, new: Any) -> str:
    """Which part of a fact differs, for an error message."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in new:
            if old.get(key) != new[key]:
                return _difference(f"{name} {key}" if name else key, old.get(key), new[key])
    return f"its {name} is {old!r}, not {new!r}"
