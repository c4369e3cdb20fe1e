"""Tables of a report: cut to size, and as data of charts."""

import pytest

from sigma_bench.results import own, published, report_tables, tables
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import stacked
from sigma_bench.spec import load
from tests.results import made_up


@pytest.fixture(scope="module")
def layout():
    return load.layout()


@pytest.fixture(scope="module")
def values(published_dir):
    return published.read(published_dir)


def lines_of(table):
    return [line for block in table.blocks for line in block.lines]


def test_a_small_table_stays_as_it_is(layout, values, make_row):
    table = tables.build("T1", made_up.rows(make_row), values, layout)
    assert report_tables.cut(table) is table


def test_a_large_table_keeps_printed_lines_and_the_newest_measured_ones(layout, values, make_row):
    rows = [
        make_row(
            system=f"s{n:02}",
            checkpoint_sha256=f"{n:064x}",
            value=float(n),
            measured_at=f"2026-01-{n + 1:02}T00:00:00.000000Z",
            marks=[f"mark {n}"],
        )
        for n in range(28)
    ]
    table = tables.build("T1", rows, values, layout)
    printed = [line for line in lines_of(table) if line.kind == "published"]
    found = report_tables.cut(table, most=(len(table.heads) + len(table.attributes)) * (len(printed) + 5))
    assert [line for line in lines_of(found) if line.kind == "published"] == printed
    kept = [line for line in lines_of(found) if line.kind == "measured"]
    assert [line.attributes[0].split()[0] for line in kept] == [f"s{n}" for n in range(23, 28)]
    others = len(lines_of(table)) - len(printed)
    assert (
        found.remarks[0] == f"The newest 5 of {others} lines; the other {others - 5} are among all rows of this page."
    )
    texts = dict(found.footnotes.items)
    assert {text for text in texts.values() if text.startswith("mark")} == {f"mark {n}" for n in range(23, 28)}
    assert [texts[mark] for mark in kept[-1].cells[0].marks if texts[mark].startswith("mark")] == ["mark 27"]
    assert len(lines_of(table)) == len(printed) + others
    assert {text for text in dict(table.footnotes.items).values() if text.startswith("mark")} == {
        f"mark {n}" for n in range(28)
    }


def test_charts_have_values_whiskers_and_what_is_behind_them(layout, values, make_row):
    rows = made_up.rows(make_row)
    table = tables.build("T1", rows, values, layout)
    numbers = {id(one): n for n, one in enumerate([*rows, *values.values])}
    chart = report_tables.chart(table, numbers, {}, report_tables.units(values))
    assert [head["unit"] for head in chart["heads"]] == ["%"] * 6
    by_label = {line["label"].split(" (")[0]: line for line in chart["lines"] if not line["other"]}
    dino, mlp = by_label["sigma_dino_k400_b800"], by_label["sigma_mlp_k400_b800"]
    cell = dino["cells"][0]
    assert (cell["v"], cell["w"], cell["p"]) == (20.5, "i", 20.8)
    assert (cell["lo"], cell["hi"]) == pytest.approx((20.5 * 0.98, 20.5 * 1.02))
    assert [rows[n].value for n in cell["b"]] == [20.5]
    assert dino["cells"][5] is None  # it failed
    cell = mlp["cells"][0]
    assert (cell["w"], cell["n"], len(cell["b"])) == ("i", 3, 3)
    assert cell["lo"] < cell["v"] < cell["hi"]
    assert by_label["videomae_k400_b800"]["cells"][2]["apart"] == 1  # limited
    assert {line["other"] for line in chart["lines"] if line["protocol"].endswith("linear")} == {True}
    printed = next(line for line in chart["lines"] if line["kind"] == "published")
    assert values.values[printed["cells"][0]["b"][0] - len(rows)].value == str(printed["cells"][0]["v"])


def test_without_intervals_the_whiskers_are_the_deviation_over_measurements(layout, values, make_row):
    rows = [make_row(value=value, seed=seed, system="mine") for seed, value in enumerate((19.0, 20.0, 21.0))]
    chart = report_tables.chart(tables.build("T1", rows, values, layout), {}, {}, {})
    (cell,) = [line["cells"][0] for line in chart["lines"] if line["kind"] == "measured"]
    assert (cell["w"], cell["n"]) == ("d", 3)
    assert (cell["lo"], cell["hi"]) == pytest.approx((19.0, 21.0))


def test_a_suite_shows_the_printed_value_that_a_table_of_the_paper_sets_beside_a_row(layout, values, make_row):
    rows = made_up.rows(make_row)
    beside = report_tables.printed_beside([tables.build("T1", rows, values, layout)])
    (suite,) = own.suites(
        stacked(r for r in rows if r.task == "linear/ssv2"), layout, "official", {"linear": load.suite("linear")}
    )
    chart = report_tables.chart(suite, {}, beside, report_tables.units(values))
    found = {line["label"]: line["cells"][0].get("p") for line in chart["lines"] if "released" in line["protocol"]}
    assert found == {
        "sigma_dino_k400_b800": 20.8,
        "sigma_mlp_k400_b800": 19.9,
        "videomae_k400_b800": 17.5,
        made_up.MINE["system"]: None,
    }


@pytest.mark.parametrize(
    ("metric", "unit"), [("top1", "%"), ("mean_count_error", "ratio"), ("my_error", "ratio"), ("j", "%")]
)
def test_units(values, metric, unit):
    assert report_tables.unit(metric, report_tables.units(values)) == unit


def test_rows_behind_cells_come_in_their_order_and_once(layout, values, make_row):
    rows = made_up.rows(make_row)
    shown = report_tables.shown(tables.build_all(["T1", "T2", "T1"], rows, values, layout))
    assert len({id(row) for row in shown}) == len(shown)
    assert all(isinstance(row, Row) for row in shown)
    assert {row.task for row in shown} == {*(f"linear/{name}" for name in made_up.LINEAR), "finetune/ssv2"}
