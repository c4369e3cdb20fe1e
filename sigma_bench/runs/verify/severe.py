"""The SEVERE benchmark's code: `severe_accuracy.npz`, `severe_code_lr.npz` and `low_shot_subset.npz`."""

from __future__ import annotations

import re

import numpy as np
import torch

from sigma_bench.data import lowshot
from sigma_bench.metrics.accuracy import hits, mean_class, top_k
from sigma_bench.metrics.views import mean_softmax
from sigma_bench.runs.verify.vectors import Golden
from sigma_bench.train.schedule import stepped_with_warmup

PERCENT = 1e-3
"""Tolerance of accuracies, which the reference computes in single precision."""
CONFIDENCE = 1e-5
RATE = 1e-12
FIRST_RATE, GAMMA = 1e-4, 0.3
SCHEDULES = {
    "something": (12, 17, 20),
    "gym99_ucf_and_1000": (6, 10, 14),
    "fx_ub": (7, 12, 16),
    "tubelet_1000": (8, 13, 16),
}
"""Epochs of the released settings from which the rate is 0.3 of what it was. They are for R(2+1)D-18; no task here
trains by them."""


def check_accuracy(golden: Golden) -> None:
    """Compare accuracies over averaged views, and both means over classes."""
    values, into = golden.values, golden.into
    logits_NVC, labels = values["logits"], values["targets"]
    scores, classes = mean_softmax(logits_NVC), logits_NVC.shape[-1]
    if "view_mean_confidence" in values:
        ours = torch.from_numpy(scores)
        into.close("view_mean_confidence", ours, torch.from_numpy(values["view_mean_confidence"]), CONFIDENCE)
    for key in [key for key in values if key not in ("logits", "targets", "view_mean_confidence")]:
        plain, mean = re.fullmatch(r"top(\d+)", key), re.fullmatch(r"mean_class_top(\d+)_(released|present_only)", key)
        if plain:
            into.defined(key, top_k(scores, labels, int(plain[1])), values[key], PERCENT)
        elif mean:
            over = classes if mean[2] == "released" else None
            into.defined(key, mean_class(hits(scores, labels, int(mean[1])), labels, over), values[key], PERCENT)
        else:
            into.unknown(key, "no check for this key")


def check_rates(golden: Golden) -> None:
    """Compare the learning rate of each epoch of the released schedules."""
    for key, rates in golden.values.items():
        if key not in SCHEDULES:
            golden.into.unknown(key, "no check for this key")
            continue
        factors = [GAMMA ** (k + 1) for k in range(len(SCHEDULES[key]))]
        ours = stepped_with_warmup(np.arange(len(rates), dtype=np.float64), FIRST_RATE, SCHEDULES[key], factors)
        golden.into.close(key, torch.from_numpy(ours), torch.from_numpy(rates), RATE)


def check_low_shot(golden: Golden) -> None:
    """Compare the rows of each low-shot subset, in order."""
    values = golden.values
    for key in [key for key in values if key != "labels"]:
        size = re.fullmatch(r"pick_(\d+)", key)
        if size is None:
            golden.into.unknown(key, "no check for this key")
        else:
            ours = lowshot.pick(values["labels"], int(size[1]))
            golden.into.exact(key, torch.from_numpy(ours), torch.from_numpy(values[key]))
