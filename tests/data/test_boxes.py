import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.data import boxes

SIDES = st.integers(1, 700)


def inside(box, h, w):
    return box.y >= 0 and box.x >= 0 and box.h >= 1 and box.w >= 1 and box.y + box.h <= h and box.x + box.w <= w


@given(h=SIDES, w=SIDES, size=st.integers(1, 300), seed=st.integers(0, 50))
def test_random_boxes_lie_inside(h, w, size, seed):
    rng = np.random.RandomState(seed)
    assert inside(boxes.multi_scale(h, w, size, rng), h, w)
    assert inside(boxes.random_resized(h, w, (0.25, 1.0), (3 / 4, 4 / 3), rng), h, w)
    assert inside(boxes.center(h, w), h, w)
    assert all(inside(b, h, w) for b in boxes.along(h, w, 5))


def test_multi_scale_covers_the_thirteen_places_and_ten_pairs():
    rng = np.random.RandomState(0)
    drawn = [boxes.multi_scale(240, 320, 224, rng) for _ in range(4000)]
    sides = [240, 210, 180, 158]
    assert {(b.h, b.w) for b in drawn} == {
        (a, b) for i, a in enumerate(sides) for j, b in enumerate(sides) if abs(i - j) <= 1
    }
    places = {(b.y, b.x) for b in drawn if (b.h, b.w) == (180, 180)}
    down, right = (240 - 180) // 4, (320 - 180) // 4
    steps = {(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3)}
    assert places == {(a * down, b * right) for a, b in steps}


def test_multi_scale_snaps_to_the_wanted_size():
    rng = np.random.RandomState(0)
    drawn = [boxes.multi_scale(256, 256, 226, rng) for _ in range(300)]
    assert {b.h for b in drawn} == {256, 226, 192, 168}  # int(256 * .875) = 224, within 2 of 226


def test_multi_scale_never_snaps_beyond_a_small_frame():
    rng = np.random.RandomState(0)
    assert max(boxes.multi_scale(222, 300, 224, rng).h for _ in range(200)) == 222


def test_random_resized_keeps_area_and_aspect():
    rng = np.random.RandomState(0)
    drawn = [boxes.random_resized(240, 320, (0.25, 0.5), (3 / 4, 4 / 3), rng) for _ in range(500)]
    shares = np.array([b.h * b.w / (240 * 320) for b in drawn])
    aspects = np.array([b.w / b.h for b in drawn])
    assert 0.24 < shares.min() < 0.3
    assert 0.45 < shares.max() < 0.51
    assert 0.73 < aspects.min() < 0.8
    assert 1.25 < aspects.max() < 1.36


def test_random_resized_falls_back_to_the_centre_of_a_ribbon():
    box = boxes.random_resized(10, 1000, (0.9, 1.0), (3 / 4, 4 / 3), np.random.RandomState(0))
    assert box == (0, 493, 10, 13)


def test_one_crop_along_is_the_central_one():
    assert boxes.along(224, 300, 1) == (boxes.center(224, 300),) == ((0, 38, 224, 224),)
    with pytest.raises(ValueError, match="crops is 0"):
        boxes.along(1, 1, 0)


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.05, 1), st.floats(0.05, 1), st.integers(0, 2**32 - 1))
def test_random_square_is_a_share_of_the_short_side(h, w, one, other, seed):
    share = (min(one, other), max(one, other))
    box = boxes.random_square(h, w, share, np.random.RandomState(seed))
    assert inside(box, h, w)
    assert box.h == box.w
    assert share[0] * min(h, w) - 1 <= box.h <= max(1, share[1] * min(h, w) + 1)


def test_random_square_is_the_short_side_jitter_with_inverse_sampling():
    """Means of shares and places over many draws, against resizing to 1 / U(1/340, 1/256) and cropping 224."""
    rng = np.random.RandomState(3)
    drawn = [boxes.random_square(1000, 1500, (224 / 340, 224 / 256), rng) for _ in range(4000)]
    short = 1 / np.random.default_rng(0).uniform(1 / 340, 1 / 256, 4000)
    sides = np.array([box.h for box in drawn]) / 1000
    assert sides.mean() == pytest.approx((224 / short).mean(), abs=0.005)
    assert sides.std() == pytest.approx((224 / short).std(), abs=0.005)
    assert np.mean([box.x / (1500 - box.w) for box in drawn]) == pytest.approx(0.5, abs=0.02)
    assert {0, 1} <= {round(box.y / (1000 - box.h), 2) for box in drawn}
