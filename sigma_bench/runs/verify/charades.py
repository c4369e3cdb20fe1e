"""Charades in SlowFast's code: the files `charades_{map,test_frames,lr}.npz` and `charades_labels.json`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sigma_bench.data import clips
from sigma_bench.data.frame_labels import from_lists, union
from sigma_bench.metrics import average_precision as ap
from sigma_bench.runs.verify.vectors import Golden
from sigma_bench.train.schedule import stepped_with_warmup

Scored = tuple[np.ndarray, np.ndarray]
MAP_TOLERANCE = 1e-6
MAPS: dict[str, Callable[[np.ndarray, np.ndarray], float | np.ndarray]] = {
    "slowfast_ap": ap.by_threshold,
    "slowfast_map": lambda scores, labels: ap.mean_of_present(ap.by_threshold(scores, labels)),
    "gsig_ap": ap.by_rank,
    "gsig_map": lambda scores, labels: ap.mean_of_all(ap.by_rank(scores, labels)),
    "gsig_wap": lambda scores, labels: ap.weighted_by_positives(ap.by_rank(scores, labels), labels),
    "official_ap": ap.charades_official,
    "official_map": lambda scores, labels: ap.mean_of_all(ap.charades_official(scores, labels)),
    "official_wap": lambda scores, labels: ap.weighted_by_positives(ap.charades_official(scores, labels), labels),
}
"""Key of a case -> what it holds."""
LR_TOLERANCE = 1e-9
SCHEDULE: dict[str, Any] = {
    "base": 0.0375,
    "steps": (41, 49),
    "factors": (0.1, 0.01),
    "warmup_epochs": 4,
    "start": 1e-4,
}
"""The published schedule, which is task `severe/charades`'s."""


def check_map(golden: Golden) -> None:
    """Compare average precisions by every definition, case by case."""
    values, into = golden.values, golden.into
    cases = sorted((key.removesuffix("_scores") for key in values if key.endswith("_scores")), key=len, reverse=True)
    for key, value in values.items():
        case = next((case for case in cases if key.startswith(f"{case}_")), None)
        rule = key.removeprefix(f"{case}_")
        if rule in ("scores", "labels"):
            continue
        if rule in MAPS:
            into.defined(key, MAPS[rule](values[f"{case}_scores"], values[f"{case}_labels"]), value, MAP_TOLERANCE)
        else:
            into.unknown(key, "no check for this key")


def check_frames(golden: Golden) -> None:
    """Compare the frames of the test clips of videos of every length."""
    values, into = golden.values, golden.into
    lengths, stride = values["lengths"].tolist(), int(values["stride"])
    for key, frames in values.items():
        if key in ("lengths", "stride"):
            continue
        if not key.startswith("frames"):
            into.unknown(key, "no check for this key")
            continue
        _, views, count = frames.shape
        ours = np.stack([clips.windows_test(n, count, stride, views) for n in lengths])
        into.exact(key, torch.from_numpy(ours), torch.from_numpy(frames))


def check_labels(golden: Golden) -> None:
    """Compare the classes of clips and of whole videos; the error is the number of videos that differ."""
    every = [[frozenset(labels) for labels in video] for video in golden.values["frame_labels"]]
    classes = 1 + max((label for video in every for labels in video for label in labels), default=0)
    shown = [from_lists(video, classes) for video in every]
    for key, wanted in golden.values.items():
        clip = re.fullmatch(r"clip_labels_frames_(\d+)_to_(\d+)", key)
        if key == "frame_labels":
            continue
        if clip is None and key != "video_labels":
            golden.into.unknown(key, "no check for this key")
            continue
        first, last = (int(clip[1]), int(clip[2])) if clip else (0, None)
        ours = [np.flatnonzero(union(labels, first, last)).tolist() for labels in shown]
        golden.into.number(key, sum(a != b for a, b in zip(ours, wanted, strict=True)), 0, 0)


def check_rates(golden: Golden) -> None:
    """Compare the published learning rates at some moments of the training."""
    ours = stepped_with_warmup(golden.values["epochs"], **SCHEDULE)
    golden.into.close("lr", torch.from_numpy(ours), torch.from_numpy(golden.values["lr"]), LR_TOLERANCE)
    for key in [key for key in golden.values if key not in ("epochs", "lr")]:
        golden.into.unknown(key, "no check for this key")
