"""Comparisons of systems: what is paired, what is refused and why, and how it is printed."""

import csv
import hashlib
import io
import json

import numpy as np
import pandas as pd
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import comparison, comparison_text, paired, pairing, settings
from sigma_bench.results.comparison import compare
from sigma_bench.results.store import Store
from sigma_bench.runs.reading import Reading
from sigma_bench.spec import load

N = 60
LABELS = np.arange(N) % 4


@pytest.fixture(scope="module")
def layout():
    return load.layout()


@pytest.fixture
def put(tmp_path, make_row):
    """Write a row with its records; `right` says of which samples the prediction is right."""

    def write(right=None, samples=None, **fields):
        if samples is None:
            samples = pd.DataFrame({"id": [f"v{i:03d}" for i in range(N)], "group": [f"g{i // 2}" for i in range(N)]})
            samples["label"], samples["prediction"] = LABELS, np.where(right, LABELS, -1)
            samples["right_draws"], samples["draws"], samples["error"] = np.asarray(right, int), 1, None
        if "value" not in fields and right is not None:
            fields["value"] = 100 * float(np.mean(right))
        system = fields.setdefault("system", "mine")
        fields.setdefault("checkpoint_sha256", hashlib.sha256(system.encode()).hexdigest())
        n = len(samples)
        counts = {"n_expected": n, "n_present": n, "n_decoded": int(samples["error"].isna().sum())}
        fields = {"data": "custom", "evaluator": "linear", "task": "linear/ucf101", **counts, **fields}
        row = make_row(**{"status": "ok" if counts["n_decoded"] == n else "partial", **fields})
        store = Store(tmp_path)
        path = store.write_samples(row.id, samples)
        artifacts = {"samples": path.relative_to(tmp_path).as_posix()}
        row = row.model_copy(update={"artifacts": {**artifacts, **row.artifacts}})
        store.append(row.suite, [row])
        return row

    return write


@pytest.fixture
def found(tmp_path, layout):
    """Compare A with B on what was written."""

    def run(a="mine", b="theirs", **more):
        return compare(Store(tmp_path).read(), a, b, tmp_path, layout, **more)

    return run


def some(seed, share=0.6):
    return np.random.default_rng(seed).random(N) < share


def test_a_line_has_values_difference_interval_p_and_verdict(put, found):
    worse, better = some(0, 0.3), some(1, 0.9)
    put(worse)
    put(better, system="theirs")
    (line,) = found().lines
    assert line.numbers == (pytest.approx(100 * worse.mean()), pytest.approx(100 * better.mean()))
    assert line.paired.difference == pytest.approx(100 * (better.mean() - worse.mean()))
    assert line.paired.groups == N // 2
    assert line.paired.interval.low < line.paired.difference < line.paired.interval.high
    assert line.verdict == "B is better"
    assert found("theirs", "mine").lines[0].verdict == "A is better"
    assert found("theirs", "mine").lines[0].paired.difference == pytest.approx(-line.paired.difference)


def test_lower_counting_errors_are_better(put, found):
    def errors(scale):
        samples = pd.DataFrame({"id": [f"v{i}" for i in range(N)], "error": None})
        samples["value"] = scale * np.random.default_rng(0).random(N)
        return samples

    for system, scale in (("mine", 1.0), ("theirs", 0.5)):
        samples = errors(scale)
        fields = {"task": "severe/ucf_rc", "metric": "mean_count_error", "value": float(samples["value"].mean())}
        put(samples=samples, system=system, **fields)
    (line,) = found().lines
    assert (line.lower, line.decimals, line.verdict) == (True, 3, "B is better")


def test_no_difference_is_called_real_that_is_not_significant_after_holm(put, found, monkeypatch):
    for task in ("linear/ucf101", "linear/hmdb51", "linear/k400"):
        put(some(0), task=task)
        put(some(1), system="theirs", task=task)
    monkeypatch.setattr(paired, "sign_flips", lambda parts, rng: (0.02, "flips"))
    lines = found().lines
    assert [line.p for line in lines] == [0.02] * 3
    assert [line.corrected for line in lines] == pytest.approx([0.06] * 3)
    assert {line.verdict for line in lines} == {"no difference shown"}
    (line,) = found(tasks={"linear/k400"}).lines
    assert line.corrected == 0.02
    assert line.verdict != "no difference shown"


