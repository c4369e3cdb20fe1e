"""A name -> the row of a printed table it belongs to, and the measured rows that stand for it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from sigma_bench.contracts import UserError
from sigma_bench.results import matching, sides, tables
from sigma_bench.results.published import Value
from sigma_bench.results.row import Row
from sigma_bench.spec.layout import Layout
from sigma_bench.spec.zoo import Entry


def table_of(table: str, layout: Layout) -> str:
    """Return the name of a table of systems.

    Raises:
        UserError: There is no such table, `table` stands for several, or it holds something else.
    """
    found = tables.names(table, layout)
    if len(found) > 1:
        raise UserError(f"--table {table} is {len(found)} tables, {' and '.join(found)}; name one of them")
    lay = layout.tables[found[0]]
    if lay.missing or lay.settings or lay.row_key is not None:
        raise UserError(
            f"--table {table}: it holds no numbers of systems; tables of them are 1 to 7, 12, 13, C1 and C2"
        )
    return found[0]


def number_of(
    system: str,
    entry: Entry | None,
    rows: Sequence[Row],
    printed: Mapping[int, Sequence[Value]],
    table: str,
    zoo: Mapping[str, Entry],
    short: Mapping[str, str],
) -> int:
    """Return the number of the printed row that a system belongs to.

    Args:
        system: A system as rows name it, a zoo name, or a method that has one row.
        entry: The zoo entry of that name.
        rows: The official rows.
        printed: The printed rows of the table.
        table: Its name.
        zoo: Known checkpoints.
        short: Their short names.

    Raises:
        UserError: It belongs to none, or to several.
    """
    candidates = [matching.match(row, printed) for row in rows if system in (row.system, sides.named(row))]
    found = {number for number in candidates if number is not None}
    if not found and entry is not None:
        found = {number for number in (matching.match(entry, printed),) if number is not None}
    if not found:
        found = {number for number, values in printed.items() if values[0].method == system}
    if len(found) == 1:
        return found.pop()
    known = sorted(name for name, e in zoo.items() if matching.match(e, printed) is not None)
    if found:
        raise UserError(
            f"--system {system}: {len(found)} rows of {table} are called so; name one of {', '.join(known)}"
        )
    near = difflib.get_close_matches(system, [*known, *short], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    if candidates:
        hint = " It was measured, but says of itself nothing that a printed row has; evaluate it with --as NAME."
    raise UserError(
        f"--system {system}: no row of {table} is of it.{hint} Known checkpoints of this table: {', '.join(known)}"
    )


def measured_of(rows: Sequence[Row], system: str, entry: Entry | None, short: Mapping[str, str]) -> list[Row]:
    """Return the rows of one system among those of the printed row: of the name asked for, or of the zoo entry's.

    Raises:
        UserError: Several systems stand for the printed row, and `system` names none of them.
    """
    names = [system] if entry is None else [system, short.get(system, system), entry.system]
    for name in names:
        if own := [row for row in rows if name in (row.system, sides.named(row))]:
            return own
    if entry is not None:
        return []
    if several := sorted({sides.named(row) for row in rows})[1:]:
        raise UserError(
            f"--system {system}: {len(several) + 1} systems were measured that belong to this row: "
            f"{', '.join(sorted({sides.named(row) for row in rows}))}; name one of them"
        )
    return list(rows)
