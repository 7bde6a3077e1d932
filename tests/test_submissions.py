"""The corpus of submissions: points come from right values alone, nothing is harmed or leaks, all are graded."""

import socket
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")

from submissions import KINDS, QUICK, SUBMISSIONS, Submission, pages, trial

FEW = [submission for submission in SUBMISSIONS if submission.does in QUICK]


@pytest.fixture(scope="module")
def graded(isolation, tmp_path_factory) -> trial.Outcome:
    return trial.grade(tmp_path_factory.mktemp("class") / "world", FEW)


def test_the_corpus_has_something_of_every_kind():
    assert {each.kind for each in FEW} == {each.kind for each in SUBMISSIONS} == KINDS.keys()
    assert {each.does for each in FEW} == QUICK
    assert len({each.student for each in SUBMISSIONS}) == len(SUBMISSIONS)
    assert len({each.does for each in SUBMISSIONS}) == len(SUBMISSIONS)


def test_the_class_is_graded_to_its_end(graded):
    assert graded.effects == []
    assert not any("Traceback" in text for text in graded.printed.values())
    collected = {status for name, status in graded.status.items() if name.startswith("collect")}
    assert collected == {1}, "a file that cannot be read needs attention"
    assert [graded.status[name] for name in ("grade", "feedback", "export")] == [0, 0, 0]


@pytest.mark.parametrize("submission", FEW, ids=lambda submission: f"{submission.kind}: {submission.does}")
def test_a_submission_gets_what_it_earns_and_does_nothing_else(graded, submission: Submission):
    assert graded.faults(submission) == {}


def test_the_watch_over_them_is_not_blind(tmp_path):
    world = trial.World(tmp_path / "world")
    with world.listening(), trial.adopting() as left:
        with socket.create_connection(("127.0.0.1", world.port)) as line:
            line.send(b"hello")
        subprocess.run(["sh", "-c", "sleep 90 &"], check=True)
        assert (len(left()), left()) == (1, [])
    assert world.reached == ["hello"]
    harmless = "<p>1 &lt; 2 <a href='https://example.org'>a</a><img src='data:image/png;base64,'></p>"
    assert trial.active(harmless) == [] and all(trial.active(html) for html in pages.ACTIVE)
    assert trial.formulas({"student": "=1+1", "score": "-1.5"}) == ["=1+1"]


@pytest.mark.verify
def test_all_submissions(isolation, tmp_path: Path, record):
    outcome = trial.grade(tmp_path / "world", SUBMISSIONS)
    found = [outcome.faults(submission) for submission in SUBMISSIONS]
    seconds = {name.split()[0]: round(took) for name, took in outcome.seconds.items()}
    figures = {
        "kinds": trial.summary(SUBMISSIONS, found),
        "host effects": len(outcome.effects),
        "seconds": seconds,
    }
    record("submissions.json", figures)
    assert {f"{s.kind}: {s.does}": faults for s, faults in zip(SUBMISSIONS, found, strict=True) if faults} == {}
    assert outcome.effects == []
