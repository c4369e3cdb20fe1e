import json
import os
import shutil

import av
import numpy as np
import pytest
from filelock import FileLock

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import finegym, folder, ssv2, ucf101
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.miniatures import video
from sigma_bench.data.miniatures.publish import MARKER, publish
from sigma_bench.data.packing import pack
from sigma_bench.data.transcode import Request, Settings, psnr
from sigma_bench.runs.transcode import JOURNAL, REPORT, plan, transcode


def clip(path, seed, frames=20, fps=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (frames, 8, 11, 3), dtype=np.uint8)
    video.encode(path, coarse.repeat(4, 1).repeat(4, 2), fps)


def run(name, out, root=None, **more):
    settings = Settings(**{"short_side": 24, **more})
    return transcode(name, out=out, data="official", data_root=root, workers=1, settings=settings)


@pytest.fixture
def ucf(tmp_path):
    root = tmp_path / "data" / "ucf101"
    names = ["Jump/v_Jump_g01_c01.avi", "Run/v_Run_g01_c01.avi", "Run/v_Run_g02_c01.avi"]
    for seed, name in enumerate(names):
        clip(root / "UCF-101" / name, seed)
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Jump\n2 Run\n")
    (lists / "trainlist01.txt").write_text(f"{names[0]} 1\n{names[1]} 2\n")
    (lists / "testlist01.txt").write_text(f"{names[2]}\n")
    return root


def test_the_copy_is_a_data_root_that_the_same_reader_reads(ucf, tmp_path):
    lines, code = run("ucf101", tmp_path / "out", ucf.parent)
    assert code == 0
    assert lines[0].startswith("re-encoded: 3 of 3 videos (0 of an earlier run)")
    assert "decord 0.6.0" in lines[-1] or "pyav" in lines[-1]
    for split in ("train", "test"):
        before, after = ucf101.read(ucf, split), ucf101.read(tmp_path / "out" / "ucf101", split)
        assert after.table.equals(before.table)
        assert not after.missing()
        for row in range(after.count):
            reader = pick("pyav").open(after.path(row))
            assert (reader.count, reader.height, reader.width) == (20, 24, 32)
    report = json.loads((tmp_path / "out" / "ucf101" / REPORT).read_text())
    assert report["decoding"]["files"] == 3
    assert report["left_out"] == {}
    assert report["settings"] == {"short_side": 24, "gop": 12, "crf": 18}


def stamps(root):
    return {path: path.stat().st_mtime_ns for path in sorted(root.rglob("*.avi"))}


def test_a_second_run_makes_only_what_is_not_there_as_asked(ucf, tmp_path):
    out = tmp_path / "out" / "ucf101"
    run("ucf101", tmp_path / "out", ucf.parent)
    first = stamps(out)
    assert "(3 of an earlier run)" in run("ucf101", tmp_path / "out", ucf.parent)[0][0]
    assert stamps(out) == first
    gone, changed, same = first
    gone.unlink()
    clip(ucf / changed.relative_to(out), 9)
    with open(out / JOURNAL, "a") as file:
        file.write('{"target": "cut sho')  # a kill in the middle of a line
    lines, code = run("ucf101", tmp_path / "out", ucf.parent)
    assert (code, "(1 of an earlier run)" in lines[0]) == (0, True)
    again = stamps(out)
    assert [again[p] == first[p] for p in (gone, changed, same)] == [False, False, True]
    assert "(3 of an earlier run)" in run("ucf101", tmp_path / "out", ucf.parent)[0][0]
    assert "(0 of an earlier run)" in run("ucf101", tmp_path / "out", ucf.parent, gop=8)[0][0]


def test_an_output_that_was_changed_is_made_anew(ucf, tmp_path):
    run("ucf101", tmp_path / "out", ucf.parent)
    victim = next(iter(stamps(tmp_path / "out")))
    content = victim.read_bytes()
    victim.write_bytes(b"damaged")
    assert "(2 of an earlier run)" in run("ucf101", tmp_path / "out", ucf.parent)[0][0]
    assert victim.read_bytes() == content


