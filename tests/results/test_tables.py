"""Tables: what is matched, what is refused, what is marked, what never meets."""

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import matching, own, published, render, tables
from sigma_bench.results import notes as printed_notes
from sigma_bench.results.counted import Counted
from sigma_bench.results.stacks import stacked
from sigma_bench.results.table import Block, Line, Table
from sigma_bench.spec import load

MINIATURE_TITLE = "Miniature (synthetic data; not comparable with the paper)"


@pytest.fixture(scope="module")
def layout():
    return load.layout()


@pytest.fixture(scope="module")
def values(published_dir):
    return published.read(published_dir)


@pytest.fixture
def build(values, layout):
    return lambda table, rows=(): tables.build(table, rows, values, layout)


def lines_of(table: Table, kind: str = "measured") -> list[tuple[Block, Line]]:
    return [(block, line) for block in table.blocks for line in block.lines if line.kind == kind]


def texts(line: Line) -> list[str]:
    return [cell.text for cell in line.cells]


def notes(table: Table, line: Line, place: int) -> list[str]:
    return [dict(table.footnotes.items)[mark] for mark in line.cells[place].marks]


@pytest.mark.parametrize(
    ("asked", "found"),
    [(1, ["T1"]), ("1", ["T1"]), ("T1", ["T1"]), ("t13", ["T13"]), (6, ["T6a", "T6b"]), ("T6", ["T6a", "T6b"]),
     ("6a", ["T6a"]),
     ("T7B", ["T7b"]), ("c1", ["C1"]), ("card", ["C1", "C2"]),
     ("Card", ["C1", "C2"]), ("7a", ["T7a"]), ("c", []), ("99", []), ("../T1", []), ("", [])],
)  # fmt: skip
def test_names(layout, asked, found):
    if found:
        assert tables.names(asked, layout) == found
    else:
        with pytest.raises(UserError, match=r"no table .*Known: T1, T2"):
            tables.names(asked, layout)


def test_a_number_of_two_tables_must_be_made_clear(build):
    with pytest.raises(UserError, match="T6a and T6b"):
        build(6)


@pytest.mark.parametrize("name", ["T1", "T4", "T5"])
def test_best_values_are_those_bold_in_print(build, layout, name):
    table, lay = build(name), layout.tables[name]
    bold = {
        (number, lay.columns[place].key)
        for number, (_, line) in enumerate(lines_of(table, "published"), start=1)
        for place, cell in enumerate(line.cells)
        if cell.best == "best"
    }
    assert bold == set(lay.printed_bold)


def test_second_best_values_are_those_underlined_in_print(build, layout):
    underlined = {
        (number, head.task)
        for number, (_, line) in enumerate(lines_of(build(1), "published"), start=1)
        for head, cell in zip(build(1).heads, line.cells, strict=True)
        if cell.best == "second"
    }
    assert underlined == set(layout.tables["T1"].printed_underline)


def test_every_published_value_is_printed_as_it_stands(build, values, layout):
    for name, rows in values.tables.items():
        printed = [text for _, line in lines_of(build(name), "published") for text in texts(line) if text != "–"]
        assert printed == [value.value for number in sorted(rows) for value in rows[number]]
    assert set(layout.tables) - set(values.tables) == {"T9", "T10", "T11"}


def test_the_lost_table_is_said_to_be_lost_and_shows_what_the_code_does(build):
    table = build("T9")
    assert table.remarks[0] == "Table 9 is lost; what is here is what the released code does."
    rate = lines_of(table, "published")[0][1]
    assert (rate.attributes, texts(rate)) == (("base learning rate",), ["lost", "1e-3"])


def test_settings_stand_beside_what_the_code_does(build):
    table = build("T10")
    assert table.column_groups == (("ssv2", 2), ("k400", 2), ("severe", 2))
    lines = {line.attributes[0]: line for _, line in lines_of(table, "published")}
    assert texts(lines["epochs"]) == ["50", "≠ 40", "75", "≠ 100", "100", "–"]
    assert texts(lines["optimizer momentum"])[:2] == ["lost", "0.9, 0.999"]
    assert texts(lines["random erasing"])[:2] == ["absent", "0.25"]
    assert lines["epochs"].cells[1].source == "SIGMA/scripts_finetune/finetune_ssv2.sh:27"
    assert "not in the paper's table" in [block.label for block in table.blocks]


