"""The ladder of speed-ups: every rung trains, and all make batches of the same kind."""

import pytest
import torch

from simmim_lab import autotune, speedups
from simmim_lab.images import load
from simmim_lab.speedups import RUNGS, climb, loaded, resident

CPU = torch.device("cpu")


def test_a_cpu_climbs_all_rungs_but_those_of_gpus():
    rates = climb("vit_nano", load("scenes", "val"), 8, CPU, steps=1, top="fused AdamW")
    assert list(rates) == ["one by one", "in batches", "no waiting", "attention", "fused AdamW"]
    assert all(rate > 0 for rate in rates.values())


def test_the_last_rung_of_a_cpu_compiles(monkeypatch):
    seen = []
    monkeypatch.setattr(speedups, "compiled", lambda model, batch: seen.append(batch) or model)
    climb("vit_nano", load("scenes", "val"), 8, CPU, steps=1)
    [(images, mask)] = seen
    assert images.shape == (8, 3, 32, 32) and mask.shape == (8, 8, 8)


def test_the_rungs_of_gpus_change_attention_and_record_the_step(monkeypatch):
    fused, recorded = [], []

    def captured(step, example):
        losses = [step(*example) for _ in range(3)]
        assert losses[2] < losses[1] < losses[0] and not losses[0].requires_grad
        return lambda *batch: recorded.append(batch) or losses[0]

    monkeypatch.setattr(autotune, "captured", captured)
    monkeypatch.setattr(autotune, "fuse_attention", lambda model, batch, compile: fused.append(compile))
    changes = set(RUNGS) - {"compiled"}
    assert speedups.images_per_second(changes, "vit_nano", load("scenes", "val"), 8, CPU, steps=2) > 0
    assert fused == [False] and len(recorded) == speedups.WARM_UP + 2 * speedups.TURNS


def test_a_rung_that_fails_is_left_out(monkeypatch):
    def rate(changes, *arguments):
        if "fused AdamW" in changes:
            raise RuntimeError("not on this machine\nmore text")
        return 1.0

    monkeypatch.setattr(speedups, "images_per_second", rate)
    with pytest.warns(UserWarning, match="left out 'fused AdamW', which failed: not on this machine$"):
        rates = climb("vit_nano", load("scenes", "val"), 8, CPU, steps=1, top="fused AdamW")
    assert list(rates) == ["one by one", "in batches", "no waiting", "attention"]


@pytest.mark.parametrize("make", [resident, loaded])
def test_both_ways_make_images_and_masks_of_their_own(make):
    images, mask = next(make(load("scenes", "val"), 16, (8, 8), CPU))
    assert images.shape == (16, 3, 32, 32) and 0 <= images.min() < images.max() <= 1
    assert mask.dtype == torch.bool and (mask.sum((1, 2)) == 40).all()  # ceil(0.6 * 16) cells of 4 patches
    assert len(mask.flatten(1).unique(dim=0)) > 8
