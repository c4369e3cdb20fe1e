"""`sigma-bench results`: what it prints, and its exit codes."""

import json

import pytest

from sigma_bench.cli import main
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store


@pytest.fixture
def rows():
    sound = {
        "suite": "quick", "task": "linear/ucf101", "task_version": 1, "evaluator": "linear", "metric": "top1",
        "settings_sha256": "5" * 64, "checkpoint_sha256": "a" * 64, "data": "miniature", "status": "ok",
    }  # fmt: skip
    return [Row(system=name, value=10.0 * n, seed=n, **sound) for n, name in enumerate(("sigma_mlp", "videomae"))]


@pytest.fixture
def run(capfd):
    """Run a command; return exit code, output and errors."""

    def command(*arguments):
        code = 0
        try:
            main(["results", *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


def test_list_names_rows_and_damaged_lines(tmp_path, rows, run):
    file = Store(tmp_path).append("quick", rows)
    with open(file, "ab") as stream:
        stream.write(b"<<<<<<<\n")
    code, out, err = run("list", "--results", tmp_path)
    assert code == 0
    assert [line.split()[3] for line in out.splitlines()[1:]] == ["sigma_mlp", "videomae"]
    assert err.strip() == f"not read: {file}:4: 1 cells under {len(Row.model_fields) + 1} columns (torn or edited)"
    code, out, _ = run("list", "--results", tmp_path, "--system", "v*", "--json")
    found = json.loads(out)
    assert [row["system"] for row in found["rows"]] == ["videomae"]
    assert found["problems"][0]["line"] == 4
    assert run("list", "--results", tmp_path, "--task", "seg")[:2] == (0, "no such row\n")


def test_show_and_diff_take_the_beginning_of_an_id(tmp_path, rows, run):
    Store(tmp_path).append("quick", rows)
    first, second = (row.id.rpartition("-")[2] for row in rows)
    code, out, _ = run("show", first[:12], "--results", tmp_path)
    assert code == 0
    assert out.startswith(rows[0].id)
    code, out, _ = run("diff", first, second, "--results", tmp_path)
    assert code == 0
    assert "what differs and explains a number: seed" in out
    assert "B - A  +10" in out


@pytest.mark.parametrize(
    "arguments",
    [("show", "zz"), ("show", "linear"), ("diff", "zz", "zz"), ("list", "--data", "mini")],
)
def test_a_mistake_ends_with_one_line_and_code_2(tmp_path, rows, run, arguments):
    Store(tmp_path).append("quick", rows)
    code, out, err = run(*arguments, "--results", tmp_path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("sigma-bench: ")
    assert run("list", "--results", tmp_path / "none")[0] == 2


def test_merge_ends_with_2_where_rows_conflict(tmp_path, rows, run):
    Store(tmp_path / "a").append("quick", rows[:1])
    Store(tmp_path / "b").append("quick", [rows[0].model_copy(update={"value": 5.0}), rows[1]])
    code, out, _ = run("merge", tmp_path / "a", "--into", tmp_path / "all")
    assert code == 0
    assert "1 rows added" in out
    code, out, _ = run("merge", tmp_path / "a", tmp_path / "b", "--into", tmp_path / "all")
    assert code == 2
    assert "1 rows added, 1 were there" in out
    assert f"conflict, not carried: {tmp_path / 'b'}: row {rows[0].id} has other value" in out


def test_bundle_packs_and_checks(tmp_path, rows, run):
    Store(tmp_path / "rows").append("quick", rows)
    file = tmp_path / "b.tar.gz"
    code, out, err = run("bundle", "--results", tmp_path / "rows", "--out", file)
    assert (code, err) == (0, "")
    assert f"written: {file}: 2 rows" in out
    code, out, _ = run("bundle", "--check", file, "--into", tmp_path / "out")
    assert code == 0
    assert "as packed" in out
    file.write_bytes(file.read_bytes()[:-40])
    code, out, err = run("bundle", "--check", file)
    assert (code, out) == (2, "")
    assert err.startswith(f"sigma-bench: {file}: no sound archive")
    assert run("bundle", "--into", tmp_path / "x")[0] == 2
