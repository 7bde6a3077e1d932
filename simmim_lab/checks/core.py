"""The machinery of the checks: run an answer on inputs, and say of each property whether it holds.

A check is a generator function `rule(answer, rng)` with the decorator `check`. It calls the learner's function as
`answer(...)` on inputs drawn from the generator `rng`, and yields pairs: a property in words, and what is wrong
with it (None: it holds). The decorated function is a `Check`: called, it prints a line for each property; its
method `grade` is the hidden test, the same rule on inputs that nobody has seen.

What holds for every task stands here, not in the rules:

- The rule runs with fixed settings (`running.fixed_settings`), whatever the notebook has set, and memory that is
  not filled holds NaN.
- An answer must leave its inputs as they are, neither seed global chance nor draw its result from it, and give
  the same result for the same call, also in another process (`Answer.habits`).
- Where the first axis counts images (`check(..., batched=(0,))`), a batch of one must work (`_other_for_one`).
- Where a training needs the gradient of an argument (`check(..., gradient=(0,))`), it must arrive
  (`_lost_gradient`), and all of it (`other_gradient`).
- Sizes are drawn with `distinct`, so that no two of them are equal by chance.
- A mistake is named where it explains the results of several inputs (`explain`), not one number,
  and the inputs are drawn so that every mistake has results of its own (`telling`).
- What is said of chance is said by `fair`, which tells how often a right answer would be refused.
- An answer that does not end is stopped after `SECONDS` (`running.time_limit`).

An answer may run in another process: see `running`. What it returns is judged here in either case.

A task with a `solution` is one of a lesson's "your turn" cells; the others are graded.
"""

import inspect
import math
import secrets
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from operator import eq, index
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor

