"""Checkpoints: atomic, refused when foreign, pruned."""

import argparse

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.train import folder, state
from sigma_bench.train.log import JsonLines


def test_round_trip_and_newest(tmp_path):
    for step in (5, 100, 20):
        state.save(tmp_path / f"step-{step:07d}.pt", {"step": step, "w": torch.ones(2)})
    newest = folder.newest(tmp_path)
    assert newest is not None
    assert state.load(newest)["step"] == 100
    (tmp_path / ".step-0000101.pt.77.partial").write_bytes(b"half")
    folder.prune(tmp_path, 2)
    names = ["step-0000020.pt", "step-0000020.pt.sha256", "step-0000100.pt", "step-0000100.pt.sha256"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn"])
def test_damaged_file_is_a_users_error(tmp_path, content):
    path = tmp_path / "step-0000001.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="step-0000001"):
        state.load(path)


def test_code_is_not_executed(tmp_path):
    path = tmp_path / "step-0000001.pt"
    torch.save({"format": state.FORMAT, "args": argparse.Namespace(x=1)}, path)
    with pytest.raises(UserError, match="refused"):
        state.load(path)


def test_foreign_dictionary_is_refused(tmp_path):
    torch.save({"model": {}}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="not the checkpoint of a sigma-bench run"):
        state.load(tmp_path / "x.pt")


def test_log_is_rewound_to_the_step_that_is_resumed_from(tmp_path):
    path = tmp_path / "log.jsonl"
    log = JsonLines(path)
    for step in (10, 20, 30):
        log.write({"step": step})
    log.close()
    with path.open("a") as file:
        file.write('{"step": 4')  # torn by a kill
    log = JsonLines(path, resume_step=20)
    log.write({"step": 30, "again": True})
    log.close()
    assert path.read_text().splitlines() == ['{"step": 10}', '{"step": 20}', '{"step": 30, "again": true}']
