"""How far from the printed number still is reproduced: the schema of `results/published/tolerances.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sigma_bench.spec import load, roots
from sigma_bench.spec.base import Positive, Spec


class Tolerances(Spec):
    """Tolerances of the tables of the paper."""

    version: Literal[1]
    tolerances: dict[str, dict[str, Positive]]
    """Table -> key of its columns -> largest absolute difference, in the unit of the column."""


def tolerances(*, specs: Path | None = None) -> Tolerances:
    """Return the tolerances that are found."""
    return tolerances_file(roots.find("published", "tolerances.yaml", specs=specs))


def tolerances_file(path: Path) -> Tolerances:
    """Return the tolerances in a file."""
    return load.build(Tolerances, load.load_yaml(path))
