"""What the processes of a sandbox take of this machine, and which limit that passes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from simmim_lab.teaching.isolation.bubblewrap import GIB, MIB, SCRATCH, Limits

INODE = 1024  # bytes of memory that a file takes, however small


def excess(processes: list[psutil.Process], limits: Limits, scratch: Path | None) -> str | None:
    """Which limit these processes pass, and by what; None if they pass none.

    `scratch` is the folder of an ordinary process; None: they are locked in, and have theirs inside.
    """
    count = len(processes) if scratch else len(processes) - 2  # bwrap runs twice
    if count > limits.processes:
        return f"processes: {count}, the limit is {limits.processes}"
    disk = _size_of(scratch) if scratch else _size_inside(processes)
    if disk > limits.disk:
        return over("disk", disk, limits.disk)
    memory = disk + sum(map(_resident, processes))
    if memory > limits.memory:  # counted with care, which takes a while
        with _stopped(processes):
            memory = disk + sum(map(_share, processes))
    if memory > limits.memory:
        return over("memory", memory, limits.memory)
    left = psutil.virtual_memory().available
    if left < limits.spare:
        has, keeps = _in_words(left, limits.spare)
        return f"memory: this machine has {has} left, and keeps {keeps}"
    return None


def processor(processes: list[psutil.Process]) -> float:
    """The seconds of a processor that they have used, and those that they have started and seen to the end."""
    seconds = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def over(what: str, value: int, limit: int) -> str:
    """A limit, in bytes, with the value that passes it."""
    found, allowed = _in_words(value, limit)
    return f"{what}: {found}, the limit is {allowed}"


@contextmanager
def _stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """They take nothing more meanwhile."""
    for process in processes:
        with suppress(psutil.Error):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.Error):
                process.resume()


def _size_inside(processes: list[psutil.Process]) -> int:
    """The bytes in the scratch folders of a sandbox, whose files may have no name any more."""
    size = 0
    for process in processes:
        root = Path(f"/proc/{process.pid}/root")
        with suppress(OSError):  # it may have ended, or be none of those inside
            if (root / "program").exists():
                for place in SCRATCH:
                    used = os.statvfs(f"{root}{place}")
                    size += (used.f_blocks - used.f_bfree) * used.f_frsize + (used.f_files - used.f_ffree) * INODE
                break
    return size


def _size_of(folder: Path) -> int:
    size = 0
    with suppress(OSError):  # files come and go meanwhile
        for path in folder.rglob("*"):
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


def _in_words(*sizes: int) -> list[str]:
    """Sizes that differ, with as many decimals as show it."""
    units = [(GIB, "GiB") if size >= GIB else (MIB, "MiB") for size in sizes]
    for decimals in range(1, 15):
        words = [
            f"{round(size / unit, decimals):.15g} {name}" for size, (unit, name) in zip(sizes, units, strict=True)
        ]
        if len(set(words)) == len(words):
            break
    return words
