"""Where a data set is looked for: the order of the rules, the user's file, and what is said when nothing is found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import Run, UserError
from sigma_bench.data import roots
from sigma_bench.evaluators import samples
from sigma_bench.spec import load

RULES = ("$SIGMA_BENCH_DATA", "entry", "root", "working directory")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No variable, no file of the user, an empty working directory."""
    for name in (roots.VARIABLE, roots.CONFIG):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def configured(tmp_path, text):
    path = tmp_path / "config" / "sigma-bench" / "data.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_option_alone_decides(tmp_path, monkeypatch):
    monkeypatch.setenv(roots.VARIABLE, str(tmp_path / "variable"))
    (tmp_path / "variable" / "k400").mkdir(parents=True)
    configured(tmp_path, f"datasets: {{k400: {tmp_path / 'variable' / 'k400'}}}\n")
    assert roots.find("k400", tmp_path / "option") is None
    (tmp_path / "option" / "k400").mkdir(parents=True)
    assert roots.find("k400", tmp_path / "option") == roots.Place(tmp_path / "option" / "k400", "--data-root")


@given(st.sets(st.sampled_from(RULES), min_size=1))
@settings(max_examples=16, deadline=None)
def test_the_first_rule_that_has_a_folder_is_the_one(tmp_path_factory, there):
    tmp_path = tmp_path_factory.mktemp("order")
    folders = {rule: tmp_path / str(number) / "k400" for number, rule in enumerate(RULES)}
    for rule in RULES:
        folders[rule].parent.mkdir()
        if rule in there:
            folders[rule].mkdir()
    config = configured(tmp_path, f"root: {folders['root'].parent}\n")
    if "entry" in there:
        config.write_text(f"{config.read_text()}datasets: {{k400: {folders['entry']}}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(roots.VARIABLE, str(folders["$SIGMA_BENCH_DATA"].parent))
        patch.setenv(roots.CONFIG, str(config))
        patch.setattr(roots, "HERE", folders["working directory"].parent)
        assert roots.folder("k400", None) == folders[next(rule for rule in RULES if rule in there)]


def test_a_data_set_drawn_from_another_is_found_in_its_folder_unless_it_has_its_own(tmp_path):
    (tmp_path / "finegym").mkdir()
    assert roots.folder("gym99", tmp_path) == tmp_path / "finegym"
    (tmp_path / "gym99").mkdir()
    assert roots.folder("gym99", tmp_path) == tmp_path / "gym99"
    configured(tmp_path, f"datasets: {{finegym: {tmp_path / 'finegym'}}}\n")
    assert roots.folder("fx_s1", None) == tmp_path / "finegym"


def test_a_data_set_drawn_from_another_is_expected_in_its_folder(tmp_path):
    said = roots.missing("gym99", None)
    assert "(which holds finegym/)" in said
    assert "datasets: {finegym: FOLDER}" in said
    assert f"{tmp_path / 'gym99'} (--data-root), {tmp_path / 'finegym'} (--data-root)" in roots.missing(
        "gym99", tmp_path
    )


def test_miniatures_lie_below_the_first_base_and_are_told_by_its_rule(tmp_path, monkeypatch):
    monkeypatch.setenv(roots.VARIABLE, str(tmp_path))
    below = roots.miniatures(None)
    assert below == roots.Place(tmp_path / "miniature", "$SIGMA_BENCH_DATA")
    said = (
        f"no miniature at {tmp_path}/miniature/ucf101 ($SIGMA_BENCH_DATA); write it: sigma-bench data miniature ucf101"
    )
    assert roots.missing("ucf101", below) == said


def test_a_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(roots.VARIABLE, "~/sets")
    assert roots.base(None) == tmp_path / "sets"


def test_a_relative_entry_is_below_the_file_and_names_its_line(tmp_path):
    path = configured(tmp_path, "datasets:\n  ucf101: videos\n  k400: gone\n")
    (path.parent / "videos").mkdir()
    assert roots.folder("ucf101", None) == path.parent / "videos"
    with pytest.raises(UserError, match=r"data.yaml:3: datasets.k400: no such folder: .*gone"):
        roots.folder("k400", None)
    path.write_text("root: nowhere\n")
    with pytest.raises(UserError, match=r"data.yaml:1: root: no such folder: .*nowhere"):
        roots.base(None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roots: /data\n", r"data.yaml:1: roots: no such key; did you mean 'root'\?"),
        ("root: /\ndatasets:\n  k40: /\n", r"data.yaml:3: datasets.k40: no data set 'k40'; did you mean 'k400'\?"),
        ("datasets: [a]\n", r"data.yaml:1: datasets: found a list of 1"),
        ("datasets: {folder: /}\n", "no data set 'folder'"),
        ("root: 3\n", "data.yaml:1: root: found 3, expected a valid text"),
    ],
)
def test_a_faulty_file_is_told_with_its_line(tmp_path, text, said):
    configured(tmp_path, text)
    with pytest.raises(UserError, match=said):
        roots.places("k400", None)


def test_a_file_named_by_the_variable_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv(roots.CONFIG, str(tmp_path / "mine.yaml"))
    with pytest.raises(UserError, match=r"\$SIGMA_BENCH_CONFIG .*mine.yaml: no such file"):
        roots.find("k400", None)


def test_every_place_and_every_way_to_name_one_is_in_the_message(tmp_path, monkeypatch):
    monkeypatch.setenv(roots.VARIABLE, str(tmp_path / "variable"))
    path = configured(tmp_path, f"root: {tmp_path}\n")
    task = load.task("linear/ucf101")
    with pytest.raises(UserError) as caught:
        samples.dataset_folder(task, Run("cpu", 0, None, tmp_path))
    for expected in (
        f"{tmp_path / 'variable' / 'ucf101'} ($SIGMA_BENCH_DATA)",
        f"{tmp_path / 'ucf101'} ({path}:1: root)",
        "data/ucf101 (the working directory)",
        "--data-root",
        "datasets: {ucf101: FOLDER}",
    ):
        assert expected in str(caught.value)
