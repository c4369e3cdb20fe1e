"""Parts of annotated videos that counting is trained on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data.cycle_segments import Segment, draw_segment


def _boundaries(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).tolist()


@given(st.lists(st.integers(1, 90), min_size=2, max_size=30), st.integers(0, 2**32))
def test_parts_lie_within_the_boundaries_that_they_are_drawn_between(lengths, seed):
    bounds = _boundaries(lengths)
    n = bounds[-1] + 1
    part = draw_segment(bounds, n, np.random.default_rng(seed))
    assert 0 <= part.start < part.end <= n
    assert 2 <= part.frames <= 300
    assert 2 <= part.cycles <= len(lengths) + 1
    rng = np.random.default_rng(seed)
    i = rng.integers(0, len(lengths) - 1)
    assert (part.start == 0) if i == 0 else (bounds[i - 1] <= part.start <= bounds[i])
    if part.end < n and part.frames < 300:
        assert bounds[i + part.cycles - 1] <= part.end - 1 <= bounds[i + part.cycles]


def test_every_part_of_three_cycles_is_drawn_about_as_often():
    drawn = [draw_segment([0, 10, 20, 30], 31, np.random.default_rng(seed)) for seed in range(3000)]
    shares = {k: sum(part.cycles == k for part in drawn) / 3000 for k in (2, 3, 4)}
    # i = 0: j of 2, 3, 4; i = 1: j of 3, 4
    assert shares[2] == pytest.approx(1 / 2 * (1 / 3 + 1 / 2), abs=0.03)
    assert shares[4] == pytest.approx(1 / 2 * 1 / 3, abs=0.03)
    assert sum(part.start == 0 for part in drawn) / 3000 == pytest.approx(1 / 2 + 1 / 2 * 1 / 11, abs=0.03)


def test_a_part_is_cut_but_keeps_its_nominal_number_of_cycles():
    parts = [draw_segment([0, 200, 400, 600], 601, np.random.default_rng(seed)) for seed in range(50)]
    assert max(part.frames for part in parts) == 300
    assert all(part.cycles >= 2 for part in parts)


@given(st.integers(1, 20), st.integers(0, 1000))
def test_boundaries_past_the_end_of_the_file_count_as_its_last_frame(frames, seed):
    part = draw_segment([0, 10, 20, 30], frames, np.random.default_rng(seed))
    assert 0 <= part.start < part.end <= frames


def test_one_cycle_has_no_neighbour():
    with pytest.raises(ValueError, match="expected at least 3"):
        draw_segment([0, 10], 11, np.random.default_rng(0))


def test_the_same_seed_gives_the_same_part():
    drawn = {draw_segment([0, 10, 20, 30], 31, np.random.default_rng((0, 7))) for _ in range(5)}
    assert len(drawn) == 1
    assert isinstance(drawn.pop(), Segment)
