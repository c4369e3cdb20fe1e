"""The zoo and the published tables: every system has an entry, every entry a row, and the committed text is theirs."""

from pathlib import Path

import pytest

from sigma_bench.models.checkpoints.known import ADAPTERS
from sigma_bench.results import matching, published
from sigma_bench.runs import listing, zoo
from sigma_bench.spec import load, roots


@pytest.fixture(scope="module")
def known():
    return published.read(roots.find("published", "published.csv").parent)


@pytest.fixture(scope="module")
def entries():
    return load.zoo().entries


def test_every_entry_joins_a_published_row(entries, known):
    assert [name for name, entry in entries.items() if not zoo.rows_of(entry, known)] == []


def test_every_published_system_has_an_entry(entries, known):
    assert zoo.without_entry(entries, known) == []
    del (left := dict(entries))["st_mae_k400_b1600"]
    assert zoo.without_entry(left, known) == ["T12 row 12: ST-MAE"]


def test_no_two_entries_are_the_same_system(entries):
    keys = [tuple(getattr(entry, name) for name in matching.JOIN) for entry in entries.values()]
    assert len(set(keys)) == len(keys)
    assert len({entry.system for entry in entries.values()}) == len(entries)


def test_an_entry_is_as_far_verified_as_the_adapter_that_reads_it(entries):
    with_decoder = [adapter for adapter in ADAPTERS if adapter.by_keys]
    for name, entry in entries.items():
        for family in {source.family or entry.family for source in entry.sources}:
            assert {a.verified for a in with_decoder if family in a.names} == {entry.verified}, name


def test_the_committed_file_is_what_is_generated():
    committed = Path(__file__).parents[2] / "docs" / "zoo.md"
    assert committed.read_text(encoding="utf-8") == zoo.markdown(), "run python docs/generate_zoo.py"


def test_the_listing_says_of_each_what_it_is_and_where(entries):
    lines = {line.split()[0]: line for line in listing.listing("zoo")}
    assert list(lines) == list(entries)
    told = lines["sigma_dino_ssv2_b800"].split("  ")
    assert [cell.strip() for cell in told if cell][1:] == [
        *("sigma", "ViT-B", "SSv2", "800", "verified: golden"),
        "hf://SMSD75/SIGMA/pretrain/ssv2/ssv2_vit_b_sigma_with_dino.pth",
    ]
    assert lines["omnimae_ssv2_b"].count("verified: none") == 1
    assert lines["mgm_k400_b800"].endswith("verified: none    wanted: no public weights")
