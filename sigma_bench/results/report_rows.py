"""Rows as data of a page: columns in which each different value stands once, compressed, within a bound."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sigma_bench.results.listing import SHORT
from sigma_bench.results.row import Row, digest_of, key_texts
from sigma_bench.results.stacks import RUN, Stack, stacked

MOST_BYTES: Final = 5_000_000
"""Of the packed rows in a page."""
MOST_GRIDS: Final = 6_000_000
"""Characters of the settings that were chosen, grids included; compressing more takes seconds."""
LONGEST_ERROR: Final = 300
"""Characters of a message where space is short."""
ID: Final = "id"
GRIDS: Final = "the grids of settings that were tried"
FILES: Final = "the names of files, and the ends of long messages"
_NAMES = tuple(Row.model_fields)

Column = dict[str, Any]
"""`v`: the different values; `c`: of each row the number of its value, absent where all rows have one value or each row
its own; `same`: the name of another column with the same numbers, instead of `c`."""


class Packed(NamedTuple):
    """Rows as text of a page, how many of them, and what was left out because of its size."""

    text: str
    kept: int
    left_out: tuple[str, ...]


def pack(content: Any) -> str:
    """Return JSON, compressed (zlib), as base64: no character of it means anything to HTML or to a script."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "backslashreplace"), 6)).decode("ascii")


def unpack(text: str) -> Any:
    """Return what `pack` was given."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def packed(
    rows: Sequence[Row],
    most: int = MOST_BYTES,
    most_grids: int = MOST_GRIDS,
    stacks: Sequence[Stack] | None = None,
) -> Packed:
    """Return all columns of `rows`, the first ones first, in at most `most` bytes.

    What does not fit goes in this order, and is named: grids of settings that were tried, names of files and the ends
    of long messages, the last rows.

    Args:
        rows: In the order in which they are numbered.
        most: Bytes of the text.
        most_grids: Characters of the settings that were chosen, before they are compressed.
        stacks: The same rows in stacks, where they are known.
    """
    columns = _columns(rows, stacked(rows) if stacks is None else stacks)
    grids = _selections(rows, most_grids)
    left_out = [] if grids else [GRIDS]
    columns["selection"] = grids or _scalars(rows)
    text = _text(columns, len(rows))
    if len(text) > most and grids:
        left_out.append(GRIDS)
        columns["selection"] = _scalars(rows)
        text = _text(columns, len(rows))
    if len(text) > most:
        left_out.append(FILES)
        _without_files(columns)
        text = _text(columns, len(rows))
    kept = len(rows)
    while len(text) > most and kept > 1:
        kept = min(kept - 1, int(kept * most / len(text) * 0.95))
        text = _text({name: _cut(column, kept) for name, column in columns.items()}, kept)
    if kept < len(rows):
        left_out.append(f"{len(rows) - kept} of {len(rows)} rows")
    return Packed(text, kept, tuple(left_out))


def unpacked(text: str) -> list[dict[str, Any]]:
    """Return the rows of `packed` as dictionaries."""
    content = unpack(text)
    columns = content["columns"]
    return [{name: _value(columns, name, row) for name in columns} for row in range(content["count"])]


def _value(columns: Mapping[str, Column], name: str, row: int) -> Any:
    column = columns[name]
    codes = columns[column["same"]]["c"] if "same" in column else column.get("c")
    if codes is not None:
        return column["v"][codes[row]]
    return column["v"][row if len(column["v"]) > 1 else 0]


def _text(columns: Mapping[str, Column], count: int) -> str:
    return pack({"count": count, "columns": _linked(columns)})


def _columns(rows: Sequence[Row], stacks: Sequence[Stack]) -> dict[str, Column]:
    """Return all columns but `selection`, which is empty (see `_selections`); rows of a stack are alike in most."""
    if not rows:
        return {name: {"v": []} for name in (*_NAMES, ID)}
    of_row = {id(row): number for number, stack in enumerate(stacks) for row in stack}
    numbers = [of_row[id(row)] for row in rows]
    firsts = [stack[0] for stack in stacks]
    own = [name for name in _NAMES if name in RUN]
    turned = dict(zip(own, zip(*map(attrgetter(*own), rows), strict=True), strict=True))
    columns: dict[str, Column] = {}
    for name in _NAMES:
        if name == "selection":
            columns[name] = {"v": []}
        elif name not in RUN:
            values = list(map(attrgetter(name), firsts))
            distinct, codes = _distinct(values)
            columns[name] = _coded(distinct, list(map(codes.__getitem__, numbers)) if len(distinct) > 1 else [0])
        elif turned[name].count(turned[name][0]) == len(rows):
            columns[name] = {"v": [turned[name][0]]}
        elif name == "artifacts":
            columns[name] = _nested(turned[name], lambda files: tuple(sorted(files.items())))
        else:
            columns[name] = _coded(*_distinct(turned[name]))
    texts = key_texts(firsts)
    keys = zip(numbers, turned["checkpoint_sha256"], turned["seed"], turned["measured_at"], strict=True)
    columns[ID] = {"v": [digest_of(texts[number], *key)[:SHORT] for number, *key in keys]}
    return columns


def _distinct(values: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Return the different values, and of each value its number among them."""
    place = {value: code for code, value in enumerate(dict.fromkeys(values))}
    return list(place), list(map(place.__getitem__, values))


