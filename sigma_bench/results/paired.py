"""Is the difference of two measurements on the same samples more than chance? (`docs/statistics.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from sigma_bench.results import records, stats
from sigma_bench.results.records import Records
from sigma_bench.results.stats import Interval, Statistic

EXACT = 16
"""Up to so many groups that differ all signs are gone through."""
DRAWS = 100_000
SIGNS = 300_000_000
"""Signs drawn at most; with very many groups there are fewer draws."""
CHUNK = 4_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """What two measurements of the same samples say of each other.

    Attributes:
        difference: The second minus the first, on the samples of both, in the unit of the metric.
        interval: Its 95 % interval over test samples; None where nothing can be said.
        effect: Difference over the standard deviation of a group's part in it (Cohen's d of paired samples).
        p: Two-sided chance of a difference as large where there is none.
        test: Name of the test.
        samples: Samples of both.
        groups: Groups they belong to.
        only: Samples that only the first has right, and only the second; None where none is simply right or wrong.
    """

    difference: float
    interval: Interval | None
    effect: float | None
    p: float
    test: str
    samples: int
    groups: int
    only: tuple[int, int] | None = None


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of the measurements of a metric, as a metric of its own."""

    of: Statistic
    weights_K: Floats

    @property
    def limits(self) -> tuple[float, float] | None:
        """Plus and minus the greatest difference there can be."""
        if self.of.limits is None:
            return None
        span = self.of.limits[1] - self.of.limits[0]
        return -span, span

    @property
    def informative(self) -> int:
        """As of the metric."""
        return self.of.informative

    @property
    def centred(self) -> bool:
        """As of the metric."""
        return self.of.centred

    @property
    def resamples(self) -> int:
        """As of the metric."""
        return self.of.resamples

    @property
    def multiplicity(self) -> NDArray[np.int64]:
        """As of the metric."""
        return self.of.multiplicity

    def values(self) -> Floats:
        """Return the difference (1,)."""
        return np.atleast_1d(self.of.values() @ self.weights_K)

    def resampled(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Return the difference (R, 1) of the same resamples for all measurements."""
        return (self.of.resampled(rng, resamples) @ self.weights_K)[:, None]

    def without_one(self) -> Floats:
        """Return the difference (T, 1) without one group of each kind."""
        return (self.of.without_one() @ self.weights_K)[:, None]


def compare(first: Sequence[Records], second: Sequence[Records], *, seed: int = stats.SEED) -> Paired:
    """Return the difference of the means over seeds of two systems, and how likely it is by chance.

    Where each sample is right or wrong and a group of its own: McNemar's test, mid-p (Fagerland 2013). Otherwise the
    signs of the groups' parts in the difference are flipped at random; of mean average precision, which is no sum over
    samples, these parts are those of the jackknife.

    Args:
        first: Measurements of one system, one a seed.
        second: Measurements of the other, all of the same samples in the same order.
        seed: Seed of the draws.
    """
    weights_K = np.array([-1 / len(first)] * len(first) + [1 / len(second)] * len(second))
    contrast = Contrast(records.statistic([*first, *second]), weights_K)
    difference = float(contrast.values()[0])
    only = _discordant(first[0], second[0]) if len(first) == len(second) == 1 and first[0].single else None
    if only is not None and second[0].single:
        p, test = mcnemar(*only), "McNemar, mid-p"
    else:
        only = None
        p, test = sign_flips(_parts(contrast, [*first, *second], weights_K), np.random.default_rng(seed))
    return Paired(
        difference=difference,
        interval=stats.interval(contrast, seed=seed),
        effect=_effect(difference, contrast),
        p=p,
        test=test,
        samples=len(first[0].ids),
        groups=int(contrast.multiplicity.sum()),
        only=only,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided mid-p of so many samples that only the one or only the other has right; 1 for none."""
    pairs, fewer = only_first + only_second, min(only_first, only_second)
    if not pairs:
        return 1.0
    binomial = distributions.binom(pairs, 0.5)
    return float(min(1.0, 2 * binomial.cdf(fewer) - binomial.pmf(fewer)))


def sign_flips(parts_G: Floats, rng: np.random.Generator) -> tuple[float, str]:
    """Return how often the sum of the parts is as far from 0 as it is when their signs are random, and the test's name.

    Up to `EXACT` parts that are not 0 all signs are gone through; else the observed signs count as one more draw.
    """
    observed, scale = abs(float(parts_G.sum())), float(np.abs(parts_G).max(initial=0.0))
    sizes_G = np.abs(parts_G[np.abs(parts_G) > 1e-12 * scale])
    if not len(sizes_G):
        return 1.0, "sign flips of groups, exact"
    near = observed * (1 - 1e-9) - 1e-12 * scale
    if len(sizes_G) <= EXACT:
        bits = np.arange(2 ** len(sizes_G))[:, None] >> np.arange(len(sizes_G)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ sizes_G) >= near)), "sign flips of groups, exact"
    sizes_K, times_K = np.unique(np.round(sizes_G / scale, 10), return_counts=True)
    draws = min(DRAWS, SIGNS // len(sizes_K))
    step, beyond = max(1, CHUNK // len(sizes_K)), 0
    for start in range(0, draws, step):
        d = min(step, draws - start)
        if times_K.max() > 1:
            sums = (2 * rng.binomial(times_K, 0.5, (d, len(times_K))) - times_K) @ sizes_K
        else:
            sums = (2.0 * rng.integers(0, 2, (d, len(sizes_K)), dtype=np.int8) - 1) @ sizes_K
        beyond += int((np.abs(sums) * scale >= near).sum())
    return (1 + beyond) / (1 + draws), f"sign flips of groups, {draws} draws"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979), in their order."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def between_seeds(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Welch's two-sided p of the values of seeds, or sets of weights; None where a side has only one."""
    if min(len(first), len(second)) < 2:
        return None
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return 1.0 if first[0] == second[0] else 0.0
    moments = [(np.mean(values), np.std(values, ddof=1), len(values)) for values in (first, second)]
    return float(distributions.ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False).pvalue)


