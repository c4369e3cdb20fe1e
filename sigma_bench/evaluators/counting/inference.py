"""From the cycle lengths that a network sees in windows to a number of repetitions, coarse to fine.

A first length is sought in the middle of the video; 32 positions then begin with it, and levels of ever finer blocks
correct it. Each video asks for windows and is told what the network says of them (`counting` is a generator), so that
many videos share a batch: 74 windows a video in 13 rounds.

Source: `val_2stream.py` of the code of Zhang et al., CVPR 2020; whole numbers truncate and round as there (Python 3).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.cycle_targets import ANCHORS
from sigma_bench.data.cycle_windows import Windows

SCALES = (0.03, 0.35)
"""Shortest and longest length tried first, as shares of the video."""
TRIES = 30
"""Lengths tried first."""
REFINEMENTS = 4
"""Corrections of the first length."""
POSITIONS = 32
ITERATIONS = (4, 2, 1, 1)
"""Corrections of each position, level by level."""
KEEPING_LEVEL = 3
"""The level at which a block keeps the candidate of the side that its position was not evaluated on."""
SHORTEST = 4
"""Shortest cycle, frames."""
LIMIT = 0.5
"""Largest logarithm of a factor, either way."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rule:
    """What differs between data sets.

    Attributes:
        minimum_cycles: Fewest cycles of a video, so that none is longer than its share: 2 for UCFRep.
        weight: Share of the new value when a length is corrected.
        anchors: Multiples of a length that the network judges.
    """

    minimum_cycles: float = 2
    weight: float = 0.5
    anchors: tuple[float, ...] = ANCHORS

    @property
    def unscaled(self) -> int:
        """The anchor that is the length itself, which alone is read at first."""
        return self.anchors.index(1.0)


