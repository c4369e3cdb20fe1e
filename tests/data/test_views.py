"""What is asked of the decoding processes for each view, and the clips made of what they give."""

from types import SimpleNamespace

import numpy as np
import pytest

from sigma_bench.contracts import EncoderSpec
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.views import STILL, Views, requests, sample_views

SPEC = EncoderSpec("test", "none", 3, 1, 1, 2, 8, 4, 16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 3, False)
TRAIN = Views("dense_train", 2, 1, 3, "random_resized", True, 7)
TEST = Views("dense_test", 2, 3, 1, "full", False, 0)


def index(count):
    return Index.build("set", "train", "/nowhere", ["x"], [Sample(f"v{n}", f"v{n}.avi", 0, "g") for n in range(count)])


def test_a_request_carries_what_the_views_and_the_encoder_say_and_its_draws_follow_seed_and_row():
    asked = list(requests(index(5), TRAIN, SPEC, [1, 4]))
    assert [(r.path, r.seed) for r in asked] == [("/nowhere/v1.avi", (7, 1)), ("/nowhere/v4.avi", (7, 4))]
    said = {(r.sampling, r.clips, r.stride, r.box, r.flip, r.frames, r.size) for r in asked}
    assert said == {("dense_train", 2, 3, "random_resized", True, SPEC.frames, SPEC.image_size)}
    [plain] = requests(index(5), TEST, SPEC, [4])
    assert (plain.sampling, plain.box, plain.flip, plain.seed) == ("dense_test", "full", False, (0, 4))


def decoded(*clips, **info):
    return SimpleNamespace(arrays=[np.asarray(clip, np.uint8) for clip in clips], info=info)


def clip(size=16):
    return np.random.default_rng(size).integers(0, 255, (8, size, size, 3))


def test_each_clip_is_mirrored_as_was_drawn_for_it():
    one, two = clip(), clip()[::-1]
    plain = sample_views(decoded(one, two), TRAIN, SPEC, "cpu")
    mixed = sample_views(decoded(one, two, flips=[False, True]), TRAIN, SPEC, "cpu")
    assert [tuple(view.shape) for view in plain] == [(3, 8, 16, 16)] * 2
    np.testing.assert_array_equal(plain[0], one.transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(mixed[0], plain[0])
    np.testing.assert_array_equal(mixed[1], plain[1].flip(-1))
    assert not (mixed[1] == plain[1]).all()


def test_a_whole_frame_of_training_is_mirrored_as_was_drawn_for_it():
    whole = Views("dense_train", 2, 1, 3, "full", True, 7)
    one, two = clip(), clip()[::-1]
    plain = sample_views(decoded(one, two, flips=[False, False]), whole, SPEC, "cpu")
    mixed = sample_views(decoded(one, two, flips=[False, True]), whole, SPEC, "cpu")
    np.testing.assert_array_equal(mixed[0], plain[0])
    np.testing.assert_array_equal(mixed[1], plain[1].flip(-1))
    assert not (mixed[1] == plain[1]).all()


def test_test_views_go_clip_by_clip_and_crop_by_crop():
    wide = [np.repeat(clip(), 3, axis=2) + number for number in (0, 1)]
    views = sample_views(decoded(*wide), TEST, SPEC, "cpu")
    assert len(views) == TEST.count == 6
    alone = [sample_views(decoded(one), TEST, SPEC, "cpu") for one in wide]
    for found, expected in zip(views, [*alone[0], *alone[1]], strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(views[0], wide[0][:, :, :16].transpose(3, 0, 1, 2).astype(np.uint8))


def test_a_flip_missing_for_a_clip_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        sample_views(decoded(clip(), clip(), flips=[True]), TRAIN, SPEC, "cpu")


def test_a_still_is_decoded_once_a_clip_and_shown_in_every_frame():
    views = Views(STILL, 2, 1, 1, "random_resized", True, 7)
    [asked] = requests(index(5), views, SPEC, [4])
    assert (asked.sampling, asked.frames, asked.clips, asked.seed) == ("dense_test", 1, 2, (7, 4))
    one, two = clip()[:1], clip()[1:2]
    for found, picture in zip(sample_views(decoded(one, two), views, SPEC, "cpu"), (one, two), strict=True):
        assert found.shape == (3, SPEC.frames, 16, 16)
        np.testing.assert_array_equal(found, np.repeat(picture, SPEC.frames, 0).transpose(3, 0, 1, 2))
