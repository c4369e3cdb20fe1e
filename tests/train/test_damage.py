"""Checkpoints that a kill, a full disk or a failing one spoilt: detected, set aside, never instead of a good one."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.train import folder, state

SIZE = 40_000


def write(path, step, size=SIZE):
    name = path / f"step-{step:07d}.pt"
    state.save(name, {"step": step, "model": {"w": torch.full((size // 4,), float(step))}})
    return name


def names(path):
    return sorted(p.name for p in path.iterdir())


def test_the_checksum_is_that_of_the_bytes(tmp_path):
    path = write(tmp_path, 7)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert state.sidecar(path).read_text() == f"{digest}  step-0000007.pt\n"
    assert state.damage(path) == ""


def test_everything_is_on_the_disk_before_it_takes_a_name(tmp_path, monkeypatch):
    """Without this order a crash of the machine may leave a name without its bytes."""
    done, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(("fsync", os.fstat(fd).st_ino)), fsync(fd)))
    monkeypatch.setattr(
        Path, "replace", lambda old, new: (done.append(("rename", old.stat().st_ino)), replace(old, new))
    )
    path = write(tmp_path, 7)
    content, checksum, place = (p.stat().st_ino for p in (path, state.sidecar(path), tmp_path))
    assert done == [("fsync", content), ("fsync", checksum), ("rename", content), ("rename", checksum),
                    ("fsync", place)]  # fmt: skip


def test_a_death_between_content_and_checksum_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    """A run that repeats a step writes over the checkpoint of before, whose checksum lies there."""
    path, replace = write(tmp_path, 7), Path.replace

    def die(old, new):
        if ".sha256." in old.name:
            raise KeyboardInterrupt
        return replace(old, new)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        state.save(path, {"step": 8})
    assert state.damage(path) == ""
    assert state.load(path)["step"] == 8


@pytest.mark.parametrize("checksum", [True, False])
def test_every_truncation_is_found_and_the_one_before_is_taken(tmp_path, checksum, capsys):
    whole = write(tmp_path / "whole", 20).read_bytes()
    cuts = [0, *(2**n for n in range(len(whole).bit_length())), len(whole) - 1]
    for cut in cuts:
        run = tmp_path / str(cut)
        good, torn = write(run, 10), write(run, 20)
        torn.write_bytes(whole[:cut])
        if not checksum:
            state.sidecar(torn).unlink()
        with pytest.raises(UserError, match=r"step-0000020\.pt: not a readable checkpoint"):
            state.load(torn)
        assert folder.newest_sound(run) == good
        assert f"damaged checkpoint: {torn}" in capsys.readouterr().err
        assert names(run) == ["step-0000010.pt", "step-0000010.pt.sha256", "step-0000020.pt.damaged"]
        assert state.load(good)["step"] == 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_bit_is_found(tmp_path_factory, data):
    path = write(tmp_path_factory.mktemp("run"), 20, 400)
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    assert "SHA-256" in state.damage(path)


def test_a_flipped_weight_is_found_without_a_checksum_too(tmp_path):
    path = write(tmp_path, 20)
    state.sidecar(path).unlink()
    assert state.damage(path) == ""
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((4,), 20.0).numpy().tobytes()) + 100] ^= 1
    path.write_bytes(content)
    assert "CRC-32" in state.damage(path)


def test_a_checkpoint_of_an_earlier_version_is_taken_and_this_is_said(tmp_path, capsys):
    path = write(tmp_path, 20)
    state.sidecar(path).unlink()
    assert folder.newest_sound(tmp_path) == path
    assert "no checksum beside it" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "cut sho", "\xff\xfe"])
def test_a_spoilt_checksum_does_not_cost_a_whole_checkpoint(tmp_path, text):
    path = write(tmp_path, 20)
    state.sidecar(path).write_text(text, encoding="latin-1")
    assert state.damage(path) == ""


@pytest.mark.parametrize("what", ["folder", "link to nowhere", "link to itself"])
def test_what_is_no_file_is_damage(tmp_path, what):
    good, path = write(tmp_path, 10), tmp_path / "step-0000020.pt"
    if what == "folder":
        path.mkdir()
    else:
        path.symlink_to("nothing" if what == "link to nowhere" else path.name)
    assert folder.newest_sound(tmp_path) == good
    assert "step-0000020.pt.damaged" in names(tmp_path)


def test_nothing_but_damage_is_an_error_and_stays_one(tmp_path):
    for step in (10, 20):
        write(tmp_path, step).write_bytes(b"torn")
    for _ in range(2):
        with pytest.raises(UserError, match=r"no sound checkpoint.*step-0000010\.pt\.damaged, step-0000020"):
            folder.newest_sound(tmp_path)


def test_an_empty_folder_has_none(tmp_path):
    assert folder.newest_sound(tmp_path) is None
    assert folder.newest_sound(tmp_path / "absent") is None


def test_what_stays(tmp_path):
    for step in range(10, 110, 10):
        write(tmp_path, step, 400)
        folder.prune(tmp_path, 2, keep_every=40)
    kept = [step for step, _ in folder.checkpoints(tmp_path)]
    assert kept == [40, 80, 90, 100]
    assert len(names(tmp_path)) == 8
    assert all(state.load(path)["step"] == step for step, path in folder.checkpoints(tmp_path))


def test_no_old_one_goes_while_the_new_one_cannot_be_read(tmp_path, capsys):
    for step in (10, 20, 30):
        write(tmp_path, step)
    newest = tmp_path / "step-0000030.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    folder.prune(tmp_path, 1)
    assert [step for step, _ in folder.checkpoints(tmp_path)] == [10, 20]
    assert "step-0000030.pt.damaged" in capsys.readouterr().err
    assert folder.newest_sound(tmp_path) == tmp_path / "step-0000020.pt"


def test_what_killed_saves_left_is_removed(tmp_path):
    path = write(tmp_path, 20)
    for name in (".step-0000030.pt.77.partial", ".step-0000030.pt.sha256.77.partial", "step-0000030.pt.sha256"):
        (tmp_path / name).write_bytes(b"half")
    folder.sweep(tmp_path)
    assert names(tmp_path) == [path.name, f"{path.name}.sha256"]


class FailingFile:
    """A file on a storage that takes `room` bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 100, 1000, SIZE // 2, SIZE, SIZE + 500])
