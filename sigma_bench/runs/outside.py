"""Parts of other packages in an evaluation: what they return is checked, and rows say which they were."""

from __future__ import annotations

from typing import Any

from sigma_bench import registry
from sigma_bench.contracts import Evaluation
from sigma_bench.spec.task import Task


def checked(found: Any, task: Task) -> Evaluation:
    """Return what an evaluator returned.

    Raises:
        TypeError: It is no evaluation of the task.
    """
    if not isinstance(found, Evaluation):
        raise TypeError(f"evaluator {task.evaluator} returned a {type(found).__name__}; expected an Evaluation")
    lacking = {"id", "error"} - set(found.samples)
    if task.metric not in found.metrics or lacking:
        raise TypeError(
            f"evaluator {task.evaluator}: expected the metric {task.metric} and records with id and error; found "
            f"{', '.join(found.metrics) or 'no metric'} and records with {', '.join(map(str, found.samples))}"
        )
    return found


def marks(task: Task) -> tuple[str, ...]:
    """Return which parts of a task come from other packages, and from which versions of them."""
    parts = (("evaluator", "evaluators", task.evaluator), ("data set", "datasets", task.dataset.name))
    found = ((what, registry.origin(kind, name)) for what, kind, name in parts)
    return tuple(f"{what} of {package}" for what, package in found if package)
