import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.data import boxes, clips


@pytest.fixture(scope="module")
def vectors(golden):
    return json.loads((golden / "frame_sampling.json").read_text())


def rng(case):
    return np.random.RandomState(case["np_seed"])


def test_pretraining_equals_reference(vectors):
    for case in vectors["pretrain"]:
        got = clips.pretraining(case["n_frames"], 16, case["stride"], rng(case))
        assert got.tolist() == case["indices"], case


def test_dense_train_equals_reference(vectors):
    for case in vectors["k400_train"]:
        assert clips.dense_train(case["n_frames"], 16, case["rate"], rng(case)).tolist() == case["indices"], case


@pytest.mark.parametrize("part", ["ssv2_train", "ssv2_val"])
def test_segments_train_equals_reference(vectors, part):
    for case in vectors[part]:
        assert clips.segments_train(case["n_frames"], 16, rng(case)).tolist() == case["indices"], case


def test_dense_test_and_crops_equal_reference(vectors):
    for case in vectors["k400_test"]:
        got = clips.dense_test(case["n_frames"], 16, case["rate"], case["test_num_segment"])
        crops = boxes.along(case["h"], case["w"], case["test_num_crop"])
        assert len(case["views"]) == case["test_num_segment"] * case["test_num_crop"]
        for view in case["views"]:
            assert got[view["segment"]].tolist() == view["frames"], case
            assert crops[view["crop"]] == (view["y0"], view["x0"], *view["shape"][2:]), case


def test_segments_test_and_crops_equal_reference(vectors):
    for case in vectors["ssv2_test"]:
        got = clips.segments_test(case["n_frames"], 16, 2)
        crops = boxes.along(case["h"], case["w"], 3)
        for view in case["views"]:
            assert got[view["segment"]].tolist() == view["frames"], case
            assert crops[view["crop"]] == (0, view["x0"], *view["shape"][2:]), case


def test_pretraining_stops_before_the_end_is_reached():
    got = clips.pretraining(10, 8, 1, np.random.RandomState(0))
    assert got.max() <= 8
    assert clips.pretraining(1, 4, 2, np.random.RandomState(0)).tolist() == [0, 0, 0, 0]


def test_one_test_clip_is_the_middle_one():
    assert clips.dense_test(10, 8, 1, 1).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert clips.segments_test(16, 4, 1).tolist() == [[2, 6, 10, 14]]


@given(
    n=st.integers(1, 400),
    frames=st.integers(1, 32),
    stride=st.integers(1, 8),
    views=st.integers(1, 10),
    seed=st.integers(0, 9),
)
def test_every_rule_gives_ordered_frames_of_the_video(n, frames, stride, views, seed):
    source = np.random.RandomState(seed)
    trains = [
        clips.pretraining(n, frames, stride, source),
        clips.dense_train(n, frames, stride, source),
        clips.segments_train(n, frames, source),
    ]
    tests = [clips.dense_test(n, frames, stride, views), clips.segments_test(n, frames, views)]
    assert all(t.shape == (frames,) for t in trains)
    assert all(t.shape == (views, frames) for t in tests)
    for got in [*trains, *np.concatenate(tests)]:
        assert got.dtype == np.int64
        assert got.min() >= 0
        assert got.max() < n
        assert (np.diff(got) >= 0).all()


def test_counts_below_one_are_refused():
    with pytest.raises(ValueError, match="n is 0"):
        clips.dense_test(0, 16, 4, 1)
    with pytest.raises(ValueError, match="stride is 0"):
        clips.pretraining(10, 16, 0, np.random.RandomState(0))


def test_windows_test_equals_reference(golden):
    with np.load(golden / "charades_test_frames.npz") as vectors:
        for frames in (16, 32):
            for n, wanted in zip(vectors["lengths"].tolist(), vectors[f"frames{frames}"], strict=True):
                assert clips.windows_test(n, frames, int(vectors["stride"]), 10).tolist() == wanted.tolist(), n


@given(st.integers(1, 400), st.integers(1, 20), st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_windows_are_evenly_spaced_and_inside(n, frames, stride, count, seed):
    drawn = clips.windows_train(n, frames, stride, np.random.RandomState(seed))
    every = clips.windows_test(n, frames, stride, count)
    assert drawn.dtype == every.dtype == np.int64
    for clip in (drawn, *every):
        assert 0 <= clip.min() <= clip.max() < n
        steps = np.diff(clip)
        inner = steps[(clip[:-1] > 0) & (clip[1:] < n - 1)]
        assert (inner == stride).all()
        if (frames - 1) * stride < n:
            assert (steps == stride).all()
    assert (np.diff(every[:, 0]) >= 0).all()


def test_windows_train_starts_everywhere_and_before_a_short_video():
    starts = {int(clips.windows_train(20, 4, 5, np.random.RandomState(seed))[0]) for seed in range(60)}
    assert starts == {0, 1, 2, 3, 4}
    short = {tuple(clips.windows_train(3, 4, 2, np.random.RandomState(seed)).tolist()) for seed in range(80)}
    assert short == {(0, 2, 2, 2), (0, 1, 2, 2), (0, 0, 2, 2), (0, 0, 1, 2), (0, 0, 0, 2)}
    assert clips.windows_train(1, 4, 2, np.random.RandomState(0)).tolist() == [0, 0, 0, 0]


def test_windows_test_ends_with_the_video():
    assert clips.windows_test(25, 4, 5, 3)[:, 0].tolist() == [0, 4, 9]
    assert clips.windows_test(25, 4, 5, 3)[-1, -1] == 24
    assert clips.windows_test(25, 4, 5, 1)[:, 0].tolist() == [4]
    assert clips.windows_test(3, 4, 2, 2).tolist() == [[0, 2, 2, 2]] * 2
    with pytest.raises(ValueError, match="stride is 0"):
        clips.windows_test(3, 4, 0, 2)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 60), frames=st.integers(1, 20), seed=st.integers(0, 99))
def test_scattered_frames_are_different_sorted_and_from_all_of_the_video(n, frames, seed):
    found = clips.scattered(n, frames, np.random.RandomState(seed))
    assert found.dtype == np.int64
    assert len(found) == frames
    assert (np.diff(found) >= 0).all()
    assert 0 <= found[0] <= found[-1] < n
    assert len(set(found.tolist())) == frames or n < frames


def test_scattered_frames_cover_all_places_alike():
    counts = np.bincount(np.concatenate([clips.scattered(20, 4, np.random.RandomState(s)) for s in range(3000)]))
    assert len(counts) == 20
    assert counts.min() > 500
