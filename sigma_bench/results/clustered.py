"""Metrics as functions of sums over groups of samples, so that resampling groups costs no pass over the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Finish = Callable[[Floats], Floats]

CHEAPER = 13
"""So many draws of a single group cost as much as one binomial number (numpy 2.4)."""
CHUNK = 4_000_000
"""Numbers held at a time while resampling."""
SPARSE = 0.1
"""Below this share of sums that are not 0 the others are passed over."""


@dataclass(frozen=True)
class Sums:
    """A metric of one or several measurements on the same samples, from sums over groups.

    Groups with equal sums are of one kind, and a resample is drawn as how often each kind occurs, which has the same
    distribution as drawing group after group.

    Attributes:
        sums_TF: Sums over a group of each kind.
        multiplicity: Groups of each kind.
        finish: From sums (R, F) over all groups to the metric (R, K) of each measurement, NaN where it is undefined.
        limits: Least and greatest possible value; None: unbounded.
        informative: Groups that a bound may count on where nothing varies, see `stats`.
    """

    sums_TF: Floats
    multiplicity: Ints
    finish: Finish
    limits: tuple[float, float] | None
    informative: int

    centred = False
    resamples = 10_000

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.multiplicity.sum())

    def values(self) -> Floats:
        """Return the metric (K,) on the samples as they are."""
        found: Floats = self.finish(self.multiplicity[None] @ self.sums_TF)[0]
        return found

    def resampled(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Return the metric (R, K) of samples made by drawing as many groups with replacement."""
        kinds, groups = len(self.multiplicity), self.groups
        binomial = kinds * CHEAPER <= groups
        share_T, kind_of_G = self.multiplicity / groups, np.repeat(np.arange(kinds), self.multiplicity)
        step = max(1, CHUNK // (kinds if binomial else groups))
        rare = np.count_nonzero(self.sums_TF) < SPARSE * self.sums_TF.size
        sums_TF = sparse.csr_array(self.sums_TF) if rare else self.sums_TF
        found = []
        for start in range(0, resamples, step):
            r = min(step, resamples - start)
            if binomial:
                times_RT = rng.multinomial(groups, share_T, size=r)
            else:
                drawn_RG = kind_of_G[rng.integers(0, groups, (r, groups))] + np.arange(r)[:, None] * kinds
                times_RT = np.bincount(drawn_RG.ravel(), minlength=r * kinds).reshape(r, kinds)
            found.append(self.finish(times_RT @ sums_TF))
        return np.concatenate(found)

    def without_one(self) -> Floats:
        """Return the metric (T, K) without one group of each kind."""
        return self.finish(self.multiplicity[None] @ self.sums_TF - self.sums_TF)


def mean(values_NK: Floats, groups_N: Ints, limits: tuple[float, float] | None) -> Sums:
    """Return the mean over samples, such as accuracy from 0 and 100, mIoU over clips or the counting error.

    Args:
        values_NK: A value a sample and measurement.
        groups_N: The group of each sample.
        limits: Least and greatest possible value.
    """
    kinds = values_NK.shape[1]

    def finish(totals_RF: Floats) -> Floats:
        return _ratio(totals_RF[:, :kinds], totals_RF[:, kinds:])

    sums_TF, multiplicity = _kinds(values_NK, np.zeros(len(values_NK), np.int64), groups_N)
    return Sums(sums_TF, multiplicity, finish, limits, int(multiplicity.sum()))


def mean_over_classes(
    values_NK: Floats, labels_N: Ints, groups_N: Ints, limits: tuple[float, float] | None = (0.0, 100.0)
) -> Sums:
    """Return the mean over classes of the mean over samples; classes that a resample lacks do not count.

    Args:
        values_NK: A value a sample and measurement (0 or 100: right or wrong).
        labels_N: The class of each sample.
        groups_N: The group of each sample.
        limits: Least and greatest possible value.
    """
    measurements = values_NK.shape[1]
    labels, label_N = np.unique(labels_N, return_inverse=True)
    classes = len(labels)

    def finish(totals_RF: Floats) -> Floats:
        by_class = totals_RF.reshape(len(totals_RF), measurements + 1, classes)
        present_RC = by_class[:, -1] > 0
        means_RKC = _ratio(by_class[:, :-1], by_class[:, -1:])
        return _ratio(np.where(present_RC[:, None], means_RKC, 0.0).sum(2), present_RC.sum(1)[:, None])

    sums_TF, multiplicity = _kinds(values_NK, label_N, groups_N)
    seen_TC = sums_TF.reshape(len(sums_TF), measurements + 1, classes)[:, -1] > 0
    fewest = int((multiplicity @ seen_TC).min()) if classes else 0
    return Sums(sums_TF, multiplicity, finish, limits, min(int(multiplicity.sum()), classes * fewest))


def _ratio(sums: Floats, counts: Floats) -> Floats:
    none = np.full(np.broadcast_shapes(sums.shape, counts.shape), np.nan)
    found: Floats = np.divide(sums, counts, out=none, where=counts > 0)
    return found


def _kinds(values_NK: Floats, label_N: Ints, groups_N: Ints) -> tuple[Floats, Ints]:
    """Return the sums (T, F) of each kind of group and how many groups are of it.

    F is (K values, then the count) x classes. Groups are of one kind that hold the same samples in this sense.
    """
    if not len(values_NK):
        return np.zeros((0, values_NK.shape[1] + 1)), np.zeros(0, np.int64)
    different, code_N = np.unique(np.column_stack([values_NK, label_N]), axis=0, return_inverse=True)
    order = np.lexsort((code_N, groups_N))
    borders = np.flatnonzero(np.diff(groups_N[order])) + 1
    times: dict[bytes, int] = {}
    for part in np.split(code_N[order], borders):
        times[part.tobytes()] = times.get(part.tobytes(), 0) + 1
    classes = int(label_N.max()) + 1
    sums_TKC = np.zeros((len(times), values_NK.shape[1] + 1, classes))
    for kind, key in enumerate(times):
        codes = np.frombuffer(key, dtype=code_N.dtype)
        for number in codes:
            label = int(different[number, -1])
            sums_TKC[kind, :-1, label] += different[number, :-1]
            sums_TKC[kind, -1, label] += 1
    return sums_TKC.reshape(len(times), -1), np.array(list(times.values()), np.int64)
