"""Stacks are a short cut: tables are those of rows one by one, whatever differs between the rows."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.results import cells, matching, published, render, tables
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import RUN, stacked
from sigma_bench.results.store import latest
from sigma_bench.spec import load
from tests.results import made_up

MOMENTS = [f"2026-0{n}-01T00:00:00.000000Z" for n in (1, 2, 3)]
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "measured_at": st.sampled_from(MOMENTS),
        "checkpoint_sha256": st.sampled_from(["1" * 64, "2" * 64]),
        "settings_sha256": st.sampled_from(["3" * 64, "4" * 64]),
        "train_sha256": st.sampled_from(["5" * 64, "6" * 64]),
        "seed": st.integers(0, 3),
        "value": st.floats(1, 99),
        "limit": st.sampled_from([None, 10, 20]),
        "task_version": st.integers(1, 2),
        "profile": st.sampled_from(["", "quick", "paper"]),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "family": st.sampled_from(["sigma", "floor"]),
        "data": st.sampled_from(["official", "miniature", "custom"]),
        "marks": st.sampled_from([(), ("a",), ("b", "setting probe.epochs=3")]),
        "step": st.sampled_from([None, 5, 10]),
        "train_present": st.sampled_from([None, 50, 100]),
    },
)


@pytest.fixture(scope="module")
def made(make_row):
    return made_up.rows(make_row)


def drawn(stacks, values, layout):
    found = tables.build_stacked(None, stacks, values, layout, load.zoo().entries)
    return "\n".join(render.render(table, "md") for table in found), [
        [row.digest for row in cell.behind if isinstance(row, Row)]
        for table in found
        for block in table.blocks
        for line in block.lines
        for cell in line.cells
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picks=st.lists(st.tuples(st.integers(0, 10**6), CHANGES), max_size=25))
def test_tables_are_those_of_rows_one_by_one(published_dir, made, picks):
    values, layout = published.read(published_dir), load.layout()
    changed = []
    for number, fields in picks:
        row = made[number % len(made)]
        if row.status == "failed":
            fields = {name: value for name, value in fields.items() if name != "value"}
        changed.append(row.model_copy(update=fields))
    rows = latest([*made, *changed])
    assert drawn(stacked(rows), values, layout) == drawn([[row] for row in rows], values, layout)


def test_equal_times_leave_no_choice_to_the_order_of_rows(make_row):
    rows = [
        make_row(settings_sha256=f"{n % 3}" * 64, seed=n, value=float(n), measured_at=MOMENTS[0], step=n % 2)
        for n in range(12)
    ]
    chosen = cells.choose(stacked(rows))
    assert len(chosen.rows) == 2
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert cells.choose(stacked(rows)) == chosen


def test_rows_of_a_cell_follow_time(make_row):
    rows = [make_row(seed=n, measured_at=MOMENTS[2 - n], views=f"{n % 2}x1") for n in range(3)]
    assert [row.seed for row in cells.choose(stacked(rows)).rows] == [2, 1, 0]


@pytest.mark.parametrize(
    "name",
    [
        *matching.System._fields,
        *cells.Conditions._fields,
        *("extra_data", "task", "metric", "marks", "step", "steps", "views", "frames", "family", "params_m", "suite"),
        *("data", "status"),
    ],
)
def test_rows_that_tables_tell_apart_by_the_first_of_a_stack_stand_apart(make_row, name):
    row = make_row()
    other = row.model_copy(update={name: "other"})
    assert stacked([row, other, row]) == [[row, row], [other]]


@pytest.mark.parametrize("name", sorted(RUN))
def test_rows_that_differ_in_the_run_alone_stand_together(make_row, name):
    row = make_row()
    other = row.model_copy(update={name: {"other": 1}})
    assert stacked([row, other]) == [[row, other]]