def test_each_kind_of_data_stands_apart_and_is_corrected_for_itself(put, found, monkeypatch):
    for data in ("miniature", "official"):
        put(some(0), data=data, settings_sha256=data[0].replace("m", "5").replace("o", "6") * 64)
        put(some(1), data=data, settings_sha256=data[0].replace("m", "5").replace("o", "6") * 64, system="theirs")
    monkeypatch.setattr(paired, "sign_flips", lambda parts, rng: (0.03, "flips"))
    result = found()
    assert [(line.place.data, line.corrected) for line in result.lines] == [("official", 0.03), ("miniature", 0.03)]
    text = comparison_text.render(result, "md")
    assert text.index("### Official data") < text.index("### Miniature (synthetic data; not comparable with the paper)")


def test_one_metric_of_a_task_that_the_paper_prints_is_enough(put, found):
    for system in ("mine", "theirs"):
        row = put(some(len(system)), system=system)
        put(some(len(system)), system=system, metric="mean_class_acc", value=row.value)
    assert [line.place.metric for line in found().lines] == ["top1"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"test_sha256": "d" * 64}, "test list cccccccc | dddddddd"),
        ({"train_sha256": "d" * 64}, "training list bbbbbbbb | dddddddd"),
        ({"task_version": 2}, "task version 1 | 2"),
        ({"limit": 60}, "limit (none) | 60"),
        ({"settings_sha256": "d" * 64}, "settings, which were not kept"),
    ],
)
def test_different_conditions_are_refused_with_the_reason(put, found, fields, reason):
    put(some(0))
    put(some(1), system="theirs", **fields)
    (line,) = found().lines
    assert (line.paired, line.verdict) == (None, "not compared")
    assert line.refused == f"measured under different conditions: {reason}"


def test_other_settings_are_named_key_by_key(put, found, tmp_path):
    made = []
    for epochs in (30, 100):
        content = {"probe": {"epochs": epochs, "batch": 256}, "version": 1}
        settings.save(tmp_path, content, "task")
        made.append(settings.sha256_of(content))
    put(some(0), settings_sha256=made[0])
    put(some(1), settings_sha256=made[1], system="theirs")
    assert found().lines[0].refused.endswith("setting probe.epochs: 30 | 100")


def test_how_a_checkpoint_was_read_is_no_other_protocol(put, found, tmp_path):
    made = []
    for more in ({}, {"heads": 3, "positions": "slice"}):
        content = {"probe": {"epochs": 30}, **more}
        settings.save(tmp_path, content, "task")
        made.append(settings.sha256_of(content))
    put(some(0), settings_sha256=made[0])
    put(some(1), settings_sha256=made[1], system="theirs")
    (line,) = found().lines
    assert line.paired is not None
    assert "the checkpoints were read otherwise than as stored" in line.notes
    # whether the classifier is the file's own is another protocol
    assert set(pairing.READING) == {"heads", *Reading.__dataclass_fields__} - {"head"}


def test_of_several_conditions_those_are_taken_that_both_have(put, found):
    put(some(0), task_version=1)
    put(some(2), task_version=2)
    put(some(1), system="theirs", task_version=1)
    (line,) = found().lines
    assert line.numbers[0] == pytest.approx(100 * some(0).mean())


def test_marks_that_only_one_side_carries_are_noted(put, found):
    put(some(0), marks=["list: other", "8 frames over the span of 16"])
    put(some(1), marks=["list: other"], system="theirs")
    assert found().lines[0].notes == ("A alone is marked: 8 frames over the span of 16",)


