"""The miniature of Kinetics-400: official lists, class folders, ids that begin with signs."""

from collections import Counter

import av
import pytest

from sigma_bench.data.datasets import k400 as reader
from sigma_bench.data.miniatures import k400


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return k400.write(tmp_path_factory.mktemp("data") / "k400", train=4, val=2)


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    assert reader.splits(tiny.root) == ("train", "val")
    train, val = reader.read(tiny.root, "train"), reader.read(tiny.root, "val")
    assert (train.count, val.count, train.classes) == (48, 24, k400.NAMES)
    assert set(Counter(train.labels.tolist()).values()) == {4}
    assert set(Counter(val.labels.tolist()).values()) == {2}
    assert train.missing() == val.missing() == ()
    assert not set(train.table.column("group").to_pylist()) & set(val.table.column("group").to_pylist())
    for index in (train, val):
        assert [name[0] for name in index.ids[:2]] == ["-", "_"]
    assert (tiny.root / "train" / "massaging_person's_head").is_dir()


def test_the_list_is_the_official_csv(tiny):
    lines = (tiny.root / "validate.csv").read_text().splitlines()
    assert lines[0] == "label,youtube_id,time_start,time_end,split,is_cc"
    assert lines[1].startswith("air drumming,-")
    assert {line.split(",")[-2] for line in lines[1:]} == {"validate"}


def test_every_file_is_as_long_as_the_others(tiny):
    index = reader.read(tiny.root, "val")
    for row in range(0, index.count, 5):
        with av.open(str(index.path(row))) as container:
            assert sum(1 for _ in container.decode(video=0)) == k400.FRAMES


def test_the_same_seed_gives_the_same_bytes(tiny, tmp_path):
    assert k400.write(tmp_path / "again", train=4, val=2).sha256 == tiny.sha256
    assert k400.write(tmp_path / "other", 1, train=4, val=2).sha256 != tiny.sha256
    with pytest.raises(ValueError, match="expected an even size"):
        k400.write(tmp_path / "none", val=0)


def test_what_is_seen_is_what_the_class_says_with_an_object_of_its_own(tmp_path, monkeypatch):
    shown = {}

    def encode(path, seen):
        shown[path.name] = seen
        path.touch()

    monkeypatch.setattr(k400.scene, "render", lambda seen, frames, size: (seen, None))
    monkeypatch.setattr(k400, "encode", encode)
    root = k400.write(tmp_path / "k400", train=8, val=4).root
    went = set()
    for index in (reader.read(root, split) for split in ("train", "val")):
        for row, label in enumerate(index.labels):
            pattern, ways = k400.CLASSES[index.classes[label]]
            seen = shown[index.path(row).name]
            x, y = seen.velocity
            way = ("East" if x > 0 else "West") if abs(x) > abs(y) else "South" if y > 0 else "North"
            assert seen.object.pattern == pattern
            assert way in ways
            went.add((index.classes[label], way, seen.background.pattern))
    assert len(went) == 4 * (2 + 2) * 4  # every way before every background
    drawn = [(*seen.object.phase, *seen.background.phase) for seen in shown.values()]
    assert len(set(drawn)) == len(drawn) == 12 * (8 + 4)
