"""Finetuning as an evaluator: what is trained, chosen, tested and kept; going on after an end; what is refused."""

import json
import math
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sigma_bench.contracts import Run, Stopped, UserError
from sigma_bench.data.datasets.k400 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.k400 import write
from sigma_bench.evaluators import classified, classifier_run, finetune, lessons, samples, subject, training
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.view_scores import Scores
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.results import records
from sigma_bench.spec import load
from sigma_bench.train import state as states
from sigma_bench.train import supervised

FAST = ("finetune.epochs=2", "finetune.warmup_epochs=1", "finetune.global_batch=12", "finetune.save_every=2")
STEPS = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two training clips and a test clip of each of 12 classes."""
    root = tmp_path_factory.mktemp("data")
    write(root / "k400", seed=0, train=2, val=1)
    return root


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 1) as pool:
        yield pool


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("random:nano")[0]


def run_in(folder, root, pool, **more):
    return Run("cpu", 0, root, folder, pool=pool, **more)


def task_of(*sets, task="finetune/k400", profile=None):
    return load.task(task, data="miniature", profile=profile, sets=[*FAST, *sets])


def result(folder):
    (file,) = folder.glob(f"finetune/*/{classifier_run.RESULT}")
    return states.load(file)


@pytest.fixture(scope="module")
def straight(root, pool, encoder, tmp_path_factory):
    """The evaluation of a training that nothing disturbed, and its folder."""
    folder = tmp_path_factory.mktemp("straight")
    before = fingerprint(encoder)
    found = finetune.evaluate(encoder, task_of(), run_in(folder, root, pool))
    assert fingerprint(encoder) == before
    return found, folder


def test_an_evaluation_says_what_was_trained_and_how_it_was_tested(straight, root):
    found, folder = straight
    assert set(found.metrics) == {"top1", "top1_missing_wrong", "top5", "top5_missing_wrong", "top1_constant"}
    assert found.metrics["top1"] == found.metrics["top1_missing_wrong"]
    right = found.samples["prediction"] == found.samples["label"]
    assert found.metrics["top1"] == pytest.approx(100 * right.mean())
    assert found.metrics["top5"] == pytest.approx(100 * found.samples["top5"].mean())
    assert tuple(found.samples["id"]) == read(root / "k400", "val").ids
    assert (found.counts.n_expected, found.counts.n_decoded, found.views, found.precision) == (12, 12, "2x1", "fp32")
    chosen = found.selection
    assert chosen["effective_lr"] == pytest.approx(8e-3 * 12 / 256)
    assert (chosen["steps"], chosen["trained_on"], chosen["select"], chosen["epoch"]) == (STEPS, 24, "last", 2)
    assert chosen["decoded"]["decoders"] == {"decord": 48}
    assert not list(folder.glob("finetune/*/checkpoints"))
    json.dumps(chosen)


def test_a_training_that_is_over_is_only_tested(straight, root, pool, encoder, monkeypatch):
    found, folder = straight
    monkeypatch.setattr(lessons, "_train", lambda *a: pytest.fail("trained again"))
    again = finetune.evaluate(encoder, task_of(), run_in(folder, root, pool))
    pd.testing.assert_frame_equal(again.samples, found.samples)
    assert again.selection == found.selection
    more = finetune.evaluate(encoder, task_of("views.test_clips=1", "finetune.log_every=1"), run_in(folder, root, pool))
    assert more.views == "1x1"


@pytest.mark.parametrize("at", [1, 3])
def test_a_training_that_was_stopped_goes_on_to_the_same_end(straight, root, pool, encoder, tmp_path, monkeypatch, at):
    found, folder = straight
    calls = []
    step = supervised.Supervised.step

    def interrupted(self, batch):
        calls.append(batch)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch)

    monkeypatch.setattr(supervised.Supervised, "step", interrupted)
    with pytest.raises(Stopped, match="start the same command again"):
        finetune.evaluate(encoder, task_of(), run_in(tmp_path, root, pool))
    assert len(calls) == at
    again = finetune.evaluate(encoder, task_of(), run_in(tmp_path, root, pool))
    assert len(calls) == STEPS
    pd.testing.assert_frame_equal(again.samples, found.samples)
    assert again.selection == found.selection
    mine, theirs = result(tmp_path)["model"], result(folder)["model"]
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_test_that_was_interrupted_is_made_again_without_training(
    straight, root, pool, encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(finetune, "scores", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        finetune.evaluate(encoder, task_of(), run_in(tmp_path, root, pool))
    monkeypatch.undo()
    monkeypatch.setattr(lessons, "_train", lambda *a: pytest.fail("trained again"))
    again = finetune.evaluate(encoder, task_of(), run_in(tmp_path, root, pool))
    pd.testing.assert_frame_equal(again.samples, straight[0].samples)


def test_a_classifier_that_was_kept_before_its_checkpoints_went_counts(straight, root, pool, encoder, tmp_path):
    shutil.copytree(straight[1], tmp_path / "copy")
    (folder,) = (tmp_path / "copy" / "finetune").iterdir()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "step-0000004.pt").write_bytes(b"half")
    again = finetune.evaluate(encoder, task_of(), run_in(tmp_path / "copy", root, pool))
    pd.testing.assert_frame_equal(again.samples, straight[0].samples)
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize(
    "sets",
    [
        ("finetune.base_lr=0.004",),
        ("finetune.smoothing=0.0",),
        ("views.flip=false",),
        ("finetune.trainable=head",),
        ("clips.stride=2",),
    ],
)
def test_other_settings_are_another_training(straight, root, pool, encoder, sets):
    lists = samples.read(task_of(), run_in(straight[1], root, pool))
    usual, other = (subject.of(encoder, task_of(*s), run_in(straight[1], root, pool), lists) for s in ((), sets))
    assert classifier_run.key_of(usual.content) != classifier_run.key_of(other.content)


def test_other_weights_seeds_and_lists_are_another_training(root, pool, encoder, tmp_path):
    run, task = run_in(tmp_path, root, pool), task_of()
    lists = samples.read(task, run)
    fewer = Lists(lists.train.select(range(20)), lists.test)
    usual = subject.of(encoder, task, run, lists).content
    others = [
        subject.of(load_encoder("random:nano:1")[0], task, run, lists).content,
        subject.of(encoder, task, replace(run, seed=1), lists).content,
        subject.of(encoder, task, run, fewer).content,
    ]
    assert len({classifier_run.key_of(content) for content in (usual, *others)}) == 4
    tested = subject.of(encoder, task, run, Lists(lists.train, lists.test.select([0, 1]))).content
    assert classifier_run.key_of(tested) == classifier_run.key_of(usual)


def test_the_epoch_is_chosen_on_videos_that_were_held_out(root, pool, encoder, tmp_path):
    found = finetune.evaluate(
        encoder, task_of("finetune.holdout=0.5", profile="held_out"), run_in(tmp_path, root, pool)
    )
    assert found.selection["trained_on"] == 12
    kept = result(tmp_path)
    scores = found.selection["scores"]
    assert [one["epoch"] for one in scores] == [1, 2]
    assert found.selection["epoch"] == kept["record"]["epoch"]
    assert found.selection["epoch"] == (1 if scores[0]["score"] >= scores[1]["score"] else 2)
    (best,) = tmp_path.glob("finetune/*/best.pt")
    assert torch.equal(states.load(best)["model"]["head.weight"], kept["model"]["head.weight"])
    assert not [mark for mark in found.marks if "test list" in mark]


@pytest.mark.parametrize("at", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_epochs_are_judged_once_whenever_the_training_was_ended(root, pool, encoder, tmp_path, monkeypatch, at):
    task = task_of("finetune.select=paper_compat")
    whole = finetune.evaluate(encoder, task, run_in(tmp_path / "whole", root, pool))
    assert any("epoch chosen on the test list" in mark for mark in whole.marks)
    judged, calls, step = [], [], supervised.Supervised.step
    judge = lessons._judged

    def interrupted(self, batch):
        calls.append(batch)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch)

    def counted(*arguments):
        judged.append(arguments)
        return judge(*arguments)

    monkeypatch.setattr(supervised.Supervised, "step", interrupted)
    monkeypatch.setattr(lessons, "_judged", counted)
    with pytest.raises(Stopped):
        finetune.evaluate(encoder, task, run_in(tmp_path / "broken", root, pool))
    again = finetune.evaluate(encoder, task, run_in(tmp_path / "broken", root, pool))
    assert len(judged) == 2
    assert again.selection == whole.selection
    pd.testing.assert_frame_equal(again.samples, whole.samples)


def test_the_head_alone_is_trained(root, pool, encoder, tmp_path):
    finetune.evaluate(encoder, task_of("finetune.trainable=head"), run_in(tmp_path, root, pool))
    kept, before = result(tmp_path)["model"], encoder.state_dict()
    names = [name for name in kept if name.startswith("encoder.")]
    assert names
    assert all(torch.equal(kept[name], before[name.removeprefix("encoder.")]) for name in names)
    new = finetune.classifier(encoder, 12, task_of("finetune.trainable=head").finetune, 0)
    assert not torch.equal(kept["head.weight"], new.head.weight)
    assert not torch.equal(kept["fc_norm.bias"], new.fc_norm.bias)


def test_drop_path_stays_active_in_a_frozen_encoder_as_in_the_released_probe(encoder):
    settings = task_of("finetune.trainable=head", "finetune.drop_path=0.5").finetune
    model = finetune.classifier(encoder, 12, settings, 0).train()
    clips = torch.randn(4, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(model(clips), model(clips))
    assert [name for name, p in model.named_parameters() if p.requires_grad] == [
        "fc_norm.weight",
        "fc_norm.bias",
        "head.weight",
        "head.bias",
    ]


def test_everything_that_augments_can_be_switched_on_and_repeats_do_not_count_in_the_rate(
    root, pool, encoder, tmp_path
):
    sets = (
        "views.augment=random_resized",
        "finetune.randaugment=rand-m7-n4-mstd0.5-inc1",
        "finetune.erasing=0.25",
        "finetune.mixup=0.8",
        "finetune.cutmix=1.0",
        "finetune.repeats=2",
        "finetune.ema=0.9",
        "finetune.drop_path=0.1",
    )
    found = finetune.evaluate(encoder, task_of(*sets), run_in(tmp_path, root, pool))
    assert found.selection["effective_lr"] == pytest.approx(8e-3 * 12 / 256)
    assert found.selection["steps"] == STEPS
    assert found.selection["decoded"]["decoders"] == {"decord": 48}
    log = [json.loads(line) for line in next(tmp_path.glob("finetune/*/log.jsonl")).read_text().splitlines()]
    assert all(math.isfinite(one["loss"]) for one in log)


def test_a_classifier_of_a_file_is_tested_as_it_is(straight, root, pool, tmp_path):
    found, folder = straight
    (file,) = folder.glob(f"finetune/*/{classifier_run.RESULT}")
    encoder, report = load_encoder(file, head="require")
    run = run_in(tmp_path, root, pool, classifier=report.head)
    again = finetune.evaluate(encoder, task_of(), run)
    pd.testing.assert_frame_equal(again.samples, found.samples)
    assert again.marks[0] == finetune.FOREIGN
    assert again.selection == {"trained": False}
    foreign = replace(report.head, label_map="")
    assert finetune.UNCHECKED in finetune.evaluate(encoder, task_of(), replace(run, classifier=foreign)).marks[0]
    with pytest.raises(UserError, match="classes of other names, or in another order"):
        finetune.evaluate(encoder, task_of(), replace(run, classifier=replace(report.head, label_map="0" * 64)))
    with pytest.raises(UserError, match="the file has 400 classes, the list has 12"):
        finetune.evaluate(encoder, task_of(), replace(run, classifier=replace(report.head, classes=400)))


@pytest.fixture
def damaged(root, tmp_path) -> Path:
    """The same data with a training file missing, one damaged, and two test files damaged."""
    shutil.copytree(root, tmp_path / "damaged")
    train, test = (read(tmp_path / "damaged" / "k400", split) for split in ("train", "val"))
    train.path(0).unlink()
    train.path(5).write_bytes(b"no video")
    test.path(2).write_bytes(b"")
    test.path(7).unlink()
    return tmp_path / "damaged"


def test_test_samples_that_cannot_be_decoded_are_counted_and_never_replaced(damaged, pool, encoder, tmp_path):
    found = finetune.evaluate(encoder, task_of(), run_in(tmp_path / "out", damaged, pool))
    assert (found.counts.n_expected, found.counts.n_present, found.counts.n_decoded) == (12, 11, 10)
    assert list(np.flatnonzero(found.samples["error"].notna())) == [2, 7]
    assert list(found.samples["prediction"][[2, 7]]) == [-1, -1]
    assert found.metrics["top1_missing_wrong"] == pytest.approx(found.metrics["top1"] * 10 / 12)
    assert "1 of 24 training files missing" in found.marks
    assert "1 training files not decoded, others drawn instead" in found.marks
    assert found.selection["trained_on"] == 23


def test_a_task_of_mean_class_accuracy_has_the_true_and_the_released_one():
    labels = np.array([0, 0, 0, 1, 2, 2])
    values = np.eye(6)[[0, 0, 1, 1, 0, 2]].astype(np.float64)
    tested = Scores(values, np.array([True] * 5 + [False]))
    found = classified.metrics(tested, labels, 6, True)
    assert found["top1"] == pytest.approx(60)
    assert found["mean_class_acc"] == pytest.approx(100 * (2 / 3 + 1 + 0) / 3)
    assert found["mean_class_acc_missing_wrong"] == pytest.approx(100 * (2 / 3 + 1 + 0) / 3)
    assert found["mean_class_cumulative_released"] == pytest.approx(100 * (2 / 3 + 3 / 4 + 4 * 3 / 5) / 6)
    assert "top5" in found
    assert found["mean_class_acc_constant"] == pytest.approx(100 / 3)
    by_sample = classified.metrics(tested, labels, 6, False)
    assert "mean_class_acc" not in by_sample
    assert by_sample["top1_constant"] == pytest.approx(60)  # three of five decoded samples are of one class


def test_the_best_constant_answer_can_be_had_from_the_records(straight):
    straight = straight[0]
    labels = straight.samples["label"]
    assert straight.metrics["top1_constant"] == pytest.approx(100 * (labels == labels.mode()[0]).mean())
    assert records.read(straight.samples, "top1_constant", straight.metrics["top1_constant"]) is not None


def test_an_accuracy_at_chance_is_diagnosed(straight, root, pool, tmp_path):
    lists = samples.read(task_of(), run_in(tmp_path, root, pool))
    record = {"first_loss": 2.485, "last_loss": 2.484, "decoded": {"replaced": 0}}

    def marks(predictions, record=record):
        tested = Scores(np.eye(12)[predictions], np.ones(12, bool))
        found = classified.evaluation(task_of(), lists, tested, straight_views(root, pool), record, "fp32")
        return classified.marks(found, tested, lists, lists.train.labels, record)

    (said,) = marks(np.zeros(12, int))
    assert said.startswith("at chance: the best constant answer gives 8.3; 1 of 12 classes are predicted; the loss")
    assert marks(lists.test.labels) == ()
    (foreign,) = marks(np.zeros(12, int), {"trained": False})
    assert "with its classes in this order?" in foreign
    shown = lists.train.labels[lists.train.labels != 4]
    tested = Scores(np.eye(12)[lists.test.labels], np.ones(12, bool))
    found = classified.evaluation(task_of(), lists, tested, straight_views(root, pool), record, "fp32")
    (missing,) = classified.marks(found, tested, lists, shown, record)
    assert "1 of 12 tested classes without a training sample" in missing


def straight_views(root, pool):
    task = task_of()
    run = run_in(root, root, pool)
    return subject.of(load_encoder("random:nano")[0], task, run, samples.read(task, run)).views


@pytest.mark.parametrize(
    ("sets", "world", "words"),
    [
        (("finetune.global_batch=9",), 2, "global_batch 9 cannot be divided among 2 processes"),
        (("finetune.global_batch=12", "finetune.mixup=0.8"), 4, "the 3 videos that each of 4 processes takes"),
        (("finetune.micro_batch=1", "finetune.cutmix=1.0"), 1, "cannot be cut into even parts of at most 1"),
    ],
)
def test_a_global_batch_that_cannot_be_met_is_refused(sets, world, words):
    with pytest.raises(UserError, match=words):
        training.micro_batch(task_of(*sets).finetune, world)


@pytest.mark.parametrize(
    ("sets", "world", "micro"),
    [
        ((), 1, 12),
        ((), 3, 4),
        (("finetune.micro_batch=5",), 1, 4),
        (("finetune.micro_batch=3", "finetune.mixup=0.8"), 1, 2),
        (("finetune.micro_batch=3", "finetune.mixup=0.8", "finetune.repeats=2"), 1, 3),
        (("finetune.micro_batch=100",), 2, 6),
    ],
)
def test_a_micro_batch_is_the_greatest_part_that_is_allowed(sets, world, micro):
    assert training.micro_batch(task_of(*sets).finetune, world) == micro


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (("finetune.warmup_epochs=3",), "warmup_epochs 3 is above epochs 2"),
        (("finetune.min_lr=1.0",), "min_lr 1.0 is above base_lr"),
        (("finetune.crop_scale=[0.5, 0.25]",), "expected 0 < least <= greatest"),
        (("finetune.randaugment=strong",), "finetune.randaugment: found"),
        (("finetune.layer_decay=0",), "finetune.layer_decay: found 0"),
        (("finetune.select=best",), "expected one of last, held_out, paper_compat"),
        (("finetune=null",), "evaluator finetune needs the block finetune"),
    ],
)
def test_settings_that_make_no_sense_are_refused(sets, words):
    with pytest.raises(UserError, match=words):
        task_of(*sets)


def test_a_loss_that_is_no_number_ends_with_advice_and_overwrites_nothing(root, pool, encoder, tmp_path, monkeypatch):
    calls, step = [], supervised.Supervised.step

    def poisoned(self, batch):
        calls.append(batch)
        losses = step(self, batch)
        return {**losses, "loss": losses["loss"] * (math.nan if len(calls) > 3 else 1)}

    monkeypatch.setattr(supervised.Supervised, "step", poisoned)
    with pytest.raises(UserError, match=r"step 4: the loss is nan .*step-0000002.pt.*--set finetune.base_lr"):
        finetune.evaluate(encoder, task_of(), run_in(tmp_path, root, pool))
    assert not list(tmp_path.glob(f"finetune/*/{classifier_run.RESULT}"))
    assert list(tmp_path.glob("finetune/*/checkpoints/step-0000002.pt"))
    monkeypatch.undo()
    found = finetune.evaluate(encoder, task_of(), run_in(tmp_path, root, pool))
    assert found.selection["steps"] == STEPS


def test_an_encoder_without_depth_of_parameters_names_the_setting(root, pool, tmp_path):
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.spec = replace(load_encoder("random:nano")[0].spec, has_norm=False, embed_dim=3)
            self.scale = torch.nn.Parameter(torch.ones(3))

        def tokens(self, clips, layer=-1, norm=True, visible=None):
            from sigma_bench.contracts import Tokens

            return Tokens(clips.mean((2, 3, 4))[:, None, None, None] * self.scale, None)

    with pytest.raises(UserError, match="set the layer decay to 1"):
        finetune.evaluate(Plain(), task_of(), run_in(tmp_path, root, pool))
    with pytest.raises(UserError, match=r"finetune.drop_path"):
        finetune.evaluate(Plain(), task_of("finetune.drop_path=0.1"), run_in(tmp_path, root, pool))
    found = finetune.evaluate(Plain(), task_of("finetune.layer_decay=1.0"), run_in(tmp_path, root, pool))
    assert found.counts.n_decoded == 12


def test_a_folder_of_another_training_is_refused(tmp_path):
    content = {"a": 1}
    assert classifier_run.begun(tmp_path, content) is None
    assert classifier_run.begun(tmp_path, content) is None
    (tmp_path / classifier_run.SETTINGS).write_text("{}")
    with pytest.raises(UserError, match="damaged, or of another training"):
        classifier_run.begun(tmp_path, content)


def test_a_damaged_classifier_is_named_and_not_replaced(straight, root, pool, encoder, tmp_path):
    shutil.copytree(straight[1], tmp_path / "copy")
    (folder,) = (tmp_path / "copy" / "finetune").iterdir()
    file = folder / classifier_run.RESULT
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged .* delete .* to train anew"):
        finetune.evaluate(encoder, task_of(), run_in(tmp_path / "copy", root, pool))
    assert file.read_bytes() == bytes(content)
