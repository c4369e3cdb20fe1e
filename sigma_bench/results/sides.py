"""Whom a comparison is about: a name or the hash of weights -> the rows of one system."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sigma_bench.contracts import UserError
from sigma_bench.results import matching
from sigma_bench.results.listing import plainly
from sigma_bench.results.row import Row

SHORTEST = 6
"""Digits of a hash that are enough to name weights."""
SHOWN = 12


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        asked: What the user wrote.
        name: The system, with its variant.
        rows: Its rows.
    """

    asked: str
    name: str
    rows: tuple[Row, ...]

    @property
    def weights(self) -> list[str]:
        """The hashes of its weights."""
        return sorted({row.checkpoint_sha256 for row in self.rows})


def two(rows: Iterable[Row], first: str, second: str) -> tuple[Side, Side]:
    """Return both sides; their weights have nothing in common.

    Raises:
        UserError: A name stands for no system or several, or both sides are measurements of the same weights.
    """
    rows = list(rows)
    one, other = side(rows, first), side(rows, second)
    if both := sorted(set(one.weights) & set(other.weights)):
        raise UserError(
            f"'{plainly(first)}' and '{plainly(second)}' both stand for the weights {both[0][:SHOWN]}; name two "
            "different ones (of one name by the beginning of their hash)"
        )
    return one, other


def side(rows: Sequence[Row], asked: str) -> Side:
    """Return the rows of the one system that `asked` names: its name, with `(variant)`, or a hash's beginning.

    A name stands for all weights of its system: pretrainings with other seeds.

    Raises:
        UserError: It stands for no system, or for several.
    """
    found = [row for row in rows if asked in (row.system, named(row))]
    if not found and re.fullmatch(f"[0-9a-f]{{{SHORTEST},64}}", asked):
        found = [row for row in rows if row.checkpoint_sha256.startswith(asked)]
        if len({row.checkpoint_sha256 for row in found}) > 1:
            raise UserError(f"'{asked}' is the beginning of {_weights(found)}; write more of the hash")
    if not found:
        raise UserError(f"no rows of '{plainly(asked)[:80]}'; {_known(rows, asked)}")
    systems: dict[matching.System, list[Row]] = {}
    for row in found:
        systems.setdefault(matching.system_of(row), []).append(row)
    if len(systems) > 1:
        told = "; ".join(f"{named(own[0])} ({_facts(own[0])}): {_weights(own)}" for own in systems.values())
        raise UserError(
            f"'{plainly(asked)[:80]}' stands for {len(systems)} systems: {plainly(told)}; name one by a hash"
        )
    return Side(asked, named(found[0]), tuple(found))


def named(row: Row) -> str:
    """Return the system of a row as tables name it."""
    return f"{row.system} ({row.variant})" if row.variant else row.system


def _facts(row: Row) -> str:
    return ", ".join(fact for fact in (row.method, row.backbone, row.pretrain_data, row.epochs) if fact) or "no facts"


def _weights(rows: Iterable[Row]) -> str:
    found = sorted({row.checkpoint_sha256[:SHOWN] for row in rows})
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def _known(rows: Sequence[Row], asked: str) -> str:
    """Return what there is instead, the nearest names first."""
    weights: dict[str, set[str]] = {}
    for row in rows:
        weights.setdefault(named(row), set()).add(row.checkpoint_sha256[:SHOWN])
    if not weights:
        return "there are no rows to compare; `sigma-bench results list` tells what was measured"
    near = difflib.get_close_matches(asked, weights, n=5, cutoff=0.3) or sorted(weights)[:5]
    told = ", ".join(f"'{plainly(name)}' ({', '.join(sorted(weights[name])[:3])})" for name in near)
    return f"measured were, with the hashes of their weights, {told}; `sigma-bench results list` lists all"
