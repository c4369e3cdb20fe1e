"""Checking a data set: what is missing, unreadable or short, told per list and class; each file decoded once."""

import json
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import charades
from sigma_bench.data.decode import backends, decord_backend
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.miniatures import video
from sigma_bench.runs import probing
from sigma_bench.runs.check import check, render
from sigma_bench.runs.check.gather import Look, check_set
from sigma_bench.runs.check.lists import ReadList, compared
from sigma_bench.runs.probing import Findings

GROUPS = ("g01", "g08")
SOUND_BUT_SHORT = (
    "the sample's frames 16 to 20 are not in the file, which has 16; check the list, or whether the file is the right "
    "one"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    """A UCF101 of two classes with two clips each, all three folds, two of its clips short."""
    folder = tmp_path / "root" / "ucf101"
    (folder / "ucfTrainTestlist").mkdir(parents=True)
    (folder / "ucfTrainTestlist" / "classInd.txt").write_text("1 Run\n2 Jump\n")
    for label, name in enumerate(("Run", "Jump"), 1):
        (folder / "UCF-101" / name).mkdir(parents=True)
        for number, group in enumerate(GROUPS):
            clip = folder / "UCF-101" / name / f"v_{name}_{group}_c01.avi"
            frames = np.random.default_rng(label).integers(0, 255, (16 if number else 5, 32, 32, 3), dtype=np.uint8)
            video.encode(clip, frames, 10)
    clips = {g: [f"{n}/v_{n}_{g}_c01.avi" for n in ("Run", "Jump")] for g in GROUPS}
    for fold in (1, 2, 3):
        train, test = GROUPS if fold == 2 else reversed(GROUPS)
        lines = [f"{clip} {1 + (clip[0] == 'J')}\n" for clip in clips[train]]
        (folder / "ucfTrainTestlist" / f"trainlist0{fold}.txt").write_text("".join(lines))
        (folder / "ucfTrainTestlist" / f"testlist0{fold}.txt").write_text("".join(f"{c}\n" for c in clips[test]))
    return tmp_path / "root"


def clip(root, name, group):
    return root / "ucf101" / "UCF-101" / name / f"v_{name}_{group}_c01.avi"


def found(root, *names, **more):
    lines, code = check(names or ["ucf101"], root, workers=1, as_json=True, **more)
    sets = json.loads(lines[0])["sets"]
    return {(e["split"], e["fold"]): e for s in sets for e in s["lists"]}, code


def test_a_whole_data_set_is_well_and_short_clips_are_no_fault(root):
    entries, code = found(root)
    assert code == 0
    assert set(entries) == {(split, fold) for split in ("train", "test") for fold in (1, 2, 3)}
    assert entries["test", 1]["short"] == {"v_Run_g01_c01": 5, "v_Jump_g01_c01": 5}
    assert entries["train", 1]["short"] == {}
    lines, _ = check(["ucf101"], root, workers=1)
    assert "; that is no fault (fewest: 5 frames of v_Run_g01_c01)" in lines[-3]
    assert lines[-2] == "  well: every listed sample is there (every frame was decoded)"
    assert "other, published: 9,537" in lines[2]


def test_faults_are_told_per_list_and_class(root):
    clip(root, "Run", "g01").unlink()
    clip(root, "Jump", "g01").write_bytes(b"no video")
    entries, code = found(root)
    entry = entries["test", 1]
    assert code == 1
    assert (entry["listed"], entry["present"], entry["missing"]) == (2, 1, ["v_Run_g01_c01"])
    assert "not a media file" in entry["unreadable"]["v_Jump_g01_c01"]
    assert [(c["name"], c["listed"], c["missing"], c["unreadable"]) for c in entry["classes"]] == [
        ("Run", 1, 1, 0),
        ("Jump", 1, 0, 1),
    ]
    assert entries["train", 1]["missing"] == []
    text = "\n".join(check(["ucf101"], root, workers=1)[0])
    assert text.count("v_Run_g01_c01") == 1  # though it is in three lists
    assert "missing     v_Run_g01_c01 (train 2, test 1, test 3)" in text
    assert "not complete: usable of train 2 0 %, test 1 0 %, test 3 0 %" in text


def test_each_file_is_decoded_once_and_again_only_when_it_changed(root, monkeypatch):
    from sigma_bench.data.decode import probe

    asked = []

    def counted(paths, *arguments, **more):
        asked.append(len(paths))
        return original(paths, *arguments, **more)

    original = probe.stream
    monkeypatch.setattr(probe, "stream", counted)
    found(root)
    found(root, fold=2)
    assert asked == [4]
    clip(root, "Run", "g08").write_bytes(b"changed")
    assert found(root)[1] == 1
    assert asked == [4, 1]


def test_an_interrupted_check_goes_on(root, monkeypatch, capsys):
    from sigma_bench.data.decode import probe

    original = probe.stream

    def broken(paths, *arguments, **more):
        for number, record in enumerate(original(paths, *arguments, **more)):
            if number == 3:
                raise KeyboardInterrupt
            yield record

    monkeypatch.setattr(probe, "stream", broken)
    with pytest.raises(KeyboardInterrupt):
        found(root)
    assert "check ucf101: 3 of 4 files were looked at; the next check goes on" in capsys.readouterr().err
    seen = []
    monkeypatch.setattr(probe, "stream", lambda paths, *a, **m: seen.extend(paths) or original(paths, *a, **m))
    assert found(root)[1] == 0
    assert len(seen) == 1


def test_what_is_found_is_written_now_and_then(root, monkeypatch):
    writes = []
    monkeypatch.setattr(probing, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(probing, "_write", lambda root, known: writes.append(len(known)))
    Findings(root / "ucf101", "pyav").probe(
        [str(clip(root, name, "g08").relative_to(root / "ucf101")) for name in ("Run", "Jump")], 1, "check", whole=True
    )
    assert writes == [1, 2, 2]


def test_two_checks_at_once_keep_what_both_find(root):
    paths = [str(clip(root, name, "g08").relative_to(root / "ucf101")) for name in ("Run", "Jump")]
    both = [Findings(root / "ucf101", "pyav") for _ in paths]
    for findings, path in zip(both, paths, strict=True):
        findings.probe([path], 1, "check", whole=True)
    after = Findings(root / "ucf101", "pyav")
    assert [after.get(path).count for path in paths] == [16, 16]


def test_two_checks_that_write_at_the_same_moment_keep_both(root, monkeypatch):
    paths = [str(clip(root, name, "g08").relative_to(root / "ucf101")) for name in ("Run", "Jump")]
    both = [Findings(root / "ucf101", "pyav") for _ in paths]
    for findings, path in zip(both, paths, strict=True):
        findings.probe([path], 1, "check", whole=True)
    probing._file(root / "ucf101").unlink()
    read = probing._read

    def slow(folder):
        known = read(folder)
        time.sleep(0.2)
        return known

    monkeypatch.setattr(probing, "_read", slow)
    threads = [threading.Thread(target=f._keep, args=({path},)) for f, path in zip(both, paths, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = Findings(root / "ucf101", "pyav")
    assert [after.get(path).count for path in paths] == [16, 16]


def test_missing_samples_are_named_in_the_order_of_the_list(root):
    names = [f"v_Run_g{n:02d}_c01" for n in (40, 7, 33, 12, 28, 19, 51, 3)]
    (root / "ucf101/ucfTrainTestlist/testlist01.txt").write_text("".join(f"Run/{name}.avi\n" for name in names))
    assert found(root, fold=1, quick=True)[0]["test", 1]["missing"] == names


def test_a_list_that_lacks_anything_is_never_called_100_percent_usable(root):
    samples = [Sample(f"a{n}", "UCF-101/Run/v_Run_g08_c01.avi", 0, "x") for n in range(2999)]
    index = Index.build("set", "test", root / "ucf101", ["Run"], [*samples, Sample("b", "gone.avi", 0, "x")])
    report = check_set("set", root, "here", [ReadList("test", 1, index)], [], Look("pyav", 1, quick=True))
    assert "usable of test 99.9 %" in render.verdict(report)


def test_a_cache_that_cannot_be_written_is_told_and_the_check_goes_on(root, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file, no folder")
    assert found(root)[1] == 0
    assert "SIGMA_BENCH_CACHE names another place" in capsys.readouterr().err


def test_three_frames_do_not_stand_for_a_whole_file(root, shared):
    shutil.copy(shared / "real/corrupt/broken_middle.mp4", root / "a.mp4")
    findings = Findings(root, "pyav")
    findings.probe(["a.mp4"], 1, "check", whole=False)
    three = findings.get("a.mp4")
    findings.probe(["a.mp4"], 1, "check", whole=True)
    assert findings.get("a.mp4").whole
    assert not three.whole
    assert findings.get("a.mp4").reason
    assert Findings(root, "decord").get("a.mp4") is None
    assert Findings(root, "pyav").get("a.mp4") == findings.get("a.mp4")


def test_a_damaged_cache_is_told_and_made_anew(root, tmp_path, capsys):
    found(root)
    [file] = (tmp_path / "cache" / "probe").rglob("*.json")
    file.write_text(json.dumps({"version": probing.VERSION, "files": {"a": {}}}))
    assert found(root)[1] == 0
    assert "cannot be read; its files are decoded again" in capsys.readouterr().err


def test_quick_decodes_nothing_and_finds_absent_and_empty_files(root, tmp_path):
    clip(root, "Run", "g01").unlink()
    clip(root, "Jump", "g01").write_bytes(b"")
    clip(root, "Jump", "g08").write_bytes(b"not looked into")
    entries, code = found(root, quick=True)
    assert code == 1
    assert entries["test", 1]["missing"] == ["v_Run_g01_c01"]
    assert entries["test", 1]["unreadable"] == {"v_Jump_g01_c01": "an empty file"}
    assert entries["train", 1]["unreadable"] == {}
    assert "  train 1       2        2        0           0      -  " in check(["ucf101"], root, quick=True)[0][2]
    assert not (tmp_path / "cache" / "probe").exists()


def test_samples_of_one_file_share_what_is_found_of_it(root):
    file = "UCF-101/Run/v_Run_g08_c01.avi"
    samples = [
        Sample("a", file, 0, "x", 0, 16),
        Sample("b", file, 0, "x", 4, 8),
        Sample("c", file, 0, "x", 16, 20),
        Sample("d", file, -1, "x", labels=(0, 1)),
        Sample("e", file, 0, "x", 3, 4),
    ]
    index = Index.build("many", "train", root / "ucf101", ["Run", "Jump"], samples, ["cut short"])
    report = check_set("many", root, "here", [ReadList("train", 1, index)], [], Look("pyav", 1))
    [entry] = report.lists
    assert entry.short == {"b": 4}  # "e" is one still frame
    assert entry.unreadable == {"c": SOUND_BUT_SHORT}
    assert [(c.name, c.listed, c.unreadable) for c in entry.classes] == [("Run", 5, 1), ("Jump", 1, 0)]
    assert entry.notes == ("cut short",)
    assert "  note  train: cut short" in render.lines(report, classes=False)


def test_samples_in_seconds_are_counted_in_frames_too(root):
    file = "UCF-101/Run/v_Run_g08_c01.avi"  # 16 frames at 10 a second
    spans = {"whole": (0.0, 1.6), "short": (0.35, 0.75), "beyond": (0.5, 9.0), "after": (1.7, 2.0)}
    samples = [Sample(name, file, 0, "x", start_s=a, end_s=b) for name, (a, b) in spans.items()]
    index = Index.build("uncut", "train", root / "ucf101", ["Run"], samples)
    [entry] = check_set("uncut", root, "here", [ReadList("train", 1, index)], [], Look("pyav", 1)).lists
    assert entry.short == {"short": 4, "beyond": 11}
    assert list(entry.unreadable) == ["after"]
    assert "begin after the file's end at 1.600" in entry.unreadable["after"]


def test_a_folder_of_frames_takes_the_rate_of_its_list(root):
    frames = root / "ucf101" / "frames"
    frames.mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32)).save(frames / f"{number + 1:05d}.png")
    rates = {"known": 2.0, "unknown": None}
    samples = [Sample(name, "frames", 0, "x", start_s=0.5, end_s=1.5, fps=fps) for name, fps in rates.items()]
    index = Index.build("uncut", "train", root / "ucf101", ["Run"], samples)
    [entry] = check_set("uncut", root, "here", [ReadList("train", 1, index)], [], Look("pyav", 1)).lists
    assert entry.short == {"known": 2}
    assert "neither the file nor the list says" in entry.unreadable["unknown"]


@pytest.mark.parametrize("quick", [True, False])
def test_a_frame_absent_from_a_folder_of_charades_is_told(root, quick):
    folder = root / "charades"
    for name in ("AAAA1", "AAAA2"):
        (folder / "Charades_v1_rgb" / name).mkdir(parents=True)
        for number in range(1, 31):
            Image.new("RGB", (8, 8)).save(folder / "Charades_v1_rgb" / name / f"{name}-{number:06d}.jpg")
    (folder / "Charades_v1_classes.txt").write_text("c000 Running\n")
    for split, name in (("train", "AAAA1"), ("test", "AAAA2")):
        row = f"{name},S1,Kitchen,5,6,Yes,Runs.,door,Runs.,c000 0.20 1.00,1.25\n"
        (folder / f"Charades_v1_{split}.csv").write_text(",".join(charades.HEADER) + "\n" + row)
    assert found(root, "charades", quick=quick)[1] == 0
    (folder / "Charades_v1_rgb" / "AAAA2" / "AAAA2-000017.jpg").unlink()
    lists, code = found(root, "charades", quick=quick)
    assert code == 1
    assert lists["train", 1]["unreadable"] == {}
    assert lists["test", 1]["unreadable"]["AAAA2"].startswith("frame 18 follows frame 16, where frames are 1 apart; ")


def test_without_decord_a_check_is_by_pyav_and_says_so(root, monkeypatch):
    monkeypatch.setattr(decord_backend.Backend, "unavailable", lambda self: "not here")
    backends.pick.cache_clear()
    try:
        text = "\n".join(check(["ucf101"], root, workers=1)[0])
    finally:
        backends.pick.cache_clear()
    assert "note  decord is not installed here: pyav read the videos" in text


def test_masks_are_looked_at_too(root, monkeypatch):
    from sigma_bench.data import masks

    folder = root / "ucf101"
    index = Index.build("set", "val", folder, [], [Sample("Run", "UCF-101/Run/v_Run_g08_c01.avi", -1, "x", masks="m")])
    monkeypatch.setattr(masks, "mask_problems", lambda index: {index.ids[0]: "no such mask"})
    report = check_set("set", folder, "here", [ReadList("val", 1, index)], [], Look("pyav", 1))
    assert report.lists[0].masks == {"Run": "no such mask"}
    assert report.wrong == 1


def test_a_fold_without_lists_is_left_out_with_a_word_unless_it_is_asked_for(root):
    (root / "ucf101" / "ucfTrainTestlist" / "trainlist03.txt").unlink()
    lines, code = check(["ucf101"], root, workers=1)
    assert code == 0
    assert any(line.startswith("  note  train of fold 3 is left out") for line in lines)
    with pytest.raises(UserError, match="trainlist03"):
        check(["ucf101"], root, fold=3)


def test_all_takes_what_is_found_and_tells_the_others(root):
    (root / "hmdb51").mkdir()
    lines, code = check([], root, every=True, workers=1)
    text = "\n".join(lines)
    assert code == 1  # hmdb51 is there without lists
    assert f"ucf101  {root / 'ucf101'} (--data-root)" in text
    assert "hmdb51  cannot be read: no split files" in text
    assert f"k400  not found: looked at {root / 'k400'} (--data-root)" in text
    with pytest.raises(UserError, match=r"no data set is found in .*nowhere \(--data-root\); `sigma-bench data where`"):
        check([], root / "nowhere", every=True)
    with pytest.raises(
        UserError, match=r"nowhere/miniature \(--data-root\); write them: sigma-bench data miniature all"
    ):
        check([], root / "nowhere", every=True, data="miniature")


def test_a_faulty_entry_for_one_set_does_not_hide_the_others(root, tmp_path, monkeypatch):
    (tmp_path / "data.yaml").write_text("datasets: {k400: gone}\n")
    monkeypatch.setenv("SIGMA_BENCH_CONFIG", str(tmp_path / "data.yaml"))
    monkeypatch.setenv("SIGMA_BENCH_DATA", str(root))
    lines, code = check([], None, every=True, workers=1)
    assert code == 1
    assert lines[0] == f"ucf101  {root / 'ucf101'} ($SIGMA_BENCH_DATA)"
    assert any(line.startswith("k400  cannot be read: ") and "data.yaml:1" in line for line in lines)


def test_a_generated_set_is_looked_for_among_the_generated_ones(root):
    (root / "ucf101" / "miniature.json").write_text("{}")
    (root / "miniature").mkdir()
    (root / "ucf101").rename(root / "miniature" / "ucf101")
    lines, code = check(["ucf101"], root, data="miniature", workers=1)
    assert code == 0
    assert lines[2].endswith("generated")


def test_every_class_is_shown_when_asked_for(root):
    lines, _ = check(["ucf101"], root, workers=1, fold=1, classes=True)
    assert [line.split() for line in lines if line.endswith((" Run", " Jump"))] == [
        ["train", "1", "0", "0", "0", "Run"], ["train", "1", "0", "0", "0", "Jump"],
        ["test", "1", "0", "0", "1", "Run"], ["test", "1", "0", "0", "1", "Jump"]]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        ([], {}, "--all"),
        (["ucf101"], {"every": True}, "--all"),
        (["ucf"], {}, "unknown dataset 'ucf'"),
        (["video_list"], {}, "reader of any folder"),
        (["ucf101"], {"data": "mini"}, "--data mini"),
        (["k400"], {}, "no data at"),
    ],
)
def test_mistakes_are_told(root, names, more, said):
    with pytest.raises(UserError, match=said):
        check(names, root, **more)


def test_a_published_list_is_told_by_hash_then_by_count():
    index = Index.build("ucf101", "train", ".", ["a"], [(str(i), str(i), 0, "g") for i in range(3570)])
    assert compared("hmdb51", ReadList("train", 1, index), False) == "other, of the same 3,570"
    assert compared("hmdb51", ReadList("test", 1, index), False) == "other, published: 1,530"
    assert compared("mine", ReadList("test", 1, index), False) == "published list not known here"
