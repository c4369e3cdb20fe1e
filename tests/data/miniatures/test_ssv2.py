"""The miniature of Something-Something v2: official files, read by the official reader."""

import json
from collections import Counter
from dataclasses import fields

import av
import numpy as np
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
    numbers = [int(name) for name in (*train.ids, *reader.read(tiny.root, "val").ids)]
    assert numbers != sorted(numbers)
    assert min(numbers[42:]) < max(numbers[:42])  # neither does it tell the split
    assert abs(np.corrcoef(numbers[:42], train.labels)[0, 1]) < 0.4
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


def test_what_happens_is_what_the_template_says_with_an_object_of_its_own(tmp_path, monkeypatch):
    drawn, shown = [], {}

    def render(seen, way, size):
        drawn.append((*seen.object.phase, *seen.background.phase))
        return way

    def encode(path, way, rate):
        shown[path.stem] = way
        path.touch()

    monkeypatch.setattr(ssv2.course, "render", render)
    monkeypatch.setattr(ssv2, "encode", encode)
    root = ssv2.write(tmp_path / "ssv2", train=3, val=2).root
    for split in ("train", "val"):
        index = reader.read(root, split)
        for name, label in zip(index.ids, index.labels, strict=True):
            action = {t.replace("[", "").replace("]", ""): a for t, a in ssv2.CLASSES.items()}[index.classes[label]]
            typical = action.course(ssv2.FRAMES)
            for field in fields(typical):
                found, wanted = (getattr(way, field.name) for way in (shown[name], typical))
                share = np.abs(found).max() / np.abs(wanted).max() if wanted.any() else 1
                assert 0.7 <= share <= 1.3
                assert np.allclose(found, share * wanted, atol=1e-6)
    assert len(set(drawn)) == len(drawn) == len(shown)
