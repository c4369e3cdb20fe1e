import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError

sys.path.insert(0, str(Path(__file__).parent))
import made_videos as made

sys.path.pop(0)

DECODERS = ("decord", "pyav", "torchcodec")
REAL = {
    "test_mpeg4.avi": (164, 240, 320),
    "demo_h264_340x256.mp4": (280, 256, 340),
    "part0_32frames.mp4": (32, 256, 340),
    "lowfps_6.mp4": (57, 256, 340),
    "bunny_vp8_vorbis.webm": (24, 720, 1280),
    "pancake_h264_opus.mkv": (310, 240, 426),
    "rotated90_3frames.mov": (3, 568, 320),
    "tiny_4frames_50x50.mov": (4, 50, 50),
    "fire_vfr_rot180_aac.mp4": (25, 720, 1280),
    "hevc_10frames_128x128.mp4": (10, 128, 128),
    "av1_640x360.mkv": (125, 360, 640),
}
"""Frames, height and width, after rotation."""
REFUSED = {("decord", "av1_640x360.mkv"): "cannot open it", ("torchcodec", "test_mpeg4.avi"): "time stamps"}
"""The exceptions among the real files: decoder and file -> words of the error."""
MARKED = {"tune": "zerolatency", "bf": "0", "preset": "veryfast", "crf": "12"}
MADE = {
    "closed.mp4": lambda path: made.write(path, "libx264"),
    "open_groups.mp4": lambda path: made.write(path, "libx264", {"x264-params": "open-gop=1:keyint=10:bframes=3"}),
    "open_groups_hevc.mp4": lambda path: made.write(
        path, "libx265", {"x265-params": "keyint=10:open-gop=1:log-level=none"}
    ),
    "marked.mp4": lambda path: made.write(path, "libx264", MARKED, pix_fmt="yuv444p", gop=120),
    "intra_refresh.mp4": lambda path: made.write(path, "libx264", {"x264-params": "intra-refresh=1:keyint=10"}),
    "mpeg2.mpg": lambda path: made.write(path, "mpeg2video", {"bf": "2"}, size=(48, 80)),
    "mpeg4.avi": lambda path: made.write(path, "mpeg4"),
    "vp9.webm": lambda path: made.write(path, "libvpx-vp9"),
    "turned90.mp4": lambda path: made.write(path, "libx264", rotation=90, size=(64, 80)),
    "turned180.mp4": lambda path: made.write(path, "libx264", rotation=180),
    "turned270.mp4": lambda path: made.write(path, "libx264", rotation=-90, size=(64, 80)),
    "hidden.mp4": lambda path: made.hide(made.write(path.with_name("whole.mp4"), "libx264"), path, 7),
    "narrow.mp4": lambda path: made.write(path, "libx264", size=(32, 48)),
}
REFUSED_MADE = {
    ("decord", "hidden.mp4"): "edit list hides 7 of its 40 frames",
    ("decord", "narrow.mp4"): "decord fails",
    ("torchcodec", "mpeg4.avi"): "time stamps",
    ("torchcodec", "mpeg2.mpg"): "time stamps",
    ("torchcodec", "open_groups.mp4"): "torchcodec fails",
}
OTHER_COLOURS = {
    "ten_bit.mp4": lambda path: made.write(path, "libx264", pix_fmt="yuv420p10le"),
    "interlaced.mp4": lambda path: made.write(path, "libx264", {"x264-params": "interlaced=1"}),
}