def test_a_disk_that_fills_up_costs_the_new_checkpoint_only(tmp_path, monkeypatch, room):
    path = write(tmp_path, 20)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    whole = state._write
    monkeypatch.setattr(state, "_write", lambda file, content: whole(FailingFile(file, room), content))
    for again in (path, tmp_path / "step-0000030.pt"):
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            state.save(again, {"step": 30, "model": {"w": torch.ones(SIZE // 4)}})
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


LIMITED = """
import resource, signal, sys, torch
from pathlib import Path
from sigma_bench.train import state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    state.save(Path(sys.argv[1]), {"w": torch.ones(100_000)})
except OSError as error:
    print(error.errno)
"""


def test_the_systems_own_refusal_is_an_ordinary_error(tmp_path):
    path = tmp_path / "step-0000001.pt"
    done = subprocess.run([sys.executable, "-c", LIMITED, path, "200000"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(errno.EFBIG)
    assert names(tmp_path) == []


def test_a_full_tmpfs(tmp_path):
    """A file system of 1 MB, where this process may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    try:
        good = write(place, 10, 600_000)
        with pytest.raises(OSError, match="No space left"):
            write(place, 20, 600_000)
        assert names(place) == [good.name, f"{good.name}.sha256"]
        assert folder.newest_sound(place) == good
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_reader_never_sees_half_a_checkpoint(tmp_path):
    """While one thread saves the same file again and again, every read of another is whole."""
    path = write(tmp_path, 1)
    stop = threading.Event()

    def rewrite():
        step = 1
        while not stop.is_set():
            step += 1
            state.save(path, {"step": step, "model": {"w": torch.full((SIZE // 4,), float(step))}})

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(20):
            found = torch.load(path, weights_only=True)
            assert float(found["model"]["w"].mean()) == found["step"]
    finally:
        stop.set()
        writer.join()
