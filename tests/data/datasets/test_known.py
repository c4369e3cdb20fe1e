"""The published lists are told from others by their hash."""

import gzip
import shutil

import pytest

from sigma_bench import registry
from sigma_bench.data.datasets.known import COUNTS, LEAST, LISTS, is_official, taken_for_official
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.index import Index


@pytest.fixture
def ucf101(shared, tmp_path):
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (tmp_path / "UCF-101").mkdir()
    shutil.copy(shared / "annotations/ucf101/classInd.txt", lists)
    for packed in (shared / "annotations/ucf101").glob("*.gz"):
        (lists / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


@pytest.mark.parametrize(("split", "fold"), [(s, f) for name, s, f in LISTS if name == "ucf101"])
def test_the_published_lists_are_recognised_and_nothing_less(ucf101, split, fold):
    index = read(ucf101, split, fold=fold)
    assert is_official("ucf101", split, fold, index)
    assert not is_official("ucf101", split, fold % 3 + 1, index)
    assert not is_official("ucf101", split, fold, index.select(range(index.count - 1)))
    assert not is_official("another", split, fold, index)


def test_a_list_is_known_by_its_hash_or_by_its_count_alone_and_of_a_registered_reader():
    assert not set(COUNTS) & set(LISTS)
    assert {name for name, _, _ in COUNTS} <= set(registry.names("datasets"))
    assert COUNTS["in1k", "train", 1] == 1281167
    assert not any(is_official(*key, Index.build(key[0], key[1], ".", (), ())) for key in COUNTS)


def of(count: int) -> Index:
    return Index.build("x", "x", ".", ["a"], [(str(n), f"{n}.avi", 0, "g") for n in range(count)])


def test_without_a_hash_the_number_of_samples_tells_and_the_row_says_so(monkeypatch):
    monkeypatch.setitem(COUNTS, ("in1k", "train", 1), 30)
    monkeypatch.setitem(LEAST, ("k400", "train", 1), 20)
    assert "30 samples, not by a hash" in str(taken_for_official("in1k", "train", 1, of(30)))
    assert taken_for_official("in1k", "train", 1, of(29)) is None
    assert "25 samples, of a list that differs" in str(taken_for_official("k400", "train", 1, of(25)))
    assert taken_for_official("k400", "train", 1, of(19)) is None
    assert taken_for_official("another", "train", 1, of(30)) is None
    count, digest = 30, of(30).sha256
    monkeypatch.setitem(LISTS, ("k400", "val", 1), (count, digest))
    assert taken_for_official("k400", "val", 1, of(30)) == ""
    assert taken_for_official("k400", "val", 1, of(31)) is None  # a hash is at hand: nothing else will do
