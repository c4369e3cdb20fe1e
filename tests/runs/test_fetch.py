"""Fetching weights from the hub and from the zoo: what is loaded, what is refused, what is said without a network."""

import hashlib
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import yaml
from huggingface_hub import errors

from sigma_bench.contracts import UserError
from sigma_bench.runs.evaluate import evaluate
from sigma_bench.runs.fetch import fetch, fetch_entry
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import REPLACED, UNVERIFIED, candidate
from sigma_bench.spec import load

COMMIT, OTHER = "c" * 40, "d" * 40
FILE = "pretrain/ckpt_sigma.pth"


class Hub:
    """Repositories in memory, a cache of blobs and links as the hub's client keeps it."""

    def __init__(self, cache):
        self.cache, self.repos, self.failure, self.asked = cache, {}, None, []

    def put(self, repo, file, source, commit=COMMIT):
        self.repos.setdefault(repo, {}).setdefault(commit, {})[file] = source.read_bytes()

    def _files(self, repo, revision):
        if self.failure is not None:
            raise self.failure
        if repo not in self.repos:
            raise error(errors.RepositoryNotFoundError)
        commit = COMMIT if revision in (None, "main") else revision
        if commit not in self.repos[repo]:
            raise error(errors.RevisionNotFoundError)
        return commit, self.repos[repo][commit]

    def _place(self, repo, commit, file, content):
        folder = self.cache / f"models--{repo.replace('/', '--')}"
        blob, link = folder / "blobs" / hashlib.sha256(content).hexdigest(), folder / "snapshots" / commit / file
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
        return link

    def hf_hub_download(self, repo, filename, *, revision=None):
        self.asked.append((repo, filename, revision))
        commit, files = self._files(repo, revision)
        if filename not in files:
            raise error(errors.RemoteEntryNotFoundError)
        return str(self._place(repo, commit, filename, files[filename]))

    def snapshot_download(self, repo, *, revision=None, allow_patterns, ignore_patterns):
        assert ignore_patterns == "*/*"
        commit, files = self._files(repo, revision)
        for name, content in files.items():
            if "/" not in name and any(Path(name).match(pattern) for pattern in allow_patterns):
                self._place(repo, commit, name, content)
        return str(self.cache / f"models--{repo.replace('/', '--')}" / "snapshots" / commit)


def error(kind, text="said by the hub"):
    made = kind.__new__(kind)
    Exception.__init__(made, text)
    return made


@pytest.fixture
def hub(tmp_path, monkeypatch):
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", made.hf_hub_download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    return made


