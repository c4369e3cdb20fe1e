"""The mean of SEVERE: as the paper computes it, of whole lines only."""

import pytest

from sigma_bench.results import derived, own, published
from sigma_bench.results.stacks import stacked
from sigma_bench.results.table import Cell, Footnotes
from sigma_bench.spec import load
from tests.results.made_up import SEVERE

EVALUATORS = {"severe/ucf_rc": "counting", "severe/charades": "multilabel"}


@pytest.fixture(scope="module")
def layout():
    return load.layout()


def columns(layout):
    every = layout.tables["T5"].columns
    return [c for c in every if c.derived is None], next(c for c in every if c.derived is not None)


def test_printed_lines_give_the_printed_mean(layout, published_dir):
    others, mean = columns(layout)
    for number, values in published.read(published_dir).tables["T5"].items():
        of = {value.task: value.number for value in values}
        given = [Cell("", value=of[column.key], count=1) for column in others]
        made = derived.mean_of(others, given, mean, Footnotes())
        assert made.value == pytest.approx(of["severe/mean"], abs=0.051 if number != 2 else 0.11)  # MVD: off in print


def test_a_missing_or_a_partial_task_is_named_instead(layout, make_row):
    others, mean = columns(layout)
    cells = [Cell("", value=50.0, count=1) for _ in others]
    foot = Footnotes()
    lacking = derived.mean_of(others, [Cell("not run"), *cells[1:]], mean, foot)
    assert lacking.value is None
    assert foot.items[-1][1] == "needs all 8 columns, 7 measured"
    cells[2].behind = (make_row(status="partial", n_decoded=199),)
    assert derived.mean_of(others, cells, mean, foot).value is None
    assert foot.items[-1][1] == "needs all 8 columns, UCF partial"
    assert derived.mean_of(others, [Cell("not run")] * 8, mean, foot) is None


def rows(make_row, only=None, **more):
    return [
        make_row(task=task, metric=metric, value=value, data="miniature", profile="quick", system="mine",
                 evaluator=EVALUATORS.get(task, "finetune"), settings_sha256=f"{n}" * 64, **more)
        for n, (task, (metric, value)) in enumerate(SEVERE.items()) if only is None or task in only
    ]  # fmt: skip


def test_a_miniature_has_the_mean_of_its_own_line(layout, make_row):
    (table,) = own.build(stacked(rows(make_row)), layout, "miniature")
    (block,) = table.blocks
    assert block.label == "protocol: counting and finetune and multilabel, profile quick"
    (line,) = block.lines
    place = [head.task for head in table.heads].index("severe/mean")
    expected = (70.1 + 88.0 + 82.5 + 27.0 + 50.0 + 79.0 + 100 * (1 - 0.171) + 22.0) / 8
    assert line.cells[place].value == pytest.approx(expected)


def test_without_all_eight_there_is_no_such_column(layout, make_row):
    (table,) = own.build(stacked(rows(make_row, list(SEVERE)[:7])), layout, "miniature")
    assert "severe/mean" not in [head.task for head in table.heads]


def test_evaluators_that_share_a_task_stay_apart(layout, make_row):
    both = [*rows(make_row), *(row.model_copy(update={"evaluator": "linear"}) for row in rows(make_row)[:1])]
    (table,) = own.build(stacked(both), layout, "miniature")
    assert len(table.blocks) == 4
