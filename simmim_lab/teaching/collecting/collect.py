"""Collect: from what a learning platform hands out to one sound notebook per student and exercise set.

The inbox may have any layout. The cells of a notebook tell which set it answers; its place tells whose it is, and
what the platform wrote tells which attempt is the newest. Of a notebook only what `reading.read` takes is kept.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from simmim_lab.teaching.collecting.inbox import File, Inbox, named
from simmim_lab.teaching.collecting.names import Owner
from simmim_lab.teaching.collecting.owners import Leaf, owners
from simmim_lab.teaching.collecting.roll import NAMELESS, Roll, age, alone, note_down, records_of
from simmim_lab.teaching.course import exercise_sets, read_notebook, released, write_records
from simmim_lab.teaching.grading.cells import grade_id, is_answer

LEFT_OUT = {
    "capstone": "a capstone, which is graded by hand",
    "lesson": "a lesson, and no exercise",
    "instructor's version": "the instructor's version, with the hidden tests",
    "exercise": "no exercise set has these cells",
}


@dataclass
class Outcome:
    """What came of it: lines on what needs the instructor and on the rest, and how many notebooks are new.

    total, students: how many notebooks there are now, and of how many students.
    """

    needed: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    new: int = 0
    total: int = 0
    students: int = 0


@dataclass(frozen=True)
class Attempt:
    """What a student handed in: the notebook, or why there is none. source: its path in the inbox."""

    source: str
    owner: Owner
    modified: float
    notebook: Path | None = None
    names: int = 0  # of answers in it
    problem: str = ""
    other: bool = False  # nobody would take it for a notebook

    @property
    def age(self) -> tuple[str, int, float]:
        """Larger for a newer one, by what the platform wrote."""
        return self.owner.submitted or "", self.owner.attempt, self.modified

    @property
    def rank(self) -> tuple:
        """The largest of several counts; in one archive, where all are of one age, the exercise in its place."""
        path = PurePosixPath(self.source)
        return *self.age, "exercises" in path.parts, self.names, -len(path.parts), path.stem


def collect(root: Path, inbox: Path) -> Outcome:
    """Put every submission of `inbox` into its place in the course in folder `root`.

    Of several of one student the newest that can be read counts, also over several calls. Who handed in nothing
    that can be read has an empty notebook, which earns no points. Raises FileNotFoundError if there is no such
    inbox, or nothing in it.
    """
    tasks = _tasks(root)
    if not tasks:
        raise FileNotFoundError(f"there are no exercise sets in {root / 'solutions'}")
    with alone(root), _staging(root) as staging:
        box = Inbox(inbox, tasks, staging)
        files = list(box.files())
        if not files:
            raise FileNotFoundError("; ".join(box.problems) or f"there is no notebook (.ipynb) in {inbox}")
        records, lines = records_of(root)
        outcome = Outcome(needed=lines + box.problems)
        handed_in = _handed_in(files, box, records, outcome)
        usual = _usual(handed_in, tasks)
        for student, by_set in sorted(handed_in.items()):
            counting = _that_count(root, by_set, usual)
            left_out = [f"{attempt.source}: {attempt.problem}; left out" for attempt in counting.pop("", ())]
            records["students"][student]["notes"] = left_out
            outcome.needed += left_out
            for name, attempts in sorted(counting.items()):
                _take(root, records, name, student, attempts, outcome)
        write_records(root, records)
    outcome.total = sum(len(records.get(name, ())) for name in tasks)
    outcome.students = len(records["students"])
    return outcome


def _usual(handed_in: dict[str, dict[str, list[Attempt]]], tasks: dict[str, set[str]]) -> str:
    """The set that most of an inbox answers, or is named for; "" if nothing tells it."""
    each = [(name, attempts) for by_set in handed_in.values() for name, attempts in by_set.items() if name]
    answered = Counter(name for name, attempts in each if _best(attempts))
    for count in (answered, Counter(name for name, _ in each)):
        if count:
            return count.most_common(1)[0][0]
    return next(iter(tasks)) if len(tasks) == 1 else ""


def _tasks(root: Path) -> dict[str, set[str]]:
    """The names of the answers of each set."""
    notebooks = {name: read_notebook(root / f"solutions/{name}/{name}.ipynb") for name in exercise_sets(root)}
    return {name: {grade_id(cell) for cell in book.cells if is_answer(cell)} for name, book in notebooks.items()}


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """A folder for what is found, which is gone afterwards; so is what an interrupted run left."""
    for old in (root / "grading").glob(".collecting-*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".collecting-", dir=root / "grading") as folder:
        yield Path(folder)


def _handed_in(
    files: list[File], box: Inbox, records: dict, outcome: Outcome
) -> dict[str, dict[str, list[Attempt]]]:
    """Everything in the inbox as {student: {set: attempts}}; the set is "" where nothing tells it."""
    sets, roll = [*box.tasks], Roll(records["students"])
    leaves = [Leaf(file.path, frozenset(file.sets), file.archive, file.other) for file in files]
    whose = owners(leaves, sets, box.submitters)
    beside = {owner.key for owner in whose.values()}
    found: dict[str, dict[str, list[Attempt]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(files, key=lambda file: (whose[file.path].key, file.path)):
        owner = whose[file.path]
        if file.other and not owner.name:
            outcome.known += [f"{file.path}: {item['problem']}; left out" for item in file.found[:1]]
            continue
        there = {student for name in file.sets for student in records.get(name, {})}
        student = roll.student(owner, str(file.path), beside, there)
        for item in file.found:
            source = (file.path / item["path"]).as_posix()
            attempt = Attempt(source, owner, file.modified)
            for name, count in item["answers"].items():
                notebook = file.folder / item["file"]
                found[student][name].append(replace(attempt, notebook=notebook, names=count))
            if not item["answers"]:
                problem, other = item.get("problem") or LEFT_OUT[item["kind"]], "kind" in item or "other" in item
                name = named(PurePosixPath(source), sets) if item.get("kind") != "capstone" else ""
                found[student][name].append(replace(attempt, problem=problem, other=other))
    return found


def _best(attempts: list[Attempt]) -> Attempt | None:
    """The attempt that counts; None if none can be read."""
    return max((attempt for attempt in attempts if attempt.notebook), key=lambda each: each.rank, default=None)


def _that_count(root: Path, by_set: dict[str, list[Attempt]], usual: str) -> dict[str, list[Attempt]]:
    """What a student handed in, without what lies beside it; what nothing tells the set of is of the `usual`."""
    read = {name for name, attempts in by_set.items() if _best(attempts)}
    if not read:
        if [*by_set] != [""] or not usual or all(each.problem == LEFT_OUT["capstone"] for each in by_set[""]):
            return by_set
        return {usual: by_set[""]}
    if len(read) > 1:  # the folder of the course: sets that are as they were handed out do not count
        worked = {name for name in read if _is_worked_on(_best(by_set[name]).notebook, _stubs(root, name))}
        by_set = {name: several for name, several in by_set.items() if name not in read - worked or not worked}
    if len(read) == 1 and "" in by_set:  # what cannot be read is of the same set
        [name] = read
        by_set = {**by_set, name: by_set[name] + by_set[""], "": []}
    kept = {
        name: [each for each in several if each.notebook or not each.other] for name, several in by_set.items()
    }
    return {name: attempts for name, attempts in kept.items() if attempts}


@cache
def _stubs(root: Path, name: str) -> frozenset[str]:
    """The answers of a set as they are handed out."""
    return frozenset(cell.source.strip() for cell in released(root, name).cells if is_answer(cell))


def _is_worked_on(notebook: Path, stubs: frozenset[str]) -> bool:
    return not stubs <= {cell["source"].strip() for cell in _cells(notebook)}


def _cells(notebook: Path | None) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"] if notebook else []


def _take(root: Path, records: dict, name: str, student: str, attempts: list[Attempt], outcome: Outcome) -> None:
    """Let the best of several attempts count, unless what was collected earlier does."""
    best, told, there = _best(attempts), records["students"][student], records.setdefault(name, {})
    unread = [each for each in attempts if not each.notebook]
    failed = max(unread, key=lambda each: (not each.other, each.age), default=None)
    new = best or failed
    cells = _cells(new.notebook)
    record = _record(new, told, cells)
    place = root / "grading" / "submitted" / student / name / f"{name}.ipynb"
    earlier = there.get(student) if place.exists() else None
    if earlier and age(record) < age(earlier):
        lines = outcome.known if best else outcome.needed
        lines.append(f"{new.source}: {new.problem or 'older'}; {earlier['from']} counts")
        return
    if best and failed and failed.age > best.age:
        outcome.needed.append(f"{failed.source}: {failed.problem}; {best.source} counts")
    if not best:
        outcome.needed.append(f"{new.source}: {new.problem}: {name} of {student} counts as not answered")
    if not told["name"]:
        outcome.needed.append(f"{new.source}: {NAMELESS}; it is {student}: simmim-course rename {student} NAME")
    if earlier and earlier.get("digest") == record["digest"] and earlier["readable"] == record["readable"]:
        earlier |= record  # the same, handed in again
        return
    others = {each.source for each in attempts if each.notebook} | ({earlier["from"]} if earlier else set())
    notes = _notes(new, sorted(others - {new.source}))
    outcome.known += [f"{student}, {name}: {note}" for note in notes if best]
    outcome.new += 1
    record |= {"notes": notes if told["name"] else [*notes, NAMELESS], "status": "collected"}
    note_down(place, record, told, cells)
    there[student] = record  # after the notebook: a run that ends between the two is made up for by the next
    write_records(root, records)


def _notes(new: Attempt, left_out: list[str]) -> list[str]:
    """What a row says of the attempt that counts."""
    notes = [f"the newest of several: {source} was left out" for source in left_out]
    if new.notebook is None:
        notes.append(f"unreadable ({new.problem}): it counts as not answered")
    elif not new.source.lower().endswith(".ipynb"):
        notes.append(f"{new.source} does not end in .ipynb")
    if new.owner.late:
        notes.append("handed in late, as the platform says")
    return notes


def _record(attempt: Attempt, told: dict[str, Any], cells: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "from": attempt.source,
        "modified": attempt.modified,
        "readable": attempt.notebook is not None,
        "name": attempt.owner.name or told["name"],
        "number": attempt.owner.number,
        "submitted": attempt.owner.submitted,
        "attempt": attempt.owner.attempt,
        "digest": hashlib.sha256(json.dumps(cells).encode()).hexdigest(),
    }
