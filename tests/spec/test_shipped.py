"""The spec files of this repository: valid in every combination, and true to the published tables."""

import csv
from pathlib import Path

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.spec import load, roots

WITHOUT_CELL = {"finetune/ucf101", "finetune/hmdb51"}
"""Tasks that the paper's tables have no column for."""


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    with roots.find("published", "published.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_everything_validates_in_every_combination() -> None:
    problems, checked = load.validate_all()
    assert problems == []
    assert checked >= 10


def test_validation_finds_a_fault_in_any_file(tmp_path: Path) -> None:
    for kind in ("pretrain", "eval", "tasks"):
        (tmp_path / kind).mkdir()
    recipe = roots.find("pretrain", "sigma_mlp").read_text()
    task = roots.find("tasks", "linear/ucf101").read_text()
    (tmp_path / "pretrain/one.yaml").write_text(recipe.replace("decoder_depth: 12", "decoder_deep: 12", 1))
    (tmp_path / "pretrain/two.yaml").write_text(recipe.replace("assignments: soft", "assignments: sotf"))
    (tmp_path / "tasks/three.yaml").write_text(task.replace("test_crops: 1", "test_crops: 2"))
    (tmp_path / "eval/four.yaml").write_text("title: x\nseeds: 1\ntasks: [linear/ucf102]\n")
    (tmp_path / "eval/five.yaml").write_text("")
    problems = "\n".join(load.validate_all(specs=tmp_path)[0])
    assert "size.large.model.decoder_deep: no such key; did you mean 'decoder_depth'?" in problems
    assert "profiles.paper.clustering.assignments: found 'sotf' (text), expected one of hard, soft" in problems
    assert "data.miniature.views.test_crops: found 2" in problems
    assert "four.yaml:3: tasks[0]: no task 'linear/ucf102'; did you mean 'linear/ucf101'?" in problems
    assert "five.yaml: empty" in problems
    assert problems.count("decoder_deep") == 1


def test_zoo_entries_are_of_published_methods(published) -> None:
    methods = {(row["method"], row["variant"]) for row in published}
    for name, entry in load.zoo().entries.items():
        assert (entry.method, entry.variant) in methods, name
        assert entry.verified != "released file", name  # none was opened yet


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("wanted: no public weights", "give either sources, or in wanted"),
        ("sources: []", "give either sources, or in wanted"),
        ("heads: null", "sources need family and heads"),
        ("sources: []\n    wanted: none\n    verified: golden", "without weights nothing was verified"),
    ],
)
def test_an_entry_has_weights_or_a_reason(tmp_path, change, said) -> None:
    source = "sources: [{host: github, repo: a/b, path: README.md}]"
    cells = "system: s\n    method: m\n    backbone: b\n    pretrain_data: d\n    family: f\n    heads: 3"
    entry = {line.split(":")[0].strip(): line for line in f"{cells}\n    {source}\n    {change}".split("\n")}
    text = "title: t\nversion: 1\nentries:\n  x:\n    " + "\n    ".join(line.strip() for line in entry.values()) + "\n"
    (tmp_path / "zoo.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        load.zoo_file(tmp_path / "zoo.yaml")


def test_metrics_and_ids_of_tasks_are_those_of_the_published_table(published) -> None:
    cells = {(row["task"], row["metric"]) for row in published}
    for name, _ in load.listing("tasks"):
        if not name.startswith("controls/") and not name.endswith("/videos") and name not in WITHOUT_CELL:
            task = load.task(name)
            assert (task.id, task.metric) in cells


def test_the_miniature_treats_all_objectives_alike() -> None:
    made = [load.recipe(n, data="miniature", size="nano") for n in ("sigma_mlp", "videomae", "sigma_l2")]
    assert len({r.train for r in made}) == len({r.model for r in made}) == len({r.mask for r in made}) == 1
    assert made[0].train.lr == pytest.approx(5e-4)
    assert (made[0].train.steps, made[0].train.warmup_steps, made[0].model.grid) == (400, 40, (4, 4, 4))
    for profile in ("paper", "released"):
        assert load.recipe("sigma_mlp", data="miniature", size="nano", profile=profile).train.steps == 400


def test_controls_exist_only_for_the_miniature() -> None:
    made = load.task("controls/category_8", data="miniature")
    assert (made.dataset.relabel, made.dataset.per_class, made.dataset.draws) == ("category", 8, 5)
    for data in ("official", "custom"):
        with pytest.raises(UserError, match="exists only with --data miniature"):
            load.task("controls/motion", data=data)
    with pytest.raises(UserError, match=r"already resolved|no such overlay"):
        load.task("linear/ucf101", data="minature")
    assert load.task("linear/ucf101", data="custom").views == load.task("linear/ucf101").views


def test_directions_are_not_mirrored_on_the_miniature() -> None:
    for name in load.suite("quick").tasks:
        assert not load.task(name, data="miniature").views.flip


@pytest.mark.parametrize("kind", ["pretrain", "eval", "tasks"])
def test_every_file_says_what_it_is_what_it_drives_and_what_to_expect(kind: roots.Kind) -> None:
    for path in roots.names(kind).values():
        head = path.read_text().partition("\ntitle:")[0]
        assert all(line.startswith("#") for line in head.splitlines()), path
        assert "# Code: sigma_bench/" in head, path
        assert "# Expected" in head, path
        assert "# Cost" in head, path


def test_given_files_are_checked_for_what_they_are(tmp_path: Path) -> None:
    shipped = [roots.find("pretrain", "videomae"), roots.find("eval", "zoo"), roots.find("published", "layout.yaml")]
    assert load.validate_all([*shipped, roots.find("eval", "quick")]) == ([], 4)
    (tmp_path / "r.yaml").write_text(shipped[0].read_text().replace("steps: 400", "steps: 4OO"))
    (tmp_path / "z.yaml").write_text(shipped[1].read_text().replace("heads: 12", "heads: 0", 1))
    (tmp_path / "t.yaml").write_text("tables: {}\n")
    (tmp_path / "what.yaml").write_text("a: 1\n")
    files = [tmp_path / name for name in ("r.yaml", "z.yaml", "t.yaml", "what.yaml", "absent.yaml", "absent")]
    problems, checked = load.validate_all(files)
    text = "\n".join(problems)
    assert checked == 6
    for part in (
        "data.miniature.train.steps: found '4OO'",
        "heads: found 0",
        "t.yaml",
        "cannot tell what it is",
        "absent.yaml: no such",
    ):
        assert part in text
    assert "absent: not the path of a YAML file" in text


@pytest.mark.parametrize("data", ["official", "miniature"])
@pytest.mark.parametrize("name", ["ssv2", "ucf101"])
@pytest.mark.parametrize("order", ["shuffled", "reversed", "frozen"])
def test_controls_of_order_differ_from_the_task_they_control_in_the_order_alone(data, name, order) -> None:
    control, plain = load.task(f"controls/{name}_{order}", data=data), load.task(f"linear/{name}", data=data)
    assert control.clips.order == order
    assert control.clips.train_order is None
    same = {"clips": plain.clips, "id": plain.id, "title": plain.title, "notes": plain.notes, "cost": plain.cost}
    assert control.clips.model_copy(update={"order": "natural"}) == plain.clips
    assert control.model_copy(update=same) == plain


def test_a_still_has_no_order() -> None:
    for sets in (["clips.order=shuffled"], ["clips.train_order=reversed"]):
        with pytest.raises(UserError, match="a still is one frame, which has no order"):
            load.task("linear/in1k", sets=sets)
    assert load.task("linear/in1k", sets=["clips.train_order=natural"]).clips.order == "natural"
