"""Over what clusters are matched and IoUs are pooled: single frames, clips, or all clips together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from sigma_bench.metrics.matching import Labels, Rule, match

Scope = Literal["frame-wise", "sample-wise", "dataset-wise"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


def clip_miou(
    maps_THW: Labels, masks_THW: Labels, rule: Rule, *, frames: bool = False, void: int | None = None
) -> tuple[float, float]:
    """Return the mIoU of a clip with and without background, from 0 to 1.

    Args:
        maps_THW: Cluster of each pixel.
        masks_THW: Id of each pixel.
        rule: How clusters are given ids, see `matching.match`.
        frames: Match every frame by itself and average over those in which a pixel is judged; else match the clip.
        void: Id of pixels that are in no count.

    Raises:
        ValueError: The shapes differ, or no pixel of the clip is judged.
    """
    if not frames:
        found = match(maps_THW, masks_THW, rule, void)
        return found.miou(True), found.miou(False)
    pairs = [pair for pair in zip(maps_THW, masks_THW, strict=True) if void is None or (pair[1] != void).any()]
    if not pairs:
        raise ValueError("no pixel to compare: all are void")
    each = [match(one, truth, rule, void) for one, truth in pairs]
    return float(np.mean([m.miou(True) for m in each])), float(np.mean([m.miou(False) for m in each]))


def mean_iou(
    maps: Sequence[Labels],
    masks: Sequence[Labels],
    scope: Scope,
    rule: Rule,
    *,
    background: bool = True,
    void: int | None = None,
) -> float:
    """Return the mIoU of several clips, from 0 to 1.

    Args:
        maps: Cluster of each pixel of each clip, (T, H, W); lengths may differ.
        masks: Id of each pixel.
        scope: `frame-wise`: of every frame, averaged over a clip, then over clips; `sample-wise`: of every clip, then
            averaged; `dataset-wise`: one matching for the pixels of all clips.
        rule: How clusters are given ids.
        background: Count the background as an id.
        void: Id of pixels that are in no count.

    Raises:
        ValueError: There is no clip, shapes differ, nothing is judged, or there is no such scope.
    """
    if scope not in SCOPES:
        raise ValueError(f"no scope '{scope}'; expected one of {', '.join(SCOPES)}")
    if scope == "dataset-wise":
        flat = [np.concatenate([clip.reshape(-1) for clip in clips]) for clips in (maps, masks)]
        return match(flat[0], flat[1], rule, void).miou(background)
    found = [
        clip_miou(one, truth, rule, frames=scope == "frame-wise", void=void)
        for one, truth in zip(maps, masks, strict=True)
    ]
    return float(np.mean([with_it if background else without for with_it, without in found]))


def mean_of_batches(values: Sequence[float], size: int) -> float:
    """Return the mean over batches of the means within them, in which a last smaller batch weighs more a value.

    So the released evaluation of Time-Tuning averages clips, in batches of 16 (`evaluation.py`, `Evaluator.evaluate`).
    """
    return float(np.mean([np.mean(values[start : start + size]) for start in range(0, len(values), size)]))
