"""`verify`: the golden vectors hold, and everything else is told apart from that."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sigma_bench.contracts import UserError
from sigma_bench.losses import sinkhorn as sinkhorn_module
from sigma_bench.losses.clustering import ClusteringSettings
from sigma_bench.runs.verify import CHECKS, Record, exit_code, report, run

HF = ("hf_eps1e-12", "hf_classification")
FILES = sorted([*CHECKS, *(f"feat_{n}.pt" for n in ("sigma", "sigma_dino", "videomae", "videomae_bare", *HF))])
NOT_AT_HAND = {"davis_jf.json": ["real_car-shadow.J and F"]}
"""Keys that are skipped because their inputs may not be redistributed."""


@pytest.mark.parametrize("name", [n for n in FILES if n != "videomae_pixel_in_sigma_code_l2.pt"])
def test_golden_vectors_hold(golden, name):
    records = run(golden, only=[name])
    compared = [r for r in records if r.status != "unknown"]
    assert compared
    assert [r.key for r in compared if r.status != "ok"] == NOT_AT_HAND.get(name, [])
    assert exit_code(records) == 0


def test_half_precision_file_has_its_own_tolerance(golden):
    records = run(golden, only=["feat_videomae_ft_module_fp16"])
    assert {(r.status, r.tolerance) for r in records} == {("ok", 1e-4)}


@pytest.mark.parametrize("name", ["sigma_mlp", "sigma_dino", "sigma_dinov2", "l2_dino"])
def test_all_of_a_pretraining_file_is_compared(golden, name):
    values = torch.load(golden / f"{name}.pt", weights_only=True)
    inputs = {"config", "state_dict", "video_u8", "mask", "lr_steps", "teacher_config", "teacher_state_dict"}
    assert {r.key.split("[")[0] for r in run(golden, only=[name])} == set(values) - inputs


def test_only_so_many_assignments_may_differ_as_are_ties(golden, tmp_path):
    def records(name, changed):
        def change(values):
            values["q1_argmax"][0, :changed] = (values["q1_argmax"][0, :changed] + 1) % values["config"]["K"]

        return [r.status for r in _changed(golden, tmp_path, f"{name}.pt", change) if r.key == "q1_argmax"]

    assert [records("sigma_dinov2", n) for n in (2, 3)] == [["ok"], ["failed"]]
    (tmp_path / "sigma_dinov2.pt").unlink()
    assert records("sigma_dino", 1) == ["failed"]


def test_a_file_whose_losses_outnumber_its_rates_fails(golden, tmp_path):
    records = _changed(golden, tmp_path, "l2_dino.pt", lambda v: v["lr_steps"].pop())
    assert [r.status for r in records if r.key == ""] == ["failed"]


def _changed(golden: Path, folder: Path, name: str, change) -> list[Record]:
    values = torch.load(golden / name, weights_only=True)
    change(values)
    torch.save(values, folder / name)
    return run(folder)


def test_wrong_numbers_fail(golden, tmp_path):
    records = _changed(golden, tmp_path, "sinkhorn_single.pt", lambda v: v["tall.q.eps0.03.it3"].add_(2e-5))
    assert [r.key for r in records if r.status == "failed"] == ["tall.q.eps0.03.it3"]
    assert exit_code(records) == 1


def test_undefined_numbers_and_wrong_shapes_fail(golden, tmp_path):
    def change(values):
        values["tall.q.eps0.03.it3"][0, 0] = float("nan")
        values["tall.q.eps0.05.it3"] = torch.zeros(2, 2)

    records = _changed(golden, tmp_path, "sinkhorn_single.pt", change)
    assert [r.key for r in records if r.status == "failed"] == ["tall.q.eps0.03.it3", "tall.q.eps0.05.it3"]


@pytest.mark.parametrize(
    ("setting", "value"), [("temperature", 0.11), ("iterations", 9), ("epsilon", 0.051), ("hard", False)]
)
def test_a_wrong_setting_of_ours_is_noticed(golden, monkeypatch, setting, value):
    right = ClusteringSettings
    monkeypatch.setattr(
        "sigma_bench.runs.verify.sigma.ClusteringSettings",
        lambda *args, **given: replace(right(*args, **given), **{setting: value}),
    )
    assert exit_code(run(golden, only=["sigma_mlp"])) == 1


def test_a_fault_in_our_code_is_a_failure_not_a_traceback(golden, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such kernel\nsecond line")

    monkeypatch.setattr(sinkhorn_module, "weights_by_scaling", broken)
    (record,) = run(golden, only=["sinkhorn_single"])
    assert record.status == "failed"
    assert "no such kernel" in record.reason
    assert "second" not in record.reason


def test_missing_sibling_is_skipped(golden, tmp_path):
    for name in ("videomae_pixel_raw.pt", "feat_sigma.pt", "tube_masks.pt"):
        shutil.copy(golden / name, tmp_path)
    records = run(tmp_path)
    skipped = {r.file for r in records if r.status == "skipped"}
    assert skipped == {"videomae_pixel_raw.pt", "feat_sigma.pt", "tube_masks.pt"}
    assert all(r.reason for r in records if r.status == "skipped")
    assert exit_code([r for r in records if r.status == "skipped"]) == 1


def test_the_seed_of_the_masks_is_read_from_the_set(golden, tmp_path):
    shutil.copy(golden / "tube_masks.pt", tmp_path)
    values = torch.load(golden / "sigma_mlp.pt", weights_only=True)
    values["config"]["seed"] += 1
    torch.save(values, tmp_path / "sigma_mlp.pt")
    assert any(r.status == "failed" for r in run(tmp_path, only=["tube_masks"]))


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_fail_with_a_reason(golden, tmp_path, name):
    if not (golden / name).exists():
        name = "sigma_mlp.pt"
    data = (golden / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    (record,) = run(tmp_path)
    assert record.status == "failed"
    assert record.reason
    assert exit_code([record]) == 1


@pytest.mark.parametrize("name", FILES)
def test_files_without_their_keys_do_not_pass(tmp_path, name):
    if name.endswith(".json"):
        (tmp_path / name).write_text(json.dumps({}))
    elif name.endswith(".npz"):
        np.savez(tmp_path / name)
    else:
        torch.save({}, tmp_path / name)
    (record,) = run(tmp_path)
    assert record.status in ("failed", "unknown")
    assert exit_code([record]) == 1


def test_unknown_files_are_told_and_do_not_count(golden, tmp_path):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "new_thing.pt").write_bytes(b"\0")
    shutil.copy(golden / "ckpt_sigma.pth", tmp_path)
    records = run(tmp_path)
    assert {(r.file, r.status) for r in records} == {
        ("deeper/new_thing.pt", "unknown"), ("ckpt_sigma.pth", "unknown"),
    }  # fmt: skip
    assert exit_code(records) == 1
    shutil.copy(golden / "pos_embed_1d_sincos.pt", tmp_path)
    assert exit_code(run(tmp_path)) == 0


def test_exit_code():
    ok = Record("f", "k", 0.0, 1.0, "ok")
    failed = Record("f", "k", 2.0, 1.0, "failed")
    advisory = Record("f", "k", 2.0, 1.0, "failed", advisory=True)
    unknown = Record("f", "", None, None, "unknown")
    assert [exit_code(r) for r in ([ok], [ok, unknown], [ok, advisory], [ok, failed], [unknown], [])] == [
        0, 0, 0, 1, 1, 1,
    ]  # fmt: skip


def test_mistakes_of_the_user(golden, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        run(tmp_path / "x")
    with pytest.raises(UserError, match="holds no golden file"):
        run(tmp_path)
    with pytest.raises(UserError, match="did you mean 'sigma_mlp"):
        run(golden, only=["sigma_mpl"])
    with pytest.raises(UserError, match="cannot be used"):
        run(golden, device="cuda:99", only=["pos_embed_1d_sincos"])


def test_other_sizes_hold_too(tmp_path):
    """A set of other sizes, written by the plain loop of this test rather than by the code under test."""
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(21, 13, generator=generator) * 0.3
    q = torch.exp(scores.double() / 0.03).t()
    for _ in range(4):
        q /= q.sum(1, keepdim=True)
        q /= q.sum(0, keepdim=True)
    torch.save({"odd.scores": scores, "odd.q.eps0.03.it4": q.t().float()}, tmp_path / "sinkhorn_single.pt")
    assert [r.status for r in run(tmp_path)] == ["ok"]


def test_report_tells_files_failures_and_a_summary(golden, tmp_path):
    _changed(golden, tmp_path, "sinkhorn_single.pt", lambda v: v["tall.q.eps0.03.it3"].add_(2e-5))
    (tmp_path / "new.pt").write_bytes(b"\0")
    shutil.copy(golden / "feat_sigma.pt", tmp_path)
    lines, code = report(tmp_path, "cpu", False)
    text = "\n".join(lines)
    assert code == 1
    for said in (
        "FAILED  sinkhorn_single.pt: 7/8",
        "failed: tall.q.eps0.03.it3 differs by",
        "skipped: checkpoint",
        "new.pt",
    ):
        assert said in text
    assert lines[-1].endswith("7 ok, 1 failed, 1 skipped, 1 unknown")


def test_report_as_json_is_one_strict_record_a_key(golden, tmp_path):
    _changed(golden, tmp_path, "sinkhorn_single.pt", lambda v: v["tall.q.eps0.03.it3"].fill_(float("nan")))
    lines, code = report(tmp_path, "cpu", True)
    told = json.loads("\n".join(lines), parse_constant=lambda _: pytest.fail("not strict JSON"))
    assert (code, len(told), len(lines)) == (1, 8, 10)
    assert all({"file", "key", "error", "tolerance", "status"} <= set(record) for record in told)
    (failed,) = [r for r in told if r["status"] == "failed"]
    assert failed["error"] is None
    assert "undefined" in failed["reason"]


def test_report_takes_the_vectors_of_the_checkout():
    lines, code = report(None, "cpu", False)
    assert code == 0, lines


def test_every_weights_file_of_a_hugging_face_folder_is_compared(golden, tmp_path):
    for name in ("feat_hf_eps1e-12.pt", "hf_pretraining_eps1e-12"):
        copy = shutil.copytree if (golden / name).is_dir() else shutil.copy
        copy(golden / name, tmp_path / name)
    keys = {"last_hidden_state", "last_block_output", "visible_last_hidden_state", "loss", "logits", "file_keys"}
    assert {(r.key, r.status) for r in run(tmp_path)} == {(key, "ok") for key in keys}
    torch.save(load_file(tmp_path / "hf_pretraining_eps1e-12" / "model.safetensors"),
               tmp_path / "hf_pretraining_eps1e-12" / "pytorch_model.bin")  # fmt: skip
    ok = {r.key for r in run(tmp_path) if r.status == "ok"}
    assert ok == keys | {f"pytorch_model.bin: {key}" for key in keys}
    shutil.rmtree(tmp_path / "hf_pretraining_eps1e-12")
    assert [r.status for r in run(tmp_path)] == ["skipped"]
