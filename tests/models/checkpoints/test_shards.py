"""Reading safetensors files and folders of shards: what is taken, and what is refused."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.source import open_source as read

STATE = {"a": torch.arange(4.0), "b": torch.ones(2, 3), "c": torch.zeros(1)}


@pytest.fixture
def sharded(tmp_path):
    files = {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.bin"}
    save_file({"a": STATE["a"], "b": STATE["b"]}, tmp_path / "model-1.safetensors")
    torch.save({"c": STATE["c"]}, tmp_path / "model-2.bin")
    _index(tmp_path, files)
    return tmp_path


def _index(folder, files):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))


def _same(content):
    assert set(content) == set(STATE)
    assert all(torch.equal(content[name], tensor) for name, tensor in STATE.items())


def test_a_folder_and_its_index_hold_all_shards(sharded):
    _same(read(sharded).content)
    _same(read(sharded / "model.safetensors.index.json").content)


def test_safetensors_are_preferred_and_what_is_left_unread_is_said(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    torch.save({"other": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    found = read(tmp_path)
    _same(found.content)
    assert found.notes == ("the folder also holds pytorch_model.bin, not read",)


def test_the_digest_of_a_folder_covers_its_configuration(sharded, tmp_path_factory):
    before = read(sharded).sha256
    copy = tmp_path_factory.mktemp("copy") / "x"
    shutil.copytree(sharded, copy)
    assert read(copy).sha256 == before
    (copy / "config.json").write_text('{"layer_norm_eps": 1e-12}')
    with_config = read(copy).sha256
    (copy / "config.json").write_text('{"layer_norm_eps": 1e-06}')
    assert len({before, with_config, read(copy).sha256}) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "../model-1.safetensors"}, "names the file '../model-1"),
        ({"a": "/etc/model-1.safetensors"}, "names the file '/etc"),
        ({"a": "..\\model.bin"}, "names the file"),
        ({"a": "notes.txt"}, "expected a .safetensors or .bin"),
        ({"a": "model-3.safetensors"}, "model-3.safetensors that it names is not beside it"),
        ({"z": "model-1.safetensors"}, "lacks z, which the index says is in it"),
        ({"a": 3}, "no table from tensors to files"),
        ({}, "no table from tensors to files"),
    ],
)
def test_a_wrong_index_is_refused(sharded, files, message):
    _index(sharded, files)
    with pytest.raises(UserError, match=message):
        read(sharded)


def test_a_tensor_in_two_shards_is_refused(sharded):
    torch.save({"a": torch.ones(4), "c": STATE["c"]}, sharded / "model-2.bin")
    with pytest.raises(UserError, match="holds a, which another shard holds too"):
        read(sharded)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_index_is_refused(sharded, content):
    (sharded / "model.safetensors.index.json").write_bytes(content)
    with pytest.raises(UserError, match=r"index\.json"):
        read(sharded)


@pytest.mark.parametrize("keep", [0, 4, 20, 60, -1])
def test_a_cut_safetensors_file_is_refused(tmp_path, keep):
    path = tmp_path / "x.safetensors"
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"x\.safetensors"):
        read(path)


@pytest.mark.parametrize("entry", ["{", "[]", "{}", '{"encoder": 3}', "[" * 100_000])
def test_a_wrong_description_of_our_own_file_is_refused(tmp_path, entry):
    save_file(STATE, tmp_path / "x.safetensors", metadata={"sigma_bench": entry})
    with pytest.raises(UserError, match="description 'sigma_bench'"):
        read(tmp_path / "x.safetensors")