from simmim_lab import plots
from simmim_lab.checks import running
from simmim_lab.checks.running import (
    ROOM,
    Ended,
    fixed_settings,
    generators,
    kept_chance,
    map_tensors,
    one_line,
    tensors,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VISIBLE_SEED = 0
SECONDS = 15.0  # for all calls of one check
WIDTH = ROOM + 6  # characters of a line
KEEPS = "does it keep something from one call to the next?"
MOST_DRAWS = 200  # of cases, until one tells the mistakes apart
REMEMBERED = 5  # calls of an answer that are made again


@dataclass(frozen=True)
class Mistake:
    """What is wrong with an answer, in words a learner can act on, and perhaps a picture of it."""

    text: str
    figure: "Figure | None" = None
    alt: str = ""


Verdict = Mistake | str | None
Rule = Callable[["Answer", Generator], Iterator[tuple[str, Verdict]]]


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`, as a value to compare with."""

    low: float
    high: float


class _Plain:
    """An exception of which a notebook shows the message, without the lines of this module."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class Failed(_Plain, Exception):
    """An answer that does not pass the hidden test; the message is the report."""


class Interrupted(_Plain, KeyboardInterrupt):
    """An answer that was stopped by hand, or by the grading because it took too long."""


class Check:
    """The check of one task. See `check`."""

    def __init__(
        self,
        rule: Rule,
        hints: tuple[str, str],
        solution: Callable | None,
        gradient: tuple[int, ...],
        batched: tuple[int, ...],
    ):
        self.name, self.__doc__, self.hints, self.solution = rule.__name__, rule.__doc__, hints, solution
        self._rule, self._gradient, self._batched, self._asked = rule, gradient, batched, 0

    def __call__(self, answer: Callable) -> None:
        """Print one line for each property of `answer`, passed or failed, with the likely mistake."""
        self._show(self.run(answer, VISIBLE_SEED))

    def yours_or_ours(self, answer: Callable) -> Callable:
        """`answer` if every property holds, else the lesson's own solution; print the report, as a call does."""
        if self.solution is None:
            raise ValueError(f"{self.name} is a graded task, so the course has no solution to go on with")
        results = self.run(answer, VISIBLE_SEED)
        if not any(results.values()):
            self._show(results)
            return answer
        if results == {"runs": Mistake(_unwritten(self.name))}:
            print(f'Your turn: write {self.name}. Hints: check.hint("{self.name}")')
        else:
            self._show(results)
        print(f'Until it holds, the lesson goes on with its own: check.solution("{self.name}")')
        return self.solution

    def show_solution(self) -> None:
        """Print the source of the solution; of a graded task, say that there is none."""
        if self.solution is None:
            print(
                f'{self.name} is a graded task: there is no solution to see, but hints: check.hint("{self.name}")'
            )
        else:
            print(inspect.getsource(self.solution).rstrip())

    def grade(self, answer: Callable, seed: int | None = None) -> None:
        """The hidden test: raise `Failed` unless every property holds on fresh inputs.

        The message reports the seed of the inputs; give it as `seed` to see the same again.
        """
        seed = secrets.randbits(31) if seed is None else seed
        results = self.run(answer, seed)
        if any(results.values()):
            raise Failed(f"{self._report(results)}\nThe inputs were those of seed {seed}")

    def hint(self) -> None:
        """Print the first hint, and from the second call on both."""
        self._asked = min(self._asked + 1, len(self.hints))
        for number, hint in enumerate(self.hints[: self._asked], 1):
            print(textwrap.fill(f"Hint {number} of {len(self.hints)}: {hint}", WIDTH))

    def run(self, answer: Callable, seed: int) -> dict[str, Mistake | None]:
        """What is wrong with each property of `answer` on the inputs of `seed`. It raises nothing."""
        results: dict[str, Mistake | None] = {}
        wrapped = Answer(answer, self.name)
        try:
            with fixed_settings(), kept_chance(), wrapped.process.time_limit(SECONDS):
                wrapped.begin()
                for claim, verdict in self._rule(wrapped, Generator().manual_seed(seed)):
                    mistake = Mistake(verdict) if isinstance(verdict, str) else verdict
                    results[claim] = results.get(claim) or mistake  # a claim may be checked several times
                if not any(results.values()):
                    for claim, text in wrapped.habits(self._gradient, self._batched):
                        results[claim] = Mistake(text)
        except _Stopped as stopped:
            claim, text = stopped.args
            results[claim] = Mistake(text)
        except Ended as ended:
            results["ends"] = Mistake(str(ended))
        except Exception as error:  # mostly an answer of a wrong form, which made the rule itself stumble
            if not any(results.values()):
                claim = "can be used as it is described"
                results[claim] = Mistake(f"the check could not use the result: {one_line(error)}")
        return results

    def _show(self, results: Mapping[str, Mistake | None]) -> None:
        print(self._report(results))
        for mistake in results.values():
            if mistake and mistake.figure:
                plots.show(mistake.figure, mistake.alt)
        if any(results.values()):
            print(f'Stuck? Run check.hint("{self.name}")')

    def _report(self, results: Mapping[str, Mistake | None]) -> str:
        failed = sum(mistake is not None for mistake in results.values())
        lines = [f"{self.name}: {f'{failed} not yet right' if failed else 'all checks here passed'}"]
        for claim, mistake in results.items():
            lines.append(_indent(claim, "  ✗ " if mistake else "  ✓ "))
            lines += [_indent(line, "      ") for line in mistake.text.splitlines()] if mistake else []
        return "\n".join(lines)


def check(
    *hints: str,
    solution: Callable | None = None,
    gradient: tuple[int, ...] = (),
    batched: tuple[int, ...] = (),
) -> Callable[[Rule], Check]:
    """Make a rule the check of the task of its name, with two hints: where to look, and nearly how.

    A `solution` makes it a task of a lesson, not a graded one: the learner may read it.
    `gradient` are the places of the arguments to which the result, or the first of several, must carry a gradient.
    `batched` are the places of those whose first axis counts images; that of the result, or of each result, counts
    them too, and what becomes of one image must not depend on the others.
    """
    if len(hints) != 2:
        raise ValueError(f"a task has two hints, not {len(hints)}")
    return lambda rule: Check(rule, hints, solution, gradient, batched)


@dataclass
class _Call:
    """A call of an answer that ended well, to be made again."""

    args: tuple
    kwargs: dict[str, Any]
    states: list[Tensor]  # of the generators among the arguments, before the call
    result: Any


class Answer:
    """The learner's function, called with copies of its arguments; what stops it becomes a message."""

    def __init__(self, function: Callable, name: str):
        self.function, self.name = function, name
        self.process = getattr(function, "process", running)  # that it runs in; this one has no name
        self._calls: list[_Call] = []
        self._chance: Any = None  # the state of global chance before the first call

    def begin(self) -> None:
        """Note the state of global chance. A draw makes it a new one, which no seed that the answer sets gives."""
        self.process.stir()
        self._chance = self.process.chance()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        states = [generator.get_state() for generator in generators((args, kwargs))]
        given, copies = (args, kwargs), map_tensors(Tensor.clone, (args, kwargs))
        result = self._call(*copies[0], **copies[1])
        if not _same(copies, given):
            message = "it changes its input in place, so the caller's data are lost: work on a copy"
            raise _Stopped("leaves its inputs as they are", message)
        if len(self._calls) < REMEMBERED:
            self._calls.append(_Call(args, kwargs, states, result))
        return map_tensors(Tensor.detach, result)

    def raw(self, *args: Any) -> Any:
        """What the function does with copies of its arguments, with its errors and its gradients."""
        return self.function(*map_tensors(Tensor.clone, args))

    def habits(self, gradient: tuple[int, ...], batched: tuple[int, ...]) -> Iterator[tuple[str, str]]:
        """What is wrong with the answer though all its results were right: a property, and the mistake."""
        stirs = self.process.chance() != self._chance
        repeats = all(self._repeats(call) for call in self._calls)
        if stirs and (not repeats or any(self._seeds(call) for call in self._calls)):
            yield (
                "leaves global chance alone",
                "it draws its result from the global chance of torch, NumPy or Python, or sets its seed, which "
                "changes what the rest of the notebook draws",
            )
        elif not repeats:
            yield "gives the same result for the same call", f"the same call gave another result later: {KEEPS}"
        else:
            with self.process.another_process():
                if not all(self._repeats(call) for call in self._calls):
                    text = (
                        "`hash` of a text and the number of a process are others in another process: use neither"
                    )
                    yield "gives the same result in another process", text
        if batched and (text := self._other_for_one(batched)):
            yield "works on a batch of one", text
        if gradient and (text := self._lost_gradient(gradient)):
            yield "lets the gradient through", text

    def _repeats(self, call: _Call) -> bool:
        for generator, state in zip(generators((call.args, call.kwargs)), call.states, strict=True):
            generator.set_state(state)
        args, kwargs = map_tensors(Tensor.clone, (call.args, call.kwargs))
        again, before = (
            map_tensors(Tensor.detach, result) for result in (self._call(*args, **kwargs), call.result)
        )
        return _close(again, before, 1e-6)

    def _seeds(self, call: _Call) -> bool:
        """Whether a call sets the seed of global chance: then it ends in the same state wherever it begins."""
        ends = []
        for _ in range(2):
            self.process.stir()
            self._repeats(call)
            ends.append(self.process.chance())
        return any(map(eq, *ends))

    def _other_for_one(self, batched: tuple[int, ...]) -> str | None:
        """What is wrong with the result for the first image of a batch alone; None if it is that of the batch."""
        for call in self._calls:
            if call.kwargs or call.states or len(call.args[batched[0]]) < 2:
                continue
            args = [arg[:1].clone() if place in batched else arg for place, arg in enumerate(call.args)]
            one, many = (map_tensors(Tensor.detach, result) for result in (self._call(*args), call.result))
            if not _close(one, map_tensors(lambda tensor: tensor[:1], many), 1e-4):
                shown = [describe(tensor) for tensor in tensors(one)[:1]] or [describe(one)]
                return f"for the first alone it gives {shown[0]}: does `squeeze` drop an axis, or do images mix?"
        return None

    def _lost_gradient(self, places: tuple[int, ...]) -> str | None:
        """Why a training could not learn through this function; None if a gradient reaches each place."""
        carries, missing = False, list(places)
        for call in self._calls:
            args = [
                map_tensors(partial(_clone, gradient=place in places), arg) for place, arg in enumerate(call.args)
            ]
            kwargs = map_tensors(Tensor.clone, call.kwargs)
            try:
                results = tensors(self._call(*args, **kwargs))
            except _Stopped as stop:
                if "numpy()" not in str(stop):
                    raise
                results = []  # else the advice of PyTorch would be told: to detach
            if results and results[0].requires_grad:
                carries = True
                try:
                    results[0].sum().backward()
                except Exception as error:
                    return _no_backward(error)
                missing = [place for place in missing if all(t.grad is None for t in tensors(args[place]))]
        if not carries:
            return (
                "the result has no gradient, so a training could not learn through it: leave out `.data`, "
                "`.detach()`, `.item()`, `no_grad`, NumPy, and `torch.tensor(...)` or `float` of a tensor"
            )
        if missing:
            return f"no gradient reaches argument {missing[0] + 1}: is a copy without one used, as by `.detach()`?"
        return None

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if not callable(self.function):
            raise _Stopped("runs", f"expected the function {self.name}, but got {describe(self.function)}")
        try:
            return self.function(*args, **kwargs)
        except KeyboardInterrupt:
            raise Interrupted(f"{self.name} was stopped: is there a loop that never ends?") from None
        except (Exception, SystemExit) as error:
            if type(error) is NotImplementedError and not str(error):  # torch raises some with a text
                raise _Stopped("runs", _unwritten(self.name)) from None
            text = f"{self.process.stopped(error)}\n{self.shown(*args, **kwargs)}"
            raise _Stopped("runs on every input", text) from None

    def shown(self, *args: Any, **kwargs: Any) -> str:
        """A call in words, on one line: long lists are cut until it fits."""
        for items in (9, 3, 2):
            given = [f"{name}={_in_short(value, items)}" for name, value in kwargs.items()]
            given = [*(_in_short(value, items) for value in args), *given]
            text = f"in the call {self.name}({', '.join(given)})"
            if len(text) <= ROOM:
                break
        return textwrap.shorten(text, ROOM, placeholder=" ...)")


def compare(
    got: Any,
    want: Any,
    mistakes: Mapping[str, Any] | None = None,
    *,
    tolerance: float = 1e-4,
    picture: bool = False,
) -> Mistake | None:
    """None if `got` is `want`: same type, shape, kind of numbers, and values within `tolerance`.

    Whole numbers must be equal. Else the mistake: `mistakes` maps the text about a known one to the value that it
    leads to, which may have another shape. Numbers, tensors, strings, sets, and lists, tuples or dicts of them can
    be compared. With `picture` the verdict on images of shape (3, height, width), or on a batch of them, shows the
    first one that looks wrong when it is drawn, so cut off at 0 and 1.
    """
    if _close(got, want, tolerance):
        return None
    named = (text for text, wrong in (mistakes or {}).items() if _close(got, wrong, tolerance))
    return _told(next(named, None), got, want, tolerance, picture)


def explain(
    answer: Answer,
    right: Callable,
    cases: Sequence[tuple],
    mistakes: Mapping[str, Callable] | None = None,
    *,
    tolerance: float = 1e-4,
    picture: bool = False,
) -> Verdict:
    """None if `answer` does what `right` does in all `cases`, which are tuples of arguments; else the mistake.

    `mistakes` maps the text about a known one to the function that makes it. It is named only if this function
    does what the answer does in every case, stopping included, so what agrees once by chance is not told as the
    cause. The first case that differs is shown. See `compare` for the rest.
    """
    for case in cases:
        got, want = answer(*case), right(*case)
        if _close(got, want, tolerance):
            continue
        explained = (
            text
            for text, wrong in (mistakes or {}).items()
            if all(_close(_outcome(answer, case), _outcome(wrong, case), tolerance) for case in cases)
        )
        mistake = _told(next(explained, None), got, want, tolerance, picture)
        return replace(mistake, text=f"{mistake.text}\n{answer.shown(*case)}")
    return None


def _no_backward(error: Exception) -> str:
    """Why the gradient of a result cannot be computed."""
    if "has been modified by" in str(error):
        return (
            "`backward` stops: a tensor is changed in place after it was computed, as by `weights[...] = 0` or "
            "`/=`. Make a new one, as by `masked_fill`, `torch.where` or `a / b`"
        )
    return f"`backward` stops with {one_line(error)}"


def gradients(function: Callable, case: tuple, places: tuple[int, ...]) -> list[Tensor | None]:
    """The gradients of the arguments at `places` of a weighted sum of the result; None where none arrives.

    Of several results it is the first. One without a gradient, or whose `backward` stops, is told by
    `check(..., gradient=...)`.
    """
    args = [arg.clone().requires_grad_() if place in places else arg for place, arg in enumerate(case)]
    results = tensors(function(*args))
    if results and results[0].requires_grad:
        result = results[0]
        with suppress(Exception):
            (result * torch.linspace(1, 2, result.numel()).view(result.shape)).sum().backward()
    return [args[place].grad for place in places]


def other_gradient(answer: Answer, right: Callable, case: tuple, places: tuple[int, ...]) -> Verdict:
    """What is wrong if the gradient of an argument at one of `places` is another than `right` gives.

    What has no gradient at all, or stops when it is asked for, is told by `check(..., gradient=...)`. Of other
    values nothing is said: their gradient is another, too.
    """
    if not _close(answer(*case), map_tensors(Tensor.detach, right(*case)), 1e-3):
        return None
    try:
        got = gradients(answer.raw, case, places)
    except Exception:
        return None
    for place, seen, wanted in zip(places, got, gradients(right, case, places), strict=True):
        if seen is not None and not _close(seen, wanted, 1e-3):
            return (
                f"the gradient of argument {place + 1} is not that of these values: is a part of them computed "
                "without one, as by `.detach()` or `no_grad`?"
            )
    return None


def telling(draw: Callable[[], list[tuple]], right: Callable, mistakes: Mapping[str, Callable]) -> list[tuple]:
    """The first cases drawn in which no mistake gives what is right, nor what another one gives. See `explain`.

    Raises `ValueError` if there are none in `MOST_DRAWS` draws: then two of the rules are one.
    """
    rules = {"what is right": right, **mistakes}
    for _ in range(MOST_DRAWS):
        cases = draw()
        seen: dict[str, list] = {}
        for name, rule in rules.items():
            results = [_outcome(rule, case) for case in cases]
            alike = next((other for other in seen if _close(seen[other], results, 1e-3)), None)
            if alike is not None:
                break
            seen[name] = results
        else:
            return cases
    raise ValueError(f"no cases in {MOST_DRAWS} draws tell {alike!r} from {name!r}")


def distinct(rng: Generator, count: int, low: int, high: int) -> list[int]:
    """`count` different whole numbers from `low` to `high`."""
    return (torch.randperm(high - low + 1, generator=rng)[:count] + low).tolist()


def fair(counts: Tensor, draws: int, chance: float) -> bool:
    """Whether each of `counts` is what `draws` independent draws with this chance give.

    A right answer is refused less than once in ten million: Hoeffding's bound, over all counts together.
    """
    limit = math.sqrt(math.log(2e7 * max(1, counts.numel())) / (2 * draws))
    return bool(((counts / draws - chance).abs() <= limit).all())


def form(got: Any, shape: tuple[int, ...], dtype: torch.dtype) -> str | None:
    """None if `got` is a tensor of this shape and kind of numbers, finite throughout; else what is wrong."""
    if problem := _layout(got, shape, dtype):
        return problem
    if not got.isfinite().all():
        bad = (~got.isfinite()).sum().item()
        why = "is something divided by 0, NaN or infinity multiplied by 0, or a `torch.empty` not filled?"
        return f"{bad} of {got.numel()} values are not finite (NaN or infinity): {why}"
    return None


def first(*cases: tuple[bool, str]) -> str | None:
    """The text of the first case that holds, or None."""
    return next((text for holds, text in cases if holds), None)


def is_whole(number: object) -> bool:
    """Whether a slice may begin there, or a loop count so far: 14.0 is none, though it equals 14."""
    try:
        index(number)
    except TypeError:
        return False
    return True


def describe(value: Any) -> str:
    """A value in a few words, whatever it is."""
    if value is None:
        return "None: does the function end with `return`?"
    if isinstance(value, Tensor):
        content = f" = {value.item():.6g}" if value.numel() == 1 and value.device.type == "cpu" else ""
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}{content}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of shape {value.shape} and {value.dtype}"
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = "one that cannot be printed"
    if len(text) >= 60 and isinstance(value, list | tuple) and tensors(value):
        return f"a {type(value).__name__} of {_values(len(value))}"
    return f"{text if len(text) < 60 else text[:57] + '...'} ({type(value).__name__})"


class _Stopped(Exception):
    """The learner's function cannot be checked further; its arguments: what should hold, and why it does not."""


def _told(named: str | None, got: Any, want: Any, tolerance: float, picture: bool) -> Mistake:
    """The mistake, with what was expected and what came; see `compare`."""
    text = "\n".join([named, _difference(got, want, tolerance)] if named else [_difference(got, want, tolerance)])
    if not picture or form(got, want.shape, want.dtype):
        return Mistake(text)
    drawn = (images.float().clamp(0, 1).reshape(-1, *images.shape[-3:]) for images in (got, want))
    for seen, expected in zip(*drawn, strict=True):
        if not _close(seen, expected, tolerance):
            figure = plots.panels([expected, seen], ["expected", "got"])
            return Mistake(text, figure, "Left the expected picture, right the answer's.")
    return Mistake(text)


def _outcome(function: Callable, case: tuple) -> Any:
    """What a function returns, or that it stops."""
    try:
        return function(*case)
    except Exception:
        return "stopped"


def _unwritten(name: str) -> str:
    return f"{name} is not written yet: replace `raise NotImplementedError()`"


def _in_short(value: Any, items: int) -> str:
    """An argument, as a call shows it; of a list so many items."""
    if isinstance(value, Tensor):
        return f"<tensor {'×'.join(map(str, value.shape))}>" if value.ndim else "<tensor>"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        shown = [_in_short(item, items) for item in value[:items]] + ["..."] * (len(value) > items)
        single = "," * (len(value) == 1)
        return f"[{', '.join(shown)}]" if isinstance(value, list) else f"({', '.join(shown)}{single})"
    if isinstance(value, dict):
        shown = [f"{key!r}: {_in_short(item, items)}" for key, item in list(value.items())[:items]]
        return f"{{{', '.join(shown + ['...'] * (len(value) > items))}}}"
    return "<generator>" if isinstance(value, Generator) else textwrap.shorten(repr(value), 60)


def _indent(text: str, start: str) -> str:
    """The text in lines that a notebook does not break, all as far in as the first."""
    return textwrap.fill(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, a NaN to a NaN, too."""
    return _close(one, other, 0) or _close(map_tensors(_comparable, one), map_tensors(_comparable, other), 0)


def _comparable(tensor: Tensor) -> Tensor:
    """A tensor that equals itself: with a number in the place of NaN."""
    return tensor.where(tensor == tensor, -1234.5)


def _clone(tensor: Tensor, *, gradient: bool) -> Tensor:
    return tensor.detach().clone().requires_grad_(gradient and tensor.is_floating_point())


def _layout(got: Any, shape: tuple[int, ...], dtype: torch.dtype) -> str | None:
    if not isinstance(got, Tensor):
        return f"expected a tensor, got {describe(got)}"
    if got.device.type != "cpu":
        return f"the inputs are on the CPU, but the result is on the device {got.device}"
    if got.shape != shape:
        return f"expected the shape {tuple(shape)}, got {tuple(got.shape)}"
    if _kind(got.dtype) != _kind(dtype):
        return f"expected {_kind(dtype)}, got {_kind(got.dtype)} ({got.dtype})"
    return None


def _kind(dtype: torch.dtype) -> str:
    if dtype == torch.bool:
        return "True and False"
    return (
        "real numbers" if dtype.is_floating_point else "complex numbers" if dtype.is_complex else "whole numbers"
    )


def _close(got: Any, want: Any, tolerance: float) -> bool:
    """Whether `got` has the type, shape, kind of numbers and, within `tolerance`, the values of `want`."""
    if type(got) is type(want) is int:  # the quick way, for long lists
        return got == want
    if isinstance(want, Tensor) and want.ndim == 0:
        want = want.item()
    if isinstance(want, Between):
        return _is_number(got) and want.low <= got <= want.high
    if isinstance(want, Tensor):
        alike = isinstance(got, Tensor) and not _layout(got, want.shape, want.dtype)
        return alike and not _far(got, want, tolerance).any()
    if _is_number(want):
        tolerance = 0 if isinstance(want, int) else tolerance
        return _is_number(got) and math.isclose(got, want, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(want, list | tuple):
        same = isinstance(got, list | tuple) and len(got) == len(want)
        return same and all(_close(*pair, tolerance) for pair in zip(got, want, strict=True))
    if isinstance(want, dict):
        same = isinstance(got, dict) and got.keys() == want.keys()
        return same and all(_close(got[key], want[key], tolerance) for key in want)
    return got is want or (type(got) is type(want) and got == want)


def _far(got: Tensor, want: Tensor, tolerance: float) -> Tensor:
    """Where the values differ; NaN differs from everything."""
    if not tolerance or not want.is_floating_point():
        return got != want
    return ~got.double().isclose(want.double(), rtol=tolerance, atol=tolerance)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 0 and value.dtype != torch.bool and value.device.type == "cpu"
    return isinstance(value, Real) and not isinstance(value, bool)


def _difference(got: Any, want: Any, tolerance: float) -> str:
    """The first difference between two values that are not close, in words."""
    if isinstance(want, Tensor) and want.ndim == 0:
        want = want.item()
    if isinstance(want, Between):
        seen = _short(got) if _is_number(got) else describe(got)
        return f"expected a number from {_short(want.low)} to {_short(want.high)}, got {seen}"
    if isinstance(want, Tensor):
        problem = form(got, want.shape, want.dtype) if want.isfinite().all() else None
        if problem := problem or _layout(got, want.shape, want.dtype):
            return problem
        far = _far(got, want, tolerance)
        place = tuple(far.nonzero()[0].tolist())
        where = f" at {list(place)}" if place else ""
        share = f" ({far.sum()} of {far.numel()} differ)" if far.numel() > 1 else ""
        expected, seen = _told_apart(want[place], got[place])
        alone = got.ndim > 0 and not far[0].any() and bool(got[0].any()) and not got[1:].any()
        left = ": all but the first is 0, so is `return` inside the loop?" if alone else ""
        return f"expected {expected}{where}, got {seen}{share}{left}"
    if isinstance(want, list | tuple):
        if not isinstance(got, list | tuple):
            kind = "list" if isinstance(want, list) else "tuple"
            return f"expected a {kind} of {_values(len(want))}, got {describe(got)}"
        if len(got) != len(want):
            return f"expected {_values(len(want))}, got {len(got)}"
        wrong = next(i for i, pair in enumerate(zip(got, want, strict=True)) if not _close(*pair, tolerance))
        return f"value {wrong + 1} of {len(want)}: {_difference(got[wrong], want[wrong], tolerance)}"
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return f"expected a dict, got {describe(got) if got is None else type(got).__name__}"
        if missing := [key for key in want if key not in got]:
            return f"expected an entry {missing[0]!r}, but it is missing ({len(missing)} of {len(want)} are)"
        if more := [key for key in got if key not in want]:
            return f"there is an entry {more[0]!r}, but it is not expected"
        wrong = next(key for key in want if not _close(got[key], want[key], tolerance))
        return f"for {wrong}: {_difference(got[wrong], want[wrong], tolerance)}"
    if _is_number(want):
        if not _is_number(got):
            return f"expected {_short(want)}, got {describe(got)}"
        return "expected {}, got {}".format(*_told_apart(want, got))
    return f"expected {want!r}, got {describe(got)}"


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _told_apart(want: Any, got: Any) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ."""
    pairs = ((_short(want, digits), _short(got, digits)) for digits in (6, 9, 12, 17))
    return next((pair for pair in pairs if pair[0] != pair[1]), (_short(want, 17), _short(got, 17)))


def _short(number: Any, digits: int = 6) -> str:
    """A number with all its digits if it is whole, else with so many; True and False as they are."""
    if isinstance(number, Tensor) and number.dtype == torch.bool:
        return str(number.item())
    number = float(number)
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.{digits}g}"
