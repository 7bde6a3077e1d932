"""The ladder of speed-ups: every rung trains, and all make batches of the same kind."""

import pytest
import torch

from simmim_lab import speedups
from simmim_lab.images import load
from simmim_lab.speedups import RUNGS, climb, loaded, resident

CPU = torch.device("cpu")


def test_a_cpu_climbs_all_rungs_but_that_of_16_bits():
    rates = climb("vit_nano", load("scenes", "val"), 8, CPU, steps=1, top="fused AdamW")
    assert list(rates) == [rung for rung in RUNGS[:-1] if rung != "16 bits"]
    assert all(rate > 0 for rate in rates.values())


def test_the_last_rung_compiles(monkeypatch):
    seen = []
    monkeypatch.setattr(speedups, "compiled", lambda model, batch: seen.append(batch) or model)
    climb("vit_nano", load("scenes", "val"), 8, CPU, steps=1)
    [(images, mask)] = seen
    assert images.shape == (8, 3, 32, 32) and mask.shape == (8, 8, 8)


@pytest.mark.parametrize("make", [resident, loaded])
def test_both_ways_make_images_and_masks_of_their_own(make):
    images, mask = next(make(load("scenes", "val"), 16, (8, 8), CPU))
    assert images.shape == (16, 3, 32, 32) and 0 <= images.min() < images.max() <= 1
    assert mask.dtype == torch.bool and (mask.sum((1, 2)) == 40).all()  # ceil(0.6 * 16) cells of 4 patches
    assert len(mask.flatten(1).unique(dim=0)) > 8
