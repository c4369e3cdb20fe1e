"""Colours of clusters: one id or one cluster has one colour in every row, and void has no say in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sigma_bench.runs.segment_colours import PALETTE, Truth, colour, painted, slots

MASKS = np.repeat(np.array([[[0, 0, 3, 3], [0, 0, 3, 3], [0, 0, 7, 7]]], np.uint8), 2, 0)
TRUTH = Truth(MASKS, [0, 3, 7], 255)


def relabelled(maps, order):
    return np.array(order, np.int16)[maps]


def test_clusters_that_are_the_ids_take_their_colours_in_every_row():
    ranks = np.searchsorted([0, 3, 7], MASKS)
    orders = [[0, 1, 2], [2, 0, 1], [5, 9, 0]]
    found = slots([relabelled(ranks, order) for order in orders], TRUTH)
    assert found == [dict(zip(order, range(3), strict=True)) for order in orders]
    pictures = [painted(relabelled(ranks, o)[0], s) for o, s in zip(orders, found, strict=True)]
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)
    assert np.array_equal(pictures[0][0, 2], PALETTE[1])


@given(hnp.arrays(np.int16, (2, 5, 5), elements=st.integers(0, 5)), st.permutations(range(6)))
def test_without_masks_the_same_clusters_have_the_same_colours_whatever_their_numbers(maps, order):
    first, second = slots([maps, relabelled(maps, order)], None)
    assert {order[cluster]: slot for cluster, slot in first.items()} == second
    sizes = {cluster: (maps == cluster).sum() for cluster in first}
    falling = sorted(first, key=lambda cluster: (-sizes[cluster], cluster))
    assert [first[cluster] for cluster in falling] == list(range(len(falling)))


@given(
    st.lists(hnp.arrays(np.int16, (2, 4, 4), elements=st.integers(0, 6)), min_size=1, max_size=4),
    hnp.arrays(np.uint8, (2, 4, 4), elements=st.sampled_from([0, 1, 2, 255])),
)
def test_every_cluster_has_a_colour_of_its_own(rows, masks):
    truth = Truth(masks, [0, 1, 2], 255)
    for maps, found in zip(rows, slots(rows, truth), strict=True):
        assert sorted(found) == np.unique(maps).tolist()
        assert len(set(found.values())) == len(found)
        for cluster, slot in found.items():
            if slot < 3:  # given to an id: they overlap
                assert ((maps == cluster) & (masks == slot)).any()


def test_the_greatest_sum_of_ious_decides_and_the_rest_follow_the_first_row():
    # cluster 0 covers most of id 0; clusters 1 and 2 divide id 3 two to one; cluster 3 is half of id 7
    first = np.array([[[0, 0, 1, 1], [0, 4, 1, 2], [0, 0, 3, 5]]] * 2, np.int16)
    second = relabelled(first, [3, 5, 4, 1, 0, 2])
    found = slots([first, second], TRUTH)
    assert {c: found[0][c] for c in (0, 1)} == {0: 0, 1: 1}
    assert {found[0][3], found[0][5]} >= {2}
    left = sorted(set(found[0].values()) - {0, 1, 2})
    assert left == [3, 4, 5]
    for cluster, slot in found[0].items():
        if slot > 2 and found[1][[3, 5, 4, 1, 0, 2][cluster]] > 2:
            assert found[1][[3, 5, 4, 1, 0, 2][cluster]] == slot


def test_void_has_no_say():
    maps = np.array([[[0, 0, 1, 1]]], np.int16)
    masks = np.array([[[255, 0, 1, 255]]], np.uint8)
    assert slots([maps], Truth(masks, [0, 1], 255)) == [{0: 0, 1: 1}]
    nothing = np.full_like(masks, 255)
    assert slots([maps], Truth(nothing, [], 255)) == [{0: 0, 1: 1}]
    assert slots([maps], Truth(nothing, [0, 1], 255)) == [{0: 2, 1: 3}]  # ids of other frames keep their colours


def test_an_id_without_pixels_at_this_size_keeps_its_colour_free():
    maps = np.array([[[0, 0, 1, 1]]], np.int16)
    masks = np.array([[[0, 0, 7, 7]]], np.uint8)
    assert slots([maps], Truth(masks, [0, 3, 7], 255)) == [{0: 0, 1: 2}]


def test_the_palette_is_told_apart_in_grey_and_by_colour_blind_readers():
    def linear(c):
        c = np.array(c) / 255
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)

    # Machado et al. 2009, severity 1: protanopia, deuteranopia
    views = [
        np.eye(3),
        np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
        np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    ]
    for view in views:
        seen = np.array([np.clip(view @ linear(c), 0, 1) ** (1 / 2.2) for c in PALETTE[:7]])
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 9 * np.eye(7)
        assert apart.min() > 0.12
    assert len(set(PALETTE)) == len(PALETTE)
    assert colour(len(PALETTE)) == PALETTE[0]


@pytest.mark.parametrize("labels", [np.array([[0, 2]]), np.array([[2, 2]])])
def test_painting_uses_the_slot_of_each_label(labels):
    picture = painted(labels, {0: 4, 2: 1})
    assert picture.shape == (1, 2, 3)
    assert [tuple(c) for c in picture[0]] == [PALETTE[{0: 4, 2: 1}[label]] for label in labels[0].tolist()]
