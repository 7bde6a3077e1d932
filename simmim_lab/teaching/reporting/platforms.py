"""Points in the file of a learning platform: Canvas's gradebook, Moodle's grading worksheet or its grades.

The instructor downloads the file, one column of it is filled in, and the platform takes it back. So its
identifiers are right whatever they are.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

from simmim_lab.common import choose, replace_file
from simmim_lab.teaching.course import read_records
from simmim_lab.teaching.reporting.tables import Row, plain

# The columns that tell who a row is, in Canvas and Moodle; where there is none, all columns before the points do.
IDENTITY = {
    *("student", "id", "sis user id", "sis login id", "identifier", "full name", "first name", "last name"),
    *("surname", "username", "id number", "email address"),
}
NUMBER = r"\d+([.,]\d+)?"


def fill(root: Path, name: str, rows: list[Row], file: Path, column: str | None = None) -> tuple[Path, list[str]]:
    """Write `file`, with the scores of the exercise set `name` in one of its columns, into grading/grades.

    rows: of the set, as `tables.export` returns them; only those with the status "graded" are filled in.
    column: its title; None: Moodle's "Grade", or the one that names the set.
    Returns the new file and a line for each student who is not in it. ValueError for a file without such a column.
    """
    header, lines, delimiter, signature = _read(file)
    place = header.index(_column(header, name, column))
    numbers = {student: record.get("number") for student, record in read_records(root).get(name, {}).items()}
    fitting, odd = _fit(header, lines, place, rows, numbers)
    for at, found in fitting.items():
        if len(found) > 1:
            odd.append(
                f"{', '.join(str(row['student']) for row in found)}: one row fits all of them; not filled in"
            )
            continue
        lines[at] += [""] * (place + 1 - len(lines[at]))
        lines[at][place] = f"{found[0]['score']:g}"

    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([map(plain, line) for line in [header, *lines]])
    data = text.getvalue().encode("utf-8-sig" if signature else "utf-8")
    target = root / "grading" / "grades" / f"{name}-{file.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, lambda path: path.write_bytes(data))
    return target, odd + _other_maximum(header, lines, place, rows)


def _read(file: Path) -> tuple[list[str], list[list[str]], str, bool]:
    """The titles and the lines of a table, what stands between its cells, and whether it has a signature."""
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not in UTF-8: give it as the platform wrote it") from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    table = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter) if line]
    if not table:
        raise ValueError(f"{file} is empty: give the file that the platform wrote")
    return table[0], table[1:], delimiter, content.startswith(b"\xef\xbb\xbf")


def _fit(
    header: list[str], lines: list[list[str]], place: int, rows: list[Row], numbers: dict[str, str | None]
) -> tuple[dict[int, list[Row]], list[str]]:
    """The rows that fit each line, and a text for each row that fits no line, or several, or is not final."""
    who = [at for at, title in enumerate(header) if title.strip().lower() in IDENTITY] or list(range(place))
    found: dict[str, set[int]] = defaultdict(set)
    for at, line in enumerate(lines):
        keys = {key for cell in who for key in _keys("".join(line[cell : cell + 1]))}
        if number := re.fullmatch(r"\D+(\d+)", line[0]):  # Moodle's "Participant 12"
            keys.add(number[1])
        for key in keys:
            found[key].add(at)
    fitting: dict[int, list[Row]] = defaultdict(list)
    odd = []
    for row in rows:
        by_number = found.get(numbers.get(str(row["student"])) or "", set())
        names = (found[key] for text in (row["student"], row["name"]) for key in _keys(text) if key in found)
        by_name = next(names, set())
        at = by_number & by_name if by_number and by_name else by_number | by_name
        if row["status"] != "graded":
            odd.append(f"{row['student']}: {row['status']}; left as it is")
        elif len(at) == 1:
            fitting[min(at)].append(row)
        else:
            odd.append(f"{row['student']}: {len(at) or 'no'} rows of the file fit; not filled in")
    return fitting, odd


def _column(header: list[str], name: str, column: str | None) -> str:
    """The title of the column for the points."""
    if column is not None:
        return choose(column, dict.fromkeys(header, column), "column")
    named = [title for title in header if all(word in title.lower() for word in name.split("_"))]
    if "Grade" in header:
        named = ["Grade"]
    if len(named) != 1:
        raise ValueError(
            f"which column is for {name}? Give its title with --column. There are: {', '.join(header)}"
        )
    return named[0]


def _keys(text: str | float | None) -> list[str]:
    """What a cell or a name is compared by: its words in any order, and its letters and digits."""
    base = unicodedata.normalize("NFKD", str(text or "").partition("@")[0].casefold())
    words = re.findall(r"[^\W_]+", "".join(sign for sign in base if not unicodedata.combining(sign)))
    return [" ".join(sorted(words)), "".join(words)] if words else []


def _other_maximum(header: list[str], lines: list[list[str]], place: int, rows: list[Row]) -> list[str]:
    """A line if the platform has other points for the set than the exercises."""
    most = next((row["max_score"] for row in rows if "max_score" in row), None)
    at = header.index("Maximum Grade") if "Maximum Grade" in header else place
    given = {
        line[at] for line in lines if len(line) > at and (at != place or line[0].strip() == "Points Possible")
    }
    return [
        f"{header[place]}: {text} points on the platform, but {most:g} in the exercises: change it there first"
        for text in given
        if most is not None and re.fullmatch(NUMBER, text) and float(text.replace(",", ".")) != most
    ]
