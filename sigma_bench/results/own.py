"""Tables of measured values alone, one kind of data each: of a folder of tasks, or of a suite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sigma_bench.results import cell_text, cells, derived, matching
from sigma_bench.results.row import Data, Row
from sigma_bench.results.stacks import Stack
from sigma_bench.results.table import NOTHING, Block, Cell, Head, Line, Table
from sigma_bench.spec.layout import Beside, Column, Layout
from sigma_bench.spec.suite import Suite

TITLES: dict[Data, str] = {
    "official": "Official data",
    "miniature": "Miniature (synthetic data; not comparable with the paper)",
    "custom": "Custom data (not comparable with the paper)",
}
FIRST_SYSTEM = "random"


def build(stacks: Sequence[Stack], layout: Layout, data: Data) -> list[Table]:
    """Return one table for each folder of tasks that has rows of `data`; they must be the latest of their keys."""
    families: dict[str, list[Stack]] = {}
    for stack in stacks:
        if stack[0].data == data:
            families.setdefault(stack[0].task.partition("/")[0], []).append(stack)
    return [
        _table(f"{data}_{family}", TITLES[data], f"Tasks of {family}/.", members, layout)
        for family, members in sorted(families.items())
    ]


def suites(stacks: Iterable[Stack], layout: Layout, data: Data, known: Mapping[str, Suite]) -> list[Table]:
    """Return one table for each suite whose tasks have rows of `data`, whichever suite they were measured in.

    A measurement is made once and then skipped by every other suite, so the suite a row names does not tell to which
    it belongs. A suite that no row names is left out where others show all of its tasks that were measured. Rows whose
    tasks are in none stand under the suite that they name. The suite with most measured tasks comes first.
    """
    by_task: dict[str, list[Stack]] = {}
    for stack in stacks:
        if stack[0].data == data:
            by_task.setdefault(stack[0].task, []).append(stack)
    named = {stack[0].suite for members in by_task.values() for stack in members}
    tasks = {name: [task for task in suite.tasks if task in by_task] for name, suite in known.items()}
    found, shown = {}, set[str]()
    for name in sorted(known, key=lambda name: (name not in named, -len(tasks[name]), name)):
        if tasks[name] and (name in named or not shown.issuperset(tasks[name])):
            found[name] = [stack for task in tasks[name] for stack in by_task[task]]
            shown.update(tasks[name])
    for stack in (stack for task, members in by_task.items() if task not in shown for stack in members):
        found.setdefault(stack[0].suite, []).append(stack)
    return [
        _table(f"{data}_suite_{name}", f"Suite {name}", known[name].title if name in known else "", members, layout)
        for name, members in found.items()
    ]


def _table(name: str, title: str, caption: str, stacks: Sequence[Stack], layout: Layout) -> Table:
    places = places_of((stack[0] for stack in stacks), layout)
    followed = _followed(places, layout)
    places += [(column.key, column.metric) for column, _ in followed]
    columns = [_column(task, metric, layout) for task, metric in places]
    short = len({task.partition("/")[0] for task, _ in places}) == 1
    heads = tuple(
        Head(f"{_short(task) if short else task} {metric}", task, metric, column.direction if column else None)
        for (task, metric), column in zip(places, columns, strict=True)
    )
    table = Table(name, title, caption, ("System",), heads)
    asked = set(places)
    shown = [stack for stack in stacks if (stack[0].task, stack[0].metric) in asked]
    for protocol, members in sorted(_protocols(shown).items()):
        block = _block(protocol, members, places, columns, table)
        for column, others in followed:
            _follow(block, column, others, places, table)
        table.blocks.append(block)
    for beside, under, members in _beside(stacks, places, layout):
        for protocol, of in sorted(_protocols(members).items()):
            table.blocks.append(_block(f"{protocol}; {beside.label}", of, under, columns, table))
    counts = {cell.count for block in table.blocks for line in block.lines for cell in line.cells if cell.count}
    if counts:
        n = str(counts.pop()) if len(counts) == 1 else f"{min(counts)} to {max(counts)}, stated where over 1"
        over = "over seeds, or sets of weights where a footnote says so"
        table.remarks.append(f"Mean ± standard deviation {over}; n = {n}.")
    if any(cell.interval for block in table.blocks for line in block.lines for cell in line.cells):
        table.remarks.append(cell_text.INTERVALS)
    return table


def places_of(rows: Iterable[Row], layout: Layout) -> list[tuple[str, str]]:
    """Return (task, metric) of the columns: of an evaluator, those a paper prints for the task, or else all."""
    found = sorted({(row.task, row.evaluator, row.metric) for row in rows})
    printed = {(column.key, column.metric) for table in layout.tables.values() for column in table.columns}
    known = {(task, evaluator) for task, evaluator, metric in found if (task, metric) in printed}
    kept = [(t, m) for t, evaluator, m in found if (t, m) in printed or (t, evaluator) not in known]
    return list(dict.fromkeys(kept))


def _column(task: str, metric: str, layout: Layout) -> Column | None:
    """Return how the paper prints this column, or else any column of this metric."""
    columns = [column for table in layout.tables.values() for column in table.columns if column.metric == metric]
    return next((column for column in columns if column.key == task), columns[0] if columns else None)


def _protocols(stacks: Sequence[Stack]) -> dict[str, list[Stack]]:
    """Return the rows by their protocol; evaluators of one profile that share no task are one protocol."""
    found: dict[str, list[Stack]] = {}
    for stack in stacks:
        found.setdefault(matching.protocol_name(stack[0]), []).append(stack)
    joined: dict[tuple[str, ...], dict[str, list[Stack]]] = {}
    for members in found.values():
        first = members[0][0]
        joined.setdefault((first.profile, *matching.overridden(first)), {}).setdefault(first.evaluator, []).extend(
            members
        )
    protocols: dict[str, list[Stack]] = {}
    for parts in joined.values():
        tasks = [{stack[0].task for stack in members} for members in parts.values()]
        if sum(map(len, tasks)) > len(set().union(*tasks)):
            protocols |= {matching.protocol_name(members[0][0]): members for members in parts.values()}
            continue
        first = next(iter(parts.values()))[0][0]
        name = matching.protocol_name(first).replace(first.evaluator, " and ".join(sorted(parts)), 1)
        protocols[name] = [stack for members in parts.values() for stack in members]
    return protocols


def _followed(places: Sequence[tuple[str, str]], layout: Layout) -> list[tuple[Column, list[Column]]]:
    """Return the columns that follow from others of a printed table which are all there, with these others."""
    found = []
    for printed in layout.tables.values():
        others = [column for column in printed.columns if column.derived is None]
        if all((column.key, column.metric) in places for column in others):
            found += [(column, others) for column in printed.columns if column.derived is not None]
    return found


def _follow(
    block: Block, column: Column, others: Sequence[Column], places: Sequence[tuple[str, str]], table: Table
) -> None:
    """Fill a column that follows from others in every line of a block."""
    place, of = places.index((column.key, column.metric)), [places.index((o.key, o.metric)) for o in others]
    for line in block.lines:
        made = derived.mean_of(others, [line.cells[i] for i in of], column, table.footnotes)
        line.cells[place] = made or line.cells[place]
    if column.direction:
        cells.mark_best([line.cells[place] for line in block.lines], column.direction, second=False)


def _beside(
    stacks: Sequence[Stack], places: Sequence[tuple[str, str]], layout: Layout
) -> Iterator[tuple[Beside, list[tuple[str, str]], list[Stack]]]:
    """Yield the further metrics of the columns' tasks, their places under the columns, and their rows."""
    measured = {(stack[0].task, stack[0].metric) for stack in stacks}
    for printed in layout.tables.values():
        keys = {(column.key, column.metric) for column in printed.columns} & set(places)
        for beside in printed.beside:
            others = [
                (task, beside.metric if (task, metric) in keys and beside.of(task) else "") for task, metric in places
            ]
            if asked := measured.intersection(others):
                yield beside, others, [stack for stack in stacks if (stack[0].task, stack[0].metric) in asked]


