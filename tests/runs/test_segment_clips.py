"""Frames and masks of a clip: drawn in order, each mask with its frame, ids as the rules of their data set say."""

import shutil

import numpy as np
import pytest
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data import masks
from sigma_bench.data.datasets import ytvos as reader
from sigma_bench.data.miniatures import davis, ytvos
from sigma_bench.runs.segment_clips import read_clip
from sigma_bench.runs.sequences import of_path, sequences


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    davis.write(folder / "davis", train=1, val=2)
    ytvos.write(folder / "ytvos", videos=6)
    return folder


def made(folder, frames=12, masked=range(12), values=(0, 1, 2), size=(6, 8)):
    """Write a folder of frames whose colour is their number, with masks whose upper left pixel is."""
    for number in range(frames):
        (folder / "JPEGImages").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 8, 3), 20 * number, np.uint8)).save(folder / f"JPEGImages/{number:05d}.png")
    for number in masked:
        (folder / "Annotations").mkdir(exist_ok=True)
        mask = np.resize(np.array(values, np.uint8), size)
        Image.fromarray(mask).save(folder / f"Annotations/{number:05d}.png")
    return of_path(folder)


def test_frames_are_drawn_in_order_without_repetition_by_seed_and_name(root):
    one, other = sequences("davis", data_root=root)
    drawn = read_clip(one, 16, 0)
    assert len(drawn.indices) == len(set(drawn.indices)) == 16
    assert drawn.indices == sorted(drawn.indices)
    assert read_clip(one, 16, 0).indices == drawn.indices
    assert read_clip(one, 16, 1).indices != drawn.indices
    assert read_clip(other, 16, 0).indices != drawn.indices
    for index, frame, mask in zip(drawn.indices, drawn.frames, drawn.masks, strict=True):
        with Image.open(one.media / f"{index:05d}.jpg") as picture:
            assert np.array_equal(frame, np.asarray(picture.convert("RGB")))
        assert np.array_equal(mask, masks.read_mask(one.masks / f"{index:05d}.png"))
    assert drawn.ids == sorted({int(i) for mask in drawn.masks for i in np.unique(mask)})


def test_categories_stand_for_the_objects_of_a_data_set_that_has_them(root):
    index = reader.read(root / "ytvos", "train")
    for one in sequences("ytvos", "train", root):
        clip = read_clip(one, 4, 0)
        labels = {o.label + 1 for o in index.sample(index.ids.index(one.name)).objects}
        assert set(clip.ids) <= {0, *labels}
        assert all(index_ % 5 == 0 for index_ in _numbers(one, clip))  # every fifth frame is annotated


def _numbers(one, clip):
    numbers = [number for number, _ in masks.listed(one.media).values()]
    return [numbers[place] for place in clip.indices]


def test_frames_with_masks_are_drawn_where_there_are_enough(tmp_path):
    clip = read_clip(made(tmp_path / "a", masked=range(0, 12, 2)), 5, 0)
    assert all(index % 2 == 0 for index in clip.indices)
    assert all(mask is not None for mask in clip.masks)
    few = read_clip(made(tmp_path / "b", masked=[3]), 12, 0)
    assert few.indices == list(range(12))
    assert [mask is not None for mask in few.masks] == [n == 3 for n in range(12)]
    assert few.has_masks
    none = read_clip(made(tmp_path / "c", masked=[]), 4, 0)
    assert (none.has_masks, none.ids) == (False, [])


def test_a_short_video_repeats_frames_in_order(tmp_path):
    clip = read_clip(made(tmp_path / "a", frames=3, masked=range(3)), 16, 0)
    assert len(clip.indices) == 16
    assert clip.indices == sorted(clip.indices)
    assert set(clip.indices) <= {0, 1, 2}
    assert [int(frame[0, 0, 0]) for frame in clip.frames] == [20 * index for index in clip.indices]


@pytest.mark.parametrize(
    ("values", "ids"), [((0, 255), [0, 1]), ((0, 1, 255), [0, 1]), ((0, 3), [0, 3]), ((255,), [1]), ((0,), [0])]
)
def test_the_255_of_a_folder_is_void_unless_it_is_the_one_object(tmp_path, values, ids):
    assert read_clip(made(tmp_path / "a", values=values), 4, 0).ids == ids


def test_a_video_beside_masks_has_them_by_number(shared, tmp_path):
    source = shared / "real/sequences/schoolgirls"
    (tmp_path / "s/Annotations").mkdir(parents=True)
    shutil.copy(source / "schoolgirls.mp4", tmp_path / "s")
    for number in (3, 40, 79):
        shutil.copy(source / f"Annotations/{number:05d}.png", tmp_path / "s/Annotations")
    clip = read_clip(of_path(tmp_path / "s"), 3, 0)
    assert clip.indices == [3, 40, 79]
    assert [np.array_equal(m, masks.read_mask(source / f"Annotations/{n:05d}.png")) for n, m in
            zip(clip.indices, clip.masks, strict=True)] == [True] * 3  # fmt: skip
    shutil.copy(source / "Annotations/00003.png", tmp_path / "s/Annotations/00080.png")
    with pytest.raises(UserError, match=r"00080.png: belongs to no frame of .*schoolgirls.mp4, which has 80"):
        read_clip(of_path(tmp_path / "s"), 3, 0)


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Annotations/000\d\d.png: is 9x7, its frame 8x6"):
        read_clip(made(tmp_path / "a", size=(7, 9)), 4, 0)
    one = made(tmp_path / "b")
    (tmp_path / "b/JPEGImages/00011.png").unlink()
    with pytest.raises(UserError, match=r"Annotations/00011.png: belongs to no frame of .*JPEGImages, which has 11"):
        read_clip(one, 4, 0)
    one = made(tmp_path / "c")
    (tmp_path / "c/Annotations/00000.png").write_bytes(b"")
    with pytest.raises(UserError, match="not a PNG file"):
        read_clip(one, 12, 0)
    one = made(tmp_path / "d")
    (tmp_path / "d/JPEGImages/00005.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"00005.png"):
        read_clip(one, 12, 0)
