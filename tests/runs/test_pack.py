import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import ucf101
from sigma_bench.runs import data as places
from sigma_bench.runs.pack import pack


@pytest.fixture
def small(monkeypatch):
    from sigma_bench.data.miniatures import ucf101 as miniature

    def write(root, seed=0):
        return miniature.write(root, seed=seed, groups=8, clips_per_group=1)

    monkeypatch.setattr(places.registry, "get", lambda *_: write)


def test_a_packed_miniature_is_taken_where_the_plain_one_is(small, tmp_path):
    lines = pack("ucf101", out=tmp_path / "out", data="miniature", data_root=tmp_path / "plain", shard_mb=1)
    assert lines[0].startswith("packed: 256 files")
    folder = places.miniature("ucf101", tmp_path / "out")
    assert folder == tmp_path / "out" / "miniature" / "ucf101"
    assert files.members(folder)  # still packed: it was not written anew
    index = ucf101.read(folder, "train")
    assert index.table.equals(ucf101.read(tmp_path / "plain" / "miniature" / "ucf101", "train").table)
    assert not index.missing()


def test_a_folder_of_videos_is_packed_into_the_folder_named(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    pack(f"folder:{tmp_path / 'videos'}", out=tmp_path / "out", data="official", data_root=None, shard_mb=1)
    assert files.read(tmp_path / "out" / "a.mp4") == b"x"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [("folder:", "official", "no such folder"), ("ucf101", "other", "expected official or miniature")],
)
def test_what_is_no_data_set_is_refused(tmp_path, name, data, words):
    with pytest.raises(UserError, match=words):
        pack(name, out=tmp_path / "out", data=data, data_root=tmp_path, shard_mb=1)
