"""What `sigma-bench ckpt inspect` says of files that load and of files that do not."""

import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from sigma_bench.cli import app
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.feature_print import feature_print
from sigma_bench.runs.inspect import inspect
from sigma_bench.spec import load


def _inspect(path, as_json=False, family=None, heads=3, specs=None):
    return inspect(path, family, heads, None, None, as_json, specs)


def test_a_file_that_loads_is_described_line_by_line(golden):
    lines, code = _inspect(golden / "ckpt_sigma.pth")
    text = "\n".join(lines[1:])
    assert code == 0
    assert lines[0] == str(golden / "ckpt_sigma.pth")
    assert all(len(line) <= 80 for line in lines[1:])
    encoder, report = load_encoder(golden / "ckpt_sigma.pth", heads=3)
    shown = feature_print(encoder)
    for said in (
        report.sha256,
        "container  model",
        "sigma (told from the names of its tensors)",
        "ViT-48x2/8, 3 heads",
        "16 frames of 32 px",
        "positions of grid 8x4x4",
        "matched       30",
        "dropped       28",
        "mask_token, prototypes",
        "SIGMA with an MLP projector",
        "no entry has this sha256",
        shown.text,
        shown.digest,
    ):
        assert said in text


def test_the_same_is_there_for_programs(golden):
    (text,), code = _inspect(golden / "ckpt_sigma.pth", as_json=True)
    facts = json.loads(text)
    assert (code, facts["loads"], facts["family"], facts["family_guessed"], facts["heads"]) == (
        *(0, True, "sigma", True),
        3,
    )
    assert facts["bytes"] == (golden / "ckpt_sigma.pth").stat().st_size
    assert facts["tensors"]["matched"]["tensors"] == 30
    assert facts["tensors"]["missing"] == {"tensors": 0, "parameters": 0, "first": []}
    assert facts["tensors"]["dropped"]["first"][0] == "mask_token"
    assert len(facts["feature_print"]["values"]) == 8


def test_a_file_that_does_not_load_is_described_as_far_as_it_is_known(golden):
    lines, code = _inspect(golden / "ckpt_sigma.pth", heads=None)
    text = "\n".join(lines)
    assert code == 2
    assert "not loaded the number of attention heads cannot be told at width 48" in text
    assert "model: 58 entries, 58 of them tensors" in text
    assert "epoch: 799" in text
    assert "encoder.patch_embed.proj.weight: float32 (48, 3, 2, 8, 8)" in text
    (text,), code = _inspect(golden / "ckpt_sigma.pth", heads=None, as_json=True)
    facts = json.loads(text)
    assert (code, facts["loads"], facts["container"]) == (2, False, "model")
    assert "heads cannot be told" in facts["error"]


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch owned",)


def test_hostile_broken_and_foreign_files_are_told_in_one_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Payload()}, tmp_path / "evil.pt")
    torch.save({"optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": []}, "epoch": 3}, "optimizer.pt")
    torch.save({"model": {"conv1.weight": torch.ones(2, 3)}}, "resnet.pt")
    (tmp_path / "page.pth").write_text("<html>")
    for name, said in (
        ("evil.pt", "names posix.system"),
        ("optimizer.pt", "no weights found"),
        ("resnet.pt", "conv1.weight: float32 (2, 3)"),
        ("page.pth", "a web page"),
        ("none.pth", "no such checkpoint"),
    ):
        lines, code = _inspect(tmp_path / name)
        assert code == 2
        assert said in " ".join(" ".join(lines).split())
    assert not (tmp_path / "owned").exists()
    assert "optimizer: 2 entries" in "\n".join(_inspect(tmp_path / "optimizer.pt")[0])


def test_a_known_file_is_told_with_the_rows_it_joins(tmp_path, golden):
    zoo = load.zoo().model_dump(mode="json")
    entry = zoo["entries"]["sigma_mlp_k400_b800"]
    entry["sources"][0]["sha256"] = load_encoder(golden / "ckpt_sigma.pth", heads=3)[1].sha256
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    facts = json.loads(_inspect(golden / "ckpt_sigma.pth", as_json=True, specs=tmp_path)[0][0])
    assert facts["zoo"] == "sigma_mlp_k400_b800"
    assert facts["published"]
    assert all(name.startswith("T") for name in facts["published"])
    entry["sources"][0]["sha256"] = None
    entry["sources"][0]["bytes"] = (golden / "ckpt_sigma.pth").stat().st_size
    (tmp_path / "eval" / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    facts = json.loads(_inspect(golden / "ckpt_sigma.pth", as_json=True, specs=tmp_path)[0][0])
    assert (facts["zoo"], facts["zoo_of_same_size"], facts["published"]) == (None, ["sigma_mlp_k400_b800"], [])


def test_folders_are_described_too(golden):
    lines, code = _inspect(golden / "hf_classification")
    assert code == 0
    assert "videomae_hf" in "\n".join(lines)
    lines, code = _inspect(golden / "hf_classification", heads=5)
    assert code == 2
    assert "videomae.embeddings.patch_embeddings.projection.weight: float32" in "\n".join(lines)


def test_an_untrained_encoder_is_described_too():
    lines, code = _inspect(Path("random:nano"), heads=None)
    assert code == 0
    assert "untrained" in "\n".join(lines)


@pytest.mark.parametrize(("options", "code"), [(["--heads", "3"], 0), ([], 2), (["--heads", "3", "--json"], 0)])
def test_the_command_ends_with_the_code(golden, options, code):
    result = CliRunner().invoke(app, ["ckpt", "inspect", str(golden / "ckpt_sigma.pth"), *options])
    assert result.exit_code == code
    assert "ckpt_sigma.pth" in result.stdout
