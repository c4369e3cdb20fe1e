"""Golden files of repetition counting, of other sizes, with faults, and damaged."""

import numpy as np
import pytest

from sigma_bench.runs.verify import run

NAMES = ("rep_window_indices", "rep_train_labels", "rep_inference")


def _changed(golden, folder, name, change):
    values = dict(np.load(golden / f"{name}.npz"))
    change(values)
    np.savez(folder / f"{name}.npz", **values)
    return run(folder, only=[name])


def _failed(records):
    return {record.key for record in records if record.status == "failed"}


def test_fewer_rows_pass(golden, tmp_path):
    def fewer(values):
        for key in ("states", "sample_len", "frame_indices", "is_padding"):
            values[key] = values[key][5:12]

    assert {r.status for r in _changed(golden, tmp_path, "rep_window_indices", fewer)} == {"ok"}


def test_fewer_videos_pass_but_for_the_means(golden, tmp_path):
    def fewer(values):
        per_video = ("gt_counts", "counts", "maes", "oboas", "first_estimate", "position_inverse_lengths", "stable")
        for key in ("sample_len", *per_video):
            values[key] = values[key][[7, 3]]

    assert _failed(_changed(golden, tmp_path, "rep_inference", fewer)) <= {"mae", "mae_std", "maep", "maen", "oboa"}


def test_videos_whose_count_hangs_on_rounding_are_left_out(golden, tmp_path):
    def unstable(values):
        values["stable"][0] = False
        values["first_estimate"][0] += 1
        values["position_inverse_lengths"][0] += 1

    assert _failed(_changed(golden, tmp_path, "rep_inference", unstable)) == set()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *(("rep_window_indices", key) for key in ("frame_indices", "is_padding")),
        *(("rep_train_labels", key) for key in ("gt_cls", "gt_box", "step_out")),
        *(("rep_inference", key) for key in ("first_estimate", "position_inverse_lengths", "maes", "oboas")),
        *(("rep_inference", key) for key in ("counts", "mae", "mae_std", "maep", "maen", "oboa")),
    ],
)
def test_a_wrong_value_fails(golden, tmp_path, name, key):
    def wrong(values):
        array = np.atleast_1d(values[key])
        array.flat[-1] = not array.flat[-1] if array.dtype == bool else array.flat[-1] + 1
        values[key] = array.reshape(values[key].shape)

    assert key in _failed(_changed(golden, tmp_path, name, wrong))


@pytest.mark.parametrize("name", NAMES)
def test_a_lacking_and_an_unknown_key_are_told(golden, tmp_path, name):
    def other(values):
        values["surprise"] = np.zeros(3)

    assert {r.key for r in _changed(golden, tmp_path, name, other) if r.status == "unknown"} == {"surprise"}
    records = _changed(golden, tmp_path, name, lambda values: values.pop("sample_len"))
    assert "lacks" in records[-1].reason
    assert "'sample_len'" in records[-1].reason


def test_damaged_archives_are_failures_not_tracebacks(golden, tmp_path):
    whole = (golden / "rep_inference.npz").read_bytes()
    for number, content in enumerate((b"", b"PK", whole[: len(whole) // 2], whole[:600] + b"x" * 90 + whole[690:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "rep_inference.npz").write_bytes(content)
        (record,) = run(folder)
        assert record.status == "failed"
        assert "npz" in record.reason or "readable file of arrays" in record.reason


def test_arrays_of_objects_and_lone_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "rep_inference.npz", sample_len=np.array([{}], dtype=object))
    with (tmp_path / "rep_train_labels.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    first, second = run(tmp_path)
    assert "Object arrays" in first.reason
    assert "no npz file" in second.reason
