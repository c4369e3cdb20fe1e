"""Archives: the same bytes for the same files, and nothing of a hostile one is written elsewhere."""

import gzip
import io
import os
import tarfile
import time
import zipfile

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import archive


@pytest.fixture
def members(tmp_path):
    made = {}
    for name, content in (
        ("top/b.txt", b"b" * 3000),
        ("top/sub/a with space.bin", bytes(range(256))),
        ("top/empty", b""),
    ):
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        made[name] = file
    return made


@pytest.mark.parametrize("suffix", archive.SUFFIXES)
def test_what_is_written_is_read_back_and_the_bytes_depend_on_the_files_alone(tmp_path, members, suffix):
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other name{suffix}"
    archive.write(one, members)
    for file in members.values():
        os.utime(file, (1, time.time() + 5000))
        file.chmod(0o600)
    archive.write(other, dict(reversed(members.items())))
    assert one.read_bytes() == other.read_bytes()
    assert archive.extract(one, tmp_path / "out") == sorted(members)
    for name, file in members.items():
        assert (tmp_path / "out" / name).read_bytes() == file.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"source", one.name, other.name, "out"}


def test_no_owner_is_written(tmp_path, members):
    archive.write(tmp_path / "x.tar.gz", members)
    with tarfile.open(tmp_path / "x.tar.gz") as packed:
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode) for m in packed} == {(0, 0, "", "", 0, 0o644)}
    assert (tmp_path / "x.tar.gz").read_bytes()[3:8] == b"\0" * 5  # neither a name nor a date in the header


@pytest.mark.parametrize("name", ["x.rar", "x.tar", "x", ".zip", "x.zip.txt"])
def test_other_kinds_are_refused(tmp_path, members, name):
    with pytest.raises(UserError, match=r"ends in \.zip or \.tar\.gz"):
        archive.write(tmp_path / name, members)


def test_a_write_that_fails_leaves_what_was_there(tmp_path, members):
    file = tmp_path / "x.zip"
    archive.write(file, members)
    before = file.read_bytes()
    with pytest.raises(FileNotFoundError):
        archive.write(file, {**members, "top/z": tmp_path / "nothing"})
    assert file.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "x.zip"]


def zipped(file, *entries):
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return file


def tarred(file, *infos):
    with tarfile.open(file, "w:gz") as packed:
        for info, content in infos:
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return file


def info(name, **fields):
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


BAD_NAMES = ["../evil", "a/../../evil", "/evil", "a//b", "./a", "C:\\evil", "a\\b", "a\nb", "x" * 501]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written_outside(tmp_path, name, kind):
    file = tmp_path / f"x.{kind}"
    zipped(file, (name, b"!")) if kind == "zip" else tarred(file, (info(name), b"!"))
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="plain relative path"):
        archive.extract(file, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", file.name]
    assert list((tmp_path / "out").rglob("*")) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    file = tarred(tmp_path / "x.tar.gz", (info("a", type=kind, linkname="/etc/passwd"), b""))
    with pytest.raises(UserError, match="is a link or no plain file"):
        archive.extract(file, tmp_path / "out")


def test_links_in_a_zip_are_refused(tmp_path):
    made = zipfile.ZipInfo("a")
    made.create_system, made.external_attr = 3, 0o120777 << 16
    file = zipped(tmp_path / "x.zip", (made, "/etc/passwd"))
    with pytest.raises(UserError, match="is a link, encrypted, or no plain file"):
        archive.extract(file, tmp_path / "out")


@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ("a", "a/b")])
def test_a_name_twice_is_refused(tmp_path, names):
    file = tarred(tmp_path / "x.tar.gz", *((info(name), b"!") for name in names))
    with pytest.raises(UserError, match=r"in it twice|as a file and as a folder"):
        archive.extract(file, tmp_path / "out")


def test_more_than_can_be_meant_is_refused(tmp_path, monkeypatch):
    file = zipped(tmp_path / "x.zip", ("a", b"0" * 5000), ("b", b"0" * 5000))
    monkeypatch.setattr(archive, "MOST_BYTES", 6000)
    with pytest.raises(UserError, match="holds more than"):
        archive.extract(file, tmp_path / "one")
    monkeypatch.setattr(archive, "MOST_BYTES", 2**30)
    monkeypatch.setattr(archive, "MOST_FILES", 1)
    with pytest.raises(UserError, match="holds more than"):
        archive.extract(file, tmp_path / "two")


@pytest.mark.parametrize("suffix", archive.SUFFIXES)
@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_torn_archive_is_one_message(tmp_path, members, suffix, cut):
    file = tmp_path / f"x{suffix}"
    archive.write(file, members)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UserError, match="no sound archive"):
        archive.extract(file, tmp_path / "out")


def test_what_is_no_archive_or_not_there_is_one_message(tmp_path):
    (tmp_path / "x.zip").write_text("hello")
    (tmp_path / "y.tar.gz").write_bytes(gzip.compress(b"hello" * 200))
    for name, said in (("x.zip", "no sound archive"), ("y.tar.gz", "no sound archive"), ("z.zip", "no such file")):
        with pytest.raises(UserError, match=said):
            archive.extract(tmp_path / name, tmp_path / "out")


def test_folders_in_an_archive_are_passed_over(tmp_path):
    file = zipped(tmp_path / "x.zip", ("top/", b""), ("top/a", b"1"))
    assert archive.extract(file, tmp_path / "out") == ["top/a"]
