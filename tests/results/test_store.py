"""The store keeps every row: values of all kinds, other writers, torn, damaged and foreign lines."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sigma_bench.contracts import UserError
from sigma_bench.results import line as lines
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store, latest, read_file

anything = st.text(max_size=60) | st.sampled_from(
    ["\n", "\r\n", '"', ',"', "\\n", "\\\\n", "\x00", "é✓\u2028", "=1+1", " x "]
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=6,
)
finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.fixed_dictionaries(
        {
            "system": anything.filter(bool),
            "variant": anything,
            "error": anything,
            "views": anything,
            "value": finite,
            "value_missing_wrong": st.none() | finite,
            "params_m": st.none() | st.floats(0, 1e6),
            "limit": st.none() | st.integers(1, 2**40),
            "seed": st.integers(-(2**60), 2**60),
            "family_guessed": st.booleans(),
            "selection": st.dictionaries(anything, json_values, max_size=3),
            "marks": st.lists(anything, max_size=3),
            "artifacts": st.dictionaries(anything.filter(bool), anything, max_size=3),
        }
    )
)
def test_values_survive(make_row, fields):
    row = make_row(**fields)
    line = lines.encode(row)
    assert line.count(b"\n") == 1
    assert lines.decode(lines.HEADER, lines.split(line[:-1])) == row


def test_rows_come_back_from_the_files_of_several_suites(tmp_path, make_row):
    store = Store(tmp_path / "rows")
    assert list(store.read()) == []
    first = [make_row(variant="a\nb,\"c'"), make_row(metric="top5")]
    other = make_row(suite="severe", task="severe/gym99")
    store.append("linear", first)
    store.append("severe", [other])
    found = store.read()
    assert list(found) == [*first, other]
    assert found.problems == ()
    assert sorted(p.name for p in (tmp_path / "rows").glob("*.csv")) == ["linear.csv", "severe.csv"]
    frame = pd.read_csv(tmp_path / "rows" / "linear.csv")
    assert list(frame["metric"]) == ["top1", "top5"]


def test_what_a_copy_changed_is_checked_again_before_it_is_written(tmp_path, make_row):
    store = Store(tmp_path)
    store.append("linear", [make_row().model_copy(update={"artifacts": {"samples": Path("a") / "b.parquet"}})])
    assert store.read()[0].artifacts == {"samples": "a/b.parquet"}
    with pytest.raises(ValidationError):
        store.append("linear", [make_row().model_copy(update={"value": float("nan")})])
    assert len(store.read()) == 1
    assert store.problems == ()


def _append_many(folder: Path, writer: int, row: Row) -> None:
    for number in range(12):
        Store(folder).append(
            row.suite, [row.model_copy(update={"seed": writer * 100 + number, "views": "v\n" * writer})]
        )


def test_eight_processes_at_once_lose_nothing(tmp_path, make_row):
    with ProcessPoolExecutor(8, mp_context=get_context("spawn")) as pool:
        list(pool.map(_append_many, [tmp_path] * 8, range(8), [make_row()] * 8))
    found = Store(tmp_path).read()
    assert found.problems == ()
    assert sorted(row.seed for row in found) == sorted(w * 100 + n for w in range(8) for n in range(12))
    for writer in range(8):
        assert [r.seed for r in found if r.seed // 100 == writer] == [writer * 100 + n for n in range(12)]


WRITER = """
import sys
from pathlib import Path
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
row = Row.model_validate_json(sys.argv[2])
number = int(sys.argv[3])
while True:
    Store(Path(sys.argv[1])).append(row.suite, [row.model_copy(update={"seed": number, "views": "x" * 15_000})])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def test_a_killed_writer_loses_no_acknowledged_row_and_blocks_nobody(tmp_path, make_row):
    acknowledged: list[int] = []
    for round_ in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), make_row().model_dump_json(), str(round_ * 100_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3 + 7 * round_):
                acknowledged.append(int(process.stdout.readline()))
            process.kill()
            acknowledged += [int(seed) for seed in process.stdout.read().split()]
    last = make_row(seed=7)
    Store(tmp_path, wait_s=5).append("linear", [last])
    found = Store(tmp_path).read()
    assert set(acknowledged) <= {row.seed for row in found}
    assert found[-1] == last
    assert len(found.problems) <= 4


