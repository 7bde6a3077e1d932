"""Programs of strangers in the sandbox: what they reach, what they may take, and that nothing of them stays."""

import contextlib
import importlib
import inspect
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from simmim_lab.teaching import cli
from simmim_lab.teaching.course import exercise_sets
from simmim_lab.teaching.isolation import bubblewrap, doctor, seccomp, usage
from simmim_lab.teaching.isolation.sandbox import Dead, Limits, Sandbox, hidden_modules

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
# Each line of the request is a program. What comes back is the reply to each, and why it died, if it did.
GRADER = """
import json, sys
from pathlib import Path
from simmim_lab.teaching.isolation.sandbox import Dead, Limits, Sandbox, hidden_modules

request = json.load(sys.stdin)
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
    """The beginning of a command that runs Python as a user, with psutil and the course."""
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
    """Call it with programs: the `result` of each, or its exception; and why the sandbox died, if it did."""
    command = grader(request.param)
    folder = tmp_path_factory.mktemp("program", numbered=True)
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    program = folder / f"worker_{folder.name}_{os.getpid()}.py"
    program.write_text(WORKER)

    def run(*lines: str, seconds: float = 20, **limits: int) -> tuple[list[str], str | None]:
        work = {"program": str(program), "lines": lines, "seconds": seconds, "limits": limits}
        done = subprocess.run(
            [*command, "-c", GRADER], input=json.dumps(work), capture_output=True, text=True, timeout=60, cwd="/"
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
            "import glob; files = glob.glob('/packages/*/*simmim_lab*') + glob.glob('/packages/*/simmim_lab*/*')",
            "files = [open(file).read() for file in files if os.path.isfile(file) and os.access(file, os.R_OK)]",
            f"result = [text for text in files if {str(ROOT)!r} in text]",
        )
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert dead is None
    assert replies[:3] == ["'FileNotFoundError'"] * 3
    assert replies[3:6] == ["'FileNotFoundError'", "'ProcessLookupError'", "'PermissionError'"]
    home = {"bin", "course", "dev", "lib", "lib64", "packages", "proc", "program", "python", "tmp", "usr"}
    assert set(eval(replies[6])) <= home
    assert eval(replies[7]) == ["cpuinfo"]
    assert replies[-1] == "[]"
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
        "result = sorted(os.listdir('/course/simmim_lab'))",
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


@pytest.mark.parametrize(
    ("value", "limit", "said"),
    [
        (2**28 + 1, 2**28, "256.000001 MiB, the limit is 256 MiB"),
        (2**28 + 2**16, 2**28, "256.1 MiB, the limit is 256 MiB"),
        (1010 * 2**20, 2**28, "1010 MiB, the limit is 256 MiB"),
        (2**31 + 1, 2**31, "2.000000001 GiB, the limit is 2 GiB"),
        (int(2.34 * 2**30), 2**31, "2.3 GiB, the limit is 2 GiB"),
    ],
)
def test_what_passes_a_limit_is_told_with_digits_that_show_it(value, limit, said):
    assert usage.over("memory", value, limit) == f"memory: {said}"


def test_memory_that_processes_share_counts_once(attempt):
    program = "x = b'x' * 2**26\nif 0 in [os.fork() for _ in range(3)]: time.sleep(20)\ntime.sleep(0.5)"
    assert attempt(program, memory=256 * 2**20)[1] is None


DISKS = {
    "a file": "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(2**20))",
    "a file without a name": "f = open('/tmp/x', 'wb'); os.remove('/tmp/x')\nwhile True: f.write(bytes(2**20))",
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


@pytest.mark.parametrize("program", ["while True: os.fork()", "while True: subprocess.Popen(['sleep', '20'])"])
def test_processes_are_limited(attempt, program):
    replies, dead = attempt(f"try:\n {program}\nexcept OSError: time.sleep(20)", processes=16)
    assert replies == []
    match = re.fullmatch(r"processes: (\d+), the limit is 16", dead or "")
    assert match and 16 < int(match[1]) <= 80, dead


def test_a_reply_is_limited(attempt):
    _, dead = attempt("while True: os.write(1, b'x' * 2**16)", output=2**20)
    found, limit = measured(dead, "output")
    assert 1 <= found < 3 and limit == 1


def test_a_reply_that_nobody_asked_for_ends_it(attempt):
    assert attempt("print('forged'); time.sleep(0.2)", "time.sleep(20)")[1] == "it replied without being asked"


ENDS = {
    "time.sleep(20)": "after 1 s",
    "[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 15)]; time.sleep(20)": "after 1 s",
    "os.kill(os.getpid(), signal.SIGSTOP)": "after 1 s",
    "os._exit(3)": "the process ended (status 3)",
    "os.kill(os.getpid(), signal.SIGKILL)": "the process ended (SIGKILL)",
    "ctypes.string_at(0)": "the process ended (SIGSEGV)",
    "signal.raise_signal(signal.SIGXCPU)": "cpu: the limit is 600 s",
}


@pytest.mark.parametrize("program", ENDS)
def test_an_end_has_a_reason(attempt, program):
    seconds = 1 if ENDS[program] == "after 1 s" else 20
    assert attempt(program, seconds=seconds) == ([], ENDS[program])


def test_daemons_end_with_it(attempt):
    """The fixture looks for what is left."""
    daemon = "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  time.sleep(60)\n os._exit(0)"
    assert attempt(*[daemon] * 3, "result = 'done'")[0][-1] == "'done'"


@pytest.fixture
def start(isolation, tmp_path):
    """Call it with the text of a program and what a Sandbox takes: one in this process."""
    with contextlib.ExitStack() as stack:

        def run(text: str, **settings) -> Sandbox:
            (tmp_path / "program.py").write_text(text)
            return stack.enter_context(Sandbox([tmp_path / "program.py"], **settings))

        yield run


@pytest.mark.parametrize("isolated", [True, False])
def test_a_program_that_does_not_read_stops_nobody(start, isolated):
    sandbox = start("import time; time.sleep(60)", isolated=isolated)
    sandbox.send(bytes(2**22) + b"\n")
    with pytest.raises(Dead, match=r"after 0\.5 s"):
        sandbox.receive(0.5)
    with pytest.raises(Dead, match=r"after 0\.5 s"):
        sandbox.send(b"1\n")


def test_it_ends_with_the_grader(isolation, tmp_path):
    program = tmp_path / f"orphan_{os.getpid()}.py"
    program.write_text("import time; print(flush=True); time.sleep(60)")
    grader = f"""
