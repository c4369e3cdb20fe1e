"""Whole trainings that are told to stop, lose a process, a disk or a finite loss."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sigma_bench.contracts import Stopped
from sigma_bench.runs import data as places
from sigma_bench.runs import periodic
from sigma_bench.runs.pretrain import Request, pretrain
from sigma_bench.runs.replay import replay
from sigma_bench.train import folder, incident, state

DRILL = Path(__file__).with_name("rank_drill.py")
STEPS = 12


def settings(*more, steps=STEPS):
    return [f"train.steps={steps}", "train.warmup_steps=1", "train.save_every=5", "train.log_every=1",
            "train.threads=1", *more]  # fmt: skip


def command(out, data_root, *more, steps=STEPS, recipe="sigma_mlp"):
    sets = [part for s in settings(steps=steps) for part in ("--set", s)]
    return ["pretrain", recipe, "--data-root", str(data_root), "--out", str(out), "--workers", "1", *sets, *more]


def request(out, data_root, *sets, resume=False):
    return Request("sigma_mlp", "miniature", "nano", out=out, data_root=data_root, device="cpu", workers=1,
                   sets=settings(*sets), resume=resume)  # fmt: skip


def assert_same(one, two):
    a, b = state.load(one), state.load(two)
    assert (a["step"], a["epoch"], a["into_epoch"]) == (b["step"], b["epoch"], b["into_epoch"])
    assert all(torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    for mine, theirs in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True):
        assert all(torch.equal(torch.as_tensor(mine[k]), torch.as_tensor(theirs[k])) for k in mine)


def log_of(run):
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(r["step"], r["loss"]) for r in records if "loss" in r]


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def signalled(number, out, data_root, at_step):
    """Send a signal to a run and all its children, as a cluster does, once its log has reached `at_step`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sigma_bench.cli", *command(out, data_root)],
        stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment(),
    )  # fmt: skip
    log, deadline = out / "log.jsonl", time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= at_step):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the run did not reach the step in time"
        time.sleep(0.005)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_told_to_stop_can_be_told_from_a_finished_one_and_goes_on(tmp_path, data_root, number):
    code, said = signalled(number, tmp_path / "stopped", data_root, 3)
    assert code == 75, said
    assert "saved, go on with --resume" in said.splitlines()[-1]
    assert "replaced" not in said  # decoding processes outlive the signal
    last = folder.newest(tmp_path / "stopped" / "checkpoints")
    assert 3 <= int(last.stem[5:]) < STEPS
    straight = pretrain(request(tmp_path / "straight", data_root))
    assert_same(straight, pretrain(request(tmp_path / "stopped", data_root, resume=True)))
    assert log_of(tmp_path / "straight") == log_of(tmp_path / "stopped")


