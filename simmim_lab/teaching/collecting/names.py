"""Whose a file is: what learning platforms write into the names of what they hand out, and names as folders.

The patterns are those of the platforms' own source (Canvas: content_zipper.rb; Moodle: mod/assign/classes/
downloader.php; Open edX: openassessment/data.py) and of tools that read their downloads (Blackboard: nbgrader's
FileNameCollectorPlugin; Brightspace, Sakai, Gradescope, GitHub Classroom: see SOURCES.md).
"""

import contextlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

LONGEST = 60  # characters of a student's folder, of 180 bytes at most
# No file on Windows may have such a name.
DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³])(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Owner:
    """Whose a file is, as far as its place in the inbox tells.

    name: as the platform wrote it; "" if nothing tells it. number: the platform's number of the student.
    place: what tells equal names apart: a section, or for a file of nobody its path.
    fleeting: whether the number is another one in each assignment.
    submitted: ISO 8601, if the platform wrote it. attempt: its count, larger for later ones. late: if it says so.
    """

    name: str
    number: str | None = None
    place: str = ""
    fleeting: bool = False
    submitted: str | None = None
    attempt: int = 0
    late: bool = False

    @property
    def key(self) -> str:
        """The same for all files of a student, and different for different students."""
        name = f"{self.name}_{self.number}" if self.number else self.name
        return f"{self.place}/{name}" if self.place else name


# The first place that fits counts: what stands behind it is the name that the student gave the file.
MOODLE = re.compile(r"(?P<name>.+?)(_(?P<number>\d+))?_assignsubmission_(file|onlinetext)(_.*|$)")
CANVAS = re.compile(
    r"(?P<name>[^\s./-]+?)(?P<late>_LATE)?_(?P<number>\d+)_((?P<attempt>\d+)_.+|(text|link)\.html)"
)
CANVAS_ANONYMOUS = re.compile(r"(?P<late>LATE_)?(?P<name>anon_[^\W_]+)_((?P<attempt>\d+)_.+|(text|link)\.html)")
BLACKBOARD = re.compile(r"(?P<name>.+?)_[^\W\d_]+_(?P<date>\d{4}(-\d\d){5})(_.+|\.txt|$)")  # "attempt", "poging"
BRIGHTSPACE = re.compile(r"(?P<number>\d+)-\d+ - (?P<name>.+?) - (?P<date>[^/]*?\d{4}[^/]*?)( - .+)?$")
SAKAI = re.compile(r"(?P<name>.+?) ?\((?P<number>[^()]+)\)(_.* attachment\(s\)_.+)?$")
GRADESCOPE = re.compile(r"(?P<name>submission_\d+)$")
OPEN_EDX = re.compile(r"\[\w+\] - (?P<name>.+?)( - .+|\.\w+)$")
PLATFORMS = (MOODLE, BRIGHTSPACE, BLACKBOARD, CANVAS_ANONYMOUS, CANVAS, GRADESCOPE, OPEN_EDX)
DATES = (
    *("%Y-%m-%d-%H-%M-%S", "%d %B, %Y %I%M %p", "%B %d, %Y %I%M %p", "%d %b, %Y %I%M %p", "%b %d, %Y %I%M %p"),
    *("%d %B, %Y %H%M", "%B %d, %Y %H%M", "%d %b, %Y %H%M", "%b %d, %Y %H%M"),
)


def platform(part: str, inside: str = "") -> Owner | None:
    """Whose a file or folder is that a platform named (`inside`: the next part of the path); None if none did."""
    for pattern in PLATFORMS:
        found = pattern.match(part)
        if found is not None and (pattern is not CANVAS or tells(found["name"])):
            break
    else:
        found = SAKAI.match(part)
        if found is None or not (found[3] or inside.endswith("attachment(s)")):
            return None
        pattern = SAKAI
    given = {key: value for key, value in found.groupdict().items() if value}
    return Owner(
        given["name"],
        given.get("number"),
        fleeting=pattern is MOODLE,
        submitted=_iso(given.get("date", "")),
        attempt=int(given.get("attempt", 0)),
        late="late" in given,
    )


# How programs name copies: "Copy of X" (Colab, Drive), "X - Copy (2)", "X copy 2" (systems), "X-Copy1" (Jupyter),
# "X (1)" (browsers).
COPY_OF = (
    r"copy of|copie d[eu]|copia d[ei]|cópia de|kopie von|kopie van|kopia av|kopi a[fv]|kopia|kopie|копия|копія"
    r"|bản sao của|salinan|نسخة من|עותק של|αντίγραφο του|สำเนาของ"
)
COPY = r"copy|copie|copia|cópia|kopie|kopia|kopi|копия|копія|másolata"
COPY_FIRST = re.compile(rf"^(\(?\s*({COPY_OF})\)?[\s_]+)+", re.IGNORECASE)
COPY_LAST = re.compile(
    rf"(([\s_-]+\(?|\()({COPY})\s*\d*\)?|\s*(的副本|副本|のコピー|의 사본)\s*\d*|\s*\(\d{{1,3}}\))+$",
    re.IGNORECASE,
)
ENDINGS = re.compile(r"(\.(ipynb|json|txt|zip|tar|t?gz|bz2|xz|7z|rar|py|html?|pdf|docx?|odt|md))+$", re.IGNORECASE)
# Words that say nothing of a student: of tasks, which may have a number behind them, and of files.
TASKS = (
    r"abgaben?|assignments?|aufgaben?|blatt|chapter|exercices?|exercises?|ex|homeworks?|hw|lab|lesson|problems?|ps"
    r"|sets?|submissions?|tareas?|tasks?|übung|unit|weeks?|woche"
)
FILES = (
    r"answers?|archive?|attachments?|attempts?|backup|bulk|colab|complete[d]?|compressed|copy|day|documents?|done"
    r"|download(s|ed)?|draft|feedback|files?|final|finished|folder|gradebook|inbox|ipynb|late|lösung|main|master|my|new"
    r"|notebooks?|old|onlinetext|ordner|part|project|resubmi\w+|revised|s|simmim|solutions?|solved|students?|submitted"
    r"|test|untitled|updated|uploads?|v|versions?|versuch|work|working|zip"
)
BETWEEN = r"[\s_.\-\"'“”„«»]"
BESIDE = re.compile(rf"^{BETWEEN}*(({TASKS}){BETWEEN}+)?|{BETWEEN}+$", re.IGNORECASE)
NOTHING = re.compile(rf"({TASKS}|{FILES})?\d{{0,2}}", re.IGNORECASE)
DATE = re.compile(r"\D{0,3}\d{4}([-_. ]?\d\d){2,5}\D{0,3}|drive-download-\d+T\d+Z(-\d+)*")
ATTEMPT = re.compile(
    r"(first|second|third|last|new|old|late|draft|final|attempt|version|versuch|resubmi|\d{4}-)", re.I
)
NUMBERED = re.compile(r"((participant|student|submission)s?[\W_]*)?\d+", re.IGNORECASE)
SECTION = re.compile(
    r"(class|classe|clase|course|cours|curso|group|groupe|grupo|gruppe|gruppo|klasse|kurs|section|sección|seção"
    r"|sezione|session|team|tutorial|tutorium|übungsgruppe)\b|.*-submissions$",
    re.IGNORECASE,
)


def tells(name: str) -> bool:
    """Whether a name says more than words like "Version 2"."""
    words = [word for word in re.split(r"[\W_]+", name) if word]
    said = [word for word in words if not NOTHING.fullmatch(word)]
    return DATE.fullmatch(name) is None and bool(said if words else name.strip(" ._-"))


def telling(name: str, sets: Iterable[str], file: bool = False) -> str:
    """What the name of a folder or a file says of its student: all but the set and signs of a copy, or ""."""
    text = name
    if file:
        whole = ENDINGS.sub("", text)
        text = COPY_FIRST.sub("", COPY_LAST.sub("", whole))
        text = whole if text == whole else text.strip()
    for known in sets:
        number, words = known.split("_", 1)
        words = words.replace("_", r"[\W_]*")
        text = re.sub(rf"(?<![^\W_])({number}[\W_]*)?{words}(?![^\W_])", "\0", text, flags=re.IGNORECASE)
    text = re.sub(rf"(?<![^\W_])({TASKS})[\W_]*\d+(?![^\W_])", "\0", text, flags=re.IGNORECASE)
    if "\0" in text:  # what stands before and behind the name of the set
        rest = [BESIDE.sub("", piece) for piece in text.split("\0")]
        text = "_".join(piece for piece in rest if piece and tells(piece))
    return text if tells(text) else ""


def folder_name(name: str, taken: Iterable[str] = ()) -> str:
    """A name for the folder of a student: readable, allowed on every system and for nbgrader, and none of `taken`,
    also where case and the form of accents do not count."""
    letters = [letter if _is_kept(letter) else "_" for letter in unicodedata.normalize("NFC", name)]
    text = re.sub("_+", "_", "".join(letters))[:LONGEST].encode()[: 3 * LONGEST].decode(errors="ignore")
    text = text.strip("_.-") or "student"
    text = f"student_{text}" if DEVICES.match(text) else text
    seen, number, free = {_folded(other) for other in taken}, 2, text
    while _folded(free) in seen:
        free, number = f"{text}-{number}", number + 1
    return free


def alike(one: str, other: str) -> bool:
    """Whether two names are the same to a reader: they may differ in how their accents are stored."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _is_kept(letter: str) -> bool:
    return letter in "_.-" or unicodedata.category(letter)[0] in "LMN"  # letters, accents, digits


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _iso(date: str) -> str | None:
    """A platform's date as ISO 8601."""
    for form in DATES:
        with contextlib.suppress(ValueError):
            return datetime.strptime(date.strip(), form).isoformat()
    return None
