"""Which measurements need not be made again."""

from __future__ import annotations

from sigma_bench.data.index import Index
from sigma_bench.evaluators.samples import Lists
from sigma_bench.results.row import Key, Row
from sigma_bench.results.store import Store


def done(store: Store, key: Key, lists: Lists) -> Row | None:
    """Return the row that holds the value of `key`; None where there is none, or where files have come since.

    A value measured while files were missing stands as long as no more of either list are there than then. Files that
    were damaged and are sound now are not noticed.
    """
    row = store.value(key)
    if row is None or present(lists.test) > row.n_present:
        return None
    if row.train_present is None or lists.training is None:
        return row
    return None if present(lists.training) > row.train_present else row


def present(index: Index) -> int:
    """Return of how many samples the file is there."""
    return index.count - len(index.missing())
