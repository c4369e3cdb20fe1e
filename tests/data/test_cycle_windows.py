"""Windows: which frames they show, and which of these are padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data.cycle_windows import is_padding, window_frames

LENGTHS = st.integers(1, 400)


def test_windows_agree_with_the_reference(golden):
    values = np.load(golden / "rep_window_indices.npz")
    frames = window_frames(values["states"])
    assert np.array_equal(frames, values["frame_indices"])
    assert np.array_equal(is_padding(frames, values["sample_len"]), values["is_padding"])


def test_a_window_shows_a_cycle_more_on_either_side():
    (frames,) = window_frames([(20, 29, 39)])
    assert (frames[0], frames[15]) == (10, 29)
    assert (frames[16], frames[31]) == (30, 49)


@pytest.mark.parametrize("frames", [1, 2, 4, 8, 16, 32])
def test_other_clip_lengths_keep_the_span(frames):
    (shown,) = window_frames([(20, 29, 39)], frames)
    left, right = shown[:frames], shown[frames:]
    assert len(left) == len(right) == frames
    assert (left[0], right[0]) == (10, 30)
    if frames > 1:
        assert (left[-1], right[-1]) == (29, 49)


def test_no_window_shows_no_frame():
    assert window_frames(np.zeros((0, 3))).shape == (0, 32)
    with pytest.raises(ValueError, match="frames is 0"):
        window_frames([(0, 1, 2)], 0)


@given(st.integers(-500, 500), LENGTHS, LENGTHS, st.integers(1, 20), st.integers(1, 600))
def test_frames_stay_within_twice_the_cycles_and_padding_is_outside(left, before, after, frames, n):
    middle = left + before - 1
    right = middle + after
    (shown,) = window_frames([(left, middle, right)], frames)
    first, second = shown[:frames], shown[frames:]
    assert left - before <= first.min()
    assert first.max() <= middle < second.min()
    assert second.max() <= right + after
    assert (np.diff(first) >= 0).all()
    assert (np.diff(second) >= 0).all()
    (padding,) = is_padding(shown[None], n)
    assert np.array_equal(padding, [not 0 <= frame < n for frame in shown])


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=1, max_size=5))
def test_several_windows_are_each_as_alone(windows):
    together = window_frames(windows)
    assert np.array_equal(together, np.concatenate([window_frames([window]) for window in windows]))