@pytest.fixture
def zoo(tmp_path, golden):
    """Write a zoo of one entry, `known`, that describes the golden SIGMA file; keywords change entry and source."""

    def write(source=None, **fields):
        file = golden / "ckpt_sigma.pth"
        described = {
            "host": "huggingface",
            "repo": "own/er",
            "path": FILE,
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        entry = {
            **{"system": "Known", "method": "SIGMA-MLP", "backbone": "ViT-48x2/8", "pretrain_data": "K400"},
            **{"epochs": "800", "family": "sigma", "heads": 3, "verified": "golden"},
            "sources": [described | (source or {})],
        }
        specs = tmp_path / "specs"
        (specs / "eval").mkdir(parents=True, exist_ok=True)
        document = {"title": "A zoo", "version": 1, "entries": {"known": entry | fields}}
        (specs / "eval" / "zoo.yaml").write_text(yaml.safe_dump(document))
        return specs

    return write


def test_a_zoo_name_is_fetched_checked_and_described(hub, zoo, golden, capsys):
    hub.put("own/er", FILE, golden / "ckpt_sigma.pth")
    found = candidate("known", None, None, None, zoo())
    assert found.description["source"] == f"hf://own/er/{FILE}@{COMMIT}"
    assert (found.description["system"], found.description["method"]) == ("Known", "SIGMA-MLP")
    assert (found.description["family"], found.description["family_guessed"]) == ("sigma", False)
    assert found.sha256 == hashlib.sha256((golden / "ckpt_sigma.pth").read_bytes()).hexdigest()
    assert found.marks == ()
    assert f"fetching {FILE} of https://huggingface.co/own/er" in capsys.readouterr().err


@pytest.mark.parametrize(("field", "value", "said"), [("sha256", "0" * 64, "SHA-256"), ("bytes", 17, "bytes")])
def test_another_file_than_the_zoo_describes_is_refused(hub, zoo, golden, field, value, said):
    hub.put("own/er", FILE, golden / "ckpt_sigma.pth")
    specs = zoo({field: value})
    with pytest.raises(
        UserError, match=f"known: hf://own/er/{FILE}@{COMMIT} has .*{said}.*expected {value}"
    ) as refused:
        candidate("known", None, None, None, specs)
    assert "not loaded" in str(refused.value)
    assert "blobs" in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (errors.GatedRepoError, "accept the terms at https://huggingface.co/own/er and log in"),
        (errors.RepositoryNotFoundError, "no public repository own/er"),
        (errors.RemoteEntryNotFoundError, "has no such file; https://huggingface.co/own/er/tree/main"),
        (errors.LocalEntryNotFoundError, "not in the cache, and the hub cannot be reached"),
        (errors.OfflineModeIsEnabled, "not in the cache, and the hub cannot be reached"),
        (errors.HfHubHTTPError, "could not be fetched .HfHubHTTPError: said by the hub"),
        (RuntimeError, "could not be fetched .RuntimeError: said by the hub"),
    ],
)
def test_each_way_to_fail_is_said_with_what_to_do(hub, zoo, tmp_path, capsys, kind, said):
    hub.failure = error(kind)
    (tmp_path / "ucf101").mkdir()
    request = Request(
        **{"checkpoints": ["known"], "tasks": ["linear/ucf101"], "specs": zoo(), "data_root": tmp_path},
        **{"results": tmp_path / "rows", "out": tmp_path / "out"},
    )
    assert evaluate(request) == 2
    told = capsys.readouterr().err
    place = "place ckpt_sigma.pth at checkpoints/ckpt_sigma.pth and give --ckpt checkpoints/ckpt_sigma.pth --as known"
    assert said.replace(".HfHub", "(HfHub").replace(".Runtime", "(Runtime") in told
    assert f"Published at https://huggingface.co/own/er/blob/main/{FILE}: {place}" in told
    assert "Traceback" not in told


def test_what_lies_on_pages_is_named_and_not_fetched(hub):
    with pytest.raises(UserError, match=r"(?s)can be fetched from\. Published at https://drive\.google\.com/.*/view or "
                       r"https://github\.com/ruiwang2021/mvd/.*place mvd_k400_b400\.pth at checkpoints/mvd_k400_b400\.p"
                       r"th .* --as mvd_k400_b400 --family mvd"):  # fmt: skip
        candidate("mvd_k400_b400", None, None, None, None)
    assert hub.asked == []


def test_a_system_without_weights_says_why():
    with pytest.raises(UserError, match=r"mgm_k400_b800 \(MGM ViT-B K400\): no public weights; there is nothing"):
        candidate("mgm_k400_b800", None, None, None, None)


def test_the_next_source_is_tried_where_one_is_gone(hub, zoo, golden):
    hub.put("own/er", FILE, golden / "ckpt_sigma.pth")
    gone = {"host": "huggingface", "repo": "gone/er", "path": FILE}
    page = {"host": "page", "repo": "own/er", "path": "https://example.org/x"}
    entry = load.zoo(specs=zoo()).entries["known"]
    sources = [page, gone, entry.sources[0].model_dump()]
    entry = load.zoo(specs=zoo(sources=sources)).entries["known"]
    found, source = fetch_entry("known", entry)
    assert (found.address, source.repo) == (f"hf://own/er/{FILE}@{COMMIT}", "own/er")


def test_a_file_of_transformers_brings_its_settings_of_the_same_commit(hub, zoo, golden, tmp_path):
    folder = golden / "hf_pretraining_eps1e-12"
    for name in ("model.safetensors", "config.json"):
        hub.put("own/hf", f"deep/{name}", folder / name)
        hub.put("own/hf", f"deep/{name}", folder / name, commit=OTHER)
    found = candidate(f"hf://own/hf/deep/model.safetensors@{OTHER}", None, None, None, None)
    assert found.description["source"] == f"hf://own/hf/deep/model.safetensors@{OTHER}"
    assert found.description["system"] == f"hf://own/hf/deep/model.safetensors@{OTHER}"
    assert found.description["family"] == "videomae_hf"
    assert ("own/hf", "deep/config.json", OTHER) in hub.asked
    source = {"repo": "own/hf", "path": "deep/model.safetensors", "family": "videomae_hf", "bytes": None,
              "sha256": None}  # fmt: skip
    plain = candidate(str(folder), None, None, None, None).description
    named = candidate("known", None, None, None, zoo(source, backbone=plain["backbone"])).description
    assert (named["family"], named["family_guessed"]) == ("videomae_hf", False)


