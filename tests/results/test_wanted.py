"""Systems without weights: a line with the reason where others were measured, and no line where it would be untrue."""

import pytest

from sigma_bench.results import published, tables
from sigma_bench.spec import load


@pytest.fixture(scope="module")
def build(published_dir):
    values, layout, zoo = published.read(published_dir), load.layout(), load.zoo().entries
    return lambda table, rows, entries=zoo: tables.build(table, rows, values, layout, entries)


@pytest.fixture
def row(measured):
    return measured(task="finetune/ssv2", evaluator="finetune", epochs="800", pretrain_data="K400")


def missing(table):
    """Return first attribute -> (text, footnotes) of the lines that say why there is no value."""
    notes = dict(table.footnotes.items)
    return {
        line.attributes[0]: (line.cells[0].text, [notes[mark] for mark in line.cells[0].marks])
        for block in table.blocks
        for line in block.lines
        if line.kind == "missing"
    }


def test_the_reason_stands_beneath_the_printed_row(build, row):
    table = build(2, [row])
    found = missing(table)
    assert found["MGM"] == ("no public weights", [])
    assert found["SlowFast"] == ("not measurable", ["not a system this package loads (a supervised 3-D CNN)"])
    assert found["MGMAE"] == ("not run", [])
    lines = [line for block in table.blocks for line in block.lines]
    assert [line.kind for line in lines] == ["published", "missing"] * 9 + ["published", "measured"] + [
        "published",
        "missing",
    ] * 12
    for printed, mine in zip(lines[::2], lines[1::2], strict=True):
        if mine.kind == "missing":
            assert (printed.attributes[0], printed.attributes[2:]) == (mine.attributes[0], mine.attributes[2:])


def test_without_measured_rows_a_table_is_the_printed_one(build):
    table = build(2, [])
    assert missing(table) == {}
    assert "(not run)" in table.remarks[0]


def test_without_a_zoo_no_reason_is_known(build, row):
    assert {text for text, _ in missing(build(2, [row], {})).values()} == {"not run"}


def test_a_measured_system_has_its_value_and_no_reason(build, row):
    mine = row.model_copy(
        update={"method": "CMAE-V", "system": "mine", "pretrain_data": "SSv2", "value": 70.0, "epochs": "800"}
    )
    assert "CMAE-V" in missing(build(2, [row]))
    assert "CMAE-V" not in missing(build(2, [row, mine]))


def test_a_row_that_several_systems_fit_is_without_weights_only_if_all_are(build, measured):
    table = build(5, [measured(task="severe/gym_1e3", evaluator="finetune")])
    assert missing(table)["VideoMAE"] == ("not run", [])  # 2400 epochs are not public, 800 are