def test_seeds_are_averaged_and_both_their_spread_and_the_samples_must_speak_for_a_difference(put, found):
    for seed, share in enumerate((0.2, 0.6)):
        put(some(seed, share), seed=seed)
    for seed in range(2):
        put(some(seed + 5, 0.9), seed=seed, system="theirs")
    (line,) = found().lines
    assert line.seeds == (2, 2)
    assert line.numbers[0] == pytest.approx(50 * (some(0, 0.2).mean() + some(1, 0.6).mean()))
    assert line.p == max(line.paired.p, line.p_seeds) == line.p_seeds
    assert line.paired.p < 0.01 < line.p
    assert line.verdict == "no difference shown"
    assert line.notes == ("A: mean over 2 seeds", "B: mean over 2 seeds")


def test_several_weights_of_one_name_are_one_system_and_a_hash_names_one_of_them(put, found):
    put(some(0), checkpoint_sha256="1" * 64)
    put(some(1), checkpoint_sha256="2" * 64)
    put(some(2), system="theirs")
    (line,) = found().lines
    assert line.notes == ("A: mean over 2 sets of weights, 2 measurements",)
    (line,) = found("1" * 8, "2" * 64).lines
    assert line.seeds == (1, 1)
    for a, b in (("mine", "1" * 8), ("mine", "mine")):
        with pytest.raises(UserError, match="both stand for the weights 111111111111"):
            found(a, b)


def test_names_that_say_too_little_are_refused(put, found):
    put(some(0), checkpoint_sha256="1" * 64)
    put(some(1), checkpoint_sha256="1" * 63 + "2", variant="step 3 of 9")
    put(some(2), system="theirs")
    with pytest.raises(UserError, match=r"'mine' stands for 2 systems: mine .*111111111111; mine .step 3 of 9."):
        found()
    assert found("mine (step 3 of 9)").lines[0].paired is not None
    with pytest.raises(UserError, match="'111111' is the beginning of 111111111111; write more"):
        found("111111")
    with pytest.raises(UserError, match=r"no rows of 'their'; measured were.*'theirs' \("):
        found("mine (step 3 of 9)", "their")


def test_systems_without_a_task_in_common_are_refused(put, found):
    put(some(0))
    put(some(1), system="theirs", task="linear/k400")
    with pytest.raises(UserError, match="not measured on a task in common: A on linear/ucf101, B on linear/k400"):
        found()


def test_a_task_that_only_one_has_or_that_failed_is_told(put, found, make_row, tmp_path):
    for task in ("linear/ucf101", "linear/k400"):
        put(some(0), task=task)
    put(some(1), system="theirs")
    failed = {"value": None, "status": "failed", "n_decoded": 0, "error": "out of memory\nat line 3"}
    lacking = make_row(system="theirs", task="linear/k400", data="custom", evaluator="linear", **failed)
    lacking = lacking.model_copy(update={"checkpoint_sha256": hashlib.sha256(b"theirs").hexdigest()})
    Store(tmp_path).append("linear", [lacking])
    put(some(0), task="linear/in1k")
    assert [(line.place.task, line.refused) for line in found().lines] == [
        ("linear/in1k", "B was not measured"),
        ("linear/k400", "B failed: out of memory"),
        ("linear/ucf101", ""),
    ]


def damaged(error="gone", rows=(3,)):
    samples = pd.DataFrame({"id": [f"v{i:03d}" for i in range(N)], "error": None, "label": 1, "prediction": 1})
    samples["error"] = samples["error"].astype(object)
    samples.loc[list(rows), "error"] = error
    return samples


def test_samples_that_one_could_not_decode_are_left_out_of_both_or_it_is_refused(put, found):
    put(samples=damaged(rows=[3]), value=100.0)
    put(samples=damaged(rows=[]), value=100.0, system="theirs")
    assert found().lines[0].refused == "both have 59 of 60 samples; under 99 % is no comparison"


def test_between_99_and_100_percent_it_is_noted(put, found, monkeypatch):
    monkeypatch.setattr(pairing, "FULL_PERCENT", 95)
    put(samples=damaged(rows=[3]), value=100.0)
    put(samples=damaged(rows=[5]), value=100.0, system="theirs")
    (line,) = found().lines
    assert (line.paired.samples, line.notes) == (58, ("58 of 60 samples, those that all measurements decoded",))


