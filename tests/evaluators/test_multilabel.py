"""The multi-label evaluator on Charades: protocol, and data as it should not be."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets import charades as reader
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.loader import Batch
from sigma_bench.data.miniatures import charades
from sigma_bench.data.miniatures.video import encode
from sigma_bench.evaluators import multilabel, samples, training
from sigma_bench.evaluators.finetune import classifier
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.runs.verify.charades import SCHEDULE
from sigma_bench.spec import load
from sigma_bench.train.distributed import Processes
from sigma_bench.train.schedule import stepped_with_warmup

FAST = ("finetune.epochs=3", "finetune.warmup_epochs=1", "finetune.steps=[2]",
        "finetune.global_batch=8", "views.test_clips=2", "finetune.log_every=1")  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "miniature"
    charades.write(root / "charades", seed=3, train=20, test=12)
    return root


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", workers=1) as pool:
        yield pool


def task(*sets, profile=None):
    return load.task("severe/charades", data="miniature", profile=profile, sets=[*FAST, *sets])


def evaluate(root, folder, pool, *sets, limit=None):
    run = Run("cpu", 0, root, folder, limit, pool=pool)
    return multilabel.evaluate(load_encoder("random:nano")[0], task(*sets), run)


@pytest.fixture(scope="module")
def found(root, tmp_path_factory, pool):
    return evaluate(root, tmp_path_factory.mktemp("run"), pool)


def changed(root: Path, folder: Path, split: str, change) -> Path:
    """Copy a data root, with each row of a list changed by a function of its number and itself."""
    copy = shutil.copytree(root, folder / "other", dirs_exist_ok=True)
    path = copy / "charades" / "Charades" / f"Charades_v1_{split}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        change(number, row)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, reader.HEADER)
        table.writeheader()
        table.writerows(rows)
    return copy


def test_an_evaluation_has_all_that_its_row_needs(found, root):
    test = reader.read(root / "charades", "test")
    assert {"map", "map_missing_wrong", "map_constant"} <= set(found.metrics)
    assert 0 < found.metrics["map"] <= 100
    truth = np.stack(found.samples["labels"].to_list())
    assert [tuple(np.flatnonzero(row)) for row in truth] == [tuple(row) for row in test.table["labels"].to_pylist()]
    assert found.metrics["map_constant"] == pytest.approx(100 * truth.mean(0)[truth.any(0)].mean())
    scores = np.stack(found.samples["scores"].to_list())
    assert scores.shape == truth.shape
    assert ((scores > 0) & (scores < 1)).all()
    assert (found.counts.n_expected, found.counts.n_decoded, found.views) == (12, 12, "2x1")
    assert found.precision == "fp32"
    assert found.selection["trained_on"] == 20
    assert found.selection["unlabelled_test"] == int((~truth.any(1)).sum())
    assert found.train_index.count == 20


def test_begun_again_it_is_only_tested(root, tmp_path, pool, capsys):
    first = evaluate(root, tmp_path, pool)
    assert "steps of 8" in capsys.readouterr().err
    again = evaluate(root, tmp_path, pool, "multilabel.combine=mean")
    assert "trained already, only tested" in capsys.readouterr().err
    scores = [np.stack(one.samples["scores"].to_list()) for one in (first, again)]
    assert (scores[0] >= scores[1]).all()
    assert (scores[0] > scores[1]).any()


def test_what_is_taught_makes_another_training(root, tmp_path, pool, found):
    evaluate(root, tmp_path, pool)
    evaluate(root, tmp_path, pool, "multilabel.fps=12")
    evaluate(root, tmp_path, pool, "multilabel.ends=excluded")
    assert len(list((tmp_path / "finetune").iterdir())) == 3


def test_videos_as_they_should_not_be_are_counted_and_never_replaced(root, tmp_path, pool):
    """No label, past the end, one frame, shorter than a window, damaged, absent: in both lists."""

    def change(number, row):
        if number == 0:
            row["actions"] = ""
        if number == 1:
            row["actions"] = f"c001 0.50 {float(row['length']) + 9:.2f};c002 {float(row['length']) + 1:.2f} 99.00"

    copy = changed(root, tmp_path, "train", change)
    copy = changed(copy, tmp_path / "second", "test", change)
    ids = {split: reader.read(copy / "charades", split).ids for split in reader.SPLITS}
    for split in reader.SPLITS:
        place = copy / "charades" / "Charades_v1"
        encode(place / f"{ids[split][2]}.mp4", np.full((1, 32, 32, 3), 90, np.uint8), 24)
        encode(place / f"{ids[split][3]}.mp4", np.full((5, 32, 32, 3), 90, np.uint8), 24)
        whole = (place / f"{ids[split][4]}.mp4").read_bytes()
        (place / f"{ids[split][4]}.mp4").write_bytes(whole[: len(whole) // 2])
        (place / f"{ids[split][5]}.mp4").unlink()
    found = evaluate(copy, tmp_path / "run", pool)
    assert (found.counts.n_expected, found.counts.n_present, found.counts.n_decoded) == (12, 11, 10)
    bad = found.samples[found.samples["error"].notna()]
    assert list(bad["id"]) == [ids["test"][4], ids["test"][5]]
    assert bad["scores"].isna().all()
    assert len(found.samples) == 12
    assert not np.any(found.samples["labels"][0])
    assert np.flatnonzero(found.samples["labels"][1]).tolist() == [1]
    assert found.metrics["map_missing_wrong"] <= found.metrics["map"]
    assert found.selection["trained_on"] == 19
    assert found.selection["decoded"]["first"] == [ids["train"][4]]
    assert "1 of 20 training files missing" in found.marks


def test_a_class_missing_from_the_test_list_is_left_out_and_told(root, tmp_path, pool):
    def change(number, row):
        row["actions"] = ";".join(a for a in row["actions"].split(";") if a and not a.startswith("c003"))

    found = evaluate(changed(root, tmp_path, "test", change), tmp_path / "run", pool)
    assert np.isfinite(found.metrics["map"])
    assert "map_official" not in found.metrics
    (mark,) = [mark for mark in found.marks if "left out of map" in mark]
    assert "Showing upright stripes" in mark


def test_lists_without_any_label_are_refused(root, tmp_path, pool):
    def change(number, row):
        row["actions"] = ""

    with pytest.raises(UserError, match="none of the 12 videos has a class"):
        evaluate(changed(root, tmp_path, "test", change), tmp_path / "run", pool)


def lesson_of(root, *sets, profile=None):
    run, asked = Run("cpu", 0, root, Path("unused")), task(*sets, profile=profile)
    encoder = load_encoder("random:nano")[0]
    subject = multilabel.subject_of(encoder, asked, run, samples.read(asked, run))
    return subject, classifier(encoder, len(subject.lesson.index.classes), subject.settings, 0)


def test_a_step_is_of_the_mean_over_clips_and_classes_of_what_each_clip_shows(root, pool):
    subject, model = lesson_of(root, "finetune.dropout=0.0")
    objective, _, plan = training.parts(subject.lesson, model, pool, Processes(), 0)
    with torch.no_grad():
        batch = next(iter(objective.batches(0, 0)))
        clips, targets = objective.prepare(batch)
        logits = model(clips).double()
        loss = objective.step(batch)["loss"]
    assert targets.shape == (8, 10)
    probabilities = 1 / (1 + torch.exp(-logits))
    each = -(targets * probabilities.log() + (1 - targets) * (1 - probabilities).log())
    assert float(loss) == pytest.approx(float(each.sum()) / 80, rel=1e-5)
    index = subject.lesson.index
    for row, info, target in zip(batch.rows, batch.infos, targets, strict=True):
        first, last = info["counted"][0][0], info["counted"][0][-1]
        assert last - first == 56  # eight frames, each eighth
        shown = {
            action.label
            for action in index.sample(row).actions
            if any(action.start_s <= frame / 24 <= action.end_s for frame in range(first, last + 1))
        }
        assert set(torch.nonzero(target).ravel().tolist()) == shown
    assert plan.steps == 6


@pytest.mark.parametrize(("ends", "label_of_the_end"), [("included", True), ("excluded", False)])
def test_the_ends_of_actions_are_in_as_the_task_says(root, ends, label_of_the_end):
    subject, _ = lesson_of(root, f"multilabel.ends={ends}")
    index = subject.lesson.index
    row, last = next(
        (row, action)
        for row in range(index.count)
        for action in index.sample(row).actions
        if round(action.end_s * 24, 9) % 1 == 0
    )
    frame = round(last.end_s * 24)
    shown = Batch(torch.zeros(1), [row], [(0,)], [], [{"counted": [[frame, frame + 3]]}])
    assert bool(subject.lesson.targets(shown)[0, last.label]) is label_of_the_end


def test_the_published_optimiser_and_rates_are_those_of_the_task():
    settings = load.task("severe/charades").finetune
    assert {
        "base": settings.lr,
        "steps": settings.steps,
        "factors": (settings.gamma, pytest.approx(settings.gamma**2)),
        "warmup_epochs": settings.warmup_epochs,
        "start": settings.warmup_lr,
    } == SCHEDULE
    found = training.rates(settings, 7)
    assert found == pytest.approx(stepped_with_warmup(np.arange(57 * 7) / 7, **SCHEDULE))
    assert (settings.global_batch, settings.lr) == (16, 0.0375)


def test_optimisers_of_the_profiles(root):
    subject, model = lesson_of(root)
    optimizer = training.optimiser(subject.settings, model)
    assert isinstance(optimizer, torch.optim.SGD)
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in optimizer.param_groups)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 1e-4}
    adamw = load.task("severe/charades", profile="adamw").finetune
    assert adamw.lr == pytest.approx(6.25e-5)
    assert isinstance(training.optimiser(adamw, model), torch.optim.AdamW)
    rates = training.rates(adamw, 10)
    assert (rates[0], rates.max()) == (0, pytest.approx(6.25e-5))


def test_training_clips_are_squares_of_the_jitter_and_test_clips_the_published_views(root):
    asked = load.task("severe/charades")
    run = Run("cpu", 0, root, Path("unused"))
    encoder = load_encoder("random:nano")[0]  # of 8 frames, so that the stride is twice the published one
    subject = multilabel.subject_of(encoder, asked, run, samples.read(asked, run))
    request = training.requests(subject.lesson, encoder.spec)(0, (0, 0, 0, 0))
    wanted = ("windows_train", 8, 16, "random_square", True, 32, (0.65882, 0.875), 24)
    assert (request.sampling, request.frames, request.stride, request.box, request.flip, request.size, request.scale,
            request.count_fps) == wanted  # fmt: skip
    views = subject.views
    assert (views.sampling, views.clips, views.crops, views.stride, views.count_fps) == ("windows_test", 10, 3, 16, 24)
    assert (asked.clips.frames, asked.clips.stride, subject.settings.dropout) == (16, 8, 0.5)
    assert asked.multilabel.combine == "max"


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["finetune.mixup=0.8"], "mixup is for one class a video"),
        (["finetune.smoothing=0.1"], "smoothing is for one class a video"),
        (["finetune.select=paper_compat"], "expects last"),
        (["finetune.steps=[2, 2]"], "expected ascending epochs"),
        (["finetune.steps=[7]"], "is not reached in 3 epochs"),
        (["finetune.steps=null"], "the cosine begins at 0"),
        (["finetune.layer_decay=0.75"], "is for AdamW; with momentum set it to 1"),
        (["multilabel.ends=both"], "expected one of included, excluded"),
        (["metric=top1"], "expected one of map, map_official"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(sets, message):
    with pytest.raises(UserError, match=message):
        task(*sets)
