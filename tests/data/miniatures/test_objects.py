"""Several objects: what they do must be in the masks, and the masks must be what the pictures show."""

import numpy as np
import pytest

from sigma_bench.data.miniatures import objects, scene


def groups(count=40, things=3):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        yield objects.draw(rng.choice(sorted(objects.TEXTURES), things).tolist(), 12, 32, rng)


def test_every_object_is_seen_and_the_first_always():
    for group in groups():
        seen = objects.ids(group, 12, 32)
        share = np.stack([(seen == k).mean((1, 2)) for k in (1, 2, 3)])
        assert share[0].min() >= objects.LEAST_AREA
        assert (share >= objects.LEAST_AREA).sum(1).min() >= objects.LEAST_FRAMES
        assert (seen == 0).any()


def test_objects_come_late_leave_and_cover_each_other():
    late = gone = covered = 0
    for group in groups():
        seen = objects.ids(group, 12, 32)
        for k, thing in enumerate(group.things, 1):
            there = (seen == k).any((1, 2))
            late, gone = late + (not there[0]), gone + (not there[-1])
            alone = objects.Group((thing,), group.background, group.drift)
            covered += int((objects.ids(alone, 12, 32) > 0).sum() > (seen == k).sum())
    assert min(late, gone, covered) > 10


def test_a_thing_further_in_front_hides_the_others():
    thing = next(groups()).things[0]
    group = objects.Group((thing, thing), next(groups()).background, (0, 0))
    assert set(np.unique(objects.ids(group, 4, 32))) == {0, 2}


def test_the_picture_changes_where_a_mask_says_so():
    group = next(groups())
    clip, seen = objects.render(group, 12, 32)
    empty, none = objects.render(objects.Group((), group.background, group.drift), 12, 32)
    assert (clip.dtype, clip.shape, seen.shape) == (np.uint8, (12, 32, 32, 3), (12, 32, 32))
    assert not none.any()
    differs = (clip != empty).any(-1)
    assert not differs[seen == 0].any()
    assert differs[seen > 0].mean() > 0.95


@pytest.mark.parametrize("category", sorted(objects.TEXTURES))
def test_a_category_has_its_pattern_at_its_fineness(category):
    pattern, fineness = objects.TEXTURES[category]
    assert pattern in scene.PATTERNS
    rng = np.random.default_rng(0)
    thing = objects.Thing(scene.surface(pattern, 1.0, rng), fineness, "disc", 2.0, ((0.5, 0.5),) * 2, (0.0, 1.0))
    clip, seen = objects.render(objects.Group((thing,), thing.surface, (0, 0)), 1, 64)
    assert (seen == 1).all()
    spectrum = np.abs(np.fft.rfft2(clip[0, :, :, 0] - clip[0, :, :, 0].mean()))
    down, across = np.unravel_index(spectrum.argmax(), spectrum.shape)
    assert {min(down, 64 - down), across} <= {0, 4 * fineness}  # four periods a side
