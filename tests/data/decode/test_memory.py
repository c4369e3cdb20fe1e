"""However many files a decoding process opens, sound and damaged ones, it does not grow."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sigma_bench.data.decode import torchcodec_backend
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.decode.recent import KEPT
from sigma_bench.data.load import ClipRequest
from sigma_bench.data.miniatures.video import encode

sys.path.insert(0, str(Path(__file__).parent))
import made_videos as made

sys.path.pop(0)

BOUND_MB = 100
DECODERS = ("decord", "pyav", "torchcodec")


def resident_mb(pid):
    """Memory that a process shares with no file and no other process, MB."""
    resident, shared = (int(n) for n in Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    return (resident - shared) * 4096 / 2**20


def growth(decoder, paths, opens):
    """Open `opens` times one of `paths` in one process; return MB gained after each was opened once, and errors."""
    if decoder == "torchcodec" and torchcodec_backend.Backend().unavailable():
        pytest.skip(torchcodec_backend.Backend().unavailable())
    with DecodePool("sigma_bench.data.load:load_clips", 1) as pool:

        def open_all(first, count):
            asked = (
                ClipRequest(str(paths[n % len(paths)]), "dense_train", 8, 2, box="random_resized", seed=(n,),
                            backend=decoder, fps=25.0)
                for n in range(first, first + count)
            )  # fmt: skip
            return [result.error for result in pool.map(asked, ahead=2)]

        open_all(0, min(len(paths), 30))
        (pid,) = pool.pids()
        before = resident_mb(pid)
        errors = open_all(30, opens)
        gained = resident_mb(pid) - before
        assert pool.pids() == [pid], "the process was replaced: its memory says nothing"
        assert pool.stats.respawned == pool.stats.recycled == 0
    return gained, errors


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """Videos of several kinds and sizes, a still picture, a folder of frames, and damaged ones of each."""
    folder = tmp_path_factory.mktemp("varied")
    paths = [
        made.write(folder / "a.mp4", "libx264", size=(240, 320)),
        made.write(folder / "b.avi", "mpeg4", size=(144, 176)),
        made.write(folder / "c.webm", "libvpx", size=(96, 128), frames=10),
        folder / "d.jpg",
        folder / "frames",
        folder / "cut.mp4",
        folder / "empty.mp4",
        folder / "text.avi",
        folder / "cut.jpg",
        folder / "absent.mp4",
    ]
    Image.fromarray(made.picture(3, 480, 640)).save(folder / "d.jpg")
    (folder / "frames").mkdir()
    for number in range(12):
        Image.fromarray(made.picture(number, 240, 320)).save(folder / "frames" / f"{number:05d}.jpg")
    (folder / "cut.mp4").write_bytes(paths[0].read_bytes()[:5000])
    (folder / "cut.jpg").write_bytes((folder / "d.jpg").read_bytes()[:3000])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.avi").write_text("no video")
    return paths


@pytest.mark.parametrize("decoder", DECODERS)
def test_two_hundred_opens(varied, decoder):
    gained, errors = growth(decoder, varied, 200)
    assert gained < 20
    assert sum(error is None for error in errors) >= 80
    assert sum(error is not None for error in errors) >= 100 * (decoder != "torchcodec")


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_two_thousand_opens_of_real_and_damaged_files(shared, decoder):
    real = shared / "real"
    folders = [path for path in sorted((real / "sequences").glob("*/JPEGImages")) if any(path.iterdir())]
    paths = [path for kind in ("videos", "corrupt", "images") for path in sorted((real / kind).iterdir())] + folders
    gained, errors = growth(decoder, paths, 2000)
    assert gained < BOUND_MB
    assert sum(error is None for error in errors) > 1000


@pytest.mark.slow
def test_two_thousand_thumbnails_are_kept_within_the_bound(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (16, 32, 32, 3), dtype=np.uint8)
    encode(tmp_path / "v.avi", frames)
    data = (tmp_path / "v.avi").read_bytes()
    paths = [tmp_path / f"{number}.avi" for number in range(2000)]
    for path in paths:
        path.write_bytes(data)
    gained, errors = growth("pyav", paths, 2000)
    assert not any(errors)
    assert KEPT / 2**20 * 0.9 < gained < BOUND_MB
