"""Frame sampling: `frame_sampling.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sigma_bench.data import clips
from sigma_bench.runs.verify.vectors import Golden

Case = dict[str, Any]


def _rng(case: Case) -> np.random.RandomState:
    return np.random.RandomState(case["np_seed"])


def _pretraining(case: Case) -> np.ndarray:
    return clips.pretraining(case["n_frames"], len(case["indices"]), case["stride"], _rng(case))


def _dense(case: Case) -> np.ndarray:
    return clips.dense_train(case["n_frames"], len(case["indices"]), case["rate"], _rng(case))


def _segments(case: Case) -> np.ndarray:
    return clips.segments_train(case["n_frames"], len(case["indices"]), _rng(case))


def _dense_views(case: Case) -> np.ndarray:
    return clips.dense_test(case["n_frames"], len(case["views"][0]["frames"]), case["rate"], case["test_num_segment"])


def _segment_views(case: Case) -> np.ndarray:
    segments = 1 + max(view["segment"] for view in case["views"])
    return clips.segments_test(case["n_frames"], len(case["views"][0]["frames"]), segments)


RANDOM: dict[str, Callable[[Case], np.ndarray]] = {
    "pretrain": _pretraining,
    "k400_train": _dense,
    "ssv2_train": _segments,
    "ssv2_val": _segments,
}
FIXED: dict[str, Callable[[Case], np.ndarray]] = {"k400_test": _dense_views, "ssv2_test": _segment_views}


def check(golden: Golden) -> None:
    """Compare the frames of every case; the error is the number of cases that differ. Each has its own seed."""
    for key, cases in golden.values.items():
        if key in RANDOM:
            same = [np.array_equal(RANDOM[key](case), case["indices"]) for case in cases]
        elif key in FIXED:
            same = [_same_views(FIXED[key](case), case) for case in cases]
        else:
            golden.into.unknown(key, "no check for this key")
            continue
        golden.into.number(f"{key} ({len(same)} cases)", same.count(False), 0, 0)


def _same_views(frames: np.ndarray, case: Case) -> bool:
    return all(np.array_equal(frames[view["segment"]], view["frames"]) for view in case["views"])
