"""Which epoch is the best, and what a training that goes on finds of those before."""

import json

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.evaluators.epochs import BEST, SCORES, Epochs, best_of
from sigma_bench.train import state as states


def weights(value):
    module = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(module.weight, value)
    return module


def epochs(folder, scores):
    given = iter(scores)
    return Epochs(folder, 10, lambda _: next(given))


def test_the_first_of_equal_epochs_is_the_best(tmp_path):
    judging = epochs(tmp_path, [50.0, 70.0, 70.0, 60.0])
    for step in (5, 10, 20, 25, 30, 40):
        found = judging.judge(weights(step), step)
        assert (found is None) == (step % 10 != 0)
    assert [one["score"] for one in judging.scores] == [50.0, 70.0, 70.0, 60.0]
    epoch, state = judging.best()
    assert epoch == 2
    assert state["weight"].item() == 20
    assert best_of(judging.scores) == 2


def test_an_epoch_is_judged_once(tmp_path):
    epochs(tmp_path, [50.0]).judge(weights(1), 10)
    again = epochs(tmp_path, [])
    assert again.judged(10)
    assert again.judged(11)
    assert not again.judged(20)
    assert again.judge(weights(2), 10) is None
    assert again.best()[1]["weight"].item() == 1


def test_weights_written_before_a_kill_are_written_again(tmp_path):
    judging = epochs(tmp_path, [50.0])
    states.save(tmp_path / BEST, {"model": weights(9).state_dict(), "epoch": 1})  # the scores were not reached
    judging.judge(weights(1), 10)
    assert judging.best()[1]["weight"].item() == 1


def test_damaged_files_are_named(tmp_path):
    judging = epochs(tmp_path, [50.0, 60.0])
    judging.judge(weights(1), 10)
    (tmp_path / SCORES).write_text("{")
    with pytest.raises(UserError, match=r"epochs.json: damaged"):
        judging.judge(weights(2), 20)
    (tmp_path / SCORES).write_text(json.dumps({"epochs": [{"epoch": 4, "score": 99.0}]}))
    with pytest.raises(UserError, match="holds epoch 1, the best is 4"):
        judging.best()
