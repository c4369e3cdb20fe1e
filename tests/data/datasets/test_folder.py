import logging
import os

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import folder


def test_reads_videos_below_sorted_and_unlabelled(tmp_path):
    for name in ("b.mp4", "a/z.AVI", "a/c.webm", ".hidden.mp4", ".cache/x.mp4", "notes.txt", "a b/ü[1].mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    index = folder.read(tmp_path)
    assert index.ids == ("a b/ü[1].mkv", "a/c.webm", "a/z.AVI", "b.mp4")
    assert index.labels.tolist() == [-1] * 4
    assert index.classes == ()
    assert index.missing() == ()


def test_links_out_of_the_folder_are_left_out_and_stated(tmp_path, caplog):
    inner, outer = tmp_path / "in", tmp_path / "out"
    inner.mkdir()
    outer.mkdir()
    (outer / "x.mp4").touch()
    (inner / "y.mp4").touch()
    (inner / "x.mp4").symlink_to(outer / "x.mp4")
    (inner / "more").symlink_to(outer)
    (inner / "same.mp4").symlink_to(inner / "y.mp4")
    with caplog.at_level(logging.WARNING):
        assert folder.read(inner).ids == ("same.mp4", "y.mp4")
    assert "2 links" in caplog.text


def test_an_empty_or_absent_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no video below"):
        folder.read(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        folder.read(tmp_path / "none")
    with pytest.raises(UserError, match="no fold 2"):
        folder.read(tmp_path, fold=2)


def test_a_name_that_is_no_utf8_is_named(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.mp4", "wb"):
        pass
    with pytest.raises(UserError, match=r"folder/train: the name '\\udcff\.mp4' is no UTF-8; rename"):
        folder.read(tmp_path)
