import math
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.data import spans, speed
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.miniatures import video
from sigma_bench.data.transcode import Request, Settings, psnr, size, transcode


def made(source, target, **more):
    settings = Settings(**{"short_side": 128, **more})
    return transcode(Request(str(source), str(target), settings))[1]


def keys(path):
    with av.open(str(path)) as file:
        packets = [p for p in file.demux(video=0) if p.size]
    return [i for i, p in enumerate(packets) if p.is_keyframe], len(packets)


@pytest.mark.parametrize(
    ("name", "frames", "shape"),
    [
        ("fire_vfr_rot180_aac.mp4", 25, (128, 226)),
        ("rotated90_3frames.mov", 3, (226, 128)),
        ("bunny_vp8_vorbis.webm", 24, (128, 226)),
        ("hevc_10frames_128x128.mp4", 10, (128, 128)),
        ("av1_640x360.mkv", 125, (128, 226)),
        ("test_mpeg4.avi", 164, (128, 170)),
        ("part0_32frames.mp4", 32, (128, 170)),
    ],
)
def test_frames_stay_one_to_one_with_their_times_and_turned(shared, tmp_path, name, frames, shape):
    source, target = shared / "real" / "videos" / name, tmp_path / "out.mp4"
    record = made(source, target)
    assert (record["frames"], record["height"], record["width"]) == (frames, *shape)
    assert record["psnr"] > 30
    before, after = pick("pyav").open(source), pick("pyav").open(target)
    assert after.count == before.count == frames
    assert np.array_equal(after.times, before.times)  # to the tick, changing rates too
    for index in (0, frames // 2, frames - 1):
        picture = av.VideoFrame.from_ndarray(before.frames([index])[0], format="rgb24")
        wanted = picture.reformat(width=shape[1], height=shape[0], interpolation="AREA").to_ndarray(format="rgb24")
        right = psnr(after.frames([index])[0], wanted)
        assert right > 27
        assert right > psnr(after.frames([index])[0][::-1, ::-1], wanted) + 3  # not upside down
    with av.open(str(target)) as file:
        assert [s.type for s in file.streams] == ["video"]
        assert file.streams.video[0].codec_context.name == "h264"
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv"])
def test_key_frames_are_near_and_every_decoder_counts_the_same(shared, tmp_path, ending):
    target = tmp_path / f"out{ending}"
    made(shared / "real" / "videos" / "lowfps_6.mp4", target, gop=8)
    found, count = keys(target)
    assert count == 57
    assert found[0] == 0
    assert max(np.diff([*found, count])) <= 8
    readers = [pick(name).open(target) for name in ("pyav", "decord")]
    assert [r.count for r in readers] == [57, 57]
    asked = [50, 3, 20]
    assert np.array_equal(readers[0].frames(asked), readers[1].frames(asked))


@pytest.mark.parametrize("name", ["fire_vfr_rot180_aac.mp4", "part0_32frames.mp4"])
def test_a_changing_rate_is_refused_where_the_container_cannot_keep_it(shared, tmp_path, name):
    with pytest.raises(DecodeError, match="changing rate"):
        made(shared / "real" / "videos" / name, tmp_path / "out.avi")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken_middle.mp4", "21 of 57 frames decodable"),
        ("truncated_index_present.mp4", "cut short"),
        ("zero_bytes.mp4", "empty"),
        ("audio_only.mp4", "no video stream"),
        ("text_renamed.mp4", "not a media file"),
    ],
)
def test_a_broken_source_leaves_nothing(shared, tmp_path, name, words):
    source = shared / "real" / "corrupt" / name
    with pytest.raises(DecodeError, match=words) as error:
        made(source, tmp_path / "out.mp4")
    assert error.value.path == str(source)
    assert not os.listdir(tmp_path)


def test_a_stretch_in_seconds_is_cut_out_by_the_rule_of_spans(shared, tmp_path):
    source, target = shared / "real" / "videos" / "lowfps_6.mp4", tmp_path / "cut.mp4"
    record = transcode(Request(str(source), str(target), Settings(), 2.0, 4.0))[1]
    before, after = pick("pyav").open(source), pick("pyav").open(target)
    span = spans.in_seconds(str(source), before.times, 2.0, 4.0)
    assert record["frames"] == after.count == span.end - span.start == 12
    assert np.allclose(after.times, before.times[span.start : span.end] - before.times[span.start], atol=1e-9)
    for index in (0, 5, 11):
        found = [psnr(after.frames([index])[0], before.frames([span.start + index + d])[0]) for d in (-1, 0, 1)]
        assert int(np.argmax(found)) == 1
    info = speed.compare((str(source), str(target), 2.0, 4.0, 0))[1]
    assert speed._first_frame(str(source), 2.0, None) == speed._first_frame(str(source), 2.0, 4.0) == span.start > 0
    assert info["first_s"] > 0
    assert info["second_s"] > 0


