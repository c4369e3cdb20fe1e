"""All miniatures at once: written by their names, totals told, what is there is kept."""

import pytest

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.runs.check import check
from sigma_bench.runs.miniatures import miniatures, write


def test_all_that_are_registered_are_written_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))
    few = {"ytvos": registry.REGISTRY["miniatures"]["ytvos"]}
    monkeypatch.setitem(registry.REGISTRY, "miniatures", few)
    lines = miniatures("all", tmp_path, 0)
    assert [line.split()[0] for line in lines] == ["ytvos", "1"]
    assert lines[-1].startswith("1 miniatures, ")
    assert lines[-1].endswith(f"in {tmp_path / 'miniature'}")
    assert all("there already" in line for line in miniatures("all", tmp_path, 0)[:-1])
    text, code = check([], tmp_path, every=True, data="miniature", quick=True)
    assert code == 0
    assert sum(line.startswith("  well: ") for line in text) == 1
    made, _ = write("ytvos", tmp_path / "miniature" / "ytvos", 0)
    assert made.reused


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="unknown miniature"):
        miniatures("nothing", tmp_path, 0)
