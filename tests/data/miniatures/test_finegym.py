"""The miniature of FineGym: untrimmed videos, official lists and times, all four parts from one folder."""

import json
from collections import Counter
from itertools import pairwise

import av
import numpy as np
import pytest

from sigma_bench import registry
from sigma_bench.data.datasets import finegym as reader
from sigma_bench.data.datasets.finegym_uncut import INFO
from sigma_bench.data.miniatures import course, finegym, scene
from sigma_bench.data.miniatures.gym_elements import ELEMENTS, LABELS99, LABELS288


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return finegym.write(tmp_path_factory.mktemp("data") / "finegym", size_px=16, fine=2, coarse=1)


def indices(tiny, name):
    return [registry.get("datasets", name)(tiny.root, split) for split in ("train", "val")]


@pytest.mark.parametrize(("name", "classes"), [("gym99", 99), ("gym288", 288), ("fx_s1", 11), ("ub_s1", 15)])
def test_the_reader_of_the_real_data_set_reads_it_uncut(tiny, name, classes):
    train, val = indices(tiny, name)
    assert len(train.classes) == classes == len(set(train.classes))
    assert set(train.labels.tolist()) == set(range(classes))
    if name != "gym288":
        assert set(val.labels.tolist()) == set(range(classes))
    assert train.missing() == val.missing() == ()
    assert train.notes == val.notes == ("cut from untrimmed videos by finegym_annotation_info_v1.0.json",)
    groups = [set(index.table.column("group").to_pylist()) for index in (train, val)]
    assert not groups[0] & groups[1]
    if name == "gym288":
        assert {g[0] for g in groups[0]} >= {"-", "_"}


def test_parts_are_fine_grained_sets_of_one_event(tiny):
    assert (len(ELEMENTS), len(LABELS99)) == (288, 99)
    for name, event in (("fx_s1", "(FX) up,"), ("ub_s1", "(UB) up,")):
        assert {text[:8] for text in indices(tiny, name)[0].classes} == {event}
    for element, label in LABELS99.items():
        assert indices(tiny, "gym99")[0].classes[label] == indices(tiny, "gym288")[0].classes[LABELS288[element]]
        break
    labels = [LABELS288[e] for e in LABELS99]
    assert labels == sorted(labels)


def test_elements_lie_in_their_videos_one_after_the_other(tiny):
    spans = {}
    for index in indices(tiny, "gym288"):
        for row in range(index.count):
            sample = index.sample(row)
            spans.setdefault(index.path(row), []).append((sample.start_s, sample.end_s))
    lengths = Counter()
    for path, own in list(spans.items())[::5]:
        with av.open(str(path)) as container:
            times = np.array([frame.time for frame in container.decode(video=0)])
            assert container.streams.video[0].average_rate == finegym.RATE
        own.sort()
        assert all(before[1] < after[0] for before, after in pairwise(own))
        for start, end in own:
            lengths[int(((times >= start) & (times < end)).sum())] += 1
            assert start > times[1]
            assert end < times[-1]
    assert set(lengths) <= {1, *range(finegym.LENGTHS[0], finegym.LENGTHS[1] + 1)}
    assert len(lengths) >= 3


def test_each_side_has_an_element_of_one_frame(tiny):
    for index in indices(tiny, "gym99"):
        starts, ends = (index.table.column(c).to_numpy() for c in ("start_s", "end_s"))
        assert ((ends - starts) < 0.0401).sum() == 1


