"""The golden vectors of SEVERE: every key is compared, wrong values fail, other sizes hold."""

import shutil

import numpy as np
import pytest

from sigma_bench.runs.verify import exit_code, run

INPUTS = {
    "charades_map.npz": {f"{case}_{part}" for case in ("a", "b", "c", "d_ties") for part in ("scores", "labels")},
    "charades_test_frames.npz": {"lengths", "stride"},
    "charades_lr.npz": {"epochs"},
    "slowfast_testmeter.npz": {"clip_scores", "clip_ids", "num_clips", "multi_labels", "single_labels"},
    "severe_accuracy.npz": {"logits", "targets"},
    "severe_code_lr.npz": set(),
    "low_shot_subset.npz": {"labels"},
    "videomae_merge.npz": {"logits", "targets", "num_segments", "num_crops"},
}


def stored(golden, name):
    with np.load(golden / name) as values:
        return dict(values)


@pytest.mark.parametrize("name", INPUTS)
def test_all_of_a_file_is_compared_and_each_wrong_value_fails(golden, tmp_path, name):
    values = stored(golden, name)
    outputs = set(values) - INPUTS[name]
    assert {r.key for r in run(golden, only=[name]) if not r.key.startswith("view_files")} == outputs
    for key in outputs:
        wrong = np.array(values[key])
        wrong.flat[-1] = 0.5 if np.isnan(wrong.flat[-1]) else wrong.flat[-1] + 1
        np.savez(tmp_path / name, **{**values, key: wrong})
        assert [r.key for r in run(tmp_path) if r.status == "failed"] == [key]


def test_keys_without_a_check_are_told(golden, tmp_path):
    for name in INPUTS:
        np.savez(tmp_path / name, **stored(golden, name), another=np.zeros(3))
    told = {r.file for r in run(tmp_path) if (r.key, r.status) == ("another", "unknown")}
    assert told == set(INPUTS)


def test_labels_of_other_frames_and_videos_hold(tmp_path):
    lists = "[[[3], [], [1, 2]], [[], [], []]]"
    clip, video = "[[1, 2], []]", "[[1, 2, 3], []]"
    (tmp_path / "charades_labels.json").write_text(
        f'{{"frame_labels": {lists}, "clip_labels_frames_1_to_2": {clip}, "video_labels": {video}}}'
    )
    assert [r.status for r in run(tmp_path)] == ["ok", "ok"]
    (tmp_path / "charades_labels.json").write_text(
        f'{{"frame_labels": {lists}, "clip_labels_frames_0_to_2": {clip}, "video_labels": {video}}}'
    )
    assert [r.status for r in run(tmp_path)] == ["failed", "ok"]


def test_other_sizes_hold_too(tmp_path):
    """Sets of other sizes, whose values are those of plain loops in this test."""
    rng = np.random.default_rng(3)
    logits, targets = rng.normal(size=(31, 4, 7)).astype(np.float32), rng.permutation(31) % 6
    best = np.array([np.mean([np.exp(v) / np.exp(v).sum() for v in views], 0).argmax() for views in logits])
    shares = [np.mean(best[targets == c] == c) for c in range(6)]
    cumulative = [np.mean((best == targets)[targets <= c]) for c in range(7)]
    top1 = 100 * np.mean(best == targets)
    np.savez(
        tmp_path / "severe_accuracy.npz",
        logits=logits,
        targets=targets,
        top1=top1,
        mean_class_top1_released=100 * sum(shares) / 7,
        mean_class_top1_present_only=100 * sum(shares) / 6,
    )
    np.savez(
        tmp_path / "videomae_merge.npz",
        logits=logits,
        targets=targets,
        num_segments=2,
        num_crops=2,
        top1=top1,
        released_cumulative_mean_class_top1=100 * np.mean(cumulative),
    )
    folder = tmp_path / "view_files"
    folder.mkdir()
    for rank in range(3):
        lines = [
            f"v_{n} [x] {logits[n, view].tolist()} {targets[n]} {view // 2} {view % 2}"
            for n in range(rank, 31, 3)
            for view in range(4)
        ]
        (folder / f"{rank}.txt").write_text("\n".join(["1.0, 2.0", *lines, *lines[:3]]) + "\n")
    records = run(tmp_path)
    assert [r.status for r in records] == ["ok"] * 9
    (folder / "2.txt").unlink()
    failed = {r.key for r in run(tmp_path) if r.status == "failed"}
    assert {"view_files: samples", "view_files: views"} <= failed


def test_view_files_that_are_absent_or_damaged_are_told(golden, tmp_path):
    shutil.copy(golden / "videomae_merge.npz", tmp_path)
    records = run(tmp_path)
    assert [r.key for r in records if r.status == "skipped"] == ["view_files"]
    assert exit_code(records) == 0
    shutil.copytree(golden / "view_files", tmp_path / "view_files")
    text = (tmp_path / "view_files" / "1.txt").read_text()
    (tmp_path / "view_files" / "1.txt").write_text(text[: len(text) // 2])
    records = run(tmp_path)
    assert next(r.reason for r in records if r.status == "failed").count("1.txt:") == 1
    assert exit_code(records) == 1
