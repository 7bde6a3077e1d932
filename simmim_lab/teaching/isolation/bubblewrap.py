"""Python locked in by bubblewrap (https://github.com/containers/bubblewrap): the command line, and what it needs.

Inside there are Python, its packages, the files that are handed in, a scratch folder, and /usr, which nobody can
change: no other file of this machine, no network, no other process. All this is kept by the kernel. /proc would
name folders of this machine; of it there is what PyTorch asks for the kind of processor.
"""

import os
import platform
import re
import secrets
import shlex
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from simmim_lab.teaching.isolation import seccomp
from simmim_lab.teaching.isolation.visible import INSIDE, PACKAGE

SCRATCH = ("/tmp", "/dev/shm")
ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "USER": "student",
}
OPTIONS = shlex.split("""
    --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try --hostname sandbox
    --cap-drop ALL --new-session --die-with-parent --clearenv --dev /dev
""")
AS_ROOT = shlex.split("--cap-add CAP_SETUID --cap-add CAP_SETGID")  # to become nobody
AS_USER = shlex.split("--unshare-user")
UNUSED = 0x70000000  # the first of 2^28 numbers that no system gives to a user (systemd.io/UIDS-GIDS)
MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class Limits:
    """What all processes of a sandbox may take together; in bytes, where nothing else is said."""

    memory: int = 2 * GIB  # resident, with what lies in the scratch folder
    processes: int = 64
    disk: int = 64 * MIB  # in the scratch folder
    output: int = 64 * MIB  # of one reply
    address_space: int = 6 * GIB  # of each process: torch maps far more than it uses
    cpu: int = 600  # seconds, of each process
    spare: int = GIB // 2  # of this machine's memory must be left


@contextmanager
def locked(files: Mapping[str, Path], limits: Limits) -> Iterator[tuple[list[str], int]]:
    """What to put before the arguments of Python, and a file descriptor that the process must inherit.

    `files` are shown inside, at other paths.
    """
    reading, writing = os.pipe()
    try:
        os.write(writing, seccomp.filter_program())
        os.close(writing)
        yield [*_sandbox(files, limits), "--seccomp", str(reading), "--", *_nobody(), *_python(limits)], reading
    finally:
        os.close(reading)


@cache
def missing() -> str | None:
    """Why this machine cannot isolate, and what to do; None: it can."""
    if sys.platform != "linux":
        return "isolation needs Linux: use a virtual machine, or WSL 2 (see INSTRUCTORS.md)"
    if not seccomp.supported():
        return f"isolation needs a processor of x86_64 or aarch64, not {platform.machine()}: use another machine"
    for program, package in {"bwrap": "bubblewrap", "setpriv": "util-linux", "prlimit": "util-linux"}.items():
        if not shutil.which(program):
            return f"the program {program} is missing: install it, as with `sudo apt install {package}`"
    for course in (PACKAGE.parent, Path.cwd()):
        if (course / "solutions").is_dir() and (around := _around(course.resolve())):
            return f"the course in {course} would be seen inside, with all of {around}: move it elsewhere"
    with locked({}, Limits()) as (command, descriptor):
        test = [*command, "-c", "import threading; threading.Thread(target=print).start()"]
        done = subprocess.run(test, pass_fds=[descriptor], capture_output=True, text=True, timeout=60)
    return None if done.returncode == 0 else _advice(done.stderr)


def seen(path: Path) -> str:
    """Where a file of Python or a package is inside."""
    path = path.resolve()
    folder = _around(path)
    return str(PurePosixPath(_mounts()[folder], path.relative_to(folder)))


def site_folders() -> list[Path]:
    """The folders of installed packages that this Python uses."""
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    return [Path(folder).resolve() for folder in folders if folder in sys.path]


def _around(path: Path) -> Path | None:
    """The folder that is shown and has this path in it."""
    return next((folder for folder in _mounts() if path.is_relative_to(folder)), None)


