import contextlib
import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.spans import at_rate, at_rate_of, in_frames, in_seconds

TIMES = at_rate(100, 25)
"""100 frames, the last one shown until second 4."""


def span(start_s, end_s, times=TIMES):
    return tuple(in_seconds("a.mp4", times, start_s, end_s))


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (None, None, (0, 100, False)),
        (0.0, 4.0, (0, 100, False)),
        (1.0, 2.0, (25, 50, False)),  # a frame at the end belongs to the next sample
        (1.01, 2.01, (26, 51, False)),
        (None, 0.04, (0, 1, False)),
        (3.0, None, (75, 100, False)),
        (0.04 * 3, 0.04 * 6, (3, 6, False)),  # 0.12 is 0.12, 0.24 is 0.24
        (0.1 + 0.2 + 0.1, 0.56, (10, 14, False)),  # 0.4000000000000001
        (1.0000009, 1.0800009, (25, 27, False)),
        (1.05, 1.07, (26, 27, False)),  # between two frames: the one on the screen
        (1.0, 1.0 + 1e-7, (25, 26, False)),
        (3.97, 3.99, (99, 100, False)),  # the last frame is on the screen
        (3.96, 4.02, (99, 100, False)),  # half a frame
        (3.96, 4.021, (99, 100, True)),
        (3.0, 9.0, (75, 100, True)),
    ],
)
def test_frames_of_a_span_of_seconds(start_s, end_s, expected):
    assert span(start_s, end_s) == expected


@pytest.mark.parametrize("seconds", [(4.0, 5.0), (7.0, None), (3.9999995, 5.0)])
def test_a_span_after_the_end_is_an_error(seconds):
    with pytest.raises(UserError, match=r"a\.mp4: the sample's seconds .* begin after the file's end at 4\.000"):
        span(*seconds)


@pytest.mark.parametrize("seconds", [(2.0, 2.0), (2.0, 1.0), (-0.1, 1.0), (float("nan"), 1.0), (1.0, float("nan"))])
def test_what_is_no_span_is_an_error(seconds):
    with pytest.raises(UserError, match="are no span of time"):
        span(*seconds)


def test_a_file_of_one_frame_has_its_first_moment_alone():
    assert span(0.0, 0.5, TIMES[:1]) == (0, 1, True)
    assert span(None, None, TIMES[:1]) == (0, 1, False)
    with pytest.raises(UserError, match=r"end at 0\.000"):
        span(0.1, 0.5, TIMES[:1])


def test_frames_count_as_they_are_given():
    assert in_frames("a.mp4", 10, None, None) == (0, 10, False)
    assert in_frames("a.mp4", 10, 3, 10) == (3, 10, False)
    assert in_frames("a.mp4", 10, 3, 11) == (3, 10, True)
    with pytest.raises(UserError, match="frames 10 to 11 are not in the file, which has 10"):
        in_frames("a.mp4", 10, 10, 11)


