"""`results bundle` with the real tables, and what it refuses."""

import zipfile
from pathlib import Path

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs import bundle

SOUND = {
    "suite": "quick", "task_version": 1, "evaluator": "linear", "metric": "top1", "settings_sha256": "5" * 64,
    "checkpoint_sha256": "a" * 64, "data": "miniature", "status": "ok", "value": 20.0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rows = [Row(system="mine", task=task, **SOUND) for task in ("linear/ucf101", "controls/motion")]
    Store(tmp_path / "my rows").append("quick", rows)
    return tmp_path / "my rows"


def test_a_bundle_of_a_folder_is_sound_and_unpacks_into_a_folder_of_rows(folder, tmp_path):
    lines = bundle.pack(folder, tmp_path / "b.zip", None)
    assert "2 rows, 0 files of samples" in lines[-1]
    lines, code = bundle.check(tmp_path / "b.zip", tmp_path / "un packed")
    assert code == 0
    assert lines[0].endswith("2 rows, the records of 0 give their value: as packed")
    assert [row.task for row in Store(tmp_path / "un packed" / "rows").read()] == ["linear/ucf101", "controls/motion"]
    assert (tmp_path / "un packed" / "tables" / "miniature_linear.md").is_file()
    again = bundle.pack(folder, tmp_path / "b.zip", None)  # a bundle may be replaced
    assert again[-1] == bundle.pack(folder, tmp_path / "b.zip", None)[-1]


def test_a_suite_stands_for_its_tasks(folder, tmp_path):
    assert "1 rows" in bundle.pack(folder, tmp_path / "b.zip", "linear")[-1]
    with pytest.raises(UserError, match="--suite none: no such suite"):
        bundle.pack(folder, tmp_path / "c.zip", "none")


def test_another_file_is_never_replaced(folder, tmp_path):
    for name in ("notes.zip", "folder.zip"):
        (tmp_path / name).mkdir() if name == "folder.zip" else (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="is no bundle of results"):
            bundle.pack(folder, tmp_path / name, None)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as packed:
        packed.writestr("a.txt", "mine")
    with pytest.raises(UserError, match="is no bundle of results"):
        bundle.pack(folder, tmp_path / "photos.zip", None)
    assert (tmp_path / "notes.zip").read_text() == "mine"


def test_faulty_places_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match="no such folder; name the one that holds the row files"):
        bundle.pack(tmp_path / "none", tmp_path / "b.zip", None)
    with pytest.raises(UserError, match="no such folder; make it"):
        bundle.pack(folder, tmp_path / "none" / "b.zip", None)
    with pytest.raises(UserError, match=r"ends in \.zip or"):
        bundle.pack(folder, tmp_path / "b.csv", None)
    with pytest.raises(UserError, match="not empty; name a new folder"):
        bundle.check(tmp_path / "b.zip", folder)


def test_a_faulty_bundle_is_not_unpacked(folder, tmp_path):
    bundle.pack(folder, tmp_path / "b.zip", None)
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as packed:
        packed.writestr("sigma-bench-results/more.txt", "more")
    lines, code = bundle.check(tmp_path / "b.zip", tmp_path / "out")
    assert code == 1
    assert lines[0] == "problem: more.txt: is not in SHA256SUMS"
    assert lines[-1].startswith("not unpacked into")
    assert not (tmp_path / "out").exists()


def test_names_of_user_and_machine_are_known_and_the_environment_names_neither():
    assert Path.home().name in bundle._names()
    found = bundle.environment()
    assert found["packages"]["numpy"]
    assert "pytest" not in found["packages"]
    assert not {"node", "user", "path"} & found.keys()
