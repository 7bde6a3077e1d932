"""CHANGELOG.md and SOURCES.md keep in step with what is there."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from simmim_lab.data.photographs import PHOTOS

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
SOURCES = (ROOT / "SOURCES.md").read_text(encoding="utf-8")
SHIPPED = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".svg",
    ".mp4",
    ".safetensors",
    ".pt",
    ".pth",
    ".npz",
    ".onnx",
)


def test_the_changelog_begins_with_the_version_of_the_project():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d{2}-\d{2})$", CHANGELOG, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions[0][0] == project["version"]
    assert [version for version, _ in versions] == sorted((version for version, _ in versions), reverse=True)


@pytest.mark.parametrize("file", [file for photos in PHOTOS.values() for file in photos])
def test_each_photograph_is_named_with_its_author_and_licence(file):
    [source] = [photos[file] for photos in PHOTOS.values() if file in photos]
    [row] = [line for line in SOURCES.splitlines() if f"`{Path(file).name}`" in line and "](http" in line]
    assert all(fact in row for fact in (source.title, source.author, source.licence, source.url))


def test_each_picture_and_weight_in_the_repository_has_a_row():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this copy is no git repository")
    shipped = {file for file in listed.stdout.splitlines() if file.endswith(SHIPPED) and (ROOT / file).exists()}
    assert set(re.findall(r"^\| `([^`]+/[^`]+)` \|", SOURCES, re.MULTILINE)) == shipped


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", CHANGELOG + SOURCES))))
def test_the_links_resolve(target):
    assert (ROOT / target).exists()
