"""Several processes, started by torchrun on the CPU, train like one; when one of them dies, the run can go on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_model import noise, tiny

from simmim_lab import distributed
from simmim_lab.checkpoints import CHECKPOINT, load_checkpoint
from simmim_lab.hardware import Execution
from simmim_lab.training import Recipe, pretrain

ROOT = Path(__file__).parents[1]
RECIPE = {"steps": 60, "batch_size": 16, "mask": "bernoulli", "val_every": 30, "save_every": 0.5}

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
WORKER = """
import json, os, sys, torch
from tiny_model import noise, tiny
from simmim_lab import distributed
from simmim_lab.hardware import Execution
from simmim_lab.training import Recipe, pretrain
def die(step, model, history):
    if distributed.rank() == 1 and step >= 50:
        raise RuntimeError("a GPU fell off the bus")
with distributed.process_group():
    recipe = Recipe(**json.loads(sys.argv[2]))
    callbacks = [die] if "die" in sys.argv else []
    options = {"val": noise(), "run_dir": sys.argv[1], "callbacks": callbacks, "progress": False}
    pretrain(tiny(), noise(), recipe, Execution(shard="shard" in sys.argv), **options)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="PyTorch on Windows lacks what torchrun needs")


def torchrun(folder: Path, *words: str) -> subprocess.CompletedProcess:
    worker = folder.with_suffix(".py")
    worker.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(worker), str(folder), json.dumps(RECIPE), *words]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return pretrain(tiny(), noise(), Recipe(**RECIPE), val=noise(), run_dir=folder, progress=False), folder


def assert_same_run(folder: Path, alone) -> None:
    history, reference = alone
    got = json.loads((folder / "history.json").read_text())
    torch.testing.assert_close(torch.tensor(got["loss"]), torch.tensor(history.loss), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.tensor(got["val_loss"]), torch.tensor(history.val_loss), rtol=1e-4, atol=1e-5)
    weights, expected = load_file(folder / "model.safetensors"), load_file(reference / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("words", [(), ("shard",)])
def test_two_processes_take_the_steps_of_one(alone, tmp_path, words):
    done = torchrun(tmp_path / "run", *words)
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "run", alone)


def test_when_one_dies_the_job_stops_with_its_error_and_the_run_goes_on(alone, tmp_path):
    done = torchrun(tmp_path / "run", "die")
    assert done.returncode != 0 and "a GPU fell off the bus" in done.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()
    facts, _ = load_checkpoint(tmp_path / "run" / CHECKPOINT, {})
    assert facts["history"]["loss"] is not None  # whole: its digest agrees
    assert torchrun(tmp_path / "run").returncode == 0
    assert_same_run(tmp_path / "run", alone)


def test_the_command_of_the_readme_trains_with_two_processes(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    command += ["simmim_lab", "--", "pretrain", "--steps", "2", "--batch-size", "8", "--run", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Done: 2 steps") == 1  # one of them speaks
    assert (tmp_path / "model.safetensors").exists()


def test_seconds_and_odd_batches_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ValueError, match="need a length in steps"):
        pretrain(tiny(), noise(), Recipe(seconds=1))
    with pytest.raises(ValueError, match="batch_size 15 is not a multiple of 2 processes x 1 accumulation_steps"):
        pretrain(tiny(), noise(), Recipe(steps=1, batch_size=15))


def test_parts_add_up_to_the_whole(alone, tmp_path):
    pretrain(
        tiny(),
        noise(),
        Recipe(**RECIPE),
        Execution(accumulation_steps=4),
        val=noise(),
        run_dir=tmp_path,
        progress=False,
    )
    assert_same_run(tmp_path, alone)
