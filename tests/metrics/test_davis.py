"""J and F of DAVIS: edge cases, the definition of a contour, real predictions."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from PIL import Image

from sigma_bench.metrics import davis

REGIONS = arrays.arrays(bool, (1, 9, 12))


@settings(deadline=None, max_examples=60)
@given(REGIONS, REGIONS)
def test_both_are_symmetric_and_within_bounds(one, other):
    for measure in (davis.region, davis.contour):
        assert measure(one, other) == measure(other, one)
        assert 0 <= measure(one, other)[0] <= 1
        assert measure(one, one)[0] == 1


def test_absent_objects():
    nothing, square = np.zeros((1, 9, 9), bool), np.zeros((1, 9, 9), bool)
    square[0, 3:6, 3:6] = True
    assert (davis.region(nothing, nothing)[0], davis.contour(nothing, nothing)[0]) == (1, 1)
    assert (davis.region(square, nothing)[0], davis.contour(square, nothing)[0]) == (0, 0)
    assert (davis.region(nothing, square)[0], davis.contour(nothing, square)[0]) == (0, 0)


def test_a_contour_within_the_radius_is_right_and_one_beyond_is_not():
    truth = np.zeros((1, 40, 40), bool)
    truth[0, 10:30, 10:30] = True
    shifted = [np.roll(truth, by, axis=2) for by in (1, 2, 6)]
    assert [davis.contour(one, truth, bound=2.0)[0] == 1 for one in shifted] == [True, True, False]
    assert davis.contour(shifted[0], truth)[0] == 1  # a diagonal of 56.6 allows one pixel


def test_void_pixels_do_not_count():
    truth, void = np.zeros((1, 20, 20), bool), np.zeros((1, 20, 20), bool)
    truth[0, 5:10, 5:10] = True
    predicted = truth.copy()
    predicted[0, 5:10, 10:15] = True
    void[0, :, 10:15] = True
    assert davis.region(predicted, truth)[0] == 0.5
    assert davis.region(predicted, truth, void)[0] == 1
    assert davis.contour(predicted, truth, void)[0] == 1


def test_statistics_of_long_sequences_do_not_wrap_around():
    falling = np.linspace(1, 0, 400)
    found = davis.statistics(falling)
    assert found.decay == pytest.approx(0.75, abs=0.01)
    assert found.recall == 0.5
    assert davis.statistics(np.array([0.2, 1.0, 0.4]), inner=True) == (1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="2 frames, none of which is left"):
        davis.statistics(np.array([1.0, 1.0]), inner=True)


def test_real_predictions_have_the_official_values(shared, golden):
    """Every second frame of a validation sequence; the golden file has the values of all."""
    folder = shared / "real" / "sequences"
    expected = json.loads((golden / "segmentation" / "davis_jf.json").read_text())["real_car-shadow"]
    numbers = range(0, 40, 2)
    truth, predicted = (
        np.stack([np.asarray(Image.open(folder / place / f"{n:05d}.png")) > 0 for n in numbers])
        for place in ("car-shadow/Annotations", "car-shadow_osvos_pred")
    )
    np.testing.assert_allclose(davis.region(predicted, truth), expected["J"][::2], atol=1e-9)
    np.testing.assert_allclose(davis.contour(predicted, truth), expected["F"][::2], atol=1e-9)
