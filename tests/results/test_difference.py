"""What explains that two rows differ."""

import pytest

from sigma_bench.results import difference, settings
from sigma_bench.results.row import Row


def test_every_column_belongs_to_one_group():
    groups = [*difference.EXPLAINS.values(), difference.FOUND, difference.NAMES, difference.IDLE]
    assert sorted(name for names in groups for name in names) == sorted(Row.model_fields)


@pytest.mark.parametrize(
    ("fields", "groups"),
    [
        ({"checkpoint_sha256": "d" * 64}, ["weights"]),
        ({"task_version": 2}, ["task and settings"]),
        ({"limit": 7}, ["task and settings"]),
        ({"test_sha256": "d" * 64}, ["lists"]),
        ({"decoder_version": "2"}, ["decoder"]),
        ({"precision": "bf16"}, ["precision"]),
        ({"torch_version": "9", "device": "x"}, ["package, torch and device"]),
        ({"seed": 4}, ["seed"]),
        ({"value": 3.0, "seconds": 4.0, "suite": "x", "measured_at": "2030-01-01T00:00:00.000000Z"}, []),
        ({"seed": 4, "system": "renamed", "epochs": "800", "source": "hf://x"}, ["seed"]),
        ({"checkpoint_sha256": "d" * 64, "system": "renamed"}, ["weights"]),
        ({"family": "mvd", "frames": "8"}, ["reading of the checkpoint"]),
        ({"selection": {"rate": 1}}, ["settings chosen on held-out data"]),
    ],
)
def test_groups(make_row, fields, groups, tmp_path):
    one, other = make_row(), make_row(**fields)
    other = other if "measured_at" in fields else other.model_copy(update={"measured_at": one.measured_at})
    assert list(difference.differences(one, other)) == groups
    lines = list(difference.report(one, other, tmp_path))
    for name, value in fields.items():
        value = "1" if name == "selection" else value
        assert any(line.startswith(f"  {name}: ") and line.endswith(f"| {value}") for line in lines)
    if groups:
        assert f"what differs and explains a number: {', '.join(groups)}" in lines
        assert next(line for line in lines if line.startswith("the same: ")).count(groups[0]) == 0
    else:
        assert any("chance" in line for line in lines)
        assert "B - A  -18" in lines
        assert any(line.startswith("no matter") for line in lines)


def test_settings_are_compared_key_by_key(make_row, tmp_path):
    first = {"id": "t", "probe": {"rates": [0.1, 1.0], "epochs": 30}, "views": {"test_clips": 2}}
    second = {"id": "t", "probe": {"rates": [0.1], "epochs": 30}, "views": {"test_clips": 2}, "heads": 3}
    rows = [make_row(settings_sha256=settings.sha256_of(content)) for content in (first, second)]
    settings.save(tmp_path, first, "id: t\n")
    lines = list(difference.report(*rows, tmp_path))
    assert any("settings of B were not kept" in line for line in lines)
    settings.save(tmp_path, second, "id: t\n")
    lines = [line for line in difference.report(*rows, tmp_path) if line.startswith("  setting: ")]
    assert lines == ["  setting: probe.rates: [0.1, 1.0] | [0.1]", "  setting: heads: (not there) | 3"]


def test_nested_cells_are_compared_inside(make_row, tmp_path):
    one = make_row(selection={"chosen": [{"rate": 0.1, "grid": [[1, 2]]}]})
    other = make_row(selection={"chosen": [{"rate": 0.3, "grid": [[1, 2]]}]})
    lines = list(difference.report(one, other, tmp_path))
    assert "  selection: chosen.0.rate: 0.1 | 0.3" in lines
    assert not any("grid" in line for line in lines)
    nested = {"a": {}, "b": [], "c": [1], "d": [{"e": None}]}
    assert difference.flat(nested) == {"a": {}, "b": [], "c": [1], "d.0.e": None}
