"""The suite of the paper grows with its tasks."""

from sigma_bench.spec import load, roots

OF_THE_PAPER = ("linear/", "finetune/", "seg/", "severe/")


def test_the_suite_of_the_paper_lists_every_task_of_its_tables() -> None:
    cells = {column.key for table in load.layout().tables.values() for column in table.columns}
    there = {name for name in roots.names("tasks") if name.startswith(OF_THE_PAPER) and name in cells}
    assert len(there) >= 8
    assert set(load.suite("paper").tasks) == there


def test_its_tasks_stand_in_the_order_of_the_tables() -> None:
    columns = [column.key for table in load.layout().tables.values() for column in table.columns]
    tasks = load.suite("paper").tasks
    assert list(tasks) == sorted(tasks, key=columns.index)