def _discordant(first: Records, second: Records) -> tuple[int, int]:
    one, other = first.values_N > 50, second.values_N > 50
    return int((one & ~other).sum()), int((other & ~one).sum())


def _parts(contrast: Contrast, measured: Sequence[Records], weights_K: Floats) -> Floats:
    """Return each group's part (G,) in the difference; they add up to it."""
    first = measured[0]
    if first.kind == "average precision":
        without_G = contrast.without_one()[:, 0]
        groups = len(without_G)
        influence_G = (without_G.mean() - without_G) * (groups - 1) / groups
        parts: Floats = influence_G + contrast.values()[0] / groups
        return parts
    difference_N = np.column_stack([one.values_N for one in measured]) @ weights_K
    _, group_N = np.unique(first.groups, return_inverse=True)
    if first.kind == "mean over classes":
        _, label_N = np.unique(first.labels_N, return_inverse=True)
        counts_C = np.bincount(label_N)
        difference_N = difference_N / (len(counts_C) * counts_C[label_N])
    else:
        difference_N = difference_N / len(difference_N)
    return np.bincount(group_N, difference_N).astype(np.float64)


def _effect(difference: float, contrast: Contrast) -> float | None:
    """Return the difference over the deviation of a group's part, from the jackknife; None where nothing varies."""
    without_T, times_T = contrast.without_one()[:, 0], contrast.multiplicity
    known = np.isfinite(without_T)
    groups = int(times_T[known].sum())
    if groups < 2:
        return None
    apart = without_T[known] - np.average(without_T[known], weights=times_T[known])
    squares = float(times_T[known] @ apart**2)
    error = float(np.sqrt((groups - 1) / groups * squares))
    return float(difference / (np.sqrt(groups) * error)) if error > 1e-12 * max(1.0, abs(difference)) else None
