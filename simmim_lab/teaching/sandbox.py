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
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from simmim_lab.teaching import bubblewrap
from simmim_lab.teaching.bubblewrap import ENVIRONMENT, GIB, INSIDE, MIB, Limits, missing, seen, site_folders

__all__ = ["Dead", "Limits", "Sandbox", "hidden_modules", "missing"]

PACKAGE = Path(__file__).parents[1]
PAUSE = 0.05  # seconds between two looks at what the processes take, at least
PATIENCE = 10  # seconds until what was killed is given up
INODE = 1024  # bytes that a file takes, however small
# What the exercises ask to write, and the package has in one form or another. A set keeps what it imports itself.
ANSWERS = {
    "01_masking": ("evaluation",),
    "02_encoders": ("encoders", "swin", "video"),
    "03_decoders": ("decoders",),
    "04_mse_loss": ("losses",),
    "05_training": ("recipe", "loop", "finetuning"),
    "06_gpu_training": ("budget", "hardware"),
    "07_what_it_learned": ("probing",),
    "08_inpainting_and_editing": ("inpainting",),
    "09_generation": ("generation", "judging", "gan"),
    "10_pretrained_models": ("published", "resizing", "files"),
    "11_the_mim_family": ("mae", "guided", "video", "in_context"),
}
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}


class Dead(Exception):
    """The process is gone. The text says why: at a limit, with the limit and the true value."""