def test_a_disk_that_fills_up_in_the_middle_spoils_no_other_row(tmp_path, make_row, monkeypatch):
    store = Store(tmp_path)
    real, room = os.write, 700

    def small_disk(descriptor: int, payload: memoryview) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(28, "No space left on device")
        done = real(descriptor, payload[: min(97, room)])
        room -= done
        return done

    store.append("linear", [make_row(seed=1)])
    monkeypatch.setattr("sigma_bench.results.store.os.write", small_disk)
    with pytest.raises(UserError, match=r"3 rows could not be written: No space.*nor could they"):
        store.append("linear", [make_row(seed=2), make_row(seed=3), make_row(seed=4)])
    monkeypatch.undo()
    store.append("linear", [make_row(seed=5)])
    found = store.read()
    assert [row.seed for row in found] == [1, 5]
    assert found.problems == ()


def test_a_file_cut_at_any_byte_keeps_the_whole_lines_and_takes_new_ones(tmp_path, make_row):
    store = Store(tmp_path)
    rows = [make_row(seed=n, variant='line\nbreak, "quoted" é', marks=["m,1"]) for n in range(2)]
    file = store.append("linear", rows)
    content = file.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    new = make_row(seed=99)
    for cut in range(len(content)):
        file.write_bytes(content[:cut])
        whole = sum(cut >= end - 1 for end in ends[1:])  # a line is whole without its line break, too
        found = read_file(file)
        assert list(found) == rows[:whole], cut
        torn = cut not in ends and cut + 1 not in ends and cut > ends[0]
        assert [p.number for p in found.problems] == (
            [len([e for e in ends if e <= cut]) + 1] if torn else []
        ) or cut <= ends[0]
        if cut % 7 == 0 or cut > len(content) - 40:
            store.append("linear", [new])
            after = file.read_bytes()
            assert after.startswith(content[:cut])
            assert list(store.read()) == [*rows[:whole], new], cut


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_spoils_its_own_line_at_most(tmp_path, make_row, data):
    rows = [make_row(seed=n, variant="a,b") for n in range(3)]
    encoded = [lines.encode(row) for row in rows]
    victim = data.draw(st.integers(0, 2))
    position = data.draw(st.integers(0, len(encoded[victim]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b not in (10, encoded[victim][position])))
    damaged = bytearray(encoded[victim])
    damaged[position] = byte
    file = tmp_path / "linear.csv"
    file.write_bytes(lines.header() + b"".join(damaged if n == victim else line for n, line in enumerate(encoded)))
    found = read_file(file)
    whole = [row for n, row in enumerate(rows) if n != victim]
    assert list(found) in (whole, rows)
    if list(found) == whole:
        assert [p.number for p in found.problems] == [victim + 2]
    else:
        assert lines.split(bytes(damaged[:-1])) == lines.split(encoded[victim][:-1])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"<<<<<<< HEAD", "cells under"),
        (b"\x00" * 50, "cells under"),
        (b"\xff\xfe,1", "not UTF-8"),
        (b'1,"open', "not CSV"),
        (b"[" * 120_000, "cells under"),
        (b"x" * 200_000, "not CSV"),
    ],
)
def test_a_foreign_line_is_reported_with_its_number(tmp_path, make_row, line, words):
    store = Store(tmp_path)
    file = store.append("linear", [make_row(seed=1)])
    with open(file, "ab") as stream:
        stream.write(line + b"\n")
    store.append("linear", [make_row(seed=2)])
    found = store.read()
    assert [row.seed for row in found] == [1, 2]
    assert [(p.file, p.number) for p in found.problems] == [(file, 3)]
    assert words in str(found.problems[0])


def test_a_value_edited_by_hand_is_not_believed(tmp_path, make_row):
    file = Store(tmp_path).append("linear", [make_row(value=21.0), make_row(seed=1)])
    file.write_bytes(file.read_bytes().replace(b"21.0", b"91.0", 1))
    found = read_file(file)
    assert [row.seed for row in found] == [1]
    assert "edited by hand" in str(found.problems[0])
    assert f"{file}:2:" in str(found.problems[0])


def _without_check(names: list[str], row: Row) -> bytes:
    cells = dict(zip(lines.HEADER, lines.split(lines.encode(row)[:-1]), strict=True))
    return lines._joined(names) + lines._joined([cells.get(name, "later") for name in names])


