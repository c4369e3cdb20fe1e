"""The text of `docs/datasets.md`, from the cards, the known lists and where they are published."""

from __future__ import annotations

from collections.abc import Iterator

from sigma_bench.data.datasets import known, sources
from sigma_bench.data.datasets.cards import Card, all_cards

HEAD = """# Data sets

This file is generated: change `sigma_bench/data/datasets/` and run `python docs/generate_datasets.py`.

Every data set is read as it is downloaded. Nothing here is shipped or redistributed: get it from its official page, and
read its terms there.

- `sigma-bench data where` tells in which folder a data set is found: `--data-root DIR` (DIR/<data set>; it decides
  alone), `$SIGMA_BENCH_DATA/<data set>`, the file `~/.config/sigma-bench/data.yaml` (`root: /data`, `datasets: {k400:
  /nfs/kinetics400}`; `$XDG_CONFIG_HOME` is respected, `$SIGMA_BENCH_CONFIG` names another file), `./data/<data set>`.
- `sigma-bench data check NAME` looks at every file, per list and class, and says what is missing or unreadable.
- `sigma-bench data lists NAME` tells where official lists are published, with commit and SHA-256; `--fetch` gets them.
- `sigma-bench data miniature NAME` writes a small generated data set in the same format; `data miniature all` all of
  them. Their numbers show mechanisms and are never held against published ones.

A list is called published where samples, labels and order have the hash below (`Index.sha256`: a hash over ids, labels
and annotations in order, not over a file). Another list is evaluated too, and its rows are marked `list: other`. Where
no hash is known the count alone is stated.
"""


def markdown() -> str:
    """Return the whole document."""
    return HEAD + "".join(f"\n{section}" for card in all_cards() for section in ["\n".join(_section(card)) + "\n"])


def _section(card: Card) -> Iterator[str]:
    yield f"## {card.title}"
    yield ""
    names = ", ".join(f"`{name}`" for name in card.sets)
    yield f"{card.what} Data set{'s' if len(card.sets) > 1 else ''}: {names}; folder `{card.folder}`."
    yield ""
    yield from ("```", card.layout.strip("\n"), "```", "")
    yield f"- Read: {card.reads}"
    yield f"- Labels: {card.labels}"
    yield f"- Terms: {card.licence}"
    for cite in card.cite:
        yield f"- Cite `{cite.key}`: {cite.authors}, *{cite.title}*, {cite.venue}, {cite.year}."
    files, pages = sources.of(card.folder)
    for page in pages:
        yield f"- Get: {page.what}: <{page.url}>"
    if files:
        yield f"- Lists: `sigma-bench data lists {card.folder}` ({', '.join(f'`{file.place}`' for file in files)})"
    yield f"- Miniature: `sigma-bench data miniature {card.folder}`"
    yield ""
    rows = list(_lists(card))
    if rows:
        yield from (
            "| data set | split | fold | samples | SHA-256 of the published list |",
            "| --- | --- | --- | ---: | --- |",
        )
        yield from rows
        yield ""
    yield "Traps that the reader handles:"
    yield ""
    yield from (f"- {trap}" for trap in card.traps)


def _lists(card: Card) -> Iterator[str]:
    counts = {key: (count, "not known") for key, count in known.COUNTS.items()}
    hashes = {key: (count, f"`{digest}`") for key, (count, digest) in known.LISTS.items()}
    for name in card.sets:
        for (dataset, split, fold), (count, digest) in {**counts, **hashes}.items():
            if dataset == name:
                yield f"| `{name}` | {split} | {fold} | {count:,} | {digest} |"
