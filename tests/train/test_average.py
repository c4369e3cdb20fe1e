"""The running average of weights."""

import pytest
import torch
from torch import nn

from sigma_bench.train.average import averaged


def test_average_follows_the_recurrence_and_survives_a_restart():
    model = nn.Linear(2, 1, bias=False)
    average = averaged(model, 0.75)
    expected = None
    for step in range(5):
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[step**2, -step]]))
        average.update_parameters(model)
        now = model.weight.detach().clone()
        expected = now if expected is None else 0.75 * expected + 0.25 * now
        again = averaged(model, 0.75)
        again.load_state_dict(average.state_dict())
        average = again
    assert torch.allclose(average.module.weight, expected)
    assert torch.equal(average(torch.eye(2)), average.module(torch.eye(2)))


def test_the_model_is_left_alone():
    model = nn.Linear(2, 1)
    before = model.weight.detach().clone()
    average = averaged(model, 0.9)
    average.update_parameters(model)
    average.module.weight.data.zero_()
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_an_error(decay):
    with pytest.raises(ValueError, match="less than 1"):
        averaged(nn.Linear(1, 1), decay)
