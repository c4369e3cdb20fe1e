"""Orders of frames: the same frames whatever the order, drawn from the clip's own seed, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.orders import ORDERS, reorder

CLIPS = st.lists(st.integers(0, 500), min_size=1, max_size=32).map(lambda frames: np.array(sorted(frames), np.int64))


def rng(seed=0):
    return np.random.RandomState(seed)


@given(CLIPS, st.integers(0, 99))
def test_reversed_twice_is_natural_and_shuffled_has_the_same_frames(indices, seed):
    before = indices.copy()
    np.testing.assert_array_equal(reorder(reorder(indices, "reversed", rng()), "reversed", rng()), indices)
    shuffled = reorder(indices, "shuffled", rng(seed))
    assert sorted(shuffled.tolist()) == indices.tolist()
    np.testing.assert_array_equal(reorder(indices, "shuffled", rng(seed)), shuffled)
    np.testing.assert_array_equal(reorder(indices, "natural", rng()), indices)
    np.testing.assert_array_equal(indices, before)  # the frames given are left as they are


@given(CLIPS)
def test_frozen_is_one_frame_of_the_clip_and_knows_no_direction(indices):
    frozen = reorder(indices, "frozen", rng())
    assert len(frozen) == len(indices)
    assert set(frozen.tolist()) == {indices[len(indices) // 2]}
    np.testing.assert_array_equal(reorder(frozen, "reversed", rng()), frozen)


def test_every_permutation_can_come_and_another_order_is_refused():
    found = {tuple(reorder(np.arange(3), "shuffled", rng(seed)).tolist()) for seed in range(200)}
    assert len(found) == 6
    with pytest.raises(ValueError, match="order 'sorted' is unknown; expected one of natural, shuffled, reversed"):
        reorder(np.arange(3), "sorted", rng())


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    from sigma_bench.data.miniatures.ucf101 import write

    root = tmp_path_factory.mktemp("data") / "ucf101"
    write(root, seed=0, groups=8, clips_per_group=1)
    return sorted(root.rglob("*.avi"))[0]


@pytest.mark.parametrize(("sampling", "box"), [("dense_test", "full"), ("dense_train", "random_resized")])
def test_only_the_order_of_a_clips_frames_changes(video, sampling, box):
    base = ClipRequest(str(video), sampling, 8, clips=3, box=box, flip=True, size=32, seed=(4, 2))
    found = {order: load_clips(replace(base, order=order)) for order in ORDERS}
    natural, info = found["natural"]
    for order, (arrays, told) in found.items():
        for name in ("boxes", "flips", "counted", "short", "used"):
            assert told[name] == info[name], (order, name)
        for clip, indices in enumerate(told["indices"]):
            place = [info["indices"][clip].index(frame) for frame in indices]
            np.testing.assert_array_equal(arrays[clip], natural[clip][place])
    permutations = [tuple(np.argsort(np.argsort(indices))) for indices in found["shuffled"][1]["indices"]]
    assert len(set(permutations)) > 1  # drawn clip by clip
    assert load_clips(replace(base, order="shuffled"))[1] == found["shuffled"][1]
    assert load_clips(replace(base, order="shuffled", seed=(4, 3)))[1]["indices"] != found["shuffled"][1]["indices"]
    repeated = load_clips(replace(base, order="shuffled", repeats=2))[1]
    assert repeated["indices"] == found["shuffled"][1]["indices"]


def test_a_request_with_an_unknown_order_is_refused(video):
    with pytest.raises(UserError, match="order 'sorted' is unknown"):
        load_clips(ClipRequest(str(video), "dense_test", 8, order="sorted"))
