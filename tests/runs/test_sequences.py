"""The clips in a folder: however their frames, videos and masks lie."""

import pytest
from PIL import Image

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.miniatures import davis
from sigma_bench.runs import data as places
from sigma_bench.runs.sequences import named, of_path, sequences


def picture(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(file)


def described(found):
    return [(one.name, one.media.name, one.masks.name if one.masks else None) for one in found]


def test_one_clip_in_a_folder(tmp_path):
    picture(tmp_path / "plain/00000.jpg")
    assert described(sequences(str(tmp_path / "plain"))) == [("plain", "plain", None)]
    picture(tmp_path / "both/JPEGImages/00000.jpg")
    picture(tmp_path / "both/Annotations/00000.png")
    assert described(sequences(f"folder:{tmp_path / 'both'}")) == [("both", "JPEGImages", "Annotations")]
    (tmp_path / "film/Annotations").mkdir(parents=True)
    (tmp_path / "film/a.mp4").write_bytes(b"")
    assert described(sequences(str(tmp_path / "film"))) == [("film", "a.mp4", "Annotations")]
    assert of_path(tmp_path / "film/a.mp4").name == "a"
    assert of_path(tmp_path / "film").media == tmp_path / "film/a.mp4"


def test_several_clips_in_a_folder(tmp_path):
    for name in ("b", "a"):
        picture(tmp_path / name / "JPEGImages/00000.jpg")
    (tmp_path / "c.avi").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert described(sequences(str(tmp_path))) == [
        ("a", "JPEGImages", None), ("b", "JPEGImages", None), ("c.avi", "c.avi", None)]  # fmt: skip
    with pytest.raises(UserError, match="holds 3 clips"):
        of_path(tmp_path)


@pytest.mark.parametrize("between", ["", "480p/"])
def test_a_folder_laid_out_like_davis(tmp_path, between):
    for name in ("x", "y"):
        picture(tmp_path / f"JPEGImages/{between}{name}/00000.jpg")
    picture(tmp_path / f"Annotations/{between}y/00000.png")
    assert described(sequences(str(tmp_path))) == [("x", "x", None), ("y", "y", "y")]


def test_data_sets_and_miniatures_have_the_clips_of_their_last_list(tmp_path, monkeypatch):
    davis.write(tmp_path / "davis", train=2, val=3)
    found = sequences("davis", data_root=tmp_path)
    assert [one.name for one in found] == sorted((tmp_path / "davis/ImageSets/2017/val.txt").read_text().split())
    assert all(one.masks.is_dir() and one.media.is_dir() for one in found)
    assert [one.index.ids[one.row] for one in found] == [one.name for one in found]
    assert len(sequences("davis", "train", tmp_path)) == 2
    (tmp_path / "ucf101").mkdir()
    (tmp_path / "ucf101/a.avi").write_bytes(b"")
    samples = [Sample("a", "a.avi", -1, "a"), Sample("absent", "b.avi", -1, "b")]
    read = {"datasets": lambda folder, split: Index.build("ucf101", split, folder, (), samples)}
    with monkeypatch.context() as patched:
        patched.setattr(registry, "get", lambda kind, name: read[kind])
        assert described(sequences("ucf101", "test", tmp_path)) == [("a", "a.avi", None)]
    monkeypatch.setattr(places, "miniature", lambda name, given: given / name)
    assert described(sequences("miniature", data_root=tmp_path)) == described(found)


def test_mistakes_are_named(tmp_path):
    davis.write(tmp_path / "davis", train=1, val=2)
    found = sequences("davis", data_root=tmp_path)
    assert named(found, [found[1].name, found[0].name], "here") == found[::-1]
    for call, words in (
        (lambda: named(found, ["scene"], "--clips"), r"--clips: no clip 'scene'; did you mean 'scene-00\d'\? Known: "),
        (lambda: sequences("devis"), "--data devis: neither a folder nor a data set; did you mean 'davis'"),
        (lambda: sequences("folder:/none"), "/none: no such folder"),
        (lambda: sequences(str(tmp_path), "val"), "--split val: a folder has none"),
        (lambda: sequences("davis", "vol", tmp_path), "davis has no split 'vol'"),
        (lambda: sequences("davis", data_root=tmp_path / "none"), "no data at"),
    ):
        with pytest.raises(UserError, match=words):
            call()
