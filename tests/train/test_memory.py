"""The memory of a run is told in GiB."""

from pathlib import Path

import pytest

from sigma_bench.train.memory import peak_memory

STATUS = Path("/proc/self/status")


@pytest.mark.skipif(not STATUS.exists(), reason="no /proc on this system to compare with")
def test_the_largest_memory_of_the_process_in_gib():
    found = peak_memory("cpu")
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    kib = int(line.split()[1])
    assert found.keys() == {"memory_gib"}
    assert found["memory_gib"] == pytest.approx(kib / 2**20, rel=5e-3, abs=2e-3)
