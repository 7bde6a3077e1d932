"""The checks of the exercises: every right answer passes, every wrong one is told its own mistake."""

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
import torch
from answers import RIGHT, WRONG, words
from filelock import FileLock

from simmim_lab import checks
from simmim_lab.checks import running
from simmim_lab.checks.core import (
    Answer,
    Between,
    Failed,
    check,
    compare,
    describe,
    distinct,
    explain,
    fair,
    first,
    form,
    telling,
)

SECONDS = 5.0  # of the processor: a busy machine changes little
SEED = 1  # of the hidden test in the suite, where a failure should mean a change; the catalogue tries many
SEEDS, FEWEST_SEEDS = 20, 5
LINES = 3  # of a failed property, under its name
NAMED = 0.8  # of the wrong answers to a task

# How a text begins that says what was seen, but not what the mistake is.
SEEN = re.compile(r"(value \d+ of \d+: |for [^:]+: )*(expected |\d+ of \d+ values|it stopped in|the call failed)")

TASKS = sorted(checks.TASKS)
CATALOGUE = Path(__file__).parents[1] / "results" / "exercises.json"


def nothing(*args, **kwargs):
    raise NotImplementedError()


ODD_VALUES = {
    "None": None,
    "a number": 7,
    "infinity": float("inf"),
    "a text": "mask",
    "an empty list": [],
    "an object": object(),
    "a class": torch.Tensor,
    "an empty tensor": torch.zeros(0),
    "NaN": torch.full((2, 3), torch.nan),
    "a mask of nothing": torch.zeros(2, 4, 4, dtype=torch.bool),
    "another device": torch.zeros(2, 3, 4, device="meta"),
    "a tensor that requires grad": torch.zeros(2, 3, requires_grad=True),
    "a huge tensor": torch.zeros(1).expand(10**12),
    "a list of tensors": [torch.zeros(2), torch.zeros(3)],
    "a complex number": 1j,
}


def name_of(answer) -> str:
    """Of a function, or of an object that is called like one."""
    return getattr(answer, "__name__", repr(answer))


def report(task: str, answer, seed: int = SEED) -> str:
    """What the hidden test says of an answer; "" if it passes."""
    try:
        checks.TASKS[task].grade(answer, seed)
    except Failed as failed:
        return str(failed)
    return ""


def failures(printed: str) -> list[tuple[str, str]]:
    """The properties of a report that do not hold: each with what is under it, both with their line breaks."""
    return re.findall(r"(?m)^  ✗ (.*(?:\n    \S.*)*)\n((?:      .*(?:\n|\Z))+)", printed)


@pytest.mark.parametrize("task", TASKS)
def test_every_right_answer_passes(task, capsys):
    for answer in RIGHT[task]:
        start = time.process_time()
        checks.TASKS[task](answer)
        printed, seconds = capsys.readouterr().out, time.process_time() - start
        assert "all checks here passed" in printed and "✗" not in printed, f"{name_of(answer)}: {printed}"
        assert seconds < SECONDS, f"{name_of(answer)}: {seconds:.1f} s"
        assert report(task, answer) == "", name_of(answer)
    assert len(RIGHT[task]) >= 4


@pytest.mark.parametrize("task", TASKS)
def test_every_wrong_answer_is_told_its_own_mistake(task, capsys):
    unnamed = []
    for answer, says in WRONG[task]:
        checks.TASKS[task](answer)
        printed = capsys.readouterr().out
        assert words(says) in words(printed), f"{name_of(answer)} should be told {says!r}: {printed}"
        told = failures(printed)
        assert told and max(text.count("\n") for _, text in told) <= LINES, printed
        if not any(words(says) in words(claim + text) and not SEEN.match(text.strip()) for claim, text in told):
            unnamed.append(f"{name_of(answer)}: {says}")
        hidden = report(task, answer)
        assert words(says) in words(hidden) and "seed" in hidden, f"{name_of(answer)}, hidden: {hidden}"
    assert len(WRONG[task]) >= 8
    assert len(unnamed) <= (1 - NAMED) * len(WRONG[task]), f"told without the name of their mistake: {unnamed}"
    assert len({says for _, says in WRONG[task]}) >= 6, "mistakes of different kinds need messages of their own"


