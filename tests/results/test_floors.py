"""Floors and further metrics stand below the printed rows: never the best, never with a published value."""

import pytest

from sigma_bench.models import floors
from sigma_bench.results import matching, own, published, render, tables
from sigma_bench.results.paper import FLOORS, OTHER_METRIC
from sigma_bench.results.stacks import stacked
from sigma_bench.results.store import latest
from sigma_bench.results.table import NOTHING
from sigma_bench.spec import load

FLOOR = {"system": "floor:all_background", "family": "floor", "checkpoint_sha256": "f" * 64}
TASKS = [f"seg/{name}/{kind}" for name in ("ytvos", "davis") for kind in ("clustering", "overclustering")]


@pytest.fixture
def rows(make_row, sigma_dino):
    def made(system, task, metric, value, **more):
        more = {"train_sha256": "", "train_count": 0, **more}
        return make_row(**system, task=task, metric=metric, value=value, evaluator="segmentation", suite="vos", **more)

    found = []
    for task in TASKS:
        for seed in range(3):
            found.append(made(sigma_dino, task, "miou", 30.0 + seed, seed=seed))
            found.append(made(FLOOR, task, "miou", 90.0 + seed, seed=seed))
            found.append(made(sigma_dino, task, "miou_nobg", 8.0, seed=seed))
            found.append(made(FLOOR, task, "miou_nobg", 9.0, seed=seed))
            if task.endswith("overclustering"):
                found.append(made(sigma_dino, task, "miou_k10", 50.0, seed=seed))
    return found


def test_the_name_of_the_family_is_that_of_the_encoders():
    assert floors.FAMILY == matching.FLOOR


def test_floors_have_a_block_of_their_own_below_and_are_never_best(rows, published_dir):
    table = tables.build(4, rows, published.read(published_dir), load.layout())
    blocks = {block.label: block for block in table.blocks}
    (floor,) = blocks[FLOORS].lines
    assert floor.attributes[0] == "floor:all_background (measured)"
    assert [cell.text for cell in floor.cells] == ["91.0"] * 4
    assert all(cell.spread == pytest.approx(1) and cell.count == 3 for cell in floor.cells)
    for cell in floor.cells:
        assert (cell.best, cell.published, cell.difference) == ("", None, None)
    joined = [line for line in blocks["ViT-B"].lines if line.kind == "measured"]
    assert [cell.difference is not None for cell in joined[0].cells] == [True] * 4
    assert all("floor" not in line.attributes[0] for label in ("ViT-S", "ViT-B") for line in blocks[label].lines)


def test_further_metrics_stand_in_blocks_without_published_values(rows, published_dir):
    table = tables.build(4, rows, published.read(published_dir), load.layout())
    blocks = {block.label.removeprefix(OTHER_METRIC): block for block in table.blocks}
    system, floor = blocks["mIoU without background"].lines
    assert [cell.text for cell in system.cells] == ["8.0"] * 4
    assert floor.attributes[0] == "floor:all_background (measured)"
    (ten,) = blocks["mIoU with 10 clusters"].lines
    assert [cell.text for cell in ten.cells] == [NOTHING, NOTHING, "50.0", "50.0"]
    assert "mIoU of features that are not reduced" not in blocks
    for line in (system, floor, ten):
        assert all(cell.published is None and cell.difference is None for cell in line.cells)


def test_the_reader_is_told_of_the_background_under_the_table(rows, published_dir):
    for given in ([], rows):
        text = render.render(tables.build(4, given, published.read(published_dir), load.layout()), "md")
        assert "Calling everything background scores 33.5 in DAVIS clustering on a stand-in" in text
        assert "above every number printed in that column" in text


def test_the_claim_about_the_background_is_true_of_the_printed_column(published_dir):
    values = published.read(published_dir).values
    assert max(v.number for v in values if v.task == "seg/davis/clustering") < 33.5


def test_own_tables_set_floors_last_and_unmarked(rows):
    rows = [row.model_copy(update={"data": "miniature"}) for row in rows]
    rows += [row.model_copy(update={"system": "other", "checkpoint_sha256": "e" * 64}) for row in rows[:1]]
    (table,) = own.build(stacked(latest(rows)), load.layout(), "miniature")
    main, nobg, ten = table.blocks
    assert [line.attributes[0] for line in main.lines][-1] == "floor:all_background"
    assert all(cell.best == "" for cell in main.lines[-1].cells)
    assert "mIoU without background" in nobg.label
    assert [cell.text for cell in ten.lines[0].cells].count(NOTHING) == 2


def test_every_number_of_clusters_beside_the_first_has_a_block():
    layout = load.layout()
    beside = {one.metric: one for one in layout.tables["T4"].beside}
    for task in TASKS:
        settings = load.task(task).segmentation
        from sigma_bench.evaluators.segmentation.records import names

        told = {name for name in names(settings) if not name.endswith(("_nobg",))} - {"miou"}
        alone = {name for name in told if name.count("_") == 1}
        assert alone <= set(beside)
        assert {metric for metric, one in beside.items() if one.of(task)} - {"miou_nobg"} == alone
