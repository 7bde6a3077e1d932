"""Batches on a second stream: what must wait for what, and that nothing is believed that was not tried."""

import contextlib
import itertools
import warnings
from functools import partial

import pytest
import torch
from tiny_model import assert_same, noise, tiny, weights

from simmim_lab import autotune, prefetch, training
from simmim_lab.hardware import Execution
from simmim_lab.loop import Run, parameter_groups, step_generator
from simmim_lab.prefetch import on_side_stream
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, draw_mask, pretrain

WHOLE = slice(None)


class Stream:
    """A CUDA stream that knows what was started on it, or elsewhere before something that it has waited for."""

    def __init__(self):
        self.done: set[str] = set()

    def start(self, operation: str) -> set[str]:
        """Returns what is over when the operation begins."""
        before = set(self.done)
        self.done.add(operation)
        return before

    def record_event(self) -> set[str]:
        return set(self.done)

    def wait_event(self, event: set[str]) -> None:
        self.done |= event

    def wait_stream(self, stream: "Stream") -> None:
        self.done |= stream.done


@pytest.fixture
def current(monkeypatch) -> list[Stream]:
    """The streams that are current, the innermost last."""
    streams = [Stream()]

    @contextlib.contextmanager
    def stream(inner):
        streams.append(inner)
        try:
            yield
        finally:
            streams.pop()

    monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams[-1])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    return streams


def drawing(current: list[Stream], before: dict[str, set[str]], count: int = 5):
    """A `draw` of `count` batches, which are numbers, that notes what was over before each."""

    def draw(first, share):
        for number in range(first, count):
            before[f"draw {number}"] = current[-1].start(f"draw {number}")
            yield number

    return draw


def test_a_batch_is_drawn_while_the_step_before_it_runs_and_waits_for_the_one_before_that(current):
    before: dict[str, set[str]] = {}
    seen = []
    for number in prefetch._beside(Stream(), drawing(current, before), 0, WHOLE):
        before[f"step {number}"] = current[-1].start(f"step {number}")
        seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    for k in range(5):
        assert f"draw {k}" in before[f"step {k}"]  # a step sees its batch
        assert f"step {k - 1}" not in before[f"draw {k}"]  # side by side
    for k in range(2, 5):
        assert f"step {k - 2}" in before[f"draw {k}"]  # whose batch's memory may be used again
    assert len(current) == 1


def test_a_batch_lives_until_the_next_one_is_drawn(current):
    alive: set[int] = set()

    class Held:
        def __init__(self, number):
            self.number = number
            alive.add(number)

        def __del__(self):
            alive.discard(self.number)

    def draw(first, share):
        for number in range(4):
            assert number == 0 or number - 1 in alive
            yield Held(number)

    for batch in prefetch._beside(Stream(), draw, 0, WHOLE):
        number = batch.number
        del batch
        assert alive == {number}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_goes_wrong_in_drawing_comes_through_where_it_would_have_come(current, error):
    def draw(first, share):
        yield 0
        raise error("broken")

    batches = prefetch._beside(Stream(), draw, 0, WHOLE)
    assert next(batches) == 0
    with pytest.raises(error, match="broken"):
        next(batches)
    assert len(current) == 1  # the second stream is no longer current


def test_who_leaves_early_closes_the_drawing(current):
    closed = []

    def draw(first, share):
        try:
            yield from range(9)
        finally:
            closed.append(True)

    batches = prefetch._beside(Stream(), draw, 0, WHOLE)
    next(batches)
    batches.close()
    assert closed == [True]


@pytest.mark.parametrize("stop", [None, KeyboardInterrupt, ValueError])
def test_a_training_is_the_same_on_two_streams_also_when_it_is_interrupted(current, monkeypatch, tmp_path, stop):
    def interrupt(step, model, history):
        if stop and step == 3 and first:
            raise stop

    recipe = Recipe(steps=5, batch_size=8, mask="mixture", mask_size=(4, 8), save_every=0.0)
    plain, beside = tiny(), tiny()
    pretrain(plain, noise(), recipe, progress=False)
    monkeypatch.setattr(
        training, "on_side_stream", lambda draw, dataset, run: partial(prefetch._beside, Stream(), draw)
    )
    for first in (True, False):
        with pytest.raises(stop) if stop and first else contextlib.nullcontext():
            pretrain(beside, noise(), recipe, run_dir=tmp_path, callbacks=[interrupt], progress=False)
    assert_same(weights(plain), weights(beside))


def run_of(model: SimMIM) -> Run:
    recipe, execution = Recipe(steps=1, batch_size=8), Execution(accumulation_steps=2)
    return Run(model, recipe, execution, parameter_groups, {}, None)


def test_without_a_gpu_nothing_changes():
    def draw(first, share):
        return iter(())

    assert on_side_stream(draw, noise(), run_of(tiny())) is draw


def masked(first: int, share: slice):
    """Batches as pre-training draws them."""
    images, recipe, model = noise(), Recipe(steps=1, mask="mixture", mask_size=4), tiny()
    for step in itertools.count(first):
        batch = images.batch(8, step_generator(0, step, 0))
        mask = draw_mask(model, batch, recipe, step_generator(0, step, 1))
        yield (batch[share], mask[share]), mask.sum()


def dimmed(first: int, share: slice):
    for (batch, mask), weight in masked(first, share):
        yield (0.9 * batch, mask), weight


def broken(first: int, share: slice):
    raise RuntimeError("no such stream")


@pytest.mark.parametrize(
    ("beside", "gain", "warning"),
    [
        (masked, 1.5, None),
        (masked, 1.01, "trains without a second stream .1.01 times as fast"),
        (dimmed, 1.5, "trains without a second stream .*numbers are .*% off"),
        (broken, 1.5, "trains without a second stream .*no such stream"),
    ],
    ids=["right and fast", "no faster", "other images", "broken"],
)
def test_a_second_stream_must_prove_itself(monkeypatch, beside, gain, warning):
    times = iter([gain, 1.0, gain])  # plain, beside, plain
    monkeypatch.setattr(autotune, "applies", lambda device: True)
    monkeypatch.setattr(autotune, "seconds", lambda call: next(times))
    monkeypatch.setattr(prefetch, "_beside", lambda side, draw, *rest: beside(*rest))
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    model = tiny()
    before = weights(model)
    with pytest.warns(UserWarning, match=warning) if warning else warnings.catch_warnings(action="error"):
        found = on_side_stream(masked, noise(), run_of(model))(3, slice(1, None, 2))
    plain = masked(3, slice(1, None, 2))
    for (batch, weight), (expected, expected_weight) in itertools.islice(zip(found, plain, strict=False), 3):
        assert all(map(torch.equal, batch, expected)) and weight == expected_weight
    assert_same(before, weights(model))
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


def test_a_trial_that_needs_too_much_memory_is_left_to_the_step_which_gives_advice(monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(autotune, "applies", lambda device: True)
    monkeypatch.setattr(prefetch, "_try_out", full)
    model = tiny()
    with pytest.warns(UserWarning, match="trains without a second stream"):
        (batch, _), _ = next(on_side_stream(masked, noise(), run_of(model))(0, WHOLE))
    assert len(batch) == 8 and model.training
