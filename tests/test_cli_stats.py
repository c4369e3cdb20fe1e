"""`sigma-bench compare` and `sigma-bench reproduce`: what they print, and their exit codes."""

import json

import numpy as np
import pandas as pd
import pytest

from sigma_bench.cli import main
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store


@pytest.fixture
def run(capfd):
    """Run a command; return exit code, output and errors."""

    def command(*arguments):
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def folder(tmp_path):
    """Two systems on a task, of which the second is better."""
    store = Store(tmp_path / "my rows")
    for name, share in (("first", 0.3), ("second", 0.8)):
        right = np.random.default_rng(len(name)).random(200) < share
        row = Row(
            system=name, suite="quick", task="linear/ucf101", task_version=1, evaluator="linear", metric="top1",
            settings_sha256="5" * 64, checkpoint_sha256=f"{len(name)}" * 64, data="miniature", status="ok",
            value=100 * float(right.mean()), n_expected=200, n_present=200, n_decoded=200,
        )  # fmt: skip
        samples = pd.DataFrame({"id": [f"v{i}" for i in range(200)], "label": 1, "prediction": right.astype(int)})
        path = store.write_samples(row.id, samples.assign(error=None))
        store.append("quick", [row.model_copy(update={"artifacts": {"samples": f"samples/{path.name}"}})])
    return store.folder


def test_compare_prints_a_table_and_ends_with_0(folder, run):
    code, out, err = run("compare", "first", "second", "--results", folder)
    assert (code, err) == (0, "")
    assert "Miniature (synthetic data; not comparable with the paper)" in out
    assert "| B is better |" in out
    assert "McNemar, mid-p" in out
    code, out, _ = run("compare", "555555", "second", "--results", folder, "--format", "json", "--suite", "quick")
    assert code == 0
    assert json.loads(out)["lines"][0]["verdict"] == "B is better"


def test_compare_ends_with_1_where_something_could_not_be_compared(folder, run):
    next((folder / "samples").iterdir()).unlink()
    code, out, _ = run("compare", "first", "second", "--results", folder)
    assert code == 1
    assert "not compared: the records of" in out


def test_damaged_lines_are_told_beside(folder, run):
    with open(folder / "quick.csv", "ab") as stream:
        stream.write(b"<<<<<<<\n")
    code, _, err = run("compare", "first", "second", "--results", folder)
    assert code == 0
    assert "not read:" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("first", "third"),
        ("first", "first"),
        ("first", "second", "--suite", "none"),
        ("first", "second", "--task", "none"),
        ("first", "second", "--format", "xml"),
        ("first", "second", "--suite", "linear/"),
    ],
)
def test_a_mistake_in_compare_ends_with_one_line_and_code_2(folder, run, arguments):
    code, out, err = run("compare", *arguments, "--results", folder)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("sigma-bench: ")
    assert run("compare", "first", "second", "--results", folder / "none")[0] == 2


def test_reproduce_ends_with_0_only_where_all_numbers_are_within_tolerance(tmp_path, run):
    fields = {
        "method": "SIGMA-MLP", "backbone": "ViT-B", "pretrain_data": "K400", "epochs": "800", "motion_guidance": "no",
        "suite": "finetune", "task": "finetune/ssv2", "task_version": 1, "evaluator": "finetune", "profile": "paper",
        "metric": "top1", "settings_sha256": "5" * 64, "checkpoint_sha256": "a" * 64, "data": "official",
        "status": "ok", "n_expected": 9, "n_present": 9, "n_decoded": 9,
    }  # fmt: skip
    Store(tmp_path).append("finetune", [Row(system="mine", value=70.1, **fields)])
    command = ("reproduce", "--table", "2", "--system", "mine", "--results", tmp_path)
    code, out, _ = run(*command)
    assert code == 0
    assert "1 of 1 numbers within tolerance" in out
    code, out, _ = run(*command, "--tolerance", "0.2", "--format", "json")
    assert code == 1
    assert json.loads(out)["cells"][0]["verdict"] == "outside"
    code, out, _ = run("reproduce", "--table", "2", "--system", "sigma_mlp", "--results", tmp_path / "none")
    assert code == 1
    assert "`sigma-bench eval --task finetune/ssv2 --ckpt sigma_mlp`" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--table", "2", "--system", "nobody"),
        ("--table", "77", "--system", "sigma_mlp"),
        ("--table", "2", "--system", "sigma_mlp", "--format", "xml"),
        ("--table", "2", "--system", "sigma_mlp", "--tolerance", "-1"),
        ("--table", "2", "--system", "sigma_mlp", "--tolerance", "nan"),
    ],
)
def test_a_mistake_in_reproduce_ends_with_one_line_and_code_2(tmp_path, run, arguments):
    code, out, err = run("reproduce", *arguments, "--results", tmp_path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("sigma-bench: ")
