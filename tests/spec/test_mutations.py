"""Whatever a file of the right kind is turned into, it loads or it is a UserError of one screen."""

import contextlib
import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.spec import load, roots

SOURCES = {
    (kind, name): load.load_yaml(roots.find(kind, name)).values
    for kind, name in (
        ("pretrain", "sigma_mlp"),
        ("pretrain", "videomae"),
        ("tasks", "linear/ucf101"),
        ("tasks", "controls/category_8"),
        ("eval", "quick"),
        ("eval", "zoo"),
    )
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["mlp", "pixels", "sigma", "k400", "base", "linear", "ucf101", "miniature", "kind", "resolved"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "train", "data", "x", "size", "[key]", "0"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: object, at: tuple = ()) -> list[tuple]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [path for key, inner in below for path in paths(inner, (*at, key))]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    monkeypatch.setattr(roots, "shipped", lambda: tmp_path / "home")  # the other files have tests of their own
    (kind, _), source = data.draw(st.sampled_from(list(SOURCES.items())))
    values = copy.deepcopy(source)
    path = data.draw(st.sampled_from(paths(values)))
    here = values
    for part in path[:-1]:
        here = here[part]
    change = data.draw(st.sampled_from(["replace", "delete", "add", "resolved"]))
    if change == "replace":
        here[path[-1]] = data.draw(VALUES)
    elif change == "delete":
        del here[path[-1]]
    elif change == "add" and isinstance(here, dict):
        here[data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))] = data.draw(VALUES)
    else:
        values["resolved"] = data.draw(VALUES)
        for block in data.draw(st.sampled_from([(), ("data", "size", "profiles", "defaults")])):
            values.pop(block, None)
    home = tmp_path / "home"
    (home / kind).mkdir(parents=True, exist_ok=True)
    name = "zoo" if "entries" in source else "x"
    file = home / kind / f"{name}.yaml"
    file.write_text(yaml.dump(values, Dumper=load._Dumper, allow_unicode=True), encoding="utf-8")
    assert all(len(line) < 1000 for line in load.validate_all()[0])
    read = {"pretrain": load.recipe, "tasks": load.task, "eval": load.suite}[kind]
    try:
        read(file)
    except UserError as error:
        message = str(error)
        assert message.count("\n") <= 11
        assert len(message) < 6000
    file.unlink()


@pytest.mark.parametrize("name", ["sigma_mlp", "videomae", "sigma_l2"])
@settings(max_examples=60, deadline=None)
@given(
    argument=st.text(max_size=30)
    | st.builds("{}={}".format, st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8}){0,2}"), st.text(max_size=9))
)
def test_any_set_argument(name: str, argument: str) -> None:
    with contextlib.suppress(UserError):
        load.recipe(name, sets=[argument])