def test_an_older_header_is_read_by_name_and_appending_starts_a_new_one(tmp_path, make_row):
    old = make_row(variant="v")
    names = [n for n in reversed(lines.COLUMNS) if n not in ("interval_low", "schema_version", "decoder")]
    file = tmp_path / "linear.csv"
    file.write_bytes(_without_check(["schema_version", *names], old))
    store = Store(tmp_path)
    assert list(store.read()) == [old]
    before = file.read_bytes()
    new = make_row(seed=5)
    store.append("linear", [new])
    store.append("linear", [make_row(seed=6)])
    assert file.read_bytes().startswith(before)
    assert file.read_bytes().count(b"schema_version") == 2
    found = store.read()
    assert [row.seed for row in found] == [0, 5, 6]
    assert found.problems == ()


def test_unknown_columns_are_reported_and_a_missing_needed_one_names_itself(tmp_path, make_row):
    file = tmp_path / "linear.csv"
    file.write_bytes(_without_check([*lines.COLUMNS, "colour"], make_row()))
    found = read_file(file)
    assert list(found) == [make_row(measured_at=found[0].measured_at)]
    assert "unknown columns, left out: colour" in str(found.problems[0])
    file.write_bytes(_without_check([n for n in lines.COLUMNS if n != "task_version"], make_row()))
    found = read_file(file)
    assert list(found) == []
    assert "task_version" in str(found.problems[0])


def test_a_newer_schema_is_named(tmp_path, make_row):
    file = tmp_path / "linear.csv"
    line = _without_check(list(lines.COLUMNS), make_row())
    file.write_bytes(line.replace(b"\n1,", b"\n2,"))
    assert "newer version" in str(read_file(file).problems[0])


def test_files_saved_by_spreadsheets_are_read(tmp_path, make_row):
    row = make_row()
    file = tmp_path / "linear.csv"
    file.write_bytes(b"\xef\xbb\xbf" + (lines.header() + lines.encode(row)).replace(b"\n", b"\r\n"))
    assert list(read_file(file)) == [row]
    Store(tmp_path).append("linear", [make_row(seed=1)])
    assert [r.seed for r in read_file(file)] == [0, 1]


def test_the_newest_of_a_key_counts_and_a_failure_supersedes_no_value(make_row):
    early, late = "2025-01-01T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"
    old, new = make_row(value=1.0, measured_at=early), make_row(value=2.0, measured_at=late)
    failed = make_row(status="failed", value=None, n_decoded=0, measured_at="2025-01-03T00:00:00.000000Z")
    other = make_row(seed=1)
    assert latest([new, old, other]) == [new, other]
    assert latest([old, new, failed]) == [new]
    assert latest([failed]) == [failed]
    assert latest([failed, old]) == [old]


def test_the_value_of_a_key_is_that_of_its_newest_row_that_did_not_fail(tmp_path, make_row):
    store = Store(tmp_path)
    row = make_row()
    assert store.value(row.key) is None
    store.append("linear", [make_row(status="failed", value=None, n_decoded=0)])
    assert store.value(row.key) is None
    newer = make_row(value=1.0, measured_at="2999-01-01T00:00:00.000000Z")
    store.append("linear", [newer, row])
    store.append("linear", [make_row(status="failed", value=None, measured_at="2999-01-02T00:00:00.000000Z")])
    assert store.value(row.key) == newer
    assert store.value(make_row(seed=3).key) is None


@pytest.mark.parametrize("suite", ["", "../x", "a/b", ".hidden", "a\n", "x" * 200])
def test_a_suite_that_is_no_file_name_is_refused(tmp_path, make_row, suite):
    with pytest.raises(UserError, match="file name"):
        Store(tmp_path).append(suite, [])
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_suite_are_refused(tmp_path, make_row):
    with pytest.raises(UserError, match="linear"):
        Store(tmp_path).append("severe", [make_row()])


def test_a_lock_that_is_held_is_reported(tmp_path, make_row):
    store = Store(tmp_path, wait_s=0.1)
    with Store(tmp_path).locked(tmp_path / "linear.csv"), pytest.raises(UserError, match="another process"):
        store.append("linear", [make_row()])
    store.append("linear", [make_row()])


def test_importing_the_store_loads_nothing_heavy():
    heavy = "torch", "pandas", "pyarrow", "numpy"
    code = f"import sys, sigma_bench.results.store; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
