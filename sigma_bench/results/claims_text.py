"""The verdicts on claims as text: Markdown for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence

from sigma_bench.contracts import UserError
from sigma_bench.results import render_markdown
from sigma_bench.results.claims import Judged
from sigma_bench.results.table import Block, Line, Table

NAME = "claims"
SOURCES = {"text": "sentences of the text and captions", "tables": "numbers that should agree between tables or parts"}
HEADINGS = (
    "Claim",
    "Where",
    "The paper says",
    "Stated",
    "From its tables",
    "Verdict",
    "Measured",
    "Verdict here",
    "Why",
)
NOTHING = "–"


def render(judged: Sequence[Judged], format_: str) -> str:
    """Return the verdicts in the format `md`, `csv` or `json`.

    Raises:
        UserError: The format is another one.
    """
    if format_ not in FORMATS:
        raise UserError(f"--claims is written as {', '.join(FORMATS)}, found --format {format_}")
    return FORMATS[format_](judged)


def _markdown(judged: Sequence[Judged]) -> str:
    refuted = {source: [j.name for j in judged if j.claim.source == source and _refuted(j)] for source in SOURCES}
    counts = Counter[str](j.claim.source for j in judged)
    caption = " ".join(
        f"Of {counts[source]} {what}, {len(refuted[source])} do not hold by the paper's own tables: "
        f"{', '.join(refuted[source]) or 'none'}."
        for source, what in SOURCES.items()
    )
    here = Counter(j.measured.verdict for j in judged)
    table = Table(NAME, "Claims of the SIGMA paper", caption, HEADINGS, ())
    for source, what in SOURCES.items():
        table.blocks.append(Block(what, [_line(j) for j in judged if j.claim.source == source]))
    table.remarks.append(
        f"By values measured here: {here['holds']} hold, {here['does not hold']} do not, {here['not testable']} cannot "
        "be tested. Only official data, the protocol of the paper's cell and complete test lists count."
    )
    return render_markdown.render(table)


def _refuted(one: Judged) -> bool:
    return one.published.verdict == "does not hold"


def _line(one: Judged) -> Line:
    why = " ".join(f"{part.rstrip('.')}." for part in (one.published.reason, one.claim.note) if part)
    why += f" Measured: {one.measured.reason}."
    attributes = (
        *(one.name, one.claim.where, one.claim.says, one.printed or NOTHING),
        *(one.published.number or NOTHING, one.published.verdict),
        *(one.measured.number or NOTHING, one.measured.verdict, why),
    )
    return Line("published", attributes, [])


def records(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """Return one flat record a claim, all of text."""
    return [
        {
            "claim": one.name,
            "source": one.claim.source,
            "where": one.claim.where,
            "says": one.claim.says,
            "stated": one.printed,
            "published": one.published.number,
            "published_verdict": one.published.verdict,
            "published_reason": one.published.reason,
            "measured": one.measured.number,
            "measured_verdict": one.measured.verdict,
            "measured_reason": one.measured.reason,
            "note": one.claim.note or "",
        }
        for one in judged
    ]


def _csv(judged: Sequence[Judged]) -> str:
    found = records(judged)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(found[0]) if found else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue()


def _json(judged: Sequence[Judged]) -> str:
    return json.dumps(records(judged), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Judged]], str]] = {"md": _markdown, "csv": _csv, "json": _json}
