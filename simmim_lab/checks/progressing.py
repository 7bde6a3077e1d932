"""Which of the lessons' "your turn" cells the learner has solved: kept in a file of the working copy.

Outside of a working copy, as in a test or on Colab, it is kept as long as the kernel runs.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

from filelock import FileLock

from simmim_lab import workspace
from simmim_lab.common import replace_file

FILE = "progress.json"
SECONDS = 5.0  # to wait for another notebook
LEFT = 'style="text-align: left; vertical-align: top"'  # JupyterLab aligns tables to the right

_solved: dict[str, str] = {}  # in this kernel: the day of each task


@dataclass(frozen=True)
class Page:
    """For each lesson its tasks, each with the day on which it held first, or None; and where this is kept."""

    lessons: Mapping[str, Mapping[str, str | None]]
    kept: str

    def __repr__(self) -> str:
        lines = [self._title()]
        for lesson, tasks in self.lessons.items():
            lines += [lesson, *(f"  {'✓' if day else '·'} {task}: {_state(day)}" for task, day in tasks.items())]
        return "\n".join([*lines, self.kept])

    def _repr_html_(self) -> str:
        rows = []
        for lesson, tasks in self.lessons.items():
            head = f'<th scope="rowgroup" rowspan="{len(tasks)}" {LEFT}>{escape(lesson)}</th>'
            for name, day in tasks.items():
                task = f'<th scope="row" {LEFT}><code>{escape(name)}</code></th>'
                rows.append(f"<tr>{head}{task}<td {LEFT}>{_state(day)}</td></tr>")
                head = ""
        names = "lesson", "your turn", "does it hold?"
        columns = "".join(f'<th scope="col" {LEFT}>{name}</th>' for name in names)
        return (
            f"<table><caption>{self._title()}</caption><thead><tr>{columns}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table><p>{escape(self.kept)}</p>"
        )

    def _title(self) -> str:
        days = [day for tasks in self.lessons.values() for day in tasks.values()]
        return f"{sum(day is not None for day in days)} of {len(days)} of your turns hold"


def page(lessons: Mapping[str, list[str]]) -> Page:
    """The page of progress for the tasks of each lesson, of which there is at least one."""
    path = _path()
    days = _solved | (_read(path) if path else {})
    kept = f"Kept in {path}" if path else "Not kept: `simmim-lab lab` opens a copy of the lessons that keeps it."
    return Page({lesson: {task: days.get(task) for task in tasks} for lesson, tasks in lessons.items()}, kept)


def note(task: str) -> None:
    """Keep that a task was solved today, if not before. It never raises; what cannot be written is said."""
    if task in _solved:
        return
    _solved[task] = date.today().isoformat()
    if path := _path():
        try:
            _write(path)
        except OSError as error:
            print(f"Your progress could not be written to {path}: {error.strerror or error}")


def _path() -> Path | None:
    with suppress(OSError):  # such as a folder that was removed
        if work := workspace.find(Path.cwd()):
            return work / FILE
    return None


def _write(path: Path) -> None:
    """Add what was solved in this kernel to the file, which other notebooks may be writing, too."""
    lock = FileLock(path.with_name(f".{FILE}.lock"), timeout=SECONDS)
    with suppress(NotImplementedError):  # a network drive without locks
        lock.acquire()
    try:
        days = _solved | _read(path)
        text = json.dumps(days, indent=1) + "\n"
        replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    finally:
        lock.release()


def _read(path: Path) -> dict[str, str]:
    """The day of each solved task. A file that is damaged is put aside, and said."""
    try:
        days = json.loads(path.read_text(encoding="utf-8"))
        return {str(task): date.fromisoformat(day).isoformat() for task, day in days.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        print(f"Your progress could not be read from {path}: {error.strerror or error}")
    except (AttributeError, TypeError, ValueError):
        aside = path.with_name("progress.damaged.json")
        with suppress(OSError):
            path.replace(aside)
        print(f"{path} was damaged, so your progress begins anew; what was left is in {aside.name}.")
    return {}


def _state(day: str | None) -> str:
    return f"yes, since {day}" if day else "not yet"
