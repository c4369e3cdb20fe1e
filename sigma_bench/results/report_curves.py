"""Training curves for the page of a report: long ones thinned so that every peak stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MOST_POINTS: Final = 400
"""Of one curve; a longer one is drawn by the lowest and the highest value of each of its parts."""


@dataclass(frozen=True)
class Curve:
    """One run: of each quantity step -> value, and what it is called.

    Attributes:
        run: Name of the run.
        values: Quantity -> step -> value, steps ascending.
        epochs: Step -> passes over the data.
        warnings: Step -> what the run said there.
        miniature: Trained on generated data.
    """

    run: str
    values: Mapping[str, Mapping[int, float]]
    epochs: Mapping[int, float] = field(default_factory=dict)
    warnings: Mapping[int, str] = field(default_factory=dict)
    miniature: bool = False


@dataclass(frozen=True)
class Axis:
    """A quantity: how its panel is headed, what it means, whether a wide range of it is drawn on a logarithmic axis."""

    name: str
    title: str
    unit: str
    meaning: str
    log: bool = False


def thin(points: Mapping[int, float], most: int = MOST_POINTS) -> dict[int, float]:
    """Return at most about `most` of the points: the ends, and the lowest and highest of each part of the curve."""
    steps = list(points)
    if len(steps) <= most:
        return dict(points)
    parts = max(1, (most - 2) // 2)
    kept = {steps[0], steps[-1]}
    for part in range(parts):
        own = steps[len(steps) * part // parts : len(steps) * (part + 1) // parts]
        kept |= {min(own, key=points.__getitem__), max(own, key=points.__getitem__)}
    return {step: points[step] for step in steps if step in kept}


def content(curves: Sequence[Curve], axes: Sequence[Axis], most: int = MOST_POINTS) -> dict[str, Any]:
    """Return what the page draws: `axes`, and of each run steps and values of each quantity, by its place in `axes`."""
    runs = []
    for curve in curves:
        lines = {}
        for place, axis in enumerate(axes):
            if points := curve.values.get(axis.name):
                kept = thin(points, most)
                lines[place] = {"x": list(kept), "y": [float(f"{y:.6g}") for y in kept.values()], "of": len(points)}
        warnings = [[step, text[:500]] for step, text in sorted(curve.warnings.items())[:50]]
        last = max(curve.epochs, default=0)
        runs.append(
            {
                "run": curve.run,
                "miniature": curve.miniature,
                "lines": lines,
                "warnings": warnings,
                "epochs_a_step": curve.epochs[last] / last if last else None,
            }
        )
    return {"axes": [vars(axis) for axis in axes], "runs": runs}
