"""Finetuning on any list of videos, and lists that are refused: other classes, labels as text, empty, of one class."""

import shutil
from pathlib import Path

import pytest

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets.k400 import read
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.miniatures.k400 import write
from sigma_bench.evaluators import classifier_run, finetune, samples, subject
from sigma_bench.evaluators.samples import Lists
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.spec import load

SETS = (
    "dataset.name=video_list",
    "dataset.test=test",
    "finetune.epochs=1",
    "finetune.warmup_epochs=0",
    "finetune.global_batch=4",
    "views.test_clips=1",
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[Path]:
    root = tmp_path_factory.mktemp("videos") / "k400"
    write(root, seed=0, train=1, val=1)
    index = read(root, "train")
    return [index.path(row) for row in range(8)]


@pytest.fixture
def listed(tmp_path, videos):
    """Write a list of videos, in a folder with a space, with the given labels of each split."""

    def make(train, test):
        root = tmp_path / "my data" / "video_list"
        (root / "clips").mkdir(parents=True)
        for number, video in enumerate(videos):
            shutil.copy(video, root / "clips" / f"clip {number}.mp4")
        for split, labels in (("train", train), ("test", test)):
            lines = [f"clips/clip {number}.mp4 {label}\n" for number, label in enumerate(labels)]
            (root / f"{split}.csv").write_text("".join(lines))
        return root.parent

    return make


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 1) as pool:
        yield pool


def evaluate(root, tmp_path, pool, *sets):
    task = load.task("finetune/k400", data="miniature", sets=[*SETS, *sets])
    return finetune.evaluate(load_encoder("random:nano")[0], task, Run("cpu", 0, root, tmp_path / "out", pool=pool))


def test_a_list_of_ones_own_is_finetuned_on(listed, tmp_path, pool):
    root = listed([0, 1, 2, 0, 1, 2, 0, 1], [0, 1, 2, 2])
    found = evaluate(root, tmp_path, pool)
    assert (found.counts.n_decoded, found.selection["trained_on"]) == (4, 8)
    # of three classes five would always be right
    assert set(found.metrics) == {"top1", "top1_missing_wrong", "top1_constant"}
    task = load.task("finetune/k400", data="miniature", sets=list(SETS))
    assert not samples.read(task, Run("cpu", 0, root, tmp_path)).official


def content_of(root, tmp_path, pool, classifier=None):
    task = load.task("finetune/k400", data="miniature", sets=list(SETS))
    run = Run("cpu", 0, root, tmp_path / "out", pool=pool, classifier=classifier)
    return subject.of(load_encoder("random:nano")[0], task, run, samples.read(task, run))


def test_videos_that_were_replaced_under_the_same_list_are_another_training(listed, tmp_path, pool):
    root = listed([0, 1, 2, 0], [0, 1, 2])
    before = content_of(root, tmp_path, pool).content
    assert content_of(root, tmp_path, pool).content == before
    video = root / "video_list" / "clips" / "clip 1.mp4"
    video.write_bytes(video.read_bytes() + b"more")
    assert content_of(root, tmp_path, pool).content != before


def test_a_classifier_that_is_there_needs_no_training_videos(listed, tmp_path, pool):
    root = listed([0, 1, 2, 0], [0, 1, 2])
    for number in range(8):
        (root / "video_list" / "clips" / f"clip {number}.mp4").unlink()
    with pytest.raises(UserError, match="none of the 4 training files"):
        content_of(root, tmp_path, pool)
    assert not content_of(root, tmp_path, pool, classifier=object()).marks


def test_several_views_of_training_are_refused():
    with pytest.raises(UserError, match=r"leave views\.train at 1"):
        load.task("finetune/k400", sets=["views.train=4"])


def test_a_class_without_training_samples_is_a_mark(listed, tmp_path, pool):
    found = evaluate(listed([0, 1, 3, 0, 1, 3, 0, 1], [0, 2, 3, 1]), tmp_path, pool)
    assert "1 of 4 tested classes without a training sample (2): never predicted" in found.marks


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ([0, 1, 0, 1], [0, 5], "test.csv:2: label 5 is out of range"),
        ([0, "dog", 1], [0, 1], "train.csv:2: .*expected `path label`"),
        ([], [0, 1], "train.csv is empty"),
        ([0, 1], [], "test.csv is empty"),
        ([1, 1, 1], [1], "all 3 samples of list 'train' of video_list are of class '1'"),
        ([-1, -1, -1], [0, 1], "label 0 is out of range"),
    ],
)
def test_lists_that_teach_nothing_are_refused_before_anything_is_written(listed, tmp_path, pool, train, test, words):
    with pytest.raises(UserError, match=words):
        evaluate(listed(train, test), tmp_path, pool)
    assert not (tmp_path / "out" / "finetune").exists()


