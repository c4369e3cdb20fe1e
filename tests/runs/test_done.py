"""A measurement is done as long as no more files are there than when it was made."""

from types import SimpleNamespace

import pytest

from sigma_bench.data.index import Index, Sample
from sigma_bench.evaluators.samples import Lists
from sigma_bench.runs.done import done


@pytest.fixture
def lists(tmp_path):
    """Three training samples of which two are there, two test samples of which one is there."""
    for name in ("a", "b", "d"):
        (tmp_path / name).write_bytes(b"x")

    def index(split, names):
        return Index.build("set", split, tmp_path, ["x"], [Sample(n, n, 0, n) for n in names])

    return Lists(index("train", "abc"), index("test", "de"))


@pytest.mark.parametrize(
    ("test", "train", "stands"),
    [(1, 2, True), (0, 2, False), (1, 1, False), (2, 3, True), (1, None, True), (0, None, False)],
)
def test_a_row_stands_while_no_more_files_are_there(lists, test, train, stands):
    row = SimpleNamespace(n_present=test, train_present=train)  # None: a row of a version that did not count
    store = SimpleNamespace(value=lambda key: row)
    assert done(store, None, lists) is (row if stands else None)


def test_what_has_no_value_is_not_done(lists):
    assert done(SimpleNamespace(value=lambda key: None), None, lists) is None
