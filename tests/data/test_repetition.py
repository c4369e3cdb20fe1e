"""Distances to the neighbouring cycles: small cases by hand, and all stored ones of UCFRep."""

import zipfile
from io import BytesIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat

from sigma_bench.data.repetition import cycle_offsets


def test_equal_cycles_are_their_length_apart():
    following, previous = cycle_offsets([10, 14, 18, 22])
    assert following.tolist() == [4] * 8 + [-1] * 5
    assert previous.tolist() == [-1] * 4 + [4] * 9


def test_between_unequal_cycles_the_distance_goes_over_and_halves_go_up():
    following, previous = cycle_offsets([1, 5, 11])
    assert following.tolist() == [4, 5, 5, 6, *[-1] * 7]
    assert previous.tolist() == [-1, -1, -1, -1, 4, 4, 5, 5, 5, 6, 6]


def test_there_is_none_between_cycles_that_differ_by_much():
    for undefined in cycle_offsets([1, 5, 12]):
        assert undefined.tolist() == [-1] * 12
    assert (cycle_offsets([0, 10, 23])[0][:10] > 0).all()  # 1.3 times as long is not too much
    assert (cycle_offsets([0, 10, 24])[0] == -1).all()


@given(st.integers(0, 50), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_distances_reach_into_the_neighbouring_cycle(start, lengths):
    bounds = start + np.cumsum([0, *lengths])
    following, previous = cycle_offsets(bounds.tolist())
    assert len(following) == len(previous) == sum(lengths) + 1
    for frame in np.flatnonzero(following >= 0):
        cycle = np.searchsorted(bounds, start + frame, side="right") - 1
        assert bounds[cycle + 1] <= start + frame + following[frame] <= bounds[cycle + 2]
    assert (following[bounds[-2] - start :] == -1).all()
    assert (previous[: bounds[1] - start] == -1).all()


def test_they_are_those_that_ucfrep_stores(shared):
    values = 0
    with zipfile.ZipFile(shared / "annotations" / "ucfrep" / "ucf526_annotations.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".mat"):
                label = loadmat(BytesIO(archive.read(name)))["label"][0, 0]
                following, previous = cycle_offsets(label["temporal_bound"].ravel().tolist())
                np.testing.assert_array_equal(following, label["offset_next_estimate"].ravel())
                np.testing.assert_array_equal(previous, label["offset_pre_estimate"].ravel())
                values += len(following)
    assert values == 87490
