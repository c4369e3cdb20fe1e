"""The published numbers and settings, read from `results/published/` into typed records."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from sigma_bench.contracts import UserError

Unit = Literal["%", "ratio", "count"]
Record = TypeVar("Record", "Value", "Setting")


@dataclass(frozen=True)
class Value:
    """One printed number with the facts of its row; empty text: not stated there."""

    table: str
    row_order: int
    method: str
    paper_ref: str
    variant: str
    backbone: str
    pretrain_data: str
    epochs: str
    extra_data: str
    motion_guidance: str
    frames: str
    params_m: str
    task: str
    metric: str
    value: str
    """As printed, so that its decimals are kept."""
    unit: Unit
    note: str

    @property
    def number(self) -> float:
        """The value as a number, in `unit`."""
        return float(self.value)


@dataclass(frozen=True)
class Setting:
    """One hyper-parameter: what the paper says, what the released code does, whether they agree."""

    table: str
    config: str
    setting: str
    value: str
    unit: str
    status: Literal["stated", "lost", "absent", "contradicted"]
    code_value: str
    code_ref: str
    agreement: Literal["", "agrees", "differs"]
    note: str


@dataclass(frozen=True)
class Published:
    """All values and settings."""

    values: tuple[Value, ...]
    settings: tuple[Setting, ...]

    @cached_property
    def tables(self) -> dict[str, dict[int, tuple[Value, ...]]]:
        """Table name -> row number -> its values in the order of the columns."""
        found: dict[str, dict[int, tuple[Value, ...]]] = {}
        for value in self.values:
            rows = found.setdefault(value.table, {})
            rows[value.row_order] = (*rows.get(value.row_order, ()), value)
        return found

    def setting(self, table: str, config: str, name: str) -> Setting | None:
        """Return one setting of a table, None where it is not listed."""
        return next((s for s in self.settings if (s.table, s.config, s.setting) == (table, config, name)), None)


def read(folder: Path) -> Published:
    """Return what `published.csv` and `hyperparameters.csv` in `folder` hold.

    Raises:
        UserError: A file is absent, or a line is not as it should be; names file and line.
    """
    return Published(_records(folder / "published.csv", Value), _records(folder / "hyperparameters.csv", Setting))


_ALLOWED: dict[str, dict[str, tuple[str, ...]]] = {
    "Value": {"motion_guidance": ("yes", "no", "n/a", ""), "unit": ("%", "ratio", "count")},
    "Setting": {
        "status": ("stated", "lost", "absent", "contradicted"),
        "agreement": ("", "agrees", "differs"),
    },
}


def _records(file: Path, kind: type[Record]) -> tuple[Record, ...]:
    names = [field.name for field in fields(kind)]
    try:
        with open(file, encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            if header != names:
                raise UserError(f"{file}:1: columns {', '.join(header) or '(none)'}; expected {', '.join(names)}")
            return tuple(_record(file, reader.line_num, kind, names, cells) for cells in reader)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; expected the published values") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not CSV in UTF-8: {error}") from error


def _record(file: Path, line: int, kind: type[Record], names: list[str], cells: list[str]) -> Record:
    if len(cells) != len(names):
        raise UserError(f"{file}:{line}: {len(cells)} cells; expected {len(names)}")
    content: dict[str, str | int] = dict(zip(names, cells, strict=True))
    for name, allowed in _ALLOWED[kind.__name__].items():
        if content[name] not in allowed:
            raise UserError(
                f"{file}:{line}: {name} is '{content[name]}'; expected one of {', '.join(map(repr, allowed))}"
            )
    if kind is Value:
        try:
            content["row_order"] = int(content["row_order"])
            float(content["value"])
        except ValueError as error:
            raise UserError(f"{file}:{line}: row_order or value is no number: {error}") from error
    return kind(**content)  # type: ignore[arg-type]
