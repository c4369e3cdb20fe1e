"""Was a number reproduced: tolerances, what is missing and why, which settings depart, what `complete` says."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from sigma_bench.contracts import UserError
from sigma_bench.results import published, reproduction_text, settings
from sigma_bench.results.reproduction import Protocol, Sources, Tolerance, reproduce, tolerance_of
from sigma_bench.runs.reproduce import protocol, protocols
from sigma_bench.spec import load
from sigma_bench.spec.tolerances import tolerances

LINEAR = {"linear/ssv2": 20.8, "linear/k400": 47.5, "linear/ucf101": 80.7, "linear/hmdb51": 52.3, "linear/in1k": 45.0,
          "linear/cifar100": 66.7}  # fmt: skip


@pytest.fixture(scope="module")
def sources(published_dir):
    zoo = load.zoo()
    known = {task: Protocol({"probe": {"epochs": 100}}, f"--task {task} --profile released", ("left open",))
             for task in LINEAR}  # fmt: skip
    known["finetune/ssv2"] = Protocol({"finetune": {"epochs": 50}}, "--task finetune/ssv2")
    known["finetune/k400"] = Protocol(None, "")
    return Sources(published.read(published_dir), load.layout(), zoo.entries, zoo.short, tolerances(), known)


@pytest.fixture
def run(tmp_path, sources):
    def reproduced(rows, table="1", system="sigma_dino", **more):
        return reproduce(table, system, rows, tmp_path, sources, **more)

    return reproduced


def cell(found, task="linear/ssv2"):
    return next(c for c in found.cells if c.column.key == task)


def every(measured, shift=0.0):
    return [measured(task=task, value=value + shift) for task, value in LINEAR.items()]


def test_a_row_within_tolerance_is_complete_and_one_number_outside_is_enough(measured, run):
    found = run(every(measured, 0.3))
    assert found.complete
    assert [c.verdict for c in found.cells] == ["within"] * 6
    assert cell(found).difference == 0.3
    assert cell(found).tolerance == Tolerance(0.5, "stated for this column")
    rows = [measured(task=task, value=value + 0.6 * (task == "linear/k400")) for task, value in LINEAR.items()]
    found = run(rows)
    assert not found.complete
    assert cell(found, "linear/k400").verdict == "outside"
    assert cell(found).verdict == "within"


def test_the_difference_is_of_the_number_as_it_would_be_printed(measured, run):
    assert cell(run([measured(value=21.3499)])).verdict == "within"
    assert cell(run([measured(value=21.3499)])).difference == 0.5
    assert cell(run([measured(value=21.3501)])).verdict == "outside"


def test_a_tolerance_of_ones_own_replaces_all(measured, run):
    found = run(every(measured, 0.3), tolerance=0.2)
    assert {c.verdict for c in found.cells} == {"outside"}
    assert cell(found).tolerance == Tolerance(0.2, "as asked for")


def test_seeds_widen_a_tolerance_but_not_beyond_twice(measured, run):
    default = Tolerance(0.5, "stated")
    assert tolerance_of([20.0, 24.0], default) == default
    assert tolerance_of([20.0, 20.01, 20.02], default) == default
    values = [20.0, 20.2, 20.3]
    wanted = t.ppf(0.975, 2) * math.sqrt(0.07 / 3) * math.sqrt(4 / 3)
    found = tolerance_of(values, default)
    assert (found.value, found.origin) == (pytest.approx(wanted), "spread of 3 seeds")
    found = tolerance_of([18.0, 20.0, 24.0], default)
    assert (found.value, found.origin) == (1.0, "spread of 3 seeds, at most 2 x the stated 0.5")
    rows = [measured(value=value, seed=seed) for seed, value in enumerate((21.2, 21.4, 21.6))]
    one = cell(run(rows))
    assert (one.count, one.verdict) == (3, "within")
    assert one.tolerance.origin.startswith("spread of 3 seeds")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9), st.floats(0.01, 5))
def test_a_tolerance_is_never_under_the_stated_one_nor_over_twice_it(values, stated):
    assert stated <= tolerance_of(values, Tolerance(stated, "")).value <= 2 * stated


def test_every_cell_that_can_be_measured_has_a_stated_tolerance():
    stated = tolerances().tolerances
    for name, lay in load.layout().tables.items():
        if not (lay.missing or lay.settings or lay.row_key):
            assert set(stated[name]) == {column.key for column in lay.columns}, name
    assert set(stated) <= set(load.layout().tables)


def test_what_is_missing_is_told_with_the_command_that_measures_it(measured, run):
    found = run([measured()])
    lacking = cell(found, "linear/k400")
    assert (lacking.verdict, lacking.reason) == ("missing", "not measured")
    assert lacking.command == "sigma-bench eval --task linear/k400 --profile released --ckpt sigma_dino"
    assert cell(found).command == ""
    assert not found.complete


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"evaluator": "linear"}, "measured only by another protocol: linear"),
        ({"profile": "quick"}, "measured only by another protocol: linear_released, profile quick"),
        ({"marks": ["setting probe.epochs=1"]}, "another protocol: linear_released, probe.epochs=1"),
        ({"value": None, "status": "failed", "n_decoded": 0, "error": "no memory"}, "failed"),
        ({"n_decoded": 150, "status": "partial"}, "partial 75 %"),
        ({"limit": 200}, "limited to 200 test samples"),
        ({"data": "miniature"}, "not measured"),
        ({"data": "custom"}, "not measured"),
        ({"step": 5, "steps": 10}, "another protocol"),
    ],
)
def test_rows_that_stand_for_no_printed_number_reproduce_none(measured, run, fields, reason):
    one = cell(run([measured(**fields)]))
    assert (one.verdict, one.measured, one.difference) == ("missing", None, None)
    assert reason in one.reason
    assert one.command.startswith("sigma-bench eval")


def test_other_views_than_the_table_states_reproduce_nothing(measured, run):
    fields = {"task": "finetune/ssv2", "evaluator": "finetune", "profile": "paper", "frames": "16", "value": 70.9}
    fields |= {"pretrain_data": "SSv2"}
    assert cell(run([measured(**fields, views="2x3")], "C1"), "finetune/ssv2").verdict == "within"
    assert cell(run([measured(**fields, views="5x3")], "C1"), "finetune/ssv2").reason.startswith("measured only by")


def test_departures_from_the_protocol_are_named(measured, run, tmp_path):
    content = {"probe": {"epochs": 30, "pool": None}, "heads": 3, "clips": {"frames": 16}}
    settings.save(tmp_path, content, "task")
    fields = {"settings_sha256": settings.sha256_of(content), "marks": ["setting probe.epochs=30"]}
    one = cell(run([measured(**fields)]))
    assert one.settings == ("--set probe.epochs=30", "clips.frames: 16 | (not there)", "probe.epochs: 30 | 100")
    one = cell(run([measured()]))
    assert one.settings == ("settings were not kept, so they cannot be compared",)
    assert one.open == ("left open",)


def test_a_mean_needs_all_columns_and_turns_errors_into_percent(measured, run):
    printed = {
        "severe/ssv2": 70.9, "severe/gym99": 89.7, "severe/ucf_1e3": 84.1, "severe/gym_1e3": 28.0,
        "severe/fx_s1": 55.1, "severe/ub_s1": 79.9, "severe/ucf_rc": 0.169, "severe/charades": 23.3,
    }  # fmt: skip
    metrics = {"severe/fx_s1": "mean_class_acc", "severe/ub_s1": "mean_class_acc", "severe/ucf_rc": "mean_count_error",
               "severe/charades": "map"}  # fmt: skip
    rows = [
        measured(task=task, metric=metrics.get(task, "top1"), value=value, evaluator="finetune", suite="severe")
        for task, value in printed.items()
    ]
    assert cell(run(rows[:-1], "5"), "severe/mean").reason == "needs all 8 columns, 7 measured"
    mean = cell(run(rows, "5"), "severe/mean")
    wanted = (sum(v for task, v in printed.items() if task != "severe/ucf_rc") + 100 * (1 - 0.169)) / 8
    assert mean.measured == pytest.approx(wanted)
    assert mean.count == 1


def test_whose_rows_a_name_means(measured, run, sigma_dino):
    entry = load.zoo().entries["sigma_dino_k400_b800"]
    mine, zoo = measured(system="mine"), measured(system=entry.system, value=20.0, source="hf://a/b@c")
    assert cell(run([mine, zoo], system="mine")).measured == 21.0
    found = run([mine, zoo], system="sigma_dino")
    assert cell(found).measured == 20.0
    assert found.measured == (f"{entry.system}, weights {zoo.checkpoint_sha256[:12]}, hf://a/b@c",)
    assert cell(run([mine])).measured is None
    assert cell(run([mine], system="SIGMA-DINO")).measured == 21.0
    with pytest.raises(UserError, match=r"2 systems were measured that belong to this row: SIGMA.*, mine; name one"):
        run([mine, zoo], system="SIGMA-DINO")


@pytest.mark.parametrize(
    ("table", "system", "said"),
    [
        ("8", "sigma_dino", "holds no numbers of systems"),
        ("10", "sigma_dino", "holds no numbers of systems"),
        ("6", "sigma_dino", "2 tables, T6a and T6b"),
        ("99", "sigma_dino", "no table '99'"),
        ("1", "sigma_dine", "Did you mean 'sigma_dino'"),
        ("1", "", "no row of T1 is of it"),
        ("3", "VideoMAE", "2 rows of T3 are called so"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, table, system, said):
    with pytest.raises(UserError, match=said):
        run([], table, system)


def test_a_measured_system_that_says_nothing_of_itself_is_told_how_to(make_row, run):
    with pytest.raises(UserError, match="says of itself nothing that a printed row has; evaluate it with --as"):
        run([make_row(system="x.pth")], system="x.pth")


def test_why_nothing_can_be_measured(run):
    assert "no public weights" in cell(run([], "3", "mgm_k400_b800"), "finetune/k400").reason
    lacking = cell(run([], "3", "sigma_dino"), "finetune/k400")
    assert (lacking.reason, lacking.command) == (
        "not measured; no profile of finetune/k400 is the protocol of the paper's cell", "")  # fmt: skip
    assert cell(run([], "5"), "severe/gym99").reason == "not measured; there is no task severe/gym99 here"


def test_all_formats_say_the_same(measured, run):
    found = run([*every(measured, 0.3)[1:], measured(value=25.0, interval_low=24.0, interval_high=26.0)])
    text = reproduction_text.render(found, "md")
    assert "| SSv2 | linear/ssv2 | 20.8 | 25.0 [24.0, 26.0] | +4.2 | 0.50 (stated for this column) | outside |" in text
    assert "5 of 6 numbers within tolerance, 1 outside, 0 missing." in text
    assert "- linear/ssv2, linear/k400" in text
    content = json.loads(reproduction_text.render(found, "json"))
    rows = list(csv.DictReader(io.StringIO(reproduction_text.render(found, "csv"))))
    assert content["reproduced"] is False
    assert [c["verdict"] for c in content["cells"]] == [row["verdict"] for row in rows] == ["outside"] + ["within"] * 5
    assert float(rows[0]["difference"]) == content["cells"][0]["difference"] == 4.2
    with pytest.raises(UserError, match="--format xml"):
        reproduction_text.render(found, "xml")


def test_the_protocol_of_a_task_is_its_own_or_a_profile_of_it():
    found = protocol("finetune/ssv2")
    assert found.arguments == "--task finetune/ssv2"
    assert found.settings["finetune"]["epochs"] == 50
    assert found.notes
    columns = [column.key for lay in load.layout().tables.values() for column in lay.columns]
    assert "finetune/k400" in protocols(columns)
    assert "severe/mean" not in protocols(columns)
    assert "notes" not in found.settings
