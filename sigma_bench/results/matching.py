"""Which published row a measured one belongs to, and whether both stand for the same protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from sigma_bench.results.published import Published, Value
from sigma_bench.results.row import SETTING, Row
from sigma_bench.spec.zoo import Entry

JOIN = ("method", "variant", "backbone", "pretrain_data", "epochs", "motion_guidance")
OPEN = ("backbone", "pretrain_data", "epochs", "motion_guidance")
"""Parts of the join key that a paper's table may leave unsaid; unsaid fits everything."""
PART = "mini "
"""Begins the name of data that only the ablations train on; data that a paper leaves unsaid are not these."""
FLOOR = "floor"
"""Family of rows of no encoder: what any has to be better than, and never a system among others."""
LINEAR = "linear/"
LINEAR_PROTOCOL = "linear_released"
PAPER_PROFILES = ("", "paper", "released")


class System(NamedTuple):
    """What is one line of a table: the name of a system and its join key."""

    system: str
    method: str
    variant: str
    backbone: str
    pretrain_data: str
    epochs: str
    motion_guidance: str


class Described(Protocol):
    """What can belong to a published row: a measured row, an entry of the zoo."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def variant(self) -> str: ...  # noqa: D102
    @property
    def pretrain_data(self) -> str: ...  # noqa: D102
    @property
    def extra_data(self) -> str: ...  # noqa: D102


def system_of(row: Row) -> System:
    """Return whose line a measured row belongs to."""
    return System(*(getattr(row, name) for name in System._fields))


def fits(row: Described, published: Value) -> bool:
    """Return whether a measured row is of the published row's system.

    A fact that the paper leaves unsaid fits every value, but unsaid data are not those of the ablations.
    """
    if not row.method or (row.method, row.variant) != (published.method, published.variant):
        return False
    if not published.pretrain_data and row.pretrain_data.startswith(PART):
        return False
    return all(
        not getattr(published, name) or _plain(getattr(row, name)) == _plain(getattr(published, name)) for name in OPEN
    )


def _plain(fact: str) -> str:
    return "no" if fact == "n/a" else fact


def match(row: Described, rows: Mapping[int, Sequence[Value]]) -> int | None:
    """Return the number of the one published row of a table that `row` belongs to, None for none or no single one.

    Where several fit, those with the same extra data are preferred, then those that leave fewest facts unsaid.
    """
    fitting = {number: values[0] for number, values in rows.items() if fits(row, values[0])}
    same_extra = {number: value for number, value in fitting.items() if value.extra_data == row.extra_data}
    fitting = same_extra or fitting
    if len(fitting) > 1:
        fewest = min(map(_unsaid, fitting.values()))
        fitting = {number: value for number, value in fitting.items() if _unsaid(value) == fewest}
    return next(iter(fitting)) if len(fitting) == 1 else None


def _unsaid(value: Value) -> int:
    return sum(not getattr(value, name) for name in OPEN)


def elsewhere(row: Row, table: str, published: Published) -> bool:
    """Return whether `row` belongs to a row of another table that has its task and metric, and to none of `table`."""
    if match(row, published.tables.get(table, {})) is not None:
        return False
    return any(
        match(row, rows) is not None
        and any((v.task, v.metric) == (row.task, row.metric) for values in rows.values() for v in values)
        for name, rows in published.tables.items()
        if name != table
    )


def not_to_be_had(published: Value, zoo: Mapping[str, Entry]) -> str:
    """Return why a published row cannot be measured, empty where weights of its system are known, or nothing is."""
    fitting = [entry for entry in zoo.values() if fits(entry, published)]
    reasons = [entry.wanted for entry in fitting if entry.wanted is not None]
    return reasons[0] if reasons and len(reasons) == len(fitting) else ""


def stands_for_paper(row: Row) -> bool:
    """Return whether the row was measured by the protocol of the paper's cell, so that a difference means something.

    Linear probing was published without its settings; only `linear_released` follows the released code. The other
    tasks state the paper's settings, or those of the released code in a profile. An overridden setting is a protocol of
    one's own, and so are weights from the middle of a run, whoever they are named after.
    """
    return not (overridden(row) or unfinished(row)) and papers_own(row.task, row.evaluator, row.profile)


def papers_own(task: str, evaluator: str, profile: str) -> bool:
    """Return whether a task's evaluator and profile are the protocol of the paper's cell."""
    return profile in PAPER_PROFILES and (not task.startswith(LINEAR) or evaluator == LINEAR_PROTOCOL)


def unfinished(row: Row) -> str:
    """Return `step 10 of 100` for weights of a run that had not ended, which are no published system; else nothing."""
    if row.step is None or row.steps is None or row.step >= row.steps:
        return ""
    return f"step {row.step} of {row.steps}"


def views(row: Row) -> str:
    """Return frames x clips x crops of a test sample, `16x5x3`; empty where the row does not say."""
    found = re.match(r"\d+x\d+", row.views)
    return f"{row.frames}x{found[0]}" if found and row.frames else ""


def same_views(row: Row, stated: str | None) -> bool:
    """Return whether a row saw as much of a test sample as a table states; what either does not say is no departure."""
    return not stated or views(row) in ("", stated)


def overridden(row: Row) -> list[str]:
    """Return the settings of the task that were overridden, as `KEY=VALUE`."""
    return _settings(row.marks)


def _settings(marks: tuple[str, ...]) -> list[str]:
    return [mark.removeprefix(SETTING) for mark in marks if mark.startswith(SETTING)]


def protocol_name(row: Row) -> str:
    """Return the name of the row's own protocol, for the heading of its block."""
    return _named(row.evaluator, row.profile, row.marks)


@lru_cache
def _named(evaluator: str, profile: str, marks: tuple[str, ...]) -> str:
    name = f"{evaluator}, profile {profile}" if profile else evaluator
    return ", ".join([name, *_settings(marks)])
