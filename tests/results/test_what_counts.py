"""Rows that look right and are not: which of them count, what their mean is over, what is never the best."""

import csv
import io

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import line as lines
from sigma_bench.results import published, render, tables
from sigma_bench.results.claim_values import Book, Measured
from sigma_bench.results.claims import judge
from sigma_bench.results.reading import parse
from sigma_bench.results.store import latest
from sigma_bench.runs import claims
from sigma_bench.spec import load

OTHER = "e" * 64


@pytest.fixture(scope="module")
def build(published_dir):
    values, layout = published.read(published_dir), load.layout()
    return lambda *rows, table="T1": tables.build(table, rows, values, layout)


def told(table, words="measured", place=0):
    """Return (heading of the block, cell, its footnotes) of the lines whose name has `words`."""
    texts = dict(table.footnotes.items)
    return [
        (block.label, line.cells[place], [texts[mark] for mark in line.cells[place].marks])
        for block in table.blocks
        for line in block.lines
        if line.kind == "measured" and words in line.attributes[0]
    ]


def test_several_weights_are_averaged_over_weights_not_over_all_their_seeds(build, measured):
    rows = [measured(value=20.0 + seed, seed=seed) for seed in range(3)]
    table = build(*rows, measured(value=11.0, checkpoint_sha256=OTHER))
    ((_, cell, notes),) = told(table)
    assert (cell.text, cell.count) == ("16.0", 2)
    assert cell.spread == pytest.approx(50**0.5)
    assert notes == ["over 2 sets of weights, the seeds of each averaged first"]
    assert cell.interval is None
    ((_, cell, notes),) = told(build(rows[0], measured(value=11.0, checkpoint_sha256=OTHER)))
    assert (cell.text, cell.count, notes) == ("15.5", 2, ["over 2 sets of weights"])


def test_a_cell_tells_which_rows_or_printed_value_it_shows(build, measured):
    rows = [measured(value=20.0 + seed, seed=seed) for seed in range(3)]
    other = measured(value=11.0, checkpoint_sha256=OTHER, limit=50)
    failed = measured(status="failed", value=None, error="out of memory", task="linear/k400")
    table = build(*rows, other, failed)
    ((_, cell, _), ((_, fault, _),)) = (*told(table), told(table, place=1))
    assert cell.behind == tuple(rows)
    assert (fault.text, fault.behind) == ("failed", (failed,))
    lines = [line for block in table.blocks for line in block.lines if line.kind == "published"]
    assert {cell.text for line in lines for cell in line.cells} == {
        value.value for line in lines for cell in line.cells for value in cell.behind
    }
    assert [cell.behind for line in lines for cell in line.cells if cell.value is None] == []
    tasks = [column.key for column in load.layout().tables["T5"].columns if column.derived is None]
    metrics = {column.key: column.metric for column in load.layout().tables["T5"].columns}
    severe = [measured(task=task, metric=metrics[task], value=0.5, profile="paper") for task in tasks]
    ((_, mean, _),) = told(build(*severe, table="T5"), place=len(tasks))
    assert mean.behind == tuple(severe)


@pytest.mark.parametrize("fields", [{"train_sha256": OTHER}, {"evaluator": "linear_released_2", "task": "x/y"}])
def test_rows_that_learned_from_other_lists_or_by_another_evaluator_are_not_averaged(measured, fields):
    fields = {"data": "custom", **fields}
    first = {**dict.fromkeys(fields), "data": "custom", "task": fields.get("task", "linear/ssv2")}
    first = {name: value for name, value in first.items() if value is not None}
    (table,) = tables.custom([measured(value=5.0, **first), measured(value=25.0, **fields)], load.layout())
    assert all(cell.count <= 1 for block in table.blocks for line in block.lines for cell in line.cells)


def test_steps_of_one_run_are_not_averaged(measured):
    rows = [measured(data="miniature", step=10 * n, steps=90, value=n, checkpoint_sha256=f"{n}" * 64) for n in (1, 2)]
    ((_, cell, notes),) = told(tables.miniature(rows, load.layout())[0], "sigma_dino")
    assert (cell.text, cell.count) == ("2.0", 1)
    assert notes == ["1 measurements under other conditions left out"]


def test_an_unfinished_run_is_no_published_system_whatever_it_is_called(build, measured):
    ((label, cell, _),) = told(build(measured(step=10, steps=100)))
    assert label == "sigma-bench protocol: linear_released, unfinished run (step 10 of 100)"
    assert cell.difference is None
    two = [measured(step=step, steps=100, checkpoint_sha256=f"{step % 7}" * 64) for step in (10, 20)]
    assert [cell.count for _, cell, _ in told(build(*two))] == [1, 1]
    ((label, cell, _),) = told(build(measured(step=100, steps=100)))
    assert label == "SIGMA"
    assert cell.difference == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("present", "text", "note"),
    [
        (10, "partial 10 %", "refused: 10 of 100 training samples were there; under 99 % is no value here"),
        (98, "partial 98 %", "refused: 98 of 100 training samples were there; under 99 % is no value here"),
        (99, "21.0", "99 of 100 training samples were there"),
        (100, "21.0", None),
        (None, "21.0", None),
    ],
)
def test_training_on_a_part_of_the_list_is_told_and_under_99_percent_refused(build, measured, present, text, note):
    ((_, cell, notes),) = told(build(measured(train_present=present), measured(train_present=None, seed=1)))
    assert (cell.text, notes) == (text, [note] if note else [])


def test_other_arithmetic_is_told(build, measured):
    assert told(build(measured(precision="bf16")))[0][2] == ["arithmetic bf16"]
    assert told(build(measured(precision="fp32")))[0][2] == []


