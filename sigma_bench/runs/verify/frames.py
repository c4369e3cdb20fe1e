"""Frame sampling: `frame_sampling.json`."""

from __future__ import annotations

import numpy as np
import torch

from sigma_bench.runs.verify.vectors import Golden


def check(golden: Golden) -> None:
    """Compare the frames of pretraining clips; each case has its own seed."""
    from sigma_bench.data import clips

    for key, cases in golden.values.items():
        if key != "pretrain":
            golden.into.unknown(key, "no check for this key yet")
            continue
        ours, expected = [], []
        for case in cases:
            rng = np.random.RandomState(case["np_seed"])
            indices = clips.pretraining(case["n_frames"], len(case["indices"]), case["stride"], rng)
            ours.append(torch.from_numpy(np.asarray(indices)))
            expected.append(torch.tensor(case["indices"]))
        golden.into.exact(f"{key} ({len(cases)} cases)", torch.stack(ours), torch.stack(expected))
