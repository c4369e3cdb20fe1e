"""What makes a measurement another one, and what is refused before anything runs."""

import json
import time

import pytest

from sigma_bench.contracts import Run, UserError
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs.demo import _together
from sigma_bench.runs.evaluate import evaluate, without_checksums
from sigma_bench.runs.machine import torch_device
from sigma_bench.runs.measure import _common, _tell_later, settings_of, settings_sha256
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import Candidate
from sigma_bench.spec import load


def run(root, **more):
    return Run("cpu", 0, root, root, **more)


def test_precision_heads_and_the_files_of_a_miniature_make_another_measurement(tmp_path):
    task = load.task("linear/ucf101", data="miniature")
    folder = tmp_path / "ucf101"
    folder.mkdir()
    found = [settings_sha256(task, run(tmp_path)), settings_sha256(task, run(tmp_path, precision="bf16"))]
    found.append(settings_sha256(task, run(tmp_path), heads=3))
    for digest in ("a" * 64, "b" * 64):
        (folder / "miniature.json").write_text(json.dumps({"sha256": digest}))
        found.append(settings_sha256(task, run(tmp_path)))
    assert len(set(found)) == 5
    assert settings_sha256(task, run(tmp_path, workers=7)) == found[-1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"precision": "fp16"}, "--precision fp16"),
        ({"as_system": "sigma_mlp_k400_b800", "checkpoints": ["a.pth", "b.pth"]}, "describes one checkpoint"),
        ({"as_system": "sigma_mlp_k400_b800", "checkpoints": ["random:nano"]}, "describes one checkpoint"),
        ({"as_system": "sigma_mlp_k400_b800", "checkpoints": ["mine:build"]}, "describes one checkpoint"),
    ],
)
def test_a_wish_that_would_be_ignored_is_refused(more, said):
    with pytest.raises(UserError, match=said):
        evaluate(Request(**{"checkpoints": ["x.pth"], "tasks": ["linear/ucf101"], **more}))


def test_nothing_that_could_be_loaded_is_exit_code_2(tmp_path, capsys):
    (tmp_path / "ucf101").mkdir()
    request = Request(
        ["nothing.pth"], tasks=["linear/ucf101"], data_root=tmp_path, results=tmp_path / "rows", out=tmp_path / "o"
    )
    assert evaluate(request) == 2
    assert "nothing.pth: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bad", "meta", "cuda:x", "cpu:0", "cuda:99"])
def test_only_devices_that_are_here_are_taken(name):
    with pytest.raises(UserError, match=f"--device {name}"):
        torch_device(name)


def test_an_interrupt_starts_no_further_command(tmp_path, monkeypatch):
    begun = []

    def command(name, arguments, logs):
        begun.append(name)
        time.sleep(0.02)  # as a command takes: one that ends at once leaves no time to call the others off
        raise KeyboardInterrupt

    monkeypatch.setattr("sigma_bench.runs.demo._command", command)
    with pytest.raises(KeyboardInterrupt):
        _together({str(n): [] for n in range(500)}, tmp_path, jobs=1)
    assert len(begun) < 500


@pytest.mark.parametrize("option", ["out", "results"])
def test_a_folder_that_cannot_be_written_to_is_found_before_measuring(tmp_path, option, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ucf101").mkdir()
    (tmp_path / "file").write_text("")
    request = Request(["x.pth"], tasks=["linear/ucf101"], data_root=tmp_path, **{option: tmp_path / "file" / "inside"})
    with pytest.raises(UserError, match="cannot be written to"):
        evaluate(request)


def test_checksums_that_a_pattern_gives_beside_their_files_are_left_out():
    given = ["a/step-1.pt", "a/step-1.pt.sha256", "b.sha256", "hf://x/y"]
    assert without_checksums(given) == ["a/step-1.pt", "b.sha256", "hf://x/y"]


def test_the_profile_of_a_resolved_task_is_told_without_asking_for_it_again(tmp_path):
    task = load.task("linear/ucf101", data="miniature")
    kept = task.model_copy(update={"resolved": task.resolved.model_copy(update={"profile": "quick"})})
    system = Candidate({}, "a" * 64, "", lambda device: None)
    told = [_common(system, one, run(tmp_path), "tasks", Request(["x"]))["profile"] for one in (task, kept)]
    assert told == ["", "quick"]


def test_a_row_that_a_wrong_clock_keeps_from_counting_is_told(tmp_path, capsys):
    sound = dict.fromkeys(("system", "suite", "task", "evaluator", "metric"), "x")
    sound |= {"task_version": 1, "data": "official", "status": "ok", "value": 1.0}
    sound |= {"checkpoint_sha256": "a" * 64, "settings_sha256": "b" * 64}
    store, dates = Store(tmp_path), ("2031-01-01T00:00:00.000000Z", "2030-01-01T00:00:00.000000Z")
    later, earlier = (Row(**sound, measured_at=date) for date in dates)
    store.append("x", [earlier])
    _tell_later(store, earlier)
    assert capsys.readouterr().err == ""
    store.append("x", [later])
    _tell_later(store, earlier)
    assert "2031-01-01T00:00:00.000000Z, later than this one, and still counts" in capsys.readouterr().err


def test_an_order_of_frames_is_another_measurement_and_the_natural_one_is_what_it_always_was(tmp_path):
    settings = ["clips.order=reversed", "clips.train_order=natural", "clips.order=natural"]
    plain, *changed = [
        settings_of(load.task("linear/ssv2", data="miniature", sets=[s] if s else []), run(tmp_path))
        for s in ("", *settings)
    ]
    assert set(plain["clips"]) == {"frames", "stride", "sampling"}  # as when there was no such setting
    assert changed[0]["clips"]["order"] == "reversed"
    assert changed[1]["clips"]["train_order"] == "natural"
    assert changed[2] == plain
