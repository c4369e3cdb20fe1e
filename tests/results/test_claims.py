"""The claims of the paper: what its own tables say of them, and what measured values do."""

import csv
import io
import json
import runpy
import sys

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results import claims_text, published
from sigma_bench.results.claims import judge
from sigma_bench.spec import load

BEYOND = {"FT-caption", "P-omnimae", "P-mlp"}
"""Claims that the reference list does not have."""
NOT_SUPPORTED = {
    *("T1-dino", "T1-mvd", "T1-mgm", "FT-epochs", "T4-mlp", "T4-dino-s", "T5-mgm", "T5-mvd-mean", "T5-ssv2"),
    *("T7-deeper", "T7-consistent", "T7-params", "D-mlp", "D-dino", "P-vits", "S-k400", "S-scale"),
    *("P-omnimae", "P-mlp"),
}
EVALUATORS = {"linear": "linear_released", "finetune": "finetune", "severe": "finetune", "seg": "segmentation"}
PLAIN = {"system", "method", "variant", "backbone", "pretrain_data", "epochs", "motion_guidance"}


@pytest.fixture(scope="module")
def values(published_dir):
    return published.read(published_dir)


@pytest.fixture(scope="module")
def verdicts(values):
    """Judge the claims with measured rows; return name -> judged."""
    return lambda *rows: {one.name: one for one in judge(load.claims(), rows, values, load.layout())}


@pytest.fixture(scope="module")
def as_printed(values, make_row):
    """Measured rows that repeat a printed table; `but` replaces the values of some (method, task)."""

    def make(table, but=None, **fields):
        rows = []
        for number, cells in values.tables[table].items():
            for cell in (c for c in cells if c.metric != "mean"):
                facts = {name: getattr(cell, name) for name in PLAIN - {"system"}}
                rows.append(
                    make_row(
                        **{
                            **facts,
                            "system": f"{cell.method} {number}",
                            "checkpoint_sha256": f"{number:064x}",
                            "task": cell.task,
                            "metric": cell.metric,
                            "evaluator": EVALUATORS[cell.task.partition("/")[0]],
                            "value": (but or {}).get((cell.method, cell.task), cell.number),
                            **fields,
                        }
                    )
                )
        return rows

    return make


def test_the_unsupported_claims_are_the_known_ones(verdicts):
    found = verdicts()
    assert {name for name, one in found.items() if one.published.verdict != "holds"} == NOT_SUPPORTED
    assert {one.published.verdict for one in found.values()} == {"holds", "does not hold"}
    assert {one.measured.verdict for one in found.values()} == {"not testable"}


def test_claims_and_verdicts_are_those_of_the_reference_list(verdicts, shared, monkeypatch):
    folder = shared / "published"
    monkeypatch.setattr(sys, "argv", ["check_published.py"])
    reference = runpy.run_path(str(folder / "check_published.py"))
    known = {
        claim[0]: claim[4] for claim in reference["claims"](reference["Cells"](reference["load"]("published.csv")))
    }
    found = {name: one.published.verdict == "holds" for name, one in verdicts().items()}
    assert {name: found[name] for name in known} == known
    assert set(found) - set(known) == BEYOND
    assert {n for n, one in verdicts().items() if one.claim.source == "tables"} - BEYOND == reference["BETWEEN"]


@pytest.mark.parametrize(
    ("name", "stated", "computed"),
    [
        ("T1-mlp", "+4.5", "+4.52"),
        ("T1-dino", "+16.8", "+16.73"),
        ("T1-mvd", "", "5 of 6"),
        ("FT-mlp", "", "+0.77"),
        ("T4-mlp", "+1.5", "+0.55, +1.37, +0.88, +3.62"),
        ("T4-mgm", "+2 to +5", "+1.7 to +5.0"),
        ("T5-fx", "+12.3", "+12.30"),
        ("T5-rc", "", "0.169"),
        ("T5-mvd-mean", "52.1", "52.025"),
        ("T7-params", "3 M, 1 M, 6 M", "2.89 M, 1.84 M, 7.87 M"),
        ("D-mlp", "+0.8, +1.3", "+1.30, +0.80"),
        ("S-k400", "", "240,000, 306,245"),
    ],
)
def test_numbers_stated_and_recomputed(verdicts, name, stated, computed):
    one = verdicts()[name]
    assert (one.printed, one.published.number) == (stated, computed)


def test_measured_values_that_repeat_the_tables_give_the_same_verdicts(verdicts, as_printed):
    rows = [row for table in ("T1", "T2", "T12", "T4", "T5") for row in as_printed(table)]
    found = verdicts(*rows)
    tested = {n for n, one in found.items() if one.measured.verdict != "not testable"}
    assert {n for n in tested if found[n].measured.verdict != found[n].published.verdict} == set()
    assert {n for n in tested if found[n].measured.number != found[n].published.number} == set()
    about_print = {"T1-mgm", "T5-mgm", "T5-mvd-mean", "FT-epochs", "FT-caption", "P-vits", "P-omnimae", "P-mlp"}
    ablations = {"T6-peak", "T6-vm", "T7-base", "T7-deeper", "T7-consistent", "T7-params", "T7-l2"}
    assert set(found) - tested == about_print | ablations | {"S-k400", "S-ten", "T5-ssv2"}
    assert "finetune/ssv2 of MVD ViT-B (not measured)" in found["T5-ssv2"].measured.reason  # a row of T13 alone


