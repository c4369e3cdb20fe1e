"""What a task stands for: a row a split and a layer, each another measurement, and the mean over all splits."""

import csv

import numpy as np
import pytest

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.results.store import Store, latest
from sigma_bench.results.tables import build, custom
from sigma_bench.runs import split_mean, variants
from sigma_bench.runs.evaluate import evaluate_here
from sigma_bench.runs.measure import settings_sha256
from sigma_bench.runs.request import Request
from sigma_bench.spec import load

FAST = ["probe.epochs=3", "probe.rates=[0.01]", "probe.weight_decays=[0.0]", "views.train=1", "views.test_clips=1"]
FAST += ["clips.frames=8", "clips.stride=1", "views.test_crops=1", "views.augment=none"]


def depth():
    return 3


def flat(table):
    return [task for of_split in table for task in of_split]


def test_a_plain_task_stands_for_itself():
    task = load.task("linear/ucf101")
    assert variants.of(task, (), lambda: pytest.fail("nobody asked")) == [[task]]
    assert variants.of(load.task("linear/k400"), (1, 2, 3), depth) == [[load.task("linear/k400")]]


def test_splits_and_layers_are_measurements_of_their_own_and_tell_how_they_differ(tmp_path):
    task = load.task("linear/ucf101", profile="layers", sets=["probe.epochs=7"])
    table = variants.of(task, (1, 3), depth)
    assert [[variants.name(one) for one in of_split] for of_split in table] == [
        [f"linear/ucf101 (probe.layer={k})" for k in range(3)],
        [f"linear/ucf101 (dataset.split=3, probe.layer={k})" for k in range(3)],
    ]
    assert [one.probe.layer for one in flat(table)] == [0, 1, 2] * 2
    assert [one.dataset.split for one in flat(table)] == [1] * 3 + [3] * 3
    assert table[1][2].resolved.sets == ("probe.epochs=7", "dataset.split=3", "probe.layer=2")
    run = Run("cpu", 0, tmp_path, tmp_path)
    assert len({settings_sha256(one, run) for one in flat(table)}) == 6
    alone = load.task("linear/ucf101", sets=["probe.layer=2", "probe.epochs=7", "dataset.split=3"])
    assert settings_sha256(alone, run) == settings_sha256(table[1][2], run)  # a sweep's row is that of the layer alone
    base = load.task("linear/ucf101", sets=["probe.epochs=7"])
    assert settings_sha256(variants.of(base, (1,), depth)[0][0], run) == settings_sha256(base, run)


def test_layers_may_be_named_and_are_counted_from_the_first():
    task = load.task("linear/ucf101", sets=["probe.layers=[-1, 0, 2]"])
    ((first, second),) = variants.of(task, (), depth)
    assert (first.probe.layer, second.probe.layer) == (2, 0)
    assert first.resolved.sets == ("probe.layer=2",)
    with pytest.raises(UserError, match="layer 5 asked of an encoder with 3 blocks"):
        variants.of(load.task("linear/ucf101", sets=["probe.layers=[5]"]), (), depth)
    for wrong in ("[]", "some", "[1.5]"):
        with pytest.raises(UserError, match=r"probe\.layers"):
            load.task("linear/ucf101", sets=[f"probe.layers={wrong}"])


