"""What a row accepts, and what its key is made of."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from sigma_bench.results.row import Key, Row

BELONGS_TO_DESIGN = """
system method variant backbone pretrain_data epochs extra_data motion_guidance frames
params_m checkpoint_sha256 family suite task task_version evaluator profile selection
settings_sha256 train_count train_sha256 test_count test_sha256 views metric value seed
n_expected n_present n_decoded limit data decoder decoder_version precision package_version
git_commit torch_version device seconds status error marks artifacts
"""


def test_schema_version_is_the_first_column_and_every_field_is_documented():
    assert next(iter(Row.model_fields)) == "schema_version"
    assert set(BELONGS_TO_DESIGN.split()) <= set(Row.model_fields)
    undocumented = [n for n, f in Row.model_fields.items() if not f.description and n not in ("schema_version",)]
    assert undocumented == []


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("checkpoint_sha256", "f" * 64),
        ("task", "linear/k400"),
        ("task_version", 2),
        ("settings_sha256", "6" * 64),
        ("seed", 1),
        ("train_sha256", "e" * 64),
        ("test_sha256", "e" * 64),
        ("limit", 10),
        ("metric", "top5"),
    ],
)
def test_each_part_of_the_key_makes_another_measurement(make_row, field, other):
    assert make_row(**{field: other}).key != make_row().key
    assert field in Key._fields


@pytest.mark.parametrize("field", ["value", "suite", "system", "device", "measured_at", "decoder"])
def test_what_is_not_in_the_key_leaves_it_alone(make_row, field):
    other = {
        "value": 3.0, "suite": "x", "system": "x", "device": "x", "decoder": "x",
        "measured_at": "2030-01-01T00:00:00.000000Z",
    }[field]  # fmt: skip
    assert make_row(**{field: other}).key == make_row().key


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": float("nan")},
        {"value": None},
        {"status": "failed"},
        {"status": "fine"},
        {"n_decoded": 201},
        {"n_present": 201},
        {"n_decoded": 199},
        {"data": "mini"},
        {"checkpoint_sha256": "abc"},
        {"limit": 0},
        {"seed": "0"},
        {"task_version": 1.5},
        {"unheard_of": 1},
        {"selection": {"rate": float("inf")}},
        {"selection": {"rate": object()}},
        {"schema_version": 2},
    ],
)
def test_incoherent_rows_are_refused(make_row, wrong):
    with pytest.raises(ValidationError):
        make_row(**wrong)


def test_a_message_of_any_length_and_encoding_never_loses_a_failed_row(make_row):
    row = make_row(status="failed", value=None, n_decoded=0, error="\udcff" + "x" * 100_000)
    assert row.error.startswith("\\udcff")
    assert row.error.endswith("[cut]")
    assert len(row.error) <= 20_000


def test_id_is_a_plain_file_name_that_tells_repetitions_apart(make_row):
    first, second = make_row(), make_row(measured_at="2030-01-01T00:00:00.000000Z")
    assert first.id != second.id
    assert first.id.startswith("linear-ssv2-top1-")
    assert "/" not in make_row(task="../../etc/passwd").id


@pytest.mark.parametrize("text", ["linear/ssv2", "50 %s %%", 'a "b" \\ c', "\u00e9\u2713\u2028", "\x00"])
@pytest.mark.parametrize("limit", [None, 10])
def test_the_digest_is_that_of_key_and_time_as_json(make_row, text, limit):
    row = make_row(task=text, metric=text, limit=limit, seed=-3)
    whole = json.dumps([*row.key, row.measured_at])
    assert row.digest == hashlib.sha256(whole.encode()).hexdigest()[:16]


def test_a_time_is_written_in_ascii_digits(make_row):
    with pytest.raises(ValidationError, match="measured_at"):
        make_row(measured_at="\u0662\u0660\u0662\u0666-01-01T00:00:00.000000Z")
