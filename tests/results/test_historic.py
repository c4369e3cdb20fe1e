"""Row files that earlier versions of the code wrote (`historic/`, by the number of their columns) are still read."""

import shutil
from pathlib import Path

import pytest

from sigma_bench.results import line as lines
from sigma_bench.results.merge import merge
from sigma_bench.results.store import Store, read_file

FILES = sorted((Path(__file__).parent / "historic").glob("*.csv"))
SINCE = {"train_present": 52, "source": 53, "step": 55, "steps": 55}
"""Columns that came later -> the number of columns since."""


def test_there_is_a_file_of_each_version():
    assert [file.stem for file in FILES] == ["columns_51", "columns_52", "columns_53", "columns_55"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_an_earlier_version_wrote_is_read(file):
    names = lines.split(file.read_bytes().split(b"\n", 1)[0])
    assert len(names) == int(file.stem.rpartition("_")[2])
    found = read_file(file)
    assert found.problems == ()
    ok, partial, failed = found
    assert [row.status for row in found] == ["ok", "partial", "failed"]
    assert (ok.value, ok.interval_low, ok.seconds, ok.params_m) == (21.25, 20.0, 1.5, 86.2)
    assert ok.selection == {"rate": 1e-05, "grid": [[1e-05, 21.0], [0.1, 20.5]]}
    assert (ok.marks, ok.artifacts) == (("setting a=1",), {"samples": "samples/x.parquet"})
    assert (partial.seed, partial.limit, partial.n_decoded) == (1, 200, 199)
    assert partial.error == '1 samples not decoded: "a, b": x\ny \\ z'
    assert (failed.value, failed.variant) == (None, "prototypes=1000")
    assert ok.key != partial.key
    for name, since in SINCE.items():
        if len(names) < since:
            assert [getattr(row, name) for row in found] == [lines.READ[name](None)] * 3
        else:
            assert name in names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_new_rows_stand_beneath_those_of_an_earlier_version(file, tmp_path, make_row):
    shutil.copy(file, tmp_path / "linear.csv")
    Store(tmp_path).append("linear", [make_row(seed=9)])
    found = Store(tmp_path).read()
    assert [row.seed for row in found] == [0, 1, 2, 9]
    assert found.problems == ()
    assert (tmp_path / "linear.csv").read_bytes().startswith(file.read_bytes())


def test_files_of_all_versions_are_merged(tmp_path):
    folders = []
    for file in FILES:
        (tmp_path / file.stem).mkdir()
        shutil.copy(file, tmp_path / file.stem / "linear.csv")
        folders.append(tmp_path / file.stem)
    done = merge(folders, tmp_path / "all")
    assert (done.added, done.known, done.conflicts, done.problems) == (3, 9, [], [])
    assert list(Store(tmp_path / "all").read()) == list(read_file(FILES[-1]))
