"""Two rows -> which of what a row stores differs, in groups of what explains a number, and what does not matter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sigma_bench.results import settings
from sigma_bench.results.listing import plainly, shown_value
from sigma_bench.results.row import Row

WEIGHTS = "weights"
SETTINGS = "task and settings"
EXPLAINS: dict[str, tuple[str, ...]] = {
    WEIGHTS: ("checkpoint_sha256",),
    "reading of the checkpoint": ("family", "backbone", "frames", "params_m"),
    SETTINGS: ("task", "task_version", "metric", "evaluator", "profile", "settings_sha256", "views", "limit"),
    "settings chosen on held-out data": ("selection",),
    "lists": (
        *("data", "train_sha256", "train_count", "train_present", "test_sha256", "test_count"),
        *("n_expected", "n_present", "n_decoded"),
    ),
    "decoder": ("decoder", "decoder_version"),
    "precision": ("precision",),
    "package, torch and device": ("package_version", "git_commit", "torch_version", "device"),
    "seed": ("seed",),
}
"""Groups of columns that explain why two numbers differ."""
FOUND = ("value", "value_missing_wrong", "interval_low", "interval_high", "status", "error", "marks")
"""What came out."""
NAMES = (
    *("source", "family_guessed", "system", "method", "variant", "pretrain_data", "epochs", "step", "steps"),
    *("extra_data", "motion_guidance"),
)
"""What weights are called and where they are from: tells of other weights, and nothing where they are the same."""
IDLE = ("schema_version", "measured_at", "suite", "seconds", "artifacts")
"""What explains no number."""
LONGEST = 100
_ABSENT = object()


def differences(one: Row, other: Row) -> dict[str, list[str]]:
    """Return group -> the names of its columns that differ, for the groups that explain a number."""
    found = {group: differing(one, other, names) for group, names in EXPLAINS.items()}
    return {group: names for group, names in found.items() if names}


def differing(one: Row, other: Row, names: tuple[str, ...]) -> list[str]:
    """Return those of `names` whose values differ."""
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def report(one: Row, other: Row, folder: Path) -> Iterator[str]:
    """Yield lines that explain the difference of two rows.

    Args:
        one: A row.
        other: The row it is compared with.
        folder: The folder of the row files, where the settings are kept.

    Raises:
        UserError: The kept settings were edited.
    """
    yield f"A  {one.id}  {one.system}  {one.metric} {shown_value(one)}"
    yield f"B  {other.id}  {other.system}  {other.metric} {shown_value(other)}"
    if one.value is not None and other.value is not None and one.metric == other.metric:
        yield f"B - A  {other.value - one.value:+.4g}"
    groups = differences(one, other)
    for group, names in groups.items():
        yield ""
        yield f"{group}:"
        for name in (*names, *(differing(one, other, NAMES) if group == WEIGHTS else ())):
            yield from _column(name, getattr(one, name), getattr(other, name))
        if "settings_sha256" in names:
            yield from _settings(one, other, folder)
    yield ""
    if groups:
        yield f"what differs and explains a number: {', '.join(groups)}"
    else:
        yield "nothing that explains a number differs: what is left is chance, such as the order of sums on a GPU"
    if same := [group for group in EXPLAINS if group not in groups]:
        yield f"the same: {', '.join(same)}"
    idle = IDLE if WEIGHTS in groups else (*NAMES, *IDLE)
    for title, names in (("what came out", differing(one, other, FOUND)), ("no matter", differing(one, other, idle))):
        if names:
            yield f"{title}:"
            for name in names:
                yield from _column(name, getattr(one, name), getattr(other, name))


def flat(content: Any, path: str = "") -> dict[str, Any]:
    """Return dotted key -> value of nested mappings and of lists that hold some; an empty one is a value."""
    if isinstance(content, dict) and content:
        items = content.items()
    elif isinstance(content, list) and any(isinstance(item, dict) for item in content):
        items = {str(number): item for number, item in enumerate(content)}.items()
    else:
        return {path: content}
    return {key: value for name, inner in items for key, value in flat(inner, f"{path}.{name}".strip(".")).items()}


def _column(name: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        yield from keys(name, one, other)
    else:
        yield f"  {name}: {_text(one)} | {_text(other)}"


def keys(name: str, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each dotted key whose values differ, `name: key: one | other`."""
    first, second = flat(one) if one else {}, flat(other) if other else {}
    for key in dict.fromkeys((*first, *second)):
        a, b = first.get(key, _ABSENT), second.get(key, _ABSENT)
        if a is _ABSENT or b is _ABSENT or a != b:
            yield f"  {name}: {plainly(key)}: {_text(a)} | {_text(b)}"


def _settings(one: Row, other: Row, folder: Path) -> Iterator[str]:
    first, second = settings.read(folder, one), settings.read(folder, other)
    if first is None or second is None:
        without = " and ".join(name for name, content in (("A", first), ("B", second)) if content is None)
        yield f"  the settings of {without} were not kept, so they cannot be compared one by one"
        return
    lines = list(keys("setting", first, second))
    yield from lines or ["  the kept tasks are alike: the file was read otherwise, or the generated data are others"]


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "(not there)"
    if value is None or value == "":
        return "(empty)"
    text = plainly(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."
