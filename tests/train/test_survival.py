"""What a run survives, and what is left of it: notices to stop, full disks, damaged files, losses not finite."""

import errno
import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench.contracts import Stopped, UserError
from sigma_bench.data.ranks import Ranks
from sigma_bench.train import folder, incident, loop, state
from sigma_bench.train.distributed import Processes
from sigma_bench.train.keeper import Keeper
from sigma_bench.train.plan import Plan
from sigma_bench.train.snapshot import Training

SIGNALS = [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]


class Regression:
    """y = 2x and noise, in six micro-batches an epoch; what it is given at number `poison` has no finite loss."""

    net = None
    watch = surveys = False

    def __init__(self, module, poison=None):
        self.module, self.poison = module, poison
        self.seen = []

    def batches(self, epoch, offset):
        for position in range(offset, 6):
            yield epoch, position

    def origin(self, batch):
        return {"epoch": batch[0], "position": batch[1]}

    def step(self, batch):
        self.seen.append(batch)
        x = torch.from_numpy(np.random.default_rng(batch).normal(size=(4, 3))).float()
        loss = ((self.module(x) - 2 * x.sum(1, keepdim=True) + 0.01 * torch.randn(())) ** 2).mean()
        return {"loss": loss * math.nan if self.poison == len(self.seen) else loss}

    def watched(self):
        return {}

    def state_dict(self):
        return {}

    def merge(self, states):
        return states[0]

    def load_state_dict(self, saved):
        assert saved == {}


def build(steps, accumulation=1, poison=None):
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    plan = Plan(np.linspace(1e-2, 1e-3, steps), 6 // accumulation, accumulation, 4 * accumulation, save_every=5)
    return Regression(module, poison), torch.optim.AdamW(module.parameters()), plan


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def assert_same(one, two):
    a, b = state.load(one), state.load(two)
    assert (a["step"], a["epoch"], a["into_epoch"]) == (b["step"], b["epoch"], b["into_epoch"])
    assert all(torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    for mine, theirs in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True):
        assert all(torch.equal(torch.as_tensor(mine[k]), torch.as_tensor(theirs[k])) for k in mine)
    assert torch.equal(a["rng"][0]["cpu"], b["rng"][0]["cpu"])


class Signalled(Regression):
    """Is sent a signal amid the step number `at`."""

    at, number = 0, signal.SIGTERM

    def step(self, batch):
        found = super().step(batch)
        if len(self.seen) == self.at:
            os.kill(os.getpid(), self.number)
        return found


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("at", [1, 7, 10])
def test_a_notice_saves_the_step_and_a_resume_is_exact(tmp_path, number, at):
    straight = loop.fit(*build(20), tmp_path / "a", {})
    objective, optimizer, plan = build(20)
    objective.__class__, objective.at, objective.number = Signalled, at, number
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=rf"stopped at step {at} \({signal.Signals(number).name}\).*--resume"):
        loop.fit(objective, optimizer, plan, tmp_path / "b", {})
    assert signal.getsignal(number) is before
    last = folder.newest_sound(tmp_path / "b" / "checkpoints")
    assert last.name == f"step-{at:07d}.pt"
    torch.manual_seed(99)
    assert_same(straight, loop.fit(*build(20), tmp_path / "b", {}, resume=last))
    one, two = (sorted(r["step"] for r in log_of(tmp_path / d)) for d in "ab")
    assert one == two


def test_a_notice_in_the_last_step_is_an_ordinary_end(tmp_path):
    objective, optimizer, plan = build(20)
    objective.__class__, objective.at = Signalled, 20
    assert loop.fit(objective, optimizer, plan, tmp_path, {}).name == "step-0000020.pt"


class Disk:
    """Refuses the checkpoints of some steps."""

    def __init__(self, monkeypatch, *refused):
        self.refused, self.whole = refused, state._write
        monkeypatch.setattr(state, "_write", self)

    def __call__(self, file, content):
        if content["step"] in self.refused:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.whole(file, content)


def test_a_full_disk_costs_a_checkpoint_not_the_run(tmp_path, monkeypatch, capsys):
    straight = loop.fit(*build(20), tmp_path / "a", {})
    Disk(monkeypatch, 10, 15)
    seen = []
    last = loop.fit(*build(20), tmp_path / "b", {}, on_save=lambda path, step: seen.append(step))
    assert_same(straight, last)
    assert seen == [5, 20]
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 2
    assert "step-0000010.pt could not be written" in said
    assert "step-0000005.pt stays" in said
    warned = [r["step"] for r in log_of(tmp_path / "b") if "No space left" in r.get("warning", "")]
    assert warned == [10, 15]
    names = {p.name for p in (tmp_path / "b" / "checkpoints").iterdir()}
    assert names == {f"step-{n:07d}.pt{end}" for n in (5, 20) for end in ("", ".sha256")}


def test_a_checkpoint_that_the_first_process_could_not_write_is_none_for_the_others(tmp_path):
    objective, optimizer, plan = build(20)
    processes = Processes(Ranks(1, 2))
    keeper = Keeper(Training(objective, optimizer, plan, processes, {}), tmp_path, None)
    processes.any = lambda *flags: tuple(True for _ in flags)
    assert not keeper.save()
    assert not keeper.current
    assert keeper.last is None
    processes.any = lambda *flags: flags
    assert keeper.save()
    assert keeper.current
    assert not (tmp_path / "checkpoints").exists()  # the first one writes


