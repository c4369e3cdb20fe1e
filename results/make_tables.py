"""Draw all tables from a folder of row files: python results/make_tables.py results/rows [--out results/tables].

The same as `sigma-bench tables`; it is here to show how little it takes, and to be changed for other folders.
"""

import argparse
import sys
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.results.tables import write_all
from sigma_bench.runs.counted import counted
from sigma_bench.spec import load

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Write the tables and name the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="folder that holds the row files (<suite>.csv)")
    parser.add_argument("--out", type=Path, default=HERE / "tables")
    parser.add_argument("--format", nargs="+", default=["md", "tex", "csv", "html"], help="md, tex, csv, html, png")
    parser.add_argument("--table", nargs="+", help="for example: 1 T6a card miniature; default: all")
    given = parser.parse_args()
    try:
        if not any(given.rows.glob("*.csv")):
            raise UserError(f"{given.rows}: no row files here; expected a folder that holds <suite>.csv")
        written = write_all(
            given.rows,
            given.out,
            given.format,
            given.table,
            published_dir=HERE / "published",
            zoo=load.zoo().entries,
            counts=counted(),
        )
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
