"""The training loader: order, processes, repeated sampling, replacement of what cannot be decoded."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Request:
    row: int
    seed: tuple
    repeats: int = 1


class Repeating(Pool):
    """Frames show the row, and how many of the row's clips went before."""

    def map(self, requests, ahead=None, stopped=None):
        for number, one in enumerate(requests):
            self.asked.append((one.row, one.seed))
            bad = one.row in self.broken
            clips = [np.full((2, 4, 4, 3), 10 * one.row + k, np.uint8) for k in range(one.repeats)]
            info = {"backend": "x", "flips": [False] * one.repeats}
            yield SimpleNamespace(
                index=number, arrays=None if bad else clips, info=info, error="broken" if bad else None
            )


def repeating(repeats, batch, total, broken=(), count=12, **more):
    more = {"size": 4, "seed": 5, **more}
    pool = Repeating(broken)
    return TrainingLoader(index(count), pool, Request, batch=batch, global_batch=total, repeats=repeats, **more), pool


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 3]),
    st.sets(st.integers(0, 11), max_size=4),
    st.data(),
)
def test_repeats_for_any_layout_and_offset(repeats, world, videos, accumulation, broken, data):
    micro = repeats * videos
    total = micro * world * accumulation
    epoch = data.draw(st.integers(0, 2))
    single = list(repeating(repeats, total, total, broken)[0].epoch(epoch))
    parts = []
    for rank in range(world):
        one, pool = repeating(repeats, micro, total, broken, rank=rank, world=world)
        batches = list(one.epoch(epoch))
        assert len(pool.asked) == len(batches) * videos + one.replaced.draws  # each video is decoded once
        offset = data.draw(st.integers(0, len(batches)))
        on, _ = repeating(repeats, micro, total, broken, rank=rank, world=world)
        assert shown(on.epoch(epoch, offset)) == shown(batches)[offset:]
        for b in batches:
            assert b.rows == [row for row in b.rows[::repeats] for _ in range(repeats)]
            assert b.clips[:, 0, 0, 0, 0].tolist() == [10 * row + i % repeats for i, row in enumerate(b.rows)]
            assert b.ids == [f"v{row}" for row in b.rows]
        parts.append(batches)
    for step, whole in enumerate(single):
        mine = [b for part in parts for b in part[step * accumulation : (step + 1) * accumulation]]
        together = sorted(x for b in mine for x in zip(b.seeds, b.rows, strict=True))
        assert together == sorted(zip(whole.seeds, whole.rows, strict=True))
        assert len(together) == total == len(set(together))


def test_a_replaced_draw_counts_once_whatever_its_repeats():
    one, _ = repeating(4, 8, 16, {1, 4})
    alone = loader(12, 2, 4, Pool({1, 4}))
    rows = [b.rows[::4] for b in one.epoch(0)]
    assert rows == [b.rows for b in alone.epoch(0)]
    assert one.replaced == alone.replaced
    assert one.replaced.draws >= 2
    assert one.decoders == alone.decoders == {"x": 12}
    assert one.steps_per_epoch == 3


def test_what_is_no_clip_of_this_loader_is_not_made_again():
    one, _ = repeating(2, 4, 8)
    assert one.again([3, 3], [(5, 0, 0, 0, 1), (5, 0, 0, 0)]).clips[:, 0, 0, 0, 0].tolist() == [31, 30]
    for words in ((5, 0, 0), (5, 0, 0, 0, 2), (5, 0, 0, 0, 0), (5, 0, 0, 0, 1, 1), (5, 0, -1, 0)):
        with pytest.raises(UserError, match="are of no clip; expected seed, epoch, place and attempt"):
            one.again([3], [words])
    for row in (-1, 12):
        with pytest.raises(UserError, match=f"there is no row {row}; set has 12"):
            one.again([row], [(5, 0, 0, 0)])


def test_errors_come_where_batches_are_taken_and_what_was_met_before_is_reported():
    met = []
    one = loader(pool=Pool({1, 2, 3}), max_broken=0.1, on_broken=lambda name, _: met.append(name))
    with pytest.raises(TooManyBroken):
        list(one.epoch(0))
    assert len(met) == 2
    assert one.replaced.reasons == dict.fromkeys(met, "broken")

    def unusable(row, seed):
        raise UserError(f"{row} has no place")

    wrong = TrainingLoader(index(4), Pool(), unusable, batch=2, global_batch=4, size=4, seed=0)
    with pytest.raises(UserError, match="has no place"):
        list(wrong.epoch(0))


@pytest.mark.parametrize(("batch", "workers", "least"), [(1, 8, 18), (16, 2, 32)])
def test_so_many_videos_are_asked_for_that_no_decoding_process_is_idle(batch, workers, least):
    asked = []

    class Counting(Pool):
        def map(self, requests, ahead=None, stopped=None):
            asked.append(ahead)
            return super().map(requests)

    pool = Counting()
    pool.workers = workers
    list(loader(64, batch, 32, pool).epoch(0))
    assert asked == [least]


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
