"""All tables as one page for a browser: self-contained, without scripts, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sigma_bench.results import cell_text
from sigma_bench.results.table import Table

TEMPLATE = "tables.html.j2"


def render(tables: Sequence[Table]) -> str:
    """Return the page; all text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(tables=tables, text=cell_text)
