"""Overlays and --set: the order, what wins, what is refused, and that a dump is the same spec."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.spec import load
from sigma_bench.spec.overlay import Document, resolve
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_target import MlpTarget

NONE = {"data": None, "size": None, "profiles": None}


def resolved(values: dict, sets: tuple[str, ...] = (), bare: dict | None = None, **choice: str) -> dict:
    document = Document("x.yaml", values)
    return resolve(document, {**NONE, **choice}, bare=bare or {}, sets=sets, parse=load.parse).values


def refusal(*args: object, **kwargs: object) -> str:
    with pytest.raises(UserError) as caught:
        load.recipe(*args, **kwargs)
    return str(caught.value)


def test_later_overlays_win_and_blocks_merge_deeply() -> None:
    values = {
        "a": {"x": 0, "y": 0, "z": 0, "w": 0, "kept": [1]},
        "defaults": {"data": "d", "size": "s", "profile": "p"},
        "data": {"d": {"a": {"x": "data", "y": "data", "z": "data", "w": "data"}}},
        "size": {"s": {"a": {"y": "size", "z": "size", "w": "size"}}},
        "profiles": {"p": {"a": {"z": "profile", "w": "profile"}}},
    }
    out = resolved(values, sets=("a.w=set",))
    assert out["a"] == {"x": "data", "y": "size", "z": "profile", "w": "set", "kept": [1]}
    assert out["resolved"] == {"data": "d", "size": "s", "profile": "p", "sets": ["a.w=set"]}
    assert not {"data", "size", "profiles", "defaults"} & set(out)


def test_the_source_is_left_as_it_was() -> None:
    values = {"a": {"x": 0}, "defaults": {"data": "d"}, "data": {"d": {"a": {"x": 1}}}}
    resolved(values, sets=("a.x=2",))
    assert values == {"a": {"x": 0}, "defaults": {"data": "d"}, "data": {"d": {"a": {"x": 1}}}}


def test_an_overlay_may_hold_the_blocks_applied_after_it() -> None:
    values = {
        "v": 0,
        "defaults": {"data": "one", "size": "s"},
        "data": {"one": {}, "two": {"size": {"s": {"v": "two and s"}}}},
        "size": {"s": {"v": "s"}, "t": {"v": "t"}},
    }
    assert resolved(values, data="one")["v"] == "s"
    assert resolved(values, data="two")["v"] == "two and s"
    assert resolved(values, data="two", size="t")["v"] == "t"


def test_lists_and_null_replace() -> None:
    values = {"a": [1, 2, 3], "b": {"c": 1}, "defaults": {"data": "d"}, "data": {"d": {"a": [9], "b": None}}}
    assert resolved(values)["a"] == [9]
    assert resolved(values)["b"] is None


@pytest.mark.parametrize(
    ("values", "choice", "part"),
    [
        ({"data": {"k": {}}}, {}, "defaults.data does not say which of k"),
        ({"data": {"k": {}}, "defaults": {"data": "kk"}}, {}, "did you mean 'k'?"),
        ({"defaults": {"colour": "k"}}, {}, "no such key"),
        ({"defaults": [1]}, {}, "found a list of 1"),
        ({"data": [1], "defaults": {}}, {}, "expected a block of overlays"),
        ({"data": {"k": 3}, "defaults": {"data": "k"}}, {}, "expected a block of settings"),
        ({}, {"size": "base"}, "has no size block"),
        ({"data": {"k400": {}}, "defaults": {"data": "k400"}}, {"data": "k40"}, "did you mean 'k400'?"),
    ],
)
def test_faulty_blocks_are_named(values: dict, choice: dict, part: str) -> None:
    with pytest.raises(UserError) as caught:
        resolved(values, **choice)
    assert part in str(caught.value)


def test_a_fault_in_an_overlay_is_told_at_its_own_line(tmp_path: Path) -> None:
    text = Path(load.roots.find("pretrain", "sigma_mlp")).read_text()
    line = next(i for i, t in enumerate(text.splitlines(), 1) if "base_lr: 0.004" in t)
    (tmp_path / "r.yaml").write_text(text.replace("base_lr: 0.004", "base_rl: 0.004"))
    message = refusal(tmp_path / "r.yaml", data="miniature", size="nano")
    assert f"r.yaml:{line}: data.miniature.train.base_rl: no such key; did you mean 'base_lr'?" in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("train.base_lrr=1", "--set train.base_lrr=1: train.base_lrr: no such key; did you mean 'base_lr'?"),
        ("base_lr=1.0", "did you mean 'train.base_lr'?"),
        ("train.base_lr=abc", "found 'abc' (text), expected a valid number"),
        ("train.epochs=1.5", "found 1.5, expected a valid integer"),
        ("train.epochs=true", "found true"),
        ("train.base_lr=.nan", "expected a finite number"),
        ("train.base_lr=.inf", "expected a finite number"),
        ("train.base_lr=-1", "greater than 0"),
        ("train.precision=fp31", "did you mean 'fp32'?"),
        ("target.kind=mpl", "did you mean 'mlp'?"),
        ("target.widths=8", "found 8, expected a valid list"),
        ("target.widths=[8, x]", "target.widths[1]"),
        ("train=3", "found 3, expected a block"),
        ("train.seed.x=3", "'train.seed' is 0, not a block of keys"),
        ("train.seed", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("train..seed=3", "expected KEY=VALUE"),
        ("train.seed=", "written null"),
        ("data=k400", "use --data"),
        ("size.small.train=1", "use --size"),
        ("profiles=x", "use --profile"),
        ("resolved.data=x", "follows from the file"),
        ("name=x", "follows from the file"),
        ("clustering=null", "objective sigma needs a clustering block"),
        ("objective=pixels", "needs target.kind pixels"),
        ("train.steps=5", "exactly one of epochs and steps"),
        ("train.epochs=" + "9" * 4000, "train.epochs"),
        ("train.base_lr=" + "9" * 4000, "train.base_lr"),
    ],
)
def test_faulty_set_arguments(text: str, part: str) -> None:
    message = refusal("sigma_mlp", sets=[text])
    assert part in message
    assert "--set" in message or "pretrain" in message
    assert len(message) < 1500


def test_set_reaches_a_missing_block_and_a_list() -> None:
    sets = [
        "objective=sigma",
        "target={kind: mlp, normalize: true, widths: [16], dim: 8}",
        "clustering.prototypes=8",
        "clustering.epsilon=5e-2",
        "clustering.iterations=3",
        "clustering.temperature=1e-1",
        "clustering.assignments=soft",
    ]
    made = load.recipe("videomae", sets=sets)
    assert made.clustering is not None
    assert made.clustering.epsilon == 0.05
    assert isinstance(made.target, MlpTarget)
    assert made.target.widths == (16,)
    assert made.resolved.sets == tuple(sets)
    assert load.recipe("videomae").clustering is None


CHOICES = list(
    itertools.product(
        ["sigma_mlp", "videomae", "sigma_l2"],
        ["k400", "ssv2", "miniature", "folder"],
        ["nano", "small", "base", "large", "huge"],
    )
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def reloaded(recipe: Recipe, folder: Path) -> Recipe:
    (folder / "recipe.yaml").write_text(load.dump(recipe), encoding="utf-8")
    return load.recipe(folder / "recipe.yaml")


@pytest.mark.parametrize(("name", "data", "size"), CHOICES)
def test_every_dump_loads_as_the_same_recipe(tmp_path: Path, name: str, data: str, size: str) -> None:
    made = load.recipe(name, data=data, size=size)
    assert (made.resolved.data, made.resolved.size, made.resolved.profile) == (data, size, "released")
    assert made.model.size == size
    assert reloaded(made, tmp_path) == made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lr=st.floats(min_value=1e-5, max_value=1e300),
    decay=st.floats(min_value=0, max_value=1e300) | st.integers(0, 10**9),
    widths=st.lists(st.integers(1, 10**6), max_size=5),
    seed=st.integers(0, 2**32 - 1),
    title=TEXT
    | st.sampled_from(["1e-3", "null", "yes", "16:9", "- a", "2024-01-01", "=", "<<", "a: b", "\x85", "0x1", "~"]),
)
def test_any_settings_survive_the_dump(tmp_path, lr, decay, widths, seed, title) -> None:
    sets = [f"train.base_lr={lr!r}", f"train.weight_decay={decay!r}", f"target.widths={widths}", f"train.seed={seed}"]
    made = load.recipe("sigma_mlp", sets=sets)
    assert made.train.base_lr == lr
    made = made.model_copy(update={"title": title})
    assert reloaded(made, tmp_path) == made


def test_a_dump_takes_more_sets_but_no_other_overlay(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(load.dump(load.recipe("sigma_mlp", data="miniature", size="nano", sets=["train.seed=1"])))
    again = load.recipe(path, data="miniature", sets=["train.seed=2"])
    assert (again.name, again.train.seed, again.resolved.sets) == ("sigma_mlp", 2, ("train.seed=1", "train.seed=2"))
    assert "already resolved with data miniature" in refusal(path, data="k400")
    path.write_text(path.read_text() + "data: {k400: {}}\n")
    assert "has no overlays" in refusal(path)


def test_task_dump_loads_as_the_same_task(tmp_path: Path) -> None:
    made = load.task("linear/ucf101", data="miniature", sets=["probe.rates=[1e-3, 2]", "dataset.split=2"])
    assert made.probe is not None
    assert made.probe.rates == (0.001, 2.0)
    (tmp_path / "t.yaml").write_text(load.dump(made))
    assert load.task(tmp_path / "t.yaml") == made
    assert made.id == "linear/ucf101"


def test_a_task_may_offer_a_profile_that_is_left_out_unless_asked_for():
    plain, votes = (load.task("linear/ucf101", profile=profile) for profile in (None, "knn"))
    assert (plain.evaluator, plain.resolved.profile) == ("linear", None)
    assert (votes.evaluator, votes.resolved.profile) == ("knn", "knn")
    assert (votes.views, votes.clips, votes.dataset) == (plain.views, plain.clips, plain.dataset)
    with pytest.raises(UserError, match=r"has no such overlay.*knn"):
        load.task("linear/ucf101", profile="knm")
