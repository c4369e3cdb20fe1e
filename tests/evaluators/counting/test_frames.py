"""Stretches of an index: decoded once by other processes, kept within bounds, errors told by row."""

import numpy as np
import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.miniatures.video import encode
from sigma_bench.evaluators.counting.frames import JOB, Stretches


@pytest.fixture(scope="module")
def pool():
    with DecodePool(JOB, 1) as pool:
        yield pool


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("some videos")
    for name, grey in (("a b.avi", 40), ("c.avi", 200)):
        encode(root / name, np.full((10, 32, 32, 3), grey, np.uint8), 25)
    (root / "bad.avi").write_bytes(b"")
    rows = [("a", "a b.avi", 2, 8), ("bad", "bad.avi", 0, 9), ("c", "c.avi", 6, 30), ("lost", "lost.avi", 0, 9)]
    return Index.build("x", "train", root, ("k",), [Sample(i, path, 0, i, start, end) for i, path, start, end in rows])


def test_each_is_decoded_once_and_what_cannot_be_is_told(index, pool):
    found = Stretches(index, 16, pool)
    found.read(silent=True)
    assert found.counts == {0: 6, 2: 4}
    assert found.cut == [2]
    assert set(found.errors) == {1, 3}
    assert found.first_error == f"bad: {found.errors[1]}"
    assert sum(found.decoders.values()) == 2
    done = pool.stats.done
    frames = found.of([2, 0, 2])
    assert pool.stats.done == done
    assert [tuple(frames[row].shape) for row in (0, 2)] == [(6, 16, 16, 3), (4, 16, 16, 3)]
    assert frames[0].dtype == torch.uint8
    assert frames[0].float().mean() == pytest.approx(40, abs=4)
    assert frames[2].float().mean() == pytest.approx(200, abs=4)


def test_what_there_is_no_memory_for_is_decoded_again_and_is_the_same(index, pool):
    everything, some = Stretches(index, 16, pool), Stretches(index, 16, pool, memory=6 * 16 * 16 * 3)
    for found in (everything, some):
        found.read(silent=True)
    done = pool.stats.done
    again = some.of([0, 2])
    assert pool.stats.done == done + 1
    for row, frames in everything.of([0, 2]).items():
        assert torch.equal(frames, again[row])
    assert sum(some.decoders.values()) == 2


def test_a_video_that_is_lost_meanwhile_ends_the_training(index, pool, tmp_path):
    root = tmp_path / "here"
    root.mkdir()
    (root / "c.avi").write_bytes((index.root / "c.avi").read_bytes())
    own = Index.build("x", "train", root, ("k",), [Sample("c", "c.avi", 0, "c")])
    found = Stretches(own, 16, pool, memory=0)
    found.read(silent=True)
    (root / "c.avi").unlink()
    with pytest.raises(UserError, match=r"c\.avi: could be decoded before, and cannot any more"):
        found.of([0])
