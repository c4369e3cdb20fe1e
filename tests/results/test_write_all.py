"""All tables as files."""

import csv

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import tables
from sigma_bench.results.store import Store
from sigma_bench.spec import load


def test_write_all(tmp_path, measured, published_dir):
    Store(tmp_path / "rows").append("linear", [measured(), measured(data="miniature", evaluator="linear")])
    with open(tmp_path / "rows" / "linear.csv", "ab") as stream:
        stream.write(b"torn")
    written = tables.write_all(tmp_path / "rows", tmp_path / "out", ["md", "csv"], [1, "6", "miniature"],
                               published_dir=published_dir)  # fmt: skip
    names = ["T1.md", "T1.csv", "T6a.md", "T6a.csv", "T6b.md", "T6b.csv", "miniature_linear.md", "miniature_linear.csv"]
    assert [path.name for path in written] == [*names, "problems.txt"]
    assert "linear.csv:4: " in (tmp_path / "out" / "problems.txt").read_text(encoding="utf-8")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)
    tables.write_all(tmp_path / "none", tmp_path / "out", ["md"], ["1"], published_dir=published_dir)
    assert not (tmp_path / "out" / "problems.txt").exists()


def test_write_all_of_everything_without_rows(tmp_path, published_dir):
    written = tables.write_all(tmp_path / "none", tmp_path / "out", published_dir=published_dir)
    assert len(written) == 3 * len(load.layout().tables)
    with open(tmp_path / "out" / "T1.csv", encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 36
    assert (lines[-1]["Method"], lines[-1]["value"], lines[-1]["best"]) == ("sigma w/ DINO", "66.7", "best")


def test_write_all_refuses_what_it_cannot_do(tmp_path, published_dir):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="format 'docx'; expected one of md, tex, csv, html, png"):
        tables.write_all(tmp_path, tmp_path / "out", ["docx"], published_dir=published_dir)
    with pytest.raises(UserError, match="is a file"):
        tables.write_all(tmp_path / "file", tmp_path / "out", published_dir=published_dir)
    with pytest.raises(UserError, match="holds the row files"):
        tables.write_all(tmp_path / "out", tmp_path / "out", ["csv"], published_dir=published_dir)
    with pytest.raises(UserError, match=r"layout\.yaml"):
        tables.write_all(tmp_path, tmp_path / "out", published_dir=tmp_path)
    with pytest.raises(UserError, match="no table 'T77'"):
        tables.write_all(tmp_path, tmp_path / "out", ["md"], ["T77"], published_dir=published_dir)
    assert not (tmp_path / "out").exists()
