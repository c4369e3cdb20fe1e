"""What a user is told about a faulty file: file:line, dotted key, found, expected, the nearest name."""

from pathlib import Path

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.spec import load, roots


def told(tmp_path: Path, kind: roots.Kind, name: str, *changes: tuple[str, str]) -> str:
    text = roots.find(kind, name).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load.recipe(path) if kind == "pretrain" else load.task(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("objective: sigma", "objective: sigm", "objective: found 'sigm' (text), expected one of sigma, pixels"),
        ("image_size: 224", "image_size: '224'", "model.image_size: found '224' (text), expected a valid integer"),
        ("ratio: 0.9", "ratio: 9", "mask.ratio: found 9, expected less than 1"),
        ("[0.9, 0.95]", "[0.9]", "train.betas[1]: missing; add it"),
        ("[0.9, 0.95]", "[0.9, 1.5]", "train.betas[1]: found 1.5, expected less than 1"),
        ("kind: mlp", "kind: [1]", "target.kind: found"),
        ("kind: mlp", "kin: mlp", "target.kind: missing; add it"),
        ("title: SIGMA-MLP, learned", "title: 7 #", "title: found 7, expected a valid text (put it in quotes)"),
        ("title: SIGMA-MLP, learned", "title: yes #", "title: found true, expected a valid text (put it in quotes)"),
        ("prototypes: 4000", "prototype: 4000", "clustering.prototype: no such key; did you mean 'prototypes'?"),
        ("patch: 16", "patch: 15", "model: image_size 224 is not a multiple of patch 15"),
        ("frames: 16", "frames: 15", "model: frames 15 is not a multiple of tubelet 2"),
        ("ratio: 0.9", "ratio: 0.001", "leaves nothing to predict or to see"),
        ("warmup_epochs: 40", "warmup_epochs: 801", "train: warmup_epochs 801 is not below epochs 801"),
        ("warmup_epochs: 40", "warmup_steps: 40", "give warmup_epochs and set warmup_steps to null"),
        ("micro_batch: null", "micro_batch: 7", "train: global_batch 640 is not a multiple of micro_batch 7"),
        ("min_lr: 1.0e-5", "min_lr: 1.0", "train: min_lr 1.0 is above base_lr 0.00015"),
        ("  threads: null", "  threads: null\n  steps: 5", "exactly one of epochs and steps"),
        ("{table: T1, row: 5}", "T1 row 5", "published[0]: found 'T1 row 5' (text), expected a block of keys"),
        ("version: 1", "version: 1\nname: other", "name: found 'other' (text), but the file says 'x'"),
    ],
)
def test_recipes(tmp_path: Path, old: str, new: str, part: str) -> None:
    message = told(tmp_path, "pretrain", "sigma_mlp", (old, new))
    assert part in message
    assert "x.yaml" in message


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    lines = roots.find("pretrain", "sigma_mlp").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "epsilon: 0.05" in text)
    message = told(tmp_path, "pretrain", "sigma_mlp", ("epsilon: 0.05", "epsilon: x"))
    assert f"x.yaml:{line}: clustering.epsilon: found 'x' (text)" in message


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("name: ucf101", "name: ucf1O1", "dataset.name: unknown data set 'ucf1O1'; did you mean 'ucf101'?"),
        ("evaluator: linear", "evaluator: liner", "evaluator: unknown evaluator 'liner'; did you mean 'linear'?"),
        ("metric: top1", "metric: top-1", "metric: found 'top-1' (text), expected one of top1"),
        ("split: 1", "split: 1, per_class: 8", "dataset: per_class and draws go together"),
        ("rates: [0.0003", "rates: [0", "probe.rates: a rate of 0 trains nothing"),
        ("\nprobe:", "\nprob:", "prob: no such key; did you mean 'probe'?"),
        ("test_crops: 3", "test_crops: 2", "views.test_crops: found 2, expected one of 1"),
        ("flip: true", "flip: 1", "views.flip: found 1, expected a valid boolean"),
    ],
)
def test_tasks(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert part in told(tmp_path, "tasks", "linear/ucf101", (old, new))


def test_several_faults_are_told_together(tmp_path: Path) -> None:
    changes = (("objective: sigma", "objective: sigm"), ("ratio: 0.9", "ration: 0.9"), ("seed: 0", "seed: -1"))
    message = told(tmp_path, "pretrain", "sigma_mlp", *changes)
    assert message.startswith("4 problems in ")
    for part in ("objective: found", "mask.ratio: missing", "mask.ration: no such key", "train.seed: found -1"):
        assert part in message


def test_suite_faults(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    for tasks, part in (
        ("[]", "at least 1 item"),
        ("[linear/ucf101, linear/ucf101]", "named twice: linear/ucf101"),
        ("linear/ucf101", "found 'linear/ucf101' (text), expected a valid list"),
        ("[linear/nothing, 3]", "tasks[1]: found 3"),
        ("[../x]", "no task '../x'"),
    ):
        path.write_text(f"title: x\nseeds: 1\ntasks: {tasks}\n")
        with pytest.raises(UserError) as caught:
            load.suite(path)
        assert part in str(caught.value)
        assert "s.yaml:3: tasks" in str(caught.value)
