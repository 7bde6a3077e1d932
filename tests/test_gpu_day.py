"""A day with a GPU, on a machine without one: its order, what does not stop it, and that it goes on."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import cifar10_race
import gpu_day
import gpu_parts
import numpy as np
import pretrain_step
import pytest
import torch
from apart import Apart
from gpu_parts import Day, Part
from PIL import Image

from simmim_lab import hardware
from simmim_lab.generation import MaskGIT
from simmim_lab.simmim import SimMIM

ROOT = Path(__file__).parents[1]
BARE = """
import importlib.metadata, socket, sys, time

class Missing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"no {{name}} here", name=name)

def offline(*arguments):
    raise OSError("there is no network here")

def not_installed(name, version=importlib.metadata.version):
    if name == "simmim-lab":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

sys.meta_path.insert(0, Missing())
socket.socket.connect, importlib.metadata.version = offline, not_installed
sys.path.insert(0, "benchmarks")
import gpu_day
from gpu_parts import Part

words = ["--quick", "--out", sys.argv[1], "--only"]
assert gpu_day.main([*words, "drawing"]) == 0
gpu_day.PARTS["hangs"] = Part(1.0, lambda day: time.sleep(100))
gpu_day.main([*words, "hangs", "--minutes", "0.01"])
"""
ABSENT = {"ipywidgets", "anywidget", "IPython", "matplotlib", "timm", "transformers", "jupyterlab", "nbformat"}


@pytest.fixture(autouse=True)
def threads():
    """A benchmark sets the number of threads, which belongs to all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def day(tmp_path):
    return Day(torch.device("cpu"), "scenes", 1.0, True, tmp_path / "CPU", tmp_path / "runs", "a command")


def written(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


# The day


def test_parts_follow_each_other_in_the_time_and_none_stops_the_next(tmp_path, monkeypatch, capsys):
    wanted = {"first": 2.0, "done": 2.0, "fails": 3.0, "long": 9.0, "last": 4.0}
    monkeypatch.setattr(gpu_day, "PARTS", {name: Part(minutes, None) for name, minutes in wanted.items()})
    clock, began = SimpleNamespace(monotonic=lambda: clock.now, now=0.0), []

    def run(words, check):
        name, minutes = words[words.index("--only") + 1], float(words[words.index("--minutes") + 1])
        began.append((name, minutes))
        clock.now += 60 * minutes
        return SimpleNamespace(returncode=int(name == "fails"))

    monkeypatch.setattr(gpu_day, "time", clock)
    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "CPU").mkdir()
    (tmp_path / "CPU" / "day.json").write_text('{"done": {"done": true}, "first": {"done": false}}')
    assert gpu_day.main(["--quick", "--minutes", "8", "--out", str(tmp_path)]) == 1
    assert began == [("first", 2.0), ("fails", 3.0), ("last", 2.83)], "the last one has what is left, less a start"
    assert "long: wants 9 minutes, but 2.8 are left" in capsys.readouterr().out


def test_a_part_that_fails_keeps_what_it_found_and_is_noted(day, monkeypatch, capsys):
    def fails(day):
        day.add("fails", found=1)
        raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")

    monkeypatch.setattr(gpu_day, "PARTS", {"fails": Part(1.0, fails), "works": Part(1.0, lambda day: True)})
    assert (gpu_day.one_part("works", day), gpu_day.one_part("fails", day)) == (0, 1)
    noted = gpu_day.log(day.folder)
    assert noted["works"]["done"] and not noted["fails"]["done"]
    assert noted["fails"]["error"] == "RuntimeError: CUDA error: an illegal memory access"
    assert written(day.folder, "fails")["found"] == 1 and "was encountered" in capsys.readouterr().err


