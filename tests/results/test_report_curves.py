"""Curves of a report: thinned so that every peak stays."""

from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.results.report_curves import Axis, Curve, content, thin

POINTS = st.dictionaries(st.integers(0, 10**6), st.floats(-1e6, 1e6), min_size=1, max_size=300).map(
    lambda points: dict(sorted(points.items()))
)


@given(POINTS, st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(points, most):
    kept = thin(points, most)
    assert len(kept) <= max(most, 1)
    assert kept.items() <= points.items()
    assert list(kept) == sorted(kept)
    assert {min(points), max(points)} <= set(kept)
    assert (min(kept.values()), max(kept.values())) == (min(points.values()), max(points.values()))
    assert len(points) > most or kept == points


def test_a_page_has_each_run_by_the_place_of_its_quantities():
    axes = [Axis("loss", "loss", "", "what is minimised", log=True), Axis("lr", "rate", "", "")]
    run = Curve("a", {"lr": {1: 0.123456789, 2: 0.2}}, epochs={2: 0.5}, warnings={2: "w"}, miniature=True)
    found = content([run], axes)
    assert [axis["name"] for axis in found["axes"]] == ["loss", "lr"]
    assert found["runs"] == [
        {
            "run": "a",
            "miniature": True,
            "lines": {1: {"x": [1, 2], "y": [0.123457, 0.2], "of": 2}},
            "warnings": [[2, "w"]],
            "epochs_a_step": 0.25,
        }
    ]
    assert content([Curve("b", {})], axes)["runs"][0]["epochs_a_step"] is None
