"""Shares without gaps or repetition, and processes that wait, answer, fail and vanish."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore

from sigma_bench.contracts import UserError
from sigma_bench.data import ranks
from sigma_bench.data.ranks import OtherFailed, Ranks, joined, share


@given(st.integers(0, 300), st.integers(1, 40))
def test_shares_cover_every_piece_once_and_differ_by_one_at_most(count, world):
    parts = [share(count, rank, world) for rank in range(world)]
    assert sorted(piece for part in parts for piece in part) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(("count", "rank", "world"), [(3, 2, 2), (3, -1, 2), (3, 0, 0), (-1, 0, 1)])
def test_a_share_of_nobody_is_refused(count, rank, world):
    with pytest.raises(UserError, match="cannot take a share"):
        share(count, rank, world)


def in_threads(*jobs):
    """Run job(ranks) for every rank at once; return what each returned, or the exception it raised."""
    store, found = HashStore(), [None] * len(jobs)

    def run(rank, job):
        try:
            found[rank] = job(Ranks(rank, len(jobs), store))
        except OtherFailed as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "a process hangs"
    return found


def test_everyone_gets_what_everyone_gives_in_the_order_of_ranks():
    def job(r):
        time.sleep(0.02 * (2 - r.rank))
        first = r.gather({"rank": r.rank, "share": list(r.share(7))})
        r.barrier()
        return first, r.together(lambda: r.rank * 10)

    expected = ([{"rank": k, "share": list(range(k, 7, 3))} for k in range(3)], [0, 10, 20])
    assert in_threads(job, job, job) == [expected] * 3


def test_messages_of_the_first_come_in_order():
    def leader(r):
        for number in range(3):
            r.send({"number": number})

    def other(r):
        return [r.receive()["number"] for _ in range(3)]

    assert in_threads(leader, other, other) == [None, [0, 1, 2], [0, 1, 2]]


def test_a_process_that_fails_fails_all_and_they_may_go_on(capsys):
    def fail():
        raise UserError("no space left")

    def bad(r):
        with pytest.raises(UserError, match="no space left"):
            r.together(fail)
        return r.gather("again")

    def good(r):
        with pytest.raises(OtherFailed, match="process 1 of 3 failed: UserError: no space left"):
            r.together(lambda: 1)
        return r.gather("again")

    assert in_threads(good, bad, good) == [["again"] * 3] * 3


def test_a_process_that_never_answers_is_an_error_not_a_hang(monkeypatch):
    monkeypatch.setattr(ranks, "PATIENCE_S", 0.1)
    began = time.monotonic()
    found = in_threads(lambda r: r.barrier(), lambda r: None)
    assert "process 1 of 2 has not answered for" in str(found[0])
    assert time.monotonic() - began < 5

    def twice(r):
        with pytest.raises(OtherFailed, match="has not answered"):
            r.barrier()
        return r.barrier()  # it does not wait a second time

    assert "has not answered" in str(in_threads(twice, lambda r: None)[0])


def test_the_first_says_whom_it_waits_for_once(monkeypatch, capsys):
    monkeypatch.setattr(ranks, "NOTICE_S", 0.1)
    in_threads(lambda r: r.barrier(), lambda r: time.sleep(0.5) or r.barrier(), lambda r: r.barrier())
    assert capsys.readouterr().err.splitlines() == ["waiting for process 1 of 3, for 600 s at most"]


def test_the_first_leaves_last_but_does_not_wait_for_ever(monkeypatch):
    left = []

    def leave(r):
        time.sleep(0.3 * r.rank)
        r.leave()
        left.append(r.rank)

    in_threads(leave, leave, leave)
    assert left == [1, 2, 0]
    monkeypatch.setattr(ranks, "FAREWELL_S", 0.1)
    in_threads(leave, lambda r: None)
    assert left == [1, 2, 0, 0]


def test_a_process_that_lost_the_store_can_leave():
    class Gone(HashStore):
        def check(self, keys):
            raise RuntimeError("Broken pipe")

    r = Ranks(1, 2, Gone())
    with pytest.raises(OtherFailed, match="have lost each other: Broken pipe"):
        r.receive()
    r.leave()
    assert Ranks(1, 2, r._store)._store.num_keys() == 0


def test_a_process_by_itself_needs_no_store(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with joined() as r:
        assert (r.rank, r.world) == (0, 1)
        r.send({"nobody": "listens"})
        r.barrier()
        assert r.gather(5) == [5]
        assert list(r.share(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "2"}, "RANK is not set"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "expected RANK below WORLD_SIZE"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK is '-1'"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "does not reach the others at MASTER_ADDR=None"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "x"}, "MASTER_PORT=x"),
    ],
)
def test_an_environment_that_cannot_be_followed_is_refused(monkeypatch, environment, said):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said), joined():
        pass


PROCESS = """
import sys
from sigma_bench.data.ranks import joined
with joined() as r:
    if r.rank == 1 and sys.argv[1] == "die":
        raise SystemExit(9)
    print(r.gather(r.rank * 2))
"""


def test_processes_find_each_other_by_their_environment(tmp_path):
    (tmp_path / "process.py").write_text(PROCESS)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    both = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "process.py"), "live"],
            env={**common, "RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    assert [process.communicate(timeout=60)[0] for process in both] == ["[0, 2]\n"] * 2
    assert [process.returncode for process in both] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(("what", "code"), [("live", 0), ("die", 1)])
def test_under_torchrun_processes_find_each_other_and_end_together(tmp_path, what, code):
    (tmp_path / "process.py").write_text(PROCESS)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(tmp_path / "process.py"), what],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == ["[0, 2]"] * 2 * (what == "live")


def test_shares_need_no_torch():
    code = "import sys; import sigma_bench.data.ranks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
