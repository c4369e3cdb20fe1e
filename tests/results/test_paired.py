"""Paired tests: exact where it can be, as often wrong as they say, and those of scipy where it has them."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from sigma_bench.results import paired, records, stats


def right(values, groups=None):
    n = len(values)
    frame = pd.DataFrame({"id": [f"v{i:04d}" for i in range(n)], "error": [None] * n, "value": np.asarray(values)})
    if groups is not None:
        frame["group"] = [f"g{g}" for g in groups]
    made = records.read(frame, "x", float(np.mean(values)))
    assert made is not None
    return made


def labelled(values, labels, groups):
    n = len(values)
    frame = pd.DataFrame({"id": [f"v{i:04d}" for i in range(n)], "error": [None] * n, "label": labels})
    frame["group"], frame["prediction"] = [f"g{g}" for g in groups], np.where(values, labels, -1)
    by_class = [np.mean(values[labels == c]) for c in np.unique(labels)]
    return records.read(frame, "mean_class_acc", 100 * float(np.mean(by_class)))


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test_less_half_of_what_was_seen(b, c):
    p = paired.mcnemar(b, c)
    assert p == paired.mcnemar(c, b)
    if b == c:
        assert p == pytest.approx(1.0)
    else:
        exact = reference.binomtest(min(b, c), b + c).pvalue
        assert p == pytest.approx(exact - reference.binom.pmf(min(b, c), b + c, 0.5))


def test_mcnemar_is_taken_where_samples_are_right_or_wrong_and_alone():
    rng = np.random.default_rng(0)
    a, b = 100.0 * (rng.random(200) < 0.6), 100.0 * (rng.random(200) < 0.75)
    found = paired.compare([right(a)], [right(b)])
    only = int(((a > 0) & (b == 0)).sum()), int(((b > 0) & (a == 0)).sum())
    assert (found.test, found.only, found.p) == ("McNemar, mid-p", only, paired.mcnemar(*only))
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.interval.low < found.difference < found.interval.high
    assert (found.samples, found.groups) == (200, 200)
    groups = np.arange(200) // 2
    clustered = paired.compare([right(a, groups)], [right(b, groups)])
    assert (clustered.test, clustered.only) == ("sign flips of groups, 100000 draws", None)
    assert paired.compare([right(a), right(a)], [right(b)]).test.startswith("sign flips")


def test_sign_flips_go_through_all_signs_of_few_groups():
    parts = np.array([0.5, -0.2, 0.9, 0.0, 0.4, 0.1])
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    wanted = np.mean(np.abs(signs @ parts) >= parts.sum() - 1e-12)
    assert paired.sign_flips(parts, np.random.default_rng(0)) == (wanted, "sign flips of groups, exact")
    assert paired.sign_flips(np.zeros(3), np.random.default_rng(0))[0] == 1.0
    assert paired.sign_flips(np.ones(6), np.random.default_rng(0))[0] == 2 / 2**6


@pytest.mark.parametrize("equal", [True, False])
def test_drawn_signs_agree_with_scipy(equal):
    rng = np.random.default_rng(1)
    parts = rng.choice([-1.0, 0, 1, 2], 60) if equal else rng.normal(0.2, 1, 60)
    p, name = paired.sign_flips(parts, rng)
    wanted = reference.permutation_test(
        (parts,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(2)
    ).pvalue
    assert name == "sign flips of groups, 100000 draws"
    assert p == pytest.approx(wanted, abs=0.015)


def test_very_many_groups_are_drawn_less_often(monkeypatch):
    monkeypatch.setattr(paired, "SIGNS", 20_000)
    parts = np.random.default_rng(0).normal(0.3, 1, 100)
    p, name = paired.sign_flips(parts, np.random.default_rng(0))
    assert name == "sign flips of groups, 200 draws"
    assert 1 / 201 <= p < 0.2


def test_groups_that_differ_as_one_count_once():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(20), 20)
    a = np.zeros(400)
    b = np.repeat(rng.permutation([100.0] * 8 + [0.0] * 12), 20)
    b[0:40:2], a[399] = 100 - b[0:40:2], 100
    alone, together = paired.compare([right(a)], [right(b)]), paired.compare([right(a, group)], [right(b, group)])
    assert alone.p < 1e-6 < together.p
    assert together.interval.high - together.interval.low > 2 * (alone.interval.high - alone.interval.low)


@pytest.mark.parametrize("kind", ["mean", "classes", "ranked"])
def test_the_parts_of_the_groups_add_up_to_the_difference(kind):
    rng = np.random.default_rng(3)
    group, label = rng.integers(0, 12, 80), rng.integers(0, 4, 80)
    if kind == "mean":
        pair = [right(100.0 * (rng.random(80) < p), group) for p in (0.4, 0.6)]
    elif kind == "classes":
        pair = [labelled(rng.random(80) < p, label, group) for p in (0.4, 0.6)]
    else:
        truth = rng.random((80, 5)) < 0.2
        pair = [ranked(rng.normal(size=(80, 5)) + k * truth, truth, group) for k in (1, 2)]
    found = paired.compare(pair[:1], pair[1:])
    weights = np.array([-1.0, 1.0])
    parts = paired._parts(paired.Contrast(records.statistic(pair), weights), pair, weights)
    assert len(parts) == 12
    assert parts.sum() == pytest.approx(found.difference)
    assert 0 < found.p < 1
    swapped = paired.compare(pair[1:], pair[:1])
    assert swapped.difference == pytest.approx(-found.difference)
    assert swapped.effect == pytest.approx(-found.effect)
    assert swapped.p == pytest.approx(found.p, abs=0.01)


def ranked(scores, truth, group):
    n = len(scores)
    frame = pd.DataFrame(
        {"id": [f"v{i:04d}" for i in range(n)], "error": [None] * n, "group": [f"g{g}" for g in group]}
    )
    frame["labels"], frame["scores"] = list(truth.astype(int)), list(scores)
    from sigma_bench.results.ranked import AveragePrecisions

    value = AveragePrecisions(scores[None], truth, np.unique(group, return_inverse=True)[1]).values()[0]
    return records.read(frame, "map", value)


def test_effect_is_cohens_d_of_paired_samples():
    rng = np.random.default_rng(0)
    a, b = rng.random(50) * 100, rng.random(50) * 100
    found = paired.compare([right(a)], [right(b)])
    assert found.effect == pytest.approx((b - a).mean() / (b - a).std(ddof=1))
    assert paired.compare([right(a)], [right(a)]).effect is None


def test_seeds_are_averaged_before_the_groups_are_flipped():
    rng = np.random.default_rng(0)
    sides = [[right(rng.random(30) * 100) for _ in range(2)] for _ in range(2)]
    found = paired.compare(*sides)
    means = [np.mean([one.values_N for one in side], axis=0) for side in sides]
    assert found.difference == pytest.approx(means[1].mean() - means[0].mean())
    assert found.p == pytest.approx(paired.compare([right(means[0])], [right(means[1])]).p, abs=0.005)


def test_no_difference_at_all_has_p_1_and_a_bound():
    a = right([100.0, 0, 100, 0] * 10)
    found = paired.compare([a], [a])
    assert (found.difference, found.p, found.only) == (0.0, 1.0, (0, 0))
    assert found.interval.method == "bound"
    assert (found.interval.low, found.interval.high) == (
        pytest.approx(-100 * (1 - 0.025 ** (1 / 40))),
        pytest.approx(100 * (1 - 0.025 ** (1 / 40))),
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm(values):
    found = paired.holm(values)
    assert all(1 >= c >= p for c, p in zip(found, values, strict=True))
    assert min(found) == pytest.approx(min(1.0, len(values) * min(values)))
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert [found[i] for i in order] == sorted(found)


def test_holm_by_hand():
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([]) == []


def test_between_seeds_is_welchs_test():
    one, other = [20.0, 21.0, 23.0], [25.0, 24.0]
    wanted = reference.ttest_ind(one, other, equal_var=False).pvalue
    assert paired.between_seeds(one, other) == pytest.approx(wanted)
    assert paired.between_seeds([20.0, 20.0], [21.0, 21.5]) > 0
    assert paired.between_seeds(one, [3.0]) is None
    assert paired.between_seeds([1.0, 1.0], [2.0, 2.0]) == 0.0
    assert paired.between_seeds([1.0, 1.0], [1.0, 1.0]) == 1.0


def false_alarms(make, trials=300):
    return np.mean([paired.compare(*make(np.random.default_rng((5, t))), seed=t).p < 0.05 for t in range(trials)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alone", "groups", "classes", "clips", "ranked"])
def test_where_there_is_no_difference_five_of_a_hundred_are_called_one(kind, monkeypatch):
    monkeypatch.setattr(paired, "DRAWS", 2000)
    monkeypatch.setattr(stats, "interval", lambda *a, **k: None)

    def make(rng):
        group, label = rng.integers(0, 40, 160), rng.integers(0, 5, 160)
        hard = rng.random(40)[group]
        if kind == "alone":
            return [[right(100.0 * (rng.random(160) < hard))] for _ in range(2)]
        if kind == "groups":
            return [[right(100.0 * (rng.random(160) < np.clip(hard + rng.normal(0, 0.3, 40)[group], 0, 1)), group)]
                    for _ in range(2)]  # fmt: skip
        if kind == "classes":
            return [[labelled(rng.random(160) < hard, label, group)] for _ in range(2)]
        if kind == "clips":
            return [[right(100 * rng.beta(2, 3, 30))] for _ in range(2)]
        truth = rng.random((160, 6)) < 0.15
        return [[ranked(rng.normal(size=(160, 6)) + truth, truth, np.arange(160))] for _ in range(2)]

    assert 0.02 <= false_alarms(make) <= 0.08
