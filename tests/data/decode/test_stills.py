import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.probe import probe
from sigma_bench.data.decode.stills import FrameFolder, Still, numbered, unbroken

Y, X = np.mgrid[:48, :64]
COLOURS = np.stack([X * 3, Y * 4, (X + Y) * 2], axis=-1).astype(np.uint8)


def save(path, pixels=COLOURS, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **how)
    return path


def frames(folder, names, **how):
    for value, name in enumerate(names):
        save(folder / name, np.full((4, 6, 3), 10 * value, np.uint8), **how)
    return folder


def test_a_still_is_a_file_of_one_frame(tmp_path):
    reader = Still(save(tmp_path / "a.png"))
    assert (reader.count, reader.height, reader.width, reader.backend, reader.times) == (1, 48, 64, "pillow", None)
    found = reader.frames([0, 0])
    assert found.dtype == np.uint8
    assert np.array_equal(found, [COLOURS, COLOURS])
    for indices in ([1], [-1], []):
        with pytest.raises(IndexError):
            reader.frames(indices)


def test_kinds_of_pictures_become_rgb_as_pillow_converts_them(tmp_path):
    whole = Image.fromarray(COLOURS)
    for mode, name in (
        ("L", "a.jpg"),
        ("CMYK", "b.jpg"),
        ("P", "c.png"),
        ("RGBA", "d.png"),
        ("LA", "e.png"),
        ("1", "f.png"),
    ):
        path = save(tmp_path / name, whole.convert(mode))
        with Image.open(path) as picture:
            assert picture.mode == mode
            expected = np.asarray(picture.convert("RGB"))
        assert np.array_equal(Still(path).frames([0])[0], expected)
    assert np.ptp(Still(tmp_path / "a.jpg").frames([0]), axis=-1).max() == 0
    assert np.abs(Still(tmp_path / "b.jpg").frames([0])[0].astype(int) - COLOURS).mean() < 3  # not inverted


def test_the_orientation_in_exif_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    reader = Still(save(tmp_path / "a.jpg", exif=exif, quality=100))
    assert (reader.height, reader.width) == (48, 64)
    assert reader.frames([0]).shape == (1, 48, 64, 3)


def test_the_content_says_which_format_it_is(tmp_path):
    save(tmp_path / "a.JPEG", format="PNG")  # one of ImageNet's is
    assert np.array_equal(Still(tmp_path / "a.JPEG").frames([0])[0], COLOURS)
    (tmp_path / "b.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DecodeError, match=r"b\.png: is no picture that can be read \(JPEG, PNG, BMP, WEBP\)"):
        Still(tmp_path / "b.png")
    with pytest.raises(DecodeError, match=r"c\.png: no such file"):
        Still(tmp_path / "c.png")
    (tmp_path / "d.jpg").write_bytes(b"")
    with pytest.raises(DecodeError, match=r"d\.jpg"):
        Still(tmp_path / "d.jpg")


def test_pictures_that_rgb_cannot_hold_are_refused(tmp_path):
    deep = save(tmp_path / "deep.png", (Y * 800).astype(np.uint16))
    with pytest.raises(DecodeError, match="more than 8 bits"):
        Still(deep)
    moving = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    moving[0].save(tmp_path / "moving.webp", save_all=True, append_images=moving[1:])
    with pytest.raises(DecodeError, match="2 pictures"):
        Still(tmp_path / "moving.webp")
    moving[0].save(tmp_path / "camera.jpg", format="MPO", save_all=True, append_images=[moving[1].resize((16, 12))])
    assert Still(tmp_path / "camera.jpg").frames([0]).shape == (1, 48, 64, 3)  # beside it a preview, which is no frame


@pytest.mark.parametrize("side", [9000, 14000])
def test_decompression_bombs_are_refused(tmp_path, side):
    save(tmp_path / "bomb.png", Image.new("1", (side, side)))
    assert (tmp_path / "bomb.png").stat().st_size < 200_000
    with pytest.raises(DecodeError, match=r"bomb\.png: refused: .*pixels"):
        Still(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    "kind",
    [
        {"format": "JPEG"},
        {"format": "JPEG", "progressive": True},
        {"format": "PNG"},
        {"format": "BMP"},
        {"format": "WEBP"},
    ],
    ids=str,
)
def test_a_picture_cut_short_is_an_error_and_never_half_a_picture(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    path = save(tmp_path / "whole.jpg", noise, **kind)
    content, whole = path.read_bytes(), Still(path).frames([0])
    path = tmp_path / "cut.jpg"
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 150)):
        path.write_bytes(content[:length])
        try:
            assert np.array_equal(Still(path).frames([0]), whole)
        except DecodeError:
            refused += 1
    assert refused > 100


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_never_raise_anything_else(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "a.jpg"
    buffer = io.BytesIO()
    Image.fromarray(COLOURS[::4, ::4]).save(buffer, data.draw(st.sampled_from(["JPEG", "PNG", "BMP", "WEBP"])))
    content = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(DecodeError):
        reader = Still(path)
        assert reader.frames([0]).shape == (1, reader.height, reader.width, 3)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["00000.jpg", "00005.jpg", "00010.jpg"], (0, 5, 10)),
        (["AB12C-000001.jpg", "AB12C-000002.jpg"], (1, 2)),
        (["123E4-000000.jpg", "123E4-000001.jpg"], (0, 1)),
        (["image_00009.jpg", "image_00010.jpg"], (9, 10)),
        (["000001.png", "000003.png"], (1, 3)),
        (["9.JPG", "10.JPG", "101.JPG"], (9, 10, 101)),
        (["99999.jpg", "100000.jpg"], (99999, 100000)),
    ],
)
def test_frames_follow_the_numbers_in_their_names(tmp_path, names, numbers):
    reader = FrameFolder(frames(tmp_path, names, format="PNG"))
    assert reader.numbers == numbers
    assert list(numbered(tmp_path).items()) == list(zip(numbers, names, strict=True))
    assert (reader.count, reader.height, reader.width, reader.times) == (len(names), 4, 6, None)
    assert reader.frames(range(len(names)))[:, 0, 0, 0].tolist() == [10 * k for k in range(len(names))]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_any_order_may_be_asked_for(tmp_path_factory, wanted):
    folder = tmp_path_factory.getbasetemp() / "any_order"
    if not folder.exists():
        frames(folder, [f"{5 * n:05d}.png" for n in range(6)])
    assert FrameFolder(folder).frames(wanted)[:, 3, 5, 1].tolist() == [10 * k for k in wanted]