def spoil(kind, file):
    frame = pd.read_parquet(file)
    if kind == "gone":
        file.unlink()
    elif kind == "text":
        file.write_text("no parquet")
    elif kind == "short":
        frame[:-1].to_parquet(file)
    elif kind == "twice":
        frame.assign(id="v000").to_parquet(file)
    elif kind == "other numbers":
        frame.assign(right_draws=1 - frame["right_draws"]).to_parquet(file)
    elif kind == "other labels":
        frame.assign(label=9 - frame["label"]).to_parquet(file)
    elif kind == "other groups":
        frame.assign(group="one").to_parquet(file)
    elif kind == "other ids":
        frame.assign(id=[f"w{i}" for i in range(len(frame))]).to_parquet(file)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("gone", "are not there"),
        ("text", "cannot be read"),
        ("short", "are not one for each of 60 samples"),
        ("twice", "are not one for each of 60 samples"),
        ("other numbers", "do not give its top1 of"),
        ("other labels", "other labels of the same samples"),
        ("other groups", "other groups of the same samples"),
        ("other ids", "both have 0 of 60 samples"),
    ],
)
def test_records_that_are_not_those_of_the_row_are_refused_not_faked(put, found, tmp_path, kind, reason):
    put(some(0))
    row = put(some(1), system="theirs")
    spoil(kind, tmp_path / row.artifacts["samples"])
    assert reason in found().lines[0].refused


@pytest.mark.parametrize("name", ["../secret.parquet", "/etc/secret.parquet", "samples/../../secret.parquet"])
def test_records_outside_of_the_folder_are_not_read(put, found, tmp_path, name):
    put(some(0))
    put(some(1), system="theirs", artifacts={"samples": name})
    assert "lie outside of" in found().lines[0].refused


def test_a_link_out_of_the_folder_is_not_followed(put, found, tmp_path):
    put(some(0))
    row = put(some(1), system="theirs")
    file = tmp_path / row.artifacts["samples"]
    outside = tmp_path.parent / f"{tmp_path.name}-outside.parquet"
    file.rename(outside)
    file.symlink_to(outside)
    assert "lie outside of" in found().lines[0].refused


def test_rows_without_records_are_refused(put, found, make_row, tmp_path):
    put(some(0))
    bare = make_row(
        system="theirs", checkpoint_sha256="7" * 64, data="custom", evaluator="linear", task="linear/ucf101"
    )
    Store(tmp_path).append("linear", [bare])
    assert "were not kept; measure it again with `sigma-bench eval --force`" in found().lines[0].refused


def test_all_formats_say_the_same(put, found):
    put(some(0, 0.2), system="my | model\n<b>")
    put(some(1, 0.9), system="=theirs")
    put(some(1, 0.9), system="=theirs", task="linear/k400")
    result = found("my | model\n<b>", "=theirs")
    text = comparison_text.render(result, "md")
    assert "A: my \\| model &lt;b&gt;, B: =theirs" in text
    assert "| B is better |" in text
    assert "linear/k400 (linear) not compared: A was not measured" in text
    lines = json.loads(comparison_text.render(result, "json"))["lines"]
    rows = list(csv.DictReader(io.StringIO(comparison_text.render(result, "csv"))))
    assert [line["verdict"] for line in lines] == [row["verdict"] for row in rows] == ["not compared", "B is better"]
    assert float(rows[1]["p_holm"]) == lines[1]["p_holm"] == result.lines[1].corrected
    assert rows[0]["difference"] == ""
    assert lines[0]["difference"] is None
    with pytest.raises(UserError, match="--format xml: expected one of md, json, csv"):
        comparison_text.render(result, "xml")


def test_small_p_values_are_not_printed_as_zero():
    assert comparison_text._p(1e-9) == "< 0.0001"
    assert comparison_text._p(0.0123456) == "0.0123"
    assert comparison_text._p(None) == "–"
    assert comparison.LEVEL == 0.05
