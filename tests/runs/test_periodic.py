# ruff: noqa: NPY002
"""Evaluation during a training: what is due, what is told, and that the training does not notice."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.runs import periodic
from sigma_bench.runs.periodic import Periodic, untouched

TASK = "controls/category_8"


@pytest.fixture
def due(tmp_path):
    return Periodic((TASK,), 20, tmp_path, "miniature")


def disturb():
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    torch.rand(3), np.random.rand(), random.random()
    torch.set_num_threads(3)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark


def drawn():
    return float(torch.rand(())), float(np.random.rand()), random.random()


def modes():
    return (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
            torch.backends.cudnn.benchmark)  # fmt: skip


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_otherwise(fails):
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    before, expected = modes(), drawn()
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    try:
        with untouched():
            disturb()
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert drawn() == expected
    assert modes() == before


def test_only_what_is_due_is_measured(due, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Periodic, "_measure", lambda self, path, step: seen.append((path, step)) or {"eval/x/top1": 1.0}
    )
    given = [due(Path(f"{step}.pt"), step) for step in (10, 20, 30, 40, 50)]
    assert [step for _, step in seen] == [20, 40]
    assert [found is None for found in given] == [True, False, True, False, True]
    assert given[1]["eval/x/top1"] == 1.0
    assert given[1]["eval_seconds"] >= 0


@pytest.mark.parametrize("error", [UserError("no such file"), ValueError("odd"), MemoryError("full")])
def test_a_failure_is_told_and_logged_and_ends_nothing(due, monkeypatch, capsys, error):
    def fail(request):
        disturb()
        raise error

    monkeypatch.setattr(periodic, "evaluate_here", fail)
    before = modes()
    found = due(Path("x.pt"), 20)
    assert found["warning"] == f"the evaluation of step 20 failed: {type(error).__name__}: {error}"
    assert "the training goes on" in capsys.readouterr().err
    assert modes() == before


def test_an_interrupt_is_no_failure(due, monkeypatch):
    def stop(request):
        raise KeyboardInterrupt

    monkeypatch.setattr(periodic, "evaluate_here", stop)
    with pytest.raises(KeyboardInterrupt):
        due(Path("x.pt"), 20)


def test_a_task_without_a_value_is_told(due, monkeypatch, tmp_path):
    (tmp_path / "x.pt").write_bytes(b"")
    monkeypatch.setattr(periodic, "evaluate_here", lambda request: 1)
    assert due(tmp_path / "x.pt", 20)["warning"] == f"the evaluation of step 20 gave no value for {TASK}"


@pytest.mark.parametrize(
    ("task", "said"), [("linear/ucf101", "no data for linear/ucf101"), ("linear/none", "linear/none")]
)
def test_tasks_are_looked_at_before_the_training(tmp_path, task, said):
    with pytest.raises(UserError, match=said):
        Periodic((task,), 20, tmp_path, "k400", data_root=tmp_path)
