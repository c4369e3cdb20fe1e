"""Parts of other packages: found, told apart, refused with the name of their package."""

import sys
from pathlib import Path

import pytest
import torch

from sigma_bench import plugins, registry
from sigma_bench.contracts import EncoderSpec, UserError
from sigma_bench.runs.listing import listing
from sigma_bench.runs.systems import candidate
from sigma_bench.spec import load

MODULE = """
import torch
from sigma_bench.contracts import EncoderSpec, Tokens

def evaluate(encoder, task, run): return "mine"

class Tiny(torch.nn.Module):
    spec = EncoderSpec("mine", "tiny/8", 3, 1, 1, 1, 8, 4, 32, (0.0,) * 3, (1.0,) * 3, params=0, has_norm=False)

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        return Tokens(clips.movedim(1, -1), None)

made = Tiny()
number = 3
def other(): return number
def failing(): raise ValueError("no weights here")
class Parts:
    read = evaluate
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package with entry points as an installer leaves it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, entries, module=MODULE, version="1.2"):
        stem = name.replace("-", "_")
        (tmp_path / f"{stem}.py").write_text(module)
        info = tmp_path / f"{stem}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        content = entries if isinstance(entries, bytes) else entries.encode()
        (info / "entry_points.txt").write_bytes(content)
        return stem

    yield write
    for name in [n for n, m in sys.modules.items() if str(tmp_path) in str(getattr(m, "__file__", ""))]:
        del sys.modules[name]


def test_parts_are_found_and_listed_with_their_package(package):
    package("good-one", "[console_scripts]\nx = y:z\n[sigma_bench.evaluators]\nmine = good_one:evaluate\n")
    assert registry.get("evaluators", "mine")(None, None, None) == "mine"
    assert registry.origin("evaluators", "mine") == "good-one 1.2"
    assert registry.origin("evaluators", "linear") == ""
    lines = listing("evaluators")
    assert any(line.startswith("mine") and "good_one:evaluate (from good-one 1.2)" in line for line in lines)
    assert any(line.split() == ["linear", "sigma_bench.evaluators.linear:evaluate"] for line in lines)
    assert not any("mine" in line for line in listing("datasets"))


@pytest.mark.parametrize(
    "entries",
    [
        "[sigma_bench.evaluators]\nbad bad_one:evaluate\n",
        "[sigma_bench.evaluators]\nbad = bad_one evaluate\n",
        "[sigma_bench.evaluators]\nbad = os:system; x\n",
        "[sigma_bench.evaluators]\n../bad = bad_one:evaluate\n",
        "[sigma_bench.evaluators]\n= bad_one:evaluate\n",
    ],
)
def test_malformed_entry_points_are_their_packages_problem(package, entries):
    package("good-one", "[sigma_bench.evaluators]\nmine = good_one:evaluate\n")
    package("bad-one", entries)
    assert registry.names("evaluators").keys() >= {"linear", "mine"}
    assert registry.get("evaluators", "mine")(None, None, None) == "mine"
    assert any("bad-one 1.2: entry_points.txt:2" in line for line in listing("evaluators"))
    with pytest.raises(UserError, match=r"unknown evaluator 'nothing'.*bad-one 1.2: entry_points.txt:2"):
        registry.get("evaluators", "nothing")


def test_a_package_that_is_none_of_ours_is_never_a_problem(package):
    package("other-one", "[console_scripts]\nthis is no entry\n")
    assert plugins.problems() == []
    package("bytes-one", b"[sigma_bench.evaluators]\nm\xff = bytes_one:x\n")
    assert len(plugins.problems()) == 1
    assert "bytes_one" in plugins.problems()[0]
    assert "linear" in registry.names("evaluators")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("1 / 0", r"ZeroDivisionError.*broken_one\.py:1"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", "AttributeError"),
    ],
)
def test_a_package_that_cannot_be_imported_is_named_when_it_is_used(package, module, said):
    package("broken-one", "[sigma_bench.evaluators]\nmine = broken_one:evaluate\n", module)
    assert "mine" in registry.names("evaluators")
    assert load.task("linear/ucf101").evaluator == "linear"
    with pytest.raises(UserError, match=f"'broken_one:evaluate' of package broken-one 1.2: {said}"):
        registry.get("evaluators", "mine")


def test_a_name_in_two_packages_is_refused_and_our_own_cannot_be_taken(package):
    for name in ("first-one", "second-one"):
        stem = name.replace("-", "_")
        package(name, f"[sigma_bench.evaluators]\nmine = {stem}:evaluate\nlinear = {stem}:evaluate\n")
    with pytest.raises(UserError, match=r"'mine' is in several packages: .*first-one 1.2.*; name the object instead"):
        registry.get("evaluators", "mine")
    assert registry.get("evaluators", "linear").__module__ == "sigma_bench.evaluators.linear"
    lines = "\n".join(listing("evaluators"))
    assert lines.count("sigma-bench's own part of this name is taken") == 2
    assert "cannot be used: second-one 1.2 has the name too" in lines


def test_objects_of_modules_are_named_in_tasks(package, tmp_path):
    package("good-one", "")
    text = (Path(__file__).parents[1] / "tasks" / "linear" / "ucf101.yaml").read_text()
    text = text.replace("evaluator: linear\n", "evaluator: good_one:Parts.read\noptions: {k: 5, soft: true}\n")
    text = text.replace("metric: top1", "metric: recall_at_5").replace("name: ucf101", "name: good_one:diving")
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    task = load.task(path)
    assert (task.evaluator, task.dataset.name, task.metric) == ("good_one:Parts.read", "good_one:diving", "recall_at_5")
    assert task.options == {"k": 5, "soft": True}
    assert registry.get("evaluators", task.evaluator)(None, None, None) == "mine"
    with pytest.raises(UserError, match="cannot load 'good_one:diving'"):
        registry.get("datasets", task.dataset.name)
    path.write_text(text.replace("good_one:Parts.read", "good_one Parts"))
    with pytest.raises(UserError, match="unknown evaluator 'good_one Parts'"):
        load.task(path)


def test_our_own_evaluators_take_no_options(tmp_path):
    text = (Path(__file__).parents[1] / "tasks" / "linear" / "ucf101.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("metric: top1", "metric: top1\noptions: {k: 5}"))
    with pytest.raises(UserError, match="options are for evaluators of other packages; linear takes none"):
        load.task(path)


@pytest.mark.parametrize("name", ["good_one:Tiny", "good_one:made", "mine"])
def test_an_encoder_is_a_class_a_module_or_a_name(package, name):
    package("good-one", "[sigma_bench.models]\nmine = good_one:Tiny\n")
    found = candidate(name, None, None, None, None)
    assert (found.description["system"], found.description["backbone"]) == (name, "tiny/8")
    assert found.marks == (("encoder of good-one 1.2",) if name == "mine" else ())
    encoder = found.encoder("cpu")
    assert isinstance(encoder.spec, EncoderSpec)
    assert encoder.tokens(torch.ones(1, 3, 4, 32, 32)).patch_BTHWD.shape[-1] == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("good_one:number", "TypeError"),
        ("good_one:other", r"no encoder \(int\)"),
        ("good_one:failing", "ValueError: no weights here"),
        ("good_one:nothing", "cannot load 'good_one:nothing'"),
        ("good_one:a/b", "expected MODULE:OBJECT"),
        ("no_such_thing", "no such file, run folder, zoo entry or model"),
    ],
)
def test_what_is_no_encoder_is_refused(package, name, said):
    package("good-one", "")
    with pytest.raises(UserError, match=said):
        candidate(name, None, None, None, None)


@pytest.mark.parametrize("more", [("sigma", None, None), (None, 3, None), (None, None, "sigma_mlp_k400_b800")])
def test_options_that_a_module_would_not_hear_of_are_refused(package, more):
    package("good-one", "[sigma_bench.models]\nmine = good_one:Tiny\n")
    for name in ("mine", "good_one:Tiny"):
        with pytest.raises(UserError, match="leave out --family, --heads, --as"):
            candidate(name, *more, None)


def test_the_data_set_of_an_object_lies_in_the_folder_of_its_name(tmp_path):
    from sigma_bench.data import roots

    (tmp_path / "diving").mkdir()
    assert roots.folder("good_one.sets:diving", tmp_path) == tmp_path / "diving"
