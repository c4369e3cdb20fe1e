"""The folder of features keeps to its bound: the least recently used go, what is in use stays."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench import feature_cache
from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.feature_cache import BOUND, alone, make_room, settled
from sigma_bench.features import Views, extract
from sigma_bench.models.checkpoints import load_encoder


def entry(folder: Path, key: str, size: int, age: float) -> Path:
    place = folder / key[:2] / key
    place.mkdir(parents=True)
    (place / "values.npy").write_bytes(bytes(size))
    (place / "origin.json").write_text("{}")
    when = time.time() - age
    os.utime(place / "origin.json", (when, when))
    return place


def there(folder: Path) -> set[str]:
    return {place.name for place in folder.glob("??/*") if place.is_dir()}


@pytest.fixture
def three(tmp_path, monkeypatch):
    monkeypatch.setenv(BOUND, str(3500 / 1e9))
    return [entry(tmp_path, key, 1000, age) for key, age in (("aa1", 10), ("aa2", 30), ("bb3", 20))]


def test_the_least_recently_used_go_first_and_only_as_many_as_must(three, tmp_path, capsys):
    make_room(tmp_path, 400, keep=[tmp_path / "cc/cc9"])
    assert there(tmp_path) == {"aa1", "aa2", "bb3"}
    assert capsys.readouterr().err == ""
    make_room(tmp_path, 1000, keep=[tmp_path / "cc/cc9"])
    assert there(tmp_path) == {"aa1", "bb3"}
    assert "deleted 0.00 GB of features not used for longest" in capsys.readouterr().err
    feature_cache.used(three[2])
    make_room(tmp_path, 2000, keep=[tmp_path / "cc/cc9"])
    assert there(tmp_path) == {"bb3"}


def test_what_another_holds_and_what_is_being_made_stay(three, tmp_path, capsys):
    with FileLock(f"{three[1]}.lock"):
        make_room(tmp_path, 3000, keep=[three[0]])
        assert there(tmp_path) == {"aa1", "aa2"}
    assert "features; SIGMA_BENCH_FEATURES_GB is" in capsys.readouterr().err


def test_what_a_killed_process_left_goes_like_an_entry_and_what_one_fills_now_stays(three, tmp_path):
    for name, age in (("dd1.partial", 90), ("dd2.partial", 95), ("dd3.dropped", 0), ("aa1.partial", 99)):
        (tmp_path / name[:2]).mkdir(exist_ok=True)
        (tmp_path / name[:2] / name).mkdir()
        file = tmp_path / name[:2] / name / "values.0.npy"
        file.write_bytes(bytes(100))
        os.utime(file, (time.time() - age,) * 2)
    with FileLock(tmp_path / "dd/dd2.lock"):
        make_room(tmp_path, 0, keep=[three[0]])
        assert there(tmp_path) == {"aa1", "aa2", "bb3", "dd1.partial", "dd2.partial", "aa1.partial"}
        make_room(tmp_path, 1350, keep=[three[0]])
        assert there(tmp_path) == {"aa1", "aa2", "bb3", "dd2.partial", "aa1.partial"}
    make_room(tmp_path, 2400, keep=[three[0]])
    assert there(tmp_path) == {"aa1", "bb3", "aa1.partial"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 100)), max_size=8), st.integers(0, 4000))
def test_the_bound_is_kept_and_no_used_entry_goes_before_an_older_one(tmp_path_factory, entries, needed):
    folder = tmp_path_factory.mktemp("features")
    made = [entry(folder, f"{n:02d}x", size, age) for n, (size, age) in enumerate(entries)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BOUND, str(5000 / 1e9))
        make_room(folder, needed, keep=[folder / "zz/zz"])
    kept = [age for place, (_, age) in zip(made, entries, strict=True) if place.exists()]
    gone = [age for place, (_, age) in zip(made, entries, strict=True) if not place.exists()]
    assert max(kept, default=0) <= min(gone, default=100)
    assert needed + sum(f.stat().st_size for f in folder.glob("??/*/*")) <= 5000


@pytest.mark.parametrize("text", ["much", "-1", "nan"])
def test_a_bound_that_is_no_number_is_refused(monkeypatch, text):
    monkeypatch.setenv(BOUND, text)
    with pytest.raises(UserError, match=f"{BOUND}={text}: expected a number of gigabytes"):
        feature_cache.bound()


def test_the_bound_is_generous_unless_it_is_set(monkeypatch):
    monkeypatch.delenv(BOUND, raising=False)
    assert feature_cache.bound() == 500e9
    monkeypatch.setenv(BOUND, "2.5")
    assert feature_cache.bound() == 2.5e9


def test_an_entry_that_says_it_is_of_other_weights_is_not_used(tmp_path):
    place = tmp_path / "aa/aa1"
    place.mkdir(parents=True)
    (place / "origin.json").write_text(json.dumps({"given_up": [], "weights": "a", "views": {"clips": 1}}))
    assert settled(place, {"weights": "a", "views": {"clips": 1}})
    assert not settled(place, {"weights": "b", "views": {"clips": 1}})
    assert not settled(place, {"weights": "a", "views": {"clips": 2}})
    assert not settled(tmp_path / "none", {})


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "ucf101"
    write(root, seed=0, groups=8, clips_per_group=1)
    return root


def test_features_outlive_their_entry_and_are_computed_again_when_asked(root, tmp_path, monkeypatch):
    monkeypatch.setenv(BOUND, "0")
    index, encoder, run = read(root, "train").select(range(4)), load_encoder("random:nano")[0], _run(tmp_path)
    first = extract(encoder, index, VIEWS, run)
    second = extract(encoder, index.select([1, 2]), VIEWS, run)
    assert len(there(tmp_path / "features")) == 1
    again = extract(encoder, index, VIEWS, run)
    assert not again.origin["cached"]
    assert extract(encoder, index, VIEWS, run).origin["cached"]
    np.testing.assert_array_equal(first.values_NVD, again.values_NVD)
    np.testing.assert_allclose(second.values_NVD, first.values_NVD[1:3], atol=1e-5)
    assert isinstance(first.values_NVD, np.memmap)


VIEWS = Views("dense_test", 1, 1, 1, "full", False, 0)


def _run(folder: Path) -> Run:
    return Run("cpu", 0, None, folder, workers=1)


def _work(root: str, folder: str, number: int, results: "multiprocessing.Queue[object]") -> None:
    os.environ[BOUND] = "0"
    index, encoder = read(Path(root), "train"), load_encoder("random:nano")[0]
    found = {}
    for turn in range(4):
        rows = tuple(range((turn + number) % 3, 4 + (turn + number) % 3))
        found[rows] = np.array(extract(encoder, index.select(rows), VIEWS, _run(Path(folder))).values_NVD)
    results.put(found)


def test_two_processes_that_delete_each_others_entries_get_right_features(root, tmp_path):
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[dict[tuple[int, ...], np.ndarray]] = context.Queue()
    workers = [context.Process(target=_work, args=(str(root), str(tmp_path), n, results)) for n in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    index, encoder = read(root, "train"), load_encoder("random:nano")[0]
    for one in found:
        assert len(one) == 3
        for rows, values in one.items():
            whole = extract(encoder, index.select(rows), VIEWS, _run(tmp_path / "apart")).values_NVD
            np.testing.assert_array_equal(values, whole)


def test_the_lock_of_an_entry_makes_its_folder(tmp_path):
    with alone(tmp_path / "aa/aa1"):
        assert (tmp_path / "aa/aa1.lock").exists()
