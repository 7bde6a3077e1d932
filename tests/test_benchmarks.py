"""The benchmarks that no other test runs: they run, and write what they measured."""

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from einops import rearrange

ROOT = Path(__file__).parents[1]


def run(name: str, *arguments: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments]
    subprocess.run(command, check=True, timeout=300, cwd=ROOT)


def test_the_data_pipelines_are_compared(tmp_path):
    run("data_pipeline", "--quick", "--out", str(tmp_path / "data.json"))
    results = json.loads((tmp_path / "data.json").read_text())
    for row in results["epoch"], results["masks"]:
        assert row["ours"] > 0 and row["one_by_one"] > 0 and row["ratio"] > 0


def test_the_exercises_are_measured(tmp_path):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[grading]'")
    run("exercises", "--seeds", "1", "--students", "1", "--out", str(tmp_path / "exercises.json"))
    results = json.loads((tmp_path / "exercises.json").read_text())
    assert results["total"]["caught"] == results["total"]["mutants"] > 0
    assert results["total"]["accepted"] == results["total"]["right"] > 0
    assert results["class"]["students"] == 1 and results["class"]["grade_seconds"] > 0


def test_the_steps_of_all_models_that_are_installed_are_timed(tmp_path):
    run("pretrain_step", "--quick", "--out", str(tmp_path / "step.json"))
    results = json.loads((tmp_path / "step.json").read_text())
    [row] = results["steps"]
    peers = [peer for peer in ("transformers", "timm", "lightly") if importlib.util.find_spec(peer)]
    assert row["errors"] == {} and (row["fastest_peer"] in peers or not peers)
    for name in (*peers, "equal", "preset"):
        assert row[name] > 0 and 0 < row[f"{name}_share"] < 1
        assert not peers or row[f"{name}_ratio"] > 0
    assert all(results["packages"][peer] for peer in peers) and results["load"] >= 0


@pytest.fixture
def pretrain_step():
    threads = torch.get_num_threads()
    yield runpy.run_path(ROOT / "benchmarks" / "pretrain_step.py")
    torch.set_num_threads(threads)


def test_a_missing_peer_is_named_and_one_that_fails_stops_no_other(pretrain_step, tmp_path, capsys, monkeypatch):
    def fails(sizes):
        raise MemoryError("no room\nfor details")

    names = pretrain_step["main"].__globals__
    monkeypatch.setitem(names, "installed", lambda peer: peer == "timm")
    monkeypatch.setitem(names, "TimmSimMIM", fails)
    pretrain_step["main"](["--quick", "--out", str(tmp_path / "step.json")])
    results, printed = json.loads((tmp_path / "step.json").read_text()), capsys.readouterr().out
    assert results["missing"] == ["transformers", "lightly"] and "pip install lightly" in printed
    [row] = results["steps"]
    assert row["timm"] is None and row["errors"] == {"timm": "MemoryError: no room"}
    assert "timm: MemoryError: no room" in printed and row["equal"] > 0 and row["fastest_peer"] is None


@pytest.mark.parametrize("peer", ["timm", "lightly"])
def test_a_peer_with_the_weights_of_the_course_has_its_loss(pretrain_step, peer):
    """So it is the same network, on the same images under the same masks. test_parity.py has transformers."""
    pytest.importorskip(peer)
    torch.manual_seed(0)
    sizes, _ = pretrain_step["MODELS"]["vit_nano"]
    contestants = pretrain_step["contestants"](*pretrain_step["example"](sizes, 3, torch.device("cpu")))
    (build, *theirs), (build_ours, *ours) = contestants[peer], contestants["equal"]
    model, course = build(sizes), build_ours(sizes)
    with torch.no_grad():
        for parameter in course.parameters():  # nothing may stay 0 or 1: a missing bias or norm would not show
            parameter += 0.1 * torch.randn_like(parameter)
    copy_weights(course, model, peer)
    torch.testing.assert_close(model(*theirs)[0], course(*ours)[0], rtol=0, atol=1e-5)


@torch.no_grad()
def copy_weights(course, model, peer):
    """They are in nearly the same order. The peer's positions begin with one for the class token: zero here."""
    mask_token, cls_token, positions, *weights = course.parameters()
    if peer == "timm":
        weights = [mask_token, cls_token, positions, *weights]
    else:  # lightly has positions behind the patch embedding, and patches of (row, column, colour)
        *weights, weight, bias = weights
        head = (rearrange(x, "(c p q) ... -> (p q c) ...", p=model.patch, q=model.patch) for x in (weight, bias))
        weights = [mask_token, cls_token, *weights[:2], positions, *weights[2:], *head]
    for ours, theirs in zip(weights, model.parameters(), strict=True):
        class_position = torch.zeros(theirs.numel() - ours.numel())
        theirs.copy_(torch.cat([class_position, ours.flatten()]).view_as(theirs))
