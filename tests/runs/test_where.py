"""Which folder a data set has, as its user asks."""

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.runs.where import where


def test_found_and_expected_folders_are_told_with_their_rule(tmp_path):
    (tmp_path / "finegym").mkdir()
    lines = where(None, tmp_path)
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line}
    assert told["gym99"] == f"found {tmp_path / 'finegym'} (--data-root)"
    assert told["k400"] == f"expected {tmp_path / 'k400'} (--data-root)"
    assert "folder" not in told
    detail = [" ".join(line.split()) for line in where("gym99", tmp_path)]
    assert f"not there {tmp_path / 'gym99'} (--data-root)" in detail
    assert f"there {tmp_path / 'finegym'} (--data-root)" in detail


def test_a_fault_of_one_entry_hides_no_other(tmp_path, monkeypatch):
    path = tmp_path / "data.yaml"
    path.write_text("datasets: {k400: gone}\n")
    monkeypatch.setenv("SIGMA_BENCH_CONFIG", str(path))
    monkeypatch.delenv("SIGMA_BENCH_DATA", raising=False)
    told = {line.split()[0]: line for line in where(None, None) if line}
    assert "faulty" in told["k400"]
    assert "no such folder" in told["k400"]
    assert "expected" in told["ucf101"]


@pytest.mark.parametrize("name", ["k40", "folder"])
def test_what_is_no_data_set_is_refused(tmp_path, name):
    with pytest.raises(UserError):
        where(name, tmp_path)
