"""A suite: the schema of `eval/*.yaml`, a named list of tasks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from sigma_bench.spec.base import Count, Spec, Text, Texts


class Suite(Spec):
    """Tasks that are run together."""

    name: Text
    title: Text
    tasks: Annotated[Texts, Field(min_length=1)]
    seeds: Count
    """Every task is measured with the seeds 0 .. seeds-1."""
    notes: Texts = ()

    @field_validator("tasks")
    @classmethod
    def _once_each(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({task for task in tasks if tasks.count(task) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return tasks
