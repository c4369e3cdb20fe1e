"""Tube masks: `tube_masks.pt`."""

from __future__ import annotations

import re

import numpy as np
import torch

from sigma_bench.contracts import UserError
from sigma_bench.pretrain.masking import masked_per_slice, tube_mask
from sigma_bench.runs.verify.vectors import Golden, load

KEY = re.compile(r"t(\d+)_g(\d+)_r([0-9.]+)")
SEEDED = ("sigma_mlp.pt", "l2_mlp_derived.pt", "sigma_dino.pt")
"""Files of the same set whose `config` states the seed that the masks were drawn with."""


def check(golden: Golden) -> None:
    """Compare counts and the mask drawn with the seed of the set."""
    seed = _seed(golden)
    for key, entry in golden.values.items():
        match = KEY.fullmatch(key)
        if match is None:
            golden.into.unknown(key, "no check for this key")
            continue
        slices, side, ratio = int(match[1]), int(match[2]), float(match[3])
        count = masked_per_slice(side * side, ratio)
        golden.into.number(f"{key}.masked_per_frame", count, entry["masked_per_frame"], 0)
        golden.into.number(f"{key}.total_masked", count * slices, entry["total_masked"], 0)
        if seed is None:
            golden.into.skipped(f"{key}.mask", f"the seed is in none of {', '.join(SEEDED)} beside the file")
        else:
            mask = tube_mask((slices, side, side), ratio, np.random.RandomState(seed))
            golden.into.exact(f"{key}.mask", torch.from_numpy(mask), entry["mask"])


def _seed(golden: Golden) -> int | None:
    for name in SEEDED:
        sibling = golden.path.with_name(name)
        if sibling.is_file():
            try:
                return int(load(sibling)["config"]["seed"])
            except (UserError, KeyError, TypeError, ValueError):
                continue  # that file has its own failed record
    return None
