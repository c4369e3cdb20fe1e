import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data import load
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.miniatures.video import encode


class Film:
    """A backend whose frame f is filled with f, but for its columns, which count along."""

    name = backend = "film"
    height, width = 30, 40

    def __init__(self, count):
        self.count, self.asked, self.closed, self.opened = count, [], 0, 0

    def open(self, path):
        self.opened += 1
        return self

    def frames(self, indices):
        self.asked.append(list(indices))
        frames = np.zeros((len(indices), self.height, self.width, 3), np.uint8)
        frames[..., 0] = np.asarray(indices)[:, None, None]
        frames[..., 1] = np.arange(self.height)[:, None]
        frames[..., 2] = np.arange(self.width)
        return frames

    def close(self):
        self.closed += 1


@pytest.fixture
def film(monkeypatch):
    film = Film(100)
    monkeypatch.setattr(load, "recent", lambda name: film)
    return film


REQUEST = ClipRequest("a.mp4", "dense_test", frames=8, stride=4, clips=5, seed=(1, 2, 3))


def test_clips_of_a_file_are_decoded_in_one_opening(film):
    arrays, info = load_clips(REQUEST)
    assert film.opened == film.closed == len(film.asked) == 1
    assert film.asked[0] == sorted({f for clip in info["indices"] for f in clip})
    assert len(arrays) == 5
    for array, indices in zip(arrays, info["indices"], strict=True):
        assert array.shape == (8, 30, 40, 3)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert array[:, 0, 0, 0].tolist() == indices
    assert info["indices"][0][0] == 0
    assert info["indices"][-1] == list(range(68, 100, 4))
    assert (info["count"], info["used"], info["backend"], info["short"]) == (100, 100, "film", False)
    assert info["boxes"] == [(0, 0, 30, 40)] * 5
    assert not any(info["flips"])


@pytest.mark.parametrize("box", load.BOXES)
def test_crops_are_cut_at_the_recorded_boxes(film, box):
    arrays, info = load_clips(replace(REQUEST, box=box, size=20, sampling="pretraining"))
    for array, (y, x, h, w) in zip(arrays, info["boxes"], strict=True):
        assert array.shape == (8, h, w, 3)
        assert array[0, :, 0, 1].tolist() == list(range(y, y + h))
        assert array[0, 0, :, 2].tolist() == list(range(x, x + w))
    assert len(set(info["boxes"])) == (1 if box in ("full", "squashed", "center") else 5)
    assert info["boxes"][0] == {"full": (0, 0, 30, 40), "center": (0, 5, 30, 30)}.get(box, info["boxes"][0])


@pytest.mark.parametrize("sampling", ["pretraining", "dense_train", "segments_train"])
def test_draws_depend_on_the_seed_alone(film, sampling):
    request = replace(REQUEST, sampling=sampling, box="random_resized", flip=True, clips=16)
    one, two = load_clips(request), load_clips(pickle.loads(pickle.dumps(request)))
    assert one[1] == two[1]
    assert all(np.array_equal(a, b) for a, b in zip(one[0], two[0], strict=True))
    assert load_clips(replace(request, seed=(1, 2, 4)))[1]["indices"] != one[1]["indices"]
    assert len({tuple(i) for i in one[1]["indices"]}) > 8
    assert set(one[1]["flips"]) == {True, False}
    fewer = load_clips(replace(request, clips=3))[1]
    assert fewer["indices"] == one[1]["indices"][:3]  # a clip's draws do not depend on how many there are


