"""Unsupervised video object segmentation: k-means on the dense features of a clip, matched with its objects.

Protocol `segmentation`, after SIGMA, section 4.2 and supplement C; what they leave open is decided in
docs/segmentation.md. Every clip is clustered and matched by itself; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data.index import Index
from sigma_bench.evaluators import samples
from sigma_bench.evaluators.segmentation import clips, maps, records
from sigma_bench.evaluators.segmentation.clips import Drawn, Ids
from sigma_bench.evaluators.segmentation.dense import Dense, check_norm, dense, grid, shown_frames
from sigma_bench.evaluators.segmentation.scores import compared, diagnostics
from sigma_bench.metrics.averaging import mean_iou
from sigma_bench.metrics.cluster_maps import Clustered, over_frames
from sigma_bench.metrics.matching import Rule
from sigma_bench.metrics.resampling import nearest
from sigma_bench.metrics.time_variance import time_variance
from sigma_bench.models.floors import Floor


@dataclass
class Clip:
    """A clip of the list.

    Attributes:
        row: Of the list.
        name: Its id.
        drawn: Its frames.
        ids: Of its masks, (T, `mask_size`, `mask_size`).
        error: Why it cannot be measured.
        record: What was measured.
    """

    row: int
    name: str
    drawn: Drawn | None = None
    ids: Ids | None = None
    error: str | None = None
    record: dict[str, Any] = field(default_factory=dict)


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return the mIoU (percent) of `encoder` and one record a clip.

    Metrics: `miou` with the first of the task's numbers of clusters and reductions, `miou_k10`, `miou_unreduced` and so
    on with the others; each also without background (`_nobg`). Besides `davis_j` and `davis_f`, means over clips of
    the means over their objects, and `cluster_changes`, the share of pixels whose cluster changes between neighbouring
    maps, and `time_variance`, the share of the tokens' variance that their time step alone explains.

    Args:
        encoder: Stays frozen, in eval mode; or a floor.
        task: A task with `evaluator: segmentation`.
        run: Seed of the frames and of k-means.

    Raises:
        UserError: The list is missing, empty or without masks, the encoder lacks the norm that is asked for, or cannot
            be shown the clips.
    """
    lists = samples.read(task, run)
    index = lists.test
    if not index.count:
        raise UserError(f"{task.id}: list '{index.split}' of {index.name} in {index.root} is empty")
    check_norm(encoder, task)
    shown = shown_frames(encoder, task.clips.frames)
    found = clips_of(index, task, shown=shown, seed=run.seed)
    features = _features(encoder, index, found, task, run)
    measured = _Measured(encoder, features, index, task.segmentation, run)
    measured.measure(found)
    decoded = sum(clip.error is None for clip in found)
    return Evaluation(
        metrics=records.metrics(found, task.segmentation, measured.over_set),
        samples=records.frame(index, found),
        counts=samples.counts(index, decoded),
        selection={"frames": shown, "grid": list(grid(encoder.spec, shown)), "features": encoder.spec.embed_dim},
        views="1x1",
        marks=records.marks(found, encoder, task, shown),
        test_index=index,
        decoders={} if features is None else features.features.origin["decoders"],
        cached=features is not None and bool(features.features.origin["cached"]),
    )


def clips_of(index: Index, task: Any, *, shown: int, seed: int) -> list[Clip]:
    """Return the clip of every video of a list, in its order; one that cannot be had says why.

    Args:
        index: The videos.
        task: Its `clips` and `segmentation`.
        shown: Frames that the encoder is shown.
        seed: Seed of the frames.

    Raises:
        UserError: What says which frames must have masks cannot be read.
    """
    must = clips.expected(index)
    absent = set(index.missing())
    found = [Clip(row, name) for row, name in enumerate(index.ids)]
    for clip in found:
        try:
            if clip.name in absent:
                raise UserError(f"{index.path(clip.row)}: no such folder of frames")
            clip.drawn = clips.draw(index, clip.row, frames=task.clips.frames, shown=shown, seed=seed, must=must)
            clip.ids = clips.truth(index, clip.row, clip.drawn, task.segmentation)
        except UserError as error:
            clip.error = str(error)
    return found


