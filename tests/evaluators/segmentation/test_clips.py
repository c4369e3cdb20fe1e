"""Which frames are drawn, and what masks may hold."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import davis, ytvos
from sigma_bench.data.index import Index, Object, Sample
from sigma_bench.data.miniatures.pictures import write_mask
from sigma_bench.evaluators.segmentation import clips
from tests.evaluators.segmentation.made import MASKS, scene, write_list, write_sequence

SETTINGS = SimpleNamespace(mask_size=224, void="ignored", categories="lookup")
BINARY = SimpleNamespace(mask_size=224, void="id", categories="lookup")


def drawn(index, row, seed=0, frames=4, shown=4):
    return clips.draw(index, row, frames=frames, shown=shown, seed=seed, must=clips.expected(index))


@pytest.fixture
def root(tmp_path):
    write_sequence(tmp_path, "long", scene(2), frames=30)
    write_sequence(tmp_path, "short", scene(1), frames=3)
    write_sequence(tmp_path, "few", scene(2), frames=20, masked=range(0, 20, 5))
    write_list(tmp_path, ["long", "short", "few"])
    return tmp_path


def test_frames_depend_on_seed_and_name_alone(root):
    index = davis.read(root, "val")
    rows = {name: row for row, name in enumerate(index.ids)}
    found = drawn(index, rows["long"])
    assert len(set(found.positions)) == 4
    assert list(found.positions) == sorted(found.positions)
    assert (found.annotated, found.lacking) == (30, 0)
    alone = index.select([rows["long"]])
    assert drawn(alone, 0).positions == found.positions
    assert {drawn(alone, 0, seed=seed).positions for seed in range(5)} != {found.positions}


def test_an_encoder_of_fewer_frames_is_shown_some_of_the_same(root):
    index = davis.read(root, "val").select([1])
    whole, half = drawn(index, 0, frames=8, shown=8).positions, drawn(index, 0, frames=8, shown=4).positions
    assert half == whole[::2]


def test_short_videos_repeat_frames_and_only_frames_with_masks_are_drawn(root):
    index = davis.read(root, "val")
    rows = {name: row for row, name in enumerate(index.ids)}
    short = drawn(index, rows["short"], frames=8, shown=8)
    assert len(short.positions) == 8
    assert set(short.positions) <= {0, 1, 2}
    few = drawn(index, rows["few"])
    assert few.positions == (0, 5, 10, 15)
    assert (few.annotated, few.lacking) == (4, 16)


def test_masks_are_brought_to_their_size_by_the_middle_of_a_cell(root):
    index = davis.read(root, "val").select([1])
    ids = clips.truth(index, 0, drawn(index, 0), SETTINGS)
    assert ids.shape == (4, 224, 224)
    expected = np.asarray(Image.fromarray(scene(2)).resize((224, 224), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(ids[0], expected)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), r"00000\.png: the PNG file is damaged"),
        (lambda path: Image.new("RGB", (96, 64)).save(path), r"00000\.png: RGB of 8 bits; expected a palette PNG"),
        (lambda path: write_mask(path, scene(2, (32, 48))), r"00000\.png: is 48x32, its frame 96x64"),
        (lambda path: path.with_name("00099.png").write_bytes(path.read_bytes()), r"00099\.png: has no frame of that"),
        (lambda path: shutil.rmtree(path.parent), "no mask of 'short'"),
        (lambda path: path.write_text("no picture"), r"00000\.png: not a PNG file"),
    ],
)
def test_damaged_masks_are_named(root, damage, said):
    index = davis.read(root, "val")
    row = index.ids.index("short")
    damage(root / MASKS / "short" / "00000.png")
    with pytest.raises(UserError, match=said):
        clips.truth(index, row, drawn(index, row, frames=30, shown=30), SETTINGS)


def test_an_unreadable_frame_is_named(root):
    index = davis.read(root, "val")
    row = index.ids.index("short")
    (index.path(row) / "00001.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"00001\.jpg: the frame cannot be read"):
        clips.truth(index, row, drawn(index, row, frames=30, shown=30), SETTINGS)


def test_binary_masks_are_refused_where_255_is_void(tmp_path):
    write_sequence(tmp_path, "binary", np.where(scene(1) == 1, 255, 0).astype(np.uint8))
    write_list(tmp_path, ["binary"])
    index = davis.read(tmp_path, "val")
    found = drawn(index, 0)
    with pytest.raises(UserError, match=r"binary/0000\d\.png: 255 is void in davis, .* --set segmentation\.void=id"):
        clips.truth(index, 0, found, SETTINGS)
    ids = clips.truth(index, 0, found, BINARY)
    assert np.unique(ids).tolist() == [0, 255]
    assert clips.void_of(index, BINARY) is None
    assert clips.clusters(ids, "ids", None) == 2


def test_void_is_no_id(tmp_path):
    ids = scene(2)
    ids[20:24] = 255
    write_sequence(tmp_path, "void", ids)
    write_list(tmp_path, ["void"])
    index = davis.read(tmp_path, "val")
    held = clips.truth(index, 0, drawn(index, 0), SETTINGS)
    void = clips.void_of(index, SETTINGS)
    assert void == 255
    assert (held == 255).any()
    assert [clips.clusters(held, wanted, void) for wanted in ("ids", "objects", 6)] == [3, 2, 6]
    assert clips.clusters(held, "ids", None) == 4
    assert clips.clusters(np.zeros((1, 4, 4), np.uint8), "objects", void) == 1


def test_objects_get_the_numbers_of_their_categories_all_at_once(tmp_path):
    write_sequence(tmp_path, "v", scene(2))
    shutil.move(tmp_path / "JPEGImages/480p/v", tmp_path / "frames")
    shutil.move(tmp_path / MASKS / "v", tmp_path / "masks")
    sample = Sample("v", "frames", -1, "v", masks="masks", objects=(Object(1, 1), Object(2, 0)))
    index = Index.build("ytvos", "train20", tmp_path, ("ape", "bear"), [sample])
    found = clips.draw(index, 0, frames=4, shown=4, seed=0, must={"v": frozenset()})
    ids = clips.truth(index, 0, found, SETTINGS)
    first, second = (np.asarray(Image.fromarray(scene(2) == n).resize((224, 224), 0)) for n in (1, 2))
    assert (np.unique(ids[0][first]), np.unique(ids[0][second])) == ([2], [1])
    released = SimpleNamespace(mask_size=224, void="id", categories="in_place")
    ids = clips.truth(index, 0, found, released)  # 1 becomes 2, and then all of 2 becomes 1
    assert np.unique(ids).tolist() == [0, 1]
    stranger = Index.build("ytvos", "x", tmp_path, ("ape",), [sample._replace(objects=(Object(1, 0),))])
    for settings, said in ((SETTINGS, "holds the ids 2, for which"), (released, "holds the id 2, for which")):
        with pytest.raises(UserError, match=said):
            clips.truth(stranger, 0, found, settings)


def test_frames_that_meta_names_must_have_masks(tmp_path):
    from sigma_bench.data.miniatures.ytvos import write

    write(tmp_path / "ytvos", videos=5, size_px=16)
    index = ytvos.read(tmp_path / "ytvos", "train")
    assert drawn(index, 0).lacking == 0
    masks = sorted((index.root / index.sample(0).masks).iterdir())
    masks[2].unlink()
    assert drawn(index, 0).lacking == 1