@pytest.mark.verify
@pytest.mark.parametrize("task", TASKS)
def test_many_seeds_tell_right_answers_from_wrong_ones(task, pytestconfig):
    """`--seeds N` puts right answers to N seeds and wrong ones to a tenth of that; with `--record` it is kept."""
    seeds, folder = map(pytestconfig.getoption, ("--seeds", "--record"))
    row = judge(task, max((seeds or SEEDS) // 10, FEWEST_SEEDS), seeds or SEEDS)
    if seeds and folder:
        keep(folder / CATALOGUE.name, task, row)
    assert not row["missed"]


def keep(path: Path, task: str, row: dict[str, object]) -> None:
    """Write the row of a task into the catalogue, beside those of the other tasks."""
    from simmim_lab.teaching import results

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(Path(gettempdir()) / "simmim_lab_catalogue.lock"):
        rows = json.loads(path.read_text(encoding="utf-8"))["tasks"] if path.exists() else {}
        tasks = {name: known for name, known in sorted({**rows, task: row}.items()) if name in TASKS}
        results.write({**results.origin("make catalogue"), "tasks": tasks}, path)


@pytest.mark.parametrize("task", TASKS)
def test_the_catalogue_has_the_answers_of_today(task):
    row = json.loads(CATALOGUE.read_text(encoding="utf-8"))["tasks"].get(task, {})
    assert (row.get("wrong"), row.get("right")) == (len(WRONG[task]), len(RIGHT[task])), (
        f"other answers than in {CATALOGUE.name}: run `make catalogue ONLY={task}`"
    )
    assert not row["missed"]


def judge(task: str, wrong_seeds: int, right_seeds: int) -> dict[str, object]:
    """How many wrong answers are told their own mistake on every seed, how many right ones pass, and the time."""
    start = time.perf_counter()
    with redirect_stdout(StringIO()):
        for answer in RIGHT[task]:
            checks.TASKS[task](answer)
    seconds = (time.perf_counter() - start) / len(RIGHT[task])
    missed = [
        f"{name_of(answer)} on seed {seed}"
        for answer, says in WRONG[task]
        for seed in first_surprise(task, answer, wrong_seeds, says)
    ]
    refused = [
        f"{name_of(answer)} on seed {seed}"
        for answer in RIGHT[task]
        for seed in first_surprise(task, answer, right_seeds)
    ]
    return {
        "date": date.today().isoformat(),
        "wrong": len(WRONG[task]),
        "caught": len(WRONG[task]) - len(missed),
        "wrong_seeds": wrong_seeds,
        "right": len(RIGHT[task]),
        "accepted": len(RIGHT[task]) - len(refused),
        "right_seeds": right_seeds,
        "missed": missed + refused,
        "seconds": round(seconds, 4),
    }


def first_surprise(task: str, answer: Callable, seeds: int, says: str | None = None) -> list[int]:
    """The first seed on which the hidden test lacks `says` or, if that is None, says anything; else nothing."""
    for seed in range(seeds):
        said = report(task, answer, seed)
        if said if says is None else words(says) not in words(said):
            return [seed]
    return []


@pytest.mark.parametrize("task", TASKS)
def test_the_stub_fails_politely(task, capsys):
    checks.TASKS[task](nothing)
    printed = capsys.readouterr().out
    assert f"{task} is not written yet" in printed and "Traceback" not in printed


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
def test_any_value_is_survived(task, value, capsys):
    start = time.perf_counter()
    checks.TASKS[task](lambda *args, **kwargs: value)
    assert "✗" in capsys.readouterr().out
    assert time.perf_counter() - start < SECONDS
    assert report(task, lambda *args, **kwargs: value)


@pytest.mark.parametrize("task", TASKS)
def test_two_hints_come_one_after_the_other(task, capsys):
    before = checks.TASKS[task]._asked
    checks.TASKS[task]._asked = 0
    checks.hint(task)
    assert "Hint 1 of 2" in (first_hint := capsys.readouterr().out) and "Hint 2" not in first_hint
    checks.hint(task)
    assert (
        capsys.readouterr().out.startswith(first_hint)
        and checks.TASKS[task].hints[0] != checks.TASKS[task].hints[1]
    )
    checks.TASKS[task]._asked = before


def test_an_unknown_task_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'random_mask'"):
        checks.hint("randm_mask")


def test_a_hint_can_be_asked_for_with_the_function(capsys):
    def random_mask():
        pass

    checks.hint(random_mask)
    assert "Hint 1 of 2" in capsys.readouterr().out


def test_every_answer_belongs_to_a_task():
    assert set(RIGHT) | set(WRONG) <= set(checks.TASKS)


@check("first hint", "second hint")
def double(answer, rng):
    """`double(x)` returns 2 x."""
    x = torch.rand(3, generator=rng)
    yield "returns 2 x", compare(answer(x), 2 * x, {"you squared it": x**2})
    yield "also of nothing", compare(answer(torch.zeros(0)), torch.zeros(0))


@pytest.mark.parametrize("error", [ValueError("a b"), SystemExit(3), RecursionError(), AssertionError()])
def test_an_exception_points_at_the_learners_line(error, capsys):
    def answer(x):
        torch.zeros(3).sum()
        raise error  # this line

    double(answer)
    printed = capsys.readouterr().out
    assert "`raise error  # this line`" in printed and type(error).__name__ in printed


def test_an_exception_inside_a_library_points_at_the_learners_line(capsys):
    double(lambda x: json.loads(3))
    assert "in `double(lambda x: json.loads(3))`" in words(capsys.readouterr().out)


def test_an_error_of_torch_is_not_taken_for_the_stub(capsys):
    double(lambda x: 1 - (x > 0))  # not possible with True and False, and torch says so with a NotImplementedError
    printed = capsys.readouterr().out
    assert "not written yet" not in printed and "Error" in printed


def test_an_interrupt_is_not_swallowed():
    def answer(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        double(answer)
    assert stopped.value._render_traceback_() == ["double was stopped: is there a loop that never ends?"]


def test_a_wrong_number_of_arguments_is_said(capsys):
    double(lambda: 3)
    assert "check the arguments" in capsys.readouterr().out


def test_a_change_in_place_is_said(capsys):
    double(lambda x: x.mul_(2))
    printed = capsys.readouterr().out
    assert "✗ leaves its inputs as they are" in printed and "work on a copy" in printed


def test_the_call_that_stopped_is_shown(capsys):
    double(lambda x: x if len(x) else x[0])
    assert "in the call double(<tensor 0>)" in capsys.readouterr().out


def test_a_claim_that_failed_once_stays_failed(capsys):
    @check("first", "second")
    def twice(answer, rng):
        yield "returns 1", compare(answer(1), 1)
        yield "returns 1", compare(answer(2), 1)

    twice(lambda x: x)
    twice(lambda x: 3 - x)
    assert capsys.readouterr().out.count("✗ returns 1") == 2


def test_long_lines_are_broken_with_their_indent(capsys):
    @check("first", "second")
    def long(answer, rng):
        yield "is short", "a word " * 40

    long(lambda: None)
    lines = capsys.readouterr().out.splitlines()
    assert (
        max(map(len, lines)) <= 90
        and sum(line.startswith("      a") or line.startswith("      word") for line in lines) > 2
    )


def test_a_notebook_shows_the_report_and_no_lines_of_the_package():
    with pytest.raises(Failed) as caught:
        double.grade(lambda x: x)
    assert caught.value._render_traceback_()[0] == "double: 1 not yet right"


def test_the_seed_of_a_hidden_test_repeats_it():
    messages = []
    for _ in range(2):
        with pytest.raises(Failed) as caught:
            double.grade(lambda x: 3 * x, seed=17)
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and "seed 17" in messages[0]
    with pytest.raises(Failed) as caught:
        double.grade(lambda x: 3 * x)
    assert str(caught.value) != messages[0]


@pytest.mark.parametrize(
    "got, want",
    [
        (torch.zeros(0), torch.zeros(3)),
        (torch.zeros(1), torch.zeros(3)),
        (torch.zeros(3).long(), torch.zeros(3)),
        (torch.zeros(3).bool(), torch.zeros(3)),
        (torch.full((3,), torch.nan), torch.zeros(3)),
        ([0.0, 0.0, 0.0], torch.zeros(3)),
        (float("nan"), 0.0),
        (torch.tensor([5.0]), torch.tensor([torch.inf])),
        (True, 1),
        (2.1, Between(1.5, 2)),
        (torch.tensor([1.7]), Between(1.5, 2)),
        (1_000_001, 1_000_000),
        (torch.tensor([1_000_001]), torch.tensor([1_000_000])),
        ("1", 1),
        ((1, 2), (1, 2, 3)),
        ([1, 2, 4], (1, 2, 3)),
        ({1}, {1, 2}),
        ({"a": 1}, {"a": 2}),
        ({"b": 1}, {"a": 1}),
        (None, "text"),
    ],
)
def test_what_differs_is_told_apart(got, want):
    assert isinstance(compare(got, want).text, str)


@pytest.mark.parametrize(
    "got, want",
    [
        (torch.zeros(3).double(), torch.zeros(3)),
        (torch.tensor([1.0, torch.inf]), torch.tensor([1.0, torch.inf])),
        (torch.tensor(2.0), Between(1.5, 2)),
        (torch.tensor(2), 2),
        (2.0, 2),
        ([1, 2.00001], (1, 2.0)),
        ({1, 2}, {2, 1}),
        ({"a": torch.ones(2)}, {"a": torch.ones(2)}),
        ("text", "text"),
    ],
)
def test_what_is_the_same_passes(got, want):
    assert compare(got, want) is None


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ({"a": 1}, "expected an entry 'b', but it is missing (1 of 2 are)"),
        ({"a": 1, "b": 2, "c": 3}, "there is an entry 'c', but it is not expected"),
        ({"a": 1, "b": 3}, "for b: expected 2, got 3"),
        ([1, 2], "expected a dict, got list"),
        (None, "expected a dict, got None: does the function end with `return`?"),
    ],
)
def test_how_two_dicts_differ_is_said_in_a_line(got, said):
    assert compare(got, {"a": 1, "b": 2}).text == said


def test_a_call_with_a_dict_is_shown_in_short():
    shown = Answer(len, "f").shown({"weight": torch.zeros(2, 3), **{str(n): n for n in range(40)}})
    assert shown == "in the call f({'weight': <tensor 2×3>, '0': 0, '1': 1, ...})"


def test_a_known_mistake_is_named_even_with_another_shape():
    verdict = compare(torch.zeros(2, 3), torch.zeros(3, 2), {"rows and columns are swapped": torch.zeros(2, 3)})
    assert verdict.text.startswith("rows and columns are swapped") and "(3, 2)" in verdict.text


def test_a_picture_comes_with_an_alt_text():
    got, want = torch.zeros(3, 4, 4), torch.ones(3, 4, 4)
    verdict = compare(got, want, picture=True)
    assert verdict.figure is not None and verdict.alt


def test_form_and_first():
    assert form(torch.zeros(2, 3), (2, 3), torch.float32) is None
    assert "not finite" in form(torch.full((2,), torch.inf), (2,), torch.float32)
    assert first((False, "a"), (True, "b"), (True, "c")) == "b" and first((False, "a")) is None


def test_describe_survives_a_value_that_cannot_be_printed():
    class Broken:
        def __repr__(self):
            raise ValueError

    assert "Broken" in describe(Broken())


def test_an_array_is_described_by_its_shape():
    assert describe(np.zeros((2, 3))) == "a NumPy array of shape (2, 3) and float64"


def test_a_long_error_keeps_its_begin_and_the_advice_at_its_end(capsys):
    printed = " ".join(failed(half, lambda x: x.expand(2, 3).T.view(6) / 2, capsys).split())
    assert "view size is not compatible" in printed and "Use .reshape(...) instead." in printed


def failed(rule, answer, capsys) -> str:
    rule(answer)
    return capsys.readouterr().out


@check("first hint", "second hint", gradient=(0,))
def half(answer, rng):
    """`half(x)` returns x / 2."""
    x = torch.rand(3, generator=rng)
    yield "returns x / 2", compare(answer(x), x / 2)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x.data / 2,
        lambda x: x.detach() / 2,
        lambda x: torch.tensor(x.detach().numpy() / 2),
        lambda x: torch.from_numpy(x.numpy() / 2),
        lambda x: torch.tensor([value.item() / 2 for value in x]),
        torch.no_grad()(lambda x: x / 2),
    ],
)
def test_a_lost_gradient_is_said(answer, capsys):
    assert "has no gradient" in failed(half, answer, capsys)
    assert "all checks here passed" in failed(half, lambda x: x / 2, capsys)


