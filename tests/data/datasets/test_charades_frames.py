"""SlowFast's frame lists of Charades: what is read, and that the rule from timed actions rebuilds it."""

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import charades_frames
from sigma_bench.data.frame_labels import frame_labels
from sigma_bench.data.index import Action

HEAD = "original_vido_id video_id frame_id path labels"
FIRST = 'QQQQQ 0 0 QQQQQ/QQQQQ-000001.jpg ""'
SECOND = 'QQQQQ 0 1 QQQQQ/QQQQQ-000002.jpg "8,3"'
OTHER = 'RRRRR 1 0 RRRRR/RRRRR-000001.jpg "8"'


def listed(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_video_has_its_frames_with_their_classes(tmp_path):
    videos = list(charades_frames.read(listed(tmp_path / "train.csv", HEAD, FIRST, SECOND, OTHER), 9))
    assert [video.id for video in videos] == ["QQQQQ", "RRRRR"]
    assert videos[0].paths == ("QQQQQ/QQQQQ-000001.jpg", "QQQQQ/QQQQQ-000002.jpg")
    assert [np.flatnonzero(row).tolist() for row in videos[0].labels] == [[], [3, 8]]
    assert videos[1].labels.shape == (1, 9)


@pytest.mark.parametrize("inclusive", [True, False])
def test_a_list_written_from_actions_is_rebuilt(tmp_path, inclusive):
    actions = [Action(2, 0.25, 1.5), Action(0, 1.0, 1.25), Action(2, 1.4, 2.0)]
    labels = frame_labels(actions, 48, 3, inclusive=inclusive)
    lines = [
        f'00E12 0 {k} 00E12/00E12-{k + 1:06d}.jpg "{",".join(map(str, np.flatnonzero(row)))}"'
        for k, row in enumerate(labels)
    ]
    (video,) = charades_frames.read(listed(tmp_path / "val.csv", HEAD, *lines), 3)
    np.testing.assert_array_equal(video.labels, labels)
    assert video.id == "00E12"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "csv:1: found '', expected 'original_vido_id"),
        ([HEAD.replace("vido", "video"), FIRST], "csv:1: found 'original_video_id"),
        ([HEAD], "csv names no frame"),
        ([HEAD, FIRST, "rubbish"], "csv:3: found 'rubbish', expected a line such as"),
        ([HEAD, FIRST.replace(' ""', "")], "csv:2: found"),
        ([HEAD, SECOND.replace('"8,3"', '"8,3')], "csv:2: found"),
        ([HEAD, SECOND.replace("8,3", "8,x")], "csv:2: found"),
        ([HEAD, SECOND.replace("8,3", "8,9")], "csv:2: class 9 is unknown; there are 0 to 8"),
        ([HEAD, FIRST.replace("QQQQQ/", "../")], "csv:2: found"),
        ([HEAD, FIRST.replace("QQQQQ 0", "RRRRR 0")], "csv:2: found"),
        ([HEAD, SECOND, FIRST], "csv:3: 'QQQQQ/QQQQQ-000001.jpg' follows"),
        ([HEAD, FIRST, FIRST], "csv:3: .* expected ascending frames"),
        ([HEAD, FIRST, OTHER, SECOND], "csv:4: video 'QQQQQ' comes again"),
    ],
)
def test_malformed_lists_name_file_and_line(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        list(charades_frames.read(listed(tmp_path / "train.csv", *lines), 9))