def _block(
    protocol: str,
    stacks: Sequence[Stack],
    places: Sequence[tuple[str, str]],
    columns: Sequence[Column | None],
    table: Table,
) -> Block:
    systems: dict[str, dict[tuple[str, str], list[Stack]]] = {}
    floors = set()
    for stack in sorted(stacks, key=lambda stack: (min(row.measured_at for row in stack), _label(stack[0]))):
        row = stack[0]
        name = _label(row)
        if name not in systems:
            systems[name] = {}
            if row.family == matching.FLOOR:
                floors.add(name)
        systems[name].setdefault((row.task, row.metric), []).append(stack)
    ordered = sorted(systems, key=lambda name: (name in floors, not name.startswith(FIRST_SYSTEM)))
    chosen = {name: [cells.choose(systems[name].get(place, ())) for place in places] for name in ordered}
    against = [cells.reference(c[i] for c in chosen.values()) for i in range(len(places))]
    block = Block(f"protocol: {protocol}")
    for name in ordered:
        line = Line("measured", (name,), [])
        for i, column in enumerate(columns):
            if not places[i][1]:
                line.cells.append(Cell(NOTHING))
                continue
            decimals = column.decimals if column else 1
            line.cells.append(cells.cell(chosen[name][i], against[i], table.footnotes, decimals=decimals, paper=False))
        block.lines.append(line)
    for i, column in enumerate(columns):
        if column and column.direction:
            encoders = [line.cells[i] for name, line in zip(ordered, block.lines, strict=True) if name not in floors]
            cells.mark_best(encoders, column.direction, second=False)
    return block


def _short(task: str) -> str:
    return task.partition("/")[2] or task


def _label(row: Row) -> str:
    return f"{row.system} ({row.variant})" if row.variant else row.system
