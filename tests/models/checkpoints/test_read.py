"""Reading files of weights: what is taken, what is refused and with what words, and that nothing in them is run."""

import argparse
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import digest
from sigma_bench.models.checkpoints.read import read

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def _refused(path: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)


def _rewritten(source: Path, path: Path, change) -> Path:
    """Write the entries of an archive again, each as `change(name, data)` gives it: [(name, data, compression)]."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            for name, data, compression in change(entry.filename, old.read(entry)):
                new.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def _keep(name, data):
    return [(name, data, zipfile.ZIP_STORED)]


@pytest.fixture
def good(tmp_path) -> Path:
    torch.save({"model": STATE, "epoch": "best"}, tmp_path / "good.pt")
    return tmp_path / "good.pt"


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_hold_tensors_and_plain_values(tmp_path, zipped):
    content = {
        "model": OrderedDict(STATE),
        "args": argparse.Namespace(window=(8, 14, 14), lr=1e-3, betas=[0.9, None], nested=argparse.Namespace(x=True)),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "integers": torch.arange(3),
        "brain": torch.ones(2, dtype=torch.bfloat16),
        "shape": torch.Size([2, 3]),
        "set": {1, 2},
        "bytes": b"\x00\xff",
        7: torch.float16,
    }
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "x.pt")
    assert found.sha256 == digest.compute(tmp_path / "x.pt")
    assert torch.equal(found.content["model"]["a"], STATE["a"])
    assert found.content["brain"].dtype == torch.bfloat16
    assert found.content["args"] == content["args"]
    assert {k: found.content[k] for k in ("shape", "set", "bytes", 7)} == {
        k: content[k] for k in ("shape", "set", "bytes", 7)
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_numbers_of_numpy_become_numbers(tmp_path, zipped):
    values = [np.float64(0.1), np.float32(2.5), np.int64(-4), np.uint8(200), np.bool_(True), np.dtype(">f4").type(1.5)]
    torch.save({"x": values, "m": STATE}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "x.pt").content["x"]
    assert found == [0.1, 2.5, -4, 200, True, 1.5]
    assert {type(value) for value in found} == {float, int, bool}


@pytest.mark.parametrize("value", [np.str_("x"), np.datetime64("2020-01-01"), np.array([1, "x"], object)[0:1]])
def test_other_values_of_numpy_are_refused(tmp_path, value):
    torch.save({"x": value}, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", r"numpy\.|NumPy value of type")


def test_a_safetensors_file_is_read_whatever_it_is_called(tmp_path):
    save_file(STATE, tmp_path / "x.pth")
    found = read(tmp_path / "x.pth")
    assert all(torch.equal(found.content[name], tensor) for name, tensor in STATE.items())


def test_tensors_are_mapped_not_copied(tmp_path):
    torch.save({"a": torch.zeros(8 << 20)}, tmp_path / "x.pt")
    tensor = read(tmp_path / "x.pt").content["a"]
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("no /proc here")
    spans = [line.split()[0].split("-") for line in maps.read_text().splitlines() if line.endswith("x.pt")]
    assert any(int(low, 16) <= tensor.data_ptr() < int(high, 16) for low, high in spans)


def test_compressed_entries_are_refused_before_torch_sees_them(tmp_path, good, monkeypatch):
    def bomb(name, data):
        return [(name, b"\0" * (50 << 20), zipfile.ZIP_DEFLATED)] if name.endswith("data/0") else _keep(name, data)

    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("torch opened it"))
    path = _rewritten(good, tmp_path / "bomb.pt", bomb)
    assert path.stat().st_size < 1 << 20
    _refused(path, "entry good/data/0 is compressed .* claim to become 52428800")


def test_an_entry_larger_than_the_file_is_refused(tmp_path, good):
    data = bytearray(good.read_bytes())
    place = data.rindex(b"PK\x01\x02", 0, data.rindex(b"good/data/0"))
    data[place + 20 : place + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    (tmp_path / "x.pt").write_bytes(data)
    _refused(tmp_path / "x.pt", "claims 2147483648 bytes, the file has")


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "good/../../x", "other/x", "good\\..\\x"])
def test_entries_outside_the_archive_are_refused(tmp_path, good, name):
    path = _rewritten(good, tmp_path / "x.pt", _keep)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(name, b"x")
    _refused(path, "lies outside its folder 'good'")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_are_there_twice_or_share_bytes_are_refused(tmp_path, good):
    path = _rewritten(good, tmp_path / "x.pt", lambda name, data: _keep(name, data) * (1 + name.endswith("data/1")))
    _refused(path, "good/data/1 is there twice")
    data = bytearray(good.read_bytes())
    first, second = (data.rindex(b"PK\x01\x02", 0, data.rindex(name)) for name in (b"good/data/0", b"good/data/1"))
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    (tmp_path / "y.pt").write_bytes(data)
    _refused(tmp_path / "y.pt", "share bytes")


def test_other_archives_are_told_apart(tmp_path, good):
    np.savez(tmp_path / "x.npz", a=np.ones(2))
    _refused(tmp_path / "x.npz", r"zip archive of 1 files \(a.npy\), not a torch file")
    script = _rewritten(good, tmp_path / "script.pt", _keep)
    with zipfile.ZipFile(script, "a") as file:
        file.writestr("good/constants.pkl", b"")
    _refused(tmp_path / "script.pt", "TorchScript archive, a program")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        file.write(good, "folder/good.pt")
    _refused(tmp_path / "two.zip", "not a torch file; unpack it")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_told_so(tmp_path, zipped):
    torch.save({"model": {"w": torch.randn(3000)}}, tmp_path / "whole.pt", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "whole.pt").read_bytes()
    for length in (10, 60, 300, len(data) // 2, len(data) - 1):
        (tmp_path / "x.pt").write_bytes(data[:length])
        _refused(tmp_path / "x.pt", "cut short|damaged")


def test_a_weight_that_changed_on_the_way_is_noticed(tmp_path, good):
    data = bytearray(good.read_bytes())
    place = data.index(STATE["a"].numpy().tobytes())
    data[place + 3] ^= 1
    (tmp_path / "x.pt").write_bytes(data)
    _refused(tmp_path / "x.pt", "bytes of its entry good/data/0 are not those that were written")


def test_a_file_without_checksums_is_read(tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert torch.equal(read(tmp_path / "x.pt").content["a"], STATE["a"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"weights will be here soon\n", "is a text file"),
        (b'{"error": "not found"}', "is a text file"),
        (b"\n<!DOCTYPE html>\n<html>404 \xe2\x80\x94 not found</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
        (b"\x1f\x8b" + bytes(100), "packed with gzip; unpack"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "packed with Zstandard"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"PK\x05\x06" + bytes(18), "empty zip"),
        (pickle.dumps({"a": 1}, 2), "is a pickle, not a torch file"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      " + bytes(9), "not a readable safetensors"),
    ],
)
def test_what_is_no_checkpoint_is_told_what_it_is(tmp_path, data, said):
    (tmp_path / "x.pth").write_bytes(data)
    _refused(tmp_path / "x.pth", said)


def test_a_tar_archive_is_told_so(tmp_path, good):
    with tarfile.open(tmp_path / "x.pth", "w") as file:
        file.add(good, "good.pt")
    _refused(tmp_path / "x.pth", "is a tar archive; unpack")


@pytest.mark.parametrize("content", [[1, 2], torch.ones(2), "x"])
def test_content_that_is_no_dictionary_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", "expected a dictionary")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("shape", "stride", "said"),
    [
        ((1000,), (1,), "claims more values|claim|not a readable torch file"),
        ((10, 10), (0, 1), "claims more values"),
        ((1 << 40,), (0,), "claims more values"),
        ((2, 2), (1 << 40, 1), "not a readable torch file|claims more values"),
    ],
)
def test_a_tensor_with_fewer_bytes_than_its_shape_is_refused(tmp_path, zipped, shape, stride, said):
    class Lying:
        def __reduce__(self):
            storage = torch.storage.TypedStorage(
                wrap_storage=torch.arange(10.0).untyped_storage(), dtype=torch.float32, _internal=True
            )
            return torch._utils._rebuild_tensor_v2, (storage, 0, shape, stride, False, OrderedDict())

    torch.save({"w": Lying()}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    _refused(tmp_path / "x.pt", said)


def test_a_storage_longer_than_its_bytes_is_refused(tmp_path):
    torch.save({"w": torch.arange(100.0), "v": torch.ones(100)}, tmp_path / "x.pt")

    def grown(name, data):
        return _keep(name, data.replace(b"cpuq\x06Kd", b"cpuq\x06K\xc8")) if name.endswith("data.pkl") else None

    path = _rewritten(tmp_path / "x.pt", tmp_path / "y.pt", lambda name, data: grown(name, data) or _keep(name, data))
    assert zipfile.ZipFile(path).read("x/data.pkl") != zipfile.ZipFile(tmp_path / "x.pt").read("x/data.pkl")
    _refused(path, "a tensor claims 800 bytes of x/data/0, which has 400")


def test_a_tensor_without_values_is_refused(tmp_path):
    torch.save({"w": torch.empty(1 << 40, device="meta")}, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", "_rebuild_meta_tensor_no_storage")


def test_sparse_and_quantised_tensors_are_refused(tmp_path):
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", "_rebuild_sparse_tensor")


def _chain(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded(tmp_path):
    torch.save({"x": _chain(40), "m": STATE}, tmp_path / "x.pt")
    assert read(tmp_path / "x.pt").content["x"]
    torch.save({"x": _chain(60), "m": STATE}, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", "nested more than 50 deep")
    deep = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    path = _rewritten(tmp_path / "x.pt", tmp_path / "y.pt", lambda n, d: _keep(n, deep if n.endswith(".pkl") else d))
    _refused(path, "nested more than 50 deep")


def test_a_container_within_itself_is_refused(tmp_path):
    loop = {}
    loop["again"] = [loop]
    torch.save({"x": loop, "m": STATE}, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", "nested within themselves")


def test_containers_that_are_referred_to_often_are_looked_at_once(tmp_path):
    value = ["x"]
    for _ in range(40):
        value = [value] * 10
    torch.save({"x": value, "m": STATE}, tmp_path / "x.pt")
    assert len(read(tmp_path / "x.pt").content["x"]) == 10


def test_a_folder_and_a_missing_file_are_told_so(tmp_path, good):
    _refused(tmp_path, "is a folder; name the file in it: good.pt")
    _refused(tmp_path / "none.pt", "no such checkpoint")
    os.mkfifo(tmp_path / "pipe")
    _refused(tmp_path / "pipe", "no ordinary file")


def test_a_file_that_may_not_be_read_is_told_so(good, monkeypatch):
    opened = Path.open

    def denied(self, *args, **kwargs):
        if self == good:
            raise PermissionError(13, "Permission denied", str(good))
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", denied)
    _refused(good, r"may not be read \(Permission denied\); change its permissions")
