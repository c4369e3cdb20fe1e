"""A pass that is killed is gone on with: what was noted is not computed again, and the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench import encoding, feature_journal
from sigma_bench.contracts import Run
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.encoding import Batch, Kind
from sigma_bench.feature_journal import Journal
from sigma_bench.features import Views, extract, extract_all
from sigma_bench.models.checkpoints import load_encoder

VIEWS = Views("dense_test", 1, 1, 1, "full", False, 0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "ucf101"
    write(root, seed=0, groups=8, clips_per_group=1)
    return root


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(encoding, "VIEWS_AT_A_TIME", 4)
    monkeypatch.setattr(feature_journal, "EVERY_S", 0.0)


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 1) as pool:
        yield pool


def run(folder, pool):
    return Run("cpu", 0, None, folder, pool=pool)


class StopsError(RuntimeError):
    pass


def stopping(encoder, after):
    """Let an encoder fail after so many passes."""
    whole, passes = encoder.tokens, []

    def tokens(clips, *given, **more):
        if len(passes) == after:
            raise StopsError
        passes.append(len(clips))
        return whole(clips, *given, **more)

    encoder.tokens = tokens
    return passes


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_a_pass_goes_on_where_it_ended(root, pool, tmp_path, after):
    index = read(root, "train").select(range(18))
    index.path(2).rename(index.path(2).with_suffix(".hidden"))
    try:
        straight = extract(load_encoder("random:nano")[0], index, VIEWS, run(tmp_path / "straight", pool))
        encoder = load_encoder("random:nano")[0]
        stopping(encoder, after)
        with pytest.raises(StopsError):
            extract(encoder, index, VIEWS, run(tmp_path, pool))
        fresh = load_encoder("random:nano")[0]
        passes = stopping(fresh, 99)
        found = extract(fresh, index, VIEWS, run(tmp_path, pool))
    finally:
        index.path(2).with_suffix(".hidden").rename(index.path(2))
    assert len(passes) == 5 - after
    np.testing.assert_array_equal(found.values_NVD, straight.values_NVD)
    np.testing.assert_array_equal(found.ok_N, straight.ok_N)
    assert found.errors == straight.errors
    assert len(found.errors) == 1
    assert found.origin["decoders"] == straight.origin["decoders"]
    (place,) = (path.parent for path in tmp_path.glob("features/*/*/origin.json"))
    assert sorted(path.name for path in place.iterdir()) == ["ok.npy", "origin.json", "values.npy"]
    assert not list(tmp_path.glob("features/*/*.partial"))


def test_a_pass_of_other_kinds_takes_over_only_what_all_have(root, pool, tmp_path):
    index = read(root, "train").select(range(12))
    encoder = load_encoder("random:nano")[0]
    stopping(encoder, 2)
    with pytest.raises(StopsError):
        extract(encoder, index, VIEWS, run(tmp_path, pool), layer=1)
    one, two = extract_all(
        load_encoder("random:nano")[0], index, VIEWS, run(tmp_path, pool), [Kind(0, "mean"), Kind(1, "mean")]
    )
    straight = extract(load_encoder("random:nano")[0], index, VIEWS, run(tmp_path / "straight", pool), layer=1)
    np.testing.assert_array_equal(two.values_NVD, straight.values_NVD)
    assert np.abs(one.values_NVD).sum(axis=(1, 2)).all()


SHAPE = (20, 1, 3)


def journal(folder, world=1, shape=SHAPE):
    return Journal([folder], [shape], [np.float32], 0, world)


def noted(book, first, errors=None):
    book.values[0][first : first + 4] = first
    book.note(Batch(range(first, first + 4), [], []), errors or {})


def test_half_a_line_another_world_and_a_damaged_array_count_for_nothing(tmp_path):
    with journal(tmp_path) as book:
        noted(book, 0, {"a": "broken"})
        noted(book, 8, {"b": "given up: deadline"})
        noted(book, 4)
    with (tmp_path / "journal.0.jsonl").open("a") as stream:
        stream.write('{"first": 12, "sam')
    with journal(tmp_path) as book:
        assert set(book.done) == {0, 4}  # what another attempt might decode is tried again
        assert book.errors == {"a": "broken"}
        assert book.samples == 8
        noted(book, 12)
    with journal(tmp_path) as book:
        assert set(book.done) == {0, 4, 12}
        assert book.values[0][5, 0, 0] == 4
    assert not journal(tmp_path, world=2).done
    with journal(tmp_path) as book:
        noted(book, 0)
    assert not journal(tmp_path, shape=(21, 1, 3)).done
    with journal(tmp_path, shape=(21, 1, 3)) as book:
        noted(book, 0)
    (tmp_path / "values.0.npy").write_bytes((tmp_path / "values.0.npy").read_bytes()[:150])
    assert not journal(tmp_path, shape=(21, 1, 3)).done


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(0, 400))
def test_a_journal_cut_anywhere_names_only_what_was_written(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut")
    with journal(folder) as book:
        for first in (0, 4, 8):
            noted(book, first)
    file = folder / "journal.0.jsonl"
    file.write_bytes(file.read_bytes()[:cut])
    with journal(folder) as book:
        assert set(book.done) <= {0, 4, 8}
        assert list(book.done) == [0, 4, 8][: len(book.done)]
        for first in book.done:
            assert book.values[0][first, 0, 0] == first
    lines = file.read_text().splitlines()
    assert all(json.loads(line) for line in lines)


KILLED = """
import sys
from pathlib import Path
from sigma_bench import encoding, feature_journal
from sigma_bench.contracts import Run
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.features import Views, extract
from sigma_bench.models.checkpoints import load_encoder
encoding.VIEWS_AT_A_TIME, feature_journal.EVERY_S = 4, 0.0
index = read(Path(sys.argv[1]), "train")
views, run = Views("dense_test", 1, 1, 1, "full", False, 0), Run("cpu", 0, None, Path(sys.argv[2]), workers=1)
extract(load_encoder("random:nano")[0], index, views, run)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_loses_a_few_samples_at_most(root, pool, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(root), str(tmp_path)], env={**os.environ})
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = [len(file.read_text().splitlines()) for file in tmp_path.glob("features/*/*.partial/journal.0.jsonl")]
        if found and found[0] > 2:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    index = read(root, "train")
    (left,) = tmp_path.glob("features/*/*.partial/journal.0.jsonl")
    before = len(left.read_text().splitlines()) - 1
    encoder = load_encoder("random:nano")[0]
    passes = stopping(encoder, 99)
    found = extract(encoder, index, VIEWS, run(tmp_path, pool))
    assert len(passes) <= -(-index.count // 4) - before + 1
    straight = extract(load_encoder("random:nano")[0], index, VIEWS, run(tmp_path / "straight", pool))
    np.testing.assert_array_equal(found.values_NVD, straight.values_NVD)
    assert Path(tmp_path).exists()
