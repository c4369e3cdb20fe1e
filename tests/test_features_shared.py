"""Features computed by several processes are those of one, bit by bit, and none of them can spoil the cache."""

import json
import shutil
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributed import HashStore

from sigma_bench import encoding, features
from sigma_bench.contracts import EncoderSpec, Run, Tokens, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.data.ranks import OtherFailed, Ranks
from sigma_bench.features import Helpers, Views, contribute, extract
from sigma_bench.models.fingerprint import fingerprint

VIEWS = Views("dense_train", 2, 1, 1, "random_resized", True, 7)


class Mixed(nn.Module):
    """Tokens that depend on what else stands in the batch, as a matrix product's last bits may."""

    spec = EncoderSpec("test", "none", 3, 1, 1, 2, 8, 8, 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 3, False)

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), weight))

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        B = len(clips)
        tubes = clips.view(B, 3, 4, 2, 4, 8, 4, 8).mean((3, 5, 7)).permute(0, 2, 3, 4, 1)
        return Tokens(tubes * self.weight + clips.mean() + B, None)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Twenty clips, two of which are damaged."""
    root = tmp_path_factory.mktemp("data") / "ucf101"
    write(root, seed=0, groups=8, clips_per_group=1)
    found = read(root, "train").select(range(20))
    found.path(3).write_bytes(b"")
    found.path(12).write_bytes(b"no video")
    return found


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(encoding, "VIEWS_AT_A_TIME", 6)


def shared(index, folder, pool, world, encoders=None, precisions=("fp32",) * 9):
    """Extract with `world` processes, each in a thread; return the features of the first, or raise as it does."""
    store, encoder = HashStore(), Mixed()
    encoders = encoders or [encoder] * world

    def help_out(rank):
        ranks = Ranks(rank, world, store)
        run = Run("cpu", 0, None, Path(), pool=pool, precision=precisions[rank])
        while (message := ranks.receive())["do"] != "end":
            try:
                ranks.together(lambda message=message: contribute(encoders[rank], message, run, ranks))
            except (UserError, OtherFailed):
                continue

    first = Ranks(0, world, store)
    helpers = [threading.Thread(target=help_out, args=(rank,)) for rank in range(1, world)]
    for thread in helpers:
        thread.start()
    run = Run("cpu", 0, None, folder, pool=pool, helpers=Helpers(first, fingerprint(encoder)))
    try:
        return extract(encoders[0], index, VIEWS, run)
    finally:
        first.send({"do": "end"})
        for thread in helpers:
            thread.join(30)
        assert not any(thread.is_alive() for thread in helpers), "a process hangs"


def entry(folder):
    (place,) = (path.parent for path in folder.glob("features/*/*/origin.json"))
    return place


@given(st.integers(0, 200), st.integers(1, 20), st.integers(1, 9))
def test_every_row_is_dealt_to_one_process_in_whole_batches(count, views, world):
    dealt = [features._rows(count, replace(VIEWS, clips=views), rank, world) for rank in range(world)]
    assert sorted(row for rows in dealt for row in rows) == list(range(count))
    size = encoding.batch_size(replace(VIEWS, clips=views))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= size
    owner = {row: rank for rank, rows in enumerate(dealt) for row in rows}
    assert all(owner[row] == owner[row - row % size] for row in range(count))
    assert all(rows == sorted(rows) for rows in dealt)


def test_any_number_of_processes_gives_the_same_bytes(index, pool, tmp_path):
    one = extract(Mixed(), index, VIEWS, Run("cpu", 0, None, tmp_path / "1", pool=pool))
    assert (one.ok_N.sum(), list(one.errors)) == (18, [index.ids[3], index.ids[12]])
    for world in (2, 3, 9):  # seven batches: of nine processes two have nothing to do
        many = shared(index, tmp_path / str(world), pool, world)
        assert not many.origin["cached"]
        for name in ("values.npy", "ok.npy"):
            assert (entry(tmp_path / str(world)) / name).read_bytes() == (entry(tmp_path / "1") / name).read_bytes()
        lasting = [{k: v for k, v in found.origin.items() if k not in ("seconds", "cached")} for found in (one, many)]
        assert lasting[0] == lasting[1]
        assert list(many.errors) == list(one.errors)
        assert sorted(path.name for path in entry(tmp_path / str(world)).iterdir()) == [
            "ok.npy",
            "origin.json",
            "values.npy",
        ]


def test_what_is_in_the_cache_needs_no_helpers_and_another_encoder_has_none(index, pool, tmp_path):
    shared(index, tmp_path, pool, 2)
    assert shared(index, tmp_path, pool, 3).origin["cached"]
    other = Mixed(2.0)
    found = shared(index, tmp_path / "other", pool, 2, [other, Mixed()])  # trained for the task, say: nobody has it
    np.testing.assert_array_equal(
        found.values_NVD, extract(other, index, VIEWS, Run("cpu", 0, None, tmp_path / "x", pool=pool)).values_NVD
    )


def test_a_helper_with_other_weights_spoils_nothing(index, pool, tmp_path):
    with pytest.raises(OtherFailed, match="process 1 of 2 failed: UserError: not what process 0 has: weights "):
        shared(index, tmp_path, pool, 2, [Mixed(), Mixed(2.0)])
    assert not list(tmp_path.glob("features/*/*/origin.json"))
    assert shared(index, tmp_path, pool, 2).ok_N.sum() == 18


def test_a_helper_that_would_compute_otherwise_spoils_nothing(index, pool, tmp_path):
    with pytest.raises(OtherFailed, match=r"process 2 of 3 .* precision bf16 \(process 0: fp32\). All need the same"):
        shared(index, tmp_path, pool, 3, precisions=("fp32", "fp32", "bf16"))
    assert not list(tmp_path.glob("features/*/*/origin.json"))


def by_hand(listed, folder, pool, **other):
    """Ask `contribute` as process 0 would, with something changed."""
    run = Run("cpu", 0, None, folder, pool=pool)
    kind = features.Kind(0, "mean")
    wanted = features._of(features._common(Mixed(), listed, features.Asked(VIEWS, True, (kind,)), run), kind)
    message = {
        "do": "features",
        "folders": [str(folder)],
        "kinds": [asdict(kind)],
        "root": str(listed.root),
        "wanted": {**wanted, **other},
    }
    with pa.ipc.new_file(folder / features.SAMPLES, listed.table.schema) as file:
        file.write_table(listed.table)
    return contribute(Mixed(), message, run, Ranks(1, 2, HashStore()))


@pytest.mark.parametrize(
    "other", [{"decoder": "x 1"}, {"pictures": "x 1"}, {"torch": "1.0"}, {"device": "cuda"}, {"version": 0}, {"new": 1}]
)
def test_a_helper_of_other_versions_or_another_device_takes_no_part(index, pool, tmp_path, other):
    assert by_hand(index, tmp_path, pool)["decoders"]
    ((name, value),) = other.items()
    (tmp_path / "values.1.npy").unlink()
    (tmp_path / "journal.1.jsonl").unlink()
    with pytest.raises(UserError, match=rf"not what process 0 has: {name} .*\(process 0: {value}\)"):
        by_hand(index, tmp_path, pool, **other)
    assert not (tmp_path / "values.1.npy").exists()


def test_a_helper_that_does_not_see_the_files_of_process_0_takes_no_part(index, pool, tmp_path):
    elsewhere = replace(index, root=tmp_path)  # as on a machine where nothing is mounted there
    wanted = features.content_sha256(index)
    with pytest.raises(UserError, match=f"not what process 0 has: index .*process 0: {wanted}"):
        by_hand(elsewhere, tmp_path, pool, index=wanted)
    message = {"folders": [str(tmp_path / "other")], "root": str(index.root), "wanted": {}}
    with pytest.raises(UserError, match="other: not seen by this process; --out must be a folder that all see"):
        contribute(Mixed(), message, Run("cpu", 0, None, tmp_path, pool=pool), Ranks(1, 2, HashStore()))


def test_a_file_whose_decoder_hangs_is_given_up_counted_and_tried_again(index, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "data"))
    root = tmp_path / "clips"
    shutil.copytree(index.root, root)
    listed = replace(index.select(range(3)), root=root)
    (root / "hangs.avi").write_bytes(listed.path(1).read_bytes())
    column = listed.table.column_names.index("path")
    paths = listed.table["path"].to_pylist()
    paths[1] = "hangs.avi"
    listed = replace(listed, table=listed.table.set_column(column, listed.table.schema.field(column), [paths]))
    with DecodePool("loader_jobs:load_or_hang", 2, deadline_s=1.5) as pool:
        found = extract(Mixed(), listed, VIEWS, Run("cpu", 0, None, tmp_path, pool=pool))
        assert pool.stats.deadlines == 1
    assert found.ok_N.tolist() == [True, False, True]
    assert found.errors == {index.ids[1]: "given up: deadline of 1.5 s exceeded"}
    assert json.loads((entry(tmp_path) / "origin.json").read_text())["given_up"] == [index.ids[1]]
    again = extract(Mixed(), listed, VIEWS, Run("cpu", 0, None, tmp_path, workers=2))
    assert not again.origin["cached"]
    assert again.ok_N.all()
    assert extract(Mixed(), listed, VIEWS, Run("cpu", 0, None, tmp_path, workers=2)).origin["cached"]
    assert "loader_jobs" not in sys.modules
