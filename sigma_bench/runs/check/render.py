"""A check in words: a table a data set, what is wrong, one line that says whether it can be used and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sigma_bench.runs.check.gather import CLIP, NO_LABEL
from sigma_bench.runs.check.report import ListReport, SetReport, Unchecked

SHOWN = 10
"""Samples of a kind of fault, and classes with faults, named on the screen."""
FULL_PERCENT = 99
"""Share of a test list that a table needs, as `sigma_bench.results.cells` has it."""
VIDEO_DECODER = "decord"
"""What evaluations take where it is installed."""
DEPTHS = {
    "size": "nothing was decoded",
    "three frames": "three frames of each file were decoded",
    "every frame": "every frame was decoded",
}


def lines(report: SetReport, classes: bool) -> list[str]:
    """Return what is to be shown of one data set.

    Args:
        report: What was found.
        classes: Show every class, not only the worst of those with something wrong.
    """
    header = ["split", "listed", "present", "missing", "unreadable", "short", "list sha256", "list"]
    table = [[_label(e, report), *_counts(e, report), e.sha256[:16], e.published] for e in report.lists]
    body = _aligned([header, *table])
    body += _label_maps(report)
    body += _classes(report, classes)
    body += _faults(report)
    body += _short(report)
    body += [f"note  {text}" for text in _notes(report)]
    body += [f"note  {text}" for text in (*report.said, *_readers(report))]
    return [f"{report.name}  {report.folder} ({report.rule})", *(f"  {row}" for row in (*body, verdict(report)))]


def verdict(report: SetReport) -> str:
    """Return whether the data set can be used, and what to do, in one line."""
    how = DEPTHS[report.depth]
    if not report.wrong:
        return f"well: every listed sample is there ({how})"
    lacking = [e for e in report.lists if e.usable < e.listed]
    shares = ", ".join(f"{_label(e, report)} {_percent(e)}" for e in lacking)
    faulty = sum(len(entry.masks) for entry in report.lists)
    masks = f"{faulty} samples have faulty masks" if faulty else ""
    usable = "; ".join(text for text in (f"usable of {shares}" if shares else "", masks) if text)
    advice = "an evaluation counts what is not usable and marks its rows partial"
    if any(100 * e.usable < FULL_PERCENT * e.listed for e in lacking):
        advice += f", and a table shows no number from under {FULL_PERCENT} % of a test list"
    return f"not complete: {usable} ({how}); {advice}. Fetch or replace what is named above; --json names all."


def unchecked(entries: Sequence[Unchecked]) -> list[str]:
    """Return one line for each data set that was not looked at."""
    return [f"{e.name}  {'cannot be read' if e.there else 'not found'}: {e.why}" for e in entries]


def _label(entry: ListReport, report: SetReport) -> str:
    several = len({e.fold for e in report.lists}) > 1
    return f"{entry.split} {entry.fold}" if several or entry.fold > 1 else entry.split


def _counts(entry: ListReport, report: SetReport) -> list[str]:
    counts = (entry.listed, entry.present, len(entry.missing), len(entry.unreadable))
    return [*(f"{count:,}" for count in counts), _shorts(len(entry.short), report)]


def _shorts(count: int, report: SetReport) -> str:
    """Return how many are short; of files that were not decoded it is not known."""
    return "-" if report.depth == "size" else f"{count:,}"


def _label_maps(report: SetReport) -> list[str]:
    """Return the label maps; one that all lists share is told once."""
    maps: dict[str, list[ListReport]] = {}
    for entry in report.lists:
        maps.setdefault(entry.classes_sha256, []).append(entry)
    out = []
    for digest, entries in maps.items():
        named = sum(1 for c in entries[0].classes if c.name != NO_LABEL)
        whose = f" of {', '.join(_label(e, report) for e in entries)}" if len(maps) > 1 else ""
        out.append(f"label map{whose}: {named:,} classes, sha256 {digest[:16]}" if named else f"no classes{whose}")
    return out


def _classes(report: SetReport, every: bool) -> list[str]:
    found = [(entry, c) for entry in report.lists for c in entry.classes if every or c.missing or c.unreadable]
    if not found:
        return []
    shown = found if every else sorted(found, key=lambda f: -(f[1].missing + f[1].unreadable))[:SHOWN]
    header = ["split", "listed", "missing", "unreadable", "short", "class" if every else "classes with faults"]
    rows = [
        [_label(e, report), *(f"{n:,}" for n in (c.listed, c.missing, c.unreadable)), _shorts(c.short, report), c.name]
        for e, c in shown
    ]
    more = len(found) - len(shown)
    return [*_aligned([header, *rows]), *([f"... and {more:,} more (--classes shows all)"] if more else [])]


def _faults(report: SetReport) -> list[str]:
    """Return the samples with faults, each once, with the lists it is in."""
    out = []
    for kind in ("missing", "unreadable", "masks"):
        found: dict[str, tuple[str, list[str]]] = {}
        for entry in report.lists:
            for name, why in _of_kind(entry, kind).items():
                found.setdefault(name, (why, []))[1].append(_label(entry, report))
        for name, (why, labels) in list(found.items())[:SHOWN]:
            out.append(f"{kind:<10}  {name} ({', '.join(labels)}){': ' if why else ''}{why}")
        if len(found) > SHOWN:
            out.append(f"{kind:<10}  ... and {len(found) - SHOWN:,} more")
    return out


def _of_kind(entry: ListReport, kind: str) -> Mapping[str, str]:
    faults = {"missing": dict.fromkeys(entry.missing, ""), "unreadable": entry.unreadable, "masks": entry.masks}
    return faults[kind]


def _short(report: SetReport) -> list[str]:
    found = {name: count for entry in report.lists for name, count in entry.short.items()}
    if not found:
        return []
    least = min(found, key=lambda name: found[name])
    return [
        f"short  {len(found):,} samples have fewer than {CLIP} frames, so clips repeat some; that is no fault "
        f"(fewest: {found[least]} frames of {least})"
    ]


def _notes(report: SetReport) -> list[str]:
    """Return the notes of the lists, each once, with the lists it is of."""
    found: dict[str, list[str]] = {}
    for entry in report.lists:
        for note in entry.notes:
            found.setdefault(note, []).append(_label(entry, report))
    return [f"{', '.join(labels)}: {note}" for note, labels in found.items()]


def _readers(report: SetReport) -> list[str]:
    count = sum(e.readers.get("pyav", 0) for e in report.lists)
    if not count:
        return []
    if report.decoder == "pyav":
        return [
            f"{VIDEO_DECODER} is not installed here: pyav read the videos, as it does in pretraining and evaluation"
        ]
    return [f"{count:,} samples are read by pyav but not by {VIDEO_DECODER}: pretraining takes them, an evaluation not"]


def _aligned(rows: list[list[str]]) -> list[str]:
    """Return rows as text: words to the left, columns of counts to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    counts = [name in ("listed", "present", "missing", "unreadable", "short") for name in rows[0]]
    return [
        "  ".join(
            cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(row, widths, counts, strict=True)
        ).rstrip()
        for row in rows
    ]


def _percent(entry: ListReport) -> str:
    """Return the usable share, rounded down: 100 % is said of a whole list only."""
    return f"{1000 * entry.usable // max(1, entry.listed) / 10:g} %"
