"""What a number is made on, and how many threads make it."""

import os

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.runs import machine


@pytest.fixture(autouse=True)
def restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_those_asked_for_else_the_environments_else_the_free_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert (machine.set_threads(None, 2), torch.get_num_threads()) == (6, 6)
    assert machine.set_threads(None, 20) == 1
    assert (machine.set_threads(3, 2), torch.get_num_threads()) == (3, 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert machine.set_threads(None, 2) == 3  # torch has read the variable at its start


def test_a_device_that_is_not_there_is_refused():
    assert machine.torch_device("cpu") == "cpu"
    with pytest.raises(UserError):
        machine.torch_device("tpu9")
    if not torch.cuda.is_available():
        assert machine.torch_device("auto") == "cpu"
        with pytest.raises(UserError, match="no CUDA"):
            machine.torch_device("cuda")


def test_the_versions_of_the_decoders_used_are_told():
    assert machine.decoder_versions({}) == ""
    assert machine.decoder_versions({"pyav": 3}).startswith("av ")
