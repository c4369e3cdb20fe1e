"""The second scene: what the course says is what the pictures show."""

from dataclasses import fields, replace

import numpy as np
import pytest

from sigma_bench.data.miniatures import course


def seen(seed=0):
    one = course.actor("bars", "rows", np.random.default_rng(seed))
    return replace(one, outline="square", radius=0.15, center=(0.5, 0.5), drift=(0.0, 0.0))


def mask(way, size=64):
    """Where the object is: where another object would look different."""
    one = seen()
    other = replace(one, object=replace(one.object, base=one.object.base + 0.5))
    pair = [course.render(actor, way, size).astype(int) for actor in (one, other)]
    return np.abs(pair[0] - pair[1]).sum(-1) > 0


def places(found):
    return np.array([np.argwhere(frame).mean(0)[::-1] / found.shape[1] for frame in found])


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("amount", [0.4, -0.4])
def test_the_object_goes_where_its_course_says(name, amount):
    way = places(mask(course.along(course.one_way(5), **{name: amount})))
    axis = "xy".index(name)
    assert way[-1, axis] - way[0, axis] == pytest.approx(amount, abs=0.02)
    assert np.ptp(way[:, 1 - axis]) < 0.02
    turned = places(mask(course.along(course.there_and_back(5), **{name: amount})))[:, axis]
    assert turned[0] == pytest.approx(turned[-1], abs=0.01)
    assert turned[2] - turned[0] == pytest.approx(amount, abs=0.02)


def test_what_is_seen_moves_against_the_camera():
    way = places(mask(course.along(course.one_way(5), pan_x=0.4)))
    assert way[-1, 0] - way[0, 0] == pytest.approx(-0.4, abs=0.02)
    still = [
        course.render(seen(), course.along(course.one_way(3), **{k: 0.25}), 64).astype(int) for k in ("x", "pan_x")
    ]
    assert np.abs(still[0][0, :8] - still[0][-1, :8]).max() == 0  # the background stands where the object moves
    diagonal = replace(seen(), background=seen().object)
    moved = course.render(diagonal, course.along(course.one_way(3), pan_x=0.125), 64).astype(int)
    assert np.abs(moved[0, :8, 8:] - moved[-1, :8, :-8]).max() <= 2  # by an eighth of the side


@pytest.mark.parametrize("name", ["grow", "zoom"])
def test_areas_grow_by_the_square(name):
    areas = mask(course.along(course.one_way(3), **{name: np.log(2.0)}), 128).sum((1, 2))
    assert areas[-1] / areas[0] == pytest.approx(4, rel=0.08)
    assert areas[1] / areas[0] == pytest.approx(2, rel=0.08)


def test_a_square_turned_by_an_eighth_is_a_diamond():
    found = mask(course.along(np.array([0, 0.125, 0.25]), turn=1.0), 128)
    across = found.any(1).sum(1)
    assert across[1] / across[0] == pytest.approx(np.sqrt(2), rel=0.06)
    assert across[2] == pytest.approx(across[0], abs=2)
    assert found[1].sum() == pytest.approx(found[0].sum(), rel=0.05)


def test_a_bridge_leads_from_one_course_to_the_next():
    one, two = (course.along(course.one_way(4), x=a, grow=b) for a, b in ((0.4, 0.2), (-0.2, 0.6)))
    way = course.joined([one, course.bridge(one, two, 3), two])
    assert len(way.x) == 11
    assert way.x[3:8] == pytest.approx([0.2, 0.175, 0.15, 0.125, 0.1])
    assert all(len(getattr(way, f.name)) == 11 for f in fields(way))


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_progress_stays_within_a_half(frames):
    for progress in (course.one_way, course.there_and_back, course.to_and_fro):
        found = progress(frames)
        assert found.shape == (frames,)
        assert np.abs(found).max() <= 0.5
    assert course.one_way(9)[[0, 4, 8]].tolist() == [-0.5, 0, 0.5]
    assert course.to_and_fro(9) == pytest.approx([0, 0.5, 0, -0.5, 0, 0.5, 0, -0.5, 0], abs=1e-6)
