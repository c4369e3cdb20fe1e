"""Packing that is disturbed: by a kill, a full disk, or files that change meanwhile."""

import errno
import os
import shutil
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.packing import BLOCK, pack

NAMES = ("UCF-101/Jump/v_Jump_g01_c01.avi", "UCF-101/Jump/v_Jump_g02_c01.avi", "UCF-101/Run/v_Run_g01_c01.avi")


@pytest.fixture
def plain(tmp_path):
    root = tmp_path / "plain"
    for number, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(np.random.default_rng(number).bytes(8000))
    (root / "ucfTrainTestlist").mkdir()
    (root / "ucfTrainTestlist" / "classInd.txt").write_text("1 Jump\n2 Run\n")
    yield root
    files.forget()


def interrupted(*_):
    raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_with_the_shards_that_are_whole(plain, tmp_path, monkeypatch):
    from sigma_bench.data import packing

    target = tmp_path / "resumed"
    true_write, written = packing._write, []

    def killed(partial, number, *rest):
        if number == 2:
            raise KeyboardInterrupt
        written.append(number)
        return true_write(partial, number, *rest)

    monkeypatch.setattr(packing, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(plain, target, 1 << 13)
    assert not target.exists()
    assert written == [0, 1]
    monkeypatch.setattr(packing, "_write", true_write)
    (plain / NAMES[1]).touch()  # changed since: packed anew
    assert pack(plain, target, 1 << 13).kept == 1
    assert files.walk(target) == files.walk(plain)
    for name in NAMES:
        assert files.read(target / name) == (plain / name).read_bytes()
    assert not list(target.glob("*.json"))
    assert not list(target.parent.glob(".resumed.partial"))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: path.write_bytes(path.read_bytes()[::-1]),  # of the same size
    ],
)
@pytest.mark.parametrize("name", ["UCF-101/Run/v_Run_g01_c01.avi", "ucfTrainTestlist/classInd.txt"])
def test_a_file_that_changes_while_it_is_packed_is_named(plain, tmp_path, monkeypatch, change, name):
    from sigma_bench.data import packing

    source = tmp_path / "source"
    shutil.copytree(plain, source)
    true_plan = packing.plan

    def planned(*arguments):
        change(source / name)
        return true_plan(*arguments)

    monkeypatch.setattr(packing, "plan", planned)
    with pytest.raises(UserError, match=f"{name} changed while it was packed"):
        pack(source, tmp_path / "out", 1 << 20)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_not_taken_for_a_changed_file(plain, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OSError, match="No space left"):
        pack(plain, tmp_path / "out", 1 << 20)


def test_space_is_asked_for_what_is_not_there_yet(plain, tmp_path, monkeypatch):
    from sigma_bench.data import packing

    sizes = [(plain / name).stat().st_size + 2 * BLOCK for name in files.walk(plain)]
    room = {"free": sum(sizes) - 1}
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: SimpleNamespace(**room))
    with pytest.raises(UserError, match=r"needs .* GB more"):
        pack(plain, tmp_path / "out", 1)
    room["free"] += 1
    true_index = packing._write_index
    monkeypatch.setattr(packing, "_write_index", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(plain, tmp_path / "out", 1)
    monkeypatch.setattr(packing, "_write_index", true_index)
    room["free"] = sum(sizes) // 2  # the videos are there: what is left are lists
    assert pack(plain, tmp_path / "out", 1).kept == 3


def test_a_shard_that_is_not_whole_is_written_again(plain, tmp_path, monkeypatch):
    from sigma_bench.data import packing

    true_index = packing._write_index
    monkeypatch.setattr(packing, "_write_index", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(plain, tmp_path / "out", 1)
    monkeypatch.setattr(packing, "_write_index", true_index)
    shard = tmp_path / ".out.partial" / "shard-000001.tar"
    os.truncate(shard, shard.stat().st_size - BLOCK)  # what a power cut may leave
    assert pack(plain, tmp_path / "out", 1).kept == 2
    assert all(files.read(tmp_path / "out" / name) == (plain / name).read_bytes() for name in NAMES)


def half_packed(source, target, monkeypatch):
    from sigma_bench.data import packing

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write_index", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(source, target, 1)


def test_nothing_of_another_run_is_taken_over(plain, tmp_path, monkeypatch):
    other = tmp_path / "other"
    shutil.copytree(plain, other)  # copy2: sizes and times are the same
    (other / NAMES[0]).write_bytes((plain / NAMES[0]).read_bytes()[::-1])
    shutil.copystat(plain / NAMES[0], other / NAMES[0])
    (plain / "old.txt").write_text("gone when it is packed again")
    half_packed(plain, tmp_path / "out", monkeypatch)
    assert pack(other, tmp_path / "out", 1).kept == 0
    assert files.read(tmp_path / "out" / NAMES[0]) == (other / NAMES[0]).read_bytes()
    assert not (tmp_path / "out" / "old.txt").exists()


def test_two_runs_at_once_are_told_apart(plain, tmp_path):
    with FileLock(tmp_path / ".out.lock"), pytest.raises(UserError, match="another process packs into"):
        pack(plain, tmp_path / "out", 1 << 20)


def test_a_place_that_was_looked_at_before_is_a_pack_afterwards(plain, tmp_path):
    assert not files.names(tmp_path / "out" / "UCF-101" / "Run")
    assert not files.is_file(tmp_path / "out" / NAMES[0])
    pack(plain, tmp_path / "out", 1 << 20)
    assert files.names(tmp_path / "out" / "UCF-101" / "Run") == {"v_Run_g01_c01.avi"}
    assert files.is_file(tmp_path / "out" / NAMES[0])


def test_plain_and_packed_files_of_a_folder_are_listed_together(plain, tmp_path):
    pack(plain, tmp_path / "out", 1 << 20)
    (tmp_path / "out" / "UCF-101" / "Run" / "later.avi").touch()
    assert files.names(tmp_path / "out" / "UCF-101" / "Run") == {"later.avi", "v_Run_g01_c01.avi"}
