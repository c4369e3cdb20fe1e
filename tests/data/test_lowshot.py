"""The low-shot subsets of SEVERE: the released rule, row for row."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data import lowshot
from sigma_bench.data.datasets import finegym, ucf101
from sigma_bench.data.datasets.known import is_official
from sigma_bench.data.index import Index, Sample


@pytest.mark.parametrize("size", [35, 50, 70])
def test_the_rule_selects_the_same_rows_in_the_same_order(golden, size):
    with np.load(golden / "low_shot_subset.npz") as stored:
        assert lowshot.pick(stored["labels"], size).tolist() == stored[f"pick_{size}"].tolist()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_each_class_gives_its_share_or_all_it_has(labels, size, seed):
    labels = np.asarray(labels)
    rows = lowshot.pick(labels, size, seed)
    share = -(-size // len(set(labels.tolist())))
    assert len(set(rows.tolist())) == len(rows)
    assert (np.diff(labels[rows]) >= 0).all()
    for label in np.unique(labels):
        assert (labels[rows] == label).sum() == min(share, (labels == label).sum())


def toy(labels):
    samples = [Sample(f"c{i}", f"c{i}.avi", label, f"c{i}") for i, label in enumerate(labels)]
    return Index.build("toy", "train", Path("nowhere"), ("a", "b", "c"), samples)


def test_a_subset_keeps_the_order_of_selection_and_is_named_by_its_draw():
    index = toy([0, 1, 2] * 20)
    first, again, other = lowshot.subset(index, 10), lowshot.subset(index, 10), lowshot.subset(index, 10, seed=12345)
    assert (first.name, first.split, first.count) == ("toy_10", "train", 12)
    assert first.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert first.sha256 == again.sha256
    assert other.name == "toy_10_seed12345"
    assert other.sha256 != first.sha256


def test_absent_files_of_one_class_would_change_the_draws_of_the_next():
    labels = [0, 1, 2] * 20
    whole = lowshot.subset(toy(labels), 12)
    present = [row for row, label in enumerate(labels) if label or row < 24]
    after = lowshot.subset(toy(labels).select(present), 12)
    assert whole.labels.tolist() == after.labels.tolist()
    assert whole.ids[4:] != after.ids[4:]


@pytest.mark.parametrize(
    ("labels", "size", "seed", "message"),
    [
        ([], 10, 0, "needs labelled samples"),
        ([0, -1], 10, 0, "needs labelled samples"),
        ([0, 1], 0, 0, "subset of 0 samples"),
        ([0, 1], 10, -1, "seed -1"),
        ([0, 1], 10, 2**32, "seed 4294967296"),
    ],
)
def test_what_cannot_be_drawn_is_refused(labels, size, seed, message):
    with pytest.raises(UserError, match=message):
        lowshot.subset(toy(labels), size, seed)


def test_pick_refuses_nothing_and_no_size():
    with pytest.raises(ValueError, match="no labels"):
        lowshot.pick(np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match="size is 0"):
        lowshot.pick(np.zeros(3, dtype=int), 0)


def published(path):
    rows = [line.rsplit(" ", 1) for line in path.read_text().splitlines()]
    return [name for name, _ in rows], [int(label) for _, label in rows]


def test_ucf_1000_is_the_published_list(shared, tmp_path):
    (tmp_path / "UCF-101").mkdir()
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    official = shared / "annotations" / "ucf101"
    shutil.copy(official / "classInd.txt", lists)
    (lists / "trainlist01.txt").write_bytes(gzip.decompress((official / "trainlist01.txt.gz").read_bytes()))
    drawn = lowshot.subset(ucf101.read(tmp_path, "train"))
    paths, labels = published(shared / "annotations" / "lowshot" / "ucf101_split1_1000_train.txt")
    assert len(paths) == 1010
    assert drawn.table.column("path").to_pylist() == paths
    assert drawn.labels.tolist() == labels
    assert is_official("ucf101_1000", "train", 1, drawn)
    assert len(drawn.missing()) == 1010


def test_gym_1000_is_the_published_list(shared, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "AAAAAAAAAAA.mp4").touch()
    times = shared / "annotations" / "finegym" / "event_annotation.json.gz"
    (tmp_path / "event_annotation.json").write_bytes(gzip.decompress(times.read_bytes()))
    official = shared / "annotations" / "finegym" / "gym99_train.txt.gz"
    (tmp_path / "gym99_train.txt").write_bytes(gzip.decompress(official.read_bytes()))
    index = finegym.gym99(tmp_path, "train")
    drawn = lowshot.subset(index)
    ids, labels = published(shared / "annotations" / "lowshot" / "gym99_1000_train.txt")
    assert len(ids) == 1089
    assert list(drawn.ids) == ids
    assert drawn.labels.tolist() == labels
    assert is_official("gym99_1000", "train", 1, drawn)
    assert not is_official("gym99_1000", "train", 1, lowshot.subset(index, seed=19))
