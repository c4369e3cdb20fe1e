"""Classes that may be shown together or not at all: the `multilabel` block of a task, beside `finetune`."""

from __future__ import annotations

from typing import Literal

from sigma_bench.spec.base import Positive, Spec


class Multilabel(Spec):
    """What of timed actions is the target of a clip, and how the views of a video are put together."""

    fps: Positive
    """Rate at which frames are counted and labelled, whatever the file's: `clips.stride` is in these frames."""
    ends: Literal["included", "excluded"]
    """Whether the first and the last moment of an action show it."""
    combine: Literal["max", "mean"]
    """Of a class's scores in the views of a video."""
