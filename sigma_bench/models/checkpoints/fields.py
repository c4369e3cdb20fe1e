"""Values of a description that others wrote, taken only where they are what they should be."""

from __future__ import annotations

from typing import Any

LARGEST = 1e6
Triple = tuple[float, float, float]


def is_number(value: Any) -> bool:
    """Tell a finite number of ordinary size from anything else, truth values among it."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def fraction(value: Any) -> float | None:
    """Return a number above 0 and below 1, None for anything else."""
    return float(value) if is_number(value) and 0 < value < 1 else None


def triple(value: Any) -> Triple | None:
    """Return three numbers, one a colour channel; None for anything else."""
    if not isinstance(value, (list, tuple)) or len(value) != 3 or not all(is_number(entry) for entry in value):
        return None
    red, green, blue = map(float, value)
    return red, green, blue
