"""The project's own files: what they install, what they promise, and what importing costs."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
IMPORT_NAMES = {
    "beautifulsoup4": "bs4",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
CONDA_NAMES = {"torch": "pytorch", "opencv-python-headless": "py-opencv"}
STAND_IN = """#!/bin/sh
echo "$*" >> calls
case "$*" in
    -c*) test -e old || echo python3 ;;
    --version) echo Python 3.9.6 ;;
    *venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *pip*) test ! -e offline ;;
esac
"""
LEARNER_EXTRAS = ("lab", "hub", "export", "keras", "shards", "opencv")
needs_make = pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make: install it")


def base() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["dependencies"]]


def extra(name: str) -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["optional-dependencies"][name]]


def learners() -> list[Requirement]:
    """The base install and the extras that `make lab` adds."""
    return base() + [requirement for name in LEARNER_EXTRAS for requirement in extra(name)]


def test_environment_yml_installs_what_pyproject_asks_for():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *listed, editable = environment["dependencies"]
    assert editable == {"pip": ["--editable ."]}
    expected = {f"python {PROJECT['requires-python']}", "pip"}
    for requirement in learners():
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        expected.add(f"{name} {requirement.specifier}".strip())
    assert {",".join(sorted(line.split(","))) for line in listed} == {
        ",".join(sorted(line.split(","))) for line in expected
    }
    assert len(listed) == len(expected)


def test_colab_has_all_that_the_base_install_needs_but_jaxtyping():
    """So the base install changes no version there. `tests/colab.txt` lists what Colab ships."""
    assert any(text.startswith("filelock") for text in importlib.metadata.requires("torch"))
    assert any(text.startswith("threadpoolctl") for text in importlib.metadata.requires("scikit-learn"))
    lines = (ROOT / "tests" / "colab.txt").read_text().splitlines()
    shipped = dict(line.split("==") for line in lines if "==" in line)
    for requirement in base():
        if requirement.name not in ("jaxtyping", "filelock", "threadpoolctl"):
            assert requirement.specifier.contains(shipped[requirement.name].split("+")[0]), requirement


def test_everything_the_package_imports_is_declared():
    """What learners run by the base install and its extras for them; what staff run by all extras."""
    names = _import_names(learners()) | {"IPython", "ipykernel", "nbformat"}  # they come with JupyterLab
    staff = names | _import_names(extra("teaching") + extra("site") + extra("dev"))
    for path in (ROOT / "simmim_lab").rglob("*.py"):
        declared = staff if "teaching" in path.parts else names
        own = {"simmim_lab"} | ({"channel", "running"} if path.name == "worker.py" else set())  # lie beside it
        for node in ast.walk(ast.parse(path.read_text())):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported = [node.module]
            for name in imported:
                top = name.split(".")[0]
                assert top in declared | own | set(sys.stdlib_module_names), f"{path.name} imports {name}"


def _import_names(requirements: list[Requirement]) -> set[str]:
    return {IMPORT_NAMES.get(r.name, r.name.replace("-", "_")) for r in requirements}


def test_importing_the_package_costs_little_more_than_importing_torch():
    program = (
        "import json, sys, time; start = time.perf_counter(); import torch; middle = time.perf_counter();"
        "import simmim_lab.training; end = time.perf_counter();"
        "print(json.dumps([end - middle, sorted({name.split('.')[0] for name in sys.modules})]))"
    )
    runs = []
    for _ in range(3):
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        runs.append(json.loads(output))
    assert min(seconds for seconds, _ in runs) < 0.5
    heavy = {"torchvision", "matplotlib", "ipywidgets", "anywidget", "timm", "transformers", "skimage", "sklearn"}
    assert not heavy & set(runs[0][1])


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Call it to install as `make lab` does, or as `make test` if given "all", with a stand-in for Python.

    It gives what went wrong, and the calls of Python.
    """
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        (tmp_path / name).write_text(STAND_IN)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def make(target: str = "lab") -> tuple[str, str]:
        calls = tmp_path / "calls"
        calls.unlink(missing_ok=True)
        result = subprocess.run(["make", f".venv/.{target}"], cwd=tmp_path, capture_output=True, text=True)
        return result.stderr, calls.read_text() if calls.exists() else ""

    return make


