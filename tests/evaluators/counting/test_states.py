"""Windows of training: where one begins and where it goes on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data.cycle_targets import IGNORED
from sigma_bench.evaluators.counting.states import draw_step, draw_window, move


def test_steps_agree_with_the_reference(golden):
    values = np.load(golden / "rep_train_labels.npz")
    steps = values["step_in"]
    found = move(steps[:, :3], *steps[:, 3:].T, values["step_sample_len"])
    assert np.array_equal(np.column_stack([found.windows_N3, found.done_N, found.fail_N]), values["step_out"])


@given(st.integers(2, 300), st.integers(2, 30), st.integers(0, 150), st.integers(0, 2**32))
def test_a_first_window_lies_in_its_segment(count, cycles, distance, seed):
    distance = IGNORED if distance == 0 else distance
    left, middle, right = draw_window(count, cycles, distance, np.random.default_rng(seed))
    assert 0 <= left <= middle < right < count
    assert right - middle == middle - left + 1


def test_a_quarter_of_the_first_windows_is_near_simple_multiples_of_the_truth():
    drawn = np.array([draw_window(290, 9, 32, np.random.default_rng(seed)) for seed in range(4000)])
    lengths = drawn[:, 1] - drawn[:, 0] + 1
    near = np.isin(lengths, [15, 16, 17, 31, 32, 33, 63, 64, 65])
    # a quarter by those rules, 2 of 3 draws each within the tolerance, and some of the others by chance
    assert 0.25 < near.mean() < 0.55
    assert (drawn[:, 0] < 32).all()
    assert lengths.min() <= 9
    assert lengths.max() >= 90


def test_a_segment_without_room_for_two_frames_is_refused():
    with pytest.raises(ValueError, match="1 frames"):
        draw_window(1, 2, IGNORED, np.random.default_rng(0))


@given(st.integers(2, 300), st.integers(0, 2**32))
def test_a_step_is_a_fifth_to_a_twentieth_of_the_segment_but_at_least_a_frame(count, seed):
    step = draw_step(count, np.random.default_rng(seed))
    assert max(1, count // 20) <= step <= max(1, count / 5)


@given(st.integers(0, 200), st.integers(1, 100), st.floats(0.07, 15), st.floats(0.07, 15), st.integers(1, 60))
def test_a_step_tells_of_its_end_and_of_cycles_too_short(left, length, factor1, factor2, step):
    middle = left + length - 1
    found = move([(left, middle, middle + length)], [factor1], [factor2], [step], 200)
    first, moved, last = found.windows_N3[0]
    assert moved == middle + step
    assert found.done_N[0] == (moved >= 200)
    assert found.fail_N[0] == (moved - first + 1 < 4 or last - moved < 4)
    assert abs((moved - first + 1) - length * factor1) <= 1
    assert abs((last - moved) - length * factor2) <= 1
