"""A reproduction as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, Final

from sigma_bench.contracts import UserError
from sigma_bench.results.listing import plainly
from sigma_bench.results.render_csv import inert
from sigma_bench.results.render_markdown import escape
from sigma_bench.results.reproduction import Cell, Reproduction

FORMATS: Final = ("md", "json", "csv")
COLUMNS: Final = (
    *("table", "system", "task", "metric", "published", "measured", "n", "interval_low", "interval_high"),
    *("difference", "tolerance", "tolerance_from", "verdict", "reason", "command", "settings", "notes", "open"),
)
SHOWN_SETTINGS = 12


def render(found: Reproduction, format_: str) -> str:
    """Return a reproduction in one of `FORMATS`.

    Raises:
        UserError: There is no such format.
    """
    known: dict[str, Callable[[Reproduction], str]] = {"md": _markdown, "json": _json, "csv": _csv}
    if format_ not in known:
        raise UserError(f"--format {format_}: expected one of {', '.join(FORMATS)}")
    return known[format_](found)


def _record(found: Reproduction, cell: Cell) -> dict[str, Any]:
    low, high = cell.interval or (None, None)
    tolerance = (None, "") if cell.tolerance is None else (cell.tolerance.value, cell.tolerance.origin)
    values = (
        *(found.table, found.system, cell.column.key, cell.column.metric, cell.published, cell.measured, cell.count),
        *(low, high, cell.difference, *tolerance, cell.verdict, cell.reason, cell.command),
        *(list(cell.settings), list(cell.notes), list(cell.open)),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _json(found: Reproduction) -> str:
    row = {name: getattr(found.row, name) for name in ("method", "backbone", "pretrain_data", "epochs", "variant")}
    content = {
        **{"table": found.table, "system": found.system, "row": row, "measured": list(found.measured)},
        **{"reproduced": found.complete, "cells": [_record(found, cell) for cell in found.cells]},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(found: Reproduction) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in found.cells:
        record = {k: "; ".join(v) if isinstance(v, list) else v for k, v in _record(found, cell).items()}
        writer.writerow(
            inert(plainly(v)) if isinstance(v, str) else "" if v is None else repr(v) for v in record.values()
        )
    return stream.getvalue()


def _markdown(found: Reproduction) -> str:
    row = found.row
    facts = ", ".join(part for part in (row.variant, row.backbone, row.pretrain_data, row.epochs) if part)
    out = [f"## {escape(found.title)} of the paper, {escape(row.method)}{f' ({escape(facts)})' if facts else ''}", ""]
    out += [f"measured: {escape(line)}  " for line in found.measured] or ["Nothing was measured of it."]
    out += ["", "| column | task | published | measured | difference | tolerance | verdict |"]
    out += ["| :-- | :-- | --: | --: | --: | --: | :-- |", *(_line(cell) for cell in found.cells), ""]
    out.append(_summary(found))
    for title, told in (
        ("What is missing", [_missing(cell) for cell in found.cells if cell.verdict == "missing"]),
        ("Settings that differ from the paper's protocol (measured | protocol)", _settings(found)),
        ("What must be known of the values", _each(found, "notes")),
        ("What the paper leaves open", _each(found, "open")),
    ):
        if told:
            out += ["", f"### {title}", "", *told]
    return "\n".join(out) + "\n"


def _line(cell: Cell) -> str:
    d = cell.column.decimals
    measured = "–"
    if cell.measured is not None:
        ends = "" if cell.interval is None else f" [{cell.interval[0]:.{d}f}, {cell.interval[1]:.{d}f}]"
        measured = f"{cell.measured:.{d}f}{f' (n = {cell.count})' if cell.count > 1 else ''}{ends}"
    cells = [
        escape(cell.column.heading),
        escape(cell.column.key),
        f"{cell.published:.{d}f}",
        measured,
        "–" if cell.difference is None else f"{cell.difference:+.{d}f}",
        "–" if cell.tolerance is None else f"{cell.tolerance.value:.{max(d, 2)}f} ({cell.tolerance.origin})",
        cell.verdict,
    ]
    return "| " + " | ".join(cells) + " |"


def _summary(found: Reproduction) -> str:
    count = {verdict: sum(c.verdict == verdict for c in found.cells) for verdict in ("within", "outside", "missing")}
    return (
        f"{count['within']} of {len(found.cells)} numbers within tolerance, {count['outside']} outside, "
        f"{count['missing']} missing."
    )


def _missing(cell: Cell) -> str:
    return f"- {escape(cell.column.key)}: {escape(cell.reason)}{f'. `{cell.command}`' if cell.command else ''}"


def _settings(found: Reproduction) -> list[str]:
    told = []
    for cell in found.cells:
        more = len(cell.settings) - SHOWN_SETTINGS
        lines = [*cell.settings[:SHOWN_SETTINGS], *([f"and {more} more (--format json)"] if more > 0 else [])]
        told += [f"- {escape(cell.column.key)}: {escape(line)}" for line in lines]
    return told


def _each(found: Reproduction, what: str) -> list[str]:
    """Return the texts of the cells, each once with the columns it is of."""
    columns: dict[str, list[str]] = {}
    for cell in found.cells:
        for text in getattr(cell, what):
            columns.setdefault(text, []).append(cell.column.key)
    return [f"- {escape(', '.join(keys))}: {escape(text)}" for text, keys in columns.items()]
