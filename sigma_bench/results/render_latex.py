"""A table as LaTeX that needs booktabs and adjustbox. Everything is escaped to plain ASCII, so any engine takes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sigma_bench.results import cell_text
from sigma_bench.results.table import Cell, Line, Table

FREE, CAPTION, NOTE, LEAST = 0.95, 0.08, 0.0175, 0.3
"""Shares of a page's height: of a float, its caption, a line of its notes, and the least left to the rows."""
NOTE_WIDTH = 85
"""Characters on a line of a note."""

# Brackets and asterisks are wrapped: after a line break LaTeX would take them for its options.
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}",
    "-": "{-}", "–": "--", "—": "---", "±": r"$\pm$", "×": r"$\times$", "≠": r"$\neq$", "✓": r"$\surd$",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "é": r"\'e", "ü": r'\"u', "ö": r'\"o', "ä": r'\"a', "ß": r"\ss{}",
}  # fmt: skip


def escape(text: str) -> str:
    """Return `text` for LaTeX, on one line; a character without a spelling here becomes `[U+4E2D]`."""
    text = re.sub(r"\s+", " ", text).strip()
    return "".join(
        _ESCAPES.get(c) or (c if c.isascii() and c.isprintable() else f"{{[}}U+{ord(c):04X}{{]}}") for c in text
    )


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        text = rf"\textbf{{{text}}}" if cell.best == "best" else rf"\underline{{{text}}}"
    if difference := cell_text.difference(cell):
        text += f" (${difference}$)"
    text += _marks(cell.marks)
    if sure := cell_text.below(cell):
        below = rf"{{\scriptsize {escape(sure)}}}"
        return rf"\begin{{tabular}}[t]{{@{{}}c@{{}}}}{text}\\[-2pt]{below}\end{{tabular}}"
    return text


def _marks(marks: Sequence[str]) -> str:
    return rf"$^{{\mathrm{{{','.join(marks)}}}}}$" if marks else ""


def render(table: Table) -> str:
    """Return a `table` environment with caption, label, tabular (shrunk to the page if need be), footnotes, remarks."""
    width = len(table.attributes) + len(table.heads)
    lines = [
        "% needs \\usepackage{booktabs,adjustbox}",
        r"\begin{table}[tbp]",
        r"\centering",
        rf"\caption{{{escape(f'{table.title}. {table.caption}')}}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9:-]', '-', table.name)}}}",
    ]
    if width:
        columns = "l" * len(table.attributes) + "".join("c" if head.numeric else "l" for head in table.heads)
        lines += [rf"\begin{{adjustbox}}{{max width=\linewidth, max totalheight={_tallest(table):.2f}\textheight}}"]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
        lines += _headings(table)
        for block in table.blocks:
            lines.append(r"\midrule")
            if block.label:
                lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(block.label)}}}}} \\")
            lines += [_line(line) for line in block.lines]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{adjustbox}"]
    notes = [rf"$^{{\mathrm{{{mark}}}}}$ {escape(text)}" for mark, text in table.footnotes.items]
    notes += [escape(text) for text in table.remarks]
    if notes:
        lines.append(r"\par\smallskip\raggedright\footnotesize")
        lines += [note + r"\par" for note in notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tallest(table: Table) -> float:
    """Return the share of a page's height that the rows may take beside the notes."""
    notes = [*table.footnotes.texts, *table.remarks]
    lines = sum(1 + len(note) // NOTE_WIDTH for note in notes)
    return max(LEAST, FREE - CAPTION - NOTE * lines)


def _line(line: Line) -> str:
    first, *rest = [escape(text) + _marks(line.marks.get(i, ())) for i, text in enumerate(line.attributes)]
    name = rf"\quad {first}" if line.kind != "published" and len(line.attributes) > 1 else first
    if (reason := line.reason) is not None:
        return _row([name, *rest, rf"\multicolumn{{{len(line.cells)}}}{{c}}{{{_cell(reason)}}}"])
    return _row([name, *rest, *map(_cell, line.cells)])


def _headings(table: Table) -> list[str]:
    lines = []
    if spans := cell_text.column_spans(table):
        over = [rf"\multicolumn{{{last - first + 1}}}{{c}}{{{escape(heading)}}}" for heading, first, last in spans]
        lines.append(_row([*[""] * len(table.attributes), *over]))
        lines.append(" ".join(rf"\cmidrule(lr){{{first}-{last}}}" for _, first, last in spans))
    lines.append(_row([*map(escape, table.attributes), *(escape(head.heading) for head in table.heads)]))
    return lines


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
