import csv
from itertools import combinations

import av
import numpy as np
import pytest

from sigma_bench.data.datasets import charades as reader
from sigma_bench.data.frame_labels import frame_labels
from sigma_bench.data.miniatures import activity, charades


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return charades.write(tmp_path_factory.mktemp("data") / "miniature" / "charades", train=24, test=12)


def decoded(path):
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 24
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def rows(root, split):
    with open(root / "Charades" / f"Charades_v1_{split}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_reader_of_the_real_data_set_reads_it(tiny):
    train, test = (reader.read(tiny.root, split) for split in reader.SPLITS)
    assert (train.count, test.count, tiny.files) == (24, 12, 24 + 12 + 3)
    assert train.classes == activity.CLASSES
    assert train.missing() == test.missing() == train.notes == test.notes == ()
    groups = [set(index.table.column("group").to_pylist()) for index in (train, test)]
    assert [len(group) for group in groups] == [6, 3]
    assert not groups[0] & groups[1]
    assert not set(train.ids) & set(test.ids)
    numbers = [name for name in train.ids if name[1] == "E" and name.replace("E", "").isdigit()]
    assert len(numbers) >= 3
    assert all(float(name) >= 0 for name in numbers)


def test_lists_have_what_makes_the_real_ones_hard():
    videos = [charades._video("00000", k, np.random.default_rng((0, 1, k))) for k in range(220)]
    lengths = [charades._hundredths(video.frames) for video in videos]
    assert (min(lengths), max(lengths)) == (300, 600)
    assert {len(video.actions) for video in videos} == {0, 1, 2, 3, 4}
    beyond = sum(end > n for video, n in zip(videos, lengths, strict=True) for _, _, end in video.actions)
    actions = sum(len(video.actions) for video in videos)
    assert 0.2 < beyond / actions < 0.7
    shown = np.bincount([label for video in videos for label, _, _ in video.actions], minlength=10)
    assert shown.min() > 30  # of 220 videos
    longer = [len(video.actions) for video, n in zip(videos, lengths, strict=True) if n > np.median(lengths)]
    assert abs(np.mean(longer) - actions / len(videos)) < 0.3  # the length does not tell how many


def test_texts_hold_commas_and_quotes(tiny):
    for row in rows(tiny.root, "train"):
        assert '"look at this", and' in row["script"]


def test_a_frame_shows_an_action_exactly_while_it_lasts(tiny):
    """The background alone is seen in a corner at all other times."""
    index = reader.read(tiny.root, "train")
    compared = 0
    for row in range(index.count):
        sample = index.sample(row)
        frames = decoded(index.path(row)).astype(np.float32)
        times = round(float(rows(tiny.root, "train")[row]["length"]) * 24)
        assert len(frames) == times
        if not sample.actions:
            continue
        labels = frame_labels(sample.actions, len(frames), 10)
        empty = np.flatnonzero(~labels.any(1))
        if not len(empty):
            continue
        blinking = labels[:, activity.CLASSES.index(activity.BLINKING)]
        differs = np.abs(frames - frames[empty[0]]).mean(-1)
        things = (differs[:, 8:24:16, 8:24:16] > 12).any((1, 2)) | (differs > 25).any((1, 2))
        steady = ~blinking | (labels.sum(1) > 1)
        np.testing.assert_array_equal(things[steady], labels.any(1)[steady])
        compared += 1
    assert compared > 5


@pytest.mark.parametrize("name", activity.CLASSES)
def test_what_a_class_says_is_seen(name):
    drawn = activity.draw(name, 3, 2, 60, np.random.default_rng(1))
    behind = activity.surface("diagonal", activity.GREY, (0.05, 0.06), np.random.default_rng(2))
    clip = activity.render([drawn], behind, 64, 32).astype(np.float32)
    patch = clip[2:61, 20:28, 20:28]
    assert (clip[0] == clip[63]).all()
    assert (clip[:, :16] == clip[0, :16]).all()  # nothing beside its corner
    if name in activity.COLOURS:
        channel = int(np.argmax(activity.COLOURS[name]))
        assert patch.mean((0, 1, 2)).argmax() == channel
        return
    assert np.ptp(patch, axis=-1).max() <= 1  # grey
    grey = patch[..., 0]
    if name in activity.STRIPES:
        along, across = np.abs(np.diff(grey, axis=1)).mean(), np.abs(np.diff(grey, axis=2)).mean()
        assert (across > 3 * along) == (name == "Showing upright stripes")
    if name in activity.FLOWING:
        step_x, step_y = activity.FLOWING[name]
        gap = round(1 / (drawn.speed * 32))  # frames for one pixel
        pairs = {
            (x, y): np.abs(np.roll(grey, (y, x), (1, 2))[:-gap, 1:-1, 1:-1] - grey[gap:, 1:-1, 1:-1]).mean()
            for x, y in activity.FLOWING.values()
        }
        assert min(pairs, key=pairs.get) == (step_x, step_y)
    elif name != activity.BLINKING:
        assert (grey == grey[0]).all()
    else:
        shown = np.abs(clip[2:61] - clip[0]).max((1, 2, 3)) > 8
        assert 0.3 < shown.mean() < 0.8
        assert np.diff(shown).sum() >= 3


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones(tiny, tmp_path):
    again = charades.write(tmp_path / "again", train=24, test=12)
    assert not again.reused
    assert again.sha256 == tiny.sha256
    assert charades.write(tiny.root, train=24, test=12).reused
    other = charades.write(tmp_path / "other", 1, train=4, test=4, size_px=16)
    assert set(reader.read(other.root, "train").ids).isdisjoint(reader.read(tiny.root, "train").ids)
    assert decoded(reader.read(other.root, "test").path(0)).shape[1:] == (16, 16, 3)


@pytest.mark.parametrize("setting", [{"train": 3}, {"test": 6}, {"size_px": 33}])
def test_settings_out_of_range_are_refused(tmp_path, setting):
    with pytest.raises(ValueError, match="expected an even size"):
        charades.write(tmp_path / "mini", **setting)


def test_a_background_is_of_one_subject(tiny):
    homes = {}
    for index in (reader.read(tiny.root, split) for split in reader.SPLITS):
        for row in range(index.count):
            sample = index.sample(row)
            frames = decoded(index.path(row))
            free = ~frame_labels(sample.actions, len(frames), len(activity.CLASSES)).any(1)
            if free.any():
                homes.setdefault(sample.group, []).append(frames[free][0].astype(float))
    assert len(homes) > 5
    own = [np.abs(a - b).mean() for of in homes.values() for a, b in combinations(of, 2)]
    others = [np.abs(a[0] - b[0]).mean() for a, b in combinations(homes.values(), 2)]
    assert len(own) > 5
    assert max(own) < 2 < min(others)
