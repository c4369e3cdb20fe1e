import csv
from collections import Counter

import av
import numpy as np
import pytest

from sigma_bench.data.datasets import ucf101 as reader
from sigma_bench.data.miniatures import scene, ucf101
from sigma_bench.data.subsets import class_counts, relabel


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return ucf101.write(tmp_path_factory.mktemp("data") / "miniature" / "ucf101", groups=8, clips_per_group=1)


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def tubes(frames):
    cut = frames[:8].astype(np.float64).reshape(4, 2, 4, 8, 4, 8, 3).transpose(0, 2, 4, 1, 3, 5, 6).reshape(64, 128, 3)
    return (cut - cut.mean(1, keepdims=True)) / (cut.std(1, ddof=1, keepdims=True) + 1e-6)


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    for fold in (1, 2, 3):
        train, test = (reader.read(tiny.root, split, fold=fold) for split in ("train", "test"))
        assert (train.count, test.count) == (32 * 6, 32 * 2)
        assert set(class_counts(train).values()) == {6}
        assert set(class_counts(test).values()) == {2}
        assert train.missing() == test.missing() == ()
        assert not set(train.ids) & set(test.ids)
    assert train.classes == tuple(sorted(ucf101.CLASSES))
    assert tiny.files == 32 * 8 + 7 + 1


def test_files_show_what_the_scene_is(tiny):
    index = reader.read(tiny.root, "train")
    errors = []
    for row in range(0, index.count, 16):
        sample = index.sample(row)
        group, clip = int(sample.id[-6:-4]), int(sample.id[-2:])
        name = index.classes[sample.label]
        background = ucf101._backgrounds(0, sample.label, 8)[group - 1]
        rng = np.random.default_rng((0, sample.label, group, clip))
        wanted, _ = scene.render(scene.draw(*ucf101.CLASSES[name], background, rng), ucf101.FRAMES, 32)
        got = decoded(index.path(row))
        assert got.shape == wanted.shape == (10, 32, 32, 3)
        assert np.abs(got.astype(int) - wanted).mean() < 6
        errors.append(np.square(tubes(got) - tubes(wanted)).mean())
    assert np.mean(errors) < 0.03  # of the normalised targets, whose variance is 1


def test_factors_relabel_the_same_files(tiny):
    index = reader.read(tiny.root, "train")
    for column, names in (("category", scene.PATTERNS), ("motion", scene.DIRECTIONS), ("scene", scene.PATTERNS)):
        other = relabel(index, tiny.root / ucf101.FACTORS, column)
        assert other.classes == tuple(sorted(names))
        if column != "scene":
            for label, own in zip(other.labels, index.labels, strict=True):
                assert other.classes[label].lower() in index.classes[own].lower()


def test_factors_are_independent():
    rows = [
        (name, background)
        for label, name in enumerate(sorted(ucf101.CLASSES))
        for background in ucf101._backgrounds(0, label, 25)
    ]
    assert set(Counter(b for _, b in rows).values()) == {200}
    assert max(Counter(rows).values()) == 7
    assert min(Counter(rows).values()) == 6


def test_the_same_seed_gives_the_same_bytes(tiny, tmp_path):
    again = ucf101.write(tmp_path / "other", groups=8, clips_per_group=1)
    assert not again.reused
    assert again.sha256 == tiny.sha256
    assert ucf101.write(tiny.root, groups=8, clips_per_group=1).reused


def test_another_seed_or_size_gives_other_files(tiny, tmp_path):
    other = ucf101.write(tmp_path / "mini", seed=1, groups=4, clips_per_group=1, size_px=16)
    assert other.files == 32 * 4 + 8
    index = reader.read(other.root, "test")
    assert decoded(index.path(0)).shape == (10, 16, 16, 3)
    with open(other.root / "factors.csv", newline="", encoding="utf-8") as file:
        mine = [row["scene"] for row in csv.DictReader(file)]
    assert mine[:8] != [b for k in (0, 1) for b in ucf101._backgrounds(0, k, 4)]


@pytest.mark.parametrize("setting", [{"groups": 3}, {"size_px": 33}, {"clips_per_group": 0}])
def test_settings_out_of_range_are_refused(tmp_path, setting):
    with pytest.raises(ValueError, match="expected an even size"):
        ucf101.write(tmp_path / "mini", **setting)
