"""The numbers of a training log: one table that the log, TensorBoard, the curves and the documentation share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

EVAL = "eval/"
"""What was measured of a checkpoint begins so: `eval/linear/ucf101/top1`."""
EPOCHS = "epochs"
"""Key of how often the data were passed over, with the part of the last time."""
PLACE = ("step", "epoch", EPOCHS)
"""Keys that say where in the run a record is."""
WARNING = "warning"
"""Key of a record that carries a warning, in words."""


class Quantity(NamedTuple):
    """A logged number: the part of the training it tells of, a title, its unit (empty: none), and what it is."""

    part: str
    title: str
    unit: str
    meaning: str


QUANTITIES: dict[str, Quantity] = {
    "loss": Quantity("loss", "loss", "", "The loss of the optimiser step, mean over its micro-batches and processes."),
    "loss1": Quantity(
        "loss", "loss, targets predict", "nats", "The half of SIGMA's loss in which the projected targets predict."
    ),
    "loss2": Quantity(
        "loss", "loss, decoder predicts", "nats", "The half of SIGMA's loss in which the decoder predicts."
    ),
    "from_uniform": Quantity(
        "collapse", "loss minus 2 ln K", "nats", "Loss minus that of uniform assignments, 2 ln K."
    ),
    "used_prototypes": Quantity(
        "collapse", "prototypes used", "share", "Prototypes that are the likeliest one of some token."
    ),
    "usage_entropy": Quantity(
        "collapse", "entropy of prototype use", "of ln K", "Entropy of how often each is the likeliest; 1: balanced."
    ),
    "assignment_entropy": Quantity(
        "collapse", "entropy of an assignment", "of ln K", "Mean entropy of a token's assignment; 0: hard, 1: uniform."
    ),
    "target_std": Quantity(
        "collapse", "spread of targets", "", "Deviation of unit-length targets; 0: all the same, 1: spread."
    ),
    "prediction_std": Quantity("collapse", "spread of predictions", "", "The same of what the decoder predicts."),
    "target_std_raw": Quantity(
        "collapse",
        "deviation of target channels",
        "",
        "Root mean square deviation of a channel of the targets as they are.",
    ),
    "grad_norm": Quantity(
        "optimiser", "norm of the gradient", "", "Norm of the gradient of all parameters, before clipping."
    ),
    "loss_scale": Quantity(
        "optimiser", "scale of the loss", "", "Factor of the loss in fp16; halved where gradients overflow."
    ),
    "lr": Quantity(
        "optimiser", "learning rate", "", "Learning rate of the step, before the scale of a parameter group."
    ),
    "clips_per_s": Quantity(
        "speed", "speed", "clips/s", "Clips trained on a second since the record before, by all processes."
    ),
    "wait_share": Quantity(
        "speed", "time waiting for data", "share", "Share of that time spent waiting for decoded clips."
    ),
    "eval_seconds": Quantity(
        "speed", "time of an evaluation", "s", "Seconds that the evaluation of the checkpoint of this step took."
    ),
    "memory_gib": Quantity("memory", "memory, at most", "GiB", "Largest memory of the training process so far."),
    "gpu_memory_gib": Quantity(
        "memory", "GPU memory, at most", "GiB", "Largest memory that tensors took on the GPU so far."
    ),
}
"""Name -> quantity, in the order they are shown.

Of several processes: prototypes are counted and spreads measured over all of them, the memory is the largest one's, all
else the mean.
"""

PARTS = ("loss", "collapse", "eval", "optimiser", "speed", "memory", "other")
"""The order of the parts."""


def quantity(name: str) -> Quantity:
    """Return what a logged number is; of another package's objective only the name is known."""
    if name.startswith(EVAL):
        return Quantity(
            "eval",
            name.removeprefix(EVAL),
            "",
            f"{name.removeprefix(EVAL)} of the checkpoint of this step, in the task's unit.",
        )
    return QUANTITIES.get(name, Quantity("other", name, "", ""))


def tag(name: str) -> str:
    """Return the name under which boards group a number: `collapse/used_prototypes`."""
    return name if name.startswith(EVAL) else f"{quantity(name).part}/{name}"


def ordered(names: Iterable[str]) -> list[str]:
    """Return names in the order in which they are shown: by part, known ones first, then by the alphabet."""
    known = list(QUANTITIES)
    places = {name: known.index(name) if name in QUANTITIES else len(known) for name in names}
    return sorted(places, key=lambda name: (PARTS.index(quantity(name).part), places[name], name))


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """Return what makes a curve of a record: its finite numbers, but for its place in the run."""
    return {
        name: float(value)
        for name, value in record.items()
        if name not in PLACE and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
