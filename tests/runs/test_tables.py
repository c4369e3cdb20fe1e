"""What `sigma-bench tables` says beside the tables."""

import pytest

from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs.tables import tables


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))


def test_a_folder_without_rows_is_said(tmp_path):
    lines = tables(tmp_path / "rows", tmp_path / "out", ["md"], ["5"])
    assert lines[-2:] == [
        f"written: {tmp_path / 'out' / 'T5.md'}",
        f"no row files in {tmp_path / 'rows'}: printed values only",
    ]
    assert "## Table 5" in lines[0]


def test_lines_that_could_not_be_read_are_counted(tmp_path):
    row = Row(
        system="x", suite="linear", task="linear/ssv2", task_version=1, evaluator="linear", settings_sha256="5" * 64,
        checkpoint_sha256="a" * 64, metric="top1", value=1.0, data="official", status="ok",
    )  # fmt: skip
    file = Store(tmp_path / "rows").append("linear", [row])
    file.write_bytes(file.read_bytes() + b"torn\nand torn\n")
    lines = tables(tmp_path / "rows", tmp_path / "out", ["html"], ["card"])
    page, problems = tmp_path / "out" / "tables.html", tmp_path / "out" / "problems.txt"
    assert lines == [
        f"written: {page}",
        f"written: {problems}",
        f"2 lines of the row files could not be read and stand in no table; {problems} names them",
    ]
