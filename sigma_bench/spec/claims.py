"""What the paper says of its own numbers: the schema of `results/published/claims.yaml`.

A row of a table is named by facts of it with commas between them, in any order: its method, variant, backbone,
pretraining data, epochs, and `guided` or `unguided`. `SIGMA-DINO, SSv2, guided` is one row of T2, `800` are several of
T12, `*` are all. A column is named by its task; no column named: all that are not derived from others.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator

from sigma_bench.spec.base import Count, Counts, NonNegative, Positive, Spec, Text, Texts

Printed = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?$")]
"""A number as printed, so that its decimals tell how exact it is."""
Rows = Annotated[Texts, Field(min_length=1)]


class Gain(Spec):
    """The mean over columns of one row's lead over the best of other rows in each column."""

    kind: Literal["gain"]
    table: Text
    of: Text
    over: Rows
    columns: Texts = ()
    wins_only: bool = False
    """Only over the columns where the lead is above zero."""
    printed: Printed | None = None
    tolerance: Positive | None = None
    """Largest distance to `printed`; null: half of its last decimal."""
    above: float | None = None
    """Instead of a printed number: the lead is above this."""

    @model_validator(mode="after")
    def _one_measure(self) -> Gain:
        if (self.printed is None) == (self.above is None):
            raise ValueError("give either printed, the number, or above, the bound of a claim without a number")
        if self.tolerance is not None and self.printed is None:
            raise ValueError("a tolerance belongs to a printed number")
        return self


class Spread(Spec):
    """The smallest and the largest lead of one row over the best of other rows, over columns."""

    kind: Literal["spread"]
    table: Text
    of: Text
    over: Rows
    columns: Texts = ()
    printed: Annotated[tuple[Printed, Printed], Strict(False)]


class Beats(Spec):
    """Each of some rows is better than each of other rows in every column."""

    kind: Literal["beats"]
    table: Text
    of: Rows
    over: Rows
    columns: Texts = ()


class Best(Spec):
    """No other row is better in any column; equal ones may be."""

    kind: Literal["best"]
    table: Text
    of: Text
    among: Rows
    columns: Texts = ()


class Pair(Spec):
    """The lead of a row over another one."""

    table: Text
    of: Text
    over: Text


class Leads(Spec):
    """Several leads that are all above zero; `falling`: and each is larger than the next. Its number is their mean."""

    kind: Literal["leads"]
    pairs: Annotated[tuple[Pair, ...], Strict(False), Field(min_length=2)]
    falling: bool = False


class Place(Spec):
    """One cell."""

    table: Text
    of: Text
    column: Text


class Same(Spec):
    """The second cell of every pair holds the number of the first."""

    kind: Literal["same"]
    pairs: Annotated[tuple[Annotated[tuple[Place, Place], Strict(False)], ...], Strict(False), Field(min_length=1)]
    within: NonNegative = 0.0
    """Largest difference that counts as none, in the unit of the cells."""


class Derived(Spec):
    """The printed number of a derived column follows from the other columns of its row."""

    kind: Literal["derived"]
    table: Text
    of: Text
    column: Text


class Fact(Spec):
    """Rows agree in a printed fact, or all have a certain one."""

    kind: Literal["fact"]
    fact: Literal["epochs", "params_m", "frames", "extra_data"]
    rows: dict[Text, Rows]
    """Table -> rows."""
    value: Text | None = None
    """What they all have; null: whatever it is, all have the same."""


class Present(Spec):
    """A table has the row that is spoken of."""

    kind: Literal["present"]
    table: Text
    of: Text


class Parameters(Spec):
    """The printed millions of parameters are those of linear layers with biases, of the widths that the text states."""

    kind: Literal["parameters"]
    table: Text
    of: Text
    widths: Annotated[Counts, Field(min_length=2)]


class Number(Spec):
    """As many things are named as the text counts."""

    kind: Literal["number"]
    printed: Count
    items: Rows


class Stated(Spec):
    """One number that the paper states in several parts is the same in each."""

    kind: Literal["stated"]
    parts: Annotated[dict[Text, Count], Field(min_length=2)]
    """Where -> what stands there."""


class AnyOf(Spec):
    """A claim that does not say what it compares with: one of the readings holds."""

    kind: Literal["any_of"]
    readings: Annotated[tuple[Gain, ...], Strict(False), Field(min_length=2)]


Test = Annotated[
    Gain | Spread | Beats | Best | Leads | Same | Derived | Fact | Present | Parameters | Number | Stated | AnyOf,
    Field(discriminator="kind"),
]


class Claim(Spec):
    """One comparison; it holds where all its tests do."""

    where: Text
    """Section, and the tables it speaks of."""
    says: Text
    """In words of ours."""
    source: Literal["text", "tables"] = "text"
    """A sentence of the text or a caption; or a number that is printed twice and should be the same."""
    tests: Annotated[tuple[Test, ...], Strict(False), Field(min_length=1)]
    note: Text | None = None
    """What the tables show of it beyond the verdict."""


class Claims(Spec):
    """All claims by name."""

    version: Literal[1]
    claims: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+(-[a-z0-9]+)+$")], Claim], Field(min_length=1)
    ]
