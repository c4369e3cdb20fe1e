"""How the tables are printed: the schema of `results/published/layout.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator

from sigma_bench.spec.base import Count, Spec, Text, Texts

Label = Annotated[str, StringConstraints(max_length=2000)]
Attribute = Literal[
    "method",
    "paper_ref",
    "variant",
    "backbone",
    "pretrain_data",
    "epochs",
    "extra_data",
    "motion_guidance",
    "frames",
    "params_m",
    "task",
    "resolution",
    "views",
]
Printed = Annotated[tuple[Annotated[tuple[int, str], Strict(False)], ...], Strict(False)]


class Group(Spec):
    """Consecutive rows under one side heading."""

    label: Label
    rows: Annotated[tuple[Count, Count], Strict(False)]
    """First and last row, both included."""

    @model_validator(mode="after")
    def _ordered(self) -> Group:
        if self.rows[0] > self.rows[1]:
            raise ValueError(f"rows {list(self.rows)} run backwards; write [first, last]")
        return self


class ColumnGroup(Spec):
    """Neighbouring columns under one heading."""

    heading: Text
    span: Count


class Column(Spec):
    """One column of values."""

    key: Text
    """The task; `*` in a table whose rows are tasks."""
    metric: Text
    heading: Text
    decimals: Annotated[int, Field(ge=0, le=6)]
    direction: Literal["higher", "lower"] | None = None
    """Which values are better; null where the question makes no sense."""
    bold: bool
    derived: Text | None = None
    """How the column follows from the others; null: it is measured."""


class Beside(Spec):
    """A metric that the paper does not print, measured in the same tasks as a table's columns."""

    metric: Text
    label: Text
    """Heading of its block below the table's own."""
    keys: Texts = ()
    """Columns whose tasks have it; none: all."""

    def of(self, key: str) -> bool:
        """Return whether the task of a column has this metric."""
        return not self.keys or key in self.keys


class TableLayout(Spec):
    """One table: its rows in groups, its columns, and which values are marked as best."""

    number: int | Text
    section: Text
    caption: Text
    attributes: Annotated[tuple[Attribute, ...], Strict(False)] = ()
    """Fields of the published rows printed before the values."""
    groups: Annotated[tuple[Group, ...], Strict(False)] = ()
    column_groups: Annotated[tuple[ColumnGroup, ...], Strict(False)] = ()
    columns: Annotated[tuple[Column, ...], Strict(False)] = ()
    bold_scope: Literal["table", "group", "none"] = "none"
    underline_second: bool = False
    printed_bold: Printed = ()
    """(row, column key) of the values that are bold in print."""
    printed_underline: Printed = ()
    row_letters: Texts = ()
    row_key: Literal["task"] | None = None
    """`task`: each row is a task and each column one of its facts."""
    beside: Annotated[tuple[Beside, ...], Strict(False)] = ()
    """Further metrics of the columns' tasks, each in a block of its own, measured rows only."""
    row_facts: dict[str, dict[str, Text]] = {}
    resolution: Text | None = None
    """Size of the input, the same for all rows; printed as the attribute `resolution`."""
    views: Text | None = None
    """Frames x clips x crops of a test sample, the same for all rows; printed as the attribute `views`."""
    remarks: Label = ""
    missing: bool = False
    """The table is not in the text version of the paper."""
    settings: bool = False
    """The table holds settings: `configs` are its columns and `rows` its rows, both in hyperparameters.csv."""
    configs: Texts = ()
    rows: Texts = ()

    @model_validator(mode="after")
    def _complete(self) -> TableLayout:
        if self.missing:
            return self
        if self.settings:
            if not self.configs or not self.rows:
                raise ValueError("a table of settings needs configs and rows")
            return self
        if not (self.attributes and self.groups and self.columns):
            raise ValueError("a table of values needs attributes, groups and columns")
        covered = [row for group in self.groups for row in range(group.rows[0], group.rows[1] + 1)]
        if covered != list(range(1, len(covered) + 1)):
            raise ValueError(f"groups cover the rows {covered}; expected each row once, from 1 on")
        if self.column_groups and sum(group.span for group in self.column_groups) != len(self.columns):
            raise ValueError(f"column_groups do not span the {len(self.columns)} columns")
        strangers = {key for beside in self.beside for key in beside.keys} - {column.key for column in self.columns}
        if strangers:
            raise ValueError(f"beside names the columns {', '.join(sorted(strangers))}, which the table has not")
        if self.bold_scope != "none" and any(column.bold and column.direction is None for column in self.columns):
            raise ValueError("a column whose best values are marked needs a direction")
        return self


class ValueGlyphs(Spec):
    """What stands for values that are not printed as they are."""

    motion_guidance: dict[str, Label]
    empty: Text


class Layout(Spec):
    """All tables."""

    version: Literal[1]
    labels: dict[str, dict[str, Text]]
    """Method -> {table name, `card` or `default`: the name printed there}."""
    attribute_headings: dict[str, Text]
    value_glyphs: ValueGlyphs
    tables: dict[str, TableLayout]
