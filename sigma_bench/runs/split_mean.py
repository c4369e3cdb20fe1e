"""The mean over the published splits of a data set: a row of its own, made of those of the splits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

from sigma_bench.progress import say
from sigma_bench.results import intervals, settings
from sigma_bench.results.row import SETTING, Key, Row
from sigma_bench.results.store import Store, latest
from sigma_bench.runs import variants

PARTS = "splits"
"""Entry of `selection` that says of which rows a mean is made."""
TAKEN_OVER = (
    *("suite", "system", "method", "variant", "backbone", "pretrain_data", "epochs", "step", "steps", "extra_data"),
    *("motion_guidance", "frames", "params_m", "checkpoint_sha256", "source", "family", "family_guessed"),
    *("task", "task_version", "evaluator", "profile", "seed", "limit", "data", "metric", "views", "precision"),
    *("decoder_version", "package_version", "git_commit", "torch_version", "device"),
)
"""Columns that the rows of the splits share."""
SUMMED = ("train_count", "test_count", "n_expected", "n_present", "n_decoded")


def means(store: Store, keys: dict[int, Key], content: dict[str, Any], suite: str) -> list[Row]:
    """Return the mean rows of a measurement that are not there yet, one a metric; none where a split has no value.

    Args:
        store: Holds the rows of the splits.
        keys: Split -> its measurement, in order.
        content: What is hashed of the settings of one of them.
        suite: The suite they belong to.
    """
    rows = latest(store.read())
    there = {row.key: row for row in rows if row.value is not None}
    first = next(iter(keys.values()))
    metrics = dict.fromkeys(row.metric for row in there.values() if row.key._replace(metric=first.metric) == first)
    made = []
    for metric in metrics:
        parts = {split: there.get(key._replace(metric=metric)) for split, key in keys.items()}
        found = [part for part in parts.values() if part is not None]
        if len(found) < len(parts):
            lacking = [split for split, part in parts.items() if part is None]
            which = ", ".join(map(str, lacking))
            say(f"  {first.task} seed {first.seed}: no mean of {metric}, split {which} has no row")
            continue
        row = _mean(list(keys), found, content, suite)
        standing = there.get(row.key)
        if standing is None or standing.selection.get(PARTS) != row.selection[PARTS]:
            made.append(row)
    return made


def settings_of(content: dict[str, Any], splits: Sequence[int]) -> dict[str, Any]:
    """Return what is hashed of a mean: the settings of a split, with all of them in its place."""
    return {**content, "dataset": {**content["dataset"], "split": list(splits)}}


def _mean(splits: Sequence[int], rows: Sequence[Row], content: dict[str, Any], suite: str) -> Row:
    first = rows[0]
    common = {name: getattr(first, name) for name in TAKEN_OVER} | {"suite": suite}
    wrong = [row.value_missing_wrong for row in rows if row.value_missing_wrong is not None]
    said = [mark for row in rows for mark in row.marks if not mark.startswith(f"{SETTING}{variants.SPLIT}=")]
    over = f"{SETTING}{variants.SPLIT}=mean of {', '.join(map(str, splits))}"
    errors = [f"split {split}: {row.error}" for split, row in zip(splits, rows, strict=True) if row.error]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    present = [row.train_present for row in rows if row.train_present is not None]
    parts = {
        str(split): {"value": row.value, "measured_at": row.measured_at}
        for split, row in zip(splits, rows, strict=True)
    }
    value = math.fsum(row.value or 0.0 for row in rows) / len(rows)
    low, high = _interval(value, rows)
    return Row(
        **common,
        **{name: sum(getattr(row, name) for row in rows) for name in SUMMED},
        settings_sha256=settings.sha256_of(settings_of(content, splits)),
        train_sha256=_joined(row.train_sha256 for row in rows),
        test_sha256=_joined(row.test_sha256 for row in rows),
        train_present=sum(present) if len(present) == len(rows) else None,
        decoder="; ".join(dict.fromkeys(row.decoder for row in rows)),
        value=value,
        interval_low=low,
        interval_high=high,
        value_missing_wrong=math.fsum(wrong) / len(rows) if len(wrong) == len(rows) else None,
        selection={PARTS: parts},
        status="partial" if any(row.status == "partial" for row in rows) else "ok",
        error="; ".join(errors),
        marks=(*dict.fromkeys(said), over),
        seconds=math.fsum(seconds) if len(seconds) == len(rows) else None,
    )


def _interval(value: float, rows: Sequence[Row]) -> tuple[float | None, float | None]:
    """Return the ends of the interval of the mean, none where a split has none."""
    ends = [
        None if row.interval_low is None or row.interval_high is None else (row.interval_low, row.interval_high)
        for row in rows
    ]
    found = intervals.of_mean(value, [(row.value or 0.0, end) for row, end in zip(rows, ends, strict=True)])
    return found or (None, None)


def _joined(hashes: Any) -> str:
    """Return the hash of several lists, which says which they are, in order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
