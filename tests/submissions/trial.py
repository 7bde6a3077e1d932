"""Grade submissions of the corpus with the commands of course staff, and look at what they did.

The course is copied into a World: a folder with secrets in it, a canary that none may touch, and a port of the
host that none may reach.
"""

import contextlib
import csv
import ctypes
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from bs4 import BeautifulSoup
from nbconvert.filters import markdown2html

from submissions import KINDS, ROOT, SET, TASKS, Submission

SORTS = ("forged", "lost", "host effects", "leaks", "active content", "missing")  # what can be wrong
Faults = dict[str, list[str]]


@dataclass
class World:
    """A computer to attack: folders, a port, and secrets by the places where they lie."""

    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)
    reached: list[str] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        places = ("a hidden test", "the environment", "another submission", "the canary", "the home folder")
        self.secrets = {place: f"SECRET_{secrets.token_hex(8)}" for place in places}
        for name in ("canary", "home", "tmp", "inboxes"):
            (self.folder / name).mkdir(parents=True)
        (self.canary / "letter.txt").write_text(self.secrets["the canary"])
        (self.folder / "home/.netrc").write_text(self.secrets["the home folder"])

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    @property
    def course(self) -> Path:
        return self.folder / "course"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "LANG", "CI") if name in os.environ},
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(self.course),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "TOKEN": self.secrets["the environment"],
        }

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Write down what is sent to the port, and to the socket `canary-PORT` that has no path."""
        with contextlib.ExitStack() as stack:
            tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.port = tcp.getsockname()[1]
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.bind(("127.0.0.1", self.port))
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.bind(f"\0canary-{self.port}")
            local.listen()
            for line in (tcp, udp, local):
                threading.Thread(target=self._listen, args=(line,), daemon=True).start()
            yield

    def _listen(self, line: socket.socket) -> None:
        while True:
            try:
                if line.type == socket.SOCK_DGRAM:
                    self.reached.append(line.recv(1000).decode(errors="replace"))
                else:
                    client, _ = line.accept()
                    client.settimeout(2)
                    with client, contextlib.suppress(OSError):
                        self.reached.append(client.recv(1000).decode(errors="replace"))
            except OSError:
                return

    def set_up(self) -> None:
        """A copy of the course, whose hidden tests hold a secret."""
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("simmim_lab", f"solutions/{SET}", f"exercises/{SET}"):
            shutil.copytree(ROOT / name, self.course / name, ignore=ignored)
        (self.course / "notebooks").mkdir()
        shutil.copy(ROOT / "nbgrader_config.py", self.course)
        self.secret_tests(ROOT / "solutions" / SET, self.course / "solutions" / SET)

    def secret_tests(self, source: Path, folder: Path) -> None:
        """Copy the notebook of the set; if it has hidden tests, with a secret in them."""
        text = (source / f"{SET}.ipynb").read_text(encoding="utf-8")
        mark, secret = "### BEGIN HIDDEN TESTS", self.secrets["a hidden test"]
        (folder / f"{SET}.ipynb").write_text(text.replace(mark, f"{mark}\\n# {secret}"), encoding="utf-8")

    def files_of(self, submission: Submission) -> Iterator[tuple[str, bytes]]:
        """The paths and contents of a submission for this world."""
        words = {
            b"CANARY": os.fsencode(self.canary),
            b"PORT": b"%d" % self.port,
            b"MARK": os.fsencode(f"mark_{submission.student}"),
            b"MEGABYTE": b"x" * 1_000_000,
        }
        for path, content in submission.files.items():
            yield path, re.sub(b"|".join(words), lambda word: words[word[0]], content)

    def hand_in(self, submissions: list[Submission]) -> set[Path]:
        """Write the files of all submissions into their inboxes. The first one that is honest holds a secret."""
        for submission in submissions:
            for name, content in self.files_of(submission):
                if submission is planted(submissions):
                    content = content.replace(b"are alike", self.secrets["another submission"].encode())
                path = self.folder / "inboxes" / submission.inbox / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return {submission.inbox for submission in submissions}

    def files(self) -> set[Path]:
        """All that must stay as it is: everything but what grading writes."""
        grading = self.course / "grading"
        paths = (path for path in self.folder.rglob("*") if "__pycache__" not in path.parts)
        return {path for path in paths if grading not in (path, *path.parents)}


@dataclass
class Outcome:
    """What came of a class: the table, and for each student the page, the notebook and the faults."""

    world: World
    submissions: list[Submission]
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)  # on the host, with the mark of the submission

    def __post_init__(self) -> None:
        self.pages, self.notebooks = (self.world.course / "grading" / name for name in ("feedback", "autograded"))

    def faults(self, submission: Submission) -> Faults:
        """What is wrong with the outcome of a submission, by sort."""
        row = self.rows.get(submission.student)
        if row is None:
            return {"missing": ["it has no row"]}
        points = {task: float(row.get(task) or 0) for task in TASKS}
        page, notebook = self.page(submission), self.notebook(submission)
        found = defaultdict(list)
        for task, worth in TASKS.items():
            wanted = worth if task in submission.earns else 0
            if points[task] != wanted:
                sort = "forged" if points[task] > wanted else "lost"
                found[sort].append(f"{task}: {points[task]:g} of {wanted:g} points")
        mark = f"mark_{submission.student}"
        found["host effects"] += [effect for effect in self.effects if mark in effect]
        found["leaks"] += self._leaks(submission, page, printed(notebook), " ".join(row.values()))
        found["active content"] += active(page) + active_cells(notebook) + formulas(row)
        if not page:
            found["missing"].append("it has no page")
        told = "\n".join([*row.values(), BeautifulSoup(page, "html.parser").get_text(" ")])
        if submission.note and not re.search(submission.note, told):
            found["missing"].append(f"nobody is told {submission.note!r}")
        if submission.page and not re.search(submission.page, page):
            found["missing"].append(f"the page lacks {submission.page!r}")
        return {sort: texts for sort, texts in found.items() if texts}

    def page(self, submission: Submission) -> str:
        path = self.pages / submission.student / SET / f"{SET}.html"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def notebook(self, submission: Submission) -> str:
        path = self.notebooks / submission.student / SET / f"{SET}.ipynb"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _leaks(self, submission: Submission, page: str, prints: str, row: str) -> Iterator[str]:
        own = "another submission" if submission is planted(self.submissions) else ""
        for place, secret in self.world.secrets.items():
            if place != own and secret in page + prints + row:
                yield f"the secret of {place}"
        prints = prints.replace(str(self.world.canary), "")  # which it knows
        for text in (str(self.world.folder), str(ROOT), f"mark_{submission.student}!"):
            if text in prints:
                yield f"it prints {text}"


def planted(submissions: list[Submission]) -> Submission | None:
    """The submission that holds a secret, which the others shall not see."""
    return next((submission for submission in submissions if submission.kind == "honest"), None)


def printed(text: str) -> str:
    """What the cells of a graded notebook have printed and raised."""
    cells = nbformat.reads(text, as_version=4).cells if text else []
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join(str(part) for output in outputs for part in output.values())


def active(page: str) -> list[str]:
    """What of a page can do something, or loads something from elsewhere."""
    found = []
    for tag in BeautifulSoup(page, "html.parser").find_all(True):
        if tag.name in (
            "script",
            "iframe",
            "frame",
            "form",
            "object",
            "embed",
            "svg",
            "base",
            "link",
            "input",
            "applet",
            "noscript",
        ):
            found.append(str(tag)[:80])
        if tag.name == "meta" and "refresh" in str(tag.get("http-equiv", "")).lower():
            found.append(str(tag)[:80])
        if tag.name == "style" and (not tag.find_parent("head") or re.search(r"@import|url\((?!data:)", tag.text)):
            found.append(f"style {tag.text[:60]}")
        for name, value in tag.attrs.items():
            value = re.sub(r"[\s\0-\x1f]", "", " ".join(value) if isinstance(value, list) else str(value)).lower()
            picture = tag.name == "img" and re.match(r"data:image/(png|jpeg|gif);base64,", value)
            link = re.match(r"(javascript|vbscript|data):", value)
            handler = name.lower().startswith("on") or (name == "style" and "url(" in value)
            if handler or (link and not picture):
                found.append(f"{tag.name} {name}={value[:60]}")
            if name == "src" and not picture:
                found.append(f"{tag.name} {name}={value[:60]}")
    return found


def formulas(row: dict[str, str]) -> list[str]:
    """The cells of a table that a spreadsheet would run."""
    signs, number = re.compile(r"\s*[=+@＝＋－＠-]"), re.compile(r"-?\d+(\.\d+)?")  # noqa: RUF001
    return [text for text in row.values() if signs.match(text) and not number.fullmatch(text)]


def active_cells(text: str) -> list[str]:
    """What formgrader would show of a notebook that can do something."""
    if not text:
        return []
    found = []
    for cell in nbformat.reads(text, as_version=4).cells:
        if cell.cell_type == "markdown":
            found += active(markdown2html(cell.source))
        found += ["a raw cell"] * (cell.cell_type == "raw")
        kinds = [kind for kinds in cell.get("attachments", {}).values() for kind in kinds]
        kinds += [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
        found += [
            f"a cell shows {kind}" for kind in kinds if kind not in ("text/plain", "image/png", "image/jpeg")
        ]
    return found


def grade(folder: Path, submissions: list[Submission]) -> Outcome:
    """All submissions through collect, grade, feedback and export."""
    world = World(folder)
    outcome = Outcome(world, submissions)
    world.set_up()
    with world.listening(), adopting() as left:
        inboxes = world.hand_in(submissions)
        before = world.files()
        for inbox in sorted(inboxes):
            run(outcome, "collect", str(folder / "inboxes" / inbox))
        run(outcome, "grade", SET, "--jobs", "2")
        run(outcome, "feedback", SET)
        run(outcome, "export", SET)
        time.sleep(0.5)  # what was killed is gone
        outcome.effects += left()
    outcome.effects += [str(path) for path in world.files() ^ before]
    outcome.effects += traces() + world.reached
    if (world.canary / "letter.txt").read_text() != world.secrets["the canary"]:
        outcome.effects.append("the canary was changed")
    table = folder / "course/grading/grades" / f"{SET}.csv"
    if table.exists():
        with open(table, encoding="utf-8-sig", newline="") as lines:
            outcome.rows = {row["student"]: row for row in csv.DictReader(lines)}
    return outcome


def run(outcome: Outcome, *command: str) -> None:
    """A command of course staff, as a process; it has 60 s, and 90 s for each submission."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "simmim_lab.teaching", *command],
        cwd=outcome.world.course,
        env=outcome.world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60 + 90 * len(outcome.submissions),
    )
    name = " ".join(command[:1] + command[1:2] * (command[0] == "collect"))
    outcome.printed[name] = done.stdout.decode(errors="replace")
    outcome.status[name] = done.returncode
    outcome.seconds[name] = time.monotonic() - start