def test_splits_that_no_data_set_has_are_refused():
    ucf, k400 = load.task("linear/ucf101"), load.task("linear/k400")
    variants.check([ucf, k400], (2,))
    variants.check([k400], ())
    with pytest.raises(UserError, match=r"--splits 1,2: no data set of these tasks has several splits"):
        variants.check([k400], (1, 2))
    with pytest.raises(UserError, match=r"ucf101 has no split 4; it has 1,2,3, found --splits 1,4"):
        variants.check([ucf], (1, 4))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two layers and three splits of a small UCF101, as the command measures them."""
    folder = tmp_path_factory.mktemp("measured")
    write(folder / "data" / "ucf101", seed=0, groups=6, clips_per_group=1)
    (folder / "data" / "ucf101" / "miniature.json").unlink()
    return folder


def request(folder, **more):
    given = {"tasks": ["linear/ucf101"], "data_root": folder / "data", "limit": 40, "sets": FAST}
    given |= {"out": folder / "out", "results": folder / "rows", "workers": 1, "device": "cpu"}
    return Request(["random:nano"], **{**given, **more})


def test_the_mean_over_the_splits_is_a_row_of_its_own_made_once(measured, capsys):
    assert evaluate_here(request(measured, splits=(2, 1))) == 0
    assert "mean" not in capsys.readouterr().err  # not of all
    assert evaluate_here(request(measured, splits=(3, 1, 2))) == 0
    said = capsys.readouterr().err
    assert said.count("has a row, skipped") == 2
    assert "linear/ucf101 seed 0, mean of 3 splits: top1" in said
    assert evaluate_here(request(measured, splits=(1, 2, 3))) == 0
    rows = latest(Store(measured / "rows").read())
    *single, mean = rows
    assert len(single) == 3
    by_split = {next((m for m in row.marks if "dataset.split" in m), "1"): row for row in single}
    assert set(by_split) == {"1", "setting dataset.split=2", "setting dataset.split=3"}
    assert mean.value == pytest.approx(np.mean([row.value for row in single]))
    assert mean.value_missing_wrong == pytest.approx(np.mean([row.value_missing_wrong for row in single]))
    assert (mean.n_decoded, mean.n_expected, mean.status) == (120, 120, "ok")
    halves = [row.value - row.interval_low for row in single]
    assert mean.value - mean.interval_low == pytest.approx(np.mean(halves))
    assert [part["value"] for part in mean.selection["splits"].values()] == [
        by_split[key].value for key in ("1", "setting dataset.split=2", "setting dataset.split=3")
    ]
    assert "setting dataset.split=mean of 1, 2, 3" in mean.marks
    assert not any(mark == "setting dataset.split=2" for mark in mean.marks)
    assert "setting probe.epochs=3" in mean.marks
    assert len({row.settings_sha256 for row in rows}) == 4
    (measured / "rows" / "settings" / f"{mean.settings_sha256}.json").stat()
    (table,) = custom(rows, load.layout())
    assert [block.label for block in table.blocks if "mean of 1, 2, 3" in block.label]
    assert len(table.blocks) == 4


def test_a_split_that_is_measured_again_renews_the_mean(measured, tmp_path):
    folder = tmp_path / "rows"
    more = {"splits": (1, 2, 3), "results": folder}
    assert evaluate_here(request(measured, **more)) == 0
    assert evaluate_here(request(measured, **more, force=True)) == 0
    with (folder / "tasks.csv").open() as stream:
        marks = [row["marks"] for row in csv.DictReader(stream)]
    assert sum("mean of" in mark for mark in marks) == 2


def test_without_a_value_of_each_split_there_is_no_mean(measured, tmp_path, capsys):
    store = Store(measured / "rows")
    row = store.read()[0]
    keys = {1: row.key, 2: row.key._replace(settings_sha256="0" * 64)}
    assert split_mean.means(store, keys, {"dataset": {}}, "tasks") == []
    assert "no mean of top1, split 2 has no row" in capsys.readouterr().err


def test_a_sweep_gives_a_row_a_layer_from_one_pass(measured, tmp_path, monkeypatch, capsys):
    passes = []
    encoder = load_encoder("random:nano")[0]
    whole, each = type(encoder).tokens, type(encoder).each_layer
    monkeypatch.setattr(type(encoder), "tokens", lambda *a, **k: (passes.append(len(a[1])), whole(*a, **k))[1])
    monkeypatch.setattr(type(encoder), "each_layer", lambda *a, **k: (passes.append(len(a[1])), each(*a, **k))[1])
    more = {"profile": "layers", "results": tmp_path / "rows", "out": tmp_path / "out"}
    assert evaluate_here(request(measured, **more)) == 0
    assert sum(passes) == 2 * 40  # one view of each sample of the two lists, once
    rows = Store(tmp_path / "rows").read()
    assert [next(m for m in row.marks if "probe.layer" in m) for row in rows] == [
        f"setting probe.layer={k}" for k in range(3)
    ]
    assert len({row.settings_sha256 for row in rows}) == 3
    assert "linear/ucf101 (probe.layer=1) seed 0: top1" in capsys.readouterr().err
    alone = request(measured, **{**more, "profile": None, "out": tmp_path / "other"}, sets=[*FAST, "probe.layer=1"])
    assert evaluate_here(alone) == 0
    assert "(probe.layer=1) seed 0: has a row, skipped" in capsys.readouterr().err
    assert evaluate_here(Request(**{**alone.__dict__, "results": tmp_path / "again"})) == 0
    (row,) = Store(tmp_path / "again").read()
    assert row.value == rows[1].value
    monkeypatch.setenv("SIGMA_BENCH_FEATURES_GB", "0")  # no room in the cache: the sweep holds what it computed
    before = sum(passes)
    assert evaluate_here(request(measured, **{**more, "out": tmp_path / "none", "results": tmp_path / "none"})) == 0
    assert sum(passes) - before == 2 * 40


def test_another_split_stands_under_its_own_protocol_and_never_in_the_papers_cell(measured):
    layout = load.layout()
    from sigma_bench.results import published
    from sigma_bench.spec import roots

    found = published.read(roots.find("published", "published.csv").parent)
    official = [row.model_copy(update={"data": "official", "limit": None}) for row in Store(measured / "rows").read()]
    table = build("T1", official, found, layout)
    labels = [block.label for block in table.blocks if "protocol" in block.label]
    assert len(labels) == 4
    assert any(label.endswith("dataset.split=mean of 1, 2, 3") for label in labels)
