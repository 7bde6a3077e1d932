"""Clips, masks over space and time, the fills that learn nothing, and the network that learns."""

import pytest
import torch
from safetensors import safe_open
from torch import Generator

from simmim_lab.data.scenes import COLORS, SUBJECTS, draw_clips
from simmim_lab.recipe import Schedule
from simmim_lab.video import (
    MASKS,
    WEIGHTS,
    VideoMIM,
    follow,
    hidden_pixels,
    landscape,
    moving,
    nearest_frame,
    pretrain,
    tube_mask,
)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def drawn():
    return draw_clips(40, generator=seeded())


@pytest.fixture(scope="module")
def clips(drawn):
    return drawn.float() / 255


@pytest.fixture(scope="module")
def ground(drawn):
    return landscape(drawn)


def small(**sizes) -> VideoMIM:
    torch.manual_seed(0)
    return VideoMIM(dim=16, depth=2, **sizes)


def test_a_thing_slides_sideways_before_what_stands_still(clips, ground):
    where = moving(clips, ground)
    assert where[:, 3].flatten(1).any(1).all(), "in the middle the thing is seen"
    columns = where.any(2).float()
    left, right = columns.argmax(-1), 31 - columns.flip(-1).argmax(-1)
    for first, last in zip(left.tolist(), right.tolist(), strict=True):
        steps = [
            first[t + 1] - first[t] for t in range(5) if first[t] and first[t + 1] and max(last[t : t + 2]) < 31
        ]
        assert steps and max(abs(abs(step) - 4) for step in steps) <= 1 and len({step > 0 for step in steps}) == 1


def test_clips_depend_on_the_generator_alone():
    few, many = draw_clips(3, generator=seeded(1)), draw_clips(3, generator=seeded(1))
    assert torch.equal(few, many) and not torch.equal(few, draw_clips(3, generator=seeded(2)))
    assert few.shape == (3, 6, 3, 16, 32) and few.dtype == torch.uint8
    assert torch.equal(*draw_clips(1, frames=2, speed=0, generator=seeded())[0])
    with pytest.raises(ValueError, match="frames must be a whole number"):
        draw_clips(3, frames=0, generator=seeded())


def test_every_thing_comes_in_many_colours():
    clips = draw_clips(300, frames=1, generator=seeded())
    assert len(clips.flatten(1).unique(dim=0)) > 6 * len(SUBJECTS) * len(COLORS)


@pytest.mark.parametrize("name", MASKS)
def test_masks_hide_what_their_names_say(name):
    mask = MASKS[name](50, 6, (4, 8), 0.7, seeded())
    assert mask.shape == (50, 6, 4, 8) and mask.dtype == torch.bool
    frames = mask.sum((2, 3))
    assert (frames == (torch.tensor([0, 0, 0, 0, 0, 32]) if name == "last frame" else 23)).all()
    assert (mask[:, :1] == mask).all() == (name == "tubes")
    assert (mask[:1] == mask).all() == (name == "last frame")
    assert torch.equal(mask, MASKS[name](50, 6, (4, 8), 0.7, seeded()))


def test_pixels_of_a_mask():
    mask = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    mask[0, 1, 0, 1] = True
    hidden = hidden_pixels(mask, 3)
    assert hidden.shape == (1, 2, 6, 6) and hidden.sum() == 9 and hidden[0, 1, :3, 3:].all()


def test_the_nearest_frame_that_shows_a_place(ground):
    clips = torch.arange(5.0).view(1, 5, 1, 1, 1).expand(1, 5, 3, 1, 4) / 10
    hidden = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    filled = nearest_frame(clips, hidden.T[None, :, None], torch.full((3, 1, 4), 0.9))
    expected = torch.tensor([[1, 1, 2, 3, 4], [0, 0, 2, 2, 4], [3, 3, 3, 3, 4], [9, 9, 9, 9, 9]]) / 10
    torch.testing.assert_close(filled[0, :, 0, 0].T, expected)


def test_no_fill_looks_at_what_is_hidden(clips, ground):
    mask = tube_mask(len(clips), 6, (4, 8), 0.75, seeded())
    hidden = hidden_pixels(mask, 4)
    other = torch.where(hidden[:, :, None], 0.123, clips)
    for fill in (nearest_frame, follow):
        filled = fill(clips, hidden, ground)
        torch.testing.assert_close(fill(other, hidden, ground), filled)
        assert torch.equal(torch.where(hidden[:, :, None], 0, filled), torch.where(hidden[:, :, None], 0, clips))
    model = small().eval()
    torch.testing.assert_close(model.reconstruct(other, mask), model.reconstruct(clips, mask))


