"""A plain warning when a training has collapsed, from the numbers that are logged anyway."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNIFORM_WITHIN = 0.01
"""A loss so near to 2 ln K, as a share of it, is that of uniform assignments."""
USED_BELOW = 0.25
"""Fewer prototypes in use than this share of those that could be is a collapse of the assignments."""
SPREAD_BELOW = 0.15
"""Targets that deviate less (`target_std`) are all alike: their mean cosine similarity is above 0.98."""
COLLAPSE = "collapse: "
"""A mark of a collapse begins so."""
RECORDS, STEPS = 10, 100
"""A sign must hold for at least so many records in a row, and so many steps, before it is told."""


@dataclass
class _Sign:
    """One sign of collapse: the number it is read from, when it holds, what it is called, what is said of it."""

    key: str
    holds: Callable[[float], bool]
    name: str
    words: str
    since: int | None = None
    records: int = 0
    told: bool = False


class CollapseWatch:
    """Is shown every record of a run, and says once when it has collapsed; again where it recovers and collapses anew.

    All it knows comes from the records, so a resumed run has only to show it those that are kept.

    Args:
        warmup: Steps of the warm-up of the learning rate; what happens in them is not judged.
        prototypes: K; 0 where the objective has none.
        tokens: Masked tokens whose assignments are counted for a record: no more prototypes can be in use.

    Attributes:
        marks: What was said, in few words, with the steps from and to; the same list always, for checkpoints.
    """

    def __init__(self, warmup: int, prototypes: int = 0, tokens: int = 0) -> None:
        self.warmup = warmup
        self.marks: list[str] = []
        self._signs = [
            _Sign(
                "target_std",
                lambda value: value < SPREAD_BELOW,
                "constant targets",
                "the targets have become all alike (their deviation is {value:.3f}; 0: constant, 1: spread): a loss "
                "that falls tells nothing now, and the features learn nothing. An L2 loss that trains both sides ends "
                "like this; with another objective a lower learning rate may help",
            )
        ]
        if prototypes > 1:
            uniform = 2 * math.log(prototypes)
            reachable = min(1.0, (tokens or prototypes) / prototypes)
            self._signs += [
                _Sign(
                    "from_uniform",
                    lambda value: abs(value) <= UNIFORM_WITHIN * uniform,
                    "loss of uniform assignments",
                    f"the loss equals that of uniform assignments (2 ln {prototypes} = {uniform:.3f}): nothing is "
                    "predicted. A smaller epsilon or a lower learning rate may help",
                ),
                _Sign(
                    "used_prototypes",
                    lambda value: value < USED_BELOW * reachable,
                    "few prototypes used",
                    f"only {{value:.1%}} of the {prototypes} prototypes are used: the assignments have collapsed to a "
                    "few. A lower learning rate or more Sinkhorn iterations may help",
                ),
            ]

    def check(self, record: Mapping[str, Any]) -> str | None:
        """Take in a record of the log; return what is to be said of it, None for nothing."""
        said = [words for sign in self._signs if (words := self._look(sign, record)) is not None]
        return "; ".join(said) or None

    def replay(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take in the records of a run that is resumed; what was said then is not said again."""
        for record in records:
            self.check(record)

    def _look(self, sign: _Sign, record: Mapping[str, Any]) -> str | None:
        step, value = record.get("step"), record.get(sign.key)
        if not isinstance(step, int) or not isinstance(value, int | float) or step <= self.warmup:
            return None
        if not sign.holds(value):
            if sign.told:
                self.marks[self._mark(sign)] += f" to {step}"
            sign.since, sign.records, sign.told = None, 0, False
            return None
        sign.since = step if sign.since is None else sign.since
        sign.records += 1
        if sign.told or sign.records < RECORDS or step - sign.since < STEPS:
            return None
        sign.told = True
        self.marks.append(f"{COLLAPSE}{sign.name} from step {sign.since}")
        return f"since step {sign.since} {sign.words.format(value=value)}"

    def _mark(self, sign: _Sign) -> int:
        """Return where the newest mark of a sign stands."""
        return max(i for i, mark in enumerate(self.marks) if sign.name in mark)
