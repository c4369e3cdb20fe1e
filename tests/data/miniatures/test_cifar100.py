import pickle

import numpy as np
import pytest

from sigma_bench import registry
from sigma_bench.data.datasets import cifar100 as reader
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.miniatures import cifar100, stills
from sigma_bench.data.subsets import class_counts


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return cifar100.write(tmp_path_factory.mktemp("data") / "miniature" / "cifar100", train=2, test=1)


def official(tiny, name):
    """Read a file as the page of CIFAR-100 says to."""
    with open(tiny.root / "cifar-100-python" / name, "rb") as file:
        return pickle.load(file, encoding="bytes")


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, test = (reader.read(tiny.root, split) for split in reader.SPLITS)
    assert train.classes == test.classes == tuple(sorted(cifar100.FINE))
    assert set(class_counts(train).values()) == {2}
    assert set(class_counts(test).values()) == {1}
    assert train.missing() == test.missing() == ()
    assert registry.get("miniatures", "cifar100") is cifar100.write


def test_its_files_are_those_of_python_2(tiny):
    meta, train = official(tiny, "meta"), official(tiny, "train")
    assert list(train) == [b"filenames", b"batch_label", b"fine_labels", b"coarse_labels", b"data"]
    assert train[b"batch_label"] == b"training batch 1 of 1"
    assert (train[b"data"].shape, train[b"data"].dtype) == ((200, 3072), np.uint8)
    assert len(set(train[b"filenames"]) | set(official(tiny, "test")[b"filenames"])) == 300
    assert [len(meta[key]) for key in (b"fine_label_names", b"coarse_label_names")] == [100, 20]
    head = (tiny.root / "cifar-100-python" / "train").read_bytes()[:20]
    assert head.startswith(b"\x80\x02}q\x00(U\tfilenames")


def test_every_coarse_class_has_five_fine_ones(tiny):
    train = official(tiny, "train")
    pairs = set(zip(train[b"coarse_labels"], train[b"fine_labels"], strict=True))
    assert len(pairs) == 100
    assert {sum(coarse == k for coarse, _ in pairs) for k in range(20)} == {5}
    names = official(tiny, "meta")
    for coarse, fine in pairs:
        assert names[b"fine_label_names"][fine].startswith(names[b"coarse_label_names"][coarse] + b"_on_")


def test_rows_show_what_their_label_is_through_the_decoder(tiny):
    index = reader.read(tiny.root, "test")
    order = np.random.default_rng((0, 1)).permutation(100)
    for row in (0, 7, 99):
        sample = index.sample(row)
        coarse, background = cifar100.FINE[index.classes[sample.label]]
        rng = np.random.default_rng((0, 1, int(order[row])))
        wanted, _ = stills.render(*cifar100.COARSE[coarse], background, 32, 32, rng)
        request = ClipRequest(str(index.path(row)), "dense_test", 8, stride=4, start=sample.start, end=sample.end)
        arrays, info = load_clips(request)
        assert info["used"] == 1
        np.testing.assert_array_equal(arrays[0], np.broadcast_to(wanted, (8, 32, 32, 3)))


def test_the_order_tells_no_class(tiny):
    labels = reader.read(tiny.root, "train").labels
    assert len(set(labels[:100])) < 100
    assert not np.array_equal(labels, np.sort(labels))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny, tmp_path):
    assert cifar100.write(tmp_path / "again", train=2, test=1).sha256 == tiny.sha256
    assert cifar100.write(tmp_path / "other", seed=1, train=2, test=1).sha256 != tiny.sha256
    assert cifar100.write(tiny.root, train=2, test=1).reused


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected at least 1 picture"):
        cifar100.write(tmp_path / "x", test=0)