def test_nothing_there_to_train_on_is_said(listed, tmp_path, pool):
    root = listed([0, 1], [0, 1])
    shutil.rmtree(root / "video_list" / "clips")
    with pytest.raises(UserError, match="none of the 2 training files is in"):
        evaluate(root, tmp_path, pool)


def test_too_few_videos_to_hold_some_out_are_refused(listed, tmp_path, pool):
    root = listed([0, 1], [0, 1])
    with pytest.raises(UserError, match=r"h[eo]ld out"):
        evaluate(root, tmp_path, pool, "finetune.select=held_out")


def test_fewer_videos_than_a_step_takes_are_drawn_repeatedly(listed, tmp_path, pool):
    root = listed([0, 1, 0], [0, 1])
    found = evaluate(root, tmp_path, pool, "finetune.global_batch=8", "finetune.epochs=2")
    assert (found.selection["steps"], found.selection["steps_per_epoch"]) == (2, 1)
    assert list((tmp_path / "out").glob(f"finetune/*/{classifier_run.RESULT}"))


@pytest.mark.slow
def test_real_videos_can_be_finetuned_on(shared, tmp_path, pool):
    root = tmp_path / "video_list"
    root.mkdir()
    clips = sorted(p for p in (shared / "real").rglob("*") if p.suffix in (".mp4", ".avi", ".webm"))[:8]
    lines = [f"{clip.resolve()} {number % 2}\n" for number, clip in enumerate(clips)]
    (root / "train.csv").write_text("".join(lines))
    (root / "test.csv").write_text("".join(lines[:4]))
    found = evaluate(
        tmp_path, tmp_path, pool, "views.augment=random_resized", "views.test_clips=2", "views.test_crops=3",
        "finetune.randaugment=rand-m9-n4-mstd0.5-inc1", "finetune.mixup=0.8", "finetune.erasing=0.25",
    )  # fmt: skip
    assert found.counts.n_decoded + len(found.samples[found.samples["error"].notna()]) == 4
    assert found.counts.n_decoded > 0


def test_short_clips_one_frame_a_span_past_the_end_and_an_untested_class(videos, tmp_path, pool):
    """As in Gym99: most clips are shorter than a window, one has a single frame; FX-S1 may lack a class in a test."""
    root, count = tmp_path / "clips", 0
    root.mkdir()
    for number, video in enumerate(videos):
        shutil.copy(video, root / f"{number}.mp4")
        count = pick("auto").open(video).count

    def index(split, *spans):
        rows = [Sample(f"{n}", f"{n}.mp4", label, f"{n}", start, end) for n, (label, start, end) in enumerate(spans)]
        return Index.build("spans", split, root, ("a", "b", "c"), rows)

    train = index("train", (0, 0, 3), (1, 2, 3), (2, 0, count), (0, 1, count + 40), (1, 0, 4), (2, 3, 5))
    test = index("test", (0, 0, 3), (1, count - 1, count + 40), (0, 2, 3), (1, count + 5, count + 9))
    sets = ["clips.stride=4", "finetune.epochs=1", "finetune.warmup_epochs=0", "finetune.global_batch=4"]
    task = load.task("severe/fx_s1", data="miniature", sets=sets)
    run = Run("cpu", 0, None, tmp_path / "out", pool=pool, lists=Lists(train, test))
    found = finetune.evaluate(load_encoder("random:nano")[0], task, run)
    errors = found.samples["error"]
    assert errors.notna().tolist() == [False, False, False, True]  # only a span that begins after the end is an error
    assert f"{count}" in errors[3]
    assert found.selection["trained_on"] == 6
    assert found.selection["decoded"]["replaced"] == 0
    right = (found.samples["prediction"] == found.samples["label"])[:3]
    assert found.metrics["mean_class_acc"] == pytest.approx(50 * (right[[0, 2]].mean() + right[1]))  # of two classes
    assert found.metrics["mean_class_acc_constant"] == 50
