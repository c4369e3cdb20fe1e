"""The published values: counts, agreement between tables, readable errors."""

from collections import Counter

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import published
from sigma_bench.results.published import Published
from sigma_bench.spec import load

ROWS_AND_VALUES = {
    "T1": (6, 36), "T2": (22, 22), "T3": (13, 13), "T4": (8, 32), "T5": (6, 54), "T6a": (6, 6), "T6b": (6, 6),
    "T7a": (5, 5), "T7b": (3, 3), "T8": (8, 23), "T12": (21, 21), "T13": (32, 32), "C1": (4, 4), "C2": (4, 4),
}  # fmt: skip


@pytest.fixture(scope="module")
def values(published_dir) -> Published:
    return published.read(published_dir)


def test_every_table_has_its_rows_and_values(values):
    assert len(values.values) == 261
    assert len(values.settings) == 197
    found = {name: (len(rows), sum(map(len, rows.values()))) for name, rows in values.tables.items()}
    assert found == ROWS_AND_VALUES


def test_no_cell_stands_twice_and_units_bound_the_values(values):
    assert max(Counter((v.table, v.row_order, v.task, v.metric) for v in values.values).values()) == 1
    for value in values.values:
        limit = {"%": 100, "ratio": 1, "count": 10**6}[value.unit]
        assert 0 < value.number < limit, value


def test_each_row_fills_the_columns_of_the_layout(values):
    layout = load.layout()
    for name, rows in values.tables.items():
        lay = layout.tables[name]
        assert sorted(rows) == list(range(1, lay.groups[-1].rows[1] + 1))
        for number, row in rows.items():
            if lay.row_key is None:
                assert [(v.task, v.metric) for v in row] == [(c.key, c.metric) for c in lay.columns], (name, number)


def test_numbers_printed_twice_agree(values):
    def key(v):
        facts = (v.method, v.backbone, v.epochs, v.extra_data, v.frames, v.pretrain_data)
        return (*facts, v.motion_guidance.replace("n/a", "no"))

    for small, large in (("T3", "T12"), ("T2", "T13")):
        of_large = {key(v): v.value for v in values.values if v.table == large}
        assert all(of_large[key(v)] == v.value for v in values.values if v.table == small)


def test_the_mean_of_severe_follows_from_its_columns(values):
    for number, row in values.tables["T5"].items():
        *eight, mean = [v.number for v in row]
        eight[6] = 100 * (1 - eight[6])
        assert sum(eight) / 8 == pytest.approx(mean, abs=0.1), number


def test_settings_tell_the_paper_from_the_code(values):
    found = values.setting("T10", "ssv2", "epochs")
    assert found is not None
    assert (found.value, found.code_value, found.agreement) == ("50", "40", "differs")
    assert values.setting("T10", "ssv2", "colour") is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("table,row_order", "tables,row_order", r"published.csv:1: columns tables"),
        ("T1,1,MVD", "T1,one,MVD", r"published.csv:2: row_order or value is no number"),
        ("T1,1,MVD", "T1,1,x,MVD", r"published.csv:2: 18 cells; expected 17"),
        (",,no,,,linear/ssv2,top1,12.2,", ",,maybe,,,linear/ssv2,top1,12.2,", r"published.csv:2: motion_guidance"),
        ("T1,1,MVD", '"T1"x,1,MVD', "not CSV"),
    ],
)
def test_a_damaged_file_names_its_line(tmp_path, published_dir, old, new, words):
    for file in published_dir.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "published.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        published.read(tmp_path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"published\.csv: No such file"):
        published.read(tmp_path)
