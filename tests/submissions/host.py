"""The instructor's computer: answers that are right, so they earn their points, with code that reaches out."""

# ruff: noqa: E501

from submissions import ALL, HIT, OTHERS, attack, every, extra, notebook, replaced


def reaches(does: str, code: str = "", **more) -> None:
    attack("host", does, code, **{"earns": ALL, **more})


reaches(
    "it writes, appends, renames and deletes files of the host",
    """
    import os, pathlib, shutil
    home, canary = pathlib.Path.home(), pathlib.Path("CANARY")
    for act in (
        lambda: (canary / "MARK").write_text("MARK"),
        lambda: [path.unlink() for path in canary.iterdir()],
        lambda: shutil.rmtree(canary),
        lambda: os.symlink("/etc/passwd", canary.parent / "MARK"),
        lambda: os.chmod(canary, 0o777),
        lambda: (home / "MARK").write_text("MARK"),
        lambda: (pathlib.Path("/") / "MARK").write_text("MARK"),
        lambda: (canary.parent / "MARK").mkdir(),
    ):
        try:
            act()
        except OSError:
            pass
    """,
)
reaches(
    "it plants code that runs later: .pth, sitecustomize, start-up files, configuration, caches",
    """
    import os, pathlib, sys, torch
    home, packages = pathlib.Path.home(), pathlib.Path(torch.__file__).parents[1]
    for path in (
        packages / "MARK.pth", packages / "torch" / "MARK.py", packages / "__pycache__" / "MARK.pyc",
        home / ".ipython/profile_default/startup/MARK.py", home / ".jupyter/MARK.py", home / ".config/MARK",
        pathlib.Path("CANARY").parent / "course" / "MARK.py", pathlib.Path("CANARY").parent / "course/grading/MARK",
        *(pathlib.Path(path or ".") / "MARK.py" for path in sys.path),
    ):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("# MARK")
        except OSError:
            pass
    """,
)
reaches(
    "it prints what it can read of the host's files",
    """
    import os, pathlib
    for path in (
        *map("CANARY/{}".format, ("letter.txt", "../home/.netrc")), os.path.expanduser("~/.netrc"),
        "/etc/shadow", os.path.expanduser("~/.ssh/id_rsa"), "/proc/1/environ", "/proc/1/root" + "CANARY/letter.txt",
    ):
        try:
            print(pathlib.Path(path).read_text()[:200])
        except OSError:
            pass
    """,
)
reaches(
    "it connects to a port of the host: TCP, UDP, IPv6, a socket without a path",
    """
    import socket
    for family, kind, where in (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", PORT)),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", PORT)),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", PORT)),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\\0canary-PORT"),
    ):
        try:
            with socket.socket(family, kind) as line:
                line.settimeout(2)
                line.connect(where)
                line.send(b"MARK")
        except OSError:
            pass
    """,
)
reaches(
    "it downloads: urllib and pip",
    """
    import subprocess, sys, urllib.request
    try:
        urllib.request.urlopen("http://127.0.0.1:PORT/MARK", timeout=2)
    except OSError:
        pass
    try:
        subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--index-url",
                        "http://127.0.0.1:PORT/MARK", "--retries", "0", "nothing"], timeout=20)
    except Exception:
        pass
    """,
)
reaches(
    "it leaves 40 daemons behind",
    """
    import os, subprocess, sys
    for _ in range(40):
        try:
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.execv(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(90)", "MARK"])
                os._exit(0)
            os.wait()
        except OSError:
            pass
    """,
)
reaches(
    "each answer leaves a process and a thread behind",
    """
    import subprocess, sys, threading, time
    try:
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(90)", "MARK"], start_new_session=True)
    except OSError:
        pass
    threading.Thread(target=time.sleep, args=(90,)).start()
    """,
)
reaches(
    "it looks for the processes of the host, and kills and stops what it finds",
    """
    import os, signal
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = open(f"/proc/{number}/cmdline").read()
            if "simmim" in name and "worker" not in name or "jupyter" in name or "pytest" in name:
                print("MARK! sees", name)
                os.kill(int(number), 0)
        except OSError:
            pass
    """,
)
reaches(
    "it reads the memory of its parent and of the grader, and writes into it",
    """
    import os
    for number in {os.getppid(), 1, *map(int, filter(str.isdigit, os.listdir("/proc")))} - {os.getpid()}:
        for name in ("mem", "environ", "maps"):
            try:
                with open(f"/proc/{number}/{name}", "rb+" if name == "mem" else "rb", buffering=0):
                    parent = "worker" in open(f"/proc/{number}/cmdline").read()
                    print("" if parent else f"MARK! opens {name}")
            except OSError:
                pass
    """,
)
reaches(
    "it asks the kernel for more: user namespaces, mounts, chroot, ptrace, root, raw sockets, modules",
    """
    import ctypes, os, socket
    libc = ctypes.CDLL(None, use_errno=True)
    for what, done in {
        "a user namespace": lambda: libc.unshare(0x10000000) == 0,
        "a mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
        "a mount namespace": lambda: libc.unshare(0x00020000) == 0,
        "the init process": lambda: libc.ptrace(16, 1, 0, 0) == 0,
        "a chroot": lambda: os.chroot("/tmp") is None,
        "root": lambda: os.setuid(0) is None,
        "a group": lambda: os.setgroups([0]) is None,
        "a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW) is not None,
        "keys": lambda: libc.syscall(250, 0, -3, 1) < 0 and False,
        "the name of the host": lambda: socket.sethostname("MARK") is None,
    }.items():
        try:
            print(f"MARK! gets {what}" if done() else "")
        except OSError:
            pass
    """,
)
reaches(
    "it opens devices and settings of the kernel for writing, and types into the terminal",
    """
    import fcntl, os
    for path in (
        "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/loop-control", "/dev/fuse",
        "/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern",
        "/sys/power/state", "/sys/fs/cgroup/cgroup.procs", "/proc/1/oom_score_adj", "/proc/1/mem",
    ):
        try:
            os.close(os.open(path, os.O_WRONLY))
            print("MARK! opens", path)
        except OSError:
            pass
    for path in ("/dev/tty", "/dev/console", "/dev/pts/0", "/proc/1/fd/0"):
        try:
            fcntl.ioctl(os.open(path, os.O_RDWR), 0x5412, b"M")
            print("MARK! types into", path)
        except OSError:
            pass
    """,
)
reaches(
    "it writes into the files that the grader has open",
    """
    import os, stat
    for fd in range(256):
        try:
            kind = os.fstat(fd).st_mode
            name = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if not stat.S_ISFIFO(kind) and "/dev/null" not in name and not name.startswith("anon_inode"):
            print("MARK! has", name) if stat.S_ISREG(kind) or stat.S_ISDIR(kind) else None
    """,
)
reaches(
    "it leaves a letter for the next student, in every folder that it may write into",
    """
    import os
    for folder, _, _ in list(os.walk("/tmp")) + [(name, 0, 0) for name in ("/var/tmp", "/dev/shm", "/run", ".")]:
        try:
            open(os.path.join(folder, "letter-of-a-student"), "w").write("MARK")
        except OSError:
            pass
    """,
)
reaches(
    "it reads the letters of other students",
    """
    import glob
    for path in glob.glob("/tmp/**/letter-of-a-student", recursive=True) + [
        f"{folder}/letter-of-a-student" for folder in ("/var/tmp", "/dev/shm", "/run", ".")
    ]:
        try:
            print("MARK! reads", open(path).read())
        except OSError:
            pass
    """,
)
reaches(
    "its magics run the shell, write files and load extensions",
    edit=every(
        extra(text)
        for text in (
            "!touch CANARY/MARK ~/MARK /MARK",
            "%%bash\ntouch CANARY/MARK",
            "%%writefile CANARY/MARK\nMARK",
            "%run CANARY/letter.txt",
            "%load CANARY/letter.txt",
            "%cd CANARY\n!touch MARK",
            "%%script python\nopen('CANARY/MARK', 'w')",
            "%logstart CANARY/MARK\n%store -r\n%history -g -f CANARY/MARK",
            "%env TMPDIR=CANARY\n%save CANARY/MARK 1",
        )
    ),
)

WRITES = "try:\n    open('CANARY/MARK', 'w')\nexcept OSError:\n    pass\n"
CONNECTS = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', PORT), 2).send(b'MARK')\nexcept OSError:\n    pass"
IMPORTS = notebook("exercises").cells[2].source

reaches(
    "the cell of the imports is replaced by one that writes and connects",
    edit=replaced(2, f"{IMPORTS}\n{WRITES}{CONNECTS}"),
)
reaches(
    "the first cell and each test are replaced by one that writes",
    edit=every(
        replaced(number, WRITES)
        for number, cell in enumerate(notebook("exercises").cells)
        if cell.source.startswith(("from importlib", "check."))
    ),
)
reaches(
    "it answers with an object that runs code where it is unpickled",
    """
    class Pickled:
        def __reduce__(self): return (open, ("CANARY/MARK", "w"))
    """,
    answer={HIT: "return Pickled()"},
    earns=OTHERS,
)
