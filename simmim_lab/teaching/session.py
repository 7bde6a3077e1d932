"""The code of one student, run in a locked process, and functions of it that can be called from here.

A `Proxy` stands for a function of the student: it sends the arguments, and makes plain values of what comes back,
so that a check of `simmim_lab.checks` can judge it as if it ran here. Nothing else that the process does has any
effect here. If it ends, at a limit or by itself, it is started anew without the cell that was at fault.
"""

import builtins
import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simmim_lab.checks import running
from simmim_lab.teaching import channel
from simmim_lab.teaching.sandbox import Dead, Sandbox, hidden_modules

CELL, TASK, SUBMISSION = 30.0, 30.0, 600.0  # seconds
START = 120.0  # seconds, until PyTorch is loaded on a busy machine
PRINTED = 100_000  # characters of a cell
GRACE = 2.0  # seconds, for code to end that was interrupted
HERE = Path(__file__).parent
PROGRAM = [HERE / "worker.py", HERE / "channel.py", HERE.parent / "checks" / "running.py"]


@dataclass(frozen=True)
class Ran:
    """What a cell printed, and the error that it raised, as `Name: message (line 3)`."""

    text: str
    error: str | None


class Session:
    """The cells of one submission; a context manager.

    Args:
        set_name: the exercise set; what it asks to write is hidden from the code.
        isolated: False runs the code in an ordinary process.

    `notes` say which limits were reached, in words for the student.
    """

    def __init__(self, set_name: str, isolated: bool = True):
        self.notes: list[str] = []
        self._options: dict[str, Any] = {"hidden": hidden_modules(set_name), "isolated": isolated}
        self._end = time.monotonic() + SUBMISSION
        self.asked = 0  # requests
        self._good: list[str] = []  # cells, which run again where the process had to be started anew
        self._proxies: dict[str, Proxy] = {}
        self._process: _Process | None = _Process(**self._options)  # it loads PyTorch meanwhile

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and all that it started."""
        if self._process:
            self._process.close()
        self._process = None

    def run(self, source: str) -> Ran:
        """Run a cell of Python, in which magics were replaced, for 30 seconds at most."""
        try:
            reply = self.ask(CELL, do="run", source=source)
        except Dead as dead:
            self.note(f"a cell was stopped: {dead}")
            return Ran("", f"it was stopped: {dead}")
        if "late" in reply:
            self.note(f"a cell was stopped after {CELL:.0f} s")
            return Ran("", f"it was stopped after {CELL:.0f} s: is there a loop that never ends?")
        self._good.append(source)
        match reply:
            case {"text": str(text), "error": None | str() as error}:
                return Ran(text[:PRINTED], error and error[:1000])
        return Ran("", "it could not be run")

    def function(self, name: str) -> "Proxy":
        """What can be called for the student's function of this name; a call says if there is none."""
        return self._proxies.setdefault(name, Proxy(self, name))

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """The reply to a request, which has `late` if it took longer; Dead if the process ended at it."""
        process, begin = self.ready(), time.monotonic()
        self.asked += 1
        try:
            return process.ask(seconds, **request)
        except BaseException as error:  # also Ctrl-C: a reply may still come, and would be taken for the next one
            self.close()
            if isinstance(error, Dead) and time.monotonic() - begin > seconds:
                return {"late": True}
            raise

    def ready(self) -> "_Process":
        """The process, which has loaded PyTorch and run the cells."""
        if not self._process:
            self._restart()
        self._process.ready()
        self._seconds()
        return self._process

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _seconds(self) -> float:
        """What is left of the time of the submission; Dead if nothing is."""
        if (left := self._end - time.monotonic()) <= 0:
            raise Dead(f"all cells and checks together took more than {SUBMISSION:.0f} s")
        return left

    def _restart(self) -> None:
        """Run the good cells again in a new process. One that does not end well any more is left out."""
        while self._seconds():
            self._process = _Process(**self._options)
            self._process.ready()
            try:
                for source in self._good:
                    self._process.ask(min(CELL, self._seconds()), do="run", source=source)
                return
            except Dead:
                self.close()
                self._good.remove(source)