@pytest.mark.parametrize("box", ["multi_scale", "random_resized"])
@pytest.mark.parametrize("repeats", [2, 4])
def test_repeats_are_crops_of_frames_decoded_once(film, box, repeats):
    request = replace(REQUEST, sampling="pretraining", box=box, size=20, flip=True, clips=3)
    plain, alone = load_clips(request)
    film.opened, film.asked = 0, []
    arrays, info = load_clips(replace(request, repeats=repeats))
    assert (film.opened, len(film.asked)) == (1, 1)
    assert len(arrays) == len(info["boxes"]) == len(info["flips"]) == 3 * repeats
    assert info["indices"] == alone["indices"]
    for number, (array, (y, x, h, w)) in enumerate(zip(arrays, info["boxes"], strict=True)):
        assert array[:, 0, 0, 0].tolist() == info["indices"][number // repeats]
        assert array.shape == (8, h, w, 3)
        assert (array[0, 0, 0, 1], array[0, 0, 0, 2]) == (y, x)
    # the first of each clip is the one of a request without repeats, and fewer are the first of more
    assert all(np.array_equal(a, b) for a, b in zip(arrays[::repeats], plain, strict=True))
    assert (info["boxes"][::repeats], info["flips"][::repeats]) == (alone["boxes"], alone["flips"])
    more = load_clips(replace(request, repeats=repeats + 3))[1]
    assert [more["boxes"][c * (repeats + 3) + k] for c in range(3) for k in range(repeats)] == info["boxes"]


def test_boxes_and_flips_of_repeats_are_drawn_on_their_own(film):
    request = replace(REQUEST, sampling="pretraining", box="random_resized", flip=True, clips=1, repeats=64)
    info = load_clips(request)[1]
    assert len(set(info["boxes"])) > 48
    assert 16 < sum(info["flips"]) < 48
    assert set(info["boxes"]).isdisjoint(load_clips(replace(request, seed=(1, 2, 4)))[1]["boxes"][1:8])


def test_segments_of_the_test(film):
    info = load_clips(replace(REQUEST, sampling="segments_test", clips=2))[1]
    assert info["indices"][0] == [0, 12, 25, 37, 50, 62, 75, 87]


def test_a_sample_is_a_part_of_its_file(film):
    arrays, info = load_clips(replace(REQUEST, start=40, end=80, clips=2, stride=2))
    assert min(map(min, info["indices"])) == 40
    assert max(map(max, info["indices"])) == 78
    assert (info["used"], info["cut"]) == (40, False)
    assert arrays[0][0, 0, 0, 0] == 40
    assert load_clips(replace(REQUEST, start=90, end=120))[1]["cut"]
    assert load_clips(replace(REQUEST, start=90, end=120))[1]["used"] == 10
    for start, end in ((100, 120), (50, 50), (-1, 5)):
        with pytest.raises(UserError, match=r"a\.mp4: the sample's frames"):
            load_clips(replace(REQUEST, start=start, end=end))


def test_a_short_video_says_so(film):
    film.count = 5
    arrays, info = load_clips(replace(REQUEST, sampling="pretraining", clips=1))
    assert info["short"]
    assert len(arrays[0]) == 8


def test_a_sample_may_be_given_in_seconds(film):
    film.times = np.arange(100) / 25
    arrays, info = load_clips(replace(REQUEST, start_s=1.0, end_s=2.0, clips=2, stride=2))
    assert (arrays[0][0, 0, 0, 0], max(map(max, info["indices"]))) == (25, 49)
    assert (info["used"], info["cut"]) == (25, False)
    assert load_clips(replace(REQUEST, start_s=3.0, end_s=5.0))[1]["cut"]
    assert load_clips(replace(REQUEST, start_s=1.01, end_s=1.03))[1]["indices"] == [[25] * 8] * 5
    assert load_clips(replace(REQUEST, end_s=1.0))[1]["used"] == 25
    assert load_clips(replace(REQUEST, start_s=1.0, fps=1.0))[1]["used"] == 75  # what the file says goes before
    with pytest.raises(UserError, match=r"a\.mp4: the sample's seconds 4\.5 to 5\.0 begin after the file's end"):
        load_clips(replace(REQUEST, start_s=4.5, end_s=5.0))
    with pytest.raises(UserError, match="in frames and in seconds"):
        load_clips(replace(REQUEST, start=3, start_s=1.0, end_s=2.0))


def test_frames_without_times_follow_at_the_rate_of_the_list(film):
    film.times = None
    assert load_clips(replace(REQUEST, start_s=1.0, end_s=2.0, fps=24.0))[1]["used"] == 24
    assert load_clips(replace(REQUEST, start_s=1.0, end_s=2.0, fps=24.0))[1]["indices"][0][0] == 24
    for fps in (None, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"a\.mp4: the sample is given in seconds, and neither .* rate \(fps is"):
            load_clips(replace(REQUEST, start_s=1.0, end_s=2.0, fps=fps))


def test_given_frames_are_shown_in_their_order_and_counted_from_the_sample(film):
    request = replace(REQUEST, sampling="given", indices=(7, 7, 2, 30), frames=4, clips=1)
    arrays, info = load_clips(request)
    assert arrays[0][:, 0, 0, 0].tolist() == [7, 7, 2, 30]
    assert info["short"]
    assert load_clips(replace(request, start=10))[1]["indices"] == [[17, 17, 12, 40]]
    for change, said in (
        ({"indices": (1, 2)}, "2 frames given for one clip of 4"),
        ({"clips": 2}, "4 frames given for one clip of 4"),
        ({"indices": (0, 1, 2, -1)}, "4 frames given"),
        ({"indices": (0, 1, 2, 100)}, "frame 100 is asked for; it has 100"),
    ):
        with pytest.raises(UserError, match=said):
            load_clips(replace(request, **change))


@pytest.mark.parametrize("sampling", [name for name in load.SAMPLINGS if name != "given"])
def test_a_picture_is_a_clip_that_stands_still(tmp_path, sampling):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    request = ClipRequest(str(tmp_path / "a.png"), sampling, frames=16, stride=4, clips=2)
    arrays, info = load_clips(request)
    assert info["indices"] == [[0] * 16] * 2
    assert (info["count"], info["used"], info["short"], info["backend"]) == (1, 1, True, "pillow")
    for array in arrays:
        assert np.array_equal(array, np.broadcast_to(pixels, (16, 12, 20, 3)))


def test_a_folder_of_frames_is_a_clip(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for value in range(12):
        Image.fromarray(np.full((12, 20, 3), 20 * value, np.uint8)).save(folder / f"{5 * value:05d}.png")
    request = ClipRequest(str(folder), "dense_test", frames=4, stride=2, clips=1, start_s=0.5, fps=6.0)
    arrays, info = load_clips(request)
    assert info["indices"] == [[3, 5, 7, 9]]
    assert arrays[0][:, 0, 0, 0].tolist() == [60, 100, 140, 180]
    assert info["backend"] == "pillow"


@pytest.mark.parametrize("where", [{"fps": 24.0}, {"start": 1}, {"end": 3}, {"start_s": 0.1, "fps": 24.0}])
def test_a_folder_that_lacks_a_frame_is_refused_where_the_list_counts_or_times_them(tmp_path, where):
    for number in (1, 2, 4, 5):
        Image.new("RGB", (20, 12)).save(tmp_path / f"{number:05d}.png")
    request = ClipRequest(str(tmp_path), "dense_test", frames=4)
    assert load_clips(request)[1]["count"] == 4
    with pytest.raises(DecodeError, match="frame 4 follows frame 2, where frames are 1 apart"):
        load_clips(replace(request, **where))
    Image.new("RGB", (20, 12)).save(tmp_path / "00003.png")
    assert load_clips(replace(request, **where))[1]["count"] == 5


def test_rows_of_an_index_say_where_their_samples_lie(tmp_path):
    samples = [
        Sample("a", "v/a.mp4", 0, "a", start=3, end=9),
        Sample("b", "v/b.mp4", 0, "b", start_s=1.5, end_s=2.25, fps=24.0),
    ]
    find = load.where(Index.build("test", "train", tmp_path, ["x"], samples))
    nothing = dict.fromkeys(load.WHERE)
    assert find(0) == {**nothing, "path": str(tmp_path / "v/a.mp4"), "start": 3, "end": 9}
    assert find(1) == {**nothing, "path": str(tmp_path / "v/b.mp4"), "start_s": 1.5, "end_s": 2.25, "fps": 24.0}


def test_the_reader_is_closed_whatever_happens(film, monkeypatch):
    monkeypatch.setattr(film, "frames", lambda indices: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load_clips(REQUEST)
    assert film.closed == 1


@pytest.mark.parametrize("key", ["sampling", "box"])
def test_unknown_rules_are_refused_before_the_file_is_opened(film, key):
    with pytest.raises(UserError, match=f"{key} 'round' is unknown; expected one of"):
        load_clips(replace(REQUEST, **{key: "round"}))
    assert film.opened == 0


def test_reads_a_real_file(tmp_path):
    shade = np.linspace(20, 230, 12).astype(np.uint8)
    encode(tmp_path / "a.avi", np.broadcast_to(shade[:, None, None, None], (12, 32, 32, 3)))
    request = ClipRequest(str(tmp_path / "a.avi"), "pretraining", frames=4, stride=2, clips=2, box="center", size=16)
    arrays, info = load_clips(request)
    assert info["count"] == 12
    for array, indices in zip(arrays, info["indices"], strict=True):
        assert np.abs(array.mean((1, 2, 3)) - shade[indices]).max() < 3


def test_the_job_does_not_need_torch():
    code = "import sys; import sigma_bench.data.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TimedFilm(Film):
    """The same at 30 frames a second."""

    times = np.arange(100) / 30


def test_frames_counted_at_another_rate_are_those_on_the_screen_then(monkeypatch):
    monkeypatch.setattr(load, "recent", lambda name: TimedFilm(100))
    request = replace(REQUEST, sampling="windows_test", stride=8, clips=2, count_fps=24)
    arrays, info = load_clips(request)
    assert info["counted"] == [list(range(0, 64, 8)), list(range(80 - 57, 80, 8))]
    assert info["indices"] == [[0, 10, 20, 30, 40, 50, 60, 70], [29, 39, 49, 59, 69, 79, 89, 99]]
    assert arrays[1][:, 0, 0, 0].tolist() == info["indices"][1]
    part = load_clips(replace(request, start=10, end=100, clips=1))[1]
    assert part["counted"][0][0] == (72 - 57) // 2
    assert part["indices"][0][0] == 10 + 9


def test_frames_without_times_are_counted_at_the_rate_of_the_list_or_not_at_all(monkeypatch):
    film = TimedFilm(100)
    film.times = None
    monkeypatch.setattr(load, "recent", lambda name: film)
    request = replace(REQUEST, sampling="windows_test", clips=1, count_fps=24)
    assert (
        load_clips(replace(request, fps=24))[1]["indices"] == load_clips(replace(request, count_fps=None))[1]["indices"]
    )
    assert load_clips(replace(request, fps=48))[1]["indices"][0] == [20 + 8 * k for k in range(8)]
    with pytest.raises(UserError, match="frames are counted at 24 a second, and neither the file says"):
        load_clips(request)


def test_a_clip_of_windows_repeats_the_frames_of_a_short_video(monkeypatch):
    monkeypatch.setattr(load, "recent", lambda name: Film(1))
    for sampling in ("windows_test", "windows_train"):
        arrays, info = load_clips(replace(REQUEST, sampling=sampling, stride=8, clips=3))
        assert info["counted"] == [[0] * 8] * 3
        assert info["short"]
        assert [array.shape[0] for array in arrays] == [8] * 3
