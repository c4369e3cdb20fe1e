"""Draw the tables from the rows: a few lines over `sigma_bench.results`."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.results import tables as results
from sigma_bench.runs.counted import counted
from sigma_bench.spec import load, roots


def tables(rows: Path, out: Path, formats: list[str], only: list[str] | None) -> list[str]:
    """Write the tables and return lines for a person: the text of the Markdown ones, and each file.

    Tables of miniature rows are drawn whatever is asked for: they stand apart from those of the paper.
    """
    only = None if only is None else list(dict.fromkeys([*only, results.MINIATURE]))
    published = roots.find("published", "published.csv").parent
    zoo, counts = load.zoo().entries, counted()
    written = results.write_all(rows, out, formats, only, published_dir=published, zoo=zoo, counts=counts)
    lines = [path.read_text(encoding="utf-8") for path in written if path.suffix == ".md"]
    lines += [f"written: {path}" for path in written]
    if not any(rows.glob("*.csv")):
        lines.append(f"no row files in {rows}: printed values only")
    if written and written[-1].name == results.PROBLEMS:
        unread = len(written[-1].read_text(encoding="utf-8").splitlines()) - 1
        lines.append(
            f"{unread} lines of the row files could not be read and stand in no table; {written[-1]} names them"
        )
    return lines
