"""The suite of the paper grows with its tasks."""

from sigma_bench.spec import load, roots

OF_THE_PAPER = ("linear/", "finetune/", "seg/", "severe/")


def test_the_suite_of_the_paper_lists_every_task_of_its_tables() -> None:
    there = {name for name in roots.names("tasks") if name.startswith(OF_THE_PAPER)}
    assert set(load.suite("paper").tasks) == there


def test_its_tasks_stand_in_the_order_of_the_tables() -> None:
    columns = [column.key for table in load.layout().tables.values() for column in table.columns]
    tasks = load.suite("paper").tasks
    assert list(tasks) == sorted(tasks, key=columns.index)
