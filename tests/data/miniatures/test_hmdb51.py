"""The miniature of HMDB51: three folds of 70 to 30, unused clips, awkward names, no film on both sides."""

from collections import Counter
from dataclasses import fields

import av
import numpy as np
import pytest

from sigma_bench.data.datasets import hmdb51 as reader
from sigma_bench.data.miniatures import hmdb51


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return hmdb51.write(tmp_path_factory.mktemp("data") / "hmdb51", clips=1)


@pytest.mark.parametrize("fold", reader.FOLDS)
def test_the_reader_of_the_real_data_set_reads_it(tiny, fold):
    train, test = (reader.read(tiny.root, split, fold=fold) for split in ("train", "test"))
    assert (train.count, test.count, train.classes) == (140, 60, tuple(hmdb51.CLASSES))
    assert set(Counter(train.labels.tolist()).values()) == {14}
    assert set(Counter(test.labels.tolist()).values()) == {6}
    assert train.missing() == test.missing() == ()
    films = [set(index.table.column("group").to_pylist()) for index in (train, test)]
    assert [len(of) for of in films] == [14, 6]
    assert not films[0] & films[1]


def test_no_clip_is_tested_twice(tiny):
    tested = [name for fold in reader.FOLDS for name in reader.read(tiny.root, "test", fold=fold).ids]
    assert len(set(tested)) == len(tested) == 180


def test_split_files_are_of_the_official_form(tiny):
    lines = (tiny.root / hmdb51.LISTS / "wave_test_split1.txt").read_bytes().decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 23
    assert all(line.endswith((" 0 ", " 1 ", " 2 ")) for line in lines)
    assert lines == sorted(lines)
    assert set("!&#[]()") <= set("".join(lines))


def test_every_file_is_as_long_as_the_others(tiny):
    index = reader.read(tiny.root, "test")
    for row in range(0, index.count, 7):
        with av.open(str(index.path(row))) as container:
            assert sum(1 for _ in container.decode(video=0)) == hmdb51.FRAMES


def test_the_same_seed_gives_the_same_bytes(tiny, tmp_path):
    assert hmdb51.write(tmp_path / "again", clips=1).sha256 == tiny.sha256
    assert hmdb51.write(tmp_path / "other", 1, clips=1).sha256 != tiny.sha256
    with pytest.raises(ValueError, match="1 to 9 clips"):
        hmdb51.write(tmp_path / "none", clips=10)


def test_what_happens_is_what_the_class_says_with_an_object_of_its_own(tmp_path, monkeypatch):
    drawn, shown, sides = [], {}, set()

    def render(seen, way, size):
        drawn.append((*seen.object.phase, *seen.background.phase))
        return way

    def encode(path, way, rate):
        shown[path.name] = way
        path.touch()

    monkeypatch.setattr(hmdb51.course, "render", render)
    monkeypatch.setattr(hmdb51, "encode", encode)
    root = hmdb51.write(tmp_path / "hmdb51", clips=1).root
    for index in (reader.read(root, split) for split in ("train", "test")):
        for row, label in enumerate(index.labels):
            typical = hmdb51.CLASSES[index.classes[label]].course(hmdb51.FRAMES)
            for field in fields(typical):
                found, wanted = (getattr(way, field.name) for way in (shown[index.path(row).name], typical))
                share = (found @ wanted) / (wanted @ wanted) if wanted.any() else 1
                assert 0.7 <= abs(share) <= 1.3
                assert np.allclose(found, share * wanted, atol=1e-6)
                sides.add((field.name, share > 0))
    assert len(set(drawn)) == len(drawn) == len(shown)
    assert {name for name, forward in sides if not forward} == {"x", "turn"}