def test_one_reason_for_a_whole_line_is_of_lines_without_a_measurement_alone(build, measured):
    settings = {line.attributes[0]: line for _, line in lines_of(build("T10"), "published")}
    assert texts(settings["mixup"]) == ["0.8"] * 6
    assert settings["mixup"].reason is None
    (_, missing), *_ = lines_of(build(1, [measured()]), "missing")
    assert missing.reason is not None


def test_a_table_of_many_experiments_has_one_a_line(build):
    table = build("T11")
    assert [heading for heading, _ in table.column_groups] == ["batch size", "learning rate", "epochs", "steps"]
    lines = {line.attributes[0]: line for _, line in lines_of(table, "published")}
    assert texts(lines["domain_shift/ssv2"]) == [
        "32", "32", "0.0001", "0.0001", "45", "≠ 22", "25,35,40", "≠ 12,17,20",
    ]  # fmt: skip
    assert notes(table, lines["standard/ucf101"], 5) == [
        "the file counts epochs over 10 clips per video, 16 x 10 = 160"
    ]


def test_sizes_of_data_sets_stand_beside_what_was_counted(values, layout, build):
    assert lines_of(build("T8")) == []
    assert "Nothing was counted here" in build("T8").remarks[1]
    counts = {
        "severe/ucf_1e3": Counted("ucf101_1000", {"classes": 101, "finetuning_samples": 1010}, {"classes": "a note"}),
        "severe/charades": Counted("charades", {}, {}),
    }
    table = tables.build("T8", [], values, layout, counts=counts)
    ((block, line),) = lines_of(table)
    assert block.label == "Sample efficiency"
    assert texts(line) == ["101", "1010", "–"]
    assert [cell.difference for cell in line.cells] == [0, 10, None]
    assert notes(table, line, 0) == ["a note"]
    ((_, line),) = lines_of(table, "missing")
    assert (line.attributes[0], texts(line)) == ("charades", ["not checked"] * 3)


def test_what_the_paper_does_not_give_is_said(build):
    table = build("T8")
    counting = next(line for _, line in lines_of(table, "published") if line.attributes[0] == "severe/ucf_rc")
    assert texts(counting) == ["–", "421", "105"]
    assert notes(table, counting, 0) == ["not given in the paper"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("T3", "printed parameter count 87 contradicts ViT-S (22 in T2)"),
        ("T13", "87 million parameters in T2"),
        ("T2", "T13 prints 90 million parameters for this row"),
        ("T7a", "equals T6a at 1000 or 2000 prototypes, T7b prints 60.3"),
        ("T5", "the eight columns give 52.025, which rounds to 52.0"),
        ("C2", "the released K400 finetuning script tests 7 clips, not 5"),
    ],
)
def test_contradictions_are_footnotes(build, table, words):
    assert words in build(table).footnotes.texts


def test_every_note_of_a_printed_value_is_told(build, values):
    for name, rows in values.tables.items():
        table = build(name)
        told = " ".join([*table.footnotes.texts, *table.remarks]).lower()
        for value in (value for row in rows.values() for value in row):
            assert all(part.lower() in told for part in printed_notes.parts(value.note)), (name, value)


def test_a_note_marks_what_it_speaks_of(build):
    table = build("T3")
    line = next(line for _, line in lines_of(table, "published") if line.attributes[3] == "ViT-S")
    place = table.attributes.index("Params (M)")
    assert [dict(table.footnotes.items)[mark] for mark in line.marks[place]] == [
        "printed parameter count 87 contradicts ViT-S (22 in T2)"
    ]
    assert line.cells[0].marks == ()


