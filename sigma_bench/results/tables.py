"""All tables: regenerated from the published data, the layout and a folder of measured rows."""

from __future__ import annotations

import difflib
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sigma_bench.contracts import UserError
from sigma_bench.results import own, paper, picture, published, render, render_html
from sigma_bench.results.counted import Counted
from sigma_bench.results.parsed import undisturbed
from sigma_bench.results.published import Published
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import Stack, stacked
from sigma_bench.results.store import Store, latest
from sigma_bench.results.table import Table
from sigma_bench.spec import load
from sigma_bench.spec.layout import Layout
from sigma_bench.spec.zoo import Entry

MINIATURE: Final = "miniature"
CUSTOM: Final = "custom"
CARD: Final = "card"
"""Means both tables of the model card."""
PROBLEMS = "problems.txt"
PAGE = "tables.html"


def names(table: int | str, layout: Layout) -> list[str]:
    """Return the tables meant by 1, "1", "T1" or "C1"; 6 means T6a and T6b, "card" the model card's C1 and C2.

    Raises:
        UserError: There is no such table.
    """
    text = str(table).strip()
    if text.lower() == CARD:
        return [name for name, lay in layout.tables.items() if lay.section == CARD]
    wanted = text.upper() if text[:1].isalpha() else f"T{text}"
    found = [name for name in layout.tables if name.upper() == wanted.upper()]
    found = found or [name for name in layout.tables if re.fullmatch(re.escape(wanted) + "[A-Z]", name.upper())]
    if not found:
        near = difflib.get_close_matches(wanted, layout.tables, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(
            f"no table '{text[:40]}'.{hint} Known: {', '.join(layout.tables)}, {CARD}, {MINIATURE}, {CUSTOM}."
        )
    return found


def build(
    table: int | str,
    rows: Iterable[Row],
    published: Published,
    layout: Layout,
    zoo: Mapping[str, Entry] | None = None,
    counts: Mapping[str, Counted] | None = None,
) -> Table:
    """Return one table of the paper with the official ones among `rows` beneath the printed rows.

    Args:
        table: Its name or number.
        rows: All rows read; only the newest of each key counts, other data than official is left to `miniature`.
        published: The printed values.
        layout: How the table is printed.
        zoo: Known checkpoints: tells of which systems there are no weights, and why.
        counts: Task -> what was counted of its lists, beside the printed sizes of the data sets.

    Raises:
        UserError: There is no such table, or the number stands for several.
    """
    found = names(table, layout)
    if len(found) > 1:
        raise UserError(f"'{table}' is {len(found)} tables, {' and '.join(found)}; name one of them")
    return paper.build(found[0], stacked(latest(rows)), published, layout, zoo, counts)


def miniature(rows: Iterable[Row], layout: Layout) -> list[Table]:
    """Return the tables of the rows measured on generated miniatures, one for each folder of tasks."""
    return own.build(stacked(latest(rows)), layout, MINIATURE)


def custom(rows: Iterable[Row], layout: Layout) -> list[Table]:
    """Return the tables of the rows measured on the user's own data, one for each folder of tasks."""
    return own.build(stacked(latest(rows)), layout, CUSTOM)


def build_all(
    only: Sequence[int | str] | None,
    rows: Iterable[Row],
    published: Published,
    layout: Layout,
    zoo: Mapping[str, Entry] | None = None,
    counts: Mapping[str, Counted] | None = None,
) -> list[Table]:
    """Return the tables named in `only` (also `miniature`, `custom`), each once; None: all there are."""
    return build_stacked(only, stacked(latest(rows)), published, layout, zoo, counts)


def build_stacked(
    only: Sequence[int | str] | None,
    stacks: Sequence[Stack],
    published: Published,
    layout: Layout,
    zoo: Mapping[str, Entry] | None = None,
    counts: Mapping[str, Counted] | None = None,
) -> list[Table]:
    """Return what `build_all` does, of the latest rows in their stacks."""
    wanted = list(dict.fromkeys([*layout.tables, MINIATURE, CUSTOM] if only is None else only))
    found: dict[str, Table] = {}
    for one in wanted:
        if one == MINIATURE:
            tables = own.build(stacks, layout, MINIATURE)
        elif one == CUSTOM:
            tables = own.build(stacks, layout, CUSTOM)
        else:
            tables = [paper.build(name, stacks, published, layout, zoo, counts) for name in names(one, layout)]
        found.update({table.name: table for table in tables})
    return list(found.values())


def write_all(
    rows_folder: Path,
    out: Path,
    formats: Sequence[str] = ("md", "tex", "csv"),
    only: Sequence[int | str] | None = None,
    *,
    published_dir: Path,
    layout: Layout | None = None,
    zoo: Mapping[str, Entry] | None = None,
    counts: Mapping[str, Counted] | None = None,
) -> list[Path]:
    """Write the tables to `out/<table>.<format>`, as HTML all to `out/tables.html`, and return the files.

    Args:
        rows_folder: Folder of row files; one that is not there holds no rows.
        out: Made where it is missing; files of the same names are replaced.
        formats: Of `md`, `tex`, `csv`, `html`, `png`.
        only: Names or numbers of tables, `card`, `miniature`, `custom`; None: all.
        published_dir: Folder with `published.csv` and `hyperparameters.csv`; named `published`, with `layout.yaml`,
            unless `layout` is given.
        layout: Instead of the one in `published_dir`.
        zoo: Known checkpoints, for the reasons why a system was not measured; None: no reasons.
        counts: Task -> what was counted of its lists; None: nothing was.

    Returns:
        The files written. Lines of the row files that could not be read are listed in a last one, `problems.txt`.

    Raises:
        UserError: A table or format is unknown, published data cannot be read, `rows_folder` is a file, or `out`.
    """
    for one in formats:
        render.check(one)
    if rows_folder.exists() and not rows_folder.is_dir():
        raise UserError(f"{rows_folder} is a file; expected the folder that holds the row files (<suite>.csv)")
    if rows_folder.resolve() == out.resolve():
        raise UserError(f"{out} holds the row files; a table in CSV beside them would pass for rows: name another")
    if layout is None:
        if published_dir.name != "published" or not (published_dir / "layout.yaml").is_file():
            raise UserError(f"{published_dir}: expected a folder named 'published' that holds layout.yaml")
        layout = load.layout(specs=published_dir.parent)
    with undisturbed():
        rows = Store(rows_folder).read()
        tables = build_all(only, rows, published.read(published_dir), layout, zoo, counts)
    out.mkdir(parents=True, exist_ok=True)
    written = [_write_table(table, out, one) for table in tables for one in formats if one != render.PAGE]
    if render.PAGE in formats:
        written.append(_write(out / PAGE, render_html.render(tables)))
    if rows.problems:
        text = "Lines that could not be read and stand in no table:\n"
        written.append(_write(out / PROBLEMS, text + "".join(f"{problem}\n" for problem in rows.problems)))
    else:
        (out / PROBLEMS).unlink(missing_ok=True)
    return written


def _write_table(table: Table, out: Path, format_: str) -> Path:
    file = out / f"{file_name(table.name)}.{format_}"
    if format_ != render.PICTURE:
        return _write(file, render.render(table, format_))
    draft = file.with_name(f".{uuid.uuid4().hex}.png")
    try:
        picture.draw(table, draft)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return file


def file_name(table: str) -> str:
    """Return a safe file name for a table; the name of a miniature's table comes from its tasks."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", table)[:100]


def _write(file: Path, text: str) -> Path:
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return file
