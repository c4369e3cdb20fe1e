r"""A row as one physical line of CSV, with a checksum: what was torn or edited by hand is told from what was written.

Line breaks inside a value are written as `\n`, `\r` (and the backslash as two), so no value spans two lines and a
line that was cut off spoils none of its neighbours. The last column, `check`, is a hash over the other cells.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import _lru_cache_wrapper, lru_cache
from itertools import compress
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sigma_bench.contracts import UserError
from sigma_bench.results.row import LONGEST_TEXT, SCHEMA_VERSION, Row

CHECK = "check"
COLUMNS = tuple(Row.model_fields)
HEADER = (*COLUMNS, CHECK)
FIRST = COLUMNS[0]
LONGEST_CELL = 100_000
_JSON = {"selection", "marks", "artifacts"}
_NUMBERS = {
    *("schema_version", "params_m", "family_guessed", "task_version", "train_count", "train_present", "test_count"),
    *("value", "value_missing_wrong", "interval_low", "interval_high", "seed", "n_expected", "n_present", "n_decoded"),
    *("limit", "seconds", "step", "steps"),
}
_TEXT = set(COLUMNS) - _JSON - _NUMBERS
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PLAIN = {escaped: character for character, escaped in _ESCAPES.items()}


class Damage(Exception):
    """Why a line is not a row."""


def checksum(names: Sequence[str], cells: Sequence[str]) -> str:
    """Return the hash of a line's cells (the check itself left out) together with their column names."""
    pairs = [[name, cell] for name, cell in zip(names, cells, strict=True) if name != CHECK]
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()[:12]


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in _JSON:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return re.sub(r"[\\\n\r]", lambda match: _ESCAPES[match[0]], value) if isinstance(value, str) else repr(value)


