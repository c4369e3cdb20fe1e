"""Repetition counting as an evaluation: what it returns, an exact resume, and what becomes of bad input."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributed import HashStore

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets import ucfrep
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.pool import Result
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.miniatures import ucfrep as miniature
from sigma_bench.data.miniatures.video import encode
from sigma_bench.data.ranks import Ranks
from sigma_bench.data.stretch import load_stretch
from sigma_bench.evaluators import classifier_run, samples
from sigma_bench.evaluators.counting import evaluator, tested, training
from sigma_bench.evaluators.counting.frames import Stretches
from sigma_bench.evaluators.counting.inference import Rule
from sigma_bench.evaluators.counting.objective import Counting
from sigma_bench.evaluators.counting.tested import best_constant
from sigma_bench.evaluators.samples import Lists
from sigma_bench.models.vit import VideoViT
from sigma_bench.results import records
from sigma_bench.spec import load

SMALL = ("epochs=1", "segments=1", "batch=5", "unroll=4", "image_size=null", "save_every=2", "log_every=1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("counting data")
    miniature.write(root / "ucfrep", size_px=32, train_groups=1, val_groups=1)
    return root


def task(*sets):
    sets = [f"counting.{s}" for s in (*SMALL, *sets)]
    return load.task("severe/ucf_rc", data="miniature", sets=sets)


def encoder():
    torch.manual_seed(3)
    return VideoViT(16, 8, 4, 2, 16, 1, 2).eval().requires_grad_(False)


def run(data, folder, **given):
    return Run("cpu", 0, data, folder, workers=1, **given)


class Here:
    """A pool that decodes in this process: starting others takes longer than all else here."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def map(self, requests):
        for number, request in enumerate(requests):
            try:
                arrays, info = load_stretch(request)
                yield Result(number, tuple(arrays), info)
            except (DecodeError, UserError) as error:
                yield Result(number, None, error=str(error))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(evaluator, "DecodePool", Here)


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    return evaluator.evaluate(encoder(), task(), run(data, tmp_path_factory.mktemp("straight")))


def test_errors_are_those_of_the_counts_of_each_video(straight):
    frame = straight.samples
    assert list(frame["id"]) == [
        f"v_{name}_g21_c01" for name in ("Bouncing", "Circling", "Pulsing", "Rocking", "Swinging")
    ]
    assert frame["error"].isna().all()
    relative = np.abs(frame["prediction"] - frame["label"]) / frame["label"]
    assert straight.metrics["mean_count_error"] == pytest.approx(relative.mean())
    assert straight.metrics["mean_count_error_missing_wrong"] == pytest.approx(relative.mean())
    assert straight.metrics["obo"] == (np.abs(frame["prediction"] - frame["label"]) <= 1).mean()
    assert (straight.counts.n_expected, straight.counts.n_present, straight.counts.n_decoded) == (5, 5, 5)
    assert straight.precision == "fp32"
    assert sum(straight.decoders.values()) == 5


def test_intervals_can_be_had_of_every_metric(straight):
    for metric, value in straight.metrics.items():
        if not metric.endswith("_missing_wrong"):
            assert records.read(straight.samples, metric, value) is not None


def test_the_mean_of_the_training_list_is_a_metric_of_its_own(straight, data):
    train = ucfrep.read(data / "ucfrep", "train")
    guess = round(np.mean([len(train.sample(row).boundaries) - 1 for row in range(train.count)]))
    truth = straight.samples["label"]
    assert straight.selection["training_mean"] == guess
    assert straight.metrics["training_mean_error"] == pytest.approx((np.abs(guess - truth) / truth).mean())


def test_the_best_constant_is_the_least_wrong_one_of_the_training_list(straight):
    assert best_constant([2, 2, 3, 20]) == 2
    assert best_constant([4]) == 4
    best, truth = straight.selection["best_constant"], straight.samples["label"]
    assert straight.metrics["mean_count_error_constant"] == pytest.approx((np.abs(best - truth) / truth).mean())


def test_a_shorter_clip_than_the_tasks_is_told(straight):
    assert straight.marks == ("4 frames over the span of 16 in each half of a window",)
    assert straight.selection["segments"] == straight.selection["videos"] == 5


