"""Programs of strangers in the sandbox: what they reach, what they may take, and that nothing of them stays."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
WORKER = """
import ctypes, os, resource, signal, subprocess, sys, time

sys.path += sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
scope = dict(globals())
for line in sys.stdin:
    try:
        exec(eval(line), scope)
        reply = scope.pop("result", None)
    except BaseException as error:
        reply = type(error).__name__
    print(repr(reply), flush=True)
"""
# The grader: each line of the request is a program; its answers come back, then why it died, if it did.
GRADER = """
import json, sys
from pathlib import Path
from simmim_lab.teaching.sandbox import Dead, Limits, Sandbox, hidden_modules

request = json.loads(sys.argv[1])
replies, dead = [], None
with Sandbox([Path(request["program"])], hidden_modules("04_mse_loss"), Limits(**request["limits"])) as sandbox:
    try:
        for line in request["lines"]:
            sandbox.send(repr(line).encode() + b"\\n")
            replies.append(sandbox.receive(request["seconds"]).decode().strip())
    except Dead as error:
        dead = str(error)
print(json.dumps([replies, dead]))
"""


def grader(user: str) -> list[str]:
    """The beginning of a command that runs Python as this user, with psutil and the course."""
    if user == "this user":
        return [sys.executable, "-B"]
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    packages = Path(psutil.__file__).parents[1]
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        command = [*become, "env", f"PYTHONPATH={ROOT}:{packages}", python, "-B"]
        test = [*command, "-c", "from simmim_lab.teaching import sandbox; assert sandbox.missing() is None"]
        with contextlib.suppress(OSError):
            if subprocess.run(test, capture_output=True, cwd="/").returncode == 0:
                return command
    pytest.skip("no Python here that another user may start")


@pytest.fixture(scope="module", params=["this user", "another user"])
def attempt(request, isolation, tmp_path_factory):
    """Call it with programs: what each leaves in `result`, or its exception, and why the sandbox died, if it did."""
    command = grader(request.param)
    folder = tmp_path_factory.mktemp("program", numbered=True)
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    program = folder / f"worker_{folder.name}_{os.getpid()}.py"
    program.write_text(WORKER)

    def run(*lines: str, seconds: float = 20, **limits: int) -> tuple[list[str], str | None]:
        work = {"program": str(program), "lines": lines, "seconds": seconds, "limits": limits}
        done = subprocess.run(
            [*command, "-c", GRADER, json.dumps(work)], capture_output=True, text=True, timeout=60, cwd="/"
        )
        assert done.returncode == 0, done.stderr
        assert not running(program.name)
        return tuple(json.loads(done.stdout))

    return run


def measured(dead: str | None, what: str) -> tuple[float, float]:
    """The value and the limit, in MiB, that a reason names."""
    match = re.fullmatch(rf"{what}: ([\d.]+) (M|G)iB, the limit is ([\d.]+) (M|G)iB", dead or "")
    assert match, dead
    unit = {"M": 1, "G": 1024}
    return float(match[1]) * unit[match[2]], float(match[3]) * unit[match[4]]


def running(name: str) -> list[psutil.Process]:
    """The processes whose command line names a program inside a sandbox."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(name in word for word in process.cmdline()[:20]) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_an_honest_program_runs(attempt):
    replies, dead = attempt(
        "import threading, multiprocessing, tempfile",
        "threads = [threading.Thread(target=print, kwargs={'end': ''}) for _ in range(8)]",
        "[thread.start() for thread in threads]; result = 1",
        "result = subprocess.run(['true']).returncode",
        "file = tempfile.TemporaryFile(); file.write(bytes(2**20)); result = file.tell()",
        "import socket; socket.socket(socket.AF_UNIX); multiprocessing.Lock(); result = os.getcwd()",
    )
    assert (replies[2:], dead) == (["1", "0", "1048576", "'/tmp'"], None)


