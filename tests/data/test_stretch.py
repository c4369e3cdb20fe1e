"""Stretches of videos: every frame, letterboxed, within bounds, and what becomes of bad ones."""

import numpy as np
import pytest
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data import stretch
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.miniatures.video import encode
from sigma_bench.data.stretch import StretchRequest, letterbox, load_stretch


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("stretch") / "a video.avi"
    frames = np.zeros((12, 24, 32, 3), np.uint8)
    frames[:, :, :] = (np.arange(12) * 20)[:, None, None, None]
    encode(path, frames, 25)
    return path


def _greys(frames):
    return frames[:, 8:-8, 8:-8].mean((1, 2, 3))


@pytest.mark.parametrize(("start", "end"), [(None, None), (3, 9), (0, 1), (11, 12)])
def test_every_frame_of_the_stretch_is_there(video, start, end):
    (frames,), info = load_stretch(StretchRequest(str(video), 32, start, end))
    first, last = start or 0, end or 12
    assert frames.shape == (last - first, 32, 32, 3)
    assert _greys(frames) == pytest.approx(np.arange(first, last) * 20, abs=4)
    assert (info["count"], info["cut"]) == (12, False)


def test_frames_decoded_in_chunks_are_the_same(video, monkeypatch):
    request = StretchRequest(str(video), 16, 2, 12)
    (whole,), _ = load_stretch(request)
    monkeypatch.setattr(stretch, "CHUNK", 24 * 32 * 3 * 3)
    (parts,), _ = load_stretch(request)
    assert np.array_equal(whole, parts)


def test_a_stretch_that_passes_the_files_end_is_cut_and_says_so(video):
    (frames,), info = load_stretch(StretchRequest(str(video), 16, 8, 30))
    assert len(frames) == 4
    assert info["cut"]


def test_a_stretch_after_the_files_end_and_a_damaged_file_are_errors(video, tmp_path):
    with pytest.raises(UserError, match="which has 12"):
        load_stretch(StretchRequest(str(video), 16, 12, 30))
    (tmp_path / "bad.avi").write_bytes(b"no video")
    with pytest.raises(DecodeError):
        load_stretch(StretchRequest(str(tmp_path / "bad.avi"), 16))


@pytest.mark.parametrize(
    ("height", "width", "size", "rows", "columns"),
    [
        (240, 320, 112, (14, 98), (0, 112)),
        (320, 240, 112, (0, 112), (14, 98)),
        (64, 64, 64, (0, 64), (0, 64)),
        (64, 64, 32, (0, 32), (0, 32)),
        (90, 160, 112, (24, 87), (0, 112)),  # 63 rows, 24 black above, 25 below
        (1, 500, 32, (15, 16), (0, 32)),
    ],
)
def test_the_longer_side_fills_the_square_and_the_rest_is_black(height, width, size, rows, columns):
    into = np.zeros((size, size, 3), np.uint8)
    letterbox(np.full((height, width, 3), 200, np.uint8), into)
    wanted = np.zeros_like(into)
    wanted[slice(*rows), slice(*columns)] = 200
    assert np.array_equal(into, wanted)


def test_resizing_is_pillows_bilinear():
    frame = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    into = np.zeros((20, 20, 3), np.uint8)
    letterbox(frame, into)
    assert np.array_equal(into[2:17], np.asarray(Image.fromarray(frame).resize((20, 15), Image.BILINEAR)))


def test_a_folder_that_lacks_frames_is_refused_where_the_list_counts_frames(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 41):
        if number not in (10, 11, 12):
            Image.new("RGB", (32, 24), (number, 0, 0)).save(folder / f"image_{number:05d}.jpg")
    with pytest.raises(DecodeError, match="frame 13 follows frame 9"):
        load_stretch(StretchRequest(str(folder), 16, start=4, end=35))
    assert len(load_stretch(StretchRequest(str(folder), 16))[0][0]) == 37
