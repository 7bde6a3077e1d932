"""Many jobs, each in a process of its own: what one of them does or suffers is no matter to the others."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import TypeVar

import psutil
from tqdm.auto import tqdm

from simmim_lab.teaching.isolation.usage import over

Key, Result = TypeVar("Key"), TypeVar("Result")
MEMORY = 4 * 2**30  # bytes resident of a job
PAUSE = 0.5  # seconds between two looks at the jobs


class JobError(Exception):
    """A job failed; the text says why."""


def each(
    work: Sequence[Key],
    action: Callable[[Key], Result],
    *,
    seconds: float,
    jobs: int,
    title: str,
    heavy: Sequence[str] = (),
) -> Iterator[tuple[Key, Result | JobError]]:
    """Do `action` for each key of `work`, `jobs` at a time; yield each result, or why there is none, as it comes.

    A job is killed after so many `seconds`, or at MEMORY. What is still running is killed when the iteration ends,
    also by Ctrl-C. `action` and what it returns go to other processes, so `pickle` must know them. `heavy` are the
    modules that each job needs; they are loaded but once.
    """
    context, waiting, running = _context(heavy), deque(work), []
    try:
        with tqdm(total=len(work), desc=title, unit="notebook", disable=not work) as bar:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_Job(context, action, waiting.popleft(), seconds))
                wait([job.pipe for job in running], PAUSE)
                for job in [job for job in running if job.ended()]:
                    running.remove(job)
                    bar.update()
                    yield job.key, job.outcome
    finally:
        for job in running:
            job.kill()


class _Job:
    """One process, and what is known of it."""

    def __init__(self, context: BaseContext, action: Callable, key: object, seconds: float):
        self.key, self.outcome = key, None
        self.pipe, ours = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(ours, action, key), daemon=True)
        self._process.start()
        ours.close()
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def ended(self) -> bool:
        """Whether it is over, by itself or at a limit."""
        if self.pipe.poll():
            self.outcome = self._received()
        elif time.monotonic() > self._end:
            self.outcome = JobError(f"it was stopped after {self._seconds:.0f} s")
        elif (memory := self._memory()) > MEMORY:
            self.outcome = JobError(over("memory", memory, MEMORY))
        else:
            return False
        self.kill()
        return True

    def kill(self) -> None:
        """End it, and all that it started."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _received(self) -> object:
        try:
            return self.pipe.recv()
        except EOFError:
            self._process.join()
            return JobError(f"its process ended (status {self._process.exitcode})")

    def _memory(self) -> int:
        with suppress(psutil.Error):
            return psutil.Process(self._process.pid).memory_info().rss
        return 0


def _context(heavy: Sequence[str]) -> BaseContext:
    """How processes start: as copies of one that has loaded what is heavy, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*heavy])
    return context


def _work(pipe: Connection, action: Callable, key: object) -> None:
    """What the process does: the action, without a word on the terminal."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the parent alone, which then ends this process
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    warnings.simplefilter("ignore")
    try:
        outcome = action(key)
    except Exception as error:
        told = isinstance(error, JobError | ValueError | OSError)
        outcome = JobError(str(error) if told else f"{type(error).__name__}: {error}")
    pipe.send(outcome)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
