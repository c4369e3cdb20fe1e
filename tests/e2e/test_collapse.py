"""Whole runs on the miniature: those that collapse are told, the healthy ones are not."""

import json

import pytest

from sigma_bench.runs.pretrain import Request, pretrain
from sigma_bench.train import state

CONSTANT, UNIFORM, FEW = "constant targets", "loss of uniform assignments", "few prototypes used"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "sets", "expected"),
    [
        ("sigma_l2", [], [CONSTANT]),
        ("sigma_mlp", [], []),
        ("videomae", [], []),
        ("sigma_mlp", ["train.base_lr=0.8"], [CONSTANT, FEW]),
        ("sigma_mlp", ["clustering.epsilon=3.0", "clustering.assignments=soft"], [CONSTANT, UNIFORM]),
    ],
)
def test_a_collapse_is_told_and_health_is_not(tmp_path, data_root, recipe, sets, expected):
    last = pretrain(Request(recipe, "miniature", "nano", out=tmp_path / "run", data_root=data_root, device="cpu",
                            workers=1, boards=(), sets=["train.threads=1", *sets]))  # fmt: skip
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").open()]
    assert len([r for r in records if "warning" in r]) == len(expected)
    marks = state.load(last)["warnings"]
    assert [mark.removeprefix("collapse: ").partition(" from step ")[0] for mark in marks] == expected