@pytest.mark.parametrize(
    ("table", "but", "flipped"),
    [
        ("T1", {("SIGMA-MLP", "linear/ssv2"): 17.0}, {"T1-mlp", "T1-all"}),
        ("T1", {("MVD", "linear/in1k"): 15.0}, {"T1-mvd"}),
        ("T1", {("SIGMA-DINO", "linear/k400"): 47.9}, {"T1-dino"}),  # 47.9 makes the lead 16.8
        ("T5", {("VideoMAE", "severe/fx_s1"): 43.0}, {"T5-fx"}),
        ("T5", {("VideoMAE", "severe/ucf_rc"): 0.168}, {"T5-rc"}),  # a smaller error is better
        ("T5", {("SVT", "severe/charades"): 23.0}, {"T5-charades"}),
        ("T5", {("MGMAE", "severe/ub_s1"): 99.9, ("MGMAE", "severe/ssv2"): 75.0}, {"T5-fine", "T5-mean"}),
        ("T4", {("MGMAE", "seg/ytvos/clustering"): 30.0}, {"T4-dino-b", "T4-mgm", "T4-mlp"}),
    ],
)
def test_other_measured_values_flip_the_verdicts_they_bear_on(verdicts, as_printed, table, but, flipped):
    found = verdicts(*as_printed(table, but))
    tested = {n: one for n, one in found.items() if one.measured.verdict != "not testable"}
    changed = {n for n, one in tested.items() if one.measured.verdict != one.published.verdict}
    assert changed == flipped
    assert {one.published.verdict for one in found.values()} == {"holds", "does not hold"}  # print is left alone


def test_a_missing_cell_makes_what_needs_it_not_testable(verdicts, as_printed):
    rows = [r for r in as_printed("T1") if (r.method, r.task) != ("MME", "linear/hmdb51")]
    found = verdicts(*rows)
    for name in ("T1-mlp", "T1-dino", "T1-all", "T1-mvd"):
        assert found[name].measured.verdict == "not testable"
        assert found[name].measured.reason == "missing: linear/hmdb51 of MME (not measured)"
        assert found[name].measured.number == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data": "miniature"}, "not measured"),
        ({"data": "custom"}, "not measured"),
        ({"evaluator": "linear"}, "not measured"),  # a protocol of our own
        ({"limit": 40}, "limited to 40 test samples"),
        ({"n_decoded": 100, "status": "partial"}, "partial 50 %"),
        ({"value": None, "status": "failed", "error": "boom"}, "failed"),
    ],
)
def test_only_complete_official_values_of_the_papers_protocol_count(verdicts, as_printed, fields, reason):
    found = verdicts(*as_printed("T1", **fields))
    assert found["T1-mlp"].measured.verdict == "not testable"
    assert f"linear/ssv2 of SIGMA-MLP ({reason})" in found["T1-mlp"].measured.reason


def test_values_of_different_test_lists_are_not_compared(verdicts, as_printed):
    rows = [r.model_copy(update={"test_sha256": "e" * 64}) if r.method == "MVD" else r for r in as_printed("T1")]
    assert "one version, profile and test list for linear/ssv2" in verdicts(*rows)["T1-mlp"].measured.reason


def test_one_test_that_fails_refutes_a_claim_whatever_is_missing(verdicts, as_printed):
    rows = as_printed("T4") + [r for r in as_printed("T2") if r.backbone == "ViT-S"]
    assert verdicts(*rows)["S-scale"].measured.verdict == "does not hold"


def test_of_several_systems_for_a_printed_row_the_fullest_counts(verdicts, as_printed):
    extra = [
        row.model_copy(update={"system": "late", "epochs": "1600", "value": 99.0, "checkpoint_sha256": "9" * 64})
        for row in as_printed("T5")
        if (row.method, row.task) == ("VideoMAE", "severe/fx_s1")
    ]
    assert verdicts(*as_printed("T5"), *extra)["T5-fx"].measured.number == "+12.30"


def test_a_claim_names_what_exists(tmp_path, values):
    text = (
        "version: 1\nclaims:\n  T1-x:\n    where: here\n    says: so\n"
        "    tests: [{kind: gain, table: T1, of: OF, over: [MVD], COLUMNSprinted: '1'}]\n"
    )
    for of, columns, said in (
        ("SIGMA", "", "no row of T1 is 'SIGMA'"),
        ("K400", "", "'K400' is 6 rows of T1"),
        ("SIGMA-MLP", "columns: [linear/x], ", "T1 has no column linear/x"),
    ):
        (tmp_path / "c.yaml").write_text(text.replace("OF", of).replace("COLUMNS", columns))
        with pytest.raises(UserError, match=said):
            judge(load.claims_file(tmp_path / "c.yaml"), [], values, load.layout())
    (tmp_path / "c.yaml").write_text(text.replace("COLUMNSprinted: '1'", "tolerance: 0.1"))
    with pytest.raises(UserError, match="give either printed, the number, or above"):
        load.claims_file(tmp_path / "c.yaml")


def test_the_three_formats_tell_the_same(verdicts, as_printed):
    judged = list(verdicts(*as_printed("T1")).values())
    text = claims_text.render(judged, "md")
    assert "Of 41 sentences of the text and captions, 12 do not hold by the paper's own tables: T1-dino" in text
    assert "Of 7 numbers that should agree between tables or parts, 7 do not hold" in text
    assert "By values measured here: 2 hold, 2 do not" in text
    line = next(line for line in text.splitlines() if line.startswith("| T1-mlp"))
    assert "| +4.5 | +4.52 | holds | +4.52 | holds |" in line
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("| ") and "*" not in line}) == 1
    from_json = json.loads(claims_text.render(judged, "json"))
    assert from_json == list(csv.DictReader(io.StringIO(claims_text.render(judged, "csv"))))
    assert {r["claim"] for r in from_json if r["published_verdict"] == "does not hold"} == NOT_SUPPORTED
    with pytest.raises(UserError, match="written as md, csv, json, found --format tex"):
        claims_text.render(judged, "tex")