def test_copies_in_time_see_nothing_behind_tubes(clips, ground):
    hidden = hidden_pixels(tube_mask(len(clips), 6, (4, 8), 0.75, seeded()), 4)
    assert torch.equal(nearest_frame(clips, hidden, ground), torch.where(hidden[:, :, None], ground, clips))


def test_motion_that_is_followed_predicts_the_next_frame(clips, ground):
    hidden = hidden_pixels(MASKS["last frame"](len(clips), 6, (4, 8), 1.0, seeded()), 4)
    thing = (hidden & moving(clips, ground))[:, -1]
    errors = [
        (fill(clips, hidden, ground) - clips)[:, -1].square().mean(1)[thing].mean()
        for fill in (follow, nearest_frame)
    ]
    assert errors[0] < errors[1] / 20


@pytest.mark.parametrize("hides_in_time", [True, False])
def test_what_is_seen_in_another_frame_reaches_a_hidden_patch(clips, hides_in_time):
    """Two blocks suffice: one over space, one over time."""
    model = small().eval()
    mask = torch.zeros(1, 6, 4, 8, dtype=torch.bool)
    mask[0, 2 if hides_in_time else slice(None), 1, 1] = True
    one, other = clips[:1], clips[:1].clone()
    other[0, 5, :, 12:, 28:] = 0  # another frame, another place
    (_, first), (_, second) = model(one, mask), model(other, mask)
    assert (first - second)[0, 2, :, 4:8, 4:8].abs().max() > 1e-6


def test_the_loss_counts_hidden_pixels_alone(clips):
    model = small().eval()
    mask = tube_mask(4, 6, (4, 8), 0.5, seeded())
    loss, prediction = model(clips[:4], mask)
    error = (prediction - (clips[:4] - model.mean) / model.std).square()
    hidden = hidden_pixels(mask, 4)[:, :, None].expand_as(error)
    torch.testing.assert_close(loss, error[hidden].mean())
    filled = model.reconstruct(clips[:4], mask)
    assert torch.equal(filled[~hidden], clips[:4][~hidden]) and not torch.equal(filled[hidden], clips[:4][hidden])


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((2, 6, 3, 16, 32), (2, 4, 8), "mask must be boolean"),
        ((2, 5, 3, 16, 32), (2, 5, 4, 8), "clips must have shape"),
        ((6, 3, 16, 32), (6, 4, 8), "clips must have shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape, mask, message):
    with pytest.raises(ValueError, match=message):
        small()(torch.zeros(shape), torch.zeros(mask, dtype=torch.bool))


def test_patches_must_tile_a_frame():
    with pytest.raises(ValueError, match="do not tile"):
        VideoMIM(image_size=(15, 32))


def test_it_learns_and_is_read_again(drawn, tmp_path):
    model = small()
    history = pretrain(
        model, drawn, Schedule(steps=60, batch_size=4, save_every=0), run_dir=tmp_path, progress=False
    )
    assert history.steps == 60 and sum(history.loss[-10:]) < 0.7 * sum(history.loss[:10])
    again = VideoMIM.load(tmp_path)
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_an_interrupted_training_goes_on_to_the_same_weights(drawn, tmp_path):
    def interrupt(step, model, history):
        if step == 25:
            raise KeyboardInterrupt

    recipe = Schedule(steps=30, batch_size=2, save_every=0)
    whole, cut = small(), small()
    pretrain(whole, drawn, recipe, run_dir=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        pretrain(cut, drawn, recipe, run_dir=tmp_path / "cut", callbacks=[interrupt], progress=False)
    cut = small()
    history = pretrain(cut, drawn, recipe, run_dir=tmp_path / "cut", progress=False)
    assert history.steps == 30
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="another"):
        pretrain(small(), drawn[:20], recipe, run_dir=tmp_path / "cut", progress=False)


def test_the_shipped_model_is_ahead_of_fills_that_do_not_learn(clips, ground):
    model = VideoMIM.pretrained().eval()
    mask = tube_mask(len(clips), 6, model.grid, 0.75, seeded())
    hidden = hidden_pixels(mask, model.patch)
    fills = [model.reconstruct(clips, mask), follow(clips, hidden, ground), clips.roll(1, 1), ground]
    thing = (hidden & moving(clips, ground))[:, 1:, None]  # the first frame has no frame before it
    learned, *others = ((thing * (fill - clips).square()[:, 1:]).sum() for fill in fills)
    assert learned < min(others) / 2


def test_the_shipped_weights_say_where_they_come_from():
    with safe_open(WEIGHTS / "model.safetensors", "pt") as file:
        card = file.metadata()
    assert card.keys() == {"model", "data", "training", "scores", "licence"} and all(card.values())
