"""How a check runs an answer: with fixed settings, in a limited time, with an eye on chance and on where it stops.

Only PyTorch, NumPy and the standard library are needed here, so that a process which has no checks can run answers
in the same way. A function that runs in such a process has an attribute `process`, an object with the functions
`chance`, `stir`, `another_process`, `time_limit` and `stopped`: the checks then call those, not the ones below.
"""

import _thread
import linecache
import os
import random
import signal
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from numbers import Number
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Generator, Tensor

PATIENCE = 10  # times as long by the clock, where others have the processor
ROOM = 84  # characters of a line about a mistake; a failed property takes at most three of them
FOLDERS = (Path(__file__).parents[1], Path(torch.__file__).parents[1])
LIBRARIES = (*map(str, FOLDERS), *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))


class Ended(BaseException):
    """An answer was ended from outside, so its check cannot go on; the message says why."""


@contextmanager
def fixed_settings() -> Iterator[None]:
    """32 bits, the CPU, gradients and nothing compiled, whatever is set; all is set back at the end.

    Memory that an answer leaves unfilled (`torch.empty`) is NaN here, not zeros by luck: PyTorch fills it where it
    must be deterministic.
    """
    dtype, determinism = torch.get_default_dtype(), torch.get_deterministic_debug_mode()
    moved = torch.get_default_device().type != "cpu"  # else PyTorch would look at each call for nothing
    compiled = "torch._dynamo" in sys.modules  # else nothing is, and loading it takes a second
    torch.set_default_dtype(torch.float32)
    torch.set_deterministic_debug_mode("warn")
    try:
        with (
            torch.device("cpu") if moved else nullcontext(),
            torch.enable_grad(),
            torch.compiler.set_stance("force_eager") if compiled else nullcontext(),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_deterministic_debug_mode(determinism)


def left(seconds: float, elapsed: float, used: float) -> float:
    """What is left of so many seconds, for what has used so many of those that elapsed; 0: less than a tenth.

    Seconds in which other programs had the processor do not count: a right answer is not refused because the
    machine is busy. All seconds count of what used less than one in PATIENCE, for it sleeps.
    """
    rest = seconds - (min(used, elapsed) if PATIENCE * used > elapsed else elapsed)
    return rest if rest >= 0.1 * seconds else 0.0


def countdown(seconds: float, processor: Callable[[], float] = time.process_time) -> Callable[[], float]:
    """A function that tells what is `left` of so many seconds from now; `processor` tells those used so far."""
    begin, used = time.monotonic(), processor()
    return lambda: left(seconds, time.monotonic() - begin, processor() - used)


@contextmanager
def time_limit(seconds: float, processor: Callable[[], float] = time.process_time) -> Iterator[None]:
    """Stop what takes longer, as the button Interrupt would. Only the main thread, where cells run, can be.

    The seconds are those of a `countdown`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over, late = threading.Event(), threading.Event()
    begin, rest = time.monotonic(), countdown(seconds, processor)

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            wait = rest()
            if not wait:
                late.set()
                if hasattr(signal, "pthread_kill"):  # not on Windows; it also ends a sleep
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                else:
                    _thread.interrupt_main()
                return

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # some programs ignore the signal
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not late.is_set():
            raise
        raise Ended(too_late(time.monotonic() - begin)) from None
    finally:
        over.set()
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def too_late(seconds: float) -> str:
    return f"it was stopped after {seconds:.0f} s: is there a loop that never ends?"


@contextmanager
def another_process() -> Iterator[None]:
    """What differs from process to process is different here, but not in threads that send a notebook's output."""
    thread, known = threading.get_ident(), hash

    def is_same(value: object) -> bool:
        """Whether its `hash` is the same in all processes: so for numbers, not for texts or objects."""
        return isinstance(value, Number) or (isinstance(value, tuple | frozenset) and all(map(is_same, value)))

    def here(other: Callable, usual: Callable) -> Callable:
        return lambda *args: (other if threading.get_ident() == thread else usual)(*args)

    with (
        patch("builtins.hash", here(lambda value: known(value if is_same(value) else (value, "other")), known)),
        patch("os.getpid", here(lambda: -1, os.getpid)),
    ):
        yield


def chance() -> tuple:
    """The state of each global source of chance."""
    _, keys, *place = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), (keys.tobytes(), *place)


def stir() -> None:
    """Draw from each global source of chance."""
    torch.rand(1), random.random(), np.random.random()


@contextmanager
def kept_chance() -> Iterator[None]:
    """Whatever is drawn here, a notebook goes on with the numbers that it would have drawn."""
    torchs, pythons, numpys = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(torchs)
        random.setstate(pythons)
        np.random.set_state(numpys)


def stopped(error: BaseException) -> str:
    """Where and why a function stopped: the last of its own lines, not one of a library."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is the call itself
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    if not own:
        return f"the call failed, so check the arguments that the function takes: {one_line(error)}"
    line = linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    text = f"it stopped in line {own[-1].lineno} with {one_line(error, 110)}"
    room = 2 * ROOM - 30 - len(text)  # for two lines, whose last words may not fit
    line = line if len(line) <= room else line[: room - 3] + "..."
    return f"{text}, in `{line}`" if room > 20 and line else text


def one_line(error: BaseException, room: int = 180) -> str:
    """The kind and the message of an error; of a long one its begin and its end, where the advice stands."""
    text = " ".join(str(error).split())
    half = room // 2 - 2
    text = text if len(text) <= room else f"{text[:half]}...{text[-half:]}"
    return f"{type(error).__name__}: {text}"


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """A copy of `value` with `function` applied to every tensor in its lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, list | tuple):
        items = [map_tensors(function, item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if type(value) is dict:
        return {key: map_tensors(function, item) for key, item in value.items()}
    return set(value) if type(value) is set else value


def tensors(value: Any) -> list[Tensor]:
    """All tensors in lists, tuples and dicts."""
    found: list[Tensor] = []
    map_tensors(lambda tensor: found.append(tensor) or tensor, value)
    return found


def handed_back(result: Any, given: Any) -> list[int | None]:
    """For each tensor of a result the place of the given one that it is, in the same memory; None if it is new."""

    def memory(tensor: Tensor) -> tuple:
        return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.requires_grad

    places = {memory(tensor): place for place, tensor in enumerate(tensors(given))}
    return [places.get(memory(tensor)) for tensor in tensors(result)]


def generators(value: Any) -> list[Generator]:
    """All generators in lists, tuples and dicts."""
    if isinstance(value, Generator):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [generator for item in items for generator in generators(item)]
