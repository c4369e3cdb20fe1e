"""Charades from the command line: the quick profile learns, and its row can be judged from its samples."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.mark.slow
def test_quick_on_the_miniature_learns(cli, tmp_path):
    asked = ("eval", "--task", "severe/charades", "--data", "miniature", "--profile", "quick", "--data-root", tmp_path,
             "--ckpt", "random:nano")  # fmt: skip
    told = cli(*asked).stderr
    assert "map_constant 25.00 (60 of 60 samples, miniature" in told
    rows = {row["metric"]: row for row in json.loads(cli("results", "list", "--json").stdout)}
    assert set(rows) == {"map", "map_official", "map_constant"}
    best, constant = rows["map"], rows["map_constant"]
    assert best["value"] > constant["value"] + 10
    assert best["interval_low"] < best["value"] < best["interval_high"]
    assert (best["status"], best["data"], best["views"], best["profile"]) == ("ok", "miniature", "3x1", "quick")
    samples = pd.read_parquet(tmp_path / "results" / "rows" / best["artifacts"]["samples"])
    truth = np.stack(samples["labels"].to_list())
    assert truth.shape == np.stack(samples["scores"].to_list()).shape == (60, 10)
    assert 100 * truth.mean() == pytest.approx(constant["value"])
    again = cli(*asked).stderr
    assert "has a row, skipped" in again
