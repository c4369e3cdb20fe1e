"""Where specs are found: folders in their order, names that cannot lead out of them, and the layout of a wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.spec import load, roots

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of specs with a task of its own and one that hides a shipped one."""
    for place in ("tasks/linear", "eval"):
        (tmp_path / "own" / place).mkdir(parents=True)
    text = (CHECKOUT / "tasks/linear/ucf101.yaml").read_text()
    (tmp_path / "own/tasks/linear/mine.yaml").write_text(text.replace("split: 1", "split: 3"))
    (tmp_path / "own/tasks/linear/ucf101.yaml").write_text(text.replace("split: 1", "split: 2"))
    (tmp_path / "own/eval/mine.yaml").write_text("title: Mine\ntasks: [linear/mine, controls/motion]\nseeds: 2\n")
    return tmp_path / "own"


def test_shipped_names() -> None:
    assert {"sigma_mlp", "videomae", "sigma_l2"} <= set(roots.names("pretrain"))
    assert {"quick", "linear", "zoo"} <= set(roots.names("eval"))
    assert {"linear/ucf101", "controls/category_8", "controls/motion"} <= set(roots.names("tasks"))
    assert {"published.csv", "layout.yaml", "hyperparameters.csv"} <= set(roots.names("published"))
    assert roots.find("published", "published.csv").is_file()


def test_specs_argument_comes_before_the_variable_before_the_shipped(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "tasks/linear").mkdir(parents=True)
    text = (own / "tasks/linear/mine.yaml").read_text()
    (other / "tasks/linear/ucf101.yaml").write_text(text.replace("split: 3", "split: 1\n  , per_class: 9, draws: 1"))
    assert load.task("linear/ucf101").dataset.per_class is None
    monkeypatch.setenv(roots.VARIABLE, str(other))
    assert load.task("linear/ucf101").dataset.per_class == 9
    assert load.task("linear/ucf101", specs=own).dataset.split == 2
    assert load.suite("mine", specs=own).tasks == ("linear/mine", "controls/motion")
    assert ("mine", "Mine") in load.listing("suites", specs=own)


@pytest.mark.parametrize(
    "name",
    [
        "../pretrain/sigma_mlp",
        "..",
        ".",
        "",
        "/etc/passwd",
        "linear/../linear/ucf101",
        "./linear/ucf101",
        "linear",
        "a\x00b",
    ],
)
def test_a_name_never_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(UserError, match="no task named"):
        load.task(name)


def test_an_unknown_name_says_the_nearest_and_where_it_looked(own: Path) -> None:
    with pytest.raises(UserError) as caught:
        load.task("linear/ufc101", specs=own)
    message = str(caught.value)
    assert "did you mean 'linear/ucf101'?" in message
    assert str(own / "tasks") in message
    assert str(CHECKOUT / "tasks") in message


def test_a_path_works_anywhere(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own / "tasks")
    assert load.task("linear/mine.yaml").id == "mine"
    assert load.task(own / "tasks/linear/mine.yaml", specs=own).id == "linear/mine"
    with pytest.raises(UserError, match=r"no such task file; near it: mine\.yaml"):
        load.task("linear/mime.yaml")
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        load.task(tmp_path / "nowhere/x.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UserError, match="not a file"):
        load.task(tmp_path / "folder.yaml")


def test_a_pipe_is_no_spec(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match="not a file"):
        load.recipe(tmp_path / "pipe.yaml")


def test_folders_that_hold_no_specs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--specs .*absent: no such folder"):
        load.recipe("sigma_mlp", specs=tmp_path / "absent")
    with pytest.raises(UserError, match=r"--specs .*: holds none of pretrain/"):
        load.recipe("sigma_mlp", specs=tmp_path)
    monkeypatch.setenv(roots.VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"\$SIGMA_BENCH_SPECS .*absent"):
        load.recipe("sigma_mlp")


def test_a_file_may_not_contradict_its_name(own: Path) -> None:
    path = own / "tasks/linear/mine.yaml"
    path.write_text("id: linear/yours\n" + path.read_text())
    with pytest.raises(UserError, match=r"mine\.yaml:1: id: found 'linear/yours' .*remove the line"):
        load.task("linear/mine", specs=own)


def test_a_faulty_file_is_listed_and_does_not_hide_the_others(own: Path) -> None:
    (own / "tasks/broken.yaml").write_text("a: [\n")
    listed = dict(load.listing("tasks", specs=own))
    assert listed["broken"].startswith("(cannot be read")
    assert listed["linear/ucf101"] == "UCF101, linear probe"


CHECK = """
from sigma_bench.spec import load, roots
assert roots.shipped().name == "_shipped", roots.shipped()
assert load.recipe("sigma_mlp", data="miniature", size="nano").train.steps == 400
assert load.suite("quick").tasks
assert load.zoo().entries
assert roots.find("published", "published.csv").is_file()
assert load.validate_all()[0] == [], load.validate_all()
"""


def test_the_layout_of_a_wheel_is_found_from_another_folder(tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(CHECKOUT / "sigma_bench", site / "sigma_bench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pretrain", "eval", "tasks"):
        shutil.copytree(CHECKOUT / name, site / "sigma_bench/_shipped" / name)
        (site / name).mkdir()  # a stranger's folder beside the package is not ours
    shutil.copytree(CHECKOUT / "results/published", site / "sigma_bench/_shipped/published")
    environment = {k: v for k, v in os.environ.items() if k != roots.VARIABLE} | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
