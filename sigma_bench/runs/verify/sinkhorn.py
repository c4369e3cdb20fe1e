"""Balanced assignments: `sinkhorn_single.pt`, `sinkhorn_2rank.pt`."""

from __future__ import annotations

import re

import torch

from sigma_bench.losses.sinkhorn import sinkhorn
from sigma_bench.runs.verify.vectors import Golden

KEY = re.compile(r"(.+)\.q\.eps([0-9.]+)\.it(\d+)")
TOLERANCE = 1e-5


def check(golden: Golden) -> None:
    """Compare every `NAME.q.epsE.itI` with our assignments of `NAME.scores`."""
    for key, q in golden.values.items():
        match = KEY.fullmatch(key)
        if match:
            scores = golden.values[f"{match[1]}.scores"].to(golden.device)
            golden.into.close(key, sinkhorn(scores, float(match[2]), int(match[3])), q, TOLERANCE)
        elif not key.endswith(".scores"):
            golden.into.unknown(key, "no check for this key")


def check_ranks(golden: Golden) -> None:
    """Compare what two processes computed with our assignments of the union of their tokens."""
    values = golden.values
    ranks = sorted(key for key in values if key.startswith("scores.rank"))
    scores = torch.cat([values[key] for key in ranks]).to(golden.device)
    for key, q in values.items():
        match = KEY.fullmatch(key)
        if match is None:
            if key not in ranks:
                golden.into.unknown(key, "no check for this key")
            continue
        ours = sinkhorn(scores, float(match[2]), int(match[3]))
        if match[1].startswith("rank"):
            parts = torch.split(ours, [len(values[rank]) for rank in ranks])
            ours = parts[ranks.index(f"scores.{match[1]}")]
        golden.into.close(key, ours, q, TOLERANCE)