def _features(encoder: Encoder, index: Index, found: Sequence[Clip], task: Any, run: Run) -> Dense | None:
    """Return the tokens of the clips that have masks, and note which cannot be decoded; None where none are needed."""
    if isinstance(encoder, Floor) and encoder.kind in maps.DRAWN:
        return None
    frames = {clip.row: clip.drawn.positions for clip in found if clip.drawn is not None and clip.error is None}
    if not frames:
        return None
    features = dense(encoder, index, frames, task.segmentation, run)
    for row, error in features.errors.items():
        found[row].error = error
    return features


class _Measured:
    """Goes through the clips, some at a time, and writes what it measures to their records."""

    def __init__(self, encoder: Encoder, features: Dense | None, index: Index, settings: Any, run: Run) -> None:
        self.encoder, self.features, self.settings, self.run = encoder, features, settings, run
        self.void = clips.void_of(index, settings)
        self.over_set: dict[str, float] = {}
        """Metrics that are of all clips together."""
        floor = encoder.kind if isinstance(encoder, Floor) else ""
        self.rule: Rule = "all_background" if floor == "all_background" else settings.match

    def measure(self, found: Sequence[Clip]) -> None:
        good = [clip for clip in found if clip.error is None]
        size = max(1, len(good)) if self.settings.scope == "dataset-wise" else maps.BATCH
        for first in range(0, len(good), size):
            self._some(good[first : first + size])

    def _some(self, some: Sequence[Clip]) -> None:
        truths = [clip.ids for clip in some if clip.ids is not None]
        tokens = None
        if self.features is not None:
            tokens = [self.features.tokens(clip.row, self.run.device) for clip in some]
        for reduction in self.settings.reduce:
            reduced = None if tokens is None else maps.reduced(tokens, reduction, self.settings)
            for wanted in self.settings.clusters:
                made = self._maps(some, truths, reduced, wanted)
                self._compare(some, made, records.metric(wanted, reduction, self.settings))
        for place, (clip, ids) in enumerate(zip(some, truths, strict=True)):
            clip.record["time_variance"] = float("nan") if tokens is None else 100 * time_variance(tokens[place])
            clip.record["k"] = clips.clusters(ids, self.settings.clusters[0], self.void)

    def _maps(self, some: Sequence[Clip], truths: list[Ids], tokens: Any, wanted: int | str) -> list[Clustered]:
        if tokens is not None:
            return maps.clustered(tokens, truths, wanted, self.settings, seed=self.run.seed, void=self.void)
        steps = len(truths[0]) // self.encoder.spec.tubelet
        one = self.rule == "all_background"
        k = [1 if one else clips.clusters(ids, wanted, self.void) for ids in truths]
        size = self.settings.resolution
        return [
            maps.random_maps(steps, own, size, seed=self.run.seed, name=clip.name)
            for clip, own in zip(some, k, strict=True)
        ]

    def _compare(self, some: Sequence[Clip], made: list[Clustered], name: str) -> None:
        if self.settings.scope == "dataset-wise":
            self._compare_set(some, made, name)
        for clip, one in zip(some, made, strict=True):
            assert clip.ids is not None
            try:
                pair = compared(one, clip.ids, self.rule, self.settings, self.void)
                clip.record[name], clip.record[f"{name}_nobg"] = pair.miou, pair.miou_nobg
                if name == records.FIRST:
                    clip.record |= diagnostics(one, clip.ids, self.rule, self.settings, self.void)
            except ValueError as error:
                clip.error = str(error)

    def _compare_set(self, some: Sequence[Clip], made: list[Clustered], name: str) -> None:
        settings = self.settings
        masks = [nearest(clip.ids, settings.resolution, settings.nearest) for clip in some if clip.ids is not None]
        together = [over_frames(one.maps_THW, len(own)) for one, own in zip(made, masks, strict=True)]
        for suffix, background in (("", True), ("_nobg", False)):
            value = mean_iou(together, masks, "dataset-wise", self.rule, background=background, void=self.void)
            self.over_set[f"{name}{suffix}"] = 100 * float(np.float64(value))
