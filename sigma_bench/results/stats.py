"""How sure a number is: 95 % intervals by resampling groups of test samples (`docs/statistics.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

CONFIDENCE = 0.95
SEED = 20240722
"""The same records give the same interval."""
FEWEST = 6
"""Under so many groups no interval is given: of 5 signs or less, all alike, two-sided chance is over 5 %."""

Floats = NDArray[np.float64]


class Statistic(Protocol):
    """A metric that can be computed again on other draws of groups (`clustered.Sums`, `ranked.AveragePrecisions`)."""

    @property
    def limits(self) -> tuple[float, float] | None:
        """Least and greatest possible value; None: unbounded."""

    @property
    def informative(self) -> int:
        """Groups that a bound may count on where nothing varies; 0: there is no bound."""

    @property
    def centred(self) -> bool:
        """Whether resamples are biased by more than they spread: then only their deviations from their mean count."""

    @property
    def resamples(self) -> int:
        """How many resamples an interval is made of."""

    @property
    def multiplicity(self) -> NDArray[np.int64]:
        """Groups of each kind; those of one kind are interchangeable."""

    def values(self) -> Floats:
        """Return the metric on the samples as they are; the first is looked at."""
        ...

    def resampled(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Return the metric (R, K) of samples made by drawing as many groups with replacement."""
        ...

    def without_one(self) -> Floats:
        """Return the metric (T, K) without one group of each kind."""
        ...


@dataclass(frozen=True)
class Interval:
    """Ends of an interval, and how it was found: the bootstrap's two ways, or a bound where nothing varies."""

    low: float
    high: float
    method: Literal["bca", "centred", "bound"]


def interval(
    statistic: Statistic, *, confidence: float = CONFIDENCE, resamples: int | None = None, seed: int = SEED
) -> Interval | None:
    """Return the interval of a metric over test samples, None where nothing can be said.

    BCa (Efron 1987) over groups, its normal quantile widened for few groups as Hesterberg (2015) does for percentiles:
    sqrt(G / (G - 1)) times Student's quantile of G - 1 degrees of freedom. Of a metric whose resamples are biased the
    percentiles of the deviations from their mean. Where no resample differs, the bound of Clopper and Pearson for the
    share of groups that could be otherwise.

    Args:
        statistic: The metric; of several measurements the first.
        confidence: Share of such intervals that shall hold the true value.
        resamples: Number of resamples; None: as many as the metric asks for.
        seed: Seed of the resamples.
    """
    groups = int(statistic.multiplicity.sum())
    if groups < FEWEST:
        return None
    value = float(statistic.values()[0])
    if not np.isfinite(value):
        return None
    drawn = statistic.resampled(np.random.default_rng(seed), resamples or statistic.resamples)[:, 0]
    drawn = drawn[np.isfinite(drawn)]
    tolerance = 1e-9 * max(1.0, abs(value))
    if not len(drawn) or np.ptp(drawn) <= tolerance:
        return _bound(value, statistic, confidence)
    if statistic.centred:
        tail = float(ndtr(-widened(groups, confidence)))
        ends = np.quantile(drawn - drawn.mean(), [tail, 1 - tail]) + value
        if statistic.limits is not None:
            ends = np.clip(ends, *statistic.limits)
        return Interval(float(ends[0]), float(ends[1]), "centred")
    low, high = bca_levels(value, drawn, statistic.without_one()[:, 0], statistic.multiplicity, confidence)
    ends = np.quantile(drawn, [low, high])
    return Interval(float(min(ends[0], value)), float(max(ends[1], value)), "bca")


def bca_levels(
    value: float, drawn_R: Floats, without_T: Floats, multiplicity: NDArray[np.int64], confidence: float
) -> tuple[float, float]:
    """Return at which shares of the resampled values the interval ends.

    Args:
        value: The metric.
        drawn_R: The metric of the resamples.
        without_T: The metric without one group of each kind.
        multiplicity: Groups of each kind.
        confidence: Confidence of the interval.
    """
    near = 1e-12 * max(1.0, abs(value))
    below = (np.mean(drawn_R < value - near) + np.mean(drawn_R <= value + near)) / 2
    bias = ndtri(np.clip(below, 0.5 / len(drawn_R), 1 - 0.5 / len(drawn_R)))
    known = np.isfinite(without_T)
    times, apart = multiplicity[known], without_T[known]
    apart = np.average(apart, weights=times) - apart
    squares = float(times @ apart**2)
    acceleration = float(times @ apart**3) / (6 * squares**1.5) if squares > 0 else 0.0
    tails = np.array([-1.0, 1.0]) * widened(int(multiplicity.sum()), confidence)
    levels = ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    return float(levels[0]), float(levels[1])


def widened(groups: int, confidence: float) -> float:
    """Return the normal quantile for so many groups (Hesterberg 2015, section 4.5); 1.96 for very many at 95 %."""
    student = stdtrit(groups - 1, (1 + confidence) / 2)
    return float(np.sqrt(groups / (groups - 1)) * student)


def _bound(value: float, statistic: Statistic, confidence: float) -> Interval | None:
    """Return how far the metric can be from what all groups agree on: `share` of groups may be otherwise, by all."""
    if statistic.limits is None or statistic.informative < 1:
        return None
    share = 1 - ((1 - confidence) / 2) ** (1 / statistic.informative)
    low, high = statistic.limits
    return Interval(value - share * (value - low), value + share * (high - value), "bound")
