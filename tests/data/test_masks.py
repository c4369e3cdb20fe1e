"""Masks: what a file may be, what 255 means, mapping all ids at once, pairing with frames."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data import masks
from sigma_bench.data.index import Index, Object, Sample

PALETTE = np.random.default_rng(0).permutation(256)[:, None] + np.zeros((1, 3), int)
IDS = np.array([[0, 1, 2, 7], [254, 255, 3, 0]], dtype=np.uint8)


def palette_png(path, ids, **options):
    picture = Image.fromarray(np.asarray(ids, dtype=np.uint8), mode="P")
    picture.putpalette(PALETTE.astype(np.uint8).tobytes())
    picture.save(path, "PNG", **options)
    return path


def raw_png(colour, bits, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, len(rows), bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_palette_is_read_by_index_whatever_its_colours(tmp_path):
    path = palette_png(tmp_path / "a.png", IDS)
    read = masks.read_mask(path, void=None)
    assert (read.dtype, read.tolist()) == (np.uint8, IDS.tolist())
    assert np.array(Image.open(path).convert("L")).tolist() != IDS.tolist()
    read[0, 0] = 9  # it may be written to


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palettes_of_few_bits_and_with_transparency_are_read(tmp_path, bits):
    ids = np.arange(2**bits, dtype=np.uint8)[None]
    assert masks.read_mask(palette_png(tmp_path / "a.png", ids, bits=bits)).tolist() == ids.tolist()
    palette_png(tmp_path / "b.png", ids, bits=bits, transparency=0)
    assert masks.read_mask(tmp_path / "b.png").tolist() == ids.tolist()


def test_grey_values_and_single_bits_are_ids(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "grey.png")
    assert masks.read_mask(tmp_path / "grey.png").tolist() == IDS.tolist()
    Image.fromarray(IDS == 1).save(tmp_path / "bit.png")
    assert masks.read_mask(tmp_path / "bit.png").tolist() == (IDS == 1).astype(int).tolist()


def test_the_data_set_says_what_255_means(tmp_path):
    binary = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    Image.fromarray(binary).save(tmp_path / "a.png")
    assert masks.read_mask(tmp_path / "a.png", void=255).tolist() == [[0, masks.VOID], [masks.VOID, 0]]
    object_one = masks.remap(masks.read_mask(tmp_path / "a.png", void=None), masks.BINARY)
    assert object_one.tolist() == [[0, 1], [1, 0]]
    assert set(masks.VOID_VALUE) == {"davis", "davis_unsupervised", "ytvos"}


def test_another_void_value_becomes_void_and_must_not_meet_255(tmp_path):
    palette_png(tmp_path / "a.png", [[0, 9, 1]])
    assert masks.read_mask(tmp_path / "a.png", void=9).tolist() == [[0, masks.VOID, 1]]
    palette_png(tmp_path / "b.png", [[0, 9, 255]])
    with pytest.raises(UserError, match=r"b.png: holds 255 as an id, while void is 9"):
        masks.read_mask(tmp_path / "b.png", void=9)
    with pytest.raises(ValueError, match="void is 0"):
        masks.read_mask(tmp_path / "a.png", void=0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_colours_and_sixteen_bits_are_refused(tmp_path, mode):
    dtype = np.uint16 if mode == "I;16" else np.uint8
    picture = Image.fromarray(IDS.astype(dtype)) if mode == "I;16" else Image.fromarray(IDS).convert(mode)
    picture.save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a.png: .* of (8|16) bits; expected a palette PNG"):
        masks.read_mask(tmp_path / "a.png")


@pytest.mark.parametrize(("bits", "row"), [(2, b"\x90"), (4, b"\x12")])
def test_grey_of_few_bits_which_the_library_scales_is_refused(tmp_path, bits, row):
    content = raw_png(0, bits, [row])
    assert np.array(Image.open(io.BytesIO(content))).max() > 15  # 1 and 2 were stored
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=f"grey of {bits} bits"):
        masks.read_mask(tmp_path / "a.png")


def test_absent_foreign_and_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none.png: no such mask"):
        masks.read_mask(tmp_path / "none.png")
    Image.fromarray(IDS).save(tmp_path / "a.png", "JPEG")
    with pytest.raises(UserError, match=r"a.png: not a PNG file"):
        masks.read_mask(tmp_path / "a.png")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_file_cut_short_or_changed_is_taken_for_a_mask(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("png")
    whole = palette_png(folder / "a.png", np.arange(64, dtype=np.uint8).reshape(8, 8)).read_bytes()
    end = len(whole) - 4  # of all but the check sum of the end mark, which holds nothing
    (folder / "cut.png").write_bytes(whole[: data.draw(st.integers(0, end - 1))])
    with pytest.raises(UserError, match=r"cut\.png"):
        masks.read_mask(folder / "cut.png")
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, end - 9))] ^= data.draw(st.integers(1, 255))  # any byte before the end mark
    (folder / "changed.png").write_bytes(changed)
    with pytest.raises(UserError, match=r"changed\.png"):
        masks.read_mask(folder / "changed.png")


@given(st.dictionaries(st.integers(0, 255), st.integers(0, 255), min_size=1), st.data())
def test_remapping_is_the_naive_map_of_every_pixel(entries, data):
    ids = data.draw(st.lists(st.sampled_from(sorted(entries)), min_size=1, max_size=30))
    mapped = masks.remap(np.array([ids], dtype=np.uint8), masks.lookup(entries))
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == [[entries[i] for i in ids]]


def test_a_chain_of_entries_is_not_followed():
    assert masks.remap(np.array([0, 1, 2, 3], np.uint8), masks.lookup({0: 0, 1: 2, 2: 3, 3: 1})).tolist() == [
        0,
        2,
        3,
        1,
    ]


def test_ids_without_an_entry_are_refused_or_become_what_was_said():
    mask = np.array([[0, 4, 9]], np.uint8)
    with pytest.raises(UserError, match=r"00005.png: holds the ids 4, 9, .* expected 0, 1"):
        masks.remap(mask, masks.lookup({0: 0, 1: 1}), "00005.png")
    assert masks.remap(mask, masks.lookup({0: 0, 4: 1}, others=masks.VOID)).tolist() == [[0, 1, 255]]
    with pytest.raises(ValueError, match="entry 1 -> 300"):
        masks.lookup({1: 300})


def test_instances_of_a_category_merge_and_its_id_is_its_rank_from_one():
    table = masks.category_lookup((Object(1, 3), Object(2, 0), Object(5, 3)))
    assert masks.remap(np.array([0, 1, 2, 5], np.uint8), table).tolist() == [0, 4, 1, 4]
    with pytest.raises(UserError, match="holds the ids 255"):
        masks.remap(np.array([255], np.uint8), table)
    kept = masks.category_lookup((Object(1, 3),), void=255)
    assert masks.remap(np.array([255, 1], np.uint8), kept).tolist() == [255, 4]
    with pytest.raises(ValueError, match="object 2 has no category"):
        masks.category_lookup((Object(1, 0), Object(2, -1)))


def folders(tmp_path, frames, pictures):
    for place, names in (("F/a", frames), ("M/a", pictures)):
        (tmp_path / place).mkdir(parents=True)
        for name in names:
            (tmp_path / place / name).touch()
    return Index.build("davis", "val", tmp_path, (), [Sample("a", "F/a", -1, "a", masks="M/a")])


def test_masks_are_paired_by_name_and_placed_among_all_frames(tmp_path):
    index = folders(tmp_path, [f"{n:05d}.jpg" for n in range(20)], ["00005.png", "00015.png", "00000.png", ".x.png"])
    found = masks.mask_paths(index, 0)
    assert [(a.position, a.number) for a in found] == [(0, 0), (5, 5), (15, 15)]
    assert [(a.frame.name, a.mask.name) for a in found][1] == ("00005.jpg", "00005.png")


def test_the_position_is_the_place_in_the_folder_not_the_number(tmp_path):
    index = folders(tmp_path, ["00010.jpg", "00100.jpg", "00105.jpg"], ["00105.png"])
    assert [(a.position, a.number) for a in masks.mask_paths(index, 0)] == [(2, 105)]


@pytest.mark.parametrize(
    ("frames", "pictures", "message"),
    [
        (["00000.jpg"], ["00000.png", "00001.png"], r"M/a/00001.png: has no frame .* \(1 of 2 masks"),
        (["00000.jpg"], ["0.png"], r"M/a/0.png: has no frame"),
        (["00000.jpg"], [], "M/a: no mask of 'a'"),
        (["00000.jpg"], ["00000.png", "mask.png"], "'mask.png' has no number"),
    ],
)
def test_folders_that_do_not_fit_are_refused(tmp_path, frames, pictures, message):
    with pytest.raises(UserError, match=message):
        masks.mask_paths(folders(tmp_path, frames, pictures), 0)


def test_a_data_set_without_masks_is_refused(tmp_path):
    index = Index.build("k400", "val", tmp_path, ("c",), [Sample("a", "a.mp4", 0, "a")])
    with pytest.raises(UserError, match="k400/val: 'a' has no masks"):
        masks.mask_paths(index, 0)


def test_torch_is_not_imported():
    code = "import sys; import sigma_bench.data.masks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("sequence", "count", "ids"),
    [
        ("schoolgirls", 80, set(range(8))),
        ("road", 5, {0, 1, 2}),
        ("bmx-trees_480p", 1, {0, 1, 2}),
        ("car-shadow", 20, {0, 255}),
    ],
)
def test_real_masks_hold_ids(shared, sequence, count, ids):
    paths = sorted((shared / "real/sequences" / sequence / "Annotations").glob("*.png"))
    assert len(paths) == count
    found = {int(i) for p in paths[:: max(1, count // 8)] for i in np.unique(masks.read_mask(p, void=None))}
    assert found == ids


def test_a_real_binary_mask_is_an_object_only_where_the_data_set_says_so(shared):
    path = shared / "real/sequences/car-shadow/Annotations/00000.png"
    assert set(np.unique(masks.read_mask(path)).tolist()) == {0, masks.VOID}
    car = masks.remap(masks.read_mask(path, void=None), masks.BINARY)
    assert set(np.unique(car).tolist()) == {0, 1}
    assert 0.01 < car.mean() < 0.5
