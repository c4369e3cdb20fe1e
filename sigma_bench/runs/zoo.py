"""The known checkpoints in words: one line each for `sigma-bench list zoo`, and the text of `docs/zoo.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sigma_bench.results import matching, published
from sigma_bench.results.published import Published
from sigma_bench.runs.fetch import PREFIX
from sigma_bench.spec import load, roots
from sigma_bench.spec.zoo import Entry, Source

NO_SYSTEMS = ("SEVERE",)
"""Methods of published rows that name data sets."""

HEAD = """# The zoo

This file is generated: change `eval/zoo.yaml` and run `python docs/generate_zoo.py`.

Every system of the paper's tables is here, with where its weights were published or why there are none to evaluate. The
rows of T8 are left out: they are data sets of the SEVERE benchmark. Nothing is redistributed.

- `sigma-bench eval --ckpt NAME` fetches what lies at Hugging Face into the hub's own cache (`HF_HOME` moves it), checks
  size and SHA-256 where they are known, and refuses another file. The commit stands in every row (column `source`).
- A short name stands for the checkpoint that T1, T4 and T5 compare: {short}.
- What lies on other pages is got by hand: place it anywhere and give `--ckpt NAME=FILE`, several of them if there are
  several, or `--ckpt FILE --as NAME --family FAMILY` for one that should be read otherwise than the entry says. The
  file the command would have fetched can be placed so too, where there is no network.
- Any other weights at the hub: `--ckpt hf://OWNER/NAME/FILE`, `hf://OWNER/NAME` for a folder of transformers, either
  with `@REVISION`.
- `verified: golden` says that features of the family's own code are reproduced by golden vectors, `verified: none` that
  the reading was written from public descriptions alone; rows and tables then carry that mark. No released file was
  opened yet, which would be `verified: released file`.

Links were found in stored copies of the repositories and not tried. A size or SHA-256 that is not given is not known.
"""


def listing(specs: Path | None = None) -> list[str]:
    """Return one line an entry: name, family, backbone, data, epochs, how far it is verified, where it lies."""
    lines = [_facts(name, entry) for name, entry in load.zoo(specs=specs).entries.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def rows_of(entry: Entry, known: Published) -> list[str]:
    """Return the published rows whose system the entry is, as "T1 row 4"."""
    found = ((table, matching.match(entry, rows)) for table, rows in known.tables.items())
    return [f"{table} row {number}" for table, number in found if number is not None]


def without_entry(entries: Mapping[str, Entry], known: Published) -> list[str]:
    """Return the rows of published systems that fit no entry, as "T1 row 4: MVD"."""
    return [
        f"{table} row {number}: {values[0].method}"
        for table, rows in known.tables.items()
        for number, values in rows.items()
        if values[0].method not in NO_SYSTEMS and not any(matching.fits(entry, values[0]) for entry in entries.values())
    ]


def markdown() -> str:
    """Return the whole document."""
    zoo = load.zoo()
    entries = zoo.entries
    known = published.read(roots.find("published", "published.csv").parent)
    sections = ("\n".join(_section(name, entry, known)) for name, entry in entries.items() if entry.sources)
    short = ", ".join(f"`{name}` for `{entry}`" for name, entry in zoo.short.items())
    return "\n".join([HEAD.format(short=short), *sections, *_wanted(entries, known)]) + "\n"


def _facts(name: str, entry: Entry) -> tuple[str, ...]:
    where = "; ".join(_place(source) for source in entry.sources) or f"wanted: {entry.wanted}"
    data = entry.pretrain_data + (f" {entry.variant}" if entry.variant else "")
    told = (entry.family or "-", entry.backbone, data, entry.epochs or "-", f"verified: {entry.verified}")
    return name, *told, where


def _place(source: Source) -> str:
    return f"{PREFIX}{source.repo}/{source.path}" if source.host == "huggingface" else source.url


def _section(name: str, entry: Entry, known: Published) -> Iterator[str]:
    yield f"## `{name}`"
    yield ""
    guided = {"yes": ", motion-guided masks", "no": ""}.get(entry.motion_guidance, "")
    epochs = f", {entry.epochs} epochs" if entry.epochs else ""
    extra = f", extra data {entry.extra_data}" if entry.extra_data else ""
    data = f"{entry.pretrain_data}{epochs}{extra}{guided}"
    yield f"{entry.system}: {entry.method} {entry.backbone}, pretrained on {data}."
    yield ""
    yield f"- Read as: family `{entry.family}`, {entry.heads} heads, {entry.frames} frames; verified: {entry.verified}"
    for source in entry.sources:
        family = f", read as `{source.family}`" if source.family else ""
        size = f", {source.bytes:,} bytes" if source.bytes else ""
        fetched = "Fetched" if source.host == "huggingface" else "Get"
        yield f"- {fetched}: <{source.url}>{family}{size}"
        if source.sha256:
            yield f"  SHA-256 `{source.sha256}`"
    yield f"- Licence: {entry.licence}"
    yield f"- Published rows: {', '.join(rows_of(entry, known))}"
    if entry.note:
        yield f"- Note: {entry.note}"
    yield ""


def _wanted(entries: Mapping[str, Entry], known: Published) -> Iterator[str]:
    yield from ("## Wanted", "", "Where others of a table were measured, these have a line that gives the reason.", "")
    yield from ("| name | system | published rows | why |", "| --- | --- | --- | --- |")
    for name, entry in entries.items():
        if entry.wanted is not None:
            yield f"| `{name}` | {entry.system} | {', '.join(rows_of(entry, known))} | {entry.wanted} |"
