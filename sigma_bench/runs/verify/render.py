"""The result of a verification as text or JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.runs.verify.record import Record

PACKAGE = Path(__file__).parents[2]
PLACES = (PACKAGE / "_shipped" / "golden", PACKAGE.parent / "tests" / "golden")
"""Golden vectors of an installed wheel, and of a checkout."""


def default_folder() -> Path:
    """Return the golden vectors that came with this package.

    Raises:
        UserError: None came with it.
    """
    found = next((place for place in PLACES if place.is_dir()), None)
    if found is None:
        raise UserError(f"no golden vectors at {' or '.join(map(str, PLACES))}: give --golden DIR")
    return found


def as_json(records: Sequence[Record]) -> list[str]:
    """Return a JSON array, one record a line; a difference that is no number becomes null."""
    rows = [asdict(record) for record in records]
    for row in rows:
        if row["error"] is not None and not math.isfinite(row["error"]):
            row["error"] = None
    lines = [json.dumps(row, allow_nan=False) for row in rows]
    return ["[", *(f"{line}," for line in lines[:-1]), *lines[-1:], "]"]


def as_text(records: Sequence[Record], folder: Path, device: str) -> list[str]:
    """Return one line a file with its worst comparison, one for each failure and skip, and a summary."""
    lines = []
    for file in dict.fromkeys(record.file for record in records):
        own = [record for record in records if record.file == file]
        compared = [record for record in own if record.status in ("ok", "failed")]
        if compared:
            failed = sum(record.status == "failed" for record in compared)
            lines.append(
                f"{'FAILED' if failed else 'ok':8}{file}: {len(compared) - failed}/{len(compared)}{_worst(own)}"
            )
        lines += [f"  {_single(record)}" for record in own if record.status in ("failed", "skipped") or record.advisory]
    unknown = dict.fromkeys(record.file for record in records if record.status == "unknown")
    if unknown:
        lines.append(f"{'unknown':8}{len(unknown)} files with nothing known about them or a part: {', '.join(unknown)}")
    counts = Counter(record.status for record in records)
    told = ", ".join(f"{counts[status]} {status}" for status in ("ok", "failed", "skipped", "unknown"))
    if not counts["ok"] and not counts["failed"]:
        told += "; nothing was compared"
    return [*lines, f"{folder} on {device}: {told}"]


def _worst(records: Sequence[Record]) -> str:
    shares = [
        (record.error / record.tolerance, record)
        for record in records
        if record.status == "ok" and record.error is not None and record.tolerance
    ]
    if not shares:
        return ""
    share, record = max(shares, key=lambda entry: entry[0])
    return f", closest to its tolerance {record.key}: {record.error:.1e} of {record.tolerance:.0e} ({share:.0%})"


def _single(record: Record) -> str:
    allowed = "" if record.tolerance is None else f", allowed {record.tolerance:.0e}"
    size = "" if record.error is None else f" differs by {record.error:.2e}{allowed}"
    reason = f" ({record.reason})" if record.reason else ""
    mark = ", advisory" if record.advisory else ""
    return f"{record.status}{mark}: {record.key or record.file}{size}{reason}"
