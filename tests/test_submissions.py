"""The corpus of submissions: points come from right values alone, nothing is harmed or leaks, all are graded."""

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")

from submissions import KINDS, SUBMISSIONS, Submission, trial

QUICK = [each for kind in KINDS for each in [s for s in SUBMISSIONS if s.kind == kind and s.quick][:5]]


@pytest.fixture(scope="module")
def graded(isolation, tmp_path_factory) -> trial.Outcome:
    return trial.grade(tmp_path_factory.mktemp("world") / "of", QUICK)


def test_the_corpus_has_something_of_every_kind():
    assert Counter(s.kind for s in SUBMISSIONS).keys() == Counter(s.kind for s in QUICK).keys() == KINDS.keys()
    assert len({submission.student for submission in SUBMISSIONS}) == len(SUBMISSIONS)


def test_the_class_is_graded_to_its_end(graded):
    assert graded.effects == []
    assert graded.status.pop("export") == 0
    assert set(graded.status.values()) == {1}, "done, but some need attention"
    assert not any("Traceback" in text for text in graded.printed.values())


@pytest.mark.parametrize("submission", QUICK, ids=lambda submission: f"{submission.kind}: {submission.does}")
def test_a_submission_gets_what_it_earns_and_does_nothing_else(graded, submission: Submission):
    assert graded.faults(submission) == {}


@pytest.mark.verify
def test_all_submissions(isolation, tmp_path: Path, record):
    outcome = trial.grade(tmp_path / "world", SUBMISSIONS, jobs=2)
    record("submissions.json", trial.summary(outcome))
    faults = {f"{s.kind}: {s.does}": found for s in SUBMISSIONS if (found := outcome.faults(s))}
    assert (faults, outcome.effects) == ({}, [])
