"""Files that change while they are read, and digests that are kept."""

import os
from pathlib import Path

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import archive, digest
from sigma_bench.models.checkpoints.read import read

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def _refused(path: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.fixture
def good(tmp_path) -> Path:
    torch.save({"model": STATE, "epoch": "best"}, tmp_path / "good.pt")
    return tmp_path / "good.pt"


def test_a_file_that_changes_meanwhile_is_refused(good, monkeypatch):
    compute = digest.compute

    def slow(path):
        found = compute(path)
        with good.open("ab") as file:
            file.write(b"x")
        return found

    monkeypatch.setattr(digest, "compute", slow)
    _refused(good, "changed while it was read")


def test_a_file_that_changes_later_is_noticed(good):
    found = read(good)
    found.check_unchanged()
    torch.save({"model": STATE, "epoch": "newer"}, good)
    with pytest.raises(UserError, match="changed while it was read"):
        found.check_unchanged()
    good.unlink()
    with pytest.raises(UserError, match="changed while it was read"):
        found.check_unchanged()


def test_digests_of_large_settled_files_are_kept_until_they_change(good, monkeypatch):
    computed = []
    compute = digest.compute
    monkeypatch.setattr(digest, "compute", lambda path: computed.append(path) or compute(path))
    monkeypatch.setattr(archive, "verify", lambda path: computed.append("checksums"))
    read(good)
    monkeypatch.setattr(digest, "KEPT_FROM", 1)
    read(good)
    read(good)
    assert computed.count(good) == 3, "a file of this size, or one just written, is hashed each time"
    monkeypatch.setattr(digest, "SETTLED_S", -1.0)
    first = read(good).sha256
    assert len(computed) == 8
    assert read(good).sha256 == first
    assert len(computed) == 8, "neither hashed nor compared again"
    torch.save({"model": STATE, "epoch": "other"}, good)
    assert read(good).sha256 != first
    assert computed.count(good) == 5


def test_a_damaged_cache_is_said_and_left_aside(good, monkeypatch, capsys):
    monkeypatch.setattr(digest, "KEPT_FROM", 1)
    monkeypatch.setattr(digest, "SETTLED_S", -1.0)
    Path(os.environ["SIGMA_BENCH_CACHE"], "checkpoints.json").write_text("[")
    assert read(good).sha256 == digest.compute(good)
    assert "cannot be read; files are hashed again" in capsys.readouterr().err
