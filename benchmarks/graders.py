"""What nbgrader and otter-grader, as they come, and this course make of the same submissions.

    python benchmarks/graders.py

The submissions are the first of each kind in tests/submissions that the test suite tries and that are one
notebook. Each is graded before an honest student, whose points say whether the class was graded to its end.
Nothing of this runs unconfined: each class has a box of its own, a bwrap without a network and with limits of
memory, processes and time, in which the grader and what it shall not touch lie. otter-grader is installed into
a temporary environment, and gets the same tests in its own format; it takes one notebook at a time, so there is
nobody else to stop. This course grades all of them in one class. What every page of a grader shows, such as its
own scripts and nbgrader's hidden tests, is told once, not for each submission.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
from nbgrader.api import Gradebook, MissingEntry

from simmim_lab.teaching.results import command, origin, versions, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from submissions import ALL, KINDS, QUICK, SET, SUBMISSIONS, TASKS, Submission, data, solved, trial  # noqa: E402

OTTER = "otter-grader==7.0.0"
HONEST = Submission("honest", "all right", {f"zoe/{SET}.ipynb": data(solved())}, "zoe", ALL)
PORT = 47111  # in the network of a box
SORTS = ("forged", "host effects", "leaks", "active content", "lost")
MEMORY, SECONDS = 6 * 2**30, 240.0  # of a box
BOX = """
    bwrap --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try --hostname box
    --die-with-parent --new-session --clearenv --cap-drop ALL --proc /proc --dev /dev
"""
ROOT_HERE, NOBODY = os.geteuid() == 0, 0x70001234  # who works in a box, if root starts it
DRIVER = """
import json, os, pathlib, socket, subprocess, sys, threading
port, folder, commands = int(sys.argv[1]), pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
def listen(line):
    while True:
        text = line.recv(1000) if line.type == socket.SOCK_DGRAM else line.accept()[0].recv(1000)
        with open(folder / "reached", "ab") as file:
            file.write(text + b"\\n")
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", port))
for line in (socket.create_server(("127.0.0.1", port)), datagrams):
    threading.Thread(target=listen, args=(line,), daemon=True).start()
for command in commands:
    with open(folder / "log", "ab") as log:
        subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
with open(folder / "left", "w") as left:
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            left.write(path.read_text().replace("\\0", " ") + "\\n")
        except OSError:
            pass
