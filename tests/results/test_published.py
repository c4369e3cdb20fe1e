"""The published values: counts, agreement between tables, readable errors."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import published
from sigma_bench.results.published import Published
from sigma_bench.spec import load, roots
from sigma_bench.spec.task import METRICS

MEASURED = {metric for metrics in METRICS.values() for metric in metrics} | {"miou", "mean_count_error", "map"}
"""Names of metrics; the last ones are of evaluators to come."""
PUBLISHED = Path(__file__).parents[2] / "results" / "published"

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


def test_the_mean_of_severe_follows_from_its_columns_except_where_a_note_says_so(values):
    for number, row in values.tables["T5"].items():
        *eight, mean = [v.number for v in row]
        eight[6] = 100 * (1 - eight[6])
        follows = sum(eight) / 8 == pytest.approx(mean, abs=0.0501)
        assert follows or "the eight columns give 52.025" in row[-1].note, number
        assert sum(eight) / 8 == pytest.approx(mean, abs=0.1), number


@pytest.mark.parametrize("name", ["published.csv", "hyperparameters.csv"])
def test_nothing_was_changed_against_the_transcription(published_dir, shared, name):
    with (
        open(published_dir / name, encoding="utf-8", newline="") as ours,
        open(shared / "published" / name, encoding="utf-8", newline="") as theirs,
    ):
        assert list(csv.reader(ours)) == list(csv.reader(theirs))


def test_the_layout_departs_from_the_transcription_only_where_the_readme_says(shared):
    ours, theirs = load.layout(), load.layout_file(shared / "published" / "layout.yaml")
    for name, lay in ours.tables.items():
        if name in ("C1", "C2"):  # the views of the card stand in a column
            kept = {"attributes", "resolution", "views"}
            assert lay.model_dump(exclude=kept) == theirs.tables[name].model_dump(exclude=kept)
            assert all(lay.views in value.note for value in published.read(PUBLISHED).values if value.table == name)
        elif name == "T4":  # what is measured beside the printed metric, and a remark
            added = {"beside", "remarks"}
            assert lay.model_dump(exclude=added) == theirs.tables[name].model_dump(exclude=added)
            assert lay.beside
            assert "33.5" in lay.remarks
        else:
            assert lay == theirs.tables[name]
    assert list(ours.tables) == list(theirs.tables)


def test_every_column_is_a_metric_of_a_task(values):
    joined = {(value.task, value.metric) for value in values.values}
    for name, lay in load.layout().tables.items():
        for column in lay.columns:
            if column.key == "*":
                assert lay.row_key == "task"
                assert {(task, column.metric) for task in lay.row_facts} & joined
                continue
            assert (column.key, column.metric) in joined, name
            assert column.key.partition("/")[0] in ("linear", "finetune", "seg", "severe", "ablation")
            assert column.metric in MEASURED or column.derived, (name, column.key)


def test_tasks_measure_the_metric_their_column_prints():
    printed = {column.key: column.metric for lay in load.layout().tables.values() for column in lay.columns}
    known = [name for name in roots.names("tasks") if name in printed]
    assert known
    for name in known:
        assert load.task(name).metric == printed[name], name


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
