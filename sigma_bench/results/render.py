"""A table as text: Markdown, LaTeX (booktabs) or CSV; all tables as one page: HTML."""

from __future__ import annotations

from collections.abc import Callable

from sigma_bench.contracts import UserError
from sigma_bench.results import render_csv, render_latex, render_markdown
from sigma_bench.results.table import Table

FORMATS: dict[str, Callable[[Table], str]] = {
    "md": render_markdown.render,
    "tex": render_latex.render,
    "csv": render_csv.render,
}
PAGE = "html"
"""One file for all tables, see `render_html`."""
PICTURE = "png"


def check(format_: str) -> None:
    """Raise UserError unless `format_` is known."""
    known = (*FORMATS, PAGE, PICTURE)
    if format_ not in known:
        raise UserError(f"unknown table format '{format_}'; expected one of {', '.join(known)}")


def render(table: Table, format_: str) -> str:
    """Return the table as text in the format `md`, `tex` or `csv`.

    Raises:
        UserError: The format is another one.
    """
    if format_ not in FORMATS:
        raise UserError(f"no text format of a single table '{format_}'; expected one of {', '.join(FORMATS)}")
    return FORMATS[format_](table)