@given(
    ticks=st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    base=st.sampled_from([Fraction(1, 90000), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 15360)]),
    cuts=st.lists(st.integers(0, 100), min_size=2, max_size=6, unique=True),
    digits=st.sampled_from([6, 9, 17]),
)
def test_neighbouring_spans_share_no_frame_and_leave_none_out(ticks, base, cuts, digits):
    exact = [sum(ticks[:k]) * base for k in range(len(ticks))]
    assume(all(b - a > Fraction(1, 10_000) for a, b in itertools.pairwise(exact)))
    times = np.array([float(t) for t in exact])
    places = sorted({min(len(ticks) - 1, c * len(ticks) // 100) for c in cuts})
    found = []
    for a, b in itertools.pairwise(places):
        # from the stamp of one frame to that of another, rounded as a list would
        start, end, _ = span(round(float(exact[a]), digits), round(float(exact[b]), digits), times)
        assert (start, end) == (a, b)
        found += range(start, end)
    assert found == list(range(places[0], places[-1]))


@given(
    gaps=st.lists(st.floats(0.001, 2), min_size=1, max_size=40),
    start=st.floats(0, 20),
    length=st.floats(0.001, 20),
)
def test_the_span_is_the_frames_shown_in_it_or_the_one_on_the_screen(gaps, start, length):
    times = np.cumsum([0, *gaps])
    end = start + length
    assume(np.abs(times - start).min() > 2e-6)
    assume(np.abs(times - end).min() > 2e-6)
    assume(start < times[-1])
    first, last, cut = span(start, end, times)
    inside = [k for k, t in enumerate(times) if start <= t < end]
    assert list(range(first, last)) == (inside or [max(k for k, t in enumerate(times) if t <= start)])
    assert cut == (end > times[-1] + 1.5 * (times[-1] - times[-2]))


def trimmed(path, start_s, end_s):
    """The frames that FFmpeg's own filter keeps, through a lossless file as a data set of cut clips has them."""
    target = path.parent / "cut.mkv"
    with av.open(str(path)) as given, av.open(str(target), "w") as out:
        stream = given.streams.video[0]
        graph = av.filter.Graph()
        trim = graph.add("trim", f"start={start_s}:end={end_s}")
        steps = [graph.add_buffer(template=stream), trim, graph.add("setpts", "PTS-STARTPTS"), graph.add("buffersink")]
        graph.link_nodes(*steps).configure()
        coded = out.add_stream("ffv1", rate=stream.average_rate)
        coded.width, coded.height, coded.pix_fmt = stream.width, stream.height, stream.pix_fmt
        coded.codec_context.time_base = stream.time_base

        def drain():
            while True:
                try:
                    frame = steps[-1].pull()
                except (av.error.BlockingIOError, av.error.EOFError):
                    return
                frame.pict_type = 0
                out.mux(coded.encode(frame))

        for frame in given.decode(stream):
            try:
                steps[0].push(frame)
            except av.error.EOFError:  # past the end
                break
            drain()
        drain()
        out.mux(coded.encode(None))
    with av.open(str(target)) as cut:
        return [frame.to_ndarray(format="gray") for frame in cut.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "start_s", "end_s"),
    [
        ("demo_h264_340x256.mp4", 1.0, 2.0),  # 28 frames a second: both ends are stamps
        ("demo_h264_340x256.mp4", 3.17, 3.471),
        ("demo_h264_340x256.mp4", 9.9, 12.0),
        ("pancake_h264_opus.mkv", 2.033, 2.5),  # stamps in whole milliseconds
        ("part0_32frames.mp4", 0.04, 0.2),  # the first frame is shown for twice as long
        ("fire_vfr_rot180_aac.mp4", 0.75, 1.5),  # variable rate
    ],
)
def test_the_frames_are_those_that_ffmpeg_cuts(shared, tmp_path, name, start_s, end_s):
    path = tmp_path / name
    path.symlink_to(shared / "real/videos" / name)
    expected = trimmed(path, start_s, end_s)
    reader = pick("pyav").open(path)
    start, end, _ = in_seconds(name, reader.times, start_s, end_s)
    with av.open(str(path)) as given:
        whole = [frame.to_ndarray(format="gray") for frame in given.decode(video=0)]
    assert len(expected) > 1
    assert end - start == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(whole[start:end], expected, strict=True))


@pytest.mark.parametrize("decoder", ["pyav", "decord", "torchcodec", "decord+pyav"])
def test_every_decoder_cuts_the_same_sample(shared, decoder):
    try:
        pick(decoder)
    except UserError as error:
        pytest.skip(str(error))
    path = shared / "real/videos/part0_32frames.mp4"
    request = ClipRequest(str(path), "dense_test", 2, clips=2, backend=decoder, start_s=0.5, end_s=0.7)
    info = load_clips(request)[1]
    assert (info["used"], info["count"], info["cut"]) == (6, 32, False)
    with av.open(str(path)) as video:
        stamps = [frame.time for frame in video.decode(video=0)]
    assert [info["indices"][0][0], info["indices"][-1][-1]] == [stamps.index(0.5), stamps.index(0.5) + 5]


def ffmpeg(ticks, base, fps):
    """Return which frame each one of FFmpeg's filter `fps` is; the last frame lasts as long as the one before it."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=base)
    resampled, sink = graph.add("fps", f"fps={fps}:round=near"), graph.add("buffersink")
    source.link_to(resampled)
    resampled.link_to(sink)
    graph.configure()
    found = []

    def drain():
        with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                found.append(int(sink.pull().to_ndarray()[0, 0]))

    lasting = [b - a for a, b in itertools.pairwise(ticks)]
    for number, (tick, ticks_shown) in enumerate(zip(ticks, [*lasting, lasting[-1]], strict=True)):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16), number, np.uint8), format="gray")
        frame.pts, frame.time_base, frame.duration = tick, base, ticks_shown
        source.push(frame)
        drain()
    source.push(None)
    drain()
    return found


@settings(max_examples=60)
@given(
    lasting=st.lists(st.integers(1, 40), min_size=1, max_size=40),
    base=st.sampled_from([Fraction(1, 90000), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 12800)]),
    fps=st.sampled_from([10, 12, 24, 25, 30]),
)
def test_resampling_takes_the_frames_that_ffmpeg_takes(lasting, base, fps):
    scale = max(1, round(1 / 20 / 30 / base))
    ticks = np.cumsum([0, *(np.array(lasting) * scale)]).tolist()
    assume((2 * ticks[-1] - ticks[-2]) * base * fps >= 1)  # of less FFmpeg makes nothing, and we one frame
    assert at_rate_of(np.array([float(tick * base) for tick in ticks]), fps).tolist() == ffmpeg(ticks, base, fps)


@pytest.mark.parametrize("digits", [2, 3, 6])
def test_a_video_of_the_rate_keeps_its_frames_however_its_stamps_are_rounded(digits):
    times = np.round(np.arange(500) / 24, digits)
    assert at_rate_of(times, 24).tolist() == list(range(500))
    assert at_rate_of(times, 24.0)[-1] == 499


def test_resampling_one_frame_and_a_pause():
    assert at_rate_of(np.zeros(1), 24).tolist() == [0]
    assert at_rate_of(np.array([0, 0.1, 1.0, 1.1]), 10).tolist() == [0, *[1] * 9, 2, 3]
