"""Pretraining in several processes, or in several micro-batches, is the training of one process on the whole batch."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from sigma_bench.train import state

STEPS = 20
SHORT = (f"train.steps={STEPS}", "train.warmup_steps=4", "train.log_every=1", "train.global_batch=8",
         "train.save_every=10", "clustering.prototypes=64")  # fmt: skip


@pytest.fixture(scope="module")
def together(tmp_path_factory, data_root):
    """Pretrain in `world` processes, the last told something more; return what they said, the log, the last state."""
    place = tmp_path_factory.mktemp("ranks")

    def run(world, name, *arguments, last=(), expect=0):
        sets = [word for s in SHORT for word in ("--set", s)]
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        common = {**os.environ, "OMP_NUM_THREADS": "1", "SIGMA_BENCH_CACHE": str(place / "cache"),
                  "WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": port}  # fmt: skip
        command = [sys.executable, "-m", "sigma_bench.cli", "pretrain", "sigma_mlp", "--data-root", str(data_root),
                   "--out", str(place / name), "--workers", "1", *sets, *arguments]  # fmt: skip
        started = [
            subprocess.Popen(
                [*command, *(last if r == world - 1 else ())],
                cwd=place,
                env={**common, "RANK": str(r)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for r in range(world)
        ]
        said = [process.communicate(timeout=300)[1] for process in started]
        codes = [process.returncode for process in started]
        assert codes == (expect if isinstance(expect, list) else [expect] * world), said
        if expect:
            return said, None, None
        lines = (place / name / "log.jsonl").read_text().splitlines()
        records = [r for line in lines if "loss" in (r := json.loads(line))]
        return said, records, state.load(place / name / "checkpoints" / f"step-{STEPS:07d}.pt")

    run.place = place
    return run


@pytest.fixture(scope="module")
def alone(together):
    return together(1, "alone")[1:]


def compare(found, wanted):
    records, last = found
    assert [r["step"] for r in records] == list(range(1, STEPS + 1))
    for record, reference in zip(records, wanted[0], strict=True):
        assert record["loss"] == pytest.approx(reference["loss"], abs=1e-5)
        assert record["used_prototypes"] == reference["used_prototypes"]
        for name in (
            "usage_entropy",
            "assignment_entropy",
            "from_uniform",
            "target_std",
            "prediction_std",
            "grad_norm",
        ):
            assert record[name] == pytest.approx(reference[name], abs=1e-5), name
        assert record["lr"] == reference["lr"]
    for name, tensor in wanted[1]["model"].items():
        torch.testing.assert_close(last["model"][name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_two_processes_train_like_one_on_the_union_of_their_batches(together, alone):
    said, *found = together(2, "two")
    compare(found, alone)
    assert "2 processes x 1 x 4" in said[0]
    assert "assignments balanced over 8 clips" in said[0]
    assert said[1] == ""  # only the first speaks
    assert found[1]["numbers"]["processes"] == 2


@pytest.mark.slow
def test_micro_batches_of_two_processes_train_like_one_batch(together, alone):
    said, *found = together(2, "parts", "--set", "train.micro_batch=2")
    assert "2 processes x 2 x 2" in said[0]
    compare(found, alone)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(together, alone):
    together(2, "moved")
    place = together.place / "moved" / "checkpoints"
    for path in place.glob(f"step-{STEPS:07d}*"):
        path.unlink()
    said, *found = together(1, "moved", "--resume")
    assert "from step-0000010.pt" in said[0]
    compare(found, alone)


def test_a_global_batch_that_cannot_be_met_is_refused(together):
    said, *_ = together(3, "odd", expect=2)
    assert "global_batch 8 cannot be divided among 3 processes; start 2 or 4 of them" in said[0]
    assert "Traceback" not in "".join(said)


def test_a_process_with_another_recipe_ends_all(together):
    said, *_ = together(2, "other", last=("--set", "train.base_lr=0.002"), expect=[1, 2])
    assert (
        "process 1 trains by another recipe than process 0: found 'base_lr: 0.002', there 'base_lr: 0.004'" in said[1]
    )
    assert "Traceback" not in "".join(said)
