import av
import numpy as np
import pytest
from scipy.io import loadmat

from sigma_bench.data.datasets import ucfrep as reader
from sigma_bench.data.miniatures import cycles, ucfrep
from sigma_bench.data.repetition import cycle_offsets


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    place = tmp_path_factory.mktemp("data") / "miniature" / "ucfrep"
    return ucfrep.write(place, size_px=32, train_groups=2, val_groups=1)


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, val = (reader.read(tiny.root, split) for split in reader.SPLITS)
    assert (train.count, val.count, tiny.files) == (10, 5, 2 * 15 + 5)
    assert train.classes == val.classes == cycles.MOTIONS
    assert train.missing() == val.missing() == train.notes == ()
    groups = [set(index.table.column("group").to_pylist()) for index in (train, val)]
    assert not groups[0] & groups[1]
    for index in (train, val):
        for row in range(index.count):
            sample = index.sample(row)
            assert sample.end <= len(decoded(index.path(row)))


def test_annotations_have_the_official_fields(tiny):
    index = reader.read(tiny.root, "train")
    sample = index.sample(3)
    path = tiny.root / "annotations" / "train" / f"{sample.id}.mat"
    label = loadmat(path)["label"]
    assert label.shape == (1, 1)
    assert list(label.dtype.names) == [
        "duration",
        "start_frame",
        "end_frame",
        "temporal_bound_num",
        "temporal_bound",
        "offset_next_estimate",
        "offset_pre_estimate",
    ]
    assert all(label[0, 0][name].dtype == np.uint8 for name in label.dtype.names[:5])
    assert label[0, 0]["temporal_bound"].shape == (len(sample.boundaries), 1)
    following, previous = cycle_offsets(sample.boundaries)
    np.testing.assert_array_equal(label[0, 0]["offset_next_estimate"], following[None])
    np.testing.assert_array_equal(label[0, 0]["offset_pre_estimate"], previous[None])
    assert b"Created on" not in path.read_bytes()
    text = (tiny.root / "annotations" / "repetition_label" / f"{index.classes[sample.label]}.txt").read_text()
    entries = dict(entry.strip().split("\n") for entry in text.strip().split("\n\n\n"))
    assert [int(frame) - 1 for frame in entries[sample.id].split()] == list(sample.boundaries)


def test_an_annotation_beyond_a_byte_is_wider(tmp_path):
    (tmp_path / "x.mat").write_bytes(ucfrep.annotation([200, 240, 290]))
    label = loadmat(tmp_path / "x.mat")["label"][0, 0]
    assert (label["start_frame"].dtype, label["end_frame"].dtype) == (np.uint8, np.uint16)
    assert label["temporal_bound"].ravel().tolist() == [201, 241, 291]
    found = reader.ucfrep_mat.read(tmp_path / "x.mat")
    assert (found.start, found.end, found.boundaries) == (200, 291, (200, 240, 290))


@pytest.mark.parametrize("motion", cycles.MOTIONS)
def test_cycles_repeat_what_is_shown(motion):
    rng = np.random.default_rng(3)
    drawn = cycles.draw(motion, rng)
    clip = cycles.render(drawn, [6, 26, 46, 66], 74, 32).astype(np.float32)
    still = cycles.render(drawn, [6, 10**6, 2 * 10**6], 74, 32)
    behind = np.abs(clip[7:67] - still[7:67]).mean()
    apart = [np.abs(clip[6 : 67 - lag] - clip[6 + lag : 67]).mean() for lag in range(1, 41)]
    assert apart[19] < 0.6 * np.mean(apart)  # 20 frames on the same is seen but for the drift behind it
    assert np.argmin(apart[3:30]) + 4 == 20
    assert behind > 1
    for frame in (0, 73):  # before and after it the object is elsewhere
        assert min(np.abs(clip[frame] - clip[k]).mean() for k in range(6, 67)) > 1.2 * apart[0]


def test_nothing_but_the_pictures_tells_the_count():
    clips = [
        clip for split, groups in (("train", 12), ("val", 4)) for clip in ucfrep._clips(0, split, range(1, 1 + groups))
    ]
    counts = np.array([len(clip.bounds) - 1 for clip in clips])
    assert set(counts) == set(range(2, 13))
    spans = np.array([clip.bounds[-1] - clip.bounds[0] for clip in clips])
    assert abs(np.corrcoef(counts, spans)[0, 1]) < 0.25
    assert abs(np.corrcoef(counts, [clip.frames for clip in clips])[0, 1]) < 0.25
    by_class = [counts[[clip.motion == motion for clip in clips]].mean() for motion in cycles.MOTIONS]
    assert np.ptp(by_class) < 3
    for clip in clips:
        lengths = np.diff(clip.bounds)
        assert lengths.min() >= 4
        assert lengths.max() <= np.ceil(1.4 * lengths.min()) + 1
        assert clip.bounds[-1] < clip.frames <= 126
    starts = [clip.bounds[0] for clip in clips]
    assert 0.2 < np.mean(np.array(starts) == 0) < 0.8


def test_the_count_can_be_had_from_the_pictures(tiny):
    """The lag at which a clip is most like itself gives the count, as the median over the clips."""
    errors = []
    for split in reader.SPLITS:
        index = reader.read(tiny.root, split)
        for row in range(index.count):
            sample = index.sample(row)
            frames = decoded(index.path(row))[sample.start : sample.end].astype(np.float32).mean(-1)
            apart = np.array(
                [((frames[lag:] - frames[: len(frames) - lag]) ** 2).mean() for lag in range(len(frames) - 6)]
            )
            dips = [k for k in range(4, len(apart) - 1) if apart[k] <= min(apart[k - 1], apart[k + 1])] or [len(apart)]
            deep = apart[dips].min() + 0.35 * (apart.max() - apart[dips].min()) if len(apart) > dips[0] else 0
            lag = next((k for k in dips if k < len(apart) and apart[k] <= deep), dips[0])
            count = len(sample.boundaries) - 1
            errors.append(abs(round(len(frames) / lag) - count) / count)
    assert np.median(errors) < 0.1


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones(tiny, tmp_path):
    again = ucfrep.write(tmp_path / "again", size_px=32, train_groups=2, val_groups=1)
    assert not again.reused
    assert again.sha256 == tiny.sha256
    other = ucfrep.write(tmp_path / "other", 1, size_px=16, train_groups=1, val_groups=1)
    assert reader.read(other.root, "train").sample(0).boundaries != reader.read(tiny.root, "train").sample(0).boundaries
    assert decoded(reader.read(other.root, "val").path(0)).shape[1:] == (16, 16, 3)


@pytest.mark.parametrize("setting", [{"train_groups": 21}, {"val_groups": 0}, {"size_px": 33}])
def test_settings_out_of_range_are_refused(tmp_path, setting):
    with pytest.raises(ValueError, match="expected an even size"):
        ucfrep.write(tmp_path / "mini", **setting)
