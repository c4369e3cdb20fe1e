"""What a long job says in a log: rarely, and a time left only once it can be told."""

import pytest

from sigma_bench import progress
from sigma_bench.progress import Reporter


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def said(capsys):
    return capsys.readouterr().err.splitlines()


def test_nothing_is_said_of_the_first_unit_and_the_rate_is_that_of_all(clock, capsys):
    with Reporter("check", 100, "file") as reporter:
        clock[0] += 1
        reporter.update(1)
        assert said(capsys) == []
        clock[0] += 9
        reporter.update(20, "a note")
        reporter.update(21)
        assert said(capsys) == ["check: file 20/100, 10 s, about 40 s left. a note"]
        clock[0] += 5
        reporter.update(100)
        assert said(capsys) == ["check: file 100/100, 15 s."]


def test_units_done_before_do_not_count_into_the_rate(clock, capsys):
    with Reporter("re-encode", 100, "video", start=50) as reporter:
        clock[0] += 10
        reporter.update(60)
        assert said(capsys) == ["re-encode: video 60/100, 10 s, about 40 s left."]
        clock[0] += 10
        reporter.update(50)
        assert said(capsys) == ["re-encode: video 50/100, 20 s."]


def test_a_silent_one_says_nothing(clock, capsys):
    with Reporter("check", 2, silent=True) as reporter:
        clock[0] += 60
        reporter.update(2)
    assert said(capsys) == []
