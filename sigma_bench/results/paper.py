"""A table of the paper: its printed rows, and the measured ones beneath those they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from sigma_bench.results import cell_text, cells, counted, derived, matching, notes, settings_table
from sigma_bench.results.cells import Chosen
from sigma_bench.results.counted import Counted
from sigma_bench.results.matching import System
from sigma_bench.results.published import Published, Value
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import Stack
from sigma_bench.results.table import NOT_RUN, NOTHING, Block, Cell, Head, Line, Table
from sigma_bench.spec.layout import Column, Layout, TableLayout
from sigma_bench.spec.zoo import Entry

FLOORS = "floors: no encoder, the same clips and code"
LONGEST_REASON = 20
"""Characters of a reason that a cell can hold; a longer one stands in a footnote."""
OTHER_PROTOCOL = "sigma-bench protocol: "
"""Begins the heading of lines that no printed value can be compared with."""
OTHER_METRIC = "another metric: "
"""Begins the heading of lines of what the paper does not print."""
NO_METRIC = "-"
"""Of a column under which another metric has no values."""
FACTS = {"dataset": "Data set", "task": "Kind", "eval": "Metric"}

_SYSTEM = attrgetter(*System._fields)
_PLACED = attrgetter(*matching.JOIN, "extra_data", "task", "metric")
"""What decides to which table a row belongs."""
_ELSEWHERE, _COMPARABLE, _FLOOR = "elsewhere", "comparable", "floor"


def build(
    name: str,
    stacks: Sequence[Stack],
    published: Published,
    layout: Layout,
    zoo: Mapping[str, Entry] | None = None,
    counts: Mapping[str, Counted] | None = None,
) -> Table:
    """Return table `name` of the layout with the official ones among the rows, which must be the latest of their keys.

    Where rows were measured, printed systems without one have a line that says why, as far as the `zoo` knows.
    `counts` (task -> what was counted) stand in the table of data set sizes.
    """
    lay = layout.tables[name]
    letter = f" ({name[-1]})" if name[-1] in "ab" else ""
    number = f"Table {lay.number}{letter}" if isinstance(lay.number, int) else f"{lay.number.capitalize()} ({name})"
    table = Table(name, f"{number} of the SIGMA paper" if lay.section != "card" else number, lay.caption, (), ())
    if lay.settings or lay.missing:
        settings_table.fill(table, lay, published)
        return table
    facts = tuple(FACTS.values()) if lay.row_facts else ()
    headings = layout.attribute_headings
    table.attributes = tuple(headings.get(a, a.capitalize()) for a in lay.attributes) + facts
    table.heads = tuple(Head(c.heading, c.key if c.key != "*" else "", c.metric, c.direction) for c in lay.columns)
    table.column_groups = tuple((group.heading, group.span) for group in lay.column_groups)
    _Builder(table, lay, layout, published, zoo or {}, counts or {}).fill(stacks)
    if lay.remarks:
        table.remarks.append(lay.remarks)
    table.letter_footnotes()
    return table


class _Builder:
    def __init__(
        self,
        table: Table,
        lay: TableLayout,
        layout: Layout,
        published: Published,
        zoo: Mapping[str, Entry],
        counts: Mapping[str, Counted],
    ) -> None:
        self.table, self.lay, self.layout, self.published, self.zoo = table, lay, layout, published, zoo
        self.counts = counts if any(found.counts for found in counts.values()) else {}
        self.printed = published.tables.get(table.name, {})
        self.shared = notes.shared(self.printed)
        self.placed: dict[tuple[str, ...], bool] = {}

    def fill(self, stacks: Sequence[Stack]) -> None:
        """Add all blocks: the paper's groups, then what has no printed row, then other protocols."""
        others: dict[str, list[Stack]] = {}
        for stack in self._official(self.lay.columns, stacks):
            others.setdefault(self._place(stack[0]), []).append(stack)
        others.pop(_ELSEWHERE, None)
        comparable, floors = others.pop(_COMPARABLE, []), others.pop(_FLOOR, [])
        measured_here = bool(comparable or floors or others)
        lines = self._measured(comparable, joined=True)
        scopes: dict[str, list[Line]] = {}
        for group in self.lay.groups:
            block = Block(group.label)
            for number in range(group.rows[0], group.rows[1] + 1):
                if number in self.printed:
                    block.lines.append(self._printed_line(self.printed[number]))
                block.lines += lines.pop(number, []) or self._missing(number, measured_here)
            scopes.setdefault("" if self.lay.bold_scope == "table" else group.label, []).extend(block.lines)
            self.table.blocks.append(block)
        if None in lines:
            unmatched = Block("measured here, no published row", lines.pop(None))
            scopes.setdefault("" if self.lay.bold_scope == "table" else unmatched.label, []).extend(unmatched.lines)
            self.table.blocks.append(unmatched)
        if floors:
            self._add(FLOORS, floors, self.lay.columns, scopes)
        for beside in self.lay.beside:
            columns = [
                column.model_copy(update={"metric": beside.metric if beside.of(column.key) else NO_METRIC})
                for column in self.lay.columns
            ]
            self._add(OTHER_METRIC + beside.label, self._of(columns, stacks), columns, scopes)
        for heading, measured in sorted(others.items()):
            self._add(heading, measured, self.lay.columns, scopes)
        self._mark(scopes.values())
        self._remark(measured_here)

    @staticmethod
    def _official(columns: Sequence[Column], stacks: Sequence[Stack]) -> list[Stack]:
        """Return the official rows that some columns ask for."""
        places = {(column.key, column.metric) for column in columns}
        firsts = ((stack[0], stack) for stack in stacks)
        return [stack for row, stack in firsts if row.data == "official" and (row.task, row.metric) in places]

    def _of(self, columns: Sequence[Column], stacks: Sequence[Stack]) -> list[Stack]:
        """Return those of the table's protocol."""
        return [stack for stack in self._official(columns, stacks) if self._stands_for_paper(stack[0])]

    def _add(
        self, label: str, stacks: Sequence[Stack], columns: Sequence[Column], scopes: dict[str, list[Line]]
    ) -> None:
        """Add a block of measured rows that join no printed ones; floors stand last and are never the best."""
        block = Block(label)
        parts = [[stack for stack in stacks if (stack[0].family == matching.FLOOR) == floor] for floor in (False, True)]
        for floor, part in enumerate(parts):
            lines = [line for found in self._measured(part, joined=False, columns=columns).values() for line in found]
            block.lines += lines
            if not floor:
                scopes[label] = lines
        if block.lines:
            self.table.blocks.append(block)

    def _remark(self, measured: bool) -> None:
        """Say under the table what holds for all of it, and how to read measured rows."""
        add = self.table.remarks.append
        if self.shared:
            text = "; ".join(self.shared)
            add(f"{text[:1].upper()}{text[1:]}.")
        if self.lay.row_key == "task":
            if self.counts:
                add("Counted: of the lists on this machine, by sigma-bench data check; in brackets what differs.")
            else:
                add("Nothing was counted here: sigma-bench data check counts the lists of this machine.")
        elif not measured:
            add("Printed values only: no row of these tasks on official data is here (not run).")
        all_cells = [cell for block in self.table.blocks for line in block.lines for cell in line.cells]
        if measured and any(cell.difference is not None for cell in all_cells):
            add("In round brackets: the difference to the printed value of the same system, set above.")
        if any(cell.interval is not None for cell in all_cells):
            add(cell_text.INTERVALS)
        if any(cell.spread is not None for cell in all_cells):
            add("±: sample standard deviation over the n seeds, or sets of weights where a footnote says so.")

    def _place(self, row: Row) -> str:
        """Return where an official row belongs: elsewhere, among the comparable ones or the floors, under a heading."""
        if self._elsewhere(row):
            return _ELSEWHERE
        if self._stands_for_paper(row):
            return _FLOOR if row.family == matching.FLOOR else _COMPARABLE
        return OTHER_PROTOCOL + self._protocol(row)

    def _elsewhere(self, row: Row) -> bool:
        """Return whether the row belongs to another table; asked once for all rows that are alike in this."""
        alike = _PLACED(row)
        if alike not in self.placed:
            self.placed[alike] = matching.elsewhere(row, self.table.name, self.published)
        return self.placed[alike]

    def _stands_for_paper(self, row: Row) -> bool:
        return matching.stands_for_paper(row) and matching.same_views(row, self.lay.views)

    def _protocol(self, row: Row) -> str:
        name = matching.protocol_name(row)
        if state := matching.unfinished(row):
            name += f", unfinished run ({state})" if row.method else ", unfinished runs"
        if matching.same_views(row, self.lay.views):
            return name
        return f"{name}, {matching.views(row)} frames x clips x crops"

    def _mark(self, scopes: Iterable[list[Line]]) -> None:
        """Mark best values apart for printed and for measured rows."""
        if self.lay.bold_scope == "none":
            return
        for lines in scopes:
            for kind in ("published", "measured"):
                for place, column in enumerate(self.lay.columns):
                    if column.bold and column.direction:
                        column_cells = [line.cells[place] for line in lines if line.kind == kind]
                        cells.mark_best(column_cells, column.direction, second=self.lay.underline_second)

    def _label(self, method: str) -> str:
        labels, lay = self.layout.labels.get(method, {}), self.lay
        card = labels.get("card") if lay.section == "card" else None
        return labels.get(self.table.name) or card or labels.get("default") or method

    def _missing(self, number: int, measured: bool) -> list[Line]:
        """Return the line that says why a printed row has no measured one; none where nothing was measured at all."""
        values = self.printed.get(number, ())
        if not values:
            return []
        first, foot = values[0], self.table.footnotes
        if self.lay.row_key == "task":
            found = self.counts.get(first.task)
            metrics = [column.metric for column in self.lay.columns]
            return [] if found is None else [counted.line(found, values, metrics, len(self.table.attributes), foot)]
        if not measured:
            return []
        reason = matching.not_to_be_had(first, self.zoo)
        text, _, detail = reason.partition(" (") if reason else (NOT_RUN, "", "")
        if len(text) > LONGEST_REASON:
            text, detail = "not measurable", reason
        marks = (foot.mark(reason),) if detail else ()
        special = {"method": self._label(first.method), "paper_ref": "", "task": first.task, **self._printed_views()}
        line = Line("missing", self._attributes(first, special, first.params_m), [])
        line.cells = [Cell(text, decimals=column.decimals, marks=marks) for column in self.lay.columns]
        return [line]

    def _printed_views(self) -> dict[str, str]:
        return {"views": self.lay.views or "", "resolution": self.lay.resolution or ""}

    def _printed_line(self, values: tuple[Value, ...]) -> Line:
        first, lay = values[0], self.lay
        letter = f"({lay.row_letters[first.row_order - 1]}) " if lay.row_letters else ""
        special = {"method": letter + self._label(first.method), "paper_ref": first.paper_ref, "task": first.task}
        special |= self._printed_views()
        facts = lay.row_facts.get(first.task, {})
        line = Line("published", (*self._attributes(first, special, first.params_m), *self._facts(facts)), [])
        in_columns = [self._value(values, column) for column in lay.columns]
        for value in in_columns:
            if value is None:
                mark = self.table.footnotes.mark("not given in the paper")
                line.cells.append(Cell(NOTHING, marks=(mark,)))
            else:
                decimals = len(value.value.partition(".")[2])
                line.cells.append(Cell(value.value, value=value.number, decimals=decimals, behind=(value,)))
        notes.put(line, in_columns, lay.attributes, self.shared, self.table.footnotes)
        return line

    def _facts(self, facts: dict[str, str]) -> tuple[str, ...]:
        return tuple(facts.get(fact, NOTHING) for fact in FACTS) if self.lay.row_facts else ()

    def _attributes(self, facts: Row | Value, special: dict[str, str], params_m: str) -> tuple[str, ...]:
        glyphs = self.layout.value_glyphs
        texts = []
        for name in self.lay.attributes:
            if name == "motion_guidance":
                texts.append(glyphs.motion_guidance.get(facts.motion_guidance, glyphs.empty) or glyphs.empty)
            elif name == "params_m":
                texts.append(params_m or glyphs.empty)
            else:
                texts.append((special[name] if name in special else str(getattr(facts, name))) or glyphs.empty)
        return tuple(texts)

    @staticmethod
    def _value(values: Iterable[Value], column: Column) -> Value | None:
        return next((v for v in values if v.metric == column.metric and column.key in ("*", v.task)), None)

    def _measured(
        self, stacks: Sequence[Stack], *, joined: bool, columns: Sequence[Column] | None = None
    ) -> dict[int | None, list[Line]]:
        """Return printed row number (None: no such row) -> measured lines that belong there."""
        columns = self.lay.columns if columns is None else columns
        systems: dict[tuple[str, ...], list[Stack]] = {}
        places: dict[tuple[tuple[str, ...], str, str], list[Stack]] = {}
        for stack in stacks:
            row = stack[0]
            system = _SYSTEM(row)
            systems.setdefault(system, []).append(stack)
            places.setdefault((system, row.task, row.metric), []).append(stack)
        chosen = {
            system: [cells.choose(places.get((system, c.key, c.metric), ())) for c in columns] for system in systems
        }
        against = [cells.reference(c[place] for c in chosen.values()) for place in range(len(columns))]
        lines: dict[int | None, list[Line]] = {}
        for system, own in systems.items():
            first = own[0][0]
            number = matching.match(first, self.printed) if joined else None
            printed = self.printed[number] if number is not None else ()
            line = Line("measured", self._measured_attributes(first, printed), [])
            for place, column in enumerate(columns):
                line.cells.append(self._cell(chosen[system][place], against[place], column))
            self._derive(line)
            for place, column in enumerate(columns):
                value = self._value(printed, column)
                self._compare(line.cells[place], value)
            mark = self.table.footnotes.mark(
                f"measured by {'; '.join(sorted({self._measured_by(stack[0]) for stack in own}))}"
            )
            line.marks = {0: (mark,)}
            lines.setdefault(number, []).append(line)
        return lines

    def _cell(self, chosen: Chosen, against: cells.Conditions | None, column: Column) -> Cell:
        if column.metric == NO_METRIC:
            return Cell(NOTHING)
        return cells.cell(chosen, against, self.table.footnotes, decimals=column.decimals, paper=True)

    def _measured_attributes(self, row: Row, printed: Sequence[Value]) -> tuple[str, ...]:
        unsaid = [
            f"{getattr(row, fact)} epochs" if fact == "epochs" else str(getattr(row, fact))
            for fact in ("backbone", "pretrain_data", "epochs", "variant")
            if fact not in self.lay.attributes and getattr(row, fact) and not (printed and getattr(printed[0], fact))
        ]
        label = f"{row.system} (measured{'; ' if unsaid else ''}{', '.join(unsaid)})"
        params = "" if row.params_m is None else f"{row.params_m:.0f}"
        special = {"method": label, "paper_ref": "", "task": row.task, "views": matching.views(row), "resolution": ""}
        return self._attributes(row, special, params)

    @staticmethod
    def _measured_by(row: Row) -> str:
        return f"{matching.protocol_name(row)}, task version {row.task_version}"

    @staticmethod
    def _compare(cell: Cell, value: Value | None) -> None:
        if cell.value is None or value is None:
            return
        cell.published = value.number
        if not cell.limited:
            cell.difference = round(cell.value, cell.decimals) - value.number

    def _derive(self, line: Line) -> None:
        """Fill the mean over the other columns, errors counted as 100 x (1 - error); it needs all of them."""
        for place, column in enumerate(self.lay.columns):
            if column.derived is None or line.cells[place].value is not None:
                continue
            others = [i for i, other in enumerate(self.lay.columns) if other.derived is None]
            made = derived.mean_of(
                [self.lay.columns[i] for i in others], [line.cells[i] for i in others], column, self.table.footnotes
            )
            if made is not None:
                line.cells[place] = made