def test_the_card_states_its_views_and_other_views_have_a_block(build, measured):
    row = {"task": "finetune/k400", "evaluator": "finetune", "frames": "16", "value": 81.0}
    table = build("C2", [measured(**row, views="5x3")])
    ((_, line),) = lines_of(table)
    assert line.attributes[3:5] == ("–", "16x5x3")
    assert line.cells[0].difference == pytest.approx(-0.6)
    assert {line.attributes[3:5] for _, line in lines_of(table, "published")} == {("224x224", "16x5x3")}
    ((block, line),) = lines_of(build("C2", [measured(**row, views="7x3, mean of softmax")]))
    assert block.label == "sigma-bench protocol: finetune, 16x7x3 frames x clips x crops"
    assert line.cells[0].difference is None


def test_footnotes_are_lettered_as_they_are_read(build, measured):
    table = build(1, [measured(n_decoded=199, status="partial")])
    met = [
        mark
        for block in table.blocks
        for line in block.lines
        for marks in (*(line.marks[i] for i in sorted(line.marks)), *(cell.marks for cell in line.cells))
        for mark in marks
    ]
    assert list(dict.fromkeys(met)) == [mark for mark, _ in table.footnotes.items]


def test_an_interval_stands_in_the_cell_and_over_seeds_beside_their_deviation(build, measured):
    ends = {"interval_low": 20.04, "interval_high": 22.0}
    ((_, line),) = lines_of(build(1, [measured(**ends)]))
    assert line.cells[0].interval == (20.04, 22.0)
    table = build(1, [measured(**ends)])
    assert "21.0 [20.0, 22.0] (+0.2)" in render.render(table, "md")
    assert "95 % interval" in " ".join(table.remarks)
    ((_, line),) = lines_of(build(1, [measured(**ends), measured(**ends, seed=1)]))
    assert line.cells[0].interval == (20.04, 22.0)
    rows = [measured(value=21.0 + s, interval_low=20.0 + s, interval_high=22.0 + s, seed=s) for s in range(3)]
    assert "22.0 ± 1.0 (n = 3) [19.3, 24.7] (+1.2)" in render.render(build(1, rows), "md")
    ((_, line),) = lines_of(build(1, [measured(**ends), measured(seed=1)]))
    assert line.cells[0].interval is None


def test_a_measured_row_stands_beneath_its_printed_row_with_the_difference(build, measured):
    table = build(1, [measured(value=21.04)])
    block = table.blocks[1]
    assert [line.kind for line in block.lines] == ["published", "missing", "published", "measured"]
    assert block.lines[2].attributes[0] == "sigma w/ DINO"
    assert texts(block.lines[1]) == ["not run"] * 6
    cell = block.lines[3].cells[0]
    assert (cell.text, cell.published) == ("21.0", 20.8)
    assert cell.difference == pytest.approx(0.2)
    assert texts(block.lines[3])[1:] == ["not run"] * 5


@pytest.mark.parametrize(
    "other",
    [{"method": "SIGMA-MLP2"}, {"method": ""}, {"variant": "x"}, {"backbone": "ViT-S"}, {"pretrain_data": "SSv2"},
     {"epochs": "1600"}, {"motion_guidance": "yes"}, {"motion_guidance": ""}],
)  # fmt: skip
def test_each_part_of_the_join_key_counts(build, measured, other):
    ((block, line),) = lines_of(build(1, [measured(**other)]))
    assert block.label == "measured here, no published row"
    assert line.cells[0].difference is None


def test_facts_a_table_does_not_state_fit_and_are_printed(build, measured):
    row = measured(task="seg/davis/clustering", metric="miou", evaluator="segmentation", value=31.0)
    ((block, line),) = lines_of(build(4, [row]))
    assert block.label == "ViT-B"
    assert line.attributes[0] == "sigma_dino (measured; K400, 800 epochs)"
    assert line.cells[1].difference == pytest.approx(0.4)


def test_extra_data_tells_printed_rows_of_one_key_apart(build, measured):
    bevt = {
        "system": "bevt", "method": "BEVT", "backbone": "Swin-B", "epochs": "150", "value": 70.0,
        "task": "finetune/ssv2", "evaluator": "finetune",
    }  # fmt: skip
    ((_, line),) = lines_of(build(13, [measured(**bevt, extra_data="IN-1K+K400+DALL-E")]))
    assert line.cells[0].published == 70.6
    ((block, line),) = lines_of(build(13, [measured(**bevt)]))
    assert block.label == "measured here, no published row"


