"""Units of H.264 in either form, whole and torn."""

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data.decode import h264
from sigma_bench.data.decode.h264 import is_idr
from tests.data.decode import made_videos as made

PLAIN = "intra-refresh=1:keyint=10:bframes=0:scenecut=0"
SPS, SEI, IDR, SLICE = b"\x67\x01\x02", b"\x06\x05", b"\x65\x88\x84", b"\x41\x9a\x00\x00\x01"


def by_length(*units, size=4):
    return b"".join(len(unit).to_bytes(size, "big") + unit for unit in units)


def by_code(*units):
    return b"".join(b"\0\0\0\1" + unit for unit in units)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_units_that_follow_their_length(size):
    header = bytes([1, 100, 0, 40, 0xFC | (size - 1), 0xE1])
    assert is_idr(by_length(SPS, SEI, IDR, size=size), header)
    assert not is_idr(by_length(SEI, SLICE, IDR, size=size), header)


@pytest.mark.parametrize("header", [None, b"", b"\0\0\0\1\x67\x01"])
def test_units_that_follow_a_start_code(header):
    assert is_idr(by_code(SPS, SEI, IDR), header)
    assert not is_idr(by_code(SPS, SEI, SLICE), header)


@given(st.binary(max_size=64), st.sampled_from([None, b"", bytes([1, 0, 0, 0, 255]), bytes([1, 0, 0, 0, 0]), b"\1"]))
def test_any_bytes_are_answered(packet, header):
    assert is_idr(packet, header) in (True, False)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
def test_the_first_frame_of_each_container_is_a_refresh_and_recovery_points_are_not(tmp_path, ending):
    path = made.write(tmp_path / f"a.{ending}", "libx264", {"x264-params": PLAIN}, gop=250)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == h264.NAME
        found = [is_idr(bytes(packet), stream.codec_context.extradata) for packet in file.demux(stream) if packet.size]
    assert found == [True] + [False] * (made.FRAMES - 1)
