"""Many lines of a row file at once, column by column: each different cell of a column is read once.

It takes a fraction of the time of reading line by line (`benchmarks/results.py`). What is not sound is refused as a
whole; `reading` then reads it in parts, and at last line by line, which says what is wrong where.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from csv import field_size_limit
from hashlib import sha256
from itertools import repeat
from json.encoder import encode_basestring
from operator import eq
from typing import Any

import pyarrow as arrow
import pyarrow.csv as csv
from pyarrow.compute import binary_join_element_wise as joined

from sigma_bench.results import line as lines
from sigma_bench.results.row import Row

_CODED = arrow.dictionary(arrow.int32(), arrow.string())
_AT_ONCE = 5_000
"""Lines whose checks are computed together, which takes 2 kB of memory each."""


def split(text: bytes) -> Any:
    """Return the cells of whole lines as a table: the columns of this version, each different cell once, and checks.

    Raises:
        Damage: A line is no CSV, has another number of cells, or its check does not fit.
    """
    if text.startswith(BOM_UTF8):
        raise lines.Damage("a mark of the order of bytes, which pyarrow would leave out")
    if text.count(b"\r") != text.count(b"\r\n"):
        raise lines.Damage("a carriage return within a line, at which pyarrow would end it")
    kinds = dict.fromkeys(lines.COLUMNS, _CODED) | {lines.CHECK: arrow.string()}
    try:
        table = csv.read_csv(
            arrow.py_buffer(text),
            csv.ReadOptions(column_names=lines.HEADER, block_size=1 << 24),
            csv.ParseOptions(ignore_empty_lines=False),
            csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        )
        if table.num_rows != text.count(b"\n"):
            raise lines.Damage("a cell over several lines, or a line over none")
        table = table.unify_dictionaries()
        sound = _sound(table)
    except arrow.ArrowException as error:  # no CSV, or more than an array holds
        raise lines.Damage(str(error)) from error
    if not sound:
        raise lines.Damage("a check does not fit its line, or a cell is too long")
    return table.drop_columns([lines.CHECK])


def _sound(table: Any) -> bool:
    """Return whether all checks are those of `line.checksum` and no cell is longer than `line.split` takes."""
    spelled, longest = [], field_size_limit()
    for name in lines.COLUMNS:
        cells = table[name].chunk(0).dictionary.to_pylist() if table.num_rows else []
        if any(len(cell) > longest for cell in cells):
            return False
        spelled.append(arrow.array(map(encode_basestring, cells), arrow.string()))

    def fits(batch: Any) -> bool:
        parts: list[Any] = []
        for place, name in enumerate(lines.COLUMNS):
            parts.append(f"{'], ' if place else '['}[{encode_basestring(name)}, ")
            parts.append(spelled[place].take(batch.column(place).indices))
        texts = joined(*parts, "]]", "")
        checks = batch.column(len(lines.COLUMNS)).to_pylist()
        found = (sha256(text.as_buffer()).hexdigest()[:12] for text in texts)
        return all(map(eq, found, checks))

    with ThreadPoolExecutor() as pool:
        return all(pool.map(fits, table.to_batches(_AT_ONCE)))


def coded(cells: Sequence[Sequence[str | None]]) -> Any:
    """Return such a table of cells that were read line by line; None: the column is absent."""
    turned: Iterable[Sequence[str | None]] = zip(*cells, strict=True) if cells else repeat((), len(lines.COLUMNS))
    columns = [arrow.array(column, arrow.string()).dictionary_encode() for column in turned]
    return arrow.table(columns, names=list(lines.COLUMNS))


def rows(table: Any, read: Callable[[str, list[str]], list[Any]]) -> list[Row]:
    """Return the rows of a table of cells.

    Args:
        table: The cells.
        read: Column, its different cells -> their values.

    Raises:
        ValueError: What `read` raises.
    """
    first: dict[str, Any] = {}
    varied: dict[str, Iterable[Any]] = {}
    for name in lines.COLUMNS:
        column = table[name].combine_chunks()
        values = read(name, column.dictionary.to_pylist())
        places = column.indices
        if column.null_count:
            places = places.fill_null(len(values))
            values.append(lines.READ[name](None))
        first[name] = values[0] if values else None
        if len(values) > 1:
            varied[name] = map(values.__getitem__, places.to_pylist())
    found = []
    own: Iterable[tuple[Any, ...]] = zip(*varied.values(), strict=True) if varied else repeat((), table.num_rows)
    for each in own:
        fields = first.copy()  # most columns are alike in all rows
        fields.update(zip(varied, each, strict=True))
        found.append(Row.of_valid(fields))
    return found