def test_broken_sources_are_named_and_left_out(shared, tmp_path):
    source = tmp_path / "mixed"
    source.mkdir()
    for name in ("broken_middle.mp4", "zero_bytes.mp4", "one_frame.mp4"):
        (source / name).symlink_to(shared / "real" / "corrupt" / name)
    (source / "sub").mkdir()
    (source / "sub" / "turned.mov").symlink_to(shared / "real" / "videos" / "rotated90_3frames.mov")
    (source / "notes.txt").write_text("kept")
    lines, code = run(f"folder:{source}", tmp_path / "out", short_side=64)
    assert code == 1
    assert any("broken_middle.mp4: 21 of 57 frames" in line for line in lines)
    assert folder.read(tmp_path / "out").ids == ("one_frame.mp4", "sub/turned.mp4")
    assert (tmp_path / "out" / "notes.txt").read_text() == "kept"
    left_out = json.loads((tmp_path / "out" / REPORT).read_text())["left_out"]
    assert sorted(left_out) == [str(source / "broken_middle.mp4"), str(source / "zero_bytes.mp4")]
    assert not [name for _, _, names in os.walk(tmp_path / "out") for name in names if name.startswith(".")]


def test_a_source_that_breaks_later_leaves_the_copy(ucf, tmp_path):
    run("ucf101", tmp_path / "out", ucf.parent)
    path = next(iter(stamps(ucf)))
    path.write_bytes(b"nothing")
    assert run("ucf101", tmp_path / "out", ucf.parent)[1] == 1
    assert not (tmp_path / "out" / "ucf101" / path.relative_to(ucf)).exists()


def test_a_folder_that_holds_something_else_is_left_alone(ucf, tmp_path):
    for place in ("UCF-101/Jump/v_Jump_g01_c01.avi", "ucfTrainTestlist/classInd.txt"):
        path = tmp_path / "other" / "ucf101" / place
        path.parent.mkdir(parents=True)
        path.write_bytes(b"theirs")
    before = {path: path.stat() for path in (tmp_path / "other" / "ucf101").rglob("*")}
    with pytest.raises(UserError, match=r"ucf101 holds files and is no re-encoded copy.*--out"):
        run("ucf101", tmp_path / "other", ucf.parent)
    assert {path: path.stat() for path in (tmp_path / "other" / "ucf101").rglob("*")} == before


