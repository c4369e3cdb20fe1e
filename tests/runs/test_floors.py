"""Floors are measured beside every encoder, once."""

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.miniatures import davis
from sigma_bench.results.store import Store
from sigma_bench.runs import floors
from sigma_bench.runs.evaluate import evaluate
from sigma_bench.runs.request import Request
from sigma_bench.spec import load


def test_floors_are_those_the_tasks_name():
    tasks = [
        load.task("linear/ucf101"),
        load.task("seg/davis/clustering", sets=["segmentation.floors=[random_labels]"]),
    ]
    tasks.append(load.task("seg/ytvos/clustering"))
    found = {system.description["system"]: [task.id for task in of] for system, of in floors.beside(tasks)}
    assert found["floor:random_labels"] == ["seg/davis/clustering", "seg/ytvos/clustering"]
    assert found["floor:all_background"] == ["seg/ytvos/clustering"]
    assert len(found) == 4
    assert floors.beside(tasks[:1]) == []
    assert len({system.sha256 for system, _ in floors.beside(tasks)}) == 4
    with pytest.raises(UserError, match="no floor 'none'"):
        floors.floor("none")


def test_they_have_rows_beside_the_encoder_and_are_measured_once(tmp_path, capsys):
    davis.write(tmp_path / "data" / "davis", val=2, train=1, size_px=32)
    request = Request(
        checkpoints=["random:nano"],
        tasks=["seg/davis/clustering"],
        data="miniature",
        data_root=tmp_path / "data",
        out=tmp_path / "out",
        results=tmp_path / "rows",
        sets=["segmentation.floors=[all_background,pixel_colours]", "segmentation.reduce=[none]"],
        workers=1,
    )
    assert evaluate(request) == 0
    rows = {row.system: row for row in Store(tmp_path / "rows").read() if row.metric == "miou"}
    assert set(rows) == {"random:nano", "floor:all_background", "floor:pixel_colours"}
    for name, row in rows.items():
        assert (row.family == "floor") == name.startswith("floor:")
        assert row.method == ""
        assert (row.train_sha256, row.train_count, row.train_present) == ("", 0, None)
        assert row.artifacts["samples"].endswith(".parquet")
    assert len({row.settings_sha256 for row in rows.values()}) == 1
    assert len({row.test_sha256 for row in rows.values()}) == 1
    capsys.readouterr()
    count = len(list(Store(tmp_path / "rows").read()))
    assert evaluate(request) == 0
    assert len(list(Store(tmp_path / "rows").read())) == count
    assert "has a row, skipped" in capsys.readouterr().err + capsys.readouterr().out
