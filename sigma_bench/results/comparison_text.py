"""A comparison as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, Final

from sigma_bench.contracts import UserError
from sigma_bench.results import own
from sigma_bench.results.comparison import LEVEL, Compared, Comparison
from sigma_bench.results.listing import plainly
from sigma_bench.results.render_csv import inert
from sigma_bench.results.render_markdown import escape

FORMATS: Final = ("md", "json", "csv")
COLUMNS: Final = (
    *("data", "task", "evaluator", "profile", "metric", "better", "a", "b", "difference", "interval_low"),
    *("interval_high", "effect", "test", "p_samples", "p_seeds", "p", "p_holm", "verdict", "samples", "groups"),
    *("only_a_right", "only_b_right", "seeds_a", "seeds_b", "refused", "notes"),
)
LEGEND: Final = (
    "B - A, in brackets its 95 % interval over test samples; d: difference over the deviation of a group's part in it; "
    "p: two-sided, of the test named; where both sides have several seeds or weights not below Welch's p over them; "
    f"Holm: corrected for the lines of this data. Real is called what stays below {LEVEL}."
)


def render(found: Comparison, format_: str) -> str:
    """Return a comparison in one of `FORMATS`.

    Raises:
        UserError: There is no such format.
    """
    known: dict[str, Callable[[Comparison], str]] = {"md": _markdown, "json": _json, "csv": _csv}
    if format_ not in known:
        raise UserError(f"--format {format_}: expected one of {', '.join(FORMATS)}")
    return known[format_](found)


def _record(line: Compared) -> dict[str, Any]:
    found = line.paired
    low, high = (None, None) if found is None or found.interval is None else (found.interval.low, found.interval.high)
    only = (None, None) if found is None or found.only is None else found.only
    a, b = (None, None) if line.numbers is None else line.numbers
    values = (
        *(*line.place[:4], line.place.metric, "lower" if line.lower else "higher", a, b),
        *(getattr(found, "difference", None), low, high, getattr(found, "effect", None), getattr(found, "test", "")),
        *(getattr(found, "p", None), line.p_seeds, line.p, line.corrected, line.verdict),
        *(getattr(found, "samples", None), getattr(found, "groups", None), *only, *line.seeds),
        *(line.refused, list(line.notes)),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _json(found: Comparison) -> str:
    named = {
        name: {"asked": side.asked, "system": side.name, "weights": side.weights}
        for name, side in (("a", found.first), ("b", found.second))
    }
    lines = [_record(line) for line in found.lines]
    return json.dumps({**named, "level": LEVEL, "lines": lines}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(found: Comparison) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in found.lines:
        record = _record(line) | {"notes": "; ".join(line.notes)}
        writer.writerow(
            inert(plainly(v)) if isinstance(v, str) else "" if v is None else repr(v) for v in record.values()
        )
    return stream.getvalue()


def _markdown(found: Comparison) -> str:
    a, b = found.first, found.second
    out = [f"## A: {escape(a.name)}, B: {escape(b.name)}", ""]
    out += [
        f"{name}: weights {', '.join(f'`{sha[:12]}`' for sha in side.weights)}  " for name, side in (("A", a), ("B", b))
    ]
    for data in dict.fromkeys(line.place.data for line in found.lines):
        lines = [line for line in found.lines if line.place.data == data]
        out += ["", f"### {own.TITLES[data]}", ""]
        compared = [line for line in lines if line.paired is not None]
        if compared:
            out.append("| task | metric | A | B | B - A | d | test | p | Holm | verdict |")
            out.append("| :-- | :-- | --: | --: | --: | --: | :-- | --: | --: | :-- |")
            out += [_line(line) for line in compared]
        notes = [f"- {escape(_name(line))}: {escape(note)}" for line in compared for note in line.notes]
        refused = [f"- {escape(_name(line))} not compared: {escape(line.refused)}" for line in lines if line.refused]
        out += ["", *notes, *refused] if notes or refused else []
    return "\n".join([*out, "", LEGEND]) + "\n"


def _line(line: Compared) -> str:
    found = line.paired
    assert found is not None
    assert line.numbers is not None
    d = line.decimals
    ends = "" if found.interval is None else f" [{found.interval.low:+.{d}f}, {found.interval.high:+.{d}f}]"
    only = "" if found.only is None else f", {found.only[0]} : {found.only[1]}"
    over = (
        f"{found.samples} samples"
        if found.groups == found.samples
        else f"{found.samples} samples, {found.groups} groups"
    )
    cells = [
        escape(_name(line)),
        escape(line.place.metric) + (" ↓" if line.lower else ""),
        *(
            f"{value:.{d}f}" + (f" (n = {n})" if n > 1 else "")
            for value, n in zip(line.numbers, line.seeds, strict=True)
        ),
        f"{found.difference:+.{d}f}{ends}",
        "–" if found.effect is None else f"{found.effect:+.2f}",
        f"{found.test}{only} ({over})",
        _p(line.p) + ("" if line.p_seeds is None else f" (samples {_p(found.p)}, seeds {_p(line.p_seeds)})"),
        _p(line.corrected),
        line.verdict,
    ]
    return "| " + " | ".join(cells) + " |"


def _name(line: Compared) -> str:
    return f"{line.place.task} ({', '.join(part for part in (line.place.evaluator, line.place.profile) if part)})"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