def test_indices_outside_are_refused(tmp_path):
    reader = FrameFolder(frames(tmp_path, ["00000.png", "00005.png"]))
    for indices in ([2], [5], [-1], []):
        with pytest.raises(IndexError):
            reader.frames(indices)


def test_what_is_no_frame_is_left_alone(tmp_path):
    frames(tmp_path, ["image_00001.png"])
    for name in (".DS_Store", "._image_00001.png", ".image_00002.png", "n_frames"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "masks").mkdir()
    assert FrameFolder(tmp_path).numbers == (1,)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["00000.png", "image_00001.png"], r"'image_00001\.png' is not named like 'NUMBER\.png'"),
        (["00000.jpg", "00000.png"], r"'00000\.png' is not named like 'NUMBER\.jpg'"),
        (["A-000001.png", "B-000002.png"], r"'B-000002\.png' is not named like 'A-NUMBER\.png'"),
        (["00001.png", "1.png"], r"'00001\.png' and '1\.png' are both frame 1"),
        (["00001.png", "cover.png"], r"'cover\.png' has no number"),
        ([], "no frame"),
    ],
)
def test_folders_that_are_not_one_video_are_refused(tmp_path, names, words):
    frames(tmp_path, names, format="PNG")
    with pytest.raises(DecodeError, match=words) as caught:
        FrameFolder(tmp_path)
    assert caught.value.path == str(tmp_path)


def test_a_frame_of_another_size_is_named(tmp_path):
    frames(tmp_path, ["00000.png", "00001.png", "00002.png"])
    save(tmp_path / "00001.png", np.zeros((6, 4, 3), np.uint8))
    reader = FrameFolder(tmp_path)
    assert reader.frames([0, 2]).shape == (2, 4, 6, 3)
    with pytest.raises(DecodeError, match=r"'00001\.png' is 4x6, but '00000\.png' is 6x4"):
        reader.frames([0, 1, 2])


def test_a_damaged_frame_is_named_and_the_others_can_be_read(tmp_path):
    folder = tmp_path / "frames"
    frames(folder, [f"{n:05d}.jpg" for n in range(5)])
    content = (folder / "00003.jpg").read_bytes()
    (folder / "00003.jpg").write_bytes(content[: len(content) // 2])
    reader = FrameFolder(folder)
    assert reader.frames([0, 1, 2, 4]).shape == (4, 4, 6, 3)
    with pytest.raises(DecodeError, match=r"'00003\.jpg': the picture is damaged"):
        reader.frames([2, 3])
    [record] = probe([folder], "pyav", workers=1)
    assert not record.ok
    assert (record.count, record.backend) == (5, "pillow")
    assert "00003.jpg" in record.reason


def test_real_frames_are_those_of_the_pictures(shared):
    folder = shared / "real/sequences/car-shadow/JPEGImages"
    reader = FrameFolder(folder)
    assert reader.numbers == tuple(range(0, 40, 2))
    with Image.open(folder / "00014.jpg") as picture:
        assert np.array_equal(reader.frames([7])[0], np.asarray(picture.convert("RGB")))


def test_decoding_videos_does_not_import_pillow():
    code = (
        "import sys; import sigma_bench.data.load, sigma_bench.data.decode.probe\n"
        "sys.exit('PIL' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(first=st.integers(0, 9), step=st.integers(1, 5), count=st.integers(1, 30), data=st.data())
def test_a_folder_lacks_no_frame_or_says_so(tmp_path_factory, first, step, count, data):
    folder = tmp_path_factory.mktemp("frames")
    for number in range(first, first + step * count, step):
        (folder / f"{number:04d}.jpg").touch()
    unbroken(folder)
    if count > 3:
        before = first + step * data.draw(st.integers(0, count - 3))
        (folder / f"{before + step:04d}.jpg").unlink()
        with pytest.raises(
            DecodeError, match=f"frame {before + 2 * step} follows frame {before}, where .* {step} apart"
        ):
            unbroken(folder)
