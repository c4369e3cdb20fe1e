"""Reading a pack: its index, its places, and what a process holds of it."""

import os
import re
import tempfile
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.packed import SCHEMA, Pack
from sigma_bench.data.packing import pack

NAMES = ("UCF-101/Jump/a.avi", "UCF-101/Jump/b.avi", "UCF-101/Run/c.avi")


@pytest.fixture
def plain(tmp_path):
    for number, name in enumerate(NAMES):
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_bytes(np.random.default_rng(number).bytes(5000))
    return tmp_path / "plain"


@pytest.fixture
def packed(plain, tmp_path):
    pack(plain, tmp_path / "packed", 1 << 13)
    yield tmp_path / "packed"
    files.forget()


def rewrite_index(root, change):
    table = pa.ipc.open_file(pa.OSFile(str(root / files.INDEX))).read_all()
    rows = change(table.to_pylist())
    with pa.OSFile(str(root / files.INDEX), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
    files.forget()


@settings(deadline=None, max_examples=50)
@given(st.sets(st.from_regex(r"[a-c0/]{1,6}", fullmatch=True), min_size=1, max_size=20), st.data())
def test_folders_list_their_children_whatever_the_names(paths, data):
    paths = sorted({re.sub("/+", "/", path).strip("/") for path in paths} - {""})
    paths = [p for p in paths if not any(q.startswith(f"{p}/") for q in paths)]
    if not paths:
        return
    with tempfile.TemporaryDirectory() as root:
        rows = [{"path": path, "shard": 0, "offset": 0, "size": 0, "crc32": 0} for path in paths]
        with pa.OSFile(f"{root}/{files.INDEX}", "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
        found = Pack(root)
        folder = data.draw(st.sampled_from(sorted({"", "a", *(p.rpartition("/")[0] for p in paths)})))
        prefix = f"{folder}/" if folder else ""
        inside = [p[len(prefix) :] for p in paths if p.startswith(prefix)]
        assert found.below(folder) == inside
        assert found.children(folder) == {p.split("/")[0] for p in inside}
        assert all(p in found for p in paths)
        assert f"{paths[0]}x" not in found


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.avi", "a/../../x.avi", "a//x.avi", "./x.avi", "a\\x.avi", ""])
def test_an_index_that_leaves_the_data_set_is_refused(packed, path):
    rewrite_index(packed, lambda rows: [{**rows[0], "path": path}])
    with pytest.raises(UserError, match=r"pack\.arrow: row 0 names .* leaves the data set"):
        files.names(packed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [{**rows[0], "offset": -1}], "a offset is negative"),
        (lambda rows: [{**rows[0], "size": -1}], "a size is negative"),
        (lambda rows: rows[::-1], "expected ascending paths"),
        (lambda rows: [rows[0], rows[0]], "expected ascending paths"),
    ],
)
def test_a_wrong_index_is_refused(packed, change, words):
    rewrite_index(packed, change)
    with pytest.raises(UserError, match=words):
        files.names(packed)


@pytest.mark.parametrize("content", [b"", b"no arrow", b"ARROW1\0\0" + b"\xff" * 64])
def test_an_index_that_is_no_index_is_refused(packed, content):
    (packed / files.INDEX).unlink()
    (packed / files.INDEX).write_bytes(content)
    files.forget()
    with pytest.raises(UserError, match=r"pack\.arrow: no index of a packed data set"):
        files.names(packed)


def test_offsets_point_at_the_bytes_and_sums_are_theirs(packed):
    for row in pa.ipc.open_file(pa.OSFile(str(packed / files.INDEX))).read_all().to_pylist():
        with open(packed / f"shard-{row['shard']:06d}.tar", "rb") as shard:
            shard.seek(row["offset"])
            assert zlib.crc32(shard.read(row["size"])) == row["crc32"]


@pytest.mark.parametrize(("offset", "size"), [(0, 1 << 62), (1 << 62, 10), ((1 << 63) - 1, (1 << 63) - 1)])
def test_a_place_beyond_the_shard_is_cut_short(packed, offset, size):
    rewrite_index(packed, lambda rows: [{**rows[0], "offset": offset, "size": size}])
    with pytest.raises(DecodeError, match=rf"cut short: \d+ of {size} bytes"):
        files.read(packed / NAMES[0])


def test_few_shards_are_open_at_a_time(plain, tmp_path, monkeypatch):
    from sigma_bench.data import packed as module

    monkeypatch.setattr(module, "OPEN", 1)
    pack(plain, tmp_path / "few", 1)
    before = len(os.listdir("/proc/self/fd"))
    for name in NAMES * 2:
        assert files.read(tmp_path / "few" / name) == (plain / name).read_bytes()
    assert len(os.listdir("/proc/self/fd")) == before + 1


def test_what_is_remembered_of_places_is_bounded(packed):
    for number in range(files.LOOKED_AT + 10):
        assert not files.is_file(packed / "UCF-101" / f"{number}.avi")
    assert files._above.cache_info().currsize <= files.LOOKED_AT
    assert files.read(packed / NAMES[0])
