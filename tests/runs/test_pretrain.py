"""The run folder: who may write in it, with which data, and what a start that fails leaves."""

import json

import pytest
from filelock import FileLock

from sigma_bench.contracts import UserError
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.runs import data as places
from sigma_bench.runs.check import check
from sigma_bench.runs.pretrain import Request
from sigma_bench.runs.pretrain import pretrain as run
from sigma_bench.spec import roots
from sigma_bench.train import state

SETS = ["train.steps=2", "train.warmup_steps=1", "train.epochs=null", "train.warmup_epochs=null", "train.save_every=1",
        "train.threads=1", "train.global_batch=4", "train.precision=fp32"]  # fmt: skip


def pretrain(name, **asked):
    return run(Request(name, **asked))


@pytest.fixture
def videos(tmp_path):
    """A folder with some clips and a list of them, as K400 has it, and the common arguments of a training on it."""
    write(tmp_path / "made", seed=0, groups=8, clips_per_group=1)
    folder = tmp_path / "root" / "k400"
    folder.mkdir(parents=True)
    for number, file in enumerate(sorted((tmp_path / "made").rglob("*.avi"))[:8]):
        file.rename(folder / f"a b[{number}].avi")
    lines = [f"{file.name} 0\n" for file in sorted(folder.iterdir())]
    (folder / "train.csv").write_text("".join(lines))
    common = {"data": "k400", "size": "nano", "data_root": tmp_path / "root", "device": "cpu", "workers": 1}
    return folder, {**common, "sets": SETS}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))


def test_a_list_under_the_data_root_is_trained_on_and_a_resume_needs_the_same_samples(videos, tmp_path):
    folder, common = videos
    last = pretrain("videomae", out=tmp_path / "run", **common)
    assert last.name == "step-0000002.pt"
    saved = json.loads((tmp_path / "run" / "data.json").read_text())
    assert saved["trained_on"] == 8
    assert sum(saved["decoders"].values()) >= 8
    last.unlink()
    kept = (folder / "train.csv").read_text()
    (folder / "train.csv").write_text(kept.replace("a b[0].avi 0\n", ""))
    with pytest.raises(UserError, match="begun on 8 samples, now there are 7"):
        pretrain("videomae", out=tmp_path / "run", resume=True, **common)
    (folder / "train.csv").write_text(kept)
    assert pretrain("videomae", out=tmp_path / "run", resume=True, **common) == last


def test_a_second_process_is_kept_out(videos, tmp_path):
    (tmp_path / "run").mkdir()
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(UserError, match="another process trains in it"),
    ):
        pretrain("videomae", out=tmp_path / "run", **videos[1])


def test_a_start_that_fails_does_not_occupy_the_folder(videos, tmp_path):
    folder, common = videos
    for file in folder.glob("*.avi"):
        file.rename(tmp_path / file.name)
        file.write_bytes(b"junk")
    with pytest.raises(UserError, match="nothing to train on"):
        pretrain("videomae", out=tmp_path / "run", **common)
    assert not (tmp_path / "run").exists()
    for file in folder.glob("*.avi"):
        (tmp_path / file.name).rename(file)
    assert pretrain("videomae", out=tmp_path / "run", **common).name == "step-0000002.pt"


def test_a_cache_that_cannot_be_written_stops_nothing(videos, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "file"))
    pretrain("videomae", out=tmp_path / "run", **videos[1])
    assert "is not kept for the next time" in capsys.readouterr().err


