"""A snapshot gives every process back what was its own."""

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench.contracts import UserError
from sigma_bench.data.ranks import Ranks
from sigma_bench.train import state
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Place, Plan
from sigma_bench.train.snapshot import Training


class Nothing:
    """An objective with a module and no state of its own."""

    def __init__(self):
        self.module = nn.Linear(2, 1)

    def state_dict(self):
        return {}

    def merge(self, states):
        return {}

    def load_state_dict(self, saved):
        assert saved == {}


def training(rank=0, world=1, precision="fp32", extra=None):
    objective = Nothing()
    plan = Plan(np.ones(9), 9, 1, 4, precision=precision)
    processes = Processes(Ranks(rank, world))
    return Training(objective, torch.optim.AdamW(objective.module.parameters()), plan, processes, extra or {})


def drawn(seed):
    torch.manual_seed(seed)
    found = state.rng_state()
    return found, torch.rand(3)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_draws_on_where_the_same_process_stopped(tmp_path, rank):
    states, draws = zip(drawn(1), drawn(2), strict=True)
    state.save(tmp_path / "step-0000003.pt", {**training().state(), "rng": list(states)})
    training(rank, 2).restore(tmp_path / "step-0000003.pt")
    assert torch.equal(torch.rand(3), draws[rank])


def test_other_processes_than_before_draw_each_their_own(tmp_path):
    state.save(tmp_path / "step-0000003.pt", training().state())
    found = []
    for rank in range(2):
        training(rank, 2).restore(tmp_path / "step-0000003.pt")
        found.append(torch.rand(3))
    assert not torch.equal(*found)


def test_the_scale_of_fp16_losses_is_taken_back(tmp_path):
    before = training(precision="fp16")
    before.scaler.load_state_dict({**before.scaler.state_dict(), "scale": 512.0, "_growth_tracker": 7})
    state.save(tmp_path / "step-0000003.pt", before.state())
    after = training(precision="fp16")
    assert after.scaler.get_scale() != 512.0
    after.restore(tmp_path / "step-0000003.pt")
    assert after.scaler.state_dict() == before.scaler.state_dict()


def test_other_frozen_parts_are_refused(tmp_path):
    began = {"frozen": {"teacher": "a.pth", "teacher_digest": "one"}}
    state.save(tmp_path / "step-0000003.pt", training(extra=began).state())
    with pytest.raises(UserError, match="the run was begun with"):
        training(extra={"frozen": {**began["frozen"], "teacher_digest": "another"}}).restore(
            tmp_path / "step-0000003.pt"
        )


def test_a_frozen_part_that_was_moved_is_the_same(tmp_path):
    before = training(extra={"frozen": {"teacher": "a.pth", "teacher_digest": "one"}})
    before.place = Place(3, 1, 2)
    state.save(tmp_path / "step-0000003.pt", before.state())
    after = training(extra={"frozen": {"teacher": "b.pth", "teacher_digest": "one"}})
    after.restore(tmp_path / "step-0000003.pt")
    assert after.place == Place(3, 1, 2)


@pytest.mark.parametrize("spoilt", [{"model": {}}, {"rng": 3}, {"optimizer": {}}, {"into_epoch": None, "step": None}])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, spoilt):
    path = tmp_path / "step-0000003.pt"
    found = {**training().state(), **spoilt}
    state.save(path, {name: value for name, value in found.items() if value is not None})
    with pytest.raises(UserError, match="does not hold a training of this model"):
        training().restore(path)
