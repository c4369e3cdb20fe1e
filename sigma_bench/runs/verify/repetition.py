"""Repetition counting: `rep_window_indices.npz`, `rep_train_labels.npz`, `rep_inference.npz`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sigma_bench.data.cycle_targets import ANCHORS, distances_at, targets
from sigma_bench.data.cycle_windows import Windows, is_padding, window_frames
from sigma_bench.evaluators.counting.inference import Count, Ints, Rule, Sides, count_videos
from sigma_bench.evaluators.counting.states import move
from sigma_bench.metrics.counting import count_errors
from sigma_bench.runs.verify.vectors import Golden

BOX = 1e-5
NUMBER = 1e-6
SCALE = 100
"""A frame of the videos of `rep_inference` shows its number divided by this."""
SURE = "stable"
"""Videos whose counts hold when the outputs of the network are disturbed a little; only these are compared."""


def check_windows(golden: Golden) -> None:
    """Compare which frames windows show, and which of them are padding."""
    values, into = golden.values, golden.into
    indices = values["frame_indices"]
    frames = window_frames(values["states"], indices.shape[1] // 2)
    into.exact("frame_indices", _tensor(frames), _tensor(indices))
    into.exact("is_padding", _tensor(is_padding(frames, values["sample_len"])), _tensor(values["is_padding"]))
    _tell_unknown(golden, ("states", "sample_len", "frame_indices", "is_padding"))


def check_labels(golden: Golden) -> None:
    """Compare the targets of windows, and where windows are after a step of training."""
    values, into = golden.values, golden.into
    offsets, (frames, lengths) = values["offsets"][: int(values["sample_len"])], values["states"].T
    found = targets([distances_at(offsets, int(frame)) for frame in frames], lengths, values["anchors"])
    into.exact("gt_cls", _tensor(found.fits_NA), _tensor(values["gt_cls"]))
    into.close("gt_box", _tensor(found.factor_NA), _tensor(values["gt_box"]), BOX)
    steps = values["step_in"]
    factor1, factor2, strides = steps[:, 3:].T
    moved = move(steps[:, :3], factor1, factor2, strides, values["step_sample_len"])
    after = np.column_stack([moved.windows_N3, moved.done_N, moved.fail_N])
    into.exact("step_out", _tensor(after), _tensor(values["step_out"]))
    inputs = ("offsets", "sample_len", "states", "anchors", "step_in", "step_sample_len")
    _tell_unknown(golden, (*inputs, "gt_cls", "gt_box", "step_out"))


def check_inference(golden: Golden) -> None:
    """Compare counts, the steps towards them, and their errors, with the network that the file holds."""
    values, into = golden.values, golden.into
    lengths, truth = values["sample_len"], values["gt_counts"]
    rule = Rule(anchors=tuple(values["anchors"].tolist()) if "anchors" in values else ANCHORS)
    with torch.inference_mode():
        found = count_videos(lengths.tolist(), lambda rows, windows: _fake(golden, lengths[rows], windows), rule)
    sure = values[SURE] if SURE in values else np.ones(len(lengths), bool)
    counts = np.array([video.repetitions for video in found], dtype=np.float64)
    estimates = np.array([video.first_estimate for video in found])
    into.exact("counts", _tensor(counts[sure]), _tensor(values["counts"][sure]))
    into.exact("first_estimate", _tensor(estimates[sure]), _tensor(values["first_estimate"][sure]))
    _check_positions(golden, [video for video, known in zip(found, sure, strict=True) if known], sure)
    errors = count_errors(np.where(sure, counts, values["counts"]), truth)
    into.close("maes", _tensor(errors.relative_N), _tensor(values["maes"]), NUMBER)
    into.exact("oboas", _tensor(errors.within_one_N.astype(np.float64)), _tensor(values["oboas"]))
    numbers = {
        "mae": errors.mean,
        "mae_std": errors.deviation,
        "maep": errors.mean_over,
        "maen": errors.mean_under,
        "oboa": errors.obo,
    }
    for key, number in numbers.items():
        into.number(key, number, float(values[key]), NUMBER)
    outputs = ("counts", "first_estimate", "position_inverse_lengths", "maes", "oboas", *numbers)
    inputs = ("sample_len", "gt_counts", "mean", "anchors", SURE, *(f"w_{name}" for name in _OUTPUTS))
    _tell_unknown(golden, (*inputs, *outputs))


_OUTPUTS = ("cls1", "box1", "cls2", "box2")


def _check_positions(golden: Golden, found: list[Count], sure: np.ndarray) -> None:
    ours = np.array([video.inverse_lengths for video in found])
    golden_values = golden.values["position_inverse_lengths"][sure]
    golden.into.close("position_inverse_lengths", _tensor(ours), _tensor(golden_values), NUMBER)


def _fake(golden: Golden, lengths_N: Ints, windows_N3: Windows) -> Sides:
    """Return what the file's network says: linear in waves of the mean of each frame."""
    values, device = golden.values, golden.device
    frames = window_frames(windows_N3, values["w_cls1"].shape[1] // 2)
    padding = is_padding(frames, lengths_N)
    grey = torch.tensor(values["mean"], dtype=torch.float32, device=device).mean()
    shown = _tensor(frames).to(device).float() / SCALE
    shown = torch.where(_tensor(padding).to(device), grey, shown)
    waves = (2 * shown).sin() + 0.5 * (3 * shown).cos() + shown / 8
    cls1, box1, cls2, box2 = (waves @ _tensor(values[f"w_{name}"]).float().to(device).T for name in _OUTPUTS)
    scores = [_fits(cls, box.shape[1]) for cls, box in ((cls1, box1), (cls2, box2))]
    return Sides(*(part.cpu().numpy() for part in (scores[0], box1, scores[1], box2)))


def _fits(logits: torch.Tensor, anchors: int) -> torch.Tensor:
    return logits.reshape(-1, 2, anchors).softmax(1)[:, 1]


def _tell_unknown(golden: Golden, known: tuple[str, ...]) -> None:
    for key in golden.values:
        if key not in known:
            golden.into.unknown(key, "no check for this key")


def _tensor(values: Any) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values))
