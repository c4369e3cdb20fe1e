"""What the network is shown: normalised frames, and padding of one colour outside."""

from types import SimpleNamespace

import numpy as np
import torch

from sigma_bench.data.cycle_windows import window_frames
from sigma_bench.evaluators.counting.clips import PADDING, clips_of

SPEC = SimpleNamespace(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def _video(count, size=4):
    frames = np.zeros((count, size, size, 3), np.uint8)
    frames[:, :, 0, 0] = np.arange(count)[:, None]
    return torch.from_numpy(frames)


def test_frames_are_those_of_the_window_normalised_with_the_encoders_values():
    windows = np.array([[10, 14, 20], [12, 15, 19]])
    clips = clips_of([_video(50), _video(50)], windows, 8, SPEC, "cpu")
    assert clips.shape == (2, 3, 16, 4, 4)
    red = clips[:, 0, :, 0, 0] * 0.2 + 0.5
    torch.testing.assert_close(red * 255, torch.from_numpy(window_frames(windows, 8)).float(), rtol=0, atol=1e-3)
    torch.testing.assert_close(clips[:, 1], torch.full((2, 16, 4, 4), -0.4 / 0.3))


def test_outside_the_video_the_colour_is_the_constant_after_normalising():
    windows = np.array([[0, 4, 9]])
    (clip,) = clips_of([_video(6)], windows, 8, SPEC, "cpu")
    outside = (window_frames(windows, 8)[0] < 0) | (window_frames(windows, 8)[0] >= 6)
    assert 0 < outside.sum() < 16
    for channel, value in enumerate(PADDING):
        assert torch.equal(clip[channel][outside], torch.full((int(outside.sum()), 4, 4), value))
        assert not torch.isclose(clip[channel][~outside], torch.tensor(value)).any()


def test_a_video_of_one_frame_is_padding_but_for_that_frame():
    (clip,) = clips_of([_video(1)], np.array([[0, 0, 1]]), 4, SPEC, "cpu")
    inside = window_frames([(0, 0, 1)], 4)[0] == 0
    assert inside.any()
    assert torch.equal(clip[0][~inside], torch.full((int((~inside).sum()), 4, 4), PADDING[0]))


def test_mirrored_windows_are_mirrored_and_the_others_are_not():
    videos, windows = [_video(30), _video(30)], np.array([[8, 12, 17], [8, 12, 17]])
    plain = clips_of(videos, windows, 4, SPEC, "cpu")
    some = clips_of(videos, windows, 4, SPEC, "cpu", np.array([False, True]))
    assert torch.equal(some[0], plain[0])
    assert torch.equal(some[1], plain[1].flip(-1))
    assert not torch.equal(some[1], plain[1])
