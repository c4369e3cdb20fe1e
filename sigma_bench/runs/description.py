"""What the rows of a pretrained encoder say of it, and when they carry the name of a published system."""

from __future__ import annotations

from typing import Any

from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_target import TeacherTarget

HARMLESS = frozenset(
    f"train.{name}"
    for name in (
        *("seed", "log_every", "save_every", "keep", "keep_every", "eval_every", "eval_tasks"),
        *("threads", "compile", "checkpointing", "precision"),
    )
)
"""Settings that may differ from the recipe's while the run still is the published system."""
REPORTED_EPOCHS = {801: 800, 1601: 1600, 2401: 2400}
"""The released schedules span one epoch more than the paper counts."""
DATA_NAMES = {"k400": "K400", "ssv2": "SSv2", "mini_ssv2": "mini SSv2"}
"""Official pretraining data as the published tables spell them."""
ENOUGH = 0.99
"""Share of the training list that a run of the published system needs."""
DEFAULT_PROFILE = "released"
"""The profile that a name leaves out."""


def run_name(recipe: Recipe) -> str:
    """Return the recipe's name, with its profile where that is not `released` ("ablations/loss.l2")."""
    profile = recipe.resolved.profile
    return recipe.name if profile in (None, DEFAULT_PROFILE) else f"{recipe.name}.{profile}"


def description(recipe: Recipe, data: str, own: bool) -> dict[str, Any]:
    """Return the cells that rows take from a pretraining run.

    The method of the published tables, by which rows join, stands there only for what the recipe says reproduces a
    published row: official data, a recipe of this package, a combination of its overlays that names such rows, and no
    setting changed that could matter.

    Args:
        recipe: The resolved recipe.
        data: Kind of data: a data set, `miniature` or `folder`.
        own: Whether the recipe is a file from outside the package.
    """
    changed = [text for text in recipe.resolved.sets if not harmless(text.partition("=")[0].strip(), recipe)]
    official = data in DATA_NAMES and bool(recipe.published) and not changed and not own
    return {
        "system": run_name(recipe),
        "method": recipe.method if official else "",
        "variant": recipe.variant if official else ", ".join(changed),
        "pretrain_data": DATA_NAMES.get(data, data),
        "epochs": reported_epochs(recipe),
        "extra_data": _extra_data(recipe, changed),
        "motion_guidance": "yes" if recipe.mask.kind == "motion" else "no",
        "pretrain_seed": recipe.train.seed,
    }


def harmless(setting: str, recipe: Recipe) -> bool:
    """Return whether a changed setting leaves the run what it was, up to rounding and chance.

    The micro-batch is such a setting unless assignments are balanced within it.
    """
    if setting == "train.micro_batch":
        return recipe.clustering is None or recipe.clustering.balance == "step"
    return setting in HARMLESS


def reported_epochs(recipe: Recipe) -> str:
    """Return the length in the counting of the papers: passes over the data, each repeat of a video being one."""
    epochs = recipe.train.epochs
    if epochs is None:
        return f"{recipe.train.steps} steps"
    return str(REPORTED_EPOCHS.get(epochs, epochs) * recipe.clips.repeats)


def without_name(described: dict[str, Any], there: int, listed: int) -> dict[str, Any]:
    """Return the description without the published method where too little of the training list is there."""
    if not described["method"] or there >= ENOUGH * listed:
        return described
    return {**described, "method": "", "variant": f"{there} of {listed} training videos"}


def _extra_data(recipe: Recipe, changed: list[str]) -> str:
    """Return the data of the teacher; nothing is known of another teacher than the recipe's."""
    untrained = isinstance(recipe.target, TeacherTarget) and recipe.target.weights == "random"
    return "" if untrained or any(text.startswith("target.") for text in changed) else recipe.extra_data