def test_an_argument_that_is_written_into_is_no_lost_gradient(capsys):
    printed = failed(half, lambda x: x.mul_(1) / 2, capsys)
    assert "in-place operation" in printed and "has no gradient" not in printed


def test_a_tensor_that_is_changed_after_it_was_computed_is_said(capsys):
    def answer(x):
        weights = (x / 2).log().exp()
        weights /= 1
        return weights

    printed = " ".join(failed(half, answer, capsys).split())
    assert "lets the gradient through" in printed and "a tensor is changed in place" in printed


def test_a_gradient_that_goes_elsewhere_is_said(capsys):
    weight = torch.ones((), requires_grad=True)
    assert "no gradient reaches argument 1" in failed(half, lambda x: x.detach() / 2 * weight, capsys)


@check("first hint", "second hint", gradient=(0, 1))
def both(answer, rng):
    """`both(x, y)` returns x + y, and their difference to show."""
    x, y = torch.rand(2, 3, generator=rng)
    yield "returns sum and difference", compare(answer(x, y), (x + y, x - y))


def test_every_argument_needs_its_gradient_from_the_first_result(capsys):
    assert "no gradient reaches argument 2" in failed(both, lambda x, y: (x + y.detach(), x - y), capsys)
    assert "has no gradient" in failed(both, lambda x, y: ((x + y).detach(), x - y), capsys)
    assert "all checks here passed" in failed(both, lambda x, y: (x + y, (x - y).detach()), capsys)


