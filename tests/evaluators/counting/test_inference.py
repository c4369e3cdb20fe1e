"""From predicted lengths to counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.data.cycle_windows import is_padding, window_frames
from sigma_bench.evaluators.counting.inference import Rule, Sides, count_videos, counting

A = 7


def _constant(rows, best=3, box=0.0):
    scores = np.full((len(rows), A), 0.1)
    scores[:, best] = 0.9
    boxes = np.full((len(rows), A), box)
    return Sides(scores, boxes, scores, boxes)


def _true_length(length):
    """A network that knows the length of every cycle."""

    def predict(rows, windows):
        left, middle, right = windows.T
        factors = np.stack([length / (middle - left + 1), length / (right - middle)])
        logarithms = np.log(factors)[:, :, None] - np.log(Rule().anchors)
        boxes = np.clip(logarithms, -0.5, 0.5)
        scores = np.exp(-np.abs(logarithms))
        return Sides(scores[0], boxes[0], scores[1], boxes[1])

    return predict


@pytest.mark.parametrize(("n", "length"), [(120, 10), (300, 30), (64, 8), (843, 23), (100, 20)])
def test_who_knows_the_length_counts_right(n, length):
    (found,) = count_videos([n], _true_length(length))
    assert found.repetitions == round(n / length)
    assert length - 2 <= found.first_estimate <= length
    assert found.positions > 5


def test_windows_are_asked_for_in_13_rounds_of_74_a_video():
    calls = []

    def predict(rows, windows):
        calls.append(len(rows))
        assert windows.shape == (len(rows), 3)
        return _constant(rows)

    count_videos([100], predict)
    assert sum(calls) == 74
    assert calls == [30, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 8, 16]


def test_videos_that_share_batches_are_counted_as_alone(golden):
    values = np.load(golden / "rep_inference.npz")
    lengths = values["sample_len"].tolist()

    def network(own):
        def predict(rows, windows):
            frames = window_frames(windows)
            shown = np.where(is_padding(frames, np.array(own)[rows]), 0.449, frames / 100)
            waves = np.sin(2 * shown) + 0.5 * np.cos(3 * shown) + shown / 8
            parts = []
            for side in "12":
                logits = (waves @ values[f"w_cls{side}"].T).reshape(-1, 2, A)
                parts += [1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), waves @ values[f"w_box{side}"].T]
            return Sides(*parts)

        return predict

    together = count_videos(lengths, network(lengths))
    alone = [count_videos([n], network([n]))[0] for n in lengths]
    assert (
        [video.repetitions for video in together] == [video.repetitions for video in alone] == values["counts"].tolist()
    )


def test_where_no_position_fits_the_first_estimate_counts():
    (found,) = count_videos([40], lambda rows, _: _constant(rows, best=6, box=0.5))
    assert found.positions == 0
    assert found.repetitions == round(40 / (found.first_estimate + 1))


def test_the_shares_of_old_and_new_length_are_a_setting():
    def shrinking(rows, _):
        return _constant(rows, box=-0.3)

    assert (
        count_videos([200], shrinking)[0].repetitions != count_videos([200], shrinking, Rule(weight=0.1))[0].repetitions
    )


def test_more_cycles_at_least_make_shorter_ones():
    def longest(rows, windows):
        scores = np.repeat(windows[:, 2:] / 1000, A, axis=1)
        return Sides(scores, np.zeros_like(scores), scores, np.zeros_like(scores))

    two, four = (count_videos([160], longest, Rule(minimum_cycles=c))[0] for c in (2, 4))
    assert 45 < two.first_estimate < 80
    assert 30 < four.first_estimate < 40


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.sampled_from([(2, 0.5), (4, 0.5), (4, 0.1)]),
)
def test_any_video_gets_a_count_whatever_the_network_says(lengths, seed, kind):
    rng = np.random.default_rng(seed)
    longest = max(lengths)

    def predict(rows, windows):
        assert np.isfinite(windows).all()
        assert (windows[:, 0] <= windows[:, 1]).all()
        assert (windows[:, 1] < windows[:, 2]).all()
        assert (np.abs(windows) <= 4 * longest + 10).all()
        frames = window_frames(windows)
        assert frames.shape == (len(rows), 32)
        parts = [rng.random((len(rows), A)), 3 * rng.normal(size=(len(rows), A))]
        return Sides(*parts, *parts)

    for n, found in zip(lengths, count_videos(lengths, predict, Rule(*kind)), strict=True):
        assert isinstance(found.repetitions, int)
        assert 0 <= found.repetitions <= n
        assert found.inverse_lengths.shape == (32,)
        assert (found.inverse_lengths > 0).all()
        assert 0 <= found.positions <= 32


def test_a_video_shorter_than_a_cycle_is_counted_by_its_frames():
    assert [video.repetitions for video in count_videos([1, 2, 7], lambda rows, _: _constant(rows))] == [1, 2, 7]


def test_what_is_no_number_is_refused_and_so_is_no_video():
    with pytest.raises(FloatingPointError, match="NaN"):
        count_videos([50], lambda rows, _: _constant(rows, box=np.nan))
    with pytest.raises(ValueError, match="0 frames"):
        next(counting(0, Rule()))
    assert count_videos([], lambda rows, _: _constant(rows)) == []