def test_a_row_of_another_table_does_not_stand_in_this_one(build, measured):
    row = measured(
        task="ablation/mini_ssv2", backbone="ViT-S", pretrain_data="mini SSv2", epochs="800", variant="prototypes=4000",
        evaluator="finetune",
    )  # fmt: skip
    assert lines_of(build("6a", [row])) == []
    ((_, line),) = lines_of(build("6b", [row]))
    assert line.cells[0].published == 63.0


@pytest.mark.parametrize(("evaluator", "profile"), [("linear", ""), ("linear", "released"), ("knn", "")])
def test_linear_probing_of_another_protocol_has_a_block_and_no_difference(build, measured, evaluator, profile):
    ((block, line),) = lines_of(build(1, [measured(evaluator=evaluator, profile=profile)]))
    name = f"{evaluator}, profile {profile}" if profile else evaluator
    assert block.label == f"sigma-bench protocol: {name}"
    assert line.cells[0].text == "21.0"
    assert line.cells[0].difference is None
    assert line.cells[0].published is None


def test_other_tasks_compare_only_profiles_of_the_paper(build, measured):
    row = {"task": "finetune/k400", "evaluator": "finetune", "value": 81.0}
    for profile in ("", "paper", "released"):
        ((_, line),) = lines_of(build(3, [measured(**row, profile=profile)]))
        assert line.cells[0].difference == pytest.approx(-0.6)
    ((block, line),) = lines_of(build(3, [measured(**row, profile="quick")]))
    assert block.label == "sigma-bench protocol: finetune, profile quick"
    assert line.cells[0].difference is None


def test_an_overridden_setting_is_a_protocol_of_its_own(build, measured):
    row = {"task": "finetune/k400", "evaluator": "finetune", "value": 81.0}
    ((block, line),) = lines_of(build(3, [measured(**row, marks=["setting train.epochs=3", "other"])]))
    assert block.label == "sigma-bench protocol: finetune, train.epochs=3"
    assert line.cells[0].difference is None
    assert notes(build(3, [measured(**row, marks=["setting x=3", "other"])]), line, 0) == ["other"]


@pytest.mark.parametrize(("decoded", "text"), [(198, "21.0"), (197, "partial 98 %"), (1, "partial 0 %")])
def test_under_99_percent_decoded_is_refused(build, measured, decoded, text):
    table = build(1, [measured(n_decoded=decoded, status="partial", value_missing_wrong=20.0)])
    ((_, line),) = lines_of(table)
    assert line.cells[0].text == text
    assert (line.cells[0].value is None) == text.startswith("partial")
    assert f"{decoded} of 200 test samples decoded" in notes(table, line, 0)[0]


def test_a_failure_is_named_and_a_value_survives_a_failed_repetition(build, measured):
    failed = measured(status="failed", value=None, n_decoded=0, error="CUDA out of memory\ntrace")
    table = build(1, [failed])
    ((_, line),) = lines_of(table)
    assert texts(line)[0] == "failed"
    assert notes(table, line, 0) == ["failed: CUDA out of memory"]
    ((_, line),) = lines_of(build(1, [measured(), failed]))
    assert texts(line)[0] == "21.0"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task_version": 2}, "task version"),
        ({"settings_sha256": "7" * 64}, "settings of the task changed"),
        ({"test_sha256": "7" * 64}, "another test list"),
        ({"limit": 50}, "limited to 50 test samples"),
        ({"marks": ["chosen on the test set"]}, "chosen on the test set"),
    ],
)
def test_rows_of_other_conditions_in_a_column_carry_a_mark(build, measured, fields, words):
    mlp = {"system": "sigma_mlp", "method": "SIGMA-MLP"}
    table = build(1, [measured(**mlp), measured(), measured(system="third", variant="x", **fields)])
    marked = [note for _, line in lines_of(table) for note in notes(table, line, 0)]
    assert len(marked) == 1
    assert words in marked[0]
    table = build(1, [measured(**mlp), measured()])
    assert [line.cells[0].marks for _, line in lines_of(table)] == [(), ()]


