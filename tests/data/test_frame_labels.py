"""Classes of frames: the reference's examples, and a loop in exact fractions."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data.frame_labels import frame_labels, from_lists, labels_at, union
from sigma_bench.data.index import Action

hundredths = st.integers(0, 1200)
timed = st.tuples(st.integers(0, 4), hundredths, hundredths)


@given(st.lists(timed, max_size=6), st.integers(0, 60), st.sampled_from([24, 25, 30, 12]), st.booleans())
def test_frames_carry_what_a_loop_in_fractions_says(stretches, frames, fps, inclusive):
    actions = [Action(label, float(f"{start / 100:.2f}"), float(f"{end / 100:.2f}")) for label, start, end in stretches]
    got = frame_labels(actions, frames, 5, fps=fps, inclusive=inclusive)
    assert got.shape == (frames, 5)
    assert got.dtype == bool
    for frame in range(frames):
        moment = Fraction(frame, fps)
        wanted = set()
        for label, start, end in stretches:
            first, last = Fraction(start, 100), Fraction(end, 100)
            if first < moment < last or (inclusive and first <= moment <= last):
                wanted.add(label)
        assert set(np.flatnonzero(got[frame])) == wanted


def test_ends_are_in_unless_told_otherwise():
    action = [Action(1, 0.25, 0.5)]
    assert np.flatnonzero(frame_labels(action, 24, 2)[:, 1]).tolist() == [6, 7, 8, 9, 10, 11, 12]
    assert np.flatnonzero(frame_labels(action, 24, 2, inclusive=False)[:, 1]).tolist() == [7, 8, 9, 10, 11]
    assert not frame_labels(action, 24, 2)[:, 0].any()


def test_moments_need_not_be_evenly_spaced():
    assert labels_at([Action(0, 1.0, 2.0)], np.array([0.0, 1.5, 1.9, 7.0]), 1)[:, 0].tolist() == [0, 1, 1, 0]


def test_unions_are_those_of_the_reference(golden):
    vectors = json.loads((golden / "charades_labels.json").read_text())
    for lists, clip, video in zip(
        vectors["frame_labels"], vectors["clip_labels_frames_1_to_3"], vectors["video_labels"], strict=True
    ):
        labels = from_lists(lists, 157)
        assert [np.flatnonzero(row).tolist() for row in labels] == lists
        assert np.flatnonzero(union(labels, 1, 3)).tolist() == clip
        assert np.flatnonzero(union(labels)).tolist() == video


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(label):
    with pytest.raises(ValueError, match=f"label {label} names none of 3 classes"):
        frame_labels([Action(label, 0, 1)], 5, 3)
    with pytest.raises(ValueError, match=f"label {label} names none of 3 classes"):
        from_lists([[label]], 3)
