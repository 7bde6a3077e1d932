"""Processes for what is measured on one GPU: they compile at once, and what breaks one of them stops no other."""

import faulthandler
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial


class Apart:
    """A process for each name, in which its calls follow each other. All end by themselves after `seconds`."""

    def __init__(self, seconds: float):
        self.end, self.pools = time.monotonic() + seconds, {}

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *error: object) -> None:
        for pool in self.pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def left(self) -> float:
        """Seconds until all end."""
        return self.end - time.monotonic()

    def submit(self, name: str, function: Callable, *arguments: object) -> Future:
        """Call `function` in the process of this name. An error comes back as a RuntimeError of one line."""
        try:
            return self._pool(name).submit(_call, function, *arguments)
        except BrokenProcessPool:  # it died in a call before
            self.restart(name)
            return self._pool(name).submit(_call, function, *arguments)

    def restart(self, name: str) -> None:
        """End the process of this name; the next call gets a new one. A GPU may be lost to one that has failed."""
        self.pools.pop(name).shutdown(wait=False, cancel_futures=True)

    def _pool(self, name: str) -> ProcessPoolExecutor:
        if name not in self.pools:
            last_words = partial(faulthandler.dump_traceback_later, self.left(), exit=True)
            spawn = multiprocessing.get_context("spawn")
            self.pools[name] = ProcessPoolExecutor(1, spawn, initializer=last_words)
        return self.pools[name]


def _call(function: Callable, *arguments: object) -> object:
    try:
        return function(*arguments)
    except Exception as error:  # many of them do not survive the way to another process
        raise RuntimeError(f"{type(error).__name__}: {error}".splitlines()[0]) from None
