"""Tasks on one's own videos: which settings are taken, and the lists in place of the task's data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import own_lists
from sigma_bench.data.datasets.own_lists import OwnLists
from sigma_bench.runs.request import Request
from sigma_bench.spec import roots
from sigma_bench.spec.task import Dataset, Task


def lists(paths: Sequence[Path]) -> OwnLists | None:
    """Return the lists that `--videos` names; None where it names none.

    Raises:
        UserError: They are not two, or cannot be read.
    """
    if not paths:
        return None
    if len(paths) != 2:
        raise UserError(
            f"--videos {' '.join(map(str, paths))}: expected two lists, one to train on and one to test: --videos "
            "train.csv test.csv"
        )
    return own_lists.pair(paths[0], paths[1])


def check(request: Request) -> None:
    """Refuse what cannot go with own lists.

    Raises:
        UserError: A suite, a data root, splits or the miniature is asked for too.
    """
    asked = {
        "--suite": request.suite,
        "--data-root": request.data_root,
        "--splits": ",".join(map(str, request.splits)),
        "--data": "" if request.data == "official" else request.data,
    }
    for option, value in asked.items():
        if value:
            raise UserError(f"--videos names the data itself; leave out {option} {value} (with --task NAME)")


def template(name: str, specs: Path | None = None) -> str:
    """Return the task whose settings are taken: `name`, or the one for own videos in the folder `name`.

    Raises:
        UserError: There is neither.
    """
    known = roots.names("tasks", specs=specs)
    own = f"{name}/{own_lists.NAME}"
    if name in known or name.endswith(roots.SUFFIXES) or own not in known:
        if name not in known and not name.endswith(roots.SUFFIXES):
            folders = [one.removesuffix(f"/{own_lists.NAME}") for one in known if one.endswith(f"/{own_lists.NAME}")]
            raise UserError(
                f"--task {name}: no such task; with --videos name a task whose settings are to be taken, or "
                f"{', '.join(folders)}"
            )
        return name
    return own


def on_lists(task: Task) -> Task:
    """Return a task with own lists in place of its data set.

    Raises:
        UserError: It asks of its data set what own lists do not have.
    """
    if task.dataset.relabel is not None or task.dataset.train is None:
        what = "a training list" if task.dataset.train is None else f"the column {task.dataset.relabel}"
        raise UserError(
            f"{task.id}: made for {what} of {task.dataset.name}; own lists cannot stand in, name another --task"
        )
    dataset = Dataset(
        name=own_lists.NAME,
        train="train",
        test="test",
        per_class=task.dataset.per_class,
        draws=task.dataset.draws,
    )
    return task.model_copy(update={"dataset": dataset})
