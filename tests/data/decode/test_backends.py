import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.decode import backends, decord_backend, scan, torchcodec_backend
from sigma_bench.data.decode.errors import DecodeError

sys.path.insert(0, str(Path(__file__).parent))
import made_videos as made

sys.path.pop(0)


@pytest.fixture(autouse=True)
def _fresh_picks():
    backends.pick.cache_clear()
    yield
    backends.pick.cache_clear()


CORRUPT = {
    "audio_only.mp4": "no video stream (only audio)",
    "broken_middle.mp4": "21 of 57 frames decodable",
    "text_renamed.mp4": "not a media file",
    "truncated_index_present.mp4": "26 frames of the 57 its header names",
    "zero_bytes.mp4": "empty (zero bytes)",
}


@pytest.mark.parametrize("decoder", ["decord", "pyav", "torchcodec", "decord+pyav"])
@pytest.mark.parametrize("name", CORRUPT)
def test_damaged_files_are_refused_with_the_reason(shared, decoder, name):
    path = shared / "real" / "corrupt" / name
    if decoder == "torchcodec" and torchcodec_backend.Backend().unavailable():
        pytest.skip(torchcodec_backend.Backend().unavailable())
    with pytest.raises(DecodeError) as caught:
        backends.pick(decoder).open(path).frames(range(57))
    assert CORRUPT[name] in caught.value.reason
    assert caught.value.path == str(path)


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_the_sound_part_of_a_damaged_file_is_read(shared, decoder):
    damaged = backends.pick(decoder).open(shared / "real/corrupt/broken_middle.mp4")
    whole = backends.pick(decoder).open(shared / "real/videos/lowfps_6.mp4")
    assert np.array_equal(damaged.frames(range(16)), whole.frames(range(16)))
    with pytest.raises(DecodeError):
        damaged.frames([25])
    assert np.array_equal(damaged.frames([50, 56]), whole.frames([50, 56])), "a key frame follows the damage"
    one = backends.pick(decoder).open(shared / "real/corrupt/one_frame.mp4")
    assert one.frames([0]).shape == (1, 64, 96, 3)


def test_what_decord_reads_of_a_damaged_file_does_not_depend_on_timing(shared):
    path = shared / "real/corrupt/broken_middle.mp4"
    whole = backends.pick("decord").open(shared / "real/videos/lowfps_6.mp4").frames(range(20))
    for _ in range(30):
        assert np.array_equal(backends.pick("decord").open(path).frames(range(20)), whole)


def test_what_is_no_file_is_refused(tmp_path):
    secret = tmp_path / "list.mp4"
    secret.write_text("ffconcat version 1.0\nfile other.mp4\n")
    for path, reason in ((tmp_path, "folder"), (tmp_path / "no.mp4", "no such file"), (secret, "not a")):
        with pytest.raises(DecodeError, match=reason):
            scan.scan(path)
    with pytest.raises(DecodeError, match="no such file"):
        scan.scan(f"concat:{secret}")


