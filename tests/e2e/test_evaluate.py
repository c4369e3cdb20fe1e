"""Evaluation as its user runs it: rows, tables, skipping, missing data, damaged files."""

import csv
import json

import pandas as pd
import pytest

QUICK = ("--suite", "quick", "--data", "miniature")


def rows(folder):
    with next(folder.glob("*.csv")).open() as file:
        return list(csv.DictReader(file))


def test_twice_the_same_and_nothing_recomputed(cli, tmp_path, data_root):
    common = ("eval", *QUICK, "--ckpt", "random:nano:1", "--data-root", data_root, "--limit", "96",
              "--set", "probe.epochs=5")  # fmt: skip
    first = cli(*common, "--results", tmp_path / "a")
    again = cli(*common, "--results", tmp_path / "a")
    assert again.stderr.count("has a row, skipped") == 3
    assert "features of" not in again.stderr
    forced = cli(*common, "--results", tmp_path / "a", "--force")
    assert forced.stderr.count("features from the cache") == 3
    cli(*common, "--results", tmp_path / "b", "--out", tmp_path / "other")
    one, two = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert len(one) == 6
    assert len(two) == 3
    values = [(r["task"], r["metric"], r["value"]) for r in two]
    assert [(r["task"], r["metric"], r["value"]) for r in one] == values * 2
    assert {r["data"] for r in two} == {"miniature"}
    assert all(float(r["interval_low"]) < float(r["value"]) < float(r["interval_high"]) for r in two)
    assert [(r["interval_low"], r["interval_high"]) for r in one[:3]] == [
        (r["interval_low"], r["interval_high"]) for r in two
    ]
    assert all(r["limit"] == "96" and len(r["checkpoint_sha256"]) == 64 for r in two)
    assert first.stderr.count(" (96 of 96 samples") == 3
    table = cli("tables", "--results", tmp_path / "b", "--out", tmp_path / "tables")
    assert "iniature" in table.stdout
    assert "73.8" in table.stdout  # the published row of SIGMA-MLP on UCF101


def test_no_data_is_said_and_never_replaced(cli, tmp_path):
    done = cli("eval", "--suite", "linear", "--ckpt", "random:nano", "--data-root", tmp_path / "nothing", expect=2)
    assert f"not run: linear/ucf101: no data at {tmp_path / 'nothing' / 'ucf101'}" in done.stderr
    assert "--data miniature" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_file_that_cannot_be_decoded_is_a_sample_with_an_error(cli, tmp_path, tiny_ucf101):
    videos = sorted((tiny_ucf101 / "ucf101" / "UCF-101").glob("*/*_g01_*.avi"))
    videos[0].write_bytes(b"no video")
    videos[1].unlink()
    done = cli("eval", "--task", "linear/ucf101", "--ckpt", "random:nano:1", "--data-root", tiny_ucf101, "--set",
               "probe.epochs=30", "--set", "probe.rates=[0.01]", "--set", "probe.weight_decays=[0.0]", "--set",
               "clips.frames=8", "--set", "clips.stride=1", "--set", "views.train=1", "--set", "views.test_clips=1",
               "--set", "views.test_crops=1")  # fmt: skip
    row = rows(tmp_path / "results" / "rows")[0]
    assert row["status"] == "partial"
    assert row["data"] == "custom"  # not the 9,537 and 3,783 videos of the published lists
    assert "probe.epochs=30" in row["marks"]
    expected, present, decoded = (int(row[f"n_{n}"]) for n in ("expected", "present", "decoded"))
    assert (expected - present, present - decoded) == (1, 1)
    assert float(row["value_missing_wrong"]) < float(row["value"])
    assert videos[0].stem in row["error"]
    samples = pd.read_parquet(tmp_path / "results" / "rows" / json.loads(row["artifacts"])["samples"])
    assert len(samples) == expected
    settings = (tmp_path / "results" / "rows" / json.loads(row["artifacts"])["settings"]).read_text()
    assert "epochs: 30" in settings
    assert set(samples.loc[samples["error"].notna(), "id"]) == {videos[0].stem, videos[1].stem}
    assert f"{decoded} of {expected} samples" in done.stderr


def test_a_miniature_is_never_taken_for_official_data(cli, data_root):
    done = cli("eval", "--suite", "linear", "--ckpt", "random:nano", "--data-root", data_root / "miniature", expect=2)
    assert "is a generated miniature" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pretrain", "sigma_mpl"), "sigma_mlp"),
        (("pretrain", "sigma_mlp", "--set", "train.base_Ir=1e-3"), "base_lr"),
        (("eval", "--suite", "qiuck", "--ckpt", "random:nano"), "quick"),
        (("eval", "--ckpt", "random:nano"), "--suite"),
        (("list", "recipies"), "recipes"),
        (("pretrain", "sigma_mlp", "--data", "k400", "--data-root", "/nowhere"), "/nowhere/k400"),
    ],
)
def test_mistakes_end_with_one_message_and_exit_code_2(cli, arguments, said):
    assert said in cli(*arguments, expect=2).stderr


def test_a_missing_checkpoint_fails_alone(cli, tmp_path, data_root):
    done = cli("eval", *QUICK, "--ckpt", "nothing.pth", "--ckpt", "random:nano:2", "--data-root", data_root, "--limit",
               "96", "--set", "probe.epochs=2", expect=1)  # fmt: skip
    assert "nothing.pth: no such file" in done.stderr
    assert len(rows(tmp_path / "results" / "rows")) == 3


@pytest.mark.slow
def test_the_suite_of_linear_probing_fills_all_cells_on_the_miniatures(cli, tmp_path):
    common = ("eval", "--suite", "linear", "--data", "miniature", "--ckpt", "random:nano:1", "--data-root", tmp_path)
    cli(*common)
    cli(*common, "--profile", "knn")
    found = {(r["task"], r["metric"], r["status"], r["data"]) for r in rows(tmp_path / "results" / "rows")}
    names = ("ssv2", "k400", "ucf101", "hmdb51", "in1k", "cifar100")
    assert found == {(f"linear/{n}", m, "ok", "miniature") for n in names for m in ("top1", "knn_top1")}
