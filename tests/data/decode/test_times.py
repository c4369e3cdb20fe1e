import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.backends import Chain, pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.member import MemberReader
from sigma_bench.data.decode.pyav_backend import Backend as Pyav
from sigma_bench.data.decode.recent import KeptReader, Recent
from sigma_bench.data.decode.scan import Scan

sys.path.insert(0, str(Path(__file__).parent))
import made_videos as made

sys.path.pop(0)

DECODERS = ("decord", "pyav", "torchcodec")
AT_25 = np.arange(made.FRAMES) / 25


@pytest.fixture(params=DECODERS)
def decoder(request):
    try:
        return pick(request.param)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "name", ["demo_h264_340x256.mp4", "part0_32frames.mp4", "fire_vfr_rot180_aac.mp4", "bunny_vp8_vorbis.webm"]
)
def test_times_are_those_of_the_decoded_frames(shared, decoder, name):
    path = shared / "real/videos" / name
    with av.open(str(path)) as video:
        stamps = np.array([frame.time for frame in video.decode(video=0)])
    times = decoder.open(path).times
    assert times.dtype == np.float64
    np.testing.assert_allclose(times, stamps - stamps[0], rtol=0, atol=1e-12)


def test_the_first_shown_frame_is_second_nought(tmp_path):
    whole = made.write(tmp_path / "whole.mp4", "libx264")
    np.testing.assert_allclose(pick("pyav").open(whole).times, AT_25, atol=1e-12)
    hidden = pick("pyav").open(made.hide(whole, tmp_path / "hidden.mp4", 7))
    np.testing.assert_allclose(hidden.times, AT_25[:33], atol=1e-12)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mpg", "mpeg2video")])
@pytest.mark.parametrize("decoder", ["decord", "pyav"], indirect=True)
def test_without_time_stamps_frames_follow_at_the_stated_rate(tmp_path, decoder, name, codec):
    reader = decoder.open(made.write(tmp_path / name, codec, size=(48, 80)))
    np.testing.assert_allclose(reader.times, AT_25, atol=1e-12)


def test_without_time_stamps_and_rate_there_are_no_times():
    scan = Scan("a", 0, 3, 0, 4, 4, 0, (), (), frozenset(), Fraction(1, 25), None)
    assert scan.seconds is None
    ntsc = Scan("a", 0, 3, 0, 4, 4, 0, (), (), frozenset(), Fraction(1, 25), Fraction(30000, 1001))
    assert ntsc.seconds.tolist() == [0, 1001 / 30000, 2002 / 30000]
    stamped = Scan("a", 0, 3, 0, 4, 4, 0, (7, 8, 10), (), frozenset(), Fraction(1001, 30000), Fraction(1))
    assert stamped.seconds.tolist() == [0, 1001 / 30000, 3003 / 30000]


def test_kept_packed_and_chained_files_have_the_times_of_the_file(tmp_path):
    path = made.write(tmp_path / "a.mp4", "libx264")
    kept = Recent(Pyav()).open(path)
    assert isinstance(kept, KeptReader)
    packed = MemberReader(Pyav(), path, path.read_bytes())

    class Fails(Pyav):
        name = "fails"

        def open(self, path):
            reader = Pyav().open(path)
            reader.backend, reader.frames = "fails", self.fail
            return reader

        def fail(self, indices):
            raise DecodeError("a.mp4", "no")

    chained = Chain(Fails(), Pyav()).open(path)
    np.testing.assert_allclose(chained.times, AT_25, atol=1e-12)
    chained.frames([0])
    assert chained.backend == "pyav"
    for reader in (kept, packed, chained):
        np.testing.assert_allclose(reader.times, AT_25, atol=1e-12)
