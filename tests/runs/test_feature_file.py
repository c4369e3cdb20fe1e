"""Features of own videos as a file: one row each, made once, whole or not at all."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.miniatures.ucf101 import write as miniature
from sigma_bench.features import Views, extract
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.runs import feature_file
from sigma_bench.runs.feature_file import KEY, Request, write


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder of seven videos: one with a space in its name, one damaged."""
    made = tmp_path_factory.mktemp("data") / "ucf101"
    miniature(made, seed=0, groups=4, clips_per_group=1)
    folder = tmp_path_factory.mktemp("clips")
    for number, path in enumerate(sorted(made.rglob("*.avi"))[:6]):
        path.rename(folder / ("a clip.avi" if number == 0 else f"{number}.avi"))
    (folder / "broken.avi").write_bytes(b"no video")
    return folder


def request(place, folder, **more):
    given = {"checkpoint": "random:nano", "videos": place, "out": folder / "f.parquet", "cache": folder / "cache"}
    return Request(**{**given, "device": "cpu", "workers": 1, "stride": 1, **more})


def test_one_row_a_video_with_its_vector_or_its_error(clips, tmp_path, capsys):
    assert write(request(clips, tmp_path)) == 0
    frame = pd.read_parquet(tmp_path / "f.parquet")
    assert list(frame.columns) == ["id", "path", "feature", "error"]
    assert list(frame["id"]) == ["1.avi", "2.avi", "3.avi", "4.avi", "5.avi", "a clip.avi", "broken.avi"]
    assert frame["path"][5] == str(clips.resolve() / "a clip.avi")
    assert frame["error"].notna().tolist() == [False] * 6 + [True]
    assert frame["feature"][6] is None
    index = feature_file.videos(clips)
    views = Views("dense_test", 1, 1, 1, "full", False, 0)
    same = extract(load_encoder("random:nano")[0], index, views, Run("cpu", 0, None, tmp_path / "cache", workers=1))
    assert same.origin["cached"]
    np.testing.assert_array_equal(np.stack(frame["feature"][:6]), same.values_NVD[:6, 0])
    about = json.loads(pq.read_schema(tmp_path / "f.parquet").metadata[KEY])
    assert (about["layers_and_pools"], about["frames"]) == ([{"layer": 2, "pool": "mean"}], 8)
    assert len(about["checkpoint_sha256"]) == 64
    said = capsys.readouterr().err
    assert "6 of 7 videos, feature of 96 numbers" in said
    assert "not decoded: broken.avi:" in said


def test_several_layers_and_clips_from_one_pass_and_a_list(clips, tmp_path):
    (tmp_path / "list.csv").write_text(f"path,label\n{clips / '2.avi'},x\n{clips / 'a clip.avi'},y\n")
    assert write(request(tmp_path / "list.csv", tmp_path, layers=(0, -1), clips=3)) == 0
    frame = pd.read_parquet(tmp_path / "f.parquet")
    assert list(frame.columns) == ["id", "path", "feature_layer0_mean", "feature_layer2_mean", "error"]
    assert list(frame["id"]) == ["2.avi", "a clip.avi"]
    index = feature_file.videos(tmp_path / "list.csv")
    views = Views("dense_test", 3, 1, 1, "full", False, 0)
    run = Run("cpu", 0, None, tmp_path / "other", workers=1)
    for layer in (0, 2):
        alone = extract(load_encoder("random:nano")[0], index, views, run, layer=layer)
        means = alone.values_NVD.mean(1)
        np.testing.assert_allclose(np.stack(frame[f"feature_layer{layer}_mean"]), means, atol=1e-6)


def test_a_file_that_is_there_stays_unless_it_is_forced_and_a_fault_leaves_no_half(clips, tmp_path, monkeypatch):
    out = tmp_path / "f.parquet"
    out.write_text("mine")
    with pytest.raises(UserError, match="there already; name another, or --force"):
        write(request(clips, tmp_path))
    assert out.read_text() == "mine"

    def broken(*given):
        yield from ()
        raise RuntimeError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(feature_file, "_batches", broken)
        with pytest.raises(RuntimeError, match="no space"):
            write(request(clips, tmp_path, force=True))
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["f.parquet"]
    assert write(request(clips, tmp_path, force=True)) == 0
    assert len(pd.read_parquet(out)) == 7


def test_nothing_decoded_is_exit_code_1(clips, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"{clips / 'broken.avi'}\n")
    assert write(request(tmp_path / "list.txt", tmp_path)) == 1
    assert pd.read_parquet(tmp_path / "f.parquet")["error"].notna().all()
    assert "0 of 1 videos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"out": "f.csv"}, "expected the name of a Parquet file"),
        ({"pools": ("max",)}, "--pool max: expected mean or cls"),
        ({"pools": ("cls",)}, "without a class token"),
        ({"layers": (7,)}, "layer 7 asked of an encoder with 3 blocks"),
        ({"crops": 2}, "--crops 2: expected 1 or 3"),
        ({"precision": "fp16"}, "expected fp32 or bf16"),
        ({"checkpoint": "nothing.pth"}, "no such file"),
        ({"videos": "nothing"}, "no such list"),
    ],
)
def test_what_cannot_be_is_told(clips, tmp_path, more, said):
    more = {name: tmp_path / value if name in ("out", "videos") else value for name, value in more.items()}
    with pytest.raises(UserError, match=said):
        write(request(clips, tmp_path, **more))
    assert not (tmp_path / "f.parquet").exists()