def test_a_compiled_answer_runs_as_it_is_written(capsys):
    @torch.compile(backend=lambda *_: pytest.fail("it was compiled"))
    def answer(x):
        return x / 2

    assert "all checks here passed" in failed(half, answer, capsys)


@check("first hint", "second hint")
def square(answer, rng):
    """`square(side)` returns side ** 2."""
    mistakes = {"the sides are added": lambda side: 2 * side, "it is a cube": lambda side: side**3}
    yield "squares a side", explain(answer, lambda side: side**2, [(1,), (2,), (30,)], mistakes)


def test_a_mistake_is_named_only_if_it_explains_every_call(capsys):
    assert "all checks here passed" in failed(square, lambda side: side**2, capsys)
    assert "the sides are added\n      expected 1, got 2\n      in the call square(1)" in failed(
        square, lambda side: side + side, capsys
    )
    printed = failed(square, lambda side: 8 if side == 2 else side**2, capsys)
    assert "expected 4, got 8" in printed and "cube" not in printed


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: (torch.manual_seed(0), 2 * x)[1],
        lambda x: (torch.manual_seed(len(x)), 2 * x + 0 * torch.rand(len(x)))[1],
        lambda x: (np.random.seed(0), 2 * x)[1],
        lambda x: (random.seed(0), random.random(), 2 * x)[2],
        lambda x: 2 * x + 1e-5 * torch.rand(len(x)),
    ],
)
def test_global_chance_is_left_alone(answer, capsys):
    assert "leaves global chance alone" in failed(double, answer, capsys)