class Sides(NamedTuple):
    """What a network says of N windows: of the cycle before the middle frame (1) and of the one after it (2).

    Attributes:
        scores1_NA: Probability that an anchor fits.
        boxes1_NA: Logarithm of the factor by which it is too short.
        scores2_NA: As `scores1_NA`.
        boxes2_NA: As `boxes1_NA`.
    """

    scores1_NA: NDArray[np.floating]
    boxes1_NA: NDArray[np.floating]
    scores2_NA: NDArray[np.floating]
    boxes2_NA: NDArray[np.floating]

    def part(self, rows: slice) -> Sides:
        """Return what is said of some of the windows."""
        return Sides(*(values[rows] for values in self))

    def factors(self, anchors: Sequence[float], limit: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return by what the length of either side is to be multiplied (N,): as its best anchor says, the first of
        equals, with the logarithm of the correction kept within `limit`.
        """
        sides = ((self.scores1_NA, self.boxes1_NA), (self.scores2_NA, self.boxes2_NA))
        first, second = (_factor(scores, boxes, anchors, limit) for scores, boxes in sides)
        return first, second


class Count(NamedTuple):
    """What was found in a video.

    Attributes:
        repetitions: How many, a whole number.
        first_estimate: The length found in its middle, frames; 0 where none was.
        inverse_lengths: Of every position the sum of the inverse lengths of its two cycles (32,).
        positions: Positions whose context lies in the video; the count is from these, or from the first estimate.
    """

    repetitions: int
    first_estimate: int
    inverse_lengths: NDArray[np.float64]
    positions: int


Counting = Generator[Windows, Sides, Count]
Predict = Callable[[Ints, Windows], Sides]
"""Turns windows (N, 3) of videos (N,), by their place in the list, into what the network says of them."""


def count_videos(lengths: Sequence[int], predict: Predict, rule: Rule | None = None) -> list[Count]:
    """Return the repetitions of videos, whose windows are predicted together round by round.

    Args:
        lengths: Frames of each video, at least 1.
        predict: The network.
        rule: What is particular to the data set; None: that of UCFRep.

    Raises:
        ValueError: A video of no frame.
        FloatingPointError: The network says something that is no number.
    """
    rule = rule or Rule()
    running = {row: counting(n, rule) for row, n in enumerate(lengths)}
    asked = {row: next(video) for row, video in running.items()}
    found: dict[int, Count] = {}
    while asked:
        sizes = [len(windows) for windows in asked.values()]
        rows = np.repeat(np.fromiter(asked, np.int64), sizes)
        said = predict(rows, np.concatenate(list(asked.values())))
        for values in said:
            if not np.isfinite(values).all():
                raise FloatingPointError("the network gives NaN or infinite scores or lengths")
        ends = np.cumsum(sizes)
        for row, start, end in zip(list(asked), ends - sizes, ends, strict=True):
            try:
                asked[row] = running[row].send(said.part(slice(int(start), int(end))))
            except StopIteration as ended:
                found[row] = ended.value
                del asked[row]
    return [found[row] for row in range(len(lengths))]


def counting(n: int, rule: Rule) -> Counting:
    """Yield the windows of a video of `n` frames whose prediction is needed next; return its count.

    Raises:
        ValueError: `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"a video of {n} frames; expected at least 1")
    length = yield from _first_estimate(n, rule)
    for _ in range(REFINEMENTS):
        said = yield _around(n / 2, [length])
        refined = length * float(_kept(said.boxes1_NA[0, rule.unscaled]))
        if _possible(refined, n, rule):
            length = round(float(length * (1 - rule.weight)) + refined * rule.weight)
    middle = np.array([int(n / (POSITIONS + 1) * (k + 0.5)) for k in range(POSITIONS)])
    left = right = np.stack([middle - length, middle + length + 1])
    for level, iterations in enumerate(ITERATIONS, 1):
        left, right = yield from _level(n, rule, level, iterations, middle, left, right)
    return _count(n, length, middle, left, right)


def _first_estimate(n: int, rule: Rule) -> Generator[Windows, Sides, int]:
    """Find the length with the best score among some of the middle of the video; 0 where none is possible."""
    shortest, longest = SCALES
    tried = [n * shortest * (longest / shortest) ** (k / (TRIES - 1)) for k in range(TRIES)]
    said = yield _around(n / 2, tried)
    best, length = -np.inf, 0
    for k, half in enumerate(tried):
        score, found = said.scores1_NA[k, rule.unscaled], half * float(_kept(said.boxes1_NA[k, rule.unscaled]))
        if score > best and _possible(found, n, rule):
            best, length = score, int(found)
    return length


def _level(
    n: int, rule: Rule, level: int, iterations: int, middle: Ints, left: Ints, right: Ints
) -> Generator[Windows, Sides, tuple[Ints, Ints]]:
    """Correct the candidates (2, 32) of all positions, l and r, from the left and from the right."""
    block = POSITIONS >> (level + 1)
    places = np.arange(block, POSITIONS, 2 * block)
    m, old = middle[places], _rounded((left[:, places] + right[:, places]) / 2)
    new = old
    for iteration in range(iterations):
        if iteration:
            old = _rounded(new * rule.weight + old * (1 - rule.weight))
        said = yield np.stack([old[0], m, old[1]], axis=1).astype(np.float64)
        new = _corrected(n, rule, m, old, said)
    shift = new * rule.weight + old * (1 - rule.weight) - m
    from_left, from_right = left.copy(), right.copy()
    for k, place in enumerate(places):
        before, after = slice(place - block, place), slice(place, place + block)
        from_right[:, before] = np.trunc(middle[before] + shift[:, k : k + 1])
        from_left[:, after] = np.trunc(middle[after] + shift[:, k : k + 1])
        if level != KEEPING_LEVEL or k == 0:
            from_left[:, before] = from_right[:, before]
        if level != KEEPING_LEVEL or k == len(places) - 1:
            from_right[:, after] = from_left[:, after]
    return from_left, from_right


def _corrected(n: int, rule: Rule, m: Ints, old: Ints, said: Sides) -> Ints:
    """Return the l and r (2, P) that the network says are right; the old ones where a cycle would be too short."""
    factor1, factor2 = said.factors(rule.anchors, LIMIT)
    longest = n / rule.minimum_cycles
    length1 = np.minimum(np.maximum(SHORTEST, (m - old[0] + 1) * factor1), longest)
    length2 = np.minimum(np.maximum(SHORTEST, (old[1] - m) * factor2), longest)
    new = np.trunc(np.stack([m - length1 + 1, m + length2])).astype(np.int64)
    good = (m - new[0] + 1 >= SHORTEST) & (new[1] - m >= SHORTEST)
    return np.where(good, new, old)


def _count(n: int, length: int, middle: Ints, left: Ints, right: Ints) -> Count:
    l, r = _rounded((left + right) / 2)  # noqa: E741 - the letters of the protocol
    inverse1, inverse2 = 1 / (middle - l + 1), 1 / (r - middle)
    inside = (l - (middle - l + 1) >= 0) & (r + (r - middle) < n)
    number = int(inside.sum())
    if number:
        # one after the other, as the sum decides which way a half is rounded
        total = np.cumsum(inverse1[inside])[-1] * 0.5 + np.cumsum(inverse2[inside])[-1] * 0.5
        count = float(n) * float(total) / number
    else:
        count = n / (length + 1)
    return Count(round(count), length, inverse1 + inverse2, number)


def _around(centre: float, halves: Sequence[float]) -> Windows:
    return np.array([(centre - half, centre, centre + half + 1) for half in halves], dtype=np.float64)


def _possible(length: float, n: int, rule: Rule) -> bool:
    return SHORTEST <= length < n / rule.minimum_cycles


def _kept(box: np.floating | NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the factor of a logarithm, which is kept in bounds."""
    return np.asarray(np.exp(np.clip(np.asarray(box, np.float64), -LIMIT, LIMIT)))


def _factor(
    scores_NA: NDArray[np.floating], boxes_NA: NDArray[np.floating], anchors: Sequence[float], limit: float
) -> NDArray[np.float64]:
    best = scores_NA.argmax(1)
    box = np.take_along_axis(np.asarray(boxes_NA, np.float64), best[:, None], 1)[:, 0]
    return np.asarray(np.exp(np.clip(box, -limit, limit)) * np.asarray(anchors)[best])


def _rounded(values: NDArray[np.floating]) -> Ints:
    return np.asarray(np.rint(values), dtype=np.int64)
