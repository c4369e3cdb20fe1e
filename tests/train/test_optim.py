"""Parameter groups and schedules (their golden vectors are checked by tests/runs/verify)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.models.masked import masked_model
from sigma_bench.models.vit import VideoViT
from sigma_bench.train.optim import adamw, finetuning_groups, norms_apart, pretraining_groups, sgd
from sigma_bench.train.schedule import cosine_with_warmup, stepped_with_warmup


def test_groups_hold_every_trainable_parameter_once():
    model = masked_model("nano", out_dim=8, image_size=32, frames=4, prototypes=5)
    model.encoder.patch_embed.requires_grad_(False)
    plain, decayed = pretraining_groups(model, 0.05)
    held = [id(p) for g in (plain, decayed) for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert plain["weight_decay"] == 0
    assert decayed["weight_decay"] == 0.05
    assert "mask_token" in plain["names"]
    assert "prototypes" in decayed["names"]
    assert adamw([plain, decayed], 1e-3).defaults["betas"] == (0.9, 0.95)


def test_a_model_of_vectors_alone_has_one_group():
    assert len(pretraining_groups(torch.nn.LayerNorm(4), 0.05)) == 1


def test_peak_is_held_for_two_steps_and_the_end_stays_above_final():
    values = cosine_with_warmup(1.0, 0.1, 20, 5)
    assert values.shape == (20,)
    assert values[0] == 0
    assert values[4] == values[5] == values.max() == 1
    assert 0.1 < values[-1] < 0.12
    assert (np.diff(values[5:]) < 0).all()


@pytest.mark.parametrize(("total", "warmup"), [(0, 0), (3, 3), (1, 1), (1, 0)])
def test_short_schedules(total, warmup):
    assert len(cosine_with_warmup(1.0, 0.0, total, warmup)) == total


@pytest.mark.parametrize("warmup", [-1, 11])
def test_a_warm_up_that_does_not_fit_is_an_error(warmup):
    with pytest.raises(ValueError, match="does not fit"):
        cosine_with_warmup(1.0, 0.0, 10, warmup)


def test_finetuning_groups_hold_every_trainable_parameter_once():
    model = VideoViT(16, 8, 2, 2, 12, 3, 2)
    model.patch_embed.proj.bias.requires_grad_(False)
    groups = finetuning_groups(model, 0.05, 0.75, model.layer_of, 4)
    held = [id(p) for g in groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert sorted({g["lr_scale"] for g in groups}) == [0.75**k for k in (4, 3, 2, 1, 0)]
    one_rate = finetuning_groups(model, 0.05, 1.0, model.layer_of, 4)
    assert {g["lr_scale"] for g in one_rate} == {1}


@pytest.mark.parametrize(
    ("decay", "last", "message"), [(0.0, 4, "at most 1"), (1.1, 4, "at most 1"), (0.5, 2, "of layer 3")]
)
def test_a_decay_or_a_layer_out_of_range_is_an_error(decay, last, message):
    model = VideoViT(16, 8, 2, 2, 12, 3, 2)
    with pytest.raises(ValueError, match=message):
        finetuning_groups(model, 0.05, decay, model.layer_of, last)


def test_steps_begin_with_their_epoch_and_the_warm_up_ends_at_the_base():
    at = np.array([0, 1, 2, 2.5, 4, 4.999, 5, 9, 9.5, 30])
    found = stepped_with_warmup(at, 1.0, (5, 9), (0.5, 0.1), warmup_epochs=2, start=0.2)
    assert found == pytest.approx([0.2, 0.6, 1, 1, 1, 1, 0.5, 0.1, 0.1, 0.1])


def test_a_warm_up_past_a_step_runs_to_the_value_behind_it():
    found = stepped_with_warmup(np.array([0.0, 1, 2, 3]), 1.0, (1,), (0.5,), warmup_epochs=2, start=0)
    assert found == pytest.approx([0, 0.25, 0.5, 0.5])


@given(st.lists(st.integers(1, 30), unique=True, max_size=4), st.floats(0.05, 0.9), st.integers(1, 40))
def test_powers_of_one_factor_are_the_schedule_of_torch(steps, gamma, epochs):
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=0.3)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, sorted(steps), gamma)
    wanted = []
    for _ in range(epochs):
        wanted.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    factors = [gamma ** (k + 1) for k in range(len(steps))]
    assert stepped_with_warmup(np.arange(epochs) * 1.0, 0.3, sorted(steps), factors) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("steps", "factors", "warmup"),
    [((1, 2), (0.1,), 0), ((2, 2), (0.5, 0.1), 0), ((3, 2), (0.5, 0.1), 0), ((), (), -1)],
)
def test_schedules_of_steps_that_make_no_sense_are_errors(steps, factors, warmup):
    with pytest.raises(ValueError, match="expected"):
        stepped_with_warmup(np.zeros(1), 1.0, steps, factors, warmup)


class Normed(torch.nn.Module):
    """A few layers, two of them norms, one parameter of its own, one frozen."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.zeros(1, 3, 4))
        self.linear = torch.nn.Linear(4, 4)
        self.norm = torch.nn.LayerNorm(4)
        self.inner = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 1), torch.nn.BatchNorm3d(4))
        self.frozen = torch.nn.Linear(4, 4).requires_grad_(False)


def test_only_norms_are_not_decayed():
    groups = {group["weight_decay"]: set(group["names"]) for group in norms_apart(Normed(), 1e-4)}
    assert groups[0.0] == {"norm.weight", "norm.bias", "inner.1.weight", "inner.1.bias"}
    assert groups[1e-4] == {"table", "linear.weight", "linear.bias", "inner.0.weight", "inner.0.bias"}
    assert [group["weight_decay"] for group in norms_apart(torch.nn.Linear(2, 2), 0.1)] == [0.1]


def test_norms_of_the_encoder_are_found():
    groups = norms_apart(VideoViT(16, 8, 2, 2, 12, 2, 2), 1.0)
    undecayed = {name for group in groups if not group["weight_decay"] for name in group["names"]}
    assert undecayed == {name for group in groups for name in group["names"] if "norm" in name}
    assert len(undecayed) == 10


def test_sgd_takes_nesterov_steps():
    weight = torch.nn.Parameter(torch.tensor(1.0))
    optimizer = sgd([{"params": [weight], "weight_decay": 0.1}], 0.5, 0.9)
    value, velocity = 1.0, 0.0
    for _ in range(3):
        optimizer.zero_grad()
        (weight * 2).backward()
        optimizer.step()
        gradient = 2 + 0.1 * value
        velocity = 0.9 * velocity + gradient
        value -= 0.5 * (gradient + 0.9 * velocity)
        assert weight.item() == pytest.approx(value)
    assert sgd([{"params": [weight]}], 0.1, 0.0).param_groups[0]["nesterov"] is False