def test_without_widgets_network_or_installation_it_runs_and_what_hangs_is_ended(tmp_path):
    start = time.monotonic()
    words = [sys.executable, "-c", BARE.format(absent=ABSENT), str(tmp_path)]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert run.returncode == 1 and "Timeout (0:00:00.6" in run.stderr, run.stderr
    assert time.monotonic() - start < 100
    assert written(tmp_path / "CPU", "day")["drawing"]["done"]
    found = written(tmp_path / "CPU", "drawing")
    assert found["milliseconds"].keys() >= {"crops", "mixture mask", "block mask"}
    assert all(rate > 0 for rate in found["images_per_second"].values()) and len(found["images_per_second"]) == 2


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(gpu_day, "best_device", lambda: torch.device("mps"))
    with pytest.raises(SystemExit) as end:
        gpu_day.main([])
    assert end.value.code == 1 and "There is no GPU for this, only mps" in capsys.readouterr().err


# Its parts


def test_the_model_is_kept_in_8_bits_and_scored_beside_the_shipped_one(day):
    assert gpu_parts.model(day)
    found = written(day.folder, "model")
    for scores in found["masks"].values():
        assert list(scores) == ["new", "shipped", "lmmse", "biharmonic"]
        assert scores["new"] != scores["shipped"]
    model = SimMIM.load(day.folder / "model")
    assert model.patch == 4 and found["bytes"] < 4 * sum(weight.numel() for weight in model.parameters()) / 2
    assert found["steps"] > 0


def test_limits_are_tried_once(day, monkeypatch):
    assert gpu_parts.limits(day)
    found = written(day.folder, "limits")
    assert found["resumed"]["largest_difference"] == 0 and found["resumed"]["read_at_steps"] == [25, 26, 30]
    assert found["all settings"]["plain"]["loss"] == found["all settings"]["all"]["loss"] == found["fp16"]["loss"]
    assert found["fp16"]["loss"] < found["fp16"]["first_loss"]
    monkeypatch.setattr(gpu_parts, "short", None)
    assert gpu_parts.limits(day)


@pytest.mark.parametrize("works", [True, False])
def test_advice_is_followed_where_the_memory_is_too_small(day, monkeypatch, works):
    seen = []

    def short(day, images, execution=hardware.Execution(), **changes):
        seen.append(execution.accumulation_steps)
        if len(seen) == 1 or not works:
            raise MemoryError("out of memory: about 300 fit. Take accumulation_steps=16, or a smaller batch")
        return None, SimpleNamespace(loss=[1.0, 1.0, 1.0])

    day.device = torch.device("cuda")
    monkeypatch.setattr(gpu_parts, "short", short)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (80e9, 81e9))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch, "empty", lambda size, **options: seen.clear())
    found = gpu_parts.small_memory(day, None)
    assert seen == [1, 16] and found["worked"] is works and "about 300 fit" in found["advice"]


@pytest.mark.verify
def test_a_generator_of_classes_is_read_by_a_classifier(day):
    assert gpu_parts.classes(day)
    found = written(day.folder, "classes")
    assert [row["guidance"] for row in found["samples"]] == [0.0, 1.0, 2.0, 4.0]
    assert all(0 <= row["read"] <= 1 and row["distance_to_training"] > 0 for row in found["samples"])
    assert found["worth_shipping"] is False and 0 <= found["reads_real"] <= 1
    assert MaskGIT.load(day.folder / "classes").vocabulary.keys() == {"class"}


def test_the_race_goes_on_with_the_next_seed(day, monkeypatch):
    def run(words):
        seed, out = int(words[words.index("--seeds") + 1]), Path(words[words.index("--out") + 1])
        found = json.loads(out.read_text())
        found["rows"] += [{"seed": seed} for _ in range(next(rows_until_the_cut))]
        minutes.append(words[words.index("--minutes") + 1])
        out.write_text(json.dumps(found))

    monkeypatch.setattr(cifar10_race, "main", run)
    rows_until_the_cut, minutes, ends = iter((1, 3, 4, 4)), [], []
    day.quick = False
    for day.minutes in (3.1, 2.0, 4.0, 4.0, 4.0):
        ends.append(gpu_parts.race(day))
    assert ends == [False, True, True, True, True] and set(minutes) == {"3.1"}, "else they do not compare"
    assert [row["seed"] for row in day.found("race")["rows"]] == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.verify