def test_a_check_tells_again_who_sets_a_seed_and_leaves_global_chance_as_it_was(capsys):
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        before = running.chance()
        for _ in range(2):
            said = failed(double, lambda x, seed=seed: (seed(0), 2 * x)[1], capsys)
            assert "leaves global chance alone" in said
        assert running.chance() == before


def test_a_layer_may_draw_weights_that_do_not_count(capsys):
    assert "all checks here passed" in failed(double, lambda x: (torch.nn.Linear(2, 3), 2 * x)[1], capsys)


def test_a_result_that_changes_with_each_call_is_said(capsys):
    seen = []
    answer = lambda x: seen.append(x) or (2 * x if len(seen) < 3 else 3 * x)  # noqa: E731
    assert "gives the same result for the same call" in failed(double, answer, capsys)


@check("first hint", "second hint")
def seed_of(answer, rng):
    """`seed_of(step)` returns a seed."""
    yield "returns a whole number", compare(isinstance(answer(3), int), True)


def test_what_differs_from_process_to_process_is_said(capsys):
    for wrong in (
        lambda step: hash(f"step {step}"),
        lambda step: hash(("step", step)),
        lambda step: hash(None) + step,
        lambda step: os.getpid() + step,
    ):
        assert "in another process" in failed(seed_of, wrong, capsys)
    for right in (lambda step: 1000 + step, lambda step: hash((1, step)), lambda step: hash(step / 7)):
        assert "all checks here passed" in failed(seed_of, right, capsys)


