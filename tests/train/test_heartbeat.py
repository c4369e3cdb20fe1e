"""One process is lost: all end soon, with a code that is not zero, and the reason is seen once."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest
from torch.distributed import HashStore

from sigma_bench.data.ranks import FAREWELL_S, Ranks
from sigma_bench.train.heartbeat import BEAT_S, CAUSE_S, DONE, FUSE_S, MERCY_S, SILENCE_S, Heartbeat

TRACE = "ValueError: the 17th clip is purple"


@pytest.fixture(scope="module")
def drilled():
    """Exit codes, seconds and words of three processes for every drill, all drills at the same time."""
    script = Path(__file__).with_name("heartbeat_drills.py")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("drill", ["quiet_end", "quiet_end_of_the_first_last", "long_step"])
def test_an_ordinary_end_is_quiet(drilled, drill):
    assert drilled[drill]["codes"] == [0, 0, 0]
    assert drilled[drill]["said"] == ["", "", ""]


def test_an_end_that_all_agree_on_is_quiet_too(drilled):
    assert drilled["agreed_end"]["codes"] == [75, 75, 75]
    assert drilled["agreed_end"]["said"] == ["", "", ""]


@pytest.mark.parametrize(
    ("drill", "failed"), [("exception", 1), ("exception_of_the_first", 0), ("exception_before_a_collective", 1)]
)
def test_an_exception_ends_all_and_is_shown(drilled, drill, failed):
    found = drilled[drill]
    assert found["codes"] == [1, 1, 1]
    others = "".join(text for rank, text in enumerate(found["said"]) if rank != failed)
    assert others.count(f"process {failed} of 3 failed: Traceback (most recent call last):") == 1
    assert others.count(TRACE) == 1
    assert TRACE in found["said"][failed]


def test_a_users_mistake_is_shown_without_a_traceback(drilled):
    found = drilled["mistake"]
    assert found["codes"] == [1, 1, 2]
    assert "process 2 of 3 failed: the disk of the third is empty" in "".join(found["said"][:2])
    assert "Traceback" not in "".join(found["said"])
    assert "--resume" not in "".join(found["said"])


def test_a_notice_that_ends_one_ends_all_with_its_code(drilled):
    found = drilled["told_to_stop"]
    assert found["codes"] == [75, 75, 75]
    assert "".join(found["said"]).count("process 0 of 3 was told to stop (SIGTERM)") == 1
    assert "Traceback" not in "".join(found["said"])


@pytest.mark.parametrize("drill", ["killed", "killed_in_a_collective", "standing_still"])
def test_a_process_that_falls_silent_is_named(drilled, drill):
    found = drilled[drill]
    assert found["codes"] == [1, -9, 1]
    assert "".join(found["said"]).count("process 1 of 3 has not been heard of for") == 1
    assert "--resume" in "".join(found["said"])


@pytest.mark.parametrize("drill", ["killed_first", "first_killed_in_a_collective"])
def test_the_loss_of_the_first_which_holds_the_store_ends_the_others(drilled, drill):
    found = drilled[drill]
    assert found["codes"] == [-9, 1, 1]
    for text in found["said"][1:]:
        assert "does not reach the others any more" in text


def test_a_first_process_that_stands_still_with_the_store_ends_the_others(drilled):
    found = drilled["first_standing_still"]
    assert found["codes"] == [-9, 1, 1]
    for text in found["said"][1:]:
        assert "no answer for" in text


def test_a_checkpoint_under_way_is_finished_first(drilled):
    assert drilled["amid_a_save"]["codes"] == [1, 1, 1]
    assert drilled["amid_a_save"]["saved"]
    assert "ends amid" not in drilled["amid_a_save"]["said"][0]


def test_all_are_gone_within_a_minute():
    """What the drills do in seconds takes its real times when a process falls silent."""
    looks = 2 * 2.0
    assert SILENCE_S + looks + MERCY_S < 60
    assert CAUSE_S < SILENCE_S
    assert 3 * BEAT_S + FAREWELL_S < FUSE_S < 60  # or the word on a user's mistake would be cut off


def test_alone_it_does_nothing(capsys):
    with pytest.raises(ValueError, match="x"), Heartbeat(Ranks()) as beating, beating.undisturbed():
        raise ValueError("x")
    assert capsys.readouterr().err == ""


def test_the_first_process_waits_for_one_that_has_given_no_sign_yet():
    """It may hold the store, in which the other is to read why all end."""
    store, beating = HashStore(), Heartbeat(Ranks(0, 2), beat_s=20.0)
    beating._store = store
    late = threading.Timer(0.3, store.set, ("beat/1", DONE))
    late.start()
    beating._wait_for_the_others()
    assert store.check(["beat/1"])
    late.join()


def test_one_that_comes_when_the_store_is_gone_says_so(monkeypatch):
    def end(self, message, store, failure=None):
        raise SystemExit(message)

    ranks = Ranks(1, 2)
    monkeypatch.setattr(ranks, "store", Mock(side_effect=RuntimeError("Connection was closed")))
    monkeypatch.setattr(Heartbeat, "_end", end)
    with pytest.raises(
        SystemExit, match=r"process 1 of 2 does not reach the others any more \(Connection was closed\)"
    ):
        Heartbeat(ranks).__enter__()
