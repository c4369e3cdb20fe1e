"""What an evaluator returns -> the rows of its metrics."""

from __future__ import annotations

import math
from typing import Any

from sigma_bench.contracts import Evaluation
from sigma_bench.progress import say
from sigma_bench.results import records, stats
from sigma_bench.results.row import Row
from sigma_bench.runs.machine import decoder_versions


def rows_of(found: Evaluation, common: dict[str, Any], seconds: float, marks: tuple[str, ...] = ()) -> list[Row]:
    """Return one row a metric; `NAME_missing_wrong` becomes the second value of the row of NAME."""
    counts = found.counts
    lists = {
        f"{side}_{what}": getattr(index, what)
        for side, index in (("train", found.train_index), ("test", found.test_index))
        if index is not None
        for what in ("count", "sha256")
    }
    arithmetic = {"precision": found.precision} if found.precision else {}
    partial = counts.n_decoded < counts.n_expected
    rows = []
    for metric, value in found.metrics.items():
        if metric.endswith("_missing_wrong"):
            continue
        nothing = counts.n_decoded == 0 or not math.isfinite(value)
        low, high = (None, None) if nothing else _interval(found, metric, value)
        rows.append(
            Row(
                **{**common, **lists, **arithmetic},
                metric=metric,
                value=None if nothing else value,
                value_missing_wrong=None if nothing else found.metrics.get(f"{metric}_missing_wrong"),
                interval_low=low,
                interval_high=high,
                selection=found.selection,
                n_expected=counts.n_expected,
                n_present=counts.n_present,
                n_decoded=counts.n_decoded,
                views=found.views,
                decoder=", ".join(f"{name}:{n}" for name, n in sorted(found.decoders.items())),
                decoder_version=decoder_versions(found.decoders),
                status="failed" if nothing else "partial" if partial else "ok",
                error=_missing(found) if partial else "",
                marks=(*found.marks, *marks),
                artifacts={name: str(path) for name, path in found.artifacts.items()},
                seconds=seconds,
            )
        )
    return rows


def _interval(found: Evaluation, metric: str, value: float) -> tuple[float | None, float | None]:
    """Return the ends of the 95 % interval over test samples, none where their records do not tell."""
    read = records.read(found.samples, metric, value)
    if read is None:
        say(f"  {metric}: no interval, the records of single samples do not give its value")
        return None, None
    sure = stats.interval(records.statistic([read]))
    return (None, None) if sure is None else (sure.low, sure.high)


def _missing(found: Evaluation) -> str:
    bad = found.samples[found.samples["error"].notna()]
    shown = "; ".join(f"{i}: {e}" for i, e in zip(bad["id"][:5], bad["error"][:5], strict=True))
    return f"{len(bad)} samples not decoded: {shown}{' ...' if len(bad) > 5 else ''}"
