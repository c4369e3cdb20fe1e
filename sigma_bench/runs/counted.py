"""The counts that `sigma-bench data check` kept, as the table of data set sizes takes them."""

from __future__ import annotations

from collections.abc import Mapping

from sigma_bench.results.counted import Counted
from sigma_bench.runs.check.kept import kept

LISTS: Mapping[str, tuple[str, str, str]] = {
    "severe/ssv2": ("ssv2", "train", "val"),
    "severe/gym99": ("gym99", "train", "val"),
    "severe/ucf_1e3": ("ucf101_1000", "train", "test"),
    "severe/gym_1e3": ("gym99_1000", "train", "val"),
    "severe/fx_s1": ("fx_s1", "train", "val"),
    "severe/ub_s1": ("ub_s1", "train", "val"),
    "severe/ucf_rc": ("ucfrep", "train", "val"),
    "severe/charades": ("charades", "train", "test"),
}
"""Task -> data set, training list, test list, as the SEVERE benchmark has them."""
FOLD = 1


def counted() -> dict[str, Counted]:
    """Return for each task of the table what was counted of its lists in the last check; empty counts: no check yet."""
    found = {}
    for task, (name, train, test) in LISTS.items():
        lists = kept(name)
        counts: dict[str, int] = {}
        notes: dict[str, str] = {}
        for metric, split in (("finetuning_samples", train), ("testing_samples", test)):
            if (one := lists.get((split, FOLD))) is None:
                continue
            counts[metric] = one.listed
            missing = (
                f", {one.listed - one.usable:,} of its samples missing or unreadable" if one.usable < one.listed else ""
            )
            notes[metric] = f"list: {one.published}{missing}"
            counts["classes"] = one.classes
        found[task] = Counted(name, counts, notes)
    return found