class Sandbox:
    """A process that answers each line with a line; a context manager.

    Args:
        program: the files that it may read, in one folder. Python starts the first, with folders of packages as
            arguments: that of simmim_lab, then those of this Python.
        hidden: the modules of simmim_lab that it must not see, by full name.
        isolated: False runs an ordinary process, which may do what this one may. Then only the watch is kept.

    It dies with the thread that started it; so start and close it in the same.
    """

    def __init__(
        self,
        program: list[Path],
        hidden: frozenset[str] = frozenset(),
        limits: Limits = Limits(),  # noqa: B008
        isolated: bool = True,
    ):
        self._limits, self._isolated = limits, isolated
        self._scratch = None if isolated else TemporaryDirectory(ignore_cleanup_errors=True)
        if isolated:
            self._process = _start_locked(program, _visible(hidden), limits)
        else:
            self._process = _start_plain(program, _visible(hidden), Path(self._scratch.name))
        self._why: str | None = None  # it is dead
        self._ending = threading.Lock()
        self._closed = threading.Event()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unanswered = threading.Semaphore(0)
        self._seen: dict[psutil.Process, None] = {}
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
        """The next answer; Dead if none comes within `seconds`, for then all of it is killed."""
        try:
            reply = self._replies.get(timeout=seconds)
        except queue.Empty:
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
            self._scratch.cleanup()

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
                    self._end(_over("output", len(line), self._limits.output))
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
            if excess := self._excess():
                self._end(excess)
            took = time.thread_time() - began  # it grows with the processes of the machine
            pause = min(max(PAUSE, 10 * took), 5 * PAUSE)

    def _excess(self) -> str | None:
        """Which limit is passed, and by what."""
        processes = self._processes()
        count = len(processes) - 2 * self._isolated  # bwrap runs twice
        if count > self._limits.processes:
            return f"processes: {count}, the limit is {self._limits.processes}"
        disk = _size_of(self._scratch.name) if self._scratch else _size_inside(processes)
        if disk > self._limits.disk:
            return _over("disk", disk, self._limits.disk)
        memory = disk + sum(map(_resident, processes))
        if memory > self._limits.memory:  # only then: it is slow
            memory = disk + sum(map(_share, processes))
        if memory > self._limits.memory:
            return _over("memory", memory, self._limits.memory)
        left = psutil.virtual_memory().available
        if left < self._limits.spare:
            return f"memory: this machine has {_in_words(left)} left, and keeps {_in_words(self._limits.spare)}"
        return None

    def _processes(self) -> list[psutil.Process]:
        """All that run, also those that were seen before and have lost their parents."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            self._seen |= dict.fromkeys([root, *root.children(recursive=True)])
        self._seen = {process: None for process in self._seen if _runs(process)}
        return list(self._seen)

    def _end(self, why: str) -> None:
        """Kill all of it, and wait for that; the first reason counts."""
        with self._ending:
            if self._why:
                return
            self._why = why
            until = time.monotonic() + PATIENCE
            while (running := self._processes()) and time.monotonic() < until:
                for process in running:
                    with suppress(psutil.Error):
                        process.kill()
                time.sleep(PAUSE / 10)
            self._process.wait()

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "it closed its channel"
        number = status - 128 if self._isolated else -status  # of a signal, in the ways of bwrap and of Popen
        if number <= 0:
            return f"the process ended (status {status})"
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"cpu: the limit is {self._limits.cpu} s" if name == "SIGXCPU" else f"the process ended ({name})"


def hidden_modules(set_name: str) -> frozenset[str]:
    """The modules of simmim_lab, by full name, that hold what an exercise set asks to write."""
    return frozenset(f"simmim_lab.{name}" for name in ("checks", "teaching", *ANSWERS.get(set_name, ())))


def _start_locked(program: list[Path], course: Mapping[str, Path], limits: Limits) -> subprocess.Popen:
    files = {f"/program/{path.name}": path for path in program}
    files |= {f"/course/simmim_lab/{name}": path for name, path in course.items()}
    with bubblewrap.locked(files, limits) as (command, descriptor):
        command += [f"/program/{program[0].name}", "/course", *map(seen, site_folders())]
        return subprocess.Popen(command, env={}, pass_fds=[descriptor], **PIPES)


def _start_plain(program: list[Path], course: Mapping[str, Path], scratch: Path) -> subprocess.Popen:
    files = {scratch / "program" / path.name: path for path in program}
    files |= {scratch / "course" / "simmim_lab" / name: path for name, path in course.items()}
    for place, path in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, place) if path.is_dir() else shutil.copyfile(path, place)
    command = [sys.executable, "-S", "-B", str(scratch / "program" / program[0].name), str(scratch / "course")]
    windows = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # it cannot do without
    environment = ENVIRONMENT | windows | {"HOME": str(scratch), "TMPDIR": str(scratch), "TEMP": str(scratch)}
    return subprocess.Popen([*command, *map(str, site_folders())], env=environment, cwd=scratch, **PIPES)


def _visible(hidden: frozenset[str]) -> dict[str, Path]:
    """What stands in the folder of simmim_lab inside: its modules, with stubs for those that are hidden.

    Nothing compiled, no weights, no tests: only what is named here.
    """
    course = {}
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            name = f"simmim_lab.{path.stem}"
            stub = INSIDE / "checks.py" if name == "simmim_lab.checks" else INSIDE / "absent.py"
            course |= {f"{path.stem}.py": stub} if name in hidden else {path.name: path}
    return course


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _size_inside(processes: list[psutil.Process]) -> int:
    """The bytes in the scratch folders of a sandbox, whose files may have no name any more."""
    size = 0
    for process in processes:
        root = Path(f"/proc/{process.pid}/root")
        with suppress(OSError):  # it may have ended, or be none of those inside
            if (root / "program").exists():
                for place in bubblewrap.SCRATCH:
                    used = os.statvfs(f"{root}{place}")
                    size += (used.f_blocks - used.f_bfree) * used.f_frsize + (used.f_files - used.f_ffree) * INODE
                break
    return size


def _size_of(folder: str) -> int:
    size = 0
    for path in Path(folder).rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_size
    return size


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def _share(process: psutil.Process) -> int:
    """The memory of a process, of what others have too its share; all of it, where the system does not tell."""
    with suppress(psutil.Error, AttributeError):
        return process.memory_full_info().pss
    return _resident(process)


def _over(what: str, value: int, limit: int) -> str:
    return f"{what}: {_in_words(value)}, the limit is {_in_words(limit)}"


def _in_words(size: int) -> str:
    return f"{size / GIB:.3g} GiB" if size >= GIB else f"{size / MIB:.3g} MiB"