@cache
def truth(path):
    return made.sequential(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def video(folder):
    @cache
    def make(name):
        return {**MADE, **OTHER_COLOURS}[name](folder / name)

    return make


@pytest.fixture(params=DECODERS)
def decoder(request):
    reason = pick("auto").unavailable() if request.param == "auto" else _unavailable(request.param)
    if reason:
        pytest.skip(reason)
    return pick(request.param)


@cache
def _unavailable(name):
    from sigma_bench import registry

    return registry.get("decoders", name)().unavailable()


def check_frames(reader, expected, rng):
    """Reads of one reader that begin at the end, go backwards, scatter, repeat and ascend agree with `expected`."""
    count = len(expected)
    spread = np.linspace(0, count - 1, min(count, 6)).astype(int)
    for wanted in ([count - 1], spread[::-1], rng.integers(0, count, 4), [0, 0], range(min(count, 3))):
        frames = reader.frames(list(wanted))
        assert frames.dtype == np.uint8
        assert np.array_equal(frames, expected[list(wanted)]), f"other frames at {list(wanted)}"


@pytest.mark.parametrize("name", REAL)
def test_real_files_give_the_same_frames_in_every_decoder(shared, decoder, name):
    path = shared / "real" / "videos" / name
    if (decoder.name, name) in REFUSED:
        with pytest.raises(DecodeError, match=REFUSED[decoder.name, name]):
            decoder.open(path).frames([REAL[name][0] - 1])
        return
    reader = decoder.open(path)
    assert (reader.count, reader.height, reader.width) == REAL[name]
    expected = truth(path)
    assert expected.shape == (*REAL[name], 3)
    check_frames(reader, expected, np.random.default_rng(0))
    reader.close()


@pytest.mark.parametrize("name", MADE)
def test_made_files_give_the_same_frames_in_every_decoder(video, decoder, name):
    path = video(name)
    if (decoder.name, name) in REFUSED_MADE:
        with pytest.raises(DecodeError, match=REFUSED_MADE[decoder.name, name]):
            decoder.open(path).frames([39])
        return
    if (decoder.name, name) == ("torchcodec", "intra_refresh.mp4"):
        pytest.skip("torchcodec gives partly refreshed pictures here: the exception that interface.py names")
    reader = decoder.open(path)
    expected = truth(path)
    assert reader.count == len(expected) == (33 if name == "hidden.mp4" else 40)
    assert (reader.height, reader.width) == expected.shape[1:3]
    check_frames(reader, expected, np.random.default_rng(1))
    reader.close()


@pytest.mark.parametrize(
    ("name", "from_the_start"), [("marked.mp4", False), ("closed.mp4", False), ("open_groups.mp4", True)]
)
def test_decord_reads_from_the_start_only_where_its_seeks_go_wrong(video, monkeypatch, name, from_the_start):
    """FFmpeg marks frames of `marked.mp4` as keys that the older one in decord does not."""
    reader, read = pick("decord").open(video(name)), []
    monkeypatch.setattr(
        type(reader), "_from_the_start", lambda self, indices: read.append(indices) or truth(video(name))[indices]
    )
    assert np.array_equal(reader.frames([39]), truth(video(name))[[39]])
    assert bool(read) == from_the_start


HALF_KEYS = {
    "refresh_plain.mp4": ("intra-refresh=1:keyint=10:bframes=0", 36),
    "refresh_plain.mkv": ("intra-refresh=1:keyint=10:bframes=0", 36),
    "refresh_back.mkv": ("intra-refresh=1:keyint=10:bframes=2", 36),
    "short_last_group.mp4": ("open-gop=1:keyint=5:bframes=3:b-adapt=0", 36),
    "short_last_group_still.mp4": ("open-gop=1:keyint=5:bframes=3:b-adapt=0:scenecut=0", 36),
    "short_last_group_long.mov": ("open-gop=1:keyint=5:bframes=3:b-adapt=0", 60),
}
"""H.264 whose keys are no refreshes: name -> settings of x264, frames."""


@pytest.mark.parametrize("name", HALF_KEYS)
@pytest.mark.parametrize("backend", ["decord", "pyav"])
def test_keys_from_which_not_all_comes_out_right_are_not_sought(folder, name, backend):
    params, count = HALF_KEYS[name]
    path = folder / name
    if not path.exists():
        made.write(path, "libx264", {"x264-params": params}, frames=count, gop=250)
    for index in range(count):
        reader = pick(backend).open(path)
        assert np.array_equal(reader.frames([index]), truth(path)[[index]]), f"another frame at {index}"
        reader.close()


@pytest.mark.parametrize("name", OTHER_COLOURS)
def test_colours_of_ten_bit_and_interlaced_files_are_the_known_difference(video, name):
    path = video(name)
    difference = [
        np.abs(pick(decoder).open(path).frames(range(40)).astype(int) - truth(path)).max()
        for decoder in DECODERS
        if not _unavailable(decoder)
    ]
    assert 0 < max(difference) <= 128


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=6), min_size=1, max_size=4),
    name=st.sampled_from(["open_groups.mp4", "open_groups_hevc.mp4", "intra_refresh.mp4", "vp9.webm", "mpeg4.avi"]),
    decoder=st.sampled_from(["pyav", "decord"]),
)
def test_any_sequence_of_reads_gives_the_frames_asked_for(video, reads, name, decoder):
    reader = pick(decoder).open(video(name))
    for wanted in reads:
        assert np.array_equal(reader.frames(wanted), truth(video(name))[wanted])
    reader.close()


def test_frames_outside_the_file_are_refused(video, decoder):
    reader = decoder.open(video("closed.mp4"))
    for wanted in ([40], [-1], [], [[1]]):
        with pytest.raises(IndexError):
            reader.frames(wanted)
    reader.close()