def test_settings_that_the_repository_is_known_to_lack_are_not_asked_for(hub, golden, monkeypatch):
    folder = golden / "hf_pretraining_eps1e-12"
    for name in ("model.safetensors", "config.json"):
        hub.put("own/hf", name, folder / name)
    absent = huggingface_hub._CACHED_NO_EXIST
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache",
                        lambda repo, file, revision: absent if file.startswith("pre") else None)  # fmt: skip
    assert fetch("hf://own/hf/model.safetensors").path.with_name("config.json").is_file()
    assert [file for _, file, _ in hub.asked] == ["model.safetensors", "config.json"]


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_is_taken_whole_and_either_kind_of_weights_will_do(hub, golden, tmp_path, weights):
    folder = golden / "hf_pretraining_eps1e-12"
    made = tmp_path / weights
    if weights.endswith(".bin"):
        import torch
        from safetensors.torch import load_file

        torch.save(load_file(folder / "model.safetensors"), made)
    else:
        shutil.copy(folder / weights, made)
    hub.put("own/hf", weights, made)
    hub.put("own/hf", "config.json", folder / "config.json")
    hub.put("own/hf", "checkpoint-5/model.safetensors", golden / "ckpt_sigma.pth")
    if weights.endswith(".safetensors"):
        hub.put("own/hf", "pytorch_model.bin", golden / "ckpt_sigma.pth")
    found = candidate("hf://own/hf", None, None, None, None)
    assert found.description["source"] == f"hf://own/hf@{COMMIT}"
    assert found.description["family"] == "videomae_hf"
    assert sorted(p.name for p in fetch("hf://own/hf").path.iterdir()) == ["config.json", weights]


@pytest.mark.parametrize(
    "address",
    ["hf://", "hf://own", "hf://own/", "hf://own/er/../x", "hf://../er/x", "hf://own/er//x", "hf://own/er/x@",
     "hf://own/er/x@a@b", "hf://o wn/er/x", "hf://own/er/./x"],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anything_is_asked(hub, address):
    with pytest.raises(UserError, match="no address; expected hf://OWNER/NAME"):
        fetch(address)
    assert hub.asked == []


def test_a_revision_that_is_not_there_is_named(hub, golden):
    hub.put("own/er", FILE, golden / "ckpt_sigma.pth")
    with pytest.raises(UserError, match=f"hf://own/er/{FILE}@refs/pr/7: own/er has no revision refs/pr/7"):
        fetch(f"hf://own/er/{FILE}@refs/pr/7")


def test_progress_bars_are_for_terminals(hub, golden, monkeypatch):
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars

    hub.put("own/er", FILE, golden / "ckpt_sigma.pth")
    enable_progress_bars()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    fetch(f"hf://own/er/{FILE}")
    assert not are_progress_bars_disabled()
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    fetch(f"hf://own/er/{FILE}")
    assert are_progress_bars_disabled()
    enable_progress_bars()


def test_a_family_that_nothing_was_checked_with_is_marked(golden):
    file = str(golden / "ckpt_videomae_ft_module_fp16.pth")
    assert candidate(file, "mgmae", 3, None, None).marks == (UNVERIFIED,)
    assert candidate(file, "videomae", 3, None, None).marks == ()
    assert candidate("random:nano", None, None, None, None).marks == ()


def test_a_file_at_hand_under_a_zoo_name_carries_its_note_and_whether_it_is_another(zoo, golden):
    file = str(golden / "ckpt_sigma.pth")
    assert candidate(file, None, 3, "known", zoo(note="as printed")).marks == ("as printed",)
    assert candidate(file, None, 3, "known", zoo({"sha256": "0" * 64})).marks == (REPLACED,)
    assert candidate(file, None, 3, "known", zoo({"sha256": None})).marks == ()


@pytest.mark.parametrize(
    ("address", "what"),
    [(f"hf://own/er/{FILE}@main", f"{FILE} of https://huggingface.co/own/er"), ("hf://own/er", "the files of")],
)
def test_an_address_that_cannot_be_had_names_what_to_place(hub, address, what):
    hub.failure = error(errors.OfflineModeIsEnabled)
    with pytest.raises(UserError, match=f"place {what}.* on this machine and give its path: --ckpt PATH"):
        candidate(address, None, None, None, None)