def test_the_threads_that_send_the_output_of_a_notebook_stay_in_their_process(capsys):
    number = os.getpid()

    def answer(x):
        assert pool.submit(os.getpid).result() == number
        return 2 * x

    with ThreadPoolExecutor(1) as pool:
        double(answer)
    assert "all checks here passed" in capsys.readouterr().out


@check("first hint", "second hint", batched=(0,))
def brightest(answer, rng):
    """`brightest(images)` returns the largest value of each image."""
    images = torch.rand(3, 2, 2, generator=rng)
    yield "returns the largest value of each image", compare(answer(images), images.amax((1, 2)))


def test_a_batch_of_one_is_tried(capsys):
    assert "all checks here passed" in failed(brightest, lambda images: images.amax((1, 2)), capsys)
    for answer in (
        lambda images: images.amax((1, 2)).squeeze(),
        lambda images: images.squeeze().amax((-2, -1)),
        lambda images: images.amax((1, 2)) if len(images) == 3 else images.amin((1, 2)),
    ):
        assert "works on a batch of one" in failed(brightest, answer, capsys)


def test_memory_that_is_not_filled_is_not_taken_for_zeros(capsys):
    """New memory often holds zeros: whoever forgets a part of the result would pass by luck."""

    def alone(make):
        def answer(images):
            values = make(images)
            values[1:] = images.amax((1, 2))[1:]
            return values

        return answer

    for make in (
        lambda images: torch.empty(len(images)),
        lambda images: torch.empty_like(images[:, 0, 0]),
        lambda images: images.new_empty(len(images)),
        lambda images: torch.Tensor(len(images)),
    ):
        assert "a `torch.empty` not filled" in failed(brightest, alone(make), capsys)
    assert torch.get_deterministic_debug_mode() == 0


def test_a_loop_that_returns_too_early_is_said(capsys):
    def answer(images):
        values = torch.zeros(len(images))
        for place, image in enumerate(images):
            values[place] = image.amax()
            return values

    assert "is `return` inside the loop?" in " ".join(failed(brightest, answer, capsys).split())


def test_cases_are_drawn_until_every_mistake_has_its_own_results():
    numbers = iter(range(9))
    mistakes = {"a square": lambda x: x * x, "twice as much": lambda x: 2 * x, "stops": lambda x: 1 / 0}
    assert telling(lambda: [(next(numbers),)], lambda x: 4 * x, mistakes) == [(1,)]
    assert telling(lambda: [(next(numbers),)], lambda x: 4 * x, mistakes) == [(3,)]


def test_two_names_of_one_mistake_are_told_to_who_writes_the_task():
    mistakes = {"a square": lambda x: x * x, "twice as much": lambda x: 2 * x, "the sum of both": lambda x: x + x}
    with pytest.raises(ValueError, match="draws tell 'twice as much' from 'the sum of both'"):
        telling(lambda: [(3,)], lambda x: 4 * x, mistakes)
    with pytest.raises(ValueError, match="draws tell 'what is right' from 'a square'"):
        telling(lambda: [(4,)], lambda x: 4 * x, mistakes)


def test_distinct_sizes_and_fair_chances():
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        sizes = distinct(rng, 4, 2, 6)
        assert len(set(sizes)) == 4 and min(sizes) >= 2 and max(sizes) <= 6
    coins = torch.rand(1000, 8, generator=rng) < 0.6
    assert fair(coins.sum(0), 1000, 0.6) and not fair(coins.sum(0), 1000, 0.4)


@pytest.mark.parametrize(
    ("want", "got"),
    [(142803.0, 142803.004), (142803, 142804), (torch.tensor([0.1]), torch.tensor([0.10002])), (1 / 3, 0.333334)],
)
def test_expected_and_got_are_printed_with_enough_digits_to_differ(want, got):
    text = compare(got, want, tolerance=1e-9).text
    expected, seen = re.fullmatch(r"expected (\S+)(?: at \S+)?, got (\S+)", text).groups()
    assert expected != seen


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_settings_of_the_notebook_do_not_count(dtype, capsys):
    torch.set_default_dtype(dtype)
    torch.set_default_device("meta")
    try:
        assert "all checks here passed" in failed(double, lambda x: x + x, capsys)
        with torch.no_grad():
            assert "all checks here passed" in failed(half, lambda x: x / 2, capsys)
        assert torch.get_default_dtype() == dtype and torch.zeros(1).device.type == "meta"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


