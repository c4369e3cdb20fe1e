"""A table as Markdown that GitHub and pandoc read. Text of users is escaped: it can neither format nor link."""

from __future__ import annotations

import re

from sigma_bench.results import cell_text
from sigma_bench.results.table import Cell, Table


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line."""
    text = re.sub(r"\s+", " ", "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text)).strip()
    return (
        re.sub(r"([\\`*_\[\]|~#$@]|:(?=//)|(?<=www)\.)", r"\\\1", text)
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best == "best":
        text = f"**{text}**"
    elif cell.best == "second":
        text = f"<u>{text}</u>"
    if more := cell_text.after(cell):
        text += f" {more}"
    return text + _marks(cell.marks)


def _marks(marks: tuple[str, ...]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def render(table: Table) -> str:
    """Return heading, caption, table, footnotes and remarks."""
    headings = [escape(heading) for heading in cell_text.full_headings(table)]
    lines = [f"## {escape(table.title)}", "", escape(table.caption), ""]
    if headings:
        lines.append(_row(headings))
        aligned = "".join(" --: |" if head.numeric else " :-- |" for head in table.heads)
        lines.append("|" + " :-- |" * len(table.attributes) + aligned)
    for block in table.blocks:
        if block.label:
            lines.append(_row([f"*{escape(block.label)}*", *[""] * (len(headings) - 1)]))
        for line in block.lines:
            first, *rest = [escape(a) + _marks(line.marks.get(i, ())) for i, a in enumerate(line.attributes)]
            name = f"↳ {first}" if line.kind != "published" and len(table.attributes) > 1 else first
            lines.append(_row([name, *rest, *map(_cell, line.cells)]))
    notes = [f"<sup>{mark}</sup> {escape(text)}" for mark, text in table.footnotes.items]
    for note in [*notes, *map(escape, table.remarks)]:
        lines += ["", note]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