def test_profiles_that_share_a_column_are_marked(build, measured):
    row = {"task": "finetune/k400", "evaluator": "finetune"}
    rows = [
        measured(**row, profile="paper"),
        measured(**row, system="sigma_mlp", method="SIGMA-MLP", profile="released"),
    ]
    table = build(3, rows)
    assert sum(bool(line.cells[0].marks) for _, line in lines_of(table)) == 1
    assert "profile paper, the column has released" in table.footnotes.texts


def test_a_limited_value_is_never_the_best_nor_compared(build, measured):
    mlp = {"system": "sigma_mlp", "method": "SIGMA-MLP"}
    table = build(1, [measured(**mlp, value=90.0, limit=9), measured(value=20.0)])
    cells = [line.cells[0] for _, line in lines_of(table)]
    assert [(c.best, c.difference is None) for c in cells] == [("", True), ("", False)]
    cells = [line.cells[0] for _, line in lines_of(build(1, [measured(**mlp, value=90.0), measured(value=20.0)]))]
    assert [c.best for c in cells] == ["best", "second"]


def test_measurements_under_other_conditions_are_never_averaged(build, measured):
    rows = [
        measured(value=10.0, task_version=1),
        measured(value=20.0, task_version=2, seed=0),
        measured(value=22.0, task_version=2, seed=1),
        measured(value=99.0, limit=5),
    ]
    table = build(1, rows)
    ((_, line),) = lines_of(table)
    cell = line.cells[0]
    assert (cell.text, cell.count) == ("21.0", 2)
    assert cell.spread == pytest.approx(2**0.5)
    assert notes(table, line, 0) == ["2 measurements under other conditions left out"]


SEVERE = {
    "severe/ssv2": ("top1", 70.0), "severe/gym99": ("top1", 80.0), "severe/ucf_1e3": ("top1", 70.0),
    "severe/gym_1e3": ("top1", 30.0), "severe/fx_s1": ("mean_class_acc", 40.0),
    "severe/ub_s1": ("mean_class_acc", 60.0),
    "severe/ucf_rc": ("mean_count_error", 0.2), "severe/charades": ("map", 20.0),
}  # fmt: skip


def test_the_mean_of_severe_needs_all_eight(build, measured):
    rows = [measured(task=t, metric=m, value=v, evaluator="finetune") for t, (m, v) in SEVERE.items()]
    ((_, line),) = lines_of(build(5, rows))
    assert texts(line)[-3:] == ["0.200", "20.0", "56.2"]
    assert line.cells[-1].difference == pytest.approx(56.2 - 64.3)
    table = build(5, rows[:-1])
    ((_, line),) = lines_of(table)
    assert texts(line)[-1] == "–"
    assert notes(table, line, -1) == ["needs all 8 columns, 7 measured"]


def test_lower_counting_errors_are_better(build, measured):
    rc = {"task": "severe/ucf_rc", "metric": "mean_count_error", "evaluator": "counting"}
    mlp = {"system": "sigma_mlp", "method": "SIGMA-MLP"}
    found = [
        line.cells[6].best
        for _, line in lines_of(build(5, [measured(**rc, **mlp, value=0.3), measured(**rc, value=0.2)]))
    ]
    assert found == ["second", "best"]


@pytest.mark.parametrize("data", ["miniature", "custom"])
def test_other_data_never_stand_in_a_table_of_the_paper(build, layout, measured, data):
    rows = [measured(data=data, value=99.0), measured(data=data, task="controls/motion", value=98.0)]
    for name in layout.tables:
        assert lines_of(build(name, rows)) == []


