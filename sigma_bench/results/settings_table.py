"""Tables of hyper-parameters: what the paper states, and what the released code does."""

from __future__ import annotations

from collections.abc import Sequence

from sigma_bench.results.published import Published, Setting
from sigma_bench.results.table import NOTHING, Block, Cell, Head, Line, Table
from sigma_bench.spec.layout import TableLayout

WHOLE = "(all)"
"""Stands for the setting in a line of hyperparameters.csv that speaks of a whole table."""
UNPRINTED = "not in the paper's table"
LEGEND = (
    "Paper: the printed value; lost: dropped from the text of the paper; absent: the paper does not state it. "
    "Code: what the released code does; ≠ where it differs from the paper."
)


def fill(table: Table, lay: TableLayout, published: Published) -> None:
    """Fill a table with one line a setting and two columns a configuration, or turned where there are more of these."""
    found = {(s.config, s.setting): s for s in published.settings if s.table == table.name}
    configs = list(lay.configs) or list(dict.fromkeys(c for c, name in found if name != WHOLE))
    printed = list(lay.rows)
    others = [name for name in dict.fromkeys(name for _, name in found) if name not in (*printed, WHOLE)]
    turned = len(configs) > len(printed) > 0
    across = [*printed, *others] if turned else configs
    table.attributes = ("Experiment" if turned else "Setting",)
    table.heads = tuple(Head(heading) for _ in across for heading in ("Paper", "Code"))
    table.column_groups = tuple((_words(name), 2) for name in across)
    down = [("", configs)] if turned else [("", printed), (UNPRINTED if printed else "", others)]
    for label, names in down:
        block = Block(label, [_line(table, name, across, found, turned) for name in names])
        if block.lines:
            table.blocks.append(block)
    if lay.missing:
        table.remarks.append(f"Table {lay.number} is lost; what is here is what the released code does.")
    table.remarks += [
        f"{s.note[:1].upper()}{s.note[1:]}." for (_, name), s in found.items() if name == WHOLE and s.note
    ]
    table.remarks.append(LEGEND)


def _line(table: Table, name: str, across: Sequence[str], found: dict[tuple[str, str], Setting], turned: bool) -> Line:
    line = Line("published", (_words(name),), [])
    for other in across:
        setting = found.get((name, other) if turned else (other, name))
        line.cells += _pair(setting, table) if setting else [Cell(NOTHING), Cell(NOTHING)]
    return line


def _pair(setting: Setting, table: Table) -> list[Cell]:
    """Return the cells of the paper and of the code."""
    value = f"{setting.value} {setting.unit}".strip() if setting.value else ""
    paper = Cell(value or setting.status)
    if value and setting.status != "stated":
        paper.marks = (table.footnotes.mark(f"{setting.status} in the paper"),)
    differs = "≠ " if setting.agreement == "differs" else ""
    code = Cell(differs + setting.code_value if setting.code_value else NOTHING, source=setting.code_ref)
    if setting.note:
        mark = (table.footnotes.mark(setting.note),)
        if setting.code_value:
            code.marks = mark
        else:
            paper.marks = (*paper.marks, *mark)
    return [paper, code]


def _words(name: str) -> str:
    return name.replace("_", " ") if "/" not in name else name