def test_the_whole_day_in_small(tmp_path):
    words = [sys.executable, "benchmarks/gpu_day.py", "--quick", "--out", str(tmp_path)]
    assert subprocess.run(words, cwd=ROOT, timeout=1800).returncode == 0
    noted = written(tmp_path / "CPU", "day")
    assert list(noted) == list(gpu_parts.PARTS) and all(part["done"] for part in noted.values())
    again = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert again.stdout.count("done before") == len(gpu_parts.PARTS)


# What they stand on


class Here:
    """In place of `Apart`: all in this process."""

    def __init__(self):
        self.kept = {}

    def submit(self, name, function, *arguments):
        pretrain_step.prepared, future = self.kept.get(name), Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        self.kept[name] = pretrain_step.prepared
        return future

    def restart(self, name):
        self.kept.pop(name)


@pytest.mark.parametrize("sizes", [(16, 4, 32, 1, 2), (48, 4, 16, (1, 1), (1, 2))], ids=["vit", "swin"])
def test_models_take_turns_apart_and_one_that_fails_stops_no_other(sizes, monkeypatch):
    pytest.importorskip("timm")
    monkeypatch.setattr(pretrain_step, "installed", lambda peer: peer == "timm")
    monkeypatch.setattr(pretrain_step, "TURN", 0.01)
    tries = []

    def fails(sizes):
        tries.append(sizes)
        raise MemoryError("no room\nfor details")

    monkeypatch.setattr(pretrain_step, "TimmSimMIM" if isinstance(sizes[3], int) else "TimmSwinSimMIM", fails)
    errors = {}
    setting = sizes, 4, "fp32", False, torch.device("cpu")
    times, facts = pretrain_step.far_apart(Here(), setting, 2, errors)
    assert errors == {"timm": "MemoryError: no room"} and len(tries) == 2, "once with the others, and once alone"
    assert times.keys() == {"equal", "preset", "trained"} and all(len(turns) == 2 for turns in times.values())
    assert all(sum(shares.values()) == pytest.approx(1, abs=0.01) for shares in facts["time_shares"].values())


def test_a_swin_of_the_peers_is_the_course_s():
    pytest.importorskip("timm")
    pytest.importorskip("transformers")
    sizes = (48, 4, 16, (1, 1), (1, 2))
    contestants = pretrain_step.contestants(sizes, *pretrain_step.example(sizes, 2, "cpu"))
    models = {name: build(sizes).eval() for name, (build, *_) in contestants.items()}
    counts = {sum(weight.numel() for weight in model.parameters()) for model in models.values()}
    assert len(counts) == 1 and list(models) == ["transformers", "timm", "equal", "preset"]
    theirs, ours = models["timm"], models["preset"]
    weights = dict(ours.state_dict())
    theirs.swin.load_state_dict(
        {name.removeprefix("encoder.backbone."): w for name, w in weights.items() if ".backbone." in name}
    )
    theirs.mask_token.data, head = weights["encoder.mask_token"], theirs.head[0]
    head.weight.data, head.bias.data = (w for name, w in weights.items() if name.startswith("decoder."))
    losses = [models[name](*contestants[name][1:])[0] for name in ("timm", "preset")]
    torch.testing.assert_close(*losses)


