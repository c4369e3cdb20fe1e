"""Several checkpoints in one call: short names of the zoo, and one that fails."""

from types import SimpleNamespace

import pytest
import yaml

from sigma_bench.contracts import UserError
from sigma_bench.runs import evaluate, fetch, systems
from sigma_bench.spec import load
from sigma_bench.spec.zoo import Zoo


@pytest.mark.parametrize("name", ["sigma_mlp", "videomae", "mvd", "mgmae"])
def test_a_short_name_stands_for_an_entry_of_the_compared_tables(name, golden, monkeypatch):
    asked = []

    def fetched(name, entry):
        asked.append((name, entry))
        raise UserError("no network")

    monkeypatch.setattr(fetch, "fetch_entry", fetched)
    with pytest.raises(UserError, match="no network"):
        systems.candidate(name, None, None, None, None)
    assert asked == [(load.zoo().short[name], load.zoo().entries[load.zoo().short[name]])]
    facts = asked[0][1]
    assert (facts.backbone, facts.pretrain_data) == ("ViT-B", "K400")
    with pytest.raises(UserError, match=f"--as {load.zoo().short[name]}: it is"):
        systems.candidate(str(golden / "ckpt_sigma.pth"), None, 3, name, None)


@pytest.mark.parametrize(("short", "entry"), [("brief", "nothing"), ("known", "known")])
def test_a_short_name_is_no_entry_and_stands_for_one(short, entry):
    known = next(entry for entry in load.zoo().entries.values() if entry.wanted is not None)
    with pytest.raises(ValueError, match=f"short name {short}: {entry} must be an entry, and {short} none"):
        Zoo(title="t", version=1, short={short: entry}, entries={"known": known})


@pytest.fixture
def own_zoo(tmp_path):
    """A folder of specs whose zoo describes the golden files of two families."""
    known = {"backbone": "ViT-48x2/8", "pretrain_data": "K400", "heads": 3, "verified": "golden"}
    source = {"host": "page", "repo": "own/er", "path": "https://example.org/file"}
    entries = {
        f"{family}_k400": {
            **known,
            "system": family,
            "method": family.upper(),
            "family": family,
            "sources": [dict(source)],
        }
        for family in ("mvd", "mgmae")
    }
    content = {"title": "A zoo", "version": 1, "short": {"mgmae": "mgmae_k400"}, "entries": entries}
    (tmp_path / "specs" / "eval").mkdir(parents=True)
    (tmp_path / "specs" / "eval" / "zoo.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "specs"


@pytest.mark.parametrize(
    ("name", "file", "family"),
    [("mvd_k400", "ckpt_mvd.pth", "mvd"), ("mgmae", "ckpt_mgmae_orig_mod.pth", "mgmae")],
)
def test_a_file_got_by_hand_is_read_and_described_as_its_entry(name, file, family, golden, own_zoo):
    found = systems.candidate(f"{name}={golden / file}", None, None, None, own_zoo)
    assert (found.description["system"], found.description["method"]) == (family, family.upper())
    assert (found.description["family"], found.description["family_guessed"]) == (family, False)
    assert found.encoder("cpu").spec.heads == 3
    assert found.marks == ()


def test_what_is_wrong_with_a_named_file_is_said(golden, own_zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = golden / "ckpt_mvd.pth"
    for name, as_system, said in (
        (f"mdv_k400={file}", None, "before '=' no zoo entry"),
        ("mvd_k400=nothing.pth", None, "nothing.pth: no such file"),
        (f"mvd_k400={file}", "mgmae", "leave out --as mgmae"),
        (f"mgmae={file}", None, "tensors are those of mvd"),
    ):
        with pytest.raises(UserError, match=said):
            systems.candidate(name, None, None, as_system, own_zoo)
    (tmp_path / "mvd_k400=mine.pth").write_bytes(file.read_bytes())
    assert "method" not in systems.candidate("mvd_k400=mine.pth", None, 3, None, own_zoo).description


def test_one_that_fails_stops_none_and_its_fault_is_shown(monkeypatch, tmp_path, capsys):
    measured = []

    def build(request, number):
        name = request.checkpoints[number]
        if name == "broken":
            raise RuntimeError("out of memory")
        if name == "absent":
            raise UserError("--ckpt absent: no such file")
        return SimpleNamespace(headline=name, classifier=None)

    def measure(system, tasks, runs, suite, request, store):
        measured.append(system.headline)
        return True, True

    monkeypatch.setattr(evaluate, "_candidate", build)
    monkeypatch.setattr(evaluate, "_evaluate", measure)
    monkeypatch.setattr(evaluate, "runnable", lambda *_: True)

    def code(*checkpoints):
        return evaluate.evaluate_here(
            evaluate.Request(
                list(checkpoints),
                tasks=["linear/ucf101"],
                device="cpu",
                out=tmp_path / "out",
                results=tmp_path / "rows",
                workers=1,
            )
        )

    assert code("one", "broken", "absent", "two") == 1
    assert measured == ["one", "two"]
    said = capsys.readouterr().err
    assert "not run: broken: RuntimeError: out of memory" in said
    assert "Traceback" in said  # of the unexpected fault
    assert "not run: --ckpt absent: no such file" in said
    assert code("one") == 0
    assert code("broken", "absent") == 2
