import numpy as np
import pytest
from PIL import Image

from sigma_bench.data import masks
from sigma_bench.data.datasets import davis as reader
from sigma_bench.data.miniatures import davis


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return davis.write(tmp_path_factory.mktemp("data") / "davis", train=4, val=3, size_px=32)


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, val = (reader.read(tiny.root, split) for split in ("train", "val"))
    assert (train.count, val.count) == (4, 3)
    assert not set(train.ids) & set(val.ids)
    assert reader.splits(tiny.root) == ("train", "val")
    lengths = set()
    for index in (train, val, reader.unsupervised(tiny.root, "val")):
        assert masks.mask_problems(index) == {}
        assert index.missing() == ()
        for row in range(index.count):
            pairs = masks.mask_paths(index, row)
            assert [p.position for p in pairs] == [p.number for p in pairs] == list(range(len(pairs)))
            lengths.add(len(pairs))
    assert davis.LENGTHS[0] <= min(lengths) < max(lengths) <= davis.LENGTHS[1]


def test_sequences_have_one_to_three_objects_numbered_from_one(tiny):
    counts = []
    for split in ("train", "val"):
        index = reader.read(tiny.root, split)
        for row in range(index.count):
            found = {int(i) for p in masks.mask_paths(index, row) for i in np.unique(masks.read_mask(p.mask))}
            counts.append(len(found) - 1)
            assert found == set(range(len(found)))
    assert set(counts) == {1, 2, 3}


def test_masks_have_the_palette_of_davis(tiny):
    path = masks.mask_paths(reader.read(tiny.root, "val"), 0)[0].mask
    with Image.open(path) as picture:
        assert picture.mode == "P"
        colours = picture.getpalette()
    assert colours[:15] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]
    assert colours[27:30] == [191, 0, 0]
    assert colours[66:69] == [22, 22, 22]
    assert colours[-3:] == [255, 255, 255]


def test_the_palette_is_that_of_real_masks(tiny, shared):
    path = masks.mask_paths(reader.read(tiny.root, "val"), 0)[0].mask
    real = shared / "real/sequences/schoolgirls/Annotations/00000.png"
    with Image.open(path) as mine, Image.open(real) as theirs:
        assert mine.getpalette() == theirs.getpalette()


def test_rims_are_void_in_the_unsupervised_edition_alone(tiny):
    plain, rims = reader.read(tiny.root, "val"), reader.unsupervised(tiny.root, "val")
    for row in range(plain.count):
        a = masks.read_mask(masks.mask_paths(plain, row)[5].mask)
        b = masks.read_mask(masks.mask_paths(rims, row)[5].mask)
        judged = b != masks.VOID
        assert masks.VOID not in a
        assert np.array_equal(a[judged], b[judged])
        assert (a[~judged] > 0).all()
        assert 0 < (~judged).mean() < 0.2


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tiny, tmp_path):
    assert davis.write(tmp_path / "again", train=4, val=3, size_px=32).sha256 == tiny.sha256
    assert davis.write(tmp_path / "other", seed=1, train=4, val=3, size_px=32).sha256 != tiny.sha256
    assert davis.write(tiny.root, train=4, val=3, size_px=32).reused
    with pytest.raises(ValueError, match="expected at least 16"):
        davis.write(tmp_path / "bad", val=0)


def test_ids_do_not_tell_depth(tmp_path, monkeypatch):
    def render(group, frames, size):
        seen = np.zeros((frames, size, size), np.uint8)
        for thing in range(1, len(group.things) + 1):
            seen[:, :, 5 * thing : 5 * thing + 5] = thing
        return np.zeros((frames, size, size, 3), np.uint8), seen

    monkeypatch.setattr(davis.objects, "render", render)
    index = reader.read(davis.write(tmp_path / "davis", train=15, val=1, size_px=32).root, "train")
    first = [masks.read_mask(masks.mask_paths(index, row)[0].mask) for row in range(index.count)]
    ids = [mask[0, 5:20:5].tolist() for mask in first]
    assert {tuple(sorted(found)) for found in ids} == {(0, 0, 1), (0, 1, 2), (1, 2, 3)}
    assert len({tuple(found) for found in ids}) > 4
