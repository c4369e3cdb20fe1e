"""Boards show what the log holds, once a step, however often a run was resumed."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.train.board import boards
from sigma_bench.train.quantities import PARTS, QUANTITIES, numbers, ordered, quantity, tag


def record(step, **more):
    return {"step": step, "loss": 1 / step, "used_prototypes": 0.5, **more}


def points(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(e.step, e.value) for e in events.Scalars(name)], events


def show(folder, start, steps, **more):
    (board,) = boards(["tensorboard"], folder, start, {})
    for step in steps:
        board.write(record(step, **more))
    board.close()


def test_tensorboard_of_a_resumed_run_has_each_step_once(tmp_path):
    show(tmp_path, 0, range(1, 9))
    show(tmp_path, 5, range(6, 13), extra=2.0)
    show(tmp_path, 10, range(11, 15), warning="since step 3 it is bad")
    found, events = points(tmp_path, "loss/loss")
    assert [step for step, _ in found] == list(range(1, 15))
    assert found[3][1] == pytest.approx(1 / 4)
    assert [step for step, _ in points(tmp_path, "other/extra")[0]] == list(range(6, 11))
    assert set(events.Tags()["scalars"]) == {"loss/loss", "collapse/used_prototypes", "other/extra"}
    texts = events.Tensors("warning/text_summary")
    assert [e.step for e in texts] == [11, 12, 13, 14]
    assert b"since step 3" in texts[0].tensor_proto.string_val[0]


def test_a_run_that_shows_nothing_writes_nothing(tmp_path):
    (board,) = boards(["tensorboard", "tensorboard"], tmp_path, 0, {})
    board.close()
    assert list(tmp_path.iterdir()) == []


def test_the_import_of_tensorboard_waits_for_the_first_record():
    code = "import sys, sigma_bench.train.board as b; b.boards(['tensorboard'], __import__('pathlib').Path(), 0, {}); "
    code += "assert not [m for m in sys.modules if m.startswith('tensorboard')]"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("names", "said"), [(["mlflow"], "--log mlflow: expected tensorboard or wandb")])
def test_unknown_boards_are_refused(tmp_path, names, said):
    with pytest.raises(UserError, match=said):
        boards(names, tmp_path, 0, {})


def test_missing_wandb_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="pip install wandb"):
        boards(["wandb"], tmp_path, 0, {})


def test_wandb_gets_the_records_of_the_log(tmp_path, monkeypatch):
    said = []

    class Fake:
        def define_metric(self, name, step_metric):
            said.append((name, step_metric))

        def log(self, values):
            said.append(values)

        def alert(self, title, text):
            said.append((title, text))

        def finish(self):
            said.append("finished")

    def init(**settings):
        said.append(settings)
        return Fake()

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    (board,) = boards(["wandb"], tmp_path / "run", 300, {"name": "sigma_mlp"})
    board.write(record(310, warning="bad"))
    board.close()
    assert said[0]["group"] == "run"
    assert said[0]["name"] == "run from step 300"
    assert said[0]["config"] == {"name": "sigma_mlp"}
    assert said[2] == {"step": 310, "loss/loss": 1 / 310, "collapse/used_prototypes": 0.5}
    assert said[3:] == [("step 310", "bad"), "finished"]


def test_a_wandb_that_lets_no_run_begin_is_told(tmp_path, monkeypatch):
    def init(**_):
        raise RuntimeError("api_key not configured")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(UserError, match="WANDB_MODE=offline"):
        boards(["wandb"], tmp_path, 0, {})


def test_only_finite_numbers_make_a_curve():
    inf = float("inf")
    assert numbers(
        {"step": 3, "epoch": 1, "epochs": 1.5, "a": 1, "b": 2.5, "c": inf, "d": None, "e": "x", "f": True}
    ) == {"a": 1.0, "b": 2.5}


def test_every_quantity_has_a_part_and_a_sentence():
    for name, known in QUANTITIES.items():
        assert known.part in PARTS
        assert known.meaning.endswith(".")
        assert quantity(name) is known
    assert tag("eval/linear/ucf101/top1") == "eval/linear/ucf101/top1"
    names = ["zzz", "memory_gib", "eval/linear/ucf101/top1", "used_prototypes", "loss"]
    assert ordered(names) == ["loss", "used_prototypes", "eval/linear/ucf101/top1", "memory_gib", "zzz"]
