import csv

import numpy as np
import pytest
from PIL import Image

from sigma_bench import registry
from sigma_bench.data.datasets import in1k as reader
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.miniatures import in1k, stills
from sigma_bench.data.subsets import class_counts


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return in1k.write(tmp_path_factory.mktemp("data") / "miniature" / "in1k", train=4, val=3)


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, val = (reader.read(tiny.root, split) for split in reader.SPLITS)
    assert train.classes == val.classes == in1k.WNIDS
    assert set(class_counts(train).values()) == {4}
    assert set(class_counts(val).values()) == {3}
    assert train.missing() == val.missing() == val.notes == ()
    assert tiny.files == 12 * 7 + 1
    assert registry.get("miniatures", "in1k") is in1k.write
    assert not any((tiny.root / "val").glob("n*"))  # flat, as in the archive


def test_pictures_show_what_their_class_is_in_any_size(tiny):
    index = reader.read(tiny.root, "train")
    shapes = set()
    for row in range(index.count):
        wnid = index.classes[index.sample(row).label]
        rng = np.random.default_rng((0, 0, in1k.WNIDS.index(wnid), row % 4 + 1))
        height, width = rng.integers(*in1k.SIDES, size=2)
        background = list(stills.TEXTURES)[int(rng.integers(len(stills.TEXTURES)))]
        wanted, _ = stills.render(*in1k.CLASSES[wnid], background, int(height), int(width), rng)
        with Image.open(index.path(row)) as picture:
            assert picture.format == "JPEG"
            got = np.asarray(picture.convert("RGB"))
        assert got.shape == wanted.shape
        assert np.abs(got.astype(int) - wanted).mean() < 5
        shapes.add(got.shape)
    assert len(shapes) > 40


def test_boxes_of_the_list_are_those_of_the_objects(tiny):
    with open(tiny.root / "LOC_val_solution.csv", newline="", encoding="utf-8") as file:
        rows = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(file)}
    assert len(rows) == 36
    for name, (wnid, *box) in rows.items():
        assert wnid in in1k.WNIDS
        with Image.open(tiny.root / "val" / f"{name}.JPEG") as picture:
            x0, y0, x1, y1 = map(int, box)
            assert 0 <= x0 < x1 < picture.width
            assert 0 <= y0 < y1 < picture.height
            assert min(x1 - x0, y1 - y0) > 0.5 * min(picture.size)


def test_the_order_of_val_tells_no_class(tiny):
    labels = reader.read(tiny.root, "val").labels
    assert not np.array_equal(labels, np.sort(labels))
    assert len({tuple(labels[k::12]) for k in range(12)}) > 1
    assert len(set(labels[:12])) < 12  # no cycle of classes either


def test_one_picture_is_a_clip_of_itself(tiny):
    index = reader.read(tiny.root, "val")
    arrays, info = load_clips(ClipRequest(str(index.path(5)), "dense_test", 4, stride=2, box="center"))
    assert (info["count"], info["used"]) == (1, 1)
    assert arrays[0].shape[0] == 4
    assert (arrays[0] == arrays[0][:1]).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny, tmp_path):
    assert in1k.write(tmp_path / "again", train=4, val=3).sha256 == tiny.sha256
    assert in1k.write(tmp_path / "other", seed=1, train=4, val=3).sha256 != tiny.sha256
    assert in1k.write(tiny.root, train=4, val=3).reused


def test_its_classes_are_of_imagenet(shared):
    wnids = (shared / "annotations" / "imagenet" / "imagenet_synsets.txt").read_text().split()
    assert set(in1k.WNIDS) < set(wnids)
    assert list(in1k.WNIDS) == sorted(in1k.WNIDS)


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected at least 1 picture"):
        in1k.write(tmp_path / "x", train=0)
