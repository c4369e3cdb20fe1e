from dataclasses import replace

import numpy as np
import pytest

from sigma_bench.data.miniatures import scene


def drawn(seed=0, category="bars", motion="East", background="rows"):
    return scene.draw(category, motion, background, np.random.default_rng(seed))


@pytest.mark.parametrize("motion", scene.DIRECTIONS)
def test_the_object_moves_where_its_label_says(motion):
    signs = {"North": (0, -1), "South": (0, 1), "East": (1, 0), "West": (-1, 0)}
    wanted = np.sum([v for k, v in signs.items() if k in motion or k.lower() in motion.lower()], axis=0)
    square = replace(drawn(1, motion=motion), outline="disc", radius=0.2)  # small enough never to leave the frame
    _, masks = scene.render(square, 8, 64)
    centres = np.array([np.argwhere(m).mean(0)[::-1] for m in masks])
    step = np.diff(centres, axis=0).mean(0)
    assert 2 * 0.9 < np.hypot(*step) < 4 * 1.1  # 1 to 2 of 32 pixels a frame
    assert np.allclose(np.sign(np.where(np.abs(step) < 0.1, 0, step)), wanted)
    assert np.abs(centres.mean(0) - 32).max() < 0.07 * 64  # centred in the middle of the clip


@pytest.mark.parametrize("pattern", scene.PATTERNS)
def test_patterns_repeat_with_a_quarter_of_the_side(pattern):
    still = replace(drawn(2, category=pattern), radius=9.0, velocity=(0.0, 0.0), outline="disc")
    frames, masks = scene.render(still, 2, 32)
    assert masks.all()
    assert np.abs(frames[:, :, 8:].astype(int) - frames[:, :, :-8]).max() <= 1
    assert np.abs(frames[:, 8:].astype(int) - frames[:, :-8]).max() <= 1
    assert frames.reshape(-1, 3).std(0).min() > 10


def test_the_mask_is_where_the_object_is_painted():
    one = drawn(3)
    frames, masks = scene.render(one, 8, 32)
    other, _ = scene.render(replace(one, background=drawn(4).background), 8, 32)
    assert np.array_equal(frames[masks], other[masks])
    assert not np.array_equal(frames[~masks], other[~masks])
    assert 0.15 < masks.mean() < 0.85


def test_what_is_drawn_does_not_depend_on_the_labels():
    one, two = drawn(5), drawn(5, "plaid", "North", "diagonal")
    assert (one.outline, one.radius, one.center, one.drift) == (two.outline, two.radius, two.center, two.drift)
    assert np.array_equal(one.object.base, two.object.base)
    assert one.object.phase == two.object.phase
    assert np.isclose(np.hypot(*one.velocity), np.hypot(*two.velocity))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="pattern 'dots' is unknown"):
        scene.render(drawn(category="dots"), 2, 32)
