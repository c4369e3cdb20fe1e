"""What is known of each data set, for `docs/datasets.md`: layout, licence, origin, traps that are handled."""

from __future__ import annotations

from dataclasses import dataclass

SEE = "See the official page."


@dataclass(frozen=True)
class Citation:
    """What a bibliography entry needs."""

    key: str
    authors: str
    title: str
    venue: str
    year: int


@dataclass(frozen=True)
class Card:
    """One folder of data and the data sets that are read from it.

    Attributes:
        folder: Name of the folder under the data root; the miniature's too.
        sets: Data sets read from it.
        title: Its name as its authors write it.
        what: What it is, and what it is used for here.
        layout: The folder as a tree.
        reads: Which of these files are read, and what else may be there instead.
        labels: How classes get their numbers.
        licence: Under what terms it is handed out.
        cite: Where it was published.
        traps: What goes wrong with it elsewhere and is handled here.
    """

    folder: str
    sets: tuple[str, ...]
    title: str
    what: str
    layout: str
    reads: str
    labels: str
    licence: str
    cite: tuple[Citation, ...]
    traps: tuple[str, ...]


def all_cards() -> tuple[Card, ...]:
    """Return every card, in the order of the document."""
    from sigma_bench.data.datasets import cards_actions, cards_pictures, cards_tasks

    return (*cards_actions.CARDS, *cards_tasks.CARDS, *cards_pictures.CARDS)
