"""The committed text on rows is what the schema gives, column by column."""

from pathlib import Path

from sigma_bench.results.line import HEADER
from sigma_bench.results.row_docs import markdown


def test_the_committed_file_is_what_is_generated():
    committed = Path(__file__).parents[2] / "docs" / "rows.md"
    assert committed.read_text(encoding="utf-8") == markdown(), "run python docs/generate_rows.py"


def test_every_column_is_told_with_a_meaning():
    lines = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == list(HEADER)
    assert all(len(line.split("|")[2].split()) >= 2 for line in lines)