@needs_make
def test_the_second_run_installs_nothing_until_pyproject_changes(install, tmp_path):
    assert "pip install" in install()[1]
    assert install() == ("", "")
    os.utime(tmp_path / ".venv" / ".lab", (0, 0))
    errors, calls = install()
    assert not errors and "pip install" in calls and "venv" not in calls


@needs_make
def test_a_learner_installs_less_than_the_tests_need(install):
    [learner] = [call for call in install("lab")[1].splitlines() if "pip" in call]
    [author] = [call for call in install("all")[1].splitlines() if "pip" in call]
    extras = ",".join(LEARNER_EXTRAS)
    assert learner.endswith(f".[{extras}]") and author.endswith(f".[{extras},teaching,site,dev]")
    assert install("all") == install("lab") == ("", "")


@needs_make
def test_an_update_of_pyproject_reaches_both_installs(install, tmp_path):
    install("all")
    for stamp in ("lab", "all"):
        os.utime(tmp_path / ".venv" / f".{stamp}", (0, 0))
    errors, calls = install("all")
    assert not errors and calls.count("pip install") == 2 and "venv" not in calls


@needs_make
def test_a_second_install_that_was_cut_off_goes_on(install, tmp_path):
    install("lab")
    (tmp_path / "offline").touch()
    assert "Error" in install("all")[0] and install("lab") == ("", "")
    (tmp_path / "offline").unlink()
    errors, calls = install("all")
    assert not errors and calls.count("pip install") == 1


@needs_make
def test_an_install_that_was_cut_off_starts_anew(install, tmp_path):
    (tmp_path / "offline").touch()
    assert "Error" in install()[0]
    (tmp_path / "offline").unlink()
    errors, calls = install()
    assert not errors and "venv --clear" in calls and "pip install" in calls


@needs_make
def test_a_python_that_is_too_old_is_named_in_one_line(install, tmp_path):
    (tmp_path / "old").touch()
    errors, calls = install()
    assert errors.count("\n") == 1 and "needs Python 3.11, 3.12 or 3.13, but found Python 3.9.6" in errors
    assert "pip" not in calls


def test_make_looks_for_the_pythons_that_pyproject_allows():
    bounds = re.search(r"\(3, (\d+)\) <= sys.version_info < \(3, (\d+)\)", (ROOT / "Makefile").read_text())
    assert PROJECT["requires-python"] == ">=3.{},<3.{}".format(*bounds.groups())


def test_the_readme_names_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    assert {"lab", "test", "verify", "demo", "notebooks", "bench"} <= targets
    assert set(re.findall(r"make ([a-z]+)\b", README)) <= targets


def test_the_readme_lists_the_lessons_that_exist():
    listed = set(re.findall(r"\]\((notebooks/[^)]+\.ipynb)\)", README))
    assert listed == {path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb")}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_the_links_of_the_readme_resolve(target):
    assert (ROOT / target).exists()


def test_the_licence_is_mit():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert PROJECT["license"] == "MIT"


@pytest.fixture(scope="module")
def tree() -> list[Path]:
    """The files of the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this copy is no git repository")
    return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.is_file()]


def test_the_tree_stays_small_enough_to_clone_in_a_class(tree):
    assert sum(path.stat().st_size for path in tree) <= 24_000_000


def test_no_file_of_the_project_names_a_machine_or_a_registry(tree):
    names = rb"/work/(main|shared)|/root/|(pypi|pythonhosted|npmjs|debian)\.org"
    for path in tree:
        if path != Path(__file__):
            found = re.search(names, path.read_bytes())
            assert not found, f"{path.name}: {found[0]}"
