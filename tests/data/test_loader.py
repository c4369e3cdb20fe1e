"""The training loader: order, processes, repeated sampling, replacement of what cannot be decoded."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.loader import TooManyBroken, TrainingLoader


class Pool:
    """Runs requests at once; a request is (row, seed words) and its frames show the row."""

    workers = 2

    def __init__(self, broken=()):
        self.broken, self.asked = set(broken), []

    def map(self, requests, ahead=None, stopped=None):
        for number, (row, seed) in enumerate(requests):
            self.asked.append((row, seed))
            bad = row in self.broken
            arrays = None if bad else (np.full((2, 4, 4, 3), row, np.uint8),)
            yield SimpleNamespace(index=number, arrays=arrays, info={"backend": "x"}, error="broken" if bad else None)


def index(count):
    return Index.build(
        "set", "train", "/nowhere", ["a"], [Sample(f"v{i}", f"v{i}.avi", 0, f"g{i}") for i in range(count)]
    )


def loader(count=10, batch=2, total=4, pool=None, **more):
    more = {"size": 4, "seed": 5, **more}
    return TrainingLoader(index(count), pool or Pool(), lambda r, s: (r, s), batch=batch, global_batch=total, **more)


def shown(batches):
    return [(b.rows, b.seeds) for b in batches]


def test_an_epoch_shows_whole_steps_without_repetition():
    batches = list(loader().epoch(0))
    rows = [r for b in batches for r in b.rows]
    assert len(batches) == 4  # two steps of four clips: two of ten are left out
    assert len(set(rows)) == 8
    assert all(int(b.clips[i, 0, 0, 0, 0]) == b.rows[i] for b in batches for i in range(2))
    assert shown(loader().epoch(0)) == shown(batches)
    assert [b.rows for b in loader().epoch(1)] != [b.rows for b in batches]
    assert [b.rows for b in loader(seed=6).epoch(0)] != [b.rows for b in batches]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.sampled_from([(1, 1), (2, 2), (2, 4), (3, 6), (4, 8)]), st.integers(0, 3))
def test_offset_leaves_out_exactly_the_first_micro_batches(count, sizes, epoch):
    batch, total = sizes
    whole = shown(loader(count, batch, total).epoch(epoch))
    for offset in range(len(whole) + 1):
        assert shown(loader(count, batch, total).epoch(epoch, offset)) == whole[offset:]


@pytest.mark.parametrize("broken", [(), (1, 4)])
def test_the_clips_of_a_step_do_not_depend_on_the_number_of_processes(broken):
    def step(world, batch):
        parts = [list(loader(16, batch, 8, Pool(broken), rank=rank, world=world).epoch(0)) for rank in range(world)]
        per_step = 8 // (batch * world)
        micro = [[b for p in parts for b in p[s * per_step : (s + 1) * per_step]] for s in range(2)]
        return [sorted(pair for b in batches for pair in zip(b.rows, b.seeds, strict=True)) for batches in micro]

    assert step(1, 8) == step(2, 4) == step(2, 2) == step(4, 1)


def test_fewer_clips_than_a_step_are_sampled_repeatedly():
    one = loader(count=3, batch=4, total=8)
    assert one.steps_per_epoch == 1
    rows = [r for b in one.epoch(0) for r in b.rows]
    assert len(rows) == 8
    assert np.bincount(rows).min() >= 2


def test_broken_files_are_replaced_from_a_seeded_stream_and_named_once():
    met = []
    one = loader(pool=Pool({1, 4}), on_broken=lambda name, reason: met.append((name, reason)))
    first = shown(one.epoch(0))
    rows = [r for rows, _ in first for r in rows]
    assert len(rows) == 8
    assert not {1, 4} & set(rows)
    list(one.epoch(1))
    assert sorted(met) == [("v1", "broken"), ("v4", "broken")]
    assert one.replaced.draws >= 2
    assert shown(loader(pool=Pool({1, 4})).epoch(0)) == first
    # a resume in the middle sees the same replacements
    assert shown(loader(pool=Pool({1, 4})).epoch(0, 2)) == first[2:]


def test_too_many_broken_files_stop_the_training():
    with pytest.raises(TooManyBroken, match="more than the bound of 10 %"):
        list(loader(pool=Pool({1, 2, 3}), max_broken=0.1).epoch(0))
    with pytest.raises(TooManyBroken):
        list(loader(pool=Pool(set(range(10)))).epoch(0))
    with pytest.raises(TooManyBroken, match="1 of 1 files of set cannot be decoded"):
        list(loader(count=1, pool=Pool({0})).epoch(0))  # nothing left to replace it by, whatever the bound


def test_what_cannot_be_met_is_refused():
    with pytest.raises(UserError, match="not a multiple"):
        loader(batch=3, total=8)
    with pytest.raises(UserError, match="empty"):
        loader(count=0)
