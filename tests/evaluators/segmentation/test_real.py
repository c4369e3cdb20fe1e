"""Real sequences: seven objects, masks of a few frames, masks of another edition."""

import re

import pytest

from sigma_bench.contracts import Run
from sigma_bench.evaluators import segmentation
from sigma_bench.models.floors import Floor
from sigma_bench.spec import load
from tests.evaluators.segmentation.real import lay_out


def measured(root, folder, sets=()):
    asked = load.task("seg/davis/clustering", sets=["segmentation.reduce=[pca50]", *sets])
    return segmentation.evaluate(Floor("pixel_colours"), asked, Run("cpu", 0, root, folder, workers=1))


@pytest.fixture(scope="module")
def root(shared, tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    lay_out(shared, root, ["car-shadow", "schoolgirls", "bmx-trees", "road"])
    return root


def test_real_sequences_are_measured_or_refused_with_the_file(root, tmp_path):
    found = measured(root, tmp_path)
    records = found.samples.set_index("id")
    refused = r"car-shadow/000\d\d\.png: 255 is void in davis, .* --set segmentation\.void=id"
    assert re.search(refused, records["error"]["car-shadow"])
    good = records[records["error"].isna()]
    assert set(good.index) == {"schoolgirls", "bmx-trees", "road"}
    assert records["k"]["schoolgirls"] == 8
    assert records["ids"]["schoolgirls"] == list(range(8))
    assert len(set(records["frames"]["schoolgirls"])) == 16
    assert records["frames"]["bmx-trees"] == [0] * 16
    assert records["cluster_changes"]["bmx-trees"] == 0
    assert set(records["frames"]["road"]) <= {100, 101, 102, 103, 104}
    assert ((good["value"] > 0) & (good["value"] < 100)).all()
    told = " ".join(found.marks)
    assert "2 of 3 clips have fewer than 16 frames with masks" in told
    assert "1 of 3 clips lack masks of some frames and are drawn from the others (bmx-trees)" in told


def test_binary_masks_are_measured_as_what_they_are(root, tmp_path):
    records = measured(root, tmp_path, sets=["segmentation.void=id"]).samples.set_index("id")
    assert records["error"].isna().all()
    assert records["ids"]["car-shadow"] == [0, 255]
    assert records["k"]["car-shadow"] == 2
    assert records["value"]["car-shadow"] > 20


def test_masks_with_a_palette_name_the_object_themselves(shared, tmp_path):
    """The masks that a method predicted for the same frames are of the official form."""
    lay_out(shared, tmp_path, ["car-shadow"])
    place = tmp_path / "davis/Annotations/480p/car-shadow"
    place.unlink()
    place.symlink_to(shared / "real/sequences/car-shadow_osvos_pred")
    (record,) = measured(tmp_path, tmp_path / "out").samples.to_dict("records")
    assert record["ids"] == [0, 1]
    assert record["error"] is None
    assert record["value"] > 20