class _Process:
    """The process itself: one reply for each request, or it is dead."""

    def __init__(self, **options: Any):
        self._sandbox = Sandbox(PROGRAM, **options)
        self._loading: str | None = self._send(0, do="run", source="")
        self.chance: list[int] = []  # the state of its global chance after the last reply, in three numbers

    def close(self) -> None:
        self._sandbox.close()

    def ready(self) -> None:
        """Wait until PyTorch is loaded; RuntimeError if that fails, for no code of the student has run yet."""
        if self._loading:
            try:
                self._receive(self._loading, START)
            except Dead as dead:
                raise RuntimeError(f"the process for the student's code did not start: {dead}") from dead
            self._loading = None

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """The reply to a request, which may take so long."""
        return self._receive(self._send(seconds, **request), seconds + GRACE)

    def _send(self, seconds: float, **request: Any) -> str:
        """Send a request, and return its number, which nobody can know before."""
        number = secrets.token_hex(8)
        self._sandbox.send(channel.encode({"number": number, "seconds": seconds, **request}))
        return number

    def _receive(self, number: str, seconds: float) -> dict[str, Any]:
        line = self._sandbox.receive(seconds)
        try:
            reply = channel.decode(line)
        except ValueError as error:
            raise Dead(f"its reply cannot be read: {error}") from None
        match reply:
            case {"number": str(got), "chance": [int(), int(), int()]} if got == number:
                self.chance = reply["chance"]
                return reply
        raise Dead("it gave a reply that nobody had asked for")


class Proxy:
    """A function of the student: when it is called, it runs in the process of the session.

    It is also what `simmim_lab.checks.running` asks of a function that runs elsewhere. The calls of one check
    together may take 30 seconds; if they take longer, or the process ends, it cannot be called any more.
    """

    def __init__(self, session: Session, name: str):
        self.__name__, self.process = name, self
        self._session, self._left = session, TASK
        self._over: str | None = None  # why it cannot be called any more
        self._elsewhere = False  # as if in another process

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns; whatever comes back from the process is a value or an ordinary error."""
        given = {"args": list(args), "kwargs": kwargs}
        reply = self._ask(do="call", name=self.__name__, elsewhere=self._elsewhere, **given)
        match reply:
            case {"result": result, "changed": changed, "seeds": list(seeds)}:
                for generator, seed in zip(running.generators(given), seeds, strict=True):
                    _advance(generator, seed)
                match changed:
                    case [list(new), dict(named)]:
                        _change((*args, *kwargs.values()), (*new, *named.values()))
                return self._with_gradients(running.tensors(given), result)
        raise ValueError("the reply of the process has a wrong form")

    def chance(self) -> list[int]:
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
        """Not so many seconds: the machine may be busy with other submissions."""
        self._left = TASK
        self.stir()  # an answer that sets a seed may have left chance just as it will leave it again
        yield

    def stopped(self, error: BaseException) -> str:
        return getattr(error, "stopped", None) or running.one_line(error)

    def _ask(self, **request: Any) -> dict[str, Any]:
        """The reply to a request, or the error that came instead; Ended if there is none, now and ever after."""
        if self._over:
            raise running.Ended(self._over)
        try:
            self._session.ready()
            begin = time.monotonic()
            reply = self._session.ask(self._left, **request)
            self._left -= time.monotonic() - begin
        except Dead as dead:
            self._over = f"it was stopped: {dead}"
            self._session.note(f"{self.__name__} was stopped: {dead}")
            raise running.Ended(self._over) from None
        if "late" in reply or self._left < 0:
            self._over = running.too_late(TASK)
            self._session.note(f"{self.__name__} was stopped after {TASK:.0f} s")
            raise running.Ended(self._over)
        if "error" in reply:
            raise _error(reply["error"])
        return reply

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
            raise ValueError("the reply of the process has a wrong form")

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
    return ValueError("the reply of the process has a wrong form")


def _advance(generator: torch.Generator, seed: Any) -> None:
    """Move a generator on that the function has used, to a state that the process cannot choose.

    `seed` is the one that it has there now; None: it was not used. A function that sets the same seed in each call
    gets the same generator in each call.
    """
    if seed is None:
        return
    if type(seed) is not int:
        raise ValueError("the reply of the process has a wrong form")
    set_anew = seed != generator.initial_seed()
    source = str(seed).encode() if set_anew else generator.get_state().numpy().tobytes()
    generator.manual_seed(int.from_bytes(hashlib.sha256(source).digest()[:7], "big"))


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
