import json

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.miniatures import video
from sigma_bench.data.packing import pack
from sigma_bench.runs.bench import _counts, bench


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(3):
        pictures = np.random.default_rng(number).integers(0, 255, (20, 32, 44, 3), dtype=np.uint8)
        video.encode(folder / f"{number}.mp4", pictures)
    (folder / "broken.mp4").write_bytes(b"nothing")
    return folder


def run(folder, **more):
    asked = {"data": "official", "data_root": None, "clips": 8, "workers": [1, 2], "device": "cpu", "as_json": False}
    return bench(f"folder:{folder}", **{**asked, **more})


def test_every_stage_is_measured_against_the_named_reference(videos):
    record = json.loads(run(videos, as_json=True)[0])
    assert (record["clips"], record["failed"]) == (4, 1)
    assert set(record["decode"]) == {"1", "2"}
    assert all(rate > 0 for rate in (*record["decode"].values(), record["transform"], record["reference_clips_s"]))
    assert record["transfer"] is None
    assert record["advice"]["workers"] in (1, 2)
    assert "PyAV" in record["reference"]


def test_the_table_names_what_was_measured(videos):
    lines = run(videos)
    assert "4 clips of 16 frames at stride 4" in lines[0]
    assert "1 not decodable" in lines[0]
    assert any(line.startswith("decode, 2 processes") for line in lines)
    assert any(line.startswith("transfer") and "not applicable" in line for line in lines)
    assert next(line for line in lines if line.startswith("reference ")).split()[-1] == "1.00"
    assert lines[-1].startswith("advice: --workers ")


def test_a_packed_data_set_is_measured_too(videos, tmp_path):
    pack(videos, tmp_path / "packed", 1 << 20)
    assert files.members(tmp_path / "packed")
    assert json.loads(run(tmp_path / "packed", as_json=True, workers=[1])[0])["reference_clips_s"] > 0


def test_what_cannot_be_measured_is_said(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(UserError, match="none of 1 files can be decoded"):
        run(tmp_path)


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16])])
def test_numbers_of_processes_double_up_to_the_cores(cores, counts):
    assert _counts(cores) == counts