def test_a_run_without_its_last_checkpoint_is_an_error_and_can_go_on(tmp_path, monkeypatch):
    disk = Disk(monkeypatch, 20)
    checkpoints = tmp_path / "checkpoints"
    with pytest.raises(loop.Unsaved, match=r"step 20 could not be.*No space left.*step-0000015\.pt.*--resume"):
        loop.fit(*build(20), tmp_path, {})
    disk.refused = ()
    assert loop.fit(*build(20), tmp_path, {}, resume=folder.newest_sound(checkpoints)).name == "step-0000020.pt"


def test_a_notice_on_a_full_disk_is_an_error(tmp_path, monkeypatch):
    Disk(monkeypatch, 5, 7)
    objective, optimizer, plan = build(20)
    objective.__class__, objective.at = Signalled, 7
    with pytest.raises(loop.Unsaved, match=r"step 7 could not be written.*there is none"):
        loop.fit(objective, optimizer, plan, tmp_path, {})


def test_a_checkpoint_cut_anywhere_costs_only_the_steps_since_the_one_before(tmp_path):
    """A save killed after any power of two of bytes, on a file system that renamed before it wrote."""
    straight = loop.fit(*build(15), tmp_path / "a", {})
    whole = straight.read_bytes()
    for cut in [0, *(2**n for n in range(len(whole).bit_length())), len(whole) - 1]:
        run = tmp_path / f"cut{cut}"
        torn = loop.fit(*build(15), run, {})
        torn.write_bytes(whole[:cut])
        sound = folder.newest_sound(run / "checkpoints")
        assert sound.name == "step-0000010.pt"
        assert_same(straight, loop.fit(*build(15), run, {}, resume=sound))


@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_loss_that_is_not_finite_leaves_what_repeats_the_step(tmp_path, accumulation):
    objective, optimizer, plan = build(20, accumulation, poison=8)
    (tmp_path / "recipe.yaml").write_text("the recipe")
    with pytest.raises(incident.TrainingStopped, match=r"--replay .*incidents/step-\d+\.pt"):
        loop.fit(objective, optimizer, plan, tmp_path, {"system": {"system": "x"}})
    (path,) = (tmp_path / "incidents").glob("*.pt")
    found = incident.read(path)
    step = (8 + accumulation - 1) // accumulation
    assert (found["step"], found["world"], found["system"]) == (step, 1, {"system": "x"})
    assert found["texts"]["recipe.yaml"] == "the recipe"
    (part,) = found["parts"]
    first = (step - 1) * accumulation
    assert part["batches"] == [{"epoch": i // 6, "position": i % 6} for i in range(first, first + accumulation)]
    losses = [one["loss"] for one in part["losses"]]
    assert [math.isfinite(value) for value in losses] == [i != 7 for i in range(first, first + accumulation)]
    # repeating it from the file gives the same losses
    again, _, _ = build(20, accumulation)
    again.module.load_state_dict(found["model"])
    again.seen = [None] * first
    again.poison = 8
    state.set_rng_state(part["rng"])
    repeated = [float(again.step((b["epoch"], b["position"]))["loss"].detach()) for b in part["batches"]]
    torch.testing.assert_close(repeated, losses, rtol=0, atol=0, equal_nan=True)


def test_an_objective_that_gives_up_leaves_an_incident_too(tmp_path):
    objective, optimizer, plan = build(3)

    def step(batch):
        raise FloatingPointError("scores hold undefined values")

    objective.step = step
    with pytest.raises(incident.TrainingStopped, match=r"step 1: scores hold undefined values.*is none"):
        loop.fit(objective, optimizer, plan, tmp_path, {})
    found = incident.read(tmp_path / "incidents" / "step-0000001.pt")
    assert found["parts"][0]["batches"] == [{"epoch": 0, "position": 0}]
    assert found["parts"][0]["losses"] == []


def test_a_process_that_gives_up_alone_has_a_file_of_its_own(tmp_path):
    """Others may write theirs at the same time, into the same folder."""
    objective, optimizer, plan = build(20)
    training = Training(objective, optimizer, plan, Processes(Ranks(1, 2)), {})
    attempt = incident.Attempt(batches=[{"epoch": 0, "position": 3}])
    with pytest.raises(UserError, match=r"--replay .*step-0000001\.rank-1\.pt"):
        incident.stop(training, attempt, tmp_path, "nothing comes out", None, agreed=False)
    found = incident.read(tmp_path / "incidents" / "step-0000001.rank-1.pt")
    assert [part["rank"] for part in found["parts"]] == [1]


def test_where_no_micro_batch_was_reached_nothing_is_said_to_be_repeatable(tmp_path):
    objective, optimizer, plan = build(20)
    training = Training(objective, optimizer, plan, Processes(), {})
    with pytest.raises(incident.TrainingStopped) as stopped:
        incident.stop(training, incident.Attempt(), tmp_path, "the flow is infinite", None)
    assert "--replay" not in str(stopped.value)
    assert not (tmp_path / "incidents").exists()


def test_what_is_no_incident_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        incident.read(tmp_path / "x.pt")
    last = loop.fit(*build(5), tmp_path, {})
    with pytest.raises(UserError, match="not an incident file"):
        incident.read(last)
