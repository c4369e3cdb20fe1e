"""Where data lies: the miniature that is there is kept."""

import json

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