def test_nothing_of_this_machine_is_seen(attempt, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("secret")
    for path in (canary, tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(0)
        replies, dead = attempt(
            f"open({str(canary)!r})",
            f"os.listdir({str(ROOT)!r})",
            "open('/etc/passwd')",
            f"open('/proc/{os.getpid()}/environ')",
            f"os.kill({os.getpid()}, signal.SIGTERM)",
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
            "result = sorted(os.listdir('/'))",
            "result = os.listdir('/proc')",
            "result = sorted(os.environ)",
        )
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert dead is None
    assert replies[:3] == ["'FileNotFoundError'"] * 3
    assert replies[3:6] == ["'FileNotFoundError'", "'ProcessLookupError'", "'PermissionError'"]
    home = {"bin", "course", "dev", "lib", "lib64", "packages", "proc", "program", "python", "tmp", "usr"}
    assert set(eval(replies[6])) <= home
    assert eval(replies[7]) == ["cpuinfo"]
    assert set(eval(replies[8])) <= {"HOME", "LANG", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PATH", "PWD", "USER"}


def test_nothing_can_be_written_but_the_scratch_folder(attempt):
    places = ["/x", "/dev/x", "/usr/bin/x", "/program/x", "/course/x", "/proc/x", "/proc/cpuinfo"]
    replies, dead = attempt(*(f"open({place!r}, 'w')" for place in places), "open('/tmp/x', 'w'); result = 1")
    assert dead is None
    assert set(replies[:-1]) <= {"'OSError'", "'PermissionError'"} and replies[-1] == "1"


def test_the_kernel_refuses_what_a_lesson_never_needs(attempt):
    """Other processes, namespaces, and memory that no process seems to have."""
    replies, dead = attempt(
        "result = libc.ptrace(16, 1, 0, 0)",  # PTRACE_ATTACH
        "result = libc.unshare(0x10000000)",  # CLONE_NEWUSER
        "result = libc.syscall(435, 0, 0), ctypes.get_errno()",  # clone3
        "result = libc.shmget(0, 4096, 0o1600), libc.msgget(0, 0o1600)",
        "os.memfd_create('x')",
        "import mmap; mmap.mmap(-1, 4096)",
        "mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096)",
        "import socket; socket.socket(socket.AF_VSOCK)",
        "libc.setuid(0); result = os.getuid() == 0",
        "result = libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "result = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).write(b'x')",
    )
    assert dead is None
    assert replies[:4] == ["-1", "-1", "(-1, 38)", "(-1, -1)"]
    assert replies[4:6] == ["'PermissionError'"] * 2 and replies[6] in ("'OSError'", "'ValueError'")
    assert replies[7] == "'PermissionError'"
    assert replies[8:] == ["False", "-1", "1"]


def test_signals_to_all_hit_nothing_but_its_own(attempt):
    replies, dead = attempt("os.kill(-1, signal.SIGKILL)", "result = 'still here'")
    assert (replies, dead) == (["'ProcessLookupError'", "'still here'"], None)


def test_the_course_inside_gives_no_answer_away(attempt):
    replies, dead = attempt(
        "import simmim_lab.losses",
        "import simmim_lab.teaching.course",
        "import simmim_lab.checks.core",
        "sys.modules.pop('simmim_lab', 0); result = sorted(os.listdir('/course/simmim_lab'))",
        "result = [f for folder in sys.path for d, _, fs in os.walk(folder + '/simmim_lab') for f in fs]",
        "result = open('/course/simmim_lab/losses.py').read() == open('/course/simmim_lab/teaching.py').read()",
    )
    assert dead is None
    files = set(eval(replies[3]))
    assert {"losses.py", "masking.py", "checks.py"} <= files and not files & {"weights", "__pycache__", "checks"}
    assert "solutions.py" not in replies[4] and not any("losses" in f and "pyc" in f for f in eval(replies[4]))
    assert replies[5] == "True"


MANY_MEMORIES = {
    "bytes": "x = [bytearray(2**24) for _ in range(100)]",
    "a private mapping": "import mmap; m = mmap.mmap(-1, 2**29, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
    "while True: m[:] = bytes(2**29)",
    "what others may not look at": "libc.prctl(4, 0, 0, 0, 0); x = [bytearray(2**24) for _ in range(100)]",
    "children": "for i in range(12):\n if os.fork() == 0:\n  x = b'x' * 2**26\n  time.sleep(20)\ntime.sleep(20)",
}


@pytest.mark.parametrize("program", MANY_MEMORIES.values(), ids=MANY_MEMORIES)
def test_memory_is_limited(attempt, program):
    replies, dead = attempt(program, memory=256 * 2**20)
    assert replies == []
    found, limit = measured(dead, "memory")
    assert 256 < found < 1500 and limit == 256


def test_memory_that_processes_share_counts_once(attempt):
    program = (
        "x = b'x' * 2**26; child = [os.fork() for _ in range(3)]\nif 0 in child: time.sleep(20)\ntime.sleep(0.5)"
    )
    assert attempt(program, memory=256 * 2**20)[1] is None


DISKS = {
    "a file": "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(2**20))",
    "a file without a name": "f = open('/dev/shm/x', 'wb'); os.remove('/dev/shm/x')\nwhile True: f.write(bytes(2**20))",
    "mapped": "import mmap; f = open('/dev/shm/x', 'w+b'); f.truncate(2**25); m = mmap.mmap(f.fileno(), 2**25)\n"
    "m[:] = bytes(2**25); time.sleep(20)",
    "empty files": "for i in range(10**6): open(f'/tmp/{i}', 'w').close()",
}


@pytest.mark.parametrize("program", DISKS.values(), ids=DISKS)
def test_disk_is_limited(attempt, program):
    replies, dead = attempt(
        "try:\n" + textwrap.indent(program, " ") + "\nexcept OSError: time.sleep(20)", disk=16 * 2**20
    )
    assert replies == []
    found, limit = measured(dead, "disk")
    assert 16 < found < 80 and limit == 16