def test_the_frame_count_is_measured_not_the_containers_word(tmp_path):
    path = made.write(tmp_path / "a.avi", "mpeg4")
    data = bytearray(path.read_bytes())
    length = data.index(b"strh") + 8 + 32
    data[length : length + 4] = (9999).to_bytes(4, "little")
    path.write_bytes(data)
    with av.open(str(path)) as given:
        assert given.streams.video[0].frames == 9999
    for decoder in ("decord", "pyav"):
        assert backends.pick(decoder).open(path).count == made.FRAMES


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_a_file_cut_within_a_frame_is_refused(tmp_path, decoder):
    path = made.write(tmp_path / "a.avi", "mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: (data.index(b"movi") + data.rindex(b"idx1")) // 2])
    with pytest.raises(DecodeError, match=r"cut short or damaged: \d+ frames of the 40"):
        backends.pick(decoder).open(path)


def remux(path, parts):
    """Write the first video stream of each (file, disposition) into one file."""
    with av.open(str(path), "w") as out:
        packets = []
        for file, disposition in parts:
            given = av.open(str(file))
            stream = out.add_stream_from_template(given.streams.video[0])
            stream.disposition = disposition
            packets += [(packet, stream) for packet in given.demux(video=0) if packet.size]
        for packet, stream in packets:
            packet.stream = stream
            out.mux(packet)
    return path


@pytest.mark.parametrize("decoder", ["decord", "pyav", "torchcodec"])
def test_the_default_stream_is_taken_and_an_attached_picture_never(tmp_path, decoder):
    if decoder == "torchcodec" and torchcodec_backend.Backend().unavailable():
        pytest.skip(torchcodec_backend.Backend().unavailable())
    none, default, attached = (av.stream.Disposition(value) for value in (0, 1, scan.ATTACHED_PICTURE))
    long = made.write(tmp_path / "long.mp4", "libx264", size=(32, 64))
    short = made.write(tmp_path / "short.mp4", "libx264", size=(64, 80), frames=9)
    picture = made.write(tmp_path / "picture.mp4", "mjpeg", pix_fmt="yuvj420p", frames=1)
    two = backends.pick(decoder).open(remux(tmp_path / "two.mp4", [(long, none), (short, default)]))
    assert (two.count, two.height, two.width) == (9, 64, 80)
    assert np.array_equal(two.frames(range(9)), made.sequential(short))
    cover = backends.pick(decoder).open(remux(tmp_path / "cover.mp4", [(picture, attached), (short, none)]))
    assert np.array_equal(cover.frames(range(9)), made.sequential(short))
    with pytest.raises(DecodeError, match="only an attached picture"):
        backends.pick(decoder).open(remux(tmp_path / "alone.mp4", [(picture, attached)]))


def test_auto_is_decord_for_every_file_and_pyav_only_where_decord_is_not_installed(monkeypatch, shared):
    assert backends.pick("auto").name == "decord"
    with pytest.raises(DecodeError, match="decord cannot open it"):
        backends.pick("auto").open(shared / "real/videos/av1_640x360.mkv")
    backends.pick.cache_clear()
    monkeypatch.setattr(decord_backend.Backend, "unavailable", lambda self: "not here; install it")
    assert backends.pick("auto").name == "pyav"
    assert backends.pick("decord+pyav").name == "pyav"
    with pytest.raises(UserError, match="not here; install it"):
        backends.pick("decord")


def test_the_chain_says_which_decoder_read_a_file(tmp_path):
    chain = backends.pick("decord+pyav")
    assert chain.open(made.write(tmp_path / "a.mp4", "libx264")).backend == "decord"
    at_open = chain.open(made.hide(tmp_path / "a.mp4", tmp_path / "hidden.mp4", 5))
    assert at_open.backend == "pyav"
    at_read = chain.open(made.write(tmp_path / "narrow.mp4", "libx264", size=(32, 48)))
    assert at_read.backend == "decord"
    assert np.array_equal(at_read.frames([3, 1]), made.sequential(tmp_path / "narrow.mp4")[[3, 1]])
    assert at_read.backend == "pyav"


def test_a_misspelt_decoder_is_named_with_its_neighbours():
    with pytest.raises(UserError, match="Did you mean 'decord'"):
        backends.pick("decrod")


def test_without_ffmpeg_torchcodec_is_listed_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    line = next(str(one) for one in backends.listing() if one.name == "torchcodec")
    assert "unavailable" in line
    assert "apt-get install ffmpeg" in line
    with pytest.raises(UserError, match="apt-get install ffmpeg"):
        backends.pick("torchcodec")


def test_listing_names_every_decoder_and_its_version():
    listed = {one.name: one for one in backends.listing()}
    assert set(listed) >= {"decord", "pyav", "torchcodec"}
    assert "libavcodec" in listed["pyav"].version
    assert listed["decord"].version == "0.6.0"


def test_torch_stays_out_of_the_decoding_path():
    code = (
        "import sys; from sigma_bench.data.decode import pool, probe, decord_backend, pyav_backend, backends\n"
        "backends.pick('auto'); backends.pick('decord+pyav').version()\n"
        "import decord, av\n"
        "assert not {'torch', 'pandas', 'torchcodec'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
