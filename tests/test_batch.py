"""Many jobs at once: one that hangs, dies, or takes all memory costs its own result alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from simmim_lab.teaching.grading import batch
from simmim_lab.teaching.grading.batch import JobError, each

ROOT = Path(__file__).parents[1]


def job(key: str) -> str:
    if key == "hangs":
        time.sleep(600)
    if key == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if key == "ends":
        os._exit(3)
    if key == "refuses":
        raise ValueError("a sentence")
    if key == "breaks":
        raise KeyError("x")
    if key == "is large":
        held = b"x" * 300_000_000
        time.sleep(600)
        return held[:1].decode()
    print("noise")
    return key.upper()


def test_each_job_has_a_result_or_a_reason(capfd):
    work = ["a", "hangs", "dies", "ends", "refuses", "breaks", "b"]
    found = dict(each(work, job, seconds=4, jobs=3, title="work"))
    assert found.keys() == set(work)
    assert (found.pop("a"), found.pop("b")) == ("A", "B")
    assert all(isinstance(error, JobError) for error in found.values())
    told = {key: str(error) for key, error in found.items()}
    assert told == {
        "hangs": "it was stopped after 4 s",
        "dies": "its process ended (status -9)",
        "ends": "its process ended (status 3)",
        "refuses": "a sentence",
        "breaks": "KeyError: 'x'",
    }
    assert "noise" not in capfd.readouterr().out


def test_a_job_that_takes_too_much_memory_is_ended(monkeypatch):
    monkeypatch.setattr(batch, "MEMORY", 200_000_000)
    [(_, error)] = each(["is large"], job, seconds=60, jobs=1, title="work")
    assert str(error).startswith("memory: ") and str(error).endswith(", the limit is 190.7 MiB")


PROGRAM = """
import sys, time
from simmim_lab.teaching.grading import batch
def job(key):
    open(key, "w").close()
    time.sleep(600)
if __name__ == "__main__":
    list(batch.each(sys.argv[1:], job, seconds=600, jobs=2, title="work"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_command_ends(tmp_path, sign):
    (tmp_path / "program.py").write_text(PROGRAM)
    marks = [tmp_path / "one", tmp_path / "two"]
    command = [sys.executable, str(tmp_path / "program.py"), *map(str, marks)]
    started = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    wait_until(lambda: all(mark.exists() for mark in marks))
    running = psutil.Process(started.pid).children(recursive=True)
    started.send_signal(sign)
    started.wait(60)
    wait_until(lambda: not any(runs(process) for process in running))


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wait_until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
