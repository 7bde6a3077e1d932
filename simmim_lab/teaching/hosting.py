"""What the tools write into notebooks and README.md: where the course is hosted, and what a lesson costs.

Where the course is hosted is written in one place: `Repository` under [project.urls] in pyproject.toml. The badges
and setup cells of the notebooks follow from it, and README.md's line on the website, and
`simmim-course host OWNER/REPO` changes them together. Until it is set, no notebook has a badge. What a lesson
costs is measured by benchmarks/lessons.py, into results/lessons.json.
"""

import copy
import json
import re
import tomllib
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.common import replace_file
from simmim_lab.teaching.course import CAPSTONE, read_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

SETUP = """\
from importlib.metadata import version

try:
    version("simmim-lab")
except ImportError:  # on Colab, for example
    %pip install --quiet {source}
import simmim_lab.notebook  # not found? Then pip failed: check the connection, restart the kernel"""

COPY = "Open the lessons with `simmim-lab lab`: it makes a copy of your own that keeps your answers and progress."

ONLINE = (
    "**[The website]({address})** has all lessons as pages. On its first page, and in lessons, the models run in "
    "your browser."
)
OFFLINE = (
    "**The website** has all lessons as pages. On its first page, and in lessons, the models run in the browser. "
    "`make site` builds it into `build/site`; `python -m http.server --directory build/site` shows it."
)

BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
GITHUB = "https://github.com/"


def host(root: Path, repository: str, branch: str = "main") -> list[Path]:
    """Make "OWNER/REPO" on GitHub the home of the course in folder `root`; "" makes it homeless again.

    Returns the files that changed. Raises ValueError for a name that GitHub does not allow, and for a lesson
    without a place for what is written here; then nothing has changed.
    """
    url = _address(repository, branch) if repository else ""
    project = root / "pyproject.toml"
    old = project.read_text(encoding="utf-8")
    line = f'Repository = "{url}"\n' if url else ""
    new, places = re.subn(r"(?m)^(\[project\.urls\].*\n)(?:Repository = .*\n)?", rf"\g<1>{line}", old)
    if places != 1:
        raise ValueError(f"{project} has no table [project.urls]: add this line")
    _parse(project, new)  # a second Repository in the table is an error, and must not be written
    changed, texts = _changes(root, url), {project: (old, new), **_readme(root, url)}
    return _write_texts(texts) + _write(changed)


def update(root: Path) -> list[Path]:
    """Write home and costs into all notebooks of the course in folder `root`; return those that changed."""
    url = home(root)
    changed = _changes(root, url)
    return _write_texts(_readme(root, url)) + _write(changed)


def differences(root: Path) -> list[str]:
    """A line for everything that `update` would change."""
    url = home(root)
    pairs = {path.name: texts for path, texts in _readme(root, url).items()}
    for path, (old, new) in _changes(root, url).items():
        for number, (before, after) in enumerate(zip(old.cells, new.cells, strict=True), 1):
            pairs[f"{path.name}, cell {number}"] = before.source, after.source
    found = []
    for place, (old, new) in pairs.items():
        lines = zip_longest(old.splitlines(), new.splitlines())
        if first := next((pair for pair in lines if pair[0] != pair[1]), None):
            found.append(f"{place}: {first[0]!r} should be {first[1]!r}")
    return found


def home(root: Path) -> str:
    """The address of the branch that the course in folder `root` is hosted on, or ""."""
    project = root / "pyproject.toml"
    if not project.exists():
        return ""
    table = _parse(project, project.read_text(encoding="utf-8"))
    return table.get("project", {}).get("urls", {}).get("Repository", "")


def lessons(root: Path) -> list[Path]:
    """The notebooks of the lessons, in order."""
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def exercises(root: Path) -> list[Path]:
    """The notebooks of the exercises and the capstone, the instructor's and the students' versions."""
    return sorted(
        path
        for folder in ("solutions", "exercises")
        for pattern in ("*/[0-9][0-9]_*.ipynb", f"{CAPSTONE}/{CAPSTONE}.ipynb")
        for path in (root / folder).glob(pattern)
    )


def fill(notebook: "NotebookNode", path: Path, url: str) -> None:
    """Write the badge, the setup cell and, in a lesson, the costs into the notebook at `path`."""
    setup = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    if len(setup) != 1:
        raise ValueError(f"{path.name} has {len(setup)} cells with the tag `setup`: give it to one")
    setup[0].source = setup_cell(path, url)
    head = notebook.cells[0]
    texts = {"badge": _badge(path, url)} | ({"cost": _cost(path)} if _is_lesson(path) else {})
    for marker, text in texts.items():
        head.source = _replace(head.source, marker, text, f"the first cell of {path.name}")