def kill_me(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
    raise AssertionError


def test_a_notice_before_the_first_step_ends_the_start(tmp_path, data_root, monkeypatch):
    """The files are being looked at: nothing is there to save, yet a queue must know that the run goes on."""
    with monkeypatch.context() as patched:
        patched.setattr(places, "decodable", kill_me)
        with pytest.raises(Stopped, match=r"\(SIGTERM\); go on with --resume"):
            pretrain(request(tmp_path / "run", data_root))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert pretrain(request(tmp_path / "run", data_root, resume=True)).name == f"step-00000{STEPS}.pt"


def test_a_notice_cuts_short_an_evaluation_and_the_run_goes_on_from_there(tmp_path, data_root, monkeypatch):
    during = ("train.eval_every=5", "train.eval_tasks=[controls/category_8]")
    monkeypatch.setattr(periodic, "evaluate_here", kill_me)
    with pytest.raises(Stopped, match="saved, go on with --resume"):
        pretrain(request(tmp_path / "run", data_root, *during))
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any("step 5 was cut short (SIGTERM)" in record.get("warning", "") for record in records)
    monkeypatch.setattr(periodic, "evaluate_here", lambda _: None)
    again = pretrain(request(tmp_path / "run", data_root, *during, resume=True))
    assert_same(pretrain(request(tmp_path / "straight", data_root)), again)


def test_a_damaged_checkpoint_is_set_aside_on_resume(tmp_path, data_root, capsys):
    run = tmp_path / "run"
    last = pretrain(request(run, data_root))
    whole = state.load(last)
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    again = pretrain(request(run, data_root, resume=True))
    assert again == last
    assert last.with_name(f"{last.name}.damaged").exists()
    assert f"damaged checkpoint: {last}" in capsys.readouterr().err
    assert all(torch.equal(whole["model"][name], value) for name, value in state.load(again)["model"].items())


def test_a_loss_that_is_not_finite_is_repeated_from_its_incident(tmp_path, data_root, capsys):
    with pytest.raises(incident.TrainingStopped, match=r"the loss is nan.*pretrain --replay"):
        pretrain(request(tmp_path / "run", data_root, "train.base_lr=1e30", "train.micro_batch=16"))
    (path,) = (tmp_path / "run" / "incidents").glob("step-*.pt")
    capsys.readouterr()
    found = replay(path, data_root=data_root, device="cpu", workers=1)
    assert found != found
    said = capsys.readouterr().err
    recorded = [batch["ids"][0] for batch in incident.read(path)["parts"][0]["batches"]]
    assert len(recorded) == 2
    for number, first in enumerate(recorded):
        assert (
            f"process 0, micro-batch {number}: loss nan, loss1 nan, loss2 nan (recorded: nan); clips {first}," in said
        )
    assert "first output that is not finite: " in said
    assert "here the step is not finite either" in said


def test_a_finite_step_is_repeated_bit_for_bit(tmp_path, data_root, monkeypatch, capsys):
    """The guard is made to dislike step 4: the replay gives the recorded losses to the last bit."""
    whole = incident.not_finite
    seen = []

    def strict(losses, precision):
        seen.append(float(losses["loss"]))
        return "disliked" if len(seen) == 4 else whole(losses, precision)

    monkeypatch.setattr(incident, "not_finite", strict)
    with pytest.raises(incident.TrainingStopped, match="disliked"):
        pretrain(request(tmp_path / "run", data_root, "train.micro_batch=8"))
    path = tmp_path / "run" / "incidents" / "step-0000004.pt"
    capsys.readouterr()
    assert replay(path, data_root=data_root, device="cpu", workers=1) == pytest.approx(
        seen[3], rel=1e-6
    )  # a mean in float32
    said = capsys.readouterr().err
    for number, losses in enumerate(incident.read(path)["parts"][0]["losses"]):
        assert f"micro-batch {number}: loss {losses['loss']}, " in said
        assert f"(recorded: {losses['loss']})" in said
    assert "here the step is finite" in said
    half = replay(path, data_root=data_root, device="cpu", workers=1, sets=["train.precision=bf16"])
    assert half == pytest.approx(seen[3], rel=0.05)
    assert half != seen[3]


@pytest.mark.slow
def test_a_full_disk_costs_checkpoints_not_the_training(tmp_path, data_root):
    mount, place = shutil.which("mount"), tmp_path / "small"
    place.mkdir()
    made = [mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", place]
    if mount is None or subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        run = [sys.executable, "-m", "sigma_bench.cli", *command(place / "run", data_root)]
        full = subprocess.run(run, capture_output=True, text=True, check=False, env=environment(), timeout=300)
        assert full.returncode == 2, full.stderr
        assert "step-0000010.pt could not be written" in full.stderr
        assert "the checkpoint of step 12 could not be written" in full.stderr.splitlines()[-1]
        assert [step for step, _ in folder.checkpoints(place / "run" / "checkpoints")] == [5]
        assert [step for step, _ in log_of(place / "run")] == list(range(1, STEPS + 1))
        subprocess.run([mount, "-o", "remount,size=100m", place], check=True)
        again = subprocess.run([*run, "--resume"], capture_output=True, text=True, check=False, env=environment())
        assert again.returncode == 0, again.stderr
        straight = pretrain(request(tmp_path / "straight", data_root))
        assert_same(straight, folder.newest_sound(place / "run" / "checkpoints"))
    finally:
        subprocess.run(["umount", place], check=True)


def together(world, drill, *arguments, timeout=180):
    """Start processes as srun does; return their codes, what they said, and seconds from the first end to the last."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    common = environment(WORLD_SIZE=str(world), MASTER_ADDR="localhost", MASTER_PORT=port, RANK_DRILL=drill)
    started = [
        subprocess.Popen([sys.executable, DRILL, *arguments], env={**common, "RANK": str(rank)},
                         stderr=subprocess.PIPE, text=True)
        for rank in range(world)
    ]  # fmt: skip
    deadline, first = time.monotonic() + timeout, 0.0
    while any(process.poll() is None for process in started):
        if not first and any(process.poll() is not None for process in started):
            first = time.monotonic()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    took = time.monotonic() - first
    return [process.returncode for process in started], [process.communicate()[1] for process in started], took


@pytest.mark.slow
@pytest.mark.parametrize(("what", "code"), [("SIGKILL", -9), ("raise", 1)])
@pytest.mark.parametrize("rank", [0, 1])
def test_the_loss_of_a_process_ends_all_within_a_minute(tmp_path, data_root, what, code, rank):
    codes, said, took = together(2, f"{rank}:4:{what}", *command(tmp_path / "run", data_root))
    assert codes[rank] == code
    assert codes[1 - rank] == 1
    assert took < 60
    if what == "raise":
        assert "ValueError: the 17th clip is purple" in said[1 - rank]
        assert f"process {rank} of 2 failed" in said[1 - rank]
    elif rank == 1:
        assert "process 1 of 2 has not been heard of" in said[0]
    else:
        assert "process 0" in said[1]
    assert "--resume" in said[1 - rank]


@pytest.mark.slow
def test_a_notice_to_one_process_stops_all_at_the_same_step(tmp_path, data_root):
    run = command(tmp_path / "run", data_root)
    codes, said, _ = together(2, "1:4:SIGUSR1", *run)
    assert codes == [75, 75], said
    assert "stopped at step 4" in said[0]
    assert "go on with --resume" not in said[1]
    assert folder.newest(tmp_path / "run" / "checkpoints").name == "step-0000004.pt"
    codes, said, _ = together(2, "9:0:none", *run, "--resume")
    assert codes == [0, 0], said
    codes, said, _ = together(2, "9:0:none", *command(tmp_path / "straight", data_root))
    assert codes == [0, 0], said
    assert_same(*(folder.newest(tmp_path / name / "checkpoints") for name in ("straight", "run")))


@pytest.mark.slow
def test_an_incident_of_two_processes_holds_the_clips_of_both(tmp_path, data_root):
    more = ("--set", "train.base_lr=1e30", "--set", "train.micro_batch=8")
    codes, said, _ = together(2, "9:0:none", *command(tmp_path / "run", data_root, *more))
    assert codes == [2, 2], said
    assert "pretrain --replay" in said[0]
    assert "--replay" not in said[1]
    (path,) = (tmp_path / "run" / "incidents").glob("step-*.pt")
    parts = incident.read(path)["parts"]
    assert [part["rank"] for part in parts] == [0, 1]
    shown = [name for part in parts for batch in part["batches"] for name in batch["ids"]]
    assert len(set(shown)) == len(shown) == 32
    found = replay(path, data_root=data_root, device="cpu", workers=1)
    assert found != found


@pytest.mark.slow
@pytest.mark.parametrize("what", ["SIGKILL", "raise"])
def test_torchrun_ends_soon_where_a_process_is_lost(tmp_path, data_root, what):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(DRILL),
         *command(tmp_path / "run", data_root)],
        capture_output=True, text=True, timeout=180, check=False, env=environment(RANK_DRILL=f"1:4:{what}"),
    )  # fmt: skip
    assert done.returncode != 0
    assert time.monotonic() - began < 120
    if what == "raise":
        assert "ValueError: the 17th clip is purple" in done.stderr
    else:
        assert "SIGKILL" in done.stderr