def test_frames_are_stored_in_the_order_they_are_shown(tmp_path):
    moving = np.stack(
        [np.roll(np.tile(np.arange(64, dtype=np.uint8)[:, None] * 4, (64, 1, 3)), i, 1) for i in range(30)]
    )
    video.encode(tmp_path / "in.mp4", moving)
    made(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert not file.streams.video[0].codec_context.has_b_frames
        shown = [packet.pts for packet in file.demux(video=0) if packet.size]
    assert shown == sorted(shown)
    assert len(shown) == 30


def test_a_stretch_keeps_its_own_times_where_the_rate_changes(tmp_path):
    ticks = [0, 1, 2, 3, 4, 8, 12, 16, 20, 21, 22, 23]  # tenths of a second
    with av.open(str(tmp_path / "in.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"bf": "0"})
        stream.height = stream.width = 32
        stream.codec_context.time_base = stream.time_base = Fraction(1, 10)
        for tick in ticks:
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * tick, np.uint8), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    transcode(Request(str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4"), Settings(), 0.35, 1.7))
    assert np.allclose(pick("pyav").open(tmp_path / "out.mp4").times, [0.0, 0.4, 0.8, 1.2], atol=1e-3)


def test_colours_at_full_resolution_stay_so(tmp_path):
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 255, (5, 16, 16, 3), dtype=np.uint8), 2, 1).repeat(2, 2)
    video.encode(tmp_path / "in.avi", frames)
    made(tmp_path / "in.avi", tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv444p"
    assert pick("pyav").open(tmp_path / "out.avi").count == 5


def test_other_pictures_than_the_source_s_are_never_kept(tmp_path, monkeypatch):
    from sigma_bench.data import transcode as module

    rng = np.random.default_rng(0)
    video.encode(tmp_path / "in.mp4", rng.integers(0, 255, (4, 32, 32, 3), dtype=np.uint8))
    true_resized = module._resized

    def neighbours(*arguments):
        found = list(true_resized(*arguments))
        yield from ((place, found[(place + 1) % 4][1]) for place, _ in found)

    true_encode = module._encode

    def encode(*arguments):
        shown = true_encode(*arguments)
        monkeypatch.setattr(module, "_resized", neighbours)
        true_encode(*arguments)
        return shown

    monkeypatch.setattr(module, "_encode", encode)
    with pytest.raises(DecodeError, match="pictures written differ"):
        made(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_a_lost_frame_is_noticed(tmp_path, monkeypatch):
    from sigma_bench.data import transcode as module

    video.encode(tmp_path / "in.mp4", np.zeros((4, 32, 32, 3), np.uint8))
    true = module._resized
    monkeypatch.setattr(module, "_resized", lambda *a: (item for item in true(*a) if item[0] != 2))
    with pytest.raises(DecodeError, match="3 frames were written of 4"):
        made(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert not Path(tmp_path / "out.mp4").exists()


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 5000), st.integers(2, 5000), st.integers(16, 512))
def test_sides_are_even_never_larger_and_keep_their_aspect(height, width, short_side):
    h, w = size(height, width, short_side)
    assert h % 2 == w % 2 == 0
    assert h <= height
    assert w <= width
    scale = min(1.0, short_side / min(height, width))
    assert math.isclose(h, height * scale, abs_tol=2)
    assert math.isclose(w, width * scale, abs_tol=2)
    assert min(h, w) >= min(min(height, width), short_side) - 2


def test_a_side_of_one_pixel_becomes_two():
    assert size(1, 500, 320) == (2, 500)
    assert size(1, 1, 16) == (2, 2)


def test_the_clips_compared_show_the_same_frames_and_every_file_is_closed(tmp_path, monkeypatch):
    opened, closed, asked = [], [], {"whole": set(), "cut": set()}

    class Film:
        backend = "none"

        def __init__(self, path):
            opened.append(path)
            self.path, self.count = path, {"whole": 200, "cut": 100}[path]
            self.times = np.arange(self.count) / 10

        def frames(self, indices):
            asked[self.path].add(tuple(indices))

        def close(self):
            closed.append(self.path)

    monkeypatch.setattr(speed, "open_media", lambda _, path: Film(path))
    speed.compare(("whole", "cut", 5.0, 15.0, 3))
    ((whole,), (cut,)) = asked["whole"], asked["cut"]
    assert [index - 50 for index in whole] == list(cut)
    assert max(cut) < 100
    assert sorted(opened) == sorted(closed)
