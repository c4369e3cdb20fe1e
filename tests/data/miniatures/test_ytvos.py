from collections import Counter

import numpy as np
import pytest

from sigma_bench.data import masks
from sigma_bench.data.datasets import ytvos as reader
from sigma_bench.data.datasets.known import is_official
from sigma_bench.data.miniatures import objects, ytvos


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return ytvos.write(tmp_path_factory.mktemp("data") / "ytvos", videos=24, size_px=32)


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, part = (reader.read(tiny.root, split) for split in ("train", "train20"))
    assert (train.count, part.count) == (24, 5)
    assert set(part.ids) < set(train.ids)
    assert train.classes == tuple(sorted(objects.TEXTURES))
    assert reader.splits(tiny.root) == ("train", "train20")
    assert masks.mask_problems(train) == {}
    assert not is_official("ytvos", "train20", 1, part)
    for row in range(train.count):
        numbers = [pair.number for pair in masks.mask_paths(train, row)]
        assert ytvos.LENGTHS[0] <= len(numbers) <= ytvos.LENGTHS[1]
        assert numbers == list(range(0, 5 * len(numbers), 5))


def test_meta_names_exactly_what_the_masks_show(tiny):
    index, meta = reader.read(tiny.root, "train"), reader.meta(tiny.root / "train/meta.json")
    late = later_first = 0
    for row in range(index.count):
        sample = index.sample(row)
        shown: dict[int, list[str]] = {}
        pairs = masks.mask_paths(index, row)
        for pair in pairs:
            for value in np.unique(masks.read_mask(pair.mask, masks.VOID_VALUE["ytvos"])).tolist():
                shown.setdefault(value, []).append(pair.mask.stem)
        shown.pop(0)
        assert {key: set(stems) for key, stems in shown.items()} == {k: f for k, (_, f) in meta[sample.id].items()}
        assert [o.id for o in sample.objects] == sorted(shown)
        late += sum(stems[0] != pairs[0].mask.stem for stems in shown.values())
        later_first += min(shown) > 1
    assert late > 3
    assert later_first == 6


def test_some_videos_show_two_of_one_category_and_categories_are_balanced(tiny):
    index = reader.read(tiny.root, "train")
    labels = [[o.label for o in index.sample(row).objects] for row in range(index.count)]
    assert sum(len(set(video)) < len(video) for video in labels) >= 6
    counts = Counter(label for video in labels for label in video)
    assert set(counts) == set(range(6))
    assert max(counts.values()) <= 2 * min(counts.values())


def test_the_number_of_objects_and_frames_does_not_tell_a_category(tiny):
    index = reader.read(tiny.root, "train")
    sizes: dict[int, set[int]] = {}
    for row in range(index.count):
        objects_of = index.sample(row).objects
        for o in objects_of:
            sizes.setdefault(o.label, set()).add(len(objects_of))
    assert all(len(found) > 1 for found in sizes.values())


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tiny, tmp_path):
    assert ytvos.write(tmp_path / "again", videos=24, size_px=32).sha256 == tiny.sha256
    other = ytvos.write(tmp_path / "other", seed=1, videos=24, size_px=32)
    assert not set(reader.read(other.root, "train").ids) & set(reader.read(tiny.root, "train").ids)
    assert ytvos.write(tiny.root, videos=24, size_px=32).reused
    with pytest.raises(ValueError, match="5 to 9999 videos"):
        ytvos.write(tmp_path / "bad", videos=4)
