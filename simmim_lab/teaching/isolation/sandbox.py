"""A process that runs the code of a stranger, locked in and watched.

It reads lines and writes one line for each. The kernel keeps it from all of this machine (see bubblewrap.py); its
memory, disk, processes, replies and time are watched from here, and at a limit all of it is killed.
"""

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from simmim_lab.checks import running
from simmim_lab.teaching.isolation import usage
from simmim_lab.teaching.isolation.bubblewrap import ENVIRONMENT, MIB, Limits, locked, missing, seen, site_folders
from simmim_lab.teaching.isolation.visible import hidden_modules, visible

__all__ = ["Dead", "Limits", "Sandbox", "hidden_modules", "missing"]

PAUSE = 0.05  # seconds between two looks at what the processes take, at least
PATIENCE = 10  # seconds until what was killed is given up
POPEN = {
    "stdin": subprocess.PIPE,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.DEVNULL,
    "bufsize": 0,
    "start_new_session": True,  # Ctrl-C ends the grader alone: this end would count as the student's
}


class Dead(Exception):
    """The process is gone. The text says why: at a limit, with the limit and the true value."""


class Sandbox:
    """A process that answers each line with a line; a context manager.

    Args:
        program: the files that it may read, in one folder. Python starts the first, with folders of packages as
            arguments: that of simmim_lab, then those of this Python.
        hidden: the modules of simmim_lab that it must not see, by full name.
        isolated: False runs an ordinary process, which may do what this one may. Then only the watch is kept.

    It dies with the thread that started it; so start and close it in the same. `used` is the time of a processor
    that it has taken so far, in seconds.
    """

    def __init__(
        self,
        program: list[Path],
        hidden: frozenset[str] = frozenset(),
        limits: Limits = Limits(),
        isolated: bool = True,
    ):
        self._limits, self._isolated = limits, isolated
        self._scratch = None if isolated else Path(tempfile.mkdtemp())
        course = visible(hidden)
        self._process = (
            _start_locked(program, course, limits) if isolated else _start_plain(program, course, self._scratch)
        )
        self.used = 0.0
        self._why: str | None = None  # it is dead
        self._ending = threading.Lock()
        self._closed = threading.Event()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unanswered = threading.Semaphore(0)
        self._seen: list[psutil.Process] = []
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._write, self._read, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def send(self, line: bytes) -> None:
        """Send a line, without waiting until it is read; Dead if nobody is there to read it."""
        if self._why:
            raise Dead(self._why)
        self._unanswered.release()
        self._lines.put(line)

    def receive(self, seconds: float) -> bytes:
        """The next answer; Dead if none comes within `seconds`, for then all of it is killed.

        Seconds in which other programs have the processor do not count (`running.countdown`).
        """
        left, wait = running.countdown(seconds, lambda: self.used), seconds
        while wait:
            try:
                reply = self._replies.get(timeout=wait)
                break
            except queue.Empty:
                wait = left()
        else:
            self._end(f"after {seconds:g} s")
            reply = None
        if reply is None:
            self._replies.put(None)  # for the next call
            raise Dead(self._why)
        return reply

    def close(self) -> None:
        """Kill all of it, and wait until nothing of it runs."""
        self._end("it was closed")
        self._closed.set()
        self._lines.put(None)
        for thread in self._threads:
            thread.join(timeout=PATIENCE)  # an ordinary process may have left others, which keep a pipe open
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _write(self) -> None:
        with suppress(OSError), self._process.stdin:
            while line := self._lines.get():
                view = memoryview(line)
                while view:
                    view = view[self._process.stdin.write(view) :]

    def _read(self) -> None:
        line = bytearray()
        with self._process.stdout:
            while not self._why and (chunk := self._process.stdout.read(MIB)):
                line += chunk
                if len(line) > self._limits.output:
                    self._end(usage.over("output", len(line), self._limits.output))
                elif b"\n" in chunk:
                    if line.index(b"\n") < len(line) - 1 or not self._unanswered.acquire(blocking=False):
                        self._end("it replied without being asked")
                        break
                    self._replies.put(bytes(line))
                    line.clear()
        self._end(self._how_it_ended())
        self._replies.put(None)

    def _watch(self) -> None:
        pause = PAUSE
        while not self._why and not self._closed.wait(pause):
            began = time.thread_time()
            try:
                processes = self._processes()
                self.used = max(self.used, usage.processor(processes))
                excess = usage.excess(processes, self._limits, self._scratch)
            except Exception as error:  # then nobody would watch it
                excess = f"it cannot be watched: {error}"
            if excess:
                self._end(excess)
            took = time.thread_time() - began  # it grows with the processes of the machine
            pause = min(max(PAUSE, 10 * took), 5 * PAUSE)

    def _processes(self) -> list[psutil.Process]:
        """All that run, also those that were seen before and have lost their parents."""
        seen = self._seen  # each thread makes a list of its own
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            seen = list(dict.fromkeys([*seen, root, *root.children(recursive=True)]))
        self._seen = [process for process in seen if _runs(process)]
        return self._seen

    def _end(self, why: str) -> None:
        """Kill all of it, and wait for that; the first reason counts."""
        with self._ending:
            if self._why:
                return
            self._why = why
            until = time.monotonic() + PATIENCE
            while (alive := self._processes()) and time.monotonic() < until:
                for process in alive:
                    with suppress(psutil.Error):
                        process.kill()
                time.sleep(PAUSE / 10)
            self._process.wait()

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return "it closed its channel"
        number = status - 128 if self._isolated else -status  # of a signal, in the ways of bwrap and of Popen
        if number <= 0:
            return f"the process ended (status {status})"
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"cpu: the limit is {self._limits.cpu} s" if name == "SIGXCPU" else f"the process ended ({name})"


def _start_locked(program: list[Path], course: Mapping[str, Path], limits: Limits) -> subprocess.Popen:
    files = {f"/program/{path.name}": path for path in program}
    files |= {f"/course/simmim_lab/{name}": path for name, path in course.items()}
    with locked(files, limits) as (command, descriptor):
        command += [f"/program/{program[0].name}", "/course", *map(seen, site_folders())]
        return subprocess.Popen(command, env={}, pass_fds=[descriptor], **POPEN)


def _start_plain(program: list[Path], course: Mapping[str, Path], scratch: Path) -> subprocess.Popen:
    files = {scratch / "program" / path.name: path for path in program}
    files |= {scratch / "course" / "simmim_lab" / name: path for name, path in course.items()}
    for place, path in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, place) if path.is_dir() else shutil.copyfile(path, place)
    command = [sys.executable, "-S", "-B", str(scratch / "program" / program[0].name), str(scratch / "course")]
    windows = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # it cannot do without
    environment = ENVIRONMENT | windows | {"HOME": str(scratch), "TMPDIR": str(scratch), "TEMP": str(scratch)}
    return subprocess.Popen([*command, *map(str, site_folders())], env=environment, cwd=scratch, **POPEN)


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