def test_rows_of_a_gpu_are_written_one_by_one_and_not_measured_again(tmp_path, monkeypatch, capsys):
    """Without errors, and on the same machine; then the best of each side is compared."""
    rates, left = {"timm": 2.0, "trained": 1.0}, [1000.0] * 3 + [0.0]
    measured = []

    def far_apart(apart, setting, rounds, errors):
        *_, compiled, _ = setting
        measured.append(setting)
        if len(measured) == 2:
            errors["timm"] = "no room"
        return {name: [seconds / (1 + 2 * compiled)] for name, seconds in rates.items()}, {"tuned": []}

    monkeypatch.setattr(pretrain_step, "far_apart", far_apart)
    monkeypatch.setattr(pretrain_step, "matmul_rate", lambda device, dtype: 1e12)
    monkeypatch.setattr(pretrain_step.hardware, "precision", lambda device: torch.float16)
    monkeypatch.setattr(Apart, "left", lambda self: left.pop(0) if left else 1000.0)
    sizes = {"vit": ((8, 4, 8, 1, 1), 10), "swin": ((8, 4, 8, (1,), (1,)), 10)}
    monkeypatch.setattr(pretrain_step, "GPU_MODELS", sizes)
    args = SimpleNamespace(out=tmp_path / "step.json", minutes=1, rounds=1)
    pretrain_step.race_on_gpu({"gpu": "H100", "torch": "2"}, args)
    assert len(measured) == 3 and "Time is over" in capsys.readouterr().out
    pretrain_step.race_on_gpu({"gpu": "H100", "torch": "2"}, args)
    rows = written(tmp_path, "step")["steps"]
    assert len(measured) == 5 and not any(row["errors"] for row in rows)
    assert {(row["model"], row["precision"], row["compiled"]) for row in rows} == {
        (name, "fp16", compiled) for name in sizes for compiled in (True, False)
    }
    assert written(tmp_path, "step")["best"]["vit"] == {"trained": 30, "peer": 15, "ratio": 2.0, "share": 0.0}
    pretrain_step.race_on_gpu({"gpu": "H200", "torch": "2"}, args)
    assert len(measured) == 9


def test_processes_are_kept_apart_and_end_by_themselves():
    with Apart(seconds=60) as apart:
        first, second, again = (apart.submit(name, os.getpid).result() for name in ("a", "b", "a"))
        assert first == again != second
        with pytest.raises(RuntimeError, match=r"^ValueError: invalid literal"):
            apart.submit("a", int, "x").result()
        with pytest.raises(BrokenProcessPool):
            apart.submit("a", os._exit, 1).result()
        assert apart.submit("a", os.getpid).result() != first
    with Apart(seconds=1) as apart, pytest.raises(BrokenProcessPool):
        apart.submit("a", time.sleep, 100).result(timeout=60)


@pytest.mark.parametrize("minutes, compile", [(3, False), (9, True)])
def test_a_race_fits_into_its_minutes_and_compiles_where_that_pays(minutes, compile):
    execution, first, second = cifar10_race.plan(60 * minutes, 1, 1, ("simmim", "scratch"), torch.device("cuda"))
    assert execution.compile is compile
    spent = 2 * first + 2 * second + compile * (2 * cifar10_race.COMPILING[0] + cifar10_race.COMPILING[1])
    assert 0.7 * 60 * minutes < spent < 60 * minutes - cifar10_race.LOADING
    execution, *_ = cifar10_race.plan(540, 1, 1, ("simmim", "scratch"), torch.device("cpu"))
    assert not execution.compile


def test_some_sheets_of_cifar10_keep_their_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_race, "SHEET", 4)
    np.save(tmp_path / "train_labels.npy", np.arange(12) % 10)
    for number in (0, 2):
        sheet = np.zeros((64, 64, 3), dtype=np.uint8)
        sheet[:32, 32:] = 31  # image 1 of each sheet
        Image.fromarray(sheet).save(tmp_path / f"train_{number}.webp", lossless=True)
    images = cifar10_race.five_bit(tmp_path, "train")
    assert images.labels.tolist() == [0, 1, 2, 3, 8, 9, 0, 1]
    assert images.pixels.flatten(1).amax(1).tolist() == [0, 255, 0, 0] * 2
