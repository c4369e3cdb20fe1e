"""The report: everything that was measured as one page that opens from a disk, without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Final, get_args

from sigma_bench.results import own, report_curves, report_page, report_rows, report_samples, report_tables
from sigma_bench.results.parsed import undisturbed
from sigma_bench.results.published import Published
from sigma_bench.results.reading import Problem
from sigma_bench.results.report_curves import Axis, Curve
from sigma_bench.results.report_pictures import Pictures
from sigma_bench.results.report_samples import Samples
from sigma_bench.results.row import Data, Row, Status
from sigma_bench.results.stacks import Stack
from sigma_bench.results.table import Table
from sigma_bench.spec.layout import Layout
from sigma_bench.spec.suite import Suite

KINDS: Final[tuple[Data, ...]] = get_args(Data)
MOST_PROBLEMS: Final = 100
"""Damaged lines that are named."""


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        folder: Folder of the row files, as it was named.
        stacks: The latest row of each key, in stacks.
        superseded: How many other rows there are.
        problems: Lines that could not be read.
        paper: The paper's tables.
        published: The printed values.
        layout: How the tables are printed.
        suites: Known suites by their names.
        curves: Of training runs.
        axes: Their quantities, in order.
        pictures: Embedded pictures.
        weights: Hash of weights -> path of their file, where it is known on this machine.
        notes: What is not there and why, by part of the page (`curves`, `pictures`).
    """

    folder: Path
    stacks: Sequence[Stack]
    paper: Sequence[Table]
    published: Published
    layout: Layout
    suites: Mapping[str, Suite]
    superseded: int = 0
    problems: Sequence[Problem] = ()
    curves: Sequence[Curve] = ()
    axes: Sequence[Axis] = ()
    pictures: Pictures = field(default_factory=Pictures)
    weights: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """The suites of one kind of data."""

    data: Data
    tables: Sequence[Table]
    systems: int
    tasks: int
    rows: int
    failed: int


@dataclass(frozen=True)
class Page:
    """What the template is given beside the packed data."""

    folder: str
    made_at: str
    version: str
    counted: int
    superseded: int
    systems: int
    tasks: int
    failed: int
    partial: int
    paper: Sequence[Table]
    measured: frozenset[str]
    """Names of the paper's tables that hold something measured."""
    kinds: Sequence[Kind]
    absent: Sequence[tuple[str, str]]
    """(part of the page, why there is nothing in it)."""
    problems: Sequence[Problem]
    problem_count: int
    pictures: Pictures
    samples: Samples
    curves: int
    left_out: Sequence[str]


def numbered(material: Material) -> tuple[list[Row], list[Table], list[Kind]]:
    """Return the rows in the order of their numbers, and the tables cut to size: the paper's, and of suites.

    The rows behind drawn cells come first, so that these stay where rows have to go.
    """
    paper = [report_tables.cut(table) for table in material.paper]
    kinds = [_kind(data, material) for data in KINDS]
    first = report_tables.shown(chain(paper, *(kind.tables for kind in kinds)))
    known = {id(row) for row in first}
    others = [row for stack in material.stacks for row in stack if id(row) not in known]
    others.sort(key=attrgetter("measured_at"), reverse=True)
    return [*first, *others], paper, kinds


def render(material: Material, made_at: str, version: str) -> str:
    """Return the page.

    Args:
        material: What it is made of.
        made_at: When, in words.
        version: Of sigma-bench.
    """
    with undisturbed():
        rows, paper, kinds = numbered(material)
        packed = report_rows.packed(rows, stacks=material.stacks)
        samples = report_samples.read(material.folder, rows)
        numbers = {id(row): number for number, row in enumerate(rows)}
        printed = {id(value): number for number, value in enumerate(material.published.values)}
        beside = report_tables.printed_beside(paper)
        units = report_tables.units(material.published)
        every = [*paper, *(table for kind in kinds for table in kind.tables)]
        charts = [report_tables.chart(table, {**numbers, **printed}, beside, units) for table in every]
        content = {
            "columns": [[name, " ".join((f.description or "").split())] for name, f in Row.model_fields.items()],
            "folder": str(material.folder),
            "printed": [asdict(value) for value in material.published.values],
            "charts": {chart["name"]: chart for chart in charts},
            "classes": samples.classes,
            "failed": samples.failed,
            "curves": report_curves.content(material.curves, material.axes),
            "weights": dict(material.weights),
            "left_out": packed.left_out,
        }
        page = Page(
            folder=str(material.folder),
            made_at=made_at,
            version=version,
            counted=len(rows),
            superseded=material.superseded,
            systems=_systems(material.stacks),
            tasks=_tasks(material.stacks),
            failed=_with_status("failed", material.stacks),
            partial=_with_status("partial", material.stacks),
            paper=paper,
            measured=frozenset(t.name for t in paper if _has_measured(t)),
            kinds=[kind for kind in kinds if kind.rows],
            absent=_absent(material, kinds, samples),
            problems=material.problems[:MOST_PROBLEMS],
            problem_count=len(material.problems),
            pictures=material.pictures,
            samples=samples,
            curves=len(material.curves),
            left_out=packed.left_out,
        )
        return report_page.render(page, numbers, printed, packed.text, report_rows.pack(content))


def _kind(data: Data, material: Material) -> Kind:
    here = [stack for stack in material.stacks if stack[0].data == data]
    tables = own.suites(here, material.layout, data, material.suites)
    return Kind(
        data,
        [report_tables.cut(table) for table in tables],
        systems=_systems(here),
        tasks=_tasks(here),
        rows=sum(map(len, here)),
        failed=_with_status("failed", here),
    )


def _systems(stacks: Sequence[Stack]) -> int:
    return len({(stack[0].system, stack[0].variant) for stack in stacks})


def _tasks(stacks: Sequence[Stack]) -> int:
    return len({stack[0].task for stack in stacks})


def _with_status(status: Status, stacks: Sequence[Stack]) -> int:
    return sum(len(stack) for stack in stacks if stack[0].status == status)


def _has_measured(table: Table) -> bool:
    return any(line.kind == "measured" for block in table.blocks for line in block.lines)


def _absent(material: Material, kinds: Sequence[Kind], samples: Samples) -> list[tuple[str, str]]:
    """Return what the page does not have, and why."""
    why: list[tuple[str, str]] = []
    if not material.folder.is_dir():
        why.append(("Rows", f"{material.folder} is no folder"))
    why += [(own.TITLES[kind.data], f"no row of it in {material.folder}") for kind in kinds if not kind.rows]
    if not samples.classes:
        why.append(("Classes", " ".join(samples.notes) or "no row names a file of its samples"))
    for part, notes in material.notes.items():
        why += [(part.capitalize(), note) for note in notes]
    return why