def _mounts() -> dict[Path, str]:
    """Folders that are shown, and where: not where they are, for that may say whose machine it is."""
    base = Path(sys.base_prefix)
    folders = {base / name: f"/python/{name}" for name in ("bin", "lib", "lib64")}
    folders |= {folder: f"/packages/{number}" for number, folder in enumerate(site_folders())}
    mounts = {Path("/usr"): "/usr"}
    for folder, place in folders.items():
        folder = folder.resolve()
        if folder.exists() and not any(folder.is_relative_to(other) for other in mounts):
            mounts[folder] = place
    return mounts


def _sandbox(files: Mapping[str, Path], limits: Limits) -> list[str]:
    """The beginning of the command line: what is seen inside."""
    words = ["bwrap", *OPTIONS, *(AS_ROOT if os.geteuid() == 0 else AS_USER)]
    for name, value in ENVIRONMENT.items():
        words += ["--setenv", name, value]
    shown = {place: folder for folder, place in _mounts().items()}
    shown |= {seen(path): INSIDE if path.is_dir() else Path(os.devnull) for path in _traces()}
    shown |= {"/proc/cpuinfo": Path("/proc/cpuinfo"), **files}
    for folder in sorted({str(parent) for place in shown for parent in PurePosixPath(place).parents}):
        words += ["--perms", "0755", "--dir", folder]
    for place, path in shown.items():
        words += ["--ro-bind", str(path), place]
    for link in ("/bin", "/lib", "/lib64"):
        words += ["--symlink", os.readlink(link), link] if os.path.islink(link) else ["--ro-bind-try", link, link]
    for place in SCRATCH:  # the watch ends what has more than the limit, before the disk is full
        words += ["--perms", "1777", "--size", str(2 * limits.disk), "--tmpfs", place]
    words += [
        "--dev-bind",
        "/dev/null",
        "/dev/zero",
    ]  # mapped and shared, it would be memory that nobody seems to have
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def _traces() -> list[Path]:
    """Where installed packages hold the course, or tell where it is."""
    names = ("simmim_lab", "__editable__*simmim_lab*", "simmim_lab-*.dist-info/direct_url.json")
    return [path for folder in site_folders() for name in names for path in folder.glob(name)]


def _nobody() -> list[str]:
    """How root becomes a user that nobody is; anybody else stays a user without rights of a new namespace."""
    if os.geteuid() != 0:
        return []
    user = UNUSED + secrets.randbits(28)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def _python(limits: Limits) -> list[str]:
    """The end of the command line: Python, with limits for each process."""
    base, (major, minor) = Path(sys.base_prefix), sys.version_info[:2]
    return [
        "prlimit",
        f"--as={limits.address_space}",
        "--core=1",  # byte: then there is no dump, not even into a program that collects them
        f"--cpu={limits.cpu}:{limits.cpu + 5}",  # first a signal that says why
        f"--fsize={2 * limits.disk}",
        "--msgqueue=0",
        "--nofile=64",
        f"--nproc={4 * limits.processes}",  # it counts threads
        "env",
        f"LD_LIBRARY_PATH={seen(base / 'lib')}",
        seen(base / "bin" / f"python{major}.{minor}"),
        "-S",
        "-B",
    ]


def _advice(error: str) -> str:
    """What to do about an error of bwrap."""
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if re.search("uid map|amespace|RTM_NEWADDR|/ slave", error):
        if restricted.exists() and restricted.read_text(encoding="ascii").strip() == "1":
            return "AppArmor forbids user namespaces: give bwrap a profile (see Ubuntu in INSTRUCTORS.md)"
        return (
            "user namespaces are forbidden: allow them with `sudo sysctl user.max_user_namespaces=10000`; "
            "in a container, start it with other options (see INSTRUCTORS.md)"
        )
    if "nknown option" in error:
        return "bwrap is too old: install bubblewrap 0.6 or newer"
    return f"bwrap cannot start Python: {error.strip().rpartition(chr(10))[2] or 'it gave no reason'}"
