"""Memory, processes, disk, output and time; processes that die. One task is hit: it alone loses its points."""

# ruff: noqa: E501

from functools import partial

from submissions import ALL, HIT, NONE, OTHERS, RIGHT, TASKS, attack, data, extra, solved, submit

hit = partial(attack, "limits", earns=OTHERS)  # with `answer={HIT: body}`: in the call


def in_cell(does: str, code: str, **more) -> None:
    """The code stands in the cell of the task that is hit, above its right function."""
    submit("limits", does, data(solved({HIT: f"{code.strip()}\n{RIGHT[HIT]}"})), more.pop("earns", OTHERS), **more)


SECONDS = r"\d+ s\b"
MEMORY = r"(?i)memory.*\d.*GiB"

hit("a call never ends", answer={HIT: "while True: pass"}, note=SECONDS)
hit("a call sleeps for ever", answer={HIT: "import time; time.sleep(10**6)"}, note=SECONDS)
hit("a call counts for ever in C, and cannot be interrupted", answer={HIT: "sum(range(10**14))"}, note=SECONDS)
hit(
    "a call ignores all signals and never ends",
    answer={
        HIT: """
        import signal
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
        """
    },
    note=SECONDS,
)
hit(
    "a call waits for a lock that nobody frees",
    answer={HIT: "import threading; l = threading.Lock(); l.acquire(); l.acquire()"},
    note=SECONDS,
)
hit(
    "a call stops its own process",
    answer={HIT: "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"},
    note=SECONDS,
)
hit("a call waits for input", answer={HIT: "return input()"}, earns=OTHERS)
in_cell("a cell never ends", "while True: pass", note=SECONDS)
in_cell("a cell sleeps for ever", "import time\ntime.sleep(10**6)", note=SECONDS)
in_cell(
    "a cell never ends, in a destructor, from which Python goes on when it is interrupted",
    "class Slow:\n    def __del__(self):\n        while True: pass\nSlow()",
    earns=ALL,
)
submit(
    "limits",
    "an extra cell never ends; all answers are right",
    data(solved(edit=extra("while True: pass", HIT))),
    ALL,
    note=SECONDS,
)
hit(
    "a result never ends: its length, its items, its text",
    """
class Endless(list):
    def __iter__(self):
        while True: yield 1.0
    def __len__(self): return 10**9
    def __repr__(self):
        while True: pass
""",
    answer={HIT: "return Endless()"},
)
hit(
    "an error never ends: its text",
    """
class Endless(Exception):
    def __str__(self):
        while True: pass
    __repr__ = __str__
""",
    answer={HIT: "raise Endless"},
)
hit(
    "each call takes two seconds, and there are many",
    answer={HIT: "import time; time.sleep(2); return given[0].float().mean((1, 2))"},
)
hit(
    "a thread never ends and holds the interpreter",
    "import threading",
    answer={
        HIT: """
    def spin():
        while True: sum(range(10**7))
    for _ in range(8):
        threading.Thread(target=spin).start()
    return None
"""
    },
)
for how, code in {
    "os._exit(0)": "import os; os._exit(0)",
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
    "SIGKILL": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "SIGKILL for all": "import os, signal; os.kill(-1, signal.SIGKILL)",
    "a stack that overflows": "import sys; sys.setrecursionlimit(10**9); f = lambda: f(); f()",
    "its files closed": "import os; os.closerange(0, 256)",
    "its output turned away": "import os; null = os.open('/dev/null', os.O_RDWR); [os.dup2(null, fd) for fd in range(16)]",
}.items():
    hit(f"a call ends in {how}", answer={HIT: code})
in_cell("a cell ends in os._exit(0)", "import os\nos._exit(0)")
in_cell("a cell ends in sys.exit()", "import sys\nsys.exit()")
in_cell("a cell ends in a segmentation fault", "import ctypes\nctypes.string_at(0)")
submit(
    "limits",
    "every call of every task ends the process, after cells that sleep for 20 s",
    data(
        solved(
            {task: f"def {task}(*given): import os; os._exit(1)" for task in TASKS}, "import time; time.sleep(20)"
        )
    ),
    NONE,
)

