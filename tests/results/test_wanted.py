"""Systems without weights: a line with the reason where others were measured, and no line where it would be untrue."""

import pytest

from sigma_bench.results import cells, published, tables
from sigma_bench.spec import load


@pytest.fixture(scope="module")
def build(published_dir):
    values, layout, zoo = published.read(published_dir), load.layout(), load.zoo().entries
    return lambda table, rows, entries=zoo: tables.build(table, rows, values, layout, entries)


@pytest.fixture
def row(measured):
    return measured(task="finetune/ssv2", evaluator="finetune", epochs="800", pretrain_data="K400")


def wanted(table):
    """Return method cell -> footnotes of the lines that say why there is no value."""
    notes = dict(table.footnotes.items)
    return {
        line.attributes[0]: [notes[mark] for cell in line.cells for mark in cell.marks]
        for block in table.blocks
        for line in block.lines
        if line.attributes[0].endswith(" (not measured)")
    }


def test_the_reason_stands_beneath_the_printed_row(build, row):
    table = build(2, [row])
    found = wanted(table)
    assert found["MGM (not measured)"] == ["wanted: no public weights"]
    assert found["SlowFast (not measured)"] == ["wanted: not a system this package loads (a supervised 3-D CNN)"]
    assert not {"VideoMAE (not measured)", "MVD (not measured)", "MGMAE (not measured)"} & set(found)
    lines = [line for block in table.blocks for line in block.lines]
    place = next(i for i, line in enumerate(lines) if line.attributes[0] == "MGM (not measured)")
    assert lines[place - 1].attributes[0] == "MGM"
    assert lines[place - 1].attributes[2:] == lines[place].attributes[2:]
    assert [cell.text for cell in lines[place].cells] == [cells.NOTHING]
    assert lines[place].kind == "measured"


def test_without_measured_rows_or_a_zoo_a_table_is_the_printed_one(build, row):
    assert wanted(build(2, [])) == {}
    assert wanted(build(2, [row], {})) == {}


def test_a_measured_system_has_its_value_and_no_reason(build, row):
    mine = row.model_copy(
        update={"method": "CMAE-V", "system": "mine", "pretrain_data": "SSv2", "value": 70.0, "epochs": "800"}
    )
    assert "CMAE-V (not measured)" in wanted(build(2, [row]))
    assert "CMAE-V (not measured)" not in wanted(build(2, [row, mine]))


def test_a_row_that_several_systems_fit_is_wanted_only_if_all_are(build, measured):
    table = build(5, [measured(task="severe/gym_1e3", evaluator="finetune")])
    assert "VideoMAE (not measured)" not in wanted(table)  # 2400 epochs are not public, 800 are
