"""A function of a student that runs in another process, and can be called and checked here as if it were here.

A `Proxy` sends the arguments, and makes plain values of what comes back. Nothing else that happens over there has
any effect here: changes of arguments are made in copies that the checks hand out, a generator moves on to a state
that the process cannot choose, and an error is one that Python has, with a text.
"""

import builtins
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from simmim_lab.checks import running
from simmim_lab.teaching.isolation.sandbox import Dead

if TYPE_CHECKING:
    from simmim_lab.teaching.isolation.session import Session

TASK = 30.0  # seconds, of all calls of one check
WRONG = "the reply of the process has a wrong form"


class Proxy:
    """A function of the student: when it is called, it runs in the process of the session.

    It is also what `simmim_lab.checks.running` asks of a function that runs elsewhere. The calls of one check
    together may take 30 seconds, of those that count (`running.left`); if they take longer, or the process ends,
    it cannot be called any more.
    """

    def __init__(self, session: "Session", name: str):
        self.__name__, self.process = name, self
        self._session = session
        self._elapsed, self._used = 0.0, session.used  # seconds of this check, and of a processor before it
        self._over: str | None = None  # why it cannot be called any more
        self._elsewhere = False  # as if in another process

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns; whatever comes back from the process is a value or an ordinary error."""
        given = {"args": list(args), "kwargs": kwargs}
        reply = self._ask(do="call", name=self.__name__, elsewhere=self._elsewhere, **given)
        match reply:
            case {"result": result, "handed_back": list(places), "changed": changed, "seeds": list(seeds)}:
                for generator, seed in zip(running.generators(given), seeds, strict=True):
                    _advance(generator, seed)
                match changed:
                    case [list(new), dict(named)]:
                        _change((*args, *kwargs.values()), (*new, *named.values()))
                tensors = running.tensors(given)
                return _with_own(tensors, places, self._with_gradients(tensors, result))
        raise ValueError(WRONG)

    def chance(self) -> list[int]:
        with self._limits():
            return self._session.ready().chance

    def stir(self) -> None:
        self._ask(do="stir")

    @contextmanager
    def another_process(self) -> Iterator[None]:
        self._elsewhere = True
        try:
            yield
        finally:
            self._elsewhere = False

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """More than those of a notebook: this machine may be a slower one."""
        self._elapsed, self._used = 0.0, self._session.used
        # Of the check itself, if what came back makes it slow.
        with running.time_limit(2 * TASK, lambda: time.process_time() + self._session.used):
            yield

    def stopped(self, error: BaseException) -> str:
        return getattr(error, "stopped", None) or running.one_line(error)

    def _ask(self, **request: Any) -> dict[str, Any]:
        """The reply to a request, or the error that came instead; Ended if there is none."""
        with self._limits():
            self._session.ready()
            left = running.left(TASK, self._elapsed, self._session.used - self._used)
            if not left:
                raise TimeoutError
            begin = time.monotonic()
            reply = self._session.ask(left, **request)
            self._elapsed += time.monotonic() - begin
            if "late" in reply:
                raise TimeoutError
        if "error" in reply:
            raise _error(reply["error"])
        return reply

    @contextmanager
    def _limits(self) -> Iterator[None]:
        """What is to be done if the process ends, or takes too long: Ended, now and ever after."""
        if self._over:
            raise running.Ended(self._over)
        try:
            yield
        except Dead as dead:
            self._over = f"it was stopped: {dead}"
            self._session.note(f"{self.__name__} was stopped: {dead}")
        except TimeoutError:
            self._over = running.too_late(TASK)
            self._session.note(f"{self.__name__} was stopped after {TASK:.0f} s")
        if self._over:
            raise running.Ended(self._over)

    def _with_gradients(self, given: list[Tensor], result: Any) -> Any:
        """The result, whose tensors that carry a gradient carry it on to the arguments."""
        carrying = [tensor for tensor in running.tensors(result) if tensor.requires_grad]
        if not carrying:
            return result
        learning = [tensor for tensor in given if tensor.requires_grad]
        own = torch.zeros((), requires_grad=True)  # what the function itself has, such as a parameter
        last = self._session.asked

        def backward(gradients: tuple[Tensor | None, ...]) -> list[Tensor | None]:
            if self._session.asked != last:
                raise RuntimeError("the process has the gradients of the last call alone, and gives them once")
            match self._ask(do="backward", gradients=list(gradients)):
                case {"gradients": list(found)} if len(found) == len(learning):
                    return found
            raise ValueError(WRONG)

        found = iter(_Remote.apply(backward, carrying, own, *learning))
        return running.map_tensors(lambda tensor: next(found) if tensor.requires_grad else tensor, result)


class _Remote(torch.autograd.Function):
    """Results that came from the process, whose gradients it knows."""

    @staticmethod
    def forward(ctx, backward, results, own, *learning):
        ctx.ask = backward
        ctx.set_materialize_grads(False)
        return tuple(result.detach() for result in results)

    @staticmethod
    def backward(ctx, *gradients):
        return None, None, None, *ctx.ask(gradients)


class _Text(str):
    """The text of an error, also where Python shows its representation, as KeyError does."""

    __repr__ = str.__str__


def _error(error: Any) -> Exception:
    """The error that the process reports, if Python has it: one that an `except Exception` sees."""
    match error:
        case {"type": str(name), "text": str(text), "stopped": str(stopped)}:
            kind = vars(builtins).get(name)
            made: Exception = RuntimeError(f"{name}: {text}")
            if isinstance(kind, type) and issubclass(kind, Exception):
                with suppress(TypeError):  # some need more than a text
                    made = kind(_Text(text))
            made.stopped = " ".join(stopped.split())[:500]
            return made
    return ValueError(WRONG)


def _advance(generator: torch.Generator, seed: Any) -> None:
    """Move a generator on that the function has used, to a state that the process cannot choose.

    `seed` is the one that it has there now; None: it was not used. A function that sets the same seed in each call
    gets the same generator in each call.
    """
    if seed is None:
        return
    if type(seed) is not int:
        raise ValueError(WRONG)
    set_anew = seed != generator.initial_seed()
    source = str(seed).encode() if set_anew else generator.get_state().numpy().tobytes()
    generator.manual_seed(int.from_bytes(hashlib.sha256(source).digest()[:7], "big"))


def _with_own(given: list[Tensor], places: list, result: Any) -> Any:
    """The result, with the argument itself for each tensor that the function has handed back."""
    if len(places) != len(running.tensors(result)):
        raise ValueError(WRONG)
    ordered = iter(places)

    def own(tensor: Tensor) -> Tensor:
        match next(ordered):
            case None:
                return tensor
            case int(place) if 0 <= place < len(given):
                return given[place]
        raise ValueError(WRONG)

    return running.map_tensors(own, result)


def _change(given: Any, changed: Any) -> None:
    """Make in an argument the changes that the function has made in its copy."""
    match given, changed:
        case Tensor(), Tensor():
            given.data = changed.detach().to(given.dtype)
        case list(), list():
            given[:] = changed
        case dict(), dict():
            given.clear()
            given.update(changed)
        case set(), set():
            given.clear()
            given.update(changed)
        case tuple(), tuple():
            for pair in zip(given, changed, strict=False):
                _change(*pair)
