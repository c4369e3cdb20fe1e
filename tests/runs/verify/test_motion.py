"""Verification of motion-guided masks tells wrong masks from masks with ties."""

import pytest
import torch

from sigma_bench.runs.verify import run
from sigma_bench.runs.verify.motion import check
from sigma_bench.runs.verify.record import Comparison
from sigma_bench.runs.verify.vectors import Golden


def checked(golden, change=lambda values: None):
    values = torch.load(golden / "mgmae_masks.pt", weights_only=True)
    change(values)
    into = Comparison("mgmae_masks.pt")
    check(Golden(golden / "mgmae_masks.pt", values, "cpu", into))
    return {record.key: record for record in into.records}


def test_every_case_of_the_reference_holds(golden):
    records = checked(golden)
    assert len(records) == 21
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.status for record in run(golden, only=["mgmae_masks"])} == {"ok"}


@pytest.mark.parametrize("key", ["mix_gauss.consist.middle", "token_rand.none.middle", "pixel_rand.consist.first"])
def test_a_wrong_mask_fails(golden, key):
    records = checked(golden, lambda v: v.__setitem__(f"{key}.mask", v[f"{key}.mask"].roll(1, 1)))
    assert [k for k, record in records.items() if record.status == "failed"] == [f"{key}.mask"]


def test_another_choice_among_equal_sums_holds_for_random_maps_only(golden):
    def still(values):
        values["flows_i_to_i1__i1_to_i"].zero_()
        for kind in ("token_rand", "mix_gauss"):
            side = values["grid"]
            values[f"{kind}.init"][:] = 1  # all tokens tie
            mask = torch.ones(2, values["frames"] // 2, side * side, dtype=torch.bool)
            mask[..., -int(side * side * (1 - values[f"{kind}.ratio"])) :] = False
            values[f"{kind}.consist.middle.mask"] = mask.flatten(1)

    records = checked(golden, still)
    assert records["token_rand.consist.middle.mask"].status == "ok"
    assert records["mix_gauss.consist.middle.mask"].status == "failed"


def test_a_wrong_initial_map_and_wrong_pairs_fail(golden):
    def change(values):
        values["mix_gauss.init"][0, 0, 0, 0] += 1e-4
        values["pixel_rand.init"][0, 0, 0, 0] = 0.5
        values["mix_gauss.none.middle.pairs"].reverse()
        values["other"] = 1

    records = checked(golden, change)
    failed = {key for key, record in records.items() if record.status == "failed"}
    assert failed >= {"mix_gauss.init", "pixel_rand.init", "mix_gauss.none.middle.pairs"}
    assert records["other"].status == "unknown"
