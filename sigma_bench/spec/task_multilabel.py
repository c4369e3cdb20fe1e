"""Classes that may be shown together or not at all: the `multilabel` block of a task, beside `finetune`."""

from __future__ import annotations

from typing import Literal

from sigma_bench.spec.base import Positive, Spec
from sigma_bench.spec.task_finetune import Finetune


class Multilabel(Spec):
    """What of timed actions is the target of a clip, and how the views of a video are put together."""

    fps: Positive
    """Rate at which frames are counted and labelled, whatever the file's: `clips.stride` is in these frames."""
    ends: Literal["included", "excluded"]
    """Whether the first and the last moment of an action show it."""
    combine: Literal["max", "mean"]
    """Of a class's scores in the views of a video."""


def check(finetune: Finetune) -> None:
    """Refuse settings of the training that are for one class a video.

    Raises:
        ValueError: There is such a setting.
    """
    for name in ("mixup", "cutmix", "smoothing"):
        if getattr(finetune, name):
            raise ValueError(f"finetune.{name} is for one class a video; evaluator multilabel expects 0")
    if finetune.select != "last":
        raise ValueError(f"finetune.select {finetune.select} judges by accuracy; evaluator multilabel expects last")
