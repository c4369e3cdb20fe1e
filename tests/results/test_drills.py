"""What may happen to rows: writers killed at any moment, full and read-only disks, no locks, old and new files."""

import errno
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import line as lines
from sigma_bench.results.merge import merge
from sigma_bench.results.store import Store, read_file

WRITER = """
import sys
from pathlib import Path
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
row = Row.model_validate_json(sys.argv[2])
number = int(sys.argv[3])
while True:
    Store(Path(sys.argv[1])).append(row.suite, [row.model_copy(update={"seed": number, "views": "x" * 9_000})])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def test_eight_writers_killed_at_random_lose_no_acknowledged_row(tmp_path, make_row):
    dice, row = random.Random(0), make_row().model_dump_json()
    acknowledged: list[int] = []

    def start(number: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(tmp_path), row, str(number * 100_000)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    writers = [start(number) for number in range(8)]
    heard = [threading.Thread(target=lambda w=w: acknowledged.extend(int(s) for s in w.stdout)) for w in writers]
    for thread in heard:
        thread.start()
    deadline = time.monotonic() + 60
    while len({seed // 100_000 for seed in list(acknowledged)}) < 8 and time.monotonic() < deadline:
        time.sleep(0.05)
    for writer in dice.sample(writers, 8):
        time.sleep(dice.random() / 10)
        writer.send_signal(signal.SIGKILL)
    for writer, thread in zip(writers, heard, strict=True):
        writer.wait()
        thread.join()
        writer.stdout.close()
    assert {seed // 100_000 for seed in acknowledged} == set(range(8))
    Store(tmp_path, wait_s=5).append("linear", [make_row(seed=-1)])
    found = Store(tmp_path).read()
    assert set(acknowledged) <= {r.seed for r in found}
    assert found[-1].seed == -1
    assert len({r.seed for r in found}) == len(found)
    assert len(found.problems) <= 8


def test_a_last_line_cut_at_any_byte_is_told_and_the_next_append_works(tmp_path, make_row):
    store = Store(tmp_path)
    file = store.append("linear", [make_row(seed=1, variant='b\nr, "q" é')])
    whole = len(file.read_bytes())
    store.append("linear", [make_row(seed=2, variant='b\nr, "q" é')])
    content = file.read_bytes()
    for cut in range(whole, len(content)):
        file.write_bytes(content[:cut])
        found = read_file(file)
        complete = [1, 2] if cut == len(content) - 1 else [1]
        assert [row.seed for row in found] == complete
        torn = [] if cut == whole or cut == len(content) - 1 else [3]
        assert [problem.number for problem in found.problems] == torn
        store.append("linear", [make_row(seed=3)])
        found = read_file(file)
        assert [row.seed for row in found] == [*complete, 3]
        assert [problem.number for problem in found.problems] == torn
        assert file.read_bytes().startswith(content[:cut])


@pytest.mark.parametrize("room", [0, 97, 700, 1200])
def test_a_full_disk_leaves_the_file_as_it_was_and_the_rows_elsewhere(tmp_path, make_row, monkeypatch, room):
    real = os.write
    store = Store(tmp_path / "rows")
    before = store.append("linear", [make_row(seed=1)]).read_bytes()
    full = os.stat(tmp_path / "rows" / "linear.csv").st_ino

    def small_disk(descriptor: int, payload: memoryview) -> int:
        nonlocal room
        if os.fstat(descriptor).st_ino != full:
            return real(descriptor, payload)
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(descriptor, payload[: min(97, room)])
        room -= done
        return done

    monkeypatch.setattr("sigma_bench.results.store.os.write", small_disk)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = [make_row(seed=n) for n in (2, 3, 4)]
    with pytest.raises(UserError, match=r"linear.csv: 3 rows could not be written: No space left") as caught:
        store.append("linear", rows)
    monkeypatch.undo()
    assert (tmp_path / "rows" / "linear.csv").read_bytes() == before
    command = re.search(r"sigma-bench results merge (\S+) --into (\S+)$", str(caught.value))
    assert command is not None
    assert merge([Path(command[1])], Path(command[2])).added == 3
    found = store.read()
    assert list(found)[1:] == rows
    assert found.problems == ()


def test_a_store_that_cannot_be_written_is_read_and_refuses_rows(tmp_path, make_row, monkeypatch):
    folder = tmp_path / "rows"
    file = Store(folder).append("linear", [make_row(seed=1)])
    file.write_bytes(file.read_bytes() + b"1,torn")
    (folder / ".linear.csv.lock").unlink()
    names = sorted(p.name for p in folder.iterdir())
    real_open = os.open

    def read_only(path, flags, *more, **named):
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(folder)):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real_open(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = Store(folder).read()
    assert [row.seed for row in found] == [1]
    assert [problem.number for problem in found.problems] == [3]
    with pytest.raises(UserError, match=r"1 rows could not be written: Read-only file system\. They are in"):
        Store(folder).append("linear", [make_row(seed=2)])
    assert sorted(p.name for p in folder.iterdir()) == names


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path, make_row, monkeypatch, code):
    import fcntl

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    store = Store(tmp_path / "rows")
    before = store.append("linear", [make_row(seed=1)]).read_bytes()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(UserError, match=r"gives no locks .*local disk with --results.* They are in"):
        store.append("linear", [make_row(seed=2)])
    assert (tmp_path / "rows" / "linear.csv").read_bytes() == before
    (tmp_path / "rows" / "linear.csv").write_bytes(before + b"1,torn")
    assert [row.seed for row in store.read()] == [1]


def _line(names: list[str], row, **more: str) -> bytes:
    cells = {**dict(zip(lines.HEADER, lines.split(lines.encode(row)[:-1]), strict=True)), **more}
    chosen = [cells[name] for name in names]
    cells[lines.CHECK] = lines.checksum(names, chosen)
    return lines._joined([cells[name] for name in names])


def test_an_older_and_a_newer_schema_in_one_file(tmp_path, make_row):
    older = [name for name in lines.HEADER if name not in ("step", "steps", "source")]
    newer = [*lines.COLUMNS, "colour", lines.CHECK]
    file = tmp_path / "linear.csv"
    file.write_bytes(
        lines._joined(older)
        + _line(older, make_row(seed=1))
        + lines._joined(newer)
        + _line(newer, make_row(seed=2), schema_version="2", colour="red")
        + _line(newer, make_row(seed=3), schema_version="2", colour="red")
    )
    before = file.read_bytes()
    Store(tmp_path).append("linear", [make_row(seed=4)])
    assert file.read_bytes().startswith(before + lines.header())
    found = read_file(file)
    assert [row.seed for row in found] == [1, 4]
    assert [problem.number for problem in found.problems] == [3, 4, 5]
    assert "colour" in found.problems[0].reason
    assert all("newer version" in problem.reason for problem in found.problems[1:])


def test_a_row_that_does_not_say_when_it_was_measured_is_none(tmp_path, make_row):
    names = [name for name in lines.HEADER if name != "measured_at"]
    (tmp_path / "linear.csv").write_bytes(lines._joined(names) + _line(names, make_row()))
    found = Store(tmp_path).read()
    assert list(found) == []
    assert found.problems[0].number == 2
    assert "measured_at: no such column" in found.problems[0].reason


def test_lines_that_lost_their_header_are_read_by_their_check(tmp_path, make_row):
    file = Store(tmp_path).append("linear", [make_row(seed=n) for n in range(3)])
    content = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(reversed(content)))
    found = read_file(file)
    assert [row.seed for row in found] == [2, 1, 0]
    assert found.problems == ()


def test_appending_looks_at_the_end_of_the_file_alone(tmp_path, make_row, monkeypatch):
    store = Store(tmp_path)
    file = store.append("linear", [make_row(seed=n, views="x" * 15_000) for n in range(60)])
    size = file.stat().st_size
    read = []
    tail = "sigma_bench.results.store._tail"
    from sigma_bench.results import store as module

    real = module._tail
    monkeypatch.setattr(tail, lambda stream, end: read.append(real(stream, end)) or read[-1])
    store.append("linear", [make_row(seed=99)])
    assert len(read[0]) < size / 4
    assert file.read_bytes().count(b"schema_version") == 1
    monkeypatch.undo()
    store.append(
        "linear", [make_row(seed=100, error="e" * 19_000, views="v" * 19_000, device="d" * 19_000) for _ in "abc"]
    )
    store.append("linear", [make_row(seed=200)])
    assert file.read_bytes().count(b"schema_version") == 1
    assert len(store.read()) == 65
