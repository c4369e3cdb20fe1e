"""Views put together: `slowfast_testmeter.npz`, `videomae_merge.npz` and the `view_files` beside it."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch

from sigma_bench.metrics.accuracy import hits, mean_class, mean_class_cumulative_released, top_k
from sigma_bench.metrics.average_precision import by_threshold, mean_of_present
from sigma_bench.metrics.views import grouped, maximum, mean_softmax
from sigma_bench.runs.verify import view_files
from sigma_bench.runs.verify.vectors import Golden

TOLERANCE = 1e-6
SCORES = 1e-5
PRINTED = 0.005 + 1e-9
"""Of percentages that the meter prints to two decimals; a half may be printed either way."""
MERGED = re.compile(r"(true_mean_class_|released_cumulative_mean_class_|)top(\d+)")
FOLDER = "view_files"


def check_meter(golden: Golden) -> None:
    """Compare what SlowFast's test meter makes of clips in any order: the greatest score, and the sum.

    `clip_ids` is the order in which the meter sees the clips; row k of the scores is that of clip k.
    """
    values, into = golden.values, golden.into
    visited = values["clip_ids"]
    views = grouped(values["clip_scores"][visited], visited // int(values["num_clips"]))
    greatest = np.concatenate([maximum(own[None]) for own in views])
    summed = np.stack([own.astype(np.float64).sum(0) for own in views])
    inputs = {"clip_scores", "clip_ids", "num_clips", "multi_labels", "single_labels"}
    for key in (key for key in values if key not in inputs):
        top = re.fullmatch(r"sum_top(\d+)", key)
        if key in ("max_video_scores", "sum_video_scores"):
            ours = greatest if key.startswith("max") else summed
            into.close(key, torch.from_numpy(ours), torch.from_numpy(values[key]), SCORES)
        elif key == "max_map":
            into.defined(key, mean_of_present(by_threshold(greatest, values["multi_labels"])), values[key], SCORES)
        elif top:
            into.number(key, top_k(summed, values["single_labels"], int(top[1])), float(values[key]), PRINTED)
        else:
            into.unknown(key, "no check for this key")


def check_merge(golden: Golden) -> None:
    """Compare accuracies over averaged views, of the logits and of the files of the processes."""
    values, into = golden.values, golden.into
    logits_NVC = values["logits"]
    views = int(values["num_segments"]) * int(values["num_crops"])
    if logits_NVC.shape[1] != views:
        into.failed("logits", f"{logits_NVC.shape[1]} views of each sample, expected {views}")
    _accuracies(golden, "", mean_softmax(logits_NVC), values["targets"])
    folder = golden.path.with_name(FOLDER)
    if not folder.is_dir():
        into.skipped(FOLDER, f"no folder {FOLDER} beside {golden.path.name}")
        return
    found = view_files.read(folder)
    scores = np.concatenate([mean_softmax(own[None]) for own in found.logits])
    into.number(f"{FOLDER}: samples", len(scores), len(logits_NVC), 0)
    into.number(f"{FOLDER}: views", sum(len(own) for own in found.logits), logits_NVC[..., 0].size, 0)
    _accuracies(golden, f"{FOLDER}: ", scores, found.labels)


def _accuracies(golden: Golden, title: str, scores: np.ndarray, labels: np.ndarray) -> None:
    rules: dict[str, Callable[[np.ndarray], float]] = {
        "": lambda right: 100 * float(right.mean()),
        "true_mean_class_": lambda right: mean_class(right, labels),
        "released_cumulative_mean_class_": lambda right: mean_class_cumulative_released(right, labels, scores.shape[1]),
    }
    inputs = {"logits", "targets", "num_segments", "num_crops"}
    for key in (key for key in golden.values if key not in inputs):
        match = MERGED.fullmatch(key)
        if match is None:
            golden.into.unknown(key, "no check for this key")
        else:
            right = hits(scores, labels, int(match[2]))
            golden.into.defined(title + key, rules[match[1]](right), golden.values[key], TOLERANCE)
