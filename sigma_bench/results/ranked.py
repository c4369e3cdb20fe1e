"""Mean average precision as a function of how often each sample counts, so that it can be resampled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK = 1_000_000
"""Weights held at a time."""


@dataclass(frozen=True)
class AveragePrecisions:
    """Mean over classes of the average precision (percent) of one or several measurements on the same samples.

    Equal scores are taken together and samples without any label count as negatives, as `average_precision_score` of
    scikit-learn does; classes without a positive, or whose positives a resample lacks, do not count.

    Attributes:
        scores_KNC: Scores of each measurement, sample and class; greater is more likely.
        truth_NC: Whether each class is true of each sample.
        group_N: Number of the group of each sample, from 0 on without a gap.
    """

    scores_KNC: Floats
    truth_NC: NDArray[np.bool_]
    group_N: Ints

    limits = (0.0, 100.0)
    informative = 0
    """A perfect ranking of these samples bounds no ranking of others."""
    centred = True
    """A sample drawn twice ranks beside itself, so that resamples have a higher value by more than they spread."""
    resamples = 1_000

    @property
    def multiplicity(self) -> Ints:
        """Every group is of a kind of its own."""
        return np.ones(int(self.group_N.max()) + 1 if len(self.group_N) else 0, np.int64)

    def values(self) -> Floats:
        """Return the metric (K,) on the samples as they are."""
        found: Floats = self.weighted(np.ones((len(self.group_N), 1), np.int32))[0]
        return found

    def resampled(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Return the metric (R, K) of samples made by drawing as many groups with replacement."""
        groups = len(self.multiplicity)
        step = max(1, CHUNK // max(groups, len(self.group_N)))
        found = []
        for start in range(0, resamples, step):
            r = min(step, resamples - start)
            drawn = rng.integers(0, groups, (r, groups)) + np.arange(r)[:, None] * groups
            times_RG = np.bincount(drawn.ravel(), minlength=r * groups).reshape(r, groups)
            found.append(self.weighted(times_RG.T[self.group_N].astype(np.int32)))
        return np.concatenate(found)

    def without_one(self) -> Floats:
        """Return the metric (G, K) without each group."""
        groups = len(self.multiplicity)
        step = max(1, CHUNK // len(self.group_N))
        return np.concatenate(
            [
                self.weighted((self.group_N[:, None] != np.arange(start, min(start + step, groups))).astype(np.int32))
                for start in range(0, groups, step)
            ]
        )

    def weighted(self, weights_NR: NDArray[np.int32]) -> Floats:
        """Return the metric (R, K) where sample n counts `weights_NR[n, r]` times."""
        return np.stack([self._mean(ranks, weights_NR) for ranks in self._ranks], axis=1)

    @cached_property
    def _ranks(self) -> list[list[_Ranks]]:
        """For each measurement the classes that have positives."""
        classes = np.flatnonzero(self.truth_NC.any(0))
        return [[_ranks(scores[:, c], self.truth_NC[:, c]) for c in classes] for scores in self.scores_KNC]

    @staticmethod
    def _mean(ranks: list[_Ranks], weights_NR: NDArray[np.int32]) -> Floats:
        total_R, classes_R = np.zeros(weights_NR.shape[1]), np.zeros(weights_NR.shape[1])
        for one in ranks:
            # weight of the samples, and of the positive ones, down to each of the positives' scores
            all_PR = np.cumsum(np.add.reduceat(weights_NR[one.order], one.starts, axis=0), axis=0)
            own_PR = np.add.reduceat(weights_NR[one.positives], one.first, axis=0)
            right_PR = np.cumsum(own_PR, axis=0)
            precision_PR = np.divide(right_PR, all_PR, out=np.zeros(right_PR.shape), where=all_PR > 0)
            positive_R = right_PR[-1]
            total_R += np.divide(
                (own_PR * precision_PR).sum(0), positive_R, out=np.zeros(len(total_R)), where=positive_R > 0
            )
            classes_R += positive_R > 0
        mean_R: Floats = np.divide(total_R, classes_R, out=np.full(len(total_R), np.nan), where=classes_R > 0)
        return 100 * mean_R


@dataclass(frozen=True)
class _Ranks:
    """The order of one class: samples by falling score down to the last positive, cut at the scores of positives.

    Attributes:
        order: Samples, best first, to the last that has the score of a positive.
        starts: Where in `order` a new part begins; a part ends with the last sample of a positive's score.
        positives: Positive samples, best first.
        first: Where in `positives` another score begins.
    """

    order: Ints
    starts: Ints
    positives: Ints
    first: Ints


def _ranks(scores_N: Floats, truth_N: NDArray[np.bool_]) -> _Ranks:
    order = np.argsort(-scores_N, kind="stable")
    ranked = scores_N[order]
    last_of_score = np.append(ranked[1:] != ranked[:-1], True)
    score_of = np.cumsum(np.append(0, last_of_score[:-1]))
    positive = truth_N[order]
    different = np.unique(score_of[positive])
    ends = np.flatnonzero(last_of_score)[different] + 1
    first = np.flatnonzero(np.append(True, np.diff(score_of[positive]) > 0))
    return _Ranks(order[: ends[-1]], np.append(0, ends[:-1]), order[positive], first)