def test_the_encoder_stays_as_it_is(data, tmp_path):
    own = encoder()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    evaluator.evaluate(own, task(), run(data, tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())
    assert not any(p.requires_grad for p in own.parameters())


def _same(one, other):
    assert one.metrics == other.metrics
    pd.testing.assert_frame_equal(one.samples, other.samples)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_killed_evaluation_ends_with_the_same_numbers(straight, data, tmp_path, monkeypatch, after):
    whole, calls = Counting.step, []

    def killed(self, batch):
        calls.append(batch)
        if len(calls) > after:
            raise KeyboardInterrupt
        return whole(self, batch)

    monkeypatch.setattr(Counting, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate(encoder(), task(), run(data, tmp_path))
    monkeypatch.setattr(Counting, "step", whole)
    _same(evaluator.evaluate(encoder(), task(), run(data, tmp_path)), straight)


def test_what_was_trained_is_only_tested_and_other_settings_train_anew(straight, data, tmp_path, monkeypatch):
    evaluator.evaluate(encoder(), task(), run(data, tmp_path))
    trained, whole = [], training.train
    monkeypatch.setattr(training, "train", lambda *args, **given: trained.append(1) or whole(*args, **given))
    _same(evaluator.evaluate(encoder(), task(), run(data, tmp_path)), straight)
    evaluator.evaluate(encoder(), task("weight=0.1", "minimum_cycles=4.0"), run(data, tmp_path))
    assert trained == []
    evaluator.evaluate(encoder(), task(), replace(run(data, tmp_path), seed=1))
    assert trained == [1]
    for folder in (tmp_path / "counting").iterdir():
        assert {path.name for path in folder.iterdir()} >= {"classifier.pt", "log.jsonl", "settings.json"}
        assert not (folder / "checkpoints").exists()


def test_a_kill_after_training_leaves_only_the_test(straight, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tested, "counted", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate(encoder(), task(), run(data, tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("trained again"))
    _same(evaluator.evaluate(encoder(), task(), run(data, tmp_path)), straight)


def test_the_released_numbers_of_windows_and_frames_do_not_change_a_test_in_small_parts(
    straight, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(tested, "WINDOWS", 7)
    monkeypatch.setattr(tested, "VIDEOS", 2)
    other = evaluator.evaluate(encoder(), task(), run(data, tmp_path))
    assert other.samples["prediction"].tolist() == straight.samples["prediction"].tolist()


def test_frames_without_room_in_memory_are_decoded_again(straight, data, tmp_path, monkeypatch):
    monkeypatch.setattr("sigma_bench.evaluators.counting.frames.Stretches.__init__.__defaults__", ("cpu", 150_000))
    _same(evaluator.evaluate(encoder(), task(), run(data, tmp_path)), straight)


@pytest.mark.parametrize("passes", [1, 2])
def test_both_kinds_of_passes_are_measured(data, tmp_path, passes):
    found = evaluator.evaluate(encoder(), task(f"passes={passes}"), run(data, tmp_path))
    told = found.marks[0]
    assert told == f"{2 * passes} frames over the span of 16 in each half of a window"


def test_bf16_is_an_arithmetic_of_its_own(straight, data, tmp_path):
    found = evaluator.evaluate(encoder(), task("precision=bf16"), run(data, tmp_path))
    assert found.precision == "bf16"
    assert np.isfinite(found.metrics["mean_count_error"])


def test_a_test_list_is_divided_and_every_process_knows_all_counts(straight, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tested, "VIDEOS", 2)
    torch.manual_seed(0)
    net = training.network(encoder(), task().counting, 0, "cpu")
    index = ucfrep.read(data / "ucfrep", "val")
    table = index.table.to_pylist()
    table[4]["path"] = "UCF-101/lost.avi"
    index = replace(index, table=index.table.from_pylist(table, index.table.schema))

    def count(ranks):
        stretches = Stretches(index, 16, Here())
        return tested.counted(net, stretches, Rule(2, 0.5), "cpu", "fp32", ranks), stretches

    alone, known = count(Ranks())
    assert sorted(alone) == [0, 1, 2, 3]
    store, found = HashStore(), {}

    def work(rank):
        found[rank] = count(Ranks(rank, 3, store))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for counts, stretches in found.values():
        assert sorted(counts) == sorted(alone)
        for row, own in counts.items():
            assert own.repetitions == alone[row].repetitions
            assert np.array_equal(own.inverse_lengths, alone[row].inverse_lengths)
        assert (stretches.counts, stretches.errors, stretches.cut) == (known.counts, known.errors, known.cut)
        assert stretches.decoders == known.decoders
    assert len(found) == 3


def test_processes_that_decode_other_training_videos_are_refused():
    evaluator._same_videos([["a", 5, "none"], ["a", 5, "none"]])
    with pytest.raises(
        UserError, match=r"process 1 decoded 4 training videos, process 0 5; .*: v: gone\. All need the"
    ):
        evaluator._same_videos([["a", 5, "none"], ["b", 4, "v: gone"]])


# Bad input


def _index(root, split, *samples):
    return Index.build("odd", split, root, ("a",), samples)


def _video(root, name, frames):
    rng = np.random.default_rng(len(name))
    encode(root / name, rng.integers(0, 255, (frames, 32, 32, 3)).astype(np.uint8), 25)


def _sample(name, start=0, end=None, boundaries=None):
    return Sample(name.removesuffix(".avi"), name, 0, name, start, end, boundaries=boundaries)


@pytest.fixture
def odd(tmp_path, data, monkeypatch):
    """Measure on lists of one's own."""
    root = tmp_path / "odd videos"
    root.mkdir()
    for name, frames in (("long.avi", 40), ("short.avi", 7), ("one.avi", 1)):
        _video(root, name, frames)
    (root / "bad.avi").write_bytes(b"RIFF no video")

    def measure(train, test):
        lists = Lists(_index(root, "train", *train), _index(root, "test", *test))
        monkeypatch.setattr(samples, "read", lambda *_: lists)
        return evaluator.evaluate(encoder(), task("segments=2"), run(data, tmp_path / "out"))

    return measure


GOOD = _sample("long.avi", 0, 40, (0, 10, 20, 30, 39))


def test_a_video_shorter_than_a_window_and_one_of_one_frame_are_counted(odd):
    short, one = _sample("short.avi", 0, 7, (0, 3, 6)), _sample("one.avi", 0, 1, (0, 1))
    found = odd([GOOD, short], [short, one])
    assert found.samples["error"].isna().all()
    assert found.samples["frames"].tolist() == [7, 1]
    assert found.samples["prediction"].tolist() == [7, 1]  # no cycle of four frames fits: every frame counts
    assert found.metrics["mean_count_error"] == pytest.approx(np.mean([5 / 2, 0]))
    assert any("1 of 2 test videos have one repetition" in mark for mark in found.marks)


def test_an_annotation_past_the_end_of_its_file_is_cut_and_told(odd):
    past = _sample("long.avi", 5, 90, (5, 20, 35, 50, 89))
    found = odd([past], [past._replace(id="past")])
    assert found.samples["frames"].tolist() == [35]
    assert found.samples["error"].isna().all()
    marks = "\n".join(found.marks)
    assert "1 of 1 training videos end before their annotation does" in marks
    assert "1 of 1 test videos end before their annotation: counted on what is there" in marks


def test_an_annotation_that_begins_after_the_end_is_an_error_of_its_video(odd):
    after = _sample("short.avi", 30, 60, (30, 40, 59))
    found = odd([GOOD, after], [GOOD, after])
    assert found.counts.n_decoded == 1
    assert "which has 7" in found.samples["error"][1]
    assert any("1 of 2 training videos not decoded" in mark for mark in found.marks)


def test_videos_without_cycles_are_told_not_counted(odd):
    none, single = _sample("short.avi"), _sample("one.avi", 0, 1, (0, 1))
    found = odd([GOOD, none, single], [GOOD, none])
    assert found.samples["label"].tolist() == [4, 0]
    assert "no repetition is annotated" in found.samples["error"][1]
    assert (found.counts.n_expected, found.counts.n_decoded) == (2, 1)
    assert any("2 of 3 training videos with fewer than 2 repetitions" in mark for mark in found.marks)
    assert found.selection["videos"] == 1


def test_videos_that_cannot_be_decoded_are_counted_never_replaced(odd):
    bad = _sample("bad.avi", 0, 20, (0, 10, 19))
    lost = _sample("lost.avi", 0, 20, (0, 10, 19))
    found = odd([GOOD, bad], [GOOD._replace(id="good"), bad, lost])
    assert (found.counts.n_expected, found.counts.n_present, found.counts.n_decoded) == (3, 2, 1)
    assert found.samples["error"].notna().tolist() == [False, True, True]
    assert found.samples["prediction"].tolist()[1:] == [-1, -1]
    own = found.samples["mean_count_error"][0]
    assert found.metrics["mean_count_error"] == own
    assert found.metrics["mean_count_error_missing_wrong"] == pytest.approx((own + 2) / 3)
    assert found.metrics["obo_missing_wrong"] == pytest.approx(found.metrics["obo"] / 3)
    assert found.selection["segments"] == 2


def test_where_no_test_video_can_be_decoded_there_is_no_value(odd):
    found = odd([GOOD], [_sample("bad.avi", 0, 20, (0, 10, 19))])
    assert np.isnan(found.metrics["mean_count_error"])
    assert found.counts.n_decoded == 0


def test_lists_that_nothing_can_be_learned_from_are_refused(odd):
    bad, bare = _sample("bad.avi", 0, 20, (0, 10, 19)), _sample("short.avi")
    with pytest.raises(UserError, match="no training video can be used; the first: bad: "):
        odd([bad], [GOOD])
    with pytest.raises(UserError, match="none has two repetitions"):
        odd([_sample("one.avi", 0, 1, (0, 1))], [GOOD])
    for train, test in (([bare], [GOOD]), ([GOOD], [bare])):
        with pytest.raises(UserError, match="none of its 1 samples has boundaries of repetitions"):
            odd(train, test)
    with pytest.raises(UserError, match="is empty"):
        odd([], [GOOD])


def test_a_training_video_that_is_mended_later_trains_anew(odd, tmp_path, monkeypatch):
    later = _sample("later.avi", 0, 20, (0, 10, 19))
    assert odd([GOOD, later], [GOOD]).selection["videos"] == 1
    _video(tmp_path / "odd videos", "later.avi", 20)
    assert odd([GOOD, later], [GOOD]).selection["videos"] == 2


def test_another_training_in_the_folder_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_run, "key_of", lambda _: "0" * 64)
    evaluator.evaluate(encoder(), task(), run(data, tmp_path))
    (folder,) = (tmp_path / "counting").iterdir()
    (folder / "classifier.pt").unlink()
    with pytest.raises(UserError, match="of another training"):
        evaluator.evaluate(encoder(), task("lr=0.5"), run(data, tmp_path))


def test_an_encoder_that_is_no_module_is_refused(data, tmp_path):
    class Plain:
        spec = encoder().spec

    with pytest.raises(UserError, match="no torch module"):
        evaluator.evaluate(Plain(), task(), run(data, tmp_path))


def test_annotations_as_a_table_give_the_same_numbers(straight, data, tmp_path):
    root = tmp_path / "table" / "ucfrep"
    shutil.copytree(data / "ucfrep" / "UCF-101", root / "UCF-101")
    lines = ["split,video,count,bounds"]
    for split in ("train", "val"):
        index = ucfrep.read(data / "ucfrep", split)
        for row in range(index.count):
            sample = index.sample(row)
            bounds = " ".join(str(frame + 1) for frame in sample.boundaries)
            lines.append(f"{split},{sample.id},{len(sample.boundaries) - 1},{bounds}")
    (root / "ucfrep_annotations.csv").write_text("\n".join(lines) + "\n")
    _same(evaluator.evaluate(encoder(), task(), run(root.parent, tmp_path / "out")), straight)
    assert not list(Path(root).rglob("*.mat"))
