"""The text of `docs/rows.md`: every column of a row, from the schema itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from sigma_bench.results.line import CHECK
from sigma_bench.results.row import Data, Key, Row, Status

HEAD = """# Reading a row

This file is generated from `sigma_bench/results/row.py`: run `python docs/generate_rows.py`.

A number is a line of `results/rows/<suite>.csv`. The line says what was measured, on which lists, by which protocol,
with what, and how far it can be trusted. Three questions answer most doubts:

1. **May it stand in a paper column?** `data` is `official`, `status` is `ok` (or `partial` with at least 99 % decoded),
   `limit` is empty, `profile` is one of the paper's or released code's, no mark begins with `setting`. Tables apply
   this rule themselves, and say in a footnote why a value stands apart.
2. **Why do two rows differ?** `sigma-bench results diff A B` compares every setting, list and version of them.
3. **Is it enough to repeat it?** `settings/<settings_sha256>.yaml` beside the rows is the whole resolved task; with the
   weights of `checkpoint_sha256` and lists of the same hashes it gives the row again.

Lines carry a checksum in their last column: one that was edited by hand is reported and left out. Nothing is ever
overwritten: a newer row of the same key counts, the older one stays. The key is {key}.

Beside the rows: `samples/<row>.parquet` (a record for each test sample: prediction, label or value, the error of one
that could not be decoded) and `settings/`.

## Columns
"""


def markdown() -> str:
    """Return the whole document."""
    key = ", ".join(f"`{name}`" for name in Key._fields)
    return "\n".join([HEAD.format(key=key), "| column | meaning |", "| --- | --- |", *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    for name, field in Row.model_fields.items():
        values = {"data": get_args(Data), "status": get_args(Status)}.get(name, ())
        among = f" One of {', '.join(f'`{value}`' for value in values)}." if values else ""
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{name}` | {text}{among} |"
    yield f"| `{CHECK}` | Of the line: what was edited by hand is told from what was measured. |"
