"""The linear evaluator: what chooses, what is counted, what a draw is."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.evaluators import frozen, linear, samples
from sigma_bench.features import Features
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.spec import load

FAST = ("probe.epochs=15", "probe.rates=[0.01, 0.1]", "probe.weight_decays=[0.0]")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write(root / "ucf101", seed=0, groups=12, clips_per_group=1)
    return root


@pytest.fixture
def made(monkeypatch, root):
    """Features that tell the label of a clip, with some noise; nothing is decoded."""

    def install(broken=(), noise=0.2):
        def extract(encoder, index, views, run, **wanted):
            rng = np.random.default_rng(len(index.ids))
            values = np.eye(32)[index.labels % 32][:, None] + noise * rng.normal(size=(index.count, views.count, 32))
            ok = np.array([i not in broken for i in index.ids])
            values[~ok] = np.nan  # not to be used for anything
            errors = {i: "broken" for i in index.ids if i in broken}
            return Features(
                values.astype(np.float32), ok, errors, {"decoders": {"none": int(ok.sum())}, "cached": False}
            )

        monkeypatch.setattr(frozen, "extract", extract)

    return install


def evaluate(root, tmp_path, task="linear/ucf101", sets=FAST, seed=0, encoder="random:nano"):
    run = Run("cpu", seed, root, tmp_path, None)
    return linear.evaluate(load_encoder(encoder)[0], load.task(task, data="miniature", sets=sets), run)


def test_informative_features_are_read_and_the_grid_is_recorded(made, root, tmp_path):
    made()
    found = evaluate(root, tmp_path)
    assert found.metrics["top1"] > 60
    (chosen,) = found.selection["chosen"]
    assert [g[:2] for g in chosen["grid"]] == [[0.01, 0.0], [0.1, 0.0]]
    assert (chosen["rate"], chosen["weight_decay"]) == tuple(max(chosen["grid"], key=lambda g: g[2])[:2])
    trained = read(root / "ucf101", "train").count
    assert 0 < chosen["held_out"] < 0.35 * trained  # a tenth was asked for; whole groups of a small list go together
    assert found.views == "2x1"
    counted = (found.samples["prediction"] == found.samples["label"]).mean() * 100
    assert counted == pytest.approx(found.metrics["top1"])


def test_the_test_list_takes_no_part_in_the_choice(made, root, tmp_path, monkeypatch):
    made()
    before = evaluate(root, tmp_path).selection["chosen"]
    truth = samples.read

    def shuffled(task, run):
        lists = truth(task, run)
        where = lists.test.table.schema.get_field_index("label")
        labels = pa.array(np.roll(lists.test.labels, 1))
        table = lists.test.table.set_column(where, lists.test.table.schema.field("label"), labels)
        return samples.Lists(lists.train, dataclasses.replace(lists.test, table=table))

    monkeypatch.setattr(samples, "read", shuffled)
    assert evaluate(root, tmp_path).selection["chosen"] == before


def test_undecoded_samples_are_counted_and_never_replaced(made, root, tmp_path):
    test = read(root / "ucf101", "test")
    train = read(root / "ucf101", "train")
    broken = {*test.ids[:10], train.ids[0]}
    made(broken)
    found = evaluate(root, tmp_path)
    n = test.count
    assert (found.counts.n_expected, found.counts.n_present, found.counts.n_decoded) == (n, n, n - 10)
    right = found.metrics["top1"] / 100 * (n - 10)
    assert found.metrics["top1_missing_wrong"] == pytest.approx(100 * right / n)
    assert found.samples["error"].notna().sum() == 10
    assert found.samples["confidence"].notna().sum() == n - 10  # nor is the training sample trained on
    assert set(found.samples.loc[found.samples["error"].notna(), "prediction"]) == {-1}
    assert found.marks == (f"1 of {train.count} training files not decoded",)


def test_draws_take_so_many_labels_a_class_and_are_averaged(made, root, tmp_path):
    made(noise=1.0)
    sets = (*FAST, "dataset.draws=3", "dataset.per_class=6")
    found = evaluate(root, tmp_path, "controls/category_8", sets)
    draws = found.selection["per_draw"]
    assert len(draws) == 3
    assert len(set(draws)) > 1
    assert found.metrics["top1"] == pytest.approx(np.mean(draws))
    assert found.samples["right_draws"].max() <= 3
    again = evaluate(root, tmp_path, "controls/category_8", sets)
    assert again.selection == found.selection
    assert evaluate(root, tmp_path, "controls/category_8", sets, seed=1).selection != found.selection


def test_a_time_span_that_cannot_be_kept_is_refused_and_another_clip_length_is_marked(made, root, tmp_path):
    made()
    with pytest.raises(UserError, match="time span"):
        evaluate(root, tmp_path, sets=(*FAST, "clips.frames=12"))
    found = evaluate(root, tmp_path, sets=(*FAST, "clips.frames=16"))
    assert "8 frames over the span of 16" in found.marks


def test_without_data_the_place_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "none" / "ucf101")):
        evaluate(tmp_path / "none", tmp_path)


def test_classes_without_a_training_sample_are_marked(made, root, tmp_path, monkeypatch):
    train, test = read(root / "ucf101", "train"), read(root / "ucf101", "test")
    lacking = [name for name, label in zip(train.ids, train.labels, strict=True) if label in (3, 5)]
    made(lacking)
    found = evaluate(root, tmp_path)
    said = f"2 of 32 tested classes without a training sample ({test.classes[3]}, {test.classes[5]}): never predicted"
    assert said in found.marks
    assert not set(found.samples["prediction"]) & {3, 5}


def test_training_files_none_of_which_can_be_decoded_are_told(made, root, tmp_path):
    made(read(root / "ucf101", "train").ids)
    with pytest.raises(UserError, match=r"no training sample could be decoded; the first, .*: broken"):
        evaluate(root, tmp_path)


def test_the_order_of_frames_goes_to_both_lists_or_to_the_test_alone():
    def orders(*sets):
        return [views.order for views in frozen.views_of(load.task("controls/ssv2_shuffled", sets=sets), 1, 0)]

    assert orders() == ["shuffled", "shuffled"]
    assert orders("clips.train_order=natural") == ["natural", "shuffled"]
    assert orders("clips.order=natural") == ["natural", "natural"]


def test_rates_that_end_in_no_number_are_never_chosen_and_alone_are_an_error(made, root, tmp_path):
    made()
    sets = [*FAST, "probe.rates=[1.0e+30, 0.1]", "probe.weight_decays=[0.5]"]
    (chosen,) = evaluate(root, tmp_path, sets=sets).selection["chosen"]
    assert [cell[2] is None for cell in chosen["grid"]] == [True, False]
    assert chosen["rate"] == 0.1
    with pytest.raises(FloatingPointError, match="the probe is no number after training; lower the rates"):
        evaluate(root, tmp_path, sets=[*FAST, "probe.rates=[1.0e+30]", "probe.weight_decays=[0.5]"])
    with pytest.raises(FloatingPointError, match="no number"):
        evaluate(root, tmp_path, sets=[*FAST, "probe.rates=[1.0e+30, 1.0e+29]", "probe.weight_decays=[0.5]"])
