"""Rows that differ in nothing but the run: other seeds, other weights of one system. Tables go through such stacks.

What decides in which line, column and block of a table a row stands is the same for all rows of a stack, so it is asked
of the first one only.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from sigma_bench.results.row import Row

RUN: Final = frozenset(
    (
        *("measured_at", "checkpoint_sha256", "source", "seed", "value", "value_missing_wrong"),
        *("interval_low", "interval_high", "n_expected", "n_present", "n_decoded", "train_present", "selection"),
        *("decoder", "decoder_version", "precision", "package_version", "git_commit", "torch_version", "device"),
        *("seconds", "error", "artifacts"),
    )
)
"""Columns in which the rows of a stack may differ; what asks for one of these must ask every row."""

Stack = list[Row]
_ALIKE = attrgetter(*(name for name in Row.model_fields if name not in RUN))


def stacked(rows: Iterable[Row]) -> list[Stack]:
    """Return the rows in stacks, each as long as it can be, in the order in which their first rows appear."""
    found: dict[tuple[object, ...], Stack] = {}
    for row in rows:
        found.setdefault(_ALIKE(row), []).append(row)
    return list(found.values())
