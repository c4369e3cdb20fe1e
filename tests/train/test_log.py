"""The log: what is damaged is told, what is resumed reads as one run."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.train.log import JsonLines, read


def write(path, steps, start=None):
    log = JsonLines(path, resume_step=start)
    for step in steps:
        log.write({"step": step, "loss": 1 / step})
    log.close()


def test_a_resumed_log_reads_as_one_run(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, range(1, 8))
    with path.open("ab") as file:
        file.write(b'{"step": 8, "lo')  # killed while writing
    write(path, range(6, 10), start=5)
    assert [r["step"] for r in read(path).records] == list(range(1, 10))
    assert read(path).damaged == []


@given(junk=st.sampled_from([b"\xff\xfe\x00", b"3", b"[]", b"{}", b'{"step": "x"}', b'{"step": true}', b"[" * 9000]))
def test_damaged_lines_are_told_by_number(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    good = json.dumps({"step": 1}).encode()
    path.write_bytes(good + b"\n" + junk + b"\n\n" + good)
    found = read(path)
    assert found.records == [{"step": 1}, {"step": 1}]
    assert found.damaged == [2]
    write(path, [2], start=1)
    assert [r["step"] for r in read(path).records] == [1, 1, 2]


def test_what_is_not_finite_is_null(tmp_path):
    log = JsonLines(tmp_path / "log.jsonl")
    log.write({"step": 1, "grad_norm": math.inf, "loss": math.nan, "lr": 0.5})
    log.close()
    line = (tmp_path / "log.jsonl").read_text()
    assert json.loads(line, parse_constant=lambda name: name) == {"step": 1, "grad_norm": None, "loss": None, "lr": 0.5}
