"""A network that learns in its folder, by all processes together: begun, gone on with, or found to be over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sigma_bench.data.ranks import Ranks
from sigma_bench.evaluators import classifier_run
from sigma_bench.progress import say
from sigma_bench.train import state as states
from sigma_bench.train.distributed import Processes, together

Train = Callable[[Processes, Path | None], None]
"""Trains from a checkpoint on, None to begin, and ends with `classifier_run.finish`."""


def trained_once(
    net: nn.Module, folder: Path, content: Mapping[str, Any], ranks: Ranks, device: str, train: Train
) -> dict[str, Any]:
    """Give a network the weights of its training, and return what is to be known of that.

    Every process calls this. What is over is not done again; what was begun is gone on with, on however many processes.

    Args:
        net: Takes the weights.
        folder: The folder of the training, which all processes see.
        content: All that the trained weights depend on.
        ranks: The processes.
        device: Of this process.
        train: Called where the training is not over.

    Raises:
        UserError: The folder is damaged, or the training cannot go on.
        Stopped: A signal asked for the end; what was trained is saved.
    """
    leader = ranks.rank == 0
    there, start = ranks.together(lambda: classifier_run.standing(folder, content) if leader else None)[0]
    if not there:
        with together(ranks, device) as processes:
            train(processes, Path(start) if start else None)
    elif leader:
        say(f"{folder / classifier_run.RESULT}: trained already, only tested")
    kept = states.load(folder / classifier_run.RESULT)
    net.load_state_dict(kept["model"])
    net.to(device)
    ranks.barrier()
    if leader:
        classifier_run.clear(folder)
    return dict(kept["record"])
