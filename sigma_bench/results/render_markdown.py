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
    if spread := cell_text.spread(cell):
        text += f" ± {spread}"
    if seeds := cell_text.seeds(cell):
        text += f" ({seeds})"
    if difference := cell_text.difference(cell):
        text += f" ({difference})"
    return text + (f"<sup>{','.join(cell.marks)}</sup>" if cell.marks else "")


def render(table: Table) -> str:
    """Return heading, caption, table, footnotes and remarks."""
    over = {i: heading for heading, first, last in cell_text.column_spans(table) for i in range(first, last + 1)}
    headings = [escape(a) for a in table.attributes]
    for number, head in enumerate(table.heads, start=len(headings) + 1):
        group = over.get(number, "")
        headings.append(escape(head.heading if group in ("", head.heading) else f"{group}: {head.heading}"))
    lines = [f"## {escape(table.title)}", "", escape(table.caption), ""]
    if headings:
        lines.append(_row(headings))
        lines.append("|" + " :-- |" * len(table.attributes) + " --: |" * len(table.heads))
    for block in table.blocks:
        if block.label:
            lines.append(_row([f"*{escape(block.label)}*", *[""] * (len(headings) - 1)]))
        for line in block.lines:
            first, *rest = [escape(a) for a in line.attributes]
            name = f"↳ {first}" if line.kind == "measured" and len(table.attributes) > 1 else first
            lines.append(_row([name, *rest, *map(_cell, line.cells)]))
    notes = [f"<sup>{mark}</sup> {escape(text)}" for mark, text in table.footnotes.items]
    for note in [*notes, *map(escape, table.remarks)]:
        lines += ["", note]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
