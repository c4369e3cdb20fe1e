"""The notes of printed values as footnotes and remarks: what contradicts, and where a fact was taken from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sigma_bench.results.published import Value
from sigma_bench.results.table import Footnotes, Line

ABOUT = {
    "motion_guidance": ("motion-guidance mark",),
    "params_m": ("million parameters", "parameter count", "params_m"),
    "paper_ref": ("no reference is printed",),
}
"""Attribute -> words by which a note is known to speak of it and not of the value."""
ROW_LETTER = re.compile(r"row \([a-z]\)")
"""A note that repeats the letter printed with the method."""


def parts(note: str) -> list[str]:
    """Return the single remarks of a note, without those that the table shows anyway."""
    return [part for part in note.split("; ") if part and not ROW_LETTER.fullmatch(part)]


def shared(rows: Mapping[int, Sequence[Value]]) -> list[str]:
    """Return the remarks that every value of a table carries: they are of the table, and told once."""
    notes = [parts(value.note) for values in rows.values() for value in values]
    return [part for part in notes[0] if all(part in note for note in notes)] if notes else []


def put(
    line: Line, values: Sequence[Value | None], attributes: Sequence[str], known: Sequence[str], foot: Footnotes
) -> None:
    """Set the marks of a printed line.

    A remark on a fact marks that fact, one that all values of the line share its first attribute, others the value.

    Args:
        line: The line, cell by cell of `values`.
        values: The printed values; None where there is none.
        attributes: Names of the line's attributes.
        known: Remarks that are told for the whole table.
        foot: Takes the footnotes.
    """
    notes = [[part for part in parts(value.note) if part not in known] if value else [] for value in values]
    given = [note for note, value in zip(notes, values, strict=True) if value]
    in_all = [part for part in given[0] if len(given) > 1 and all(part in note for note in given)] if given else []
    placed: dict[int, list[str]] = {}
    for part in dict.fromkeys(part for note in notes for part in note):
        place = _place(part, attributes)
        if place is not None or part in in_all:
            placed.setdefault(place or 0, []).append(part)
    line.marks |= {place: tuple(map(foot.mark, placed[place])) for place in sorted(placed)}
    told = {part for texts in placed.values() for part in texts}
    for note, cell in zip(notes, line.cells, strict=True):
        cell.marks = (*cell.marks, *(foot.mark(part) for part in note if part not in told))


def _place(part: str, attributes: Sequence[str]) -> int | None:
    found = (name for name, words in ABOUT.items() if name in attributes and any(word in part for word in words))
    return next((list(attributes).index(name) for name in found), None)
