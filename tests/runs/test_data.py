"""Where data lies: the miniature that is there is kept."""

import json

from sigma_bench.data.miniatures.publish import Miniature
from sigma_bench.runs import data


def seed_of(root):
    return json.loads((root / "miniature/ucf101/miniature.json").read_text())["settings"]["seed"]


def test_a_miniature_of_another_seed_is_replaced_only_when_that_is_asked_for(tmp_path, monkeypatch):
    from sigma_bench.data.miniatures import ucf101

    def small(root, seed=0):
        return ucf101.write(root, seed, groups=4, clips_per_group=1)

    monkeypatch.setattr(data.registry, "get", lambda kind, name: small)
    data.miniature("ucf101", tmp_path, 3)
    assert seed_of(tmp_path) == 3
    data.miniature("ucf101", tmp_path)
    assert seed_of(tmp_path) == 3
    data.miniature("ucf101", tmp_path, 0)
    assert seed_of(tmp_path) == 0


def test_a_data_set_without_files_of_its_own_has_the_miniature_that_it_is_drawn_from(tmp_path, monkeypatch):
    asked = []

    def write(root, seed=0):
        asked.append(root.name)
        return Miniature(root, False, 1, 1, "0" * 64)

    monkeypatch.setattr(data.registry, "get", lambda kind, name: write if name == asked_name else None)
    for name, asked_name in (("gym99_1000", "finegym"), ("mini_ssv2", "ssv2"), ("ucf101", "ucf101")):
        assert data.miniature(name, tmp_path) == tmp_path / "miniature" / asked_name
    assert asked == ["finegym", "ssv2", "ucf101"]
