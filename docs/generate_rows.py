"""Write `docs/rows.md`; run it after a change of the columns of a row."""

from pathlib import Path

from sigma_bench.results.row_docs import markdown

if __name__ == "__main__":
    (Path(__file__).parent / "rows.md").write_text(markdown(), encoding="utf-8", newline="\n")