@pytest.mark.parametrize("fields", [{"task_version": 2}, {"test_sha256": OTHER}, {"train_sha256": OTHER}])
def test_another_quantity_than_the_column_is_never_the_best(build, measured, fields):
    shared = {"task_version": 3, "extra_data": ""}
    rows = [measured(system=name, method="", value=value, **shared) for name, value in (("one", 20.0), ("two", 21.0))]
    table = build(*rows, measured(system="odd", value=99.0, **{**shared, **fields}))
    assert {name: told(table, name)[0][1].best for name in ("one", "two", "odd")} == {
        "one": "second",
        "two": "best",
        "odd": "",
    }


def test_a_mean_with_another_quantity_in_it_is_never_the_best(build, measured):
    def severe(system, value, **odd):
        for cell in published_mean_parts:
            ratio = cell.metric == "mean_count_error"
            fields = {"evaluator": "finetune", "task": cell.task, "metric": cell.metric, "method": ""}
            fields |= odd if cell.task == "severe/ssv2" else {}
            yield measured(system=system, value=0.2 if ratio else value, **{"task_version": 1, **fields})

    heads = [head for head in build(table="T5").heads if head.metric not in ("", "mean")]
    published_mean_parts = heads
    rows = [*severe("one", 20.0), *severe("two", 21.0), *severe("odd", 99.0, task_version=3, test_sha256=OTHER)]
    rows += list(severe("three", 19.0))
    table = build(*rows, table="T5")
    place = next(number for number, head in enumerate(table.heads) if head.metric == "mean")
    found = {name: told(table, name, place)[0][1] for name in ("one", "two", "odd")}
    assert found["odd"].value > found["two"].value
    assert (found["odd"].best, found["two"].best) == ("", "best")


def test_claims_count_only_rows_of_the_views_and_lists_that_the_table_states(published_dir, measured):
    layout = load.layout()
    book = Book(published.read(published_dir), layout)
    column = layout.tables["C1"].columns[0]
    number, values = next((n, v) for n, v in book.published.tables["C1"].items() if v[0].method == "SIGMA-DINO")
    facts = {name: getattr(values[0], name) for name in ("method", "variant", "backbone", "pretrain_data", "epochs")}
    facts |= {"task": column.key, "metric": column.metric, "evaluator": "finetune", "frames": "16"}
    for seen, there in (("2x3", True), ("5x3", False), ("", True)):
        cell = Measured(book, [measured(views=seen, **facts)], {}).cell("C1", number, column)
        assert (cell.value is not None) is there


def test_a_claim_over_different_training_lists_cannot_be_tested(published_dir, measured):
    values, layout = published.read(published_dir), load.layout()
    rows = [
        measured(
            **{name: getattr(cell, name) for name in ("method", "epochs", "motion_guidance", "task", "metric")},
            system=cell.method,
            value=cell.number,
        )
        for cells in values.tables["T1"].values()
        for cell in cells
    ]

    def verdict(rows):
        return {one.name: one.measured for one in judge(load.claims(), rows, values, layout)}["T1-mlp"]

    assert verdict(rows).verdict == "holds"
    odd = verdict([rows[0].model_copy(update={"train_sha256": OTHER}), *rows[1:]])
    assert odd.verdict == "not testable"
    assert "list" in odd.reason


def test_a_profile_that_is_not_the_papers_is_none_for_linear_probes_either(build, measured):
    ((label, cell, _),) = told(build(measured(profile="quick")))
    assert label == "sigma-bench protocol: linear_released, profile quick"
    assert cell.difference is None


def test_names_that_begin_like_a_formula_are_text_to_a_spreadsheet(build, measured):
    text = render.render(build(measured(system='=HYPERLINK("x")', marks=["@SUM(1)"], value=20.0)), "csv")
    (row,) = [row for row in csv.DictReader(io.StringIO(text)) if "HYPERLINK" in row["Method"] and row["value"]]
    assert row["Method"].startswith("'=HYPERLINK")
    assert row["footnotes"].startswith("'@SUM(1)")
    assert (row["difference"], row["value"]) == ("-0.8", "20.0")


@pytest.mark.parametrize("schema", ["²", "9" * 5000, "٣", "-1", "1.5"])
def test_a_schema_that_is_no_number_is_a_damaged_line(tmp_path, schema):
    rows = parse(tmp_path / "x.csv", f"{lines.FIRST},system\n{schema},x\n".encode())
    assert list(rows) == []
    assert [problem.number for problem in rows.problems] == [2]


def test_claims_are_not_written_among_the_rows(tmp_path):
    with pytest.raises(UserError, match="would pass for rows"):
        claims.claims(tmp_path, tmp_path / "x" / "..", ["csv"])
    assert list(tmp_path.glob("*")) == []


def test_the_later_of_two_values_counts_whichever_is_complete(make_row):
    ok, partial = (
        make_row(value=value, status=status, n_decoded=n, measured_at=f"2025-01-0{day}T00:00:00.000000Z")
        for value, status, n, day in ((20.0, "ok", 200, 1), (10.0, "partial", 100, 2))
    )
    assert latest([ok, partial]) == latest([partial, ok]) == [partial]
    later = ok.model_copy(update={"measured_at": "2025-01-03T00:00:00.000000Z"})
    assert latest([ok, partial, later]) == latest([later, partial, ok]) == [later]


def test_of_two_values_of_one_moment_the_one_written_last_counts(make_row):
    one, other = (make_row(value=value, measured_at="2025-01-01T00:00:00.000000Z") for value in (1.0, 2.0))
    assert latest([one, other]) == [other]
    assert latest([other, one]) == [one]
