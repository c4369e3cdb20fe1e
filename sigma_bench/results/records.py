"""The records of single test samples -> a metric that can be resampled; believed only where they give the row's value.

`docs/statistics.md` lists the columns that are read. Records come from the evaluators of this package, from files of
other machines and from outside packages, so what they mean is checked: a metric is computed from them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from sigma_bench.contracts import UserError
from sigma_bench.results import clustered
from sigma_bench.results.ranked import AveragePrecisions
from sigma_bench.results.stats import Statistic

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Kind = Literal["mean", "mean over classes", "average precision"]

PERCENT = (0.0, 100.0)
AGREES = 1e-5
"""Largest departure from the row's value, relative and absolute; evaluators may add up in single precision."""
CLASS_MEANS = ("mean_class_acc",)
RANKED: dict[str, Callable[[Floats, Floats], Floats]] = {
    "map": lambda scores_NC, _: scores_NC,
    "map_official": lambda scores_NC, truth_NC: np.where(truth_NC.any(1, keepdims=True), scores_NC, -np.inf),
    "map_constant": lambda scores_NC, _: np.zeros_like(scores_NC),
}
"""Metric -> what is ranked, from scores and classes: the scores, those without a class last, or all of them equal."""
CLASSES, SCORES = "labels", "scores"
"""Columns of a task whose samples may be of several classes: 0 or 1 for each class, and a score for each."""
BY_SAMPLE = "value"
"""Column of the value of each sample of an evaluator with one metric that is their mean."""


@dataclass(frozen=True)
class Records:
    """The decoded samples of one measurement, as far as one metric needs them.

    Attributes:
        kind: How the metric follows from the samples.
        ids: The samples.
        groups: What belongs together (a recording, a film); a sample without one is its own.
        values_N: The value of each sample in the unit of the metric; of `average precision` unused.
        labels_N: The class of each sample, -1 where there is none.
        scores_NC: Scores of `average precision`, else without columns.
        truth_NC: Classes of `average precision`, else without columns.
        limits: Least and greatest value there can be; None: unbounded.
        draws: Draws of training labels behind each value.
    """

    kind: Kind
    ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    values_N: Floats
    labels_N: NDArray[np.int64]
    scores_NC: Floats
    truth_NC: NDArray[np.bool_]
    limits: tuple[float, float] | None
    draws: int = 1

    @property
    def single(self) -> bool:
        """Whether each sample is right or wrong, and a group of its own."""
        binary = self.draws == 1 and self.kind == "mean" and bool(np.isin(self.values_N, PERCENT).all())
        return binary and self.limits == PERCENT and len(np.unique(self.groups)) == len(self.groups)

    def picked(self, rows: NDArray[np.int64]) -> Records:
        """Return some of the samples, in the order of `rows`."""
        return Records(
            self.kind,
            self.ids[rows],
            self.groups[rows],
            self.values_N[rows],
            self.labels_N[rows],
            self.scores_NC[rows],
            self.truth_NC[rows],
            self.limits,
            self.draws,
        )


def load(file: Path) -> pd.DataFrame:
    """Return the records in a file.

    Raises:
        UserError: It is no Parquet file, or damaged.
    """
    import pandas as pd

    try:
        return pd.read_parquet(file)
    except Exception as error:  # readers of Parquet raise what they like on a damaged file
        raise UserError(f"{file.name} cannot be read as Parquet ({type(error).__name__})") from error


def statistic(measured: Sequence[Records]) -> Statistic:
    """Return the metric of one or several measurements of the same samples, in the same order."""
    first = measured[0]
    _, groups_N = np.unique(first.groups, return_inverse=True)
    if first.kind == "average precision":
        return AveragePrecisions(np.stack([one.scores_NC for one in measured]), first.truth_NC, groups_N)
    values_NK = np.column_stack([one.values_N for one in measured])
    if first.kind == "mean over classes":
        return clustered.mean_over_classes(values_NK, first.labels_N, groups_N, first.limits)
    return clustered.mean(values_NK, groups_N, first.limits)


