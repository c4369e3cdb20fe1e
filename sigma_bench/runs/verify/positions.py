"""Position tables: `pos_embed_1d_sincos.pt`."""

from __future__ import annotations

import re

from sigma_bench.models.positions import sincos_1d
from sigma_bench.runs.verify.vectors import Golden

KEY = re.compile(r"n(\d+)_d(\d+)")


def check(golden: Golden) -> None:
    """Compare every table `nTOKENS_dWIDTH`."""
    for key, table in golden.values.items():
        match = KEY.fullmatch(key)
        if match is None:
            golden.into.unknown(key, "no check for this key")
        else:
            golden.into.close(key, sincos_1d(int(match[1]), int(match[2])), table, 1e-6)