@contextlib.contextmanager
def adopting() -> Iterator[Callable[[], list[str]]]:
    """Processes whose parent has ended become children of this one, so that none is overlooked (Linux).

    Yields a function for the command lines of those that began since and are left; it kills them.
    """
    prctl, subreaper = ctypes.CDLL(None).prctl, 36
    known = {child.pid for child in psutil.Process().children(recursive=True)}
    prctl(subreaper, 1, 0, 0, 0)
    try:
        yield lambda: _left([child for child in psutil.Process().children() if child.pid not in known])
    finally:
        prctl(subreaper, 0, 0, 0, 0)


def _left(children: list[psutil.Process]) -> list[str]:
    found = []
    for child in children:
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(child.cmdline()))
                child.kill()
            child.wait(timeout=10)  # else it stays, dead
    return found


def traces() -> list[str]:
    """Files with a mark where nothing belongs, outside of the world."""
    packages = Path(psutil.__file__).parents[1]
    folders = (
        packages,
        packages / "torch",
        packages / "__pycache__",
        Path("/"),
        Path("/tmp"),
        Path("/dev/shm"),
        Path.home(),
    )
    found = [
        path for folder in folders for name in ("mark_*", "letter-of-a-student") for path in folder.glob(name)
    ]
    for path in found:
        path.unlink()
    return [str(path) for path in found]


def summary(submissions: list[Submission], found: list[Faults]) -> dict[str, dict[str, int]]:
    """Of each kind how many submissions there are, and how many have a fault of each sort."""
    kinds = {kind: {"submissions": 0, **dict.fromkeys(SORTS, 0)} for kind in KINDS}
    for submission, faults in zip(submissions, found, strict=True):
        kinds[submission.kind]["submissions"] += 1
        for sort in faults:
            kinds[submission.kind][sort] += 1
    return kinds
