"""Clips bit by bit: whatever the number of decoding processes and of ranks, and wherever a run goes on."""

import json
import threading
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.load import ClipRequest
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.data.miniatures.video import encode
from sigma_bench.pretrain.masking import TubeMasking

HERE = Path(__file__).parent
GLOBAL = 8
BROKEN = {2: b"", 5: b"no video", 11: b"RIFF"}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Eighteen clips, three of which are damaged."""
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    samples = []
    for number in range(18):
        name = f"v{number}.avi"
        if number in BROKEN:
            (root / name).write_bytes(BROKEN[number])
        else:
            encode(root / name, rng.integers(0, 255, (12, 24, 32, 3), dtype=np.uint8))
        samples.append(Sample(f"v{number}", name, -1, name))
    return Index.build("set", "train", root, (), samples)


@pytest.fixture(scope="module")
def pools():
    """Decoding pools of one, two and three processes."""
    made = {workers: DecodePool("sigma_bench.data.load:load_clips", workers) for workers in (1, 2, 3)}
    yield made
    for pool in made.values():
        pool.close()


def loader(index, pool, batch=4, **more):
    def request(row, seed):
        return ClipRequest(str(index.path(row)), "pretraining", frames=4, stride=2, box="random_resized", flip=True,
                           size=16, seed=seed, backend="pyav")  # fmt: skip

    return TrainingLoader(index, pool, request, batch=batch, global_batch=GLOBAL, size=16, seed=3, **more)


def exact(batches):
    return [(b.rows, b.seeds, b.clips.numpy().tobytes()) for b in batches]


def steps(index, pool, world, batch, epoch, first=0, last=None, repeats=1):
    """Return what all ranks together see of each step: clip by clip (row, seeds, bytes)."""
    per_step = GLOBAL // (batch * world)
    seen = []
    parts = [
        list(loader(index, pool, batch, rank=r, world=world, repeats=repeats).epoch(epoch, first * per_step))
        for r in range(world)
    ]
    for step in range(len(parts[0]) // per_step):
        batches = [b for micro in range(step * per_step, (step + 1) * per_step) for b in (p[micro] for p in parts)]
        seen.append([x for b in batches for x in zip(b.rows, b.seeds, map(as_bytes, b.clips), strict=True)])
    return seen[: None if last is None else last - first]


def as_bytes(clip):
    return clip.numpy().tobytes()


def test_the_clips_of_every_step_are_the_same_bytes_for_any_number_of_processes_and_ranks(index, pools):
    whole = [steps(index, pools[1], 1, GLOBAL, epoch) for epoch in (0, 1)]
    assert [len(w) for w in whole] == [2, 2]
    drawn = [x for w in whole for step in w for x in step]
    assert any(seeds[-1] > 0 for _, seeds, _ in drawn), "no replacement among them: the test says less than it should"
    assert len({clip for _, _, clip in drawn}) == len(drawn)
    for workers, world, batch in ((2, 1, 4), (3, 2, 4), (1, 2, 2), (2, 4, 2), (3, 4, 1), (3, 1, 1)):
        for epoch in (0, 1):
            assert steps(index, pools[workers], world, batch, epoch) == whole[epoch], (workers, world, batch)


def test_a_run_may_go_on_with_other_numbers_of_ranks_and_processes_at_a_step(index, pools):
    whole = steps(index, pools[1], 1, GLOBAL, 1)
    begun = steps(index, pools[2], 4, 2, 1, last=1)
    for workers, world, batch in ((3, 1, 4), (1, 2, 4), (2, 2, 2)):
        assert begun + steps(index, pools[workers], world, batch, 1, first=1) == whole


@pytest.mark.parametrize("repeats", [2, 4])
def test_repeats_are_the_same_bytes_for_any_layout_and_go_on_at_any_step(index, pools, repeats):
    whole = steps(index, pools[2], 1, GLOBAL, 0, repeats=repeats)
    assert len(whole) == 18 * repeats // GLOBAL
    assert any(seeds[3] > 0 for step in whole for _, seeds, _ in step), "no replacement among them"
    layouts = [(w, b) for w in (1, 2, 4) for b in (1, 2, 4, 8) if GLOBAL % (w * b) == 0 and b % repeats == 0]
    for (world, batch), workers in zip(layouts, (3, 1, 2) * 3, strict=False):
        assert steps(index, pools[workers], world, batch, 0, repeats=repeats) == whole, (world, batch)
        assert steps(index, pools[workers], world, batch, 0, first=1, repeats=repeats) == whole[1:], (world, batch)


@pytest.mark.parametrize("repeats", [2, 4])
def test_repeats_of_a_video_are_neighbours_of_which_the_first_is_that_of_a_run_without(index, pools, repeats):
    plain = {w: (r, c) for e in (0, 1) for s in steps(index, pools[2], 1, GLOBAL, e) for r, w, c in s}
    shown = [x for step in steps(index, pools[2], 2, 4, 1, repeats=repeats) for x in step]
    videos = [shown[i : i + repeats] for i in range(0, len(shown), repeats)]
    assert len(videos) == 18 * repeats // GLOBAL * GLOBAL // repeats
    for clips in videos:
        row, words, _ = clips[0]
        assert [r for r, _, _ in clips] == [row] * repeats
        assert [w for _, w, _ in clips] == [words, *((*words, k) for k in range(1, repeats))]
    assert len({clip for _, _, clip in shown}) > 0.9 * len(shown)  # crops of their own
    first = {words: (row, clip) for row, words, clip in shown if len(words) == 4}
    both = first.keys() & plain.keys()
    assert len(both) >= 16
    assert all(first[words] == plain[words] for words in both)


@pytest.mark.parametrize("repeats", [1, 2, 4])
def test_any_clips_shown_are_made_again_from_rows_and_seeds(index, pools, repeats):
    batches = list(loader(index, pools[2], 4, repeats=repeats).epoch(1))
    fresh = loader(index, pools[3], 8, repeats=repeats)
    for batch in batches:
        rows, seeds = json.loads(json.dumps([batch.rows, batch.seeds]))
        again = fresh.again(rows, seeds)
        assert (again.rows, again.seeds, again.ids) == (batch.rows, batch.seeds, batch.ids)
        assert torch.equal(again.clips, batch.clips)
        assert batch.ids == [f"v{row}" for row in batch.rows]
    # in another order, across micro-batches, and without some repeats
    every = [x for b in batches for x in zip(b.rows, b.seeds, b.clips, strict=True)][::-3]
    again = fresh.again([r for r, _, _ in every], [w for _, w, _ in every])
    assert torch.equal(again.clips, torch.stack([c for *_, c in every]))
    assert fresh.replaced.draws == 0
    assert not fresh.decoders
    with pytest.raises(UserError, match="v2 cannot be decoded any more"):
        fresh.again([0, 2], [(3, 0, 0, 0), (3, 0, 1, 0)])


@pytest.mark.parametrize(("batch", "repeats"), [(1, 1), (4, 1), (2, 2), (4, 2), (4, 4)])
def test_an_epoch_goes_on_at_any_micro_batch_with_the_same_bytes(index, pools, batch, repeats):
    whole = exact(loader(index, pools[2], batch, repeats=repeats).epoch(0))
    assert len(whole) == 18 * repeats // GLOBAL * GLOBAL // batch
    assert not {row for rows, _, _ in whole for row in rows} & set(BROKEN)
    for offset in (0, 1, 3, len(whole) - 1, len(whole)):
        for workers in (1, 3):
            assert exact(loader(index, pools[workers], batch, repeats=repeats).epoch(0, offset)) == whole[offset:]


def test_replaced_draws_are_counted_as_an_unbroken_run_counts_them(index, pools):
    whole = loader(index, pools[2], 1)
    counted = [whole.replaced.draws for _ in whole.epoch(0)]
    assert counted[-1] > 0
    assert all(a <= b for a, b in pairwise(counted))
    for stop in range(1, len(counted)):
        first = loader(index, pools[2], 1)
        batches = first.epoch(0)
        for _ in range(stop):
            next(batches)
        assert first.replaced.draws == counted[stop - 1]
        second = loader(index, pools[1], 1)
        second.replaced.draws = first.replaced.draws
        second.decoders = first.decoders.copy()
        list(second.epoch(0, stop))
        assert second.replaced.draws == counted[-1]
        assert second.decoders == whole.decoders == {"pyav": len(counted)}


@pytest.mark.parametrize("repeats", [1, 2])
def test_masks_follow_their_draw_not_its_place_in_a_batch(index, pools, repeats):
    masking = TubeMasking(SimpleNamespace(ratio=0.5), SimpleNamespace(grid=(2, 4, 4)))

    def masks(batch, **more):
        return [masking(b.clips, b.seeds) for b in loader(index, pools[1], batch, repeats=repeats, **more).epoch(0)]

    one, two = torch.cat(masks(GLOBAL)), [masks(2, rank=r, world=2) for r in (0, 1)]
    assert torch.equal(one, torch.cat([m for pair in zip(*two, strict=True) for m in pair]))
    assert len({m.numpy().tobytes() for m in one}) > 0.9 * len(one)  # 12,870 masks are possible


def test_a_file_whose_decoder_hangs_is_killed_replaced_and_named(index, monkeypatch):
    root = index.root
    (root / "hangs.avi").write_bytes((root / "v0.avi").read_bytes())
    samples = [Sample(f"v{n}", f"v{n}.avi", -1, f"v{n}") for n in (0, 1, 3, 4, 6, 7, 8)]
    hanging = Index.build("set", "train", root, (), [*samples, Sample("stuck", "hangs.avi", -1, "stuck")])
    monkeypatch.syspath_prepend(str(HERE))
    met = []
    with DecodePool("loader_jobs:load_or_hang", 2, deadline_s=1.5) as pool:
        one = loader(hanging, pool, 4, on_broken=lambda *what: met.append(what))
        rows = [row for b in one.epoch(0) for row in b.rows]
    assert len(rows) == 8
    assert 7 not in rows
    assert met == [("stuck", "deadline of 1.5 s exceeded")]
    assert one.replaced.reasons == dict(met)
    assert one.replaced.draws >= 1
    assert pool.stats.deadlines >= 1


def test_closing_an_epoch_does_not_wait_for_a_file_whose_decoder_hangs(index, monkeypatch):
    root = index.root
    (root / "hangs.avi").write_bytes((root / "v0.avi").read_bytes())
    samples = [Sample(f"v{n}", f"v{n}.avi", -1, f"v{n}") for n in (0, 1, 3, 4, 6, 7, 8)]
    hanging = Index.build("set", "train", root, (), [Sample("stuck", "hangs.avi", -1, "stuck"), *samples])
    monkeypatch.syspath_prepend(str(HERE))
    with DecodePool("loader_jobs:load_or_hang", 1, deadline_s=60) as pool:
        one = loader(hanging, pool, 1)
        order = one.draws.order(0).tolist()
        before = order.index(0)
        assert before > 0
        batches = one.epoch(0)
        assert [next(batches).rows for _ in range(before)] == [[row] for row in order[:before]]
        began = time.monotonic()
        batches.close()
        assert time.monotonic() - began < 5
    assert not [t for t in threading.enumerate() if t.name == "sigma-bench ahead"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("repeats", [1, 2])
def test_clips_made_on_cuda_are_those_of_the_cpu_up_to_rounding(index, pools, repeats):
    one, two = (loader(index, pools[2], 4, repeats=repeats, device=device) for device in ("cpu", "cuda"))
    assert two.device == torch.device("cuda", torch.cuda.current_device())
    for host, device in zip(one.epoch(0), two.epoch(0), strict=True):
        assert (host.rows, host.seeds) == (device.rows, device.seeds)
        assert device.clips.device == two.device
        assert (host.clips.int() - device.clips.cpu().int()).abs().max() <= 1
        assert torch.equal(two.again(device.rows, device.seeds).clips, device.clips)
