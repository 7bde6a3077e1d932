"""`make verify` leaves a record, and plain runs of the tests leave the long tests out and write nothing."""

import json
from pathlib import Path

import pytest

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_short():
    pass

@pytest.mark.verify
def test_long(record):
    record("figures.json", {"seeds": 5})

@pytest.mark.verify
def test_broken():
    assert False
"""


@pytest.fixture
def project(pytester):
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyprojecttoml((ROOT / "pyproject.toml").read_text().replace('["tests"]', '["."]'))
    pytester.makepyfile(TESTS)
    return pytester


def test_a_plain_run_leaves_the_long_tests_out_and_writes_nothing(project):
    project.runpytest().assert_outcomes(passed=1, deselected=2)
    assert not list(project.path.glob("**/*.json"))


def test_a_recorded_run_says_what_it_found(project):
    project.runpytest("-m", "verify", "--record", "results").assert_outcomes(passed=1, failed=1, deselected=1)
    verified = json.loads((project.path / "results" / "verify.json").read_text())
    assert (verified["passed"], verified["failed"], verified["error"], verified["skipped"]) == (1, 1, 0, 0)
    assert verified["date"] and verified["torch"] and verified["cpu"] and verified["seconds"] >= 0
    figures = json.loads((project.path / "results" / "figures.json").read_text())
    assert figures["seeds"] == 5 and figures["date"] == verified["date"]


def test_a_run_of_the_catalogue_leaves_the_record_of_all_long_tests(project):
    project.runpytest("-m", "verify", "--record", "results", "--seeds", "1000")
    assert [path.name for path in (project.path / "results").iterdir()] == ["figures.json"]