"""


class Box(trial.World):
    """A world in which a stock grader works."""

    def __init__(self, folder: Path, python: Path):
        super().__init__(folder)
        self.port, self.python = PORT, python
        (folder / "box").mkdir()
        (folder / "lab").mkdir()
        shutil.copytree(
            ROOT / "simmim_lab", folder / "lab/simmim_lab", ignore=shutil.ignore_patterns("__pycache__")
        )

    def run(self, *commands: list[str]) -> None:
        """Run commands, one after the other; kill them all at a limit."""
        for path in (self.folder, *self.folder.rglob("*")) if ROOT_HERE else ():
            os.chown(path, NOBODY, NOBODY)
        driver = [self.python, "-c", DRIVER, PORT, self.folder / "box", json.dumps(commands, default=str)]
        process = subprocess.Popen([*self._locked(), *map(str, driver)], stdin=subprocess.DEVNULL)
        end, watched = time.monotonic() + SECONDS, psutil.Process(process.pid)
        while process.poll() is None:
            try:
                memory = sum(child.memory_info().rss for child in watched.children(recursive=True))
            except psutil.Error:
                memory = 0
            if memory > MEMORY or time.monotonic() > end:
                process.kill()
            time.sleep(0.2)

    def _locked(self) -> list[str]:
        words = shlex.split(BOX)
        words += shlex.split("--cap-add CAP_SETUID --cap-add CAP_SETGID" if ROOT_HERE else "--unshare-user")
        shown = [Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), self.python.parents[1]]
        words += ["--perms", "1777", "--size", str(2**28), "--tmpfs", "/tmp"]
        for parent in sorted({parent for path in (*shown, self.folder) for parent in path.parents}):
            words += ["--perms", "0755", "--dir", str(parent)]
        for path in shown:
            words += ["--ro-bind", str(path), str(path)]
        words += ["--bind", str(self.folder), str(self.folder), "--chdir", str(self.course)]
        words += shlex.split("--perms 0755 --dir /etc")
        for name in ("/etc/hosts", "/etc/nsswitch.conf"):  # what the name localhost needs
            words += ["--ro-bind-try", name, name]
        for link in ("/bin", "/lib", "/lib64"):
            words += ["--symlink", f"usr{link}", link]
        environment = self.environment | {
            "PATH": f"{self.python.parent}:{sys.prefix}/bin:/usr/bin",
            "PYTHONPATH": str(self.folder / "lab"),
        }
        for name, value in environment.items():
            words += ["--setenv", name, value]
        user = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups" if ROOT_HERE else ""
        limits = f"prlimit --as={8 * 2**30} --nproc=400 --fsize={2**28} --core=0"
        return [*words, "--", *shlex.split(f"{user} {limits}")]

    def outcome(self, submissions: list[Submission]) -> trial.Outcome:
        """What came of a class whose first submission is on trial, but for its rows."""
        box, outcome = self.folder / "box", trial.Outcome(self, submissions)
        for name in ("reached", "left"):
            lines = (box / name).read_text(errors="replace").splitlines() if (box / name).exists() else []
            outcome.effects += [line for line in lines if "mark_" in line]
        places = (self.canary, self.folder / "home", self.folder, self.folder / "lab")
        outcome.effects += [str(path) for place in places for path in place.glob("mark_*")]
        letter = self.canary / "letter.txt"
        if not letter.exists() or letter.read_text() != self.secrets["the canary"]:
            outcome.effects.append(f"mark_{submissions[0].student} changed the canary")
        return outcome


def nbgrader(folder: Path, submission: Submission) -> trial.Outcome:
    """A class of two in nbgrader as it comes."""
    box = Box(folder, Path(sys.executable))
    for part in ("source", "release"):
        place = box.course / part / SET
        place.mkdir(parents=True)
        box.secret_tests(ROOT / ("solutions" if part == "source" else "exercises") / SET, place)
    (box.course / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course'\n")
    both = [submission, HONEST]
    place_notebooks(box, both, lambda student: box.course / "submitted" / student / SET / f"{SET}.ipynb")
    box.run(
        ["nbgrader", "generate_assignment", SET, "--force", "--create"],
        ["nbgrader", "autograde", SET, "--create"],
        ["nbgrader", "generate_feedback", SET],
    )
    outcome = box.outcome(both)
    outcome.pages, outcome.notebooks = box.course / "feedback", box.course / "autograded"
    for each in both:
        outcome.rows[each.student] = _points_of_nbgrader(box.course / "gradebook.db", each.student)
    return outcome


def _points_of_nbgrader(path: Path, student: str) -> dict[str, str]:
    os.environ["PATH"] += f"{os.pathsep}{sys.prefix}/bin"  # for nbgrader's alembic
    try:
        with Gradebook(f"sqlite:///{path}") as gradebook:
            grades = [grade for book in gradebook.find_submission(SET, student).notebooks for grade in book.grades]
            return {grade.cell.name.removesuffix("-check"): str(grade.score) for grade in grades}
    except MissingEntry:
        return {}


def otter(python: Path) -> Callable[[Path, Submission], trial.Outcome]:
    """otter-grader of this environment, as it comes."""

    def grade(folder: Path, submission: Submission) -> trial.Outcome:
        box = Box(folder, python)
        box.course.mkdir()
        with zipfile.ZipFile(box.course / "autograder.zip", "w") as archive:
            archive.writestr("otter_config.json", "{}")
            for task, points in TASKS.items():
                archive.writestr(f"tests/{task}.py", _otter_test(task, points, box.secrets["a hidden test"]))
        place_notebooks(box, [submission], lambda student: box.course / student / f"{SET}.ipynb")
        student = submission.student
        box.run(["otter", "run", "-a", "autograder.zip", "-o", student, f"{student}/{SET}.ipynb"])
        outcome = box.outcome([submission])
        outcome.rows[student] = _points_of_otter(box.course / student / "results.json")
        return outcome

    return grade


def _otter_test(task: str, points: int, secret: str) -> str:
    code = f">>> check.{task}.grade({task})  # {secret}"
    case = {"code": code, "hidden": True, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    return f"OK_FORMAT = True\ntest = { ({'name': task, 'points': points, 'suites': [suite]})!r}\n"


def _points_of_otter(path: Path) -> dict[str, str]:
    """The points, and what the student would see: not what it says of hidden tests."""
    if not path.exists():
        return {}
    tests = json.loads(path.read_text())["tests"]
    seen = "\n".join(test["output"] for test in tests if test["visibility"] == "visible")
    return {test["name"]: str(test["score"]) for test in tests if "score" in test} | {"notes": seen}


def place_notebooks(box: Box, submissions: list[Submission], where: Callable[[str], Path]) -> None:
    for each in submissions:
        [(_, content)] = box.files_of(each)
        where(each.student).parent.mkdir(parents=True, exist_ok=True)
        where(each.student).write_bytes(content)


def judged(outcome: trial.Outcome, submission: Submission, usual: trial.Faults) -> list[str]:
    """The sorts of faults of an outcome; `usual` is what every page of this grader has."""
    faults = outcome.faults(submission)
    found = {sort for sort in SORTS if set(faults.get(sort, [])) - set(usual.get(sort, []))}
    if not outcome.rows.get(submission.student):
        found.add("lost")
    if HONEST in outcome.submissions and outcome.faults(HONEST).get("lost"):
        found.add("class stopped")
    return sorted(found)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=3, metavar="N", help="so many of each kind (default: 3)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "graders.json")
    args = parser.parse_args(arguments)
    few = [submission for submission in SUBMISSIONS if submission.does in QUICK and _is_notebook(submission)]
    chosen = [each for kind in KINDS for each in [each for each in few if each.kind == kind][: args.each]]
    with tempfile.TemporaryDirectory(prefix="graders_") as name:
        folder = Path(name)
        found = {
            "nbgrader": one_by_one(nbgrader, chosen, folder / "nbgrader"),
            "otter-grader": one_by_one(otter(with_otter(folder / "environment")), chosen, folder / "otter"),
            "this course": together(chosen, folder / "course"),
        }
    kinds = {name: _counts(sorts, chosen) for name, sorts in found.items()}
    print(json.dumps(kinds, indent=2))
    versions_of = {"packages": versions(("nbgrader", "torch")) | dict([OTTER.split("==")])}
    write(
        {**origin(command(__file__, arguments)), **versions_of, "graders": kinds, "submissions": found}, args.out
    )


def one_by_one(grade: Callable, chosen: list[Submission], folder: Path) -> dict[str, list[str]]:
    """What a grader made of each submission: the sorts of faults. Under "usual" what every page of it has."""
    usual = grade(folder / "honest", HONEST).faults(HONEST)
    found = {"usual": sorted(set(usual) & set(SORTS))}
    for number, submission in enumerate(chosen):
        found[_title(submission)] = judged(grade(folder / str(number), submission), submission, usual)
        print(*list(found.items())[-1], flush=True)
        shutil.rmtree(folder / str(number), ignore_errors=True)
    return found


def together(chosen: list[Submission], folder: Path) -> dict[str, list[str]]:
    """What this course made of a class of all submissions."""
    outcome = trial.grade(folder, [*chosen, HONEST])
    return {"usual": []} | {_title(submission): judged(outcome, submission, {}) for submission in chosen}


def with_otter(folder: Path) -> Path:
    """The Python of a new environment with otter-grader, which sees the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    (packages / "course.pth").write_text(f"{Path(psutil.__file__).parents[1]}\n")
    python = folder / "bin/python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", OTTER], check=True)
    return python


def _title(submission: Submission) -> str:
    return f"{submission.kind}: {submission.does}"


def _is_notebook(submission: Submission) -> bool:
    return list(submission.files) == [f"{submission.student}/{SET}.ipynb"]


def _counts(found: dict[str, list[str]], chosen: list[Submission]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for submission in chosen:
        kind = counts.setdefault(submission.kind, {"submissions": 0})
        kind["submissions"] += 1
        for sort in found[_title(submission)]:
            kind[sort] = kind.get(sort, 0) + 1
    return counts


if __name__ == "__main__":
    main()
