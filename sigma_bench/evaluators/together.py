"""Tasks that all processes of an evaluation do together: rank 0 calls the others, and each runs the same evaluator.

What they have is compared before they begin. From then on the loss of one ends all; what they train is saved, and the
same command goes on from there.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sigma_bench import registry
from sigma_bench.contracts import Encoder, Run, Stopped, UserError
from sigma_bench.data.ranks import OtherFailed, Ranks
from sigma_bench.evaluators.samples import Lists, sizes_sha256
from sigma_bench.features import Helpers
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.train.heartbeat import Heartbeat
from sigma_bench.train.incident import TrainingStopped
from sigma_bench.train.loop import Unsaved

AGREED = (Stopped, TrainingStopped, Unsaved)
"""Ends of a training that come to all processes at once."""


@dataclass(frozen=True)
class Joint:
    """The processes that do a task together; alone where there is one.

    Attributes:
        ranks: The processes, for what they tell each other in this task.
        undisturbed: A context in which this one is not ended for the loss of another.
    """

    ranks: Ranks
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext


def leads(run: Run) -> bool:
    """Return whether this process alone prints, writes and returns what counts."""
    return run.helpers is None or not run.helpers.called


@contextmanager
def all_processes(encoder: Encoder, task: Any, run: Run, lists: Lists) -> Iterator[Joint]:
    """Have every process come to this place, and say who they are.

    Args:
        encoder: As loaded here.
        task: What is done.
        run: Its `helpers`.
        lists: As read here.

    Raises:
        UserError: Another process has other weights, settings or lists.
        OtherFailed: Another process cannot take part.
    """
    if run.helpers is None:
        yield Joint(Ranks())
        return
    if leads(run):
        root = None if run.data_root is None else str(run.data_root.resolve())
        asked = {"task": task.id, "settings": _digest(task), "seed": run.seed, "data_root": root}
        run.helpers.ranks.send({"do": "evaluate", **asked})
    ranks: Ranks = run.helpers.ranks.job() if leads(run) else run.helpers.ranks
    _same(ranks.gather(_facts(encoder, task, run, lists)))
    try:
        with Heartbeat(ranks, agreed=AGREED, again="start the same command again") as beating:
            yield Joint(ranks, beating.undisturbed)
    except BaseException as error:
        if not isinstance(error, AGREED):
            faulthandler.cancel_dump_traceback_later()  # the others end; this process says what it has measured
            run.helpers.ranks.give_up(f"the other processes ended with task {task.id}")
        raise


def follow(encoder: Encoder, tasks: Sequence[Any], run: Run, ranks: Ranks, message: Mapping[str, Any]) -> None:
    """Do the task that rank 0 names, one of this process's own command line.

    Args:
        encoder: As loaded here.
        tasks: What the command line asks for, each split by itself.
        run: How this process runs.
        ranks: The processes, for this task.
        message: What rank 0 said.

    Raises:
        UserError: There is no such task here.
        OtherFailed: Another process cannot take part.
    """
    named = [task for task in tasks if _digest(task) == message["settings"]]
    if not named:
        raise UserError(
            f"process 0 evaluates {message['task']} with settings that the command line of this process does not give"
        )
    root = None if message["data_root"] is None else Path(message["data_root"])
    helpers = Helpers(ranks, "", called=True)
    here = replace(run, seed=int(message["seed"]), data_root=root, helpers=helpers)
    registry.get("evaluators", named[0].evaluator)(encoder, named[0], here)


def _facts(encoder: Encoder, task: Any, run: Run, lists: Lists) -> dict[str, Any]:
    """Return what all processes must have in common."""
    return {
        "weights": fingerprint(encoder),
        "settings": _digest(task),
        **_trained_on(run, lists),
        "test list": lists.test.sha256,
        "seed": run.seed,
        "out": str(run.folder.resolve()),
    }


def _trained_on(run: Run, lists: Lists) -> dict[str, str]:
    """Return what tells training videos apart, in names and in what is in them; a classifier of a file needs none."""
    needed = run.classifier is None
    train = lists.train.present() if needed else lists.train
    return {"training list": train.sha256, "size of training videos": sizes_sha256(train) if needed else ""}


def _digest(task: Any) -> str:
    """Return the hash of a resolved task."""
    return hashlib.sha256(json.dumps(task.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _same(told: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what differs; all processes come to the same judgement."""
    for rank, facts in enumerate(told):
        other = [f"{name} {facts[name]} (process 0: {told[0][name]})" for name in facts if facts[name] != told[0][name]]
        if other:
            raise UserError(
                f"process {rank} has another {'; '.join(other)}. All need the same checkpoint, data, settings and --out"
            )


__all__ = ["AGREED", "Joint", "OtherFailed", "all_processes", "follow", "leads"]