for how, code in {
    "bytearrays": "keep = [bytearray(2**27) for _ in range(24)]",
    "tensors": "import torch; keep = [torch.ones(2**25) for _ in range(24)]",
    "shared maps": "import mmap; keep = [mmap.mmap(-1, 2**27) for _ in range(24)]; [m.write(b'1' * 2**27) for m in keep]",
    "memory files": """
        import os
        for _ in range(24):
            fd = os.memfd_create("m")
            for _ in range(32):
                os.write(fd, b"1" * 2**22)
    """,
    "processes": """
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                keep = b"1" * (3 * 2**27)
                time.sleep(60)
                os._exit(0)
        time.sleep(60)
    """,
    "/dev/shm": """
        for number in range(24):
            with open(f"/dev/shm/{number}", "wb") as file:
                for _ in range(32):
                    file.write(b"1" * 2**22)
    """,
}.items():
    note = MEMORY if how in ("bytearrays", "tensors", "processes") else ""  # the others are refused at once
    hit(f"a call takes 3 GiB of memory, in {how}", answer={HIT: code}, note=note)
hit(
    "a call hides its memory from others, and takes 3 GiB",
    answer={
        HIT: """
        import ctypes
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        keep = [bytearray(2**27) for _ in range(24)]
        """
    },
    note=MEMORY,
)
hit(
    "a call fills the buffers of 10,000 sockets",
    answer={
        HIT: """
        import os, socket
        for _ in range(40):
            if os.fork() == 0:
                keep = [socket.socketpair() for _ in range(125)]
                for one, _ in keep:
                    one.setblocking(False)
                    one.send(b"x" * 200_000)
                while True:
                    os.wait()
        while True:
            pass
        """
    },
)
hit(
    "a call leaves its process to a child, which holds the channel",
    answer={HIT: "import os, time; os.fork() and os._exit(0); time.sleep(90)"},
)
in_cell("a cell takes 3 GiB of memory", "keep = [bytearray(2**27) for _ in range(24)]", note=MEMORY)
hit("a call forks without end", answer={HIT: "import os\nwhile True:\n    os.fork()"})
hit(
    "a call starts 10,000 threads",
    answer={
        HIT: """
    import threading, time
    for _ in range(10_000):
        threading.Thread(target=time.sleep, args=(60,)).start()
"""
    },
)
hit(
    "a call fills the disk",
    answer={
        HIT: """
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as file:
            file.write(b"1" * 2**25)
"""
    },
)
hit(
    "a call makes a million files",
    answer={
        HIT: """
    for number in range(1_000_000):
        open(f"/tmp/{number}", "w").close()
"""
    },
)
hit("a call prints 1 GB", answer={HIT: "for _ in range(1000): print('x' * 10**6)"})
in_cell("a cell prints 1 GB", "for _ in range(1000): print('x' * 10**6)\n1 / 0")
hit(
    "a call prints 200 MB into each of its files",
    answer={
        HIT: """
    import os
    for fd in range(1, 8):
        try:
            for _ in range(200):
                os.write(fd, b"x" * 10**6)
        except OSError:
            pass
"""
    },
)
hit("a result is larger than all limits", answer={HIT: "import torch; return torch.zeros(2**28)"})
hit("a result is a text of 100 MB", answer={HIT: "return 'x' * 10**8"})
hit("an error has a text of 100 MB", answer={HIT: "raise ValueError('x' * 10**8)"})
hit(
    "a reply comes a byte at a time and never ends",
    answer={
        HIT: """
    import os, time
    while True:
        for fd in range(1, 8):
            try:
                os.write(fd, b"[")
            except OSError:
                pass
        time.sleep(0.2)
"""
    },
    note=SECONDS,
)
