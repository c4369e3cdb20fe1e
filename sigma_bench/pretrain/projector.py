"""The network phi that projects the target tubes into the space of the prototypes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

RELEASED_HIDDEN = (1024, 1024, 512)
"""Hidden widths of the released code, which has four linear layers."""


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


def hidden_widths(layers: int, hidden: int) -> tuple[int, ...]:
    """Return the hidden widths of a projector with that many linear layers.

    Up to three layers all are `hidden` wide (the paper's text); from four on the last one is half of it (the released
    code: 1024, 1024, 512).

    Raises:
        ValueError: No layer at all.
    """
    if layers < 1:
        raise ValueError(f"a projector needs at least one layer, not {layers}")
    wide = (hidden,) * (layers - 1)
    return wide if layers < 4 else (*wide[:-1], hidden // 2)
