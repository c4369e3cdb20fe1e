"""Pretraining on a folder of real videos, damaged ones among them."""

import json
import shutil


def test_real_clips_train_and_damaged_ones_are_named(cli, tmp_path, shared):
    folder = tmp_path / "my videos"
    shutil.copytree(shared / "real" / "videos", folder)
    shutil.copytree(shared / "real" / "corrupt", folder / "corrupt")
    done = cli("pretrain", "sigma_mlp", "--data", f"folder:{folder}", "--out", tmp_path / "run", "--set",
               "train.epochs=2")  # fmt: skip
    said = {line for line in done.stderr.splitlines() if line.startswith("left out: ")}
    names = ("audio_only", "broken_middle", "text_renamed", "truncated_index_present", "zero_bytes")
    for name in names:
        (line,) = [s for s in said if s.startswith(f"left out: corrupt/{name}.mp4: ")]
        assert len(line) > len(f"left out: corrupt/{name}.mp4: ") + 5
    assert len(said) == len(names)
    assert "5 of 17 files cannot be decoded; training on the other 12" in done.stderr
    record = json.loads((tmp_path / "run" / "data.json").read_text())
    assert (record["list"]["count"], record["trained_on"], record["replaced"]) == (17, 12, {})
    assert record["decoders"]["pyav"] >= 1  # the AV1 file, which decord cannot open
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").open()]
    assert steps == [1, 2]
