"""Targets: which anchors fit the true length, and by what factor they are wrong."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data.cycle_targets import ANCHORS, IGNORED, distances_at, targets


def test_targets_agree_with_the_reference(golden):
    values = np.load(golden / "rep_train_labels.npz")
    offsets = values["offsets"][: values["sample_len"]]
    frames, lengths = values["states"].T
    found = targets([distances_at(offsets, frame) for frame in frames], lengths, values["anchors"])
    assert np.array_equal(found.fits_NA, values["gt_cls"])
    np.testing.assert_allclose(found.factor_NA, values["gt_box"], atol=1e-6)


def test_past_the_end_and_where_undefined_nothing_is_asked():
    offsets = np.array([5, IGNORED])
    assert [distances_at(offsets, frame) for frame in (0, 1, 2, 99)] == [5, IGNORED, IGNORED, IGNORED]
    found = targets([IGNORED], [10])
    assert (found.fits_NA == IGNORED).all()
    assert (found.factor_NA == IGNORED).all()


def test_half_the_length_still_fits():
    found = targets([9, 9], [20, 21], anchors=(1.0,))
    assert found.fits_NA.tolist() == [[1], [0]]
    assert found.factor_NA[0, 0] == math.log(0.5)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_correction_gives_the_true_length(distance, length):
    (fits,), (factor,) = targets([distance], [length])
    for anchor, fit, logarithm in zip(ANCHORS, fits, factor, strict=True):
        true, current = distance + 1, anchor * length
        assert fit == (min(true, current) / max(true, current) >= 0.5)
        if fit:
            assert math.isclose(current * math.exp(logarithm), true)
            assert abs(logarithm) <= math.log(2) + 1e-9
        else:
            assert logarithm == IGNORED
