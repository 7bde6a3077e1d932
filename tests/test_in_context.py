"""Image to image: what stands where on a canvas, what is hidden, and that the answer follows the example."""

import pytest
import torch

from simmim_lab.decoders import LinearDecoder
from simmim_lab.images import ImageSet
from simmim_lab.in_context import (
    TASKS,
    PairEncoder,
    answer,
    answer_mask,
    answers_of,
    canvas,
    draw_canvases,
    grey,
    train_in_context,
)
from simmim_lab.recipe import Schedule
from simmim_lab.simmim import SimMIM

SEED = torch.Generator().manual_seed


def build(side: int = 16) -> SimMIM:
    torch.manual_seed(0)
    encoder = PairEncoder(side, patch=4, dim=32, depth=2, heads=2)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride))


@pytest.fixture(scope="module")
def pairs() -> torch.Tensor:
    return torch.rand(6, 2, 3, 8, 8, generator=SEED(1))


def test_the_example_is_above_and_answers_are_on_the_right():
    inputs, answers = torch.rand(2, 4, 2, 3, 8, 12, generator=SEED(0))
    sheet = canvas(inputs, answers)
    assert sheet.shape == (4, 3, 16, 24)
    assert torch.equal(sheet[..., :8, :12], inputs[:, 0]) and torch.equal(sheet[..., :8, 12:], answers[:, 0])
    assert torch.equal(sheet[..., 8:, :12], inputs[:, 1]) and torch.equal(answers_of(sheet), answers[:, 1])


def test_the_answer_to_the_query_is_hidden_and_nothing_else():
    mask = answer_mask(3, (4, 6))
    assert mask.shape == (3, 4, 6) and mask[:, 2:, 3:].all() and mask.sum() == 3 * 2 * 3


@pytest.mark.parametrize("task", TASKS)
def test_a_task_makes_inputs_and_answers_and_leaves_the_pictures_as_they_are(task, pairs):
    before = pairs.clone()
    inputs, answers = TASKS[task](pairs, SEED(0))
    assert inputs.shape == answers.shape == pairs.shape and torch.equal(pairs, before)
    assert min(inputs.min(), answers.min()) >= 0 and max(inputs.max(), answers.max()) <= 1 + 1e-6


def test_grey_has_the_brightness_of_the_picture_in_all_colours():
    red, white = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    red[:, 0] = 1
    torch.testing.assert_close(grey(white), white)
    torch.testing.assert_close(grey(red), torch.full((1, 3, 1, 1), 0.299))


def test_sharpen_shows_one_colour_for_each_square(pairs):
    inputs, answers = TASKS["sharpen"](pairs, SEED(0))
    assert torch.equal(answers, pairs)
    squares = inputs.unflatten(-1, (2, 4)).unflatten(-3, (2, 4))
    torch.testing.assert_close(squares, squares.mean((-1, -3), keepdim=True).expand_as(squares))
    torch.testing.assert_close(inputs.mean((-1, -2)), pairs.mean((-1, -2)))


def test_a_print_has_the_same_two_colours_in_example_and_query_and_others_on_the_next_canvas(pairs):
    picture = pairs[:1, :1].expand_as(pairs)  # the same everywhere
    _, answers = TASKS["tone"](picture, SEED(0))
    assert torch.equal(answers[:, 0], answers[:, 1])
    assert len(answers[:, 0].flatten(1).unique(dim=0)) == len(pairs)
    again, other = (TASKS["tone"](picture, SEED(seed))[1] for seed in (0, 1))
    assert torch.equal(answers, again) and not torch.equal(answers, other)


def test_each_canvas_has_one_task_and_all_tasks_come_up():
    pictures = torch.rand(120, 3, 8, 8, generator=SEED(0))
    sheets = draw_canvases(pictures, SEED(0))
    assert sheets.shape == (60, 3, 16, 16)
    sharp = (sheets[..., 8:, :8] - pictures[1::2]).abs().amax((1, 2, 3)) > 0  # no input is the picture itself
    assert sharp.all()
    in_grey = (sheets[:, 0, 8:, :8] == sheets[:, 1, 8:, :8]).all((1, 2))
    in_colours = (answers_of(sheets) == pictures[1::2]).all((1, 2, 3))
    counts = (in_grey & in_colours).sum(), (~in_grey & in_colours).sum(), (in_grey & ~in_colours).sum()
    assert sum(counts) == 60 and min(counts) > 8


def test_what_is_hidden_is_not_seen_and_everything_else_is():
    model, sheets = build().eval(), torch.rand(2, 3, 16, 16, generator=SEED(0))
    first = answer(model, sheets)
    assert first.shape == (2, 3, 8, 8) and first.min() >= 0 and first.max() <= 1
    hidden = sheets.clone()
    answers_of(hidden).fill_(0.5)
    assert torch.equal(answer(model, hidden), first)
    for rows, cols in ((slice(8), slice(8)), (slice(8), slice(8, None)), (slice(8, None), slice(8))):
        changed = sheets.clone()
        changed[..., rows, cols] = 1 - changed[..., rows, cols]
        assert (answer(model, changed) - first).abs().amax() > 1e-4


def test_half_as_many_tokens_as_patches_and_a_whole_canvas_as_output():
    model, sheets = build(), torch.rand(2, 3, 16, 16, generator=SEED(0))
    assert model.grid(sheets) == (4, 4) and model.image_size == (16, 16)
    assert model.encoder.embed(sheets).shape == (2, 8, 32)
    loss, prediction = model(sheets, answer_mask(2, (4, 4)))
    assert prediction.shape == sheets.shape and loss > 0
    assert torch.equal(prediction[..., :8], prediction[..., 8:])


def test_a_hidden_input_and_another_size_are_told():
    model = build()
    with pytest.raises(ValueError, match="hide answers only"):
        model(torch.rand(1, 3, 16, 16), torch.ones(1, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"built for \(16, 16\) pixels"):
        model.encoder(torch.rand(1, 3, 16, 8))


def test_the_answer_follows_the_example():
    """Pictures of one grey each: what black and white become can be read in the example alone."""
    shades = torch.rand(400, 1, 1, 1, generator=SEED(0)).expand(400, 3, 8, 8)
    stripes = (shades + torch.linspace(0, 1, 8)) / 2  # so that each picture shows many greys
    dataset = ImageSet("stripes", "train", (255 * stripes).byte(), torch.zeros(400, dtype=torch.long), ())
    model = build()
    recipe = Schedule(steps=250, batch_size=32, crop_scale=None, lr=3e-3)
    history = train_in_context(model, dataset, recipe, progress=False)
    assert history.steps == 250 and sum(history.loss[-10:]) < sum(history.loss[:10]) / 2

    pictures = dataset.take(60).view(30, 2, 3, 8, 8)
    sheets = canvas(*TASKS["tone"](pictures, SEED(5)))
    own, truth = answer(model.eval(), sheets), answers_of(sheets)
    swapped = sheets.clone()
    swapped[..., :8, :] = sheets.roll(1, 0)[..., :8, :]  # the example of another canvas, with other colours
    others = answer(model, swapped)
    assert (own - truth).square().mean() < (others - truth).square().mean() * 2 / 3


def test_the_same_seed_gives_the_same_weights():
    dataset = ImageSet("noise", "train", torch.randint(256, (20, 3, 8, 8)).byte(), torch.zeros(20).long(), ())
    weights = []
    for _ in range(2):
        model = build()
        train_in_context(model, dataset, Schedule(steps=2, batch_size=4, crop_scale=None), progress=False)
        weights.append(torch.nn.utils.parameters_to_vector(model.parameters()))
    assert torch.equal(*weights)