def test_what_is_no_file_is_named_before_anything_is_written(tmp_path):
    clip(tmp_path / "in" / "a.mp4", 1)
    for place in (lambda path: path.symlink_to(tmp_path / "nowhere"), os.mkfifo):
        place(tmp_path / "in" / "notes.txt")
        with pytest.raises(UserError, match=r"notes\.txt is no regular file, or a link to none"):
            run(f"folder:{tmp_path / 'in'}", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        (tmp_path / "in" / "notes.txt").unlink()


def test_two_runs_at_once_are_told_apart(ucf, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".ucf101.lock"), pytest.raises(UserError, match="another process writes to"):
        run("ucf101", tmp_path / "out", ucf.parent)


def test_copies_of_two_sources_are_never_mixed(ucf, tmp_path):
    for name in ("one", "two"):
        clip(tmp_path / name / f"{name}.mp4", 1)
    run(f"folder:{tmp_path / 'one'}", tmp_path / "out")
    with pytest.raises(UserError, match=r"out/one\.mp4 was made of .*one/one\.mp4, which is no file of .*two"):
        run(f"folder:{tmp_path / 'two'}", tmp_path / "out")
    (tmp_path / "one" / "one.mp4").rename(tmp_path / "one" / "renamed.mp4")
    with pytest.raises(UserError, match=r"out/one\.mp4 was made of .*no file of"):
        run(f"folder:{tmp_path / 'one'}", tmp_path / "out")
    (tmp_path / "out" / "one.mp4").unlink()
    run(f"folder:{tmp_path / 'one'}", tmp_path / "out")
    assert folder.read(tmp_path / "out").ids == ("renamed.mp4",)


def test_the_copy_of_a_miniature_is_one_of_its_own_hash(ucf, tmp_path, monkeypatch):
    from sigma_bench.runs import transcode as module

    made = publish(
        tmp_path / "root" / "ucf101", "ucf101", 1, {"seed": 3}, lambda to: shutil.copytree(ucf, to, dirs_exist_ok=True)
    )
    true = module._report
    monkeypatch.setattr(module, "_report", lambda *_: 1 / 0)  # ended just before it is whole
    with pytest.raises(ZeroDivisionError):
        run("ucf101", tmp_path / "out", tmp_path / "root")
    assert (tmp_path / "out" / "ucf101" / MARKER).is_file()  # never taken for the real data set
    monkeypatch.setattr(module, "_report", true)
    marks = []
    for _ in range(2):
        run("ucf101", tmp_path / "out", tmp_path / "root")
        marks.append(json.loads((tmp_path / "out" / "ucf101" / MARKER).read_text()))
    assert marks[0] == marks[1]
    assert (marks[0]["name"], marks[0]["settings"], marks[0]["files"]) == ("ucf101", {"seed": 3}, made.files)
    assert marks[0]["sha256"] != made.sha256
    found = publish(tmp_path / "out" / "ucf101", "ucf101", 1, {"seed": 3}, lambda _: 1 / 0)
    assert (found.reused, found.sha256) == (True, marks[0]["sha256"])


def test_a_packed_source_gives_the_copy_of_the_plain_one(ucf, tmp_path):
    pack(ucf, tmp_path / "packed" / "ucf101", 1 << 20)
    run("ucf101", tmp_path / "one", ucf.parent)
    run("ucf101", tmp_path / "two", tmp_path / "packed")
    for path in stamps(ucf):
        for out in ("one", "two"):
            target = tmp_path / out / "ucf101" / path.relative_to(ucf)
            with av.open(str(target)) as file:
                assert file.streams.video[0].codec_context.pix_fmt == "yuv444p"
            assert np.array_equal(pick("pyav").open(target).times, pick("pyav").open(path).times)


@pytest.mark.parametrize("place", ["", "inside", ".."])
def test_a_copy_is_never_written_over_its_source(ucf, place):
    with pytest.raises(UserError, match="name a folder elsewhere with --out"):
        run(f"folder:{ucf}", ucf / place)


def test_the_copy_of_ssv2_ends_in_mp4_but_names_in_a_list_stay(tmp_path):
    root = tmp_path / "ssv2"
    for number in ("1", "2"):
        clip(root / "20bn-something-something-v2" / f"{number}.webm", int(number))
    (root / "something-something-v2-labels.json").write_text('{"Closing something": "0"}')
    (root / "something-something-v2-train.json").write_text(
        json.dumps([{"id": n, "template": "Closing [something]", "label": "x"} for n in ("1", "2")])
    )
    requests, copied = plan("ssv2", root, tmp_path / "out", Settings())
    assert [os.path.basename(r.target) for r in requests] == ["1.mp4", "2.mp4"]
    assert copied == ["something-something-v2-labels.json", "something-something-v2-train.json"]
    run("ssv2", tmp_path / "out", tmp_path)
    after = ssv2.read(tmp_path / "out" / "ssv2", "train")
    assert after.ids == ssv2.read(root, "train").ids
    assert not after.missing()


def test_a_name_that_cannot_hold_h264_is_left_out_with_a_reason(tmp_path):
    root = tmp_path / "own"
    clip(root / "a.webm", 1)
    clip(root / "b.mp4", 2)
    (root / "train.csv").write_text("a.webm 0\nb.mp4 1\n")
    lines, code = run("own", tmp_path / "out", tmp_path)
    assert code == 1
    assert any("a.webm: a file that ends in .webm cannot hold H.264" in line for line in lines)
    assert (tmp_path / "out" / "own" / "b.mp4").is_file()


def test_lists_that_lead_elsewhere_are_refused(tmp_path):
    clip(tmp_path / "elsewhere" / "a.mp4", 1)
    clip(tmp_path / "own" / "b.mp4", 2)
    (tmp_path / "own" / "train.csv").write_text(f"{tmp_path}/elsewhere/a.mp4 0\n")
    with pytest.raises(UserError, match="outside"):
        run("own", tmp_path / "out", tmp_path)


def test_two_files_never_become_one(tmp_path):
    for ending in ("avi", "mp4"):
        clip(tmp_path / "in" / f"a.{ending}", 1)
    with pytest.raises(UserError, match=r"a\.avi and .*a\.mp4 would both become"):
        run(f"folder:{tmp_path / 'in'}", tmp_path / "out")


def test_untrimmed_finegym_becomes_cut_clips(tmp_path):
    root = tmp_path / "finegym"
    element = "ABCDEFGHIJK_E_000000_000004_A_0001_0003"
    other = "ABCDEFGHIJK_E_000000_000004_A_0002_0004"
    clip(root / "videos" / "ABCDEFGHIJK.mp4", 3, frames=60)
    (root / "gym99_train_element_v1.0.txt").write_text(f"{element} 5\n{other} 6\n")
    (root / "gym99_val_element_v1.0.txt").write_text(f"{element} 5\n")
    segments = {
        "A_0001_0003": {"stages": 1, "timestamps": [[1.5, 3.25]]},
        "A_0002_0004": {"stages": 1, "timestamps": [[2.25, 4.0]]},
    }
    info = {"ABCDEFGHIJK": {"E_000000_000004": {"event": 1, "segments": segments, "timestamps": [[0.25, 4.5]]}}}
    (root / "finegym_annotation_info_v1.0.json").write_text(json.dumps(info))
    before = finegym.gym99(root, "val")
    start, end = (before.table.column(c)[0].as_py() for c in ("start_s", "end_s"))
    assert (start, end) == (1.75, 3.5)
    requests, _ = plan("gym99", root, tmp_path / "out" / "finegym", Settings())
    assert [os.path.basename(r.target) for r in requests] == [f"{element}.mp4", f"{other}.mp4"]  # of both lists, once
    run("gym99", tmp_path / "out", tmp_path)
    report = json.loads((tmp_path / "out" / "finegym" / REPORT).read_text())
    assert report["bytes_before"] == (root / "videos" / "ABCDEFGHIJK.mp4").stat().st_size  # of both elements, once
    train = finegym.gym99(tmp_path / "out" / "finegym", "train")
    picture = pick("pyav").open(train.path(1)).frames([0])[0]
    untrimmed = pick("pyav").open(root / "videos" / "ABCDEFGHIJK.mp4").frames(range(60))
    small = [
        av.VideoFrame.from_ndarray(f, format="rgb24").reformat(32, 24).to_ndarray(format="rgb24") for f in untrimmed
    ]
    assert int(np.argmax([psnr(picture, other) for other in small])) == 25  # 0.25 + 2.25 s, 10 frames a second
    after = finegym.gym99(tmp_path / "out" / "finegym", "val")
    assert after.table.column("path").to_pylist() == [f"{element}.mp4"]
    assert after.table.column("start_s").to_pylist() == [None]
    assert not after.missing()
    assert after.sha256 == before.sha256
    assert pick("pyav").open(after.path(0)).count == 17  # 1.8, 1.9, ..., 3.4
    assert not (tmp_path / "out" / "finegym" / "videos").exists()


def test_requests_name_the_source_below_its_root(ucf, tmp_path):
    requests, _ = plan("ucf101", ucf, tmp_path / "out", Settings())
    name = "UCF-101/Jump/v_Jump_g01_c01.avi"
    assert requests[0] == Request(str(ucf / name), str(tmp_path / "out" / name), Settings())
