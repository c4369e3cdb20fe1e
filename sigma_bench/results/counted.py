"""What was counted of the lists of a task, beside the sizes the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sigma_bench.results.published import Value
from sigma_bench.results.table import NOTHING, Cell, Footnotes, Line

NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Counted:
    """What a check of the data found for one task.

    Attributes:
        data_set: Name of the data set, as `sigma-bench data check` takes it.
        counts: Metric of the published row (`classes`, `finetuning_samples`, `testing_samples`) -> count; empty: not
            checked yet.
        notes: Metric -> what a reader of the count must know.
    """

    data_set: str
    counts: Mapping[str, int]
    notes: Mapping[str, str]


def line(found: Counted, printed: Sequence[Value], metrics: Sequence[str], width: int, foot: Footnotes) -> Line:
    """Return the line beneath a printed one.

    Args:
        found: What was counted.
        printed: Values of the printed line.
        metrics: Metrics of the columns.
        width: Number of attributes.
        foot: Takes the footnotes.
    """
    name = f"{found.data_set} (counted)" if found.counts else found.data_set
    attributes = (name, *[NOTHING] * (width - 1))
    made = Line("measured" if found.counts else "missing", attributes, [])
    for metric in metrics:
        count = found.counts.get(metric)
        if count is None:
            made.cells.append(Cell(NOTHING if found.counts else NOT_CHECKED))
            continue
        published = next((value.number for value in printed if value.metric == metric), None)
        cell = Cell(str(count), value=float(count), decimals=0, published=published)
        cell.difference = None if published is None else count - published
        if note := found.notes.get(metric):
            cell.marks = (foot.mark(note),)
        made.cells.append(cell)
    return made
