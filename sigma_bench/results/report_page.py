"""The page of a report as HTML: template, style, scripts and libraries in one file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sigma_bench.results import cell_text, own, report_tables

if TYPE_CHECKING:
    from sigma_bench.results.report import Page
    from sigma_bench.results.table import Cell, Table

HERE: Final = Path(__file__).parent
TEMPLATE: Final = "report.html.j2"
STYLE: Final = "report.css"
LIBRARIES: Final = {
    "d3-7.9.2.min.js": "d3-LICENSE.txt",
    "plot-0.6.17.umd.min.js": "plot-LICENSE.txt",
    "table-core-8.21.3.umd.min.js": "table-core-LICENSE.txt",
}
"""File -> its licence, in the order in which they need each other."""
SCRIPTS: Final = (
    *("data", "elements", "theme", "provenance", "grid", "tables", "explorer"),
    *("charts", "compare", "classes", "curves", "views", "start"),
)
"""The page's own scripts, joined in this order into one."""
STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SEPARATED: Final = re.compile(r"[^/_.,:;=-]{0,24}[/_.,:;=-]*")
LONGEST_NAME: Final = 75
"""Characters of a name that a table shows."""
SOURCE_MAP: Final = "//# sourceMappingURL="


def render(page: Page, numbers: Mapping[int, int], printed: Mapping[int, int], rows: str, content: str) -> str:
    """Return the page.

    Args:
        page: What the template shows.
        numbers: `id` of a row -> its number in `rows`.
        printed: `id` of a printed value -> its number in `content`.
        rows: Packed rows.
        content: Packed data of charts.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    scripts = [*map(_library, LIBRARIES), _own()]

    def behind(cell: Cell) -> tuple[str, str]:
        """Return the attribute of a cell's button: numbers of rows, or that of a printed value."""
        if found := report_tables.behind(cell, numbers):
            return "b", " ".join(map(str, found))
        if found := report_tables.behind(cell, printed):
            return "p", str(found[0])
        return "", ""

    values: dict[str, Any] = {
        "page": page,
        "text": cell_text,
        "titles": own.TITLES,
        "behind": behind,
        "anchor": anchor,
        "breakable": breakable,
        "longest": LONGEST_NAME,
        "number": lambda rows: " ".join(str(numbers[id(row)]) for row in rows),
        "tally": tally,
        "style": Markup((HERE / "templates" / STYLE).read_text(encoding="utf-8")),
        "scripts": [Markup(script) for script in scripts],
        "policy": _policy(scripts),
        "rows": rows,
        "content": content,
    }
    return environment.get_template(TEMPLATE).render(values)


def _visible(value: Any) -> Any:
    """Return text in which characters that steer a terminal or turn the direction of what follows are spelled out."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", value)


def breakable(text: str) -> Markup:
    """Return a name with places at which a line may break; of a very long one its ends, which tell names apart."""
    if len(text) > LONGEST_NAME:
        text = f"{text[: LONGEST_NAME // 3]}…{text[-LONGEST_NAME * 2 // 3 :]}"
    return Markup("<wbr>").join(part for part in SEPARATED.findall(_visible(text)) if part)


def anchor(name: str) -> str:
    """Return a table's name as that of a place in the page; other names have other places."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def tally(table: Table) -> tuple[int, int, int]:
    """Return of a table of measured values how many systems, values and failures it has."""
    lines = [line for block in table.blocks for line in block.lines]
    every = [cell for line in lines for cell in line.cells]
    failed = sum(cell.value is None and bool(cell.behind) for cell in every)
    return len({line.attributes for line in lines}), sum(cell.value is not None for cell in every), failed


def _library(name: str) -> str:
    """Return a library with its licence above it, as it asks for."""
    folder = HERE / "assets"
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    licence = (folder / LIBRARIES[name]).read_text(encoding="utf-8").strip()
    return _harmless(f"/*! {name}\n{licence}\n*/\n" + "\n".join(x for x in lines if not x.startswith(SOURCE_MAP)))


def _own() -> str:
    parts = [(HERE / "templates" / "report" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return _harmless("(() => {\n'use strict';\n" + "\n".join(parts) + "})();\n")


def _harmless(script: str) -> str:
    """Return a script in which nothing ends or begins a script element.

    Raises:
        ValueError: There is such a text in it; our own files and the libraries have none, which a test holds.
    """
    lowered = script.lower()
    if "</script" in lowered or "<!--" in lowered:
        raise ValueError("a script of the page would end its own element")
    return script


def _policy(scripts: list[str]) -> str:
    """Return what the browser may do with the page: run these scripts and show embedded pictures, nothing else."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