@pytest.mark.parametrize("task", TASKS)
def test_right_answers_pass_whatever_the_notebook_has_set(task, capsys):
    torch.set_default_dtype(torch.float64)
    try:
        for answer in RIGHT[task][:2]:
            checks.TASKS[task](answer)
            assert "all checks here passed" in capsys.readouterr().out, name_of(answer)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_odd_inputs_are_not_taken_for_changed_ones(odd):
    inputs = torch.tensor([odd, 1.0])
    assert Answer(lambda x: x[1:] * 2, "double")(inputs).tolist() == [2.0]


def test_answers_lose_their_gradients():
    assert not Answer(lambda x: x * 2, "double")(torch.zeros(2, requires_grad=True)).requires_grad


def triple(x):
    """3 x"""
    return 3 * x


@check("first hint", "second hint", solution=triple)
def tripled(answer, rng):
    """`tripled(x)` returns 3 x."""
    x = torch.rand(3, generator=rng)
    yield "returns 3 x", explain(answer, triple, [(x,), (x + 1,)], {"you doubled it": lambda x: 2 * x})


def test_your_turn_goes_on_with_a_right_answer_of_the_learner(capsys):
    mine = lambda x: x + x + x  # noqa: E731
    assert tripled.yours_or_ours(mine) is mine
    assert "all checks here passed" in capsys.readouterr().out


def endless(x):
    while True:
        pass


def asleep(x):
    time.sleep(1000)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (nothing, "Your turn: write tripled"),
        (lambda x: 2 * x, "you doubled it"),
        (lambda x: None, "None: does the function end with `return`?"),
        (lambda x: x[:1], "expected the shape"),
        (lambda x: print("seen") or x, "expected"),
        (lambda x: x.mul_(3), "work on a copy"),
        (lambda x: x.undefined, "it stopped in line"),
        (endless, " s: is there a loop that never ends?"),
        (asleep, "it was stopped after "),
        (7, "expected the function tripled, but got 7"),
    ],
)
def test_your_turn_goes_on_with_the_lessons_own_otherwise(answer, said, capsys, monkeypatch):
    monkeypatch.setattr("simmim_lab.checks.core.SECONDS", 1.0)
    assert tripled.yours_or_ours(answer) is triple
    printed = capsys.readouterr().out
    assert said in printed and "Traceback" not in printed
    assert printed.endswith('Until it holds, the lesson goes on with its own: check.solution("tripled")\n')


def test_an_answer_is_not_stopped_for_what_other_programs_take(monkeypatch):
    monkeypatch.setattr("simmim_lab.checks.core.SECONDS", 1.0)

    def often_interrupted(x):
        for _ in range(5):  # a third of a processor for 0.2 s, in each of six calls
            end = time.process_time() + 0.015
            while time.process_time() < end:
                pass
            time.sleep(0.03)
        return 3 * x

    assert not any(tripled.run(often_interrupted, 0).values())


@pytest.mark.parametrize(
    ("elapsed", "used", "left"),
    [(0, 0, 15), (15, 5, 10), (60, 10, 5), (15, 15, 0), (8, 30, 7), (15, 0.1, 0), (15, 14, 0), (4, 0, 11)],
)
def test_only_the_time_of_a_processor_counts_of_what_does_not_sleep(elapsed, used, left):
    assert running.left(15.0, elapsed, used) == left


def test_an_endless_answer_is_stopped_where_the_signal_is_ignored(capsys, monkeypatch):
    monkeypatch.setattr("simmim_lab.checks.core.SECONDS", 1.0)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert tripled.yours_or_ours(endless) is triple
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_untouched_stub_prints_two_lines_and_no_failure(capsys):
    tripled.yours_or_ours(nothing)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2 and "✗" not in printed and 'check.hint("tripled")' in printed


def test_the_solution_is_shown_of_a_lessons_task_alone(capsys):
    tripled.show_solution()
    assert capsys.readouterr().out == 'def triple(x):\n    """3 x"""\n    return 3 * x\n'
    double.show_solution()
    assert "double is a graded task" in capsys.readouterr().out
    with pytest.raises(ValueError, match="graded task"):
        double.yours_or_ours(lambda x: 2 * x)


@pytest.mark.parametrize("task", [name for name, task in checks.TASKS.items() if task.solution])
def test_the_solution_of_a_lesson_passes_on_fresh_seeds(task):
    for seed in range(SEEDS):
        assert report(task, checks.TASKS[task].solution, seed) == ""