def website(url: str) -> str:
    """Where GitHub publishes the website of the course that is hosted at `url`."""
    owner, name = _split(url)[0].split("/")
    site = f"https://{owner.lower()}.github.io/"
    return site if name.lower() == f"{owner.lower()}.github.io" else f"{site}{name}/"


def setup_cell(path: Path, url: str) -> str:
    """The text of the setup cell of the notebook at `path`: without a home, it installs the course around it."""
    if not url:
        return SETUP.format(source=".." if _is_lesson(path) else "../..")
    repository, branch = _split(url)
    return SETUP.format(source=f"git+{GITHUB}{repository}@{branch}")


def colab(url: str, path: str) -> str:
    """The address at which Colab opens the notebook at `path` of the course that is hosted at `url`."""
    repository, branch = _split(url)
    return f"{COLAB}/{repository}/blob/{branch}/{path}"


def _parse(path: Path, text: str) -> dict:
    """The TOML in a text that belongs to `path`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML ({error}): correct it") from error


def _replace(text: str, marker: str, paragraph: str, place: str) -> str:
    """The text with the paragraph at the marker replaced; ValueError unless `place` has one such paragraph."""
    parts = re.split(rf"(?<=\n\n).*<!-- {marker} -->.*(?=\n\n|\s*\Z)", text)
    if len(parts) != 2:
        raise ValueError(f"{place} needs one paragraph `<!-- {marker} -->`, but has {len(parts) - 1}")
    # The marker comes last: Markdown shows the rest of a line that starts with a comment as it is.
    return f"{parts[0]}{paragraph}<!-- {marker} -->{parts[1]}"


def _is_lesson(path: Path) -> bool:
    return path.parent.name == "notebooks"


def _badge(path: Path, url: str) -> str:
    if not url:
        return ""
    folder = "notebooks" if _is_lesson(path) else f"exercises/{path.stem}"  # never the solutions
    return f"[![Open In Colab]({BADGE})]({colab(url, f'{folder}/{path.name}')})"


def _cost(path: Path) -> str:
    results = path.parents[1] / "results" / "lessons.json"
    try:
        costs = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    except ValueError as error:
        raise ValueError(f"{results} is no JSON ({error}): restore it from your copy") from error
    if path.stem not in costs:
        return ""
    cost = costs[path.stem]
    return (
        f"*Measured on {cost['cores']} cores ({cost['cpu']}): {cost['full']['seconds']:.0f} s and "
        f"{cost['full']['gigabytes']:.1f} GB of memory; in fast mode {cost['fast']['seconds']:.0f} s "
        f"([how](../results/lessons.json)). {COPY}*"
    )


def _address(repository: str, branch: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](-?[A-Za-z0-9])*/(?!\.)[\w.-]+(?<!\.git)", repository, re.ASCII):
        raise ValueError(f"expected OWNER/REPO as on GitHub, like jane/simmim-lab, but got {repository!r}")
    if not re.fullmatch(r"[\w-]+([./][\w-]+)*(?<!\.lock)", branch, re.ASCII) or branch.startswith("-"):
        raise ValueError(f"expected the name of a branch, like main, but got {branch!r}")
    return f"{GITHUB}{repository}/tree/{branch}"


def _split(url: str) -> tuple[str, str]:
    """("OWNER/REPO", branch) of an address."""
    repository, tree, branch = url.removeprefix(GITHUB).partition("/tree/")
    if not tree or url != _address(repository, branch):
        raise ValueError(f"Repository in pyproject.toml is {url!r}: write it with `simmim-course host OWNER/REPO`")
    return repository, branch


def _changes(root: Path, url: str) -> dict[Path, tuple["NotebookNode", "NotebookNode"]]:
    """For every lesson that `fill` would change: what it is, and what it should be."""
    changes = {}
    for path in lessons(root) + exercises(root):
        old = read_notebook(path)
        new = copy.deepcopy(old)
        fill(new, path, url)
        if new != old:
            changes[path] = old, new
    return changes


def _readme(root: Path, url: str) -> dict[Path, tuple[str, str]]:
    """README.md as it is, and as its line on the website should be; nothing if there is no README.md."""
    path = root / "README.md"
    if not path.exists():
        return {}
    old = path.read_text(encoding="utf-8")
    line = ONLINE.format(address=website(url)) if url else OFFLINE
    return {path: (old, _replace(old, "website", line, path.name))}


def _write_texts(texts: dict[Path, tuple[str, str]]) -> list[Path]:
    """Write texts that changed, given as they were and as they are to be; return their files."""
    changed = {path: new for path, (old, new) in texts.items() if new != old}
    for path, text in changed.items():
        replace_file(path, partial(Path.write_text, data=text, encoding="utf-8"))
    return list(changed)


def _write(changes: dict[Path, tuple["NotebookNode", "NotebookNode"]]) -> list[Path]:
    import nbformat

    for path, (_, new) in changes.items():
        replace_file(path, partial(nbformat.write, new))
    return list(changes)
