"""The folder `checkpoint-N` that DeepSpeed writes: one file of weights a rank of model parallelism."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError

STATES = "mp_rank_*_model_states.pt"


def weights_file(path: Path) -> Path:
    """Return the file of weights in a DeepSpeed folder, and any other path as it is.

    Raises:
        UserError: The weights are divided over several files.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob(STATES))
    if len(found) > 1:
        raise UserError(
            f"{path}: its weights are divided over {len(found)} files ({found[0].name}, ...); join them "
            "with DeepSpeed's zero_to_fp32.py and name the file it writes"
        )
    return found[0] if found else path