def test_length_says_nothing_of_the_label(tiny):
    train = indices(tiny, "gym288")[0]
    starts, ends = (train.table.column(c).to_numpy() for c in ("start_s", "end_s"))
    for factor in (lambda e: e.event, lambda e: e.variant // 9, lambda e: e.set):
        kinds = np.array([factor(ELEMENTS[label]) for label in train.labels])
        means = [(ends - starts)[kinds == k].mean() for k in np.unique(kinds)]
        assert np.ptp(means) < 0.06  # of 0.32 to 0.64 seconds


def test_files_are_of_the_official_form(tiny):
    place = tiny.root / "annotations"
    info = json.loads((place / INFO[0]).read_text())
    events = [event for video in info.values() for event in video.values()]
    assert all(list(event) == ["event", "segments", "timestamps"] for event in events)
    assert sum(event["segments"] is None for event in events) == 2
    stages = {
        (event["event"], s["stages"], len(s["timestamps"]))
        for event in events
        for s in (event["segments"] or {}).values()
    }
    assert stages == {(1, 3, 3), (2, 1, 1), (3, 1, 1), (4, 1, 1)}
    assert (place / "gym99_train_element_v1.0.txt").read_text().endswith("\n")
    assert not (place / "gym99_val_element.txt").read_text().endswith("\n")
    first = (place / "gym99_categories.txt").read_text().splitlines()[0]
    assert first == "Clabel: 0; set: 1; Glabel: 1; (VT) up, one way, shrinking, no turn"
    assert reader.gym288_splits(tiny.root) == ("train", "val")


def test_mirrored_elements_keep_their_class():
    element = ELEMENTS[2 * len(ELEMENTS) // 4 - 16]  # sideways, with a turn
    ways = [element.action(side).course(9) for side in (1, -1)]
    seen = course.actor("plaid", "plaid", np.random.default_rng(0))
    for name, sign in (("x", -1), ("turn", -1), ("y", 1), ("grow", 1)):
        assert np.array_equal(getattr(ways[0], name), sign * getattr(ways[1], name))
    assert not np.array_equal(*(course.render(seen, way, 16) for way in ways))
    assert scene.PATTERNS[element.event] == "rows"


def test_the_same_seed_gives_the_same_bytes(tiny, tmp_path):
    assert finegym.write(tmp_path / "again", size_px=16, fine=2, coarse=1).sha256 == tiny.sha256
    assert finegym.write(tmp_path / "other", 1, size_px=16, fine=1, coarse=1).sha256 != tiny.sha256
    with pytest.raises(ValueError, match="expected an even size"):
        finegym.write(tmp_path / "none", coarse=0)


def test_what_happens_is_what_the_label_says_with_objects_of_their_own(tmp_path, monkeypatch):
    drawn, shown = [], {}
    names = ("x", "y", "grow", "turn")

    def render(seen, way, size):
        if not seen.radius:  # the empty hall, which a video comes back to
            return np.full((len(way.x), 5), -1.0)
        drawn.append((*seen.object.phase, *seen.background.phase))
        pattern = np.full(len(way.x), scene.PATTERNS.index(seen.object.pattern))
        return np.stack([pattern, *(getattr(way, name) for name in names)], axis=1)

    def encode(path, frames, rate):
        shown[path.name] = frames
        path.touch()

    monkeypatch.setattr(finegym.course, "render", render)
    monkeypatch.setattr(finegym, "encode", encode)
    root = finegym.write(tmp_path / "finegym", fine=1, coarse=1).root
    events = Counter()
    for split in ("train", "val"):
        index = reader.gym288(root, split)
        for row in range(index.count):
            sample = index.sample(row)
            element = ELEMENTS[sample.label]
            first, last = (int(np.ceil(finegym.RATE * t)) for t in (sample.start_s, sample.end_s))
            part = shown[sample.path][first:last]
            assert (part[:, 0] == element.event).all()
            typical = element.action(1).course(len(part))
            for name, found in zip(names, part[:, 1:].T, strict=True):
                wanted = getattr(typical, name)
                share = (found @ wanted) / (wanted @ wanted) if wanted.any() else 1
                assert 0.8 - 1e-6 <= (abs(share) if name in ("x", "turn") else share) <= 1.2 + 1e-6
                assert np.allclose(found, share * wanted, atol=1e-6)
            events[sample.path] += 1
    assert max(events.values()) > 10  # several events in a video, of several elements each
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("element", ELEMENTS)
def test_an_element_does_what_its_name_says(element):
    way = element.action(1).course(9)
    back = "and back" in element.text
    went = {name: getattr(way, name)[4 if back else 8] - getattr(way, name)[0] for name in ("x", "y", "grow", "turn")}
    for name in went:
        assert (getattr(way, name)[0] == getattr(way, name)[8]) == (back or not went[name])
    place, _, size, turned = element.text.split(") ")[1].split(", ")
    assert {"shrinking": -1, "of one size": 0, "growing": 1}[size] == np.sign(went["grow"])
    assert {"no turn": 0, "half a turn": 0.5, "a whole turn": 1}[turned] == pytest.approx(went["turn"])
    signs = {"up": (0, -1), "down": (0, 1), "sideways": (1, 0), "up and aside": (1, -1)}
    assert (np.sign(went["x"]), np.sign(went["y"])) == signs[place]
