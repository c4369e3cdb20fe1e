"""When a collapse is told: on made-up records, and on those of real runs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.pretrain.collapse import RECORDS, STEPS, CollapseWatch

K = 256
HEALTHY = {"from_uniform": -1.0, "used_prototypes": 0.9, "target_std": 0.7}
SIGNS = {
    "from_uniform": (0.05, "2 ln 256 = 11.090"),
    "used_prototypes": (0.02, "only 2.0% of the 256 prototypes"),
    "target_std": (0.03, "targets have become all alike"),
}


def run(values, every=10, warmup=40, **more):
    """Return the watch and (step, what it said) for one dict of numbers a record."""
    watch = CollapseWatch(warmup, prototypes=K, **more)
    said = []
    for number, value in enumerate(values, 1):
        record = {"step": number * every, "loss": 1.0, **HEALTHY, **value}
        if (words := watch.check(record)) is not None:
            said.append((record["step"], words))
    return watch, said


@pytest.mark.parametrize("key", SIGNS)
def test_each_sign_is_told_once_with_the_step_since_when(key):
    value, words = SIGNS[key]
    watch, said = run([{}] * 20 + [{key: value}] * 40)
    assert [step for step, _ in said] == [310]
    assert said[0][1].startswith("since step 210 ")
    assert words in said[0][1]
    assert len(watch.marks) == 1
    assert watch.marks[0].endswith(" from step 210")


@pytest.mark.parametrize("key", SIGNS)
def test_it_is_told_again_when_it_recovered_and_collapsed_anew(key):
    bad = {key: SIGNS[key][0]}
    watch, said = run([{}] * 4 + [bad] * 20 + [{}] + [bad] * 20)
    assert [words.split()[2] for _, words in said] == ["50", "260"]
    assert watch.marks[0].endswith("from step 50 to 250")
    assert watch.marks[1].endswith("from step 260")


@pytest.mark.parametrize("key", SIGNS)
def test_a_passing_sign_and_the_warm_up_are_not_judged(key):
    bad = {key: SIGNS[key][0]}
    assert run([bad] * 30, warmup=300)[1] == []
    assert run(([bad] * (RECORDS - 1) + [{}]) * 5)[1] == []
    assert run([bad] * (STEPS - 1), every=1, warmup=0)[1] == []
    assert len(run([bad] * (STEPS + 1), every=1, warmup=0)[1]) == 1


def test_prototypes_that_the_tokens_cannot_reach_are_not_missed():
    assert run([{"used_prototypes": 0.05}] * 60, tokens=K // 10)[1] == []
    assert len(run([{"used_prototypes": 0.05}] * 60, tokens=10 * K)[1]) == 1


def test_records_without_these_numbers_and_without_prototypes_say_nothing():
    watch = CollapseWatch(0)
    for step in range(1, 400):
        assert watch.check({"step": step, "loss": 1.0, "from_uniform": 0.0, "used_prototypes": 0.0}) is None
        assert watch.check({"step": step, "eval/linear/ucf101/top1": 3.1}) is None
    assert watch.marks == []


@given(st.lists(st.sampled_from([{}, *({key: value} for key, (value, _) in SIGNS.items())]), max_size=80), st.data())
def test_a_resumed_watch_says_what_an_unbroken_one_says(values, data):
    values = [value for value in values for _ in range(4)]
    cut = data.draw(st.integers(0, len(values)))
    records = [{"step": 10 * n, **HEALTHY, **value} for n, value in enumerate(values, 1)]
    whole, resumed = CollapseWatch(40, K), CollapseWatch(40, K)
    said = [whole.check(record) for record in records]
    resumed.replay(records[:cut])
    assert [resumed.check(record) for record in records[cut:]] == said[cut:]
    assert resumed.marks == whole.marks
    assert sum(words is not None for words in said) <= len(whole.marks)


def test_the_loss_of_a_dead_clustering_is_recognised():
    """What others met: a loss of exactly ln K on each side from the first step on."""
    loss = 2 * math.log(K)
    _, said = run([{"from_uniform": loss - 2 * math.log(K)}] * 40)
    assert len(said) == 1
