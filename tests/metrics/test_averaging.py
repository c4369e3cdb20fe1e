"""What is averaged over what."""

import numpy as np
import pytest

from sigma_bench.metrics.averaging import SCOPES, clip_miou, mean_iou, mean_of_batches
from sigma_bench.metrics.matching import match


def clips(seed, lengths=(2, 5, 3)):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 3, (t, 6, 6)) for t in lengths], [rng.integers(0, 3, (t, 6, 6)) for t in lengths]


def test_scopes_are_means_of_matches_of_frames_clips_and_all():
    maps, masks = clips(0)
    frames = [
        np.mean([match(a, b, "hungarian").miou() for a, b in zip(m, g, strict=True)])
        for m, g in zip(maps, masks, strict=True)
    ]
    of_clips = [match(m, g, "hungarian").miou() for m, g in zip(maps, masks, strict=True)]
    flat = [np.concatenate([x.ravel() for x in part]) for part in (maps, masks)]
    expected = {
        "frame-wise": np.mean(frames),  # of a clip first: a long clip weighs no more than a short one
        "sample-wise": np.mean(of_clips),
        "dataset-wise": match(*flat, "hungarian").miou(),
    }
    assert {scope: mean_iou(maps, masks, scope, "hungarian") for scope in SCOPES} == pytest.approx(expected)
    assert len(set(expected.values())) == 3


def test_frames_without_a_judged_pixel_are_left_out():
    maps, masks = np.zeros((2, 3, 3), int), np.zeros((2, 3, 3), int)
    masks[1] = 255
    maps[1] = 1
    assert clip_miou(maps, masks, "hungarian", frames=True, void=255) == (1.0, 0.0)
    with pytest.raises(ValueError, match="all are void"):
        clip_miou(maps[1:], masks[1:], "hungarian", frames=True, void=255)


def test_a_last_smaller_batch_weighs_more():
    values = [1.0] * 16 + [0.0] * 14
    assert mean_of_batches(values, 16) == 0.5
    assert mean_of_batches(values, 30) == pytest.approx(16 / 30)


def test_no_such_scope():
    with pytest.raises(ValueError, match="no scope 'clip'"):
        mean_iou([], [], "clip", "hungarian")
