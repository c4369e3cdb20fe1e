"""What users' folders hold besides videos: each is read as what it is, or refused with a reason that names the file."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from sigma_bench.data.decode import backends, torchcodec_backend
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.load import ClipRequest, load_clips

sys.path.insert(0, str(Path(__file__).parent))
import made_videos as made

sys.path.pop(0)

ATTACHED = av.stream.Disposition.attached_pic
REFUSED = {
    "zero.mp4": "empty (zero bytes)",
    "text.mp4": "not a media file",
    "cut.mp4": "not a media file, or its header is damaged",
    "cut.avi": "cut short or damaged",
    "sound.m4a": "no video stream (only audio)",
    "song with cover.m4a": "only an attached picture",
    "broken middle.mp4": "frames decodable",
    "absent.mp4": "no such file",
}
ONE_FRAME = ("one frame.mp4", "picture.mp4")


def sound(path, cover=None):
    """Write half a second of a tone, with a cover picture where one is given."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44100)
        if cover is not None:
            given = av.open(str(cover))
            picture = out.add_stream_from_template(given.streams.video[0])
            picture.disposition = ATTACHED
            (packet,) = [p for p in given.demux(video=0) if p.size]
            packet.stream = picture
            out.mux(packet)
        frame = av.AudioFrame.from_ndarray(
            np.sin(np.arange(22050, dtype=np.float32) / 20)[None], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 44100, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def overwrite_the_middle(path, source):
    """Fill the data of the middle packets of a video with what no decoder accepts."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as given:
        places = [(packet.pos, packet.size) for packet in given.demux(video=0) if packet.size]
    for start, size in places[10:20]:
        data[start + 4 : start + size] = b"\xff" * (size - 4)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad files")
    whole = made.write(folder / "whole.mp4", "libx264")
    loose = made.write(folder / "loose.avi", "mpeg4")
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("path label\nvideos/a.mp4 3\n" * 40)
    (folder / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    data = loose.read_bytes()
    (folder / "cut.avi").write_bytes(data[: (data.index(b"movi") + data.rindex(b"idx1")) // 2])
    overwrite_the_middle(folder / "broken middle.mp4", whole)
    made.write(folder / "one frame.mp4", "libx264", frames=1)
    made.write(folder / "picture.mp4", "mjpeg", pix_fmt="yuvj420p", frames=1)
    sound(folder / "sound.m4a")
    sound(folder / "song with cover.m4a", folder / "picture.mp4")
    return folder


def usable(decoder):
    if decoder == "torchcodec" and torchcodec_backend.Backend().unavailable():
        pytest.skip(torchcodec_backend.Backend().unavailable())
    return decoder


@pytest.mark.parametrize("decoder", ["decord", "pyav", "torchcodec", "decord+pyav"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sound_video_is_refused_with_file_and_reason(folder, decoder, name):
    path = folder / name
    request = ClipRequest(str(path), "dense_test", frames=8, stride=4, clips=2, backend=usable(decoder))
    with pytest.raises(DecodeError) as caught:
        load_clips(request)
    if not (decoder == "torchcodec" and name == "cut.avi"):  # it refuses every AVI file, cut or not
        assert REFUSED[name] in caught.value.reason
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("decoder", ["decord", "pyav", "torchcodec", "decord+pyav"])
@pytest.mark.parametrize("name", ONE_FRAME)
def test_a_video_of_one_frame_is_a_clip_that_repeats_it(folder, decoder, name):
    request = ClipRequest(str(folder / name), "pretraining", frames=8, stride=2, clips=2, backend=usable(decoder))
    arrays, info = load_clips(request)
    assert (info["count"], info["short"]) == (1, True)
    assert all(clip.shape == (8, 48, 64, 3) for clip in arrays)
    assert all((clip == made.sequential(folder / name)[0]).all() for clip in arrays)


def test_one_process_goes_through_all_of_them_unharmed(folder):
    names = [*REFUSED, *ONE_FRAME, "whole.mp4"] * 2
    asked = [ClipRequest(str(folder / n), "dense_test", frames=4, backend="decord+pyav") for n in names]
    with DecodePool("sigma_bench.data.load:load_clips", 1, deadline_s=30) as pool:
        found = list(pool.map(asked))
    for name, result in zip(names, found, strict=True):
        if name in REFUSED:
            assert REFUSED[name] in result.error
            assert result.info["path"] == str(folder / name)
        else:
            assert result.error is None
    assert (pool.stats.respawned, pool.stats.deadlines) == (0, 0)


def test_every_decoder_says_the_same_of_what_no_decoder_reads(folder):
    for name in ("zero.mp4", "text.mp4", "cut.mp4", "sound.m4a", "song with cover.m4a", "absent.mp4"):
        reasons = set()
        for decoder in ("decord", "pyav", "decord+pyav"):
            with pytest.raises(DecodeError) as caught:
                backends.pick(decoder).open(folder / name)
            reasons.add(caught.value.reason)
        assert len(reasons) == 1
