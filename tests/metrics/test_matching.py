"""Matching: what holds for any maps, the table against a loop, and ties."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sigma_bench.metrics.matching import (
    RULES,
    contingency,
    match,
    matched,
    relabelled,
)

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, max_side=9)


@st.composite
def pairs(draw, clusters=7, ids=5):
    shape = draw(SHAPES)
    maps = draw(arrays.arrays(np.int16, shape, elements=st.integers(0, clusters - 1)))
    return maps, draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 7, 255][:ids])))


def by_loop(maps, masks, id_of):
    """The mIoU of an assignment from pixels, not from a table."""
    given_ids = np.array([id_of[int(c)] for c in maps.ravel()])
    truth = masks.ravel().astype(int)
    ious = []
    for number in sorted(set(truth.tolist())):
        one, other = given_ids == number, truth == number
        ious.append((one & other).sum() / (one | other).sum())
    return ious


@settings(deadline=None, max_examples=80)
@given(pairs())
def test_the_table_counts_as_a_loop_over_pairs_does(pair):
    maps, masks = pair
    table = contingency(maps, masks)
    assert table.clusters_C.tolist() == sorted(set(maps.ravel().tolist()))
    assert table.ids_G.tolist() == sorted(set(masks.ravel().tolist()))
    for (i, c), (j, g) in itertools.product(enumerate(table.clusters_C), enumerate(table.ids_G)):
        assert table.pixels_CG[i, j] == ((maps == c) & (masks == g)).sum()
        assert table.ious[i, j] == ((maps == c) & (masks == g)).sum() / ((maps == c) | (masks == g)).sum()


@settings(deadline=None, max_examples=80)
@given(pairs(), st.sampled_from(RULES))
def test_iou_is_that_of_the_assignment_and_within_bounds(pair, rule):
    maps, masks = pair
    found = match(maps, masks, rule)
    assert found.ious.tolist() == by_loop(maps, masks, found.id_of)
    assert 0 <= found.miou(False) <= 1
    assert 0 <= found.miou() <= 1
    assert set(found.id_of.values()) <= {0, *found.ids_G.tolist()}
    assert found.miou() == pytest.approx(np.mean(found.ious))
    assert (found.tp_G + found.fn_G).sum() == maps.size
    np.testing.assert_array_equal(relabelled(maps, found).ravel(), [found.id_of[int(c)] for c in maps.ravel()])


@settings(deadline=None, max_examples=60)
@given(pairs(clusters=4, ids=4), st.randoms(use_true_random=False))
def test_the_sum_of_ious_is_the_greatest_of_all_pairings_and_names_of_clusters_mean_nothing(pair, random):
    maps, masks = pair
    table = contingency(maps, masks)
    found = matched(table, "hungarian")
    clusters, ids = range(len(table.clusters_C)), range(len(table.ids_G))
    few, many = sorted((clusters, ids), key=len)
    pairings = (list(zip(few, chosen, strict=True)) for chosen in itertools.permutations(many, len(few)))
    iou = table.ious if few is clusters else table.ious.T
    best = max(sum(iou[pair] for pair in pairing) for pairing in pairings)
    kept = {g: c for c, g in found.id_of.items()}  # of clusters that share an id, all but one were left over
    paired = sum(
        table.ious[table.clusters_C.tolist().index(c), table.ids_G.tolist().index(g)]
        for g, c in kept.items()
        if g in table.ids_G and g != 0
    )
    assert paired <= best + 1e-12
    names = list(range(10, 10 + 7))
    random.shuffle(names)
    renamed = match(np.array(names)[maps], masks, "m2o_precision")
    assert renamed.miou() == match(maps, masks, "m2o_precision").miou()
    scores = sorted(iou[i, j] for i in range(iou.shape[0]) for j in range(iou.shape[1]))
    if all(b - a > 1e-9 for a, b in itertools.pairwise(scores)):  # without ties the assignment is one
        assert match(np.array(names)[maps], masks, "hungarian").miou() == pytest.approx(found.miou())


@settings(deadline=None, max_examples=60)
@given(pairs(), st.permutations(range(7)))
def test_a_perfect_map_scores_one_whatever_its_clusters_are_called(pair, names):
    _, masks = pair
    ids, place = np.unique(masks, return_inverse=True)
    for rule in RULES:
        found = match(np.array(names)[place.reshape(masks.shape)], masks, rule)
        assert found.miou() == 1
        assert found.miou(False) == float((ids > 0).any())


@settings(deadline=None, max_examples=40)
@given(pairs(), st.integers(0, 99))
def test_the_order_of_pixels_means_nothing(pair, seed):
    maps, masks = pair
    order = np.random.default_rng(seed).permutation(maps.size)
    for rule in RULES:
        assert match(maps.ravel()[order], masks.ravel()[order], rule).id_of == match(maps, masks, rule).id_of


def test_ties_go_to_the_lowest_id_and_left_over_clusters_to_the_background():
    maps, masks = np.array([0, 0, 1, 1, 2, 2, 3]), np.array([9, 4, 9, 4, 4, 9, 0])
    assert set(match(maps, masks, "m2o_precision").id_of.values()) == {4, 0}
    assert match(maps, masks, "m2o_iou").id_of == {0: 4, 1: 4, 2: 4, 3: 0}
    found = match(maps, masks, "hungarian")
    assert sorted(found.id_of.values()) == [0, 0, 4, 9]
    assert found.id_of[3] == 0


def test_precision_and_iou_may_choose_different_ids():
    maps = np.array([0] * 10 + [1] * 90)
    masks = np.array([1] * 6 + [2] * 4 + [1] * 90)  # 6 of 96 pixels of id 1, 4 of 4 of id 2
    assert match(maps, masks, "m2o_precision").id_of[0] == 1
    assert match(maps, masks, "m2o_iou").id_of[0] == 2


def test_void_pixels_are_in_no_count():
    maps, masks = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 255, 255])
    assert match(maps, masks, "hungarian", void=255).id_of == {0: 0, 1: 1}
    assert match(maps, masks, "hungarian", void=255).miou() == 1
    assert match(maps, masks, "hungarian").ids_G.tolist() == [0, 1, 255]


def test_everything_background():
    table = contingency(np.array([3, 3, 5, 5]), np.array([0, 1, 1, 2]))
    found = matched(table, "all_background")
    assert found.ious.tolist() == [0.25, 0, 0]
    assert found.miou() == pytest.approx(1 / 12)
    assert found.miou(False) == 0


def test_labels_far_apart_are_counted_too():
    found = match(np.array([10**12, -5, -5]), np.array([0, 1, 1]), "hungarian")
    assert found.id_of == {10**12: 0, -5: 1}


def test_a_merged_map_uses_each_id_once(golden):
    case = "n_merge_then_match_differs"
    with np.load(golden / "segmentation" / "matching.npz") as held:
        maps, masks = held[f"{case}__pred"], held[f"{case}__gt"]
    assert match(maps, masks, "merged_hungarian").miou() != match(maps, masks, "m2o_precision").miou()


def test_mistakes_are_refused():
    for maps, masks, void, said in (
        (np.zeros(3, int), np.zeros(4, int), None, "different shapes"),
        (np.zeros(3, int), np.full(3, 255), 255, "all are void"),
        (np.zeros(0, int), np.zeros(0, int), None, "no pixel to compare"),
    ):
        with pytest.raises(ValueError, match=said):
            match(maps, masks, "hungarian", void)
    with pytest.raises(ValueError, match="no rule 'best'"):
        match(np.zeros(3, int), np.zeros(3, int), "best")
