import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.data.bottleneck import ENOUGH, Rates, advise

RATE = st.floats(0.1, 1e5)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (Rates({1: 10, 2: 20, 4: 40}, 1000, None), (4, 40, "decode")),
        (Rates({1: 10, 2: 20, 4: 40, 8: 41}, 1000, None), (4, 40, "decode")),
        (Rates({1: 10, 2: 20, 4: 40}, 15, None), (2, 15, "transform")),
        (Rates({1: 10, 2: 20, 4: 40}, 30, 15), (1, 10, "decode")),
        (Rates({1: 100, 2: 200}, 1000, 50), (1, 1 / (1 / 1000 + 1 / 50), "transfer")),
        (Rates({2: 9, 1: 10}, 100, 100), (1, 10, "decode")),
    ],
)
def test_the_slowest_stage_and_the_least_processes_are_named(rates, expected):
    advice = advise(rates)
    assert (advice.workers, advice.bottleneck) == (expected[0], expected[2])
    assert advice.clips_s == pytest.approx(expected[1])


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.integers(1, 64), RATE, min_size=1), RATE, st.none() | RATE)
def test_no_other_number_of_processes_gives_much_more(decode, transform, transfer):
    advice = advise(Rates(decode, transform, transfer))
    main = 1 / (1 / transform + (0 if transfer is None else 1 / transfer))
    best = max(min(rate, main) for rate in decode.values())
    assert best * ENOUGH * (1 - 1e-9) <= advice.clips_s <= best * (1 + 1e-9)
    assert all(min(rate, main) < best * ENOUGH for count, rate in decode.items() if count < advice.workers)
    assert (advice.bottleneck == "decode") == (decode[advice.workers] <= main)


@pytest.mark.parametrize("rates", [Rates({}, 1, None), Rates({1: 0}, 1, None), Rates({1: 1}, 1, -1)])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(ValueError, match="expected positive rates"):
        advise(rates)
