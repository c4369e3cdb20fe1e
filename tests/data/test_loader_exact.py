"""Clips bit by bit: whatever the number of decoding processes and of ranks, and wherever a run goes on."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.load import ClipRequest
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.data.miniatures.video import encode
from sigma_bench.pretrain.objectives import MaskedObjective

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


def steps(index, pool, world, batch, epoch, first=0, last=None):
    """Return what all ranks together see of each step: clip by clip (place in the step, row, seeds, bytes)."""
    per_step = GLOBAL // (batch * world)
    seen = []
    parts = [loader(index, pool, batch, rank=r, world=world).epoch(epoch, first * per_step) for r in range(world)]
    parts = [list(part) for part in parts]
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


@pytest.mark.parametrize("batch", [1, 4])
def test_an_epoch_goes_on_at_any_micro_batch_with_the_same_bytes(index, pools, batch):
    whole = exact(loader(index, pools[2], batch).epoch(0))
    assert len(whole) == 16 // batch
    assert not {row for rows, _, _ in whole for row in rows} & set(BROKEN)
    for offset in (0, 1, 3, len(whole) - 1, len(whole)):
        for workers in (1, 3):
            assert exact(loader(index, pools[workers], batch).epoch(0, offset)) == whole[offset:]


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


def test_masks_follow_their_draw_not_its_place_in_a_batch(index, pools):
    class Objective(MaskedObjective):
        def __init__(self):
            self.recipe = SimpleNamespace(model=SimpleNamespace(grid=(2, 4, 4)), mask=SimpleNamespace(ratio=0.5))

    masks = Objective().masks
    one = torch.cat([masks(b.seeds) for b in loader(index, pools[1], GLOBAL).epoch(0)])
    two = [[masks(b.seeds) for b in loader(index, pools[3], 2, rank=r, world=2).epoch(0)] for r in (0, 1)]
    assert torch.equal(one, torch.cat([m for pair in zip(*two, strict=True) for m in pair]))
    assert len({m.numpy().tobytes() for m in one}) > len(one) // 2


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