def test_miniatures_have_tables_of_their_own(layout, measured):
    mini = {"data": "miniature", "evaluator": "linear", "method": "", "suite": "quick"}
    rows = [
        measured(**mini, system=system, task=task, value=base + seed, seed=seed)
        for system, base in (("videomae", 50.0), ("sigma_mlp", 60.0), ("random", 40.0))
        for task in ("controls/motion", "controls/category_8", "linear/ucf101")
        for seed in range(3)
    ]
    official = measured(task="linear/ucf101", value=77.0)
    controls, linear = tables.miniature([*rows, official], layout)
    assert {controls.title, linear.title} == {MINIATURE_TITLE}
    assert [head.task for head in controls.heads] == ["controls/category_8", "controls/motion"]
    assert [line.attributes[0] for line in linear.blocks[0].lines] == ["random", "videomae", "sigma_mlp"]
    cells = [line.cells[0] for line in linear.blocks[0].lines]
    assert [(c.text, c.spread, c.count, c.best) for c in cells] == [
        ("41.0", 1.0, 3, ""), ("51.0", 1.0, 3, ""), ("61.0", 1.0, 3, "best"),
    ]  # fmt: skip
    assert "41.0 ± 1.0 (n = 3)" in render.render(linear, "md")
    assert "77" not in render.render(linear, "md")
    assert linear.remarks[0].startswith("Mean ± standard deviation over seeds")
    assert linear.remarks[0].endswith("; n = 3.")


def test_suites_take_the_rows_of_their_tasks_whichever_suite_measured_them(layout, measured):
    known = {name: load.suite(name) for name in ("quick", "linear")}
    rows = [
        measured(task="linear/ucf101", suite="linear", value=41.0),
        measured(task="controls/motion", suite="quick", value=42.0),
        measured(task="mine/a", suite="tasks", value=43.0),
        measured(task="linear/ucf101", suite="linear", value=99.0, data="miniature"),
    ]
    tables = own.suites(stacked(rows), layout, "official", known)
    texts = {t.name: [c.text for b in t.blocks for line in b.lines for c in line.cells if c.value] for t in tables}
    assert texts == {
        "official_suite_quick": ["42.0", "41.0"],
        "official_suite_linear": ["41.0"],
        "official_suite_tasks": ["43.0"],
    }
    assert [head.heading for table in tables[:2] for head in table.heads] == [
        *("controls/motion top1", "linear/ucf101 top1", "ucf101 top1")
    ]
    assert [table.name for table in own.suites(stacked(rows), layout, "miniature", known)] == ["miniature_suite_linear"]


def test_a_column_of_a_miniature_is_the_metric_the_paper_prints(layout, measured):
    mini = {"data": "miniature", "evaluator": "linear"}
    rows = [measured(**mini, task="linear/ucf101", metric=metric) for metric in ("top1", "top5")]
    rows += [measured(**mini, task="linear/mine", metric="top5")]
    (table,) = tables.miniature(rows, layout)
    assert [(head.task, head.metric) for head in table.heads] == [("linear/mine", "top5"), ("linear/ucf101", "top1")]


@pytest.mark.parametrize(("data", "joins"), [("K400", True), ("SSv2", True), ("mini SSv2", False)])
def test_unsaid_pretraining_data_are_never_those_of_the_ablations(values, make_row, data, joins):
    row = make_row(
        method="VideoMAE", backbone="ViT-S", pretrain_data=data, epochs="800", motion_guidance="no", data="official"
    )
    fitting = [value for value in values.values if value.table == "T4" and matching.fits(row, value)]
    assert all(not value.pretrain_data for value in fitting)
    assert bool(fitting) is joins


def test_votes_of_neighbours_stand_beside_the_probe_of_a_miniature_and_in_no_table_of_the_paper(
    build, layout, measured
):
    vote = {"task": "linear/ucf101", "metric": "knn_top1", "evaluator": "knn", "profile": "knn", "value": 99.9}
    assert lines_of(build("T1", [measured(**vote, data="official")])) == []
    rows = [measured(data="miniature", **vote), measured(data="miniature", evaluator="linear", task="linear/ucf101")]
    (table,) = tables.miniature(rows, layout)
    assert [block.label for block in table.blocks] == ["protocol: knn, profile knn", "protocol: linear"]
    assert [head.metric for head in table.heads] == ["knn_top1", "top1"]
