"""The miniature of Something-Something v2: official files, read by the official reader."""

import json
from collections import Counter

import av
import pytest

from sigma_bench.data.datasets import mini_ssv2
from sigma_bench.data.datasets import ssv2 as reader
from sigma_bench.data.miniatures import ssv2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return ssv2.write(tmp_path_factory.mktemp("data") / "ssv2", train=3, val=1)


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, val, test = (reader.read(tiny.root, split) for split in reader.SPLITS)
    assert (train.count, val.count, test.count) == (42, 14, 14)
    assert set(Counter(train.labels.tolist()).values()) == {3}
    assert set(val.labels.tolist()) == set(range(14))
    assert set(test.labels.tolist()) == {-1}
    assert train.missing() == val.missing() == test.missing() == ()
    ids = [*train.ids, *val.ids, *test.ids]
    assert len(set(ids)) == len(ids) == tiny.files - 4
    assert train.classes == tuple(sorted(name.replace("[", "").replace("]", "") for name in ssv2.CLASSES))
    assert mini_ssv2.read(tiny.root, "train").count == 28


def test_lists_are_of_the_official_form(tiny):
    labels = json.loads((tiny.root / "something-something-v2-labels.json").read_text())
    assert list(labels.values()) == [str(k) for k in range(14)]
    assert list(labels) == sorted(labels)
    entry = json.loads((tiny.root / "something-something-v2-train.json").read_text())[0]
    assert list(entry) == ["id", "label", "template", "placeholders"]
    assert "[something]" in entry["template"]
    assert entry["placeholders"][0] in entry["label"]
    assert all(list(e) == ["id"] for e in json.loads((tiny.root / "something-something-v2-test.json").read_text()))


def test_no_number_no_length_and_no_order_tells_the_label(tiny):
    train = reader.read(tiny.root, "train")
    assert max(Counter((int(i) > 35, label) for i, label in zip(train.ids, train.labels, strict=True)).values()) < 4
    assert train.labels.tolist() != sorted(train.labels.tolist())
    for row in range(0, train.count, 8):
        with av.open(str(train.path(row))) as container:
            assert container.streams.video[0].average_rate == ssv2.RATE
            assert sum(1 for _ in container.decode(video=0)) == ssv2.FRAMES


def test_the_same_seed_gives_the_same_bytes(tiny, tmp_path):
    assert ssv2.write(tmp_path / "again", train=3, val=1).sha256 == tiny.sha256
    assert ssv2.write(tmp_path / "other", 1, train=3, val=1).sha256 != tiny.sha256
    with pytest.raises(ValueError, match="expected an even size"):
        ssv2.write(tmp_path / "odd", size_px=17)