def _joined(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def header() -> bytes:
    """Return the line that names the columns."""
    return _joined(HEADER)


def encode(row: Row) -> bytes:
    """Return the line of a row, its line break included.

    Raises:
        UserError: A cell is so long that no reader of CSV would take it back.
    """
    content = Row.model_validate(row.model_dump(warnings=False)).model_dump(
        mode="json"
    )  # also what `model_copy` changed
    cells = [_cell(name, content[name]) for name in COLUMNS]
    for name, cell in zip(COLUMNS, cells, strict=True):
        if len(cell) > LONGEST_CELL:
            raise UserError(
                f"row of {row.task}: column {name} has {len(cell)} characters, the most is {LONGEST_CELL}; write it to "
                "a file and name the file in artifacts"
            )
    return _joined([*cells, checksum(COLUMNS, cells)])


def split(line: bytes) -> list[str]:
    """Return the cells of a line.

    Raises:
        Damage: The line is not UTF-8 or its quotes do not close.
    """
    try:
        cells = next(csv.reader([line.removesuffix(b"\r").decode("utf-8")], strict=True), [])
    except UnicodeDecodeError as error:
        raise Damage(f"not UTF-8: {error}") from error
    except csv.Error as error:
        raise Damage(f"not CSV: {error}") from error
    return cells


def decode(names: Sequence[str], cells: Sequence[str]) -> Row:
    """Return the row whose columns `names` hold `cells`; columns unknown to this version are left out.

    Raises:
        Damage: Cells are missing or too many, the check fails, or a value does not fit its column.
    """
    return row_of(named(names, cells))


def named(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return the cells of a line by the names of their columns, the check verified.

    A line says by its check which columns it was written under: where it does not stand under its own header, but
    fits this version's columns, it is read by these.

    Raises:
        Damage: Cells are missing or too many, the check fails, or a newer version wrote the line.
    """
    own = len(cells) == len(HEADER) and cells[-1] == checksum(HEADER, cells)
    if own:
        names = HEADER
    elif not names:
        raise Damage("no header above this line")
    elif len(cells) != len(names):
        raise Damage(f"{len(cells)} cells under {len(names)} columns (torn or edited)")
    by_name = dict(zip(names, cells, strict=True))
    if not own and CHECK in by_name and by_name[CHECK] != checksum(names, cells):
        raise Damage("the check does not fit the line (torn or edited by hand)")
    schema = by_name.get(FIRST, "")
    if re.fullmatch("[0-9]{1,9}", schema) and int(schema) > SCHEMA_VERSION:
        raise Damage(f"written by a newer version of sigma-bench (schema {schema}, known {SCHEMA_VERSION})")
    return by_name


def row_of(by_name: Mapping[str, str]) -> Row:
    """Return the row of cells by the names of their columns; where a column is absent its default holds.

    Raises:
        Damage: A value does not fit its column, or they contradict each other.
    """
    try:
        row = Row.of_valid({name: read(by_name.get(name)) for name, read in READ.items()})
        if not row.incoherence():
            return row
    except (ValueError, RecursionError):
        pass  # said below, by the whole row's validation
    if not by_name.get("measured_at"):
        raise Damage("measured_at: no such column above this line, and it tells which of two rows counts")
    present = [name for name in COLUMNS if name in by_name and (name in _TEXT or by_name[name] != "")]
    try:
        return Row.model_validate({name: _value(name, by_name[name]) for name in present})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        raise Damage(f"{where}: {first['msg']}, found {str(by_name.get(where, ''))[:80]!r}") from error
    except (ValueError, RecursionError) as error:
        raise Damage(f"not a value: {error}") from error


def _kind(name: str) -> Any:
    field = Row.model_fields[name]
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _validator(kind: Any) -> Callable[[Any], Any]:
    return TypeAdapter[Any](kind, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python


def _reader(name: str) -> _lru_cache_wrapper[Any]:
    """Return the function from a cell to the validated value of column `name`; it remembers what it has read.

    Most cells of a column are like others, so validating each different one once costs a tenth of validating rows.
    """
    field = Row.model_fields[name]
    validate = _validator(_kind(name))

    def read(cell: str | None) -> Any:
        if cell is None or (cell == "" and name not in _TEXT):
            if field.is_required() or field.default_factory is not None:
                raise ValueError(f"no {name}")
            return field.default
        return validate(_value(name, cell))

    return lru_cache(256 if name in _JSON else 4096)(read)


def read_all(name: str, cells: Sequence[str]) -> list[Any]:
    """Return the validated values of cells of one column.

    Raises:
        ValueError: One does not fit the column.
    """
    held = [bool(cell) or name in _TEXT for cell in cells]
    values = iter(_READ_ALL[name]([_value(name, cell) for cell in compress(cells, held)]))
    return [next(values) if there else READ[name](cell) for there, cell in zip(held, cells, strict=True)]


def known(name: str, cells: Sequence[str]) -> list[Any]:
    r"""Return the values of cells that were validated before; most text and JSON needs no more than to be spelled out.

    Validation changes what is too long for a message, and lone surrogates, which JSON spells as `\ud800`.
    """
    if name not in _TEXT | _JSON:
        return list(map(READ[name].__wrapped__, cells))
    read = READ[name].__wrapped__
    changed = _SURROGATE.search if name in _JSON else lambda cell: len(cell) > LONGEST_TEXT
    found: list[Any] = [read(cell) if not cell or changed(cell) else _value(name, cell) for cell in cells]
    return [tuple(value) for value in found] if name == "marks" else found


def _value(name: str, cell: str) -> object:
    if name in _JSON:
        return _DECODER.decode(cell)
    if name in _TEXT:
        return cell if "\\" not in cell else re.sub(r"\\[\\nr]", lambda match: _PLAIN[match[0]], cell)
    if cell in ("true", "false"):
        return cell == "true"
    return int(cell) if re.fullmatch(r"-?\d{1,30}", cell) else float(cell)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
READ = {name: _reader(name) for name in COLUMNS}
"""Column -> the function from its cell (None: the column is absent) to the validated value."""
_READ_ALL = {name: _validator(list[_kind(name)]) for name in COLUMNS}  # type: ignore[misc]
