"""The code of one student, run in a locked process, and functions of it that can be called from here.

If the process ends, at a limit or by itself, it is started anew without the cell that was at fault. All that the
student's code can do is to print, to raise an error, and to return values where a `Proxy` calls it.
"""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simmim_lab.teaching.isolation import channel
from simmim_lab.teaching.isolation.proxy import Proxy
from simmim_lab.teaching.isolation.sandbox import Dead, Sandbox
from simmim_lab.teaching.isolation.visible import hidden_modules

CELL, SUBMISSION = 30.0, 600.0  # seconds, of a cell, and of all cells and checks
START = 120.0  # seconds, until PyTorch is loaded on a busy machine
PRINTED = 100_000  # characters of a cell
GRACE = 2.0  # seconds, for code to end that was interrupted
HERE = Path(__file__).parent
PROGRAM = [HERE / "worker.py", HERE / "channel.py", HERE.parents[1] / "checks" / "running.py"]


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

    `notes` say which limits were reached, in words for the student. Raises RuntimeError at its end if a process
    did not start, for which no student is at fault.
    """

    def __init__(self, set_name: str, isolated: bool = True):
        self.notes: list[str] = []
        self._options: dict[str, Any] = {"hidden": hidden_modules(set_name), "isolated": isolated}
        self._end = time.monotonic() + SUBMISSION
        self.asked = 0  # requests
        self._good: list[str] = []  # cells, which run again where the process had to be started anew
        self._proxies: dict[str, Proxy] = {}
        self._broken: RuntimeError | None = None
        self._process: _Process | None = _Process(**self._options)  # it loads PyTorch meanwhile

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
        if self._broken:
            raise self._broken

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

    @property
    def used(self) -> float:
        """The time of a processor that the process has taken so far, in seconds; 0 if there is none."""
        return self._process.used if self._process else 0.0

    def function(self, name: str) -> Proxy:
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
        """The process, which has loaded PyTorch and run the cells; Dead if that fails, or the time is over."""
        try:
            if not self._process:
                self._restart()
            self._process.ready()
        except RuntimeError as error:
            self._broken = error
            raise Dead(str(error)) from None
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

    @property
    def used(self) -> float:
        return self._sandbox.used

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