def read(samples: pd.DataFrame, metric: str, value: float) -> Records | None:
    """Return the records from which `metric` follows, None where none of their columns gives `value`.

    Args:
        samples: One record a test sample: `id`, `error` (empty: decoded), `group` if known, and what was found.
        metric: Name of the metric.
        value: What the row says it is over the decoded samples.
    """
    decoded = samples[samples["error"].isna()] if "error" in samples else samples
    if not len(decoded):
        return None
    for found in _readings(decoded, metric):
        computed = float(statistic([found]).values()[0])
        if abs(computed - value) <= AGREES * max(1.0, abs(value)):
            return found
    return None


def _readings(decoded: pd.DataFrame, metric: str) -> Iterator[Records]:
    """Yield what the columns may mean for a metric, the most telling first."""
    if metric in RANKED:
        if {CLASSES, SCORES} <= set(decoded):
            yield from _ranked(decoded, RANKED[metric])
        return
    if metric in CLASS_MEANS:
        if (right := _right(decoded)) is not None and "label" in decoded:
            yield _made(decoded, "mean over classes", *right, PERCENT)
        return
    for name in (metric, BY_SAMPLE):
        if name in decoded and (values := _numbers(decoded[name])) is not None:
            yield _made(decoded, "mean", values, 1, _limits(values))
            yield _made(decoded, "mean", 100 * values, 1, _limits(100 * values))
    if (right := _right(decoded)) is not None:
        yield _made(decoded, "mean", *right, PERCENT)


def _limits(values_N: Floats) -> tuple[float, float] | None:
    """Return the limits of shares in percent; values outside of them are none, those up to 1 need not be."""
    return PERCENT if values_N.min() >= 0 and 1 < values_N.max() <= 100 else None


def _right(decoded: pd.DataFrame) -> tuple[Floats, int] | None:
    """Return 0 to 100 for how right each sample is, and over how many draws; None where the columns do not tell."""
    if {"right_draws", "draws"} <= set(decoded):
        right, draws = _numbers(decoded["right_draws"]), _numbers(decoded["draws"])
        if right is not None and draws is not None and (draws > 0).all():
            return 100 * right / draws, int(draws.max())
    if {"prediction", "label"} <= set(decoded):
        return 100.0 * (decoded["prediction"].to_numpy() == decoded["label"].to_numpy()), 1
    return None


def _numbers(column: pd.Series) -> Floats | None:
    """Return a column as numbers, None where one is no finite number."""
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return None
    return values if np.isfinite(values).all() else None


def _ranked(decoded: pd.DataFrame, rule: Callable[[Floats, Floats], Floats]) -> Iterator[Records]:
    try:
        scores = np.stack([np.asarray(row, np.float64) for row in decoded[SCORES]])
        truth = np.stack([np.asarray(row, np.float64) for row in decoded[CLASSES]])
    except (TypeError, ValueError):
        return
    if scores.ndim == 2 and scores.shape == truth.shape and np.isin(truth, (0, 1)).all() and not np.isnan(scores).any():
        ranked = rule(scores, truth)
        yield _made(decoded, "average precision", np.zeros(len(decoded)), 1, PERCENT, ranked, truth == 1)


def _made(
    decoded: pd.DataFrame,
    kind: Kind,
    values_N: Floats,
    draws: int,
    limits: tuple[float, float] | None,
    scores_NC: Floats | None = None,
    truth_NC: NDArray[np.bool_] | None = None,
) -> Records:
    ids = decoded["id"].astype(str).to_numpy(dtype=np.str_)
    given = decoded.get("group")
    groups = ids.copy()
    if given is not None:
        known = (given.notna() & (given.astype(str) != "")).to_numpy()
        groups = np.where(known, np.char.add("group ", given.astype(str).to_numpy(dtype=np.str_)), ids)
    labels = _numbers(decoded["label"]) if "label" in decoded else None
    none = np.zeros((len(ids), 0))
    return Records(
        kind,
        ids,
        groups,
        values_N,
        np.full(len(ids), -1) if labels is None else labels.astype(np.int64),
        none if scores_NC is None else scores_NC,
        none.astype(bool) if truth_NC is None else truth_NC,
        limits,
        draws,
    )
