"""The committed text on the data sets is what the tables give, and leaves none out."""

import re
from pathlib import Path

from sigma_bench import registry
from sigma_bench.data.datasets import known
from sigma_bench.data.datasets.cards import all_cards
from sigma_bench.runs.check.lists import names
from sigma_bench.runs.dataset_docs import markdown


def test_the_committed_file_is_what_is_generated():
    committed = Path(__file__).parents[2] / "docs" / "datasets.md"
    assert committed.read_text(encoding="utf-8") == markdown(), "run python docs/generate_datasets.py"


def test_every_data_set_has_one_card_under_the_folder_it_is_read_from():
    cards = [(name, card.folder) for card in all_cards() for name in card.sets]
    assert sorted(name for name, _ in cards) == names()
    for name, folder in cards:
        assert registry.DRAWN_FROM.get(name, name) == folder


def test_every_known_list_and_the_odd_counts_are_told():
    text = markdown()
    for (name, split, fold), (count, digest) in known.LISTS.items():
        assert f"| `{name}` | {split} | {fold} | {count:,} | `{digest}` |" in text
    for count in ("1,010", "1,089"):
        assert count in re.sub(r"^\|.*", "", text, flags=re.MULTILINE)


def test_every_card_says_where_to_get_it():
    for section in markdown().split("\n## ")[1:]:
        assert "- Get: " in section or "UCFRep" in section
        assert section.count("```") == 2
        assert "- Cite `" in section
