"""From measured clips to metrics, one record a clip, and what a reader of the numbers must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from sigma_bench.contracts import Encoder
from sigma_bench.data.index import Index
from sigma_bench.evaluators.segmentation.clips import Drawn
from sigma_bench.evaluators.segmentation.maps import BATCH, dims_of
from sigma_bench.evaluators.segmentation.scores import DAVIS
from sigma_bench.metrics.averaging import mean_of_batches
from sigma_bench.models.floors import Floor

FIRST = "miou"
"""The metric of the task: with the first number of clusters and the first reduction."""
TOLD = ("davis_j", "davis_f", "cluster_changes", "time_variance")
"""Further metrics, means over the clips that have them."""


class Clip(Protocol):
    """What is used of a clip."""

    row: int
    name: str
    drawn: Drawn | None
    error: str | None
    record: dict[str, Any]


def metric(wanted: int | str, reduction: str, settings: Any) -> str:
    """Return the name of the metric of a number of clusters and a reduction: `miou`, `miou_k10`, `miou_unreduced`."""
    name = FIRST
    if wanted != settings.clusters[0]:
        name += f"_k{wanted}" if isinstance(wanted, int) else f"_{wanted}"
    if reduction != settings.reduce[0]:
        name += "_unreduced" if dims_of(reduction) is None else f"_{reduction}"
    return name


def names(settings: Any) -> list[str]:
    """Return the names of all mIoUs of a task, those without background last."""
    found = [metric(wanted, reduction, settings) for reduction in settings.reduce for wanted in settings.clusters]
    return [*found, *(f"{name}_nobg" for name in found)]


def metrics(found: Sequence[Clip], settings: Any, over_set: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a list, percent; NaN where no clip could be measured.

    Args:
        found: Its clips.
        settings: The block `segmentation` of the task.
        over_set: Metrics of all clips together, which stand instead of means.
    """
    good = [clip.record for clip in found if clip.error is None]
    made: dict[str, float] = {}
    for name in names(settings):
        values = [record[name] for record in good]
        if name in over_set:
            made[name] = over_set[name]
            continue
        size = BATCH if settings.average == "batch16" else len(values)
        made[name] = mean_of_batches(values, size) if values else float("nan")
        made[f"{name}_missing_wrong"] = sum(values) / len(found)
    for name in TOLD:
        values = [record[name] for record in good if np.isfinite(record[name])]
        if values:
            made[name] = float(np.mean(values))
    return made


def frame(index: Index, found: Sequence[Clip]) -> pd.DataFrame:
    """Return one record a clip: `value` is its mIoU, percent; `k` clusters; `ids` and how many `pixels` each has."""
    groups = index.table["group"].to_pylist()
    rows = []
    for clip in found:
        record = dict(clip.record) if clip.error is None else {}
        frames = [one.number for one in clip.drawn.frames] if clip.drawn is not None else []
        rows.append(
            {
                "id": clip.name,
                "group": groups[clip.row],
                "value": record.pop(FIRST, float("nan")),
                f"{FIRST}_nobg": record.pop(f"{FIRST}_nobg", float("nan")),
                "k": record.pop("k", 0),
                "objects": record.pop("objects", 0),
                "ids": record.pop("ids", []),
                "pixels": record.pop("pixels", []),
                "frames": frames,
                "annotated": clip.drawn.annotated if clip.drawn is not None else 0,
                **{
                    name: record.pop(name, float("nan"))
                    for name in (*DAVIS, "cluster_changes", "time_variance", "inertia")
                },
                **record,
                "error": clip.error,
            }
        )
    return pd.DataFrame(rows).astype({"error": object})


def marks(found: Sequence[Clip], encoder: Encoder, task: Any, shown: int) -> tuple[str, ...]:
    """Return what a reader of the numbers must know of the encoder and of the clips."""
    settings = task.segmentation
    told = []
    if isinstance(encoder, Floor):
        told.append("a floor: it has seen no training and is no system")
    if shown != task.clips.frames:
        told.append(f"{shown} frames over the span of {task.clips.frames}")
    most = max((dims_of(reduction) or 0 for reduction in settings.reduce), default=0)
    if encoder.spec.embed_dim < most and not isinstance(encoder, Floor):
        told.append(f"features have {encoder.spec.embed_dim} dimensions, fewer than {most} components: all are kept")
    good = [(clip.name, clip.drawn) for clip in found if clip.error is None and clip.drawn is not None]
    short = [name for name, drawn in good if drawn.annotated < task.clips.frames]
    if short:
        told.append(
            f"{len(short)} of {len(good)} clips have fewer than {task.clips.frames} frames with masks, of which some "
            f"stand repeatedly ({_first(short)})"
        )
    lacking = [name for name, drawn in good if drawn.lacking]
    if lacking:
        told.append(
            f"{len(lacking)} of {len(good)} clips lack masks of some frames and are drawn from the others "
            f"({_first(lacking)})"
        )
    return tuple(told)


def _first(shown: Sequence[str]) -> str:
    return f"{', '.join(shown[:3])}{', ...' if len(shown) > 3 else ''}"