def test_a_resume_before_the_first_checkpoint_begins_the_log_anew(videos, tmp_path):
    pretrain("videomae", out=tmp_path / "run", **videos[1])
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.unlink()
    pretrain("videomae", out=tmp_path / "run", resume=True, **videos[1])
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def garble(run):
    """Spoil a run folder in ways that a resume has to meet with a word; return (what was done, what is said)."""
    newest = sorted((run / "checkpoints").glob("step-*.pt"))[-1]
    texts = {name: (run / name).read_bytes() for name in ("recipe.yaml", "data.json")}
    for content in (b"[]", b"{}", b"{", b"\xff\xfe"):
        (run / "data.json").write_bytes(content)
        yield "data.json: missing or damaged"
    (run / "data.json").write_bytes(texts["data.json"])
    (run / "recipe.yaml").write_bytes(b"\xff\xfe")
    yield "differs from the recipe asked for"
    (run / "recipe.yaml").unlink()
    yield "recipe.yaml: missing, so the settings"
    (run / "recipe.yaml").write_bytes(texts["recipe.yaml"])
    state.save(newest, {"model": {}, "step": 1})
    yield "does not hold a training of this model"
    (run / "checkpoints").rename(run / "old")
    (run / "checkpoints").write_text("")
    yield "is a file, and checkpoints need a folder"


def test_a_spoilt_run_folder_is_met_with_a_word(videos, tmp_path):
    run = tmp_path / "run"
    pretrain("videomae", out=run, **videos[1])
    for file in (run / "checkpoints").glob("step-*2.pt*"):
        file.unlink()
    for said in garble(run):
        with pytest.raises(UserError, match=said):
            pretrain("videomae", out=run, resume=True, **videos[1])


def test_a_list_without_test_part_can_be_checked(videos, tmp_path):
    (videos[0] / "a b[0].avi").write_bytes(b"junk")
    lines, code = check(["k400"], tmp_path / "root", workers=1)
    assert code == 1
    assert lines[2].split()[:6] == ["train", "8", "8", "0", "1", "7"]


def test_official_lists_are_found_where_a_plain_list_may_be(tmp_path):
    folder = tmp_path / "ssv2"
    folder.mkdir()
    (folder / "labels.json").write_text('{"Closing something": "0"}')
    entries = [{"id": i, "template": "Closing [something]"} for i in "312"]
    (folder / "train.json").write_text(json.dumps(entries))
    (folder / "1.webm").touch()
    assert places.pretraining_index("ssv2", tmp_path).ids == ("1", "2", "3")
    assert places.pretraining_index("mini_ssv2", tmp_path).count == 2
    lines, code = check(["ssv2"], tmp_path, workers=1)
    assert lines[2].split()[:6] == ["train", "3", "1", "2", "1", "0"]
    assert code == 1
    with pytest.raises(UserError, match=r"no data at .*k400 \(--data-root\); put the data set there as it.*train.csv"):
        places.pretraining_index("k400", tmp_path)
    (tmp_path / "ucf101").mkdir()
    (tmp_path / "ucf101" / "train.csv").write_text("a.avi 0\n")
    assert places.pretraining_index("ucf101", tmp_path).ids == ("a.avi",)


def test_an_own_recipe_does_not_carry_the_name_of_the_published_method(videos, tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text(roots.find("pretrain", "videomae").read_text())
    path = pretrain(str(own), out=tmp_path / "run", **videos[1])
    assert state.load(path)["system"]["method"] == ""


def test_folder_without_a_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="names no folder"):
        places.pretraining_index("folder:", tmp_path)


def test_a_resume_needs_the_same_generated_videos_under_the_same_ids(videos, tmp_path):
    place = tmp_path / "mini"
    common = {**videos[1], "data": f"folder:{place}/UCF-101", "out": tmp_path / "run"}
    write(place, seed=0, groups=8, clips_per_group=1)
    last = pretrain("videomae", **common)
    last.unlink()
    write(place, seed=1, groups=8, clips_per_group=1)
    with pytest.raises(UserError, match=r"begun on other generated videos than those in .*UCF-101 now"):
        pretrain("videomae", resume=True, **common)
    write(place, seed=0, groups=8, clips_per_group=1)
    assert pretrain("videomae", resume=True, **common) == last
    saved = json.loads((tmp_path / "run" / "data.json").read_text())
    assert sum(saved["decoders"].values()) == 8  # two steps of four, one of them before the break
