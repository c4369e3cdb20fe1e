"""The loop: accumulation, exact resume, a loss that is not finite, the log."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench.contracts import UserError
from sigma_bench.train import folder, loop, state
from sigma_bench.train.incident import TrainingStopped
from sigma_bench.train.plan import Plan


class Regression:
    """y = 2x, in micro-batches whose content depends on (epoch, position) alone."""

    def __init__(self, module, per_epoch=6, batch=4, poison=None):
        self.module, self.per_epoch, self.batch, self.poison = module, per_epoch, batch, poison
        self.seen = []
        self.net, self.watch, self.surveys = module, False, False

    def batches(self, epoch, offset):
        for position in range(offset, self.per_epoch):
            yield epoch, position

    def step(self, batch):
        epoch, position = batch
        self.seen.append(batch)
        x = torch.from_numpy(np.random.default_rng((epoch, position)).normal(size=(self.batch, 3))).float()
        noise = torch.randn(()) * 0.01  # drawn from torch's generator: a resume must restore it
        loss = (
            ((self.module(x) - 2 * x.sum(1, keepdim=True)) ** 2).mean() + 0 * noise + noise * self.module.weight.sum()
        )
        if self.poison == len(self.seen):
            loss = loss * math.nan
        return {"loss": loss}

    def origin(self, batch):
        return {"epoch": batch[0], "position": batch[1]}

    def watched(self):
        return {}

    def state_dict(self):
        return {}

    def merge(self, states):
        assert states == [{}]
        return {}

    def load_state_dict(self, saved):
        assert saved == {}


def build(steps=20, accumulation=1, poison=None, per_epoch=6, save_every=5):
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    objective = Regression(module, per_epoch, poison=poison)
    optimizer = torch.optim.AdamW([{"params": list(module.parameters()), "lr_scale": 0.5}])
    plan = Plan(
        np.linspace(1e-2, 1e-3, steps), per_epoch // accumulation, accumulation, 4 * accumulation, save_every=save_every
    )
    return objective, optimizer, plan


def weights(path):
    return state.load(path)["model"]


@pytest.mark.parametrize(("stop", "accumulation"), [(5, 1), (10, 1), (5, 2), (15, 3)])
def test_resume_is_exact(tmp_path, stop, accumulation):
    straight = loop.fit(*build(20, accumulation), tmp_path / "a", {})
    objective, optimizer, plan = build(20, accumulation)
    loop.fit(objective, optimizer, plan, tmp_path / "b", {})
    kept = tmp_path / "b" / "checkpoints"
    # a run that died right after step `stop`: what it had written later is gone
    objective, optimizer, plan = build(20, accumulation)
    plan = Plan(**{**plan.__dict__, "keep": 99})
    loop.fit(objective, optimizer, plan, tmp_path / "c", {})
    for path in (tmp_path / "c" / "checkpoints").glob("*.pt"):
        if path.name > f"step-{stop:07d}.pt":
            path.unlink()
    torch.manual_seed(123)
    again = build(20, accumulation)
    resumed = loop.fit(*again, tmp_path / "c", {}, resume=folder.newest(tmp_path / "c" / "checkpoints"))
    assert resumed.name == straight.name == "step-0000020.pt"
    for name, tensor in weights(straight).items():
        assert torch.equal(tensor, weights(resumed)[name])
    lines = [json.loads(line) for line in (tmp_path / "c" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in lines] == [10, 20]
    assert len(list(kept.glob("*.pt"))) == 2


def test_accumulation_equals_one_large_batch():
    """Two micro-batches of four are one batch of eight: the same gradient to rounding."""

    class Fixed(Regression):
        def step(self, batch):
            x = torch.from_numpy(np.random.default_rng(batch).normal(size=(self.batch, 3))).float()
            return {"loss": ((self.module(x) - 2 * x.sum(1, keepdim=True)) ** 2).mean()}

    class Joined(Fixed):
        def batches(self, epoch, offset):
            for position in range(offset, self.per_epoch // 2):
                yield epoch, position

        def step(self, batch):
            epoch, position = batch
            parts = [Fixed.step(self, (epoch, 2 * position + i))["loss"] for i in (0, 1)]
            return {"loss": sum(parts) / 2}

    def last(kind, accumulation, folder):
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(module.parameters())  # Adam would hide the scale of a gradient
        plan = Plan(np.full(9, 1e-2), 3, accumulation, 8)
        return weights(loop.fit(kind(module), optimizer, plan, folder, {}))

    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        one, two = last(Joined, 1, Path(folder) / "1"), last(Fixed, 2, Path(folder) / "2")
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-6, atol=1e-7)


def test_lr_scale_is_applied(tmp_path):
    objective, optimizer, plan = build(3)
    loop.fit(objective, optimizer, plan, tmp_path, {})
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * plan.lrs[-1])


def test_nan_stops_before_the_weights_are_spoiled(tmp_path):
    objective, optimizer, plan = build(20, poison=8)
    with pytest.raises(TrainingStopped, match=r"step 8: the loss is nan.*step-0000005\.pt"):
        loop.fit(objective, optimizer, plan, tmp_path, {})
    assert all(torch.isfinite(p).all() for p in objective.module.parameters())
    assert folder.newest(tmp_path / "checkpoints").name == "step-0000005.pt"


def test_epochs_follow_each_other(tmp_path):
    objective, optimizer, plan = build(8)
    loop.fit(objective, optimizer, plan, tmp_path, {})
    assert objective.seen == [(0, i) for i in range(6)] + [(1, 0), (1, 1)]


class Surveyed(Regression):
    """Its loss is divided by the number of micro-batches that it saw together, which must be all of a step."""

    def __init__(self, module, per_epoch=6, **other):
        super().__init__(module, per_epoch, **other)
        self.surveys, self.together, self.watches = True, [], []

    def survey(self, batches):
        assert not torch.is_grad_enabled()
        self.together.append(list(batches))

    def step(self, batch):
        self.watches.append(self.watch)
        assert batch in self.together[-1]
        return super().step(batch)


def test_a_survey_sees_the_micro_batches_of_a_step_and_none_is_left_out(tmp_path):
    torch.manual_seed(0)
    objective = Surveyed(nn.Linear(3, 1))
    plan = Plan(np.full(4, 1e-2), 2, 3, 12, log_every=2)
    loop.fit(objective, torch.optim.AdamW(objective.module.parameters()), plan, tmp_path, {})
    assert objective.together == [[(e, i) for i in part] for e in (0, 1) for part in ((0, 1, 2), (3, 4, 5))]
    assert objective.watches == [False] * 3 + [True] * 3 + [False] * 3 + [True] * 3


def test_what_is_found_of_a_checkpoint_is_logged(tmp_path):
    objective, optimizer, plan = build(10, save_every=5)
    seen = []

    def on_save(path, step):
        seen.append((path.name, step, path.exists()))
        return {"eval/x": step / 2} if step == 5 else None

    loop.fit(objective, optimizer, plan, tmp_path, {}, on_save=on_save)
    assert seen == [("step-0000005.pt", 5, True), ("step-0000010.pt", 10, True)]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {"step": 5, "epoch": 0, "eval/x": 2.5} in lines


def test_a_scaled_loss_is_logged_with_the_norm_of_the_plain_gradient(tmp_path):
    class Small(Regression):  # so that nothing overflows at the first scale
        def step(self, batch):
            return {"loss": 1e-3 * super().step(batch)["loss"]}

    records = {}
    for precision in ("fp32", "fp16"):
        objective, optimizer, plan = build(1, accumulation=2)
        plan = Plan(**{**plan.__dict__, "precision": precision})
        loop.fit(Small(objective.module), optimizer, plan, tmp_path / precision, {})
        (records[precision],) = map(json.loads, (tmp_path / precision / "log.jsonl").read_text().splitlines())
    assert records["fp16"]["grad_norm"] == pytest.approx(records["fp32"]["grad_norm"], rel=1e-2)
    assert records["fp16"]["loss_scale"] == 2**16
    assert "loss_scale" not in records["fp32"]


def test_gradients_that_overflow_at_every_scale_stop_the_run(tmp_path):
    class Endless(Regression):
        def step(self, batch):
            loss = super().step(batch)["loss"]
            loss.register_hook(lambda gradient: gradient * math.inf)
            return {"loss": loss}

    objective, optimizer, plan = build(60)
    plan = Plan(**{**plan.__dict__, "precision": "fp16", "log_every": 1})
    with pytest.raises(TrainingStopped, match=r"step 31: .*norm of the gradient (inf|nan), at a loss scale of 6\.1"):
        loop.fit(Endless(objective.module), optimizer, plan, tmp_path, {})


def test_a_scaled_loss_trains_and_skips_a_step_that_overflows(tmp_path):
    objective, optimizer, plan = build(4)
    plan = Plan(**{**plan.__dict__, "precision": "fp16", "log_every": 1})
    before = objective.module.weight.detach().clone()
    last = loop.fit(objective, optimizer, plan, tmp_path, {})
    assert not torch.equal(objective.module.weight, before)
    assert state.load(last)["scaler"]["scale"] > 0


def test_a_resume_needs_the_frozen_weights_it_began_with_wherever_they_lie(tmp_path):
    begun = {"frozen": {"teacher": "a/x.pth", "teacher_digest": "1"}}
    last = loop.fit(*build(2), tmp_path, begun)
    moved = {"frozen": {"teacher": "b/x.pth", "teacher_digest": "1"}}
    assert loop.fit(*build(4), tmp_path, moved, resume=last).name == "step-0000004.pt"
    other = {"frozen": {"teacher": "a/x.pth", "teacher_digest": "2"}}
    with pytest.raises(UserError, match="a resume needs the same files"):
        loop.fit(*build(4), tmp_path, other, resume=last)


@pytest.mark.parametrize("at", [5, 10, 12])
def test_a_run_of_so_many_epochs_ends_with_the_last_though_they_are_shorter_than_planned(tmp_path, at):
    def shorter():
        objective, optimizer, plan = build(30, per_epoch=10)
        objective.per_epoch = 4
        return objective, optimizer, Plan(**{**plan.__dict__, "epochs": 3, "keep": 99})

    straight = loop.fit(*shorter(), tmp_path / "a", {})
    assert straight.name == "step-0000012.pt"
    loop.fit(*shorter(), tmp_path / "b", {})
    for path in (tmp_path / "b" / "checkpoints").glob("*.pt"):
        if path.name > f"step-{at:07d}.pt":
            path.unlink()
    parts = shorter()
    resumed = loop.fit(*parts, tmp_path / "b", {}, resume=folder.newest(tmp_path / "b" / "checkpoints"))
    assert resumed.name == straight.name
    assert len(parts[0].seen) == 12 - at
    for name, tensor in weights(straight).items():
        assert torch.equal(tensor, weights(resumed)[name])