def _selections(rows: Sequence[Row], most: int) -> Column | None:
    """Return the column of chosen settings, None where it is too long to be worth it."""
    length = 0

    def text(content: Any) -> str:
        nonlocal length
        if length > most:
            return ""
        written = json.dumps(content)
        length += len(written)
        return written

    column = _nested([row.selection for row in rows], text)
    return column if length <= most else None


def _scalars(rows: Sequence[Row]) -> Column:
    """Return the column of chosen settings without what is nested in them."""
    plain = [{key: value for key, value in row.selection.items() if not isinstance(value, dict | list)} for row in rows]
    return _nested(plain, lambda content: tuple(content.items()))


def _nested(values: Sequence[Any], key: Callable[[Any], Any]) -> Column:
    """Return the column of values that have no hash, told apart by `key`; the rows of one file share objects."""
    distinct: dict[Any, Any] = {}
    place: dict[Any, int] = {}
    by_object: dict[int, int] = {}
    codes = []
    for value in values:
        code = by_object.get(id(value))
        if code is None:
            what = key(value)
            distinct.setdefault(what, value)
            code = by_object[id(value)] = place.setdefault(what, len(place))
        codes.append(code)
    return _coded(distinct.values(), codes)


def _coded(values: Iterable[Any], codes: list[int]) -> Column:
    distinct = list(values)
    if len(distinct) <= 1:
        return {"v": distinct}
    if len(distinct) == len(codes):
        return {"v": [distinct[code] for code in codes]}
    return {"v": distinct, "c": codes}


def _linked(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns with those numbers left out that another column has, too."""
    found: dict[str, Column] = {}
    for name, column in columns.items():
        twin = next((n for n, other in found.items() if "c" in column and other.get("c") == column["c"]), None)
        found[name] = column if twin is None else {"v": column["v"], "same": twin}
    return found


def _cut(column: Column, count: int) -> Column:
    if "c" not in column:
        return {"v": column["v"][:count] if len(column["v"]) > 1 else column["v"]}
    place: dict[int, int] = {}
    codes = [place.setdefault(code, len(place)) for code in column["c"][:count]]
    return _coded((column["v"][code] for code in place), codes)


def _without_files(columns: dict[str, Column]) -> None:
    columns["artifacts"] = {"v": [{}]}
    errors = [text if len(text) <= LONGEST_ERROR else text[:LONGEST_ERROR] + " [cut]" for text in columns["error"]["v"]]
    columns["error"] = {**columns["error"], "v": errors}
