"""The network phi that projects the target tubes into the space of the prototypes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn


class MlpProjector(nn.Sequential):
    """Linear layers with GELU between, no norms; its parameters are named `0`, `2`, `4`, ... as in released files.

    Args:
        in_dim: Width of a target tube.
        hidden: Hidden widths, one a layer before the last.
        out_dim: Width of the prototypes.
    """

    def __init__(self, in_dim: int, hidden: Sequence[int], out_dim: int) -> None:
        layers: list[nn.Module] = []
        widths = (in_dim, *hidden, out_dim)
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU()]
        super().__init__(*layers[:-1])