import os, pathlib
from simmim_lab.teaching.isolation.sandbox import Sandbox
sandbox = Sandbox([pathlib.Path({str(program)!r})])
sandbox.send(b"x\\n")
sandbox.receive(20)
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", grader]).returncode == -9
    for _ in range(50):
        if not running(program.name):
            return
        time.sleep(0.1)
    pytest.fail("it still runs")


def test_without_isolation_time_memory_and_children_are_watched(start, monkeypatch):
    monkeypatch.setenv("SECRET", "of the grader")
    echo = "import os, sys\nfor line in sys.stdin: print(eval(line), flush=True)"
    sandbox = start(echo, isolated=False, limits=Limits(memory=256 * 2**20))
    for line, reply in {"'SECRET' in os.environ": "False", "os.environ['HOME'] == os.getcwd()": "True"}.items():
        sandbox.send(line.encode() + b"\n")
        assert sandbox.receive(20).decode().strip() == reply
    sandbox.send(b"[bytearray(2**24) for _ in range(100)]\n")
    with pytest.raises(Dead, match=r"memory: .* the limit is 256 MiB"):
        sandbox.receive(20)


@pytest.mark.parametrize("name", exercise_sets(ROOT))
def test_what_a_set_hides_exists_and_is_not_what_its_notebook_imports(name):
    notebook = (ROOT / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    for module in (module.partition(".")[2] for module in hidden_modules(name)):
        path = ROOT / "simmim_lab" / module
        assert path.is_dir() or path.with_suffix(".py").exists()
        imported = re.search(rf"from simmim_lab import .*\b{module}\b|simmim_lab\.{module}\b", notebook)
        assert not imported or module == "checks"  # which has a stub that does nothing


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_the_same_on_both_kinds_of_processors(machine, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    steps = [*struct.iter_unpack("=HBBI", seccomp.filter_program())]
    architecture, place = seccomp.ARCHITECTURES[machine], [*seccomp.ARCHITECTURES].index(machine)

    def answer(numbers: tuple[int, int], *args: int, architecture: int = architecture) -> int:
        data = struct.pack("=IIQ6Q", numbers[place], architecture, 0, *args, *[0] * (6 - len(args)))
        at, value = 0, 0
        while True:
            code, yes, no, k = steps[at]
            if code == 0x06:
                return k
            if code == 0x20:
                (value,) = struct.unpack_from("=I", data, k)
                at += 1
            else:
                at += 1 + (yes if {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code] else no)

    allow, refuse, unknown, kill = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
    assert {answer(numbers) for numbers in seccomp.REFUSED.values()} == {refuse}
    assert answer((0, 63)) == allow  # read
    assert (answer(seccomp.SOCKET, 1), answer(seccomp.SOCKET, 2), answer(seccomp.SOCKET, 40)) == (
        allow,
        refuse,
        refuse,
    )
    assert (answer(seccomp.CLONE, 0x11), answer(seccomp.CLONE, 0x10000011)) == (allow, refuse)
    assert answer(seccomp.CLONE3) == unknown
    flags = {0x22: allow, 0x01: allow, 0x21: refuse, 0x31: refuse}
    assert {value: answer(seccomp.MMAP, 0, 4096, 3, value) for value in flags} == flags
    assert answer((0, 63), architecture=0x40000003) == kill  # of 32 bits
    assert answer((0x40000000, 0x40000000)) == refuse


def test_what_is_missing_is_said_with_a_remedy(monkeypatch, tmp_path):
    missing = bubblewrap.missing.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert "needs Linux" in missing()
    with monkeypatch.context() as patch:
        patch.setattr("platform.machine", lambda: "riscv64")
        assert "riscv64" in missing()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert "apt install bubblewrap" in missing()


@pytest.mark.parametrize(
    "error, remedy",
    [
        ("bwrap: setting up uid map: Permission denied", "namespaces"),
        ("bwrap: No permissions to create new namespace, likely because the kernel", "sysctl"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "container"),
        ("bwrap: Unknown option --size", "0.6 or newer"),
        ("bwrap: execvp env: No such file", "execvp env"),
    ],
)
def test_an_error_of_bubblewrap_has_a_remedy(error, remedy):
    assert remedy in bubblewrap._advice(error)


def test_a_course_that_the_sandbox_would_show_is_refused(isolation, monkeypatch, tmp_path):
    (tmp_path / "solutions").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bubblewrap, "_mounts", lambda: {tmp_path: "/packages/0"})
    assert f"the course in {tmp_path} would be seen" in bubblewrap.missing.__wrapped__()


def test_the_doctor_says_whether_this_machine_isolates(isolation, capsys, monkeypatch):
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["isolation", "memory", "cores", "nbgrader", "PyTorch", "Python"]
    assert "yes: bubblewrap" in lines[0] and "--jobs" in lines[2]
    monkeypatch.setattr(doctor, "missing", lambda: "the program bwrap is missing: install it")
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out.startswith("isolation  no: the program bwrap is missing: install it\n")


@pytest.mark.verify
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", exercise_sets(ROOT))
def test_nothing_that_a_set_still_sees_is_an_answer(name, tmp_path, monkeypatch):
    """Each function of the package that is not hidden gets the arguments of a task; what returns is tested."""
    from simmim_lab import checks
    from simmim_lab.checks.core import Failed

    monkeypatch.chdir(tmp_path)
    notebook = (ROOT / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    functions, answers = visible_functions(name), []
    for task in re.findall(r"check\.(\w+)\.grade\(", notebook):
        args, kwargs = first_call(checks.TASKS[task])
        for function in functions:
            with contextlib.suppress(BaseException), within_limits():
                function(*args, **kwargs)
                answers.append((task, function))
    wrong = []
    for task, function in answers:
        with contextlib.suppress(Failed):
            checks.TASKS[task].grade(function)
            wrong.append((task, function))
    assert not wrong


def first_call(check) -> tuple[tuple, dict]:
    """The arguments with which a check calls an answer first."""
    calls = []

    def answer(*args, **kwargs):
        calls.append((args, kwargs))
        raise ValueError

    with contextlib.suppress(Exception):
        check.grade(answer)
    return calls[0]


def visible_functions(name: str) -> list[Callable]:
    """The functions and classes in the modules of simmim_lab that an exercise set does not hide."""
    found = []
    for path in sorted((ROOT / "simmim_lab").glob("*.py")):
        module = f"simmim_lab.{path.stem}"
        if module not in hidden_modules(name) and path.stem not in ("__main__", "simmim_keras"):
            members = inspect.getmembers(importlib.import_module(module), callable)
            found += [value for _, value in members if getattr(value, "__module__", "") == module]
    return found


@contextlib.contextmanager
def within_limits():
    """An error in what runs longer than a second, or takes 2 GiB more than the process has already."""
    import resource  # which Windows lacks

    def stop(*_):
        raise TimeoutError

    before, (limit, most) = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**31, most))
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
        signal.signal(signal.SIGALRM, before)
